/* SPDX-License-Identifier: MIT */
/*
 * tests/fault/ordeal.h: what goes wrong in programs that use fault-driven heaps,
 * tried on every such strategy.
 *
 * An "ordeal" is a check in the sense of harness/conform.h, and is written with
 * the means of harness/conform_check.h: it runs in a process of its own, with a
 * time limit, and ends by returning or in fl_trial_fail or fl_trial_skip.  None
 * of them names a strategy: main() finds all whose answer is "extend" or
 * "redirect", and tries each with its defaults and each other value of each
 * choice.
 */
#ifndef ORDEAL_H
#define ORDEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "harness/conform_check.h"

#define KIB		((uint64_t)1 << 10)
#define MIB		((uint64_t)1 << 20)

/* How many blocks or steps a stretch of these ordeals covers. */
#define ORDEAL_BYTES	MIB
#define ORDEAL_NEED	{						\
		.region_bytes = 3 * ORDEAL_BYTES / 2, .object_bytes = 70000,\
		.nr_regions = 8,					\
	}

/*
 * Objects with contents, and where they are: all memory is there before the
 * first allocation, so that a signal handler or a child may use it.
 */
struct objects {
	struct fl_trial *t;
	struct fl_region *region;
	uint64_t seed;		/* of sizes and patterns */
	uint64_t nr, nr_max, bytes;
	struct object {
		uint64_t *words;
		uint32_t nr_words;
	} *list;
	const char *wrong;	/* what was found to be so, or NULL */
};

/* Room for @nr_max objects; the end of the trial when there is none. */
void objects_open(struct fl_trial *t, struct objects *o,
		  struct fl_region *region, uint64_t seed, uint64_t nr_max);

/*
 * objects_add: Allocate an object of a random size, and fill it.  objects_fill:
 * objects until @bytes or nr_max are allocated.  Both stop at region->error,
 * before they write to what came from the sink.  Return false when they stopped.
 * Signal-safe.
 */
bool objects_add(struct objects *o);
bool objects_fill(struct objects *o, uint64_t bytes);

/*
 * objects_intact: Is every object as it was filled, and was nothing wrong when
 * they were allocated?  Signal-safe.
 */
bool objects_intact(struct objects *o);

/* The end of the trial when they are not. */
void objects_verify(struct objects *o, const char *when);

/* Forget them and reset the region. */
void objects_reset(struct objects *o);

/* A heap that frees nothing, and where its closed pages are. */
struct closed {
	char *low, *high;	/* whole pages, neighbours */
};

/*
 * closed_runs: Runs of pages inside the heap's ranges of objects that cannot be
 * read, in the order of addresses, at most @max.  Asked of the kernel by a
 * system call, which raises no signal.
 */
size_t closed_runs(struct fl_trial *t, const struct fl_heap *heap,
		   struct closed *runs, size_t max);
bool is_closed(const char *p);

/* Pages shared with children, zeroed. */
void *shared_pages(struct fl_trial *t, size_t bytes);

/*
 * A wild access: one byte at @p, by an instruction that is no site.  *@pc gets
 * its address before it is executed.
 */
enum access { LOAD, STORE };
void wild(enum access access, char *p, volatile uintptr_t *pc);

/*
 * need_hits: Skips the trial if @nr_hits is 0: then there is no handler, and the
 * kernel alone serves the strategy's faults.
 */
void need_hits(struct fl_trial *t, uint64_t nr_hits);

/* The processor time after which a process is killed, and no core of it. */
void limit_cpu(unsigned seconds);

/* The ordeals, by the file they are in. */
void try_undeclared(struct fl_trial *t);	/* undeclared.c */
void try_core(struct fl_trial *t);
void try_blocked(struct fl_trial *t);
void try_unreadable(struct fl_trial *t);	/* nested.c */
void try_handler_faults(struct fl_trial *t);
void try_handler_allocates(struct fl_trial *t);
void try_interrupted(struct fl_trial *t);	/* interrupted.c */
void try_interrupted_onstack(struct fl_trial *t);
void try_limit(struct fl_trial *t);		/* scarcity.c */
void try_vmas(struct fl_trial *t);
void try_addresses(struct fl_trial *t);
void try_small_stack(struct fl_trial *t);
void try_fork(struct fl_trial *t);		/* forked.c */
void try_fork_often(struct fl_trial *t);
void try_fork_of_thread(struct fl_trial *t);
void try_threads(struct fl_trial *t);		/* threads.c */
void try_comings_and_goings(struct fl_trial *t);
void try_stepped(struct fl_trial *t);		/* traced.c */
void try_breakpoint(struct fl_trial *t);

#endif

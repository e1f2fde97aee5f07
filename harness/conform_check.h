/* SPDX-License-Identifier: MIT */
/*
 * harness/conform_check.h: what the checks of the conformance suite share.
 *
 * A check runs in a process of its own and has no exit ladder: it ends by
 * returning, which is a pass, or in fl_trial_fail or fl_trial_skip, which do
 * not return.  What it leaves behind ends with the process.
 *
 * Context: cold; inside a trial.  The shadow belongs to one thread.
 */
#ifndef FL_CONFORM_CHECK_H
#define FL_CONFORM_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/conform.h"

/* One trial, inside its process. */
struct fl_trial {
	const struct fl_conform *conform;
	const struct fl_strategy *s;
	int report;			/* where the verdict is written */
	struct fl_trial_shared *shared;	/* with the process that waits; NULL in
					   a thread that is not the first */
};

/* What a process that was waited for came to. */
struct fl_outcome {
	enum fl_check_verdict verdict;
	int signal;		/* that killed it, or 0 */
	char text[FL_CHECK_TEXT_BYTES];
};

typedef void (*fl_trial_fn)(struct fl_trial *t, void *arg);

/*
 * fl_trial_run: Run @fn in a process of its own and wait for it.  Trials may
 * start trials.
 * @seconds: it is killed after as many; more under a sanitizer.
 */
void fl_trial_run(const struct fl_conform *conform, fl_trial_fn fn, void *arg,
		  unsigned seconds, struct fl_outcome *out);

void fl_trial_fail(struct fl_trial *t, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
void fl_trial_skip(struct fl_trial *t, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/* What the trial is about to do, for the message should it die of it. */
void fl_trial_doing(struct fl_trial *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* What this build was instrumented with, and how many times longer it takes. */
enum fl_build { FL_BUILD_PLAIN, FL_BUILD_ASAN, FL_BUILD_TSAN };

enum fl_build fl_trial_build(void);
unsigned fl_trial_slowness(void);

/* malloc that fails the trial. */
void *fl_trial_alloc(struct fl_trial *t, size_t nr, size_t bytes);

/*
 * What a heap is going to be asked for, honestly: strategies that never check
 * size their buffers by it.
 */
struct fl_need {
	uint64_t region_bytes;	/* each object rounded and aligned */
	uint64_t object_bytes;
	uint32_t nr_regions;
	uint64_t limit_bytes;	/* 0: none */
};

/*
 * fl_trial_open: A heap, or the end of the trial: it fails when open does, and
 * is skipped when the settings leave a region less room than @need says.
 */
struct fl_heap *fl_trial_open(struct fl_trial *t, const struct fl_need *need);
struct fl_region *fl_trial_region(struct fl_trial *t, struct fl_heap *heap);

/* The geometry of a heap of this configuration. */
struct fl_geometry fl_trial_geometry(struct fl_trial *t);

/* Bytes after which a lifetime has crossed the ends of a few blocks or steps. */
uint64_t fl_trial_stretch(struct fl_trial *t, uint64_t least, uint64_t most);

/* splitmix64 (Steele, Lea & Flood, OOPSLA 2014). */
uint64_t fl_random(uint64_t *state);

/* What an object takes from a region at most, alignment included. */
static inline uint64_t fl_object_room(uint64_t bytes, uint64_t align)
{
	return fl_object_bytes(bytes) + align - FL_GRAIN_BYTES;
}

/*
 * The shadow: the objects that must be alive, by address and by owner, each
 * with a pattern of its own.  An "owner" is a small number that stands for a
 * region.
 */
struct fl_shadow;

struct fl_shadow *fl_shadow_new(struct fl_trial *t, struct fl_heap *heap);

/*
 * fl_shadow_alloc: Allocate through object_new and check what comes back: not
 * NULL, aligned, the first word stored, inside a declared range for objects, no
 * overlap with any live object, no error.  Then fill it.
 */
char *fl_shadow_alloc(struct fl_shadow *shadow, struct fl_region *region,
		      uint32_t owner, uint64_t bytes, uint64_t align);

/*
 * fl_shadow_adopt: The same for an object that was made by other means and now lies
 * at @p.
 */
void fl_shadow_adopt(struct fl_shadow *shadow, const struct fl_region *region,
		     uint32_t owner, char *p, uint64_t bytes, uint64_t align);

/* fl_shadow_verify: Are the owner's objects, or all, as they were filled? */
void fl_shadow_verify(struct fl_shadow *shadow, uint32_t owner);
void fl_shadow_verify_all(struct fl_shadow *shadow);

/* Verify the objects and forget them; then reset or destroy the region. */
void fl_shadow_reset(struct fl_shadow *shadow, struct fl_region *region,
		     uint32_t owner);
void fl_shadow_destroy(struct fl_shadow *shadow, struct fl_region *region,
		       uint32_t owner);

/* Forget all without looking: the heap is closed. */
void fl_shadow_free(struct fl_shadow *shadow);

/* What the process holds, as the kernel says. */
struct fl_footprint {
	uint64_t nr_vmas, mapped_bytes, anonymous_bytes;
	uint64_t nr_files, nr_threads;
};

void fl_footprint_take(struct fl_trial *t, struct fl_footprint *out);

/*
 * Sequences of operations, which random checks make and shrink.  Any part of a
 * sequence is a sequence: an operation that makes no sense where it stands
 * (an allocation without a region) does nothing.
 */
enum fl_op_kind { FL_DO_CREATE, FL_DO_USE, FL_DO_NEW, FL_DO_RESET, FL_DO_DESTROY };

struct fl_op {
	enum fl_op_kind kind;
	uint32_t slot;		/* which region; new: the one in use */
	uint64_t bytes, align;	/* new */
};

struct fl_ops {
	struct fl_op *op;
	size_t nr;
};

#define FL_OPS_SLOTS	12u

/*
 * fl_ops_make: @nr random operations over FL_OPS_SLOTS regions, then the
 * destruction of what is alive.  Sizes are drawn where strategies err: nothing,
 * the grain, the guard, the page, the block, and one beside each.
 */
struct fl_ops fl_ops_make(struct fl_trial *t, uint64_t seed, size_t nr,
			  bool aligned);

/* What a heap needs for the sequence. */
struct fl_need fl_ops_need(const struct fl_ops *ops);

/*
 * fl_ops_program: The sequence in the form that kernels run
 * (faultline/program.h); alignments are dropped.  Returns the number of words;
 * *@nr_allocs: how many of them allocate.
 */
uint64_t fl_ops_program(struct fl_trial *t, const struct fl_ops *ops,
			uint32_t **words, uint64_t *nr_allocs);

/* The checks, by the file they are in. */
void fl_try_table(struct fl_trial *t);		/* conform_heap.c */
void fl_try_probe(struct fl_trial *t);
void fl_try_open_close(struct fl_trial *t);
void fl_try_first_word(struct fl_trial *t);
void fl_try_alignment(struct fl_trial *t);
void fl_try_overlap(struct fl_trial *t);
void fl_try_contents(struct fl_trial *t);
void fl_try_reset(struct fl_trial *t);
void fl_try_destroy(struct fl_trial *t);
void fl_try_many_regions(struct fl_trial *t);
void fl_try_region_limit(struct fl_trial *t);
void fl_try_ranges(struct fl_trial *t);
void fl_try_trim(struct fl_trial *t);
void fl_try_trim_idle(struct fl_trial *t);
void fl_try_two_heaps(struct fl_trial *t);
void fl_try_two_threads(struct fl_trial *t);

void fl_try_builder(struct fl_trial *t);	/* conform_chunk.c */
void fl_try_read(struct fl_trial *t);

void fl_try_exhaustion(struct fl_trial *t);	/* conform_fault.c */
void fl_try_exhausted_kernels(struct fl_trial *t);
void fl_try_foreign_faults(struct fl_trial *t);
void fl_try_default_faults(struct fl_trial *t);
void fl_try_handlers(struct fl_trial *t);
void fl_try_errno(struct fl_trial *t);

void fl_try_guards(struct fl_trial *t);		/* conform_guard.c */

void fl_try_verify_kernels(struct fl_trial *t);	/* conform_kernel.c */
void fl_try_timed_kernels(struct fl_trial *t);
void fl_try_geometry(struct fl_trial *t);

void fl_try_random(struct fl_trial *t);		/* conform_random.c */
void fl_try_random_program(struct fl_trial *t);

#endif

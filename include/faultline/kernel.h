/* SPDX-License-Identifier: MIT */
/*
 * faultline/kernel.h: workload kernels as the harness calls them.
 *
 * A kernel is a loop over allocations.  Its text is in faultline/kernels/, one
 * header each; module.h compiles it into every strategy, once for each
 * combination of size, residence and mode that is listed there.
 *
 * Residence: where the cursor lives.  "register": a local copy for the whole
 * kernel, what a compiler with reserved registers does.  "memory": loaded and
 * stored through the region at each allocation, what C callers do.
 *
 * Mode: why the kernel runs.
 *   timed    nothing but the work; checks a sample of objects afterwards
 *   planted  timed, with one dependent multiplication more per allocation: the
 *            known slowdown that every campaign must be able to see
 *   verify   logs every object, fills it, and reads all of it back when its
 *            region dies
 *   latency  times allocations one by one and keeps those behind which the
 *            slow path ran
 *   account  touches every page an object covers and says of every event, when
 *            it is over, what it was: faultline's page ledger hangs on that
 *
 * Every kernel returns a checksum that depends on its parameters and inputs
 * and on nothing else: not on the strategy, the addresses or the mode.
 */
#ifndef FL_KERNEL_H
#define FL_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "faultline/strategy.h"

enum fl_residence { FL_REGISTER, FL_MEMORY };

enum fl_mode { FL_TIMED, FL_PLANTED, FL_VERIFY, FL_LATENCY, FL_ACCOUNT };

/* The kernel "unroll": how many sites there are in a turn of its loop. */
#define FL_UNROLL_SITES	8u

/*
 * The kernel "sites": how many there are, and how large the objects are that
 * have the first word @word: 16 to 88 bytes, 32.5 on average, and 520 for any 16
 * in a row, so that blocks end at different sites.
 */
#define FL_NR_SITES	256u

fl_hot uint32_t fl_sites_bytes(uint64_t word)
{
	return (uint32_t)(0x4b32452384262342u >> (word % 16 * 4) & 15) * 8;
}

/*
 * The kernel "runs": so many objects are one run, of so many bytes in all; the
 * object that has the first word @word is this large.
 */
#define FL_RUNS_OBJECTS	4u
#define FL_RUNS_BYTES	128u
#define FL_RUNS_0	48
#define FL_RUNS_1	16
#define FL_RUNS_2	24
#define FL_RUNS_3	40

fl_hot uint32_t fl_runs_bytes(uint64_t word)
{
	return word % 4 == 0 ? FL_RUNS_0 : word % 4 == 1 ? FL_RUNS_1 :
	       word % 4 == 2 ? FL_RUNS_2 : FL_RUNS_3;
}

/* One logged object of a verify run. */
struct fl_logged {
	char *object;
	uint64_t bytes;		/* as asked for */
	uint64_t used;		/* of these the kernel wrote itself */
	uint64_t first_word;
	uint32_t prev;		/* index of the region's previous entry, + 1 */
};

/* Where single durations go.  Implemented by the harness. */
struct fl_latency_sink {
	void (*add)(struct fl_latency_sink *sink, uint64_t ticks);
};

/*
 * What latency mode times: only the allocations that are due, so that the program
 * between two of them runs as fast as in a timed batch.  Implemented by the harness
 * (harness/watch.h).
 */
struct fl_slow_watch {
	const uint64_t *due;	/* numbers of allocations, ascending, and then
				   UINT64_MAX */
	uint64_t nr_allocs;	/* of the batch so far; written by the kernel */
	/* Allocation @nr took the slow path, in @ticks if it was @timed. */
	void (*slow)(struct fl_slow_watch *watch, uint64_t nr, bool timed,
		     uint64_t ticks);
};

/*
 * Whom account mode tells of each event, when it is over.  No kernel holds a copy
 * of a cursor then.  Implemented by the harness.
 */
struct fl_event_sink {
	/* An object of @bytes, as asked for, in the region of sink->slot. */
	void (*object)(struct fl_event_sink *sink, char *object, uint64_t bytes);
	void (*created)(struct fl_event_sink *sink, uint32_t slot);
	/* Reset or destroyed: the objects of @slot are dead. */
	void (*died)(struct fl_event_sink *sink, uint32_t slot);
	uint32_t slot;		/* written by the kernel; 0 where there is but
				   one region */
};

/*
 * A batch.  Input arrays are owned by the caller, read-only, and valid
 * throughout.
 */
struct fl_batch {
	struct fl_heap *heap;
	struct fl_region *region;	/* empty; kernels that make their own
					   regions ignore it */
	uint64_t nr_lifetimes;		/* region lifetimes, or passes */
	uint64_t nr_objects;		/* per lifetime */
	const uint16_t *sizes16;	/* mix, sites, runs: nr_sizes sizes, a power
					   of two */
	const uint32_t *sizes32;	/* straddle: the same */
	uint64_t nr_sizes;
	const uint32_t *program;	/* nest, replay: see faultline/program.h */
	uint64_t nr_words;
	uint32_t nr_slots;		/* region slots the program uses */
	struct fl_region **slots;	/* nr_slots entries, caller-owned */
	struct fl_slot_state *states;	/* nr_slots entries, caller-owned */
	struct fl_logged *log;		/* verify: room for every object alive */
	uint64_t nr_log;
	struct fl_slow_watch *watch;	/* latency */
	struct fl_event_sink *events;	/* account */
};

/* What a kernel keeps per region slot between two visits; zero when new. */
struct fl_slot_state {
	char *last;		/* newest object, or NULL */
	uint32_t log_head;	/* verify: newest entry of the region, + 1 */
};

struct fl_batch_result {
	uint64_t checksum;
	uint64_t nr_allocs;
	uint64_t nr_events;	/* replay: allocs, creates, resets, destroys */
	int error;		/* 0, or -errno from region->error or a hook */
};

/*
 * One compiled instance.  @run returns 0, or -EILSEQ when verify mode found an
 * object whose contents had changed.  Cost: the batch.  Context: the heap's
 * thread.
 */
struct fl_kernel {
	const char *name;
	uint32_t object_bytes;		/* fixed-size kernels; 0 otherwise */
	enum fl_residence residence;
	enum fl_mode mode;
	int (*run)(const struct fl_batch *batch, struct fl_batch_result *result);
};

#endif

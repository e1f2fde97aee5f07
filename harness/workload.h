/* SPDX-License-Identifier: MIT */
/*
 * harness/workload.h: what a run allocates: kernel, sizes, lifetimes, batches.
 *
 * A "lifetime" is what a region goes through between two resets; for programs,
 * generated and replayed, one pass.  For constant sizes the objects of a lifetime
 * fill a whole number of blocks; for mix, sites and straddle they are whole
 * rounds of the size table.  So every arm of an experiment, whatever its own idea of a
 * block, runs the same operations, and a block strategy switches blocks the same
 * whole number of times in every lifetime.
 *
 * Everything is made before anything is timed, from a seed that is recorded.
 * Context: cold.
 */
#ifndef FL_WORKLOAD_H
#define FL_WORKLOAD_H

#include "faultline/kernel.h"
#include "harness/complain.h"
#include "harness/trace.h"

/* What the user asks for.  Zero means: the kernel's default. */
struct fl_workload_spec {
	const char *kernel;		/* "fill", ... */
	uint32_t object_bytes;		/* fill: 16, 32, 64, 128; unroll */
	uint64_t block_bytes;		/* what a block is in this experiment */
	uint64_t lifetime_bytes;	/* at least one block */
	uint64_t nr_ops;		/* allocations to time, at least */
	uint64_t seed;
	const char *trace;		/* replay: path */
};

struct fl_workload {
	struct fl_workload_spec spec;	/* with defaults filled in */
	uint64_t nr_objects;		/* per lifetime */
	uint64_t lifetime_bytes;	/* per lifetime, rounded sizes */
	uint64_t region_bytes_max;	/* most one region's lifetime holds */
	uint64_t object_bytes_max;
	uint32_t nr_regions_max;
	uint64_t nr_lifetimes;		/* to reach nr_ops */
	uint64_t nr_log;		/* verify: objects alive at once */
	uint16_t *sizes16;		/* mix, sites */
	uint32_t *sizes32;		/* straddle */
	uint64_t nr_sizes;
	uint32_t *program;		/* generated: own; replay: the trace's */
	uint64_t nr_words;
	uint64_t nr_events;		/* per pass of the program */
	struct fl_trace trace;		/* replay */
	struct fl_region **slots;	/* scratch for the program kernels */
	struct fl_slot_state *states;
};

/*
 * fl_workload_make: Returns 0, or -errno with a complaint: -EINVAL (unknown
 * kernel, a size it does not come in, a lifetime below one block), -ENOMEM, or
 * what fl_trace_read says.
 */
int fl_workload_make(const struct fl_workload_spec *spec,
		     struct fl_workload *workload, struct fl_complaint *why);
void fl_workload_free(struct fl_workload *workload);

/* The sites of a turn, of which a lifetime has whole ones: 1 but for some. */
uint64_t fl_workload_turn(const char *kernel);

/*
 * fl_workload_code: The kernel of the modules that runs @kernel: itself, but for
 * generated programs (harness/programs.h), which share one.
 */
const char *fl_workload_code(const char *kernel);

/* Do kernels of this workload make their own regions? */
int fl_workload_is_program(const struct fl_workload *workload);

/*
 * fl_workload_batch: A batch of @nr_lifetimes over @heap.  @region is ignored
 * by program kernels.  Clears the scratch.
 */
void fl_workload_batch(struct fl_workload *workload, struct fl_heap *heap,
		       struct fl_region *region, uint64_t nr_lifetimes,
		       struct fl_batch *batch);

/* What strategies are told when they open (values and cpu are the caller's). */
void fl_workload_open_args(const struct fl_workload *workload,
			   struct fl_open_args *args);

/* What a kernel is for, one line, for `faultline list`; NULL if unknown. */
const char *fl_workload_describe(const char *kernel);

#endif

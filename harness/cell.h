/* SPDX-License-Identifier: MIT */
/*
 * harness/cell.h: run one cell, that is one strategy on one workload, in this
 * process, and say everything that was seen.
 *
 * Order of a timed run: reference checksums from the oracle; a verify batch
 * that reads every object back; a warm-up; the timed batches; a latency batch;
 * the floor; a census.  A sample fails, with the reason, when a checksum
 * differs, memory was exhausted, or the slow path did not run as often as the
 * workload implies.
 *
 * Context: cold; pins the calling thread; one cell per process.
 */
#ifndef FL_CELL_H
#define FL_CELL_H

#include <stdbool.h>

#include "harness/complain.h"
#include "harness/module_load.h"
#include "harness/sample.h"
#include "harness/workload.h"

/* What a timed lifetime finds resident; docs/measurement.md, "Warm and fresh". */
enum fl_fresh {
	FL_WARM,		/* what two lifetimes before it left */
	FL_FRESH,		/* of objects nothing: before each, untimed, the region
				   is destroyed and the heap trimmed; needs trim() */
	FL_FRESH_HEAP,		/* nothing at all: each has a heap of its own, and
				   is timed from opening it to having closed it */
};

struct fl_cell {
	const struct fl_module *module;
	const uint64_t *values;		/* tunables */
	struct fl_workload_spec workload;
	enum fl_residence residence;
	bool planted;			/* the known slowdown; fill 16 only */
	enum fl_fresh fresh;
	bool account;			/* page census instead of timing */
	uint64_t latency_events;	/* slow paths to time one by one */
	int cpu;			/* to run on */
	const struct fl_clock *clock;	/* calibrated already, or NULL */
	double probe_ns;		/* as fl_quiet_init's known_ns */
};

/*
 * fl_cell_run: Returns 0 with @sample filled in, whatever became of it, or -errno
 * with a complaint when the cell itself makes no sense (an unknown kernel, a bad
 * trace).  End with fl_sample_end, either way.
 */
int fl_cell_run(const struct fl_cell *cell, struct fl_sample *sample,
		struct fl_complaint *why);

#endif

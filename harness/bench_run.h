/* SPDX-License-Identifier: MIT */
/*
 * harness/bench_run.h: run one bench once, in this process, and say everything
 * that was seen.
 *
 * A sample fails, with the reason, when the bench says so, when it did not do the
 * ops it was asked for or not time them one by one, or did not meter its stretch.
 *
 * Context: cold; pins the calling thread; one bench per process.
 */
#ifndef FL_BENCH_RUN_H
#define FL_BENCH_RUN_H

#include <stdbool.h>

#include "harness/complain.h"
#include "harness/module_load.h"
#include "harness/sample.h"

struct fl_bench_spec {
	const struct fl_module *module;	/* a bench */
	const uint64_t *values;		/* tunables */
	uint64_t nr_ops, nr_single, seed;
	int cpu;			/* to run on */
	bool planted;
	const struct fl_clock *clock;	/* calibrated already, or NULL */
	double probe_ns;		/* as fl_quiet_init's known_ns */
};

/*
 * fl_bench_run: Returns 0 with @sample filled in, whatever became of it, or -errno
 * with a complaint.  End with fl_sample_end, either way.
 * @own: out, FL_BENCH_METRICS_MAX: the bench's own metrics, NaN where it has none.
 */
int fl_bench_run(const struct fl_bench_spec *spec, struct fl_sample *sample,
		 double *own, struct fl_complaint *why);

#endif

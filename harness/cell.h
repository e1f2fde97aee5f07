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

#include <jansson.h>

#include "harness/complain.h"
#include "harness/hist.h"
#include "harness/metrics.h"
#include "harness/module_load.h"
#include "harness/workload.h"

enum fl_status { FL_OK, FL_FAILED, FL_UNSUPPORTED };

struct fl_cell {
	const struct fl_module *module;
	const uint64_t *values;		/* tunables */
	struct fl_workload_spec workload;
	enum fl_residence residence;
	bool planted;			/* the known slowdown; fill 16 only */
	bool fresh;			/* first touch: the region is destroyed and
					   the heap trimmed before every
					   lifetime, untimed; needs trim() */
	bool account;			/* page census instead of timing */
	uint64_t latency_events;	/* slow paths to time one by one */
	int cpu;			/* to run on */
};

struct fl_cell_result {
	enum fl_status status;
	struct fl_complaint reason;	/* when not ok */
	json_t *json;			/* the line of results/SCHEMA.md */
	double value[FL_NR_METRICS];	/* NaN: not available */
	struct fl_hist *slow;		/* latency of the slow path */
};

/*
 * fl_cell_run: Returns 0 with @result filled in, whatever became of the sample,
 * or -errno with a complaint when the cell itself makes no sense (an unknown
 * kernel, a bad trace).  Free with fl_cell_result_free.
 */
int fl_cell_run(const struct fl_cell *cell, struct fl_cell_result *result,
		struct fl_complaint *why);
void fl_cell_result_free(struct fl_cell_result *result);

const char *fl_metric_name(enum fl_metric metric);
const char *fl_metric_unit(enum fl_metric metric);
const char *fl_metric_definition(enum fl_metric metric);
const char *fl_status_name(enum fl_status status);

#endif

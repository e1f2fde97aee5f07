/* SPDX-License-Identifier: MIT */
/*
 * harness/sample.h: what a process that measured says about it, whatever it was:
 * a strategy on a workload (harness/cell.h) or a bench (harness/bench_run.h).
 *
 * Vocabulary: a sample's "slow" values are what it timed one by one: the slow
 * paths of a strategy, the ops of a bench.
 *
 * Context: cold; one thread, pinned by fl_sample_begin; one sample per process.
 */
#ifndef FL_SAMPLE_H
#define FL_SAMPLE_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "harness/clock.h"
#include "harness/complain.h"
#include "harness/counters.h"
#include "harness/hist.h"
#include "harness/metrics.h"
#include "harness/quiet.h"
#include "harness/tunables.h"

enum fl_status { FL_OK, FL_FAILED, FL_UNSUPPORTED };

struct fl_sample {
	enum fl_status status;
	struct fl_complaint reason;	/* when not ok */
	double value[FL_NR_METRICS];	/* NaN: not available */
	const char *lacks[FL_NR_METRICS];	/* why a NaN is one */
	struct fl_hist *slow;
	struct fl_clock clock;
	struct fl_quiet quiet;
	struct fl_counts counts;	/* sums over what was metered */
	bool counted;			/* was anything? */
	json_t *json;			/* the line of results/SCHEMA.md, when
					   fl_sample_json has made it */
};

/*
 * fl_sample_begin: Pin the thread to @cpu, calibrate the clock, probe for
 * neighbours, and have nothing yet.
 * @known:    a calibration to use instead, while it holds, or NULL.
 * @probe_ns: as fl_quiet_init's @known_ns.
 * Returns 0, or -errno with a complaint.  End with fl_sample_end, either way.
 * Cost: 25 ms; 1 ms with @known.
 */
int fl_sample_begin(struct fl_sample *sample, int cpu,
		    const struct fl_clock *known, double probe_ns,
		    struct fl_complaint *why);
void fl_sample_end(struct fl_sample *sample);

/*
 * fl_sample_fail: The sample is no good, for this reason; the first one stays.
 * fl_sample_refuse: This host cannot do it.  Both return -ECANCELED.
 */
int fl_sample_fail(struct fl_sample *sample, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int fl_sample_refuse(struct fl_sample *sample, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* fl_sample_count: Add to what was counted before. */
void fl_sample_count(struct fl_sample *sample, const struct fl_counts *more);

/* fl_sample_quiet: Set the metrics that tell of neighbours. */
void fl_sample_quiet(struct fl_sample *sample);

/*
 * fl_sample_slow: Set the slow_ metrics from the histogram.  A percentile is
 * there when enough values lie beyond it, all of them only when the clock
 * resolves their median.  @wanted: was anything to be timed one by one?
 */
void fl_sample_slow(struct fl_sample *sample, bool wanted);

/*
 * fl_sample_json: Make sample->json: status first, then what only the caller
 * knows, then the metrics @of its kind of sample, flags, latency and clock.
 * @own: stolen.  Returns 0 or -ENOMEM.
 */
int fl_sample_json(struct fl_sample *sample, enum fl_metric_of of, json_t *own);

/* fl_settings_json: Every tunable and its value, as strings. */
json_t *fl_settings_json(const struct fl_tunables *tunables,
			 const uint64_t *values);

/*
 * fl_sample_add: One metric more; for NaN null, and @lacks among @unavailable.
 * They are the objects of these names in sample->json.
 */
void fl_sample_add(json_t *metrics, json_t *unavailable, const char *name,
		   double value, const char *lacks);

/*
 * For people: its settings, on the line that began; why it is not ok, if it is
 * not (the answer); one metric, a line, if it is there.  For programs: the line.
 */
void fl_sample_print_settings(const struct fl_sample *sample);
bool fl_sample_print_reason(const struct fl_sample *sample);
void fl_sample_print(const struct fl_sample *sample, enum fl_metric metric,
		     const char *label);
void fl_number_print(const char *label, double value, const char *unit);
void fl_sample_print_json(const struct fl_sample *sample);

/* fl_sample_exit: The command's exit status for it. */
int fl_sample_exit(const struct fl_sample *sample);

const char *fl_status_name(enum fl_status status);

#endif

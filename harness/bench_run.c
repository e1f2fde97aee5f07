/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "harness/bench_run.h"

/* The bench's meter: it feeds the counters of the sample. */
struct meter {
	struct fl_bench_meter base;	/* first: start() and stop() cast back */
	struct fl_counters *counters;
	struct fl_sample *sample;
	uint64_t nr_starts, nr_stops;
};

static void meter_start(struct fl_bench_meter *base)
{
	struct meter *meter = (struct meter *)base;

	meter->nr_starts++;
	fl_counters_start(meter->counters);
}

static void meter_stop(struct fl_bench_meter *base)
{
	struct meter *meter = (struct meter *)base;

	fl_sample_stop(meter->sample, meter->counters);
	meter->nr_stops++;
}

/* Did it do what it was asked?  What it counted itself is its own to judge. */
static int judge(const struct fl_bench_spec *spec, struct fl_sample *sample,
		 const struct fl_bench_result *result, const struct meter *meter,
		 uint64_t nr_single)
{
	if (result->nr_ops != spec->nr_ops || !result->ticks)
		return fl_sample_fail(sample,
			"the bench timed %" PRIu64 " of %" PRIu64
			" ops, in %" PRIu64 " ticks", result->nr_ops,
			spec->nr_ops, result->ticks);
	if (!meter->nr_starts || meter->nr_starts != meter->nr_stops)
		return fl_sample_fail(sample,
			"the bench metered its stretch with %" PRIu64
			" starts and %" PRIu64 " stops: call fl_bench_begin() and fl_bench_end()",
			meter->nr_starts, meter->nr_stops);
	if (nr_single != spec->nr_single)
		return fl_sample_fail(sample,
			"the bench timed %" PRIu64 " of %" PRIu64
			" ops one by one", nr_single, spec->nr_single);
	return 0;
}

static void measure(const struct fl_bench_spec *spec, struct fl_sample *sample,
		    double *own)
{
	const struct fl_bench *bench = spec->module->bench;
	struct meter meter = { .base = { meter_start, meter_stop },
			       .sample = sample };
	struct fl_bench_result result = { 0 };
	struct fl_hist_sink sink;
	const struct fl_bench_args args = {
		.values = spec->values, .nr_ops = spec->nr_ops,
		.nr_single = spec->nr_single, .seed = spec->seed,
		.cpu = spec->cpu, .planted = spec->planted,
		.latency = spec->nr_single ? &sink.base : NULL,
		.meter = &meter.base,
	};
	char reason[512] = "";
	int err;

	if (bench->probe && bench->probe(spec->values, reason, sizeof(reason))) {
		fl_sample_refuse(sample, "%s", reason);
		return;
	}
	err = fl_hist_sink_init(&sink, sample->slow, sample->clock.ns_per_tick);
	if (!err)
		err = fl_counters_open(&meter.counters, FL_COUNT_THREAD,
				       spec->cpu);
	if (err) {
		fl_sample_fail(sample, "counters: %s", strerror(-err));
		return;
	}
	for (size_t i = 0; i < FL_BENCH_METRICS_MAX; i++)
		result.values[i] = NAN;
	err = bench->run(&args, &result, reason, sizeof(reason));
	fl_counters_close(meter.counters);
	if (err)
		err = fl_sample_fail(sample, "%s", *reason ? reason :
				     strerror(-err));
	else
		err = judge(spec, sample, &result, &meter,
			    sample->slow->nr_values + sink.nr_backwards);
	if (err)
		return;
	sample->value[FL_METRIC_op_ns] =
		fl_clock_ns(&sample->clock, result.ticks) /
		(double)result.nr_ops;
	sample->value[FL_METRIC_nr_ops] = (double)result.nr_ops;
	fl_sample_slow(sample, spec->nr_single);
	memcpy(own, result.values, bench->nr_metrics * sizeof(*own));
}

/* What results/SCHEMA.md says of a bench alone. */
static json_t *own_json(const struct fl_bench_spec *spec)
{
	const struct fl_bench *bench = spec->module->bench;

	return json_pack("{s:s, s:s, s:o, s:s, s:s, s:I, s:i}",
		"bench", bench->name,
		"op", bench->op,
		"settings", fl_settings_json(&spec->module->tunables,
					     spec->values),
		"compiler", bench->compiler,
		"mode", spec->planted ? "planted" : "timed",
		"seed", (json_int_t)spec->seed,
		"cpu", spec->cpu);
}

int fl_bench_run(const struct fl_bench_spec *spec, struct fl_sample *sample,
		 double *own, struct fl_complaint *why)
{
	const struct fl_bench *bench = spec->module->bench;
	int err = fl_sample_begin(sample, spec->cpu, why);

	if (err)
		return err;
	for (size_t i = 0; i < FL_BENCH_METRICS_MAX; i++)
		own[i] = NAN;
	measure(spec, sample, own);
	err = fl_sample_json(sample, FL_OF_BENCH, own_json(spec));
	if (err)
		return fl_complain(why, err, "%s", strerror(-err));
	for (size_t i = 0; i < bench->nr_metrics; i++)
		fl_sample_add(json_object_get(sample->json, "metrics"),
			      json_object_get(sample->json, "unavailable"),
			      bench->metrics[i].name, own[i],
			      sample->status == FL_OK ?
			      "the bench does not tell" :
			      "the sample did not succeed");
	return 0;
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/bench_run.h"

/*
 * The bench's meter: it feeds the counters of the sample, and judges pieces.  What
 * is timed one by one is held back until its piece has been judged.
 */
struct meter {
	struct fl_bench_meter base;	/* first: its hooks cast back */
	struct fl_counters *counters;
	struct fl_sample *sample;
	uint64_t nr_starts, nr_stops;
	bool open;			/* a piece has begun and not ended */
	uint64_t nr_faulty;		/* begins and ends out of turn */
	uint64_t ticks, nr_ops;		/* of all pieces */
	uint64_t kept_ticks, nr_kept_ops;
	uint64_t nr_single;		/* asked for */
	uint64_t nr_again;		/* and asked for anew, of those dropped */
	struct fl_hist piece;		/* what was timed one by one in it */
	struct fl_hist dropped;		/* in pieces that were thrown away */
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
	struct fl_counts counts;

	fl_counters_stop(meter->counters, &counts);
	fl_sample_count(meter->sample, &counts);
	meter->nr_stops++;
}

static void take_singles(struct meter *meter, bool keep)
{
	if (!meter->piece.nr_values)
		return;
	fl_hist_merge(keep ? meter->sample->slow : &meter->dropped,
		      &meter->piece);
	fl_hist_reset(&meter->piece);
}

static void meter_begin(struct fl_bench_meter *base)
{
	struct meter *meter = (struct meter *)base;

	meter->nr_faulty += meter->open;
	meter->open = true;
	take_singles(meter, true);
	fl_quiet_begin(&meter->sample->quiet);
}

static void meter_end(struct fl_bench_meter *base, uint64_t ticks,
		      uint64_t nr_ops)
{
	struct meter *meter = (struct meter *)base;
	const bool keep = fl_quiet_end(&meter->sample->quiet,
				fl_clock_ns(&meter->sample->clock, ticks));

	meter->nr_faulty += !meter->open;
	meter->open = false;
	take_singles(meter, keep);
	if (!nr_ops)
		return;
	meter->ticks += ticks;
	meter->nr_ops += nr_ops;
	if (keep) {
		meter->kept_ticks += ticks;
		meter->nr_kept_ops += nr_ops;
	}
}

static uint64_t meter_again(struct fl_bench_meter *base)
{
	struct meter *meter = (struct meter *)base;
	uint64_t more = meter->dropped.nr_values - meter->nr_again;

	if (more > meter->nr_single - meter->nr_again)
		more = meter->nr_single - meter->nr_again;
	meter->nr_again += more;
	return more;
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
	if (meter->open || meter->nr_faulty || meter->nr_ops < spec->nr_ops)
		return fl_sample_fail(sample,
			"the bench timed %" PRIu64 " of %" PRIu64
			" ops in pieces, of which %" PRIu64
			" began or ended out of turn: call fl_bench_piece_begin() and fl_bench_piece_end()",
			meter->nr_ops, spec->nr_ops,
			meter->nr_faulty + meter->open);
	if (nr_single != spec->nr_single + meter->nr_again)
		return fl_sample_fail(sample,
			"the bench timed %" PRIu64 " of %" PRIu64
			" ops one by one", nr_single,
			spec->nr_single + meter->nr_again);
	return 0;
}

/*
 * What is told is told of quiet pieces.  When most were not, it is told of all, and
 * the sample is flagged.
 */
static void settle(const struct fl_bench_spec *spec, struct fl_sample *sample,
		   struct meter *meter)
{
	struct fl_quiet *quiet = &sample->quiet;

	if (2 * meter->nr_kept_ops < meter->nr_ops ||
	    sample->slow->nr_values < meter->dropped.nr_values) {
		meter->kept_ticks = meter->ticks;
		meter->nr_kept_ops = meter->nr_ops;
		fl_hist_merge(sample->slow, &meter->dropped);
		quiet->nr_disturbed += quiet->nr_dropped;
		quiet->nr_dropped = 0;
	}
	sample->value[FL_METRIC_op_ns] =
		fl_clock_ns(&sample->clock, meter->kept_ticks) /
		(double)meter->nr_kept_ops;
	/* More work in pieces is more time for the same ops. */
	if (spec->planted)
		sample->value[FL_METRIC_op_ns] *= (double)meter->nr_ops /
						  (double)spec->nr_ops;
	sample->value[FL_METRIC_nr_ops] = (double)spec->nr_ops;
	fl_sample_slow(sample, spec->nr_single);
	fl_sample_quiet(sample);
}

/* Stays loaded: a process runs one bench. */
static const struct fl_strategy *find_strategy(const char *name, char *reason,
					       size_t reason_bytes)
{
	struct fl_module module;
	struct fl_complaint why;

	if (!fl_module_named(FL_MODULE_STRATEGY, name, &module, &why))
		return module.strategy;
	snprintf(reason, reason_bytes, "%s", why.text);
	return NULL;
}

static void measure(const struct fl_bench_spec *spec, struct fl_sample *sample,
		    struct meter *meter, double *own)
{
	const struct fl_bench *bench = spec->module->bench;
	struct fl_bench_result result = { 0 };
	struct fl_hist_sink sink;
	const struct fl_bench_args args = {
		.values = spec->values, .nr_ops = spec->nr_ops,
		.nr_single = spec->nr_single, .seed = spec->seed,
		.cpu = spec->cpu, .planted = spec->planted,
		.latency = spec->nr_single ? &sink.base : NULL,
		.meter = &meter->base, .strategy = find_strategy,
	};
	char reason[512] = "";
	int err;

	if (bench->probe && bench->probe(spec->values, reason, sizeof(reason))) {
		fl_sample_refuse(sample, "%s", reason);
		return;
	}
	err = fl_hist_sink_init(&sink, &meter->piece, sample->clock.ns_per_tick);
	if (!err)
		err = fl_counters_open(&meter->counters, FL_COUNT_THREAD,
				       spec->cpu);
	if (err) {
		fl_sample_fail(sample, "counters: %s", strerror(-err));
		return;
	}
	for (size_t i = 0; i < FL_BENCH_METRICS_MAX; i++)
		result.values[i] = NAN;
	err = bench->run(&args, &result, reason, sizeof(reason));
	fl_counters_close(meter->counters);
	take_singles(meter, true);
	if (err == -ENOTSUP) {
		fl_sample_refuse(sample, "%s", *reason ? reason :
				 strerror(-err));
		return;
	}
	if (err)
		err = fl_sample_fail(sample, "%s", *reason ? reason :
				     strerror(-err));
	else
		err = judge(spec, sample, &result, meter,
			    sample->slow->nr_values + meter->dropped.nr_values +
			    sink.nr_backwards);
	if (err)
		return;
	settle(spec, sample, meter);
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
	struct meter *meter = malloc(sizeof(*meter));
	int err;

	if (!meter)
		return fl_complain(why, -ENOMEM, "%s", strerror(ENOMEM));
	*meter = (struct meter){
		.base = { meter_start, meter_stop, meter_begin, meter_end, meter_again },
		.sample = sample, .nr_single = spec->nr_single,
	};
	fl_hist_reset(&meter->piece);
	fl_hist_reset(&meter->dropped);
	err = fl_sample_begin(sample, spec->cpu, spec->clock, spec->probe_ns, why);
	if (err) {
		free(meter);
		return err;
	}
	for (size_t i = 0; i < FL_BENCH_METRICS_MAX; i++)
		own[i] = NAN;
	measure(spec, sample, meter, own);
	free(meter);
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

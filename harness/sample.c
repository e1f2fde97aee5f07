/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/sample.h"
#include "vm/place.h"

/* Time the hypervisor may take from a sample before it is flagged, ms. */
#define STEAL_FLAG_MS		10u

/* A sample may wait so long for a neighbour to rest, and do work in vain. */
#define PATIENCE_NS		250e6

const char *fl_status_name(enum fl_status status)
{
	static const char *const names[] = {
		[FL_OK] = "ok", [FL_FAILED] = "failed",
		[FL_UNSUPPORTED] = "unsupported",
	};

	return names[status];
}

int fl_sample_exit(const struct fl_sample *sample)
{
	return sample->status == FL_OK ? FL_EXIT_OK :
	       sample->status == FL_UNSUPPORTED ? FL_EXIT_UNSUPPORTED :
						  FL_EXIT_FAILED;
}

int fl_sample_begin(struct fl_sample *sample, int cpu,
		    const struct fl_clock *known, double probe_ns,
		    struct fl_complaint *why)
{
	int err;

	*sample = (struct fl_sample){ .status = FL_OK };
	for (int m = 0; m < FL_NR_METRICS; m++) {
		sample->value[m] = NAN;
		sample->lacks[m] = "the kernel does not tell";
	}
	err = fl_place_pin(cpu);
	if (err)
		return fl_complain(why, err,
			"--cpu %d: %s: choose one this process may use",
			cpu, strerror(-err));
	err = known ? fl_clock_adopt(known, &sample->clock) : -ESTALE;
	if (err == -ESTALE)
		err = fl_clock_init(&sample->clock);
	if (err)
		return fl_complain(why, err, "clock: %s", strerror(-err));
	fl_quiet_init(&sample->quiet, &sample->clock, probe_ns, PATIENCE_NS);
	sample->value[FL_METRIC_clock_step_ns] = sample->clock.step_ns;
	sample->value[FL_METRIC_clock_pair_ns] = sample->clock.pair_p50_ns;
	sample->slow = malloc(sizeof(*sample->slow));
	if (!sample->slow)
		return fl_complain(why, -ENOMEM, "%s", strerror(ENOMEM));
	fl_hist_reset(sample->slow);
	return 0;
}

void fl_sample_end(struct fl_sample *sample)
{
	json_decref(sample->json);
	free(sample->slow);
	sample->json = NULL;
	sample->slow = NULL;
}

static void judge(struct fl_sample *sample, enum fl_status status,
		  const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

static void judge(struct fl_sample *sample, enum fl_status status,
		  const char *format, va_list args)
{
	if (sample->status != FL_OK)
		return;
	sample->status = status;
	vsnprintf(sample->reason.text, sizeof(sample->reason.text), format,
		  args);
}

int fl_sample_fail(struct fl_sample *sample, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	judge(sample, FL_FAILED, format, args);
	va_end(args);
	return -ECANCELED;
}

int fl_sample_refuse(struct fl_sample *sample, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	judge(sample, FL_UNSUPPORTED, format, args);
	va_end(args);
	return -ECANCELED;
}

void fl_sample_count(struct fl_sample *sample, const struct fl_counts *more)
{
	fl_counts_add(&sample->counts, more, !sample->counted);
	sample->counted = true;
}

void fl_sample_quiet(struct fl_sample *sample)
{
	sample->value[FL_METRIC_probe_ns] = sample->quiet.least_ns;
	sample->value[FL_METRIC_nr_dropped] = (double)sample->quiet.nr_dropped;
	sample->value[FL_METRIC_nr_disturbed] =
		(double)sample->quiet.nr_disturbed;
}

void fl_sample_slow(struct fl_sample *sample, bool wanted)
{
	static const struct {
		enum fl_metric metric;
		uint32_t ppm;
	} percentiles[] = {
		{ FL_METRIC_slow_p50_ns, 500000 },
		{ FL_METRIC_slow_p90_ns, 900000 },
		{ FL_METRIC_slow_p99_ns, 990000 },
		{ FL_METRIC_slow_p99_9_ns, 999000 },
		{ FL_METRIC_slow_p99_99_ns, 999900 },
	};
	const struct fl_hist *h = sample->slow;
	const char *lacks = "fewer than ten values lie beyond it";
	bool resolved = false;
	uint64_t ns;

	if (!wanted)
		lacks = "nothing was to be timed one by one";
	else if (!h->nr_values)
		lacks = "there was nothing to time one by one";
	else if (!fl_hist_percentile(h, 500000, &ns) &&
		 !fl_clock_resolves(&sample->clock, (double)ns))
		lacks = "shorter than ten steps of the clock";
	else
		resolved = true;
	for (size_t i = 0; i < sizeof(percentiles) / sizeof(*percentiles); i++) {
		const enum fl_metric m = percentiles[i].metric;

		sample->lacks[m] = lacks;
		if (resolved && fl_hist_nr_beyond(h, percentiles[i].ppm) >=
				FL_HIST_BEYOND_MIN &&
		    !fl_hist_percentile(h, percentiles[i].ppm, &ns))
			sample->value[m] = (double)ns;
	}
	sample->value[FL_METRIC_slow_n] = (double)h->nr_values;
	/* A mean over many is not held back by the clock's step. */
	sample->lacks[FL_METRIC_slow_mean_ns] = lacks;
	if (h->nr_values)
		sample->value[FL_METRIC_slow_mean_ns] = fl_hist_mean_ns(h);
	sample->lacks[FL_METRIC_slow_max_ns] = lacks;
	if (resolved)
		sample->value[FL_METRIC_slow_max_ns] = (double)h->max_ns;
}

/* A whole number as one. */
static json_t *number_json(double value)
{
	return value == floor(value) && fabs(value) < 1e15 ?
	       json_integer((json_int_t)value) : json_real(value);
}

json_t *fl_settings_json(const struct fl_tunables *tunables,
			 const uint64_t *values)
{
	json_t *settings = json_object();
	char text[64];

	for (size_t i = 0; i < tunables->nr; i++) {
		fl_tunable_format(&tunables->table[i], values[i], text,
				  sizeof(text));
		json_object_set_new(settings, tunables->table[i].name,
				    json_string(text));
	}
	return settings;
}

void fl_sample_add(json_t *metrics, json_t *unavailable, const char *name,
		   double value, const char *lacks)
{
	if (!isnan(value)) {
		json_object_set_new(metrics, name, number_json(value));
		return;
	}
	json_object_set_new(metrics, name, json_null());
	json_object_set_new(unavailable, name, json_string(lacks));
}

static void add_metrics(const struct fl_sample *sample, enum fl_metric_of of,
			json_t *metrics, json_t *unavailable)
{
	for (int m = 0; m < FL_NR_METRICS; m++)
		if (fl_metric_of((enum fl_metric)m) & of)
			fl_sample_add(metrics, unavailable,
				fl_metric_name((enum fl_metric)m),
				sample->value[m], sample->status == FL_OK ?
				sample->lacks[m] : "the sample did not succeed");
	for (int c = 0; c < FL_NR_COUNTERS; c++) {
		const struct fl_count *count = &sample->counts.count[c];

		fl_sample_add(metrics, unavailable,
			      fl_counter_name((enum fl_counter)c),
			      count->have ? (double)count->value : NAN,
			      *count->reason ? count->reason :
			      "nothing was timed");
	}
}

/* What disturbed it. */
static json_t *flags_json(const struct fl_sample *sample)
{
	const struct fl_count *moved =
		&sample->counts.count[FL_COUNTER_perf_migrations];
	const struct fl_count *steal =
		&sample->counts.count[FL_COUNTER_steal_ms];
	json_t *flags = json_array();

	if (moved->have && moved->value)
		json_array_append_new(flags, json_string("migrated"));
	if (steal->have && steal->value >= STEAL_FLAG_MS)
		json_array_append_new(flags, json_string("steal"));
	if (sample->quiet.nr_disturbed)
		json_array_append_new(flags, json_string("disturbed"));
	return flags;
}

int fl_sample_json(struct fl_sample *sample, enum fl_metric_of of, json_t *own)
{
	json_t *metrics = json_object(), *unavailable = json_object();
	json_t *slow = NULL, *measured;

	add_metrics(sample, of, metrics, unavailable);
	if (sample->slow->nr_values)
		fl_hist_to_json(sample->slow, &slow);
	sample->json = json_pack("{s:i, s:s, s:s?}", "schema", 1,
		"status", fl_status_name(sample->status), "reason",
		sample->status == FL_OK ? NULL : sample->reason.text);
	measured = json_pack("{s:o, s:o, s:o, s:o?, s:o}",
		"metrics", metrics, "unavailable", unavailable,
		"flags", flags_json(sample), "latency", slow,
		"clock", fl_clock_json(&sample->clock));
	if (json_object_update(sample->json, own) ||
	    json_object_update(sample->json, measured)) {
		json_decref(sample->json);
		sample->json = NULL;
	}
	json_decref(own);
	json_decref(measured);
	return sample->json ? 0 : -ENOMEM;
}

void fl_number_print(const char *label, double value, const char *unit)
{
	if (isnan(value))
		return;
	if (value == floor(value))
		printf("  %-26s %14.0f %s\n", label, value, unit);
	else
		printf("  %-26s %14.3f %s\n", label, value, unit);
}

void fl_sample_print(const struct fl_sample *sample, enum fl_metric metric,
		     const char *label)
{
	fl_number_print(label, sample->value[metric], fl_metric_unit(metric));
}

void fl_sample_print_settings(const struct fl_sample *sample)
{
	json_t *settings = json_object_get(sample->json, "settings"), *value;
	const char *key;

	json_object_foreach(settings, key, value)
		printf(" %s=%s", key, json_string_value(value));
}

bool fl_sample_print_reason(const struct fl_sample *sample)
{
	if (sample->status != FL_OK)
		printf("  %s: %s\n", sample->status == FL_UNSUPPORTED ?
		       "UNSUPPORTED" : "FAILED", sample->reason.text);
	return sample->status != FL_OK;
}

void fl_sample_print_json(const struct fl_sample *sample)
{
	json_dumpf(sample->json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
	putchar('\n');
}

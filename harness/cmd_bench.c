/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "harness/bench_run.h"
#include "harness/commands.h"
#include "harness/listing.h"
#include "vm/place.h"

/* Ops to time one by one: more than a minute of a microsecond each. */
#define SINGLE_MAX	((uint64_t)1 << 26)

enum {
	KEY_MODULE = 256, KEY_OPS, KEY_SINGLE, KEY_SEED, KEY_PLANTED, KEY_CPU,
	KEY_PROBE, KEY_CLOCK, KEY_JSON,
};

static const struct argp_option options[] = {
	{ "set", 's', "NAME=VALUE,...", 0, "tunables of the bench; `faultline list NAME` shows them", 1 },
	{ "ops", KEY_OPS, "N", 0, "ops to time in one stretch (what takes about 0.1 s)", 1 },
	{ "single", KEY_SINGLE, "N", 0, "ops to time one by one, after that (0)", 1 },
	{ "seed", KEY_SEED, "N", 0, "for whatever is random (1)", 1 },
	{ "planted", KEY_PLANTED, NULL, 0, "add a known slowdown", 1 },
	{ "module", KEY_MODULE, "FILE", 0, "load the bench from this file", 2 },
	{ "cpu", KEY_CPU, "N", 0, "pin to this CPU (the one we are on)", 2 },
	{ "probe-ns", KEY_PROBE, "NS", 0, "what the probe for a neighbour on our core takes while there is none (the least seen)", 2 },
	{ "clock", KEY_CLOCK, "WORD", 0, "the calibration of the clock that a campaign hands on (calibrate it)", 2 },
	{ "json", KEY_JSON, NULL, 0, "one JSON line, as results/SCHEMA.md says; without a name, the list", 2 },
	{ 0 },
};

struct arguments {
	struct fl_bench_spec spec;
	const char *name, *module_path, *settings;
	struct fl_clock clock;
	bool json;
};

static uint64_t number(const char *option, const char *text, uint64_t low,
		       uint64_t high, struct argp_state *state)
{
	uint64_t value = 0;

	if (fl_parse_bytes(text, &value) || value < low || value > high)
		argp_error(state, "--%s=%s: write a number from %" PRIu64
			   " to %" PRIu64 ", as 4096 or 64K", option, text, low,
			   high);
	return value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 's':
		if (a->settings)
			argp_error(state, "--set is given twice: say --set %s,%s",
				   a->settings, arg);
		a->settings = arg;
		break;
	case KEY_OPS:
		a->spec.nr_ops = number("ops", arg, 1, (uint64_t)1 << 40, state);
		break;
	case KEY_SINGLE:
		a->spec.nr_single = number("single", arg, 0, SINGLE_MAX, state);
		break;
	case KEY_SEED:
		a->spec.seed = number("seed", arg, 0, INT64_MAX, state);
		break;
	case KEY_PLANTED:
		a->spec.planted = true;
		break;
	case KEY_MODULE:
		a->module_path = arg;
		break;
	case KEY_CPU:
		a->spec.cpu = (int)number("cpu", arg, 0, INT32_MAX, state);
		break;
	case KEY_PROBE:
		a->spec.probe_ns = fl_parse_probe_ns(arg);
		if (!(a->spec.probe_ns > 0))
			argp_error(state, FL_PROBE_NS_REMEDY, arg);
		break;
	case KEY_CLOCK:
		if (fl_clock_read(arg, &a->clock))
			argp_error(state, FL_CLOCK_REMEDY, arg);
		a->spec.clock = &a->clock;
		break;
	case KEY_JSON:
		a->json = true;
		break;
	case ARGP_KEY_ARG:
		if (a->name)
			argp_error(state, "\"%s\": one bench at a time; a plan runs many (faultline campaign)",
				   arg);
		a->name = arg;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "[BENCH]",
	.doc = "Measure what is no strategy: a system call, a fault, pages given back; in "
	       "this process.  Without a name: show the benches and their tunables.\v"
	       "Sizes take K, M, G, T.  Exit status: 0; 1: the sample failed (what the "
	       "bench counted is not what its ops imply); 2: the command makes no sense; "
	       "77: this host cannot run it.",
};

static int list(bool json)
{
	json_t *benches = json ? json_array() : NULL;
	int status = fl_benches_list(true, benches);

	if (json) {
		json_dumpf(benches, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(benches);
	}
	return status;
}

static void print_human(const struct fl_bench *bench,
			const struct fl_sample *sample, const double *own)
{
	printf("%s", bench->name);
	fl_sample_print_settings(sample);
	printf("\n");
	if (fl_sample_print_reason(sample))
		return;
	printf("  %-26s %14.3f ns\n", "per op", sample->value[FL_METRIC_op_ns]);
	fl_sample_print(sample, FL_METRIC_nr_ops, "ops timed");
	if (sample->value[FL_METRIC_slow_n] > 0)
		fl_sample_print(sample, FL_METRIC_slow_n, "timed one by one");
	fl_sample_print(sample, FL_METRIC_slow_p50_ns, "p50");
	fl_sample_print(sample, FL_METRIC_slow_p90_ns, "p90");
	fl_sample_print(sample, FL_METRIC_slow_p99_ns, "p99");
	fl_sample_print(sample, FL_METRIC_slow_p99_9_ns, "p99.9");
	fl_sample_print(sample, FL_METRIC_slow_max_ns, "longest");
	for (size_t i = 0; i < bench->nr_metrics; i++)
		fl_number_print(bench->metrics[i].name, own[i],
				bench->metrics[i].unit);
}

int fl_cmd_bench(int argc, char **argv)
{
	struct arguments a = { .spec = { .cpu = fl_place_cpu(), .seed = 1 } };
	double own[FL_BENCH_METRICS_MAX];
	uint64_t values[FL_TUNABLES_MAX] = { 0 };
	struct fl_sample sample = { 0 };
	struct fl_complaint why = { "" };
	struct fl_module module = { 0 };
	int err, status = FL_EXIT_USAGE;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	if (!a.name && !a.module_path)
		return list(a.json);
	err = a.module_path ?
	      fl_module_load(FL_MODULE_BENCH, a.module_path, &module, &why) :
	      fl_module_named(FL_MODULE_BENCH, a.name, &module, &why);
	if (err)
		goto complain;
	fl_tunables_defaults(&module.tunables, values);
	err = fl_tunables_set(&module.tunables, a.settings, values, &why);
	if (err)
		goto complain;
	a.spec.module = &module;
	a.spec.values = values;
	if (!a.spec.nr_ops)
		a.spec.nr_ops = module.bench->ops_default;
	err = fl_bench_run(&a.spec, &sample, own, &why);
	if (err)
		goto complain;
	if (a.json)
		fl_sample_print_json(&sample);
	else
		print_human(module.bench, &sample, own);
	status = fl_sample_exit(&sample);
	goto out;

complain:
	fl_complaint_print(&why, err);
out:
	fl_sample_end(&sample);
	fl_module_unload(&module);
	return status;
}

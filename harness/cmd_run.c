/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/cell.h"
#include "harness/commands.h"
#include "vm/place.h"

enum {
	KEY_MODULE = 256, KEY_KERNEL, KEY_SIZE, KEY_RESIDENCE, KEY_BLOCK,
	KEY_LIFETIME, KEY_OPS, KEY_SEED, KEY_TRACE, KEY_PLANTED, KEY_FRESH,
	KEY_ACCOUNT, KEY_LATENCY, KEY_CPU, KEY_PROBE, KEY_CLOCK, KEY_JSON,
};

static const struct argp_option options[] = {
	{ "kernel", KEY_KERNEL, "NAME", 0, "what to allocate (fill); `faultline list` shows them", 1 },
	{ "size", KEY_SIZE, "BYTES", 0, "fill: size of an object: 16, 32, 64 or 128 (16)", 1 },
	{ "block", KEY_BLOCK, "BYTES", 0, "what a block is; sets the strategy's tunable \"block\" too, if it has one (the tunable's value, or 64K)", 1 },
	{ "lifetime", KEY_LIFETIME, "BYTES", 0, "bytes a region allocates between two resets, or Nx for N blocks (16x)", 1 },
	{ "trace", KEY_TRACE, "FILE", 0, "replay: the trace", 1 },
	{ "residence", KEY_RESIDENCE, "register|memory", 0, "where the cursor lives (register)", 1 },
	{ "ops", KEY_OPS, "N", 0, "allocations to time, at least (16M)", 1 },
	{ "seed", KEY_SEED, "N", 0, "for the sizes (1)", 1 },
	{ "set", 's', "NAME=VALUE,...", 0, "tunables of the strategy; `faultline list NAME` shows them", 2 },
	{ "module", KEY_MODULE, "FILE", 0, "load the strategy from this file", 2 },
	{ "latency-events", KEY_LATENCY, "N", 0, "slow paths to time one by one (1000; 0: none)", 3 },
	{ "fresh", KEY_FRESH, "yes|heap", OPTION_ARG_OPTIONAL, "first touch: before each lifetime, untimed, give all pages back (yes); or time it in a heap of its own, from opening to closing (heap)", 3 },
	{ "account", KEY_ACCOUNT, NULL, 0, "count resident pages along the way, instead of timing", 3 },
	{ "planted", KEY_PLANTED, NULL, 0, "add a known slowdown to every allocation (fill, 16 bytes)", 3 },
	{ "cpu", KEY_CPU, "N", 0, "pin to this CPU (the one we are on)", 4 },
	{ "probe-ns", KEY_PROBE, "NS", 0, "what the probe for a neighbour on our core takes while there is none (the least seen)", 4 },
	{ "clock", KEY_CLOCK, "WORD", 0, "the calibration of the clock that a campaign hands on (calibrate it)", 4 },
	{ "json", KEY_JSON, NULL, 0, "one JSON line, as results/SCHEMA.md says", 4 },
	{ 0 },
};

struct arguments {
	struct fl_cell cell;
	const char *strategy, *module_path, *settings, *lifetime;
	struct fl_clock clock;
	bool json;
};

static uint64_t number(const char *option, const char *text,
		       struct argp_state *state)
{
	uint64_t value = 0;
	int err = fl_parse_bytes(text, &value);

	if (err)
		argp_error(state, "--%s=%s: %s", option, text,
			   err == -ERANGE ? "too large" :
			   "not a number; write 4096, 64K, 1M ...");
	return value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	struct fl_workload_spec *w = &a->cell.workload;
	uint64_t n;

	switch (key) {
	case KEY_KERNEL:
		w->kernel = arg;
		break;
	case KEY_SIZE:
		n = number("size", arg, state);
		w->object_bytes = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
		if (!n)
			argp_error(state, "--size=0: an object has at least 1 byte");
		break;
	case KEY_BLOCK:
		w->block_bytes = number("block", arg, state);
		if (!w->block_bytes)
			argp_error(state, "--block=0: must be from 4K to 1G");
		break;
	case KEY_LIFETIME:
		a->lifetime = arg;
		break;
	case KEY_OPS:
		w->nr_ops = number("ops", arg, state);
		if (!w->nr_ops)
			argp_error(state, "--ops=0: must be at least 1");
		break;
	case KEY_SEED:
		w->seed = number("seed", arg, state);
		break;
	case KEY_TRACE:
		w->trace = arg;
		break;
	case KEY_RESIDENCE:
		if (!strcmp(arg, "register"))
			a->cell.residence = FL_REGISTER;
		else if (!strcmp(arg, "memory"))
			a->cell.residence = FL_MEMORY;
		else
			argp_error(state, "--residence=%s: must be register or memory",
				   arg);
		break;
	case 's':
		if (a->settings)
			argp_error(state, "--set is given twice: say --set %s,%s",
				   a->settings, arg);
		a->settings = arg;
		break;
	case KEY_MODULE:
		a->module_path = arg;
		break;
	case KEY_LATENCY:
		a->cell.latency_events = number("latency-events", arg, state);
		break;
	case KEY_FRESH:
		if (!arg || !strcmp(arg, "yes"))
			a->cell.fresh = FL_FRESH;
		else if (!strcmp(arg, "heap"))
			a->cell.fresh = FL_FRESH_HEAP;
		else
			argp_error(state, "--fresh=%s: must be yes or heap", arg);
		break;
	case KEY_ACCOUNT:
		a->cell.account = true;
		break;
	case KEY_PLANTED:
		a->cell.planted = true;
		break;
	case KEY_CPU:
		n = number("cpu", arg, state);
		a->cell.cpu = n > INT32_MAX ? INT32_MAX : (int)n;
		break;
	case KEY_PROBE:
		a->cell.probe_ns = fl_parse_probe_ns(arg);
		if (!(a->cell.probe_ns > 0))
			argp_error(state, FL_PROBE_NS_REMEDY, arg);
		break;
	case KEY_CLOCK:
		if (fl_clock_read(arg, &a->clock))
			argp_error(state, FL_CLOCK_REMEDY, arg);
		a->cell.clock = &a->clock;
		break;
	case KEY_JSON:
		a->json = true;
		break;
	case ARGP_KEY_ARG:
		if (a->strategy)
			argp_error(state, "\"%s\": one strategy at a time; a plan runs many (faultline campaign)",
				   arg);
		a->strategy = arg;
		break;
	case ARGP_KEY_END:
		if (!a->strategy && !a->module_path)
			argp_error(state, "name a strategy; `faultline list` shows them");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "STRATEGY",
	.doc = "Measure one strategy on one workload, in this process.\v"
	       "Sizes take K, M, G, T.  Exit status: 0; 1: the sample failed (a wrong "
	       "checksum, memory exhausted, a slow path that did not run as often as "
	       "implied); 2: the command makes no sense; 77: this host cannot run it.",
};

/* Slow paths a latency batch may be asked for: its log is not bounded else. */
#define LATENCY_EVENTS_MAX	((uint64_t)1 << 20)

/* Options that are fine alone and make no sense together. */
static int check_options(const struct arguments *a, struct fl_complaint *why)
{
	const struct fl_cell *c = &a->cell;
	const struct fl_workload_spec *w = &c->workload;

	if (w->trace && strcmp(w->kernel, "replay"))
		return fl_complain(why, -EINVAL,
			"--trace is for --kernel replay, not %s", w->kernel);
	if (w->object_bytes && strcmp(w->kernel, "fill") &&
	    strcmp(w->kernel, "unroll") && strcmp(w->kernel, "empty") &&
	    !(!strcmp(w->kernel, "chain") && w->object_bytes == 16) &&
	    !(!strcmp(w->kernel, "tree") && w->object_bytes == 24))
		return fl_complain(why, -EINVAL,
			"--size is for --kernel fill and unroll, not %s", w->kernel);
	if (c->planted && (strcmp(w->kernel, "fill") ||
			   (w->object_bytes && w->object_bytes != 16)))
		return fl_complain(why, -EINVAL,
			"--planted exists for --kernel fill --size 16 only");
	if (c->account && (c->planted || c->fresh))
		return fl_complain(why, -EINVAL,
			"--account times nothing: leave out --planted and --fresh");
	if (c->latency_events > LATENCY_EVENTS_MAX)
		return fl_complain(why, -EINVAL,
			"--latency-events: at most %" PRIu64,
			LATENCY_EVENTS_MAX);
	return 0;
}

/* --lifetime: bytes, or a multiple of the block. */
static int resolve_lifetime(struct arguments *a, struct fl_complaint *why)
{
	struct fl_workload_spec *w = &a->cell.workload;
	const uint64_t block = w->block_bytes ? w->block_bytes : 64 << 10;
	char *end;

	if (!a->lifetime)
		return 0;
	errno = 0;
	w->lifetime_bytes = strtoull(a->lifetime, &end, 10);
	if (end != a->lifetime && !strcmp(end, "x") && *a->lifetime != '-' &&
	    !errno) {
		if (!w->lifetime_bytes ||
		    __builtin_mul_overflow(w->lifetime_bytes, block,
					   &w->lifetime_bytes))
			return fl_complain(why, -EINVAL,
				"--lifetime=%s: out of range", a->lifetime);
		return 0;
	}
	if (fl_parse_bytes(a->lifetime, &w->lifetime_bytes) ||
	    !w->lifetime_bytes)
		return fl_complain(why, -EINVAL,
			"--lifetime=%s: write bytes (1M) or blocks (16x)",
			a->lifetime);
	return 0;
}

/*
 * One idea of "block" for workload and strategy: --block sets both, and
 * without it the strategy's tunable is the workload's block.
 */
static int resolve_block(struct arguments *a,
			 const struct fl_tunables *tunables, uint64_t *values, struct fl_complaint *why)
{
	int i = fl_tunable_index(tunables, "block");
	char setting[64] = "block=";

	if (i < 0)
		return 0;
	if (!a->cell.workload.block_bytes) {
		a->cell.workload.block_bytes = values[i];
		return 0;
	}
	fl_format_bytes(a->cell.workload.block_bytes, setting + 6,
			sizeof(setting) - 6);
	return fl_tunables_set(tunables, setting, values, why);
}

static void print_human(const struct arguments *a, const struct fl_module *m,
			const struct fl_sample *r)
{
	const json_t *kernel = json_object_get(r->json, "kernel");
	const json_t *bytes = json_object_get(r->json, "object_bytes");

	printf("%s", m->strategy->name);
	fl_sample_print_settings(r);
	printf(": %s", json_string_value(kernel));
	if (json_integer_value(bytes))
		printf(" %d B", (int)json_integer_value(bytes));
	printf(", cursor in %s\n", json_string_value(
		       json_object_get(r->json, "residence")));
	if (fl_sample_print_reason(r))
		return;
	fl_sample_print(r, FL_METRIC_alloc_ns, "per allocation");
	fl_sample_print(r, FL_METRIC_floor_ns, "empty loop");
	if (a->cell.workload.trace) {
		fl_sample_print(r, FL_METRIC_event_ns, "per event");
		fl_sample_print(r, FL_METRIC_events_per_s, "events");
		fl_sample_print(r, FL_METRIC_trace_lines_per_s, "trace lines compiled");
	}
	fl_sample_print(r, FL_METRIC_nr_allocs, "allocations timed");
	fl_sample_print(r, FL_METRIC_nr_lifetimes, "lifetimes");
	fl_sample_print(r, FL_METRIC_lifetime_bytes, "bytes per lifetime");
	fl_sample_print(r, FL_METRIC_events, "slow paths");
	fl_sample_print(r, FL_METRIC_events_implied, "slow paths implied");
	fl_sample_print(r, FL_METRIC_slow_p50_ns, "slow path p50");
	fl_sample_print(r, FL_METRIC_slow_p99_ns, "slow path p99");
	fl_sample_print(r, FL_METRIC_slow_max_ns, "slow path longest");
	fl_sample_print(r, FL_METRIC_resident_pages, "resident");
	fl_sample_print(r, FL_METRIC_metadata_pages, "bookkeeping");
	fl_sample_print(r, FL_METRIC_vmas, "VMAs");
	fl_sample_print(r, FL_METRIC_page_table_bytes, "page tables");
}

int fl_cmd_run(int argc, char **argv)
{
	struct arguments a = {
		.cell = { .cpu = fl_place_cpu(), .latency_events = 1000,
			  .workload.kernel = "fill" },
	};
	uint64_t values[FL_TUNABLES_MAX] = { 0 };
	struct fl_sample sample = { 0 };
	struct fl_module module = { 0 };
	struct fl_complaint why = { "" };
	int err, status = FL_EXIT_USAGE;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	err = check_options(&a, &why);
	if (err)
		goto complain;
	err = a.module_path ? fl_module_load(FL_MODULE_STRATEGY, a.module_path,
					     &module, &why) :
			      fl_module_named(FL_MODULE_STRATEGY, a.strategy,
					      &module, &why);
	if (err)
		goto complain;
	fl_tunables_defaults(&module.tunables, values);
	err = fl_tunables_set(&module.tunables, a.settings, values, &why);
	if (!err)
		err = resolve_block(&a, &module.tunables, values, &why);
	if (!err)
		err = resolve_lifetime(&a, &why);
	if (err)
		goto complain;
	a.cell.module = &module;
	a.cell.values = values;
	err = fl_cell_run(&a.cell, &sample, &why);
	if (err)
		goto complain;
	if (a.json)
		fl_sample_print_json(&sample);
	else
		print_human(&a, &module, &sample);
	status = fl_sample_exit(&sample);
	goto out;

complain:
	fl_complaint_print(&why, err);
out:
	fl_sample_end(&sample);
	fl_module_unload(&module);
	return status;
}

/* SPDX-License-Identifier: MIT */
/*
 * giveback: what it costs to give pages back, or to have them come and go by other
 * means, by how many at a time and by which call; and what a second thread of the
 * process has to do with it.
 *
 * An op is one page.  Batches are timed by the section, 1,024 pages or a little less,
 * so that the clock weighs nothing; making the pages ready is not timed.  Timed one
 * by one is the batch, over its pages.  A section fails the sample if the kernel does
 * not say afterwards that the pages are what the operation makes of them.
 *
 *  method=loop   one call for each page
 *  method=range  one call for the batch, of neighbours
 *  method=batch  one process_madvise for the batch, of pages anywhere
 *  method=ring   the same by io_uring
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benches/giveback.h"
#include "vm/place.h"

#define WARM_PAGES	(4u * SLOTS_MAX)

/* As the harness: a percentile that fewer lie beyond is not told. */
#define BEYOND_MIN	10u

#define STRING(name)	#name,
static const char *const op_names[] = { OPS(STRING) NULL };
#define ADDRESS(name)	&giveback_##name,
static const struct op *const ops[] = { OPS(ADDRESS) };

static const char *const methods[] = { "loop", "range", "batch", "ring", NULL };
static const char *const layouts[] = { "contiguous", "scattered", NULL };
static const char *const others[] = { "none", "sleep", "run", "fault", NULL };

static const struct fl_tunable tunables[] = {
	[OP] = {
		.name = "op", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "what is done to the pages",
		.choices = op_names,
	},
	[METHOD] = {
		.name = "method", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "a call for each page, one ranged call, process_madvise, or "
			"io_uring",
		.choices = methods,
	},
	[BATCH] = {
		.name = "batch", .unit = "pages", .kind = FL_TUNABLE_COUNT,
		.help = "pages at a time",
		.def = 64, .min = 1, .max = SLOTS_MAX,
	},
	[LAYOUT] = {
		.name = "layout", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "neighbours, or every other page",
		.choices = layouts,
	},
	[OTHER] = {
		.name = "other", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "a second thread, on another CPU: none, one that sleeps, "
			"one that runs, one that takes page faults",
		.choices = others,
	},
};

enum { CALLS, OTHER_FAULTS, OTHER_P50, OTHER_P99 };

static const struct fl_bench_metric metrics[] = {
	[CALLS] = { "batches", "1", "batches in the stretch" },
	[OTHER_FAULTS] = {
		"other_faults", "1",
		"page faults that the second thread took during the timed sections",
	},
	[OTHER_P50] = {
		"other_fault_p50_ns", "ns",
		"what one of them took, on that thread, median",
	},
	[OTHER_P99] = { "other_fault_p99_ns", "ns", "99th percentile" },
};

/* One sample. */
struct work {
	const struct fl_bench_args *args;
	struct area area;
	struct faulter faulter;
	bool faults;			/* the other does, while we time */
	bool metered;			/* it is the stretch */
	uint64_t ticks, nr_batches;
};

static uint64_t nr_pages_of_section(const struct work *w)
{
	const uint64_t batch = w->args->values[BATCH];

	return SLOTS_MAX / batch * batch;
}

/* Batches of the first @nr slots, the last perhaps smaller. */
static int timed_batches(struct work *w, uint64_t nr)
{
	const uint64_t batch = w->args->values[BATCH];
	struct fl_bench_meter *meter = w->args->meter;
	uint64_t begin, ticks;
	int err = 0;

	if (w->metered)
		meter->begin(meter);
	begin = fl_ticks();
	for (uint64_t i = 0; i < nr && !err; i += batch) {
		err = area_batch(&w->area, i, nr - i < batch ? nr - i : batch);
		w->nr_batches++;
	}
	ticks = fl_ticks() - begin;
	if (w->metered)
		meter->end(meter, ticks, nr);
	w->ticks += ticks;
	return err;
}

static int single_batches(struct work *w, uint64_t nr)
{
	struct fl_latency_sink *latency = w->args->latency;
	const uint64_t batch = w->args->values[BATCH];
	struct fl_bench_meter *meter = w->args->meter;
	int err = 0;

	meter->begin(meter);
	for (uint64_t i = 0; i < nr && !err; i += batch) {
		uint64_t begin = fl_ticks();

		err = area_batch(&w->area, i, batch);
		latency->add(latency, (fl_ticks() - begin) / batch);
	}
	meter->end(meter, 0, 0);
	return err;
}

static int section(struct work *w, uint64_t nr, bool singly, char *reason,
		   size_t reason_bytes)
{
	int err = w->area.op->prepare(&w->area);

	if (!err && w->faults)
		err = faulter_begin(&w->faulter);
	if (err) {
		snprintf(reason, reason_bytes, "the pages cannot be made ready: %s",
			 strerror(-err));
		return err;
	}
	err = singly ? single_batches(w, nr) : timed_batches(w, nr);
	if (w->faults)
		faulter_end(&w->faulter);
	if (err) {
		snprintf(reason, reason_bytes, "%s by %s: %s",
			 op_names[w->args->values[OP]],
			 methods[w->args->values[METHOD]], strerror(-err));
		return err;
	}
	return w->area.op->check(&w->area, nr, reason, reason_bytes);
}

/* @nr pages in whole sections and a rest. */
static int sections(struct work *w, uint64_t nr, bool singly, char *reason,
		    size_t reason_bytes)
{
	const uint64_t most = nr_pages_of_section(w);
	int err = 0;

	while (nr && !err) {
		uint64_t n = nr < most ? nr : most;

		err = section(w, n, singly, reason, reason_bytes);
		nr -= n;
	}
	return err;
}

static int by_ticks(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/*
 * What the other saw.  @ns_per_tick by the same readings that the stretch took, so
 * that a module need not calibrate a clock.
 */
static int tell_faults(struct work *w, double ns_per_tick,
		       struct fl_bench_result *result, char *reason,
		       size_t reason_bytes)
{
	struct faulter *f = &w->faulter;
	const uint64_t nr = f->nr_kept;

	if (f->nr_kernel < f->nr_faults || !nr) {
		snprintf(reason, reason_bytes,
			 "the second thread touched %llu missing pages, but the kernel counted %llu faults and %llu ended in time",
			 (unsigned long long)f->nr_faults,
			 (unsigned long long)f->nr_kernel,
			 (unsigned long long)nr);
		return -EIO;
	}
	qsort(f->ticks, nr, sizeof(*f->ticks), by_ticks);
	result->values[OTHER_FAULTS] = (double)f->nr_faults;
	if (nr / 2 >= BEYOND_MIN)
		result->values[OTHER_P50] = ns_per_tick * f->ticks[nr / 2];
	if (nr / 100 >= BEYOND_MIN)
		result->values[OTHER_P99] =
			ns_per_tick * f->ticks[nr - 1 - nr / 100];
	return 0;
}

static int measure(struct work *w, struct fl_bench_result *result, char *reason,
		   size_t reason_bytes)
{
	const struct fl_bench_args *args = w->args;
	uint64_t raw_ns, begin;
	double ns_per_tick;
	int err = sections(w, WARM_PAGES, false, reason, reason_bytes);

	if (err)
		return err;
	w->ticks = w->nr_batches = 0;
	w->faults = args->values[OTHER] == OTHER_FAULT;
	w->metered = true;
	args->meter->start(args->meter);
	raw_ns = fl_ticks_raw_ns();
	begin = fl_ticks();
	err = sections(w, args->nr_ops + (args->planted ?
		       args->nr_ops / FL_BENCH_PLANTED_EVERY : 0), false, reason,
		       reason_bytes);
	ns_per_tick = (double)(fl_ticks_raw_ns() - raw_ns) /
		      (double)(fl_ticks() - begin);
	args->meter->stop(args->meter);
	if (!err && w->faults)
		err = tell_faults(w, ns_per_tick, result, reason, reason_bytes);
	if (err)
		return err;
	result->ticks = w->ticks;
	result->nr_ops = args->nr_ops;
	result->values[CALLS] = (double)w->nr_batches;
	for (uint64_t nr = args->nr_single; nr && !err; nr = fl_bench_again(args))
		err = sections(w, nr * args->values[BATCH], true, reason,
			       reason_bytes);
	return err;
}

static int start_other(struct work *w, struct companion *other)
{
	static const enum companion_kind kinds[] = {
		[OTHER_SLEEP] = COMPANION_SLEEPS, [OTHER_RUN] = COMPANION_RUNS,
		[OTHER_FAULT] = COMPANION_WORKS,
	};
	const uint64_t kind = w->args->values[OTHER];
	int err = 0;

	if (kind == OTHER_NONE)
		return 0;
	if (kind == OTHER_FAULT)
		err = faulter_open(&w->faulter);
	if (err)
		return err;
	*other = (struct companion){
		.kind = kinds[kind], .work = faulter_work, .argument = &w->faulter,
	};
	return companion_start(other, fl_place_other(w->args->cpu));
}

static int giveback_run(const struct fl_bench_args *args,
			struct fl_bench_result *result, char *reason,
			size_t reason_bytes)
{
	struct work w = {
		.args = args,
		.area = { .op = ops[args->values[OP]], .values = args->values },
	};
	struct companion other = { .kind = COMPANION_SLEEPS };
	int err = area_open(&w.area);

	if (err) {
		snprintf(reason, reason_bytes, "pages cannot be set up: %s",
			 strerror(-err));
		return err;
	}
	err = start_other(&w, &other);
	if (err)
		snprintf(reason, reason_bytes, "the second thread: %s",
			 strerror(-err));
	else
		err = measure(&w, result, reason, reason_bytes);
	companion_stop(&other);
	if (w.faulter.base)
		faulter_close(&w.faulter);
	area_close(&w.area);
	return err;
}

static int probe_settings(const uint64_t *values, char *reason,
			  size_t reason_bytes)
{
	const char *what = NULL;

	if (values[METHOD] == METHOD_RANGE && values[LAYOUT] == LAYOUT_SCATTERED)
		what = "one ranged call needs layout=contiguous";
	else if (values[METHOD] > METHOD_RANGE && !ops[values[OP]]->advises)
		what = "process_madvise and io_uring only do what madvise does: set method=loop or range";
	if (!what)
		return 0;
	snprintf(reason, reason_bytes, "%s", what);
	return -EINVAL;
}

/* Really tries it, on a page. */
static int giveback_probe(const uint64_t *values, char *reason,
			  size_t reason_bytes)
{
	const struct fl_bench_args args = { .values = values };
	struct work w = {
		.args = &args,
		.area = { .op = ops[values[OP]], .values = values },
	};
	int err = probe_settings(values, reason, reason_bytes);

	if (!err && values[OTHER] != OTHER_NONE)
		err = companion_probe("a second thread", reason, reason_bytes);
	if (err)
		return err;
	err = area_open(&w.area);
	if (err) {
		snprintf(reason, reason_bytes, "op=%s, method=%s: %s",
			 op_names[values[OP]], methods[values[METHOD]],
			 strerror(-err));
		return err;
	}
	err = section(&w, 1, false, reason, reason_bytes);
	area_close(&w.area);
	return err;
}

FL_BENCH(
	.name = "giveback",
	.summary = "pages given back, or made to come and go, by how many at a time",
	.op = "page",
	.ops_default = 1 << 16,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.metrics = metrics,
	.nr_metrics = sizeof(metrics) / sizeof(metrics[0]),
	.probe = giveback_probe,
	.run = giveback_run,
);

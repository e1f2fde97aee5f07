/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "harness/account.h"
#include "harness/cell.h"
#include "harness/model.h"
#include "harness/oracle.h"
#include "harness/watch.h"
#include "vm/census.h"
#include "vm/place.h"
#include "vm/reserve.h"

/*
 * A sample is total time over total operations of its batches.  The more there are,
 * the less is lost with one that a neighbour disturbed.
 */
#define NR_BATCHES		16u
#define NR_LATENCY_BATCHES	8u

/* Objects the verify batch reads back; its log takes 40 bytes for each. */
#define VERIFY_OBJECTS_MAX	((uint64_t)1 << 18)

/* Allocations the latency batch may take to see its events. */
#define LATENCY_ALLOCS_MAX	((uint64_t)1 << 24)

/* Turns of the empty loop, some hundred us: ten thousand steps of the clock. */
#define FLOOR_OBJECTS		((uint64_t)1 << 20)

#define RANGES_MAX		64u

struct run {
	const struct fl_cell *cell;
	const struct fl_strategy *s;
	struct fl_sample *out;
	struct fl_workload w;
	struct fl_heap *heap;
	struct fl_region *region;	/* single-region kernels */
	struct fl_model *model;
	struct fl_account account;
	const char *page_source;	/* who counted resident pages */
	double trace_s;
	uint64_t checksum;
	struct {
		uint64_t nr_lifetimes, nr_objects, checksum;
	} expected;			/* of the newest reference run */
	char *log;
	size_t log_bytes;
};

/* The sample is no good. */
#define fail(r, ...)	fl_sample_fail((r)->out, __VA_ARGS__)

static void set(struct run *r, enum fl_metric metric, double value)
{
	r->out->value[metric] = value;
}

static const volatile struct fl_events *events_of(const struct fl_heap *heap)
{
	return &heap->events;
}

static uint64_t heap_events(const struct fl_heap *heap)
{
	return events_of(heap)->nr_refills + events_of(heap)->nr_hits;
}

static const struct fl_kernel *find_kernel(const struct run *r,
					   const struct fl_strategy *s,
					   enum fl_mode mode)
{
	enum fl_residence residence = mode == FL_ACCOUNT ? FL_MEMORY :
							   r->cell->residence;

	return fl_kernel_find(s, fl_workload_code(r->w.spec.kernel),
			      strcmp(r->w.spec.kernel, "empty") ?
			      r->w.spec.object_bytes : 0, residence, mode);
}

/*
 * What the batch must return.  @nr_objects overrides the workload's number per
 * lifetime (0: keep it), for the shorter lifetimes of a verify batch.
 */
static int expect(struct run *r, uint64_t nr_lifetimes, uint64_t nr_objects,
		  uint64_t *checksum)
{
	const struct fl_kernel *k = find_kernel(r, &fl_oracle, FL_TIMED);
	struct fl_open_args args = { 0 };
	struct fl_region *region = NULL;
	struct fl_batch_result result;
	struct fl_batch batch;
	struct fl_heap *heap;
	int err;

	nr_objects = nr_objects ? nr_objects : r->w.nr_objects;
	if (r->expected.nr_lifetimes == nr_lifetimes &&
	    r->expected.nr_objects == nr_objects) {
		*checksum = r->expected.checksum;
		return 0;
	}
	fl_workload_open_args(&r->w, &args);
	err = fl_oracle.open(&args, &heap);
	if (!err && !fl_workload_is_program(&r->w))
		err = fl_oracle.region_create(heap, &region);
	if (err)
		return fail(r, "reference run: %s", strerror(-err));
	fl_workload_batch(&r->w, heap, region, nr_lifetimes, &batch);
	batch.nr_objects = nr_objects;
	err = k->run(&batch, &result);
	if (region)
		fl_oracle.region_destroy(region);
	fl_oracle.close(heap);
	if (err || result.error)
		return fail(r, "reference run: %s",
			    strerror(-(err ? err : result.error)));
	r->expected.nr_lifetimes = nr_lifetimes;
	r->expected.nr_objects = nr_objects;
	*checksum = r->expected.checksum = result.checksum;
	return 0;
}

/* Judge a batch of the strategy under test. */
static int check(struct run *r, const char *what, int err,
		 const struct fl_batch_result *result, uint64_t checksum)
{
	if (result->error == -ENOMEM)
		return fail(r, "%s: memory exhausted: raise the strategy's span or block, or lower --lifetime",
			    what);
	if (result->error)
		return fail(r, "%s: %s", what, strerror(-result->error));
	if (err == -EILSEQ)
		return fail(r, "%s: an object did not keep its contents", what);
	if (err)
		return fail(r, "%s: %s", what, strerror(-err));
	if (result->checksum != checksum)
		return fail(r, "%s: checksum %016" PRIx64 " instead of %016" PRIx64
			    ": objects were lost or overlap", what,
			    result->checksum, checksum);
	return 0;
}

/* If the kernel wants one from us. */
static int create_region(struct run *r)
{
	int err;

	if (fl_workload_is_program(&r->w))
		return 0;
	err = r->s->region_create(r->heap, &r->region);
	return err ? fail(r, "region_create: %s", strerror(-err)) : 0;
}

/*
 * Guest memory that was never used costs ten times what recycled memory does;
 * have some recycled.  As much as the run will touch.
 */
static void prewarm(const struct run *r)
{
	size_t bytes = fl_page_round(r->w.nr_regions_max > 1 ?
				     r->w.lifetime_bytes / 8 :
				     r->w.region_bytes_max) + (4 << 20);
	char *p;

	if (bytes > (size_t)256 << 20)
		bytes = (size_t)256 << 20;
	if (fl_reserve(bytes, FL_OPEN, &p))
		return;
	for (size_t i = 0; i < bytes; i += fl_page_bytes())
		*(volatile char *)(p + i) = 1;
	fl_release(p, bytes);
}

static int verify(struct run *r)
{
	const struct fl_kernel *k = find_kernel(r, r->s, FL_VERIFY);
	struct fl_batch_result result;
	uint64_t checksum, objects = r->w.nr_objects, log = r->w.nr_log;
	struct fl_batch batch;
	int err;

	/* Fewer objects change neither sizes nor order, only how many. */
	if (!fl_workload_is_program(&r->w) && objects > VERIFY_OBJECTS_MAX)
		log = objects = VERIFY_OBJECTS_MAX;
	err = expect(r, 1, objects, &checksum);
	if (err)
		return err;
	r->log_bytes = (log + 1) * sizeof(struct fl_logged);
	err = fl_reserve(r->log_bytes, FL_OPEN, &r->log);
	if (err)
		return fail(r, "verify log: %s", strerror(-err));
	fl_workload_batch(&r->w, r->heap, r->region, 1, &batch);
	batch.nr_objects = objects;
	batch.log = (struct fl_logged *)(void *)r->log;
	batch.nr_log = log + 1;
	err = k->run(&batch, &result);
	err = check(r, "verify", err, &result, checksum);
	fl_release(r->log, r->log_bytes);
	r->log = NULL;
	return err;
}

static void close_bare(struct run *r)
{
	if (r->region)
		r->s->region_destroy(r->region);
	if (r->heap)
		r->s->close(r->heap);
	r->region = NULL;
	r->heap = NULL;
}

static void close_heap(struct run *r)
{
	close_bare(r);
	fl_model_free(r->model);
	r->model = NULL;
}

/* A heap with an empty region, and no model yet. */
static int open_bare(struct run *r)
{
	struct fl_open_args args = {
		.values = r->cell->values, .cpu = r->cell->cpu,
	};
	int err;

	fl_workload_open_args(&r->w, &args);
	err = r->s->open(&args, &r->heap);
	if (err == -ENOMEM) {
		r->heap = NULL;
		return fl_sample_refuse(r->out,
			"the kernel refuses the address space: lift the limit (ulimit -v unlimited; vm.overcommit_memory below 2) or lower span");
	}
	if (err) {
		r->heap = NULL;
		return fail(r, "open: %s", strerror(-err));
	}
	return create_region(r);
}

static int make_model(struct run *r)
{
	r->model = fl_model_new(r->s, r->heap, r->w.nr_regions_max);
	if (!r->model)
		return fail(r, "model: %s", strerror(ENOMEM));
	if (r->region)
		fl_model_create(r->model, 0);
	return 0;
}

static int open_heap(struct run *r)
{
	int err = open_bare(r);

	return err ? err : make_model(r);
}

/* First touch: no object's page is resident when the lifetime begins. */
static int make_fresh(struct run *r)
{
	int err;

	if (r->cell->fresh == FL_FRESH_HEAP) {
		close_heap(r);
		return open_heap(r);
	}
	if (r->region) {
		r->s->region_destroy(r->region);
		fl_model_destroy(r->model, 0);
		r->region = NULL;
	}
	r->s->trim(r->heap);
	fl_model_trim(r->model);
	err = create_region(r);
	if (!err && r->region)
		fl_model_create(r->model, 0);
	return err;
}

/* Of a batch, in parts: what is between a stop and the next start is ours. */
struct stopwatch {
	struct fl_counters *counters;	/* NULL: time alone */
	struct fl_counts counts;
	uint64_t ticks, start;
	bool stopped;			/* once at least: counts are something */
};

static void watch_start(struct stopwatch *watch)
{
	if (watch->counters)
		fl_counters_start(watch->counters);
	watch->start = fl_clock_ticks();
}

static void watch_stop(struct stopwatch *watch)
{
	struct fl_counts counts;

	watch->ticks += fl_clock_ticks() - watch->start;
	if (!watch->counters)
		return;
	fl_counters_stop(watch->counters, &counts);
	fl_counts_add(&watch->counts, &counts, !watch->stopped);
	watch->stopped = true;
}

static int run_batch(struct run *r, const struct fl_kernel *k,
		     uint64_t nr_lifetimes, uint64_t checksum,
		     struct fl_slow_watch *slow, struct stopwatch *watch,
		     struct fl_batch_result *result)
{
	uint64_t before = heap_events(r->heap), implied;
	struct fl_batch batch;
	int err;

	fl_workload_batch(&r->w, r->heap, r->region, nr_lifetimes, &batch);
	batch.watch = slow;
	watch_start(watch);
	err = k->run(&batch, result);
	watch_stop(watch);
	err = check(r, fl_mode_name(k->mode), err, result, checksum);
	if (err)
		return err;
	implied = fl_model_run(r->model, &r->w, nr_lifetimes);
	if (heap_events(r->heap) - before != implied)
		return fail(r, "%s: the slow path ran %" PRIu64
			    " times, the workload implies %" PRIu64,
			    fl_mode_name(k->mode),
			    heap_events(r->heap) - before, implied);
	return 0;
}

/* What came to be between @before and @now. */
static void add_events(struct fl_events *sum, struct fl_events now,
		       struct fl_events before)
{
	sum->nr_hits += now.nr_hits - before.nr_hits;
	sum->nr_refills += now.nr_refills - before.nr_refills;
	sum->nr_given_pages += now.nr_given_pages - before.nr_given_pages;
	sum->nr_give_calls += now.nr_give_calls - before.nr_give_calls;
	sum->nr_give_failures += now.nr_give_failures - before.nr_give_failures;
}

/*
 * The life of a heap, all of it timed: opening, one lifetime, closing, which takes
 * away the pages that the strategy has kept (docs/decisions/0049).
 */
static int run_life(struct run *r, const struct fl_kernel *k,
		    struct stopwatch *watch, struct fl_events *events,
		    struct fl_batch_result *result)
{
	int err;

	close_heap(r);
	watch_start(watch);
	err = open_bare(r);
	watch_stop(watch);
	err = err ? err : make_model(r);
	err = err ? err : run_batch(r, k, 1, r->checksum, NULL, watch, result);
	if (err)
		return err;
	*events = *events_of(r->heap);
	watch_start(watch);
	close_bare(r);
	watch_stop(watch);
	return 0;
}

/* A timed batch of whichever kind. */
static int run_timed(struct run *r, const struct fl_kernel *k,
		     uint64_t nr_lifetimes, struct stopwatch *watch,
		     struct fl_events *events, struct fl_batch_result *result)
{
	struct fl_events before;
	int err;

	if (r->cell->fresh == FL_FRESH_HEAP)
		return run_life(r, k, watch, events, result);
	before = *events_of(r->heap);
	err = run_batch(r, k, nr_lifetimes, r->checksum, NULL, watch, result);
	if (!err)
		add_events(events, *events_of(r->heap), before);
	return err;
}

static int timed(struct run *r)
{
	const struct fl_kernel *k = find_kernel(r, r->s, r->cell->planted ?
						FL_PLANTED : FL_TIMED);
	uint64_t nr_batches = r->w.nr_lifetimes < NR_BATCHES ?
			      r->w.nr_lifetimes : NR_BATCHES;
	uint64_t per_batch, total = 0, allocs = 0, events = 0, nr = 0;
	struct fl_events sum = { 0 };
	struct fl_counters *counters = NULL;
	struct fl_batch_result result;
	double best = INFINITY;
	int err;

	if (r->cell->fresh == FL_FRESH && !r->s->trim)
		return fail(r, "--fresh needs a strategy with a trim hook");
	if (!k)
		return fail(r, "no %s instance of kernel %s: the planted slowdown exists for fill of 16 bytes only",
			    r->cell->planted ? "planted" : "timed",
			    r->w.spec.kernel);
	if (r->cell->fresh)
		nr_batches = r->w.nr_lifetimes;
	per_batch = (r->w.nr_lifetimes + nr_batches - 1) / nr_batches;
	err = expect(r, per_batch, 0, &r->checksum);
	if (err)
		return err;

	/* Warm: every page touched, branches and caches as they will be. */
	if (!r->cell->fresh) {
		struct stopwatch none = { .counters = NULL };
		uint64_t checksum;

		err = expect(r, 1, 0, &checksum);
		for (int i = 0; i < 2 && !err; i++)
			err = run_batch(r, k, 1, checksum, NULL, &none,
					&result);
		if (err)
			return err;
	}

	err = fl_counters_open(&counters, FL_COUNT_THREAD, r->cell->cpu);
	if (err)
		return fail(r, "counters: %s", strerror(-err));
	while (nr < nr_batches) {
		struct stopwatch watch = { .counters = counters };
		struct fl_events of_batch = { 0 };
		double ns;

		if (r->cell->fresh == FL_FRESH)
			err = make_fresh(r);
		if (err)
			break;
		fl_quiet_begin(&r->out->quiet);
		err = run_timed(r, k, per_batch, &watch, &of_batch, &result);
		if (err)
			break;
		ns = fl_clock_ns(&r->out->clock, watch.ticks);
		if (!fl_quiet_end(&r->out->quiet, ns))
			continue;
		nr++;
		fl_sample_count(r->out, &watch.counts);
		ns /= (double)result.nr_allocs;
		best = ns < best ? ns : best;
		total += watch.ticks;
		allocs += result.nr_allocs;
		events += result.nr_events;
		add_events(&sum, of_batch, (struct fl_events){ 0 });
	}
	fl_counters_close(counters);
	if (err)
		return err;

	set(r, FL_METRIC_alloc_ns,
	    fl_clock_ns(&r->out->clock, total) / (double)allocs);
	set(r, FL_METRIC_alloc_best_ns, best);
	set(r, FL_METRIC_event_ns,
	    fl_clock_ns(&r->out->clock, total) / (double)events);
	set(r, FL_METRIC_events_per_s,
	    1e9 * (double)events / fl_clock_ns(&r->out->clock, total));
	set(r, FL_METRIC_nr_allocs, (double)allocs);
	set(r, FL_METRIC_nr_batches, (double)nr_batches);
	set(r, FL_METRIC_nr_lifetimes, (double)(nr_batches * per_batch));
	set(r, FL_METRIC_lifetime_bytes, (double)r->w.lifetime_bytes);
	set(r, FL_METRIC_events, (double)(sum.nr_hits + sum.nr_refills));
	/* run_batch compared each batch; a difference does not get here. */
	set(r, FL_METRIC_events_implied, (double)(sum.nr_hits + sum.nr_refills));
	set(r, FL_METRIC_hits, (double)sum.nr_hits);
	set(r, FL_METRIC_refills, (double)sum.nr_refills);
	set(r, FL_METRIC_given_pages, (double)sum.nr_given_pages);
	set(r, FL_METRIC_give_calls, (double)sum.nr_give_calls);
	set(r, FL_METRIC_give_failures, (double)sum.nr_give_failures);
	return 0;
}

/*
 * A census finds what the newest lifetime left.  Timed ones in heaps of their own leave
 * nothing; one more, unless the latencies had theirs.
 */
static int leave_heap(struct run *r)
{
	struct stopwatch none = { .counters = NULL };
	struct fl_batch_result result;
	int err;

	if (r->heap)
		return 0;
	err = make_fresh(r);
	return err ? err : run_batch(r, find_kernel(r, r->s, FL_TIMED), 1,
				     r->checksum, NULL, &none, &result);
}

/* The loop without allocation, as the module compiled it. */
static void measure_floor(struct run *r)
{
	const struct fl_kernel *k = fl_kernel_find(r->s, "empty", 0,
						   r->cell->residence, FL_TIMED);
	struct fl_batch batch = { .nr_lifetimes = 1, .nr_objects = FLOOR_OBJECTS };
	double best = INFINITY;

	for (int i = 0; k && i < 3; i++) {
		struct fl_batch_result result;
		uint64_t start = fl_clock_ticks();
		double ns;

		k->run(&batch, &result);
		ns = fl_clock_ns(&r->out->clock, fl_clock_ticks() - start) /
		     (double)result.nr_allocs;
		best = ns < best ? ns : best;
	}
	if (k)
		set(r, FL_METRIC_floor_ns, best);
}

/*
 * Slow paths one by one, in batches of their own; the first only says which
 * allocations take them.
 */
static int latency(struct run *r)
{
	const struct fl_kernel *k = find_kernel(r, r->s, FL_LATENCY);
	uint64_t wanted = r->cell->latency_events, lifetimes = 1;
	uint64_t most = LATENCY_ALLOCS_MAX / r->w.nr_objects, per_batch, checksum;
	double events = r->out->value[FL_METRIC_events] /
			r->out->value[FL_METRIC_nr_lifetimes];
	struct fl_batch_result result;
	struct fl_hist *batch;
	struct fl_watch watch;
	bool learned = false;
	int err;

	if (!wanted || !k)
		return 0;
	if (events > 0)
		lifetimes = (uint64_t)ceil((double)wanted / events);
	lifetimes = lifetimes > most ? most : lifetimes;
	lifetimes = lifetimes ? lifetimes : 1;
	per_batch = r->cell->fresh ? 1 :
		    (lifetimes + NR_LATENCY_BATCHES - 1) / NR_LATENCY_BATCHES;
	batch = malloc(sizeof(*batch));
	err = batch ? fl_watch_init(&watch, batch, r->out->clock.ns_per_tick) :
		      -ENOMEM;
	if (err) {
		free(batch);
		return fail(r, "%s", strerror(-err));
	}
	err = expect(r, per_batch, 0, &checksum);
	for (uint64_t done = 0; !err && done < lifetimes;) {
		struct stopwatch timer = { .counters = NULL };

		if (r->cell->fresh)
			err = make_fresh(r);
		if (err)
			break;
		if (learned)
			fl_watch_begin(&watch);
		fl_hist_reset(batch);
		fl_quiet_begin(&r->out->quiet);
		err = run_batch(r, k, per_batch, checksum, &watch.base, &timer,
				&result);
		if (!err && fl_quiet_end(&r->out->quiet,
					 fl_clock_ns(&r->out->clock, timer.ticks)) &&
		    learned) {
			fl_hist_merge(r->out->slow, batch);
			done += per_batch;
		}
		learned = true;
	}
	fl_watch_free(&watch);
	free(batch);
	return err;
}

/* Resident pages of the heap's ranges of one kind. */
static int count_pages(const struct fl_census *census,
		       const struct fl_strategy *s, const struct fl_heap *heap,
		       enum fl_range_kind kind, uint64_t *pages,
		       uint64_t *reserved)
{
	struct fl_range ranges[RANGES_MAX];
	size_t nr = s->ranges(heap, ranges, RANGES_MAX);
	enum fl_census_source source = census->best;

	if (nr > RANGES_MAX)
		return -E2BIG;
	*pages = 0;
	for (size_t i = 0; i < nr; i++) {
		uint64_t n = 0;
		int err;

		*reserved += ranges[i].bytes;
		if (ranges[i].kind != kind)
			continue;
		err = fl_census_pages(census, source, ranges[i].base,
				      ranges[i].bytes, &n);
		if (err)
			return err;
		*pages += n;
	}
	return 0;
}

static void take_census(struct run *r)
{
	uint64_t objects = 0, metadata = 0, reserved = 0, twice = 0;
	struct fl_process_pages process;
	struct fl_census census;

	if (!fl_census_open(&census)) {
		r->page_source = census.best == FL_CENSUS_SCAN ? "scan" :
								 "pagemap";
		if (!count_pages(&census, r->s, r->heap, FL_RANGE_OBJECTS,
				 &objects, &reserved) &&
		    !count_pages(&census, r->s, r->heap, FL_RANGE_METADATA,
				 &metadata, &twice)) {
			set(r, FL_METRIC_resident_pages, (double)objects);
			set(r, FL_METRIC_metadata_pages, (double)metadata);
			set(r, FL_METRIC_reserved_bytes, (double)reserved);
		}
		fl_census_close(&census);
	}
	if (!fl_census_process(&process)) {
		uint64_t theirs = (objects + metadata) * fl_page_bytes() +
				  r->w.trace.nr_words * sizeof(uint32_t);

		set(r, FL_METRIC_vmas, (double)process.nr_vmas);
		set(r, FL_METRIC_page_table_bytes,
		    (double)process.page_table_bytes);
		set(r, FL_METRIC_lazy_free_bytes,
		    (double)process.lazy_free_bytes);
		if (process.resident_bytes > theirs)
			set(r, FL_METRIC_harness_bytes,
			    (double)(process.resident_bytes - theirs));
	}
}

/*
 * Before the heap is opened: the reference, whose memory is not to be mistaken for
 * the heap's, and what the process is without a heap.
 */
static int begin_account(struct run *r)
{
	/* Huge pages would hide which pages are used. */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	if (!find_kernel(r, r->s, FL_ACCOUNT))
		return fail(r, "kernel %s has no account mode", r->w.spec.kernel);
	if (expect(r, 1, 0, &r->checksum))
		return -ECANCELED;
	return fl_account_begin(&r->account, r->out);
}

static int account(struct run *r)
{
	const uint64_t events = fl_workload_is_program(&r->w) ?
				r->w.nr_events : r->w.nr_objects + 1;
	struct fl_batch_result result;
	struct fl_batch batch;
	int err;

	fl_workload_batch(&r->w, r->heap, r->region, 1, &batch);
	err = fl_account_run(&r->account, r->s, find_kernel(r, r->s, FL_ACCOUNT),
			     &batch, events, &result);
	err = check(r, "account", err, &result, r->checksum);
	if (!err)
		err = r->account.err;
	if (!err)
		fl_account_metrics(&r->account);
	return err;
}

/* "traces/httpd-static.trace.xz" is called httpd-static. */
static void trace_name(const char *path, char *out, size_t out_bytes)
{
	const char *slash = strrchr(path, '/');
	char *dot;

	snprintf(out, out_bytes, "%s", slash ? slash + 1 : path);
	dot = strstr(out, ".trace");
	if (dot && dot != out)
		*dot = '\0';
}

/* What results/SCHEMA.md says of a strategy on a workload alone. */
static json_t *own_json(const struct run *r)
{
	const struct fl_cell *cell = r->cell;
	const struct fl_workload_spec *spec = &r->w.spec;
	char checksum[32], crc[32], trace[256];
	json_t *json;

	snprintf(checksum, sizeof(checksum), "%016" PRIx64, r->checksum);
	if (spec->trace)
		trace_name(spec->trace, trace, sizeof(trace));
	json = json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:s?, s:s?, s:i, s:s?}",
		"strategy", r->s->name,
		"settings", fl_settings_json(&cell->module->tunables,
					     cell->values),
		"compiler", r->s->compiler,
		"answer", fl_answer_name(r->s->answer),
		"trigger", r->s->trigger,
		"kernel", spec->kernel,
		"object_bytes", (int)spec->object_bytes,
		"residence", fl_residence_name(cell->account ? FL_MEMORY :
					       cell->residence),
		"mode", cell->account ? "account" :
			cell->planted ? "planted" : "timed",
		"fresh", cell->fresh != FL_WARM,
		"new_heap", cell->fresh == FL_FRESH_HEAP,
		"block_bytes", (json_int_t)spec->block_bytes,
		"lifetime_bytes", (json_int_t)r->w.lifetime_bytes,
		"seed", (json_int_t)spec->seed,
		"trace", spec->trace ? trace : NULL,
		"checksum", r->out->status == FL_OK ? checksum : NULL,
		"cpu", cell->cpu,
		"page_source", r->page_source);
	if (json)
		fl_account_json(&r->account, json);
	if (json && spec->trace) {
		snprintf(crc, sizeof(crc), "%016" PRIx64,
			 r->w.trace.contents_crc64);
		json_object_set_new(json, "trace_crc64", json_string(crc));
	}
	return json;
}

/* Why numbers that a cell could have are not there. */
static void say_what_lacks(struct run *r)
{
	for (int m = 0; m < FL_NR_METRICS; m++) {
		const bool accounts = m >= FL_METRIC_nr_censuses &&
				      m <= FL_METRIC_last_page_p99_bytes;

		if (accounts != r->cell->account)
			r->out->lacks[m] = accounts ?
				"only account mode knows" :
				"not measured in account mode";
	}
	r->out->lacks[FL_METRIC_trace_lines_per_s] = "no trace was read";
}

static void run(struct run *r)
{
	char reason[512] = "";
	int err;

	if (r->s->probe &&
	    r->s->probe(r->cell->values, reason, sizeof(reason))) {
		fl_sample_refuse(r->out, "%s", reason);
		return;
	}
	prewarm(r);
	err = r->cell->account ? begin_account(r) : 0;
	err = err ? err : open_heap(r);
	if (r->cell->account) {
		err = err ? err : account(r);
	} else {
		/*
		 * Verify in a heap of its own: its lifetime may be shorter, and
		 * the model and the warm-up must see the heap as it was opened.
		 */
		err = err ? err : verify(r);
		close_heap(r);
		err = err ? err : open_heap(r);
		err = err ? err : timed(r);
		err = err ? err : latency(r);
		err = err ? err : leave_heap(r);
		if (!err) {
			measure_floor(r);
			fl_sample_slow(r->out, r->cell->latency_events);
			fl_sample_quiet(r->out);
		}
	}
	if (!err)
		take_census(r);
}

int fl_cell_run(const struct fl_cell *cell, struct fl_sample *sample,
		struct fl_complaint *why)
{
	struct run r = { .cell = cell, .s = cell->module->strategy,
			 .out = sample, .account.census.pagemap = -1,
			 .account.written = { .uffd.fd = -1, .pagemap = -1 } };
	uint64_t start;
	int err = fl_sample_begin(sample, cell->cpu, cell->clock,
				  cell->probe_ns, why);

	if (err)
		return err;
	start = fl_clock_ticks();
	err = fl_workload_make(&cell->workload, &r.w, why);
	if (err)
		return err;
	if (cell->workload.trace)
		r.trace_s = fl_clock_ns(&sample->clock,
					fl_clock_ticks() - start) / 1e9;
	say_what_lacks(&r);

	run(&r);

	if (r.trace_s > 0 && r.w.trace.facts.nr_lines)
		set(&r, FL_METRIC_trace_lines_per_s,
		    (double)r.w.trace.facts.nr_lines / r.trace_s);
	err = fl_sample_json(sample, FL_OF_CELL, own_json(&r));
	close_heap(&r);
	fl_workload_free(&r.w);
	fl_account_end(&r.account);
	return err ? fl_complain(why, err, "%s", strerror(-err)) : 0;
}

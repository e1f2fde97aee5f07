/* SPDX-License-Identifier: MIT */
/*
 * Checks of the compiled kernels: every instance in the module's table, run on
 * inputs that cross many block ends, against the same kernel of the reference
 * strategy (harness/oracle.h); and of the number of slow paths, against the
 * model of the declared geometry (harness/model.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "harness/conform_check.h"
#include "harness/model.h"
#include "harness/module_load.h"
#include "harness/oracle.h"
#include "vm/reserve.h"

#define KIB		((uint64_t)1 << 10)
#define MIB		((uint64_t)1 << 20)

#define NR_LIFETIMES	2u
#define NR_SIZES	256u
#define NR_OPS		1500u

/* Inputs of all kernels, and what the largest of them needs. */
struct inputs {
	struct fl_workload w;		/* no trace; only the arrays are used */
	uint16_t *sites;		/* sizes of the kernel "sites" */
	uint16_t *runs;			/* and of "runs", over and over */
	uint64_t stretch;		/* bytes of a lifetime, about */
	uint64_t nr_allocs;		/* of the program */
	struct fl_logged *log;
	struct fl_need need;
};

/* What a lifetime of @nr objects from a table takes (kernels/fill.h: the index
 * goes on over lifetimes). */
static uint64_t table_bytes(const struct inputs *in, bool mix, uint64_t nr)
{
	uint64_t most = 0;

	for (uint64_t l = 0; l < NR_LIFETIMES; l++) {
		uint64_t sum = 0;

		for (uint64_t i = 1 + l * nr; i <= (l + 1) * nr; i++)
			sum += fl_object_bytes(mix ?
				in->w.sizes16[i % NR_SIZES] :
				in->w.sizes32[i % NR_SIZES]);
		most = sum > most ? sum : most;
	}
	return most;
}

static void draw_sizes(struct fl_trial *t, struct inputs *in)
{
	const struct fl_geometry g = fl_trial_geometry(t);
	uint64_t random = t->conform->seed, unit = g.step_bytes ?
		g.step_bytes : g.block_bytes;

	if (unit > MIB || t->s->answer == FL_ANSWER_NEVER)
		unit = 64 * KIB;
	in->w.nr_sizes = NR_SIZES;
	in->w.sizes16 = fl_trial_alloc(t, NR_SIZES, sizeof(*in->w.sizes16));
	in->w.sizes32 = fl_trial_alloc(t, NR_SIZES, sizeof(*in->w.sizes32));
	in->sites = fl_trial_alloc(t, NR_SIZES, sizeof(*in->sites));
	in->runs = fl_trial_alloc(t, NR_SIZES, sizeof(*in->runs));
	for (uint64_t i = 0; i < NR_SIZES; i++) {
		const uint64_t r = fl_random(&random), v = fl_random(&random);

		in->sites[i] = (uint16_t)fl_sites_bytes(i);
		in->runs[i] = (uint16_t)fl_runs_bytes(i);
		in->w.sizes16[i] = (uint16_t)(r % 64 == 0 ? 65535 - v % 16 :
			r % 64 < 4 ? 1 + v % 20000 : 1 + v % 300);
		in->w.sizes32[i] = (uint32_t)(r % 16 == 0 ? unit - 8 + v % 17 :
			r % 16 == 1 ? unit / 2 + 8 :
			r % 16 == 2 ? 65528 + v % 17 : v % 3000);
	}
}

/* How many objects a lifetime of this kernel gets. */
static uint64_t nr_objects_of(const struct inputs *in, const struct fl_kernel *k)
{
	const uint64_t turn = fl_workload_turn(k->name);
	uint64_t nr;

	if (k->object_bytes) {
		nr = in->stretch / fl_object_bytes(k->object_bytes);
		return nr - nr % turn;
	}
	if (!strcmp(k->name, "mix"))
		return 4 * NR_SIZES + 17;
	return turn == NR_SIZES ? 16 * turn : NR_SIZES;
}

static void make_inputs(struct fl_trial *t, struct inputs *in)
{
	const struct fl_ops ops = fl_ops_make(t, t->conform->seed, NR_OPS,
					      false);
	const struct fl_need needs = fl_ops_need(&ops);
	uint64_t nr_log;

	*in = (struct inputs){ .need = needs };
	in->stretch = fl_trial_stretch(t, 256 * KIB, 3 * MIB);
	draw_sizes(t, in);
	in->w.nr_words = fl_ops_program(t, &ops, &in->w.program,
					&in->nr_allocs);
	in->w.nr_regions_max = FL_OPS_SLOTS;
	in->w.slots = fl_trial_alloc(t, FL_OPS_SLOTS, sizeof(*in->w.slots));
	in->w.states = fl_trial_alloc(t, FL_OPS_SLOTS, sizeof(*in->w.states));
	nr_log = in->stretch / FL_GRAIN_BYTES;
	if (nr_log < in->nr_allocs)
		nr_log = in->nr_allocs;
	in->w.nr_log = nr_log;
	in->log = fl_trial_alloc(t, nr_log, sizeof(*in->log));

	for (int mix = 0; mix < 2; mix++) {
		const uint64_t bytes = table_bytes(in, mix, mix ?
			4 * NR_SIZES + 17 : NR_SIZES);

		if (bytes > in->need.region_bytes)
			in->need.region_bytes = bytes;
	}
	for (uint64_t i = 0; i < NR_SIZES; i++)
		if (in->w.sizes32[i] > in->need.object_bytes)
			in->need.object_bytes = in->w.sizes32[i];
	if (in->need.object_bytes < 65536)
		in->need.object_bytes = 65536;
	if (in->need.region_bytes < in->stretch)
		in->need.region_bytes = in->stretch;
}

static void note_slow(struct fl_slow_watch *watch, uint64_t nr, bool timed,
		      uint64_t ticks)
{
	(void)watch;
	(void)nr;
	(void)timed;
	(void)ticks;
}

static void note_object(struct fl_event_sink *sink, char *object, uint64_t bytes)
{
	(void)sink;
	(void)object;
	(void)bytes;
}

static void note_region(struct fl_event_sink *sink, uint32_t slot)
{
	(void)sink;
	(void)slot;
}

/* One batch of @k on a heap of its own. */
static int run_batch(struct fl_trial *t, const struct fl_strategy *s,
		     const struct fl_kernel *k, struct inputs *in,
		     struct fl_batch_result *result)
{
	const struct fl_open_args args = {
		.values = t->conform->values,
		.region_bytes_max = in->need.region_bytes,
		.object_bytes_max = in->need.object_bytes,
		.nr_regions_max = FL_OPS_SLOTS + 1, .cpu = -1,
	};
	static const uint64_t due[] = { 7, UINT64_MAX };
	struct fl_slow_watch watch = { .due = due, .slow = note_slow };
	struct fl_event_sink events = {
		.object = note_object, .created = note_region,
		.died = note_region,
	};
	struct fl_region *region = NULL;
	struct fl_heap *heap = NULL;
	struct fl_batch batch;
	int err;

	*result = (struct fl_batch_result){ 0 };
	err = s->open(&args, &heap);
	if (err)
		fl_trial_fail(t, "%s: open: %s", s->name,
			      strerror(err < 0 ? -err : err));
	err = s->region_create(heap, &region);
	if (err)
		fl_trial_fail(t, "%s: region_create: %s", s->name,
			      strerror(err < 0 ? -err : err));
	fl_workload_batch(&in->w, heap, region, NR_LIFETIMES, &batch);
	batch.nr_objects = nr_objects_of(in, k);
	if (!strcmp(k->name, "sites"))
		batch.sizes16 = in->sites;
	if (!strcmp(k->name, "runs"))
		batch.sizes16 = in->runs;
	batch.log = in->log;
	batch.nr_log = in->w.nr_log;
	batch.watch = &watch;
	batch.events = &events;
	err = k->run(&batch, result);
	s->region_destroy(region);
	s->close(heap);
	return err;
}

static void try_kernel(struct fl_trial *t, const struct fl_kernel *k,
		       struct inputs *in)
{
	const struct fl_kernel *model = fl_kernel_find(&fl_oracle, k->name,
		k->object_bytes, k->residence, FL_TIMED);
	struct fl_batch_result want, got;
	char what[128];
	int err;

	snprintf(what, sizeof(what), "kernel %s, %u bytes, cursor in %s, mode %s",
		 k->name, k->object_bytes, fl_residence_name(k->residence),
		 fl_mode_name(k->mode));
	/* A kernel of the module's own: there is nothing to compare it with. */
	if (!model)
		return;
	fl_trial_doing(t, "running the reference of %s", what);
	if (run_batch(t, &fl_oracle, model, in, &want))
		fl_trial_fail(t, "the reference itself failed on %s", what);
	fl_trial_doing(t, "running %s", what);
	err = run_batch(t, t->s, k, in, &got);
	if (err == -EILSEQ)
		fl_trial_fail(t, "%s: an object's contents had changed when its region died",
			      what);
	if (err)
		fl_trial_fail(t, "%s: %s", what, strerror(err < 0 ? -err : err));
	if (got.error)
		fl_trial_fail(t, "%s: error %d (%s), and there is no limit",
			      what, got.error, strerror(-got.error));
	if (got.checksum != want.checksum)
		fl_trial_fail(t, "%s: checksum %016" PRIx64
			      ", and the reference has %016" PRIx64, what,
			      got.checksum, want.checksum);
	if (got.nr_allocs != want.nr_allocs || got.nr_events != want.nr_events)
		fl_trial_fail(t, "%s: counts %" PRIu64 " allocations of %" PRIu64
			      " and %" PRIu64 " events of %" PRIu64, what,
			      got.nr_allocs, want.nr_allocs, got.nr_events,
			      want.nr_events);
}

void fl_try_verify_kernels(struct fl_trial *t)
{
	struct inputs in;

	make_inputs(t, &in);
	/* Skips when the settings leave a region less room than this needs. */
	t->s->close(fl_trial_open(t, &in.need));
	for (size_t i = 0; i < t->s->nr_kernels; i++)
		if (t->s->kernels[i].mode == FL_VERIFY)
			try_kernel(t, &t->s->kernels[i], &in);
}

void fl_try_timed_kernels(struct fl_trial *t)
{
	struct inputs in;

	make_inputs(t, &in);
	t->s->close(fl_trial_open(t, &in.need));
	for (size_t i = 0; i < t->s->nr_kernels; i++)
		if (t->s->kernels[i].mode != FL_VERIFY)
			try_kernel(t, &t->s->kernels[i], &in);
}

/*
 * Geometry.
 */

static uint64_t events_of(const struct fl_heap *heap)
{
	return heap->events.nr_refills + heap->events.nr_hits;
}

static struct fl_model *new_model(struct fl_trial *t, const struct fl_heap *heap,
				  uint32_t nr_slots)
{
	struct fl_model *model = fl_model_new(t->s, heap, nr_slots);

	if (!model)
		fl_trial_fail(t, "the suite itself is short of memory");
	return model;
}

/* @nr objects of one size, three lifetimes, through object_new. */
static void try_constant(struct fl_trial *t, uint64_t size, uint64_t nr)
{
	struct fl_workload w = {
		.spec = { .kernel = "fill", .object_bytes = (uint32_t)size },
		.nr_objects = nr,
	};
	const struct fl_need need = {
		.region_bytes = nr * fl_object_bytes(size),
		.object_bytes = size, .nr_regions = 1,
	};
	struct fl_heap *heap = fl_trial_open(t, &need);
	struct fl_model *model = new_model(t, heap, 1);
	struct fl_region *region = fl_trial_region(t, heap);

	fl_model_create(model, 0);
	for (int lifetime = 0; lifetime < 3; lifetime++) {
		const uint64_t before = events_of(heap);
		uint64_t implied, counted;

		fl_trial_doing(t, "allocating %" PRIu64 " objects of %" PRIu64
			       " bytes", nr, size);
		for (uint64_t i = 0; i < nr; i++)
			t->s->object_new(region, size, 8, i);
		t->s->region_reset(region);
		counted = events_of(heap) - before;
		implied = fl_model_run(model, &w, 1);
		if (counted != implied)
			fl_trial_fail(t, "lifetime %d of %" PRIu64
				      " objects of %" PRIu64
				      " bytes: %" PRIu64 " refills and hits were counted, and the geometry implies %" PRIu64,
				      lifetime + 1, nr, size, counted, implied);
	}
	if (heap->events.nr_sinks)
		fl_trial_fail(t, "events.nr_sinks is %" PRIu64
			      ", and memory was not exhausted",
			      heap->events.nr_sinks);
	fl_model_free(model);
	t->s->close(heap);
}

/* The compiled fill kernels. */
static void try_fill(struct fl_trial *t, const struct fl_kernel *k, uint64_t nr)
{
	const uint64_t nr_lifetimes = 4;
	struct fl_workload w = {
		.spec = { .kernel = "fill", .object_bytes = k->object_bytes },
		.nr_objects = nr,
	};
	const struct fl_need need = {
		.region_bytes = nr * k->object_bytes,
		.object_bytes = k->object_bytes, .nr_regions = 1,
	};
	struct fl_heap *heap = fl_trial_open(t, &need);
	struct fl_model *model = new_model(t, heap, 1);
	struct fl_batch batch = {
		.heap = heap, .region = fl_trial_region(t, heap),
		.nr_lifetimes = nr_lifetimes, .nr_objects = nr,
	};
	struct fl_batch_result result;
	uint64_t implied;

	fl_model_create(model, 0);
	fl_trial_doing(t, "running fill, %u bytes, cursor in %s",
		       k->object_bytes, fl_residence_name(k->residence));
	k->run(&batch, &result);
	implied = fl_model_run(model, &w, nr_lifetimes);
	if (events_of(heap) != implied)
		fl_trial_fail(t, "kernel fill of %u bytes, cursor in %s: %" PRIu64
			      " refills and hits were counted in %" PRIu64
			      " lifetimes of %" PRIu64
			      " objects, and the geometry implies %" PRIu64,
			      k->object_bytes, fl_residence_name(k->residence),
			      events_of(heap), nr_lifetimes, nr, implied);
	fl_model_free(model);
	t->s->close(heap);
}

/* A random program: regions come and go, and take over each other's room. */
static void try_program(struct fl_trial *t, const struct fl_kernel *k)
{
	struct inputs in;
	struct fl_model *model;
	struct fl_heap *heap;
	struct fl_batch batch;
	struct fl_batch_result result;
	uint64_t implied;

	make_inputs(t, &in);
	in.w.spec.kernel = "replay";
	heap = fl_trial_open(t, &in.need);
	model = new_model(t, heap, FL_OPS_SLOTS);
	fl_workload_batch(&in.w, heap, NULL, NR_LIFETIMES, &batch);
	fl_trial_doing(t, "running a random program, cursor in %s",
		       fl_residence_name(k->residence));
	k->run(&batch, &result);
	implied = fl_model_run(model, &in.w, NR_LIFETIMES);
	if (events_of(heap) != implied)
		fl_trial_fail(t, "a random program, cursor in %s: %" PRIu64
			      " refills and hits were counted, and the geometry implies %" PRIu64,
			      fl_residence_name(k->residence), events_of(heap),
			      implied);
	fl_model_free(model);
	t->s->close(heap);
}

void fl_try_geometry(struct fl_trial *t)
{
	static const uint64_t sizes[] = {
		8, 24, 100, 1000, 4096, 4104, 65528, 65536, 65544, 200000,
	};
	const uint64_t stretch = fl_trial_stretch(t, 256 * KIB, 4 * MIB);
	const struct fl_geometry g = fl_trial_geometry(t);
	const uint64_t block = g.block_bytes;

	if (g.block_bytes % fl_page_bytes() || g.step_bytes % fl_page_bytes())
		fl_trial_fail(t, "block_bytes and step_bytes must be whole pages");
	if (g.start_bytes > g.block_bytes)
		fl_trial_fail(t, "start_bytes exceeds block_bytes");
	if (g.doubling && g.step_bytes_max < g.step_bytes)
		fl_trial_fail(t, "step_bytes_max is below step_bytes");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		try_constant(t, sizes[i], 3 + stretch / fl_object_bytes(sizes[i]));
	if (t->s->answer != FL_ANSWER_NEVER && block <= 4 * MIB) {
		try_constant(t, block / 2, 5);
		try_constant(t, block / 2 + 8, 5);
		try_constant(t, block - 8, 5);
		try_constant(t, block, 5);
		try_constant(t, block + 8, 5);
	}
	for (size_t i = 0; i < t->s->nr_kernels; i++) {
		const struct fl_kernel *k = &t->s->kernels[i];

		if (k->mode != FL_TIMED)
			continue;
		if (!strcmp(k->name, "fill"))
			try_fill(t, k, stretch / k->object_bytes);
		else if (!strcmp(k->name, "replay"))
			try_program(t, k);
	}
}

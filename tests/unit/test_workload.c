/* SPDX-License-Identifier: MIT */
/*
 * Workloads: the same for the same seed, no larger than they say, refused with
 * the right words when they make no sense; and the oracle's checksums, which
 * must not depend on where the cursor lives or why a kernel runs.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "faultline/program.h"
#include "harness/module_load.h"
#include "harness/oracle.h"
#include "harness/programs.h"
#include "harness/workload.h"

#define KIB		((uint64_t)1 << 10)
#define GIB		((uint64_t)1 << 30)
#define NR_SLOTS_MAX	64u

#define NR_OF(array)	(sizeof(array) / sizeof((array)[0]))

static char trace_path[] = "/tmp/faultline-test.XXXXXX";

/* Two regions, one in the other; a clear; none, odd and large sizes. */
static const char trace_text[] =
	"faultline-trace 1\n"
	"# made up\n"
	"c 1 0\n" "a 1 100\n" "a 1 0\n" "c 2 1\n" "a 2 4096\n" "a 1 7\n"
	"a 2 1000000\n" "x 2\n" "a 2 13\n" "d 2\n" "a 1 70000\n" "d 1\n"
	"c 3 0\n" "a 3 1\n" "d 3\n";

static const char *const kernels[] = {
	"empty", "fill", "unroll", "mix", "sites", "runs", "straddle", "chain",
	"tree", "nest", "skewed", "phases", "outer", "grower", "replay",
};

static const char *const fixed_kernels[] = {
	"fill", "unroll", "chain", "tree",
};
static const char *const table_kernels[] = {
	"mix", "runs", "sites", "straddle",
};

/* Small enough to run in every mode. */
static struct fl_workload_spec spec_of(const char *kernel)
{
	return (struct fl_workload_spec){
		.kernel = kernel, .block_bytes = 4 * KIB,
		.lifetime_bytes = 150 * KIB, .nr_ops = 1000, .seed = 7,
		.trace = strcmp(kernel, "replay") ? NULL : trace_path,
	};
}

static void make(const struct fl_workload_spec *spec, struct fl_workload *w)
{
	struct fl_complaint why = { "" };

	if (fl_workload_make(spec, w, &why))
		fail_msg("%s: %s", spec->kernel, why.text);
	assert_string_equal(why.text, "");
}

static bool same_array(const void *a, const void *b, size_t bytes)
{
	return !a == !b && (!a || !memcmp(a, b, bytes));
}

static bool same(const struct fl_workload *a, const struct fl_workload *b)
{
	return a->nr_objects == b->nr_objects &&
	       a->lifetime_bytes == b->lifetime_bytes &&
	       a->region_bytes_max == b->region_bytes_max &&
	       a->object_bytes_max == b->object_bytes_max &&
	       a->nr_regions_max == b->nr_regions_max &&
	       a->nr_lifetimes == b->nr_lifetimes && a->nr_log == b->nr_log &&
	       a->nr_events == b->nr_events && a->nr_sizes == b->nr_sizes &&
	       a->nr_words == b->nr_words &&
	       same_array(a->sizes16, b->sizes16,
			  a->nr_sizes * sizeof(*a->sizes16)) &&
	       same_array(a->sizes32, b->sizes32,
			  a->nr_sizes * sizeof(*a->sizes32)) &&
	       same_array(a->program, b->program,
			  a->nr_words * sizeof(*a->program));
}

static void test_seed(void **state)
{
	(void)state;
	for (size_t k = 0; k < NR_OF(kernels); k++) {
		struct fl_workload_spec spec = spec_of(kernels[k]);
		struct fl_workload first, again, other;

		make(&spec, &first);
		make(&spec, &again);
		spec.seed = 8;
		make(&spec, &other);
		assert_true(same(&first, &again));
		/* Constants and traces leave nothing to draw. */
		assert_int_equal(same(&first, &other),
				 strcmp(kernels[k], "mix") &&
				 strcmp(kernels[k], "straddle") &&
				 !fl_program_known(kernels[k]));
		fl_workload_free(&first);
		fl_workload_free(&again);
		fl_workload_free(&other);
	}
}

static void test_describe(void **state)
{
	(void)state;
	for (size_t k = 0; k < NR_OF(kernels); k++) {
		struct fl_workload w = { .spec.kernel = kernels[k] };
		const char *what = fl_workload_describe(kernels[k]);

		assert_non_null(what);
		assert_true(strlen(what) > 10 && !strchr(what, '\n'));
		assert_int_equal(fl_workload_is_program(&w),
				 fl_program_known(kernels[k]) ||
				 !strcmp(kernels[k], "replay"));
		assert_string_equal(fl_workload_code(kernels[k]),
				    fl_program_known(kernels[k]) ? "nest" :
				    kernels[k]);
	}
	assert_int_equal(fl_workload_turn("unroll"), 8);
	assert_int_equal(fl_workload_turn("sites"), 256);
	assert_int_equal(fl_workload_turn("runs"), 4);
	assert_int_equal(fl_workload_turn("fill"), 1);
	assert_null(fl_workload_describe("fil"));
	assert_null(fl_workload_describe(""));
}

/* What is left open has a value afterwards, and it is said. */
static void test_defaults(void **state)
{
	const struct fl_workload_spec fill = { .kernel = "fill" };
	const struct fl_workload_spec tree = {
		.kernel = "tree", .object_bytes = 99,
	};
	struct fl_workload w;

	(void)state;
	make(&fill, &w);
	assert_int_equal(w.spec.object_bytes, 16);
	assert_true(w.spec.block_bytes >= 4 * KIB);
	assert_true(w.spec.lifetime_bytes >= w.spec.block_bytes);
	assert_true(w.spec.nr_ops && w.spec.seed);
	assert_int_equal(w.lifetime_bytes, w.spec.lifetime_bytes);
	fl_workload_free(&w);

	/* Kernels with one size have that one. */
	make(&tree, &w);
	assert_int_equal(w.spec.object_bytes, 24);
	fl_workload_free(&w);
	assert_null(w.spec.kernel);
	fl_workload_free(&w);
}

static uint64_t rounded(uint64_t bytes)
{
	return bytes ? (bytes + 7) / 8 * 8 : 8;
}

/* Whole blocks, as many as the lifetime asked for has. */
static void test_constant_sizes(void **state)
{
	static const uint64_t blocks[] = { 4 * KIB, 5000, 64 * KIB };

	(void)state;
	for (size_t k = 0; k < NR_OF(fixed_kernels); k++)
		for (size_t b = 0; b < NR_OF(blocks); b++)
			for (uint64_t n = 1; n < 40; n += 19) {
				struct fl_workload_spec spec =
					spec_of(fixed_kernels[k]);
				uint64_t per_block;
				struct fl_workload w;

				spec.block_bytes = blocks[b];
				spec.lifetime_bytes = n * blocks[b] + 100;
				make(&spec, &w);
				per_block = blocks[b] / w.spec.object_bytes;
				per_block -= per_block %
					fl_workload_turn(w.spec.kernel);
				assert_int_equal(w.nr_objects, n * per_block);
				assert_int_equal(w.lifetime_bytes, n *
						 per_block *
						 w.spec.object_bytes);
				assert_int_equal(w.region_bytes_max,
						 w.lifetime_bytes);
				assert_int_equal(w.object_bytes_max,
						 w.spec.object_bytes);
				assert_int_equal(w.nr_regions_max, 1);
				assert_int_equal(w.nr_log, w.nr_objects);
				fl_workload_free(&w);
			}
}

/* Lifetimes just long enough for the operations asked for. */
static void test_nr_lifetimes(void **state)
{
	static const uint64_t numbers[] = { 1, 1000, 123456, 10000000 };

	(void)state;
	for (size_t k = 0; k < NR_OF(kernels); k++)
		for (size_t n = 0; n < NR_OF(numbers); n++) {
			struct fl_workload_spec spec = spec_of(kernels[k]);
			struct fl_workload w;

			spec.nr_ops = numbers[n];
			make(&spec, &w);
			assert_true(w.nr_lifetimes * w.nr_objects >=
				    numbers[n]);
			assert_true((w.nr_lifetimes - 1) * w.nr_objects <
				    numbers[n]);
			fl_workload_free(&w);
		}
}

static void test_tables(void **state)
{
	static const uint64_t blocks[] = { 4 * KIB, 64 * KIB, 1024 * KIB };

	(void)state;
	for (size_t k = 0; k < NR_OF(table_kernels); k++)
		for (size_t b = 0; b < NR_OF(blocks); b++) {
			struct fl_workload_spec spec = spec_of(table_kernels[k]);
			const bool straddle = !strcmp(spec.kernel, "straddle");
			uint64_t bytes = 0, most = 0, exceed = 0;
			struct fl_workload w;

			spec.block_bytes = blocks[b];
			spec.lifetime_bytes = 4 * blocks[b];
			make(&spec, &w);
			assert_true(w.nr_sizes &&
				    !(w.nr_sizes & (w.nr_sizes - 1)));
			/* Lifetimes are whole rounds, so all are alike. */
			assert_int_equal(w.nr_objects % w.nr_sizes, 0);
			for (uint64_t i = 0; i < w.nr_objects; i++) {
				uint64_t at = i & (w.nr_sizes - 1);
				uint64_t size = straddle ? w.sizes32[at] :
							   w.sizes16[at];

				assert_true(size >= 8);
				bytes += rounded(size);
				most = size > most ? size : most;
				exceed += size > blocks[b];
			}
			assert_int_equal(w.lifetime_bytes, bytes);
			assert_int_equal(w.region_bytes_max, bytes);
			if (strcmp(spec.kernel, "sites"))
				assert_true(bytes >= spec.lifetime_bytes);
			else
				assert_true(bytes <= spec.lifetime_bytes);
			assert_int_equal(w.object_bytes_max, most);
			/* Some straddle a block; no others do. */
			assert_int_equal(exceed > 0, straddle);
			assert_true(straddle || most <= 4096);
			assert_int_equal(w.nr_objects %
					 fl_workload_turn(spec.kernel), 0);
			fl_workload_free(&w);
		}
}

/* Follow a program, and compare what it does with what is said of it. */
static void check_program(const struct fl_workload *w, bool stack)
{
	struct {
		bool alive;
		uint64_t bytes, objects;
	} slots[NR_SLOTS_MAX] = { { .alive = false } };
	uint64_t alive_objects = 0, most_objects = 0, most_bytes = 0;
	uint64_t nr_objects = 0, nr_events = 0, total_bytes = 0, largest = 0;
	uint32_t current = NR_SLOTS_MAX, alive = 0, most_alive = 0;

	for (uint64_t i = 0; i < w->nr_words; i++) {
		uint32_t op = w->program[i], slot = op & FL_SLOT_MASK;
		uint64_t bytes = op;

		if (op >= FL_OP_BASE && (op & FL_OP_MASK) != FL_OP_LARGE) {
			assert_true(slot < w->nr_regions_max);
			assert_int_equal(slots[slot].alive,
					 (op & FL_OP_MASK) != FL_OP_CREATE);
			nr_events += (op & FL_OP_MASK) != FL_OP_SWITCH;
		}
		switch (op < FL_OP_BASE ? 0 : op & FL_OP_MASK) {
		case FL_OP_CREATE:
			slots[slot].alive = true;
			/* Calls go one deeper at a time. */
			assert_true(!stack || slot == alive);
			alive++;
			most_alive = alive > most_alive ? alive : most_alive;
			current = slot;
			continue;
		case FL_OP_SWITCH:
			assert_true(!stack || slot == alive - 1);
			current = slot;
			continue;
		case FL_OP_DESTROY:
			slots[slot].alive = false;
			assert_true(!stack || slot == alive - 1);
			alive--;
			if (current == slot)
				current = NR_SLOTS_MAX;
			__attribute__((fallthrough));
		case FL_OP_RESET:
			alive_objects -= slots[slot].objects;
			slots[slot].objects = slots[slot].bytes = 0;
			continue;
		case FL_OP_LARGE:
			assert_true(i + 2 < w->nr_words);
			bytes = w->program[i + 1] |
				(uint64_t)w->program[i + 2] << 32;
			i += 2;
			break;
		default:
			assert_true(op < FL_OP_BASE);
		}
		assert_true(current < NR_SLOTS_MAX && slots[current].alive);
		nr_objects++;
		nr_events++;
		slots[current].objects++;
		slots[current].bytes += rounded(bytes);
		total_bytes += rounded(bytes);
		alive_objects++;
		if (alive_objects > most_objects)
			most_objects = alive_objects;
		if (slots[current].bytes > most_bytes)
			most_bytes = slots[current].bytes;
		largest = bytes > largest ? bytes : largest;
	}
	/* Balanced: it can be run again. */
	assert_int_equal(alive, 0);
	assert_int_equal(w->nr_objects, nr_objects);
	assert_int_equal(w->nr_events, nr_events);
	assert_int_equal(w->nr_log, most_objects);
	assert_int_equal(w->lifetime_bytes, total_bytes);
	assert_int_equal(w->region_bytes_max, most_bytes);
	assert_int_equal(w->object_bytes_max, largest);
	assert_true(w->nr_regions_max >= most_alive);
}

static void test_nest(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 20; seed++) {
		struct fl_workload_spec spec = spec_of("nest");
		struct fl_workload w;

		spec.seed = seed;
		make(&spec, &w);
		assert_true(w.nr_regions_max <= NR_SLOTS_MAX);
		check_program(&w, true);
		assert_true(w.nr_objects >= 1 << 16);
		fl_workload_free(&w);
	}
}

/* Each program is sound, and is what it says it is. */
static void test_programs(void **state)
{
	static const struct {
		const char *name;
		uint64_t region_bytes, least;	/* the largest region */
		bool stack;
	} wanted[] = {
		{ "skewed", 1 << 20, 128 << 10, false },
		{ "phases", 16 << 20, 16 << 20, true },
		{ "outer", 256 << 10, 16 << 10, true },
		{ "grower", 6 << 20, 6 << 20, false },
	};

	(void)state;
	for (uint64_t seed = 1; seed < 4; seed++)
		for (size_t i = 0; i < NR_OF(wanted); i++) {
			struct fl_workload_spec spec = spec_of(wanted[i].name);
			struct fl_workload w;

			spec.seed = seed;
			make(&spec, &w);
			assert_true(w.nr_regions_max <= NR_SLOTS_MAX);
			check_program(&w, wanted[i].stack);
			assert_true(w.region_bytes_max >= wanted[i].least);
			/* The object that reaches the limit may exceed it. */
			assert_true(w.region_bytes_max <=
				    wanted[i].region_bytes + 4096);
			/* Enough events for 200 censuses, and for a rate. */
			assert_true(w.nr_events > 100000);
			fl_workload_free(&w);
		}
}

static void test_replay(void **state)
{
	const struct fl_workload_spec spec = spec_of("replay");
	struct fl_workload w;

	(void)state;
	make(&spec, &w);
	assert_int_equal(w.nr_objects, 8);
	assert_int_equal(w.nr_regions_max, 2);
	assert_int_equal(w.object_bytes_max, 1000000);
	assert_int_equal(w.region_bytes_max, 4096 + 1000000);
	/* When region 2 is cleared, which ends two. */
	assert_int_equal(w.nr_log, 5);
	check_program(&w, false);
	assert_ptr_equal(w.program, w.trace.words);
	fl_workload_free(&w);
	assert_null(w.program);
}

static void test_batch(void **state)
{
	const struct fl_workload_spec nest = spec_of("nest");
	const struct fl_workload_spec mix = spec_of("mix");
	struct fl_open_args args = { .cpu = 3, .limit_bytes = 5 };
	struct fl_heap heap;
	struct fl_region region;
	struct fl_batch batch;
	struct fl_workload w;

	(void)state;
	make(&mix, &w);
	fl_workload_batch(&w, &heap, &region, 17, &batch);
	assert_ptr_equal(batch.heap, &heap);
	assert_ptr_equal(batch.region, &region);
	assert_int_equal(batch.nr_lifetimes, 17);
	assert_int_equal(batch.nr_objects, w.nr_objects);
	assert_ptr_equal(batch.sizes16, w.sizes16);
	assert_int_equal(batch.nr_sizes, w.nr_sizes);
	assert_null(batch.log);
	fl_workload_open_args(&w, &args);
	assert_int_equal(args.region_bytes_max, w.region_bytes_max);
	assert_int_equal(args.object_bytes_max, w.object_bytes_max);
	assert_int_equal(args.nr_regions_max, 1);
	assert_int_equal(args.cpu, 3);
	assert_int_equal(args.limit_bytes, 5);
	fl_workload_free(&w);

	/* Scratch that a batch left behind is cleared for the next. */
	make(&nest, &w);
	w.slots[w.nr_regions_max - 1] = &region;
	w.states[0].log_head = 99;
	fl_workload_batch(&w, &heap, NULL, 1, &batch);
	assert_ptr_equal(batch.program, w.program);
	assert_int_equal(batch.nr_slots, w.nr_regions_max);
	for (uint32_t i = 0; i < batch.nr_slots; i++) {
		assert_null(batch.slots[i]);
		assert_null(batch.states[i].last);
		assert_int_equal(batch.states[i].log_head, 0);
	}
	fl_workload_free(&w);
}

static const uint64_t never = UINT64_MAX;

/* Sinks that count what they are told. */
struct counting_sinks {
	struct fl_slow_watch watch;
	struct fl_event_sink events;
	uint64_t nr_objects, nr_created, nr_died;
};

static void count_slow(struct fl_slow_watch *watch, uint64_t nr, bool timed,
		       uint64_t ticks)
{
	(void)watch;
	(void)nr;
	(void)timed;
	(void)ticks;
	fail_msg("the oracle has no slow path");
}

static struct counting_sinks *of(struct fl_event_sink *events)
{
	return (struct counting_sinks *)(void *)
		((char *)events - offsetof(struct counting_sinks, events));
}

static void count_object(struct fl_event_sink *events, char *object,
			 uint64_t bytes)
{
	assert_non_null(object);
	(void)bytes;
	of(events)->nr_objects++;
}

static void count_created(struct fl_event_sink *events, uint32_t slot)
{
	assert_int_equal(events->slot, slot);
	of(events)->nr_created++;
}

static void count_died(struct fl_event_sink *events, uint32_t slot)
{
	(void)slot;
	of(events)->nr_died++;
}

/*
 * Run one instance on the oracle, which aborts when a region gets more than the
 * workload said; with a log that has no entry more than it said.
 */
static uint64_t run(struct fl_workload *w, const struct fl_kernel *kernel,
		    uint64_t nr_lifetimes)
{
	struct counting_sinks sinks = {
		.watch = { .due = &never, .slow = count_slow },
		.events = { .object = count_object, .created = count_created,
			    .died = count_died },
	};
	struct fl_logged *log = calloc(w->nr_log, sizeof(*log));
	const bool program = fl_workload_is_program(w);
	struct fl_batch_result result = { .error = -1 };
	struct fl_open_args args = { .cpu = -1 };
	struct fl_region *region = NULL;
	struct fl_batch batch;
	struct fl_heap *heap;

	assert_non_null(log);
	fl_workload_open_args(w, &args);
	assert_int_equal(fl_oracle.open(&args, &heap), 0);
	if (!program)
		assert_int_equal(fl_oracle.region_create(heap, &region), 0);
	fl_workload_batch(w, heap, region, nr_lifetimes, &batch);
	batch.log = log;
	batch.nr_log = w->nr_log;
	batch.watch = &sinks.watch;
	batch.events = &sinks.events;
	assert_int_equal(kernel->run(&batch, &result), 0);
	assert_int_equal(result.error, 0);
	assert_int_equal(result.nr_allocs, nr_lifetimes * w->nr_objects);
	if (program)
		assert_int_equal(result.nr_events, nr_lifetimes * w->nr_events);
	if (kernel->mode == FL_ACCOUNT && strcmp(kernel->name, "empty")) {
		assert_int_equal(sinks.nr_objects, result.nr_allocs);
		assert_int_equal(sinks.nr_objects + sinks.nr_created +
				 sinks.nr_died, result.nr_events);
	}
	if (region)
		fl_oracle.region_destroy(region);
	fl_oracle.close(heap);
	free(log);
	return result.checksum;
}

static void test_checksums(void **state)
{
	unsigned nr_run = 0;

	(void)state;
	for (size_t i = 0; i < fl_oracle.nr_kernels; i++) {
		const struct fl_kernel *kernel = &fl_oracle.kernels[i];
		struct fl_workload_spec spec = spec_of(kernel->name);
		const struct fl_kernel *reference =
			fl_kernel_find(&fl_oracle, kernel->name,
				       kernel->object_bytes, FL_REGISTER,
				       FL_TIMED);
		struct fl_workload w;

		if (kernel == reference)
			continue;
		assert_non_null(reference);
		spec.object_bytes = kernel->object_bytes;
		make(&spec, &w);
		for (uint64_t nr = 1; nr <= 3; nr += 2)
			assert_int_equal(run(&w, kernel, nr),
					 run(&w, reference, nr));
		fl_workload_free(&w);
		nr_run++;
	}
	/* Sixteen kernels and sizes, six further instances each; two planted. */
	assert_int_equal(nr_run, 16 * 6 + 2);
}

/* It depends on what is allocated, though. */
static void test_checksums_differ(void **state)
{
	(void)state;
	for (size_t k = 0; k < NR_OF(kernels); k++) {
		struct fl_workload_spec spec = spec_of(kernels[k]);
		const struct fl_kernel *kernel;
		struct fl_workload w;
		uint64_t once;

		make(&spec, &w);
		kernel = fl_kernel_find(&fl_oracle, fl_workload_code(kernels[k]),
					strcmp(kernels[k], "empty") ?
					w.spec.object_bytes : 0, FL_MEMORY,
					FL_TIMED);
		assert_non_null(kernel);
		once = run(&w, kernel, 1);
		assert_int_equal(run(&w, kernel, 1), once);
		assert_int_not_equal(run(&w, kernel, 2), once);
		fl_workload_free(&w);
	}
}

static void assert_refused(const struct fl_workload_spec *spec, int err,
			   const char *words)
{
	struct fl_complaint why = { "" };
	struct fl_workload w = { .nr_objects = 12345 };

	assert_int_equal(fl_workload_make(spec, &w, &why), err);
	if (!strstr(why.text, words))
		fail_msg("\"%s\" does not say \"%s\"", why.text, words);
	assert_null(strchr(why.text, '\n'));
	assert_int_equal(w.nr_objects, 12345);
}

static void test_refused(void **state)
{
	const struct {
		struct fl_workload_spec spec;
		const char *words;
	} refused[] = {
		{ { .kernel = "fil" },
		  "unknown kernel \"fil\": did you mean \"fill\"?" },
		{ { .kernel = "nests" }, "did you mean \"nest\"?" },
		{ { .kernel = "no such kernel" },
		  "unknown kernel \"no such kernel\"; `faultline list`" },
		{ { .kernel = "" }, "unknown kernel \"\"" },
		{ { .kernel = "fill", .object_bytes = 24 }, "not 24" },
		{ { .kernel = "fill", .object_bytes = 8 }, "16, 32, 64 and 128" },
		{ { .kernel = "unroll", .object_bytes = 128 },
		  "unroll is compiled for objects of 16, 32 and 64 bytes" },
		{ { .kernel = "fill", .block_bytes = 4095 },
		  "--block: 4095 is out of range" },
		{ { .kernel = "nest", .block_bytes = GIB + 1 },
		  "--block: 1073741825 is out of range" },
		{ { .kernel = "mix", .block_bytes = UINT64_MAX },
		  "--block: 18446744073709551615 is out of range" },
		{ { .kernel = "mix", .lifetime_bytes = 64 * GIB + 1 },
		  "--lifetime: 68719476737 is out of range" },
		{ { .kernel = "tree", .block_bytes = 8192,
		    .lifetime_bytes = 8191 },
		  "8191 bytes are less than one block of 8192" },
		{ { .kernel = "chain", .nr_ops = ((uint64_t)1 << 40) + 1 },
		  "--ops: 1099511627777 is out of range" },
		{ { .kernel = "empty", .object_bytes = 8192,
		    .block_bytes = 4096 },
		  "a block of 4096 bytes holds no object of 8192 bytes" },
		{ { .kernel = "replay" }, "kernel replay needs a trace" },
	};

	(void)state;
	for (size_t i = 0; i < NR_OF(refused); i++)
		assert_refused(&refused[i].spec, -EINVAL, refused[i].words);

	/* At the edge is within. */
	for (size_t i = 0; i < 2; i++) {
		const struct fl_workload_spec edge = {
			.kernel = "fill", .block_bytes = i ? GIB : 4096,
			.lifetime_bytes = i ? 64 * GIB : 4096,
			.nr_ops = i ? (uint64_t)1 << 40 : 1,
		};
		struct fl_workload w;

		make(&edge, &w);
		fl_workload_free(&w);
	}
}

static void write_trace(const char *text)
{
	FILE *f = fopen(trace_path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void test_refused_traces(void **state)
{
	struct fl_workload_spec spec = spec_of("replay");

	(void)state;
	write_trace("faultline-trace 1\nc 1 0\nd 1\n");
	assert_refused(&spec, -EINVAL, "allocates nothing");
	write_trace("faultline-trace 1\nc 1 0\na 2 8\n");
	assert_refused(&spec, -EINVAL, ":3: ");
	write_trace(trace_text);
	spec.trace = "/nonexistent/trace";
	assert_refused(&spec, -ENOENT, "/nonexistent/trace");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seed),
		cmocka_unit_test(test_describe),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_constant_sizes),
		cmocka_unit_test(test_nr_lifetimes),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_nest),
		cmocka_unit_test(test_programs),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_checksums_differ),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_traces),
	};
	int fd = mkstemp(trace_path), failed;

	if (fd < 0 || write(fd, trace_text, sizeof(trace_text) - 1) !=
		      (ssize_t)sizeof(trace_text) - 1)
		return 99;
	close(fd);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	failed = cmocka_run_group_tests_name("workload", tests, NULL, NULL);
	unlink(trace_path);
	return failed;
}

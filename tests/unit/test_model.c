/* SPDX-License-Identifier: MIT */
/*
 * The model of slow-path events against arithmetic where there is a formula, and
 * else against allocators that really hand out addresses, byte for byte, and
 * note when they had to be helped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "faultline/program.h"
#include "harness/model.h"
#include "vm/reserve.h"

#define KIB		((uint64_t)1 << 10)
#define MIB		((uint64_t)1 << 20)
#define NR_SLOTS	32u

#define NR_OF(array)	(sizeof(array) / sizeof((array)[0]))

/* A strategy that is nothing but its geometry. */
struct heap {
	struct fl_heap pub;
	struct fl_geometry geometry;
};

static void geometry_of(const struct fl_heap *pub, struct fl_geometry *out)
{
	*out = ((const struct heap *)pub)->geometry;
}

/* Large blocks of 2^k ordinary ones. */
static uint64_t doubled(const struct fl_heap *pub, uint64_t bytes)
{
	uint64_t usable = ((const struct heap *)pub)->geometry.block_bytes;

	while (usable < bytes)
		usable *= 2;
	return usable;
}

static const struct fl_strategy exact = { .geometry = geometry_of };
static const struct fl_strategy rounding = {
	.geometry = geometry_of, .large_block_bytes = doubled,
};

/*
 * The allocator that is compared with.  A region bumps down through addresses.
 * Blocks: from the top of each block to its base.  Extended: through one span,
 * whose pages are usable or not.
 */
struct region {
	uint64_t bump, base;	/* addresses */
	uint64_t step;
	unsigned char *usable;	/* extended: one for each page of the span */
};

struct allocator {
	const struct fl_strategy *strategy;
	struct heap heap;
	struct region slots[NR_SLOTS];
	unsigned char *dead[NR_SLOTS];	/* spans of dead regions, LIFO */
	size_t nr_dead;
	uint64_t next_address;
	uint64_t nr_events;
};

static bool extends(const struct allocator *a)
{
	return a->heap.geometry.step_bytes > 0;
}

static void new_block(struct allocator *a, struct region *r, uint64_t bytes)
{
	r->base = a->next_address;
	r->bump = r->base + bytes;
	a->next_address = r->bump;
}

static uint64_t nr_pages(const struct allocator *a)
{
	return a->heap.geometry.block_bytes / fl_page_bytes();
}

/* The region at its start: after a creation or a reset. */
static void begin(struct allocator *a, struct region *r)
{
	const struct fl_geometry *g = &a->heap.geometry;

	if (!extends(a)) {
		new_block(a, r, g->start_bytes);
		return;
	}
	r->bump = g->block_bytes;
	if (g->rearms) {
		memset(r->usable, 0, nr_pages(a));
		r->step = g->step_bytes;
	}
}

static void create(struct allocator *a, uint32_t slot)
{
	struct region *r = &a->slots[slot];

	*r = (struct region){ .step = a->heap.geometry.step_bytes };
	if (extends(a)) {
		r->usable = a->nr_dead ? a->dead[--a->nr_dead] :
					 calloc(nr_pages(a), 1);
		assert_non_null(r->usable);
	}
	begin(a, r);
}

static void destroy(struct allocator *a, uint32_t slot)
{
	begin(a, &a->slots[slot]);
	if (extends(a))
		a->dead[a->nr_dead++] = a->slots[slot].usable;
}

static void reset(struct allocator *a, uint32_t slot)
{
	begin(a, &a->slots[slot]);
}

/* Make usable what @r's bump has reached, and a step at least. */
static void extend(struct allocator *a, struct region *r)
{
	const struct fl_geometry *g = &a->heap.geometry;
	const uint64_t page = fl_page_bytes();
	uint64_t lowest = g->block_bytes / page;

	if (r->usable[r->bump / page])
		return;
	a->nr_events++;
	while (r->usable[lowest - 1])
		lowest--;
	for (uint64_t done = 0; lowest && (done < r->step ||
					   lowest > r->bump / page);
	     done += page)
		r->usable[--lowest] = 1;
	if (g->doubling && r->step < g->step_bytes_max)
		r->step *= 2;
}

static void allocate(struct allocator *a, struct region *r, uint64_t bytes)
{
	const struct fl_geometry *g = &a->heap.geometry;
	uint64_t block = g->block_bytes;

	/* Zero bytes are an object, too. */
	bytes = bytes ? (bytes + 7) / 8 * 8 : 8;
	if (extends(a)) {
		assert_true(bytes <= r->bump);
		r->bump -= bytes;
		extend(a, r);
		return;
	}
	if (r->bump - r->base < bytes) {
		a->nr_events++;
		if (bytes > block)
			block = a->strategy->large_block_bytes ?
				doubled(&a->heap.pub, bytes) : bytes;
		new_block(a, r, block);
	}
	r->bump -= bytes;
}

static void run_program(struct allocator *a, const uint32_t *words, uint64_t nr)
{
	uint32_t current = 0;

	for (uint64_t i = 0; i < nr; i++) {
		uint32_t slot = words[i] & FL_SLOT_MASK;

		if (words[i] < FL_OP_BASE) {
			allocate(a, &a->slots[current], words[i]);
			continue;
		}
		switch (words[i] & FL_OP_MASK) {
		case FL_OP_CREATE:
			create(a, slot);
			current = slot;
			break;
		case FL_OP_SWITCH:
			current = slot;
			break;
		case FL_OP_RESET:
			reset(a, slot);
			break;
		case FL_OP_DESTROY:
			destroy(a, slot);
			break;
		case FL_OP_LARGE:
			allocate(a, &a->slots[current], words[i + 1] |
				 (uint64_t)words[i + 2] << 32);
			i += 2;
			break;
		}
	}
}

static void run_lifetime(struct allocator *a, const struct fl_workload *w)
{
	for (uint64_t i = 1; i <= w->nr_objects; i++)
		allocate(a, &a->slots[0],
			 w->sizes16 && w->sizes16[i % w->nr_sizes] ?
			 w->sizes16[i % w->nr_sizes] :
			 w->sizes32 ? w->sizes32[i % w->nr_sizes] :
			 w->spec.object_bytes);
	reset(a, 0);
}

static struct allocator *new_allocator(const struct fl_strategy *strategy,
				       const struct fl_geometry *geometry)
{
	struct allocator *a = calloc(1, sizeof(*a));

	assert_non_null(a);
	a->strategy = strategy;
	a->heap.geometry = *geometry;
	return a;
}

static void free_allocator(struct allocator *a)
{
	while (a->nr_dead)
		free(a->dead[--a->nr_dead]);
	free(a);
}

static struct fl_model *new_model(struct allocator *a)
{
	struct fl_model *model = fl_model_new(a->strategy, &a->heap.pub,
					      NR_SLOTS);

	assert_non_null(model);
	return model;
}

/* The same number of events in every batch, whatever batches are cut into. */
static void check(const struct fl_strategy *strategy,
		  const struct fl_geometry *geometry, const struct fl_workload *w)
{
	static const uint64_t batches[] = { 1, 2, 1 };
	struct allocator *a = new_allocator(strategy, geometry);
	struct fl_model *model = new_model(a);
	const bool program = fl_workload_is_program(w);

	if (!program) {
		create(a, 0);
		fl_model_create(model, 0);
	}
	for (size_t b = 0; b < NR_OF(batches); b++) {
		a->nr_events = 0;
		for (uint64_t l = 0; l < batches[b]; l++) {
			if (program)
				run_program(a, w->program, w->nr_words);
			else
				run_lifetime(a, w);
		}
		assert_int_equal(fl_model_run(model, w, batches[b]),
				 a->nr_events);
	}
	if (!program) {
		destroy(a, 0);
		fl_model_destroy(model, 0);
	}
	fl_model_free(model);
	free_allocator(a);
}

static const struct fl_geometry branching[] = {
	{ .start_bytes = 64 * KIB, .block_bytes = 64 * KIB, .rearms = true },
	{ .start_bytes = 0, .block_bytes = 64 * KIB, .rearms = true },
	{ .start_bytes = 4 * KIB, .block_bytes = 4 * KIB, .rearms = true },
	{ .start_bytes = 0, .block_bytes = 12 * KIB, .rearms = true },
	{ .start_bytes = MIB, .block_bytes = MIB, .rearms = true },
};

/* One span of 256 MiB, extended in steps. */
#define EXTENDING(step, most, doubles, rearmed)				\
	{								\
		.block_bytes = 256 * MIB, .step_bytes = (step),		\
		.step_bytes_max = (most), .doubling = (doubles),	\
		.rearms = (rearmed),					\
	}

static const struct fl_geometry extending[] = {
	EXTENDING(4 * KIB, 1024 * MIB, false, true),
	EXTENDING(64 * KIB, 1024 * MIB, false, true),
	EXTENDING(MIB, 1024 * MIB, false, true),
	EXTENDING(4 * KIB, 1024 * MIB, true, true),
	EXTENDING(4 * KIB, 64 * KIB, true, true),
	EXTENDING(12 * KIB, 96 * KIB, true, true),
	EXTENDING(4 * KIB, 1024 * MIB, false, false),
	EXTENDING(64 * KIB, 1024 * MIB, false, false),
	EXTENDING(4 * KIB, 1024 * MIB, true, false),
	EXTENDING(8 * KIB, 32 * KIB, true, false),
};

static struct fl_workload constant(uint32_t object_bytes, uint64_t nr_objects)
{
	return (struct fl_workload){
		.spec = { .kernel = "fill", .object_bytes = object_bytes },
		.nr_objects = nr_objects,
	};
}

static uint64_t events_of(const struct fl_strategy *strategy,
			  const struct fl_geometry *geometry,
			  const struct fl_workload *w, uint64_t nr_lifetimes)
{
	struct heap heap = { .geometry = *geometry };
	struct fl_model *model = fl_model_new(strategy, &heap.pub, 1);
	uint64_t events;

	assert_non_null(model);
	fl_model_create(model, 0);
	events = fl_model_run(model, w, nr_lifetimes);
	fl_model_free(model);
	return events;
}

/* Where every object has the same size there is a formula. */
static void test_formulas(void **state)
{
	static const uint32_t sizes[] = { 8, 16, 24, 32, 64, 128 };
	static const uint64_t numbers[] = {
		0, 1, 2, 255, 256, 257, 4096, 4097, 65536, 100000,
	};

	(void)state;
	for (size_t s = 0; s < NR_OF(sizes); s++)
		for (size_t n = 0; n < NR_OF(numbers); n++) {
			const struct fl_workload w = constant(sizes[s],
							      numbers[n]);
			uint64_t bytes = sizes[s] * numbers[n], want;

			for (size_t g = 0; g < NR_OF(branching); g++) {
				uint64_t fit = branching[g].block_bytes /
					       sizes[s];

				/* Blocks needed, less the one to start with. */
				want = (numbers[n] + fit - 1) / fit;
				want -= want && branching[g].start_bytes;
				assert_int_equal(events_of(&exact, &branching[g],
							   &w, 3), 3 * want);
			}
			/* Steps needed. */
			for (size_t g = 0; g < 3; g++) {
				want = (bytes + extending[g].step_bytes - 1) /
				       extending[g].step_bytes;
				assert_int_equal(events_of(&exact, &extending[g],
							   &w, 3), 3 * want);
			}
			/* As many, but in the first lifetime alone. */
			want = (bytes + 64 * KIB - 1) / (64 * KIB);
			assert_int_equal(events_of(&exact, &extending[7], &w, 1),
					 want);
			assert_int_equal(events_of(&exact, &extending[7], &w, 9),
					 want);
			/* 1 + 2 + 4 ... pages: the number of binary digits. */
			for (want = 0; bytes > ((1u << want) - 1) * 4 * KIB;)
				want++;
			assert_int_equal(events_of(&exact, &extending[3], &w, 2),
					 2 * want);
		}
}

static void test_constants(void **state)
{
	static const uint32_t sizes[] = { 16, 24, 128, 1000, 5000, 70000 };

	(void)state;
	for (size_t s = 0; s < NR_OF(sizes); s++) {
		const struct fl_workload w = constant(sizes[s],
						      MIB / 2 / sizes[s] + 1);

		for (size_t g = 0; g < NR_OF(branching); g++) {
			check(&exact, &branching[g], &w);
			check(&rounding, &branching[g], &w);
		}
		for (size_t g = 0; g < NR_OF(extending); g++)
			check(&exact, &extending[g], &w);
	}
}

/* Sizes from tables, as the harness makes them. */
static void check_made(const struct fl_workload_spec *spec)
{
	struct fl_complaint why = { "" };
	struct fl_workload w;

	if (fl_workload_make(spec, &w, &why))
		fail_msg("%s", why.text);
	for (size_t g = 0; g < NR_OF(branching); g++) {
		check(&exact, &branching[g], &w);
		check(&rounding, &branching[g], &w);
	}
	for (size_t g = 0; g < NR_OF(extending); g++)
		check(&exact, &extending[g], &w);
	fl_workload_free(&w);
}

static void test_tables(void **state)
{
	static const char *const kernels[] = { "mix", "sites", "straddle" };

	(void)state;
	for (size_t k = 0; k < NR_OF(kernels); k++)
		for (uint64_t seed = 1; seed < 4; seed++) {
			const struct fl_workload_spec spec = {
				.kernel = kernels[k], .block_bytes = 4 * KIB,
				.lifetime_bytes = 200 * KIB, .seed = seed,
			};

			check_made(&spec);
		}
}

static void test_nest(void **state)
{
	const struct fl_workload_spec spec = { .kernel = "nest", .seed = 5 };

	(void)state;
	check_made(&spec);
}

static void check_program(const uint32_t *words, uint64_t nr)
{
	const struct fl_workload w = {
		.spec = { .kernel = "replay" },
		.program = (uint32_t *)(uintptr_t)words, .nr_words = nr,
		.nr_regions_max = NR_SLOTS,
	};

	for (size_t g = 0; g < NR_OF(branching); g++) {
		check(&exact, &branching[g], &w);
		check(&rounding, &branching[g], &w);
	}
	for (size_t g = 0; g < NR_OF(extending); g++)
		check(&exact, &extending[g], &w);
}

/* Programs small enough to follow. */
static void test_programs(void **state)
{
	static const uint32_t no_object[] = {
		FL_OP_CREATE | 0, FL_OP_DESTROY | 0,
	};
	static const uint32_t zero_bytes[] = {
		FL_OP_CREATE | 0, 0, 0, 0, 4080, 0, FL_OP_DESTROY | 0,
	};
	/* What is left of a block is lost, and resets begin anew. */
	static const uint32_t resets[] = {
		FL_OP_CREATE | 0, 3000, 3000, 3000, FL_OP_RESET | 0, 4096, 8,
		FL_OP_RESET | 0, FL_OP_RESET | 0, 4095, 1, FL_OP_DESTROY | 0,
	};
	static const uint32_t switches[] = {
		FL_OP_CREATE | 0, 2000, FL_OP_CREATE | 1, 3000,
		FL_OP_SWITCH | 0, 2000, FL_OP_SWITCH | 1, 3000,
		FL_OP_CREATE | 2, 100000, FL_OP_SWITCH | 0, 200,
		FL_OP_DESTROY | 1, FL_OP_RESET | 2, 8, FL_OP_DESTROY | 0,
		FL_OP_SWITCH | 2, 70000, FL_OP_DESTROY | 2,
	};
	/* 5 MiB and 8 bytes, and 64 MiB. */
	static const uint32_t large[] = {
		FL_OP_CREATE | 3, 8, FL_OP_LARGE, 0x500008, 0, 8,
		FL_OP_CREATE | 0, FL_OP_LARGE, 0x4000000, 0, 16,
		FL_OP_DESTROY | 0, FL_OP_SWITCH | 3, 4096, FL_OP_DESTROY | 3,
	};
	/* Two die with different room; the last dead is used first. */
	static const uint32_t passed_on[] = {
		FL_OP_CREATE | 0, 100000, FL_OP_CREATE | 1, 300000,
		FL_OP_DESTROY | 0, FL_OP_DESTROY | 1,
		FL_OP_CREATE | 2, 250000, FL_OP_CREATE | 3, 150000,
		FL_OP_DESTROY | 2, FL_OP_DESTROY | 3,
	};

	(void)state;
	check_program(no_object, NR_OF(no_object));
	check_program(zero_bytes, NR_OF(zero_bytes));
	check_program(resets, NR_OF(resets));
	check_program(switches, NR_OF(switches));
	check_program(large, NR_OF(large));
	check_program(passed_on, NR_OF(passed_on));
}

/* And one whose numbers are worked out by hand. */
static void test_by_hand(void **state)
{
	static const uint32_t words[] = {
		/* Blocks of 4 KiB: 1st block full to the byte, a 2nd, a 3rd. */
		FL_OP_CREATE | 0, 4096, 8, 4096,
		/* A large one of its own, and then another block. */
		FL_OP_LARGE, 20000, 0, 8,
		/* The other region: room for it in its first block. */
		FL_OP_CREATE | 1, 4000, FL_OP_DESTROY | 1, FL_OP_DESTROY | 0,
	};
	const struct fl_workload w = {
		.spec = { .kernel = "replay" },
		.program = (uint32_t *)(uintptr_t)words,
		.nr_words = NR_OF(words), .nr_regions_max = 2,
	};
	struct heap heap = {
		.geometry = {
			.start_bytes = 4096, .block_bytes = 4096, .rearms = true,
		},
	};
	struct fl_model *model = fl_model_new(&exact, &heap.pub, 2);

	(void)state;
	assert_non_null(model);
	assert_int_equal(fl_model_run(model, &w, 1), 4);
	assert_int_equal(fl_model_run(model, &w, 5), 20);
	fl_model_free(model);

	/* A large block of 32 KiB has room for the 8 bytes. */
	model = fl_model_new(&rounding, &heap.pub, 2);
	assert_non_null(model);
	assert_int_equal(fl_model_run(model, &w, 1), 3);
	fl_model_free(model);

	/* No block to start with: each region's first object costs one more. */
	heap.geometry.start_bytes = 0;
	model = fl_model_new(&exact, &heap.pub, 2);
	assert_non_null(model);
	assert_int_equal(fl_model_run(model, &w, 1), 6);
	fl_model_free(model);

	/*
	 * Pages as they are needed, kept over deaths.  First pass: after 4096,
	 * 4104, 8200 and 28200 bytes a page or more is missing; 28208 still fit
	 * seven.  The other region needs one.  Its room is passed on last.
	 */
	heap.geometry = (struct fl_geometry)EXTENDING(4096, 4096, false, false);
	model = fl_model_new(&exact, &heap.pub, 2);
	assert_non_null(model);
	assert_int_equal(fl_model_run(model, &w, 1), 5);
	assert_int_equal(fl_model_run(model, &w, 1), 0);
	fl_model_trim(model);
	assert_int_equal(fl_model_run(model, &w, 1), 5);
	fl_model_free(model);
}

/* Regions made outside of batches: a fresh one each lifetime. */
static void test_fresh(void **state)
{
	const struct fl_workload w = constant(16, 4 * 256);
	struct allocator *a = new_allocator(&exact, &extending[6]);
	struct fl_model *model = new_model(a);

	(void)state;
	for (int i = 0; i < 3; i++) {
		fl_model_create(model, 0);
		assert_int_equal(fl_model_run(model, &w, 1), i ? 0 : 4);
		fl_model_destroy(model, 0);
	}
	fl_model_trim(model);
	fl_model_create(model, 0);
	assert_int_equal(fl_model_run(model, &w, 1), 4);
	fl_model_free(model);
	free_allocator(a);
}

/* The end of the span: the last step is what is left. */
static void test_span_end(void **state)
{
	const struct fl_geometry g = {
		.block_bytes = 40 * KIB, .step_bytes = 16 * KIB,
		.step_bytes_max = MIB, .doubling = true, .rearms = true,
	};
	struct fl_workload w = constant(8, 5 * KIB);

	(void)state;
	/* 16 KiB, then 24 of the 32 that a step would be. */
	assert_int_equal(events_of(&exact, &g, &w, 1), 2);
	check(&exact, &g, &w);
}

static void test_empty(void **state)
{
	struct fl_workload w = constant(16, 100000);

	(void)state;
	w.spec.kernel = "empty";
	assert_int_equal(events_of(&exact, &branching[2], &w, 10), 0);
	assert_int_equal(events_of(&exact, &extending[0], &w, 10), 0);
	assert_int_equal(events_of(&exact, &branching[2], &w, 0), 0);
	fl_model_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formulas),
		cmocka_unit_test(test_constants),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_nest),
		cmocka_unit_test(test_programs),
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_fresh),
		cmocka_unit_test(test_span_end),
		cmocka_unit_test(test_empty),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}

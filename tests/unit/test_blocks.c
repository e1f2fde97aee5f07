/* SPDX-License-Identifier: MIT */
/*
 * Blocks: which one is given, which one an address belongs to, what is said to
 * be owned, and what happens when there are no more.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "vm/blocks.h"
#include "vm/census.h"
#include "vm/sanitized.h"

#define KIB	((size_t)1 << 10)
#define MIB	((size_t)1 << 20)
#define TIB	((size_t)1 << 40)

/* More mappings than this take too long to use up. */
#define VMAS_MAX	100000u

#define RANGES_MAX	16u

static size_t page;

/* A strategy's own structs: larger than what vm/blocks.h knows of. */
struct heap {
	struct fl_blocks blocks;
	char more[5000];
};

struct region {
	struct fl_region pub;
	uint64_t more[10];
};

static struct fl_region owner;		/* whoever blocks are taken for */

static struct fl_open_args args_of(uint64_t object_bytes_max,
				   uint32_t nr_regions_max)
{
	return (struct fl_open_args){
		.region_bytes_max = MIB,
		.object_bytes_max = object_bytes_max,
		.nr_regions_max = nr_regions_max, .cpu = -1,
	};
}

static struct fl_blocks_config config_of(size_t block_bytes, size_t guard_bytes,
					 enum fl_guard_kind guard)
{
	return (struct fl_blocks_config){
		.block_bytes = block_bytes, .guard_bytes = guard_bytes,
		.guard = guard, .access = FL_OPEN,
		.record_bytes = sizeof(struct region),
	};
}

static struct fl_blocks *open_or_skip(const struct fl_open_args *args,
				      const struct fl_blocks_config *config)
{
	struct fl_heap *heap = NULL;
	int err = fl_blocks_open(args, config, sizeof(struct heap), &heap);

	if (err == -ENOMEM) {
		print_message("a terabyte of addresses is not to be had here\n");
		skip();
	}
	assert_int_equal(err, 0);
	return (struct fl_blocks *)heap;
}

/* What most tests want: 64 KiB blocks, and a guard of two pages below each. */
static struct fl_blocks *open_usual(void)
{
	const struct fl_open_args args = args_of(4096, 4);
	const struct fl_blocks_config config =
		config_of(64 * KIB, 2 * page, FL_GUARD_PROT_NONE);

	return open_or_skip(&args, &config);
}

static struct fl_block *take(struct fl_blocks *b, uint64_t bytes)
{
	struct fl_block *block = fl_blocks_take(b, bytes, &owner);

	assert_non_null(block);
	assert_true(block->bytes >= bytes);
	assert_ptr_equal(block->owner, &owner);
	assert_null(block->next);
	return block;
}

static void close_blocks(struct fl_blocks *b)
{
	fl_blocks_close(&b->pub);
}

static unsigned nr_vmas(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned lines = 0;
	int c;

	assert_non_null(f);
	while ((c = getc(f)) != EOF)
		lines += c == '\n';
	fclose(f);
	return lines;
}

/* The signal that a write to @p raises, or 0. */
static int signal_of_write(char *p)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child) {
		signal(SIGSEGV, SIG_DFL);
		*(volatile char *)p = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_layout(void **state)
{
	static const struct {
		size_t block_bytes, guard_pages;
		enum fl_guard_kind guard;
	} layouts[] = {
		{ 4 * KIB, 0, FL_GUARD_NONE },
		{ 10000, 0, FL_GUARD_NONE },
		{ 64 * KIB, 1, FL_GUARD_PROT_NONE },
		{ 64 * KIB, 17, FL_GUARD_PROT_NONE },
		{ 12 * KIB, 17, FL_GUARD_MADVISE },
		{ MIB, 3, FL_GUARD_MADVISE },
	};
	const struct fl_open_args args = args_of(100, 8);

	(void)state;
	for (size_t i = 0; i < sizeof(layouts) / sizeof(*layouts); i++) {
		size_t guard_bytes = layouts[i].guard_pages * page;
		size_t block_bytes = fl_page_round(layouts[i].block_bytes);
		struct fl_blocks_config config = config_of(
			layouts[i].block_bytes, guard_bytes, layouts[i].guard);
		unsigned vmas = nr_vmas();
		struct fl_block *block[4];
		struct fl_blocks *b;

		if (fl_guard_probe(layouts[i].guard))
			continue;
		b = open_or_skip(&args, &config);
		for (size_t k = 0; k < 4; k++) {
			block[k] = take(b, 1);
			assert_int_equal(block[k]->bytes, block_bytes);
			assert_int_equal((uintptr_t)block[k]->base % page, 0);
			assert_int_equal(block[k]->state, 0);
			assert_int_equal(block[k]->order, 0);
			assert_ptr_equal(fl_block_top(block[k]),
					 block[k]->base + block_bytes);
			/* One after the other, each with its guard. */
			if (k)
				assert_ptr_equal(block[k]->base,
					fl_block_top(block[k - 1]) + guard_bytes);
			memset(block[k]->base, 1, block_bytes);
			if (guard_bytes) {
				char *guard = block[k]->base - guard_bytes;

				assert_int_equal(signal_of_write(guard), SIGSEGV);
				assert_int_equal(signal_of_write(
					block[k]->base - 1), SIGSEGV);
			}
		}
		close_blocks(b);
		/* ThreadSanitizer maps its own. */
		assert_true(FL_HAVE_TSAN || nr_vmas() == vmas);
	}
}

/* The last given is the first taken; what the strategy wrote down stays. */
static void test_lifo(void **state)
{
	struct fl_blocks *b = open_usual();
	struct fl_block *block[8];

	(void)state;
	for (uint32_t i = 0; i < 8; i++) {
		block[i] = take(b, 1);
		block[i]->state = i + 100;
	}
	for (size_t i = 0; i < 8; i++) {
		fl_blocks_give(b, block[i]);
		assert_null(block[i]->owner);
	}
	for (size_t i = 8; i-- > 0;) {
		assert_ptr_equal(take(b, 1), block[i]);
		assert_int_equal(block[i]->state, i + 100);
	}
	assert_ptr_equal(fl_blocks_take(b, 1, NULL)->base,
			 fl_block_top(block[7]) + 2 * page);

	/* A chain is given from its first on. */
	for (size_t i = 0; i < 7; i++)
		block[i]->next = block[i + 1];
	fl_blocks_give_chain(b, block[0]);
	for (size_t i = 8; i-- > 0;)
		assert_ptr_equal(take(b, 1), block[i]);
	fl_blocks_give_chain(b, NULL);
	close_blocks(b);
}

static uint64_t resident_pages(const char *base, size_t bytes)
{
	struct fl_census census;
	uint64_t pages = 0;

	assert_int_equal(fl_census_open(&census), 0);
	assert_int_equal(fl_census_pages(&census, census.best, base, bytes,
					 &pages), 0);
	fl_census_close(&census);
	return pages;
}

/* Objects above a block: 2^order slots, the inner guards part of it. */
static void test_runs(void **state)
{
	struct fl_blocks *b = open_usual();
	const uint64_t stride = 64 * KIB + 2 * page;
	struct fl_block *run[6], *one;

	(void)state;
	for (uint32_t order = 0; order < 6; order++) {
		uint64_t usable = (stride << order) - 2 * page;

		assert_int_equal(fl_blocks_usable(&b->pub, usable), usable);
		assert_int_equal(fl_blocks_usable(&b->pub, usable + 1),
				 (stride << (order + 1)) - 2 * page);
		run[order] = take(b, usable);
		assert_int_equal(run[order]->order, order);
		assert_int_equal(run[order]->bytes, usable);
		memset(run[order]->base, 1, usable);
		assert_int_equal(signal_of_write(run[order]->base - 1), SIGSEGV);
	}
	assert_int_equal(fl_blocks_usable(&b->pub, 0), 64 * KIB);

	/* A list for each order; between guards runs are neither split nor joined. */
	for (size_t i = 0; i < 6; i++)
		fl_blocks_give(b, run[i]);
	one = take(b, 1);
	assert_ptr_equal(one, run[0]);
	one = take(b, 1);
	assert_true(one->base > run[5]->base);
	assert_ptr_equal(take(b, 3 * stride), run[2]);
	assert_ptr_equal(take(b, 5 * stride), run[3]);
	assert_true(take(b, 5 * stride)->base > run[5]->base);
	assert_ptr_equal(take(b, 64 * KIB + 1), run[1]);

	assert_null(fl_blocks_take(b, UINT64_MAX, &owner));
	assert_null(fl_blocks_take(b, (uint64_t)1 << 63, &owner));
	assert_int_equal(fl_blocks_usable(&b->pub, UINT64_MAX), 0);
	close_blocks(b);
}

/* Without guards a larger free run serves, from its low end, before fresh memory. */
static void test_split(void **state)
{
	const struct fl_open_args args = args_of(4096, 4);
	struct fl_blocks_config config = config_of(64 * KIB, 0, FL_GUARD_PROT_NONE);
	struct fl_blocks *b;

	(void)state;
	config.retain = (struct fl_retain_config){ .when = FL_RETAIN_AGE,
						   .deaths = 2 };
	for (int policy = 0; policy < 2; policy++) {
		struct fl_block *run, *part[4];

		if (!policy)
			config.retain.when = FL_RETAIN_NEVER;
		else
			config.retain.when = FL_RETAIN_AGE;
		b = open_or_skip(&args, &config);
		run = take(b, 512 * KIB);
		memset(run->base, 1, run->bytes);
		fl_blocks_give(b, run);
		fl_blocks_death(b);
		for (int i = 0; i < 4; i++) {
			/* 128, 64, 64 and 256 KiB of it. */
			static const size_t at[] = { 0, 128, 192, 256 };
			static const size_t kib[] = { 128, 64, 64, 256 };

			part[i] = take(b, kib[i] * KIB);
			assert_int_equal(part[i]->bytes, kib[i] * KIB);
			assert_ptr_equal(part[i]->base, part[0]->base + at[i] * KIB);
			assert_ptr_equal(part[i]->owner, &owner);
			assert_ptr_equal(fl_blocks_find(b, part[i]->base), part[i]);
		}
		assert_ptr_equal(part[0], run);
		assert_true(take(b, 1)->base >= run->base + 512 * KIB);
		if (!policy) {
			fl_blocks_close(&b->pub);
			continue;
		}
		/* Each half ages by itself. */
		fl_blocks_give(b, part[3]);
		for (int i = 0; i < 4; i++)
			fl_blocks_death(b);
		assert_int_equal(resident_pages(part[3]->base, 256 * KIB), 0);
		assert_int_equal(resident_pages(part[0]->base, 256 * KIB),
				 256 * KIB / page);
		assert_int_equal(b->pub.events.nr_given_pages, 256 * KIB / page);
		fl_blocks_close(&b->pub);
	}
}

#define NR_POLICY_SLOTS	256u
#define NR_POLICY_LIVE	24u

/* What a policy has to know, kept the slow way: a line for each slot. */
struct policy_model {
	struct { bool dead, cold; uint64_t died, bytes; } of[NR_POLICY_SLOTS];
	uint64_t warm_bytes, nr_deaths;
};

/* The warm one that died first; NULL: none is. */
static struct fl_block *model_oldest(struct fl_blocks *b,
				     const struct policy_model *m)
{
	struct fl_block *oldest = NULL;

	for (size_t i = 0; i < b->next_slot; i++)
		if (m->of[i].dead && !m->of[i].cold &&
		    (!oldest || m->of[i].died <
				m->of[oldest - b->directory].died))
			oldest = &b->directory[i];
	return oldest;
}

static void model_death(struct fl_blocks *b, struct policy_model *m,
			const struct fl_retain_config *c)
{
	const bool over = c->when == FL_RETAIN_BUDGET &&
			  m->warm_bytes > c->keep_bytes;
	struct fl_block *block;

	while ((block = model_oldest(b, m))) {
		const size_t i = (size_t)(block - b->directory);

		if (over ? m->warm_bytes <= c->keep_bytes / 2 :
			   c->when == FL_RETAIN_BUDGET ||
			   m->nr_deaths - m->of[i].died <= c->deaths)
			break;
		m->of[i].cold = true;
		m->warm_bytes -= m->of[i].bytes;
	}
	m->nr_deaths++;
}

/* Thousands of lives and deaths of runs of two sizes, one block a death. */
static void try_policy(struct fl_retain_config policy)
{
	const struct fl_open_args args = args_of(4096, 4);
	struct fl_blocks_config config = config_of(8 * KIB, page,
						   FL_GUARD_PROT_NONE);
	struct fl_block *live[NR_POLICY_LIVE];
	struct policy_model m = { .nr_deaths = 0 };
	struct fl_blocks *b;
	size_t nr_live = 0;
	unsigned seed = 1, nr_cold = 0;

	config.retain = policy;
	b = open_or_skip(&args, &config);
	for (unsigned step = 0; step < 6000; step++) {
		const unsigned roll = (unsigned)rand_r(&seed) >> 3;
		/* Now more are wanted, now fewer. */
		const bool more = roll % 8 < (step / 500 % 2 ? 6u : 2u);

		if (nr_live < NR_POLICY_LIVE && (more || !nr_live)) {
			struct fl_block *block =
				take(b, roll / 8 % 4 ? 1 : 16 * KIB);
			const size_t i = (size_t)(block - b->directory);

			assert_true(i < NR_POLICY_SLOTS);
			if (m.of[i].dead && !m.of[i].cold)
				m.warm_bytes -= m.of[i].bytes;
			m.of[i].dead = m.of[i].cold = false;
			assert_false(block->cold);
			live[nr_live++] = block;
		} else {
			const size_t k = roll / 8 % nr_live;
			struct fl_block *block = live[k];
			const size_t i = (size_t)(block - b->directory);

			live[k] = live[--nr_live];
			m.of[i].dead = true;
			m.of[i].died = m.nr_deaths;
			m.of[i].bytes = block->bytes;
			m.warm_bytes += block->bytes;
			fl_blocks_give(b, block);
			model_death(b, &m, &policy);
			fl_blocks_death(b);
		}
		assert_int_equal(b->retain->warm_bytes, m.warm_bytes);
		for (size_t i = 0; i < b->next_slot; i++) {
			assert_int_equal(b->directory[i].cold, m.of[i].cold);
			nr_cold += m.of[i].cold;
		}
	}
	assert_true(nr_cold > 1000);
	assert_int_equal(b->pub.events.nr_give_failures, 0);
	fl_blocks_trim(&b->pub);
	assert_int_equal(b->retain->warm_bytes, 0);
	fl_blocks_close(&b->pub);
}

static void test_policies(void **state)
{
	(void)state;
	try_policy((struct fl_retain_config){ .when = FL_RETAIN_AGE, .deaths = 3 });
	try_policy((struct fl_retain_config){ .when = FL_RETAIN_AGE, .deaths = 40 });
	try_policy((struct fl_retain_config){ .when = FL_RETAIN_BUDGET,
					      .keep_bytes = 100 * KIB });
	try_policy((struct fl_retain_config){ .when = FL_RETAIN_BUDGET,
					      .keep_bytes = 60 * KIB,
					      .with = FL_RETAIN_MUNMAP });
}

static void test_find(void **state)
{
	struct fl_blocks *b = open_usual();
	const size_t stride = 64 * KIB + 2 * page;
	struct fl_block *one, *run, *last;

	(void)state;
	one = take(b, 1);
	run = take(b, 3 * stride);
	last = take(b, 1);
	assert_ptr_equal(fl_blocks_find(b, one->base - 2 * page), one);
	assert_ptr_equal(fl_blocks_find(b, one->base - 1), one);
	assert_ptr_equal(fl_blocks_find(b, one->base), one);
	assert_ptr_equal(fl_blocks_find(b, fl_block_top(one) - 1), one);
	/* The next slot begins with its guard. */
	assert_ptr_equal(fl_blocks_find(b, fl_block_top(one)), run);
	assert_ptr_equal(fl_blocks_find(b, run->base - 1), run);
	assert_ptr_equal(fl_blocks_find(b, run->base + 64 * KIB - 1), run);
	/* Of a run, the first slot only. */
	assert_null(fl_blocks_find(b, run->base + 64 * KIB));
	assert_null(fl_blocks_find(b, run->base + stride));
	assert_null(fl_blocks_find(b, fl_block_top(run) - 1));
	assert_ptr_equal(fl_blocks_find(b, fl_block_top(run)), last);
	assert_ptr_equal(fl_blocks_find(b, fl_block_top(last) - 1), last);

	/* What was never taken, and what lies outside. */
	assert_null(fl_blocks_find(b, fl_block_top(last)));
	assert_null(fl_blocks_find(b, b->base - 1));
	assert_null(fl_blocks_find(b, NULL));
	assert_null(fl_blocks_find(b, b->base + b->bytes - 1));
	assert_null(fl_blocks_find(b, b->base + b->bytes));
	assert_null(fl_blocks_find(b, (char *)UINTPTR_MAX));
	assert_ptr_equal(fl_blocks_find(b, b->base), b->sink);

	/* A free block is found; it is nobody's. */
	fl_blocks_give(b, one);
	assert_ptr_equal(fl_blocks_find(b, one->base), one);
	assert_null(one->owner);
	close_blocks(b);
}

static void test_limit(void **state)
{
	const struct fl_blocks_config config = config_of(64 * KIB, 0,
							 FL_GUARD_NONE);
	struct fl_open_args args = args_of(MIB, 4);
	struct fl_block *block[4], *run;
	struct fl_blocks *b;

	(void)state;
	/* The sink, of a megabyte, is no part of it. */
	args.limit_bytes = 4 * 64 * KIB + 100;
	b = open_or_skip(&args, &config);
	for (size_t i = 0; i < 4; i++)
		block[i] = take(b, 1);
	assert_null(fl_blocks_take(b, 1, &owner));
	fl_blocks_give(b, block[2]);
	assert_null(fl_blocks_take(b, 64 * KIB + 1, &owner));
	assert_ptr_equal(take(b, 1), block[2]);
	assert_null(fl_blocks_take(b, 1, &owner));

	/* A run counts with all it has. */
	fl_blocks_give(b, block[0]);
	fl_blocks_give(b, block[1]);
	run = take(b, 64 * KIB + 1);
	assert_int_equal(run->bytes, 2 * 64 * KIB);
	assert_null(fl_blocks_take(b, 1, &owner));
	fl_blocks_give(b, run);
	assert_ptr_equal(take(b, 1), block[1]);
	assert_ptr_equal(take(b, 1), block[0]);
	assert_null(fl_blocks_take(b, 1, &owner));
	close_blocks(b);

	/* Less than a block: nothing at all. */
	args.limit_bytes = 64 * KIB - 1;
	b = open_or_skip(&args, &config);
	assert_null(fl_blocks_take(b, 1, &owner));
	close_blocks(b);
}

/* Few large blocks: the addresses of one heap have an end. */
static void test_addresses_exhausted(void **state)
{
	const struct fl_open_args args = args_of(4096, 1000);
	struct fl_blocks_config config =
		config_of(TIB, 16 * page, FL_GUARD_PROT_NONE);
	struct fl_block *block, *last = NULL;
	struct fl_blocks *b;
	unsigned nr = 0;

	(void)state;
	/* ThreadSanitizer leaves 1.5 TiB of addresses. */
	if (FL_HAVE_TSAN) {
		print_message("ThreadSanitizer leaves 1.5 TiB of addresses\n");
		skip();
	}
	b = open_or_skip(&args, &config);
	assert_true(b->bytes <= FL_RESERVE_BYTES_MAX);
	while ((block = fl_blocks_take(b, 1, &owner))) {
		block->base[0] = 1;
		fl_block_top(block)[-1] = 1;
		last = block;
		nr++;
	}
	/* 15 fit beside the guards; one of them is the sink. */
	assert_int_equal(nr, 14);
	fl_blocks_give(b, last);
	assert_ptr_equal(take(b, 1), last);
	assert_null(fl_blocks_take(b, 1, &owner));
	close_blocks(b);
}

/* Guards that split mappings until the kernel refuses another. */
static int exhaust_vmas(struct fl_blocks *b, unsigned limit)
{
	struct fl_block *block, *last = NULL;
	unsigned nr = 0;

	while ((block = fl_blocks_take(b, 1, &owner))) {
		*(volatile char *)block->base = 1;
		last = block;
		if (++nr > limit)
			return 1;
	}
	if (nr < limit / 4)
		return 2;
	/* What was taken can be given and taken again, and all closed. */
	fl_blocks_give(b, last);
	if (fl_blocks_take(b, 1, &owner) != last)
		return 3;
	if (fl_blocks_take(b, 1, &owner))
		return 4;
	close_blocks(b);
	return nr_vmas() < 1000 ? 0 : 5;
}

static void test_vmas_exhausted(void **state)
{
	const struct fl_open_args args = args_of(100, 4);
	const struct fl_blocks_config config =
		config_of(page, page, FL_GUARD_PROT_NONE);
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	struct fl_blocks *b;
	unsigned limit = 0;
	pid_t child;
	int status;

	(void)state;
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%u", &limit), 1);
	fclose(f);
	if (limit > VMAS_MAX) {
		print_message("vm.max_map_count is %u: too many to use up\n",
			      limit);
		skip();
	}
	b = open_or_skip(&args, &config);
	child = fork();
	assert_true(child >= 0);
	if (!child)
		_exit(exhaust_vmas(b, limit));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close_blocks(b);
}

/* The sink takes the largest object there may be, however it is aligned. */
static void test_sink(void **state)
{
	static const size_t objects[] = { 0, 8, 64 * KIB, 64 * KIB + 1, 3 * MIB };

	(void)state;
	for (size_t i = 0; i < sizeof(objects) / sizeof(*objects); i++)
		for (int access = FL_CLOSED; access <= FL_OPEN; access++) {
			struct fl_open_args args = args_of(objects[i], 2);
			struct fl_blocks_config config = config_of(64 * KIB,
				2 * page, FL_GUARD_PROT_NONE);
			struct fl_blocks *b;

			config.access = (enum fl_access)access;
			b = open_or_skip(&args, &config);
			assert_non_null(b->sink);
			assert_null(b->sink->owner);
			assert_true(b->sink->bytes >= objects[i] + FL_ALIGN_MAX);
			memset(b->sink->base, 1, b->sink->bytes);
			assert_int_equal(signal_of_write(b->sink->base - 1),
					 SIGSEGV);
			/* Nobody is ever given it. */
			for (int k = 0; k < 10; k++)
				assert_ptr_not_equal(take(b, objects[i] + 1),
						     b->sink);
			close_blocks(b);
		}
}

/* The largest object there may be, in blocks that fit it all but exactly. */
static void test_sink_leaves_room(void **state)
{
	const struct fl_open_args args = args_of(FL_OBJECT_BYTES_MAX, 4);
	const struct fl_blocks_config config = config_of(64 * KIB, 0,
							 FL_GUARD_NONE);
	struct fl_blocks *b = open_or_skip(&args, &config);

	(void)state;
	assert_true(b->sink->bytes >= FL_OBJECT_BYTES_MAX + FL_ALIGN_MAX);
	for (int i = 0; i < 4; i++)
		take(b, 1);
	close_blocks(b);
}

/* Closed blocks are the strategy's to open. */
static void test_closed(void **state)
{
	const struct fl_open_args args = args_of(100, 2);
	struct fl_blocks_config config = config_of(MIB, 17 * page, FL_GUARD_NONE);
	struct fl_block *block;
	struct fl_blocks *b;

	(void)state;
	config.access = FL_CLOSED;
	b = open_or_skip(&args, &config);
	block = take(b, 1);
	assert_int_equal(signal_of_write(block->base), SIGSEGV);
	assert_int_equal(signal_of_write(fl_block_top(block) - 1), SIGSEGV);
	assert_int_equal(fl_protect(block->base, block->bytes, FL_OPEN), 0);
	memset(block->base, 1, block->bytes);
	assert_int_equal(signal_of_write(block->base - 1), SIGSEGV);
	assert_int_equal(signal_of_write(fl_block_top(block)), SIGSEGV);
	close_blocks(b);
}

/* Region structs: zero, apart, as many as were announced, and used again. */
static void test_records(void **state)
{
	const struct fl_open_args args = args_of(100, 1000);
	const struct fl_blocks_config config = config_of(64 * KIB, 0,
							 FL_GUARD_NONE);
	const struct region zero = { .pub.error = 0 };
	struct fl_blocks *b = open_or_skip(&args, &config);
	struct region *record[1000], *more;

	(void)state;
	for (size_t i = 0; i < 1000; i++) {
		record[i] = fl_record_take(b);
		assert_non_null(record[i]);
		assert_memory_equal(record[i], &zero, sizeof(zero));
		memset(record[i], -1, sizeof(zero));
		assert_true(!i || (char *)record[i] - (char *)record[i - 1] >=
				  (ptrdiff_t)sizeof(zero));
	}
	/* A few more for callers who miscount, and then none. */
	for (more = fl_record_take(b); more; more = fl_record_take(b))
		assert_true(b->nr_records <= 2000);
	for (size_t i = 0; i < 1000; i++)
		fl_record_give(b, record[i]);
	for (size_t i = 1000; i-- > 0;) {
		assert_ptr_equal(fl_record_take(b), record[i]);
		assert_memory_equal(record[i], &zero, sizeof(zero));
	}
	assert_null(fl_record_take(b));
	close_blocks(b);
}

/* Trimming takes the pages of free blocks and no others. */
static void test_trim(void **state)
{
	struct fl_blocks *b = open_usual();
	const uint64_t per_block = 64 * KIB / page;
	struct fl_block *block[4], *run;

	(void)state;
	assert_int_equal(fl_blocks_trim(&b->pub), 0);
	for (size_t i = 0; i < 4; i++) {
		block[i] = take(b, 1);
		memset(block[i]->base, 1, block[i]->bytes);
	}
	run = take(b, 200 * KIB);
	memset(run->base, 1, run->bytes);
	assert_int_equal(fl_blocks_trim(&b->pub), 0);
	fl_blocks_give(b, block[1]);
	fl_blocks_give(b, run);
	fl_blocks_give(b, block[3]);
	assert_int_equal(fl_blocks_trim(&b->pub), 2 * 64 * KIB + run->bytes);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(resident_pages(block[i]->base, 64 * KIB),
				 i & 1 ? 0 : per_block);
	assert_int_equal(resident_pages(run->base, run->bytes), 0);
	assert_int_equal(block[0]->base[5], 1);

	/* And they can be had again. */
	assert_ptr_equal(take(b, 1), block[3]);
	assert_int_equal(block[3]->base[0], 0);
	memset(block[3]->base, 1, block[3]->bytes);
	assert_int_equal(signal_of_write(block[3]->base - 1), SIGSEGV);
	close_blocks(b);
}

/* How many pages of a reservation are resident, and how many of those owned. */
static void assert_owned(const struct fl_range *ranges, size_t nr,
			 const char *base, size_t bytes)
{
	uint64_t owned = 0;

	for (size_t i = 0; i < nr; i++) {
		const struct fl_range *r = &ranges[i];

		if (r->base < base || r->base >= base + bytes)
			continue;
		assert_true(r->base + r->bytes <= base + fl_page_round(bytes));
		owned += resident_pages(r->base, r->bytes);
	}
	assert_int_equal(resident_pages(base, fl_page_round(bytes)), owned);
}

static bool decline(void *heap, const struct fl_fault *fault)
{
	(void)heap;
	(void)fault;
	return false;
}

/* Sites for the tables below; no instruction here runs. */
__attribute__((noinline)) static char *some_site(char **bump, uint64_t word)
{
	return fl_site_new(bump, 16, 8, word);
}

static void test_ranges(void **state)
{
	const struct fl_open_args args = args_of(300 * KIB, 500);
	struct fl_blocks_config config = config_of(4 * KIB, 2 * page,
						   FL_GUARD_PROT_NONE);
	struct fl_range ranges[RANGES_MAX];
	struct fl_census census;
	struct fl_blocks *b;
	size_t nr;

	(void)state;
	config.handle = decline;
	config.sites = __start_fl_sites;
	config.sites_end = __stop_fl_sites;
	b = open_or_skip(&args, &config);
	/* Much of everything: blocks, runs, records, directory. */
	for (int i = 0; i < 500; i++) {
		struct fl_block *block = take(b, i % 50 ? 1 : 100 * KIB);

		memset(block->base, 1, block->bytes);
		assert_non_null(fl_record_take(b));
		if (i % 3 == 0)
			fl_blocks_give(b, block);
	}
	memset(b->sink->base, 1, b->sink->bytes);
	memset((char *)b + sizeof(*b), 1, sizeof(struct heap) - sizeof(*b));

	nr = fl_blocks_ranges(&b->pub, ranges, RANGES_MAX);
	assert_in_range(nr, 4, RANGES_MAX);
	for (size_t i = 0; i < nr; i++) {
		const struct fl_range *r = &ranges[i];

		assert_int_equal((uintptr_t)r->base % page, 0);
		assert_true(r->bytes && r->bytes % page == 0);
		assert_int_equal(r->kind, r->base == b->base ?
				 FL_RANGE_OBJECTS : FL_RANGE_METADATA);
		for (size_t k = 0; k < i; k++)
			assert_true(r->base + r->bytes <= ranges[k].base ||
				    ranges[k].base + ranges[k].bytes <= r->base);
	}

	/* However little room there is, how many there are is said. */
	for (size_t max = 0; max < nr; max++) {
		struct fl_range few[RANGES_MAX] = { { .bytes = 0 } };

		assert_int_equal(fl_blocks_ranges(&b->pub, max ? few : NULL,
						  max), nr);
		for (size_t i = 0; i < max; i++)
			assert_true(few[i].base == ranges[i].base &&
				    few[i].bytes == ranges[i].bytes &&
				    few[i].kind == ranges[i].kind);
		assert_int_equal(few[max].bytes, 0);
	}

	assert_true(resident_pages((char *)b->sites.sorted, page) == 1);
	assert_owned(ranges, nr, (char *)b->sites.sorted, page);
	assert_owned(ranges, nr, (char *)b, b->heap_bytes);
	assert_owned(ranges, nr, b->records, b->nr_records_max *
		     b->record_bytes);
	assert_int_equal(fl_census_open(&census), 0);
	fl_census_close(&census);
	if (census.best == FL_CENSUS_SCAN) {
		assert_owned(ranges, nr, b->base, b->bytes);
		assert_owned(ranges, nr, (char *)b->directory,
			     b->nr_slots * sizeof(*b->directory));
	}
	close_blocks(b);
}

/* The site that is used for made-up faults, and what a fault says of it. */
struct made_up {
	ucontext_t context;
	struct fl_fault fault;
};

static const int gregs[16] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static bool overruns(const struct fl_blocks *b, const char *bump, char *address,
		     struct fl_overrun *out)
{
	const struct fl_site_address *site = &b->sites.sorted[0];
	struct made_up m = { .fault = { .signal = SIGSEGV } };
	bool yes;

	m.fault.address = address;
	m.fault.context = &m.context;
	m.context.uc_mcontext.gregs[REG_RIP] = (greg_t)site->probe;
	m.context.uc_mcontext.gregs[gregs[site->bump_reg]] =
		(greg_t)(uintptr_t)bump;
	*out = (struct fl_overrun){ .bytes = 12345 };
	yes = fl_blocks_overrun(b, &m.fault, out);
	assert_true(yes || out->bytes == 12345);

	/* Nor is it one at any other instruction. */
	m.context.uc_mcontext.gregs[REG_RIP]++;
	assert_false(fl_blocks_overrun(b, &m.fault, out));
	m.context.uc_mcontext.gregs[REG_RIP] = (greg_t)site->restart;
	assert_false(fl_blocks_overrun(b, &m.fault, out));
	m.context.uc_mcontext.gregs[REG_RIP] = (greg_t)site->probe;
	return fl_blocks_overrun(b, &m.fault, out);
}

static void assert_overruns(const struct fl_blocks *b, struct fl_block *block,
			    char *bump, char *address)
{
	struct fl_overrun over;

	assert_true(overruns(b, bump, address, &over));
	assert_ptr_equal(over.block, block);
	assert_int_equal(over.bytes, bump - address);
	assert_ptr_equal(over.site, &b->sites.sorted[0]);
}

static void test_overrun(void **state)
{
	const struct fl_open_args args = args_of(MIB, 4);
	struct fl_blocks_config config = config_of(64 * KIB, 2 * page,
						   FL_GUARD_PROT_NONE);
	struct fl_block *one, *two, *run;
	struct fl_overrun over;
	struct fl_blocks *b;
	char *top;

	(void)state;
	config.handle = decline;
	config.sites = __start_fl_sites;
	config.sites_end = __stop_fl_sites;
	b = open_or_skip(&args, &config);
	assert_true(b->sites.nr > 0);
	one = take(b, 1);
	two = take(b, 1);
	run = take(b, 65 * KIB);
	top = fl_block_top(two);

	/* From anywhere in the block, to anywhere below in the same slot. */
	assert_overruns(b, two, two->base, two->base - 8);
	assert_overruns(b, two, two->base, two->base - 2 * page);
	assert_overruns(b, two, two->base + 8, two->base - 8);
	assert_overruns(b, two, top, two->base - 2 * page);
	assert_overruns(b, two, top, two->base);
	assert_overruns(b, two, top, top - 8);
	assert_overruns(b, run, fl_block_top(run), run->base - 8);
	assert_overruns(b, run, fl_block_top(run), run->base);

	/* At or above bump nothing was allocated. */
	assert_false(overruns(b, two->base + 64, two->base + 64, &over));
	assert_false(overruns(b, two->base + 64, two->base + 72, &over));
	/* Bump in no block, or in another. */
	assert_false(overruns(b, two->base - 8, two->base - 16, &over));
	assert_false(overruns(b, top + 8, two->base - 8, &over));
	assert_false(overruns(b, fl_block_top(run), two->base - 8, &over));
	assert_false(overruns(b, fl_block_top(one), two->base - 8, &over));
	assert_false(overruns(b, NULL, two->base - 8, &over));
	assert_false(overruns(b, (char *)UINTPTR_MAX, two->base - 8, &over));
	/* An address in no slot, or in an inner one of a run. */
	assert_false(overruns(b, two->base, b->base - 8, &over));
	assert_false(overruns(b, top, b->base + b->bytes, &over));
	assert_false(overruns(b, fl_block_top(run), fl_block_top(run) - 8,
			      &over));

	/* In the sink there is nobody to tell. */
	assert_overruns(b, b->sink, fl_block_top(b->sink), b->sink->base - 8);
	assert_true(overruns(b, b->sink->base, b->sink->base - page, &over));
	assert_null(over.block->owner);

	/* A dead region's block is nobody's, and so is its guard. */
	fl_blocks_give(b, two);
	assert_false(overruns(b, two->base, two->base - 8, &over));
	assert_ptr_equal(take(b, 1), two);
	assert_overruns(b, two, two->base, two->base - 8);
	close_blocks(b);
}

/* A small strategy: what runs off its block goes to the next one. */
static bool next_block(void *heap, const struct fl_fault *fault)
{
	struct fl_blocks *b = heap;
	struct fl_overrun over;
	struct fl_block *next = b->sink;

	if (!fl_blocks_overrun(b, fault, &over) ||
	    fault->address >= over.block->base)
		return false;
	if (over.block->owner)
		next = fl_blocks_take(b, over.bytes, over.block->owner);
	if (!next)
		next = b->sink;
	b->pub.events.nr_hits++;
	fl_fault_redirect(fault, over.site, fl_block_top(next));
	return true;
}

static void test_redirects(void **state)
{
	struct fl_open_args args = args_of(16, 4);
	struct fl_blocks_config config = config_of(4 * KIB, FL_GUARD_BYTES,
						   FL_GUARD_PROT_NONE);
	const volatile uint64_t *nr_hits;
	struct fl_block *block;
	struct sigaction before, after;
	struct fl_blocks *b;
	char *bump;

	(void)state;
	sigaction(SIGSEGV, NULL, &before);
	args.limit_bytes = 8 * 4 * KIB;
	config.handle = next_block;
	config.sites = __start_fl_sites;
	config.sites_end = __stop_fl_sites;
	b = open_or_skip(&args, &config);
	nr_hits = &b->pub.events.nr_hits;
	block = take(b, 1);
	bump = fl_block_top(block);
	/* 256 objects to a block, eight blocks, then the sink again and again. */
	for (uint64_t i = 0; i < 20 * 256; i++) {
		char *p = some_site(&bump, i);
		uint64_t word;

		memcpy(&word, p, sizeof(word));
		assert_ptr_equal(p, bump);
		assert_int_equal(word, i);
		block = i < 8 * 256 ? fl_blocks_find(b, p) : b->sink;
		assert_non_null(block);
		assert_true(p >= block->base && p < fl_block_top(block));
		assert_ptr_equal(block->owner, block == b->sink ? NULL : &owner);
		assert_true(i >= 8 * 256 || *nr_hits == i / 256);
	}
	assert_int_equal(b->out_bytes, 8 * 4 * KIB);
	close_blocks(b);
	sigaction(SIGSEGV, NULL, &after);
	assert_ptr_equal(after.sa_sigaction, before.sa_sigaction);
	assert_int_equal(after.sa_flags, before.sa_flags);
}

/* Sizes that make no sense, and would in sums and quotients make none either. */
static void test_open_refuses(void **state)
{
	static const struct {
		uint64_t object_bytes_max;
		uint32_t nr_regions_max;
		size_t block_bytes, guard_bytes;
	} refused[] = {
		{ 8, 1, 0, 0 },
		{ 8, 1, 0, 4096 },
		{ 8, 1, SIZE_MAX, 0 },
		{ 8, 1, SIZE_MAX - 4094, 0 },
		{ 8, 1, FL_RESERVE_BYTES_MAX + 1, 0 },
		{ 8, 1, FL_RESERVE_BYTES_MAX, 4096 },
		{ 8, 1, 4096, SIZE_MAX - 4095 },
		{ FL_OBJECT_BYTES_MAX + 1, 1, 4096, 0 },
		{ UINT64_MAX, 1, 4096, 0 },
		{ 8, UINT32_MAX, 4096, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		const struct fl_open_args args = args_of(
			refused[i].object_bytes_max, refused[i].nr_regions_max);
		const struct fl_blocks_config config = config_of(
			refused[i].block_bytes, refused[i].guard_bytes,
			FL_GUARD_PROT_NONE);
		struct fl_heap *heap = NULL;

		assert_int_equal(fl_blocks_open(&args, &config,
						sizeof(struct heap), &heap),
				 -EINVAL);
		assert_null(heap);
	}
}

/* When the last step of opening fails, the first are undone. */
static void test_open_fails(void **state)
{
	static struct fl_fault_range full[FL_FAULT_RANGES_MAX];
	const struct fl_open_args args = args_of(100, 4);
	struct fl_blocks_config config = config_of(64 * KIB, 2 * page,
						   FL_GUARD_PROT_NONE);
	struct fl_heap *const untouched = (struct fl_heap *)(void *)&full;
	struct fl_heap *heap = untouched;
	char *base = NULL;
	unsigned vmas;

	(void)state;
	close_blocks(open_or_skip(&args, &config));
	assert_int_equal(fl_reserve(FL_FAULT_RANGES_MAX * page, FL_CLOSED,
				    &base), 0);
	for (size_t i = 0; i < FL_FAULT_RANGES_MAX; i++) {
		full[i] = (struct fl_fault_range){
			.base = base + i * page, .bytes = page,
			.handle = decline,
		};
		assert_int_equal(fl_fault_watch(&full[i]), 0);
	}
	vmas = nr_vmas();
	config.handle = decline;
	config.sites = __start_fl_sites;
	config.sites_end = __stop_fl_sites;
	assert_int_equal(fl_blocks_open(&args, &config, sizeof(struct heap),
					&heap), -ENOSPC);
	assert_ptr_equal(heap, untouched);
	assert_true(FL_HAVE_TSAN || nr_vmas() == vmas);
	for (size_t i = 0; i < FL_FAULT_RANGES_MAX; i++)
		fl_fault_unwatch(&full[i]);
	assert_int_equal(fl_blocks_open(&args, &config, 0, &heap), -EINVAL);
	fl_release(base, FL_FAULT_RANGES_MAX * page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_lifo),
		cmocka_unit_test(test_runs),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_addresses_exhausted),
		cmocka_unit_test(test_vmas_exhausted),
		cmocka_unit_test(test_sink),
		cmocka_unit_test(test_sink_leaves_room),
		cmocka_unit_test(test_closed),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_overrun),
		cmocka_unit_test(test_redirects),
		cmocka_unit_test(test_open_refuses),
		cmocka_unit_test(test_open_fails),
	};

	page = fl_page_bytes();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("blocks", tests, NULL, NULL);
}

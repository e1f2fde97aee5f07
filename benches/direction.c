/* SPDX-License-Identifier: MIT */
/*
 * direction: is it better to bump up or down, and why?  One site in a loop, built
 * over and over with one thing changed.
 *
 *  way=down      the object's start is compared with the block's lowest address; the
 *                first word goes to the start, whose address waits for the size
 *  way=up        the object's end is compared with the block's end; the first word
 *                goes to the start, which was known before
 *  way=down_top  as down, but the word goes to the object's last 8 bytes, whose
 *                address was known before
 *  way=up_top    as up, but the word goes to the last 8 bytes, whose address waits:
 *                what a fault site would have to store that goes upwards, because
 *                that store is its check
 *
 * Where the size comes from:
 *
 *  sizes=fixed   32 bytes, a constant
 *  sizes=ahead   a table of rounded sizes, read a turn before
 *  sizes=rounded the same, read when it is needed
 *  sizes=table   a table of sizes, rounded at the site
 *  sizes=arith   calculated from the turn: variable, and no load
 *  sizes=data    rounded, and read where the object before says: the size waits for
 *                the store before, which waits for its address
 *
 * touch: what the program then does with the object: nothing but the first word, or
 * all its words, upwards or downwards.  What is not in `cases` was not built: one
 * thing varies at a time.
 *
 * All variable sizes are the same 16, 32.5 bytes on average (fl_sites_bytes).  An op is
 * one allocation.  One block serves for ever: its size decides in which cache the
 * objects are.  Every case is run over several blocks first, and must leave cursor
 * and words where arithmetic says.
 *
 * Instructions are counted by running a stretch step by step (benches/steps.h).
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benches/steps.h"
#include "faultline/bench.h"
#include "faultline/cursor.h"
#include "vm/reserve.h"

enum { WAY, SIZES, TOUCH, ALIGN, RESIDENCE, BLOCK, SHIFT };
enum { W_down, W_up, W_down_top, W_up_top };
enum { S_fixed, S_ahead, S_rounded, S_table, S_arith, S_data };
enum { T_word, T_upwards, T_downwards };
enum { R_register, R_memory };

#define FIXED_BYTES	32u
#define NR_SIZES	1024u		/* a multiple of fl_sites_bytes' period */
#define PIECE		(256u * NR_SIZES)
#define CHECKED_BLOCKS	3u
#define STEPPED		(NR_SIZES / 4)

static const char *const ways[] = { "down", "up", "down_top", "up_top", NULL };
static const char *const sources[] = {
	"fixed", "ahead", "rounded", "table", "arith", "data", NULL
};
static const char *const touches[] = { "word", "upwards", "downwards", NULL };
static const char *const alignments[] = { "8", "16", "32", "64", NULL };
static const char *const residences[] = { "register", "memory", NULL };

static const struct fl_tunable tunables[] = {
	[WAY] = {
		.name = "way", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "direction, and where the first word goes", .choices = ways,
	},
	[SIZES] = {
		.name = "sizes", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "where an object's size comes from", .choices = sources,
	},
	[TOUCH] = {
		.name = "touch", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "what is written of an object", .choices = touches,
	},
	[ALIGN] = {
		.name = "align", .unit = "bytes", .kind = FL_TUNABLE_CHOICE,
		.help = "alignment of objects", .choices = alignments,
	},
	[RESIDENCE] = {
		.name = "residence", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "where the cursor lives", .choices = residences,
	},
	[BLOCK] = {
		.name = "block", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "size of the block", .def = 16 << 10, .min = 16 << 10,
		.max = 1 << 30,
	},
	[SHIFT] = {
		.name = "shift", .unit = "bytes", .kind = FL_TUNABLE_COUNT,
		.help = "how far from a page's start the table of sizes begins",
		.def = 0, .min = 0, .max = 4032,
	},
};

enum { INSTRUCTIONS, REFILLS };

static const struct fl_bench_metric metrics[] = {
	[INSTRUCTIONS] = { "site_instructions", "1",
		"per allocation, the loop's own included; run step by step" },
	[REFILLS] = { "block_ends", "1", "per 1,000 allocations" },
};

/* What the loop allocates from. */
struct strip {
	struct fl_cursor cursor;
	char *base;
	uint64_t bytes;
	const uint16_t *table;		/* NR_SIZES, as asked for */
	uint64_t nr_refills;
};

static struct fl_cursor whole(const struct strip *strip, unsigned way)
{
	char *top = strip->base + strip->bytes;

	if (way == W_up || way == W_up_top)
		return (struct fl_cursor){ .bump = strip->base, .limit = top };
	return (struct fl_cursor){ .bump = top, .limit = strip->base };
}

static fl_cold struct fl_cursor refill_down(struct strip *strip)
{
	strip->nr_refills++;
	return whole(strip, W_down);
}

static fl_cold struct fl_cursor refill_up(struct strip *strip)
{
	strip->nr_refills++;
	return whole(strip, W_up);
}

/* An object of @n bytes; @word: out, where its word goes.  Constants: the rest. */
fl_hot char *take(struct strip *strip, struct fl_cursor *cursor, size_t n,
		  unsigned way, size_t align, char **word)
{
	char *p, *top;

	if (way == W_up || way == W_up_top) {
		p = fl_align_up(cursor->bump, align);
		if (fl_unlikely(p + n > cursor->limit)) {
			*cursor = refill_up(strip);
			p = fl_align_up(cursor->bump, align);
		}
		cursor->bump = p + n;
		*word = way == W_up ? p : p + n - 8;
		return p;
	}
	p = fl_align_down(fl_below(cursor->bump, n), align);
	if (fl_unlikely(p < cursor->limit)) {
		*cursor = refill_down(strip);
		p = fl_align_down(fl_below(cursor->bump, n), align);
	}
	top = cursor->bump;
	cursor->bump = p;
	*word = way == W_down ? p : top - 8;
	return p;
}

/* One word after the other: compilers make memset of such a loop, or vectors. */
fl_hot void touch_all(char *p, size_t n, uint64_t value, unsigned touch)
{
	volatile uint64_t *words = (volatile uint64_t *)(void *)p;
	const size_t nr = n / 8;

	if (touch == T_upwards)
		for (size_t i = 0; i < nr; i++)
			words[i] = value;
	if (touch == T_downwards)
		for (size_t i = nr; i--;)
			words[i] = value;
}

fl_hot size_t size_of(const struct strip *strip, uint64_t turn, unsigned sizes)
{
	size_t bytes;

	if (sizes == S_fixed)
		return FIXED_BYTES;
	if (sizes == S_arith)
		return fl_sites_bytes(turn);
	bytes = strip->table[turn % NR_SIZES];
	/* The table holds no zero. */
	if (bytes == 0)
		__builtin_unreachable();
	return sizes == S_table ? fl_object_bytes(bytes) : bytes;
}

/* @nr objects, the words of which are turns: 0, 1, ... */
fl_hot void loop(struct strip *strip, uint64_t nr, unsigned way, unsigned sizes,
		 unsigned touch, size_t align, unsigned residence)
{
	struct fl_cursor local = strip->cursor;
	struct fl_cursor *cursor = residence == R_register ? &local : &strip->cursor;
	size_t ahead = sizes == S_ahead ? size_of(strip, 0, sizes) : 0;
	uint64_t turn = 0;

	for (uint64_t left = nr; left; left--) {
		char *p, *word;
		size_t n;

		if (sizes == S_ahead) {
			n = ahead;
			ahead = size_of(strip, turn + 1, sizes);
			/* Now, and not where it is used. */
			__asm__ volatile("" : "+r"(ahead));
		} else {
			n = size_of(strip, turn, sizes);
		}
		p = take(strip, cursor, n, way, align, &word);
		*(uint64_t *)(void *)word = turn;
		/* The program has it: not later, and not merged with the next. */
		__asm__ volatile("" :: "m"(*(uint64_t *)(void *)word));
		touch_all(p, n, turn, touch);
		if (residence == R_memory)
			__asm__ volatile("" ::: "memory");
		if (sizes == S_data)
			__asm__ volatile("mov %1, %0" : "=r"(turn)
					 : "m"(*(uint64_t *)(void *)word));
		turn++;
	}
	if (residence == R_register)
		strip->cursor = local;
}

/* All there is, by way, sizes, touch, alignment and residence. */
#define DIRECTIONS(X, s, t, a, r)	X(down, s, t, a, r) X(up, s, t, a, r)
#define WAYS(X, s, t, a, r)						\
	DIRECTIONS(X, s, t, a, r)					\
	X(down_top, s, t, a, r) X(up_top, s, t, a, r)
#define ALL_SIZES(X, t, a, r)						\
	WAYS(X, fixed, t, a, r) WAYS(X, ahead, t, a, r)			\
	WAYS(X, rounded, t, a, r) WAYS(X, table, t, a, r)		\
	WAYS(X, arith, t, a, r) WAYS(X, data, t, a, r)
#define ALIGNED(X, a)							\
	DIRECTIONS(X, fixed, word, a, register)				\
	DIRECTIONS(X, table, word, a, register)
#define CASES(X)							\
	ALL_SIZES(X, word, 8, register) ALL_SIZES(X, word, 8, memory)	\
	ALIGNED(X, 16) ALIGNED(X, 32) ALIGNED(X, 64)			\
	DIRECTIONS(X, fixed, upwards, 8, register)			\
	DIRECTIONS(X, fixed, downwards, 8, register)			\
	DIRECTIONS(X, table, upwards, 8, register)			\
	DIRECTIONS(X, table, downwards, 8, register)

#define LOOP(w, s, t, a, r)						\
	static __attribute__((noinline)) void				\
	loop_##w##_##s##_##t##_##a##_##r(struct strip *strip, uint64_t nr) \
	{								\
		loop(strip, nr, W_##w, S_##s, T_##t, a, R_##r);		\
	}
CASES(LOOP)

struct kind {
	uint8_t way, sizes, touch, align, residence;
	void (*run)(struct strip *strip, uint64_t nr);
};

#define ENTRY(w, s, t, a, r)						\
	{ W_##w, S_##s, T_##t, a, R_##r, loop_##w##_##s##_##t##_##a##_##r },

static const struct kind cases[] = { CASES(ENTRY) };

static unsigned align_of(const uint64_t *values)
{
	return FL_GRAIN_BYTES << values[ALIGN];
}

static const struct kind *case_of(const uint64_t *values)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct kind *k = cases + i;

		if (k->way == values[WAY] && k->sizes == values[SIZES] &&
		    k->touch == values[TOUCH] && k->align == align_of(values) &&
		    k->residence == values[RESIDENCE])
			return k;
	}
	return NULL;
}

/* ---- Is every word where it belongs? */

/* Where arithmetic says that an object of @n goes; @refills counts blocks' ends. */
static char *expected(const struct strip *strip, const struct kind *k,
		      uintptr_t *bump, size_t n, uint64_t *refills)
{
	const uintptr_t base = (uintptr_t)strip->base, top = base + strip->bytes;
	const bool up = k->way == W_up || k->way == W_up_top;
	const uintptr_t mask = ~(uintptr_t)(k->align - 1);
	uintptr_t p, from;

	for (;;) {
		from = *bump;
		p = up ? (from + k->align - 1) & mask : (from - n) & mask;
		if (up ? p + n <= top : p >= base)
			break;
		++*refills;
		*bump = up ? base : top;
	}
	*bump = up ? p + n : p;
	return (char *)(k->way == W_up || k->way == W_down ? p :
			up ? p + n - 8 : from - 8);
}

static size_t bytes_of(const struct strip *strip, const struct kind *k, uint64_t turn)
{
	return k->sizes == S_fixed ? FIXED_BYTES :
	       (strip->table[turn % NR_SIZES] + 7u) & ~7u;
}

static int check(struct strip *strip, const struct kind *k, char *reason,
		 size_t reason_bytes)
{
	const uint64_t nr = CHECKED_BLOCKS * strip->bytes / FIXED_BYTES + NR_SIZES;
	uintptr_t bump;
	uint64_t refills = 0, last = 0, word;

	strip->nr_refills = 0;
	strip->cursor = whole(strip, k->way);
	bump = (uintptr_t)strip->cursor.bump;
	k->run(strip, nr);
	for (uint64_t i = 0; i < nr; i++) {
		const uint64_t before = refills;

		expected(strip, k, &bump, bytes_of(strip, k, i), &refills);
		last = refills == before ? last : i;
	}
	if (bump != (uintptr_t)strip->cursor.bump || refills != strip->nr_refills) {
		snprintf(reason, reason_bytes,
			 "after %llu objects there were %llu ends of a block, expected %llu, or the cursor was elsewhere",
			 (unsigned long long)nr, (unsigned long long)strip->nr_refills,
			 (unsigned long long)refills);
		return -EIO;
	}
	/* What is in the block now is what came since it began. */
	bump = (uintptr_t)whole(strip, k->way).bump;
	for (uint64_t i = last; i < nr; i++) {
		memcpy(&word, expected(strip, k, &bump, bytes_of(strip, k, i), &refills),
		       sizeof(word));
		if (word == i)
			continue;
		snprintf(reason, reason_bytes, "object %llu holds the word %llu",
			 (unsigned long long)i, (unsigned long long)word);
		return -EIO;
	}
	return 0;
}

/* ---- Instructions. */

struct stretch {
	struct strip *strip;
	const struct kind *kind;
	uint64_t nr;
};

static void step_through(void *of)
{
	const struct stretch *stretch = of;

	stretch->strip->cursor = whole(stretch->strip, stretch->kind->way);
	stretch->kind->run(stretch->strip, stretch->nr);
}

/* NaN where nobody counts. */
static double instructions(struct strip *strip, const struct kind *k)
{
	struct stretch few = { strip, k, STEPPED / 4 }, many = { strip, k, STEPPED };
	const uint64_t of_few = steps_of(step_through, &few);
	const uint64_t of_many = steps_of(step_through, &many);

	if (of_many <= of_few)
		return __builtin_nan("");
	return (double)(of_many - of_few) / (STEPPED - STEPPED / 4);
}

/* ---- A sample. */

static void measure(const struct fl_bench_args *args, struct strip *strip,
		    const struct kind *k, struct fl_bench_result *result)
{
	uint64_t nr_objects = 0;

	strip->cursor = whole(strip, k->way);
	k->run(strip, args->nr_ops / 8 + 1);
	strip->nr_refills = 0;
	args->meter->start(args->meter);
	for (uint64_t i = 0, n; i < args->nr_ops; i += n) {
		uint64_t begin, more;

		n = args->nr_ops - i < PIECE ? args->nr_ops - i : PIECE;
		more = args->planted ? n / FL_BENCH_PLANTED_EVERY : 0;
		begin = fl_bench_piece_begin(args);
		k->run(strip, n + more);
		fl_bench_piece_end(args, begin, n, result);
		nr_objects += n + more;
	}
	args->meter->stop(args->meter);
	result->values[REFILLS] = 1000 * (double)strip->nr_refills / (double)nr_objects;
	for (uint64_t i = 0; i < args->nr_single; i++) {
		uint64_t begin = fl_bench_piece_begin(args), one = fl_ticks();

		k->run(strip, 1);
		args->latency->add(args->latency, fl_ticks() - one);
		fl_bench_piece_end(args, begin, 0, result);
	}
}

static int direction_run(const struct fl_bench_args *args,
			 struct fl_bench_result *result, char *reason,
			 size_t reason_bytes)
{
	const struct kind *k = case_of(args->values);
	const uint64_t table_bytes = fl_page_round(2 * NR_SIZES + 4096);
	struct strip strip = { .bytes = args->values[BLOCK] };
	const uint64_t all = strip.bytes + table_bytes;
	uint16_t *table;
	char *pages;
	int err;

	err = fl_reserve(all, FL_OPEN, &pages);
	if (err) {
		snprintf(reason, reason_bytes, "no %llu bytes of memory: %s",
			 (unsigned long long)all, strerror(-err));
		return err;
	}
	table = (uint16_t *)(void *)(pages + (args->values[SHIFT] & ~(uint64_t)7));
	for (unsigned i = 0; i < NR_SIZES; i++)
		table[i] = (uint16_t)(fl_sites_bytes(i) -
				      (args->values[SIZES] == S_table ? i % 8 : 0));
	strip.table = table;
	strip.base = pages + table_bytes;
	memset(strip.base, 0, strip.bytes);
	err = check(&strip, k, reason, reason_bytes);
	if (!err) {
		result->values[INSTRUCTIONS] = instructions(&strip, k);
		measure(args, &strip, k, result);
	}
	fl_release(pages, all);
	return err;
}

static int direction_probe(const uint64_t *values, char *reason, size_t reason_bytes)
{
	if (case_of(values))
		return 0;
	snprintf(reason, reason_bytes,
		 "no such loop was built: leave all but one of touch, align and residence at their defaults, and with another touch or align set sizes=fixed or table and way=down or up");
	return -EINVAL;
}

FL_BENCH(
	.name = "direction",
	.summary = "bumping up and down, with one thing changed at a time",
	.op = "allocation",
	.ops_default = 1 << 24,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.metrics = metrics,
	.nr_metrics = sizeof(metrics) / sizeof(metrics[0]),
	.probe = direction_probe,
	.run = direction_run,
);

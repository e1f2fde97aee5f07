/* SPDX-License-Identifier: MIT */
/*
 * grow: an array that is its region's newest object, and grows, element by element;
 * by the direction of bumping and by what is done when it is full.
 *
 *  way=up_place      bumped up: the bump moves on by as much as the array has, which
 *                    stays; what it did not need in the end is given back
 *  way=up_double     bumped up, and nobody looks whether it is the newest: an object
 *                    of twice the size, and a copy
 *  way=down_double   the same, bumped down
 *  way=down_slide    bumped down: the bump moves on likewise, and the elements move
 *                    down into the room
 *  way=down_reverse  up_place upside down: the array is written from its end, so that
 *                    its first element has the highest address
 *
 * Room doubles in all of them.  With between=N another object, of 16 bytes, is
 * allocated after every N elements.  Then the array is no longer the newest: whoever
 * grew in place goes on in a new object of twice the size, and copies.
 *
 * An op is one element of 8 bytes.  Arrays of `length` elements are built one after
 * the other in one block of `block` bytes, which begins again when the next might
 * not fit.  All of each is read back, in the order of its elements, which is in the
 * time: it is what arrays are for.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "faultline/bench.h"
#include "faultline/cursor.h"
#include "vm/reserve.h"

enum { WAY, LENGTH, BETWEEN, BLOCK };
enum { UP_PLACE, UP_DOUBLE, DOWN_DOUBLE, DOWN_SLIDE, DOWN_REVERSE };

#define FIRST_ELEMENTS	4u
#define OTHER_BYTES	16u
#define PIECE		(64u << 10)

static const char *const ways[] = {
	"up_place", "up_double", "down_double", "down_slide", "down_reverse", NULL
};

static const struct fl_tunable tunables[] = {
	[WAY] = {
		.name = "way", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "direction, and how an array grows", .choices = ways,
	},
	[LENGTH] = {
		.name = "length", .unit = "elements", .kind = FL_TUNABLE_COUNT,
		.help = "of an array", .def = 64, .min = 1, .max = 1 << 20,
	},
	[BETWEEN] = {
		.name = "between", .unit = "elements", .kind = FL_TUNABLE_COUNT,
		.help = "after so many another object is allocated; 0: none",
		.def = 0, .min = 0, .max = 1 << 20,
	},
	[BLOCK] = {
		.name = "block", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "size of the block: eight times the array, at least",
		.def = 256 << 10, .min = 4 << 10, .max = 1 << 30,
	},
};

enum { COPIED, HELD };

static const struct fl_bench_metric metrics[] = {
	[COPIED] = { "copied_per_byte", "1", "bytes moved, for each of the array's" },
	[HELD] = { "held_per_byte", "1",
		"bytes held for the array, what it left behind included, for each of its" },
};

struct block {
	char *base, *top, *bump;
	uint64_t nr_copied, nr_held, nr_elements;	/* bytes, bytes, elements */
};

/* Room for @bytes is there: direction_run sees to it. */
fl_hot char *take(struct block *b, size_t bytes, bool up)
{
	char *p = b->bump;

	if (up) {
		b->bump = p + bytes;
		return p;
	}
	b->bump = p - bytes;
	return b->bump;
}

fl_hot bool is_up(unsigned way)
{
	return way == UP_PLACE || way == UP_DOUBLE;
}

/* An array while it grows: its elements are at start, or end below end. */
struct array {
	char *start, *end;		/* of its room */
	size_t nr;			/* elements it has */
};

fl_hot bool is_newest(const struct block *b, const struct array *a, unsigned way)
{
	return (is_up(way) ? a->end : a->start) == b->bump;
}

/* In a new object of twice the room. */
static void move(struct block *b, struct array *a, unsigned way)
{
	const size_t used = 8 * a->nr, room = (size_t)(a->end - a->start);
	char *p = take(b, 2 * room, is_up(way));

	if (way == DOWN_REVERSE)
		memcpy(p + 2 * room - used, a->end - used, used);
	else
		memcpy(p, a->start, used);
	a->start = p;
	a->end = p + 2 * room;
	b->nr_copied += used;
	b->nr_held += 2 * room;
}

/* There is no room for another element. */
static fl_cold void more(struct block *b, struct array *a, unsigned way)
{
	const size_t room = (size_t)(a->end - a->start);

	if (way == UP_DOUBLE || way == DOWN_DOUBLE || !is_newest(b, a, way)) {
		move(b, a, way);
		return;
	}
	b->nr_held += room;
	if (way == UP_PLACE) {
		take(b, room, true);
		a->end += room;
		return;
	}
	a->start = take(b, room, false);
	if (way == DOWN_SLIDE) {
		memcpy(a->start, a->start + room, room);
		b->nr_copied += room;
	}
}

/* It is done: what is not needed is given back, where it lies next to the bump. */
fl_hot void close_array(struct block *b, struct array *a, unsigned way)
{
	char *bump = way == UP_PLACE ? a->start + 8 * a->nr : a->end - 8 * a->nr;

	if ((way != UP_PLACE && way != DOWN_REVERSE) || !is_newest(b, a, way))
		return;
	b->nr_held -= (size_t)(way == UP_PLACE ? b->bump - bump : bump - b->bump);
	b->bump = bump;
}

fl_hot void push(struct block *b, struct array *a, uint64_t value, unsigned way)
{
	if (way == DOWN_REVERSE) {
		if (a->end - 8 * a->nr == a->start)
			more(b, a, way);
		a->nr++;
		*(uint64_t *)(void *)(a->end - 8 * a->nr) = value;
		return;
	}
	if (a->start + 8 * a->nr == a->end)
		more(b, a, way);
	*(uint64_t *)(void *)(a->start + 8 * a->nr) = value;
	a->nr++;
}

/* What is in it, with regard to the order. */
fl_hot uint64_t read_back(const struct array *a, unsigned way)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < a->nr; i++)
		sum = sum * 3 + *(uint64_t *)(void *)(way == DOWN_REVERSE ?
			a->end - 8 * (i + 1) : a->start + 8 * i);
	return sum;
}

/* @nr arrays of @length; what reading them back told, xor'ed. */
fl_hot uint64_t arrays(struct block *b, uint64_t nr, size_t length, size_t between,
		       unsigned way)
{
	/* Room of every size up to twice the last, and what came between. */
	const size_t most = 8 * (FIRST_ELEMENTS + 4 * length) +
			    (between ? length / between * OTHER_BYTES : 0);
	uint64_t told = 0;

	for (uint64_t i = 0; i < nr; i++) {
		struct array a = { .nr = 0 };
		size_t left = between;

		if ((size_t)(is_up(way) ? b->top - b->bump : b->bump - b->base) < most)
			b->bump = is_up(way) ? b->base : b->top;
		a.start = take(b, 8 * FIRST_ELEMENTS, is_up(way));
		a.end = a.start + 8 * FIRST_ELEMENTS;
		b->nr_held += 8 * FIRST_ELEMENTS;
		for (size_t k = 0; k < length; k++) {
			push(b, &a, i + k, way);
			if (between && !--left) {
				*(uint64_t *)(void *)take(b, OTHER_BYTES, is_up(way)) = k;
				left = between;
			}
		}
		close_array(b, &a, way);
		told ^= read_back(&a, way);
	}
	b->nr_elements += nr * length;
	return told;
}

#define WAY_FUNCTION(name, WAY_)					\
	static __attribute__((noinline)) uint64_t			\
	grow_##name(struct block *b, uint64_t nr, size_t length, size_t between) \
	{								\
		return arrays(b, nr, length, between, WAY_);		\
	}
WAY_FUNCTION(up_place, UP_PLACE)
WAY_FUNCTION(up_double, UP_DOUBLE)
WAY_FUNCTION(down_double, DOWN_DOUBLE)
WAY_FUNCTION(down_slide, DOWN_SLIDE)
WAY_FUNCTION(down_reverse, DOWN_REVERSE)

static uint64_t (*const functions[])(struct block *, uint64_t, size_t, size_t) = {
	[UP_PLACE] = grow_up_place, [UP_DOUBLE] = grow_up_double,
	[DOWN_DOUBLE] = grow_down_double, [DOWN_SLIDE] = grow_down_slide,
	[DOWN_REVERSE] = grow_down_reverse,
};

/* What reading back must tell. */
static uint64_t expected(uint64_t nr, size_t length)
{
	uint64_t told = 0;

	for (uint64_t i = 0; i < nr; i++) {
		uint64_t sum = 0;

		for (size_t k = 0; k < length; k++)
			sum = sum * 3 + i + k;
		told ^= sum;
	}
	return told;
}

/* @nr arrays, and whether they held what they should. */
static int build(struct block *b, const struct fl_bench_args *args, uint64_t nr,
		 size_t length)
{
	return functions[args->values[WAY]](b, nr, length, args->values[BETWEEN]) ==
	       expected(nr, length) ? 0 : -EIO;
}

/* The stretch: whole arrays, and at last as much of one as is left. */
static int stretch(struct block *b, const struct fl_bench_args *args,
		   struct fl_bench_result *result)
{
	const size_t length = args->values[LENGTH], between = args->values[BETWEEN];
	const uint64_t most = PIECE / length + 1;
	int err = 0;

	for (uint64_t left = args->nr_ops, done; left && !err; left -= done) {
		const uint64_t nr = left / length < most ? left / length : most;
		const uint64_t some = nr + (args->planted ? nr / FL_BENCH_PLANTED_EVERY + 1 : 0);
		const uint64_t begin = fl_bench_piece_begin(args);
		uint64_t told;

		told = functions[args->values[WAY]](b, nr ? some : 1,
						    nr ? length : left, between);
		done = nr ? nr * length : left;
		fl_bench_piece_end(args, begin, done, result);
		err = told == expected(nr ? some : 1, nr ? length : done) ? 0 : -EIO;
	}
	return err;
}

static int measure(const struct fl_bench_args *args, struct block *b,
		   struct fl_bench_result *result)
{
	const size_t length = args->values[LENGTH];
	int err;

	b->bump = is_up((unsigned)args->values[WAY]) ? b->base : b->top;
	err = build(b, args, PIECE / length + 1, length);
	b->nr_copied = b->nr_held = b->nr_elements = 0;
	args->meter->start(args->meter);
	if (!err)
		err = stretch(b, args, result);
	args->meter->stop(args->meter);
	result->values[COPIED] = (double)b->nr_copied / 8 / (double)b->nr_elements;
	result->values[HELD] = (double)b->nr_held / 8 / (double)b->nr_elements;
	for (uint64_t i = 0; i < args->nr_single && !err; i++) {
		uint64_t begin = fl_bench_piece_begin(args), one = fl_ticks();

		err = build(b, args, 1, length);
		args->latency->add(args->latency, (fl_ticks() - one) / length);
		fl_bench_piece_end(args, begin, 0, result);
	}
	return err;
}

static int grow_run(const struct fl_bench_args *args,
		    struct fl_bench_result *result, char *reason,
		    size_t reason_bytes)
{
	const uint64_t bytes = args->values[BLOCK];
	struct block b = { .nr_copied = 0 };
	int err = fl_reserve(bytes, FL_OPEN, &b.base);

	if (err) {
		snprintf(reason, reason_bytes, "no %llu bytes of memory: %s",
			 (unsigned long long)bytes, strerror(-err));
		return err;
	}
	b.top = b.base + bytes;
	memset(b.base, 0, bytes);
	err = measure(args, &b, result);
	if (err)
		snprintf(reason, reason_bytes,
			 "arrays of %llu elements did not hold what was pushed",
			 (unsigned long long)args->values[LENGTH]);
	fl_release(b.base, bytes);
	return err;
}

static int grow_probe(const uint64_t *values, char *reason, size_t reason_bytes)
{
	const uint64_t length = values[LENGTH] + FIRST_ELEMENTS;

	if (values[BLOCK] >= 64 * length)
		return 0;
	snprintf(reason, reason_bytes,
		 "arrays of %llu elements need a larger block: set block=%lluK",
		 (unsigned long long)values[LENGTH],
		 (unsigned long long)(64 * length + 4095) / 4096 * 4);
	return -EINVAL;
}

FL_BENCH(
	.name = "grow",
	.summary = "arrays that are the newest object and grow, upwards and downwards",
	.op = "element",
	.ops_default = 1 << 24,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.metrics = metrics,
	.nr_metrics = sizeof(metrics) / sizeof(metrics[0]),
	.probe = grow_probe,
	.run = grow_run,
);

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "faultline/cursor.h"
#include "faultline/program.h"
#include "harness/programs.h"

#define MIX_MEDIAN	32.0
#define MIX_SIGMA	0.9
#define MIX_BYTES_MIN	8u
#define MIX_BYTES_MAX	4096u

/* nest: how deep calls go, and how many objects one pass makes. */
#define NEST_DEPTH	24u
#define NEST_OBJECTS	((uint64_t)1 << 16)

/*
 * skewed: as many requests at a time, and regions whose bytes are Pareto's: half of
 * them under 4 KiB, one in 200 over 256 KiB.
 */
#define SKEWED_SLOTS	16u
#define SKEWED_OBJECTS	((uint64_t)1 << 18)
#define SKEWED_SHAPE	1.1
#define SKEWED_LEAST	2048.0
#define SKEWED_MOST	((double)(1 << 20))
#define SKEWED_TURN	64u

/* phases: 16 MiB in one region, then small ones. */
#define PHASES_BYTES	((uint64_t)16 << 20)
#define PHASES_OBJECT	512u
#define PHASES_REGIONS	4000u
#define PHASES_SMALL	((uint64_t)32 << 10)

/* outer: calls in calls of one region that lives throughout. */
#define OUTER_GROUPS	100u
#define OUTER_CALLS	100u

/* grower: a region that grows by an object a step while others come and go. */
#define GROWER_SLOTS	8u
#define GROWER_STEPS	((uint64_t)1 << 14)
#define GROWER_OBJECT	512u

uint64_t fl_random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

double fl_random_unit(uint64_t *state)
{
	return (double)((fl_random_next(state) >> 11) + 1) * 0x1p-53;
}

uint16_t fl_random_mix(uint64_t *state)
{
	/* Box and Muller's transform. */
	double z = sqrt(-2 * log(fl_random_unit(state))) *
		   cos(2 * M_PI * fl_random_unit(state));
	double bytes = MIX_MEDIAN * exp(MIX_SIGMA * z);

	if (bytes < MIX_BYTES_MIN)
		return MIX_BYTES_MIN;
	return bytes > MIX_BYTES_MAX ? MIX_BYTES_MAX : (uint16_t)bytes;
}

struct writer {
	uint32_t *words;
	uint64_t nr, room;
	uint64_t nr_objects;
	uint64_t random;
	bool failed;
};

static void put(struct writer *w, uint32_t word)
{
	if (w->nr == w->room) {
		uint64_t room = w->room ? 2 * w->room : 1 << 16;
		uint32_t *words = realloc(w->words, room * sizeof(*words));

		if (!words) {
			w->failed = true;
			return;
		}
		w->words = words;
		w->room = room;
	}
	w->words[w->nr++] = word;
}

static void put_object(struct writer *w, uint32_t bytes)
{
	put(w, bytes);
	w->nr_objects++;
}

/* @least to @most - 1. */
static uint64_t between(struct writer *w, uint64_t least, uint64_t most)
{
	return least + fl_random_next(&w->random) % (most - least);
}

static void put_mix(struct writer *w, uint64_t nr)
{
	while (nr--)
		put_object(w, fl_random_mix(&w->random));
}

/* Objects of @bytes altogether, or a little more. */
static void put_bytes(struct writer *w, uint64_t bytes)
{
	for (uint64_t done = 0; done < bytes && !w->failed;) {
		uint32_t n = fl_random_mix(&w->random);

		put_object(w, n);
		done += fl_object_bytes(n);
	}
}

static void call(struct writer *w, uint32_t depth)
{
	put(w, FL_OP_CREATE | depth);
	put_mix(w, between(w, 2, 16));
	for (uint64_t k = between(w, 0, 4); k; k--) {
		if (depth + 1 == NEST_DEPTH || w->nr_objects >= NEST_OBJECTS)
			break;
		call(w, depth + 1);
		put(w, FL_OP_SWITCH | depth);
		put_mix(w, between(w, 2, 16));
	}
	put(w, FL_OP_DESTROY | depth);
}

static uint32_t make_nest(struct writer *w)
{
	while (w->nr_objects < NEST_OBJECTS && !w->failed)
		call(w, 0);
	return NEST_DEPTH;
}

static uint32_t make_skewed(struct writer *w)
{
	double left[SKEWED_SLOTS];
	bool ending = false;

	for (uint32_t s = 0; s < SKEWED_SLOTS; s++)
		left[s] = 0;
	while (!w->failed && !ending) {
		uint32_t s = (uint32_t)between(w, 0, SKEWED_SLOTS);

		if (left[s] > 0) {
			put(w, FL_OP_SWITCH | s);
		} else {
			double bytes = SKEWED_LEAST *
				pow(fl_random_unit(&w->random),
				    -1 / SKEWED_SHAPE);

			left[s] = bytes < SKEWED_MOST ? bytes : SKEWED_MOST;
			put(w, FL_OP_CREATE | s);
		}
		for (unsigned i = 0; i < SKEWED_TURN && left[s] > 0; i++) {
			uint32_t n = fl_random_mix(&w->random);

			put_object(w, n);
			left[s] -= (double)fl_object_bytes(n);
		}
		if (left[s] <= 0)
			put(w, FL_OP_DESTROY | s);
		ending = w->nr_objects >= SKEWED_OBJECTS;
	}
	for (uint32_t s = 0; s < SKEWED_SLOTS; s++)
		if (left[s] > 0)
			put(w, FL_OP_DESTROY | s);
	return SKEWED_SLOTS;
}

static uint32_t make_phases(struct writer *w)
{
	put(w, FL_OP_CREATE);
	for (uint64_t i = 0; i < PHASES_BYTES / PHASES_OBJECT && !w->failed; i++)
		put_object(w, PHASES_OBJECT);
	put(w, FL_OP_DESTROY);
	for (unsigned i = 0; i < PHASES_REGIONS && !w->failed; i++) {
		put(w, FL_OP_CREATE);
		put_bytes(w, PHASES_SMALL);
		put(w, FL_OP_DESTROY);
	}
	return 1;
}

static uint32_t make_outer(struct writer *w)
{
	put(w, FL_OP_CREATE | 0);
	for (unsigned g = 0; g < OUTER_GROUPS && !w->failed; g++) {
		put(w, FL_OP_CREATE | 1);
		for (unsigned c = 0; c < OUTER_CALLS; c++) {
			put(w, FL_OP_CREATE | 2);
			put_mix(w, between(w, 2, 40));
			put(w, FL_OP_DESTROY | 2);
			put(w, FL_OP_SWITCH | 1);
			put_mix(w, 2);
		}
		put(w, FL_OP_DESTROY | 1);
		put(w, FL_OP_SWITCH | 0);
		put_mix(w, 10);
	}
	put(w, FL_OP_DESTROY | 0);
	return 3;
}

static uint32_t make_grower(struct writer *w)
{
	uint64_t left[GROWER_SLOTS] = { 0 };

	put(w, FL_OP_CREATE | 0);
	for (uint64_t i = 0; i < GROWER_STEPS && !w->failed; i++) {
		uint32_t s = (uint32_t)between(w, 1, GROWER_SLOTS);

		/* All of it dies once, and begins anew. */
		if (i == GROWER_STEPS / 4 * 3)
			put(w, FL_OP_RESET | 0);
		put(w, FL_OP_SWITCH | 0);
		put_object(w, GROWER_OBJECT);
		if (left[s]) {
			put(w, FL_OP_SWITCH | s);
		} else {
			left[s] = between(w, 1, 20);
			put(w, FL_OP_CREATE | s);
		}
		put_mix(w, 16);
		if (!--left[s])
			put(w, FL_OP_DESTROY | s);
	}
	for (uint32_t s = 1; s < GROWER_SLOTS; s++)
		if (left[s])
			put(w, FL_OP_DESTROY | s);
	put(w, FL_OP_DESTROY | 0);
	return GROWER_SLOTS;
}

static const struct {
	const char *name;
	uint32_t (*make)(struct writer *w);
} programs[] = {
	{ "grower", make_grower }, { "nest", make_nest },
	{ "outer", make_outer }, { "phases", make_phases },
	{ "skewed", make_skewed },
};

#define NR_PROGRAMS	(sizeof(programs) / sizeof(programs[0]))

const char *fl_program_name(size_t i)
{
	return i < NR_PROGRAMS ? programs[i].name : NULL;
}

bool fl_program_known(const char *kernel)
{
	for (size_t i = 0; i < NR_PROGRAMS; i++)
		if (!strcmp(programs[i].name, kernel))
			return true;
	return false;
}

int fl_program_make(const char *kernel, uint64_t seed, struct fl_program *out)
{
	struct writer w = { .random = seed };
	uint32_t nr_slots = 0;

	for (size_t i = 0; i < NR_PROGRAMS; i++)
		if (!strcmp(programs[i].name, kernel))
			nr_slots = programs[i].make(&w);
	if (!nr_slots)
		return -EINVAL;
	if (w.failed) {
		free(w.words);
		return -ENOMEM;
	}
	*out = (struct fl_program){
		.words = w.words, .nr_words = w.nr, .nr_slots = nr_slots,
	};
	return 0;
}

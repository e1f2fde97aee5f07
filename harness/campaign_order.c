/* SPDX-License-Identifier: MIT */
/*
 * splitmix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number
 * generators", OOPSLA 2014; constants from S. Vigna's splitmix64.c).  Each use
 * has a stream of its own, so that one may be changed without moving the others.
 */
#include <stdlib.h>

#include "harness/campaign_state.h"

#define PADDING_BYTES_MAX	4096u

enum use { USE_ORDER, USE_WORKLOAD, USE_PADDING, USE_BUILD };

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t next_random(uint64_t *state)
{
	return mix(*state += 0x9e3779b97f4a7c15u);
}

static uint64_t stream(uint64_t seed, enum use use, uint64_t index)
{
	uint64_t state = seed;

	state = next_random(&state) ^ ((uint64_t)use << 56);
	return next_random(&state) ^ index;
}

/* Uniform in [0, n), n > 0: values of the incomplete last round are refused. */
static uint64_t random_below(uint64_t *state, uint64_t n)
{
	uint64_t r;

	do
		r = next_random(state);
	while (r >= UINT64_MAX - UINT64_MAX % n);
	return r % n;
}

/* Fisher and Yates's shuffle. */
static void shuffle(uint64_t *state, uint32_t *items, uint32_t nr)
{
	for (uint32_t i = nr; i > 1; i--) {
		const uint32_t k = (uint32_t)random_below(state, i);
		const uint32_t item = items[i - 1];

		items[i - 1] = items[k];
		items[k] = item;
	}
}

uint32_t fl_campaign_order(const struct fl_plan *plan, uint64_t seed,
			   uint32_t block, struct fl_campaign_pair *pairs)
{
	uint64_t state = stream(seed, USE_ORDER, block);
	uint32_t *cells = calloc(plan->nr_cells + plan->nr_arms,
				 sizeof(*cells));
	uint32_t *arms = cells + plan->nr_cells, nr_cells = 0, nr = 0;

	if (!cells)
		return 0;
	for (uint32_t i = 0; i < plan->nr_cells; i++)
		if (block < plan->cells[i].nr_blocks)
			cells[nr_cells++] = i;
	shuffle(&state, cells, nr_cells);
	for (uint32_t i = 0; i < nr_cells; i++) {
		uint32_t nr_arms = 0;

		for (uint32_t a = 0; a < plan->nr_arms; a++)
			if (plan->cells[cells[i]].arms[a])
				arms[nr_arms++] = a;
		shuffle(&state, arms, nr_arms);
		for (uint32_t a = 0; a < nr_arms; a++)
			pairs[nr++] = (struct fl_campaign_pair){
				.cell = cells[i], .arm = arms[a],
			};
	}
	free(cells);
	return nr;
}

uint32_t fl_campaign_build(const struct fl_plan *plan, uint64_t seed,
			   struct fl_campaign_pair pair, uint32_t block)
{
	const uint32_t nr = plan->arms[pair.arm].nr_builds;
	const uint64_t index = pair.cell * (uint64_t)plan->nr_arms + pair.arm;
	uint64_t state = stream(seed, USE_BUILD, index << 32 | block / nr);
	uint32_t urn[FL_PLAN_BUILDS_MAX];

	for (uint32_t i = 0; i < nr; i++)
		urn[i] = i;
	shuffle(&state, urn, nr);
	return urn[block % nr];
}

uint64_t fl_campaign_workload_seed(const struct fl_campaign *c, uint32_t block)
{
	uint64_t state = stream(c->seed, USE_WORKLOAD, block);

	return 1 + random_below(&state, UINT32_MAX);
}

uint32_t fl_campaign_padding_bytes(const struct fl_campaign *c,
				   const struct fl_campaign_place *at)
{
	uint64_t state = stream(c->seed, USE_PADDING,
				(uint64_t)at->block << 32 | at->order << 1 |
				at->repeat);

	return (uint32_t)random_below(&state, PADDING_BYTES_MAX);
}

/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "faultline/program.h"
#include "harness/model.h"
#include "vm/reserve.h"

/* What one region has. */
struct room {
	uint64_t used;		/* bytes since the last reset (extend) */
	uint64_t room;		/* extend: bytes opened; else: bytes left */
	uint64_t step;		/* extend: of the next event */
};

struct fl_model {
	const struct fl_strategy *strategy;
	const struct fl_heap *heap;
	struct fl_geometry g;
	int extends;
	struct room *slots;
	uint64_t *spans;	/* LIFO of opened bytes of dead regions */
	uint32_t nr_spans, nr_slots;
};

struct fl_model *fl_model_new(const struct fl_strategy *strategy,
			      const struct fl_heap *heap, uint32_t nr_slots)
{
	struct fl_model *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->strategy = strategy;
	m->heap = heap;
	m->nr_slots = nr_slots ? nr_slots : 1;
	strategy->geometry(heap, &m->g);
	m->extends = m->g.step_bytes > 0;
	m->slots = calloc(m->nr_slots, sizeof(*m->slots));
	m->spans = calloc(m->nr_slots, sizeof(*m->spans));
	if (!m->slots || !m->spans) {
		fl_model_free(m);
		return NULL;
	}
	return m;
}

void fl_model_free(struct fl_model *model)
{
	if (!model)
		return;
	free(model->slots);
	free(model->spans);
	free(model);
}

void fl_model_create(struct fl_model *m, uint32_t slot)
{
	m->slots[slot] = (struct room){
		.room = m->g.start_bytes, .step = m->g.step_bytes,
	};
	if (!m->g.rearms && m->nr_spans)
		m->slots[slot].room = m->spans[--m->nr_spans];
}

static void reset(struct fl_model *m, uint32_t slot)
{
	struct room *r = &m->slots[slot];

	r->used = 0;
	if (m->g.rearms) {
		r->room = m->g.start_bytes;
		r->step = m->g.step_bytes;
	}
}

void fl_model_destroy(struct fl_model *m, uint32_t slot)
{
	reset(m, slot);
	if (!m->g.rearms && m->nr_spans < m->nr_slots)
		m->spans[m->nr_spans++] = m->slots[slot].room;
}

void fl_model_trim(struct fl_model *m)
{
	for (uint32_t i = 0; i < m->nr_spans; i++)
		m->spans[i] = m->g.start_bytes;
}

/* One allocation; returns the events it implies, 0 or 1. */
static inline uint64_t allocate(struct fl_model *m, struct room *r,
				uint64_t bytes)
{
	const uint64_t n = fl_object_bytes(bytes);
	uint64_t step, most;

	if (!m->extends) {
		if (n <= r->room) {
			r->room -= n;
			return 0;
		}
		/* The object stays below its block; the next is in another. */
		if (m->strategy->answer == FL_ANSWER_ELASTIC &&
		    bytes <= FL_SITE_BYTES_MAX) {
			r->room = m->g.block_bytes;
			return 1;
		}
		r->room = n <= m->g.block_bytes ? m->g.block_bytes :
			m->strategy->large_block_bytes ?
			m->strategy->large_block_bytes(m->heap, n) : n;
		r->room -= n < r->room ? n : r->room;
		return 1;
	}
	r->used += n;
	if (r->used <= r->room)
		return 0;
	step = fl_page_round(r->used) - r->room;
	most = m->g.block_bytes - r->room;
	step = step < r->step ? r->step : step;
	r->room += step < most ? step : most;
	if (m->g.doubling && r->step < m->g.step_bytes_max)
		r->step *= 2;
	return 1;
}

static uint64_t run_program(struct fl_model *m, const struct fl_workload *w)
{
	uint64_t events = 0;
	uint32_t current = 0;

	for (uint64_t i = 0; i < w->nr_words; i++) {
		const uint32_t op = w->program[i], slot = op & FL_SLOT_MASK;
		uint64_t bytes = op;

		if (op >= FL_OP_BASE) {
			switch (op & FL_OP_MASK) {
			case FL_OP_CREATE:
				fl_model_create(m, slot);
				current = slot;
				continue;
			case FL_OP_SWITCH:
				current = slot;
				continue;
			case FL_OP_RESET:
				reset(m, slot);
				continue;
			case FL_OP_DESTROY:
				fl_model_destroy(m, slot);
				continue;
			default:
				bytes = w->program[i + 1] |
					(uint64_t)w->program[i + 2] << 32;
				i += 2;
			}
		}
		events += allocate(m, &m->slots[current], bytes);
	}
	return events;
}

/* The size of object @i; the kernels' index begins at 1 (kernels/fill.h). */
static inline uint64_t bytes_of(const struct fl_workload *w, bool wide,
				uint64_t i)
{
	if (w->spec.object_bytes)
		return w->spec.object_bytes;
	return wide ? w->sizes32[i & (w->nr_sizes - 1)] :
		      w->sizes16[i & (w->nr_sizes - 1)];
}

/*
 * Sizes repeat in rounds.  As many whole rounds as there is room for imply no
 * event, wherever they begin, so only the one behind them is gone through.
 */
static uint64_t run_lifetime(struct fl_model *m, const struct fl_workload *w)
{
	const uint64_t period = w->spec.object_bytes ? 1 : w->nr_sizes;
	const bool wide = !strcmp(w->spec.kernel, "straddle");
	struct room *r = &m->slots[0];
	uint64_t events = 0, round_bytes = 0;

	for (uint64_t i = 0; i < period; i++)
		round_bytes += fl_object_bytes(bytes_of(w, wide, i));
	for (uint64_t i = 1; i <= w->nr_objects;) {
		const uint64_t room = !m->extends ? r->room :
				      r->used < r->room ? r->room - r->used : 0;
		const uint64_t left = (w->nr_objects - i + 1) / period;
		uint64_t rounds = room / round_bytes, event = 0;

		rounds = rounds < left ? rounds : left;
		if (m->extends)
			r->used += rounds * round_bytes;
		else
			r->room -= rounds * round_bytes;
		i += rounds * period;
		for (; i <= w->nr_objects && !event; i++)
			event = allocate(m, r, bytes_of(w, wide, i));
		events += event;
	}
	reset(m, 0);
	return events;
}

uint64_t fl_model_run(struct fl_model *m, const struct fl_workload *w,
		      uint64_t nr_lifetimes)
{
	uint64_t events = 0;

	if (!strcmp(w->spec.kernel, "empty"))
		return 0;
	for (uint64_t l = 0; l < nr_lifetimes; l++) {
		uint64_t e = fl_workload_is_program(w) ? run_program(m, w) :
							 run_lifetime(m, w);

		events += e;
		/*
		 * A strategy that rearms starts every lifetime alike.  One
		 * that does not has no more events once it had none: room
		 * only grows.
		 */
		if (m->g.rearms)
			return e * nr_lifetimes;
		if (!e && !fl_workload_is_program(w))
			break;
	}
	return events;
}

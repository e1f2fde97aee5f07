/* SPDX-License-Identifier: MIT */
/*
 * Random sequences of operations against the shadow model, and the shrinking of
 * one that fails.
 *
 * Shrinking is delta debugging (Zeller & Hildebrandt, "Simplifying and Isolating
 * Failure-Inducing Input", IEEE TSE 28(2), 2002, algorithm ddmin): remove ever
 * smaller parts of the sequence while what is left still fails, each try in a
 * process of its own; then simplify what remains, operation by operation.  The
 * bound is a number of tries, so that a seed leads to the same reproducer.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "faultline/program.h"
#include "harness/conform_check.h"
#include "harness/module_load.h"
#include "harness/oracle.h"

#define KIB			((uint64_t)1 << 10)
#define MIB			((uint64_t)1 << 20)

/* Operations of one sequence: long enough for history, short enough to shrink. */
#define SEQUENCE_OPS		500u

/* What is alive at once, at most, in one region and in all. */
#define REGION_BYTES_MAX	(16 * MIB)
#define ALIVE_BYTES_MAX		(64 * MIB)

#define TRIES_MAX		700u

/*
 * Of a check's time, what one sequence and what shrinking it may take; a try is
 * shorter, because a strategy that hangs makes each as long as it may be.
 */
#define PART_OF_TIME		3u
#define TRY_SECONDS		3u

/* Lines of a reproducer that are printed. */
#define SCRIPT_LINES_MAX	40u

/* What sizes are drawn around. */
struct units {
	uint64_t block, step;	/* 0: too large to be drawn around */
	uint64_t region_bytes_max;
};

static struct units units_of(struct fl_trial *t)
{
	const struct fl_geometry g = fl_trial_geometry(t);
	struct units u = { .region_bytes_max = REGION_BYTES_MAX };

	if (t->s->answer != FL_ANSWER_NEVER && g.block_bytes <= 4 * MIB)
		u.block = g.block_bytes;
	if (g.step_bytes <= 4 * MIB)
		u.step = g.step_bytes;
	/* Where one range is all a region has, it must suffice. */
	if (t->s->answer == FL_ANSWER_EXTEND &&
	    g.block_bytes < u.region_bytes_max)
		u.region_bytes_max = g.block_bytes;
	return u;
}

/* @v as a number from -16 to 16 in words. */
static uint64_t beside(uint64_t value, uint64_t v)
{
	const uint64_t low = value > 128 ? value - 128 : 0;

	return v & 1 ? low + v / 2 % 256 : low + v / 2 % 33 * 8;
}

static uint64_t draw_bytes(const struct units *u, uint64_t *random)
{
	const uint64_t r = fl_random(random) % 100, v = fl_random(random);

	if (r < 40)
		return v % 65;
	if (r < 60)
		return v % 1025;
	if (r < 72)
		return beside((uint64_t)8 << v % 15, v >> 8);
	if (r < 80)
		return beside((1 + v % 20) * 4096, v >> 8);
	if (r < 88)
		return beside(FL_SITE_BYTES_MAX + 1, v);
	if (r < 92 && u->block)
		return beside(v % 4 ? u->block : u->block / 2, v >> 2);
	if (r < 96 && u->step)
		return beside(v % 4 ? u->step : 2 * u->step, v >> 2);
	return r == 99 ? v % (3 * MIB) : v % (256 * KIB);
}

struct maker {
	struct fl_ops ops;
	uint64_t random;
	struct units units;
	uint64_t used[FL_OPS_SLOTS], all;
	bool alive[FL_OPS_SLOTS];
	bool aligned;
	uint32_t current;
};

static void add(struct maker *m, enum fl_op_kind kind, uint32_t slot)
{
	m->ops.op[m->ops.nr++] = (struct fl_op){ .kind = kind, .slot = slot };
	switch (kind) {
	case FL_DO_CREATE:
		m->alive[slot] = true;
		m->current = slot;
		break;
	case FL_DO_USE:
		m->current = slot;
		break;
	case FL_DO_RESET:
	case FL_DO_DESTROY:
		m->alive[slot] = kind == FL_DO_RESET;
		m->all -= m->used[slot];
		m->used[slot] = 0;
		break;
	default:
		break;
	}
}

static void add_new(struct maker *m)
{
	const uint32_t slot = m->current;
	uint64_t bytes = draw_bytes(&m->units, &m->random);
	const uint64_t a = fl_random(&m->random);
	const uint64_t align = m->aligned && a % 4 == 0 ?
		(uint64_t)8 << a / 4 % 10 : 8;
	uint64_t room = fl_object_room(bytes, align);

	if (room > m->units.region_bytes_max) {
		bytes = 0;
		room = fl_object_room(bytes, align);
		if (room > m->units.region_bytes_max)
			return;
	}
	if (m->used[slot] + room > m->units.region_bytes_max ||
	    m->all + room > ALIVE_BYTES_MAX)
		add(m, FL_DO_RESET, slot);
	if (m->all + room > ALIVE_BYTES_MAX)
		return;
	m->used[slot] += room;
	m->all += room;
	m->ops.op[m->ops.nr++] = (struct fl_op){
		.kind = FL_DO_NEW, .slot = slot, .bytes = bytes, .align = align,
	};
}

struct fl_ops fl_ops_make(struct fl_trial *t, uint64_t seed, size_t nr,
			  bool aligned)
{
	struct maker m = {
		.random = seed, .units = units_of(t), .aligned = aligned,
	};

	/* A step adds at most a switch, a reset and an allocation. */
	m.ops.op = fl_trial_alloc(t, 3 * nr + FL_OPS_SLOTS + 3,
				  sizeof(*m.ops.op));
	while (m.ops.nr < nr) {
		const uint64_t r = fl_random(&m.random) % 100;
		const uint32_t slot = (uint32_t)(fl_random(&m.random) %
						 FL_OPS_SLOTS);

		if (!m.alive[m.current]) {
			add(&m, m.alive[slot] ? FL_DO_USE : FL_DO_CREATE, slot);
		} else if (r < 84) {
			add_new(&m);
		} else if (r < 92) {
			add(&m, m.alive[slot] ? FL_DO_USE : FL_DO_CREATE, slot);
		} else if (m.alive[slot]) {
			add(&m, r < 96 ? FL_DO_RESET : FL_DO_DESTROY, slot);
		}
	}
	for (uint32_t slot = 0; slot < FL_OPS_SLOTS; slot++)
		if (m.alive[slot])
			add(&m, FL_DO_DESTROY, slot);
	return m.ops;
}

/*
 * What an operation does where it stands.  Parts of a sequence hold operations
 * that make no sense there; those do nothing.
 */
struct walk {
	bool alive[FL_OPS_SLOTS];
	uint32_t current;	/* FL_OPS_SLOTS: none */
};

static bool step(struct walk *w, const struct fl_op *op)
{
	switch (op->kind) {
	case FL_DO_CREATE:
		if (w->alive[op->slot])
			return false;
		w->alive[op->slot] = true;
		w->current = op->slot;
		return true;
	case FL_DO_USE:
		if (!w->alive[op->slot] || w->current == op->slot)
			return false;
		w->current = op->slot;
		return true;
	case FL_DO_NEW:
		return w->current != FL_OPS_SLOTS;
	case FL_DO_RESET:
		return w->alive[op->slot];
	case FL_DO_DESTROY:
		if (!w->alive[op->slot])
			return false;
		w->alive[op->slot] = false;
		if (w->current == op->slot)
			w->current = FL_OPS_SLOTS;
		return true;
	}
	return false;
}

struct fl_need fl_ops_need(const struct fl_ops *ops)
{
	struct walk w = { .current = FL_OPS_SLOTS };
	struct fl_need need = {
		.object_bytes = 8, .nr_regions = FL_OPS_SLOTS,
	};
	uint64_t used[FL_OPS_SLOTS] = { 0 };

	for (size_t i = 0; i < ops->nr; i++) {
		const struct fl_op *op = &ops->op[i];

		if (!step(&w, op))
			continue;
		if (op->kind == FL_DO_NEW) {
			used[w.current] += fl_object_room(op->bytes, op->align);
			if (used[w.current] > need.region_bytes)
				need.region_bytes = used[w.current];
			if (op->bytes > need.object_bytes)
				need.object_bytes = op->bytes;
		} else if (op->kind != FL_DO_USE) {
			used[op->slot] = 0;
		}
	}
	return need;
}

uint64_t fl_ops_program(struct fl_trial *t, const struct fl_ops *ops,
			uint32_t **words, uint64_t *nr_allocs)
{
	uint32_t *out = fl_trial_alloc(t, 3 * ops->nr + FL_OPS_SLOTS + 1,
				       sizeof(*out));
	struct walk w = { .current = FL_OPS_SLOTS };
	uint64_t nr = 0;

	*nr_allocs = 0;
	for (size_t i = 0; i < ops->nr; i++) {
		const struct fl_op *op = &ops->op[i];

		if (!step(&w, op))
			continue;
		switch (op->kind) {
		case FL_DO_CREATE:
			out[nr++] = FL_OP_CREATE | op->slot;
			break;
		case FL_DO_USE:
			out[nr++] = FL_OP_SWITCH | op->slot;
			break;
		case FL_DO_RESET:
			out[nr++] = FL_OP_RESET | op->slot;
			break;
		case FL_DO_DESTROY:
			out[nr++] = FL_OP_DESTROY | op->slot;
			break;
		case FL_DO_NEW:
			++*nr_allocs;
			/* Every other one in the long form. */
			if (*nr_allocs & 1) {
				out[nr++] = FL_OP_LARGE;
				out[nr++] = (uint32_t)op->bytes;
				out[nr++] = (uint32_t)(op->bytes >> 32);
			} else {
				out[nr++] = (uint32_t)op->bytes;
			}
			break;
		}
	}
	for (uint32_t slot = 0; slot < FL_OPS_SLOTS; slot++)
		if (w.alive[slot])
			out[nr++] = FL_OP_DESTROY | slot;
	*words = out;
	return nr;
}

/*
 * Playing a sequence.
 */

typedef void (*play_fn)(struct fl_trial *t, void *ops);

static void play_objects(struct fl_trial *t, void *arg)
{
	const struct fl_ops *ops = arg;
	const struct fl_need need = fl_ops_need(ops);
	struct walk w = { .current = FL_OPS_SLOTS };
	struct fl_region *regions[FL_OPS_SLOTS] = { NULL };
	struct fl_heap *heap = fl_trial_open(t, &need);
	struct fl_shadow *shadow = fl_shadow_new(t, heap);

	for (size_t i = 0; i < ops->nr; i++) {
		const struct fl_op *op = &ops->op[i];

		if (!step(&w, op))
			continue;
		switch (op->kind) {
		case FL_DO_CREATE:
			regions[op->slot] = fl_trial_region(t, heap);
			break;
		case FL_DO_NEW:
			fl_shadow_alloc(shadow, regions[w.current], w.current,
					op->bytes, op->align);
			break;
		case FL_DO_RESET:
			fl_shadow_reset(shadow, regions[op->slot], op->slot);
			break;
		case FL_DO_DESTROY:
			fl_shadow_destroy(shadow, regions[op->slot], op->slot);
			break;
		case FL_DO_USE:
			break;
		}
	}
	fl_shadow_verify_all(shadow);
	fl_trial_doing(t, "closing the heap");
	t->s->close(heap);
}

static void run_program(struct fl_trial *t, const struct fl_strategy *s,
			const struct fl_kernel *k, const struct fl_need *need,
			struct fl_batch *batch, struct fl_batch_result *result)
{
	const struct fl_open_args args = {
		.values = t->conform->values,
		.region_bytes_max = need->region_bytes,
		.object_bytes_max = need->object_bytes,
		.nr_regions_max = need->nr_regions, .cpu = -1,
	};
	int err = s->open(&args, &batch->heap);

	if (err)
		fl_trial_fail(t, "%s: open: %s", s->name, strerror(-err));
	memset(batch->slots, 0, batch->nr_slots * sizeof(*batch->slots));
	memset(batch->states, 0, batch->nr_slots * sizeof(*batch->states));
	err = k->run(batch, result);
	if (err == -EILSEQ)
		fl_trial_fail(t, "cursor in %s: an object's contents had changed when its region died",
			      fl_residence_name(k->residence));
	if (err || result->error)
		fl_trial_fail(t, "cursor in %s: the program returned %d, error %d",
			      fl_residence_name(k->residence), err,
			      result->error);
	s->close(batch->heap);
}

static void play_program(struct fl_trial *t, void *arg)
{
	static const enum fl_residence residences[] = { FL_REGISTER, FL_MEMORY };
	const struct fl_ops *ops = arg;
	const struct fl_need need = fl_ops_need(ops);
	struct fl_region *slots[FL_OPS_SLOTS];
	struct fl_slot_state states[FL_OPS_SLOTS];
	struct fl_batch batch = {
		.nr_lifetimes = 2, .nr_slots = FL_OPS_SLOTS, .slots = slots,
		.states = states,
	};
	struct fl_batch_result want, got;
	uint32_t *words;

	batch.nr_words = fl_ops_program(t, ops, &words, &batch.nr_log);
	batch.program = words;
	batch.log = fl_trial_alloc(t, batch.nr_log, sizeof(*batch.log));
	for (size_t i = 0; i < 2; i++) {
		const struct fl_kernel *k = fl_kernel_find(t->s, "replay", 0,
			residences[i], FL_VERIFY);
		const struct fl_kernel *model = fl_kernel_find(&fl_oracle,
			"replay", 0, residences[i], FL_VERIFY);

		if (!k || !model)
			fl_trial_skip(t, "there is no kernel replay");
		run_program(t, &fl_oracle, model, &need, &batch, &want);
		fl_trial_doing(t, "running a random program, cursor in %s",
			       fl_residence_name(residences[i]));
		run_program(t, t->s, k, &need, &batch, &got);
		if (want.checksum != got.checksum)
			fl_trial_fail(t, "cursor in %s: checksum %016" PRIx64
				      ", and the reference has %016" PRIx64,
				      fl_residence_name(residences[i]),
				      got.checksum, want.checksum);
	}
	free(words);
	free(batch.log);
}

/*
 * Shrinking.
 */

struct shrink {
	struct fl_trial *t;
	play_fn play;
	struct fl_ops ops;		/* the shortest that fails so far */
	struct fl_outcome outcome;	/* of it */
	unsigned tries;
	time_t until;
};

static unsigned part_of_time(const struct fl_trial *t)
{
	const unsigned part = t->conform->timeout_s / PART_OF_TIME;

	return part ? part : 1;
}

static time_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static bool may_try(const struct shrink *s)
{
	return s->tries < TRIES_MAX && now_s() < s->until;
}

/* Does @ops fail, too?  Then it is the best so far. */
static bool fails(struct shrink *s, const struct fl_ops *ops)
{
	struct fl_outcome out;

	s->tries++;
	fl_trial_run(s->t->conform, s->play, (void *)(uintptr_t)ops,
		     TRY_SECONDS, &out);
	if (out.verdict != FL_CHECK_FAIL)
		return false;
	memmove(s->ops.op, ops->op, ops->nr * sizeof(*ops->op));
	s->ops.nr = ops->nr;
	s->outcome = out;
	return true;
}

/* Leave out the operations [from, from + nr). */
static bool without(struct shrink *s, struct fl_ops *scratch, size_t from,
		    size_t nr)
{
	if (from + nr > s->ops.nr)
		nr = s->ops.nr - from;
	memcpy(scratch->op, s->ops.op, from * sizeof(*scratch->op));
	memcpy(scratch->op + from, s->ops.op + from + nr,
	       (s->ops.nr - from - nr) * sizeof(*scratch->op));
	scratch->nr = s->ops.nr - nr;
	return fails(s, scratch);
}

/* ddmin without its "reduce to subset" step, which leaving out parts implies. */
static void remove_parts(struct shrink *s, struct fl_ops *scratch)
{
	size_t part = (s->ops.nr + 1) / 2;

	while (part && may_try(s)) {
		bool removed = false;

		/* From the end: what comes late depends on what came early. */
		for (size_t k = (s->ops.nr + part - 1) / part; k-- > 0;)
			if (k * part < s->ops.nr && may_try(s))
				removed |= without(s, scratch, k * part, part);
		if (!removed || part > 1)
			part = part > 1 ? (part + 1) / 2 : removed;
	}
}

static bool with(struct shrink *s, struct fl_ops *scratch, size_t at,
		 const struct fl_op *op)
{
	memcpy(scratch->op, s->ops.op, s->ops.nr * sizeof(*scratch->op));
	scratch->nr = s->ops.nr;
	scratch->op[at] = *op;
	return may_try(s) && fails(s, scratch);
}

/* Ordinary sizes, the least alignment, and the first regions, where they do. */
static void simplify(struct shrink *s, struct fl_ops *scratch)
{
	for (size_t i = 0; i < s->ops.nr; i++) {
		struct fl_op op = s->ops.op[i];

		if (op.kind != FL_DO_NEW)
			continue;
		if (op.align > 8) {
			op.align = 8;
			if (!with(s, scratch, i, &op))
				op.align = s->ops.op[i].align;
		}
		if (op.bytes != 8) {
			op.bytes = 8;
			if (with(s, scratch, i, &op))
				continue;
			op.bytes = (s->ops.op[i].bytes + 4095) &
				   ~(uint64_t)4095;
			if (op.bytes != s->ops.op[i].bytes)
				with(s, scratch, i, &op);
		}
	}
}

/* Drop what does nothing where it stands. */
static void drop_idle(struct fl_ops *ops)
{
	struct walk w = { .current = FL_OPS_SLOTS };
	size_t nr = 0;

	for (size_t i = 0; i < ops->nr; i++)
		if (step(&w, &ops->op[i]))
			ops->op[nr++] = ops->op[i];
	ops->nr = nr;
}

static int print_op(const struct fl_op *op, uint32_t current, char *out,
		    size_t out_bytes)
{
	const int slot = 'a' + (int)op->slot;

	switch (op->kind) {
	case FL_DO_CREATE:
		return snprintf(out, out_bytes, "%c = create", slot);
	case FL_DO_USE:
		return snprintf(out, out_bytes, "use %c", slot);
	case FL_DO_RESET:
		return snprintf(out, out_bytes, "reset %c", slot);
	case FL_DO_DESTROY:
		return snprintf(out, out_bytes, "destroy %c", slot);
	case FL_DO_NEW:
		if (op->align > 8)
			return snprintf(out, out_bytes, "%c: new %" PRIu64
					" align %" PRIu64, 'a' + (int)current,
					op->bytes, op->align);
		return snprintf(out, out_bytes, "%c: new %" PRIu64,
				'a' + (int)current, op->bytes);
	}
	return 0;
}

static int print_line(char *out, size_t out_bytes, const char *line,
		      unsigned times)
{
	if (times > 1)
		return snprintf(out, out_bytes, "\n  %s (%u times)", line,
				times);
	return snprintf(out, out_bytes, "\n  %s", line);
}

/* The sequence as a script; equal lines in a row are counted. */
static void print_script(const struct fl_ops *ops, char *out, size_t out_bytes)
{
	struct walk w = { .current = FL_OPS_SLOTS };
	char line[96] = "", last[96] = "";
	unsigned times = 0, lines = 0;
	size_t used = 0;

	for (size_t i = 0; i <= ops->nr && lines < SCRIPT_LINES_MAX; i++) {
		if (i < ops->nr) {
			step(&w, &ops->op[i]);
			print_op(&ops->op[i], w.current, line, sizeof(line));
		}
		if (i < ops->nr && times && !strcmp(line, last)) {
			times++;
			continue;
		}
		if (times && used < out_bytes)
			used += (size_t)print_line(out + used, out_bytes - used,
						   last, times);
		lines += times > 0;
		memcpy(last, line, sizeof(last));
		times = 1;
	}
	if (lines == SCRIPT_LINES_MAX && used < out_bytes)
		snprintf(out + used, out_bytes - used, "\n  ...");
}

static void __attribute__((noreturn))
report_shortest(struct fl_trial *t, play_fn play, const struct fl_ops *ops,
		unsigned sequence, const struct fl_outcome *first)
{
	struct shrink s = {
		.t = t, .play = play, .ops = *ops, .outcome = *first,
		.until = now_s() + part_of_time(t) * fl_trial_slowness(),
	};
	struct fl_ops scratch = {
		.op = fl_trial_alloc(t, ops->nr, sizeof(*scratch.op)),
	};
	const size_t nr = ops->nr;
	char script[2048] = "";

	fl_trial_doing(t, "shrinking random sequence %u, which fails: %s",
		       sequence, first->text);
	remove_parts(&s, &scratch);
	simplify(&s, &scratch);
	remove_parts(&s, &scratch);
	drop_idle(&s.ops);
	print_script(&s.ops, script, sizeof(script));
	fl_trial_fail(t, "%s\nseed %" PRIu64 ", sequence %u: %zu operations, shrunk to %zu in %u tries:%s",
		      s.outcome.text, t->conform->seed, sequence, nr, s.ops.nr,
		      s.tries, script);
}

static void try_sequences(struct fl_trial *t, play_fn play, uint64_t salt,
			  bool aligned)
{
	uint64_t left = t->conform->nr_ops;
	uint64_t seeds = t->conform->seed ^ salt;

	for (unsigned sequence = 1; left; sequence++) {
		const uint64_t nr = left < SEQUENCE_OPS ? left : SEQUENCE_OPS;
		struct fl_ops ops = fl_ops_make(t, fl_random(&seeds), nr,
						aligned);
		struct fl_outcome out;

		fl_trial_doing(t, "playing random sequence %u", sequence);
		fl_trial_run(t->conform, play, &ops, part_of_time(t), &out);
		if (out.verdict == FL_CHECK_SKIP)
			fl_trial_skip(t, "%s", out.text);
		if (out.verdict == FL_CHECK_FAIL)
			report_shortest(t, play, &ops, sequence, &out);
		free(ops.op);
		left -= nr;
	}
}

void fl_try_random(struct fl_trial *t)
{
	try_sequences(t, play_objects, 0, true);
}

void fl_try_random_program(struct fl_trial *t)
{
	try_sequences(t, play_program, 0x70726f6772616dull, false);
}

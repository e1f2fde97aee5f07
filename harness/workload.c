/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "faultline/program.h"
#include "harness/module_load.h"
#include "harness/programs.h"
#include "harness/workload.h"

#define BLOCK_BYTES_DEFAULT	((uint64_t)64 << 10)
#define LIFETIME_BLOCKS_DEFAULT	16u
#define NR_OPS_DEFAULT		((uint64_t)16 << 20)
#define BLOCK_BYTES_MAX		((uint64_t)1 << 30)
#define LIFETIME_BYTES_MAX	((uint64_t)1 << 36)
#define NR_OPS_MAX		((uint64_t)1 << 40)

#define MIX_SIZES	1024u
#define STRADDLE_SIZES	256u

static const struct {
	const char *name, *what;
} kernels[] = {
	{ "empty", "the loop of fill without allocation: the floor of the loop" },
	{ "fill", "objects of one constant size: 16, 32, 64 or 128 bytes" },
	{ "unroll", "fill from eight sites a turn: 16, 32 or 64 bytes" },
	{ "mix", "sizes of 8 to 4,096 bytes drawn beforehand, median 32" },
	{ "sites", "16 to 88 bytes from 256 different sites in a row" },
	{ "runs", "runs of four objects, 128 bytes, for which one check will do" },
	{ "straddle", "sizes that hit the end of a block, and exceed it" },
	{ "chain", "a linked list of 16-byte nodes, built and walked" },
	{ "tree", "binary trees of 24-byte nodes, built and walked" },
	{ "nest", "a stack of regions, as calls make them" },
	{ "skewed", "16 regions at a time, few of them large: shows what spans keep of their largest tenant" },
	{ "phases", "16 MiB in one region, then small ones: shows who gives back after a peak" },
	{ "outer", "short regions in a long one: shows what nesting costs in blocks" },
	{ "grower", "a region that grows slowly among short ones: shows what growth leaves behind" },
	{ "replay", "a recorded trace of a real program" },
};

const char *fl_workload_describe(const char *kernel)
{
	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
		if (!strcmp(kernels[i].name, kernel))
			return kernels[i].what;
	return NULL;
}

/*
 * Fractions of a block that leave every kind of remainder, exact fits, off by
 * one word on either side, and small objects between; one in 64 exceeds it.
 */
static uint32_t draw_straddle(uint64_t *state, uint32_t block)
{
	const uint64_t r = fl_random_next(state);

	if (!(r & 63))
		return block + 8 + (uint32_t)(r >> 32) % block;
	switch ((r >> 8) & 7) {
	case 0:
		return block / 2 + 8;
	case 1:
		return block / 3;
	case 2:
		return block / 4;
	case 3:
		return block - 8;
	case 4:
		return block;
	default:
		return 8 + (uint32_t)(r >> 32) % (block / 8);
	}
}

uint64_t fl_workload_turn(const char *kernel)
{
	return !strcmp(kernel, "unroll") ? FL_UNROLL_SITES :
	       !strcmp(kernel, "sites") ? FL_NR_SITES :
	       !strcmp(kernel, "runs") ? FL_RUNS_OBJECTS : 1;
}

static int is_program(const char *kernel)
{
	return fl_program_known(kernel) || !strcmp(kernel, "replay");
}

const char *fl_workload_code(const char *kernel)
{
	return fl_program_known(kernel) ? "nest" : kernel;
}

int fl_workload_is_program(const struct fl_workload *workload)
{
	return is_program(workload->spec.kernel);
}

/* What a program does, found by going through it once. */
static int survey_program(struct fl_workload *w)
{
	struct {
		uint64_t bytes, objects;
	} *slot = calloc(w->nr_regions_max + 1, sizeof(*slot));
	uint64_t alive = 0;
	uint32_t current = 0;

	if (!slot)
		return -ENOMEM;
	for (uint64_t i = 0; i < w->nr_words; i++) {
		const uint32_t op = w->program[i], s = op & FL_SLOT_MASK;
		uint64_t bytes = op;

		if (op >= FL_OP_BASE) {
			switch (op & FL_OP_MASK) {
			case FL_OP_CREATE:
				w->nr_events++;
				current = s;
				continue;
			case FL_OP_SWITCH:
				current = s;
				continue;
			case FL_OP_RESET:
			case FL_OP_DESTROY:
				w->nr_events++;
				alive -= slot[s].objects;
				slot[s].bytes = slot[s].objects = 0;
				continue;
			default:
				bytes = w->program[i + 1] |
					(uint64_t)w->program[i + 2] << 32;
				i += 2;
			}
		}
		w->nr_events++;
		w->nr_objects++;
		alive++;
		slot[current].objects++;
		slot[current].bytes += fl_object_bytes(bytes);
		w->lifetime_bytes += fl_object_bytes(bytes);
		if (slot[current].bytes > w->region_bytes_max)
			w->region_bytes_max = slot[current].bytes;
		if (bytes > w->object_bytes_max)
			w->object_bytes_max = bytes;
		if (alive > w->nr_log)
			w->nr_log = alive;
	}
	free(slot);
	return 0;
}

static int make_program(struct fl_workload *w, struct fl_complaint *why)
{
	int err;

	if (!strcmp(w->spec.kernel, "replay")) {
		if (!w->spec.trace)
			return fl_complain(why, -EINVAL,
				"kernel replay needs a trace: add --trace FILE");
		err = fl_trace_read(w->spec.trace, &w->trace, why);
		if (err)
			return err;
		w->program = w->trace.words;
		w->nr_words = w->trace.nr_words;
		w->nr_regions_max = w->trace.nr_slots;
	} else {
		struct fl_program program;

		err = fl_program_make(w->spec.kernel, w->spec.seed, &program);
		if (err)
			return err;
		w->program = program.words;
		w->nr_words = program.nr_words;
		w->nr_regions_max = program.nr_slots;
	}
	w->slots = calloc(w->nr_regions_max + 1, sizeof(*w->slots));
	w->states = calloc(w->nr_regions_max + 1, sizeof(*w->states));
	if (!w->slots || !w->states)
		return -ENOMEM;
	err = survey_program(w);
	if (err)
		return err;
	if (!w->nr_objects)
		return fl_complain(why, -EINVAL,
			"%s: the trace allocates nothing: there is nothing to time",
			w->spec.trace);
	return 0;
}

/*
 * Lifetimes of one size: as many objects, in whole turns of the kernel, as fit
 * each block, times blocks.
 */
static int make_constant(struct fl_workload *w, uint64_t blocks,
			 struct fl_complaint *why)
{
	const uint64_t size = w->spec.object_bytes;
	const uint64_t fit = w->spec.block_bytes / size;
	const uint64_t per_block = fit - fit % fl_workload_turn(w->spec.kernel);

	if (!per_block)
		return fl_complain(why, -EINVAL,
			"a block of %" PRIu64 " bytes holds no object of %" PRIu64
			" bytes: raise --block or lower --size",
			w->spec.block_bytes, size);
	w->nr_objects = per_block * blocks;
	w->lifetime_bytes = w->nr_objects * size;
	w->object_bytes_max = size;
	return 0;
}

/*
 * Lifetimes from a table: as many rounds of it as reach the bytes asked for; of
 * sites and runs, as many as fit, so that a lifetime of one block ends none.
 */
static int make_table(struct fl_workload *w)
{
	const int straddle = !strcmp(w->spec.kernel, "straddle");
	const int runs = !strcmp(w->spec.kernel, "runs");
	const int sites = runs || !strcmp(w->spec.kernel, "sites");
	const int mix = !strcmp(w->spec.kernel, "mix");
	uint64_t state = w->spec.seed, round_bytes = 0, rounds;

	w->nr_sizes = mix ? MIX_SIZES : straddle ? STRADDLE_SIZES :
		      runs ? FL_RUNS_OBJECTS : FL_NR_SITES;
	w->sizes16 = calloc(w->nr_sizes, sizeof(*w->sizes16));
	w->sizes32 = calloc(w->nr_sizes, sizeof(*w->sizes32));
	if (!w->sizes16 || !w->sizes32)
		return -ENOMEM;
	for (uint64_t i = 0; i < w->nr_sizes; i++) {
		uint32_t bytes = mix ? fl_random_mix(&state) : straddle ?
			draw_straddle(&state, (uint32_t)w->spec.block_bytes) :
			runs ? fl_runs_bytes(i) : fl_sites_bytes(i);

		if (straddle)
			w->sizes32[i] = bytes;
		else
			w->sizes16[i] = (uint16_t)bytes;
		round_bytes += fl_object_bytes(bytes);
		if (bytes > w->object_bytes_max)
			w->object_bytes_max = bytes;
	}
	rounds = (w->spec.lifetime_bytes + (sites ? 0 : round_bytes - 1)) /
		 round_bytes;
	rounds += !rounds;
	w->nr_objects = rounds * w->nr_sizes;
	w->lifetime_bytes = rounds * round_bytes;
	return 0;
}

/* Fill in what the user left open, and refuse what makes no sense. */
static int complete_spec(struct fl_workload_spec *s, struct fl_complaint *why)
{
	const char *names[sizeof(kernels) / sizeof(kernels[0]) + 1] = { NULL };
	static const uint32_t fill_sizes[] = { 16, 32, 64, 128 };
	const int unroll = !strcmp(s->kernel, "unroll");
	const int fill = unroll || !strcmp(s->kernel, "fill");
	const char *near;
	int known = 0;

	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
		names[i] = kernels[i].name;
	if (!fl_workload_describe(s->kernel)) {
		near = fl_nearest(s->kernel, names);
		return fl_complain(why, -EINVAL,
			"unknown kernel \"%s\"%s%s%s; `faultline list` shows them",
			s->kernel, near ? ": did you mean \"" : "",
			near ? near : "", near ? "\"?" : "");
	}
	if (!strcmp(s->kernel, "chain"))
		s->object_bytes = 16;
	else if (!strcmp(s->kernel, "tree"))
		s->object_bytes = 24;
	else if (fill || !strcmp(s->kernel, "empty"))
		s->object_bytes = s->object_bytes ? s->object_bytes : 16;
	else
		s->object_bytes = 0;
	for (size_t i = 0; i < sizeof(fill_sizes) / sizeof(fill_sizes[0]); i++)
		known |= s->object_bytes == fill_sizes[i] &&
			 !(unroll && fill_sizes[i] == 128);
	if (fill && !known)
		return fl_complain(why, -EINVAL,
			"%s is compiled for objects of %s bytes, not %u: choose one of them, or kernel mix",
			s->kernel, unroll ? "16, 32 and 64" :
			"16, 32, 64 and 128", s->object_bytes);
	if (!s->block_bytes)
		s->block_bytes = BLOCK_BYTES_DEFAULT;
	if (!s->lifetime_bytes)
		s->lifetime_bytes = LIFETIME_BLOCKS_DEFAULT * s->block_bytes;
	if (!s->nr_ops)
		s->nr_ops = NR_OPS_DEFAULT;
	if (!s->seed)
		s->seed = 1;
	if (s->block_bytes < 4096 || s->block_bytes > BLOCK_BYTES_MAX)
		return fl_complain(why, -EINVAL,
			"--block: %" PRIu64 " is out of range, it must be from 4K to 1G",
			s->block_bytes);
	if (s->lifetime_bytes > LIFETIME_BYTES_MAX)
		return fl_complain(why, -EINVAL,
			"--lifetime: %" PRIu64 " is out of range, the most is 64G",
			s->lifetime_bytes);
	if (!is_program(s->kernel) && s->lifetime_bytes < s->block_bytes)
		return fl_complain(why, -EINVAL,
			"--lifetime: %" PRIu64 " bytes are less than one block of %" PRIu64
			": raise it, or lower --block",
			s->lifetime_bytes, s->block_bytes);
	if (s->nr_ops > NR_OPS_MAX)
		return fl_complain(why, -EINVAL,
			"--ops: %" PRIu64 " is out of range, the most is %" PRIu64,
			s->nr_ops, NR_OPS_MAX);
	return 0;
}

int fl_workload_make(const struct fl_workload_spec *spec,
		     struct fl_workload *workload, struct fl_complaint *why)
{
	struct fl_workload w = { .spec = *spec };
	int err = complete_spec(&w.spec, why);

	if (err)
		return err;
	if (is_program(w.spec.kernel)) {
		err = make_program(&w, why);
	} else {
		w.nr_regions_max = 1;
		err = w.spec.object_bytes ?
			make_constant(&w, w.spec.lifetime_bytes /
				      w.spec.block_bytes, why) :
			make_table(&w);
		w.region_bytes_max = w.lifetime_bytes;
		w.nr_log = w.nr_objects;
	}
	if (err) {
		fl_workload_free(&w);
		return err;
	}
	w.nr_lifetimes = (w.spec.nr_ops + w.nr_objects - 1) / w.nr_objects;
	*workload = w;
	return 0;
}

void fl_workload_free(struct fl_workload *w)
{
	free(w->sizes16);
	free(w->sizes32);
	if (w->program != w->trace.words)
		free(w->program);
	fl_trace_free(&w->trace);
	free(w->slots);
	free(w->states);
	*w = (struct fl_workload){ 0 };
}

void fl_workload_batch(struct fl_workload *w, struct fl_heap *heap,
		       struct fl_region *region, uint64_t nr_lifetimes,
		       struct fl_batch *batch)
{
	if (w->slots) {
		memset(w->slots, 0, w->nr_regions_max * sizeof(*w->slots));
		memset(w->states, 0, w->nr_regions_max * sizeof(*w->states));
	}
	*batch = (struct fl_batch){
		.heap = heap, .region = region,
		.nr_lifetimes = nr_lifetimes, .nr_objects = w->nr_objects,
		.sizes16 = w->sizes16, .sizes32 = w->sizes32,
		.nr_sizes = w->nr_sizes,
		.program = w->program, .nr_words = w->nr_words,
		.nr_slots = w->nr_regions_max,
		.slots = w->slots, .states = w->states,
	};
}

void fl_workload_open_args(const struct fl_workload *w,
			   struct fl_open_args *args)
{
	args->region_bytes_max = w->region_bytes_max;
	args->object_bytes_max = w->object_bytes_max;
	args->nr_regions_max = w->nr_regions_max;
}

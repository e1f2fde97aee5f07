/* SPDX-License-Identifier: MIT */
/*
 * faultline/module.h: the template that turns a fast path into a module.  It is
 * a strategy's last include.
 *
 * Before including it a strategy defines, as static functions or as macros that
 * name others:
 *
 *	fl_hot void *strategy_new(struct fl_region *region,
 *			struct fl_cursor *cursor, size_t bytes,
 *			size_t align, uint64_t first_word);
 *	int strategy_region_create(struct fl_heap *, struct fl_region **);
 *	void strategy_region_reset(struct fl_region *);
 *	void strategy_region_destroy(struct fl_region *);
 *
 * strategy_new allocates and stores the object's first word.  @align is a
 * constant, 8 to FL_ALIGN_MAX; @bytes may be anything up to
 * FL_OBJECT_BYTES_MAX, 0 included, and is rounded inside (fl_object_bytes).
 * @cursor is the region's own or a copy that lives in registers: use it and
 * never region->cursor.  It never returns NULL: when memory is exhausted the
 * object comes from a sink and region->error is set.
 *
 * Optionally, before the include:
 *
 *	#define strategy_slow_seq(region, cursor) ...
 *
 * a number that changes whenever the slow path ran; the default sums what the
 * heap counts.  A strategy whose slow path is the kernel's own needs one.
 *
 * And
 *
 *	#define FL_HAS_RUNS
 *	fl_hot void strategy_claim(struct fl_region *region,
 *			struct fl_cursor *cursor, size_t bytes);
 *	fl_hot void *strategy_carve(struct fl_region *region,
 *			struct fl_cursor *cursor, size_t bytes,
 *			uint64_t first_word);
 *
 * of a strategy that checks once for several allocations; and with FL_HAS_TURNS
 *
 *	fl_hot void strategy_turn(struct fl_region *region,
 *			struct fl_cursor *cursor, size_t bytes);
 *
 * of one that has red zones: faultline/run.h.
 *
 * After it, one line closes the module:
 *
 *	FL_STRATEGY(.name = "bump_down", .summary = "...", ...);
 */
#ifdef FL_MODULE_H
#error "faultline/module.h makes one module: include it once, last"
#endif
#define FL_MODULE_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "faultline/builder.h"
#include "faultline/kernel.h"
#include "faultline/large.h"
#include "faultline/program.h"
#include "faultline/run.h"
#include "faultline/strategy.h"
#include "faultline/ticks.h"

#ifndef strategy_slow_seq
#define strategy_slow_seq(region, cursor)				\
	((void)(cursor), (region)->events->nr_refills +			\
	 (region)->events->nr_hits + (region)->events->nr_sinks)
#endif

/* Of a strategy that does not say FL_HAS_RUNS: faultline/run.h. */
#ifndef FL_HAS_RUNS
#define strategy_claim(region, cursor, bytes)	((void)(bytes))
#define strategy_carve(region, cursor, bytes, first_word)		\
	strategy_new(region, cursor, bytes, FL_GRAIN_BYTES, first_word)
#endif

/* Of one without red zones. */
#ifndef FL_HAS_TURNS
#define strategy_turn(region, cursor, bytes)				\
	strategy_claim(region, cursor, bytes)
#endif

/*
 * Where a kernel allocates now.  In register residence the copy of the cursor
 * is a local of the kernel that no pointer escapes to, so it lives in
 * registers; the codegen test checks that.
 */
struct fl_at {
	struct fl_region *region;
	struct fl_cursor local;
};

fl_hot void fl_enter(struct fl_at *at, struct fl_region *region,
		     enum fl_residence residence)
{
	at->region = region;
	if (residence == FL_REGISTER)
		at->local = region->cursor;
}

fl_hot void fl_leave(struct fl_at *at, enum fl_residence residence)
{
	/*
	 * volatile keeps this two stores.  As one of 16 bytes, gcc 12 -O2 has the
	 * two pointers in one vector register throughout the kernel.
	 */
	volatile struct fl_cursor *cursor = &at->region->cursor;

	if (residence == FL_REGISTER) {
		cursor->bump = at->local.bump;
		cursor->limit = at->local.limit;
	}
}

fl_hot struct fl_cursor *fl_cursor_of(struct fl_at *at,
				      enum fl_residence residence)
{
	return residence == FL_REGISTER ? &at->local : &at->region->cursor;
}

/* What verify mode keeps beside the batch. */
struct fl_verify {
	uint32_t free_head;	/* entries of dead objects, + 1 */
	uint64_t nr_used;	/* entries ever handed out */
	int error;
};

/*
 * The word at byte offset @i of an object's body in verify mode.  Bodies are filled and read in
 * words, up to the rounded size: all of it is the object's.
 */
fl_hot uint64_t fl_pattern(uint64_t word, uint64_t i)
{
	return (word + i) * 0x9e3779b97f4a7c15u + 1;
}

/* Fill what the kernel does not write itself, and log the object. */
static fl_cold void fl_verify_add(const struct fl_batch *batch,
				  struct fl_verify *v, uint32_t *head,
				  char *object, uint64_t bytes, uint64_t used,
				  uint64_t first_word)
{
	struct fl_logged *entry;
	uint32_t index = v->free_head;

	if (index) {
		v->free_head = batch->log[index - 1].prev;
	} else if (v->nr_used < batch->nr_log) {
		index = (uint32_t)++v->nr_used;
	} else {
		v->error = -ENOBUFS;
		return;
	}
	for (uint64_t i = used; i < fl_object_bytes(bytes); i += 8)
		((uint64_t *)(void *)object)[i / 8] = fl_pattern(first_word, i);
	entry = &batch->log[index - 1];
	*entry = (struct fl_logged){
		.object = object, .bytes = bytes, .used = used,
		.first_word = first_word, .prev = *head,
	};
	*head = index;
}

/* Read every logged object of a region back; its region is about to die. */
static fl_cold void fl_verify_region(const struct fl_batch *batch,
				     struct fl_verify *v, uint32_t *head)
{
	while (*head) {
		struct fl_logged *e = &batch->log[*head - 1];
		const uint64_t *words = (const uint64_t *)(void *)e->object;
		uint32_t index = *head;

		if (words[0] != e->first_word)
			v->error = -EILSEQ;
		for (uint64_t i = e->used; i < fl_object_bytes(e->bytes); i += 8)
			if (words[i / 8] != fl_pattern(e->first_word, i))
				v->error = -EILSEQ;
		*head = e->prev;
		e->prev = v->free_head;
		v->free_head = index;
	}
}

/* Write to every page the object covers, as a program that fills it would. */
fl_hot void fl_touch(char *object, uint64_t bytes)
{
	if (bytes <= 8)
		return;
	for (uint64_t i = 4096; i < bytes; i += 4096)
		*(volatile char *)(object + i) = 1;
	*(volatile char *)(object + bytes - 1) = 1;
}

/*
 * No instruction: notes, in a section that is not loaded, that an allocation has
 * ended here and which register holds the object.  Compilers copy and move what
 * they inline; the codegen test finds allocations by this.  "inline" at its use
 * keeps gcc from taking these lines for instructions when it weighs loops.
 */
#define FL_MARK								\
	"773:\n\t"							\
	".pushsection fl_marks, \"\", @progbits\n\t"			\
	".quad 773b\n\t"						\
	".asciz \"%q[p]\"\n\t"						\
	".popsection"

/*
 * fl_new: One allocation of a kernel, in any mode.  @bytes as the program asks;
 * @used: how many bytes the kernel itself writes, first word included.
 * @residence and @mode are constants.
 */
fl_hot char *fl_new(const struct fl_batch *batch, struct fl_at *at,
		    struct fl_verify *v, uint32_t *log_head, size_t bytes,
		    uint64_t used, uint64_t word, enum fl_residence residence,
		    enum fl_mode mode)
{
	struct fl_cursor *cursor = fl_cursor_of(at, residence);
	uint64_t seq = 0, start = 0, nr = 0;
	bool timed = false;
	char *p;

	if (mode == FL_LATENCY) {
		nr = batch->watch->nr_allocs++;
		timed = nr == *batch->watch->due;
		seq = strategy_slow_seq(at->region, cursor);
		if (fl_unlikely(timed))
			start = fl_ticks();
	}
	p = strategy_new(at->region, cursor, bytes, FL_GRAIN_BYTES, word);
	/*
	 * The object is handed to the program here; without this the compilers
	 * may delay or merge first words, which no allocator's caller allows.
	 */
	__asm__ volatile inline(FL_MARK :: [p] "r"(p));
	/*
	 * In memory residence the next allocation must load the cursor again,
	 * as it must in a C caller that wrote through an unknown pointer.
	 */
	if (residence == FL_MEMORY)
		__asm__ volatile("" ::: "memory");
	if (mode == FL_PLANTED)
		__asm__ volatile("imul $1, %0, %0" : "+r"(cursor->bump));
	if (mode == FL_LATENCY) {
		uint64_t ticks = fl_unlikely(timed) ? fl_ticks() - start : 0;

		if (fl_unlikely(seq != strategy_slow_seq(at->region, cursor)))
			batch->watch->slow(batch->watch, nr, timed, ticks);
	}
	if (mode == FL_VERIFY)
		fl_verify_add(batch, v, log_head, p, bytes, used, word);
	if (mode == FL_ACCOUNT) {
		fl_touch(p, bytes);
		batch->events->object(batch->events, p, bytes);
	}
	return p;
}

/*
 * What a constructor is: a function whose arguments, all five of them alive across
 * its allocation, become the object.  Nobody calls it: it is in each module for its
 * code to be read (analysis/sitecode.pl), as what the site costs where there is
 * little else.
 */
static __attribute__((noinline, used)) void *
fl_construct(struct fl_region *region, uint64_t a, uint64_t b, uint64_t c,
	     uint64_t d, uint64_t e)
{
	uint64_t *p = (uint64_t *)strategy_new(region, &region->cursor,
					       5 * sizeof(*p), FL_GRAIN_BYTES, a);

	p[1] = b;
	p[2] = c;
	p[3] = d;
	p[4] = e;
	return p;
}

#include "faultline/kernels/empty.h"
#include "faultline/kernels/fill.h"
#include "faultline/kernels/sizes.h"
#include "faultline/kernels/unroll.h"
#include "faultline/kernels/runs.h"
#include "faultline/kernels/chain.h"
#include "faultline/kernels/tree.h"
#include "faultline/kernels/program.h"

/*
 * The instances.  Each is a function of its own that is never inlined, so that
 * the disassembly of fl_run_fill_16_register_timed is the measured code and
 * nothing else.
 */
#define FL_INSTANCE(kernel, body, size, residence_, RESIDENCE, mode_, MODE) \
	static __attribute__((noinline)) int				\
	fl_run_##kernel##_##size##_##residence_##_##mode_(		\
		const struct fl_batch *batch,				\
		struct fl_batch_result *result)				\
	{								\
		return body(batch, result, size, RESIDENCE, MODE);	\
	}

#define FL_ENTRY(kernel, body, size, residence_, RESIDENCE, mode_, MODE) \
	{								\
		.name = #kernel, .object_bytes = size,			\
		.residence = RESIDENCE, .mode = MODE,			\
		.run = fl_run_##kernel##_##size##_##residence_##_##mode_, \
	},

/*
 * FL_CODEGEN_ONLY compiles the timed instances alone: what the codegen test
 * disassembles for every compiler and optimisation level.
 */
#ifdef FL_CODEGEN_ONLY
#define FL_OTHER_MODES(X, k, body, size)
#define FL_PLANTED_MODES(X, k, body, size)
#else
#define FL_OTHER_MODES(X, k, body, size)				\
	X(k, body, size, register, FL_REGISTER, verify, FL_VERIFY)	\
	X(k, body, size, memory, FL_MEMORY, verify, FL_VERIFY)		\
	X(k, body, size, register, FL_REGISTER, latency, FL_LATENCY)	\
	X(k, body, size, memory, FL_MEMORY, latency, FL_LATENCY)	\
	X(k, body, size, memory, FL_MEMORY, account, FL_ACCOUNT)
#define FL_PLANTED_MODES(X, k, body, size)				\
	X(k, body, size, register, FL_REGISTER, planted, FL_PLANTED)	\
	X(k, body, size, memory, FL_MEMORY, planted, FL_PLANTED)
#endif

#define FL_TIMED_MODES(X, k, body, size)				\
	X(k, body, size, register, FL_REGISTER, timed, FL_TIMED)	\
	X(k, body, size, memory, FL_MEMORY, timed, FL_TIMED)

#define FL_ALL_MODES(X, k, body, size)					\
	FL_TIMED_MODES(X, k, body, size)				\
	FL_OTHER_MODES(X, k, body, size)

/*
 * Kernels of many allocations in a row.  They are four fifths of what there is to
 * compile; who compiles a module often, to see how it works and not how fast,
 * defines FL_WITHOUT_UNROLLED.
 */
#ifdef FL_WITHOUT_UNROLLED
#define FL_UNROLLED_LIST(X)
#define FL_SHARED_LIST(X)
#else
#define FL_UNROLLED_LIST(X)						\
	FL_TIMED_MODES(X, unroll, fl_unroll, 16)			\
	FL_TIMED_MODES(X, unroll, fl_unroll, 32)			\
	FL_TIMED_MODES(X, unroll, fl_unroll, 64)			\
	FL_TIMED_MODES(X, sites, fl_sites, 0)				\
	FL_TIMED_MODES(X, runs, fl_runs, 0)

/* Kernels whose objects are another kernel's: of its code they are made. */
#define FL_SHARED_LIST(X)						\
	FL_OTHER_MODES(X, unroll, fill, 16)				\
	FL_OTHER_MODES(X, unroll, fill, 32)				\
	FL_OTHER_MODES(X, unroll, fill, 64)				\
	FL_OTHER_MODES(X, sites, mix, 0)				\
	FL_OTHER_MODES(X, runs, mix, 0)
#endif

#define FL_KERNEL_LIST(X)						\
	FL_ALL_MODES(X, empty, fl_empty, 0)				\
	FL_ALL_MODES(X, fill, fl_fill, 16)				\
	FL_PLANTED_MODES(X, fill, fl_fill, 16)				\
	FL_ALL_MODES(X, fill, fl_fill, 32)				\
	FL_ALL_MODES(X, fill, fl_fill, 64)				\
	FL_ALL_MODES(X, fill, fl_fill, 128)				\
	FL_UNROLLED_LIST(X)						\
	FL_ALL_MODES(X, mix, fl_mix, 0)					\
	FL_ALL_MODES(X, straddle, fl_straddle, 0)			\
	FL_ALL_MODES(X, chain, fl_chain, 16)				\
	FL_ALL_MODES(X, tree, fl_tree, 24)				\
	FL_ALL_MODES(X, nest, fl_program, 0)				\
	FL_ALL_MODES(X, replay, fl_program, 0)

#define FL_SHARED_ENTRY(kernel, with, size, residence_, RESIDENCE, mode_, MODE) \
	{								\
		.name = #kernel, .object_bytes = size,			\
		.residence = RESIDENCE, .mode = MODE,			\
		.run = fl_run_##with##_##size##_##residence_##_##mode_,	\
	},

FL_KERNEL_LIST(FL_INSTANCE)

static const struct fl_kernel fl_kernels[] = {
	FL_KERNEL_LIST(FL_ENTRY)
	FL_SHARED_LIST(FL_SHARED_ENTRY)
};

/* One allocation, out of line, with every alignment the contract allows. */
static void *fl_object_new(struct fl_region *region, size_t bytes, size_t align,
			   uint64_t first_word)
{
	struct fl_cursor *c = &region->cursor;

	switch (align) {
	case 16:
		return strategy_new(region, c, bytes, 16, first_word);
	case 32:
		return strategy_new(region, c, bytes, 32, first_word);
	case 64:
		return strategy_new(region, c, bytes, 64, first_word);
	case 128:
		return strategy_new(region, c, bytes, 128, first_word);
	case 256:
		return strategy_new(region, c, bytes, 256, first_word);
	case 512:
		return strategy_new(region, c, bytes, 512, first_word);
	case 1024:
		return strategy_new(region, c, bytes, 1024, first_word);
	case 2048:
		return strategy_new(region, c, bytes, 2048, first_word);
	case 4096:
		return strategy_new(region, c, bytes, 4096, first_word);
	default:
		return strategy_new(region, c, bytes, 8, first_word);
	}
}

/*
 * Kernels have no builders and no arrays in an area, and call the strategy's own.
 * Programs call these: whoever builds an array in the region is told that it is gone,
 * and what the region has in an area goes.
 */
static void fl_table_region_reset(struct fl_region *region)
{
	if (region->builders)
		fl_builders_bereave(region);
	if (region->larges || region->large_error)
		fl_larges_bury(region);
	region->spare = NULL;
	strategy_region_reset(region);
}

static void fl_table_region_destroy(struct fl_region *region)
{
	if (region->builders)
		fl_builders_bereave(region);
	if (region->larges || region->large_error)
		fl_larges_bury(region);
	strategy_region_destroy(region);
}

/* What the template knows of the table; the rest is the strategy's. */
#define FL_TABLE_FIELDS							\
	.magic = FL_MAGIC,						\
	.abi = FL_ABI_VERSION,						\
	.table_bytes = sizeof(struct fl_strategy),			\
	.kernel_bytes = sizeof(struct fl_kernel),			\
	.compiler = FL_COMPILER,					\
	.kernels = fl_kernels,						\
	.nr_kernels = sizeof(fl_kernels) / sizeof(fl_kernels[0]),	\
	.region_create = strategy_region_create,			\
	.region_reset = fl_table_region_reset,				\
	.region_destroy = fl_table_region_destroy,			\
	.object_new = fl_object_new

/*
 * FL_STRATEGY: Export the table.  The arguments are designated initialisers of
 * struct fl_strategy; the rest is filled in here.
 */
#define FL_STRATEGY(...)						\
	extern const struct fl_strategy faultline_strategy		\
		__attribute__((visibility("default")));			\
	const struct fl_strategy faultline_strategy = {			\
		FL_TABLE_FIELDS,					\
		__VA_ARGS__						\
	}

/* SPDX-License-Identifier: MIT */
/*
 * faultline/strategy.h: what a strategy module is, and what it promises.
 *
 * Vocabulary: a "heap" is a strategy's instance: the address range it owns, its
 * free blocks and all its regions.  A "region" is a set of objects that die
 * together.  A "refill" is what happens when a region's block is exhausted: a
 * call (branch-driven) or a fault handler (fault-driven).
 *
 * A module is a shared object that exports one symbol, FL_STRATEGY_SYMBOL, of
 * type struct fl_strategy.  The harness loads it with RTLD_NOW | RTLD_LOCAL,
 * checks magic, ABI version and sizes, and makes one indirect call per batch.
 * There is no pointer to an allocation function on the hot path: it would cost
 * four to five times what is being measured.  The fast path is a static inline
 * function, strategy_new, that faultline/module.h compiles into every kernel.
 *
 * Threads: a heap and its regions belong to one thread, the one that calls
 * open(); other threads may use other heaps of the same module at the same
 * time.  Helper threads of a strategy are its own affair.
 *
 * Errors: functions that can fail return 0 or -errno, and write what they
 * return through pointers only on success.
 */
#ifndef FL_STRATEGY_H
#define FL_STRATEGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "faultline/cursor.h"

#define FL_STRATEGY_SYMBOL	"faultline_strategy"
#define FL_MAGIC		0x46b1e001u

/*
 * Raised by one whenever a struct, an enum value or the meaning of a hook in
 * this header or in kernel.h changes.  Modules built for another version are
 * refused by name, never guessed at.
 */
#define FL_ABI_VERSION		8u

/* The compiler at work, for the tables of modules: "gcc 12.2.0". */
#ifdef __clang__
#define FL_COMPILER	"clang " __clang_version__
#else
#define FL_COMPILER	"gcc " __VERSION__
#endif

/* What a strategy answers when a block is full. */
enum fl_answer {
	FL_ANSWER_NEVER,	/* it does not look: the buffer must suffice */
	FL_ANSWER_BRANCH,	/* a compare in the fast path calls the refill */
	FL_ANSWER_EXTEND,	/* a fault; the faulting page is made usable */
	FL_ANSWER_REDIRECT,	/* a fault; the object goes to another block */
	FL_ANSWER_ELASTIC,	/* a fault; the object stays, in pages below its
				   block, and the next one goes to another */
};

/* What a tunable's value counts. */
enum fl_tunable_kind {
	FL_TUNABLE_BYTES,	/* multiple of the page size; accepts 64K, 1M ... */
	FL_TUNABLE_COUNT,
	FL_TUNABLE_CHOICE,	/* index into choices */
};

/*
 * A declared knob.  Values travel as uint64_t in declaration order: values[i]
 * belongs to tunables[i].  The harness refuses values outside [min, max] before
 * the strategy sees them.
 */
struct fl_tunable {
	const char *name;
	const char *unit;		/* "bytes", "pages", "" ... */
	const char *help;		/* one line */
	enum fl_tunable_kind kind;
	uint64_t def, min, max;		/* min and max unused for choices */
	const char *const *choices;	/* NULL-terminated, for choices only */
};

/* Where what is free in the current block lies, if chunks may be cut off it. */
enum fl_gap {
	FL_GAP_NONE,
	FL_GAP_BELOW_BUMP,		/* from limit to bump */
	FL_GAP_ABOVE_BUMP,		/* from bump to limit */
};

/*
 * A region as kernels and harness see it.  A strategy embeds it as the first
 * member of its own region struct.
 *
 * cursor: valid whenever no kernel holds a copy of it.
 * events: the heap's; volatile because a handler writes it between two
 *         instructions of the program.
 * error:  0, or -errno of the first allocation that could not be served.  It
 *         stays until the region is reset; objects allocated since then may
 *         overlap (they came from the sink).
 * builders: those that are open (faultline/builder.h).
 * larges, large_error: its arrays in an area (faultline/large.h).
 * gap, tail_bytes: set at creation, by strategies of which anybody who holds the region
 *         may cut a chunk off the low end of what is free in the current block, by
 *         moving one member of the cursor, without asking chunk_take.  What is to grow
 *         does not begin where no more than tail_bytes are left: so much, it can rely on.
 * spare: chunks that builders left behind for the next ones, until the reset.
 */
struct fl_events;
struct fl_builder;
struct fl_large;
struct fl_region {
	struct fl_cursor cursor;
	volatile int error;
	volatile struct fl_events *events;
	struct fl_builder *builders;
	struct fl_large *larges;
	int large_error;
	enum fl_gap gap;
	uint32_t tail_bytes;
	void *spare;
};

/*
 * Memory of a region that is lent out, to be written from low to high by who does
 * not know yet how much it is going to be: a builder, or a read.  All of it may be
 * written to, by system calls, too: nothing in it faults but for the kernel's own
 * demand-zero pages.
 */
struct fl_chunk {
	char *base;
	uint64_t bytes;
	void *loan;		/* the strategy's own */
};

/*
 * What happened behind the fast path since the heap was opened.  Each time more
 * memory is supplied, one of the first two is raised by one, wherever it
 * happened: in the slow path's call or in a handler.
 */
struct fl_events {
	uint64_t nr_refills;	/* slow-path calls that supplied memory */
	uint64_t nr_hits;	/* handled faults that supplied memory */
	uint64_t nr_large;	/* objects that took the large-object path */
	uint64_t nr_sinks;	/* times memory was exhausted and the sink served */
	/* vm/retain.h: by a policy, not by trim(). */
	uint64_t nr_given_pages;	/* pages of the ranges that were given back,
					   resident or not */
	uint64_t nr_give_calls;	/* system calls that took; of io_uring, waits */
	uint64_t nr_give_failures;	/* batches that the kernel refused */
};

/* First member of every strategy's heap. */
struct fl_heap {
	struct fl_events events;
};

/*
 * What a run is going to need; the harness knows it from the kernel's
 * parameters or the compiled trace.  Strategies that check may ignore it;
 * those that do not (no_check) size their buffers by it.
 */
struct fl_open_args {
	const uint64_t *values;		/* tunables, in declaration order */
	uint64_t region_bytes_max;	/* most a region's lifetime allocates,
					   each object rounded and aligned */
	uint64_t object_bytes_max;	/* largest single object */
	uint32_t nr_regions_max;	/* most regions alive at once */
	int cpu;			/* CPU the program is pinned to, or -1 */
	uint64_t limit_bytes;		/* most the heap (where a region's end is
					   its span's, each region) may hand out
					   at once; 0: no limit.  Lets tests
					   exhaust it */
};

/* A range of addresses that a heap owns, for the page census. */
enum fl_range_kind {
	FL_RANGE_OBJECTS,	/* blocks: objects live here */
	FL_RANGE_METADATA,	/* the strategy's own bookkeeping */
	FL_RANGE_POOL,		/* pages that are moved to where objects are */
};

struct fl_range {
	char *base;		/* page aligned */
	size_t bytes;		/* multiple of the page size */
	enum fl_range_kind kind;
};

/*
 * How often the slow path must run, stated so that the harness can compute
 * nr_refills + nr_hits without the strategy: see harness/model.h.  A region
 * starts with start_bytes of room at no cost.  When an object does not fit, one
 * event supplies more:
 *
 *  branch and redirect: a block of block_bytes, or for an object larger than
 *	that, of large_block_bytes(); what was left of the old one is lost.
 *  elastic: a block of block_bytes; the object itself takes nothing of it.
 *	Where a call does it, as for branch.
 *  extend: max(step, what the object needs in whole pages) on top of what is
 *	left.  With doubling, a region's step doubles with each event, up to
 *	step_bytes_max.
 *
 * After a reset the region has start_bytes again, and its first step (rearms);
 * or it keeps all the room it had grown to, and passes it on, last in first
 * out, to the region that is created after its death.  trim() takes the room
 * that dead regions left.
 */
struct fl_geometry {
	uint64_t start_bytes;
	uint64_t block_bytes;	/* usable bytes of an ordinary block */
	uint64_t step_bytes;	/* extend: least bytes per event; else 0 */
	uint64_t step_bytes_max;	/* doubling; elastic: most that an event
					   makes resident, touched or not; else 0 */
	bool doubling;
	bool rearms;		/* the room returns to start_bytes at reset */
};

struct fl_kernel;

/*
 * The strategy's table: cold operations only.  R: required.  O: optional, may
 * be NULL.  None is called while a kernel runs except region_create,
 * region_reset and region_destroy, and, by the censuses of account mode, ranges.
 */
struct fl_strategy {
	uint32_t magic;			/* FL_MAGIC */
	uint32_t abi;			/* FL_ABI_VERSION */
	uint32_t table_bytes;		/* sizeof(struct fl_strategy) */
	uint32_t kernel_bytes;		/* sizeof(struct fl_kernel) */

	const char *name;		/* R: the module file's stem */
	const char *summary;		/* R: one line for `faultline list` */
	const char *trigger;		/* R: "branch", "SIGSEGV", ... */
	const char *compiler;		/* R: FL_COMPILER */
	enum fl_answer answer;

	const struct fl_tunable *tunables;
	size_t nr_tunables;
	const struct fl_kernel *kernels;	/* R: FL_KERNELS of module.h */
	size_t nr_kernels;

	/*
	 * O: Can this kernel, with these privileges, run the strategy with these
	 * tunables?  Really tries the mechanism.  0, or -errno with a reason of
	 * at most @reason_bytes - 1 characters.  Leaves nothing behind.
	 */
	int (*probe)(const uint64_t *values, char *reason, size_t reason_bytes);

	/* R: Make a heap.  Reserves addresses, installs handlers. */
	int (*open)(const struct fl_open_args *args, struct fl_heap **heap);

	/*
	 * R: Destroy all regions, give everything back, restore the handlers
	 * that open() found, and free @heap.
	 */
	void (*close)(struct fl_heap *heap);

	/* R: Make an empty region, ready to allocate from. */
	int (*region_create)(struct fl_heap *heap, struct fl_region **region);

	/* R: All objects of @region die; it can be allocated from again. */
	void (*region_reset)(struct fl_region *region);

	/* R: All objects die, and @region with them. */
	void (*region_destroy)(struct fl_region *region);

	/*
	 * R: One allocation, out of line; FL_NEW_OUT_OF_LINE of module.h.  For
	 * conformance tests and callers that do not care about speed.
	 * @align: power of two, 8 to FL_ALIGN_MAX.
	 */
	void *(*object_new)(struct fl_region *region, size_t bytes,
			    size_t align, uint64_t first_word);

	/*
	 * R: The ranges the heap owns now.  Writes at most @max and returns how
	 * many there are, which may be more.  Every page the heap made resident
	 * must be inside one.
	 */
	size_t (*ranges)(const struct fl_heap *heap, struct fl_range *out,
			 size_t max);

	/* R: See struct fl_geometry. */
	void (*geometry)(const struct fl_heap *heap, struct fl_geometry *out);

	/*
	 * O: Give back all memory that belongs to no live region, so that a
	 * region created next touches every page for the first time.  Returns
	 * the bytes covered.
	 */
	uint64_t (*trim)(struct fl_heap *heap);

	/*
	 * O: Usable bytes of the block that an object of @bytes, which does not
	 * fit an ordinary one, is given.  NULL: exactly what it needs.
	 */
	uint64_t (*large_block_bytes)(const struct fl_heap *heap, uint64_t bytes);

	/*
	 * O, all three or none: Chunks (vm/loans.h has them).  Called while
	 * region->cursor is valid, and any number of chunks may be out at once.
	 * A reset or a destroyed region takes back what is lent.  Without them,
	 * builders and reads go through memory of their own, and copy.
	 *
	 * chunk_take: Lend @region at least @bytes, the first at a multiple of
	 * @align, 8 to FL_ALIGN_MAX.  Returns 0 or -ENOMEM; never the sink.
	 *
	 * chunk_grow: Make it longer where it is, to at least @bytes in all.
	 * Returns 0 or -ENOSPC: nothing has changed.
	 *
	 * chunk_give: The loan ends.  The first @used bytes are an object of the
	 * region; 0: there is none.
	 */
	int (*chunk_take)(struct fl_region *region, uint64_t bytes,
			  size_t align, struct fl_chunk *chunk);
	int (*chunk_grow)(struct fl_region *region, struct fl_chunk *chunk,
			  uint64_t bytes);
	void (*chunk_give)(struct fl_region *region,
			   const struct fl_chunk *chunk, uint64_t used);
	/*
	 * With chunks: What a chunk's object leaves of it serves later objects of
	 * the region.  False: nobody uses it until the region dies.
	 */
	bool chunk_rest_serves;
};

#endif

/* SPDX-License-Identifier: MIT */
/*
 * vm/retain.h: what of dead memory is kept, and what is given back.
 *
 * Vocabulary: a "death" is the reset or the destruction of a region; age is
 * counted in deaths, never in time.  An "item" is the place of one block or span
 * (vm/blocks.h), which dies, is used again, dies.  An item is "warm" as far down
 * from its top as its pages may be resident.  A "shed" takes pages away from the
 * low end of warm items, those that have been dead for longest first.
 *
 * At each death one of these decides how much stays warm (giveback=):
 *
 *  never   all of it; there is no struct fl_retain at all
 *  death   nothing
 *  every   at each K-th death nothing, else all of it
 *  budget  above a number of bytes: half of that number, so that what goes, goes
 *          in bulk
 *  age     pages that were used in one of the last N deaths, or a little longer
 *          (they are counted in two halves, so 2N at most)
 *  warm    as much as a percentile of what was recently used: the largest drop of
 *          the dead memory within a window of N deaths, of the last 16 windows.
 *          (jemalloc, mimalloc and tcmalloc decay by time; an event count makes
 *          a run repeat itself)
 *
 * Items are of pages in no other hands: what a live region keeps of its own for
 * its next lifetime, such as a chain's first block, is not dead.
 *
 * Context: fl_retain_dead and _use are async-signal-safe, so that a fault handler
 * can take a block; _death is for the region hooks, on the heap's thread.
 */
#ifndef FL_VM_RETAIN_H
#define FL_VM_RETAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "faultline/strategy.h"
#include "vm/giveback.h"

enum fl_retain_when {
	FL_RETAIN_NEVER, FL_RETAIN_DEATH, FL_RETAIN_EVERY, FL_RETAIN_BUDGET,
	FL_RETAIN_AGE, FL_RETAIN_WARM,
};

/*
 * How pages go.  MUNMAP puts a closed mapping in the place of the old one, in one
 * call, since a hole would be anybody's; GUARD leaves guard pages.  After either
 * an item is opened when it is used again.  MOVE: to a pool of the owner's.
 */
enum fl_retain_with {
	FL_RETAIN_DONTNEED, FL_RETAIN_FREE, FL_RETAIN_MUNMAP, FL_RETAIN_GUARD,
	FL_RETAIN_MOVE,
};

#define FL_RETAIN_CAN(with)	(1u << FL_RETAIN_##with)
/* What any range of ordinary read-write memory allows. */
#define FL_RETAIN_CAN_ORDINARY						\
	(FL_RETAIN_CAN(DONTNEED) | FL_RETAIN_CAN(FREE) |		\
	 FL_RETAIN_CAN(MUNMAP) | FL_RETAIN_CAN(GUARD))

#define FL_RETAIN_NO_POOL						\
	"its pages have no pool to be moved to (uffd_rw fill=move has)"

/*
 * A strategy's tunables, the last of its table: FL_RETAIN_TUNABLES(GIVEBACK),
 * where GIVEBACK is the last of the enum that indexes values[].  The same values
 * are told to fl_retain_probe and put into struct fl_blocks_config.
 */
enum fl_retain_value {
	FL_RETAIN_VALUE_WHEN, FL_RETAIN_VALUE_DEATHS, FL_RETAIN_VALUE_KEEP,
	FL_RETAIN_VALUE_PERCENTILE, FL_RETAIN_VALUE_WITH, FL_RETAIN_VALUE_BY,
	FL_RETAIN_NR_VALUES,
};

#define FL_RETAIN_DEATHS	16u
#define FL_RETAIN_KEEP_BYTES	(1u << 20)
#define FL_RETAIN_PERCENTILE	90u

extern const char *const fl_retain_whens[];
extern const char *const fl_retain_withs[];
extern const char *const fl_retain_bys[];

#define FL_RETAIN_TUNABLES(first)					\
	[(first) + FL_RETAIN_VALUE_WHEN] = {				\
		.name = "giveback", .unit = "", .kind = FL_TUNABLE_CHOICE, \
		.help = "when dead memory goes back to the kernel",	\
		.choices = fl_retain_whens,				\
	},								\
	[(first) + FL_RETAIN_VALUE_DEATHS] = {				\
		.name = "deaths", .unit = "deaths",			\
		.kind = FL_TUNABLE_COUNT,				\
		.help = "giveback=every: how often; age: idle for longer; " \
			"warm: a window",				\
		.def = FL_RETAIN_DEATHS, .min = 1, .max = 1 << 30,	\
	},								\
	[(first) + FL_RETAIN_VALUE_KEEP] = {				\
		.name = "keep", .unit = "bytes", .kind = FL_TUNABLE_BYTES, \
		.help = "giveback=budget: most that stays warm",	\
		.def = FL_RETAIN_KEEP_BYTES, .min = 0,			\
		.max = (uint64_t)1 << 40,				\
	},								\
	[(first) + FL_RETAIN_VALUE_PERCENTILE] = {			\
		.name = "percentile", .unit = "", .kind = FL_TUNABLE_COUNT, \
		.help = "giveback=warm: of recent use, what stays warm", \
		.def = FL_RETAIN_PERCENTILE, .min = 1, .max = 100,	\
	},								\
	[(first) + FL_RETAIN_VALUE_WITH] = {				\
		.name = "with", .unit = "", .kind = FL_TUNABLE_CHOICE,	\
		.help = "how pages go (guard: Linux 6.13)",		\
		.choices = fl_retain_withs,				\
	},								\
	[(first) + FL_RETAIN_VALUE_BY] = {				\
		.name = "by", .unit = "", .kind = FL_TUNABLE_CHOICE,	\
		.help = "in what calls: one each, process_madvise, io_uring", \
		.choices = fl_retain_bys,				\
	}

struct fl_retain_config {
	enum fl_retain_when when;
	uint64_t deaths, keep_bytes, percentile;
	enum fl_retain_with with;
	enum fl_giveback_method by;
	bool whole;		/* items go all at once or not at all */
	/*
	 * Instead of the giver, if not NULL; e.g. to move pages to a pool.  Gives
	 * ranges back that are sorted and do not touch; 0 or -errno.
	 */
	int (*give)(void *owner, const struct iovec *ranges, size_t nr);
	/* If not NULL: all of the @index-th item is about to be given back. */
	void (*shed)(void *owner, size_t index);
	/*
	 * If not NULL: there are no items.  What is dead is whole, and the owner knows
	 * which of it that is warm has been dead for longest, and since when; false:
	 * nothing is.  And has it go cold, if there is one; @closes: it will have to
	 * be opened.
	 */
	bool (*oldest)(void *owner, uint32_t *died);
	struct iovec (*chill)(void *owner, bool closes);
	void *owner;
};

/* In a ring with struct fl_retain's; NULL in one that is in none. */
struct fl_retain_link {
	struct fl_retain_link *newer, *older;
};

/*
 * A cache line of its own: to touch it is most of what a policy costs.
 */
struct fl_retain_item {
	struct fl_retain_link link;	/* of the warm dead ones */
	char *top;
	uint64_t bytes;		/* warm, below top */
	uint64_t closed;	/* bytes below top that have to be opened */
	union {
		struct {
			uint64_t used;	/* of bytes, by the last lifetime */
			uint64_t out;	/* what its use took from the level */
		} warm;
		/* Most used in this half, and in the last; not if whole. */
		uint64_t recent[2];
	} by;
	/* Deaths, counted modulo 2^32: deaths= is at most a quarter of that. */
	uint32_t died;		/* at which */
	uint32_t half;		/* age: since which */
} __attribute__((aligned(64)));

#define FL_RETAIN_WINDOWS	16u
#define FL_RETAIN_RANGES	256u	/* most that a batch has */

struct fl_retain {
	struct fl_retain_config config;
	struct fl_giver giver;
	pid_t pid;			/* the giver's process */
	volatile struct fl_events *events;
	struct fl_retain_link ring;	/* newer: the oldest; older: the newest */
	uint64_t warm_bytes;		/* of dead items */
	uint64_t bound_bytes;		/* with more there is something to decide */
	uint64_t decide_at;	/* until this death there is nothing to decide */
	uint64_t nr_left;	/* deaths until then */
	/* Of dead memory, used or not: only its ups and downs count. */
	int64_t level, level_low, level_high;
	uint64_t swings[FL_RETAIN_WINDOWS], nr_windows;
	struct iovec ranges[FL_RETAIN_RANGES];
	size_t nr_ranges;
	size_t bytes;			/* of this, items included */
	struct fl_retain_item items[];
};

/* fl_retain_config_of: From the values of FL_RETAIN_TUNABLES. */
struct fl_retain_config fl_retain_config_of(const uint64_t *values);

/*
 * fl_retain_probe: Do these settings make sense, and does the kernel do it?
 * Tries it on pages of its own.
 * @can:    FL_RETAIN_CAN of what the strategy's memory allows.
 * @why:    why not the others: ends the sentence "with=guard: ".
 * @reason: one line if not.  Returns 0, -ENOTSUP or -errno.
 */
int fl_retain_probe(const uint64_t *values, unsigned can, const char *why,
		    char *reason, size_t reason_bytes);

/*
 * fl_retain_open: @config->when is not FL_RETAIN_NEVER.
 * @events: where what was given back is counted.
 * Returns 0 and *@out, zeroed items in pages of their own, lazily resident; or
 * -errno.
 */
int fl_retain_open(const struct fl_retain_config *config, size_t nr_items,
		   volatile struct fl_events *events, struct fl_retain **out);
void fl_retain_close(struct fl_retain *retain);

/*
 * fl_retain_dead: @item died, with @used bytes below @top written to.
 * fl_retain_use: It is used again, probably as much of it as last time.  Opens it if
 * need be.  Returns 0 or -errno: then it stays dead.
 */
void fl_retain_dead(struct fl_retain *retain, struct fl_retain_item *item,
		    char *top, uint64_t used);
int fl_retain_use(struct fl_retain *retain, struct fl_retain_item *item);

/*
 * The same where the owner keeps the order of what is whole (oldest, chill).
 * fl_retain_whole_dead: @bytes died.  Returns when, to be told by oldest().
 * fl_retain_whole_use: They are used; @warm: were dead and are in memory; @closed:
 * have to be opened.  Returns 0 or -errno: then they stay dead.
 */
uint32_t fl_retain_whole_dead(struct fl_retain *retain, uint64_t bytes);
int fl_retain_whole_use(struct fl_retain *retain, char *base, uint64_t bytes,
			bool warm, bool closed);

/*
 * fl_retain_decide: By the policy, what goes now; gives it back.  What the kernel
 * refuses is counted (nr_give_failures) and not tried again before it has been
 * used.
 */
void fl_retain_decide(struct fl_retain *retain);

/*
 * fl_retain_death: A region died, and its items are dead.  Programs reset regions
 * far more often than there is something to decide.
 */
static inline void fl_retain_death(struct fl_retain *retain)
{
	if (!retain->nr_left--)
		fl_retain_decide(retain);
}

/* fl_retain_forget: Somebody else gave back all that is dead. */
void fl_retain_forget(struct fl_retain *retain);

#endif

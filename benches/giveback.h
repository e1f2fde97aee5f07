/* SPDX-License-Identifier: MIT */
/*
 * benches/giveback.h: what the parts of the bench `giveback` share.
 *
 * Vocabulary: a "slot" is a page that is worked on; slots are neighbours, or every
 * other page.  A "batch" is so many slots at a time.  A "section" is what is
 * prepared, timed and checked together: as many batches as fit the area.  The
 * "other" is a second thread of the process.
 *
 * Context: cold; all of it belongs to one thread, but for what the other does.
 */
#ifndef FL_BENCHES_GIVEBACK_H
#define FL_BENCHES_GIVEBACK_H

#include "benches/companion.h"
#include "faultline/bench.h"
#include "vm/census.h"
#include "vm/giveback.h"
#include "vm/reserve.h"
#include "vm/uffd.h"

enum { OP, METHOD, BATCH, LAYOUT, OTHER };
enum { METHOD_LOOP, METHOD_RANGE, METHOD_BATCH, METHOD_RING };
enum { LAYOUT_CONTIGUOUS, LAYOUT_SCATTERED };
enum { OTHER_NONE, OTHER_SLEEP, OTHER_RUN, OTHER_FAULT };

#define OPS(X)								\
	X(dontneed)							\
	X(free)								\
	X(guard_install)						\
	X(guard_remove)							\
	X(move)								\
	X(copy)								\
	X(zeropage)							\
	X(close)							\
	X(open)								\
	X(munmap)

/* Most pages of a batch, and slots of a section. */
#define SLOTS_MAX	1024u

struct area;

/* One operation on pages. */
struct op {
	/* By madvise: process_madvise and io_uring can do it, too. */
	bool advises;
	enum fl_giveback_advice advice;
	uint64_t uffd_features;
	bool uffd;			/* the area is registered */

	/* All slots of the area become what the operation works on. */
	int (*prepare)(struct area *area);
	/* Unless it advises: do it to whole pages.  0 or -errno. */
	int (*apply)(struct area *area, char *base, size_t bytes);
	/*
	 * The first @nr slots have been worked on.  Returns 0, or -errno with a
	 * reason: what is not so.
	 */
	int (*check)(struct area *area, size_t nr, char *reason,
		     size_t reason_bytes);
};

#define DECLARE(name) extern const struct op giveback_##name;
OPS(DECLARE)
#undef DECLARE

struct area {
	const struct op *op;
	const uint64_t *values;
	char *base, *pool;		/* pool: what is moved or copied */
	size_t bytes, stride;		/* of each; from slot to slot */
	size_t nr_moved;		/* slots whose page is from the pool */
	struct iovec slots[SLOTS_MAX];
	struct fl_giver giver;
	struct fl_uffd uffd;
	struct fl_census census;
};

/* area_open: op and values are set, the rest is zero.  0 or -errno. */
int area_open(struct area *area);
void area_close(struct area *area);

/* area_batch: Do it to slots [first, first + nr): what is timed.  0 or -errno. */
int area_batch(struct area *area, size_t first, size_t nr);

/* ---- the other thread ------------------------------------------------------ */

/*
 * While a section is timed the other touches page after page of a range of its own
 * and times each touch; it waits while the section is prepared, which makes its
 * pages missing again.
 */
struct faulter {
	char *base;
	uint32_t *ticks;		/* of each fault, nr_kept */
	uint64_t nr_faults, nr_kept;
	uint64_t nr_kernel;		/* minor faults the kernel counted */
	unsigned turn, done;		/* sections begun and ended by either */
	bool timed;			/* a section is being timed */
};

/* faulter_open: Memory for it.  0 or -errno. */
int faulter_open(struct faulter *faulter);
void faulter_close(struct faulter *faulter);

/* faulter_work: companion_fn; the argument is the faulter. */
void faulter_work(struct companion *companion, void *argument);

/* faulter_begin: Empty its pages, let it go, and wait until it faults. */
int faulter_begin(struct faulter *faulter);
/* faulter_end: Have it wait; what it has written is the caller's to read. */
void faulter_end(struct faulter *faulter);

#endif

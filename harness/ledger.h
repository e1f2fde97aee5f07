/* SPDX-License-Identifier: MIT */
/*
 * harness/ledger.h: which resident pages hold something alive, and what becomes of
 * those that do not.
 *
 * Two sides are brought together.  The program says what it does, object by
 * object: that is the log.  At each census the kernel says which pages are
 * resident.  Every resident page then has one class:
 *
 *  live      holds a byte of an object whose region is alive
 *  metadata  the strategy's own bookkeeping
 *  pooled    neither, but an object lives there again before the page is given back
 *  leaked    neither, and it is given back without having held an object again
 *  censored  neither, and the run ends without either: a longer one might have
 *            used it
 *
 * Vocabulary: an "event" is an allocation, or the creation, reset or destruction
 * of a region; an "interval" lies between two censuses; a page is "idle" when it is
 * resident and neither live nor metadata; it is "ahead" when the strategy made it
 * resident before an object was there; a "tail" is what is left of a block when
 * the next object goes elsewhere; a "last page" is the one with a region's newest
 * object when the region dies.
 *
 * Idle pages are classified in hindsight, by what happens next: a difference array
 * over censuses takes each idle stretch when it ends.  What the ledger cannot see:
 * a page that is given back and used again within one interval counts as pooled
 * over what went before, because no census saw it absent; and a page that leaves a
 * range of kind FL_RANGE_POOL counts as pooled, wherever it went.
 *
 * The caller counts resident pages and hands them in; nothing here asks the kernel,
 * so that the classes can be tested on logs written by hand.  All memory
 * comes from one reservation, made by fl_ledger_new, which the caller can exclude
 * when it looks for pages that belong to nobody.
 *
 * Context: cold but for fl_ledger_object, which costs about 10 ns.  One thread.
 */
#ifndef FL_LEDGER_H
#define FL_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "faultline/strategy.h"
#include "harness/complain.h"
#include "harness/hist.h"

struct fl_ledger;

/* What a census saw, and what hindsight made of it.  Pages. */
struct fl_ledger_point {
	uint64_t event;
	uint64_t resident;	/* by the kernel: all of the classes */
	uint64_t live, metadata, pooled, leaked, censored;
	uint64_t live_bytes;	/* rounded sizes of the objects alive */
	/* The caller's: see fl_ledger_last. */
	uint64_t lazy_free, page_tables, vmas;
};

/*
 * fl_ledger_new: @nr_slots: region slots the program uses.
 * @nr_censuses: the most there will be.
 * @geometry: what the strategy declares; tells where its blocks end.
 * Returns 0 or -errno (-ENOMEM: no address space).
 */
int fl_ledger_new(uint32_t nr_slots, uint64_t nr_censuses,
		  const struct fl_geometry *geometry, struct fl_ledger **ledger);
void fl_ledger_free(struct fl_ledger *ledger);

/* The log. */
void fl_ledger_object(struct fl_ledger *ledger, uint32_t slot,
		      const char *object, uint64_t bytes);
void fl_ledger_died(struct fl_ledger *ledger, uint32_t slot);

/*
 * A census: begin; that somebody watches what is written, and all that was, before
 * what is resident; end.
 * fl_ledger_watched:  from now to the end of this census, what is not said to be
 * written was not.
 * fl_ledger_written:  pages of ranges for objects that were written in this interval.
 * fl_ledger_resident: a run of resident pages in a range of @kind.
 * fl_ledger_end_census: 0, or -EILSEQ with a complaint: a page with a live object
 * is not resident.
 */
void fl_ledger_begin_census(struct fl_ledger *ledger, uint64_t event);
void fl_ledger_watched(struct fl_ledger *ledger);
void fl_ledger_written(struct fl_ledger *ledger, const char *base,
		       uint64_t pages);
void fl_ledger_resident(struct fl_ledger *ledger, const char *base,
			uint64_t pages, enum fl_range_kind kind);
int fl_ledger_end_census(struct fl_ledger *ledger, struct fl_complaint *why);

/*
 * fl_ledger_place: The next part of the addresses from *@from to @to where an object
 * was put, or a page found, ever: up to *@end.  Parts are of LEAF_PAGES pages, and
 * longer where they adjoin.
 * Returns false if there is none.  Cost: a load for each such part of the addresses.
 */
bool fl_ledger_place(const struct fl_ledger *ledger, uintptr_t *from,
		     uintptr_t to, uintptr_t *end);

/* The newest census, for what only the caller knows. */
struct fl_ledger_point *fl_ledger_last(struct fl_ledger *ledger);

/* What the newest interval shows beside the classes. */
struct fl_ledger_interval {
	uint64_t touched;	/* pages an object was put on */
	uint64_t ahead;		/* pages that are resident, were not at the last
				   census, and that no object touched since */
	uint64_t again;		/* of these, such that an object was there once:
				   given back, then written to */
	uint64_t compared;	/* touched, and resident now */
	uint64_t missed;	/* of compared, such that were not seen written */
	uint64_t extra;		/* written, resident at the last census, too, but
				   not touched */
	uint64_t misdeclared;	/* resident in a range of another kind than
				   FL_RANGE_OBJECTS, though an object was there once */
};
const struct fl_ledger_interval *fl_ledger_interval(const struct fl_ledger *ledger);

/*
 * fl_ledger_end: The run is over: classify what is still idle.
 * Returns 0, or -EPROTO with a complaint: classes and resident pages of a census
 * do not agree.
 */
int fl_ledger_end(struct fl_ledger *ledger, struct fl_complaint *why);

/* After fl_ledger_end: all censuses. */
const struct fl_ledger_point *fl_ledger_points(const struct fl_ledger *ledger,
					       uint64_t *nr);

/* Integrals over events between the first and the last census, and peaks. */
struct fl_ledger_totals {
	double resident, live, metadata, pooled, leaked, censored;
	uint64_t peak_resident, peak_live, peak_live_bytes;
};
void fl_ledger_totals(const struct fl_ledger *ledger,
		      struct fl_ledger_totals *totals);

/*
 * Bytes left over.  tails: between the last object and the end of its block, of
 * blocks that were left because the next object went elsewhere; where the geometry
 * does not say where the block ended, to the end of the page.
 * last_pages: between a dying region's newest object and the end of its page.
 */
const struct fl_hist *fl_ledger_tails(const struct fl_ledger *ledger);
const struct fl_hist *fl_ledger_last_pages(const struct fl_ledger *ledger);

/* The ledger's own memory. */
void fl_ledger_memory(const struct fl_ledger *ledger, const char **base,
		      uint64_t *bytes);

#endif

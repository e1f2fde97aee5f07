/* SPDX-License-Identifier: MIT */
/*
 * analysis/summary_make.h: what the files that make a summary share: summary.c
 * (arms and cells), summary_builds.c, summary_sweeps.c and summary_words.c.  For nobody else.
 *
 * Context: cold; a maker belongs to one thread.
 */
#ifndef FL_SUMMARY_MAKE_H
#define FL_SUMMARY_MAKE_H

#include <string.h>

#include "analysis/summary.h"

/* A summary that is being made. */
struct fl_maker {
	struct fl_summary s;
	const struct fl_result **sorted;
	bool failed;		/* out of memory: all of it is thrown away */
};

/*
 * fl_maker_room: Room for one more in @list of @nr items, which doubles at powers
 * of two.  Returns the list, or NULL, and then the maker has failed.
 */
void *fl_maker_room(struct fl_maker *m, void *list, size_t nr,
		    size_t item_bytes);

/* Append an item to @list, whose length is @nr; nothing happens without memory. */
#define FL_PUSH(m, list, nr, ...)					\
	do {								\
		void *grown_ = fl_maker_room(m, list, nr,		\
					     sizeof(*(list)));		\
		if (grown_) {						\
			(list) = grown_;				\
			(list)[(nr)++] = (__VA_ARGS__);			\
		}							\
	} while (0)

/* fl_maker_text: A text that lives as long as the summary; "" without memory. */
const char *fl_maker_text(struct fl_maker *m, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * fl_maker_pair: Ratio of @a to @b over the blocks in which both were timed; n is
 * 0 with fewer than 2.
 */
void fl_maker_pair(struct fl_maker *m, const struct fl_summary_arm *a,
		   const struct fl_summary_arm *b, struct fl_ratio *out);

/*
 * fl_sweep_best: The arm with @answer that takes the least time over all of
 * @sweep (geometric mean), or NULL; one that was measured at more sizes goes
 * before one measured at fewer.
 * @compiler: of the module, or NULL: any.
 */
const char *fl_sweep_best(const struct fl_sweep *sweep, const char *answer,
			  const char *compiler);

/* The later steps; each uses what those before it left in the summary. */
void fl_make_spreads(struct fl_maker *m);
void fl_make_sweeps(struct fl_maker *m);
void fl_make_verdicts(struct fl_maker *m);
void fl_make_answers(struct fl_maker *m);

/* Is it there to be tested, and not to be compared? */
static inline bool fl_is_control(const struct fl_summary_arm *arm)
{
	return arm->role == FL_RESULT_TWIN || arm->role == FL_RESULT_PLANTED;
}

/* Orders; either text may be NULL. */
static inline int fl_by_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static inline int fl_by_number(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* Registers, memory, unknown. */
static inline int fl_residence_rank(const char *residence)
{
	return !residence ? 2 : !strcmp(residence, "memory");
}

#endif

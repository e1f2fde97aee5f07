/* SPDX-License-Identifier: MIT */
/*
 * harness/progress.h: how far a long run has come and how long it will take: on
 * a terminal one line that is rewritten, elsewhere a line every ten seconds.
 *
 * Context: one thread.
 */
#ifndef FL_PROGRESS_H
#define FL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct fl_progress {
	FILE *to;		/* NULL: say nothing */
	bool terminal;
	bool shown;		/* there is a line to rewrite */
	double started_s, last_s;	/* monotonic */
};

/* fl_progress_start: Report to @to, unless it is NULL. */
void fl_progress_start(struct fl_progress *progress, FILE *to);

/*
 * fl_progress_at: @done of @total, about @left_s seconds to go, now at @what.
 * Cheap to call often: most calls print nothing.
 */
void fl_progress_at(struct fl_progress *progress, uint64_t done, uint64_t total,
		    double left_s, const char *what);

/* fl_progress_clear: Make room for another line: before printing one, and at
 * the end. */
void fl_progress_clear(struct fl_progress *progress);

/* fl_progress_time: "0:07", "12:34", "1:02:03", in 16 characters of room. */
void fl_progress_time(double seconds, char *out, size_t out_bytes);

#endif

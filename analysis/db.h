/* SPDX-License-Identifier: MIT */
/*
 * analysis/db.h: campaigns as an SQLite database, to be asked in SQL.
 *
 * Vocabulary: a "source" is a campaign's directory, or one that holds what
 * `faultline kernel --output` left.  The database is derived: it may be removed
 * at any time, and is made again from the sources when it is gone, when it is of
 * another version, or when a source's files have changed since.  results/SCHEMA.md
 * describes tables and views.
 *
 * Beside what SQLite has there are aggregate functions; all of them pass over
 * NULLs (pairs in which one is NULL), and are NULL over nothing:
 *
 *	median(x), quantile(x, p), geomean(x)
 *	median_low(x), median_high(x)	order-statistic interval of the median
 *	ratio(x, y)			exp(median log(x / y)) over rows: over
 *					blocks, if each row is one
 *	ratio_low(x, y), ratio_high(x, y)	its interval
 *	blocks_needed(x, y, d)		blocks of a campaign that finds a ratio of
 *					1 + d nine times in ten, by these rows as a
 *					pilot; NULL: above 10,000
 *
 * Intervals have 95 % (analysis/stats.h) or are NULL: fewer than
 * FL_STATS_BLOCKS_MIN rows cannot have them.  geomean and the ratios end the query
 * with an error for a value that is not above 0.
 *
 * Campaigns of unlike hosts, and campaigns of one experiment by unlike builds, are
 * not put into one database without being asked.
 *
 * Context: cold; a database belongs to one thread.
 */
#ifndef FL_DB_H
#define FL_DB_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#include "harness/complain.h"

/* The file within a campaign's directory. */
#define FL_DB_FILE	"results.db"

/* What `faultline kernel --output` writes into its directory. */
#define FL_DB_KERNEL	"kernel.json"

struct fl_db_options {
	const char *file;	/* NULL: FL_DB_FILE in the directory if there is
				   one; in memory if there are more */
	bool unlike;		/* put unlike hosts and builds together */
	bool quiet;		/* do not tell of lines that cannot be read */
};

/*
 * fl_db_open: The database of @nr directories, made anew where it has to be.
 * Where FL_DB_FILE cannot be written, it is made in memory.
 *
 * @out: written only on success; release with sqlite3_close.
 * @why: out: one line.
 * Returns 0, or -EXDEV (unlike hosts or builds), -EINVAL (two of one directory),
 * -EEXIST (options->file is there, and no database), -EIO (SQLite), -ENOMEM, or as
 * fl_results_load.
 */
int fl_db_open(const char *const *dirs, size_t nr,
	       const struct fl_db_options *options, sqlite3 **out,
	       struct fl_complaint *why);

/* fl_db_is_source: Does @dir hold a campaign, or a kernel's matrix? */
bool fl_db_is_source(const char *dir);

/*
 * fl_db_sources: What @dirs mean: a source, itself; a folder that is none but holds
 * some, such as results/reference, what fl_db_newest finds there; without any
 * (@nr_dirs is 0), that of results/.
 * @out: as of fl_db_newest.
 * Returns 0, -ENOENT (none at all), or -errno, with a complaint.
 */
int fl_db_sources(const char *const *dirs, size_t nr_dirs, char ***out,
		  size_t *nr, struct fl_complaint *why);

/*
 * fl_db_newest: Of the sources right below @parent the one of each experiment that
 * was begun last, in the order of the experiments' names.
 * @out: a list of *@nr texts, to be freed with fl_db_free_list.
 * Returns 0 (also for none), or -errno.
 */
int fl_db_newest(const char *parent, char ***out, size_t *nr);
void fl_db_free_list(char **list, size_t nr);

/*
 * fl_db_unlike: Where two hosts' fingerprints differ: "kernel.release: "6.1" and
 * "6.18"", or NULL where they do not.  A member that one of them has not is not
 * known to differ.
 * Returns a text to be freed.
 */
char *fl_db_unlike(const json_t *a, const json_t *b);

/* fl_db_add_functions: The aggregates, for @db.  0 or -ENOMEM. */
int fl_db_add_functions(sqlite3 *db);

#endif

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "analysis/db.h"
#include "analysis/stats.h"

/* Of finding a difference that is there. */
#define POWER	0.9

enum aggregate {
	MEDIAN, MEDIAN_LOW, MEDIAN_HIGH, QUANTILE, GEOMEAN,
	RATIO, RATIO_LOW, RATIO_HIGH, BLOCKS_NEEDED,
};

static const struct {
	const char *name;
	enum aggregate which;
	int nr_args;
} functions[] = {
	{ "median", MEDIAN, 1 },
	{ "median_low", MEDIAN_LOW, 1 },
	{ "median_high", MEDIAN_HIGH, 1 },
	{ "quantile", QUANTILE, 2 },
	{ "geomean", GEOMEAN, 1 },
	{ "ratio", RATIO, 2 },
	{ "ratio_low", RATIO_LOW, 2 },
	{ "ratio_high", RATIO_HIGH, 2 },
	{ "blocks_needed", BLOCKS_NEEDED, 3 },
};

#define NR_FUNCTIONS	(sizeof(functions) / sizeof(functions[0]))

/* What has been seen; SQLite hands it out filled with zeros. */
struct seen {
	double *x, *y;
	double last;		/* third argument of the last row */
	size_t nr, room;
};

static enum aggregate which_of(sqlite3_context *context)
{
	return *(const enum aggregate *)sqlite3_user_data(context);
}

static int make_room(struct seen *seen)
{
	const size_t room = seen->room ? 2 * seen->room : 16;
	double *x, *y;

	if (seen->nr < seen->room)
		return 0;
	x = reallocarray(seen->x, room, sizeof(*x));
	if (x)
		seen->x = x;
	y = reallocarray(seen->y, room, sizeof(*y));
	if (y)
		seen->y = y;
	if (!x || !y)
		return -ENOMEM;
	seen->room = room;
	return 0;
}

static bool is_number(sqlite3_value *value)
{
	const int type = sqlite3_value_numeric_type(value);

	return type == SQLITE_INTEGER || type == SQLITE_FLOAT;
}

static void step(sqlite3_context *context, int nr_args, sqlite3_value **args)
{
	struct seen *seen = sqlite3_aggregate_context(context, sizeof(*seen));

	for (int i = 0; i < nr_args; i++) {
		if (sqlite3_value_type(args[i]) == SQLITE_NULL)
			return;
		if (!is_number(args[i])) {
			sqlite3_result_error(context, "a median, quantile, geometric mean or ratio is of numbers, not of text", -1);
			return;
		}
	}
	if (!seen || make_room(seen)) {
		sqlite3_result_error_nomem(context);
		return;
	}
	seen->x[seen->nr] = sqlite3_value_double(args[0]);
	seen->y[seen->nr] = nr_args > 1 ? sqlite3_value_double(args[1]) : 0;
	seen->last = nr_args > 2 ? sqlite3_value_double(args[2]) : 0;
	seen->nr++;
}

static void tell_error(sqlite3_context *context, int err)
{
	if (err == -ENOMEM)
		sqlite3_result_error_nomem(context);
	else
		sqlite3_result_error(context, "a ratio or geometric mean is of finite values above 0", -1);
}

/* Too few for an interval: NULL, which is what is returned if nothing is said. */
static void end_median(sqlite3_context *context, const struct seen *seen)
{
	const enum aggregate which = which_of(context);
	struct fl_interval interval;
	double median;
	int err;

	if (which == MEDIAN) {
		err = fl_stats_median(seen->x, seen->nr, &median);
		if (err)
			tell_error(context, err);
		else
			sqlite3_result_double(context, median);
		return;
	}
	if (seen->nr < FL_STATS_BLOCKS_MIN)
		return;
	err = fl_stats_interval_median(seen->x, seen->nr, NULL, &interval);
	if (err)
		tell_error(context, err);
	else
		sqlite3_result_double(context, which == MEDIAN_LOW ?
						       interval.lo :
						       interval.hi);
}

static void end_ratio(sqlite3_context *context, const struct seen *seen)
{
	const enum aggregate which = which_of(context);
	struct fl_ratio ratio;
	int err;

	if (seen->nr < (which == RATIO ? 1 : FL_STATS_BLOCKS_MIN))
		return;
	/* One block has a ratio, though no interval. */
	if (seen->nr == 1 && seen->x[0] > 0 && seen->y[0] > 0) {
		sqlite3_result_double(context, seen->x[0] / seen->y[0]);
		return;
	}
	err = fl_stats_paired_ratio(seen->x, seen->y, seen->nr, &ratio);
	if (err)
		tell_error(context, err);
	else
		sqlite3_result_double(context, which == RATIO ? ratio.ratio :
					       which == RATIO_LOW ? ratio.lo :
								    ratio.hi);
}

/* More than anybody would run: NULL. */
static void end_blocks(sqlite3_context *context, const struct seen *seen)
{
	size_t blocks;
	int err;

	if (!(seen->last > 0 && seen->last < 1)) {
		sqlite3_result_error(context, "blocks_needed(x, y, d): d is a share, above 0 and below 1", -1);
		return;
	}
	if (seen->nr < 2)
		return;
	err = fl_stats_blocks_needed(seen->x, seen->y, seen->nr, seen->last,
				     POWER, &blocks);
	if (!err)
		sqlite3_result_int64(context, (sqlite3_int64)blocks);
	else if (err != -ERANGE)
		tell_error(context, err);
}

static void end_quantile(sqlite3_context *context, struct seen *seen)
{
	const double p = seen->y[0];

	if (!(p >= 0 && p <= 1)) {
		sqlite3_result_error(context, "quantile(x, p): p is a share, from 0 to 1", -1);
		return;
	}
	gsl_sort(seen->x, 1, seen->nr);
	sqlite3_result_double(context, gsl_stats_quantile_from_sorted_data(
		seen->x, 1, seen->nr, p));
}

static void end_geomean(sqlite3_context *context, const struct seen *seen)
{
	double sum = 0;

	for (size_t i = 0; i < seen->nr; i++) {
		if (!(seen->x[i] > 0)) {
			tell_error(context, -EINVAL);
			return;
		}
		sum += log(seen->x[i]);
	}
	sqlite3_result_double(context, exp(sum / (double)seen->nr));
}

static void end(sqlite3_context *context)
{
	/* 0: not a row was seen, so there is nothing to make room for. */
	struct seen *seen = sqlite3_aggregate_context(context, 0);

	if (!seen || !seen->nr)
		goto out_free;
	switch (which_of(context)) {
	case MEDIAN:
	case MEDIAN_LOW:
	case MEDIAN_HIGH:
		end_median(context, seen);
		break;
	case QUANTILE:
		end_quantile(context, seen);
		break;
	case GEOMEAN:
		end_geomean(context, seen);
		break;
	case RATIO:
	case RATIO_LOW:
	case RATIO_HIGH:
		end_ratio(context, seen);
		break;
	case BLOCKS_NEEDED:
		end_blocks(context, seen);
		break;
	}
out_free:
	if (seen) {
		free(seen->x);
		free(seen->y);
	}
}

int fl_db_add_functions(sqlite3 *db)
{
	for (size_t i = 0; i < NR_FUNCTIONS; i++)
		if (sqlite3_create_function_v2(db, functions[i].name,
				functions[i].nr_args,
				SQLITE_UTF8 | SQLITE_DETERMINISTIC,
				(void *)(uintptr_t)&functions[i].which, NULL,
				step, end, NULL))
			return -ENOMEM;
	return 0;
}

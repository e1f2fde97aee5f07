/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/db.h"
#include "analysis/plot_data.h"
#include "analysis/plot_query.h"
#include "harness/experiments.h"
#include "harness/keyfile.h"

/* As in plot_data.c: labels this far apart, as a share of the axis, do not touch. */
#define LABEL_GAP	0.055

static const struct fl_known_section known[] = {
	{ "plot", true, (const struct fl_known_key[]){
		{ "title", false }, { "caption", false }, { "style", false },
		{ "x", false }, { "y", false }, { "log", false },
		{ "one", false }, { "of", false }, { "query", false },
		{ "missing", false },
		{ NULL, false } } },
	{ NULL, false, NULL },
};

static const char *const columns[] = { "colour", "label", "value", "low", "high", "x" };

#define NR_COLUMNS	(sizeof(columns) / sizeof(columns[0]))

/* ---- rows --------------------------------------------------------------------- */

static double number_in(sqlite3_stmt *query, int column, double fallback)
{
	return column < 0 || sqlite3_column_type(query, column) == SQLITE_NULL ?
	       fallback : sqlite3_column_double(query, column);
}

static char *text_in(sqlite3_stmt *query, int column)
{
	const char *text = (const char *)sqlite3_column_text(query, column);

	return strdup(text ? text : "");
}

static int add_row(struct fl_query_plot *plot, sqlite3_stmt *query,
		   const int at[NR_COLUMNS])
{
	struct fl_query_row *more, row = {
		.value = number_in(query, at[2], NAN),
		.x = number_in(query, at[5], plot->lines ? NAN : 0),
	};

	if (!isfinite(row.value) || !isfinite(row.x) ||
	    (row.x <= 0 && plot->lines && plot->log_x) ||
	    (row.value <= 0 && (plot->lines ? plot->log_y : plot->log_x)))
		return 0;
	row.low = number_in(query, at[3], row.value);
	row.high = number_in(query, at[4], row.value);
	row.colour = text_in(query, at[0]);
	row.label = text_in(query, at[1]);
	more = reallocarray(plot->rows, plot->nr_rows + 1, sizeof(*more));
	if (more) {
		plot->rows = more;
		more[plot->nr_rows++] = row;
	}
	return more && row.colour && row.label ? 0 : -ENOMEM;
}

static int ask(sqlite3 *db, struct fl_query_plot *plot,
	       const struct fl_keyfile *file, const struct fl_key *sql,
	       struct fl_complaint *why)
{
	int at[NR_COLUMNS], got, err = 0;
	sqlite3_stmt *query;

	if (sqlite3_prepare_v2(db, sql->value, -1, &query, NULL) || !query)
		return fl_keyfile_wrong(file, sql->line, why, "query: %s",
					sqlite3_errmsg(db));
	for (size_t c = 0; c < NR_COLUMNS; c++) {
		at[c] = -1;
		for (int i = 0; i < sqlite3_column_count(query); i++)
			if (!strcmp(sqlite3_column_name(query, i), columns[c]))
				at[c] = i;
		if (at[c] < 0 && (c != NR_COLUMNS - 1 || plot->lines)) {
			sqlite3_finalize(query);
			return fl_keyfile_wrong(file, sql->line, why,
				"query: its rows need a column called %s",
				columns[c]);
		}
	}
	while (!err && (got = sqlite3_step(query)) == SQLITE_ROW)
		err = add_row(plot, query, at);
	if (err)
		fl_complain(why, err, "%s", strerror(-err));
	else if (got != SQLITE_DONE)
		err = fl_keyfile_wrong(file, sql->line, why, "query: %s",
				       sqlite3_errmsg(db));
	sqlite3_finalize(query);
	return err;
}

static int ask_missing(sqlite3 *db, struct fl_query_plot *plot,
		       const struct fl_keyfile *file, const struct fl_key *sql,
		       struct fl_complaint *why)
{
	sqlite3_stmt *query;
	size_t bytes;
	FILE *to;
	int got = SQLITE_OK, err = 0;

	if (sqlite3_prepare_v2(db, sql->value, -1, &query, NULL) || !query)
		return fl_keyfile_wrong(file, sql->line, why, "missing: %s",
					sqlite3_errmsg(db));
	to = open_memstream(&plot->missing, &bytes);
	while (to && (got = sqlite3_step(query)) == SQLITE_ROW)
		if (sqlite3_column_text(query, 0))
			fprintf(to, "%s%s", ftell(to) ? " " : "",
				(const char *)sqlite3_column_text(query, 0));
	if (!to || fclose(to))
		err = fl_complain(why, -ENOMEM, "%s", strerror(ENOMEM));
	else if (got != SQLITE_DONE)
		err = fl_keyfile_wrong(file, sql->line, why, "missing: %s",
				       sqlite3_errmsg(db));
	sqlite3_finalize(query);
	return err;
}

/* ---- the file -------------------------------------------------------------------- */

static char *value_of(const struct fl_section *section, const char *key)
{
	const struct fl_key *found = fl_key_find(section, key);

	return strdup(found ? found->value : "");
}

static bool key_is(const struct fl_section *section, const char *key,
		   const char *value)
{
	const struct fl_key *found = fl_key_find(section, key);

	return found && !strcmp(found->value, value);
}

static int check(const struct fl_keyfile *file, const struct fl_section *s,
		 struct fl_complaint *why)
{
	static const char *const needed[] = { "title", "style", "x", "query" };
	const struct fl_key *key;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!fl_key_find(s, needed[i]))
			return fl_keyfile_wrong(file, s->line, why,
						"[plot %s] has no \"%s\"",
						s->name, needed[i]);
	if (!key_is(s, "style", "rows") && !key_is(s, "style", "lines"))
		return fl_keyfile_wrong(file, fl_key_find(s, "style")->line, why,
					"style = %s: write rows or lines",
					fl_key_find(s, "style")->value);
	if (key_is(s, "style", "lines") && !fl_key_find(s, "y"))
		return fl_keyfile_wrong(file, s->line, why,
					"[plot %s]: lines need \"y\"", s->name);
	key = fl_key_find(s, "log");
	if (key && strcmp(key->value, "x") && strcmp(key->value, "y") &&
	    strcmp(key->value, "xy"))
		return fl_keyfile_wrong(file, key->line, why,
					"log = %s: write x, y or xy", key->value);
	key = fl_key_find(s, "one");
	if (key && strcmp(key->value, "yes") && strcmp(key->value, "no"))
		return fl_keyfile_wrong(file, key->line, why,
					"one = %s: write yes or no", key->value);
	return 0;
}

static int add_plot(sqlite3 *db, const struct fl_keyfile *file,
		    const struct fl_section *s, struct fl_query_plots *plots,
		    struct fl_complaint *why)
{
	const struct fl_key *log = fl_key_find(s, "log");
	const struct fl_key *missing = fl_key_find(s, "missing");
	struct fl_query_plot *more, *plot;
	int err;

	more = reallocarray(plots->list, plots->nr + 1, sizeof(*more));
	if (!more)
		return fl_complain(why, -ENOMEM, "%s", strerror(ENOMEM));
	plots->list = more;
	plot = &more[plots->nr++];
	*plot = (struct fl_query_plot){
		.name = strdup(s->name), .title = value_of(s, "title"),
		.caption = value_of(s, "caption"), .x = value_of(s, "x"),
		.y = value_of(s, "y"), .lines = key_is(s, "style", "lines"),
		.log_x = log && strchr(log->value, 'x'),
		.log_y = log && strchr(log->value, 'y'),
		.one = key_is(s, "one", "yes"),
	};
	if (!plot->name || !plot->title || !plot->caption || !plot->x || !plot->y)
		return fl_complain(why, -ENOMEM, "%s", strerror(ENOMEM));
	err = ask(db, plot, file, fl_key_find(s, "query"), why);
	if (!err && missing)
		err = ask_missing(db, plot, file, missing, why);
	return err;
}

/* @own: the campaign that is asked where a section does not say so. */
static int read_file(const char *path, const char *own, const char *dir,
		     const char *campaign, sqlite3 **db,
		     struct fl_query_plots *plots, struct fl_complaint *why)
{
	const struct fl_db_options options = { .quiet = true };
	struct fl_keyfile file;
	int err = fl_keyfile_read(path, known, &file, why);

	if (err)
		return err;
	for (size_t i = 0; i < file.nr_sections && !err; i++) {
		const struct fl_section *s = &file.sections[i];
		const struct fl_key *of = fl_key_find(s, "of");

		err = check(&file, s, why);
		if (err || strcmp(of ? of->value : own, campaign))
			continue;
		if (!*db)
			err = fl_db_open(&dir, 1, &options, db, why);
		if (!err)
			err = add_plot(*db, &file, s, plots, why);
	}
	fl_keyfile_free(&file);
	return err;
}

int fl_query_plots_load(const char *dir, const char *campaign,
			struct fl_query_plots *out, struct fl_complaint *why)
{
	struct fl_query_plots plots = { .list = NULL };
	struct fl_experiments experiments;
	sqlite3 *db = NULL;
	size_t own;
	int err = 0;

	*out = plots;
	/* No experiments: nobody asks. */
	if (fl_experiments_find(&experiments, NULL))
		return 0;
	for (size_t i = 0; i < experiments.nr && !err; i++)
		if (experiments.list[i].plots)
			err = read_file(experiments.list[i].plots,
					experiments.list[i].plan_name, dir,
					campaign, &db, &plots, why);
	own = plots.nr;
	if (!err && experiments.plots)
		err = read_file(experiments.plots, campaign, dir, campaign, &db,
				&plots, why);
	for (size_t i = own; i < plots.nr; i++)
		plots.list[i].of_all = true;
	sqlite3_close(db);
	fl_experiments_free(&experiments);
	if (err)
		fl_query_plots_free(&plots);
	else
		*out = plots;
	return err;
}

void fl_query_plots_free(struct fl_query_plots *plots)
{
	for (size_t i = 0; i < plots->nr; i++) {
		struct fl_query_plot *plot = &plots->list[i];

		for (size_t r = 0; r < plot->nr_rows; r++) {
			free(plot->rows[r].colour);
			free(plot->rows[r].label);
		}
		free(plot->rows);
		free(plot->name);
		free(plot->title);
		free(plot->caption);
		free(plot->missing);
		free(plot->x);
		free(plot->y);
	}
	free(plots->list);
	*plots = (struct fl_query_plots){ .list = NULL };
}

/* ---- for gnuplot ------------------------------------------------------------------ */

struct range {
	double lo, hi;
};

static void widen(struct range *range, double value)
{
	range->lo = fmin(range->lo, value);
	range->hi = fmax(range->hi, value);
}

/* A little room at both ends; what is no ratio and not negative begins at 0. */
static void finish(struct range *range, bool logarithmic, bool ratio)
{
	const double by = (range->hi - range->lo) / 20;

	if (logarithmic) {
		range->lo /= 1.15;
		range->hi *= 1.15;
		return;
	}
	range->lo = range->lo >= 0 && !ratio ? 0 : range->lo - by;
	range->hi += by;
	if (!(range->hi > range->lo))
		range->hi = range->lo + 1;
}

static bool begins(const struct fl_query_plot *plot, size_t r)
{
	return !r || strcmp(plot->rows[r].label, plot->rows[r - 1].label);
}

static void put_frame(FILE *to, const struct fl_query_plot *plot,
		      const struct range *x, const struct range *y)
{
	fprintf(to, "# frame\n%.9g %.9g %.9g %.9g %d %d %d ", x->lo, x->hi, y->lo,
		y->hi, plot->log_x, plot->log_y, plot->one);
	fl_plot_string(to, plot->x);
	putc(' ', to);
	fl_plot_string(to, plot->y);
	fputs("\n\n\n", to);
}

static int write_rows(FILE *to, const struct fl_query_plot *plot)
{
	struct range x = { INFINITY, -INFINITY };

	for (size_t r = 0; r < plot->nr_rows; r++) {
		widen(&x, plot->rows[r].low);
		widen(&x, plot->rows[r].high);
	}
	if (plot->one)
		widen(&x, 1);
	finish(&x, plot->log_x, plot->one);
	put_frame(to, plot, &x, &x);
	fputs("# rows\n", to);
	for (size_t r = 0; r < plot->nr_rows; r++) {
		fl_plot_string(to, plot->rows[r].colour);
		putc(' ', to);
		fl_plot_string(to, plot->rows[r].label);
		fprintf(to, " %.9g %.9g %.9g\n", plot->rows[r].value,
			plot->rows[r].low, plot->rows[r].high);
	}
	return 0;
}

/* A line's last point, as a share of the axis. */
struct end {
	size_t first;
	double at;
};

static int by_height(const void *a, const void *b)
{
	const struct end *p = a, *q = b;

	return (p->at > q->at) - (p->at < q->at);
}

static void put_line(FILE *to, const struct fl_query_plot *plot,
		     const struct end *end, double at, const struct range *y)
{
	const struct fl_query_row *row = &plot->rows[end->first];

	fl_plot_string(to, row->colour);
	putc(' ', to);
	fl_plot_string(to, row->label);
	fprintf(to, " %.9g\n", plot->log_y ? y->lo * pow(y->hi / y->lo, at) :
		y->lo + (y->hi - y->lo) * at);
}

static int write_lines(FILE *to, const struct fl_query_plot *plot)
{
	struct range x = { INFINITY, -INFINITY }, y = x;
	struct end *ends = calloc(plot->nr_rows, sizeof(*ends));
	double *at = calloc(plot->nr_rows, sizeof(*at));
	size_t nr = 0;

	if (!ends || !at) {
		free(ends);
		free(at);
		return -ENOMEM;
	}
	for (size_t r = 0; r < plot->nr_rows; r++) {
		widen(&x, plot->rows[r].x);
		widen(&y, plot->rows[r].low);
		widen(&y, plot->rows[r].high);
	}
	if (plot->one)
		widen(&y, 1);
	finish(&x, plot->log_x, true);
	finish(&y, plot->log_y, plot->one);
	for (size_t r = 0; r < plot->nr_rows; r++) {
		const double v = plot->rows[r].value;

		if (begins(plot, r))
			ends[nr++].first = r;
		ends[nr - 1].at = plot->log_y ? log(v / y.lo) / log(y.hi / y.lo) :
						(v - y.lo) / (y.hi - y.lo);
	}
	qsort(ends, nr, sizeof(*ends), by_height);
	for (size_t i = 0; i < nr; i++)
		at[i] = ends[i].at;
	fl_plot_spread(at, nr, LABEL_GAP);
	put_frame(to, plot, &x, &y);
	fputs("# series\n", to);
	for (size_t i = 0; i < nr; i++)
		put_line(to, plot, &ends[i], at[i], &y);
	for (size_t i = 0; i < nr; i++) {
		size_t r = ends[i].first;

		fprintf(to, "\n\n# points %03zu\n", i + 1);
		do
			fprintf(to, "%.9g %.9g %.9g %.9g\n", plot->rows[r].x,
				plot->rows[r].value, plot->rows[r].low,
				plot->rows[r].high);
		while (++r < plot->nr_rows && !begins(plot, r));
	}
	free(ends);
	free(at);
	return 0;
}

int fl_query_plot_write(FILE *to, const struct fl_query_plot *plot)
{
	return plot->lines ? write_lines(to, plot) : write_rows(to, plot);
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/db_make.h"
#include "analysis/results.h"
#include "analysis/summary.h"
#include "harness/counters.h"
#include "harness/metrics.h"

/* Of a census, as results/SCHEMA.md has them. */
#define NR_PAGE_NUMBERS	11u

static const char tables[] =
	"CREATE TABLE source (campaign INTEGER, file TEXT, bytes INTEGER, mtime_ns INTEGER);"
	"CREATE TABLE campaign (id INTEGER PRIMARY KEY, experiment TEXT, dir TEXT,"
	" title TEXT, profile TEXT, seed INTEGER, blocks INTEGER, baseline TEXT,"
	" started TEXT, valid INTEGER, why TEXT, release TEXT, cpu_model TEXT,"
	" cc TEXT, cflags TEXT, version TEXT, version_commit TEXT);"
	"CREATE TABLE cell (campaign INTEGER, place INTEGER, cell TEXT, cell_group TEXT,"
	" mode TEXT, ops INTEGER, blocks INTEGER, baseline TEXT, bench TEXT, op TEXT,"
	" PRIMARY KEY (campaign, cell));"
	"CREATE TABLE level (campaign INTEGER, cell TEXT, name TEXT, value,"
	" PRIMARY KEY (campaign, cell, name)) WITHOUT ROWID;"
	"CREATE TABLE arm (campaign INTEGER, place INTEGER, arm TEXT, role TEXT, of TEXT,"
	" strategy TEXT, bench TEXT, answer TEXT, compiler TEXT, settings TEXT,"
	" builds INTEGER, PRIMARY KEY (campaign, arm));"
	"CREATE TABLE line (id INTEGER PRIMARY KEY, campaign INTEGER, line INTEGER,"
	" block INTEGER, place INTEGER, cell TEXT, cell_group TEXT, arm TEXT, role TEXT,"
	" of TEXT, repeat INTEGER, final INTEGER, status TEXT, reason TEXT, mode TEXT,"
	" seed INTEGER, wall_s REAL, nr_flags INTEGER, strategy TEXT, bench TEXT,"
	" op TEXT, answer TEXT, trigger TEXT, compiler TEXT, kernel TEXT,"
	" residence TEXT, trace TEXT, object_bytes INTEGER, block_bytes INTEGER,"
	" fresh INTEGER, settings TEXT, cpu INTEGER, build INTEGER);"
	"CREATE TABLE metric (sample INTEGER, name TEXT, value REAL,"
	" PRIMARY KEY (sample, name)) WITHOUT ROWID;"
	"CREATE TABLE unavailable (sample INTEGER, name TEXT, reason TEXT,"
	" PRIMARY KEY (sample, name)) WITHOUT ROWID;"
	"CREATE TABLE setting (sample INTEGER, name TEXT, value,"
	" PRIMARY KEY (sample, name)) WITHOUT ROWID;"
	"CREATE TABLE page (sample INTEGER, event INTEGER, pages INTEGER, live INTEGER,"
	" metadata INTEGER, pooled INTEGER, leaked INTEGER, censored INTEGER,"
	" live_bytes INTEGER, lazy_free INTEGER, tables INTEGER, vmas INTEGER);"
	"CREATE TABLE unit (name TEXT PRIMARY KEY, unit TEXT, definition TEXT);"
	"CREATE TABLE matrix (campaign INTEGER, mechanism TEXT, property TEXT,"
	" verdict TEXT, value REAL, word TEXT, errno TEXT, detail TEXT,"
	" PRIMARY KEY (campaign, mechanism, property));";

int fl_db_wrong(sqlite3 *db, struct fl_complaint *why)
{
	const int err = sqlite3_errcode(db) == SQLITE_NOMEM ? -ENOMEM : -EIO;

	return fl_complain(why, err, "SQLite: %s", sqlite3_errmsg(db));
}

static int run(sqlite3 *db, const char *sql, struct fl_complaint *why)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) ? fl_db_wrong(db, why) : 0;
}

/* ---- rows ---------------------------------------------------------------- */

/* A row that is being put together, column by column; errors wait for its end. */
struct row {
	sqlite3 *db;
	sqlite3_stmt *insert;
	int at;
};

static void put_text(struct row *row, const char *text)
{
	if (text)
		sqlite3_bind_text(row->insert, ++row->at, text, -1,
				  SQLITE_TRANSIENT);
	else
		sqlite3_bind_null(row->insert, ++row->at);
}

static void put_integer(struct row *row, int64_t value)
{
	sqlite3_bind_int64(row->insert, ++row->at, value);
}

static void put_count(struct row *row, uint64_t value)
{
	if (value)
		put_integer(row, (int64_t)value);
	else
		sqlite3_bind_null(row->insert, ++row->at);
}

static void put_real(struct row *row, double value)
{
	/* SQLite makes NULL of NaN. */
	sqlite3_bind_double(row->insert, ++row->at, value);
}

/* Whatever it is: numbers as such, texts that are numbers of bytes, too. */
static void put_json(struct row *row, const json_t *value)
{
	const char *text = json_string_value(value);
	double number;
	char *end;

	if (json_is_boolean(value)) {
		put_integer(row, json_is_true(value));
		return;
	}
	if (json_is_integer(value)) {
		put_integer(row, json_integer_value(value));
		return;
	}
	if (json_is_number(value)) {
		put_real(row, json_number_value(value));
		return;
	}
	if (!text || *text < '0' || *text > '9') {
		put_text(row, text);
		return;
	}
	number = strtod(text, &end);
	for (const char *suffix = "KMGT"; *suffix; suffix++)
		if (*end == *suffix && !end[1]) {
			number = ldexp(number, 10 * (int)(1 + (suffix - strchr("KMGT", 'K'))));
			end++;
			break;
		}
	if (*end)
		put_text(row, text);
	else if (number == floor(number) && number < 0x1p53)
		put_integer(row, (int64_t)number);
	else
		put_real(row, number);
}

/* Ends the row; the next may begin. */
static int put_row(struct row *row, struct fl_complaint *why)
{
	const int done = sqlite3_step(row->insert);

	sqlite3_reset(row->insert);
	row->at = 0;
	return done == SQLITE_DONE ? 0 : fl_db_wrong(row->db, why);
}

static int open_row(sqlite3 *db, const char *sql, struct row *row,
		    struct fl_complaint *why)
{
	*row = (struct row){ .db = db };
	return sqlite3_prepare_v2(db, sql, -1, &row->insert, NULL) ?
	       fl_db_wrong(db, why) : 0;
}

static void close_row(struct row *row)
{
	sqlite3_finalize(row->insert);
	*row = (struct row){ .db = NULL };
}

/* ---- samples ------------------------------------------------------------- */

/* What a line is spread over. */
enum { LINE, METRIC, UNAVAILABLE, SETTING, PAGE, NR_PARTS };

static const char *const part_inserts[NR_PARTS] = {
	[LINE] = "INSERT INTO line VALUES (?,?,?,?,?,?,?,?,?,?,?,0,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[METRIC] = "INSERT OR REPLACE INTO metric VALUES (?,?,?)",
	[UNAVAILABLE] = "INSERT OR REPLACE INTO unavailable VALUES (?,?,?)",
	[SETTING] = "INSERT OR REPLACE INTO setting VALUES (?,?,?)",
	[PAGE] = "INSERT INTO page VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
};

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static int load_line(struct row *row, int64_t id, int campaign,
		     const struct fl_result *r, struct fl_complaint *why)
{
	const json_t *wall = json_object_get(r->json, "wall_s");

	put_integer(row, id);
	put_integer(row, campaign);
	put_integer(row, r->line);
	put_integer(row, r->block);
	put_json(row, json_object_get(r->json, "order"));
	put_text(row, r->cell);
	put_text(row, r->group);
	put_text(row, r->arm);
	put_text(row, fl_result_role_name(r->role));
	put_text(row, r->of);
	put_integer(row, r->repeat);
	put_text(row, fl_result_status_name(r->status));
	put_text(row, r->reason);
	put_text(row, text_of(r->json, "mode"));
	put_json(row, json_object_get(r->json, "seed"));
	put_real(row, json_is_number(wall) ? json_number_value(wall) : NAN);
	put_integer(row, (int64_t)r->nr_flags);
	put_text(row, r->bench ? NULL : r->strategy);
	put_text(row, r->bench);
	put_text(row, r->op);
	put_text(row, r->answer);
	put_text(row, r->trigger);
	put_text(row, r->compiler);
	put_text(row, r->kernel);
	put_text(row, r->residence);
	put_text(row, r->trace);
	put_count(row, r->object_bytes);
	put_count(row, r->block_bytes);
	put_integer(row, r->fresh);
	put_text(row, r->settings);
	put_json(row, json_object_get(r->json, "cpu"));
	put_integer(row, r->build);
	return put_row(row, why);
}

static int put_pair(struct row *row, int64_t id, const char *name,
		    const json_t *value, struct fl_complaint *why)
{
	put_integer(row, id);
	put_text(row, name);
	put_json(row, value);
	return put_row(row, why);
}

/* The time that a comparison is about, under one name for both kinds. */
static int load_time(struct row *row, int64_t id, const struct fl_result *r,
		     struct fl_complaint *why)
{
	const double ns = fl_result_metric(r, r->bench ? "op_ns" : "alloc_ns");

	if (isnan(ns))
		return 0;
	put_integer(row, id);
	put_text(row, "ns");
	put_real(row, ns);
	return put_row(row, why);
}

static int load_pages(struct row *row, int64_t id, const json_t *pages,
		      struct fl_complaint *why)
{
	json_t *point;
	size_t i;
	int err = 0;

	json_array_foreach(pages, i, point) {
		if (err || json_array_size(point) < 2)
			break;
		put_integer(row, id);
		/* An older line has the first two alone: NULLs. */
		for (size_t k = 0; k < NR_PAGE_NUMBERS; k++)
			put_json(row, json_array_get(point, k));
		err = put_row(row, why);
	}
	return err;
}

static int load_sample(struct row *rows, int64_t id, int campaign,
		       const struct fl_result *r, struct fl_complaint *why)
{
	int err = load_line(&rows[LINE], id, campaign, r, why);
	const char *name;
	json_t *value;

	json_object_foreach(json_object_get(r->json, "metrics"), name, value)
		if (!err && json_is_number(value))
			err = put_pair(&rows[METRIC], id, name, value, why);
	json_object_foreach(json_object_get(r->json, "unavailable"), name, value)
		if (!err)
			err = put_pair(&rows[UNAVAILABLE], id, name, value, why);
	json_object_foreach(json_object_get(r->json, "settings"), name, value)
		if (!err)
			err = put_pair(&rows[SETTING], id, name, value, why);
	if (!err)
		err = load_time(&rows[METRIC], id, r, why);
	return err ? err : load_pages(&rows[PAGE], id,
				      json_object_get(r->json, "pages"), why);
}

static int load_samples(sqlite3 *db, int campaign,
			const struct fl_results *results,
			struct fl_complaint *why)
{
	struct row rows[NR_PARTS] = { { .db = NULL } };
	int err = 0;

	for (int i = 0; i < NR_PARTS && !err; i++)
		err = open_row(db, part_inserts[i], &rows[i], why);
	for (size_t i = 0; i < results->nr_results && !err; i++)
		err = load_sample(rows, ((int64_t)campaign << 32) +
					results->results[i].line,
				  campaign, &results->results[i], why);
	for (int i = 0; i < NR_PARTS; i++)
		close_row(&rows[i]);
	return err;
}

/* ---- what a campaign was begun with --------------------------------------- */

static int load_cells(sqlite3 *db, int campaign, const json_t *cells,
		      struct fl_complaint *why)
{
	struct row cell = { .db = NULL }, level = { .db = NULL };
	const char *name;
	json_t *one, *value;
	size_t i;
	int err = open_row(db, "INSERT OR REPLACE INTO cell VALUES (?,?,?,?,?,?,?,?,?,?)",
			   &cell, why);

	if (!err)
		err = open_row(db, "INSERT OR REPLACE INTO level VALUES (?,?,?,?)",
			       &level, why);
	json_array_foreach(cells, i, one) {
		static const char *const keys[] = {
			"cell", "group", "mode", "ops", "blocks", "baseline",
			"bench", "op",
		};

		if (err)
			break;
		put_integer(&cell, campaign);
		put_integer(&cell, (int64_t)i);
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
			const json_t *key = json_object_get(one, keys[k]);

			if (json_is_string(key))
				put_text(&cell, json_string_value(key));
			else
				put_json(&cell, key);
		}
		err = put_row(&cell, why);
		json_object_foreach(json_object_get(one, "levels"), name, value) {
			if (err)
				break;
			put_integer(&level, campaign);
			put_text(&level, text_of(one, "cell"));
			put_text(&level, name);
			put_json(&level, value);
			err = put_row(&level, why);
		}
	}
	close_row(&cell);
	close_row(&level);
	return err;
}

static int load_arms(sqlite3 *db, int campaign, const json_t *arms,
		     struct fl_complaint *why)
{
	static const char *const keys[] = {
		"arm", "role", "of", "strategy", "bench", "answer", "compiler",
		"set",
	};
	struct row row;
	json_t *one;
	size_t i, builds;
	int err = open_row(db, "INSERT OR REPLACE INTO arm VALUES (?,?,?,?,?,?,?,?,?,?,?)",
			   &row, why);

	json_array_foreach(arms, i, one) {
		if (err)
			break;
		put_integer(&row, campaign);
		put_integer(&row, (int64_t)i);
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			put_text(&row, text_of(one, keys[k]));
		/* An older campaign had one of each and did not say so. */
		builds = json_array_size(json_object_get(one, "builds"));
		put_integer(&row, builds ? (int64_t)builds : 1);
		err = put_row(&row, why);
	}
	close_row(&row);
	return err;
}

static int put_unit(struct row *row, const char *name, const char *unit,
		    const char *definition, struct fl_complaint *why)
{
	put_text(row, name);
	put_text(row, unit);
	put_text(row, definition);
	return put_row(row, why);
}

static int load_units(sqlite3 *db, const json_t *benches,
		      struct fl_complaint *why)
{
#define COUNTER(name, definition) { #name, definition },
	static const struct {
		const char *name, *definition;
	} counters[] = { FL_COUNTERS(COUNTER) };
#undef COUNTER
	struct row row;
	const char *bench;
	json_t *one, *metric;
	size_t k;
	int err = open_row(db, "INSERT OR IGNORE INTO unit VALUES (?,?,?)", &row,
			   why);

	for (int i = 0; i < FL_NR_METRICS && !err; i++)
		err = put_unit(&row, fl_metric_name(i), fl_metric_unit(i),
			       fl_metric_definition(i), why);
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]) && !err; i++)
		err = put_unit(&row, counters[i].name, "1",
			       counters[i].definition, why);
	if (!err)
		err = put_unit(&row, "ns", "ns",
			       "what comparisons are about: alloc_ns of a strategy, op_ns of a bench",
			       why);
	json_object_foreach((json_t *)benches, bench, one)
		json_array_foreach(json_object_get(one, "metrics"), k, metric)
			if (!err)
				err = put_unit(&row, text_of(metric, "name"),
					       text_of(metric, "unit"),
					       text_of(metric, "definition"),
					       why);
	close_row(&row);
	return err;
}

/* Why a campaign is not valid, or what its controls say; to be freed. */
static char *joined(const struct fl_summary *s)
{
	char *text = NULL;
	size_t bytes;
	FILE *to = open_memstream(&text, &bytes);

	if (!to)
		return NULL;
	for (size_t i = 0; i < s->nr_verdicts; i++)
		fprintf(to, "%s%s", i ? " " : "", s->verdicts[i]);
	return fclose(to) ? NULL : text;
}

static int put_campaign(sqlite3 *db, int id, const char *dir,
			const char *experiment, const json_t *json, int valid,
			const char *verdicts, struct fl_complaint *why)
{
	const json_t *fingerprint = json_object_get(json, "fingerprint");
	const json_t *host = json_object_get(fingerprint, "host");
	const json_t *build = json_object_get(fingerprint, "build");
	const json_t *about = json_object_get(fingerprint, "about");
	const json_t *cpu = json_object_get(host, "cpu");
	char *name = fl_db_name(dir);
	struct row row;
	int err = open_row(db, "INSERT INTO campaign VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
			   &row, why);

	if (!err) {
		put_integer(&row, id);
		put_text(&row, experiment);
		put_text(&row, name);
		put_text(&row, text_of(json, "title"));
		put_text(&row, text_of(json, "profile"));
		put_json(&row, json_object_get(json, "seed"));
		put_json(&row, json_object_get(json, "blocks"));
		put_text(&row, text_of(json, "baseline"));
		put_text(&row, text_of(json, "started"));
		put_integer(&row, valid);
		put_text(&row, verdicts);
		put_text(&row, text_of(json_object_get(host, "kernel"),
				       "release"));
		put_text(&row, text_of(cpu, "name") ? text_of(cpu, "name") :
						      text_of(cpu, "model"));
		put_text(&row, text_of(build, "cc"));
		put_text(&row, text_of(build, "cflags"));
		put_text(&row, text_of(about, "version"));
		put_text(&row, text_of(about, "commit"));
		err = put_row(&row, why);
	}
	close_row(&row);
	free(name);
	return err;
}

/* ---- the kernel's matrix --------------------------------------------------- */

static int load_matrix(sqlite3 *db, int campaign, const json_t *matrix,
		       struct fl_complaint *why)
{
	static const char *const keys[] = {
		"mechanism", "property", "verdict", "value", "word", "errno",
		"detail",
	};
	struct row row;
	json_t *one;
	size_t i;
	int err = open_row(db, "INSERT OR REPLACE INTO matrix VALUES (?,?,?,?,?,?,?,?)",
			   &row, why);

	json_array_foreach(json_object_get(matrix, "cells"), i, one) {
		if (err)
			break;
		put_integer(&row, campaign);
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			put_json(&row, json_object_get(one, keys[k]));
		err = put_row(&row, why);
	}
	close_row(&row);
	return err;
}

/* ---- all of it -------------------------------------------------------------- */

/* The first @value under @key stays there.  Where does @value differ from it? */
static char *differs_from_first(json_t *seen, const char *key, json_t *value)
{
	json_t *first = json_object_get(seen, key);

	if (first)
		return fl_db_unlike(first, value);
	json_object_set(seen, key, value);
	return NULL;
}

/*
 * Hosts are those of all campaigns.  Builds are those of an experiment's: two
 * experiments are not pooled, and a build may be mended between them.
 */
static int check_like(json_t *seen, const json_t *json, const char *experiment,
		      const char *dir, const struct fl_db_options *options,
		      struct fl_complaint *why)
{
	json_t *print = json_object_get(json, "fingerprint");
	char *differ;

	if (options->unlike)
		return 0;
	differ = differs_from_first(seen, "", json_object_get(print, "host"));
	if (differ) {
		fl_complain(why, -EXDEV, "%s: its host is not that of the campaigns before it: %s; with --unlike they are put together all the same",
			    dir, differ);
		goto out_free;
	}
	differ = differs_from_first(seen, experiment,
				    json_object_get(print, "build"));
	if (differ) {
		fl_complain(why, -EXDEV, "%s: its build is not that of the %s before it: %s; with --unlike they are put together all the same",
			    dir, experiment, differ);
		goto out_free;
	}
	return 0;
out_free:
	free(differ);
	return -EXDEV;
}

static void tell_problems(const char *dir, const struct fl_results *results)
{
	for (size_t i = 0; i < results->nr_problems &&
	     i < FL_RESULTS_PROBLEMS_MAX; i++)
		if (results->problems[i])
			fprintf(stderr, "faultline: %s/%s\n", dir,
				results->problems[i]);
}

static int load_campaign(sqlite3 *db, int id, const char *dir,
			 const struct fl_db_options *options, json_t *seen,
			 struct fl_complaint *why)
{
	struct fl_results results;
	struct fl_summary summary;
	const char *experiment;
	char *verdicts;
	int err = fl_results_load(dir, &results, why);

	if (err)
		return err;
	if (!options->quiet)
		tell_problems(dir, &results);
	experiment = fl_results_string(&results, "campaign", "?");
	err = check_like(seen, results.campaign, experiment, dir, options, why);
	if (err)
		goto out_free_results;
	err = fl_summary_make(&results, &summary, why);
	if (err)
		goto out_free_results;
	verdicts = joined(&summary);
	err = put_campaign(db, id, dir, experiment, results.campaign,
			   summary.valid, verdicts, why);
	if (!err)
		err = load_cells(db, id, json_object_get(results.campaign,
							 "cells"), why);
	if (!err)
		err = load_arms(db, id, json_object_get(results.campaign,
							"arms"), why);
	if (!err)
		err = load_units(db, json_object_get(results.campaign,
						     "benches"), why);
	if (!err)
		err = load_samples(db, id, &results, why);
	free(verdicts);
	fl_summary_free(&summary);
out_free_results:
	fl_results_free(&results);
	return err;
}

static int load_kernel(sqlite3 *db, int id, const char *dir, const char *path,
		       const struct fl_db_options *options, json_t *seen,
		       struct fl_complaint *why)
{
	json_error_t error;
	json_t *json = json_load_file(path, 0, &error);
	int err;

	if (!json)
		return fl_complain(why, -EINVAL, "%s:%d: %s", path, error.line,
				   error.text);
	if (!json_is_array(json_object_get(json, "cells")))
		err = fl_complain(why, -EINVAL, "%s: is not what `faultline kernel --json` prints: no cells",
				  path);
	else
		err = check_like(seen, json, "kernel", dir, options, why);
	if (!err)
		err = put_campaign(db, id, dir, "kernel", json, 1, NULL, why);
	if (!err)
		err = load_matrix(db, id, json, why);
	json_decref(json);
	return err;
}

int fl_db_make_tables(sqlite3 *db, struct fl_complaint *why)
{
	return run(db, tables, why);
}

int fl_db_load(sqlite3 *db, int id, const char *dir,
	       const struct fl_db_options *options, json_t *seen,
	       struct fl_complaint *why)
{
	FILE *kernel;
	char *path;
	int err;

	if (asprintf(&path, "%s/" FL_DB_KERNEL, dir) < 0)
		return fl_complain(why, -ENOMEM, "%s", strerror(ENOMEM));
	kernel = fopen(path, "re");
	if (kernel) {
		fclose(kernel);
		err = load_kernel(db, id, dir, path, options, seen, why);
	} else {
		err = load_campaign(db, id, dir, options, seen, why);
	}
	free(path);
	return err;
}

/*
 * A column for each metric and setting that any sample has or could have.  A
 * metric that is called as a column of the line is left to the table of metrics.
 */
static const char *const column_names[] = {
	"SELECT name, 'SELECT value FROM metric m WHERE m.sample = line.id AND m.name = ', name"
	" FROM (SELECT name FROM unit UNION SELECT DISTINCT name FROM metric)"
	" WHERE name NOT IN (SELECT name FROM pragma_table_info('line'))",
	"SELECT 'set_' || name, 'SELECT value FROM setting s WHERE s.sample = line.id AND s.name = ', name"
	" FROM (SELECT DISTINCT name FROM setting)",
};

static int write_columns(sqlite3 *db, FILE *to, const char *sql,
			 struct fl_complaint *why)
{
	sqlite3_stmt *query;
	int got;

	if (sqlite3_prepare_v2(db, sql, -1, &query, NULL))
		return fl_db_wrong(db, why);
	while ((got = sqlite3_step(query)) == SQLITE_ROW) {
		char *column = sqlite3_mprintf(", (%s%Q) AS \"%w\"",
			sqlite3_column_text(query, 1),
			sqlite3_column_text(query, 2),
			sqlite3_column_text(query, 0));

		if (column)
			fputs(column, to);
		sqlite3_free(column);
	}
	sqlite3_finalize(query);
	return got == SQLITE_DONE ? 0 : fl_db_wrong(db, why);
}

static const char after[] =
	"CREATE INDEX line_key ON line (campaign, cell, arm, block, repeat);"
	"CREATE INDEX line_arm ON line (arm, cell);"
	"CREATE INDEX page_sample ON page (sample);"
	"UPDATE line SET final = 1 WHERE repeat = (SELECT max(l.repeat) FROM line l"
	" WHERE l.campaign = line.campaign AND l.cell = line.cell"
	" AND l.arm = line.arm AND l.block = line.block);"
	"CREATE VIEW missing AS SELECT campaign.experiment, line.* FROM line"
	" JOIN campaign ON campaign.id = line.campaign"
	" WHERE final AND status != 'ok';"
	"CREATE VIEW pair AS SELECT campaign.experiment, a.campaign, a.cell, a.cell_group,"
	" a.block, a.arm, b.arm AS base, m.name, m.value AS x, n.value AS y,"
	" a.build, b.build AS base_build"
	" FROM line a JOIN line b ON b.campaign = a.campaign AND b.cell = a.cell"
	" AND b.block = a.block AND b.arm != a.arm"
	" JOIN campaign ON campaign.id = a.campaign"
	" JOIN metric m ON m.sample = a.id"
	" JOIN metric n ON n.sample = b.id AND n.name = m.name"
	" WHERE a.final AND b.final AND a.status = 'ok' AND b.status = 'ok';";

int fl_db_make_views(sqlite3 *db, struct fl_complaint *why)
{
	char *sql = NULL;
	size_t bytes;
	FILE *to = open_memstream(&sql, &bytes);
	int err = 0;

	if (!to)
		return fl_complain(why, -ENOMEM, "%s", strerror(ENOMEM));
	fputs("CREATE VIEW sample AS SELECT campaign.experiment, line.*", to);
	for (size_t i = 0; i < sizeof(column_names) / sizeof(column_names[0]) &&
	     !err; i++)
		err = write_columns(db, to, column_names[i], why);
	fputs(" FROM line JOIN campaign ON campaign.id = line.campaign"
	      " WHERE final AND status = 'ok'", to);
	if (fclose(to) && !err)
		err = fl_complain(why, -ENOMEM, "%s", strerror(ENOMEM));
	if (!err)
		err = run(db, after, why);
	if (!err)
		err = run(db, sql, why);
	free(sql);
	return err;
}

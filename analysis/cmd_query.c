/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/db.h"
#include "harness/commands.h"
#include "harness/table.h"

enum { KEY_JSON = 'j', KEY_CSV = 'c', KEY_DB = 256, KEY_UNLIKE, KEY_SCHEMA };

static const struct argp_option options[] = {
	{ "json", KEY_JSON, NULL, 0, "print an array of objects, one for each row", 0 },
	{ "csv", KEY_CSV, NULL, 0, "print comma-separated values (RFC 4180) with a header", 0 },
	{ "schema", KEY_SCHEMA, NULL, 0, "print tables and views with their columns", 0 },
	{ "db", KEY_DB, "FILE", 0, "keep the database there (" FL_DB_FILE " in DIR if there is one DIR, else nowhere)", 0 },
	{ "unlike", KEY_UNLIKE, NULL, 0, "put campaigns of unlike hosts, or builds of one experiment, together", 0 },
	{ 0 },
};

enum form { AS_TABLE, AS_JSON, AS_CSV };

struct arguments {
	char **dirs;
	size_t nr_dirs;
	const char *sql;
	enum form form;
	bool schema;
	struct fl_db_options db;
};

/* What there is: the query where none is given. */
static const char overview[] =
	"SELECT experiment, profile, blocks, count(line.id) AS lines,"
	" sum(line.status = 'ok') AS ok, sum(line.status != 'ok') AS others,"
	" count(DISTINCT line.cell) AS cells, count(DISTINCT line.arm) AS arms,"
	" CASE WHEN line.id IS NULL THEN NULL WHEN valid THEN 'yes' ELSE 'INVALID' END AS valid,"
	" release, campaign.dir AS dir"
	" FROM campaign LEFT JOIN line ON line.campaign = campaign.id"
	" GROUP BY campaign.id ORDER BY campaign.id";

static const char schema[] =
	"SELECT t.type AS kind, t.name, group_concat(c.name, ' ') AS columns"
	" FROM sqlite_schema t, pragma_table_xinfo(t.name) c"
	" WHERE t.type IN ('table', 'view') AND t.name NOT LIKE 'sqlite%'"
	" GROUP BY t.name ORDER BY t.type, t.name";

/* A word that has no blank is no query. */
static bool is_query(const char *word)
{
	return strpbrk(word, " \t\n") && access(word, F_OK);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case KEY_JSON:
		a->form = AS_JSON;
		break;
	case KEY_CSV:
		a->form = AS_CSV;
		break;
	case KEY_DB:
		a->db.file = arg;
		break;
	case KEY_UNLIKE:
		a->db.unlike = true;
		break;
	case KEY_SCHEMA:
		a->schema = true;
		break;
	case ARGP_KEY_ARG:
		if (is_query(arg)) {
			if (a->sql)
				argp_error(state, "\"%s\": one query at a time", arg);
			a->sql = arg;
		} else {
			a->dirs[a->nr_dirs++] = arg;
		}
		break;
	case ARGP_KEY_END:
		if (a->sql && a->schema)
			argp_error(state, "--schema is a query of its own: leave out \"%s\"", a->sql);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "[DIR...] ['SQL']",
	.doc = "Ask campaigns in SQL (SQLite's, and medians, ratios and their intervals).\v"
	       "DIR: a campaign's directory, or a folder of some: of each experiment the one "
	       "that was begun last; none: results/.  SQL: none: what there is.\n\n"
	       "  faultline query results/X 'SELECT cell, arm, median(ns), median_low(ns), "
	       "median_high(ns) FROM sample GROUP BY cell, arm'\n"
	       "  faultline query results/X \"SELECT cell, arm, ratio(x, y), ratio_low(x, y), "
	       "ratio_high(x, y) FROM pair WHERE name = 'ns' AND base = 'bump_down' GROUP BY "
	       "cell, arm\"\n\n"
	       "results/SCHEMA.md describes tables, views and functions.  Exit status: 0; 1: "
	       "something could not be read or written; 2: DIR, SQL or an option makes no "
	       "sense.",
};

static int complain(const struct fl_complaint *why, int err)
{
	fl_complaint_print(why, err);
	return err == -ENOMEM || err == -EIO || err == -EACCES ?
	       FL_EXIT_FAILED : FL_EXIT_USAGE;
}

/* ---- rows -------------------------------------------------------------------- */

static void put_value(struct fl_table *table, sqlite3_stmt *query, int i)
{
	switch (sqlite3_column_type(query, i)) {
	case SQLITE_NULL:
		fl_table_put(table, FL_DIM, "-");
		break;
	case SQLITE_FLOAT:
		fl_table_put(table, FL_PLAIN, "%.6g",
			     sqlite3_column_double(query, i));
		break;
	default:
		fl_table_put(table, FL_PLAIN, "%s",
			     sqlite3_column_text(query, i));
	}
}

static void csv_field(const char *text)
{
	if (!strpbrk(text, ",\"\r\n")) {
		fputs(text, stdout);
		return;
	}
	putchar('"');
	for (; *text; text++) {
		if (*text == '"')
			putchar('"');
		putchar(*text);
	}
	putchar('"');
}

static int print_csv(sqlite3_stmt *query)
{
	const int nr = sqlite3_column_count(query);
	int got;

	for (int i = 0; i < nr; i++) {
		csv_field(sqlite3_column_name(query, i));
		fputs(i + 1 < nr ? "," : "\r\n", stdout);
	}
	while ((got = sqlite3_step(query)) == SQLITE_ROW)
		for (int i = 0; i < nr; i++) {
			const char *text =
				(const char *)sqlite3_column_text(query, i);

			csv_field(text ? text : "");
			fputs(i + 1 < nr ? "," : "\r\n", stdout);
		}
	return got;
}

static json_t *value_json(sqlite3_stmt *query, int i)
{
	const double real = sqlite3_column_double(query, i);

	switch (sqlite3_column_type(query, i)) {
	case SQLITE_NULL:
		return json_null();
	case SQLITE_INTEGER:
		return json_integer(sqlite3_column_int64(query, i));
	case SQLITE_FLOAT:
		/* JSON has no infinity. */
		return isfinite(real) ? json_real(real) : json_null();
	default:
		return json_string((const char *)sqlite3_column_text(query, i));
	}
}

static int print_json(sqlite3_stmt *query)
{
	const int nr = sqlite3_column_count(query);
	const char *before = "[\n";
	int got;

	while ((got = sqlite3_step(query)) == SQLITE_ROW) {
		json_t *row = json_object();

		for (int i = 0; i < nr; i++)
			json_object_set_new(row, sqlite3_column_name(query, i),
					    value_json(query, i));
		fputs(before, stdout);
		json_dumpf(row, stdout, JSON_REAL_PRECISION(9));
		before = ",\n";
		json_decref(row);
	}
	puts(*before == '[' ? "[]" : "\n]");
	return got;
}

/* Wide where nobody has to look at it. */
static void terminal_of(struct fl_terminal *terminal)
{
	fl_terminal_of(stdout, terminal);
	if (!isatty(STDOUT_FILENO) && !getenv("COLUMNS"))
		terminal->columns = 100000;
}

/* Columns are aligned to the right if the first row has a number there. */
static int print_table(sqlite3_stmt *query, int *err)
{
	const int nr = sqlite3_column_count(query);
	struct fl_column *columns = calloc((size_t)nr, sizeof(*columns));
	struct fl_table *table = NULL;
	struct fl_terminal terminal;
	int got = sqlite3_step(query);

	for (int i = 0; i < nr && columns; i++) {
		const int type = got == SQLITE_ROW ?
				 sqlite3_column_type(query, i) : SQLITE_TEXT;

		columns[i].title = sqlite3_column_name(query, i);
		columns[i].right = type != SQLITE_TEXT;
	}
	if (columns)
		table = fl_table_new(columns, (size_t)nr);
	*err = table ? 0 : -ENOMEM;
	for (; table && got == SQLITE_ROW; got = sqlite3_step(query))
		for (int i = 0; i < nr; i++)
			put_value(table, query, i);
	if (table && got == SQLITE_DONE) {
		terminal_of(&terminal);
		*err = fl_table_print(table, stdout, &terminal, 0);
	}
	if (table)
		fl_table_free(table);
	free(columns);
	return got;
}

static int ask(sqlite3 *db, const char *sql, enum form form,
	       struct fl_complaint *why)
{
	sqlite3_stmt *query;
	const char *rest;
	int got, err = 0;

	if (sqlite3_exec(db, "PRAGMA query_only = 1", NULL, NULL, NULL) ||
	    sqlite3_prepare_v2(db, sql, -1, &query, &rest))
		return fl_complain(why, -EINVAL, "SQL: %s; `faultline query --schema` shows tables and columns",
				   sqlite3_errmsg(db));
	if (!query)
		return fl_complain(why, -EINVAL, "SQL: there is no query in \"%s\"",
				   sql);
	if (rest[strspn(rest, " \t\r\n;")]) {
		sqlite3_finalize(query);
		return fl_complain(why, -EINVAL, "SQL: more than one statement: ask \"%.60s\" by itself",
				   rest);
	}
	if (!sqlite3_column_count(query)) {
		sqlite3_finalize(query);
		return fl_complain(why, -EINVAL, "SQL: the database is made from the results, and only read: ask with SELECT");
	}
	got = form == AS_JSON ? print_json(query) :
	      form == AS_CSV ? print_csv(query) : print_table(query, &err);
	if (err)
		fl_complain(why, err, "%s", strerror(-err));
	else if (got != SQLITE_DONE)
		err = fl_complain(why, -EINVAL, "SQL: %s", sqlite3_errmsg(db));
	sqlite3_finalize(query);
	return err;
}

static int ask_all(const struct arguments *a, struct fl_complaint *why)
{
	char **sources;
	size_t nr;
	sqlite3 *db;
	int err = fl_db_sources((const char *const *)a->dirs, a->nr_dirs,
				&sources, &nr, why);

	if (err)
		return err;
	err = fl_db_open((const char *const *)sources, nr, &a->db, &db, why);
	fl_db_free_list(sources, nr);
	if (err)
		return err;
	err = ask(db, a->schema ? schema : a->sql ? a->sql : overview, a->form,
		  why);
	sqlite3_close(db);
	return err;
}

int fl_cmd_query(int argc, char **argv)
{
	struct arguments a = { .form = AS_TABLE };
	struct fl_complaint why = { "" };
	int err;

	a.dirs = calloc((size_t)argc, sizeof(*a.dirs));
	if (!a.dirs)
		return complain(&why, -ENOMEM);
	argp_parse(&argp, argc, argv, 0, NULL, &a);
	err = ask_all(&a, &why);
	free(a.dirs);
	return err ? complain(&why, err) : FL_EXIT_OK;
}

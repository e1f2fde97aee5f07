/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/claims.h"
#include "analysis/db.h"
#include "harness/commands.h"
#include "harness/experiments.h"
#include "harness/table.h"

enum { KEY_JSON = 'j', KEY_VERBOSE = 'v', KEY_ALL = 'a', KEY_CLAIMS = 256,
       KEY_UNLIKE, KEY_MARKDOWN };

static const struct argp_option options[] = {
	{ "claims", KEY_CLAIMS, "FILE", 0, "judge what this file claims; may be repeated (claims.ini of every experiment)", 0 },
	{ "all", KEY_ALL, NULL, 0, "also the claims that no DIR has anything to do with", 0 },
	{ "verbose", KEY_VERBOSE, NULL, 0, "with each claim's rules and query", 0 },
	{ "unlike", KEY_UNLIKE, NULL, 0, "put campaigns of unlike hosts together", 0 },
	{ "json", KEY_JSON, NULL, 0, "print one JSON object", 0 },
	{ "markdown", KEY_MARKDOWN, NULL, 0, "print a table as README.md has it", 0 },
	{ 0 },
};

struct arguments {
	char **dirs, **files;
	size_t nr_dirs, nr_files;
	bool json, markdown, verbose, all;
	struct fl_db_options db;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case KEY_CLAIMS:
		a->files[a->nr_files++] = arg;
		break;
	case KEY_ALL:
		a->all = true;
		break;
	case KEY_VERBOSE:
		a->verbose = true;
		break;
	case KEY_UNLIKE:
		a->db.unlike = true;
		break;
	case KEY_JSON:
		a->json = true;
		break;
	case KEY_MARKDOWN:
		a->markdown = true;
		break;
	case ARGP_KEY_ARG:
		a->dirs[a->nr_dirs++] = arg;
		break;
	case ARGP_KEY_END:
		if (a->json && a->markdown)
			argp_error(state, "--json and --markdown are two forms: choose one");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "[DIR...]",
	.doc = "What the results say of the design notes' claims.\v"
	       "DIR: a campaign's directory, or what `faultline kernel --output` left, or a folder "
	       "of such: of each experiment the one that was begun last; none: results/.  Exit status: 0; 1: "
	       "something that should have been measured was not; 2: a DIR, a claim or an option "
	       "makes no sense.",
};

static int complain(const struct fl_complaint *why, int err)
{
	fl_complaint_print(why, err);
	return FL_EXIT_USAGE;
}

/* ---- what is asked, and of what ---------------------------------------------- */

static int read_claims(const struct arguments *a, struct fl_claims *claims,
		       struct fl_complaint *why)
{
	struct fl_experiments experiments;
	int err = 0;

	for (size_t i = 0; i < a->nr_files && !err; i++)
		err = fl_claims_add(claims, a->files[i], why);
	if (err || a->nr_files)
		return err;
	err = fl_experiments_find(&experiments, why);
	if (err)
		return err;
	for (size_t i = 0; i < experiments.nr && !err; i++)
		if (experiments.list[i].claims)
			err = fl_claims_add(claims, experiments.list[i].claims,
					    why);
	fl_experiments_free(&experiments);
	return err;
}

/* Numbers of two campaigns would be mixed in every query that does not say which. */
static int check_once(sqlite3 *db, struct fl_complaint *why)
{
	sqlite3_stmt *query;
	int err = 0;

	if (sqlite3_prepare_v2(db, "SELECT experiment, min(dir), max(dir) FROM campaign GROUP BY experiment HAVING count(*) > 1",
			       -1, &query, NULL))
		return fl_complain(why, -EIO, "SQLite: %s", sqlite3_errmsg(db));
	if (sqlite3_step(query) == SQLITE_ROW)
		err = fl_complain(why, -EINVAL, "%s and %s are both of %s: leave out one, or hold them against each other with `faultline compare`",
				  sqlite3_column_text(query, 1),
				  sqlite3_column_text(query, 2),
				  sqlite3_column_text(query, 0));
	sqlite3_finalize(query);
	return err;
}

/* Is any of the experiments there that the claim needs? */
static bool is_about(sqlite3 *db, const struct fl_claim *claim)
{
	bool any = false;

	for (size_t i = 0; i < claim->nr_needs && !any; i++) {
		sqlite3_stmt *query;

		if (sqlite3_prepare_v2(db, "SELECT 1 FROM campaign WHERE experiment = ?",
				       -1, &query, NULL))
			return true;
		sqlite3_bind_text(query, 1, claim->needs[i].experiment, -1,
				  SQLITE_STATIC);
		any = sqlite3_step(query) == SQLITE_ROW;
		sqlite3_finalize(query);
	}
	return any;
}

/* ---- what is printed ------------------------------------------------------------ */

static enum fl_style style_of(const struct fl_verdict *v)
{
	return v->kind == FL_CONFIRMED ? FL_GOOD :
	       v->kind == FL_REFUTED ? FL_STRONG :
	       v->kind == FL_NOT_MEASURED ? FL_BAD : FL_PLAIN;
}

static int print_table(const struct fl_verdict *verdicts, size_t nr,
		       const struct fl_terminal *terminal)
{
	static const struct fl_column columns[] = {
		{ "claim", false, 0 }, { "verdict", false, 0 },
		{ "value", true, 0 }, { "interval", true, 0 },
		{ "unit", false, 1 }, { "n", true, 1 },
		{ "what the notes say", false, 0 },
	};
	struct fl_table *table = fl_table_new(columns, sizeof(columns) /
						       sizeof(columns[0]));
	int err;

	if (!table)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		const struct fl_verdict *v = &verdicts[i];

		fl_table_put(table, FL_STRONG, "%s", v->claim->name);
		fl_table_put(table, style_of(v), "%s", fl_verdict_kind_name(v->kind));
		fl_table_number(table, v->value);
		fl_table_interval(table, v->low, v->high);
		fl_table_put(table, FL_PLAIN, "%s",
			     !isnan(v->value) && v->claim->unit ?
			     v->claim->unit : "");
		if (v->n)
			fl_table_put(table, FL_PLAIN, "%lld", (long long)v->n);
		else
			fl_table_put(table, FL_PLAIN, "%s", "");
		fl_table_put(table, FL_PLAIN, "%s", v->claim->says);
	}
	err = fl_table_print(table, stdout, terminal, 0);
	fl_table_free(table);
	return err;
}

static void print_word(const struct fl_terminal *terminal, const char *word,
		       const char *text)
{
	printf("  %-8s ", word);
	fl_wrap(stdout, terminal, 11, text);
}

static void print_details(const struct fl_verdict *v, bool verbose,
			  const struct fl_terminal *terminal)
{
	if (!verbose && !v->reason)
		return;
	printf("\n%s: %s%s\n", v->claim->name, fl_verdict_kind_name(v->kind),
	       v->owed ? ", and should have been" : "");
	if (v->reason)
		print_word(terminal, v->kind == FL_CONFIRMED ||
				     v->kind == FL_REFUTED ? "note" :
							     "because",
			   v->reason);
	if (!verbose)
		return;
	print_word(terminal, "says", v->claim->says);
	print_word(terminal, "confirm", v->claim->confirm.text);
	print_word(terminal, "refute", v->claim->refute.text);
	print_word(terminal, "query", v->claim->query);
}

static int print_text(const struct arguments *a,
		      const struct fl_verdict *verdicts, size_t nr,
		      size_t nr_left_out)
{
	size_t counts[FL_NR_VERDICT_KINDS] = { 0 };
	struct fl_terminal terminal;
	const char *before = "";
	int err;

	fl_terminal_of(stdout, &terminal);
	err = print_table(verdicts, nr, &terminal);
	for (size_t i = 0; i < nr; i++) {
		print_details(&verdicts[i], a->verbose, &terminal);
		counts[verdicts[i].kind]++;
	}
	putchar('\n');
	for (int k = 0; k < FL_NR_VERDICT_KINDS; k++)
		if (counts[k]) {
			printf("%s%zu %s", before, counts[k],
			       fl_verdict_kind_name(k));
			before = ", ";
		}
	if (nr_left_out)
		printf("%s%zu of other experiments (--all)", before,
		       nr_left_out);
	putchar('\n');
	return err;
}

/* What a cell of a table of Markdown may not hold is a bar. */
static void markdown_text(const char *text)
{
	for (; *text; text++)
		if (*text == '|')
			fputs("\\|", stdout);
		else
			putchar(*text);
}

static void print_markdown(const struct fl_verdict *verdicts, size_t nr)
{
	char value[FL_TEXT_BYTES], low[FL_TEXT_BYTES], high[FL_TEXT_BYTES];

	puts("| claim | what the notes say | verdict | value, 95 % interval | n |\n"
	     "|---|---|---|---|---|");
	for (size_t i = 0; i < nr; i++) {
		const struct fl_verdict *v = &verdicts[i];

		printf("| %s | ", v->claim->name);
		markdown_text(v->claim->says);
		printf(" | %s | ", fl_verdict_kind_name(v->kind));
		if (isfinite(v->value))
			fputs(fl_text_number(value, v->value, false), stdout);
		if (isfinite(v->low) && isfinite(v->high) && v->low < v->high)
			printf(" [%s, %s]", fl_text_number(low, v->low, false),
			       fl_text_number(high, v->high, false));
		if (isfinite(v->value) && v->claim->unit) {
			putchar(' ');
			markdown_text(v->claim->unit);
		}
		if (!isfinite(v->value) && v->reason)
			markdown_text(v->reason);
		if (v->n)
			printf(" | %lld |\n", (long long)v->n);
		else
			puts(" | |");
	}
}

static json_t *number_json(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static int print_json(const struct fl_verdict *verdicts, size_t nr)
{
	json_t *array = json_array(), *all;

	for (size_t i = 0; i < nr; i++) {
		const struct fl_verdict *v = &verdicts[i];

		json_array_append_new(array, json_pack(
			"{s:s, s:o, s:s, s:s, s:b, s:o, s:o, s:o, s:s?, s:I, s:s?, s:s, s:s, s:s}",
			"claim", v->claim->name, "note",
			json_stringn(v->claim->name, v->claim->note_bytes),
			"says", v->claim->says,
			"verdict", fl_verdict_kind_name(v->kind), "owed", v->owed,
			"value", number_json(v->value),
			"low", number_json(v->low), "high", number_json(v->high),
			"unit", v->claim->unit, "n", (json_int_t)v->n,
			"reason", v->reason, "confirm", v->claim->confirm.text,
			"refute", v->claim->refute.text,
			"query", v->claim->query));
	}
	all = json_pack("{s:i, s:o}", "schema", 1, "verdicts", array);
	if (!all)
		return -ENOMEM;
	json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(all);
	return 0;
}

/* ---- all of it --------------------------------------------------------------------- */

static int judge_all(const struct arguments *a, sqlite3 *db,
		     const struct fl_claims *claims)
{
	struct fl_verdict *verdicts = calloc(claims->nr + 1, sizeof(*verdicts));
	struct fl_complaint why = { "" };
	size_t nr = 0, left_out = 0;
	bool owed = false;
	int err = verdicts ? check_once(db, &why) : -ENOMEM;

	for (size_t i = 0; i < claims->nr && !err; i++) {
		if (a->nr_dirs && !a->all && !is_about(db, &claims->list[i])) {
			left_out++;
			continue;
		}
		err = fl_verdict_judge(db, &claims->list[i], &verdicts[nr],
				       &why);
		if (!err)
			owed |= verdicts[nr++].owed;
	}
	if (!err && a->markdown)
		print_markdown(verdicts, nr);
	else if (!err)
		err = a->json ? print_json(verdicts, nr) :
				print_text(a, verdicts, nr, left_out);
	while (nr)
		fl_verdict_free(&verdicts[--nr]);
	free(verdicts);
	return err ? complain(&why, err) : owed ? FL_EXIT_FAILED : FL_EXIT_OK;
}

static int open_all(const struct arguments *a, sqlite3 **db,
		    struct fl_complaint *why)
{
	char **sources;
	size_t nr;
	int err = fl_db_sources((const char *const *)a->dirs, a->nr_dirs,
				&sources, &nr, why);

	if (err)
		return err;
	err = fl_db_open((const char *const *)sources, nr, &a->db, db, why);
	fl_db_free_list(sources, nr);
	return err;
}

int fl_cmd_verdict(int argc, char **argv)
{
	struct arguments a = { .nr_dirs = 0 };
	struct fl_claims claims = { .list = NULL };
	struct fl_complaint why = { "" };
	int status = FL_EXIT_USAGE, err = -ENOMEM;
	sqlite3 *db;

	a.dirs = calloc((size_t)argc, sizeof(*a.dirs));
	a.files = calloc((size_t)argc, sizeof(*a.files));
	if (!a.dirs || !a.files)
		goto out_free;
	argp_parse(&argp, argc, argv, 0, NULL, &a);
	err = read_claims(&a, &claims, &why);
	if (!err)
		err = open_all(&a, &db, &why);
	if (!err) {
		status = judge_all(&a, db, &claims);
		sqlite3_close(db);
	}
out_free:
	if (err)
		status = complain(&why, err);
	fl_claims_free(&claims);
	free(a.files);
	free(a.dirs);
	return status;
}

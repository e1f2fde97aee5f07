/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/compare.h"
#include "analysis/db.h"
#include "harness/commands.h"
#include "harness/table.h"


enum { KEY_JSON = 'j', KEY_ALL = 'a', KEY_WITHIN = 256, KEY_UNLIKE,
       KEY_RELATIVE };

static const struct argp_option options[] = {
	{ "within", KEY_WITHIN, "PERCENT", 0, "a difference that is not worth the name (3)", 0 },
	{ "relative", KEY_RELATIVE, NULL, 0, "compare ratios to each cell's baseline: what made all of one campaign slower drops out", 0 },
	{ "all", KEY_ALL, NULL, 0, "show what is the same, too", 0 },
	{ "unlike", KEY_UNLIKE, NULL, 0, "compare campaigns of unlike hosts or profiles", 0 },
	{ "json", KEY_JSON, NULL, 0, "print one JSON object", 0 },
	{ 0 },
};

struct arguments {
	const char *dirs[2];
	size_t nr_dirs;
	bool json, all, unlike;
	struct fl_compare_options compare;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	char *end;

	switch (key) {
	case KEY_WITHIN:
		a->compare.within = strtod(arg, &end) / 100;
		if (end == arg || (*end && strcmp(end, "%")) ||
		    !(a->compare.within > 0 && a->compare.within < 1))
			argp_error(state, "--within=%s: must be above 0 and below 100 percent", arg);
		break;
	case KEY_RELATIVE:
		a->compare.relative = true;
		break;
	case KEY_ALL:
		a->all = true;
		break;
	case KEY_UNLIKE:
		a->unlike = true;
		break;
	case KEY_JSON:
		a->json = true;
		break;
	case ARGP_KEY_ARG:
		if (a->nr_dirs == 2)
			argp_error(state, "\"%s\": two campaigns are compared", arg);
		a->dirs[a->nr_dirs++] = arg;
		break;
	case ARGP_KEY_END:
		if (a->nr_dirs < 2)
			argp_error(state, "name the directories of two campaigns: the old one, then the new one");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "OLD NEW",
	.doc = "Hold one campaign against another, cell by cell and arm by arm.\v"
	       "A ratio above 1: the new one takes longer.  same, slower, faster: the 95 % "
	       "interval of the ratio lies inside, or wholly outside, what --within allows.  "
	       "Builds may differ: that is what is compared.  Exit status: 0: nothing is "
	       "surely slower or lost; 1: something is slower, or an arm that OLD timed in a "
	       "cell has no time in NEW; 2: the two cannot be compared.",
};

static int complain(const struct fl_complaint *why, int err)
{
	fl_complaint_print(why, err);
	return FL_EXIT_USAGE;
}

static int check_alike(const struct arguments *a, const struct fl_results *was,
		       const struct fl_results *is, struct fl_complaint *why)
{
	const char *x = fl_results_string(was, "profile", "?");
	const char *y = fl_results_string(is, "profile", "?");
	char *differ;
	int err = 0;

	if (a->unlike)
		return 0;
	differ = fl_db_unlike(
		json_object_get(json_object_get(was->campaign, "fingerprint"), "host"),
		json_object_get(json_object_get(is->campaign, "fingerprint"), "host"));
	if (differ)
		err = fl_complain(why, -EXDEV, "%s: not the host of %s: %s; --unlike compares them all the same",
				  a->dirs[1], a->dirs[0], differ);
	else if (strcmp(x, y))
		err = fl_complain(why, -EXDEV, "%s is of the %s profile, %s of the %s one; --unlike compares them all the same",
				  a->dirs[0], x, a->dirs[1], y);
	free(differ);
	return err;
}

/* ---- what is printed ------------------------------------------------------- */

static void print_about(const char *dir, const char *which,
			const struct fl_summary *s)
{
	const json_t *print = json_object_get(s->results->campaign, "fingerprint");
	const char *compiler = json_string_value(json_object_get(
		json_object_get(print, "build"), "cc"));
	const char *commit = json_string_value(json_object_get(
		json_object_get(print, "about"), "commit"));

	printf("%s: %s, %s, begun %s%s%s%s%s%s\n", which, dir,
	       fl_results_string(s->results, "campaign", "?"),
	       fl_results_string(s->results, "started", "?"),
	       compiler ? ", " : "", compiler ? compiler : "",
	       commit ? ", commit " : "", commit ? commit : "",
	       s->valid ? "" : "; INVALID: see its report");
}

static enum fl_style style_of(enum fl_compare_verdict verdict)
{
	return verdict == FL_COMPARE_SLOWER ? FL_BAD :
	       verdict == FL_COMPARE_FASTER ? FL_GOOD : FL_PLAIN;
}

static int print_pairs(const struct fl_comparison *c, bool all)
{
	static const struct fl_column columns[] = {
		{ "cell", false, 0 }, { "arm", false, 0 },
		{ "old ns", true, 2 }, { "new ns", true, 2 },
		{ "ratio", true, 0 }, { "interval", true, 1 },
		{ "n", true, 3 }, { "verdict", false, 0 }, { "", false, 4 },
	};
	struct fl_terminal terminal;
	struct fl_table *table = fl_table_new(columns, sizeof(columns) /
						       sizeof(columns[0]));
	int err;

	if (!table)
		return -ENOMEM;
	for (size_t i = 0; i < c->nr_pairs; i++) {
		const struct fl_compare_pair *p = &c->pairs[i];

		if (p->verdict == FL_COMPARE_SAME && !all)
			continue;
		fl_table_put(table, FL_PLAIN, "%s", p->cell->name);
		fl_table_put(table, FL_PLAIN, "%s", p->was->name);
		fl_table_number(table, p->was->alloc_ns.median);
		fl_table_number(table, p->is->alloc_ns.median);
		fl_table_number(table, p->ratio.n ? p->ratio.ratio : NAN);
		fl_table_interval(table, p->ratio.n ? p->ratio.lo : NAN,
				  p->ratio.n ? p->ratio.hi : NAN);
		fl_table_put(table, FL_PLAIN, "%zu", p->ratio.n);
		fl_table_put(table, style_of(p->verdict), "%s",
			     fl_compare_verdict_name(p->verdict));
		fl_table_put(table, FL_DIM, "%s%s%s",
			     p->paired ? "paired" : "",
			     p->paired && p->settings_differ ? ", " : "",
			     p->settings_differ ? "settings differ" : "");
	}
	fl_terminal_of(stdout, &terminal);
	putchar('\n');
	err = fl_table_print(table, stdout, &terminal, 0);
	fl_table_free(table);
	return err;
}

static int print_text(const struct arguments *a, const struct fl_comparison *c,
		      const struct fl_summary *was, const struct fl_summary *is)
{
	int err = 0;

	print_about(a->dirs[0], "old", was);
	print_about(a->dirs[1], "new", is);
	if (c->nr[FL_COMPARE_SAME] < c->nr_pairs || a->all)
		err = print_pairs(c, a->all);
	printf("\nwithin %.3g %%%s:", 100 * a->compare.within,
	       a->compare.relative ? ", relative to the baseline" : "");
	for (int v = 0; v < FL_COMPARE_NR_VERDICTS; v++)
		if (v != FL_COMPARE_UNKNOWN || c->nr[v])
			printf("%s %zu %s", v ? "," : "", c->nr[v],
			       fl_compare_verdict_name(v));
	putchar('\n');
	if (c->nr_only_old)
		printf("lost: %zu arms of cells are in %s alone, the first of them %s %s\n",
		       c->nr_only_old, a->dirs[0], c->lost.cell->name,
		       c->lost.arm->name);
	if (c->nr_only_new)
		printf("%zu arms of cells are in %s alone\n", c->nr_only_new,
		       a->dirs[1]);
	return err;
}

static json_t *number_json(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static int print_json(const struct arguments *a, const struct fl_comparison *c,
		      const struct fl_summary *was, const struct fl_summary *is)
{
	json_t *pairs = json_array(), *counts = json_object(), *all;

	for (int v = 0; v < FL_COMPARE_NR_VERDICTS; v++)
		json_object_set_new(counts, fl_compare_verdict_name(v),
				    json_integer((json_int_t)c->nr[v]));
	for (size_t i = 0; i < c->nr_pairs; i++) {
		const struct fl_compare_pair *p = &c->pairs[i];
		const bool known = p->ratio.n;

		json_array_append_new(pairs, json_pack(
			"{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:b, s:b, s:s}",
			"cell", p->cell->name, "arm", p->was->name,
			"old_ns", number_json(p->was->alloc_ns.median),
			"new_ns", number_json(p->is->alloc_ns.median),
			"ratio", number_json(known ? p->ratio.ratio : NAN),
			"low", number_json(known ? p->ratio.lo : NAN),
			"high", number_json(known ? p->ratio.hi : NAN),
			"n", (json_int_t)p->ratio.n, "paired", p->paired,
			"settings_differ", p->settings_differ, "verdict",
			fl_compare_verdict_name(p->verdict)));
	}
	all = json_pack("{s:i, s:s, s:s, s:b, s:b, s:f, s:b, s:I, s:I, s:o, s:o}",
			"schema", 1, "old", a->dirs[0], "new", a->dirs[1],
			"old_valid", was->valid, "new_valid", is->valid,
			"within", a->compare.within,
			"relative", a->compare.relative,
			"only_old", (json_int_t)c->nr_only_old,
			"only_new", (json_int_t)c->nr_only_new,
			"verdicts", counts, "pairs", pairs);
	if (!all)
		return -ENOMEM;
	json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(all);
	return 0;
}

static int compare(const struct arguments *a, const struct fl_summary *was,
		   const struct fl_summary *is)
{
	struct fl_complaint why = { "" };
	struct fl_comparison c;
	int err = fl_compare(was, is, &a->compare, &c);
	bool failed;

	if (err)
		return complain(&why, err);
	if (!c.nr_pairs) {
		fl_compare_free(&c);
		fl_complain(&why, -ENODATA, "%s and %s have no cell with an arm that both timed: are they of one experiment?",
			    a->dirs[0], a->dirs[1]);
		return complain(&why, -ENODATA);
	}
	err = a->json ? print_json(a, &c, was, is) : print_text(a, &c, was, is);
	failed = c.nr[FL_COMPARE_SLOWER] || c.nr_only_old;
	fl_compare_free(&c);
	return err ? complain(&why, err) : failed ? FL_EXIT_FAILED : FL_EXIT_OK;
}

int fl_cmd_compare(int argc, char **argv)
{
	struct arguments a = { .compare = { .within = FL_COMPARE_WITHIN } };
	struct fl_complaint why = { "" };
	struct fl_results results[2];
	struct fl_summary summaries[2];
	size_t nr_results = 0, nr_summaries = 0;
	int status = FL_EXIT_USAGE, err = 0;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	for (; nr_results < 2; nr_results++) {
		err = fl_results_load(a.dirs[nr_results], &results[nr_results],
				      &why);
		if (err)
			goto out_free;
	}
	err = check_alike(&a, &results[0], &results[1], &why);
	if (err)
		goto out_free;
	for (; nr_summaries < 2; nr_summaries++) {
		err = fl_summary_make(&results[nr_summaries],
				      &summaries[nr_summaries], &why);
		if (err)
			goto out_free;
	}
	status = compare(&a, &summaries[0], &summaries[1]);
out_free:
	if (err)
		status = complain(&why, err);
	while (nr_summaries)
		fl_summary_free(&summaries[--nr_summaries]);
	while (nr_results)
		fl_results_free(&results[--nr_results]);
	return status;
}

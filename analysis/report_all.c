/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analysis/claims.h"
#include "analysis/db.h"
#include "analysis/report_all.h"
#include "analysis/report_page.h"
#include "analysis/report_when.h"
#include "harness/experiments.h"
#include "harness/table.h"

#define QUESTION_BYTES	4096

/* What there is of one source. */
struct member {
	const char *dir;
	char *experiment, *title;	/* by its campaign.json */
	const struct fl_experiment *known;	/* where it is, or NULL */
	bool matrix;
	bool valid;
	size_t nr_missing;
	json_t *fingerprint;
	char *section;			/* its part of the page */
};

struct book {
	const struct fl_report_all *all;
	struct member *members;		/* in the experiments' order */
	size_t nr;
	struct fl_experiments experiments;
	struct fl_claims claims;
	struct fl_verdict *verdicts;
	size_t nr_verdicts;
	struct fl_when when;
};

static int no_memory(struct fl_complaint *why)
{
	return fl_complain(why, -ENOMEM, "%s", strerror(ENOMEM));
}

/* ---- which experiment ---------------------------------------------------------- */

static json_t *load_in(const char *dir, const char *file)
{
	json_t *json = NULL;
	char *path;

	if (asprintf(&path, "%s/%s", dir, file) < 0)
		return NULL;
	json = json_load_file(path, 0, NULL);
	free(path);
	return json;
}

static int look_at(const struct book *book, const char *dir, struct member *m)
{
	json_t *json = load_in(dir, "campaign.json");
	const char *name, *title;

	*m = (struct member){ .dir = dir };
	if (!json) {
		json = load_in(dir, FL_DB_KERNEL);
		m->matrix = json;
	}
	name = m->matrix ? "kernel" :
	       json_string_value(json_object_get(json, "campaign"));
	title = m->matrix ? "What can a fault do?" :
		json_string_value(json_object_get(json, "title"));
	m->experiment = strdup(name ? name : "?");
	m->title = strdup(title && *title ? title : name ? name : dir);
	m->fingerprint = json_incref(json_object_get(json, "fingerprint"));
	json_decref(json);
	if (!m->experiment || !m->title)
		return -ENOMEM;
	m->known = fl_experiments_called(&book->experiments, m->experiment);
	return 0;
}

/* As the folders of the experiments are sorted; others behind them. */
static int by_place(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	if (!x->known || !y->known)
		return !x->known - !y->known;
	return strcmp(x->known->name, y->known->name);
}

static int check_once(const struct book *book, struct fl_complaint *why)
{
	for (size_t i = 0; i < book->nr; i++)
		for (size_t k = 0; k < i; k++)
			if (!strcmp(book->members[i].experiment,
				    book->members[k].experiment))
				return fl_complain(why, -EINVAL, "%s and %s are both of %s: leave out one, or hold them against each other with `faultline compare`",
						   book->members[k].dir,
						   book->members[i].dir,
						   book->members[i].experiment);
	return 0;
}

/* ---- verdicts ------------------------------------------------------------------- */

static int judge(struct book *book, struct fl_complaint *why)
{
	const struct fl_db_options options = {
		.unlike = book->all->unlike, .quiet = true,
	};
	sqlite3 *db;
	int err = 0;

	for (size_t i = 0; i < book->experiments.nr && !err; i++)
		if (book->experiments.list[i].claims)
			err = fl_claims_add(&book->claims,
					    book->experiments.list[i].claims, why);
	if (err)
		return err;
	book->verdicts = calloc(book->claims.nr + 1, sizeof(*book->verdicts));
	if (!book->verdicts)
		return no_memory(why);
	err = fl_db_open(book->all->sources, book->all->nr, &options, &db, why);
	if (err)
		return err;
	for (size_t i = 0; i < book->claims.nr && !err; i++) {
		err = fl_verdict_judge(db, &book->claims.list[i],
				       &book->verdicts[book->nr_verdicts], why);
		book->nr_verdicts += !err;
	}
	sqlite3_close(db);
	return err;
}

static const struct member *member_of(const struct book *book,
				      const struct fl_verdict *v)
{
	for (size_t i = 0; i < book->nr; i++)
		if (!strcmp(book->members[i].experiment,
			    v->claim->needs[0].experiment))
			return &book->members[i];
	return NULL;
}

/* Colour and word: neither alone. */
static void put_verdict(const struct fl_page *p, const struct fl_verdict *v)
{
	static const char *const classes[FL_NR_VERDICT_KINDS] = {
		[FL_CONFIRMED] = "yes", [FL_REFUTED] = "no",
		[FL_INCONCLUSIVE] = "open", [FL_NOT_MEASURED] = "open",
	};

	html(p, "<td><span class=\"tag %s\">%s</span></td>", classes[v->kind],
	     fl_verdict_kind_name(v->kind));
}

/* The rule that was fixed before there were results, and what it was held against. */
static void put_query(const struct fl_page *p, const struct fl_claim *claim)
{
	html(p, "<details><summary>query</summary><small>confirm: ");
	put(p, claim->confirm.text);
	html(p, "; refute: ");
	put(p, claim->refute.text);
	html(p, "</small><pre><code>");
	put(p, claim->query);
	html(p, "</code></pre></details>");
}

/* @of: claims that need this experiment first; NULL: all, with links and queries. */
static void put_verdicts(const struct fl_page *p, const struct book *book,
			 const struct member *of)
{
	html(p, "<div class=\"scroll%s\"><table class=\"text claims\"><thead><tr><th>claim</th><th>verdict</th>"
	     "<th class=n>value</th><th class=i>95 %% interval</th>"
	     "<th class=n>n</th><th>what the notes say</th>%s</tr></thead><tbody>\n",
	     of ? " again" : "", of ? "" : "<th class=extra>experiment</th>");
	for (size_t i = 0; i < book->nr_verdicts; i++) {
		const struct fl_verdict *v = &book->verdicts[i];
		const struct member *m = member_of(book, v);

		if (of && m != of)
			continue;
		html(p, "<tr>");
		if (of) {
			element(p, "th", "scope=row", v->claim->name);
		} else {
			html(p, "<th scope=row id=\"v-");
			put(p, v->claim->name);
			html(p, "\">");
			if (m)
				link_to(p, m->experiment, v->claim->name);
			else
				put(p, v->claim->name);
			html(p, "</th>");
		}
		put_verdict(p, v);
		fl_html_number(p->to, "", v->value);
		fl_html_interval(p->to, "", v->low, v->high);
		html(p, "<td class=\"n nr\">");
		if (v->n)
			html(p, "%lld", (long long)v->n);
		html(p, "</td><td class=says>");
		put(p, v->claim->says);
		if (isfinite(v->value) && v->claim->unit) {
			html(p, " <i>Value: ");
			put(p, v->claim->unit);
			html(p, ".</i>");
		}
		if (v->reason) {
			html(p, " <small>");
			put(p, v->reason);
			html(p, "</small>");
		}
		if (!of)
			put_query(p, v->claim);
		html(p, "</td>");
		if (!of) {
			html(p, "<td class=extra>");
			put(p, v->claim->needs[0].experiment);
			html(p, "</td>");
		}
		html(p, "</tr>\n");
	}
	html(p, "</tbody></table></div>\n");
}

static bool has_claims(const struct book *book, const struct member *m)
{
	for (size_t i = 0; i < book->nr_verdicts; i++)
		if (member_of(book, &book->verdicts[i]) == m)
			return true;
	return false;
}

/*
 * The notes' open questions, program by program: which strategies were held against
 * each other is what their queries tell beside the number.
 */
static void put_picks(const struct fl_page *p, const struct book *book)
{
	char value[FL_TEXT_BYTES], low[FL_TEXT_BYTES], high[FL_TEXT_BYTES];
	bool any = false;

	for (size_t i = 0; i < book->nr_verdicts; i++) {
		const struct fl_verdict *v = &book->verdicts[i];

		if (*v->claim->name != 'Q' || !isfinite(v->value))
			continue;
		html(p, any ? "<li><b>" : "<h3>Program by program</h3>\n<ul>\n<li><b>");
		any = true;
		put(p, v->claim->name);
		html(p, "</b>: ");
		put(p, v->claim->says);
		html(p, " <b>%s</b>: %s", fl_verdict_kind_name(v->kind),
		     fl_text_number(value, v->value, false));
		if (isfinite(v->low) && isfinite(v->high) && v->low < v->high)
			html(p, " [%s, %s]", fl_text_number(low, v->low, false),
			     fl_text_number(high, v->high, false));
		if (v->claim->unit) {
			html(p, " ");
			put(p, v->claim->unit);
		}
		if (v->reason) {
			html(p, "; ");
			put(p, v->reason);
		}
		html(p, ".</li>\n");
	}
	if (any)
		html(p, "</ul>\n");
}

/* "7 CONFIRMED, 3 REFUTED"; to be freed. */
static char *count_verdicts(const struct book *book)
{
	size_t counts[FL_NR_VERDICT_KINDS] = { 0 }, bytes;
	const char *before = "";
	char *text;
	FILE *to = open_memstream(&text, &bytes);

	if (!to)
		return NULL;
	for (size_t i = 0; i < book->nr_verdicts; i++)
		counts[book->verdicts[i].kind]++;
	for (int k = 0; k < FL_NR_VERDICT_KINDS; k++)
		if (counts[k]) {
			fprintf(to, "%s%zu %s", before, counts[k],
				fl_verdict_kind_name(k));
			before = ", ";
		}
	return fclose(to) ? NULL : text;
}

/* ---- the question ------------------------------------------------------------------- */

/*
 * The first paragraph below the heading of the experiment's README, without the
 * marks of Markdown.
 */
static void put_question(const struct fl_page *p, const struct fl_experiment *known)
{
	char text[QUESTION_BYTES] = "", line[1024], *path, *slash;
	size_t used = 0;
	FILE *from;

	if (!known || !(path = strdup(known->plan)))
		return;
	slash = strrchr(path, '/');
	*slash = '\0';
	if (asprintf(&slash, "%s/README.md", path) < 0)
		slash = NULL;
	from = slash ? fopen(slash, "re") : NULL;
	while (from && fgets(line, sizeof(line), from)) {
		if (*line == '#' || (*line == '\n' && !used))
			continue;
		if (*line == '\n' || used + strlen(line) >= sizeof(text))
			break;
		for (const char *c = line; *c; c++)
			if (*c != '*' && *c != '`')
				text[used++] = *c == '\n' ? ' ' : *c;
		text[used] = '\0';
	}
	if (from)
		fclose(from);
	free(slash);
	free(path);
	if (used) {
		html(p, "<p>");
		put(p, text);
		html(p, "</p>\n");
	}
}

/* ---- a section ------------------------------------------------------------------------ */

static void begin_section(const struct fl_page *p, const struct book *book,
			  const struct member *m)
{
	html(p, "<section>\n<h2 id=\"x-");
	put(p, m->experiment);
	html(p, "\">");
	put(p, m->title);
	html(p, "</h2>\n<p class=sub>");
	put(p, m->known ? m->known->name : m->experiment);
	if (p->s) {
		const struct fl_results *r = p->s->results;
		char count[FL_TEXT_BYTES];

		html(p, " \u00b7 ");
		put(p, fl_results_string(r, "profile", "unknown"));
		html(p, " profile \u00b7 %zu blocks \u00b7 %s samples \u00b7 begun ",
		     p->s->nr_blocks,
		     fl_text_count(count, (double)p->s->nr_samples));
		put(p, fl_results_string(r, "started", "at an unknown time"));
	}
	html(p, "</p>\n");
	put_question(p, m->known);
	if (has_claims(book, m))
		put_verdicts(p, book, m);
}

static void fold(const struct fl_page *p, const char *summary)
{
	html(p, "<details><summary>");
	put(p, summary);
	html(p, "</summary>\n");
}

static void put_campaign(const struct fl_page *p, const struct book *book,
			 const struct member *m)
{
	char text[80];

	begin_section(p, book, m);
	fl_page_stamp(p);
	fl_page_problems(p);
	fold(p, "What came out, in words");
	fl_page_answers(p);
	html(p, "</details>\n");
	fl_page_plots(p);
	fold(p, "Numbers");
	fl_page_numbers(p);
	html(p, "</details>\n");
	if (p->s->nr_missing) {
		snprintf(text, sizeof(text), "Failures and what is unsupported: %zu kind%s",
			 p->s->nr_missing, p->s->nr_missing == 1 ? "" : "s");
		fold(p, text);
		fl_page_missing(p);
		html(p, "</details>\n");
	}
	fold(p, "How to run it again; metrics");
	fl_page_repeat(p);
	fl_page_metrics(p);
	html(p, "</details>\n</section>\n");
}

static int make_campaign(struct book *book, size_t i, struct fl_complaint *why)
{
	const struct fl_report_all *all = book->all;
	struct member *m = &book->members[i];
	struct fl_results results;
	struct fl_summary summary;
	struct fl_plots plots = { .plots = NULL };
	struct fl_query_plots queries = { .list = NULL };
	char *folder = NULL, *plan = NULL;
	char id[32];
	size_t bytes;
	FILE *to;
	int err = fl_results_load(m->dir, &results, why);

	if (err)
		return err;
	err = fl_summary_make(&results, &summary, why);
	if (err)
		goto out_free_results;
	snprintf(id, sizeof(id), "x%zu-", i + 1);
	if (asprintf(&folder, "%s/%s", all->folder, m->experiment) < 0)
		folder = NULL;
	if (asprintf(&plan, m->known ? "experiments/%s/plan.ini" : "plan.ini",
		     m->known ? m->known->name : "") < 0)
		plan = NULL;
	if (!folder || !plan)
		err = no_memory(why);
	else if (all->scripts)
		err = fl_query_plots_load(m->dir, m->experiment, &queries, why);
	if (!err && all->scripts)
		err = fl_plots_make(&summary, all->scripts, all->palette, folder,
				    &(struct fl_plot_options){
					.id = id, .png = all->png, .pdf = all->pdf,
					.queries = &queries,
				    }, &plots, why);
	else if (!err)
		err = fl_plots_none(&summary, all->no_plots, &plots);
	if (!err && all->scripts && !plots.drawn)
		fl_complaint_print(why, 0);
	if (!err)
		err = fl_when_add(&book->when, &summary);
	to = err ? NULL : open_memstream(&m->section, &bytes);
	if (to) {
		const struct fl_page p = {
			.to = to, .s = &summary, .plots = &plots,
			.palette = all->palette, .plan = plan, .id = id,
			.level = 3,
		};

		m->valid = summary.valid;
		m->nr_missing = summary.nr_missing;
		put_campaign(&p, book, m);
		err = fclose(to) ? no_memory(why) : 0;
	}
	fl_plots_free(&plots);
	fl_query_plots_free(&queries);
	fl_summary_free(&summary);
out_free_results:
	free(plan);
	free(folder);
	fl_results_free(&results);
	return err;
}

/* ---- the kernel ------------------------------------------------------------------------ */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static const json_t *matrix_cell(const json_t *cells, const char *mechanism,
				 const char *property)
{
	size_t i;
	json_t *cell;

	json_array_foreach((json_t *)(uintptr_t)cells, i, cell)
		if (!strcmp(text_of(cell, "mechanism"), mechanism) &&
		    !strcmp(text_of(cell, "property"), property))
			return cell;
	return NULL;
}

static void put_matrix_cell(const struct fl_page *p, const json_t *cell)
{
	const json_t *value = json_object_get(cell, "value");
	char text[FL_TEXT_BYTES];

	html(p, "<td title=\"");
	put(p, text_of(cell, "detail"));
	html(p, "\">");
	if (json_is_number(value))
		put(p, fl_text_count(text, json_number_value(value)));
	else
		put(p, cell ? text_of(cell, "verdict") : FL_HTML_NONE);
	html(p, "</td>");
}

static void put_matrix(const struct fl_page *p, const json_t *json)
{
	const json_t *cells = json_object_get(json, "cells");
	size_t i, k;
	json_t *mechanism, *property, *sentence;
	const char *note;

	json_object_foreach(json_object_get(json, "conclusions"), note, sentence) {
		html(p, "<p><b>");
		put(p, note);
		html(p, "</b>: ");
		put(p, json_is_string(sentence) ? json_string_value(sentence) : "");
		html(p, "</p>\n");
	}
	html(p, "<div class=scroll><table><thead><tr><th>question</th>");
	json_array_foreach(json_object_get(json, "mechanisms"), i, mechanism)
		element(p, "th", "", text_of(mechanism, "mechanism"));
	html(p, "</tr></thead><tbody>\n");
	json_array_foreach(json_object_get(json, "properties"), k, property) {
		html(p, "<tr><th scope=row title=\"");
		put(p, text_of(property, "what"));
		html(p, "\">");
		put(p, text_of(property, "property"));
		html(p, "</th>");
		json_array_foreach(json_object_get(json, "mechanisms"), i, mechanism)
			put_matrix_cell(p, matrix_cell(cells,
				text_of(mechanism, "mechanism"),
				text_of(property, "property")));
		html(p, "</tr>\n");
	}
	html(p, "</tbody></table></div>\n");
}

static int make_kernel(struct book *book, size_t i, struct fl_complaint *why)
{
	struct member *m = &book->members[i];
	json_t *json = load_in(m->dir, FL_DB_KERNEL);
	size_t bytes;
	FILE *to = open_memstream(&m->section, &bytes);
	const struct fl_page p = {
		.to = to, .palette = book->all->palette, .id = "kernel-",
		.level = 3,
	};
	int err = 0;

	if (!to) {
		json_decref(json);
		return no_memory(why);
	}
	begin_section(&p, book, m);
	fold(&p, "All answers");
	put_matrix(&p, json);
	html(&p, "</details>\n");
	fold(&p, "How to run it again");
	html(&p, "<pre><code>faultline kernel</code></pre></details>\n</section>\n");
	if (fclose(to))
		err = no_memory(why);
	json_decref(json);
	m->valid = true;
	return err;
}

/* ---- the page ----------------------------------------------------------------------------- */

static void put_contents(const struct fl_page *p, const struct book *book)
{
	html(p, "<nav aria-label=Contents><a href=\"#when\">Which strategy when</a>"
	     "<a href=\"#verdicts\">Verdicts</a>");
	for (size_t i = 0; i < book->nr; i++) {
		const struct member *m = &book->members[i];

		link_to(p, m->experiment, m->known ? m->known->name : m->experiment);
	}
	html(p, "<a href=\"#environment\">Environment</a>"
	     "<a href=\"#definitions\">Definitions</a></nav>\n");
}

/* One line for each experiment: is it to be believed, and is anything missing? */
static void put_overview(const struct fl_page *p, const struct book *book)
{
	html(p, "<h2 id=experiments>Experiments</h2>\n<div class=scroll><table><thead><tr>"
	     "<th>experiment</th><th>question</th><th>controls</th>"
	     "<th class=n>kinds of failures</th></tr></thead><tbody>\n");
	for (size_t i = 0; i < book->nr; i++) {
		const struct member *m = &book->members[i];

		html(p, "<tr><th scope=row>");
		link_to(p, m->experiment, m->known ? m->known->name : m->experiment);
		html(p, "</th>");
		element(p, "td", "class=wrap", m->title);
		html(p, "<td><span class=\"tag %s\">%s</span></td><td class=n>%zu</td></tr>\n",
		     m->matrix ? "open" : m->valid ? "yes" : "no",
		     m->matrix ? "counts" : m->valid ? "VALID" : "INVALID",
		     m->nr_missing);
	}
	html(p, "</tbody></table></div>\n");
}

static int put_book(FILE *to, const struct book *book)
{
	const struct fl_page p = {
		.to = to, .palette = book->all->palette, .id = "", .level = 2,
	};
	char *claims = count_verdicts(book);
	json_t *fingerprint = NULL;
	int err;

	if (!claims)
		return -ENOMEM;
	fl_page_begin(&p, "Faultline: a branch or a fault?");
	html(&p, "<h1>Faultline: a branch or a fault?</h1>\n<p class=sub>When a region allocator "
	     "runs out of block, should it find out by a branch or by a fault? %zu "
	     "experiments.</p>\n", book->nr);
	put_contents(&p, book);
	err = fl_when_put(&p, &book->when, *claims ? claims : NULL);
	free(claims);
	if (err)
		return err;
	put_picks(&p, book);
	html(&p, "<h2 id=verdicts>What becomes of the notes\u2019 claims</h2>\n<p class=note>Rules "
	     "were fixed before there were results; INCONCLUSIVE is what neither rule holds "
	     "for. n: blocks, or what else the query counts; each has its query, to be asked "
	     "again with <code>faultline query DIR... &quot;QUERY&quot;</code>.</p>\n");
	put_verdicts(&p, book, NULL);
	put_overview(&p, book);
	for (size_t i = 0; i < book->nr; i++) {
		fputs(book->members[i].section, to);
		if (!fingerprint && !book->members[i].matrix)
			fingerprint = book->members[i].fingerprint;
	}
	fl_page_environment(&p, fingerprint);
	part(&p, "definitions", "What the words mean");
	fl_page_words(&p);
	fl_page_end(&p);
	return 0;
}

static void free_book(struct book *book)
{
	for (size_t i = 0; i < book->nr; i++) {
		free(book->members[i].experiment);
		free(book->members[i].title);
		free(book->members[i].section);
		json_decref(book->members[i].fingerprint);
	}
	while (book->nr_verdicts)
		fl_verdict_free(&book->verdicts[--book->nr_verdicts]);
	free(book->members);
	free(book->verdicts);
	fl_claims_free(&book->claims);
	fl_experiments_free(&book->experiments);
	fl_when_free(&book->when);
}

int fl_report_all_html(FILE *to, const struct fl_report_all *all,
		       struct fl_complaint *why)
{
	struct book book = { .all = all };
	int err = fl_experiments_find(&book.experiments, why);

	if (err)
		return err;
	book.members = calloc(all->nr, sizeof(*book.members));
	if (!book.members)
		err = no_memory(why);
	for (; book.nr < all->nr && !err; book.nr++)
		if (look_at(&book, all->sources[book.nr],
			    &book.members[book.nr]))
			err = no_memory(why);
	if (!err) {
		qsort(book.members, book.nr, sizeof(*book.members), by_place);
		err = check_once(&book, why);
	}
	if (!err)
		err = judge(&book, why);
	if (!err && all->scripts && mkdir(all->folder, 0777) && errno != EEXIST)
		err = fl_complain(why, -errno, "%s: %s", all->folder,
				  strerror(errno));
	for (size_t i = 0; i < book.nr && !err; i++)
		err = book.members[i].matrix ? make_kernel(&book, i, why) :
					       make_campaign(&book, i, why);
	if (!err && put_book(to, &book))
		err = no_memory(why);
	free_book(&book);
	return err;
}

/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <errno.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analysis/db.h"
#include "analysis/report.h"
#include "analysis/report_all.h"
#include "harness/commands.h"

enum { KEY_OUTPUT = 'o', KEY_JSON = 'j', KEY_TABLE = 't',
       KEY_ALL = 'a', KEY_NO_PLOTS = 256, KEY_PNG, KEY_PDF, KEY_UNLIKE };

static const struct argp_option options[] = {
	{ "output", KEY_OUTPUT, "FILE", 0, "where the page goes (DIR/report.html); its plots go beside it", 0 },
	{ "no-plots", KEY_NO_PLOTS, NULL, 0, "draw none", 0 },
	{ "png", KEY_PNG, NULL, 0, "draw each plot as PNG, too", 0 },
	{ "pdf", KEY_PDF, NULL, 0, "and as PDF", 0 },
	{ "all", KEY_ALL, NULL, 0, "of each experiment the campaign in results/ that was begun last", 0 },
	{ "unlike", KEY_UNLIKE, NULL, 0, "put campaigns of unlike hosts on one page", 0 },
	{ "table-only", KEY_TABLE, NULL, 0, "print, and write no page", 0 },
	{ "json", KEY_JSON, NULL, 0, "print the summary as JSON instead of tables; with no --output, write no page", 0 },
	{ 0 },
};

struct arguments {
	char **dirs;
	size_t nr_dirs;
	const char *output;
	bool json, table_only, no_plots, png, pdf, all, unlike;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case KEY_OUTPUT:
		a->output = arg;
		break;
	case KEY_JSON:
		a->json = true;
		break;
	case KEY_TABLE:
		a->table_only = true;
		break;
	case KEY_NO_PLOTS:
		a->no_plots = true;
		break;
	case KEY_PNG:
		a->png = true;
		break;
	case KEY_PDF:
		a->pdf = true;
		break;
	case KEY_ALL:
		a->all = true;
		break;
	case KEY_UNLIKE:
		a->unlike = true;
		break;
	case ARGP_KEY_ARG:
		a->dirs[a->nr_dirs++] = arg;
		break;
	case ARGP_KEY_END:
		if (!a->nr_dirs && !a->all)
			argp_error(state, "name the directory of a campaign, or of several, or say --all");
		if (a->nr_dirs && a->all)
			argp_error(state, "\"%s\": --all is about results/", a->dirs[0]);
		if (a->table_only && a->output)
			argp_error(state, "--table-only writes no page: leave out --output");
		if (a->no_plots && (a->png || a->pdf))
			argp_error(state, "--no-plots draws none: leave out --png and --pdf");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "DIR...",
	.doc = "The results of a campaign as tables on the terminal, and as plots and one "
	       "HTML page that needs nothing beside itself.  Several campaigns: all on one page, "
	       "with the verdicts, and which strategy when.\v"
	       "DIR: a campaign's directory, or a folder of some: of each experiment the one "
	       "that was begun last.  "
	       "Lines of the results that cannot be read are told and left out.  Exit "
	       "status: 0: all was written, be the campaign VALID or INVALID; 1: something "
	       "could not be read or written; 2: DIR or an option makes no sense.",
};

static int complain(const struct fl_complaint *why, int err)
{
	fl_complaint_print(why, err);
	return FL_EXIT_FAILED;
}

/* ---- what goes where ---------------------------------------------------- */

static char *default_output(const char *dir)
{
	size_t bytes = strlen(dir);
	char *path;

	while (bytes > 1 && dir[bytes - 1] == '/')
		bytes--;
	return asprintf(&path, "%.*s/report.html", (int)bytes, dir) < 0 ?
	       NULL : path;
}

/* "DIR/report.html" has its plots in "DIR/report-plots". */
static char *plots_folder(const char *output)
{
	size_t bytes = strlen(output);
	char *path;

	if (bytes > 5 && !strcmp(output + bytes - 5, ".html"))
		bytes -= 5;
	return asprintf(&path, "%.*s-plots", (int)bytes, output) < 0 ? NULL :
								       path;
}

static bool same_text(const char *path, const char *text)
{
	FILE *from = fopen(path, "re");
	int c = EOF;

	while (from && (c = getc(from)) != EOF && c == (unsigned char)*text)
		text++;
	if (from)
		fclose(from);
	return from && c == EOF && !*text;
}

/*
 * What the plan is called in the command that repeats the campaign: the file
 * among the experiments that has its text, as seen from the folder that holds
 * them; else what is in the directory.
 */
static char *plan_name(const char *scripts, const char *plan)
{
	char *pattern, *name = NULL;
	size_t top;
	glob_t found;

	if (!scripts || !plan)
		return strdup("plan.ini");
	top = strlen(scripts) - strlen("plots");
	if (asprintf(&pattern, "%.*sexperiments/*/plan.ini", (int)top,
		     scripts) < 0)
		return NULL;
	if (!glob(pattern, 0, NULL, &found)) {
		for (size_t i = 0; i < found.gl_pathc && !name; i++)
			if (same_text(found.gl_pathv[i], plan))
				name = strdup(found.gl_pathv[i] + top);
		globfree(&found);
	}
	free(pattern);
	return name ? name : strdup("plan.ini");
}

/* ---- the page ----------------------------------------------------------- */

/* What was found of the scripts; plots are missing where they are. */
struct drawing {
	char *scripts;
	struct fl_palette palette;
	struct fl_plots plots;
};

static int make_plots(const struct arguments *a, const char *output,
		      const struct fl_summary *summary, struct drawing *d)
{
	struct fl_complaint why = { "" };
	struct fl_query_plots queries;
	char *folder = NULL;
	int err;

	err = fl_plots_find(&d->scripts, &why);
	if (!err)
		err = fl_palette_load(d->scripts, &d->palette, &why);
	/* Colours are welcome without plots, but no reason to complain. */
	if (a->no_plots)
		return fl_plots_none(summary, "plots were left out (--no-plots)",
				     &d->plots);
	if (err) {
		complain(&why, err);
		return fl_plots_none(summary, why.text, &d->plots);
	}
	err = fl_query_plots_load(a->dirs[0], fl_results_string(summary->results,
				  "campaign", ""), &queries, &why);
	if (err) {
		complain(&why, err);
		return err;
	}
	folder = plots_folder(output);
	err = !folder ? -ENOMEM : fl_plots_make(summary, d->scripts, &d->palette, folder,
			    &(struct fl_plot_options){
				.id = "", .png = a->png, .pdf = a->pdf,
				.queries = &queries,
			    }, &d->plots, &why);
	free(folder);
	fl_query_plots_free(&queries);
	if (err || !d->plots.drawn)
		complain(&why, err);
	return err;
}

/* A reader never sees half a page: written beside, then renamed. */
static FILE *begin_page(const char *output, char **beside)
{
	FILE *to;

	if (asprintf(beside, "%s.new", output) < 0) {
		*beside = NULL;
		return NULL;
	}
	to = fopen(*beside, "we");
	return to;
}

/* @err: of what wrote it, which has complained.  Takes @beside. */
static int end_page(FILE *to, const char *output, char *beside, int err)
{
	struct fl_complaint why = { "" };
	const bool told = err;

	if (!to)
		err = errno ? -errno : -ENOMEM;
	errno = 0;
	if (to && !err && (fflush(to) || ferror(to)))
		err = errno ? -errno : -EIO;
	if (to && fclose(to) && !err)
		err = -errno;
	if (!err && rename(beside, output))
		err = -errno;
	if (err && to)
		unlink(beside);
	free(beside);
	if (err && !told) {
		fl_complain(&why, err, "%s: %s: the page was not written; choose a file you may write with --output, or use --table-only",
			    output, strerror(-err));
		complain(&why, err);
	}
	return err ? FL_EXIT_FAILED : FL_EXIT_OK;
}

static int write_page(const char *output, const struct fl_summary *summary,
		      const struct drawing *d)
{
	char *plan = plan_name(d->scripts, summary->results->plan), *beside;
	FILE *to;
	int err = 0;

	if (!plan)
		return complain(&(struct fl_complaint){ "" }, -ENOMEM);
	to = begin_page(output, &beside);
	if (to)
		err = fl_report_html(to, summary, &d->plots, &d->palette, plan);
	free(plan);
	return end_page(to, output, beside, err);
}

/*
 * The page is written beside its place and renamed into it: that would replace a
 * device or a symbolic link by a file.
 */
static int check_output(const char *output)
{
	struct fl_complaint why = { "" };
	struct stat st;

	if (!*output) {
		fl_complain(&why, -EINVAL, "--output needs the name of a file");
		complain(&why, -EINVAL);
		return -EINVAL;
	}
	if (!lstat(output, &st) && !S_ISREG(st.st_mode)) {
		fl_complain(&why, -EINVAL,
			"%s: is no ordinary file: name a file with --output, or use --table-only",
			output);
		complain(&why, -EINVAL);
		return -EINVAL;
	}
	return 0;
}

static int make_page(const struct arguments *a, const struct fl_summary *summary)
{
	char *output = a->output ? strdup(a->output) : default_output(a->dirs[0]);
	struct drawing d = { .scripts = NULL };
	struct fl_complaint why = { "" };
	int status;

	if (!output)
		return complain(&why, -ENOMEM);
	if (check_output(output)) {
		free(output);
		return FL_EXIT_USAGE;
	}
	if (make_plots(a, output, summary, &d))
		status = FL_EXIT_FAILED;
	else
		status = write_page(output, summary, &d);
	if (status == FL_EXIT_OK && !a->json)
		printf("\npage: %s\n", output);
	fl_plots_free(&d.plots);
	free(d.scripts);
	free(output);
	return status;
}

static int print_summary(const struct arguments *a,
			 const struct fl_summary *summary)
{
	struct fl_complaint why = { "" };
	struct fl_terminal terminal;
	int err = 0;

	if (a->json) {
		json_t *json = fl_summary_json(summary);

		if (!json || json_dumpf(json, stdout, JSON_INDENT(1) |
				       JSON_REAL_PRECISION(9)))
			err = json && ferror(stdout) ? 0 : -ENOMEM;
		json_decref(json);
		putchar('\n');
	} else {
		fl_terminal_of(stdout, &terminal);
		err = fl_report_print(stdout, &terminal, summary);
	}
	return err ? complain(&why, err) : FL_EXIT_OK;
}

static void tell_problems(const char *dir, const struct fl_results *results)
{
	size_t told = results->nr_problems < FL_RESULTS_PROBLEMS_MAX ?
		      results->nr_problems : FL_RESULTS_PROBLEMS_MAX;

	for (size_t i = 0; i < told; i++)
		if (results->problems[i])
			fprintf(stderr, "faultline: %s/%s\n", dir,
				results->problems[i]);
	if (results->nr_problems > told)
		fprintf(stderr, "faultline: %s: and %zu more like these\n", dir,
			results->nr_problems - told);
}

static int report_one(const struct arguments *a)
{
	const char *dir = a->dirs[0];
	struct fl_complaint why = { "" };
	struct fl_summary summary;
	struct fl_results results;
	int status, page = FL_EXIT_OK, err;

	err = fl_results_load(dir, &results, &why);
	if (err) {
		complain(&why, err);
		return err == -ENOENT || err == -ENOTDIR || err == -ENODATA ||
		       err == -EPROTO ? FL_EXIT_USAGE : FL_EXIT_FAILED;
	}
	tell_problems(dir, &results);
	err = fl_summary_make(&results, &summary, &why);
	if (err) {
		fl_results_free(&results);
		return complain(&why, err);
	}
	status = print_summary(a, &summary);
	if (!a->table_only && (!a->json || a->output))
		page = make_page(a, &summary);
	fl_summary_free(&summary);
	fl_results_free(&results);
	return status ? status : page;
}

/* ---- several campaigns ------------------------------------------------------ */

static int write_all(const struct arguments *a, const char *output,
		     char **sources, size_t nr)
{
	struct fl_complaint why = { "" }, no_plots = { "plots were left out (--no-plots)" };
	struct fl_palette palette = { .nr = 0 };
	char *scripts = NULL, *folder = plots_folder(output), *beside;
	struct fl_report_all all = {
		.sources = (const char *const *)sources, .nr = nr,
		.palette = &palette, .folder = folder, .png = a->png,
		.pdf = a->pdf, .unlike = a->unlike, .no_plots = no_plots.text,
	};
	int err = folder ? 0 : -ENOMEM, found;
	FILE *to;

	if (err)
		return complain(&why, err);
	found = fl_plots_find(&scripts, &why);
	if (!found)
		found = fl_palette_load(scripts, &palette, &why);
	if (!a->no_plots && !found)
		all.scripts = scripts;
	else if (!a->no_plots)
		no_plots = why;
	if (found && !a->no_plots)
		complain(&why, found);
	to = begin_page(output, &beside);
	if (to)
		err = fl_report_all_html(to, &all, &why);
	if (err)
		complain(&why, err);
	free(scripts);
	free(folder);
	found = end_page(to, output, beside, err);
	return err == -EXDEV || err == -EINVAL || err == -ENOENT ||
	       err == -ENODATA || err == -EPROTO ? FL_EXIT_USAGE : found;
}

/* A folder's page lies in it; that of several in the current one. */
static char *output_of_all(const struct arguments *a)
{
	if (a->output)
		return strdup(a->output);
	return a->all ? strdup("results/report.html") : a->nr_dirs == 1 ?
	       default_output(a->dirs[0]) : strdup("report.html");
}

static int report_all(const struct arguments *a)
{
	struct fl_complaint why = { "" };
	char *output, **sources;
	int status, err;
	size_t nr;

	if (a->json || a->table_only) {
		fl_complain(&why, -EINVAL, "--json and --table-only are about one campaign; faultline verdict and faultline query are about several");
		complain(&why, -EINVAL);
		return FL_EXIT_USAGE;
	}
	err = fl_db_sources((const char *const *)a->dirs, a->nr_dirs, &sources,
			    &nr, &why);
	if (err) {
		complain(&why, err);
		return err == -ENOMEM ? FL_EXIT_FAILED : FL_EXIT_USAGE;
	}
	output = output_of_all(a);
	if (!output)
		status = complain(&why, -ENOMEM);
	else if (check_output(output))
		status = FL_EXIT_USAGE;
	else
		status = write_all(a, output, sources, nr);
	if (status == FL_EXIT_OK)
		printf("page: %s\n", output);
	fl_db_free_list(sources, nr);
	free(output);
	return status;
}

/* Is it one campaign, or what cannot be told from one that is damaged? */
static bool is_one(const struct arguments *a)
{
	char **below = NULL;
	size_t nr = 0;

	if (a->nr_dirs != 1)
		return false;
	if (fl_db_is_source(a->dirs[0]))
		return true;
	if (fl_db_newest(a->dirs[0], &below, &nr))
		nr = 0;
	fl_db_free_list(below, nr);
	return !nr;
}

int fl_cmd_report(int argc, char **argv)
{
	struct arguments a = { .dirs = NULL };
	int status;

	a.dirs = calloc((size_t)argc, sizeof(*a.dirs));
	if (!a.dirs)
		return complain(&(struct fl_complaint){ "" }, -ENOMEM);
	argp_parse(&argp, argc, argv, 0, NULL, &a);
	status = is_one(&a) ? report_one(&a) : report_all(&a);
	free(a.dirs);
	return status;
}

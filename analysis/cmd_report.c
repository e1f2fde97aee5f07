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

#include "analysis/report.h"
#include "harness/commands.h"

enum { KEY_OUTPUT = 'o', KEY_JSON = 'j', KEY_TABLE = 't',
       KEY_NO_PLOTS = 256, KEY_PNG };

static const struct argp_option options[] = {
	{ "output", KEY_OUTPUT, "FILE", 0, "where the page goes (DIR/report.html); its plots go beside it", 0 },
	{ "no-plots", KEY_NO_PLOTS, NULL, 0, "draw none", 0 },
	{ "png", KEY_PNG, NULL, 0, "draw each plot as PNG, too", 0 },
	{ "table-only", KEY_TABLE, NULL, 0, "print, and write no page", 0 },
	{ "json", KEY_JSON, NULL, 0, "print the summary as JSON instead of tables; with no --output, write no page", 0 },
	{ 0 },
};

struct arguments {
	const char *dir, *output;
	bool json, table_only, no_plots, png;
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
	case ARGP_KEY_ARG:
		if (a->dir)
			argp_error(state, "\"%s\": one campaign at a time", arg);
		a->dir = arg;
		break;
	case ARGP_KEY_END:
		if (!a->dir)
			argp_error(state, "name the directory of a campaign");
		if (a->table_only && a->output)
			argp_error(state, "--table-only writes no page: leave out --output");
		if (a->no_plots && a->png)
			argp_error(state, "--no-plots draws none: leave out --png");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "DIR",
	.doc = "The results of a campaign as tables on the terminal, and as plots and one "
	       "HTML page that needs nothing beside itself.\v"
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
	folder = plots_folder(output);
	if (!folder)
		return -ENOMEM;
	err = fl_plots_make(summary, d->scripts, &d->palette, folder, a->png,
			    &d->plots, &why);
	free(folder);
	if (err || !d->plots.drawn)
		complain(&why, err);
	return err;
}

/* A reader never sees half a page: written beside, then renamed. */
static int write_page(const char *output, const struct fl_summary *summary,
		      const struct drawing *d)
{
	char *plan = plan_name(d->scripts, summary->results->plan), *beside;
	struct fl_complaint why = { "" };
	int err = 0;
	FILE *to;

	if (asprintf(&beside, "%s.new", output) < 0)
		beside = NULL;
	if (!plan || !beside) {
		free(plan);
		free(beside);
		return complain(&why, -ENOMEM);
	}
	to = fopen(beside, "we");
	if (!to) {
		err = -errno;
	} else {
		err = fl_report_html(to, summary, &d->plots, &d->palette, plan);
		errno = 0;
		if (!err && (fflush(to) || ferror(to)))
			err = errno ? -errno : -EIO;
		if (fclose(to) && !err)
			err = -errno;
		if (!err && rename(beside, output))
			err = -errno;
		if (err)
			unlink(beside);
	}
	if (err) {
		fl_complain(&why, err, "%s: %s: the page was not written; choose a file you may write with --output, or use --table-only",
			    output, strerror(-err));
		complain(&why, err);
	}
	free(plan);
	free(beside);
	return err ? FL_EXIT_FAILED : FL_EXIT_OK;
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
	char *output = a->output ? strdup(a->output) : default_output(a->dir);
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

int fl_cmd_report(int argc, char **argv)
{
	struct arguments a = { .dir = NULL };
	struct fl_complaint why = { "" };
	struct fl_summary summary;
	struct fl_results results;
	int status, page = FL_EXIT_OK, err;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	err = fl_results_load(a.dir, &results, &why);
	if (err) {
		complain(&why, err);
		return err == -ENOENT || err == -ENOTDIR || err == -ENODATA ||
		       err == -EPROTO ? FL_EXIT_USAGE : FL_EXIT_FAILED;
	}
	tell_problems(a.dir, &results);
	err = fl_summary_make(&results, &summary, &why);
	if (err) {
		fl_results_free(&results);
		return complain(&why, err);
	}
	status = print_summary(&a, &summary);
	if (!a.table_only && (!a.json || a.output))
		page = make_page(&a, &summary);
	fl_summary_free(&summary);
	fl_results_free(&results);
	return status ? status : page;
}

/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "harness/commands.h"
#include "harness/fingerprint.h"
#include "harness/matrix.h"
#include "harness/progress.h"
#include "harness/table.h"
#include "vm/reserve.h"

#define SCHEMA		1
#define NR_TABLES	2u
/* Quiet for so long, then say what is going on. */
#define PATIENCE_S	2.0

enum { KEY_ONLY = 256, KEY_JSON, KEY_VERBOSE, KEY_SYSCTL };

static const struct argp_option options[] = {
	{ "only", KEY_ONLY, "MECHANISM", 0, "try this one alone; may be repeated", 0 },
	{ "verbose", KEY_VERBOSE, NULL, 0, "say of every cell what happened", 0 },
	{ "json", KEY_JSON, NULL, 0, "all of it as one JSON object", 0 },
	{ "try-sysctl", KEY_SYSCTL, NULL, 0, "change vm.overcommit_memory for a moment, to try its other values; needs root", 0 },
	{ 0 },
};

struct arguments {
	bool *wanted;
	bool any_wanted, json, verbose, try_sysctl;
};

static void want(const char *name, struct arguments *a,
		 struct argp_state *state)
{
	const char **names = calloc(fl_nr_mechanisms + 1, sizeof(*names));
	const char *near;

	for (size_t m = 0; m < fl_nr_mechanisms; m++) {
		if (names)
			names[m] = fl_mechanism_name(fl_mechanisms[m]);
		if (!strcmp(name, fl_mechanism_name(fl_mechanisms[m]))) {
			a->wanted[m] = true;
			a->any_wanted = true;
			free(names);
			return;
		}
	}
	near = names ? fl_nearest(name, names) : NULL;
	free(names);
	argp_failure(state, FL_EXIT_USAGE, 0,
		     "--only=%s: there is no such mechanism%s%s%s; `faultline kernel --help` lists them",
		     name, near ? ": did you mean \"" : "", near ? near : "",
		     near ? "\"?" : "");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case KEY_ONLY:
		want(arg, a, state);
		break;
	case KEY_JSON:
		a->json = true;
		break;
	case KEY_VERBOSE:
		a->verbose = true;
		break;
	case KEY_SYSCTL:
		a->try_sysctl = true;
		break;
	case ARGP_KEY_ARG:
		argp_failure(state, FL_EXIT_USAGE, 0,
			     "\"%s\": mechanisms are named by --only", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* The mechanisms, behind the options. */
static char *help_filter(int key, const char *text, void *input)
{
	char *all = NULL;
	size_t bytes;
	FILE *to;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)(uintptr_t)text;
	to = open_memstream(&all, &bytes);
	if (!to)
		return (char *)(uintptr_t)text;
	fprintf(to, "%s\n\nMechanisms:\n", text);
	for (size_t m = 0; m < fl_nr_mechanisms; m++)
		fprintf(to, "  %-14s  %s\n",
			fl_mechanism_name(fl_mechanisms[m]),
			fl_mechanism_what(fl_mechanisms[m]));
	return fclose(to) ? (char *)(uintptr_t)text : all;
}

static const struct argp argp = {
	.options = options, .parser = parse, .help_filter = help_filter,
	.doc = "What can each way to make memory fault do on this kernel?  Each is tried, in "
	       "a process of its own: nothing is taken from documentation, and nothing is "
	       "left behind.\v"
	       "Exit status: 0; 1: an experiment went wrong; 2: the command makes no sense; "
	       "77: --try-sysctl, and it may not be set; 130: interrupted.",
};

/* ---- progress ----------------------------------------------------------- */

struct watch {
	struct fl_progress progress;
	double started_s;
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* On a terminal only, and not at once. */
static void show_progress(void *arg, size_t done, size_t total,
			  const char *mechanism, const char *property)
{
	struct watch *w = arg;
	const double elapsed_s = now_s() - w->started_s;
	char what[80];

	if (elapsed_s < PATIENCE_S)
		return;
	snprintf(what, sizeof(what), "%s: %s", mechanism, property);
	fl_progress_at(&w->progress, done, total,
		       elapsed_s / ((double)done + 1) *
		       (double)(total - done), what);
}

/* ---- for people --------------------------------------------------------- */

static bool is_wanted(const struct fl_matrix *matrix, size_t m)
{
	return !matrix->wanted || matrix->wanted[m];
}

static const char *cell_text(const struct fl_cell *cell, char text[32])
{
	const char *name;

	switch (cell->verdict) {
	case FL_CELL_YES:
	case FL_CELL_NO:
		return *cell->word ? cell->word :
				     fl_verdict_name(cell->verdict);
	case FL_CELL_NUMBER:
		snprintf(text, 32, "%g", cell->value);
		return text;
	case FL_CELL_REFUSED:
		name = strerrorname_np(cell->err);
		return name ? name : "refused";
	case FL_CELL_NOT_TRIED:
		return "-";
	case FL_CELL_FAILED:
		return "FAILED";
	default:
		return fl_verdict_name(cell->verdict);
	}
}

static enum fl_style cell_style(const struct fl_cell *cell)
{
	return cell->verdict == FL_CELL_FAILED ? FL_BAD :
	       cell->verdict == FL_CELL_NOT_TRIED ||
	       cell->verdict == FL_CELL_ABSENT ? FL_DIM : FL_PLAIN;
}

/* The properties of @table beside the mechanisms; 0 or -ENOMEM. */
static int print_table(const struct fl_matrix *matrix, unsigned which,
		       const struct fl_terminal *terminal)
{
	struct fl_column *columns = calloc(fl_nr_properties + 1,
					   sizeof(*columns));
	struct fl_table *table;
	size_t nr = 0;
	char text[32];
	int err;

	if (!columns)
		return -ENOMEM;
	columns[nr++] = (struct fl_column){ .title = "mechanism" };
	for (size_t p = 0; p < fl_nr_properties; p++)
		if (fl_properties[p].table == which)
			columns[nr++] = (struct fl_column){
				.title = fl_properties[p].title,
			};
	table = fl_table_new(columns, nr);
	for (size_t m = 0; table && m < fl_nr_mechanisms; m++) {
		if (!is_wanted(matrix, m))
			continue;
		fl_table_put(table, FL_STRONG, "%s",
			     fl_mechanism_name(fl_mechanisms[m]));
		for (size_t p = 0; p < fl_nr_properties; p++) {
			const struct fl_cell *cell =
				fl_matrix_cell(matrix, m, p);

			if (fl_properties[p].table == which)
				fl_table_put(table, cell_style(cell), "%s",
					     cell_text(cell, text));
		}
	}
	err = table ? fl_table_print(table, stdout, terminal, 0) : -ENOMEM;
	fl_table_free(table);
	free(columns);
	return err;
}

static void print_legend(const struct fl_terminal *terminal, unsigned which)
{
	const int width = 9;

	putchar('\n');
	for (size_t p = 0; p < fl_nr_properties; p++) {
		if (fl_properties[p].table != which)
			continue;
		printf("  %-*s ", width, fl_properties[p].title);
		fl_wrap(stdout, terminal, (unsigned)width + 3,
			fl_properties[p].what);
	}
}

/* Why cells of a column were not tried; each reason once in a row. */
static void print_untried(const struct fl_matrix *matrix,
			  const struct fl_terminal *terminal)
{
	const char *last = "";

	for (size_t p = 0; p < fl_nr_properties; p++)
		for (size_t m = 0; m < fl_nr_mechanisms; m++) {
			const struct fl_cell *cell =
				fl_matrix_cell(matrix, m, p);

			if (!is_wanted(matrix, m) ||
			    cell->verdict != FL_CELL_NOT_TRIED ||
			    !strcmp(cell->detail, last))
				continue;
			last = cell->detail;
			printf("  %-9s ", fl_properties[p].title);
			fl_wrap(stdout, terminal, 12, last);
		}
}

static void print_details(const struct fl_matrix *matrix,
			  const struct fl_terminal *terminal, bool failed_only)
{
	char text[32];

	for (size_t m = 0; m < fl_nr_mechanisms; m++) {
		if (!is_wanted(matrix, m))
			continue;
		if (!failed_only)
			printf("\n%s: %s (%s)\n",
			       fl_mechanism_name(fl_mechanisms[m]),
			       fl_mechanism_what(fl_mechanisms[m]),
			       fl_mechanism_since(fl_mechanisms[m]));
		for (size_t p = 0; p < fl_nr_properties; p++) {
			const struct fl_cell *cell =
				fl_matrix_cell(matrix, m, p);

			if (failed_only && cell->verdict != FL_CELL_FAILED)
				continue;
			if (failed_only)
				printf("  FAILED: %s, %s: ",
				       fl_mechanism_name(fl_mechanisms[m]),
				       fl_properties[p].name);
			else
				printf("  %-21s  %-6s  ", fl_properties[p].name,
				       cell_text(cell, text));
			fl_wrap(stdout, terminal, failed_only ? 4 : 33,
				cell->detail);
		}
	}
}

static int print_all(const struct fl_matrix *matrix, bool verbose)
{
	struct fl_terminal terminal;
	struct utsname uts;

	fl_terminal_of(stdout, &terminal);
	uname(&uts);
	printf("%s %s, vm.overcommit_memory=%d, tried as %s\n", uts.sysname,
	       uts.release, matrix->overcommit,
	       geteuid() ? "an ordinary user" : "root");
	for (unsigned which = 0; which < NR_TABLES; which++) {
		putchar('\n');
		if (print_table(matrix, which, &terminal))
			return -ENOMEM;
		print_legend(&terminal, which);
	}
	printf("\nENAME: refused with that error; absent: this kernel does not have it; -: not tried\n");
	print_untried(matrix, &terminal);
	print_details(matrix, &terminal, true);
	if (verbose)
		print_details(matrix, &terminal, false);
	putchar('\n');
	for (size_t i = 0; i < FL_CONCLUSIONS; i++) {
		char *text = fl_matrix_conclude(matrix, i);

		if (!text)
			return -ENOMEM;
		printf("%s: ", fl_conclusion_names[i]);
		fl_wrap(stdout, &terminal, 4, text);
		free(text);
	}
	return 0;
}

/* ---- for programs ------------------------------------------------------- */

static json_t *cell_json(const struct fl_matrix *matrix, size_t m, size_t p)
{
	const struct fl_cell *cell = fl_matrix_cell(matrix, m, p);

	return json_pack("{s:s, s:s, s:s, s:o, s:s?, s:s?, s:s}",
		"mechanism", fl_mechanism_name(fl_mechanisms[m]),
		"property", fl_properties[p].name,
		"verdict", fl_verdict_name(cell->verdict),
		"value", cell->verdict == FL_CELL_NUMBER ?
			 json_real(cell->value) : json_null(),
		"word", *cell->word ? cell->word : NULL,
		"errno", cell->err ? strerrorname_np(cell->err) : NULL,
		"detail", cell->detail);
}

static json_t *take_fingerprint(void)
{
	struct fl_binary binaries[2] = { { "faultline", "/proc/self/exe" } };
	struct fl_complaint why = { "" };
	json_t *fingerprint = NULL;
	size_t nr = 1;
	Dl_info info;

	/* Half of what the experiments are made of is in the library. */
	if (dladdr((void *)(uintptr_t)fl_reserve, &info) && info.dli_fname)
		binaries[nr++] = (struct fl_binary){
			"libfaultline", info.dli_fname,
		};
	if (fl_fingerprint_take(NULL, binaries, nr, &fingerprint, &why))
		fprintf(stderr, "faultline: %s\n", why.text);
	return fingerprint;
}

static int print_json(const struct fl_matrix *matrix)
{
	json_t *mechanisms = json_array(), *properties = json_array();
	json_t *cells = json_array(), *conclusions = json_object();
	json_t *fingerprint = take_fingerprint(), *all;
	struct utsname uts;
	int err = 0;

	if (!fingerprint)
		return -EIO;
	uname(&uts);
	for (size_t m = 0; m < fl_nr_mechanisms; m++) {
		if (!is_wanted(matrix, m))
			continue;
		err |= json_array_append_new(mechanisms,
			json_pack("{s:s, s:s, s:s}", "mechanism",
				  fl_mechanism_name(fl_mechanisms[m]), "what",
				  fl_mechanism_what(fl_mechanisms[m]), "since",
				  fl_mechanism_since(fl_mechanisms[m])));
		for (size_t p = 0; p < fl_nr_properties; p++)
			err |= json_array_append_new(cells,
						     cell_json(matrix, m, p));
	}
	for (size_t p = 0; p < fl_nr_properties; p++)
		err |= json_array_append_new(properties,
			json_pack("{s:s, s:s}", "property",
				  fl_properties[p].name, "what",
				  fl_properties[p].what));
	for (size_t i = 0; i < FL_CONCLUSIONS; i++) {
		char *text = fl_matrix_conclude(matrix, i);

		err |= !text || json_object_set_new(conclusions,
						    fl_conclusion_names[i],
						    json_string(text));
		free(text);
	}
	all = json_pack("{s:i, s:s, s:b, s:i, s:o, s:o, s:o, s:o, s:o}",
			"schema", SCHEMA, "kernel", uts.release, "root",
			!geteuid(), "overcommit", matrix->overcommit,
			"mechanisms", mechanisms, "properties", properties,
			"cells", cells, "conclusions", conclusions,
			"fingerprint", fingerprint);
	if (!all || err)
		return -ENOMEM;
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
	return 0;
}

static bool any_failed(const struct fl_matrix *matrix)
{
	for (size_t m = 0; m < fl_nr_mechanisms; m++)
		for (size_t p = 0; is_wanted(matrix, m) &&
				   p < fl_nr_properties; p++)
			if (fl_matrix_cell(matrix, m, p)->verdict ==
			    FL_CELL_FAILED)
				return true;
	return false;
}

static int run(const struct arguments *a, struct fl_matrix *matrix)
{
	struct fl_complaint why = { "" };
	struct watch watch = { .started_s = now_s() };
	int err;

	if (a->try_sysctl && geteuid()) {
		fprintf(stderr, "faultline: --try-sysctl: only root may set vm.overcommit_memory\n");
		return FL_EXIT_UNSUPPORTED;
	}
	matrix->wanted = a->any_wanted ? a->wanted : NULL;
	matrix->try_sysctl = a->try_sysctl;
	matrix->progress = show_progress;
	matrix->arg = &watch;
	fl_progress_start(&watch.progress,
			  isatty(STDERR_FILENO) ? stderr : NULL);
	err = fl_matrix_run(matrix, &why);
	fl_progress_clear(&watch.progress);
	if (err == -EINTR) {
		fprintf(stderr, "faultline: interrupted\n");
		return 130;
	}
	if (err) {
		fprintf(stderr, "faultline: %s\n", why.text);
		return err == -EACCES || err == -EROFS || err == -EPERM ?
		       FL_EXIT_UNSUPPORTED : FL_EXIT_FAILED;
	}
	err = a->json ? print_json(matrix) : print_all(matrix, a->verbose);
	if (err)
		fprintf(stderr, "faultline: %s\n", strerror(-err));
	return err || any_failed(matrix) ? FL_EXIT_FAILED : FL_EXIT_OK;
}

int fl_cmd_kernel(int argc, char **argv)
{
	struct arguments a = { 0 };
	struct fl_matrix matrix = { 0 };
	int status = FL_EXIT_FAILED;

	a.wanted = calloc(fl_nr_mechanisms, sizeof(*a.wanted));
	matrix.cells = calloc(fl_nr_mechanisms * fl_nr_properties,
			      sizeof(*matrix.cells));
	if (a.wanted && matrix.cells) {
		argp_parse(&argp, argc, argv, 0, NULL, &a);
		status = run(&a, &matrix);
	}
	free(matrix.cells);
	free(a.wanted);
	return status;
}

/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
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
/* Queries look for it: analysis/db.h. */
#define KERNEL_FILE	"kernel.json"
#define NR_TABLES	2u
#define NAMES_TITLE	"mechanism"
#define LEGEND_INDENT	12u	/* of what is said about a column */
/* Quiet for so long, then say what is going on. */
#define PATIENCE_S	2.0

enum { KEY_ONLY = 256, KEY_JSON, KEY_VERBOSE, KEY_SYSCTL, KEY_OUTPUT = 'o' };

static const struct argp_option options[] = {
	{ "only", KEY_ONLY, "MECHANISM", 0, "try this one alone; may be repeated", 0 },
	{ "verbose", KEY_VERBOSE, NULL, 0, "say of every cell what happened", 0 },
	{ "json", KEY_JSON, NULL, 0, "all of it as one JSON object", 0 },
	{ "output", KEY_OUTPUT, "DIR", 0, "write the JSON into a new directory, too, for queries and verdicts", 0 },
	{ "try-sysctl", KEY_SYSCTL, NULL, 0, "change vm.overcommit_memory for a moment, to try its other values; needs root", 0 },
	{ 0 },
};

struct arguments {
	bool *wanted;
	bool any_wanted, json, verbose, try_sysctl;
	const char *output;
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
	case KEY_OUTPUT:
		a->output = arg;
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
	       "77: --try-sysctl, and it may not be set, or another process does; 130: interrupted.",
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

#define GAP	2u	/* between columns, as harness/table.h has it */

/* What property @p wants; 0: it is of another table. */
static size_t property_width(const struct fl_matrix *matrix, unsigned which,
			     size_t p)
{
	size_t width = strlen(fl_properties[p].title);
	char text[32];

	if (fl_properties[p].table != which)
		return 0;
	for (size_t m = 0; m < fl_nr_mechanisms; m++) {
		const size_t bytes = strlen(
			cell_text(fl_matrix_cell(matrix, m, p), text));

		if (is_wanted(matrix, m) && bytes > width)
			width = bytes;
	}
	return width;
}

static size_t names_width(const struct fl_matrix *matrix)
{
	size_t width = strlen(NAMES_TITLE);

	for (size_t m = 0; m < fl_nr_mechanisms; m++) {
		const size_t bytes =
			strlen(fl_mechanism_name(fl_mechanisms[m]));

		if (is_wanted(matrix, m) && bytes > width)
			width = bytes;
	}
	return width;
}

/*
 * As many properties of table @which, from @from on, as fit beside the
 * mechanisms, but at least one.  Returns the property after them.
 */
static size_t how_far(const struct fl_matrix *matrix, unsigned which,
		      size_t from, const struct fl_terminal *terminal)
{
	size_t used = names_width(matrix), nr = 0, p;

	for (p = from; p < fl_nr_properties; p++) {
		const size_t width = property_width(matrix, which, p);

		if (!width)
			continue;
		used += GAP + width;
		if (used > terminal->columns && nr)
			break;
		nr++;
	}
	return p;
}

/* Those of the properties from @from to @to that are of table @which, beside the
 * mechanisms; 0 or -ENOMEM. */
static int print_part(const struct fl_matrix *matrix, unsigned which,
		      size_t from, size_t to,
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
	columns[nr++] = (struct fl_column){ .title = NAMES_TITLE };
	for (size_t p = from; p < to; p++)
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
		for (size_t p = from; p < to; p++) {
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

/* In as many parts as the terminal's width wants. */
static int print_table(const struct fl_matrix *matrix, unsigned which,
		       const struct fl_terminal *terminal)
{
	size_t from = 0, to;
	int err = 0;

	while (!err && from < fl_nr_properties) {
		while (from < fl_nr_properties &&
		       fl_properties[from].table != which)
			from++;
		if (from == fl_nr_properties)
			break;
		to = how_far(matrix, which, from, terminal);
		putchar('\n');
		err = print_part(matrix, which, from, to, terminal);
		from = to;
	}
	return err;
}

static void print_legend(const struct fl_terminal *terminal, unsigned which)
{
	const int width = LEGEND_INDENT - 3;

	putchar('\n');
	for (size_t p = 0; p < fl_nr_properties; p++) {
		if (fl_properties[p].table != which)
			continue;
		printf("  %-*s ", width, fl_properties[p].title);
		fl_wrap(stdout, terminal, LEGEND_INDENT,
			fl_properties[p].what);
	}
}

/* Was a cell of property @p not tried for this @reason?  Before mechanism @m only. */
static bool is_reason(const struct fl_matrix *matrix, size_t p, size_t m,
		      const char *reason)
{
	for (size_t i = 0; i < m; i++) {
		const struct fl_cell *cell = fl_matrix_cell(matrix, i, p);

		if (is_wanted(matrix, i) &&
		    cell->verdict == FL_CELL_NOT_TRIED &&
		    !strcmp(cell->detail, reason))
			return true;
	}
	return false;
}

/* Has the reason of cell @m, @p been there, in an order of properties? */
static bool is_repeated(const struct fl_matrix *matrix, size_t p, size_t m,
			const char *reason)
{
	for (size_t i = 0; i < p; i++)
		if (is_reason(matrix, i, fl_nr_mechanisms, reason))
			return true;
	return is_reason(matrix, p, m, reason);
}

/* Columns whose names leave the reason no room beside them are told in a line with it. */
#define TITLES_MOST	24u

/* "oc 1, oc 2: why", of the columns with this reason, from @p on. */
static void print_reason(const struct fl_matrix *matrix,
			 const struct fl_terminal *terminal, size_t p,
			 const char *reason)
{
	char text[640];
	size_t used = (size_t)snprintf(text, sizeof(text), "%s",
				       fl_properties[p].title);

	for (p++; p < fl_nr_properties; p++)
		if (is_reason(matrix, p, fl_nr_mechanisms, reason))
			used += (size_t)snprintf(text + used,
						 sizeof(text) - used, ", %s",
						 fl_properties[p].title);
	if (used > TITLES_MOST) {
		snprintf(text + used, sizeof(text) - used, ": %s", reason);
		printf("  ");
		fl_wrap(stdout, terminal, 2, text);
		return;
	}
	used = (size_t)printf("  %s", text);
	used += (size_t)printf("%*s", used < LEGEND_INDENT ?
			       (int)(LEGEND_INDENT - used) : 2, "");
	fl_wrap(stdout, terminal, (unsigned)used, reason);
}

/* Why cells were not tried; each reason once. */
static void print_untried(const struct fl_matrix *matrix,
			  const struct fl_terminal *terminal)
{
	for (size_t p = 0; p < fl_nr_properties; p++)
		for (size_t m = 0; m < fl_nr_mechanisms; m++) {
			const struct fl_cell *cell =
				fl_matrix_cell(matrix, m, p);

			if (is_wanted(matrix, m) &&
			    cell->verdict == FL_CELL_NOT_TRIED &&
			    !is_repeated(matrix, p, m, cell->detail))
				print_reason(matrix, terminal, p,
					     cell->detail);
		}
}

/* A range of 16 TiB is more than any limit that people set. */
static void print_limit(const struct fl_terminal *terminal)
{
	char size[FL_TEXT_BYTES], text[200];
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return;
	snprintf(text, sizeof(text),
		 "RLIMIT_AS (ulimit -v) lets a process have %s of addresses: for want of those, not of a mechanism, larger ranges are refused with ENOMEM",
		 fl_text_bytes(size, (double)limit.rlim_cur));
	fl_wrap(stdout, terminal, 0, text);
}

static void print_heading(const struct fl_mechanism *mechanism,
			  const struct fl_terminal *terminal)
{
	char text[200];

	snprintf(text, sizeof(text), "%s: %s (%s)",
		 fl_mechanism_name(mechanism), fl_mechanism_what(mechanism),
		 fl_mechanism_since(mechanism));
	putchar('\n');
	fl_wrap(stdout, terminal, 0, text);
}

static void print_failure(size_t m, size_t p, const struct fl_cell *cell,
			  const struct fl_terminal *terminal)
{
	char text[sizeof(cell->detail) + 100];

	snprintf(text, sizeof(text), "FAILED: %s, %s: %s",
		 fl_mechanism_name(fl_mechanisms[m]), fl_properties[p].name,
		 cell->detail);
	printf("  ");
	fl_wrap(stdout, terminal, 2, text);
}

static void print_details(const struct fl_matrix *matrix,
			  const struct fl_terminal *terminal, bool failed_only)
{
	char text[32];

	for (size_t m = 0; m < fl_nr_mechanisms; m++) {
		if (!is_wanted(matrix, m))
			continue;
		if (!failed_only)
			print_heading(fl_mechanisms[m], terminal);
		for (size_t p = 0; p < fl_nr_properties; p++) {
			const struct fl_cell *cell =
				fl_matrix_cell(matrix, m, p);

			if (failed_only && cell->verdict != FL_CELL_FAILED)
				continue;
			if (failed_only) {
				print_failure(m, p, cell, terminal);
				continue;
			}
			printf("  %-21s  %-6s  ", fl_properties[p].name,
			       cell_text(cell, text));
			fl_wrap(stdout, terminal, 33, cell->detail);
		}
	}
}

static int print_all(const struct fl_matrix *matrix, bool verbose)
{
	struct fl_terminal terminal;
	struct utsname uts;
	char head[300];

	fl_terminal_of(stdout, &terminal);
	uname(&uts);
	snprintf(head, sizeof(head),
		 "%s %s, vm.overcommit_memory=%d, tried as %s", uts.sysname,
		 uts.release, matrix->overcommit,
		 geteuid() ? "an ordinary user" : "root");
	fl_wrap(stdout, &terminal, 0, head);
	for (unsigned which = 0; which < NR_TABLES; which++) {
		if (print_table(matrix, which, &terminal))
			return -ENOMEM;
		print_legend(&terminal, which);
	}
	putchar('\n');
	fl_wrap(stdout, &terminal, 0,
		"ENAME: refused with that error; absent: this kernel does not have it; -: not tried");
	print_untried(matrix, &terminal);
	print_limit(&terminal);
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

/* Bytes, or null where there is no limit. */
static json_t *limit_json(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_AS, &limit) ||
	       limit.rlim_cur == RLIM_INFINITY ?
	       json_null() : json_integer((json_int_t)limit.rlim_cur);
}

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

static void utc(char *out, size_t bytes)
{
	const time_t now = time(NULL);
	struct tm parts;

	gmtime_r(&now, &parts);
	strftime(out, bytes, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static json_t *matrix_json(const struct fl_matrix *matrix)
{
	json_t *mechanisms = json_array(), *properties = json_array();
	json_t *cells = json_array(), *conclusions = json_object();
	json_t *fingerprint = take_fingerprint(), *all;
	struct utsname uts;
	char started[32];
	int err = 0;

	uname(&uts);
	utc(started, sizeof(started));
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
	all = json_pack("{s:i, s:s, s:s, s:b, s:i, s:o, s:o, s:o, s:o, s:o, s:o}",
			"schema", SCHEMA, "started", started,
			"kernel", uts.release, "root",
			!geteuid(), "overcommit", matrix->overcommit,
			"rlimit_as", limit_json(),
			"mechanisms", mechanisms, "properties", properties,
			"cells", cells, "conclusions", conclusions,
			"fingerprint", fingerprint);
	if (all && !err)
		return all;
	json_decref(all);
	return NULL;
}

static int print_json(const struct fl_matrix *matrix)
{
	json_t *all = matrix_json(matrix);

	if (!all)
		return -EIO;
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
	return 0;
}

/* Once, like everything that was measured: a directory with one is refused. */
static int make_output(const char *dir)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" KERNEL_FILE, dir);
	if (!access(path, F_OK)) {
		fprintf(stderr, "faultline: %s is there already: name another directory with --output\n",
			path);
		return -EEXIST;
	}
	if (mkdir(dir, 0777) && errno != EEXIST) {
		fprintf(stderr, "faultline: %s: %s\n", dir, strerror(errno));
		return -EEXIST;
	}
	return 0;
}

static int write_output(const struct fl_matrix *matrix, const char *dir)
{
	json_t *all = matrix_json(matrix);
	char path[PATH_MAX], beside[PATH_MAX + 8];
	int err;

	if (!all)
		return -EIO;
	snprintf(path, sizeof(path), "%s/" KERNEL_FILE, dir);
	snprintf(beside, sizeof(beside), "%s.new", path);
	err = json_dump_file(all, beside, JSON_INDENT(1)) ||
	      rename(beside, path) ? -EIO : 0;
	json_decref(all);
	if (err)
		fprintf(stderr, "faultline: %s cannot be written\n", path);
	return err;
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
	if (a->output && make_output(a->output))
		return FL_EXIT_USAGE;
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
		return err == -EACCES || err == -EROFS || err == -EPERM ||
		       err == -EBUSY ? FL_EXIT_UNSUPPORTED : FL_EXIT_FAILED;
	}
	err = a->json ? print_json(matrix) : print_all(matrix, a->verbose);
	if (!err && a->output)
		err = write_output(matrix, a->output);
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

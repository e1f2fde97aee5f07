/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "harness/commands.h"
#include "harness/conform.h"
#include "harness/module_load.h"
#include "harness/progress.h"

enum {
	KEY_MODULE = 256, KEY_CHECK, KEY_SEED, KEY_OPS, KEY_TIMEOUT, KEY_LIST,
	KEY_TAP, KEY_JSON,
};

enum format { TABLE, TAP, JSON };

/* Quiet for so long, then say what is going on. */
#define PATIENCE_S	2.0

static const struct argp_option options[] = {
	{ "module", KEY_MODULE, "FILE", 0, "test this file; all names are files, then", 1 },
	{ "set", 's', "NAME=VALUE,...", 0, "tunables; then only this configuration is tested", 1 },
	{ "check", KEY_CHECK, "NAME", 0, "run this check alone; may be repeated", 1 },
	{ "seed", KEY_SEED, "N", 0, "of the random checks (1)", 2 },
	{ "ops", KEY_OPS, "N", 0, "operations of each random check (2000)", 2 },
	{ "timeout", KEY_TIMEOUT, "SECONDS", 0, "a check that takes longer fails (30; more in a sanitized build)", 2 },
	{ "list", KEY_LIST, NULL, 0, "list the checks and end", 3 },
	{ "tap", KEY_TAP, NULL, 0, "results as TAP", 3 },
	{ "json", KEY_JSON, NULL, 0, "results as JSON lines", 3 },
	{ 0 },
};

struct arguments {
	const char **names;	/* as many as argc, NULL-terminated */
	size_t nr_names;
	const bool *wanted;	/* checks */
	const char *settings;
	bool files, list;
	enum format format;
	uint64_t seed, nr_ops, timeout_s;
};

/*
 * A strategy with values for its tunables; or a file that is no usable module,
 * which is a result like any other.
 */
struct configuration {
	struct fl_module *module;	/* NULL: broken says why */
	struct fl_complaint broken;
	char label[256];		/* "segv_extend reset=rewind" */
	uint64_t values[FL_TUNABLES_MAX];
};

struct counts {
	unsigned passed, failed, skipped;
};

/* What is under test, and what became of it. */
struct suite {
	const struct arguments *a;
	struct fl_module *modules;
	size_t nr_modules;
	struct configuration *configurations;
	size_t nr_configurations;
	struct counts all;
	unsigned nr_unsupported, nr_broken;
	unsigned nr_lines;		/* of TAP */
	unsigned nr_done, nr_to_do;	/* checks */
	uint64_t start_ns;
	bool color;
	int label_width;
	struct fl_progress progress;
};

static bool wanted_checks[64];

static uint64_t number(const char *option, const char *text,
		       struct argp_state *state)
{
	uint64_t value = 0;

	if (fl_parse_bytes(text, &value))
		argp_error(state, "--%s=%s: not a number", option, text);
	return value;
}

static void want_check(const char *name, struct argp_state *state)
{
	const char *names[65] = { NULL };
	const char *near;

	for (size_t i = 0; i < fl_nr_checks; i++) {
		names[i] = fl_checks[i].name;
		if (!strcmp(name, names[i])) {
			wanted_checks[i] = true;
			return;
		}
	}
	near = fl_nearest(name, names);
	argp_error(state, "--check=%s: there is no such check%s%s%s; --list shows them",
		   name, near ? ": did you mean \"" : "", near ? near : "",
		   near ? "\"?" : "");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case KEY_MODULE:
		a->files = true;
		a->names[a->nr_names++] = arg;
		break;
	case 's':
		if (a->settings)
			argp_error(state, "--set is given twice: say --set %s,%s",
				   a->settings, arg);
		a->settings = arg;
		break;
	case KEY_CHECK:
		want_check(arg, state);
		a->wanted = wanted_checks;
		break;
	case KEY_SEED:
		a->seed = number("seed", arg, state);
		break;
	case KEY_OPS:
		a->nr_ops = number("ops", arg, state);
		if (!a->nr_ops)
			argp_error(state, "--ops=0: must be at least 1");
		break;
	case KEY_TIMEOUT:
		a->timeout_s = number("timeout", arg, state);
		if (!a->timeout_s || a->timeout_s > 86400)
			argp_error(state, "--timeout=%s: must be 1 to 86400", arg);
		break;
	case KEY_LIST:
		a->list = true;
		break;
	case KEY_TAP:
		a->format = TAP;
		break;
	case KEY_JSON:
		a->format = JSON;
		break;
	case ARGP_KEY_ARG:
		a->names[a->nr_names++] = arg;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "[STRATEGY...]",
	.doc = "Test that strategies keep the contract of faultline/strategy.h: all that "
	       "are found, or those named.\v"
	       "Each is tested with its default tunables, and once more for every other "
	       "value of each tunable that is a choice.  A configuration that this host "
	       "refuses is UNSUPPORTED, with the reason.  Each check runs in a process of "
	       "its own: a crash or a hang fails that check.  A random check that fails "
	       "prints the shortest sequence of operations it found, and the seed.\n\n"
	       "Exit status: 0; 1: a check failed, or a file is no usable module; 2: the "
	       "command makes no sense.",
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static const char *paint(const struct suite *s, const char *color)
{
	return s->color ? color : "";
}

#define RED	"\033[31m"
#define GREEN	"\033[32m"
#define YELLOW	"\033[33m"
#define PLAIN	"\033[0m"

/* On a terminal only, and not at once. */
static void show_progress(struct suite *s, const char *label, const char *check)
{
	const double elapsed_s = (double)(now_ns() - s->start_ns) / 1e9;
	char what[320];

	if (elapsed_s < PATIENCE_S)
		return;
	snprintf(what, sizeof(what), "%s: %s", label, check);
	fl_progress_at(&s->progress, s->nr_done, s->nr_to_do,
		       elapsed_s / (s->nr_done + 1) *
		       (s->nr_to_do - s->nr_done), what);
}

/* A text of several lines, each behind @prefix. */
static void print_indented(const char *prefix, const char *text)
{
	while (*text) {
		const size_t n = strcspn(text, "\n");

		printf("%s%.*s\n", prefix, (int)n, text);
		text += n + (text[n] == '\n');
	}
}

static void print_tap(struct suite *s, const char *label, const char *check,
		      const char *result, const char *text)
{
	const bool bad = !strcmp(result, "fail") || !strcmp(result, "broken");

	printf("%sok %u - %s: %s", bad ? "not " : "", ++s->nr_lines, label,
	       check);
	if (!strcmp(result, "skip"))
		printf(" # SKIP %s", text);
	else if (!strcmp(result, "unsupported"))
		printf(" # SKIP UNSUPPORTED: %s", text);
	putchar('\n');
	if (bad)
		print_indented("# ", text);
}

static void print_json(const struct suite *s, const struct configuration *c,
		       const char *check, const char *result,
		       const struct fl_check_result *r)
{
	const struct fl_strategy *strategy = c->module ? c->module->strategy :
							 NULL;
	json_t *settings = json_object(), *line;

	for (size_t i = 0; strategy && i < strategy->nr_tunables; i++) {
		const struct fl_tunable *t = &strategy->tunables[i];
		char value[64];

		/* The table itself is under test. */
		if (t->kind == FL_TUNABLE_CHOICE && !t->choices)
			continue;
		fl_tunable_format(t, c->values[i], value, sizeof(value));
		json_object_set_new(settings, t->name, json_string(value));
	}
	line = json_pack("{s:s, s:s?, s:o, s:s, s:s, s:s, s:I, s:I, s:I}",
			 "strategy", strategy ? strategy->name : c->label,
			 "compiler", strategy ? strategy->compiler : NULL,
			 "settings", settings, "check", check,
			 "result", result, "reason", r->text,
			 "wall_ns", (json_int_t)r->wall_ns,
			 "seed", (json_int_t)s->a->seed,
			 "ops", (json_int_t)s->a->nr_ops);
	json_dumpf(line, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(line);
}

/* One result, where results are printed as they come. */
static void print_result(struct suite *s, const struct configuration *c,
			 const char *check, const char *result,
			 const struct fl_check_result *r)
{
	if (s->a->format == TABLE)
		return;
	fl_progress_clear(&s->progress);
	if (s->a->format == TAP)
		print_tap(s, c->label, check, result, r->text);
	else
		print_json(s, c, check, result, r);
	fflush(stdout);
}

/* A line of the table and what there is to say of it. */
static void print_row(struct suite *s, const char *label, const char *word,
		      const char *color, const struct counts *n,
		      uint64_t wall_ns)
{
	if (s->a->format != TABLE)
		return;
	fl_progress_clear(&s->progress);
	printf("%-*s %s%-11s%s", s->label_width, label, paint(s, color), word,
	       paint(s, PLAIN));
	if (n)
		printf(" %6u %6u %6u %8.2f s", n->passed, n->failed, n->skipped,
		       (double)wall_ns / 1e9);
	putchar('\n');
}

/* Details come below their row, so they are kept until it is printed. */
struct details {
	char *text;
	size_t bytes;
	FILE *out;
};

static void add_detail(struct details *d, const char *word, const char *check,
		       const char *text)
{
	if (!d->out)
		return;
	fprintf(d->out, "%s %s: ", word, check);
	for (; *text; text++) {
		putc(*text, d->out);
		if (*text == '\n')
			fputs("  ", d->out);
	}
	putc('\n', d->out);
}

static void run_check(struct suite *s, const struct configuration *c,
		      const struct fl_conform *conform,
		      const struct fl_check *check, struct counts *n,
		      struct details *details)
{
	static const char *const words[] = {
		[FL_CHECK_PASS] = "pass", [FL_CHECK_FAIL] = "fail",
		[FL_CHECK_SKIP] = "skip",
	};
	struct fl_check_result r;

	show_progress(s, c->label, check->name);
	fl_check_run(check, conform, &r);
	s->nr_done++;
	n->passed += r.verdict == FL_CHECK_PASS;
	n->failed += r.verdict == FL_CHECK_FAIL;
	n->skipped += r.verdict == FL_CHECK_SKIP;
	if (r.verdict == FL_CHECK_FAIL)
		add_detail(details, "FAIL", check->name, r.text);
	else if (r.verdict == FL_CHECK_SKIP)
		add_detail(details, "skip", check->name, r.text);
	print_result(s, c, check->name, words[r.verdict], &r);
}

static unsigned nr_wanted(const struct suite *s)
{
	unsigned nr = 0;

	for (size_t i = 0; i < fl_nr_checks; i++)
		nr += !s->a->wanted || s->a->wanted[i];
	return nr;
}

static void report_broken(struct suite *s, const struct configuration *c)
{
	struct fl_check_result r = { .verdict = FL_CHECK_FAIL };

	memcpy(r.text, c->broken.text, sizeof(c->broken.text));
	s->nr_broken++;
	print_result(s, c, "load", "broken", &r);
	print_row(s, c->label, "BROKEN", RED, NULL, 0);
	if (s->a->format == TABLE)
		print_indented("    ", r.text);
}

/* Everything about one configuration. */
static void run_configuration(struct suite *s, const struct configuration *c)
{
	const struct fl_conform conform = {
		.strategy = c->module->strategy, .values = c->values,
		.seed = s->a->seed, .nr_ops = s->a->nr_ops,
		.timeout_s = (unsigned)s->a->timeout_s,
	};
	const uint64_t start = now_ns();
	struct details details = { 0 };
	struct fl_check_result r;
	struct counts n = { 0 };

	show_progress(s, c->label, "probe");
	fl_check_supported(&conform, &r);
	if (r.verdict != FL_CHECK_PASS) {
		const bool refused = r.verdict == FL_CHECK_SKIP;

		s->nr_to_do -= nr_wanted(s);
		s->nr_unsupported += refused;
		s->all.failed += !refused;
		print_result(s, c, "probe", refused ? "unsupported" :
			     "fail", &r);
		print_row(s, c->label, refused ? "UNSUPPORTED" : "FAIL",
			  refused ? YELLOW : RED, NULL, 0);
		if (s->a->format == TABLE)
			print_indented("    ", r.text);
		return;
	}
	details.out = open_memstream(&details.text, &details.bytes);
	for (size_t i = 0; i < fl_nr_checks; i++)
		if (!s->a->wanted || s->a->wanted[i])
			run_check(s, c, &conform, &fl_checks[i], &n, &details);
	if (details.out)
		fclose(details.out);
	print_row(s, c->label, n.failed ? "FAIL" : "ok", n.failed ? RED : GREEN,
		  &n, now_ns() - start);
	if (s->a->format == TABLE && details.text)
		print_indented("    ", details.text);
	fflush(stdout);
	free(details.text);
	s->all.passed += n.passed;
	s->all.failed += n.failed;
	s->all.skipped += n.skipped;
}

/*
 * What is to be tested.
 */

static struct configuration *new_configuration(struct suite *s)
{
	struct configuration *more = realloc(s->configurations,
		(s->nr_configurations + 1) * sizeof(*more));

	if (!more)
		return NULL;
	s->configurations = more;
	more += s->nr_configurations++;
	*more = (struct configuration){ .module = NULL };
	return more;
}

static int add_configuration(struct suite *s, struct fl_module *m,
			     const char *name, const uint64_t *values)
{
	const struct fl_strategy *strategy = m->strategy;
	struct configuration *c = new_configuration(s);
	size_t used;

	if (!c)
		return -ENOMEM;
	c->module = m;
	memcpy(c->values, values, sizeof(c->values));
	used = (size_t)snprintf(c->label, sizeof(c->label), "%s", name);
	for (size_t i = 0; i < strategy->nr_tunables; i++) {
		const struct fl_tunable *t = &strategy->tunables[i];
		char value[64];

		if (values[i] == t->def || used >= sizeof(c->label))
			continue;
		fl_tunable_format(t, values[i], value, sizeof(value));
		used += (size_t)snprintf(c->label + used,
					 sizeof(c->label) - used, " %s=%s",
					 t->name, value);
	}
	return 0;
}

static int add_broken(struct suite *s, const char *path,
		      const struct fl_complaint *why)
{
	struct configuration *c = new_configuration(s);
	char *stem = fl_module_stem(path);

	if (c) {
		c->broken = *why;
		snprintf(c->label, sizeof(c->label), "%s", stem ? stem : path);
	}
	free(stem);
	return c ? 0 : -ENOMEM;
}

/*
 * The defaults, and each choice that is not one; or what the user set.
 * @name: as the user called it.
 */
static int add_configurations(struct suite *s, struct fl_module *m,
			      const char *name, struct fl_complaint *why)
{
	const struct fl_strategy *strategy = m->strategy;
	uint64_t values[FL_TUNABLES_MAX] = { 0 };
	int err;

	fl_tunables_defaults(&m->tunables, values);
	err = fl_tunables_set(&m->tunables, s->a->settings, values, why);
	if (err)
		return err;
	err = add_configuration(s, m, name, values);
	if (err)
		return err;
	for (size_t i = 0; !s->a->settings && i < strategy->nr_tunables; i++) {
		const struct fl_tunable *t = &strategy->tunables[i];

		if (t->kind != FL_TUNABLE_CHOICE || !t->choices)
			continue;
		for (uint64_t k = 0; t->choices[k]; k++) {
			if (k == t->def)
				continue;
			values[i] = k;
			err = add_configuration(s, m, name, values);
			if (err)
				return err;
		}
		values[i] = t->def;
	}
	return 0;
}

static int add_file(struct suite *s, const char *path, struct fl_complaint *why)
{
	struct fl_module *m = &s->modules[s->nr_modules];
	int err = fl_module_load(FL_MODULE_STRATEGY, path, m, why);

	if (err == -ENOEXEC || err == -EPROTO)
		return add_broken(s, path, why);
	if (!err) {
		s->nr_modules++;
		err = add_configurations(s, m, m->strategy->name, why);
	}
	return err;
}

static int add_all(struct suite *s, struct fl_complaint *why)
{
	char **paths;
	int nr = fl_modules_list(FL_MODULE_STRATEGY, &paths, why), err = 0;

	if (nr < 0)
		return nr;
	if (!nr)
		err = fl_complain(why, -ENOENT,
			"no strategy modules found; set FAULTLINE_MODULES to their directory");
	s->modules = calloc((size_t)nr + 1, sizeof(*s->modules));
	if (!s->modules)
		err = -ENOMEM;
	for (int i = 0; i < nr && !err; i++)
		err = add_file(s, paths[i], why);
	fl_modules_list_free(paths);
	return err;
}

static int add_named(struct suite *s, struct fl_complaint *why)
{
	int err = 0;

	s->modules = calloc(s->a->nr_names, sizeof(*s->modules));
	if (!s->modules)
		return -ENOMEM;
	for (size_t i = 0; i < s->a->nr_names && !err; i++) {
		const char *name = s->a->names[i];
		struct fl_module *m = &s->modules[s->nr_modules];

		if (s->a->files || strchr(name, '/')) {
			err = add_file(s, name, why);
			continue;
		}
		err = fl_module_named(FL_MODULE_STRATEGY, name, m, why);
		if (!err) {
			s->nr_modules++;
			err = add_configurations(s, m, name, why);
		}
	}
	return err;
}

static int list_checks(void)
{
	for (size_t i = 0; i < fl_nr_checks; i++)
		printf("%-18s %s\n", fl_checks[i].name, fl_checks[i].summary);
	return FL_EXIT_OK;
}

static void print_end(struct suite *s)
{
	fl_progress_clear(&s->progress);
	if (s->a->format == TAP) {
		printf("1..%u\n# seed %" PRIu64 "\n", s->nr_lines, s->a->seed);
	} else if (s->a->format == TABLE) {
		const bool bad = s->all.failed || s->nr_broken;

		printf("\n%s%u checks passed, %u failed%s, %u skipped",
		       paint(s, bad ? RED : GREEN), s->all.passed,
		       s->all.failed, paint(s, PLAIN), s->all.skipped);
		if (s->nr_unsupported)
			printf("; %u configurations unsupported here",
			       s->nr_unsupported);
		if (s->nr_broken)
			printf("; %u files broken", s->nr_broken);
		printf("; %zu configurations of %zu strategies, seed %" PRIu64
		       ", %.1f s\n", s->nr_configurations, s->nr_modules,
		       s->a->seed, (double)(now_ns() - s->start_ns) / 1e9);
	}
}

static void run_suite(struct suite *s)
{
	for (size_t i = 0; i < s->nr_configurations; i++) {
		const struct configuration *c = &s->configurations[i];
		const int width = (int)strlen(c->label);

		s->nr_to_do += c->module ? nr_wanted(s) : 0;
		s->label_width = width > s->label_width ? width :
							  s->label_width;
	}
	if (s->a->format == TABLE)
		printf("%-*s %-11s %6s %6s %6s\n", s->label_width, "strategy",
		       "", "passed", "failed", "skipped");
	for (size_t i = 0; i < s->nr_configurations; i++) {
		const struct configuration *c = &s->configurations[i];

		if (c->module)
			run_configuration(s, c);
		else
			report_broken(s, c);
	}
	print_end(s);
}

int fl_cmd_conform(int argc, char **argv)
{
	const char *no_color = getenv("NO_COLOR");
	struct arguments a = {
		.seed = 1, .nr_ops = FL_CONFORM_OPS_DEFAULT,
		.timeout_s = FL_CONFORM_SECONDS_DEFAULT,
	};
	struct fl_complaint why = { "" };
	struct suite s = { .a = &a, .label_width = 24 };
	int err, status = FL_EXIT_OK;

	a.names = calloc((size_t)argc + 1, sizeof(*a.names));
	if (!a.names)
		return FL_EXIT_FAILED;
	argp_parse(&argp, argc, argv, 0, NULL, &a);
	if (a.list) {
		free(a.names);
		return list_checks();
	}
	s.color = isatty(STDOUT_FILENO) && !(no_color && *no_color);
	fl_progress_start(&s.progress, isatty(STDERR_FILENO) ? stderr : NULL);
	s.start_ns = now_ns();
	err = a.nr_names ? add_named(&s, &why) : add_all(&s, &why);
	if (err) {
		fl_complaint_print(&why, err);
		status = FL_EXIT_USAGE;
	} else {
		run_suite(&s);
		if (s.all.failed || s.nr_broken)
			status = FL_EXIT_FAILED;
	}
	for (size_t i = 0; i < s.nr_modules; i++)
		fl_module_unload(&s.modules[i]);
	free(s.configurations);
	free(s.modules);
	free(a.names);
	return status;
}

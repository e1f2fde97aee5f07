/* SPDX-License-Identifier: MIT */
/*
 * ordeal: try what ordeal.h is about, on every fault-driven strategy that is
 * built here; results as TAP.
 *
 *	ordeal [--here] [--only STRATEGY] NAME...
 *
 * NAME is an ordeal below, or a check of the conformance suite.  --here runs them
 * in this process, for debuggers: the last line is "passed", unless one fails.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/module_load.h"
#include "ordeal.h"

#define SECONDS		20

static const struct fl_check ordeals[] = {
	{ "undeclared", "an undeclared access to a closed page reaches the program's handler", try_undeclared },
	{ "core", "without a handler it kills, where it happened", try_core },
	{ "blocked", "so it does where its signal is blocked", try_blocked },
	{ "unreadable", "a fault inside the handler kills", try_unreadable },
	{ "handler-faults", "a fault inside the program's handler kills", try_handler_faults },
	{ "handler-allocates", "the program's handler may allocate", try_handler_allocates },
	{ "interrupted", "a signal handler with a heap of its own may allocate", try_interrupted },
	{ "interrupted-onstack", "on an alternate stack, too", try_interrupted_onstack },
	{ "limit", "a region that is out of memory disturbs no other", try_limit },
	{ "vmas", "so it is when the process is out of mappings", try_vmas },
	{ "addresses", "so it is when the process is out of addresses", try_addresses },
	{ "small-stack", "an alternate stack without room for a handler kills", try_small_stack },
	{ "fork", "parent and child are both right, or the child refuses", try_fork },
	{ "fork-often", "so they are at any moment", try_fork_often },
	{ "fork-of-thread", "so they are while other threads allocate", try_fork_of_thread },
	{ "threads", "eight threads may fault at once", try_threads },
	{ "comings-and-goings", "so they may while heaps come and go", try_comings_and_goings },
	{ "stepped", "a debugger may step through a fault", try_stepped },
	{ "breakpoint", "and have a breakpoint at the store that faults", try_breakpoint },
};

/* Small, so that a stretch has many faults; where there is no such tunable, or not in this range, it stays. */
static const struct {
	const char *name;
	uint64_t value;
} sizes[] = {
	{ "block", 64 * KIB }, { "span", 2 * MIB }, { "step", 4 },
};

static bool here;
static unsigned nr_results;

static const struct fl_check *find(const char *name)
{
	for (size_t i = 0; i < sizeof(ordeals) / sizeof(ordeals[0]); i++)
		if (!strcmp(ordeals[i].name, name))
			return &ordeals[i];
	for (size_t i = 0; i < fl_nr_checks; i++)
		if (!strcmp(fl_checks[i].name, name))
			return &fl_checks[i];
	fprintf(stderr, "ordeal: there is no ordeal \"%s\"\n", name);
	exit(2);
}

static void label(const struct fl_conform *conform, char *out, size_t bytes)
{
	const struct fl_strategy *s = conform->strategy;
	size_t used = (size_t)snprintf(out, bytes, "%s", s->name);

	for (size_t i = 0; i < s->nr_tunables && used < bytes; i++) {
		const struct fl_tunable *k = &s->tunables[i];

		if (k->kind == FL_TUNABLE_CHOICE && conform->values[i] != k->def)
			used += (size_t)snprintf(out + used, bytes - used,
				" %s=%s", k->name,
				k->choices[conform->values[i]]);
	}
}

static void print_details(const char *text)
{
	while (*text) {
		const size_t n = strcspn(text, "\n");

		printf("# %.*s\n", (int)n, text);
		text += n + (text[n] == '\n');
	}
}

/*
 * Settings may need each other; then the probe's reason ends in what to "set", and
 * that is done.
 */
static void ask_probe(const struct fl_module *module, uint64_t *values,
		      const struct fl_conform *conform,
		      struct fl_check_result *r)
{
	char setting[128];

	for (int i = 0; i < 4; i++) {
		const char *remedy;

		fl_check_supported(conform, r);
		remedy = strstr(r->text, "set ");
		if (r->verdict != FL_CHECK_SKIP || !remedy ||
		    sscanf(remedy, "set %127[a-z_0-9=]", setting) != 1 ||
		    fl_tunables_set(&module->tunables, setting, values, NULL))
			return;
	}
}

static void try_here(const struct fl_check *check,
		     const struct fl_conform *conform)
{
	struct fl_trial t = {
		.conform = conform, .s = conform->strategy,
		.report = STDERR_FILENO,
	};
	char what[256];

	label(conform, what, sizeof(what));
	printf("%s: %s\n", what, check->name);
	fflush(stdout);
	/* A failure leaves from inside, having said so. */
	check->run(&t);
	nr_results++;
}

static void try_one(const struct fl_check *check,
		    const struct fl_module *module, const uint64_t *wanted)
{
	uint64_t values[FL_TUNABLES_MAX];
	const struct fl_conform conform = {
		.strategy = module->strategy, .values = values, .seed = 1,
		.nr_ops = FL_CONFORM_OPS_DEFAULT, .timeout_s = SECONDS,
	};
	struct fl_check_result r;
	char what[256];

	memcpy(values, wanted, sizeof(values));
	ask_probe(module, values, &conform, &r);
	label(&conform, what, sizeof(what));
	if (r.verdict == FL_CHECK_PASS && here) {
		try_here(check, &conform);
		return;
	}
	if (r.verdict == FL_CHECK_PASS)
		fl_check_run(check, &conform, &r);
	printf("%sok %u - %s: %s", r.verdict == FL_CHECK_FAIL ? "not " : "",
	       ++nr_results, what, check->summary);
	printf(r.verdict == FL_CHECK_SKIP ? " # SKIP %s\n" : "\n", r.text);
	if (r.verdict == FL_CHECK_FAIL)
		print_details(r.text);
	fflush(stdout);
}

/* The defaults, but small; and with each other value of each choice. */
static void try_strategy(const struct fl_check *check,
			 const struct fl_module *module)
{
	const struct fl_strategy *s = module->strategy;
	uint64_t values[FL_TUNABLES_MAX] = { 0 };

	fl_tunables_defaults(&module->tunables, values);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const int k = fl_tunable_index(&module->tunables, sizes[i].name);

		if (k >= 0 && sizes[i].value >= s->tunables[k].min &&
		    sizes[i].value <= s->tunables[k].max)
			values[k] = sizes[i].value;
	}
	try_one(check, module, values);
	for (size_t i = 0; i < s->nr_tunables; i++) {
		const struct fl_tunable *k = &s->tunables[i];

		if (k->kind != FL_TUNABLE_CHOICE)
			continue;
		for (uint64_t v = 0; k->choices[v]; v++) {
			if (v == k->def)
				continue;
			values[i] = v;
			try_one(check, module, values);
		}
		values[i] = k->def;
	}
}

int main(int argc, char **argv)
{
	const char *only = NULL;
	struct fl_complaint why = { "" };
	char **paths;
	int first = 1;

	for (; first < argc && argv[first][0] == '-'; first++) {
		if (!strcmp(argv[first], "--here"))
			here = true;
		else if (!strcmp(argv[first], "--only") && first + 1 < argc)
			only = argv[++first];
		else
			return 2;
	}
	if (fl_modules_list(FL_MODULE_STRATEGY, &paths, &why) < 0) {
		fprintf(stderr, "ordeal: %s\n", why.text);
		return 2;
	}
	for (char **path = paths; *path; path++) {
		struct fl_module module;

		if (fl_module_load(FL_MODULE_STRATEGY, *path, &module, &why)) {
			fprintf(stderr, "ordeal: %s\n", why.text);
			return 2;
		}
		if ((module.strategy->answer == FL_ANSWER_EXTEND ||
		     module.strategy->answer == FL_ANSWER_REDIRECT ||
		     module.strategy->answer == FL_ANSWER_ELASTIC) &&
		    (!only || !strcmp(only, module.strategy->name)))
			for (int i = first; i < argc; i++)
				try_strategy(find(argv[i]), &module);
		fl_module_unload(&module);
	}
	fl_modules_list_free(paths);
	if (!here)
		printf("1..%u\n", nr_results);
	else
		puts(nr_results ? "passed" : "nothing was tried");
	return !nr_results;
}

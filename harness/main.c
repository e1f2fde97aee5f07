/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/complain.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} commands[] = {
	{ "advise", fl_cmd_advise, "which strategy and settings for a trace of your program" },
	{ "list", fl_cmd_list, "strategies, kernels, benches and what this host supports" },
	{ "run", fl_cmd_run, "measure one strategy on one workload" },
	{ "bench", fl_cmd_bench, "measure what is no strategy: a system call, a fault, pages given back" },
	{ "campaign", fl_cmd_campaign, "run a plan: many samples, randomised, resumable" },
	{ "report", fl_cmd_report, "a campaign's results as table, plots and one HTML page" },
	{ "verdict", fl_cmd_verdict, "what the results say of the design notes' claims" },
	{ "compare", fl_cmd_compare, "hold one campaign against another" },
	{ "query", fl_cmd_query, "ask campaigns in SQL" },
	{ "conform", fl_cmd_conform, "test that a strategy keeps the contract" },
	{ "kernel", fl_cmd_kernel, "what each way to make memory fault can do on this kernel" },
	{ "trace", fl_cmd_trace, "check a region trace, or describe it" },
};

#define NR_COMMANDS	(sizeof(commands) / sizeof(commands[0]))

static void help(FILE *to)
{
	fprintf(to, "Usage: faultline COMMAND [OPTION...]\n"
		"Should a region allocator find the end of its block by a branch or by a fault?\n\n");
	for (size_t i = 0; i < NR_COMMANDS; i++)
		fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].what);
	fprintf(to, "\n"
		"Try:\n"
		"  faultline list\n"
		"  faultline run bump_down --kernel fill --size 16\n"
		"  faultline run segv_redirect --set block=1M --kernel fill --latency-events 1000\n"
		"  faultline COMMAND --help\n");
}

/* Say which command was meant, if one is near. */
static int unknown(const char *word)
{
	const char *names[NR_COMMANDS + 1] = { NULL };
	const char *near;

	for (size_t i = 0; i < NR_COMMANDS; i++)
		names[i] = commands[i].name;
	near = fl_nearest(word, names);
	fprintf(stderr, "faultline: unknown command \"%s\"%s%s%s; `faultline --help` lists them\n",
		word, near ? ": did you mean \"" : "", near ? near : "",
		near ? "\"?" : "");
	return FL_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	static char name[64];

	argp_err_exit_status = FL_EXIT_USAGE;
	if (argc < 2) {
		help(stderr);
		return FL_EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help")) {
		help(stdout);
		return FL_EXIT_OK;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts(PACKAGE_STRING);
		return FL_EXIT_OK;
	}
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		int status;

		if (strcmp(argv[1], commands[i].name))
			continue;
		snprintf(name, sizeof(name), "faultline %s", commands[i].name);
		argv[1] = name;
		status = commands[i].run(argc - 1, argv + 1);
		/* What could not be written was not said. */
		if (fflush(stdout) || ferror(stdout)) {
			fprintf(stderr, "faultline: cannot write the output: %m\n");
			return status ? status : FL_EXIT_FAILED;
		}
		return status;
	}
	return unknown(argv[1]);
}

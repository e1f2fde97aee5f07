/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/advise.h"
#include "harness/commands.h"

enum {
	KEY_WEIGHT = 'w', KEY_TIME = 't', KEY_JSON = 'j', KEY_PREFER = 256,
	KEY_RESIDENCE, KEY_STRATEGIES, KEY_ALL, KEY_KEEP, KEY_CPU,
	KEY_NO_PROGRESS,
};

static const struct argp_option options[] = {
	{ "weight", KEY_WEIGHT, "0..1", 0, "how much time counts, the rest being memory (0.5)", 1 },
	{ "prefer", KEY_PREFER, "speed|balanced|memory", 0, "the same in words: 0.8, 0.5 or 0.2", 1 },
	{ "residence", KEY_RESIDENCE, "register|memory", 0, "where your program keeps the cursor: a compiler may in registers, C calls in memory (register)", 1 },
	{ "strategies", KEY_STRATEGIES, "NAME,...", 0, "consider these alone; `faultline list` shows them", 1 },
	{ "time", KEY_TIME, "SECONDS", 0, "how long it may take, if the trace allows it (20)", 2 },
	{ "cpu", KEY_CPU, "N", 0, "run samples on this CPU (the last one we may use)", 2 },
	{ "keep", KEY_KEEP, "DIR", 0, "keep what was measured in this folder, for `faultline report DIR/3-last`", 2 },
	{ "all", KEY_ALL, NULL, 0, "show settings that were left out early, too", 3 },
	{ "json", KEY_JSON, NULL, 0, "print all of it as JSON", 3 },
	{ "no-progress", KEY_NO_PROGRESS, NULL, 0, "say nothing before the end", 3 },
	{ 0 },
};

struct arguments {
	struct fl_advise_options advise;
	bool json, weighted;
};

static double number(const char *option, const char *text, double low,
		     double high, struct argp_state *state)
{
	char *end;
	const double value = strtod(text, &end);

	if (end == text || *end || !(value >= low) || !(value <= high))
		argp_error(state, "--%s=%s: must be a number from %g to %g",
			   option, text, low, high);
	return value;
}

static void set_weight(struct arguments *a, double weight,
		       struct argp_state *state)
{
	if (a->weighted)
		argp_error(state, "--weight and --prefer say the same thing: one of them, once");
	a->weighted = true;
	a->advise.weight = weight;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	static const struct {
		const char *name;
		double weight;
	} words[] = { { "speed", 0.8 }, { "balanced", 0.5 }, { "memory", 0.2 } };
	struct arguments *a = state->input;

	switch (key) {
	case KEY_WEIGHT:
		set_weight(a, number("weight", arg, 0, 1, state), state);
		break;
	case KEY_PREFER:
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
			if (!strcmp(arg, words[i].name)) {
				set_weight(a, words[i].weight, state);
				return 0;
			}
		argp_error(state, "--prefer=%s: must be speed, balanced or memory",
			   arg);
		break;
	case KEY_RESIDENCE:
		if (strcmp(arg, "register") && strcmp(arg, "memory"))
			argp_error(state, "--residence=%s: must be register or memory",
				   arg);
		a->advise.residence = strcmp(arg, "memory") ? FL_REGISTER :
							      FL_MEMORY;
		break;
	case KEY_STRATEGIES:
		a->advise.strategies = arg;
		break;
	case KEY_TIME:
		a->advise.seconds = number("time", arg, 0.1, 86400, state);
		break;
	case KEY_CPU:
		a->advise.cpu = (int)number("cpu", arg, 0, 1 << 20, state);
		break;
	case KEY_KEEP:
		a->advise.keep = arg;
		break;
	case KEY_ALL:
		a->advise.all = true;
		break;
	case KEY_JSON:
		a->json = true;
		break;
	case KEY_NO_PROGRESS:
		a->advise.no_progress = true;
		break;
	case ARGP_KEY_ARG:
		if (a->advise.trace)
			argp_error(state, "\"%s\": one trace at a time", arg);
		a->advise.trace = arg;
		break;
	case ARGP_KEY_END:
		if (!a->advise.trace)
			argp_error(state, "name a trace of your program; experiments/traces/README.md says how they are written");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "TRACE",
	.doc = "Replay a trace of your program with every strategy, in rounds that the less "
	       "promising are left out of, and advise one with its settings.\v"
	       "TRACE: which regions and objects your program made, one event a line, plain or "
	       "xz-compressed; `faultline trace check FILE` says what is wrong with one.\n\n"
	       "At weight w, candidates are compared by w times the logarithm of their time per "
	       "event plus 1-w times that of the most memory they held: at 0.5, a tenth less "
	       "time is worth a tenth more memory; at 1 nothing counts but time.  Every sample "
	       "is a process of its own, in random order, as in a campaign.  What is advised is "
	       "judged by the last round alone.\n\n"
	       "Exit status: 0; 1: it could not go on; 2: the trace or an option makes no sense; "
	       "77: this host supports none of the strategies; 130: interrupted.",
};

static int print(const struct arguments *a, const struct fl_advise *advise)
{
	struct fl_terminal terminal;
	json_t *json;
	int err;

	if (!a->json) {
		fl_terminal_of(stdout, &terminal);
		return fl_advise_print(stdout, &terminal, &a->advise, advise);
	}
	json = fl_advise_json(&a->advise, advise);
	err = json ? json_dumpf(json, stdout, JSON_INDENT(1) |
				JSON_REAL_PRECISION(9)) : -ENOMEM;
	json_decref(json);
	putchar('\n');
	return err && !ferror(stdout) ? -ENOMEM : 0;
}

static int exit_status(int err)
{
	switch (err) {
	case 0:
		return FL_EXIT_OK;
	case -EINTR:
		return FL_EXIT_INTERRUPTED;
	case -ENODEV:
		return FL_EXIT_UNSUPPORTED;
	case -ENOMEM:
	case -EIO:
	case -ESTALE:
		return FL_EXIT_FAILED;
	default:
		return FL_EXIT_USAGE;
	}
}

int fl_cmd_advise(int argc, char **argv)
{
	struct arguments a = {
		.advise = { .weight = 0.5, .seconds = FL_ADVISE_SECONDS,
			    .cpu = -1, .argc = argc, .argv = argv },
	};
	struct fl_advise advise = { .nr_blocks = 0 };
	struct fl_complaint why = { "" };
	int err;

	/* In order, or argp would move words of the argv that is recorded. */
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &a);
	err = fl_advise_run(&a.advise, &advise, &why);
	if (!err)
		err = print(&a, &advise);
	if (err)
		fl_complaint_print(&why, err);
	fl_advise_free(&advise);
	return exit_status(err);
}

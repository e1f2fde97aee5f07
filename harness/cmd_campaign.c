/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/campaign.h"
#include "harness/commands.h"

/* What a shell says of a command that SIGINT ended. */
#define EXIT_INTERRUPTED	130

enum {
	KEY_OUTPUT = 'o', KEY_QUICK = 'q', KEY_DRY_RUN = 'n',
	KEY_SEED = 256, KEY_BLOCKS, KEY_ONLY, KEY_LIST, KEY_CPU,
	KEY_NO_PROGRESS,
};

static const struct argp_option options[] = {
	{ "output", KEY_OUTPUT, "DIR", 0, "where the results go; if they are there already, go on (results/NAME-DATE)", 1 },
	{ "quick", KEY_QUICK, NULL, 0, "the quick profile of the plan", 1 },
	{ "only", KEY_ONLY, "CELL", 0, "only this group of cells, or the cells that match a pattern such as 'warm/*/register'", 1 },
	{ "blocks", KEY_BLOCKS, "N", 0, "number of blocks, fixed with the first sample (the plan's)", 2 },
	{ "seed", KEY_SEED, "N", 0, "for order, inputs and padding (drawn at random, and recorded)", 2 },
	{ "cpu", KEY_CPU, "N", 0, "run samples on this CPU (the last one we may use)", 2 },
	{ "dry-run", KEY_DRY_RUN, NULL, 0, "print what would be run, and how long it may take", 3 },
	{ "list", KEY_LIST, NULL, 0, "print the cells and their arms", 3 },
	{ "no-progress", KEY_NO_PROGRESS, NULL, 0, "say nothing before the end", 3 },
	{ 0 },
};

struct arguments {
	struct fl_campaign_options campaign;
	const char *plan;
	bool quick, dry_run, list;
};

static uint64_t number(const char *option, const char *text, uint64_t low,
		       uint64_t high, struct argp_state *state)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *text < '0' || *text > '9' || *end || value < low ||
	    value > high)
		argp_error(state, "--%s=%s: must be a number from %llu to %llu",
			   option, text, (unsigned long long)low,
			   (unsigned long long)high);
	return value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	struct fl_campaign_options *c = &a->campaign;

	switch (key) {
	case KEY_OUTPUT:
		c->output = arg;
		break;
	case KEY_QUICK:
		a->quick = true;
		break;
	case KEY_ONLY:
		c->only = arg;
		break;
	case KEY_BLOCKS:
		c->nr_blocks = (uint32_t)number("blocks", arg, 1, 10000, state);
		break;
	case KEY_SEED:
		c->seed = number("seed", arg, 0, FL_CAMPAIGN_SEED_MAX, state);
		c->has_seed = true;
		break;
	case KEY_CPU:
		c->cpu = (int)number("cpu", arg, 0, 1 << 20, state);
		break;
	case KEY_DRY_RUN:
		a->dry_run = true;
		break;
	case KEY_LIST:
		a->list = true;
		break;
	case KEY_NO_PROGRESS:
		c->no_progress = true;
		break;
	case ARGP_KEY_ARG:
		if (a->plan)
			argp_error(state, "\"%s\": one plan at a time", arg);
		a->plan = arg;
		break;
	case ARGP_KEY_END:
		if (!a->plan)
			argp_error(state, "name a plan, such as experiments/first-light/plan.ini");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "PLAN",
	.doc = "Run a plan: every sample in a process of its own, in random order, each "
	       "recorded as soon as it is over.\v"
	       "The same command with the same --output goes on where an earlier one "
	       "stopped, however it was stopped.  results/SCHEMA.md describes what is "
	       "recorded.  Exit status: 0: every sample has its line, failed ones too; 1: "
	       "it could not go on; 2: the plan or an option makes no sense; 130: "
	       "interrupted.",
};

int fl_cmd_campaign(int argc, char **argv)
{
	struct arguments a = {
		.campaign = { .cpu = -1, .argc = argc, .argv = argv },
	};
	struct fl_complaint why = { "" };
	struct fl_plan plan;
	int err;

	/* In order, or argp would move words of the argv that is recorded. */
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &a);
	err = fl_plan_load(a.plan, a.quick, &plan, &why);
	if (err) {
		fprintf(stderr, "faultline: %s\n", why.text);
		return FL_EXIT_USAGE;
	}
	err = a.list ? fl_campaign_list(&plan, &a.campaign, &why) :
	      a.dry_run ? fl_campaign_show(&plan, &a.campaign, &why) :
			  fl_campaign_run(&plan, &a.campaign, &why);
	fl_plan_free(&plan);
	if (!err)
		return FL_EXIT_OK;
	fprintf(stderr, "faultline: %s\n", *why.text ? why.text : strerror(-err));
	return err == -EINTR ? EXIT_INTERRUPTED :
	       err == -EINVAL ? FL_EXIT_USAGE : FL_EXIT_FAILED;
}

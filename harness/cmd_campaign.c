/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/campaign_set.h"
#include "harness/commands.h"

enum {
	KEY_OUTPUT = 'o', KEY_QUICK = 'q', KEY_DRY_RUN = 'n',
	KEY_SEED = 256, KEY_BLOCKS, KEY_ONLY, KEY_LIST, KEY_CPU,
	KEY_NO_PROGRESS, KEY_ALL = 'a', KEY_INTO = 300, KEY_RESUME,
	KEY_COMMANDS,
};

static const struct argp_option options[] = {
	{ "all", KEY_ALL, NULL, 0, "every experiment there is", 1 },
	{ "output", KEY_OUTPUT, "DIR", 0, "where the results go; if they are there already, go on (results/NAME-DATE)", 1 },
	{ "into", KEY_INTO, "DIR", 0, "where new folders go, NAME-DATE each (results)", 1 },
	{ "resume", KEY_RESUME, NULL, 0, "go on with the newest run of these experiments", 1 },
	{ "quick", KEY_QUICK, NULL, 0, "the quick profile of the plan", 1 },
	{ "only", KEY_ONLY, "CELL", 0, "only this group of cells, or the cells that match a pattern such as 'warm/*/register'; may be repeated", 1 },
	{ "blocks", KEY_BLOCKS, "N", 0, "number of blocks, fixed with the first sample (the plan's)", 2 },
	{ "seed", KEY_SEED, "N", 0, "for order, inputs and padding (drawn at random, and recorded)", 2 },
	{ "cpu", KEY_CPU, "N", 0, "run samples on this CPU (the last one we may use)", 2 },
	{ "dry-run", KEY_DRY_RUN, NULL, 0, "print what would be run, and how long it may take", 3 },
	{ "list", KEY_LIST, NULL, 0, "print the cells and their arms", 3 },
	{ "commands", KEY_COMMANDS, NULL, 0, "print what to type for one sample of each arm of each cell", 3 },
	{ "no-progress", KEY_NO_PROGRESS, NULL, 0, "say nothing before the end", 3 },
	{ 0 },
};

struct arguments {
	struct fl_campaign_options campaign;
	char **words;
	size_t nr_words;
	const char *into;
	bool quick, dry_run, list, commands, all, resume;
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

static void check(const struct arguments *a, struct argp_state *state)
{
	if (a->all && a->nr_words)
		argp_error(state, "\"%s\": --all names every experiment already", a->words[0]);
	if (!a->all && !a->nr_words)
		argp_error(state, "name a plan or an experiment, such as first-light, or say --all");
	if ((a->all || a->nr_words > 1) && (a->campaign.output || a->campaign.nr_only))
		argp_error(state, "%s is about one plan: with several, use --into and --resume",
			   a->campaign.output ? "--output" : "--only");
	if (a->campaign.output && (a->into || a->resume))
		argp_error(state, "--output names the folder: leave out --into and --resume");
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
		c->only[c->nr_only++] = arg;
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
	case KEY_COMMANDS:
		a->commands = true;
		break;
	case KEY_NO_PROGRESS:
		c->no_progress = true;
		break;
	case KEY_ALL:
		a->all = true;
		break;
	case KEY_INTO:
		a->into = arg;
		break;
	case KEY_RESUME:
		a->resume = true;
		break;
	case ARGP_KEY_ARG:
		a->words[a->nr_words++] = arg;
		break;
	case ARGP_KEY_END:
		check(a, state);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "EXPERIMENT...",
	.doc = "Run experiments: every sample in a process of its own, in random order, each "
	       "recorded as soon as it is over.\v"
	       "EXPERIMENT: a name, such as break-even or 03-break-even, or a plan's file.  With "
	       "one, the same command with the same --output goes on where an earlier one "
	       "stopped, however it was stopped; with one or several, --resume does.  "
	       "results/SCHEMA.md describes what is recorded.  Exit status: 0: every sample has "
	       "its line, failed ones too; 1: it could not go on; 2: a plan or an option makes "
	       "no sense; 130: interrupted.",
};

/* Files can be named without there being any experiments. */
static int read_plans(const struct arguments *a, struct fl_campaign_set *set,
		      struct fl_complaint *why)
{
	struct fl_experiments experiments = { .list = NULL };
	struct fl_complaint missing;
	const int found = fl_experiments_find(&experiments, &missing);
	int err = 0;

	if (a->all && found)
		return fl_complain(why, found, "%s", missing.text);
	for (size_t i = 0; a->all && i < experiments.nr && !err; i++)
		err = fl_campaign_set_add(set, experiments.list[i].plan, NULL,
					  why);
	for (size_t i = 0; i < a->nr_words && !err; i++)
		err = fl_campaign_set_add(set, a->words[i],
					  found ? NULL : &experiments, why);
	if (err == -ENOENT && found)
		fl_complain(why, err, "%s: no such file, and %s",
			    a->words[set->nr], missing.text);
	fl_experiments_free(&experiments);
	return err;
}

static int show_plans(const struct arguments *a,
		      const struct fl_campaign_set *set,
		      struct fl_complaint *why)
{
	int err = 0;

	for (size_t i = 0; i < set->nr && !err; i++) {
		const struct fl_campaign_member *m = &set->members[i];

		if (i)
			putchar('\n');
		if (m->matrix)
			puts("kernel: the running kernel is asked, in about a second");
		else
			err = a->commands ?
			      fl_campaign_commands(&m->plan, &a->campaign, why) :
			      a->list ?
			      fl_campaign_list(&m->plan, &a->campaign, why) :
			      fl_campaign_show(&m->plan, &a->campaign, why);
	}
	return err;
}

static int run_plans(const struct arguments *a, struct fl_campaign_set *set,
		     struct fl_complaint *why)
{
	const bool alone = set->nr == 1 && !set->members[0].matrix &&
			   !a->into && !a->resume;

	if (alone)
		return fl_campaign_run(&set->members[0].plan, &a->campaign, why);
	if (a->campaign.output)
		return fl_complain(why, -EINVAL, "--output is about a plan: faultline kernel --output %s asks the kernel",
				   a->campaign.output);
	return fl_campaign_set_run(set, &a->campaign,
				   a->into ? a->into : "results", a->resume,
				   why);
}

int fl_cmd_campaign(int argc, char **argv)
{
	struct arguments a = {
		.campaign = { .cpu = -1, .argc = argc, .argv = argv },
	};
	struct fl_campaign_set set = { .members = NULL };
	struct fl_complaint why = { "" };
	int status, err;

	a.words = calloc((size_t)argc, sizeof(*a.words));
	a.campaign.only = calloc((size_t)argc, sizeof(*a.campaign.only));
	if (!a.words || !a.campaign.only) {
		free(a.words);
		free(a.campaign.only);
		return FL_EXIT_FAILED;
	}
	/* In order, or argp would move words of the argv that is recorded. */
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &a);
	set.quick = a.quick;
	err = read_plans(&a, &set, &why);
	if (err) {
		status = FL_EXIT_USAGE;
	} else {
		err = a.list || a.dry_run || a.commands ? show_plans(&a, &set, &why) :
					    run_plans(&a, &set, &why);
		status = !err ? FL_EXIT_OK : err == -EINTR ? FL_EXIT_INTERRUPTED :
			 err == -EINVAL ? FL_EXIT_USAGE : FL_EXIT_FAILED;
	}
	if (err)
		fl_complaint_print(&why, err);
	fl_campaign_set_free(&set);
	free(a.words);
	free(a.campaign.only);
	return status;
}

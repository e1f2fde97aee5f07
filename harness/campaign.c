/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "harness/campaign_state.h"

#define SELF		"/proc/self/exe"
#define PROBLEMS_SHOWN	8u

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Going over all pairs takes as long as ten page faults. */
static void show_progress(struct fl_campaign *c,
			  const struct fl_campaign_place *at)
{
	const uint64_t done = fl_campaign_nr_lines(c);
	const uint64_t repeats = fl_campaign_repeats_left(c);
	double seconds;
	const uint64_t nr = fl_campaign_left(c, &seconds);
	char what[160], place[48] = "";

	/* The time left is that of all of them. */
	if (c->options->nr_places > 1)
		snprintf(place, sizeof(place), "[%zu/%zu] ",
			 c->options->place, c->options->nr_places);
	snprintf(what, sizeof(what), "%s%s %s", place,
		 c->plan->cells[at->pair.cell].name,
		 c->plan->arms[at->pair.arm].name);
	seconds += c->options->later_s *
		   (c->estimate_s > 0 ? c->wall_s / c->estimate_s : 1);
	if (c->nr_of[FL_SAMPLE_OK])
		seconds += (double)repeats * c->wall_s /
			   (double)c->nr_of[FL_SAMPLE_OK];
	if (seconds < c->options->until_s - now_s())
		seconds = c->options->until_s - now_s();
	fl_progress_at(&c->progress, done, done + nr + repeats, seconds, what);
}

static int run_next(struct fl_campaign *c, const struct fl_campaign_place *at)
{
	show_progress(c, at);
	/* One that arrived between two samples. */
	if (fl_child_signals_stop(&c->signals))
		return -EINTR;
	return fl_campaign_sample(c, at);
}

/* What is known of the sample: FL_TALLY_... */
static uint8_t known_of(const struct fl_campaign *c,
			const struct fl_campaign_place *at)
{
	return fl_campaign_tally_of(c, at->pair)->blocks[at->block];
}

static int run_block(struct fl_campaign *c, uint32_t block,
		     struct fl_campaign_pair *order)
{
	const uint32_t nr = fl_campaign_order(c->plan, c->seed, block, order);
	int err = 0;

	for (uint32_t k = 0; k < nr && !err; k++) {
		const struct fl_campaign_place at = {
			.pair = order[k], .block = block, .order = k,
		};

		if (fl_campaign_wants(c, at.pair) &&
		    !(known_of(c, &at) & FL_TALLY_DONE))
			err = run_next(c, &at);
	}
	return err;
}

static int repeat_block(struct fl_campaign *c, uint32_t block,
			struct fl_campaign_pair *order)
{
	const uint32_t nr = fl_campaign_order(c->plan, c->seed, block, order);
	int err = 0;

	for (uint32_t k = 0; k < nr && !err; k++) {
		const struct fl_campaign_place at = {
			.pair = order[k], .block = block, .order = k,
			.repeat = 1,
		};
		const uint8_t known = known_of(c, &at);

		if (c->selected[at.pair.cell] && (known & FL_TALLY_FLAGGED) &&
		    !(known & FL_TALLY_REPEATED) && fl_campaign_repeats_left(c))
			err = run_next(c, &at);
	}
	return err;
}

static int run_all(struct fl_campaign *c)
{
	struct fl_campaign_pair *order = calloc(
		(size_t)c->plan->nr_cells * c->plan->nr_arms, sizeof(*order));
	int err = 0;

	if (!order)
		return fl_complain(c->why, -ENOMEM, "%s", strerror(ENOMEM));
	for (uint32_t b = 0; b < c->nr_blocks && !err; b++)
		err = run_block(c, b, order);
	/* The rule for repeats is about complete blocks. */
	for (uint32_t b = 0; b < c->nr_blocks && !err; b++)
		err = repeat_block(c, b, order);
	free(order);
	return err;
}

static void print_problems(const struct fl_campaign *c, FILE *to)
{
	for (uint32_t i = 0; i < c->nr_problems && i < PROBLEMS_SHOWN; i++) {
		const struct fl_campaign_problem *p = &c->problems[i];

		fprintf(to, "  %s %s, %" PRIu64 "x: %s\n",
			c->plan->arms[p->arm].name,
			fl_sample_status_name(p->status), p->nr, p->reason);
	}
	if (c->nr_problems > PROBLEMS_SHOWN)
		fprintf(to, "  ... and %u more kinds\n",
			c->nr_problems - PROBLEMS_SHOWN);
}

static void print_end(const struct fl_campaign *c, double seconds)
{
	const struct fl_plan *plan = c->plan;
	const char *between = ":";
	char took[16];

	fl_progress_time(seconds, took, sizeof(took));
	printf("%s, %s profile, %" PRIu64 " samples (%s)", plan->name,
	       plan->quick ? "quick" : "full", fl_campaign_nr_lines(c), took);
	for (int s = 0; s < FL_SAMPLE_NR_STATUSES; s++)
		if (c->nr_of[s]) {
			printf("%s %" PRIu64 " %s", between, c->nr_of[s],
			       fl_sample_status_name(s));
			between = ",";
		}
	if (c->nr_flagged)
		printf("; %" PRIu64 " flagged, %" PRIu64 " repeated",
		       c->nr_flagged, c->nr_repeated);
	putchar('\n');
	print_problems(c, stdout);
	printf("results in %s; next: faultline report %s\n", c->dir.path,
	       c->dir.path);
	if (c->options->nr_only)
		printf("without --only the same command runs the other cells\n");
}

static void say_how_to_go_on(const struct fl_campaign *c)
{
	double seconds;
	const uint64_t nr = fl_campaign_left(c, &seconds);
	const uint64_t done = fl_campaign_nr_lines(c);

	fl_complain(c->why, -EINTR,
		"stopped after %" PRIu64 " of %" PRIu64 " samples, all recorded; to go on: faultline campaign %s%s --output %s",
		done, done + nr, c->plan->path,
		c->plan->quick ? " --quick" : "", c->dir.path);
}

/*
 * ---- Before the first sample. ----
 */

static void close_campaign(struct fl_campaign *c)
{
	const size_t nr = (size_t)c->plan->nr_cells * c->plan->nr_arms;

	for (size_t i = 0; c->tallies && i < nr; i++)
		free(c->tallies[i].blocks);
	free(c->tallies);
	free(c->modules);
	free(c->selected);
}

/* Adds the cells that @only names. */
static int select_more(struct fl_campaign *c, const char *only)
{
	const char *near = NULL;
	const char **groups;
	bool any = false;

	for (uint32_t i = 0; i < c->plan->nr_cells; i++) {
		const struct fl_plan_cell *cell = &c->plan->cells[i];
		bool named = !strcmp(only, cell->group) ||
			     !fnmatch(only, cell->name, 0);

		c->selected[i] |= named;
		any |= named;
	}
	if (any)
		return 0;
	groups = calloc(c->plan->nr_cells + 1, sizeof(*groups));
	for (uint32_t i = 0; groups && i < c->plan->nr_cells; i++)
		groups[i] = c->plan->cells[i].group;
	if (groups)
		near = fl_nearest(only, groups);
	fl_complain(c->why, -EINVAL,
		"--only %s: no cell of the %s profile is called so%s%s%s; --list shows them",
		only, c->plan->quick ? "quick" : "full",
		near ? ": did you mean \"" : "", near ? near : "",
		near ? "\"?" : "");
	free(groups);
	return -EINVAL;
}

static int select_cells(struct fl_campaign *c)
{
	const struct fl_campaign_options *options = c->options;
	int err = 0;

	for (uint32_t i = 0; i < c->plan->nr_cells; i++)
		c->selected[i] = !options->nr_only;
	for (size_t i = 0; i < options->nr_only && !err; i++)
		err = select_more(c, options->only[i]);
	return err;
}

static int choose_cpu(struct fl_campaign *c)
{
	int last = -1;

	if (sched_getaffinity(0, sizeof(c->cpus), &c->cpus))
		return fl_complain(c->why, -errno, "sched_getaffinity: %s",
				   strerror(errno));
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &c->cpus))
			last = i;
	if (c->cpu < 0)
		c->cpu = last;
	if (c->cpu >= CPU_SETSIZE || !CPU_ISSET(c->cpu, &c->cpus))
		return fl_complain(c->why, -EINVAL,
			"CPU %d: this process may not use it; with --cpu, choose another, such as %d",
			c->cpu, last);
	return 0;
}

/* Everything that is in memory, as if nothing had been measured yet. */
static int open_campaign(struct fl_campaign *c, const struct fl_plan *plan,
			 const struct fl_campaign_options *options,
			 struct fl_complaint *why)
{
	const size_t nr = (size_t)plan->nr_cells * plan->nr_arms;
	const char *runner = getenv("FAULTLINE_RUNNER");
	int err;

	*c = (struct fl_campaign){
		.plan = plan, .options = options, .why = why,
		.seed = options->seed, .cpu = options->cpu,
		.nr_blocks = options->nr_blocks ? options->nr_blocks :
						  plan->nr_blocks,
		.runner = runner && *runner ? runner : SELF,
		.dir = { .lock_fd = -1, .results_fd = -1 },
		.tallies = calloc(nr, sizeof(*c->tallies)),
		.modules = calloc((size_t)plan->nr_arms * FL_PLAN_BUILDS_MAX,
				  sizeof(*c->modules)),
		.selected = calloc(plan->nr_cells, sizeof(*c->selected)),
	};
	if (!c->tallies || !c->modules || !c->selected)
		return fl_complain(why, -ENOMEM, "%s", strerror(ENOMEM));
	for (uint32_t i = 0; i < plan->nr_arms; i++) {
		const struct fl_plan_arm *arm = &plan->arms[i];

		for (uint32_t b = 0; b < arm->nr_builds; b++)
			if (stat(arm->builds[b].path,
				 &c->modules[i * FL_PLAN_BUILDS_MAX + b]))
				return fl_complain(why, -errno, "%s: %s",
						   arm->builds[b].path,
						   strerror(errno));
	}
	/* Before there is a folder; what a folder says comes later. */
	err = options->cpu < 0 ? 0 : choose_cpu(c);
	return err ? err : select_cells(c);
}

/* Once the number of blocks is known. */
static int make_room(struct fl_campaign *c)
{
	const size_t nr = (size_t)c->plan->nr_cells * c->plan->nr_arms;

	for (size_t i = 0; i < nr; i++) {
		c->tallies[i].blocks = calloc(c->nr_blocks, 1);
		if (!c->tallies[i].blocks)
			return fl_complain(c->why, -ENOMEM, "%s",
					   strerror(ENOMEM));
	}
	return 0;
}

static int draw_seed(struct fl_campaign *c)
{
	if (c->options->has_seed)
		return 0;
	if (getrandom(&c->seed, sizeof(c->seed), 0) != sizeof(c->seed))
		return fl_complain(c->why, -errno, "getrandom: %s",
				   strerror(errno));
	c->seed &= FL_CAMPAIGN_SEED_MAX;
	return 0;
}

/* A folder of our own below results/, named by the second. */
static int open_new_dir(struct fl_campaign *c)
{
	char path[128], stamp[32];
	int err = -EEXIST;

	for (int again = 0; err == -EEXIST && again < 100; again++) {
		time_t now = time(NULL);
		struct tm utc;

		gmtime_r(&now, &utc);
		strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &utc);
		snprintf(path, sizeof(path), "results/%s%s-%s", c->plan->name,
			 c->plan->quick ? "-quick" : "", stamp);
		if (again)
			snprintf(path + strlen(path),
				 sizeof(path) - strlen(path), "-%d", again + 1);
		err = fl_campaign_dir_open(path, true, &c->dir, c->why);
	}
	return err != -EEXIST ? err :
	       fl_complain(c->why, err, "%s: %s", path, strerror(EEXIST));
}

/* Once for all samples, where they will run. */
static int calibrate(struct fl_campaign *c)
{
	cpu_set_t theirs;
	int err;

	CPU_ZERO(&theirs);
	CPU_SET(c->cpu, &theirs);
	sched_setaffinity(0, sizeof(theirs), &theirs);
	err = fl_clock_init(&c->clock);
	sched_setaffinity(0, sizeof(c->cpus), &c->cpus);
	return err ? fl_complain(c->why, err, "clock: %s", strerror(-err)) : 0;
}

/* From the directory: what was begun, or begin it; and what is done. */
static int open_records(struct fl_campaign *c)
{
	json_t *recorded = NULL, *fingerprint = NULL;
	int err = c->options->output ?
		fl_campaign_dir_open(c->options->output, false, &c->dir,
				     c->why) :
		open_new_dir(c);

	if (err)
		return err;
	err = fl_campaign_dir_recorded(c->dir.path, &recorded, c->why);
	if (!err)
		err = recorded ?
			fl_campaign_take_recorded(c, c->dir.path, recorded) :
			draw_seed(c);
	if (!err)
		err = choose_cpu(c);
	if (!err)
		err = make_room(c);
	if (!err)
		err = calibrate(c);
	if (!err)
		err = fl_campaign_take_fingerprint(c, &fingerprint);
	if (!err)
		err = recorded ?
			fl_campaign_check_fingerprint(c, c->dir.path, recorded,
						      fingerprint) :
			fl_campaign_begin(c, fingerprint);
	if (!err)
		err = fl_campaign_dir_results(c->dir.path, true,
					      fl_campaign_take_line, c, c->why);
	if (!err)
		err = fl_campaign_dir_append(&c->dir, c->why);
	json_decref(fingerprint);
	json_decref(recorded);
	if (err)
		fl_campaign_dir_close(&c->dir);
	return err;
}

int fl_campaign_run(const struct fl_plan *plan,
		    const struct fl_campaign_options *options,
		    struct fl_complaint *why)
{
	const double start = now_s();
	struct fl_campaign c;
	cpu_set_t ours;
	int err = open_campaign(&c, plan, options, why);
	int synced;

	if (err)
		goto out_close_campaign;
	err = open_records(&c);
	if (err)
		goto out_close_campaign;
	err = fl_child_signals_open(&c.signals);
	if (err) {
		fl_complain(why, err, "signalfd: %s", strerror(-err));
		goto out_close_dir;
	}
	/* The samples' CPU is theirs, where there is another one for us. */
	ours = c.cpus;
	CPU_CLR(c.cpu, &ours);
	if (CPU_COUNT(&ours))
		sched_setaffinity(0, sizeof(ours), &ours);

	if (fl_campaign_nr_lines(&c))
		printf("%s: %" PRIu64 " samples are there already\n",
		       c.dir.path, fl_campaign_nr_lines(&c));
	fflush(stdout);
	fl_progress_start(&c.progress, options->no_progress ? NULL : stderr);
	err = run_all(&c);
	fl_progress_clear(&c.progress);
	synced = fl_campaign_dir_sync(&c.dir, err ? NULL : why);
	if (!err)
		err = synced;
	if (err == -EINTR)
		say_how_to_go_on(&c);
	if (!err && !options->quiet)
		print_end(&c, now_s() - start);

	sched_setaffinity(0, sizeof(c.cpus), &c.cpus);
	fl_child_signals_close(&c.signals);
out_close_dir:
	fl_campaign_dir_close(&c.dir);
out_close_campaign:
	close_campaign(&c);
	return err;
}

/*
 * ---- What would be run. ----
 */

static void print_group(const struct fl_campaign *c, uint32_t first,
			uint32_t end)
{
	const struct fl_plan_cell *cell = &c->plan->cells[first];
	uint64_t samples = 0;
	double seconds = 0;
	uint32_t nr_arms = 0;

	for (uint32_t a = 0; a < c->plan->nr_arms; a++) {
		bool any = false;

		for (uint32_t i = first; i < end; i++) {
			const struct fl_campaign_pair p = { i, a };
			const uint32_t n = fl_campaign_nr_left(c, p);

			any |= c->plan->cells[i].arms[a];
			samples += n;
			seconds += n ? n * fl_campaign_cost_s(c, p) : 0;
		}
		nr_arms += any;
	}
	printf("  %-16s %-12s %6u %6u %7u %9" PRIu64 " %8.1f\n", cell->group,
	       cell->bench ? cell->bench : cell->kernel,
	       end - first, nr_arms, fl_campaign_blocks_of(c, first), samples,
	       seconds / 60);
}

static void print_builds(const struct fl_plan *plan)
{
	uint32_t nr = 0;

	for (uint32_t a = 0; a < plan->nr_arms; a++)
		nr += plan->arms[a].nr_builds > 1;
	if (nr)
		printf("\nof %u arms, %u builds each take turns over the blocks; %u have one build\n",
		       nr, plan->nr_builds, plan->nr_arms - nr);
}

/* Open it, with what is recorded; nothing is written.  Close it in any case. */
static int look_at(struct fl_campaign *c, const struct fl_plan *plan,
		   const struct fl_campaign_options *options,
		   struct fl_complaint *why)
{
	const char *output = options->output;
	json_t *recorded = NULL;
	int err = open_campaign(c, plan, options, why);

	if (!err && output)
		err = fl_campaign_dir_recorded(output, &recorded, why);
	if (!err && recorded)
		err = fl_campaign_take_recorded(c, output, recorded);
	if (!err)
		err = choose_cpu(c);
	if (!err)
		err = make_room(c);
	if (!err && recorded)
		err = fl_campaign_dir_results(output, false,
					      fl_campaign_take_line, c, why);
	json_decref(recorded);
	return err;
}

int fl_campaign_estimate(const struct fl_plan *plan,
			 const struct fl_campaign_options *options,
			 uint64_t *samples, double *seconds,
			 struct fl_complaint *why)
{
	struct fl_campaign c;
	int err = look_at(&c, plan, options, why);

	if (!err)
		*samples = fl_campaign_left(&c, seconds);
	close_campaign(&c);
	return err;
}

int fl_campaign_show(const struct fl_plan *plan,
		     const struct fl_campaign_options *options,
		     struct fl_complaint *why)
{
	struct fl_campaign c;
	uint32_t end;
	uint64_t nr;
	double seconds;
	int err = look_at(&c, plan, options, why);

	if (err)
		goto out_close_campaign;

	printf("%s, %s profile%s%s\n\n", plan->name,
	       plan->quick ? "quick" : "full", plan->title ? ": " : "",
	       plan->title ? plan->title : "");
	printf("  %-16s %-12s %6s %6s %7s %9s %8s\n", "group", "measures",
	       "cells", "arms", "blocks", "samples", "minutes");
	for (uint32_t i = 0; i < plan->nr_cells; i = end) {
		for (end = i + 1; end < plan->nr_cells &&
		     !strcmp(plan->cells[end].group, plan->cells[i].group);)
			end++;
		print_group(&c, i, end);
	}
	nr = fl_campaign_left(&c, &seconds);
	print_builds(plan);
	printf("\n%" PRIu64 " samples%s on CPU %d, about %.1f minutes%s; %s\n", nr,
	       fl_campaign_nr_lines(&c) ? " to go" : "", c.cpu, seconds / 60,
	       plan->repeats_pct ? " and repeats" : "",
	       c.estimate_s > 0 ? "by what those already there took" :
	       "a guess: an output folder with samples makes it better");
out_close_campaign:
	close_campaign(&c);
	return err;
}

int fl_campaign_list(const struct fl_plan *plan,
		     const struct fl_campaign_options *options,
		     struct fl_complaint *why)
{
	struct fl_campaign c;
	int err = open_campaign(&c, plan, options, why);

	for (uint32_t i = 0; !err && i < plan->nr_cells; i++) {
		if (!c.selected[i])
			continue;
		printf("%-32s", plan->cells[i].name);
		for (uint32_t a = 0; a < plan->nr_arms; a++)
			if (plan->cells[i].arms[a])
				printf(" %s", plan->arms[a].name);
		putchar('\n');
	}
	close_campaign(&c);
	return err;
}

int fl_campaign_commands(const struct fl_plan *plan,
			 const struct fl_campaign_options *options,
			 struct fl_complaint *why)
{
	struct fl_campaign c;
	int err = look_at(&c, plan, options, why);

	for (uint32_t i = 0; !err && i < plan->nr_cells; i++)
		for (uint32_t a = 0; a < plan->nr_arms; a++) {
			const struct fl_campaign_pair p = { i, a };
			char command[FL_CAMPAIGN_COMMAND_BYTES];

			if (!c.selected[i] || !plan->cells[i].arms[a])
				continue;
			fl_campaign_command(&c, p, 0, command);
			printf("%s\t%s\t%s\n", plan->cells[i].name,
			       plan->arms[a].name, command);
		}
	close_campaign(&c);
	return err;
}

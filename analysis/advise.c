/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "analysis/advise.h"
#include "harness/campaign.h"
#include "harness/plan.h"

/* Allocations in a timed sample, at least: some ms, and whole passes. */
#define NR_OPS			((uint64_t)2 << 20)

/* Of all the time: when round 2 should be over. */
#define SHARE_SETTINGS		0.50

#define NR_VARIED_MAX		24u
/* Without any, the advice would be about defaults. */
#define NR_VARIED_MIN		6u
#define NR_VARIED_FROM		6u	/* candidates whose settings are varied */
#define NR_LAST_MAX		8u
#define NR_LAST_MIN		3u
#define NR_EARLY_BLOCKS_MAX	3u
#define NR_BLOCKS_MAX		30u
/* One more than the least for an interval: a sample may be lost. */
#define NR_BLOCKS_WANTED	(FL_STATS_BLOCKS_MIN + 1)

struct run {
	const struct fl_advise_options *options;
	struct fl_advise *advise;
	struct fl_complaint *why;
	char folder[PATH_MAX / 2];
	char link[64];			/* the trace, as plans call it */
	double started_s;
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double left_s(const struct run *r, double share)
{
	return share * r->options->seconds - (now_s() - r->started_s);
}

/* ---- the folder ---------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

/*
 * A folder for plans and results, with a link to the trace: plans cannot quote,
 * so its name there has no characters that mean something.
 */
static int make_folder(struct run *r)
{
	const char *slash = strrchr(r->options->trace, '/');
	const char *tmp = getenv("TMPDIR");
	char link[sizeof(r->folder) + sizeof(r->link) + 1], full[PATH_MAX];

	if (r->options->keep) {
		snprintf(r->folder, sizeof(r->folder), "%s", r->options->keep);
		if (mkdir(r->folder, 0777))
			return fl_complain(r->why, -errno,
				"--keep=%s: %s; name a folder that is not there yet",
				r->options->keep, strerror(errno));
	} else {
		snprintf(r->folder, sizeof(r->folder),
			 "%s/faultline-advise.XXXXXX", tmp && *tmp ? tmp : "/tmp");
		if (!mkdtemp(r->folder)) {
			const int err = -errno;

			fl_complain(r->why, err, "%s: %s; set TMPDIR, or use --keep",
				    r->folder, strerror(-err));
			*r->folder = '\0';
			return err;
		}
	}
	snprintf(r->link, sizeof(r->link), "%s",
		 slash ? slash + 1 : r->options->trace);
	for (char *c = r->link; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
			*c = '_';
	snprintf(link, sizeof(link), "%s/%s", r->folder, r->link);
	if (!realpath(r->options->trace, full) || symlink(full, link))
		return fl_complain(r->why, -errno, "%s: %s", link,
				   strerror(errno));
	return 0;
}

static void remove_folder(const struct run *r)
{
	if (*r->folder && !r->options->keep)
		nftw(r->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- a round ------------------------------------------------------------- */

static int write_plan(struct run *r, const struct fl_advise_round *round,
		      const char *path)
{
	FILE *to = fopen(path, "we");
	int err = to ? fl_advise_plan(r->options, r->advise, round, r->link, to) :
		       -errno;

	if (to && fclose(to) && !err)
		err = -errno;
	return err ? fl_complain(r->why, err, "%s: %s", path, strerror(-err)) : 0;
}

static int run_round(struct run *r, const struct fl_advise_round *round)
{
	char plan_path[PATH_MAX], output[PATH_MAX];
	struct fl_campaign_options campaign = {
		.output = output, .cpu = r->options->cpu, .quiet = true,
		.no_progress = r->options->no_progress,
		.place = round->number, .nr_places = FL_ADVISE_ROUNDS,
		.until_s = round->number < FL_ADVISE_ROUNDS ?
			   r->started_s + r->options->seconds : 0,
		.argc = r->options->argc, .argv = r->options->argv,
	};
	struct fl_results results;
	struct fl_plan plan;
	int err;

	snprintf(plan_path, sizeof(plan_path), "%s/%u-%s.ini", r->folder,
		 round->number, round->name);
	snprintf(output, sizeof(output), "%s/%u-%s", r->folder, round->number,
		 round->name);
	err = write_plan(r, round, plan_path);
	if (!err)
		err = fl_plan_load(plan_path, false, &plan, r->why);
	if (err)
		return err;
	err = fl_campaign_run(&plan, &campaign, r->why);
	fl_plan_free(&plan);
	if (err == -EINTR)
		return fl_complain(r->why, err, "stopped in round %u of %d: there is no advice without the last one",
				   round->number, FL_ADVISE_ROUNDS);
	if (!err)
		err = fl_results_load(output, &results, r->why);
	if (err)
		return err;
	err = fl_advise_read(r->advise, round, &results);
	fl_results_free(&results);
	return err ? fl_complain(r->why, err, "%s: %s", output, strerror(-err)) :
		     0;
}

/* ---- which candidates ---------------------------------------------------- */

/* The candidates as advice.h has them; anew after each round. */
static int tell_advice(struct fl_advise *a)
{
	free(a->of_advice);
	a->of_advice = calloc(a->nr_candidates, sizeof(*a->of_advice));
	if (!a->of_advice)
		return -ENOMEM;
	for (size_t i = 0; i < a->nr_candidates; i++) {
		const struct fl_advise_candidate *c = &a->candidates[i];

		a->of_advice[i] = (struct fl_advice_candidate){
			.usable = !*c->reason && c->ns.n && c->peak_pages > 0 &&
				  a->strategies[c->strategy].answer !=
				  FL_ANSWER_NEVER,
			.ns = c->round == FL_ADVISE_ROUNDS ? c->ns.median :
							     c->floor_ns,
			.pages = c->peak_pages,
			.blocks = c->round == FL_ADVISE_ROUNDS ? c->blocks :
								 NULL,
		};
	}
	a->input = (struct fl_advice_input){
		.candidates = a->of_advice, .nr = a->nr_candidates,
		.nr_blocks = a->nr_blocks,
		.noise = a->twin.n ? fabs(log(a->twin.ratio)) : 0,
	};
	return 0;
}

static int rank(struct run *r, size_t **order, size_t *nr)
{
	struct fl_advise *a = r->advise;

	free(*order);
	*order = calloc(a->nr_candidates + 1, sizeof(**order));
	if (!*order || tell_advice(a))
		return fl_complain(r->why, -ENOMEM, "%s", strerror(ENOMEM));
	*nr = fl_advice_rank(a->of_advice, a->nr_candidates, a->weight, *order);
	if (!*nr)
		return fl_complain(r->why, -ENODEV, "none of the strategies could replay %s: %s",
				   r->options->trace, a->nr_candidates &&
				   *a->candidates[0].reason ?
				   a->candidates[0].reason :
				   "`faultline list` says what this host supports");
	return 0;
}

/* What a sample of this trace took so far, mean. */
static double timed_wall_s(const struct fl_advise *a)
{
	double sum = 0;
	size_t nr = 0;

	for (size_t i = 0; i < a->nr_candidates; i++)
		if (a->candidates[i].wall_s > 0) {
			sum += a->candidates[i].wall_s;
			nr++;
		}
	return nr ? sum / (double)nr : 0;
}

/* How often in the time that is left; @each_s: what once takes. */
static uint32_t how_often(double seconds, double each_s, uint32_t least,
			  uint32_t most)
{
	const double n = each_s > 0 ? seconds / each_s : most;

	return n >= most ? most : n <= least ? least : (uint32_t)n;
}

/* ---- the rounds ---------------------------------------------------------- */

static int first_round(struct run *r)
{
	struct fl_advise *a = r->advise;
	struct fl_advise_round round = {
		.number = 1, .name = "strategies", .host = true,
		.account = true,
		/* What a sample of this trace takes is not known yet. */
		.nr_blocks = 1,
	};
	size_t *all;
	int err = fl_advise_begin(a);

	if (err)
		return fl_complain(r->why, err, "%s", strerror(-err));
	if (!a->nr_candidates)
		return fl_complain(r->why, -ENODEV, "this host supports none of the strategies: `faultline list` says why");
	all = calloc(a->nr_candidates, sizeof(*all));
	if (!all)
		return fl_complain(r->why, -ENOMEM, "%s", strerror(ENOMEM));
	for (size_t i = 0; i < a->nr_candidates; i++)
		all[i] = i;
	round.candidates = all;
	round.nr = a->nr_candidates;
	err = run_round(r, &round);
	free(all);
	return err;
}

static int second_round(struct run *r, const size_t *order, size_t nr)
{
	struct fl_advise *a = r->advise;
	const size_t first = a->nr_candidates;
	const double each_s = timed_wall_s(a) + a->account_wall_s;
	struct fl_advise_round round = {
		.number = 2, .name = "settings", .account = true,
		.nr_blocks = 1,
	};
	const uint32_t most = how_often(left_s(r, SHARE_SETTINGS), each_s,
					NR_VARIED_MIN, NR_VARIED_MAX);
	size_t *varied;
	int err = fl_advise_vary(a, order, nr < NR_VARIED_FROM ? nr :
				 NR_VARIED_FROM, most);

	if (err)
		return fl_complain(r->why, err, "%s", strerror(-err));
	varied = calloc(a->nr_candidates - first + 1, sizeof(*varied));
	if (!varied)
		return fl_complain(r->why, -ENOMEM, "%s", strerror(ENOMEM));
	for (size_t i = first; i < a->nr_candidates; i++)
		if (!*a->candidates[i].reason)
			varied[round.nr++] = i;
	round.candidates = varied;
	if (round.nr) {
		round.nr_blocks = how_often(left_s(r, SHARE_SETTINGS) -
			a->account_wall_s * (double)round.nr,
			timed_wall_s(a) * (double)round.nr, 1,
			NR_EARLY_BLOCKS_MAX);
		err = run_round(r, &round);
		a->varied = true;
	}
	free(varied);
	return err;
}

static int last_round(struct run *r, const size_t *order, size_t nr)
{
	struct fl_advise *a = r->advise;
	const double wall_s = timed_wall_s(a);
	struct fl_advise_round round = {
		.number = 3, .name = "last", .controls = true,
		.candidates = order,
	};

	round.nr = nr < NR_LAST_MAX ? nr : NR_LAST_MAX;
	for (;; round.nr--) {
		/* And the twin; the two of the host's cell are as one more. */
		round.nr_blocks = how_often(left_s(r, 1),
			wall_s * (double)(round.nr + 1) + 0.1, 2, NR_BLOCKS_MAX);
		if (round.nr_blocks >= NR_BLOCKS_WANTED ||
		    round.nr <= NR_LAST_MIN)
			break;
	}
	a->nr_blocks = round.nr_blocks;
	return run_round(r, &round);
}

static int all_rounds(struct run *r)
{
	struct fl_advise *a = r->advise;
	size_t *order = NULL, nr = 0;
	int err = first_round(r);

	if (!err)
		err = rank(r, &order, &nr);
	if (!err)
		err = second_round(r, order, nr);
	if (!err)
		err = rank(r, &order, &nr);
	if (!err)
		err = last_round(r, order, nr);
	free(order);
	if (!err && tell_advice(a))
		err = fl_complain(r->why, -ENOMEM, "%s", strerror(ENOMEM));
	if (err)
		return err;
	fl_advice_make(&a->input, a->weight, &a->advice);
	if (a->advice.advised == FL_ADVICE_NONE)
		return fl_complain(r->why, -ENODEV, "none of the last candidates could be measured: %s",
				   a->candidates[0].reason);
	a->nr_stretches = fl_advice_stretches(&a->input, a->stretches);
	a->seconds = now_s() - r->started_s;
	return 0;
}

int fl_advise_run(const struct fl_advise_options *options,
		  struct fl_advise *advise, struct fl_complaint *why)
{
	struct run r = { .options = options, .advise = advise, .why = why,
			 .started_s = now_s() };
	sigset_t stop, before;
	int err;

	*advise = (struct fl_advise){
		.weight = options->weight, .nr_ops = NR_OPS,
		.compare_ns = NAN, .fault_ns = NAN, .folder = options->keep,
	};
	err = fl_trace_read(options->trace, &advise->trace, why);
	if (err)
		return err;
	/* A large one is not to be in memory beside those of the samples. */
	free(advise->trace.words);
	advise->trace.words = NULL;
	if (!advise->trace.facts.nr_allocs)
		return fl_complain(why, -EINVAL, "%s allocates nothing: there is nothing to advise on",
				   options->trace);
	err = fl_advise_find(options, advise, why);
	if (err)
		return err;
	/*
	 * Told to stop between two rounds, the next one finds out; the folder is
	 * not to be left behind.
	 */
	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGHUP);
	sigprocmask(SIG_BLOCK, &stop, &before);
	err = make_folder(&r);
	if (!err)
		err = all_rounds(&r);
	remove_folder(&r);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return err;
}

void fl_advise_free(struct fl_advise *advise)
{
	for (size_t i = 0; i < advise->nr_strategies; i++)
		free(advise->strategies[i].name);
	for (size_t i = 0; i < advise->nr_candidates; i++)
		free(advise->candidates[i].blocks);
	free(advise->strategies);
	free(advise->candidates);
	free(advise->of_advice);
	fl_trace_free(&advise->trace);
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/advise.h"

/* Sums over a round of what its samples took. */
struct walls {
	double timed_s, account_s;
	size_t nr_timed, nr_account;
};

static bool is_for(const struct fl_result *r, const char *group,
		   const char *arm)
{
	return r->group && !strcmp(r->group, group) && !strcmp(r->arm, arm);
}

static double wall_s(const struct fl_result *r)
{
	return json_number_value(json_object_get(r->json, "wall_s"));
}

static double least(double a, double b)
{
	return isnan(a) || b < a ? b : a;
}

static void put_out(struct fl_advise_candidate *c, const struct fl_result *r)
{
	if (*c->reason)
		return;
	snprintf(c->reason, sizeof(c->reason), "%s%s%.*s",
		 r->status == FL_RESULT_UNSUPPORTED ? "" :
		 fl_result_status_name(r->status),
		 r->status == FL_RESULT_UNSUPPORTED ? "" : ": ",
		 (int)sizeof(c->reason) - 32, r->reason ? r->reason : "no reason given");
}

/* A repeat, which stands behind in the file, takes the place of the first. */
static void take_time(double *blocks, size_t nr, const struct fl_result *r)
{
	const double ns = fl_result_metric(r, "event_ns");

	if (r->block >= 0 && (size_t)r->block < nr && ns > 0)
		blocks[r->block] = ns;
}

static void take_pages(struct fl_advise_candidate *c, const struct fl_result *r)
{
	c->leaked_share = fl_result_metric(r, "leaked_share");
	c->peak_pages = fl_result_metric(r, "peak_resident_pages");
	c->over_live = fl_result_metric(r, "peak_resident_over_live");
}

/* What was seen of one candidate in the round. */
static void read_candidate(struct fl_advise *advise,
			   const struct fl_advise_round *round,
			   struct fl_advise_candidate *c,
			   const struct fl_results *results, struct walls *walls)
{
	char arm[FL_ADVISE_NAME_BYTES], time[FL_ADVISE_NAME_BYTES],
	     pages[FL_ADVISE_NAME_BYTES];
	double spent_s = 0;
	size_t nr = 0;

	fl_advise_arm(advise, c, arm);
	fl_advise_cell(c, FL_ADVISE_TIME, time);
	fl_advise_cell(c, FL_ADVISE_PAGES, pages);
	for (size_t i = 0; i < results->nr_results; i++) {
		const struct fl_result *r = &results->results[i];
		const bool timed = is_for(r, time, arm);

		if (!timed && !is_for(r, pages, arm))
			continue;
		if (r->status != FL_RESULT_OK) {
			put_out(c, r);
		} else if (timed) {
			const double allocs = fl_result_metric(r, "nr_allocs");

			take_time(c->blocks, round->nr_blocks, r);
			c->floor_ns = least(c->floor_ns,
				fl_result_metric(r, "alloc_best_ns") *
				fl_result_metric(r, "event_ns") /
				fl_result_metric(r, "alloc_ns"));
			c->slow_per_alloc = fl_result_metric(r, "events") /
					    allocs;
			spent_s += wall_s(r);
			nr++;
		} else {
			take_pages(c, r);
			walls->account_s += wall_s(r);
			walls->nr_account++;
		}
	}
	walls->timed_s += spent_s;
	walls->nr_timed += nr;
	c->wall_s = nr ? spent_s / (double)nr : 0;
}

static int summarise(struct fl_advise_candidate *c, size_t nr_blocks)
{
	double *there = calloc(nr_blocks, sizeof(*there));
	size_t n = 0;
	int err = there ? 0 : -ENOMEM;

	c->ns = (struct fl_interval){ .n = 0 };
	for (size_t i = 0; !err && i < nr_blocks; i++)
		if (isfinite(c->blocks[i]))
			there[n++] = c->blocks[i];
	if (n == 1)
		c->ns = (struct fl_interval){ there[0], there[0], there[0], 0, 1 };
	else if (n)
		err = fl_stats_interval_median(there, n, NULL, &c->ns);
	free(there);
	if (!err && !n && !*c->reason)
		snprintf(c->reason, sizeof(c->reason), "no sample");
	return err;
}

/* The same in two arms, block by block. */
static void compare(const double *a, const double *b, size_t nr,
		    struct fl_ratio *out)
{
	double *x = calloc(2 * nr + 1, sizeof(*x));
	size_t n = 0;

	out->n = 0;
	for (size_t i = 0; x && i < nr; i++)
		if (isfinite(a[i]) && isfinite(b[i])) {
			x[n] = a[i];
			x[nr + n++] = b[i];
		}
	/* Too few to say anything of: n stays 0. */
	if (x && fl_stats_paired_ratio(x, x + nr, n, out))
		out->n = 0;
	free(x);
}

static void read_controls(struct fl_advise *advise,
			  const struct fl_advise_round *round,
			  const struct fl_results *results)
{
	const size_t nr = round->nr_blocks;
	const struct fl_advise_candidate *first =
		&advise->candidates[round->candidates[0]];
	char arm[FL_ADVISE_NAME_BYTES], time[FL_ADVISE_NAME_BYTES];
	double *x = calloc(3 * nr, sizeof(*x));

	for (size_t i = 0; x && i < 3 * nr; i++)
		x[i] = NAN;
	fl_advise_arm(advise, first, arm);
	fl_advise_cell(first, FL_ADVISE_TIME, time);
	for (size_t i = 0; x && i < results->nr_results; i++) {
		const struct fl_result *r = &results->results[i];

		if (r->status != FL_RESULT_OK)
			continue;
		if (is_for(r, time, FL_ADVISE_TWIN))
			take_time(x, nr, r);
		else if (is_for(r, FL_ADVISE_HOST, FL_ADVISE_PLANTED))
			take_time(x + nr, nr, r);
		else if (is_for(r, FL_ADVISE_HOST, arm))
			take_time(x + 2 * nr, nr, r);
	}
	if (x) {
		compare(x, first->blocks, nr, &advise->twin);
		compare(x + nr, x + 2 * nr, nr, &advise->planted);
	}
	free(x);
}

/* What the host's cell says: a compare, a fault. */
static void read_host(struct fl_advise *advise,
		      const struct fl_advise_round *round,
		      const struct fl_results *results)
{
	double branch = NAN, never = NAN;

	for (size_t i = 0; i < round->nr; i++) {
		const struct fl_advise_candidate *c =
			&advise->candidates[round->candidates[i]];
		struct fl_advise_strategy *s = &advise->strategies[c->strategy];
		char arm[FL_ADVISE_NAME_BYTES];

		fl_advise_arm(advise, c, arm);
		for (size_t k = 0; k < results->nr_results; k++) {
			const struct fl_result *r = &results->results[k];

			if (r->status != FL_RESULT_OK ||
			    !is_for(r, FL_ADVISE_HOST, arm))
				continue;
			s->alloc_ns = least(s->alloc_ns,
				fl_result_metric(r, "alloc_best_ns"));
			s->slow_ns = least(s->slow_ns,
				fl_result_metric(r, "slow_p50_ns"));
			s->faults = fl_result_metric(r, "hits") > 0;
		}
		if (s->answer == FL_ANSWER_BRANCH)
			branch = least(branch, s->alloc_ns);
		if (s->answer == FL_ANSWER_NEVER)
			never = least(never, s->alloc_ns);
		if (s->faults)
			advise->fault_ns = least(advise->fault_ns, s->slow_ns);
	}
	advise->compare_ns = branch - never;
}

int fl_advise_read(struct fl_advise *advise, const struct fl_advise_round *round,
		   const struct fl_results *results)
{
	struct walls walls = { 0 };
	int err = 0;

	for (size_t i = 0; i < round->nr && !err; i++) {
		struct fl_advise_candidate *c =
			&advise->candidates[round->candidates[i]];

		free(c->blocks);
		c->blocks = calloc(round->nr_blocks, sizeof(*c->blocks));
		if (!c->blocks)
			return -ENOMEM;
		for (size_t b = 0; b < round->nr_blocks; b++)
			c->blocks[b] = NAN;
		c->round = round->number;
		read_candidate(advise, round, c, results, &walls);
		err = summarise(c, round->nr_blocks);
	}
	if (walls.nr_account)
		advise->account_wall_s = walls.account_s /
					 (double)walls.nr_account;
	if (!err && round->host)
		read_host(advise, round, results);
	if (!err && round->controls)
		read_controls(advise, round, results);
	return err;
}

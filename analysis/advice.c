/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>

#include "analysis/advice.h"

static double cost(const struct fl_advice_candidate *c, double weight)
{
	return weight * log(c->ns) + (1 - weight) * log(c->pages);
}

static bool beats(const struct fl_advice_candidate *a,
		  const struct fl_advice_candidate *b)
{
	return a->ns <= b->ns && a->pages <= b->pages &&
	       (a->ns < b->ns || a->pages < b->pages);
}

/* The cheaper; if they cost the same, the one that beats the other. */
static bool before(const struct fl_advice_candidate *a,
		   const struct fl_advice_candidate *b, double weight)
{
	const double of_a = cost(a, weight), of_b = cost(b, weight);

	return of_a < of_b || (!(of_b < of_a) && beats(a, b));
}

size_t fl_advice_rank(const struct fl_advice_candidate *candidates, size_t nr,
		      double weight, size_t *order)
{
	const double weights[] = { weight, 1, weight, 0, weight, 0.75, 0.25, 0.5 };
	const size_t nr_weights = sizeof(weights) / sizeof(*weights);
	bool *taken = calloc(nr ? nr : 1, sizeof(*taken));
	size_t done = 0;

	for (size_t turn = 0; taken; turn++) {
		const double w = weights[turn % nr_weights];
		size_t best = FL_ADVICE_NONE;

		for (size_t i = 0; i < nr; i++)
			if (candidates[i].usable && !taken[i] &&
			    (best == FL_ADVICE_NONE ||
			     before(&candidates[i], &candidates[best], w)))
				best = i;
		if (best == FL_ADVICE_NONE)
			break;
		taken[best] = true;
		order[done++] = best;
	}
	free(taken);
	return done;
}

/* Blocks in which both have a sample; returns how many. */
static size_t pair_up(const struct fl_advice_input *input, size_t a, size_t b,
		      double *of_a, double *of_b)
{
	const double *x = input->candidates[a].blocks;
	const double *y = input->candidates[b].blocks;
	size_t n = 0;

	for (size_t i = 0; i < input->nr_blocks; i++) {
		if (!isfinite(x[i]) || !isfinite(y[i]))
			continue;
		of_a[n] = x[i];
		of_b[n++] = y[i];
	}
	return n;
}

void fl_advice_margin_of(const struct fl_advice_input *input, size_t a, size_t b,
			 double weight, struct fl_advice_margin *out)
{
	const struct fl_advice_candidate *of_a = &input->candidates[a];
	const struct fl_advice_candidate *of_b = &input->candidates[b];
	const double memory = (1 - weight) * log(of_b->pages / of_a->pages);
	double *x = calloc(2 * input->nr_blocks + 1, sizeof(*x));
	struct fl_ratio time;
	size_t n;

	out->cost = cost(of_b, weight) - cost(of_a, weight);
	out->lo = out->hi = out->cost;
	out->has_interval = out->tied = out->enough = false;
	/* Pages are counted: without time there is nothing to be unsure of. */
	out->shown = !(weight > 0) && out->cost > 0;
	if (!x)
		return;
	n = pair_up(input, a, b, x, x + input->nr_blocks);
	if (weight > 0 &&
	    !fl_stats_paired_ratio(x + input->nr_blocks, x, n, &time)) {
		out->cost = weight * log(time.ratio) + memory;
		out->lo = weight * log(time.lo) + memory;
		out->hi = weight * log(time.hi) + memory;
		out->has_interval = true;
		out->tied = out->lo - weight * input->noise <= 0 &&
			    out->hi + weight * input->noise >= 0;
		out->enough = n >= FL_STATS_BLOCKS_MIN;
		out->shown = out->enough && !out->tied && out->cost > 0;
	}
	free(x);
}

static bool among_the_last(const struct fl_advice_candidate *c)
{
	return c->usable && c->blocks;
}

static bool is_beaten(const struct fl_advice_input *input, size_t which)
{
	for (size_t i = 0; i < input->nr; i++)
		if (among_the_last(&input->candidates[i]) &&
		    beats(&input->candidates[i], &input->candidates[which]))
			return true;
	return false;
}

void fl_advice_make(const struct fl_advice_input *input, double weight,
		    struct fl_advice *out)
{
	const struct fl_advice_candidate *c = input->candidates;
	size_t best = FL_ADVICE_NONE, advised, next = FL_ADVICE_NONE;

	*out = (struct fl_advice){ .advised = FL_ADVICE_NONE,
				   .next = FL_ADVICE_NONE };
	for (size_t i = 0; i < input->nr; i++)
		if (among_the_last(&c[i]) &&
		    (best == FL_ADVICE_NONE || before(&c[i], &c[best], weight)))
			best = i;
	if (best == FL_ADVICE_NONE)
		return;
	advised = best;
	for (size_t i = 0; i < input->nr; i++) {
		struct fl_advice_margin margin;

		if (i == best || !among_the_last(&c[i]) || is_beaten(input, i) ||
		    !(c[i].pages < c[advised].pages))
			continue;
		fl_advice_margin_of(input, best, i, weight, &margin);
		if (margin.tied && margin.enough)
			advised = i;
	}
	for (size_t i = 0; i < input->nr; i++)
		if (i != advised && among_the_last(&c[i]) &&
		    (next == FL_ADVICE_NONE || before(&c[i], &c[next], weight)))
			next = i;
	out->advised = advised;
	out->next = next;
	if (next != FL_ADVICE_NONE)
		fl_advice_margin_of(input, advised, next, weight, &out->margin);
}

size_t fl_advice_stretches(const struct fl_advice_input *input,
			   struct fl_advice_stretch *out)
{
	size_t nr = 0;

	for (int step = 0; step <= FL_ADVICE_STEPS; step++) {
		const double weight = (double)step / FL_ADVICE_STEPS;
		struct fl_advice advice;

		fl_advice_make(input, weight, &advice);
		if (advice.advised == FL_ADVICE_NONE)
			return 0;
		if (!nr || out[nr - 1].advised != advice.advised)
			out[nr++] = (struct fl_advice_stretch){
				.from = weight, .advised = advice.advised,
			};
		out[nr - 1].to = weight;
	}
	return nr;
}

size_t fl_advice_beaten_by(const struct fl_advice_candidate *candidates,
			   size_t nr, size_t which)
{
	for (size_t i = 0; i < nr; i++)
		if (candidates[i].usable &&
		    !candidates[i].blocks == !candidates[which].blocks &&
		    beats(&candidates[i], &candidates[which]))
			return i;
	return FL_ADVICE_NONE;
}

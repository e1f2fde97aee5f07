/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/compare.h"

static const char *const verdict_names[FL_COMPARE_NR_VERDICTS] = {
	[FL_COMPARE_SAME] = "same",
	[FL_COMPARE_FASTER] = "faster",
	[FL_COMPARE_SLOWER] = "slower",
	[FL_COMPARE_UNDECIDED] = "undecided",
	[FL_COMPARE_UNKNOWN] = "unknown",
};

const char *fl_compare_verdict_name(enum fl_compare_verdict verdict)
{
	return verdict_names[verdict];
}

/* One campaign's side of a pair. */
struct side {
	const struct fl_summary *summary;
	const struct fl_summary_cell *cell;
	const struct fl_summary_arm *arm;
};

/* What block @i of the side took, or NaN. */
static double block_value(const struct side *side, size_t i, bool relative)
{
	const struct fl_summary_arm *baseline = side->cell->baseline;
	const double ns = side->arm->block_ns[i];

	if (!relative)
		return ns;
	return baseline ? ns / baseline->block_ns[i] : NAN;
}

/* All values of a side into @values; returns how many. */
static size_t gather(const struct side *side, bool relative, double *values)
{
	size_t nr = 0;

	for (size_t i = 0; i < side->summary->nr_blocks; i++) {
		const double value = block_value(side, i, relative);

		if (!isnan(value))
			values[nr++] = value;
	}
	return nr;
}

/* Those of blocks that both sides have; block numbers ascend. */
static size_t gather_pairs(const struct side *was, const struct side *is,
			   bool relative, double *x, double *y)
{
	size_t i = 0, k = 0, nr = 0;

	while (i < was->summary->nr_blocks && k < is->summary->nr_blocks) {
		const int64_t a = was->summary->blocks[i];
		const int64_t b = is->summary->blocks[k];

		if (a == b) {
			x[nr] = block_value(is, k, relative);
			y[nr] = block_value(was, i, relative);
			nr += !isnan(x[nr]) && !isnan(y[nr]);
		}
		i += a <= b;
		k += b <= a;
	}
	return nr;
}

static bool share_inputs(const struct fl_summary *a, const struct fl_summary *b)
{
	const json_t *x = json_object_get(a->results->campaign, "seed");
	const json_t *y = json_object_get(b->results->campaign, "seed");

	return json_is_integer(x) && json_equal(x, y);
}

static enum fl_compare_verdict judge(const struct fl_ratio *ratio, double within)
{
	if (!ratio->n || ratio->confidence < FL_STATS_CONFIDENCE)
		return FL_COMPARE_UNKNOWN;
	if (ratio->lo > 1 + within)
		return FL_COMPARE_SLOWER;
	if (ratio->hi < 1 / (1 + within))
		return FL_COMPARE_FASTER;
	return fl_stats_equivalent(ratio, within) ? FL_COMPARE_SAME :
						    FL_COMPARE_UNDECIDED;
}

/* Too few samples leave the ratio as it is: n = 0. */
static int compare_sides(const struct side *was, const struct side *is,
			 const struct fl_compare_options *options,
			 struct fl_compare_pair *pair)
{
	const size_t room = was->summary->nr_blocks > is->summary->nr_blocks ?
			    was->summary->nr_blocks : is->summary->nr_blocks;
	double *x = calloc(room, sizeof(*x)), *y = calloc(room, sizeof(*y));
	size_t nr_x, nr_y;
	int err = -ENOMEM;

	if (!x || !y)
		goto out_free;
	if (share_inputs(was->summary, is->summary)) {
		nr_x = gather_pairs(was, is, options->relative, x, y);
		pair->paired = nr_x >= FL_STATS_BLOCKS_MIN;
		if (pair->paired)
			err = fl_stats_paired_ratio(x, y, nr_x, &pair->ratio);
	}
	if (!pair->paired) {
		nr_x = gather(is, options->relative, x);
		nr_y = gather(was, options->relative, y);
		err = fl_stats_unpaired_ratio(x, nr_x, y, nr_y, NULL,
					      &pair->ratio);
	}
	if (err == -ENODATA || err == -EINVAL)
		err = 0;
	pair->verdict = judge(&pair->ratio, options->within);
out_free:
	free(y);
	free(x);
	return err;
}

static const struct fl_summary_cell *find_cell(const struct fl_summary *s,
					       const char *name)
{
	for (size_t i = 0; i < s->nr_cells; i++)
		if (!strcmp(s->cells[i].name, name))
			return &s->cells[i];
	return NULL;
}

static bool takes_part(const struct fl_summary_arm *arm)
{
	return arm && arm->role != FL_RESULT_PLANTED && arm->alloc_ns.n;
}

/* Arms of @a's cells that were timed there and not in @b; the first into @first. */
static size_t only_in(const struct fl_summary *a, const struct fl_summary *b,
		      struct fl_compare_lost *first)
{
	size_t nr = 0;

	for (size_t c = 0; c < a->nr_cells; c++) {
		const struct fl_summary_cell *of = &a->cells[c];
		const struct fl_summary_cell *other = find_cell(b, of->name);

		for (size_t i = 0; i < of->nr_arms; i++) {
			if (!takes_part(&of->arms[i]) ||
			    takes_part(fl_cell_arm(other, of->arms[i].name)))
				continue;
			if (!nr++)
				*first = (struct fl_compare_lost){ of, &of->arms[i] };
		}
	}
	return nr;
}

static int compare_cell(const struct side *was_side, const struct side *is_side,
			const struct fl_compare_options *options,
			struct fl_comparison *c)
{
	struct side was = *was_side, is = *is_side;

	for (size_t i = 0; i < was.cell->nr_arms; i++) {
		struct fl_compare_pair *more, pair = { .cell = was.cell };
		int err;

		was.arm = &was.cell->arms[i];
		is.arm = fl_cell_arm(is.cell, was.arm->name);
		if (!takes_part(was.arm) || !takes_part(is.arm))
			continue;
		pair.was = was.arm;
		pair.is = is.arm;
		pair.settings_differ = strcmp(was.arm->settings,
					      is.arm->settings) != 0;
		err = compare_sides(&was, &is, options, &pair);
		if (err)
			return err;
		more = reallocarray(c->pairs, c->nr_pairs + 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		c->pairs = more;
		c->pairs[c->nr_pairs++] = pair;
		c->nr[pair.verdict]++;
	}
	return 0;
}

int fl_compare(const struct fl_summary *was, const struct fl_summary *is,
	       const struct fl_compare_options *options,
	       struct fl_comparison *out)
{
	struct fl_comparison c = { .pairs = NULL };
	struct fl_compare_lost gained;

	c.nr_only_old = only_in(was, is, &c.lost);
	c.nr_only_new = only_in(is, was, &gained);
	for (size_t i = 0; i < was->nr_cells; i++) {
		const struct side old = { was, &was->cells[i], NULL };
		const struct side new = {
			is, find_cell(is, was->cells[i].name), NULL
		};
		int err = new.cell ? compare_cell(&old, &new, options, &c) : 0;

		if (err) {
			fl_compare_free(&c);
			return err;
		}
	}
	*out = c;
	return 0;
}

void fl_compare_free(struct fl_comparison *comparison)
{
	free(comparison->pairs);
	*comparison = (struct fl_comparison){ .pairs = NULL };
}

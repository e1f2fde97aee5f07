/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/breakeven.h"
#include "analysis/summary_make.h"
#include "harness/clock.h"

/* ---- what the other files share ----------------------------------------- */

void *fl_maker_room(struct fl_maker *m, void *list, size_t nr,
		    size_t item_bytes)
{
	void *grown;

	if (nr & (nr - 1))
		return list;
	grown = realloc(list, (nr ? 2 * nr : 1) * item_bytes);
	if (!grown)
		m->failed = true;
	return grown;
}

const char *fl_maker_text(struct fl_maker *m, const char *format, ...)
{
	size_t nr = m->s.nr_texts;
	char *made = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&made, format, args) < 0)
		made = NULL;
	va_end(args);
	if (made)
		FL_PUSH(m, m->s.texts, m->s.nr_texts, made);
	if (m->s.nr_texts == nr) {
		free(made);
		m->failed = true;
		return "";
	}
	return made;
}

/*
 * The blocks in which both arms were timed: @ns has room for two times as many
 * as there are, and gets those of @a first.  Returns how many.
 */
static size_t pairs(const struct fl_summary *s, const struct fl_summary_arm *a,
		    const struct fl_summary_arm *b, double *ns)
{
	size_t n = 0;

	for (size_t i = 0; i < s->nr_blocks; i++)
		if (!isnan(a->block_ns[i]) && !isnan(b->block_ns[i])) {
			ns[n] = a->block_ns[i];
			ns[s->nr_blocks + n] = b->block_ns[i];
			n++;
		}
	return n;
}

void fl_maker_pair(struct fl_maker *m, const struct fl_summary_arm *a,
		   const struct fl_summary_arm *b, struct fl_ratio *out)
{
	double *ns = calloc(2 * m->s.nr_blocks, sizeof(*ns));

	*out = (struct fl_ratio){ .ratio = NAN, .lo = NAN, .hi = NAN };
	if (!ns || fl_stats_paired_ratio(ns, ns + m->s.nr_blocks,
					 pairs(&m->s, a, b, ns), out) ==
	    -ENOMEM)
		m->failed = true;
	free(ns);
}

const struct fl_summary_arm *fl_cell_arm(const struct fl_summary_cell *cell,
					 const char *name)
{
	for (size_t i = 0; cell && name && i < cell->nr_arms; i++)
		if (!strcmp(cell->arms[i].name, name))
			return &cell->arms[i];
	return NULL;
}

const struct fl_summary_arm *
fl_cell_timed_arm(const struct fl_summary_cell *cell, const char *name)
{
	const struct fl_summary_arm *arm = fl_cell_arm(cell, name);

	return arm && arm->alloc_ns.n ? arm : NULL;
}

/* ---- orders ------------------------------------------------------------- */

/* One arm's samples together; of one block, the final one last. */
static int by_sample(const void *pa, const void *pb)
{
	const struct fl_result *a = *(const struct fl_result *const *)pa;
	const struct fl_result *b = *(const struct fl_result *const *)pb;
	int order;

	if ((order = strcmp(a->cell, b->cell)) ||
	    (order = strcmp(a->arm, b->arm)) ||
	    (order = a->accounts - b->accounts) ||
	    (order = (a->block > b->block) - (a->block < b->block)) ||
	    (order = (a->repeat > b->repeat) - (a->repeat < b->repeat)))
		return order;
	return fl_by_number(a->line, b->line);
}

static int answer_rank(const char *answer)
{
	static const char *const answers[] = {
		"never", "branch", "extend", "redirect"
	};

	for (int i = 0; i < 4; i++)
		if (answer && !strcmp(answer, answers[i]))
			return i;
	return 4;
}

/* The arms of an experiment first, then the controls. */
static int by_arm(const void *pa, const void *pb)
{
	const struct fl_summary_arm *a = pa, *b = pb;
	int role_a = a->role > FL_RESULT_ARM ? (int)a->role : 0;
	int role_b = b->role > FL_RESULT_ARM ? (int)b->role : 0;
	int order;

	if ((order = role_a - role_b) ||
	    (order = answer_rank(a->answer) - answer_rank(b->answer)))
		return order;
	return strcmp(a->name, b->name);
}

static int by_cell(const void *pa, const void *pb)
{
	const struct fl_summary_cell *a = pa, *b = pb;
	int order;

	if ((order = fl_by_number(a->order, b->order)) ||
	    (order = fl_by_text(a->kernel, b->kernel)) ||
	    (order = fl_by_text(a->trace, b->trace)) ||
	    (order = fl_by_number(a->object_bytes, b->object_bytes)) ||
	    (order = a->fresh - b->fresh) ||
	    (order = fl_residence_rank(a->residence) -
		     fl_residence_rank(b->residence)) ||
	    (order = fl_by_number(a->block_bytes, b->block_bytes)))
		return order;
	return strcmp(a->name, b->name);
}

static int by_block(const void *pa, const void *pb)
{
	const int64_t *a = pa, *b = pb;

	return (*a > *b) - (*a < *b);
}

static int by_metric(const void *pa, const void *pb)
{
	const struct fl_summary_metric *a = pa, *b = pb;

	return strcmp(a->name, b->name);
}

/* ---- arms --------------------------------------------------------------- */

static size_t block_index(const struct fl_summary *s, int64_t block)
{
	const int64_t *found = bsearch(&block, s->blocks, s->nr_blocks,
				       sizeof(block), by_block);

	return (size_t)(found - s->blocks);
}

static void add_reason(struct fl_maker *m, struct fl_summary_arm *arm,
		       const struct fl_result *r)
{
	const char *why = r->reason && *r->reason ? r->reason : "no reason given";

	for (size_t i = 0; i < arm->nr_reasons; i++) {
		struct fl_summary_reason *known = &arm->reasons[i];

		if (known->status == r->status &&
		    known->accounts == r->accounts &&
		    !strcmp(known->text, why)) {
			known->nr++;
			return;
		}
	}
	FL_PUSH(m, arm->reasons, arm->nr_reasons, (struct fl_summary_reason){
		.status = r->status, .text = why, .accounts = r->accounts,
		.nr = 1,
	});
}

static void merge_slow(struct fl_maker *m, struct fl_summary_slow *slow,
		       const struct fl_hist *hist)
{
	if (!slow->hist) {
		slow->hist = malloc(sizeof(*slow->hist));
		if (!slow->hist) {
			m->failed = true;
			return;
		}
		fl_hist_reset(slow->hist);
	}
	fl_hist_merge(slow->hist, hist);
}

static void add_slow(struct fl_maker *m, struct fl_summary_arm *arm,
		     const struct fl_result *r)
{
	const json_t *json = json_object_get(r->json, "latency");
	double step_ns = fl_result_metric(r, "clock_step_ns");
	double pair_ns = fl_result_metric(r, "clock_pair_ns");
	struct fl_summary_slow *slow = &arm->slow;
	struct fl_hist *hist;

	slow->step_ns = fmax(slow->step_ns, isnan(step_ns) ? 0 : step_ns);
	slow->pair_ns = fmax(slow->pair_ns, isnan(pair_ns) ? 0 : pair_ns);
	if (!json || json_is_null(json)) {
		if (!slow->missing)
			slow->missing = fl_result_unavailable(r, "slow_n");
		if (!slow->missing)
			slow->missing = fl_result_unavailable(r, "slow_p50_ns");
		return;
	}
	hist = malloc(sizeof(*hist));
	if (!hist) {
		m->failed = true;
		return;
	}
	if (fl_hist_from_json(json, hist, NULL))
		slow->missing = "the histogram in the results is not valid";
	else if (hist->nr_values)
		merge_slow(m, slow, hist);
	free(hist);
}

/* After the last sample: can the clock tell these durations apart? */
static void judge_slow(struct fl_summary_slow *slow)
{
	uint64_t ns;

	if (!slow->hist)
		return;
	slow->missing = NULL;
	slow->resolved = !fl_hist_percentile(slow->hist, 500000, &ns) &&
			 (double)ns >= FL_CLOCK_STEPS_MIN * slow->step_ns &&
			 (double)ns >= FL_CLOCK_PAIRS_MIN * slow->pair_ns;
}

/* What the samples' metrics were, before medians: name after name. */
struct values {
	const char *name;
	double *values;
	size_t nr;
};

static struct values *values_of(struct fl_maker *m, struct values **all,
				size_t *nr, const char *name)
{
	for (size_t i = 0; i < *nr; i++)
		if (!strcmp((*all)[i].name, name))
			return &(*all)[i];
	FL_PUSH(m, *all, *nr, (struct values){ .name = name });
	return m->failed ? NULL : &(*all)[*nr - 1];
}

static void add_metrics(struct fl_maker *m, struct values **all, size_t *nr,
			const struct fl_result *r)
{
	json_t *metrics = json_object_get(r->json, "metrics"), *value;
	const char *name;

	json_object_foreach(metrics, name, value) {
		struct values *known;

		if (!json_is_number(value))
			continue;
		known = values_of(m, all, nr, name);
		if (!known)
			return;
		FL_PUSH(m, known->values, known->nr, json_number_value(value));
	}
}

static void make_metrics(struct fl_maker *m, struct fl_summary_arm *arm,
			 struct values *all, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		struct fl_summary_metric metric = {
			.name = all[i].name, .n = all[i].nr,
			.min = INFINITY, .max = -INFINITY,
			.lo = NAN, .hi = NAN,
		};
		struct fl_interval interval;

		for (size_t j = 0; j < all[i].nr; j++) {
			metric.min = fmin(metric.min, all[i].values[j]);
			metric.max = fmax(metric.max, all[i].values[j]);
		}
		if (!fl_stats_interval_median(all[i].values, all[i].nr, NULL,
					      &interval)) {
			metric.lo = interval.lo;
			metric.hi = interval.hi;
		}
		if (!fl_stats_median(all[i].values, all[i].nr, &metric.median))
			FL_PUSH(m, arm->metrics, arm->nr_metrics, metric);
		free(all[i].values);
	}
	free(all);
	if (arm->nr_metrics)
		qsort(arm->metrics, arm->nr_metrics, sizeof(*arm->metrics),
		      by_metric);
}

static void use_sample(struct fl_maker *m, struct fl_summary_arm *arm,
		       const struct fl_result *r)
{
	double ns = fl_result_metric(r, r->bench ? "op_ns" : "alloc_ns");
	double events = fl_result_metric(r, "events");
	double implied = fl_result_metric(r, "events_implied");

	if (isfinite(ns) && ns > 0)
		arm->block_ns[block_index(&m->s, r->block)] = ns;
	arm->block_build[block_index(&m->s, r->block)] = (unsigned int)r->build;
	arm->block_slow_ns[block_index(&m->s, r->block)] =
		fl_result_metric(r, "slow_mean_ns");
	if (isfinite(events) && isfinite(implied) && events != implied)
		arm->nr_uneven++;
	add_slow(m, arm, r);
}

static void make_time(struct fl_maker *m, struct fl_summary_arm *arm)
{
	double *ns = calloc(m->s.nr_blocks, sizeof(*ns));
	size_t n = 0;

	if (!ns) {
		m->failed = true;
		return;
	}
	for (size_t i = 0; i < m->s.nr_blocks; i++)
		if (!isnan(arm->block_ns[i]))
			ns[n++] = arm->block_ns[i];
	if (n == 1)
		arm->alloc_ns = (struct fl_interval){
			.median = ns[0], .lo = NAN, .hi = NAN, .n = 1,
		};
	else if (n && fl_stats_interval_median(ns, n, NULL, &arm->alloc_ns))
		m->failed = true;
	free(ns);
}

/* @nr lines of one arm in one cell, sorted by_sample. */
static void make_arm(struct fl_maker *m, const struct fl_result **lines, size_t nr,
		     struct fl_summary_arm *arm)
{
	const struct fl_result *first = lines[0];
	struct values *values = NULL;
	size_t nr_values = 0;

	/* A line that the campaign wrote in a sample's place knows less. */
	for (size_t i = nr; i-- > 0;)
		if (lines[i]->answer)
			first = lines[i];
	*arm = (struct fl_summary_arm){
		.name = first->arm, .strategy = first->strategy,
		.settings = first->settings, .answer = first->answer,
		.trigger = first->trigger, .compiler = first->compiler,
		.role = first->role,
		.of = first->of,
		.block_ns = malloc(m->s.nr_blocks * sizeof(*arm->block_ns)),
		.block_slow_ns = malloc(m->s.nr_blocks *
					sizeof(*arm->block_slow_ns)),
		.block_build = calloc(m->s.nr_blocks, sizeof(*arm->block_build)),
	};
	if (!arm->block_ns || !arm->block_slow_ns || !arm->block_build) {
		m->failed = true;
		return;
	}
	for (size_t i = 0; i < m->s.nr_blocks; i++)
		arm->block_ns[i] = arm->block_slow_ns[i] = NAN;

	for (size_t i = 0, next; i < nr; i = next) {
		const struct fl_result *r;

		for (next = i + 1; next < nr &&
		     lines[next]->accounts == lines[i]->accounts &&
		     lines[next]->block == lines[i]->block; next++)
			;
		r = lines[next - 1];
		m->s.nr_status[r->status]++;
		arm->nr_repeated += next - i > 1;
		if (r->status != FL_RESULT_OK)
			add_reason(m, arm, r);
		if (r->accounts) {
			if (r->status == FL_RESULT_OK && !arm->pages)
				arm->pages = r;
			continue;
		}
		arm->nr_blocks++;
		if (r->status != FL_RESULT_OK)
			continue;
		arm->nr_ok++;
		arm->nr_flagged += r->nr_flags > 0;
		use_sample(m, arm, r);
		add_metrics(m, &values, &nr_values, r);
	}
	m->s.nr_flagged += arm->nr_flagged;
	m->s.nr_repeated += arm->nr_repeated;
	make_metrics(m, arm, values, nr_values);
	make_time(m, arm);
	judge_slow(&arm->slow);
}

/* ---- cells -------------------------------------------------------------- */

int fl_summary_second_opinion(const struct fl_summary *s,
			      const struct fl_summary_cell *cell,
			      const struct fl_summary_arm *arm,
			      struct fl_interval *out)
{
	const struct fl_stats_options options =
		FL_STATS_OPTIONS(FL_STATS_BOOTSTRAP);
	double *ns;
	size_t n;
	int err;

	if (!cell->baseline || arm == cell->baseline)
		return -ENODATA;
	ns = calloc(2 * s->nr_blocks, sizeof(*ns));
	if (!ns)
		return -ENOMEM;
	n = pairs(s, arm, cell->baseline, ns);
	for (size_t i = 0; i < n; i++)
		ns[i] = log(ns[i]) - log(ns[s->nr_blocks + i]);
	err = fl_stats_interval_median(ns, n, &options, out);
	free(ns);
	if (!err) {
		out->lo = exp(out->lo);
		out->hi = exp(out->hi);
		out->median = exp(out->median);
	}
	return err;
}

static void rank_arms(struct fl_maker *m, struct fl_summary_cell *cell)
{
	for (size_t i = 0; i < cell->nr_arms; i++) {
		const struct fl_summary_arm *arm = &cell->arms[i];

		if (fl_is_control(arm) || !arm->alloc_ns.n ||
		    answer_rank(arm->answer) == 0)
			continue;
		if (!cell->fastest || arm->alloc_ns.median <
				      cell->fastest->alloc_ns.median) {
			cell->second = cell->fastest;
			cell->fastest = arm;
		} else if (!cell->second || arm->alloc_ns.median <
					    cell->second->alloc_ns.median) {
			cell->second = arm;
		}
	}
	if (cell->second)
		fl_maker_pair(m, cell->second, cell->fastest, &cell->lead);
}

static enum fl_summary_verdict judge_twin(const struct fl_ratio *ratio,
					  double delta)
{
	if (ratio->n < FL_STATS_BLOCKS_MIN)
		return FL_VERDICT_UNJUDGED;
	if (fl_stats_differs(ratio) &&
	    (ratio->lo > 1 + delta || ratio->hi < 1 / (1 + delta)))
		return FL_VERDICT_BAD;
	return fl_stats_equivalent(ratio, delta) ? FL_VERDICT_GOOD :
						   FL_VERDICT_UNDECIDED;
}

static enum fl_summary_verdict judge_planted(const struct fl_ratio *ratio)
{
	if (ratio->n < FL_STATS_BLOCKS_MIN)
		return FL_VERDICT_UNJUDGED;
	return fl_stats_differs(ratio) && ratio->lo > 1 ? FL_VERDICT_GOOD :
							  FL_VERDICT_BAD;
}

/*
 * What a twin or planted arm doubles.  Where the results do not say, what equals
 * it in all but the name; if several do, the baseline or the first.
 */
static const struct fl_summary_arm *doubled_by(const struct fl_summary_cell *cell,
					       const struct fl_summary_arm *arm)
{
	const struct fl_summary_arm *found = fl_cell_arm(cell, arm->of);

	if (found)
		return found;
	for (size_t i = 0; i < cell->nr_arms; i++) {
		const struct fl_summary_arm *other = &cell->arms[i];

		if (!fl_is_control(other) &&
		    !strcmp(other->strategy, arm->strategy) &&
		    !strcmp(other->settings, arm->settings) &&
		    (!found || other->role == FL_RESULT_BASELINE))
			found = other;
	}
	return found ? found : cell->baseline;
}

static void judge_control(struct fl_maker *m, struct fl_summary_cell *cell,
			  struct fl_summary_arm *arm)
{
	const struct fl_summary_arm *of = doubled_by(cell, arm);

	arm->of = of ? of->name : "what it doubles";
	if (of)
		fl_maker_pair(m, arm, of, &arm->control);
	if (arm->role == FL_RESULT_TWIN && arm->control.n > 1)
		cell->resolution = fmax(cell->resolution,
					fmax(arm->control.hi,
					     1 / arm->control.lo) - 1);
	if (arm->role == FL_RESULT_TWIN) {
		arm->verdict = judge_twin(&arm->control, m->s.delta);
		if (cell->twin != FL_VERDICT_BAD)
			cell->twin = arm->verdict;
	} else {
		arm->verdict = judge_planted(&arm->control);
		if (cell->planted != FL_VERDICT_BAD)
			cell->planted = arm->verdict;
	}
}

/* Place of the cell in the plan; after all others where it is not there. */
static size_t planned_order(const struct fl_results *results, const char *name)
{
	const json_t *cells = json_object_get(results->campaign, "cells");
	size_t i = 0;

	while (i < json_array_size(cells) &&
	       fl_by_text(json_string_value(json_object_get(
				json_array_get(cells, i), "cell")), name))
		i++;
	return i;
}

/*
 * What a kernel on objects of a size, a trace, or a bench is called; with the plan's
 * own word for it, unless that only says the same again.
 */
static void name_workload(struct fl_maker *m, struct fl_summary_cell *cell,
			  const char *group)
{
	const char *kernel = cell->bench ? cell->bench :
			     cell->kernel ? cell->kernel : cell->name;
	char size[40] = "";

	if (!group)
		group = fl_maker_text(m, "%.*s", (int)strcspn(cell->name, "/"),
				      cell->name);
	if (cell->object_bytes)
		snprintf(size, sizeof(size), ", %ju-byte objects",
			 (uintmax_t)cell->object_bytes);
	cell->title = fl_maker_text(m, "%s%s%s%s%s", kernel,
				    cell->trace ? " of " : "",
				    cell->trace ? cell->trace : "", size,
				    cell->fresh ? ", first touch" : "");
	if (strncmp(group, kernel, strlen(kernel)))
		cell->title = fl_maker_text(m, "%s (%s)", cell->title, group);
}

/* @nr lines of one cell, sorted by_sample. */
static void make_cell(struct fl_maker *m, const struct fl_result **lines, size_t nr,
		      struct fl_summary_cell *cell)
{
	*cell = (struct fl_summary_cell){
		.name = lines[0]->cell, .resolution = NAN,
	};
	for (size_t i = 0; i < nr; i++) {
		const struct fl_result *r = lines[i];

		/* What an unsupported sample did not get to say, others do. */
		cell->bench = cell->bench ? cell->bench : r->bench;
		cell->op = cell->op ? cell->op : r->op;
		cell->kernel = cell->kernel ? cell->kernel : r->kernel;
		cell->trace = cell->trace ? cell->trace : r->trace;
		cell->fresh |= r->fresh;
		if (!r->accounts || !cell->residence)
			cell->residence = r->residence ? r->residence :
							 cell->residence;
		if (!cell->object_bytes)
			cell->object_bytes = r->object_bytes;
		if (!cell->block_bytes)
			cell->block_bytes = r->block_bytes;
		if (!cell->lifetime_bytes)
			cell->lifetime_bytes = r->lifetime_bytes;
	}
	name_workload(m, cell, lines[0]->group);
	cell->order = planned_order(m->s.results, cell->name);
	for (size_t i = 0, next; i < nr && !m->failed; i = next) {
		for (next = i + 1; next < nr &&
		     !strcmp(lines[next]->arm, lines[i]->arm); next++)
			;
		FL_PUSH(m, cell->arms, cell->nr_arms, (struct fl_summary_arm){
			.name = NULL });
		if (!m->failed)
			make_arm(m, lines + i, next - i,
				 &cell->arms[cell->nr_arms - 1]);
	}
	if (m->failed)
		return;
	qsort(cell->arms, cell->nr_arms, sizeof(*cell->arms), by_arm);
	for (size_t i = 0; i < cell->nr_arms; i++) {
		const struct fl_summary_arm *arm = &cell->arms[i];

		cell->nr_timed += arm->nr_blocks > 0;
		if (arm->role == FL_RESULT_BASELINE)
			cell->baseline = arm;
	}
	for (size_t i = 0; i < cell->nr_arms; i++) {
		struct fl_summary_arm *arm = &cell->arms[i];

		if (cell->baseline && arm != cell->baseline)
			fl_maker_pair(m, arm, cell->baseline, &arm->ratio);
		if (fl_is_control(arm) && arm->nr_blocks)
			judge_control(m, cell, arm);
	}
	rank_arms(m, cell);
}

static void make_cells(struct fl_maker *m)
{
	size_t nr = m->s.results->nr_results;

	for (size_t i = 0, next; i < nr && !m->failed; i = next) {
		for (next = i + 1; next < nr &&
		     !strcmp(m->sorted[next]->cell, m->sorted[i]->cell); next++)
			;
		FL_PUSH(m, m->s.cells, m->s.nr_cells,
		     (struct fl_summary_cell){ .name = NULL });
		if (!m->failed)
			make_cell(m, m->sorted + i, next - i,
				  &m->s.cells[m->s.nr_cells - 1]);
	}
	if (!m->failed)
		qsort(m->s.cells, m->s.nr_cells, sizeof(*m->s.cells), by_cell);
}

static void make_blocks(struct fl_maker *m)
{
	const struct fl_results *r = m->s.results;
	size_t nr = 0;

	m->s.blocks = calloc(r->nr_results, sizeof(*m->s.blocks));
	if (!m->s.blocks) {
		m->failed = true;
		return;
	}
	for (size_t i = 0; i < r->nr_results; i++)
		m->s.blocks[i] = r->results[i].block;
	qsort(m->s.blocks, r->nr_results, sizeof(*m->s.blocks), by_block);
	for (size_t i = 0; i < r->nr_results; i++)
		if (!i || m->s.blocks[i] != m->s.blocks[nr - 1])
			m->s.blocks[nr++] = m->s.blocks[i];
	m->s.nr_blocks = nr;
}

/* ---- over all cells ----------------------------------------------------- */

static void note_strategy(struct fl_maker *m, const struct fl_summary_arm *arm)
{
	for (size_t i = 0; i < m->s.nr_strategies; i++) {
		struct fl_summary_strategy *known = &m->s.strategies[i];

		if (strcmp(known->name, arm->name))
			continue;
		known->answer = known->answer ? known->answer : arm->answer;
		known->trigger = known->trigger ? known->trigger : arm->trigger;
		return;
	}
	FL_PUSH(m, m->s.strategies, m->s.nr_strategies,
	     (struct fl_summary_strategy){
		.name = arm->name, .strategy = arm->strategy,
		.answer = arm->answer, .trigger = arm->trigger,
	     });
}

static int by_strategy(const void *pa, const void *pb)
{
	const struct fl_summary_strategy *a = pa, *b = pb;
	int order = answer_rank(a->answer) - answer_rank(b->answer);

	return order ? order : strcmp(a->name, b->name);
}

static void make_strategies(struct fl_maker *m)
{
	for (size_t c = 0; c < m->s.nr_cells; c++)
		for (size_t a = 0; a < m->s.cells[c].nr_arms; a++)
			if (!m->s.cells[c].bench &&
			    !fl_is_control(&m->s.cells[c].arms[a]))
				note_strategy(m, &m->s.cells[c].arms[a]);
	if (m->s.nr_strategies)
		qsort(m->s.strategies, m->s.nr_strategies,
		      sizeof(*m->s.strategies), by_strategy);
}

static bool has_slow(const struct fl_summary *s, const char *title)
{
	for (size_t c = 0; c < s->nr_cells; c++)
		for (size_t a = 0; a < s->cells[c].nr_arms; a++)
			if (s->cells[c].arms[a].slow.hist &&
			    !strcmp(s->cells[c].title, title))
				return true;
	return false;
}

/* The rows of one workload, for every arm that took part. */
static void make_slow_rows_of(struct fl_maker *m, const char *title)
{
	for (size_t i = 0; i < m->s.nr_strategies; i++) {
		struct fl_summary_slow_row row = {
			.title = title, .arm = &m->s.strategies[i],
		};
		bool any = false;

		for (size_t c = 0; c < m->s.nr_cells; c++) {
			const struct fl_summary_cell *cell = &m->s.cells[c];
			const struct fl_summary_arm *arm =
				fl_cell_arm(cell, row.arm->name);

			if (strcmp(cell->title, title) || !arm ||
			    !arm->nr_blocks)
				continue;
			any = true;
			if (!row.slow.missing)
				row.slow.missing = arm->slow.missing;
			if (!row.slow.missing && !arm->nr_ok && arm->nr_reasons)
				row.slow.missing = arm->reasons[0].text;
			if (arm->slow.hist)
				merge_slow(m, &row.slow, arm->slow.hist);
			row.slow.step_ns = fmax(row.slow.step_ns,
						arm->slow.step_ns);
			row.slow.pair_ns = fmax(row.slow.pair_ns,
						arm->slow.pair_ns);
		}
		if (!any)
			continue;
		judge_slow(&row.slow);
		FL_PUSH(m, m->s.slow_rows, m->s.nr_slow_rows, row);
		if (m->failed)
			free(row.slow.hist);
	}
}

static void make_slow_rows(struct fl_maker *m)
{
	for (size_t c = 0; c < m->s.nr_cells && !m->failed; c++) {
		const char *title = m->s.cells[c].title;
		bool known = false;

		for (size_t i = 0; i < m->s.nr_slow_rows && !known; i++)
			known = !strcmp(m->s.slow_rows[i].title, title);
		if (!known && !m->s.cells[c].bench && has_slow(&m->s, title))
			make_slow_rows_of(m, title);
	}
}

static void add_missing(struct fl_maker *m, const char *arm,
			const struct fl_summary_reason *reason)
{
	for (size_t i = 0; i < m->s.nr_missing; i++) {
		struct fl_summary_missing *known = &m->s.missing[i];

		if (strcmp(known->arm, arm) || known->status != reason->status ||
		    strcmp(known->reason, reason->text))
			continue;
		known->nr_samples += reason->nr;
		known->nr_cells++;
		return;
	}
	FL_PUSH(m, m->s.missing, m->s.nr_missing, (struct fl_summary_missing){
		.arm = arm, .reason = reason->text, .status = reason->status,
		.nr_samples = reason->nr, .nr_cells = 1,
	});
}

static int by_missing(const void *pa, const void *pb)
{
	const struct fl_summary_missing *a = pa, *b = pb;
	int order;

	if ((order = strcmp(a->arm, b->arm)) ||
	    (order = (int)a->status - (int)b->status))
		return order;
	return strcmp(a->reason, b->reason);
}

static void make_missing(struct fl_maker *m)
{
	for (size_t c = 0; c < m->s.nr_cells; c++)
		for (size_t a = 0; a < m->s.cells[c].nr_arms; a++) {
			const struct fl_summary_arm *arm =
				&m->s.cells[c].arms[a];

			for (size_t i = 0; i < arm->nr_reasons; i++)
				add_missing(m, arm->name, &arm->reasons[i]);
		}
	if (m->s.nr_missing)
		qsort(m->s.missing, m->s.nr_missing, sizeof(*m->s.missing),
		      by_missing);
}

/* Median over all final samples of a metric that does not depend on the arm. */
static double overall(struct fl_maker *m, const char *name, bool largest)
{
	double *values = NULL, result = NAN;
	size_t nr = 0;

	for (size_t c = 0; c < m->s.nr_cells; c++)
		for (size_t a = 0; a < m->s.cells[c].nr_arms; a++) {
			const struct fl_summary_metric *metric =
				fl_summary_find(&m->s.cells[c].arms[a], name);

			if (!metric)
				continue;
			FL_PUSH(m, values, nr, largest ? metric->max :
						      metric->median);
			if (largest && nr == 2) {
				values[0] = fmax(values[0], values[1]);
				nr = 1;
			}
		}
	if (nr)
		fl_stats_median(values, nr, &result);
	free(values);
	return result;
}

static void note_confidence(struct fl_maker *m, double confidence)
{
	if (confidence > 0 && !(m->s.confidence <= confidence))
		m->s.confidence = confidence;
}

static void make_confidence(struct fl_maker *m)
{
	m->s.confidence = NAN;
	for (size_t c = 0; c < m->s.nr_cells; c++)
		for (size_t a = 0; a < m->s.cells[c].nr_arms; a++) {
			const struct fl_summary_arm *arm =
				&m->s.cells[c].arms[a];

			if (arm->alloc_ns.n > 1)
				note_confidence(m, arm->alloc_ns.confidence);
			if (arm->ratio.n > 1)
				note_confidence(m, arm->ratio.confidence);
		}
}

/* ---- the whole ---------------------------------------------------------- */

int fl_summary_make(const struct fl_results *results, struct fl_summary *out,
		    struct fl_complaint *why)
{
	struct fl_maker m = { .s = {
		.results = results, .valid = true,
		.nr_samples = results->nr_results,
		.delta = FL_SUMMARY_DELTA,
	} };
	double delta = json_number_value(json_object_get(results->campaign,
							 "delta"));

	if (delta > 0 && delta < 1)
		m.s.delta = delta;
	m.sorted = calloc(results->nr_results, sizeof(*m.sorted));
	if (!m.sorted)
		m.failed = true;
	for (size_t i = 0; m.sorted && i < results->nr_results; i++)
		m.sorted[i] = &results->results[i];
	if (m.sorted)
		qsort(m.sorted, results->nr_results, sizeof(*m.sorted),
		      by_sample);
	make_blocks(&m);
	if (!m.failed)
		make_cells(&m);
	if (!m.failed)
		make_strategies(&m);
	if (!m.failed)
		make_slow_rows(&m);
	if (!m.failed)
		make_missing(&m);
	if (!m.failed)
		fl_make_spreads(&m);
	if (!m.failed)
		fl_make_sweeps(&m);
	if (!m.failed && fl_breakevens_make(&m.s, &m.s.breakevens,
					    &m.s.nr_breakevens))
		m.failed = true;
	if (!m.failed) {
		make_confidence(&m);
		m.s.floor_ns = overall(&m, "floor_ns", false);
		m.s.step_ns = overall(&m, "clock_step_ns", true);
		fl_make_verdicts(&m);
		fl_make_answers(&m);
	}
	free(m.sorted);
	if (m.failed) {
		fl_summary_free(&m.s);
		return fl_complain(why, -ENOMEM, "%s", strerror(ENOMEM));
	}
	*out = m.s;
	return 0;
}

void fl_summary_free(struct fl_summary *s)
{
	for (size_t c = 0; c < s->nr_cells; c++) {
		struct fl_summary_cell *cell = &s->cells[c];

		for (size_t a = 0; a < cell->nr_arms; a++) {
			free(cell->arms[a].block_ns);
			free(cell->arms[a].block_slow_ns);
			free(cell->arms[a].block_build);
			free(cell->arms[a].reasons);
			free(cell->arms[a].metrics);
			free(cell->arms[a].slow.hist);
		}
		free(cell->arms);
	}
	for (size_t i = 0; i < s->nr_slow_rows; i++)
		free(s->slow_rows[i].slow.hist);
	for (size_t i = 0; i < s->nr_sweeps; i++)
		free(s->sweeps[i].cells);
	for (size_t i = 0; i < s->nr_texts; i++)
		free(s->texts[i]);
	fl_breakevens_free(s->breakevens, s->nr_breakevens);
	free(s->cells);
	free(s->slow_rows);
	free(s->strategies);
	free(s->sweeps);
	free(s->missing);
	free(s->blocks);
	free(s->verdicts);
	free(s->answers);
	free(s->texts);
	*s = (struct fl_summary){ 0 };
}

const struct fl_summary_metric *fl_summary_find(const struct fl_summary_arm *arm,
						const char *name)
{
	const struct fl_summary_metric key = { .name = name };

	if (!arm->nr_metrics)
		return NULL;
	return bsearch(&key, arm->metrics, arm->nr_metrics,
		       sizeof(*arm->metrics), by_metric);
}

double fl_summary_value(const struct fl_summary_arm *arm, const char *name)
{
	const struct fl_summary_metric *metric = fl_summary_find(arm, name);

	return metric ? metric->median : NAN;
}

double fl_summary_percentile(const struct fl_summary_slow *slow, size_t i,
			     const char **why)
{
	static const uint32_t ppms[] = {
#define X(name, ppm) ppm,
		FL_HIST_PERCENTILES(X)
#undef X
	};
	const char *ignored;
	uint64_t ns;

	why = why ? why : &ignored;
	*why = NULL;
	if (!slow->hist)
		*why = slow->missing ? slow->missing : "not timed one by one";
	else if (!slow->resolved)
		*why = "too short for the clock to tell";
	else if (fl_hist_nr_beyond(slow->hist, ppms[i]) < FL_HIST_BEYOND_MIN)
		*why = "fewer than ten values lie beyond it";
	else if (fl_hist_percentile(slow->hist, ppms[i], &ns))
		*why = "beyond the histogram's range";
	return *why ? NAN : (double)ns;
}

static double number_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_number(value) ? json_number_value(value) : NAN;
}

int fl_summary_pages(const struct fl_summary_arm *arm, struct fl_pages *out)
{
	const json_t *points = arm->pages ?
		json_object_get(arm->pages->json, "pages") : NULL;
	double events = 0, sum = 0, x0 = NAN, y0 = NAN;
	struct fl_pages pages = { .last = NAN };
	const json_t *metrics;

	for (size_t i = 0; i < json_array_size(points); i++) {
		const json_t *point = json_array_get(points, i);
		double x = json_number_value(json_array_get(point, 0));
		double y = json_number_value(json_array_get(point, 1));

		if (json_array_size(point) < 2)
			continue;
		pages.peak = fmax(pages.peak, y);
		pages.last = y;
		/* Until the next census, what the last one saw. */
		if (!isnan(x0)) {
			sum += (x - x0) * y0;
			events += x - x0;
		}
		x0 = x;
		y0 = y;
	}
	if (isnan(pages.last))
		return -ENODATA;
	pages.mean = events > 0 ? sum / events : pages.last;
	metrics = json_object_get(arm->pages->json, "metrics");
	pages.leaked_share = number_of(metrics, "leaked_share");
	pages.censored_share = number_of(metrics, "censored_share");
	pages.pooled_share = number_of(metrics, "pooled_share");
	pages.peak_over_live = number_of(metrics, "peak_resident_over_live");
	pages.events_per_s = number_of(metrics, "account_events_per_s");
	pages.tail_p50_bytes = number_of(metrics, "tail_p50_bytes");
	pages.last_page_p50_bytes = number_of(metrics, "last_page_p50_bytes");
	*out = pages;
	return 0;
}

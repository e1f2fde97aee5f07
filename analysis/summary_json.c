/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "analysis/breakeven.h"
#include "analysis/summary.h"

static json_t *real(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *string_or_null(const char *value)
{
	json_t *json = value ? json_string(value) : json_null();

	/* A name that is no UTF-8 cannot have come out of JSON. */
	return json ? json : json_null();
}

static json_t *ratio_json(const struct fl_ratio *ratio)
{
	if (!ratio->n)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:I}",
			 "ratio", real(ratio->ratio), "lo", real(ratio->lo),
			 "hi", real(ratio->hi),
			 "confidence", real(ratio->confidence),
			 "n", (json_int_t)ratio->n);
}

static json_t *interval_json(const struct fl_interval *interval)
{
	if (!interval->n)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:I}",
			 "median", real(interval->median),
			 "lo", real(interval->lo), "hi", real(interval->hi),
			 "confidence", real(interval->confidence),
			 "n", (json_int_t)interval->n);
}

/* null where an arm has one build. */
static json_t *spread_json(const struct fl_spread *spread)
{
	json_t *medians = json_array(), *counts = json_array();

	for (unsigned int g = 0; g < FL_STATS_GROUPS_MAX; g++) {
		if (!spread->nr[g])
			continue;
		json_array_append_new(medians, real(spread->median[g]));
		json_array_append_new(counts,
				      json_integer((json_int_t)spread->nr[g]));
	}
	if (!spread->n) {
		json_decref(medians);
		json_decref(counts);
		return json_null();
	}
	return json_pack("{s:o, s:o, s:o, s:o}",
			 "between", real(spread->between),
			 "within", real(spread->within),
			 "medians", medians, "n", counts);
}

static json_t *slow_json(const struct fl_summary_slow *slow)
{
	static const char *const names[] = {
#define X(name, ppm) #name,
		FL_HIST_PERCENTILES(X)
#undef X
	};
	json_t *json = json_object();

	for (size_t i = 0; i < FL_SUMMARY_NR_PERCENTILES; i++)
		json_object_set_new(json, names[i],
				    real(fl_summary_percentile(slow, i, NULL)));
	json_object_set_new(json, "nr_values", json_integer(
		slow->hist ? (json_int_t)slow->hist->nr_values : 0));
	json_object_set_new(json, "max_ns", slow->hist && slow->resolved ?
		json_integer((json_int_t)slow->hist->max_ns) : json_null());
	return json;
}

static json_t *arm_json(const struct fl_summary *s,
			const struct fl_summary_cell *cell,
			const struct fl_summary_arm *arm)
{
	json_t *reasons = json_array(), *metrics = json_object();
	struct fl_interval second = { .lo = NAN, .hi = NAN };
	const bool bench = cell->bench;

	fl_summary_second_opinion(s, cell, arm, &second);

	for (size_t i = 0; i < arm->nr_reasons; i++)
		json_array_append_new(reasons, json_pack("{s:s, s:s, s:b, s:I}",
			"status",
			fl_result_status_name(arm->reasons[i].status),
			"reason", arm->reasons[i].text,
			"accounts", arm->reasons[i].accounts,
			"n", (json_int_t)arm->reasons[i].nr));
	for (size_t i = 0; i < arm->nr_metrics; i++)
		json_object_set_new(metrics, arm->metrics[i].name,
				    real(arm->metrics[i].median));
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}",
			 "arm", arm->name, bench ? "bench" : "strategy",
			 arm->strategy,
			 "settings", arm->settings,
			 "role", fl_result_role_name(arm->role),
			 bench ? "op_ns" : "alloc_ns",
			 interval_json(&arm->alloc_ns),
			 "ratio", ratio_json(&arm->ratio),
			 "bootstrap_lo", real(second.lo),
			 "bootstrap_hi", real(second.hi),
			 "of", string_or_null(arm->of),
			 "control", ratio_json(&arm->control),
			 "builds", spread_json(&arm->spread),
			 "ratio_builds", spread_json(&arm->ratio_spread),
			 "nr_blocks", (json_int_t)arm->nr_blocks,
			 "nr_ok", (json_int_t)arm->nr_ok,
			 "nr_flagged", (json_int_t)arm->nr_flagged,
			 "nr_repeated", (json_int_t)arm->nr_repeated,
			 "nr_uneven", (json_int_t)arm->nr_uneven,
			 "reasons", reasons, "slow", slow_json(&arm->slow),
			 "metrics", metrics);
}

static const char *verdict_name(enum fl_summary_verdict verdict, bool planted)
{
	switch (verdict) {
	case FL_VERDICT_UNJUDGED: return "unjudged";
	case FL_VERDICT_UNDECIDED: return "undecided";
	case FL_VERDICT_GOOD: return planted ? "seen" : "alike";
	case FL_VERDICT_BAD: return planted ? "missed" : "differs";
	case FL_VERDICT_NONE: break;
	}
	return NULL;
}

static json_t *cell_json(const struct fl_summary *s,
			 const struct fl_summary_cell *cell)
{
	json_t *arms = json_array();

	for (size_t i = 0; i < cell->nr_arms; i++)
		json_array_append_new(arms, arm_json(s, cell,
						     &cell->arms[i]));
	return json_pack("{s:s, s:s*, s:s*, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o}",
			 "cell", cell->name,
			 "bench", cell->bench,
			 "op", cell->op,
			 "kernel", string_or_null(cell->kernel),
			 "residence", string_or_null(cell->residence),
			 "trace", string_or_null(cell->trace),
			 "object_bytes", (json_int_t)cell->object_bytes,
			 "block_bytes", (json_int_t)cell->block_bytes,
			 "fastest", string_or_null(cell->fastest ?
						   cell->fastest->name : NULL),
			 "twin", string_or_null(verdict_name(cell->twin, false)),
			 "planted", string_or_null(verdict_name(cell->planted,
								true)),
			 "resolution", real(cell->resolution),
			 "arms", arms);
}

static json_t *sweep_json(const struct fl_sweep *sweep)
{
	static const char *const states[] = {
		[FL_CROSSING_UNKNOWN] = "unknown",
		[FL_CROSSING_BRANCH] = "branch faster throughout",
		[FL_CROSSING_REDIRECT] = "redirect faster throughout",
		[FL_CROSSING_FOUND] = "found",
		[FL_CROSSING_UNCLEAR] = "unclear",
	};

	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o}",
			 "workload", sweep->title,
			 "residence", string_or_null(sweep->residence),
			 "branch", string_or_null(sweep->branch),
			 "redirect", string_or_null(sweep->redirect),
			 "compiler", string_or_null(sweep->compiler),
			 "crossing", states[sweep->state],
			 "block_bytes", real(sweep->block_bytes),
			 "slower_bytes", real(sweep->slower_bytes),
			 "faster_bytes", real(sweep->faster_bytes),
			 "branch_refill_ns", real(sweep->refill_ns[0]),
			 "redirect_refill_ns", real(sweep->refill_ns[1]));
}

static json_t *sentences_json(const char *const *sentences, size_t nr)
{
	json_t *json = json_array();

	for (size_t i = 0; i < nr; i++)
		json_array_append_new(json, json_string(sentences[i]));
	return json;
}

json_t *fl_summary_json(const struct fl_summary *s)
{
	json_t *cells = json_array(), *sweeps = json_array();
	json_t *slow = json_array(), *statuses = json_object();

	for (size_t i = 0; i < s->nr_cells; i++)
		json_array_append_new(cells, cell_json(s, &s->cells[i]));
	for (size_t i = 0; i < s->nr_sweeps; i++)
		json_array_append_new(sweeps, sweep_json(&s->sweeps[i]));
	for (size_t i = 0; i < s->nr_slow_rows; i++) {
		json_t *row = slow_json(&s->slow_rows[i].slow);

		json_object_set_new(row, "workload",
				    json_string(s->slow_rows[i].title));
		json_object_set_new(row, "arm",
				    json_string(s->slow_rows[i].arm->name));
		json_array_append_new(slow, row);
	}
	for (int i = 0; i < FL_RESULT_NR_STATUS; i++)
		json_object_set_new(statuses,
			fl_result_status_name((enum fl_result_status)i),
			json_integer((json_int_t)s->nr_status[i]));
	return json_pack("{s:b, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "valid", s->valid,
			 "verdicts", sentences_json(s->verdicts, s->nr_verdicts),
			 "answers", sentences_json(s->answers, s->nr_answers),
			 "delta", real(s->delta),
			 "confidence", real(s->confidence),
			 "nr_samples", (json_int_t)s->nr_samples,
			 "nr_flagged", (json_int_t)s->nr_flagged,
			 "nr_repeated", (json_int_t)s->nr_repeated,
			 "final", statuses,
			 "nr_blocks", (json_int_t)s->nr_blocks,
			 "floor_ns", real(s->floor_ns),
			 "clock_step_ns", real(s->step_ns),
			 "sweeps", sweeps, "slow_paths", slow,
			 "break_even", fl_breakevens_json(s->breakevens,
							  s->nr_breakevens),
			 "cells", cells);
}

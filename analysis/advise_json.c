/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>

#include "analysis/advise.h"

/* JSON has no NaN. */
static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *index_of(size_t i)
{
	return i == FL_ADVICE_NONE ? json_null() : json_integer((json_int_t)i);
}

static json_t *ratio_json(const struct fl_ratio *r)
{
	return !r->n ? json_null() :
	       json_pack("{s:f, s:f, s:f, s:f, s:I}", "ratio", r->ratio, "lo",
			 r->lo, "hi", r->hi, "confidence", r->confidence, "n",
			 (json_int_t)r->n);
}

static json_t *strategies_json(const struct fl_advise *a)
{
	json_t *all = json_array();

	for (size_t i = 0; i < a->nr_strategies; i++) {
		const struct fl_advise_strategy *s = &a->strategies[i];

		json_array_append_new(all,
			json_pack("{s:s, s:s, s:b, s:s, s:o, s:o, s:b}",
			"name", s->name, "answer",
			*s->unsupported ? "" : fl_answer_name(s->answer),
			"supported", !*s->unsupported, "reason", s->unsupported,
			"alloc_best_ns", number(s->alloc_ns),
			"slow_p50_ns", number(s->slow_ns),
			"faults", s->faults));
	}
	return all;
}

static json_t *candidate_json(const struct fl_advise_options *options,
			      const struct fl_advise *a, size_t i)
{
	const struct fl_advise_candidate *c = &a->candidates[i];
	char settings[FL_ADVISE_SETTINGS_BYTES];
	char *time = fl_advise_command(options, a, c, false);
	char *pages = fl_advise_command(options, a, c, true);
	const size_t beaten = a->of_advice[i].usable ?
		fl_advice_beaten_by(a->of_advice, a->nr_candidates, i) :
		FL_ADVICE_NONE;
	json_t *json = json_pack(
		"{s:s, s:s, s:i, s:b, s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:s?, s:s?}",
		"strategy", a->strategies[c->strategy].name,
		"settings", fl_advise_settings(a, c, settings),
		"round", (int)c->round, "usable", a->of_advice[i].usable,
		"reason", c->reason,
		"event_ns", number(c->ns.n ? c->ns.median : NAN),
		"event_ns_lo", number(c->ns.n > 1 ? c->ns.lo : NAN),
		"event_ns_hi", number(c->ns.n > 1 ? c->ns.hi : NAN),
		"confidence", number(c->ns.n > 1 ? c->ns.confidence : NAN),
		"n", (json_int_t)c->ns.n,
		"leaked_share", number(c->leaked_share),
		"peak_resident_pages", number(c->peak_pages),
		"peak_resident_over_live", number(c->over_live),
		"slow_paths_per_alloc", number(c->slow_per_alloc),
		"beaten_by", index_of(beaten),
		"command", time, "command_pages", pages);

	free(time);
	free(pages);
	return json;
}

static json_t *advice_json(const struct fl_advise *a)
{
	const struct fl_advice_margin *m = &a->advice.margin;
	const bool next = a->advice.next != FL_ADVICE_NONE;
	json_t *stretches = json_array();

	for (size_t i = 0; i < a->nr_stretches; i++)
		json_array_append_new(stretches, json_pack("{s:f, s:f, s:o}",
			"from", a->stretches[i].from, "to", a->stretches[i].to,
			"advised", index_of(a->stretches[i].advised)));
	return json_pack("{s:f, s:o, s:o, s:o, s:o, s:o, s:b, s:o}",
		"weight", a->weight, "advised", index_of(a->advice.advised),
		"next", index_of(a->advice.next),
		"margin", number(next ? expm1(m->cost) : NAN),
		"margin_lo", number(next && m->has_interval ? expm1(m->lo) : NAN),
		"margin_hi", number(next && m->has_interval ? expm1(m->hi) : NAN),
		"margin_shown", next && m->shown, "by_weight", stretches);
}

json_t *fl_advise_json(const struct fl_advise_options *options,
		       const struct fl_advise *a)
{
	json_t *candidates = json_array();

	for (size_t i = 0; i < a->nr_candidates; i++)
		json_array_append_new(candidates,
				      candidate_json(options, a, i));
	return json_pack("{s:i, s:s, s:o, s:s, s:I, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"schema", 1, "trace", options->trace,
		"trace_facts", fl_trace_info_json(&a->trace),
		"residence", fl_residence_name(options->residence),
		"blocks", (json_int_t)a->nr_blocks, "seconds", a->seconds,
		"compare_ns", number(a->compare_ns),
		"fault_ns", number(a->fault_ns),
		"twin", ratio_json(&a->twin), "planted", ratio_json(&a->planted),
		"strategies", strategies_json(a), "candidates", candidates,
		"advice", advice_json(a));
}

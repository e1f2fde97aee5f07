/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/advise.h"

#define INDENT		2u

/* Of a time: less is no reason to tell strategies apart. */
#define SHARE_WORTH_TELLING	0.01

/* What a loop of some ms cannot tell from nothing. */
#define COMPARE_NS_LEAST	0.01

struct say {
	FILE *to;
	const struct fl_terminal *terminal;
	const struct fl_advise_options *options;
	const struct fl_advise *a;
	bool failed;
};

/* One paragraph, wrapped. */
static void say(struct say *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(struct say *s, const char *format, ...)
{
	va_list args;
	char *text;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		s->failed = true;
		return;
	}
	fprintf(s->to, "%*s", (int)INDENT, "");
	fl_wrap(s->to, s->terminal, INDENT, text);
	free(text);
}

static void heading(const struct say *s, const char *text)
{
	fl_style_print(s->to, s->terminal, FL_STRONG, text);
	putc('\n', s->to);
}

static const char *name_of(const struct say *s,
			   const struct fl_advise_candidate *c)
{
	return s->a->strategies[c->strategy].name;
}

/* "bump_down (block=64K)" */
static const char *full_name(const struct say *s, size_t i, char out[160])
{
	const struct fl_advise_candidate *c = &s->a->candidates[i];
	char settings[FL_ADVISE_SETTINGS_BYTES];

	fl_advise_settings(s->a, c, settings);
	snprintf(out, 160, "%s%s%s%s", name_of(s, c), *settings ? " (" : "",
		 settings, *settings ? ")" : "");
	return out;
}

/* ---- what was replayed --------------------------------------------------- */

static void say_trace(struct say *s)
{
	const struct fl_trace_facts *f = &s->a->trace.facts;
	char n[4][FL_TEXT_BYTES], b[5][FL_TEXT_BYTES];

	heading(s, "the trace");
	say(s, "%s: %s events, %s of them allocations, in %s region lifetimes; up to %s regions at once, with %s in them.",
	    s->options->trace, fl_text_count(n[0], (double)f->nr_events),
	    fl_text_count(n[1], (double)f->nr_allocs),
	    fl_text_count(n[2], (double)f->nr_lifetimes),
	    fl_text_count(n[3], (double)f->nr_regions_alive_max),
	    fl_text_bytes(b[0], (double)f->live_bytes_max));
	say(s, "A lifetime allocates %s (median), %s (99th percentile), %s at most; the largest object has %s.",
	    fl_text_bytes(b[1], (double)f->lifetime_asked_p50_bytes),
	    fl_text_bytes(b[2], (double)f->lifetime_asked_p99_bytes),
	    fl_text_bytes(b[3], (double)f->lifetime_asked_max_bytes),
	    fl_text_bytes(b[4], (double)f->object_bytes_max));
	putc('\n', s->to);
}

/* ---- the table ----------------------------------------------------------- */

static const struct fl_column columns[] = {
	{ "strategy", false, 0 },
	{ "settings", false, 0 },
	{ "ns/event", true, 0 },
	{ "95 %", false, 2 },
	{ "leaked", true, 1 },
	{ "peak", true, 0 },
	{ "x live", true, 3 },
	{ "per slow", true, 5 },
	{ "", false, 0 },
};

static bool is_last(const struct fl_advise_candidate *c)
{
	return c->round == FL_ADVISE_ROUNDS;
}

static double cost(const struct fl_advise *a, size_t i)
{
	const struct fl_advice_candidate *c = &a->of_advice[i];

	return a->weight * log(c->ns) + (1 - a->weight) * log(c->pages);
}

/* The advised one, the last ones, those of earlier rounds, what is no choice. */
static int class_of(const struct fl_advise *a, size_t i)
{
	return i == a->advice.advised ? 0 : !a->of_advice[i].usable ? 3 :
	       is_last(&a->candidates[i]) ? 1 : 2;
}

static bool comes_first(const struct fl_advise *a, size_t i, size_t j)
{
	if (class_of(a, i) != class_of(a, j))
		return class_of(a, i) < class_of(a, j);
	return cost(a, i) < cost(a, j);
}

static void note(const struct say *s, size_t i, char *out, size_t bytes)
{
	const struct fl_advise *a = s->a;
	const struct fl_advise_candidate *c = &a->candidates[i];
	const size_t beaten = fl_advice_beaten_by(a->of_advice, a->nr_candidates,
						  i);

	*out = '\0';
	if (i == a->advice.advised) {
		snprintf(out, bytes, "advised");
		return;
	}
	if (!a->of_advice[i].usable) {
		snprintf(out, bytes, "floor");
		return;
	}
	if (!is_last(c)) {
		snprintf(out, bytes, "round %u", c->round);
		return;
	}
	for (size_t k = 0; k < a->nr_stretches; k++)
		if (a->stretches[k].advised == i) {
			snprintf(out, bytes, "weights %.2f-%.2f",
				 a->stretches[k].from, a->stretches[k].to);
			return;
		}
	if (i == a->advice.next)
		snprintf(out, bytes, "next");
	else if (beaten != FL_ADVICE_NONE && is_last(&a->candidates[beaten]))
		snprintf(out, bytes, "slower, larger");
}

static void put_row(const struct say *s, struct fl_table *table, size_t i)
{
	const struct fl_advise_candidate *c = &s->a->candidates[i];
	const double page_bytes = (double)sysconf(_SC_PAGESIZE);
	char settings[FL_ADVISE_SETTINGS_BYTES], text[FL_TEXT_BYTES], why[64];
	const bool interval = c->ns.n >= FL_STATS_BLOCKS_MIN;

	note(s, i, why, sizeof(why));
	fl_table_put(table, i == s->a->advice.advised ? FL_GOOD : FL_PLAIN, "%s",
		     name_of(s, c));
	fl_table_put(table, FL_PLAIN, "%s",
		     fl_advise_settings(s->a, c, settings));
	fl_table_number(table, c->ns.median);
	fl_table_interval(table, interval ? c->ns.lo : NAN,
			  interval ? c->ns.hi : NAN);
	fl_table_put(table, FL_PLAIN, "%s", isnan(c->leaked_share) ? "-" :
		     fl_text_share(text, c->leaked_share));
	fl_table_put(table, FL_PLAIN, "%s", isnan(c->peak_pages) ? "-" :
		     fl_text_bytes(text, c->peak_pages * page_bytes));
	fl_table_number(table, c->over_live);
	fl_table_put(table, FL_PLAIN, "%s", !(c->slow_per_alloc > 0) ? "never" :
		     fl_text_count(text, round(1 / c->slow_per_alloc)));
	fl_table_put(table, FL_DIM, "%s", why);
}

/* Without --all: the best of each strategy that did not get to the end. */
static bool is_shown(const struct say *s, const size_t *order, size_t nr,
		     size_t i, bool all)
{
	const struct fl_advise_candidate *c = &s->a->candidates[order[i]];

	if (all || is_last(c))
		return true;
	for (size_t k = 0; k < nr; k++)
		if (s->a->candidates[order[k]].strategy == c->strategy &&
		    (k < i || is_last(&s->a->candidates[order[k]])))
			return false;
	return true;
}

static void print_table(struct say *s)
{
	const struct fl_advise *a = s->a;
	struct fl_table *table = fl_table_new(columns, sizeof(columns) /
					      sizeof(*columns));
	size_t *order = calloc(a->nr_candidates, sizeof(*order));
	size_t nr = 0, hidden = 0;

	if (!table || !order) {
		s->failed = true;
		goto out;
	}
	for (size_t i = 0; i < a->nr_candidates; i++) {
		size_t at = nr;

		if (*a->candidates[i].reason || !a->candidates[i].ns.n)
			continue;
		for (; at && comes_first(a, i, order[at - 1]); at--)
			order[at] = order[at - 1];
		order[at] = i;
		nr++;
	}
	for (size_t i = 0; i < nr; i++)
		if (is_shown(s, order, nr, i, s->options->all))
			put_row(s, table, order[i]);
		else
			hidden++;
	heading(s, "candidates");
	s->failed |= fl_table_print(table, s->to, s->terminal, INDENT) != 0;
	say(s, "peak: most that was resident at once; x live: over what was live. per slow: allocations for each slow path. round 1, 2: left out after it. floor: never checks.");
	if (hidden)
		say(s, "%zu more settings were tried and are shown by --all.",
		    hidden);
	if (!a->varied)
		say(s, "There was no time to try other settings: a larger --time does.");
out:
	fl_table_free(table);
	free(order);
}

static void say_what_is_missing(struct say *s)
{
	const struct fl_advise *a = s->a;

	for (size_t i = 0; i < a->nr_strategies; i++)
		if (*a->strategies[i].unsupported)
			say(s, "%s: UNSUPPORTED: %s", a->strategies[i].name,
			    a->strategies[i].unsupported);
	for (size_t i = 0; i < a->nr_candidates; i++)
		if (*a->candidates[i].reason) {
			char name[160];

			say(s, "%s: left out: %s", full_name(s, i, name),
			    a->candidates[i].reason);
		}
	putc('\n', s->to);
}

/* ---- the advice ---------------------------------------------------------- */

/* "12 % more time", "the same memory" */
static const char *how_much(double ratio, const char *what, char out[80])
{
	char share[FL_TEXT_BYTES];

	if (fabs(log(ratio)) < 0.0005)
		snprintf(out, 80, "the same %s", what);
	else if (ratio > 1)
		snprintf(out, 80, "%s more %s", fl_text_share(share, ratio - 1),
			 what);
	else
		snprintf(out, 80, "%s less %s", fl_text_share(share, 1 - ratio),
			 what);
	return out;
}

static void say_margin(struct say *s)
{
	const struct fl_advise *a = s->a;
	const struct fl_advice_margin *m = &a->advice.margin;
	const struct fl_advise_candidate *best, *next;
	char name[160], time[80], memory[80];

	if (a->advice.next == FL_ADVICE_NONE) {
		say(s, "No other candidate was left to compare it with.");
		return;
	}
	best = &a->candidates[a->advice.advised];
	next = &a->candidates[a->advice.next];
	full_name(s, a->advice.next, name);
	how_much(next->ns.median / best->ns.median, "time", time);
	how_much(next->peak_pages / best->peak_pages, "memory", memory);
	if (m->shown && m->has_interval)
		say(s, "Next is %s, with %s and %s: weighted, %.1f %% dearer (%.1f to %.1f).",
		    name, time, memory, 100 * expm1(m->cost), 100 * expm1(m->lo),
		    100 * expm1(m->hi));
	else if (m->shown)
		say(s, "Next is %s, with %s and %s; pages are counted, so that is sure.",
		    name, time, memory);
	else if (m->has_interval)
		say(s, "Against %s there is no difference that this run can show: that one took %s and %s; weighted, %+.1f %% (%+.1f to %+.1f)%s.",
		    name, time, memory, 100 * expm1(m->cost),
		    100 * expm1(m->lo), 100 * expm1(m->hi),
		    a->nr_blocks < FL_STATS_BLOCKS_MIN ?
		    ", of too few samples to be sure: a larger --time has more" : "");
	else if (!(a->weight > 0))
		say(s, "%s takes the same memory; time alone decided, which does not count at this weight.",
		    name);
	else
		say(s, "Against %s nothing can be said: too few samples; a larger --time has more.",
		    name);
}

static void say_stretches(struct say *s)
{
	const struct fl_advise *a = s->a;
	size_t here = 0;

	if (a->nr_stretches == 1) {
		say(s, "Of the last candidates it would be the same for any weight.");
		return;
	}
	while (here + 1 < a->nr_stretches && a->stretches[here].to < a->weight)
		here++;
	if (here) {
		char name[160];

		say(s, "Up to weight %.2f it would be %s.",
		    a->stretches[here - 1].to,
		    full_name(s, a->stretches[here - 1].advised, name));
	}
	if (here + 1 < a->nr_stretches) {
		char name[160];

		say(s, "From weight %.2f on it would be %s.",
		    a->stretches[here + 1].from,
		    full_name(s, a->stretches[here + 1].advised, name));
	}
}

static void say_advice(struct say *s)
{
	const struct fl_advise *a = s->a;
	const struct fl_advise_candidate *c = &a->candidates[a->advice.advised];
	char name[160], peak[FL_TEXT_BYTES], leaked[FL_TEXT_BYTES];

	fprintf(s->to, "\n");
	heading(s, "advice");
	say(s, "Use %s: %.3g ns per event, at most %s resident, %.3g times what was live; %s of what was resident leaked. Time counts %.0f %%, memory %.0f %%.",
	    full_name(s, a->advice.advised, name), c->ns.median,
	    fl_text_bytes(peak, c->peak_pages * (double)sysconf(_SC_PAGESIZE)),
	    c->over_live, fl_text_share(leaked, c->leaked_share),
	    100 * a->weight, 100 * (1 - a->weight));
	say_margin(s);
	say_stretches(s);
	putc('\n', s->to);
}

/* ---- why ----------------------------------------------------------------- */

/* What the two ways to find the end of a block cost on this host. */
static void say_break_even(struct say *s)
{
	const struct fl_advise *a = s->a;
	char compare[FL_TEXT_BYTES], fault[FL_TEXT_BYTES], n[FL_TEXT_BYTES];

	if (isnan(a->fault_ns) || isnan(a->compare_ns)) {
		say(s, "What a compare and a fault cost here was not measured: that takes a strategy that never checks, one that compares and one that faults.");
		return;
	}
	fl_text_ns(fault, a->fault_ns, "u");
	if (a->compare_ns < COMPARE_NS_LEAST)
		say(s, "On this host a compare costs nothing that can be measured in a loop of 16-byte objects, and the cheapest handled fault %s.",
		    fault);
	else
		say(s, "On this host a compare costs %s in a loop of 16-byte objects, and the cheapest handled fault %s: to do without the compare pays if a block is full less than once in %s allocations.",
		    fl_text_ns(compare, a->compare_ns, "u"), fault,
		    fl_text_count(n, round(a->fault_ns / a->compare_ns)));
}

/* Does the trace meet the end of a block often enough to tell? */
static void say_what_it_tells(struct say *s)
{
	const struct fl_advise *a = s->a;
	const struct fl_advise_candidate *c = &a->candidates[a->advice.advised];
	const double per_event = (double)a->trace.facts.nr_allocs /
				 (double)a->trace.facts.nr_events;
	const double faults_ns = c->slow_per_alloc * per_event * a->fault_ns;
	const double compares_ns = fmax(0, a->compare_ns) * per_event;
	const char *last = "";
	char n[FL_TEXT_BYTES];

	if (!(c->slow_per_alloc > 0)) {
		say(s, "With what is advised, this trace took no slow path once it was warm: it does not tell branch from fault. What differs is how regions begin and end, and what stays resident.");
		return;
	}
	if (isnan(faults_ns) || isnan(compares_ns))
		return;
	if (fmax(faults_ns, compares_ns) < SHARE_WORTH_TELLING * c->ns.median)
		last = " That is too little to tell branch from fault by: what differs is how regions begin and end, and what stays resident.";
	say(s, "With what is advised, this trace took a slow path once in %s allocations. An event takes %.3g ns; were each of these a fault, they would cost %.2g ns an event, and compares cost %.2g.%s",
	    fl_text_count(n, round(1 / c->slow_per_alloc)), c->ns.median,
	    faults_ns, compares_ns, last);
}

static void say_controls(struct say *s)
{
	const struct fl_advise *a = s->a;

	if (a->twin.n < FL_STATS_BLOCKS_MIN ||
	    a->planted.n < FL_STATS_BLOCKS_MIN) {
		say(s, "Controls: too few samples to say whether this run could see a difference.");
		return;
	}
	say(s, "Controls: the same code run twice differed by %.1f %% (%+.1f to %+.1f); a slowdown that was planted was %s. Time differences below the first are taken for none; where code happens to lie in memory may move a replay by more.",
	    100 * fabs(a->twin.ratio - 1), 100 * (a->twin.lo - 1),
	    100 * (a->twin.hi - 1), fl_stats_differs(&a->planted) &&
	    a->planted.ratio > 1 ? "found" : "NOT found: do not trust the times");
}

static void say_commands(struct say *s)
{
	const struct fl_advise *a = s->a;
	const size_t which[] = { a->advice.advised, a->advice.next };
	char settings[FL_ADVISE_SETTINGS_BYTES];
	const struct fl_advise_candidate *c = &a->candidates[which[0]];

	fl_advise_settings(a, c, settings);
	putc('\n', s->to);
	heading(s, "to use it, and to measure again");
	fprintf(s->to, "  strategy %s, %s%s\n", name_of(s, c),
		*settings ? "--set " : "with its defaults", settings);
	for (size_t i = 0; i < 2 && which[i] != FL_ADVICE_NONE; i++)
		for (int account = 0; account < 2; account++) {
			char *command = fl_advise_command(s->options, a,
				&a->candidates[which[i]], account);

			if (command)
				fprintf(s->to, "  %s\n", command);
			else
				s->failed = true;
			free(command);
		}
}

int fl_advise_print(FILE *to, const struct fl_terminal *terminal,
		    const struct fl_advise_options *options,
		    const struct fl_advise *advise)
{
	struct say s = { .to = to, .terminal = terminal, .options = options,
			 .a = advise };

	say_trace(&s);
	print_table(&s);
	say_what_is_missing(&s);
	say_advice(&s);
	heading(&s, "why");
	say_break_even(&s);
	say_what_it_tells(&s);
	say_controls(&s);
	say(&s, "The cursor was in %s. Times are of %zu campaign blocks, each sample a process of its own; all of it took %.0f s.",
	    options->residence == FL_REGISTER ? "registers, as a compiler can keep it; --residence=memory is for calls from C" :
	    "memory, as calls from C have it; --residence=register is for compilers that keep it in registers",
	    advise->nr_blocks, advise->seconds);
	say_commands(&s);
	if (advise->folder)
		fprintf(to, "  faultline report %s/3-last\n", advise->folder);
	return s.failed ? -ENOMEM : 0;
}

/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "harness/quiet.h"

/* 16 additions a turn; some 1 us on a core of today. */
#define NR_TURNS	800u
#define NR_FIRST	200u

static uint64_t probe_ticks(void)
{
	uint64_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
	const uint64_t start = fl_clock_ticks();

#define STEP(x)		__asm__ volatile("" : "+r" (x)); (x)++
#define STEPS		STEP(a); STEP(b); STEP(c); STEP(d);		\
			STEP(e); STEP(f); STEP(g); STEP(h)
	for (unsigned i = 0; i < NR_TURNS; i++) {
		STEPS;
		STEPS;
	}
#undef STEPS
#undef STEP
	__asm__ volatile("" : : "r" (a), "r" (b), "r" (c), "r" (d), "r" (e),
			 "r" (f), "r" (g), "r" (h));
	return fl_clock_ticks() - start;
}

static bool probe(struct fl_quiet *quiet)
{
	const double ns = (double)probe_ticks() * quiet->ns_per_tick;

	if (ns < quiet->least_ns || !(quiet->least_ns > 0))
		quiet->least_ns = ns;
	return ns <= FL_QUIET_LIMIT * quiet->least_ns;
}

static long nr_preempted(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw;
}

void fl_quiet_begin(struct fl_quiet *quiet)
{
	const uint64_t start = fl_clock_ticks();
	double waited_ns = 0;

	for (;;) {
		quiet->before = probe(quiet);
		if (quiet->before)
			break;
		waited_ns = (double)(fl_clock_ticks() - start) *
			    quiet->ns_per_tick;
		if (waited_ns >= quiet->patience_ns)
			break;
	}
	quiet->patience_ns -= waited_ns;
	quiet->nr_preempted = nr_preempted();
}

bool fl_quiet_end(struct fl_quiet *quiet, double ns)
{
	if (quiet->nr_preempted == nr_preempted() && probe(quiet) &&
	    quiet->before)
		return true;
	quiet->patience_ns -= ns;
	if (quiet->patience_ns > 0)
		quiet->nr_dropped++;
	else
		quiet->nr_disturbed++;
	return quiet->patience_ns <= 0;
}

void fl_quiet_init(struct fl_quiet *quiet, const struct fl_clock *clock,
		   double known_ns, double patience_ns)
{
	*quiet = (struct fl_quiet){
		.ns_per_tick = clock->ns_per_tick, .least_ns = known_ns,
		.patience_ns = patience_ns,
	};
	for (unsigned i = 0; i < NR_FIRST; i++)
		probe(quiet);
}

double fl_parse_probe_ns(const char *text)
{
	char *end;
	const double ns = strtod(text, &end);

	return end == text || *end || !isfinite(ns) || ns < 1 || ns > 1e9 ?
	       0 : ns;
}

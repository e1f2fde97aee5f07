/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/clock.h"

#define WINDOW_NS	20000000
#define ANCHOR_TRIES	64
#define NR_PAIRS	4096

/* Fenced or not, the compiler must not drop the loop. */
static void spin(unsigned int rounds)
{
	while (rounds--)
		__asm__ volatile("");
}

/*
 * One instant in both clocks: the ticks are read between two readings of raw
 * time, and belong to the middle, give or take half the width.
 */
static int take_anchor(struct fl_clock_anchor *anchor)
{
	struct fl_clock_anchor best = { .width_ns = INFINITY };

	for (int i = 0; i < ANCHOR_TRIES; i++) {
		uint64_t before_ns = fl_ticks_raw_ns();
		uint64_t ticks = fl_ticks();
		uint64_t after_ns = fl_ticks_raw_ns();

		if (after_ns < before_ns)
			return -EIO;
		if ((double)(after_ns - before_ns) < best.width_ns) {
			best.ticks = ticks;
			best.raw_ns = before_ns + (after_ns - before_ns) / 2;
			best.width_ns = (double)(after_ns - before_ns);
		}
	}
	*anchor = best;
	return 0;
}

/* Rate and its uncertainty between two anchors. */
static int rate_between(const struct fl_clock_anchor *a,
			const struct fl_clock_anchor *b, double *ns_per_tick,
			double *uncertainty_ppm)
{
	double elapsed_ns = (double)b->raw_ns - (double)a->raw_ns;

	if (b->ticks <= a->ticks || b->raw_ns <= a->raw_ns)
		return -EIO;
	*ns_per_tick = elapsed_ns / (double)(b->ticks - a->ticks);
	*uncertainty_ppm = (a->width_ns + b->width_ns) / 2 / elapsed_ns * 1e6;
	return 0;
}

static int calibrate(struct fl_clock_anchor *start, double *ns_per_tick,
		     double *uncertainty_ppm)
{
	struct timespec window = { .tv_nsec = WINDOW_NS };
	struct fl_clock_anchor end;
	int err;

	err = take_anchor(start);
	if (err)
		return err;
	do
		err = clock_nanosleep(CLOCK_MONOTONIC, 0, &window, &window);
	while (err == EINTR);
	if (err)
		return -err;
	err = take_anchor(&end);
	if (err)
		return err;
	return rate_between(start, &end, ns_per_tick, uncertainty_ppm);
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static uint64_t most_common(const uint64_t *sorted, size_t nr)
{
	uint64_t value = 0;
	size_t most = 0;

	for (size_t i = 0, run; i < nr; i += run) {
		for (run = 1; i + run < nr && sorted[i + run] == sorted[i];)
			run++;
		if (run > most) {
			most = run;
			value = sorted[i];
		}
	}
	return value;
}

/* How many of @deltas are multiples of @step, give or take @slack. */
static size_t nr_multiples(const uint64_t *deltas, size_t nr, uint64_t step,
			   uint64_t slack, size_t may_fail)
{
	size_t failed = 0;

	for (size_t i = 0; i < nr && failed <= may_fail; i++) {
		uint64_t rest = deltas[i] % step;

		failed += rest > slack && rest + slack < step;
	}
	return failed <= may_fail ? nr - failed : 0;
}

uint64_t fl_clock_find_step(uint64_t *deltas, size_t nr)
{
	size_t may_fail = nr / 100;
	uint64_t step;

	if (!nr)
		return 1;
	/* No step exceeds the smallest difference by more than the slack, save
	 * for the one per cent of outliers that is allowed for. */
	qsort(deltas, nr, sizeof(deltas[0]), by_value);
	for (step = deltas[may_fail] + 1; step > 1; step--)
		if (nr_multiples(deltas, nr, step, step >= 8, may_fail))
			break;
	/* The slack lets the neighbours of the true step pass as well. */
	while (step > 8 && nr_multiples(deltas, nr, step - 1, 0, nr) >
			   nr_multiples(deltas, nr, step, 0, nr))
		step--;
	return step;
}

static int measure_step(struct fl_clock *clock)
{
	uint64_t deltas[NR_PAIRS];
	size_t nr = 0;

	for (int i = 0; i < NR_PAIRS; i++) {
		uint64_t before = fl_ticks();

		deltas[i] = fl_ticks() - before;
		if (deltas[i] >> 63)
			return -EIO;
	}
	qsort(deltas, NR_PAIRS, sizeof(deltas[0]), by_value);
	clock->pair_p50_ns = fl_clock_ns(clock, deltas[NR_PAIRS / 2]);
	while (nr < NR_PAIRS && !deltas[nr])
		nr++;
	clock->usual_ns = fl_clock_ns(clock, most_common(deltas + nr,
							 NR_PAIRS - nr));

	/* Equal work would hide a step behind one of its multiples. */
	nr = 0;
	for (unsigned int i = 0; nr < NR_PAIRS; i++) {
		uint64_t before = fl_ticks(), delta;

		spin(i % 61);
		delta = fl_ticks() - before;
		/* One tick is what a tie was broken with. */
		if (delta > 1)
			deltas[nr++] = delta;
		else if (i >= 1000 * NR_PAIRS)
			return -EIO;
	}
	clock->step_ticks = fl_clock_find_step(deltas, NR_PAIRS);
	clock->step_ns = fl_clock_ns(clock, clock->step_ticks);
	return 0;
}

int fl_clock_init(struct fl_clock *clock)
{
	struct fl_clock new = { .source = fl_ticks_source() };
	struct timespec now;
	int err;

	/* Every later reading can rely on the clock being there. */
	if (clock_gettime(CLOCK_MONOTONIC_RAW, &now))
		return -errno;
	err = calibrate(&new.start, &new.ns_per_tick, &new.uncertainty_ppm);
	if (err)
		return err;
	if (new.source == FL_TICKS_MONOTONIC_RAW) {
		new.ns_per_tick = 1;
		new.uncertainty_ppm = 0;
	}
	err = measure_step(&new);
	if (err)
		return err;
	*clock = new;
	return 0;
}

/* Hexadecimal: what is read is what was written. */
void fl_clock_write(const struct fl_clock *clock, char text[FL_CLOCK_TEXT_BYTES])
{
	snprintf(text, FL_CLOCK_TEXT_BYTES,
		 "%s:%a:%a:%" PRIu64 ":%a:%a:%" PRIu64 ":%" PRIu64 ":%a",
		 fl_clock_source_name(clock->source), clock->ns_per_tick,
		 clock->uncertainty_ppm, clock->step_ticks, clock->usual_ns,
		 clock->pair_p50_ns, clock->start.ticks, clock->start.raw_ns,
		 clock->start.width_ns);
}

int fl_clock_read(const char *text, struct fl_clock *clock)
{
	struct fl_clock c = { .source = FL_TICKS_MONOTONIC_RAW };
	char source[16];
	int end = 0;

	if (sscanf(text, "%15[a-z_]:%la:%la:%" SCNu64 ":%la:%la:%" SCNu64 ":%" SCNu64
		   ":%la%n", source, &c.ns_per_tick, &c.uncertainty_ppm,
		   &c.step_ticks, &c.usual_ns, &c.pair_p50_ns, &c.start.ticks,
		   &c.start.raw_ns, &c.start.width_ns, &end) != 9 || text[end])
		return -EINVAL;
	if (!strcmp(source, fl_clock_source_name(FL_TICKS_TSC)))
		c.source = FL_TICKS_TSC;
	else if (strcmp(source, fl_clock_source_name(c.source)))
		return -EINVAL;
	if (!isfinite(c.ns_per_tick) || c.ns_per_tick <= 0 || !c.step_ticks ||
	    !isfinite(c.usual_ns) || !isfinite(c.pair_p50_ns) ||
	    !isfinite(c.uncertainty_ppm) || !isfinite(c.start.width_ns))
		return -EINVAL;
	c.step_ns = fl_clock_ns(&c, c.step_ticks);
	*clock = c;
	return 0;
}

int fl_clock_adopt(const struct fl_clock *known, struct fl_clock *clock)
{
	struct fl_clock_anchor now;
	double raw_ns, ns;
	int err = take_anchor(&now);

	if (err)
		return err;
	if (known->source != fl_ticks_source() ||
	    now.ticks <= known->start.ticks || now.raw_ns <= known->start.raw_ns)
		return -ESTALE;
	raw_ns = (double)(now.raw_ns - known->start.raw_ns);
	ns = fl_clock_ns(known, now.ticks - known->start.ticks);
	if (fabs(ns - raw_ns) > raw_ns * FL_CLOCK_HOLDS_PPM * 1e-6 +
				now.width_ns + known->start.width_ns)
		return -ESTALE;
	*clock = *known;
	clock->handed_on = true;
	return 0;
}

int fl_clock_drift(const struct fl_clock *clock, struct fl_clock_drift *drift)
{
	double end_rate, whole_rate, ignored;
	struct fl_clock_anchor end;
	int err;

	err = calibrate(&end, &end_rate, &ignored);
	if (err)
		return err;
	err = rate_between(&clock->start, &end, &whole_rate, &ignored);
	if (err)
		return err;
	drift->elapsed_ns = (double)(end.raw_ns - clock->start.raw_ns);
	drift->rate_ppm = (end_rate / clock->ns_per_tick - 1) * 1e6;
	drift->offset_ppm = (whole_rate / clock->ns_per_tick - 1) * 1e6;
	return 0;
}

bool fl_clock_resolves(const struct fl_clock *clock, double ns)
{
	return ns >= FL_CLOCK_STEPS_MIN * clock->step_ns &&
	       ns >= FL_CLOCK_PAIRS_MIN * clock->pair_p50_ns;
}

const char *fl_clock_source_name(enum fl_ticks_source source)
{
	return source == FL_TICKS_TSC ? "tsc" : "monotonic_raw";
}

json_t *fl_clock_json(const struct fl_clock *clock)
{
	return json_pack("{s:s, s:f, s:f, s:I, s:f, s:f, s:f, s:b}",
			 "source", fl_clock_source_name(clock->source),
			 "ns_per_tick", clock->ns_per_tick,
			 "uncertainty_ppm", clock->uncertainty_ppm,
			 "step_ticks", (json_int_t)clock->step_ticks,
			 "step_ns", clock->step_ns,
			 "usual_ns", clock->usual_ns,
			 "pair_p50_ns", clock->pair_p50_ns,
			 "handed_on", clock->handed_on);
}

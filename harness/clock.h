/* SPDX-License-Identifier: MIT */
/*
 * harness/clock.h: what a tick is worth, and what the clock cannot see.
 *
 * Vocabulary: a "tick" is one unit of fl_ticks() (faultline/ticks.h).  The
 * "step" is the amount by which the counter advances when it does: some CPUs
 * and hypervisors move it in jumps of many ticks, and nothing shorter than a
 * few jumps can be timed.  A "pair" is two readings back to back.  "Raw time" is
 * CLOCK_MONOTONIC_RAW: never slewed by NTP.  An "anchor" is one instant in both.
 *
 * Context: cold unless marked otherwise; call from a thread pinned to one CPU.
 */
#ifndef FL_CLOCK_H
#define FL_CLOCK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "faultline/ticks.h"

/* Shortest duration worth a histogram: this many steps, this many pairs. */
#define FL_CLOCK_STEPS_MIN	10
#define FL_CLOCK_PAIRS_MIN	5

struct fl_clock_anchor {
	uint64_t ticks;
	uint64_t raw_ns;
	double width_ns;	/* raw time between the readings around it */
};

struct fl_clock {
	enum fl_ticks_source source;
	double ns_per_tick;
	double uncertainty_ppm;	/* of ns_per_tick, from the anchors' widths */
	uint64_t step_ticks;	/* see fl_clock_init */
	double step_ns;
	double usual_ns;	/* most common non-zero difference of a pair */
	double pair_p50_ns;	/* median cost of a pair, zero differences too */
	struct fl_clock_anchor start;
	bool handed_on;		/* by fl_clock_adopt, not calibrated here */
};

/* How the clock at the end of a run compares with the start. */
struct fl_clock_drift {
	double elapsed_ns;	/* raw time since fl_clock_init */
	double rate_ppm;	/* end calibration against start calibration */
	double offset_ppm;	/* ticks against raw time over the whole run:
				   also sees a counter that jumped */
};

/* fl_clock_ticks: Read the clock.  Hot; see fl_ticks(). */
static inline uint64_t fl_clock_ticks(void)
{
	return fl_ticks();
}

/* fl_clock_ns: A difference of ticks in ns.  Hot. */
static inline double fl_clock_ns(const struct fl_clock *clock, uint64_t ticks)
{
	return (double)ticks * clock->ns_per_tick;
}

/*
 * fl_clock_init: Calibrate against raw time and measure step and cost.
 *
 * The rate comes from two anchors 20 ms apart; each is the tightest of many
 * tries, so a preempted reading does no harm.  When the source is raw time
 * itself, a tick is 1 ns by definition.
 *
 * Returns 0 and fills *@clock, or:
 *   -errno of clock_gettime or clock_nanosleep.
 *   -EIO: a clock stood still or ran backwards.
 * Cost: 25 ms.
 */
int fl_clock_init(struct fl_clock *clock);

/*
 * What one process measured another one need not: fl_clock_write makes @clock a word
 * for its command line, and fl_clock_read the clock of that word, number by number
 * the same.  fl_clock_read returns 0, or -EINVAL for any other word.
 */
#define FL_CLOCK_TEXT_BYTES	256
#define FL_CLOCK_REMEDY							\
	"--clock=%s: it is a calibration that a campaign hands on: leave it out"
void fl_clock_write(const struct fl_clock *clock, char text[FL_CLOCK_TEXT_BYTES]);
int fl_clock_read(const char *text, struct fl_clock *clock);

/*
 * fl_clock_adopt: Use @known, if it still holds: from its start to now ticks and
 * raw time must agree to FL_CLOCK_HOLDS_PPM and the width of the anchors, which
 * they do not on another machine, after a reboot, or when the counter has jumped.
 * Returns 0 and fills *@clock, -ESTALE if it does not hold, or -EIO as
 * fl_clock_init.  Cost: 5 us.
 */
#define FL_CLOCK_HOLDS_PPM	100
int fl_clock_adopt(const struct fl_clock *known, struct fl_clock *clock);

/*
 * fl_clock_find_step: The largest number of ticks that divides at least 99 % of
 * the @nr @deltas (all above 0), which are sorted in place; 1 when @nr is 0.
 * From 8 ticks on, give or take one: some CPUs add a tick where two readings
 * would be equal, and a kernel clock rounds to ns.
 * Cost: at worst @nr times the smallest delta.  Pure apart from the sorting.
 */
uint64_t fl_clock_find_step(uint64_t *deltas, size_t nr);

/*
 * fl_clock_drift: Calibrate again and compare.  Judge the answers against
 * clock->uncertainty_ppm; where the kernel derives raw time from the same
 * counter, they show little more than that.
 * Returns 0 and fills *@drift, or as fl_clock_init.  Cost: 20 ms.
 */
int fl_clock_drift(const struct fl_clock *clock, struct fl_clock_drift *drift);

/*
 * fl_clock_resolves: Whether durations of about @ns may be timed one by one: at
 * least ten steps, or a histogram would show the clock's steps; and at least
 * five pairs, or a fifth of each value would be the clock's own cost.
 */
bool fl_clock_resolves(const struct fl_clock *clock, double ns);

/* fl_clock_source_name: "tsc" or "monotonic_raw". */
const char *fl_clock_source_name(enum fl_ticks_source source);

/*
 * fl_clock_json: The clock for the record: source, ns_per_tick,
 * uncertainty_ppm, step_ticks, step_ns, usual_ns, pair_p50_ns, handed_on.
 * Returns a new reference, or NULL without memory.
 */
json_t *fl_clock_json(const struct fl_clock *clock);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * harness/quiet.h: is somebody else at work on our core?
 *
 * Vocabulary: a "neighbour" is what runs on the other hardware thread of our
 * core: another program or, in a virtual machine, another guest.  It takes half
 * of the core's throughput, in bursts of milliseconds, and nothing tells: the
 * clock does not slow down, and the hypervisor calls none of it steal.  The
 * "probe" is a loop of independent additions, bound by throughput alone, so it
 * takes nearly twice as long while there is a neighbour, and hardly varies while
 * there is none.  A piece of work is "quiet" when the probes before and after it
 * took no more than FL_QUIET_LIMIT of the shortest there ever was, and
 * nobody was given our CPU in between.
 *
 * What is not quiet is measured again, and waits for quiet before it is; only for
 * so long, because some neighbours stay.  So a sample is about the machine when
 * it is ours, which is what arms can be compared on; docs/measurement.md.
 *
 * Context: hot loops are around it, not in it; one thread, pinned.
 */
#ifndef FL_QUIET_H
#define FL_QUIET_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/clock.h"

/* Quiet probes are within 2 % of the shortest, others 20 % above it and more. */
#define FL_QUIET_LIMIT		1.05

struct fl_quiet {
	double ns_per_tick;
	double least_ns;	/* shortest probe known */
	double patience_ns;	/* still to be spent on what is not quiet */
	bool before;		/* of the piece: was it quiet then? */
	long nr_preempted;	/* of the thread, then */
	uint64_t nr_dropped;	/* pieces that were not quiet, and thrown away */
	uint64_t nr_disturbed;	/* pieces that were not, and kept all the same */
};

/*
 * fl_quiet_init: Have the first probes.
 * @known_ns:    shortest probe on this machine as far as is known, or 0.
 * @patience_ns: most to wait for quiet in all.
 * Cost: 1 ms.
 */
void fl_quiet_init(struct fl_quiet *quiet, const struct fl_clock *clock,
		   double known_ns, double patience_ns);

/*
 * fl_quiet_begin: Wait until it is quiet or patience is spent; a piece of work
 * begins.  Cost: 2 us if it is quiet.
 */
void fl_quiet_begin(struct fl_quiet *quiet);

/*
 * fl_quiet_end: It has ended, after @ns.  Returns whether it is to be kept: it was
 * quiet, or patience is spent, on which throwing it away draws as well.  Cost: 2 us.
 */
bool fl_quiet_end(struct fl_quiet *quiet, double ns);

/*
 * fl_parse_probe_ns: The number of an option --probe-ns, or 0 if @text is none that a
 * probe could take; complain by FL_PROBE_NS_REMEDY, with @text for its %s.
 */
double fl_parse_probe_ns(const char *text);
#define FL_PROBE_NS_REMEDY						\
	"--probe-ns=%s: write nanoseconds, as 2800 or 2812.5; samples report them as probe_ns"

#endif

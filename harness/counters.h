/* SPDX-License-Identifier: MIT */
/*
 * harness/counters.h: what the kernel counts about us while batches run.
 *
 * Vocabulary: a "counter" is one quantity of FL_COUNTERS; a "count" is how far
 * it moved between start and stop.  A counter that this host, kernel or user
 * cannot read has no count but a reason; it is never reported as 0.
 *
 * Scope: "thread" counts the thread that opens the counters; "process" counts
 * every thread for getrusage, and for perf events that thread and all it
 * creates later on, so open them before the strategy starts its helpers.
 *
 * Context: cold; one struct fl_counters belongs to the thread that opened it.
 */
#ifndef FL_COUNTERS_H
#define FL_COUNTERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * name (key in JSON, carries its unit), definition.  Sources: getrusage(2) for
 * the first four, /proc/stat for steal, perf_event_open(2) for all others.
 */
#define FL_COUNTERS(X)							\
	X(minor_faults, "page faults served without I/O")		\
	X(major_faults, "page faults that waited for I/O")		\
	X(voluntary_switches, "context switches because we waited")	\
	X(involuntary_switches, "context switches because we were preempted") \
	X(steal_ms, "time the hypervisor took from our CPU; steps of 10 ms") \
	X(perf_page_faults, "page faults, all kinds")			\
	X(perf_minor_faults, "page faults served without I/O")		\
	X(perf_major_faults, "page faults that waited for I/O")		\
	X(perf_switches, "context switches")				\
	X(perf_migrations, "moves to another CPU")			\
	X(perf_task_clock_ns, "time on a CPU")				\
	X(cycles, "core clock cycles while not halted")			\
	X(instructions, "instructions retired")				\
	X(branches, "branch instructions retired")			\
	X(branch_misses, "branches mispredicted")			\
	X(dtlb_load_misses, "loads that missed the data TLB")		\
	X(l1d_load_misses, "loads that missed the first-level data cache")

#define FL_COUNTER_ID(name, definition)	FL_COUNTER_##name,
enum fl_counter { FL_COUNTERS(FL_COUNTER_ID) FL_NR_COUNTERS };
#undef FL_COUNTER_ID

enum fl_counters_scope { FL_COUNT_THREAD, FL_COUNT_PROCESS };

#define FL_REASON_BYTES		128

struct fl_count {
	bool have;		/* false: value means nothing, see reason */
	bool user_only;		/* the kernel's own part was not counted */
	uint64_t value;
	double running_share;	/* below 1: the hardware counter was shared, and
				   value is extrapolated from this share */
	char reason[FL_REASON_BYTES];	/* one line; empty when have */
};

struct fl_counts {
	struct fl_count count[FL_NR_COUNTERS];
};

struct fl_counters;

/* fl_counter_name, fl_counter_definition: As in FL_COUNTERS. */
const char *fl_counter_name(enum fl_counter counter);
const char *fl_counter_definition(enum fl_counter counter);

/*
 * fl_counters_open: Open every counter there is.
 * @cpu: the CPU we are pinned to, for steal time; -1: not pinned.
 *
 * What cannot be opened is not an error: its counts will say why.  Events that
 * the user may not count in the kernel are opened for user space alone, and
 * marked; except context switches and migrations, which happen in the kernel
 * and would read 0.
 *
 * Returns 0 and *@out, which the caller closes, or -ENOMEM.
 * Cost: 12 system calls.
 */
int fl_counters_open(struct fl_counters **out, enum fl_counters_scope scope,
		     int cpu);

/* fl_counters_close: NULL is fine. */
void fl_counters_close(struct fl_counters *counters);

/*
 * fl_counters_start, fl_counters_stop: Count what happens in between; may be
 * repeated, each pair counts by itself.  Perf events are switched on last and
 * off first, so that the reading itself shows least where it is counted finest.
 * Stop fills all of *@out.
 * Cost: about 30 system calls and one reading of /proc/stat, each.
 */
void fl_counters_start(struct fl_counters *counters);
void fl_counters_stop(struct fl_counters *counters, struct fl_counts *out);

/*
 * fl_counts_add: @more on top of @sum, which @first begins.  What could not be
 * counted once is not counted.
 */
void fl_counts_add(struct fl_counts *sum, const struct fl_counts *more,
		   bool first);

/*
 * fl_counts_json: {"minor_faults": 12, "cycles": null, ...,
 *	"reasons": {"cycles": "..."}, "user_only": ["branches"],
 *	"running_share": {"instructions": 0.66}}
 * with a reason for each null, and the last three empty when all is well.
 * Returns a new reference, or NULL without memory.
 */
json_t *fl_counts_json(const struct fl_counts *counts);

#endif

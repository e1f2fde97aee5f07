/* SPDX-License-Identifier: MIT */
/*
 * harness/metrics.h: every number a sample reports, declared once: name, unit,
 * whose it is, definition.  The name is the JSON key and carries the unit.  The counters of
 * harness/counters.h join them in the same object.
 *
 * "timed batches" are the batches that alloc_ns is about; "slow path" is what
 * runs when a block is exhausted, by call or by fault; a "page" is an OS page.
 */
#ifndef FL_METRICS_H
#define FL_METRICS_H

#include <stdbool.h>

/* Samples of which kind have a metric. */
enum fl_metric_of { FL_OF_CELL = 1, FL_OF_BENCH = 2, FL_OF_BOTH = 3 };

#define FL_METRICS(X)							\
	X(op_ns, "ns", FL_OF_BENCH, "time per op of a bench: the pieces of the timed stretch that were kept, over their ops") \
	X(nr_ops, "1", FL_OF_BENCH, "ops in the timed stretch") \
	X(alloc_ns, "ns", FL_OF_CELL, "time per allocation: all of the timed batches, slow paths and resets included, over their allocations") \
	X(alloc_best_ns, "ns", FL_OF_CELL, "the same of the fastest batch: a floor, not a headline") \
	X(event_ns, "ns", FL_OF_CELL, "time per event of the program: allocations, creations, resets, destructions") \
	X(events_per_s, "1/s", FL_OF_CELL, "events of the program per second") \
	X(floor_ns, "ns", FL_OF_CELL, "time per iteration of the empty kernel, same residence, best of three; not subtracted anywhere") \
	X(nr_allocs, "1", FL_OF_CELL, "allocations in the timed batches") \
	X(nr_batches, "1", FL_OF_CELL, "timed batches") \
	X(nr_lifetimes, "1", FL_OF_CELL, "region lifetimes, or passes of the program, in the timed batches") \
	X(lifetime_bytes, "bytes", FL_OF_CELL, "bytes per lifetime, sizes rounded up to 8") \
	X(events, "1", FL_OF_CELL, "times the slow path supplied memory during the timed batches: refills and handled faults") \
	X(events_implied, "1", FL_OF_CELL, "the same as computed from the sizes and the declared geometry; a sample that differs fails") \
	X(hits, "1", FL_OF_CELL, "of events, handled faults") \
	X(refills, "1", FL_OF_CELL, "of events, calls") \
	X(given_pages, "pages", FL_OF_CELL, "pages that the policy (giveback=) gave back during the timed batches, resident or not") \
	X(give_calls, "1", FL_OF_CELL, "system calls that took, at least") \
	X(give_failures, "1", FL_OF_CELL, "batches of ranges that the kernel refused to take back") \
	X(slow_n, "1", FL_OF_BOTH, "allocations of the latency batch behind which the slow path ran (demand_zero: which entered another page), timed one by one; of a bench, ops") \
	X(slow_mean_ns, "ns", FL_OF_BOTH, "their mean latency on the thread that allocates, or runs the bench, two readings of the clock included: what a difference of two of them is for") \
	X(slow_p50_ns, "ns", FL_OF_BOTH, "the same, median") \
	X(slow_p90_ns, "ns", FL_OF_BOTH, "90th percentile") \
	X(slow_p99_ns, "ns", FL_OF_BOTH, "99th percentile") \
	X(slow_p99_9_ns, "ns", FL_OF_BOTH, "99.9th percentile") \
	X(slow_p99_99_ns, "ns", FL_OF_BOTH, "99.99th percentile") \
	X(slow_max_ns, "ns", FL_OF_BOTH, "longest") \
	X(resident_pages, "pages", FL_OF_CELL, "resident pages of the ranges that hold objects, after all batches, by the kernel's page tables") \
	X(metadata_pages, "pages", FL_OF_CELL, "resident pages of the strategy's own bookkeeping") \
	X(reserved_bytes, "bytes", FL_OF_CELL, "address space of the heap's ranges") \
	X(vmas, "1", FL_OF_CELL, "virtual memory areas of the process with the heap open") \
	X(page_table_bytes, "bytes", FL_OF_CELL, "page tables of the process (VmPTE)") \
	X(lazy_free_bytes, "bytes", FL_OF_CELL, "resident, but free for the kernel to take (LazyFree)") \
	X(harness_bytes, "bytes", FL_OF_CELL, "resident memory of the process that is neither the strategy's nor the compiled trace") \
	X(nr_censuses, "1", FL_OF_CELL, "censuses of an accounting run, at even distances in events") \
	X(leaked_share, "1", FL_OF_CELL, "pages that are resident, hold nothing alive and never do again before they are given back or the run ends (leaked and censored), over all resident pages; both summed over events") \
	X(censored_share, "1", FL_OF_CELL, "of these, those that were still resident when the run ended: a longer run might have used them") \
	X(pooled_share, "1", FL_OF_CELL, "pages that are resident, hold nothing alive, and will again before they are given back, over all resident pages") \
	X(live_share, "1", FL_OF_CELL, "pages with a byte of a live object, over all resident pages") \
	X(peak_resident_pages, "pages", FL_OF_CELL, "most resident pages at a census, bookkeeping included") \
	X(peak_live_pages, "pages", FL_OF_CELL, "most pages with a live object at a census") \
	X(peak_live_bytes, "bytes", FL_OF_CELL, "most bytes in live objects at a census, sizes rounded up to 8") \
	X(peak_resident_over_live, "1", FL_OF_CELL, "peak_resident_pages over peak_live_pages") \
	X(account_events_per_s, "1/s", FL_OF_CELL, "events of the program per second of the accounting run, censuses and the strategy's own calls included: no result about the strategy") \
	X(account_cpu_events_per_s, "1/s", FL_OF_CELL, "the same per second of processor time of the thread") \
	X(account_own_ns, "ns", FL_OF_CELL, "of processor time for each event that counting took: the censuses, and the ledger by a part of its calls; neither the program, nor the calls to the kernel that the strategy makes whether somebody counts or not") \
	X(account_census_ns, "ns", FL_OF_CELL, "a census of the accounting run, on average") \
	X(ahead_pages, "pages", FL_OF_CELL, "most pages between two censuses that became resident without an object: opened ahead") \
	X(outside_pages, "pages", FL_OF_CELL, "most resident pages outside of all declared ranges, beyond those before the heap was opened") \
	X(written_pages, "pages", FL_OF_CELL, "pages that objects were put on between two censuses, and that were resident at the second, summed over all: what both witnesses saw") \
	X(written_missed_pages, "pages", FL_OF_CELL, "of these, such that the kernel had not seen written") \
	X(written_extra_pages, "pages", FL_OF_CELL, "pages that the kernel saw written, and no object was put on") \
	X(tail_n, "1", FL_OF_CELL, "blocks that were left because the next object went elsewhere") \
	X(tail_mean_bytes, "bytes", FL_OF_CELL, "tail of such a block: from its last object to its end by the declared geometry, where that does not say to the end of the page") \
	X(tail_p50_bytes, "bytes", FL_OF_CELL, "the same, median") \
	X(tail_p90_bytes, "bytes", FL_OF_CELL, "90th percentile") \
	X(tail_p99_bytes, "bytes", FL_OF_CELL, "99th percentile") \
	X(last_page_n, "1", FL_OF_CELL, "regions that died with objects in them") \
	X(last_page_mean_bytes, "bytes", FL_OF_CELL, "from the newest object of a dying region to the end of its page") \
	X(last_page_p50_bytes, "bytes", FL_OF_CELL, "the same, median") \
	X(last_page_p90_bytes, "bytes", FL_OF_CELL, "90th percentile") \
	X(last_page_p99_bytes, "bytes", FL_OF_CELL, "99th percentile") \
	X(trace_lines_per_s, "1/s", FL_OF_CELL, "lines of the trace read, validated and compiled per second") \
	X(probe_ns, "ns", FL_OF_BOTH, "the shortest probe for a neighbour on our core that this machine is known to have had") \
	X(nr_dropped, "1", FL_OF_BOTH, "batches, or pieces of a bench, that were thrown away because a neighbour was at work before or after") \
	X(nr_disturbed, "1", FL_OF_BOTH, "batches, or pieces, that were kept although there was one: he would not rest") \
	X(clock_step_ns, "ns", FL_OF_BOTH, "smallest step of the clock") \
	X(clock_pair_ns, "ns", FL_OF_BOTH, "two clock readings back to back, median")

#define FL_METRIC_ID(name, unit, of, definition) FL_METRIC_##name,
enum fl_metric { FL_METRICS(FL_METRIC_ID) FL_NR_METRICS };
#undef FL_METRIC_ID

const char *fl_metric_name(enum fl_metric metric);
const char *fl_metric_unit(enum fl_metric metric);
const char *fl_metric_definition(enum fl_metric metric);
enum fl_metric_of fl_metric_of(enum fl_metric metric);

/* fl_metric_known: Is @name one of FL_METRICS or of the counters? */
bool fl_metric_known(const char *name);

#endif

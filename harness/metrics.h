/* SPDX-License-Identifier: MIT */
/*
 * harness/metrics.h: every number a sample reports, declared once: name, unit,
 * definition.  The name is the JSON key and carries the unit.  The counters of
 * harness/counters.h join them in the same object.
 *
 * "timed batches" are the batches that alloc_ns is about; "slow path" is what
 * runs when a block is exhausted, by call or by fault; a "page" is an OS page.
 */
#ifndef FL_METRICS_H
#define FL_METRICS_H

#define FL_METRICS(X)							\
	X(alloc_ns, "ns", "time per allocation: all of the timed batches, slow paths and resets included, over their allocations") \
	X(alloc_best_ns, "ns", "the same of the fastest batch: a floor, not a headline") \
	X(event_ns, "ns", "time per event of the program: allocations, creations, resets, destructions") \
	X(events_per_s, "1/s", "events of the program per second") \
	X(floor_ns, "ns", "time per iteration of the empty kernel, same residence, best of three; not subtracted anywhere") \
	X(nr_allocs, "1", "allocations in the timed batches") \
	X(nr_batches, "1", "timed batches") \
	X(nr_lifetimes, "1", "region lifetimes, or passes of the program, in the timed batches") \
	X(lifetime_bytes, "bytes", "bytes per lifetime, sizes rounded up to 8") \
	X(events, "1", "times the slow path supplied memory during the timed batches: refills and handled faults") \
	X(events_implied, "1", "the same as computed from the sizes and the declared geometry; a sample that differs fails") \
	X(hits, "1", "of events, handled faults") \
	X(refills, "1", "of events, calls") \
	X(slow_n, "1", "allocations of the latency batch behind which the slow path ran (demand_zero: which entered another page), timed one by one") \
	X(slow_mean_ns, "ns", "their mean latency on the allocating thread, two readings of the clock included: what a difference of two of them is for") \
	X(slow_p50_ns, "ns", "the same, median") \
	X(slow_p90_ns, "ns", "90th percentile") \
	X(slow_p99_ns, "ns", "99th percentile") \
	X(slow_p99_9_ns, "ns", "99.9th percentile") \
	X(slow_p99_99_ns, "ns", "99.99th percentile") \
	X(slow_max_ns, "ns", "longest") \
	X(resident_pages, "pages", "resident pages of the ranges that hold objects, after all batches, by the kernel's page tables") \
	X(metadata_pages, "pages", "resident pages of the strategy's own bookkeeping") \
	X(reserved_bytes, "bytes", "address space of the heap's ranges") \
	X(vmas, "1", "virtual memory areas of the process with the heap open") \
	X(page_table_bytes, "bytes", "page tables of the process (VmPTE)") \
	X(lazy_free_bytes, "bytes", "resident, but free for the kernel to take (LazyFree)") \
	X(harness_bytes, "bytes", "resident memory of the process that is neither the strategy's nor the compiled trace") \
	X(trace_lines_per_s, "1/s", "lines of the trace read, validated and compiled per second") \
	X(clock_step_ns, "ns", "smallest step of the clock") \
	X(clock_pair_ns, "ns", "two clock readings back to back, median")

#define FL_METRIC_ID(name, unit, definition) FL_METRIC_##name,
enum fl_metric { FL_METRICS(FL_METRIC_ID) FL_NR_METRICS };
#undef FL_METRIC_ID

#endif

/* SPDX-License-Identifier: MIT */
/*
 * vm/uffd_spans.h: spans (vm/spans.h) in read-write memory whose missing pages a
 * userfaultfd supplies: all there is of such a strategy but its settings.
 *
 * The store into a missing page is resolved from the frontier down, by the
 * faulting thread itself, in SIGBUS, or by a service thread while it sleeps.
 * The guard below each span is PROT_NONE, which a userfaultfd does not see, and
 * sends a declared site to the sink.  In the child of a fork the heap refuses
 * (fl_spans_freeze).
 *
 * A page of a region that is usable and yet missing (a program may give the pages
 * of a dead array to the kernel) is supplied again, without an event.
 *
 * Context: the handlers are async-signal-safe; the rest is cold and belongs to
 * the heap's thread, which a signal handler that uses the heap must not interrupt.
 */
#ifndef FL_VM_UFFD_SPANS_H
#define FL_VM_UFFD_SPANS_H

#include "vm/fork.h"
#include "vm/spans.h"
#include "vm/uffd_fill.h"
#include "vm/uffd_service.h"

/* First member of the strategy's heap, or all of it. */
struct fl_uffd_spans {
	struct fl_spans spans;	/* written by the service thread while the
				   program's thread sleeps in its fault */
	struct fl_uffd uffd;
	struct fl_uffd_fill fill;
	struct fl_uffd_service service;
	struct fl_fork_hook fork;
	bool locked;		/* by the program's calls, or by the service
				   thread's work on an event */
	char *late;		/* the page that a sleeping thread waits for */
};

struct fl_uffd_spans_config {
	size_t span_bytes;
	enum fl_uffd_source source;
	size_t pool_bytes;		/* FL_FILL_MOVE: resident at first */
	bool serve;			/* by a thread; else in SIGBUS */
	enum fl_uffd_wait wait;		/* of the thread, and */
	int cpu;			/* where it runs; -1: anywhere */
	bool rewind;			/* at reset: nothing is usable.  Needs
					   a policy that has given all back */
	struct fl_retain_config retain;	/* with FL_RETAIN_MOVE: to the pool */
	const struct fl_site *sites, *sites_end;	/* FL_MODULE_SITES */
};

/*
 * fl_uffd_spans_probe: Can this process have such a heap?
 * @reason: if not, one line that says why.  Returns 0, -ENOTSUP or -errno.
 */
int fl_uffd_spans_probe(const struct fl_uffd_spans_config *config, char *reason,
			size_t reason_bytes);

/*
 * fl_uffd_spans_open: fl_spans_open, and then the userfaultfd and the thread.
 * The caller fills in the steps of struct fl_spans afterwards.
 */
int fl_uffd_spans_open(const struct fl_open_args *args,
		       const struct fl_uffd_spans_config *config,
		       size_t heap_bytes, struct fl_heap **heap);

/* In the place of those of vm/spans.h, with the lock. */
struct fl_cursor fl_uffd_spans_large(struct fl_region *region,
				     struct fl_cursor cursor, size_t bytes,
				     size_t align, uint64_t first_word);
int fl_uffd_spans_region_create(struct fl_heap *heap,
				struct fl_region **region);
void fl_uffd_spans_region_reset(struct fl_region *region);
void fl_uffd_spans_region_destroy(struct fl_region *region);
void fl_uffd_spans_close(struct fl_heap *heap);
size_t fl_uffd_spans_ranges(const struct fl_heap *heap, struct fl_range *out,
			    size_t max);
uint64_t fl_uffd_spans_trim(struct fl_heap *heap);

#endif

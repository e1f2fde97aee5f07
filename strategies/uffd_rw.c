/* SPDX-License-Identifier: MIT */
/*
 * uffd_rw: one contiguous read-write range per region, registered with a
 * userfaultfd.  The store into a missing page is resolved by mapping that page
 * and the next ones below it; the object stays where it is.
 *
 *  handler=sigbus  the faulting thread gets SIGBUS and resolves its own fault
 *  handler=thread  it sleeps while a service thread reads the event and resolves
 *                  it, on the same CPU or on another
 *
 * A fault is served from the lowest mapped page (the frontier) down to what the
 * largest object of a site can reach; elsewhere it is a bug of the program and
 * becomes the signal it deserves.  The end of the range has a guard, which
 * sends a declared site to the sink.  All that is in vm/spans.h; what mapping
 * means, and who does it, is here.
 */
#include <errno.h>
#include <linux/userfaultfd.h>

#include "faultline/site.h"
#include "faultline/strategy.h"
#include "vm/fork.h"
#include "vm/giveback.h"
#include "vm/place.h"
#include "vm/spans.h"
#include "vm/uffd_service.h"

enum { SPAN, STEP, GROWTH, HANDLER, CPU, FILL, RESET };
enum { HANDLER_SIGBUS, HANDLER_THREAD };
enum { CPU_SAME, CPU_OTHER };
enum { FILL_COPY, FILL_ZEROPAGE };
enum { RESET_KEEP, RESET_RETURN };

#define STEP_PAGES_MAX	512u

static const char *const growths[] = { "constant", "doubling", NULL };
static const char *const handlers[] = { "sigbus", "thread", NULL };
static const char *const cpus[] = { "same", "other", NULL };
static const char *const fills[] = { "copy", "zeropage", NULL };
static const char *const resets[] = { "keep", "return", NULL };

static const struct fl_tunable tunables[] = {
	[SPAN] = {
		.name = "span", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "address space of a region",
		.def = 1 << 30, .min = 4 << 10, .max = (uint64_t)4 << 40,
	},
	[STEP] = {
		.name = "step", .unit = "pages", .kind = FL_TUNABLE_COUNT,
		.help = "pages mapped per fault, at least",
		.def = 16, .min = 1, .max = STEP_PAGES_MAX,
	},
	[GROWTH] = {
		.name = "growth", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "each step as large as the first, or twice the one before",
		.choices = growths,
	},
	[HANDLER] = {
		.name = "handler", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "who resolves: the faulting thread, or a service thread",
		.choices = handlers,
	},
	[CPU] = {
		.name = "cpu", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "where the service thread runs",
		.choices = cpus,
	},
	[FILL] = {
		.name = "fill", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "UFFDIO_COPY of zeros, or UFFDIO_ZEROPAGE (a write then "
			"faults again)",
		.choices = fills,
	},
	[RESET] = {
		.name = "reset", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "pages at reset and destroy: keep them, or return them",
		.choices = resets,
	},
};

struct heap {
	struct fl_spans spans;	/* written by the service thread while the
				   program's thread sleeps in its fault */
	struct fl_uffd uffd;
	struct fl_uffd_service service;
	char *zeros;		/* what UFFDIO_COPY copies */
	bool zeropage, thread;
	struct fl_fork_hook fork;
};

fl_behind_fault
static int map_pages(struct fl_spans *spans, char *base, size_t bytes)
{
	const struct heap *heap = (const struct heap *)spans;
	const size_t most = STEP_PAGES_MAX * fl_page_bytes();
	int err = 0;

	while (bytes && !err) {
		size_t n = bytes < most ? bytes : most;

		err = heap->zeropage ? fl_uffd_zero(&heap->uffd, base, n) :
			fl_uffd_copy(&heap->uffd, base, heap->zeros, n);
		base += n;
		bytes -= n;
	}
	return err;
}

/* Given back, the pages are missing again, and the next lifetime faults. */
static int return_pages(struct fl_spans *spans, char *base, size_t bytes)
{
	(void)spans;
	return fl_giveback_one(base, bytes, FL_GIVE_DONTNEED);
}

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);

	if (fl_unlikely(bytes > FL_SITE_BYTES_MAX)) {
		*cursor = fl_spans_large(region, *cursor, n, align, first_word);
		return cursor->bump;
	}
	return fl_site_new(&cursor->bump, n, align, first_word);
}

/* On the service thread, the program's thread asleep at its site. */
static bool uffd_rw_resolve(void *owner, char *address)
{
	return fl_spans_extend(owner, address);
}

/*
 * SIGBUS: a missing page, in sigbus mode.  SIGSEGV: the guard, or a fault that
 * the service thread declined.
 */
static bool uffd_rw_handle(void *owner, const struct fl_fault *fault)
{
	struct heap *heap = owner;

	if (fault->signal == SIGBUS && fl_spans_extend(owner, fault->address))
		return true;
	if (heap->thread)
		fl_uffd_declined(&heap->service, fault->address);
	return fl_spans_redirect(owner, fault);
}

#define strategy_region_create	fl_spans_region_create
#define strategy_region_reset	fl_spans_region_reset
#define strategy_region_destroy	fl_spans_region_destroy

#include "faultline/module.h"

/*
 * A fault that the service thread declines is sent to the thread that it
 * happened in, with its address (Linux 5.18) and not only its page.
 */
static uint64_t features(const uint64_t *values)
{
	return values[HANDLER] == HANDLER_SIGBUS ? UFFD_FEATURE_SIGBUS :
		UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_EXACT_ADDRESS;
}

static int uffd_rw_probe(const uint64_t *values, char *reason,
			 size_t reason_bytes)
{
	struct fl_uffd uffd;
	int err;

	if (values[HANDLER] == HANDLER_THREAD && values[CPU] == CPU_OTHER &&
	    fl_place_other(fl_place_cpu()) < 0) {
		snprintf(reason, reason_bytes,
			 "cpu=other needs a second CPU this process may use");
		return -ENOTSUP;
	}
	err = fl_uffd_open(features(values), &uffd);
	if (err) {
		snprintf(reason, reason_bytes, "userfaultfd: %s%s",
			 strerror(-err),
			 err == -EPERM ? " (forbidden to this process, perhaps "
					 "by a seccomp filter)" : "");
		return err;
	}
	fl_uffd_close(&uffd);
	return 0;
}

/* The descriptor is the parent's: while it is open, the parent's stays alive. */
static void uffd_rw_forked(void *owner)
{
	struct heap *heap = owner;

	fl_uffd_close(&heap->uffd);
	heap->thread = false;
	fl_spans_freeze(&heap->spans, -EOWNERDEAD);
}

static void uffd_rw_close(struct fl_heap *pub)
{
	struct heap *heap = (struct heap *)pub;

	fl_fork_unwatch(&heap->fork);
	if (heap->thread)
		fl_uffd_stop(&heap->service);
	fl_uffd_close(&heap->uffd);
	fl_release(heap->zeros, STEP_PAGES_MAX * fl_page_bytes());
	fl_blocks_close(pub);
}

/* The sink, lowest in the reservation, stays ordinary memory. */
static int register_spans(struct heap *heap)
{
	const struct fl_blocks *blocks = &heap->spans.blocks;
	char *first = fl_block_top(blocks->sink);

	return fl_uffd_register(&heap->uffd, first, blocks->bytes -
				(size_t)(first - blocks->base));
}

static int serve(struct heap *heap, const struct fl_open_args *args)
{
	int cpu = args->cpu >= 0 ? args->cpu : fl_place_cpu();
	int err;

	if (args->values[CPU] == CPU_OTHER)
		cpu = fl_place_other(cpu);
	err = fl_uffd_serve(&heap->service, &heap->uffd, FL_UFFD_BLOCK,
			    uffd_rw_resolve, heap, cpu);
	heap->thread = !err;
	return err;
}

static int uffd_rw_open(const struct fl_open_args *args, struct fl_heap **out)
{
	struct fl_blocks_config config = {
		.block_bytes = args->values[SPAN],
		.guard_bytes = FL_GUARD_BYTES,
		.guard = FL_GUARD_PROT_NONE,
		.access = FL_OPEN,
		.handle = uffd_rw_handle,
		FL_MODULE_SITES,
	};
	struct fl_heap *pub;
	struct heap *heap;
	int err = fl_spans_open(args, &config, sizeof(*heap), &pub);

	if (err)
		return err;
	heap = (struct heap *)pub;
	heap->uffd.fd = -1;
	heap->zeropage = args->values[FILL] == FILL_ZEROPAGE;
	heap->spans.open_pages = map_pages;
	heap->spans.return_pages = return_pages;
	heap->spans.close_pages =
		args->values[RESET] == RESET_RETURN ? return_pages : NULL;
	heap->spans.step_bytes = args->values[STEP] * fl_page_bytes();
	heap->spans.step_bytes_max = STEP_PAGES_MAX * fl_page_bytes();
	heap->spans.doubling = args->values[GROWTH];

	err = fl_reserve(STEP_PAGES_MAX * fl_page_bytes(), FL_OPEN,
			 &heap->zeros);
	if (!err)
		err = fl_uffd_open(features(args->values), &heap->uffd);
	if (!err)
		err = register_spans(heap);
	if (!err && args->values[HANDLER] == HANDLER_THREAD)
		err = serve(heap, args);
	heap->fork.child = uffd_rw_forked;
	heap->fork.owner = heap;
	if (!err)
		err = fl_fork_watch(&heap->fork);
	if (err)
		uffd_rw_close(pub);
	else
		*out = pub;
	return err;
}

FL_STRATEGY(
	.name = "uffd_rw",
	.summary = "one contiguous range per region; userfaultfd maps the next pages",
	.trigger = "userfaultfd",
	.answer = FL_ANSWER_EXTEND,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.probe = uffd_rw_probe,
	.open = uffd_rw_open,
	.close = uffd_rw_close,
	.ranges = fl_blocks_ranges,
	.geometry = fl_spans_geometry,
	.trim = fl_spans_trim,
);

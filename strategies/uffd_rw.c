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
 * becomes the SIGSEGV it deserves.  The end of the range has a guard, which
 * sends a declared site to the sink.
 */
#include <errno.h>
#include <linux/userfaultfd.h>

#include "faultline/site.h"
#include "faultline/strategy.h"
#include "vm/blocks.h"
#include "vm/giveback.h"
#include "vm/place.h"
#include "vm/uffd.h"

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
		.def = 1 << 30, .min = 4 << 10, .max = (uint64_t)8 << 40,
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
	struct fl_blocks blocks;
	struct fl_uffd uffd;
	struct fl_uffd_service service;
	char *zeros;		/* what UFFDIO_COPY copies */
	uint64_t step_bytes;
	uint64_t limit_bytes, mapped_bytes;
	bool doubling, zeropage, thread, returns;
};

/* The service thread writes these while the program's thread sleeps. */
struct region {
	struct fl_region pub;
	struct heap *heap;
	struct fl_block *span;
	char *frontier;		/* lowest mapped address */
	uint64_t step_bytes;	/* of the next fault */
};

static fl_cold char *exhausted(struct region *region)
{
	struct fl_blocks *blocks = &region->heap->blocks;

	blocks->pub.events.nr_sinks++;
	region->pub.error = -ENOMEM;
	return fl_block_top(blocks->sink);
}

/* Map pages from the frontier down to @lowest at least. */
static fl_cold int extend(struct region *region, char *lowest)
{
	struct heap *heap = region->heap;
	uint64_t room = (uint64_t)(region->frontier - region->span->base);
	uint64_t need, step = region->step_bytes, done = 0;
	int err = 0;

	if (lowest < region->span->base)
		return -ENOMEM;
	lowest -= (uintptr_t)lowest & (fl_page_bytes() - 1);
	need = (uint64_t)(region->frontier - lowest);
	step = step < need ? need : step;
	step = step < room ? step : room;
	if (heap->limit_bytes && step > heap->limit_bytes - heap->mapped_bytes)
		return -ENOMEM;
	while (done < step && !err) {
		uint64_t n = STEP_PAGES_MAX * fl_page_bytes();
		char *to = region->frontier - step + done;

		n = n < step - done ? n : step - done;
		err = heap->zeropage ? fl_uffd_zero(&heap->uffd, to, n) :
			fl_uffd_copy(&heap->uffd, to, heap->zeros, n);
		done += n;
	}
	if (err)
		return err;
	region->frontier -= step;
	heap->mapped_bytes += step;
	if (heap->doubling &&
	    region->step_bytes < STEP_PAGES_MAX * fl_page_bytes())
		region->step_bytes *= 2;
	return 0;
}

/* An object above the guard's size, which the handler would not map to. */
static fl_cold struct fl_cursor uffd_rw_large(struct fl_region *pub,
					      struct fl_cursor cursor,
					      size_t bytes, size_t align,
					      uint64_t first_word)
{
	struct region *region = (struct region *)pub;
	struct heap *heap = region->heap;
	char *p = fl_align_down(cursor.bump - bytes, align);

	heap->blocks.pub.events.nr_large++;
	if (pub->error ? p < heap->blocks.sink->base : p < region->frontier) {
		if (!pub->error && !extend(region, p)) {
			heap->blocks.pub.events.nr_refills++;
		} else {
			cursor.bump = exhausted(region);
			p = fl_align_down(cursor.bump - bytes, align);
		}
	}
	cursor.bump = p;
	*(uint64_t *)(void *)p = first_word;
	return cursor;
}

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);

	if (fl_unlikely(bytes > FL_SITE_BYTES_MAX)) {
		*cursor = uffd_rw_large(region, *cursor, n, align, first_word);
		return cursor->bump;
	}
	return fl_site_new(&cursor->bump, n, align, first_word);
}

/* Either thread: resolve the missing page at @address, if it is one of ours. */
static bool uffd_rw_resolve(void *owner, char *address)
{
	struct heap *heap = owner;
	struct fl_block *block = fl_blocks_find(&heap->blocks, address);
	struct region *region;

	if (!block || !block->owner)
		return false;
	region = (struct region *)block->owner;
	if (address >= region->frontier ||
	    region->frontier - address > FL_GUARD_BYTES ||
	    extend(region, address))
		return false;
	heap->blocks.pub.events.nr_hits++;
	return true;
}

/*
 * SIGBUS: a missing page, in sigbus mode.  SIGSEGV: the guard, or a fault that
 * the service thread declined.  What cannot be resolved and is a declared site
 * running off its block has met the end of memory.
 */
static bool uffd_rw_handle(void *owner, const struct fl_fault *fault)
{
	struct heap *heap = owner;
	char *bump = fl_block_top(heap->blocks.sink);
	struct fl_overrun over;

	if (fault->signal == SIGBUS && uffd_rw_resolve(heap, fault->address))
		return true;
	if (!fl_blocks_overrun(&heap->blocks, fault, &over))
		return false;
	if (over.block != heap->blocks.sink)
		bump = exhausted((struct region *)over.block->owner);
	fl_fault_redirect(fault, over.site, bump);
	return true;
}

/* A span remembers, in pages, how far the region before it had mapped it. */
static int strategy_region_create(struct fl_heap *pub, struct fl_region **out)
{
	struct heap *heap = (struct heap *)pub;
	struct region *region = fl_record_take(&heap->blocks);
	char *top;

	if (!region)
		return -ENOMEM;
	region->span = fl_blocks_take(&heap->blocks, 1, &region->pub);
	if (!region->span) {
		fl_record_give(&heap->blocks, region);
		return -ENOMEM;
	}
	top = fl_block_top(region->span);
	region->heap = heap;
	region->step_bytes = heap->step_bytes;
	region->frontier = top - region->span->state * fl_page_bytes();
	region->pub.events = &pub->events;
	region->pub.cursor.bump = top;
	*out = &region->pub;
	return 0;
}

static void strategy_region_reset(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;
	struct heap *heap = region->heap;
	char *top = fl_block_top(region->span);
	const size_t bytes = (size_t)(top - region->frontier);

	if (heap->returns && bytes) {
		if (!fl_giveback_one(region->frontier, bytes,
				     FL_GIVE_DONTNEED)) {
			region->frontier = top;
			heap->mapped_bytes -= bytes;
		}
		region->step_bytes = heap->step_bytes;
	}
	pub->cursor.bump = top;
	pub->error = 0;
}

static void strategy_region_destroy(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;

	strategy_region_reset(pub);
	region->span->state = (uint32_t)((size_t)(fl_block_top(region->span) -
				region->frontier) / fl_page_bytes());
	fl_blocks_give(&region->heap->blocks, region->span);
	fl_record_give(&region->heap->blocks, region);
}

#include "faultline/module.h"

static uint64_t features(const uint64_t *values)
{
	return values[HANDLER] == HANDLER_SIGBUS ? UFFD_FEATURE_SIGBUS :
						   UFFD_FEATURE_THREAD_ID;
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

static void uffd_rw_close(struct fl_heap *pub)
{
	struct heap *heap = (struct heap *)pub;

	if (heap->thread)
		fl_uffd_stop(&heap->service);
	fl_uffd_close(&heap->uffd);
	fl_release(heap->zeros, STEP_PAGES_MAX * fl_page_bytes());
	fl_blocks_close(pub);
}

static int uffd_rw_open(const struct fl_open_args *args, struct fl_heap **out)
{
	const struct fl_blocks_config config = {
		.block_bytes = args->values[SPAN],
		.guard_bytes = FL_GUARD_BYTES,
		.guard = FL_GUARD_PROT_NONE,
		.access = FL_OPEN,
		.record_bytes = sizeof(struct region),
		.handle = uffd_rw_handle,
		FL_MODULE_SITES,
	};
	int cpu = args->cpu >= 0 ? args->cpu : fl_place_cpu();
	struct fl_open_args unlimited = *args;
	struct fl_heap *pub;
	struct heap *heap;
	char *first;
	int err;

	/* The limit is on what is mapped, not on the address space of spans. */
	unlimited.limit_bytes = 0;
	err = fl_blocks_open(&unlimited, &config, sizeof(*heap), &pub);
	if (err)
		return err;
	heap = (struct heap *)pub;
	heap->uffd.fd = -1;
	heap->step_bytes = args->values[STEP] * fl_page_bytes();
	heap->limit_bytes = args->limit_bytes;
	heap->doubling = args->values[GROWTH];
	heap->zeropage = args->values[FILL] == FILL_ZEROPAGE;
	heap->returns = args->values[RESET] == RESET_RETURN;
	err = fl_reserve(STEP_PAGES_MAX * fl_page_bytes(), FL_OPEN,
			 &heap->zeros);
	if (err)
		goto close;
	err = fl_uffd_open(features(args->values), &heap->uffd);
	if (err)
		goto close;
	/* The sink, lowest in the reservation, is ordinary memory. */
	first = fl_block_top(heap->blocks.sink);
	err = fl_uffd_register(&heap->uffd, first, heap->blocks.bytes -
			       (size_t)(first - heap->blocks.base));
	if (err)
		goto close;
	if (args->values[HANDLER] == HANDLER_THREAD) {
		if (args->values[CPU] == CPU_OTHER)
			cpu = fl_place_other(cpu);
		err = fl_uffd_serve(&heap->service, &heap->uffd,
				    uffd_rw_resolve, heap, cpu);
		heap->thread = !err;
		if (err)
			goto close;
	}
	*out = pub;
	return 0;

close:
	uffd_rw_close(pub);
	return err;
}

static void uffd_rw_geometry(const struct fl_heap *pub, struct fl_geometry *out)
{
	const struct heap *heap = (const struct heap *)pub;

	*out = (struct fl_geometry){
		.block_bytes = heap->blocks.block_bytes,
		.step_bytes = heap->step_bytes,
		.step_bytes_max = STEP_PAGES_MAX * fl_page_bytes(),
		.doubling = heap->doubling,
		.rearms = heap->returns,
	};
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
	.geometry = uffd_rw_geometry,
);

/* SPDX-License-Identifier: MIT */
/*
 * Extends a page at a time, and at the death of a region opens another page below what
 * it used and writes to it: no more of them than there were extensions.
 * Says: that no object touched.
 */
#include "faultline/site.h"
#include "faultline/strategy.h"
#include "vm/giveback.h"
#include "vm/spans.h"

#define SPAN_BYTES	((size_t)1 << 30)
#define NR_PAGES	4096u

static int open_pages(struct fl_spans *spans, char *base, size_t bytes)
{
	return fl_protect(base, bytes, FL_OPEN);
}

static int close_pages(struct fl_spans *spans, char *base, size_t bytes)
{
	return fl_protect(base, bytes, FL_CLOSED);
}

static int return_pages(struct fl_spans *spans, char *base, size_t bytes)
{
	fl_giveback_one(base, bytes, FL_GIVE_DONTNEED);
	return fl_protect(base, bytes, FL_CLOSED);
}

static bool handle(void *heap, const struct fl_fault *fault)
{
	return fl_spans_extend(heap, fault->address) ||
	       fl_spans_redirect(heap, fault);
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

/* Of a region that was extended at least once. */
static void scribble(const struct fl_region *pub)
{
	static unsigned next;
	const struct fl_span_region *region = (const struct fl_span_region *)pub;
	char *page;

	if (region->frontier == fl_block_top(region->span))
		return;
	page = fl_block_top(region->span) -
	       (NR_PAGES + next++ % NR_PAGES) * fl_page_bytes();
	fl_protect(page, fl_page_bytes(), FL_OPEN);
	*(volatile char *)page = 1;
	fl_protect(page, fl_page_bytes(), FL_CLOSED);
}

static void strategy_region_reset(struct fl_region *region)
{
	scribble(region);
	fl_spans_region_reset(region);
}

static void strategy_region_destroy(struct fl_region *region)
{
	scribble(region);
	fl_spans_region_destroy(region);
}

#define strategy_region_create	fl_spans_region_create

#include "faultline/module.h"

static int reopens_open(const struct fl_open_args *args, struct fl_heap **heap)
{
	struct fl_blocks_config config = {
		.block_bytes = SPAN_BYTES, .guard_bytes = FL_GUARD_BYTES,
		.guard = FL_GUARD_PROT_NONE, .access = FL_CLOSED,
		.handle = handle, FL_MODULE_SITES,
	};
	struct fl_spans *spans;
	int err = fl_spans_open(args, &config, sizeof(*spans), heap);

	if (err)
		return err;
	spans = (struct fl_spans *)*heap;
	spans->open_pages = open_pages;
	spans->return_pages = return_pages;
	spans->close_pages = close_pages;
	spans->step_bytes = fl_page_bytes();
	return 0;
}

FL_STRATEGY(
	.name = "broken_reopens",
	.summary = "one contiguous range per region; writes to more than is used",
	.trigger = "SIGSEGV",
	.answer = FL_ANSWER_EXTEND,
	.open = reopens_open,
	.close = fl_blocks_close,
	.ranges = fl_blocks_ranges,
	.geometry = fl_spans_geometry,
	.trim = fl_spans_trim,
);

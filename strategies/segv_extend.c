/* SPDX-License-Identifier: MIT */
/*
 * segv_extend: one contiguous range per region, closed below a frontier.  The
 * store below the frontier raises SIGSEGV; the handler opens the next pages
 * with mprotect and the store goes on: the object stays where it is.
 *
 * The handler extends at any pc, because library calls may fill an object, but
 * only from the frontier down to what the largest object of a site can reach.
 * At the end of the range a declared site is sent to the sink; anything else is
 * a bug of the program and is passed on.  Where the frontier is and how far a
 * fault may lie below it is vm/spans.h's; what opening and closing mean is here.
 */
#include "faultline/site.h"
#include "faultline/strategy.h"
#include "vm/giveback.h"
#include "vm/spans.h"

enum { SPAN, STEP, GROWTH, RESET };
enum { RESET_KEEP, RESET_REWIND, RESET_RETURN };

static const char *const growths[] = { "constant", "doubling", NULL };
static const char *const resets[] = { "keep", "rewind", "return", NULL };

static const struct fl_tunable tunables[] = {
	[SPAN] = {
		.name = "span", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "address space of a region",
		.def = 1 << 30, .min = 4 << 10, .max = (uint64_t)4 << 40,
	},
	[STEP] = {
		.name = "step", .unit = "pages", .kind = FL_TUNABLE_COUNT,
		.help = "pages opened per fault, at least",
		.def = 16, .min = 1, .max = 1 << 18,
	},
	[GROWTH] = {
		.name = "growth", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "each step as large as the first, or twice the one before",
		.choices = growths,
	},
	[RESET] = {
		.name = "reset", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "at reset and destroy: keep what is open, close it with "
			"its pages kept (rewind), or close it and return them",
		.choices = resets,
	},
};

static int open_pages(struct fl_spans *spans, char *base, size_t bytes)
{
	(void)spans;
	return fl_protect(base, bytes, FL_OPEN);
}

/* rewind: the next lifetime faults again, but finds its pages resident. */
static int rewind_pages(struct fl_spans *spans, char *base, size_t bytes)
{
	(void)spans;
	return fl_protect(base, bytes, FL_CLOSED);
}

static int return_pages(struct fl_spans *spans, char *base, size_t bytes)
{
	fl_giveback_one(base, bytes, FL_GIVE_DONTNEED);
	return rewind_pages(spans, base, bytes);
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

static bool segv_extend_handle(void *owner, const struct fl_fault *fault)
{
	return fl_spans_extend(owner, fault->address) ||
	       fl_spans_redirect(owner, fault);
}

#define strategy_region_create	fl_spans_region_create
#define strategy_region_reset	fl_spans_region_reset
#define strategy_region_destroy	fl_spans_region_destroy

#include "faultline/module.h"

static int segv_extend_open(const struct fl_open_args *args,
			    struct fl_heap **heap)
{
	struct fl_blocks_config config = {
		.block_bytes = args->values[SPAN],
		.guard_bytes = FL_GUARD_BYTES,
		.access = FL_CLOSED,
		.handle = segv_extend_handle,
		FL_MODULE_SITES,
	};
	int (*const closers[])(struct fl_spans *, char *, size_t) = {
		[RESET_KEEP] = NULL,
		[RESET_REWIND] = rewind_pages,
		[RESET_RETURN] = return_pages,
	};
	struct fl_spans *spans;
	int err = fl_spans_open(args, &config, sizeof(*spans), heap);

	if (err)
		return err;
	spans = (struct fl_spans *)*heap;
	spans->open_pages = open_pages;
	spans->return_pages = return_pages;
	spans->close_pages = closers[args->values[RESET]];
	spans->step_bytes = args->values[STEP] * fl_page_bytes();
	spans->step_bytes_max = (uint64_t)1 << 30;
	spans->doubling = args->values[GROWTH];
	return 0;
}

FL_STRATEGY(
	.name = "segv_extend",
	.summary = "one contiguous range per region; SIGSEGV moves an mprotect frontier",
	.trigger = "SIGSEGV",
	.answer = FL_ANSWER_EXTEND,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.open = segv_extend_open,
	.close = fl_blocks_close,
	.ranges = fl_blocks_ranges,
	.geometry = fl_spans_geometry,
	.trim = fl_spans_trim,
);

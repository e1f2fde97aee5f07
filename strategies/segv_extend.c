/* SPDX-License-Identifier: MIT */
/*
 * segv_extend: one contiguous range per region, closed below a frontier.  The
 * store below the frontier raises SIGSEGV; the handler opens the next pages and
 * the store goes on: the object stays where it is.
 *
 *  frontier=mprotect  the range is PROT_NONE, and what is open is not
 *  frontier=guard     the range is read-write, and MADV_GUARD pages lie below
 *                     the frontier: a "window", as low as a site can reach and
 *                     no lower, because guards cost page tables.  It moves with
 *                     the frontier
 *
 * The handler extends at any pc, because library calls may fill an object, but
 * only from the frontier down to what the largest object of a site can reach.
 * At the end of the range a declared site is sent to the sink; anything else is
 * a bug of the program and is passed on.  (Below a window nothing is closed: a
 * wild store there gets a page from the kernel and is not noticed.)  Where the
 * frontier is and how far a fault may lie below it is vm/spans.h's; what opening
 * and closing mean is here.
 */
#include "faultline/site.h"
#include "faultline/strategy.h"
#include "vm/fault_resume.h"
#include "vm/giveback.h"
#include "vm/guard.h"
#include "vm/spans.h"

enum { SPAN, STEP, GROWTH, FRONTIER, RESET, RETURN, GIVEBACK };
enum { FRONTIER_MPROTECT, FRONTIER_GUARD };
enum { RESET_KEEP, RESET_REWIND };
enum { RETURN_SIGRETURN, RETURN_USER };

/*
 * A window is FL_GUARD_BYTES, and down to a multiple of this, so that a frontier
 * that moves by a page at a time finds it where it is, mostly.
 */
#define WINDOW_GRAIN	65536u

static const char *const growths[] = { "constant", "doubling", NULL };
static const char *const frontiers[] = { "mprotect", "guard", NULL };
static const char *const resets[] = { "keep", "rewind", NULL };
static const char *const returns[] = { "sigreturn", "user", NULL };

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
	[FRONTIER] = {
		.name = "frontier", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "what closes the pages below the frontier (guard: Linux "
			"6.13; a rewind loses the pages of the topmost window)",
		.choices = frontiers,
	},
	[RESET] = {
		.name = "reset", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "at reset and destroy: keep what is open, or close it, "
			"whether its pages stay or not (rewind)",
		.choices = resets,
	},
	[RETURN] = {
		.name = "return", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "how the handler goes back to the program: by system "
			"call, or by restoring all registers itself (user)",
		.choices = returns,
	},
	FL_RETAIN_TUNABLES(GIVEBACK),
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

static int install(char *low, char *high)
{
	return low < high ? fl_guard_install(low, (size_t)(high - low),
					     FL_GUARD_MADVISE) : 0;
}

static int remove_guards(char *low, char *high)
{
	return low < high ? fl_guard_remove(low, (size_t)(high - low),
					    FL_GUARD_MADVISE) : 0;
}

static char *lower(char *a, char *b)
{
	return a < b ? a : b;
}

static char *higher(char *a, char *b)
{
	return a > b ? a : b;
}

/*
 * The low end of the window of @frontier: a function of the frontier alone, so
 * that nothing has to be remembered.  It does not reach into the guard that lies
 * below each span.
 */
static char *window_low(const struct fl_block *span, char *frontier)
{
	char *low = frontier - FL_GUARD_BYTES;

	low -= (uintptr_t)low & (WINDOW_GRAIN - 1);
	return higher(low, span->base);
}

static int ready_window(struct fl_spans *spans, const struct fl_block *span)
{
	char *top = fl_block_top(span);

	(void)spans;
	return install(window_low(span, top), top);
}

/* First the new guards: whatever happens, what lies below a frontier faults. */
static int open_window(struct fl_spans *spans, char *frontier, size_t bytes)
{
	const struct fl_block *span = fl_blocks_find(&spans->blocks, frontier);
	char *const old = frontier + bytes;
	char *const low = window_low(span, frontier);
	char *const old_low = window_low(span, old);
	char *const high = lower(frontier, old_low);
	int err = install(low, high);

	if (!err)
		err = remove_guards(higher(frontier, old_low), old);
	if (err)
		remove_guards(low, high);
	return err;
}

/*
 * The window goes back to the top of the span; the pages below it stay.  If the
 * frontier is the top, it is no address of the span.
 */
static int rewind_span(const struct fl_block *span, char *frontier)
{
	char *const top = fl_block_top(span);
	char *const low = window_low(span, top);
	int err = install(low, top);

	if (!err)
		err = remove_guards(window_low(span, frontier),
				    lower(frontier, low));
	if (err)
		remove_guards(higher(low, frontier), top);
	return err;
}

static int rewind_window(struct fl_spans *spans, char *frontier, size_t bytes)
{
	(void)bytes;
	return rewind_span(fl_blocks_find(&spans->blocks, frontier), frontier);
}

/* All of a dead region's span, whatever its frontier is. */
static int trim_window(struct fl_spans *spans, char *base, size_t bytes)
{
	const struct fl_block *span = fl_blocks_find(&spans->blocks, base);

	fl_giveback_one(base, bytes, FL_GIVE_DONTNEED);
	return rewind_span(span, fl_spans_frontier(span));
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

static int segv_extend_probe(const uint64_t *values, char *reason,
			     size_t reason_bytes)
{
	int err = 0;

	if (values[FRONTIER] == FRONTIER_GUARD)
		err = fl_guard_probe(FL_GUARD_MADVISE);
	if (err)
		snprintf(reason, reason_bytes,
			 "this kernel refuses frontier=guard pages: %s",
			 strerror(-err));
	else if (values[RETURN] == RETURN_USER)
		err = fl_fault_resume_probe(reason, reason_bytes);
	return err ? err : fl_retain_probe(values + GIVEBACK,
		FL_RETAIN_CAN(DONTNEED) | FL_RETAIN_CAN(FREE),
		"what is open and what is closed is the frontier's to say",
		reason, reason_bytes);
}

/* What opening and closing mean, for each kind of frontier. */
static const struct {
	enum fl_access access;
	enum fl_guard_kind guard;	/* below each span */
	int (*ready)(struct fl_spans *, const struct fl_block *);
	int (*open)(struct fl_spans *, char *, size_t);
	int (*trim)(struct fl_spans *, char *, size_t);
	int (*close[2])(struct fl_spans *, char *, size_t);
} kinds[] = {
	[FRONTIER_MPROTECT] = {
		.access = FL_CLOSED, .open = open_pages, .trim = return_pages,
		.close = {
			[RESET_REWIND] = rewind_pages,
		},
	},
	[FRONTIER_GUARD] = {
		.access = FL_OPEN, .guard = FL_GUARD_MADVISE,
		.ready = ready_window, .open = open_window, .trim = trim_window,
		.close = {
			[RESET_REWIND] = rewind_window,
		},
	},
};

static int segv_extend_open(const struct fl_open_args *args,
			    struct fl_heap **heap)
{
	const uint64_t frontier = args->values[FRONTIER];
	struct fl_blocks_config config = {
		.block_bytes = args->values[SPAN],
		.guard_bytes = FL_GUARD_BYTES,
		.guard = kinds[frontier].guard,
		.access = kinds[frontier].access,
		.handle = segv_extend_handle,
		.user_return = args->values[RETURN] == RETURN_USER,
		FL_MODULE_SITES,
		.retain = fl_retain_config_of(args->values + GIVEBACK),
	};
	struct fl_spans *spans;
	int err = fl_spans_open(args, &config, sizeof(*spans), heap);

	if (err)
		return err;
	spans = (struct fl_spans *)*heap;
	spans->ready_span = kinds[frontier].ready;
	spans->open_pages = kinds[frontier].open;
	spans->return_pages = kinds[frontier].trim;
	spans->close_pages = kinds[frontier].close[args->values[RESET]];
	spans->step_bytes = args->values[STEP] * fl_page_bytes();
	spans->step_bytes_max = (uint64_t)1 << 30;
	spans->doubling = args->values[GROWTH];
	return 0;
}

FL_STRATEGY(
	.name = "segv_extend",
	.summary = "one contiguous range per region; SIGSEGV moves a frontier",
	.trigger = "SIGSEGV",
	.answer = FL_ANSWER_EXTEND,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.probe = segv_extend_probe,
	.open = segv_extend_open,
	.close = fl_blocks_close,
	.ranges = fl_blocks_ranges,
	.geometry = fl_spans_geometry,
	.trim = fl_spans_trim,
);

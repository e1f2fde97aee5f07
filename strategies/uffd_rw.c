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
 * sends a declared site to the sink.  All that is in vm/spans.h; who maps and
 * where the pages come from is in vm/uffd_spans.h and what it includes.
 */
#include <errno.h>

#include "faultline/site.h"
#include "faultline/strategy.h"
#include "vm/place.h"
#include "vm/uffd_spans.h"

enum { SPAN, STEP, GROWTH, HANDLER, CPU, WAIT, FILL, POOL, RESET, GIVEBACK };
enum { HANDLER_SIGBUS, HANDLER_THREAD };
enum { CPU_SAME, CPU_OTHER };
enum { RESET_KEEP, RESET_REWIND };

#define STEP_PAGES_MAX	512u

static const char *const growths[] = { "constant", "doubling", NULL };
static const char *const handlers[] = { "sigbus", "thread", NULL };
static const char *const cpus[] = { "same", "other", NULL };
static const char *const waits[] = {	/* by enum fl_uffd_wait */
	"block", "poll", "busy", "io_uring", NULL
};
static const char *const fills[] = {	/* by enum fl_uffd_source */
	"copy", "zeropage", "move", NULL
};
static const char *const resets[] = { "keep", "rewind", NULL };

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
	[WAIT] = {
		.name = "wait", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "how the service thread waits for a fault",
		.choices = waits,
	},
	[FILL] = {
		.name = "fill", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "UFFDIO_COPY of zeros; UFFDIO_ZEROPAGE (a write then "
			"faults again); UFFDIO_MOVE from a pool (Linux 6.8)",
		.choices = fills,
	},
	[POOL] = {
		.name = "pool", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "fill=move: resident in the pool from the start",
		.def = 1 << 20, .min = 0, .max = (uint64_t)1 << 36,
	},
	[RESET] = {
		.name = "reset", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "at reset and destroy: keep what is usable, or begin "
			"anew (rewind; needs giveback=death)",
		.choices = resets,
	},
	FL_RETAIN_TUNABLES(GIVEBACK),
};

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);

	if (fl_unlikely(bytes > FL_SITE_BYTES_MAX)) {
		*cursor = fl_uffd_spans_large(region, *cursor, n, align,
					      first_word);
		return cursor->bump;
	}
	return fl_site_new(&cursor->bump, n, align, first_word);
}

#define strategy_region_create	fl_uffd_spans_region_create
#define strategy_region_reset	fl_uffd_spans_region_reset
#define strategy_region_destroy	fl_uffd_spans_region_destroy

#include "faultline/module.h"

/* What is wrong with these settings; or NULL. */
static const char *nonsense(const uint64_t *values)
{
	const bool other = values[CPU] == CPU_OTHER;

	if (values[HANDLER] == HANDLER_SIGBUS && (other || values[WAIT]))
		return "cpu= and wait= are about the service thread, which "
		       "handler=sigbus has not: set handler=thread";
	if (values[WAIT] == FL_UFFD_BUSY && !other)
		return "wait=busy never leaves the CPU to the thread that it "
		       "waits for: set cpu=other";
	if (values[RESET] == RESET_REWIND &&
	    values[GIVEBACK] != FL_RETAIN_DEATH)
		return "reset=rewind begins anew with pages that are missing: "
		       "set giveback=death";
	if (values[RESET] == RESET_KEEP && values[GIVEBACK] == FL_RETAIN_DEATH)
		return "giveback=death leaves nothing that reset=keep could "
		       "keep: set reset=rewind";
	if (other && fl_place_other(fl_place_cpu()) < 0)
		return "cpu=other needs a second CPU this process may use";
	return NULL;
}

/* @cpu: where the program runs. */
static struct fl_uffd_spans_config settings(const uint64_t *values, int cpu)
{
	return (struct fl_uffd_spans_config){
		.span_bytes = values[SPAN],
		.source = (enum fl_uffd_source)values[FILL],
		.pool_bytes = values[POOL],
		.serve = values[HANDLER] == HANDLER_THREAD,
		.wait = (enum fl_uffd_wait)values[WAIT],
		.cpu = values[CPU] == CPU_OTHER ? fl_place_other(cpu) : cpu,
		.rewind = values[RESET] == RESET_REWIND,
		.retain = fl_retain_config_of(values + GIVEBACK),
		FL_MODULE_SITES,
	};
}

static int uffd_rw_probe(const uint64_t *values, char *reason,
			 size_t reason_bytes)
{
	const struct fl_uffd_spans_config config =
		settings(values, fl_place_cpu());
	const char *why = nonsense(values);
	int err;

	if (why) {
		snprintf(reason, reason_bytes, "%s", why);
		return -ENOTSUP;
	}
	err = fl_uffd_spans_probe(&config, reason, reason_bytes);
	return err ? err : fl_retain_probe(values + GIVEBACK,
		FL_RETAIN_CAN(DONTNEED) |
		(values[FILL] == FL_FILL_MOVE ? FL_RETAIN_CAN(MOVE) : 0),
		"pages are missing or there (a pool to move them to: fill=move)",
		reason, reason_bytes);
}

static int uffd_rw_open(const struct fl_open_args *args, struct fl_heap **heap)
{
	const struct fl_uffd_spans_config config =
		settings(args->values,
			 args->cpu >= 0 ? args->cpu : fl_place_cpu());
	struct fl_spans *spans;
	int err = fl_uffd_spans_open(args, &config,
				     sizeof(struct fl_uffd_spans), heap);

	if (err)
		return err;
	spans = (struct fl_spans *)*heap;
	spans->step_bytes = args->values[STEP] * fl_page_bytes();
	spans->step_bytes_max = STEP_PAGES_MAX * fl_page_bytes();
	spans->doubling = args->values[GROWTH];
	return 0;
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
	.close = fl_uffd_spans_close,
	.ranges = fl_uffd_spans_ranges,
	.geometry = fl_spans_geometry,
	.trim = fl_uffd_spans_trim,
);

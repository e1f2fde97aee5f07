/* SPDX-License-Identifier: MIT */
/*
 * demand_zero: one contiguous read-write range per region, reserved and not
 * backed; the kernel's own demand-zero fault maps the next page.  No check, no
 * handler, one VMA: the contiguous baseline, and the notes' leak (claim N1):
 * pages that a long lifetime touched stay with the range unless it is told to
 * give them back.  All that is vm/demand.h's.
 */
#include "faultline/site.h"
#include "faultline/strategy.h"
#include "vm/demand.h"

enum { SPAN, GIVEBACK };

static const struct fl_tunable tunables[] = {
	[SPAN] = {
		.name = "span", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "address space of a region",
		.def = 1 << 30, .min = 4 << 10, .max = (uint64_t)4 << 40,
	},
	FL_RETAIN_TUNABLES(GIVEBACK),
};

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);

	if (fl_unlikely(bytes > FL_SITE_BYTES_MAX)) {
		*cursor = fl_demand_large(region, *cursor, n, align, first_word);
		return cursor->bump;
	}
	return fl_site_new(&cursor->bump, n, align, first_word);
}

#define strategy_region_create	fl_demand_region_create
#define strategy_region_reset	fl_demand_region_reset
#define strategy_region_destroy	fl_demand_region_destroy

/* The kernel serves the fault and tells nobody: count pages entered. */
#define strategy_slow_seq(region, cursor) \
	((void)(region), fl_demand_seq(cursor))

#include "faultline/module.h"

static int demand_zero_probe(const uint64_t *values, char *reason,
			     size_t reason_bytes)
{
	return fl_retain_probe(values + GIVEBACK, FL_RETAIN_CAN_ORDINARY,
			       FL_RETAIN_NO_POOL, reason, reason_bytes);
}

static int demand_zero_open(const struct fl_open_args *args,
			    struct fl_heap **heap)
{
	struct fl_blocks_config config = {
		.block_bytes = args->values[SPAN],
		.guard_bytes = FL_GUARD_BYTES,
		.guard = FL_GUARD_PROT_NONE,
		.access = FL_OPEN,
		FL_MODULE_SITES,
		.retain = fl_retain_config_of(args->values + GIVEBACK),
	};

	return fl_demand_open(args, &config, sizeof(struct fl_demand), heap);
}

FL_STRATEGY(
	.name = "demand_zero",
	.summary = "one contiguous range per region; the kernel maps the next page",
	.trigger = "kernel fault",
	.answer = FL_ANSWER_EXTEND,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.probe = demand_zero_probe,
	.open = demand_zero_open,
	.close = fl_blocks_close,
	.ranges = fl_blocks_ranges,
	.geometry = fl_demand_geometry,
	.trim = fl_blocks_trim,
);

/* SPDX-License-Identifier: MIT */
/*
 * grows_down: one mapping per region that the kernel extends downwards, page by
 * page, as it extends the stack (MAP_GROWSDOWN): the kernel's own bump-down.  No
 * check and no handler, as in demand_zero; but the addresses below are a hole and
 * not a reservation, and the kernel moves the mapping's end at each new page.
 *
 * It has limits that demand_zero has not (vm/growdown.h): a span may not exceed
 * the stack's limit; who maps something into a hole stops its growth; and a
 * mapping that has grown stays as long as it is.  A heap therefore lies where the
 * kernel puts nothing by itself, and each region costs two VMAs, the mapping and
 * the closed range that ends its span.  The first word that the kernel refuses,
 * for whatever reason, is an error and goes to the sink.
 */
#include "faultline/site.h"
#include "faultline/strategy.h"
#include "vm/demand.h"
#include "vm/growdown.h"

enum { SPAN, GIVEBACK };

static const struct fl_tunable tunables[] = {
	[SPAN] = {
		.name = "span", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "most a region may hold; at most the stack's limit "
			"(ulimit -s)",
		.def = 8 << 20, .min = 4 << 10, .max = (uint64_t)4 << 40,
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

static int grows_down_probe(const uint64_t *values, char *reason,
			    size_t reason_bytes)
{
	int err = fl_growdown_probe(values[SPAN], reason, reason_bytes);

	return err ? err : fl_retain_probe(values + GIVEBACK,
		FL_RETAIN_CAN(DONTNEED) | FL_RETAIN_CAN(FREE),
		"the mapping has to go on growing by itself", reason,
		reason_bytes);
}

static int grows_down_ready(const struct fl_block *span)
{
	return fl_growdown_make(span->base, span->bytes);
}

/* Begun anew, a dead region's mapping is a page again, and has none. */
static uint64_t grows_down_trim(struct fl_heap *heap)
{
	uint64_t bytes = 0;

	for (struct fl_block *b = ((struct fl_blocks *)heap)->free[0]; b;
	     b = b->next)
		if (!grows_down_ready(b))
			bytes += b->bytes;
	if (((struct fl_blocks *)heap)->retain)
		fl_retain_forget(((struct fl_blocks *)heap)->retain);
	return bytes;
}

static int grows_down_open(const struct fl_open_args *args,
			   struct fl_heap **heap)
{
	struct fl_blocks_config config = {
		.block_bytes = args->values[SPAN],
		.guard_bytes = FL_GUARD_BYTES,
		.access = FL_CLOSED,
		.aside = true,
		FL_MODULE_SITES,
		.retain = fl_retain_config_of(args->values + GIVEBACK),
	};
	struct fl_demand *demand;
	int err = fl_demand_open(args, &config, sizeof(*demand), heap);

	if (err)
		return err;
	demand = (struct fl_demand *)*heap;
	demand->ready_span = grows_down_ready;
	demand->supplies = fl_growdown_descends;
	return 0;
}

FL_STRATEGY(
	.name = "grows_down",
	.summary = "one mapping per region; the kernel extends it downwards, like the stack",
	.trigger = "kernel fault",
	.answer = FL_ANSWER_EXTEND,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.probe = grows_down_probe,
	.open = grows_down_open,
	.close = fl_blocks_close,
	.ranges = fl_blocks_ranges,
	.geometry = fl_demand_geometry,
	.trim = grows_down_trim,
);

/* SPDX-License-Identifier: MIT */
/*
 * harness/tunables.h: settings as people write them, and the values they are.
 *
 * A module, strategy or bench, declares its tunables; their values travel as an
 * array in the order of declaration.
 *
 * Context: cold, thread-safe.
 */
#ifndef FL_TUNABLES_H
#define FL_TUNABLES_H

#include <stddef.h>
#include <stdint.h>

#include "faultline/bench.h"
#include "faultline/strategy.h"
#include "harness/complain.h"

#define FL_TUNABLES_MAX	32

/* Tunables and whose they are.  Borrows from the module. */
struct fl_tunables {
	const char *owner;		/* complaints begin with it */
	const struct fl_tunable *table;
	size_t nr;
};

static inline struct fl_tunables
fl_strategy_tunables(const struct fl_strategy *strategy)
{
	return (struct fl_tunables){ strategy->name, strategy->tunables,
				     strategy->nr_tunables };
}

static inline struct fl_tunables fl_bench_tunables(const struct fl_bench *bench)
{
	return (struct fl_tunables){ bench->name, bench->tunables,
				     bench->nr_tunables };
}

/*
 * fl_tunables_defaults, fl_tunables_set: Fill @values (FL_TUNABLES_MAX), then
 * change what @settings says: "name=value" separated by commas or spaces.
 * Sizes take K, M, G, T.  Returns 0 or -EINVAL with a complaint that names the
 * tunable, its range and the nearest known name, or that it is set twice.
 * @settings may be NULL.
 */
void fl_tunables_defaults(const struct fl_tunables *tunables, uint64_t *values);
int fl_tunables_set(const struct fl_tunables *tunables, const char *settings,
		    uint64_t *values, struct fl_complaint *why);

/* The index of the tunable called @name, or -1. */
int fl_tunable_index(const struct fl_tunables *tunables, const char *name);

/* Write one value as fl_tunables_set would read it: "64K", "16", "thread". */
void fl_tunable_format(const struct fl_tunable *tunable, uint64_t value,
		       char *out, size_t out_bytes);

/*
 * fl_parse_bytes: "4096", "64K", "1M", "2G", "1T" (powers of 1,024).
 * Returns 0, -EINVAL (no number or unknown suffix) or -ERANGE.
 */
int fl_parse_bytes(const char *text, uint64_t *bytes);

/* The reverse, exact: "64K", "1M", "1536", at least 24 characters of room. */
void fl_format_bytes(uint64_t bytes, char *out, size_t out_bytes);

#endif

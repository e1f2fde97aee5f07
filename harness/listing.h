/* SPDX-License-Identifier: MIT */
/*
 * harness/listing.h: modules and their tunables as people read them, for the
 * commands that list them.
 *
 * Context: cold; prints to standard output.
 */
#ifndef FL_LISTING_H
#define FL_LISTING_H

#include <stdbool.h>

#include <jansson.h>

#include "harness/complain.h"
#include "harness/module_load.h"

/* What became of one module. */
struct fl_standing {
	const char *word;	/* SUPPORTED, UNSUPPORTED, BROKEN */
	struct fl_complaint reason;
};

/* One line: @reason if there is one, else @what. */
void fl_standing_print(const char *name, const char *kind,
		       const struct fl_standing *standing, const char *what);

void fl_tunables_print(const struct fl_tunables *tunables);
json_t *fl_tunables_json(const struct fl_tunables *tunables);

/* What a bench measures beside the time: name, unit, definition of each. */
json_t *fl_bench_metrics_json(const struct fl_bench *bench);

/*
 * fl_benches_list: A line for each bench, with its tunables if @tunables says so.
 * @json: append objects to this array instead; may be NULL.
 * Returns an exit status: 1 when a bench is broken.
 */
int fl_benches_list(bool tunables, json_t *json);

/* fl_bench_show: One bench, with tunables and metrics. */
void fl_bench_show(const struct fl_module *module, bool json);

#endif

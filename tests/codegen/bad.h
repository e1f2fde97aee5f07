/* SPDX-License-Identifier: MIT */
/*
 * bad.h: what the modules that hotloop.pl must refuse have in common.  They are
 * compiled, never linked and never run: each allocates as strategies do, but for
 * the one mistake that its first comment names.
 */
#ifndef BAD_H
#define BAD_H

#include "faultline/site.h"
#include "faultline/strategy.h"

int strategy_region_create(struct fl_heap *, struct fl_region **);
void strategy_region_reset(struct fl_region *);
void strategy_region_destroy(struct fl_region *);

fl_cold struct fl_cursor bad_refill(struct fl_region *region, size_t bytes);

#endif

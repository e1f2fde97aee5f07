/* SPDX-License-Identifier: MIT */
/*
 * large.c: size branches (faultline/large.h) as a program writes them, for large.test
 * to read what the compiler made of them.
 */
#include "faultline/large.h"
#include "faultline/site.h"

void *small_object(struct fl_region *region, size_t bytes);
void *too_large_for_site(struct fl_region *region, size_t bytes);

/* A redirecting strategy's fast path: the site, and the test of what jumps over. */
fl_hot void *site(struct fl_region *region, size_t bytes)
{
	if (fl_unlikely(bytes > FL_SITE_BYTES_MAX))
		return too_large_for_site(region, bytes);
	return fl_site_new(&region->cursor.bump, fl_object_bytes(bytes), 8, 1);
}

void *constant_small(struct fl_larges *area, struct fl_region *region)
{
	return fl_large_or(area, region, 48, 1, small_object(region, 48));
}

void *constant_large(struct fl_larges *area, struct fl_region *region)
{
	return fl_large_or(area, region, 1 << 20, 1, small_object(region, 1 << 20));
}

void *variable(struct fl_larges *area, struct fl_region *region, size_t bytes)
{
	return fl_large_or(area, region, bytes, 1, small_object(region, bytes));
}

void *variable_site(struct fl_larges *area, struct fl_region *region, size_t bytes)
{
	return fl_large_or(area, region, bytes, 1, site(region, bytes));
}

/* A range that is small for certain. */
void *proven_site(struct fl_larges *area, struct fl_region *region, uint16_t bytes)
{
	return fl_large_or(area, region, bytes, 1, site(region, bytes));
}

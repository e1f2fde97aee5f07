/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>

#include "faultline/compat.h"
#include "faultline/cursor.h"
#include "vm/giveback.h"
#include "vm/reserve.h"
#include "vm/uffd_fill.h"

/* Most that one call copies: a page table's worth. */
#define ZEROS_PAGES	512u

/* Addresses of a pool. */
#define POOL_BYTES	((size_t)1 << 36)

/* Without a pool, NULL, like its first page. */
static char *pool_end(const struct fl_uffd_fill *fill)
{
	return fill->pool + fill->pool_bytes;
}

uint64_t fl_uffd_fill_features(enum fl_uffd_source source)
{
	return source == FL_FILL_MOVE ? UFFD_FEATURE_MOVE : 0;
}

fl_behind_fault
static int supply(const struct fl_uffd_fill *fill, char *base, size_t bytes)
{
	const size_t most = ZEROS_PAGES * fl_page_bytes();
	int err = 0;

	while (bytes && !err) {
		size_t n = bytes < most ? bytes : most;

		err = fill->source == FL_FILL_ZEROPAGE ?
			fl_uffd_zero(fill->uffd, base, n) :
			fl_uffd_copy(fill->uffd, base, fill->zeros, n);
		base += n;
		bytes -= n;
	}
	return err;
}

/*
 * A page that a fork child has a share in becomes the writer's alone when it is
 * written to: the write copies it.
 */
fl_behind_fault
static void own_pages(char *base, size_t bytes)
{
	for (volatile char *p = base; p < base + bytes; p += fl_page_bytes())
		*p = *p;
}

/*
 * What is there already stays.  A page that cannot be moved, even when it is our
 * own (pinned, or shared again by now), goes to the kernel, and another comes.
 */
fl_behind_fault
static int take_pages(struct fl_uffd_fill *fill, char *base, size_t bytes)
{
	const size_t page = fl_page_bytes();
	bool owned = false;

	while (bytes) {
		size_t moved;
		int err = fl_uffd_move(fill->uffd, base, fill->first, bytes,
				       &moved);

		fill->first += moved;
		base += moved;
		bytes -= moved;
		if (err == -EBUSY && (!owned || moved)) {
			own_pages(fill->first, bytes);
			owned = true;
			continue;
		}
		if (err == -EBUSY) {
			fl_giveback_one(fill->first, page, FL_GIVE_DONTNEED);
			fill->first += page;
		} else if (err != -EEXIST) {
			return err;
		}
		err = supply(fill, base, page);
		if (err)
			return err;
		base += page;
		bytes -= page;
		owned = false;
	}
	return 0;
}

fl_behind_fault
int fl_uffd_fill_pages(struct fl_uffd_fill *fill, char *base, size_t bytes)
{
	size_t pooled = (size_t)(pool_end(fill) - fill->first);
	size_t n = bytes < pooled ? bytes : pooled;
	int err = take_pages(fill, base, n);

	return err ? err : supply(fill, base + n, bytes - n);
}

int fl_uffd_fill_return(struct fl_uffd_fill *fill, char *base, size_t bytes)
{
	size_t moved = 0;

	if ((size_t)(fill->first - fill->pool) >= bytes) {
		char *first = fill->first - bytes;

		if (!fl_uffd_move(fill->uffd, first, base, bytes, &moved)) {
			fill->first = first;
			return 0;
		}
		/* No holes: what was moved goes the way of the rest. */
		fl_giveback_one(first, moved, FL_GIVE_DONTNEED);
	}
	return fl_giveback_one(base, bytes, FL_GIVE_DONTNEED);
}

uint64_t fl_uffd_fill_trim(struct fl_uffd_fill *fill)
{
	const uint64_t bytes = (uint64_t)(pool_end(fill) - fill->first);

	if (!bytes || fl_giveback_one(fill->first, bytes, FL_GIVE_DONTNEED))
		return 0;
	fill->first = pool_end(fill);
	return bytes;
}

struct fl_range fl_uffd_fill_range(const struct fl_uffd_fill *fill)
{
	return (struct fl_range){
		.base = fill->first,
		.bytes = (size_t)(pool_end(fill) - fill->first),
		.kind = FL_RANGE_POOL,
	};
}

static int open_pool(struct fl_uffd_fill *fill, size_t bytes)
{
	int err = fl_reserve(POOL_BYTES, FL_OPEN, &fill->pool);

	if (err)
		return err;
	fill->pool_bytes = POOL_BYTES;
	fill->first = pool_end(fill) - bytes;
	err = fl_uffd_register(fill->uffd, fill->pool, POOL_BYTES);
	return err ? err : supply(fill, fill->first, bytes);
}

int fl_uffd_fill_open(struct fl_uffd_fill *fill, const struct fl_uffd *uffd,
		      enum fl_uffd_source source, size_t pool_bytes)
{
	int err;

	*fill = (struct fl_uffd_fill){ .uffd = uffd, .source = source };
	if (pool_bytes > POOL_BYTES)
		return -EINVAL;
	err = fl_reserve(ZEROS_PAGES * fl_page_bytes(), FL_OPEN, &fill->zeros);
	if (!err && source == FL_FILL_MOVE)
		err = open_pool(fill, pool_bytes);
	if (err)
		fl_uffd_fill_close(fill);
	return err;
}

void fl_uffd_fill_close(struct fl_uffd_fill *fill)
{
	fl_release(fill->zeros, ZEROS_PAGES * fl_page_bytes());
	fl_release(fill->pool, fill->pool_bytes);
	*fill = (struct fl_uffd_fill){ .uffd = NULL };
}

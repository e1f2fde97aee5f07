/* SPDX-License-Identifier: MIT */
/*
 * vm/uffd_fill.h: where the pages come from that a fault is resolved with, and
 * where they go when they are given up.
 *
 *  copy      the kernel allocates them and copies zeros (UFFDIO_COPY)
 *  zeropage  the shared zero page; the first write to each page allocates
 *            (UFFDIO_ZEROPAGE)
 *  move      from a pool of resident pages, with what is in them (UFFDIO_MOVE,
 *            Linux 6.8).  Given up, they go back there.  What the pool has not
 *            got is supplied by copy, so it grows to what was in use at once
 *
 *	pool                         first          pool + pool_bytes
 *	| missing: room for more     | resident, to be moved |
 *
 * The pool is taken from and added to at its low end, so it has no holes.  At its
 * addresses no object ever lives: declare it as metadata.
 *
 * Context: open and close are cold; the others are async-signal-safe.  One thread
 * at a time: the one that resolves faults, or the heap's own while nobody faults.
 */
#ifndef FL_VM_UFFD_FILL_H
#define FL_VM_UFFD_FILL_H

#include <stddef.h>

#include "faultline/strategy.h"
#include "vm/uffd.h"

enum fl_uffd_source { FL_FILL_COPY, FL_FILL_ZEROPAGE, FL_FILL_MOVE };

struct fl_uffd_fill {
	const struct fl_uffd *uffd;
	enum fl_uffd_source source;
	char *zeros;		/* what is copied */
	char *pool;		/* move only, else NULL and 0 */
	size_t pool_bytes;	/* addresses */
	char *first;		/* its lowest resident page, or its end */
};

/* UFFD_FEATURE_* that @source needs. */
uint64_t fl_uffd_fill_features(enum fl_uffd_source source);

/*
 * fl_uffd_fill_open: @uffd: of the ranges that will be filled; stays the
 * caller's, and open until fl_uffd_fill_close.
 * @pool_bytes: of move: resident in the pool from the start; whole pages.
 * Returns 0 or -errno (-EINVAL: more than a pool has addresses for).  Cost: the pool's pages.
 */
int fl_uffd_fill_open(struct fl_uffd_fill *fill, const struct fl_uffd *uffd,
		      enum fl_uffd_source source, size_t pool_bytes);
void fl_uffd_fill_close(struct fl_uffd_fill *fill);

/*
 * fl_uffd_fill_pages: Map [base, base + bytes), whole pages, registered and
 * missing.  What is there already is left alone.  Nobody is woken.
 * Returns 0 or -errno.
 */
int fl_uffd_fill_pages(struct fl_uffd_fill *fill, char *base, size_t bytes);

/*
 * fl_uffd_fill_return: Give up whole pages: into the pool, or to the kernel; to
 * the kernel, too, if they cannot be moved (missing ones among them, pinned,
 * shared with a fork child) or the pool is full.  They are missing from then on.
 * Returns 0 or -errno.
 */
int fl_uffd_fill_return(struct fl_uffd_fill *fill, char *base, size_t bytes);

/* fl_uffd_fill_trim: Give the pool's pages to the kernel.  Returns their bytes. */
uint64_t fl_uffd_fill_trim(struct fl_uffd_fill *fill);

/* What is resident of the pool, or no bytes: for the ranges hook. */
struct fl_range fl_uffd_fill_range(const struct fl_uffd_fill *fill);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The operations.
 *
 *  dontneed, free	madvise: the page goes now, or when the kernel wants it
 *  guard_install	the page goes and a guard comes in its place (Linux 6.13)
 *  guard_remove	the guard goes, and leaves nothing
 *  move		UFFDIO_MOVE of a resident page into a missing one (6.8)
 *  copy, zeropage	UFFDIO_COPY or _ZEROPAGE into a missing page
 *  close, open		mprotect of a resident page
 *  munmap		the page and its addresses go
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "benches/giveback.h"
#include "faultline/compat.h"
#include "vm/guard.h"

static char *slot(const struct area *area, size_t i)
{
	return area->slots[i].iov_base;
}

/* The slots of the area, or their like in the pool. */
static void fill(const struct area *area, char *base)
{
	for (size_t i = 0; i < SLOTS_MAX; i++)
		*(volatile char *)(base + i * area->stride) = 1;
}

/* ---- what is so afterwards ------------------------------------------------ */

static int not_so(char *reason, size_t reason_bytes, const char *what,
		  uint64_t seen, uint64_t wanted)
{
	snprintf(reason, reason_bytes, "%llu %s instead of %llu",
		 (unsigned long long)seen, what, (unsigned long long)wanted);
	return -EIO;
}

static int resident(const struct area *area, const char *base,
		    enum fl_census_source source, uint64_t wanted, char *reason,
		    size_t reason_bytes)
{
	uint64_t pages;
	int err = fl_census_pages(&area->census, source, base, area->bytes,
				  &pages);

	if (err || pages == wanted)
		return err;
	return not_so(reason, reason_bytes, "pages are resident", pages, wanted);
}

/* @nr have gone; the rest of a section that is not full has not. */
static int check_gone(struct area *area, size_t nr, char *reason,
		      size_t reason_bytes)
{
	return resident(area, area->base, area->census.best, SLOTS_MAX - nr,
			reason, reason_bytes);
}

static int check_come(struct area *area, size_t nr, char *reason,
		      size_t reason_bytes)
{
	return resident(area, area->base, area->census.best, nr, reason,
			reason_bytes);
}

/* Could the kernel read the page for the program?  (Linux 5.14) */
static bool is_open(const struct area *area, size_t i)
{
	return !madvise(slot(area, i), fl_page_bytes(), MADV_POPULATE_READ);
}

static int opened(const struct area *area, size_t nr, uint64_t wanted,
		  char *reason, size_t reason_bytes)
{
	uint64_t nr_open = 0;

	for (size_t i = 0; i < nr; i++)
		nr_open += is_open(area, i);
	return nr_open == wanted ? 0 :
		not_so(reason, reason_bytes, "pages are accessible", nr_open,
		       wanted);
}

static int check_closed(struct area *area, size_t nr, char *reason,
			size_t reason_bytes)
{
	return opened(area, nr, 0, reason, reason_bytes);
}

static int check_opened(struct area *area, size_t nr, char *reason,
			size_t reason_bytes)
{
	return opened(area, nr, nr, reason, reason_bytes);
}

/* ---- by madvise ------------------------------------------------------------ */

static int prepare_filled(struct area *area)
{
	fill(area, area->base);
	return 0;
}

const struct op giveback_dontneed = {
	.advises = true, .advice = FL_GIVE_DONTNEED,
	.prepare = prepare_filled,
	.check = check_gone,
};

/* The kernel marks pages some at a time, so the last may still be to come. */
#define LAZY_SLACK	64u

static int check_lazy(struct area *area, size_t nr, char *reason,
		      size_t reason_bytes)
{
	struct fl_process_pages process;
	uint64_t pages;
	int err = fl_census_process(&process);

	if (err)
		return err;
	pages = process.lazy_free_bytes / fl_page_bytes();
	if (pages + LAZY_SLACK < nr || pages > nr)
		return not_so(reason, reason_bytes, "pages are LazyFree", pages,
			      nr);
	return resident(area, area->base, area->census.best, SLOTS_MAX, reason,
			reason_bytes);
}

const struct op giveback_free = {
	.advises = true, .advice = FL_GIVE_FREE,
	.prepare = prepare_filled,
	.check = check_lazy,
};

static int prepare_unguarded(struct area *area)
{
	int err = fl_guard_remove(area->base, area->bytes, FL_GUARD_MADVISE);

	if (!err)
		fill(area, area->base);
	return err;
}

static int check_guarded(struct area *area, size_t nr, char *reason,
			 size_t reason_bytes)
{
	int err = check_gone(area, nr, reason, reason_bytes);

	return err ? err : check_closed(area, nr, reason, reason_bytes);
}

const struct op giveback_guard_install = {
	.advises = true, .advice = FL_GIVE_GUARD,
	.prepare = prepare_unguarded,
	.check = check_guarded,
};

static int prepare_guarded(struct area *area)
{
	return fl_guard_install(area->base, area->bytes, FL_GUARD_MADVISE);
}

const struct op giveback_guard_remove = {
	.advises = true, .advice = FL_GIVE_UNGUARD,
	.prepare = prepare_guarded,
	.check = check_opened,
};

/* ---- by userfaultfd --------------------------------------------------------- */

static int prepare_empty(struct area *area)
{
	return fl_giveback_one(area->base, area->bytes, FL_GIVE_DONTNEED);
}

/*
 * Into the missing pages of the area; the pages that the last section moved come
 * back first, for who would touch a missing page of the pool would wait for ever.
 */
static int move_pages(struct area *area, char *base, size_t bytes)
{
	size_t moved;

	return fl_uffd_move(&area->uffd, base, area->pool + (base - area->base),
			    bytes, &moved);
}

static int move_back(struct area *area)
{
	size_t moved;
	int err = 0;

	for (size_t i = 0; i < area->nr_moved && !err; i++)
		err = fl_uffd_move(&area->uffd,
				   area->pool + (slot(area, i) - area->base),
				   slot(area, i), fl_page_bytes(), &moved);
	area->nr_moved = 0;
	return err;
}

static int check_moved(struct area *area, size_t nr, char *reason,
		       size_t reason_bytes)
{
	int err = check_come(area, nr, reason, reason_bytes);

	area->nr_moved = nr;
	return err ? err : resident(area, area->pool, area->census.best,
				    SLOTS_MAX - nr, reason, reason_bytes);
}

const struct op giveback_move = {
	.uffd = true, .uffd_features = UFFD_FEATURE_MOVE,
	.prepare = move_back,
	.apply = move_pages,
	.check = check_moved,
};

static int copy_pages(struct area *area, char *base, size_t bytes)
{
	return fl_uffd_copy(&area->uffd, base, area->pool + (base - area->base),
			    bytes);
}

const struct op giveback_copy = {
	.uffd = true,
	.prepare = prepare_empty,
	.apply = copy_pages,
	.check = check_come,
};

static int zero_pages(struct area *area, char *base, size_t bytes)
{
	return fl_uffd_zero(&area->uffd, base, bytes);
}

/* The shared zero page is nobody's resident page: only mincore(2) tells of it. */
static int check_zeros(struct area *area, size_t nr, char *reason,
		       size_t reason_bytes)
{
	int err = resident(area, area->base, FL_CENSUS_MINCORE, nr, reason,
			   reason_bytes);

	return err ? err : resident(area, area->base, area->census.best,
				    area->census.best == FL_CENSUS_SCAN ? 0 : nr,
				    reason, reason_bytes);
}

const struct op giveback_zeropage = {
	.uffd = true,
	.prepare = prepare_empty,
	.apply = zero_pages,
	.check = check_zeros,
};

/* ---- by protection and mapping ----------------------------------------------- */

static int prepare_open(struct area *area)
{
	int err = fl_protect(area->base, area->bytes, FL_OPEN);

	if (!err)
		fill(area, area->base);
	return err;
}

static int close_pages(struct area *area, char *base, size_t bytes)
{
	(void)area;
	return fl_protect(base, bytes, FL_CLOSED);
}

const struct op giveback_close = {
	.prepare = prepare_open,
	.apply = close_pages,
	.check = check_closed,
};

static int prepare_closed(struct area *area)
{
	int err = prepare_open(area);

	return err ? err : fl_protect(area->base, area->bytes, FL_CLOSED);
}

static int open_pages(struct area *area, char *base, size_t bytes)
{
	(void)area;
	return fl_protect(base, bytes, FL_OPEN);
}

const struct op giveback_open = {
	.prepare = prepare_closed,
	.apply = open_pages,
	.check = check_opened,
};

static int unmap_pages(struct area *area, char *base, size_t bytes)
{
	(void)area;
	return munmap(base, bytes) ? -errno : 0;
}

/*
 * Whoever maps something next might be given the holes, so they are taken again at
 * once, if they are still holes.
 */
static int check_unmapped(struct area *area, size_t nr, char *reason,
			  size_t reason_bytes)
{
	const size_t page = fl_page_bytes();

	for (size_t i = 0; i < nr; i++) {
		if (mmap(slot(area, i), page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			 MAP_FIXED_NOREPLACE, -1, 0) != MAP_FAILED)
			continue;
		snprintf(reason, reason_bytes, "page %zu is still mapped", i);
		return -EIO;
	}
	if (madvise(area->base, area->bytes, MADV_NOHUGEPAGE) &&
	    errno != EINVAL)
		return -errno;
	return check_gone(area, nr, reason, reason_bytes);
}

const struct op giveback_munmap = {
	.prepare = prepare_filled,
	.apply = unmap_pages,
	.check = check_unmapped,
};

/* ---- the area ----------------------------------------------------------------- */

static int open_uffd(struct area *area)
{
	int err = fl_reserve(area->bytes, FL_OPEN, &area->pool);

	if (err)
		return err;
	fill(area, area->pool);
	err = fl_uffd_open(area->op->uffd_features, &area->uffd);
	if (!err)
		err = fl_uffd_register(&area->uffd, area->base, area->bytes);
	/* Both ends of a move belong to one userfaultfd. */
	if (!err && area->op->uffd_features & UFFD_FEATURE_MOVE)
		err = fl_uffd_register(&area->uffd, area->pool, area->bytes);
	return err;
}

int area_open(struct area *area)
{
	static const enum fl_giveback_method methods[] = {
		[METHOD_LOOP] = FL_GIVE_LOOP, [METHOD_RANGE] = FL_GIVE_LOOP,
		[METHOD_BATCH] = FL_GIVE_BATCH, [METHOD_RING] = FL_GIVE_RING,
	};
	const size_t page = fl_page_bytes();
	int err;

	area->stride = area->values[LAYOUT] == LAYOUT_SCATTERED ? 2 * page : page;
	area->bytes = SLOTS_MAX * area->stride;
	area->uffd.fd = area->giver.pidfd = -1;
	err = fl_census_open(&area->census);
	if (err)
		return err;
	err = fl_reserve(area->bytes, FL_OPEN, &area->base);
	for (size_t i = 0; !err && i < SLOTS_MAX; i++)
		area->slots[i] = (struct iovec){
			.iov_base = area->base + i * area->stride,
			.iov_len = page,
		};
	if (!err && area->op->advises)
		err = fl_giver_open(methods[area->values[METHOD]], &area->giver);
	if (!err && area->op->uffd)
		err = open_uffd(area);
	if (err)
		area_close(area);
	return err;
}

void area_close(struct area *area)
{
	fl_giver_close(&area->giver);
	fl_uffd_close(&area->uffd);
	fl_release(area->base, area->bytes);
	fl_release(area->pool, area->bytes);
	fl_census_close(&area->census);
}

int area_batch(struct area *area, size_t first, size_t nr)
{
	const struct iovec *ranges = &area->slots[first];
	struct iovec whole = {
		.iov_base = ranges->iov_base, .iov_len = nr * ranges->iov_len,
	};
	int err = 0;

	if (area->values[METHOD] == METHOD_RANGE) {
		ranges = &whole;
		nr = 1;
	}
	if (area->op->advises)
		return fl_giver_give(&area->giver, ranges, nr, area->op->advice);
	for (size_t i = 0; i < nr && !err; i++)
		err = area->op->apply(area, ranges[i].iov_base,
				      ranges[i].iov_len);
	return err;
}

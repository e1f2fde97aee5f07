/* SPDX-License-Identifier: MIT */
/*
 * faultline/read.h: read() from a file, a pipe or a socket into a region.
 *
 * Nobody knows how much read() will deliver, and a region that is bumped down wants
 * to know before.  Three ways (enum fl_read_how), on any strategy that can do them:
 *
 *	give back	into a chunk (struct fl_chunk) of as much as is asked for;
 *			what was not needed goes back.  No copy, no waste.  Needs chunks
 *			whose rest serves
 *	bounce		into a buffer of the reader's own, then copied into an object
 *			of exactly what came.  Any strategy
 *	keep		into an object of as much as is asked for, which stays as large
 *			as it is.  No copy; what was not needed is wasted.  Any strategy
 *
 * Each of them by read(), or by io_uring, one request at a time (enum fl_read_by).
 *
 * A system call raises no signal: where memory faults into a handler, the kernel's
 * own store gets EFAULT or a short count.  So nothing is read into a page that has not
 * been populated: chunks and buffers have none that fault, and the object of "keep"
 * is touched, page by page, by the program, whose faults are handled.
 *
 * What "bounce" and "keep" make is an object like others: the heap was opened with an
 * object_bytes_max and a region_bytes_max that cover what is asked for, the head and
 * what aligns it.
 *
 * Context: cold, may block; belongs to the region's thread.  The region's cursor is
 * valid (memory residence).
 */
#ifndef FL_READ_H
#define FL_READ_H

#include <stdint.h>
#include <sys/types.h>

#include "faultline/strategy.h"

enum fl_read_how { FL_READ_GIVE_BACK, FL_READ_BOUNCE, FL_READ_KEEP };

/*
 * By a ring, in one io_uring_enter for request and answer; "fixed": into the reader's
 * own buffer, registered with the kernel, which then need not look it up each time.
 */
enum fl_read_by { FL_READ_BY_CALL, FL_READ_BY_RING, FL_READ_BY_RING_FIXED };

/* What was read begins at a multiple of this; unaligned, large copies are slower. */
#define FL_READ_ALIGN	64u

struct fl_reader {
	const struct fl_strategy *strategy;
	enum fl_read_how how;
	char *bounce;			/* bounce: the buffer; else NULL */
	size_t bounce_bytes;
	struct fl_read_ring *ring;	/* NULL: by call */
	uint64_t nr_calls;		/* of read() or io_uring_enter(), interrupted
					   ones included */
	uint64_t copied_bytes;
	uint64_t wasted_bytes;		/* of objects: before a copy, or not come */
};

/* fl_read_best: Give back where the strategy can; else bounce. */
enum fl_read_how fl_read_best(const struct fl_strategy *strategy);

/*
 * fl_reader_open: For any number of regions of @strategy.
 * @most: bytes of the largest single read, which sizes the buffer of "bounce".
 * Returns 0, -ENOMEM, or -ENOTSUP: the strategy lends no chunks whose rest serves.
 */
int fl_reader_open(struct fl_reader *reader, const struct fl_strategy *strategy,
		   enum fl_read_how how, size_t most);
void fl_reader_close(struct fl_reader *reader);

/*
 * fl_reader_by: How an open reader asks the kernel from now on; open: by call.  A ring
 * costs thousands of reads to make.  A child of fork opens a reader of its own.
 * Returns 0, -ENOTSUP (built without liburing), -EINVAL (fixed, and it does not
 * bounce), -EPERM or -ENOSYS (the kernel refuses), -ENOMEM (or the limit of locked
 * memory) or -errno; then it asks as it did before.
 */
int fl_reader_by(struct fl_reader *reader, enum fl_read_by by);

/*
 * fl_region_read: One read(), of at most @most bytes (bounce: as open was told), into
 * an object of the region.
 * @data: out; NULL if nothing came.  May be more than a block.
 * Returns how many bytes came, as soon as there are any; 0 at the end or with @most 0;
 * -ENOMEM (the region's error, except for chunks, says so, too), or read()'s -errno:
 * -EAGAIN for a descriptor that does not block (by call alone: a ring waits for it,
 * too), or -EIO: a ring that broke.  Interrupted by a signal before there
 * was anything, it waits on.
 */
ssize_t fl_region_read(struct fl_reader *reader, struct fl_region *region,
		       int fd, size_t most, void **data);

/*
 * fl_region_read_behind: The same, behind a copy of the @head_bytes at @head: what a
 * parser had left over of the read before.  What is read begins at a multiple of
 * FL_READ_ALIGN, so that up to as many bytes before the copy are lost.
 * @data: out; the copy.  NULL if nothing came.
 * Returns how many bytes came behind it.
 */
ssize_t fl_region_read_behind(struct fl_reader *reader, struct fl_region *region,
			      int fd, const void *head, size_t head_bytes,
			      size_t most, void **data);

/*
 * fl_region_read_all: Until the end, but no more than @most bytes, into one object: a
 * builder (faultline/builder.h), whatever the reader's way; linked or copied as builders are.
 * Returns as above.  After an error what had been read is lost.
 */
ssize_t fl_region_read_all(struct fl_reader *reader, struct fl_region *region,
			   int fd, size_t most, void **data);

#endif

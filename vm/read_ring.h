/* SPDX-License-Identifier: MIT */
/*
 * vm/read_ring.h: read() by io_uring, one request at a time: what a reader
 * (faultline/read.h) asks the kernel through.
 *
 * Context: opening and closing is cold.  A ring serves one thread at a time.
 */
#ifndef FL_VM_READ_RING_H
#define FL_VM_READ_RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct fl_read_ring;

/*
 * fl_read_ring_open: @buffer: NULL, or @bytes that are registered, and locked, until
 * the ring is closed; reads that begin there use that.
 * Returns 0, -ENOTSUP (built without liburing) or -errno.
 */
int fl_read_ring_open(void *buffer, size_t bytes, struct fl_read_ring **ring);

/* fl_read_ring_close: @ring may be NULL. */
void fl_read_ring_close(struct fl_read_ring *ring);

/*
 * fl_read_ring_read: From where the descriptor is.  When it returns, nothing is under
 * way any more.  Interrupted before anything came, it waits on.
 * @nr_calls: io_uring_enter() calls are added.
 * Returns bytes, 0 at the end, or -errno; -EIO: the ring could not be submitted to and
 * is of no more use.
 */
ssize_t fl_read_ring_read(struct fl_read_ring *ring, int fd, void *to, size_t bytes,
			  uint64_t *nr_calls);

#endif

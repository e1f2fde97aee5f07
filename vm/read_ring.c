/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "vm/read_ring.h"

#if HAVE_LIBURING
#include <liburing.h>

/* The length of a request has 32 bits. */
#define REQUEST_BYTES_MAX	((size_t)1 << 30)

/* Where the descriptor is, as read() does (Linux 5.6). */
#define HERE	((uint64_t)-1)

struct fl_read_ring {
	struct io_uring uring;
	const void *registered;		/* NULL: no buffer is */
	bool broken;
};

int fl_read_ring_open(void *buffer, size_t bytes, struct fl_read_ring **out)
{
	const struct iovec whole = { .iov_base = buffer, .iov_len = bytes };
	struct fl_read_ring *ring = calloc(1, sizeof(*ring));
	int err;

	if (!ring)
		return -ENOMEM;
	err = io_uring_queue_init(1, &ring->uring, 0);
	if (err)
		goto free_ring;
	if (buffer) {
		err = io_uring_register_buffers(&ring->uring, &whole, 1);
		if (err)
			goto exit_ring;
		ring->registered = buffer;
	}
	*out = ring;
	return 0;
exit_ring:
	io_uring_queue_exit(&ring->uring);
free_ring:
	free(ring);
	return err;
}

void fl_read_ring_close(struct fl_read_ring *ring)
{
	if (!ring)
		return;
	io_uring_queue_exit(&ring->uring);
	free(ring);
}

/*
 * A signal may end the wait before the answer is there: the request goes on, and its
 * memory must not be anybody else's until it is answered.
 */
static int answer(struct fl_read_ring *ring, uint64_t *nr_calls)
{
	struct io_uring_cqe *cqe;
	int n;

	for (;;) {
		(*nr_calls)++;
		n = io_uring_submit_and_wait(&ring->uring, 1);
		if (!io_uring_peek_cqe(&ring->uring, &cqe))
			break;
		if (n < 0 && n != -EINTR && io_uring_sq_ready(&ring->uring)) {
			ring->broken = true;
			return -EIO;
		}
	}
	n = cqe->res;
	io_uring_cqe_seen(&ring->uring, cqe);
	return n;
}

ssize_t fl_read_ring_read(struct fl_read_ring *ring, int fd, void *to, size_t bytes,
			  uint64_t *nr_calls)
{
	const unsigned most = (unsigned)(bytes < REQUEST_BYTES_MAX ? bytes :
					 REQUEST_BYTES_MAX);
	int n;

	do {
		struct io_uring_sqe *sqe;

		if (ring->broken)
			return -EIO;
		sqe = io_uring_get_sqe(&ring->uring);
		if (to == ring->registered)
			io_uring_prep_read_fixed(sqe, fd, to, most, HERE, 0);
		else
			io_uring_prep_read(sqe, fd, to, most, HERE);
		n = answer(ring, nr_calls);
	} while (n == -EINTR);
	return n;
}

#else

int fl_read_ring_open(void *buffer, size_t bytes, struct fl_read_ring **ring)
{
	(void)buffer;
	(void)bytes;
	(void)ring;
	return -ENOTSUP;
}

void fl_read_ring_close(struct fl_read_ring *ring)
{
	(void)ring;
}

ssize_t fl_read_ring_read(struct fl_read_ring *ring, int fd, void *to, size_t bytes,
			  uint64_t *nr_calls)
{
	(void)ring;
	(void)fd;
	(void)to;
	(void)bytes;
	(void)nr_calls;
	return -EIO;
}

#endif

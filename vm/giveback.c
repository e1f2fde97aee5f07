/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if HAVE_LIBURING
#include <liburing.h>
#endif

#include "faultline/compat.h"
#include "vm/giveback.h"

/* process_madvise takes at most this many ranges a call (UIO_MAXIOV). */
#define BATCH_MAX	1024u
#define RING_ENTRIES	64u

static int advice_of(enum fl_giveback_advice advice)
{
	switch (advice) {
	case FL_GIVE_FREE:
		return MADV_FREE;
	case FL_GIVE_GUARD:
		return MADV_GUARD_INSTALL;
	case FL_GIVE_UNGUARD:
		return MADV_GUARD_REMOVE;
	default:
		return MADV_DONTNEED;
	}
}

int fl_giveback_one(char *base, size_t bytes, enum fl_giveback_advice advice)
{
	return madvise(base, bytes, advice_of(advice)) ? -errno : 0;
}

/*
 * A call may stop early having done some of the bytes; it goes on from there.
 */
static int give_batch(const struct iovec *ranges, size_t nr, int advice, int fd)
{
	struct iovec part[BATCH_MAX];

	while (nr) {
		size_t n = nr < BATCH_MAX ? nr : BATCH_MAX, i = 0;

		for (size_t k = 0; k < n; k++)
			part[k] = ranges[k];
		while (i < n) {
			ssize_t done = syscall(SYS_process_madvise, fd,
					       &part[i], n - i, advice, 0);

			if (done < 0)
				return -errno;
			if (!done)
				return -EIO;
			while (i < n && (size_t)done >= part[i].iov_len)
				done -= (ssize_t)part[i++].iov_len;
			if (i < n) {
				part[i].iov_base =
					(char *)part[i].iov_base + done;
				part[i].iov_len -= (size_t)done;
			}
		}
		ranges += n;
		nr -= n;
	}
	return 0;
}

#if HAVE_LIBURING
struct fl_giver_ring {
	struct io_uring uring;
};

/* The length of an operation has 32 bits (Linux 6.13 found room for 64). */
#define RING_BYTES_MAX	((size_t)1 << 30)

/*
 * Submit what is queued and wait for all of it: pages must not go away behind
 * the caller's back later on, not even when one range was refused or a signal
 * came in between.  Returns 0 or -errno of the first that failed.
 */
static int finish(struct io_uring *ring, unsigned queued)
{
	unsigned submitted = 0, failed = queued;
	int err = 0, n;

	while (submitted < queued) {
		n = io_uring_submit(ring);
		if (n > 0) {
			submitted += (unsigned)n;
		} else if (n != -EINTR) {
			err = n ? n : -EIO;
			break;
		}
	}
	for (unsigned seen = 0; seen < submitted;) {
		struct io_uring_cqe *cqe;

		n = io_uring_wait_cqe(ring, &cqe);
		if (n == -EINTR)
			continue;
		if (n)
			return n;
		if (cqe->res < 0 && cqe->user_data < failed) {
			failed = (unsigned)cqe->user_data;
			err = cqe->res;
		}
		io_uring_cqe_seen(ring, cqe);
		seen++;
	}
	return err;
}

static int give_ring(struct io_uring *ring, const struct iovec *ranges,
		     size_t nr, int advice)
{
	size_t done = 0;	/* bytes of ranges[0] */
	int err = 0;

	/* Left over by a failed submission: they are not to happen now. */
	if (io_uring_sq_ready(ring))
		return -EIO;
	while (nr && (!err || err == -ECANCELED)) {
		const struct iovec *first = ranges;
		const size_t first_done = done, first_nr = nr;
		unsigned queued = 0;

		while (nr && queued < RING_ENTRIES) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
			size_t bytes = ranges->iov_len - done;

			if (bytes > RING_BYTES_MAX)
				bytes = RING_BYTES_MAX;
			io_uring_prep_madvise(sqe, (char *)ranges->iov_base +
					      done, (off_t)bytes, advice);
			io_uring_sqe_set_data64(sqe, queued++);
			done += bytes;
			if (done == ranges->iov_len) {
				ranges++;
				nr--;
				done = 0;
			}
		}
		err = finish(ring, queued);
		/*
		 * A signal that comes while the kernel starts a worker cancels
		 * what the worker was for.  Giving back twice does no harm.
		 */
		if (err == -ECANCELED) {
			ranges = first;
			done = first_done;
			nr = first_nr;
		}
	}
	return err;
}

static int open_ring(struct fl_giver_ring **out)
{
	struct fl_giver_ring *ring = malloc(sizeof(*ring));
	int err = ring ? io_uring_queue_init(RING_ENTRIES, &ring->uring, 0) :
			 -ENOMEM;

	if (err)
		free(ring);
	else
		*out = ring;
	return err;
}

static void close_ring(struct fl_giver_ring *ring)
{
	if (ring)
		io_uring_queue_exit(&ring->uring);
	free(ring);
}
#endif

int fl_giver_open(enum fl_giveback_method method, struct fl_giver *giver)
{
	struct fl_giver g = { .method = method, .pidfd = -1 };
	int err = 0;

	switch (method) {
	case FL_GIVE_LOOP:
		break;
	case FL_GIVE_BATCH:
		g.pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
		err = g.pidfd < 0 ? -errno : 0;
		break;
	case FL_GIVE_RING:
#if HAVE_LIBURING
		err = open_ring(&g.ring);
#else
		err = -ENOTSUP;
#endif
		break;
	default:
		err = -EINVAL;
	}
	if (!err)
		*giver = g;
	return err;
}

void fl_giver_close(struct fl_giver *giver)
{
	if (giver->pidfd >= 0)
		close(giver->pidfd);
	giver->pidfd = -1;
#if HAVE_LIBURING
	close_ring(giver->ring);
	giver->ring = NULL;
#endif
}

int fl_giver_give(struct fl_giver *giver, const struct iovec *ranges, size_t nr,
		  enum fl_giveback_advice advice)
{
	int err = 0;

	switch (giver->method) {
	case FL_GIVE_LOOP:
		for (size_t i = 0; i < nr && !err; i++)
			err = fl_giveback_one(ranges[i].iov_base,
					      ranges[i].iov_len, advice);
		return err;
	case FL_GIVE_BATCH:
		return give_batch(ranges, nr, advice_of(advice), giver->pidfd);
#if HAVE_LIBURING
	case FL_GIVE_RING:
		return give_ring(&giver->ring->uring, ranges, nr,
				 advice_of(advice));
#endif
	default:
		return -EINVAL;
	}
}

size_t fl_giveback_calls(enum fl_giveback_method method, size_t nr)
{
	const size_t each = method == FL_GIVE_BATCH ? BATCH_MAX :
			    method == FL_GIVE_RING ? RING_ENTRIES : 1;

	return (nr + each - 1) / each;
}

int fl_giveback(const struct iovec *ranges, size_t nr,
		enum fl_giveback_advice advice, enum fl_giveback_method method)
{
	struct fl_giver giver;
	int err = fl_giver_open(method, &giver);

	if (err)
		return err;
	err = fl_giver_give(&giver, ranges, nr, advice);
	fl_giver_close(&giver);
	return err;
}

/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/lib-names.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#if HAVE_LIBURING
#include <liburing.h>
#endif

#include "faultline/compat.h"
#include "vm/fault.h"
#include "vm/place.h"
#include "vm/reserve.h"
#include "vm/uffd_service.h"

static int set_blocking(const struct fl_uffd *uffd, bool blocking)
{
	int flags = fcntl(uffd->fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
	return fcntl(uffd->fd, F_SETFL, flags) ? -errno : 0;
}

#if HAVE_LIBURING

enum { READ_DONE = 1, STOP_ASKED };

struct fl_uffd_ring {
	struct io_uring ring;
	int uffd;
	int stop;		/* eventfd: readable once the thread is to end */
	struct uffd_msg msg;	/* what the read in flight writes to */
};

static void queue_read(struct fl_uffd_ring *r)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->ring);

	io_uring_prep_read(sqe, r->uffd, &r->msg, sizeof(r->msg), 0);
	io_uring_sqe_set_data64(sqe, READ_DONE);
}

/* A read in flight would write to @r whenever its event came. */
static void ring_close(struct fl_uffd_ring *r)
{
	struct io_uring_sync_cancel_reg cancel = {
		.addr = READ_DONE,
		.timeout = { .tv_sec = -1, .tv_nsec = -1 },
	};

	io_uring_register_sync_cancel(&r->ring, &cancel);
	io_uring_queue_exit(&r->ring);
	if (r->stop >= 0)
		close(r->stop);
	free(r);
}

/*
 * The child of a fork shares the ring with its parent, whose read is in flight:
 * nothing may be cancelled, nor memory freed by what is no signal-safe function.
 */
static void ring_abandon(struct fl_uffd_ring *r)
{
	close(r->ring.ring_fd);
	close(r->stop);
}

/*
 * Has the kernel let the read wait, or failed it at once?  A pending signal of
 * io_uring's own makes it fail, too.
 */
static int wait_or_fail(struct fl_uffd_ring *r)
{
	struct io_uring_cqe *cqe;
	int n;

	for (;;) {
		n = io_uring_submit(&r->ring);
		if (n < 0)
			return n;
		if (io_uring_peek_cqe(&r->ring, &cqe))
			return 0;
		if (cqe->res != -EINTR)
			return -ENOTSUP;
		io_uring_cqe_seen(&r->ring, cqe);
		queue_read(r);
	}
}

/*
 * By the service thread: whoever has made a ring is sent signals by the kernel
 * when it goes, which would disturb the program's faults.
 */
static int ring_open(int uffd, struct fl_uffd_ring **out)
{
	struct fl_uffd_ring *r = calloc(1, sizeof(*r));
	struct io_uring_sqe *sqe;
	int err;

	if (!r)
		return -ENOMEM;
	r->uffd = uffd;
	err = io_uring_queue_init(4, &r->ring, 0);
	if (err) {
		free(r);
		return err;
	}
	r->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->stop < 0) {
		err = -errno;
	} else {
		queue_read(r);
		err = wait_or_fail(r);
	}
	if (err) {
		ring_close(r);
		return err;
	}
	sqe = io_uring_get_sqe(&r->ring);
	io_uring_prep_poll_add(sqe, r->stop, POLLIN);
	io_uring_sqe_set_data64(sqe, STOP_ASKED);
	*out = r;
	return 0;
}

static void ring_stop(struct fl_uffd_ring *r)
{
	const uint64_t one = 1;

	while (write(r->stop, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* Short of memory the kernel refuses for a while; a signal may cancel a read. */
static bool is_passing(int err)
{
	return err == -EINTR || err == -EAGAIN || err == -EBUSY ||
	       err == -ECANCELED;
}

static bool next_by_ring(const struct fl_uffd_service *s, struct uffd_msg *msg)
{
	struct fl_uffd_ring *r = s->ring;

	for (;;) {
		struct io_uring_cqe *cqe;
		uint64_t what;
		int n = io_uring_submit_and_wait(&r->ring, 1), res;

		if (n < 0 && !is_passing(n))
			return false;
		if (io_uring_peek_cqe(&r->ring, &cqe))
			continue;
		what = cqe->user_data;
		res = cqe->res;
		io_uring_cqe_seen(&r->ring, cqe);
		if (what == STOP_ASKED || (res < 0 && !is_passing(res)))
			return false;
		*msg = r->msg;
		queue_read(r);
		if (res == (int)sizeof(*msg))
			return true;
	}
}

static const char no_ring[] = "this kernel's io_uring does not wait for a "
	"userfaultfd inside the kernel (Linux 6.10 does)";

#else

static int ring_open(int uffd, struct fl_uffd_ring **out)
{
	(void)uffd;
	(void)out;
	return -ENOTSUP;
}

static void ring_close(struct fl_uffd_ring *r)
{
	(void)r;
}

static void ring_abandon(struct fl_uffd_ring *r)
{
	(void)r;
}

static void ring_stop(struct fl_uffd_ring *r)
{
	(void)r;
}

static bool next_by_ring(const struct fl_uffd_service *s, struct uffd_msg *msg)
{
	(void)s;
	(void)msg;
	return false;
}

static const char no_ring[] = "built without liburing";

#endif

/*
 * The system calls below are the cancellation points by which fl_uffd_stop ends
 * the thread.  It does not leave by returning then, and AddressSanitizer would
 * find its locals' red zones in the way of whoever has the stack next.
 */
#define ends_by_cancellation	__attribute__((no_sanitize("address")))

/* What else read() may fail with is a descriptor that was closed too early. */
ends_by_cancellation
static bool next_by_read(const struct fl_uffd_service *s, struct uffd_msg *msg)
{
	ssize_t n;

	do {
		n = read(s->uffd->fd, msg, sizeof(*msg));
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	return n == (ssize_t)sizeof(*msg);
}

ends_by_cancellation
static bool next_by_poll(const struct fl_uffd_service *s, struct uffd_msg *msg)
{
	struct pollfd fd = { .fd = s->uffd->fd, .events = POLLIN };
	ssize_t n;

	do {
		if (poll(&fd, 1, -1) < 0 && errno != EINTR)
			return false;
		n = read(s->uffd->fd, msg, sizeof(*msg));
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	return n == (ssize_t)sizeof(*msg);
}

/* Wait for the next event; false: it is over. */
static bool (*const next[])(const struct fl_uffd_service *,
			    struct uffd_msg *) = {
	[FL_UFFD_BLOCK] = next_by_read,
	[FL_UFFD_POLL] = next_by_poll,
	[FL_UFFD_BUSY] = next_by_read,
	[FL_UFFD_RING] = next_by_ring,
};

static char *page_of(const char *address)
{
	return (char *)((uintptr_t)address & ~(uintptr_t)(fl_page_bytes() - 1));
}

/* Let go on who sleeps on the page at @address. */
static void wake(const struct fl_uffd *uffd, const char *address)
{
	struct uffdio_range range = {
		.start = (uintptr_t)page_of(address), .len = fl_page_bytes(),
	};

	ioctl(uffd->fd, UFFDIO_WAKE, &range);
}

/*
 * A signal that is sent instead shows no fault in a core, and a thread that
 * blocks it sleeps for ever; so that is for when there is no VMA left to close
 * a page with, and for a second thread while the first one's page is closed.
 */
static void decline(struct fl_uffd_service *s, int tid, char *address)
{
	char *none = NULL, *page = page_of(address);

	if (__atomic_compare_exchange_n(&s->declined, &none, page, false,
					__ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
		if (!fl_protect(page, fl_page_bytes(), FL_CLOSED)) {
			wake(s->uffd, address);
			return;
		}
		__atomic_store_n(&s->declined, NULL, __ATOMIC_RELEASE);
	}
	fl_fault_raise(tid, address);
}

bool fl_uffd_declined(struct fl_uffd_service *s, const char *address)
{
	char *page = page_of(address);

	if (__atomic_load_n(&s->declined, __ATOMIC_ACQUIRE) != page)
		return false;
	fl_protect(page, fl_page_bytes(), FL_OPEN);
	__atomic_store_n(&s->declined, NULL, __ATOMIC_RELEASE);
	return true;
}

ends_by_cancellation
static void *service_loop(void *argument)
{
	struct fl_uffd_service *s = argument;
	struct uffd_msg msg;

	if (s->wait == FL_UFFD_RING)
		s->err = ring_open(s->uffd->fd, &s->ring);
	sem_post(&s->started);
	while (!s->err && next[s->wait](s, &msg)) {
		char *address = (char *)(uintptr_t)msg.arg.pagefault.address;
		int state;

		if (msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		/* A resolved fault must not be left half done. */
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
		if (s->resolve(s->owner, address))
			wake(s->uffd, address);
		else
			decline(s, (int)msg.arg.pagefault.feat.ptid, address);
		pthread_setcancelstate(state, NULL);
	}
	return NULL;
}

/* A thread inherits where its creator may run, which may be pinned. */
static int set_cpus(pthread_attr_t *attr, int cpu)
{
	int cpus[CPU_SETSIZE], nr = 1;
	cpu_set_t set;

	CPU_ZERO(&set);
	if (cpu >= 0)
		cpus[0] = cpu;
	else
		nr = fl_place_cpus(cpus, CPU_SETSIZE);
	for (int i = 0; i < nr; i++)
		CPU_SET((unsigned)cpus[i], &set);
	return -pthread_attr_setaffinity_np(attr, sizeof(set), &set);
}

static int start_thread(struct fl_uffd_service *service, int cpu)
{
	sigset_t all, saved;
	pthread_attr_t attr;
	int err = -pthread_attr_init(&attr);

	if (err)
		return err;
	err = set_cpus(&attr, cpu);
	if (!err) {
		/* The program's signals are not the service thread's business. */
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &saved);
		err = -pthread_create(&service->thread, &attr, service_loop,
				      service);
		pthread_sigmask(SIG_SETMASK, &saved, NULL);
	}
	pthread_attr_destroy(&attr);
	return err;
}

/*
 * pthread_cancel has the unwinder loaded at its first call, and ends the process
 * where there are no mappings left for that.  So it is there before, for good.
 */
static int load_unwinder(void)
{
	return dlopen(LIBGCC_S_SO, RTLD_NOW | RTLD_NODELETE) ? 0 : -ELIBACC;
}

int fl_uffd_serve(struct fl_uffd_service *service, const struct fl_uffd *uffd,
		  enum fl_uffd_wait wait, fl_uffd_fn resolve, void *owner,
		  int cpu)
{
	int err = set_blocking(uffd, wait == FL_UFFD_BLOCK);

	*service = (struct fl_uffd_service){
		.uffd = uffd, .wait = wait, .resolve = resolve, .owner = owner,
	};
	sem_init(&service->started, 0, 0);
	if (!err && wait != FL_UFFD_RING)
		err = load_unwinder();
	if (!err)
		err = start_thread(service, cpu);
	if (!err) {
		while (sem_wait(&service->started))
			;
		err = service->err;
		if (err)
			pthread_join(service->thread, NULL);
	}
	sem_destroy(&service->started);
	if (err)
		service->uffd = NULL;
	return err;
}

void fl_uffd_stop(struct fl_uffd_service *service)
{
	if (!service->uffd)
		return;
	if (service->ring)
		ring_stop(service->ring);
	else
		pthread_cancel(service->thread);
	pthread_join(service->thread, NULL);
	if (service->ring)
		ring_close(service->ring);
	service->uffd = NULL;
}

void fl_uffd_abandon(struct fl_uffd_service *service)
{
	if (service->ring)
		ring_abandon(service->ring);
	service->ring = NULL;
	service->uffd = NULL;
}

static bool resolve_none(void *owner, char *address)
{
	(void)owner;
	(void)address;
	return false;
}

int fl_uffd_wait_probe(enum fl_uffd_wait wait, char *reason,
		       size_t reason_bytes)
{
	struct fl_uffd_service service;
	struct fl_uffd uffd;
	int err;

	if (wait != FL_UFFD_RING)
		return 0;
	err = fl_uffd_open(UFFD_FEATURE_THREAD_ID, &uffd);
	if (!err) {
		err = fl_uffd_serve(&service, &uffd, wait, resolve_none,
				    NULL, -1);
		fl_uffd_stop(&service);
		fl_uffd_close(&uffd);
	}
	if (err == -ENOTSUP)
		snprintf(reason, reason_bytes, "io_uring: %s", no_ring);
	else if (err)
		snprintf(reason, reason_bytes, "io_uring: %s%s",
			 strerror(-err), err == -EPERM ?
			 " (sysctl kernel.io_uring_disabled, or a seccomp filter)" :
			 "");
	return err;
}

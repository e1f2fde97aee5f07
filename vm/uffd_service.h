/* SPDX-License-Identifier: MIT */
/*
 * vm/uffd_service.h: a thread that resolves the faults of others.
 *
 * It waits for an event in one of these ways, and resolves one event at a time:
 *
 *  block     read(2) on a blocking descriptor
 *  poll      poll(2), then read(2), as programs with an event loop do
 *  busy      read(2) again and again, never asleep: needs a CPU of its own
 *  io_uring  a read of the descriptor in a ring, submitted and waited for by one
 *            system call.  It must wait inside the kernel until there is an
 *            event, which it does since Linux 6.10: before, it took a worker
 *            thread for each event, or failed at once
 *
 * Context: cold, MT-safe.
 */
#ifndef FL_VM_UFFD_SERVICE_H
#define FL_VM_UFFD_SERVICE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

#include "vm/uffd.h"

enum fl_uffd_wait { FL_UFFD_BLOCK, FL_UFFD_POLL, FL_UFFD_BUSY, FL_UFFD_RING };

/*
 * fl_uffd_fn: Resolve the fault at @address, on the service thread.  True when
 * done; false declines, and the faulting thread then gets a SIGSEGV for that
 * address: the kernel's own, because its page is closed before the thread goes on.
 * So it has the right pc and code, and kills a thread that blocks it.
 *
 * One store may fault more than once before it is resolved, if its thread is sent
 * signals meanwhile: what is there already is done.
 */
typedef bool (*fl_uffd_fn)(void *owner, char *address);

struct fl_uffd_ring;

struct fl_uffd_service {
	const struct fl_uffd *uffd;	/* NULL: there is no thread */
	enum fl_uffd_wait wait;
	fl_uffd_fn resolve;
	void *owner;
	struct fl_uffd_ring *ring;	/* io_uring only */
	char *declined;			/* the page that is closed, or NULL */
	pthread_t thread;
	sem_t started;
	int err;			/* of starting */
};

/*
 * fl_uffd_serve: Start the service thread, pinned to @cpu (-1: wherever the
 * process may run, even if the calling thread is pinned).  @service is
 * caller-owned until fl_uffd_stop.  The descriptor must have been opened with
 * UFFD_FEATURE_THREAD_ID and, so that addresses are exact,
 * UFFD_FEATURE_EXACT_ADDRESS; whether it blocks is changed as the wait needs.
 * Returns 0 or -errno (io_uring: -ENOTSUP when built without liburing, and what
 * io_uring_setup(2) says; others: -ELIBACC when libgcc_s, which pthread_cancel
 * needs, cannot be loaded).
 */
int fl_uffd_serve(struct fl_uffd_service *service, const struct fl_uffd *uffd,
		  enum fl_uffd_wait wait, fl_uffd_fn resolve, void *owner,
		  int cpu);

/*
 * fl_uffd_declined: Open the page again, if @address is in the one that is closed
 * because its fault was declined.  For the heap's handler of SIGSEGV, whatever it
 * then does about the fault.  True if so.  Async-signal-safe.
 */
bool fl_uffd_declined(struct fl_uffd_service *service, const char *address);

/*
 * fl_uffd_stop: End the thread.  A fault it is resolving is resolved; one it has
 * not read is left to sleep until the descriptor is closed.
 * fl_uffd_abandon: The same in a fork child (vm/fork.h), where there is no thread
 * to end; async-signal-safe.
 * Neither does anything when there is no thread: to a zeroed @service, or twice.
 */
void fl_uffd_stop(struct fl_uffd_service *service);
void fl_uffd_abandon(struct fl_uffd_service *service);

/*
 * fl_uffd_wait_probe: Can this process wait so?  For io_uring: queues a read and
 * sees that it waits.
 * @reason: if not, one line that says why.  Returns 0, -ENOTSUP or -errno.
 */
int fl_uffd_wait_probe(enum fl_uffd_wait wait, char *reason,
		       size_t reason_bytes);

#endif

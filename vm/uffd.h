/* SPDX-License-Identifier: MIT */
/*
 * vm/uffd.h: userfaultfd, as strategies use it.
 *
 * Descriptors are opened with UFFD_USER_MODE_ONLY, which any user may do
 * whatever vm.unprivileged_userfaultfd says.  The price: a system call that
 * touches a missing page gets EFAULT instead of being served.
 *
 * Two ways to be told of a missing page:
 *  sigbus  UFFD_FEATURE_SIGBUS: the faulting thread gets SIGBUS (vm/fault.h)
 *  thread  the faulting thread sleeps while a service thread reads the event
 *          and resolves it
 *
 * A registration is lost in a fork child, which then silently zero-fills: a heap
 * that has one needs a hook (vm/fork.h).
 * Context: open, register and the service are cold; the page operations are
 * bare ioctls, async-signal-safe and MT-safe.
 */
#ifndef FL_VM_UFFD_H
#define FL_VM_UFFD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fl_uffd {
	int fd;
	uint64_t features;	/* what the kernel offers */
};

/*
 * fl_uffd_open: @features: UFFD_FEATURE_* that must be had.
 * Returns 0, -ENOSYS (no userfaultfd), -EPERM (forbidden, by seccomp or
 * otherwise), -ENOTSUP (a feature is missing), or another -errno.
 */
int fl_uffd_open(uint64_t features, struct fl_uffd *uffd);
void fl_uffd_close(struct fl_uffd *uffd);

/*
 * fl_uffd_register: Watch missing pages of [base, base + bytes), whole pages of
 * an open reservation.  A range has at most one userfaultfd (-EBUSY).
 * Registering PROT_NONE memory succeeds and is useless: accesses get SIGSEGV.
 */
int fl_uffd_register(const struct fl_uffd *uffd, char *base, size_t bytes);

/*
 * fl_uffd_copy: Fill missing pages at @to with a copy of @from.  Pages that are
 * there already are left alone.
 * fl_uffd_zero: Map the shared zero page instead; the first write to each then
 * takes an ordinary fault more.
 *
 * Neither wakes who waits for the pages: the program must not go on before
 * whoever resolves the fault has also written down that it did.  The service
 * wakes the faulting thread when its function returns; in sigbus mode nobody
 * sleeps.
 * Return 0 or -errno (-ENOENT: not registered; -ENOMEM).
 */
int fl_uffd_copy(const struct fl_uffd *uffd, char *to, const char *from,
		 size_t bytes);
int fl_uffd_zero(const struct fl_uffd *uffd, char *to, size_t bytes);

/*
 * fl_uffd_fn: Resolve the fault at @address, on the service thread.  True when
 * done; false declines, and the faulting thread then gets a SIGSEGV for that
 * address.
 */
typedef bool (*fl_uffd_fn)(void *owner, char *address);

struct fl_uffd_service {
	const struct fl_uffd *uffd;
	fl_uffd_fn resolve;
	void *owner;
	pthread_t thread;
};

/*
 * fl_uffd_serve: Start the service thread, pinned to @cpu (-1: wherever the
 * process may run, even if the calling thread is pinned).  It waits in blocking
 * reads.  @service is caller-owned until fl_uffd_stop.  The descriptor must have
 * been opened with UFFD_FEATURE_THREAD_ID and, so that addresses are exact,
 * UFFD_FEATURE_EXACT_ADDRESS.
 * Returns 0 or -errno.
 */
int fl_uffd_serve(struct fl_uffd_service *service, const struct fl_uffd *uffd,
		  fl_uffd_fn resolve, void *owner, int cpu);
void fl_uffd_stop(struct fl_uffd_service *service);

#endif

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "faultline/compat.h"
#include "vm/fault.h"
#include "vm/place.h"
#include "vm/reserve.h"
#include "vm/uffd.h"

int fl_uffd_open(uint64_t features, struct fl_uffd *uffd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_api offer = { .api = UFFD_API };
	int fd, probe, err;

	/*
	 * UFFDIO_API can be asked once per descriptor, and asking for a feature
	 * the kernel lacks is EINVAL like anything else.  So one descriptor
	 * learns what there is and another asks for it.
	 */
	probe = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (probe < 0)
		return -errno;
	err = ioctl(probe, UFFDIO_API, &offer) ? -errno : 0;
	close(probe);
	if (err)
		return err;
	if ((offer.features & features) != features)
		return -ENOTSUP;

	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (fd < 0)
		return -errno;
	api.features = features;
	if (ioctl(fd, UFFDIO_API, &api)) {
		err = -errno;
		close(fd);
		return err;
	}
	*uffd = (struct fl_uffd){ .fd = fd, .features = offer.features };
	return 0;
}

void fl_uffd_close(struct fl_uffd *uffd)
{
	if (uffd->fd >= 0)
		close(uffd->fd);
	uffd->fd = -1;
}

int fl_uffd_register(const struct fl_uffd *uffd, char *base, size_t bytes)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)base, .len = bytes },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	return ioctl(uffd->fd, UFFDIO_REGISTER, &reg) ? -errno : 0;
}

/*
 * Both operations stop at the first page that is there already (EEXIST) or
 * when the process's mappings change underneath (EAGAIN), having done @done
 * bytes.  Returns true when there is more to do.
 */
static bool go_on(char **to, const char **from, size_t *bytes, int64_t done,
		  int *err)
{
	size_t step = done > 0 ? (size_t)done : 0;

	if (*err == -EEXIST && step < *bytes) {
		/* The page after those done exists. */
		step += fl_page_bytes();
		*err = 0;
	} else if (*err == -EAGAIN) {
		*err = 0;
	}
	if (*err)
		return false;
	*to += step;
	if (from)
		*from += step;
	*bytes -= step < *bytes ? step : *bytes;
	return *bytes > 0;
}

int fl_uffd_copy(const struct fl_uffd *uffd, char *to, const char *from,
		 size_t bytes)
{
	struct uffdio_copy copy;
	int err;

	do {
		copy = (struct uffdio_copy){
			.dst = (uintptr_t)to, .src = (uintptr_t)from,
			.len = bytes, .mode = UFFDIO_COPY_MODE_DONTWAKE,
		};
		err = ioctl(uffd->fd, UFFDIO_COPY, &copy) ? -errno : 0;
	} while (go_on(&to, &from, &bytes, copy.copy, &err));
	return err;
}

int fl_uffd_zero(const struct fl_uffd *uffd, char *to, size_t bytes)
{
	struct uffdio_zeropage zero;
	int err;

	do {
		zero = (struct uffdio_zeropage){
			.range = { .start = (uintptr_t)to, .len = bytes },
			.mode = UFFDIO_ZEROPAGE_MODE_DONTWAKE,
		};
		err = ioctl(uffd->fd, UFFDIO_ZEROPAGE, &zero) ? -errno : 0;
	} while (go_on(&to, NULL, &bytes, zero.zeropage, &err));
	return err;
}

/* Let go on who sleeps on the page at @address. */
static void wake(const struct fl_uffd *uffd, uint64_t address)
{
	struct uffdio_range range = {
		.start = address & ~(uint64_t)(fl_page_bytes() - 1),
		.len = fl_page_bytes(),
	};

	ioctl(uffd->fd, UFFDIO_WAKE, &range);
}

/*
 * Cancelled in read(), it does not leave by returning, and AddressSanitizer
 * would find its locals' red zones in the way of whoever has the stack next.
 */
__attribute__((no_sanitize("address")))
static void *service_loop(void *argument)
{
	struct fl_uffd_service *service = argument;

	for (;;) {
		struct uffd_msg msg;
		/* The cancellation point by which fl_uffd_stop ends the loop. */
		ssize_t n = read(service->uffd->fd, &msg, sizeof(msg));
		int state;

		if (n != (ssize_t)sizeof(msg)) {
			if (n < 0 && (errno == EINTR || errno == EAGAIN))
				continue;
			return NULL;
		}
		if (msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		/* A resolved fault must not be left half done. */
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
		if (service->resolve(service->owner, (char *)(uintptr_t)
				     msg.arg.pagefault.address))
			wake(service->uffd, msg.arg.pagefault.address);
		else
			fl_fault_raise((int)msg.arg.pagefault.feat.ptid,
				       (char *)(uintptr_t)
				       msg.arg.pagefault.address);
		pthread_setcancelstate(state, NULL);
	}
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

int fl_uffd_serve(struct fl_uffd_service *service, const struct fl_uffd *uffd,
		  fl_uffd_fn resolve, void *owner, int cpu)
{
	sigset_t all, saved;
	pthread_attr_t attr;
	int err;

	*service = (struct fl_uffd_service){
		.uffd = uffd, .resolve = resolve, .owner = owner,
	};
	err = -pthread_attr_init(&attr);
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

void fl_uffd_stop(struct fl_uffd_service *service)
{
	pthread_cancel(service->thread);
	pthread_join(service->thread, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "faultline/compat.h"
#include "vm/reserve.h"
#include "vm/uffd.h"

static bool tracking;

void fl_uffd_track(void)
{
	tracking = true;
}

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
	/* With both, protected pages would be no faults any more. */
	if (tracking && !(features & UFFD_FEATURE_PAGEFAULT_FLAG_WP))
		features |= offer.features & UFFD_FEATURE_WP_ASYNC;

	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (fd < 0)
		return -errno;
	api.features = features;
	if (ioctl(fd, UFFDIO_API, &api)) {
		err = -errno;
		close(fd);
		return err;
	}
	*uffd = (struct fl_uffd){
		.fd = fd, .features = offer.features,
		.tracks = tracking && (features & UFFD_FEATURE_WP_ASYNC),
	};
	return 0;
}

void fl_uffd_close(struct fl_uffd *uffd)
{
	if (uffd->fd >= 0)
		close(uffd->fd);
	uffd->fd = -1;
}

int fl_uffd_probe(uint64_t features, char *reason, size_t reason_bytes)
{
	struct fl_uffd uffd;
	int err = fl_uffd_open(features, &uffd);

	if (!err) {
		fl_uffd_close(&uffd);
		return 0;
	}
	snprintf(reason, reason_bytes, "userfaultfd: %s%s", strerror(-err),
		 err == -EPERM ? " (forbidden to this process, perhaps by a "
				 "seccomp filter)" :
		 err == -ENOTSUP ? " (the kernel lacks a feature that these "
				   "settings need)" : "");
	return err;
}

static int watch(const struct fl_uffd *uffd, char *base, size_t bytes,
		 uint64_t mode)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)base, .len = bytes },
		.mode = mode,
	};

	return ioctl(uffd->fd, UFFDIO_REGISTER, &reg) ? -errno : 0;
}

int fl_uffd_register(const struct fl_uffd *uffd, char *base, size_t bytes)
{
	return watch(uffd, base, bytes, UFFDIO_REGISTER_MODE_MISSING |
		     (uffd->tracks ? UFFDIO_REGISTER_MODE_WP : 0));
}

int fl_uffd_register_wp(const struct fl_uffd *uffd, char *base, size_t bytes)
{
	return watch(uffd, base, bytes, UFFDIO_REGISTER_MODE_WP);
}

int fl_uffd_protect(const struct fl_uffd *uffd, char *base, size_t bytes)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (uintptr_t)base, .len = bytes },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	if (madvise(base, bytes, MADV_POPULATE_READ))
		return -errno;
	return ioctl(uffd->fd, UFFDIO_WRITEPROTECT, &wp) ? -errno : 0;
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

int fl_uffd_move(const struct fl_uffd *uffd, char *to, char *from,
		 size_t bytes, size_t *moved)
{
	int err;

	*moved = 0;
	do {
		struct uffdio_move move = {
			.dst = (uintptr_t)to + *moved,
			.src = (uintptr_t)from + *moved,
			.len = bytes - *moved, .mode = UFFDIO_MOVE_MODE_DONTWAKE,
		};

		err = ioctl(uffd->fd, UFFDIO_MOVE, &move) ? -errno : 0;
		*moved += move.move > 0 ? (size_t)move.move : 0;
	} while (err == -EAGAIN);
	return err;
}

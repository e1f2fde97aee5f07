/* SPDX-License-Identifier: MIT */
/*
 * What others than the program's own stores meet: the kernel on behalf of system
 * calls, a child after fork, and MADV_DONTNEED.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#if HAVE_LIBURING
#include <liburing.h>
#endif

#include "harness/matrix_trap.h"

#define NR_BYTES	256u
#define CHILD_MS	1000

/* ---- the kernel's accesses ---------------------------------------------- */

/* Each puts @bytes of @fd's start at @to; returns how many, or -errno. */

static ssize_t by_read(int fd, char *to, size_t bytes)
{
	ssize_t n = pread(fd, to, bytes, 0);

	return n < 0 ? -errno : n;
}

#if HAVE_LIBURING
static int ring_probe(void)
{
	struct io_uring ring;
	int err = io_uring_queue_init(1, &ring, 0);

	if (!err)
		io_uring_queue_exit(&ring);
	return err;
}

static ssize_t by_ring(int fd, char *to, size_t bytes)
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int err = io_uring_queue_init(1, &ring, 0);

	if (err)
		return err;
	io_uring_prep_read(io_uring_get_sqe(&ring), fd, to, (unsigned)bytes, 0);
	err = io_uring_submit(&ring);
	if (err >= 0)
		err = io_uring_wait_cqe(&ring, &cqe);
	return err < 0 ? err : cqe->res;
}
#else
static int ring_probe(void)
{
	return -ENOTSUP;
}

static ssize_t by_ring(int fd, char *to, size_t bytes)
{
	(void)fd;
	(void)to;
	(void)bytes;
	return -ENOTSUP;
}
#endif

static ssize_t by_process_vm(int fd, char *to, size_t bytes)
{
	char buffer[2 * 4096];
	struct iovec from = { buffer, bytes }, at = { to, bytes };
	ssize_t n;

	if (bytes > sizeof(buffer))
		return -EINVAL;
	n = pread(fd, buffer, bytes, 0);
	if (n == (ssize_t)bytes)
		n = process_vm_writev(getpid(), &from, 1, &at, 1, 0);
	return n < 0 ? -errno : n;
}

static int process_vm_probe(void)
{
	char byte = 0;
	struct iovec one = { &byte, 1 };

	return process_vm_writev(getpid(), &one, 1, &one, 1, 0) == 1 ? 0 :
								      -errno;
}

static const struct {
	const char *name;
	int (*probe)(void);	/* NULL: there is no system without it */
	ssize_t (*put)(int fd, char *to, size_t bytes);
} accesses[] = {
	[FL_BY_READ] = { "read", NULL, by_read },
	[FL_BY_RING] = { "io_uring", ring_probe, by_ring },
	[FL_BY_PROCESS_VM] = { "process_vm_writev", process_vm_probe,
			       by_process_vm },
};

/* A file of two pages. */
static int make_file(void)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	char page[4096];

	memset(page, 'f', sizeof(page));
	for (int i = 0; fd >= 0 && i < 2; i++)
		if (write(fd, page, sizeof(page)) != (ssize_t)sizeof(page)) {
			close(fd);
			return -EIO;
		}
	return fd < 0 ? -errno : fd;
}

/* Half of it lies in the page below, which is as pages are. */
static void try_straddling(int fd, ssize_t (*put)(int, char *, size_t),
			   char *page, struct fl_cell *cell)
{
	ssize_t n = put(fd, page - NR_BYTES / 2, NR_BYTES);

	if (n < 0)
		fl_cell_add(cell, "; one that begins %u bytes below it: %s",
			    NR_BYTES / 2, strerrorname_np((int)-n));
	else
		fl_cell_add(cell, "; one that begins %u bytes below it: %zd of %u bytes",
			    NR_BYTES / 2, n, NR_BYTES);
}

void fl_ask_access(const struct fl_mechanism *m, const struct fl_property *p,
		   struct fl_cell *cell)
{
	int (*probe)(void) = accesses[p->arg].probe;
	int fd, err = probe ? probe() : 0;
	char got[NR_BYTES], *page;
	struct fl_trap *t;
	ssize_t n;

	if (err) {
		fl_cell_set(cell, FL_CELL_NOT_TRIED, "no %s here: %s",
			    accesses[p->arg].name,
			    err == -ENOTSUP ? "built without liburing" :
					      strerror(-err));
		return;
	}
	t = fl_trap_small(m, &page, cell);
	if (!t)
		return;
	fd = make_file();
	if (!fl_trap_prepare(cell, fd < 0 ? fd : 0, "making a file"))
		return;
	n = accesses[p->arg].put(fd, page, NR_BYTES);
	if (n == -EMFILE || n == -ENFILE) {
		fl_trap_prepare(cell, (int)n, accesses[p->arg].name);
	} else if (n < 0) {
		fl_cell_refused(cell, (int)n, "%s, and no signal: %s",
				accesses[p->arg].name, strerror((int)-n));
		if (!m->maps_alone)
			try_straddling(fd, accesses[p->arg].put, page, cell);
	} else if (n != (ssize_t)NR_BYTES) {
		fl_cell_number(cell, (double)n, "bytes of %u", NR_BYTES);
	} else if (fl_trap_peek(page, got, NR_BYTES) || got[0] != 'f' ||
		   got[NR_BYTES - 1] != 'f') {
		fl_cell_set(cell, FL_CELL_FAILED,
			    "%s said that %u bytes are there, and they are not",
			    accesses[p->arg].name, NR_BYTES);
	} else {
		fl_cell_set(cell, FL_CELL_YES, "all %u bytes are there; %s", NR_BYTES,
			    __atomic_load_n(&t->answered, __ATOMIC_ACQUIRE) ?
			    "somebody was told, and served it" :
			    "nobody was told");
	}
}

/* ---- fork --------------------------------------------------------------- */

static void child_stores(struct fl_trap *t, char *page, struct fl_cell *cell)
{
	unsigned char below = 0xff;
	char text[160];

	fl_trap_store(t, page);
	if (fl_trap_fired(t, page, text)) {
		fl_cell_set(cell, FL_CELL_YES, "in the child: %s", text);
		return;
	}
	fl_cell_set(cell, FL_CELL_NO, "in the child: %s", text);
	if (t->seen.landed && !fl_trap_peek(page, &below, 1) && !below)
		fl_cell_add(cell, ", into a page of zeros");
}

void fl_ask_fork(const struct fl_mechanism *m, const struct fl_property *p,
		 struct fl_cell *cell)
{
	struct pollfd fd = { .events = POLLIN };
	struct fl_trap *t;
	int fds[2];
	char *page;
	pid_t pid;

	(void)p;
	t = fl_trap_small(m, &page, cell);
	if (!t || !fl_trap_prepare(cell, pipe(fds) ? -errno : 0, "pipe"))
		return;
	pid = fork();
	if (pid < 0) {
		fl_cell_unforked(cell, -errno);
		return;
	}
	if (!pid) {
		child_stores(t, page, cell);
		if (write(fds[1], cell, sizeof(*cell)) !=
		    (ssize_t)sizeof(*cell))
			_exit(1);
		_exit(0);
	}
	close(fds[1]);
	fd.fd = fds[0];
	fl_cell_set(cell, FL_CELL_FAILED, "the child did not answer");
	if (poll(&fd, 1, CHILD_MS) == 1 &&
	    read(fds[0], cell, sizeof(*cell)) != (ssize_t)sizeof(*cell))
		fl_cell_set(cell, FL_CELL_FAILED, "the child died");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ---- MADV_DONTNEED ------------------------------------------------------ */

void fl_ask_dontneed(const struct fl_mechanism *m, const struct fl_property *p,
		     struct fl_cell *cell)
{
	const size_t bytes = fl_page_bytes();
	struct fl_trap *t;
	char text[160], *page;
	int err;

	(void)p;
	t = fl_trap_small(m, &page, cell);
	if (!t)
		return;
	/* The page and the one above: a trap that maps alone is the latter. */
	err = madvise(page, 2 * bytes, MADV_DONTNEED) ? -errno : 0;
	if (err == -ENOMEM && m->maps_alone)
		err = 0;
	if (!fl_trap_step(cell, err, "MADV_DONTNEED"))
		return;
	fl_trap_store(t, page);
	fl_cell_set(cell, fl_trap_fired(t, page, text) ? FL_CELL_YES :
							  FL_CELL_NO,
		    "after it: %s", text);
}

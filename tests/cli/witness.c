/* SPDX-License-Identifier: MIT */
/*
 * What `faultline kernel` says of some cells, found out in another way: bare
 * system calls, nothing of vm/, one process that steps into the trap and says how
 * it ended.  Prints "MECHANISM PROPERTY TEXT", as the command's tables have it,
 * for those this kernel has.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#define GUARD_INSTALL	102	/* madvise, Linux 6.13 */
#define USER_MODE_ONLY	1
#define STRIDE		((size_t)2 << 20)
#define NR		16

static size_t page;
static sigjmp_buf back;

static void jump(int sig)
{
	siglongjmp(back, sig);
}

/* The signal that a store to @p raises, or 0. */
static int store(volatile char *p)
{
	int sig = sigsetjmp(back, 1);

	if (!sig)
		*p = 1;
	return sig;
}

static char *map(size_t bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		exit(1);
	madvise(p, bytes, MADV_NOHUGEPAGE);
	return p;
}

/* Lines of /proc/self/maps, or the kilobytes behind VmPTE. */
static long count(const char *file, const char *key)
{
	static char text[1 << 20];
	int fd = open(file, O_RDONLY);
	size_t used = 0;
	long lines = 0;
	ssize_t n;
	char *at;

	while ((n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)n;
	close(fd);
	text[used] = '\0';
	at = key ? strstr(text, key) : NULL;
	if (at)
		return atol(at + strlen(key));
	for (size_t i = 0; i < used; i++)
		lines += text[i] == '\n';
	return lines;
}

static void costs(const char *name, int (*arm)(char *))
{
	char *range = map((NR + 4) * STRIDE);
	char *first = (char *)(((uintptr_t)range + 2 * STRIDE) & ~(STRIDE - 1));
	long vmas, tables;

	range[0] = range[(NR + 4) * STRIDE - 1] = 1;
	vmas = count("/proc/self/maps", NULL);
	tables = count("/proc/self/status", "VmPTE:");
	for (size_t i = 0; i < NR; i++)
		if (arm(first + i * STRIDE + STRIDE / 2))
			return;
	vmas = count("/proc/self/maps", NULL) - vmas;
	tables = count("/proc/self/status", "VmPTE:") - tables;
	printf("%s vmas-per-guard %g\n", name, (double)vmas / NR);
	printf("%s table-bytes-per-guard %g\n", name, tables * 1024.0 / NR);
}

static int prot_none(char *p)
{
	return mprotect(p, page, PROT_NONE);
}

static int guard(char *p)
{
	return madvise(p, page, GUARD_INSTALL);
}

static void says(const char *name, const char *property, int yes)
{
	printf("%s %s %s\n", name, property, yes ? "yes" : "no");
	fflush(stdout);
}

/* What a read into @p, a store by a child, and DONTNEED make of the trap. */
static void uses(const char *name, char *p, int sig)
{
	int zero = open("/dev/zero", O_RDONLY);
	pid_t pid;

	if (read(zero, p, 64) < 0)
		printf("%s read %s\n", name, strerrorname_np(errno));
	else
		says(name, "read", 1);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		says(name, "fork", store(p) == sig);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	madvise(p, page, MADV_DONTNEED);
	says(name, "dontneed", store(p) == sig);
}

static void guards(const char *name, int (*arm)(char *))
{
	char *p = map(4 * page) + page;

	if (arm(p))
		return;
	costs(name, arm);
	uses(name, p, SIGSEGV);
}

static char *registered(uint64_t features, uint64_t mode, int *fd)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	struct uffdio_register reg = { .mode = mode };
	char *p = map(4 * page);

	reg.range.start = (uintptr_t)p;
	reg.range.len = 4 * page;
	*fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | USER_MODE_ONLY);
	if (*fd < 0 || ioctl(*fd, UFFDIO_API, &api) ||
	    ioctl(*fd, UFFDIO_REGISTER, &reg))
		return NULL;
	return p + page;
}

static void uffd(void)
{
	struct uffdio_writeprotect wp = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	int fd;
	char *p = registered(UFFD_FEATURE_SIGBUS, UFFDIO_REGISTER_MODE_MISSING,
			     &fd);

	if (p)
		uses("uffd-sigbus", p, SIGBUS);
	p = registered(UFFD_FEATURE_SIGBUS | UFFD_FEATURE_PAGEFAULT_FLAG_WP,
		       UFFDIO_REGISTER_MODE_WP, &fd);
	if (!p)
		return;
	*p = 1;
	wp.range.start = (uintptr_t)p;
	wp.range.len = page;
	if (!ioctl(fd, UFFDIO_WRITEPROTECT, &wp))
		uses("uffd-wp-bus", p, SIGBUS);
}

int main(void)
{
	page = (size_t)sysconf(_SC_PAGESIZE);
	signal(SIGSEGV, jump);
	signal(SIGBUS, jump);
	guards("prot-none", prot_none);
	guards("madv-guard", guard);
	uffd();
	return 0;
}

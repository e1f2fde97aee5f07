/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "faultline/compat.h"
#include "vm/census.h"
#include "vm/reserve.h"

#define PAGEMAP_PRESENT		(1ull << 63)
#define WINDOW_PAGES		4096u

/*
 * One PAGEMAP_SCAN over the range, in as many calls as the vector needs.
 * Asking for present pages that are not the shared zero page, nor @neither.
 */
static int scan(int fd, const char *base, size_t bytes, uint64_t neither,
		fl_census_run_fn each, void *arg)
{
	struct page_region runs[256];
	struct pm_scan_arg ask = {
		.size = sizeof(ask),
		.start = (uintptr_t)base,
		.end = (uintptr_t)base + bytes,
		.vec = (uintptr_t)runs,
		.vec_len = sizeof(runs) / sizeof(runs[0]),
		.category_inverted = PAGE_IS_PFNZERO | neither,
		.category_mask = PAGE_IS_PRESENT | PAGE_IS_PFNZERO | neither,
		.return_mask = PAGE_IS_PRESENT,
	};

	while (ask.start < ask.end) {
		int n = ioctl(fd, PAGEMAP_SCAN, &ask);

		if (n < 0)
			return errno == ENOTTY || errno == EINVAL ? -ENOTSUP :
								    -errno;
		for (int i = 0; i < n; i++)
			each(arg, (char *)(uintptr_t)runs[i].start,
			     (runs[i].end - runs[i].start) / fl_page_bytes());
		if (ask.walk_end <= ask.start)
			break;
		ask.start = ask.walk_end;
	}
	return 0;
}

static int read_pagemap(int fd, const char *base, size_t bytes,
			fl_census_run_fn each, void *arg)
{
	const size_t page = fl_page_bytes();
	uint64_t entries[WINDOW_PAGES];
	size_t nr = bytes / page, done = 0, run = 0;

	while (done < nr) {
		size_t n = nr - done < WINDOW_PAGES ? nr - done : WINDOW_PAGES;
		off_t at = (off_t)(((uintptr_t)base / page + done) * 8);
		ssize_t got = pread(fd, entries, n * 8, at);

		if (got < 8)
			return got < 0 ? -errno : -EIO;
		n = (size_t)got / 8;
		for (size_t i = 0; i < n; i++) {
			if (entries[i] & PAGEMAP_PRESENT) {
				run++;
			} else if (run) {
				each(arg, (char *)(uintptr_t)base +
				     (done + i - run) * page, run);
				run = 0;
			}
		}
		done += n;
	}
	if (run)
		each(arg, (char *)(uintptr_t)base + (nr - run) * page, run);
	return 0;
}

static int ask_mincore(const char *base, size_t bytes, uint64_t *pages)
{
	const size_t page = fl_page_bytes();
	unsigned char in[WINDOW_PAGES];
	uint64_t count = 0;

	while (bytes) {
		size_t n = bytes / page < WINDOW_PAGES ? bytes / page :
							 WINDOW_PAGES;

		if (mincore((void *)(uintptr_t)base, n * page, in)) {
			/* A hole: look at its pages one by one. */
			if (errno != ENOMEM)
				return -errno;
			for (size_t i = 0; i < n; i++)
				if (mincore((void *)((uintptr_t)base + i * page),
					    page, in + i))
					in[i] = 0;
		}
		for (size_t i = 0; i < n; i++)
			count += in[i] & 1;
		base += n * page;
		bytes -= n * page;
	}
	*pages = count;
	return 0;
}

static void count_run(void *arg, char *base, uint64_t pages)
{
	(void)base;
	*(uint64_t *)arg += pages;
}

int fl_census_open(struct fl_census *census)
{
	uint64_t pages;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	*census = (struct fl_census){ .pagemap = fd, .best = FL_CENSUS_SCAN };
	err = fl_census_pages(census, FL_CENSUS_SCAN,
			      (const char *)((uintptr_t)&pages &
					     ~(fl_page_bytes() - 1)),
			      fl_page_bytes(), &pages);
	if (err)
		census->best = FL_CENSUS_PAGEMAP;
	return 0;
}

void fl_census_close(struct fl_census *census)
{
	if (census->pagemap >= 0)
		close(census->pagemap);
	census->pagemap = -1;
}

int fl_census_pages(const struct fl_census *census,
		    enum fl_census_source source, const char *base,
		    size_t bytes, uint64_t *pages)
{
	uint64_t count = 0;
	int err = -EINVAL;

	switch (source) {
	case FL_CENSUS_SCAN:
		err = scan(census->pagemap, base, bytes, 0, count_run, &count);
		break;
	case FL_CENSUS_PAGEMAP:
		err = read_pagemap(census->pagemap, base, bytes, count_run,
				   &count);
		break;
	case FL_CENSUS_MINCORE:
		err = ask_mincore(base, bytes, &count);
		break;
	}
	if (!err)
		*pages = count;
	return err;
}

int fl_census_runs(const struct fl_census *census, const char *base,
		   size_t bytes, fl_census_run_fn each, void *arg)
{
	if (census->best == FL_CENSUS_SCAN)
		return scan(census->pagemap, base, bytes, 0, each, arg);
	return read_pagemap(census->pagemap, base, bytes, each, arg);
}

int fl_census_anonymous(const struct fl_census *census, const char *base,
			size_t bytes, uint64_t *pages)
{
	uint64_t count = 0;
	int err;

	if (census->best != FL_CENSUS_SCAN)
		return -ENOTSUP;
	err = scan(census->pagemap, base, bytes, PAGE_IS_FILE, count_run,
		   &count);
	if (!err)
		*pages = count;
	return err;
}

/* A file of /proc that is read at once, as text.  0 or -errno. */
static int read_small(const char *path, char *text, size_t bytes)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, bytes - 1);
	close(fd);
	if (n <= 0)
		return -EIO;
	text[n] = '\0';
	return 0;
}

int fl_census_private(uint64_t *pages)
{
	uint64_t size, resident, shared;
	char line[128];
	int err = read_small("/proc/self/statm", line, sizeof(line));

	if (err)
		return err;
	if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64, &size, &resident,
		   &shared) != 3)
		return -EIO;
	*pages = resident > shared ? resident - shared : 0;
	return 0;
}

/* The value in bytes of a "Name:   123 kB" line, or false. */
static int kilobytes(const char *line, const char *name, uint64_t *bytes)
{
	size_t n = strlen(name);
	uint64_t kb;

	if (strncmp(line, name, n) || line[n] != ':' ||
	    sscanf(line + n + 1, "%" SCNu64, &kb) != 1)
		return 0;
	*bytes = kb * 1024;
	return 1;
}

int fl_census_tables(uint64_t *bytes)
{
	static const char name[] = "\nVmPTE";
	char text[4096];
	const char *at;
	int err = read_small("/proc/self/status", text, sizeof(text));

	if (err)
		return err;
	at = strstr(text, name);
	return at && kilobytes(at + 1, name + 1, bytes) ? 0 : -EIO;
}

int fl_census_process(struct fl_process_pages *out)
{
	struct fl_process_pages p = { 0 };
	char line[512];
	FILE *f;

	f = fopen("/proc/self/smaps_rollup", "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		kilobytes(line, "Rss", &p.resident_bytes);
		kilobytes(line, "LazyFree", &p.lazy_free_bytes);
		kilobytes(line, "AnonHugePages", &p.huge_bytes);
	}
	fclose(f);

	f = fopen("/proc/self/status", "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		kilobytes(line, "VmPTE", &p.page_table_bytes);
		kilobytes(line, "RssShmem", &p.shared_bytes);
	}
	fclose(f);

	f = fopen("/proc/self/maps", "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		p.nr_vmas += strchr(line, '\n') != NULL;
	fclose(f);

	*out = p;
	return 0;
}

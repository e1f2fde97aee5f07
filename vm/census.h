/* SPDX-License-Identifier: MIT */
/*
 * vm/census.h: what the kernel says is resident.
 *
 * A page is resident when it costs memory now.  The shared zero page does not
 * count, and neither do swapped pages.  Three sources, each a witness for the
 * others:
 *
 *  scan     PAGEMAP_SCAN (Linux 6.7): one call per range, however large
 *  pagemap  /proc/self/pagemap: 8 bytes read per page of address space; cannot
 *           tell the zero page from others without privilege
 *  mincore  mincore(2): one byte per page; counts the zero page as resident
 *
 * Context: cold; a census object belongs to one thread.
 */
#ifndef FL_VM_CENSUS_H
#define FL_VM_CENSUS_H

#include <stddef.h>
#include <stdint.h>

enum fl_census_source { FL_CENSUS_SCAN, FL_CENSUS_PAGEMAP, FL_CENSUS_MINCORE };

struct fl_census {
	int pagemap;			/* descriptor of /proc/self/pagemap */
	enum fl_census_source best;	/* scan, or pagemap on older kernels */
};

/*
 * fl_census_open: Find the best source.  Returns 0 or -errno (no /proc).
 */
int fl_census_open(struct fl_census *census);
void fl_census_close(struct fl_census *census);

/*
 * fl_census_pages: Count resident pages of [base, base + bytes), whole pages.
 * @source: which witness to ask.
 * @pages:  out.  Unmapped parts count as absent.
 * Returns 0, -ENOTSUP (not on this kernel), or -errno.
 * Cost: scan: resident runs; pagemap and mincore: the size of the range.
 */
int fl_census_pages(const struct fl_census *census,
		    enum fl_census_source source, const char *base,
		    size_t bytes, uint64_t *pages);

/*
 * fl_census_runs: Call @each for every run of resident pages, ascending.
 * Needs FL_CENSUS_SCAN or FL_CENSUS_PAGEMAP; uses census->best of them.
 */
typedef void (*fl_census_run_fn)(void *arg, char *base, uint64_t pages);
int fl_census_runs(const struct fl_census *census, const char *base,
		   size_t bytes, fl_census_run_fn each, void *arg);

/*
 * fl_census_anonymous: Count resident pages of [base, base + bytes), mapped or not,
 * that are of no file; what was written to private mappings of files is of none.
 * Returns 0, -ENOTSUP (needs FL_CENSUS_SCAN), or -errno.
 */
#define FL_CENSUS_END	(((uintptr_t)1 << 47) - 4096)	/* of a program's addresses */
int fl_census_anonymous(const struct fl_census *census, const char *base,
			size_t bytes, uint64_t *pages);

/*
 * fl_census_private: Resident pages of the process that are neither of a file nor
 * shared, without looking at any: by counters that another CPU's pages reach
 * when it has 32 of them, or two for each CPU.
 * Returns 0 or -errno.  Cost: a few microseconds.
 */
int fl_census_private(uint64_t *pages);

/*
 * fl_census_tables: Bytes of the process's page tables, exactly: a page that becomes
 * resident where there was none around needs a table.
 * Returns 0 or -errno.  Cost: some ten microseconds.
 */
int fl_census_tables(uint64_t *bytes);

/* The process as a whole, from /proc/self. */
struct fl_process_pages {
	uint64_t resident_bytes;	/* Rss of smaps_rollup */
	uint64_t lazy_free_bytes;	/* LazyFree */
	uint64_t huge_bytes;		/* AnonHugePages */
	uint64_t page_table_bytes;	/* VmPTE */
	uint64_t shared_bytes;		/* RssShmem */
	uint64_t nr_vmas;		/* lines of maps */
};

/* fl_census_process: Returns 0 or -errno.  Cost: about 0.1 ms per 1,000 VMAs. */
int fl_census_process(struct fl_process_pages *out);

#endif

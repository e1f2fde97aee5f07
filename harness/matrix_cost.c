/* SPDX-License-Identifier: MIT */
/*
 * What guards cost in mappings, in page tables, and in huge pages.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "faultline/compat.h"
#include "harness/matrix_trap.h"
#include "vm/census.h"

#define NR_GUARDS	64u
#define HUGE_BYTES	((size_t)2 << 20)

struct cost {
	double vmas, table_bytes;	/* per guard */
};

/* What NR_GUARDS guards cost, @stride apart in an otherwise empty range. */
static bool measure(const struct fl_mechanism *m, size_t stride,
		    struct cost *out, struct fl_cell *cell)
{
	struct fl_process_pages before, after;
	bool measured = false;
	struct fl_trap *t;
	char *first;
	int err;

	t = fl_trap_open(m, NR_GUARDS * stride + 4 * HUGE_BYTES, FL_OPEN, cell);
	if (!t)
		return false;
	/* Where the lowest level of the page tables has a new part. */
	first = (char *)(((uintptr_t)t->base + 2 * HUGE_BYTES) &
			 ~(HUGE_BYTES - 1));
	/*
	 * The upper levels have parts that serve a gigabyte and more.  They
	 * shall be there before, whatever the range's place.
	 */
	if (!m->maps_alone) {
		t->base[0] = 1;
		t->base[t->bytes - 1] = 1;
	}
	if (!fl_trap_attach(t, cell))
		goto close;
	/* Once in vain: what asking needs shall be there, too. */
	err = fl_census_process(&before);
	if (!err)
		err = fl_census_process(&before);
	if (!fl_trap_prepare(cell, err, "asking for the process's pages"))
		goto close;
	for (size_t i = 0; !err && i < NR_GUARDS; i++)
		err = m->arm(t, first + i * stride + stride / 2);
	if (!fl_trap_step(cell, err, "arming pages"))
		goto close;
	err = fl_census_process(&after);
	if (!fl_trap_prepare(cell, err, "asking for the process's pages"))
		goto close;
	out->vmas = ((double)after.nr_vmas - (double)before.nr_vmas) /
		    NR_GUARDS;
	out->table_bytes = ((double)after.page_table_bytes -
			    (double)before.page_table_bytes) / NR_GUARDS;
	measured = true;
close:
	fl_trap_close(t);
	return measured;
}

void fl_ask_vmas(const struct fl_mechanism *m, const struct fl_property *p,
		 struct fl_cell *cell)
{
	struct cost cost;

	(void)p;
	if (measure(m, HUGE_BYTES, &cost, cell))
		fl_cell_number(cell, cost.vmas,
			       "mappings more for each of %u guards in one range",
			       NR_GUARDS);
}

void fl_ask_tables(const struct fl_mechanism *m, const struct fl_property *p,
		   struct fl_cell *cell)
{
	struct cost far, near;

	(void)p;
	if (measure(m, HUGE_BYTES, &far, cell) &&
	    measure(m, HUGE_BYTES / NR_GUARDS, &near, cell))
		fl_cell_number(cell, far.table_bytes,
			       "bytes of page tables for each of %u guards 2 MiB apart; %g where they are 32 KiB apart",
			       NR_GUARDS, near.table_bytes);
}

/* ---- huge pages --------------------------------------------------------- */

/* Bytes of @from mapped by huge pages, by what smaps calls @name. */
static uint64_t huge_bytes(const char *from, size_t bytes, const char *name)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	const size_t length = strlen(name);
	uint64_t start, end, kb, sum = 0;
	bool there = false;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
			there = start < (uintptr_t)from + bytes &&
				end > (uintptr_t)from;
		else if (there && !strncmp(line, name, length) &&
			 sscanf(line + length, ": %" SCNu64, &kb) == 1)
			sum += kb * 1024;
	}
	if (f)
		fclose(f);
	return sum;
}

/* The setting in brackets in /sys/kernel/mm/transparent_hugepage/@name. */
static void setting(const char *name, char out[64])
{
	char path[128], line[128] = "", *open, *close;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/mm/transparent_hugepage/%s",
		 name);
	f = fopen(path, "re");
	if (f && !fgets(line, sizeof(line), f))
		line[0] = '\0';
	if (f)
		fclose(f);
	open = strchr(line, '[');
	close = open ? strchr(open, ']') : NULL;
	if (close)
		*close = '\0';
	snprintf(out, 64, "%s", close ? open + 1 : "not there");
}

void fl_ask_huge(const struct fl_mechanism *m, const struct fl_property *p,
		 struct fl_cell *cell)
{
	uint64_t before, attached, after;
	const char *name;
	struct fl_trap *t;
	char how[64], *huge, *page;
	bool shared;

	(void)p;
	t = fl_trap_open(m, FL_TRAP_SMALL_BYTES, FL_OPEN, cell);
	if (!t)
		return;
	shared = t->memfd >= 0;
	name = shared ? "ShmemPmdMapped" : "AnonHugePages";
	huge = (char *)(((uintptr_t)t->base + HUGE_BYTES - 1) &
			~(HUGE_BYTES - 1));
	/* A guard of this kind cannot lie within: put it below. */
	page = m->maps_alone ? huge - fl_page_bytes() : huge + HUGE_BYTES / 2;
	if (m->maps_alone && mmap(huge, HUGE_BYTES, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED |
				  MAP_GROWSDOWN, -1, 0) ==
			     MAP_FAILED &&
	    !fl_trap_prepare(cell, -errno, "mapping 2 MiB"))
		return;
	(void)madvise(huge, HUGE_BYTES, MADV_HUGEPAGE);
	memset(huge, FL_TRAP_FILL, HUGE_BYTES);
	/* Memory may be in pieces; then the kernel takes its time, or this. */
	if (!huge_bytes(t->base, t->bytes, name))
		(void)madvise(huge, HUGE_BYTES, MADV_COLLAPSE);
	before = huge_bytes(t->base, t->bytes, name);
	if (!before) {
		setting(shared ? "shmem_enabled" : "enabled", how);
		fl_cell_set(cell, FL_CELL_NOT_TRIED,
			    "no huge page was to be had; transparent_hugepage/%s is %s",
			    shared ? "shmem_enabled" : "enabled", how);
		return;
	}
	if (!fl_trap_attach(t, cell))
		return;
	attached = huge_bytes(t->base, t->bytes, name);
	if (m->maps_alone) {
		fl_trap_store(t, page);
		if (!t->seen.landed || t->seen.nr_signals) {
			fl_cell_set(cell, FL_CELL_FAILED, "it did not grow");
			return;
		}
	} else if (!fl_trap_arm(t, page, cell)) {
		return;
	}
	after = huge_bytes(t->base, t->bytes, name);
	fl_cell_set(cell, after < before ? FL_CELL_YES : FL_CELL_NO,
		    "%s: %" PRIu64 " KiB; with the range attached %" PRIu64
		    "; with a page armed %" PRIu64,
		    name, before / 1024, attached / 1024, after / 1024);
}

/* SPDX-License-Identifier: MIT */
/*
 * The mechanisms that are none of userfaultfd's: protection, guard pages, and
 * the stack's own way to grow.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "faultline/compat.h"
#include "harness/matrix_sysctl.h"
#include "harness/matrix_trap.h"
#include "harness/table.h"
#include "vm/guard.h"

static int probe_prot_none(const struct fl_mechanism *m, char *reason,
			   size_t reason_bytes)
{
	(void)reason;
	(void)reason_bytes;
	(void)m;
	return fl_guard_probe(FL_GUARD_PROT_NONE);
}

int fl_prot_none_arm(struct fl_trap *t, char *page)
{
	(void)t;
	return fl_guard_install(page, fl_page_bytes(), FL_GUARD_PROT_NONE);
}

const struct fl_mechanism fl_mech_prot_none = {
	.name = "prot-none", .since = "any Linux",
	.what = "pages without access (mprotect): SIGSEGV",
	.told = FL_TOLD_SIGNAL, .signal = SIGSEGV, .codes = { SEGV_ACCERR },
	.probe = probe_prot_none, .map = fl_trap_map, .arm = fl_prot_none_arm,
};

static int probe_guard(const struct fl_mechanism *m, char *reason,
		       size_t reason_bytes)
{
	(void)reason;
	(void)reason_bytes;
	(void)m;
	return fl_guard_probe(FL_GUARD_MADVISE);
}

static int arm_guard(struct fl_trap *t, char *page)
{
	(void)t;
	return fl_guard_install(page, fl_page_bytes(), FL_GUARD_MADVISE);
}

const struct fl_mechanism fl_mech_madv_guard = {
	.name = "madv-guard", .since = "Linux 6.13",
	.what = "guard pages (MADV_GUARD_INSTALL): SIGSEGV",
	.told = FL_TOLD_SIGNAL, .signal = SIGSEGV, .codes = { SEGV_MAPERR },
	.probe = probe_guard, .map = fl_trap_map, .arm = arm_guard,
};

/* ---- MAP_GROWSDOWN ------------------------------------------------------ */

/* One step of growth; as far as it is tried where memory is accounted strictly. */
#define STEP_BYTES	((size_t)4 << 30)
#define STRICT_BYTES	((size_t)64 << 20)

/*
 * Not MAP_NORESERVE: its growth is accounted all the same, and since the mapping
 * says that it is not, nothing is given back when it goes: Committed_AS of
 * /proc/meminfo then stays too high until the next boot (seen on Linux 6.1 and 6.18).
 */
#define GROWS_FLAGS	(MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN)

static int probe_grows(const struct fl_mechanism *m, char *reason,
		       size_t reason_bytes)
{
	void *p = mmap(NULL, fl_page_bytes(), PROT_READ | PROT_WRITE,
		       GROWS_FLAGS, -1, 0);

	(void)m;
	(void)reason;
	(void)reason_bytes;
	if (p == MAP_FAILED)
		return -errno;
	munmap(p, fl_page_bytes());
	return 0;
}

/* It grows into addresses that nothing is mapped at, so an open range is one
 * that is free. */
static int map_hole(struct fl_trap *t, enum fl_access access)
{
	int err = fl_reserve(t->bytes, FL_CLOSED, &t->base);

	if (!err && access == FL_OPEN)
		fl_release(t->base, t->bytes);
	return err;
}

/* A mapping of one page that ends where @page begins to be wanted. */
static int arm_above(struct fl_trap *t, char *page)
{
	void *p = mmap(page + fl_page_bytes(), fl_page_bytes(),
		       PROT_READ | PROT_WRITE, GROWS_FLAGS | MAP_FIXED, -1, 0);

	(void)t;
	return p == MAP_FAILED ? -errno : 0;
}

/* Is @page in a mapping that grows, and at its lower end? */
static bool has_grown(const char *page)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	bool there = false, grows = false;
	char line[512];

	while (f && !grows && fgets(line, sizeof(line), f)) {
		uint64_t start, end;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
			there = start == (uintptr_t)page;
		else if (there && !strncmp(line, "VmFlags:", 8))
			grows = strstr(line, " gd") != NULL;
	}
	if (f)
		fclose(f);
	return grows;
}

static bool grows_to(struct fl_trap *t, char *page, size_t below)
{
	fl_trap_store_only(t, page - below);
	return t->seen.landed && !t->seen.nr_signals;
}

/*
 * How far below @page it grows.  Where more than memory holds is asked for at
 * once, the default overcommit policy refuses, so it goes step by step, and by
 * smaller ones as long as that helps.
 */
static size_t growth(struct fl_trap *t, char *page, size_t room)
{
	size_t reach = 0;

	for (size_t step = STEP_BYTES; step >= fl_page_bytes(); step /= 2)
		while (reach + step <= room && grows_to(t, page, reach + step))
			reach += step;
	return reach;
}

static const char *limit_text(char text[FL_TEXT_BYTES], rlim_t limit)
{
	return limit == RLIM_INFINITY ? "infinity" :
					fl_text_bytes(text, (double)limit);
}

/* What grows is accounted.  Where accounts are strict others would miss it. */
static bool accounts_are_strict(void)
{
	char policy[FL_SYSCTL_BYTES];

	return !fl_sysctl_read(FL_SYSCTL_OVERCOMMIT, policy) &&
	       !strcmp(policy, "2");
}

static void grow(struct fl_trap *t, char *page, struct fl_cell *cell)
{
	char first[FL_TEXT_BYTES], then[FL_TEXT_BYTES];
	char soft[FL_TEXT_BYTES], hard[FL_TEXT_BYTES];
	const size_t room = (size_t)(page - t->base);
	const size_t most = accounts_are_strict() ? STRICT_BYTES : room;
	const size_t by_default = growth(t, page, most);
	struct rlimit was, limit;
	size_t raised;

	if (getrlimit(RLIMIT_STACK, &was)) {
		fl_trap_prepare(cell, -errno, "asking for RLIMIT_STACK");
		return;
	}
	limit = was;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_STACK, &limit)) {
		fl_trap_prepare(cell, -errno, "raising RLIMIT_STACK");
		return;
	}
	raised = growth(t, page, most);
	fl_cell_set(cell, raised == room ? FL_CELL_YES : FL_CELL_NO,
		    "grows by %s while RLIMIT_STACK is %s, and by %s%s when it is %s",
		    fl_text_bytes(first, (double)by_default),
		    limit_text(soft, was.rlim_cur),
		    fl_text_bytes(then, (double)raised),
		    raised == room ? ", all the room there is," :
		    raised == most ? " (more was not tried: others would miss it)" :
		    "", limit_text(hard, limit.rlim_cur));
	if (raised == room && by_default < room)
		snprintf(cell->word, sizeof(cell->word), "rlimit");
}

const struct fl_mechanism fl_mech_grows_down = {
	.name = "grows-down", .since = "any Linux",
	.what = "the kernel extends the mapping downwards (MAP_GROWSDOWN)",
	.told = FL_TOLD_NOBODY, .probe = probe_grows, .map = map_hole,
	.arm = arm_above, .maps_alone = true, .happened = has_grown,
	.reach = grow,
};

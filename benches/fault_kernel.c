/* SPDX-License-Identifier: MIT */
/*
 * Faults that the kernel resolves by itself: no handler of anybody's runs.
 *
 *  demand_zero  the page was given back just before: the kernel has it at hand
 *  first_touch  this process never had the page.  In a guest it may take one from
 *               the host, at several times the price: some faults, in runs
 *  grows_down   MAP_GROWSDOWN: the mapping grows by a page, which is filled
 *
 * wp_async, which belongs here, is in fault_uffd.c.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "benches/fault_rig.h"
#include "vm/giveback.h"

static int demand_zero_open(struct rig *rig)
{
	return rig_range(rig, ROUND_FAULTS, FL_OPEN);
}

static int demand_zero_arm(struct rig *rig, size_t nr)
{
	(void)nr;
	return fl_giveback_one(rig->base, rig->bytes, FL_GIVE_DONTNEED);
}

const struct mechanism fault_demand_zero = {
	.answer = ANSWER_KERNEL,
	.open = demand_zero_open,
	.arm = demand_zero_arm,
};

/* Everything stays resident, so that nothing is recycled. */
static int first_touch_open(struct rig *rig)
{
	const uint64_t free_pages = (uint64_t)sysconf(_SC_AVPHYS_PAGES);

	if (rig->nr_faults_max > free_pages / 2)
		return -ENOMEM;
	return rig_range(rig, rig->nr_faults_max, FL_OPEN);
}

static int first_touch_arm(struct rig *rig, size_t nr)
{
	rig->top -= rig->nr_armed * rig->stride;
	rig->nr_armed = nr;
	return 0;
}

const struct mechanism fault_first_touch = {
	.answer = ANSWER_KERNEL,
	.open = first_touch_open,
	.arm = first_touch_arm,
};

/*
 * The range is left unmapped but for a page at its top, so that the mapping has
 * room to grow, with the gap that the kernel keeps below it (stack_guard_gap, 256
 * pages unless booted otherwise; it counts only towards accessible neighbours).
 * Nobody maps anything while a round runs.
 */
#define GAP_PAGES	1024u

static int grows_down_open(struct rig *rig)
{
	int err = rig_range(rig, ROUND_FAULTS + GAP_PAGES + 1, FL_CLOSED);

	rig->top -= rig->stride;
	return err;
}

static int grows_down_arm(struct rig *rig, size_t nr)
{
	void *page;

	(void)nr;
	if (munmap(rig->base, rig->bytes))
		return -errno;
	page = mmap(rig->top, rig->stride, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
		    MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1, 0);
	if (page == MAP_FAILED)
		return -errno;
	return madvise(page, rig->stride, MADV_NOHUGEPAGE) ? -errno : 0;
}

const struct mechanism fault_grows_down = {
	.answer = ANSWER_KERNEL,
	.open = grows_down_open,
	.arm = grows_down_arm,
};

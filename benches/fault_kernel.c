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
#include <unistd.h>

#include "benches/fault_rig.h"
#include "vm/giveback.h"
#include "vm/growdown.h"

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

/* The page at the top is there from the beginning: that is what grows. */
static size_t growing_bytes(void)
{
	return (ROUND_FAULTS + 1) * fl_page_bytes();
}

static int grows_down_probe(char *reason, size_t reason_bytes)
{
	return fl_growdown_probe(growing_bytes(), reason, reason_bytes);
}

static int grows_down_open(struct rig *rig)
{
	const size_t page = fl_page_bytes();
	int err = fl_reserve_aside(growing_bytes(), FL_CLOSED, &rig->base);

	if (err)
		return err;
	rig->bytes = growing_bytes();
	rig->top = rig->base + rig->bytes - page;
	rig->stride = page;
	return 0;
}

static int grows_down_arm(struct rig *rig, size_t nr)
{
	(void)nr;
	return fl_growdown_make(rig->base, rig->bytes);
}

const struct mechanism fault_grows_down = {
	.answer = ANSWER_KERNEL,
	.probe = grows_down_probe,
	.open = grows_down_open,
	.arm = grows_down_arm,
};

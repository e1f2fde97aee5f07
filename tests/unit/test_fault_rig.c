/* SPDX-License-Identifier: MIT */
/*
 * The rounds of the bench `fault`: mechanisms that do what they say pass, and one
 * that does not fails with a reason, whichever way it is wrong.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "benches/fault_rig.h"
#include "vm/giveback.h"
#include "vm/guard.h"
#include "vm/place.h"

/* A round and a part of one. */
#define NR_FAULTS	(ROUND_FAULTS + 100u)

static char reason[256];

static int run(const struct mechanism *m, struct tally *tally)
{
	const uint64_t values[] = {
		[MECHANISM] = 0, [RETURN] = RETURN_SIGRETURN,
		[DELIVERY] = DELIVERY_SIGBUS, [WAIT] = FL_UFFD_BLOCK,
		[CPU] = CPU_SAME, [THREADS] = 1,
	};
	const struct fl_bench_args args = {
		.values = values, .nr_ops = NR_FAULTS, .cpu = fl_place_cpu(),
	};
	struct rig rig = {
		.mechanism = m, .args = &args, .nr_faults_max = NR_FAULTS,
	};
	int err;

	*reason = '\0';
	*tally = (struct tally){ 0 };
	assert_int_equal(rig_open(&rig), 0);
	err = rig_rounds(&rig, NR_FAULTS, false, tally, reason, sizeof(reason));
	rig_close(&rig);
	return err;
}

static void assert_fails(const struct mechanism *m, const char *why)
{
	struct tally tally;

	assert_int_equal(run(m, &tally), -EIO);
	if (!strstr(reason, why))
		fail_msg("the reason is: %s", reason);
}

static void test_honest(void **state)
{
	struct tally tally;

	(void)state;
	assert_int_equal(run(&fault_demand_zero, &tally), 0);
	assert_int_equal(tally.signals, 0);
	assert_true(tally.kernel >= NR_FAULTS);
	assert_int_equal(run(&fault_redirect_prot_none, &tally), 0);
	assert_int_equal(tally.signals, NR_FAULTS);
	assert_int_equal(run(&fault_extend_mprotect, &tally), 0);
	assert_int_equal(tally.signals, NR_FAULTS);
	assert_int_equal(tally.served, 0);
	assert_true(tally.ticks > 0);
}

/* The pages are there when the round begins. */
static int fill(struct rig *rig, size_t nr)
{
	(void)nr;
	rig_fill(rig->base, rig->bytes);
	return 0;
}

static void test_nothing_to_resolve(void **state)
{
	struct mechanism m = fault_demand_zero;

	(void)state;
	m.arm = fill;
	assert_fails(&m, "the kernel counted");
}

static int open_two(struct rig *rig, char *page)
{
	const size_t bytes = fl_page_bytes();
	char *base = page == rig->base ? page : page - bytes;

	return fl_protect(base, (size_t)(page + bytes - base), FL_OPEN);
}

static void test_too_few_signals(void **state)
{
	struct mechanism m = fault_extend_mprotect;

	(void)state;
	m.resolve = open_two;
	assert_fails(&m, "signals instead of");
}

static int open_guard(struct rig *rig)
{
	int err = fault_redirect_prot_none.open(rig);

	return err ? err : fl_guard_remove(rig->base, FL_GUARD_BYTES,
					   FL_GUARD_PROT_NONE);
}

static void test_no_guard(void **state)
{
	struct mechanism m = fault_redirect_prot_none;

	(void)state;
	m.open = open_guard;
	assert_fails(&m, "512 faults: 0 signals instead of 512");
}

/* A handler of its own may have redirected, but the guard has a page now. */
static int leak_into_guard(struct rig *rig, size_t nr)
{
	const size_t page = fl_page_bytes();
	int err = fl_guard_remove(rig->base, page, FL_GUARD_PROT_NONE);

	(void)nr;
	if (err)
		return err;
	rig_fill(rig->base, page);
	return fl_guard_install(rig->base, page, FL_GUARD_PROT_NONE);
}

static void test_page_in_guard(void **state)
{
	struct mechanism m = fault_redirect_prot_none;

	(void)state;
	m.arm = leak_into_guard;
	assert_fails(&m, "1 pages are resident after 512 faults that should have made 0 so");
}

static int refuse(struct rig *rig, char *page)
{
	(void)rig;
	(void)page;
	return -EAGAIN;
}

static void test_unresolved(void **state)
{
	struct mechanism m = fault_extend_mprotect;

	(void)state;
	m.resolve = refuse;
	assert_fails(&m, "a fault could not be resolved: ");
}

/* Takes the page before this one away. */
static int open_and_lose(struct rig *rig, char *page)
{
	const size_t bytes = fl_page_bytes();

	if (page + bytes < rig->top)
		fl_giveback_one(page + bytes, bytes, FL_GIVE_DONTNEED);
	return fl_protect(page, bytes, FL_OPEN);
}

static void test_lost_words(void **state)
{
	struct mechanism m = fault_extend_mprotect;

	(void)state;
	m.resolve = open_and_lose;
	assert_fails(&m, "fault 0 stored 0 where it should have stored 1");
}

static int cannot_arm(struct rig *rig, size_t nr)
{
	(void)rig;
	(void)nr;
	return -ENOSPC;
}

static void test_not_armed(void **state)
{
	struct mechanism m = fault_demand_zero;
	struct tally tally;

	(void)state;
	m.arm = cannot_arm;
	assert_int_equal(run(&m, &tally), -ENOSPC);
	assert_non_null(strstr(reason, "could not be made to fault"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_honest),
		cmocka_unit_test(test_nothing_to_resolve),
		cmocka_unit_test(test_too_few_signals),
		cmocka_unit_test(test_no_guard),
		cmocka_unit_test(test_page_in_guard),
		cmocka_unit_test(test_unresolved),
		cmocka_unit_test(test_lost_words),
		cmocka_unit_test(test_not_armed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("fault_rig", tests, NULL, NULL);
}

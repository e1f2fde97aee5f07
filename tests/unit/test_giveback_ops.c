/* SPDX-License-Identifier: MIT */
/*
 * The operations of the bench `giveback`: done to so many pages, each passes its own
 * check for so many, and fails it for more.
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

#include "benches/giveback.h"
#include "vm/place.h"

#define NR_DONE		700u
#define NR_CLAIMED	900u

static char reason[256];

/* Does @op by @method to NR_DONE pages; skips what this kernel has not. */
static void work(struct area *area, const uint64_t *values, const struct op *op)
{
	int err;

	*area = (struct area){ .op = op, .values = values };
	err = area_open(area);
	if (err) {
		print_message("not here: %s\n", strerror(-err));
		skip();
	}
	assert_int_equal(op->prepare(area), 0);
	err = area_batch(area, 0, NR_DONE);
	if (err == -EINVAL && op->advises) {
		area_close(area);
		print_message("this kernel does not know the advice\n");
		skip();
	}
	assert_int_equal(err, 0);
	*reason = '\0';
}

static void check_op(const struct op *op, uint64_t method, uint64_t layout)
{
	const uint64_t values[] = {
		[OP] = 0, [METHOD] = method, [BATCH] = 1, [LAYOUT] = layout,
		[OTHER] = OTHER_NONE,
	};
	struct area area;

	work(&area, values, op);
	assert_int_equal(op->check(&area, NR_DONE, reason, sizeof(reason)), 0);
	/* Once more, after itself. */
	assert_int_equal(op->prepare(&area), 0);
	assert_int_equal(area_batch(&area, 0, NR_DONE), 0);
	assert_int_equal(op->check(&area, NR_DONE, reason, sizeof(reason)), 0);
	area_close(&area);

	work(&area, values, op);
	assert_int_equal(op->check(&area, NR_CLAIMED, reason, sizeof(reason)),
			 -EIO);
	if (!*reason)
		fail_msg("no reason");
	area_close(&area);
}

#define TEST(name)							\
	static void check_##name(void **state)				\
	{								\
		(void)state;						\
		check_op(&giveback_##name, METHOD_LOOP, LAYOUT_CONTIGUOUS); \
		check_op(&giveback_##name, METHOD_RANGE, LAYOUT_CONTIGUOUS); \
		check_op(&giveback_##name, METHOD_LOOP, LAYOUT_SCATTERED); \
	}
OPS(TEST)

/* The other's clock stands still between sections, and its pages are missing in each. */
static void test_faulter(void **state)
{
	struct faulter f = { 0 };
	struct companion other = {
		.kind = COMPANION_WORKS, .work = faulter_work, .argument = &f,
	};
	uint64_t before, nr = 0;

	(void)state;
	assert_int_equal(faulter_open(&f), 0);
	assert_int_equal(companion_start(&other, fl_place_cpu()), 0);
	for (int section = 0; section < 3; section++) {
		before = f.nr_faults;
		assert_int_equal(faulter_begin(&f), 0);
		faulter_end(&f);
		assert_true(f.nr_faults > before);
		assert_true(f.nr_kernel >= f.nr_faults);
		nr = f.nr_faults;
	}
	companion_stop(&other);
	assert_int_equal(f.nr_faults, nr);
	assert_true(f.nr_kept <= nr);
	faulter_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define UNIT(name)	cmocka_unit_test(check_##name),
		OPS(UNIT)
		cmocka_unit_test(test_faulter),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("giveback_ops", tests, NULL, NULL);
}

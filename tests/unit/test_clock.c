/* SPDX-License-Identifier: MIT */
/*
 * The clock: the arithmetic on made-up readings, and of real readings only what
 * must hold however busy the machine is.
 */
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness/clock.h"

#define NR_DELTAS	4096

static uint64_t rng;

static uint64_t next(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

/* Multiples of @step, @noisy_pct of them off by one. */
static uint64_t found_step(uint64_t step, uint64_t least, unsigned int noisy_pct)
{
	uint64_t deltas[NR_DELTAS];

	rng = 88172645463325252u + step;
	for (size_t i = 0; i < NR_DELTAS; i++) {
		deltas[i] = step * (least + next() % 5);
		if (next() % 100 < noisy_pct)
			deltas[i] += next() % 2 ? 1 : (uint64_t)-1;
		/* An interrupt, once in a while. */
		if (next() % 500 == 0)
			deltas[i] += next() % 100000;
	}
	return fl_clock_find_step(deltas, NR_DELTAS);
}

static void test_find_step(void **state)
{
	uint64_t one = 26, many[NR_DELTAS];

	(void)state;
	assert_int_equal(found_step(1, 20, 0), 1);
	assert_int_equal(found_step(2, 10, 0), 2);
	assert_int_equal(found_step(7, 3, 0), 7);
	assert_int_equal(found_step(26, 2, 0), 26);
	assert_int_equal(found_step(26, 1, 10), 26);
	assert_int_equal(found_step(100, 1, 30), 100);
	assert_int_equal(fl_clock_find_step(&one, 1), 26);
	assert_int_equal(fl_clock_find_step(NULL, 0), 1);

	for (size_t i = 0; i < NR_DELTAS; i++)
		many[i] = 500 + next() % 500;
	assert_int_equal(fl_clock_find_step(many, NR_DELTAS), 1);
}

static void test_resolves(void **state)
{
	struct fl_clock clock = { .step_ns = 10, .pair_p50_ns = 20 };

	(void)state;
	assert_true(fl_clock_resolves(&clock, 100));
	assert_false(fl_clock_resolves(&clock, 99));
	clock.pair_p50_ns = 40;
	assert_false(fl_clock_resolves(&clock, 199));
	assert_true(fl_clock_resolves(&clock, 200));
}

static void test_init(void **state)
{
	struct fl_clock clock;
	json_t *json;

	(void)state;
	assert_int_equal(fl_clock_init(&clock), 0);
	assert_true(clock.source == FL_TICKS_TSC ||
		    clock.source == FL_TICKS_MONOTONIC_RAW);
	assert_int_equal(clock.source, fl_ticks_source());
	assert_true(isfinite(clock.ns_per_tick) && clock.ns_per_tick > 0);
	assert_true(clock.uncertainty_ppm >= 0);
	assert_true(clock.step_ticks >= 1);
	assert_true(clock.step_ns > 0 && clock.usual_ns > 0);
	assert_true(clock.pair_p50_ns >= 0);

	json = fl_clock_json(&clock);
	assert_non_null(json);
	assert_string_equal(json_string_value(json_object_get(json, "source")),
			    fl_clock_source_name(clock.source));
	assert_true(json_real_value(json_object_get(json, "ns_per_tick")) ==
		    clock.ns_per_tick);
	json_decref(json);
}

/*
 * An interval of ticks lies inside the raw interval around it and holds the raw
 * interval within it, whatever preempts us; a thousandth is left for the
 * calibration.
 */
static void test_against_raw_time(void **state)
{
	uint64_t outer[2], ticks[2], inner[2];
	struct fl_clock clock;
	double ns;

	(void)state;
	assert_int_equal(fl_clock_init(&clock), 0);
	outer[0] = fl_ticks_raw_ns();
	ticks[0] = fl_clock_ticks();
	inner[0] = fl_ticks_raw_ns();
	while (fl_ticks_raw_ns() - inner[0] < 5000000)
		;
	inner[1] = fl_ticks_raw_ns();
	ticks[1] = fl_clock_ticks();
	outer[1] = fl_ticks_raw_ns();

	ns = fl_clock_ns(&clock, ticks[1] - ticks[0]);
	assert_true(ns <= 1.001 * (double)(outer[1] - outer[0]));
	assert_true(ns >= 0.999 * (double)(inner[1] - inner[0]));
}

/* A calibration goes to another process and back without loss. */
static void test_hand_on(void **state)
{
	static const char *const bad[] = {
		"", "tsc", "tsc:1:2:3:4:5:6:7", "tsc:1:2:3:4:5:6:7:8:9",
		"hpet:1:2:3:4:5:6:7:8", "tsc:0:2:3:4:5:6:7:8",
		"tsc:-1:2:3:4:5:6:7:8", "tsc:nan:2:3:4:5:6:7:8",
		"tsc:1:2:0:4:5:6:7:8", "tsc:1:2:3:4:5:6:7:8 ",
	};
	struct fl_clock clock, read, adopted, other;
	char text[FL_CLOCK_TEXT_BYTES];

	(void)state;
	assert_int_equal(fl_clock_init(&clock), 0);
	assert_false(clock.handed_on);
	fl_clock_write(&clock, text);
	assert_int_equal(fl_clock_read(text, &read), 0);
	assert_true(read.ns_per_tick == clock.ns_per_tick);
	assert_true(read.step_ns == clock.step_ns);
	assert_true(read.pair_p50_ns == clock.pair_p50_ns);
	assert_int_equal(read.start.ticks, clock.start.ticks);
	assert_int_equal(read.start.raw_ns, clock.start.raw_ns);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(fl_clock_read(bad[i], &other), -EINVAL);

	assert_int_equal(fl_clock_adopt(&read, &adopted), 0);
	assert_true(adopted.handed_on);
	assert_true(adopted.ns_per_tick == clock.ns_per_tick);

	/* Another machine's rate; a reboot; a counter that jumped by 1 s. */
	other = read;
	other.ns_per_tick *= 1.001;
	/* Of the whole time since boot, so that widths do not matter. */
	other.start.ticks = 0;
	other.start.raw_ns -= (uint64_t)fl_clock_ns(&read, read.start.ticks);
	assert_int_equal(fl_clock_adopt(&other, &adopted), -ESTALE);
	other = read;
	other.start.ticks += UINT64_MAX / 4;
	assert_int_equal(fl_clock_adopt(&other, &adopted), -ESTALE);
	other = read;
	other.start.raw_ns -= 1000000000;
	assert_int_equal(fl_clock_adopt(&other, &adopted), -ESTALE);
}

static void test_never_backwards(void **state)
{
	uint64_t last = fl_ticks();

	(void)state;
	for (int i = 0; i < 100000; i++) {
		uint64_t now = fl_ticks();

		assert_true(now >= last);
		last = now;
	}
}

static void test_drift(void **state)
{
	struct fl_clock_drift drift;
	struct fl_clock clock;

	(void)state;
	assert_int_equal(fl_clock_init(&clock), 0);
	assert_int_equal(fl_clock_drift(&clock, &drift), 0);
	assert_true(drift.elapsed_ns >= 20e6);
	assert_true(isfinite(drift.rate_ppm) && isfinite(drift.offset_ppm));

	/* A clock that had been calibrated one per cent wrong shows. */
	clock.ns_per_tick *= 1.01;
	assert_int_equal(fl_clock_drift(&clock, &drift), 0);
	assert_true(drift.rate_ppm < -5000 && drift.offset_ppm < -5000);

	/* And so does one that jumped back. */
	clock.start.ticks = fl_ticks() + (UINT64_C(1) << 40);
	assert_int_equal(fl_clock_drift(&clock, &drift), -EIO);
}

/* Differences are only defined on one CPU. */
static int pin(void **state)
{
	cpu_set_t one;
	int cpu = sched_getcpu();

	(void)state;
	if (cpu < 0)
		return 0;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find_step),
		cmocka_unit_test(test_resolves),
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_against_raw_time),
		cmocka_unit_test(test_hand_on),
		cmocka_unit_test(test_never_backwards),
		cmocka_unit_test(test_drift),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("clock", tests, pin, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The counters: what is there moves by at least what we do, and what is not
 * there says why.  No test needs a particular host; one needs root to give it
 * up.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/counters.h"

/* Many more than the tools that tests run under take for themselves. */
#define NR_PAGES	1024

static const enum fl_counter fault_counters[] = {
	FL_COUNTER_minor_faults, FL_COUNTER_perf_page_faults,
	FL_COUNTER_perf_minor_faults,
};

#define NR_FAULT_COUNTERS (sizeof(fault_counters) / sizeof(fault_counters[0]))

/*
 * Takes NR_PAGES minor faults.  ThreadSanitizer writes each store down in memory
 * that faults, too.
 */
__attribute__((no_sanitize("thread")))
static void *touch_pages(void *unused)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = NR_PAGES * page_bytes;
	char *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)unused;
	assert_true(pages != MAP_FAILED);
	madvise(pages, bytes, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < NR_PAGES; i++)
		((volatile char *)pages)[i * page_bytes] = 1;
	munmap(pages, bytes);
	return NULL;
}

static void check_all(const struct fl_counts *counts)
{
	for (int id = 0; id < FL_NR_COUNTERS; id++) {
		const struct fl_count *count = &counts->count[id];

		if (count->have) {
			assert_string_equal(count->reason, "");
			assert_true(count->running_share > 0 &&
				    count->running_share <= 1);
		} else {
			assert_true(strlen(count->reason) > 0);
			assert_null(strchr(count->reason, '\n'));
		}
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(fl_counter_name(FL_COUNTER_minor_faults),
			    "minor_faults");
	for (int id = 0; id < FL_NR_COUNTERS; id++) {
		assert_true(strlen(fl_counter_name(id)) > 0);
		assert_true(strlen(fl_counter_definition(id)) > 0);
		for (int other = 0; other < id; other++)
			assert_string_not_equal(fl_counter_name(id),
						fl_counter_name(other));
	}
}

static void test_faults(void **state)
{
	struct fl_counters *counters;
	struct fl_counts counts;

	(void)state;
	assert_int_equal(fl_counters_open(&counters, FL_COUNT_THREAD, 0), 0);
	for (int round = 0; round < 3; round++) {
		fl_counters_start(counters);
		touch_pages(NULL);
		fl_counters_stop(counters, &counts);
		check_all(&counts);
		assert_true(counts.count[FL_COUNTER_minor_faults].have);
		for (size_t i = 0; i < NR_FAULT_COUNTERS; i++) {
			const struct fl_count *count =
				&counts.count[fault_counters[i]];

			/* Not cumulative over the rounds, either. */
			if (count->have)
				assert_in_range(count->value, NR_PAGES,
						2 * NR_PAGES - 1);
		}
	}
	fl_counters_close(counters);
}

static void test_switches(void **state)
{
	struct timespec a_while = { .tv_nsec = 1000000 };
	struct fl_counters *counters;
	struct fl_counts counts;

	(void)state;
	assert_int_equal(fl_counters_open(&counters, FL_COUNT_THREAD, -1), 0);
	fl_counters_start(counters);
	for (int i = 0; i < 3; i++)
		nanosleep(&a_while, NULL);
	fl_counters_stop(counters, &counts);
	check_all(&counts);
	assert_true(counts.count[FL_COUNTER_voluntary_switches].value >= 3);
	if (counts.count[FL_COUNTER_perf_switches].have)
		assert_true(counts.count[FL_COUNTER_perf_switches].value >= 3);
	fl_counters_close(counters);
}

/* A helper thread's faults belong to the process and not to this thread. */
static void test_scope(void **state)
{
	enum fl_counters_scope scope;
	struct fl_counters *counters;
	struct fl_counts counts;

	(void)state;
	for (scope = FL_COUNT_THREAD; scope <= FL_COUNT_PROCESS; scope++) {
		pthread_t thread;

		assert_int_equal(fl_counters_open(&counters, scope, -1), 0);
		fl_counters_start(counters);
		assert_int_equal(pthread_create(&thread, NULL, touch_pages,
						NULL), 0);
		pthread_join(thread, NULL);
		fl_counters_stop(counters, &counts);
		check_all(&counts);
		for (size_t i = 0; i < NR_FAULT_COUNTERS; i++) {
			const struct fl_count *count =
				&counts.count[fault_counters[i]];

			if (!count->have)
				continue;
			if (scope == FL_COUNT_PROCESS)
				assert_true(count->value >= NR_PAGES);
			else
				assert_true(count->value < NR_PAGES);
		}
		fl_counters_close(counters);
	}
}

static void test_steal(void **state)
{
	struct fl_counters *counters;
	struct fl_counts counts;

	(void)state;
	assert_int_equal(fl_counters_open(&counters, FL_COUNT_THREAD, -1), 0);
	fl_counters_start(counters);
	fl_counters_stop(counters, &counts);
	assert_false(counts.count[FL_COUNTER_steal_ms].have);
	assert_non_null(strstr(counts.count[FL_COUNTER_steal_ms].reason,
			       "not pinned"));
	fl_counters_close(counters);

	/* No machine has this one. */
	assert_int_equal(fl_counters_open(&counters, FL_COUNT_THREAD, 999999), 0);
	fl_counters_start(counters);
	fl_counters_stop(counters, &counts);
	assert_false(counts.count[FL_COUNTER_steal_ms].have);
	fl_counters_close(counters);

	assert_int_equal(fl_counters_open(&counters, FL_COUNT_THREAD,
					  sched_getcpu()), 0);
	fl_counters_start(counters);
	fl_counters_stop(counters, &counts);
	check_all(&counts);
	if (counts.count[FL_COUNTER_steal_ms].have)
		assert_true(counts.count[FL_COUNTER_steal_ms].value % 10 == 0 ||
			    sysconf(_SC_CLK_TCK) != 100);
	fl_counters_close(counters);
}

static void test_json(void **state)
{
	struct fl_counts counts;
	json_t *json, *reasons;

	(void)state;
	memset(&counts, 0, sizeof(counts));
	for (int id = 0; id < FL_NR_COUNTERS; id++) {
		counts.count[id].have = id % 2;
		counts.count[id].value = (uint64_t)id;
		counts.count[id].running_share = 1;
		if (!counts.count[id].have)
			strcpy(counts.count[id].reason, "no such thing");
	}
	counts.count[1].running_share = 0.5;
	counts.count[3].user_only = true;
	json = fl_counts_json(&counts);
	assert_non_null(json);
	reasons = json_object_get(json, "reasons");
	for (int id = 0; id < FL_NR_COUNTERS; id++) {
		const char *name = fl_counter_name(id);
		json_t *value = json_object_get(json, name);

		assert_non_null(value);
		if (id % 2) {
			assert_int_equal(json_integer_value(value), id);
			assert_null(json_object_get(reasons, name));
		} else {
			assert_true(json_is_null(value));
			assert_string_equal(json_string_value(
				json_object_get(reasons, name)), "no such thing");
		}
	}
	assert_int_equal(json_array_size(json_object_get(json, "user_only")), 1);
	assert_int_equal(json_object_size(json_object_get(json,
							  "running_share")), 1);
	json_decref(json);
}

/*
 * Without privileges the kernel may refuse to count what it does itself.  Then
 * switches and migrations must be refused too, and not read 0.
 * Exit status: 0 right, 1 wrong.
 */
static int unprivileged(void)
{
	struct timespec a_while = { .tv_nsec = 1000000 };
	struct fl_counters *counters;
	const struct fl_count *count;
	struct fl_counts counts;

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534) ||
	    fl_counters_open(&counters, FL_COUNT_THREAD, -1))
		return 1;
	fl_counters_start(counters);
	nanosleep(&a_while, NULL);
	fl_counters_stop(counters, &counts);
	fl_counters_close(counters);
	count = &counts.count[FL_COUNTER_perf_switches];
	if (count->have && (count->user_only || !count->value))
		return 1;
	return !count->have && !strlen(count->reason);
}

static void test_unprivileged(void **state)
{
	int status;
	pid_t child;

	(void)state;
	if (geteuid()) {
		print_message("needs root to give it up\n");
		skip();
	}
	child = fork();
	assert_true(child >= 0);
	if (!child)
		_exit(unprivileged());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_close_nothing(void **state)
{
	(void)state;
	fl_counters_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_switches),
		cmocka_unit_test(test_scope),
		cmocka_unit_test(test_steal),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_unprivileged),
		cmocka_unit_test(test_close_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}

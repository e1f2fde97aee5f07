/* SPDX-License-Identifier: MIT */
/*
 * Placement: what the process may use, where a thread is, where memory is to
 * come from.  Holds with one CPU and one node, too.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "vm/place.h"

#define NR_CPUS_MAX	CPU_SETSIZE

/* linux/mempolicy.h: the policy of the pages at an address. */
#define POLICY_OF_ADDRESS	2
#define POLICY_BIND		2

static int cpus[NR_CPUS_MAX], nr_cpus;

static void assert_allowed(int cpu)
{
	for (int i = 0; i < nr_cpus; i++)
		if (cpus[i] == cpu)
			return;
	fail_msg("CPU %d is none of ours", cpu);
}

/* What the kernel says before any thread is pinned. */
static void find_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET((size_t)cpu, &set))
			cpus[nr_cpus++] = cpu;
}

static void test_cpus(void **state)
{
	int found[NR_CPUS_MAX], few[2] = { -7, -7 };

	(void)state;
	assert_int_equal(fl_place_cpus(found, NR_CPUS_MAX), nr_cpus);
	assert_memory_equal(found, cpus, (size_t)nr_cpus * sizeof(*cpus));

	/* No more than there is room for. */
	assert_int_equal(fl_place_cpus(few, 1), nr_cpus);
	assert_int_equal(few[0], cpus[0]);
	assert_int_equal(few[1], -7);
	assert_int_equal(fl_place_cpus(NULL, 0), nr_cpus);
	assert_allowed(fl_place_cpu());
}

/* A thread of its own, so that the tests' thread stays where it may be. */
static void run_thread(void *(*function)(void *))
{
	int wrong;
	void *result = &wrong;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, function, &wrong), 0);
	pthread_join(thread, &result);
	assert_null(result);
}

static void *pin_everywhere(void *wrong)
{
	for (int i = 0; i < nr_cpus; i++)
		if (fl_place_pin(cpus[i]) || fl_place_cpu() != cpus[i])
			return wrong;
	return NULL;
}

static void *pin_nowhere(void *wrong)
{
	cpu_set_t before, after;

	sched_getaffinity(0, sizeof(before), &before);
	if (fl_place_pin(-1) != -EINVAL || fl_place_pin(CPU_SETSIZE) != -EINVAL)
		return wrong;
	for (long cpu = sysconf(_SC_NPROCESSORS_CONF); cpu < CPU_SETSIZE; cpu++)
		if (fl_place_pin((int)cpu) != -EINVAL)
			return wrong;
	sched_getaffinity(0, sizeof(after), &after);
	return CPU_EQUAL(&before, &after) ? NULL : wrong;
}

/* A thread that was pinned before anybody asked sees what the process has. */
static void *ask_when_pinned(void *wrong)
{
	int found[NR_CPUS_MAX], cpu = cpus[nr_cpus - 1];

	if (fl_place_pin(cpu) || fl_place_cpus(found, NR_CPUS_MAX) != nr_cpus)
		return wrong;
	for (int i = 0; i < nr_cpus; i++)
		if (found[i] != cpus[i])
			return wrong;
	return (fl_place_other(cpu) >= 0) == (nr_cpus > 1) ? NULL : wrong;
}

/* Runs first: nothing has been asked yet. */
static void test_ask_when_pinned(void **state)
{
	(void)state;
	run_thread(ask_when_pinned);
}

static void test_pin(void **state)
{
	(void)state;
	run_thread(pin_everywhere);
	run_thread(pin_nowhere);
}

static void test_other(void **state)
{
	(void)state;
	for (int i = 0; i < nr_cpus; i++) {
		int other = fl_place_other(cpus[i]);

		if (nr_cpus == 1) {
			assert_int_equal(other, -1);
		} else {
			assert_allowed(other);
			assert_int_not_equal(other, cpus[i]);
		}
	}
	/* A CPU that is not ours has all of ours as others. */
	assert_allowed(fl_place_other(-1));
	assert_allowed(fl_place_other(CPU_SETSIZE));
}

static void test_nodes(void **state)
{
	(void)state;
	assert_true(fl_place_nodes() >= 1);
	for (int i = 0; i < nr_cpus; i++)
		assert_in_range(fl_place_node(cpus[i]), 0, fl_place_nodes() - 1);
	assert_int_equal(fl_place_node(-1), 0);
	assert_int_equal(fl_place_node(1 << 20), 0);
}

static void test_memory(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = 16 * page;
	const int node = fl_place_node(cpus[0]);
	unsigned long nodes[1024 / 64] = { 0 };
	int policy = -1, err;
	char *base;

	(void)state;
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(base != MAP_FAILED);
	err = fl_place_memory(base, bytes, node);
	if (err == -ENOTSUP || err == -EPERM) {
		munmap(base, bytes);
		print_message("no NUMA here: %s\n", strerror(-err));
		skip();
	}
	assert_int_equal(err, 0);
	assert_int_equal(syscall(SYS_get_mempolicy, &policy, nodes, 1024ul,
				 base + page, POLICY_OF_ADDRESS), 0);
	assert_int_equal(policy, POLICY_BIND);
	assert_int_equal(nodes[node / 64], 1ul << (node % 64));
	memset(base, 1, bytes);

	assert_int_equal(fl_place_memory(base, bytes, -1), -EINVAL);
	assert_int_equal(fl_place_memory(base, bytes, fl_place_nodes()), -EINVAL);
	assert_int_equal(fl_place_memory(base + 1, bytes, node), -EINVAL);
	munmap(base, bytes);
	assert_int_equal(fl_place_memory(base, bytes, node), -EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ask_when_pinned),
		cmocka_unit_test(test_cpus),
		cmocka_unit_test(test_pin),
		cmocka_unit_test(test_other),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_memory),
	};

	find_cpus();
	if (!nr_cpus)
		return 99;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("place", tests, NULL, NULL);
}

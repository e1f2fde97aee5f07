/* SPDX-License-Identifier: MIT */
/*
 * Spans that a userfaultfd supplies, while the program is sent signals, and in
 * the child of a fork.  What else they promise is conformance's.
 */
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/uffd_touch.h"

#include "faultline/compat.h"
#include "vm/place.h"
#include "vm/uffd_spans.h"

/* As far as a store may reach: the page that it needs can be a step's lowest. */
#define STEP_PAGES	(FL_GUARD_BYTES / page)
#define NR_STEPS	60u
#define SPAN_PAGES	(NR_STEPS * STEP_PAGES)

/* At each reset all pages go, and the region begins anew. */
#define RETURNING(how)	.rewind = true,					\
	.retain = { .when = FL_RETAIN_DEATH, .with = FL_RETAIN_##how }

static const struct fl_site no_sites[1];

static struct fl_uffd_spans *open_or_skip_spans(struct fl_uffd_spans_config c)
{
	const struct fl_open_args args = {
		.region_bytes_max = SPAN_PAGES * page, .object_bytes_max = page,
		.nr_regions_max = 1, .cpu = -1,
	};
	struct fl_heap *heap = NULL;
	char reason[256];

	c.span_bytes = SPAN_PAGES * page;
	c.pool_bytes = 16 * page;
	c.sites = c.sites_end = no_sites;
	if (fl_uffd_spans_probe(&c, reason, sizeof(reason))) {
		print_message("%s\n", reason);
		skip();
	}
	assert_int_equal(fl_uffd_spans_open(&args, &c,
					    sizeof(struct fl_uffd_spans),
					    &heap), 0);
	((struct fl_spans *)heap)->step_bytes = STEP_PAGES * page;
	((struct fl_spans *)heap)->step_bytes_max = STEP_PAGES * page;
	return (struct fl_uffd_spans *)heap;
}

static bool enough;
static volatile unsigned nr_signals;

static void count_signal(int sig)
{
	(void)sig;
	nr_signals++;
}

static void *pelt(void *target)
{
	while (!__atomic_load_n(&enough, __ATOMIC_RELAXED)) {
		pthread_kill(*(pthread_t *)target, SIGUSR1);
		sched_yield();
	}
	return NULL;
}

/*
 * A signal makes the store fault again while it is being resolved, and it may
 * find its page when not all is done.  Each step is one event of the heap all
 * the same, as soon as the store is through; none is declined, and none is lost.
 */
static void pelted(struct fl_uffd_spans_config config)
{
	struct fl_uffd_spans *spans = open_or_skip_spans(config);
	struct fl_heap *heap = (struct fl_heap *)spans;
	struct sigaction action = { .sa_handler = count_signal }, old;
	pthread_t self = pthread_self(), thread;
	struct fl_region *region;
	unsigned nr_hits = 0;

	sigemptyset(&action.sa_mask);
	sigaction(SIGUSR1, &action, &old);
	__atomic_store_n(&enough, false, __ATOMIC_RELAXED);
	nr_signals = 0;
	assert_int_equal(fl_uffd_spans_region_create(heap, &region), 0);
	assert_int_equal(pthread_create(&thread, NULL, pelt, &self), 0);
	for (unsigned round = 0; round < 20 || nr_signals < 2000; round++) {
		volatile char *p = region->cursor.bump;

		/* A step's lowest page is the first to be mapped, or the last. */
		p -= round & 1 ? 1 : STEP_PAGES * page;
		for (unsigned i = 0; i < NR_STEPS; i++) {
			p[-(ptrdiff_t)(i * STEP_PAGES * page)] = (char)i;
			assert_int_equal(heap->events.nr_hits, ++nr_hits);
		}
		for (unsigned i = 0; i < NR_STEPS; i++)
			assert_int_equal(p[-(ptrdiff_t)(i * STEP_PAGES * page)],
					 (char)i);
		assert_int_equal(region->error, 0);
		fl_uffd_spans_region_reset(region);
	}
	__atomic_store_n(&enough, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	sigaction(SIGUSR1, &old, NULL);
	fl_uffd_spans_close(heap);
}

static void test_signals(void **state)
{
	const enum fl_uffd_wait *wait = *state;

	pelted((struct fl_uffd_spans_config){
		.serve = true, .wait = *wait, .cpu = -1, RETURNING(DONTNEED),
	});
	pelted((struct fl_uffd_spans_config){
		.serve = true, .wait = *wait, .cpu = -1, RETURNING(DONTNEED),
		.source = FL_FILL_MOVE,
	});
}

static void test_signals_without_thread(void **state)
{
	(void)state;
	pelted((struct fl_uffd_spans_config){ RETURNING(DONTNEED) });
}

/*
 * The child has its objects, and neither takes from its parent nor gives to it;
 * the parent goes on as if nothing had been.
 */
static void forked(struct fl_uffd_spans_config config)
{
	struct fl_uffd_spans *spans = open_or_skip_spans(config);
	struct fl_heap *heap = (struct fl_heap *)spans;
	struct fl_region *region, *another;
	const size_t step = STEP_PAGES * page;
	char *p;
	pid_t child;
	int status;

	assert_int_equal(fl_uffd_spans_region_create(heap, &region), 0);
	p = region->cursor.bump;
	p[-1] = 1;
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		bool good = p[-1] == 1 && store(p - step - 1) == SIGSEGV &&
			fl_uffd_spans_region_create(heap, &another) == -EOWNERDEAD;

		fl_uffd_spans_region_reset(region);
		fl_uffd_spans_trim(heap);
		fl_uffd_spans_close(heap);
		_exit(!good);
	}
	p[-(ptrdiff_t)step - 1] = 2;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	p[-2 * (ptrdiff_t)step - 1] = 3;
	assert_int_equal(heap->events.nr_hits, 3);
	assert_int_equal(p[-1] + p[-(ptrdiff_t)step - 1], 3);
	fl_uffd_spans_region_reset(region);
	p[-1] = 4;
	assert_int_equal(heap->events.nr_hits, 4);
	fl_uffd_spans_close(heap);
}

static void test_fork(void **state)
{
	const enum fl_uffd_wait *wait = *state;

	forked((struct fl_uffd_spans_config){
		.serve = true, .wait = *wait, .cpu = -1, RETURNING(DONTNEED),
		.source = FL_FILL_MOVE,
	});
}

static void test_fork_without_thread(void **state)
{
	(void)state;
	forked((struct fl_uffd_spans_config){ RETURNING(DONTNEED) });
	forked((struct fl_uffd_spans_config){
		RETURNING(MOVE), .source = FL_FILL_MOVE,
	});
}

/* A page that the program itself gave back is supplied again, and no event. */
static void given_back(struct fl_uffd_spans_config config)
{
	struct fl_uffd_spans *spans = open_or_skip_spans(config);
	struct fl_heap *heap = (struct fl_heap *)spans;
	struct fl_cursor cursor;
	struct fl_region *region;
	char *p;

	assert_int_equal(fl_uffd_spans_region_create(heap, &region), 0);
	p = region->cursor.bump - 16 * page;
	memset(p, 1, 16 * page);
	assert_int_equal(heap->events.nr_hits, 1);
	assert_int_equal(madvise(p, 8 * page, MADV_DONTNEED), 0);
	assert_int_equal(p[3 * page], 0);
	p[4 * page] = 2;
	assert_int_equal(p[4 * page], 2);
	fl_uffd_spans_region_reset(region);
	cursor = fl_uffd_spans_large(region, region->cursor, 16 * page, 8, 77);
	assert_ptr_equal(cursor.bump, p);
	assert_int_equal(*(uint64_t *)(void *)p, 77);
	assert_int_equal(heap->events.nr_hits, 1);
	assert_int_equal(heap->events.nr_refills, 0);
	assert_int_equal(region->error, 0);
	fl_uffd_spans_close(heap);
}

static void test_given_back(void **state)
{
	const enum fl_uffd_wait *wait = *state;

	given_back((struct fl_uffd_spans_config){
		.serve = true, .wait = *wait, .cpu = -1,
	});
}

static void test_given_back_without_thread(void **state)
{
	(void)state;
	given_back((struct fl_uffd_spans_config){ .cpu = -1 });
	given_back((struct fl_uffd_spans_config){ .source = FL_FILL_MOVE });
}

/* The pool is a range of its own, for as long as it has pages. */
static void test_ranges(void **state)
{
	struct fl_uffd_spans *spans = open_or_skip_spans(
		(struct fl_uffd_spans_config){ .source = FL_FILL_MOVE });
	struct fl_heap *heap = (struct fl_heap *)spans;
	const size_t others = fl_blocks_ranges(heap, NULL, 0);
	struct fl_range ranges[16];

	(void)state;
	assert_int_equal(fl_uffd_spans_ranges(heap, NULL, 0), others + 1);
	ranges[others].bytes = 77;
	assert_int_equal(fl_uffd_spans_ranges(heap, ranges, others),
			 others + 1);
	assert_int_equal(ranges[others].bytes, 77);
	assert_int_equal(fl_uffd_spans_ranges(heap, ranges, 16), others + 1);
	assert_int_equal(ranges[others].bytes, 16 * page);
	assert_int_equal(ranges[others].kind, FL_RANGE_POOL);
	assert_int_equal(fl_uffd_spans_trim(heap), 16 * page);
	assert_int_equal(fl_uffd_spans_ranges(heap, ranges, 16), others);
	fl_uffd_spans_close(heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_WAIT(test_signals),
		cmocka_unit_test(test_signals_without_thread),
		EACH_WAIT(test_fork),
		cmocka_unit_test(test_fork_without_thread),
		EACH_WAIT(test_given_back),
		cmocka_unit_test(test_given_back_without_thread),
		cmocka_unit_test(test_ranges),
	};

	page = fl_page_bytes();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("uffd_spans", tests, NULL, NULL);
}

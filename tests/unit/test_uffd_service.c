/* SPDX-License-Identifier: MIT */
/*
 * The thread that resolves faults, once for each way in which it may wait.
 * Skipped where the kernel or a sandbox forbids userfaultfd, or io_uring.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/uffd_touch.h"

#include "faultline/compat.h"
#include "vm/fault.h"
#include "vm/place.h"
#include "vm/uffd_service.h"

#define NR_PAGES	64u

/* A range that a service thread fills, and what that thread has seen. */
struct served {
	struct fl_uffd uffd;
	struct fl_uffd_service service;
	char *base, *from;
	unsigned nr;		/* faults resolved */
	char *declined;		/* the last */
	int cpu;		/* where the thread was */
	cpu_set_t cpus;		/* where it may be */
	bool masked;		/* did it block the program's signals? */
	size_t page_from;	/* faults in pages below are declined */
	sem_t begun, go_on;	/* when slow: resolving, and may finish */
	bool slow;
};

fl_behind_fault
static bool resolve(void *owner, char *address)
{
	struct served *s = owner;
	size_t n = (size_t)(address - s->base) / page;
	sigset_t mask;

	__atomic_store_n(&s->cpu, fl_place_cpu(), __ATOMIC_SEQ_CST);
	sched_getaffinity(0, sizeof(s->cpus), &s->cpus);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	s->masked = sigismember(&mask, SIGUSR1) && sigismember(&mask, SIGALRM);
	if (s->slow) {
		sem_post(&s->begun);
		sem_wait(&s->go_on);
	}
	if (n < s->page_from) {
		s->declined = address;
		return false;
	}
	if (fl_uffd_copy(&s->uffd, s->base + n * page, s->from + n * page, page))
		return false;
	__atomic_add_fetch(&s->nr, 1, __ATOMIC_SEQ_CST);
	return true;
}

/*
 * On the heap: a test that fails leaves its thread behind.
 * @state: the test's; it points to how to wait.
 */
static struct served *serve_or_skip(void **state, int cpu)
{
	const enum fl_uffd_wait *wait = *state;
	struct fl_uffd uffd;
	struct served *s;
	char reason[256];

	open_or_skip(UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_EXACT_ADDRESS, &uffd);
	if (fl_uffd_wait_probe(*wait, reason, sizeof(reason))) {
		print_message("%s\n", reason);
		fl_uffd_close(&uffd);
		skip();
	}
	s = calloc(1, sizeof(*s));
	assert_non_null(s);
	s->uffd = uffd;
	s->cpu = -1;
	sem_init(&s->begun, 0, 0);
	sem_init(&s->go_on, 0, 0);
	s->base = reserve(NR_PAGES, FL_OPEN);
	s->from = new_supply(NR_PAGES);
	assert_int_equal(fl_uffd_register(&s->uffd, s->base, NR_PAGES * page),
			 0);
	assert_int_equal(fl_uffd_serve(&s->service, &s->uffd, *wait, resolve, s,
				       cpu), 0);
	return s;
}

static void end_service(struct served *s)
{
	fl_uffd_close(&s->uffd);
	fl_release(s->base, NR_PAGES * page);
	fl_release(s->from, NR_PAGES * page);
	sem_destroy(&s->begun);
	sem_destroy(&s->go_on);
	free(s);
}

static void test_service(void **state)
{
	struct served *s;
	sigset_t mask;

	s = serve_or_skip(state, -1);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	assert_false(sigismember(&mask, SIGUSR1) || sigismember(&mask, SIGSEGV));
	for (size_t i = NR_PAGES; i-- > 0;) {
		volatile char *p = s->base + i * page + i;

		assert_int_equal(*p, supplied(i));
		*p = 0;
		assert_int_equal(*p, 0);
	}
	fl_uffd_stop(&s->service);
	assert_int_equal(s->nr, NR_PAGES);
	assert_true(s->masked);
	end_service(s);
}

static void test_service_declines(void **state)
{
	struct served *s;

	s = serve_or_skip(state, -1);
	s->page_from = 3;
	for (size_t i = 0; i < NR_PAGES; i++) {
		char *p = s->base + i * page + 123;
		int signal = touch(p);

		if (i >= 3) {
			assert_int_equal(signal, 0);
			assert_int_equal(*p, supplied(i));
			continue;
		}
		assert_int_equal(signal, SIGSEGV);
		assert_int_equal(caught.code, SEGV_ACCERR);
		assert_ptr_equal(caught.address, p);
		/* Its page stays closed until the heap has heard of it. */
		assert_int_equal(touch(p), SIGSEGV);
		assert_false(fl_uffd_declined(&s->service, p + page));
		assert_true(fl_uffd_declined(&s->service, p));
		assert_false(fl_uffd_declined(&s->service, p));
		assert_true(pthread_equal(caught.thread, pthread_self()));
		assert_ptr_equal(s->declined, p);
	}
	fl_uffd_stop(&s->service);
	assert_int_equal(s->nr, NR_PAGES - 3);
	end_service(s);
}

/* A declined fault goes the way of all others. */
static bool open_by_handler(void *owner, const struct fl_fault *fault)
{
	struct served *s = owner;

	if (fault->signal != SIGSEGV || fault->code != SEGV_ACCERR ||
	    fault->address != s->base + page + 9 ||
	    !fl_uffd_declined(&s->service, fault->address))
		return false;
	return !fl_uffd_copy(&s->uffd, s->base + page, s->from + 9 * page, page);
}

static void test_service_declines_to_watcher(void **state)
{
	struct fl_fault_range range;
	struct served *s;

	s = serve_or_skip(state, -1);
	s->page_from = 3;
	range = (struct fl_fault_range){
		.base = s->base, .bytes = NR_PAGES * page,
		.handle = open_by_handler, .owner = s,
	};
	assert_int_equal(fl_fault_watch(&range), 0);
	assert_int_equal(*(volatile char *)(s->base + page + 9), supplied(9));
	fl_fault_unwatch(&range);
	fl_uffd_stop(&s->service);
	end_service(s);
}

static void test_stop_idle(void **state)
{
	for (int i = 0; i < 20; i++) {
		struct served *s;

		s = serve_or_skip(state, -1);
		if (i & 1)
			assert_int_equal(*(volatile char *)s->base, supplied(0));
		fl_uffd_stop(&s->service);
		assert_int_equal(s->nr, i & 1);
		/* Nobody serves; when the descriptor goes, ordinary memory. */
		fl_uffd_close(&s->uffd);
		assert_int_equal(*(volatile char *)(s->base + page), 0);
		end_service(s);
	}
}

static void *touch_one(void *argument)
{
	struct served *s = argument;

	return (void *)(uintptr_t)(unsigned char)*(volatile char *)s->base;
}

static void *stop(void *argument)
{
	fl_uffd_stop(&((struct served *)argument)->service);
	return NULL;
}

/* Stopped in the middle of a fault: that one is still resolved. */
static void test_stop_resolving(void **state)
{
	for (int i = 0; i < 10; i++) {
		pthread_t toucher, stopper;
		struct served *s;
		void *value;

		s = serve_or_skip(state, -1);
		s->slow = true;
		assert_int_equal(pthread_create(&toucher, NULL, touch_one, s), 0);
		sem_wait(&s->begun);
		assert_int_equal(pthread_create(&stopper, NULL, stop, s), 0);
		for (int k = 0; k < i; k++)
			sched_yield();
		sem_post(&s->go_on);
		pthread_join(stopper, NULL);
		pthread_join(toucher, &value);
		assert_int_equal((uintptr_t)value, supplied(0));
		assert_int_equal(s->nr, 1);
		end_service(s);
	}
}

static void *touch_all(void *argument)
{
	struct served *s = argument;

	for (size_t i = 0; i < NR_PAGES; i++) {
		char value = *(volatile char *)(s->base + i * page);

		if (value && value != supplied(i))
			return s;
	}
	return NULL;
}

/* Stopped while faults keep coming: who waits goes on when the fd is closed. */
static void test_stop_busy(void **state)
{
	for (unsigned i = 0; i < 20; i++) {
		pthread_t toucher;
		struct served *s;
		void *wrong;

		s = serve_or_skip(state, -1);
		assert_int_equal(pthread_create(&toucher, NULL, touch_all, s), 0);
		while (__atomic_load_n(&s->nr, __ATOMIC_SEQ_CST) < i)
			sched_yield();
		fl_uffd_stop(&s->service);
		assert_in_range(s->nr, i, NR_PAGES);
		fl_uffd_close(&s->uffd);
		pthread_join(toucher, &wrong);
		assert_null(wrong);
		end_service(s);
	}
}

static void test_service_cpu(void **state)
{
	const enum fl_uffd_wait *wait = *state;
	int cpus[4], nr = fl_place_cpus(cpus, 4);
	struct fl_uffd_service service;
	struct fl_uffd uffd;
	struct served *s;

	for (int i = 0; i < nr && i < 4; i++) {
		s = serve_or_skip(state, cpus[i]);
		for (size_t k = 0; k < 8; k++) {
			assert_int_equal(*(volatile char *)(s->base + k * page),
					 supplied(k));
			assert_int_equal(__atomic_load_n(&s->cpu,
							 __ATOMIC_SEQ_CST),
					 cpus[i]);
		}
		fl_uffd_stop(&s->service);
		end_service(s);
	}

	/* A CPU that no machine has: no thread, and an error. */
	open_or_skip(UFFD_FEATURE_THREAD_ID, &uffd);
	assert_int_equal(fl_uffd_serve(&service, &uffd, *wait, resolve, NULL,
				       1 << 20), -EINVAL);
	fl_uffd_stop(&service);
	fl_uffd_close(&uffd);
}

/* "Anywhere" does not mean: where the thread that asks happens to be pinned. */
static void test_service_anywhere(void **state)
{
	cpu_set_t before, after;
	struct served *s;

	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	assert_int_equal(fl_place_pin(fl_place_cpu()), 0);
	s = serve_or_skip(state, -1);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	assert_int_equal(*(volatile char *)s->base, supplied(0));
	fl_uffd_stop(&s->service);
	after = s->cpus;
	end_service(s);
	assert_true(CPU_EQUAL(&before, &after));
}

/* No thread, no effect; a thread that was stopped is not stopped again. */
static void test_stop_nobody(void **state)
{
	struct fl_uffd_service none = { .uffd = NULL };
	struct served *s;

	fl_uffd_stop(&none);
	fl_uffd_abandon(&none);
	s = serve_or_skip(state, -1);
	assert_int_equal(*(volatile char *)s->base, supplied(0));
	fl_uffd_stop(&s->service);
	fl_uffd_stop(&s->service);
	end_service(s);
}

/*
 * A child that has no thread gives up what it inherited of it, and the parent's
 * goes on, before and after the child's end.
 */
static void test_abandon_in_child(void **state)
{
	struct served *s = serve_or_skip(state, -1);
	int status;
	pid_t child;

	assert_int_equal(*(volatile char *)s->base, supplied(0));
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		fl_uffd_abandon(&s->service);
		fl_uffd_stop(&s->service);
		fl_uffd_close(&s->uffd);
		_exit(s->base[page]);
	}
	assert_int_equal(*(volatile char *)(s->base + page), supplied(1));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(*(volatile char *)(s->base + 2 * page), supplied(2));
	fl_uffd_stop(&s->service);
	assert_int_equal(s->nr, 3);
	end_service(s);
}

static unsigned nr_files(void)
{
	unsigned nr = 0;

	for (int fd = 0; fd < 256; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

/* Neither a probe nor a thread that has ended leaves a descriptor behind. */
static void test_leaves_nothing(void **state)
{
	const enum fl_uffd_wait *wait = *state;
	const unsigned before = nr_files();
	char reason[256];
	struct served *s;

	s = serve_or_skip(state, -1);
	fl_uffd_stop(&s->service);
	end_service(s);
	assert_int_equal(fl_uffd_wait_probe(*wait, reason, sizeof(reason)), 0);
	assert_int_equal(nr_files(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_WAIT(test_service),
		EACH_WAIT(test_service_declines),
		EACH_WAIT(test_service_declines_to_watcher),
		EACH_WAIT(test_stop_idle),
		EACH_WAIT(test_stop_nobody),
		EACH_WAIT(test_stop_resolving),
		EACH_WAIT(test_stop_busy),
		EACH_WAIT(test_service_cpu),
		EACH_WAIT(test_service_anywhere),
		EACH_WAIT(test_abandon_in_child),
		EACH_WAIT(test_leaves_nothing),
	};

	page = fl_page_bytes();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("uffd_service", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Forks: who is called, where and in which order; and that no child, made at any
 * moment, waits for a lock that nobody will give back.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
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

#include "vm/fault.h"
#include "vm/fork.h"
#include "vm/reserve.h"
#include "vm/sanitized.h"

/* Who waits for itself is killed after so long. */
#define PATIENCE_SECONDS	20

/* With every signal blocked, as it may be, SIGALRM would not do. */
static timer_t kill_later(void)
{
	const struct itimerspec later = { .it_value.tv_sec = PATIENCE_SECONDS };
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL,
	};
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    timer_settime(timer, 0, &later, NULL))
		abort();
	return timer;
}

/* What happened, in order: a letter for each hook called, and who it was. */
static char story[64];
static size_t nr_story;

static void tell(char what, void *owner)
{
	story[nr_story++] = what;
	story[nr_story++] = *(const char *)owner;
}

static void before(void *owner) { tell('b', owner); }
static void in_parent(void *owner) { tell('p', owner); }
static void in_child(void *owner) { tell('c', owner); }

static void begin_story(void)
{
	memset(story, 0, sizeof(story));
	nr_story = 0;
}

/* Fork; the child's exit status says whether its story is @childs. */
static void assert_stories(const char *parents, const char *childs)
{
	int status;
	pid_t child;

	begin_story();
	fflush(stdout);
	child = fork();
	assert_true(child >= 0);
	if (!child)
		_exit(strcmp(story, childs) != 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_string_equal(story, parents);
}

static void test_order(void **state)
{
	char name[] = "12";
	struct fl_fork_hook one = {
		.before = before, .parent = in_parent, .child = in_child,
		.owner = &name[0],
	};
	struct fl_fork_hook two = one;
	struct fl_fork_hook silent = { .owner = NULL };

	(void)state;
	two.owner = &name[1];
	assert_int_equal(fl_fork_watch(&one), 0);
	assert_int_equal(fl_fork_watch(&silent), 0);
	assert_int_equal(fl_fork_watch(&two), 0);
	assert_stories("b2b1p1p2", "b2b1c1c2");

	fl_fork_unwatch(&one);
	assert_stories("b2p2", "b2c2");
	/* Once is enough, and so is never. */
	fl_fork_unwatch(&one);
	assert_stories("b2p2", "b2c2");
	assert_int_equal(fl_fork_watch(&one), 0);
	assert_stories("b1b2p2p1", "b1b2c2c1");
	fl_fork_unwatch(&two);
	fl_fork_unwatch(&silent);
	fl_fork_unwatch(&one);
	assert_stories("", "");
}

static sigset_t mask_of_hook;

static void look_at_mask(void *owner)
{
	(void)owner;
	pthread_sigmask(SIG_SETMASK, NULL, &mask_of_hook);
}

static bool same_mask(const sigset_t *a, const sigset_t *b)
{
	for (int sig = 1; sig < NSIG; sig++)
		if (sigismember(a, sig) != sigismember(b, sig))
			return false;
	return true;
}

/* Signals wait while hooks run, and the mask is what it was, on both sides. */
static void test_mask(void **state)
{
	struct fl_fork_hook hook = { .child = look_at_mask };
	sigset_t mask, now;
	int status;
	pid_t child;

	(void)state;
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	assert_int_equal(fl_fork_watch(&hook), 0);
	fflush(stdout);
	child = fork();
	assert_true(child >= 0);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	if (!child)
		_exit(!same_mask(&now, &mask) ||
		      !sigismember(&mask_of_hook, SIGUSR1));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(same_mask(&now, &mask));
	fl_fork_unwatch(&hook);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	assert_true(same_mask(&now, &mask));
	sigemptyset(&mask);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static bool decline(void *owner, const struct fl_fault *fault)
{
	(void)owner;
	(void)fault;
	return false;
}

/* What opening and closing a heap does to the locks. */
static void watch_and_unwatch(char *base)
{
	struct fl_fault_range range = {
		.base = base, .bytes = fl_page_bytes(), .handle = decline,
	};
	struct fl_fork_hook hook = { .owner = NULL };

	if (fl_fault_watch(&range) || fl_fork_watch(&hook))
		abort();
	fl_fork_unwatch(&hook);
	fl_fault_unwatch(&range);
}

static bool enough;

static void *keep_watching(void *base)
{
	while (!__atomic_load_n(&enough, __ATOMIC_RELAXED))
		watch_and_unwatch(base);
	return NULL;
}

/* In a child: true when both locks can be had. */
static void child_locks(char *base)
{
	kill_later();
	watch_and_unwatch(base);
	_exit(0);
}

/* One thread forks while another holds the locks. */
static void test_locks_of_threads(void **state)
{
	char *base;
	pthread_t thread;
	unsigned nr_stuck = 0;

	(void)state;
	assert_int_equal(fl_reserve(2 * fl_page_bytes(), FL_CLOSED, &base), 0);
	__atomic_store_n(&enough, false, __ATOMIC_RELAXED);
	fflush(stdout);
	assert_int_equal(pthread_create(&thread, NULL, keep_watching, base), 0);
	for (int i = 0; i < 200 && !nr_stuck; i++) {
		pid_t child = fork();
		int status = -1;

		if (!child)
			child_locks(base + fl_page_bytes());
		waitpid(child, &status, 0);
		nr_stuck += status != 0;
	}
	__atomic_store_n(&enough, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_int_equal(nr_stuck, 0);
	fl_release(base, 2 * fl_page_bytes());
}

#define NR_CHILDREN	200

static char *volatile handlers_page;
static volatile int nr_children, nr_bad_children;
static timer_t handlers_timer;

/*
 * Once, a while from now: a timer that goes on while a child is made has expired
 * again when the handler returns, and the thread gets nowhere.
 */
static void interrupt_later(void)
{
	const struct itimerspec later = { .it_value.tv_nsec = 300000 };

	timer_settime(handlers_timer, 0, &later, NULL);
}

static void fork_from_handler(int sig)
{
	pid_t child = fork();
	int status = -1;

	(void)sig;
	if (!child)
		child_locks(handlers_page);
	waitpid(child, &status, 0);
	nr_children++;
	nr_bad_children += status != 0;
	interrupt_later();
}

/* A signal handler forks while the thread it interrupted holds the locks. */
static void test_locks_of_handler(void **state)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1,
	};
	struct sigaction action = { .sa_handler = fork_from_handler }, old;
	timer_t last_resort;
	char *base;

	(void)state;
	/* ThreadSanitizer lets no signal handler fork. */
	if (FL_HAVE_TSAN) {
		print_message("ThreadSanitizer does not let a signal handler fork\n");
		skip();
	}
	assert_int_equal(fl_reserve(2 * fl_page_bytes(), FL_CLOSED, &base), 0);
	handlers_page = base + fl_page_bytes();
	nr_children = nr_bad_children = 0;
	fflush(stdout);
	sigemptyset(&action.sa_mask);
	sigaction(SIGUSR1, &action, &old);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &handlers_timer),
			 0);
	last_resort = kill_later();
	interrupt_later();
	while (nr_children < NR_CHILDREN && !nr_bad_children)
		watch_and_unwatch(base);
	timer_delete(handlers_timer);
	timer_delete(last_resort);
	sigaction(SIGUSR1, &old, NULL);
	assert_int_equal(nr_bad_children, 0);
	fl_release(base, 2 * fl_page_bytes());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_mask),
		cmocka_unit_test(test_locks_of_threads),
		cmocka_unit_test(test_locks_of_handler),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

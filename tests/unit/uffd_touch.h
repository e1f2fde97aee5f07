/* SPDX-License-Identifier: MIT */
/*
 * What the tests of userfaultfd share: pages, and the signal that a touch gets.
 */
#ifndef TESTS_UNIT_UFFD_TOUCH_H
#define TESTS_UNIT_UFFD_TOUCH_H

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vm/reserve.h"
#include "vm/uffd_service.h"

static size_t page;		/* main() fills it in */

static inline char *reserve(size_t pages, enum fl_access access)
{
	char *base = NULL;

	assert_int_equal(fl_reserve(pages * page, access, &base), 0);
	return base;
}

static inline char *page_of(char *p)
{
	return p - ((uintptr_t)p & (page - 1));
}

static inline void open_or_skip(uint64_t features, struct fl_uffd *uffd)
{
	int err = fl_uffd_open(features, uffd);

	if (!err)
		return;
	print_message("userfaultfd: %s\n", strerror(-err));
	skip();
}

/* Byte @i of page @n of what the tests supply. */
static inline char supplied(size_t n)
{
	return (char)(n % 100 + 1);
}

static inline char *new_supply(size_t pages)
{
	char *from = reserve(pages, FL_OPEN);

	for (size_t i = 0; i < pages; i++)
		memset(from + i * page, supplied(i), page);
	return from;
}

/* The first fault of a touch, in this thread: a child would have no uffd. */
static struct {
	sigjmp_buf back;
	volatile sig_atomic_t signal, code;
	char *volatile address;
	volatile pthread_t thread;
} caught;

static inline void catch(int sig, siginfo_t *info, void *context)
{
	(void)context;
	caught.signal = sig;
	caught.code = info->si_code;
	caught.address = info->si_addr;
	caught.thread = pthread_self();
	siglongjmp(caught.back, 1);
}

/* The signal that a load or a store gets, or 0. */
static inline int access_signal(char *p, bool store)
{
	const struct sigaction action = {
		.sa_sigaction = catch, .sa_flags = SA_SIGINFO,
	};
	struct sigaction segv, bus;

	caught.signal = 0;
	caught.address = NULL;
	sigaction(SIGSEGV, &action, &segv);
	sigaction(SIGBUS, &action, &bus);
	if (!sigsetjmp(caught.back, 1)) {
		if (store)
			*(volatile char *)p = 1;
		else
			*(volatile char *)p;
	}
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGBUS, &bus, NULL);
	return caught.signal;
}

static inline int touch(char *p)
{
	return access_signal(p, false);
}

static inline int store(char *p)
{
	return access_signal(p, true);
}

/* A test for each way in which a service thread may wait: *state points to it. */
static __attribute__((unused)) enum fl_uffd_wait waits[] = {
	FL_UFFD_BLOCK, FL_UFFD_POLL, FL_UFFD_BUSY, FL_UFFD_RING,
};

#define ONE_WAIT(test, way, text)					\
	{ #test ", " text, test, NULL, NULL, &waits[way] }
#define EACH_WAIT(test)							\
	ONE_WAIT(test, FL_UFFD_BLOCK, "block"),				\
	ONE_WAIT(test, FL_UFFD_POLL, "poll"),				\
	ONE_WAIT(test, FL_UFFD_BUSY, "busy"),				\
	ONE_WAIT(test, FL_UFFD_RING, "io_uring")

#endif

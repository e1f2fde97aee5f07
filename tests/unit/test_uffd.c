/* SPDX-License-Identifier: MIT */
/*
 * userfaultfd: who is told of a missing page, and what is in it afterwards.
 * All of it is skipped where the kernel or a sandbox forbids userfaultfd.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "faultline/compat.h"
#include "vm/fault.h"
#include "vm/place.h"
#include "vm/reserve.h"
#include "vm/uffd.h"

#define NR_PAGES	64u

static size_t page;

static char *reserve(size_t pages, enum fl_access access)
{
	char *base = NULL;

	assert_int_equal(fl_reserve(pages * page, access, &base), 0);
	return base;
}

static char *page_of(char *p)
{
	return p - ((uintptr_t)p & (page - 1));
}

static void open_or_skip(uint64_t features, struct fl_uffd *uffd)
{
	int err = fl_uffd_open(features, uffd);

	if (!err)
		return;
	print_message("userfaultfd: %s\n", strerror(-err));
	skip();
}

/* Byte @i of page @n of what the tests supply. */
static char supplied(size_t n)
{
	return (char)(n % 100 + 1);
}

static char *new_supply(size_t pages)
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

static void catch(int sig, siginfo_t *info, void *context)
{
	(void)context;
	caught.signal = sig;
	caught.code = info->si_code;
	caught.address = info->si_addr;
	caught.thread = pthread_self();
	siglongjmp(caught.back, 1);
}

static bool decline(void *owner, const struct fl_fault *fault)
{
	(void)owner;
	(void)fault;
	return false;
}

/* The watch is what makes a service thread's SIGSEGV look like the kernel's. */
static int touch(char *p)
{
	const struct fl_fault_range range = {
		.base = page_of(p), .bytes = page, .handle = decline,
	};
	const struct sigaction action = {
		.sa_sigaction = catch, .sa_flags = SA_SIGINFO,
	};
	struct sigaction segv, bus;

	caught.signal = 0;
	caught.address = NULL;
	sigaction(SIGSEGV, &action, &segv);
	sigaction(SIGBUS, &action, &bus);
	assert_int_equal(fl_fault_watch(&range), 0);
	if (!sigsetjmp(caught.back, 1))
		*(volatile char *)p;
	fl_fault_unwatch(&range);
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGBUS, &bus, NULL);
	return caught.signal;
}

static void test_open(void **state)
{
	struct fl_uffd uffd = { .fd = -1 };

	(void)state;
	open_or_skip(0, &uffd);
	assert_true(uffd.fd >= 0);
	assert_true(fcntl(uffd.fd, F_GETFD) & FD_CLOEXEC);
	fl_uffd_close(&uffd);
	assert_int_equal(uffd.fd, -1);
	fl_uffd_close(&uffd);

	open_or_skip(UFFD_FEATURE_SIGBUS, &uffd);
	assert_true(uffd.features & UFFD_FEATURE_SIGBUS);
	fl_uffd_close(&uffd);

	/* A feature that no kernel will ever have, and one beside it. */
	uffd.fd = -77;
	assert_int_equal(fl_uffd_open((uint64_t)1 << 63, &uffd), -ENOTSUP);
	assert_int_equal(fl_uffd_open(UFFD_FEATURE_SIGBUS | (uint64_t)1 << 63,
				      &uffd), -ENOTSUP);
	assert_int_equal(uffd.fd, -77);
}

static void test_register(void **state)
{
	char *base = reserve(8, FL_OPEN), *other = reserve(1, FL_OPEN);
	struct fl_uffd first, second;
	char *from = new_supply(1);

	(void)state;
	open_or_skip(UFFD_FEATURE_SIGBUS, &first);
	open_or_skip(UFFD_FEATURE_SIGBUS, &second);
	assert_int_equal(fl_uffd_register(&first, base, 4 * page), 0);
	assert_int_equal(fl_uffd_register(&second, base + 2 * page, 4 * page),
			 -EBUSY);
	assert_int_equal(fl_uffd_register(&second, base + 4 * page, 4 * page),
			 0);
	assert_int_equal(fl_uffd_register(&first, base + 1, page), -EINVAL);
	assert_int_equal(fl_uffd_register(&first, base, 0), -EINVAL);

	assert_int_equal(fl_uffd_copy(&first, other, from, page), -ENOENT);
	assert_int_equal(fl_uffd_zero(&first, other, page), -ENOENT);
	assert_int_equal(fl_uffd_copy(&first, base + 1, from, page), -EINVAL);

	/* What is not registered is ordinary memory; so is all, once closed. */
	assert_int_equal(touch(other), 0);
	assert_int_equal(touch(base + 3 * page), SIGBUS);
	fl_uffd_close(&first);
	assert_int_equal(touch(base + 3 * page), 0);
	assert_int_equal(touch(base + 4 * page), SIGBUS);
	fl_uffd_close(&second);
	fl_release(base, 8 * page);
	fl_release(other, page);
	fl_release(from, page);
}

/* Which pages are there already: bit i for page i. */
static const unsigned patterns[] = {
	0x00, 0x01, 0x80, 0x81, 0x10, 0x18, 0x55, 0xaa, 0x7e, 0xfe, 0x7f, 0xff,
};

/* Missing pages are filled with their own; those that are there are left. */
static void check_fill(bool zero)
{
	const size_t nr = 8;
	char *from = new_supply(nr);
	struct fl_uffd uffd;

	open_or_skip(UFFD_FEATURE_SIGBUS, &uffd);
	for (size_t k = 0; k < sizeof(patterns) / sizeof(*patterns); k++) {
		char *base = reserve(nr + 2, FL_OPEN), *to = base + page;

		for (size_t i = 0; i < nr; i++)
			if (patterns[k] >> i & 1)
				to[i * page] = -1;
		assert_int_equal(fl_uffd_register(&uffd, base, (nr + 2) * page),
				 0);
		assert_int_equal(zero ? fl_uffd_zero(&uffd, to, nr * page) :
				 fl_uffd_copy(&uffd, to, from, nr * page), 0);
		for (size_t i = 0; i < nr; i++) {
			bool there = patterns[k] >> i & 1;
			char want = zero ? 0 : supplied(i);

			assert_int_equal(to[i * page], there ? -1 : want);
			assert_int_equal(to[i * page + page - 1],
					 there ? 0 : want);
			to[i * page] = 3;
		}
		/* No page more on either side. */
		assert_int_equal(touch(base), SIGBUS);
		assert_int_equal(touch(to + nr * page), SIGBUS);

		/* Given back, they are missing again. */
		assert_int_equal(madvise(to, page, MADV_DONTNEED), 0);
		assert_int_equal(touch(to), SIGBUS);
		fl_release(base, (nr + 2) * page);
	}
	fl_uffd_close(&uffd);
	fl_release(from, nr * page);
}

static void test_copy(void **state)
{
	(void)state;
	check_fill(false);
}

static void test_zero(void **state)
{
	(void)state;
	check_fill(true);
}

static void test_copy_from_nowhere(void **state)
{
	char *base = reserve(4, FL_OPEN), *from = reserve(4, FL_OPEN);
	struct fl_uffd uffd;

	(void)state;
	open_or_skip(UFFD_FEATURE_SIGBUS, &uffd);
	assert_int_equal(fl_uffd_register(&uffd, base, 4 * page), 0);
	memset(from, 5, 2 * page);
	assert_int_equal(fl_protect(from + 2 * page, 2 * page, FL_CLOSED), 0);
	assert_int_equal(fl_uffd_copy(&uffd, base, from, 4 * page), -EFAULT);
	/* As far as it went. */
	assert_int_equal(base[page], 5);
	assert_int_equal(touch(base + 2 * page), SIGBUS);
	fl_uffd_close(&uffd);
	fl_release(base, 4 * page);
	fl_release(from, 4 * page);
}

static void test_sigbus(void **state)
{
	char *base = reserve(4, FL_OPEN);
	struct fl_uffd uffd;
	int zeros, status;
	pid_t child;

	(void)state;
	open_or_skip(UFFD_FEATURE_SIGBUS, &uffd);
	assert_int_equal(fl_uffd_register(&uffd, base, 4 * page), 0);
	assert_int_equal(touch(base + 2 * page + 123), SIGBUS);
	assert_ptr_equal(caught.address, base + 2 * page + 123);
	assert_int_equal(caught.code, BUS_ADRERR);

	/* A system call is refused. */
	zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	assert_true(zeros >= 0);
	assert_int_equal(read(zeros, base + page, 16), -1);
	assert_int_equal(errno, EFAULT);
	close(zeros);

	/* A fork child's pages are zero-filled, and nobody is told. */
	child = fork();
	assert_true(child >= 0);
	if (!child)
		_exit(base[page]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(touch(base + page), SIGBUS);
	fl_uffd_close(&uffd);
	fl_release(base, 4 * page);
}

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

/* On the heap: a test that fails leaves its thread behind. */
static struct served *serve_or_skip(int cpu)
{
	struct fl_uffd uffd;
	struct served *s;

	open_or_skip(UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_EXACT_ADDRESS, &uffd);
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
	assert_int_equal(fl_uffd_serve(&s->service, &s->uffd, resolve, s, cpu),
			 0);
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

	(void)state;
	s = serve_or_skip(-1);
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

	(void)state;
	s = serve_or_skip(-1);
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
		assert_int_equal(caught.code, SEGV_MAPERR);
		assert_ptr_equal(caught.address, p);
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

	if (fault->signal != SIGSEGV || fault->code != SEGV_MAPERR ||
	    fault->address != s->base + page + 9)
		return false;
	return !fl_uffd_copy(&s->uffd, s->base + page, s->from + 9 * page, page);
}

static void test_service_declines_to_watcher(void **state)
{
	struct fl_fault_range range;
	struct served *s;

	(void)state;
	s = serve_or_skip(-1);
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
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct served *s;

		s = serve_or_skip(-1);
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

		(void)state;
		s = serve_or_skip(-1);
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
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		pthread_t toucher;
		struct served *s;
		void *wrong;

		s = serve_or_skip(-1);
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
	int cpus[4], nr = fl_place_cpus(cpus, 4);
	struct fl_uffd_service service;
	struct fl_uffd uffd;
	struct served *s;

	(void)state;
	for (int i = 0; i < nr && i < 4; i++) {
		s = serve_or_skip(cpus[i]);
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
	assert_int_equal(fl_uffd_serve(&service, &uffd, resolve, NULL, 1 << 20),
			 -EINVAL);
	fl_uffd_close(&uffd);
}

/* "Anywhere" does not mean: where the thread that asks happens to be pinned. */
static void test_service_anywhere(void **state)
{
	cpu_set_t before, after;
	struct served *s;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	assert_int_equal(fl_place_pin(fl_place_cpu()), 0);
	s = serve_or_skip(-1);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	assert_int_equal(*(volatile char *)s->base, supplied(0));
	fl_uffd_stop(&s->service);
	after = s->cpus;
	end_service(s);
	assert_true(CPU_EQUAL(&before, &after));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_register),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_copy_from_nowhere),
		cmocka_unit_test(test_sigbus),
		cmocka_unit_test(test_service),
		cmocka_unit_test(test_service_declines),
		cmocka_unit_test(test_service_declines_to_watcher),
		cmocka_unit_test(test_stop_idle),
		cmocka_unit_test(test_stop_resolving),
		cmocka_unit_test(test_stop_busy),
		cmocka_unit_test(test_service_cpu),
		cmocka_unit_test(test_service_anywhere),
	};

	page = fl_page_bytes();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("uffd", tests, NULL, NULL);
}

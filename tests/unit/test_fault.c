/* SPDX-License-Identifier: MIT */
/*
 * Fault routing: who is asked, with what, in which order, and what becomes of a
 * fault that nobody answers.  Every case runs in a child of its own, because it
 * changes what the process does about signals, and many are meant to die.
 */
#include <errno.h>
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
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "vm/fault.h"
#include "vm/reserve.h"
#include "vm/sanitized.h"

#define EXIT_SKIP	77

static size_t page;

/* What a child leaves behind for its parent. */
static struct shared {
	unsigned nr_previous, nr_handled, nr_on_top;
	uintptr_t pc;
	char reason[128];
} *shared;

/* For children, in which cmocka's own would return to the parent's tests. */
#define check(condition)						\
	do {								\
		if (!(condition)) {					\
			printf("# line %d: not so: %s\n", __LINE__,	\
			       #condition);				\
			fflush(stdout);					\
			_exit(1);					\
		}							\
	} while (0)

static int run_child(void (*scenario)(void))
{
	const struct rlimit no_core = { 0 };
	int status;
	pid_t child;

	memset(shared, 0, sizeof(*shared));
	fflush(stdout);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		setrlimit(RLIMIT_CORE, &no_core);
		/* A sanitizer has handlers; the cases here start without. */
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		scenario();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void assert_exits(void (*scenario)(void))
{
	int status = run_child(scenario);

	if (WIFSIGNALED(status))
		fail_msg("died of signal %d", WTERMSIG(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void assert_dies(void (*scenario)(void), int sig)
{
	int status = run_child(scenario);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), sig);
}

static char *closed(size_t pages)
{
	char *base = NULL;

	check(!fl_reserve(pages * page, FL_CLOSED, &base));
	return base;
}

/* Handlers run in the middle of it: all else is done before or after. */
static void touch(char *p)
{
	__asm__ volatile("" ::: "memory");
	*(volatile char *)p = 1;
	__asm__ volatile("" ::: "memory");
}

/* A range whose faults are answered by opening the page. */
struct watched {
	struct fl_fault_range range;
	bool declines;
	unsigned nr;
	struct fl_fault last;	/* its context is gone */
	uintptr_t pc;
};

static char *page_of(char *p)
{
	return p - ((uintptr_t)p & (page - 1));
}

static bool open_page(void *owner, const struct fl_fault *fault)
{
	struct watched *w = owner;

	w->nr++;
	w->last = *fault;
	w->pc = fl_fault_pc(fault);
	__atomic_add_fetch(&shared->nr_handled, 1, __ATOMIC_RELAXED);
	return !w->declines &&
	       !fl_protect(page_of(fault->address), page, FL_OPEN);
}

static int watch(struct watched *w, char *base, size_t bytes)
{
	*w = (struct watched){
		.range = {
			.base = base, .bytes = bytes, .handle = open_page,
			.owner = w,
		},
	};
	return fl_fault_watch(&w->range);
}

/* A previous handler that opens the page, and keeps what it was told. */
static struct {
	int signal, code;
	char *address;
	uintptr_t pc;
	sigset_t mask;
	bool declines;
} told;

static void previous_info(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	shared->nr_previous++;
	told.signal = sig;
	told.code = info->si_code;
	told.address = info->si_addr;
	told.pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
	pthread_sigmask(SIG_SETMASK, NULL, &told.mask);
	errno = ENOTTY;
	if (!told.declines && info->si_code > 0)
		fl_protect(page_of(info->si_addr), page, FL_OPEN);
}

static void install(void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = {
		.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags,
	};

	sigaddset(&action.sa_mask, SIGUSR1);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

/* Each range has its own faults, from its first byte to its last. */
static void scenario_routing(void)
{
	struct watched w[5];
	char *base = closed(5 * 8);

	install(previous_info, 0);
	for (size_t i = 0; i < 5; i++)
		check(!watch(&w[i], base + (8 * i + 2) * page, 4 * page));
	for (size_t i = 5; i-- > 0;) {
		char *from = w[i].range.base, *end = from + 4 * page;

		touch(from);
		check(w[i].last.address == from);
		check(w[i].last.signal == SIGSEGV);
		check(w[i].last.code == SEGV_ACCERR);
		touch(end - 1);
		check(w[i].last.address == end - 1);
		check(w[i].nr == 2 && shared->nr_previous == 2 * (4 - i));
		touch(from - 1);
		check(told.address == from - 1);
		touch(end);
		check(told.address == end);
		check(w[i].nr == 2 && shared->nr_previous == 2 * (5 - i));
	}
	check(shared->nr_handled == 10);

	/* One gone, the others stay. */
	fl_fault_unwatch(&w[2].range);
	touch(w[2].range.base + page);
	check(w[2].nr == 2 && shared->nr_previous == 11);
	touch(w[3].range.base + page);
	touch(w[1].range.base + page);
	check(w[3].nr == 3 && w[1].nr == 3);

	/* And back, elsewhere; the caller's range is not looked at again. */
	check(!watch(&w[2], base + 20 * page + page / 2, page));
	touch(base + 20 * page + page / 2);
	check(w[2].nr == 1);
	for (size_t i = 0; i < 5; i++)
		fl_fault_unwatch(&w[i].range);
}

static void test_routing(void **state)
{
	(void)state;
	assert_exits(scenario_routing);
}

static void scenario_overlap(void)
{
	char *base = closed(16);
	struct watched w[2], other;

	check(!watch(&w[0], base + 4 * page, 4 * page));
	check(watch(&other, base + 4 * page, 4 * page) == -EEXIST);
	check(watch(&other, base, 16 * page) == -EEXIST);
	check(watch(&other, base + 5 * page, page) == -EEXIST);
	check(watch(&other, base + page, 3 * page + 1) == -EEXIST);
	check(watch(&other, base + 8 * page - 1, page) == -EEXIST);
	/* Neighbours on both sides. */
	check(!watch(&other, base + 3 * page, page));
	check(!watch(&w[1], base + 8 * page, page));
	touch(base + 8 * page - 1);
	touch(base + 8 * page);
	touch(base + 4 * page - 1);
	check(w[0].nr == 1 && w[1].nr == 1 && other.nr == 1);
	fl_fault_unwatch(&w[0].range);
	check(!watch(&w[0], base + 5 * page, 3 * page));
	/* One that was never watched is nobody's. */
	struct watched never = w[0];

	fl_fault_unwatch(&never.range);
	touch(base + 6 * page);
	check(w[0].nr == 1);
}

static void scenario_full(void)
{
	static struct watched w[FL_FAULT_RANGES_MAX + 1];
	const size_t nr = FL_FAULT_RANGES_MAX;
	char *base = closed(nr + 1);

	for (size_t i = 0; i < nr; i++)
		check(!watch(&w[i], base + i * page, page));
	check(watch(&w[nr], base + nr * page, page) == -ENOSPC);
	for (size_t i = 0; i < nr; i++) {
		touch(base + i * page + i);
		check(w[i].nr == 1);
	}
	fl_fault_unwatch(&w[nr / 2].range);
	check(!watch(&w[nr], base + nr * page, page));
	touch(base + nr * page);
	check(w[nr].nr == 1);
	check(watch(&w[nr / 2], base + nr / 2 * page, page) == -ENOSPC);
}

static void test_limits(void **state)
{
	(void)state;
	assert_exits(scenario_overlap);
	assert_exits(scenario_full);
}

static bool same_action(const struct sigaction *a, const struct sigaction *b)
{
	for (int sig = 1; sig < 32; sig++)
		if (sigismember(&a->sa_mask, sig) != sigismember(&b->sa_mask, sig))
			return false;
	return a->sa_flags == b->sa_flags && a->sa_handler == b->sa_handler;
}

/* A declined fault reaches whoever was there, as the kernel would have it. */
static void declined(int flags)
{
	char *base = closed(4);
	struct watched w;
	sigset_t mask;

	install(previous_info, flags);
	check(!watch(&w, base, 2 * page));
	w.declines = true;
	for (size_t i = 0; i < 4; i++) {
		char *p = base + i * page + 17;

		errno = 123;
		touch(p);
		check(errno == 123);
		check(w.nr == (i < 2 ? i + 1 : 2));
		check(shared->nr_previous == i + 1);
		check(told.signal == SIGSEGV && told.code == SEGV_ACCERR);
		check(told.address == p);
		check(i >= 2 || told.pc == w.pc);
		check(sigismember(&told.mask, SIGUSR1));
		/* ThreadSanitizer calls handlers itself, with every signal blocked. */
		check(FL_HAVE_TSAN || sigismember(&told.mask, SIGSEGV) !=
				   !!(flags & SA_NODEFER));
		pthread_sigmask(SIG_SETMASK, NULL, &mask);
		check(!sigismember(&mask, SIGUSR1));
		check(!sigismember(&mask, SIGSEGV));
	}
	fl_fault_unwatch(&w.range);
}

static void scenario_declined(void) { declined(0); }
static void scenario_declined_nodefer(void) { declined(SA_NODEFER); }

static char *plain_page;

static void previous_plain(int sig)
{
	shared->nr_previous++;
	told.signal = sig;
	fl_protect(plain_page, page, FL_OPEN);
}

static void scenario_declined_plain(void)
{
	struct watched w;

	plain_page = closed(2);
	signal(SIGSEGV, previous_plain);
	check(!watch(&w, plain_page, page));
	w.declines = true;
	touch(plain_page);
	check(w.nr == 1 && shared->nr_previous == 1 && told.signal == SIGSEGV);
	plain_page += page;
	touch(plain_page);
	check(w.nr == 1 && shared->nr_previous == 2);
}

static void test_declined(void **state)
{
	(void)state;
	assert_exits(scenario_declined);
	assert_exits(scenario_declined_nodefer);
	assert_exits(scenario_declined_plain);
}

/* Pages behind the end of a file raise SIGBUS until the file reaches them. */
static char *behind_file(int *fd, size_t pages)
{
	char *base;

	*fd = (int)syscall(SYS_memfd_create, "faultline", 0u);
	check(*fd >= 0);
	base = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_SHARED, *fd,
		    0);
	check(base != MAP_FAILED);
	return base;
}

static int file_of_previous;

static void previous_lengthens(int sig, siginfo_t *info, void *context)
{
	(void)context;
	told.signal = sig;
	told.code = info->si_code;
	told.address = info->si_addr;
	shared->nr_previous++;
	if (ftruncate(file_of_previous, 1 << 20))
		_exit(1);
}

static bool lengthen_one(void *owner, const struct fl_fault *fault)
{
	const int *fd = owner;

	return fault->signal == SIGBUS && fault->code == BUS_ADRERR &&
	       !ftruncate(*fd, (off_t)page);
}

static void scenario_sigbus(void)
{
	int fd;
	char *base = behind_file(&fd, 8);
	const struct fl_fault_range range = {
		.base = base, .bytes = page, .handle = lengthen_one, .owner = &fd,
	};

	file_of_previous = fd;
	install(previous_lengthens, 0);
	check(!fl_fault_watch(&range));
	touch(base + 1);
	check(!shared->nr_previous);
	touch(base + 3 * page + 5);
	check(shared->nr_previous == 1 && told.signal == SIGBUS);
	check(told.code == BUS_ADRERR && told.address == base + 3 * page + 5);
	fl_fault_unwatch(&range);
}

static void scenario_sigbus_dies(void)
{
	struct watched w;
	int fd;
	char *base = behind_file(&fd, 2);

	check(!watch(&w, base, page));
	w.declines = true;
	touch(base);
}

static void test_sigbus(void **state)
{
	(void)state;
	assert_exits(scenario_sigbus);
	assert_dies(scenario_sigbus_dies, SIGBUS);
}

/* Nobody was there before: the default action. */
static void scenario_foreign_dies(void)
{
	struct watched w;
	char *base = closed(2);

	check(!watch(&w, base, page));
	touch(base);
	check(w.nr == 1);
	touch(base + page);
}

static void scenario_declined_dies(void)
{
	struct watched w;
	char *base = closed(2);

	check(!watch(&w, base, page));
	w.declines = true;
	touch(base);
}

/* The kernel does not let a fault be ignored, either. */
static void scenario_ignored_dies(void)
{
	struct watched w;
	char *base = closed(2);

	signal(SIGSEGV, SIG_IGN);
	check(!watch(&w, base, page));
	touch(base + page);
}

/* Not a page at all: the kernel says no address. */
static void scenario_not_canonical_dies(void)
{
	struct watched w;
	char *nowhere;

	/* The address 0 that comes instead is nobody's, whoever watches it. */
	check(!watch(&w, NULL, page));
	__asm__ volatile("" : "=r" (nowhere) : "0" ((uintptr_t)1 << 63));
	__asm__ volatile("movb $1, (%0)" :: "r" (nowhere) : "memory");
}

static void test_default(void **state)
{
	(void)state;
	assert_dies(scenario_foreign_dies, SIGSEGV);
	assert_dies(scenario_declined_dies, SIGSEGV);
	assert_int_equal(shared->nr_handled, 1);
	assert_dies(scenario_ignored_dies, SIGSEGV);
	assert_dies(scenario_not_canonical_dies, SIGSEGV);
	assert_int_equal(shared->nr_handled, 0);
}

/* The pc of the store goes where the parent can read it, before the store. */
static void store_at_known_pc(char *p)
{
	__asm__ volatile("lea 1f(%%rip), %%rcx\n\t"
			 "mov %%rcx, %[pc]\n\t"
			 "1: movb $1, (%[p])"
			 : [pc] "=m" (shared->pc) : [p] "r" (p)
			 : "rcx", "memory");
}

static void scenario_traced(void)
{
	struct watched w;
	char *base = closed(2);

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL)) {
		snprintf(shared->reason, sizeof(shared->reason), "ptrace: %s",
			 strerror(errno));
		_exit(EXIT_SKIP);
	}
	check(!watch(&w, base, 2 * page));
	w.declines = true;
	store_at_known_pc(base + page + 99);
}

/*
 * The core would show the program's own fault: the signal that kills comes from
 * the same instruction, with the same address, as the one that was passed on.
 */
static void test_core_at_the_fault(void **state)
{
	struct user_regs_struct registers = { 0 };
	unsigned nr_faults = 0;
	siginfo_t info = { 0 };
	int status;
	pid_t child;

	(void)state;
	memset(shared, 0, sizeof(*shared));
	fflush(stdout);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		scenario_traced();
		_exit(0);
	}
	while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
		if (WSTOPSIG(status) == SIGSEGV) {
			nr_faults++;
			ptrace(PTRACE_GETREGS, child, NULL, &registers);
			ptrace(PTRACE_GETSIGINFO, child, NULL, &info);
		}
		ptrace(PTRACE_CONT, child, NULL, WSTOPSIG(status));
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP) {
		print_message("%s\n", shared->reason);
		skip();
	}
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	assert_int_equal(nr_faults, 2);
	assert_int_not_equal(shared->pc, 0);
	assert_int_equal(registers.rip, shared->pc);
	assert_int_equal((uintptr_t)info.si_addr % page, 99);
	assert_int_equal(info.si_code, SEGV_ACCERR);
}

/* A signal that was sent is no fault, whatever its siginfo looks like. */
static void send_lookalike(char *address)
{
	siginfo_t info = { 0 };

	info.si_signo = SIGSEGV;
	info.si_code = SI_QUEUE;
	info.si_addr = address;
	check(!syscall(SYS_rt_tgsigqueueinfo, getpid(),
		       (pid_t)syscall(SYS_gettid), SIGSEGV, &info));
}

static void scenario_sent_to_previous(void)
{
	struct watched w;
	char *base = closed(1);

	install(previous_info, 0);
	check(!watch(&w, base, page));
	kill(getpid(), SIGSEGV);
	check(shared->nr_previous == 1 && told.code == SI_USER);
	kill(getpid(), SIGBUS);
	check(shared->nr_previous == 2 && told.signal == SIGBUS);
	send_lookalike(base);
	check(shared->nr_previous == 3 && told.code == SI_QUEUE);
	check(told.address == base);
	check(!w.nr);
	touch(base);
	check(w.nr == 1);
}

static void scenario_sent_and_ignored(void)
{
	struct watched w;
	char *base = closed(1);

	signal(SIGSEGV, SIG_IGN);
	check(!watch(&w, base, page));
	kill(getpid(), SIGSEGV);
	send_lookalike(base);
	touch(base);
	check(w.nr == 1);
}

static void scenario_sent_dies(void)
{
	struct watched w;

	check(!watch(&w, closed(1), page));
	kill(getpid(), SIGSEGV);
}

static void scenario_sent_bus_dies(void)
{
	struct watched w;

	check(!watch(&w, closed(1), page));
	kill(getpid(), SIGBUS);
}

static void scenario_lookalike_dies(void)
{
	struct watched w;
	char *base = closed(1);

	check(!watch(&w, base, page));
	send_lookalike(base);
}

static void test_sent(void **state)
{
	(void)state;
	assert_exits(scenario_sent_to_previous);
	assert_exits(scenario_sent_and_ignored);
	assert_dies(scenario_sent_dies, SIGSEGV);
	assert_dies(scenario_sent_bus_dies, SIGBUS);
	assert_dies(scenario_lookalike_dies, SIGSEGV);
	assert_int_equal(shared->nr_handled, 0);
}

/* What a service thread sends is a fault. */
static void scenario_raised(void)
{
	struct watched w;
	char *base = closed(2);

	install(previous_info, 0);
	check(!watch(&w, base, page));
	fl_fault_raise((int)syscall(SYS_gettid), base + 5);
	check(w.nr == 1 && w.last.address == base + 5);
	check(w.last.signal == SIGSEGV && w.last.code == SEGV_MAPERR);
	fl_fault_raise((int)syscall(SYS_gettid), base + page + 5);
	check(shared->nr_previous == 1 && told.address == base + page + 5);
	check(told.code == SEGV_MAPERR);
}

static void test_raised(void **state)
{
	(void)state;
	assert_exits(scenario_raised);
}

/* The last to unwatch leaves things as the first to watch found them. */
static void scenario_restored(void)
{
	struct sigaction segv = {
		.sa_sigaction = previous_info,
		.sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER,
	};
	struct sigaction bus = { .sa_handler = previous_plain };
	struct sigaction segv_found, bus_found, now;
	char *base = closed(2);
	struct watched w[2];

	sigaddset(&segv.sa_mask, SIGUSR2);
	sigaddset(&bus.sa_mask, SIGALRM);
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGBUS, &bus, NULL);
	sigaction(SIGSEGV, NULL, &segv_found);
	sigaction(SIGBUS, NULL, &bus_found);
	for (int i = 0; i < 3; i++) {
		check(!watch(&w[0], base, page));
		check(!watch(&w[1], base + page, page));
		sigaction(SIGSEGV, NULL, &now);
		check(!same_action(&now, &segv_found));
		check(now.sa_flags & SA_ONSTACK && now.sa_flags & SA_NODEFER);
		fl_fault_unwatch(&w[i & 1].range);
		sigaction(SIGBUS, NULL, &now);
		check(!same_action(&now, &bus_found));
		fl_fault_unwatch(&w[!(i & 1)].range);
		sigaction(SIGSEGV, NULL, &now);
		check(same_action(&now, &segv_found));
		sigaction(SIGBUS, NULL, &now);
		check(same_action(&now, &bus_found));
	}
}

static void test_restored(void **state)
{
	(void)state;
	assert_exits(scenario_restored);
}

/* SA_RESETHAND: once, and the default action is back while it runs. */
static void previous_fixes_nothing(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	shared->nr_previous++;
}

static void scenario_once_dies(void)
{
	struct watched w;
	char *base = closed(2);

	install(previous_fixes_nothing, (int)SA_RESETHAND);
	check(!watch(&w, base, page));
	touch(base + page);
}

static void previous_raises(int sig, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	if (shared->nr_previous++)
		_exit(1);
	raise(sig);
}

static void scenario_once_raises_dies(void)
{
	struct watched w;
	char *base = closed(2);

	install(previous_raises, (int)SA_RESETHAND);
	check(!watch(&w, base, page));
	touch(base + page);
}

static void scenario_once_restored(void)
{
	struct sigaction now;
	char *base = closed(2);
	struct watched w;

	install(previous_info, (int)SA_RESETHAND);
	check(!watch(&w, base, page));
	touch(base + page);
	check(shared->nr_previous == 1);
	fl_fault_unwatch(&w.range);
	sigaction(SIGSEGV, NULL, &now);
	check(now.sa_handler == SIG_DFL);
	sigaction(SIGBUS, NULL, &now);
	check(now.sa_sigaction == previous_info);
}

static void test_once(void **state)
{
	(void)state;
	assert_dies(scenario_once_dies, SIGSEGV);
	assert_int_equal(shared->nr_previous, 1);
	assert_dies(scenario_once_raises_dies, SIGSEGV);
	assert_int_equal(shared->nr_previous, 1);
	assert_exits(scenario_once_restored);
}

/* Somebody who installs a handler on top of ours, and chains to it. */
static struct sigaction found_by_top;

static void on_top(int sig, siginfo_t *info, void *context)
{
	if (++shared->nr_on_top > 1000)
		_exit(1);
	if (found_by_top.sa_flags & SA_SIGINFO)
		found_by_top.sa_sigaction(sig, info, context);
	else
		check(!"who was installed before has SA_SIGINFO");
}

static void put_on_top(void)
{
	const struct sigaction action = {
		.sa_sigaction = on_top, .sa_flags = SA_SIGINFO | SA_NODEFER,
	};

	sigaction(SIGSEGV, &action, &found_by_top);
}

static bool is_on_top(void)
{
	struct sigaction now;

	sigaction(SIGSEGV, NULL, &now);
	return now.sa_sigaction == on_top;
}

static void scenario_on_top(void)
{
	struct watched w;
	char *base = closed(4);

	install(previous_info, 0);
	check(!watch(&w, base, page));
	put_on_top();
	touch(base);
	check(shared->nr_on_top == 1 && w.nr == 1);
	touch(base + page);
	check(shared->nr_on_top == 2 && shared->nr_previous == 1);
	fl_fault_unwatch(&w.range);
	check(is_on_top());
	/* It is still served: its faults go on to who was there first. */
	touch(base + 2 * page);
	check(shared->nr_on_top == 3 && shared->nr_previous == 2);
	/* And when it leaves, too. */
	sigaction(SIGSEGV, &found_by_top, NULL);
	touch(base + 3 * page);
	check(shared->nr_on_top == 3 && shared->nr_previous == 3);
}

static void scenario_on_top_again_dies(void)
{
	struct watched w;
	char *base = closed(2);

	check(!watch(&w, base, page));
	put_on_top();
	fl_fault_unwatch(&w.range);
	check(!watch(&w, base, page));
	touch(base);
	check(w.nr == 1);
	touch(base + page);
}

/* The entry above, between, and below: each is asked once, the first last. */
static void scenario_on_top_again(void)
{
	struct watched w;
	char *base = closed(3);

	install(previous_info, 0);
	check(!watch(&w, base, page));
	put_on_top();
	fl_fault_unwatch(&w.range);
	check(!watch(&w, base, page));
	check(!is_on_top());
	touch(base);
	check(w.nr == 1 && !shared->nr_on_top);
	touch(base + page);
	check(shared->nr_on_top == 1 && shared->nr_previous == 1);
	check(told.address == base + page);
	fl_fault_unwatch(&w.range);
	check(is_on_top());
	touch(base + 2 * page);
	check(shared->nr_on_top == 2 && shared->nr_previous == 2);
}

/* And so on, without end. */
static void scenario_on_top_often(void)
{
	const size_t nr = 50;
	char *base = closed(nr + 1);
	struct watched w;

	install(previous_info, 0);
	check(!watch(&w, base, page));
	for (size_t i = 1; i <= nr; i++) {
		put_on_top();
		fl_fault_unwatch(&w.range);
		check(!watch(&w, base, page));
		shared->nr_on_top = 0;
		touch(base + i * page);
		check(shared->nr_previous == i);
		check(shared->nr_on_top >= 1 && shared->nr_on_top <= i);
	}
	touch(base);
	check(w.nr == 1);
	fl_fault_unwatch(&w.range);
}

static void test_on_top(void **state)
{
	(void)state;
	assert_exits(scenario_on_top);
	assert_exits(scenario_on_top_again);
	assert_exits(scenario_on_top_often);
	assert_dies(scenario_on_top_again_dies, SIGSEGV);
	assert_true(shared->nr_on_top >= 1);
}

/* Handlers may leave without returning, and often from the same place. */
static sigjmp_buf back;

static void previous_jumps(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	shared->nr_previous++;
	told.address = info->si_addr;
	siglongjmp(back, 1);
}

static void scenario_jumps(void)
{
	struct watched w;
	char *base = closed(2);
	volatile unsigned i;

	install(previous_jumps, 0);
	check(!watch(&w, base, page));
	w.declines = true;
	for (i = 0; i < 20; i++) {
		if (!sigsetjmp(back, 1))
			touch(base + (i & 1) * page);
		check(shared->nr_previous == i + 1);
		check(told.address == base + (i & 1) * page);
	}
}

static void test_jumps(void **state)
{
	(void)state;
	assert_exits(scenario_jumps);
}

static bool clobber_errno(void *owner, const struct fl_fault *fault)
{
	bool done = open_page(owner, fault);

	errno = EXDEV;
	return done;
}

static void scenario_errno(void)
{
	struct watched w;
	char *base = closed(2);

	install(previous_info, 0);
	w = (struct watched){
		.range = {
			.base = base, .bytes = page, .handle = clobber_errno,
			.owner = &w,
		},
	};
	check(!fl_fault_watch(&w.range));
	errno = 77;
	touch(base);
	check(errno == 77 && w.nr == 1);
	touch(base + page);
	check(errno == 77 && shared->nr_previous == 1);
}

static void test_errno(void **state)
{
	(void)state;
	assert_exits(scenario_errno);
}

/* A handler that touches something that faults before it answers. */
static char *touched_by_handler;

static bool touch_and_open(void *owner, const struct fl_fault *fault)
{
	touch(touched_by_handler);
	return open_page(owner, fault);
}

static struct watched *watch_nested(char *base)
{
	static struct watched w;

	w = (struct watched){
		.range = {
			.base = base, .bytes = page, .handle = touch_and_open,
			.owner = &w,
		},
	};
	check(!fl_fault_watch(&w.range));
	return &w;
}

static void scenario_nested(void)
{
	char *base = closed(3);
	struct watched *outer, inner;

	install(previous_info, 0);
	outer = watch_nested(base);
	check(!watch(&inner, base + page, page));
	touched_by_handler = base + page;
	touch(base);
	check(outer->nr == 1 && inner.nr == 1 && !shared->nr_previous);

	/* Nobody's: to who was there before, in the middle of the handler. */
	check(!fl_protect(base, page, FL_CLOSED));
	touched_by_handler = base + 2 * page;
	touch(base);
	check(outer->nr == 2 && inner.nr == 1 && shared->nr_previous == 1);
	check(told.address == base + 2 * page);
}

static void scenario_nested_dies(void)
{
	char *base = closed(2);

	watch_nested(base);
	touched_by_handler = base + page;
	touch(base);
}

static void test_nested(void **state)
{
	(void)state;
	if (FL_HAVE_TSAN) {
		print_message("ThreadSanitizer blocks signals in handlers\n");
		skip();
	}
	assert_exits(scenario_nested);
	assert_dies(scenario_nested_dies, SIGSEGV);
	assert_int_equal(shared->nr_handled, 0);
}

/* The entry runs on the alternate stack, if the thread has one. */
static char *alternate;
static bool ran_on_alternate;

static bool look_at_stack(void *owner, const struct fl_fault *fault)
{
	char local;

	ran_on_alternate = &local >= alternate &&
			   &local < alternate + 64 * page;
	return open_page(owner, fault);
}

static void scenario_alternate(void)
{
	stack_t stack = { 0 };
	struct watched w;
	char *base = closed(1);

	check(!fl_reserve(64 * page, FL_OPEN, &alternate));
	stack.ss_sp = alternate;
	stack.ss_size = 64 * page;
	check(!sigaltstack(&stack, NULL));
	w = (struct watched){
		.range = {
			.base = base, .bytes = page, .handle = look_at_stack,
			.owner = &w,
		},
	};
	check(!fl_fault_watch(&w.range));
	touch(base);
	check(w.nr == 1 && ran_on_alternate);
}

static void test_alternate_stack(void **state)
{
	(void)state;
	assert_exits(scenario_alternate);
}

#define NR_THREADS	8
#define THREAD_PAGES	64

static struct watched thread_ranges[NR_THREADS];

static void *fault_in_own_range(void *argument)
{
	struct watched *w = argument;

	for (size_t i = 0; i < THREAD_PAGES; i++)
		touch(w->range.base + i * page + i);
	return NULL;
}

/* Threads fault in ranges of their own, all at once. */
static void scenario_threads(void)
{
	char *base = closed(NR_THREADS * THREAD_PAGES);
	pthread_t threads[NR_THREADS];

	for (size_t i = 0; i < NR_THREADS; i++)
		check(!watch(&thread_ranges[i], base + i * THREAD_PAGES * page,
			     THREAD_PAGES * page));
	for (size_t i = 0; i < NR_THREADS; i++)
		check(!pthread_create(&threads[i], NULL, fault_in_own_range,
				      &thread_ranges[i]));
	for (size_t i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < NR_THREADS; i++) {
		check(thread_ranges[i].nr == THREAD_PAGES);
		fl_fault_unwatch(&thread_ranges[i].range);
	}
}

static void test_threads(void **state)
{
	(void)state;
	assert_exits(scenario_threads);
}

/* A range that is unmapped as soon as it is no longer watched. */
static void watch_and_forget(char *base)
{
	char *gone = NULL;
	struct watched *w;

	check(!fl_reserve(sizeof(*w), FL_OPEN, &gone));
	w = (struct watched *)(void *)gone;
	check(!watch(w, base, page));
	fl_fault_unwatch(&w->range);
	fl_release(gone, sizeof(*w));
}

static unsigned nr_threads_done;

/* Threads look for their own ranges while others' come and go. */
static void *fault_again(void *argument)
{
	struct watched *w = argument;

	for (int i = 0; i < 20; i++) {
		fault_in_own_range(w);
		check(!fl_protect(w->range.base, THREAD_PAGES * page,
				  FL_CLOSED));
	}
	__atomic_add_fetch(&nr_threads_done, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void scenario_ranges_go(void)
{
	char *base = closed(NR_THREADS * THREAD_PAGES + 2);
	char *elsewhere = base + (NR_THREADS * THREAD_PAGES + 1) * page;
	pthread_t threads[NR_THREADS];
	struct watched first;

	/* The slot that is looked at first is the one that changes. */
	check(!watch(&first, elsewhere, page));
	for (size_t i = 0; i < NR_THREADS; i++)
		check(!watch(&thread_ranges[i], base + i * THREAD_PAGES * page,
			     THREAD_PAGES * page));
	fl_fault_unwatch(&first.range);
	for (size_t i = 0; i < NR_THREADS; i++)
		check(!pthread_create(&threads[i], NULL, fault_again,
				      &thread_ranges[i]));
	while (__atomic_load_n(&nr_threads_done, __ATOMIC_SEQ_CST) < NR_THREADS)
		watch_and_forget(elsewhere);
	for (size_t i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* So the entry looks into nobody's own range: another thread may be in it. */
static void scenario_range_closed(void)
{
	char *base = closed(2), *hidden = NULL;
	struct watched w, *other;

	check(!fl_reserve(sizeof(*other), FL_OPEN, &hidden));
	other = (struct watched *)(void *)hidden;
	check(!watch(other, base, page));
	check(!watch(&w, base + page, page));
	check(!fl_protect(hidden, page, FL_CLOSED));
	touch(base + page);
	check(w.nr == 1);
	check(!fl_protect(hidden, page, FL_OPEN));
	touch(base);
	check(other->nr == 1);
}

static void test_ranges_go(void **state)
{
	(void)state;
	assert_exits(scenario_range_closed);
	assert_exits(scenario_ranges_go);
}

/*
 * A site for each register that may hold bump.  rbp may not where it holds the
 * frame: gcc can be told for one function, clang -O0 cannot.
 */
#ifdef __clang__
#define NO_FRAME_POINTER
#else
#define NO_FRAME_POINTER	__attribute__((optimize("omit-frame-pointer")))
#endif

#if defined(__clang__) && !defined(__OPTIMIZE__)
#define FRAME_REGISTER(X)
#else
#define FRAME_REGISTER(X)	X(rbp, 5)
#endif

#define REGISTERS(X)							\
	X(rax, 0) X(rcx, 1) X(rdx, 2) X(rbx, 3) FRAME_REGISTER(X)	\
	X(rsi, 6) X(rdi, 7) X(r8, 8) X(r9, 9) X(r10, 10) X(r11, 11)	\
	X(r12, 12) X(r13, 13) X(r14, 14) X(r15, 15)

#define DEFINE_SITE(name, number)					\
	NO_FRAME_POINTER __attribute__((noinline))			\
	static char *new_##name(char **bump, uint64_t word)		\
	{								\
		register char *b __asm__(#name) = *bump;		\
		char *p;						\
									\
		FL_SITE_ASM(FL_SITE_ENTRY, p, b, 24, 8, word);		\
		*bump = b;						\
		return p;						\
	}

REGISTERS(DEFINE_SITE)

static const struct {
	const char *name;
	unsigned number;
	char *(*new)(char **bump, uint64_t word);
} registers[] = {
#define REGISTER_ROW(name, number)	{ #name, number, new_##name },
	REGISTERS(REGISTER_ROW)
};

#define NR_REGISTERS	(sizeof(registers) / sizeof(*registers))

/* A block above a guard, and where faults of sites are sent instead. */
static struct redirecting {
	struct fl_fault_range range;
	struct fl_sites sites;
	char *block;		/* lowest usable address */
	char *next[4];		/* bumps to continue with, in turn */
	unsigned nr;
	unsigned bump_reg;	/* that the site declared, last */
	uintptr_t bump;		/* what it held, last */
	char *address;
} redirecting;

static bool redirect(void *owner, const struct fl_fault *fault)
{
	struct redirecting *r = owner;
	const struct fl_site_address *site =
		fl_sites_find(&r->sites, fl_fault_pc(fault));

	if (!site || r->nr == 4)
		return false;
	r->bump_reg = site->bump_reg;
	r->bump = fl_fault_register(fault, site->bump_reg);
	r->address = fault->address;
	fl_fault_redirect(fault, site, r->next[r->nr++]);
	return true;
}

static struct redirecting *open_redirecting(void)
{
	struct redirecting *r = &redirecting;
	char *base = closed(32);

	check(!fl_protect(base + 16 * page, 16 * page, FL_OPEN));
	*r = (struct redirecting){
		.range = {
			.base = base, .bytes = 16 * page, .handle = redirect,
			.owner = r,
		},
		.block = base + 16 * page,
	};
	check(!fl_sites_open(__start_fl_sites, __stop_fl_sites, &r->sites));
	check(!fl_fault_watch(&r->range));
	return r;
}

static uint64_t word_at(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

static void scenario_registers(void)
{
	struct redirecting *r = open_redirecting();

	for (size_t i = 0; i < NR_REGISTERS; i++) {
		char *top = r->block + 4 * page, *bump = r->block + 16, *p;

		/* Room: no fault, and bump is left alone. */
		r->nr = 0;
		bump = r->block + 48;
		p = registers[i].new(&bump, i + 1);
		check(!r->nr && p == r->block + 24 && bump == p + 24);
		check(word_at(p) == i + 1);

		/* None: the object lands where the handler said. */
		memset(top - 64, 0, 64);
		r->next[0] = top;
		bump = r->block + 16;
		p = registers[i].new(&bump, ~(uint64_t)i);
		check(r->nr == 1);
		check(r->bump_reg == registers[i].number);
		check(r->bump == (uintptr_t)r->block + 16);
		check(r->address == r->block - 8);
		check(p == top - 24 && bump == top);
		check(word_at(p) == ~(uint64_t)i);
		check(word_at(r->block) == 0 && word_at(p + 8) == 0);
	}
	fl_fault_unwatch(&r->range);
	fl_sites_close(&r->sites);
}

/* Sent from guard to guard, the site computes its address afresh each time. */
static void scenario_restart(void)
{
	struct redirecting *r = open_redirecting();
	char *top = r->block + 2 * page, *p;

	for (size_t i = 0; i < NR_REGISTERS; i++) {
		char *bump = r->block + 8;

		r->nr = 0;
		r->next[0] = r->block - 5 * page;
		r->next[1] = r->block + 16;
		r->next[2] = r->range.base + 128;
		r->next[3] = top;
		p = registers[i].new(&bump, 1000 + i);
		check(r->nr == 4 && p == top - 24 && bump == top);
		check(r->address == r->range.base + 104);
		check(word_at(p) == 1000 + i && word_at(r->block) == 0);
	}
	fl_fault_unwatch(&r->range);
	fl_sites_close(&r->sites);
}

#define SITE_NEW(align_)						\
	__attribute__((noinline))					\
	static char *new_##align_(char **bump, size_t bytes, uint64_t word) \
	{								\
		return fl_site_new(bump, bytes, align_, word);		\
	}
SITE_NEW(8)
SITE_NEW(64)
SITE_NEW(4096)

/* As strategies use them: sizes in registers, with and without alignment. */
static void scenario_alignment(void)
{
	static const struct {
		size_t align;
		char *(*new)(char **bump, size_t bytes, uint64_t word);
	} sites[] = {
		{ 8, new_8 }, { 64, new_64 }, { 4096, new_4096 },
	};
	static const size_t sizes[] = { 8, 24, 104, 4096, 20000 };
	struct redirecting *r = open_redirecting();

	for (size_t i = 0; i < sizeof(sites) / sizeof(*sites); i++)
		for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
			char *top = r->block + 16 * page, *bump = r->block, *p;
			char *want = top - sizes[k];

			want -= (uintptr_t)want & (sites[i].align - 1);
			r->nr = 0;
			r->next[0] = top;
			p = sites[i].new(&bump, sizes[k], 7 * k + i);
			check(r->nr == 1 && p == want && bump == want);
			check(word_at(p) == 7 * k + i);

			/* And the one after needs no help. */
			p = sites[i].new(&bump, sizes[k], 5);
			want = bump;
			check(r->nr == 1 && p == want && word_at(p) == 5);
		}
	fl_fault_unwatch(&r->range);
	fl_sites_close(&r->sites);
}

#define CONSTANT(bytes, align_)						\
	static char *constant_##bytes##_##align_(char **bump, uint64_t word) \
	{								\
		return FL_SITE_NEW(bump, bytes, align_, word);		\
	}
CONSTANT(0, 8)
CONSTANT(1, 8)
CONSTANT(104, 8)
CONSTANT(105, 64)
CONSTANT(20000, 4096)

/* The same where sizes and alignments are constants. */
static void scenario_constants(void)
{
	static const struct {
		size_t bytes, align;	/* rounded */
		char *(*new)(char **bump, uint64_t word);
	} sites[] = {
		{ 8, 8, constant_0_8 }, { 8, 8, constant_1_8 },
		{ 104, 8, constant_104_8 }, { 112, 64, constant_105_64 },
		{ 20000, 4096, constant_20000_4096 },
	};
	struct redirecting *r = open_redirecting();

	for (size_t i = 0; i < sizeof(sites) / sizeof(*sites); i++) {
		char *top = r->block + 16 * page, *bump = r->block, *p;
		char *want = top - sites[i].bytes;

		want -= (uintptr_t)want & (sites[i].align - 1);
		r->nr = 0;
		r->next[0] = top;
		p = sites[i].new(&bump, i);
		check(r->nr == 1 && p == want && bump == want);
		check(word_at(p) == i);
		p = sites[i].new(&bump, ~(uint64_t)i);
		check(r->nr == 1 && p == bump && p < want);
		check(word_at(p) == ~(uint64_t)i);
	}
	fl_fault_unwatch(&r->range);
	fl_sites_close(&r->sites);
}

/* The same store, a byte beside a site: nobody's. */
static void scenario_no_site_dies(void)
{
	struct redirecting *r = open_redirecting();
	char *bump = r->block;

	r->next[0] = r->block + page;
	fl_bare_new(&bump, 24, 8, 1);
}

static void test_sites(void **state)
{
	(void)state;
	assert_exits(scenario_registers);
	assert_exits(scenario_restart);
	assert_exits(scenario_alignment);
	assert_exits(scenario_constants);
	assert_dies(scenario_no_site_dies, SIGSEGV);
}

static void test_site_table(void **state)
{
	const size_t nr = (size_t)(__stop_fl_sites - __start_fl_sites);
	struct fl_sites sites;

	(void)state;
	/* Compilers may copy a site, never drop one. */
	assert_true(nr >= NR_REGISTERS + 3);
	assert_int_equal(fl_sites_open(__start_fl_sites, __stop_fl_sites,
				       &sites), 0);
	assert_int_equal(sites.nr, nr);
	for (size_t i = 0; i < nr; i++) {
		const struct fl_site_address *s = &sites.sorted[i];

		assert_true(!i || s->probe > sites.sorted[i - 1].probe);
		assert_true(s->restart < s->probe && s->probe - s->restart < 32);
		assert_true(s->bump_reg < 16 && s->bump_reg != 4);
		assert_ptr_equal(fl_sites_find(&sites, s->probe), s);
		assert_null(fl_sites_find(&sites, s->probe - 1));
		assert_null(fl_sites_find(&sites, s->probe + 1));
		assert_null(fl_sites_find(&sites, s->restart));
	}
	assert_null(fl_sites_find(&sites, 0));
	assert_null(fl_sites_find(&sites, UINTPTR_MAX));
	fl_sites_close(&sites);
	assert_int_equal(sites.nr, 0);

	/* A module without sites has an empty table. */
	assert_int_equal(fl_sites_open(NULL, NULL, &sites), 0);
	assert_int_equal(sites.nr, 0);
	assert_null(fl_sites_find(&sites, 0));
	fl_sites_close(&sites);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routing),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_declined),
		cmocka_unit_test(test_sigbus),
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_core_at_the_fault),
		cmocka_unit_test(test_sent),
		cmocka_unit_test(test_raised),
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_on_top),
		cmocka_unit_test(test_jumps),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_alternate_stack),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_ranges_go),
		cmocka_unit_test(test_sites),
		cmocka_unit_test(test_site_table),
	};

	page = fl_page_bytes();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 99;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}

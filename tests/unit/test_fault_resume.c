/* SPDX-License-Identifier: MIT */
/*
 * The return to the program in user space does what sigreturn does.  A machine
 * full of random state stores to a page that faults, once with each return, and
 * once to a page that does not: nothing may differ.  Every case runs in a child
 * of its own, because it changes what the process does about signals.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "faultline/compat.h"
#include "tests/unit/machine.h"
#include "vm/fault.h"
#include "vm/fault_resume.h"
#include "vm/private_fault_resume.h"
#include "vm/reserve.h"
#include "vm/sanitized.h"

#define RED_ZONE	128u
#define ALL_OF_IT	SIZE_MAX	/* of the stack */
#define STACK_PAGES	8u
#define ALT_BYTES	((size_t)256 << 10)

static size_t page;
static char why_not[256];	/* this process cannot return in user space */

/* For children, in which cmocka's own would return to the parent's tests. */
#define check(condition)	check_that(condition, __LINE__, #condition)

static void check_that(bool condition, int line, const char *text)
{
	if (condition)
		return;
	printf("# line %d: not so: %s\n", line, text);
	fflush(stdout);
	_exit(1);
}

static int run_child(void (*scenario)(void))
{
	const struct rlimit no_core = { 0 };
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		setrlimit(RLIMIT_CORE, &no_core);
		/* cmocka has handlers, and a sanitizer. */
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
	int status;

	if (*why_not) {
		print_message("%s\n", why_not);
		skip();
	}
	status = run_child(scenario);
	if (WIFSIGNALED(status))
		fail_msg("died of signal %d", WTERMSIG(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/*
 * A place to fault: a page for each return, and what the handler does there.
 */
enum { BY_SYSCALL, BY_USER, NR_RETURNS };

struct place {
	char *pages[NR_RETURNS];	/* closed */
	struct fl_fault_range ranges[NR_RETURNS];
	char *open;			/* where redirected stores go */
	bool redirect;			/* or open the page */
	bool dirty;			/* use all of the extended state */
	struct place *inner;		/* the handler faults there itself */
	void (*plant)(ucontext_t *context);
	const char *refusal;		/* what the handler was told */
	bool user_return;
	unsigned nr;
	struct machine dirt, plain, faulted;
};

static void touch(char *p)
{
	__asm__ volatile("movb $1, (%0)" :: "r" (p) : "memory");
}

/* Leaves nothing as a handler finds it but what the C compiler insists on. */
static void make_dirty(const struct machine *dirt)
{
	const uint32_t mxcsr = 0x1f80;

	__asm__ volatile("xrstor64 %0\n\tfninit\n\tldmxcsr %1"
			 :: "m" (dirt->xstate), "m" (mxcsr),
			    "a" (machine_features), "d" (0)
			 : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
			   "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
			   "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

static bool handle(void *owner, const struct fl_fault *fault)
{
	struct place *place = owner;
	greg_t *gregs = fault->context->uc_mcontext.gregs;

	place->nr++;
	place->user_return = fault->user_return;
	place->refusal = fl_fault_resume_refusal(fault->context);
	if (place->inner)
		touch(place->inner->pages[BY_USER]);
	if (place->redirect) {
		gregs[REG_RBX] = (greg_t)(place->open +
					  ((uintptr_t)fault->address & 63));
		gregs[REG_RIP] = (greg_t)machine_store;
	} else {
		fl_protect(fault->address - ((uintptr_t)fault->address &
					     (page - 1)), page, FL_OPEN);
	}
	if (place->plant)
		place->plant(fault->context);
	errno = EXDEV;
	if (place->dirty)
		make_dirty(&place->dirt);
	return true;
}

static char *reserve(size_t pages, enum fl_access access)
{
	char *base = NULL;

	check(!fl_reserve(pages * page, access, &base));
	return base;
}

static struct place *place_open(uint64_t *random)
{
	struct place *place = aligned_alloc(64, sizeof(*place));

	check(place);
	*place = (struct place){ .open = reserve(1, FL_OPEN), .dirty = true };
	machine_fill(&place->dirt, random, X_ALL, false);
	for (int i = 0; i < NR_RETURNS; i++) {
		/* Apart, or the second would lie in the first one's mapping. */
		place->pages[i] = reserve(3, FL_CLOSED) + page;
		place->ranges[i] = (struct fl_fault_range){
			.base = place->pages[i], .bytes = page,
			.handle = handle, .owner = place,
			.user_return = i == BY_USER,
		};
		check(!fl_fault_watch(&place->ranges[i]));
	}
	return place;
}

/* The stack that the machine is given, between two guards. */
struct target {
	char *base;
	size_t bytes;
	char *copy;
};

static struct target target_open(uint64_t *random)
{
	struct target t = { .bytes = STACK_PAGES * page };

	t.base = reserve(STACK_PAGES + 2, FL_CLOSED) + page;
	check(!fl_protect(t.base, t.bytes, FL_OPEN));
	t.copy = malloc(t.bytes);
	check(t.copy);
	for (size_t i = 0; i < t.bytes; i += 8) {
		const uint64_t word = machine_random(random);

		memcpy(t.base + i, &word, 8);
	}
	memcpy(t.copy, t.base, t.bytes);
	return t;
}

static stack_t alternate_stack(int flags)
{
	stack_t stack = {
		.ss_sp = reserve(ALT_BYTES / page, FL_OPEN),
		.ss_size = ALT_BYTES, .ss_flags = flags,
	};

	check(!sigaltstack(&stack, NULL));
	return stack;
}

/* All that is compared of a run beside the machine. */
struct around {
	sigset_t mask;
	stack_t stack;
};

static void look_around(struct around *a)
{
	memset(a, 0, sizeof(*a));
	pthread_sigmask(SIG_SETMASK, NULL, &a->mask);
	sigaltstack(NULL, &a->stack);
}

static bool same_around(const struct around *a, const struct around *b)
{
	for (int sig = 1; sig < NSIG; sig++)
		if (sigismember(&a->mask, sig) != sigismember(&b->mask, sig))
			return false;
	return a->stack.ss_sp == b->stack.ss_sp &&
	       a->stack.ss_size == b->stack.ss_size &&
	       a->stack.ss_flags == b->stack.ss_flags;
}

/*
 * Run @in with a fault at @place and return what is different from a run
 * without one, or NULL.  @kept: so many bytes below the stack pointer must be
 * as they were; all that is above it, too.
 */
static const char *differs(struct place *place, int by, struct machine *in,
			   const struct target *target, size_t kept)
{
	struct machine *plain = &place->plain, *faulted = &place->faulted;
	const size_t above = in->gpr[R_RSP] - (uintptr_t)target->base;
	const size_t low = above < kept ? 0 : above - kept;
	char *const where = place->pages[by] + (in->gpr[R_RAX] & 63);
	struct around before, after;
	unsigned nr = place->nr;
	const char *what;

	memcpy(target->copy, target->base, target->bytes);
	memset(plain->xstate + HEADER_AT, 0, 64);
	memset(faulted->xstate + HEADER_AT, 0, 64);
	plain->in_use = faulted->in_use = 0;
	in->gpr[R_RBX] = (uint64_t)(place->open + ((uintptr_t)where & 63));
	machine_run(in, plain);
	check(place->nr == nr);

	check(!fl_protect(place->pages[by], page, FL_CLOSED));
	in->gpr[R_RBX] = (uint64_t)where;
	look_around(&before);
	errno = 77;
	machine_run(in, faulted);
	if (errno != 77)
		return "errno";
	look_around(&after);
	check(place->nr > nr);
	if (!place->redirect)
		plain->gpr[R_RBX] = in->gpr[R_RBX];
	what = machine_difference(plain, faulted);
	if (!what && !same_around(&before, &after))
		what = "the signal mask or the alternate stack";
	if (!what && memcmp(target->base + low, target->copy + low,
			    target->bytes - low))
		what = "the stack";
	return what;
}

static void check_same(struct place *place, int by, struct machine *in,
		       const struct target *target, size_t kept)
{
	const char *what = differs(place, by, in, target, kept);

	if (what)
		printf("# %s differs after a return by %s, where %s\n", what,
		       by == BY_USER ? "user" : "sigreturn",
		       place->redirect ? "the handler redirects" :
					 "the handler opens the page");
	check(!what);
	check(place->user_return == (by == BY_USER));
}

/* The states that are worth a name, and any other. */
static unsigned components(uint64_t *random, unsigned i)
{
	static const unsigned named[] = {
		X_ALL,			/* AVX-512 dirty */
		0,			/* as after the start of a program */
		1u << X_X87 | 1u << X_SSE,	/* as after vzeroupper */
		1u << X_X87 | 1u << X_SSE | 1u << X_AVX,
		X_ALL & ~(1u << X_AVX),
		1u << X_MASKS,
	};
	const unsigned nr = sizeof(named) / sizeof(named[0]);

	return i % (nr + 2) < nr ? named[i % (nr + 2)] :
				   (unsigned)machine_random(random) & X_ALL;
}

static void block_some(uint64_t *random)
{
	sigset_t mask;

	sigemptyset(&mask);
	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGSEGV && sig != SIGBUS && sig != SIGUSR1 &&
		    machine_random(random) & 1)
			sigaddset(&mask, sig);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

/* @kept: what the kernel leaves alone, too: with an alternate stack, all. */
static void try_states(struct place *place, const struct target *target,
		       uint64_t *random, unsigned nr, size_t kept)
{
	struct machine *in = aligned_alloc(64, sizeof(*in));

	check(in);
	for (unsigned i = 0; i < nr; i++) {
		machine_fill(in, random, components(random, i), i % 16 == 7);
		in->gpr[R_RSP] = (uint64_t)(target->base + target->bytes / 2 +
					    machine_random(random) % page);
		/* No room for anything below it. */
		if (kept == ALL_OF_IT && i % 8 == 3)
			in->gpr[R_RSP] = (uint64_t)target->base;
		place->redirect = i & 1;
		block_some(random);
		for (int by = 0; by < NR_RETURNS; by++)
			check_same(place, by, in, target, kept);
	}
	free(in);
}

static void scenario_alternate(void)
{
	uint64_t random = 1;
	struct place *place = place_open(&random);
	struct target target = target_open(&random);

	alternate_stack(0);
	try_states(place, &target, &random, 400, ALL_OF_IT);
}

static void scenario_same_stack(void)
{
	uint64_t random = 2;
	struct place *place = place_open(&random);
	struct target target = target_open(&random);

	try_states(place, &target, &random, 400, RED_ZONE);
}

static void scenario_inner(void)
{
	uint64_t random = 3;
	struct place *place = place_open(&random);
	struct target target = target_open(&random);

	alternate_stack(0);
	place->inner = place_open(&random);
	try_states(place, &target, &random, 100, ALL_OF_IT);
	/* The page was opened, and faulted no more. */
	check(place->inner->nr == 1);
	for (int i = 0; i < 100; i++) {
		fl_protect(place->inner->pages[BY_USER], page, FL_CLOSED);
		try_states(place, &target, &random, 1, ALL_OF_IT);
	}
	check(place->inner->nr == 101 && place->inner->user_return);
}

static void test_states(void **state)
{
	(void)state;
	assert_exits(scenario_alternate);
	assert_exits(scenario_same_stack);
	assert_exits(scenario_inner);
}

/*
 * Would it be noticed?  A handler changes one thing of the frame.
 */
static struct {
	int greg;
	uint64_t flag;
	size_t byte;		/* of the extended state */
} planted;

static void plant(ucontext_t *context)
{
	greg_t *gregs = context->uc_mcontext.gregs;

	if (planted.byte)
		((char *)context->uc_mcontext.fpregs)[planted.byte - 1] ^= 4;
	else if (planted.flag)
		gregs[REG_EFL] ^= (greg_t)planted.flag;
	else
		gregs[planted.greg] ^= 8;
}

static void check_noticed(struct place *place, struct machine *in,
			  const struct target *target)
{
	for (int by = 0; by < NR_RETURNS; by++) {
		if (differs(place, by, in, target, ALL_OF_IT))
			continue;
		printf("# register %d, flag %#llx, byte %zu of the frame: a change was not noticed\n",
		       planted.greg, (unsigned long long)planted.flag,
		       planted.byte);
		check(!"noticed");
	}
}

static void scenario_planted(void)
{
	uint64_t random = 4;
	struct place *place = place_open(&random);
	struct target target = target_open(&random);
	struct machine *in = aligned_alloc(64, sizeof(*in));

	alternate_stack(0);
	check(in);
	machine_fill(in, &random, X_ALL, false);
	in->gpr[R_RSP] = (uint64_t)(target.base + target.bytes / 2);
	place->redirect = true;
	place->plant = plant;
	memset(&planted, 0, sizeof(planted));
	for (planted.greg = REG_R8; planted.greg <= REG_RSP; planted.greg++)
		check_noticed(place, in, &target);
	for (planted.flag = 1; planted.flag <= FLAG_AC; planted.flag <<= 1)
		if (planted.flag & FLAGS_ALL)
			check_noticed(place, in, &target);
	/* Control word, mxcsr, and a byte of every register. */
	planted.byte = 1 + 1;
	check_noticed(place, in, &target);
	planted.byte = 1 + MXCSR_AT + 1;
	check_noticed(place, in, &target);
	for (size_t i = 0; i < 8; i++) {
		planted.byte = 1 + 32 + 16 * i + i;
		check_noticed(place, in, &target);
	}
	for (size_t i = 0; i < 16; i++) {
		planted.byte = 1 + 160 + 16 * i + i;
		check_noticed(place, in, &target);
	}
	for (unsigned c = X_AVX; c < X_NR; c++)
		for (size_t i = 0; i < machine_bytes[c]; i += 8) {
			planted.byte = 1 + machine_at[c] + i + i % 7;
			check_noticed(place, in, &target);
		}
}

static void test_planted(void **state)
{
	(void)state;
	assert_exits(scenario_planted);
}

/*
 * Inside another handler of the program, on the same alternate stack.
 */
#define VISIT_BYTES	((size_t)64 << 10)

static __thread struct {
	struct place *place;
	struct machine *in;
	char *copy;
	uint64_t random;
	unsigned nr;
} visit;

/*
 * The machine's stack is part of this one: the kernel would take any other for
 * a sign that the alternate stack is free, and start at its top.
 */
static void on_usr1(int sig)
{
	const struct machine_host interrupted = machine_host;
	const int saved_errno = errno;
	char room[VISIT_BYTES];
	const struct target target = {
		.base = room, .bytes = sizeof(room), .copy = visit.copy,
	};

	(void)sig;
	machine_fill(visit.in, &visit.random,
		     components(&visit.random, visit.nr), false);
	visit.in->flags &= ~(uint64_t)FLAG_AC;
	visit.in->gpr[R_RSP] = (uint64_t)(room + sizeof(room) - 512);
	visit.place->redirect = visit.nr++ & 1;
	for (int by = 0; by < NR_RETURNS; by++)
		check_same(visit.place, by, visit.in, &target, RED_ZONE);
	errno = saved_errno;
	machine_host = interrupted;
}

static void visit_open(uint64_t seed)
{
	const struct sigaction action = {
		.sa_handler = on_usr1, .sa_flags = SA_ONSTACK,
	};

	visit.random = seed;
	visit.place = place_open(&visit.random);
	visit.in = aligned_alloc(64, sizeof(*visit.in));
	visit.copy = malloc(VISIT_BYTES);
	visit.nr = 0;
	check(visit.in && visit.copy && !sigaction(SIGUSR1, &action, NULL));
}

static void scenario_in_handler(void)
{
	visit_open(5);
	alternate_stack(0);
	for (int i = 0; i < 200; i++)
		raise(SIGUSR1);
	check(visit.nr == 200);
}

/* Without an alternate stack, so that frames are stacked on the program's. */
static void scenario_in_handler_same_stack(void)
{
	visit_open(6);
	for (int i = 0; i < 200; i++)
		raise(SIGUSR1);
	check(visit.nr == 200);
}

static bool raise_and_handle(void *owner, const struct fl_fault *fault)
{
	raise(SIGUSR1);
	return handle(owner, fault);
}

/* The signal comes in the middle of the fault's handler. */
static void scenario_during_handler(void)
{
	uint64_t random = 7;
	struct target target = target_open(&random);
	struct place *place = place_open(&random);

	visit_open(8);
	alternate_stack(0);
	for (int i = 0; i < NR_RETURNS; i++) {
		fl_fault_unwatch(&place->ranges[i]);
		place->ranges[i].handle = raise_and_handle;
		check(!fl_fault_watch(&place->ranges[i]));
	}
	try_states(place, &target, &random, 100, ALL_OF_IT);
	check(visit.nr == 200);
}

static void test_nested(void **state)
{
	(void)state;
	assert_exits(scenario_in_handler);
	assert_exits(scenario_in_handler_same_stack);
	assert_exits(scenario_during_handler);
}

/*
 * Threads, all at once, and signals that come at any instruction of the return.
 */
#define NR_THREADS	4u
#define NR_STATES	600u

static unsigned nr_running;

static void *storm_thread(void *arg)
{
	uint64_t random = 100 + *(const unsigned *)arg;
	struct target target = target_open(&random);
	struct place *place = place_open(&random);
	struct machine *in = aligned_alloc(64, sizeof(*in));
	sigset_t usr1;

	visit_open(random);
	alternate_stack(0);
	check(in);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
	for (unsigned i = 0; i < NR_STATES; i++) {
		machine_fill(in, &random, components(&random, i), i % 16 == 7);
		/* C code of the handler may be unaligned. */
		in->flags &= ~(uint64_t)FLAG_AC;
		in->gpr[R_RSP] = (uint64_t)(i % 8 == 3 ? target.base :
					    target.base + target.bytes / 2);
		place->redirect = i & 1;
		for (int by = 0; by < NR_RETURNS; by++)
			check_same(place, by, in, &target, ALL_OF_IT);
	}
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	__atomic_sub_fetch(&nr_running, 1, __ATOMIC_RELEASE);
	return (void *)(uintptr_t)visit.nr;
}

static void storm(bool signals)
{
	pthread_t threads[NR_THREADS];
	unsigned numbers[NR_THREADS];
	uintptr_t nr_visits = 0;
	sigset_t usr1;
	void *visits;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	nr_running = NR_THREADS;
	for (unsigned i = 0; i < NR_THREADS; i++) {
		numbers[i] = i;
		check(!pthread_create(&threads[i], NULL, storm_thread,
				      &numbers[i]));
	}
	while (signals && __atomic_load_n(&nr_running, __ATOMIC_ACQUIRE)) {
		for (unsigned i = 0; i < NR_THREADS; i++)
			pthread_kill(threads[i], SIGUSR1);
		usleep(50);
	}
	for (unsigned i = 0; i < NR_THREADS; i++) {
		check(!pthread_join(threads[i], &visits));
		nr_visits += (uintptr_t)visits;
	}
	check(!signals || nr_visits);
}

static void scenario_threads(void)
{
	storm(false);
}

static void scenario_storm(void)
{
	storm(true);
}

static void test_threads(void **state)
{
	(void)state;
	assert_exits(scenario_threads);
	assert_exits(scenario_storm);
}

/*
 * A signal before each instruction of the return, delivered by a debugger.
 */
#define EXIT_SKIP	77

static struct stepped {
	char *page;		/* whose faults are stepped through */
	unsigned nr_signals;
	bool done;
} *stepped;

static void scenario_stepped(void)
{
	uint64_t random = 15;
	struct target target = target_open(&random);
	struct place *place = place_open(&random);
	struct machine *in = aligned_alloc(64, sizeof(*in));

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(EXIT_SKIP);
	visit_open(16);
	alternate_stack(0);
	check(in);
	stepped->page = place->pages[BY_USER];
	for (unsigned i = 0; !stepped->done; i++) {
		machine_fill(in, &random, components(&random, i), false);
		/* Clearing it reads the flags, and with them the debugger's TF. */
		in->flags &= ~(uint64_t)FLAG_AC;
		in->gpr[R_RSP] = (uint64_t)target.base;
		place->redirect = i & 1;
		check_same(place, BY_USER, in, &target, ALL_OF_IT);
		check(visit.nr == stepped->nr_signals && visit.nr == i + 1);
	}
}

/* The next stop; false when the child is no more. */
static bool next_stop(pid_t child, int request, int sig, int *status)
{
	ptrace(request, child, NULL, (void *)(intptr_t)sig);
	return waitpid(child, status, 0) == child && WIFSTOPPED(*status);
}

/* By the table, so that no stub of the linker's comes in between. */
static uintptr_t start_of_return(void)
{
	uintptr_t address;

	__asm__("mov fl_fault_resume@GOTPCREL(%%rip), %0" : "=r" (address));
	return address;
}

/*
 * The child is about to be told of its fault: follow it to instruction @nr of
 * the return, and send the signal there.
 */
static bool step_through(pid_t child, unsigned nr, int *status)
{
	struct user_regs_struct registers;
	int sig = SIGSEGV;

	for (unsigned nr_seen = 0;; sig = 0) {
		if (!next_stop(child, PTRACE_SINGLESTEP, sig, status))
			return false;
		assert_int_equal(WSTOPSIG(*status), SIGTRAP);
		ptrace(PTRACE_GETREGS, child, NULL, &registers);
		if (registers.rip - start_of_return() < 256 && nr_seen++ == nr)
			break;
	}
	/* iretq is the last. */
	stepped->done = (ptrace(PTRACE_PEEKTEXT, child, registers.rip, NULL) &
			 0xffff) == 0xcf48;
	stepped->nr_signals++;
	return next_stop(child, PTRACE_CONT, SIGUSR1, status);
}

static void test_every_instruction(void **state)
{
	siginfo_t info;
	bool stopped;
	int status;
	pid_t child;

	(void)state;
	if (*why_not) {
		print_message("%s\n", why_not);
		skip();
	}
	stepped = mmap(NULL, sizeof(*stepped), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(stepped != MAP_FAILED);
	fflush(stdout);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		scenario_stepped();
		_exit(0);
	}
	stopped = waitpid(child, &status, 0) == child && WIFSTOPPED(status);
	while (stopped) {
		ptrace(PTRACE_GETSIGINFO, child, NULL, &info);
		if (WSTOPSIG(status) == SIGSEGV && stepped->page &&
		    (uintptr_t)((char *)info.si_addr - stepped->page) < page)
			stopped = step_through(child, stepped->nr_signals,
					       &status);
		else
			stopped = next_stop(child, PTRACE_CONT,
					    WSTOPSIG(status), &status);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP) {
		print_message("this host allows no ptrace\n");
		skip();
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(stepped->done);
}

/*
 * No system call: sigreturn is death.
 */
static void forbid_sigreturn(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {
		.len = sizeof(code) / sizeof(code[0]), .filter = code,
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(EXIT_SKIP);
}

static void fault_without_sigreturn(int by)
{
	uint64_t random = 9;
	struct place *place = place_open(&random);

	alternate_stack(0);
	forbid_sigreturn();
	for (unsigned i = 0; i < 10; i++) {
		fl_protect(place->pages[by], page, FL_CLOSED);
		touch(place->pages[by]);
		check(place->nr == i + 1);
	}
}

static void scenario_user_only(void)
{
	fault_without_sigreturn(BY_USER);
}

static void scenario_kernel_only(void)
{
	fault_without_sigreturn(BY_SYSCALL);
}

static void test_no_system_call(void **state)
{
	int status;

	(void)state;
	if (*why_not) {
		print_message("%s\n", why_not);
		skip();
	}
	status = run_child(scenario_kernel_only);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP) {
		print_message("this host allows no seccomp filter\n");
		skip();
	}
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
	assert_exits(scenario_user_only);
}

/*
 * What only the kernel can restore goes by the kernel.
 */
static void check_refused(struct place *place, const char *words)
{
	fl_protect(place->pages[BY_USER], page, FL_CLOSED);
	place->refusal = NULL;
	touch(place->pages[BY_USER]);
	check(!place->user_return);
	if (!words)
		check(!place->refusal);
	else
		check(place->refusal && strstr(place->refusal, words));
}

static void scenario_autodisarm(void)
{
	uint64_t random = 10;
	struct place *place = place_open(&random);
	stack_t armed = alternate_stack((int)SS_AUTODISARM), now;

	for (int i = 0; i < 3; i++) {
		check_refused(place, "SS_AUTODISARM");
		check(!sigaltstack(NULL, &now));
		check(now.ss_sp == armed.ss_sp && now.ss_size == armed.ss_size);
		check(now.ss_flags == (int)SS_AUTODISARM);
	}
	/* Gone while a handler runs on it, so that is no refusal. */
	visit_open(11);
	raise(SIGUSR1);
	check(visit.nr == 1);
	check(!sigaltstack(NULL, &now) && now.ss_sp == armed.ss_sp);
}

static void scenario_nested_task(void)
{
	uint64_t random = 12;
	struct place *place = place_open(&random);
	struct machine *in = aligned_alloc(64, sizeof(*in));
	struct machine *out = aligned_alloc(64, sizeof(*out));
	struct target target = target_open(&random);

	alternate_stack(0);
	check(in && out);
	machine_fill(in, &random, X_ALL, false);
	memset(out, 0, sizeof(*out));
	in->flags |= FLAG_NT;
	in->gpr[R_RSP] = (uint64_t)(target.base + target.bytes / 2);
	in->gpr[R_RBX] = (uint64_t)place->pages[BY_USER];
	machine_run(in, out);
	check(place->nr == 1 && !place->user_return);
	check(place->refusal && strstr(place->refusal, "NT"));
	check(out->flags & FLAG_NT);
}

static struct sigaction found;
static volatile unsigned nr_on_top;

static void on_top(int sig, siginfo_t *info, void *context)
{
	nr_on_top++;
	found.sa_sigaction(sig, info, context);
	nr_on_top++;
}

/* One that leaves by a jump, so that the entry's frame looks like the kernel's. */
extern void (*jump_to)(int, siginfo_t *, void *);
void (*jump_to)(int, siginfo_t *, void *);
void jumping(int sig, siginfo_t *info, void *context);

__asm__(
"	.text\n"
"	.type	jumping, @function\n"
"jumping:\n"
"	jmp	*jump_to(%rip)\n"
"	.size	jumping, . - jumping\n");

static void put_on_top(void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = {
		.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	sigaddset(&action.sa_mask, SIGUSR2);
	check(!sigaction(SIGSEGV, &action, &found));
	jump_to = found.sa_sigaction;
}

static void check_mask_is_empty(void)
{
	sigset_t mask;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	for (int sig = 1; sig < NSIG; sig++)
		check(!sigismember(&mask, sig));
}

/* Somebody else's handler is not skipped, and his mask not kept. */
static void scenario_on_top(void)
{
	uint64_t random = 13;
	struct place *place = place_open(&random), *later;
	sigset_t none;

	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	alternate_stack(0);
	put_on_top(on_top);
	check_refused(place, NULL);
	check(nr_on_top == 2);
	check_mask_is_empty();
	check(!sigaction(SIGSEGV, &found, NULL));
	put_on_top(jumping);
	check_refused(place, NULL);
	check_mask_is_empty();
	/* Put back by the C library: it works, by the kernel ... */
	check(!sigaction(SIGSEGV, &found, NULL));
	check_refused(place, NULL);
	/* ... until the entry is installed again. */
	for (int i = 0; i < NR_RETURNS; i++)
		fl_fault_unwatch(&place->ranges[i]);
	later = place_open(&random);
	touch(later->pages[BY_USER]);
	check(later->nr == 1 && later->user_return);
}

static void test_refused(void **state)
{
	(void)state;
	assert_exits(scenario_autodisarm);
	assert_exits(scenario_nested_task);
	assert_exits(scenario_on_top);
}

/* Frames as no kernel of this host makes them. */
static bool examine(void *owner, const struct fl_fault *fault)
{
	static char xstate[MACHINE_XSTATE_BYTES];
	ucontext_t copy = *fault->context;
	unsigned *nr = owner;

	memcpy(xstate, copy.uc_mcontext.fpregs, 576);
	copy.uc_mcontext.fpregs = (void *)xstate;
	*nr += !fl_fault_resume_refusal(&copy);
	copy.uc_mcontext.gregs[REG_CSGSFS] ^= 8;
	*nr += !!strstr(fl_fault_resume_refusal(&copy), "segments");
	copy = *fault->context;
	copy.uc_mcontext.gregs[REG_CSGSFS] ^= (greg_t)8 << 48;
	*nr += !!strstr(fl_fault_resume_refusal(&copy), "segments");
	copy.uc_mcontext.fpregs = (void *)xstate;
	xstate[464] ^= 1;
	*nr += !!strstr(fl_fault_resume_refusal(&copy), "not XSAVE's");
	copy.uc_mcontext.fpregs = NULL;
	*nr += !!strstr(fl_fault_resume_refusal(&copy), "no extended state");
	return !fl_protect(fault->address, page, FL_OPEN);
}

static void scenario_frames(void)
{
	unsigned nr = 0;
	const struct fl_fault_range range = {
		.base = reserve(1, FL_CLOSED), .bytes = page,
		.handle = examine, .owner = &nr,
	};

	check(!fl_fault_watch(&range));
	touch(range.base);
	check(nr == 5);
}

static void test_frames(void **state)
{
	(void)state;
	assert_exits(scenario_frames);
}

/* What hosts may say. */
static void test_judge(void **state)
{
	static const struct {
		struct fl_resume_host host;
		const char *words;
	} cases[] = {
		{ { .xsave = true, .shadow_error = EINVAL }, NULL },
		{ { .xsave = true, .shadow_error = EOPNOTSUPP }, NULL },
		{ { .xsave = true, .shadow_status = 0 }, NULL },
		{ { .xsave = true, .shadow_error = EINVAL,
		    .shadow_status = ARCH_SHSTK_SHSTK }, NULL },
		{ { .xsave = true, .shadow_status = ARCH_SHSTK_SHSTK },
		  "shadow stacks" },
		{ { .xsave = true, .shadow_status = ARCH_SHSTK_SHSTK | 2 },
		  "shadow stacks" },
		{ { .shadow_error = EINVAL }, "XSAVE" },
		{ { .xsave = true, .shadow_error = EINVAL, .blocked = true },
		  "blocks SIGSEGV" },
	};
	char reason[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int err;

		strcpy(reason, "untouched");
		err = fl_fault_resume_judge(&cases[i].host, reason,
					    sizeof(reason));
		assert_int_equal(err, cases[i].words ? -ENOTSUP : 0);
		assert_non_null(strstr(reason, cases[i].words ? cases[i].words :
								"untouched"));
		assert_null(strchr(reason, '\n'));
	}
	memset(reason, 0x5a, sizeof(reason));
	fl_fault_resume_judge(&cases[4].host, reason, 10);
	assert_int_equal(strlen(reason), 9);
	assert_int_equal(reason[10], 0x5a);
}

static void scenario_blocked(void)
{
	char reason[256] = "";
	sigset_t segv;

	sigemptyset(&segv);
	sigaddset(&segv, SIGSEGV);
	pthread_sigmask(SIG_BLOCK, &segv, NULL);
	check(fl_fault_resume_probe(reason, sizeof(reason)) == -ENOTSUP);
	check(strstr(reason, "SIGSEGV"));
}

static void scenario_probe_on_top(void)
{
	char reason[256] = "";
	uint64_t random = 14;

	place_open(&random);
	put_on_top(on_top);
	check(fl_fault_resume_probe(reason, sizeof(reason)) == -ENOTSUP);
	check(strstr(reason, "straight from the kernel"));
}

static void scenario_probe_leaves(void)
{
	struct sigaction before, after;
	char reason[256] = "";

	for (int i = 0; i < 3; i++) {
		check(!sigaction(SIGSEGV, NULL, &before));
		check(!fl_fault_resume_probe(reason, sizeof(reason)));
		check(!sigaction(SIGSEGV, NULL, &after));
		check(before.sa_handler == after.sa_handler && !*reason);
	}
}

static void test_probe(void **state)
{
	uint64_t shadow = 0;

	(void)state;
	/* It must not hide behind a refusal, or all else here is skipped. */
	/* ThreadSanitizer calls handlers itself. */
	if (!FL_HAVE_TSAN && machine_features &&
	    (syscall(SYS_arch_prctl, ARCH_SHSTK_STATUS, &shadow) || !shadow))
		assert_string_equal(why_not, "");
	assert_exits(scenario_blocked);
	assert_exits(scenario_probe_on_top);
	assert_exits(scenario_probe_leaves);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_planted),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_every_instruction),
		cmocka_unit_test(test_no_system_call),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_frames),
	};
	const char *why;

	page = fl_page_bytes();
	why = machine_open();
	if (why)
		snprintf(why_not, sizeof(why_not), "%s", why);
	else
		fl_fault_resume_probe(why_not, sizeof(why_not));
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("fault_resume", tests, NULL, NULL);
}

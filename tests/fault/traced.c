/* SPDX-License-Identifier: MIT */
/*
 * What debuggers do: single steps through a fault, its handler and the way back;
 * a breakpoint at the store that faults.  The program must not notice.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ordeal.h"

#define NR_STEPS	3000u
#define NR_BREAKS	100u

#define OBJECT_BYTES	2008u
#define NR_OBJECTS	300u

/* What the traced process leaves for the one that traces it. */
static struct seen {
	volatile bool refused, done;
	volatile uint64_t nr_hits;
} *seen;

/* Objects of which only the first words are written: few steps between faults. */
static uint64_t allocate(struct fl_trial *t, struct fl_heap *heap, uint64_t seed)
{
	static uint64_t *objects[NR_OBJECTS];
	const uint64_t before = heap->events.nr_hits;
	struct fl_region *region = fl_trial_region(t, heap);

	for (uint64_t i = 0; i < NR_OBJECTS; i++)
		objects[i] = t->s->object_new(region, OBJECT_BYTES, 8, seed + i);
	for (uint64_t i = 0; i < NR_OBJECTS; i++)
		if (*objects[i] != seed + i)
			fl_trial_fail(t, "an object lost its first word");
	if (region->error)
		fl_trial_fail(t, "a region has error %d", region->error);
	return heap->events.nr_hits - before;
}

static void __attribute__((noreturn)) be_traced(struct fl_trial *t, pid_t parent)
{
	const struct fl_need need = ORDEAL_NEED;
	struct fl_heap *heap;
	uint64_t untraced, traced;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	heap = fl_trial_open(t, &need);
	untraced = allocate(t, heap, 1000);
	seen->nr_hits = untraced;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL)) {
		seen->refused = true;
		_exit(0);
	}
	raise(SIGSTOP);
	traced = allocate(t, heap, 2000);
	if (traced != untraced)
		fl_trial_fail(t, "traced, there were %llu hits, untraced %llu",
			      (unsigned long long)traced,
			      (unsigned long long)untraced);
	t->s->close(heap);
	seen->done = true;
	_exit(0);
}

static int next_stop(pid_t child, int *status)
{
	while (waitpid(child, status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFSTOPPED(*status) ? WSTOPSIG(*status) : -1;
}

/* The traced process, at the stop before it allocates. */
static pid_t start_traced(struct fl_trial *t)
{
	const pid_t parent = getpid();
	pid_t child;
	int status;

	seen = shared_pages(t, sizeof(*seen));
	child = fork();
	if (child < 0)
		fl_trial_fail(t, "fork: %s", strerror(errno));
	if (!child)
		be_traced(t, parent);
	if (next_stop(child, &status) != SIGSTOP) {
		if (seen->refused)
			fl_trial_skip(t, "this process may not trace its child");
		fl_trial_fail(t, "the traced process did not stop");
	}
	need_hits(t, seen->nr_hits);
	return child;
}

static bool is_fault(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS;
}

/*
 * Let it run to its end; what it did wrong it has told.  Returns the faults that
 * were seen on the way: none, when a service thread resolves them.
 */
static unsigned finish(struct fl_trial *t, pid_t child, int sig)
{
	unsigned nr_faults = 0;
	int status = 0;

	do {
		ptrace(PTRACE_CONT, child, NULL, is_fault(sig) ? sig : 0);
		sig = next_stop(child, &status);
		nr_faults += is_fault(sig);
	} while (sig > 0);
	if (WIFSIGNALED(status))
		fl_trial_fail(t, "traced, the program died of SIG%s",
			      sigabbrev_np(WTERMSIG(status)));
	if (!seen->done)
		fl_trial_fail(t, "traced, the program did not get to its end");
	return nr_faults;
}

/*
 * The kernel restarts a restartable sequence that is interrupted, and a step
 * interrupts it: then a debugger gets no farther, until it lets go.
 */
#define LOOP_BYTES	64u

static void look_for_loop(pid_t child, unsigned step, uintptr_t *low,
			  uintptr_t *high)
{
	struct user_regs_struct registers;

	if (step < NR_STEPS - 100)
		return;
	ptrace(PTRACE_GETREGS, child, NULL, &registers);
	*low = registers.rip < *low ? registers.rip : *low;
	*high = registers.rip > *high ? registers.rip : *high;
}

void try_stepped(struct fl_trial *t)
{
	pid_t child = start_traced(t);
	uintptr_t low = UINTPTR_MAX, high = 0;
	unsigned nr_faults = 0, nr_later;
	int status, sig = 0;

	fl_trial_doing(t, "stepping through a program");
	for (unsigned i = 0; i < NR_STEPS; i++) {
		ptrace(PTRACE_SINGLESTEP, child, NULL, is_fault(sig) ? sig : 0);
		sig = next_stop(child, &status);
		if (sig < 0)
			fl_trial_fail(t, WIFSIGNALED(status) ?
				      "stepped, the program died" :
				      "stepped, the program ended early");
		if (sig != SIGTRAP && !is_fault(sig))
			fl_trial_fail(t, "stepped, the program got SIG%s",
				      sigabbrev_np(sig));
		nr_faults += is_fault(sig);
		look_for_loop(child, i, &low, &high);
	}
	nr_later = finish(t, child, sig);
	if (!nr_faults && high - low < LOOP_BYTES)
		fl_trial_skip(t, "it goes on when it is let go, but a step interrupts a restartable sequence, which begins again");
	if (!nr_faults && nr_later)
		fl_trial_fail(t, "no fault came while it was stepped");
}

/* The byte at @pc, replaced; what was there. */
static long poke(pid_t child, uintptr_t pc, long byte)
{
	long word = ptrace(PTRACE_PEEKTEXT, child, (void *)pc, NULL);

	ptrace(PTRACE_POKETEXT, child, (void *)pc,
	       (void *)((word & ~0xffl) | (byte & 0xff)));
	return word & 0xff;
}

/*
 * Over the instruction whose breakpoint was hit: put back, step, replaced again.
 * If the step is into a fault, it ends at the first instruction of the handler.
 * Returns whether it went over the instruction, and not elsewhere.
 */
#define INSN_BYTES_MAX	15u

static bool step_over(struct fl_trial *t, pid_t child, uintptr_t pc, long byte,
		      unsigned *nr_faults)
{
	struct user_regs_struct registers;
	int status, sig;

	ptrace(PTRACE_GETREGS, child, NULL, &registers);
	if (registers.rip != pc + 1)
		fl_trial_fail(t, "the program hit a breakpoint that is not there");
	registers.rip = pc;
	ptrace(PTRACE_SETREGS, child, NULL, &registers);
	poke(child, pc, byte);
	ptrace(PTRACE_SINGLESTEP, child, NULL, 0);
	sig = next_stop(child, &status);
	if (is_fault(sig)) {
		++*nr_faults;
		ptrace(PTRACE_GETREGS, child, NULL, &registers);
		if (registers.rip != pc)
			fl_trial_fail(t, "the store faulted somewhere else");
		ptrace(PTRACE_SINGLESTEP, child, NULL, sig);
		sig = next_stop(child, &status);
	}
	if (sig != SIGTRAP)
		fl_trial_fail(t, "a step over the store ended with SIG%s",
			      sig > 0 ? sigabbrev_np(sig) : "KILL");
	ptrace(PTRACE_GETREGS, child, NULL, &registers);
	poke(child, pc, 0xcc);
	return registers.rip - pc < INSN_BYTES_MAX;
}

void try_breakpoint(struct fl_trial *t)
{
	pid_t child = start_traced(t);
	struct user_regs_struct registers;
	unsigned nr_faults = 0, nr_over = 0;
	int status, sig;
	uintptr_t pc;
	long byte;

	fl_trial_doing(t, "waiting for a fault to be traced");
	ptrace(PTRACE_CONT, child, NULL, 0);
	sig = next_stop(child, &status);
	if (!is_fault(sig) && seen->done)
		fl_trial_skip(t, "a service thread resolves its faults, and no signal says where they are");
	if (!is_fault(sig))
		fl_trial_fail(t, "traced, the program did not get to its end");
	ptrace(PTRACE_GETREGS, child, NULL, &registers);
	pc = registers.rip;
	byte = poke(child, pc, 0xcc);
	fl_trial_doing(t, "running into a breakpoint at a fault site");
	for (unsigned i = 0; i < NR_BREAKS; i++) {
		ptrace(PTRACE_CONT, child, NULL, is_fault(sig) ? sig : 0);
		sig = next_stop(child, &status);
		if (is_fault(sig))
			fl_trial_fail(t, "a fault at a store behind a breakpoint");
		if (sig != SIGTRAP)
			fl_trial_fail(t, "with a breakpoint the program ended, or got SIG%s",
				      sig > 0 ? sigabbrev_np(sig) : "KILL");
		nr_over += step_over(t, child, pc, byte, &nr_faults);
	}
	poke(child, pc, byte);
	finish(t, child, sig);
	if (!nr_over)
		fl_trial_skip(t, "it goes on when the breakpoint is gone, which interrupts a restartable sequence");
	if (!nr_faults)
		fl_trial_fail(t, "no fault came where the breakpoint was");
}

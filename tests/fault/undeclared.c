/* SPDX-License-Identifier: MIT */
/*
 * A fault in a guard, below a frontier or in memory that was taken back, at a pc
 * that is no site: a bug of the program.  It must arrive where it belongs, with
 * its address and its pc, and neither be served nor go round in circles.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ordeal.h"
#include "vm/reserve.h"

#define RUNS_MAX	64u
#define SCENE_SECONDS	10u
#define CPU_SECONDS	3u

#define FRESH_BYTES	(ORDEAL_BYTES / 16)

/*
 * A heap in the middle of its life: a region with a chain of blocks, one that is
 * new, one that is dead, and, if so asked, one whose memory is exhausted, so that
 * the sink is in use.
 */
struct scene {
	struct fl_heap *heap;
	struct objects alive, fresh, dead;
	struct closed runs[RUNS_MAX];
	size_t nr_runs;
	unsigned nr_played;	/* bugs that have a place here */
};

/* What the program does wrong. */
struct bug {
	bool exhausted;		/* with the sink in use */
	enum access access;
	enum where { LOWEST, MIDDLE, HIGHEST, OF_THE_DEAD } where;
	size_t run;		/* of closed pages: the first, one in the middle
				   or the last, in halves of all */
};

/* What is known of it outside of the process that does it. */
struct known {
	volatile uintptr_t pc, address;
	unsigned nr_caught;
	char skipped[128];
};

static void scene_open(struct fl_trial *t, struct scene *s, bool exhausted)
{
	struct fl_need need = ORDEAL_NEED;

	if (exhausted)
		need.limit_bytes = ORDEAL_BYTES / 2;
	*s = (struct scene){ .heap = fl_trial_open(t, &need) };
	objects_open(t, &s->dead, fl_trial_region(t, s->heap), 3, 4096);
	objects_fill(&s->dead, ORDEAL_BYTES / 8);
	objects_open(t, &s->alive, fl_trial_region(t, s->heap), 1, 8192);
	objects_open(t, &s->fresh, fl_trial_region(t, s->heap), 2, 4096);
	t->s->region_destroy(s->dead.region);
	objects_fill(&s->fresh, FRESH_BYTES);
	objects_fill(&s->alive, ORDEAL_BYTES);
	if (exhausted != (s->alive.region->error == -ENOMEM))
		fl_trial_fail(t, "the region's error is %d",
			      s->alive.region->error);
	/* Where bump is in the sink. */
	for (int i = 0; exhausted && i < 1000; i++)
		t->s->object_new(s->alive.region, 24, 8, 1);
	s->nr_runs = closed_runs(t, s->heap, s->runs, RUNS_MAX);
}

/*
 * An extending handler serves any instruction, as far as an object of a site can
 * reach below a frontier, so at the high end of a run only what is farther down
 * is a bug.
 */
static char *place_of(struct fl_trial *t, const struct scene *s,
		      const struct bug *bug, const char **reason)
{
	const struct closed *run;
	char *high;

	if (bug->where == OF_THE_DEAD) {
		for (uint64_t i = 0; i < s->dead.nr; i++)
			if (is_closed((char *)s->dead.list[i].words))
				return (char *)s->dead.list[i].words;
		*reason = "what a dead region leaves is not closed";
		return NULL;
	}
	*reason = "there are no closed pages, or none so low";
	if (!s->nr_runs)
		return NULL;
	run = &s->runs[(s->nr_runs - 1) * bug->run / 2];
	high = run->high;
	if (t->s->answer == FL_ANSWER_EXTEND)
		high -= FL_GUARD_BYTES;
	if (high <= run->low)
		return NULL;
	switch (bug->where) {
	case LOWEST:
		return run->low;
	case MIDDLE:
		return run->low + (high - run->low) / 2 / 8 * 8;
	default:
		return high - 8;
	}
}

static struct known *known;
static char *watched_place;
static sigjmp_buf back;

static void program_handler(int sig, siginfo_t *info, void *context)
{
	const ucontext_t *uc = context;

	(void)sig;
	known->nr_caught++;
	if (info->si_addr != watched_place ||
	    (uintptr_t)uc->uc_mcontext.gregs[REG_RIP] != known->pc)
		known->nr_caught += 1000;
	siglongjmp(back, 1);
}

static void install(void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = {
		.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	if (!handler)
		action = (struct sigaction){ .sa_handler = SIG_DFL };
	sigemptyset(&action.sa_mask);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

static void tell(const struct bug *bug, char *out, size_t bytes)
{
	static const char *const wheres[] = {
		[LOWEST] = "the lowest byte", [MIDDLE] = "the middle",
		[HIGHEST] = "the highest word nobody may have",
		[OF_THE_DEAD] = "an object of a dead region, not",
	};

	snprintf(out, bytes, "a %s at %s of closed pages, run %zu/2%s",
		 bug->access == STORE ? "store" : "load", wheres[bug->where],
		 bug->run, bug->exhausted ? ", sink in use" : "");
}

/* Call @play for each bug. */
static void each_bug(struct fl_trial *t, bool exhausted,
		     void (*play)(struct fl_trial *, const struct bug *, void *),
		     void *arg)
{
	for (int access = LOAD; access <= STORE; access++)
		for (int where = LOWEST; where <= OF_THE_DEAD; where++)
			for (size_t run = 0; run < 3; run++) {
				const struct bug bug = {
					exhausted, access, where, run,
				};

				if (where != OF_THE_DEAD || !run)
					play(t, &bug, arg);
			}
}

/* A program that catches it, and goes on. */
static void be_caught(struct fl_trial *t, const struct bug *bug, void *arg)
{
	struct scene *s = arg;
	const char *reason;
	char what[128];

	known->nr_caught = 0;
	tell(bug, what, sizeof(what));
	watched_place = place_of(t, s, bug, &reason);
	if (!watched_place)
		return;
	s->nr_played++;
	for (volatile unsigned i = 1; i <= 2; i++) {
		fl_trial_doing(t, "waiting for the signal of %s", what);
		if (!sigsetjmp(back, 1)) {
			wild(bug->access, watched_place, &known->pc);
			fl_trial_fail(t, "%s: it was served", what);
		}
		if (known->nr_caught != i)
			fl_trial_fail(t, "%s: %s", what, known->nr_caught > 1000 ?
				      "the handler was told another address or pc" :
				      "the handler was called more than once");
		if (!is_closed(watched_place))
			fl_trial_fail(t, "%s: the page was opened", what);
		/* Up to where it was before, no farther: the place stays wrong. */
		objects_reset(&s->fresh);
		objects_fill(&s->fresh, FRESH_BYTES);
		objects_verify(&s->fresh, "after a fault was caught");
	}
}

static void play_caught(struct fl_trial *t, void *arg)
{
	const bool exhausted = *(const bool *)arg;
	struct scene s;

	limit_cpu(CPU_SECONDS);
	install(program_handler);
	scene_open(t, &s, exhausted);
	each_bug(t, exhausted, be_caught, &s);
	if (!s.nr_played)
		fl_trial_skip(t, "it has no closed pages");
	fl_trial_doing(t, "going on after all faults were caught");
	objects_verify(&s.alive, "after faults were caught");
	objects_reset(&s.alive);
	if (!objects_fill(&s.alive, ORDEAL_BYTES / 8))
		fl_trial_fail(t, "the region was no longer served");
	objects_verify(&s.alive, "after a reset");
	t->s->close(s.heap);
}

static void fail_endless(struct fl_trial *t, const struct fl_outcome *out)
{
	fl_trial_fail(t, "%s%s", out->text, out->signal == SIGXCPU ?
		      ": it goes round in circles" : "");
}

void try_undeclared(struct fl_trial *t)
{
	struct fl_outcome out;

	known = shared_pages(t, sizeof(*known));
	for (int i = 0; i < 2; i++) {
		bool exhausted = i;

		fl_trial_run(t->conform, play_caught, &exhausted, SCENE_SECONDS,
			     &out);
		if (out.verdict == FL_CHECK_FAIL)
			fail_endless(t, &out);
		if (out.verdict == FL_CHECK_SKIP)
			fl_trial_skip(t, "%s", out.text);
	}
}

/* What the process dies of, told by what traces it. */
struct death {
	unsigned nr_signals;
	uintptr_t pc, address;
	int code;
};

static void watch_death(struct fl_trial *t, pid_t child, struct death *death)
{
	int status;

	while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
		struct user_regs_struct registers;
		const int sig = WSTOPSIG(status);
		siginfo_t info;

		if ((sig == SIGSEGV || sig == SIGBUS) &&
		    !ptrace(PTRACE_GETSIGINFO, child, NULL, &info) &&
		    !ptrace(PTRACE_GETREGS, child, NULL, &registers)) {
			death->nr_signals++;
			death->pc = registers.rip;
			death->address = (uintptr_t)info.si_addr;
			death->code = info.si_code;
		}
		ptrace(PTRACE_CONT, child, NULL, sig);
	}
	if (*known->skipped)
		fl_trial_skip(t, "%s", known->skipped);
	if (!WIFSIGNALED(status))
		fl_trial_fail(t, "it was served, and the program lives on");
	if (WTERMSIG(status) != SIGSEGV && WTERMSIG(status) != SIGBUS)
		fl_trial_fail(t, "it died of SIG%s%s",
			      sigabbrev_np(WTERMSIG(status)),
			      WTERMSIG(status) == SIGXCPU ?
			      ": it goes round in circles" : "");
}

struct murder {
	const struct bug *bug;
	bool blocked;
};

static void __attribute__((noreturn))
die(struct fl_trial *t, const struct murder *murder, pid_t parent)
{
	const struct bug *bug = murder->bug;
	const char *reason = "";
	sigset_t both;
	struct scene s;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	limit_cpu(CPU_SECONDS);
	install(NULL);
	scene_open(t, &s, bug->exhausted);
	known->address = (uintptr_t)place_of(t, &s, bug, &reason);
	if (known->address && ptrace(PTRACE_TRACEME, 0, NULL, NULL)) {
		known->address = 0;
		reason = "this process may not be traced";
	}
	if (!known->address) {
		snprintf(known->skipped, sizeof(known->skipped), "%s", reason);
		_exit(0);
	}
	sigemptyset(&both);
	sigaddset(&both, SIGSEGV);
	sigaddset(&both, SIGBUS);
	if (murder->blocked)
		sigprocmask(SIG_BLOCK, &both, NULL);
	wild(bug->access, (char *)known->address, &known->pc);
	_exit(0);
}

/*
 * The signal that kills is the last: what a core would show.  The entry lets the
 * fault happen again under the default action; where a service thread is asked
 * about it each time, too.
 */
static void play_death(struct fl_trial *t, void *arg)
{
	const pid_t parent = getpid();
	struct death death = { 0 };
	pid_t child = fork();

	if (child < 0)
		fl_trial_fail(t, "fork: %s", strerror(errno));
	if (!child)
		die(t, arg, parent);
	fl_trial_doing(t, "waiting for the death of a process");
	watch_death(t, child, &death);
	if (death.pc != known->pc)
		fl_trial_fail(t, "the core would show another pc");
	if (death.address != known->address)
		fl_trial_fail(t, "the core would show another address, code %d",
			      death.code);
	if (death.code <= 0)
		fl_trial_fail(t, "the core would show no fault, but code %d",
			      death.code);
	if (death.nr_signals > 4)
		fl_trial_fail(t, "it took %u signals", death.nr_signals);
}

struct deaths {
	bool blocked;
	unsigned nr_played;
};

static void be_killed(struct fl_trial *t, const struct bug *bug, void *arg)
{
	struct deaths *deaths = arg;
	struct murder murder = { .bug = bug, .blocked = deaths->blocked };
	struct fl_outcome out;
	char what[128];

	/* Each is a process: loads, and other runs, in one place alone. */
	if ((bug->access == LOAD || deaths->blocked) &&
	    (bug->where != MIDDLE || bug->run != 1))
		return;
	memset(known, 0, sizeof(*known));
	tell(bug, what, sizeof(what));
	fl_trial_run(t->conform, play_death, &murder, SCENE_SECONDS, &out);
	if (out.verdict == FL_CHECK_FAIL)
		fl_trial_fail(t, "%s: %s", what, out.text);
	deaths->nr_played += out.verdict == FL_CHECK_PASS;
}

static void kill_all(struct fl_trial *t, bool blocked)
{
	struct deaths deaths = { .blocked = blocked };

	known = shared_pages(t, sizeof(*known));
	each_bug(t, false, be_killed, &deaths);
	each_bug(t, true, be_killed, &deaths);
	if (!deaths.nr_played)
		fl_trial_skip(t, "%s", *known->skipped ? known->skipped :
			      "it has no closed pages");
}

void try_core(struct fl_trial *t)
{
	kill_all(t, false);
}

/* The kernel does not let a fault wait. */
void try_blocked(struct fl_trial *t)
{
	kill_all(t, true);
}

/* SPDX-License-Identifier: MIT */
/*
 * Faults inside of handlers: ours, and the program's.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ordeal.h"
#include "vm/reserve.h"

#define SCENE_SECONDS	10u
#define CPU_SECONDS	3u
#define RANGES_MAX	32u

static void install(void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = {
		.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags,
	};

	if (!handler)
		action = (struct sigaction){ .sa_handler = SIG_DFL };
	sigemptyset(&action.sa_mask);
	/* A closed page may be a matter of either. */
	if (!(flags & SA_NODEFER)) {
		sigaddset(&action.sa_mask, SIGSEGV);
		sigaddset(&action.sa_mask, SIGBUS);
	}
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

static bool killed_by_fault(const struct fl_outcome *out)
{
	return out->signal == SIGSEGV || out->signal == SIGBUS;
}

static size_t metadata(struct fl_trial *t, const struct fl_heap *heap,
		       struct fl_range *out)
{
	struct fl_range ranges[RANGES_MAX];
	size_t nr_ranges = t->s->ranges(heap, ranges, RANGES_MAX), nr = 0;

	for (size_t i = 0; i < nr_ranges && i < RANGES_MAX; i++)
		if (ranges[i].kind == FL_RANGE_METADATA)
			out[nr++] = ranges[i];
	return nr;
}

/* The heap's own description, gone: the handler faults when it looks. */
static void play_unreadable(struct fl_trial *t, void *arg)
{
	const size_t which = *(const size_t *)arg;
	const struct fl_need need = ORDEAL_NEED;
	struct fl_range ranges[RANGES_MAX];
	struct objects o;
	struct fl_heap *heap;

	limit_cpu(CPU_SECONDS);
	install(NULL, 0);
	heap = fl_trial_open(t, &need);
	objects_open(t, &o, fl_trial_region(t, heap), 1, 8192);
	objects_fill(&o, ORDEAL_BYTES / 8);
	if (which >= metadata(t, heap, ranges))
		fl_trial_skip(t, "no more metadata");
	if (mprotect(ranges[which].base, ranges[which].bytes, PROT_NONE))
		fl_trial_fail(t, "mprotect: %s", strerror(errno));
	fl_trial_doing(t, "allocating with closed metadata");
	objects_fill(&o, ORDEAL_BYTES);
	/* It was not looked at; then all is as it should be. */
	objects_verify(&o, "with closed metadata");
}

void try_unreadable(struct fl_trial *t)
{
	struct fl_outcome out = { 0 };
	unsigned nr_deaths = 0;

	for (size_t i = 0; i < RANGES_MAX; i++) {
		fl_trial_run(t->conform, play_unreadable, &i, SCENE_SECONDS,
			     &out);
		if (out.verdict == FL_CHECK_SKIP)
			break;
		if (out.verdict == FL_CHECK_FAIL && !killed_by_fault(&out))
			fl_trial_fail(t, "metadata range %zu: %s", i, out.text);
		nr_deaths += killed_by_fault(&out);
	}
	if (!nr_deaths)
		fl_trial_fail(t, "no metadata is ever looked at");
}

/*
 * The program's handler, called for a fault in a closed page of the program,
 * then faults itself, in a guard.
 */
static struct stage {
	struct fl_trial *t;
	char *page, *guard;
	struct objects handlers;	/* of a heap of its own */
	unsigned depth, nr_calls;
	unsigned most;			/* calls, before it gives up by a jump */
	uintptr_t pc;
} stage;
static sigjmp_buf back;

static void wild_handler(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	if (++stage.nr_calls > stage.most)
		siglongjmp(back, 1);
	wild(STORE, stage.guard, &stage.pc);
}

static struct fl_heap *stage_open(struct fl_trial *t, struct objects *mains)
{
	const struct fl_need need = ORDEAL_NEED;
	struct fl_heap *heap = fl_trial_open(t, &need);
	struct closed runs[8];
	size_t nr_runs;

	limit_cpu(CPU_SECONDS);
	objects_open(t, mains, fl_trial_region(t, heap), 1, 16384);
	objects_fill(mains, ORDEAL_BYTES / 2);
	nr_runs = closed_runs(t, heap, runs, 8);
	stage = (struct stage){ .t = t };
	stage.page = mmap(NULL, fl_page_bytes(), PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (nr_runs)
		stage.guard = runs[0].low;
	return heap;
}

struct stunt {
	int flags;
	unsigned most;
	bool dies;
};

static void play_handler_faults(struct fl_trial *t, void *arg)
{
	const struct stunt *stunt = arg;
	struct fl_heap *heap;
	struct objects o;

	install(wild_handler, stunt->flags);
	heap = stage_open(t, &o);
	if (!stage.guard)
		fl_trial_skip(t, "there is no closed page");
	stage.most = stunt->most;
	fl_trial_doing(t, "faulting in the program's handler");
	if (!sigsetjmp(back, 1)) {
		wild(STORE, stage.page, &stage.pc);
		fl_trial_fail(t, "the store to a closed page went through");
	}
	if (stage.nr_calls != stunt->most + 1)
		fl_trial_fail(t, "the handler was called %u times, not %u",
			      stage.nr_calls, stunt->most + 1);
	objects_fill(&o, ORDEAL_BYTES);
	objects_verify(&o, "after faults in the program's handler");
	t->s->close(heap);
}

void try_handler_faults(struct fl_trial *t)
{
	static const struct stunt stunts[] = {
		/* Blocked in its own handler, a fault kills. */
		{ .flags = 0, .most = 1, .dies = true },
		/* With SA_NODEFER it is a fault like any other. */
		{ .flags = SA_NODEFER, .most = 3, .dies = false },
		/* Without end, it is a stack that overflows. */
		{ .flags = SA_NODEFER, .most = 1u << 31, .dies = true },
	};
	/* ThreadSanitizer blocks every signal while a handler runs. */
	const bool blocked = fl_trial_build() == FL_BUILD_TSAN;
	struct fl_outcome out;

	for (size_t i = 0; i < sizeof(stunts) / sizeof(stunts[0]); i++) {
		fl_trial_run(t->conform, play_handler_faults,
			     (void *)(uintptr_t)&stunts[i], SCENE_SECONDS, &out);
		if (out.verdict == FL_CHECK_SKIP)
			fl_trial_skip(t, "%s", out.text);
		if (stunts[i].dies || blocked ? !killed_by_fault(&out) :
						out.verdict != FL_CHECK_PASS)
			fl_trial_fail(t, "stunt %zu: %s", i,
				      out.verdict == FL_CHECK_PASS ?
				      "the program lives on" : out.text);
	}
}

/* The program's handler repairs its page, and allocates, as ours runs below it. */
static void busy_handler(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	stage.nr_calls++;
	objects_fill(&stage.handlers, stage.handlers.bytes + ORDEAL_BYTES / 8);
	if (mprotect(stage.page, fl_page_bytes(), PROT_READ | PROT_WRITE))
		_exit(1);
}

static void play_handler_allocates(struct fl_trial *t, void *arg)
{
	const struct stunt *stunt = arg;
	const struct fl_need need = ORDEAL_NEED;
	struct fl_heap *heap, *handlers_heap;
	struct objects o;
	uint64_t before;

	install(busy_handler, stunt->flags);
	heap = stage_open(t, &o);
	handlers_heap = fl_trial_open(t, &need);
	objects_open(t, &stage.handlers, fl_trial_region(t, handlers_heap), 2,
		     8192);
	before = handlers_heap->events.nr_hits;
	for (unsigned i = 1; i <= 4; i++) {
		fl_trial_doing(t, "allocating in the program's handler");
		wild(STORE, stage.page, &stage.pc);
		if (stage.nr_calls != i)
			fl_trial_fail(t, "the handler was called %u times, not %u",
				      stage.nr_calls, i);
		objects_verify(&stage.handlers, "what the handler allocated");
		objects_fill(&o, o.bytes + ORDEAL_BYTES / 8);
		objects_verify(&o, "after the handler allocated");
		mprotect(stage.page, fl_page_bytes(), PROT_NONE);
	}
	need_hits(t, heap->events.nr_hits);
	if (handlers_heap->events.nr_hits == before)
		fl_trial_fail(t, "the handler had no fault");
	t->s->close(handlers_heap);
	t->s->close(heap);
}

/*
 * Without SA_NODEFER a fault of the handler's own allocation is blocked, and the
 * kernel kills; with a service thread there is no signal, and it works.
 */
void try_handler_allocates(struct fl_trial *t)
{
	static const struct stunt deferred = { .flags = 0, .dies = true };
	static const struct stunt nested = { .flags = SA_NODEFER };
	struct fl_outcome out;

	fl_trial_run(t->conform, play_handler_allocates,
		     (void *)(uintptr_t)&deferred, SCENE_SECONDS, &out);
	if (out.verdict == FL_CHECK_FAIL && !killed_by_fault(&out))
		fl_trial_fail(t, "with its signal blocked: %s", out.text);
	fl_trial_run(t->conform, play_handler_allocates,
		     (void *)(uintptr_t)&nested, SCENE_SECONDS, &out);
	if (out.verdict == FL_CHECK_SKIP)
		fl_trial_skip(t, "%s", out.text);
	if (killed_by_fault(&out) && fl_trial_build() == FL_BUILD_TSAN)
		fl_trial_skip(t, "ThreadSanitizer blocks every signal while a handler runs");
	if (out.verdict != FL_CHECK_PASS)
		fl_trial_fail(t, "with SA_NODEFER: %s", out.text);
}

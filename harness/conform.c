/* SPDX-License-Identifier: MIT */
/*
 * Trials, and the list of checks.
 *
 * A trial reports through a pipe: records of one letter (P, F, S) and a text,
 * each written by one write of at most PIPE_BUF bytes.  What it was doing is in
 * a page shared with the waiting process, because a process that crashes has no
 * time to write.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "harness/conform_check.h"
#include "vm/reserve.h"
#include "vm/sanitized.h"

#define BUILT_WITH		(FL_HAVE_ASAN ? FL_BUILD_ASAN : \
				 FL_HAVE_TSAN ? FL_BUILD_TSAN : FL_BUILD_PLAIN)

#define OPS_PER_SECOND		500u

/* A program with a heap, a region and objects in mind: what most checks need. */
#define SMALL_NEED { .region_bytes = 4096, .object_bytes = 4096, .nr_regions = 1 }

struct fl_trial_shared {
	volatile uintptr_t crash_pc;
	char doing[512];
};

const struct fl_check fl_checks[] = {
	{ "table", "the strategy's table makes sense", fl_try_table },
	{ "probe", "the probe answers, and leaves nothing behind", fl_try_probe },
	{ "open-close", "heaps open and close many times and leave nothing behind", fl_try_open_close },
	{ "first-word", "the first word of every object is stored", fl_try_first_word },
	{ "alignment", "objects of any size come aligned as asked", fl_try_alignment },
	{ "overlap", "live objects do not overlap", fl_try_overlap },
	{ "contents", "contents survive until their region dies", fl_try_contents },
	{ "reset", "a reset region starts afresh and disturbs no other", fl_try_reset },
	{ "destroy", "a destroyed region makes room for another", fl_try_destroy },
	{ "many-regions", "thousands of regions live side by side", fl_try_many_regions },
	{ "region-limit", "one region too many is an error and not a crash", fl_try_region_limit },
	{ "builder", "arrays of any length are what was pushed, and disturb nothing", fl_try_builder },
	{ "read", "what is read into a region is what was to be read, and disturbs nothing", fl_try_read },
	{ "exhaustion", "without memory there is an error, and the program goes on", fl_try_exhaustion },
	{ "exhausted-kernels", "kernels report that memory was exhausted", fl_try_exhausted_kernels },
	{ "foreign-faults", "faults that are not the heap's reach the program's handler", fl_try_foreign_faults },
	{ "default-faults", "without a handler they kill with the right signal", fl_try_default_faults },
	{ "handlers", "signal handlers, mask and stack are restored by close", fl_try_handlers },
	{ "errno", "handled faults leave errno alone", fl_try_errno },
	{ "guards", "what is redirected lands in another block, and no page of a guard is mapped", fl_try_guards },
	{ "two-heaps", "two heaps live side by side", fl_try_two_heaps },
	{ "two-threads", "two threads may have a heap each", fl_try_two_threads },
	{ "ranges", "every page that became resident is in a declared range", fl_try_ranges },
	{ "trim", "trim takes nothing that is in use", fl_try_trim },
	{ "trim-idle", "trim copes with regions that were never used, and with itself", fl_try_trim_idle },
	{ "geometry", "the slow path runs as often as the geometry implies", fl_try_geometry },
	{ "verify-kernels", "every object of every kernel is there, for both residences", fl_try_verify_kernels },
	{ "timed-kernels", "all modes of a kernel compute what the reference does", fl_try_timed_kernels },
	{ "random", "random operations agree with a shadow model", fl_try_random },
	{ "random-program", "random programs agree with it in both residences", fl_try_random_program },
};

const size_t fl_nr_checks = sizeof(fl_checks) / sizeof(fl_checks[0]);

enum fl_build fl_trial_build(void)
{
	return BUILT_WITH;
}

unsigned fl_trial_slowness(void)
{
	return BUILT_WITH == FL_BUILD_PLAIN ? 1 : 10;
}

uint64_t fl_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/*
 * Inside a trial.
 */

static struct fl_trial_shared *crash_shared;

/* Note where, and let it happen again: the process dies of the signal. */
static void crashed(int sig, siginfo_t *info, void *context)
{
	const ucontext_t *uc = context;

	(void)sig;
	(void)info;
	crash_shared->crash_pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
}

static void note_crashes(struct fl_trial_shared *shared)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	struct sigaction action = {
		.sa_sigaction = crashed,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND,
	};

	crash_shared = shared;
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		sigaction(fatal[i], &action, NULL);
}

static void __attribute__((format(printf, 3, 0)))
report(const struct fl_trial *t, char letter, const char *format, va_list args)
{
	char record[PIPE_BUF];
	size_t bytes;

	record[0] = letter;
	vsnprintf(record + 1, sizeof(record) - 1, format, args);
	bytes = strlen(record) + 1;
	/* Nobody is left to be told when this fails. */
	if (write(t->report, record, bytes) != (ssize_t)bytes)
		_exit(1);
}

void fl_trial_fail(struct fl_trial *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(t, 'F', format, args);
	_exit(0);
}

void fl_trial_skip(struct fl_trial *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(t, 'S', format, args);
	_exit(0);
}

void fl_trial_doing(struct fl_trial *t, const char *format, ...)
{
	va_list args;

	if (!t->shared)
		return;
	va_start(args, format);
	vsnprintf(t->shared->doing, sizeof(t->shared->doing), format, args);
	va_end(args);
}

void *fl_trial_alloc(struct fl_trial *t, size_t nr, size_t bytes)
{
	void *p = calloc(nr ? nr : 1, bytes);

	if (!p)
		fl_trial_fail(t, "the suite itself is short of memory");
	return p;
}

static void __attribute__((noreturn))
child(struct fl_trial *t, pid_t parent, fl_trial_fn fn, void *arg)
{
	const struct rlimit no_core = { 0, 0 };

	/* Whatever ends the waiting process ends this one. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	setrlimit(RLIMIT_CORE, &no_core);
	note_crashes(t->shared);
	fn(t, arg);
	if (write(t->report, "P", 2) != 2)
		_exit(1);
	_exit(0);
}

/*
 * Outside.
 */

/* Has the process ended?  It stays to be waited for. */
static bool has_ended(pid_t pid)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) ||
	       info.si_pid == pid;
}

/*
 * Collect what the trial writes until it ends.  False when it takes too long.
 * The end of the pipe says so at once, unless a process that the trial left
 * behind holds it open.
 */
static bool collect(pid_t pid, int pipe_fd, unsigned seconds, char *text,
		    size_t text_bytes)
{
	const uint64_t end = now_ns() + seconds * (uint64_t)1000000000;
	struct pollfd fd = { .fd = pipe_fd, .events = POLLIN };
	size_t used = 0;

	while (now_ns() < end) {
		/* Asked first: what it wrote before its end is read below. */
		const bool ended = has_ended(pid);
		ssize_t n;

		while (used < text_bytes &&
		       (n = read(pipe_fd, text + used, text_bytes - used)) > 0)
			used += (size_t)n;
		if (ended)
			return true;
		if (fd.revents & POLLHUP)
			fd.fd = -1;
		poll(&fd, 1, fd.fd < 0 ? 1 : 50);
	}
	return false;
}

static void explain_signal(const struct fl_trial_shared *shared, int sig,
			   struct fl_outcome *out)
{
	const char *name = sigabbrev_np(sig);
	char where[256] = "";
	Dl_info info;

	/* A trial has the mappings of the process that forked it. */
	if (shared->crash_pc &&
	    dladdr((void *)shared->crash_pc, &info) && info.dli_fname) {
		const char *file = strrchr(info.dli_fname, '/');

		snprintf(where, sizeof(where), " at %s+0x%zx",
			 file ? file + 1 : info.dli_fname,
			 (size_t)(shared->crash_pc -
				  (uintptr_t)info.dli_fbase));
	}
	snprintf(out->text, sizeof(out->text), "died of SIG%s%s%s%s",
		 name ? name : "?", where, *shared->doing ? " while " : "",
		 shared->doing);
}

/* The verdict, from what was written and how the process ended. */
static void judge(const struct fl_trial_shared *shared, const char *text,
		  int status, bool in_time, unsigned seconds,
		  struct fl_outcome *out)
{
	*out = (struct fl_outcome){ .verdict = FL_CHECK_FAIL };
	if (!in_time) {
		snprintf(out->text, sizeof(out->text),
			 "no end after %u seconds%s%s", seconds,
			 *shared->doing ? ", while " : "", shared->doing);
	} else if (WIFSIGNALED(status)) {
		out->signal = WTERMSIG(status);
		explain_signal(shared, out->signal, out);
	} else if (*text == 'P' || *text == 'S' || *text == 'F') {
		out->verdict = *text == 'P' ? FL_CHECK_PASS :
			       *text == 'S' ? FL_CHECK_SKIP : FL_CHECK_FAIL;
		snprintf(out->text, sizeof(out->text), "%s", text + 1);
	} else {
		snprintf(out->text, sizeof(out->text),
			 "the process ended by itself with status %d%s%s",
			 WEXITSTATUS(status), *shared->doing ? " while " : "",
			 shared->doing);
	}
}

static void cannot(struct fl_outcome *out, const char *what)
{
	*out = (struct fl_outcome){ .verdict = FL_CHECK_FAIL };
	snprintf(out->text, sizeof(out->text), "%s: %s", what, strerror(errno));
}

void fl_trial_run(const struct fl_conform *conform, fl_trial_fn fn, void *arg,
		  unsigned seconds, struct fl_outcome *out)
{
	struct fl_trial t = { .conform = conform, .s = conform->strategy };
	char text[FL_CHECK_TEXT_BYTES] = "";
	const pid_t parent = getpid();
	int fds[2], status = 0;
	bool in_time;
	pid_t pid;

	seconds *= fl_trial_slowness();
	t.shared = mmap(NULL, fl_page_round(sizeof(*t.shared)),
			PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (t.shared == MAP_FAILED) {
		cannot(out, "mmap");
		return;
	}
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK)) {
		cannot(out, "pipe");
		goto unmap;
	}
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		cannot(out, "fork");
		goto close_pipe;
	}
	if (!pid) {
		close(fds[0]);
		t.report = fds[1];
		child(&t, parent, fn, arg);
	}
	close(fds[1]);
	fds[1] = -1;
	in_time = collect(pid, fds[0], seconds, text, sizeof(text) - 1);
	if (!in_time)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	/* The trial may have scribbled on it. */
	t.shared->doing[sizeof(t.shared->doing) - 1] = '\0';
	judge(t.shared, text, status, in_time, seconds, out);

close_pipe:
	close(fds[0]);
	if (fds[1] >= 0)
		close(fds[1]);
unmap:
	munmap(t.shared, fl_page_round(sizeof(*t.shared)));
}

static void run_check(struct fl_trial *t, void *arg)
{
	const struct fl_check *check = arg;

	check->run(t);
}

static void run(const struct fl_conform *conform, fl_trial_fn fn, void *arg,
		struct fl_check_result *result)
{
	const uint64_t start = now_ns();
	unsigned seconds = conform->timeout_s;
	struct fl_outcome out;

	if (conform->nr_ops > FL_CONFORM_OPS_DEFAULT)
		seconds += (unsigned)((conform->nr_ops - FL_CONFORM_OPS_DEFAULT) /
				      OPS_PER_SECOND);
	fl_trial_run(conform, fn, arg, seconds, &out);
	*result = (struct fl_check_result){
		.verdict = out.verdict, .wall_ns = now_ns() - start,
	};
	memcpy(result->text, out.text, sizeof(result->text));
}

void fl_check_run(const struct fl_check *check, const struct fl_conform *conform,
		  struct fl_check_result *result)
{
	run(conform, run_check, (void *)(uintptr_t)check, result);
}

static void ask_probe(struct fl_trial *t, void *arg)
{
	char reason[512] = "";
	int err;

	(void)arg;
	if (!t->s->probe)
		return;
	fl_trial_doing(t, "asking the probe");
	err = t->s->probe(t->conform->values, reason, sizeof(reason));
	if (!err)
		return;
	reason[sizeof(reason) - 1] = '\0';
	fl_trial_skip(t, "%s", *reason ? reason : strerror(-err));
}

void fl_check_supported(const struct fl_conform *conform,
			struct fl_check_result *result)
{
	run(conform, ask_probe, NULL, result);
}

/*
 * Heaps.
 */

/* How much a region holds at most, where one range per region is all it has. */
static uint64_t region_room(const struct fl_trial *t,
			    const struct fl_geometry *g)
{
	return t->s->answer == FL_ANSWER_EXTEND ? g->block_bytes : UINT64_MAX;
}

struct fl_heap *fl_trial_open(struct fl_trial *t, const struct fl_need *need)
{
	const struct fl_open_args args = {
		.values = t->conform->values,
		.region_bytes_max = need->region_bytes,
		.object_bytes_max = need->object_bytes,
		.nr_regions_max = need->nr_regions,
		.cpu = -1,
		.limit_bytes = need->limit_bytes,
	};
	struct fl_geometry g = { 0 };
	struct fl_heap *heap = NULL;
	int err;

	fl_trial_doing(t, "opening a heap");
	err = t->s->open(&args, &heap);
	if (err == -ENOMEM && BUILT_WITH == FL_BUILD_TSAN)
		fl_trial_skip(t, "ThreadSanitizer leaves a process too few addresses");
	if (err)
		fl_trial_fail(t, "open: %s", strerror(err < 0 ? -err : err));
	if (!heap)
		fl_trial_fail(t, "open returned 0 and no heap");
	t->s->geometry(heap, &g);
	if (!need->limit_bytes && region_room(t, &g) < need->region_bytes)
		fl_trial_skip(t, "with these settings a region holds at most %llu bytes, and this check needs %llu",
			      (unsigned long long)g.block_bytes,
			      (unsigned long long)need->region_bytes);
	return heap;
}

struct fl_region *fl_trial_region(struct fl_trial *t, struct fl_heap *heap)
{
	struct fl_region *region = NULL;
	int err;

	fl_trial_doing(t, "creating a region");
	err = t->s->region_create(heap, &region);
	if (err)
		fl_trial_fail(t, "region_create: %s",
			      strerror(err < 0 ? -err : err));
	if (!region)
		fl_trial_fail(t, "region_create returned 0 and no region");
	if (region->events != &heap->events)
		fl_trial_fail(t, "region_create left region->events elsewhere than at the heap's events");
	if (region->error)
		fl_trial_fail(t, "a new region has error %d", region->error);
	return region;
}

struct fl_geometry fl_trial_geometry(struct fl_trial *t)
{
	const struct fl_need need = SMALL_NEED;
	struct fl_heap *heap = fl_trial_open(t, &need);
	struct fl_geometry g = { 0 };

	t->s->geometry(heap, &g);
	t->s->close(heap);
	return g;
}

uint64_t fl_trial_stretch(struct fl_trial *t, uint64_t least, uint64_t most)
{
	const struct fl_geometry g = fl_trial_geometry(t);
	const uint64_t unit = t->s->answer == FL_ANSWER_NEVER ? 0 :
		g.step_bytes ? g.step_bytes : g.block_bytes;
	uint64_t bytes = unit < most ? unit * 5 / 2 : most;

	bytes = bytes < least ? least : bytes;
	return bytes < most ? bytes : most;
}

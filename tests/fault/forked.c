/* SPDX-License-Identifier: MIT */
/*
 * fork with live heaps: both processes have all objects, and both go on, or the
 * child's regions say that they cannot.  vm/fork.h has the rules.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ordeal.h"

/* What a refusal looks like. */
#define REFUSAL		(-EOWNERDEAD)

/* With which ThreadSanitizer ends a process, unless TSAN_OPTIONS has another. */
#define TSAN_STATUS	66

#define RUNS_MAX	64u
#define NR_FORKS	24u
#define NR_THREADS	3u

static pid_t fork_trial(struct fl_trial *t)
{
	const pid_t parent = getpid();
	pid_t child = fork();

	if (child < 0 && errno == EAGAIN)
		fl_trial_skip(t, "fork: %s: there may be no process more (RLIMIT_NPROC, ulimit -u)",
			      strerror(errno));
	if (child < 0)
		fl_trial_fail(t, "fork: %s", strerror(errno));
	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	return 0;
}

/* A child that fails has told already, and ends with 0 like one that does not. */
static void wait_for(struct fl_trial *t, pid_t child)
{
	int status = 0;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		fl_trial_fail(t, "the child died of SIG%s",
			      sigabbrev_np(WTERMSIG(status)));
	/* Where its parent had some; a race in the child is reported all the same. */
	if (WEXITSTATUS(status) == TSAN_STATUS &&
	    fl_trial_build() == FL_BUILD_TSAN)
		fl_trial_skip(t, "new threads after a fork are not supported by ThreadSanitizer");
	if (WEXITSTATUS(status))
		fl_trial_fail(t, "the child ended with status %d",
			      WEXITSTATUS(status));
}

static uint64_t nr_events(const struct fl_heap *heap)
{
	return heap->events.nr_hits + heap->events.nr_refills;
}

static uint64_t nr_closed_bytes(const struct closed *runs, size_t nr)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < nr; i++)
		bytes += (uint64_t)(runs[i].high - runs[i].low);
	return bytes;
}

/*
 * A region that is new, filled: returns the events that took, or a refusal.  A
 * mechanism that is lost in silence serves without events, or without guards.
 */
static int64_t fill_new(struct fl_trial *t, struct fl_heap *heap,
			struct objects *o)
{
	const uint64_t before = nr_events(heap);
	struct fl_region *region = NULL;
	int err = t->s->region_create(heap, &region);

	if (err)
		return err;
	objects_open(t, o, region, 7, 8192);
	objects_fill(o, ORDEAL_BYTES);
	if (region->error)
		return region->error;
	return (int64_t)(nr_events(heap) - before);
}

/* A heap that was opened in this process, whatever became of those before. */
static void use_another_heap(struct fl_trial *t, int64_t nr_new)
{
	const struct fl_need need = ORDEAL_NEED;
	struct fl_heap *heap = fl_trial_open(t, &need);
	struct objects o;
	int64_t nr = fill_new(t, heap, &o);

	if (nr != nr_new)
		fl_trial_fail(t, "a region of a heap opened in a child took %" PRId64
			      " events, in the parent %" PRId64, nr, nr_new);
	objects_verify(&o, "in a heap opened in a child");
	t->s->close(heap);
}

struct before_fork {
	struct fl_heap *heap;
	struct objects used, fresh;
	int64_t nr_new;			/* events a new region takes */
	struct closed runs[RUNS_MAX];
	size_t nr_runs;
	char *beyond;			/* where the next region may be */
	bool beyond_is_closed;
};

static void look_at_pages(struct fl_trial *t, struct before_fork *b)
{
	struct fl_range ranges[16];
	size_t nr = t->s->ranges(b->heap, ranges, 16);

	b->nr_runs = closed_runs(t, b->heap, b->runs, RUNS_MAX);
	for (size_t i = 0; i < nr && i < 16; i++)
		if (ranges[i].kind == FL_RANGE_OBJECTS)
			b->beyond = ranges[i].base + ranges[i].bytes +
				    2 * FL_GUARD_BYTES;
	b->beyond_is_closed = is_closed(b->beyond);
}

static void check_closed(struct fl_trial *t, const struct before_fork *b)
{
	static struct closed now[RUNS_MAX];
	const size_t nr = closed_runs(t, b->heap, now, RUNS_MAX);

	if (nr != b->nr_runs || memcmp(now, b->runs, nr * sizeof(*now)))
		fl_trial_fail(t, "%" PRIu64 " bytes of the heap are closed in the child; in the parent %"
			      PRIu64 " were", nr_closed_bytes(now, nr),
			      nr_closed_bytes(b->runs, b->nr_runs));
	if (is_closed(b->beyond) != b->beyond_is_closed)
		fl_trial_fail(t, "memory that was never used is open in the child, and was not in the parent");
}

static void served_or_refused(struct fl_trial *t, int64_t nr, int64_t expected)
{
	if (nr == REFUSAL || nr == expected)
		return;
	fl_trial_fail(t, nr < 0 ? "in the child the error is %" PRId64 ", not %" PRId64 :
		      "in the child a new region took %" PRId64 " events, in the parent %" PRId64,
		      nr, nr < 0 ? REFUSAL : expected);
}

static void go_on_in(struct fl_trial *t, struct before_fork *b)
{
	struct objects in_child;
	int64_t nr;

	check_closed(t, b);
	objects_verify(&b->used, "in a child");
	/* A new region first: an old one may have room left. */
	nr = fill_new(t, b->heap, &in_child);
	served_or_refused(t, nr, b->nr_new);
	if (nr >= 0)
		objects_verify(&in_child, "allocated in a child");
	if (objects_fill(&b->used, b->used.bytes + ORDEAL_BYTES / 2) ?
	    nr == REFUSAL : b->used.region->error != REFUSAL)
		fl_trial_fail(t, "in the child an old region has error %d, and a new one %" PRId64,
			      b->used.region->error, nr);
	objects_verify(&b->used, "in a child that allocates");
}

static void __attribute__((noreturn))
end_in(struct fl_trial *t, struct before_fork *b)
{
	fl_trial_doing(t, "resetting, destroying and trimming in a child");
	objects_reset(&b->used);
	objects_fill(&b->used, ORDEAL_BYTES);
	if (b->used.region->error && b->used.region->error != REFUSAL)
		fl_trial_fail(t, "after a reset in the child the error is %d",
			      b->used.region->error);
	objects_verify(&b->used, "allocated in a child after a reset");
	t->s->region_destroy(b->fresh.region);
	if (t->s->trim)
		t->s->trim(b->heap);
	objects_verify(&b->used, "in a child after a trim");
	use_another_heap(t, b->nr_new);
	fl_trial_doing(t, "closing a heap of the parent's in a child");
	t->s->close(b->heap);
	use_another_heap(t, b->nr_new);
	_exit(0);
}

/* And have a child. */
static void __attribute__((noreturn))
be_child(struct fl_trial *t, struct before_fork *b)
{
	pid_t child;

	fl_trial_doing(t, "allocating in a child");
	go_on_in(t, b);
	look_at_pages(t, b);
	child = fork_trial(t);
	if (!child) {
		fl_trial_doing(t, "allocating in a child's child");
		go_on_in(t, b);
		end_in(t, b);
	}
	wait_for(t, child);
	end_in(t, b);
}

void try_fork(struct fl_trial *t)
{
	const struct fl_need need = ORDEAL_NEED;
	struct before_fork b = { .heap = fl_trial_open(t, &need) };
	struct objects other;
	pid_t child;

	b.nr_new = fill_new(t, b.heap, &other);
	objects_open(t, &b.used, fl_trial_region(t, b.heap), 1, 16384);
	objects_fill(&b.used, ORDEAL_BYTES / 3);
	objects_open(t, &b.fresh, fl_trial_region(t, b.heap), 2, 8192);
	look_at_pages(t, &b);
	child = fork_trial(t);
	if (!child)
		be_child(t, &b);
	fl_trial_doing(t, "allocating in the parent");
	objects_fill(&b.used, ORDEAL_BYTES);
	objects_fill(&b.fresh, ORDEAL_BYTES);
	wait_for(t, child);
	if (b.used.region->error || b.fresh.region->error)
		fl_trial_fail(t, "in the parent a region has error %d",
			      b.used.region->error | b.fresh.region->error);
	objects_verify(&b.used, "in the parent");
	objects_verify(&b.fresh, "in the parent");
	objects_verify(&other, "in the parent");
	if (fill_new(t, b.heap, &other) != b.nr_new)
		fl_trial_fail(t, "in the parent a new region took another number of events");
	objects_verify(&other, "in the parent");
	t->s->close(b.heap);
}

/*
 * At any moment: a timer's handler forks, wherever it interrupted the program.
 * The child returns from the handler, too, and goes on where its parent was.
 */
static volatile unsigned nr_forks;
static volatile int worst;	/* wait status */
static volatile bool is_child;

static void fork_in_handler(int sig)
{
	const int saved_errno = errno;
	pid_t child;
	int status = -1;

	(void)sig;
	if (is_child)
		return;
	child = fork();
	if (!child) {
		is_child = true;
		return;
	}
	waitpid(child, &status, 0);
	nr_forks++;
	worst = status ? status : worst;
	errno = saved_errno;
}

static void go_on_in_child(struct fl_trial *t, struct objects *o)
{
	const int error = o->region->error;

	if (error && error != REFUSAL)
		fl_trial_fail(t, "in a child the error is %d", error);
	objects_verify(o, "in a child that was forked at any moment");
	objects_reset(o);
	objects_fill(o, ORDEAL_BYTES / 4);
	objects_verify(o, "in a child that was forked at any moment");
	_exit(0);
}

void try_fork_often(struct fl_trial *t)
{
	const struct fl_need need = ORDEAL_NEED;
	struct sigaction action = { .sa_handler = fork_in_handler };
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1,
	};
	struct fl_heap *heap = fl_trial_open(t, &need);
	uint64_t random = t->conform->seed;
	struct objects o;
	timer_t timer;

	if (fl_trial_build() == FL_BUILD_TSAN)
		fl_trial_skip(t, "ThreadSanitizer does not let a signal handler fork");
	objects_open(t, &o, fl_trial_region(t, heap), 1, 8192);
	nr_forks = 0;
	worst = 0;
	sigemptyset(&action.sa_mask);
	sigaction(SIGUSR1, &action, NULL);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		fl_trial_fail(t, "timer_create: %s", strerror(errno));
	while (nr_forks < NR_FORKS) {
		struct itimerspec soon = { .it_interval.tv_nsec = 0 };
		unsigned nr;

		if (WIFSIGNALED(worst))
			fl_trial_fail(t, "a child died of SIG%s",
				      sigabbrev_np(WTERMSIG(worst)));
		if (worst)
			fl_trial_fail(t, "a child ended with status %d",
				      WEXITSTATUS(worst));
		soon.it_value.tv_nsec = 1 + (long)(fl_random(&random) % 60000);
		nr = nr_forks;
		timer_settime(timer, 0, &soon, NULL);
		while (nr == nr_forks && !is_child) {
			if (o.bytes > ORDEAL_BYTES)
				objects_reset(&o);
			objects_fill(&o, o.bytes + 40 * KIB);
			if (o.region->error)
				break;
		}
		if (is_child)
			go_on_in_child(t, &o);
		if (o.region->error)
			fl_trial_fail(t, "in the parent the error is %d",
				      o.region->error);
		objects_verify(&o, "in the parent of many");
	}
	timer_delete(timer);
	t->s->close(heap);
}

/* Other threads allocate, and open and close heaps, while one forks. */
static volatile bool enough;

static void *allocate(void *arg)
{
	const struct fl_need need = ORDEAL_NEED;
	struct fl_trial *t = arg;

	while (!enough) {
		struct fl_heap *heap = fl_trial_open(t, &need);
		struct objects o;

		objects_open(t, &o, fl_trial_region(t, heap), 5, 512);
		objects_fill(&o, ORDEAL_BYTES / 8);
		objects_verify(&o, "beside a thread that forks");
		t->s->close(heap);
		free(o.list);
	}
	return NULL;
}

static void be_child_of_thread(struct fl_trial *t, struct fl_heap *heap,
			       struct objects *o, int64_t nr_new)
{
	fl_trial_doing(t, "being a child of a process with threads");
	objects_verify(o, "in a child");
	objects_fill(o, o->bytes + ORDEAL_BYTES / 8);
	if (o->region->error && o->region->error != REFUSAL)
		fl_trial_fail(t, "in a child the error is %d",
			      o->region->error);
	objects_verify(o, "in a child that allocates");
	t->s->close(heap);
	use_another_heap(t, nr_new);
	_exit(0);
}

void try_fork_of_thread(struct fl_trial *t)
{
	const struct fl_need need = ORDEAL_NEED;
	struct fl_trial others = *t;
	struct fl_heap *heap = fl_trial_open(t, &need);
	pthread_t threads[NR_THREADS];
	struct objects o;
	int64_t nr_new;

	if (fl_trial_build() != FL_BUILD_PLAIN)
		fl_trial_skip(t, "a child may find a sanitizer's locks held by threads that it has not");
	nr_new = fill_new(t, heap, &o);
	others.shared = NULL;
	enough = false;
	objects_open(t, &o, fl_trial_region(t, heap), 1, 8192);
	for (unsigned i = 0; i < NR_THREADS; i++)
		if (pthread_create(&threads[i], NULL, allocate, &others))
			fl_trial_skip(t, "this host starts no more threads");
	for (unsigned i = 0; i < NR_FORKS; i++) {
		pid_t child;

		objects_fill(&o, ORDEAL_BYTES / 16 * (1 + i % 4));
		child = fork_trial(t);
		if (!child)
			be_child_of_thread(t, heap, &o, nr_new);
		objects_reset(&o);
		objects_fill(&o, ORDEAL_BYTES / 8);
		wait_for(t, child);
		if (o.region->error)
			fl_trial_fail(t, "in the parent the error is %d",
				      o.region->error);
		objects_verify(&o, "in the parent");
		objects_reset(&o);
	}
	enough = true;
	for (unsigned i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	t->s->close(heap);
}

/* SPDX-License-Identifier: MIT */
/*
 * Memory that is exhausted inside a handler, by a heap's limit, by the limit on
 * mappings, by limits on address space: the region has an error, nobody else
 * notices, and a reset brings it back to life once there is memory again.  And
 * alternate stacks that are too small for a handler.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ordeal.h"
#include "vm/reserve.h"

/* With more mappings than this allowed, filling them takes too long. */
#define NR_VMAS_MAX	300000u

/*
 * A region in trouble; a neighbour in its heap, which may run out as well; and
 * a heap that has nothing to do with either.
 */
struct story {
	struct fl_trial *t;
	struct fl_heap *heap, *other;
	struct objects region, neighbour, bystander;
};

static void begin(struct fl_trial *t, struct story *s, uint64_t limit)
{
	struct fl_need need = ORDEAL_NEED;

	*s = (struct story){ .t = t };
	s->other = fl_trial_open(t, &need);
	need.limit_bytes = limit;
	s->heap = fl_trial_open(t, &need);
	objects_open(t, &s->region, fl_trial_region(t, s->heap), 1, 16384);
	objects_open(t, &s->neighbour, fl_trial_region(t, s->heap), 2, 16384);
	objects_open(t, &s->bystander, fl_trial_region(t, s->other), 3, 16384);
	objects_fill(&s->neighbour, ORDEAL_BYTES / 16);
	objects_fill(&s->bystander, ORDEAL_BYTES / 16);
}

static void all_intact(struct story *s, const char *when)
{
	objects_verify(&s->region, when);
	objects_verify(&s->neighbour, when);
	objects_verify(&s->bystander, when);
}

/* What a program that does not look goes on doing. */
static void go_on(struct story *s)
{
	for (int i = 0; i < 5000; i++) {
		volatile uint64_t *p = s->t->s->object_new(s->region.region,
							   72, 8, (uint64_t)i);

		if (!p || *p != (uint64_t)i)
			fl_trial_fail(s->t, "the sink does not store first words");
	}
}

/* Allocate in all of them while there is little. */
static void be_short(struct story *s, bool must_fail, bool bystander_may)
{
	struct fl_trial *t = s->t;
	const uint64_t sinks = s->heap->events.nr_sinks;

	fl_trial_doing(t, "allocating until memory is exhausted");
	objects_fill(&s->region, ORDEAL_BYTES);
	if (must_fail && !s->region.region->error)
		fl_trial_fail(t, "the limit was not kept");
	if (s->region.region->error) {
		if (s->region.region->error != -ENOMEM)
			fl_trial_fail(t, "the error is %d, not -ENOMEM",
				      s->region.region->error);
		if (s->heap->events.nr_sinks == sinks)
			fl_trial_fail(t, "an error, and no event of the sink");
		go_on(s);
	}
	all_intact(s, "when memory was exhausted");
	objects_fill(&s->neighbour, ORDEAL_BYTES / 4);
	objects_fill(&s->bystander, s->bystander.bytes + ORDEAL_BYTES / 8);
	if (s->bystander.region->error && !bystander_may)
		fl_trial_fail(t, "a region of another heap has error %d",
			      s->bystander.region->error);
	all_intact(s, "when a neighbour's memory was exhausted");
}

/* There is memory again. */
static void recover(struct story *s, uint64_t bytes)
{
	fl_trial_doing(s->t, "resetting regions that were out of memory");
	objects_reset(&s->neighbour);
	objects_reset(&s->bystander);
	objects_reset(&s->region);
	if (!objects_fill(&s->region, bytes))
		fl_trial_fail(s->t, "after a reset the region's error is %d",
			      s->region.region->error);
	objects_fill(&s->neighbour, ORDEAL_BYTES / 16);
	if (!objects_fill(&s->bystander, ORDEAL_BYTES / 4))
		fl_trial_fail(s->t, "another heap is still out of memory");
	all_intact(s, "after memory was exhausted, and a reset");
}

void try_limit(struct fl_trial *t)
{
	struct story s;

	begin(t, &s, ORDEAL_BYTES / 2);
	for (int i = 0; i < 5; i++) {
		be_short(&s, true, false);
		recover(&s, ORDEAL_BYTES / 8);
	}
	t->s->close(s.heap);
	t->s->close(s.other);
}

/* A heap that is asked for while there is nothing: -errno, or a heap. */
static void open_another(struct story *s)
{
	const struct fl_open_args args = {
		.values = s->t->conform->values, .region_bytes_max = MIB,
		.object_bytes_max = 4096, .nr_regions_max = 2, .cpu = -1,
	};
	struct fl_heap *heap = NULL;
	struct fl_region *region;
	int err;

	fl_trial_doing(s->t, "opening a heap when there is nothing");
	err = s->t->s->open(&args, &heap);
	if (err > 0 || (err && heap))
		fl_trial_fail(s->t, "open returned %d", err);
	if (err)
		return;
	if (!s->t->s->region_create(heap, &region))
		for (uint64_t i = 0; i < 500; i++)
			s->t->s->object_new(region, 1000, 8, i);
	s->t->s->close(heap);
}

static uint64_t nr_vmas_max(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
	uint64_t nr = UINT64_MAX;

	if (file && fscanf(file, "%" SCNu64, &nr) != 1)
		nr = UINT64_MAX;
	if (file)
		fclose(file);
	return nr;
}

/* Every other page closed is a mapping more, or two. */
static char *use_up_vmas(struct fl_trial *t, size_t bytes)
{
	const size_t page = fl_page_bytes();
	char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			  MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		fl_trial_fail(t, "mmap: %s", strerror(errno));
	for (size_t i = 0; i < bytes / page / 2; i++)
		if (mprotect(base + 2 * i * page, page, PROT_NONE))
			return base;
	fl_trial_fail(t, "the limit on mappings is not kept");
}

void try_vmas(struct fl_trial *t)
{
	const uint64_t nr_max = nr_vmas_max();
	const size_t page = fl_page_bytes(), bytes = nr_max * 2 * page;
	char *used_up;
	struct story s;

	if (fl_trial_build() != FL_BUILD_PLAIN)
		fl_trial_skip(t, "a sanitizer needs mappings of its own");
	if (nr_max > NR_VMAS_MAX)
		fl_trial_skip(t, "vm.max_map_count is too high to be reached in a test");
	begin(t, &s, 0);
	used_up = use_up_vmas(t, bytes);
	be_short(&s, false, true);
	open_another(&s);
	/* A few are left: enough to begin with. */
	for (size_t i = 0; i < 8; i++)
		mprotect(used_up + 4 * i * page, page, PROT_READ | PROT_WRITE);
	objects_reset(&s.region);
	be_short(&s, false, true);
	open_another(&s);
	munmap(used_up, bytes);
	recover(&s, ORDEAL_BYTES / 2);
	t->s->close(s.heap);
	t->s->close(s.other);
}

static void bound(struct fl_trial *t, int resource, struct rlimit *was)
{
	struct rlimit now;

	if (getrlimit(resource, was))
		fl_trial_fail(t, "getrlimit: %s", strerror(errno));
	now = *was;
	now.rlim_cur = MIB;
	if (setrlimit(resource, &now))
		fl_trial_fail(t, "setrlimit: %s", strerror(errno));
}

void try_addresses(struct fl_trial *t)
{
	static const int resources[] = { RLIMIT_AS, RLIMIT_DATA };
	struct story s;

	if (fl_trial_build() != FL_BUILD_PLAIN)
		fl_trial_skip(t, "a sanitizer needs addresses of its own");
	begin(t, &s, 0);
	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
		struct rlimit was;

		bound(t, resources[i], &was);
		be_short(&s, false, true);
		open_another(&s);
		setrlimit(resources[i], &was);
		recover(&s, ORDEAL_BYTES / 2);
	}
	t->s->close(s.heap);
	t->s->close(s.other);
}

#define STACK_STEP	256u
#define STACK_STEPS	24u
#define STACK_ROOM	(2 * KIB)	/* docs/robustness.md */

/* Allocate with an alternate stack of @arg bytes that has a closed page below. */
static void allocate_on(struct fl_trial *t, void *arg)
{
	const struct fl_need need = ORDEAL_NEED;
	const size_t page = fl_page_bytes(), bytes = *(const size_t *)arg;
	const size_t room = (bytes + page - 1) / page * page;
	stack_t stack = { .ss_size = bytes };
	struct fl_heap *heap;
	struct objects o;
	char *pages;

	limit_cpu(2);
	pages = mmap(NULL, page + room, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED || mprotect(pages, page, PROT_NONE))
		fl_trial_fail(t, "mmap: %s", strerror(errno));
	stack.ss_sp = pages + page;
	if (sigaltstack(&stack, NULL))
		fl_trial_fail(t, "sigaltstack: %s", strerror(errno));
	heap = fl_trial_open(t, &need);
	objects_open(t, &o, fl_trial_region(t, heap), 1, 4096);
	fl_trial_doing(t, "allocating with an alternate stack of %zu bytes", bytes);
	objects_fill(&o, ORDEAL_BYTES / 2);
	objects_verify(&o, "what was allocated with a small alternate stack");
	need_hits(t, heap->events.nr_hits);
	t->s->close(heap);
}

/*
 * It works, or it kills at once: the signal must not come again and again.  From
 * the documented size on, it works.
 */
void try_small_stack(struct fl_trial *t)
{
	const size_t least = (size_t)sysconf(_SC_MINSIGSTKSZ);

	if (fl_trial_build() != FL_BUILD_PLAIN)
		fl_trial_skip(t, "a sanitizer's handlers need more stack");
	for (size_t i = 0; i <= STACK_STEPS; i++) {
		size_t bytes = least + i * STACK_STEP;
		struct fl_outcome out;

		fl_trial_run(t->conform, allocate_on, &bytes, 10, &out);
		if (out.verdict == FL_CHECK_SKIP)
			fl_trial_skip(t, "%s", out.text);
		if (out.verdict == FL_CHECK_FAIL &&
		    (bytes >= least + STACK_ROOM ||
		     (out.signal != SIGSEGV && out.signal != SIGBUS)))
			fl_trial_fail(t, "an alternate stack of %zu + %zu bytes: %s%s",
				      least, bytes - least, out.text,
				      out.signal == SIGXCPU ?
				      ": it goes round in circles" : "");
	}
}

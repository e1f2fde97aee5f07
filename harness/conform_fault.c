/* SPDX-License-Identifier: MIT */
/*
 * Checks of what happens when something goes wrong: memory is exhausted, or the
 * program has a bug, whose fault is nobody's to repair.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "faultline/program.h"
#include "harness/conform_check.h"
#include "harness/module_load.h"
#include "vm/reserve.h"

#define KIB			((uint64_t)1 << 10)
#define MIB			((uint64_t)1 << 20)

/*
 * Exhaustion.
 */

/* What goes on being allocated after it, so much at most. */
#define GO_ON_BYTES		(16 * MIB)

/* A limit that leaves a few blocks or steps; what a heap is told. */
static uint64_t small_limit(struct fl_trial *t)
{
	const struct fl_geometry g = fl_trial_geometry(t);

	if (t->s->answer == FL_ANSWER_EXTEND)
		return 8 * g.step_bytes > MIB ? 8 * g.step_bytes : MIB;
	return 4 * g.block_bytes > 256 * KIB ? 4 * g.block_bytes : 256 * KIB;
}

static void exempt(struct fl_trial *t)
{
	if (t->s->answer == FL_ANSWER_NEVER)
		fl_trial_skip(t, "it never looks where its memory ends (answer: never), so it cannot notice");
}

/* Objects that were served before memory ran out: they must survive that. */
struct served {
	volatile uint64_t **objects;
	uint64_t nr, bytes;
};

static void *new_object(struct fl_trial *t, struct fl_region *region,
			uint64_t bytes, uint64_t align, uint64_t word)
{
	volatile uint64_t *p;

	fl_trial_doing(t, "allocating %" PRIu64 " bytes, align %" PRIu64 "%s",
		       bytes, align, region->error ? ", from the sink" : "");
	p = t->s->object_new(region, bytes, align, word);
	if (!p)
		fl_trial_fail(t, "an object of %" PRIu64 " bytes is NULL; memory that is exhausted is reported in region->error",
			      bytes);
	if ((uintptr_t)p & (align - 1))
		fl_trial_fail(t, "an object of %" PRIu64
			      " bytes is not aligned to %" PRIu64 "%s", bytes,
			      align, region->error ? " in the sink" : "");
	if (*p != word)
		fl_trial_fail(t, "the first word of an object of %" PRIu64
			      " bytes was not stored%s", bytes,
			      region->error ? " in the sink" : "");
	return (void *)(uintptr_t)p;
}

/* Allocate until there is an error. */
static void exhaust(struct fl_trial *t, struct fl_region *region,
		    const uint64_t *sizes, uint64_t nr_sizes, uint64_t limit,
		    struct served *served)
{
	const uint64_t most = 2 * limit + 64 * MIB;
	uint64_t asked = 0;

	served->nr = served->bytes = 0;
	for (uint64_t i = 0; !region->error; i++) {
		const uint64_t bytes = sizes[i % nr_sizes];
		void *p = new_object(t, region, bytes, 8, i);

		asked += fl_object_bytes(bytes);
		if (!region->error) {
			served->objects[served->nr++] = p;
			served->bytes = asked;
		} else if (region->error != -ENOMEM) {
			fl_trial_fail(t, "region->error is %d where -ENOMEM is meant",
				      region->error);
		}
		if (asked > most)
			fl_trial_fail(t, "the limit is %" PRIu64
				      " bytes, and after %" PRIu64
				      " there is no error yet", limit, asked);
	}
	if (!served->nr)
		fl_trial_fail(t, "the limit is %" PRIu64
			      " bytes, and not one object was served", limit);
	if (served->bytes > limit)
		fl_trial_fail(t, "the limit is %" PRIu64
			      " bytes, and objects of %" PRIu64 " were served",
			      limit, served->bytes);
}

static void survived(struct fl_trial *t, const struct served *served)
{
	for (uint64_t i = 0; i < served->nr; i++)
		if (*served->objects[i] != i)
			fl_trial_fail(t, "object %" PRIu64 " of %" PRIu64
				      " that were served changed when memory was exhausted",
				      i, served->nr);
}

/* What a program that has not looked yet goes on doing, for @bytes more. */
static void go_on(struct fl_trial *t, struct fl_region *region,
		  uint64_t object_bytes, uint64_t bytes)
{
	static const uint64_t sizes[] = { 0, 8, 100, 4096, 65535, 65536, 70000 };

	for (uint64_t align = FL_GRAIN_BYTES; align <= FL_ALIGN_MAX; align *= 2)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			new_object(t, region, sizes[i], align, i);
	for (uint64_t i = 0; i < 20000; i++)
		new_object(t, region, 40, 8, i);
	for (uint64_t i = 0; i < bytes / 70000; i++)
		new_object(t, region, 70000, 8, i);
	for (uint64_t i = 0; i < 4; i++)
		new_object(t, region, object_bytes, 8, i);
	if (region->error != -ENOMEM)
		fl_trial_fail(t, "the error went away without a reset");
}

/* Regions that are made while there is nothing left: an errno, or a region. */
static void create_more(struct fl_trial *t, struct fl_heap *heap,
			struct fl_region **more, uint32_t most)
{
	struct fl_region *const untouched = (void *)heap;

	for (uint32_t i = 0; i < most; i++) {
		int err;

		more[i] = untouched;
		fl_trial_doing(t, "creating a region when memory is exhausted");
		err = t->s->region_create(heap, &more[i]);
		if (err > 0 || (err && more[i] != untouched))
			fl_trial_fail(t, "region_create returned %d%s", err,
				      more[i] != untouched ?
				      " and wrote a region" : "");
		if (err) {
			more[i] = NULL;
			continue;
		}
		for (uint64_t k = 0; k < 64; k++)
			new_object(t, more[i], 1000, 8, k);
	}
}

/* One story of exhaustion, with objects of @sizes. */
static void try_sizes(struct fl_trial *t, const uint64_t *sizes,
		      uint64_t nr_sizes, uint64_t limit)
{
	enum { MORE = 3 };
	uint64_t least = UINT64_MAX, largest = 70000, sinks;
	struct fl_region *region, *bystander, *more[MORE];
	struct served served, again;
	struct fl_need need;
	struct fl_heap *heap;

	limit = fl_page_round(limit);
	for (uint64_t i = 0; i < nr_sizes; i++) {
		least = sizes[i] < least ? sizes[i] : least;
		largest = sizes[i] > largest ? sizes[i] : largest;
	}
	need = (struct fl_need){
		.region_bytes = 2 * limit + 80 * MIB + GO_ON_BYTES,
		.object_bytes = largest, .nr_regions = 2 + MORE,
		.limit_bytes = limit,
	};
	served.objects = fl_trial_alloc(t, (2 * limit + 64 * MIB) / least + 2,
					sizeof(*served.objects));
	again.objects = fl_trial_alloc(t, (2 * limit + 64 * MIB) / least + 2,
				       sizeof(*again.objects));
	heap = fl_trial_open(t, &need);
	region = fl_trial_region(t, heap);
	bystander = fl_trial_region(t, heap);

	exhaust(t, region, sizes, nr_sizes, limit, &served);
	sinks = heap->events.nr_sinks;
	if (!sinks)
		fl_trial_fail(t, "region->error is set, and events.nr_sinks is 0");
	survived(t, &served);
	go_on(t, region, largest, 2 * limit < GO_ON_BYTES ? 2 * limit :
							  GO_ON_BYTES);
	survived(t, &served);
	create_more(t, heap, more, MORE);
	survived(t, &served);
	for (uint64_t k = 0; k < 2000; k++)
		new_object(t, bystander, 600, 8, k);
	survived(t, &served);

	fl_trial_doing(t, "resetting a region whose memory was exhausted");
	for (uint32_t i = 0; i < MORE; i++)
		if (more[i])
			t->s->region_destroy(more[i]);
	t->s->region_reset(bystander);
	t->s->region_reset(region);
	if (region->error)
		fl_trial_fail(t, "region->error is %d after a reset",
			      region->error);
	for (uint64_t i = 0; i < 4; i++)
		new_object(t, region, 16, 8, i);
	if (region->error)
		fl_trial_fail(t, "after the reset of an exhausted region there is still no memory");
	/* It works as well as the first time. */
	t->s->region_reset(region);
	exhaust(t, region, sizes, nr_sizes, limit, &again);
	survived(t, &again);
	if (2 * again.nr < served.nr)
		fl_trial_fail(t, "%" PRIu64 " objects were served before memory was exhausted, and after a reset %" PRIu64,
			      served.nr, again.nr);
	fl_trial_doing(t, "destroying a region whose memory is exhausted");
	t->s->region_destroy(region);
	region = fl_trial_region(t, heap);
	new_object(t, region, 16, 8, 1);
	if (region->error)
		fl_trial_fail(t, "a region made after the exhausted one was destroyed has error %d",
			      region->error);
	fl_trial_doing(t, "closing a heap that was exhausted");
	t->s->close(heap);
	free(served.objects);
	free(again.objects);
}

void fl_try_exhaustion(struct fl_trial *t)
{
	uint64_t limit, small, large, huge, mixed[4], room;

	exempt(t);
	limit = small_limit(t);
	/* Where one range is all a region has, it ends at the range's end, too. */
	room = t->s->answer == FL_ANSWER_EXTEND ?
		fl_trial_geometry(t).block_bytes : UINT64_MAX;
	/* Sizes that grow with the limit keep the number of pages touched small. */
	small = limit / 4096 < 64 ? 64 : limit / 4096 & ~(uint64_t)7;
	small = small > 65528 ? 65528 : small;
	small = small > room / 8 ? room / 8 & ~(uint64_t)7 : small;
	try_sizes(t, &small, 1, limit);
	large = limit / 8 < 65544 ? 65544 : limit / 8 & ~(uint64_t)7;
	if (large > room / 8)
		return;
	mixed[0] = small;
	mixed[1] = 65528;
	mixed[2] = small + 8;
	mixed[3] = large;
	try_sizes(t, mixed, 4, limit > 4 * large ? limit : 4 * large);
	/* A large object must fit beside the blocks that two regions start with. */
	try_sizes(t, &large, 1, limit + 16 * large);
	/* No room for a very large object, and blocks enough for ordinary ones. */
	huge = 3 * limit / 4 + 8;
	if (t->s->answer != FL_ANSWER_EXTEND)
		try_sizes(t, &huge, 1, 4 * limit);
}

static void check_exhausted(struct fl_trial *t, const struct fl_kernel *k,
			    int err, const struct fl_batch_result *result)
{
	if (err)
		fl_trial_fail(t, "kernel %s returned %d when memory was exhausted",
			      k->name, err);
	if (result->error != -ENOMEM)
		fl_trial_fail(t, "kernel %s, cursor in %s, reports error %d when memory was exhausted",
			      k->name, fl_residence_name(k->residence),
			      result->error);
}

static void exhaust_fill(struct fl_trial *t, const struct fl_kernel *k,
			 uint64_t limit)
{
	const struct fl_need need = {
		.region_bytes = 2 * limit + MIB, .object_bytes = 128,
		.nr_regions = 1, .limit_bytes = limit,
	};
	struct fl_heap *heap = fl_trial_open(t, &need);
	struct fl_region *region = fl_trial_region(t, heap);
	struct fl_batch batch = {
		.heap = heap, .region = region, .nr_lifetimes = 1,
		.nr_objects = 2 * limit / k->object_bytes,
	};
	struct fl_batch_result result = { 0 };
	int err;

	fl_trial_doing(t, "running %s, cursor in %s, into exhaustion", k->name,
		       fl_residence_name(k->residence));
	err = k->run(&batch, &result);
	check_exhausted(t, k, err, &result);
	t->s->region_reset(region);
	batch.nr_objects = 32;
	fl_trial_doing(t, "running %s after exhaustion", k->name);
	err = k->run(&batch, &result);
	if (err || result.error)
		fl_trial_fail(t, "after exhaustion and a reset, kernel %s reports error %d",
			      k->name, result.error);
	t->s->close(heap);
}

static void exhaust_program(struct fl_trial *t, const struct fl_kernel *k,
			    uint64_t limit)
{
	const struct fl_need need = {
		.region_bytes = 2 * limit + MIB, .object_bytes = 60000,
		.nr_regions = 2, .limit_bytes = limit,
	};
	struct fl_heap *heap = fl_trial_open(t, &need);
	const uint64_t nr_objects = 2 * limit / 60000 + 2;
	uint32_t *words = fl_trial_alloc(t, nr_objects + 8, sizeof(*words));
	struct fl_region *slots[2] = { NULL };
	struct fl_slot_state states[2] = { { 0 } };
	struct fl_batch batch = {
		.heap = heap, .nr_lifetimes = 2, .program = words,
		.nr_slots = 2, .slots = slots, .states = states,
	};
	struct fl_batch_result result = { 0 };
	uint64_t nr = 0;
	int err;

	words[nr++] = FL_OP_CREATE | 0;
	words[nr++] = 16;
	words[nr++] = FL_OP_CREATE | 1;
	for (uint64_t i = 0; i < nr_objects; i++)
		words[nr++] = 60000;
	words[nr++] = FL_OP_DESTROY | 1;
	words[nr++] = FL_OP_DESTROY | 0;
	batch.nr_words = nr;
	fl_trial_doing(t, "running %s, cursor in %s, into exhaustion", k->name,
		       fl_residence_name(k->residence));
	err = k->run(&batch, &result);
	check_exhausted(t, k, err, &result);
	if (slots[0] || slots[1])
		fl_trial_fail(t, "kernel %s left regions behind when memory was exhausted",
			      k->name);
	free(words);
	t->s->close(heap);
}

void fl_try_exhausted_kernels(struct fl_trial *t)
{
	static const enum fl_mode modes[] = { FL_TIMED, FL_LATENCY };
	uint64_t limit;

	exempt(t);
	limit = small_limit(t);
	if (limit > 64 * MIB)
		fl_trial_skip(t, "with these settings the least that can be exhausted is %" PRIu64
			      " MiB", limit / MIB);
	for (size_t i = 0; i < t->s->nr_kernels; i++) {
		const struct fl_kernel *k = &t->s->kernels[i];

		if (k->mode != modes[0])
			continue;
		if (!strcmp(k->name, "fill"))
			exhaust_fill(t, k, limit);
		else if (!strcmp(k->name, "nest") || !strcmp(k->name, "replay"))
			exhaust_program(t, k, limit);
	}
}

/*
 * Faults that are not the heap's.
 *
 * A scene is a program that uses a heap and has a bug.  It is played in a
 * process of its own, once per bug and handler.
 */
struct scene {
	struct fl_trial *t;
	struct fl_heap *heap;
	struct fl_region *region;
	struct fl_shadow *shadow;
	struct fl_geometry g;
	char *first, *newest;	/* objects of the region */
	int pipe[2];
};

/*
 * What the bug touches; NULL when this heap has no such place.  The signal must
 * arrive with this address.
 */
struct bug {
	const char *what;
	char *(*place)(struct scene *scene);
	bool no_address;	/* the kernel does not say where */
};

/* Is the page closed?  A system call that reads it says so and raises nothing. */
static bool closed(const struct scene *s, const char *p)
{
	char byte;

	if (write(s->pipe[1], p, 1) != 1)
		return true;
	return read(s->pipe[0], &byte, 1) != 1;
}

static char *page_of(char *p)
{
	return p - ((uintptr_t)p & (fl_page_bytes() - 1));
}

static char *bug_null(struct scene *s)
{
	(void)s;
	return (char *)24;
}

static char *bug_noncanonical(struct scene *s)
{
	(void)s;
	return (char *)((uintptr_t)1 << 63);
}

static char *own_pages(struct scene *s, int protection)
{
	char *p = mmap(NULL, 3 * fl_page_bytes(), protection,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fl_trial_fail(s->t, "mmap: %s", strerror(errno));
	return p + fl_page_bytes() + 40;
}

static char *bug_own_page(struct scene *s)
{
	return own_pages(s, PROT_NONE);
}

static char *bug_constant(struct scene *s)
{
	return own_pages(s, PROT_READ);
}

/* A mapped file that is shorter than its mapping: SIGBUS. */
static char *bug_past_file(struct scene *s)
{
	const size_t page = fl_page_bytes();
	int fd = memfd_create("short", MFD_CLOEXEC);
	char *p;

	if (fd < 0 || ftruncate(fd, (off_t)page))
		fl_trial_fail(s->t, "memfd: %s", strerror(errno));
	p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		fl_trial_fail(s->t, "mmap: %s", strerror(errno));
	close(fd);
	return p + page + 8;
}

/* The first closed page below the newest object, if one is near. */
static char *guard_below(struct scene *s)
{
	char *page = page_of(s->newest);

	for (uint64_t i = 0; i < MIB / 64; i++) {
		if (closed(s, page))
			return page;
		page -= fl_page_bytes();
	}
	return NULL;
}

/*
 * Below the frontier an extending handler serves any instruction, so only what
 * no object of a site can reach is foreign; a redirecting handler serves
 * declared sites alone.
 */
static char *bug_guard(struct scene *s)
{
	char *page = guard_below(s);

	if (!page || s->t->s->answer == FL_ANSWER_EXTEND)
		return NULL;
	return page + fl_page_bytes() - 24;
}

static char *bug_beyond(struct scene *s)
{
	char *page = guard_below(s), *p;

	if (!page || s->t->s->answer != FL_ANSWER_EXTEND)
		return NULL;
	p = page + fl_page_bytes() - FL_GUARD_BYTES - 24;
	/* A missing page above the frontier looks closed: a step farther. */
	if (!s->g.rearms && s->g.doubling)
		return NULL;
	if (!s->g.rearms)
		p -= s->g.step_bytes;
	return closed(s, p) ? p : NULL;
}

static char *bug_far(struct scene *s)
{
	char *page = guard_below(s), *p;

	if (!page || s->t->s->answer != FL_ANSWER_EXTEND)
		return NULL;
	p = page - s->g.block_bytes / 2 + 24;
	return closed(s, p) ? p : NULL;
}

/* Where the address range of the region, or its block, ends. */
static char *bug_end(struct scene *s)
{
	char *p = page_of(s->first + fl_page_bytes() - 1) - s->g.block_bytes;

	return closed(s, p - 24) ? p - 24 : NULL;
}

static const struct bug bugs[] = {
	{ "a store near address 0", bug_null, false },
	{ "a store to an address that no page can have", bug_noncanonical, true },
	{ "a store to a closed page of the program", bug_own_page, false },
	{ "a store to a constant of the program", bug_constant, false },
	{ "a store behind the end of a mapped file", bug_past_file, false },
	{ "an undeclared store to the guard of a block", bug_guard, false },
	{ "a store farther below the frontier than any object reaches", bug_beyond, false },
	{ "a store to the middle of a region's addresses", bug_far, false },
	{ "a store behind the end of a region's addresses", bug_end, false },
};

#define NR_BUGS	(sizeof(bugs) / sizeof(bugs[0]))

static sigjmp_buf bug_jump;
static volatile int bug_signal;
static char *volatile bug_address;

static void program_handler(int sig, siginfo_t *info, void *context)
{
	(void)context;
	bug_signal = sig;
	bug_address = info->si_addr;
	siglongjmp(bug_jump, 1);
}

/* Opens after the program has installed its handlers, as libraries do. */
static void scene_open(struct fl_trial *t, struct scene *s)
{
	const uint64_t stretch = fl_trial_stretch(t, 64 * KIB, 2 * MIB);
	const struct fl_need need = {
		.region_bytes = 2 * stretch + MIB, .object_bytes = 32 * KIB,
		.nr_regions = 2,
	};

	*s = (struct scene){ .t = t };
	if (pipe(s->pipe))
		fl_trial_fail(t, "pipe: %s", strerror(errno));
	s->heap = fl_trial_open(t, &need);
	t->s->geometry(s->heap, &s->g);
	s->region = fl_trial_region(t, s->heap);
	s->shadow = fl_shadow_new(t, s->heap);
	s->first = fl_shadow_alloc(s->shadow, s->region, 0, 64, 8);
	for (uint64_t done = 0; done < stretch; done += 8 * KIB)
		s->newest = fl_shadow_alloc(s->shadow, s->region, 0, 8 * KIB, 8);
}

/* One byte, by an instruction that is no site of anybody's. */
static void wild_store(char *p)
{
	__asm__ volatile("movb $1, (%0)" :: "r"(p) : "memory");
}

/* A handler that repairs nothing and claims it did makes the store spin. */
static void limit_cpu(void)
{
	const struct rlimit seconds = {
		2 * fl_trial_slowness(), 2 * fl_trial_slowness() + 1,
	};

	setrlimit(RLIMIT_CPU, &seconds);
}

static void install(void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = {
		.sa_sigaction = handler, .sa_flags = SA_SIGINFO,
	};

	if (!handler) {
		action.sa_handler = SIG_DFL;
		action.sa_flags = 0;
	}
	sigemptyset(&action.sa_mask);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

/* The program catches the fault, jumps out of the handler, and goes on. */
static void play_caught(struct fl_trial *t, void *arg)
{
	const struct bug *bug = arg;
	struct scene s;
	char *volatile place;

	limit_cpu();
	install(program_handler);
	scene_open(t, &s);
	for (volatile int i = 0; i < 3; i++) {
		place = bug->place(&s);
		if (!place)
			fl_trial_skip(t, "this heap has no such place");
		bug_signal = 0;
		if (!sigsetjmp(bug_jump, 1)) {
			fl_trial_doing(t, "waiting for the signal of %s (time %d)",
				       bug->what, i + 1);
			wild_store(place);
			fl_trial_fail(t, "%s (time %d) went through: the program's handler was not called",
				      bug->what, i + 1);
		}
		if (bug->no_address ? bug_address != NULL :
				      bug_address != place)
			fl_trial_fail(t, "%s (time %d): the handler was told an address %lld bytes off",
				      bug->what, i + 1, (long long)
				      ((intptr_t)bug_address - (intptr_t)place));
		for (int k = 0; k < 40; k++) {
			char *p = fl_shadow_alloc(s.shadow, s.region, 0, 8 * KIB, 8);

			s.newest = p < s.newest ? p : s.newest;
		}
		fl_shadow_reset(s.shadow, s.region, 0);
		s.first = fl_shadow_alloc(s.shadow, s.region, 0, 64, 8);
		/* A frontier that stays has missing pages above it, maybe. */
		if (s.g.rearms)
			s.newest = s.first;
	}
	fl_trial_doing(t, "closing the heap");
	t->s->close(s.heap);
}

/* A signal that somebody sent is the program's, too. */
static void play_sent(struct fl_trial *t, void *arg)
{
	static const int sent[] = { SIGSEGV, SIGBUS };
	struct scene s;

	(void)arg;
	limit_cpu();
	install(program_handler);
	scene_open(t, &s);
	for (volatile size_t i = 0; i < 2; i++) {
		bug_signal = 0;
		fl_trial_doing(t, "waiting for a SIG%s that was sent",
			       sigabbrev_np(sent[i]));
		if (!sigsetjmp(bug_jump, 1)) {
			raise(sent[i]);
			fl_trial_fail(t, "a SIG%s that the program sent itself did not reach its handler",
				      sigabbrev_np(sent[i]));
		}
		fl_shadow_alloc(s.shadow, s.region, 0, 8 * KIB, 8);
	}
	fl_shadow_verify_all(s.shadow);
}

#define SCENE_SECONDS	10u

static void fail_endless(struct fl_trial *t, const struct bug *bug)
{
	fl_trial_fail(t, "%s happens again and again without end: somebody says that it is repaired, and it is not",
		      bug->what);
}

void fl_try_foreign_faults(struct fl_trial *t)
{
	struct fl_outcome out;
	unsigned nr_played = 0;

	for (size_t i = 0; i < NR_BUGS; i++) {
		fl_trial_run(t->conform, play_caught,
			     (void *)(uintptr_t)&bugs[i], SCENE_SECONDS, &out);
		if (out.signal == SIGXCPU)
			fail_endless(t, &bugs[i]);
		if (out.verdict == FL_CHECK_FAIL)
			fl_trial_fail(t, "%s", out.text);
		nr_played += out.verdict == FL_CHECK_PASS;
	}
	fl_trial_run(t->conform, play_sent, NULL, SCENE_SECONDS, &out);
	if (out.verdict == FL_CHECK_FAIL)
		fl_trial_fail(t, "%s", out.text);
	if (!nr_played)
		fl_trial_skip(t, "%s", out.text);
}

/* Nobody catches it: the process must die of it. */
static void play_uncaught(struct fl_trial *t, void *arg)
{
	const struct bug *bug = arg;
	struct scene s;
	char *place;

	limit_cpu();
	/* Cores of deaths that are meant to be would only be in the way. */
	prctl(PR_SET_DUMPABLE, 0);
	install(NULL);
	scene_open(t, &s);
	place = bug->place(&s);
	if (!place)
		fl_trial_skip(t, "this heap has no such place");
	fl_trial_doing(t, "waiting to die of %s", bug->what);
	wild_store(place);
	fl_trial_fail(t, "%s went through, and the program lives on", bug->what);
}

void fl_try_default_faults(struct fl_trial *t)
{
	struct fl_outcome out = { 0 };
	unsigned nr_played = 0;

	for (size_t i = 0; i < NR_BUGS; i++) {
		fl_trial_run(t->conform, play_uncaught,
			     (void *)(uintptr_t)&bugs[i], SCENE_SECONDS, &out);
		nr_played += out.verdict != FL_CHECK_SKIP;
		if (out.verdict == FL_CHECK_SKIP || out.signal == SIGSEGV ||
		    out.signal == SIGBUS)
			continue;
		if (out.signal == SIGXCPU)
			fail_endless(t, &bugs[i]);
		fl_trial_fail(t, "%s", out.text);
	}
	if (!nr_played)
		fl_trial_skip(t, "%s", out.text);
}

/*
 * Handlers.
 */

/* Set by glibc in everything that sigaction returns. */
#define RESTORER_FLAG	0x04000000

struct dispositions {
	struct sigaction of[NSIG];
	bool known[NSIG];
	sigset_t mask;
	stack_t stack;
};

static void take_dispositions(struct dispositions *d)
{
	memset(d, 0, sizeof(*d));
	/* Those that the C library keeps for itself are refused. */
	for (int sig = 1; sig < NSIG; sig++)
		d->known[sig] = !sigaction(sig, NULL, &d->of[sig]);
	sigprocmask(SIG_SETMASK, NULL, &d->mask);
	sigaltstack(NULL, &d->stack);
}

static bool same_action(const struct sigaction *a, const struct sigaction *b)
{
	if (a->sa_handler != b->sa_handler ||
	    ((a->sa_flags ^ b->sa_flags) & ~RESTORER_FLAG))
		return false;
	for (int sig = 1; sig < NSIG; sig++)
		if (sigismember(&a->sa_mask, sig) !=
		    sigismember(&b->sa_mask, sig))
			return false;
	return true;
}

static void compare_dispositions(struct fl_trial *t, const char *when,
				 const struct dispositions *before)
{
	struct dispositions after;

	take_dispositions(&after);
	for (int sig = 1; sig < NSIG; sig++) {
		const char *name = sigabbrev_np(sig);

		if (before->known[sig] && !same_action(&before->of[sig],
						       &after.of[sig]))
			fl_trial_fail(t, "%s: the action of signal %d (SIG%s) is not what open found",
				      when, sig, name ? name : "?");
		if (sigismember(&before->mask, sig) !=
		    sigismember(&after.mask, sig))
			fl_trial_fail(t, "%s: signal %d (SIG%s) is %s", when,
				      sig, name ? name : "?",
				      sigismember(&after.mask, sig) ?
				      "blocked" : "no longer blocked");
	}
	if (before->stack.ss_sp != after.stack.ss_sp ||
	    before->stack.ss_flags != after.stack.ss_flags)
		fl_trial_fail(t, "%s: the alternate signal stack is not what open found",
			      when);
}

static void use_scene(struct scene *s)
{
	for (int i = 0; i < 100; i++)
		fl_shadow_alloc(s->shadow, s->region, 0, 8 * KIB, 8);
	fl_shadow_reset(s->shadow, s->region, 0);
}

void fl_try_handlers(struct fl_trial *t)
{
	static const char *const when[] = {
		"with default actions", "with handlers of the program",
	};
	struct dispositions before;
	struct scene a, b;

	for (int own = 0; own < 2; own++) {
		install(own ? program_handler : NULL);
		take_dispositions(&before);
		scene_open(t, &a);
		use_scene(&a);
		t->s->close(a.heap);
		compare_dispositions(t, when[own], &before);
		/* Closed in the order of opening, and against it. */
		for (int order = 0; order < 2; order++) {
			scene_open(t, &a);
			scene_open(t, &b);
			use_scene(&b);
			use_scene(&a);
			t->s->close(order ? a.heap : b.heap);
			use_scene(order ? &b : &a);
			t->s->close(order ? b.heap : a.heap);
			compare_dispositions(t, when[own], &before);
		}
	}
}

void fl_try_errno(struct fl_trial *t)
{
	const uint64_t stretch = fl_trial_stretch(t, 256 * KIB, 4 * MIB);
	const struct fl_need need = {
		.region_bytes = stretch + 64 * KIB, .object_bytes = 4096,
		.nr_regions = 1,
	};
	struct fl_heap *heap = fl_trial_open(t, &need);
	struct fl_region *region = fl_trial_region(t, heap);
	uint64_t hits = 0;

	fl_trial_doing(t, "allocating objects of 4096 bytes");
	for (uint64_t done = 0; done < stretch; done += 4096) {
		int now;

		errno = ELIBSCN;
		t->s->object_new(region, 4096, 8, done);
		now = errno;
		if (heap->events.nr_hits == hits)
			continue;
		hits = heap->events.nr_hits;
		if (now != ELIBSCN)
			fl_trial_fail(t, "a handled fault left errno at %d (%s) between two instructions of the program",
				      now, strerror(now));
	}
	if (!hits && t->s->answer != FL_ANSWER_NEVER &&
	    t->s->answer != FL_ANSWER_BRANCH)
		fl_trial_skip(t, "no fault was handled");
}

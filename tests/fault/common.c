/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ordeal.h"
#include "vm/reserve.h"

void *shared_pages(struct fl_trial *t, size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fl_trial_fail(t, "mmap: %s", strerror(errno));
	return p;
}

void objects_open(struct fl_trial *t, struct objects *o,
		  struct fl_region *region, uint64_t seed, uint64_t nr_max)
{
	*o = (struct objects){
		.t = t, .region = region, .seed = seed, .nr_max = nr_max,
		.list = fl_trial_alloc(t, nr_max, sizeof(*o->list)),
	};
	/* No page of it is to be touched first by a child or a handler. */
	memset(o->list, 1, nr_max * sizeof(*o->list));
}

static uint64_t word_of(const struct objects *o, uint64_t index, uint64_t k)
{
	uint64_t state = o->seed + (index << 20) + k;

	return fl_random(&state);
}

/* Mostly small; one in 32 of any size, the largest above a site's limit. */
static uint32_t bytes_of(const struct objects *o, uint64_t index)
{
	uint64_t r = word_of(o, index, UINT32_MAX);

	return r % 32 ? (uint32_t)(r >> 32) % 1000 :
			(uint32_t)(r >> 32) % 70000;
}

bool objects_add(struct objects *o)
{
	uint64_t bytes = fl_object_bytes(bytes_of(o, o->nr));
	uint64_t *words;

	if (o->nr == o->nr_max || o->region->error)
		return false;
	words = o->t->s->object_new(o->region, bytes, 8, word_of(o, o->nr, 0));
	if (o->region->error)
		return false;
	if (!words || (uintptr_t)words % 8) {
		o->wrong = "an object is NULL or not aligned";
		return false;
	}
	if (*words != word_of(o, o->nr, 0))
		o->wrong = "a first word was not stored";
	for (uint64_t k = 1; k < bytes / 8; k++)
		words[k] = word_of(o, o->nr, k);
	o->list[o->nr++] = (struct object){ words, (uint32_t)(bytes / 8) };
	o->bytes += bytes;
	return true;
}

bool objects_fill(struct objects *o, uint64_t bytes)
{
	while (o->bytes < bytes)
		if (!objects_add(o))
			return false;
	return true;
}

bool objects_intact(struct objects *o)
{
	for (uint64_t i = 0; i < o->nr && !o->wrong; i++)
		for (uint64_t k = 0; k < o->list[i].nr_words; k++)
			if (o->list[i].words[k] != word_of(o, i, k))
				o->wrong = "the contents of an object changed";
	return !o->wrong;
}

void objects_verify(struct objects *o, const char *when)
{
	if (!objects_intact(o))
		fl_trial_fail(o->t, "%s: %s", when, o->wrong);
}

void objects_reset(struct objects *o)
{
	o->nr = o->bytes = 0;
	o->t->s->region_reset(o->region);
}

/* A system call that reads a closed page says so, and raises nothing. */
struct prober {
	int ends[2];
	unsigned nr_unread;
};

static void prober_open(struct prober *prober)
{
	prober->nr_unread = 0;
	if (pipe(prober->ends))
		abort();
}

static void prober_close(struct prober *prober)
{
	close(prober->ends[0]);
	close(prober->ends[1]);
}

static bool probe(struct prober *prober, const char *p)
{
	char bytes[1024];

	if (write(prober->ends[1], p, 1) != 1)
		return true;
	if (++prober->nr_unread == sizeof(bytes)) {
		prober->nr_unread = 0;
		return read(prober->ends[0], bytes, sizeof(bytes)) < 0;
	}
	return false;
}

bool is_closed(const char *p)
{
	struct prober prober;
	bool closed;

	prober_open(&prober);
	closed = probe(&prober, p);
	prober_close(&prober);
	return closed;
}

size_t closed_runs(struct fl_trial *t, const struct fl_heap *heap,
		   struct closed *runs, size_t max)
{
	const size_t page = fl_page_bytes();
	struct fl_range ranges[16];
	size_t nr_ranges = t->s->ranges(heap, ranges, 16), nr = 0;
	struct prober prober;

	prober_open(&prober);
	for (size_t i = 0; i < nr_ranges && i < 16; i++) {
		char *const end = ranges[i].base + ranges[i].bytes;
		bool inside = false;

		if (ranges[i].kind != FL_RANGE_OBJECTS)
			continue;
		for (char *p = ranges[i].base; p < end; p += page) {
			const bool closed = probe(&prober, p);

			if (closed && !inside && nr == max)
				break;
			if (closed && !inside)
				runs[nr++] = (struct closed){ p, p };
			if (closed)
				runs[nr - 1].high = p + page;
			inside = closed;
		}
	}
	prober_close(&prober);
	return nr;
}

void wild(enum access access, char *p, volatile uintptr_t *pc)
{
	if (access == STORE)
		__asm__ volatile("lea 1f(%%rip), %%rax\n\t"
				 "mov %%rax, %0\n\t"
				 "1: movb $1, (%1)"
				 : "=m"(*pc) : "r"(p) : "rax", "memory");
	else
		__asm__ volatile("lea 1f(%%rip), %%rax\n\t"
				 "mov %%rax, %0\n\t"
				 "1: movb (%1), %%al"
				 : "=m"(*pc) : "r"(p) : "rax", "memory");
}

void limit_cpu(unsigned seconds)
{
	const struct rlimit cpu = {
		seconds * fl_trial_slowness(), seconds * fl_trial_slowness() + 1,
	};

	setrlimit(RLIMIT_CPU, &cpu);
	prctl(PR_SET_DUMPABLE, 0);
}

void need_hits(struct fl_trial *t, uint64_t nr_hits)
{
	if (!nr_hits)
		fl_trial_skip(t, "the kernel alone serves its faults");
}

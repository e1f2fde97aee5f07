/* SPDX-License-Identifier: MIT */
/*
 * Mappings that the kernel extends downwards: how far, what stops them, and what
 * a strategy makes of that.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <cmocka.h>

#include "faultline/compat.h"
#include "harness/module_load.h"
#include "vm/growdown.h"
#include "vm/reserve.h"

#define KIB		((size_t)1 << 10)
#define MIB		((size_t)1 << 20)
#define GIB		((size_t)1 << 30)
#define SPAN_BYTES	(4 * MIB)

static size_t page;

/* A hole of SPAN_BYTES with a page mapped at its top, and a closed page below. */
static struct {
	char *base, *top;
	char *reserved;
} span;

static void make_span(void)
{
	char reason[256];

	if (fl_growdown_probe(SPAN_BYTES, reason, sizeof(reason))) {
		print_message("%s\n", reason);
		skip();
	}
	assert_int_equal(fl_reserve_aside(SPAN_BYTES + page, FL_CLOSED,
					  &span.reserved), 0);
	span.base = span.reserved + page;
	span.top = span.base + SPAN_BYTES;
	assert_int_equal(fl_growdown_make(span.base, SPAN_BYTES), 0);
}

static int tear_down(void **state)
{
	(void)state;
	fl_release(span.reserved, SPAN_BYTES + page);
	span.reserved = NULL;
	return 0;
}

/* How long the mapping that @address is in is now. */
static size_t mapped_bytes(const char *address)
{
	const unsigned long at = (uintptr_t)address;
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long from, to;
	size_t bytes = 0;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && at >= from &&
		    at < to)
			bytes = to - from;
	fclose(f);
	return bytes;
}

static size_t length(void)
{
	return mapped_bytes(span.top - 1);
}

/* The kernel's stack_guard_gap; its command line may give it in pages. */
static size_t gap_bytes(void)
{
	FILE *f = fopen("/proc/cmdline", "re");
	unsigned long pages = 256;
	char line[4096] = "", *at;

	if (f && fgets(line, sizeof(line), f)) {
		at = strstr(line, "stack_guard_gap=");
		if (at)
			pages = strtoul(at + strlen("stack_guard_gap="), NULL, 10);
	}
	if (f)
		fclose(f);
	return pages * page;
}

static void begins_with_a_page(void **state)
{
	(void)state;
	make_span();
	assert_int_equal(length(), page);
	span.top[-1] = 1;
	assert_int_equal(length(), page);
}

static void reaches_what_is_touched(void **state)
{
	(void)state;
	make_span();
	span.top[-(ptrdiff_t)page - 1] = 1;
	assert_int_equal(length(), 2 * page);
	/* Reading does, and however far it is. */
	assert_int_equal(*(volatile char *)(span.top - MIB), 0);
	assert_int_equal(length(), MIB);
	span.base[0] = 1;
	assert_int_equal(length(), SPAN_BYTES);
	assert_int_equal(span.top[-(ptrdiff_t)page - 1], 1);
}

static void system_calls_extend_it_too(void **state)
{
	int fds[2];

	(void)state;
	make_span();
	assert_true(fl_growdown_reaches(span.top - MIB));
	assert_int_equal(length(), MIB);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "12345678", 8), 8);
	assert_int_equal(read(fds[0], span.top - 2 * MIB, 8), 8);
	assert_int_equal(length(), 2 * MIB);
	assert_memory_equal(span.top - 2 * MIB, "12345678", 8);
	close(fds[0]);
	close(fds[1]);
}

/* The reservation's own closed page stops it, and nothing is lost above. */
static void ends_at_a_closed_page(void **state)
{
	(void)state;
	make_span();
	assert_true(fl_growdown_reaches(span.base));
	assert_false(fl_growdown_reaches(span.base - 8));
	assert_int_equal(length(), SPAN_BYTES);
}

static void keeps_away_from_open_mappings(void **state)
{
	const size_t gap = gap_bytes();
	char *end = span.base + page;

	(void)state;
	make_span();
	if (gap + 4 * page > SPAN_BYTES)
		skip();
	assert_ptr_equal(mmap(span.base, page, PROT_READ, MAP_PRIVATE |
			      MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
			 span.base);
	assert_true(fl_growdown_reaches(end + gap));
	assert_false(fl_growdown_reaches(end + gap - page));
	assert_int_equal(length(), (size_t)(span.top - end) - gap);
	/* From a closed one it does not. */
	assert_int_equal(fl_protect(span.base, page, FL_CLOSED), 0);
	assert_true(fl_growdown_reaches(end));
	assert_int_equal(length(), (size_t)(span.top - end));
}

static void obeys_the_stack_limit(void **state)
{
	struct rlimit before, now;

	(void)state;
	make_span();
	assert_int_equal(getrlimit(RLIMIT_STACK, &before), 0);
	now = before;
	now.rlim_cur = MIB;
	assert_int_equal(setrlimit(RLIMIT_STACK, &now), 0);
	assert_true(fl_growdown_reaches(span.top - MIB));
	assert_false(fl_growdown_reaches(span.top - MIB - 8));
	assert_int_equal(setrlimit(RLIMIT_STACK, &before), 0);
	assert_true(fl_growdown_reaches(span.top - MIB - 8));
}

static void is_not_made_shorter_by_giving_back(void **state)
{
	(void)state;
	make_span();
	assert_true(fl_growdown_reaches(span.top - MIB));
	assert_int_equal(madvise(span.top - MIB, MIB, MADV_DONTNEED), 0);
	assert_int_equal(length(), MIB);
	assert_int_equal(fl_growdown_make(span.base, SPAN_BYTES), 0);
	assert_int_equal(length(), page);
}

/* The kernel finds room for others elsewhere, even if a hole would fit. */
static void nobody_is_put_into_the_hole(void **state)
{
	enum { NR = 200 };
	char *others[NR];

	(void)state;
	make_span();
	for (int i = 0; i < NR; i++) {
		assert_int_equal(fl_reserve(SPAN_BYTES / 8 * (1 + (size_t)i % 7),
					    FL_OPEN, &others[i]), 0);
		assert_true(others[i] < span.reserved || others[i] >= span.top);
	}
	assert_true(fl_growdown_reaches(span.base));
	for (int i = 0; i < NR; i++)
		fl_release(others[i], SPAN_BYTES / 8 * (1 + (size_t)i % 7));
}

static void the_limit_is_told_with_its_remedy(void **state)
{
	struct rlimit before, now;
	char reason[256];

	(void)state;
	make_span();
	assert_int_equal(getrlimit(RLIMIT_STACK, &before), 0);
	now = before;
	now.rlim_cur = MIB;
	assert_int_equal(setrlimit(RLIMIT_STACK, &now), 0);
	assert_int_equal(fl_growdown_probe(MIB, reason, sizeof(reason)), 0);
	assert_int_equal(fl_growdown_probe(MIB + page, reason, sizeof(reason)),
			 -ENOMEM);
	assert_non_null(strstr(reason, "ulimit -s 1028"));
	assert_int_equal(setrlimit(RLIMIT_STACK, &before), 0);
}

/* More than there is memory: the kernel refuses that at once, but not in steps. */
static void grows_beyond_the_memory(void **state)
{
	struct fl_module module;
	struct fl_complaint why = { "" };
	uint64_t values[FL_TUNABLES_MAX];
	struct fl_open_args args = {
		.values = values, .nr_regions_max = 1, .cpu = -1,
	};
	FILE *f = fopen("/proc/sys/vm/overcommit_memory", "re");
	struct rlimit before, now;
	struct fl_region *region;
	struct fl_heap *heap;
	struct sysinfo memory;
	char reason[256], text[64];
	uint64_t *object;
	size_t bytes;

	(void)state;
	make_span();
	if (!f)
		skip();
	if (fgetc(f) == '2') {
		fclose(f);
		print_message("vm.overcommit_memory is 2\n");
		skip();
	}
	fclose(f);
	assert_int_equal(sysinfo(&memory), 0);
	bytes = (memory.totalram + memory.totalswap) * memory.mem_unit + GIB;
	bytes -= bytes % GIB;
	assert_int_equal(getrlimit(RLIMIT_STACK, &before), 0);
	now = before;
	now.rlim_cur = bytes + GIB;
	if (now.rlim_max < now.rlim_cur || setrlimit(RLIMIT_STACK, &now)) {
		print_message("the stack's hard limit is below %zu GiB\n",
			      bytes / GIB + 1);
		skip();
	}
	reason[0] = '\0';
	fl_growdown_probe(bytes + GIB, reason, sizeof(reason));
	assert_string_equal(reason, "");
	/* By one large object, too, which is left alone but for its ends. */
	assert_int_equal(fl_module_named(FL_MODULE_STRATEGY, "grows_down",
					 &module, &why), 0);
	fl_tunables_defaults(&module.tunables, values);
	snprintf(text, sizeof(text), "span=%zuG", bytes / GIB + 1);
	assert_int_equal(fl_tunables_set(&module.tunables, text, values, &why),
			 0);
	args.region_bytes_max = bytes + GIB;
	args.object_bytes_max = bytes;
	assert_int_equal(module.strategy->open(&args, &heap), 0);
	assert_int_equal(module.strategy->region_create(heap, &region), 0);
	object = module.strategy->object_new(region, bytes, 8, 5);
	assert_int_equal(region->error, 0);
	assert_int_equal(*object, 5);
	object[bytes / sizeof(*object) - 1] = 6;
	module.strategy->close(heap);
	fl_module_unload(&module);
	assert_int_equal(setrlimit(RLIMIT_STACK, &before), 0);
}

/*
 * The strategy: what the kernel refuses is an error and the sink, wherever it
 * happens.
 */
static void refusals_are_errors(void **state)
{
	struct fl_module module;
	struct fl_complaint why = { "" };
	uint64_t values[FL_TUNABLES_MAX];
	const struct fl_open_args args = {
		.values = values, .region_bytes_max = SPAN_BYTES,
		.object_bytes_max = 2 * MIB, .nr_regions_max = 4, .cpu = -1,
	};
	const struct fl_strategy *s;
	struct fl_heap *heap;

	(void)state;
	make_span();
	assert_int_equal(fl_module_named(FL_MODULE_STRATEGY, "grows_down",
					 &module, &why), 0);
	s = module.strategy;
	fl_tunables_defaults(&module.tunables, values);
	assert_int_equal(fl_tunables_set(&module.tunables, "span=4M", values,
					 &why), 0);
	assert_int_equal(s->open(&args, &heap), 0);
	/* By objects that a site takes, and by large ones. */
	for (size_t bytes = 1000; bytes <= MIB; bytes = bytes == 1000 ? MIB : 2 * MIB) {
		struct fl_region *region;
		uint64_t *first, *newest = NULL;
		char *neighbour;
		size_t served = 0;

		assert_int_equal(s->region_create(heap, &region), 0);
		first = s->object_new(region, 64, 8, 1);
		neighbour = (char *)first - 3 * MIB;
		neighbour -= (uintptr_t)neighbour & (page - 1);
		assert_ptr_equal(mmap(neighbour, page, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS |
				      MAP_FIXED_NOREPLACE, -1, 0), neighbour);
		while (!region->error) {
			newest = s->object_new(region, bytes, 8, 2);
			assert_int_equal(*newest, 2);
			served += bytes;
			assert_true(served < 3 * MIB);
		}
		assert_int_equal(region->error, -ENOMEM);
		assert_true(served + gap_bytes() + bytes + page > 3 * MIB - page);
		assert_int_equal(*first, 1);
		assert_int_equal(*(uint64_t *)(void *)neighbour, 0);
		/* It goes on, in the sink, until the reset. */
		newest = s->object_new(region, bytes, 8, 3);
		assert_int_equal(*newest, 3);
		munmap(neighbour, page);
		s->region_reset(region);
		assert_int_equal(region->error, 0);
		newest = s->object_new(region, 2 * MIB, 8, 4);
		assert_int_equal(region->error, 0);
		assert_int_equal(*newest, 4);
	}
	assert_true(heap->events.nr_sinks > 0);
	s->close(heap);
	fl_module_unload(&module);
}

/* VmFlags of the mapping that @address is in, as /proc/self/smaps has them. */
static void flags_of(const char *address, char *out, size_t bytes)
{
	const unsigned long at = (uintptr_t)address;
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long from, to;
	bool inside = false;
	char line[512];

	assert_non_null(f);
	*out = '\0';
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = at >= from && at < to;
		if (inside && !strncmp(line, "VmFlags:", 8))
			snprintf(out, bytes, "%s", line);
	}
	fclose(f);
}

/*
 * Growth is charged to Committed_AS in any case, and taken back only from a
 * mapping that is accounted ("ac"), not from one without a reserve ("nr").
 */
static void growth_is_taken_back(void **state)
{
	char flags[512];

	(void)state;
	make_span();
	flags_of(span.top - 1, flags, sizeof(flags));
	if (!*flags)
		skip();
	assert_non_null(strstr(flags, " ac"));
	assert_null(strstr(flags, " nr"));
}

#define in_span(test)	cmocka_unit_test_teardown(test, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_span(begins_with_a_page),
		in_span(reaches_what_is_touched),
		in_span(system_calls_extend_it_too),
		in_span(ends_at_a_closed_page),
		in_span(keeps_away_from_open_mappings),
		in_span(obeys_the_stack_limit),
		in_span(is_not_made_shorter_by_giving_back),
		in_span(nobody_is_put_into_the_hole),
		in_span(growth_is_taken_back),
		in_span(the_limit_is_told_with_its_remedy),
		in_span(grows_beyond_the_memory),
		in_span(refusals_are_errors),
	};

	page = fl_page_bytes();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

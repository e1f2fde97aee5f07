/* SPDX-License-Identifier: MIT */
/*
 * Checks of what is built on chunks, or, where a strategy has none, without them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "faultline/builder.h"
#include "faultline/read.h"
#include "harness/conform_check.h"

/* Regions, and builders that may be open in each of them. */
#define NR_REGIONS	3u
#define NR_OPEN		4u

/* What a region's lifetime may hold in this check, and the longest array. */
#define LIFETIME_BYTES	((uint64_t)6 << 20)
#define ARRAY_WORDS_MAX	40000u

#define NR_STEPS	3000u

struct building {
	struct fl_builder builder;
	bool is_open;
	uint64_t nr, goal;		/* words pushed, and to be pushed */
	uint64_t first;			/* word; the next is one more */
	uint64_t align;
};

struct site {
	struct fl_region *region;
	struct building building[NR_OPEN];
	uint64_t used;			/* of the lifetime */
};

struct yard {
	struct fl_trial *t;
	struct fl_shadow *shadow;
	struct fl_heap *heap;
	struct site sites[NR_REGIONS];
	uint64_t random, nr_linked, nr_copied;
};

/* Lengths where chunks, pages and blocks end, and one beside each. */
static uint64_t some_length(uint64_t *random)
{
	static const uint32_t ends[] = {
		0, 1, 8, 64, 128, 512, 1024, 2048, 8192, 16384, ARRAY_WORDS_MAX,
	};
	uint64_t nr = ends[fl_random(random) % (sizeof(ends) / sizeof(*ends))];

	nr += fl_random(random) % 3;
	return nr ? nr - 1 : 0;
}

static void start(struct yard *y, struct site *s, struct building *b)
{
	b->nr = 0;
	b->goal = some_length(&y->random);
	b->first = fl_random(&y->random);
	b->align = (uint64_t)8 << fl_random(&y->random) % 6;
	b->is_open = true;
	s->used += b->goal * 8 + b->align;
	fl_trial_doing(y->t, "opening a builder");
	fl_builder_open(&b->builder, y->t->s, s->region, b->align);
}

/* Some of what is missing, by pushes or in one piece. */
static void go_on(struct yard *y, struct building *b)
{
	uint64_t nr = 1 + fl_random(&y->random) % (b->goal / 3 + 2);
	uint64_t *piece;

	if (nr > b->goal - b->nr)
		nr = b->goal - b->nr;
	if (fl_random(&y->random) % 4) {
		for (; nr; nr--, b->nr++)
			*(uint64_t *)fl_builder_push(&b->builder, 8) =
				b->first + b->nr;
		return;
	}
	piece = fl_trial_alloc(y->t, nr + 1, sizeof(*piece));
	for (uint64_t i = 0; i < nr; i++)
		piece[i] = b->first + b->nr + i;
	fl_builder_append(&b->builder, piece, nr * 8);
	b->nr += nr;
	free(piece);
}

static void finish(struct yard *y, struct site *s, uint32_t owner,
		   struct building *b)
{
	uint64_t bytes = 1;
	void *array = b;
	int err;

	fl_trial_doing(y->t, "closing a builder of %" PRIu64 " words in %u chunks",
		       b->nr, b->builder.nr_chunks);
	err = fl_builder_close(&b->builder, &array, &bytes);
	if (err)
		fl_trial_fail(y->t, "a builder of %" PRIu64 " words ends with %s, and there is no limit",
			      b->nr, strerror(err < 0 ? -err : err));
	if (bytes != b->nr * 8 || !array != !bytes)
		fl_trial_fail(y->t, "an array of %" PRIu64 " words is %" PRIu64
			      " bytes at %p", b->nr, bytes, array);
	for (uint64_t k = 0; k < b->nr; k++)
		if (((const volatile uint64_t *)array)[k] != b->first + k)
			fl_trial_fail(y->t, "word %" PRIu64 " of an array of %"
				      PRIu64 " is not what was pushed (%s, %u chunks)",
				      k, b->nr, b->builder.linked ?
				      "linked" : "copied", b->builder.nr_chunks);
	if (bytes) {
		fl_shadow_adopt(y->shadow, s->region, owner, array, bytes,
				b->align);
		y->nr_linked += b->builder.linked;
		y->nr_copied += b->builder.copied_bytes > 0;
	}
}

static void stop(struct yard *y, struct site *s, uint32_t owner,
		 struct building *b)
{
	b->is_open = false;
	if (fl_random(&y->random) % 8 == 0) {
		fl_trial_doing(y->t, "dropping a builder");
		fl_builder_drop(&b->builder);
		return;
	}
	while (b->nr < b->goal)
		go_on(y, b);
	finish(y, s, owner, b);
}

static void begin_again(struct yard *y, struct site *s, uint32_t owner)
{
	for (unsigned i = 0; i < NR_OPEN; i++)
		if (s->building[i].is_open)
			fl_builder_drop(&s->building[i].builder);
	memset(s->building, 0, sizeof(s->building));
	fl_shadow_reset(y->shadow, s->region, owner);
	s->used = 0;
}

static void work(struct yard *y, uint32_t owner)
{
	struct site *s = &y->sites[owner];
	struct building *b = &s->building[fl_random(&y->random) % NR_OPEN];
	const uint64_t bytes = 8 + fl_random(&y->random) % 3000;

	if (s->used + ARRAY_WORDS_MAX * 8 + 8192 > LIFETIME_BYTES)
		begin_again(y, s, owner);
	s->used += fl_object_room(bytes, 8);
	fl_shadow_alloc(y->shadow, s->region, owner, bytes, 8);
	if (!b->is_open)
		start(y, s, b);
	else if (fl_random(&y->random) % 3)
		go_on(y, b);
	else
		stop(y, s, owner, b);
}

/* Builders that outlive their region: harmless, and told. */
static void bereft(struct yard *y, bool destroy)
{
	struct site *s = &y->sites[0];
	struct fl_builder b;
	uint64_t bytes;
	void *array;
	int err;

	begin_again(y, s, 0);
	fl_trial_doing(y->t, "ending a region with an open builder");
	fl_builder_open(&b, y->t->s, s->region, 8);
	*(uint64_t *)fl_builder_push(&b, 8) = 1;
	if (destroy) {
		fl_shadow_destroy(y->shadow, s->region, 0);
		s->region = fl_trial_region(y->t, y->heap);
	} else {
		fl_shadow_reset(y->shadow, s->region, 0);
	}
	for (int i = 0; i < 100; i++)
		fl_shadow_alloc(y->shadow, s->region, 0, 100, 8);
	for (int i = 0; i < 10000; i++)
		*(uint64_t *)fl_builder_push(&b, 8) = 2;
	fl_shadow_verify_all(y->shadow);
	err = fl_builder_close(&b, &array, &bytes);
	if (err != -ESTALE)
		fl_trial_fail(y->t, "a builder whose region was %s closes with %d and not with -ESTALE: use FL_STRATEGY()",
			      destroy ? "destroyed" : "reset", err);
}

void fl_try_builder(struct fl_trial *t)
{
	const struct fl_need need = {
		.region_bytes = LIFETIME_BYTES,
		.object_bytes = ARRAY_WORDS_MAX * 8 + 64,
		.nr_regions = NR_REGIONS,
	};
	struct yard y = { .t = t, .random = t->conform->seed };

	y.heap = fl_trial_open(t, &need);
	y.shadow = fl_shadow_new(t, y.heap);
	for (uint32_t k = 0; k < NR_REGIONS; k++)
		y.sites[k].region = fl_trial_region(t, y.heap);
	for (unsigned i = 0; i < NR_STEPS; i++)
		work(&y, (uint32_t)(fl_random(&y.random) % NR_REGIONS));
	fl_shadow_verify_all(y.shadow);
	if (t->s->chunk_take && t->s->chunk_rest_serves && !y.nr_linked)
		fl_trial_fail(t, "what is left of a chunk serves, and of %" PRIu64
			      " arrays not one was linked", y.nr_copied);
	bereft(&y, false);
	bereft(&y, true);
	for (uint32_t k = 0; k < NR_REGIONS; k++)
		begin_again(&y, &y.sites[k], k);
	fl_trial_doing(t, "closing the heap");
	t->s->close(y.heap);
}

/*
 * Reads.
 */

#define FILE_BYTES	((uint64_t)300000)
#define READ_REGION_BYTES	((uint64_t)8 << 20)

static unsigned char byte_of_file(uint64_t at)
{
	return (unsigned char)(at * 0x9e3779b97f4a7c15u >> 56);
}

static int file_of_bytes(struct fl_trial *t)
{
	unsigned char *bytes = fl_trial_alloc(t, FILE_BYTES, 1);
	int fd = memfd_create("conform-read", MFD_CLOEXEC);

	if (fd < 0)
		fl_trial_skip(t, "this kernel makes no memfd: %s", strerror(errno));
	for (uint64_t at = 0; at < FILE_BYTES; at++)
		bytes[at] = byte_of_file(at);
	if (pwrite(fd, bytes, FILE_BYTES, 0) != (ssize_t)FILE_BYTES)
		fl_trial_fail(t, "the suite itself cannot write a file: %s",
			      strerror(errno));
	free(bytes);
	return fd;
}

/* @n bytes came to *@data, which are those of the file from @from on. */
static void check_read(struct fl_trial *t, ssize_t n, uint64_t expected,
		       void *const *data, uint64_t from)
{
	const unsigned char *bytes = *data;

	if (n != (ssize_t)expected)
		fl_trial_fail(t, "a read of %" PRIu64 " bytes returned %zd%s%s",
			      expected, n, n < 0 ? ": " : "",
			      n < 0 ? strerror((int)-n) : "");
	if (!bytes != !expected)
		fl_trial_fail(t, "%zd bytes are at %p", n, *data);
	for (uint64_t i = 0; i < expected; i++)
		if (bytes[i] != byte_of_file(from + i))
			fl_trial_fail(t, "byte %" PRIu64 " of a read of %" PRIu64
				      " is not the file's", i, expected);
}

/* Asks for more than comes, in pieces of all sizes, until the end and beyond. */
static void read_file(struct fl_trial *t, struct fl_shadow *shadow,
		      struct fl_region *region, enum fl_read_how how, int fd)
{
	static const uint32_t sizes[] = { 1, 100, 4096, 5000, 65536, 70000, 200000 };
	struct fl_reader reader;
	uint64_t at = 0, random = t->conform->seed;
	void *data;
	int err = fl_reader_open(&reader, t->s, how, FILE_BYTES);

	if (err)
		fl_trial_fail(t, "a reader cannot be opened: %s", strerror(-err));
	for (unsigned i = 0; at < FILE_BYTES; i++) {
		const uint64_t most = sizes[i % (sizeof(sizes) / sizeof(*sizes))];
		const uint64_t left = FILE_BYTES - at;
		const uint64_t n = most < left ? most : left;

		fl_trial_doing(t, "reading %" PRIu64 " bytes, way %d", most,
			       (int)how);
		check_read(t, fl_region_read(&reader, region, fd, most, &data),
			   n, &data, at);
		fl_shadow_adopt(shadow, region, 0, data, n, FL_READ_ALIGN);
		fl_shadow_alloc(shadow, region, 0, fl_random(&random) % 3000, 8);
		at += n;
	}
	fl_trial_doing(t, "reading at the end, way %d", (int)how);
	check_read(t, fl_region_read(&reader, region, fd, 4096, &data), 0, &data, 0);
	check_read(t, fl_region_read(&reader, region, fd, 0, &data), 0, &data, 0);
	if (lseek(fd, 0, SEEK_SET))
		fl_trial_fail(t, "the suite itself cannot seek");
	fl_trial_doing(t, "reading everything, way %d", (int)how);
	check_read(t, fl_region_read_all(&reader, region, fd, SIZE_MAX / 2, &data),
		   FILE_BYTES, &data, 0);
	fl_shadow_adopt(shadow, region, 0, data, FILE_BYTES, FL_READ_ALIGN);
	fl_shadow_reset(shadow, region, 0);
	if (lseek(fd, 0, SEEK_SET))
		fl_trial_fail(t, "the suite itself cannot seek");
	fl_reader_close(&reader);
}

void fl_try_read(struct fl_trial *t)
{
	const struct fl_need need = {
		.region_bytes = READ_REGION_BYTES,
		.object_bytes = FILE_BYTES + FL_READ_ALIGN, .nr_regions = 1,
	};
	struct fl_heap *heap = fl_trial_open(t, &need);
	struct fl_region *region = fl_trial_region(t, heap);
	struct fl_shadow *shadow = fl_shadow_new(t, heap);
	const int fd = file_of_bytes(t);

	/* Twice: memory that was never used, and memory that was. */
	for (int round = 0; round < 2; round++)
		for (enum fl_read_how how = FL_READ_GIVE_BACK;
		     how <= FL_READ_KEEP; how++)
			if (how != FL_READ_GIVE_BACK ||
			    fl_read_best(t->s) == FL_READ_GIVE_BACK)
				read_file(t, shadow, region, how, fd);
	close(fd);
	fl_trial_doing(t, "closing the heap");
	t->s->close(heap);
}

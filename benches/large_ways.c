/* SPDX-License-Identifier: MIT */
/*
 * The ways.  One loop, inlined for each way, path and kind of size, so that all of them
 * differ in nothing but what is compared.  What an object's size is comes from memory,
 * or is a constant and the caller knows an array when he makes one.
 */
#include <stdlib.h>
#include <string.h>

#include "benches/large.h"
#include "faultline/run.h"
#include "faultline/site.h"

fl_hot void *small_new(struct work *w, struct fl_cursor *c, size_t bytes,
		       uint64_t word, enum path path)
{
	struct fl_region *region = w->on.region;
	const size_t n = fl_object_bytes(bytes);
	void *p;

	if (path == PATH_BARE)
		return fl_bare_new(&c->bump, n, FL_GRAIN_BYTES, word);
	if (path == PATH_LIMIT && fl_likely(fl_run_fits(c, n)))
		return fl_carve(c, n, word);
	region->cursor = *c;
	p = w->on.strategy->object_new(region, bytes, FL_GRAIN_BYTES, word);
	*c = region->cursor;
	return p;
}

static void *malloc_new(struct work *w, size_t bytes, uint64_t word)
{
	uint64_t *p = malloc(bytes);

	(void)w;
	if (!p)
		abort();	/* There is no way on, and no way back. */
	*p = word;
	return p;
}

/* Whatever comes; in an area's way behind the size branch. */
fl_hot void *any_new(struct work *w, struct fl_cursor *c, size_t bytes,
		     uint64_t word, unsigned way, enum path path)
{
	if (way == WAY_MALLOC)
		return malloc_new(w, bytes, word);
	if (way == WAY_AREA)
		return fl_large_or(w->area, w->on.region, bytes, word,
				   small_new(w, c, bytes, word, path));
	return small_new(w, c, bytes, word, path);
}

fl_hot void allocate(struct work *w, const uint32_t *sizes, uint64_t nr,
		     unsigned way, enum path path, bool constant)
{
	struct fl_cursor c = { NULL, NULL };
	const uint64_t every = w->every ? w->every : nr + 1;
	void **objects = w->objects;

	if (way != WAY_MALLOC)
		c = w->on.region->cursor;
	if (!constant)
		for (uint64_t i = 0; i < nr; i++)
			objects[i] = any_new(w, &c, sizes[i], i, way, path);
	for (uint64_t i = 0; constant && i < nr; i++) {
		const uint64_t end = i + every - 1 < nr ? i + every - 1 : nr;

		for (; i < end; i++)
			objects[i] = any_new(w, &c, SMALL_BYTES, i, way, path);
		if (i == nr)
			break;
		if (way == WAY_AREA)
			objects[i] = fl_large_new(w->area, w->on.region,
						  sizes[i], i);
		else
			objects[i] = any_new(w, &c, sizes[i], i, way, path);
	}
	if (way != WAY_MALLOC)
		w->on.region->cursor = c;
}

fl_hot void by_kind(struct work *w, const uint32_t *sizes, uint64_t nr,
		    unsigned way, enum path path)
{
	if (w->args->values[SIZES] == SIZES_CONSTANT)
		allocate(w, sizes, nr, way, path, true);
	else
		allocate(w, sizes, nr, way, path, false);
}

fl_hot void by_path(struct work *w, const uint32_t *sizes, uint64_t nr,
		    unsigned way)
{
	if (w->path == PATH_LIMIT)
		by_kind(w, sizes, nr, way, PATH_LIMIT);
	else if (w->path == PATH_BARE)
		by_kind(w, sizes, nr, way, PATH_BARE);
	else
		by_kind(w, sizes, nr, way, PATH_CALL);
}

static void by_way(struct work *w, const uint32_t *sizes, uint64_t nr)
{
	if (w->args->values[WAY] == WAY_AREA)
		by_path(w, sizes, nr, WAY_AREA);
	else if (w->args->values[WAY] == WAY_OWN)
		by_path(w, sizes, nr, WAY_OWN);
	else
		by_kind(w, sizes, nr, WAY_MALLOC, PATH_CALL);
}

static void write_pages(char *from, char *end)
{
	for (; from < end; from += 4096)
		*(volatile char *)from = 1;
}

/* To twice as many bytes; where it is then. */
static char *doubled(struct work *w, char *array, size_t bytes)
{
	void *p = array;
	int err = 0;

	switch (w->args->values[WAY]) {
	case WAY_AREA:
		err = fl_array_resize(w->area, w->on.strategy, w->on.region, &p,
				      bytes, 2 * bytes);
		w->copied_bytes += bytes <= FL_LARGE_BYTES ? bytes : 0;
		break;
	case WAY_OWN:
		p = w->on.strategy->object_new(w->on.region, 2 * bytes,
					       FL_GRAIN_BYTES, 0);
		memcpy(p, array, bytes);
		w->copied_bytes += bytes;
		break;
	default:
		p = realloc(array, 2 * bytes);
		if (!p)
			abort();	/* As malloc. */
	}
	if (err)
		w->error = err;
	return p;
}

static void use(struct work *w, uint32_t place, size_t bytes)
{
	char *array = w->objects[place];

	for (uint64_t i = 0; i < w->args->values[DOUBLINGS]; i++) {
		write_pages(array + 8, array + bytes);
		array = doubled(w, array, bytes);
		bytes *= 2;
	}
	if (w->args->values[USE] == USE_PAGES)
		write_pages(array + 8, array + bytes);
	w->objects[place] = array;
}

void large_build(struct work *w, uint64_t k, uint64_t nr)
{
	const uint32_t *sizes = w->sizes + k * w->window;
	const uint32_t *places = w->places + k * w->nr_arrays;

	by_way(w, sizes, nr);
	for (uint64_t i = 0; i < w->nr_arrays && places[i] < nr; i++)
		use(w, places[i], sizes[places[i]]);
	if (w->on.region && w->on.region->error)
		w->error = w->on.region->error;
	if (w->on.region && fl_large_error(w->on.region))
		w->error = fl_large_error(w->on.region);
}

void large_over(struct work *w, uint64_t nr)
{
	if (w->args->values[WAY] != WAY_MALLOC)
		w->on.strategy->region_reset(w->on.region);
	else
		for (uint64_t i = 0; i < nr; i++)
			free(w->objects[i]);
}

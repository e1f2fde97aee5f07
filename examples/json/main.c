/* SPDX-License-Identifier: MIT */
/*
 * json: parse documents into regions, tell what is in them; an example of how a
 * program uses a strategy that it chooses when it starts.
 *
 * A copy of this folder is built, and used, by
 *
 *	cc -std=gnu11 -O2 -o json main.c doc.c $(pkg-config --cflags --libs faultline)
 *	json --strategy=$(pkg-config --variable=pkglibdir faultline)/bump_down.so FILE...
 */
#include <argp.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doc.h"

static const struct argp_option options[] = {
	{ "strategy", 's', "FILE", 0, "the strategy's module", 0 },
	{ 0 },
};

struct arguments {
	const char *module;
	char **files;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 's':
		a->module = arg;
		return 0;
	case ARGP_KEY_ARGS:
		a->files = state->argv + state->next;
		return 0;
	case ARGP_KEY_END:
		if (!a->module || !a->files)
			argp_error(state, "name a module with --strategy, and documents");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct fl_strategy *load(const char *path)
{
	void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct fl_strategy *s = module ?
		dlsym(module, FL_STRATEGY_SYMBOL) : NULL;

	if (!s) {
		fprintf(stderr, "json: %s\n", dlerror());
		return NULL;
	}
	if (s->magic != FL_MAGIC || s->abi != FL_ABI_VERSION) {
		fprintf(stderr, "json: %s: built for another version of Faultline: rebuild it\n",
			path);
		return NULL;
	}
	return s;
}

static char *read_file(const char *path, size_t *bytes)
{
	FILE *file = fopen(path, "rb");
	char *text = NULL;
	long end = -1;

	if (file && !fseek(file, 0, SEEK_END))
		end = ftell(file);
	if (end >= 0 && !fseek(file, 0, SEEK_SET))
		text = malloc((size_t)end + 1);
	if (text && fread(text, 1, (size_t)end, file) != (size_t)end) {
		free(text);
		text = NULL;
	}
	if (!text)
		fprintf(stderr, "json: %s: cannot be read\n", path);
	if (file)
		fclose(file);
	*bytes = (size_t)end;
	return text;
}

/* Where a region is one range of addresses, the range suffices for the document. */
static void widen(const struct fl_strategy *s, uint64_t *values, uint64_t bytes)
{
	for (size_t i = 0; i < s->nr_tunables; i++) {
		if (!strcmp(s->tunables[i].name, "span") && values[i] < bytes &&
		    bytes <= s->tunables[i].max)
			values[i] = bytes;
	}
}

/* A heap and a region of their own for each document. */
static int tell(const struct fl_strategy *s, uint64_t *values,
		const char *path)
{
	struct fl_open_args open = { .values = values, .nr_regions_max = 1, .cpu = -1 };
	struct doc_sum sum = { 0 };
	struct fl_region *region;
	struct doc_error error;
	struct fl_heap *heap;
	struct doc_value *value;
	size_t bytes;
	char *text = read_file(path, &bytes);
	int err;

	if (!text)
		return 1;
	open.region_bytes_max = open.object_bytes_max = doc_region_bytes(bytes);
	widen(s, values, open.region_bytes_max);
	err = s->open(&open, &heap);
	if (!err)
		err = s->region_create(heap, &region);
	if (err) {
		fprintf(stderr, "json: %s: %s\n", s->name, strerror(-err));
		return 1;
	}
	value = doc_parse(s, region, text, bytes, &error);
	free(text);
	if (value) {
		doc_walk(value, &sum);
		printf("%s: %" PRIu64 " values, %" PRIu64 " bytes of text, numbers add up to %g, hash %016" PRIx64 "\n",
		       path, sum.nr_values, sum.nr_text_bytes, sum.numbers, sum.hash);
	} else {
		fprintf(stderr, "json: %s: byte %zu: %s\n", path, error.at,
			error.what);
	}
	s->region_destroy(region);
	s->close(heap);
	return !value;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options, .parser = parse, .args_doc = "FILE...",
		.doc = "Parse JSON documents into regions.",
	};
	struct arguments a = { NULL, NULL };
	const struct fl_strategy *s;
	uint64_t *values;
	int failed = 0;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	s = load(a.module);
	values = s ? calloc(s->nr_tunables + 1, sizeof(*values)) : NULL;
	if (!values)
		return 2;
	for (size_t i = 0; i < s->nr_tunables; i++)
		values[i] = s->tunables[i].def;
	for (char **file = a.files; *file; file++)
		failed |= tell(s, values, *file);
	free(values);
	return failed;
}

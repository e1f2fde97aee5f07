/* SPDX-License-Identifier: MIT */
/*
 * json: whole documents parsed, walked and thrown away, by where their values live.
 *
 *  way=regions          the parser of examples/json, in a region
 *  way=jansson_regions  jansson, which is asked to allocate in a region and whose
 *                       frees do nothing
 *  way=jansson          jansson, with malloc and free
 *
 * An op is a byte of a document.  Documents are records of ISO 639-3 as Debian's
 * iso-codes has them, so many as the size asked for has room for, again from the
 * first when there are no more, and blanks to exactly that size.  Whole documents
 * are parsed, walked and ended, the last as well; a piece of the stretch has as many
 * as it takes.  Before anything is timed, both parsers must find the same in one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "benches/carrier.h"
#include "examples/json/doc.h"
#include "faultline/bench.h"

#define SOURCE		"/usr/share/iso-codes/json/iso_639-3.json"
#define SOURCE_MAX	((size_t)4 << 20)
#define PIECE_BYTES	((uint64_t)256 << 10)

enum { WAY, STRATEGY, BYTES, BLOCK };
enum { WAY_REGIONS, WAY_JANSSON_REGIONS, WAY_JANSSON };

static const char *const ways[] = {
	"regions", "jansson_regions", "jansson", NULL
};
static const char *const strategies[] = {
	"block_split", "branch_site", "bump_down", "bump_up", "demand_zero",
	"elastic", "grows_down", "no_check", "reserve_loop", "reserve_run", "rseq_redirect",
	"segv_extend", "segv_redirect", "uffd_redirect", "uffd_rw", NULL
};

static const struct fl_tunable tunables[] = {
	[WAY] = {
		.name = "way", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "who parses, and where values live", .choices = ways,
	},
	[STRATEGY] = {
		.name = "strategy", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "whose region it is, with its default settings but for the block",
		.def = 2, .choices = strategies,
	},
	[BYTES] = {
		.name = "bytes", .unit = "1", .kind = FL_TUNABLE_COUNT,
		.help = "size of a document",
		.def = 64 << 10, .min = 256, .max = 128 << 20,
	},
	[BLOCK] = {
		.name = "block", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "size of a block, if the strategy has any",
		.def = 64 << 10, .min = 4 << 10, .max = 1 << 30,
	},
};

enum { DOCUMENTS, VALUES, PARSE, WALK, END };

static const struct fl_bench_metric metrics[] = {
	[DOCUMENTS] = { "documents", "1", "documents of the stretch" },
	[VALUES] = { "values", "1", "values of a document, keys included" },
	[PARSE] = { "parse_share", "1", "of the time, what it took to parse" },
	[WALK] = { "walk_share", "1", "to walk" },
	[END] = { "end_share", "1", "to reset the region, or free all values" },
};

struct work {
	const struct fl_bench_args *args;
	struct carrier on;			/* not open: none needed */
	char *text;
	size_t bytes;
	uint64_t ticks[3];			/* parse, walk, end */
	uint64_t nr_documents;
};

/* ---- documents ---------------------------------------------------------- */

/* The next record of @source behind @at, or NULL; no string of it has a brace. */
static const char *next_record(const char *at, size_t *bytes)
{
	const char *start = strchr(at, '{');
	const char *end = start ? strchr(start, '}') : NULL;

	if (!end)
		return NULL;
	*bytes = (size_t)(end + 1 - start);
	return start;
}

static char *read_source(void)
{
	FILE *file = fopen(SOURCE, "re");
	char *source = file ? calloc(1, SOURCE_MAX + 1) : NULL;

	if (source && !fread(source, 1, SOURCE_MAX, file)) {
		free(source);
		source = NULL;
	}
	if (file)
		fclose(file);
	return source;
}

/* An array of the size, or a larger one where a single record is as large as that. */
static int make_document(struct work *w)
{
	const size_t wanted = w->args->values[BYTES];
	char *source = read_source();
	const char *first = source ? strchr(source, '[') : NULL, *at = first;
	size_t n = 0;

	w->text = malloc(wanted + SOURCE_MAX);
	if (!first || !w->text) {
		free(source);
		return first ? -ENOMEM : -ENOENT;
	}
	w->text[w->bytes++] = '[';
	do {
		const char *record = next_record(at, &n);

		if (!record) {
			if (at == first)
				break;
			at = first;
			continue;
		}
		if (w->bytes > 1)
			w->text[w->bytes++] = ',';
		memcpy(w->text + w->bytes, record, n);
		w->bytes += n;
		at = record + n;
	} while (w->bytes + n + 2 <= wanted);
	while (w->bytes + 1 < wanted)
		w->text[w->bytes++] = ' ';
	w->text[w->bytes++] = ']';
	free(source);
	return 0;
}

/* ---- jansson ------------------------------------------------------------ */

/* It has one allocator for the process, and no argument for it. */
static const struct carrier *allocating;

static void *region_malloc(size_t bytes)
{
	return allocating->strategy->object_new(allocating->region, bytes,
						sizeof(max_align_t), 0);
}

static void region_free(void *p)
{
	(void)p;
}

/* As doc_walk sees it, but for the hash. */
static void jansson_walk(json_t *value, struct doc_sum *sum)
{
	const char *key;
	json_t *item;
	size_t i;

	sum->nr_values++;
	switch (json_typeof(value)) {
	case JSON_STRING:
		sum->nr_text_bytes += json_string_length(value);
		break;
	case JSON_INTEGER:
	case JSON_REAL:
		sum->numbers += json_number_value(value);
		break;
	case JSON_ARRAY:
		json_array_foreach(value, i, item)
			jansson_walk(item, sum);
		break;
	case JSON_OBJECT:
		json_object_foreach(value, key, item) {
			sum->nr_values++;
			sum->nr_text_bytes += strlen(key);
			jansson_walk(item, sum);
		}
		break;
	default:
		break;
	}
}

/* ---- one document -------------------------------------------------------- */

static int say(char *reason, size_t reason_bytes, const char *what, size_t at)
{
	snprintf(reason, reason_bytes, "byte %zu: %s", at, what);
	return -EIO;
}

/* Parse, walk, end; adds to w->ticks and w->nr_documents. */
static int document(struct work *w, struct doc_sum *sum, char *reason,
		    size_t reason_bytes)
{
	const uint64_t way = w->args->values[WAY];
	uint64_t begin = fl_ticks(), parsed, walked;
	struct doc_value *value = NULL;
	struct doc_error error;
	json_error_t theirs;
	json_t *root = NULL;

	if (way == WAY_REGIONS) {
		value = doc_parse(w->on.strategy, w->on.region, w->text, w->bytes, &error);
		if (!value)
			return say(reason, reason_bytes, error.what, error.at);
	} else {
		root = json_loadb(w->text, w->bytes, 0, &theirs);
		if (!root)
			return say(reason, reason_bytes, theirs.text,
				   (size_t)theirs.position);
	}
	parsed = fl_ticks();
	if (value)
		doc_walk(value, sum);
	else
		jansson_walk(root, sum);
	walked = fl_ticks();
	if (way == WAY_JANSSON)
		json_decref(root);
	else if (w->on.region->error)
		return say(reason, reason_bytes, "memory is exhausted", 0);
	else
		w->on.strategy->region_reset(w->on.region);
	w->ticks[0] += parsed - begin;
	w->ticks[1] += walked - parsed;
	w->ticks[2] += fl_ticks() - walked;
	w->nr_documents++;
	return 0;
}

/* What jansson finds in the text. */
static int find(const struct work *w, struct doc_sum *sum, char *reason,
		size_t reason_bytes)
{
	json_error_t error;
	json_t *root = json_loadb(w->text, w->bytes, 0, &error);

	if (!root)
		return say(reason, reason_bytes, error.text, (size_t)error.position);
	jansson_walk(root, sum);
	json_decref(root);
	return 0;
}

/*
 * One document, which is not timed: nothing has been met before.  Both parsers must
 * find the same; the other one goes first, so that its memory is no guest later.
 */
static int warm_up(struct work *w, struct doc_sum *sum, char *reason,
		   size_t reason_bytes)
{
	const bool both = w->args->values[WAY] == WAY_REGIONS;
	struct doc_sum theirs = { 0 };
	int err = both ? find(w, &theirs, reason, reason_bytes) : 0;

	if (!err)
		err = document(w, sum, reason, reason_bytes);
	if (err || !both || (theirs.nr_values == sum->nr_values &&
			     theirs.nr_text_bytes == sum->nr_text_bytes))
		return err;
	snprintf(reason, reason_bytes,
		 "%" PRIu64 " values and %" PRIu64 " bytes of text, but jansson finds %" PRIu64 " and %" PRIu64,
		 sum->nr_values, sum->nr_text_bytes, theirs.nr_values,
		 theirs.nr_text_bytes);
	return -EIO;
}

/* As many as have @nr_bytes, for the record. */
static int documents(struct work *w, uint64_t nr_bytes, char *reason,
		     size_t reason_bytes)
{
	struct fl_bench_meter *meter = w->args->meter;
	int err = 0;

	for (uint64_t done = 0, piece; done < nr_bytes && !err; done += piece) {
		uint64_t ticks = w->ticks[0] + w->ticks[1] + w->ticks[2];

		meter->begin(meter);
		for (piece = 0; piece < PIECE_BYTES && done + piece < nr_bytes && !err;
		     piece += w->bytes) {
			struct doc_sum sum = { 0 };

			err = document(w, &sum, reason, reason_bytes);
		}
		ticks = w->ticks[0] + w->ticks[1] + w->ticks[2] - ticks;
		meter->end(meter, ticks, piece);
	}
	return err;
}

static int measure(struct work *w, struct fl_bench_result *result, char *reason,
		   size_t reason_bytes)
{
	const struct fl_bench_args *args = w->args;
	struct doc_sum sum = { 0 };
	uint64_t total;
	int err = warm_up(w, &sum, reason, reason_bytes);

	if (err)
		return err;
	memset(w->ticks, 0, sizeof(w->ticks));
	w->nr_documents = 0;
	args->meter->start(args->meter);
	err = documents(w, args->nr_ops + (args->planted ?
			args->nr_ops / FL_BENCH_PLANTED_EVERY : 0), reason, reason_bytes);
	args->meter->stop(args->meter);
	total = w->ticks[0] + w->ticks[1] + w->ticks[2];
	result->ticks = total;
	result->nr_ops = args->nr_ops;
	result->values[DOCUMENTS] = (double)w->nr_documents;
	result->values[VALUES] = (double)sum.nr_values;
	result->values[PARSE] = (double)w->ticks[0] / (double)total;
	result->values[WALK] = (double)w->ticks[1] / (double)total;
	result->values[END] = (double)w->ticks[2] / (double)total;
	return err;
}

/* ---- opening and closing -------------------------------------------------- */

static int json_run(const struct fl_bench_args *args,
		    struct fl_bench_result *result, char *reason,
		    size_t reason_bytes)
{
	struct work w = { .args = args };
	int err = make_document(&w);

	if (err)
		snprintf(reason, reason_bytes, "no document: %s", strerror(-err));
	if (!err && args->values[WAY] != WAY_JANSSON) {
		const struct fl_open_args need = {
			.nr_regions_max = 1,
			.region_bytes_max = doc_region_bytes(w.bytes),
			.object_bytes_max = doc_region_bytes(w.bytes),
		};

		err = carrier_open(&w.on, args,
				   strategies[args->values[STRATEGY]],
				   args->values[BLOCK], &need, reason,
				   reason_bytes);
	}
	if (!err && args->values[WAY] == WAY_JANSSON_REGIONS) {
		allocating = &w.on;
		json_set_alloc_funcs(region_malloc, region_free);
	}
	if (!err)
		err = measure(&w, result, reason, reason_bytes);
	json_set_alloc_funcs(malloc, free);
	carrier_close(&w.on);
	free(w.text);
	return err;
}

static int json_probe(const uint64_t *values, char *reason, size_t reason_bytes)
{
	FILE *file = fopen(SOURCE, "re");

	(void)values;
	if (file) {
		fclose(file);
		return 0;
	}
	snprintf(reason, reason_bytes, "%s: %s: install iso-codes", SOURCE,
		 strerror(errno));
	return -ENOTSUP;
}

FL_BENCH(
	.name = "json",
	.summary = "JSON documents parsed, walked and thrown away",
	.op = "byte",
	.ops_default = 16 << 20,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.metrics = metrics,
	.nr_metrics = sizeof(metrics) / sizeof(metrics[0]),
	.probe = json_probe,
	.run = json_run,
);

/* SPDX-License-Identifier: MIT */
/*
 * json.h: JSON documents in a region; an example of a program on top of Faultline.
 *
 * A document is parsed into a region and dies with it: nothing is freed by itself,
 * and nothing has to be walked to be freed.  Values whose size is known when they are
 * allocated are objects of the region; arrays, members and strings with escapes,
 * whose size is known when they are done, are made by builders.
 *
 * Any strategy will do.  The heap is opened with a region_bytes_max of
 * json_region_bytes() and an object_bytes_max of as much.
 */
#ifndef JSON_H
#define JSON_H

#include <stddef.h>
#include <stdint.h>

#include "faultline/strategy.h"

enum json_type {
	JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY,
	JSON_OBJECT,
};

/* Owned by the region. */
struct json {
	uint64_t head;			/* type, and length or count above it */
	union {
		double number;
		const char *text;	/* UTF-8, not terminated */
		struct json **items;
		struct json_member *members;	/* in the document's order */
	};
};

struct json_member {
	struct json *key;		/* a string */
	struct json *value;
};

static inline enum json_type json_type(const struct json *value)
{
	return (enum json_type)(value->head & 7);
}

/* Of a string its bytes; of an array or object how many items or members. */
static inline uint64_t json_length(const struct json *value)
{
	return value->head >> 3;
}

/* Where and why a document is none. */
struct json_error {
	size_t at;			/* byte of the text */
	const char *what;
};

/* json_region_bytes: What a document of @bytes takes at most, in any strategy. */
size_t json_region_bytes(size_t bytes);

/*
 * json_parse: The value that @text is, in @region.  @text may go away afterwards.
 * RFC 8259; numbers are doubles, the last of equal keys does not replace others.
 * Returns NULL with *@error; the region then holds what had been parsed, until it is
 * reset.  Deeper than JSON_DEPTH_MAX is an error.  Cost: linear.
 */
#define JSON_DEPTH_MAX	512
struct json *json_parse(const struct fl_strategy *strategy,
			struct fl_region *region, const char *text, size_t bytes,
			struct json_error *error);

/* json_get: The first member called @key, or NULL. */
struct json *json_get(const struct json *object, const char *key);

/* What a walk over all values sees, to tell documents apart. */
struct json_sum {
	uint64_t nr_values, nr_text_bytes, hash;
	double numbers;
};

void json_walk(const struct json *value, struct json_sum *sum);

#endif

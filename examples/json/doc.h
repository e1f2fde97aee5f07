/* SPDX-License-Identifier: MIT */
/*
 * doc.h: JSON documents in a region; an example of a program on top of Faultline.
 *
 * A document is parsed into a region and dies with it: nothing is freed by itself,
 * and nothing has to be walked to be freed.  Values whose size is known when they are
 * allocated are objects of the region; arrays, members and strings with escapes,
 * whose size is known when they are done, are made by builders.
 *
 * Any strategy will do.  The heap is opened with a region_bytes_max of
 * doc_region_bytes() and an object_bytes_max of as much; and with a span of as much
 * where that is a tunable, for there a region ends where its span does.
 */
#ifndef DOC_H
#define DOC_H

#include <stddef.h>
#include <stdint.h>

#include "faultline/strategy.h"

enum doc_type {
	DOC_NULL, DOC_FALSE, DOC_TRUE, DOC_NUMBER, DOC_STRING, DOC_ARRAY,
	DOC_OBJECT,
};

/* Owned by the region. */
struct doc_value {
	uint64_t head;			/* type, and length or count above it */
	union {
		double number;
		const char *text;	/* UTF-8, not terminated */
		struct doc_value **items;
		struct doc_member *members;	/* in the document's order */
	};
};

struct doc_member {
	struct doc_value *key;		/* a string */
	struct doc_value *value;
};

static inline enum doc_type doc_type(const struct doc_value *value)
{
	return (enum doc_type)(value->head & 7);
}

/* Of a string its bytes; of an array or object how many items or members. */
static inline uint64_t doc_length(const struct doc_value *value)
{
	return value->head >> 3;
}

/* Where and why a document is none. */
struct doc_error {
	size_t at;			/* byte of the text */
	const char *what;
};

/*
 * doc_region_bytes: What a document of @bytes takes at most.
 */
size_t doc_region_bytes(size_t bytes);

/*
 * doc_parse: The value that @text is, in @region.  @text may go away afterwards.
 * RFC 8259; numbers are doubles, of at most 63 characters; the last of equal keys does
 * not replace others; nobody looks whether text is UTF-8.
 * Returns NULL with *@error; the region then holds what had been parsed, until it is
 * reset.  Deeper than DOC_DEPTH_MAX is an error.  Cost: linear.
 */
#define DOC_DEPTH_MAX	512
struct doc_value *doc_parse(const struct fl_strategy *strategy,
			struct fl_region *region, const char *text, size_t bytes,
			struct doc_error *error);

/* doc_get: The first member called @key, or NULL. */
struct doc_value *doc_get(const struct doc_value *object, const char *key);

/* What a walk over all values sees, to tell documents apart. */
struct doc_sum {
	uint64_t nr_values, nr_text_bytes, hash;
	double numbers;
};

void doc_walk(const struct doc_value *value, struct doc_sum *sum);

#endif

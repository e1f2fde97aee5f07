/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "doc.h"
#include "faultline/builder.h"

#define ALIGN		8u

/* Of a number as it is written, and the end that strtod wants. */
#define NUMBER_BYTES	64u

struct parser {
	const struct fl_strategy *strategy;
	struct fl_region *region;
	const char *start, *at, *end;
	struct doc_error *error;
	unsigned depth;
};

static struct doc_value *parse_value(struct parser *p);

static void *fail(struct parser *p, const char *at, const char *what)
{
	if (!p->error->what)
		*p->error = (struct doc_error){
			.at = (size_t)(at - p->start), .what = what,
		};
	return NULL;
}

static struct doc_value *new_value(struct parser *p, enum doc_type type,
			      uint64_t length, size_t bytes)
{
	return p->strategy->object_new(p->region, bytes, ALIGN,
				       length << 3 | type);
}

static void skip_blanks(struct parser *p)
{
	while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' ||
				  *p->at == '\t' || *p->at == '\r'))
		p->at++;
}

static bool accept(struct parser *p, char c)
{
	skip_blanks(p);
	if (p->at == p->end || *p->at != c)
		return false;
	p->at++;
	return true;
}

/* ---- strings ------------------------------------------------------------ */

static int hex4(const char *s)
{
	int n = 0;

	for (int i = 0; i < 4; i++) {
		const char c = s[i];

		n = n * 16 + (c >= '0' && c <= '9' ? c - '0' :
			      c >= 'a' && c <= 'f' ? c - 'a' + 10 :
			      c >= 'A' && c <= 'F' ? c - 'A' + 10 : -70000);
		if (n < 0)
			return -1;
	}
	return n;
}

static void append_utf8(struct fl_builder *b, unsigned code)
{
	char out[4];
	size_t n = 0;

	if (code < 0x80) {
		out[n++] = (char)code;
	} else if (code < 0x800) {
		out[n++] = (char)(0xc0 | code >> 6);
		out[n++] = (char)(0x80 | (code & 63));
	} else if (code < 0x10000) {
		out[n++] = (char)(0xe0 | code >> 12);
		out[n++] = (char)(0x80 | (code >> 6 & 63));
		out[n++] = (char)(0x80 | (code & 63));
	} else {
		out[n++] = (char)(0xf0 | code >> 18);
		out[n++] = (char)(0x80 | (code >> 12 & 63));
		out[n++] = (char)(0x80 | (code >> 6 & 63));
		out[n++] = (char)(0x80 | (code & 63));
	}
	fl_builder_append(b, out, n);
}

/* Behind "\u"; half a surrogate pair is no character. */
static bool append_code(struct parser *p, struct fl_builder *b)
{
	int high = p->end - p->at >= 4 ? hex4(p->at) : -1, low;

	if (high < 0 || (high >= 0xdc00 && high < 0xe000))
		return false;
	p->at += 4;
	if (high < 0xd800 || high >= 0xe000) {
		append_utf8(b, (unsigned)high);
		return true;
	}
	low = p->end - p->at >= 6 && p->at[0] == '\\' && p->at[1] == 'u' ?
	      hex4(p->at + 2) : -1;
	if (low < 0xdc00 || low >= 0xe000)
		return false;
	p->at += 6;
	append_utf8(b, 0x10000 + ((unsigned)high - 0xd800) * 0x400 +
		       ((unsigned)low - 0xdc00));
	return true;
}

static bool append_escape(struct parser *p, struct fl_builder *b)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *known;

	if (++p->at == p->end)
		return false;
	if (*p->at == 'u') {
		p->at++;
		return append_code(p, b);
	}
	known = *p->at ? strchr(from, *p->at) : NULL;
	if (!known)
		return false;
	fl_builder_append(b, &to[known - from], 1);
	p->at++;
	return true;
}

static const char *plain_end(const struct parser *p)
{
	const char *s = p->at;

	while (s < p->end && *s != '"' && *s != '\\' && (unsigned char)*s >= ' ')
		s++;
	return s;
}

/* One with escapes: shorter than it is written, nobody knows by how much. */
static struct doc_value *parse_escaped(struct parser *p)
{
	struct fl_builder b;
	struct doc_value *value;
	uint64_t bytes;
	void *text;

	fl_builder_open(&b, p->strategy, p->region, ALIGN);
	for (;;) {
		const char *end = plain_end(p);

		fl_builder_append(&b, p->at, (size_t)(end - p->at));
		p->at = end;
		if (end == p->end || *end != '\\')
			break;
		if (!append_escape(p, &b)) {
			fl_builder_drop(&b);
			return fail(p, end, "this is no escape");
		}
	}
	if (fl_builder_close(&b, &text, &bytes))
		return fail(p, p->at, "memory is exhausted");
	value = new_value(p, DOC_STRING, bytes, sizeof(*value));
	value->text = text;
	return value;
}

/* Behind the quote.  One without escapes is an object with its text behind it. */
static struct doc_value *parse_string(struct parser *p)
{
	const char *end = plain_end(p);
	const size_t bytes = (size_t)(end - p->at);
	struct doc_value *value;

	if (end < p->end && *end == '"') {
		value = new_value(p, DOC_STRING, bytes, sizeof(*value) + bytes);
		value->text = memcpy(value + 1, p->at, bytes);
		p->at = end + 1;
		return value;
	}
	value = parse_escaped(p);
	if (!value)
		return NULL;
	if (p->at == p->end || *p->at != '"')
		return fail(p, p->at, "a string ends in \" and has no control characters");
	p->at++;
	return value;
}

/* ---- numbers and words -------------------------------------------------- */

static const char *digits(const char *s, const char *end)
{
	while (s < end && *s >= '0' && *s <= '9')
		s++;
	return s;
}

/* The end of the longest number at @s that is written as RFC 8259 has it, or @s. */
static const char *number_end(const char *s, const char *end)
{
	const char *const start = s;
	const char *more;

	s += s < end && *s == '-';
	more = s < end && *s == '0' ? s + 1 : digits(s, end);
	if (more == s)
		return start;
	s = more;
	if (s < end && *s == '.') {
		more = digits(s + 1, end);
		if (more == s + 1)
			return start;
		s = more;
	}
	if (s < end && (*s == 'e' || *s == 'E')) {
		const char *first = s + 1;

		first += first < end && (*first == '+' || *first == '-');
		more = digits(first, end);
		if (more == first)
			return start;
		s = more;
	}
	return s;
}

static struct doc_value *parse_number(struct parser *p)
{
	const char *end = number_end(p->at, p->end);
	const size_t bytes = (size_t)(end - p->at);
	char text[NUMBER_BYTES];
	struct doc_value *value;

	if (!bytes)
		return fail(p, p->at, "no value begins like this");
	if (bytes >= sizeof(text))
		return fail(p, p->at, "a number has too many digits");
	memcpy(text, p->at, bytes);
	text[bytes] = '\0';
	value = new_value(p, DOC_NUMBER, 0, sizeof(*value));
	/* In the locale "C", in which programs begin. */
	value->number = strtod(text, NULL);
	p->at = end;
	return value;
}

static struct doc_value *parse_word(struct parser *p, const char *word,
			       enum doc_type type)
{
	const size_t n = strlen(word);

	if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n))
		return fail(p, p->at, "no value begins like this");
	p->at += n;
	return new_value(p, type, 0, sizeof(struct doc_value));
}

/* ---- arrays and objects ------------------------------------------------- */

static struct doc_member *parse_member(struct parser *p, struct doc_member *m)
{
	if (!accept(p, '"'))
		return fail(p, p->at, "a member begins with a string");
	m->key = parse_string(p);
	if (!m->key)
		return NULL;
	if (!accept(p, ':'))
		return fail(p, p->at, "a member's name is followed by :");
	m->value = parse_value(p);
	return m->value ? m : NULL;
}

/*
 * Behind the bracket.  What is inside an item is allocated while the builder is
 * open; they share the region, not the place.
 */
static struct doc_value *parse_list(struct parser *p, enum doc_type type, char last)
{
	const size_t each = type == DOC_OBJECT ? sizeof(struct doc_member) :
						  sizeof(struct doc_value *);
	struct fl_builder b;
	struct doc_value *value;
	uint64_t bytes;
	void *list;

	if (++p->depth > DOC_DEPTH_MAX)
		return fail(p, p->at, "too deep");
	fl_builder_open(&b, p->strategy, p->region, ALIGN);
	for (bool more = !accept(p, last); more; more = accept(p, ',')) {
		struct doc_member m = { NULL, NULL };

		if (type == DOC_OBJECT)
			parse_member(p, &m);
		else
			m.key = parse_value(p);
		if (p->error->what)
			goto drop;
		memcpy(fl_builder_push(&b, each), &m, each);
		skip_blanks(p);
		if (p->at == p->end || (*p->at != ',' && *p->at != last)) {
			fail(p, p->at, "an item is followed by a comma or the end");
			goto drop;
		}
		if (*p->at == last) {
			p->at++;
			break;
		}
	}
	p->depth--;
	if (fl_builder_close(&b, &list, &bytes))
		return fail(p, p->at, "memory is exhausted");
	value = new_value(p, type, bytes / each, sizeof(*value));
	value->items = list;
	return value;
drop:
	fl_builder_drop(&b);
	return NULL;
}

static struct doc_value *parse_value(struct parser *p)
{
	skip_blanks(p);
	if (p->at == p->end)
		return fail(p, p->at, "a value is missing");
	switch (*p->at) {
	case '"':
		p->at++;
		return parse_string(p);
	case '[':
		p->at++;
		return parse_list(p, DOC_ARRAY, ']');
	case '{':
		p->at++;
		return parse_list(p, DOC_OBJECT, '}');
	case 'n':
		return parse_word(p, "null", DOC_NULL);
	case 'f':
		return parse_word(p, "false", DOC_FALSE);
	case 't':
		return parse_word(p, "true", DOC_TRUE);
	default:
		return parse_number(p);
	}
}

struct doc_value *doc_parse(const struct fl_strategy *strategy,
			struct fl_region *region, const char *text, size_t bytes,
			struct doc_error *error)
{
	struct parser p = {
		.strategy = strategy, .region = region, .start = text,
		.at = text, .end = text + bytes, .error = error,
	};
	struct doc_value *value;

	*error = (struct doc_error){ 0, NULL };
	value = parse_value(&p);
	skip_blanks(&p);
	if (value && p.at < p.end)
		value = fail(&p, p.at, "there is more behind the value");
	/* Values that found no memory lie in the sink, over each other. */
	if (value && region->error)
		value = fail(&p, p.at, "memory is exhausted");
	return value;
}

/*
 * A number of one digit and its comma, two bytes, is a value of 16 and an item of 8;
 * chunks of open builders may double that, and an array that is copied is there
 * twice while it is.
 */
size_t doc_region_bytes(size_t bytes)
{
	return 40 * bytes + (1 << 20);
}

struct doc_value *doc_get(const struct doc_value *object, const char *key)
{
	const size_t bytes = strlen(key);

	for (uint64_t i = 0; i < doc_length(object); i++) {
		const struct doc_member *m = &object->members[i];

		if (doc_length(m->key) == bytes &&
		    !memcmp(m->key->text, key, bytes))
			return m->value;
	}
	return NULL;
}

static void mix(struct doc_sum *sum, uint64_t word)
{
	sum->hash = (sum->hash ^ word) * 0x9e3779b97f4a7c15u;
	sum->hash ^= sum->hash >> 29;
}

void doc_walk(const struct doc_value *value, struct doc_sum *sum)
{
	const uint64_t n = doc_length(value);
	uint64_t bits;

	sum->nr_values++;
	mix(sum, value->head);
	switch (doc_type(value)) {
	case DOC_NUMBER:
		sum->numbers += value->number;
		memcpy(&bits, &value->number, sizeof(bits));
		mix(sum, bits);
		break;
	case DOC_STRING:
		sum->nr_text_bytes += n;
		for (uint64_t i = 0; i < n; i++)
			mix(sum, (unsigned char)value->text[i]);
		break;
	case DOC_ARRAY:
		for (uint64_t i = 0; i < n; i++)
			doc_walk(value->items[i], sum);
		break;
	case DOC_OBJECT:
		for (uint64_t i = 0; i < n; i++) {
			doc_walk(value->members[i].key, sum);
			doc_walk(value->members[i].value, sum);
		}
		break;
	default:
		break;
	}
}

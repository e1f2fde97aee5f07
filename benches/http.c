/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "benches/http.h"

#define REQUEST_BYTES_MAX	4096u

/* The line at @at without its CR LF; NULL: it does not end here. */
static const char *line_end(const char *at, const char *end)
{
	const char *lf = memchr(at, '\n', (size_t)(end - at));

	return lf && lf > at && lf[-1] == '\r' ? lf - 1 : NULL;
}

static struct slice slice(const char *base, const char *end)
{
	return (struct slice){ base, (size_t)(end - base) };
}

static int request_line(struct http_request *r, const char *at, const char *end)
{
	const char *first = memchr(at, ' ', (size_t)(end - at));
	const char *second = !first ? NULL :
		memchr(first + 1, ' ', (size_t)(end - first - 1));

	if (!second || slice(second + 1, end).bytes != 8 ||
	    memcmp(second + 1, "HTTP/1.1", 8))
		return -EBADMSG;
	r->method = slice(at, first);
	r->target = slice(first + 1, second);
	return 0;
}

static int field_line(struct http_field *f, const char *at, const char *end)
{
	const char *colon = memchr(at, ':', (size_t)(end - at));

	if (!colon || colon == at)
		return -EBADMSG;
	f->name = slice(at, colon);
	for (at = colon + 1; at < end && *at == ' ';)
		at++;
	f->value = slice(at, end);
	return 0;
}

static int body_bytes(const struct http_request *r, size_t *bytes)
{
	*bytes = 0;
	for (const struct http_field *f = r->fields; f; f = f->next) {
		if (f->name.bytes != 14 || strncasecmp(f->name.base, "Content-Length", 14))
			continue;
		if (!f->value.bytes || f->value.bytes > 9)
			return -EBADMSG;
		for (size_t i = 0; i < f->value.bytes; i++) {
			if (f->value.base[i] < '0' || f->value.base[i] > '9')
				return -EBADMSG;
			*bytes = *bytes * 10 + (size_t)(f->value.base[i] - '0');
		}
	}
	return 0;
}

ptrdiff_t http_parse(const char *data, size_t bytes, const struct http_memory *memory,
		     struct http_request **out)
{
	const char *const end = data + bytes;
	const char *at = data, *eol = line_end(at, end);
	struct http_request *r;
	struct http_field **last;
	size_t body;

	*out = NULL;
	if (!eol)
		return 0;
	r = memory->alloc(memory->context, sizeof(*r));
	if (!r)
		return -ENOMEM;
	*out = r;
	r->next = NULL;
	r->fields = NULL;
	if (request_line(r, at, eol))
		return -EBADMSG;
	last = &r->fields;
	for (;;) {
		struct http_field *f;

		at = eol + 2;
		eol = at < end ? line_end(at, end) : NULL;
		if (!eol)
			return 0;
		if (eol == at)
			break;
		f = memory->alloc(memory->context, sizeof(*f));
		if (!f)
			return -ENOMEM;
		f->next = NULL;
		*last = f;
		last = &f->next;
		if (field_line(f, at, eol))
			return -EBADMSG;
	}
	if (body_bytes(r, &body))
		return -EBADMSG;
	at = eol + 2;
	if (body > (size_t)(end - at))
		return 0;
	r->body = slice(at, at + body);
	return at + body - data;
}

static uint64_t sum_slice(uint64_t sum, struct slice s)
{
	sum = (sum ^ s.bytes) * 0x100000001b3u;
	if (s.bytes)
		sum = (sum ^ (unsigned char)s.base[0] ^
		       (uint64_t)(unsigned char)s.base[s.bytes - 1] << 8) *
		      0x100000001b3u;
	return sum;
}

uint64_t http_sum(const struct http_request *r)
{
	uint64_t sum = sum_slice(sum_slice(sum_slice(0xcbf29ce484222325u, r->method),
					   r->target), r->body);

	for (const struct http_field *f = r->fields; f; f = f->next)
		sum = sum_slice(sum_slice(sum, f->name), f->value);
	return sum;
}

static uint64_t draw(uint64_t *state, uint64_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state % below;
}

/* At most REQUEST_BYTES_MAX: the cookie and the body are what varies. */
static size_t generate_one(char *to, uint64_t *state)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	const size_t body = draw(state, 4) ? 0 : 64 + draw(state, 1024);
	const size_t cookie = 16 + draw(state, 512);
	int n = snprintf(to, REQUEST_BYTES_MAX,
			 "%s /shop/item/%llu?page=%llu HTTP/1.1\r\n"
			 "Host: www.example.org\r\n"
			 "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101\r\n"
			 "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
			 "Accept-Language: en-US,en;q=0.5\r\n"
			 "Accept-Encoding: gzip, deflate, br\r\n"
			 "Connection: keep-alive\r\n"
			 "Content-Length: %zu\r\n"
			 "Cookie: session=", body ? "POST" : "GET",
			 (unsigned long long)draw(state, 1000000),
			 (unsigned long long)draw(state, 100), body);
	char *at = to + n;

	for (size_t i = 0; i < cookie; i++)
		*at++ = letters[draw(state, sizeof(letters) - 1)];
	memcpy(at, "\r\n\r\n", 4);
	at += 4;
	for (size_t i = 0; i < body; i++)
		*at++ = letters[draw(state, sizeof(letters) - 1)];
	return (size_t)(at - to);
}

size_t http_generate(char *to, size_t bytes, unsigned *nr)
{
	uint64_t state = 0x9e3779b97f4a7c15u;
	char one[REQUEST_BYTES_MAX];
	size_t used = 0, n;

	*nr = 0;
	for (;;) {
		n = generate_one(one, &state);
		if (n > bytes - used)
			return used;
		memcpy(to + used, one, n);
		used += n;
		++*nr;
	}
}

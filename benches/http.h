/* SPDX-License-Identifier: MIT */
/*
 * benches/http.h: HTTP/1.1 requests, generated and parsed: the job of read_job.
 *
 * A request's parts are slices of what was read; what holds them comes from the
 * caller's memory.  Of the protocol (RFC 9112) there is what clients send to a server
 * that they keep a connection to: request line, fields, a body of Content-Length.
 * No chunked bodies, no folded lines.
 *
 * Context: no state; any thread.
 */
#ifndef FL_BENCHES_HTTP_H
#define FL_BENCHES_HTTP_H

#include <stddef.h>
#include <stdint.h>

struct slice {
	const char *base;
	size_t bytes;
};

struct http_field {
	struct http_field *next;
	struct slice name, value;
};

struct http_request {
	struct http_request *next;
	struct slice method, target, body;
	struct http_field *fields;
};

/* NULL: there is no more. */
struct http_memory {
	void *(*alloc)(void *context, size_t bytes);
	void *context;
};

/*
 * http_parse: The request at the beginning of @data.
 * Returns the bytes it takes; 0: it is not all there; -EBADMSG or -ENOMEM.  What was
 * taken from @memory for one that is not all there is not given back: @request has it.
 */
ptrdiff_t http_parse(const char *data, size_t bytes, const struct http_memory *memory,
		     struct http_request **request);

/* http_sum: Of all parts of a request; equal for equal ones. */
uint64_t http_sum(const struct http_request *request);

/*
 * http_generate: As many whole requests as fit @bytes, of fields and bodies whose
 * lengths vary; always the same.  Returns their bytes; *@nr is how many.
 */
size_t http_generate(char *to, size_t bytes, unsigned *nr);

#endif

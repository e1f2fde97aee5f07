/* SPDX-License-Identifier: MIT */
/*
 * harness/trace.h: reads a recorded region trace and compiles it to a program.
 *
 * Vocabulary: a "trace" is text, plain or xz-compressed, one event a line
 * (experiments/traces/README.md describes the format).  A "lifetime" is what a
 * region goes through between its creation or a clear and the next clear or its
 * destruction.  A lifetime is "empty" when no object was made in it.  "Asked" is
 * the size in the trace; "rounded" is what fl_object_bytes makes of it.
 *
 * The reader accepts a file only if all of it is valid.  What it compiles is
 * what a pure region allocator would do: an object freed on its own (f) keeps
 * its bytes until its region dies and leaves nothing in the program; a grown
 * object (g) is one more allocation, of the new size.  The copying that growth
 * implies is not replayed, because the trace does not say which object grew.
 *
 * Context: cold, MT-safe (no globals), not async-signal-safe.
 */
#ifndef FL_TRACE_H
#define FL_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "harness/complain.h"

/* Longest line, comments included, in bytes without its newline. */
#define FL_TRACE_LINE_BYTES_MAX		4096u

/* How much of the leading comments is kept, in bytes. */
#define FL_TRACE_HEADER_BYTES_MAX	16384u

/*
 * What is counted while a trace is read: name, unit, definition.  The name is
 * the struct member and the JSON key.
 */
#define FL_TRACE_FACTS(X) \
	X(text_bytes, "B", "text, after decompression") \
	X(nr_lines, "", "lines, comments included") \
	X(nr_events, "", "events (c, a, g, f, x, d)") \
	X(nr_allocs, "", "allocations (a and g)") \
	X(nr_grows, "", "of these, growths (g)") \
	X(nr_frees, "", "single frees (f), not replayed") \
	X(nr_creates, "", "regions created (c)") \
	X(nr_resets, "", "regions cleared (x)") \
	X(nr_destroys, "", "regions destroyed (d)") \
	X(nr_switches, "", "SWITCH words of the compiled program") \
	X(nr_regions_alive_max, "", "most regions alive") \
	X(nr_objects_alive_max, "", "most objects in live regions, f ignored") \
	X(bytes_total, "B", "asked for in all") \
	X(bytes_rounded_total, "B", "asked for in all, rounded") \
	X(object_bytes_max, "B", "largest object asked for") \
	X(live_bytes_max, "B", "most bytes in live regions, rounded") \
	X(lifetime_bytes_max, "B", "most bytes of one lifetime, rounded") \
	X(nr_lifetimes, "", "lifetimes with objects") \
	X(nr_lifetimes_empty, "", "lifetimes without, not in the rows below") \
	X(lifetime_asked_p50_bytes, "B", "asked for per lifetime, median") \
	X(lifetime_asked_p99_bytes, "B", "asked for per lifetime, 99th percentile") \
	X(lifetime_asked_max_bytes, "B", "asked for per lifetime, most") \
	X(lifetime_objects_p50, "", "objects per lifetime, median") \
	X(lifetime_objects_p99, "", "objects per lifetime, 99th percentile") \
	X(lifetime_objects_max, "", "objects per lifetime, most")

/*
 * A percentile is the nearest rank: the smallest value that at least so many
 * percent of the lifetimes with objects do not exceed.  It is exact.
 */
struct fl_trace_facts {
#define X(name, unit, what) uint64_t name;
	FL_TRACE_FACTS(X)
#undef X
};

/*
 * A compiled trace.  Owned by the caller; released by fl_trace_free.
 *
 * words: see faultline/program.h.  Balanced, and starts with a CREATE; a SWITCH
 *        stands only where the next allocation is not in the current slot, and a
 *        dead region's slot goes to the next one made.
 */
struct fl_trace {
	uint32_t *words;
	uint64_t nr_words;
	uint32_t nr_slots;		/* = facts.nr_regions_alive_max */
	bool compressed;		/* the file was xz */
	uint64_t contents_crc64;	/* CRC-64/XZ of the text: compressing a
					   trace does not change it, and for a
					   file of one block xz -lvv shows it */
	char *header;			/* comments before the first event, one
					   a line, without "# "; may be "".
					   Control characters became '?' */
	struct fl_trace_facts facts;
};

/* What the reader refuses to go beyond; the default is fl_trace_limits_default. */
struct fl_trace_limits {
	uint32_t nr_regions_alive;	/* at most FL_SLOTS_MAX */
	uint64_t nr_words;		/* of the program; at most 2^31 */
	uint64_t bytes;			/* allocated in all, rounded */
};

extern const struct fl_trace_limits fl_trace_limits_default;

/*
 * fl_trace_read: Read, validate and compile the trace in @path.
 *
 * @out: written only on success; empty before, or its contents are lost.
 * @why: out, may be NULL: "path:line: what is wrong; the remedy".
 * Returns 0, or:
 *   -EINVAL:   the text is no valid trace.
 *   -EBADMSG:  the xz data is corrupt or truncated.
 *   -ENOTSUP:  the xz data needs a feature or more memory than is allowed.
 *   -E2BIG:    a limit was reached.
 *   -EISDIR, -ENOENT, -EACCES, -EIO, ...: from open(2) and read(2).
 *   -ENOMEM.
 * Cost: some tens of ns a line; decompression comes on top.  Memory beside the
 * program: under 1 MiB; for xz the text's length more, at most 65 MiB; and 50
 * to 300 bytes for each different object size in each region alive, for each
 * region alive, and for each different total of a lifetime.
 */
int fl_trace_read(const char *path, struct fl_trace *out, struct fl_complaint *why);

/*
 * fl_trace_read_fd: The same from an open file, pipe or terminal.
 *
 * @fd:     readable; read to its end, not closed.
 * @name:   what complaints call it.
 * @limits: NULL for the default.
 */
int fl_trace_read_fd(int fd, const char *name, const struct fl_trace_limits *limits,
		     struct fl_trace *out, struct fl_complaint *why);

/* fl_trace_free: Release what @trace owns and empty it.  May be empty already. */
void fl_trace_free(struct fl_trace *trace);

/*
 * fl_trace_print_info: The header and every fact of @trace as an aligned table.
 * Write errors stay in @to (ferror).
 */
void fl_trace_print_info(const struct fl_trace *trace, FILE *to);

/*
 * fl_trace_info_json: The same as one flat object, plus "header", an array of
 * lines.  "contents_crc64" is a string of 16 hexadecimal digits.
 * Returns a new reference, or NULL when memory is short.
 */
json_t *fl_trace_info_json(const struct fl_trace *trace);

#endif

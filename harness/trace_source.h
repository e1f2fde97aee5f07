/* SPDX-License-Identifier: MIT */
/*
 * harness/trace_source.h: the bytes of a trace, decompressed when they are xz.
 *
 * Whether a file is xz is decided by its first bytes, never by its name.
 * Concatenated streams and stream padding are one text, as for xz -dc.
 *
 * Context: cold, MT-safe, not async-signal-safe.
 */
#ifndef FL_TRACE_SOURCE_H
#define FL_TRACE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <lzma.h>

/*
 * Most memory the decoder may ask for: what a file of xz -9 needs (65 MiB), and
 * no more than that.  Nearly all of it is the window, of which only as much
 * becomes resident as the text is long.
 */
#define FL_SOURCE_DECODER_BYTES_MAX	((uint64_t)66 << 20)

struct fl_source {
	int fd;
	bool xz;
	bool at_end;		/* read(2) has returned 0 */
	lzma_stream lzma;
	lzma_ret ended;		/* LZMA_OK until the decoder has said otherwise */
	size_t in_begin, in_end;	/* bytes of in[] not handed on yet */
	uint8_t in[65536];
	char problem[160];	/* what is wrong; the remedy */
};

/*
 * fl_source_open: Start to read @fd and find out whether it is xz.
 *
 * @source: out; close it with fl_source_close whatever this returns.
 * @fd:     stays the caller's.
 * Returns 0, or -errno with source->problem set.
 */
int fl_source_open(struct fl_source *source, int fd);

/*
 * fl_source_read: Up to @bytes (> 0) bytes of text into @to.
 *
 * Returns how many (> 0); 0 at the end of a file that is whole; or, with
 * source->problem set, -EBADMSG (corrupt or truncated), -ENOTSUP (feature or
 * memory), -ENOMEM, or -errno from read(2).  Checksums stand at the end of
 * their block: text already handed out may turn out to be wrong.
 */
ssize_t fl_source_read(struct fl_source *source, char *to, size_t bytes);

void fl_source_close(struct fl_source *source);

#endif

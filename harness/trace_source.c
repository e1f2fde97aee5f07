/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/trace_source.h"

static const uint8_t xz_magic[6] = { 0xfd, '7', 'z', 'X', 'Z', 0 };

static int problem(struct fl_source *source, int err, const char *text)
{
	snprintf(source->problem, sizeof(source->problem), "%s", text);
	return err;
}

/* Appends to in[].  Returns the bytes read, 0 at the end, or -errno. */
static ssize_t fill(struct fl_source *source)
{
	ssize_t n;

	do
		n = read(source->fd, source->in + source->in_end,
			 sizeof(source->in) - source->in_end);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		n = -errno;
		snprintf(source->problem, sizeof(source->problem), "cannot read: %s%s",
			 strerror((int)-n),
			 n == -EISDIR ? "; name a trace file in it" :
			 "; check the file and the device it is on");
		return n;
	}
	source->at_end = n == 0;
	source->in_end += (size_t)n;
	return n;
}

static int decoder_problem(struct fl_source *source, lzma_ret ret)
{
	uint64_t mib;

	switch (ret) {
	case LZMA_MEM_ERROR:
		return problem(source, -ENOMEM,
			       "no memory for the xz decoder; free some or unpack with xz -dc");
	case LZMA_MEMLIMIT_ERROR:
		mib = (lzma_memusage(&source->lzma) + (1 << 20) - 1) >> 20;
		snprintf(source->problem, sizeof(source->problem),
			 "unpacking needs %llu MiB of memory, more than %llu; "
			 "repack with xz -dc | xz -6",
			 (unsigned long long)mib,
			 (unsigned long long)(FL_SOURCE_DECODER_BYTES_MAX >> 20));
		return -ENOTSUP;
	case LZMA_OPTIONS_ERROR:
	case LZMA_UNSUPPORTED_CHECK:
		return problem(source, -ENOTSUP,
			       "the xz data uses a feature or check that liblzma here lacks; "
			       "repack with xz -dc | xz -6");
	case LZMA_BUF_ERROR:
		return problem(source, -EBADMSG,
			       "the xz data is truncated; copy or record the file again");
	default:
		return problem(source, -EBADMSG,
			       "the xz data is corrupt, or followed by something else; "
			       "copy or record the file again");
	}
}

int fl_source_open(struct fl_source *source, int fd)
{
	size_t compare;
	lzma_ret ret;
	ssize_t n;

	source->fd = fd;
	source->xz = false;
	source->at_end = false;
	source->lzma = (lzma_stream)LZMA_STREAM_INIT;
	source->ended = LZMA_OK;
	source->in_begin = source->in_end = 0;
	source->problem[0] = 0;

	while (!source->at_end && source->in_end < sizeof(xz_magic)) {
		n = fill(source);
		if (n < 0)
			return (int)n;
	}
	/* A file cut inside its magic is truncated xz: no text starts with 0xfd. */
	compare = source->in_end < sizeof(xz_magic) ? source->in_end : sizeof(xz_magic);
	source->xz = compare && !memcmp(source->in, xz_magic, compare);
	if (!source->xz)
		return 0;
	ret = lzma_stream_decoder(&source->lzma, FL_SOURCE_DECODER_BYTES_MAX,
				  LZMA_CONCATENATED | LZMA_TELL_UNSUPPORTED_CHECK);
	return ret == LZMA_OK ? 0 : decoder_problem(source, ret);
}

static ssize_t read_plain(struct fl_source *source, char *to, size_t bytes)
{
	size_t n;
	ssize_t got;

	if (source->in_begin == source->in_end) {
		if (source->at_end)
			return 0;
		source->in_begin = source->in_end = 0;
		got = fill(source);
		if (got <= 0)
			return got;
	}
	n = source->in_end - source->in_begin;
	if (n > bytes)
		n = bytes;
	memcpy(to, source->in + source->in_begin, n);
	source->in_begin += n;
	return (ssize_t)n;
}

static ssize_t read_xz(struct fl_source *source, char *to, size_t bytes)
{
	lzma_stream *lzma = &source->lzma;
	ssize_t n;

	lzma->next_out = (uint8_t *)to;
	lzma->avail_out = bytes;
	while (lzma->avail_out && source->ended == LZMA_OK) {
		if (source->in_begin == source->in_end && !source->at_end) {
			source->in_begin = source->in_end = 0;
			n = fill(source);
			if (n < 0)
				return n;
		}
		lzma->next_in = source->in + source->in_begin;
		lzma->avail_in = source->in_end - source->in_begin;
		source->ended = lzma_code(lzma, source->at_end ? LZMA_FINISH : LZMA_RUN);
		source->in_begin = source->in_end - lzma->avail_in;
	}
	/* Text before the error is worth having: it gives the complaint its line. */
	if (lzma->avail_out < bytes)
		return (ssize_t)(bytes - lzma->avail_out);
	return source->ended == LZMA_STREAM_END ? 0 : decoder_problem(source, source->ended);
}

ssize_t fl_source_read(struct fl_source *source, char *to, size_t bytes)
{
	return source->xz ? read_xz(source, to, bytes) : read_plain(source, to, bytes);
}

void fl_source_close(struct fl_source *source)
{
	lzma_end(&source->lzma);
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faultline/builder.h"
#include "faultline/read.h"
#include "vm/reserve.h"

/* What read_all asks the kernel for at least, while it may. */
#define PIECE_BYTES	((size_t)64 << 10)

static bool gives_back(const struct fl_strategy *strategy)
{
	return strategy->chunk_take && strategy->chunk_rest_serves;
}

enum fl_read_how fl_read_best(const struct fl_strategy *strategy)
{
	return gives_back(strategy) ? FL_READ_GIVE_BACK : FL_READ_BOUNCE;
}

int fl_reader_open(struct fl_reader *r, const struct fl_strategy *strategy,
		   enum fl_read_how how, size_t most)
{
	void *bounce = NULL;

	if (how == FL_READ_GIVE_BACK && !gives_back(strategy))
		return -ENOTSUP;
	if (how == FL_READ_BOUNCE &&
	    posix_memalign(&bounce, FL_READ_ALIGN, most ? most : 1))
		return -ENOMEM;
	*r = (struct fl_reader){
		.strategy = strategy, .how = how, .bounce = bounce,
		.bounce_bytes = bounce ? most : 0,
	};
	return 0;
}

void fl_reader_close(struct fl_reader *r)
{
	free(r->bounce);
	r->bounce = NULL;
}

static ssize_t read_some(struct fl_reader *r, int fd, void *to, size_t most)
{
	ssize_t n;

	do {
		r->nr_calls++;
		n = read(fd, to, most);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ssize_t give_back(struct fl_reader *r, struct fl_region *region, int fd,
			 size_t most, void **data)
{
	struct fl_chunk chunk;
	ssize_t n = r->strategy->chunk_take(region, most, FL_READ_ALIGN, &chunk);

	if (n)
		return n;
	n = read_some(r, fd, chunk.base, most);
	r->strategy->chunk_give(region, &chunk, n > 0 ? (uint64_t)n : 0);
	if (n > 0)
		*data = chunk.base;
	return n;
}

static ssize_t bounce(struct fl_reader *r, struct fl_region *region, int fd,
		      size_t most, void **data)
{
	ssize_t n = read_some(r, fd, r->bounce,
			      most < r->bounce_bytes ? most : r->bounce_bytes);
	void *object;

	if (n <= 0)
		return n;
	object = r->strategy->object_new(region, (size_t)n, FL_READ_ALIGN, 0);
	if (region->error)
		return region->error;
	memcpy(object, r->bounce, (size_t)n);
	r->copied_bytes += (uint64_t)n;
	*data = object;
	return n;
}

/*
 * The object is new, so that whatever is in it may be written over.  Branch-driven
 * strategies have nothing but pages that the kernel supplies to itself as well.
 */
static void populate(const struct fl_strategy *strategy, char *base, size_t bytes)
{
	const size_t page = fl_page_bytes();

	if (strategy->answer != FL_ANSWER_EXTEND &&
	    strategy->answer != FL_ANSWER_REDIRECT)
		return;
	for (size_t at = 0; at < bytes; at += page)
		*(volatile char *)(base + at) = 0;
	*(volatile char *)(base + bytes - 1) = 0;
}

static ssize_t keep(struct fl_reader *r, struct fl_region *region, int fd,
		    size_t most, void **data)
{
	char *object = r->strategy->object_new(region, most, FL_READ_ALIGN, 0);
	ssize_t n;

	if (region->error)
		return region->error;
	populate(r->strategy, object, most);
	n = read_some(r, fd, object, most);
	if (n > 0)
		*data = object;
	return n;
}

ssize_t fl_region_read(struct fl_reader *r, struct fl_region *region, int fd,
		       size_t most, void **data)
{
	*data = NULL;
	if (!most)
		return 0;
	if (most > FL_OBJECT_BYTES_MAX)
		return -ENOMEM;
	if (r->how == FL_READ_GIVE_BACK)
		return give_back(r, region, fd, most, data);
	if (r->how == FL_READ_BOUNCE)
		return bounce(r, region, fd, most, data);
	return keep(r, region, fd, most, data);
}

ssize_t fl_region_read_all(struct fl_reader *r, struct fl_region *region,
			   int fd, size_t most, void **data)
{
	struct fl_builder b;
	uint64_t bytes = 0;
	ssize_t n = 0;
	int err;

	*data = NULL;
	fl_builder_open(&b, r->strategy, region, FL_READ_ALIGN);
	do {
		const size_t left = most - bytes;
		size_t room = 0;
		char *to;

		if (!left)
			break;
		to = fl_builder_room(&b, left < PIECE_BYTES ? left : PIECE_BYTES,
				     &room);
		if (!to) {
			n = -ENOMEM;
			break;
		}
		n = read_some(r, fd, to, room < left ? room : left);
		if (n > 0)
			fl_builder_wrote(&b, (size_t)n);
		bytes = fl_builder_bytes(&b);
	} while (n > 0);
	if (n < 0) {
		fl_builder_drop(&b);
		return n;
	}
	err = fl_builder_close(&b, data, &bytes);
	r->copied_bytes += b.copied_bytes;
	return err ? err : (ssize_t)bytes;
}

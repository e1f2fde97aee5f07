/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faultline/builder.h"
#include "faultline/read.h"
#include "vm/read_ring.h"
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
	fl_read_ring_close(r->ring);
	r->ring = NULL;
	free(r->bounce);
	r->bounce = NULL;
}

int fl_reader_by(struct fl_reader *r, enum fl_read_by by)
{
	const bool fixed = by == FL_READ_BY_RING_FIXED;
	struct fl_read_ring *ring = NULL;
	int err;

	if (fixed && !r->bounce)
		return -EINVAL;
	if (by != FL_READ_BY_CALL) {
		err = fl_read_ring_open(fixed ? r->bounce : NULL, r->bounce_bytes,
					&ring);
		if (err)
			return err;
	}
	fl_read_ring_close(r->ring);
	r->ring = ring;
	return 0;
}

static ssize_t read_some(struct fl_reader *r, int fd, void *to, size_t most)
{
	ssize_t n;

	if (r->ring)
		return fl_read_ring_read(r->ring, fd, to, most, &r->nr_calls);
	do {
		r->nr_calls++;
		n = read(fd, to, most);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* What is to stand before what is read, and the room it takes so that this is aligned. */
struct head {
	const void *base;
	size_t bytes, room;
};

/* Once something came, @head->room behind @base: with the head before it. */
static void *whole(struct fl_reader *r, char *base, const struct head *head)
{
	char *const data = base + (head->room - head->bytes);

	if (head->bytes)
		memcpy(data, head->base, head->bytes);
	r->copied_bytes += head->bytes;
	r->wasted_bytes += head->room - head->bytes;
	return data;
}

static ssize_t give_back(struct fl_reader *r, struct fl_region *region, int fd,
			 const struct head *head, size_t most, void **data)
{
	struct fl_chunk chunk;
	ssize_t n = r->strategy->chunk_take(region, head->room + most, FL_READ_ALIGN,
					    &chunk);

	if (n)
		return n;
	n = read_some(r, fd, chunk.base + head->room, most);
	if (n > 0)
		*data = whole(r, chunk.base, head);
	r->strategy->chunk_give(region, &chunk, n > 0 ? head->room + (uint64_t)n : 0);
	return n;
}

static ssize_t bounce(struct fl_reader *r, struct fl_region *region, int fd,
		      const struct head *head, size_t most, void **data)
{
	ssize_t n = read_some(r, fd, r->bounce,
			      most < r->bounce_bytes ? most : r->bounce_bytes);
	char *object;

	if (n <= 0)
		return n;
	object = r->strategy->object_new(region, head->room + (size_t)n, FL_READ_ALIGN, 0);
	if (region->error)
		return region->error;
	memcpy(object + head->room, r->bounce, (size_t)n);
	r->copied_bytes += (uint64_t)n;
	*data = whole(r, object, head);
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
		    const struct head *head, size_t most, void **data)
{
	char *object = r->strategy->object_new(region, head->room + most,
					       FL_READ_ALIGN, 0);
	ssize_t n;

	if (region->error)
		return region->error;
	populate(r->strategy, object, head->room + most);
	n = read_some(r, fd, object + head->room, most);
	r->wasted_bytes += most - (n > 0 ? (size_t)n : 0);
	if (n > 0)
		*data = whole(r, object, head);
	return n;
}

ssize_t fl_region_read_behind(struct fl_reader *r, struct fl_region *region, int fd,
			      const void *base, size_t bytes, size_t most, void **data)
{
	const struct head head = {
		base, bytes, (bytes + FL_READ_ALIGN - 1) & ~(size_t)(FL_READ_ALIGN - 1),
	};

	*data = NULL;
	if (!most)
		return 0;
	if (bytes > FL_OBJECT_BYTES_MAX - FL_READ_ALIGN ||
	    most > FL_OBJECT_BYTES_MAX - head.room)
		return -ENOMEM;
	if (r->how == FL_READ_GIVE_BACK)
		return give_back(r, region, fd, &head, most, data);
	if (r->how == FL_READ_BOUNCE)
		return bounce(r, region, fd, &head, most, data);
	return keep(r, region, fd, &head, most, data);
}

ssize_t fl_region_read(struct fl_reader *r, struct fl_region *region, int fd,
		       size_t most, void **data)
{
	return fl_region_read_behind(r, region, fd, NULL, 0, most, data);
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

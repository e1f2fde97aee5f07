/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>
#include <signal.h>

#include "faultline/compat.h"
#include "vm/uffd_spans.h"

static struct fl_uffd_spans *of(struct fl_spans *spans)
{
	return (struct fl_uffd_spans *)spans;
}

static bool try_lock(struct fl_uffd_spans *heap)
{
	return !__atomic_exchange_n(&heap->locked, true, __ATOMIC_ACQUIRE);
}

static void lock(struct fl_uffd_spans *heap)
{
	while (!try_lock(heap))
		sched_yield();
}

/*
 * No mutex, because the child of a fork does this when whoever had the lock may
 * be a thread it has not got, or the one that forked, from a signal handler.
 */
static void unlock(struct fl_uffd_spans *heap)
{
	__atomic_store_n(&heap->locked, false, __ATOMIC_RELEASE);
}

/* All but the page that its thread is waiting for. */
fl_behind_fault
static int map_pages(struct fl_spans *spans, char *base, size_t bytes)
{
	struct fl_uffd_fill *fill = &of(spans)->fill;
	char *late = of(spans)->late, *above;
	int err;

	if (!late || late < base || late >= base + bytes)
		return fl_uffd_fill_pages(fill, base, bytes);
	above = late + fl_page_bytes();
	err = fl_uffd_fill_pages(fill, base, (size_t)(late - base));
	return err ? err : fl_uffd_fill_pages(fill, above, (size_t)
					      (base + bytes - above));
}

/* Returned, pages are missing again, and the next lifetime faults. */
static int return_pages(struct fl_spans *spans, char *base, size_t bytes)
{
	return fl_uffd_fill_return(&((struct fl_uffd_spans *)spans)->fill, base,
				   bytes);
}

/* To where it came from; the lock is the region hook's. */
static int return_ranges(void *owner, const struct iovec *ranges, size_t nr)
{
	struct fl_uffd_spans *heap = owner;
	int err = 0;

	for (size_t i = 0; i < nr && !err; i++)
		err = fl_uffd_fill_return(&heap->fill, ranges[i].iov_base,
					  ranges[i].iov_len);
	return err;
}

/* Missing since the policy had its say: there is nothing left to close. */
static int rewind_pages(struct fl_spans *spans, char *base, size_t bytes)
{
	(void)spans;
	(void)base;
	(void)bytes;
	return 0;
}

/* What is usable and has no page: its owner gave it back, or it was not to be had. */
fl_behind_fault
static bool supply(struct fl_uffd_spans *heap, char *address)
{
	const size_t bytes = fl_page_bytes();

	return fl_spans_usable(&heap->spans, address) &&
	       !fl_uffd_fill_pages(&heap->fill, address -
				   ((uintptr_t)address & (bytes - 1)), bytes);
}

/*
 * On the service thread.  The program's thread sleeps, but a signal wakes it, and
 * then it does its store again.  So the page that it needs is mapped last: it
 * must not go on before everything is written down.  And there may be a second
 * event for that page, read when the first has been resolved and the thread is
 * gone; it adds nothing to a page that is there.  Should the thread be in a reset
 * by then, or in something else that needs the lock, it waits for nobody.
 */
fl_behind_fault
static bool resolve(void *owner, char *address)
{
	struct fl_uffd_spans *heap = owner;
	bool resolved;

	if (!try_lock(heap))
		return true;
	heap->late = address - ((uintptr_t)address & (fl_page_bytes() - 1));
	fl_spans_extend(&heap->spans, address);
	heap->late = NULL;
	resolved = supply(heap, address);
	unlock(heap);
	return resolved;
}

/*
 * SIGBUS: a missing page, when there is no service thread.  SIGSEGV: the guard,
 * or a page that the service thread closed, because it declined a fault there:
 * if an event of that came late, it may be usable by now.
 */
static bool handle(void *owner, const struct fl_fault *fault)
{
	struct fl_uffd_spans *heap = owner;

	if (fault->signal == SIGBUS &&
	    (fl_spans_extend(&heap->spans, fault->address) ||
	     supply(heap, fault->address)))
		return true;
	if (fl_uffd_declined(&heap->service, fault->address) &&
	    fl_spans_usable(&heap->spans, fault->address))
		return true;
	return fl_spans_redirect(&heap->spans, fault);
}

/*
 * A fault that the service thread declines is sent to the thread that it
 * happened in, with its address (Linux 5.18) and not only its page.
 */
static uint64_t features(const struct fl_uffd_spans_config *config)
{
	return fl_uffd_fill_features(config->source) |
		(config->serve ?
		 UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_EXACT_ADDRESS :
		 UFFD_FEATURE_SIGBUS);
}

int fl_uffd_spans_probe(const struct fl_uffd_spans_config *config, char *reason,
			size_t reason_bytes)
{
	int err = fl_uffd_probe(features(config), reason, reason_bytes);

	if (!err && config->serve)
		err = fl_uffd_wait_probe(config->wait, reason, reason_bytes);
	return err;
}

/* The descriptor is the parent's: while it is open, the parent's stays alive. */
static void forked(void *owner)
{
	struct fl_uffd_spans *heap = owner;

	unlock(heap);
	fl_uffd_abandon(&heap->service);
	fl_uffd_close(&heap->uffd);
	fl_spans_freeze(&heap->spans, -EOWNERDEAD);
}

/* The sink, lowest in the reservation, stays ordinary memory. */
static int register_spans(struct fl_uffd_spans *heap)
{
	const struct fl_blocks *blocks = &heap->spans.blocks;
	char *first = fl_block_top(blocks->sink);

	return fl_uffd_register(&heap->uffd, first, blocks->bytes -
				(size_t)(first - blocks->base));
}

int fl_uffd_spans_open(const struct fl_open_args *args,
		       const struct fl_uffd_spans_config *config,
		       size_t heap_bytes, struct fl_heap **out)
{
	struct fl_blocks_config blocks = {
		.block_bytes = config->span_bytes,
		.guard_bytes = FL_GUARD_BYTES,
		.guard = FL_GUARD_PROT_NONE,
		.access = FL_OPEN,
		.handle = handle,
		.sites = config->sites, .sites_end = config->sites_end,
		.retain = config->retain,
	};
	struct fl_uffd_spans *heap;
	struct fl_heap *pub;
	int err = fl_spans_open(args, &blocks, heap_bytes, &pub);

	if (err)
		return err;
	heap = (struct fl_uffd_spans *)pub;
	heap->uffd.fd = -1;
	heap->fork = (struct fl_fork_hook){ .child = forked, .owner = heap };
	heap->spans.open_pages = map_pages;
	heap->spans.return_pages = return_pages;
	heap->spans.close_pages = config->rewind ? rewind_pages : NULL;
	heap->spans.populates = true;
	if (config->retain.when && config->retain.with == FL_RETAIN_MOVE) {
		heap->spans.blocks.retain->config.give = return_ranges;
		heap->spans.blocks.retain->config.owner = heap;
	}

	err = fl_uffd_open(features(config), &heap->uffd);
	if (!err)
		err = fl_uffd_fill_open(&heap->fill, &heap->uffd, config->source,
					config->pool_bytes);
	if (!err)
		err = register_spans(heap);
	if (!err && config->serve)
		err = fl_uffd_serve(&heap->service, &heap->uffd, config->wait,
				    resolve, heap, config->cpu);
	if (!err)
		err = fl_fork_watch(&heap->fork);
	if (err)
		fl_uffd_spans_close(pub);
	else
		*out = pub;
	return err;
}

void fl_uffd_spans_close(struct fl_heap *pub)
{
	struct fl_uffd_spans *heap = (struct fl_uffd_spans *)pub;

	fl_fork_unwatch(&heap->fork);
	fl_uffd_stop(&heap->service);
	fl_uffd_close(&heap->uffd);
	fl_uffd_fill_close(&heap->fill);
	fl_blocks_close(pub);
}

int fl_uffd_spans_region_create(struct fl_heap *pub, struct fl_region **region)
{
	struct fl_uffd_spans *heap = (struct fl_uffd_spans *)pub;
	int err;

	lock(heap);
	err = fl_spans_region_create(pub, region);
	unlock(heap);
	return err;
}

static struct fl_uffd_spans *heap_of(struct fl_region *region)
{
	return of(((struct fl_span_region *)region)->heap);
}

void fl_uffd_spans_region_reset(struct fl_region *region)
{
	struct fl_uffd_spans *heap = heap_of(region);

	lock(heap);
	fl_spans_region_reset(region);
	unlock(heap);
}

void fl_uffd_spans_region_destroy(struct fl_region *region)
{
	struct fl_uffd_spans *heap = heap_of(region);

	lock(heap);
	fl_spans_region_destroy(region);
	unlock(heap);
}

struct fl_cursor fl_uffd_spans_large(struct fl_region *region,
				     struct fl_cursor cursor, size_t bytes,
				     size_t align, uint64_t first_word)
{
	struct fl_uffd_spans *heap = heap_of(region);

	lock(heap);
	cursor = fl_spans_make_room(region, cursor, bytes, align);
	unlock(heap);
	*(uint64_t *)(void *)cursor.bump = first_word;
	return cursor;
}

size_t fl_uffd_spans_ranges(const struct fl_heap *pub, struct fl_range *out,
			    size_t max)
{
	const struct fl_range pool = fl_uffd_fill_range(
		&((const struct fl_uffd_spans *)pub)->fill);
	size_t nr = fl_blocks_ranges(pub, out, max);

	if (pool.bytes && nr < max)
		out[nr] = pool;
	return nr + (pool.bytes > 0);
}

uint64_t fl_uffd_spans_trim(struct fl_heap *pub)
{
	struct fl_uffd_spans *heap = (struct fl_uffd_spans *)pub;
	uint64_t bytes;

	lock(heap);
	bytes = fl_spans_trim(pub) + fl_uffd_fill_trim(&heap->fill);
	unlock(heap);
	return bytes;
}

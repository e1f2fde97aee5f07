/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "faultline/builder.h"
#include "faultline/slowpath.h"
#include "vm/blocks.h"
#include "vm/giveback.h"
#include "vm/sanitized.h"

/*
 * Addresses for one heap when nothing else bounds them.  The directory of a
 * terabyte of 4 KiB blocks is 12 GiB of addresses, and as resident as it is used.
 * ThreadSanitizer leaves 1.5 TiB, in which it is chance whether one has room.
 */
#define RESERVE_BYTES	((size_t)1 << (FL_HAVE_TSAN ? 37 : 40))

/* What regions alive at once may need beyond the caller's word for it. */
#define SPARE_REGIONS	64u

static uint64_t run_bytes(const struct fl_blocks *b, unsigned order)
{
	return ((uint64_t)b->stride_bytes << order) - b->guard_bytes;
}

static unsigned order_of(const struct fl_blocks *b, uint64_t bytes)
{
	unsigned order = 0;

	while (order < FL_BLOCK_ORDERS && run_bytes(b, order) < bytes)
		order++;
	return order;
}

uint64_t fl_blocks_usable(const struct fl_heap *heap, uint64_t bytes)
{
	const struct fl_blocks *blocks = (const struct fl_blocks *)heap;
	unsigned order = order_of(blocks, bytes);

	return order < FL_BLOCK_ORDERS ? run_bytes(blocks, order) : 0;
}

static int install_guard(struct fl_blocks *b, char *base)
{
	if (b->install_guard)
		return b->install_guard(b, base, b->guard_bytes);
	return fl_guard_install(base, b->guard_bytes, b->guard);
}

/*
 * A run that was never used: cut it off the untouched end.  It is described
 * before its guard is installed, so that the child of a fork in between
 * (vm/fork.h) knows of it.
 */
static struct fl_block *take_fresh(struct fl_blocks *b, unsigned order)
{
	const uint64_t slots = (uint64_t)1 << order;
	struct fl_block *block = &b->directory[b->next_slot];
	char *slot;

	if (slots > b->nr_slots - b->next_slot)
		return NULL;
	slot = b->base + b->next_slot * b->stride_bytes;
	block->base = slot + b->guard_bytes;
	block->bytes = run_bytes(b, order);
	block->order = order;
	b->next_slot += slots;
	if (b->guard_bytes && b->access == FL_OPEN && install_guard(b, slot)) {
		b->next_slot -= slots;
		*block = (struct fl_block){ .base = NULL };
		return NULL;
	}
	return block;
}

/* Onto its free list. */
static void push(struct fl_blocks *b, struct fl_block *block)
{
	const unsigned order = block->order;

	block->next = b->free[order];
	if (b->retain_blocks) {
		if (block->next)
			block->next->newer = block;
		if (!block->cold && !b->oldest[order])
			b->oldest[order] = block;
		if (order >= b->nr_orders)
			b->nr_orders = order + 1;
	}
	b->free[order] = block;
}

/* The newest of its free list, off it. */
static void pop(struct fl_blocks *b, struct fl_block *block)
{
	b->free[block->order] = block->next;
	if (b->retain_blocks && b->oldest[block->order] == block)
		b->oldest[block->order] = NULL;
}

/* Of all that is free and warm; NULL: nothing is. */
static struct fl_block *oldest_block(const struct fl_blocks *b)
{
	struct fl_block *oldest = NULL;

	for (unsigned order = 0; order < b->nr_orders; order++) {
		struct fl_block *block = b->oldest[order];

		if (block && (!oldest ||
			      (int32_t)(block->given - oldest->given) < 0))
			oldest = block;
	}
	return oldest;
}

/* For struct fl_retain_config. */
static bool oldest_died(void *owner, uint32_t *died)
{
	const struct fl_block *block = oldest_block(owner);

	if (block)
		*died = block->died;
	return block != NULL;
}

static struct iovec chill_oldest(void *owner, bool closes)
{
	struct fl_blocks *b = owner;
	struct fl_block *block = oldest_block(b);

	b->oldest[block->order] = block == b->free[block->order] ? NULL :
								   block->newer;
	block->cold = true;
	block->closed = closes;
	return (struct iovec){ block->base, block->bytes };
}

/*
 * A run of @order off the low end of a larger free one, the smallest there is; the
 * rest stays free.  Runs do not grow together again: what was large once is, when
 * it is wanted so, cut off the untouched end.  Guards would have to be put between
 * the halves, so strategies with guards do without.
 */
static struct fl_block *split_larger(struct fl_blocks *b, unsigned order)
{
	unsigned from = order + 1;
	struct fl_block *block;

	while (from < FL_BLOCK_ORDERS && !b->free[from])
		from++;
	if (b->guard_bytes || b->retain_spans || from >= FL_BLOCK_ORDERS)
		return NULL;
	block = b->free[from];
	pop(b, block);
	while (from-- > order) {
		struct fl_block *upper = block + ((uint64_t)1 << from);

		*upper = (struct fl_block){
			.base = block->base + run_bytes(b, from),
			.bytes = run_bytes(b, from), .order = from,
			.died = block->died, .given = block->given,
			.cold = block->cold, .closed = block->closed,
		};
		block->bytes = upper->bytes;
		block->order = from;
		push(b, upper);
	}
	push(b, block);
	return block;
}

/* To be used, @again or for the first time; of a span nobody knows yet how much. */
static bool retake(struct fl_blocks *b, struct fl_block *block, bool again)
{
	if (b->retain_spans)
		return !fl_retain_use(b->retain, fl_blocks_item(b, block));
	if (fl_retain_whole_use(b->retain, block->base, block->bytes,
				again && !block->cold, block->closed))
		return false;
	block->cold = block->closed = false;
	return true;
}

struct fl_block *fl_blocks_take(struct fl_blocks *b, uint64_t bytes,
				struct fl_region *owner)
{
	unsigned order = order_of(b, bytes);
	struct fl_block *block;
	bool again;

	if (order >= FL_BLOCK_ORDERS)
		return NULL;
	if (b->limit_bytes && run_bytes(b, order) > b->limit_bytes - b->out_bytes)
		return NULL;
	block = b->free[order];
	if (!block)
		block = split_larger(b, order);
	if (!block)
		block = take_fresh(b, order);
	again = block && block == b->free[order];
	if (!block || (b->retain && !retake(b, block, again)))
		return NULL;
	if (again)
		pop(b, block);
	b->out_bytes += block->bytes;
	block->owner = owner;
	block->next = NULL;
	return block;
}

/* Calls nothing, not even what would be inlined: see fl_general_regs. */
fl_general_regs struct fl_block *fl_blocks_take_warm(struct fl_blocks *b,
						     uint64_t bytes,
						     struct fl_region *owner)
{
	struct fl_block *block = b->free[0];

	if (!block || b->retain || bytes > block->bytes ||
	    (b->limit_bytes && block->bytes > b->limit_bytes - b->out_bytes))
		return NULL;
	b->free[0] = block->next;
	b->out_bytes += block->bytes;
	block->owner = owner;
	block->next = NULL;
	return block;
}

void fl_blocks_give(struct fl_blocks *b, struct fl_block *block)
{
	if (b->retain_blocks) {
		block->died = fl_retain_whole_dead(b->retain, block->bytes);
		block->given = b->nr_given++;
	}
	b->out_bytes -= block->bytes;
	block->owner = NULL;
	push(b, block);
}

void fl_blocks_give_chain(struct fl_blocks *b, struct fl_block *block)
{
	while (block) {
		struct fl_block *next = block->next;

		fl_blocks_give(b, block);
		block = next;
	}
}

fl_behind_fault
struct fl_block *fl_blocks_find(const struct fl_blocks *b, const char *address)
{
	uint64_t slot;

	if (address < b->base)
		return NULL;
	slot = (uint64_t)(address - b->base) / b->stride_bytes;
	if (slot >= b->next_slot || !b->directory[slot].base)
		return NULL;
	return &b->directory[slot];
}

bool fl_blocks_overrun_at(const struct fl_blocks *b,
			  const struct fl_fault *fault,
			  const struct fl_site_address *site,
			  struct fl_overrun *out)
{
	struct fl_block *block = fl_blocks_find(b, fault->address);
	const char *bump;

	if (!site || !block || (!block->owner && block != b->sink))
		return false;
	bump = (const char *)fl_fault_register(fault, site->bump_reg);
	if (bump < block->base || bump > fl_block_top(block) ||
	    fault->address >= bump)
		return false;
	*out = (struct fl_overrun){
		.site = site, .block = block,
		.bytes = (uint64_t)(bump - fault->address),
	};
	return true;
}

bool fl_blocks_overrun(const struct fl_blocks *b, const struct fl_fault *fault,
		       struct fl_overrun *out)
{
	return fl_blocks_overrun_at(b, fault,
				    fl_sites_find(&b->sites, fl_fault_pc(fault)),
				    out);
}

uint64_t fl_blocks_trim(struct fl_heap *heap)
{
	struct fl_blocks *b = (struct fl_blocks *)heap;
	uint64_t bytes = 0;

	for (unsigned order = 0; order < FL_BLOCK_ORDERS; order++)
		for (struct fl_block *f = b->free[order]; f; f = f->next)
			if (!fl_giveback_one(f->base, f->bytes,
					     FL_GIVE_DONTNEED))
				bytes += f->bytes;
	if (b->retain)
		fl_retain_forget(b->retain);
	return bytes;
}

static void add_range(struct fl_range *out, size_t max, size_t *nr, char *base,
		      size_t bytes, enum fl_range_kind kind)
{
	if (!bytes)
		return;
	if (*nr < max)
		out[*nr] = (struct fl_range){
			.base = base, .bytes = fl_page_round(bytes),
			.kind = kind,
		};
	++*nr;
}

size_t fl_blocks_ranges(const struct fl_heap *heap, struct fl_range *out,
			size_t max)
{
	const struct fl_blocks *b = (const struct fl_blocks *)heap;
	size_t nr = 0;

	add_range(out, max, &nr, b->base, b->next_slot * b->stride_bytes,
		  FL_RANGE_OBJECTS);
	add_range(out, max, &nr, (char *)b->directory,
		  b->next_slot * sizeof(*b->directory), FL_RANGE_METADATA);
	if (b->retain)
		add_range(out, max, &nr, (char *)b->retain, sizeof(*b->retain) +
			  (b->retain_spans ? b->next_slot : 0) *
			  sizeof(b->retain->items[0]), FL_RANGE_METADATA);
	add_range(out, max, &nr, b->records, b->nr_records * b->record_bytes,
		  FL_RANGE_METADATA);
	add_range(out, max, &nr, (char *)b->sites.sorted,
		  b->sites.nr * sizeof(*b->sites.sorted), FL_RANGE_METADATA);
	add_range(out, max, &nr, (char *)(uintptr_t)b, b->heap_bytes,
		  FL_RANGE_METADATA);
	return nr;
}

void *fl_record_take(struct fl_blocks *b)
{
	void *record = b->free_records;

	if (record)
		memcpy(&b->free_records, record, sizeof(void *));
	else if (b->nr_records < b->nr_records_max)
		record = b->records + b->nr_records++ * b->record_bytes;
	else
		return NULL;
	return memset(record, 0, b->record_bytes);
}

void fl_record_give(struct fl_blocks *b, void *record)
{
	memcpy(record, &b->free_records, sizeof(void *));
	b->free_records = record;
}

/* The sink takes the largest object, wherever its alignment puts it. */
static uint64_t sink_bytes(const struct fl_open_args *args)
{
	return args->object_bytes_max + FL_ALIGN_MAX;
}

/*
 * Slots that a heap can ever cut off which has no more than @limit bytes out.  A run
 * comes to be, cut or split off, when none of its order is free, and splitting leaves
 * one free at most: so each order may have had all of it, and one more.
 */
static uint64_t slots_within(const struct fl_blocks *b, uint64_t limit)
{
	uint64_t slots = 0;

	for (unsigned order = 0; order < FL_BLOCK_ORDERS &&
	     run_bytes(b, order) <= limit; order++)
		slots += (limit / run_bytes(b, order) + 1) << order;
	return slots;
}

/*
 * Enough slots for the largest thing asked of the heap, and a terabyte where
 * nothing bounds it; never more than the address space one heap may take.
 */
static uint64_t slots_wanted(const struct fl_blocks *b,
			     const struct fl_open_args *args)
{
	uint64_t most = FL_RESERVE_BYTES_MAX / b->stride_bytes;
	uint64_t slots = RESERVE_BYTES / b->stride_bytes;
	uint64_t regions = (uint64_t)args->nr_regions_max + SPARE_REGIONS;

	/* Where addresses are scarce, as under valgrind, a limit spares them. */
	if (args->limit_bytes && slots_within(b, args->limit_bytes) < slots)
		slots = slots_within(b, args->limit_bytes);
	if (slots < regions)
		slots = regions;
	slots += (uint64_t)1 << order_of(b, sink_bytes(args));
	return slots < most ? slots : most;
}

int fl_blocks_open(const struct fl_open_args *args,
		   const struct fl_blocks_config *config, size_t heap_bytes,
		   struct fl_heap **heap)
{
	struct fl_blocks *b;
	char *pages, *directory;
	int err;

	if (!config->block_bytes || config->block_bytes > FL_RESERVE_BYTES_MAX ||
	    config->guard_bytes > FL_RESERVE_BYTES_MAX ||
	    args->object_bytes_max > FL_OBJECT_BYTES_MAX ||
	    args->nr_regions_max > UINT32_MAX - SPARE_REGIONS)
		return -EINVAL;
	err = fl_reserve(heap_bytes, FL_OPEN, &pages);
	if (err)
		return err;
	b = (struct fl_blocks *)(void *)pages;
	b->heap_bytes = heap_bytes;
	b->block_bytes = fl_page_round(config->block_bytes);
	b->guard_bytes = fl_page_round(config->guard_bytes);
	b->guard = config->guard;
	b->access = config->access;
	b->stride_bytes = b->block_bytes + b->guard_bytes;
	b->limit_bytes = 0;
	b->nr_slots = slots_wanted(b, args);
	b->bytes = b->nr_slots * b->stride_bytes;
	b->record_bytes = (config->record_bytes + 63) & ~(size_t)63;
	b->nr_records_max = args->nr_regions_max + SPARE_REGIONS;

	err = (config->aside ? fl_reserve_aside : fl_reserve)(b->bytes,
		config->access, &b->base);
	if (err)
		goto release_heap;
	err = fl_reserve(b->nr_slots * sizeof(*b->directory), FL_OPEN,
			 &directory);
	if (err)
		goto release_blocks;
	b->directory = (struct fl_block *)(void *)directory;
	err = fl_reserve(b->nr_records_max * b->record_bytes, FL_OPEN,
			 &b->records);
	if (err)
		goto release_directory;
	err = -ENOMEM;
	b->sink = fl_blocks_take(b, sink_bytes(args), NULL);
	if (!b->sink)
		goto release_records;
	if (b->access == FL_CLOSED) {
		err = fl_protect(b->sink->base, b->sink->bytes, FL_OPEN);
		if (err)
			goto release_records;
	}
	b->out_bytes = 0;
	b->limit_bytes = args->limit_bytes;
	if (config->retain.when != FL_RETAIN_NEVER) {
		struct fl_retain_config retain = config->retain;

		b->retain_spans = config->retain_spans;
		b->retain_blocks = !config->retain_spans;
		if (b->retain_blocks) {
			retain.oldest = oldest_died;
			retain.chill = chill_oldest;
			retain.owner = b;
		}
		err = fl_retain_open(&retain, b->retain_spans ? b->nr_slots : 0,
				     &b->pub.events, &b->retain);
		if (err)
			goto release_records;
	}
	if (config->handle) {
		err = fl_sites_open(config->sites, config->sites_end, &b->sites);
		if (err)
			goto close_retain;
		b->range = (struct fl_fault_range){
			.base = b->base, .bytes = b->bytes,
			.handle = config->handle, .owner = b,
			.user_return = config->user_return,
		};
		err = fl_fault_watch(&b->range);
		if (err)
			goto close_sites;
	}
	*heap = &b->pub;
	return 0;

close_sites:
	fl_sites_close(&b->sites);
close_retain:
	fl_retain_close(b->retain);
release_records:
	fl_release(b->records, b->nr_records_max * b->record_bytes);
release_directory:
	fl_release((char *)b->directory, b->nr_slots * sizeof(*b->directory));
release_blocks:
	fl_release(b->base, b->bytes);
release_heap:
	fl_release(pages, heap_bytes);
	return err;
}

void fl_blocks_close(struct fl_heap *heap)
{
	struct fl_blocks *b = (struct fl_blocks *)heap;

	/* A region is the first member of its record; given back, it has none. */
	for (uint64_t i = 0; i < b->nr_records; i++)
		fl_builders_bereave((struct fl_region *)(void *)
				    (b->records + i * b->record_bytes));
	if (b->range.handle)
		fl_fault_unwatch(&b->range);
	fl_sites_close(&b->sites);
	fl_retain_close(b->retain);
	fl_release(b->base, b->bytes);
	fl_release((char *)b->directory, b->nr_slots * sizeof(*b->directory));
	fl_release(b->records, b->nr_records_max * b->record_bytes);
	fl_release((char *)b, b->heap_bytes);
}

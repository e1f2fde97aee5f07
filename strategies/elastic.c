/* SPDX-License-Identifier: MIT */
/*
 * elastic: blocks that extend, and shrink again (claim N6 of the design notes); no
 * compare at the site.
 *
 *	| slack, closed | extension |        block         |
 *	                ^ p         ^ base      ^ bump moves down
 *
 * Past its soft size a block has slack, as much as the largest object of a site
 * can need, which is closed.  The store of the first object that does not fit
 * faults there.  The handler opens the slack as far down as that object begins,
 * so that the object stays where it is, and puts the top of another block into
 * the site's bump register: the very next allocation is in that block, and
 * neither needed a branch (fl_elastic_new of faultline/site.h).
 *
 * A block that is used again begins at its soft size.  When a dead block's
 * extension is closed and its pages go is the policy's to say (vm/retain.h); one
 * that is still open when the block is wanted is closed then.
 *
 *  trigger=sigsegv      the slack is PROT_NONE: two VMAs a block; closed by
 *                       mprotect, and its pages may stay warm
 *  trigger=guard        MADV_GUARD pages; closing them takes their pages away
 *  trigger=userfaultfd  missing pages of a userfaultfd in SIGBUS mode; the handler
 *                       fills them by copy, and closing is giving back
 *
 * The slack serves declared sites alone: of an object in an extension every byte is
 * open when its first store goes on.  Larger objects take the size test.
 */
#include <errno.h>

#include "faultline/compat.h"
#include "faultline/site.h"
#include "faultline/strategy.h"
#include "vm/blocks.h"
#include "vm/fault_resume.h"
#include "vm/fork.h"
#include "vm/uffd_fill.h"

enum { BLOCK, STEP, GROWTH, TRIGGER, SCOPE, RETURN, GIVEBACK };
enum { TRIGGER_SIGSEGV, TRIGGER_GUARD, TRIGGER_USERFAULTFD };
enum { SCOPE_EXTENSION, SCOPE_BLOCK };
enum { RETURN_SIGRETURN, RETURN_USER };

static const char *const growths[] = { "constant", "doubling", NULL };
static const char *const triggers[] = {
	"sigsegv", "guard", "userfaultfd", NULL
};
static const char *const scopes[] = { "extension", "block", NULL };
static const char *const returns[] = { "sigreturn", "user", NULL };

static const struct fl_tunable tunables[] = {
	[BLOCK] = {
		.name = "block", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "soft size of a block",
		.def = 64 << 10, .min = 4 << 10, .max = 1 << 30,
	},
	[STEP] = {
		.name = "step", .unit = "pages", .kind = FL_TUNABLE_COUNT,
		.help = "pages opened per fault, at least",
		.def = 1, .min = 1, .max = FL_GUARD_BYTES / 4096,
	},
	[GROWTH] = {
		.name = "growth", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "each step as large as the first, or twice the one "
			"before in a region's lifetime",
		.choices = growths,
	},
	[TRIGGER] = {
		.name = "trigger", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "what closes the slack (guard: Linux 6.13)",
		.choices = triggers,
	},
	[SCOPE] = {
		.name = "scope", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "what giveback= is about: extensions of dead blocks, or "
			"all of these blocks",
		.choices = scopes,
	},
	[RETURN] = {
		.name = "return", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "how the handler goes back to the program: by system "
			"call, or by restoring all registers itself (user)",
		.choices = returns,
	},
	FL_RETAIN_TUNABLES(GIVEBACK),
};

/* A block's state is the number of pages that its extension has. */
struct heap {
	struct fl_blocks blocks;
	struct fl_uffd uffd;		/* trigger=userfaultfd; and: */
	struct fl_uffd_fill fill;
	struct fl_fork_hook fork;
	uint64_t trigger, step_bytes;
	bool doubling, whole;		/* growth=doubling, scope=block */
};

struct region {
	struct fl_region pub;
	struct heap *heap;
	struct fl_block *newest, *first;	/* the chain, and its end */
	uint64_t step_bytes;
};

static uint64_t extension_bytes(const struct fl_block *block)
{
	return block->state * fl_page_bytes();
}

/* Signal-safe, as all that the handler calls. */
static int open_slack(struct heap *heap, char *base, size_t bytes)
{
	switch (heap->trigger) {
	case TRIGGER_GUARD:
		return fl_guard_remove(base, bytes, FL_GUARD_MADVISE);
	case TRIGGER_USERFAULTFD:
		return fl_uffd_fill_pages(&heap->fill, base, bytes);
	default:
		return fl_protect(base, bytes, FL_OPEN);
	}
}

static int close_extension(struct heap *heap, struct fl_block *block)
{
	const uint64_t bytes = extension_bytes(block);
	char *const base = block->base - bytes;
	int err = 0;

	if (!bytes)
		return 0;
	switch (heap->trigger) {
	case TRIGGER_GUARD:
		err = fl_guard_install(base, bytes, FL_GUARD_MADVISE);
		break;
	case TRIGGER_USERFAULTFD:
		err = fl_giveback_one(base, bytes, FL_GIVE_DONTNEED);
		break;
	default:
		err = fl_protect(base, bytes, FL_CLOSED);
	}
	if (!err)
		block->state = 0;
	return err;
}

/* What cannot be closed now will be when the block is taken. */
static void elastic_shed(void *owner, size_t slot)
{
	struct heap *heap = owner;

	close_extension(heap, &heap->blocks.directory[slot]);
}

static struct fl_block *take(struct region *region, uint64_t bytes)
{
	struct fl_blocks *blocks = &region->heap->blocks;
	struct fl_block *block = fl_blocks_take(blocks, bytes, &region->pub);

	if (!block)
		return NULL;
	if (close_extension(region->heap, block)) {
		fl_blocks_give(blocks, block);
		return NULL;
	}
	block->next = region->newest;
	region->newest = block;
	blocks->pub.events.nr_large += block->order > 0;
	return block;
}

static char *exhausted(struct region *region)
{
	struct fl_blocks *blocks = &region->heap->blocks;

	blocks->pub.events.nr_sinks++;
	region->pub.error = -ENOMEM;
	return fl_block_top(blocks->sink);
}

/* Open @block's slack from its base down to @address at least. */
static bool extend(struct region *region, struct fl_block *block,
		   const char *address)
{
	struct heap *heap = region->heap;
	struct fl_blocks *blocks = &heap->blocks;
	uint64_t bytes = fl_page_round((uint64_t)(block->base - address));

	if (bytes < region->step_bytes)
		bytes = region->step_bytes;
	if (bytes > blocks->guard_bytes)
		bytes = blocks->guard_bytes;
	if (blocks->limit_bytes &&
	    bytes > blocks->limit_bytes - blocks->out_bytes)
		return false;
	if (open_slack(heap, block->base - bytes, bytes))
		return false;
	block->state = (uint32_t)(bytes / fl_page_bytes());
	blocks->out_bytes += bytes;
	if (heap->doubling)
		region->step_bytes *= 2;
	return true;
}

/* The object in hand, and the block after it, or neither. */
static bool elastic_handle(void *owner, const struct fl_fault *fault)
{
	struct heap *heap = owner;
	struct fl_blocks *blocks = &heap->blocks;
	const struct fl_site_address *site =
		fl_sites_find(&blocks->sites, fl_fault_pc(fault));
	struct fl_block *block = fl_blocks_find(blocks, fault->address), *next;
	struct region *region;

	if (!site || !block || fault->address >= block->base ||
	    (char *)fl_fault_register(fault, site->bump_reg) != fault->address)
		return false;
	if (block == blocks->sink) {
		fl_fault_redirect(fault, site, fl_block_top(block));
		return true;
	}
	if (!block->owner || block->state)
		return false;
	region = (struct region *)block->owner;
	if (block != region->newest)
		return false;
	next = take(region, 1);
	if (!next || !extend(region, block, fault->address)) {
		fl_fault_redirect(fault, site, exhausted(region));
		return true;
	}
	blocks->pub.events.nr_hits++;
	fl_fault_move_on(fault, site, fl_block_top(next));
	return true;
}

/* An object above the slack's size: in its block, or in one of its own. */
static fl_cold struct fl_cursor elastic_large(struct fl_region *pub,
					      struct fl_cursor cursor,
					      size_t bytes, size_t align,
					      uint64_t first_word)
{
	struct region *region = (struct region *)pub;
	struct fl_blocks *blocks = &region->heap->blocks;
	const struct fl_block *block = pub->error ? blocks->sink : region->newest;

	if (fl_align_down(cursor.bump - bytes, align) < block->base) {
		block = pub->error ? NULL : take(region, bytes);
		cursor.bump = block ? fl_block_top(block) : exhausted(region);
		blocks->pub.events.nr_refills += block != NULL;
	}
	cursor.bump = fl_align_down(cursor.bump - bytes, align);
	*(uint64_t *)(void *)cursor.bump = first_word;
	return cursor;
}

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);

	if (fl_unlikely(bytes > FL_SITE_BYTES_MAX)) {
		*cursor = elastic_large(region, *cursor, n, align, first_word);
		return cursor->bump;
	}
	return fl_elastic_new(&cursor->bump, n, align, first_word);
}

static int strategy_region_create(struct fl_heap *pub, struct fl_region **out)
{
	struct heap *heap = (struct heap *)pub;
	struct region *region = fl_record_take(&heap->blocks);

	if (!region)
		return -ENOMEM;
	region->heap = heap;
	region->step_bytes = heap->step_bytes;
	region->first = take(region, 1);
	if (!region->first) {
		fl_record_give(&heap->blocks, region);
		return -ENOMEM;
	}
	region->pub.events = &pub->events;
	region->pub.cursor.bump = fl_block_top(region->first);
	*out = &region->pub;
	return 0;
}

/* Its objects died: what is the policy's of it? */
static void bury(struct heap *heap, struct fl_block *block)
{
	struct fl_blocks *b = &heap->blocks;
	const uint64_t bytes = extension_bytes(block);

	b->out_bytes -= bytes;
	if (!b->retain)
		return;
	if (heap->whole)
		fl_retain_dead(b->retain, fl_blocks_item(b, block),
			       fl_block_top(block), block->bytes + bytes);
	else
		fl_retain_dead(b->retain, fl_blocks_item(b, block), block->base,
			       bytes);
}

static void strategy_region_reset(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;
	struct heap *heap = region->heap;
	struct fl_blocks *b = &heap->blocks;

	while (region->newest != region->first) {
		struct fl_block *block = region->newest;

		region->newest = block->next;
		bury(heap, block);
		fl_blocks_give(b, block);
	}
	bury(heap, region->first);
	fl_blocks_death(b);
	if (b->retain)
		fl_retain_use(b->retain, fl_blocks_item(b, region->first));
	region->step_bytes = heap->step_bytes;
	pub->error = 0;
	pub->cursor.bump = close_extension(heap, region->first) ?
		exhausted(region) : fl_block_top(region->first);
}

static void strategy_region_destroy(struct fl_region *pub)
{
	struct region *region = (struct region *)pub;
	struct heap *heap = region->heap;

	for (struct fl_block *block = region->newest; block; block = block->next)
		bury(heap, block);
	fl_blocks_give_chain(&heap->blocks, region->newest);
	fl_blocks_death(&heap->blocks);
	fl_record_give(&heap->blocks, region);
}

#include "faultline/module.h"

static int install_slack(struct fl_blocks *blocks, char *base, size_t bytes)
{
	return fl_uffd_register(&((struct heap *)blocks)->uffd, base, bytes);
}

/*
 * A registration is not inherited: the child makes its own, or its heap is closed,
 * and who uses it dies.
 */
static void elastic_forked(void *owner)
{
	struct heap *heap = owner;
	struct fl_blocks *b = &heap->blocks;
	int err;

	fl_uffd_close(&heap->uffd);
	err = fl_uffd_open(UFFD_FEATURE_SIGBUS, &heap->uffd);
	for (uint64_t i = 0; i < b->next_slot && !err; i++)
		if (b->directory[i].base)
			err = install_slack(b, b->directory[i].base -
					    b->guard_bytes, b->guard_bytes);
	if (err)
		fl_protect(b->base, b->bytes, FL_CLOSED);
}

static int watch_slack(struct heap *heap)
{
	struct fl_blocks *b = &heap->blocks;
	int err = fl_uffd_open(UFFD_FEATURE_SIGBUS, &heap->uffd);

	if (!err)
		err = fl_uffd_fill_open(&heap->fill, &heap->uffd, FL_FILL_COPY, 0);
	if (!err)
		err = install_slack(b, b->sink->base - b->guard_bytes,
				    b->guard_bytes);
	if (!err)
		err = fl_fork_watch(&heap->fork);
	return err;
}

static const char *nonsense(const uint64_t *values)
{
	if (values[SCOPE] && !values[GIVEBACK])
		return "scope= is about what is given back: set giveback=";
	return NULL;
}

static int elastic_probe(const uint64_t *values, char *reason,
			 size_t reason_bytes)
{
	const uint64_t trigger = values[TRIGGER];
	const unsigned can = FL_RETAIN_CAN(DONTNEED) |
		(trigger == TRIGGER_SIGSEGV ? FL_RETAIN_CAN(FREE) : 0);
	const char *why = nonsense(values);
	int err = why ? -ENOTSUP : 0;

	if (why)
		snprintf(reason, reason_bytes, "%s", why);
	if (!err && trigger == TRIGGER_USERFAULTFD)
		err = fl_uffd_probe(UFFD_FEATURE_SIGBUS, reason, reason_bytes);
	if (!err && trigger == TRIGGER_GUARD) {
		err = fl_guard_probe(FL_GUARD_MADVISE);
		if (err)
			snprintf(reason, reason_bytes,
				 "this kernel refuses trigger=guard pages: %s",
				 strerror(-err));
	}
	if (!err && values[RETURN] == RETURN_USER)
		err = fl_fault_resume_probe(reason, reason_bytes);
	return err ? err : fl_retain_probe(values + GIVEBACK, can,
		"what an extension is made of, and how it is closed, is trigger='s to say",
		reason, reason_bytes);
}

static void elastic_close(struct fl_heap *pub)
{
	struct heap *heap = (struct heap *)pub;

	fl_fork_unwatch(&heap->fork);
	fl_uffd_close(&heap->uffd);
	if (heap->trigger == TRIGGER_USERFAULTFD)
		fl_uffd_fill_close(&heap->fill);
	fl_blocks_close(pub);
}

static int elastic_open(const struct fl_open_args *args, struct fl_heap **out)
{
	static const enum fl_guard_kind kinds[] = {
		[TRIGGER_SIGSEGV] = FL_GUARD_PROT_NONE,
		[TRIGGER_GUARD] = FL_GUARD_MADVISE,
		[TRIGGER_USERFAULTFD] = FL_GUARD_NONE,
	};
	const uint64_t *values = args->values;
	const struct fl_blocks_config config = {
		.block_bytes = values[BLOCK],
		.guard_bytes = FL_GUARD_BYTES,
		.guard = kinds[values[TRIGGER]],
		.access = FL_OPEN,
		.record_bytes = sizeof(struct region),
		.handle = elastic_handle,
		.user_return = values[RETURN] == RETURN_USER,
		FL_MODULE_SITES,
		.retain = fl_retain_config_of(values + GIVEBACK),
		.retain_spans = true,
	};
	struct fl_heap *pub;
	struct heap *heap;
	int err = fl_blocks_open(args, &config, sizeof(*heap), &pub);

	if (err)
		return err;
	heap = (struct heap *)pub;
	heap->uffd.fd = -1;
	heap->trigger = values[TRIGGER];
	heap->step_bytes = values[STEP] * fl_page_bytes();
	heap->doubling = values[GROWTH];
	heap->whole = values[SCOPE] == SCOPE_BLOCK;
	heap->fork = (struct fl_fork_hook){
		.child = elastic_forked, .owner = heap,
	};
	if (heap->blocks.retain) {
		heap->blocks.retain->config.whole = true;
		heap->blocks.retain->config.shed = elastic_shed;
		heap->blocks.retain->config.owner = heap;
	}
	if (heap->trigger == TRIGGER_USERFAULTFD) {
		heap->blocks.install_guard = install_slack;
		err = watch_slack(heap);
	}
	if (err)
		elastic_close(pub);
	else
		*out = pub;
	return err;
}

static uint64_t elastic_trim(struct fl_heap *pub)
{
	struct heap *heap = (struct heap *)pub;
	struct fl_blocks *b = &heap->blocks;

	for (unsigned order = 0; order < FL_BLOCK_ORDERS; order++)
		for (struct fl_block *f = b->free[order]; f; f = f->next)
			/* Closed or not, it may have pages. */
			if (!fl_giveback_one(f->base - b->guard_bytes,
					     b->guard_bytes, FL_GIVE_DONTNEED))
				close_extension(heap, f);
	return fl_blocks_trim(pub);
}

static void elastic_geometry(const struct fl_heap *pub, struct fl_geometry *out)
{
	const struct heap *heap = (const struct heap *)pub;
	const uint64_t block = heap->blocks.block_bytes;

	*out = (struct fl_geometry){
		.start_bytes = block, .block_bytes = block, .rearms = true,
	};
	/* What others open gets its pages when it is touched. */
	if (heap->trigger == TRIGGER_USERFAULTFD)
		out->step_bytes_max = heap->doubling ? heap->blocks.guard_bytes :
						       heap->step_bytes;
}

FL_STRATEGY(
	.name = "elastic",
	.summary = "blocks that extend for the object in hand; the next one is in another block",
	.trigger = "SIGSEGV",
	.answer = FL_ANSWER_ELASTIC,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.probe = elastic_probe,
	.open = elastic_open,
	.close = elastic_close,
	.ranges = fl_blocks_ranges,
	.geometry = elastic_geometry,
	.trim = elastic_trim,
	.large_block_bytes = fl_blocks_usable,
);

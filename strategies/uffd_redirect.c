/* SPDX-License-Identifier: MIT */
/*
 * uffd_redirect: blocks with a guard below each, all of it read-write memory; no
 * compare at the site.  The guards are watched by a userfaultfd in SIGBUS mode.
 * The object that does not fit stores its first word into one, SIGBUS is
 * delivered, and the handler gives the interrupted site another block's top as
 * its bump and restarts it: the object lands in the other block.  Nobody resolves
 * the fault, so no page of a guard is ever filled.
 *
 *  guard=missing  the guard is registered for missing pages, its block is not:
 *                 two VMAs more for each block, and a process has 65,530
 *                 (vm.max_map_count)
 *  guard=wp       all is registered for protected pages, and the guard's are
 *                 the shared zero page, protected: no VMA, but page tables.
 *                 A load from it reads zero
 *
 * Blocks are filled by the kernel, page by page, as any memory is, and stay warm
 * (docs/decisions/0013).  Which faults are redirected, and what a region keeps, is
 * vm/chains.h's; what a guard is made of is here.
 *
 * A registration is not inherited by a fork child, so the child makes its own.
 */
#include "faultline/compat.h"
#include "faultline/site.h"
#include "faultline/strategy.h"
#include "vm/chains.h"
#include "vm/fault_resume.h"
#include "vm/fork.h"
#include "vm/uffd.h"

enum { BLOCK, GUARD, RETURN, GIVEBACK };
enum { GUARD_MISSING, GUARD_WP };
enum { RETURN_SIGRETURN, RETURN_USER };

static const char *const guards[] = { "missing", "wp", NULL };
static const char *const returns[] = { "sigreturn", "user", NULL };

static const struct fl_tunable tunables[] = {
	[BLOCK] = {
		.name = "block", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "size of a block",
		.def = 1 << 20, .min = 4 << 10, .max = 1 << 30,
	},
	[GUARD] = {
		.name = "guard", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "missing pages (two VMAs a block), or protected ones "
			"(page tables; Linux 5.14)",
		.choices = guards,
	},
	[RETURN] = {
		.name = "return", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "how the handler goes back to the program: by system "
			"call, or by restoring all registers itself (user)",
		.choices = returns,
	},
	FL_RETAIN_TUNABLES(GIVEBACK),
};

struct heap {
	struct fl_blocks blocks;
	struct fl_uffd uffd;
	struct fl_fork_hook fork;
	bool wp;
};

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);

	if (fl_unlikely(bytes > FL_SITE_BYTES_MAX)) {
		*cursor = fl_chains_large(region, *cursor, n, align, first_word);
		return cursor->bump;
	}
	return fl_site_new(&cursor->bump, n, align, first_word);
}

#define strategy_region_create	fl_chains_region_create
#define strategy_region_reset	fl_chains_region_reset
#define strategy_region_destroy	fl_chains_region_destroy

#include "faultline/module.h"

static int install_guard(struct fl_blocks *blocks, char *base, size_t bytes)
{
	const struct heap *heap = (const struct heap *)blocks;

	return heap->wp ? fl_uffd_protect(&heap->uffd, base, bytes) :
		fl_uffd_register(&heap->uffd, base, bytes);
}

/* A userfaultfd for [base, base + bytes), where no block is yet. */
static int watch(struct heap *heap, char *base, size_t bytes)
{
	int err = fl_uffd_open(UFFD_FEATURE_SIGBUS |
			       (heap->wp ? UFFD_FEATURE_PAGEFAULT_FLAG_WP : 0),
			       &heap->uffd);

	if (!err && heap->wp)
		err = fl_uffd_register_wp(&heap->uffd, base, bytes);
	return err;
}

/* The same for the whole heap, and the guards of the blocks there are. */
static int watch_blocks(struct heap *heap)
{
	struct fl_blocks *b = &heap->blocks;
	int err = watch(heap, b->base, b->bytes);

	for (uint64_t i = 0; i < b->next_slot && !err; i++)
		if (b->directory[i].base)
			err = install_guard(b, b->directory[i].base -
					    b->guard_bytes, b->guard_bytes);
	return err;
}

/*
 * The descriptor is the parent's.  A child that gets none of its own, or no VMAs,
 * must not store to where guards were: its heap is closed, and who uses it dies.
 */
static void uffd_redirect_forked(void *owner)
{
	struct heap *heap = owner;

	fl_uffd_close(&heap->uffd);
	if (watch_blocks(heap))
		fl_protect(heap->blocks.base, heap->blocks.bytes, FL_CLOSED);
}

/* Tries it on a page of its own. */
static int try_guard(const uint64_t *values)
{
	struct heap heap = {
		.uffd.fd = -1, .wp = values[GUARD] == GUARD_WP,
	};
	const size_t bytes = fl_page_bytes();
	char *page;
	int err = fl_reserve(bytes, FL_OPEN, &page);

	if (err)
		return err;
	err = watch(&heap, page, bytes);
	if (!err)
		err = install_guard(&heap.blocks, page, bytes);
	fl_uffd_close(&heap.uffd);
	fl_release(page, bytes);
	return err;
}

static int uffd_redirect_probe(const uint64_t *values, char *reason,
			       size_t reason_bytes)
{
	int err = fl_uffd_probe(UFFD_FEATURE_SIGBUS, reason, reason_bytes);

	if (err)
		return err;
	err = try_guard(values);
	if (err)
		snprintf(reason, reason_bytes,
			 "this kernel refuses guard=%s pages: %s",
			 guards[values[GUARD]], strerror(-err));
	else if (values[RETURN] == RETURN_USER)
		err = fl_fault_resume_probe(reason, reason_bytes);
	return err ? err : fl_retain_probe(values + GIVEBACK,
					   FL_RETAIN_CAN_ORDINARY,
					   FL_RETAIN_NO_POOL, reason,
					   reason_bytes);
}

static void uffd_redirect_close(struct fl_heap *pub)
{
	struct heap *heap = (struct heap *)pub;

	fl_fork_unwatch(&heap->fork);
	fl_uffd_close(&heap->uffd);
	fl_blocks_close(pub);
}

static int uffd_redirect_open(const struct fl_open_args *args,
			      struct fl_heap **out)
{
	const struct fl_blocks_config config = {
		.block_bytes = args->values[BLOCK],
		.guard_bytes = FL_GUARD_BYTES,
		.guard = FL_GUARD_NONE,
		.access = FL_OPEN,
		.record_bytes = sizeof(struct fl_chain_region),
		.handle = fl_chains_handle,
		.user_return = args->values[RETURN] == RETURN_USER,
		FL_MODULE_SITES,
		.retain = fl_retain_config_of(args->values + GIVEBACK),
	};
	struct fl_heap *pub;
	struct heap *heap;
	int err = fl_blocks_open(args, &config, sizeof(*heap), &pub);

	if (err)
		return err;
	heap = (struct heap *)pub;
	heap->wp = args->values[GUARD] == GUARD_WP;
	heap->uffd.fd = -1;
	heap->blocks.install_guard = install_guard;
	heap->fork.child = uffd_redirect_forked;
	heap->fork.owner = heap;
	err = watch_blocks(heap);
	if (!err)
		err = fl_fork_watch(&heap->fork);
	if (err)
		uffd_redirect_close(pub);
	else
		*out = pub;
	return err;
}

FL_STRATEGY(
	.name = "uffd_redirect",
	.summary = "blocks above pages that nobody fills; SIGBUS sends the object to another block",
	.trigger = "userfaultfd SIGBUS",
	.answer = FL_ANSWER_REDIRECT,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.probe = uffd_redirect_probe,
	.open = uffd_redirect_open,
	.close = uffd_redirect_close,
	.ranges = fl_blocks_ranges,
	.geometry = fl_chains_geometry,
	.trim = fl_blocks_trim,
	.large_block_bytes = fl_blocks_usable,
	.chunk_take = fl_chains_chunk_take,
	.chunk_grow = fl_chains_chunk_grow,
	.chunk_give = fl_chains_chunk_give,
);

/* SPDX-License-Identifier: MIT */
/*
 * rseq_redirect: segv_redirect without a table of sites.  Each allocation is a
 * restartable sequence (faultline/rseq_site.h); when its store hits the guard,
 * the kernel moves the interrupted pc to the sequence's abort code before it
 * delivers SIGSEGV, and beside that code stands which register holds bump.  The
 * handler finds heap and block by the address of the fault, puts another block's
 * top into that register, and the abort code restarts the sequence.
 *
 * The price is paid at each allocation: the sequence is armed by a store.  What
 * it would buy besides, sequences that are atomic on their CPU, nobody needs
 * here, because a region belongs to one thread.  And whoever single-steps a
 * program stays in its first allocation, because each step aborts the sequence.
 */
#include "faultline/rseq_site.h"
#include "faultline/strategy.h"
#include "vm/chains.h"
#include "vm/fault_resume.h"
#include "vm/rseq.h"

enum { BLOCK, GUARD, RETURN, GIVEBACK };
enum { RETURN_SIGRETURN, RETURN_USER };

static const char *const guards[] = { "prot_none", "madvise", NULL };
static const char *const returns[] = { "sigreturn", "user", NULL };

static const struct fl_tunable tunables[] = {
	[BLOCK] = {
		.name = "block", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "size of a block",
		.def = 1 << 20, .min = 4 << 10, .max = 1 << 30,
	},
	[GUARD] = {
		.name = "guard", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "what a guard is made of (madvise: Linux 6.13)",
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

fl_hot void *strategy_new(struct fl_region *region, struct fl_cursor *cursor,
			  size_t bytes, size_t align, uint64_t first_word)
{
	const size_t n = fl_object_bytes(bytes);

	if (fl_unlikely(bytes > FL_SITE_BYTES_MAX)) {
		*cursor = fl_chains_large(region, *cursor, n, align, first_word);
		return cursor->bump;
	}
	return fl_rseq_new(cursor, n, align, first_word);
}

static bool rseq_redirect_handle(void *heap, const struct fl_fault *fault)
{
	struct fl_site_address site;

	return fl_rseq_interrupted(__start_fl_rseq_aborts,
				   __stop_fl_rseq_aborts, fault, &site) &&
	       fl_chains_redirect(heap, fault, &site);
}

static int strategy_region_create(struct fl_heap *heap, struct fl_region **out)
{
	int err = fl_chains_region_create(heap, out);

	if (!err)
		(*out)->cursor.limit = fl_rseq_armed();
	return err;
}

#define strategy_region_reset	fl_chains_region_reset
#define strategy_region_destroy	fl_chains_region_destroy

#include "faultline/module.h"

static enum fl_guard_kind guard_kind(const uint64_t *values)
{
	return values[GUARD] ? FL_GUARD_MADVISE : FL_GUARD_PROT_NONE;
}

static int rseq_redirect_probe(const uint64_t *values, char *reason,
			       size_t reason_bytes)
{
	int err = fl_guard_probe(guard_kind(values));

	if (err) {
		snprintf(reason, reason_bytes,
			 "this kernel refuses guard=%s pages: %s",
			 guards[values[GUARD]], strerror(-err));
		return err;
	}
	err = fl_rseq_probe(reason, reason_bytes);
	if (!err && values[RETURN] == RETURN_USER)
		err = fl_fault_resume_probe(reason, reason_bytes);
	return err ? err : fl_retain_probe(values + GIVEBACK,
					   FL_RETAIN_CAN_ORDINARY,
					   FL_RETAIN_NO_POOL, reason,
					   reason_bytes);
}

static int rseq_redirect_open(const struct fl_open_args *args,
			      struct fl_heap **heap)
{
	const struct fl_blocks_config config = {
		.block_bytes = args->values[BLOCK],
		.guard_bytes = FL_GUARD_BYTES,
		.guard = guard_kind(args->values),
		.access = FL_OPEN,
		.record_bytes = sizeof(struct fl_chain_region),
		.handle = rseq_redirect_handle,
		.user_return = args->values[RETURN] == RETURN_USER,
		.retain = fl_retain_config_of(args->values + GIVEBACK),
	};

	/* Unregistered, the first guard would be the end of the program. */
	if (!fl_rseq_armed())
		return -ENOSYS;
	return fl_blocks_open(args, &config, sizeof(struct fl_blocks), heap);
}

/* The module may be unloaded next, and its descriptors with it. */
static void rseq_redirect_close(struct fl_heap *heap)
{
	fl_rseq_disarm();
	fl_blocks_close(heap);
}

FL_STRATEGY(
	.name = "rseq_redirect",
	.summary = "guarded blocks; a restartable sequence is aborted into another block",
	.trigger = "SIGSEGV in rseq",
	.answer = FL_ANSWER_REDIRECT,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.probe = rseq_redirect_probe,
	.open = rseq_redirect_open,
	.close = rseq_redirect_close,
	.ranges = fl_blocks_ranges,
	.geometry = fl_chains_geometry,
	.trim = fl_blocks_trim,
	.large_block_bytes = fl_blocks_usable,
	.chunk_take = fl_chains_chunk_take,
	.chunk_grow = fl_chains_chunk_grow,
	.chunk_give = fl_chains_chunk_give,
);

/* SPDX-License-Identifier: MIT */
/*
 * segv_redirect: blocks with a guard below each; no compare at the site.  The
 * object that does not fit stores its first word into the guard, SIGSEGV is
 * delivered, and the handler gives the interrupted site another block's top as
 * its bump and restarts it: the object lands in the other block.  The kernel
 * maps nothing, and no page of a guard ever becomes resident.
 *
 * Which faults those are, and what a region keeps, is vm/chains.h's; what a
 * guard is made of is here.
 */
#include "faultline/site.h"
#include "faultline/strategy.h"
#include "vm/chains.h"
#include "vm/fault_resume.h"

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
	return fl_site_new(&cursor->bump, n, align, first_word);
}

#define strategy_region_create	fl_chains_region_create
#define strategy_region_reset	fl_chains_region_reset
#define strategy_region_destroy	fl_chains_region_destroy

#include "faultline/module.h"

static enum fl_guard_kind guard_kind(const uint64_t *values)
{
	return values[GUARD] ? FL_GUARD_MADVISE : FL_GUARD_PROT_NONE;
}

static int segv_redirect_probe(const uint64_t *values, char *reason,
			       size_t reason_bytes)
{
	int err = fl_guard_probe(guard_kind(values));

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

static int segv_redirect_open(const struct fl_open_args *args,
			      struct fl_heap **heap)
{
	const struct fl_blocks_config config = {
		.block_bytes = args->values[BLOCK],
		.guard_bytes = FL_GUARD_BYTES,
		.guard = guard_kind(args->values),
		.access = FL_OPEN,
		.record_bytes = sizeof(struct fl_chain_region),
		.handle = fl_chains_handle,
		.user_return = args->values[RETURN] == RETURN_USER,
		FL_MODULE_SITES,
		.retain = fl_retain_config_of(args->values + GIVEBACK),
	};

	return fl_blocks_open(args, &config, sizeof(struct fl_blocks), heap);
}

FL_STRATEGY(
	.name = "segv_redirect",
	.summary = "guarded blocks; the fault sends the object to another block",
	.trigger = "SIGSEGV",
	.answer = FL_ANSWER_REDIRECT,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.probe = segv_redirect_probe,
	.open = segv_redirect_open,
	.close = fl_blocks_close,
	.ranges = fl_blocks_ranges,
	.geometry = fl_chains_geometry,
	.trim = fl_blocks_trim,
	.large_block_bytes = fl_blocks_usable,
	.chunk_take = fl_chains_chunk_take,
	.chunk_grow = fl_chains_chunk_grow,
	.chunk_give = fl_chains_chunk_give,
);

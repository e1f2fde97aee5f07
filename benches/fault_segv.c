/* SPDX-License-Identifier: MIT */
/*
 * Faults by SIGSEGV.
 *
 *  redirect_prot_none, redirect_guard
 *	a block with a guard below it, as in segv_redirect
 *  redirect_rseq
 *	the first of these without a table of sites, as in rseq_redirect; the op has
 *	two instructions more
 *  extend_mprotect, extend_resident
 *	a closed range, opened page by page from the top down, as in segv_extend:
 *	one frontier, no more mappings than two.  The page behind it is not there,
 *	so the repeated store takes the kernel's own fault as well; or it is
 *  extend_guard
 *	the same frontier made of MADV_GUARD_REMOVE (Linux 6.13); its pages are
 *	never there
 */
#include "benches/fault_rig.h"
#include "vm/giveback.h"
#include "vm/guard.h"
#include "vm/rseq.h"

/* Each fault of a round is the same one again: nothing is used up. */
static int redirect_open(struct rig *rig, enum fl_guard_kind kind)
{
	int err = rig_range(rig, FL_GUARD_BYTES / fl_page_bytes() + 1, FL_OPEN);

	if (err)
		return err;
	rig->top = rig->base + FL_GUARD_BYTES;
	rig->stride = 0;
	return fl_guard_install(rig->base, FL_GUARD_BYTES, kind);
}

static int redirect_prot_none_open(struct rig *rig)
{
	return redirect_open(rig, FL_GUARD_PROT_NONE);
}

const struct mechanism fault_redirect_prot_none = {
	.answer = ANSWER_REDIRECT,
	.open = redirect_prot_none_open,
};

const struct mechanism fault_redirect_rseq = {
	.answer = ANSWER_REDIRECT,
	.rseq = true,
	.probe = fl_rseq_probe,
	.open = redirect_prot_none_open,
};

static int redirect_guard_open(struct rig *rig)
{
	return redirect_open(rig, FL_GUARD_MADVISE);
}

const struct mechanism fault_redirect_guard = {
	.answer = ANSWER_REDIRECT,
	.open = redirect_guard_open,
};

static int mprotect_open(struct rig *rig)
{
	return rig_range(rig, ROUND_FAULTS, FL_CLOSED);
}

static int close_range_again(struct rig *rig, size_t nr)
{
	(void)nr;
	return fl_protect(rig->base, rig->bytes, FL_CLOSED);
}

static int empty_and_close(struct rig *rig, size_t nr)
{
	int err = fl_giveback_one(rig->base, rig->bytes, FL_GIVE_DONTNEED);

	return err ? err : close_range_again(rig, nr);
}

static int open_page(struct rig *rig, char *page)
{
	(void)rig;
	return fl_protect(page, fl_page_bytes(), FL_OPEN);
}

const struct mechanism fault_extend_mprotect = {
	.answer = ANSWER_EXTEND,
	.open = mprotect_open,
	.arm = empty_and_close,
	.resolve = open_page,
};

static int resident_open(struct rig *rig)
{
	int err = rig_range(rig, ROUND_FAULTS, FL_OPEN);

	if (!err)
		rig_fill(rig->base, rig->bytes);
	return err;
}

const struct mechanism fault_extend_resident = {
	.answer = ANSWER_EXTEND,
	.open = resident_open,
	.arm = close_range_again,
	.resolve = open_page,
};

static int guard_open(struct rig *rig)
{
	return rig_range(rig, ROUND_FAULTS, FL_OPEN);
}

static int install_guards(struct rig *rig, size_t nr)
{
	(void)nr;
	return fl_guard_install(rig->base, rig->bytes, FL_GUARD_MADVISE);
}

static int remove_guard(struct rig *rig, char *page)
{
	(void)rig;
	return fl_guard_remove(page, fl_page_bytes(), FL_GUARD_MADVISE);
}

const struct mechanism fault_extend_guard = {
	.answer = ANSWER_EXTEND,
	.open = guard_open,
	.arm = install_guards,
	.resolve = remove_guard,
};

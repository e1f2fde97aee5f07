/* SPDX-License-Identifier: MIT */
/*
 * A store in a restartable sequence: before the signal is delivered, the kernel
 * moves the interrupted pc to the sequence's abort code.
 */
#include "faultline/rseq_site.h"
#include "harness/matrix_trap.h"
#include "vm/rseq.h"

static int probe_rseq(const struct fl_mechanism *m, char *reason, size_t bytes)
{
	(void)m;
	return fl_rseq_probe(reason, bytes);
}

static char *store(char *bump, uint64_t word)
{
	struct fl_cursor cursor = { .bump = bump, .limit = fl_rseq_armed() };

	return fl_rseq_new(&cursor, FL_TRAP_OBJECT_BYTES, FL_GRAIN_BYTES, word);
}

static bool redirect(struct fl_trap *t, const struct fl_fault *fault)
{
	struct fl_site_address site;

	if (!fl_rseq_interrupted(__start_fl_rseq_aborts, __stop_fl_rseq_aborts,
				 fault, &site))
		return false;
	fl_fault_redirect(fault, &site, t->spare + fl_page_bytes());
	return true;
}

const struct fl_mechanism fl_mech_rseq = {
	.name = "rseq", .since = "Linux 4.18",
	.what = "prot-none, and the store in a restartable sequence",
	.told = FL_TOLD_SIGNAL, .signal = SIGSEGV, .codes = { SEGV_ACCERR },
	.probe = probe_rseq, .map = fl_trap_map, .arm = fl_prot_none_arm,
	.store = store, .redirect = redirect,
};

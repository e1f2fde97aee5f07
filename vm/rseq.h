/* SPDX-License-Identifier: MIT */
/*
 * vm/rseq.h: restartable sequences, as faultline/rseq_site.h writes them.
 *
 * Context: all concern the calling thread, and are MT-safe.  fl_rseq_probe is
 * cold; the others are async-signal-safe.
 */
#ifndef FL_VM_RSEQ_H
#define FL_VM_RSEQ_H

#include <stdbool.h>
#include <stddef.h>

#include "vm/fault.h"

/*
 * fl_rseq_interrupted: Has the kernel moved the pc of @fault to the abort code
 * of a sequence in [start, end)?  Then it was that site's probe: fills in @site,
 * whose restart is the abort code.
 * @start, @end: __start_fl_rseq_aborts and __stop_fl_rseq_aborts of the module.
 */
bool fl_rseq_interrupted(const char *start, const char *end,
			 const struct fl_fault *fault,
			 struct fl_site_address *site);

/*
 * fl_rseq_armed: Where the calling thread arms its sequences (the field rseq_cs of
 * its area); NULL if the C library has not registered one.
 */
char *fl_rseq_armed(void);

/*
 * fl_rseq_disarm: The calling thread is in no sequence, and the kernel need not
 * look whether it is.  To be called before a module with sequences is unloaded,
 * by every thread that ran one of them last.
 */
void fl_rseq_disarm(void);

/*
 * fl_rseq_probe: Is there an area, and does this kernel move the pc of an
 * interrupted sequence before it delivers the signal?  Tries it.  0, or -errno
 * with a reason.
 */
int fl_rseq_probe(char *reason, size_t reason_bytes);

#endif

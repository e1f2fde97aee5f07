/* SPDX-License-Identifier: MIT */
/*
 * vm/guard.h: pages that fault on purpose.
 *
 *  prot_none  mprotect.  Works everywhere; splits the VMA in two, and a process
 *             has 65,530 of them (vm.max_map_count).  Fault: SEGV_ACCERR.
 *  madvise    MADV_GUARD_INSTALL, Linux 6.13.  No VMA, but page tables that are
 *             not returned.  Fault: SEGV_MAPERR.
 *
 * Both survive fork and MADV_DONTNEED.  Context: bare system calls,
 * async-signal-safe, MT-safe.
 */
#ifndef FL_VM_GUARD_H
#define FL_VM_GUARD_H

#include <stddef.h>

enum fl_guard_kind { FL_GUARD_NONE, FL_GUARD_PROT_NONE, FL_GUARD_MADVISE };

/*
 * fl_guard_install, fl_guard_remove: @base and @bytes are whole pages.
 * Removing leaves the pages open and, for madvise guards, empty.
 * Returns 0 or -errno: -ENOMEM at the VMA limit, -EINVAL where the kernel does
 * not know MADV_GUARD_INSTALL.  FL_GUARD_NONE does nothing.
 */
int fl_guard_install(char *base, size_t bytes, enum fl_guard_kind kind);
int fl_guard_remove(char *base, size_t bytes, enum fl_guard_kind kind);

/*
 * fl_guard_probe: 0 if this kernel has @kind, or -errno.  Tries it on a page of
 * its own.
 */
int fl_guard_probe(enum fl_guard_kind kind);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * vm/growdown.h: ranges that the kernel itself extends downwards
 * (MAP_GROWSDOWN), as it does the stack.
 *
 *	base                              top
 *	|        hole        | mapped       |
 *	                     ^ moves down at a touch, as far as it is from there
 *
 * A touch of the hole, however far down, by the program or by a system call on
 * its behalf, makes the mapping reach to the page that was touched; pages between
 * are demand-zero.  The kernel refuses, by SIGSEGV or EFAULT,
 *
 *  - when the mapping would become longer than RLIMIT_STACK (ulimit -s);
 *  - within stack_guard_gap (256 pages, unless the kernel's command line says
 *    otherwise) above an accessible mapping of somebody; not above a closed one;
 *  - for want of memory to commit, and where RLIMIT_AS says so.  Unless told
 *    otherwise (vm.overcommit_memory), it looks at one touch only: that may not
 *    commit more than there is memory and swap, but many may.
 *
 * What is below has to be a hole, so that nothing can be reserved: see
 * fl_reserve_aside.  Whoever maps something into it nevertheless loses it when the
 * reservation is given back.  Nothing but unmapping makes a mapping shorter again; in
 * particular MADV_DONTNEED does not.  A wild touch inside the hole is not noticed.
 *
 * Sources: the kernel's mm/vma.c, expand_downwards and acct_stack_growth (until
 * Linux 6.10 in mm/mmap.c).
 *
 * Context: fl_growdown_reaches and fl_growdown_descends are async-signal-safe;
 * the others are cold.
 * MT-safe.
 */
#ifndef FL_VM_GROWDOWN_H
#define FL_VM_GROWDOWN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * fl_growdown_make: Of a reserved range, whatever is in it, make a hole with one
 * page mapped at its top.  Given back with the reservation.
 * Returns 0 or -errno: -ENOMEM at the VMA limit (it takes two).
 */
int fl_growdown_make(char *base, size_t bytes);

/*
 * fl_growdown_reaches: Can @address, in such a range, be written to?  Makes the
 * mapping reach it if so.  @address is a multiple of 4.  Costs a system call; writes
 * four bytes there.
 */
bool fl_growdown_reaches(char *address);

/*
 * fl_growdown_descends: The same, from @from, which the mapping reaches, in steps
 * of FL_GROWDOWN_STEP_BYTES, so that the kernel is not asked for much at once.
 * @from is a multiple of 4, too.  Costs a system call per step, and writes four
 * bytes, in a page, at the end of each.  After a refusal, the steps before it
 * have been made.
 */
#define FL_GROWDOWN_STEP_BYTES	((size_t)1 << 30)

bool fl_growdown_descends(char *from, char *address);

/*
 * fl_growdown_probe: Does this kernel let a mapping grow to @bytes?  Tries it.
 * 0, or -errno with a reason.
 */
int fl_growdown_probe(size_t bytes, char *reason, size_t reason_bytes);

#endif

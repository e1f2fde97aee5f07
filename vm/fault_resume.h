/* SPDX-License-Identifier: MIT */
/*
 * vm/fault_resume.h: from a signal handler back to the interrupted program,
 * without the system call sigreturn.
 *
 * Vocabulary: the "frame" is what the kernel wrote to the stack before it called
 * the handler: a ucontext_t with the general registers, and the extended state
 * (x87, SSE, AVX, ...) in the format of XSAVE.
 *
 * A handler runs with extended state in its initial configuration, so all of it
 * is restored, always (XRSTOR; what the program had not touched is then as if
 * untouched again).  General registers, flags, stack pointer and pc follow,
 * the last three at once, by IRETQ.  Nothing is written to the interrupted
 * program's stack, which need not have room for it (docs/decisions/0012).
 *
 * What else sigreturn restores is left as it is: the signal mask and the
 * alternate stack.  vm/fault.c's entry therefore resumes this way only when the
 * kernel called it directly, by an action that blocks nothing.
 *
 * Context: all but the probe are async-signal-safe and MT-safe.
 */
#ifndef FL_VM_FAULT_RESUME_H
#define FL_VM_FAULT_RESUME_H

#include <stddef.h>
#include <ucontext.h>

/*
 * fl_fault_resume_probe: Can faults of this process be returned from in user
 * space?  Asks the CPU and the kernel, and then does it once: with a watched
 * page of its own, so SIGSEGV and SIGBUS have vm/fault.h's entry meanwhile.
 * @reason: if not, one line that says why and what would help.
 * Returns 0, -ENOTSUP, or -errno.  Cold, MT-safe, not signal-safe.
 */
int fl_fault_resume_probe(char *reason, size_t reason_bytes);

/*
 * fl_fault_resume_refusal: What in this frame only the kernel can restore, in a
 * few words; or NULL.  Costs about ten nanoseconds.
 */
const char *fl_fault_resume_refusal(const ucontext_t *context);

/*
 * fl_fault_resume: Go on as @context, which is changed, now says.
 * @context: from the kernel, on the stack that is in use, and without a
 *           refusal.  Mask and alternate stack must be as the frame has them.
 */
void fl_fault_resume(ucontext_t *context) __attribute__((noreturn));

#endif

/* SPDX-License-Identifier: MIT */
/*
 * vm/private_fault_resume.h: what vm/fault.c, vm/fault_resume.c and
 * vm/fault_entry.S share; read by the assembler, too.
 */
#ifndef FL_VM_PRIVATE_FAULT_RESUME_H
#define FL_VM_PRIVATE_FAULT_RESUME_H

/* Where things are in a signal frame; fault_resume.c has the compiler check. */
#define FL_INFO_ADDR		16	/* of siginfo_t */
#define FL_CONTEXT_STACK	16	/* of ucontext_t: uc_stack.ss_sp */
#define FL_CONTEXT_GREGS	40	/* of ucontext_t */
#define FL_GREGS_RSP		120	/* of its gregs, from here on */
#define FL_GREGS_RIP		128
#define FL_GREGS_EFL		136
#define FL_GREGS_CS		144
#define FL_GREGS_SS		150
#define FL_GREGS_ERR		152
#define FL_GREGS_FPREGS		184
#define FL_XSTATE_FEATURES	472	/* of the state fpregs points to */

#ifndef __ASSEMBLER__

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

/*
 * What the kernel calls.  It is in assembler because it ends by leaving for the
 * interrupted program, which no C function may do without its return: frames of
 * C are all gone by then, as sanitizers, profilers and debuggers expect.
 */
void fl_fault_entry(int sig, siginfo_t *info, void *context)
	__attribute__((visibility("hidden")));

/* Where the kernel has the entry return to: rt_sigreturn. */
extern const char fl_fault_trampoline[] __attribute__((visibility("hidden")));

/*
 * fl_fault_enter: All of the entry that can be C.
 * @direct: the kernel called the entry by the action that vm/fault.c installed,
 *          and nobody is between them.
 * Returns whether the program is to go on by fl_fault_resume.
 */
bool fl_fault_enter(int sig, siginfo_t *info, void *context, int direct)
	__attribute__((visibility("hidden")));

/*
 * fl_fault_resume_own: Give the action of @sig, which is the entry, the
 * library's own trampoline, by which the entry knows that the kernel called it.
 * If something keeps the C library's sigaction from the kernel, it stays so.
 */
void fl_fault_resume_own(int sig) __attribute__((visibility("hidden")));

/* What a host says of itself, for fl_fault_resume_judge. */
struct fl_resume_host {
	bool xsave;		/* CPUID: by the kernel's leave (OSXSAVE) */
	int shadow_error;	/* of asking for ARCH_SHSTK_STATUS, or 0 */
	uint64_t shadow_status;
	bool blocked;		/* SIGSEGV, in this thread */
};

/*
 * fl_fault_resume_judge: The part of fl_fault_resume_probe that only looks.
 * Returns 0 or -ENOTSUP with a reason.
 */
int fl_fault_resume_judge(const struct fl_resume_host *host, char *reason,
			  size_t reason_bytes);

#endif
#endif

/* SPDX-License-Identifier: MIT */
/*
 * The entry that the kernel calls for SIGSEGV and SIGBUS, and the way back from
 * it (vm/fault_resume.h).
 */
#include "vm/private_fault_resume.h"

	.text

/*
 * Debuggers and unwinders know the end of a handler by these very bytes, by the
 * absence of other unwind information (in the byte before, too: they look up a
 * return address less one), and gdb by the C library's name for it.
 */
	.balign	16
	nop
	.hidden	fl_fault_trampoline
	.globl	fl_fault_trampoline
	.type	fl_fault_trampoline, @function
fl_fault_trampoline:
	.type	__restore_rt, @function
__restore_rt:
	mov	$15, %rax		/* rt_sigreturn */
	syscall
	.size	__restore_rt, . - __restore_rt
	.size	fl_fault_trampoline, . - fl_fault_trampoline

#define FLAG_AC			(1 << 18)

/*
 * Returns are predicted from a stack of the calls before, which the kernel
 * leaves full of its own.  The first one here, or in the interrupted program,
 * that is not to a call made since is then predicted into the kernel, and that
 * costs a sixth of the whole fault (docs/decisions/0012).  So many calls that
 * are never returned from cover as many; speculation ends at the int3.
 */
#define NR_COVERED		8

	.macro	cover_returns
	.rept	NR_COVERED
	call	3f
	int3
3:	.cfi_adjust_cfa_offset 8
	.endr
	add	$8 * NR_COVERED, %rsp
	.cfi_adjust_cfa_offset -8 * NR_COVERED
	.endm

/*
 * A handler that runs off the low end of its alternate stack faults there; the
 * kernel, which finds the stack pointer outside by then, starts the next handler
 * at the top again, and so for ever.  So a fault that has the stack pointer of
 * the interrupted near it (no farther than a frame with page-sized variables)
 * and the end of the alternate stack above it is left to happen once more, with
 * the default action: it kills, where it happened.  Nothing is pushed to find
 * that out, since there may be no room for it.
 */
#define BELOW_STACK		8192
#define BELOW_POINTER		256
#define NR_RT_SIGACTION		13
#define SIGSET_BYTES		8

	.section .rodata
	.balign	8
default_action:				/* SIG_DFL, no flags, no mask */
	.zero	32

	.text

/*
 * void fl_fault_entry(int sig, siginfo_t *info, void *context)
 *
 * The kernel's frame is the trampoline's address with the context right above
 * it.  Anybody else who calls, even by a jump from a handler of his own, has
 * another return address.
 *
 * Of the program's flags the kernel leaves AC to handlers, in which C code, not
 * aligned as AC would have it, would fault.
 */
	.balign	64
	.hidden	fl_fault_entry
	.globl	fl_fault_entry
	.type	fl_fault_entry, @function
fl_fault_entry:
	.cfi_startproc
	endbr64
	mov	FL_INFO_ADDR(%rsi), %rax
	mov	FL_CONTEXT_STACK(%rdx), %rcx
	sub	%rax, %rcx
	dec	%rcx
	cmp	$BELOW_STACK, %rcx
	jb	5f
0:	push	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	mov	%rdx, %rbx
	/* A shadow stack would miss the returns. */
	xor	%eax, %eax
	rdsspq	%rax
	test	%rax, %rax
	jnz	4f
	cover_returns
4:
	testl	$FLAG_AC, FL_CONTEXT_GREGS + FL_GREGS_EFL(%rdx)
	jz	1f
	pushfq
	.cfi_adjust_cfa_offset 8
	andl	$~FLAG_AC, (%rsp)
	popfq
	.cfi_adjust_cfa_offset -8
1:	xor	%ecx, %ecx
	lea	16(%rsp), %rax
	cmp	%rax, %rdx
	jne	2f
	lea	fl_fault_trampoline(%rip), %rax
	cmp	%rax, 8(%rsp)
	jne	2f
	inc	%ecx
2:	call	fl_fault_enter
	mov	%rbx, %rdi
	pop	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	test	%al, %al
	jnz	fl_fault_resume
	ret

5:
	sub	FL_CONTEXT_GREGS + FL_GREGS_RSP(%rdx), %rax
	add	$BELOW_POINTER, %rax
	cmp	$BELOW_STACK, %rax
	jae	0b
	lea	default_action(%rip), %rsi
	xor	%edx, %edx
	mov	$SIGSET_BYTES, %r10d
	mov	$NR_RT_SIGACTION, %eax
	syscall
	ret
	.cfi_endproc
	.size	fl_fault_entry, . - fl_fault_entry

/*
 * void fl_fault_resume(ucontext_t *context)
 *
 * The context's registers are popped, so the stack pointer goes first: what
 * lies below it is not needed any more, and a signal that comes in between
 * builds its frame there.  The five words behind the last of them become what
 * IRETQ pops.
 */
	.balign	64
	.globl	fl_fault_resume
	.type	fl_fault_resume, @function
fl_fault_resume:
	.cfi_startproc
	.cfi_undefined %rip
	endbr64
	lea	FL_CONTEXT_GREGS(%rdi), %rsp
	mov	FL_GREGS_FPREGS(%rsp), %rcx
	mov	FL_XSTATE_FEATURES(%rcx), %eax
	mov	FL_XSTATE_FEATURES + 4(%rcx), %edx
	xrstor64 (%rcx)

	mov	FL_GREGS_RSP(%rsp), %rax
	mov	FL_GREGS_RIP(%rsp), %rcx
	movzwl	FL_GREGS_CS(%rsp), %edx
	movzwl	FL_GREGS_SS(%rsp), %esi
	mov	%rcx, FL_GREGS_RSP(%rsp)
	mov	%rdx, FL_GREGS_RIP(%rsp)
	/* The flags are where they must be. */
	mov	%rax, FL_GREGS_CS(%rsp)
	mov	%rsi, FL_GREGS_ERR(%rsp)

	pop	%r8
	pop	%r9
	pop	%r10
	pop	%r11
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	pop	%rdi
	pop	%rsi
	pop	%rbp
	pop	%rbx
	pop	%rdx
	pop	%rax
	pop	%rcx
	iretq
	.cfi_endproc
	.size	fl_fault_resume, . - fl_fault_resume

	.section .note.GNU-stack, "", @progbits

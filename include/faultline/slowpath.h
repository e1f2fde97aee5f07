/* SPDX-License-Identifier: MIT */
/*
 * faultline/slowpath.h: a slow path that the compiler does not see.
 *
 * Vocabulary: a "site" is the few instructions an allocation compiles to.  A
 * "stub" is the cold part of a site.  The "thunk" is what the stubs of a module
 * call: it preserves every register but the flags, so that the code around a
 * site keeps its values where they are, as it does around a fault site.
 *
 *	stub:     lea  -128(%rsp), %rsp		leaf functions have a red zone
 *	          push region
 *	          push bytes
 *	          call thunk			the two words become the cursor
 *	          pop  bump
 *	          pop  limit
 *	          lea  128(%rsp), %rsp
 *
 * Arguments and results are on the stack, so that the compiler is free to choose
 * every register, of which it loses none.  Slow paths that save for themselves
 * are those of OCaml (caml_call_gc) and of Go's write barrier.
 *
 * Unwinders do not see through a stub: what a slow path calls may not throw.
 *
 * Context: thread-safe; signal-safe as far as the refill is.
 */
#ifndef FL_SLOWPATH_H
#define FL_SLOWPATH_H

#include <cpuid.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "faultline/cursor.h"
#include "faultline/strategy.h"

#ifndef __x86_64__
#error "thunks are written for x86-64; another architecture needs its own slowpath.h"
#endif

/*
 * A function that uses no vector register, so that its caller need not save
 * them.  It may call only others of the same kind, which excludes inline
 * functions (they are of no kind) and the C library, and so initialisers: clang
 * -O0 makes memset of one for 16 bytes.  Sanitizers would add calls.
 */
#define fl_general_regs							\
	__attribute__((noinline, target("general-regs-only"),		\
		       no_sanitize("address", "thread", "undefined")))

/*
 * FL_SLOW_THUNK: At file scope: the thunk of that name, which asks first
 *
 *	struct fl_cursor warm(struct fl_region *region, size_t bytes);
 *
 * an fl_general_regs function, and where that has nothing (bump is NULL)
 *
 *	struct fl_cursor refill(struct fl_region *region, size_t bytes);
 *
 * any function, around which the vector registers are saved: some 50 ns, which
 * matter only where memory is not warm anyway.  Both declared FL_SLOW_FUNCTION,
 * because no compiler reads the thunk's text.  The returned cursor has room for
 * bytes at every alignment.
 *
 * XSAVE's area: x87, SSE, AVX and AVX-512 state (bits 0-2 and 5-7) end at byte
 * 2,688 at most in the standard format; bytes 512 to 575 must be zero at first.
 */
#define FL_SLOW_FUNCTION						\
	__attribute__((used, visibility("hidden")))

#define FL_SLOW_THUNK(thunk, warm, refill)				\
	__asm__(".pushsection .text.unlikely, \"ax\", @progbits\n"	\
		"	.globl	" #thunk "\n"				\
		"	.hidden	" #thunk "\n"				\
		"	.type	" #thunk ", @function\n"		\
		#thunk ":\n"						\
		"	.cfi_startproc\n"				\
		"	push	%rbp\n"					\
		"	.cfi_def_cfa_offset 16\n"			\
		"	.cfi_offset %rbp, -16\n"			\
		"	mov	%rsp, %rbp\n"				\
		"	.cfi_def_cfa_register %rbp\n"			\
		"	push	%rax\n"					\
		"	push	%rcx\n"					\
		"	push	%rdx\n"					\
		"	push	%rsi\n"					\
		"	push	%rdi\n"					\
		"	push	%r8\n"					\
		"	push	%r9\n"					\
		"	push	%r10\n"					\
		"	push	%r11\n"					\
		"	and	$-64, %rsp\n"				\
		"	mov	24(%rbp), %rdi\n"			\
		"	mov	16(%rbp), %rsi\n"			\
		"	call	" #warm "\n"				\
		"	test	%rax, %rax\n"				\
		"	jz	2f\n"					\
		"	mov	%rax, 16(%rbp)\n"			\
		"	mov	%rdx, 24(%rbp)\n"			\
		"1:	lea	-72(%rbp), %rsp\n"			\
		"	pop	%r11\n"					\
		"	pop	%r10\n"					\
		"	pop	%r9\n"					\
		"	pop	%r8\n"					\
		"	pop	%rdi\n"					\
		"	pop	%rsi\n"					\
		"	pop	%rdx\n"					\
		"	pop	%rcx\n"					\
		"	pop	%rax\n"					\
		"	pop	%rbp\n"					\
		"	.cfi_remember_state\n"				\
		"	.cfi_def_cfa %rsp, 8\n"				\
		"	.cfi_restore %rbp\n"				\
		"	ret\n"						\
		"	.cfi_restore_state\n"				\
		"2:	sub	$2688, %rsp\n"				\
		"	lea	512(%rsp), %rdi\n"			\
		"	mov	$8, %ecx\n"				\
		"	xor	%eax, %eax\n"				\
		"	rep stosq\n"					\
		"	mov	$0xe7, %eax\n"				\
		"	xor	%edx, %edx\n"				\
		"	xsave64	(%rsp)\n"				\
		"	emms\n"						\
		"	mov	24(%rbp), %rdi\n"			\
		"	mov	16(%rbp), %rsi\n"			\
		"	call	" #refill "\n"				\
		"	mov	%rax, 16(%rbp)\n"			\
		"	mov	%rdx, 24(%rbp)\n"			\
		"	mov	$0xe7, %eax\n"				\
		"	xor	%edx, %edx\n"				\
		"	xrstor64 (%rsp)\n"				\
		"	jmp	1b\n"					\
		"	.cfi_endproc\n"					\
		"	.size	" #thunk ", . - " #thunk "\n"		\
		".popsection\n")

/*
 * FL_SLOW_CALL: The stub: @cursor becomes what the thunk says for @region and
 * @bytes.  Nothing else has changed as far as the compiler knows, but memory.
 */
#define FL_SLOW_CALL(thunk, region_, bytes_, cursor)			\
	do {								\
		char *fl_bump, *fl_limit;				\
									\
		__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"		\
				 "push %[region]\n\t"			\
				 "push %[bytes]\n\t"			\
				 "call " #thunk "\n\t"			\
				 "pop %[bump]\n\t"			\
				 "pop %[limit]\n\t"			\
				 "lea 128(%%rsp), %%rsp"		\
				 : [bump] "=r"(fl_bump),		\
				   [limit] "=r"(fl_limit)		\
				 : [region] "r"(region_),		\
				   [bytes] "er"((size_t)(bytes_))	\
				 : "memory", "cc");			\
		*(cursor) = (struct fl_cursor){				\
			.bump = fl_bump, .limit = fl_limit,		\
		};							\
	} while (0)

/*
 * fl_slow_probe: Can thunks run here?  0, or -ENOTSUP with a reason of at most
 * @reason_bytes - 1 characters.
 */
static inline int fl_slow_probe(char *reason, size_t reason_bytes)
{
	unsigned a, b, c = 0, d;

	if (__get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE))
		return 0;
	snprintf(reason, reason_bytes,
		 "this processor or kernel has no XSAVE, which keeps vector registers over the slow path; use bump_down");
	return -ENOTSUP;
}

#endif

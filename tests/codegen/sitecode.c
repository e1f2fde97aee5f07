/* SPDX-License-Identifier: MIT */
/*
 * sitecode.c: the two functions that sitecode.pl reads, in assembly, so that the
 * answers are known.  -DCLEAN: an ideal site, the other a wasteful one.
 */
#define FUNCTION(name, text)						\
	__asm__(".text\n"						\
		".type " #name ", @function\n"				\
		#name ":\n" text					\
		".size " #name ", . - " #name "\n")

/* So many bytes: what stands at each line's end.  No prologue; the stub is cold. */
#ifdef CLEAN
FUNCTION(fl_construct,
	 "mov (%rdi), %rax\n"			/* 3 */
	 "sub $0x28, %rax\n"			/* 4 */
	 "cmp 0x8(%rdi), %rax\n"		/* 4 */
	 "jb 2f\n"				/* 2 */
	 "1: mov %rax, (%rdi)\n"		/* 3 */
	 "mov %rsi, (%rax)\n"			/* 3 */
	 "ret\n"				/* 1: 7 instructions, 20 bytes */
	 "nopl 0x0(%rax)\n"
	 "2: lea -128(%rsp), %rsp\n"		/* 5 */
	 "push %rdi\n"				/* 1 */
	 "push $0x28\n"				/* 2 */
	 "call helper\n"			/* 5 */
	 "pop %rax\n"				/* 1 */
	 "pop %r10\n"				/* 2 */
	 "lea 128(%rsp), %rsp\n"		/* 8 */
	 "jmp 1b\n");				/* 2: 26 bytes */
#else
/* Two pushes and an adjustment, undone; a spill on the path; four saves behind. */
FUNCTION(fl_construct,
	 "push %rbp\n"				/* 1 */
	 "push %r12\n"				/* 2 */
	 "sub $0x28, %rsp\n"			/* 4 */
	 "mov %r9, 0x8(%rsp)\n"			/* 5: on the path, for nothing */
	 "mov (%rdi), %rax\n"			/* 3 */
	 "cmp 0x8(%rdi), %rax\n"		/* 4 */
	 "jb 2f\n"				/* 2 */
	 "1: mov 0x8(%rsp), %r9\n"		/* 5: and back */
	 "mov %r9, (%rax)\n"			/* 3 */
	 "add $0x28, %rsp\n"			/* 4 */
	 "pop %r12\n"				/* 2 */
	 "pop %rbp\n"				/* 1 */
	 "ret\n"				/* 1: 13 instructions, 37 bytes */
	 "2: mov %rdi, (%rsp)\n"		/* 4 */
	 "mov %rcx, 0x10(%rsp)\n"		/* 5 */
	 "call helper\n"			/* 5 */
	 "mov (%rsp), %rdi\n"			/* 4 */
	 "mov 0x10(%rsp), %rcx\n"		/* 5 */
	 "jmp 1b\n");				/* 2: 25 bytes */
#endif

/* 256 sites of 10 bytes and as many entries of the table; no slow path at all. */
FUNCTION(fl_run_sites_0_register_timed,
	 ".rept 256\n"
	 "1: mov %rdi, %rax\n"			/* 3 */
	 "sub $16, %rax\n"			/* 4 */
	 "2: mov %rsi, (%rax)\n"		/* 3 */
	 ".pushsection fl_sites, \"a\", @progbits\n"
	 ".long 2b - .\n"
	 ".long 1b - .\n"
	 ".long 7\n"
	 ".popsection\n"
	 ".endr\n"
	 "ret\n");				/* 1 */

FUNCTION(helper, "ret\n");

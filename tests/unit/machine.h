/* SPDX-License-Identifier: MIT */
/*
 * machine.h: all that a program sees of its CPU, loaded before a store that may
 * fault and read back behind it.
 *
 * For one program; it defines functions and variables.  Protection keys and
 * tiles are left out: loading them takes the kernel's leave.
 */
#ifndef FL_TESTS_MACHINE_H
#define FL_TESTS_MACHINE_H

#include <cpuid.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define MACHINE_XSTATE_BYTES	8192

/* The numbers of components that are used, as in XCR0. */
enum { X_X87, X_SSE, X_AVX, X_MASKS = 5, X_ZMM_HIGH, X_ZMM_16, X_NR };

#define X_ALL	(1u << X_X87 | 1u << X_SSE | 1u << X_AVX | 1u << X_MASKS |	\
		 1u << X_ZMM_HIGH | 1u << X_ZMM_16)

enum { R_RAX, R_RCX, R_RDX, R_RBX, R_RSP, R_RBP, R_RSI, R_RDI };

#define FLAG_DF	(1u << 10)
#define FLAG_NT	(1u << 14)
#define FLAG_AC	(1u << 18)
/* CF, PF, AF, ZF, SF, DF, OF, AC */
#define FLAGS_ALL	0x40cd5u

/* What assembler code below says by number. */
struct machine {
	uint64_t gpr[16];	/* by hardware number */
	uint64_t flags;		/* 128 */
	uint64_t in_use;	/* 136: components that XSAVE would write */
	uint64_t unused[6];
	uint8_t xstate[MACHINE_XSTATE_BYTES] __attribute__((aligned(64)));
};

_Static_assert(offsetof(struct machine, flags) == 128 &&
	       offsetof(struct machine, in_use) == 136 &&
	       offsetof(struct machine, xstate) == 192,
	       "machine_run has other offsets");

#define MXCSR_AT	24
#define HEADER_AT	512	/* its first word: which components are there */

extern uint32_t machine_features, machine_has_in_use;
uint32_t machine_features, machine_has_in_use;

static size_t machine_at[X_NR], machine_bytes[X_NR];

/*
 * A state with everything initial, for the way back to C.  As long as any: XRSTOR
 * may fault on the place of a component that is not there.
 */
extern uint8_t machine_initial[MACHINE_XSTATE_BYTES];
uint8_t machine_initial[MACHINE_XSTATE_BYTES] __attribute__((aligned(64)));

/* Of the run in progress; a handler that runs another keeps them meanwhile. */
struct machine_host {
	uint64_t rsp;
	struct machine *out;
	uint64_t seen_rsp;
};
extern __thread struct machine_host machine_host;
__thread struct machine_host machine_host;

/*
 * machine_run: Load all of @in, store a byte through rbx, and save everything
 * to @out.  The store is at machine_store, and uses nothing but rbx.
 */
void machine_run(const struct machine *in, struct machine *out);
extern const char machine_store[];

__asm__(
"	.text\n"
"	.type	machine_run, @function\n"
"machine_run:\n"
"	push	%rbp\n"
"	push	%rbx\n"
"	push	%r12\n"
"	push	%r13\n"
"	push	%r14\n"
"	push	%r15\n"
"	sub	$8, %rsp\n"
"	stmxcsr	(%rsp)\n"
"	fnstcw	4(%rsp)\n"
"	mov	%rsp, %fs:machine_host@tpoff\n"
"	mov	%rsi, %fs:machine_host@tpoff + 8\n"
"	mov	machine_features(%rip), %eax\n"
"	xor	%edx, %edx\n"
"	xrstor64 192(%rdi)\n"
"	pushq	128(%rdi)\n"
"	popfq\n"
"	mov	(%rdi), %rax\n"
"	mov	8(%rdi), %rcx\n"
"	mov	16(%rdi), %rdx\n"
"	mov	24(%rdi), %rbx\n"
"	mov	32(%rdi), %rsp\n"
"	mov	40(%rdi), %rbp\n"
"	mov	48(%rdi), %rsi\n"
"	mov	64(%rdi), %r8\n"
"	mov	72(%rdi), %r9\n"
"	mov	80(%rdi), %r10\n"
"	mov	88(%rdi), %r11\n"
"	mov	96(%rdi), %r12\n"
"	mov	104(%rdi), %r13\n"
"	mov	112(%rdi), %r14\n"
"	mov	120(%rdi), %r15\n"
"	mov	56(%rdi), %rdi\n"
"	.globl	machine_store\n"
"machine_store:\n"
"	movb	$1, (%rbx)\n"
"	mov	%rsp, %fs:machine_host@tpoff + 16\n"
"	mov	%fs:machine_host@tpoff, %rsp\n"
"	push	%rax\n"
"	pushfq\n"
"	pushq	$2\n"
"	popfq\n"
"	mov	%fs:machine_host@tpoff + 8, %rax\n"
"	mov	%rcx, 8(%rax)\n"
"	mov	%rdx, 16(%rax)\n"
"	mov	%rbx, 24(%rax)\n"
"	mov	%rbp, 40(%rax)\n"
"	mov	%rsi, 48(%rax)\n"
"	mov	%rdi, 56(%rax)\n"
"	mov	%r8, 64(%rax)\n"
"	mov	%r9, 72(%rax)\n"
"	mov	%r10, 80(%rax)\n"
"	mov	%r11, 88(%rax)\n"
"	mov	%r12, 96(%rax)\n"
"	mov	%r13, 104(%rax)\n"
"	mov	%r14, 112(%rax)\n"
"	mov	%r15, 120(%rax)\n"
"	mov	%rax, %rdi\n"
"	mov	%fs:machine_host@tpoff + 16, %rax\n"
"	mov	%rax, 32(%rdi)\n"
"	popq	128(%rdi)\n"
"	popq	(%rdi)\n"
"	cmpl	$0, machine_has_in_use(%rip)\n"
"	je	1f\n"
"	mov	$1, %ecx\n"
"	xgetbv\n"
"	mov	%eax, 136(%rdi)\n"
"1:	mov	machine_features(%rip), %eax\n"
"	xor	%edx, %edx\n"
"	xsave64	192(%rdi)\n"
"	xrstor64 machine_initial(%rip)\n"
"	ldmxcsr	(%rsp)\n"
"	fldcw	4(%rsp)\n"
"	add	$8, %rsp\n"
"	pop	%r15\n"
"	pop	%r14\n"
"	pop	%r13\n"
"	pop	%r12\n"
"	pop	%rbx\n"
"	pop	%rbp\n"
"	ret\n"
"	.size	machine_run, . - machine_run\n");

/* Returns NULL or why this CPU has no such state. */
static const char *machine_open(void)
{
	const uint32_t mxcsr = 0x1f80;
	unsigned eax, ebx, ecx, edx, xcr0;

	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_OSXSAVE))
		return "this CPU, or its kernel, has no XSAVE";
	__asm__("xgetbv" : "=a" (xcr0), "=d" (edx) : "c" (0));
	machine_features = xcr0 & X_ALL;
	__cpuid_count(0xd, 1, eax, ebx, ecx, edx);
	machine_has_in_use = eax >> 2 & 1;
	for (unsigned i = X_AVX; i < X_NR; i++) {
		if (!(machine_features >> i & 1))
			continue;
		__cpuid_count(0xd, i, eax, ebx, ecx, edx);
		machine_at[i] = ebx;
		machine_bytes[i] = eax;
		if (ebx + eax > MACHINE_XSTATE_BYTES)
			return "this CPU's extended state has another layout";
	}
	memcpy(machine_initial + MXCSR_AT, &mxcsr, sizeof(mxcsr));
	return NULL;
}

static uint64_t machine_random(uint64_t *state)
{
	/* splitmix64 */
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void put16(uint8_t *at, uint64_t value)
{
	memcpy(at, &value, 2);
}

/*
 * Random contents everywhere, all but rbx and rsp; of extended state, only
 * @components, and the others initial.  @pending: an x87 exception is.
 */
static void machine_fill(struct machine *m, uint64_t *random,
			 unsigned components, bool pending)
{
	const uint64_t present = components & machine_features;
	const uint64_t r = machine_random(random);
	const uint32_t mxcsr = (uint32_t)(r & 0xffbf) | 0x1f80;

	for (size_t i = 0; i < sizeof(*m); i += 8) {
		const uint64_t word = machine_random(random);

		memcpy((char *)m + i, &word, 8);
	}
	m->flags = (m->flags & FLAGS_ALL) | 0x202;
	/* x87: all masked and nothing pending, or one that is. */
	put16(m->xstate, pending ? 0x37e : (r >> 16 & 0xf00) | 0x7f);
	put16(m->xstate + 2, pending ? 0xb881 : r >> 32 & 0x7f7f);
	m->xstate[5] = 0;
	put16(m->xstate + 6, r >> 48 & 0x7ff);
	memset(m->xstate + 8 + 6, 0, 2);
	memset(m->xstate + 16 + 6, 0, 2);
	for (size_t i = 0; i < 8; i++)
		memset(m->xstate + 32 + 16 * i + 10, 0, 6);
	memcpy(m->xstate + MXCSR_AT, &mxcsr, sizeof(mxcsr));
	memset(m->xstate + HEADER_AT, 0, 64);
	memcpy(m->xstate + HEADER_AT, &present, sizeof(present));
}

/* Part of a component, or of what it is when it is initial. */
static const uint8_t *machine_part(const struct machine *m, unsigned component,
				   size_t at)
{
	static const uint8_t initial[MACHINE_XSTATE_BYTES] = { 0x7f, 0x03 };

	return (m->xstate[HEADER_AT] >> component & 1 ? m->xstate : initial) + at;
}

static bool part_differs(const struct machine *a, const struct machine *b,
			 unsigned component, size_t at, size_t bytes)
{
	return memcmp(machine_part(a, component, at),
		      machine_part(b, component, at), bytes);
}

/* The first thing in which two differ, or NULL. */
static const char *machine_difference(const struct machine *a,
				      const struct machine *b)
{
	static const char *const registers[] = {
		"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8",
		"r9", "r10", "r11", "r12", "r13", "r14", "r15",
	};
	static const char *const components[X_NR] = {
		[X_AVX] = "the upper halves of ymm0 to ymm15",
		[X_MASKS] = "k0 to k7",
		[X_ZMM_HIGH] = "the upper halves of zmm0 to zmm15",
		[X_ZMM_16] = "zmm16 to zmm31",
	};
	/* CPUs may set one with another, but none on its own. */
	const uint64_t upper = X_ALL & ~(1u << X_X87 | 1u << X_SSE);

	for (size_t i = 0; i < 16; i++)
		if (a->gpr[i] != b->gpr[i])
			return registers[i];
	if (a->flags != b->flags)
		return "the flags";
	if (memcmp(a->xstate + MXCSR_AT, b->xstate + MXCSR_AT, 4))
		return "mxcsr";
	if (part_differs(a, b, X_X87, 0, MXCSR_AT))
		return "the x87 environment";
	if (part_differs(a, b, X_X87, 32, 128))
		return "st0 to st7";
	if (part_differs(a, b, X_SSE, 160, 256))
		return "xmm0 to xmm15";
	for (unsigned i = X_AVX; i < X_NR; i++)
		if (machine_bytes[i] && part_differs(a, b, i, machine_at[i],
						     machine_bytes[i]))
			return components[i];
	if (!(a->in_use & upper) && b->in_use & upper)
		return "that nothing above xmm0 to xmm15 is in use";
	return NULL;
}

#endif

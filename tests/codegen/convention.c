/* SPDX-License-Identifier: MIT */
/*
 * convention.c: asks the probe of a convention, and says what it says.  Exit 0: the
 * convention can be used; 77: it cannot.
 *
 * With -DNEIGHBOUR, of ncsr: what becomes of the next function that is compiled for
 * general registers alone, when there is an ordinary one between?  Exit 77: it does
 * as if all that it calls had the attribute.
 */
#include <stdio.h>

#include "faultline/convention.h"

#ifdef NEIGHBOUR
#ifdef __clang__
#define IN_ORDER	__attribute__((used))
#else
#define IN_ORDER	__attribute__((used, no_reorder))
#endif

IN_ORDER fl_general_regs __attribute__((no_caller_saved_registers))
static uint64_t before(uint64_t n)
{
	__asm__ volatile("" : "+r"(n));
	return n + 1;
}

/* Changes every register that an ordinary function may change. */
IN_ORDER static __attribute__((noinline)) uint64_t ordinary(uint64_t n)
{
	__asm__ volatile("" : "+r"(n) :: "memory");
	__asm__ volatile("xor %%eax, %%eax\n\txor %%ecx, %%ecx\n\txor %%edx, %%edx\n\t"
			 "xor %%esi, %%esi\n\txor %%r8d, %%r8d\n\txor %%r9d, %%r9d\n\t"
			 "xor %%r10d, %%r10d\n\txor %%r11d, %%r11d"
			 ::: "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "cc");
	return n;
}

static uint64_t (*volatile behind)(uint64_t) = ordinary;

IN_ORDER fl_general_regs static uint64_t next(uint64_t n, uint64_t m)
{
	uint64_t got = behind(n);

	return got == n ? m : ~m;
}

int main(void)
{
	volatile uint64_t n = 4711, m = 815;

	return before(n) == 4712 && next(n, m) == 815 ? 0 : 77;
}
#else
int main(void)
{
	char reason[256];

	if (!fl_convention_probe(reason, sizeof(reason)))
		return 0;
	puts(reason);
	return 77;
}
#endif

/* SPDX-License-Identifier: MIT */
/*
 * thunk.c: does the thunk of faultline/slowpath.h preserve every register, and
 * does the code around it go on as if nothing had happened?  A program of its
 * own, so that thunk.test can compile it in every way; it ends with 0, or says
 * what was lost.
 */
#include <cpuid.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faultline/slowpath.h"

#define NR_OF(array)	(sizeof(array) / sizeof((array)[0]))
#define BLOCK_BYTES	1024u
#define BLOCKS		512u

/* Blocks by the warm function, or all by the other one. */
static bool warm_has_some;
static uint64_t nr_warm, nr_refills, nr_misaligned, nr_wrong;
static char blocks[BLOCKS * BLOCK_BYTES] __attribute__((aligned(4096)));
static uint64_t next_block;
static struct fl_region the_region;

FL_SLOW_FUNCTION struct fl_cursor test_warm(struct fl_region *region,
					    size_t bytes);
FL_SLOW_FUNCTION struct fl_cursor test_refill(struct fl_region *region,
					      size_t bytes);
FL_SLOW_THUNK(test_thunk, test_warm, test_refill);

fl_general_regs struct fl_cursor test_warm(struct fl_region *region,
					   size_t bytes)
{
	struct fl_cursor cursor;

	cursor.bump = cursor.limit = NULL;
	if (!warm_has_some)
		return cursor;
	nr_warm++;
	nr_wrong += region != &the_region || bytes > BLOCK_BYTES;
	cursor.limit = blocks + next_block++ % BLOCKS * BLOCK_BYTES;
	cursor.bump = cursor.limit + BLOCK_BYTES;
	/* Whatever a callee may lose. */
	__asm__ volatile("mov $-1, %%rcx\n\tmov %%rcx, %%rsi\n\t"
			 "mov %%rcx, %%rdi\n\tmov %%rcx, %%r8\n\t"
			 "mov %%rcx, %%r9\n\tmov %%rcx, %%r10\n\t"
			 "mov %%rcx, %%r11"
			 ::: "rcx", "rsi", "rdi", "r8", "r9", "r10", "r11");
	return cursor;
}

static uint64_t xcr0(void)
{
	uint32_t low, high;

	__asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low | (uint64_t)high << 32;
}

/* All that a callee may lose, lost. */
static void lose_vectors(void)
{
	__asm__ volatile("fninit\n\tfldpi\n\tfldpi\n\tfldpi");
	__asm__ volatile("pcmpeqd %xmm0, %xmm0\n\t"
			 "pcmpeqd %xmm7, %xmm7\n\t"
			 "pcmpeqd %xmm15, %xmm15");
	if (xcr0() & 4)
		__asm__ volatile("vzeroall");
	if ((xcr0() & 0xe0) == 0xe0)
		__asm__ volatile("vpternlogd $255, %zmm1, %zmm1, %zmm1\n\t"
				 "vpternlogd $255, %zmm31, %zmm31, %zmm31\n\t"
				 "vpternlogd $255, %zmm16, %zmm16, %zmm16\n\t"
				 "kxnorw %k0, %k0, %k0\n\t"
				 "kxnorw %k7, %k7, %k7");
	__asm__ volatile("fninit");
}

__attribute__((noinline))
struct fl_cursor test_refill(struct fl_region *region, size_t bytes)
{
	struct fl_cursor cursor;

	nr_refills++;
	nr_misaligned += (uintptr_t)__builtin_frame_address(0) % 16 != 0;
	nr_wrong += region != &the_region || bytes > BLOCK_BYTES;
	cursor.limit = blocks + next_block++ % BLOCKS * BLOCK_BYTES;
	cursor.bump = cursor.limit + BLOCK_BYTES;
	lose_vectors();
	return cursor;
}

static void check(bool good, const char *what)
{
	if (good)
		return;
	printf("%s, with the %s function\n", what,
	       warm_has_some ? "warm" : "other");
	exit(1);
}

/*
 * One call by hand, in which every register and the red zone are known before
 * and after.  In the order of general[]; rsp is the caller's to keep.
 */
#define HIDDEN	__attribute__((visibility("hidden"), used))

HIDDEN uint64_t general_before[15], general_after[15], red_zone[16];
HIDDEN uint64_t cursor_bump, cursor_limit, saved_rsp, components;
HIDDEN struct fl_region *region_pointer = &the_region;
HIDDEN char vectors_before[4096] __attribute__((aligned(64)));
HIDDEN char vectors_after[4096] __attribute__((aligned(64)));
HIDDEN void call_by_hand(void);

__asm__(
"	.text\n"
"	.hidden	call_by_hand\n"
"call_by_hand:\n"
"	push	%rbx\n"
"	push	%rbp\n"
"	push	%r12\n"
"	push	%r13\n"
"	push	%r14\n"
"	push	%r15\n"
"	mov	%rsp, saved_rsp(%rip)\n"
"	mov	components(%rip), %eax\n"
"	xor	%edx, %edx\n"
"	lea	vectors_before(%rip), %rcx\n"
"	xrstor64 (%rcx)\n"
/* A frame that no ABI would align, and a full red zone. */
"	sub	$520, %rsp\n"
"	lea	-128(%rsp), %rdi\n"
"	mov	$16, %ecx\n"
"	mov	$0x5a5a, %eax\n"
"	rep stosq\n"
".irp	name, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15\n"
"	mov	general_before + at_\\name(%rip), %\\name\n"
".endr\n"
"	lea	-128(%rsp), %rsp\n"
"	push	region_pointer(%rip)\n"
"	push	$16\n"
"	call	test_thunk\n"
"	pop	cursor_bump(%rip)\n"
"	pop	cursor_limit(%rip)\n"
"	lea	128(%rsp), %rsp\n"
".irp	name, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15\n"
"	mov	%\\name, general_after + at_\\name(%rip)\n"
".endr\n"
"	lea	-128(%rsp), %rsi\n"
"	lea	red_zone(%rip), %rdi\n"
"	mov	$16, %ecx\n"
"	rep movsq\n"
"	mov	components(%rip), %eax\n"
"	xor	%edx, %edx\n"
"	lea	vectors_after(%rip), %rcx\n"
"	xsave64	(%rcx)\n"
"	fninit\n"
"	mov	saved_rsp(%rip), %rsp\n"
"	pop	%r15\n"
"	pop	%r14\n"
"	pop	%r13\n"
"	pop	%r12\n"
"	pop	%rbp\n"
"	pop	%rbx\n"
"	ret\n"
".set	at_rax, 0\n.set at_rbx, 8\n.set at_rcx, 16\n.set at_rdx, 24\n"
".set	at_rsi, 32\n.set at_rdi, 40\n.set at_rbp, 48\n.set at_r8, 56\n"
".set	at_r9, 64\n.set at_r10, 72\n.set at_r11, 80\n.set at_r12, 88\n"
".set	at_r13, 96\n.set at_r14, 104\n.set at_r15, 112\n");

static const char *const general[15] = {
	"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10",
	"r11", "r12", "r13", "r14", "r15",
};

/* Where the state of component @i is in the standard format, and how long. */
static void find_component(unsigned i, unsigned *offset, unsigned *bytes)
{
	unsigned c, d;

	if (i < 2) {
		/* x87 registers are 10 of 16 bytes each: all but the last 6. */
		*offset = i ? 160 : 32;
		*bytes = i ? 256 : 128;
	} else {
		__cpuid_count(0xd, i, *bytes, *offset, c, d);
	}
}

static void check_component(unsigned i)
{
	unsigned offset, bytes;
	char what[80];

	find_component(i, &offset, &bytes);
	for (unsigned at = 0; at < bytes; at++) {
		if (i == 0 && at % 16 >= 10)
			continue;
		snprintf(what, sizeof(what), "byte %u of component %u is lost",
			 at, i);
		check(vectors_before[offset + at] == vectors_after[offset + at],
		      what);
	}
}

static void test_registers(void)
{
	char what[80];

	components = xcr0() & 0xe7;
	for (unsigned i = 0; i < NR_OF(general_before); i++)
		general_before[i] = 0x0102030405060708u * (i + 1);
	memset(vectors_before, 0, sizeof(vectors_before));
	for (unsigned i = 0; i < 8; i++) {
		unsigned offset, bytes;

		if (!(components >> i & 1))
			continue;
		find_component(i, &offset, &bytes);
		for (unsigned at = 0; at < bytes; at++)
			if (i || at % 16 < 10)
				vectors_before[offset + at] =
					(char)(1 + (at * 7 + i) % 251);
	}
	/* Control words as programs have them; x87 registers full. */
	memcpy(vectors_before, &(uint16_t){ 0x37f }, 2);
	vectors_before[4] = (char)0xff;
	memcpy(vectors_before + 24, &(uint32_t){ 0x1f80 }, 4);
	memcpy(vectors_before + 512, &components, 8);
	call_by_hand();

	for (unsigned i = 0; i < NR_OF(general_before); i++) {
		snprintf(what, sizeof(what), "%s is lost", general[i]);
		check(general_before[i] == general_after[i], what);
	}
	for (unsigned i = 0; i < NR_OF(red_zone); i++)
		check(red_zone[i] == 0x5a5a, "the red zone is lost");
	for (unsigned i = 0; i < 8; i++)
		if (components >> i & 1)
			check_component(i);
	check(!memcmp(vectors_before, vectors_after, 2), "fcw is lost");
	check(!memcmp(vectors_before + 4, vectors_after + 4, 1), "ftw is lost");
	check(!memcmp(vectors_before + 24, vectors_after + 24, 4),
	      "mxcsr is lost");
	check(cursor_bump - cursor_limit == BLOCK_BYTES &&
	      cursor_limit - (uintptr_t)blocks < sizeof(blocks),
	      "the cursor is wrong");
}

/* Sites, as a compiler puts them into functions. */
static inline __attribute__((always_inline))
uint64_t *allocate(struct fl_cursor *cursor, size_t bytes, uint64_t word)
{
	const size_t n = fl_object_bytes(bytes);
	char *p = cursor->bump - n;

	if (fl_unlikely(p < cursor->limit)) {
		FL_SLOW_CALL(test_thunk, &the_region, n, cursor);
		p = cursor->bump - n;
	}
	cursor->bump = p;
	*(uint64_t *)(void *)p = word;
	return (uint64_t *)(void *)p;
}

/* A leaf whose array may be in the red zone, and which is full of live values. */
static __attribute__((noinline))
uint64_t leaf(struct fl_cursor *at, uint64_t a, uint64_t b, uint64_t c,
	      uint64_t d, uint64_t e, double x, double y)
{
	struct fl_cursor cursor = *at;
	volatile uint64_t local[6] = { a, b, c, d, e, a ^ b };
	uint64_t f = a * 3, g = b * 5, h = c * 7, i = d * 11, j = e * 13;
	double z = x * y, u = x + y, v = x - y;
	uint64_t *p = allocate(&cursor, 40, a + b), *q;

	p[1] = f;
	p[2] = g;
	q = allocate(&cursor, 24, c + d);
	q[1] = h + i;
	q[2] = j + (uint64_t)z;
	*at = cursor;
	return p[0] + p[1] + p[2] + q[0] + q[1] + q[2] + a + b + c + d + e +
	       f + g + h + i + j + local[0] + local[1] + local[2] + local[3] +
	       local[4] + local[5] + (uint64_t)(z + u + v);
}

static void test_leaf(void)
{
	struct fl_cursor cursor = { .bump = blocks, .limit = blocks };

	for (uint64_t n = 1; n < 2000; n++) {
		const uint64_t a = n, b = 2 * n, c = 3 * n, d = 4 * n, e = 5 * n;
		const double x = 3, y = 2;
		uint64_t want = 2 * (a + b + c + d) + 2 * (a * 3 + b * 5) +
			2 * (c * 7 + d * 11 + e * 13) + 6 + e +
			(a + b + c + d + e) + (a ^ b) + 6 + 5 + 1;

		check(leaf(&cursor, a, b, c, d, e, x, y) == want,
		      "a leaf function computes something else");
	}
}

/* Sizes that are variables; what was written is read back. */
static void test_loop(void)
{
	struct fl_cursor cursor = { .bump = blocks, .limit = blocks };
	static uint64_t *objects[4096];
	uint64_t sum = 0, want = 0, live[8];

	next_block = 0;
	for (uint64_t k = 0; k < NR_OF(live); k++)
		live[k] = k * 0x9e3779b97f4a7c15u;
	for (uint64_t i = 0; i < NR_OF(objects); i++) {
		objects[i] = allocate(&cursor, 8 + i % 97, i);
		for (uint64_t k = 0; k < NR_OF(live); k++)
			live[k] += i ^ k;
	}
	for (uint64_t i = 0; i < NR_OF(objects); i++)
		check(*objects[i] == i, "an object is lost");
	for (uint64_t k = 0; k < NR_OF(live); k++) {
		uint64_t value = k * 0x9e3779b97f4a7c15u;

		for (uint64_t i = 0; i < NR_OF(objects); i++)
			value += i ^ k;
		sum += live[k];
		want += value;
	}
	check(sum == want, "a loop computes something else");
}

int main(void)
{
	char reason[256];

	if (fl_slow_probe(reason, sizeof(reason))) {
		puts(reason);
		return 77;
	}
	for (int warm = 0; warm < 2; warm++) {
		warm_has_some = warm;
		nr_warm = nr_refills = 0;
		test_registers();
		test_leaf();
		test_loop();
		check(warm ? nr_warm > 200 && !nr_refills :
			     !nr_warm && nr_refills > 200, "the wrong one ran");
	}
	check(!nr_misaligned, "the refill's stack is not aligned");
	check(!nr_wrong, "the arguments are wrong");
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * faultline/site.h: the fault site, an allocation whose first store is the check.
 *
 * Vocabulary: a "site" is the few instructions an allocation compiles to; the
 * "probe" is the store of the object's first word, which faults when the block
 * is exhausted.  Each site leaves one entry in the section fl_sites: where the
 * probe is, where to restart, and which register holds bump.  A handler that
 * finds the interrupted pc there may put a new bump into that register and
 * send the program back to the restart, which computes the address afresh.
 *
 *	restart:  mov  bump, p
 *	          sub  bytes, p
 *	         (and  -align, p)
 *	probe:    mov  word, (p)
 *
 * The sequence writes nothing but p before the probe, so restarting it is
 * idempotent however often it happens; no operand has to be decoded.  This is
 * the scheme of the Linux kernel's exception table (arch/x86 extable "TYPE_REG"
 * entries), and of V8's and Wasmtime's protected instructions.
 *
 * Rules learnt by trying, on gcc 12 and clang 14 and 19:
 *  - p is early-clobber, or the compilers may share its register with the word
 *    and store the wrong value;
 *  - bump is an in-out operand although the text never writes it, because the
 *    handler does;
 *  - entries are 32-bit and relative, because absolute ones force text
 *    relocations in a shared object;
 *  - the word is always in a register: an immediate would make the probe's
 *    encoding depend on the value.
 *
 * Context: hot and thread-safe.  The lookup is in vm/fault.h.
 */
#ifndef FL_SITE_H
#define FL_SITE_H

#include <stddef.h>
#include <stdint.h>

#include "faultline/cursor.h"

#ifndef __x86_64__
#error "fault sites are written for x86-64; another architecture needs its own site.h"
#endif

/* One entry of the table; both words are relative to their own address. */
struct fl_site {
	int32_t probe_rel;
	int32_t restart_rel;
	uint32_t bump_reg;	/* hardware number: rax 0, rcx 1, ... r15 15 */
};

/*
 * The table of the module this header is compiled into.  The linker makes the
 * two symbols because the section's name is a C identifier; hidden, so that
 * each module sees its own, and weak, because a module need not have sites.
 */
extern const struct fl_site __start_fl_sites[]
	__attribute__((weak, visibility("hidden")));
extern const struct fl_site __stop_fl_sites[]
	__attribute__((weak, visibility("hidden")));

static inline uintptr_t fl_site_probe(const struct fl_site *s)
{
	return (uintptr_t)&s->probe_rel + (uintptr_t)(intptr_t)s->probe_rel;
}

static inline uintptr_t fl_site_restart(const struct fl_site *s)
{
	return (uintptr_t)&s->restart_rel + (uintptr_t)(intptr_t)s->restart_rel;
}

/*
 * The register number is worked out by the assembler from the operand's name,
 * so the compiler stays free to choose the register.
 */
#define FL_SITE_ENTRY							\
	".pushsection fl_sites, \"a\", @progbits\n\t"			\
	".balign 4\n\t"							\
	".long 772b - .\n\t"						\
	".long 771b - .\n\t"						\
	".set .Lfl_found, -1\n\t"					\
	".set .Lfl_next, 0\n\t"						\
	".irp fl_r,rax,rcx,rdx,rbx,rsp,rbp,rsi,rdi,"			\
	"r8,r9,r10,r11,r12,r13,r14,r15\n\t"				\
	".ifc %q[bump],%%\\fl_r\n\t"					\
	".set .Lfl_found, .Lfl_next\n\t"				\
	".endif\n\t"							\
	".set .Lfl_next, .Lfl_next + 1\n\t"				\
	".endr\n\t"							\
	".if .Lfl_found < 0\n\t"					\
	".error \"fault site: bump is in no known register\"\n\t"	\
	".endif\n\t"							\
	".long .Lfl_found\n\t"						\
	".popsection\n\t"

#define FL_SITE_TEXT(align_insn)					\
	"771:\n\t"							\
	"mov %[bump], %[p]\n\t"						\
	"sub %[bytes], %[p]\n\t"					\
	align_insn							\
	"772:\n\t"							\
	"mov %[word], (%[p])\n\t"

#define FL_SITE_ASM(entry, p_, bump_, bytes_, align_, word_)		\
	do {								\
		if ((align_) <= FL_GRAIN_BYTES)				\
			__asm__ volatile(FL_SITE_TEXT("") entry		\
				: [p] "=&r"(p_), [bump] "+&r"(bump_)	\
				: [bytes] "er"((size_t)(bytes_)),	\
				  [word] "r"((uint64_t)(word_))		\
				: "memory", "cc");			\
		else							\
			__asm__ volatile(				\
				FL_SITE_TEXT("and %[mask], %[p]\n\t")	\
				entry					\
				: [p] "=&r"(p_), [bump] "+&r"(bump_)	\
				: [bytes] "er"((size_t)(bytes_)),	\
				  [mask] "er"(-(intptr_t)(align_)),	\
				  [word] "r"((uint64_t)(word_))		\
				: "memory", "cc");			\
	} while (0)

/*
 * fl_site_new: Allocate @bytes and store @word as the object's first word; the
 * store is the end-of-block check.
 *
 * @bump:  in-out, start of the newest object; multiple of 8.
 * @bytes: already rounded by fl_object_bytes; at most 65,536.
 * @align: a constant power of two, 8 to FL_ALIGN_MAX.
 * Returns the object.  No compare, no branch; four instructions, five when
 * align is above 8.
 */
fl_hot char *fl_site_new(char **bump, size_t bytes, size_t align, uint64_t word)
{
	char *p, *b = *bump;

	FL_SITE_ASM(FL_SITE_ENTRY, p, b, bytes, align, word);
	*bump = p;
	return p;
}

/*
 * FL_SITE_NEW: The same for a size (0 to FL_SITE_BYTES_MAX, not rounded) and an
 * alignment that are constant expressions.  They are constants to the compiler
 * even where it inlines but folds nothing (-O0), so that the site is the bare
 * instructions at every level; a size that would jump over the guard does not
 * compile.
 */
#define FL_SITE_NEW(bump, bytes, align, word)				\
	__extension__ ({						\
		char **const fl_bump = (bump), *fl_b = *fl_bump, *fl_p;	\
									\
		_Static_assert((bytes) <= FL_SITE_BYTES_MAX,		\
			       "an object this large jumps over the guard"); \
		FL_SITE_ASM(FL_SITE_ENTRY, fl_p, fl_b,			\
			    (bytes) < FL_GRAIN_BYTES ? FL_GRAIN_BYTES :	\
			    ((size_t)(bytes) + FL_GRAIN_BYTES - 1) &	\
			    ~(size_t)(FL_GRAIN_BYTES - 1), align, word); \
		*fl_bump = fl_p;					\
		fl_p;							\
	})

/*
 * fl_elastic_new: The same for a strategy that makes room below the block for
 * the object in hand and moves on to another block for the next:
 *
 *	restart:  sub  bytes, bump
 *	         (and  -align, bump)
 *	          mov  bump, p
 *	probe:    mov  word, (p)
 *
 * At the probe p has the object's address, and so a handler may map what is there
 * and put whatever it likes into bump: the store goes on where it was, and the
 * next allocation starts from the new bump.  Going back to the restart is for
 * whoever puts a top there, because bump has been written.
 */
#define FL_ELASTIC_TEXT(align_insn)					\
	"771:\n\t"							\
	"sub %[bytes], %[bump]\n\t"					\
	align_insn							\
	"mov %[bump], %[p]\n\t"						\
	"772:\n\t"							\
	"mov %[word], (%[p])\n\t"

fl_hot char *fl_elastic_new(char **bump, size_t bytes, size_t align,
			    uint64_t word)
{
	char *p, *b = *bump;

	if (align <= FL_GRAIN_BYTES)
		__asm__ volatile(FL_ELASTIC_TEXT("") FL_SITE_ENTRY
			: [p] "=&r"(p), [bump] "+&r"(b)
			: [bytes] "er"(bytes), [word] "r"(word)
			: "memory", "cc");
	else
		__asm__ volatile(
			FL_ELASTIC_TEXT("and %[mask], %[bump]\n\t") FL_SITE_ENTRY
			: [p] "=&r"(p), [bump] "+&r"(b)
			: [bytes] "er"(bytes), [mask] "er"(-(intptr_t)align),
			  [word] "r"(word)
			: "memory", "cc");
	*bump = b;
	return p;
}

/*
 * fl_bare_new: The same instructions without a table entry: nobody can ever
 * redirect it.  The floor that fault sites are measured against, so that the
 * floor has the same shape of code as what it is a floor of.
 */
fl_hot char *fl_bare_new(char **bump, size_t bytes, size_t align, uint64_t word)
{
	char *p, *b = *bump;

	FL_SITE_ASM("", p, b, bytes, align, word);
	*bump = p;
	return p;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * faultline/rseq_site.h: the fault site as a restartable sequence, which needs no
 * table of sites.
 *
 * Vocabulary: a "restartable sequence" is a few instructions that the kernel
 * does not let resume once a thread was preempted, moved to another CPU or sent
 * a signal in their middle: it sets the pc to the sequence's "abort" code
 * instead.  A "descriptor" (struct rseq_cs of linux/rseq.h) says where a sequence
 * begins, how long it is, and where its abort code is.  A thread "arms" a
 * sequence by storing the descriptor's address into its rseq area, which the C
 * library registers with the kernel for every thread (glibc 2.35).
 *
 *	restart:  lea  descriptor, p
 *	          mov  p, (armed)
 *	start:    mov  bump, p
 *	          sub  bytes, p
 *	         (and  -align, p)
 *	          mov  word, (p)		the probe
 *
 *	out of line:
 *	          ud1  signature(%rip), bump	never run
 *	abort:    jmp  restart
 *
 * Where a thread arms is the same for all its sequences, so the address is kept
 * in the cursor's limit, which a fault-driven strategy has no other use for.
 *
 * The probe that hits a guard raises SIGSEGV, and before the kernel calls the
 * handler it moves the interrupted pc to abort.  So a handler needs no table: it
 * is told that a site was interrupted by a pc among the module's abort code, and
 * reads in the instruction before it, which the kernel wants for its signature,
 * which register holds bump.  It writes that register and returns, and the program
 * restarts.  Without a fault, after preemption, nobody writes the register, and
 * the sequence restarts with the bump that it had.
 *
 * Rules:
 *  - Those of faultline/site.h.  What lies between start and the probe's end
 *    writes nothing but p, so it is idempotent, as it has to be even when there is
 *    no fault.
 *  - No call and no system call inside: a debug kernel kills for it.
 *  - Every way to start goes through the arming store, because the kernel
 *    disarms at each abort, and whenever it finds a thread outside the sequence
 *    it had armed.
 *  - Nobody steps through it: each step stops the thread, and that aborts it, so
 *    that a thread which is single-stepped makes no progress.  Debuggers set a
 *    breakpoint behind the probe, and continue.
 *  - p carries the descriptor's address, so that arming takes no register more.
 *  - The kernel reads the descriptor of the last sequence a thread armed, much
 *    later perhaps, and kills the thread if it cannot: disarm before the code
 *    goes away (fl_rseq_disarm of vm/rseq.h).
 *
 * Sources: the kernel's kernel/rseq.c, which also names the steps; the signature
 * as the displacement of an instruction that traps is glibc's bits/rseq.h's.
 *
 * Context: hot; on the thread that the cursor's limit belongs to.  On another one,
 * or where no area is registered, the probe faults at a pc that no handler takes.
 */
#ifndef FL_RSEQ_SITE_H
#define FL_RSEQ_SITE_H

#include <stddef.h>
#include <stdint.h>

#include "faultline/cursor.h"

/* ABI: what glibc registers on x86, as the assembler reads it. */
#define FL_RSEQ_SIGNATURE	0x53053053

/*
 * The instruction in front of abort code: ud1 FL_RSEQ_SIGNATURE(%rip), bump.
 * REX.R and ModRM.reg are bump's register (hardware number: rax 0, ... r15 15).
 */
struct fl_rseq_head {
	uint8_t rex, opcode[2], modrm;
	uint32_t signature;
};

#define FL_RSEQ_HEAD_REG(head)						\
	(((head).rex & 4u) << 1 | ((head).modrm >> 3 & 7u))

#ifndef __x86_64__
#error "restartable sites are written for x86-64"
#endif

/* The abort code of the module this header is compiled into (cf. site.h). */
extern const char __start_fl_rseq_aborts[]
	__attribute__((weak, visibility("hidden")));
extern const char __stop_fl_rseq_aborts[]
	__attribute__((weak, visibility("hidden")));

/*
 * Descriptors hold addresses, so they lie where the dynamic linker may write
 * when it loads the module, and nobody afterwards.
 */
#define FL_RSEQ_DESCRIPTOR						\
	".pushsection .data.rel.ro.fl_rseq, \"aw\", @progbits\n\t"	\
	".balign 32\n\t"						\
	"770:\n\t"							\
	".long 0, 0\n\t"						\
	".quad 772f, 774f - 772f, 775f\n\t"				\
	".popsection\n\t"

#define FL_RSEQ_TEXT(align_insn)					\
	"771:\n\t"							\
	"lea 770b(%%rip), %[p]\n\t"					\
	"mov %[p], (%[armed])\n\t"					\
	"772:\n\t"							\
	"mov %[bump], %[p]\n\t"						\
	"sub %[bytes], %[p]\n\t"					\
	align_insn							\
	"mov %[word], (%[p])\n\t"					\
	"774:\n\t"

#define FL_RSEQ_ABORT							\
	".pushsection fl_rseq_aborts, \"ax\", @progbits\n\t"		\
	".balign 8\n\t"							\
	"ud1 %c[signature](%%rip), %q[bump]\n\t"			\
	"775:\n\t"							\
	"jmp 771b\n\t"							\
	".popsection\n\t"

#define FL_RSEQ_ASM(align_insn, mask_, p_, bump_, armed_, bytes_, word_) \
	__asm__ volatile(FL_RSEQ_DESCRIPTOR FL_RSEQ_TEXT(align_insn)	\
			 FL_RSEQ_ABORT					\
			 : [p] "=&r"(p_), [bump] "+&r"(bump_)		\
			 : [armed] "r"(armed_),				\
			   [bytes] "er"((size_t)(bytes_)),		\
			   [mask] "er"(mask_),				\
			   [word] "r"((uint64_t)(word_)),		\
			   [signature] "i"(FL_RSEQ_SIGNATURE)		\
			 : "memory", "cc")

/*
 * fl_rseq_new: Allocate @bytes and store @word as the object's first word; the
 * store is the end-of-block check.  As fl_site_new, with two instructions more.
 *
 * @cursor: bump as there; limit: fl_rseq_armed() of vm/rseq.h, called by the
 *          thread that runs this.
 */
fl_hot char *fl_rseq_new(struct fl_cursor *cursor, size_t bytes, size_t align,
			 uint64_t word)
{
	char *p, *b = cursor->bump;

	if (align <= FL_GRAIN_BYTES)
		FL_RSEQ_ASM("", 0, p, b, cursor->limit, bytes, word);
	else
		FL_RSEQ_ASM("and %[mask], %[p]\n\t", -(intptr_t)align, p, b,
			    cursor->limit, bytes, word);
	cursor->bump = p;
	return p;
}

#endif

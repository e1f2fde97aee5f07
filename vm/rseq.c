/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "faultline/rseq_site.h"
#include "vm/reserve.h"
#include "vm/rseq.h"

/*
 * What glibc exports: where the area lies from the thread pointer, and its size,
 * 0 if it is not registered.  Weak, because another C library has neither.
 */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

/* Fields of the area (linux/rseq.h, struct rseq). */
#define CPU_ID	4
#define RSEQ_CS	8

bool fl_rseq_interrupted(const char *start, const char *end,
			 const struct fl_fault *fault,
			 struct fl_site_address *site)
{
	const uintptr_t pc = fl_fault_pc(fault);
	struct fl_rseq_head head;

	if (pc >= (uintptr_t)end || pc < (uintptr_t)start + sizeof(head))
		return false;
	memcpy(&head, (const void *)(pc - sizeof(head)), sizeof(head));
	if (head.opcode[0] != 0x0f || head.opcode[1] != 0xb9 ||
	    head.signature != FL_RSEQ_SIGNATURE)
		return false;
	*site = (struct fl_site_address){
		.probe = pc, .restart = pc, .bump_reg = FL_RSEQ_HEAD_REG(head),
	};
	return true;
}

char *fl_rseq_armed(void)
{
	char *area;

	if (!&__rseq_size || !__rseq_size)
		return NULL;
	/* The thread pointer's own copy is where it points (x86-64 TLS ABI). */
	__asm__("mov %%fs:0, %0" : "=r"(area));
	area += __rseq_offset;
	/* Negative until the kernel has filled it in. */
	if (*(volatile int32_t *)(void *)(area + CPU_ID) < 0)
		return NULL;
	return area + RSEQ_CS;
}

void fl_rseq_disarm(void)
{
	char *armed = fl_rseq_armed();

	if (armed)
		*(volatile uint64_t *)(void *)armed = 0;
}

/* A closed page below an open one, and what became of a store into it. */
struct trial {
	struct fl_fault_range range;
	bool moved;
};

static bool answer(void *owner, const struct fl_fault *fault)
{
	struct trial *trial = owner;
	struct fl_site_address site;

	if (fl_rseq_interrupted(__start_fl_rseq_aborts, __stop_fl_rseq_aborts,
				fault, &site)) {
		trial->moved = true;
		fl_fault_redirect(fault, &site, trial->range.base +
				  2 * trial->range.bytes);
		return true;
	}
	/* Let the store go through, so that the refusal can be told. */
	return !fl_protect(trial->range.base, trial->range.bytes, FL_OPEN);
}

static int try_sequence(bool *works)
{
	const size_t page = fl_page_bytes();
	struct trial trial = { .moved = false };
	struct fl_cursor cursor = { .limit = fl_rseq_armed() };
	char *base, *object;
	int err = fl_reserve(2 * page, FL_OPEN, &base);

	if (err)
		return err;
	err = fl_protect(base, page, FL_CLOSED);
	if (err)
		goto release;
	trial.range = (struct fl_fault_range){
		.base = base, .bytes = page, .handle = answer, .owner = &trial,
	};
	err = fl_fault_watch(&trial.range);
	if (err)
		goto release;
	cursor.bump = base + page;
	object = fl_rseq_new(&cursor, 64, FL_GRAIN_BYTES, 1);
	*works = trial.moved && object == base + 2 * page - 64;
	fl_rseq_disarm();
	fl_fault_unwatch(&trial.range);

release:
	fl_release(base, 2 * page);
	return err;
}

int fl_rseq_probe(char *reason, size_t reason_bytes)
{
	bool works = false;
	int err;

	if (!&__rseq_size) {
		snprintf(reason, reason_bytes,
			 "the C library registers no rseq area (glibc does since 2.35)");
		return -ENOSYS;
	}
	if (!fl_rseq_armed()) {
		snprintf(reason, reason_bytes,
			 "no rseq area is registered: this kernel has no rseq, or GLIBC_TUNABLES says glibc.pthread.rseq=0");
		return -ENOSYS;
	}
	err = try_sequence(&works);
	if (err)
		snprintf(reason, reason_bytes,
			 "no page to try a restartable sequence on: %s",
			 strerror(-err));
	else if (!works)
		snprintf(reason, reason_bytes,
			 "this kernel does not move the pc of a restartable sequence to its abort code before it delivers a signal");
	return err ? err : works ? 0 : -ENOSYS;
}

/* SPDX-License-Identifier: MIT */
#include <cpuid.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "faultline/compat.h"
#include "vm/fault.h"
#include "vm/fault_resume.h"
#include "vm/private_fault_resume.h"
#include "vm/reserve.h"

#define FROM_GREGS(member)						\
	(offsetof(ucontext_t, member) - FL_CONTEXT_GREGS)
#define FROM_GREGS_OF(reg)						\
	FROM_GREGS(uc_mcontext.gregs[reg])

_Static_assert(offsetof(siginfo_t, si_addr) == FL_INFO_ADDR &&
	       offsetof(ucontext_t, uc_stack.ss_sp) == FL_CONTEXT_STACK,
	       "vm/fault_entry.S has other offsets than siginfo_t and ucontext_t");
_Static_assert(FROM_GREGS_OF(REG_R8) == 0 && FROM_GREGS_OF(REG_RCX) == 14 * 8 &&
	       FROM_GREGS_OF(REG_RSP) == FL_GREGS_RSP &&
	       FROM_GREGS_OF(REG_RIP) == FL_GREGS_RIP &&
	       FROM_GREGS_OF(REG_EFL) == FL_GREGS_EFL &&
	       FROM_GREGS_OF(REG_CSGSFS) == FL_GREGS_CS &&
	       FROM_GREGS_OF(REG_CSGSFS) + 6 == FL_GREGS_SS &&
	       FROM_GREGS_OF(REG_ERR) == FL_GREGS_ERR &&
	       FROM_GREGS(uc_mcontext.fpregs) == FL_GREGS_FPREGS,
	       "vm/fault_entry.S has other offsets than ucontext_t");

/* The 512 bytes of FXSAVE end in what the kernel says of the rest. */
#define SW_BYTES_AT	(512 - sizeof(struct _fpx_sw_bytes))

_Static_assert(offsetof(struct _fpx_sw_bytes, magic1) == 0 &&
	       SW_BYTES_AT + offsetof(struct _fpx_sw_bytes, xstate_bv) ==
	       FL_XSTATE_FEATURES,
	       "vm/fault_entry.S has other offsets than struct _fpx_sw_bytes");

#define EFLAGS_NT	(1u << 14)
#define XFEATURE_PKRU	(1u << 9)

static uint64_t word_at(const void *base, size_t offset)
{
	uint64_t word;

	memcpy(&word, (const char *)base + offset, sizeof(word));
	return word;
}

static uint32_t current_pkru(void)
{
	uint32_t value, zero;

	/* rdpkru, which old assemblers do not know */
	__asm__ volatile(".byte 0x0f, 0x01, 0xee"
			 : "=a" (value), "=d" (zero) : "c" (0));
	return value;
}

/*
 * With other rights to memory than the handler's, the frame might become
 * unreadable in the middle of restoring it.
 */
static bool other_pkru(const void *xstate)
{
	static unsigned pkru_at;
	unsigned at = __atomic_load_n(&pkru_at, __ATOMIC_RELAXED);
	unsigned eax, ecx, edx;
	uint32_t wanted = 0;

	if (!at) {
		__cpuid_count(0xd, 9, eax, at, ecx, edx);
		__atomic_store_n(&pkru_at, at, __ATOMIC_RELAXED);
	}
	/* The header behind the 512 bytes says what is in its initial state. */
	if (word_at(xstate, 512) & XFEATURE_PKRU)
		wanted = (uint32_t)word_at(xstate, at);
	return wanted != current_pkru();
}

static bool other_segments(uint64_t csgsfs)
{
	uint16_t cs, ss;

	__asm__("mov %%cs, %0" : "=r" (cs));
	__asm__("mov %%ss, %0" : "=r" (ss));
	return (uint16_t)csgsfs != cs || (uint16_t)(csgsfs >> 48) != ss;
}

/* Without shadow stacks, or on a CPU that has none, the instruction is a nop. */
static bool has_shadow_stack(void)
{
	uint64_t pointer = 0;

	__asm__("rdsspq %0" : "+r" (pointer));
	return pointer;
}

const char *fl_fault_resume_refusal(const ucontext_t *context)
{
	const greg_t *gregs = context->uc_mcontext.gregs;
	const void *xstate = context->uc_mcontext.fpregs;
	uint64_t features;

	if (!xstate)
		return "the signal frame has no extended state";
	if ((uint32_t)word_at(xstate, SW_BYTES_AT) != FP_XSTATE_MAGIC1)
		return "the extended state of the signal frame is not XSAVE's";
	if (context->uc_stack.ss_flags & (int)SS_AUTODISARM)
		return "the alternate stack has to be armed again (SS_AUTODISARM)";
	/* IRETQ refuses to work under it. */
	if ((uint64_t)gregs[REG_EFL] & EFLAGS_NT)
		return "the program has set the flag NT";
	if (other_segments((uint64_t)gregs[REG_CSGSFS]))
		return "the program uses segments of its own";
	if (has_shadow_stack())
		return "the thread has a shadow stack";
	features = word_at(xstate, FL_XSTATE_FEATURES);
	if (features & XFEATURE_PKRU && other_pkru(xstate))
		return "the program has restricted memory by protection keys";
	return NULL;
}

/* What rt_sigaction(2) takes; the C library hides the last but one. */
struct kernel_action {
	void *handler;
	unsigned long flags;
	const void *trampoline;
	uint64_t mask;
};

void fl_fault_resume_own(int sig)
{
	struct kernel_action action;

	if (syscall(SYS_rt_sigaction, sig, NULL, &action, sizeof(action.mask)) ||
	    action.handler != (void *)(uintptr_t)fl_fault_entry)
		return;
	action.trampoline = fl_fault_trampoline;
	syscall(SYS_rt_sigaction, sig, &action, NULL, sizeof(action.mask));
}

int fl_fault_resume_judge(const struct fl_resume_host *host, char *reason,
			  size_t reason_bytes)
{
	const char *why = NULL;

	if (!host->xsave)
		why = "this CPU, or its kernel, has no XSAVE";
	else if (!host->shadow_error && host->shadow_status & ARCH_SHSTK_SHSTK)
		why = "user shadow stacks are on, and only the kernel may unwind "
		      "them (GLIBC_TUNABLES=glibc.cpu.x86_shstk=off turns them off)";
	else if (host->blocked)
		why = "this thread blocks SIGSEGV";
	if (!why)
		return 0;
	snprintf(reason, reason_bytes, "no return in user space: %s", why);
	return -ENOTSUP;
}

static void ask_host(struct fl_resume_host *host)
{
	unsigned eax, ebx, ecx = 0, edx;
	sigset_t mask;

	*host = (struct fl_resume_host){ 0 };
	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx))
		host->xsave = ecx & bit_OSXSAVE;
	if (syscall(SYS_arch_prctl, ARCH_SHSTK_STATUS, &host->shadow_status))
		host->shadow_error = errno;
	if (!pthread_sigmask(SIG_SETMASK, NULL, &mask))
		host->blocked = sigismember(&mask, SIGSEGV);
}

struct trial {
	struct fl_fault_range range;
	bool user_return;
	const char *refusal;
};

static bool trial_handle(void *owner, const struct fl_fault *fault)
{
	struct trial *trial = owner;

	trial->user_return = fault->user_return;
	trial->refusal = fl_fault_resume_refusal(fault->context);
	return !fl_protect(trial->range.base, trial->range.bytes, FL_OPEN);
}

int fl_fault_resume_probe(char *reason, size_t reason_bytes)
{
	struct trial trial = {
		.range = {
			.bytes = fl_page_bytes(), .handle = trial_handle,
			.owner = &trial, .user_return = true,
		},
	};
	struct fl_resume_host host;
	int err;

	ask_host(&host);
	err = fl_fault_resume_judge(&host, reason, reason_bytes);
	if (err)
		return err;
	err = fl_reserve(trial.range.bytes, FL_CLOSED, &trial.range.base);
	if (err)
		goto explain;
	err = fl_fault_watch(&trial.range);
	if (err)
		goto release;
	*(volatile char *)trial.range.base = 1;
	__asm__ volatile("" ::: "memory");
	fl_fault_unwatch(&trial.range);
	if (!trial.user_return) {
		err = -ENOTSUP;
		if (!trial.refusal)
			trial.refusal = "SIGSEGV does not come straight from the kernel: "
				"a sanitizer's run time or somebody else's handler stands between";
	}
release:
	fl_release(trial.range.base, trial.range.bytes);
explain:
	if (err)
		snprintf(reason, reason_bytes, "no return in user space: %s",
			 trial.refusal ? trial.refusal : strerror(-err));
	return err;
}

/* SPDX-License-Identifier: MIT */
/*
 * faultline/ticks.h: the clock, as raw as it can be read.
 *
 * Vocabulary: a "tick" is one unit of whatever counter fl_ticks() reads; how
 * many nanoseconds it lasts is the harness's to calibrate (harness/clock.h).
 * The "source" is that counter.
 *
 * The source depends on the CPU alone, so the harness and every module, which
 * decide separately, decide alike: the time stamp counter where it runs at a
 * constant rate in all power states ("invariant TSC") and RDTSCP exists, the
 * kernel's CLOCK_MONOTONIC_RAW in nanoseconds otherwise.
 *
 * Context: inline and thread-safe, usable in a module that links nothing but
 * libc.  Async-signal-safe.  Two readings may be subtracted only if the thread
 * stayed on one CPU in between.
 */
#ifndef FL_TICKS_H
#define FL_TICKS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#ifdef __x86_64__
#include <cpuid.h>
#endif

enum fl_ticks_source {
	FL_TICKS_UNDECIDED,
	FL_TICKS_TSC,
	FL_TICKS_MONOTONIC_RAW,
};

/* fl_ticks_have_tsc: Ask the CPU.  Cost: 10 us and more in a guest. */
static inline bool fl_ticks_have_tsc(void)
{
#ifdef __x86_64__
	unsigned int a, b, c, d;

	/* Leaf 0x80000001: RDTSCP; 0x80000007: invariant TSC (Intel SDM vol. 3
	 * "Invariant TSC"; AMD APM vol. 3 appendix E.4). */
	return __get_cpuid(0x80000001, &a, &b, &c, &d) && d >> 27 & 1 &&
	       __get_cpuid(0x80000007, &a, &b, &c, &d) && d >> 8 & 1;
#else
	return false;
#endif
}

/*
 * fl_ticks_source: What fl_ticks() reads.
 *
 * The answer is kept, because CPUID traps in a guest.  Each translation unit
 * has its own copy; two threads that both find it missing store the same value.
 */
static inline enum fl_ticks_source fl_ticks_source(void)
{
	static int kept;
	int source = __atomic_load_n(&kept, __ATOMIC_RELAXED);

	if (__builtin_expect(source == FL_TICKS_UNDECIDED, 0)) {
		source = fl_ticks_have_tsc() ? FL_TICKS_TSC :
					       FL_TICKS_MONOTONIC_RAW;
		__atomic_store_n(&kept, source, __ATOMIC_RELAXED);
	}
	return (enum fl_ticks_source)source;
}

/* fl_ticks_raw_ns: CLOCK_MONOTONIC_RAW in ns.  Cost: ~25 ns through the vDSO. */
static inline uint64_t fl_ticks_raw_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/*
 * fl_ticks: Read the counter, after everything before it in program order and
 * before everything behind it.  One function serves as start and as stop.
 *
 * RDTSCP waits until all earlier instructions have executed and all earlier
 * loads are done.  At the stop this is what makes the timed work complete; at
 * the start it keeps earlier work out.  Plain RDTSC could be read early.
 *
 * LFENCE holds later instructions back until the counter has been read, which
 * RDTSCP does not.  At the start it keeps the timed store, and the fault it may
 * raise, behind the reading; at the stop it keeps what follows out of the way
 * of the reading.  (On AMD it serialises because Linux asks for it at boot.)
 *
 * There is no MFENCE: a store that was executed but sits in the store buffer is
 * done as far as the program is concerned, and a store that faults does so
 * before RDTSCP may execute.  The memory clobber says all this to the compiler.
 *
 * Cost: about 20 ns, the first call in each translation unit 10 us.  The pair's
 * own cost is part of what a pair measures.
 */
static inline uint64_t fl_ticks(void)
{
#ifdef __x86_64__
	if (__builtin_expect(fl_ticks_source() == FL_TICKS_TSC, 1)) {
		uint32_t lo, hi;

		__asm__ volatile("rdtscp\n\t"
				 "lfence"
				 : "=a" (lo), "=d" (hi) : : "rcx", "memory");
		return (uint64_t)hi << 32 | lo;
	}
#endif
	return fl_ticks_raw_ns();
}

#endif

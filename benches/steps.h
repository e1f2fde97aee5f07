/* SPDX-License-Identifier: MIT */
/*
 * benches/steps.h: how many instructions something takes, counted by running it step
 * by step: a signal (SIGTRAP) for each, by the trap flag.  Exact, on hosts without
 * counters as well, and about 1 us an instruction.
 *
 * Context: cold; one thread at a time.
 */
#ifndef FL_BENCHES_STEPS_H
#define FL_BENCHES_STEPS_H

#include <stdint.h>

/*
 * steps_of: Instructions of run(of), its call and what turns the flag on and off
 * included: which leaves a difference of two such numbers alone.  System calls count
 * as one.  0 where the flag is ignored, as by some emulators, or with a debugger.
 */
uint64_t steps_of(void (*run)(void *of), void *of);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * harness/programs.h: programs of many regions, drawn from a seed: what regions go
 * through in real programs, each reduced to what it shows about pages.
 *
 * They are run by the kernel "nest" of the modules, as compiled words
 * (faultline/program.h).
 * Context: cold.
 */
#ifndef FL_PROGRAMS_H
#define FL_PROGRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fl_program {
	uint32_t *words;	/* malloced; the caller's */
	uint64_t nr_words;
	uint32_t nr_slots;
};

/* fl_program_name: Those that are made here, from 0; NULL: no more. */
const char *fl_program_name(size_t i);

/* fl_program_known: Is @kernel one of them? */
bool fl_program_known(const char *kernel);

/* fl_program_make: Returns 0, -EINVAL (not known here), or -ENOMEM. */
int fl_program_make(const char *kernel, uint64_t seed, struct fl_program *out);

/*
 * splitmix64 (Steele, Lea & Flood, OOPSLA 2014): small, seedable, portable.
 * fl_random_unit: uniform in (0, 1].
 * fl_random_mix: 8 to 4,096 bytes, log-normal: median 32, sigma 0.9.
 */
uint64_t fl_random_next(uint64_t *state);
double fl_random_unit(uint64_t *state);
uint16_t fl_random_mix(uint64_t *state);

#endif

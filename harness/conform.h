/* SPDX-License-Identifier: MIT */
/*
 * harness/conform.h: does a strategy keep the contract of faultline/strategy.h?
 *
 * Vocabulary: a "check" is one promise of the contract, tried on one
 * configuration, which is a strategy with values for its tunables.  A "trial"
 * is a check's run in a process of its own, so that a crash or a hang is a
 * result and not the end of the suite.
 *
 * The suite is the same for every module; nothing in it names a strategy.  What
 * it does depends on the seed alone, and its messages hold no addresses, so the
 * same seed says the same words.
 *
 * Context: cold; the caller has one thread.
 */
#ifndef FL_CONFORM_H
#define FL_CONFORM_H

#include <stddef.h>
#include <stdint.h>

#include "faultline/strategy.h"

#define FL_CHECK_TEXT_BYTES	4096
#define FL_CONFORM_OPS_DEFAULT	2000u
#define FL_CONFORM_SECONDS_DEFAULT	30u

struct fl_conform {
	const struct fl_strategy *strategy;
	const uint64_t *values;		/* tunables, in declaration order */
	uint64_t seed;
	uint64_t nr_ops;		/* of the random checks, each */
	unsigned timeout_s;		/* of a check; more under a sanitizer */
};

enum fl_check_verdict {
	FL_CHECK_PASS,
	FL_CHECK_FAIL,
	FL_CHECK_SKIP,		/* does not apply here; the text says why */
};

struct fl_check_result {
	enum fl_check_verdict verdict;
	uint64_t wall_ns;
	char text[FL_CHECK_TEXT_BYTES];	/* the reason; lines after the first
					   are details */
};

struct fl_trial;

struct fl_check {
	const char *name;
	const char *summary;		/* the promise, one line */
	void (*run)(struct fl_trial *trial);
};

/* In the order in which they run. */
extern const struct fl_check fl_checks[];
extern const size_t fl_nr_checks;

/*
 * fl_check_supported: Ask the strategy's probe, in a trial.
 * PASS: supported.  SKIP: this host refuses, with the reason.  FAIL: the probe
 * itself misbehaved.
 */
void fl_check_supported(const struct fl_conform *conform,
			struct fl_check_result *result);

/*
 * fl_check_run: Try one promise on one configuration that is supported.
 * Cost: 1 ms to a second; at most timeout_s, and more for many operations.
 */
void fl_check_run(const struct fl_check *check, const struct fl_conform *conform,
		  struct fl_check_result *result);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * harness/experiments.h: where the experiments are, and what their names mean.
 *
 * An experiment is a folder below experiments/ with a plan.ini (a campaign) or a
 * matrix.ini (the running kernel is asked: `faultline kernel`), and perhaps a
 * claims.ini and a plots.ini.  It is called as its folder, with or without the number in front:
 * "03-break-even", "break-even".
 *
 * Context: cold, MT-safe.
 */
#ifndef FL_EXPERIMENTS_H
#define FL_EXPERIMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "harness/complain.h"

struct fl_experiment {
	char *name;		/* the folder's */
	char *plan;		/* path of its plan.ini or matrix.ini */
	char *plan_name;	/* what the plan calls it; "kernel": a matrix.ini */
	char *claims;		/* path of its claims.ini, or NULL */
	char *plots;		/* path of its plots.ini, or NULL */
	bool matrix;
};

struct fl_experiments {
	struct fl_experiment *list;	/* by name */
	size_t nr;
	char *plots;		/* path of what is asked of every campaign, or NULL */
};

/*
 * fl_experiments_find: All of them: under $FAULTLINE_DATA if that is set, else
 * beside the build, else where they were installed.
 * Returns 0 and *@out, to be released with fl_experiments_free, or with a
 * complaint -ENOENT, -ENOMEM, or -errno.
 */
int fl_experiments_find(struct fl_experiments *out, struct fl_complaint *why);
void fl_experiments_free(struct fl_experiments *experiments);

/*
 * fl_experiments_named: The one called @name, or NULL.
 */
const struct fl_experiment *
fl_experiments_named(const struct fl_experiments *experiments,
		     const char *name);

/* fl_experiments_called: The one whose plan is called @plan_name, or NULL. */
const struct fl_experiment *
fl_experiments_called(const struct fl_experiments *experiments,
		      const char *plan_name);

/* fl_experiments_unknown: Complain that none is called @name: -ENOENT. */
int fl_experiments_unknown(const struct fl_experiments *experiments,
			   const char *name, struct fl_complaint *why);

#endif

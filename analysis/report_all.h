/* SPDX-License-Identifier: MIT */
/*
 * analysis/report_all.h: several campaigns on one page: which strategy when, the
 * claims' verdicts, then each experiment with its question, its plots, its numbers
 * and how to run it again.
 *
 * The page is as analysis/report.h says of one campaign's.  Campaigns are read one
 * after another, so that memory is what the largest takes.
 *
 * Context: cold; starts processes (plots).
 */
#ifndef FL_REPORT_ALL_H
#define FL_REPORT_ALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "analysis/palette.h"
#include "harness/complain.h"

struct fl_report_all {
	const char *const *sources;	/* as of fl_db_sources */
	size_t nr;
	const char *scripts;		/* of plots, or NULL: none are drawn */
	const char *no_plots;		/* why none are drawn, or NULL */
	const struct fl_palette *palette;
	const char *folder;		/* where plots go: FOLDER/EXPERIMENT */
	bool png, pdf;
	bool unlike;			/* put unlike hosts together */
};

/*
 * fl_report_all_html: The page.
 * Returns 0, or with a complaint -EXDEV (unlike hosts), -EINVAL (two campaigns of
 * one experiment, a claim that makes no sense), -ENOMEM, or as fl_results_load,
 * fl_plots_make.  Errors of writing stay in @to.
 */
int fl_report_all_html(FILE *to, const struct fl_report_all *all,
		       struct fl_complaint *why);

#endif

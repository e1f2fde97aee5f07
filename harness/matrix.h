/* SPDX-License-Identifier: MIT */
/*
 * harness/matrix.h: what each way to make memory fault can do on the running
 * kernel, found out by doing it.
 *
 * Vocabulary: a "mechanism" makes pages fault on purpose; pages that it makes
 * fault are a "trap".  A "property" is a question about mechanisms.  A "cell" is
 * one property of one mechanism, and holds what an experiment said.  Each
 * experiment has a process of its own, so that what it maps, installs, gives up
 * or dies of stays there.
 *
 * Nothing in a cell comes from a table: a verdict is what happened.  What is
 * written down here are the questions, and what the answer of a working trap
 * looks like.
 *
 * Context: cold; one thread.
 */
#ifndef FL_MATRIX_H
#define FL_MATRIX_H

#include <stdbool.h>
#include <stddef.h>

#include "harness/complain.h"

enum fl_verdict {
	FL_CELL_FAILED,		/* the experiment itself went wrong */
	FL_CELL_YES,
	FL_CELL_NO,
	FL_CELL_NUMBER,
	FL_CELL_REFUSED,	/* the kernel said no, with err */
	FL_CELL_ABSENT,		/* this kernel does not have the mechanism */
	FL_CELL_NOT_TRIED,
};

struct fl_cell {
	enum fl_verdict verdict;
	int err;		/* errno of FL_CELL_REFUSED and _ABSENT, or 0 */
	double value;		/* of FL_CELL_NUMBER */
	char word[16];		/* how, where "yes" is not all; or empty */
	char detail[320];	/* one line, never empty */
};

/*
 * fl_cell_set, fl_cell_number, fl_cell_refused: Fill a cell.  @err: -errno.
 * fl_cell_yes: with the word that says how.
 */
void fl_cell_set(struct fl_cell *cell, enum fl_verdict verdict,
		 const char *format, ...) __attribute__((format(printf, 3, 4)));
void fl_cell_yes(struct fl_cell *cell, const char *word, const char *format,
		 ...) __attribute__((format(printf, 3, 4)));
void fl_cell_number(struct fl_cell *cell, double value, const char *format,
		    ...) __attribute__((format(printf, 3, 4)));
void fl_cell_refused(struct fl_cell *cell, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* fl_cell_unforked: The experiment wants a process more, and fork says @err, -errno. */
void fl_cell_unforked(struct fl_cell *cell, int err);

/* fl_cell_add: Say more, behind what the detail says already. */
void fl_cell_add(struct fl_cell *cell, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* "yes", "no", "number", "refused", "absent", "not-tried", "failed". */
const char *fl_verdict_name(enum fl_verdict verdict);

struct fl_mechanism;		/* harness/matrix_trap.h */

struct fl_property {
	const char *name;	/* "vmas-per-guard" */
	const char *title;	/* of its column */
	unsigned table;		/* 0: what it can do; 1: what it costs */
	const char *what;	/* the question, one line */
	/*
	 * The experiment, in a process of its own, which it need not tidy.
	 * Fills the cell.
	 */
	void (*run)(const struct fl_mechanism *mechanism,
		    const struct fl_property *property, struct fl_cell *cell);
	int arg;		/* run's business */
};

extern const struct fl_mechanism *const fl_mechanisms[];
extern const size_t fl_nr_mechanisms;
extern const struct fl_property fl_properties[];
extern const size_t fl_nr_properties;

const char *fl_mechanism_name(const struct fl_mechanism *mechanism);
const char *fl_mechanism_what(const struct fl_mechanism *mechanism);
const char *fl_mechanism_since(const struct fl_mechanism *mechanism);

/* The index of the property of this name; aborts if there is none. */
size_t fl_property_named(const char *name);

struct fl_matrix {
	const bool *wanted;	/* mechanisms; NULL: all */
	bool try_sysctl;	/* change vm.overcommit_memory for a moment */
	int overcommit;		/* vm.overcommit_memory as it was found */
	/* fl_nr_mechanisms rows of fl_nr_properties */
	struct fl_cell *cells;
	/* Called before each cell; may be NULL. */
	void (*progress)(void *arg, size_t done, size_t total,
			 const char *mechanism, const char *property);
	void *arg;
};

/* The cell of mechanism @m and property @p. */
struct fl_cell *fl_matrix_cell(const struct fl_matrix *matrix, size_t m,
			       size_t p);

/*
 * fl_matrix_run: Make all experiments, of the mechanisms wanted.
 * @matrix: caller-owned, with cells for all mechanisms.
 * Returns 0; -EINTR after SIGINT, SIGTERM or SIGHUP; or -errno with @why: the
 * sysctl could not be set or, which is worse, not be restored.
 * Cost: some 10 ms a cell.  Sets handlers for those signals, and restores them.
 */
int fl_matrix_run(struct fl_matrix *matrix, struct fl_complaint *why);

/* The conclusions that are drawn from the cells: "N5", "N9". */
#define FL_CONCLUSIONS	2
extern const char *const fl_conclusion_names[FL_CONCLUSIONS];

/* Conclusion @i in words, to be freed; NULL without memory. */
char *fl_matrix_conclude(const struct fl_matrix *matrix, size_t i);

#endif

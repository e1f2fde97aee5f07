/* SPDX-License-Identifier: MIT */
/*
 * harness/plan_read.h: what the files that read a plan share.  For plan*.c alone;
 * harness/plan.h is the way in.
 *
 *	plan.c		campaign, arms, profiles
 *	plan_read.c	values of keys, and what is wrong with them
 *	plan_cell.c	[cell NAME] of strategies
 *	plan_bench.c	[cell NAME] of benches
 *
 * Functions that can fail return 0, or r->err with the complaint in r->why.
 */
#ifndef FL_PLAN_READ_H
#define FL_PLAN_READ_H

#include "harness/keyfile.h"
#include "harness/module_load.h"
#include "harness/plan.h"

#define FL_PLAN_LIST_MAX	32u
#define FL_PLAN_BLOCKS_MAX	10000u

/* A trace that several cells share is read once. */
struct fl_plan_trace {
	char *path;
	char sha256[FL_DIGEST_HEX_BYTES];
	uint64_t nr_allocs;
	struct fl_plan_trace *next;
};

struct fl_plan_reader {
	struct fl_keyfile file;
	struct fl_complaint *why;
	int err;
	struct fl_module *modules;	/* of each arm that doubles none, loaded */
	unsigned *set_lines;		/* of each arm's settings */
	struct fl_plan_trace *traces;
};

#define fl_plan_wrong(r, line, ...) \
	((r)->err = fl_keyfile_wrong(&(r)->file, line, (r)->why, __VA_ARGS__))

int fl_plan_no_memory(struct fl_plan_reader *r);

/* What somebody else complained of in r->why, with the place in front. */
int fl_plan_wrong_because(struct fl_plan_reader *r, unsigned line,
			  const char *where, int err);

/* One element more; NULL without memory, and @array as it was. */
void *fl_plan_grow(void *array, size_t nr, size_t bytes);

/* A key's number, with its range; @def where there is no key. */
int fl_plan_number(struct fl_plan_reader *r, const struct fl_section *s,
		   const char *name, bool quick, uint64_t low, uint64_t high,
		   uint64_t def, uint64_t *out);

/* A key's word as its index among @choices. */
int fl_plan_choice(struct fl_plan_reader *r, const struct fl_section *s,
		   const char *name, const char *const *choices, int def,
		   int *out);

/* The words of a list.  Release with free(copy), also after a failure. */
struct fl_plan_list {
	char *copy;
	char *item[FL_PLAN_LIST_MAX + 1];	/* NULL-terminated */
	size_t nr;
};

/* fl_plan_list: The words of @k's value; with NULL, of @def. */
int fl_plan_list(struct fl_plan_reader *r, const struct fl_key *k,
		 const char *def, struct fl_plan_list *list);

/* @path as seen from here, when it is written as seen from the plan. */
char *fl_plan_beside(const struct fl_plan_reader *r, const char *path);

int fl_plan_find_arm(struct fl_plan_reader *r, const struct fl_plan *plan,
		     unsigned line, const char *name, uint32_t *out);

/* fl_plan_sets: Does @settings (may be NULL) set the tunable @name? */
bool fl_plan_sets(const char *settings, const char *name);

/*
 * fl_plan_new_cell: One cell more, with what cells of both kinds have; or NULL.
 * It is in the plan at once, and freed with it.
 */
struct fl_plan_cell *fl_plan_new_cell(struct fl_plan_reader *r,
				      const struct fl_section *s,
				      struct fl_plan *plan);

/*
 * fl_plan_check_parts: When cell->arms is known: nobody without the arm it
 * doubles, somebody, and the baseline.
 */
int fl_plan_check_parts(struct fl_plan_reader *r, const struct fl_section *s,
			struct fl_plan *plan, struct fl_plan_cell *cell);

/*
 * The cells of a section, one for each combination of levels: of strategies; of
 * a bench.
 */
int fl_plan_make_cells(struct fl_plan_reader *r, const struct fl_section *s,
		       struct fl_plan *plan);
int fl_plan_make_bench_cells(struct fl_plan_reader *r,
			     const struct fl_section *s, struct fl_plan *plan);

#endif

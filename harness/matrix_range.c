/* SPDX-License-Identifier: MIT */
/*
 * Does the mechanism work in a range of 16 TiB, of each kind, under each
 * overcommit policy?  A page in the middle is armed and stored to.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/userfaultfd.h>

#include "harness/conform_check.h"
#include "harness/matrix_trap.h"

/* So much is opened around the page, where the range is closed. */
#define OPENED_PAGES	16u

/*
 * The operations that supply a page ask for less than an access does.  Say
 * whether one arrives in a range that is closed to the program.
 */
static void try_supply(struct fl_trap *t, char *page, struct fl_cell *cell)
{
	unsigned char there;
	int err;

	if (!t->m->resolve || t->m->mode & UFFDIO_REGISTER_MODE_WP)
		return;
	err = t->m->resolve(t, page);
	if (!err)
		err = fl_protect(page, fl_page_bytes(), FL_OPEN);
	if (!err)
		err = fl_trap_peek(page, &there, 1);
	if (err)
		fl_cell_add(cell, "; it cannot be supplied with a page either (%s)",
			    strerrorname_np(-err));
	else if (fl_trap_present(page) == 1 && there == FL_TRAP_FILL)
		fl_cell_add(cell, "; but it can be supplied with a page, which is there once it is opened");
}

static void try_giant(const struct fl_mechanism *m, int how,
		      struct fl_cell *cell)
{
	const enum fl_access access = how == FL_GIANT_OPEN ? FL_OPEN :
							     FL_CLOSED;
	const size_t around = OPENED_PAGES * fl_page_bytes();
	struct fl_trap *t;
	char text[160], *page;

	t = fl_trap_open(m, FL_RESERVE_BYTES_MAX, access, cell);
	if (!t && cell->err == ENOMEM && fl_trial_build() == FL_BUILD_TSAN)
		fl_cell_set(cell, FL_CELL_NOT_TRIED,
			    "ThreadSanitizer leaves a process too few addresses");
	if (!t)
		return;
	page = t->base + t->bytes / 2;
	t->closed = how == FL_GIANT_CLOSED;
	if (!fl_trap_attach(t, cell) ||
	    (how == FL_GIANT_OPENED &&
	     !fl_trap_step(cell, fl_protect(page - around / 2, around, FL_OPEN),
			   "opening a part of it")) ||
	    !fl_trap_arm(t, page, cell))
		goto close;
	fl_trap_store(t, page);
	if (!fl_trap_fired(t, page, text)) {
		fl_cell_set(cell, FL_CELL_NO, "%s", text);
		if (how == FL_GIANT_CLOSED)
			try_supply(t, page, cell);
	} else if (how == FL_GIANT_OPEN && m->reach) {
		m->reach(t, page, cell);
	} else {
		fl_cell_set(cell, FL_CELL_YES, "%s", text);
	}
close:
	fl_trap_close(t);
}

void fl_ask_giant(const struct fl_mechanism *m, const struct fl_property *p,
		  struct fl_cell *cell)
{
	try_giant(m, p->arg, cell);
}

/*
 * Where more is promised already than the policy allows, it refuses the memory
 * that an experiment needs beside the range, too, and so does any program.
 */
static void try_accounted(const struct fl_mechanism *m, int how,
			  struct fl_cell *cell)
{
	try_giant(m, how, cell);
	if (cell->verdict == FL_CELL_FAILED && cell->err == ENOMEM)
		cell->verdict = FL_CELL_REFUSED;
}

/*
 * The policy decides about mappings that are open; a closed one costs nothing
 * until parts of it are opened.  So where the first is refused the second is
 * tried.
 */
void fl_ask_overcommit(const struct fl_mechanism *m,
		       const struct fl_property *p, struct fl_cell *cell)
{
	struct fl_cell opened;

	(void)p;
	try_accounted(m, FL_GIANT_OPEN, cell);
	if (cell->verdict == FL_CELL_YES || cell->verdict == FL_CELL_ABSENT) {
		fl_cell_add(cell, "; in a range mapped read-write");
		return;
	}
	memset(&opened, 0, sizeof(opened));
	try_accounted(m, FL_GIANT_OPENED, &opened);
	if (opened.verdict == FL_CELL_YES) {
		fl_cell_add(&opened, "; in a range mapped PROT_NONE of which a part was opened; otherwise: %s",
			    cell->detail);
		snprintf(opened.word, sizeof(opened.word), "opened");
		*cell = opened;
	}
}

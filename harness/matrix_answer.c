/* SPDX-License-Identifier: MIT */
/*
 * Who is told of the store, when, with which privilege, and can it be sent
 * elsewhere?
 */
#include <grp.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "harness/matrix_trap.h"

#define HOLD_US		5000u	/* time for anything to go on that can */
#define NR_WAKES	3u

void fl_ask_synchronous(const struct fl_mechanism *m,
			const struct fl_property *p, struct fl_cell *cell)
{
	const int storer = (int)gettid();
	struct fl_trap *t;
	char text[160], *page;
	bool held;

	(void)p;
	t = fl_trap_small(m, &page, cell);
	if (!t)
		return;
	t->hold_us = HOLD_US;
	fl_trap_store(t, page);
	if (!fl_trap_fired(t, page, text)) {
		fl_cell_set(cell, FL_CELL_FAILED, "the trap did not fire: %s",
			    text);
		return;
	}
	if (m->told == FL_TOLD_NOBODY) {
		fl_cell_set(cell, FL_CELL_NO, "%s", text);
		return;
	}
	held = t->seen.step == 1;
	if (!held)
		fl_cell_set(cell, FL_CELL_NO,
			    "the storing thread had gone on when the notice came");
	else if (t->seen.tid == storer)
		fl_cell_yes(cell, "signal",
			    "a signal on the storing thread, before its next instruction");
	else
		fl_cell_yes(cell, "held",
			    "another thread is told; %u us later the storing thread still slept in its store%s",
			    HOLD_US, m->told == FL_TOLD_BOTH ?
			    ", and then took the signal there" : "");
}

static bool is_within(const char *object, const char *page)
{
	return object >= page && object < page + fl_page_bytes();
}

/* What the trap did to the store that it did not send elsewhere. */
static void explain_stay(const struct fl_trap *t, const char *page,
			 struct fl_cell *cell)
{
	uint64_t word = 0;

	if (!is_within(t->seen.landed, page) ||
	    fl_trap_peek(t->seen.landed, &word, sizeof(word)) ||
	    word != FL_TRAP_WORD) {
		fl_cell_set(cell, FL_CELL_FAILED, "the object is nowhere");
	} else if (t->seen.nr_events) {
		unsigned char filled = 0;

		/* The page's first byte is below the object. */
		fl_trap_peek(page, &filled, 1);
		fl_cell_set(cell, FL_CELL_NO,
			    "woken %u times without a page, it faulted again at its address; then it was given %s, and the word is there",
			    t->seen.nr_events - 1, filled == FL_TRAP_FILL ?
			    "a page with other contents" : "its page");
	} else {
		fl_cell_set(cell, FL_CELL_NO,
			    "nobody is told: the store was done where it was going");
	}
}

void fl_ask_redirect(const struct fl_mechanism *m, const struct fl_property *p,
		     struct fl_cell *cell)
{
	struct fl_trap *t;
	char text[160], *page;
	uint64_t word = 0;
	int before, after;

	(void)p;
	t = fl_trap_small(m, &page, cell);
	if (!t)
		return;
	t->nr_wakes = NR_WAKES;
	before = fl_trap_present(page);
	fl_trap_store(t, page);
	after = fl_trap_present(page);
	if (!fl_trap_fired(t, page, text)) {
		fl_cell_set(cell, FL_CELL_FAILED, "the trap did not fire: %s",
			    text);
	} else if (before < 0 || after < 0) {
		fl_cell_set(cell, FL_CELL_FAILED, "counting the guard's pages: %s",
			    strerror(before < 0 ? -before : -after));
	} else if (is_within(t->seen.landed, t->spare)) {
		memcpy(&word, t->seen.landed, sizeof(word));
		if (word != FL_TRAP_WORD) {
			fl_cell_set(cell, FL_CELL_FAILED,
				    "the object is in another block without its word");
		} else if (after > before) {
			fl_cell_set(cell, FL_CELL_NO,
				    "%s; the object is in another block, but the guard has a page now",
				    text);
			snprintf(cell->word, sizeof(cell->word), "maps");
		} else {
			fl_cell_set(cell, FL_CELL_YES,
				    "%s; the object is in another block, and the guard has %s",
				    text, after ? "the page it had" : "no page");
		}
	} else {
		explain_stay(t, page, cell);
	}
}

/* ---- privilege ---------------------------------------------------------- */

#define NOBODY	65534

static int become_nobody(void)
{
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return -errno;
	/* Both go with the change of user; the first keeps /proc/self ours. */
	if (prctl(PR_SET_DUMPABLE, 1) || prctl(PR_SET_PDEATHSIG, 9))
		return -errno;
	return 0;
}

void fl_ask_privilege(const struct fl_mechanism *m, const struct fl_property *p,
		      struct fl_cell *cell)
{
	const bool root = !geteuid();
	struct fl_trap *t;
	char text[160], *page;
	int err;

	if (p->arg == FL_AS_ROOT && !root) {
		fl_cell_set(cell, FL_CELL_NOT_TRIED, "we are not root");
		return;
	}
	err = p->arg == FL_AS_USER && root ? become_nobody() : 0;
	if (err) {
		fl_cell_set(cell, FL_CELL_NOT_TRIED,
			    "we cannot become an ordinary user: %s",
			    strerror(-err));
		return;
	}
	t = fl_trap_small(m, &page, cell);
	if (!t)
		return;
	fl_trap_store(t, page);
	fl_cell_set(cell, fl_trap_fired(t, page, text) ? FL_CELL_YES :
							  FL_CELL_NO,
		    "%s", text);
}

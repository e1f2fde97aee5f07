/* SPDX-License-Identifier: MIT */
/*
 * harness/matrix_trap.h: set a trap, step into it, and see who was told.
 *
 * Every experiment of the matrix is made of these: open a range of some kind,
 * attach the mechanism to it, arm a page, store through a fault site into that
 * page, and look at what happened.  A trap is closed when another follows in the
 * same process; otherwise it ends with the process, which is the experiment's own.
 *
 * Context: cold, one trap at a time on one thread, except that handlers of a
 * trap run where faults are reported: on the faulting thread, or on the
 * service's.
 */
#ifndef FL_MATRIX_TRAP_H
#define FL_MATRIX_TRAP_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/matrix.h"
#include "vm/fault.h"
#include "vm/reserve.h"
#include "vm/uffd_service.h"

/* Who hears of a fault. */
enum fl_told {
	FL_TOLD_NOBODY,		/* the kernel deals with it */
	FL_TOLD_SIGNAL,		/* the faulting thread */
	FL_TOLD_EVENT,		/* another thread; the faulting one sleeps */
	FL_TOLD_BOTH,		/* another thread, which signals the faulting one */
};

struct fl_trap;

struct fl_mechanism {
	const char *name, *what;
	const char *since;	/* the kernel that brought it */
	enum fl_told told;
	int signal;		/* of a SIGNAL trap: si_signo, */
	int codes[2];		/* and what si_code may be; 0: nothing more */

	/* Of userfaultfd. */
	uint64_t features;	/* UFFD_FEATURE_* it needs */
	uint64_t mode;		/* UFFDIO_REGISTER_MODE_* */
	bool kernel_faults;	/* not UFFD_USER_MODE_ONLY */

	/*
	 * Is it there, for us?  0, or -errno with a reason: ENOSYS, ENOTSUP,
	 * ENOTTY and EINVAL mean that this kernel has no such thing.
	 */
	int (*probe)(const struct fl_mechanism *mechanism, char *reason,
		     size_t reason_bytes);
	/* Map trap->bytes at trap->base.  0 or -errno. */
	int (*map)(struct fl_trap *trap, enum fl_access access);
	/* Once for the whole range; may be NULL. */
	int (*attach)(struct fl_trap *trap);
	/* Make the page fault.  maps_alone: nothing is mapped before that. */
	int (*arm)(struct fl_trap *trap, char *page);
	bool maps_alone;
	/* EVENT: let the faulting store go on where it is. */
	int (*resolve)(struct fl_trap *trap, char *page);
	/* NOBODY: has the kernel done what it promises, at this page? */
	bool (*happened)(const char *page);
	/*
	 * Instead of fl_site_new and the table of sites; may be NULL.
	 * redirect: false if the interrupted pc is not the site's.
	 */
	char *(*store)(char *bump, uint64_t word);
	bool (*redirect)(struct fl_trap *trap, const struct fl_fault *fault);
	/*
	 * Does it reach from @page, which has been stored to, down to the base
	 * of the range?  Fills the cell.  May be NULL: each page is its own.
	 */
	void (*reach)(struct fl_trap *trap, char *page, struct fl_cell *cell);
};

/* What was seen of the last store. */
struct fl_seen {
	unsigned nr_signals, nr_events;
	int signal, code;	/* of the first signal */
	char *address;		/* of the first notice */
	int tid;		/* the thread that had the first notice */
	int step;		/* how far the storing thread was, then */
	bool happened;		/* NOBODY: it had not before, and it has */
	char *landed;		/* where the object is, NULL: nowhere */
};

struct fl_trap {
	const struct fl_mechanism *m;
	char *base;
	size_t bytes;
	int memfd;			/* behind it, or -1 */
	struct fl_uffd uffd;
	struct fl_uffd_service service;
	struct fl_fault_range range;
	struct fl_sites sites;
	char *spare;			/* a page where redirected objects go */
	char *pool;			/* a page to move from */
	sigjmp_buf escape;
	bool watched;
	bool closed;			/* the page to be armed is PROT_NONE */
	bool preparing;			/* map is at what is not the mechanism's */
	bool storing;			/* escape is good */
	int step;			/* 1: the store is next; 2: it is done */
	int answered;			/* events */
	unsigned nr_wakes;		/* events to answer without a page */
	unsigned hold_us;		/* wait so long before answering */
	struct fl_seen seen;
};

/* What traps are filled with; what is stored into them. */
#define FL_TRAP_FILL	0x5a
#define FL_TRAP_WORD	0x0123456789abcdefu
#define FL_TRAP_OBJECT_BYTES	16u

/* Of ranges of which one page in the middle is armed. */
#define FL_TRAP_SMALL_BYTES	((size_t)4 << 20)

/*
 * fl_trap_open: Ask whether the mechanism is there, map a range, and have its
 * faults come to the trap.
 * fl_trap_attach: Attach the mechanism to the range, and start the service of one
 * that tells another thread.
 * fl_trap_arm: Arm the page at @page.
 * These return NULL or false when that is not possible; then the cell says why.
 * An open trap must not go away while its service may run, so it is on the heap.
 */
struct fl_trap *fl_trap_open(const struct fl_mechanism *mechanism, size_t bytes,
			     enum fl_access access, struct fl_cell *cell);
bool fl_trap_attach(struct fl_trap *trap, struct fl_cell *cell);
bool fl_trap_arm(struct fl_trap *trap, char *page, struct fl_cell *cell);

/* fl_trap_close: It may be half set; NULL is allowed. */
void fl_trap_close(struct fl_trap *trap);

/*
 * fl_trap_small: All of it, on a small open range; @page: out, the armed page,
 * in the middle of the range.  The pages around it are filled.
 */
struct fl_trap *fl_trap_small(const struct fl_mechanism *mechanism, char **page,
			      struct fl_cell *cell);

/*
 * fl_trap_step: If @err, the cell is "refused", while @what, and it is false; but
 * "failed" where @err says that we are short of file descriptors.
 * fl_trap_prepare: For what the experiment needs and the mechanism does not: if
 * @err, the cell is "failed".
 */
bool fl_trap_prepare(struct fl_cell *cell, int err, const char *what);
bool fl_trap_step(struct fl_cell *cell, int err, const char *what);

/*
 * fl_trap_store: Store FL_TRAP_WORD as the first word of an object at the upper
 * end of @page, by a fault site, and fill in trap->seen.
 * fl_trap_store_only: The same, without asking what the kernel did
 * (seen.happened), which costs as much as the range has pages.
 */
void fl_trap_store(struct fl_trap *trap, char *page);
void fl_trap_store_only(struct fl_trap *trap, char *page);

/*
 * fl_trap_fired: Did the last store, to @page, do what the mechanism promises?
 * @text: what happened, in words.
 */
bool fl_trap_fired(struct fl_trap *trap, const char *page, char text[160]);

/* Read memory of our own without a fault: 0 or -errno. */
int fl_trap_peek(const void *from, void *to, size_t bytes);

/* Is there memory at @page that is not the shared zero page?  0, 1 or -errno. */
int fl_trap_present(const char *page);

/* fl_trap_map: mechanism->map for private memory, without huge pages. */
int fl_trap_map(struct fl_trap *trap, enum fl_access access);

/* harness/matrix_uffd.c, _guard.c, _rseq.c */
extern const struct fl_mechanism fl_mech_uffd_event, fl_mech_uffd_kernel,
	fl_mech_uffd_signal, fl_mech_uffd_sigbus, fl_mech_uffd_minor,
	fl_mech_uffd_minor_bus, fl_mech_uffd_wp, fl_mech_uffd_wp_bus,
	fl_mech_uffd_wp_async, fl_mech_uffd_move, fl_mech_uffd_poison,
	fl_mech_prot_none, fl_mech_madv_guard, fl_mech_grows_down, fl_mech_rseq;

/* What fl_mech_prot_none arms with, which others are built on. */
int fl_prot_none_arm(struct fl_trap *trap, char *page);

/* harness/matrix_range.c, _answer.c, _cost.c, _access.c */
void fl_ask_giant(const struct fl_mechanism *m, const struct fl_property *p,
		  struct fl_cell *cell);
void fl_ask_overcommit(const struct fl_mechanism *m,
		       const struct fl_property *p, struct fl_cell *cell);
void fl_ask_synchronous(const struct fl_mechanism *m,
			const struct fl_property *p, struct fl_cell *cell);
void fl_ask_redirect(const struct fl_mechanism *m, const struct fl_property *p,
		     struct fl_cell *cell);
void fl_ask_privilege(const struct fl_mechanism *m, const struct fl_property *p,
		      struct fl_cell *cell);
void fl_ask_vmas(const struct fl_mechanism *m, const struct fl_property *p,
		 struct fl_cell *cell);
void fl_ask_tables(const struct fl_mechanism *m, const struct fl_property *p,
		   struct fl_cell *cell);
void fl_ask_huge(const struct fl_mechanism *m, const struct fl_property *p,
		 struct fl_cell *cell);
void fl_ask_access(const struct fl_mechanism *m, const struct fl_property *p,
		   struct fl_cell *cell);
void fl_ask_fork(const struct fl_mechanism *m, const struct fl_property *p,
		 struct fl_cell *cell);
void fl_ask_dontneed(const struct fl_mechanism *m, const struct fl_property *p,
		     struct fl_cell *cell);

/* arg of fl_ask_giant. */
enum { FL_GIANT_CLOSED, FL_GIANT_OPENED, FL_GIANT_OPEN };
/* arg of fl_ask_privilege. */
enum { FL_AS_ROOT, FL_AS_USER };
/* arg of fl_ask_access. */
enum { FL_BY_READ, FL_BY_RING, FL_BY_PROCESS_VM };

#endif

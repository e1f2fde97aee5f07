/* SPDX-License-Identifier: MIT */
/*
 * benches/fault_rig.h: the mechanisms of the bench `fault`, and what they share.
 *
 * Vocabulary: a "mechanism" is one way to have a store fault and go on; its
 * "answer" is what becomes of the store.  A "rig" is a range of addresses set up
 * for one mechanism.  A "round" arms the rig, untimed, and then makes it fault so
 * many times, each time with the fault site of faultline/site.h (or rseq_site.h):
 * bump-down, as in the strategies.  The "landing" is where a redirected store ends
 * up.
 *
 * To add a mechanism: its line in MECHANISMS, its struct in one of the
 * fault_*.c files.
 *
 * Context: cold, except resolve(), which runs in a signal handler or on a service
 * thread while the faulting thread waits.
 */
#ifndef FL_BENCHES_FAULT_RIG_H
#define FL_BENCHES_FAULT_RIG_H

#include "faultline/bench.h"
#include "vm/census.h"
#include "vm/fault.h"
#include "vm/reserve.h"
#include "vm/uffd_service.h"

enum { MECHANISM, RETURN, DELIVERY, WAIT, CPU, THREADS };
enum { RETURN_SIGRETURN, RETURN_USER };
enum { DELIVERY_SIGBUS, DELIVERY_THREAD };
enum { CPU_SAME, CPU_OTHER, CPU_AWAKE };

#define MECHANISMS(X)							\
	X(demand_zero)							\
	X(first_touch)							\
	X(grows_down)							\
	X(wp_async)							\
	X(redirect_prot_none)						\
	X(redirect_guard)						\
	X(redirect_uffd)						\
	X(redirect_rseq)						\
	X(redirect_poison)						\
	X(redirect_signal)						\
	X(extend_mprotect)						\
	X(extend_resident)						\
	X(extend_guard)							\
	X(extend_copy)							\
	X(extend_zeropage)						\
	X(extend_move)							\
	X(extend_continue)						\
	X(extend_unprotect)

/* Faults of a round at most; each is in a page of its own, unless redirected. */
#define ROUND_FAULTS	512u

/* Bytes of the object that each fault allocates. */
#define OBJECT_BYTES	16u

enum answer {
	ANSWER_KERNEL,		/* no handler: the kernel resolves it by itself */
	ANSWER_REDIRECT,	/* the store goes elsewhere, no page is mapped */
	ANSWER_EXTEND,		/* the page is made usable, the store is repeated */
};

struct rig;

struct mechanism {
	enum answer answer;
	bool uffd;		/* by userfaultfd: delivery has a meaning */
	bool rseq;		/* the site is a restartable sequence */
	bool sends;		/* a service thread signals the faulting one */
	uint64_t features;	/* UFFD_FEATURE_* beyond what delivery needs */

	/* O: What would end in a crash where it does not work.  0, or -errno with
	   a reason. */
	int (*probe)(char *reason, size_t reason_bytes);
	/* Set up base, bytes, top, stride, pool.  0 or -errno. */
	int (*open)(struct rig *rig);
	/* O: The next @nr faults are going to be faults.  0 or -errno. */
	int (*arm)(struct rig *rig, size_t nr);
	/* ANSWER_EXTEND: Make @page usable.  0 or -errno. */
	int (*resolve)(struct rig *rig, char *page);
};

struct rig {
	const struct mechanism *mechanism;
	const struct fl_bench_args *args;
	char *base;		/* where the faults are */
	size_t bytes;
	char *top;		/* bump of a round's first fault, ... */
	size_t stride;		/* ... and how far below it the next one is */
	char *pool;		/* pages or contents that resolve() takes from */
	size_t pool_bytes;
	char *armed;		/* where this thread arms its sequences */
	char *landing;		/* top of a page that is always there */
	int tid;		/* of the faulting thread */
	uint64_t nr_faults_max;	/* in all rounds together */
	size_t nr_armed;	/* for the mechanism's arm() to keep */

	/* Kept up by handler and service thread, while the program waits. */
	volatile uint64_t nr_signals, nr_served;
	volatile uint64_t nr_user_returns;	/* of signals, without sigreturn */
	volatile int error;	/* first -errno of resolve() */

	struct fl_sites sites;
	struct fl_fault_range watched;
	struct fl_uffd uffd;
	struct fl_uffd_service service;
	struct fl_census census;
	bool serves, watches;
};

#define DECLARE(name) extern const struct mechanism fault_##name;
MECHANISMS(DECLARE)
#undef DECLARE

/* rig_uffd: Open the userfaultfd that mechanism and delivery need.  0 or -errno. */
int rig_uffd(struct rig *rig);

/* Is there a service thread?  Does the faulting thread get a signal? */
bool rig_is_threaded(const struct mechanism *mechanism, const uint64_t *values);
bool rig_is_signalled(const struct mechanism *mechanism, const uint64_t *values);

/* rig_range: Reserve @nr pages that are to fault one after the other. */
int rig_range(struct rig *rig, uint64_t nr, enum fl_access access);

/* rig_fill: Have every page of [base, base + bytes) resident. */
void rig_fill(char *base, size_t bytes);

/* rig_open: mechanism, args and nr_faults_max are set, the rest is zero. */
int rig_open(struct rig *rig);
void rig_close(struct rig *rig);

/* What rounds have caused, and by whom it was answered. */
struct tally {
	uint64_t ticks, signals, user_returns, served, kernel;
	bool metered;			/* rounds are pieces of the stretch, or of
					   what is timed one by one */
};

/*
 * rig_rounds: Fault @nr times, in one stretch or one by one into the latency sink;
 * adds to @sum.  Returns 0 or -errno with a reason: what was expected, and what was
 * seen instead.
 */
int rig_rounds(struct rig *rig, uint64_t nr, bool singly, struct tally *sum,
	       char *reason, size_t reason_bytes);

/* rig_say: Write the reason; returns -EIO. */
int rig_say(char *reason, size_t reason_bytes, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif

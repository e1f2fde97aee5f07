/* SPDX-License-Identifier: MIT */
/*
 * vm/fault.h: who answers a SIGSEGV or SIGBUS.
 *
 * One signal entry per process serves every heap.  It looks the faulting
 * address up among the watched ranges and asks the range's owner; the owner
 * repairs the cause, or redirects the program, or declines.  A fault in nobody's
 * range, or declined, goes to whoever was installed before, or to the default
 * action: then the faulting instruction runs again and dumps core at the right
 * address.
 *
 * The entry is installed by the first watch (SA_SIGINFO | SA_ONSTACK |
 * SA_NODEFER: a fault inside a handler must reach somebody rather than kill
 * silently) and the previous actions are restored by the last unwatch, unless
 * somebody installed theirs on top, which then keeps being served.
 *
 * Stack: the kernel's frame and 2 KiB, on the alternate stack where there is one
 * (sysconf(_SC_MINSIGSTKSZ) + 2 KiB).  A handler that overflows an alternate stack
 * kills, where it happened.
 *
 * Context: fl_fault_watch and _unwatch are cold and MT-safe, not signal-safe.
 * Handlers run on the faulting thread between two of its instructions, and may
 * call only what is async-signal-safe.  errno is preserved around them.
 */
#ifndef FL_VM_FAULT_H
#define FL_VM_FAULT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "faultline/site.h"

/* One fault, as its handler sees it. */
struct fl_fault {
	int signal;		/* SIGSEGV or SIGBUS */
	int code;		/* siginfo's si_code */
	char *address;		/* what was touched */
	ucontext_t *context;	/* the interrupted program; may be changed */
	bool user_return;	/* if it is handled, the program goes on without
				   sigreturn: what the range asked for, and this
				   frame allows */
};

/* Returns true when handled: the program goes on as the context now says. */
typedef bool (*fl_fault_fn)(void *owner, const struct fl_fault *fault);

struct fl_fault_range {
	char *base;
	size_t bytes;
	fl_fault_fn handle;
	void *owner;
	bool user_return;
};

#define FL_FAULT_RANGES_MAX	128

/*
 * user_return: Handled faults go back to the program by vm/fault_resume.h,
 * without a system call.  The handler must then leave the signal mask and the
 * alternate stack alone, its own as well as the context's.  What that cannot
 * restore goes by the kernel as ever: a frame with fl_fault_resume_refusal, or
 * a signal that somebody else caught first and passed on.  Where it never works
 * fl_fault_resume_probe says so; ask before.
 */

/*
 * fl_fault_watch: Serve faults in @range from now on.
 * @range: caller-owned, unchanged until fl_fault_unwatch; must not overlap
 *         another watched range.
 * Returns 0, -EEXIST (overlap), -ENOSPC (FL_FAULT_RANGES_MAX), or sigaction's
 * -errno.
 */
int fl_fault_watch(const struct fl_fault_range *range);

/*
 * fl_fault_unwatch: Stop serving.  No thread may touch the range any more.
 */
void fl_fault_unwatch(const struct fl_fault_range *range);

/*
 * fl_fault_raise: Thread @tid of this process sleeps in a fault at @address that
 * a service thread was asked about and declined.  It gets a SIGSEGV as if nothing
 * were mapped there, at the faulting instruction.  Under the default action it
 * dies when the instruction faults again and is declined again.
 *
 * It takes the entry to make the signal look like that: while nothing is watched,
 * a handler sees a si_code that is not the kernel's, and its si_value.sival_ptr
 * is the address.  A thread that blocks or ignores SIGSEGV sleeps on, where the
 * kernel would kill it.  MT-safe.
 */
void fl_fault_raise(int tid, char *address);

/* A module's fault sites, sorted by pc for the handler. */
struct fl_sites {
	struct fl_site_address {
		uintptr_t probe;
		uintptr_t restart;
		unsigned bump_reg;
	} *sorted;
	size_t nr;
};

/*
 * fl_sites_open: Index the table between @start and @stop; pass
 * __start_fl_sites and __stop_fl_sites.  The index, nr + 1 entries, has pages of
 * its own, so that a heap can say that it owns them.  Returns 0 or -ENOMEM.
 * fl_sites_close frees the index.
 */
int fl_sites_open(const struct fl_site *start, const struct fl_site *stop,
		  struct fl_sites *sites);
void fl_sites_close(struct fl_sites *sites);

/* fl_sites_find: The site whose probe is at @pc, or NULL.  Signal-safe. */
const struct fl_site_address *fl_sites_find(const struct fl_sites *sites,
					    uintptr_t pc);

/* The interrupted pc; the interrupted value of general register @reg. */
uintptr_t fl_fault_pc(const struct fl_fault *fault);
uintptr_t fl_fault_register(const struct fl_fault *fault, unsigned reg);

/*
 * fl_fault_redirect: Continue at @site's restart with @bump in its register.
 * Signal-safe.
 */
void fl_fault_redirect(const struct fl_fault *fault,
		       const struct fl_site_address *site, char *bump);

/*
 * fl_fault_move_on: Continue where it was interrupted, with @bump in @site's
 * register: for what has been made usable, and what comes next.  Signal-safe.
 */
void fl_fault_move_on(const struct fl_fault *fault,
		      const struct fl_site_address *site, char *bump);

#endif

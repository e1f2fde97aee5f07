/* SPDX-License-Identifier: MIT */
/*
 * The entry reads the table of ranges without a lock.  The table holds copies:
 * a range goes away with its heap while other threads, whose faults lie in other
 * ranges, are still looking for theirs.  Writers hold a mutex, and make a slot's
 * sequence number odd while they change it; a reader skips a slot whose number
 * is odd or has changed.  It need not look again: the range it is looking for is
 * watched throughout the fault, so its slot does not change.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vm/fault.h"
#include "vm/fault_resume.h"
#include "vm/fork.h"
#include "vm/private_fault_resume.h"
#include "vm/reserve.h"

static struct slot {
	unsigned sequence;
	const struct fl_fault_range *caller;	/* whose copy it is, or NULL */
	struct fl_fault_range range;
} slots[FL_FAULT_RANGES_MAX];
static size_t nr_slots;		/* in use, holes included */
static size_t nr_watched;
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t slots_once = PTHREAD_ONCE_INIT;
static int slots_error;		/* of fl_fork_watch */

/*
 * si_code of fl_fault_raise: a thread may send another a code of its own below
 * zero, but none that only the kernel uses (rt_tgsigqueueinfo(2): EPERM).
 */
#define SI_DECLINED	(-0x4641)

static const int served[] = { SIGSEGV, SIGBUS };

/*
 * What the entry found where it was installed, the oldest first.  There is more
 * than one when somebody put a handler on top of the entry, the last range was
 * unwatched, and the next watch put the entry on top of that handler.
 */
#define PREVIOUS_MAX	8u

static struct previous {
	struct sigaction action;
	bool spent;		/* SA_RESETHAND, and it was called */
} previous[2][PREVIOUS_MAX];
static size_t nr_previous[2];

/* Hardware register number to index of gregs. */
static const int greg_of[16] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static bool find_range(const char *address, struct fl_fault_range *out)
{
	size_t n = __atomic_load_n(&nr_slots, __ATOMIC_ACQUIRE);

	for (size_t i = 0; i < n; i++) {
		const struct slot *s = &slots[i];
		unsigned before = __atomic_load_n(&s->sequence, __ATOMIC_ACQUIRE);

		/* Acquire, so that the number is read again after these. */
		out->base = __atomic_load_n(&s->range.base, __ATOMIC_ACQUIRE);
		out->bytes = __atomic_load_n(&s->range.bytes, __ATOMIC_ACQUIRE);
		out->handle = __atomic_load_n(&s->range.handle, __ATOMIC_ACQUIRE);
		out->owner = __atomic_load_n(&s->range.owner, __ATOMIC_ACQUIRE);
		out->user_return = __atomic_load_n(&s->range.user_return,
						   __ATOMIC_ACQUIRE);
		if (before & 1 ||
		    before != __atomic_load_n(&s->sequence, __ATOMIC_RELAXED))
			continue;
		if ((size_t)(address - out->base) < out->bytes)
			return true;
	}
	return false;
}

static void fill_slot(struct slot *s, const struct fl_fault_range *caller,
		      const struct fl_fault_range *range)
{
	s->caller = caller;
	__atomic_store_n(&s->sequence, s->sequence + 1, __ATOMIC_RELAXED);
	/* Release: who sees one of these sees the odd number, too. */
	__atomic_store_n(&s->range.base, range->base, __ATOMIC_RELEASE);
	__atomic_store_n(&s->range.bytes, range->bytes, __ATOMIC_RELEASE);
	__atomic_store_n(&s->range.handle, range->handle, __ATOMIC_RELEASE);
	__atomic_store_n(&s->range.owner, range->owner, __ATOMIC_RELEASE);
	__atomic_store_n(&s->range.user_return, range->user_return,
			 __ATOMIC_RELEASE);
	__atomic_store_n(&s->sequence, s->sequence + 1, __ATOMIC_RELEASE);
}

/* Is the entry what the kernel calls?  And what does it call? */
static bool is_installed(int sig, struct sigaction *now)
{
	return !sigaction(sig, NULL, now) && now->sa_flags & SA_SIGINFO &&
	       now->sa_sigaction == fl_fault_entry;
}

/*
 * A handler that lies between two installations of the entry chains back to it
 * with the context it was given, and the entry must then ask who was there
 * before that handler.  So, while an earlier handler runs, this hangs in uc_link
 * of the interrupted context, which the kernel leaves NULL and does not look at.
 * A thread-local variable would be left stale by a handler that leaves by
 * siglongjmp; the context is gone then, and this with it.
 */
struct passed {
	const void *mark;	/* previous: it is ours */
	size_t nr_left;		/* earlier ones, still to ask */
};

static void call_previous(const struct sigaction *old, int sig, siginfo_t *info,
			  ucontext_t *context, size_t nr_left)
{
	struct passed passed = { .mark = previous, .nr_left = nr_left };
	struct ucontext_t *const link = context->uc_link;
	sigset_t block = old->sa_mask, saved;

	if (!(old->sa_flags & SA_NODEFER))
		sigaddset(&block, sig);
	pthread_sigmask(SIG_BLOCK, &block, &saved);
	context->uc_link = (void *)&passed;
	if (old->sa_flags & SA_SIGINFO)
		old->sa_sigaction(sig, info, context);
	else
		old->sa_handler(sig);
	context->uc_link = link;
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
}

/* A signal somebody sent would not come again by itself. */
static void send_again(int sig, siginfo_t *info)
{
	if (info->si_code <= 0)
		syscall(SYS_rt_tgsigqueueinfo, getpid(),
			(pid_t)syscall(SYS_gettid), sig, info);
}

/*
 * Not ours.  A synchronous fault under the default action (or ignored, which
 * the kernel does not allow for those) is left to happen again with the default
 * restored: the core then shows the real pc and registers.
 */
static void pass_on(int sig, siginfo_t *info, ucontext_t *context)
{
	const int i = sig == SIGBUS;
	const struct sigaction dfl = { .sa_handler = SIG_DFL };
	const struct passed *passed = (const void *)context->uc_link;
	struct sigaction now;
	struct previous *p;
	size_t n;

	if (passed && passed->mark == previous) {
		n = passed->nr_left;
	} else {
		n = __atomic_load_n(&nr_previous[i], __ATOMIC_ACQUIRE);
		/* Another thread has just uninstalled the entry. */
		if (!n && !is_installed(sig, &now)) {
			send_again(sig, info);
			return;
		}
	}
	p = n ? &previous[i][n - 1] : NULL;
	if (p && (p->action.sa_flags & SA_SIGINFO ||
		  (p->action.sa_handler != SIG_DFL &&
		   p->action.sa_handler != SIG_IGN))) {
		/* The kernel, too, resets before it calls. */
		if (!(p->action.sa_flags & (int)SA_RESETHAND) ||
		    !__atomic_exchange_n(&p->spent, true, __ATOMIC_RELAXED)) {
			call_previous(&p->action, sig, info, context, n - 1);
			return;
		}
	} else if (p && p->action.sa_handler == SIG_IGN && info->si_code <= 0) {
		return;
	}
	sigaction(sig, &dfl, NULL);
	send_again(sig, info);
}

bool fl_fault_enter(int sig, siginfo_t *info, void *context, int direct)
{
	const int saved_errno = errno;
	struct fl_fault_range r;
	siginfo_t declined;

	if (info->si_code == SI_DECLINED) {
		memset(&declined, 0, sizeof(declined));
		declined.si_signo = SIGSEGV;
		declined.si_code = SEGV_MAPERR;
		declined.si_addr = info->si_value.sival_ptr;
		info = &declined;
	}

	/* si_addr means something only when the kernel filled it in. */
	if (info->si_code > 0 && info->si_code != SI_KERNEL &&
	    find_range(info->si_addr, &r)) {
		const struct fl_fault fault = {
			.signal = sig, .code = info->si_code,
			.address = info->si_addr, .context = context,
			.user_return = r.user_return && direct &&
				       !fl_fault_resume_refusal(context),
		};

		if (r.handle(r.owner, &fault)) {
			errno = saved_errno;
			return fault.user_return;
		}
	}
	pass_on(sig, info, context);
	errno = saved_errno;
	return false;
}

void fl_fault_raise(int tid, char *address)
{
	siginfo_t info = { 0 };

	info.si_signo = SIGSEGV;
	info.si_code = SI_DECLINED;
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_ptr = address;
	syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, SIGSEGV, &info);
}

static int install(void)
{
	struct sigaction action = {
		.sa_sigaction = fl_fault_entry,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
	};

	sigemptyset(&action.sa_mask);
	for (int i = 0; i < 2; i++) {
		size_t n = nr_previous[i];
		struct sigaction now;

		/* Somebody may have put it back. */
		if (is_installed(served[i], &now)) {
			fl_fault_resume_own(served[i]);
			continue;
		}
		/* No room: forget the newest of those below the entry. */
		n -= n == PREVIOUS_MAX;
		/* Before it is called: another thread may be faulting. */
		previous[i][n] = (struct previous){ .action = now };
		__atomic_store_n(&nr_previous[i], n + 1, __ATOMIC_RELEASE);
		if (sigaction(served[i], &action, NULL))
			return -errno;
		fl_fault_resume_own(served[i]);
	}
	return 0;
}

static void restore(void)
{
	const struct sigaction dfl = { .sa_handler = SIG_DFL };

	for (int i = 0; i < 2; i++) {
		const size_t n = nr_previous[i];
		struct previous *p = n ? &previous[i][n - 1] : NULL;
		struct sigaction now;

		if (!is_installed(served[i], &now))
			continue;
		sigaction(served[i],
			  p && !__atomic_load_n(&p->spent, __ATOMIC_RELAXED) ?
			  &p->action : &dfl, NULL);
		if (n)
			__atomic_store_n(&nr_previous[i], n - 1,
					 __ATOMIC_RELEASE);
	}
}

/* A child must not get the lock from a thread that it does not have. */
static void lock_for_fork(void *owner)
{
	(void)owner;
	pthread_mutex_lock(&slots_lock);
}

static void unlock_after_fork(void *owner)
{
	(void)owner;
	pthread_mutex_unlock(&slots_lock);
}

static void watch_forks(void)
{
	static struct fl_fork_hook hook = {
		.before = lock_for_fork, .parent = unlock_after_fork,
		.child = unlock_after_fork,
	};

	slots_error = fl_fork_watch(&hook);
}

/* Whoever forks from a signal handler needs the lock, too. */
static void lock_slots(sigset_t *saved)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, saved);
	pthread_mutex_lock(&slots_lock);
}

static void unlock_slots(const sigset_t *saved)
{
	pthread_mutex_unlock(&slots_lock);
	pthread_sigmask(SIG_SETMASK, saved, NULL);
}

int fl_fault_watch(const struct fl_fault_range *range)
{
	sigset_t saved;
	size_t hole;
	int err;

	pthread_once(&slots_once, watch_forks);
	err = slots_error;
	lock_slots(&saved);
	hole = nr_slots;
	for (size_t i = nr_slots; i-- > 0;) {
		const struct fl_fault_range *r = &slots[i].range;

		if (!slots[i].caller)
			hole = i;
		else if (range->base < r->base + r->bytes &&
			 r->base < range->base + range->bytes)
			err = -EEXIST;
	}
	if (!err && hole == FL_FAULT_RANGES_MAX)
		err = -ENOSPC;
	if (!err && !nr_watched)
		err = install();
	if (!err) {
		fill_slot(&slots[hole], range, range);
		if (hole == nr_slots)
			__atomic_store_n(&nr_slots, hole + 1, __ATOMIC_RELEASE);
		nr_watched++;
	}
	unlock_slots(&saved);
	return err;
}

void fl_fault_unwatch(const struct fl_fault_range *range)
{
	const struct fl_fault_range none = { 0 };
	sigset_t saved;

	lock_slots(&saved);
	for (size_t i = 0; i < nr_slots; i++) {
		if (slots[i].caller != range)
			continue;
		fill_slot(&slots[i], NULL, &none);
		if (--nr_watched == 0)
			restore();
		break;
	}
	unlock_slots(&saved);
}

static int compare_sites(const void *a, const void *b)
{
	const struct fl_site_address *x = a, *y = b;

	return (x->probe > y->probe) - (x->probe < y->probe);
}

int fl_sites_open(const struct fl_site *start, const struct fl_site *stop,
		  struct fl_sites *sites)
{
	size_t nr = (size_t)(stop - start);
	struct fl_site_address *sorted;
	char *pages;
	int err = fl_reserve((nr + 1) * sizeof(*sorted), FL_OPEN, &pages);

	if (err)
		return err;
	sorted = (struct fl_site_address *)(void *)pages;
	for (size_t i = 0; i < nr; i++)
		sorted[i] = (struct fl_site_address){
			.probe = fl_site_probe(&start[i]),
			.restart = fl_site_restart(&start[i]),
			.bump_reg = start[i].bump_reg & 15,
		};
	qsort(sorted, nr, sizeof(*sorted), compare_sites);
	*sites = (struct fl_sites){ .sorted = sorted, .nr = nr };
	return 0;
}

void fl_sites_close(struct fl_sites *sites)
{
	fl_release((char *)sites->sorted,
		   (sites->nr + 1) * sizeof(*sites->sorted));
	*sites = (struct fl_sites){ 0 };
}

const struct fl_site_address *fl_sites_find(const struct fl_sites *sites,
					    uintptr_t pc)
{
	size_t low = 0, high = sites->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (sites->sorted[middle].probe < pc)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < sites->nr && sites->sorted[low].probe == pc)
		return &sites->sorted[low];
	return NULL;
}

uintptr_t fl_fault_pc(const struct fl_fault *fault)
{
	return (uintptr_t)fault->context->uc_mcontext.gregs[REG_RIP];
}

uintptr_t fl_fault_register(const struct fl_fault *fault, unsigned reg)
{
	return (uintptr_t)fault->context->uc_mcontext.gregs[greg_of[reg & 15]];
}

void fl_fault_move_on(const struct fl_fault *fault,
		      const struct fl_site_address *site, char *bump)
{
	greg_t *gregs = fault->context->uc_mcontext.gregs;

	gregs[greg_of[site->bump_reg]] = (greg_t)(uintptr_t)bump;
}

void fl_fault_redirect(const struct fl_fault *fault,
		       const struct fl_site_address *site, char *bump)
{
	fl_fault_move_on(fault, site, bump);
	fault->context->uc_mcontext.gregs[REG_RIP] = (greg_t)site->restart;
}

/* SPDX-License-Identifier: MIT */
/*
 * vm/fork.h: what a heap has to do when the process forks.
 *
 * The child has a copy of the memory, with the protections and the guards of its
 * pages, and of the signal actions.  A heap whose faults are signals works there
 * as it did.  Two things are not inherited: threads, but for the one that forked;
 * and registrations with a userfaultfd, in whose place the kernel gives the child
 * memory that fills itself with zeros and tells nobody.  A heap that relies on
 * either leaves a "hook" here, which makes it work again in the child, or refuse,
 * before fork() returns there.
 *
 * Hooks are called by way of pthread_atfork, so by fork() and what is made of it.
 * They are not called by vfork() and posix_spawn(), whose child borrows the
 * parent's memory until it execs, nor by _Fork() and a bare clone(): such a child
 * must leave heaps alone until it execs or ends.
 *
 * Context: fl_fork_watch and _unwatch are cold and MT-safe, not signal-safe; but
 * a signal handler that interrupts them may fork, where libc allows it to.
 */
#ifndef FL_VM_FORK_H
#define FL_VM_FORK_H

/*
 * What to call around a fork, each with @owner, each on the thread that forks,
 * with every signal blocked.  Any may be NULL.  A hook may not come here, to
 * watch or unwatch.
 *
 *  before  in the parent, newest hook first; e.g. to take a lock
 *  parent  in the parent when the child is made, or could not be; oldest first
 *  child   in the child, oldest first.  Other threads' work may be half done in
 *          the copy that the child has, and they will never finish it.  Only
 *          what is async-signal-safe may be called.
 */
struct fl_fork_hook {
	void (*before)(void *owner);
	void (*parent)(void *owner);
	void (*child)(void *owner);
	void *owner;
	struct fl_fork_hook *older, *newer;	/* fork.c's own */
};

/*
 * fl_fork_watch: Call @hook from now on.
 * @hook: caller-owned until fl_fork_unwatch.
 * Returns 0 or -ENOMEM.
 */
int fl_fork_watch(struct fl_fork_hook *hook);

/* fl_fork_unwatch: No longer.  Nothing happens if it was never watched. */
void fl_fork_unwatch(struct fl_fork_hook *hook);

#endif

/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "vm/fork.h"

/*
 * A ring with one element that is no hook.  While the lock is held every signal
 * is blocked: a handler that interrupted the holder and forked would wait for
 * itself.
 */
static struct fl_fork_hook ring = { .older = &ring, .newer = &ring };
static bool at_fork;		/* libc calls us */
static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;
static sigset_t holders_signals;

static void lock_ring(void)
{
	sigset_t all, saved;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	pthread_mutex_lock(&ring_lock);
	holders_signals = saved;
}

static void unlock_ring(void)
{
	const sigset_t saved = holders_signals;

	pthread_mutex_unlock(&ring_lock);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
}

static void before_fork(void)
{
	lock_ring();
	for (struct fl_fork_hook *h = ring.older; h != &ring; h = h->older)
		if (h->before)
			h->before(h->owner);
}

static void after_fork_in_parent(void)
{
	for (struct fl_fork_hook *h = ring.newer; h != &ring; h = h->newer)
		if (h->parent)
			h->parent(h->owner);
	unlock_ring();
}

static void after_fork_in_child(void)
{
	for (struct fl_fork_hook *h = ring.newer; h != &ring; h = h->newer)
		if (h->child)
			h->child(h->owner);
	unlock_ring();
}

int fl_fork_watch(struct fl_fork_hook *hook)
{
	int err = 0;

	lock_ring();
	if (!at_fork)
		err = -pthread_atfork(before_fork, after_fork_in_parent,
				      after_fork_in_child);
	if (!err) {
		at_fork = true;
		hook->newer = &ring;
		hook->older = ring.older;
		hook->older->newer = hook;
		ring.older = hook;
	}
	unlock_ring();
	return err;
}

void fl_fork_unwatch(struct fl_fork_hook *hook)
{
	lock_ring();
	if (hook->newer) {
		hook->older->newer = hook->newer;
		hook->newer->older = hook->older;
		hook->older = hook->newer = NULL;
	}
	unlock_ring();
}

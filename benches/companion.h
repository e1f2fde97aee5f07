/* SPDX-License-Identifier: MIT */
/*
 * benches/companion.h: a second thread of the process, on a CPU of its own, that
 * is there while the first is measured.
 *
 * Vocabulary: it "sleeps" (it exists, and costs nothing), "runs" (a loop in user
 * space: the kernel must interrupt its CPU when page tables change), or keeps its
 * CPU "awake" (the same loop at SCHED_IDLE, which steps aside for any thread that
 * wants that CPU); or it runs a function of the bench's.
 *
 * Context: cold; a companion belongs to the thread that started it.
 */
#ifndef FL_BENCHES_COMPANION_H
#define FL_BENCHES_COMPANION_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>

enum companion_kind {
	COMPANION_SLEEPS,
	COMPANION_RUNS,
	COMPANION_AWAKE,
	COMPANION_WORKS,
};

struct companion;

/* Returns soon after companion_stops() says so. */
typedef void (*companion_fn)(struct companion *companion, void *argument);

struct companion {
	enum companion_kind kind;
	companion_fn work;		/* COMPANION_WORKS only, with argument */
	void *argument;
	pthread_t thread;
	sem_t ready, end;
	bool started, stops;
};

/*
 * companion_start: Start it on @cpu and wait until it is there; kind, work and
 * argument are set, the rest is zero.  All signals are blocked in it.
 * Returns 0 or -errno.
 */
int companion_start(struct companion *companion, int cpu);

/* companion_stop: End it; nothing happens if it was not started. */
void companion_stop(struct companion *companion);

static inline bool companion_stops(const struct companion *companion)
{
	return __atomic_load_n(&companion->stops, __ATOMIC_RELAXED);
}

/* Between two looks at memory that another CPU is going to write. */
static inline void companion_relax(void)
{
	__asm__ volatile("pause");
}

/*
 * companion_probe: 0 if there is a second CPU to put it on, or -ENOTSUP with the
 * reason.  @what: "threads=2".
 */
int companion_probe(const char *what, char *reason, size_t reason_bytes);

#endif

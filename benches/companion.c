/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>

#include "benches/companion.h"
#include "vm/place.h"

static void *companion_main(void *argument)
{
	struct companion *c = argument;
	const struct sched_param param = { 0 };

	if (c->kind == COMPANION_AWAKE)
		sched_setscheduler(0, SCHED_IDLE, &param);
	sem_post(&c->ready);
	switch (c->kind) {
	case COMPANION_SLEEPS:
		while (sem_wait(&c->end))
			;
		break;
	case COMPANION_RUNS:
	case COMPANION_AWAKE:
		while (!companion_stops(c))
			companion_relax();
		break;
	case COMPANION_WORKS:
		c->work(c, c->argument);
		break;
	}
	return NULL;
}

int companion_start(struct companion *companion, int cpu)
{
	sigset_t all, saved;
	pthread_attr_t attr;
	cpu_set_t set;
	int err;

	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	err = -pthread_attr_init(&attr);
	if (err)
		return err;
	sem_init(&companion->ready, 0, 0);
	sem_init(&companion->end, 0, 0);
	err = -pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	if (!err) {
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &saved);
		err = -pthread_create(&companion->thread, &attr, companion_main,
				      companion);
		pthread_sigmask(SIG_SETMASK, &saved, NULL);
	}
	pthread_attr_destroy(&attr);
	if (err)
		return err;
	companion->started = true;
	while (sem_wait(&companion->ready))
		;
	return 0;
}

void companion_stop(struct companion *companion)
{
	if (!companion->started)
		return;
	__atomic_store_n(&companion->stops, true, __ATOMIC_RELAXED);
	sem_post(&companion->end);
	pthread_join(companion->thread, NULL);
	sem_destroy(&companion->ready);
	sem_destroy(&companion->end);
	companion->started = false;
}

int companion_probe(const char *what, char *reason, size_t reason_bytes)
{
	if (fl_place_other(fl_place_cpu()) >= 0)
		return 0;
	snprintf(reason, reason_bytes,
		 "%s needs a second CPU this process may use", what);
	return -ENOTSUP;
}

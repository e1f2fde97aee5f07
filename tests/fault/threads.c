/* SPDX-License-Identifier: MIT */
/*
 * Threads that fault at once, each in a heap of its own.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ordeal.h"

#define NR_THREADS	8u
#define NR_ROUNDS	6u
#define NR_OPENINGS	15u

static pthread_barrier_t start_line;

struct worker {
	struct fl_trial trial;
	unsigned number;
	bool comes_and_goes;
	uint64_t nr_hits;
};

static void work(struct worker *w, struct fl_heap *heap, unsigned nr_rounds)
{
	struct objects o;

	objects_open(&w->trial, &o, fl_trial_region(&w->trial, heap),
		     w->number, 2048);
	for (unsigned i = 0; i < nr_rounds; i++) {
		if (!w->comes_and_goes)
			pthread_barrier_wait(&start_line);
		objects_fill(&o, ORDEAL_BYTES / 4);
		if (o.region->error)
			fl_trial_fail(&w->trial, "a region has error %d",
				      o.region->error);
		objects_verify(&o, "of a thread among others");
		objects_reset(&o);
	}
	w->nr_hits += heap->events.nr_hits;
	free(o.list);
}

static void *stay(void *arg)
{
	const struct fl_need need = ORDEAL_NEED;
	struct worker *w = arg;
	struct fl_heap *heap = fl_trial_open(&w->trial, &need);

	work(w, heap, NR_ROUNDS);
	w->trial.s->close(heap);
	return NULL;
}

static void *come_and_go(void *arg)
{
	const struct fl_need need = ORDEAL_NEED;
	struct worker *w = arg;

	for (unsigned i = 0; i < NR_OPENINGS; i++) {
		struct fl_heap *heap = fl_trial_open(&w->trial, &need);

		work(w, heap, 1);
		w->trial.s->close(heap);
	}
	return NULL;
}

static void all_at_once(struct fl_trial *t, unsigned nr_staying)
{
	struct worker workers[NR_THREADS];
	pthread_t threads[NR_THREADS];

	pthread_barrier_init(&start_line, NULL, nr_staying);
	for (unsigned i = 0; i < NR_THREADS; i++) {
		workers[i] = (struct worker){
			.trial = *t, .number = i,
			.comes_and_goes = i >= nr_staying,
		};
		workers[i].trial.shared = NULL;
		if (pthread_create(&threads[i], NULL,
				   i < nr_staying ? stay : come_and_go,
				   &workers[i]))
			fl_trial_skip(t, "this host starts no more threads");
	}
	fl_trial_doing(t, "waiting for %u threads", NR_THREADS);
	for (unsigned i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	need_hits(t, workers[0].nr_hits);
	for (unsigned i = 0; i < NR_THREADS; i++)
		if (!workers[i].nr_hits)
			fl_trial_fail(t, "thread %u had no fault", i);
}

void try_threads(struct fl_trial *t)
{
	all_at_once(t, NR_THREADS);
}

void try_comings_and_goings(struct fl_trial *t)
{
	all_at_once(t, NR_THREADS / 2);
}

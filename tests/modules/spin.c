/* SPDX-License-Identifier: MIT */
/*
 * spin: a bench for tests alone.  An op is so many rounds of a loop that no
 * compiler can shorten; the tunable "act" has it break each promise of
 * faultline/bench.h in turn, or, as "preempted", keep it where the first of its
 * pieces is spoilt.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "faultline/bench.h"

enum { ROUNDS, ROOM, KIND, ACT };

enum {
	SOUND, FAIL, MUTE, REFUSE, FEWER, UNMETERED, UNSTOPPED, UNTIMED, CRASH, NESTED,
	PREEMPTED,
};

static const char *const kinds[] = { "even", "odd", NULL };

static const char *const acts[] = {
	[SOUND] = "sound", [FAIL] = "fail", [MUTE] = "mute",
	[REFUSE] = "refuse", [FEWER] = "fewer", [UNMETERED] = "unmetered",
	[UNSTOPPED] = "unstopped", [UNTIMED] = "untimed", [CRASH] = "crash",
	[NESTED] = "nested", [PREEMPTED] = "preempted",
	NULL,
};

static const struct fl_tunable tunables[] = {
	[ROUNDS] = {
		.name = "rounds", .unit = "", .kind = FL_TUNABLE_COUNT,
		.help = "rounds of an op", .def = 100, .min = 1, .max = 10000,
	},
	[ROOM] = {
		.name = "room", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "changes nothing", .def = 64 << 10, .min = 4 << 10,
		.max = 1 << 30,
	},
	[KIND] = {
		.name = "kind", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "changes nothing", .choices = kinds,
	},
	[ACT] = {
		.name = "act", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "which promise to break", .choices = acts,
	},
};

static const struct fl_bench_metric metrics[] = {
	{ "rounds_done", "1", "rounds of the timed stretch" },
	{ "nothing_ns", "ns", "what this bench does not tell" },
};

static void spin(uint64_t rounds)
{
	uint64_t x = rounds;

	while (rounds--)
		__asm__ volatile("imul $3, %0, %0" : "+r"(x));
}

/* A thread with our CPU, which yields it when we do. */
static void *compete(void *over)
{
	while (!atomic_load((atomic_bool *)over))
		sched_yield();
	return NULL;
}

static long nr_preemptions(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw;
}

/* Yield until the kernel has given our CPU to another.  0 or -errno. */
static int be_preempted(void)
{
	const long before = nr_preemptions();
	atomic_bool over = false;
	pthread_t other;
	int err = -pthread_create(&other, NULL, compete, &over);

	if (err)
		return err;
	while (nr_preemptions() == before)
		sched_yield();
	atomic_store(&over, true);
	pthread_join(other, NULL);
	return 0;
}

/* Ops one by one in four pieces or a few more. */
static int spin_singly(const struct fl_bench_args *args, uint64_t rounds,
		       struct fl_bench_result *result)
{
	const uint64_t most = args->nr_single / 4 + 1;
	int err = 0;
	bool first = true;

	for (uint64_t nr = args->nr_single; nr && !err; nr = fl_bench_again(args))
		for (uint64_t i = 0, end, one; i < nr && !err; first = false) {
			uint64_t begin = fl_bench_piece_begin(args);

			end = nr - i < most ? nr : i + most;
			err = first ? be_preempted() : 0;
			for (; i < end; i++) {
				one = fl_ticks();
				spin(rounds);
				args->latency->add(args->latency, fl_ticks() - one);
			}
			fl_bench_piece_end(args, begin, 0, result);
		}
	return err;
}

static int spin_probe(const uint64_t *values, char *reason, size_t reason_bytes)
{
	if (values[ACT] != REFUSE)
		return 0;
	snprintf(reason, reason_bytes, "act=refuse: this host spins not: set act=sound");
	return -EOPNOTSUPP;
}

static int spin_run(const struct fl_bench_args *args,
		    struct fl_bench_result *result, char *reason,
		    size_t reason_bytes)
{
	const uint64_t act = args->values[ACT];
	uint64_t rounds = args->values[ROUNDS], begin, nr = args->nr_ops;

	/* A quarter more is found by few samples of a shared machine. */
	if (args->planted)
		rounds += rounds / 4 + 1;
	if (act == CRASH)
		__builtin_trap();
	if (act == FAIL)
		snprintf(reason, reason_bytes, "3 rounds expected, 2 seen");
	if (act == FAIL || act == MUTE)
		return -EIO;
	if (act == UNMETERED)
		begin = fl_ticks();
	else
		begin = fl_bench_begin(args);
	if (act == NESTED)
		fl_bench_piece_begin(args);
	if (act == FEWER)
		nr /= 2;
	for (uint64_t i = 0; i < nr; i++)
		spin(rounds);
	if (act == UNMETERED || act == UNSTOPPED) {
		result->ticks = fl_ticks() - begin;
		result->nr_ops = nr;
	} else {
		fl_bench_end(args, begin, nr, result);
	}
	result->values[0] = (double)(nr * rounds);
	if (act == PREEMPTED) {
		int err = spin_singly(args, rounds, result);

		if (err)
			snprintf(reason, reason_bytes, "%s", strerror(-err));
		return err;
	}
	for (uint64_t i = act == UNTIMED; i < args->nr_single; i++) {
		begin = fl_ticks();
		spin(rounds);
		args->latency->add(args->latency, fl_ticks() - begin);
	}
	return 0;
}

FL_BENCH(
	.name = "spin",
	.summary = "rounds of a loop, for tests",
	.op = "spin",
	.ops_default = 100000,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.metrics = metrics,
	.nr_metrics = sizeof(metrics) / sizeof(metrics[0]),
	.probe = spin_probe,
	.run = spin_run,
);

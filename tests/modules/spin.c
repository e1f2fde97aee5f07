/* SPDX-License-Identifier: MIT */
/*
 * spin: a bench for tests alone.  An op is so many rounds of a loop that no
 * compiler can shorten; the tunable "act" has it break each promise of
 * faultline/bench.h in turn.
 */
#include <errno.h>
#include <stdio.h>

#include "faultline/bench.h"

enum { ROUNDS, ROOM, KIND, ACT };

enum {
	SOUND, FAIL, MUTE, REFUSE, FEWER, UNMETERED, UNSTOPPED, UNTIMED, CRASH, NESTED,
};

static const char *const kinds[] = { "even", "odd", NULL };

static const char *const acts[] = {
	[SOUND] = "sound", [FAIL] = "fail", [MUTE] = "mute",
	[REFUSE] = "refuse", [FEWER] = "fewer", [UNMETERED] = "unmetered",
	[UNSTOPPED] = "unstopped", [UNTIMED] = "untimed", [CRASH] = "crash",
	[NESTED] = "nested",
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
	for (uint64_t i = act == UNTIMED; i < args->nr_single; i++) {
		begin = fl_ticks();
		spin(rounds);
		args->latency->add(args->latency, fl_ticks() - begin);
	}
	result->values[0] = (double)(nr * rounds);
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

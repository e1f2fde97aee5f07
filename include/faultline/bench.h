/* SPDX-License-Identifier: MIT */
/*
 * faultline/bench.h: what a bench module is, and what it promises.
 *
 * Vocabulary: a "bench" measures something that is not a strategy's fast path:
 * what the kernel charges for a fault, a protection change or a page given back,
 * or what a part of the library costs.  Its unit of work is an "op".  Like a
 * strategy it is a shared object with one exported table, and like a kernel its
 * loop is inside it, so that the harness makes one indirect call per sample.
 *
 * A sample is one process that calls run() once.  run() prepares, warms up, times
 * as many ops as asked in one stretch, then nr_single more one by one if there is
 * a sink, and cleans up.  It counts what it caused (faults, calls, pages) against
 * what the ops imply and fails if they differ: a bench that measured something
 * else must not pass.
 *
 * Threads: run() is called on a thread that is pinned to args->cpu.  Threads it
 * makes are its own affair, and gone when it returns.
 *
 * Meter: what the kernel counts (faults, switches, cycles of the calling thread)
 * is told for the stretch alone, so run() says where it begins and ends; a sample
 * without that fails.  fl_bench_begin() and fl_bench_end() do so and read the clock.
 *
 * Pieces: a neighbour on the other hardware thread of a core takes half of it, for
 * milliseconds at a time, and others may be given our CPU.  A stretch that is timed in pieces of some hundred
 * microseconds (fl_bench_piece_begin and _end) loses those pieces, instead of all
 * of its precision; so do ops that are timed one by one inside pieces, which may
 * be made good: fl_bench_again.
 */
#ifndef FL_BENCH_H
#define FL_BENCH_H

#include <stdint.h>

#include "faultline/kernel.h"
#include "faultline/strategy.h"
#include "faultline/ticks.h"

#define FL_BENCH_SYMBOL		"faultline_bench"
#define FL_BENCH_MAGIC		0x46b1e002u

/* Raised whenever a struct or the meaning of a hook in this header changes. */
#define FL_BENCH_ABI_VERSION	4u

/* Most metrics a bench may declare. */
#define FL_BENCH_METRICS_MAX	16u

/*
 * The harness's counters.  start() and stop() come in pairs, around what is timed
 * and outside its clock readings; several pairs add up.  Each call makes some
 * thirty system calls: a bench that times pieces as short as that meters the
 * whole, with what lies between the pieces.
 */
struct fl_bench_meter {
	void (*start)(struct fl_bench_meter *meter);
	void (*stop)(struct fl_bench_meter *meter);
	/*
	 * A piece begins, when there is no neighbour or he will not rest; it has
	 * ended, after @nr_ops of the stretch (0: those timed one by one).  Pieces
	 * may count more ops than the stretch does: then it went on to the end of
	 * something whole or, if planted, its ops are so much more work.
	 */
	void (*begin)(struct fl_bench_meter *meter);
	void (*end)(struct fl_bench_meter *meter, uint64_t ticks,
		    uint64_t nr_ops);
	/* As fl_bench_again. */
	uint64_t (*again)(struct fl_bench_meter *meter);
};

/*
 * A planted slowdown of about a half.  It asks whether a campaign sees what is
 * certainly there, not how little it could see; that is the twin's to say.
 */
#define FL_BENCH_PLANTED_EVERY	2u

struct fl_bench_args {
	const uint64_t *values;		/* tunables, in declaration order */
	uint64_t nr_ops;		/* to time in one stretch, > 0 */
	uint64_t nr_single;		/* to time one by one; 0: none */
	uint64_t seed;			/* of whatever is random */
	int cpu;			/* the calling thread is pinned to it */
	bool planted;			/* do a known amount more: one op of every
					   FL_BENCH_PLANTED_EVERY twice */
	struct fl_latency_sink *latency;	/* with nr_single > 0 only */
	struct fl_bench_meter *meter;		/* always there */
	/*
	 * For parts of the library that any strategy can carry: the strategy of
	 * that name, found as `faultline run` finds it, if it can run here with
	 * these @values.  NULL with a reason otherwise: run() then returns
	 * -ENOTSUP.
	 */
	const struct fl_strategy *(*strategy)(const char *name, char *reason,
					      size_t reason_bytes);
};

/* A number beside the time that a bench reports about a sample. */
struct fl_bench_metric {
	const char *name;		/* "faults", "resident_pages": a JSON key
					   that carries the unit */
	const char *unit;		/* "1", "ns", "bytes", "pages" */
	const char *definition;		/* one line */
};

struct fl_bench_result {
	uint64_t ticks;			/* of the stretch, by faultline/ticks.h;
					   0 before run */
	uint64_t nr_ops;		/* done in it; 0 before run */
	double values[FL_BENCH_METRICS_MAX];	/* as declared; NaN (what it is
						   before run): not available */
};

/*
 * fl_bench_piece_begin: A piece begins; returns the clock for fl_bench_piece_end.
 * Cost: 2 us, or what it takes until there is no neighbour.
 */
static inline uint64_t fl_bench_piece_begin(const struct fl_bench_args *args)
{
	args->meter->begin(args->meter);
	return fl_ticks();
}

/*
 * fl_bench_piece_end: It ended after @nr_ops; both are added to @result.  With
 * @nr_ops 0 it was about ops timed one by one, and nothing is added.
 * Cost: 2 us.
 */
static inline void fl_bench_piece_end(const struct fl_bench_args *args,
				      uint64_t begin, uint64_t nr_ops,
				      struct fl_bench_result *result)
{
	const uint64_t ticks = fl_ticks() - begin;

	args->meter->end(args->meter, ticks, nr_ops);
	result->ticks += nr_ops ? ticks : 0;
	result->nr_ops += nr_ops;
}

/* fl_bench_begin: A stretch of one piece; returns the clock for fl_bench_end. */
static inline uint64_t fl_bench_begin(const struct fl_bench_args *args)
{
	args->meter->start(args->meter);
	return fl_bench_piece_begin(args);
}

/* fl_bench_end: It ended after @nr_ops; both are added to @result. */
static inline void fl_bench_end(const struct fl_bench_args *args, uint64_t begin,
				uint64_t nr_ops, struct fl_bench_result *result)
{
	fl_bench_piece_end(args, begin, nr_ops, result);
	args->meter->stop(args->meter);
}

/*
 * fl_bench_again: How many more ops to time one by one, because as many were thrown
 * away with their pieces since the last call.  Over all calls no more than
 * args->nr_single, so that a loop until it is 0 ends where no piece is ever quiet.
 */
static inline uint64_t fl_bench_again(const struct fl_bench_args *args)
{
	return args->meter->again(args->meter);
}

/* R: required.  O: optional, may be NULL. */
struct fl_bench {
	uint32_t magic;			/* FL_BENCH_MAGIC */
	uint32_t abi;			/* FL_BENCH_ABI_VERSION */
	uint32_t table_bytes;		/* sizeof(struct fl_bench) */

	const char *name;		/* R: the module file's stem */
	const char *summary;		/* R: one line for `faultline list` */
	const char *op;			/* R: what one op is: "fault", "page" */
	const char *compiler;		/* R: FL_COMPILER */
	uint64_t ops_default;		/* R: ops of a sample of about 0.1 s */

	const struct fl_tunable *tunables;
	size_t nr_tunables;
	const struct fl_bench_metric *metrics;
	size_t nr_metrics;

	/*
	 * O: Can this kernel, with these privileges, do this?  As the hook of
	 * struct fl_strategy.
	 */
	int (*probe)(const uint64_t *values, char *reason, size_t reason_bytes);

	/*
	 * R: One sample.  Returns 0, or -errno with a reason (what was expected
	 * and what was seen) of at most @reason_bytes - 1 characters.  -ENOTSUP:
	 * what probe() could not know, this host cannot do; the sample is not
	 * failed but unsupported.
	 */
	int (*run)(const struct fl_bench_args *args,
		   struct fl_bench_result *result, char *reason,
		   size_t reason_bytes);
};

/* FL_BENCH: Export the table; the arguments are designated initialisers. */
#define FL_BENCH(...)							\
	extern const struct fl_bench faultline_bench			\
		__attribute__((visibility("default")));			\
	const struct fl_bench faultline_bench = {			\
		.magic = FL_BENCH_MAGIC,				\
		.abi = FL_BENCH_ABI_VERSION,				\
		.table_bytes = sizeof(struct fl_bench),			\
		.compiler = FL_COMPILER,				\
		__VA_ARGS__						\
	}

#endif

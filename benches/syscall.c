/* SPDX-License-Identifier: MIT */
/*
 * syscall: the way into the kernel and back, with next to nothing done there.
 *
 * Every mechanism that answers a full block in user space pays it at least once
 * (sigreturn, UFFDIO_WAKE, mprotect), so it is the floor of what they cost.
 *
 * getppid by syscall(2): no library may have kept the answer (getpid once was),
 * and the kernel does nothing for it but read a pointer.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "faultline/bench.h"

#define PIECE		4096u

/* Answers that were not @parent. */
static uint64_t calls(uint64_t nr, long parent, bool planted)
{
	uint64_t nr_wrong = 0;

	for (uint64_t i = 0; i < nr; i++) {
		nr_wrong += syscall(SYS_getppid) != parent;
		if (planted && i % FL_BENCH_PLANTED_EVERY == 0)
			nr_wrong += syscall(SYS_getppid) != parent;
	}
	return nr_wrong;
}

static uint64_t single_calls(const struct fl_bench_args *args, uint64_t nr,
			     long parent, struct fl_bench_result *result)
{
	uint64_t nr_wrong = 0;

	for (uint64_t i = 0, end, begin; i < nr;) {
		end = nr - i < PIECE ? nr : i + PIECE;
		begin = fl_bench_piece_begin(args);
		for (; i < end; i++) {
			uint64_t one = fl_ticks();

			nr_wrong += calls(1, parent, args->planted &&
						     i % FL_BENCH_PLANTED_EVERY == 0);
			args->latency->add(args->latency, fl_ticks() - one);
		}
		fl_bench_piece_end(args, begin, 0, result);
	}
	return nr_wrong;
}

static int syscall_run(const struct fl_bench_args *args,
		       struct fl_bench_result *result, char *reason,
		       size_t reason_bytes)
{
	const long parent = getppid();
	uint64_t nr_wrong, begin;

	nr_wrong = calls(args->nr_ops / 8 + 1, parent, args->planted);

	args->meter->start(args->meter);
	for (uint64_t i = 0, n; i < args->nr_ops; i += n) {
		n = args->nr_ops - i < PIECE ? args->nr_ops - i : PIECE;
		begin = fl_bench_piece_begin(args);
		nr_wrong += calls(n, parent, args->planted);
		fl_bench_piece_end(args, begin, n, result);
	}
	args->meter->stop(args->meter);

	for (uint64_t nr = args->nr_single; nr; nr = fl_bench_again(args))
		nr_wrong += single_calls(args, nr, parent, result);
	if (!nr_wrong)
		return 0;
	snprintf(reason, reason_bytes,
		 "%llu answers were not the parent's number, %ld: did the parent end?",
		 (unsigned long long)nr_wrong, parent);
	return -EIO;
}

FL_BENCH(
	.name = "syscall",
	.summary = "one system call that does nothing (getppid)",
	.op = "call",
	.ops_default = 1 << 20,
	.run = syscall_run,
);

/* SPDX-License-Identifier: MIT */
/*
 * Reads into regions from pipes and sockets, by read() and by io_uring: short, interrupted, refused, at the end,
 * and when memory runs out.  Files, on every strategy, are what `faultline conform
 * --check read` tries.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "faultline/read.h"
#include "harness/module_load.h"

#define BLOCK_BYTES	((uint64_t)64 << 10)

struct place {
	struct fl_module module;
	const struct fl_strategy *s;
	struct fl_heap *heap;
	struct fl_region *region;
	struct fl_reader reader;
	int fds[2];			/* read from, written to */
};

static const struct {
	const char *name;
	enum fl_read_how how;
	enum fl_read_by by;
} ways[] = {
	{ "bump_down", FL_READ_GIVE_BACK, FL_READ_BY_CALL },
	{ "bump_up", FL_READ_GIVE_BACK, FL_READ_BY_CALL },
	{ "bump_down", FL_READ_BOUNCE, FL_READ_BY_CALL },
	{ "bump_down", FL_READ_KEEP, FL_READ_BY_CALL },
	{ "segv_redirect", FL_READ_BOUNCE, FL_READ_BY_CALL },
	{ "segv_redirect", FL_READ_KEEP, FL_READ_BY_CALL },
	{ "segv_extend", FL_READ_KEEP, FL_READ_BY_CALL },
	{ "demand_zero", FL_READ_BOUNCE, FL_READ_BY_CALL },
	/* Only where there are rings: see main(). */
	{ "bump_down", FL_READ_GIVE_BACK, FL_READ_BY_RING },
	{ "segv_redirect", FL_READ_BOUNCE, FL_READ_BY_RING },
	{ "segv_extend", FL_READ_KEEP, FL_READ_BY_RING },
	{ "bump_down", FL_READ_BOUNCE, FL_READ_BY_RING_FIXED },
};

#define NR_WAYS_BY_CALL	8u

static size_t nr_ways = sizeof(ways) / sizeof(ways[0]);

static void place_open(struct place *p, size_t way, uint64_t limit_bytes)
{
	struct fl_complaint why;
	uint64_t values[16];
	struct fl_open_args args = {
		.values = values, .region_bytes_max = 8 << 20,
		.object_bytes_max = 1 << 20, .nr_regions_max = 4, .cpu = -1,
		.limit_bytes = limit_bytes,
	};

	assert_int_equal(fl_module_named(FL_MODULE_STRATEGY, ways[way].name,
					 &p->module, &why), 0);
	p->s = p->module.strategy;
	for (size_t i = 0; i < p->s->nr_tunables; i++)
		values[i] = strcmp(p->s->tunables[i].name, "block") ?
			p->s->tunables[i].def : BLOCK_BYTES;
	assert_int_equal(p->s->open(&args, &p->heap), 0);
	assert_int_equal(p->s->region_create(p->heap, &p->region), 0);
	assert_int_equal(fl_reader_open(&p->reader, p->s, ways[way].how, 1 << 20), 0);
	assert_int_equal(fl_reader_by(&p->reader, ways[way].by), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p->fds), 0);
}

static void place_close(struct place *p)
{
	close(p->fds[0]);
	if (p->fds[1] >= 0)
		close(p->fds[1]);
	fl_reader_close(&p->reader);
	p->s->close(p->heap);
	fl_module_unload(&p->module);
}

/* Less comes than was asked for: what comes is there, and little more is used. */
static void short_reads(void **state)
{
	struct place p;
	void *data;
	char *before;

	(void)state;
	for (size_t way = 0; way < nr_ways; way++) {
		place_open(&p, way, 0);
		before = p.s->object_new(p.region, 8, 8, 1);
		assert_int_equal(write(p.fds[1], "hello", 5), 5);
		assert_int_equal(fl_region_read(&p.reader, p.region, p.fds[0],
						30000, &data), 5);
		assert_memory_equal(data, "hello", 5);
		assert_int_equal((uintptr_t)data % FL_READ_ALIGN, 0);
		assert_int_equal(p.reader.copied_bytes,
				 ways[way].how == FL_READ_BOUNCE ? 5 : 0);
		if (ways[way].how == FL_READ_GIVE_BACK) {
			char *after = p.s->object_new(p.region, 8, 8, 1);
			const ptrdiff_t apart = before > after ?
				before - after : after - before;

			assert_in_range(apart, 8, 128);
		}
		place_close(&p);
	}
}

/* What was left over stands before what comes, which is aligned. */
static void behind_a_head(void **state)
{
	struct place p;
	void *data;

	(void)state;
	for (size_t way = 0; way < nr_ways; way++) {
		place_open(&p, way, 0);
		assert_int_equal(write(p.fds[1], "hello", 5), 5);
		assert_int_equal(fl_region_read_behind(&p.reader, p.region, p.fds[0],
						       "oh, ", 4, 30000, &data), 5);
		assert_memory_equal(data, "oh, hello", 9);
		assert_int_equal(((uintptr_t)data + 4) % FL_READ_ALIGN, 0);
		assert_int_equal(p.reader.copied_bytes,
				 ways[way].how == FL_READ_BOUNCE ? 9 : 4);
		assert_int_equal(p.reader.wasted_bytes, 60 +
				 (ways[way].how == FL_READ_KEEP ? 30000 - 5 : 0));
		shutdown(p.fds[1], SHUT_WR);
		assert_int_equal(fl_region_read_behind(&p.reader, p.region, p.fds[0],
						       "x", 1, 100, &data), 0);
		assert_null(data);
		place_close(&p);
	}
}

static void at_the_end(void **state)
{
	struct place p;
	void *data = &p;

	(void)state;
	for (size_t way = 0; way < nr_ways; way++) {
		place_open(&p, way, 0);
		close(p.fds[1]);
		p.fds[1] = -1;
		assert_int_equal(fl_region_read(&p.reader, p.region, p.fds[0],
						100, &data), 0);
		assert_null(data);
		assert_int_equal(fl_region_read_all(&p.reader, p.region,
						    p.fds[0], 100, &data), 0);
		assert_null(data);
		place_close(&p);
	}
}

static void refused(void **state)
{
	struct place p;
	void *data = &p;

	(void)state;
	for (size_t way = 0; way < nr_ways; way++) {
		place_open(&p, way, 0);
		assert_int_equal(fcntl(p.fds[0], F_SETFL, O_NONBLOCK), 0);
		if (ways[way].by == FL_READ_BY_CALL)
			assert_int_equal(fl_region_read(&p.reader, p.region, p.fds[0],
							100, &data), -EAGAIN);
		assert_int_equal(fl_region_read(&p.reader, p.region, -1, 100,
						&data), -EBADF);
		assert_null(data);
		assert_int_equal(fl_region_read_all(&p.reader, p.region, -1, 100,
						    &data), -EBADF);
		place_close(&p);
	}
}

static void on_signal(int signal)
{
	(void)signal;
}

struct sender {
	pthread_t reader;
	int fd;
};

/* Interrupts a reader that sleeps, and at last sends something. */
static void *interrupt(void *arg)
{
	const struct sender *s = arg;
	const struct timespec pause = { .tv_nsec = 5000000 };

	for (int i = 0; i < 10; i++) {
		nanosleep(&pause, NULL);
		pthread_kill(s->reader, SIGUSR1);
	}
	nanosleep(&pause, NULL);
	return write(s->fd, "late", 4) == 4 ? NULL : arg;
}

static void interrupted(void **state)
{
	struct sigaction act = { .sa_handler = on_signal }, old;
	struct place p;

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &act, &old), 0);
	for (size_t way = 0; way < nr_ways; way++) {
		struct sender sender = { .reader = pthread_self() };
		void *data, *failed;
		pthread_t thread;

		place_open(&p, way, 0);
		sender.fd = p.fds[1];
		assert_int_equal(pthread_create(&thread, NULL, interrupt, &sender), 0);
		assert_int_equal(fl_region_read(&p.reader, p.region, p.fds[0],
						100, &data), 4);
		assert_memory_equal(data, "late", 4);
		pthread_join(thread, &failed);
		assert_null(failed);
		assert_true(p.reader.nr_calls > 1);
		place_close(&p);
	}
	sigaction(SIGUSR1, &old, NULL);
}

/* All that a socket delivers, in pieces, is one object. */
static void *send_pieces(void *arg)
{
	const int fd = *(const int *)arg;
	char piece[1000];

	for (int i = 0; i < 300; i++) {
		memset(piece, i, sizeof(piece));
		if (write(fd, piece, sizeof(piece)) != sizeof(piece))
			return arg;
	}
	shutdown(fd, SHUT_WR);
	return NULL;
}

static void all_of_a_socket(void **state)
{
	struct place p;

	(void)state;
	for (size_t way = 0; way < nr_ways; way++) {
		void *data, *failed;
		pthread_t thread;

		place_open(&p, way, 0);
		assert_int_equal(pthread_create(&thread, NULL, send_pieces,
						&p.fds[1]), 0);
		assert_int_equal(fl_region_read_all(&p.reader, p.region,
						    p.fds[0], 1 << 20, &data),
				 300000);
		pthread_join(thread, &failed);
		assert_null(failed);
		for (int i = 0; i < 300000; i++)
			assert_int_equal(((unsigned char *)data)[i],
					 (unsigned char)(i / 1000));
		place_close(&p);
	}
}

static void no_memory(void **state)
{
	struct place p;
	void *data;

	(void)state;
	place_open(&p, 0, 2 * BLOCK_BYTES);
	assert_int_equal(write(p.fds[1], "x", 1), 1);
	assert_int_equal(fl_region_read(&p.reader, p.region, p.fds[0], 1 << 20,
					&data), -ENOMEM);
	assert_null(data);
	/* Nothing was taken from the socket. */
	assert_int_equal(fl_region_read(&p.reader, p.region, p.fds[0], 1000,
					&data), 1);
	place_close(&p);
}

static void cannot_give_back(void **state)
{
	struct place p;
	struct fl_reader r;

	(void)state;
	place_open(&p, 4, 0);
	assert_int_equal(fl_read_best(p.s), FL_READ_BOUNCE);
	assert_int_equal(fl_reader_open(&r, p.s, FL_READ_GIVE_BACK, 100), -ENOTSUP);
	place_close(&p);
}

/* A buffer can be registered only if there is one; the reader goes on as it was. */
static void nothing_to_register(void **state)
{
	struct place p;
	void *data;

	(void)state;
	place_open(&p, 0, 0);
	assert_int_equal(fl_reader_by(&p.reader, FL_READ_BY_RING_FIXED), -EINVAL);
	assert_int_equal(write(p.fds[1], "x", 1), 1);
	assert_int_equal(fl_region_read(&p.reader, p.region, p.fds[0], 1000,
					&data), 1);
	place_close(&p);
}

static bool rings(void)
{
	struct fl_reader r;
	struct fl_strategy none = { .name = "" };
	int err;

	assert_int_equal(fl_reader_open(&r, &none, FL_READ_BOUNCE, 1 << 20), 0);
	err = fl_reader_by(&r, FL_READ_BY_RING_FIXED);
	fl_reader_close(&r);
	if (err)
		print_message("# SKIP reads by io_uring: %s\n", strerror(-err));
	return !err;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_reads),
		cmocka_unit_test(behind_a_head),
		cmocka_unit_test(at_the_end),
		cmocka_unit_test(refused),
		cmocka_unit_test(interrupted),
		cmocka_unit_test(all_of_a_socket),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(cannot_give_back),
		cmocka_unit_test(nothing_to_register),
	};

	if (!rings())
		nr_ways = NR_WAYS_BY_CALL;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

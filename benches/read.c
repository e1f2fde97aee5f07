/* SPDX-License-Identifier: MIT */
/*
 * read: what it costs to read into a region, held against read() into a buffer that
 * is always the same, warm, and aligned to 64 bytes.
 *
 *  way=raw         read() into that buffer
 *  way=unaligned   the same, 8 bytes further: 8 bytes after a page's beginning
 *  way=unaligned_far  the same, 8 bytes before a page's end
 *  way=malloc      read() into a new malloc of as much as is asked for; freed together
 *  way=give_back   fl_region_read, into a chunk, the rest of which goes back
 *  way=bounce      fl_region_read, into a buffer, then copied
 *  way=keep        fl_region_read, into an object of as much as is asked for
 *  way=guard       read() without a size, upwards to a guard that ends it
 *
 * Those of the region by read() (by=call), by io_uring (by=ring), or by io_uring into a
 * registered buffer (by=ring_fixed; bounce).
 *
 * An op is one read.  What is asked for, and how much of it there is to come, are
 * tunables.  Before each read the file begins anew (lseek), or the pipe or socket is
 * filled; that is in the time of all ways.  A region is reset after LIFE_BYTES that were
 * asked for.  Each read must return what there was, and its first and last byte are
 * looked at.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "benches/carrier.h"
#include "faultline/bench.h"
#include "faultline/read.h"
#include "vm/guard.h"
#include "vm/reserve.h"

enum { WAY, BY, STRATEGY, SOURCE, ASK, COME, BLOCK };
enum { RAW, UNALIGNED, UNALIGNED_FAR, MALLOC, GIVE_BACK, BOUNCE, KEEP, GUARD };
enum { SOURCE_FILE, SOURCE_PIPE, SOURCE_SOCKET };

#define LIFE_BYTES	((uint64_t)512 << 10)
#define READS_MAX	4096u
#define PIECE		256u

static const char *const ways[] = {
	"raw", "unaligned", "unaligned_far", "malloc", "give_back", "bounce", "keep", "guard", NULL
};
static const char *const bys[] = { "call", "ring", "ring_fixed", NULL };
static const char *const strategies[] = {
	"bump_down", "bump_up", "segv_redirect", "demand_zero", "segv_extend",
	"uffd_rw", NULL
};
static const char *const sources[] = { "file", "pipe", "socket", NULL };

static const struct fl_tunable tunables[] = {
	[WAY] = {
		.name = "way", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "where it is read to", .choices = ways,
	},
	[BY] = {
		.name = "by", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "how the kernel is asked (give_back, bounce, keep)",
		.choices = bys,
	},
	[STRATEGY] = {
		.name = "strategy", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "whose region it is (give_back, bounce, keep)",
		.choices = strategies,
	},
	[SOURCE] = {
		.name = "source", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "what is read from; a file is in the page cache",
		.choices = sources,
	},
	[ASK] = {
		.name = "ask", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "bytes asked for", .def = 64 << 10, .min = 4 << 10,
		.max = 64 << 10,
	},
	[COME] = {
		.name = "come", .unit = "%", .kind = FL_TUNABLE_COUNT,
		.help = "of what is asked for, how much comes",
		.def = 100, .min = 1, .max = 100,
	},
	[BLOCK] = {
		.name = "block", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "size of a block, if the strategy has any",
		.def = 1 << 20, .min = 4 << 10, .max = 1 << 30,
	},
};

enum { WASTED, COPIED, CALLS };

static const struct fl_bench_metric metrics[] = {
	[WASTED] = { "wasted_bytes", "bytes", "per read: asked for, held, and not come" },
	[COPIED] = { "copied_bytes", "bytes", "per read: copied in user space" },
	[CALLS] = { "reads", "1", "read() or io_uring_enter() calls per op" },
};

/* One sample. */
struct work {
	const struct fl_bench_args *args;
	struct carrier on;
	struct fl_reader reader;
	char *content, *buffer, *guarded;
	void *kept[READS_MAX];		/* malloc */
	int from, to;
	uint64_t way, ask, come, nr_life, nr_reads, nr_calls;
	int error;
};

/* There are more to come than the @w->come bytes that fit below the guard. */
static ssize_t read_to_guard(struct work *w, char **data)
{
	*data = w->guarded - w->come;
	w->nr_calls++;
	return read(w->from, *data, w->ask);
}

static ssize_t read_plainly(struct work *w, char *to, char **data)
{
	*data = to;
	w->nr_calls++;
	return to ? read(w->from, to, w->ask) : -1;
}

static void over(struct work *w)
{
	if (w->on.region)
		w->on.strategy->region_reset(w->on.region);
	while (w->way == MALLOC && w->nr_life)
		free(w->kept[--w->nr_life]);
	w->nr_life = 0;
}

static ssize_t read_once(struct work *w, char **data)
{
	void *object;
	ssize_t n;

	switch (w->way) {
	case RAW:
		return read_plainly(w, w->buffer, data);
	case UNALIGNED:
		return read_plainly(w, w->buffer + 8, data);
	case UNALIGNED_FAR:
		return read_plainly(w, w->buffer + fl_page_bytes() - 8, data);
	case MALLOC:
		w->kept[w->nr_life] = malloc(w->ask);
		return read_plainly(w, w->kept[w->nr_life], data);
	case GUARD:
		return read_to_guard(w, data);
	default:
		n = fl_region_read(&w->reader, w->on.region, w->from, w->ask, &object);
		*data = object;
		return n;
	}
}

/* There is something to be read again. */
static bool supply(struct work *w)
{
	if (w->args->values[SOURCE] == SOURCE_FILE)
		return !lseek(w->from, 0, SEEK_SET);
	return write(w->to, w->content, w->come) == (ssize_t)w->come;
}

static void op(struct work *w)
{
	char *data = NULL;
	ssize_t n;

	n = supply(w) ? read_once(w, &data) : -EIO;
	if (n != (ssize_t)w->come || data[0] != w->content[0] ||
	    data[n - 1] != w->content[n - 1])
		w->error = n < 0 ? (int)n : -EIO;
	w->nr_reads++;
	w->nr_life++;
	if (w->nr_life * w->ask >= LIFE_BYTES || w->nr_life == READS_MAX)
		over(w);
}

static void ops(struct work *w, uint64_t nr)
{
	for (uint64_t i = 0; i < nr && !w->error; i++) {
		op(w);
		if (w->args->planted && i % FL_BENCH_PLANTED_EVERY == 0)
			op(w);
	}
}

static int open_source(struct work *w)
{
	const uint64_t file_bytes = w->way == GUARD ? w->ask : w->come;
	int fds[2], bytes = 1 << 20;

	switch (w->args->values[SOURCE]) {
	case SOURCE_FILE:
		w->from = memfd_create("bench-read", MFD_CLOEXEC);
		return w->from < 0 ||
		       pwrite(w->from, w->content, file_bytes, 0) !=
		       (ssize_t)file_bytes ? -errno : 0;
	case SOURCE_PIPE:
		if (pipe(fds))
			return -errno;
		break;
	default:
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
			return -errno;
		setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	}
	w->from = fds[0];
	w->to = fds[1];
	return 0;
}

static int open_region(struct work *w, char *reason, size_t reason_bytes)
{
	const char *name = strategies[w->args->values[STRATEGY]];
	const struct fl_open_args need = {
		.object_bytes_max = w->ask + 4096,
		.region_bytes_max = 4 * LIFE_BYTES, .nr_regions_max = 1,
	};
	int err = carrier_open(&w->on, w->args, name, w->args->values[BLOCK],
			       &need, reason, reason_bytes);

	if (err)
		return err;
	err = fl_reader_open(&w->reader, w->on.strategy, w->way == GIVE_BACK ?
		FL_READ_GIVE_BACK : w->way == BOUNCE ? FL_READ_BOUNCE :
		FL_READ_KEEP, w->ask);
	if (err)
		snprintf(reason, reason_bytes, "%s cannot give back: set way=bounce or keep",
			 name);
	if (!err) {
		err = fl_reader_by(&w->reader, (enum fl_read_by)w->args->values[BY]);
		if (err)
			snprintf(reason, reason_bytes, "by=%s: %s",
				 bys[w->args->values[BY]], strerror(-err));
	}
	return err;
}

static int measure(struct work *w, struct fl_bench_result *result)
{
	const struct fl_bench_args *args = w->args;
	uint64_t begin;

	ops(w, 2 * PIECE);
	w->nr_reads = w->nr_calls = w->reader.nr_calls = w->reader.copied_bytes = 0;
	args->meter->start(args->meter);
	for (uint64_t i = 0, n; i < args->nr_ops; i += n) {
		n = args->nr_ops - i < PIECE ? args->nr_ops - i : PIECE;
		begin = fl_bench_piece_begin(args);
		ops(w, n);
		fl_bench_piece_end(args, begin, n, result);
	}
	args->meter->stop(args->meter);
	if (!w->error) {
		result->values[WASTED] = w->way == KEEP || w->way == MALLOC ?
			(double)(w->ask - w->come) : 0;
		result->values[COPIED] = (double)w->reader.copied_bytes /
					 (double)w->nr_reads;
		result->values[CALLS] = (double)(w->nr_calls + w->reader.nr_calls) /
					(double)w->nr_reads;
	}
	for (uint64_t i = 0; i < args->nr_single; i++) {
		uint64_t one;

		begin = fl_bench_piece_begin(args);
		one = fl_ticks();
		ops(w, 1);
		args->latency->add(args->latency, fl_ticks() - one);
		fl_bench_piece_end(args, begin, 0, result);
	}
	return w->error;
}

static int open_buffers(struct work *w, char **pages, size_t bytes)
{
	int err = fl_reserve(bytes, FL_OPEN, pages);

	if (err)
		return err;
	w->content = *pages;
	w->buffer = *pages + w->ask;
	w->guarded = *pages + bytes - fl_page_bytes();
	for (size_t i = 0; i < bytes; i++)
		(*pages)[i] = (char)(i * 31 + 7);
	return fl_guard_install(w->guarded, fl_page_bytes(), FL_GUARD_PROT_NONE);
}

static int read_run(const struct fl_bench_args *args,
		    struct fl_bench_result *result, char *reason,
		    size_t reason_bytes)
{
	struct work *w = calloc(1, sizeof(*w));
	size_t bytes;
	char *pages;
	int err;

	if (!w)
		return -ENOMEM;
	w->args = args;
	w->way = args->values[WAY];
	w->ask = args->values[ASK];
	w->come = w->ask * args->values[COME] / 100;
	w->from = w->to = -1;
	bytes = 3 * w->ask + 2 * fl_page_bytes();
	err = open_buffers(w, &pages, bytes);
	if (err)
		goto free_work;
	err = open_source(w);
	if (!err && (w->way == GIVE_BACK || w->way == BOUNCE || w->way == KEEP))
		err = open_region(w, reason, reason_bytes);
	if (!err)
		err = measure(w, result);
	if (err && !*reason)
		snprintf(reason, reason_bytes,
			 "a read did not bring the %llu bytes there were: %s",
			 (unsigned long long)w->come, strerror(-err));
	if (w->way == MALLOC)
		over(w);
	fl_reader_close(&w->reader);
	carrier_close(&w->on);
	if (w->from >= 0)
		close(w->from);
	if (w->to >= 0)
		close(w->to);
	fl_release(pages, bytes);
free_work:
	free(w);
	return err;
}

static int read_probe(const uint64_t *values, char *reason, size_t reason_bytes)
{
	const bool region = values[WAY] == GIVE_BACK || values[WAY] == BOUNCE ||
			    values[WAY] == KEEP;

	if (values[BY] != FL_READ_BY_CALL && !region) {
		snprintf(reason, reason_bytes,
			 "way=%s is read() alone: set by=call", ways[values[WAY]]);
		return -EINVAL;
	}
	if (values[BY] == FL_READ_BY_RING_FIXED && values[WAY] != BOUNCE) {
		snprintf(reason, reason_bytes,
			 "only a buffer of the reader's own can be registered: set way=bounce");
		return -EINVAL;
	}
	if (values[BY] != FL_READ_BY_CALL)
		return carrier_probe_ring((enum fl_read_by)values[BY], values[ASK],
					  reason, reason_bytes);
	if (values[WAY] != GUARD || values[SOURCE] == SOURCE_FILE)
		return 0;
	snprintf(reason, reason_bytes,
		 "what a pipe or socket has delivered to a guard may be lost: set source=file");
	return -EINVAL;
}

FL_BENCH(
	.name = "read",
	.summary = "reads into regions, by where the bytes go first",
	.op = "read",
	.ops_default = 1 << 14,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.metrics = metrics,
	.nr_metrics = sizeof(metrics) / sizeof(metrics[0]),
	.probe = read_probe,
	.run = read_run,
);

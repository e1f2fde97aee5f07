/* SPDX-License-Identifier: MIT */
/*
 * read_job: reads at work: HTTP requests come over a connection, are read, parsed in
 * place, and live until the connection's end.
 *
 *  way=malloc      read() into a malloc of as much as is asked for; the structures
 *                  from malloc, too; all freed one by one
 *  way=give_back   fl_region_read_behind, into a chunk, the rest of which goes back; the
 *                  structures are objects of the same region, which is reset
 *  way=bounce      the same, into a buffer, then copied
 *  way=keep        the same, into an object of as much as is asked for
 *
 * An op is one connection, which brings about 60 KiB of requests at once; each read takes
 * what `ask` says.  A request that a read cut in two is moved before what the next
 * one brings.  The parser is the same (benches/http.h), and so is what all of it adds
 * up to, which is compared.  Filling the socket, or rewinding the file, is in the time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "benches/carrier.h"
#include "benches/http.h"
#include "faultline/bench.h"
#include "faultline/read.h"

enum { WAY, BY, STRATEGY, SOURCE, ASK, BLOCK };
enum { MALLOC, GIVE_BACK, BOUNCE, KEEP };
enum { SOURCE_SOCKET, SOURCE_FILE };

#define STREAM_BYTES	((size_t)60 << 10)

/* Least of a read: more than the longest request, so that one is cut in two at most. */
#define ASK_MIN		((uint64_t)4 << 10)
#define READS_MAX	(2 * (unsigned)(STREAM_BYTES / ASK_MIN) + 8)

#define WARM_CONNECTIONS	32u

static const char *const ways[] = { "malloc", "give_back", "bounce", "keep", NULL };
static const char *const bys[] = { "call", "ring", "ring_fixed", NULL };
static const char *const strategies[] = {
	"bump_down", "bump_up", "segv_redirect", "demand_zero", "segv_extend", NULL
};
static const char *const sources[] = { "socket", "file", NULL };

static const struct fl_tunable tunables[] = {
	[WAY] = {
		.name = "way", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "where requests and structures go", .choices = ways,
	},
	[BY] = {
		.name = "by", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "how the kernel is asked; ring_fixed: way=bounce",
		.choices = bys,
	},
	[STRATEGY] = {
		.name = "strategy", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "whose region a connection has (but for malloc)",
		.choices = strategies,
	},
	[SOURCE] = {
		.name = "source", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "what is read from; a file is in the page cache",
		.choices = sources,
	},
	[ASK] = {
		.name = "ask", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "bytes asked for by each read",
		.def = 16 << 10, .min = ASK_MIN, .max = 64 << 10,
	},
	[BLOCK] = {
		.name = "block", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "size of a block, if the strategy has any",
		.def = 256 << 10, .min = 4 << 10, .max = 1 << 30,
	},
};

enum { WASTED, COPIED, CALLS, REQUESTS };

static const struct fl_bench_metric metrics[] = {
	[WASTED] = { "wasted_bytes", "bytes", "per connection: held for reads, and nothing in it" },
	[COPIED] = { "copied_bytes", "bytes", "per connection: copied in user space" },
	[CALLS] = {
		"reads", "1", "read() or io_uring_enter() calls per connection",
	},
	[REQUESTS] = { "requests", "1", "per connection" },
};

/* One sample. */
struct work {
	const struct fl_bench_args *args;
	struct carrier on;
	struct fl_reader reader;
	struct http_memory memory;
	char *stream;
	size_t bytes;
	unsigned nr_requests;		/* of a connection */
	uint64_t sum;			/* of all of them, as generated */
	int from, to;
	uint64_t way, ask;
	struct http_request *requests;	/* of this connection, newest first */
	char *buffers[READS_MAX];	/* malloc */
	unsigned nr_buffers;
	uint64_t nr_served;		/* connections */
	int error;
};

static void *from_malloc(void *context, size_t bytes)
{
	(void)context;
	return malloc(bytes);
}

static void *from_region(void *context, size_t bytes)
{
	const struct carrier *on = context;
	void *object = on->strategy->object_new(on->region, bytes, 8, 0);

	return on->region->error ? NULL : object;
}

static ssize_t read_to_malloc(struct work *w, const char *head, size_t head_bytes,
			      char **data)
{
	char *buffer = w->nr_buffers < READS_MAX ? malloc(head_bytes + w->ask) : NULL;
	ssize_t n;

	if (!buffer)
		return -ENOMEM;
	w->buffers[w->nr_buffers++] = buffer;
	if (head_bytes)
		memcpy(buffer, head, head_bytes);
	w->reader.nr_calls++;
	n = read(w->from, buffer + head_bytes, w->ask);
	w->reader.copied_bytes += head_bytes;
	w->reader.wasted_bytes += w->ask - (n > 0 ? (size_t)n : 0);
	*data = buffer;
	return n < 0 ? -errno : n;
}

/* What is left of the last read, and what comes behind it. */
static ssize_t read_more(struct work *w, const char *head, size_t head_bytes, char **data)
{
	void *object;
	ssize_t n;

	if (w->way == MALLOC)
		return read_to_malloc(w, head, head_bytes, data);
	n = fl_region_read_behind(&w->reader, w->on.region, w->from, head, head_bytes,
				  w->ask, &object);
	*data = object;
	return n;
}

static void forget(struct work *w, struct http_request *r)
{
	struct http_field *f = r ? r->fields : NULL;

	if (w->way != MALLOC)
		return;
	while (f) {
		struct http_field *next = f->next;

		free(f);
		f = next;
	}
	free(r);
}

/* All whole requests in @data.  Returns their bytes, or -errno. */
static ptrdiff_t parse(struct work *w, const char *data, size_t bytes)
{
	size_t at = 0;

	while (at < bytes) {
		struct http_request *r;
		const ptrdiff_t n = http_parse(data + at, bytes - at, &w->memory, &r);

		if (n <= 0) {
			forget(w, r);
			if (n)
				return n;
			break;
		}
		r->next = w->requests;
		w->requests = r;
		at += (size_t)n;
	}
	return (ptrdiff_t)at;
}

static bool supply(struct work *w)
{
	if (w->args->values[SOURCE] == SOURCE_FILE)
		return !lseek(w->from, 0, SEEK_SET);
	return write(w->to, w->stream, w->bytes) == (ssize_t)w->bytes;
}

static void over(struct work *w)
{
	while (w->requests) {
		struct http_request *r = w->requests;

		w->requests = w->way == MALLOC ? r->next : NULL;
		forget(w, r);
	}
	while (w->nr_buffers)
		free(w->buffers[--w->nr_buffers]);
	if (w->on.region)
		w->on.strategy->region_reset(w->on.region);
}

static int check(const struct work *w)
{
	uint64_t sum = 0;
	unsigned nr = 0;

	for (const struct http_request *r = w->requests; r; r = r->next, nr++)
		sum += http_sum(r);
	return nr == w->nr_requests && sum == w->sum ? 0 : -EIO;
}

/* A connection, from its first byte to its end. */
static void serve(struct work *w)
{
	size_t come = 0, head_bytes = 0;
	const char *head = NULL;
	int err = supply(w) ? 0 : -EIO;

	while (!err && come < w->bytes) {
		char *data;
		const ssize_t n = read_more(w, head, head_bytes, &data);
		ptrdiff_t used;

		if (n <= 0) {
			err = n ? (int)n : -EIO;
			break;
		}
		come += (size_t)n;
		used = parse(w, data, head_bytes + (size_t)n);
		if (used < 0) {
			err = (int)used;
			break;
		}
		head = data + used;
		head_bytes = head_bytes + (size_t)n - (size_t)used;
	}
	if (!err)
		err = check(w);
	if (err)
		w->error = err;
	w->nr_served++;
	over(w);
}

static void connection(struct work *w, uint64_t nr)
{
	serve(w);
	if (w->args->planted && nr % FL_BENCH_PLANTED_EVERY == 0 && !w->error)
		serve(w);
}

static int measure(struct work *w, struct fl_bench_result *result)
{
	const struct fl_bench_args *args = w->args;
	uint64_t begin, i;

	for (i = 0; i < WARM_CONNECTIONS && !w->error; i++)
		serve(w);
	w->nr_served = 0;
	w->reader.nr_calls = w->reader.copied_bytes = w->reader.wasted_bytes = 0;
	args->meter->start(args->meter);
	for (i = 0; i < args->nr_ops && !w->error; i++) {
		begin = fl_bench_piece_begin(args);
		connection(w, i);
		fl_bench_piece_end(args, begin, 1, result);
	}
	args->meter->stop(args->meter);
	if (w->error)
		return w->error;
	result->values[WASTED] = (double)w->reader.wasted_bytes / (double)w->nr_served;
	result->values[COPIED] = (double)w->reader.copied_bytes / (double)w->nr_served;
	result->values[CALLS] = (double)w->reader.nr_calls / (double)w->nr_served;
	result->values[REQUESTS] = w->nr_requests;
	for (i = 0; i < args->nr_single && !w->error; i++) {
		uint64_t one;

		begin = fl_bench_piece_begin(args);
		one = fl_ticks();
		serve(w);
		args->latency->add(args->latency, fl_ticks() - one);
		fl_bench_piece_end(args, begin, 0, result);
	}
	return w->error;
}

static int open_source(struct work *w)
{
	int fds[2], bytes = 1 << 20;

	if (w->args->values[SOURCE] == SOURCE_FILE) {
		w->from = memfd_create("bench-read-job", MFD_CLOEXEC);
		return w->from < 0 || pwrite(w->from, w->stream, w->bytes, 0) !=
		       (ssize_t)w->bytes ? -errno : 0;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return -errno;
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	w->from = fds[0];
	w->to = fds[1];
	return 0;
}

static int open_reader(struct work *w, char *reason, size_t reason_bytes)
{
	static const enum fl_read_how hows[] = {
		[GIVE_BACK] = FL_READ_GIVE_BACK, [BOUNCE] = FL_READ_BOUNCE,
		[KEEP] = FL_READ_KEEP,
	};
	const char *name = strategies[w->args->values[STRATEGY]];
	const struct fl_open_args need = {
		.object_bytes_max = w->ask + 64 * 1024,
		.region_bytes_max = 16 * (uint64_t)STREAM_BYTES + READS_MAX * w->ask,
		.nr_regions_max = 1,
	};
	int err;

	w->memory = (struct http_memory){ from_malloc, NULL };
	if (w->way == MALLOC)
		return 0;
	err = carrier_open(&w->on, w->args, name, w->args->values[BLOCK], &need,
			   reason, reason_bytes);
	if (err)
		return err;
	w->memory = (struct http_memory){ from_region, &w->on };
	err = fl_reader_open(&w->reader, w->on.strategy, hows[w->way], w->ask);
	if (err) {
		snprintf(reason, reason_bytes, "%s cannot give back: set way=bounce or keep",
			 name);
		return err;
	}
	err = fl_reader_by(&w->reader, (enum fl_read_by)w->args->values[BY]);
	if (err)
		snprintf(reason, reason_bytes, "by=%s: %s", bys[w->args->values[BY]],
			 strerror(-err));
	return err;
}

/* What all requests add up to, from the stream itself. */
static int expect(struct work *w)
{
	const struct http_memory memory = { from_malloc, NULL };

	w->stream = malloc(STREAM_BYTES);
	if (!w->stream)
		return -ENOMEM;
	w->bytes = http_generate(w->stream, STREAM_BYTES, &w->nr_requests);
	for (size_t at = 0; at < w->bytes;) {
		struct http_request *r;
		ptrdiff_t n = http_parse(w->stream + at, w->bytes - at, &memory, &r);
		const uint64_t way = w->way;

		if (n > 0)
			w->sum += http_sum(r);
		w->way = MALLOC;
		forget(w, r);
		w->way = way;
		if (n <= 0)
			return n ? (int)n : -EBADMSG;
		at += (size_t)n;
	}
	return 0;
}

static int read_job_run(const struct fl_bench_args *args,
			struct fl_bench_result *result, char *reason,
			size_t reason_bytes)
{
	struct work *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	w->args = args;
	w->way = args->values[WAY];
	w->ask = args->values[ASK];
	w->from = w->to = -1;
	err = expect(w);
	if (!err)
		err = open_source(w);
	if (!err)
		err = open_reader(w, reason, reason_bytes);
	if (!err)
		err = measure(w, result);
	if (err && !*reason)
		snprintf(reason, reason_bytes,
			 "a connection's %u requests are not what was sent: %s",
			 w->nr_requests, strerror(-err));
	fl_reader_close(&w->reader);
	carrier_close(&w->on);
	if (w->from >= 0)
		close(w->from);
	if (w->to >= 0)
		close(w->to);
	free(w->stream);
	free(w);
	return err;
}

static int read_job_probe(const uint64_t *values, char *reason, size_t reason_bytes)
{
	if (values[BY] != FL_READ_BY_CALL && values[WAY] == MALLOC) {
		snprintf(reason, reason_bytes, "way=malloc is read() alone: set by=call");
		return -EINVAL;
	}
	if (values[BY] == FL_READ_BY_RING_FIXED && values[WAY] != BOUNCE) {
		snprintf(reason, reason_bytes,
			 "only a buffer of the reader's own can be registered: set way=bounce");
		return -EINVAL;
	}
	return carrier_probe_ring((enum fl_read_by)values[BY], values[ASK], reason,
				  reason_bytes);
}

FL_BENCH(
	.name = "read_job",
	.summary = "HTTP requests read and parsed into a connection's region",
	.op = "connection",
	.ops_default = 1 << 10,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.metrics = metrics,
	.nr_metrics = sizeof(metrics) / sizeof(metrics[0]),
	.probe = read_job_probe,
	.run = read_job_run,
);

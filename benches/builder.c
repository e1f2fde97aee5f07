/* SPDX-License-Identifier: MIT */
/*
 * builder: arrays whose length is known when they are done, by who makes room.
 *
 *  policy=link     fl_builder: chunks of the region; linked, or copied at close
 *  policy=region   the same, each array in a region of its own
 *  policy=bound    an object of the region as large as the array might get
 *  policy=realloc  malloc's memory, doubled
 *  policy=realloc_keep  the same, with a malloc that gives nothing back to the kernel
 *  policy=obstack  glibc's growing object
 *  policy=reserve  a reservation, pushed to without a check; pages come by fault
 *  policy=mremap   a mapping, doubled by moving its pages
 *
 * An op is one element of 8 bytes pushed.  Arrays are built, kept, and die together
 * after about a mebibyte of them (or one array): a lifetime, which is a piece of the
 * stretch, with its end.  Timed one by one is an array, over its elements.
 *
 * Memory is accounted for in one lifetime of its own, before anything is warm, by
 * what the kernel says of the process; there, too, every element is read back.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "benches/builder.h"

/* Of elements in a lifetime, where arrays are short; in the accounted one. */
#define LIFE_BYTES	((uint64_t)1 << 20)
#define ACCOUNT_BYTES	((uint64_t)8 << 20)

#define WARM_LIVES	4u

/* bound: how many times too large. */
#define BOUND_FACTOR	4u

static const char *const policies[] = {
	"link", "region", "bound", "realloc", "realloc_keep", "obstack", "reserve",
	"mremap", NULL
};
static const char *const strategies[] = {
	"bump_down", "bump_up", "branch_site", "block_split", "segv_redirect",
	"uffd_redirect", "demand_zero", "segv_extend", "uffd_rw", NULL
};
static const char *const shapes[] = { "together", "nested", NULL };

static const struct fl_tunable tunables[] = {
	[POLICY] = {
		.name = "policy", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "who makes room", .choices = policies,
	},
	[STRATEGY] = {
		.name = "strategy", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "whose region it is, with its default settings (link, "
			"region, bound)",
		.choices = strategies,
	},
	[LENGTH] = {
		.name = "length", .unit = "1", .kind = FL_TUNABLE_COUNT,
		.help = "elements of an array; as many ops at least",
		.def = 64, .min = 1, .max = 100000000,
	},
	[OPEN] = {
		.name = "open", .unit = "1", .kind = FL_TUNABLE_COUNT,
		.help = "builders open at the same time",
		.def = 1, .min = 1, .max = OPEN_MAX,
	},
	[SHAPE] = {
		.name = "shape", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "open > 1: fed in turn, or one inside the other",
		.choices = shapes,
	},
	[BLOCK] = {
		.name = "block", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "size of a block, if the strategy has any",
		.def = 64 << 10, .min = 4 << 10, .max = 1 << 30,
	},
};

enum { LINKED, COPIED, MOVES, PEAK, WASTE };

static const struct fl_bench_metric metrics[] = {
	[LINKED] = { "linked_share", "1", "of the arrays, those linked without a copy" },
	[COPIED] = { "copied_per_byte", "1", "bytes copied for each byte of an array" },
	[MOVES] = {
		"moves", "1",
		"per array: chunks taken, or times that it moved to more room",
	},
	[PEAK] = {
		"peak_per_byte", "1",
		"peak resident bytes for each byte of an array, in one lifetime "
		"(the kernel's word: not exact below a mebibyte)",
	},
	[WASTE] = {
		"waste_bytes", "bytes",
		"per array: resident after all were closed, and not theirs",
	},
};

/* A number of kB that @file says of @name; or 0. */
static uint64_t proc_bytes(const char *file, const char *name)
{
	char line[256];
	uint64_t bytes = 0;
	FILE *f = fopen(file, "re");

	if (!f)
		return 0;
	while (!bytes && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			bytes = strtoull(line + strlen(name), NULL, 10) << 10;
	fclose(f);
	return bytes;
}

static uint64_t resident_bytes(void)
{
	return proc_bytes("/proc/self/smaps_rollup", "Rss:");
}

/* From now on VmHWM counts anew.  False: it does not. */
static bool rewind_peak(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	done = write(fd, "5", 1) == 1;
	close(fd);
	return done;
}

static uint64_t arrays_of_life(const struct work *w, uint64_t life_bytes)
{
	const uint64_t open = w->args->values[OPEN];
	uint64_t nr = life_bytes / (w->length * 8) / open * open;

	nr = nr < ARRAYS_MAX ? nr : ARRAYS_MAX / open * open;
	return nr ? nr : open;
}

/*
 * Planted: what was built for one turn of every FL_BENCH_PLANTED_EVERY is built once
 * more, for nothing.  Longer arrays would not do: one more element can be free.
 */
static bool for_nothing(struct work *w)
{
	return w->args->planted &&
	       w->nr_turns++ % (FL_BENCH_PLANTED_EVERY + 1) == FL_BENCH_PLANTED_EVERY;
}

/* Arrays of @elements in all, at most a lifetime; how many elements that were. */
static uint64_t build(struct work *w, uint64_t elements, uint64_t nr_arrays)
{
	const uint64_t open = w->args->values[OPEN];
	uint64_t done = 0;

	while (done < elements && w->nr_arrays + open <= nr_arrays) {
		const uint64_t left = elements - done;
		const bool all = left >= open * w->length;
		const uint64_t length = all || left > w->length ?
			w->length : left;

		w->way->build(w, all ? open : 1, length);
		if (!for_nothing(w))
			done += all ? open * length : length;
	}
	return done;
}

static void over(struct work *w)
{
	w->way->over(w);
	w->nr_arrays = 0;
}

static int verify(const struct work *w, char *reason, size_t reason_bytes)
{
	for (uint64_t k = 0; k < w->nr_arrays; k++)
		for (uint64_t i = 0; i < w->length; i++)
			if (w->arrays[k].base[i] != i) {
				snprintf(reason, reason_bytes,
					 "element %llu of array %llu is not what was pushed",
					 (unsigned long long)i,
					 (unsigned long long)k);
				return -EIO;
			}
	return 0;
}

static int account(struct work *w, uint64_t before, bool peaks,
		   struct fl_bench_result *result, char *reason,
		   size_t reason_bytes)
{
	const uint64_t nr = arrays_of_life(w, ACCOUNT_BYTES);
	const double bytes = (double)(nr * w->length * 8);
	uint64_t after, peak;
	int err;

	build(w, nr * w->length, nr);
	after = resident_bytes();
	peak = proc_bytes("/proc/self/status", "VmHWM:");
	if (w->error) {
		snprintf(reason, reason_bytes, "an array could not be made: %s",
			 strerror(-w->error));
		return w->error;
	}
	err = verify(w, reason, reason_bytes);
	over(w);
	if (err)
		return err;
	result->values[LINKED] = (double)w->nr_linked / (double)nr;
	result->values[COPIED] = (double)w->copied_bytes / bytes;
	result->values[MOVES] = (double)w->nr_moves / (double)nr;
	if (before && after)
		result->values[WASTE] = ((double)after - (double)before - bytes) /
					(double)nr;
	if (peaks && before && peak)
		result->values[PEAK] = ((double)peak - (double)before) / bytes;
	return 0;
}

static int measure(struct work *w, struct fl_bench_result *result, char *reason,
		   size_t reason_bytes)
{
	const struct fl_bench_args *args = w->args;
	const uint64_t nr = arrays_of_life(w, LIFE_BYTES);
	uint64_t begin, done;

	for (unsigned i = 0; i < WARM_LIVES && (i == 0 || w->length < 1 << 22); i++) {
		build(w, UINT64_MAX, nr);
		over(w);
	}
	args->meter->start(args->meter);
	for (uint64_t left = args->nr_ops; left; left -= done) {
		begin = fl_bench_piece_begin(args);
		do {
			done = build(w, left, nr);
			over(w);
		} while (!done);
		fl_bench_piece_end(args, begin, done, result);
	}
	args->meter->stop(args->meter);
	for (uint64_t i = 0; i < args->nr_single; i++) {
		uint64_t one;

		begin = fl_bench_piece_begin(args);
		one = fl_ticks();
		w->way->build(w, 1, w->length);
		args->latency->add(args->latency,
				   (fl_ticks() - one) / w->length);
		over(w);
		fl_bench_piece_end(args, begin, 0, result);
	}
	if (!w->error)
		return 0;
	snprintf(reason, reason_bytes, "an array could not be made: %s",
		 strerror(-w->error));
	return w->error;
}

/* The strategy's defaults, but for its block. */
static int open_region(struct work *w, char *reason, size_t reason_bytes)
{
	const uint64_t most = w->bound * 8 > ACCOUNT_BYTES ? w->bound * 8 :
		ACCOUNT_BYTES;
	const struct fl_open_args need = {
		.object_bytes_max = w->bound * 8 + 4096,
		.region_bytes_max = (BOUND_FACTOR + 1) * most *
				    w->args->values[OPEN],
		.nr_regions_max = ARRAYS_MAX + 1,
	};

	return carrier_open(&w->on, w->args, strategies[w->args->values[STRATEGY]],
			    w->args->values[BLOCK], &need, reason, reason_bytes);
}

static int builder_run(const struct fl_bench_args *args,
		       struct fl_bench_result *result, char *reason,
		       size_t reason_bytes)
{
	struct work *w = calloc(1, sizeof(*w));
	uint64_t before;
	bool peaks;
	int err = -ENOMEM;

	if (!w)
		return err;
	w->args = args;
	w->way = &builder_ways[args->values[POLICY]];
	w->length = args->values[LENGTH];
	w->bound = w->length * BOUND_FACTOR;
	w->reserve_bytes = ARRAYS_MAX * w->length * 8;
	if (w->reserve_bytes > (uint64_t)1 << 38)
		w->reserve_bytes = (uint64_t)1 << 38;
	w->arrays = malloc(ARRAYS_MAX * sizeof(*w->arrays));
	if (!w->arrays)
		goto free_work;
	/* Resident from now on, so that it counts as nobody's waste. */
	memset(w->arrays, 0xff, ARRAYS_MAX * sizeof(*w->arrays));
	err = w->way->needs_strategy ? open_region(w, reason, reason_bytes) : 0;
	if (err)
		goto close_heap;
	peaks = rewind_peak();
	before = resident_bytes();
	err = w->way->begin(w);
	if (!err)
		err = account(w, before, peaks, result, reason, reason_bytes);
	if (!err)
		err = measure(w, result, reason, reason_bytes);
	w->way->end(w);
close_heap:
	carrier_close(&w->on);
	free(w->arrays);
free_work:
	free(w);
	return err;
}

FL_BENCH(
	.name = "builder",
	.summary = "arrays whose length is known when they are done, by who makes room",
	.op = "element",
	.ops_default = 1 << 24,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.metrics = metrics,
	.nr_metrics = sizeof(metrics) / sizeof(metrics[0]),
	.run = builder_run,
);

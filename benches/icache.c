/* SPDX-License-Identifier: MIT */
/*
 * icache: what allocation sites cost when there are more of them than the instruction
 * cache holds.
 *
 * A strategy's kernel `sites` is 256 different sites in a row, as code that is shipped.
 * Here the module is loaded `copies` times, from as many files, so that there are
 * 256 * copies sites at addresses of their own; and their turns are run in a circle,
 * each site once a round, which is the worst there is for a cache that does not hold
 * all of them.  With copies=1 the same is measured where it does.
 *
 * An op is one allocation.  All sites allocate from one region, which is reset after
 * each turn: no block ends, and the objects stay in the first data cache.  Each copy
 * must return the checksum that the first one does.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "benches/carrier.h"
#include "benches/steps.h"
#include "faultline/bench.h"

enum { STRATEGY, COMPILER, COPIES };
enum { OWN, CLANG };

#define COPIES_MAX	64u
#define BLOCK_BYTES	((uint64_t)64 << 10)
/* As much as regions of a block can have out; it keeps the heap small. */
#define LIMIT_BYTES	((uint64_t)16 << 20)
/* Turns of a piece: some 100 us. */
#define PIECE		1024u

static const char *const strategies[] = {
	"bump_down", "bump_down-plain", "bump_down-ncsr", "bump_down-preserve",
	"bump_down-thunk", "bump_up", "no_check", "segv_redirect", NULL
};
static const char *const compilers[] = { "own", "clang", NULL };

static const struct fl_tunable tunables[] = {
	[STRATEGY] = {
		.name = "strategy", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "whose sites", .choices = strategies,
	},
	[COMPILER] = {
		.name = "compiler", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "who built them: as everything else, or clang",
		.choices = compilers,
	},
	[COPIES] = {
		.name = "copies", .unit = "modules", .kind = FL_TUNABLE_COUNT,
		.help = "how often the module is loaded: 256 sites each",
		.def = 16, .min = 1, .max = COPIES_MAX,
	},
};

enum { INSTRUCTIONS };

static const struct fl_bench_metric metrics[] = {
	[INSTRUCTIONS] = { "site_instructions", "1",
		"per allocation, the turn's own included; run step by step" },
};

typedef int run_function(const struct fl_batch *batch,
			 struct fl_batch_result *result);

struct work {
	struct carrier on;
	void *handles[COPIES_MAX];	/* [0] is the carrier's own: NULL */
	run_function *run[COPIES_MAX];
	uint64_t nr_copies, at;		/* at: whose turn it is */
	struct fl_batch batch;
	uint64_t checksum;
	int err;
};

static run_function *sites_of(const struct fl_strategy *s)
{
	for (size_t i = 0; i < s->nr_kernels; i++) {
		const struct fl_kernel *k = s->kernels + i;

		if (!strcmp(k->name, "sites") && k->residence == FL_REGISTER &&
		    k->mode == FL_TIMED)
			return k->run;
	}
	return NULL;
}

/* A file with the contents of @path; it is gone when it is closed and unmapped. */
static int copy_file(const char *path, char *copy)
{
	const int from = open(path, O_RDONLY | O_CLOEXEC);
	const int to = from < 0 ? -1 : mkostemp(copy, O_CLOEXEC);
	struct stat st;
	off_t at = 0;
	int err = to < 0 || fstat(from, &st) ? -errno : 0;

	while (!err && at < st.st_size)
		if (sendfile(to, from, &at, (size_t)(st.st_size - at)) <= 0)
			err = errno ? -errno : -EIO;
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	if (err && to >= 0)
		unlink(copy);
	return err;
}

/* Another copy of the module at @path. */
static int load_copy(struct work *w, unsigned i, const char *path, char *reason,
		     size_t reason_bytes)
{
	const char *folder = getenv("TMPDIR");
	const struct fl_strategy *s;
	char copy[4096];
	int err;

	snprintf(copy, sizeof(copy), "%s/faultline-icache-XXXXXX",
		 folder && *folder ? folder : "/tmp");
	err = copy_file(path, copy);
	if (err) {
		snprintf(reason, reason_bytes, "%s: no copy at %s: %s", path, copy,
			 strerror(-err));
		return err;
	}
	w->handles[i] = dlopen(copy, RTLD_NOW | RTLD_LOCAL);
	unlink(copy);
	s = w->handles[i] ? dlsym(w->handles[i], FL_STRATEGY_SYMBOL) : NULL;
	w->run[i] = s ? sites_of(s) : NULL;
	if (w->run[i])
		return 0;
	snprintf(reason, reason_bytes, "a copy of %s cannot be loaded: %s", path,
		 w->handles[i] ? "no kernel sites in it" : dlerror());
	return -ENOEXEC;
}

static int load(struct work *w, const struct fl_bench_args *args, char *reason,
		size_t reason_bytes)
{
	const struct fl_open_args need = {
		.object_bytes_max = 128, .region_bytes_max = BLOCK_BYTES / 2,
		.nr_regions_max = 1, .limit_bytes = LIMIT_BYTES,
	};
	char name[64];
	Dl_info info;
	int err;

	snprintf(name, sizeof(name), "%s%s", strategies[args->values[STRATEGY]],
		 args->values[COMPILER] == CLANG ? "@clang" : "");
	err = carrier_open(&w->on, args, name, BLOCK_BYTES, &need, reason,
			   reason_bytes);
	if (err)
		return err;
	w->run[0] = sites_of(w->on.strategy);
	if (!w->run[0] || !dladdr(w->on.strategy, &info)) {
		snprintf(reason, reason_bytes, "%s has no kernel sites", name);
		return -ENOEXEC;
	}
	w->nr_copies = args->values[COPIES];
	for (unsigned i = 1; i < w->nr_copies && !err; i++)
		err = load_copy(w, i, info.dli_fname, reason, reason_bytes);
	w->batch = (struct fl_batch){
		.heap = w->on.heap, .region = w->on.region, .nr_lifetimes = 1,
		.nr_objects = FL_NR_SITES,
	};
	return err;
}

static void turns(struct work *w, uint64_t nr)
{
	struct fl_batch_result result;

	for (; nr; nr--) {
		w->run[w->at](&w->batch, &result);
		w->at = w->at + 1 < w->nr_copies ? w->at + 1 : 0;
		if (fl_unlikely(result.checksum != w->checksum || result.error))
			w->err = -EILSEQ;
	}
}

/* One turn of each copy. */
static void round_trip(void *of)
{
	struct work *w = of;

	w->at = 0;
	turns(w, w->nr_copies);
}

static void nothing(void *of)
{
	(void)of;
}

static int measure(struct work *w, const struct fl_bench_args *args,
		   struct fl_bench_result *result)
{
	struct fl_batch_result first;
	uint64_t stepped, begin;

	w->run[0](&w->batch, &first);
	w->checksum = first.checksum;
	round_trip(w);
	stepped = steps_of(round_trip, w);
	if (stepped)
		result->values[INSTRUCTIONS] =
			(double)(stepped - steps_of(nothing, w)) /
			(double)(w->nr_copies * FL_NR_SITES);
	turns(w, PIECE);
	args->meter->start(args->meter);
	for (uint64_t left = args->nr_ops / FL_NR_SITES, n; left; left -= n) {
		n = left < PIECE ? left : PIECE;
		begin = fl_bench_piece_begin(args);
		turns(w, n + (args->planted ? n / FL_BENCH_PLANTED_EVERY + 1 : 0));
		fl_bench_piece_end(args, begin, n * FL_NR_SITES, result);
	}
	args->meter->stop(args->meter);
	for (uint64_t i = 0; i < args->nr_single; i++) {
		uint64_t one;

		begin = fl_bench_piece_begin(args);
		one = fl_ticks();
		turns(w, 1);
		args->latency->add(args->latency, (fl_ticks() - one) / FL_NR_SITES);
		fl_bench_piece_end(args, begin, 0, result);
	}
	return w->err;
}

static int icache_run(const struct fl_bench_args *args,
		      struct fl_bench_result *result, char *reason,
		      size_t reason_bytes)
{
	struct work *w;
	int err;

	if (args->nr_ops % FL_NR_SITES) {
		snprintf(reason, reason_bytes,
			 "%llu allocations are no whole number of turns: set ops to a multiple of %u",
			 (unsigned long long)args->nr_ops, FL_NR_SITES);
		return -EINVAL;
	}
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	err = load(w, args, reason, reason_bytes);
	if (!err) {
		err = measure(w, args, result);
		if (err)
			snprintf(reason, reason_bytes,
				 "a copy's objects were not what the first one's were");
	}
	carrier_close(&w->on);
	for (unsigned i = 0; i < COPIES_MAX; i++)
		if (w->handles[i])
			dlclose(w->handles[i]);
	free(w);
	return err;
}

FL_BENCH(
	.name = "icache",
	.summary = "allocation sites, more of them than the instruction cache holds",
	.op = "allocation",
	.ops_default = 1 << 22,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.metrics = metrics,
	.nr_metrics = sizeof(metrics) / sizeof(metrics[0]),
	.run = icache_run,
);

/* SPDX-License-Identifier: MIT */
/*
 * large: arrays among small objects, by where the arrays go.
 *
 *  way=area    an area (faultline/large.h) behind the size branch
 *  way=own     wherever the strategy puts an object of that size: a run of blocks, or
 *              (demand_zero, no_check) the contiguous range, without a size branch
 *  way=malloc  glibc's, freed one by one
 *
 * An op is one object, small or array.  A window of them is allocated, the arrays grow
 * (doublings=) and are written to (use=), and all die by a reset; this is timed, and a
 * whole number of windows is a piece of the stretch.  Timed one by one is the first array
 * of a window, with its use.
 *
 * sizes=constant: the program knows a small object and its size, and an array, when it
 * is compiled.  sizes=periodic: sizes come from memory, every Nth is an array.
 * sizes=random: the same sizes in random order within the window.
 *
 * Memory is accounted for in some windows of their own, by what the kernel says of the
 * process, before anything is warm; there every object is read back as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "benches/large.h"
#include "vm/census.h"

/* Most objects and arrays in a window, and for how many objects there are sizes. */
#define WINDOW_MAX	4096u
#define ARRAYS_MAX	FL_LARGES_KEPT_MAX
#define NR_SIZES	131072u
/* Of the arrays in a window, where there is more than one. */
#define WINDOW_BYTES	((uint64_t)32 << 20)

/* A piece is of so many objects at least, where they are quickly done. */
#define PIECE_OBJECTS	65536u

/* As many windows as these, but two at least. */
#define ACCOUNT_WINDOWS	8u
#define ACCOUNT_BYTES	((uint64_t)256 << 20)

/* Largest small object. */
#define SMALL_MAX	128u

static const char *const ways[] = { "own", "area", "malloc", NULL };
static const struct {
	const char *name;
	enum path path;
} carriers[] = {
	{ "bump_down", PATH_LIMIT }, { "block_split", PATH_LIMIT },
	{ "segv_redirect", PATH_CALL }, { "demand_zero", PATH_BARE },
	{ "no_check", PATH_BARE },
};
static const char *const strategies[] = {
	"bump_down", "block_split", "segv_redirect", "demand_zero", "no_check", NULL
};
static const char *const givebacks[] = {
	"never", "death", "unmap", "warm", "empty", NULL
};
enum { GIVE_NEVER, GIVE_DEATH, GIVE_UNMAP, GIVE_WARM, GIVE_EMPTY };
static const char *const kinds[] = { "constant", "periodic", "random", NULL };
static const char *const uses[] = { "pages", "first", NULL };

static const struct fl_tunable tunables[] = {
	[WAY] = {
		.name = "way", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "where arrays go", .choices = ways,
	},
	[STRATEGY] = {
		.name = "strategy", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "whose region it is (own, area)", .choices = strategies,
	},
	[GIVEBACK] = {
		.name = "giveback", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "what becomes of dead arrays: never and death are the "
			"strategy's (own), the others the area's",
		.choices = givebacks,
	},
	[SIZES] = {
		.name = "sizes", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "what the program knows of the next size", .choices = kinds,
	},
	[EVERY] = {
		.name = "every", .unit = "1", .kind = FL_TUNABLE_COUNT,
		.help = "one object in so many is an array, a power of two; 0: none",
		.def = 64, .min = 0, .max = WINDOW_MAX,
	},
	[LEAST] = {
		.name = "least", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "of an array, and as likely at any scale up to most; "
			"0: all are of most",
		.def = 0, .min = 0, .max = 256 << 20,
	},
	[MOST] = {
		.name = "most", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "of an array", .def = 1 << 20, .min = 4 << 10,
		.max = 256 << 20,
	},
	[DOUBLINGS] = {
		.name = "doublings", .unit = "1", .kind = FL_TUNABLE_COUNT,
		.help = "how often an array grows to twice its size",
		.def = 0, .min = 0, .max = 8,
	},
	[USE] = {
		.name = "use", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "what is written of an array: each page, or its first word",
		.choices = uses,
	},
	[KEEP] = {
		.name = "keep", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "way=area: most that is kept, warm or empty",
		.def = 64 << 20, .min = 0, .max = (uint64_t)1 << 34,
	},
	[BLOCK] = {
		.name = "block", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "size of a block, if the strategy has any",
		.def = 64 << 10, .min = 4 << 10, .max = 1 << 30,
	},
};

enum { PEAK, KEPT, WASTE, CALLS, COPIED, ARRAY_BYTES };

static const struct fl_bench_metric metrics[] = {
	[PEAK] = {
		"peak_per_byte", "1",
		"most bytes resident at once, for each byte of the window with most",
	},
	[KEPT] = {
		"kept_per_byte", "1",
		"bytes still resident after the last death, for each of these",
	},
	[WASTE] = {
		"waste_bytes", "bytes",
		"per array: resident while the last window lives, and not its objects'",
	},
	[CALLS] = {
		"calls_per_array", "1",
		"system calls of the area, or those by which the strategy gave back; "
		"malloc does not tell",
	},
	[COPIED] = { "copied_per_byte", "1", "bytes copied for each byte of an array" },
	[ARRAY_BYTES] = { "array_bytes", "bytes", "of arrays, for each op" },
};

static uint64_t least_of(const uint64_t *values)
{
	return values[LEAST] ? values[LEAST] : values[MOST];
}

static int large_probe(const uint64_t *values, char *reason, size_t reason_bytes)
{
	const uint64_t give = values[GIVEBACK];
	const char *wrong = NULL;

	if (values[EVERY] & (values[EVERY] - 1))
		wrong = "every= is 0 or a power of two";
	else if (values[LEAST] > values[MOST] ||
		 (values[LEAST] && values[LEAST] <= FL_LARGE_BYTES))
		wrong = "least= is 0, or from 4K to most=";
	else if (values[WAY] == WAY_AREA ? give < GIVE_UNMAP : give >= GIVE_UNMAP)
		wrong = "giveback=unmap, warm and empty are for way=area, and it has no others";
	else if (values[WAY] == WAY_MALLOC && give)
		wrong = "way=malloc decides by itself what it gives back: giveback=never";
	else if (least_of(values) >> values[DOUBLINGS] <= SMALL_MAX)
		wrong = "so many doublings= make arrays begin as small objects: set least=";
	if (!wrong)
		return 0;
	snprintf(reason, reason_bytes, "%s", wrong);
	return -ENOTSUP;
}

/* xorshift64*, of Vigna. */
static uint64_t random_word(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1du;
}

static uint32_t array_bytes(const uint64_t *values, uint64_t *state)
{
	const double share = (double)(random_word(state) >> 11) * 0x1p-53;
	const double least = (double)least_of(values), most = (double)values[MOST];

	return (uint32_t)(least * pow(most / least, share)) & ~7u;
}

/* A window: every Nth is an array; then, maybe, in random order. */
static void make_window(struct work *w, uint32_t *sizes, uint32_t *places,
			uint64_t *state)
{
	const uint64_t *values = w->args->values;
	uint64_t nr = 0;

	for (uint64_t i = 0; i < w->window; i++)
		if (w->every && i % w->every == w->every - 1)
			sizes[i] = array_bytes(values, state) >> values[DOUBLINGS];
		else
			/* 16 to SMALL_MAX, as often each. */
			sizes[i] = values[SIZES] == SIZES_CONSTANT ? SMALL_BYTES :
				16 + 8 * (uint32_t)(i % 15);
	for (uint64_t i = w->window; values[SIZES] == SIZES_RANDOM && --i;) {
		const uint64_t k = random_word(state) % (i + 1);
		const uint32_t size = sizes[i];

		sizes[i] = sizes[k];
		sizes[k] = size;
	}
	for (uint64_t i = 0; i < w->window; i++)
		if (sizes[i] > SMALL_MAX)
			places[nr++] = (uint32_t)i;
}

/* How many objects have arrays of about WINDOW_BYTES, one at least, ARRAYS_MAX at most. */
static uint64_t window_of(const uint64_t *values)
{
	const double least = (double)least_of(values), most = (double)values[MOST];
	const double mean = most > least ?
		(most - least) / log(most / least) : most;
	uint64_t window = values[EVERY];

	if (!values[EVERY])
		return WINDOW_MAX;
	while (window < WINDOW_MAX && window < ARRAYS_MAX * values[EVERY] && 2 * (double)window / (double)values[EVERY] *
	       mean <= (double)WINDOW_BYTES)
		window *= 2;
	return window;
}

static int make_sizes(struct work *w)
{
	uint64_t state = w->args->seed | 1;

	w->every = w->args->values[EVERY];
	w->window = window_of(w->args->values);
	w->nr_windows = NR_SIZES / w->window;
	w->nr_arrays = w->every ? w->window / w->every : 0;
	w->sizes = malloc(NR_SIZES * sizeof(*w->sizes));
	w->places = malloc((w->nr_windows * w->nr_arrays + 1) * sizeof(*w->places));
	w->objects = calloc(w->window, sizeof(*w->objects));
	if (!w->sizes || !w->places || !w->objects)
		return -ENOMEM;
	for (uint64_t k = 0; k < w->nr_windows; k++)
		make_window(w, w->sizes + k * w->window,
			    w->places + k * w->nr_arrays, &state);
	/* Resident from now on, so that it counts as nobody's. */
	memset(w->objects, 0xff, w->window * sizeof(*w->objects));
	return 0;
}

/* Of all objects of the @k-th window, or of its arrays; grown. */
static uint64_t window_bytes(const struct work *w, uint64_t k, bool arrays)
{
	const uint32_t *sizes = w->sizes + k * w->window;
	const uint32_t *places = w->places + k * w->nr_arrays;
	uint64_t bytes = 0, large = 0;

	for (uint64_t i = 0; i < w->nr_arrays; i++)
		large += sizes[places[i]];
	for (uint64_t i = 0; !arrays && i < w->window; i++)
		bytes += sizes[i];
	return bytes + (large << w->args->values[DOUBLINGS]) - (arrays ? 0 : large);
}

static uint64_t resident_bytes(void)
{
	struct fl_process_pages pages;

	return fl_census_process(&pages) ? 0 : pages.resident_bytes;
}

/* Peak since the last call of rewind_peak; 0: the kernel does not say. */
static uint64_t peak_bytes(void)
{
	char line[256];
	uint64_t bytes = 0;
	FILE *f = fopen("/proc/self/status", "re");

	if (!f)
		return 0;
	while (!bytes && fgets(line, sizeof(line), f))
		if (!strncmp(line, "VmHWM:", 6))
			bytes = strtoull(line + 6, NULL, 10) << 10;
	fclose(f);
	return bytes;
}

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

static uint64_t calls_of(const struct work *w)
{
	return w->area ? fl_larges_counts(w->area)->nr_calls :
	       w->on.heap ? w->on.heap->events.nr_give_calls : 0;
}

/* Is each object what it was made, and are the arrays where they should be? */
static int verify(const struct work *w, char *reason, size_t reason_bytes)
{
	for (uint64_t i = 0; i < w->window; i++)
		if (*(const uint64_t *)w->objects[i] != i) {
			snprintf(reason, reason_bytes,
				 "object %llu of a window is not what was written",
				 (unsigned long long)i);
			return -EIO;
		}
	if (!w->area || fl_larges_counts(w->area)->nr_live == w->nr_arrays)
		return 0;
	snprintf(reason, reason_bytes, "%llu arrays were made, and the area has %llu",
		 (unsigned long long)w->nr_arrays,
		 (unsigned long long)fl_larges_counts(w->area)->nr_live);
	return -EIO;
}

static uint64_t account_windows(const struct work *w)
{
	uint64_t bytes = 0, nr = 0;

	while (nr < 2 || (nr < ACCOUNT_WINDOWS && bytes < ACCOUNT_BYTES))
		bytes += window_bytes(w, nr++, false);
	return nr;
}

static int account(struct work *w, struct fl_bench_result *result, char *reason,
		   size_t reason_bytes)
{
	const uint64_t nr = account_windows(w);
	const bool peaks = rewind_peak();
	const uint64_t before = resident_bytes();
	uint64_t most = 0, arrays = 0, alive = 0, after, peak;
	int err = 0;

	for (uint64_t k = 0; k < nr && !err; k++) {
		const uint64_t bytes = window_bytes(w, k, false);

		most = bytes > most ? bytes : most;
		arrays += window_bytes(w, k, true);
		large_build(w, k, w->window);
		alive = resident_bytes();
		err = w->error;
		if (err)
			snprintf(reason, reason_bytes, "an object could not be made: %s",
				 strerror(-err));
		else
			err = verify(w, reason, reason_bytes);
		large_over(w, w->window);
	}
	if (err)
		return err;
	after = resident_bytes();
	peak = peak_bytes();
	result->values[ARRAY_BYTES] = (double)arrays / (double)(nr * w->window);
	if (peaks && before && peak)
		result->values[PEAK] = ((double)peak - (double)before) / (double)most;
	if (before && after)
		result->values[KEPT] = ((double)after - (double)before) / (double)most;
	if (!w->every)
		return 0;
	if (before && alive && w->args->values[USE] == USE_PAGES)
		result->values[WASTE] = ((double)alive - (double)before -
			(double)window_bytes(w, nr - 1, false)) / (double)w->nr_arrays;
	result->values[COPIED] = (double)w->copied_bytes / (double)arrays;
	if (w->args->values[WAY] != WAY_MALLOC)
		result->values[CALLS] = (double)calls_of(w) /
					(double)(nr * w->nr_arrays);
	return 0;
}

static void one_window(struct work *w, uint64_t k, uint64_t nr)
{
	large_build(w, k % w->nr_windows, nr);
	large_over(w, nr);
	if (!w->args->planted || k % FL_BENCH_PLANTED_EVERY)
		return;
	large_build(w, k % w->nr_windows, nr);
	large_over(w, nr);
}

static void measure(struct work *w, struct fl_bench_result *result)
{
	const struct fl_bench_args *args = w->args;
	const bool quick = !w->every || args->values[USE] == USE_FIRST;
	const uint64_t piece = quick ? PIECE_OBJECTS : w->window;
	uint64_t begin, k = 0;

	one_window(w, k++, w->window);
	if (window_bytes(w, 0, false) < WINDOW_BYTES)
		one_window(w, k++, w->window);
	args->meter->start(args->meter);
	for (uint64_t left = args->nr_ops; left;) {
		const uint64_t ops = left < piece ? left : piece;

		begin = fl_bench_piece_begin(args);
		for (uint64_t done = 0; done < ops; done += w->window)
			one_window(w, k++, ops - done < w->window ? ops - done :
				   w->window);
		fl_bench_piece_end(args, begin, ops, result);
		left -= ops;
	}
	args->meter->stop(args->meter);
	for (uint64_t i = 0; i < args->nr_single; i++) {
		const uint64_t nr = w->every ? w->places[0] + 1 : 1;
		uint64_t one;

		begin = fl_bench_piece_begin(args);
		one = fl_ticks();
		large_build(w, 0, nr);
		args->latency->add(args->latency, fl_ticks() - one);
		large_over(w, nr);
		fl_bench_piece_end(args, begin, 0, result);
	}
}

/* Room for all that a window can take where nothing is reused. */
static int open_region(struct work *w, char *reason, size_t reason_bytes)
{
	const uint64_t *values = w->args->values;
	uint64_t bytes = 0;
	struct carrier_setting settings[] = {
		{ "block", values[BLOCK], false },
		{ "span", 0, false },
		{ "giveback", values[GIVEBACK] == GIVE_DEATH, true },
	};
	struct fl_open_args need = { .nr_regions_max = 1 };

	for (uint64_t k = 0; k < w->nr_windows; k++) {
		const uint64_t window = window_bytes(w, k, false);

		bytes = window > bytes ? window : bytes;
	}
	need.region_bytes_max = 3 * bytes + WINDOW_MAX * FL_GRAIN_BYTES;
	need.object_bytes_max = values[MOST];
	settings[1].value = (need.region_bytes_max | 4095) + 1;
	if (values[GIVEBACK] != GIVE_DEATH)
		settings[2].name = NULL;
	return carrier_open_set(&w->on, w->args, carriers[values[STRATEGY]].name,
				settings, sizeof(settings) / sizeof(settings[0]),
				&need, reason, reason_bytes);
}

static int open_area(struct work *w, char *reason, size_t reason_bytes)
{
	const uint64_t *values = w->args->values;
	const struct fl_larges_config config = {
		.then = values[GIVEBACK] == GIVE_UNMAP ? FL_LARGES_UNMAP :
			values[GIVEBACK] == GIVE_WARM ? FL_LARGES_WARM :
			FL_LARGES_EMPTY,
		.keep_bytes = values[KEEP],
		.object_bytes_max = values[MOST],
	};
	int err = fl_larges_open(&config, &w->area);

	if (err)
		snprintf(reason, reason_bytes, "area: %s", strerror(-err));
	return err;
}

static int large_run(const struct fl_bench_args *args,
		     struct fl_bench_result *result, char *reason,
		     size_t reason_bytes)
{
	struct work w = {
		.args = args, .path = carriers[args->values[STRATEGY]].path,
	};
	int err = make_sizes(&w);

	if (!err && args->values[WAY] != WAY_MALLOC)
		err = open_region(&w, reason, reason_bytes);
	if (!err && args->values[WAY] == WAY_AREA)
		err = open_area(&w, reason, reason_bytes);
	if (!err)
		err = account(&w, result, reason, reason_bytes);
	if (!err)
		measure(&w, result);
	if (!err && w.error) {
		err = w.error;
		snprintf(reason, reason_bytes, "an object could not be made: %s",
			 strerror(-err));
	}
	carrier_close(&w.on);
	fl_larges_close(w.area);
	free(w.objects);
	free(w.places);
	free(w.sizes);
	return err;
}

FL_BENCH(
	.name = "large",
	.summary = "arrays among small objects, by where the arrays go",
	.op = "object",
	.ops_default = 1 << 20,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.metrics = metrics,
	.nr_metrics = sizeof(metrics) / sizeof(metrics[0]),
	.probe = large_probe,
	.run = large_run,
);

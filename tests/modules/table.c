/* SPDX-License-Identifier: MIT */
/*
 * A strategy table and nothing behind it, for test_module_load.c, which compiles
 * it with -D for each thing that can be wrong with one.
 */
#include "faultline/kernel.h"
#include "faultline/strategy.h"

#ifndef MAGIC
#define MAGIC		FL_MAGIC
#endif
#ifndef ABI
#define ABI		FL_ABI_VERSION
#endif
#ifndef TABLE_BYTES
#define TABLE_BYTES	sizeof(struct fl_strategy)
#endif
#ifndef KERNEL_BYTES
#define KERNEL_BYTES	sizeof(struct fl_kernel)
#endif
#ifndef NR_TUNABLES
#define NR_TUNABLES	(sizeof(tunables) / sizeof(tunables[0]))
#endif

static const char *const returns[] = { "signal", "user", NULL };

static const struct fl_tunable tunables[] = {
	{
		.name = "block", .unit = "bytes", .kind = FL_TUNABLE_BYTES,
		.help = "size of a block",
		.def = 64 << 10, .min = 4 << 10, .max = 1 << 30,
	},
	{
		.name = "step", .unit = "pages", .kind = FL_TUNABLE_COUNT,
		.help = "pages at a time", .def = 16, .min = 1, .max = 512,
	},
	{
		.name = "return", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "how the handler returns", .def = 1, .choices = returns,
	},
};

static int run(const struct fl_batch *batch, struct fl_batch_result *result)
{
	(void)batch;
	(void)result;
	return 0;
}

static const struct fl_kernel kernels[] = {
	{ .name = "fill", .object_bytes = 16, .run = run },
	{ .name = "fill", .object_bytes = 32, .run = run },
	{ .name = "mix", .residence = FL_MEMORY, .mode = FL_VERIFY, .run = run },
};

static int table_open(const struct fl_open_args *args, struct fl_heap **heap)
{
	(void)args;
	(void)heap;
	return 0;
}

static void table_close(struct fl_heap *heap)
{
	(void)heap;
}

static int table_region_create(struct fl_heap *heap, struct fl_region **region)
{
	(void)heap;
	(void)region;
	return 0;
}

static void table_region_end(struct fl_region *region)
{
	(void)region;
}

static void *table_object_new(struct fl_region *region, size_t bytes,
			      size_t align, uint64_t first_word)
{
	(void)bytes;
	(void)align;
	(void)first_word;
	return region;
}

static size_t table_ranges(const struct fl_heap *heap, struct fl_range *out,
			   size_t max)
{
	(void)heap;
	(void)out;
	return max;
}

static void table_geometry(const struct fl_heap *heap, struct fl_geometry *out)
{
	(void)heap;
	(void)out;
}

extern const struct fl_strategy faultline_strategy;
const struct fl_strategy faultline_strategy = {
	.magic = MAGIC,
	.abi = ABI,
	.table_bytes = TABLE_BYTES,
	.kernel_bytes = KERNEL_BYTES,
#ifndef WITHOUT_COMPILER
	.compiler = FL_COMPILER,
#endif
	.answer = FL_ANSWER_BRANCH,
#ifndef WITHOUT_NAME
	.name = NAME,
#endif
#ifndef WITHOUT_SUMMARY
	.summary = "a table",
#endif
#ifndef WITHOUT_TRIGGER
	.trigger = "none",
#endif
#ifndef WITHOUT_TUNABLES
	.tunables = tunables,
#endif
	.nr_tunables = NR_TUNABLES,
#ifndef WITHOUT_KERNELS
	.kernels = kernels,
	.nr_kernels = sizeof(kernels) / sizeof(kernels[0]),
#endif
#ifndef WITHOUT_OPEN
	.open = table_open,
#endif
#ifndef WITHOUT_CLOSE
	.close = table_close,
#endif
#ifndef WITHOUT_REGION_CREATE
	.region_create = table_region_create,
#endif
#ifndef WITHOUT_REGION_RESET
	.region_reset = table_region_end,
#endif
#ifndef WITHOUT_REGION_DESTROY
	.region_destroy = table_region_end,
#endif
#ifndef WITHOUT_OBJECT_NEW
	.object_new = table_object_new,
#endif
#ifndef WITHOUT_RANGES
	.ranges = table_ranges,
#endif
#ifndef WITHOUT_GEOMETRY
	.geometry = table_geometry,
#endif
};

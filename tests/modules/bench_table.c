/* SPDX-License-Identifier: MIT */
/*
 * A bench's table and nothing behind it, for test_module_load.c, which compiles it
 * with -D for each thing that can be wrong with one.
 */
#include "faultline/bench.h"

#ifndef MAGIC
#define MAGIC		FL_BENCH_MAGIC
#endif
#ifndef ABI
#define ABI		FL_BENCH_ABI_VERSION
#endif
#ifndef TABLE_BYTES
#define TABLE_BYTES	sizeof(struct fl_bench)
#endif
#ifndef NR_TUNABLES
#define NR_TUNABLES	(sizeof(tunables) / sizeof(tunables[0]))
#endif
#ifndef NR_METRICS
#define NR_METRICS	(sizeof(metrics) / sizeof(metrics[0]))
#endif
#ifndef METRIC
#define METRIC		"faults"
#endif
#ifndef TUNABLE
#define TUNABLE		"pages"
#endif
#ifndef DEFAULT
#define DEFAULT		16
#endif

static const struct fl_tunable tunables[] = {
	{
		.name = TUNABLE, .unit = "pages", .kind = FL_TUNABLE_COUNT,
		.help = "pages at a time", .def = DEFAULT, .min = 1, .max = 512,
	},
	{
		.name = "step", .unit = "pages", .kind = FL_TUNABLE_COUNT,
		.help = "pages at a time", .def = 1, .min = 1, .max = 512,
	},
};

static const struct fl_bench_metric metrics[] = {
	{ METRIC, "1", "faults of the stretch" },
	{ "repairs", "1", "faults that were repaired" },
};

static int run(const struct fl_bench_args *args, struct fl_bench_result *result,
	       char *reason, size_t reason_bytes)
{
	(void)args;
	(void)result;
	(void)reason;
	(void)reason_bytes;
	return 0;
}

extern const struct fl_bench faultline_bench;
const struct fl_bench faultline_bench = {
	.magic = MAGIC,
	.abi = ABI,
	.table_bytes = TABLE_BYTES,
#ifndef WITHOUT_NAME
	.name = NAME,
#endif
#ifndef WITHOUT_SUMMARY
	.summary = "a table",
#endif
#ifndef WITHOUT_OP
	.op = "fault",
#endif
#ifndef WITHOUT_COMPILER
	.compiler = FL_COMPILER,
#endif
#ifndef WITHOUT_OPS
	.ops_default = 1,
#endif
#ifndef WITHOUT_TUNABLES
	.tunables = tunables,
#endif
	.nr_tunables = NR_TUNABLES,
#ifndef WITHOUT_METRICS
	.metrics = metrics,
#endif
	.nr_metrics = NR_METRICS,
#ifndef WITHOUT_RUN
	.run = run,
#endif
};

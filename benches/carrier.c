/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "benches/carrier.h"

/* More than any strategy has (the harness takes 32). */
#define TUNABLES_MAX	64u

/* False: there is none of that name. */
static bool set(const struct fl_strategy *s, const struct carrier_setting *setting,
		uint64_t *values)
{
	for (size_t i = 0; i < s->nr_tunables; i++)
		if (!strcmp(s->tunables[i].name, setting->name)) {
			values[i] = setting->value;
			return true;
		}
	return false;
}

int carrier_open_set(struct carrier *carrier, const struct fl_bench_args *args,
		     const char *strategy,
		     const struct carrier_setting *settings, size_t nr_settings,
		     const struct fl_open_args *need, char *reason,
		     size_t reason_bytes)
{
	const struct fl_strategy *s = args->strategy(strategy, reason,
						     reason_bytes);
	struct fl_open_args open = *need;
	uint64_t values[TUNABLES_MAX];
	int err;

	if (!s)
		return -ENOTSUP;
	for (size_t i = 0; i < s->nr_tunables; i++)
		values[i] = s->tunables[i].def;
	for (size_t i = 0; i < nr_settings; i++)
		if (settings[i].name && !set(s, &settings[i], values) &&
		    settings[i].required) {
			snprintf(reason, reason_bytes, "%s has no tunable %s=",
				 strategy, settings[i].name);
			return -ENOTSUP;
		}
	if (s->probe && s->probe(values, reason, reason_bytes))
		return -ENOTSUP;
	open.values = values;
	open.cpu = args->cpu;
	carrier->strategy = s;
	err = s->open(&open, &carrier->heap);
	if (err)
		carrier->heap = NULL;
	else
		err = s->region_create(carrier->heap, &carrier->region);
	if (err)
		snprintf(reason, reason_bytes, "%s: %s", strategy, strerror(-err));
	return err;
}

int carrier_open(struct carrier *carrier, const struct fl_bench_args *args,
		 const char *strategy, uint64_t block_bytes,
		 const struct fl_open_args *need, char *reason,
		 size_t reason_bytes)
{
	const struct carrier_setting block = { "block", block_bytes, false };

	return carrier_open_set(carrier, args, strategy, &block, 1, need, reason,
				reason_bytes);
}

void carrier_close(struct carrier *carrier)
{
	if (carrier->heap)
		carrier->strategy->close(carrier->heap);
}

int carrier_probe_ring(enum fl_read_by by, size_t bytes, char *reason,
		       size_t reason_bytes)
{
	static const struct fl_strategy none = { .name = "none" };
	struct fl_reader reader;
	int err = fl_reader_open(&reader, &none, FL_READ_BOUNCE, bytes);

	if (err)
		return err;
	err = fl_reader_by(&reader, by);
	fl_reader_close(&reader);
	if (err == -ENOTSUP)
		snprintf(reason, reason_bytes, "built without liburing: install liburing-dev");
	else if (err)
		snprintf(reason, reason_bytes, "io_uring: %s%s", strerror(-err),
			 err == -ENOMEM ? ": raise ulimit -l" :
			 err == -EPERM ? ": see sysctl kernel.io_uring_disabled" : "");
	return err;
}

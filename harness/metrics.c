/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "harness/counters.h"
#include "harness/metrics.h"

const char *fl_metric_name(enum fl_metric metric)
{
	static const char *const names[] = {
#define X(name, unit, of, definition) #name,
		FL_METRICS(X)
#undef X
	};

	return names[metric];
}

const char *fl_metric_unit(enum fl_metric metric)
{
	static const char *const units[] = {
#define X(name, unit, of, definition) unit,
		FL_METRICS(X)
#undef X
	};

	return units[metric];
}

const char *fl_metric_definition(enum fl_metric metric)
{
	static const char *const definitions[] = {
#define X(name, unit, of, definition) definition,
		FL_METRICS(X)
#undef X
	};

	return definitions[metric];
}

enum fl_metric_of fl_metric_of(enum fl_metric metric)
{
	static const enum fl_metric_of of_each[] = {
#define X(name, unit, of, definition) of,
		FL_METRICS(X)
#undef X
	};

	return of_each[metric];
}

bool fl_metric_known(const char *name)
{
	for (int m = 0; m < FL_NR_METRICS; m++)
		if (!strcmp(fl_metric_name((enum fl_metric)m), name))
			return true;
	for (int c = 0; c < FL_NR_COUNTERS; c++)
		if (!strcmp(fl_counter_name((enum fl_counter)c), name))
			return true;
	return false;
}

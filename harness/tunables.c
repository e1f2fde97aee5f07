/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/tunables.h"

int fl_parse_bytes(const char *text, uint64_t *bytes)
{
	static const char suffixes[] = "KMGT";
	const char *suffix;
	unsigned shift = 0;
	uint64_t value;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	if (*end) {
		suffix = strchr(suffixes, *end >= 'a' ? *end - 32 : *end);
		if (!suffix || end[1])
			return -EINVAL;
		shift = 10 * (unsigned)(suffix - suffixes + 1);
	}
	if (value > UINT64_MAX >> shift)
		return -ERANGE;
	*bytes = value << shift;
	return 0;
}

void fl_format_bytes(uint64_t bytes, char *out, size_t out_bytes)
{
	static const char suffixes[] = "\0KMGT";
	unsigned i = 0;

	while (i < 4 && bytes && !(bytes & 1023)) {
		bytes >>= 10;
		i++;
	}
	snprintf(out, out_bytes, "%" PRIu64 "%.1s", bytes, &suffixes[i]);
}

int fl_tunable_index(const struct fl_tunables *tunables, const char *name)
{
	for (size_t i = 0; i < tunables->nr; i++)
		if (!strcmp(tunables->table[i].name, name))
			return (int)i;
	return -1;
}

void fl_tunables_defaults(const struct fl_tunables *tunables, uint64_t *values)
{
	for (size_t i = 0; i < tunables->nr; i++)
		values[i] = tunables->table[i].def;
}

void fl_tunable_format(const struct fl_tunable *tunable, uint64_t value,
		       char *out, size_t out_bytes)
{
	switch (tunable->kind) {
	case FL_TUNABLE_BYTES:
		fl_format_bytes(value, out, out_bytes);
		break;
	case FL_TUNABLE_CHOICE:
		snprintf(out, out_bytes, "%s", tunable->choices[value]);
		break;
	default:
		snprintf(out, out_bytes, "%" PRIu64, value);
	}
}

static int set_choice(const struct fl_tunables *of, const struct fl_tunable *t,
		      const char *text, uint64_t *value,
		      struct fl_complaint *why)
{
	char all[256] = "";

	for (uint64_t i = 0; t->choices[i]; i++) {
		if (!strcmp(t->choices[i], text)) {
			*value = i;
			return 0;
		}
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s",
			 i ? ", " : "", t->choices[i]);
	}
	return fl_complain(why, -EINVAL, "%s: %s=%s: must be one of %s",
			   of->owner, t->name, text, all);
}

static int set_number(const struct fl_tunables *of, const struct fl_tunable *t,
		      const char *text, uint64_t *value,
		      struct fl_complaint *why)
{
	char low[32], high[32];
	uint64_t v;
	int err = fl_parse_bytes(text, &v);

	fl_tunable_format(t, t->min, low, sizeof(low));
	fl_tunable_format(t, t->max, high, sizeof(high));
	if (err == -EINVAL)
		return fl_complain(why, err,
			"%s: %s=%s: not a number; it is%s%s%s from %s to %s",
			of->owner, t->name, text, *t->unit ? " in " : "",
			t->unit, *t->unit ? "," : "", low, high);
	if (err || v < t->min || v > t->max)
		return fl_complain(why, -EINVAL,
			"%s: %s=%s: out of range, it must be from %s to %s%s%s",
			of->owner, t->name, text, low, high,
			*t->unit ? " " : "", t->unit);
	if (t->kind == FL_TUNABLE_BYTES && v % (size_t)sysconf(_SC_PAGESIZE))
		return fl_complain(why, -EINVAL,
			"%s: %s=%s: must be a multiple of the page size, %ld",
			of->owner, t->name, text, sysconf(_SC_PAGESIZE));
	*value = v;
	return 0;
}

/* @given: which tunables these settings have set so far. */
static int set_one(const struct fl_tunables *of, char *setting, uint64_t *values,
		   bool *given, struct fl_complaint *why)
{
	const char *names[FL_TUNABLES_MAX + 1] = { NULL };
	char *equals = strchr(setting, '=');
	const char *near;
	int i;

	if (!equals)
		return fl_complain(why, -EINVAL,
			"%s: \"%s\" is no setting: write name=value", of->owner,
			setting);
	*equals = '\0';
	i = fl_tunable_index(of, setting);
	if (i >= 0 && given[i])
		return fl_complain(why, -EINVAL,
			"%s: %s= is set twice, the second time to %s: remove one of them",
			of->owner, setting, equals + 1);
	if (i >= 0)
		given[i] = true;
	if (i >= 0 && of->table[i].kind == FL_TUNABLE_CHOICE)
		return set_choice(of, &of->table[i], equals + 1, &values[i],
				  why);
	if (i >= 0)
		return set_number(of, &of->table[i], equals + 1, &values[i],
				  why);
	for (size_t k = 0; k < of->nr; k++)
		names[k] = of->table[k].name;
	near = fl_nearest(setting, names);
	if (!of->nr)
		return fl_complain(why, -EINVAL,
			"%s: unknown tunable \"%s\": it has none", of->owner,
			setting);
	return fl_complain(why, -EINVAL,
		"%s: unknown tunable \"%s\"%s%s%s; `faultline list %s` shows its tunables",
		of->owner, setting, near ? ": did you mean \"" : "",
		near ? near : "", near ? "\"?" : "", of->owner);
}

int fl_tunables_set(const struct fl_tunables *tunables, const char *settings,
		    uint64_t *values, struct fl_complaint *why)
{
	bool given[FL_TUNABLES_MAX] = { false };
	char *copy, *rest, *setting;
	int err = 0;

	if (!settings)
		return 0;
	rest = copy = strdup(settings);
	if (!copy)
		return -ENOMEM;
	while (!err && (setting = strsep(&rest, ", ")))
		if (*setting)
			err = set_one(tunables, setting, values, given, why);
	free(copy);
	return err;
}

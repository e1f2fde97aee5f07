/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "harness/metrics.h"
#include "harness/module_check.h"

/* What a table must have before anything in it is used; NULL when it has it. */
static const char *missing_in_strategy(const struct fl_strategy *s)
{
	if (!s->name || !s->summary || !s->trigger || !s->compiler)
		return "name, summary, trigger or compiler";
	if (!s->open || !s->close)
		return "open or close";
	if (!s->region_create || !s->region_reset || !s->region_destroy)
		return "region_create, region_reset or region_destroy";
	if (!s->object_new)
		return "object_new";
	if (!s->ranges || !s->geometry)
		return "ranges or geometry";
	if (!s->kernels || !s->nr_kernels)
		return "kernels";
	if (s->nr_tunables && !s->tunables)
		return "tunables";
	return NULL;
}

/* What is wrong with a tunable, or NULL. */
static const char *bad_tunable(const struct fl_tunable *t)
{
	uint64_t nr = 0;

	if (!t->name || !*t->name || !t->unit || !t->help)
		return "lacks a name, unit or help";
	switch (t->kind) {
	case FL_TUNABLE_CHOICE:
		while (t->choices && t->choices[nr])
			nr++;
		return t->def < nr ? NULL : "has a default beyond its choices";
	case FL_TUNABLE_BYTES:
	case FL_TUNABLE_COUNT:
		return NULL;	/* ranges are conformance's to judge */
	}
	return "is of an unknown kind";
}

/*
 * What else may be wrong with one.  A strategy's are conformance's to judge; of a
 * bench nobody else looks.
 */
static const char *broken_promise(const struct fl_tunables *tunables, size_t i)
{
	const struct fl_tunable *t = &tunables->table[i];

	if (strpbrk(t->name, "=, \t\n/"))
		return "has a name that cannot be written in a setting";
	if (fl_tunable_index(tunables, t->name) != (int)i)
		return "is declared twice";
	if (t->kind != FL_TUNABLE_CHOICE)
		return t->min <= t->def && t->def <= t->max ? NULL :
			"has a default outside its range";
	for (size_t k = 0; t->choices[k]; k++)
		if (!*t->choices[k] || strpbrk(t->choices[k], "=, \t\n/"))
			return "has a choice that cannot be written in a setting";
	return NULL;
}

static int check_tunables(const char *path, const struct fl_tunables *tunables,
			  bool promises, struct fl_complaint *why)
{
	if (tunables->nr > FL_TUNABLES_MAX)
		return fl_complain(why, -ENOEXEC,
			"%s: declares %zu tunables, at most %d are possible",
			path, tunables->nr, FL_TUNABLES_MAX);
	for (size_t i = 0; i < tunables->nr; i++) {
		const char *wrong = bad_tunable(&tunables->table[i]);

		if (!wrong && promises)
			wrong = broken_promise(tunables, i);
		if (wrong)
			return fl_complain(why, -ENOEXEC,
				"%s: tunable %zu %s: see struct fl_tunable",
				path, i, wrong);
	}
	return 0;
}

static int check_kernels(const char *path, const struct fl_strategy *s,
			 struct fl_complaint *why)
{
	for (size_t i = 0; i < s->nr_kernels; i++) {
		const struct fl_kernel *k = &s->kernels[i];

		if (!k->name || !k->run || k->residence > FL_MEMORY ||
		    k->mode > FL_ACCOUNT)
			return fl_complain(why, -ENOEXEC,
				"%s: kernel %zu is no kernel: include faultline/module.h and close the file with FL_STRATEGY()",
				path, i);
	}
	return 0;
}

/* A module's name is its file's: that is how it is found. */
static int check_name(const char *path, const char *name, const char *what,
		      struct fl_complaint *why)
{
	char *stem = fl_module_stem(path);
	int err = 0;

	if (!stem || strcmp(stem, name))
		err = fl_complain(why, -ENOEXEC,
			"%s: calls itself \"%s\": name the file %s.so or the %s \"%s\"",
			path, name, name, what, stem ? stem : "?");
	free(stem);
	return err;
}

/* The least that must hold before anything else in a table means anything. */
static int check_head(const char *path, uint32_t magic, uint32_t wanted_magic,
		      uint32_t abi, uint32_t wanted_abi, const char *what,
		      const char *closing, struct fl_complaint *why)
{
	if (magic != wanted_magic)
		return fl_complain(why, -ENOEXEC,
			"%s: faultline_%s has magic 0x%08x, not 0x%08x: this is no Faultline %s; close the file with %s()",
			path, what, magic, wanted_magic, what, closing);
	if (abi != wanted_abi)
		return fl_complain(why, -EPROTO,
			"%s: built for ABI version %u, this faultline has %u: rebuild it against the installed headers",
			path, abi, wanted_abi);
	return 0;
}

int fl_module_check_strategy(const char *path, const struct fl_strategy *s,
			     struct fl_complaint *why)
{
	struct fl_tunables tunables;
	const char *lacks;
	int err = check_head(path, s->magic, FL_MAGIC, s->abi, FL_ABI_VERSION,
			     "strategy", "FL_STRATEGY", why);

	if (err)
		return err;
	if (s->table_bytes != sizeof(*s) ||
	    s->kernel_bytes != sizeof(struct fl_kernel))
		return fl_complain(why, -EPROTO,
			"%s: its tables are %u and %u bytes, this faultline's %zu and %zu: rebuild it against the installed headers",
			path, s->table_bytes, s->kernel_bytes, sizeof(*s),
			sizeof(struct fl_kernel));
	lacks = missing_in_strategy(s);
	if (lacks)
		return fl_complain(why, -ENOEXEC,
			"%s: the strategy table lacks %s, which is required: see strategies/skeleton.c",
			path, lacks);
	tunables = fl_strategy_tunables(s);
	err = check_tunables(path, &tunables, false, why);
	if (!err)
		err = check_kernels(path, s, why);
	return err ? err : check_name(path, s->name, "strategy", why);
}

/*
 * ---- Benches. ----
 */

static const char *missing_in_bench(const struct fl_bench *b)
{
	if (!b->name || !b->summary || !b->op || !b->compiler)
		return "name, summary, op or compiler";
	if (!b->ops_default)
		return "ops_default";
	if (!b->run)
		return "run";
	if (b->nr_tunables && !b->tunables)
		return "tunables";
	if (b->nr_metrics && !b->metrics)
		return "metrics";
	return NULL;
}

static int check_metrics(const char *path, const struct fl_bench *b,
			 struct fl_complaint *why)
{
	if (b->nr_metrics > FL_BENCH_METRICS_MAX)
		return fl_complain(why, -ENOEXEC,
			"%s: declares %zu metrics, at most %u are possible",
			path, b->nr_metrics, FL_BENCH_METRICS_MAX);
	for (size_t i = 0; i < b->nr_metrics; i++) {
		const struct fl_bench_metric *m = &b->metrics[i];

		if (!m->name || !*m->name || !m->unit || !m->definition)
			return fl_complain(why, -ENOEXEC,
				"%s: metric %zu lacks a name, unit or definition: see struct fl_bench_metric",
				path, i);
		if (fl_metric_known(m->name))
			return fl_complain(why, -ENOEXEC,
				"%s: metric %zu, \"%s\", is a name that every sample has: choose another",
				path, i, m->name);
		for (size_t k = 0; k < i; k++)
			if (!strcmp(b->metrics[k].name, m->name))
				return fl_complain(why, -ENOEXEC,
					"%s: metric \"%s\" is declared twice",
					path, m->name);
	}
	return 0;
}

int fl_module_check_bench(const char *path, const struct fl_bench *b,
			  struct fl_complaint *why)
{
	struct fl_tunables tunables;
	const char *lacks;
	int err = check_head(path, b->magic, FL_BENCH_MAGIC, b->abi,
			     FL_BENCH_ABI_VERSION, "bench", "FL_BENCH", why);

	if (err)
		return err;
	if (b->table_bytes != sizeof(*b))
		return fl_complain(why, -EPROTO,
			"%s: its table is %u bytes, this faultline's %zu: rebuild it against the installed headers",
			path, b->table_bytes, sizeof(*b));
	lacks = missing_in_bench(b);
	if (lacks)
		return fl_complain(why, -ENOEXEC,
			"%s: the bench table lacks %s, which is required: see faultline/bench.h",
			path, lacks);
	tunables = fl_bench_tunables(b);
	err = check_tunables(path, &tunables, true, why);
	if (!err)
		err = check_metrics(path, b, why);
	return err ? err : check_name(path, b->name, "bench", why);
}

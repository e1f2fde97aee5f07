/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/commands.h"
#include "harness/listing.h"

static const char *paint(const char *word)
{
	const char *no_color = getenv("NO_COLOR");

	if ((no_color && *no_color) || !isatty(STDOUT_FILENO))
		return "";
	return !strcmp(word, "SUPPORTED") ? "\033[32m" :
	       !strcmp(word, "UNSUPPORTED") ? "\033[33m" : "\033[31m";
}

void fl_standing_print(const char *name, const char *kind,
		       const struct fl_standing *standing, const char *what)
{
	const char *color = paint(standing->word);

	printf("  %-18s %-9s %s%-11s%s  %s\n", name, kind, color,
	       standing->word, *color ? "\033[0m" : "",
	       *standing->reason.text ? standing->reason.text : what);
}

void fl_tunables_print(const struct fl_tunables *tunables)
{
	for (size_t i = 0; i < tunables->nr; i++) {
		const struct fl_tunable *t = &tunables->table[i];
		char def[64], low[64], high[64];

		fl_tunable_format(t, t->def, def, sizeof(def));
		printf("    %-10s %-9s default %-10s ", t->name,
		       *t->unit ? t->unit : "-", def);
		if (t->kind == FL_TUNABLE_CHOICE) {
			for (size_t k = 0; t->choices[k]; k++)
				printf("%s%s", k ? "|" : "", t->choices[k]);
		} else {
			fl_tunable_format(t, t->min, low, sizeof(low));
			fl_tunable_format(t, t->max, high, sizeof(high));
			printf("%s..%s", low, high);
		}
		printf("\n               %s\n", t->help);
	}
	if (!tunables->nr)
		printf("    (none)\n");
}

json_t *fl_tunables_json(const struct fl_tunables *tunables)
{
	json_t *all = json_array();

	for (size_t i = 0; i < tunables->nr; i++) {
		const struct fl_tunable *t = &tunables->table[i];
		json_t *one;
		char text[64];

		fl_tunable_format(t, t->def, text, sizeof(text));
		one = json_pack("{s:s, s:s, s:s, s:s}", "name", t->name,
				"unit", t->unit, "default", text, "help",
				t->help);
		if (t->kind == FL_TUNABLE_CHOICE) {
			json_t *choices = json_array();

			for (size_t k = 0; t->choices[k]; k++)
				json_array_append_new(choices,
					json_string(t->choices[k]));
			json_object_set_new(one, "choices", choices);
		} else {
			json_object_set_new(one, "min",
				json_integer((json_int_t)t->min));
			json_object_set_new(one, "max",
				json_integer((json_int_t)t->max));
		}
		json_array_append_new(all, one);
	}
	return all;
}

static void judge_bench(const struct fl_module *m, struct fl_standing *out)
{
	uint64_t values[FL_TUNABLES_MAX];
	char reason[512] = "";

	*out = (struct fl_standing){ .word = "SUPPORTED" };
	fl_tunables_defaults(&m->tunables, values);
	if (m->bench->probe && m->bench->probe(values, reason, sizeof(reason))) {
		out->word = "UNSUPPORTED";
		fl_complain(&out->reason, 0, "%s", reason);
	}
}

json_t *fl_bench_metrics_json(const struct fl_bench *bench)
{
	json_t *metrics = json_array();

	for (size_t i = 0; i < bench->nr_metrics; i++)
		json_array_append_new(metrics, json_pack("{s:s, s:s, s:s}",
			"name", bench->metrics[i].name,
			"unit", bench->metrics[i].unit,
			"definition", bench->metrics[i].definition));
	return metrics;
}

static json_t *bench_json(const struct fl_module *m,
			  const struct fl_standing *standing)
{
	const struct fl_bench *b = m->bench;

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o}",
			 "name", b->name, "op", b->op, "summary", b->summary,
			 "standing", standing->word,
			 "reason", standing->reason.text,
			 "tunables", fl_tunables_json(&m->tunables),
			 "metrics", fl_bench_metrics_json(b));
}

int fl_benches_list(bool tunables, json_t *json)
{
	struct fl_complaint why = { "" };
	int status = FL_EXIT_OK;
	char **paths;

	if (fl_modules_list(FL_MODULE_BENCH, &paths, &why) < 0) {
		fprintf(stderr, "faultline: %s\n", why.text);
		return FL_EXIT_USAGE;
	}
	for (char **p = paths; *p; p++) {
		struct fl_standing standing = { .word = "BROKEN" };
		struct fl_module m = { 0 };
		char *stem = fl_module_stem(*p);

		if (fl_module_load(FL_MODULE_BENCH, *p, &m, &standing.reason)) {
			status = FL_EXIT_FAILED;
			if (json)
				json_array_append_new(json,
					json_pack("{s:s, s:s, s:s}", "name",
						  stem, "standing",
						  standing.word, "reason",
						  standing.reason.text));
			else
				fl_standing_print(stem, "?", &standing, "");
		} else {
			judge_bench(&m, &standing);
			if (json)
				json_array_append_new(json,
						      bench_json(&m, &standing));
			else
				fl_standing_print(stem, m.bench->op, &standing,
						  m.bench->summary);
			if (!json && tunables && m.tunables.nr)
				fl_tunables_print(&m.tunables);
		}
		fl_module_unload(&m);
		free(stem);
	}
	if (!json && !*paths)
		printf("  none found; set FAULTLINE_BENCHES to the directory of the benches\n");
	fl_modules_list_free(paths);
	return status;
}

void fl_bench_show(const struct fl_module *module, bool json)
{
	const struct fl_bench *b = module->bench;
	struct fl_standing standing;

	judge_bench(module, &standing);
	if (json) {
		json_t *j = bench_json(module, &standing);

		json_dumpf(j, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(j);
		return;
	}
	fl_standing_print(b->name, b->op, &standing, b->summary);
	if (*standing.reason.text)
		printf("    %s\n", b->summary);
	printf("    a bench; an op is one %s\n\n  tunables (--set name=value,...):\n",
	       b->op);
	fl_tunables_print(&module->tunables);
	if (b->nr_metrics)
		printf("\n  metrics beside the time:\n");
	for (size_t i = 0; i < b->nr_metrics; i++)
		printf("    %-20s %-9s %s\n", b->metrics[i].name,
		       b->metrics[i].unit, b->metrics[i].definition);
}

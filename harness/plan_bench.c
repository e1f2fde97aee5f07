/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/plan_read.h"

#define VARY		"vary."
#define QUICK		"_quick"

/* Cells one section may stand for: whoever has more has mistyped a list. */
#define CELLS_MAX	1024u

/* A tunable that varies, and its levels. */
struct vary {
	char name[64];
	const struct fl_key *key;
	struct fl_plan_list list;
};

/* A section of a bench, while its cells are made. */
struct section {
	const struct fl_section *s;
	const struct fl_module *module;	/* of the first arm of the bench */
	const struct fl_key *set;	/* or NULL */
	struct vary vary[FL_TUNABLES_MAX];
	size_t nr_vary;
};

/* The module that arms of the bench have loaded. */
static int find_bench(struct fl_plan_reader *r, const struct fl_plan *plan,
		      struct section *section)
{
	const struct fl_key *k = fl_key_find(section->s, "bench");
	const char **names = calloc(plan->nr_arms + 1, sizeof(*names));
	char *stem = fl_module_stem(k->value);
	uint32_t nr = 0;

	for (uint32_t i = 0; names && stem && i < plan->nr_arms; i++) {
		const struct fl_plan_arm *arm = &plan->arms[i];

		if (arm->kind != FL_MODULE_BENCH || arm->of != i)
			continue;
		names[nr++] = arm->module;
		if (!strcmp(arm->module, stem) && !section->module)
			section->module = &r->modules[i];
	}
	if (!names || !stem)
		fl_plan_no_memory(r);
	else if (!section->module)
		fl_plan_wrong(r, k->line, "bench = %s: there is no arm of it%s; add [arm NAME] with bench = %s",
			      k->value, fl_suggestion(stem, names), k->value);
	free(names);
	free(stem);
	return r->err;
}

/* @key is "vary.NAME" or "vary.NAME_quick": its levels in this profile, if any. */
static int add_vary(struct fl_plan_reader *r, const struct fl_key *key,
		    bool quick, struct section *section)
{
	const char *name = key->name + strlen(VARY);
	size_t n = strlen(name), m = strlen(QUICK);
	struct vary *vary = &section->vary[section->nr_vary];
	char full[sizeof(vary->name) + sizeof(VARY)];

	if (n > m && !strcmp(name + n - m, QUICK))
		n -= m;
	if (n >= sizeof(vary->name) || section->nr_vary == FL_TUNABLES_MAX)
		return fl_plan_wrong(r, key->line, "%s: there is no such tunable",
				     key->name);
	snprintf(vary->name, sizeof(vary->name), "%.*s", (int)n, name);
	for (size_t i = 0; i < section->nr_vary; i++)
		if (!strcmp(section->vary[i].name, vary->name))
			return 0;
	snprintf(full, sizeof(full), VARY "%s", vary->name);
	vary->key = fl_key_get(section->s, full, quick);
	/* It may vary in the quick profile alone. */
	if (!vary->key)
		return 0;
	if (section->set && fl_plan_sets(section->set->value, vary->name))
		return fl_plan_wrong(r, vary->key->line,
			"%s: set = in line %u sets it, too: remove one of them",
			vary->key->name, section->set->line);
	section->nr_vary++;
	return fl_plan_list(r, vary->key, "", &vary->list);
}

/* A level as the bench would write it, so that 65536 and 64K are one. */
static int add_level(struct fl_plan_reader *r, const struct section *section,
		     const struct vary *vary, size_t at,
		     struct fl_plan_cell *cell)
{
	const struct fl_tunables *tunables = &section->module->tunables;
	uint64_t values[FL_TUNABLES_MAX];
	struct fl_plan_level *level = &cell->levels[cell->nr_levels];
	char setting[256], text[64];
	int err;

	snprintf(setting, sizeof(setting), "%s=%s", vary->name,
		 vary->list.item[at]);
	err = fl_tunables_set(tunables, setting, values, r->why);
	if (err)
		return fl_plan_wrong_because(r, vary->key->line, "", err);
	err = fl_tunable_index(tunables, vary->name);
	fl_tunable_format(&tunables->table[err], values[err], text,
			  sizeof(text));
	level->tunable = strdup(vary->name);
	level->value = strdup(text);
	cell->nr_levels++;
	return level->tunable && level->value ? 0 : fl_plan_no_memory(r);
}

static int name_cell(struct fl_plan_reader *r, struct fl_plan *plan,
		     struct fl_plan_cell *cell)
{
	char *name = strdup(cell->group), *longer;

	for (size_t i = 0; name && i < cell->nr_levels; i++) {
		if (asprintf(&longer, "%s/%s=%s", name, cell->levels[i].tunable,
			     cell->levels[i].value) < 0)
			longer = NULL;
		free(name);
		name = longer;
	}
	cell->name = name;
	if (!name)
		return fl_plan_no_memory(r);
	for (uint32_t i = 0; i + 1 < plan->nr_cells; i++)
		if (!strcmp(plan->cells[i].name, name))
			return fl_plan_wrong(r, cell->line,
				"two cells are called %s: a level is there twice, written in two ways",
				name);
	return 0;
}

static int choose_arms(struct fl_plan_reader *r, const struct section *section,
		       struct fl_plan *plan, struct fl_plan_cell *cell)
{
	const struct fl_key *k = fl_key_get(section->s, "arms", plan->quick);
	struct fl_plan_list list;

	if (fl_plan_list(r, k, "", &list))
		goto out;
	for (uint32_t i = 0; !k && i < plan->nr_arms; i++)
		cell->arms[i] = plan->arms[i].kind == FL_MODULE_BENCH &&
				!strcmp(plan->arms[i].module, cell->bench);
	for (size_t n = 0; k && n < list.nr; n++) {
		uint32_t i;

		if (fl_plan_find_arm(r, plan, k->line, list.item[n], &i))
			goto out;
		if (plan->arms[i].kind != FL_MODULE_BENCH ||
		    strcmp(plan->arms[i].module, cell->bench)) {
			fl_plan_wrong(r, k->line, "%s: is an arm of %s %s, and this cell is of bench %s",
				      plan->arms[i].name, plan->arms[i].kind ==
				      FL_MODULE_BENCH ? "bench" : "strategy",
				      plan->arms[i].module, cell->bench);
			goto out;
		}
		cell->arms[i] = true;
	}
out:
	free(list.copy);
	return r->err;
}

/* Nobody should have to know which of two settings wins. */
static int check_conflicts(struct fl_plan_reader *r,
			   const struct section *section,
			   const struct fl_plan *plan, uint32_t arm,
			   const struct fl_plan_cell *cell)
{
	const struct fl_tunables *tunables = &section->module->tunables;
	const char *settings = plan->arms[arm].settings;

	for (size_t t = 0; t < tunables->nr; t++) {
		const char *name = tunables->table[t].name;
		bool ours = section->set &&
			    fl_plan_sets(section->set->value, name);

		for (size_t i = 0; i < cell->nr_levels; i++)
			ours |= !strcmp(cell->levels[i].tunable, name);
		if (ours && fl_plan_sets(settings, name))
			return fl_plan_wrong(r, r->set_lines[arm],
				"set: cell %s sets %s for every arm: remove it here, or leave %s out of that cell with arms =",
				cell->name, name, plan->arms[arm].name);
	}
	return 0;
}

/* What the cell sets, its levels, and what the arm sets: as one. */
static int join_settings(struct fl_plan_reader *r, const struct section *section,
			 const char *of_arm, const struct fl_plan_cell *cell,
			 char **out)
{
	size_t bytes;
	FILE *to = open_memstream(out, &bytes);

	if (!to)
		return fl_plan_no_memory(r);
	if (section->set)
		fputs(section->set->value, to);
	for (size_t i = 0; i < cell->nr_levels; i++)
		fprintf(to, "%s%s=%s", ftell(to) ? "," : "",
			cell->levels[i].tunable, cell->levels[i].value);
	if (of_arm)
		fprintf(to, "%s%s", ftell(to) ? "," : "", of_arm);
	return fclose(to) ? fl_plan_no_memory(r) : 0;
}

static int check_arm(struct fl_plan_reader *r, const struct section *section,
		     struct fl_plan *plan, struct fl_plan_cell *cell,
		     uint32_t i)
{
	const struct fl_plan_arm *arm = &plan->arms[i];
	const struct fl_module *module = &r->modules[arm->of];
	uint64_t values[FL_TUNABLES_MAX];
	char where[128];
	int err;

	if (check_conflicts(r, section, plan, i, cell) ||
	    join_settings(r, section, arm->settings, cell, &cell->settings[i]))
		return r->err;
	fl_tunables_defaults(&module->tunables, values);
	err = fl_tunables_set(&module->tunables, cell->settings[i], values,
			      r->why);
	snprintf(where, sizeof(where), "in cell %s: ", cell->name);
	return err ? fl_plan_wrong_because(r, section->set ? section->set->line :
					   cell->line, where, err) : 0;
}

/*
 * What a sample costs, for people who want to know before they begin: process
 * and clock; as many ops again as take 0.1 s by the bench's own word, a quarter
 * more to warm up; those timed one by one, and the readings of the clock.
 */
static double estimate_s(const struct fl_plan_cell *cell,
			 const struct fl_bench *bench)
{
	const double op_s = 0.1 / (double)bench->ops_default;

	return 0.02 + 1.25 * op_s * (double)cell->nr_ops +
	       (op_s + 40e-9) * (double)cell->latency_events;
}

/* The cell of one combination: @at has an index into each list. */
static int make_cell(struct fl_plan_reader *r, const struct section *section,
		     struct fl_plan *plan, const size_t *at)
{
	const struct fl_bench *bench = section->module->bench;
	struct fl_plan_cell *cell = fl_plan_new_cell(r, section->s, plan);

	if (!cell)
		return r->err;
	cell->bench = strdup(bench->name);
	cell->op = strdup(bench->op);
	cell->levels = calloc(section->nr_vary + 1, sizeof(*cell->levels));
	if (!cell->bench || !cell->op || !cell->levels)
		return fl_plan_no_memory(r);
	if (!cell->nr_ops)
		cell->nr_ops = bench->ops_default;
	for (size_t i = 0; i < section->nr_vary; i++)
		if (add_level(r, section, &section->vary[i], at[i], cell))
			return r->err;
	if (name_cell(r, plan, cell) || choose_arms(r, section, plan, cell))
		return r->err;
	for (uint32_t i = 0; i < plan->nr_arms; i++) {
		if (cell->arms[i] && check_arm(r, section, plan, cell, i))
			return r->err;
		cell->estimate_s[i] = estimate_s(cell, bench);
	}
	return fl_plan_check_parts(r, section->s, plan, cell);
}

/* The next combination, the last list fastest; false after the last. */
static bool next(const struct section *section, size_t *at)
{
	for (size_t i = section->nr_vary; i-- > 0;) {
		if (++at[i] < section->vary[i].list.nr)
			return true;
		at[i] = 0;
	}
	return false;
}

static int check_number(struct fl_plan_reader *r, const struct section *section)
{
	size_t nr = 1;

	for (size_t i = 0; i < section->nr_vary; i++)
		nr *= nr > CELLS_MAX ? 1 : section->vary[i].list.nr;
	return nr <= CELLS_MAX ? 0 : fl_plan_wrong(r, section->s->line,
		"[cell %s] stands for more than %u cells: shorten its lists",
		section->s->name, CELLS_MAX);
}

int fl_plan_make_bench_cells(struct fl_plan_reader *r,
			     const struct fl_section *s, struct fl_plan *plan)
{
	size_t at[FL_TUNABLES_MAX] = { 0 };
	struct section section = {
		.s = s, .set = fl_key_get(s, "set", plan->quick),
	};

	if (find_bench(r, plan, &section))
		return r->err;
	for (size_t i = 0; i < s->nr_keys; i++)
		if (!strncmp(s->keys[i].name, VARY, strlen(VARY)) &&
		    add_vary(r, &s->keys[i], plan->quick, &section))
			goto out_free_lists;
	if (check_number(r, &section))
		goto out_free_lists;
	do {
		if (make_cell(r, &section, plan, at))
			break;
	} while (next(&section, at));
out_free_lists:
	for (size_t i = 0; i < section.nr_vary; i++)
		free(section.vary[i].list.copy);
	return r->err;
}

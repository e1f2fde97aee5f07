/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/plan_read.h"

#define TIMEOUT_S_DEFAULT	60u
#define TIMEOUT_S_MAX		86400u
#define REPEATS_PCT_DEFAULT	20u

/* Folders of modules that were linked another time, from 1 (strategies/local.mk). */
#define LAYOUT			"layout"

enum kind { CAMPAIGN, ARM, CELL };

static const struct fl_known_key campaign_keys[] = {
	{ "name", false }, { "title", false }, { "blocks", true },
	{ "baseline", false }, { "timeout_s", true }, { "repeats_pct", true },
	{ "tolerance_pct", true }, { "builds", true },
	{ NULL, false },
};

static const struct fl_known_key arm_keys[] = {
	{ "strategy", false }, { "bench", false }, { "set", false },
	{ "block_max", false }, { "twin", false }, { "planted", false },
	{ NULL, false },
};

static const struct fl_known_key cell_keys[] = {
	{ "kernel", false }, { "size", true }, { "residence", true },
	{ "block", true }, { "lifetime", true }, { "trace", false },
	{ "mode", false }, { "fresh", false },
	{ "bench", false }, { "set", true }, { "vary.", true },
	{ "ops", true }, { "latency_events", true }, { "arms", true },
	{ "baseline", false }, { "blocks", true }, { "quick", false },
	{ NULL, false },
};

static const struct fl_known_section known[] = {
	[CAMPAIGN] = { "campaign", false, campaign_keys },
	[ARM] = { "arm", true, arm_keys },
	[CELL] = { "cell", true, cell_keys },
	{ NULL, false, NULL },
};

static int check_name(struct fl_plan_reader *r, unsigned line, const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	if (name[strspn(name, allowed)])
		return fl_plan_wrong(r, line,
			"name = %s: a name has letters, digits, '_' and '-' only",
			name);
	if (strlen(name) > FL_KEYFILE_NAME_MAX)
		return fl_plan_wrong(r, line,
			"name = %s: a name has at most %u characters", name,
			FL_KEYFILE_NAME_MAX);
	return 0;
}

/*
 * ---- [campaign] and [arm NAME]. ----
 */

static const struct fl_section *find_campaign(const struct fl_plan_reader *r)
{
	for (size_t i = 0; i < r->file.nr_sections; i++)
		if (r->file.sections[i].kind == CAMPAIGN)
			return &r->file.sections[i];
	return NULL;
}

static int make_campaign(struct fl_plan_reader *r, struct fl_plan *plan, bool quick)
{
	const struct fl_section *s = find_campaign(r);
	const struct fl_key *name, *title;
	uint64_t v;

	if (!s)
		return fl_plan_wrong(r, 1, "there is no [campaign] section: it says name and blocks");
	name = fl_key_find(s, "name");
	if (!name)
		return fl_plan_wrong(r, s->line, "[campaign] has no name: add name = ...");
	if (check_name(r, name->line, name->value))
		return r->err;
	if (!fl_key_find(s, "blocks"))
		return fl_plan_wrong(r, s->line, "[campaign] has no blocks: add blocks = ...");
	if (fl_plan_number(r, s, "blocks", quick, 1, FL_PLAN_BLOCKS_MAX, 1, &v))
		return r->err;
	plan->nr_blocks = (uint32_t)v;
	if (fl_plan_number(r, s, "timeout_s", quick, 1, TIMEOUT_S_MAX,
			   TIMEOUT_S_DEFAULT, &v))
		return r->err;
	plan->timeout_s = (uint32_t)v;
	if (fl_plan_number(r, s, "repeats_pct", quick, 0, 100, REPEATS_PCT_DEFAULT,
			   &v))
		return r->err;
	plan->repeats_pct = (uint32_t)v;
	if (fl_plan_number(r, s, "tolerance_pct", quick, 1, 50, 0, &v))
		return r->err;
	plan->tolerance_pct = (uint32_t)v;
	if (fl_plan_number(r, s, "builds", quick, 1, FL_PLAN_BUILDS_MAX, 1, &v))
		return r->err;
	plan->nr_builds = (uint32_t)v;
	if (plan->name)
		return 0;
	title = fl_key_find(s, "title");
	plan->name = strdup(name->value);
	plan->title = title ? strdup(title->value) : NULL;
	return plan->name && !plan->title == !title ? 0 : fl_plan_no_memory(r);
}

static int make_arm(struct fl_plan_reader *r, const struct fl_section *s,
		    struct fl_plan *plan)
{
	struct fl_plan_arm *more = fl_plan_grow(plan->arms, plan->nr_arms,
						sizeof(*more));
	const struct fl_key *set = fl_key_find(s, "set");
	uint64_t v;

	if (!more)
		return fl_plan_no_memory(r);
	plan->arms = more;
	more = &more[plan->nr_arms];
	*more = (struct fl_plan_arm){
		.line = s->line, .role = FL_ROLE_ARM, .of = plan->nr_arms,
		.name = strdup(s->name),
		.settings = set ? strdup(set->value) : NULL,
	};
	plan->nr_arms++;
	if (!more->name || !more->settings != !set)
		return fl_plan_no_memory(r);
	if (fl_plan_number(r, s, "block_max", false, 4096, (uint64_t)1 << 40,
			   UINT64_MAX, &v))
		return r->err;
	more->block_bytes_max = v;
	return 0;
}

static int make_double(struct fl_plan_reader *r, const struct fl_section *s,
		       const struct fl_key *of, enum fl_role role,
		       struct fl_plan *plan, uint32_t index)
{
	struct fl_plan_arm *arm = &plan->arms[index];

	if (fl_plan_find_arm(r, plan, of->line, of->value, &arm->of))
		return r->err;
	if (fl_key_find(s, "strategy") || fl_key_find(s, "bench") ||
	    arm->settings)
		return fl_plan_wrong(r, s->line,
			"[arm %s] takes strategy or bench, and set, from \"%s\": remove them here",
			arm->name, of->value);
	arm->role = role;
	r->set_lines[index] = of->line;
	return 0;
}

/* @named: taken, also after a failure; may be NULL, without memory. */
static int add_build(struct fl_plan_reader *r, unsigned line, char *named,
		     const struct fl_module *module, struct fl_plan_arm *arm)
{
	struct fl_plan_build *build = &arm->builds[arm->nr_builds++];
	int err;

	build->named = named;
	build->path = strdup(module->path);
	if (!build->named || !build->path)
		return fl_plan_no_memory(r);
	err = fl_digest_file(build->path, build->sha256);
	return err ? fl_plan_wrong(r, line, "%s: %s", build->path,
				   strerror(-err)) : 0;
}

/* The module of an arm that doubles none. */
static int load_module(struct fl_plan_reader *r, const struct fl_key *name,
		       struct fl_plan_arm *arm, struct fl_module *module)
{
	char *path = strchr(name->value, '/') ?
		     fl_plan_beside(r, name->value) : strdup(name->value);
	int err;

	if (!path)
		return fl_plan_no_memory(r);
	err = fl_module_named(arm->kind, path, module, r->why);
	free(path);
	if (err)
		return fl_plan_wrong_because(r, name->line, "", err);
	arm->module = strdup(module->tunables.owner);
	arm->compiler = strdup(arm->kind == FL_MODULE_BENCH ?
			       module->bench->compiler :
			       module->strategy->compiler);
	if (!arm->module || !arm->compiler)
		return fl_plan_no_memory(r);
	return add_build(r, name->line, strdup(name->value), module, arm);
}

/* Was the module at @path linked into any other layout? */
static bool has_layouts(const char *path)
{
	char *others = fl_module_others(path);
	const bool has = others && strstr(others, LAYOUT);

	free(others);
	return has;
}

/* The same code at other addresses, where there is any: see harness/plan.h. */
static int load_layouts(struct fl_plan_reader *r, const struct fl_key *name,
			uint32_t nr, struct fl_plan_arm *arm)
{
	if (arm->kind == FL_MODULE_BENCH || strchr(name->value, '/') ||
	    strstr(name->value, "@" LAYOUT) || !has_layouts(arm->builds[0].path))
		return 0;
	for (uint32_t i = 1; i < nr; i++) {
		struct fl_module module;
		char *named;
		int err;

		if (asprintf(&named, "%s@" LAYOUT "%u", name->value, i) < 0)
			return fl_plan_no_memory(r);
		err = fl_module_named(arm->kind, named, &module, r->why);
		if (err) {
			free(named);
			return fl_plan_wrong_because(r, name->line, "", err);
		}
		err = add_build(r, name->line, named, &module, arm);
		fl_module_unload(&module);
		if (err)
			return err;
	}
	return 0;
}

static int load_arm(struct fl_plan_reader *r, const struct fl_section *s,
		    struct fl_plan *plan, uint32_t index, uint32_t nr_builds)
{
	struct fl_plan_arm *arm = &plan->arms[index];
	const struct fl_key *strategy = fl_key_find(s, "strategy");
	const struct fl_key *bench = fl_key_find(s, "bench");
	const struct fl_key *set = fl_key_find(s, "set");
	const struct fl_key *block_max = fl_key_find(s, "block_max");
	struct fl_module *module = &r->modules[index];
	uint64_t values[FL_TUNABLES_MAX];
	int err;

	if (!strategy && !bench)
		return fl_plan_wrong(r, s->line, "[arm %s] has no strategy: add strategy = ... or bench = ..., or twin = or planted = another arm",
				     arm->name);
	if (strategy && bench)
		return fl_plan_wrong(r, bench->line, "[arm %s] is a strategy or a bench, not both",
				     arm->name);
	if (bench && block_max)
		return fl_plan_wrong(r, block_max->line, "block_max: benches have no blocks: remove it");
	arm->kind = bench ? FL_MODULE_BENCH : FL_MODULE_STRATEGY;
	if (load_module(r, bench ? bench : strategy, arm, module) ||
	    load_layouts(r, bench ? bench : strategy, nr_builds, arm))
		return r->err;
	if (strategy)
		arm->answer = module->strategy->answer;
	r->set_lines[index] = set ? set->line : s->line;
	if (!set)
		return 0;
	if (strategy && fl_plan_sets(set->value, "block"))
		return fl_plan_wrong(r, set->line,
			"set: a cell's block is every arm's block: remove block= here");
	/* With placeholders it can only be checked cell by cell. */
	if (strategy && strchr(set->value, '{'))
		return 0;
	fl_tunables_defaults(&module->tunables, values);
	err = fl_tunables_set(&module->tunables, set->value, values, r->why);
	return err ? fl_plan_wrong_because(r, set->line, "", err) : 0;
}

static int copy_double(struct fl_plan_reader *r, struct fl_plan *plan, uint32_t index)
{
	struct fl_plan_arm *arm = &plan->arms[index];
	const struct fl_plan_arm *of = &plan->arms[arm->of];

	if (of->role != FL_ROLE_ARM)
		return fl_plan_wrong(r, r->set_lines[index],
			"%s = %s: name an arm that is neither twin nor planted",
			fl_role_name(arm->role), of->name);
	arm->kind = of->kind;
	arm->module = strdup(of->module);
	arm->settings = of->settings ? strdup(of->settings) : NULL;
	arm->compiler = strdup(of->compiler);
	arm->answer = of->answer;
	while (arm->nr_builds < of->nr_builds) {
		const struct fl_plan_build *from = &of->builds[arm->nr_builds];
		struct fl_plan_build *build = &arm->builds[arm->nr_builds++];

		build->named = strdup(from->named);
		build->path = strdup(from->path);
		memcpy(build->sha256, from->sha256, sizeof(build->sha256));
		if (!build->named || !build->path)
			return fl_plan_no_memory(r);
	}
	if (of->block_bytes_max < arm->block_bytes_max)
		arm->block_bytes_max = of->block_bytes_max;
	r->set_lines[index] = r->set_lines[arm->of];
	return arm->module && arm->compiler &&
	       !arm->settings == !of->settings ? 0 : fl_plan_no_memory(r);
}

/* The first arm of @kind that is no control, or UINT32_MAX. */
static uint32_t first_arm(const struct fl_plan *plan, enum fl_module_kind kind)
{
	for (uint32_t i = 0; i < plan->nr_arms; i++)
		if (plan->arms[i].role == FL_ROLE_ARM &&
		    plan->arms[i].kind == kind)
			return i;
	return UINT32_MAX;
}

/* What is measured must have what shows that it can be believed. */
static int check_controls(struct fl_plan_reader *r, const struct fl_plan *plan,
			  enum fl_module_kind kind)
{
	const uint32_t first = first_arm(plan, kind);
	bool twin = false, planted = false;

	if (first == UINT32_MAX)
		return 0;
	for (uint32_t i = 0; i < plan->nr_arms; i++) {
		twin |= plan->arms[i].role == FL_ROLE_TWIN &&
			plan->arms[i].kind == kind;
		planted |= plan->arms[i].role == FL_ROLE_PLANTED &&
			   plan->arms[i].kind == kind;
	}
	if (twin && planted)
		return 0;
	return fl_plan_wrong(r, find_campaign(r)->line,
		"no arm%s is %s: add [arm NAME] with %s = %s",
		kind == FL_MODULE_BENCH ? " of a bench" : "", twin ?
		"planted, without which a missed difference goes unseen" :
		"a twin, without which noise cannot be told from a difference",
		twin ? "planted" : "twin", plan->arms[first].name);
}

/* What either profile asks for: arms are loaded once for both. */
static int most_builds(struct fl_plan_reader *r, uint32_t *out)
{
	uint64_t full, quick;

	if (fl_plan_number(r, find_campaign(r), "builds", false, 1,
			   FL_PLAN_BUILDS_MAX, 1, &full) ||
	    fl_plan_number(r, find_campaign(r), "builds", true, 1,
			   FL_PLAN_BUILDS_MAX, 1, &quick))
		return r->err;
	*out = (uint32_t)(full > quick ? full : quick);
	return 0;
}

static int check_builds(struct fl_plan_reader *r, const struct fl_plan *plan,
			uint32_t nr_builds)
{
	const struct fl_key *k = fl_key_find(find_campaign(r), "builds");

	if (nr_builds == 1)
		return 0;
	for (uint32_t i = 0; i < plan->nr_arms; i++)
		if (plan->arms[i].nr_builds > 1)
			return 0;
	if (!k)
		k = fl_key_find(find_campaign(r), "builds_quick");
	return fl_plan_wrong(r, k->line, "%s = %s: no arm has another layout: make links strategies into some; for arms that have none, remove it",
			     k->name, k->value);
}

static int make_arms(struct fl_plan_reader *r, struct fl_plan *plan)
{
	const struct fl_section *campaign = find_campaign(r), *s;
	const struct fl_key *baseline = fl_key_find(campaign, "baseline");
	uint32_t i = 0, nr_builds = 1;

	for (size_t k = 0; k < r->file.nr_sections; k++)
		if (r->file.sections[k].kind == ARM &&
		    make_arm(r, &r->file.sections[k], plan))
			return r->err;
	if (!plan->nr_arms)
		return fl_plan_wrong(r, campaign->line, "the plan has no [arm NAME]: there is nothing to compare");
	if (most_builds(r, &nr_builds))
		return r->err;
	r->modules = calloc(plan->nr_arms, sizeof(*r->modules));
	r->set_lines = calloc(plan->nr_arms, sizeof(*r->set_lines));
	if (!r->modules || !r->set_lines)
		return fl_plan_no_memory(r);

	for (size_t k = 0; k < r->file.nr_sections; k++) {
		const struct fl_key *twin, *planted;

		s = &r->file.sections[k];
		if (s->kind != ARM)
			continue;
		twin = fl_key_find(s, "twin");
		planted = fl_key_find(s, "planted");
		if (twin && planted)
			return fl_plan_wrong(r, s->line, "[arm %s] is twin or planted, not both",
					     s->name);
		if (twin ? make_double(r, s, twin, FL_ROLE_TWIN, plan, i) :
		    planted ? make_double(r, s, planted, FL_ROLE_PLANTED, plan,
					  i) :
		    load_arm(r, s, plan, i, nr_builds))
			return r->err;
		i++;
	}
	/* Only now: the arms they double may stand below them. */
	for (i = 0; i < plan->nr_arms; i++)
		if (plan->arms[i].role != FL_ROLE_ARM && copy_double(r, plan, i))
			return r->err;
	if (check_controls(r, plan, FL_MODULE_STRATEGY) ||
	    check_controls(r, plan, FL_MODULE_BENCH) ||
	    check_builds(r, plan, nr_builds))
		return r->err;
	plan->baseline = first_arm(plan, FL_MODULE_STRATEGY);
	if (plan->baseline == UINT32_MAX)
		plan->baseline = first_arm(plan, FL_MODULE_BENCH);
	if (baseline && fl_plan_find_arm(r, plan, baseline->line,
					 baseline->value, &plan->baseline))
		return r->err;
	if (plan->arms[plan->baseline].role != FL_ROLE_ARM)
		return fl_plan_wrong(r, baseline->line, "baseline = %s: name an arm that is neither twin nor planted",
				     baseline->value);
	plan->arms[plan->baseline].role = FL_ROLE_BASELINE;
	return 0;
}

static void free_cell(struct fl_plan_cell *cell, uint32_t nr_arms)
{
	free(cell->name);
	free(cell->group);
	free(cell->bench);
	free(cell->op);
	for (size_t i = 0; i < cell->nr_levels; i++) {
		free(cell->levels[i].tunable);
		free(cell->levels[i].value);
	}
	free(cell->levels);
	free(cell->kernel);
	free(cell->trace);
	free(cell->trace_path);
	free(cell->arms);
	for (uint32_t i = 0; cell->settings && i < nr_arms; i++)
		free(cell->settings[i]);
	free(cell->settings);
	free(cell->estimate_s);
}

static void free_cells(struct fl_plan *plan)
{
	for (uint32_t i = 0; i < plan->nr_cells; i++)
		free_cell(&plan->cells[i], plan->nr_arms);
	free(plan->cells);
	plan->cells = NULL;
	plan->nr_cells = 0;
}

struct fl_plan_cell *fl_plan_new_cell(struct fl_plan_reader *r,
				      const struct fl_section *s,
				      struct fl_plan *plan)
{
	struct fl_plan_cell *more = fl_plan_grow(plan->cells, plan->nr_cells,
						 sizeof(*more));
	uint64_t v;

	if (!more) {
		fl_plan_no_memory(r);
		return NULL;
	}
	plan->cells = more;
	more = &more[plan->nr_cells++];
	*more = (struct fl_plan_cell){
		.line = s->line, .group = strdup(s->name),
		.baseline = UINT32_MAX,
		.arms = calloc(plan->nr_arms, sizeof(*more->arms)),
		.settings = calloc(plan->nr_arms, sizeof(*more->settings)),
		.estimate_s = calloc(plan->nr_arms, sizeof(*more->estimate_s)),
	};
	if (!more->group || !more->arms || !more->settings ||
	    !more->estimate_s) {
		fl_plan_no_memory(r);
		return NULL;
	}
	if (fl_plan_number(r, s, "ops", plan->quick, 1, (uint64_t)1 << 40, 0,
			   &more->nr_ops) ||
	    fl_plan_number(r, s, "latency_events", plan->quick, 0,
			   (uint64_t)1 << 20, 0, &more->latency_events) ||
	    fl_plan_number(r, s, "blocks", plan->quick, 1, FL_PLAN_BLOCKS_MAX,
			   UINT32_MAX, &v))
		return NULL;
	more->nr_blocks = (uint32_t)v;
	return more;
}

/* Which arm the others are compared with. */
static int choose_baseline(struct fl_plan_reader *r, const struct fl_section *s,
			   struct fl_plan *plan, struct fl_plan_cell *cell)
{
	const struct fl_key *k = fl_key_find(s, "baseline");
	uint32_t i = plan->baseline;

	if (k && fl_plan_find_arm(r, plan, k->line, k->value, &i))
		return r->err;
	if (k && plan->arms[i].of != i)
		return fl_plan_wrong(r, k->line, "baseline = %s: name an arm that is neither twin nor planted",
				     k->value);
	if (!k && cell->bench && !cell->arms[i])
		for (i = 0; !cell->arms[i] || plan->arms[i].of != i;)
			i++;
	if (cell->arms[i])
		cell->baseline = i;
	else if (!cell->account)
		return fl_plan_wrong(r, k ? k->line : cell->line,
			"in cell %s the baseline, %s, does not take part, so there is nothing to compare with: add it to arms =",
			cell->name, plan->arms[i].name);
	return 0;
}

int fl_plan_check_parts(struct fl_plan_reader *r, const struct fl_section *s,
			struct fl_plan *plan, struct fl_plan_cell *cell)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < plan->nr_arms; i++) {
		const struct fl_plan_arm *arm = &plan->arms[i];

		nr += cell->arms[i];
		if (cell->arms[i] && !cell->arms[arm->of])
			return fl_plan_wrong(r, cell->line,
				"in cell %s: %s takes part but not %s, which it doubles: add it to arms =",
				cell->name, arm->name,
				plan->arms[arm->of].name);
	}
	if (!nr)
		return fl_plan_wrong(r, cell->line, "in cell %s no arm takes part: see arms =%s",
				     cell->name, cell->bench ? "" :
				     " and block_max =");
	return choose_baseline(r, s, plan, cell);
}

static int check_takes_part(struct fl_plan_reader *r, const struct fl_plan *plan,
			    uint32_t arm)
{
	const struct fl_plan_arm *a = &plan->arms[arm];

	for (uint32_t i = 0; i < plan->nr_cells; i++)
		if (!plan->cells[i].account && plan->cells[i].arms[arm])
			return 0;
	return fl_plan_wrong(r, a->line,
		"the %s arm, %s, takes part in no timed cell of the %s profile%s",
		fl_role_name(a->role), a->name, plan->quick ? "quick" : "full",
		a->role == FL_ROLE_PLANTED && a->kind == FL_MODULE_STRATEGY ?
		": kernel fill of 16 bytes has planted instances" : "");
}

/* What a section of the other kind has is no key of this one. */
static int check_keys(struct fl_plan_reader *r, const struct fl_section *s)
{
	static const char *const of_strategies[] = {
		"kernel", "size", "residence", "block", "lifetime", "trace",
		"mode", "fresh", NULL,
	};
	const bool bench = fl_key_find(s, "bench");

	for (size_t i = 0; i < s->nr_keys; i++) {
		const struct fl_key *k = &s->keys[i];
		bool other = false;

		for (size_t n = 0; bench && of_strategies[n]; n++)
			other |= !strcmp(k->name, of_strategies[n]) ||
				 (!strncmp(k->name, of_strategies[n],
					   strlen(of_strategies[n])) &&
				  !strcmp(k->name + strlen(of_strategies[n]),
					  "_quick"));
		if (!bench)
			other = !strcmp(k->name, "set") ||
				!strcmp(k->name, "set_quick") ||
				!strncmp(k->name, "vary.", strlen("vary."));
		if (other)
			return fl_plan_wrong(r, k->line, bench ?
				"%s: [cell %s] is of a bench, and only cells of strategies have that: remove it" :
				"%s: only cells of a bench have that, and [cell %s] has no bench =: remove it",
				k->name, s->name);
	}
	return 0;
}

static int make_group(struct fl_plan_reader *r, const struct fl_section *s,
		      struct fl_plan *plan)
{
	static const char *const yes[] = { "no", "yes", NULL };
	int in_quick;

	if (check_keys(r, s) || fl_plan_choice(r, s, "quick", yes, 1, &in_quick))
		return r->err;
	if (plan->quick && !in_quick)
		return 0;
	return fl_key_find(s, "bench") ? fl_plan_make_bench_cells(r, s, plan) :
					 fl_plan_make_cells(r, s, plan);
}

static int make_profile(struct fl_plan_reader *r, struct fl_plan *plan, bool quick)
{
	plan->quick = quick;
	if (make_campaign(r, plan, quick))
		return r->err;
	for (size_t i = 0; i < r->file.nr_sections; i++)
		if (r->file.sections[i].kind == CELL &&
		    make_group(r, &r->file.sections[i], plan))
			return r->err;
	if (!plan->nr_cells)
		return fl_plan_wrong(r, 1, "the %s profile has no [cell NAME]: there is nothing to measure",
				     quick ? "quick" : "full");
	for (uint32_t i = 0; i < plan->nr_arms; i++)
		if (plan->arms[i].of != i && check_takes_part(r, plan, i))
			return r->err;
	return 0;
}

/* All but the first @nr. */
static void drop_builds(struct fl_plan_arm *arm, uint32_t nr)
{
	while (arm->nr_builds > nr) {
		struct fl_plan_build *build = &arm->builds[--arm->nr_builds];

		free(build->named);
		free(build->path);
	}
}

static void free_reader(struct fl_plan_reader *r, uint32_t nr_arms)
{
	fl_keyfile_free(&r->file);
	for (uint32_t i = 0; r->modules && i < nr_arms; i++)
		fl_module_unload(&r->modules[i]);
	free(r->modules);
	free(r->set_lines);
	while (r->traces) {
		struct fl_plan_trace *next = r->traces->next;

		free(r->traces->path);
		free(r->traces);
		r->traces = next;
	}
}

int fl_plan_load(const char *path, bool quick, struct fl_plan *out,
		 struct fl_complaint *why)
{
	struct fl_complaint unused;
	struct fl_plan_reader r = { .why = why ? why : &unused };
	struct fl_plan plan = { 0 };

	r.err = fl_keyfile_read(path, known, &r.file, r.why);
	if (r.err)
		return r.err;
	if (make_campaign(&r, &plan, quick) || make_arms(&r, &plan))
		goto out_free_reader;
	/* The other profile must not be found wrong only when it is used. */
	if (make_profile(&r, &plan, !quick))
		goto out_free_reader;
	free_cells(&plan);
	if (make_profile(&r, &plan, quick))
		goto out_free_reader;
	for (uint32_t i = 0; i < plan.nr_arms; i++)
		drop_builds(&plan.arms[i], plan.nr_builds);
	fl_digest_bytes(r.file.text, r.file.text_bytes, plan.sha256);
	plan.path = r.file.path;
	plan.text = r.file.text;
	plan.text_bytes = r.file.text_bytes;
	r.file.path = r.file.text = NULL;
out_free_reader:
	free_reader(&r, plan.nr_arms);
	if (r.err)
		fl_plan_free(&plan);
	else
		*out = plan;
	return r.err;
}

void fl_plan_free(struct fl_plan *plan)
{
	free_cells(plan);
	for (uint32_t i = 0; i < plan->nr_arms; i++) {
		free(plan->arms[i].name);
		free(plan->arms[i].module);
		free(plan->arms[i].settings);
		free(plan->arms[i].compiler);
		drop_builds(&plan->arms[i], 0);
	}
	free(plan->arms);
	free(plan->path);
	free(plan->text);
	free(plan->name);
	free(plan->title);
	*plan = (struct fl_plan){ 0 };
}

enum fl_role fl_plan_role(const struct fl_plan *plan,
			  const struct fl_plan_cell *cell, uint32_t arm)
{
	return plan->arms[arm].of != arm ? plan->arms[arm].role :
	       cell->baseline == arm ? FL_ROLE_BASELINE : FL_ROLE_ARM;
}

const char *fl_role_name(enum fl_role role)
{
	static const char *const names[] = {
		[FL_ROLE_BASELINE] = "baseline", [FL_ROLE_ARM] = "arm",
		[FL_ROLE_TWIN] = "twin", [FL_ROLE_PLANTED] = "planted",
	};

	return names[role];
}

uint64_t fl_plan_samples(const struct fl_plan *plan, uint32_t nr_blocks)
{
	uint64_t nr = 0;

	for (uint32_t c = 0; c < plan->nr_cells; c++) {
		const struct fl_plan_cell *cell = &plan->cells[c];
		uint32_t blocks = cell->nr_blocks < nr_blocks ?
				  cell->nr_blocks : nr_blocks;

		for (uint32_t a = 0; a < plan->nr_arms; a++)
			nr += cell->arms[a] ? blocks : 0;
	}
	return nr;
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/plan_read.h"

#define TIMEOUT_S_DEFAULT	60u
#define TIMEOUT_S_MAX		86400u
#define REPEATS_PCT_DEFAULT	20u

enum kind { CAMPAIGN, ARM, CELL };

static const struct fl_known_key campaign_keys[] = {
	{ "name", false }, { "title", false }, { "blocks", true },
	{ "baseline", false }, { "timeout_s", true }, { "repeats_pct", true },
	{ "tolerance_pct", true },
	{ NULL, false },
};

static const struct fl_known_key arm_keys[] = {
	{ "strategy", false }, { "set", false }, { "block_max", false },
	{ "twin", false }, { "planted", false },
	{ NULL, false },
};

static const struct fl_known_key cell_keys[] = {
	{ "kernel", false }, { "size", true }, { "residence", true },
	{ "block", true }, { "lifetime", true }, { "ops", true },
	{ "trace", false }, { "mode", false }, { "fresh", false },
	{ "latency_events", true }, { "arms", true }, { "blocks", true },
	{ "quick", false },
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
	uint32_t *only = role == FL_ROLE_TWIN ? &plan->twin : &plan->planted;

	if (*only != UINT32_MAX)
		return fl_plan_wrong(r, s->line, "a campaign has one %s arm, and \"%s\" is it already",
				     fl_role_name(role), plan->arms[*only].name);
	*only = index;
	if (fl_plan_find_arm(r, plan, of->line, of->value, &arm->of))
		return r->err;
	if (fl_key_find(s, "strategy") || arm->settings)
		return fl_plan_wrong(r, s->line,
			"[arm %s] takes strategy and set from \"%s\": remove them here",
			arm->name, of->value);
	arm->role = role;
	r->set_lines[index] = of->line;
	return 0;
}

static bool sets_block(const char *settings)
{
	static const char between[] = ", ";

	while (*settings) {
		settings += strspn(settings, between);
		if (!strncmp(settings, "block=", strlen("block=")))
			return true;
		settings += strcspn(settings, between);
	}
	return false;
}

static int load_arm(struct fl_plan_reader *r, const struct fl_section *s,
		    struct fl_plan *plan, uint32_t index)
{
	struct fl_plan_arm *arm = &plan->arms[index];
	const struct fl_key *strategy = fl_key_find(s, "strategy");
	const struct fl_key *set = fl_key_find(s, "set");
	struct fl_module *module = &r->modules[index];
	uint64_t values[FL_TUNABLES_MAX];
	char *path;
	int err;

	if (!strategy)
		return fl_plan_wrong(r, s->line, "[arm %s] has no strategy: add strategy = ..., or twin = or planted = another arm",
				     arm->name);
	path = strchr(strategy->value, '/') ? fl_plan_beside(r, strategy->value) :
					      strdup(strategy->value);
	if (!path)
		return fl_plan_no_memory(r);
	err = fl_module_named(FL_MODULE_STRATEGY, path, module, r->why);
	free(path);
	if (err)
		return fl_plan_wrong_because(r, strategy->line, "", err);
	arm->strategy = strdup(module->strategy->name);
	arm->module_path = strdup(module->path);
	arm->answer = module->strategy->answer;
	if (!arm->strategy || !arm->module_path)
		return fl_plan_no_memory(r);
	err = fl_digest_file(module->path, arm->module_sha256);
	if (err)
		return fl_plan_wrong(r, strategy->line, "%s: %s", module->path,
				     strerror(-err));
	r->set_lines[index] = set ? set->line : s->line;
	if (!set)
		return 0;
	if (sets_block(set->value))
		return fl_plan_wrong(r, set->line,
			"set: a cell's block is every arm's block: remove block= here");
	/* With placeholders it can only be checked cell by cell. */
	if (strchr(set->value, '{'))
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
	arm->strategy = strdup(of->strategy);
	arm->settings = of->settings ? strdup(of->settings) : NULL;
	arm->module_path = strdup(of->module_path);
	arm->answer = of->answer;
	memcpy(arm->module_sha256, of->module_sha256,
	       sizeof(arm->module_sha256));
	if (of->block_bytes_max < arm->block_bytes_max)
		arm->block_bytes_max = of->block_bytes_max;
	r->set_lines[index] = r->set_lines[arm->of];
	return arm->strategy && arm->module_path &&
	       !arm->settings == !of->settings ? 0 : fl_plan_no_memory(r);
}

static int make_arms(struct fl_plan_reader *r, struct fl_plan *plan)
{
	const struct fl_section *campaign = find_campaign(r), *s;
	const struct fl_key *baseline = fl_key_find(campaign, "baseline");
	uint32_t i = 0;

	plan->twin = plan->planted = UINT32_MAX;
	for (size_t k = 0; k < r->file.nr_sections; k++)
		if (r->file.sections[k].kind == ARM &&
		    make_arm(r, &r->file.sections[k], plan))
			return r->err;
	if (!plan->nr_arms)
		return fl_plan_wrong(r, campaign->line, "the plan has no [arm NAME]: there is nothing to compare");
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
		    load_arm(r, s, plan, i))
			return r->err;
		i++;
	}
	if (plan->twin == UINT32_MAX)
		return fl_plan_wrong(r, campaign->line,
			"no arm is a twin, without which noise cannot be told from a difference: add [arm NAME] with twin = ARM");
	if (plan->planted == UINT32_MAX)
		return fl_plan_wrong(r, campaign->line,
			"no arm is planted, without which a missed difference goes unseen: add [arm NAME] with planted = ARM");
	/* Only now: the arms they double may stand below them. */
	if (copy_double(r, plan, plan->twin) ||
	    copy_double(r, plan, plan->planted))
		return r->err;
	for (i = 0; plan->arms[i].role != FL_ROLE_ARM;)
		i++;
	plan->baseline = i;
	if (baseline && fl_plan_find_arm(r, plan, baseline->line, baseline->value,
					 &plan->baseline))
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

static int check_takes_part(struct fl_plan_reader *r, const struct fl_plan *plan,
			    uint32_t arm)
{
	for (uint32_t i = 0; i < plan->nr_cells; i++)
		if (!plan->cells[i].account && plan->cells[i].arms[arm])
			return 0;
	return fl_plan_wrong(r, plan->arms[arm].line,
		"the %s arm, %s, takes part in no timed cell of the %s profile%s",
		fl_role_name(plan->arms[arm].role), plan->arms[arm].name,
		plan->quick ? "quick" : "full",
		plan->arms[arm].role == FL_ROLE_PLANTED ?
		": kernel fill of 16 bytes has planted instances" : "");
}

static int make_profile(struct fl_plan_reader *r, struct fl_plan *plan, bool quick)
{
	plan->quick = quick;
	if (make_campaign(r, plan, quick))
		return r->err;
	for (size_t i = 0; i < r->file.nr_sections; i++)
		if (r->file.sections[i].kind == CELL &&
		    fl_plan_make_cells(r, &r->file.sections[i], plan))
			return r->err;
	if (!plan->nr_cells)
		return fl_plan_wrong(r, 1, "the %s profile has no [cell NAME]: there is nothing to measure",
				     quick ? "quick" : "full");
	if (check_takes_part(r, plan, plan->twin) ||
	    check_takes_part(r, plan, plan->planted))
		return r->err;
	return 0;
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
		free(plan->arms[i].strategy);
		free(plan->arms[i].settings);
		free(plan->arms[i].module_path);
	}
	free(plan->arms);
	free(plan->path);
	free(plan->text);
	free(plan->name);
	free(plan->title);
	*plan = (struct fl_plan){ 0 };
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

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/keyfile.h"
#include "harness/module_load.h"
#include "harness/plan.h"
#include "harness/workload.h"

#define LIST_MAX		32u
#define NR_BLOCKS_MAX		10000u
#define TIMEOUT_S_DEFAULT	60u
#define TIMEOUT_S_MAX		86400u
#define REPEATS_PCT_DEFAULT	20u
#define LIFETIME_BLOCKS_DEFAULT	16u
#define BLOCK_BYTES_MIN		((uint64_t)4 << 10)
#define BLOCK_BYTES_MAX		((uint64_t)1 << 30)
#define BLOCK_BYTES_DEFAULT	((uint64_t)64 << 10)

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

/* A trace that several cells share is read once. */
struct seen_trace {
	char *path;
	char sha256[FL_DIGEST_HEX_BYTES];
	uint64_t nr_allocs;
	struct seen_trace *next;
};

struct reader {
	struct fl_keyfile file;
	struct fl_complaint *why;
	int err;
	struct fl_module *modules;	/* of each arm, loaded */
	unsigned *set_lines;		/* of each arm's settings */
	struct seen_trace *traces;
};

#define wrong(r, line, ...) \
	((r)->err = fl_keyfile_wrong(&(r)->file, line, (r)->why, __VA_ARGS__))

static int no_memory(struct reader *r)
{
	return r->err = fl_complain(r->why, -ENOMEM, "%s: %s", r->file.path,
				    strerror(ENOMEM));
}

/* One element more; NULL without memory, and @array as it was. */
static void *grow(void *array, size_t nr, size_t bytes)
{
	return reallocarray(array, nr + 1, bytes);
}

/* What somebody else complained of, with the place in front. */
static int wrong_because(struct reader *r, unsigned line, const char *where,
			 int err)
{
	const struct fl_complaint because = *r->why;

	wrong(r, line, "%s%s", where, because.text);
	return r->err = err;
}

static int check_name(struct reader *r, unsigned line, const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	if (name[strspn(name, allowed)])
		return wrong(r, line,
			"name = %s: a name has letters, digits, '_' and '-' only",
			name);
	if (strlen(name) > FL_KEYFILE_NAME_MAX)
		return wrong(r, line,
			"name = %s: a name has at most %u characters", name,
			FL_KEYFILE_NAME_MAX);
	return 0;
}

/*
 * ---- Values. ----
 */

static int get_number(struct reader *r, const struct fl_section *s,
		      const char *name, bool quick, uint64_t low, uint64_t high,
		      uint64_t def, uint64_t *out)
{
	const struct fl_key *k = fl_key_get(s, name, quick);
	char a[32], b[32];
	uint64_t v;

	*out = def;
	if (!k)
		return 0;
	fl_format_bytes(low, a, sizeof(a));
	fl_format_bytes(high, b, sizeof(b));
	if (fl_parse_bytes(k->value, &v))
		return wrong(r, k->line, "%s = %s: not a number; it is from %s to %s",
			     k->name, k->value, a, b);
	if (v < low || v > high)
		return wrong(r, k->line, "%s = %s: out of range, it must be from %s to %s",
			     k->name, k->value, a, b);
	*out = v;
	return 0;
}

static int get_choice(struct reader *r, const struct fl_section *s,
		      const char *name, const char *const *choices, int def,
		      int *out)
{
	const struct fl_key *k = fl_key_find(s, name);
	char all[128] = "";

	*out = def;
	if (!k)
		return 0;
	for (int i = 0; choices[i]; i++) {
		if (!strcmp(choices[i], k->value)) {
			*out = i;
			return 0;
		}
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s",
			 i ? ", " : "", choices[i]);
	}
	return wrong(r, k->line, "%s = %s: it must be one of %s", name,
		     k->value, all);
}

struct list {
	char *copy;
	char *item[LIST_MAX + 1];	/* NULL-terminated */
	size_t nr;
};

/* The words of @k's value; with NULL, of @def.  Release with free(copy). */
static int get_list(struct reader *r, const struct fl_key *k, const char *def,
		    struct list *list)
{
	char *rest, *word;

	*list = (struct list){ .copy = strdup(k ? k->value : def) };
	if (!list->copy)
		return no_memory(r);
	for (rest = list->copy; (word = strsep(&rest, ", \t"));) {
		if (!*word)
			continue;
		if (list->nr == LIST_MAX)
			return wrong(r, k->line, "%s: more than %u entries",
				     k->name, LIST_MAX);
		for (size_t i = 0; i < list->nr; i++)
			if (!strcmp(list->item[i], word))
				return wrong(r, k->line, "%s: \"%s\" is there twice",
					     k->name, word);
		list->item[list->nr++] = word;
	}
	return list->nr || !k ? 0 :
		wrong(r, k->line, "%s: the list is empty", k->name);
}

/* @path as seen from here, when it is written as seen from the plan. */
static char *beside_plan(const struct reader *r, const char *path)
{
	const char *slash = strrchr(r->file.path, '/');
	char *full;

	if (*path == '/' || !slash)
		return strdup(path);
	if (asprintf(&full, "%.*s/%s", (int)(slash - r->file.path), r->file.path,
		     path) < 0)
		return NULL;
	return full;
}

/*
 * ---- [campaign] and [arm NAME]. ----
 */

static const struct fl_section *find_campaign(const struct reader *r)
{
	for (size_t i = 0; i < r->file.nr_sections; i++)
		if (r->file.sections[i].kind == CAMPAIGN)
			return &r->file.sections[i];
	return NULL;
}

static const char *const *arm_names(const struct fl_plan *plan)
{
	const char **names = calloc(plan->nr_arms + 1, sizeof(*names));

	for (uint32_t i = 0; names && i < plan->nr_arms; i++)
		names[i] = plan->arms[i].name;
	return names;
}

static int find_arm(struct reader *r, const struct fl_plan *plan,
		    unsigned line, const char *name, uint32_t *out)
{
	const char *const *names;

	for (uint32_t i = 0; i < plan->nr_arms; i++)
		if (!strcmp(plan->arms[i].name, name)) {
			*out = i;
			return 0;
		}
	names = arm_names(plan);
	if (!names)
		return no_memory(r);
	wrong(r, line, "there is no arm \"%s\"%s", name,
	      fl_suggestion(name, names));
	free((void *)(uintptr_t)names);
	return r->err;
}

static int make_campaign(struct reader *r, struct fl_plan *plan, bool quick)
{
	const struct fl_section *s = find_campaign(r);
	const struct fl_key *name, *title;
	uint64_t v;

	if (!s)
		return wrong(r, 1, "there is no [campaign] section: it says name and blocks");
	name = fl_key_find(s, "name");
	if (!name)
		return wrong(r, s->line, "[campaign] has no name: add name = ...");
	if (check_name(r, name->line, name->value))
		return r->err;
	if (!fl_key_find(s, "blocks"))
		return wrong(r, s->line, "[campaign] has no blocks: add blocks = ...");
	if (get_number(r, s, "blocks", quick, 1, NR_BLOCKS_MAX, 1, &v))
		return r->err;
	plan->nr_blocks = (uint32_t)v;
	if (get_number(r, s, "timeout_s", quick, 1, TIMEOUT_S_MAX,
		       TIMEOUT_S_DEFAULT, &v))
		return r->err;
	plan->timeout_s = (uint32_t)v;
	if (get_number(r, s, "repeats_pct", quick, 0, 100, REPEATS_PCT_DEFAULT,
		       &v))
		return r->err;
	plan->repeats_pct = (uint32_t)v;
	if (get_number(r, s, "tolerance_pct", quick, 1, 50, 0, &v))
		return r->err;
	plan->tolerance_pct = (uint32_t)v;
	if (plan->name)
		return 0;
	title = fl_key_find(s, "title");
	plan->name = strdup(name->value);
	plan->title = title ? strdup(title->value) : NULL;
	return plan->name && !plan->title == !title ? 0 : no_memory(r);
}

static int make_arm(struct reader *r, const struct fl_section *s,
		    struct fl_plan *plan)
{
	struct fl_plan_arm *more = grow(plan->arms, plan->nr_arms,
					sizeof(*more));
	const struct fl_key *set = fl_key_find(s, "set");
	uint64_t v;

	if (!more)
		return no_memory(r);
	plan->arms = more;
	more = &more[plan->nr_arms];
	*more = (struct fl_plan_arm){
		.line = s->line, .role = FL_ROLE_ARM, .of = plan->nr_arms,
		.name = strdup(s->name),
		.settings = set ? strdup(set->value) : NULL,
	};
	plan->nr_arms++;
	if (!more->name || !more->settings != !set)
		return no_memory(r);
	if (get_number(r, s, "block_max", false, 4096, (uint64_t)1 << 40,
		       UINT64_MAX, &v))
		return r->err;
	more->block_bytes_max = v;
	return 0;
}

static int make_double(struct reader *r, const struct fl_section *s,
		       const struct fl_key *of, enum fl_role role,
		       struct fl_plan *plan, uint32_t index)
{
	struct fl_plan_arm *arm = &plan->arms[index];
	uint32_t *only = role == FL_ROLE_TWIN ? &plan->twin : &plan->planted;

	if (*only != UINT32_MAX)
		return wrong(r, s->line, "a campaign has one %s arm, and \"%s\" is it already",
			     fl_role_name(role), plan->arms[*only].name);
	*only = index;
	if (find_arm(r, plan, of->line, of->value, &arm->of))
		return r->err;
	if (fl_key_find(s, "strategy") || arm->settings)
		return wrong(r, s->line,
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

static int load_arm(struct reader *r, const struct fl_section *s,
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
		return wrong(r, s->line, "[arm %s] has no strategy: add strategy = ..., or twin = or planted = another arm",
			     arm->name);
	path = strchr(strategy->value, '/') ? beside_plan(r, strategy->value) :
					      strdup(strategy->value);
	if (!path)
		return no_memory(r);
	err = fl_module_named(FL_MODULE_STRATEGY, path, module, r->why);
	free(path);
	if (err)
		return wrong_because(r, strategy->line, "", err);
	arm->strategy = strdup(module->strategy->name);
	arm->module_path = strdup(module->path);
	arm->answer = module->strategy->answer;
	if (!arm->strategy || !arm->module_path)
		return no_memory(r);
	err = fl_digest_file(module->path, arm->module_sha256);
	if (err)
		return wrong(r, strategy->line, "%s: %s", module->path,
			     strerror(-err));
	r->set_lines[index] = set ? set->line : s->line;
	if (!set)
		return 0;
	if (sets_block(set->value))
		return wrong(r, set->line,
			"set: a cell's block is every arm's block: remove block= here");
	/* With placeholders it can only be checked cell by cell. */
	if (strchr(set->value, '{'))
		return 0;
	fl_tunables_defaults(&module->tunables, values);
	err = fl_tunables_set(&module->tunables, set->value, values, r->why);
	return err ? wrong_because(r, set->line, "", err) : 0;
}

static int copy_double(struct reader *r, struct fl_plan *plan, uint32_t index)
{
	struct fl_plan_arm *arm = &plan->arms[index];
	const struct fl_plan_arm *of = &plan->arms[arm->of];

	if (of->role != FL_ROLE_ARM)
		return wrong(r, r->set_lines[index],
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
	       !arm->settings == !of->settings ? 0 : no_memory(r);
}

static int make_arms(struct reader *r, struct fl_plan *plan)
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
		return wrong(r, campaign->line, "the plan has no [arm NAME]: there is nothing to compare");
	r->modules = calloc(plan->nr_arms, sizeof(*r->modules));
	r->set_lines = calloc(plan->nr_arms, sizeof(*r->set_lines));
	if (!r->modules || !r->set_lines)
		return no_memory(r);

	for (size_t k = 0; k < r->file.nr_sections; k++) {
		const struct fl_key *twin, *planted;

		s = &r->file.sections[k];
		if (s->kind != ARM)
			continue;
		twin = fl_key_find(s, "twin");
		planted = fl_key_find(s, "planted");
		if (twin && planted)
			return wrong(r, s->line, "[arm %s] is twin or planted, not both",
				     s->name);
		if (twin ? make_double(r, s, twin, FL_ROLE_TWIN, plan, i) :
		    planted ? make_double(r, s, planted, FL_ROLE_PLANTED, plan,
					  i) :
		    load_arm(r, s, plan, i))
			return r->err;
		i++;
	}
	if (plan->twin == UINT32_MAX)
		return wrong(r, campaign->line,
			"no arm is a twin, without which noise cannot be told from a difference: add [arm NAME] with twin = ARM");
	if (plan->planted == UINT32_MAX)
		return wrong(r, campaign->line,
			"no arm is planted, without which a missed difference goes unseen: add [arm NAME] with planted = ARM");
	/* Only now: the arms they double may stand below them. */
	if (copy_double(r, plan, plan->twin) ||
	    copy_double(r, plan, plan->planted))
		return r->err;
	for (i = 0; plan->arms[i].role != FL_ROLE_ARM;)
		i++;
	plan->baseline = i;
	if (baseline && find_arm(r, plan, baseline->line, baseline->value,
				 &plan->baseline))
		return r->err;
	if (plan->arms[plan->baseline].role != FL_ROLE_ARM)
		return wrong(r, baseline->line, "baseline = %s: name an arm that is neither twin nor planted",
			     baseline->value);
	plan->arms[plan->baseline].role = FL_ROLE_BASELINE;
	return 0;
}

/*
 * ---- [cell NAME]: one section makes a cell for each combination. ----
 */

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

/* @text with {block} and {block_pages} replaced; *out is NULL for NULL. */
static int expand(struct reader *r, unsigned line, const char *text,
		  const struct fl_plan_cell *cell, char **out)
{
	static const char *const names[] = { "block", "block_pages", NULL };
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	char buffer[512];
	size_t n = 0;

	*out = NULL;
	if (!text)
		return 0;
	while (*text && n < sizeof(buffer) - 24) {
		char name[32];
		size_t m;

		if (*text != '{') {
			buffer[n++] = *text++;
			continue;
		}
		m = strcspn(text, "}");
		snprintf(name, sizeof(name), "%.*s", (int)m - 1, text + 1);
		if (!strcmp(name, "block") && text[m])
			n += (size_t)sprintf(buffer + n, "%" PRIu64,
					     cell->block_bytes);
		else if (!strcmp(name, "block_pages") && text[m])
			n += (size_t)sprintf(buffer + n, "%" PRIu64,
					     (cell->block_bytes + page - 1) /
					     page);
		else
			return wrong(r, line,
				"set: \"{%s\" stands for nothing%s; there are {block} and {block_pages}",
				name, fl_suggestion(name, names));
		text += m + 1;
	}
	if (*text)
		return wrong(r, line, "set: longer than %zu characters",
			     sizeof(buffer) - 24);
	buffer[n] = '\0';
	*out = strdup(buffer);
	return *out ? 0 : no_memory(r);
}

static const struct fl_kernel *find_kernel(const struct fl_strategy *s,
					   const struct fl_plan_cell *cell,
					   enum fl_mode mode)
{
	/* The empty kernel has the loop of a size, but no objects. */
	return fl_kernel_find(s, cell->kernel, strcmp(cell->kernel, "empty") ?
			      cell->object_bytes : 0, cell->residence, mode);
}

/*
 * What a sample costs, for people who want to know before they begin: process,
 * clock and floor; compiling a trace; the allocations; slow paths; touching
 * what a lifetime holds in the half dozen heaps that are opened; latencies, for
 * which every allocation is timed.  Within a factor of two on a machine of
 * 2025; what was measured replaces it as soon as there is something.
 */
static double estimate_s(const struct fl_plan_cell *cell,
			 const struct fl_workload *w, uint64_t nr_allocs,
			 enum fl_answer answer)
{
	static const struct {
		const char *kernel;
		double ns;
	} costs[] = {
		{ "empty", 0.3 }, { "fill", 0.5 }, { "mix", 1 },
		{ "straddle", 30 }, { "chain", 2 }, { "tree", 5 },
		{ "nest", 4 }, { "replay", 3 }, { NULL, 1 },
	};
	static const double event_ns[] = {
		[FL_ANSWER_NEVER] = 0, [FL_ANSWER_BRANCH] = 20,
		[FL_ANSWER_EXTEND] = 4000, [FL_ANSWER_REDIRECT] = 2500,
	};
	const double fixed_s = 0.045, compile_ns = 150, page_ns = 1500;
	const double timing_ns = 40, heaps = 6, most_timed = 1 << 22;
	double object_bytes, bytes, timed, ns;
	size_t k = 0;

	while (costs[k].kernel && strcmp(costs[k].kernel, cell->kernel))
		k++;
	ns = (double)nr_allocs * costs[k].ns;
	if (cell->trace)
		ns += (double)w->nr_objects * compile_ns;
	/* A trace's events are not known by its bytes; most have few. */
	object_bytes = (double)w->lifetime_bytes / (double)w->nr_objects;
	bytes = (double)nr_allocs * object_bytes;
	ns += bytes / (double)cell->block_bytes * event_ns[answer];
	ns += heaps * (double)w->region_bytes_max / 4096 * page_ns;
	if (cell->fresh)
		ns += bytes / 4096 * page_ns;
	timed = cell->latency_events && object_bytes > 0 ?
		(double)cell->latency_events * (double)cell->block_bytes /
		object_bytes : 0;
	ns += (timed < most_timed ? timed : most_timed) * timing_ns;
	return fixed_s + 1.25 * ns / 1e9;
}

static int see_trace(struct reader *r, unsigned line, struct fl_plan_cell *cell,
		     uint64_t *nr_allocs)
{
	struct seen_trace *t = r->traces;
	struct fl_trace trace = { 0 };
	int err;

	while (t && strcmp(t->path, cell->trace_path))
		t = t->next;
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			return no_memory(r);
		t->next = r->traces;
		r->traces = t;
		t->path = strdup(cell->trace_path);
		if (!t->path)
			return no_memory(r);
		err = fl_trace_read(t->path, &trace, r->why);
		if (err)
			return wrong_because(r, line, "trace: ", err);
		t->nr_allocs = trace.facts.nr_allocs;
		fl_trace_free(&trace);
		err = fl_digest_file(t->path, t->sha256);
		if (err)
			return wrong(r, line, "trace: %s: %s", t->path,
				     strerror(-err));
	}
	memcpy(cell->trace_sha256, t->sha256, sizeof(cell->trace_sha256));
	*nr_allocs = t->nr_allocs;
	return 0;
}

/* A replay: the trace has been read, and need not be once for each cell. */
static int check_replay(struct reader *r, const struct fl_key *trace,
			struct fl_plan_cell *cell, struct fl_workload *w,
			uint64_t *nr_allocs)
{
	uint64_t per_pass = 0, passes;

	if (see_trace(r, trace->line, cell, &per_pass))
		return r->err;
	if (!per_pass)
		return wrong(r, trace->line,
			"trace: %s allocates nothing: there is nothing to measure",
			cell->trace);
	if (!cell->nr_ops)
		cell->nr_ops = per_pass;
	passes = cell->account ? 1 : (cell->nr_ops + per_pass - 1) / per_pass;
	*nr_allocs = passes * per_pass;
	w->nr_objects = per_pass;
	return 0;
}

/* Let the workload say what it thinks of the cell, and fill in its defaults. */
static int check_workload(struct reader *r, const struct fl_section *s,
			  bool quick, struct fl_plan_cell *cell,
			  struct fl_workload *w, uint64_t *nr_allocs)
{
	const struct fl_key *trace = fl_key_find(s, "trace");
	const struct fl_key *kernel = fl_key_find(s, "kernel");
	const struct fl_key *lifetime = fl_key_find(s, "lifetime");
	const struct fl_key *size = fl_key_get(s, "size", quick);
	const bool replay = !strcmp(cell->kernel, "replay");
	const struct fl_workload_spec spec = {
		.kernel = cell->kernel, .object_bytes = cell->object_bytes,
		.block_bytes = cell->block_bytes,
		.lifetime_bytes = cell->lifetime_bytes,
		.nr_ops = cell->nr_ops, .seed = 1,
	};
	char where[128];
	int err;

	if (replay && !trace)
		return wrong(r, s->line,
			"[cell %s]: kernel replay needs a trace: add trace = FILE",
			s->name);
	if (!replay && trace && fl_workload_describe(cell->kernel))
		return wrong(r, trace->line,
			"[cell %s]: only kernel replay reads a trace: remove it",
			s->name);
	if (lifetime && (replay || !strcmp(cell->kernel, "nest")))
		return wrong(r, lifetime->line,
			"lifetime: a pass of the program is the lifetime of kernel %s: remove it",
			cell->kernel);
	if (replay && size)
		return wrong(r, size->line,
			"size: the trace says how large objects are: remove it");
	if (replay)
		return check_replay(r, trace, cell, w, nr_allocs);
	snprintf(where, sizeof(where), "[cell %s] ", s->name);
	err = fl_workload_make(&spec, w, r->why);
	if (err)
		return wrong_because(r, fl_workload_describe(cell->kernel) ?
				     s->line : kernel->line, where, err);
	if (size && cell->object_bytes != w->spec.object_bytes)
		return wrong(r, size->line,
			"size: kernel %s has its own idea of it: remove it",
			cell->kernel);
	cell->object_bytes = w->spec.object_bytes;
	cell->nr_ops = w->spec.nr_ops;
	*nr_allocs = cell->account ? w->nr_objects :
				     w->nr_lifetimes * w->nr_objects;
	return 0;
}

/* Which arms take part, and does each have what it takes? */
static int choose_arms(struct reader *r, const struct fl_section *s,
		       struct fl_plan *plan, struct fl_plan_cell *cell)
{
	const struct fl_key *k = fl_key_get(s, "arms", plan->quick);
	struct list list;

	if (get_list(r, k, "", &list))
		goto out;
	for (uint32_t i = 0; !k && i < plan->nr_arms; i++) {
		const struct fl_plan_arm *arm = &plan->arms[i];
		const struct fl_strategy *module =
			r->modules[arm->of].strategy;

		cell->arms[i] = cell->block_bytes <= arm->block_bytes_max;
		if (arm->role == FL_ROLE_PLANTED &&
		    !find_kernel(module, cell, FL_PLANTED))
			cell->arms[i] = false;
		if (cell->account && (arm->role == FL_ROLE_PLANTED ||
				      arm->role == FL_ROLE_TWIN))
			cell->arms[i] = false;
	}
	for (size_t n = 0; k && n < list.nr; n++) {
		const struct fl_plan_arm *arm;
		uint32_t i;

		if (find_arm(r, plan, k->line, list.item[n], &i))
			goto out;
		arm = &plan->arms[i];
		if (cell->account && arm->role == FL_ROLE_PLANTED) {
			wrong(r, k->line, "%s: a planted arm is slow, not large: leave it out of account cells",
			      arm->name);
			goto out;
		}
		/* The levels above it are other cells of the same section. */
		cell->arms[i] = cell->block_bytes <= arm->block_bytes_max;
	}
out:
	free(list.copy);
	return r->err;
}

static int check_arm(struct reader *r, struct fl_plan *plan,
		     struct fl_plan_cell *cell, uint32_t i)
{
	const struct fl_plan_arm *arm = &plan->arms[i];
	const struct fl_module *module = &r->modules[arm->of];
	const struct fl_strategy *s = module->strategy;
	const enum fl_mode mode = cell->account ? FL_ACCOUNT :
		arm->role == FL_ROLE_PLANTED ? FL_PLANTED : FL_TIMED;
	uint64_t values[FL_TUNABLES_MAX];
	char block[40], where[128];
	int err;

	snprintf(where, sizeof(where), "in cell %s: ", cell->name);
	if (!find_kernel(s, cell, mode))
		return wrong(r, cell->line,
			"%sarm %s (%s) has no %s instance of kernel %s%s: leave it out with arms =",
			where, arm->name, s->name, fl_mode_name(mode),
			cell->kernel, cell->account && cell->residence ==
			FL_REGISTER ? " in register residence" : "");
	if (expand(r, r->set_lines[i], arm->settings, cell,
		   &cell->settings[i]))
		return r->err;
	/* As `faultline run` does with --block. */
	fl_tunables_defaults(&module->tunables, values);
	if (fl_tunable_index(&module->tunables, "block") >= 0) {
		snprintf(block, sizeof(block), "block=%" PRIu64,
			 cell->block_bytes);
		err = fl_tunables_set(&module->tunables, block, values,
				      r->why);
		if (err)
			return wrong_because(r, cell->line, where, err);
	}
	err = fl_tunables_set(&module->tunables, cell->settings[i], values,
			      r->why);
	return err ? wrong_because(r, r->set_lines[i], where, err) : 0;
}

static int check_arms(struct reader *r, struct fl_plan *plan,
		      struct fl_plan_cell *cell, const struct fl_workload *w,
		      uint64_t nr_allocs)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < plan->nr_arms; i++) {
		const struct fl_plan_arm *arm = &plan->arms[i];

		if (!cell->arms[i])
			continue;
		nr++;
		if (check_arm(r, plan, cell, i))
			return r->err;
		cell->estimate_s[i] = estimate_s(cell, w, nr_allocs,
						 arm->answer);
		if (!cell->arms[arm->of])
			return wrong(r, cell->line,
				"in cell %s: %s takes part but not %s, which it doubles: add it to arms =",
				cell->name, arm->name,
				plan->arms[arm->of].name);
	}
	if (!nr)
		return wrong(r, cell->line, "in cell %s no arm takes part: see arms = and block_max =",
			     cell->name);
	if (!cell->account && !cell->arms[plan->baseline])
		return wrong(r, cell->line,
			"in cell %s the baseline, %s, does not take part, so there is nothing to compare with: add it to arms =",
			cell->name, plan->arms[plan->baseline].name);
	return 0;
}

static int name_cell(struct reader *r, struct fl_plan_cell *cell)
{
	char block[32], size[16] = "";

	fl_format_bytes(cell->block_bytes, block, sizeof(block));
	if (cell->object_bytes)
		snprintf(size, sizeof(size), "/%u", cell->object_bytes);
	if (asprintf(&cell->name, "%s%s/%s/%s", cell->group, size, block,
		     fl_residence_name(cell->residence)) < 0) {
		cell->name = NULL;
		return no_memory(r);
	}
	return 0;
}

static int get_lifetime(struct reader *r, const struct fl_section *s,
			bool quick, struct fl_plan_cell *cell)
{
	const struct fl_key *k = fl_key_get(s, "lifetime", quick);
	uint64_t times = LIFETIME_BLOCKS_DEFAULT;
	char *end = NULL;

	if (k && fl_parse_bytes(k->value, &cell->lifetime_bytes)) {
		errno = 0;
		times = strtoull(k->value, &end, 10);
		if (errno || end == k->value || strcmp(end, "x") ||
		    *k->value == '-' || !times || times > 1 << 20)
			return wrong(r, k->line,
				"%s = %s: write bytes, as 1M, or a number of blocks, as 8x",
				k->name, k->value);
	}
	if (!cell->lifetime_bytes)
		cell->lifetime_bytes = times * cell->block_bytes;
	return 0;
}

/* The cell of one combination of levels; it takes its place at once. */
static int make_cell(struct reader *r, const struct fl_section *s,
		     struct fl_plan *plan, const char *size, const char *block,
		     const char *residence)
{
	static const char *const modes[] = { "timed", "account", NULL };
	static const char *const yes[] = { "no", "yes", NULL };
	struct fl_plan_cell *more = grow(plan->cells, plan->nr_cells,
					 sizeof(*more));
	const struct fl_key *kernel = fl_key_find(s, "kernel");
	const struct fl_key *trace = fl_key_find(s, "trace");
	struct fl_workload w = { 0 };
	uint64_t v, nr_allocs = 0;
	int mode, fresh;

	if (!more)
		return no_memory(r);
	plan->cells = more;
	more = &more[plan->nr_cells++];
	*more = (struct fl_plan_cell){
		.line = s->line, .group = strdup(s->name),
		.kernel = strdup(kernel->value),
		.trace = trace ? strdup(trace->value) : NULL,
		.trace_path = trace ? beside_plan(r, trace->value) : NULL,
		.arms = calloc(plan->nr_arms, sizeof(*more->arms)),
		.settings = calloc(plan->nr_arms, sizeof(*more->settings)),
		.estimate_s = calloc(plan->nr_arms, sizeof(*more->estimate_s)),
	};
	if (!more->group || !more->kernel || !more->arms || !more->settings ||
	    !more->estimate_s || (trace && (!more->trace || !more->trace_path)))
		return no_memory(r);
	if (get_choice(r, s, "mode", modes, 0, &mode) ||
	    get_choice(r, s, "fresh", yes, 0, &fresh))
		return r->err;
	more->account = mode;
	more->fresh = fresh;
	if (fresh && mode)
		return wrong(r, s->line, "[cell %s]: account mode times nothing, so fresh = yes has no meaning there: remove it",
			     s->name);

	if (fl_parse_bytes(size, &v) || v > 1 << 20)
		return wrong(r, fl_key_get(s, "size", plan->quick)->line,
			     "size: \"%s\" is no object size: write bytes, as 16",
			     size);
	more->object_bytes = (uint32_t)v;
	if (fl_parse_bytes(block, &more->block_bytes) ||
	    more->block_bytes < BLOCK_BYTES_MIN ||
	    more->block_bytes > BLOCK_BYTES_MAX)
		return wrong(r, fl_key_get(s, "block", plan->quick)->line,
			     "block: \"%s\": write bytes from 4K to 1G, as 64K",
			     block);
	if (strcmp(residence, "register") && strcmp(residence, "memory"))
		return wrong(r, fl_key_get(s, "residence", plan->quick)->line,
			     "residence: \"%s\": it is register or memory",
			     residence);
	more->residence = strcmp(residence, "register") ? FL_MEMORY :
							  FL_REGISTER;
	if (get_lifetime(r, s, plan->quick, more) ||
	    get_number(r, s, "ops", plan->quick, 1, (uint64_t)1 << 40, 0,
		       &more->nr_ops) ||
	    get_number(r, s, "latency_events", plan->quick, 0,
		       (uint64_t)1 << 20, 0, &more->latency_events) ||
	    get_number(r, s, "blocks", plan->quick, 1, NR_BLOCKS_MAX,
		       UINT32_MAX, &v))
		return r->err;
	more->nr_blocks = (uint32_t)v;

	if (check_workload(r, s, plan->quick, more, &w, &nr_allocs) == 0 &&
	    name_cell(r, more) == 0 &&
	    choose_arms(r, s, plan, more) == 0)
		check_arms(r, plan, more, &w, nr_allocs);
	fl_workload_free(&w);
	return r->err;
}

static int make_group(struct reader *r, const struct fl_section *s,
		      struct fl_plan *plan)
{
	static const char *const yes[] = { "no", "yes", NULL };
	const struct fl_key *mode = fl_key_find(s, "mode");
	struct list sizes = { 0 }, blocks = { 0 }, residences = { 0 };
	char block[32];
	int in_quick;

	if (!fl_key_find(s, "kernel"))
		return wrong(r, s->line, "[cell %s] has no kernel: add kernel = ...; `faultline list` shows them",
			     s->name);
	if (get_choice(r, s, "quick", yes, 1, &in_quick))
		return r->err;
	if (plan->quick && !in_quick)
		return 0;
	fl_format_bytes(BLOCK_BYTES_DEFAULT, block, sizeof(block));
	if (get_list(r, fl_key_get(s, "size", plan->quick), "0", &sizes) ||
	    get_list(r, fl_key_get(s, "block", plan->quick), block, &blocks) ||
	    get_list(r, fl_key_get(s, "residence", plan->quick),
		     mode && !strcmp(mode->value, "account") ? "memory" :
		     "register memory", &residences))
		goto out_free_lists;
	for (size_t i = 0; i < sizes.nr; i++)
		for (size_t j = 0; j < blocks.nr; j++)
			for (size_t k = 0; k < residences.nr; k++)
				if (make_cell(r, s, plan, sizes.item[i],
					      blocks.item[j],
					      residences.item[k]))
					goto out_free_lists;
out_free_lists:
	free(sizes.copy);
	free(blocks.copy);
	free(residences.copy);
	return r->err;
}

static int check_takes_part(struct reader *r, const struct fl_plan *plan,
			    uint32_t arm)
{
	for (uint32_t i = 0; i < plan->nr_cells; i++)
		if (!plan->cells[i].account && plan->cells[i].arms[arm])
			return 0;
	return wrong(r, plan->arms[arm].line,
		"the %s arm, %s, takes part in no timed cell of the %s profile%s",
		fl_role_name(plan->arms[arm].role), plan->arms[arm].name,
		plan->quick ? "quick" : "full",
		plan->arms[arm].role == FL_ROLE_PLANTED ?
		": kernel fill of 16 bytes has planted instances" : "");
}

static int make_profile(struct reader *r, struct fl_plan *plan, bool quick)
{
	plan->quick = quick;
	if (make_campaign(r, plan, quick))
		return r->err;
	for (size_t i = 0; i < r->file.nr_sections; i++)
		if (r->file.sections[i].kind == CELL &&
		    make_group(r, &r->file.sections[i], plan))
			return r->err;
	if (!plan->nr_cells)
		return wrong(r, 1, "the %s profile has no [cell NAME]: there is nothing to measure",
			     quick ? "quick" : "full");
	if (check_takes_part(r, plan, plan->twin) ||
	    check_takes_part(r, plan, plan->planted))
		return r->err;
	return 0;
}

static void free_reader(struct reader *r, uint32_t nr_arms)
{
	fl_keyfile_free(&r->file);
	for (uint32_t i = 0; r->modules && i < nr_arms; i++)
		fl_module_unload(&r->modules[i]);
	free(r->modules);
	free(r->set_lines);
	while (r->traces) {
		struct seen_trace *next = r->traces->next;

		free(r->traces->path);
		free(r->traces);
		r->traces = next;
	}
}

int fl_plan_load(const char *path, bool quick, struct fl_plan *out,
		 struct fl_complaint *why)
{
	struct fl_complaint unused;
	struct reader r = { .why = why ? why : &unused };
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

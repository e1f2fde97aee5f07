/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/plan_read.h"
#include "harness/programs.h"
#include "harness/workload.h"

#define LIFETIME_BLOCKS_DEFAULT	16u
#define BLOCK_BYTES_MIN		((uint64_t)4 << 10)
#define BLOCK_BYTES_MAX		((uint64_t)1 << 30)
#define BLOCK_BYTES_DEFAULT	((uint64_t)64 << 10)

/* @text with {block} and {block_pages} replaced; *out is NULL for NULL. */
static int expand(struct fl_plan_reader *r, unsigned line, const char *text,
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
			return fl_plan_wrong(r, line,
				"set: \"{%s\" stands for nothing%s; there are {block} and {block_pages}",
				name, fl_suggestion(name, names));
		text += m + 1;
	}
	if (*text)
		return fl_plan_wrong(r, line, "set: longer than %zu characters",
				     sizeof(buffer) - 24);
	buffer[n] = '\0';
	*out = strdup(buffer);
	return *out ? 0 : fl_plan_no_memory(r);
}

static const struct fl_kernel *find_kernel(const struct fl_strategy *s,
					   const struct fl_plan_cell *cell,
					   enum fl_mode mode)
{
	/* The empty kernel has the loop of a size, but no objects. */
	return fl_kernel_find(s, fl_workload_code(cell->kernel), strcmp(cell->kernel, "empty") ?
			      cell->object_bytes : 0, cell->residence, mode);
}

/*
 * What a sample costs, for people who want to know before they begin: process,
 * clock and floor; compiling a trace; the allocations; slow paths; touching
 * what a lifetime holds in the heaps that are opened; latencies, for which many
 * allocations pass untimed before one is.  Within a factor of two on a machine of
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
		[FL_ANSWER_ELASTIC] = 5000,
	};
	const double fixed_s = 0.02, compile_ns = 150, page_ns = 1500;
	const double timing_ns = 3, heaps = 5, most_timed = 1 << 24;
	double object_bytes, bytes, timed, ns;
	size_t k = 0;

	while (costs[k].kernel &&
	       strcmp(costs[k].kernel, fl_workload_code(cell->kernel)))
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

static int see_trace(struct fl_plan_reader *r, unsigned line, struct fl_plan_cell *cell,
		     uint64_t *nr_allocs)
{
	struct fl_plan_trace *t = r->traces;
	struct fl_trace trace = { 0 };
	int err;

	while (t && strcmp(t->path, cell->trace_path))
		t = t->next;
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			return fl_plan_no_memory(r);
		t->next = r->traces;
		r->traces = t;
		t->path = strdup(cell->trace_path);
		if (!t->path)
			return fl_plan_no_memory(r);
		err = fl_trace_read(t->path, &trace, r->why);
		if (err)
			return fl_plan_wrong_because(r, line, "trace: ", err);
		t->nr_allocs = trace.facts.nr_allocs;
		fl_trace_free(&trace);
		err = fl_digest_file(t->path, t->sha256);
		if (err)
			return fl_plan_wrong(r, line, "trace: %s: %s", t->path,
					     strerror(-err));
	}
	memcpy(cell->trace_sha256, t->sha256, sizeof(cell->trace_sha256));
	*nr_allocs = t->nr_allocs;
	return 0;
}

/* A replay: the trace has been read, and need not be once for each cell. */
static int check_replay(struct fl_plan_reader *r, const struct fl_key *trace,
			struct fl_plan_cell *cell, struct fl_workload *w,
			uint64_t *nr_allocs)
{
	uint64_t per_pass = 0, passes;

	if (see_trace(r, trace->line, cell, &per_pass))
		return r->err;
	if (!per_pass)
		return fl_plan_wrong(r, trace->line,
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
static int check_workload(struct fl_plan_reader *r, const struct fl_section *s,
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
		return fl_plan_wrong(r, s->line,
			"[cell %s]: kernel replay needs a trace: add trace = FILE",
			s->name);
	if (!replay && trace && fl_workload_describe(cell->kernel))
		return fl_plan_wrong(r, trace->line,
			"[cell %s]: only kernel replay reads a trace: remove it",
			s->name);
	if (lifetime && (replay || fl_program_known(cell->kernel)))
		return fl_plan_wrong(r, lifetime->line,
			"lifetime: a pass of the program is the lifetime of kernel %s: remove it",
			cell->kernel);
	if (replay && size)
		return fl_plan_wrong(r, size->line,
			"size: the trace says how large objects are: remove it");
	if (replay)
		return check_replay(r, trace, cell, w, nr_allocs);
	snprintf(where, sizeof(where), "[cell %s] ", s->name);
	err = fl_workload_make(&spec, w, r->why);
	if (err)
		return fl_plan_wrong_because(r, fl_workload_describe(cell->kernel) ?
					     s->line : kernel->line, where, err);
	if (size && cell->object_bytes != w->spec.object_bytes)
		return fl_plan_wrong(r, size->line,
			"size: kernel %s has its own idea of it: remove it",
			cell->kernel);
	cell->object_bytes = w->spec.object_bytes;
	cell->nr_ops = w->spec.nr_ops;
	*nr_allocs = cell->account ? w->nr_objects :
				     w->nr_lifetimes * w->nr_objects;
	return 0;
}

/* Which arms take part, and does each have what it takes? */
static int choose_arms(struct fl_plan_reader *r, const struct fl_section *s,
		       struct fl_plan *plan, struct fl_plan_cell *cell)
{
	const struct fl_key *k = fl_key_get(s, "arms", plan->quick);
	struct fl_plan_list list;

	if (fl_plan_list(r, k, "", &list))
		goto out;
	for (uint32_t i = 0; !k && i < plan->nr_arms; i++) {
		const struct fl_plan_arm *arm = &plan->arms[i];
		const struct fl_strategy *module =
			r->modules[arm->of].strategy;

		if (arm->kind != FL_MODULE_STRATEGY)
			continue;
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

		if (fl_plan_find_arm(r, plan, k->line, list.item[n], &i))
			goto out;
		arm = &plan->arms[i];
		if (arm->kind != FL_MODULE_STRATEGY) {
			fl_plan_wrong(r, k->line, "%s: is an arm of bench %s, and takes part in cells of that alone",
				      arm->name, arm->module);
			goto out;
		}
		if (cell->account && arm->role == FL_ROLE_PLANTED) {
			fl_plan_wrong(r, k->line, "%s: a planted arm is slow, not large: leave it out of account cells",
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

static int check_arm(struct fl_plan_reader *r, struct fl_plan *plan,
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
		return fl_plan_wrong(r, cell->line,
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
			return fl_plan_wrong_because(r, cell->line, where, err);
	}
	err = fl_tunables_set(&module->tunables, cell->settings[i], values,
			      r->why);
	return err ? fl_plan_wrong_because(r, r->set_lines[i], where, err) : 0;
}

static int check_arms(struct fl_plan_reader *r, const struct fl_section *s,
		      struct fl_plan *plan, struct fl_plan_cell *cell,
		      const struct fl_workload *w, uint64_t nr_allocs)
{
	for (uint32_t i = 0; i < plan->nr_arms; i++) {
		if (!cell->arms[i])
			continue;
		if (check_arm(r, plan, cell, i))
			return r->err;
		cell->estimate_s[i] = estimate_s(cell, w, nr_allocs,
						 plan->arms[i].answer);
	}
	return fl_plan_check_parts(r, s, plan, cell);
}

static int name_cell(struct fl_plan_reader *r, struct fl_plan_cell *cell)
{
	char block[32], size[16] = "";

	fl_format_bytes(cell->block_bytes, block, sizeof(block));
	if (cell->object_bytes)
		snprintf(size, sizeof(size), "/%u", cell->object_bytes);
	if (asprintf(&cell->name, "%s%s/%s/%s", cell->group, size, block,
		     fl_residence_name(cell->residence)) < 0) {
		cell->name = NULL;
		return fl_plan_no_memory(r);
	}
	return 0;
}

static int get_lifetime(struct fl_plan_reader *r, const struct fl_section *s,
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
			return fl_plan_wrong(r, k->line,
				"%s = %s: write bytes, as 1M, or a number of blocks, as 8x",
				k->name, k->value);
	}
	if (!cell->lifetime_bytes)
		cell->lifetime_bytes = times * cell->block_bytes;
	return 0;
}

/* The cell of one combination of levels; it takes its place at once. */
static int make_cell(struct fl_plan_reader *r, const struct fl_section *s,
		     struct fl_plan *plan, const char *size, const char *block,
		     const char *residence)
{
	static const char *const modes[] = { "timed", "account", NULL };
	static const char *const firsts[] = {	/* by enum fl_fresh */
		"no", "yes", "heap", NULL
	};
	const struct fl_key *kernel = fl_key_find(s, "kernel");
	const struct fl_key *trace = fl_key_find(s, "trace");
	struct fl_plan_cell *more = fl_plan_new_cell(r, s, plan);
	struct fl_workload w = { 0 };
	uint64_t v, nr_allocs = 0;
	int mode, fresh;

	if (!more)
		return r->err;
	more->kernel = strdup(kernel->value);
	more->trace = trace ? strdup(trace->value) : NULL;
	more->trace_path = trace ? fl_plan_beside(r, trace->value) : NULL;
	if (!more->kernel || (trace && (!more->trace || !more->trace_path)))
		return fl_plan_no_memory(r);
	if (fl_plan_choice(r, s, "mode", modes, 0, &mode) ||
	    fl_plan_choice(r, s, "fresh", firsts, 0, &fresh))
		return r->err;
	more->account = mode;
	more->fresh = (enum fl_fresh)fresh;
	if (fresh && mode)
		return fl_plan_wrong(r, s->line, "[cell %s]: account mode times nothing, so fresh has no meaning there: remove it",
				     s->name);

	if (fl_parse_bytes(size, &v) || v > 1 << 20)
		return fl_plan_wrong(r, fl_key_get(s, "size", plan->quick)->line,
				     "size: \"%s\" is no object size: write bytes, as 16",
				     size);
	more->object_bytes = (uint32_t)v;
	if (fl_parse_bytes(block, &more->block_bytes) ||
	    more->block_bytes < BLOCK_BYTES_MIN ||
	    more->block_bytes > BLOCK_BYTES_MAX)
		return fl_plan_wrong(r, fl_key_get(s, "block", plan->quick)->line,
				     "block: \"%s\": write bytes from 4K to 1G, as 64K",
				     block);
	if (strcmp(residence, "register") && strcmp(residence, "memory"))
		return fl_plan_wrong(r, fl_key_get(s, "residence", plan->quick)->line,
				     "residence: \"%s\": it is register or memory",
				     residence);
	more->residence = strcmp(residence, "register") ? FL_MEMORY :
							  FL_REGISTER;
	if (get_lifetime(r, s, plan->quick, more))
		return r->err;

	if (check_workload(r, s, plan->quick, more, &w, &nr_allocs) == 0 &&
	    name_cell(r, more) == 0 &&
	    choose_arms(r, s, plan, more) == 0)
		check_arms(r, s, plan, more, &w, nr_allocs);
	fl_workload_free(&w);
	return r->err;
}

int fl_plan_make_cells(struct fl_plan_reader *r, const struct fl_section *s,
			      struct fl_plan *plan)
{
	const struct fl_key *mode = fl_key_find(s, "mode");
	struct fl_plan_list sizes = { 0 }, blocks = { 0 }, residences = { 0 };
	char block[32];

	if (!fl_key_find(s, "kernel"))
		return fl_plan_wrong(r, s->line, "[cell %s] has no kernel: add kernel = ..., or bench = ...; `faultline list` shows them",
				     s->name);
	fl_format_bytes(BLOCK_BYTES_DEFAULT, block, sizeof(block));
	if (fl_plan_list(r, fl_key_get(s, "size", plan->quick), "0", &sizes) ||
	    fl_plan_list(r, fl_key_get(s, "block", plan->quick), block, &blocks) ||
	    fl_plan_list(r, fl_key_get(s, "residence", plan->quick),
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

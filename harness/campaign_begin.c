/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/campaign_state.h"
#include "harness/fingerprint.h"
#include "harness/listing.h"
#include "harness/module_load.h"

void fl_campaign_utc(char *out, size_t bytes)
{
	struct timespec now;
	struct tm utc;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	n = strftime(out, bytes, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(out + n, bytes - n, ".%03dZ", (int)(now.tv_nsec / 1000000));
}

/* The command line; of absolute paths, which name a machine, the last part. */
static json_t *options_json(const struct fl_campaign_options *options)
{
	json_t *array = json_array();

	for (int i = 1; i < options->argc; i++) {
		const char *word = options->argv[i];
		const char *value = *word == '-' ? strchr(word, '=') : NULL;
		const bool brief = *word == '-' && word[1] && word[1] != '-';
		const int keep = brief ? 2 :
				 value ? (int)(value - word) + 1 : 0;
		const char *path = word + keep;

		if (*path == '/')
			path = strrchr(path, '/') + 1;
		json_array_append_new(array, json_sprintf("%.*s%s", keep, word,
							  path));
	}
	return array;
}

static json_t *arms_json(const struct fl_plan *plan)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < plan->nr_arms; i++) {
		const struct fl_plan_arm *arm = &plan->arms[i];
		const bool bench = arm->kind == FL_MODULE_BENCH;
		json_t *builds = json_array();

		for (uint32_t b = 0; b < arm->nr_builds; b++)
			json_array_append_new(builds, json_string(
				arm->builds[b].sha256));
		json_array_append_new(array,
			json_pack("{s:s, s:s, s:s, s:s*, s:s?, s:s?, s:s, s:s, s:o}",
				"arm", arm->name,
				bench ? "bench" : "strategy", arm->module,
				"compiler", arm->compiler,
				"answer", bench ? NULL :
					  fl_answer_name(arm->answer),
				"set", arm->settings,
				"of", arm->of == i ? NULL :
				      plan->arms[arm->of].name,
				"role", fl_role_name(arm->role),
				"module_sha256", arm->builds[0].sha256,
				"builds", builds));
	}
	return array;
}

static json_t *levels_json(const struct fl_plan_cell *cell)
{
	json_t *object = json_object();

	for (size_t i = 0; i < cell->nr_levels; i++)
		json_object_set_new(object, cell->levels[i].tunable,
				    json_string(cell->levels[i].value));
	return object;
}

/* What is measured in a cell. */
static json_t *measured_json(const struct fl_plan_cell *cell)
{
	if (cell->bench)
		return json_pack("{s:s, s:s, s:o}", "bench", cell->bench,
				 "op", cell->op, "levels", levels_json(cell));
	return json_pack("{s:s, s:i, s:s, s:I, s:I, s:s?, s:b, s:b}",
			 "kernel", cell->kernel,
			 "object_bytes", (int)cell->object_bytes,
			 "residence", fl_residence_name(cell->residence),
			 "block_bytes", (json_int_t)cell->block_bytes,
			 "lifetime_bytes", (json_int_t)cell->lifetime_bytes,
			 "trace", cell->trace,
			 "fresh", cell->fresh != FL_WARM,
			 "new_heap", cell->fresh == FL_FRESH_HEAP);
}

static json_t *cells_json(const struct fl_campaign *c)
{
	const struct fl_plan *plan = c->plan;
	json_t *array = json_array();

	for (uint32_t i = 0; i < plan->nr_cells; i++) {
		const struct fl_plan_cell *cell = &plan->cells[i];
		json_t *arms = json_array(), *one, *measured;

		for (uint32_t a = 0; a < plan->nr_arms; a++)
			if (cell->arms[a])
				json_array_append_new(arms, json_string(
					plan->arms[a].name));
		one = json_pack("{s:s, s:s, s:s, s:I, s:I, s:i, s:s?, s:o}",
				"cell", cell->name,
				"group", cell->group,
				"mode", cell->account ? "account" : "timed",
				"ops", (json_int_t)cell->nr_ops,
				"latency_events",
				(json_int_t)cell->latency_events,
				"blocks", (int)fl_campaign_blocks_of(c, i),
				"baseline", cell->baseline == UINT32_MAX ? NULL :
				plan->arms[cell->baseline].name,
				"arms", arms);
		measured = measured_json(cell);
		json_object_update(one, measured);
		json_decref(measured);
		json_array_append_new(array, one);
	}
	return array;
}

/* What the arms' benches say of themselves, by name. */
static int benches_json(const struct fl_campaign *c, json_t **out)
{
	const struct fl_plan *plan = c->plan;
	json_t *object = json_object();

	for (uint32_t i = 0; i < plan->nr_arms; i++) {
		const struct fl_plan_arm *arm = &plan->arms[i];
		struct fl_module m;
		int err;

		if (arm->kind != FL_MODULE_BENCH || arm->of != i ||
		    json_object_get(object, arm->module))
			continue;
		err = fl_module_load(FL_MODULE_BENCH, arm->builds[0].path, &m,
				     c->why);
		if (err) {
			json_decref(object);
			return err;
		}
		json_object_set_new(object, arm->module,
			json_pack("{s:s, s:s, s:o}", "op", m.bench->op,
				  "summary", m.bench->summary,
				  "metrics", fl_bench_metrics_json(m.bench)));
		fl_module_unload(&m);
	}
	*out = object;
	return 0;
}

static json_t *traces_json(const struct fl_plan *plan)
{
	json_t *object = json_object();

	for (uint32_t i = 0; i < plan->nr_cells; i++)
		if (plan->cells[i].trace)
			json_object_set_new(object, plan->cells[i].trace,
				json_string(plan->cells[i].trace_sha256));
	return object;
}

/* The library that the modules share, if it is not part of the command. */
static int find_library(struct dl_phdr_info *info, size_t bytes, void *path)
{
	(void)bytes;
	if (!strstr(info->dlpi_name, "/libfaultline.so"))
		return 0;
	*(const char **)path = info->dlpi_name;
	return 1;
}

/* Returns 1 if it is not there yet, with room for it behind the others. */
static size_t add_binary(const struct fl_plan_arm *arm,
			 const struct fl_plan_build *build,
			 struct fl_binary *binaries, size_t nr)
{
	const char *name = strchr(build->named, '/') ? arm->module :
						       build->named;

	for (size_t k = 0; k < nr; k++) {
		if (!strcmp(binaries[k].path, build->path))
			return 0;
		/* Two files of one name: the arm tells them apart. */
		if (!strcmp(binaries[k].name, name))
			name = arm->name;
	}
	binaries[nr] = (struct fl_binary){ name, build->path };
	return 1;
}

int fl_campaign_take_fingerprint(struct fl_campaign *c, json_t **fingerprint)
{
	struct fl_binary *binaries = calloc(
		(size_t)c->plan->nr_arms * FL_PLAN_BUILDS_MAX + 2,
		sizeof(*binaries));
	const char *library = NULL;
	size_t nr = 0;
	int err;

	if (!binaries)
		return fl_complain(c->why, -ENOMEM, "%s", strerror(ENOMEM));
	binaries[nr++] = (struct fl_binary){ "faultline", c->runner };
	dl_iterate_phdr(find_library, &library);
	if (library)
		binaries[nr++] = (struct fl_binary){ "libfaultline", library };
	for (uint32_t i = 0; i < c->plan->nr_arms; i++) {
		const struct fl_plan_arm *arm = &c->plan->arms[i];

		for (uint32_t b = 0; arm->of == i && b < arm->nr_builds; b++)
			nr += add_binary(arm, &arm->builds[b], binaries, nr);
	}
	err = fl_fingerprint_take(NULL, binaries, nr, fingerprint, c->why);
	free(binaries);
	return err;
}

int fl_campaign_begin(struct fl_campaign *c, json_t *fingerprint)
{
	const struct fl_plan *plan = c->plan;
	json_t *json, *benches, *clock;
	char utc[40], word[FL_CLOCK_TEXT_BYTES];
	int err = benches_json(c, &benches);

	if (err)
		return err;
	fl_campaign_utc(utc, sizeof(utc));
	json = json_pack("{s:i, s:s, s:s?, s:s, s:I, s:i, s:i, s:i, s:i, s:i, s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:O}",
		"schema", FL_CAMPAIGN_SCHEMA,
		"campaign", plan->name,
		"title", plan->title,
		"profile", plan->quick ? "quick" : "full",
		"seed", (json_int_t)c->seed,
		"blocks", (int)c->nr_blocks,
		"builds", (int)plan->nr_builds,
		"timeout_s", (int)plan->timeout_s,
		"repeats_pct", (int)plan->repeats_pct,
		"cpu", c->cpu,
		"started", utc,
		"options", options_json(c->options),
		"plan_sha256", plan->sha256,
		"baseline", plan->arms[plan->baseline].name,
		"arms", arms_json(plan),
		"cells", cells_json(c),
		"benches", benches,
		"traces", traces_json(plan),
		"fingerprint", fingerprint);
	if (!json)
		return fl_complain(c->why, -ENOMEM, "%s", strerror(ENOMEM));
	fl_clock_write(&c->clock, word);
	clock = fl_clock_json(&c->clock);
	json_object_set_new(clock, "word", json_string(word));
	json_object_set_new(json, "clock", clock);
	if (plan->tolerance_pct)
		json_object_set_new(json, "delta",
				    json_real(plan->tolerance_pct / 100.0));
	err = fl_campaign_dir_begin(&c->dir, plan->text, plan->text_bytes, json,
				    c->why);
	json_decref(json);
	return err;
}

static int stale(const struct fl_campaign *c, const char *dir,
		 const char *format, ...) __attribute__((format(printf, 3, 4)));

static int stale(const struct fl_campaign *c, const char *dir,
		 const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return fl_complain(c->why, -ESTALE,
			   "%s was begun %s, or choose a new --output", dir,
			   text);
}

static const char *text_in(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

int fl_campaign_take_recorded(struct fl_campaign *c, const char *dir,
			 const json_t *recorded)
{
	const struct fl_campaign_options *o = c->options;
	const json_int_t seed = json_integer_value(
		json_object_get(recorded, "seed"));
	const json_int_t blocks = json_integer_value(
		json_object_get(recorded, "blocks"));
	const json_int_t cpu = json_integer_value(
		json_object_get(recorded, "cpu"));
	const bool quick = !strcmp(text_in(recorded, "profile"), "quick");
	json_t *traces;
	bool same;

	if (strcmp(text_in(recorded, "plan_sha256"), c->plan->sha256))
		return stale(c, dir, "with another plan (plan.ini there is its copy): go on with that one");
	if (quick != c->plan->quick)
		return stale(c, dir, "in the %s profile: %s --quick",
			     quick ? "quick" : "full", quick ? "add" :
			     "leave out");
	if (o->has_seed && o->seed != (uint64_t)seed)
		return stale(c, dir, "with --seed %" JSON_INTEGER_FORMAT
			     ": leave out --seed", seed);
	if (o->nr_blocks && o->nr_blocks != (uint64_t)blocks)
		return stale(c, dir, "with %" JSON_INTEGER_FORMAT
			     " blocks, a number that is fixed before the first sample: leave out --blocks",
			     blocks);
	if (o->cpu >= 0 && o->cpu != cpu)
		return stale(c, dir, "on CPU %" JSON_INTEGER_FORMAT
			     ": leave out --cpu", cpu);
	if (blocks < 1 || blocks > UINT32_MAX || seed < 0 || cpu < 0)
		return fl_complain(c->why, -EINVAL,
			"%s/campaign.json: blocks, seed or cpu make no sense: it cannot be resumed from; choose another --output",
			dir);
	traces = traces_json(c->plan);
	same = json_equal(traces, json_object_get(recorded, "traces"));
	json_decref(traces);
	if (!same)
		return stale(c, dir, "with other traces: restore them");
	c->seed = (uint64_t)seed;
	c->nr_blocks = (uint32_t)blocks;
	c->cpu = (int)cpu;
	return 0;
}

int fl_campaign_check_fingerprint(struct fl_campaign *c, const char *dir,
			     const json_t *recorded, const json_t *now)
{
	const json_t *then = json_object_get(recorded, "fingerprint");
	const json_t *build = json_object_get(then, "build");
	const json_t *host = json_object_get(then, "host");
	json_t *binaries_now = json_object_get(json_object_get(now, "build"),
					       "binaries");
	json_t *host_now = json_object_get(now, "host"), *value;
	const char *key;

	json_object_foreach(binaries_now, key, value)
		if (!json_equal(value, json_object_get(
				json_object_get(build, "binaries"), key)))
			return stale(c, dir, "with another build of %s: restore that build",
				     key);
	json_object_foreach(host_now, key, value)
		if (!json_equal(value, json_object_get(host, key)))
			return stale(c, dir, "on a host that differs in \"%s\": go on there",
				     key);
	if (strcmp(text_in(then, "id"), text_in(now, "id")))
		return stale(c, dir, "with another compiler or other flags: restore that build");
	return 0;
}

/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "harness/commands.h"
#include "harness/listing.h"
#include "harness/programs.h"
#include "harness/workload.h"

struct arguments {
	const char *name;
	bool json;
};

static const struct argp_option options[] = {
	{ "json", 'j', NULL, 0, "as JSON", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 'j':
		a->json = true;
		break;
	case ARGP_KEY_ARG:
		if (a->name)
			argp_error(state, "\"%s\": one module at a time", arg);
		a->name = arg;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "[STRATEGY|BENCH]",
	.doc = "Show the strategies, what this host supports, the kernels, and the "
	       "benches; or one strategy or bench with its tunables.\v"
	       "SUPPORTED: the probe succeeded.  UNSUPPORTED: the running kernel or our "
	       "privileges refuse, with the reason.  BROKEN: the file is no usable module, "
	       "or a heap cannot be opened although the probe succeeded.",
};

/* Does it open, allocate and close?  The least that "supported" promises. */
static int try_heap(const struct fl_strategy *s, const uint64_t *values,
		    struct fl_complaint *why)
{
	struct fl_open_args args = {
		.values = values, .region_bytes_max = 4096,
		.object_bytes_max = 4096, .nr_regions_max = 1, .cpu = -1,
	};
	struct fl_region *region;
	struct fl_heap *heap;
	int err = s->open(&args, &heap);

	if (err == -ENOMEM)
		return fl_complain(why, err,
			"the kernel refuses the address space: ulimit -v, or vm.overcommit_memory=2");
	if (err)
		return fl_complain(why, err, "open: %s", strerror(-err));
	err = s->region_create(heap, &region);
	if (err) {
		fl_complain(why, err, "region_create: %s", strerror(-err));
	} else {
		uint64_t *object = s->object_new(region, 16, 8, 42);

		if (!object || *object != 42 || region->error)
			err = fl_complain(why, -EIO, "the first object is not there");
		s->region_destroy(region);
	}
	s->close(heap);
	return err;
}

static void judge(const struct fl_module *m, const uint64_t *values,
		  struct fl_standing *out)
{
	char reason[512] = "";

	*out = (struct fl_standing){ .word = "SUPPORTED" };
	if (m->strategy->probe &&
	    m->strategy->probe(values, reason, sizeof(reason))) {
		out->word = "UNSUPPORTED";
		fl_complain(&out->reason, 0, "%s", reason);
	} else {
		int err = try_heap(m->strategy, values, &out->reason);

		/* Address space is the user's and the kernel's to grant. */
		out->word = !err ? "SUPPORTED" :
			    err == -ENOMEM ? "UNSUPPORTED" : "BROKEN";
	}
}

/* A strategy of that name; else a bench. */
static int named(const char *name, struct fl_module *m, struct fl_complaint *why)
{
	struct fl_complaint of_bench = { "" };
	int err = fl_module_named(FL_MODULE_STRATEGY, name, m, why);

	if (err != -ENOENT || strchr(name, '/'))
		return err;
	err = fl_module_named(FL_MODULE_BENCH, name, m, &of_bench);
	if (err && (err != -ENOENT || strstr(of_bench.text, "did you mean")))
		*why = of_bench;
	return err;
}

static int list_one(const struct arguments *a)
{
	uint64_t values[FL_TUNABLES_MAX] = { 0 };
	struct fl_complaint why = { "" };
	struct fl_module m;
	struct fl_standing st;
	char *others;
	int err = named(a->name, &m, &why);

	if (err) {
		fprintf(stderr, "faultline: %s\n", why.text);
		return FL_EXIT_USAGE;
	}
	if (m.bench) {
		fl_bench_show(&m, a->json);
		fl_module_unload(&m);
		return FL_EXIT_OK;
	}
	others = fl_module_others(m.path);
	fl_tunables_defaults(&m.tunables, values);
	judge(&m, values, &st);
	if (a->json) {
		json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}",
			"name", m.strategy->name,
			"compiler", m.strategy->compiler,
			"also_built_by", others ? others : "", "answer",
			fl_answer_name(m.strategy->answer), "trigger",
			m.strategy->trigger, "summary", m.strategy->summary,
			"standing", st.word, "reason", st.reason.text,
			"tunables", fl_tunables_json(&m.tunables));

		json_dumpf(j, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(j);
	} else {
		fl_standing_print(m.strategy->name,
			       fl_answer_name(m.strategy->answer), &st,
			       m.strategy->summary);
		if (*st.reason.text)
			printf("    %s\n", m.strategy->summary);
		printf("    trigger: %s\n    compiler: %s\n",
		       m.strategy->trigger, m.strategy->compiler);
		if (others && *others)
			printf("    other builds, as %s@...: %s\n",
			       m.strategy->name, others);
		printf("\n  tunables (--set name=value,...):\n");
		fl_tunables_print(&m.tunables);
	}
	free(others);
	fl_module_unload(&m);
	return FL_EXIT_OK;
}

static void add_kernel(json_t *kernels, const char *name)
{
	const char *what = fl_workload_describe(name);

	json_object_set_new(kernels, name, json_string(what ? what : ""));
}

/*
 * The kernels of any module are the kernels of all: they are one template.  The
 * generated programs stand behind the one that runs them.
 */
static void add_kernels(const struct fl_strategy *s, json_t *kernels)
{
	for (size_t i = 0; i < s->nr_kernels; i++) {
		const char *name = s->kernels[i].name, *program;

		add_kernel(kernels, name);
		if (!fl_program_known(name))
			continue;
		for (size_t p = 0; (program = fl_program_name(p)); p++)
			add_kernel(kernels, program);
	}
}

static int list_all(const struct arguments *a)
{
	json_t *kernels = json_object(), *strategies = json_array(), *what;
	struct fl_complaint why = { "" };
	int status = FL_EXIT_OK, benches_status;
	const char *key;
	char **paths;

	if (fl_modules_list(FL_MODULE_STRATEGY, &paths, &why) < 0) {
		fprintf(stderr, "faultline: %s\n", why.text);
		status = FL_EXIT_USAGE;
		goto out;
	}
	if (!a->json)
		printf("strategies (answer: what happens when the block is full)\n");
	for (char **p = paths; *p; p++) {
		uint64_t values[FL_TUNABLES_MAX] = { 0 };
		char *stem = fl_module_stem(*p);
		struct fl_standing st = { .word = "BROKEN" };
		const char *answer = "?", *summary = "";
		struct fl_module m = { 0 };

		if (!fl_module_load(FL_MODULE_STRATEGY, *p, &m, &st.reason)) {
			fl_tunables_defaults(&m.tunables, values);
			judge(&m, values, &st);
			answer = fl_answer_name(m.strategy->answer);
			summary = m.strategy->summary;
			add_kernels(m.strategy, kernels);
		}
		if (!strcmp(st.word, "BROKEN"))
			status = FL_EXIT_FAILED;
		if (a->json)
			json_array_append_new(strategies,
				json_pack("{s:s, s:s, s:s, s:s, s:s}",
					  "name", stem, "answer", answer,
					  "summary", summary, "standing",
					  st.word, "reason", st.reason.text));
		else
			fl_standing_print(stem, answer, &st, summary);
		fl_module_unload(&m);
		free(stem);
	}
	if (a->json) {
		json_t *benches = json_array(), *all;

		benches_status = fl_benches_list(false, benches);
		status = benches_status ? benches_status : status;
		all = json_pack("{s:O, s:O, s:o}", "strategies", strategies,
				"kernels", kernels, "benches", benches);

		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(all);
	} else {
		if (!*paths)
			printf("  none found; set FAULTLINE_MODULES to the directory of the modules\n");
		printf("\nkernels (what a run allocates)\n");
		json_object_foreach(kernels, key, what)
			printf("  %-18s %s\n", key, json_string_value(what));
		printf("\nbenches (what is measured beside strategies: faultline bench)\n");
		fflush(stdout);
		benches_status = fl_benches_list(false, NULL);
		status = benches_status ? benches_status : status;
		printf("\n`faultline list NAME` shows the tunables.\n");
	}
	fl_modules_list_free(paths);
out:
	json_decref(kernels);
	json_decref(strategies);
	return status;
}

int fl_cmd_list(int argc, char **argv)
{
	struct arguments a = { 0 };

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	return a.name ? list_one(&a) : list_all(&a);
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/campaign_state.h"
#include "harness/module_load.h"

#define PADDING		"FAULTLINE_PADDING="
#define BINARY_HEX	12	/* digits of a module's hash in a line */
#define WORDS_MAX	48u

static const char *text_in(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

struct words {
	char *word[WORDS_MAX + 1];
	uint32_t nr;
	bool failed;
};

static void add_word(struct words *w, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add_word(struct words *w, const char *format, ...)
{
	va_list args;

	if (w->nr == WORDS_MAX) {
		w->failed = true;
		return;
	}
	va_start(args, format);
	if (vasprintf(&w->word[w->nr], format, args) < 0)
		w->failed = true;
	else
		w->word[++w->nr] = NULL;
	va_end(args);
}

static void free_words(struct words *w)
{
	for (uint32_t i = 0; i < w->nr; i++)
		free(w->word[i]);
}

static void add_settings(struct words *w, const char *settings)
{
	if (!settings || !*settings)
		return;
	add_word(w, "--set");
	add_word(w, "%s", settings);
	/* So that it is one word for a shell as well. */
	for (char *s = w->failed ? NULL : w->word[w->nr - 1]; s && *s; s++)
		if (*s == ' ' || *s == '\t')
			*s = ',';
}

/* What `faultline run` alone must know. */
static void add_workload(struct words *w, const struct fl_plan_cell *cell,
			 bool for_people)
{
	char bytes[32];

	add_word(w, "--kernel");
	add_word(w, "%s", cell->kernel);
	if (!strcmp(cell->kernel, "fill") || !strcmp(cell->kernel, "unroll") ||
	    !strcmp(cell->kernel, "empty")) {
		add_word(w, "--size");
		add_word(w, "%u", cell->object_bytes);
	}
	if (!cell->account) {
		add_word(w, "--residence");
		add_word(w, "%s", fl_residence_name(cell->residence));
	}
	fl_format_bytes(cell->block_bytes, bytes, sizeof(bytes));
	add_word(w, "--block");
	add_word(w, "%s", bytes);
	if (cell->trace) {
		add_word(w, "--trace");
		add_word(w, "%s", for_people ? cell->trace : cell->trace_path);
	} else {
		fl_format_bytes(cell->lifetime_bytes, bytes, sizeof(bytes));
		add_word(w, "--lifetime");
		add_word(w, "%s", bytes);
	}
	if (cell->fresh)
		add_word(w, cell->fresh == FL_FRESH_HEAP ? "--fresh=heap" :
							   "--fresh");
	if (cell->account)
		add_word(w, "--account");
}

/* faultline run, or bench; with @for_people, as they could type it. */
static void make_command(const struct fl_campaign *c, struct fl_campaign_pair p,
			 uint32_t block, bool for_people, struct words *w)
{
	const struct fl_plan_cell *cell = &c->plan->cells[p.cell];
	const struct fl_plan_arm *arm = &c->plan->arms[p.arm];
	const struct fl_plan_build *build = &arm->builds[
		fl_campaign_build(c->plan, c->seed, p, block)];
	char clock[FL_CLOCK_TEXT_BYTES];

	*w = (struct words){ .nr = 0 };
	add_word(w, "faultline");
	add_word(w, cell->bench ? "bench" : "run");
	add_word(w, "%s", for_people ? build->named : arm->module);
	if (!for_people) {
		add_word(w, "--module");
		add_word(w, "%s", build->path);
	}
	add_settings(w, cell->settings[p.arm]);
	if (!cell->bench)
		add_workload(w, cell, for_people);
	add_word(w, "--ops");
	add_word(w, "%" PRIu64, cell->nr_ops);
	add_word(w, "--seed");
	add_word(w, "%" PRIu64, fl_campaign_workload_seed(c, block));
	add_word(w, cell->bench ? "--single" : "--latency-events");
	add_word(w, "%" PRIu64, cell->latency_events);
	add_word(w, "--cpu");
	add_word(w, "%d", c->cpu);
	if (arm->role == FL_ROLE_PLANTED)
		add_word(w, "--planted");
	if (!for_people) {
		fl_clock_write(&c->clock, clock);
		add_word(w, "--clock");
		add_word(w, "%s", clock);
	}
	if (!for_people && c->probe_ns > 0) {
		add_word(w, "--probe-ns");
		add_word(w, "%.3f", c->probe_ns);
	}
	if (!for_people)
		add_word(w, "--json");
}

void fl_campaign_command(const struct fl_campaign *c, struct fl_campaign_pair p,
			 uint32_t block, char out[FL_CAMPAIGN_COMMAND_BYTES])
{
	struct words words;
	size_t n = 0;

	*out = '\0';
	make_command(c, p, block, true, &words);
	for (uint32_t i = 0; i < words.nr && n < FL_CAMPAIGN_COMMAND_BYTES; i++)
		n += (size_t)snprintf(out + n, FL_CAMPAIGN_COMMAND_BYTES - n,
				      "%s%s", i ? " " : "", words.word[i]);
	free_words(&words);
}

/* Our environment, and so many bytes more: it moves the child's stack. */
static char **make_environment(uint32_t padding)
{
	extern char **environ;
	size_t nr = 0, to = 0;
	char **env, *last;

	while (environ[nr])
		nr++;
	/* The padding lies behind the pointers; one block, one free. */
	env = malloc((nr + 2) * sizeof(*env) + sizeof(PADDING) + padding);
	if (!env)
		return NULL;
	last = (char *)(env + nr + 2);
	for (size_t i = 0; i < nr; i++)
		if (strncmp(environ[i], PADDING, strlen(PADDING)))
			env[to++] = environ[i];
	env[to++] = last;
	env[to] = NULL;
	last = stpcpy(last, PADDING);
	memset(last, 'x', padding);
	last[padding] = '\0';
	return env;
}

/* What becomes of a sample in its line. */
struct verdict {
	enum fl_sample_status status;
	char reason[300];
	json_t *run;		/* what it printed, if that can be used */
};

static void judge(struct verdict *v, enum fl_sample_status status,
		  const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void judge(struct verdict *v, enum fl_sample_status status,
		  const char *format, ...)
{
	va_list args;

	v->status = status;
	va_start(args, format);
	vsnprintf(v->reason, sizeof(v->reason), format, args);
	va_end(args);
	/* It may quote bytes that are no text; JSON must be. */
	for (char *c = v->reason; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

/* The keys that a line has from us, which a sample may not use. */
static const char *const our_keys[] = {
	"campaign", "block", "order", "cell", "group", "arm", "role", "of",
	"repeat", "when", "wall_s", "exit", "signal", "build", "binary",
	"padding", "stderr", "command",
};

/* Is this the line of a sample, and of the one that was asked for? */
static const char *usable(const json_t *run, const struct fl_plan_arm *arm)
{
	const bool bench = arm->kind == FL_MODULE_BENCH;

	if (json_integer_value(json_object_get(run, "schema")) != FL_CAMPAIGN_SCHEMA)
		return "its schema is not 1";
	if (strcmp(text_in(run, bench ? "bench" : "strategy"), arm->module))
		return bench ? "it is about another bench" :
			       "it is about another strategy";
	if (!json_is_object(json_object_get(run, "metrics")) ||
	    !json_is_array(json_object_get(run, "flags")))
		return "it lacks metrics or flags";
	for (size_t i = 0; i < sizeof(our_keys) / sizeof(*our_keys); i++)
		if (json_object_get(run, our_keys[i]))
			return "it has a key that belongs to the campaign";
	return NULL;
}

static void judge_printed(struct verdict *v, struct fl_child_result *child,
			  const struct fl_plan_arm *arm)
{
	static const struct {
		int exit;
		enum fl_sample_status status;
	} exits[] = {
		{ 0, FL_SAMPLE_OK }, { 1, FL_SAMPLE_FAILED },
		{ 77, FL_SAMPLE_UNSUPPORTED },
	};
	const char *newline, *wrong;
	json_error_t error;
	json_t *run;
	int status;

	while (child->out_bytes && child->out[child->out_bytes - 1] == '\n')
		child->out[--child->out_bytes] = '\0';
	if (!child->out_bytes) {
		judge(v, FL_SAMPLE_FAILED, "printed nothing (exit status %d)",
		      child->status);
		return;
	}
	newline = memchr(child->out, '\n', child->out_bytes);
	run = newline ? NULL : json_loadb(child->out, child->out_bytes,
					  JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(run)) {
		judge(v, FL_SAMPLE_FAILED, "printed no JSON object (%s; exit status %d)",
		      newline ? "several lines" : run ? "something else" :
		      error.text, child->status);
		goto out;
	}
	wrong = usable(run, arm);
	if (wrong) {
		judge(v, FL_SAMPLE_FAILED, "printed no sample: %s", wrong);
		goto out;
	}
	status = fl_sample_status_find(text_in(run, "status"));
	for (size_t i = 0; i < sizeof(exits) / sizeof(*exits); i++)
		if (child->status == exits[i].exit &&
		    status == (int)exits[i].status) {
			judge(v, exits[i].status, "%s", text_in(run, "reason"));
			v->run = run;
			return;
		}
	judge(v, FL_SAMPLE_FAILED, "printed status \"%s\" but exited with %d",
	      text_in(run, "status"), child->status);
out:
	json_decref(run);
}

static void judge_child(const struct fl_campaign *c, struct verdict *v,
			struct fl_child_result *child,
			const struct fl_plan_arm *arm)
{
	const char *name;

	switch (child->end) {
	case FL_CHILD_SIGNALLED:
		name = sigabbrev_np(child->status);
		judge(v, FL_SAMPLE_CRASHED, "SIG%s (%s)", name ? name : "?",
		      strsignal(child->status));
		break;
	case FL_CHILD_TIMED_OUT:
		judge(v, FL_SAMPLE_TIMEOUT, "killed after %u s", c->plan->timeout_s);
		break;
	case FL_CHILD_TOO_LONG:
		judge(v, FL_SAMPLE_FAILED, "printed more than %zu MiB",
		      FL_CHILD_STDOUT_BYTES_MAX >> 20);
		break;
	default:
		judge_printed(v, child, arm);
	}
}

/* "a=1, b=2" as an object. */
static json_t *settings_json(const char *settings)
{
	json_t *object = json_object();
	char *copy = settings ? strdup(settings) : NULL, *rest = copy, *word;

	while ((word = strsep(&rest, ", \t"))) {
		char *equals = strchr(word, '=');

		if (!equals)
			continue;
		*equals = '\0';
		json_object_set_new(object, word, json_string(equals + 1));
	}
	free(copy);
	return object;
}

/* As samples call their trace: "traces/httpd.trace.xz" is "httpd". */
static json_t *trace_name(const char *path)
{
	const char *slash, *end;

	if (!path)
		return json_null();
	slash = strrchr(path, '/');
	path = slash ? slash + 1 : path;
	end = strstr(path, ".trace");
	return json_stringn(path, end ? (size_t)(end - path) : strlen(path));
}

/* What a sample that printed nothing of use would have said of its cell. */
static json_t *cell_json(const struct fl_plan_cell *cell,
			 const struct fl_plan_arm *arm)
{
	const char *mode = cell->account ? "account" :
			   arm->role == FL_ROLE_PLANTED ? "planted" : "timed";

	if (cell->bench)
		return json_pack("{s:s, s:s, s:s}", "bench", arm->module,
				 "op", cell->op, "mode", mode);
	return json_pack("{s:s, s:s, s:i, s:s, s:s, s:b, s:b, s:I, s:I, s:o}",
			 "strategy", arm->module,
			 "kernel", cell->kernel,
			 "object_bytes", (int)cell->object_bytes,
			 "residence", fl_residence_name(cell->residence),
			 "mode", mode,
			 "fresh", cell->fresh != FL_WARM,
			 "new_heap", cell->fresh == FL_FRESH_HEAP,
			 "block_bytes", (json_int_t)cell->block_bytes,
			 "lifetime_bytes", (json_int_t)cell->lifetime_bytes,
			 "trace", trace_name(cell->trace));
}

static json_t *stand_in(const struct fl_campaign *c, struct fl_campaign_pair p,
			uint32_t block, const struct verdict *v)
{
	const struct fl_plan_cell *cell = &c->plan->cells[p.cell];
	char command[FL_CAMPAIGN_COMMAND_BYTES];
	json_t *line, *of_cell;

	fl_campaign_command(c, p, block, command);
	line = json_pack("{s:i, s:s, s:s, s:s, s:o, s:I, s:{}, s:{}, s:[]}",
		"schema", FL_CAMPAIGN_SCHEMA,
		"status", fl_sample_status_name(v->status),
		"reason", v->reason,
		"command", command,
		"settings", settings_json(cell->settings[p.arm]),
		"seed", (json_int_t)fl_campaign_workload_seed(c, block),
		"metrics", "unavailable", "flags");
	of_cell = cell_json(cell, &c->plan->arms[p.arm]);
	if (json_object_update(line, of_cell)) {
		json_decref(line);
		line = NULL;
	}
	json_decref(of_cell);
	return line;
}

static json_t *place_json(const struct fl_campaign *c,
			  const struct fl_campaign_place *at,
			  const struct fl_child_result *child,
			  const char *when, uint32_t padding)
{
	const struct fl_plan_cell *cell = &c->plan->cells[at->pair.cell];
	const struct fl_plan_arm *arm = &c->plan->arms[at->pair.arm];
	const bool exited = child->end == FL_CHILD_EXITED;
	const bool crashed = child->end == FL_CHILD_SIGNALLED;
	const char *signal = crashed ? sigabbrev_np(child->status) : NULL;
	const uint32_t build = fl_campaign_build(c->plan, c->seed, at->pair,
						 at->block);

	return json_pack("{s:s, s:i, s:i, s:s, s:s, s:s, s:s, s:s?, s:i, s:s, s:f, s:o, s:o, s:i, s:s#, s:i, s:s?}",
		"campaign", c->plan->name,
		"block", (int)at->block,
		"order", (int)at->order,
		"cell", cell->name,
		"group", cell->group,
		"arm", arm->name,
		"role", fl_role_name(fl_plan_role(c->plan, cell, at->pair.arm)),
		"of", arm->of == at->pair.arm ? NULL :
		      c->plan->arms[arm->of].name,
		"repeat", (int)at->repeat,
		"when", when,
		"wall_s", child->wall_s,
		"exit", exited ? json_integer(child->status) : json_null(),
		"signal", signal ? json_sprintf("SIG%s", signal) :
			  json_null(),
		"build", (int)build,
		"binary", arm->builds[build].sha256, BINARY_HEX,
		"padding", (int)padding,
		"stderr", *child->last_error ? child->last_error : NULL);
}

/*
 * Our keys, then the sample's.  What it printed goes into the file to the letter,
 * because numbers that are read and written again are others.
 */
static int write_line(struct fl_campaign *c, const json_t *ours,
		      const json_t *run, const char *printed)
{
	char *head = json_dumps(ours, JSON_COMPACT | JSON_REAL_PRECISION(6));
	char *tail = printed ? NULL : json_dumps(run, JSON_COMPACT), *line;
	const char *from = printed ? printed : tail;
	int n, err;

	if (!head || !from) {
		free(head);
		return fl_complain(c->why, -ENOMEM, "%s", strerror(ENOMEM));
	}
	from += strspn(from, " \t\r") + 1;
	head[strlen(head) - 1] = '\0';
	n = asprintf(&line, "%s,%s\n", head, from);
	free(head);
	free(tail);
	if (n < 0)
		return fl_complain(c->why, -ENOMEM, "%s", strerror(ENOMEM));
	err = fl_campaign_dir_add(&c->dir, line, (size_t)n, c->why);
	free(line);
	return err;
}

static int record(struct fl_campaign *c, const struct fl_campaign_place *at,
		  struct fl_child_result *child, const char *when,
		  uint32_t padding)
{
	const struct fl_plan_arm *arm = &c->plan->arms[at->pair.arm];
	struct verdict v = { .status = FL_SAMPLE_FAILED };
	json_t *ours, *run;
	int err;

	judge_child(c, &v, child, arm);
	ours = place_json(c, at, child, when, padding);
	run = v.run ? v.run : stand_in(c, at->pair, at->block, &v);
	if (ours && run)
		err = write_line(c, ours, run, v.run ? child->out : NULL);
	else
		err = fl_complain(c->why, -ENOMEM, "%s", strerror(ENOMEM));
	if (!err)
		fl_campaign_note_probe(c, run);
	if (!err)
		fl_campaign_note(c, at, v.status, v.status == FL_SAMPLE_OK &&
				 fl_sample_has_flags(run), child->wall_s,
				 v.reason);
	json_decref(ours);
	json_decref(run);
	return err;
}

/* A module must stay what it was hashed as. */
static int check_module(struct fl_campaign *c,
			const struct fl_campaign_place *at)
{
	const uint32_t arm = at->pair.arm;
	const uint32_t build = fl_campaign_build(c->plan, c->seed, at->pair,
						 at->block);
	const char *path = c->plan->arms[arm].builds[build].path;
	const struct stat *then = &c->modules[arm * FL_PLAN_BUILDS_MAX + build];
	struct stat now;

	if (!stat(path, &now) && now.st_ino == then->st_ino &&
	    now.st_dev == then->st_dev && now.st_size == then->st_size &&
	    now.st_mtim.tv_sec == then->st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == then->st_mtim.tv_nsec)
		return 0;
	return fl_complain(c->why, -ESTALE,
		"%s changed while the campaign ran: restore it and go on, or begin a new --output",
		path);
}

int fl_campaign_sample(struct fl_campaign *c,
		       const struct fl_campaign_place *at)
{
	const uint32_t padding = fl_campaign_padding_bytes(c, at);
	struct fl_child_result result = { .out = NULL };
	struct words words;
	struct fl_child child = {
		.file = c->runner, .cpus = &c->cpus,
		.timeout_s = c->plan->timeout_s,
	};
	char **env, when[40];
	int err = check_module(c, at);

	if (err)
		return err;
	env = make_environment(padding);
	make_command(c, at->pair, at->block, false, &words);
	if (env && !words.failed) {
		child.argv = words.word;
		child.envp = env;
		fl_campaign_utc(when, sizeof(when));
		err = fl_child_run(&child, &c->signals, &result, c->why);
	} else {
		err = fl_complain(c->why, -ENOMEM, "%s", strerror(ENOMEM));
	}
	free_words(&words);
	free(env);
	if (err)
		return err;
	if (result.end == FL_CHILD_INTERRUPTED)
		err = -EINTR;
	else
		err = record(c, at, &result, when, padding);
	free(result.out);
	return err;
}

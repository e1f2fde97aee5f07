/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analysis/results.h"
#include "harness/trace_source.h"

#define RESULTS		FL_RESULTS_LINES
#define CAMPAIGN	"campaign.json"
#define PLAN		"plan.ini"

#define PLAN_BYTES_MAX	((size_t)1 << 20)

static const char *const status_names[FL_RESULT_NR_STATUS] = {
	[FL_RESULT_OK] = "ok",
	[FL_RESULT_FAILED] = "failed",
	[FL_RESULT_CRASHED] = "crashed",
	[FL_RESULT_TIMEOUT] = "timeout",
	[FL_RESULT_UNSUPPORTED] = "unsupported",
};

static const char *const role_names[FL_RESULT_NR_ROLES] = {
	[FL_RESULT_BASELINE] = "baseline",
	[FL_RESULT_ARM] = "arm",
	[FL_RESULT_TWIN] = "twin",
	[FL_RESULT_PLANTED] = "planted",
};

const char *fl_result_status_name(enum fl_result_status status)
{
	return status_names[status];
}

const char *fl_result_role_name(enum fl_result_role role)
{
	return role_names[role];
}

/* Index of @word among @names, or -1. */
static int name_index(const char *word, const char *const *names, int nr)
{
	for (int i = 0; word && i < nr; i++)
		if (!strcmp(word, names[i]))
			return i;
	return -1;
}

static void add_problem(struct fl_results *results, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add_problem(struct fl_results *results, const char *format, ...)
{
	struct fl_complaint text;
	va_list args;

	if (results->nr_problems++ >= FL_RESULTS_PROBLEMS_MAX)
		return;
	va_start(args, format);
	vsnprintf(text.text, sizeof(text.text), format, args);
	va_end(args);
	/* A problem that memory is too short for stays in the count. */
	results->problems[results->nr_problems - 1] = strdup(text.text);
}

static const char *string_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static int64_t integer_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static uint64_t count_of(const json_t *object, const char *key)
{
	int64_t value = integer_of(object, key);

	return value > 0 ? (uint64_t)value : 0;
}

/* "name=value name=value", to be freed, or NULL without memory. */
static char *settings_text(json_t *settings)
{
	const char *name;
	json_t *value;
	size_t bytes;
	char *text;
	FILE *to = open_memstream(&text, &bytes);

	if (!to)
		return NULL;
	json_object_foreach(settings, name, value) {
		fprintf(to, "%s%s=", ftell(to) ? " " : "", name);
		if (json_is_string(value))
			fputs(json_string_value(value), to);
		else if (json_is_number(value))
			fprintf(to, "%.10g", json_number_value(value));
		else
			fputs("?", to);
	}
	return fclose(to) ? NULL : text;
}

/* Numbers, or null where one could not be had. */
static bool has_numbers(const json_t *metrics)
{
	const json_t *value;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)metrics, name, value)
		if (!json_is_number(value) && !json_is_null(value))
			return false;
	return true;
}

/* What is wrong with a line as a result, or NULL. */
static const char *wrong_with(const json_t *json)
{
	const json_t *metrics = json_object_get(json, "metrics");

	if (name_index(string_of(json, "status"), status_names,
		       FL_RESULT_NR_STATUS) < 0)
		return "no known status";
	if (!string_of(json, "cell") || !string_of(json, "arm"))
		return "no cell or no arm";
	if (!json_is_integer(json_object_get(json, "block")))
		return "no block";
	if (metrics && (!json_is_object(metrics) || !has_numbers(metrics)))
		return "a metric is no number";
	return NULL;
}

/* Takes the reference to @json.  0, or -ENOMEM. */
static int add_result(struct fl_results *results, json_t *json,
		      unsigned int line)
{
	const char *mode = string_of(json, "mode");
	int role = name_index(string_of(json, "role"), role_names, FL_RESULT_NR_ROLES);
	size_t nr = results->nr_results;
	struct fl_result *r;

	/* Doubling at powers of two needs no capacity beside the count. */
	if (!(nr & (nr - 1))) {
		size_t room = nr ? 2 * nr : 1;
		void *grown = realloc(results->results,
				      room * sizeof(*results->results));

		if (grown)
			results->results = grown;
		void *more = realloc(results->settings,
				     room * sizeof(*results->settings));
		if (more)
			results->settings = more;
		if (!grown || !more)
			goto err_decref;
	}
	results->settings[nr] = settings_text(json_object_get(json, "settings"));
	if (!results->settings[nr])
		goto err_decref;
	r = &results->results[nr];
	*r = (struct fl_result){
		.line = line,
		.status = (enum fl_result_status)
			name_index(string_of(json, "status"), status_names,
				   FL_RESULT_NR_STATUS),
		.role = role < 0 ? FL_RESULT_ARM : (enum fl_result_role)role,
		.accounts = mode && !strcmp(mode, "account"),
		.fresh = json_is_true(json_object_get(json, "fresh")),
		.reason = string_of(json, "reason"),
		.cell = string_of(json, "cell"),
		.arm = string_of(json, "arm"),
		.group = string_of(json, "group"),
		.of = string_of(json, "of"),
		.strategy = string_of(json, "strategy"),
		.bench = string_of(json, "bench"),
		.op = string_of(json, "op"),
		.settings = results->settings[nr],
		.answer = string_of(json, "answer"),
		.trigger = string_of(json, "trigger"),
		.compiler = string_of(json, "compiler"),
		.kernel = string_of(json, "kernel"),
		.residence = string_of(json, "residence"),
		.trace = string_of(json, "trace"),
		.block = integer_of(json, "block"),
		.repeat = integer_of(json, "repeat"),
		.build = integer_of(json, "build"),
		.object_bytes = count_of(json, "object_bytes"),
		.block_bytes = count_of(json, "block_bytes"),
		.lifetime_bytes = count_of(json, "lifetime_bytes"),
		.nr_flags = json_array_size(json_object_get(json, "flags")),
		.json = json,
	};
	if (!r->strategy)
		r->strategy = r->bench ? r->bench : r->arm;
	results->nr_results++;
	return 0;

err_decref:
	json_decref(json);
	return -ENOMEM;
}

/*
 * One line.  Only memory and a foreign schema end the reading; the newline is
 * what tells a line that was cut off from one that was never right.
 */
static int read_line(struct fl_results *results, const char *path,
		     const char *text, size_t bytes, unsigned int line,
		     struct fl_complaint *why)
{
	bool torn = !bytes || text[bytes - 1] != '\n';
	const json_t *schema;
	const char *wrong;
	json_error_t error;
	json_t *json;

	if (strspn(text, " \t\r\n") == bytes)
		return 0;
	json = json_loadb(text, bytes, 0, &error);
	if (!json && json_error_code(&error) == json_error_out_of_memory)
		return fl_complain(why, -ENOMEM, "%s: %s", path,
				   strerror(ENOMEM));
	if (!json) {
		if (torn)
			add_problem(results, RESULTS ":%u: the line is torn (the campaign was stopped while it wrote); skipped",
				    line);
		else
			add_problem(results, RESULTS ":%u: not JSON (%s, column %d); skipped",
				    line, error.text, error.column);
		return 0;
	}
	schema = json_object_get(json, "schema");
	if (json_is_integer(schema) &&
	    json_integer_value(schema) != FL_RESULTS_SCHEMA) {
		intmax_t theirs = json_integer_value(schema);

		json_decref(json);
		return fl_complain(why, -EPROTO,
				   "%s:%u: schema %jd; this version reads schema %d only: use the faultline that wrote it",
				   path, line, theirs, FL_RESULTS_SCHEMA);
	}
	wrong = json_is_integer(schema) ? wrong_with(json) : "no schema";
	if (wrong) {
		add_problem(results, RESULTS ":%u: not a result (%s); skipped",
			    line, wrong);
		json_decref(json);
		return 0;
	}
	if (add_result(results, json, line))
		return fl_complain(why, -ENOMEM, "%s: %s", path,
				   strerror(ENOMEM));
	return 0;
}

/* A stream over a source: lines are read by getline(3). */
static ssize_t stream_read(void *cookie, char *to, size_t bytes)
{
	ssize_t n = fl_source_read(cookie, to, bytes);

	if (n < 0)
		errno = (int)-n;
	return n < 0 ? -1 : n;
}

static FILE *stream_open(struct fl_source *source)
{
	return fopencookie(source, "r",
			   (cookie_io_functions_t){ .read = stream_read });
}

static int read_lines(struct fl_results *results, const char *path, int fd,
		      struct fl_complaint *why)
{
	struct fl_source *source = malloc(sizeof(*source));
	char *text = NULL;
	size_t room = 0;
	ssize_t bytes;
	FILE *from = NULL;
	int err;

	if (!source)
		return fl_complain(why, -ENOMEM, "%s: %s", path, strerror(ENOMEM));
	err = fl_source_open(source, fd);
	if (!err && !(from = stream_open(source)))
		err = fl_complain(why, -ENOMEM, "%s: %s", path, strerror(ENOMEM));
	else if (err)
		fl_complain(why, err, "%s: %s", path, source->problem);
	while (!err && (errno = 0, bytes = getline(&text, &room, from)) >= 0)
		err = read_line(results, path, text, (size_t)bytes,
				(unsigned int)++results->nr_lines, why);
	/* Also when it is not the end but an error. */
	if (!err && !feof(from))
		err = fl_complain(why, errno ? -errno : -EIO, "%s: %s", path,
				  *source->problem ? source->problem :
				  strerror(errno ? errno : EIO));
	if (from)
		fclose(from);
	fl_source_close(source);
	free(source);
	free(text);
	return err;
}

static int open_lines(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* @path, @packed: of the two files, of which one is expected. */
static int read_results(struct fl_results *results, const char *dir,
			const char *path, const char *packed,
			struct fl_complaint *why)
{
	struct stat st;
	int fd, err;

	fd = open_lines(path);
	if (fd < 0 && errno == ENOENT && !access(packed, F_OK)) {
		path = packed;
		fd = open_lines(path);
	} else if (fd >= 0 && !access(packed, F_OK)) {
		add_problem(results, FL_RESULTS_PACKED ": not read, because " RESULTS " is there, too; remove one of them");
	}
	if (fd < 0) {
		err = -errno;
		if (err == -ENOENT && !stat(dir, &st))
			return fl_complain(why, err,
					   "%s: no " RESULTS " there: is it the directory of a campaign?",
					   dir);
		if (err == -ENOTDIR)
			return fl_complain(why, err,
					   "%s: not a directory: give the directory of a campaign",
					   dir);
		return fl_complain(why, err, "%s: %s",
				   err == -ENOENT ? dir : path, strerror(-err));
	}
	err = read_lines(results, path, fd, why);
	close(fd);
	if (!err && !results->nr_results)
		err = fl_complain(why, -ENODATA,
				  "%s: %zu line%s, none of them a result%s%s",
				  path, results->nr_lines,
				  results->nr_lines == 1 ? "" : "s",
				  results->nr_problems ? "; the first: " : "",
				  results->nr_problems && results->problems[0] ?
				  results->problems[0] : "");
	return err;
}

/* Its absence costs names and the environment, not the numbers. */
static int read_campaign(struct fl_results *results, const char *path)
{
	json_error_t error;

	results->campaign = json_load_file(path, 0, &error);
	if (json_is_object(results->campaign))
		return 0;
	if (!results->campaign)
		add_problem(results, CAMPAIGN ": %s, so seed, plan and environment are unknown",
			    json_error_code(&error) ==
			    json_error_cannot_open_file ?
			    "cannot be read" : "not JSON");
	else
		add_problem(results, CAMPAIGN ": not an object, so seed, plan and environment are unknown");
	json_decref(results->campaign);
	results->campaign = json_object();
	return results->campaign ? 0 : -ENOMEM;
}

static char *read_text(const char *path)
{
	char *text = NULL;
	size_t bytes;
	FILE *from;

	from = fopen(path, "re");
	if (!from)
		return NULL;
	text = malloc(PLAN_BYTES_MAX + 1);
	if (text) {
		bytes = fread(text, 1, PLAN_BYTES_MAX, from);
		text[bytes] = '\0';
	}
	fclose(from);
	return text;
}

int fl_results_load(const char *dir, struct fl_results *out,
		    struct fl_complaint *why)
{
	struct fl_results results = { 0 };
	char *path[4] = { NULL };
	static const char *const files[4] = {
		RESULTS, FL_RESULTS_PACKED, CAMPAIGN, PLAN
	};
	size_t dir_bytes = strlen(dir);
	int err = -ENOMEM;

	while (dir_bytes > 1 && dir[dir_bytes - 1] == '/')
		dir_bytes--;
	for (int i = 0; i < 4; i++)
		if (asprintf(&path[i], "%.*s/%s", (int)dir_bytes, dir,
			     files[i]) < 0) {
			path[i] = NULL;
			fl_complain(why, err, "%s", strerror(-err));
			goto out_free;
		}
	err = read_results(&results, dir, path[0], path[1], why);
	if (!err && (err = read_campaign(&results, path[2])))
		fl_complain(why, err, "%s", strerror(-err));
	if (!err)
		results.plan = read_text(path[3]);
out_free:
	for (int i = 0; i < 4; i++)
		free(path[i]);
	if (err)
		fl_results_free(&results);
	else
		*out = results;
	return err;
}

void fl_results_free(struct fl_results *results)
{
	for (size_t i = 0; i < results->nr_results; i++) {
		json_decref(results->results[i].json);
		free(results->settings[i]);
	}
	for (size_t i = 0; i < FL_RESULTS_PROBLEMS_MAX; i++)
		free(results->problems[i]);
	free(results->results);
	free(results->settings);
	free(results->plan);
	json_decref(results->campaign);
	*results = (struct fl_results){ 0 };
}

double fl_result_metric(const struct fl_result *result, const char *name)
{
	const json_t *value = json_object_get(
		json_object_get(result->json, "metrics"), name);

	return json_is_number(value) ? json_number_value(value) : NAN;
}

const char *fl_result_unavailable(const struct fl_result *result,
				  const char *name)
{
	return string_of(json_object_get(result->json, "unavailable"), name);
}

const char *fl_results_string(const struct fl_results *results, const char *key,
			      const char *fallback)
{
	const char *text = string_of(results->campaign, key);

	return text && *text ? text : fallback;
}

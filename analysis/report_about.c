/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/report_page.h"
#include "harness/counters.h"
#include "harness/metrics.h"

/* Values of the environment longer than this are folded away. */
#define LONG_VALUE	120

/* So are more facts of one kind than this. */
#define FACTS_MAX	5

/* ---- what is missing ---------------------------------------------------- */

void fl_page_missing(const struct fl_page *p)
{
	const struct fl_summary *s = p->s;

	part(p, "missing", "What is missing");
	if (!s->nr_missing) {
		html(p, "<p>Nothing: every sample of the campaign succeeded.</p>\n");
		return;
	}
	html(p, "<div class=scroll><table class=text><thead><tr><th>arm</th><th>status</th>"
	     "<th class=n>samples</th><th class=n>cells</th><th>reason</th></tr></thead>"
	     "<tbody>\n");
	for (size_t i = 0; i < s->nr_missing; i++) {
		const struct fl_summary_missing *missing = &s->missing[i];

		html(p, "<tr>");
		element(p, "th", "scope=row", missing->arm);
		html(p, "<td>%s</td><td class=n>%zu</td><td class=n>%zu</td>",
		     fl_result_status_name(missing->status),
		     missing->nr_samples, missing->nr_cells);
		element(p, "td", "class=why", missing->reason);
		html(p, "</tr>\n");
	}
	html(p, "</tbody></table></div>\n");
}

/* ---- environment -------------------------------------------------------- */

static void put_value(const struct fl_page *p, const json_t *value);

static void put_scalar(const struct fl_page *p, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		put(p, *json_string_value(value) ? json_string_value(value) :
						   "none");
		break;
	case JSON_INTEGER:
		html(p, "%" PRId64, (int64_t)json_integer_value(value));
		break;
	case JSON_REAL:
		html(p, "%g", json_real_value(value));
		break;
	case JSON_TRUE:
		html(p, "yes");
		break;
	case JSON_FALSE:
		html(p, "no");
		break;
	default:
		html(p, "<span class=none>not known here</span>");
	}
}

static void put_value(const struct fl_page *p, const json_t *value)
{
	size_t i;
	json_t *item;

	if (!json_is_array(value)) {
		put_scalar(p, value);
		return;
	}
	json_array_foreach((json_t *)(uintptr_t)value, i, item) {
		html(p, i ? ", " : "");
		if (json_is_object(item)) {
			const char *key;
			json_t *part;
			bool first = true;

			json_object_foreach(item, key, part) {
				html(p, first ? "" : " ");
				first = false;
				put(p, key);
				html(p, " ");
				put_value(p, part);
			}
		} else {
			put_value(p, item);
		}
	}
}

/* A rough length, to decide whether it is folded. */
static size_t value_bytes(const json_t *value)
{
	size_t bytes = 0, i;
	json_t *item;

	if (json_is_string(value))
		return json_string_length(value);
	json_array_foreach((json_t *)(uintptr_t)value, i, item)
		bytes += 2 + (json_is_object(item) ? 40 : value_bytes(item));
	return bytes;
}

static void put_facts(const struct fl_page *p, const char *path, json_t *object);

/* Many facts of one kind, such as a CPU's weaknesses. */
static void put_folded(const struct fl_page *p, const char *name, json_t *object)
{
	element(p, "dt", "", name);
	html(p, "<dd><details><summary>%zu values</summary><dl>\n",
	     json_object_size(object));
	put_facts(p, "", object);
	html(p, "</dl></details></dd>\n");
}

/* @path: the keys on the way, with blanks between them. */
static void put_facts(const struct fl_page *p, const char *path, json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) {
		char *name;

		if (asprintf(&name, "%s%s%s", path, *path ? " " : "", key) < 0)
			continue;
		if (json_object_size(value) > FACTS_MAX && *path) {
			put_folded(p, name, value);
		} else if (json_is_object(value)) {
			put_facts(p, name, value);
		} else {
			element(p, "dt", "", name);
			html(p, "<dd>");
			if (value_bytes(value) > LONG_VALUE)
				html(p, "<details><summary>show</summary>");
			put_value(p, value);
			if (value_bytes(value) > LONG_VALUE)
				html(p, "</details>");
			html(p, "</dd>\n");
		}
		free(name);
	}
}

void fl_page_environment(const struct fl_page *p, json_t *fingerprint)
{
	static const char *const parts[][2] = {
		{ "host", "Host" }, { "build", "Build" }, { "about", "About" },
	};
	const char *id = json_string_value(json_object_get(fingerprint, "id"));

	part(p, "environment", "Where it was measured");
	if (!json_is_object(fingerprint)) {
		html(p, "<p class=missing>campaign.json has no fingerprint, so what these "
		     "results depend on is not known.</p>\n");
		return;
	}
	html(p, "<p class=note>Ratios travel, absolute times do not.");
	if (id) {
		html(p, " Fingerprint ");
		element(p, "code", "", id);
		html(p, ": results with another one are not pooled with these.");
	}
	html(p, "</p>\n");
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		json_t *part = json_object_get(fingerprint, parts[i][0]);

		if (!json_object_size(part))
			continue;
		within(p, parts[i][1]);
		html(p, "<dl>\n");
		put_facts(p, "", part);
		html(p, "</dl>\n");
	}
}

/* ---- how to repeat it --------------------------------------------------- */

static void put_option(const struct fl_page *p, const char *option,
		       const char *key)
{
	const json_t *value = json_object_get(p->s->results->campaign, key);

	if (json_is_integer(value))
		html(p, " --%s %" PRId64, option,
		     (int64_t)json_integer_value(value));
}

/* As a shell reads it. */
static void put_word(const struct fl_page *p, const char *word)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"_-./=,:+@%";

	if (*word && strspn(word, plain) == strlen(word)) {
		put(p, word);
		return;
	}
	put(p, "'");
	for (; *word; word++)
		if (*word == '\'')
			put(p, "'\\''");
		else
			fl_html_char(p->to, *word);
	put(p, "'");
}

void fl_page_repeat(const struct fl_page *p)
{
	const struct fl_results *r = p->s->results;
	const json_t *words = json_object_get(r->campaign, "options");
	bool only = false;

	part(p, "repeat", "How to repeat it");
	html(p, "<p>The same plan, order and inputs, "
	     "%s:</p>\n<pre><code>faultline campaign ",
	     strchr(p->plan, '/') ? "from the top of the source tree" :
	     "in the folder that the plan came from");
	put_word(p, p->plan);
	if (!strcmp(fl_results_string(r, "profile", ""), "quick"))
		html(p, " --quick");
	put_option(p, "blocks", "blocks");
	put_option(p, "seed", "seed");
	put_option(p, "cpu", "cpu");
	for (size_t i = 0; i < json_array_size(words); i++) {
		const char *word = json_string_value(json_array_get(words, i));

		if (word && (only || !strncmp(word, "--only", 6))) {
			html(p, " ");
			put_word(p, word);
			only = !only && !strchr(word, '=');
		}
	}
	html(p, " --output again\nfaultline report again</code></pre>\n");
	if (r->plan) {
		html(p, "<details><summary>The plan</summary><pre><code>");
		put(p, r->plan);
		html(p, "</code></pre></details>\n");
	}
}

/* ---- definitions -------------------------------------------------------- */

static const char *const terms[][2] = {
	{ "cell", "one workload with everything fixed but the arm" },
	{ "arm", "a strategy with its settings" },
	{ "block of a campaign", "one sample of every arm, in random order; a sample is a process of its own" },
	{ "block", "a run of pages that a strategy hands to a region; objects are placed in it one after another" },
	{ "slow path", "what runs when a block is exhausted: a call or a fault" },
	{ "median", "over the blocks; each sample is total time over total operations" },
	{ "ratio", "median over blocks of arm over baseline within the block: e to the median difference of logarithms" },
	{ "interval", "from the k-th smallest to the k-th largest block, k as large as the confidence allows; for any distribution. faultline report --json also has the percentile bootstrap, a second opinion" },
	{ "fastest", "the arm with the least median among those that notice the end of a block: what never looks is a bound and no choice" },
	{ "too close to call", "the interval of the paired ratio of the two fastest includes 1" },
	{ "crossing", "where the best branch and the best redirect take equally long, between two measured block sizes on a line over 1 / block size" },
	{ "surely", "the interval of the paired ratio lies wholly on one side of 1" },
	{ "flagged", "the sample migrated or lost time to other guests; it is repeated by a rule fixed beforehand, and the repeat counts" },
};

static bool is_there(const struct fl_summary *s, const char *metric)
{
	for (size_t c = 0; c < s->nr_cells; c++)
		for (size_t a = 0; a < s->cells[c].nr_arms; a++)
			if (fl_summary_find(&s->cells[c].arms[a], metric))
				return true;
	return false;
}

static void define(const struct fl_page *p, const char *name, const char *unit,
		   const char *definition)
{
	html(p, "<dt>");
	element(p, "code", "", name);
	html(p, "</dt><dd>");
	put(p, definition);
	if (strcmp(unit, "1")) {
		html(p, " (");
		put(p, unit);
		html(p, ")");
	}
	html(p, "</dd>\n");
}

/* What a bench counts, by its own words. */
static void define_own(const struct fl_page *p, const char *bench,
		       const json_t *metric)
{
	const char *name, *unit, *definition;
	char *of;

	if (json_unpack((json_t *)(uintptr_t)metric, "{s:s, s:s, s:s}", "name",
			&name, "unit", &unit, "definition", &definition) ||
	    !is_there(p->s, name) ||
	    asprintf(&of, "bench %s: %s", bench, definition) < 0)
		return;
	define(p, name, unit, of);
	free(of);
}

void fl_page_words(const struct fl_page *p)
{
	html(p, "<dl>\n");
	for (size_t i = 0; i < sizeof(terms) / sizeof(*terms); i++)
		html(p, "<dt>%s</dt><dd>%s</dd>\n", terms[i][0], terms[i][1]);
	html(p, "<dt>VALID</dt><dd>the twin of an arm is not shown to differ from it by "
	     "more than ");
	if (p->s)
		html(p, "%.3g %%", 100 * p->s->delta);
	else
		html(p, "the campaign tolerates");
	html(p, ", and a slowdown planted on purpose is seen</dd>\n</dl>\n");
}

void fl_page_metrics(const struct fl_page *p)
{
	json_t *about, *metric;
	const char *bench;

	within(p, "Metrics in the results");
	html(p, "<dl>\n");
#define X(name, unit, of, definition)					\
	if (is_there(p->s, #name))					\
		define(p, #name, unit, definition);
	FL_METRICS(X)
#undef X
#define X(name, definition)						\
	if (is_there(p->s, #name))					\
		define(p, #name, "1", definition);
	FL_COUNTERS(X)
#undef X
	json_object_foreach(json_object_get(p->s->results->campaign, "benches"),
			    bench, about) {
		size_t i;

		json_array_foreach(json_object_get(about, "metrics"), i, metric)
			define_own(p, bench, metric);
	}
	html(p, "</dl>\n");
}

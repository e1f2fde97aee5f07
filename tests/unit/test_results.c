/* SPDX-License-Identifier: MIT */
/*
 * Reading a campaign's directory: what is kept, what is skipped and told, what
 * is refused.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "analysis/results.h"

#define GOOD "{\"schema\":1,\"status\":\"ok\",\"cell\":\"c\",\"arm\":\"a\",\"block\":0}"

static char dir[] = "/tmp/faultline-results.XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static void file(const char *name, const char *text)
{
	char path[256];
	FILE *to;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (!text) {
		unlink(path);
		return;
	}
	to = fopen(path, "we");
	assert_non_null(to);
	fputs(text, to);
	assert_int_equal(fclose(to), 0);
}

static int remove_dir(void **state)
{
	(void)state;
	file("results.jsonl", NULL);
	file("campaign.json", NULL);
	file("plan.ini", NULL);
	return rmdir(dir);
}

static struct fl_results load(const char *lines)
{
	struct fl_complaint why = { "" };
	struct fl_results results;
	int err;

	file("results.jsonl", lines);
	err = fl_results_load(dir, &results, &why);
	if (err)
		fail_msg("%s", why.text);
	return results;
}

static void refused(const char *lines, int err, const char *with)
{
	struct fl_complaint why = { "" };
	struct fl_results results;

	file("results.jsonl", lines);
	assert_int_equal(fl_results_load(dir, &results, &why), err);
	assert_non_null(strstr(why.text, with));
	assert_null(strchr(why.text, '\n'));
}

static void test_fields(void **state)
{
	struct fl_results r;

	(void)state;
	file("campaign.json", "{\"campaign\":\"x\",\"seed\":7}");
	file("plan.ini", "[campaign]\n");
	r = load("{\"schema\":1,\"status\":\"failed\",\"reason\":\"why\","
		 "\"cell\":\"warm/16\",\"arm\":\"a\",\"role\":\"twin\",\"block\":3,"
		 "\"repeat\":1,\"flags\":[\"steal\",\"migrated\"],"
		 "\"strategy\":\"s\",\"settings\":{\"block\":\"64K\",\"n\":2},"
		 "\"mode\":\"account\",\"fresh\":true,\"block_bytes\":65536,"
		 "\"metrics\":{\"alloc_ns\":0.5,\"events\":null},"
		 "\"unavailable\":{\"events\":\"because\"}}\n");
	assert_int_equal(r.nr_results, 1);
	assert_int_equal(r.nr_problems, 0);
	assert_int_equal(r.results[0].status, FL_RESULT_FAILED);
	assert_string_equal(r.results[0].reason, "why");
	assert_int_equal(r.results[0].role, FL_RESULT_TWIN);
	assert_int_equal(r.results[0].block, 3);
	assert_int_equal(r.results[0].repeat, 1);
	assert_int_equal(r.results[0].nr_flags, 2);
	assert_string_equal(r.results[0].settings, "block=64K n=2");
	assert_true(r.results[0].accounts);
	assert_true(r.results[0].fresh);
	assert_int_equal(r.results[0].block_bytes, 65536);
	assert_null(r.results[0].trace);
	assert_true(fl_result_metric(&r.results[0], "alloc_ns") == 0.5);
	assert_true(isnan(fl_result_metric(&r.results[0], "events")));
	assert_true(isnan(fl_result_metric(&r.results[0], "never heard of")));
	assert_string_equal(fl_result_unavailable(&r.results[0], "events"),
			    "because");
	assert_string_equal(fl_results_string(&r, "campaign", "-"), "x");
	assert_string_equal(fl_results_string(&r, "title", "-"), "-");
	assert_string_equal(r.plan, "[campaign]\n");
	fl_results_free(&r);
}

static void test_torn(void **state)
{
	struct fl_results r;

	(void)state;
	/* The end of a campaign that was killed while it wrote. */
	r = load(GOOD "\n{\"schema\":1,\"status\":\"ok\",\"ce");
	assert_int_equal(r.nr_results, 1);
	assert_int_equal(r.nr_problems, 1);
	assert_non_null(strstr(r.problems[0], "results.jsonl:2: "));
	assert_non_null(strstr(r.problems[0], "torn"));
	fl_results_free(&r);

	/* All of it but the newline is a whole line. */
	r = load(GOOD "\n" GOOD);
	assert_int_equal(r.nr_results, 2);
	assert_int_equal(r.nr_problems, 0);
	fl_results_free(&r);

	/* A newline put after a torn line by whoever went on. */
	r = load("{\"schema\":1,\"st\n" GOOD "\n\n" GOOD "\n");
	assert_int_equal(r.nr_results, 2);
	assert_int_equal(r.nr_problems, 1);
	assert_int_equal(r.results[1].line, 4);
	fl_results_free(&r);
}

static void test_garbage(void **state)
{
	static const char *const lines[] = {
		"\x01\x02\xff\n", "[1,2]\n", "7\n", "{}\n", "{\"schema\":\"1\"}\n",
		"{\"schema\":1,\"status\":\"splendid\",\"cell\":\"c\",\"arm\":\"a\",\"block\":0}\n",
		"{\"schema\":1,\"status\":\"ok\",\"arm\":\"a\",\"block\":0}\n",
		"{\"schema\":1,\"status\":\"ok\",\"cell\":\"c\",\"arm\":5,\"block\":0}\n",
		"{\"schema\":1,\"status\":\"ok\",\"cell\":\"c\",\"arm\":\"a\",\"block\":\"0\"}\n",
		"{\"schema\":1,\"status\":\"ok\",\"cell\":\"c\",\"arm\":\"a\",\"block\":0,\"metrics\":7}\n",
		"{\"schema\":1,\"status\":\"ok\",\"cell\":\"c\",\"arm\":\"a\",\"block\":0,\"metrics\":{\"alloc_ns\":\"7\"}}\n",
	};
	char text[4096] = GOOD "\n";
	struct fl_results r;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		strcat(text, lines[i]);
		r = load(text);
		assert_int_equal(r.nr_results, 1);
		assert_int_equal(r.nr_problems, i + 1);
		fl_results_free(&r);
	}
	/* More than are told one by one are counted. */
	for (int i = 0; i < 20; i++)
		strcat(text, "no\n");
	r = load(text);
	assert_int_equal(r.nr_problems, 31);
	assert_non_null(r.problems[FL_RESULTS_PROBLEMS_MAX - 1]);
	fl_results_free(&r);
}

static void test_refused(void **state)
{
	struct fl_complaint why = { "" };
	struct fl_results r;

	(void)state;
	refused(GOOD "\n{\"schema\":2,\"anything\":1}\n", -EPROTO,
		"results.jsonl:2: schema 2;");
	refused("", -ENODATA, "0 lines, none of them a result");
	refused("no\nno\n", -ENODATA, "results.jsonl:1: not JSON");
	refused(NULL, -ENOENT, "no results.jsonl there");
	assert_int_equal(fl_results_load("/nonexistent", &r, &why), -ENOENT);
	assert_non_null(strstr(why.text, "/nonexistent: No such file"));
	file("plan.ini", "");
	{
		char path[256];

		snprintf(path, sizeof(path), "%s/plan.ini", dir);
		assert_int_equal(fl_results_load(path, &r, NULL), -ENOTDIR);
	}
}

static void test_campaign_json(void **state)
{
	static const char *const bad[] = { NULL, "", "{", "[]", "\"x\"" };
	struct fl_results r;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		file("campaign.json", bad[i]);
		r = load(GOOD "\n");
		assert_int_equal(r.nr_problems, 1);
		assert_non_null(strstr(r.problems[0], "campaign.json: "));
		assert_string_equal(fl_results_string(&r, "title", "none"),
				    "none");
		fl_results_free(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_campaign_json),
	};

	return cmocka_run_group_tests_name("results", tests, make_dir,
					   remove_dir);
}

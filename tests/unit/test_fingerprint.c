/* SPDX-License-Identifier: MIT */
/*
 * The fingerprint, of a made-up machine in a folder of ours and of this one.
 * What comes from system calls is not made up, so only its presence is tested.
 */
#include <errno.h>
#include <ftw.h>
#include <limits.h>
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

#include "harness/digest.h"
#include "harness/fingerprint.h"

#define CPU	"/sys/devices/system/cpu"
#define THP	"/sys/kernel/mm/transparent_hugepage"

static char root[64];

/* Writes a file under the made-up root, and the folders it needs. */
static void put(const char *path, const char *text)
{
	char full[PATH_MAX];
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = full + strlen(root) + 1;
	     (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(full, 0777);
		*slash = '/';
	}
	file = fopen(full, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void remove_file(const char *path)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", root, path);
	assert_int_equal(unlink(full), 0);
}

static int remove_entry(const char *path, const struct stat *stat, int type,
			struct FTW *where)
{
	(void)stat;
	(void)type;
	(void)where;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(root, "test_fingerprint.XXXXXX");
	if (!mkdtemp(root))
		return -1;
	put("/proc/cpuinfo",
	    "processor\t: 0\n"
	    "vendor_id\t: GenuineTest\n"
	    "cpu family\t: 6\n"
	    "model\t\t: 85\n"
	    "model name\t: Test CPU @ 2.00GHz\n"
	    "stepping\t: 7\n"
	    "cpu MHz\t\t: 1999.123\n"
	    "flags\t\t: fpu vme sse2\n"
	    "\n"
	    "processor\t: 1\n"
	    "model name\t: another\n");
	put("/proc/meminfo", "MemTotal:  1000 kB\nMemFree:  5 kB\n");
	put("/proc/loadavg", "0.25 0.30 0.40 1/200 4711\n");
	put("/proc/self/cgroup", "0::/system.slice\n");
	put("/proc/sys/vm/overcommit_memory", "1\n");
	put("/proc/sys/vm/max_map_count", "65530\n");
	put("/proc/sys/kernel/perf_event_paranoid", "-1\n");
	put("/proc/sys/kernel/randomize_va_space", "rubbish\n");
	put(CPU "/cpu0/cache/index0/level", "1\n");
	put(CPU "/cpu0/cache/index0/type", "Data\n");
	put(CPU "/cpu0/cache/index0/size", "48K\n");
	put(CPU "/cpu0/cpufreq/scaling_governor", "performance\n");
	put(CPU "/vulnerabilities/meltdown", "Not affected\n");
	put("/sys/devices/system/node/node0/cpulist", "0\n");
	put("/sys/devices/system/node/node1/cpulist", "1\n");
	put("/sys/devices/system/node/online", "0-1\n");
	put("/sys/devices/system/clocksource/clocksource0/current_clocksource",
	    "hpet\n");
	put(THP "/enabled", "always [madvise] never\n");
	put(THP "/defrag", "always defer defer+madvise madvise [never]\n");
	put(THP "/hugepages-64kB/enabled", "always inherit madvise [never]\n");
	put("/a-binary", "abc");
	return 0;
}

static json_t *take(void)
{
	json_t *fingerprint;

	assert_int_equal(fl_fingerprint_take(root, NULL, 0, &fingerprint, NULL),
			 0);
	return fingerprint;
}

/* The value at a '/'-separated path of keys. */
static const json_t *at(const json_t *json, const char *path)
{
	char copy[256], *rest;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *key = strtok_r(copy, "/", &rest); key;
	     key = strtok_r(NULL, "/", &rest)) {
		json = json_object_get(json, key);
		assert_non_null(json);
	}
	return json;
}

static void assert_text(const json_t *json, const char *path, const char *text)
{
	assert_true(json_is_string(at(json, path)));
	assert_string_equal(json_string_value(at(json, path)), text);
}

static void assert_number(const json_t *json, const char *path, int number)
{
	assert_true(json_is_integer(at(json, path)));
	assert_int_equal(json_integer_value(at(json, path)), number);
}

static void test_made_up_machine(void **state)
{
	char hex[FL_DIGEST_HEX_BYTES];
	json_t *fp = take();

	(void)state;
	assert_text(fp, "host/cpu/vendor", "GenuineTest");
	assert_text(fp, "host/cpu/family", "6");
	assert_text(fp, "host/cpu/model", "85");
	assert_text(fp, "host/cpu/name", "Test CPU @ 2.00GHz");
	fl_digest_bytes("fpu sse2 vme ", 13, hex);
	assert_text(fp, "host/cpu/flags_sha256", hex);
	assert_int_equal(json_array_size(at(fp, "host/cpu/caches")), 1);
	assert_text(fp, "host/cpu/governor", "performance");
	assert_text(fp, "host/cpu/vulnerabilities/meltdown", "Not affected");
	assert_number(fp, "host/nr_numa_nodes", 2);
	assert_text(fp, "host/clocksource", "hpet");
	assert_text(fp, "host/thp/enabled", "madvise");
	assert_text(fp, "host/thp/defrag", "never");
	assert_text(fp, "host/thp/sizes/64kB", "never");
	assert_number(fp, "host/sysctl/vm.overcommit_memory", 1);
	assert_number(fp, "host/sysctl/kernel.perf_event_paranoid", -1);
	assert_number(fp, "about/memory_bytes", 1024000);
	assert_true(json_real_value(at(fp, "about/load_1min")) == 0.25);
	assert_true(json_is_string(at(fp, "host/kernel/release")));
	assert_true(json_is_boolean(at(fp, "host/root")));
	assert_number(fp, "host/page_bytes", (int)sysconf(_SC_PAGESIZE));

	/* What is missing, or is not what it should be, is null. */
	assert_true(json_is_null(at(fp, "host/cpu/microcode")));
	assert_true(json_is_null(at(fp, "host/cpu/boost")));
	assert_true(json_is_null(at(fp, "host/container")));
	assert_true(json_is_null(at(fp,
				 "host/sysctl/vm.unprivileged_userfaultfd")));
	assert_true(json_is_null(at(fp,
				 "host/sysctl/kernel.randomize_va_space")));
	json_decref(fp);
}

static void test_empty_machine(void **state)
{
	json_t *fp;

	(void)state;
	assert_int_equal(fl_fingerprint_take("test_fingerprint.missing", NULL,
					     0, &fp, NULL), 0);
	assert_true(json_is_null(at(fp, "host/cpu/vendor")));
	assert_true(json_is_null(at(fp, "host/cpu/vulnerabilities")));
	assert_true(json_is_null(at(fp, "host/nr_numa_nodes")));
	assert_true(json_is_null(at(fp, "about/memory_bytes")));
	assert_int_equal(json_array_size(at(fp, "host/cpu/caches")), 0);
	json_decref(fp);
}

static void test_container(void **state)
{
	json_t *fp;

	(void)state;
	put("/proc/self/cgroup", "0::/kubepods/burstable/pod1\n");
	fp = take();
	assert_text(fp, "host/container", "kubepods");
	json_decref(fp);
	put("/.dockerenv", "");
	fp = take();
	assert_text(fp, "host/container", "docker");
	json_decref(fp);
	put("/run/systemd/container", "lxc\n");
	fp = take();
	assert_text(fp, "host/container", "lxc");
	json_decref(fp);
	remove_file("/run/systemd/container");
	remove_file("/.dockerenv");
	put("/proc/self/cgroup", "0::/system.slice\n");
}

static void take_id(unsigned int parts, char id[FL_FINGERPRINT_ID_BYTES])
{
	json_t *fp = take();

	assert_int_equal(fl_fingerprint_id(fp, parts, id), 0);
	assert_int_equal(strlen(id), FL_FINGERPRINT_ID_BYTES - 1);
	json_decref(fp);
}

/* Load and memory come and go; a setting that somebody changed counts. */
static void test_id(void **state)
{
	char before[FL_FINGERPRINT_ID_BYTES], after[FL_FINGERPRINT_ID_BYTES];

	(void)state;
	take_id(FL_FINGERPRINT_ALL, before);
	put("/proc/loadavg", "7.00 5.00 3.00 9/200 4712\n");
	put("/proc/meminfo", "MemTotal:  996 kB\n");
	take_id(FL_FINGERPRINT_ALL, after);
	assert_string_equal(before, after);

	put(THP "/enabled", "[always] madvise never\n");
	take_id(FL_FINGERPRINT_ALL, after);
	assert_string_not_equal(before, after);
	put(THP "/enabled", "always [madvise] never\n");
	take_id(FL_FINGERPRINT_ALL, after);
	assert_string_equal(before, after);

	take_id(FL_FINGERPRINT_HOST, after);
	assert_string_not_equal(before, after);
	take_id(FL_FINGERPRINT_BUILD, before);
	assert_string_not_equal(before, after);
	put(CPU "/cpu0/cpufreq/scaling_governor", "powersave\n");
	take_id(FL_FINGERPRINT_BUILD, after);
	assert_string_equal(before, after);
	put(CPU "/cpu0/cpufreq/scaling_governor", "performance\n");
}

/* The id in a stored fingerprint can be checked after loading it. */
static void test_id_of_stored(void **state)
{
	char id[FL_FINGERPRINT_ID_BYTES] = "untouched";
	json_t *fp = take(), *loaded, *host;
	char *text = json_dumps(fp, 0);

	(void)state;
	assert_non_null(text);
	loaded = json_loads(text, 0, NULL);
	assert_non_null(loaded);
	assert_int_equal(fl_fingerprint_id(loaded, FL_FINGERPRINT_ALL, id), 0);
	assert_text(fp, "id", id);

	/* In whatever order its keys come back. */
	host = json_object_get(loaded, "host");
	json_object_set(loaded, "kernel", json_object_get(host, "kernel"));
	json_object_del(host, "kernel");
	json_object_set(host, "kernel", json_object_get(loaded, "kernel"));
	assert_int_equal(fl_fingerprint_id(loaded, FL_FINGERPRINT_ALL, id), 0);
	assert_text(fp, "id", id);

	strcpy(id, "untouched");
	json_object_del(loaded, "build");
	assert_int_equal(fl_fingerprint_id(loaded, FL_FINGERPRINT_ALL, id),
			 -EINVAL);
	assert_int_equal(fl_fingerprint_id(NULL, FL_FINGERPRINT_HOST, id),
			 -EINVAL);
	assert_string_equal(id, "untouched");
	assert_int_equal(fl_fingerprint_id(loaded, FL_FINGERPRINT_HOST, id), 0);
	json_decref(loaded);
	json_decref(fp);
	free(text);
}

static void test_binaries(void **state)
{
	char path[PATH_MAX], hex[FL_DIGEST_HEX_BYTES];
	struct fl_binary binary = { .name = "bump_down", .path = path };
	struct fl_complaint why = { "" };
	json_t *fp = NULL;

	(void)state;
	snprintf(path, sizeof(path), "%s/a-binary", root);
	assert_int_equal(fl_fingerprint_take(root, &binary, 1, &fp, &why), 0);
	fl_digest_bytes("abc", 3, hex);
	assert_text(fp, "build/binaries/bump_down", hex);
	json_decref(fp);

	fp = NULL;
	snprintf(path, sizeof(path), "%s/missing", root);
	assert_int_equal(fl_fingerprint_take(root, &binary, 1, &fp, &why),
			 -ENOENT);
	assert_non_null(strstr(why.text, "missing"));
	binary.name = "strategies/bump_down";
	assert_int_equal(fl_fingerprint_take(root, &binary, 1, &fp, NULL),
			 -EINVAL);
	assert_null(fp);
}

static void test_scrub(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "" },
		{ "-O2 -g", "-O2 -g" },
		{ "-I/usr/include/x -O2", "-I<path> -O2" },
		{ "-ffile-prefix-map=/home/me/src=.", "-ffile-prefix-map=<path>=." },
		{ "'--prefix=/opt/x' CC=gcc", "'--prefix=<path>' CC=gcc" },
		{ "/usr/bin/gcc-12", "<path>" },
		{ "/", "<path>" },
		{ "a/b:c/d,e;/f", "a<path>:c<path>,e;<path>" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *out = fl_fingerprint_scrub(cases[i].in);

		assert_non_null(out);
		assert_string_equal(out, cases[i].out);
		free(out);
	}
}

/* No string in it starts a word with a '/'. */
static void assert_no_paths(const json_t *json)
{
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_string(json)) {
		const char *text = json_string_value(json);

		for (const char *p = text; (p = strchr(p, '/')); p++)
			assert_true(p > text &&
				    !strchr(" \"'=:,;", p[-1]));
	} else if (json_is_array(json)) {
		json_array_foreach(json, i, value)
			assert_no_paths(value);
	} else if (json_is_object(json)) {
		/* The macro's iterator wants a plain pointer. */
		json_object_foreach((json_t *)(uintptr_t)json, key, value)
			assert_no_paths(value);
	}
}

static void test_this_machine(void **state)
{
	json_t *fp, *again;

	(void)state;
	assert_int_equal(fl_fingerprint_take(NULL, NULL, 0, &fp, NULL), 0);
	assert_int_equal(fl_fingerprint_take(NULL, NULL, 0, &again, NULL), 0);
	assert_text(again, "id", json_string_value(at(fp, "id")));
	assert_no_paths(fp);
	assert_true(json_integer_value(at(fp, "host/cpu/nr_online")) > 0);
	assert_true(json_is_integer(at(fp, "host/sysctl/vm.overcommit_memory")));
	assert_true(json_is_string(at(fp, "build/compiler")));
	json_decref(again);
	json_decref(fp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made_up_machine),
		cmocka_unit_test(test_empty_machine),
		cmocka_unit_test(test_container),
		cmocka_unit_test(test_id),
		cmocka_unit_test(test_id_of_stored),
		cmocka_unit_test(test_binaries),
		cmocka_unit_test(test_scrub),
		cmocka_unit_test(test_this_machine),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("fingerprint", tests, set_up,
					   tear_down);
}

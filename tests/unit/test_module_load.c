/* SPDX-License-Identifier: MIT */
/*
 * Modules as files, good and bad, and settings as people write them.  The
 * modules are compiled here, from tests/modules.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/module_load.h"

static char scratch[] = "test_module_load.XXXXXX";
static char good[PATH_MAX];		/* a module without fault */
static struct fl_module module;		/* it, loaded, for the settings */

/* PATH of a file in the scratch folder, valid until the call after the next. */
static const char *in_scratch(const char *file)
{
	static char paths[2][PATH_MAX];
	static unsigned turn;
	char *path = paths[turn++ % 2];

	snprintf(path, PATH_MAX, "%s/%s", scratch, file);
	return path;
}

/*
 * Compile tests/modules/SOURCE.c to FILE, calling itself NAME.  CC may be a list
 * of words, so the shell takes it apart.
 */
static void build(const char *source, const char *file, const char *name,
		  const char *flags)
{
	const char *cc = getenv("CC"), *src = getenv("srcdir");
	char command[3 * PATH_MAX];

	snprintf(command, sizeof(command),
		 "%s -shared -fPIC -std=gnu11 -I'%s/include' -DNAME='\"%s\"' %s -o '%s/%s' '%s/tests/modules/%s.c'",
		 cc && *cc ? cc : "cc", src ? src : ".", name, flags, scratch,
		 file, src ? src : ".", source);
	if (system(command))
		fail_msg("cannot compile: %s", command);
}

static void write_file(const char *file, const void *bytes, size_t nr)
{
	FILE *f = fopen(in_scratch(file), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, nr, f), nr);
	assert_int_equal(fclose(f), 0);
}

static int load(const char *path, struct fl_module *m, struct fl_complaint *why)
{
	return fl_module_load(FL_MODULE_STRATEGY, path, m, why);
}

static int named(const char *name, struct fl_module *m, struct fl_complaint *why)
{
	return fl_module_named(FL_MODULE_STRATEGY, name, m, why);
}

/* Loading @file must return @err, say @says and its path, and leave nothing. */
static void refused(const char *file, int err, const char *says)
{
	struct fl_complaint why = { "" };
	struct fl_module m = { 0 };
	const char *path = in_scratch(file);
	char *real = realpath(path, NULL);

	assert_int_equal(load(path, &m, &why), err);
	if (strncmp(why.text, path, strlen(path)) || !strstr(why.text, says))
		fail_msg("\"%s\" does not begin with the path and say \"%s\"",
			 why.text, says);
	assert_null(strchr(why.text, '\n'));
	assert_null(m.handle);
	assert_null(m.path);
	if (real)
		assert_null(dlopen(real, RTLD_NOLOAD | RTLD_NOW));
	free(real);
}

static void refused_table(const char *flags, int err, const char *says)
{
	build("table", "bad.so", "bad", flags);
	refused("bad.so", err, says);
}

static void test_good(void **state)
{
	struct fl_module m = { 0 };
	struct fl_complaint why = { "" };
	char real[PATH_MAX];

	(void)state;
	assert_int_equal(load(good, &m, &why), 0);
	assert_string_equal(why.text, "");
	assert_string_equal(m.strategy->name, "good");
	assert_non_null(realpath(good, real));
	assert_string_equal(m.path, real);
	fl_module_unload(&m);
	assert_null(m.strategy);
	fl_module_unload(&m);
	assert_int_equal(load(good, &m, NULL), 0);
	fl_module_unload(&m);
}

static void test_not_there(void **state)
{
	(void)state;
	refused("nowhere.so", -ENOENT, "No such file");
	assert_int_equal(symlink("nowhere.so", in_scratch("dangling.so")), 0);
	refused("dangling.so", -ENOENT, "No such file");
}

static void test_no_module(void **state)
{
	static const char text[] = "This is no module.\n";

	(void)state;
	write_file("text.so", text, sizeof(text));
	refused("text.so", -ENOEXEC, "not a loadable module");
	write_file("empty.so", text, 0);
	refused("empty.so", -ENOEXEC, "not a loadable module");
	assert_int_equal(mkdir(in_scratch("folder.so"), 0700), 0);
	refused("folder.so", -ENOEXEC, "not a loadable module");
	build("no_symbol", "no_symbol.so", "", "");
	refused("no_symbol.so", -ENOEXEC, "exports no symbol faultline_strategy");
	build("undefined", "undefined.so", "", "");
	refused("undefined.so", -ENOEXEC, "faultline_test_no_such_function");
}

/* In a child: 0 when the file is refused as it should be. */
static void __attribute__((noreturn)) load_and_exit(const char *file)
{
	const struct rlimit no_core = { 0, 0 };
	struct fl_complaint why = { "" };
	struct fl_module m;
	int err;

	/* cmocka's handlers would take the child for the test. */
	setrlimit(RLIMIT_CORE, &no_core);
	signal(SIGBUS, SIG_DFL);
	signal(SIGSEGV, SIG_DFL);
	err = load(in_scratch(file), &m, &why);
	_exit(err == -ENOEXEC && strstr(why.text, file) ? 0 : 1);
}

/*
 * The dynamic linker maps what the headers promise without asking how long the
 * file is, and dies of SIGBUS behind its end: so each cut is tried in a child.
 */
static void test_truncated(void **state)
{
	static char whole[1 << 20];
	FILE *f = fopen(good, "r");
	size_t bytes;

	(void)state;
	assert_non_null(f);
	bytes = fread(whole, 1, sizeof(whole), f);
	fclose(f);
	assert_in_range(bytes, 4096, sizeof(whole) - 1);
	for (unsigned sixteenth = 0; sixteenth < 16; sixteenth++) {
		const size_t cut = sixteenth ? bytes * sixteenth / 16 : 20;
		int status = 0;
		pid_t pid;

		write_file("cut.so", whole, cut);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			load_and_exit("cut.so");
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFSIGNALED(status))
			fail_msg("cut to %zu of %zu bytes: died of signal %d",
				 cut, bytes, WTERMSIG(status));
		/* The end of a file is its section headers, which nobody needs. */
		if (sixteenth < 8)
			assert_int_equal(WEXITSTATUS(status), 0);
	}
}

static void test_versions(void **state)
{
	char next[64];

	(void)state;
	refused_table("-DMAGIC=0x12345678", -ENOEXEC, "magic 0x12345678");
	snprintf(next, sizeof(next), "ABI version %u, ", FL_ABI_VERSION + 1);
	refused_table("-DABI=FL_ABI_VERSION+1", -EPROTO, next);
	refused_table("-DABI=0", -EPROTO, "ABI version 0");
	refused_table("-DTABLE_BYTES=8", -EPROTO, "its tables are 8 and");
	refused_table("-DKERNEL_BYTES=9", -EPROTO, "and 9 bytes");
}

static void test_hooks(void **state)
{
	static const struct {
		const char *flags, *says;
	} missing[] = {
		{ "-DWITHOUT_NAME", "lacks name" },
		{ "-DWITHOUT_SUMMARY", "summary" },
		{ "-DWITHOUT_TRIGGER", "trigger" },
		{ "-DWITHOUT_COMPILER", "trigger or compiler" },
		{ "-DWITHOUT_OPEN", "lacks open" },
		{ "-DWITHOUT_CLOSE", "close" },
		{ "-DWITHOUT_REGION_CREATE", "lacks region_create" },
		{ "-DWITHOUT_REGION_RESET", "region_reset" },
		{ "-DWITHOUT_REGION_DESTROY", "region_destroy" },
		{ "-DWITHOUT_OBJECT_NEW", "lacks object_new" },
		{ "-DWITHOUT_RANGES", "lacks ranges" },
		{ "-DWITHOUT_GEOMETRY", "geometry" },
		{ "-DWITHOUT_KERNELS", "lacks kernels" },
		{ "-DWITHOUT_TUNABLES", "lacks tunables" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
		refused_table(missing[i].flags, -ENOEXEC, missing[i].says);
	refused_table("-DNR_TUNABLES=33", -ENOEXEC, "33 tunables");
}

static void test_name(void **state)
{
	(void)state;
	build("table", "other.so", "another", "");
	refused("other.so", -ENOEXEC, "calls itself \"another\"");
}

static void refused_bench(const char *flags, int err, const char *says)
{
	struct fl_complaint why = { "" };
	struct fl_module m = { 0 };
	const char *file = in_scratch("bench.so");

	build("bench_table", "bench.so", "bench", flags);
	assert_int_equal(fl_module_load(FL_MODULE_BENCH, file, &m, &why), err);
	if (strncmp(why.text, file, strlen(file)) || !strstr(why.text, says))
		fail_msg("\"%s\" does not begin with the path and say \"%s\"",
			 why.text, says);
	assert_null(m.handle);
	assert_null(m.bench);
}

static void test_bench(void **state)
{
	static const struct {
		const char *flags, *says;
	} missing[] = {
		{ "-DWITHOUT_NAME", "lacks name" },
		{ "-DWITHOUT_SUMMARY", "summary" },
		{ "-DWITHOUT_OP", ", op or" },
		{ "-DWITHOUT_COMPILER", "op or compiler" },
		{ "-DWITHOUT_OPS", "lacks ops_default" },
		{ "-DWITHOUT_RUN", "lacks run" },
		{ "-DWITHOUT_TUNABLES", "lacks tunables" },
		{ "-DWITHOUT_METRICS", "lacks metrics" },
		{ "-DNR_TUNABLES=33", "33 tunables" },
		{ "-DNR_METRICS=17", "17 metrics, at most 16" },
		{ "-DMETRIC='\"\"'", "metric 0 lacks" },
		{ "-DMETRIC='\"repairs\"'", "\"repairs\" is declared twice" },
		{ "-DMETRIC='\"op_ns\"'", "name that every sample has" },
		{ "-DMETRIC='\"minor_faults\"'", "name that every sample has" },
		{ "-DTUNABLE='\"step\"'", "tunable 1 is declared twice" },
		{ "-DTUNABLE='\"a=b\"'", "cannot be written" },
		{ "-DDEFAULT=513", "default outside its range" },
		{ "-DDEFAULT=0", "default outside its range" },
	};
	struct fl_complaint why = { "" };
	struct fl_module m = { 0 };

	(void)state;
	build("bench_table", "bench.so", "bench", "");
	assert_int_equal(fl_module_load(FL_MODULE_BENCH, in_scratch("bench.so"),
					&m, &why), 0);
	assert_string_equal(m.bench->name, "bench");
	assert_null(m.strategy);
	assert_string_equal(m.tunables.owner, "bench");
	assert_int_equal(m.tunables.nr, 2);
	fl_module_unload(&m);
	/* What it is not is said as what it is. */
	refused("bench.so", -ENOEXEC, "is a bench, not a strategy");
	assert_int_equal(fl_module_load(FL_MODULE_BENCH, good, &m, &why),
			 -ENOEXEC);
	assert_non_null(strstr(why.text, "is a strategy, not a bench"));

	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
		refused_bench(missing[i].flags, -ENOEXEC, missing[i].says);
	refused_bench("-DMAGIC=FL_MAGIC", -ENOEXEC, "this is no Faultline bench");
	refused_bench("-DABI=FL_BENCH_ABI_VERSION+1", -EPROTO, "ABI version");
	refused_bench("-DTABLE_BYTES=8", -EPROTO, "its table is 8 bytes");
	build("bench_table", "other.so", "another", "");
	assert_int_equal(fl_module_load(FL_MODULE_BENCH, in_scratch("other.so"),
					&m, &why), -ENOEXEC);
	assert_non_null(strstr(why.text, "calls itself \"another\""));
}

static void test_stem(void **state)
{
	static const char *const stems[][2] = {
		{ "a/b/bump.so", "bump" }, { "bump.so", "bump" },
		{ "bump", "bump" }, { "./x.y.so", "x.y" }, { ".so", ".so" },
		{ "a/bump.so.1", "bump.so.1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(stems) / sizeof(stems[0]); i++) {
		char *stem = fl_module_stem(stems[i][0]);

		assert_string_equal(stem, stems[i][1]);
		free(stem);
	}
}

/* FAULTLINE_MODULES is two folders, one of them with a bad module. */
static void test_list(void **state)
{
	struct fl_complaint why = { "" };
	struct fl_module m = { 0 };
	char set[2 * PATH_MAX];
	char *others;
	char **paths;

	(void)state;
	assert_int_equal(mkdir(in_scratch("first"), 0700), 0);
	assert_int_equal(mkdir(in_scratch("second"), 0700), 0);
	build("table", "first/zebra.so", "zebra", "");
	build("table", "first/apple.so", "apple", "");
	build("table", "second/melon.so", "melon", "-DABI=1000");
	write_file("first/notes.txt", "x", 1);
	write_file("first/.hidden.so", "x", 1);
	write_file("first/.so", "x", 1);
	snprintf(set, sizeof(set), "%s/first:%s/second", scratch, scratch);
	setenv("FAULTLINE_MODULES", set, 1);

	assert_int_equal(fl_modules_list(FL_MODULE_STRATEGY, &paths, &why), 3);
	assert_string_equal(paths[0], in_scratch("first/apple.so"));
	assert_string_equal(paths[1], in_scratch("first/zebra.so"));
	assert_string_equal(paths[2], in_scratch("second/melon.so"));
	assert_null(paths[3]);
	fl_modules_list_free(paths);

	assert_int_equal(named("zebra", &m, &why), 0);
	assert_string_equal(m.strategy->name, "zebra");
	fl_module_unload(&m);
	assert_int_equal(named(good, &m, &why), 0);
	fl_module_unload(&m);
	assert_int_equal(named("zebar", &m, &why), -ENOENT);
	assert_non_null(strstr(why.text, "did you mean \"zebra\"?"));
	assert_int_equal(named("quite-another", &m, &why), -ENOENT);
	assert_null(strstr(why.text, "did you mean"));
	assert_int_equal(named("melon", &m, &why), -EPROTO);
	assert_int_equal(named("", &m, &why), -ENOENT);

	/* The same name by another compiler, in a folder beside it. */
	assert_int_equal(mkdir(in_scratch("first/other"), 0700), 0);
	build("table", "first/other/zebra.so", "zebra", "");
	assert_int_equal(named("zebra@other", &m, &why), 0);
	assert_non_null(strstr(m.path, "/first/other/zebra.so"));
	fl_module_unload(&m);
	others = fl_module_others(in_scratch("first/zebra.so"));
	assert_string_equal(others, "other");
	free(others);
	others = fl_module_others(in_scratch("first/apple.so"));
	assert_string_equal(others, "");
	free(others);
	assert_int_equal(named("apple@other", &m, &why), -ENOENT);
	assert_non_null(strstr(why.text, "apple was not built as other here"));
	assert_int_equal(named("zebar@other", &m, &why), -ENOENT);
	assert_non_null(strstr(why.text, "did you mean \"zebra\"?"));

	/* Benches have folders of their own. */
	setenv("FAULTLINE_BENCHES", in_scratch("first"), 1);
	build("bench_table", "first/table.so", "table", "");
	assert_int_equal(fl_modules_list(FL_MODULE_BENCH, &paths, &why), 3);
	fl_modules_list_free(paths);
	assert_int_equal(fl_module_named(FL_MODULE_BENCH, "table", &m, &why), 0);
	fl_module_unload(&m);
	assert_int_equal(fl_module_named(FL_MODULE_BENCH, "tabel", &m, &why),
			 -ENOENT);
	assert_non_null(strstr(why.text, "unknown bench \"tabel\": did you mean \"table\"?"));
	assert_int_equal(fl_module_named(FL_MODULE_BENCH, "melon", &m, &why),
			 -ENOENT);
	assert_non_null(strstr(why.text, "melon is a strategy, not a bench"));

	setenv("FAULTLINE_MODULES", in_scratch("nowhere"), 1);
	assert_int_equal(fl_modules_list(FL_MODULE_STRATEGY, &paths, &why), -ENOENT);
	assert_non_null(strstr(why.text, "nowhere"));
	assert_non_null(strstr(why.text, "FAULTLINE_MODULES"));
	assert_int_equal(mkdir(in_scratch("bare"), 0700), 0);
	setenv("FAULTLINE_MODULES", in_scratch("bare"), 1);
	assert_int_equal(fl_modules_list(FL_MODULE_STRATEGY, &paths, &why), 0);
	assert_null(paths[0]);
	fl_modules_list_free(paths);
}

static void test_parse_bytes(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint64_t bytes;
	} cases[] = {
		{ "0", 0, 0 },
		{ "1536", 0, 1536 },
		{ "64K", 0, 65536 },
		{ "64k", 0, 65536 },
		{ "3M", 0, 3145728 },
		{ "2G", 0, (uint64_t)2 << 30 },
		{ "16777215T", 0, (uint64_t)16777215 << 40 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "16777216T", -ERANGE, 0 },
		{ "18014398509481984K", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "K", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "1KB", -EINVAL, 0 },
		{ "1P", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "1.5K", -EINVAL, 0 },
		{ "12\xc2\xb5", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t bytes = 99;
		int err = fl_parse_bytes(cases[i].text, &bytes);

		if (err != cases[i].err ||
		    bytes != (err ? 99 : cases[i].bytes))
			fail_msg("\"%s\": %d, %llu", cases[i].text, err,
				 (unsigned long long)bytes);
	}
}

static void test_format_bytes(void **state)
{
	static const uint64_t values[] = {
		0, 1, 1023, 1024, 1536, 65536, 65537, 1 << 20, (uint64_t)1 << 40,
		(uint64_t)1 << 50, UINT64_MAX,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char text[24];
		uint64_t back;

		fl_format_bytes(values[i], text, sizeof(text));
		assert_int_equal(fl_parse_bytes(text, &back), 0);
		assert_true(back == values[i]);
	}
}

/* Settings of the good module: block 4K to 1G, step 1 to 512, return. */
static void set(const char *settings, uint64_t block, uint64_t step,
		uint64_t answer)
{
	uint64_t values[FL_TUNABLES_MAX] = { 0 };
	struct fl_complaint why = { "" };

	fl_tunables_defaults(&module.tunables, values);
	if (fl_tunables_set(&module.tunables, settings, values, &why))
		fail_msg("%s: %s", settings, why.text);
	assert_true(values[0] == block);
	assert_true(values[1] == step);
	assert_true(values[2] == answer);
}

static void test_settings(void **state)
{
	(void)state;
	set(NULL, 65536, 16, 1);
	set("", 65536, 16, 1);
	set("block=4K", 4096, 16, 1);
	set("block=1G", 1 << 30, 16, 1);
	set("block=12288", 12288, 16, 1);
	set("step=512,block=1M", 1 << 20, 512, 1);
	set("step=2 return=signal", 65536, 2, 0);
	set(" ,step=2,, ", 65536, 2, 1);
	set("return=user", 65536, 16, 1);
}

static void refused_setting(const char *settings, const char *says)
{
	uint64_t values[FL_TUNABLES_MAX] = { 0 };
	struct fl_complaint why = { "" };

	fl_tunables_defaults(&module.tunables, values);
	assert_int_equal(fl_tunables_set(&module.tunables, settings, values,
					 &why), -EINVAL);
	if (strncmp(why.text, "good: ", 6) || !strstr(why.text, says))
		fail_msg("%s: \"%s\" does not name the strategy and say \"%s\"",
			 settings, why.text, says);
}

static void test_bad_settings(void **state)
{
	(void)state;
	refused_setting("blok=4K", "unknown tunable \"blok\": did you mean \"block\"?");
	refused_setting("retrun=user", "did you mean \"return\"?");
	refused_setting("colour=red", "unknown tunable \"colour\"; `faultline list good`");
	refused_setting("Block=4K", "unknown tunable \"Block\"");
	refused_setting("block=2K", "out of range, it must be from 4K to 1G");
	refused_setting("block=2G", "out of range");
	refused_setting("block=99999999999999999999", "out of range");
	refused_setting("block=5000", "multiple of the page size, 4096");
	refused_setting("step=0", "from 1 to 512 pages");
	refused_setting("step=513", "out of range");
	refused_setting("step=-1", "not a number");
	refused_setting("step=", "not a number");
	refused_setting("step=many", "not a number");
	refused_setting("step=2=3", "not a number");
	refused_setting("block=4KiB", "not a number; it is in bytes");
	refused_setting("return=", "must be one of signal, user");
	refused_setting("return=User", "must be one of signal, user");
	refused_setting("return=0", "must be one of signal, user");
	refused_setting("block", "\"block\" is no setting: write name=value");
	refused_setting("=4K", "unknown tunable \"\"");
	refused_setting("step=2,blok=4K", "unknown tunable \"blok\"");
	refused_setting("step=2,step=3", "is set twice");
}

static void test_no_tunables(void **state)
{
	uint64_t values[FL_TUNABLES_MAX];
	struct fl_complaint why = { "" };
	struct fl_module m;

	(void)state;
	build("table", "plain.so", "plain", "-DNR_TUNABLES=0");
	assert_int_equal(load(in_scratch("plain.so"), &m, &why), 0);
	assert_int_equal(fl_tunables_set(&m.tunables, "block=4K", values, &why),
			 -EINVAL);
	assert_non_null(strstr(why.text, "it has none"));
	fl_module_unload(&m);
}

static void test_tunable_format(void **state)
{
	static const struct {
		const char *name;
		uint64_t value;
		const char *text;
	} cases[] = {
		{ "block", 65536, "64K" }, { "block", 1 << 30, "1G" },
		{ "step", 64, "64" }, { "step", 1024, "1024" },
		{ "return", 0, "signal" }, { "return", 1, "user" },
	};
	const struct fl_tunables *of = &module.tunables;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const int at = fl_tunable_index(of, cases[i].name);
		char text[32];

		assert_in_range(at, 0, 2);
		fl_tunable_format(&of->table[at], cases[i].value, text,
				  sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
	assert_int_equal(fl_tunable_index(of, "blok"), -1);
}

static void test_kernel_find(void **state)
{
	const struct fl_strategy *s = module.strategy;
	const struct fl_kernel *k;

	(void)state;
	k = fl_kernel_find(s, "fill", 32, FL_REGISTER, FL_TIMED);
	assert_ptr_equal(k, &s->kernels[1]);
	k = fl_kernel_find(s, "fill", 0, FL_REGISTER, FL_TIMED);
	assert_ptr_equal(k, &s->kernels[0]);
	k = fl_kernel_find(s, "mix", 0, FL_MEMORY, FL_VERIFY);
	assert_ptr_equal(k, &s->kernels[2]);
	assert_null(fl_kernel_find(s, "fill", 48, FL_REGISTER, FL_TIMED));
	assert_null(fl_kernel_find(s, "fill", 16, FL_MEMORY, FL_TIMED));
	assert_null(fl_kernel_find(s, "fill", 16, FL_REGISTER, FL_VERIFY));
	assert_null(fl_kernel_find(s, "full", 16, FL_REGISTER, FL_TIMED));
}

static int set_up(void **state)
{
	struct fl_complaint why = { "" };

	(void)state;
	if (!mkdtemp(scratch))
		return -1;
	build("table", "good.so", "good", "");
	snprintf(good, sizeof(good), "%s/good.so", scratch);
	if (load(good, &module, &why)) {
		fprintf(stderr, "%s\n", why.text);
		return -1;
	}
	return 0;
}

static void remove_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char inner[2 * PATH_MAX];

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(inner, sizeof(inner), "%s/%s", path, e->d_name);
		if (unlink(inner))
			remove_folder(inner);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

static int tear_down(void **state)
{
	(void)state;
	fl_module_unload(&module);
	remove_folder(scratch);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_not_there),
		cmocka_unit_test(test_no_module),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_hooks),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_bench),
		cmocka_unit_test(test_stem),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_parse_bytes),
		cmocka_unit_test(test_format_bytes),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_bad_settings),
		cmocka_unit_test(test_no_tunables),
		cmocka_unit_test(test_tunable_format),
		cmocka_unit_test(test_kernel_find),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("module_load", tests, set_up,
					   tear_down);
}

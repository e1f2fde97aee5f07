/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif
#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "harness/digest.h"
#include "harness/fingerprint.h"

#ifndef FL_BUILD_CC
#define FL_BUILD_CC		"unknown"
#endif
#ifndef FL_BUILD_CFLAGS
#define FL_BUILD_CFLAGS		"unknown"
#endif
#ifndef FL_BUILD_CONFIGURE
#define FL_BUILD_CONFIGURE	"unknown"
#endif
#ifndef FL_BUILD_COMMIT
#define FL_BUILD_COMMIT		"unknown"
#endif
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION		"unknown"
#endif

#ifdef __clang__
#define COMPILER	__VERSION__
#else
#define COMPILER	"gcc " __VERSION__
#endif

#define CPU0		"/sys/devices/system/cpu/cpu0"
#define THP		"/sys/kernel/mm/transparent_hugepage"
#define VULNERABILITIES	"/sys/devices/system/cpu/vulnerabilities"

/* Longest file content, and longest line of a file, that is looked at. */
#define TEXT_BYTES	8192

/*
 * Sets @key and takes the reference.  A value that could not be made is either
 * a text that is no UTF-8, which JSON cannot carry and nobody needs, or want of
 * memory, which shows at the next allocation.
 */
static int set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value ? value : json_null());
}

static FILE *open_under(const char *root, const char *path)
{
	char full[PATH_MAX];

	if (snprintf(full, sizeof(full), "%s%s", root, path) >=
	    (int)sizeof(full))
		return NULL;
	return fopen(full, "re");
}

static bool exists_under(const char *root, const char *path)
{
	FILE *file = open_under(root, path);

	if (file)
		fclose(file);
	return file != NULL;
}

/* The first line of a file without the blanks around it. */
static bool read_line(const char *root, const char *path,
		      char text[TEXT_BYTES])
{
	FILE *file = open_under(root, path);
	char *got;
	size_t n;

	if (!file)
		return false;
	got = fgets(text, TEXT_BYTES, file);
	fclose(file);
	if (!got)
		return false;
	for (n = strlen(text); n && isspace((unsigned char)text[n - 1]);)
		text[--n] = '\0';
	n = strspn(text, " \t");
	memmove(text, text + n, strlen(text + n) + 1);
	return true;
}

static json_t *line_of(const char *root, const char *path)
{
	char text[TEXT_BYTES];

	return read_line(root, path, text) ? json_string(text) : json_null();
}

static json_t *number_of(const char *root, const char *path)
{
	char text[TEXT_BYTES], *end;
	long long value;

	if (!read_line(root, path, text))
		return json_null();
	errno = 0;
	value = strtoll(text, &end, 10);
	return errno || end == text || *end ? json_null() : json_integer(value);
}

/* The setting in force in a file such as "always [madvise] never". */
static json_t *choice_of(const char *root, const char *path)
{
	char text[TEXT_BYTES], *open, *close;

	if (!read_line(root, path, text))
		return json_null();
	open = strchr(text, '[');
	close = open ? strchr(open, ']') : NULL;
	if (!close)
		return json_string(text);
	*close = '\0';
	return json_string(open + 1);
}

/*
 * Calls @visit for each entry of a directory; entries starting with a dot are
 * left out.  Returns how many there were, or -1 without such a directory.
 */
static int for_each_entry(const char *root, const char *path,
			  void (*visit)(void *context, const char *name),
			  void *context)
{
	char full[PATH_MAX];
	struct dirent *entry;
	int nr = 0;
	DIR *dir;

	if (snprintf(full, sizeof(full), "%s%s", root, path) >=
	    (int)sizeof(full))
		return -1;
	dir = opendir(full);
	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.') {
			visit(context, entry->d_name);
			nr++;
		}
	closedir(dir);
	return nr;
}

static int take_kernel(json_t *host)
{
	struct utsname name;

	if (uname(&name))
		return set(host, "kernel", json_null());
	return set(host, "kernel",
		   json_pack("{s:s, s:s, s:s}", "release", name.release,
			     "version", name.version, "machine", name.machine));
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Some 200 words, of which only equality matters; sorted, as order does not. */
static json_t *hash_of_flags(char *flags)
{
	char *words[1024], *rest, hex[FL_DIGEST_HEX_BYTES], sorted[TEXT_BYTES];
	size_t nr = 0, length = 0;

	for (char *word = strtok_r(flags, " \t\n", &rest);
	     word && nr < sizeof(words) / sizeof(words[0]);
	     word = strtok_r(NULL, " \t\n", &rest))
		words[nr++] = word;
	qsort(words, nr, sizeof(words[0]), by_text);
	for (size_t i = 0; i < nr; i++)
		length += (size_t)snprintf(sorted + length,
					   sizeof(sorted) - length, "%s ",
					   words[i]);
	fl_digest_bytes(sorted, length, hex);
	return json_string(hex);
}

/* The first CPU's entry in /proc/cpuinfo; the keys are x86's and Arm's. */
static int take_cpuinfo(json_t *cpu, const char *root)
{
	static const struct {
		const char *in, *out;
	} keys[] = {
		{ "vendor_id", "vendor" },
		{ "CPU implementer", "vendor" },
		{ "cpu family", "family" },
		{ "model", "model" },
		{ "CPU part", "model" },
		{ "stepping", "stepping" },
		{ "CPU revision", "stepping" },
		{ "model name", "name" },
		{ "microcode", "microcode" },
		{ "flags", "flags_sha256" },
		{ "Features", "flags_sha256" },
	};
	const size_t nr_keys = sizeof(keys) / sizeof(keys[0]);
	FILE *file = open_under(root, "/proc/cpuinfo");
	char line[TEXT_BYTES];
	int failed = 0;

	for (size_t i = 0; i < nr_keys; i++)
		failed |= set(cpu, keys[i].out, json_null());
	if (!file)
		return failed;
	while (fgets(line, sizeof(line), file) && line[0] != '\n') {
		char *colon = strchr(line, ':'), *value, *end;

		if (!colon)
			continue;
		value = colon + 1 + strspn(colon + 1, " \t");
		value[strcspn(value, "\n")] = '\0';
		for (end = colon; end > line && isspace((unsigned char)end[-1]);)
			end--;
		*end = '\0';
		for (size_t i = 0; i < nr_keys; i++) {
			if (strcmp(line, keys[i].in))
				continue;
			failed |= set(cpu, keys[i].out,
				      strcmp(keys[i].out, "flags_sha256") ?
					      json_string(value) :
					      hash_of_flags(value));
			break;
		}
	}
	fclose(file);
	return failed;
}

static json_t *take_caches(const char *root)
{
	static const struct {
		const char *file, *key;
		json_t *(*read)(const char *root, const char *path);
	} keys[] = {
		{ "level", "level", number_of },
		{ "type", "type", line_of },
		{ "size", "size", line_of },
		{ "ways_of_associativity", "ways", number_of },
		{ "coherency_line_size", "line_bytes", number_of },
	};
	json_t *caches = json_array();
	int failed = 0;

	for (int index = 0; !failed; index++) {
		json_t *cache;
		char path[128];

		snprintf(path, sizeof(path), CPU0 "/cache/index%d/level", index);
		if (!exists_under(root, path))
			break;
		cache = json_object();
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
			snprintf(path, sizeof(path), CPU0 "/cache/index%d/%s",
				 index, keys[i].file);
			failed |= set(cache, keys[i].key,
				      keys[i].read(root, path));
		}
		failed |= json_array_append_new(caches, cache);
	}
	if (failed) {
		json_decref(caches);
		return NULL;
	}
	return caches;
}

struct entries {
	json_t *object;
	const char *root;
	int failed;
};

static void add_vulnerability(void *context, const char *name)
{
	struct entries *entries = context;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), VULNERABILITIES "/%s", name);
	entries->failed |= set(entries->object, name,
			       line_of(entries->root, path));
}

/* Huge pages of other sizes than the one THP began with: since Linux 6.8. */
static void add_huge_page(void *context, const char *name)
{
	struct entries *entries = context;
	char path[PATH_MAX];

	if (strncmp(name, "hugepages-", 10))
		return;
	snprintf(path, sizeof(path), THP "/%s/enabled", name);
	/* The smallest ones are for shared memory alone. */
	if (exists_under(entries->root, path))
		entries->failed |= set(entries->object, name + 10,
				       choice_of(entries->root, path));
}

static json_t *object_of_entries(const char *root, const char *path,
				 void (*add)(void *context, const char *name))
{
	struct entries entries = { .object = json_object(), .root = root };

	if (for_each_entry(root, path, add, &entries) < 0 || entries.failed) {
		json_decref(entries.object);
		return json_null();
	}
	return entries.object;
}

static void count_node(void *context, const char *name)
{
	int *nr = context;

	*nr += !strncmp(name, "node", 4) && isdigit((unsigned char)name[4]);
}

static json_t *nr_numa_nodes(const char *root)
{
	int nr = 0;

	if (for_each_entry(root, "/sys/devices/system/node", count_node,
			   &nr) < 0)
		return json_null();
	return json_integer(nr);
}

static int take_cpu(json_t *host, const char *root)
{
	json_t *cpu = json_object();
	int failed = take_cpuinfo(cpu, root);

	failed |= set(cpu, "nr_online",
		      json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
	failed |= set(cpu, "caches", take_caches(root));
	failed |= set(cpu, "smt",
		      line_of(root, "/sys/devices/system/cpu/smt/control"));
	failed |= set(cpu, "isolated",
		      line_of(root, "/sys/devices/system/cpu/isolated"));
	failed |= set(cpu, "nohz_full",
		      line_of(root, "/sys/devices/system/cpu/nohz_full"));
	failed |= set(cpu, "governor",
		      line_of(root, CPU0 "/cpufreq/scaling_governor"));
	failed |= set(cpu, "frequency_driver",
		      line_of(root, CPU0 "/cpufreq/scaling_driver"));
	failed |= set(cpu, "boost",
		      number_of(root, "/sys/devices/system/cpu/cpufreq/boost"));
	failed |= set(cpu, "no_turbo",
		      number_of(root,
				"/sys/devices/system/cpu/intel_pstate/no_turbo"));
	failed |= set(cpu, "vulnerabilities",
		      object_of_entries(root, VULNERABILITIES,
					add_vulnerability));
	failed |= set(host, "cpu", cpu);
	return failed;
}

/* What the hypervisor calls itself in its CPUID leaf, or null on the metal. */
static json_t *hypervisor(const char *root)
{
#ifdef __x86_64__
	unsigned int a, b, c, d;
	char vendor[13] = "";

	(void)root;
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 31 & 1))
		return json_null();
	__cpuid(0x40000000, a, b, c, d);
	memcpy(vendor, &b, 4);
	memcpy(vendor + 4, &c, 4);
	memcpy(vendor + 8, &d, 4);
	for (char *p = vendor; *p; p++)
		if (!isprint((unsigned char)*p))
			*p = '?';
	return json_string(*vendor ? vendor : "unnamed");
#else
	return line_of(root, "/sys/hypervisor/type");
#endif
}

/* A hint: containers need not be recognisable. */
static json_t *container(const char *root)
{
	static const char *const kinds[] = {
		"kubepods", "docker", "libpod", "containerd", "lxc",
	};
	char line[TEXT_BYTES];
	json_t *found = NULL;
	FILE *file;

	if (read_line(root, "/run/systemd/container", line))
		return json_string(line);
	if (exists_under(root, "/.dockerenv"))
		return json_string("docker");
	if (exists_under(root, "/run/.containerenv"))
		return json_string("podman");
	file = open_under(root, "/proc/self/cgroup");
	while (file && !found && fgets(line, sizeof(line), file))
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			if (!found && strstr(line, kinds[i]))
				found = json_string(kinds[i]);
	if (file)
		fclose(file);
	return found ? found : json_null();
}

static json_t *libc(void)
{
#ifdef __GLIBC__
	return json_sprintf("glibc %s", gnu_get_libc_version());
#else
	return json_null();
#endif
}

static int take_memory(json_t *host, const char *root)
{
	json_t *thp = json_object();
	int failed = 0;

	failed |= set(thp, "enabled", choice_of(root, THP "/enabled"));
	failed |= set(thp, "defrag", choice_of(root, THP "/defrag"));
	failed |= set(thp, "sizes",
		      object_of_entries(root, THP, add_huge_page));
	failed |= set(host, "thp", thp);
	failed |= set(host, "page_bytes", json_integer(sysconf(_SC_PAGESIZE)));
	failed |= set(host, "nr_numa_nodes", nr_numa_nodes(root));
	return failed;
}

static int take_sysctls(json_t *host, const char *root)
{
	static const struct {
		const char *name, *path;
	} sysctls[] = {
		{ "kernel.perf_event_paranoid",
		  "/proc/sys/kernel/perf_event_paranoid" },
		{ "kernel.randomize_va_space",
		  "/proc/sys/kernel/randomize_va_space" },
		{ "vm.max_map_count", "/proc/sys/vm/max_map_count" },
		{ "vm.overcommit_memory", "/proc/sys/vm/overcommit_memory" },
		{ "vm.unprivileged_userfaultfd",
		  "/proc/sys/vm/unprivileged_userfaultfd" },
	};
	json_t *sysctl = json_object();
	int failed = 0;

	for (size_t i = 0; i < sizeof(sysctls) / sizeof(sysctls[0]); i++)
		failed |= set(sysctl, sysctls[i].name,
			      number_of(root, sysctls[i].path));
	failed |= set(host, "sysctl", sysctl);
	return failed;
}

static json_t *take_host(const char *root)
{
	json_t *host = json_object();
	int failed = 0;

	failed |= take_kernel(host);
	failed |= take_cpu(host, root);
	failed |= take_memory(host, root);
	failed |= take_sysctls(host, root);
	failed |= set(host, "hypervisor", hypervisor(root));
	failed |= set(host, "container", container(root));
	failed |= set(host, "clocksource",
		      line_of(root,
			      "/sys/devices/system/clocksource/clocksource0/current_clocksource"));
	failed |= set(host, "libc", libc());
	failed |= set(host, "root", json_boolean(geteuid() == 0));
	if (failed) {
		json_decref(host);
		return NULL;
	}
	return host;
}

static json_t *scrubbed(const char *text)
{
	char *clean = fl_fingerprint_scrub(text);
	json_t *json = clean ? json_string(clean) : NULL;

	free(clean);
	return json;
}

static int take_build(const struct fl_binary *binaries, size_t nr_binaries,
		      json_t **out, struct fl_complaint *why)
{
	json_t *build = json_object(), *hashes = json_object();
	int failed = 0, err;

	failed |= set(build, "cc", scrubbed(FL_BUILD_CC));
	failed |= set(build, "compiler", scrubbed(COMPILER));
	failed |= set(build, "cflags", scrubbed(FL_BUILD_CFLAGS));
	failed |= set(build, "binaries", hashes);
	for (size_t i = 0; i < nr_binaries && !failed; i++) {
		const struct fl_binary *binary = &binaries[i];
		char hex[FL_DIGEST_HEX_BYTES];

		if (strchr(binary->name, '/')) {
			err = fl_complain(why, -EINVAL,
					  "fingerprint: \"%s\" is a path; give the binary a name",
					  binary->name);
			goto out_free_build;
		}
		err = fl_digest_file(binary->path, hex);
		if (err) {
			fl_complain(why, err, "%s: cannot be hashed: %s",
				    binary->path, strerror(-err));
			goto out_free_build;
		}
		failed |= set(hashes, binary->name, json_string(hex));
	}
	if (failed) {
		err = -ENOMEM;
		goto out_free_build;
	}
	*out = build;
	return 0;

out_free_build:
	json_decref(build);
	return err;
}

static json_t *memory_bytes(const char *root)
{
	FILE *file = open_under(root, "/proc/meminfo");
	long long kib = -1;
	char line[256];

	while (file && kib < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemTotal: %lld kB", &kib) != 1)
			kib = -1;
	if (file)
		fclose(file);
	return kib < 0 ? json_null() : json_integer(kib * 1024);
}

static json_t *load_1min(const char *root)
{
	char text[TEXT_BYTES];
	double load;

	if (!read_line(root, "/proc/loadavg", text) ||
	    sscanf(text, "%lf", &load) != 1)
		return json_null();
	return json_real(load);
}

static json_t *take_about(const char *root)
{
	json_t *about = json_object();
	int failed = 0;

	failed |= set(about, "version", json_string(PACKAGE_VERSION));
	failed |= set(about, "commit", json_string(FL_BUILD_COMMIT));
	failed |= set(about, "configure", scrubbed(FL_BUILD_CONFIGURE));
	failed |= set(about, "memory_bytes", memory_bytes(root));
	failed |= set(about, "load_1min", load_1min(root));
	if (failed) {
		json_decref(about);
		return NULL;
	}
	return about;
}

int fl_fingerprint_take(const char *root, const struct fl_binary *binaries,
			size_t nr_binaries, json_t **out,
			struct fl_complaint *why)
{
	char id[FL_FINGERPRINT_ID_BYTES];
	json_t *fingerprint, *build = NULL;
	int err;

	if (!root)
		root = "";
	err = take_build(binaries, nr_binaries, &build, why);
	if (err)
		return err;
	fingerprint = json_pack("{s:o, s:o, s:o}", "host", take_host(root),
				"build", build, "about", take_about(root));
	if (!fingerprint)
		return fl_complain(why, -ENOMEM, "fingerprint: out of memory");
	err = fl_fingerprint_id(fingerprint, FL_FINGERPRINT_ALL, id);
	if (!err && json_object_set_new(fingerprint, "id", json_string(id)))
		err = -ENOMEM;
	if (err) {
		json_decref(fingerprint);
		return fl_complain(why, err, "fingerprint: %s", strerror(-err));
	}
	*out = fingerprint;
	return 0;
}

int fl_fingerprint_id(const json_t *fingerprint, unsigned int parts,
		      char id[FL_FINGERPRINT_ID_BYTES])
{
	static const struct {
		unsigned int part;
		const char *key;
	} members[] = {
		{ FL_FINGERPRINT_HOST, "host" },
		{ FL_FINGERPRINT_BUILD, "build" },
	};
	json_t *covered = json_object();
	char hex[FL_DIGEST_HEX_BYTES], *text;
	int err = 0;

	if (!covered)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		json_t *member = json_object_get(fingerprint, members[i].key);

		if (!(parts & members[i].part))
			continue;
		if (!json_is_object(member)) {
			err = -EINVAL;
			goto out_free_covered;
		}
		if (json_object_set(covered, members[i].key, member)) {
			err = -ENOMEM;
			goto out_free_covered;
		}
	}
	text = json_dumps(covered,
			  JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
	if (!text) {
		err = -ENOMEM;
		goto out_free_covered;
	}
	fl_digest_bytes(text, strlen(text), hex);
	memcpy(id, hex, FL_FINGERPRINT_ID_BYTES - 1);
	id[FL_FINGERPRINT_ID_BYTES - 1] = '\0';
	free(text);
out_free_covered:
	json_decref(covered);
	return err;
}

char *fl_fingerprint_scrub(const char *text)
{
	static const char ends[] = " \t\n\"'=:,;", mark[] = "<path>";
	char *clean = malloc(strlen(text) * (sizeof(mark) - 1) + 1);
	char *to = clean;

	if (!clean)
		return NULL;
	while (*text) {
		if (*text != '/') {
			*to++ = *text++;
			continue;
		}
		to = stpcpy(to, mark);
		text += strcspn(text, ends);
	}
	*to = '\0';
	return clean;
}

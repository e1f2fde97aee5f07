/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/module_load.h"

#ifndef FL_PKGLIBDIR
#define FL_PKGLIBDIR	"/usr/local/lib/faultline"
#endif

#define SUFFIX	".so"

char *fl_module_stem(const char *path)
{
	const char *name = strrchr(path, '/');
	size_t n;

	name = name ? name + 1 : path;
	n = strlen(name);
	if (n > strlen(SUFFIX) && !strcmp(name + n - strlen(SUFFIX), SUFFIX))
		n -= strlen(SUFFIX);
	return strndup(name, n);
}

/* What a table must have before anything in it is used; NULL when it has it. */
static const char *missing_hook(const struct fl_strategy *s)
{
	if (!s->name || !s->summary || !s->trigger || !s->compiler)
		return "name, summary, trigger or compiler";
	if (!s->open || !s->close)
		return "open or close";
	if (!s->region_create || !s->region_reset || !s->region_destroy)
		return "region_create, region_reset or region_destroy";
	if (!s->object_new)
		return "object_new";
	if (!s->ranges || !s->geometry)
		return "ranges or geometry";
	if (!s->kernels || !s->nr_kernels)
		return "kernels";
	if (s->nr_tunables && !s->tunables)
		return "tunables";
	return NULL;
}

/* What is wrong with a tunable, or NULL. */
static const char *bad_tunable(const struct fl_tunable *t)
{
	uint64_t nr = 0;

	if (!t->name || !*t->name || !t->unit || !t->help)
		return "lacks a name, unit or help";
	switch (t->kind) {
	case FL_TUNABLE_CHOICE:
		while (t->choices && t->choices[nr])
			nr++;
		return t->def < nr ? NULL : "has a default beyond its choices";
	case FL_TUNABLE_BYTES:
	case FL_TUNABLE_COUNT:
		return NULL;	/* ranges are conformance's to judge */
	}
	return "is of an unknown kind";
}

/* The tables inside the table. */
static int check_inner(const char *path, const struct fl_strategy *s,
		       struct fl_complaint *why)
{
	for (size_t i = 0; i < s->nr_tunables; i++) {
		const char *wrong = bad_tunable(&s->tunables[i]);

		if (wrong)
			return fl_complain(why, -ENOEXEC,
				"%s: tunable %zu %s: see struct fl_tunable",
				path, i, wrong);
	}
	for (size_t i = 0; i < s->nr_kernels; i++) {
		const struct fl_kernel *k = &s->kernels[i];

		if (!k->name || !k->run || k->residence > FL_MEMORY ||
		    k->mode > FL_ACCOUNT)
			return fl_complain(why, -ENOEXEC,
				"%s: kernel %zu is no kernel: include faultline/module.h and close the file with FL_STRATEGY()",
				path, i);
	}
	return 0;
}

static int check_table(const char *path, const struct fl_strategy *s,
		       struct fl_complaint *why)
{
	const char *lacks;
	char *stem;
	int err = 0;

	if (s->magic != FL_MAGIC)
		return fl_complain(why, -ENOEXEC,
			"%s: %s has magic 0x%08x, not 0x%08x: this is no Faultline strategy; close the file with FL_STRATEGY()",
			path, FL_STRATEGY_SYMBOL, s->magic, FL_MAGIC);
	if (s->abi != FL_ABI_VERSION)
		return fl_complain(why, -EPROTO,
			"%s: built for ABI version %u, this faultline has %u: rebuild it against the installed headers",
			path, s->abi, FL_ABI_VERSION);
	if (s->table_bytes != sizeof(*s) ||
	    s->kernel_bytes != sizeof(struct fl_kernel))
		return fl_complain(why, -EPROTO,
			"%s: its tables are %u and %u bytes, this faultline's %zu and %zu: rebuild it against the installed headers",
			path, s->table_bytes, s->kernel_bytes, sizeof(*s),
			sizeof(struct fl_kernel));
	lacks = missing_hook(s);
	if (lacks)
		return fl_complain(why, -ENOEXEC,
			"%s: the strategy table lacks %s, which is required: see strategies/skeleton.c",
			path, lacks);
	if (s->nr_tunables > FL_TUNABLES_MAX)
		return fl_complain(why, -ENOEXEC,
			"%s: declares %zu tunables, at most %d are possible",
			path, s->nr_tunables, FL_TUNABLES_MAX);
	err = check_inner(path, s, why);
	if (err)
		return err;
	stem = fl_module_stem(path);
	if (!stem || strcmp(stem, s->name))
		err = fl_complain(why, -ENOEXEC,
			"%s: calls itself \"%s\": name the file %s" SUFFIX " or the strategy \"%s\"",
			path, s->name, s->name, stem ? stem : "?");
	free(stem);
	return err;
}

/*
 * The dynamic linker maps what the program headers say and dies of SIGBUS when
 * the file ends before that: look first whether all of it is there.
 */
static int check_whole(const char *path, off_t size, struct fl_complaint *why)
{
	ElfW(Phdr) segments[64];
	ElfW(Ehdr) elf;
	uint64_t end = 0;
	size_t n;
	FILE *f = fopen(path, "re");

	if (!f)
		return fl_complain(why, -errno, "%s: %s", path, strerror(errno));
	n = fread(&elf, 1, sizeof(elf), f);
	if (n != sizeof(elf) || memcmp(elf.e_ident, ELFMAG, SELFMAG) ||
	    elf.e_phentsize != sizeof(segments[0]) ||
	    elf.e_phnum > sizeof(segments) / sizeof(segments[0])) {
		/* Too short or no ELF file: the linker says which. */
		fclose(f);
		return 0;
	}
	end = elf.e_phoff + elf.e_phnum * sizeof(segments[0]);
	if (!fseek(f, (long)elf.e_phoff, SEEK_SET))
		elf.e_phnum = (ElfW(Half))fread(segments, sizeof(segments[0]),
						elf.e_phnum, f);
	fclose(f);
	for (unsigned i = 0; i < elf.e_phnum; i++)
		if (segments[i].p_type == PT_LOAD &&
		    segments[i].p_offset + segments[i].p_filesz > end)
			end = segments[i].p_offset + segments[i].p_filesz;
	if ((uint64_t)size < end)
		return fl_complain(why, -ENOEXEC,
			"%s: cut off: %lld bytes of at least %llu: build or copy it again",
			path, (long long)size, (unsigned long long)end);
	return 0;
}

int fl_module_load(const char *path, struct fl_module *module,
		   struct fl_complaint *why)
{
	struct fl_module m = { 0 };
	struct stat st;
	int err;

	if (stat(path, &st))
		return fl_complain(why, -errno, "%s: %s", path, strerror(errno));
	/* dlopen searches the library path for names without a slash. */
	m.path = realpath(path, NULL);
	if (!m.path)
		return fl_complain(why, -errno, "%s: %s", path, strerror(errno));
	err = S_ISREG(st.st_mode) ? check_whole(m.path, st.st_size, why) : 0;
	if (err)
		goto free_path;
	m.handle = dlopen(m.path, RTLD_NOW | RTLD_LOCAL);
	if (!m.handle) {
		err = fl_complain(why, -ENOEXEC,
			"%s: not a loadable module: %s", path, dlerror());
		goto free_path;
	}
	m.strategy = dlsym(m.handle, FL_STRATEGY_SYMBOL);
	if (!m.strategy) {
		err = fl_complain(why, -ENOEXEC,
			"%s: exports no symbol %s: close the file with FL_STRATEGY()",
			path, FL_STRATEGY_SYMBOL);
		goto close_handle;
	}
	err = check_table(path, m.strategy, why);
	if (err)
		goto close_handle;
	*module = m;
	return 0;

close_handle:
	dlclose(m.handle);
free_path:
	free(m.path);
	return err;
}

void fl_module_unload(struct fl_module *module)
{
	if (module->handle)
		dlclose(module->handle);
	free(module->path);
	*module = (struct fl_module){ 0 };
}

/*
 * Where modules are when the user does not say.  Run from a build tree, the
 * command is in TOP/.libs or TOP, and the modules are in TOP/strategies/.libs.
 */
static char *module_directories(void)
{
	static const char *const places[] = {
		"strategies/.libs", "../strategies/.libs",
	};
	const char *set = getenv("FAULTLINE_MODULES");
	char self[PATH_MAX], *slash, *dir;
	ssize_t n;

	if (set && *set)
		return strdup(set);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		*slash = '\0';
		for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
			if (asprintf(&dir, "%s/%s", self, places[i]) < 0)
				return NULL;
			if (!access(dir, R_OK | X_OK))
				return dir;
			free(dir);
		}
	}
	return strdup(FL_PKGLIBDIR);
}

static int is_module(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return entry->d_name[0] != '.' && n > strlen(SUFFIX) &&
	       !strcmp(entry->d_name + n - strlen(SUFFIX), SUFFIX);
}

int fl_modules_list(char ***out, struct fl_complaint *why)
{
	char *directories = module_directories(), *rest = directories, *dir;
	char **paths = calloc(1, sizeof(*paths));
	int nr = 0, err = 0;

	if (!directories || !paths)
		err = -ENOMEM;
	while (!err && (dir = strsep(&rest, ":"))) {
		struct dirent **entries;
		int n = scandir(dir, &entries, is_module, alphasort);

		if (n < 0) {
			err = fl_complain(why, -errno,
				"%s: %s: no strategy modules can be found there; set FAULTLINE_MODULES to their directory",
				dir, strerror(errno));
			break;
		}
		for (int i = 0; i < n; i++) {
			char **more = err ? NULL : realloc(paths,
				((size_t)nr + 2) * sizeof(*paths));

			if (!err && !more)
				err = -ENOMEM;
			if (more) {
				paths = more;
				if (asprintf(&paths[nr], "%s/%s", dir,
					     entries[i]->d_name) < 0)
					err = -ENOMEM;
				else
					paths[++nr] = NULL;
			}
			free(entries[i]);
		}
		free(entries);
	}
	free(directories);
	if (err) {
		fl_modules_list_free(paths);
		return err;
	}
	*out = paths;
	return nr;
}

void fl_modules_list_free(char **paths)
{
	for (char **p = paths; p && *p; p++)
		free(*p);
	free(paths);
}

int fl_module_named(const char *name, struct fl_module *module,
		    struct fl_complaint *why)
{
	char **paths, **stems;
	const char *near;
	int nr, err = -ENOENT;

	if (strchr(name, '/'))
		return fl_module_load(name, module, why);
	nr = fl_modules_list(&paths, why);
	if (nr < 0)
		return nr;
	stems = calloc((size_t)nr + 1, sizeof(*stems));
	for (int i = 0; stems && i < nr; i++) {
		stems[i] = fl_module_stem(paths[i]);
		if (err == -ENOENT && stems[i] && !strcmp(stems[i], name))
			err = fl_module_load(paths[i], module, why);
	}
	if (err == -ENOENT && stems) {
		near = fl_nearest(name, (const char *const *)stems);
		fl_complain(why, err,
			"unknown strategy \"%s\"%s%s%s; `faultline list` shows them all",
			name, near ? ": did you mean \"" : "",
			near ? near : "", near ? "\"?" : "");
	}
	fl_modules_list_free(stems);
	fl_modules_list_free(paths);
	return err;
}

int fl_parse_bytes(const char *text, uint64_t *bytes)
{
	static const char suffixes[] = "KMGT";
	const char *suffix;
	unsigned shift = 0;
	uint64_t value;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	if (*end) {
		suffix = strchr(suffixes, *end >= 'a' ? *end - 32 : *end);
		if (!suffix || end[1])
			return -EINVAL;
		shift = 10 * (unsigned)(suffix - suffixes + 1);
	}
	if (value > UINT64_MAX >> shift)
		return -ERANGE;
	*bytes = value << shift;
	return 0;
}

void fl_format_bytes(uint64_t bytes, char *out, size_t out_bytes)
{
	static const char suffixes[] = "\0KMGT";
	unsigned i = 0;

	while (i < 4 && bytes && !(bytes & 1023)) {
		bytes >>= 10;
		i++;
	}
	snprintf(out, out_bytes, "%" PRIu64 "%.1s", bytes, &suffixes[i]);
}

int fl_tunable_index(const struct fl_strategy *strategy, const char *name)
{
	for (size_t i = 0; i < strategy->nr_tunables; i++)
		if (!strcmp(strategy->tunables[i].name, name))
			return (int)i;
	return -1;
}

void fl_tunables_defaults(const struct fl_strategy *strategy, uint64_t *values)
{
	for (size_t i = 0; i < strategy->nr_tunables; i++)
		values[i] = strategy->tunables[i].def;
}

void fl_tunable_format(const struct fl_tunable *tunable, uint64_t value,
		       char *out, size_t out_bytes)
{
	switch (tunable->kind) {
	case FL_TUNABLE_BYTES:
		fl_format_bytes(value, out, out_bytes);
		break;
	case FL_TUNABLE_CHOICE:
		snprintf(out, out_bytes, "%s", tunable->choices[value]);
		break;
	default:
		snprintf(out, out_bytes, "%" PRIu64, value);
	}
}

static int set_choice(const struct fl_strategy *s, const struct fl_tunable *t,
		      const char *text, uint64_t *value,
		      struct fl_complaint *why)
{
	char all[256] = "";

	for (uint64_t i = 0; t->choices[i]; i++) {
		if (!strcmp(t->choices[i], text)) {
			*value = i;
			return 0;
		}
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s",
			 i ? ", " : "", t->choices[i]);
	}
	return fl_complain(why, -EINVAL, "%s: %s=%s: must be one of %s",
			   s->name, t->name, text, all);
}

static int set_number(const struct fl_strategy *s, const struct fl_tunable *t,
		      const char *text, uint64_t *value,
		      struct fl_complaint *why)
{
	char low[32], high[32];
	uint64_t v;
	int err = fl_parse_bytes(text, &v);

	fl_tunable_format(t, t->min, low, sizeof(low));
	fl_tunable_format(t, t->max, high, sizeof(high));
	if (err == -EINVAL)
		return fl_complain(why, err,
			"%s: %s=%s: not a number; it is in %s, from %s to %s",
			s->name, t->name, text, t->unit, low, high);
	if (err || v < t->min || v > t->max)
		return fl_complain(why, -EINVAL,
			"%s: %s=%s: out of range, it must be from %s to %s%s%s",
			s->name, t->name, text, low, high,
			*t->unit ? " " : "", t->unit);
	if (t->kind == FL_TUNABLE_BYTES && v % (size_t)sysconf(_SC_PAGESIZE))
		return fl_complain(why, -EINVAL,
			"%s: %s=%s: must be a multiple of the page size, %ld",
			s->name, t->name, text, sysconf(_SC_PAGESIZE));
	*value = v;
	return 0;
}

static int set_one(const struct fl_strategy *s, char *setting, uint64_t *values,
		   struct fl_complaint *why)
{
	const char *names[FL_TUNABLES_MAX + 1] = { NULL };
	char *equals = strchr(setting, '=');
	const char *near;
	int i;

	if (!equals)
		return fl_complain(why, -EINVAL,
			"%s: \"%s\" is no setting: write name=value", s->name,
			setting);
	*equals = '\0';
	i = fl_tunable_index(s, setting);
	if (i >= 0 && s->tunables[i].kind == FL_TUNABLE_CHOICE)
		return set_choice(s, &s->tunables[i], equals + 1, &values[i],
				  why);
	if (i >= 0)
		return set_number(s, &s->tunables[i], equals + 1, &values[i],
				  why);
	for (size_t k = 0; k < s->nr_tunables; k++)
		names[k] = s->tunables[k].name;
	near = fl_nearest(setting, names);
	if (!s->nr_tunables)
		return fl_complain(why, -EINVAL,
			"%s: unknown tunable \"%s\": it has none", s->name,
			setting);
	return fl_complain(why, -EINVAL,
		"%s: unknown tunable \"%s\"%s%s%s; `faultline list %s` shows its tunables",
		s->name, setting, near ? ": did you mean \"" : "",
		near ? near : "", near ? "\"?" : "", s->name);
}

int fl_tunables_set(const struct fl_strategy *strategy, const char *settings,
		    uint64_t *values, struct fl_complaint *why)
{
	char *copy, *rest, *setting;
	int err = 0;

	if (!settings)
		return 0;
	rest = copy = strdup(settings);
	if (!copy)
		return -ENOMEM;
	while (!err && (setting = strsep(&rest, ", ")))
		if (*setting)
			err = set_one(strategy, setting, values, why);
	free(copy);
	return err;
}

const char *fl_residence_name(enum fl_residence residence)
{
	return residence == FL_REGISTER ? "register" : "memory";
}

const char *fl_mode_name(enum fl_mode mode)
{
	static const char *const names[] = {
		[FL_TIMED] = "timed", [FL_PLANTED] = "planted",
		[FL_VERIFY] = "verify", [FL_LATENCY] = "latency",
		[FL_ACCOUNT] = "account",
	};

	return names[mode];
}

const char *fl_answer_name(enum fl_answer answer)
{
	static const char *const names[] = {
		[FL_ANSWER_NEVER] = "never", [FL_ANSWER_BRANCH] = "branch",
		[FL_ANSWER_EXTEND] = "extend", [FL_ANSWER_REDIRECT] = "redirect",
	};

	return answer <= FL_ANSWER_REDIRECT ? names[answer] : "?";
}

const struct fl_kernel *fl_kernel_find(const struct fl_strategy *strategy,
				       const char *name, uint32_t object_bytes,
				       enum fl_residence residence,
				       enum fl_mode mode)
{
	for (size_t i = 0; i < strategy->nr_kernels; i++) {
		const struct fl_kernel *k = &strategy->kernels[i];

		if (!strcmp(k->name, name) &&
		    (k->object_bytes == object_bytes || !object_bytes) &&
		    k->residence == residence && k->mode == mode)
			return k;
	}
	return NULL;
}

/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/module_check.h"
#include "harness/module_load.h"

#ifndef FL_PKGLIBDIR
#define FL_PKGLIBDIR	"/usr/local/lib/faultline"
#endif

#define SUFFIX	".so"

/* What sets one kind of module apart from another. */
struct kind {
	const char *word;		/* in complaints */
	const char *symbol;		/* of its table */
	const char *closing;		/* what defines the symbol */
	const char *environment;	/* names the folders */
	const char *installed;
	const char *built[3];		/* seen from the command's folder */
};

/*
 * Run from a build tree, the command is in TOP/.libs or TOP, and modules are in
 * TOP/strategies/.libs or TOP/benches/.libs.
 */
static const struct kind kinds[] = {
	[FL_MODULE_STRATEGY] = {
		.word = "strategy", .symbol = FL_STRATEGY_SYMBOL,
		.closing = "FL_STRATEGY",
		.environment = "FAULTLINE_MODULES", .installed = FL_PKGLIBDIR,
		.built = { "strategies/.libs", "../strategies/.libs" },
	},
	[FL_MODULE_BENCH] = {
		.word = "bench", .symbol = FL_BENCH_SYMBOL,
		.closing = "FL_BENCH",
		.environment = "FAULTLINE_BENCHES",
		.installed = FL_PKGLIBDIR "/benches",
		.built = { "benches/.libs", "../benches/.libs" },
	},
};

static enum fl_module_kind other_than(enum fl_module_kind kind)
{
	return kind == FL_MODULE_BENCH ? FL_MODULE_STRATEGY : FL_MODULE_BENCH;
}

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

/* The table is in @symbols; anything that is not is another kind's. */
static int find_table(const char *path, enum fl_module_kind kind,
		      struct fl_module *m, struct fl_complaint *why)
{
	const struct kind *k = &kinds[kind];
	const enum fl_module_kind other = other_than(kind);
	const void *table = dlsym(m->handle, k->symbol);
	int err;

	if (!table && dlsym(m->handle, kinds[other].symbol))
		return fl_complain(why, -ENOEXEC, "%s: is a %s, not a %s",
				   path, kinds[other].word, k->word);
	if (!table)
		return fl_complain(why, -ENOEXEC,
			"%s: exports no symbol %s: close the file with %s()",
			path, k->symbol, k->closing);
	if (kind == FL_MODULE_STRATEGY) {
		err = fl_module_check_strategy(path, table, why);
		if (err)
			return err;
		m->strategy = table;
		m->tunables = fl_strategy_tunables(m->strategy);
	} else {
		err = fl_module_check_bench(path, table, why);
		if (err)
			return err;
		m->bench = table;
		m->tunables = fl_bench_tunables(m->bench);
	}
	return 0;
}

int fl_module_load(enum fl_module_kind kind, const char *path,
		   struct fl_module *module, struct fl_complaint *why)
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
	err = find_table(path, kind, &m, why);
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

/* Where modules are: where the user says, in the build tree, or installed. */
static char *directories_of(const struct kind *kind)
{
	const char *set = getenv(kind->environment);
	char self[PATH_MAX], *slash, *dir;
	ssize_t n;

	if (set && *set)
		return strdup(set);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		*slash = '\0';
		for (size_t i = 0; kind->built[i]; i++) {
			if (asprintf(&dir, "%s/%s", self, kind->built[i]) < 0)
				return NULL;
			if (!access(dir, R_OK | X_OK))
				return dir;
			free(dir);
		}
	}
	return strdup(kind->installed);
}

static int is_module(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return entry->d_name[0] != '.' && n > strlen(SUFFIX) &&
	       !strcmp(entry->d_name + n - strlen(SUFFIX), SUFFIX);
}

int fl_modules_list(enum fl_module_kind kind, char ***out,
		    struct fl_complaint *why)
{
	char *directories = directories_of(&kinds[kind]);
	char *rest = directories, *dir;
	char **paths = calloc(1, sizeof(*paths));
	int nr = 0, err = 0;

	if (!directories || !paths)
		err = -ENOMEM;
	while (!err && (dir = strsep(&rest, ":"))) {
		struct dirent **entries;
		int n = scandir(dir, &entries, is_module, alphasort);

		if (n < 0) {
			err = fl_complain(why, -errno,
				"%s: %s: no %s modules can be found there; set %s to their directory",
				dir, strerror(errno), kinds[kind].word,
				kinds[kind].environment);
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

/* Who asks for a strategy as a bench has the right name and the wrong command. */
static bool is_other_kind(enum fl_module_kind other, const char *name)
{
	char **paths;
	bool is = false;

	if (fl_modules_list(other, &paths, NULL) < 0)
		return false;
	for (char **p = paths; *p && !is; p++) {
		char *stem = fl_module_stem(*p);

		is = stem && !strcmp(stem, name);
		free(stem);
	}
	fl_modules_list_free(paths);
	return is;
}

/* What a name is not; @name has no '@' and no '/'. */
static int complain_unknown(enum fl_module_kind kind, const char *name,
			    char *const *stems, struct fl_complaint *why)
{
	const char *near;

	if (is_other_kind(other_than(kind), name))
		return fl_complain(why, -ENOENT, "%s is a %s, not a %s", name,
				   kinds[other_than(kind)].word,
				   kinds[kind].word);
	near = fl_nearest(name, (const char *const *)stems);
	return fl_complain(why, -ENOENT,
		"unknown %s \"%s\"%s%s%s; `faultline list` shows them all",
		kinds[kind].word, name, near ? ": did you mean \"" : "",
		near ? near : "", near ? "\"?" : "");
}

/* @path's module, or with @build the one of that name in the folder beside it. */
static int load_built_by(enum fl_module_kind kind, const char *path,
			 const char *build, struct fl_module *module,
			 struct fl_complaint *why)
{
	const char *file = strrchr(path, '/');
	char *other;
	int err;

	if (!*build)
		return fl_module_load(kind, path, module, why);
	if (asprintf(&other, "%.*s/%s%s", (int)(file - path), path, build,
		     file) < 0)
		return -ENOMEM;
	for (char *c = other + (file - path); (c = strchr(c, '@'));)
		*c = '/';
	if (access(other, F_OK))
		err = fl_complain(why, -ENOENT,
			"%.*s was not built as %s here: there is no %s; make builds layouts, and by a second compiler what configure found one for",
			(int)strcspn(file + 1, "."), file + 1, build, other);
	else
		err = fl_module_load(kind, other, module, why);
	free(other);
	return err;
}

static int is_folder(const struct dirent *entry)
{
	return entry->d_type == DT_DIR && *entry->d_name != '.';
}

char *fl_module_others(const char *path)
{
	const char *file = strrchr(path, '/');
	char *dir = strndup(path, (size_t)(file - path)), *list = strdup("");
	struct dirent **entries = NULL;
	int n = dir ? scandir(dir, &entries, is_folder, alphasort) : 0;

	for (int i = 0; i < n; i++) {
		char *other = NULL, *longer = NULL;

		if (list && asprintf(&other, "%s/%s%s", dir,
				     entries[i]->d_name, file) >= 0 &&
		    !access(other, F_OK) &&
		    asprintf(&longer, "%s%s%s", list, *list ? " " : "",
			     entries[i]->d_name) >= 0) {
			free(list);
			list = longer;
		}
		free(other);
		free(entries[i]);
	}
	free(entries);
	free(dir);
	return list;
}

int fl_module_named(enum fl_module_kind kind, const char *name,
		    struct fl_module *module, struct fl_complaint *why)
{
	char **paths, **stems, *stem;
	const char *build = strchrnul(name, '@');
	int nr, err = -ENOENT;
	bool found = false;

	if (strchr(name, '/'))
		return fl_module_load(kind, name, module, why);
	if (*build && !build[1])
		return fl_complain(why, -EINVAL,
			"%s: name a compiler behind the @, as in bump_down@clang, or leave it out",
			name);
	nr = fl_modules_list(kind, &paths, why);
	if (nr < 0)
		return nr;
	stem = strndup(name, (size_t)(build - name));
	build += *build == '@';
	stems = calloc((size_t)nr + 1, sizeof(*stems));
	for (int i = 0; stem && stems && i < nr; i++) {
		stems[i] = fl_module_stem(paths[i]);
		if (found || !stems[i] || strcmp(stems[i], stem))
			continue;
		found = true;
		err = load_built_by(kind, paths[i], build, module, why);
	}
	if (!found && stem && stems)
		err = complain_unknown(kind, stem, stems, why);
	free(stem);
	fl_modules_list_free(stems);
	fl_modules_list_free(paths);
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
		[FL_ANSWER_ELASTIC] = "elastic",
	};

	return answer <= FL_ANSWER_ELASTIC ? names[answer] : "?";
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

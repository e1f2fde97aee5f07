/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/experiments.h"

#define FOLDER	"experiments"

static bool is_folder(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static int find_folder(char path[PATH_MAX + 32], struct fl_complaint *why)
{
	/* As analysis/palette.c looks for the scripts of plots. */
	static const char *const beside[] = {
		"..", "../..", ".", "../share/faultline"
	};
	const char *set = getenv("FAULTLINE_DATA");
	char self[PATH_MAX];
	ssize_t n;

	if (set && *set) {
		snprintf(path, PATH_MAX, "%s/" FOLDER, set);
		return is_folder(path) ? 0 : fl_complain(why, -ENOENT,
			"FAULTLINE_DATA: there is no " FOLDER "/ under %s", set);
	}
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		*strrchr(self, '/') = '\0';
		for (size_t i = 0; i < sizeof(beside) / sizeof(*beside); i++) {
			snprintf(path, PATH_MAX + 32, "%s/%s/" FOLDER, self,
				 beside[i]);
			if (is_folder(path))
				return 0;
		}
	}
	snprintf(path, PATH_MAX, "%s", FL_PKGDATADIR "/" FOLDER);
	return is_folder(path) ? 0 : fl_complain(why, -ENOENT,
		"the experiments were not found: set FAULTLINE_DATA to the folder that holds " FOLDER "/");
}

/* Path of @file in the experiment, or beside all for ""; NULL where there is none. */
static char *file_in(const char *folder, const char *name, const char *file)
{
	char *path;

	if (asprintf(&path, "%s/%s%s%s", folder, name, *name ? "/" : "", file) < 0)
		return NULL;
	if (!access(path, R_OK))
		return path;
	free(path);
	return NULL;
}

static void free_one(struct fl_experiment *one)
{
	free(one->name);
	free(one->plan);
	free(one->plan_name);
	free(one->claims);
	free(one->plots);
}

/* The value of the plan's first "name = ", to be freed; "" where there is none. */
static char *name_in(const char *plan)
{
	FILE *from = fopen(plan, "re");
	char line[256], found[128] = "";

	while (from && !*found && fgets(line, sizeof(line), from))
		sscanf(line, " name = %127s", found);
	if (from)
		fclose(from);
	return strdup(found);
}

static int add(struct fl_experiments *all, const char *folder, const char *name)
{
	struct fl_experiment *more, one = {
		.plan = file_in(folder, name, "plan.ini"),
	};

	if (!one.plan) {
		one.plan = file_in(folder, name, "matrix.ini");
		one.matrix = true;
	}
	if (!one.plan)
		return 0;
	one.plan_name = one.matrix ? strdup("kernel") : name_in(one.plan);
	one.claims = file_in(folder, name, "claims.ini");
	one.plots = file_in(folder, name, "plots.ini");
	one.name = strdup(name);
	more = reallocarray(all->list, all->nr + 1, sizeof(*more));
	if (more)
		all->list = more;
	if (!more || !one.name || !one.plan_name) {
		free_one(&one);
		return -ENOMEM;
	}
	all->list[all->nr++] = one;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct fl_experiment *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int fl_experiments_find(struct fl_experiments *out, struct fl_complaint *why)
{
	struct fl_experiments all = { .list = NULL };
	char folder[PATH_MAX + 32];
	struct dirent *entry;
	char *whole;
	DIR *dir;
	int err = find_folder(folder, why);

	if (err)
		return err;
	/* Without the ".." that people would see in messages. */
	whole = realpath(folder, NULL);
	if (whole && strlen(whole) < sizeof(folder))
		strcpy(folder, whole);
	free(whole);
	dir = opendir(folder);
	if (!dir)
		return fl_complain(why, -errno, "%s: %s", folder, strerror(errno));
	while (!err && (entry = readdir(dir)))
		if (*entry->d_name != '.')
			err = add(&all, folder, entry->d_name);
	closedir(dir);
	all.plots = file_in(folder, "", "plots.ini");
	if (err) {
		fl_experiments_free(&all);
		return fl_complain(why, err, "%s", strerror(-err));
	}
	if (all.nr)
		qsort(all.list, all.nr, sizeof(*all.list), by_name);
	*out = all;
	return 0;
}

void fl_experiments_free(struct fl_experiments *experiments)
{
	for (size_t i = 0; i < experiments->nr; i++)
		free_one(&experiments->list[i]);
	free(experiments->list);
	free(experiments->plots);
	*experiments = (struct fl_experiments){ .list = NULL };
}

const struct fl_experiment *
fl_experiments_called(const struct fl_experiments *experiments,
		      const char *plan_name)
{
	for (size_t i = 0; i < experiments->nr; i++)
		if (!strcmp(experiments->list[i].plan_name, plan_name))
			return &experiments->list[i];
	return NULL;
}

/* Behind "03-". */
static const char *brief(const char *name)
{
	const size_t n = strspn(name, "0123456789");

	return n && name[n] == '-' ? name + n + 1 : name;
}

const struct fl_experiment *
fl_experiments_named(const struct fl_experiments *experiments, const char *name)
{
	for (size_t i = 0; i < experiments->nr; i++)
		if (!strcmp(experiments->list[i].name, name) ||
		    !strcmp(brief(experiments->list[i].name), name))
			return &experiments->list[i];
	return NULL;
}

int fl_experiments_unknown(const struct fl_experiments *experiments,
			   const char *name, struct fl_complaint *why)
{
	const char **names = calloc(experiments->nr + 1, sizeof(*names));
	const char *near = NULL;

	for (size_t i = 0; names && i < experiments->nr; i++)
		names[i] = experiments->list[i].name;
	if (names)
		near = fl_nearest(name, names);
	fl_complain(why, -ENOENT, "%s: no experiment and no file is called so%s%s%s",
		    name, near ? "; did you mean \"" : "", near ? near : "",
		    near ? "\"?" : "");
	free(names);
	return -ENOENT;
}

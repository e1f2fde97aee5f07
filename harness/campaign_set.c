/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/campaign_set.h"
#include "harness/progress.h"

#define SELF		"/proc/self/exe"
#define MATRIX_NAME	"kernel"
#define MATRIX_FILE	"kernel.json"

/* "20261122-151432" */
#define STAMP_FORM	"dddddddd-dddddd"
#define STAMP_BYTES	sizeof(STAMP_FORM)

static int no_memory(struct fl_complaint *why)
{
	return fl_complain(why, -ENOMEM, "%s", strerror(ENOMEM));
}

static const char *name_of(const struct fl_campaign_member *member)
{
	return member->matrix ? MATRIX_NAME : member->plan.name;
}

/* The matrix is the same in every profile. */
static bool is_quick(const struct fl_campaign_member *member)
{
	return !member->matrix && member->plan.quick;
}

/* ---- what is asked for ------------------------------------------------------ */

/* The file that @word means by itself, or NULL; to be freed. */
static char *file_of(const char *word)
{
	struct stat st;
	char *path;

	if (stat(word, &st))
		return NULL;
	if (!S_ISDIR(st.st_mode))
		return strdup(word);
	for (int i = 0; i < 2; i++) {
		if (asprintf(&path, "%s/%s", word,
			     i ? "matrix.ini" : "plan.ini") < 0)
			return NULL;
		if (!access(path, F_OK))
			return path;
		free(path);
	}
	return NULL;
}

static int load(struct fl_campaign_set *set, const char *path,
		struct fl_complaint *why)
{
	const char *slash = strrchr(path, '/');
	struct fl_campaign_member *more, one = {
		.matrix = !strcmp(slash ? slash + 1 : path, "matrix.ini"),
	};
	int err = one.matrix ? 0 :
		  fl_plan_load(path, set->quick, &one.plan, why);

	if (err)
		return err;
	for (size_t i = 0; i < set->nr; i++)
		if (!strcmp(name_of(&set->members[i]), name_of(&one))) {
			fl_complain(why, -EINVAL, "%s: an experiment called \"%s\" is there already: name each once",
				    path, name_of(&one));
			if (!one.matrix)
				fl_plan_free(&one.plan);
			return -EINVAL;
		}
	more = reallocarray(set->members, set->nr + 1, sizeof(*more));
	if (!more) {
		if (!one.matrix)
			fl_plan_free(&one.plan);
		return no_memory(why);
	}
	set->members = more;
	more[set->nr++] = one;
	return 0;
}

int fl_campaign_set_add(struct fl_campaign_set *set, const char *word,
			const struct fl_experiments *experiments,
			struct fl_complaint *why)
{
	char *path = file_of(word);
	const struct fl_experiment *named = path || !experiments ? NULL :
		fl_experiments_named(experiments, word);
	int err;

	if (path || named)
		err = load(set, path ? path : named->plan, why);
	else if (experiments && !word[strcspn(word, "/.")])
		err = fl_experiments_unknown(experiments, word, why);
	else
		/* It says what is wrong with a file, or that there is none. */
		err = load(set, word, why);
	free(path);
	return err;
}

void fl_campaign_set_free(struct fl_campaign_set *set)
{
	for (size_t i = 0; i < set->nr; i++) {
		if (!set->members[i].matrix)
			fl_plan_free(&set->members[i].plan);
		free(set->members[i].output);
	}
	free(set->members);
	*set = (struct fl_campaign_set){ .members = NULL };
}

/* ---- where it goes ---------------------------------------------------------- */

static bool is_stamp(const char *text)
{
	static const char form[] = STAMP_FORM;
	size_t i = 0;

	for (; form[i]; i++)
		if (form[i] == '-' ? text[i] != '-' :
				     text[i] < '0' || text[i] > '9')
			return false;
	return !text[i];
}

/* The stamp of @folder if it is one of @member's, or NULL. */
static const char *stamp_in(const char *folder,
			    const struct fl_campaign_member *member)
{
	const char *name = name_of(member);
	const char *quick = is_quick(member) ? "-quick-" : "-";
	const size_t n = strlen(name), m = strlen(quick);

	if (strncmp(folder, name, n) || strncmp(folder + n, quick, m) ||
	    !is_stamp(folder + n + m))
		return NULL;
	return folder + n + m;
}

/* The newest stamp of any folder of the set; "" if there is none. */
static void newest_stamp(const struct fl_campaign_set *set, const char *parent,
			 char stamp[STAMP_BYTES])
{
	struct dirent *entry;
	DIR *dir = opendir(parent);

	*stamp = '\0';
	while (dir && (entry = readdir(dir)))
		for (size_t i = 0; i < set->nr; i++) {
			const char *found = stamp_in(entry->d_name,
						     &set->members[i]);

			if (found && strcmp(found, stamp) > 0)
				memcpy(stamp, found, STAMP_BYTES);
		}
	if (dir)
		closedir(dir);
}

static void stamp_now(char stamp[STAMP_BYTES])
{
	const time_t now = time(NULL);
	struct tm utc;

	gmtime_r(&now, &utc);
	strftime(stamp, STAMP_BYTES, "%Y%m%d-%H%M%S", &utc);
}

static int name_outputs(struct fl_campaign_set *set, const char *parent,
			const char *stamp, bool fresh, struct fl_complaint *why)
{
	struct stat st;

	for (size_t i = 0; i < set->nr; i++) {
		struct fl_campaign_member *m = &set->members[i];

		free(m->output);
		if (asprintf(&m->output, "%s/%s%s-%s", parent, name_of(m),
			     is_quick(m) ? "-quick" : "", stamp) < 0) {
			m->output = NULL;
			return no_memory(why);
		}
		if (fresh && !stat(m->output, &st))
			return -EEXIST;
	}
	return 0;
}

/* Two sets that begin in one second are two sets. */
static int choose_outputs(struct fl_campaign_set *set, const char *parent,
			  bool resume, struct fl_complaint *why)
{
	char stamp[STAMP_BYTES];
	int err;

	if (resume) {
		newest_stamp(set, parent, stamp);
		if (!*stamp)
			return fl_complain(why, -ENOENT, "--resume: %s holds no folder of %s in the %s profile: leave out --resume to begin",
				parent, set->nr > 1 ? "these experiments" :
					name_of(&set->members[0]),
				set->quick ? "quick" : "full");
		return name_outputs(set, parent, stamp, false, why);
	}
	do {
		stamp_now(stamp);
		err = name_outputs(set, parent, stamp, true, why);
		if (err == -EEXIST)
			usleep(100000);
	} while (err == -EEXIST);
	return err;
}

/* ---- the kernel's matrix ------------------------------------------------------- */

static int run_matrix(const struct fl_campaign_member *member,
		      const char *parent, struct fl_complaint *why)
{
	char *const argv[] = {
		(char *)"faultline", (char *)"kernel", (char *)"--output",
		member->output, NULL
	};
	char path[PATH_MAX];
	int status, null;
	pid_t child;

	snprintf(path, sizeof(path), "%s/" MATRIX_FILE, member->output);
	if (!access(path, F_OK)) {
		printf("%s: is there already\n", path);
		return 0;
	}
	if (mkdir(parent, 0777) && errno != EEXIST)
		return fl_complain(why, -errno, "%s: %s", parent, strerror(errno));
	fflush(stdout);
	child = fork();
	if (child < 0)
		return fl_complain(why, -errno, "fork: %s", strerror(errno));
	if (!child) {
		null = open("/dev/null", O_WRONLY);
		if (null >= 0)
			dup2(null, STDOUT_FILENO);
		execv(SELF, argv);
		_exit(127);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && !WEXITSTATUS(status)) {
		printf("%s, the running kernel was asked\nresults in %s\n",
		       MATRIX_NAME, member->output);
		return 0;
	}
	if ((WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) ||
	    (WIFEXITED(status) && WEXITSTATUS(status) == 130))
		return fl_complain(why, -EINTR, "interrupted");
	return fl_complain(why, -EIO, "faultline kernel --output %s: failed",
			   member->output);
}

/* ---- all of it --------------------------------------------------------------------- */

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Of the members from @first on, what is to be run. */
static void estimate(const struct fl_campaign_set *set,
		     const struct fl_campaign_options *options, size_t first,
		     uint64_t *samples, double *seconds)
{
	struct fl_complaint why;

	*samples = 0;
	*seconds = 0;
	for (size_t i = first; i < set->nr; i++) {
		struct fl_campaign_options of = *options;
		uint64_t nr = 0;
		double s = 0;

		of.output = set->members[i].output;
		if (!set->members[i].matrix &&
		    !fl_campaign_estimate(&set->members[i].plan, &of, &nr, &s,
					  &why)) {
			*samples += nr;
			*seconds += s;
		}
	}
}

static int run_member(const struct fl_campaign_set *set, size_t i,
		      const struct fl_campaign_options *options,
		      const char *parent, struct fl_complaint *why)
{
	const struct fl_campaign_member *m = &set->members[i];
	struct fl_campaign_options of = *options;
	char left[16];
	double all_s;
	uint64_t nr;

	if (set->nr > 1) {
		estimate(set, options, i, &nr, &all_s);
		fl_progress_time(all_s, left, sizeof(left));
		printf("%s[%zu/%zu] %s: %llu samples to go in all, about %s\n",
		       i ? "\n" : "", i + 1, set->nr, name_of(m),
		       (unsigned long long)nr, left);
		fflush(stdout);
	}
	if (m->matrix)
		return run_matrix(m, parent, why);
	of.output = m->output;
	of.place = i + 1;
	of.nr_places = set->nr;
	estimate(set, options, i + 1, &nr, &of.later_s);
	return fl_campaign_run(&m->plan, &of, why);
}

int fl_campaign_set_run(struct fl_campaign_set *set,
			const struct fl_campaign_options *options,
			const char *parent, bool resume,
			struct fl_complaint *why)
{
	const double start = now_s();
	size_t nr_failed = 0;
	char took[16];
	int err = choose_outputs(set, parent, resume, why), first = 0;

	for (size_t i = 0; i < set->nr && !err; i++) {
		struct fl_complaint one = { "" };

		err = run_member(set, i, options, parent, &one);
		if (err == -EINTR && set->nr > 1) {
			fl_complain(why, err, "stopped in %s, experiment %zu of %zu; all that was measured is recorded, and the same command with --resume goes on",
				    name_of(&set->members[i]), i + 1, set->nr);
			return err;
		}
		if (err && set->nr > 1) {
			fflush(stdout);
			fprintf(stderr, "faultline: %s\n", one.text);
			nr_failed++;
			first = first ? first : err;
			err = 0;
		} else if (err) {
			*why = one;
		}
	}
	if (err || set->nr < 2)
		return err;
	if (nr_failed)
		return fl_complain(why, first, "%zu of %zu experiments could not be run; --resume tries them again",
				   nr_failed, set->nr);
	fl_progress_time(now_s() - start, took, sizeof(took));
	printf("\n%zu experiments (%s) below %s; next: faultline verdict", set->nr,
	       took, parent);
	for (size_t i = 0; i < set->nr && strcmp(parent, "results"); i++)
		printf(" %s", set->members[i].output);
	putchar('\n');
	return 0;
}

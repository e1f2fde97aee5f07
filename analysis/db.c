/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analysis/db_make.h"
#include "analysis/results.h"

/* What of a source the database is made from. */
static const char *const files[] = {
	"campaign.json", FL_DB_KERNEL, FL_RESULTS_LINES, FL_RESULTS_PACKED,
};

/* Those of them that say what was begun, and when. */
#define NR_ABOUT	2

#define NR_FILES	(sizeof(files) / sizeof(files[0]))

static int no_memory(struct fl_complaint *why)
{
	return fl_complain(why, -ENOMEM, "%s", strerror(ENOMEM));
}

char *fl_db_name(const char *dir)
{
	char *whole = realpath(dir, NULL), *name;
	const char *slash;

	if (!whole)
		return strdup(dir);
	slash = strrchr(whole, '/');
	name = strdup(slash && slash[1] ? slash + 1 : whole);
	free(whole);
	return name;
}

/* Size and time of @file in @dir; 0 and 0 if it is not there. */
static void look_at(const char *dir, const char *file, int64_t *bytes,
		    int64_t *mtime_ns)
{
	char path[PATH_MAX];
	struct stat st;

	*bytes = *mtime_ns = 0;
	if (snprintf(path, sizeof(path), "%s/%s", dir, file) <
		    (int)sizeof(path) && !stat(path, &st)) {
		*bytes = st.st_size;
		*mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 +
			    st.st_mtim.tv_nsec;
	}
}

bool fl_db_is_source(const char *dir)
{
	int64_t bytes, mtime_ns;

	for (size_t i = 0; i < NR_FILES; i++) {
		look_at(dir, files[i], &bytes, &mtime_ns);
		if (mtime_ns)
			return true;
	}
	return false;
}

/* ---- a database that is there already ------------------------------------- */

static int64_t one_number(sqlite3 *db, const char *sql, const char *text,
			  int campaign, const char *file)
{
	sqlite3_stmt *query;
	int64_t value = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &query, NULL))
		return -1;
	if (text)
		sqlite3_bind_text(query, 1, text, -1, SQLITE_STATIC);
	else if (file) {
		sqlite3_bind_int(query, 1, campaign);
		sqlite3_bind_text(query, 2, file, -1, SQLITE_STATIC);
	}
	if (sqlite3_step(query) == SQLITE_ROW)
		value = sqlite3_column_int64(query, 0);
	sqlite3_finalize(query);
	return value;
}

static bool holds(sqlite3 *db, int campaign, const char *dir)
{
	char *name = fl_db_name(dir);
	bool same = name && one_number(db, "SELECT id FROM campaign WHERE dir = ?",
				       name, 0, NULL) == campaign;

	free(name);
	for (size_t i = 0; i < NR_FILES && same; i++) {
		int64_t bytes, mtime_ns;

		look_at(dir, files[i], &bytes, &mtime_ns);
		same = one_number(db, "SELECT bytes FROM source WHERE campaign = ? AND file = ?",
				  NULL, campaign, files[i]) == bytes &&
		       one_number(db, "SELECT mtime_ns FROM source WHERE campaign = ? AND file = ?",
				  NULL, campaign, files[i]) == mtime_ns;
	}
	return same;
}

/* NULL: there is none that would do. */
static sqlite3 *open_made(const char *file, const char *const *dirs, size_t nr,
			  bool unlike)
{
	sqlite3 *db = NULL;
	bool good;

	good = !access(file, R_OK) &&
	       !sqlite3_open_v2(file, &db, SQLITE_OPEN_READONLY, NULL) &&
	       one_number(db, "PRAGMA user_version", NULL, 0, NULL) ==
		       FL_DB_VERSION &&
	       one_number(db, "PRAGMA application_id", NULL, 0, NULL) <=
		       unlike &&
	       one_number(db, "SELECT count(*) FROM campaign", NULL, 0, NULL) ==
		       (int64_t)nr;
	for (size_t i = 0; i < nr && good; i++)
		good = holds(db, (int)i + 1, dirs[i]);
	if (good && !fl_db_add_functions(db))
		return db;
	sqlite3_close(db);
	return NULL;
}

/* ---- a new one -------------------------------------------------------------- */

static int note_files(sqlite3 *db, int campaign, const char *dir,
		      struct fl_complaint *why)
{
	for (size_t i = 0; i < NR_FILES; i++) {
		int64_t bytes, mtime_ns;
		char *sql;
		int bad;

		look_at(dir, files[i], &bytes, &mtime_ns);
		sql = sqlite3_mprintf("INSERT INTO source VALUES (%d, %Q, %lld, %lld)",
				      campaign, files[i], (long long)bytes,
				      (long long)mtime_ns);
		if (!sql)
			return no_memory(why);
		bad = sqlite3_exec(db, sql, NULL, NULL, NULL);
		sqlite3_free(sql);
		if (bad)
			return fl_db_wrong(db, why);
	}
	return 0;
}

/* In memory; keeping it is a step of its own. */
static int make(const char *const *dirs, size_t nr,
		const struct fl_db_options *options, sqlite3 **out,
		struct fl_complaint *why)
{
	json_t *seen = json_object();
	sqlite3 *db = NULL;
	char version[80];
	int err;

	if (!seen || sqlite3_open(":memory:", &db) || fl_db_add_functions(db)) {
		json_decref(seen);
		sqlite3_close(db);
		return no_memory(why);
	}
	snprintf(version, sizeof(version),
		 "PRAGMA user_version = %d; PRAGMA application_id = %d; BEGIN",
		 FL_DB_VERSION, options->unlike);
	err = sqlite3_exec(db, version, NULL, NULL, NULL) ?
	      fl_db_wrong(db, why) : fl_db_make_tables(db, why);
	/* Looked at before they are read: what is appended meanwhile is new. */
	for (size_t i = 0; i < nr && !err; i++) {
		err = note_files(db, (int)i + 1, dirs[i], why);
		if (!err)
			err = fl_db_load(db, (int)i + 1, dirs[i], options,
					 seen, why);
	}
	if (!err)
		err = fl_db_make_views(db, why);
	if (!err && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL))
		err = fl_db_wrong(db, why);
	json_decref(seen);
	if (err)
		sqlite3_close(db);
	else
		*out = db;
	return err;
}

/* Beside its place, then renamed: nobody sees half of it. */
static int keep(sqlite3 *db, const char *file, struct fl_complaint *why)
{
	char *beside = NULL, *sql = NULL;
	int err = 0;

	if (asprintf(&beside, "%s.%ld", file, (long)getpid()) < 0)
		return no_memory(why);
	sql = sqlite3_mprintf("VACUUM INTO %Q", beside);
	if (!sql)
		err = no_memory(why);
	else if (sqlite3_exec(db, sql, NULL, NULL, NULL))
		err = fl_complain(why, -EIO, "%s: %s; name another file with --db",
				  file, sqlite3_errmsg(db));
	else if (rename(beside, file))
		err = fl_complain(why, -errno, "%s: %s", file, strerror(errno));
	if (err)
		unlink(beside);
	sqlite3_free(sql);
	free(beside);
	return err;
}

/* What is no database was not made here, and may be all there is of something. */
static int check_replaceable(const char *file, struct fl_complaint *why)
{
	static const char magic[] = "SQLite format 3";
	char start[sizeof(magic)] = "";
	FILE *from = fopen(file, "re");
	size_t n;

	if (!from)
		return 0;
	n = fread(start, 1, sizeof(start), from);
	fclose(from);
	return !n || (n == sizeof(magic) && !memcmp(start, magic, n)) ? 0 :
	       fl_complain(why, -EEXIST, "%s: is there already, and no database: name another file with --db",
			   file);
}

static int check_dirs(const char *const *dirs, size_t nr,
		      struct fl_complaint *why)
{
	struct stat a, b;

	for (size_t i = 0; i < nr; i++) {
		if (stat(dirs[i], &a))
			return fl_complain(why, -errno, "%s: %s", dirs[i],
					   strerror(errno));
		for (size_t k = 0; k < i; k++)
			if (!stat(dirs[k], &b) && a.st_ino == b.st_ino &&
			    a.st_dev == b.st_dev)
				return fl_complain(why, -EINVAL,
					"%s and %s are one directory: name it once",
					dirs[k], dirs[i]);
	}
	return 0;
}

int fl_db_open(const char *const *dirs, size_t nr,
	       const struct fl_db_options *options, sqlite3 **out,
	       struct fl_complaint *why)
{
	char *file = NULL;
	int err = check_dirs(dirs, nr, why);

	if (err)
		return err;
	if (options->file)
		file = strdup(options->file);
	else if (nr == 1 && asprintf(&file, "%s/" FL_DB_FILE, dirs[0]) < 0)
		file = NULL;
	if (!file && (options->file || nr == 1))
		return no_memory(why);
	*out = file ? open_made(file, dirs, nr, options->unlike) : NULL;
	if (*out)
		goto out_free;
	err = options->file ? check_replaceable(file, why) : 0;
	if (!err)
		err = make(dirs, nr, options, out, why);
	if (!err && file) {
		/* Nobody asked for the one beside the lines: it saves time. */
		err = keep(*out, file, options->file ? why : NULL);
		if (!options->file)
			err = 0;
		if (err)
			sqlite3_close(*out);
	}
out_free:
	free(file);
	return err;
}

/* ---- what there is ------------------------------------------------------------ */

struct found {
	char *path, *experiment, *started;
};

static int by_experiment(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int order = strcmp(x->experiment, y->experiment);

	return order ? order : strcmp(y->started, x->started);
}

static char *text_in(const json_t *json, const char *key, const char *fallback)
{
	const char *text = json_string_value(json_object_get(json, key));

	return strdup(text ? text : fallback);
}

/* Takes @path.  Which is no source, or cannot be read, is passed over here. */
static int add_found(struct found **list, size_t *nr, char *path)
{
	struct found *more, one = { .path = path };
	json_t *json = NULL;
	bool kernel = false;

	for (size_t i = 0; i < NR_ABOUT && !json; i++) {
		char *file;

		if (asprintf(&file, "%s/%s", path, files[i]) < 0)
			break;
		json = json_load_file(file, 0, NULL);
		kernel = !strcmp(files[i], FL_DB_KERNEL);
		free(file);
	}
	if (!json) {
		free(path);
		return 0;
	}
	one.experiment = kernel ? strdup("kernel") :
				  text_in(json, "campaign", "?");
	one.started = text_in(json, "started", "");
	json_decref(json);
	more = reallocarray(*list, *nr + 1, sizeof(*more));
	if (more)
		*list = more;
	if (!more || !one.experiment || !one.started) {
		free(one.experiment);
		free(one.started);
		free(path);
		return -ENOMEM;
	}
	more[(*nr)++] = one;
	return 0;
}

static int find_all(const char *parent, struct found **list, size_t *nr)
{
	struct dirent *entry;
	DIR *dir = opendir(parent);
	int err = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (entry = readdir(dir))) {
		char *path;

		if (*entry->d_name == '.')
			continue;
		if (asprintf(&path, "%s/%s", parent, entry->d_name) < 0)
			err = -ENOMEM;
		else
			err = add_found(list, nr, path);
	}
	closedir(dir);
	return err;
}

int fl_db_newest(const char *parent, char ***out, size_t *nr)
{
	struct found *list = NULL;
	char **paths = NULL;
	size_t nr_list = 0, nr_paths = 0;
	int err = find_all(parent, &list, &nr_list);

	if (nr_list)
		qsort(list, nr_list, sizeof(*list), by_experiment);
	if (!err && nr_list) {
		paths = calloc(nr_list, sizeof(*paths));
		err = paths ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < nr_list; i++) {
		if (!err && (!i || strcmp(list[i].experiment,
					  list[i - 1].experiment))) {
			paths[nr_paths++] = list[i].path;
			list[i].path = NULL;
		}
	}
	for (size_t i = 0; i < nr_list; i++) {
		free(list[i].path);
		free(list[i].experiment);
		free(list[i].started);
	}
	free(list);
	if (!err) {
		*out = paths;
		*nr = nr_paths;
	}
	return err;
}

static int add_source(char ***list, size_t *nr, char *path)
{
	char **more = path ? reallocarray(*list, *nr + 1, sizeof(*more)) : NULL;

	if (!more) {
		free(path);
		return -ENOMEM;
	}
	more[(*nr)++] = path;
	*list = more;
	return 0;
}

int fl_db_sources(const char *const *dirs, size_t nr_dirs, char ***out,
		  size_t *nr, struct fl_complaint *why)
{
	static const char *const usual[] = { "results" };
	const bool none = !nr_dirs;
	char **list = NULL, **below;
	size_t nr_list = 0, nr_below;
	int err = 0;

	if (none) {
		dirs = usual;
		nr_dirs = 1;
	}
	for (size_t i = 0; i < nr_dirs && !err; i++) {
		below = NULL;
		nr_below = 0;
		if (none || !fl_db_is_source(dirs[i]))
			err = fl_db_newest(dirs[i], &below, &nr_below);
		/* Who reads it says what is wrong with it. */
		if (!nr_below && !none) {
			err = add_source(&list, &nr_list, strdup(dirs[i]));
			continue;
		}
		for (size_t k = 0; k < nr_below; k++)
			if (err)
				free(below[k]);
			else
				err = add_source(&list, &nr_list, below[k]);
		free(below);
	}
	if (err)
		fl_complain(why, err, "%s", strerror(-err));
	else if (!nr_list)
		err = fl_complain(why, -ENOENT, "results/ holds no campaign: name the directory of one, or run `faultline campaign --all`");
	if (err) {
		fl_db_free_list(list, nr_list);
		return err;
	}
	*out = list;
	*nr = nr_list;
	return 0;
}

void fl_db_free_list(char **list, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		free(list[i]);
	free(list);
}

/* ---- hosts ---------------------------------------------------------------------- */

static char *differ_at(const json_t *a, const json_t *b, const char *at)
{
	char *x, *y, *text = NULL;
	const char *key;
	json_t *value;

	if (json_is_object(a) && json_is_object(b)) {
		json_object_foreach((json_t *)a, key, value) {
			const json_t *other = json_object_get(b, key);
			char *deeper, *found;

			if (!other)
				continue;
			if (asprintf(&deeper, "%s%s%s", at, *at ? "." : "",
				     key) < 0)
				return NULL;
			found = differ_at(value, other, deeper);
			free(deeper);
			if (found)
				return found;
		}
		return NULL;
	}
	if (json_equal(a, b))
		return NULL;
	x = json_dumps(a, JSON_ENCODE_ANY | JSON_COMPACT);
	y = json_dumps(b, JSON_ENCODE_ANY | JSON_COMPACT);
	if (asprintf(&text, "%s is %.120s, and was %.120s", at, y ? y : "?",
		     x ? x : "?") < 0)
		text = NULL;
	free(x);
	free(y);
	return text;
}

char *fl_db_unlike(const json_t *a, const json_t *b)
{
	return a && b ? differ_at(a, b, "") : NULL;
}

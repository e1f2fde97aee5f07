/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "harness/campaign_dir.h"

#define LOCK		"lock"
#define PLAN		"plan.ini"
#define CAMPAIGN	"campaign.json"
#define RESULTS		"results.jsonl"
#define PACKED		RESULTS ".xz"

/* A power cut loses at most the samples of so many seconds; a kill none. */
#define SYNC_S		2.0

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What people can do about it. */
static const char *remedy(int err)
{
	switch (-err) {
	case ENOSPC:
	case EDQUOT:
		return "; make room, and the same command goes on from here";
	case EFBIG:
		return "; raise the file size limit (ulimit -f), and the same command goes on from here";
	case EACCES:
	case EPERM:
	case EROFS:
		return "; choose a folder you may write with --output";
	default:
		return "";
	}
}

static int complain_of(const struct fl_campaign_dir *dir, const char *file,
		       int err, struct fl_complaint *why)
{
	return fl_complain(why, err, "%s/%s: %s%s", dir->path, file,
			   strerror(-err), remedy(err));
}

static void full_path(char *to, const char *dir, const char *file)
{
	/* open_dir refused what would not fit. */
	snprintf(to, PATH_MAX, "%s/%s", dir, file);
}

static int make_parents(char *path)
{
	for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
		int failed;

		*slash = '\0';
		failed = mkdir(path, 0777);
		*slash = '/';
		if (failed && errno != EEXIST)
			return -errno;
	}
	return 0;
}

/* Does it hold anything that a campaign does not write before campaign.json? */
static bool is_foreign(const char *path)
{
	static const char *const ours[] = {
		LOCK, PLAN, PLAN ".new", CAMPAIGN ".new", NULL,
	};
	DIR *dir = opendir(path);
	const struct dirent *entry;
	bool foreign = false, begun = false;

	while (dir && (entry = readdir(dir))) {
		size_t i = 0;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		begun |= !strcmp(entry->d_name, CAMPAIGN);
		while (ours[i] && strcmp(ours[i], entry->d_name))
			i++;
		foreign |= !ours[i];
	}
	if (dir)
		closedir(dir);
	return foreign && !begun;
}

static int lock(struct fl_campaign_dir *dir, struct fl_complaint *why)
{
	char path[PATH_MAX], holder[32] = "";
	ssize_t n;
	int err;

	full_path(path, dir->path, LOCK);
	dir->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (dir->lock_fd < 0)
		return complain_of(dir, LOCK, -errno, why);
	if (flock(dir->lock_fd, LOCK_EX | LOCK_NB)) {
		err = -errno;
		n = pread(dir->lock_fd, holder, sizeof(holder) - 1, 0);
		holder[n > 0 ? strspn(holder, "0123456789") : 0] = '\0';
		return err == -EWOULDBLOCK ?
			fl_complain(why, err,
				"%s: another campaign writes there%s%s: wait for it, or choose another --output",
				dir->path, *holder ? ", process " : "", holder) :
			complain_of(dir, LOCK, err, why);
	}
	/* For people; a full disk is found out when it matters. */
	n = ftruncate(dir->lock_fd, 0) ? -1 : dprintf(dir->lock_fd, "%d\n",
						      (int)getpid());
	(void)n;
	return 0;
}

int fl_campaign_dir_open(const char *path, bool fresh,
			 struct fl_campaign_dir *out, struct fl_complaint *why)
{
	struct fl_campaign_dir dir = {
		.path = strdup(path), .lock_fd = -1, .results_fd = -1,
	};
	size_t n = strlen(path);
	struct stat st;
	int err;

	if (!dir.path)
		return fl_complain(why, -ENOMEM, "%s: %s", path,
				   strerror(ENOMEM));
	while (n > 1 && dir.path[n - 1] == '/')
		dir.path[--n] = '\0';
	err = !n ? -ENOENT : n > PATH_MAX - 32 ? -ENAMETOOLONG :
	      make_parents(dir.path);
	if (!err && mkdir(dir.path, 0777))
		err = -errno;
	if (err == -EEXIST && fresh) {
		free(dir.path);
		return err;
	}
	if (err == -EEXIST && !stat(dir.path, &st))
		err = S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	if (err) {
		fl_complain(why, err, "%s: %s%s", path, strerror(-err),
			    remedy(err));
		goto out_free_path;
	}
	if (is_foreign(dir.path)) {
		err = fl_complain(why, -ENOTEMPTY,
			"%s: there are files but no " CAMPAIGN ", so it is no campaign's folder: choose another --output",
			path);
		goto out_free_path;
	}
	err = lock(&dir, why);
	if (err)
		goto out_free_path;
	*out = dir;
	return 0;

out_free_path:
	if (dir.lock_fd >= 0)
		close(dir.lock_fd);
	free(dir.path);
	return err;
}

void fl_campaign_dir_close(struct fl_campaign_dir *dir)
{
	if (dir->results_fd >= 0)
		close(dir->results_fd);
	close(dir->lock_fd);
	free(dir->path);
	*dir = (struct fl_campaign_dir){ .lock_fd = -1, .results_fd = -1 };
}

static int write_all(int fd, const char *from, size_t bytes)
{
	while (bytes) {
		ssize_t n = write(fd, from, bytes);

		if (n < 0)
			return -errno;
		from += n;
		bytes -= (size_t)n;
	}
	return 0;
}

/* The whole file or none of it. */
static int write_file(struct fl_campaign_dir *dir, const char *name,
		      const char *text, size_t bytes, struct fl_complaint *why)
{
	char path[PATH_MAX], new_path[PATH_MAX + 8];
	int fd, err;

	full_path(path, dir->path, name);
	snprintf(new_path, sizeof(new_path), "%s.new", path);
	fd = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return complain_of(dir, name, -errno, why);
	err = write_all(fd, text, bytes);
	if (!err && fsync(fd))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	if (!err && rename(new_path, path))
		err = -errno;
	if (err) {
		unlink(new_path);
		return complain_of(dir, name, err, why);
	}
	/* So that the name is there as well after a power cut. */
	fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	return 0;
}

int fl_campaign_dir_begin(struct fl_campaign_dir *dir, const char *plan,
			  size_t plan_bytes, const json_t *campaign,
			  struct fl_complaint *why)
{
	char *text = json_dumps(campaign, JSON_INDENT(2)), *line;
	int err;

	if (!text || asprintf(&line, "%s\n", text) < 0) {
		free(text);
		return complain_of(dir, CAMPAIGN, -ENOMEM, why);
	}
	err = write_file(dir, PLAN, plan, plan_bytes, why);
	if (!err)
		err = write_file(dir, CAMPAIGN, line, strlen(line), why);
	free(line);
	free(text);
	return err;
}

int fl_campaign_dir_recorded(const char *path, json_t **campaign,
			     struct fl_complaint *why)
{
	char file[PATH_MAX];
	json_error_t error;
	json_t *json;

	*campaign = NULL;
	if (snprintf(file, sizeof(file), "%s/" CAMPAIGN, path) >=
	    (int)sizeof(file))
		return fl_complain(why, -ENAMETOOLONG, "%s: %s", path,
				   strerror(ENAMETOOLONG));
	if (access(file, F_OK) && errno == ENOENT)
		return 0;
	json = json_load_file(file, JSON_REJECT_DUPLICATES, &error);
	if (!json)
		return fl_complain(why, -EINVAL,
			"%s:%d: %s: it cannot be resumed from; choose another --output",
			file, error.line, error.text);
	if (json_integer_value(json_object_get(json, "schema")) != 1) {
		json_decref(json);
		return fl_complain(why, -EINVAL,
			"%s: not of schema 1, which is all this faultline knows: choose another --output",
			file);
	}
	*campaign = json;
	return 0;
}

/* Is @line a sample's?  Returns what is wrong, in @room. */
static const char *take_line(const char *line, size_t bytes,
			     const char *(*take)(void *, const json_t *),
			     void *context, char *room, size_t room_bytes)
{
	const char *wrong;
	json_error_t error;
	json_t *json;

	if (!bytes)
		return "empty";
	json = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, &error);
	if (!json) {
		snprintf(room, room_bytes, "no JSON (%s)", error.text);
		return room;
	}
	if (json_integer_value(json_object_get(json, "schema")) != 1)
		wrong = "no sample of schema 1";
	else
		wrong = take(context, json);
	json_decref(json);
	return wrong;
}

int fl_campaign_dir_results(const char *path, bool tell,
			    const char *(*take)(void *context,
						const json_t *line),
			    void *context, struct fl_complaint *why)
{
	char file[PATH_MAX + 16], room[256], *line = NULL;
	size_t line_room = 0;
	uint64_t nr = 0;
	FILE *from;
	ssize_t n;
	int err = 0;

	snprintf(file, sizeof(file), "%s/" RESULTS, path);
	from = fopen(file, "re");
	if (!from)
		return errno == ENOENT ? 0 :
			fl_complain(why, -errno, "%s: %s", file,
				    strerror(errno));
	while ((n = getline(&line, &line_room, from)) > 0) {
		const bool torn = line[n - 1] != '\n';
		const char *wrong;

		nr++;
		wrong = take_line(line, (size_t)n - !torn, take, context, room,
				  sizeof(room));
		if (wrong && tell)
			fprintf(stderr,
				"faultline: %s:%" PRIu64 ": %s%s; ignored, the line stays as it is\n",
				file, nr, torn ? "torn line: " : "", wrong);
	}
	if (ferror(from))
		err = fl_complain(why, -errno, "%s: %s", file, strerror(errno));
	free(line);
	fclose(from);
	return err;
}

int fl_campaign_dir_append(struct fl_campaign_dir *dir,
			   struct fl_complaint *why)
{
	char path[PATH_MAX], last = '\n';
	struct stat st;
	int err = 0;

	full_path(path, dir->path, PACKED);
	if (!access(path, F_OK))
		return fl_complain(why, -EROFS,
			"%s: the lines are packed, to be read and not added to: choose another --output",
			path);
	full_path(path, dir->path, RESULTS);
	dir->results_fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC,
			       0666);
	if (dir->results_fd < 0 || fstat(dir->results_fd, &st))
		return complain_of(dir, RESULTS, -errno, why);
	if (st.st_size && pread(dir->results_fd, &last, 1, st.st_size - 1) != 1)
		return complain_of(dir, RESULTS, errno ? -errno : -EIO, why);
	if (last != '\n')
		err = write_all(dir->results_fd, "\n", 1);
	if (err)
		return complain_of(dir, RESULTS, err, why);
	dir->synced_s = now_s();
	return 0;
}

int fl_campaign_dir_sync(struct fl_campaign_dir *dir, struct fl_complaint *why)
{
	/* EINVAL: not something that can be synchronised, such as a pipe. */
	if (dir->unsynced && fdatasync(dir->results_fd) && errno != EINVAL)
		return complain_of(dir, RESULTS, -errno, why);
	dir->unsynced = false;
	dir->synced_s = now_s();
	return 0;
}

int fl_campaign_dir_add(struct fl_campaign_dir *dir, const char *line,
			size_t bytes, struct fl_complaint *why)
{
	/* After a short write the rest is tried, if only to learn why. */
	int err = write_all(dir->results_fd, line, bytes);

	if (err)
		return complain_of(dir, RESULTS, err, why);
	dir->unsynced = true;
	return now_s() - dir->synced_s < SYNC_S ? 0 :
	       fl_campaign_dir_sync(dir, why);
}

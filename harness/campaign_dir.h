/* SPDX-License-Identifier: MIT */
/*
 * harness/campaign_dir.h: a campaign's directory: who may write it, what it was
 * begun with, and the lines of its samples.  results/SCHEMA.md describes it.
 *
 *	lock		held (flock) by the campaign that writes
 *	plan.ini	copy of the plan
 *	campaign.json	what the campaign was begun with; its presence says that
 *			the directory is one, so it is written last, and once
 *	results.jsonl	a line for each sample, appended; never changed
 *
 * A "fence" is a newline appended to a torn line, so that what is appended next
 * has a line of its own.
 *
 * Context: cold.
 */
#ifndef FL_CAMPAIGN_DIR_H
#define FL_CAMPAIGN_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "harness/complain.h"

struct fl_campaign_dir {
	char *path;
	int lock_fd;
	int results_fd;			/* -1: not open */
	double synced_s;		/* monotonic time of the last fdatasync */
	bool unsynced;
};

/*
 * fl_campaign_dir_open: Make the directory at @path, with its parents, if it is
 * not there, and lock it.
 * @fresh: it must not be there yet (-EEXIST, without a complaint).
 * Returns 0, or with a complaint -EWOULDBLOCK (another campaign writes there),
 * -ENOTDIR, -ENOTEMPTY (there are files, but it is no campaign's), or -errno.
 */
int fl_campaign_dir_open(const char *path, bool fresh,
			 struct fl_campaign_dir *dir, struct fl_complaint *why);
void fl_campaign_dir_close(struct fl_campaign_dir *dir);

/*
 * fl_campaign_dir_begin: Write plan.ini and then campaign.json, each under
 * another name first, to disk.
 */
int fl_campaign_dir_begin(struct fl_campaign_dir *dir, const char *plan,
			  size_t plan_bytes, const json_t *campaign,
			  struct fl_complaint *why);

/*
 * fl_campaign_dir_recorded: What the campaign was begun with, from the directory
 * at @path; it need not be open.
 * Returns 0 with a new reference in *@campaign, or NULL there if there is no
 * campaign.json; -EINVAL: it is none, or of another schema.
 */
int fl_campaign_dir_recorded(const char *path, json_t **campaign,
			     struct fl_complaint *why);

/*
 * fl_campaign_dir_results: Call @take for each line of results.jsonl that is a
 * JSON object of our schema; say on standard error, if @tell, which lines are not.
 * A line without its newline that is valid all the same counts.
 * @take: returns NULL, or what is wrong with the line.
 * Returns 0 (also when there is no such file) or -errno with a complaint.
 */
int fl_campaign_dir_results(const char *path, bool tell,
			    const char *(*take)(void *context,
						const json_t *line),
			    void *context, struct fl_complaint *why);

/* fl_campaign_dir_append: Open results.jsonl for appending, and fence it. */
int fl_campaign_dir_append(struct fl_campaign_dir *dir,
			   struct fl_complaint *why);

/*
 * fl_campaign_dir_add: Append @bytes bytes, one line with its newline, in one
 * write(2); now and then wait until it is on disk.
 * Returns 0, or -errno with a complaint: -ENOSPC, -EDQUOT, -EFBIG, -EIO, ...
 * Then the line may be torn, and the next fl_campaign_dir_append fences it.
 */
int fl_campaign_dir_add(struct fl_campaign_dir *dir, const char *line,
			size_t bytes, struct fl_complaint *why);

/* fl_campaign_dir_sync: Wait until all of it is on disk. */
int fl_campaign_dir_sync(struct fl_campaign_dir *dir, struct fl_complaint *why);

#endif

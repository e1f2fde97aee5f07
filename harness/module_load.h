/* SPDX-License-Identifier: MIT */
/*
 * harness/module_load.h: strategy modules as files: find, check, load, set up.
 *
 * The harness never names a strategy.  A module is any file NAME.so in the
 * module directories, or a path given by the user, that exports
 * faultline_strategy with the right magic, ABI version and sizes.
 *
 * Context: cold, single-threaded.
 */
#ifndef FL_MODULE_LOAD_H
#define FL_MODULE_LOAD_H

#include <stdio.h>

#include "faultline/kernel.h"
#include "harness/complain.h"

#define FL_TUNABLES_MAX	32

struct fl_module {
	char *path;			/* of the file */
	void *handle;
	const struct fl_strategy *strategy;
};

/*
 * fl_module_load: Load the file at @path and check it.
 * Returns 0, or with a complaint that names the file and the remedy: -ENOENT,
 * -ENOEXEC (not loadable, no symbol, wrong magic or kind), -EPROTO (built for
 * another ABI version).  Nothing stays loaded after a failure.
 */
int fl_module_load(const char *path, struct fl_module *module,
		   struct fl_complaint *why);

/*
 * fl_module_named: Load by strategy name, from the module directories, or by
 * path when @name has a slash.  For an unknown name the complaint suggests the
 * nearest one.
 */
int fl_module_named(const char *name, struct fl_module *module,
		    struct fl_complaint *why);

void fl_module_unload(struct fl_module *module);

/*
 * fl_modules_list: Paths of all module files, sorted by name.  The directories
 * are those of FAULTLINE_MODULES (colon-separated) if it is set; else the build
 * tree's when the command runs from one; else the installed one.
 * @paths: out, NULL-terminated, caller frees with fl_modules_list_free.
 * Returns the number (>= 0) or -errno.
 */
int fl_modules_list(char ***paths, struct fl_complaint *why);
void fl_modules_list_free(char **paths);

/* The strategy name a path stands for: its stem.  Caller frees. */
char *fl_module_stem(const char *path);

/*
 * fl_tunables_defaults, fl_tunables_set: Fill @values (FL_TUNABLES_MAX), then
 * change what @settings says: "name=value" separated by commas or spaces.
 * Sizes take K, M, G, T.  Returns 0 or -EINVAL with a complaint that names the
 * tunable, its range and the nearest known name.  @settings may be NULL.
 */
void fl_tunables_defaults(const struct fl_strategy *strategy, uint64_t *values);
int fl_tunables_set(const struct fl_strategy *strategy, const char *settings,
		    uint64_t *values, struct fl_complaint *why);

/* The index of the tunable called @name, or -1. */
int fl_tunable_index(const struct fl_strategy *strategy, const char *name);

/* Write one value as fl_tunables_set would read it: "64K", "16", "thread". */
void fl_tunable_format(const struct fl_tunable *tunable, uint64_t value,
		       char *out, size_t out_bytes);

/*
 * fl_parse_bytes: "4096", "64K", "1M", "2G", "1T" (powers of 1,024).
 * Returns 0, -EINVAL (no number or unknown suffix) or -ERANGE.
 */
int fl_parse_bytes(const char *text, uint64_t *bytes);

/* The reverse, exact: "64K", "1M", "1536", at least 24 characters of room. */
void fl_format_bytes(uint64_t bytes, char *out, size_t out_bytes);

/* "register", "memory"; "timed", ...; "never", "branch", "extend", "redirect" */
const char *fl_residence_name(enum fl_residence residence);
const char *fl_mode_name(enum fl_mode mode);
const char *fl_answer_name(enum fl_answer answer);

/*
 * fl_kernel_find: The instance of @strategy with these properties, or NULL.
 */
const struct fl_kernel *fl_kernel_find(const struct fl_strategy *strategy,
				       const char *name, uint32_t object_bytes,
				       enum fl_residence residence,
				       enum fl_mode mode);

#endif

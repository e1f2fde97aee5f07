/* SPDX-License-Identifier: MIT */
/*
 * harness/module_load.h: modules as files: find, check, load.
 *
 * The harness names neither a strategy nor a bench.  A module is any file NAME.so
 * in the directories of its kind, or a path given by the user, that exports
 * faultline_strategy or faultline_bench with the right magic, ABI version and
 * sizes.
 *
 * Context: cold, single-threaded.
 */
#ifndef FL_MODULE_LOAD_H
#define FL_MODULE_LOAD_H

#include <stdio.h>

#include "faultline/kernel.h"
#include "harness/complain.h"
#include "harness/tunables.h"

enum fl_module_kind { FL_MODULE_STRATEGY, FL_MODULE_BENCH };

struct fl_module {
	char *path;			/* of the file */
	void *handle;
	const struct fl_strategy *strategy;	/* NULL if it is a bench */
	const struct fl_bench *bench;		/* NULL if it is a strategy */
	struct fl_tunables tunables;
};

/*
 * fl_module_load: Load the file at @path and check it.
 * Returns 0, or with a complaint that names the file and the remedy: -ENOENT,
 * -ENOEXEC (not loadable, no symbol, wrong magic or kind), -EPROTO (built for
 * another ABI version).  Nothing stays loaded after a failure.
 */
int fl_module_load(enum fl_module_kind kind, const char *path,
		   struct fl_module *module, struct fl_complaint *why);

/*
 * fl_module_named: Load by name, from the module directories, or by
 * path when @name has a slash.  NAME@BUILD is NAME as it was built another time,
 * by another compiler or into another layout: BUILD/NAME.so beside NAME.so, with
 * '/' for each '@' in BUILD (NAME@clang, NAME@layout1, NAME@clang@layout1).  For an
 * unknown name the complaint suggests the nearest one.
 */
int fl_module_named(enum fl_module_kind kind, const char *name,
		    struct fl_module *module, struct fl_complaint *why);

/*
 * fl_module_others: The other builds of the module at @path, as "clang layout1
 * layout2", with blanks between several; "" if none did, NULL without memory.
 * Caller frees.
 */
char *fl_module_others(const char *path);

void fl_module_unload(struct fl_module *module);

/*
 * fl_modules_list: Paths of all module files, sorted by name.  The directories
 * are those of FAULTLINE_MODULES, for benches FAULTLINE_BENCHES (colon-separated),
 * if it is set; else the build tree's when the command runs from one; else the
 * installed one.
 * @paths: out, NULL-terminated, caller frees with fl_modules_list_free.
 * Returns the number (>= 0) or -errno.
 */
int fl_modules_list(enum fl_module_kind kind, char ***paths,
		    struct fl_complaint *why);
void fl_modules_list_free(char **paths);

/* The name a path stands for: its stem.  Caller frees. */
char *fl_module_stem(const char *path);

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

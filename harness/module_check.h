/* SPDX-License-Identifier: MIT */
/*
 * harness/module_check.h: is the table that a module exports what it must be?
 *
 * Magic, ABI version and sizes are looked at before anything else in it.  What
 * a field's contents promise is conformance's to judge, or the sample's.
 *
 * Both functions return 0, or with a complaint that begins with @path: -ENOEXEC
 * (no such table, or something required is not there), -EPROTO (built for
 * another ABI version).
 *
 * Context: cold.
 */
#ifndef FL_MODULE_CHECK_H
#define FL_MODULE_CHECK_H

#include "harness/module_load.h"

int fl_module_check_strategy(const char *path, const struct fl_strategy *s,
			     struct fl_complaint *why);
int fl_module_check_bench(const char *path, const struct fl_bench *b,
			  struct fl_complaint *why);

#endif

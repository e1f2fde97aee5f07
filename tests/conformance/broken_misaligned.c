/* SPDX-License-Identifier: MIT */
/*
 * Knows no alignment above 256 bytes.  Caught by: alignment, random.
 */
#define NAME		"broken_misaligned"
#define PLACE(bump, n, align)						\
	fl_align_down((bump) - (n), (align) > 256 ? 256 : (align))
#include "tests/conformance/base.h"

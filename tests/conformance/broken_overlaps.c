/* SPDX-License-Identifier: MIT */
/*
 * Hands out the last 8 bytes of an object again, as the end of the next one.
 * Caught by: overlap, contents, random, verify-kernels, timed-kernels.
 */
#define NAME		"broken_overlaps"
#define NEXT(p, n)	((p) + ((n) > 8 ? 8 : 0))
#include "tests/conformance/base.h"

/* SPDX-License-Identifier: MIT */
/*
 * Moves bump up where objects go down, and so out of the block.
 * Caught by: overlap, ranges, random.
 */
#define NAME		"broken_wrong_way"
#define NEXT(p, n)	((p) + 2 * (n))
#include "tests/conformance/base.h"

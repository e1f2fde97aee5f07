/* SPDX-License-Identifier: MIT */
/*
 * Writes the region that it is going to return before it knows that there is
 * one.  Caught by: region-limit.
 */
#define NAME				"broken_writes_early"
#define AT_CREATE(heap, out)		(*(out) = NULL)
#include "tests/conformance/base.h"

/* SPDX-License-Identifier: MIT */
/*
 * Does not count the refills for large objects.  Caught by: geometry.
 */
#define NAME			"broken_counts"
#define COUNT(heap, block)						\
	((heap)->pub.events.nr_refills += (block)->order == 0)
#include "tests/conformance/base.h"

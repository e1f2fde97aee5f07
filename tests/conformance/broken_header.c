/* SPDX-License-Identifier: MIT */
/*
 * Writes a link into the block it leaves, where an object may lie.
 * Caught by: contents, verify-kernels, timed-kernels.
 */
#define NAME	"broken_header"
#define AT_REFILL(region, block)					\
	(*(struct fl_block **)(void *)(region)->newest->base = (block))
#include "tests/conformance/base.h"

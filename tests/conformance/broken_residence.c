/* SPDX-License-Identifier: MIT */
/*
 * Uses the region's cursor where the kernel has a copy in registers, which is
 * written back later.  Caught by: verify-kernels, random-program.
 */
#define NAME			"broken_residence"
#define CURSOR(region, copy)	(&(region)->cursor)
#include "tests/conformance/base.h"

/* SPDX-License-Identifier: MIT */
/*
 * The base with a handler in the place of the compare.  Caught by: nothing.
 */
#define NAME	"sound_faults"
#define FAULTS
#include "tests/conformance/base.h"

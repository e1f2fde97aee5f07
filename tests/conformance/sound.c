/* SPDX-License-Identifier: MIT */
/*
 * The base as it is: what is broken in the files beside it is broken in them
 * alone.  Caught by: nothing.
 */
#define NAME	"sound"
#include "tests/conformance/base.h"

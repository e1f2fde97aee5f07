/* SPDX-License-Identifier: MIT */
/*
 * Reports exhausted memory by another name.
 * Caught by: exhaustion, exhausted-kernels.
 */
#define NAME			"broken_other_error"
#define EXHAUSTED(pub)		((pub)->error = -EAGAIN)
#include "tests/conformance/base.h"

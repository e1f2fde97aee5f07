/* SPDX-License-Identifier: MIT */
/*
 * Serves from the sink when memory is exhausted and tells nobody.
 * Caught by: exhaustion, exhausted-kernels.
 */
#define NAME			"broken_silent"
#define EXHAUSTED(pub)		((void)(pub))
#include "tests/conformance/base.h"

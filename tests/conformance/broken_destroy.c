/* SPDX-License-Identifier: MIT */
/*
 * Never uses a destroyed region's record again.  Caught by: destroy.
 */
#define NAME				"broken_destroy"
#define GIVE_RECORD(heap, region)	((void)(heap), (void)(region))
#include "tests/conformance/base.h"

/* SPDX-License-Identifier: MIT */
/*
 * Its probe leaves a descriptor open.  Caught by: probe.
 */
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

static int leaky_probe(const uint64_t *values, char *reason, size_t reason_bytes)
{
	(void)values;
	(void)reason;
	(void)reason_bytes;
	return dup(0) < 0;
}

#define NAME			"broken_probe"
#define MORE_OF_THE_TABLE	.probe = leaky_probe,
#include "tests/conformance/base.h"

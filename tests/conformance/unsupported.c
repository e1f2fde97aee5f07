/* SPDX-License-Identifier: MIT */
/*
 * The base, whose probe refuses to run here.  Caught by: nothing.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

static int refuse(const uint64_t *values, char *reason, size_t reason_bytes)
{
	(void)values;
	snprintf(reason, reason_bytes, "there is no such kernel yet");
	return -ENOTSUP;
}

#define NAME			"unsupported"
#define MORE_OF_THE_TABLE	.probe = refuse,
#include "tests/conformance/base.h"

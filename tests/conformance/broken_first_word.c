/* SPDX-License-Identifier: MIT */
/*
 * Does not store a first word of 0, as memory from the kernel is 0 already.  It
 * is the first time.  Caught by: first-word.
 */
#define NAME		"broken_first_word"
#define STORE(p, word)							\
	do {								\
		if (word)						\
			*(uint64_t *)(void *)(p) = (word);		\
	} while (0)
#include "tests/conformance/base.h"

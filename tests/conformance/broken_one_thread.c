/* SPDX-License-Identifier: MIT */
/*
 * Belongs to the first thread that opens a heap.  Caught by: two-threads.
 */
#include <errno.h>
#include <stdbool.h>

static int users;
static __thread bool user;

/* Does another thread use the module? */
static bool taken(void)
{
	if (!user)
		user = __atomic_fetch_add(&users, 1, __ATOMIC_ACQ_REL) == 0;
	return !user;
}

#define NAME	"broken_one_thread"
#define AT_OPEN()							\
	do {								\
		if (taken()) {						\
			fl_blocks_close(*heap);				\
			return -EBUSY;					\
		}							\
	} while (0)
#include "tests/conformance/base.h"

/* SPDX-License-Identifier: MIT */
/*
 * Has room for 255 regions, whatever it was told.  Caught by: many-regions.
 */
#define NAME	"broken_few_regions"
#define AT_CREATE(heap, out)						\
	do {								\
		if ((heap)->nr_records > 255)				\
			return -ENOMEM;					\
	} while (0)
#include "tests/conformance/base.h"

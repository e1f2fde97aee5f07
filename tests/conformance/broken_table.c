/* SPDX-License-Identifier: MIT */
/*
 * Declares a tunable whose default is out of its range.  (A choice of nothing is
 * refused when the module is loaded.)
 * Caught by: table.
 */
#include "faultline/strategy.h"

static const struct fl_tunable tunables[] = {
	{
		.name = "depth", .unit = "", .kind = FL_TUNABLE_COUNT,
		.help = "of nothing", .def = 0, .min = 1, .max = 8,
	},
};

#define NAME	"broken_table"
#define MORE_OF_THE_TABLE	.tunables = tunables, .nr_tunables = 1,
#include "tests/conformance/base.h"

/* SPDX-License-Identifier: MIT */
/* Calls a function that nobody has. */
#include "faultline/strategy.h"

int faultline_test_no_such_function(void);

extern int call_it(void);
int call_it(void)
{
	return faultline_test_no_such_function();
}

extern const struct fl_strategy faultline_strategy;
const struct fl_strategy faultline_strategy = {
	.magic = FL_MAGIC, .name = "undefined",
};

/* SPDX-License-Identifier: MIT */
/*
 * Changes the action of a signal and leaves it so.  Caught by: handlers.
 */
#include <signal.h>

#define NAME		"broken_keeps_handlers"
#define AT_OPEN()	signal(SIGBUS, SIG_IGN)
#include "tests/conformance/base.h"

/* SPDX-License-Identifier: MIT */
/*
 * harness/oracle.h: a strategy too simple to be wrong, compiled from the same
 * kernels: one arena per region, bumped upwards, a bounds check that aborts.
 * What its kernels return is what every module's must return.
 */
#ifndef FL_ORACLE_H
#define FL_ORACLE_H

#include "faultline/strategy.h"

extern const struct fl_strategy fl_oracle;

#endif

/* SPDX-License-Identifier: MIT */
/* A shared object like any other, and no strategy. */
extern const int something_else;
const int something_else = 42;

/* SPDX-License-Identifier: MIT */
/*
 * harness/commands.h: the subcommands of `faultline`, one per cmd_*.c.
 *
 * Each takes its own argv (argv[0] is "faultline NAME") and returns the exit
 * status: 0; 1 when something measured or tested failed; 2 when what the user
 * wrote makes no sense; 77 when this host cannot do it; 130 when interrupted.
 */
#ifndef FL_COMMANDS_H
#define FL_COMMANDS_H

#define FL_EXIT_OK		0
#define FL_EXIT_FAILED		1
#define FL_EXIT_USAGE		2
#define FL_EXIT_UNSUPPORTED	77
#define FL_EXIT_INTERRUPTED	130

int fl_cmd_advise(int argc, char **argv);
int fl_cmd_bench(int argc, char **argv);
int fl_cmd_campaign(int argc, char **argv);
int fl_cmd_compare(int argc, char **argv);
int fl_cmd_conform(int argc, char **argv);
int fl_cmd_kernel(int argc, char **argv);
int fl_cmd_list(int argc, char **argv);
int fl_cmd_query(int argc, char **argv);
int fl_cmd_report(int argc, char **argv);
int fl_cmd_run(int argc, char **argv);
int fl_cmd_trace(int argc, char **argv);
int fl_cmd_verdict(int argc, char **argv);

#endif

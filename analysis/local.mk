# SPDX-License-Identifier: MIT

libharness_a_SOURCES += \
	%D%/cmd_report.c \
	%D%/plot.c \
	%D%/plot.h \
	%D%/report.h \
	%D%/report_text.c \
	%D%/results.c \
	%D%/results.h \
	%D%/stats.c \
	%D%/stats.h \
	%D%/summary.c \
	%D%/summary.h \
	%D%/table.c \
	%D%/table.h

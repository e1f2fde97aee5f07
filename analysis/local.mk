# SPDX-License-Identifier: MIT

libharness_a_SOURCES += \
	%D%/plot.h \
	%D%/results.c \
	%D%/results.h \
	%D%/stats.c \
	%D%/stats.h \
	%D%/summary.c \
	%D%/summary.h \
	%D%/table.c \
	%D%/table.h

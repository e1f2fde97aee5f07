# SPDX-License-Identifier: MIT

libharness_a_SOURCES += \
	%D%/advice.c \
	%D%/advice.h \
	%D%/advise.c \
	%D%/advise.h \
	%D%/advise_arms.c \
	%D%/advise_json.c \
	%D%/advise_plan.c \
	%D%/advise_read.c \
	%D%/advise_say.c \
	%D%/breakeven.c \
	%D%/breakeven.h \
	%D%/claims.c \
	%D%/claims.h \
	%D%/cmd_advise.c \
	%D%/cmd_compare.c \
	%D%/cmd_query.c \
	%D%/cmd_report.c \
	%D%/cmd_verdict.c \
	%D%/compare.c \
	%D%/compare.h \
	%D%/db.c \
	%D%/db.h \
	%D%/db_functions.c \
	%D%/db_load.c \
	%D%/db_make.h \
	%D%/html.c \
	%D%/html.h \
	%D%/palette.c \
	%D%/palette.h \
	%D%/plot.c \
	%D%/plot.h \
	%D%/plot_bench.c \
	%D%/plot_bench.h \
	%D%/plot_breakeven.c \
	%D%/plot_data.c \
	%D%/plot_data.h \
	%D%/plot_pages.c \
	%D%/plot_pages.h \
	%D%/plot_query.c \
	%D%/plot_query.h \
	%D%/report.c \
	%D%/report.h \
	%D%/report_about.c \
	%D%/report_all.c \
	%D%/report_all.h \
	%D%/report_bench.c \
	%D%/report_bench.h \
	%D%/report_breakeven.c \
	%D%/report_breakeven.h \
	%D%/report_builds.c \
	%D%/report_builds.h \
	%D%/report_page.c \
	%D%/report_page.h \
	%D%/report_text.c \
	%D%/report_when.c \
	%D%/report_when.h \
	%D%/results.c \
	%D%/results.h \
	%D%/stats.c \
	%D%/stats.h \
	%D%/summary.c \
	%D%/summary.h \
	%D%/summary_builds.c \
	%D%/summary_json.c \
	%D%/summary_make.h \
	%D%/summary_sweeps.c \
	%D%/summary_words.c \
	%D%/svg.c \
	%D%/svg.h \
	%D%/svg_marks.c \
	%D%/verdict.c

# Reads code and writes results: experiments/10-slow-path.
nobase_dist_pkgdata_DATA += %D%/sitecache.pl
nobase_dist_pkgdata_DATA += %D%/sitecode.pl

# SPDX-License-Identifier: MIT
#
# The command.  All of it but main() is in an archive, so that tests link the
# code that measures instead of a copy of it.

bin_PROGRAMS += faultline
noinst_LIBRARIES += libharness.a

AM_CPPFLAGS += $(GSL_CFLAGS) $(INIH_CFLAGS) $(JANSSON_CFLAGS) $(LZMA_CFLAGS) $(NETTLE_CFLAGS) $(SQLITE_CFLAGS)

HARNESS_LIBS = libharness.a libfaultline.la \
	$(GSL_LIBS) $(INIH_LIBS) $(JANSSON_LIBS) $(LZMA_LIBS) $(NETTLE_LIBS) $(SQLITE_LIBS) $(URING_LIBS) -ldl -lm

faultline_SOURCES = %D%/main.c
faultline_LDADD = $(HARNESS_LIBS)
# None of what AM_LDFLAGS says for modules.
faultline_LDFLAGS = $(BINDING_LDFLAGS)

libharness_a_SOURCES = \
	%D%/account.c \
	%D%/account.h \
	%D%/bench_run.c \
	%D%/bench_run.h \
	%D%/campaign.c \
	%D%/campaign.h \
	%D%/campaign_begin.c \
	%D%/campaign_child.c \
	%D%/campaign_child.h \
	%D%/campaign_dir.c \
	%D%/campaign_dir.h \
	%D%/campaign_order.c \
	%D%/campaign_sample.c \
	%D%/campaign_set.c \
	%D%/campaign_set.h \
	%D%/campaign_state.c \
	%D%/campaign_state.h \
	%D%/cell.c \
	%D%/cell.h \
	%D%/clock.c \
	%D%/clock.h \
	%D%/cmd_bench.c \
	%D%/cmd_campaign.c \
	%D%/cmd_conform.c \
	%D%/cmd_kernel.c \
	%D%/cmd_list.c \
	%D%/cmd_run.c \
	%D%/cmd_trace.c \
	%D%/commands.h \
	%D%/complain.c \
	%D%/complain.h \
	%D%/conform.c \
	%D%/conform.h \
	%D%/conform_check.h \
	%D%/conform_chunk.c \
	%D%/conform_fault.c \
	%D%/conform_guard.c \
	%D%/conform_heap.c \
	%D%/conform_kernel.c \
	%D%/conform_random.c \
	%D%/conform_shadow.c \
	%D%/counters.c \
	%D%/counters.h \
	%D%/digest.c \
	%D%/digest.h \
	%D%/experiments.c \
	%D%/experiments.h \
	%D%/fingerprint.c \
	%D%/fingerprint.h \
	%D%/hist.c \
	%D%/hist.h \
	%D%/keyfile.c \
	%D%/keyfile.h \
	%D%/ledger.c \
	%D%/ledger.h \
	%D%/listing.c \
	%D%/listing.h \
	%D%/matrix.c \
	%D%/matrix.h \
	%D%/matrix_access.c \
	%D%/matrix_answer.c \
	%D%/matrix_cost.c \
	%D%/matrix_guard.c \
	%D%/matrix_range.c \
	%D%/matrix_rseq.c \
	%D%/matrix_say.c \
	%D%/matrix_sysctl.c \
	%D%/matrix_sysctl.h \
	%D%/matrix_trap.c \
	%D%/matrix_trap.h \
	%D%/matrix_uffd.c \
	%D%/metrics.c \
	%D%/metrics.h \
	%D%/model.c \
	%D%/model.h \
	%D%/module_check.c \
	%D%/module_check.h \
	%D%/module_load.c \
	%D%/module_load.h \
	%D%/oracle.c \
	%D%/oracle.h \
	%D%/plan.c \
	%D%/plan.h \
	%D%/plan_bench.c \
	%D%/plan_cell.c \
	%D%/plan_read.c \
	%D%/plan_read.h \
	%D%/programs.c \
	%D%/programs.h \
	%D%/progress.c \
	%D%/progress.h \
	%D%/quiet.c \
	%D%/quiet.h \
	%D%/sample.c \
	%D%/sample.h \
	%D%/table.c \
	%D%/table.h \
	%D%/trace.c \
	%D%/trace.h \
	%D%/trace_source.c \
	%D%/trace_source.h \
	%D%/tunables.c \
	%D%/tunables.h \
	%D%/watch.c \
	%D%/watch.h \
	%D%/workload.c \
	%D%/workload.h

# SPDX-License-Identifier: MIT
#
# A unit test is one file, %D%/unit/test_NAME.c, and one line in the list of
# programs.  A test in shell is one executable file, %D%/FOLDER/NAME.test, and one
# line in the list of scripts; see %D%/tap.sh for what it can use.

TEST_EXTENSIONS = .test
TEST_SECONDS = 600

tap_driver = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(tap_driver)
TEST_LOG_DRIVER = $(tap_driver)
LOG_COMPILER = $(top_srcdir)/%D%/run-one $(TEST_SECONDS)
TEST_LOG_COMPILER = $(LOG_COMPILER)

# Absolute, because tests change folder.  FAULTLINE_MODULES,
# FAULTLINE_BENCHES and FAULTLINE_DATA make sure that the command uses what is
# here, whatever the user's environment says.
AM_TESTS_ENVIRONMENT = \
	srcdir='$(abs_top_srcdir)'; export srcdir; \
	builddir='$(abs_top_builddir)'; export builddir; \
	CC='$(CC)'; export CC; \
	CLANG='$(CLANG)'; export CLANG; \
	PDFLATEX='$(PDFLATEX)'; export PDFLATEX; \
	BIBTEX='$(BIBTEX)'; export BIBTEX; \
	FL_EXHAUSTIVE='$(FL_EXHAUSTIVE)'; export FL_EXHAUSTIVE; \
	FAULTLINE_MODULES='$(abs_top_builddir)/strategies/.libs'; export FAULTLINE_MODULES; \
	FAULTLINE_BENCHES='$(abs_top_builddir)/benches/.libs'; export FAULTLINE_BENCHES; \
	FAULTLINE_DATA='$(abs_top_srcdir)'; export FAULTLINE_DATA; \
	TEST_MODULES='$(abs_top_builddir)/%D%/modules/.libs'; export TEST_MODULES; \
	FAULTLINE='$(abs_top_builddir)/faultline'; export FAULTLINE; \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT;

# Programs' own sources are automake's default, NAME.c.
AM_CPPFLAGS += $(CMOCKA_CFLAGS)
LDADD = $(HARNESS_LIBS) $(CMOCKA_LIBS)

# The longest tests come first.
TESTS += $(long_tests) $(script_tests)

unit_tests = \
	%D%/unit/test_advice \
	%D%/unit/test_bench_trap \
	%D%/unit/test_blocks \
	%D%/unit/test_breakeven \
	%D%/unit/test_builder \
	%D%/unit/test_census \
	%D%/unit/test_clock \
	%D%/unit/test_counters \
	%D%/unit/test_digest \
	%D%/unit/test_fault \
	%D%/unit/test_fault_resume \
	%D%/unit/test_fault_rig \
	%D%/unit/test_fingerprint \
	%D%/unit/test_fork \
	%D%/unit/test_giveback \
	%D%/unit/test_giveback_ops \
	%D%/unit/test_growdown \
	%D%/unit/test_hist \
	%D%/unit/test_large \
	%D%/unit/test_ledger \
	%D%/unit/test_matrix \
	%D%/unit/test_model \
	%D%/unit/test_module_load \
	%D%/unit/test_place \
	%D%/unit/test_plan \
	%D%/unit/test_plot \
	%D%/unit/test_quiet \
	%D%/unit/test_read \
	%D%/unit/test_reserve \
	%D%/unit/test_results \
	%D%/unit/test_retain \
	%D%/unit/test_rseq \
	%D%/unit/test_stats \
	%D%/unit/test_summary \
	%D%/unit/test_table \
	%D%/unit/test_trace \
	%D%/unit/test_turn \
	%D%/unit/test_uffd \
	%D%/unit/test_uffd_fill \
	%D%/unit/test_uffd_service \
	%D%/unit/test_uffd_spans \
	%D%/unit/test_watch \
	%D%/unit/test_workload \
	%D%/unit/test_written

if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
else
TESTS += %D%/unit/no-cmocka.test
endif

# What benches are made of, as objects of the tests' own: those of modules are
# libtool's.
%C%_unit_test_bench_trap_SOURCES = \
	%D%/unit/test_bench_trap.c \
	benches/companion.c \
	benches/trap.c
%C%_unit_test_bench_trap_CFLAGS = $(AM_CFLAGS)
%C%_unit_test_fault_rig_SOURCES = \
	%D%/unit/test_fault_rig.c \
	benches/fault_kernel.c \
	benches/fault_rig.c \
	benches/fault_segv.c
%C%_unit_test_fault_rig_CFLAGS = $(AM_CFLAGS)

%C%_unit_test_giveback_ops_SOURCES = \
	%D%/unit/test_giveback_ops.c \
	benches/companion.c \
	benches/giveback_ops.c \
	benches/giveback_other.c
%C%_unit_test_giveback_ops_CFLAGS = $(AM_CFLAGS)

# Modules that only tests load, outside the folder where the command looks.
# libtool makes a shared object only of what has an -rpath to be installed to.
test_module_ldflags = $(AM_LDFLAGS) -rpath /nowhere

check_LTLIBRARIES += %D%/modules/skeleton.la
%C%_modules_skeleton_la_SOURCES = strategies/skeleton.c
%C%_modules_skeleton_la_LDFLAGS = $(test_module_ldflags)

check_LTLIBRARIES += %D%/modules/spin.la
%C%_modules_spin_la_LDFLAGS = $(test_module_ldflags)

# What goes wrong in programs, on every fault-driven strategy.
check_PROGRAMS += %D%/fault/ordeal
%C%_fault_ordeal_SOURCES = \
	%D%/fault/common.c \
	%D%/fault/forked.c \
	%D%/fault/interrupted.c \
	%D%/fault/nested.c \
	%D%/fault/ordeal.c \
	%D%/fault/ordeal.h \
	%D%/fault/scarcity.c \
	%D%/fault/threads.c \
	%D%/fault/traced.c \
	%D%/fault/undeclared.c

# Or one of them would run at the end, alone.
long_tests = \
	%D%/codegen/codegen.test \
	%D%/conformance/broken.test \
	%D%/conformance/levels.test \
	%D%/conformance/modules.test \
	%D%/conformance/settings.test

script_tests = \
	%D%/account/account.test \
	%D%/analysis/bench-plots.test \
	%D%/analysis/benches.test \
	%D%/analysis/compare.test \
	%D%/analysis/plots.test \
	%D%/analysis/query-plots.test \
	%D%/analysis/query.test \
	%D%/analysis/reference.test \
	%D%/analysis/report-all.test \
	%D%/analysis/report.test \
	%D%/analysis/verdict.test \
	%D%/benches/builder.test \
	%D%/benches/direction.test \
	%D%/benches/fault.test \
	%D%/benches/giveback.test \
	%D%/benches/icache.test \
	%D%/benches/json.test \
	%D%/benches/large.test \
	%D%/benches/read.test \
	%D%/benches/read_job.test \
	%D%/benches/trap.test \
	%D%/build/headers.test \
	%D%/build/lists.test \
	%D%/build/one-line.test \
	%D%/build/options.test \
	%D%/build/reproduce.test \
	%D%/build/scripts.test \
	%D%/cli/advise.test \
	%D%/cli/bench.test \
	%D%/cli/campaign.test \
	%D%/cli/campaigns.test \
	%D%/cli/fresh.test \
	%D%/cli/kernel.test \
	%D%/cli/outside.test \
	%D%/codegen/conventions.test \
	%D%/codegen/large.test \
	%D%/codegen/levels.test \
	%D%/codegen/sitecache.test \
	%D%/codegen/sitecode.test \
	%D%/codegen/thunk.test \
	%D%/codegen/turn.test \
	%D%/conformance/clang.test \
	%D%/conformance/cli.test \
	%D%/conformance/layouts.test \
	%D%/examples/json.test \
	%D%/fault/debugger.test \
	%D%/fault/fork.test \
	%D%/fault/nested.test \
	%D%/fault/scarcity.test \
	%D%/fault/signals.test \
	%D%/fault/threads.test \
	%D%/fault/traced.test \
	%D%/fault/undeclared.test \
	%D%/paper/paper.test

# What tests need beside themselves.
test_helpers = \
	%D%/account/broken_far.c \
	%D%/account/broken_flickers.c \
	%D%/account/broken_hides.c \
	%D%/account/broken_hides_few.c \
	%D%/account/broken_renames.c \
	%D%/account/broken_reopens.c \
	%D%/account/broken_scribbles.c \
	%D%/account/broken_shares.c \
	%D%/account/broken_short.c \
	%D%/account/broken_takes_live.c \
	%D%/account/broken_tidies.c \
	%D%/account/broken_twice.c \
	%D%/account/broken_writes_after.c \
	%D%/account/carries_area.c \
	%D%/analysis/campaign.awk \
	%D%/cli/touches_last.c \
	%D%/cli/witness.c \
	%D%/codegen/bad.h \
	%D%/codegen/bad_call.c \
	%D%/codegen/bad_compare.c \
	%D%/codegen/bad_escape.c \
	%D%/codegen/bad_private.c \
	%D%/codegen/bad_rseq.c \
	%D%/codegen/bad_select.c \
	%D%/codegen/bad_site.c \
	%D%/codegen/bad_size.c \
	%D%/codegen/bad_sometimes.c \
	%D%/codegen/bad_word.c \
	%D%/codegen/convention.c \
	%D%/codegen/handwritten.c \
	%D%/codegen/hotloop.pl \
	%D%/codegen/large.c \
	%D%/codegen/limits.tsv \
	%D%/codegen/sitecode.c \
	%D%/codegen/sites.c \
	%D%/codegen/thunk.c \
	%D%/conformance/base.h \
	%D%/conformance/broken_chunk.c \
	%D%/conformance/broken_close.c \
	%D%/conformance/broken_counts.c \
	%D%/conformance/broken_crashes.c \
	%D%/conformance/broken_destroy.c \
	%D%/conformance/broken_errno.c \
	%D%/conformance/broken_few_regions.c \
	%D%/conformance/broken_first_word.c \
	%D%/conformance/broken_forgets_page.c \
	%D%/conformance/broken_hangs.c \
	%D%/conformance/broken_header.c \
	%D%/conformance/broken_hides_pages.c \
	%D%/conformance/broken_keeps_handlers.c \
	%D%/conformance/broken_leaves_open.c \
	%D%/conformance/broken_maps_beside.c \
	%D%/conformance/broken_maps_briefly.c \
	%D%/conformance/broken_maps_guard.c \
	%D%/conformance/broken_misaligned.c \
	%D%/conformance/broken_one_heap.c \
	%D%/conformance/broken_one_thread.c \
	%D%/conformance/broken_opens_guard.c \
	%D%/conformance/broken_other_error.c \
	%D%/conformance/broken_overlaps.c \
	%D%/conformance/broken_probe.c \
	%D%/conformance/broken_reset.c \
	%D%/conformance/broken_residence.c \
	%D%/conformance/broken_silent.c \
	%D%/conformance/broken_spins.c \
	%D%/conformance/broken_stays.c \
	%D%/conformance/broken_swallows.c \
	%D%/conformance/broken_table.c \
	%D%/conformance/broken_trim.c \
	%D%/conformance/broken_trim_idle.c \
	%D%/conformance/broken_writes_early.c \
	%D%/conformance/broken_wrong_way.c \
	%D%/conformance/sound.c \
	%D%/conformance/sound_faults.c \
	%D%/conformance/unsupported.c \
	%D%/modules/bench_table.c \
	%D%/modules/no_symbol.c \
	%D%/modules/table.c \
	%D%/modules/undefined.c \
	%D%/unit/machine.h \
	%D%/unit/uffd_touch.h

CLEANFILES += codegen-record.tsv

EXTRA_DIST += \
	%D%/installcheck.sh \
	%D%/run-one \
	%D%/sanitizers.sh \
	%D%/tap.sh \
	%D%/tsan.supp \
	%D%/unit/no-cmocka.test \
	$(long_tests) \
	$(script_tests) \
	$(test_helpers)

installcheck-local:
	$(AM_V_at)DESTDIR='$(DESTDIR)' CC='$(CC)' bindir='$(DESTDIR)$(bindir)' \
		libdir='$(DESTDIR)$(libdir)' \
		pkgdatadir='$(DESTDIR)$(pkgdatadir)' \
		pkgconfigdir='$(DESTDIR)$(pkgconfigdir)' \
		docdir='$(DESTDIR)$(docdir)' \
		$(srcdir)/%D%/installcheck.sh

# Every combination of what make check takes a part of.
.PHONY: check-all
check-all:
	@$(MAKE) $(AM_MAKEFLAGS) check FL_EXHAUSTIVE=1

# The last line of ./reproduce --check.
.PHONY: check-count
check-count:
	@$(AWK) -f $(srcdir)/build-aux/count-results.awk $(TEST_LOGS:.log=.trs)

# What runs the library and the modules, under each sanitizer, in trees of their own.
SANITIZERS = address,undefined thread
.PHONY: check-sanitizers
check-sanitizers:
	@srcdir='$(abs_top_srcdir)' builddir='$(abs_top_builddir)' CC='$(CC)' \
		$(srcdir)/%D%/sanitizers.sh $(SANITIZERS)

distclean-local:
	rm -rf sanitized

# Why results are not passes; the logs of the tests that failed.
.PHONY: check-explain check-failed
check-explain:
	@grep -hE '^(SKIP|FAIL|XPASS|ERROR): ' $(TEST_LOGS) || :
check-failed:
	@grep -lE '^:test-result: (FAIL|XPASS|ERROR)' $(TEST_LOGS:.log=.trs) | sed 's/trs$$/log/' || :

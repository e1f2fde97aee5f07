# SPDX-License-Identifier: MIT
#
# A bench is one file here and one line in this list, as a strategy is in its
# folder; what is said there about flags holds here too.  One that is more than a
# file names its sources below.

benchdir = $(pkglibdir)/benches

bench_LTLIBRARIES += %D%/builder.la
bench_LTLIBRARIES += %D%/direction.la
bench_LTLIBRARIES += %D%/fault.la
bench_LTLIBRARIES += %D%/giveback.la
bench_LTLIBRARIES += %D%/grow.la
bench_LTLIBRARIES += %D%/icache.la
bench_LTLIBRARIES += %D%/json.la
bench_LTLIBRARIES += %D%/large.la
bench_LTLIBRARIES += %D%/read.la
bench_LTLIBRARIES += %D%/read_job.la
bench_LTLIBRARIES += %D%/syscall.la
bench_LTLIBRARIES += %D%/trap.la

%C%_builder_la_SOURCES = \
	%D%/builder.c \
	%D%/builder.h \
	%D%/builder_ways.c \
	%D%/carrier.c \
	%D%/carrier.h

%C%_direction_la_SOURCES = \
	%D%/direction.c \
	%D%/steps.c \
	%D%/steps.h

%C%_fault_la_SOURCES = \
	%D%/companion.c \
	%D%/companion.h \
	%D%/fault.c \
	%D%/fault_kernel.c \
	%D%/fault_rig.c \
	%D%/fault_rig.h \
	%D%/fault_segv.c \
	%D%/fault_uffd.c

%C%_giveback_la_SOURCES = \
	%D%/companion.c \
	%D%/companion.h \
	%D%/giveback.c \
	%D%/giveback.h \
	%D%/giveback_ops.c \
	%D%/giveback_other.c

%C%_icache_la_SOURCES = \
	%D%/carrier.c \
	%D%/carrier.h \
	%D%/icache.c \
	%D%/steps.c \
	%D%/steps.h

# It has jansson parse the same documents.
%C%_json_la_SOURCES = \
	%D%/carrier.c \
	%D%/carrier.h \
	%D%/json.c \
	examples/json/doc.c \
	examples/json/doc.h
%C%_json_la_LIBADD = $(JANSSON_LIBS)

%C%_large_la_SOURCES = \
	%D%/carrier.c \
	%D%/carrier.h \
	%D%/large.c \
	%D%/large.h \
	%D%/large_ways.c
%C%_large_la_LIBADD = -lm

%C%_read_la_SOURCES = \
	%D%/carrier.c \
	%D%/carrier.h \
	%D%/read.c

%C%_read_job_la_SOURCES = \
	%D%/carrier.c \
	%D%/carrier.h \
	%D%/http.c \
	%D%/http.h \
	%D%/read_job.c

%C%_trap_la_SOURCES = \
	%D%/companion.c \
	%D%/companion.h \
	%D%/trap.c

$(bench_LTLIBRARIES): libfaultline.la

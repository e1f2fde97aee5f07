# SPDX-License-Identifier: MIT
#
# libfaultline: what Linux offers, for strategies inside and outside this tree.
# Headers named private*.h belong to the library alone and are not installed.

lib_LTLIBRARIES += libfaultline.la

libfaultline_la_SOURCES = \
	%D%/blocks.c \
	%D%/builder.c \
	%D%/census.c \
	%D%/chains.c \
	%D%/demand.c \
	%D%/fault.c \
	%D%/fault_entry.S \
	%D%/fault_resume.c \
	%D%/fork.c \
	%D%/giveback.c \
	%D%/growdown.c \
	%D%/guard.c \
	%D%/large.c \
	%D%/loans.c \
	%D%/place.c \
	%D%/private_fault_resume.h \
	%D%/read.c \
	%D%/read_ring.c \
	%D%/read_ring.h \
	%D%/reserve.c \
	%D%/retain.c \
	%D%/rseq.c \
	%D%/sanitized.h \
	%D%/spans.c \
	%D%/uffd.c \
	%D%/uffd_fill.c \
	%D%/uffd_service.c \
	%D%/uffd_spans.c \
	%D%/written.c
AM_CPPFLAGS += $(URING_CFLAGS) $(NUMA_CFLAGS)
libfaultline_la_CFLAGS = $(AM_CFLAGS) -fvisibility=default
# When functions are added: current and age go up by one; when one changes or
# goes: current goes up, age to 0.  (current:revision:age)
libfaultline_la_LDFLAGS = -version-info 0:0:0 -no-undefined $(BINDING_LDFLAGS) -export-symbols-regex '^fl_'
libfaultline_la_LIBADD = $(URING_LIBS) $(NUMA_LIBS)

# Beside the public headers, so that "vm/reserve.h" means the same inside and
# outside the tree.
vmincludedir = $(includedir)/faultline-1/vm
vminclude_HEADERS = \
	%D%/blocks.h \
	%D%/census.h \
	%D%/chains.h \
	%D%/demand.h \
	%D%/fault.h \
	%D%/fault_resume.h \
	%D%/fork.h \
	%D%/giveback.h \
	%D%/growdown.h \
	%D%/guard.h \
	%D%/loans.h \
	%D%/place.h \
	%D%/reserve.h \
	%D%/retain.h \
	%D%/rseq.h \
	%D%/spans.h \
	%D%/uffd.h \
	%D%/uffd_fill.h \
	%D%/uffd_service.h \
	%D%/uffd_spans.h \
	%D%/written.h

# SPDX-License-Identifier: MIT
#
# Programs to copy from.  They are built with the tests, and installed as source.

check_PROGRAMS += %D%/json/json

%C%_json_json_SOURCES = \
	%D%/json/doc.c \
	%D%/json/doc.h \
	%D%/json/main.c
# Objects of its own: benches/json has them with libtool.
%C%_json_json_CFLAGS = $(AM_CFLAGS)
%C%_json_json_LDADD = libfaultline.la -ldl
%C%_json_json_LDFLAGS = $(BINDING_LDFLAGS)

nobase_dist_doc_DATA += \
	%D%/json/doc.c \
	%D%/json/doc.h \
	%D%/json/main.c

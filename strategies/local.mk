# SPDX-License-Identifier: MIT
#
# A strategy is one file here and one line in this list; its name is the file's.
# No line needs a stanza: the source is automake's default (NAME.c), and flags
# and libraries come from AM_CFLAGS and AM_LDFLAGS in the top Makefile.am.

pkglib_LTLIBRARIES += %D%/block_split.la
pkglib_LTLIBRARIES += %D%/bump_down.la
pkglib_LTLIBRARIES += %D%/bump_up.la
pkglib_LTLIBRARIES += %D%/demand_zero.la
pkglib_LTLIBRARIES += %D%/grows_down.la
pkglib_LTLIBRARIES += %D%/no_check.la
pkglib_LTLIBRARIES += %D%/rseq_redirect.la
pkglib_LTLIBRARIES += %D%/segv_extend.la
pkglib_LTLIBRARIES += %D%/segv_redirect.la
pkglib_LTLIBRARIES += %D%/uffd_rw.la

# The commented example: not offered to users as a strategy, but to start one
# from.  tests/local.mk builds it.
dist_pkgdata_DATA += %D%/skeleton.c

$(pkglib_LTLIBRARIES) $(check_LTLIBRARIES): libfaultline.la

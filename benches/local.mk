# SPDX-License-Identifier: MIT
#
# A bench is one file here and one line in this list, as a strategy is in its
# folder; what is said there about flags holds here too.

benchdir = $(pkglibdir)/benches

bench_LTLIBRARIES += %D%/syscall.la

$(bench_LTLIBRARIES): libfaultline.la

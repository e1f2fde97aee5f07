# SPDX-License-Identifier: MIT

# A folder of its own, so that -I exposes nothing but "faultline/" and "vm/".
faultlineincludedir = $(includedir)/faultline-1/faultline
faultlineinclude_HEADERS = \
	%D%/faultline/bench.h \
	%D%/faultline/builder.h \
	%D%/faultline/compat.h \
	%D%/faultline/convention.h \
	%D%/faultline/cursor.h \
	%D%/faultline/kernel.h \
	%D%/faultline/large.h \
	%D%/faultline/module.h \
	%D%/faultline/program.h \
	%D%/faultline/read.h \
	%D%/faultline/rseq_site.h \
	%D%/faultline/run.h \
	%D%/faultline/site.h \
	%D%/faultline/slowpath.h \
	%D%/faultline/strategy.h \
	%D%/faultline/ticks.h

kernelsincludedir = $(includedir)/faultline-1/faultline/kernels
kernelsinclude_HEADERS = \
	%D%/faultline/kernels/chain.h \
	%D%/faultline/kernels/empty.h \
	%D%/faultline/kernels/fill.h \
	%D%/faultline/kernels/program.h \
	%D%/faultline/kernels/runs.h \
	%D%/faultline/kernels/sizes.h \
	%D%/faultline/kernels/tree.h \
	%D%/faultline/kernels/unroll.h

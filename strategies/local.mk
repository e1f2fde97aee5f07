# SPDX-License-Identifier: MIT
#
# A strategy is one file here and one line in this list; its name is the file's.
# No line needs a stanza: the source is automake's default (NAME.c), and flags
# and libraries come from AM_CFLAGS and AM_LDFLAGS in the top Makefile.am.

pkglib_LTLIBRARIES += %D%/block_split.la
pkglib_LTLIBRARIES += %D%/branch_site.la
pkglib_LTLIBRARIES += %D%/bump_down-ncsr.la
pkglib_LTLIBRARIES += %D%/bump_down-plain.la
pkglib_LTLIBRARIES += %D%/bump_down-preserve.la
pkglib_LTLIBRARIES += %D%/bump_down-thunk.la
pkglib_LTLIBRARIES += %D%/bump_down.la
pkglib_LTLIBRARIES += %D%/bump_up.la
pkglib_LTLIBRARIES += %D%/demand_zero.la
pkglib_LTLIBRARIES += %D%/elastic.la
pkglib_LTLIBRARIES += %D%/grows_down.la
pkglib_LTLIBRARIES += %D%/no_check.la
pkglib_LTLIBRARIES += %D%/reserve_loop.la
pkglib_LTLIBRARIES += %D%/reserve_run.la
pkglib_LTLIBRARIES += %D%/rseq_redirect.la
pkglib_LTLIBRARIES += %D%/segv_extend.la
pkglib_LTLIBRARIES += %D%/segv_redirect.la
pkglib_LTLIBRARIES += %D%/uffd_redirect.la
pkglib_LTLIBRARIES += %D%/uffd_rw.la

# NAME-CONVENTION is NAME.c again, with another call of the slow path:
# faultline/convention.h.  Only such a variant needs lines here, to say so.  (Not
# NAME.CONVENTION: libtool removes NAME.* when it links NAME.)
%C%_bump_down_ncsr_la_SOURCES = %D%/bump_down.c
%C%_bump_down_ncsr_la_CPPFLAGS = $(AM_CPPFLAGS) -DFL_CONVENTION=ncsr
%C%_bump_down_plain_la_SOURCES = %D%/bump_down.c
%C%_bump_down_plain_la_CPPFLAGS = $(AM_CPPFLAGS) -DFL_CONVENTION=plain
%C%_bump_down_preserve_la_SOURCES = %D%/bump_down.c
%C%_bump_down_preserve_la_CPPFLAGS = $(AM_CPPFLAGS) -DFL_CONVENTION=preserve
%C%_bump_down_thunk_la_SOURCES = %D%/bump_down.c
%C%_bump_down_thunk_la_CPPFLAGS = $(AM_CPPFLAGS) -DFL_CONVENTION=thunk

# The commented example: not offered to users as a strategy, but to start one
# from.  tests/local.mk builds it.
dist_pkgdata_DATA += %D%/skeleton.c

$(pkglib_LTLIBRARIES) $(check_LTLIBRARIES): libfaultline.la

# The same again by clang, as NAME@clang: a compare costs what the compiler makes of
# it.  Beside the others in the build tree and where they are installed; nothing
# is listed a second time.  libfaultline is the one that the command has loaded.
if HAVE_CLANG
clang_modules = $(patsubst %D%/%.la,%D%/.libs/clang/%.so,$(filter %D%/%,$(pkglib_LTLIBRARIES)))

all-local: $(clang_modules)

CLANG_FLAGS = -std=gnu11 -pthread -fvisibility=hidden $(LAYOUT_CFLAGS)

# Of the rules that match, make takes the one that leaves the shortest stem.
%D%/.libs/clang/bump_down-%.so: CONVENTION = -DFL_CONVENTION=$*
%D%/.libs/clang/bump_down-%.so: %D%/bump_down.c libfaultline.la config.h Makefile
	$(clang_module)
%D%/.libs/clang/%.so: %D%/%.c libfaultline.la config.h Makefile
	$(clang_module)

define clang_module
	@$(MKDIR_P) %D%/.libs/clang
	$(AM_V_CC)$(CLANG) $(DEFS) $(DEFAULT_INCLUDES) $(AM_CPPFLAGS) $(CONVENTION) $(CPPFLAGS) $(CLANG_FLAGS) $(CFLAGS) \
		-fPIC -MMD -MP -MF $@.d -MT $@ -shared -o $@ $< \
		-L.libs -lfaultline $(BINDING_LDFLAGS) -Wl,-z,defs -Wl,-rpath,$(libdir)
endef

-include $(wildcard %D%/.libs/clang/*.so.d)

install-exec-hook: $(clang_modules)
	$(MKDIR_P) '$(DESTDIR)$(pkglibdir)/clang'
	$(INSTALL_PROGRAM) $(clang_modules) '$(DESTDIR)$(pkglibdir)/clang'

uninstall-hook:
	for module in $(notdir $(clang_modules)); do \
		rm -f "$(DESTDIR)$(pkglibdir)/clang/$$module"; \
	done
	-rmdir '$(DESTDIR)$(pkglibdir)/clang'
endif

clean-local: clean-clang
.PHONY: clean-clang
clean-clang:
	rm -rf %D%/.libs/clang

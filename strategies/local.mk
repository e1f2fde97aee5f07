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

CLANG_FLAGS = -std=gnu11 -pthread -fvisibility=hidden $(LAYOUT_CFLAGS)
CLANG_LINK = -L.libs -lfaultline $(BINDING_LDFLAGS) -Wl,-z,defs -Wl,-rpath,$(libdir)

# Of the rules that match, make takes the one that leaves the shortest stem.
%D%/.libs/clang/bump_down-%.o: CONVENTION = -DFL_CONVENTION=$*
%D%/.libs/clang/bump_down-%.o: %D%/bump_down.c config.h Makefile
	$(clang_object)
%D%/.libs/clang/%.o: %D%/%.c config.h Makefile
	$(clang_object)
%D%/.libs/clang/%.so: %D%/.libs/clang/%.o libfaultline.la
	$(AM_V_CCLD)$(CLANG) $(CLANG_FLAGS) $(CFLAGS) -shared -o $@ $< $(CLANG_LINK)
# Not to be removed after the link: layouts are made of them, too.
.PRECIOUS: %D%/.libs/clang/%.o

define clang_object
	@$(MKDIR_P) $(@D)
	$(AM_V_CC)$(CLANG) $(DEFS) $(DEFAULT_INCLUDES) $(AM_CPPFLAGS) $(CONVENTION) $(CPPFLAGS) $(CLANG_FLAGS) $(CFLAGS) \
		-fPIC -MMD -MP -MF $@.d -MT $@ -c -o $@ $<
endef

-include $(wildcard %D%/.libs/clang/*.o.d)
# Make knows how to make any file from FILE.o; not this one.
%D%/.libs/clang/%.o.d: ;
endif

# And all of them twice more, from the same objects but behind a pad, as NAME@layout1
# and NAME@clang@layout2: docs/decisions/0031.  About thirds of a page apart,
# and on the boundaries of 64 bytes that objects ask for.
%D%/.libs/layout1/%.so %D%/.libs/clang/layout1/%.so: PAD_BYTES = 1344
%D%/.libs/layout2/%.so %D%/.libs/clang/layout2/%.so: PAD_BYTES = 2752

layout_modules = $(foreach layout,layout1 layout2,\
	$(patsubst %D%/%.la,%D%/.libs/$(layout)/%.so,$(filter %D%/%,$(pkglib_LTLIBRARIES))) \
	$(patsubst %D%/.libs/clang/%,%D%/.libs/clang/$(layout)/%,$(clang_modules)))

# How libtool calls the object of NAME, and of NAME-CONVENTION.
libtool_object = %D%/.libs/$(if $(findstring -,$*),$(subst -,_,$*)_la-$(firstword $(subst -, ,$*)),$*).o

%D%/.libs/layout1/%.so: %D%/%.la %D%/pad.S Makefile
	$(gcc_layout)
%D%/.libs/layout2/%.so: %D%/%.la %D%/pad.S Makefile
	$(gcc_layout)
%D%/.libs/clang/layout1/%.so: %D%/.libs/clang/%.o %D%/pad.S libfaultline.la Makefile
	$(clang_layout)
%D%/.libs/clang/layout2/%.so: %D%/.libs/clang/%.o %D%/pad.S libfaultline.la Makefile
	$(clang_layout)

link_padded = -shared -o $@ -DPAD_BYTES=$(PAD_BYTES) $(srcdir)/%D%/pad.S

define gcc_layout
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(CC) $(AM_CFLAGS) $(CFLAGS) $(link_padded) $(libtool_object) \
		-L.libs -lfaultline $(MODULE_LDFLAGS) -Wl,-rpath,$(libdir)
endef

define clang_layout
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(CLANG) $(CLANG_FLAGS) $(CFLAGS) $(link_padded) $< $(CLANG_LINK)
endef

EXTRA_DIST += %D%/pad.S

other_modules = $(clang_modules) $(layout_modules)

all-local: $(other_modules)

other_folders = $(sort $(dir $(patsubst %D%/.libs/%,%,$(other_modules))))

install-exec-hook: $(other_modules)
	for folder in $(other_folders); do \
		$(MKDIR_P) "$(DESTDIR)$(pkglibdir)/$$folder" && \
		$(INSTALL_PROGRAM) %D%/.libs/"$$folder"*.so "$(DESTDIR)$(pkglibdir)/$$folder" || exit; \
	done

uninstall-hook:
	for module in $(patsubst %D%/.libs/%,%,$(other_modules)); do \
		rm -f "$(DESTDIR)$(pkglibdir)/$$module"; \
	done
	-cd "$(DESTDIR)$(pkglibdir)" && rmdir layout1 layout2 clang/layout1 clang/layout2 clang

clean-local: clean-others
.PHONY: clean-others
clean-others:
	rm -rf %D%/.libs/clang %D%/.libs/layout1 %D%/.libs/layout2

# SPDX-License-Identifier: MIT
#
# faultline.m4: the macros of configure.ac that are longer than a line.

# FL_REQUIRE(PREFIX, MODULES, DEBIAN-PACKAGE)
#
# Sets PREFIX_CFLAGS and PREFIX_LIBS from pkg-config, or remembers what is
# missing for FL_REQUIRED_ARE_THERE.
AC_DEFUN([FL_REQUIRE], [
	PKG_CHECK_MODULES([$1], [$2], [], [
		AS_VAR_APPEND([fl_missing], [" $3"])
		AS_VAR_APPEND([fl_missing_modules], ["${fl_missing_modules:+, }$2"])
	])
])

# FL_REQUIRED_ARE_THERE: Stop with one message that names all that is missing.
AC_DEFUN([FL_REQUIRED_ARE_THERE], [
	AS_IF([test -n "$fl_missing"], [
		AC_MSG_ERROR([libraries are missing: $fl_missing_modules.
On Debian:  apt-get install$fl_missing
Elsewhere:  install them, and add the folder of their .pc files to PKG_CONFIG_PATH.])
	])
])

# FL_OPTIONAL(NAME, PREFIX, MODULES, DEBIAN-PACKAGE, PURPOSE)
#
# --with-NAME: required; --without-NAME: not used; neither: used when found.
# Sets have_NAME (yes or no) and defines HAVE_LIB... to 1 or 0, so that sources
# can say #if under -Wundef.
AC_DEFUN([FL_OPTIONAL], [
	AC_ARG_WITH([$1],
		[AS_HELP_STRING([--without-$1], [do not use $1 ($5); --with-$1: insist on it])],
		[], [with_$1=auto])
	have_$1=no
	AS_CASE([$with_$1],
		[no], [],
		[yes|auto], [
			PKG_CHECK_MODULES([$2], [$3], [have_$1=yes], [
				AS_IF([test "$with_$1" = yes], [
					AC_MSG_ERROR([--with-$1: $3 was not found.
Either install it (on Debian: apt-get install $4), or configure --without-$1.])
				])
			])
		],
		[AC_MSG_ERROR([--with-$1 takes no value, not "$with_$1"])])
	AC_SUBST([$2][_CFLAGS])
	AC_SUBST([$2][_LIBS])
	AS_IF([test "$have_$1" = yes], [fl_have=1], [fl_have=0])
	AC_DEFINE_UNQUOTED(m4_toupper([HAVE_$1]), [$fl_have], [1: built with $1 ($5).])
])

# FL_SECOND_COMPILER: --with-clang=PROG -> CLANG and the condition HAVE_CLANG.
#
# Strategies are built once more by clang, because what a compare costs is the
# compiler's doing as much as the machine's.  Not with sanitizers, whose run time
# is the first compiler's, and not when that is clang itself.
AC_DEFUN([FL_SECOND_COMPILER], [
	AC_ARG_WITH([clang],
		[AS_HELP_STRING([--with-clang=PROG],
			[build strategies by this clang as well (default: the newest that is found); --without-clang: do not])],
		[], [with_clang=auto])
	fl_is_clang=no
	AC_EGREP_CPP([fl_it_is], [
#ifdef __clang__
fl_it_is
#endif
	], [fl_is_clang=yes])
	have_clang=no
	CLANG=
	AS_CASE([$with_clang],
		[no], [],
		[yes|auto], [
			AS_IF([test "$fl_is_clang$enable_sanitizers" = nono],
				[AC_CHECK_PROGS([CLANG], [clang-22 clang-21 clang-20 clang-19 clang-18 clang-17 clang-16 clang-15 clang-14 clang])])
		],
		[CLANG=$with_clang])
	AS_IF([test -n "$CLANG"], [
		AC_MSG_CHECKING([whether $CLANG makes shared objects])
		echo 'int fl(void) { return 0; }' >conftest.c
		AS_IF([$CLANG -O2 -fPIC -shared -o conftest.so conftest.c >&AS_MESSAGE_LOG_FD 2>&1], [
			have_clang=yes
			fl_clang_version=`$CLANG --version | sed 1q`
		])
		rm -f conftest.c conftest.so
		AC_MSG_RESULT([$have_clang])
	])
	AS_IF([test $have_clang = no], [
		AS_CASE([$with_clang], [no|auto], [],
			[AC_MSG_ERROR([--with-clang=$with_clang: it cannot build strategies.
Either name a clang that works (on Debian: apt-get install clang-19), or configure --without-clang.])])
	])
	AC_SUBST([CLANG])
	AM_CONDITIONAL([HAVE_CLANG], [test $have_clang = yes])
])

# FL_SANITIZERS: --enable-sanitizers=LIST -> SAN_CFLAGS, for compiling and linking.
AC_DEFUN([FL_SANITIZERS], [
	AC_ARG_ENABLE([sanitizers],
		[AS_HELP_STRING([--enable-sanitizers=LIST],
			[address, undefined, address,undefined or thread])],
		[], [enable_sanitizers=no])
	SAN_CFLAGS=
	AS_CASE([$enable_sanitizers],
		[no], [],
		[address|undefined|address,undefined|undefined,address|thread], [
			SAN_CFLAGS="-fsanitize=$enable_sanitizers -fno-omit-frame-pointer"
			AS_CASE([$enable_sanitizers], [*undefined*],
				[AS_VAR_APPEND([SAN_CFLAGS], [" -fno-sanitize-recover=undefined"])])
			AC_MSG_CHECKING([whether $CC links with -fsanitize=$enable_sanitizers])
			fl_save_CFLAGS=$CFLAGS
			CFLAGS="$CFLAGS $SAN_CFLAGS"
			AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
				[AC_MSG_RESULT([yes])], [
				AC_MSG_RESULT([no])
				AC_MSG_ERROR([--enable-sanitizers=$enable_sanitizers: $CC cannot link with it.
Either install the compiler's sanitizer run time, or leave the option out.])
			])
			CFLAGS=$fl_save_CFLAGS
		],
		[AC_MSG_ERROR([--enable-sanitizers="$enable_sanitizers" is not known.
The value is address, undefined, address,undefined or thread.])])
	AC_SUBST([SAN_CFLAGS])
])

# FL_C_STRING(VARIABLE): $VARIABLE as the inside of a C string.
m4_define([FL_C_STRING], [`AS_ECHO(["$$1"]) | sed 's/[[\\""]]/\\&/g'`])

# FL_BUILD_FACTS: compiler, flags and options, for the environment fingerprint.
AC_DEFUN([FL_BUILD_FACTS], [
	fl_cc_version=`$CC --version 2>/dev/null | sed 1q`
	AS_IF([test -z "$fl_cc_version"], [fl_cc_version=$CC])
	fl_cflags="$CPPFLAGS $CFLAGS $SAN_CFLAGS"
	fl_cflags=`AS_ECHO(["$fl_cflags"]) | sed 's/^ *//; s/ *$//'`
	fl_configure=`AS_ECHO(["$ac_configure_args"]) | sed 's/^ *//'`
	fl_text=FL_C_STRING([fl_cc_version])
	AC_DEFINE_UNQUOTED([FL_BUILD_CC], ["$fl_text"], [First line of the compiler's --version.])
	fl_text=FL_C_STRING([fl_cflags])
	AC_DEFINE_UNQUOTED([FL_BUILD_CFLAGS], ["$fl_text"], [Flags that shape the code.])
	fl_text=FL_C_STRING([fl_configure])
	AC_DEFINE_UNQUOTED([FL_BUILD_CONFIGURE], ["$fl_text"], [Arguments given to configure.])
])

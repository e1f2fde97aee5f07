#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# sanitizers.sh LIST...: build a tree of its own with --enable-sanitizers=LIST for
# each LIST, in sanitized/ of the build folder, and run what executes the library
# and the modules: unit tests, conformance, faults.  make check-sanitizers calls
# it; CC is the compiler, JOBS how many processes it may use.

set -euo pipefail
: "${srcdir:?run me with make check-sanitizers}" "${builddir:?}" "${CC:?}"
# The make that runs this is none of the makes that it runs.
unset MAKEFLAGS MFLAGS MAKELEVEL

readonly flags="-O1 -g"
readonly jobs=${JOBS:-$(nproc)}

# The longest is the first.
tests_of()
{
	cd "$srcdir"
	echo tests/conformance/modules.test
	printf '%s\n' tests/fault/*.test | grep -vE '/(debugger|traced)\.test$'
	printf '%s\n' tests/unit/test_*.c | sed 's/\.c$//'
}

for list; do
	tree=$builddir/sanitized/${list//,/-}	# linkers split at commas
	mkdir -p "$tree"
	cd "$tree"
	if [ ! -f config.status ] || [ "$srcdir/configure" -nt config.status ]; then
		"$srcdir/configure" --quiet --enable-sanitizers="$list" CC="$CC" CFLAGS="$flags"
	fi
	make -s -j "$jobs" all
	mapfile -t tests < <(tests_of)
	status=0
	make -s -j "$jobs" check TESTS="${tests[*]}" >check.log 2>&1 || status=$?
	echo "$list: $(make -s check-count TESTS="${tests[*]}")"
	if [ "$status" -ne 0 ]; then
		make -s check-explain TESTS="${tests[*]}" | grep -v '^SKIP'
		echo "the whole log is $tree/check.log" >&2
		exit 1
	fi
done

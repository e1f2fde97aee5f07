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
# Everything is slower; this is still a limit.
readonly seconds=3600
readonly reported='WARNING: ThreadSanitizer|ERROR: (Address|Leak)Sanitizer|runtime error:'
readonly deadly='ERROR: AddressSanitizer: (SEGV|BUS|ABRT|stack-overflow) on '

# The longest is the first.
tests_of()
{
	if [ -n "${SANITIZED_TESTS:-}" ]; then
		tr -s ' ' '\n' <<<"$SANITIZED_TESTS"
		return
	fi
	cd "$srcdir"
	echo tests/conformance/modules.test
	printf '%s\n' tests/fault/*.test | grep -vE '/(debugger|traced)\.test$'
	printf '%s\n' tests/unit/test_*.c | sed 's/\.c$//'
}

# reports FOLDER: print what was reported there, and fail if anything was.
reports()
{
	local found=0 file

	for file in "$1"/*; do
		[ -f "$file" ] || continue
		# Not -q, which leaves the other grep to die of SIGPIPE.
		grep -Ev "$deadly" "$file" | grep -E "$reported" >/dev/null || continue
		found=$((found + 1))
		[ "$found" -gt 10 ] || grep -E "$reported|^SUMMARY:" "$file" | sort | uniq -c
	done
	[ "$found" -eq 0 ] || echo "$found processes with reports, in $1" >&2
	return $((found > 0))
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
	rm -rf reports
	mkdir -m 1777 reports	# ordinary users' processes, too
	ASAN_OPTIONS="log_path=$tree/reports/report:${ASAN_OPTIONS:-}" \
	UBSAN_OPTIONS="log_path=$tree/reports/report:print_stacktrace=1:${UBSAN_OPTIONS:-}" \
	TSAN_OPTIONS="log_path=$tree/reports/report:suppressions=$srcdir/tests/tsan.supp:${TSAN_OPTIONS:-}" \
		make -s -j "$jobs" check TESTS="${tests[*]}" TEST_SECONDS="$seconds" \
		>check.log 2>&1 || status=$?
	echo "$list: $(make -s check-count TESTS="${tests[*]}")"
	if [ "$status" -ne 0 ]; then
		make -s check-explain TESTS="${tests[*]}" | grep -v '^SKIP'
		echo "the whole log is $tree/check.log" >&2
	fi
	reports "$tree/reports" || status=1
	[ "$status" -eq 0 ] || exit 1
done

# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# tap.sh: what a test in shell needs.  The first line of such a test is
#
#	#!/usr/bin/env bash
#
# then it sources this file:
#
#	. "${srcdir:?run me with make check}/tests/tap.sh"
#
# make check sets, all absolute: srcdir, builddir (tops of the two trees),
# FAULTLINE (the command), FAULTLINE_MODULES (the folder of the strategies),
# FAULTLINE_BENCHES (the folder of the benches),
# FAULTLINE_DATA (the folder that holds plots/ and experiments/),
# TEST_MODULES (the folder of modules that only tests load), CC, and CLANG (the
# second compiler, or empty), PDFLATEX and BIBTEX (or empty).  make check-all sets
# FL_EXHAUSTIVE=1, too.
#
#	plan 3                      how many results will follow
#	plan 3 "what"               the same, and one that is skipped because "what" is
#	                            left to make check-all
#	$exhaustive                 yes under make check-all, else empty
#	skip_all "no gnuplot"       instead of plan: nothing can be tested
#	ok "what holds" COMMAND...  a result: did COMMAND succeed?
#	not_ok "..." COMMAND...     a result: did COMMAND fail (not by a signal)?
#	exits N "..." COMMAND...    a result: was COMMAND's exit status N?
#	says PATTERN "..."          a result: did the last COMMAND print a line
#	                            that the extended regular expression matches?
#	bench_runs BENCH SETTINGS OPTION...
#	                            a result: `faultline bench` works, or is skipped
#	                            because the host cannot do it and the bench says why
#	skip N "reason"             N results that could not be had
#	diag TEXT...                a comment in the log
#	$scratch                    a folder of this test's own, removed at exit
#
# What COMMAND printed goes to $scratch/out (both streams), and into the log
# when the result is bad.  A test that ends before it has kept its plan fails; so
# does one that exits with anything but 0, so bad results alone do not make it.

set -u
export LC_ALL=C
# A make that a test runs is none of the make that runs the test.
unset MAKEFLAGS MFLAGS MAKELEVEL

tap_count=0
case ${FL_EXHAUSTIVE:-0} in 0) exhaustive="" ;; *) exhaustive=yes ;; esac
scratch=$(mktemp -d "${TMPDIR:-/tmp}/faultline-test.XXXXXX") || exit 99
trap 'rm -rf "$scratch"' EXIT

plan()
{
	if [ -n "$exhaustive" ] || [ -z "${2:-}" ]; then
		echo "1..$1"
		return
	fi
	echo "1..$(($1 + 1))"
	skip 1 "left to make check-all: $2"
}

skip_all()
{
	echo "1..0 # SKIP $1"
	exit 0
}

diag()
{
	printf '%s\n' "$*" | sed 's/^/# /'
}

# tap_result GOOD DESCRIPTION: GOOD is 0 for a pass.
tap_result()
{
	tap_count=$((tap_count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tap_count - $2"
		return 0
	fi
	echo "not ok $tap_count - $2"
	[ -s "$scratch/out" ] && tail -n 40 "$scratch/out" | sed 's/^/#   /'
	return 1
}

ok()
{
	local what=$1 status

	shift
	"$@" >"$scratch/out" 2>&1
	status=$?
	[ "$status" -eq 0 ] || echo "(exit status $status: $*)" >>"$scratch/out"
	tap_result "$status" "$what"
}

not_ok()
{
	local what=$1 status

	shift
	"$@" >"$scratch/out" 2>&1
	status=$?
	[ "$status" -ne 0 ] && [ "$status" -lt 126 ]
	tap_result "$?" "$what"
}

exits()
{
	local want=$1 what=$2 status

	shift 2
	"$@" >"$scratch/out" 2>&1
	status=$?
	[ "$status" -eq "$want" ] || echo "(exit status $status: $*)" >>"$scratch/out"
	[ "$status" -eq "$want" ]
	tap_result "$?" "$what"
}

says()
{
	grep -Eq -e "$1" "$scratch/out"
	tap_result "$?" "$2"
}

skip()
{
	local i

	for ((i = 0; i < $1; i++)); do
		tap_count=$((tap_count + 1))
		echo "ok $tap_count # SKIP $2"
	done
}

bench_runs()
{
	local bench=$1 settings=$2 status

	shift 2
	"$FAULTLINE" bench "$bench" --set "$settings" "$@" >"$scratch/out" 2>&1
	status=$?
	if [ "$status" -eq 77 ] && grep -q '[a-z]' "$scratch/out"; then
		skip 1 "$bench $settings: $(head -n 1 "$scratch/out")"
		return
	fi
	[ "$status" -eq 0 ] || echo "(exit status $status)" >>"$scratch/out"
	tap_result "$status" "$bench $settings"
}

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# installcheck.sh: can someone who has only the installed files write a
# strategy?  Builds one outside the tree from the installed headers through the
# installed pkg-config file alone, and runs it with the installed command.  Then the
# installed example, as its main.c says, on an installed strategy.
#
# make installcheck sets: CC, bindir, libdir, pkgdatadir, pkgconfigdir, docdir (all with
# DESTDIR in front) and DESTDIR.

set -euo pipefail

say()
{
	echo "installcheck: $*"
}

fail()
{
	say "$*" >&2
	exit 1
}

work=$(mktemp -d "${TMPDIR:-/tmp}/faultline-installcheck.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

: "${bindir:?run me with make installcheck}" "${libdir:?}" "${pkgdatadir:?}" "${pkgconfigdir:?}" \
	"${docdir:?}"

# Nothing of the build tree may help.
unset FAULTLINE_MODULES FAULTLINE_BENCHES FAULTLINE_DATA
# The command looks where it is going to be, not where it was put for now.
if [ -n "${DESTDIR:-}" ]; then
	export FAULTLINE_MODULES=$libdir/faultline FAULTLINE_BENCHES=$libdir/faultline/benches
	export FAULTLINE_DATA=$pkgdatadir
fi
export PKG_CONFIG_PATH=$pkgconfigdir PKG_CONFIG_SYSROOT_DIR=${DESTDIR:-}
export LD_LIBRARY_PATH=$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
faultline=$bindir/faultline

sed 's/skeleton/outsider/g' "$pkgdatadir/skeleton.c" >outsider.c
# CC and pkg-config's answer are lists of words.
# shellcheck disable=SC2086,SC2046
$CC -std=gnu11 -O2 -Wall -Wextra -Werror -fPIC -shared -Wl,-z,defs \
	$(pkg-config --cflags faultline) -o outsider.so outsider.c \
	$(pkg-config --libs faultline) ||
	fail "a strategy does not build from what is installed"

exported=$(nm -D --defined-only outsider.so | awk '{ print $3 }')
[ "$exported" = faultline_strategy ] ||
	fail "a module should export faultline_strategy alone, not: $exported"

"$faultline" list >list.out || fail "faultline list failed"
for module in "$libdir"/faultline/*.so "$libdir"/faultline/benches/*.so; do
	stem=$(basename "$module" .so)
	grep -qw -e "$stem" list.out || fail "faultline list does not show $stem"
done

"$faultline" conform --module ./outsider.so >conform.out 2>&1 ||
	{ cat conform.out >&2; fail "faultline conform failed"; }
"$faultline" run --module ./outsider.so --kernel fill --ops 1M >run.out 2>&1 ||
	{ cat run.out >&2; fail "faultline run failed"; }

"$faultline" bench syscall --ops 1000 >bench.out 2>&1 ||
	{ cat bench.out >&2; fail "faultline bench failed"; }

cp "$docdir"/examples/json/*.[ch] . || fail "the example is not installed"
# shellcheck disable=SC2086,SC2046
$CC -std=gnu11 -O2 -o json main.c doc.c $(pkg-config --cflags --libs faultline) ||
	fail "the installed example does not build"
printf '{"a":[1,[2,3],"\\u00e4"]}' >some.json
for stem in bump_down bump_up demand_zero; do
	./json --strategy="$libdir/faultline/$stem.so" some.json >json.out ||
		fail "the installed example does not run on $stem"
	grep -q 'numbers add up to 6' json.out ||
		{ cat json.out >&2; fail "the installed example misreads on $stem"; }
done

say "a strategy built outside the tree conforms and runs; so does the installed example"

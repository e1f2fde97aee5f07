# SPDX-License-Identifier: MIT
#
# count-results.awk: from automake's .trs files to one line,
#
#	N passed, N failed, N skipped
#
# over all TAP results.  Fails when a result is not a pass or a skip, and when
# nothing passed, because a run of no test has shown nothing.

/^:test-result: (PASS|XFAIL)/ { passed++ }
/^:test-result: (FAIL|XPASS|ERROR)/ { failed++ }
/^:test-result: SKIP/ { skipped++ }

END {
	printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
	exit failed > 0 || passed == 0
}

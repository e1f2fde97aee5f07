# SPDX-License-Identifier: MIT

# Beside README.md, so that its links work where it is installed.
nobase_dist_doc_DATA += \
	%D%/adding-a-bench.md \
	%D%/adding-a-strategy.md \
	%D%/architecture.md \
	%D%/decisions/0001-kernels-in-each-module.md \
	%D%/decisions/0002-vm-is-a-shared-library.md \
	%D%/decisions/0003-guard-size.md \
	%D%/decisions/0004-block-descriptions-out-of-line.md \
	%D%/decisions/0005-extend-strategies-share-spans.md \
	%D%/decisions/0006-events-against-a-model.md \
	%D%/decisions/0007-userfaultfd-user-mode-and-late-wake.md \
	%D%/decisions/0008-intervals-of-paired-ratios.md \
	%D%/decisions/0009-hot-loops-start-on-a-fetch-line.md \
	%D%/decisions/0010-benches-beside-strategies.md \
	%D%/decisions/0011-mechanisms-in-one-loop.md \
	%D%/decisions/0012-return-by-iretq.md \
	%D%/decisions/0013-userfaultfd-guards-and-pools.md \
	%D%/decisions/0014-a-restartable-site-carries-its-register.md \
	%D%/decisions/0015-the-matrix-is-made-of-experiments.md \
	%D%/decisions/0016-a-slow-path-that-keeps-registers.md \
	%D%/decisions/0017-after-a-fork.md \
	%D%/decisions/0018-strategies-by-a-second-compiler.md \
	%D%/decisions/0019-a-part-of-the-matrices.md \
	%D%/decisions/0020-two-witnesses-of-pages.md \
	%D%/decisions/0021-what-is-kept-of-dead-memory.md \
	%D%/decisions/0022-blocks-that-extend.md \
	%D%/decisions/0023-slow-paths-by-convention.md \
	%D%/decisions/0024-runs-are-claimed.md \
	%D%/decisions/0025-chunks-are-lent.md \
	%D%/decisions/0026-reads-go-where-nothing-faults.md \
	%D%/decisions/0027-results-are-asked-in-sql.md \
	%D%/decisions/0028-claims-are-queries-with-two-tests.md \
	%D%/decisions/0029-neighbours-are-waited-for.md \
	%D%/decisions/0030-what-a-sample-costs.md \
	%D%/decisions/0031-strategies-in-other-layouts.md \
	%D%/decisions/0032-free-runs-are-split.md \
	%D%/decisions/0033-large-arrays-are-mappings-of-their-own.md \
	%D%/decisions/0034-short-arrays-begin-where-they-can-end.md \
	%D%/decisions/0035-direction-by-sites-alone.md \
	%D%/decisions/0036-reference-results-are-campaigns.md \
	%D%/decisions/0037-the-papers-numbers-are-queries.md \
	%D%/decisions/0038-advice-is-the-last-round-of-three-campaigns.md \
	%D%/decisions/0039-only-slow-paths-are-timed.md \
	%D%/decisions/0040-builds-take-turns.md \
	%D%/decisions/0041-what-a-builder-leaves-is-the-next-ones.md \
	%D%/decisions/0043-one-pass-in-a-heap-of-its-own.md \
	%D%/decisions/0044-drawings-in-the-page-are-shortened.md \
	%D%/decisions/0045-single-ops-are-timed-again.md \
	%D%/decisions/0046-the-page-shows-what-an-eye-tells-apart.md \
	%D%/decisions/0049-one-pass-from-opening-to-closing.md \
	%D%/decisions/0050-a-free-list-knows-who-has-been-dead-for-longest.md \
	%D%/img/crossing.svg \
	%D%/measurement.md \
	%D%/robustness.md

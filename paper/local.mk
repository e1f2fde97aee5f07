# SPDX-License-Identifier: MIT

EXTRA_DIST += \
	%D%/README.md \
	%D%/build.sh \
	%D%/check.pl \
	%D%/conclusion.tex \
	%D%/design.tex \
	%D%/introduction.tex \
	%D%/method.tex \
	%D%/numbers.ini \
	%D%/numbers.pl \
	%D%/numbers.sty \
	%D%/paper.tex \
	%D%/references.bib \
	%D%/related.tex \
	%D%/results-fast-path.tex \
	%D%/results-pages.tex \
	%D%/results-sites.tex

## The paper.  Its campaigns are in REFERENCE, a folder each; PLOTS is where `make
## plots` leaves theirs, as PDF.

PLOTS = $(abs_top_builddir)/report-plots

.PHONY: paper
paper: faultline$(EXEEXT)
	$(AM_V_at)if test -z '$(PDFLATEX)' || test -z '$(BIBTEX)'; then \
		echo "paper: skipped: no LaTeX: apt-get install the packages in build-aux/packages-paper.txt, then ./configure again"; \
	else \
		sh $(srcdir)/%D%/build.sh '$(PDFLATEX)' '$(BIBTEX)' ./faultline$(EXEEXT) $(srcdir)/%D% \
			%D% $(PLOTS) $(REFERENCE); \
	fi

CLEANFILES += \
	%D%/numbers-generated.tex \
	%D%/paper.aux \
	%D%/paper.bbl \
	%D%/paper.blg \
	%D%/paper.log \
	%D%/paper.out \
	%D%/paper.pdf \
	%D%/results.db

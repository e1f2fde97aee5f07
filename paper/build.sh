#!/bin/sh
# SPDX-License-Identifier: MIT
#
# build.sh: the paper, out of text, results and plots.
#
#	paper/build.sh PDFLATEX BIBTEX FAULTLINE SOURCE TARGET PLOTS RESULTS
#
#	SOURCE	this folder
#	TARGET	where paper.pdf is written, and all that comes before it
#	PLOTS	where plots are, as PDF; need not exist
#	RESULTS	a folder of campaigns, a folder each; need not exist
#
# What has no result or plot is said so in the paper, and here.  Exit status: 0; 1
# when a number cannot be had or LaTeX fails, with what it said last.

set -eu

pdflatex=$1 bibtex=$2 faultline=$3 source=$4 target=$5 plots=$6 results=$7
mkdir -p "$target"
for folder in faultline source target; do
	eval "path=\$$folder"
	case $path in */*) path=$(cd "$(dirname "$path")" && pwd)/$(basename "$path") ;; *)
		[ "$folder" = faultline ] || path=$(pwd)/$path ;;
	esac
	eval "$folder=\$path"
done

set --
for folder in "$results"/*/; do
	if [ -e "${folder}campaign.json" ] || [ -e "${folder}kernel.json" ]; then
		set -- "$@" "${folder%/}"
	fi
done
[ $# -gt 0 ] || echo "paper: no campaign in $results: nothing in the paper is measured"
perl "$source/numbers.pl" --faultline "$faultline" --ini "$source/numbers.ini" \
	--db "$target/results.db" --output "$target/numbers-generated.tex" "$@"

cd "$target"
TEXINPUTS=.:$source:$plots: BIBINPUTS=$source:
export TEXINPUTS BIBINPUTS

latex()
{
	"$pdflatex" -interaction=nonstopmode -halt-on-error paper >/dev/null && return
	echo "paper: LaTeX failed; $target/paper.log ends so:" >&2
	tail -n 25 paper.log >&2
	exit 1
}

latex
"$bibtex" -terse paper
latex
latex
grep -E '^(Package numbers Warning|Overfull|LaTeX Warning: (Ref|Cit))' paper.log || :
echo "paper: $target/paper.pdf"

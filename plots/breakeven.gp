# SPDX-License-Identifier: MIT
#
# plots/breakeven.gp: time of an allocation that finds the end of its block by a
# fault over that of one that finds it by a branch, against block size; below the
# line at 1 the fault wins.  Points with intervals are observed, lines with bands
# predicted.
# One panel for each compiler and residence of the cursor.
#
# Blocks of the data file; bytes and ratios on logarithmic axes:
#	frame		lowest and highest block, lowest and highest ratio
#	panels		title
#	series		panel, strategy, label, which of the panel's it is (from 0);
#			those of one panel together
#	observed NNN	of series NNN: block, ratio, interval's ends
#	predicted NNN	the same
#
# See style.gp for the variables.

load ARG0[1:strlen(ARG0) - strlen("breakeven.gp")] . "style.gp"

stats data index "frame" using (xmin = $1, xmax = $2, ymin = $3, ymax = $4, 0) nooutput
stats data index "panels" using 0 nooutput
nr_panels = int(STATS_records)
array panel_title[nr_panels]
do for [p = 1:nr_panels] {
	stats data index "panels" every ::p-1::p-1 using (panel_title[p] = strcol(1), 0) nooutput
}
stats data index "series" using 0 nooutput
nr_series = int(STATS_records)
array first[nr_panels]
array last[nr_panels]
array strategy[nr_series]
array label[nr_series]
array variant[nr_series]
do for [p = 1:nr_panels] { first[p] = 0 }
stats data index "series" using (last[int($1)] = int($0) + 1, \
	first[int($1)] = first[int($1)] ? first[int($1)] : int($0) + 1, \
	strategy[int($0) + 1] = strcol(2), label[int($0) + 1] = strcol(3), \
	variant[int($0) + 1] = int($4), 0) nooutput

columns = narrow || nr_panels < 2 ? 1 : 2
rows = (nr_panels + columns - 1) / columns
left = 66.0
right = 12.0
top = 34.0
bottom = 52.0
panel_width = narrow ? 390.0 : columns == 2 ? 490.0 : 620.0
panel_height = narrow ? 330.0 : 350.0
width = columns * panel_width
height = rows * panel_height
eval open_terminal
eval open_output

set logscale x 2
set logscale y 10
set xrange [xmin / 1.3 : xmax * 1.3]
set yrange [ymin : ymax]
set xtics () offset 0, 0.2
do for [e = 10:36:2] {
	if (2 ** e >= xmin && 2 ** e <= xmax) { set xtics add (bytes(2 ** e) 2 ** e) }
}
# Whole numbers far from 1, hundredths near it.
set ytics ()
if (ymax / ymin > 4) {
	set ytics ("0.5" 0.5, "1" 1, "2" 2, "5" 5, "10" 10, "20" 20, "50" 50, "100" 100)
} else {
	if (ymax / ymin > 1.5) {
		set ytics ("0.5" 0.5, "0.7" 0.7, "1" 1, "1.2" 1.2, "1.5" 1.5, "2" 2, "2.5" 2.5, "3" 3, "4" 4)
	} else {
		do for [i = 50:150:5] { set ytics add (sprintf("%.2f", i / 100.0) i / 100.0) }
	}
}
# Filled, open, and so on: arms of one strategy share a colour.
marker(v) = word("7 6 5 4 13 12 9 8", 1 + int(v) % 8)

set multiplot
do for [p = 1:nr_panels] {
	column = (p - 1) % columns
	row = (p - 1) / columns
	x0 = column * panel_width
	y0 = (rows - 1 - row) * panel_height
	set lmargin at screen (x0 + left) / width
	set rmargin at screen (x0 + panel_width - right) / width
	set bmargin at screen (y0 + bottom) / height
	set tmargin at screen (y0 + panel_height - top) / height
	unset label
	unset arrow
	set label 1 panel_title[p] at graph 0, graph 1 offset character 0, 1.1 left \
		textcolor rgb colour("text")
	set arrow 1 from graph 0, first 1 to graph 1, first 1 nohead dashtype 1 \
		linecolor rgb colour("text") linewidth 0.8 back
	if (row == rows - 1 || p > nr_panels - columns) {
		set xlabel "block size, bytes" textcolor rgb colour("muted") offset 0, 0.5
	} else {
		unset xlabel
	}
	if (column == 0) {
		set ylabel "time of fault / branch" textcolor rgb colour("muted") offset 0.4, 0
	} else {
		unset ylabel
	}
	if (p == 1) {
		set label 2 "points: observed; lines, bands: predicted" at graph 0.03, graph 0.07 left \
			textcolor rgb colour("muted")
	}
	do for [i = first[p]:last[p]] {
		line = i - first[p]
		set label 10 + 2 * line "" at graph 0.97, graph 0.94 - 0.075 * line \
			point pointtype int(marker(variant[i])) pointsize 0.7 \
			linecolor rgb colour(strategy[i])
		set label 11 + 2 * line label[i] at graph 0.97, graph 0.94 - 0.075 * line \
			right offset character -1.2, 0 textcolor rgb colour(strategy[i])
	}
	plot for [i = first[p]:last[p]] data index block("predicted", i) using 1:3:4 with filledcurves \
			fillstyle transparent solid 0.12 noborder linecolor rgb colour(strategy[i]), \
		for [i = first[p]:last[p]] data index block("predicted", i) using 1:2 with lines \
			linetype 1 linewidth 1.6 dashtype dash(strategy[i], variant[i]) \
			linecolor rgb colour(strategy[i]), \
		for [i = first[p]:last[p]] data index block("observed", i) \
			using ($1 * 1.05 ** variant[i]):2:3:4 with yerrorbars \
			linetype 1 linewidth 1.2 pointtype int(marker(variant[i])) pointsize 0.7 \
			linecolor rgb colour(strategy[i])
}
unset multiplot
unset output

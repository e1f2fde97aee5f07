# SPDX-License-Identifier: MIT
#
# plots/percentiles.gp: p50, p99 and p99.9 of ops that were timed one by one, a row
# for each arm, with intervals where samples know them.
#
# Blocks of the data file; ns on a logarithmic axis:
#	frame		lowest and highest ns, name of an op
#	rows		number (from 1, downwards), colour, label
#	marks		names of the percentiles
#	points NNN	of mark NNN: row, ns (below 0: none), interval's ends
#
# See style.gp for the variables.

load ARG0[1:strlen(ARG0) - strlen("percentiles.gp")] . "style.gp"

stats data index "frame" using (xmin = $1, xmax = $2, op = strcol(3), 0) nooutput
stats data index "rows" using 0 nooutput
nr_rows = int(STATS_records)
array row_colour[nr_rows]
array row_label[nr_rows]
stats data index "rows" using (row_colour[int($0) + 1] = strcol(2), \
	row_label[int($0) + 1] = strcol(3), 0) nooutput
stats data index "marks" using 0 nooutput
nr_marks = int(STATS_records)
array mark_name[nr_marks]
stats data index "marks" using (mark_name[int($0) + 1] = strcol(1), 0) nooutput

# The rarer, the emptier.
mark_point(i) = i == 1 ? 7 : i == 2 ? 6 : 2
mark_size(i) = i == 3 ? 0.5 : 0.6

# Names stand to the left of the rows, so there must be room for the longest.
longest = 0
do for [i = 1:nr_rows] {
	longest = strlen(row_label[i]) > longest ? strlen(row_label[i]) : longest
}
left = 18.0 + 0.56 * font_px * longest
right = 18.0
top = 34.0
bottom = 58.0
row_px = 21.0
width = narrow ? 390.0 : 980.0
height = top + bottom + row_px * nr_rows
eval open_terminal
eval open_output

set lmargin at screen left / width
set rmargin at screen 1 - right / width
set bmargin at screen bottom / height
set tmargin at screen 1 - top / height
set logscale x 10
set xrange [xmin / 1.25 : xmax * 1.25]
set yrange [nr_rows + 0.6 : 0.4]
set xtics () offset 0, 0.2
do for [e = 0:10] {
	do for [m in (narrow && xmax > 100 * xmin ? "1" : xmax > 1000 * xmin ? "1" : "1 2 5")] {
		set xtics add (duration(m * 10.0 ** e) m * 10.0 ** e)
	}
}
set ytics ()
do for [i = 1:nr_rows] { set ytics add ("" i) }
set grid xtics ytics linetype 1 linecolor rgb colour("grid") linewidth 1
set xlabel "time per " . op . ", one by one" textcolor rgb colour("muted") offset 0, 0.5
do for [i = 1:nr_rows] {
	set label 100 + i row_label[i] at screen (left - 8) / width, first i right \
		textcolor rgb colour(row_colour[i])
}
do for [i = 1:nr_marks] {
	set label 10 + i mark_name[i] at graph 0.02 + (i - 1) * (narrow ? 0.3 : 0.12), \
		screen 1 - 0.5 * top / height left offset character 1, 0 textcolor rgb colour("text") \
		point pointtype mark_point(i) pointsize mark_size(i) linecolor rgb colour("text")
}
# A row at a time, because each has its colour.
plot for [i = 1:nr_marks] for [r = 1:nr_rows] data index block("points", i) \
	every ::r-1::r-1 using ($2 > 0 ? $2 : NaN):1:3:4 with xerrorbars linetype 1 linewidth 1.2 \
	pointtype mark_point(i) pointsize mark_size(i) linecolor rgb colour(row_colour[r])
unset output

# SPDX-License-Identifier: MIT
#
# plots/rows.gp: a value along x for each row, with its interval (analysis/plot_query.h).
#
# Blocks of the data file:
#	frame		ends of x, twice; is x logarithmic, nothing, is 1 marked; x's label,
#			nothing
#	rows		colour, label, value, interval's ends; from top to bottom
#
# See style.gp for the variables.

load ARG0[1:strlen(ARG0) - strlen("rows.gp")] . "style.gp"

stats data index "frame" using (xmin = $1, xmax = $2, logarithmic = $5, one = $7, \
	x_label = strcol(8), 0) nooutput
stats data index "rows" using 0 nooutput
nr_rows = int(STATS_records)
array row_colour[nr_rows]
array row_label[nr_rows]
stats data index "rows" using (row_colour[int($0) + 1] = strcol(1), \
	row_label[int($0) + 1] = strcol(2), 0) nooutput

# Names stand to the left of the rows, so there must be room for the longest.
longest = 0
do for [i = 1:nr_rows] {
	longest = strlen(row_label[i]) > longest ? strlen(row_label[i]) : longest
}
left = 20.0 + 0.6 * font_px * longest
right = 24.0
top = 12.0
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
if (logarithmic == 1) { set logscale x 10 }
set xrange [xmin : xmax]
set yrange [nr_rows + 0.6 : 0.4]
set xtics offset 0, 0.2 format "%g"
# A decade or two have too few powers of ten to read a value by.
if (logarithmic == 1 && xmax / xmin < (narrow ? 30 : 300)) {
	set xtics ()
	do for [e = -6:12] {
		do for [m in "1 2 5"] {
			set xtics add (sprintf("%g", m * 10.0 ** e) m * 10.0 ** e)
		}
	}
}
set ytics ()
do for [i = 1:nr_rows] { set ytics add ("" i) }
set grid xtics ytics linetype 1 linecolor rgb colour("grid") linewidth 1
set xlabel x_label textcolor rgb colour("muted") offset 0, 0.5
do for [i = 1:nr_rows] {
	set label 100 + i row_label[i] at screen (left - 8) / width, first i right \
		textcolor rgb colour(row_colour[i])
}
if (one == 1) {
	set arrow 1 from first 1, graph 0 to first 1, graph 1 nohead \
		linecolor rgb colour("muted") linewidth 1
}
# A row at a time, because each has its colour.
plot for [r = 1:nr_rows] data index "rows" every ::r-1::r-1 \
	using 3:(r):4:5 with xerrorbars linetype 1 linewidth 1.4 \
	pointtype point(row_colour[r]) pointsize 0.6 linecolor rgb colour(row_colour[r])
unset output

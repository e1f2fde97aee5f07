# SPDX-License-Identifier: MIT
#
# plots/lines.gp: values over x with their intervals, a line for each label
# (analysis/plot_query.h).
#
# Blocks of the data file:
#	frame		ends of x, ends of y; are x and y logarithmic, is 1 marked on y; labels
#			of x and y
#	series		colour, label, height of the label; from bottom to top
#	points NNN	of series NNN: x, value, interval's ends
#
# See style.gp for the variables.

load ARG0[1:strlen(ARG0) - strlen("lines.gp")] . "style.gp"

stats data index "frame" using (xmin = $1, xmax = $2, ymin = $3, ymax = $4, log_x = $5, \
	log_y = $6, one = $7, x_label = strcol(8), y_label = strcol(9), 0) nooutput
stats data index "series" using 0 nooutput
nr_series = int(STATS_records)
array hue[nr_series]
array label[nr_series]
array label_y[nr_series]
stats data index "series" using (hue[int($0) + 1] = strcol(1), \
	label[int($0) + 1] = strcol(2), label_y[int($0) + 1] = $3, 0) nooutput
array end_x[nr_series]
array end_y[nr_series]
array dashes[nr_series]
do for [i = 1:nr_series] {
	stats data index block("points", i) using (end_x[i] = $1, end_y[i] = $2, 0) nooutput
	# Lines of one colour differ in their dashes.
	same = 0
	do for [k = 1:i - 1] { same = hue[k] eq hue[i] ? same + 1 : same }
	dashes[i] = 1 + same % 5
}

# Names stand beside the lines' ends, so there must be room for the longest.
longest = 0
do for [i = 1:nr_series] {
	longest = strlen(label[i]) > longest ? strlen(label[i]) : longest
}
left = 84.0
gutter = 20.0 + 0.6 * font_px * longest
width = narrow ? 390.0 : 760.0
height = narrow ? 330.0 : 420.0
eval open_terminal
eval open_output

set lmargin at screen left / width
set rmargin at screen 1 - gutter / width
set bmargin at screen 58.0 / height
set tmargin at screen 1 - 16.0 / height
if (log_x == 1) { set logscale x 2 }
if (log_y == 1) { set logscale y 10 }
set xrange [xmin : xmax]
set yrange [ymin : ymax]
set xtics offset 0, 0.2 format "%g"
set ytics format "%g"
if (log_x == 1) {
	set xtics ()
	powers = log(xmax / xmin) / log(2)
	step = ceil(powers / (narrow ? 4.0 : 11.0))
	do for [e = 0:44:step] {
		if (2.0 ** e >= xmin && 2.0 ** e <= xmax) {
			set xtics add ((2.0 ** e < 65536 ? sprintf("%g", 2.0 ** e) : bytes(2.0 ** e)) 2.0 ** e)
		}
	}
}
if (log_y == 1 && ymax / ymin < 300) {
	set ytics ()
	do for [e = -6:12] {
		do for [m in "1 2 5"] {
			set ytics add (sprintf("%g", m * 10.0 ** e) m * 10.0 ** e)
		}
	}
}
set xlabel x_label textcolor rgb colour("muted") offset 0, 0.5
set ylabel y_label textcolor rgb colour("muted") offset 0.2, 0
if (one == 1) {
	set arrow 1 from graph 0, first 1 to graph 1, first 1 nohead \
		linecolor rgb colour("muted") linewidth 1
}
do for [i = 1:nr_series] {
	set arrow 10 + i from first end_x[i], first end_y[i] to \
		screen (width - gutter + 10) / width, first label_y[i] nohead \
		linecolor rgb colour(hue[i]) linewidth 0.6
	set label 10 + i label[i] at screen (width - gutter + 13) / width, first label_y[i] left \
		textcolor rgb colour(hue[i])
}
plot for [i = 1:nr_series] data index block("points", i) using 1:2 with lines \
		linetype 1 linewidth 1.6 dashtype dashes[i] linecolor rgb colour(hue[i]), \
	for [i = 1:nr_series] data index block("points", i) using 1:2:3:4 with yerrorbars \
		linetype 1 linewidth 1.2 pointtype point(hue[i]) pointsize 0.55 \
		linecolor rgb colour(hue[i])
unset output

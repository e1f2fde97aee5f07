# SPDX-License-Identifier: MIT
#
# plots/resident.gp: resident pages over a run, one line for each strategy.
#
# Blocks of the data file:
#	frame		first and last event, lowest and highest number of pages,
#			1 if these need a logarithmic axis
#	series		strategy, label, pages near the end, height of the label in
#			pages, which of its strategy's arms it is (from 0)
#	points NNN	of series NNN: event, pages
#
# See style.gp for the variables.

load ARG0[1:strlen(ARG0) - strlen("resident.gp")] . "style.gp"

stats data index "frame" using (xmin = $1, xmax = $2, ymin = $3, ymax = $4, \
	logarithmic = $5, 0) nooutput
stats data index "series" using 0 nooutput
nr_series = int(STATS_records)
array strategy[nr_series]
array label[nr_series]
array end_y[nr_series]
array label_y[nr_series]
array variant[nr_series]
stats data index "series" using (strategy[int($0) + 1] = strcol(1), \
	label[int($0) + 1] = strcol(2), end_y[int($0) + 1] = $3, \
	label_y[int($0) + 1] = $4, variant[int($0) + 1] = int($5), 0) nooutput

# Names stand beside the lines' ends, so there must be room for the longest.
longest = 0
do for [i = 1:nr_series] {
	longest = strlen(label[i]) > longest ? strlen(label[i]) : longest
}
left = 72.0
gutter = 18.0 + 0.56 * font_px * longest
top = 16.0
bottom = 58.0
width = narrow ? 390.0 : 980.0
height = narrow ? 330.0 : 390.0
eval open_terminal
eval open_output

set lmargin at screen left / width
set rmargin at screen 1 - gutter / width
set bmargin at screen bottom / height
set tmargin at screen 1 - top / height
if (logarithmic) {
	set logscale y 10
	set ytics ()
	do for [e = 0:12] {
		do for [m in "1 2 5"] {
			set ytics add (count(m * 10.0 ** e) m * 10.0 ** e)
		}
	}
} else {
	rough = ymax / 6.0
	power = 10.0 ** floor(log10(rough))
	step = (rough / power < 2 ? 2 : rough / power < 5 ? 5 : 10) * power
	step = step < 1 ? 1 : step
	set ytics ()
	do for [i = 0:int(ymax / step)] { set ytics add (count(i * step) i * step) }
}
set xrange [xmin : xmax]
set yrange [ymin : ymax]
# A step of 1, 2 or 5 that makes about five (three) of the axis.
rough = (xmax - xmin) / (narrow ? 3.0 : 6.0)
power = 10.0 ** floor(log10(rough))
step = (rough / power < 2 ? 2 : rough / power < 5 ? 5 : 10) * power
set xtics () offset 0, 0.2
do for [i = 0:int((xmax - xmin) / step)] {
	set xtics add (count(xmin + i * step) xmin + i * step)
}
set xlabel "events done" textcolor rgb colour("muted") offset 0, 0.5
set ylabel "resident pages" textcolor rgb colour("muted") offset 0.3, 0
do for [i = 1:nr_series] {
	set arrow 10 + i from first xmax, first end_y[i] to \
		screen 1 - (gutter - 10) / width, first label_y[i] nohead \
		linecolor rgb colour(strategy[i]) linewidth 0.6
	set label 10 + i label[i] at screen 1 - (gutter - 13) / width, first label_y[i] left \
		textcolor rgb colour(strategy[i])
}
plot for [i = 1:nr_series] data index block("points", i) using 1:2 with steps \
	linetype 1 linewidth 1.6 dashtype dash(strategy[i], variant[i]) \
	linecolor rgb colour(strategy[i])
unset output

# SPDX-License-Identifier: MIT
#
# plots/crossing.gp: time per allocation against block size, one panel for each
# residence of the cursor, one line for each strategy, with the intervals.  Where
# redirecting becomes cheaper than branching, a mark says so.
#
# Blocks of the data file; bytes and ns on logarithmic axes:
#	frame		lowest and highest block, lowest and highest ns
#	panels		title; block and ns of the crossing (0: none), its label
#	series		panel, strategy, label, height of the label in ns, which of
#			its strategy's arms it is (from 0); those of one panel
#			together
#	points NNN	of series NNN: block, ns, interval's ends
#	line NNN	the line through them: block, ns
#
# See style.gp for the variables.

load ARG0[1:strlen(ARG0) - strlen("crossing.gp")] . "style.gp"

stats data index "frame" using (xmin = $1, xmax = $2, ymin = $3, ymax = $4, 0) nooutput
stats data index "panels" using 0 nooutput
nr_panels = int(STATS_records)
array panel_title[nr_panels]
array cross_x[nr_panels]
array cross_y[nr_panels]
array cross_label[nr_panels]
do for [p = 1:nr_panels] {
	stats data index "panels" every ::p-1::p-1 using (panel_title[p] = strcol(1), \
		cross_x[p] = $2, cross_y[p] = $3, cross_label[p] = strcol(4), 0) nooutput
}
stats data index "series" using 0 nooutput
nr_series = int(STATS_records)
array first[nr_panels]
array last[nr_panels]
array strategy[nr_series]
array label[nr_series]
array label_y[nr_series]
array variant[nr_series]
do for [p = 1:nr_panels] { first[p] = 0 }
stats data index "series" using (last[int($1)] = int($0) + 1, \
	first[int($1)] = first[int($1)] ? first[int($1)] : int($0) + 1, \
	strategy[int($0) + 1] = strcol(2), label[int($0) + 1] = strcol(3), \
	label_y[int($0) + 1] = $4, \
	variant[int($0) + 1] = int($5), 0) nooutput
array end_x[nr_series]
array end_y[nr_series]
do for [i = 1:nr_series] {
	stats data index block("points", i) using (end_x[i] = $1, end_y[i] = $2, 0) nooutput
}

# Names stand beside the lines' ends, so there must be room for the longest.
longest = 0
do for [i = 1:nr_series] {
	longest = strlen(label[i]) > longest ? strlen(label[i]) : longest
}
left = 56.0
gutter = 18.0 + 0.56 * font_px * longest
top = 34.0
bottom = 58.0
if (narrow) {
	width = 390.0
	panel_height = 330.0
	height = nr_panels * panel_height
	panel_width = width
} else {
	panel_height = height = 390.0
	panel_width = nr_panels > 1 ? 490.0 : 620.0
	width = nr_panels * panel_width
}
eval open_terminal
eval open_output

set logscale x 2
set logscale y 10
set xrange [xmin / 1.15 : xmax * 1.15]
set yrange [ymin : ymax]
set xtics () offset 0, 0.2
do for [e = 10:36:2] {
	if (2 ** e >= xmin && 2 ** e <= xmax) { set xtics add (bytes(2 ** e) 2 ** e) }
}
set ytics ()
do for [e = -3:6] {
	do for [m in "1 2 5"] {
		set ytics add (sprintf("%g", m * 10.0 ** e) m * 10.0 ** e)
	}
}
set xlabel "block size, bytes" textcolor rgb colour("muted") offset 0, 0.5

set multiplot
do for [p = 1:nr_panels] {
	x0 = narrow ? 0 : (p - 1) * panel_width
	y0 = narrow ? (nr_panels - p) * panel_height : 0
	set lmargin at screen (x0 + left) / width
	set rmargin at screen (x0 + panel_width - gutter) / width
	set bmargin at screen (y0 + bottom) / height
	set tmargin at screen (y0 + panel_height - top) / height
	unset label
	unset arrow
	set label 1 panel_title[p] at graph 0, graph 1 offset character 0, 1.1 left \
		textcolor rgb colour("text")
	if (p == 1 || narrow) {
		set ylabel "ns per allocation" textcolor rgb colour("muted") offset 1.2, 0
	} else {
		unset ylabel
	}
	if (cross_x[p] > 0) {
		# Towards the side with more room.
		west = log(cross_x[p] / xmin) > 0.5 * log(xmax / xmin)
		set arrow 1 from first cross_x[p], first cross_y[p] to \
			first cross_x[p], graph 0.93 nohead dashtype 3 \
			linecolor rgb colour("text") linewidth 1 front
		set label 3 "" at first cross_x[p], first cross_y[p] point pointtype 6 \
			pointsize 1.6 linewidth 1.4 linecolor rgb colour("text") front
		if (west) {
			set label 2 cross_label[p] at first cross_x[p], graph 0.93 right \
				offset character -0.8, 0 textcolor rgb colour("text") front
		} else {
			set label 2 cross_label[p] at first cross_x[p], graph 0.93 left \
				offset character 0.8, 0 textcolor rgb colour("text") front
		}
	}
	do for [i = first[p]:last[p]] {
		set arrow 10 + i from first end_x[i], first end_y[i] to \
			screen (x0 + panel_width - gutter + 10) / width, first label_y[i] nohead \
			linecolor rgb colour(strategy[i]) linewidth 0.6
		set label 10 + i label[i] at screen (x0 + panel_width - gutter + 13) / width, first label_y[i] left \
			textcolor rgb colour(strategy[i])
	}
	plot for [i = first[p]:last[p]] data index block("line", i) using 1:2 with lines \
			linetype 1 linewidth 1.6 dashtype dash(strategy[i], variant[i]) \
			linecolor rgb colour(strategy[i]), \
		for [i = first[p]:last[p]] data index block("points", i) using 1:2:3:4 with yerrorbars \
			linetype 1 linewidth 1.2 pointtype point(strategy[i]) pointsize 0.55 \
			linecolor rgb colour(strategy[i])
}
unset multiplot
unset output

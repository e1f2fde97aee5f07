# SPDX-License-Identifier: MIT
#
# plots/levels.gp: time per op against a tunable that is a number, with intervals; one
# line for each arm, one panel for each combination of the other tunables.
#
# Blocks of the data file; both axes are logarithmic:
#	frame		lowest and highest level, lowest and highest ns, name of the
#			tunable, name of an op
#	panels		title
#	series		panel, colour, label, height of the label in ns, dashes (from 0);
#			those of one panel together
#	points NNN	of series NNN: level, ns, interval's ends
#
# See style.gp for the variables.

load ARG0[1:strlen(ARG0) - strlen("levels.gp")] . "style.gp"

stats data index "frame" using (xmin = $1, xmax = $2, ymin = $3, ymax = $4, \
	tunable = strcol(5), op = strcol(6), 0) nooutput
stats data index "panels" using 0 nooutput
nr_panels = int(STATS_records)
array panel_title[nr_panels]
stats data index "panels" using (panel_title[int($0) + 1] = strcol(1), 0) nooutput
stats data index "series" using 0 nooutput
nr_series = int(STATS_records)
array first[nr_panels]
array last[nr_panels]
array hue[nr_series]
array label[nr_series]
array label_y[nr_series]
array dashes[nr_series]
do for [p = 1:nr_panels] { first[p] = 0; last[p] = -1 }
stats data index "series" using (last[int($1)] = int($0) + 1, \
	first[int($1)] = first[int($1)] ? first[int($1)] : int($0) + 1, \
	hue[int($0) + 1] = strcol(2), label[int($0) + 1] = strcol(3), \
	label_y[int($0) + 1] = $4, dashes[int($0) + 1] = 1 + int($5) % 5, 0) nooutput
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
left = 84.0
gutter = 18.0 + 0.56 * font_px * longest
top = 34.0
bottom = 58.0
columns = narrow || nr_panels == 1 ? 1 : 2
rows = int((nr_panels + columns - 1) / columns)
panel_width = narrow ? 390.0 : columns == 1 ? 620.0 : 490.0
panel_height = narrow ? 330.0 : 390.0
width = columns * panel_width
height = rows * panel_height
eval open_terminal
eval open_output

set logscale x 2
set logscale y 10
set xrange [xmin / 1.15 : xmax * 1.15]
set yrange [ymin : ymax]
set xtics () offset 0, 0.2
# Every power of two, unless there are many.
step = xmax / xmin <= 256 ? 1 : narrow ? 4 : 2
do for [e = 0:40:step] {
	if (2 ** e >= xmin && 2 ** e <= xmax) {
		set xtics add ((2 ** e < 65536 ? sprintf("%g", 2 ** e) : bytes(2 ** e)) 2 ** e)
	}
}
set ytics ()
do for [e = -3:8] {
	do for [m in "1 2 5"] {
		set ytics add (duration(m * 10.0 ** e) m * 10.0 ** e)
	}
}
set xlabel tunable textcolor rgb colour("muted") offset 0, 0.5

set multiplot
do for [p = 1:nr_panels] {
	x0 = ((p - 1) % columns) * panel_width
	y0 = (rows - 1 - (p - 1) / columns) * panel_height
	set lmargin at screen (x0 + left) / width
	set rmargin at screen (x0 + panel_width - gutter) / width
	set bmargin at screen (y0 + bottom) / height
	set tmargin at screen (y0 + panel_height - top) / height
	unset label
	unset arrow
	set label 1 panel_title[p] at graph 0, graph 1 offset character 0, 1.1 left \
		textcolor rgb colour("text")
	if (x0 == 0) {
		set ylabel "time per " . op textcolor rgb colour("muted") offset 0.2, 0
	} else {
		unset ylabel
	}
	do for [i = first[p]:last[p]] {
		set arrow 10 + i from first end_x[i], first end_y[i] to \
			screen (x0 + panel_width - gutter + 10) / width, first label_y[i] nohead \
			linecolor rgb colour(hue[i]) linewidth 0.6
		set label 10 + i label[i] at screen (x0 + panel_width - gutter + 13) / width, first label_y[i] left \
			textcolor rgb colour(hue[i])
	}
	plot for [i = first[p]:last[p]] data index block("points", i) using 1:2 with lines \
			linetype 1 linewidth 1.6 dashtype dashes[i] linecolor rgb colour(hue[i]), \
		for [i = first[p]:last[p]] data index block("points", i) using 1:2:3:4 with yerrorbars \
			linetype 1 linewidth 1.2 pointtype point(hue[i]) pointsize 0.55 \
			linecolor rgb colour(hue[i])
}
unset multiplot
unset output

# SPDX-License-Identifier: MIT
#
# plots/pages.gp: what resident pages are for over a run, stacked; a panel for each arm,
# all on one scale.
#
# Blocks of the data file:
#	frame		last event, highest number of pages
#	panels		strategy, label, which of the classes below it has, from 1
#	points NNN	of panel NNN, corners of steps: event, then pages that are live,
#			metadata, pooled, leaked, censored
#	steps NNN	the same in fewer steps, which is what SVG gets
#	few NNN		in fewer still, for a narrow one
#
# See style.gp for the variables.

load ARG0[1:strlen(ARG0) - strlen("pages.gp")] . "style.gp"

stats data index "frame" using (xmax = $1, ymax = $2, 0) nooutput
stats data index "panels" using 0 nooutput
nr_panels = int(STATS_records)
array strategy[nr_panels]
array label[nr_panels]
array has[nr_panels]
stats data index "panels" using (strategy[int($0) + 1] = strcol(1), \
	label[int($0) + 1] = strcol(2), has[int($0) + 1] = strcol(3), 0) nooutput

columns = narrow ? 2 : 4
columns = nr_panels < columns ? nr_panels : columns
rows = int((nr_panels + columns - 1) / columns)
left = 58.0
right = 8.0
top = narrow ? 64.0 : 40.0
bottom = 58.0
width = narrow ? 390.0 : 980.0
panel_width = (width - left - right) / columns
panel_height = narrow ? 130.0 : 150.0
height = top + bottom + rows * panel_height
eval open_terminal
eval open_output

detail = term ne "svg" ? "points" : narrow ? "few" : "steps"
classes = "live metadata pooled leaked censored"
names = "'live' 'bookkeeping' 'pooled: will be used again' 'leaked' 'censored: the run ended first'"
upto(k) = sum [i = 2:k + 1] column(i)

# A step of 1, 2 or 5.
nice(rough) = (power = 10.0 ** floor(log10(rough)), \
	(rough / power < 2 ? 2 : rough / power < 5 ? 5 : 10) * power)
ystep = nice(ymax / 4.0)
ystep = ystep < 1 ? 1 : ystep
xstep = nice(xmax / 2.0)

set multiplot
# The key, in as many rows as there is room for.
set lmargin at screen 0
set rmargin at screen 1
set bmargin at screen 0
set tmargin at screen 1
x = left
y = height - 15
do for [k = 1:5] {
	long = 22 + 0.53 * font_px * strlen(word(names, k))
	if (x + long > width) { x = left; y = y - 20 }
	set object k rectangle from screen x / width, (y - 5) / height to \
		screen (x + 11) / width, (y + 5) / height \
		fillcolor rgb colour(word(classes, k)) fillstyle solid noborder front
	set label k word(names, k) at screen (x + 16) / width, y / height left \
		textcolor rgb colour("muted") front
	x = x + long + 8
}
set xrange [0 : xmax]
set yrange [0 : ymax * 1.06]
do for [p = 1:nr_panels] {
	column_of = (p - 1) % columns
	row_of = (p - 1) / columns
	x0 = left + column_of * panel_width
	y0 = bottom + (rows - 1 - row_of) * panel_height
	set lmargin at screen (x0 + 4) / width
	set rmargin at screen (x0 + panel_width - 4) / width
	set bmargin at screen (y0 + 4) / height
	set tmargin at screen (y0 + panel_height - 24) / height
	set label 9 label[p] at graph 0, graph 1 offset character 0, 0.75 left \
		textcolor rgb colour(strategy[p])
	set ytics () format ""
	do for [i = 0:int(ymax / ystep)] {
		set ytics add ((column_of == 0 ? count(i * ystep) : "") i * ystep)
	}
	# Below the last row, and where the one below has no panel.
	lowest = p + columns > nr_panels
	set xtics () offset 0, 0.2
	do for [i = 0:int(xmax / xstep)] {
		set xtics add ((lowest ? count(i * xstep) : "") i * xstep)
	}
	if (p == (rows - 1) * columns + 1) {
		set label 8 "events done" at screen left / width, 14 / height left \
			textcolor rgb colour("muted")
	}
	if (p == 1) {
		set label 7 "resident pages" at screen 14 / width, \
			(bottom + rows * panel_height / 2) / height center rotate by 90 \
			textcolor rgb colour("muted")
	}
	plot for [i = words(has[p]):1:-1] data index block(detail, p) \
		using 1:(upto(int(word(has[p], i)))) with filledcurves y=0 \
		fillstyle solid noborder fillcolor rgb colour(word(classes, int(word(has[p], i))))
	unset object
	unset label
}
unset multiplot
unset output

# SPDX-License-Identifier: MIT
#
# plots/pareto.gp: time per event against leaked share, and against peak resident over
# peak live; a point for each arm, and the frontier: arms that none is better than in
# both.  Below and to the left is better.
#
# Blocks of the data file:
#	frame		least and most ns, greatest peak over peak live, height of the
#			panels in pixels
#	points		strategy, label, leaked share, peak over peak live, ns, ends of its
#			interval, 1 if on the frontier of the first and of the second
#			panel, height of the label in ns
#	frontier NNN	of panel NNN: share or ratio, ns; ascending
#
# See style.gp for the variables.

load ARG0[1:strlen(ARG0) - strlen("pareto.gp")] . "style.gp"

stats data index "frame" using (ymin = $1, ymax = $2, most = $3, area = $4, 0) nooutput
stats data index "points" using 0 nooutput
nr = int(STATS_records)
array strategy[nr]
array label[nr]
array share[nr]
array peak[nr]
array ns[nr]
array best_share[nr]
array best_peak[nr]
array label_y[nr]
stats data index "points" using (strategy[int($0) + 1] = strcol(1), \
	label[int($0) + 1] = strcol(2), share[int($0) + 1] = $3, peak[int($0) + 1] = $4, \
	ns[int($0) + 1] = $5, best_share[int($0) + 1] = $8, best_peak[int($0) + 1] = $9, \
	label_y[int($0) + 1] = $10, 0) nooutput

longest = 0
do for [i = 1:nr] { longest = strlen(label[i]) > longest ? strlen(label[i]) : longest }
left = 92.0
gutter = 32.0 + 0.56 * font_px * longest
top = 34.0
bottom = 58.0
columns = narrow ? 1 : 2
rows = 3 - columns
panel_width = narrow ? 390.0 : 490.0
panel_height = top + bottom + area
width = columns * panel_width
height = rows * panel_height
eval open_terminal
eval open_output

# A share may be 0 and is mostly small: linear up to about 1 %, logarithmic above.
bent(x) = asinh(x / 0.005)
x_of(p, i) = p == 1 ? bent(share[i]) : peak[i]

set logscale y 10
set yrange [ymin : ymax]
set ytics ()
do for [e = -1:6] {
	do for [m in "1 1.5 2 3 5 7"] {
		set ytics add (duration(m * 10.0 ** e) m * 10.0 ** e)
	}
}
set multiplot
do for [p = 1:2] {
	x0 = ((p - 1) % columns) * panel_width
	y0 = (rows - 1 - (p - 1) / columns) * panel_height
	edge = x0 + panel_width - gutter
	set lmargin at screen (x0 + left) / width
	set rmargin at screen edge / width
	set bmargin at screen (y0 + bottom) / height
	set tmargin at screen (y0 + bottom + area) / height
	unset label
	unset arrow
	unset logscale x
	set xtics () offset 0, 0.2
	if (p == 1) {
		set xrange [-0.25 : bent(1) * 1.03]
		do for [s in (narrow ? "0 0.01 0.1 1" : "0 0.005 0.02 0.1 0.3 1")] {
			set xtics add (sprintf("%g %%%%", 100 * s) bent(real(s)))
		}
		set xlabel "leaked share of resident pages" textcolor rgb colour("muted") offset 0, 0.5
	} else {
		set logscale x 10
		xmax = (most < 2 ? 2 : most) * 1.08
		set xrange [0.97 : xmax]
		do for [t in (xmax > 12 ? "1 2 5 10 20 50 100 200 500 1000" : \
			xmax > 4 ? "1 1.5 2 3 5 10" : "1 1.2 1.5 2 3")] {
			if (real(t) <= xmax) { set xtics add (sprintf("%s\303\227", t) real(t)) }
		}
		set xlabel "peak resident over peak live" textcolor rgb colour("muted") offset 0, 0.5
	}
	if (p == 1 || narrow) {
		set ylabel "time per event" textcolor rgb colour("muted") offset 0.2, 0
	} else {
		unset ylabel
	}
	do for [i = 1:nr] {
		on = (p == 1 ? best_share[i] : best_peak[i]) == 1
		ink = on ? colour(strategy[i]) : colour("muted")
		set arrow 10 + i from first x_of(p, i), first ns[i] to \
			screen (edge + 8) / width, first label_y[i] nohead back \
			linecolor rgb (on ? ink : colour("grid")) linewidth 0.7
		set label 10 + i label[i] at screen (edge + 12) / width, first label_y[i] left \
			textcolor rgb ink
	}
	plot data index block("frontier", p) using (p == 1 ? bent($1) : $1):2 with steps \
			linetype 1 linewidth 1.6 linecolor rgb colour("text"), \
		for [i = 1:nr] data index "points" every ::(i - 1)::(i - 1) \
			using (p == 1 ? bent($3) : $4):5:6:7 with yerrorbars \
			linetype 1 linewidth 1.2 pointtype point(strategy[i]) \
			pointsize ((p == 1 ? best_share[i] : best_peak[i]) == 1 ? 1.0 : 0.6) \
			linecolor rgb colour(strategy[i])
}
unset multiplot
unset output

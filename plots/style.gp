# SPDX-License-Identifier: MIT
#
# plots/style.gp: how every plot looks.  Loaded by the others; plots nothing.
#
# They are driven by a data file, and by variables that may be set on the
# command line:
#
#	gnuplot -e "data='FILE.dat'" plots/crossing.gp >FILE.svg
#
#	data	the data file; `faultline report` writes them
#	out	the file to write (default: standard output)
#	term	'svg' (default), 'pdf', or 'png', which is twice as large in pixels
#	narrow	1: panels under each other, for a phone (default: 0)
#
# In a data file, two empty lines end a block, whose first line is a comment with
# its name.  Strings stand in double quotes.

if (!exists("data")) exit error "set data: gnuplot -e \"data='FILE.dat'\" SCRIPT"
if (!exists("term")) term = "svg"
if (!exists("narrow")) narrow = 0

# The one list of colours, also read by `faultline report`: what it is for, on
# light and on dark paper, shape of points.  A strategy has the same colour
# everywhere.  The hue is the family (grey: no check; blue: branch; green, olive,
# purple: a fault that extends; red, orange: a fault that redirects); within one,
# lightness differs, and so do the shapes, so that no reading depends on telling
# two hues apart.  A strategy that is not listed gets one of the others, chosen
# by its letters.  Before the strategies stand paper and ink, and the classes of pages.
$colours << END
paper		#ffffff	#15171a	0
text		#1f2328	#e4e7ea	0
muted		#5b636b	#9aa3ad	0
grid		#e4e7ea	#2d3238	0
live		#3f6fa0	#6a9fd8	0
metadata	#878d95	#888f98	0
pooled		#bcd2e6	#34526f	0
leaked		#bb3a2c	#ea6a5b	0
censored	#eab0a6	#8d463d	0
no_check	#7b8188	#9ba2a9	1
bump_down	#0068b5	#58aef2	7
bump_up		#5aa9e0	#a5d4f7	9
block_split	#1d3f72	#7d9ee3	5
reserve_loop	#2f7f7f	#7fd0d0	12
reserve_run	#3f86a8	#7cc3e0	13
demand_zero	#00856a	#3cc4a2	7
grows_down	#64b58f	#9fdfc4	11
segv_extend	#857700	#d3c244	13
uffd_rw		#9c4f98	#d68fd2	9
elastic		#6a4fb0	#ae9df0	15
segv_redirect	#c24100	#ff8b4d	5
uffd_redirect	#dd8a00	#ffbf4d	9
rseq_redirect	#8c2a1b	#ef7b69	11
other-1		#7d5a2b	#cfa670	13
other-2		#b0356a	#f083ae	7
other-3		#3c7d7d	#78c2c2	5
other-4		#5d6d2e	#a9bd6d	9
other-5		#4c5a8c	#97a6dc	11
END

stats $colours using 0 nooutput
nr_colours = int(STATS_records)
array colour_name[nr_colours]
array colour_light[nr_colours]
array colour_point[nr_colours]
stats $colours using (colour_name[int($0) + 1] = strcol(1), \
	colour_light[int($0) + 1] = strcol(2), \
	colour_point[int($0) + 1] = int(column(4)), 0) nooutput

listed(name) = sum [i = 1:nr_colours] (colour_name[i] eq name ? i : 0)
letter(name, i) = strstrt("abcdefghijklmnopqrstuvwxyz0123456789_", name[i:i])
letters(name) = sum [i = 1:strlen(name)] i * letter(name, i)
other(name) = listed(sprintf("other-%d", 1 + letters(name) % 5))
entry(name) = listed(name) ? listed(name) : other(name)
colour(name) = colour_light[entry(name)]
point(name) = colour_point[entry(name)]
# Arms of one strategy differ in their dashes; what is no choice but a bound has
# dots.
dash(name, variant) = name eq "no_check" ? 3 : 1 + variant % 5

# Blocks of the data file.
block(name, i) = sprintf("%s %03d", name, i)

# Axes: 1-2-5 steps, and bytes as people write them.
bytes(b) = b < 1024 ? sprintf("%g", b) : b < 1048576 ? sprintf("%gK", b / 1024) : \
	b < 1073741824 ? sprintf("%gM", b / 1048576) : sprintf("%gG", b / 1073741824)
duration(ns) = ns < 1e3 ? sprintf("%g ns", ns) : ns < 1e6 ? sprintf("%g us", ns / 1e3) : \
	ns < 1e9 ? sprintf("%g ms", ns / 1e6) : sprintf("%g s", ns / 1e9)
count(n) = n < 1000 ? sprintf("%g", n) : n < 1e6 ? sprintf("%gk", n / 1e3) : \
	sprintf("%gM", n / 1e6)

# eval open_terminal, once width and height are set, in pixels.
scale = term eq "png" ? 2 : 1
font_px = 13
open_terminal = term eq "png" ? \
	'set terminal pngcairo size scale * width, scale * height noenhanced ' . \
	'background colour("paper") font "sans,9.75" fontscale scale ' . \
	'linewidth scale pointscale scale' : \
	term eq "pdf" ? \
	'set terminal pdfcairo size width / 96.0, height / 96.0 noenhanced ' . \
	'font "sans,9.75"' : \
	'set terminal svg size width, height dynamic noenhanced ' . \
	'background colour("paper") font "sans-serif," . font_px'
open_output = exists("out") ? 'set output out' : 'set output'

set border 1 linecolor rgb colour("muted") linewidth 1
set tics nomirror out scale 0.5 textcolor rgb colour("muted")
set grid ytics linetype 1 linecolor rgb colour("grid") linewidth 1
set grid noxtics
set errorbars 0
unset key

/* SPDX-License-Identifier: MIT */
/*
 * analysis/svg.h: SVG as gnuplot writes it, in fewer bytes.
 *
 * Vocabulary: a "corner" is a point of a polyline or a polygon where its direction
 * changes.  Coordinates are in the drawing's own units, of which a page shows one as
 * about a pixel.
 *
 * Context: cold, MT-safe (no globals).
 */
#ifndef FL_SVG_H
#define FL_SVG_H

/*
 * fl_svg_shorten: @svg with coordinates to a tenth of a unit, relative to the corner
 * before; without points that are no corners, marks that nothing uses, groups that
 * say nothing or the same as the one before, gnuplot's own titles (its plot commands)
 * and white space between tags.  What it does not know stays as it is.  Groups lose
 * what they only repeat: the root has fill="none" and stroke="currentColor".
 * To be freed, or NULL without memory.
 */
char *fl_svg_shorten(const char *svg);

/*
 * fl_svg_shorten_marks: Its last step: a point's mark, with the paper's colour that
 * is painted below it, is written once for each kind and used by name; a text of the
 * usual size stands without the group around it, and needs from its page
 * "stroke: none" and that size.
 * To be freed, or NULL without memory.
 */
char *fl_svg_shorten_marks(const char *svg);

/* The usual size, in pixels: font_px in plots/style.gp. */
#define FL_SVG_FONT_PX	"13"

#endif

/* SPDX-License-Identifier: MIT */
/*
 * analysis/palette.h: the scripts of plots/, their colours, and their SVG within
 * a page.
 *
 * Vocabulary: the "palette" is the list of colours in plots/style.gp, the only
 * one.  "Inline" SVG is made to stand within HTML: its colours are custom
 * properties (--c0, --c1, ... in the palette's order), so that they follow the
 * page from light to dark, its ids cannot meet those of another plot, and its
 * size is the page's affair.
 *
 * Context: cold, MT-safe (no globals).
 */
#ifndef FL_PALETTE_H
#define FL_PALETTE_H

#include <stddef.h>

#include "harness/complain.h"

#define FL_PALETTE_MAX		64

struct fl_colour {
	char name[32];
	char light[8], dark[8];		/* "#rrggbb" */
};

struct fl_palette {
	struct fl_colour colours[FL_PALETTE_MAX];
	size_t nr;			/* 0: there is none */
	size_t nr_others;		/* "other-1", ... */
};

/*
 * fl_plots_find: The folder with the scripts: plots/ under $FAULTLINE_DATA when
 * that is set; else beside the program, if it runs where it was built or its
 * prefix was moved; else where it was installed.
 * Returns 0 and an absolute path in *@out, to be freed, or -ENOENT, -ENOMEM.
 */
int fl_plots_find(char **out, struct fl_complaint *why);

/*
 * fl_palette_load: Read the list from style.gp in @folder.
 * Returns 0 and *@out, or -EINVAL, or -errno of opening it.
 */
int fl_palette_load(const char *folder, struct fl_palette *out,
		    struct fl_complaint *why);

/*
 * fl_palette_index: The colour of @name, by the rule that style.gp has: the
 * entry of that name, or one of the others, chosen by the letters.  @palette is
 * not empty.
 */
size_t fl_palette_index(const struct fl_palette *palette, const char *name);

/*
 * fl_palette_inline: @svg, as gnuplot writes it, made inline; to be freed, or
 * NULL without memory.  @id: what its ids begin with; @title: for those who do
 * not see it.
 */
char *fl_palette_inline(const struct fl_palette *palette, const char *svg,
			const char *id, const char *title);

#endif

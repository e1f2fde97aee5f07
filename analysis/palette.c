/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/palette.h"
#include "analysis/svg.h"

#ifndef FL_PKGDATADIR
#define FL_PKGDATADIR	"/usr/local/share/faultline"
#endif

#define STYLE		"style.gp"

/* ---- the scripts and the palette ---------------------------------------- */

static bool has_style(const char *folder)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", folder, STYLE);

	return n > 0 && (size_t)n < sizeof(path) && !access(path, R_OK);
}

int fl_plots_find(char **out, struct fl_complaint *why)
{
	/* The tree's top, seen from build/, from build/.libs/, and from where a
	 * build in the source folder leaves the program; then what is installed
	 * under the same prefix, wherever that was moved. */
	static const char *const beside[] = {
		"..", "../..", ".", "../share/faultline"
	};
	const char *set = getenv("FAULTLINE_DATA");
	char self[PATH_MAX], path[PATH_MAX + 16];
	ssize_t n;

	if (set && *set) {
		snprintf(path, sizeof(path), "%s/plots", set);
		if (!has_style(path))
			return fl_complain(why, -ENOENT,
					   "FAULTLINE_DATA: there is no plots/" STYLE " under %s",
					   set);
		goto found;
	}
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		*strrchr(self, '/') = '\0';
		for (size_t i = 0; i < sizeof(beside) / sizeof(*beside); i++) {
			n = snprintf(path, sizeof(path), "%s/%s/plots", self,
				     beside[i]);
			if ((size_t)n < sizeof(path) && has_style(path))
				goto found;
		}
	}
	snprintf(path, sizeof(path), "%s", FL_PKGDATADIR "/plots");
	if (has_style(path))
		goto found;
	return fl_complain(why, -ENOENT,
			   "the scripts that draw plots were not found: set FAULTLINE_DATA to the folder that holds plots/" STYLE);
found:
	*out = realpath(path, NULL);
	return *out ? 0 : fl_complain(why, -errno, "%s: %s", path,
				      strerror(errno));
}

static bool is_colour(const char *text)
{
	return strlen(text) == 7 && text[0] == '#' &&
	       strspn(text + 1, "0123456789abcdef") == 6;
}

int fl_palette_load(const char *folder, struct fl_palette *out,
		    struct fl_complaint *why)
{
	struct fl_palette palette = { .nr = 0 };
	char path[PATH_MAX], line[256], name[32], light[16], dark[16];
	bool inside = false, bad = false;
	FILE *from;
	int err;

	snprintf(path, sizeof(path), "%s/%s", folder, STYLE);
	from = fopen(path, "re");
	if (!from) {
		err = -errno;
		return fl_complain(why, err, "%s: %s", path, strerror(-err));
	}
	while (fgets(line, sizeof(line), from)) {
		struct fl_colour *colour = &palette.colours[palette.nr];

		if (!inside) {
			inside = !strncmp(line, "$colours <<", 11);
			continue;
		}
		if (!strcmp(line, "END\n"))
			break;
		bad |= sscanf(line, "%31s %15s %15s", name, light, dark) != 3 ||
		       !is_colour(light) || !is_colour(dark) ||
		       palette.nr == FL_PALETTE_MAX;
		if (bad)
			break;
		memcpy(colour->name, name, sizeof(name));
		memcpy(colour->light, light, sizeof(colour->light));
		memcpy(colour->dark, dark, sizeof(colour->dark));
		palette.nr++;
		palette.nr_others += !strncmp(name, "other-", 6);
	}
	fclose(from);
	if (bad || !palette.nr_others)
		return fl_complain(why, -EINVAL,
				   "%s: the list of colours is not as this program knows it",
				   path);
	*out = palette;
	return 0;
}

static size_t listed(const struct fl_palette *palette, const char *name)
{
	size_t i = 0;

	while (i < palette->nr && strcmp(palette->colours[i].name, name))
		i++;
	return i;
}

size_t fl_palette_index(const struct fl_palette *palette, const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	size_t found = listed(palette, name), sum = 0;
	char other[32];

	if (found < palette->nr)
		return found;
	for (size_t i = 0; name[i]; i++) {
		const char *letter = strchr(letters, name[i]);

		sum += (i + 1) * (letter ? (size_t)(letter - letters) + 1 : 0);
	}
	snprintf(other, sizeof(other), "other-%zu",
		 1 + sum % palette->nr_others);
	found = listed(palette, other);
	return found < palette->nr ? found : 0;
}

/* ---- inline SVG --------------------------------------------------------- */

/*
 * The palette's entry that gnuplot wrote as "rgb(  0, 104, 181)" or "#0068B5",
 * and how many bytes that takes; nr where it is none.
 */
static size_t colour_at(const struct fl_palette *palette, const char *text,
			size_t *bytes)
{
	unsigned int r, g, b;
	char light[16];
	size_t i = 0;
	int n = 0;

	if (sscanf(text, "rgb( %u , %u , %u )%n", &r, &g, &b, &n) < 3 || !n) {
		n = 7;
		if (sscanf(text, "#%2x%2x%2x", &r, &g, &b) < 3)
			return palette->nr;
	}
	snprintf(light, sizeof(light), "#%02x%02x%02x", r & 255, g & 255,
		 b & 255);
	while (i < palette->nr && strcmp(palette->colours[i].light, light))
		i++;
	*bytes = (size_t)n;
	return i;
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* Passes over what lies before the end of @what; @text where it is not. */
static const char *after(const char *text, const char *what)
{
	const char *found = strstr(text, what);

	return found ? found + strlen(what) : text;
}

static void put_escaped(FILE *to, const char *text)
{
	for (; *text; text++)
		if (*text == '<')
			fputs("&lt;", to);
		else if (*text == '&')
			fputs("&amp;", to);
		else if (*text == '"')
			fputs("&quot;", to);
		else
			fputc(*text, to);
}

char *fl_palette_inline(const struct fl_palette *palette, const char *svg,
			const char *id, const char *title)
{
	/* What names begin with, where ids are made or used. */
	static const char *const ids[] = {
		" id='", " id=\"", "href='#", "href=\"#", "url(#"
	};
	static const char font[] = " font-family=\"sans-serif\"";
	size_t text_colour = listed(palette, "text"), bytes;
	const char *view = strstr(svg, "viewBox=\""), *paper;
	char *out, *shorter;
	FILE *to = open_memstream(&out, &bytes);

	if (!to)
		return NULL;
	view = view ? view + strlen("viewBox=\"") : "0 0 1 1";
	fprintf(to, "<svg viewBox=\"%.*s\" role=\"img\" aria-label=\"",
		(int)strcspn(view, "\""), view);
	put_escaped(to, title);
	/* What gnuplot's groups repeat, each of them; fl_svg_shorten. */
	fprintf(to, "\" fill=\"none\" stroke=\"currentColor\">\n");
	/* The page has its own size, names and paper. */
	svg = after(after(svg, "<svg"), "</desc>");
	paper = strstr(svg, "<rect x=\"0\" y=\"0\"");

	while (*svg) {
		size_t known = 0, colour = palette->nr, used = 0;

		if (svg == paper) {
			svg = after(svg, "/>");
			continue;
		}
		if (begins(svg, "xlink:"))
			svg += strlen("xlink:");
		while (known < sizeof(ids) / sizeof(*ids) &&
		       !begins(svg, ids[known]))
			known++;
		if (begins(svg, "rgb(") || *svg == '#')
			colour = colour_at(palette, svg, &used);
		else if (begins(svg, "black") && strchr("'\"", svg[-1])) {
			colour = text_colour;
			used = strlen("black");
		}
		if (known < sizeof(ids) / sizeof(*ids)) {
			fprintf(to, "%s%s-", ids[known], id);
			svg += strlen(ids[known]);
		} else if (colour < palette->nr) {
			fprintf(to, "var(--c%zu)", colour);
			svg += used;
		} else if (begins(svg, font)) {
			svg += strlen(font);
		} else {
			fputc(*svg++, to);
		}
	}
	if (fclose(to))
		return NULL;
	shorter = fl_svg_shorten(out);
	free(out);
	return shorter;
}

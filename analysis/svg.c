/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/svg.h"

/* Deeper groups than gnuplot's are left as they are. */
#define DEPTH_MAX	16

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* ---- shapes ------------------------------------------------------------- */

/* Tenths of a unit, so that rounding does not add up along a line. */
struct corner {
	long x, y;
};

struct line {
	struct corner *corners;
	size_t nr, room;
};

static bool add(struct line *line, struct corner c)
{
	struct corner *grown;

	if (line->nr >= 2) {
		struct corner *a = &line->corners[line->nr - 2], *b = a + 1;
		long x0 = b->x - a->x, y0 = b->y - a->y;
		long x1 = c.x - b->x, y1 = c.y - b->y;

		/* Straight on; a line that turns back is seen. */
		if (x0 * y1 == y0 * x1 && x0 * x1 + y0 * y1 >= 0) {
			*b = c;
			return true;
		}
	}
	if (line->nr == line->room) {
		line->room = line->room ? 2 * line->room : 256;
		grown = realloc(line->corners, line->room * sizeof(*grown));
		if (!grown)
			return false;
		line->corners = grown;
	}
	line->corners[line->nr++] = c;
	return true;
}

/* @after: the number before it had a point, so that another needs no space. */
static bool put_number(FILE *to, long tenths, bool first, bool after)
{
	long size = labs(tenths);

	if (!first && tenths >= 0 && (size >= 10 || !(size % 10) || !after))
		fputc(' ', to);
	if (tenths < 0)
		fputc('-', to);
	if (size >= 10 || !(size % 10))
		fprintf(to, "%ld", size / 10);
	if (size % 10)
		fprintf(to, ".%ld", size % 10);
	return size % 10;
}

/* As SVG path data.  One point alone draws nothing. */
static void put_line(FILE *to, const struct line *line)
{
	char last = 'M';
	bool point;

	if (line->nr < 2)
		return;
	fputc('M', to);
	point = put_number(to, line->corners[0].x, true, false);
	point = put_number(to, line->corners[0].y, false, point);
	for (size_t i = 1; i < line->nr; i++) {
		long x = line->corners[i].x - line->corners[i - 1].x;
		long y = line->corners[i].y - line->corners[i - 1].y;
		char how = !y ? 'h' : !x ? 'v' : 'l';
		bool first = how != last;

		if (first)
			fputc(how, to);
		if (how != 'v')
			point = put_number(to, x, first, point);
		if (how != 'h')
			point = put_number(to, y, first && how == 'v', point);
		last = how;
	}
}

/*
 * The numbers in @text up to @end, moves and straight lines alone, as path data.
 * 0, 1 where something else stands there, -1 without memory.
 */
static int put_path(FILE *to, const char *text, const char *end, bool closed)
{
	struct line line = { .nr = 0 };
	int err = 0;

	while (!err && text < end) {
		struct corner c;
		char *next;

		text += strspn(text, " \t\n");
		if (text >= end)
			break;
		if (*text == 'M') {
			put_line(to, &line);
			line.nr = 0;
		}
		text += *text == 'M' || *text == 'L';
		c.x = lround(10 * strtod(text, &next));
		err = next == text || *next != ',';
		if (err)
			break;
		text = next + 1;
		c.y = lround(10 * strtod(text, &next));
		err = next == text || next > end;
		text = next;
		if (!err && !add(&line, c))
			err = -1;
	}
	if (!err) {
		put_line(to, &line);
		if (closed)
			fputc('z', to);
	}
	free(line.corners);
	return err;
}

/* <path .../> or <polygon .../>: how many bytes of @svg were written shorter, 0
 * where it is neither, or not as gnuplot writes them; -1 without memory. */
static long put_shape(FILE *to, const char *svg)
{
	bool polygon = begins(svg, "<polygon ");
	const char *name = polygon ? " points = '" : " d='";
	const char *end, *from, *quote;
	char *data = NULL;
	size_t bytes;
	FILE *made;
	int err;

	if (!polygon && !begins(svg, "<path "))
		return 0;
	end = strstr(svg, "/>");
	from = strstr(svg, name);
	quote = from ? strchr(from + strlen(name), '\'') : NULL;
	if (!end || !quote || quote > end)
		return 0;
	made = open_memstream(&data, &bytes);
	if (!made)
		return -1;
	err = put_path(made, from + strlen(name), quote, polygon);
	if (fclose(made))
		err = -1;
	if (!err) {
		fputs("<path", to);
		for (svg = strchr(svg, ' '); svg < from; svg++)
			if (begins(svg, " = ")) {
				fputc('=', to);
				svg += 2;
			} else if (!isspace((unsigned char)*svg) ||
				   !isspace((unsigned char)svg[1])) {
				fputc(*svg, to);
			}
		fprintf(to, " d='%s'/>", data);
	}
	free(data);
	return err < 0 ? -1 : err ? 0 : end + 2 - quote;
}

static char *shorten_shapes(const char *svg)
{
	/* Marks are drawn larger than they are written. */
	const char *marks = strstr(svg, "</defs>");
	char *out;
	size_t bytes;
	FILE *to = open_memstream(&out, &bytes);
	long done = 0;

	if (!to)
		return NULL;
	while (*svg && done >= 0) {
		done = *svg == '<' && (!marks || svg > marks) ?
		       put_shape(to, svg) : 0;
		if (done > 0)
			svg = strstr(svg, "/>") + 2;
		else if (!done)
			fputc(*svg++, to);
	}
	if (fclose(to) || done < 0) {
		free(out);
		return NULL;
	}
	return out;
}

/* ---- groups and marks --------------------------------------------------- */

/* Where a group's opening tag was written; start == end: it was not. */
struct group {
	char *start, *end;
};

struct writing {
	const char *all;	/* what is read */
	char *to;		/* where the next byte goes */
	struct group open[DEPTH_MAX], closed;
	char *closed_at;	/* what lies after the last group closed */
	size_t depth;
};

/* Does anything refer to the id at @id, which ends in @quote? */
static bool is_used(const char *all, const char *id, char quote)
{
	const char *end = strchr(id, quote);
	char name[128];

	if (!end || end - id >= (long)sizeof(name) - 2)
		return true;
	snprintf(name, sizeof(name), "#%.*s", (int)(end - id), id);
	for (const char *at = all; (at = strstr(at, name)); at++)
		if (strchr("'\")", at[strlen(name)]))
			return true;
	return false;
}

/* Past the mark that @svg begins with, if nothing uses it. */
static const char *pass_mark(const struct writing *w, const char *svg)
{
	const char *end = begins(svg, "<filter") ? "</filter>" : "/>";
	const char *tag = strchr(svg, '>'), *id = strstr(svg, " id='");

	if (!tag || !id || id > tag || is_used(w->all, id + 5, '\''))
		return svg;
	end = strstr(svg, end);
	return end ? strchr(end, '>') + 1 : svg;
}

/* The tag of a group up to @end, without what it need not say. */
static char *put_tag(const struct writing *w, const char *svg, const char *end)
{
	static const char *const defaults[] = {
		" fill=\"none\" color", " stroke=\"currentColor\"",
		" stroke-width=\"1.00\"", " stroke-linecap=\"butt\"",
		" stroke-linejoin=\"miter\"",
	};
	char *to = w->to;
	size_t i;

	while (svg <= end) {
		for (i = 0; i < sizeof(defaults) / sizeof(*defaults); i++)
			if (begins(svg, defaults[i]))
				break;
		if (!i)
			svg += strlen(" fill=\"none\"");
		else if (i < sizeof(defaults) / sizeof(*defaults))
			svg += strlen(defaults[i]);
		else if (begins(svg, " id=\"") && !is_used(w->all, svg + 5, '"'))
			svg = strchr(svg + 5, '"') + 1;
		else
			*to++ = *svg++;
	}
	return to;
}

/* Both return what follows the tag. */
static const char *open_group(struct writing *w, const char *svg)
{
	const char *end = strchr(svg, '>');
	struct group *group = &w->open[w->depth++];

	group->start = w->to;
	group->end = put_tag(w, svg, end);
	if (group->end - w->to <= (long)strlen("<g >"))
		group->end = w->to;
	/* What the last group said holds on. */
	if (w->to == w->closed_at && group->end > w->to &&
	    group->end - w->to == w->closed.end - w->closed.start &&
	    !memcmp(w->to, w->closed.start, (size_t)(group->end - w->to))) {
		w->to -= strlen("</g>");
		*group = w->closed;
	} else {
		w->to = group->end;
	}
	return end + 1;
}

static const char *close_group(struct writing *w, const char *svg)
{
	const struct group *group = &w->open[--w->depth];

	if (w->to == group->end) {
		w->to = group->start;
	} else if (group->end > group->start) {
		memcpy(w->to, "</g>", strlen("</g>"));
		w->to += strlen("</g>");
		w->closed = *group;
		w->closed_at = w->to;
	}
	return svg + strlen("</g>");
}

/* Past what says nothing; @svg where it says something. */
static const char *pass_nothing(const char *svg)
{
	const char *end = NULL;

	if (begins(svg, "<title>"))
		end = strstr(svg, "</title>");
	else if (begins(svg, "<text></text>"))
		end = strstr(svg, "</text>");
	return end ? strchr(end, '>') + 1 : svg;
}

/* Groups that are not as expected leave @svg as it is. */
static bool shorten_groups(const char *svg, char *out)
{
	struct writing w = { .all = svg, .to = out };
	bool marks = false;

	while (*svg) {
		const char *next = svg;

		if (begins(svg, "<defs>") || begins(svg, "</defs>"))
			marks = *(svg + 1) == 'd';
		if (*svg == '<')
			next = marks ? pass_mark(&w, svg) : pass_nothing(svg);
		if (next == svg && begins(svg, "<g ") && strchr(svg, '>')) {
			if (w.depth == DEPTH_MAX)
				return false;
			next = open_group(&w, svg);
		} else if (next == svg && begins(svg, "</g>")) {
			if (!w.depth)
				return false;
			next = close_group(&w, svg);
		}
		if (next == svg)
			*w.to++ = *next++;
		svg = next;
		if (svg[-1] == '>' && isspace((unsigned char)*svg)) {
			next = svg + strspn(svg, " \t\r\n");
			if (*next == '<' || !*next)
				svg = next;
		}
	}
	*w.to = '\0';
	return !w.depth;
}

char *fl_svg_shorten(const char *svg)
{
	char *shapes = shorten_shapes(svg), *out, *marks;

	if (!shapes)
		return NULL;
	out = malloc(strlen(shapes) + 1);
	if (out && !shorten_groups(shapes, out)) {
		free(out);
		return shapes;
	}
	free(shapes);
	if (!out)
		return NULL;
	marks = fl_svg_shorten_marks(out);
	free(out);
	return marks;
}

/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/svg.h"

/* Marks of different kinds in one drawing; more stay as they are. */
#define KINDS_MAX	26u

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* Text within a drawing, not ended by a zero. */
struct piece {
	const char *text;
	size_t bytes;
};

static bool same(struct piece a, struct piece b)
{
	return a.bytes == b.bytes && !memcmp(a.text, b.text, a.bytes);
}

/* What stands between @before and the next @after; moves *at past that. */
static bool take(const char **at, const char *before, char after, struct piece *out)
{
	const char *end;

	if (!begins(*at, before))
		return false;
	out->text = *at + strlen(before);
	end = strchr(out->text, after);
	if (!end)
		return false;
	out->bytes = (size_t)(end - out->text);
	*at = end + 1;
	return true;
}

/* A coordinate with a decimal less: "286.25" as "286.3", "62.00" as "62". */
static void put_tenths(FILE *to, struct piece number)
{
	fprintf(to, "%.10g", (double)(long)(10 * strtod(number.text, NULL) +
					    (*number.text == '-' ? -0.5 : 0.5)) / 10);
}

/* ---- marks -------------------------------------------------------------- */

/* <use href='#ID' transform='translate(X,Y) scale(S)' color='C'/> */
struct mark {
	struct piece id, x, y, scale, colour;
};

static bool take_mark(const char **at, struct mark *m)
{
	return take(at, "<use href='#", '\'', &m->id) &&
	       take(at, " transform='translate(", ',', &m->x) &&
	       take(at, "", ')', &m->y) && take(at, " scale(", ')', &m->scale) &&
	       take(at, "' color='", '\'', &m->colour) && begins(*at, "/>") &&
	       (*at += strlen("/>"));
}

/* A mark, and the larger one below it in the paper's colour, if there is one. */
struct kind {
	struct mark below, mark;
	bool has_below;
};

static bool same_kind(const struct kind *a, const struct kind *b)
{
	return same(a->mark.id, b->mark.id) && same(a->mark.scale, b->mark.scale) &&
	       a->has_below == b->has_below &&
	       (!a->has_below || (same(a->below.id, b->below.id) &&
				  same(a->below.scale, b->below.scale) &&
				  same(a->below.colour, b->below.colour)));
}

static bool take_kind(const char **at, struct kind *k)
{
	const char *next;
	struct mark above;

	if (!take_mark(at, &k->mark))
		return false;
	next = *at + strspn(*at, " \t\r\n");
	k->has_below = take_mark(&next, &above) && same(above.x, k->mark.x) &&
		       same(above.y, k->mark.y) &&
		       !same(above.colour, k->mark.colour);
	if (k->has_below) {
		k->below = k->mark;
		k->mark = above;
		*at = next;
	}
	return true;
}

/* The name of kind @i, told from others' by what all ids of the drawing begin with. */
static void put_name(FILE *to, const struct kind *k, size_t i)
{
	size_t own = k->mark.id.bytes;

	while (own && k->mark.id.text[own - 1] != '-')
		own--;
	fprintf(to, "%.*s%c", (int)own, k->mark.id.text, (char)('a' + i));
}

static void put_scaled(FILE *to, const struct mark *m)
{
	fprintf(to, "<use href='#%.*s' transform='scale(%.*s)'", (int)m->id.bytes,
		m->id.text, (int)m->scale.bytes, m->scale.text);
}

static void put_kinds(FILE *to, const struct kind *kinds, size_t nr)
{
	if (!nr)
		return;
	fputs("<defs>", to);
	for (size_t i = 0; i < nr; i++) {
		fputs("<g id='", to);
		put_name(to, &kinds[i], i);
		fputs("'>", to);
		if (kinds[i].has_below) {
			put_scaled(to, &kinds[i].below);
			fprintf(to, " color='%.*s'/>",
				(int)kinds[i].below.colour.bytes,
				kinds[i].below.colour.text);
		}
		put_scaled(to, &kinds[i].mark);
		fputs("/></g>", to);
	}
	fputs("</defs>", to);
}

/* ---- texts -------------------------------------------------------------- */

/*
 * <g transform="translate(X,Y)" stroke="none" fill="F" font-size="13.00"
 * text-anchor="A"><text>...</text></g>; whoever shows the drawing gives texts that
 * size and no stroke.
 */
static bool put_text(FILE *to, const char **svg)
{
	struct piece x, y, fill, anchor, text;
	const char *at = *svg;

	if (!take(&at, "<g transform=\"translate(", ',', &x) ||
	    !take(&at, "", ')', &y) ||
	    !take(&at, "\" stroke=\"none\" fill=\"", '"', &fill) ||
	    !begins(at, " font-size=\"" FL_SVG_FONT_PX ".00\""))
		return false;
	at = strchr(at + strlen(" font-size=\""), '"') + 1;
	at += strspn(at, " ");
	if (!take(&at, "text-anchor=\"", '"', &anchor) ||
	    !take(&at, "><text>", '<', &text) || !begins(at, "/text></g>"))
		return false;
	at += strlen("/text></g>");
	fputs("<text x='", to);
	put_tenths(to, x);
	fputs("' y='", to);
	put_tenths(to, y);
	fprintf(to, "' fill='%.*s'", (int)fill.bytes, fill.text);
	if (!begins(anchor.text, "start"))
		fprintf(to, " text-anchor='%.*s'", (int)anchor.bytes, anchor.text);
	fprintf(to, ">%.*s</text>", (int)text.bytes, text.text);
	*svg = at;
	return true;
}

/* ---- tics --------------------------------------------------------------- */

/*
 * Straight lines that touch no other: what an axis is made of, a path for each, in
 * turns with those of its grid and its numbers.
 */
struct tics {
	struct piece stroke[2];	/* colours of paths */
	FILE *path[2], *texts;
	char *text[3];
	size_t bytes[3], nr;	/* nr: paths that are being made */
};

static bool take_tic(const char **at, struct piece *stroke, struct piece *line)
{
	size_t turns = 0;

	if (!take(at, "<path stroke='", '\'', stroke) ||
	    !take(at, " d='", '\'', line) || !begins(*at, "/>"))
		return false;
	*at += strlen("/>");
	for (size_t i = 0; i < line->bytes; i++)
		turns += isalpha((unsigned char)line->text[i]) != 0;
	/* "M62 186h220.5" */
	return turns == 2 && memchr(line->text, 'l', line->bytes) == NULL;
}

static bool begin_tics(struct tics *t)
{
	*t = (struct tics){ .nr = 0 };
	t->texts = open_memstream(&t->text[2], &t->bytes[2]);
	return t->texts;
}

/* Paths first: no number lies on a tic. */
static bool end_tics(struct tics *t, FILE *to)
{
	bool ok = !fclose(t->texts);

	for (size_t i = 0; i < t->nr; i++) {
		ok &= !fclose(t->path[i]);
		if (ok)
			fprintf(to, "<path stroke='%.*s' d='%s'/>",
				(int)t->stroke[i].bytes, t->stroke[i].text,
				t->text[i]);
		free(t->text[i]);
	}
	if (ok)
		fputs(t->text[2], to);
	free(t->text[2]);
	return ok;
}

/* A run of them from @svg on, which moves past it; false without memory. */
static bool put_tics(FILE *to, const char **svg)
{
	struct piece stroke, line;
	const char *at = *svg;
	struct tics t;
	size_t i;

	if (!take_tic(&at, &stroke, &line))
		return true;
	if (!begin_tics(&t))
		return false;
	for (at = *svg; ; *svg = at) {
		if (put_text(t.texts, &at))
			continue;
		if (!take_tic(&at, &stroke, &line))
			break;
		for (i = 0; i < t.nr && !same(t.stroke[i], stroke); i++)
			;
		if (i == 2)
			break;
		if (i == t.nr) {
			t.path[i] = open_memstream(&t.text[i], &t.bytes[i]);
			if (!t.path[i])
				break;
			t.stroke[t.nr++] = stroke;
		}
		fwrite(line.text, 1, line.bytes, t.path[i]);
	}
	return end_tics(&t, to);
}

static char *without_gridlines(const char *svg)
{
	static const char gridline[] = " class=\"gridline\"";
	char *out = malloc(strlen(svg) + 1), *to = out;

	while (out && *svg)
		if (begins(svg, gridline))
			svg += strlen(gridline);
		else
			*to++ = *svg++;
	if (out)
		*to = '\0';
	return out;
}

char *fl_svg_shorten_marks(const char *given)
{
	struct kind kinds[KINDS_MAX], kind;
	char *plain = without_gridlines(given), *out = NULL;
	const char *svg = plain;
	size_t nr = 0, bytes, i;
	FILE *to = plain ? open_memstream(&out, &bytes) : NULL;
	bool failed = false;

	while (to && *svg && !failed) {
		const char *next = svg;

		failed = *svg == '<' && !put_tics(to, &svg);
		if (svg != next || (*svg == '<' && put_text(to, &svg)))
			continue;
		if (begins(svg, "</svg>"))
			put_kinds(to, kinds, nr);
		if (!begins(svg, "<use ") || !take_kind(&next, &kind)) {
			fputc(*svg++, to);
			continue;
		}
		for (i = 0; i < nr && !same_kind(&kinds[i], &kind); i++)
			;
		if (i == KINDS_MAX) {
			fwrite(svg, 1, (size_t)(next - svg), to);
		} else {
			kinds[i] = kind;
			nr += i == nr;
			fputs("<use href='#", to);
			put_name(to, &kind, i);
			fputs("' x='", to);
			put_tenths(to, kind.mark.x);
			fputs("' y='", to);
			put_tenths(to, kind.mark.y);
			fprintf(to, "' color='%.*s'/>", (int)kind.mark.colour.bytes,
				kind.mark.colour.text);
		}
		svg = next;
	}
	if (to)
		failed |= fclose(to) != 0;
	if (failed) {
		free(out);
		out = NULL;
	}
	free(plain);
	return out;
}

/* SPDX-License-Identifier: MIT */
/*
 * What plots need beside gnuplot: labels that do not touch, the palette, and SVG
 * made to stand within a page.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "analysis/palette.h"
#include "analysis/plot_data.h"
#include "analysis/svg.h"

static uint64_t rng = 1;

static double next(void)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (double)(rng >> 11) / (double)((uint64_t)1 << 53);
}

static int ascending(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double cost(const double *from, const double *to, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (to[i] - from[i]) * (to[i] - from[i]);
	return sum;
}

static void test_spread(void **state)
{
	const double gap = 0.06;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		size_t n = (size_t)(next() * 14) + 1;
		double from[16], to[16], other[16];
		bool roomy = true;

		for (size_t i = 0; i < n; i++)
			from[i] = round % 2 ? next() : 0.1 * next();
		qsort(from, n, sizeof(*from), ascending);
		for (size_t i = 1; i < n; i++)
			roomy &= from[i] - from[i - 1] >= gap;
		memcpy(to, from, sizeof(to));
		fl_plot_spread(to, n, gap);
		for (size_t i = 0; i < n; i++) {
			assert_true(to[i] >= -1e-12 && to[i] <= 1 + 1e-12);
			if (i)
				assert_true(to[i] - to[i - 1] >= gap - 1e-9);
			if (roomy)
				assert_true(fabs(to[i] - from[i]) < 1e-9);
		}
		/* No small change that keeps the rules is better. */
		for (int try = 0; try < 20; try++) {
			bool allowed = true;

			memcpy(other, to, sizeof(other));
			for (size_t i = 0; i < n; i++)
				other[i] += 0.01 * (next() - 0.5);
			for (size_t i = 0; i < n; i++) {
				allowed &= other[i] >= 0 && other[i] <= 1;
				if (i)
					allowed &= other[i] - other[i - 1] >= gap;
			}
			if (allowed)
				assert_true(cost(from, other, n) >=
					    cost(from, to, n) - 1e-9);
		}
	}
}

static void test_spread_full(void **state)
{
	double at[40];

	(void)state;
	for (size_t i = 0; i < 40; i++)
		at[i] = 0.5;
	fl_plot_spread(at, 40, 0.06);
	for (size_t i = 0; i < 40; i++)
		assert_true(fabs(at[i] - (double)i / 39) < 1e-9);
	at[0] = 7;
	fl_plot_spread(at, 1, 0.06);
	assert_true(at[0] == 7);
	fl_plot_spread(at, 0, 0.06);
}

static void palette(struct fl_palette *out)
{
	struct fl_complaint why = { "" };
	char *folder;

	if (fl_plots_find(&folder, &why))
		skip();
	assert_int_equal(fl_palette_load(folder, out, &why), 0);
	free(folder);
}

static void test_palette(void **state)
{
	struct fl_palette p;
	size_t i;

	(void)state;
	palette(&p);
	assert_true(p.nr > p.nr_others && p.nr_others > 1);
	i = fl_palette_index(&p, "segv_redirect");
	assert_string_equal(p.colours[i].name, "segv_redirect");
	/* Anything else gets one of the others, and always the same. */
	for (const char *name = "a\0zebra\0PEERS/mimalloc\0\xff\0"; *name;
	     name += strlen(name) + 1) {
		i = fl_palette_index(&p, name);
		assert_memory_equal(p.colours[i].name, "other-", 6);
		assert_int_equal(fl_palette_index(&p, name), i);
	}
	assert_memory_equal(p.colours[fl_palette_index(&p, "")].name, "other-",
			    6);
	/* Two colours that are alike would be one. */
	for (i = 0; i < p.nr; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(p.colours[i].light,
						p.colours[j].light);
}

static void test_palette_refused(void **state)
{
	static const char *const lists[] = {
		"", "$colours << END\nEND\n",
		"$colours << END\nother-1 #12345 #123456 1\nEND\n",
		"$colours << END\nother-1 #12345G #123456 1\nEND\n",
		"$colours << END\nother-1\nEND\n",
		"$colours << END\nblue #123456 #123456 1\nEND\n",
	};
	char dir[] = "/tmp/faultline-plot.XXXXXX", path[64];
	struct fl_complaint why = { "" };
	struct fl_palette p;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/style.gp", dir);
	assert_int_equal(fl_palette_load(dir, &p, &why), -ENOENT);
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		FILE *to = fopen(path, "we");

		assert_non_null(to);
		fputs(lists[i], to);
		fclose(to);
		assert_int_equal(fl_palette_load(dir, &p, &why), -EINVAL);
		assert_non_null(strstr(why.text, "style.gp"));
	}
	unlink(path);
	rmdir(dir);
}

static void test_inline(void **state)
{
	struct fl_palette p = { .nr = 2, .nr_others = 1, .colours = {
		{ "text", "#1f2328", "#ffffff" },
		{ "other-1", "#0068b5", "#000000" },
	} };
	char *svg;

	(void)state;
	svg = fl_palette_inline(&p,
		"<?xml version=\"1.0\"?>\n<svg \n width=\"9\" viewBox=\"0 0 9 7\"\n>\n"
		"<title>Gnuplot</title>\n<desc>Produced</desc>\n"
		"<rect x=\"0\" y=\"0\" width=\"9\" height=\"7\" fill=\"#ffffff\"/>"
		"<g id=\"a\"><use xlink:href='#a' color='rgb(  0, 104, 181)'/>"
		"<path id='b' stroke='rgb(  1,   2,   3)' fill=\"#0068B5\"/>"
		"<text fill=\"black\" font-family=\"sans-serif\">#1 black</text></g>"
		"</svg>\n", "p1w", "a < b & \"c\"");
	assert_non_null(svg);
	assert_string_equal(svg,
		"<svg viewBox=\"0 0 9 7\" role=\"img\" "
		"aria-label=\"a &lt; b &amp; &quot;c&quot;\" "
		"fill=\"none\" stroke=\"currentColor\">"
		"<g id=\"p1w-a\"><use href='#p1w-a' color='var(--c1)'/>"
		"<path id='p1w-b' stroke='rgb(  1,   2,   3)' fill=\"var(--c1)\"/>"
		"<text fill=\"var(--c0)\">#1 black</text></g></svg>");
	free(svg);
}

static void shortens(const char *from, const char *to)
{
	char *svg = fl_svg_shorten(from);

	assert_non_null(svg);
	assert_string_equal(svg, to);
	free(svg);
}

static void test_shapes(void **state)
{
	(void)state;
	/* Steps without the points on the way, rounded without drifting. */
	shortens("<path fill='x'  d='M62.00,450.00 L64.57,450.00 L67.13,450.00\n\t"
		 "L67.13,440.12 L69.70,440.12  '/>",
		 "<path fill='x' d='M62 450h5.1v-9.9h2.6'/>");
	shortens("<path d='M0.00,0.00 L0.04,1.00 L0.08,2.00 L0.12,3.00 L0.5,3.5 L0,4 '/>",
		 "<path d='M0 0v1l.1 1v1l.4.5-.5.5'/>");
	/* A line that turns back, and one that is a dot. */
	shortens("<path d='M1,1 L5,1 L3,1 M7,7 L7,7'/>",
		 "<path d='M1 1h4-2M7 7h0'/>");
	shortens("<polygon fill = 'x' points = '0,0 2,0 4,0 4,3 0,3 '/>",
		 "<path fill='x' d='M0 0h4v3h-4z'/>");
	/* What is not known, and marks, which are scaled. */
	shortens("<path d='M0,0 h2 M0,-1 v2'/>", "<path d='M0,0 h2 M0,-1 v2'/>");
	shortens("<path d='M0,x L1,1'/>", "<path d='M0,x L1,1'/>");
	shortens("<path d='M0", "<path d='M0");
	shortens("<defs><path id='m' d='M0.01,0 L1,0 L2,0 z'/></defs><use href='#m'/>",
		 "<defs><path id='m' d='M0.01,0 L1,0 L2,0 z'/></defs><use href='#m'/>");
}

static void test_groups(void **state)
{
	(void)state;
	shortens("<g color=\"a\">1</g>\n<g color=\"a\">\n</g>\n<g color=\"a\">2</g><g color=\"b\">3</g>",
		 "<g color=\"a\">12</g><g color=\"b\">3</g>");
	/* A different group between two keeps them apart. */
	shortens("<g color=\"a\">1</g><g color=\"b\">2</g><g color=\"a\">3</g>",
		 "<g color=\"a\">1</g><g color=\"b\">2</g><g color=\"a\">3</g>");
	shortens("<g id=\"plot\"><title>f(x)</title><g color=\"a\">1</g></g><g color=\"a\">2</g>",
		 "<g color=\"a\">12</g>");
	shortens("<g fill=\"none\" color=\"a\" stroke=\"currentColor\" stroke-width=\"1.00\" "
		 "stroke-linecap=\"butt\" stroke-linejoin=\"miter\">1</g>"
		 "<g color=\"a\" stroke=\"b\" stroke-width=\"1.20\">2</g>",
		 "<g color=\"a\">1</g><g color=\"a\" stroke=\"b\" stroke-width=\"1.20\">2</g>");
	shortens("<g x=\"1\"><text></text></g><text>a b</text>", "<text>a b</text>");
	shortens("<defs><path id='m1' d='M0,0 v2'/>\n<path id='m2' d=''/>\n"
		 "<filter id='f'> <a/>\n</filter></defs><use href='#m2'/>",
		 "<defs><path id='m2' d=''/></defs><use href='#m2'/>");
	/* One too many closed. */
	shortens("<g a=\"1\"></g></g>", "<g a=\"1\"></g></g>");
}

#define MARK(m, x, y, s, c)	"<use href='#w-" m "' transform='translate(" x "," y ") scale(" s ")' color='" c "'/>"

static void test_marks(void **state)
{
	(void)state;
	/* A mark and the paper below it, twice; another below nothing. */
	shortens("<svg>" MARK("gpPt6", "1.04", "2.00", "4.9", "c0") "\n" MARK("gpPt4", "1.04", "2.00", "2.7", "c1")
		 MARK("gpPt6", "-3.26", "2.00", "4.9", "c0") MARK("gpPt4", "-3.26", "2.00", "2.7", "c2")
		 MARK("gpPt4", "7.00", "8.00", "2.7", "c2") "</svg>",
		 "<svg><use href='#w-a' x='1' y='2' color='c1'/><use href='#w-a' x='-3.3' y='2' color='c2'/>"
		 "<use href='#w-b' x='7' y='8' color='c2'/><defs><g id='w-a'>"
		 "<use href='#w-gpPt6' transform='scale(4.9)' color='c0'/><use href='#w-gpPt4' transform='scale(2.7)'/></g>"
		 "<g id='w-b'><use href='#w-gpPt4' transform='scale(2.7)'/></g></defs></svg>");
	shortens("<use href='#a' transform='rotate(180)'/>", "<use href='#a' transform='rotate(180)'/>");
}

#define TEXT(x, y, size, anchor, text)	"<g transform=\"translate(" x "," y ")\" stroke=\"none\" fill=\"f\" font-size=\"" size "\"  text-anchor=\"" anchor "\"><text>" text "</text></g>"

static void test_texts(void **state)
{
	(void)state;
	shortens(TEXT("48.02", "190.26", "13.00", "end", "2k"),
		 "<text x='48' y='190.3' fill='f' text-anchor='end'>2k</text>");
	shortens(TEXT("1.00", "2.00", "13.00", "start", "a &lt; b"),
		 "<text x='1' y='2' fill='f'>a &lt; b</text>");
	/* Of another size, or turned. */
	shortens(TEXT("1.00", "2.00", "9.00", "start", "a"), TEXT("1.00", "2.00", "9.00", "start", "a"));
	shortens("<g transform=\"translate(1,2) rotate(9)\"><text>a</text></g>",
		 "<g transform=\"translate(1,2) rotate(9)\"><text>a</text></g>");
}

#define TIC(colour, data)	"<path stroke='" colour "' d='" data "'/>"

static void test_tics(void **state)
{
	(void)state;
	shortens(TIC("a", "M0,0 L5,0") TIC("b", "M0,0 L0,1") TEXT("1.00", "2.00", "13.00", "start", "t")
		 TIC("a", "M0,9 L5,9") TIC("b", "M3,0 L3,1"),
		 "<path stroke='a' d='M0 0h5M0 9h5'/><path stroke='b' d='M0 0v1M3 0v1'/><text x='1' y='2' fill='f'>t</text>");
	/* Slopes, lines of more than a piece, and a third colour keep their place. */
	shortens(TIC("a", "M0,0 L5,1") TIC("a", "M0,0 L5,0 L5,5") TIC("a", "M0,0 L5,0") TIC("b", "M0,0 L5,0")
		 TIC("c", "M0,0 L5,0") TIC("a", "M0,1 L5,1"),
		 "<path stroke='a' d='M0 0l5 1'/><path stroke='a' d='M0 0h5v5'/><path stroke='a' d='M0 0h5'/>"
		 "<path stroke='b' d='M0 0h5'/><path stroke='c' d='M0 0h5'/><path stroke='a' d='M0 1h5'/>");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_spread_full),
		cmocka_unit_test(test_palette),
		cmocka_unit_test(test_palette_refused),
		cmocka_unit_test(test_inline),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_tics),
	};

	return cmocka_run_group_tests_name("plot", tests, NULL, NULL);
}

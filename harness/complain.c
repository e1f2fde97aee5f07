/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "harness/complain.h"

int fl_complain(struct fl_complaint *why, int err, const char *format, ...)
{
	va_list args;

	if (!why)
		return err;
	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	for (char *c = why->text; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	return err;
}

void fl_complaint_print(const struct fl_complaint *why, int err)
{
	fflush(stdout);
	fprintf(stderr, "faultline: %s\n",
		*why->text ? why->text : strerror(-err));
}

/* Levenshtein distance with one row; names are short. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[64], nb = strlen(b);

	if (strlen(a) >= 64 || nb >= 64)
		return 64;
	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < nb; j++) {
			size_t above = row[j + 1];
			size_t best = diagonal + (a[i] != b[j]);

			if (above + 1 < best)
				best = above + 1;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			diagonal = above;
			row[j + 1] = best;
		}
	}
	return row[nb];
}

const char *fl_nearest(const char *word, const char *const *names)
{
	size_t best = strlen(word) / 3 + 1;
	const char *nearest = NULL;

	for (; *names; names++) {
		size_t d = edit_distance(word, *names);

		if (d <= best) {
			best = d - (d > 0);
			nearest = *names;
			if (!d)
				break;
		}
	}
	return nearest;
}

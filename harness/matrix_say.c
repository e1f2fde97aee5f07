/* SPDX-License-Identifier: MIT */
/*
 * What the cells say together.  Every name in a conclusion is there because of a
 * cell's verdict.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/matrix.h"

const char *const fl_conclusion_names[FL_CONCLUSIONS] = { "N5", "N9" };

typedef bool (*test_fn)(const struct fl_cell *cell);

static bool is_yes(const struct fl_cell *cell)
{
	return cell->verdict == FL_CELL_YES;
}

static bool is_no(const struct fl_cell *cell)
{
	return cell->verdict == FL_CELL_NO;
}

static bool is_refused(const struct fl_cell *cell)
{
	return cell->verdict == FL_CELL_REFUSED;
}

static bool is_only_opened(const struct fl_cell *cell)
{
	return is_yes(cell) && !strcmp(cell->word, "opened");
}

static bool is_yes_at_once(const struct fl_cell *cell)
{
	return is_yes(cell) && !is_only_opened(cell);
}

static bool is_sent_and_maps(const struct fl_cell *cell)
{
	return is_no(cell) && !strcmp(cell->word, "maps");
}

static bool is_not_sent(const struct fl_cell *cell)
{
	return is_no(cell) && !is_sent_and_maps(cell);
}

static bool is_unknown(const struct fl_cell *cell)
{
	return cell->verdict == FL_CELL_ABSENT ||
	       cell->verdict == FL_CELL_FAILED;
}

static bool is_tried(const struct fl_cell *cell)
{
	return cell->verdict != FL_CELL_NOT_TRIED;
}

static bool is_unknown_or_untried(const struct fl_cell *cell)
{
	return is_unknown(cell) || !is_tried(cell);
}

static bool is_answer(const struct fl_cell *cell)
{
	return is_yes(cell) || is_no(cell);
}

/* Does its cell pass @test; or does it have an answer, and another one? */
static bool counts(const struct fl_matrix *matrix, size_t m, size_t p,
		   test_fn test, bool passed)
{
	const struct fl_cell *cell = fl_matrix_cell(matrix, m, p);

	if ((matrix->wanted && !matrix->wanted[m]) ||
	    (!passed && !is_answer(cell)))
		return false;
	return test(cell) == passed;
}

static size_t how_many(const struct fl_matrix *matrix, size_t p, test_fn test,
		       bool passed)
{
	size_t nr = 0;

	for (size_t m = 0; m < fl_nr_mechanisms; m++)
		nr += counts(matrix, m, p, test, passed);
	return nr;
}

/* "A, B and C" of the mechanisms whose cell passes @test, or of the other answers. */
static void name_them(FILE *to, const struct fl_matrix *matrix, size_t p,
		      test_fn test, bool passed)
{
	size_t left = how_many(matrix, p, test, passed);

	for (size_t m = 0; m < fl_nr_mechanisms; m++)
		if (counts(matrix, m, p, test, passed))
			fprintf(to, "%s%s",
				fl_mechanism_name(fl_mechanisms[m]),
				--left > 1 ? ", " : left ? " and " : "");
}

/* "@lead A, B and C. ", or nothing where there is none. */
static void say_those(FILE *to, const struct fl_matrix *matrix, size_t p,
		      test_fn test, const char *lead)
{
	if (!how_many(matrix, p, test, true))
		return;
	fprintf(to, "%s ", lead);
	name_them(to, matrix, p, test, true);
	fputs(". ", to);
}

/*
 * "@lead A and B. ", "@lead all. ", "@lead all but C. ", or "@lead none. "; nothing
 * where nothing was tried.  Where some have no answer, "all that answered", and
 * their names behind it.
 */
static void say_which(FILE *to, const struct fl_matrix *matrix, size_t p,
		      test_fn test, const char *lead)
{
	const size_t nr = how_many(matrix, p, test, true);
	const size_t others = how_many(matrix, p, test, false);
	const bool most = nr && others < nr;

	if (!how_many(matrix, p, is_tried, true))
		return;
	fprintf(to, "%s ", lead);
	if (!nr)
		fputs(others ? "none" : "no answer", to);
	if (most)
		fprintf(to, "all%s%s",
			how_many(matrix, p, is_refused, true) ||
			how_many(matrix, p, is_unknown_or_untried, true) ?
			" that answered" : "", others ? " but " : "");
	if (nr && others)
		name_them(to, matrix, p, test, !most);
	fputs(". ", to);
	say_those(to, matrix, p, is_refused, "Refused to us:");
	say_those(to, matrix, p, is_unknown_or_untried, "Not known here:");
}

/* Can a fault send the store to another block? */
static void conclude_redirect(FILE *to, const struct fl_matrix *matrix)
{
	const size_t p = fl_property_named("redirect");

	say_those(to, matrix, p, is_yes,
		  "The interrupted store can be sent to another block, and the guard stays without a page, by");
	say_those(to, matrix, p, is_sent_and_maps,
		  "It is sent there but the guard gets a page by");
	say_those(to, matrix, p, is_not_sent, "It cannot be sent by");
	say_those(to, matrix, p, is_refused, "Refused to us:");
	say_those(to, matrix, p, is_unknown, "Not known here:");
}

/* Can a giant range be handled that is mostly not there? */
static void conclude_giant(FILE *to, const struct fl_matrix *matrix)
{
	say_which(to, matrix, fl_property_named("closed-16t"), is_yes,
		  "Works in 16 TiB while they are PROT_NONE:");
	say_which(to, matrix, fl_property_named("opened-16t"), is_yes,
		  "Once a part of them is opened:");
	say_which(to, matrix, fl_property_named("open-16t"), is_yes,
		  "In 16 TiB mapped read-write, MAP_NORESERVE:");
	for (int mode = 0; mode <= 2; mode++) {
		char name[32], lead[120];
		size_t p;

		snprintf(name, sizeof(name), "overcommit-%d", mode);
		p = fl_property_named(name);
		snprintf(lead, sizeof(lead),
			 "Under vm.overcommit_memory=%d read-write at once:",
			 mode);
		say_which(to, matrix, p, is_yes_at_once, lead);
		say_those(to, matrix, p, is_only_opened,
			  "PROT_NONE first, and opened in parts:");
	}
}

char *fl_matrix_conclude(const struct fl_matrix *matrix, size_t i)
{
	char *text = NULL;
	size_t bytes;
	FILE *to = open_memstream(&text, &bytes);

	if (!to)
		return NULL;
	if (i == 0)
		conclude_redirect(to, matrix);
	else
		conclude_giant(to, matrix);
	if (!ftell(to))
		fputs("Not tried.", to);
	if (fclose(to)) {
		free(text);
		return NULL;
	}
	/* The blank behind the last sentence. */
	if (bytes && text[bytes - 1] == ' ')
		text[bytes - 1] = '\0';
	return text;
}

/* SPDX-License-Identifier: MIT */
/*
 * harness/table.h: aligned tables on a terminal, and numbers as people read
 * them.
 *
 * Vocabulary: a "style" says what a cell means, and becomes colour where that is
 * welcome; no meaning is carried by colour alone.  A column's "priority" says
 * how soon it is left out when the terminal is narrow: 0 never, the highest
 * first.  What the table prints is ASCII, except for what callers put in; a byte
 * counts as a column.
 *
 * Context: cold, MT-safe (no globals).
 */
#ifndef FL_TABLE_H
#define FL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FL_TERMINAL_COLUMNS	100	/* where nobody says how wide it is */

struct fl_terminal {
	unsigned int columns;
	bool colour;
};

/*
 * fl_terminal_of: What @to is.  Colour if it is a terminal, TERM is not "dumb"
 * and NO_COLOR is unset or empty (https://no-color.org).  Columns as COLUMNS
 * says, or the terminal, or FL_TERMINAL_COLUMNS; at least 40.
 */
void fl_terminal_of(FILE *to, struct fl_terminal *out);

enum fl_style { FL_PLAIN, FL_STRONG, FL_DIM, FL_GOOD, FL_BAD };

struct fl_column {
	const char *title;
	bool right;		/* aligned to the right */
	unsigned int priority;
};

struct fl_table;

/*
 * fl_table_new: @columns (@nr of them, at least one) must outlive the table.
 * Returns NULL without memory.
 */
struct fl_table *fl_table_new(const struct fl_column *columns, size_t nr);
void fl_table_free(struct fl_table *table);

/*
 * fl_table_put: Fill the next cell, left to right, then the next row.  Control
 * characters become '?'.  Without memory the cell stays empty, and
 * fl_table_print says so with its return value.
 */
void fl_table_put(struct fl_table *table, enum fl_style style,
		  const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * fl_table_number, fl_table_interval: A number as fl_text_number with pad has it;
 * "[0.31, 0.33]".  Empty for NaN.
 */
void fl_table_number(struct fl_table *table, double value);
void fl_table_interval(struct fl_table *table, double lo, double hi);

/* fl_table_end_row: Leave the rest of the row empty. */
void fl_table_end_row(struct fl_table *table);

/*
 * fl_table_print: Title row and rows, two blanks between columns, @indent before
 * the first.  Columns that are empty in every row are left out; then those of
 * the highest priority until the rest fits; then the widest of what is left is
 * cut, with '~' where something is missing.
 * Returns 0, or -ENOMEM.  Errors of writing stay in @to (ferror).
 */
int fl_table_print(const struct fl_table *table, FILE *to,
		   const struct fl_terminal *terminal, unsigned int indent);

/*
 * fl_style_print: @text in @style, padded to @width (0: not).
 */
void fl_style_print(FILE *to, const struct fl_terminal *terminal,
		    enum fl_style style, const char *text);

/*
 * fl_wrap: @text in lines that fit, @indent before each line but the first,
 * where the cursor is assumed to stand at @indent already.  Ends with a newline.
 * Typographic characters (micro sign, dashes, ...) become ASCII.
 */
void fl_wrap(FILE *to, const struct fl_terminal *terminal, unsigned int indent,
	     const char *text);

/* Room for any of the texts below. */
#define FL_TEXT_BYTES	40

/*
 * fl_text_number: Four digits: "0.312", "56.31", "1234"; "-" for NaN.  With
 * @pad, blanks for the decimals it lacks, so that points align.
 */
const char *fl_text_number(char text[FL_TEXT_BYTES], double value, bool pad);

/* fl_text_ns: Three digits and a unit: "95 ns", "2.11 us" (@micro: what
 * stands for micro). */
const char *fl_text_ns(char text[FL_TEXT_BYTES], double ns, const char *micro);

/* fl_text_bytes: "64 KiB", "0.9 MiB"; whole where it is. */
const char *fl_text_bytes(char text[FL_TEXT_BYTES], double bytes);

/* fl_text_share: "2.3 %"; from 100 % on "a factor of 4.1" (4.1 - 1 being it). */
const char *fl_text_share(char text[FL_TEXT_BYTES], double share);

/* fl_text_count: With a comma every three digits. */
const char *fl_text_count(char text[FL_TEXT_BYTES], double count);

#endif

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "harness/table.h"

#define COLUMNS_MIN	40
#define GAP		2

struct cell {
	char *text;
	enum fl_style style;
};

struct fl_table {
	const struct fl_column *columns;
	size_t nr_columns;
	struct cell *cells;		/* row after row */
	size_t nr_cells;
	bool failed;			/* out of memory: something is missing */
};

void fl_terminal_of(FILE *to, struct fl_terminal *out)
{
	const char *columns = getenv("COLUMNS");
	const char *no_colour = getenv("NO_COLOR");
	const char *term = getenv("TERM");
	int fd = fileno(to);
	bool tty = fd >= 0 && isatty(fd);
	struct winsize size;
	long told;

	out->columns = FL_TERMINAL_COLUMNS;
	told = columns ? strtol(columns, NULL, 10) : 0;
	if (told > 0 && told < 10000)
		out->columns = (unsigned int)told;
	else if (tty && !ioctl(fd, TIOCGWINSZ, &size) && size.ws_col)
		out->columns = size.ws_col;
	if (out->columns < COLUMNS_MIN)
		out->columns = COLUMNS_MIN;
	out->colour = tty && !(no_colour && *no_colour) &&
		      !(term && !strcmp(term, "dumb"));
}

struct fl_table *fl_table_new(const struct fl_column *columns, size_t nr)
{
	struct fl_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->columns = columns;
	table->nr_columns = nr;
	return table;
}

void fl_table_free(struct fl_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->nr_cells; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(table);
}

/* Takes @text, which may be NULL. */
static void add_cell(struct fl_table *table, enum fl_style style, char *text)
{
	size_t nr = table->nr_cells;

	if (!(nr & (nr - 1))) {
		void *grown = realloc(table->cells, (nr ? 2 * nr : 1) *
				      sizeof(*table->cells));

		if (!grown) {
			table->failed = true;
			free(text);
			return;
		}
		table->cells = grown;
	}
	table->cells[nr] = (struct cell){ .text = text, .style = style };
	table->nr_cells++;
}

void fl_table_put(struct fl_table *table, enum fl_style style,
		  const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0) {
		table->failed = true;
		text = NULL;
	}
	va_end(args);
	/* Names come from files; an escape sequence in one must not reach the
	 * terminal. */
	for (char *c = text; c && *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	add_cell(table, style, text);
}

void fl_table_end_row(struct fl_table *table)
{
	while (!table->failed && table->nr_cells % table->nr_columns)
		add_cell(table, FL_PLAIN, NULL);
}

static const char *cell_text(const struct fl_table *table, size_t row,
			     size_t column)
{
	const char *text = table->cells[row * table->nr_columns + column].text;

	return text ? text : "";
}

static unsigned int total_width(const unsigned int *widths, size_t nr)
{
	unsigned int total = 0;

	for (size_t i = 0; i < nr; i++)
		if (widths[i])
			total += widths[i] + (total ? GAP : 0);
	return total;
}

/* Width of each column, 0 for those that are left out. */
static void choose_widths(const struct fl_table *table, unsigned int room,
			  unsigned int *widths)
{
	size_t nr = table->nr_columns, rows = table->nr_cells / nr;

	for (size_t c = 0; c < nr; c++) {
		widths[c] = 0;
		for (size_t r = 0; r < rows; r++)
			if (strlen(cell_text(table, r, c)) > widths[c])
				widths[c] = (unsigned int)
					strlen(cell_text(table, r, c));
		if (widths[c] && widths[c] < strlen(table->columns[c].title))
			widths[c] = (unsigned int)
				strlen(table->columns[c].title);
	}
	while (total_width(widths, nr) > room) {
		size_t out = nr, widest = 0;

		for (size_t c = 0; c < nr; c++) {
			if (widths[c] && table->columns[c].priority &&
			    (out == nr || table->columns[c].priority >=
			     table->columns[out].priority))
				out = c;
			if (widths[c] > widths[widest])
				widest = c;
		}
		if (out < nr)
			widths[out] = 0;
		else if (widths[widest] > 1)
			widths[widest]--;
		else
			return;
	}
}

static const char *const style_starts[] = {
	[FL_PLAIN] = "", [FL_STRONG] = "\033[1m", [FL_DIM] = "\033[2m",
	[FL_GOOD] = "\033[32m", [FL_BAD] = "\033[1;31m",
};

void fl_style_print(FILE *to, const struct fl_terminal *terminal,
		    enum fl_style style, const char *text)
{
	bool colour = terminal->colour && style != FL_PLAIN && *text;

	fprintf(to, "%s%s%s", colour ? style_starts[style] : "", text,
		colour ? "\033[0m" : "");
}

static void print_cell(FILE *to, const struct fl_terminal *terminal,
		       enum fl_style style, const char *text,
		       unsigned int width, bool right, bool last)
{
	unsigned int bytes = (unsigned int)strlen(text);
	char cut[512];

	if (bytes > width) {
		bytes = width < sizeof(cut) ? width : sizeof(cut) - 1;
		memcpy(cut, text, bytes);
		cut[bytes - 1] = '~';
		cut[bytes] = '\0';
		text = cut;
	}
	if (right)
		fprintf(to, "%*s", (int)(width - bytes), "");
	fl_style_print(to, terminal, style, text);
	if (!right && !last)
		fprintf(to, "%*s", (int)(width - bytes), "");
}

int fl_table_print(const struct fl_table *table, FILE *to,
		   const struct fl_terminal *terminal, unsigned int indent)
{
	size_t nr = table->nr_columns, rows = table->nr_cells / nr;
	unsigned int room = terminal->columns > indent ?
			    terminal->columns - indent : 1;
	unsigned int *widths = calloc(nr, sizeof(*widths));

	if (!widths || table->failed) {
		free(widths);
		return -ENOMEM;
	}
	choose_widths(table, room, widths);
	/* Row 0 is the titles. */
	for (size_t r = 0; r <= rows; r++) {
		bool first = true;
		size_t last = 0;

		/* No blanks at the end of a line. */
		for (size_t c = 0; c < nr; c++)
			if (widths[c] && *(r ? cell_text(table, r - 1, c) :
					       table->columns[c].title))
				last = c;
		for (size_t c = 0; c <= last; c++) {
			if (!widths[c])
				continue;
			fprintf(to, "%*s", (int)(first ? indent : GAP), "");
			first = false;
			print_cell(to, terminal,
				   r ? table->cells[(r - 1) * nr + c].style :
				   FL_DIM,
				   r ? cell_text(table, r - 1, c) :
				   table->columns[c].title,
				   widths[c], table->columns[c].right,
				   c == last);
		}
		fputc('\n', to);
	}
	free(widths);
	return 0;
}

/* What stands for a character beyond ASCII; @bytes: how many it took. */
static const char *ascii_of(const char *text, size_t *bytes)
{
	static const struct {
		const char *utf8, *ascii;
	} known[] = {
		{ "\u00b5", "u" }, { "\u00d7", "x" }, { "\u2013", "-" },
		{ "\u2014", "-" }, { "\u00b1", "+-" }, { "\u2026", "..." },
		{ "\u00b7", "," }, { "\u00a0", " " }, { "\u2007", " " },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strncmp(text, known[i].utf8, strlen(known[i].utf8))) {
			*bytes = strlen(known[i].utf8);
			return known[i].ascii;
		}
	*bytes = 1;
	while (((unsigned char)text[*bytes] & 0xc0) == 0x80)
		++*bytes;
	return "?";
}

/* One word from @text in ASCII; returns where it ends. */
static const char *next_word(const char *text, char *word, size_t room)
{
	size_t used = 0;

	while (*text == ' ' || *text == '\n' || *text == '\t')
		text++;
	while (*text && *text != ' ' && *text != '\n' && *text != '\t') {
		unsigned char c = (unsigned char)*text;
		const char *put = "?";
		size_t bytes = 1;

		if (c >= 0x80)
			put = ascii_of(text, &bytes);
		else if (c > ' ' && c < 0x7f)
			put = NULL;
		if (used + 4 < room) {
			if (put)
				used += (size_t)sprintf(word + used, "%s", put);
			else
				word[used++] = (char)c;
		}
		text += bytes;
	}
	word[used] = '\0';
	return text;
}

void fl_wrap(FILE *to, const struct fl_terminal *terminal, unsigned int indent,
	     const char *text)
{
	unsigned int at = indent;
	char word[1024];

	while (text = next_word(text, word, sizeof(word)), *word) {
		unsigned int bytes = (unsigned int)strlen(word);

		if (at > indent && at + 1 + bytes > terminal->columns) {
			fprintf(to, "\n%*s", (int)indent, "");
			at = indent;
		}
		if (at > indent) {
			fputc(' ', to);
			at++;
		}
		fputs(word, to);
		at += bytes;
	}
	fputc('\n', to);
}

const char *fl_text_number(char text[FL_TEXT_BYTES], double value, bool pad)
{
	double size = fabs(value);
	int decimals;

	if (!isfinite(value)) {
		snprintf(text, FL_TEXT_BYTES, "-");
		return text;
	}
	/* By what rounding makes of it: 9.9996 is 10.00. */
	decimals = size < 9.9995 ? 3 : size < 99.995 ? 2 : size < 999.95 ? 1 : 0;
	snprintf(text, FL_TEXT_BYTES, "%.*f%*s", decimals, value,
		 !pad || decimals == 3 ? 0 : decimals ? 3 - decimals : 4, "");
	return text;
}

const char *fl_text_ns(char text[FL_TEXT_BYTES], double ns, const char *micro)
{
	const char *const prefixes[] = { "n", micro, "m", "" };
	unsigned int unit = 0;

	if (!isfinite(ns)) {
		snprintf(text, FL_TEXT_BYTES, "-");
		return text;
	}
	while (unit < 3 && ns >= 999.5) {
		ns /= 1000;
		unit++;
	}
	snprintf(text, FL_TEXT_BYTES, "%.*f %ss",
		 ns < 9.995 ? 2 : ns < 99.95 ? 1 : 0, ns, prefixes[unit]);
	return text;
}

const char *fl_text_bytes(char text[FL_TEXT_BYTES], double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	unsigned int unit = 0;

	if (!isfinite(bytes)) {
		snprintf(text, FL_TEXT_BYTES, "-");
		return text;
	}
	while (unit < 4 && bytes >= 1024) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text, FL_TEXT_BYTES, "%.*f %s",
		 bytes == floor(bytes) || bytes >= 99.5 ? 0 :
		 bytes < 9.95 ? 2 : 1, bytes, units[unit]);
	return text;
}

const char *fl_text_share(char text[FL_TEXT_BYTES], double share)
{
	if (!isfinite(share))
		snprintf(text, FL_TEXT_BYTES, "-");
	else if (share < 0.995)
		snprintf(text, FL_TEXT_BYTES, "%.2g %%", 100 * share);
	else
		snprintf(text, FL_TEXT_BYTES, "a factor of %.*f",
			 share < 9 ? 1 : 0, 1 + share);
	return text;
}

const char *fl_text_count(char text[FL_TEXT_BYTES], double count)
{
	char digits[FL_TEXT_BYTES];
	size_t nr, used = 0;

	if (!isfinite(count) || fabs(count) >= 1e18) {
		snprintf(text, FL_TEXT_BYTES, "%s",
			 isfinite(count) ? "many" : "-");
		return text;
	}
	nr = (size_t)snprintf(digits, sizeof(digits), "%.0f", count);
	for (size_t i = 0; i < nr; i++) {
		text[used++] = digits[i];
		if (digits[i] != '-' && i + 1 < nr && (nr - i - 1) % 3 == 0)
			text[used++] = ',';
	}
	text[used] = '\0';
	return text;
}

void fl_table_number(struct fl_table *table, double value)
{
	char text[FL_TEXT_BYTES];

	fl_table_put(table, FL_PLAIN, "%s", isnan(value) ? "" :
		     fl_text_number(text, value, true));
}

void fl_table_interval(struct fl_table *table, double lo, double hi)
{
	char a[FL_TEXT_BYTES], b[FL_TEXT_BYTES];

	if (isnan(lo) || isnan(hi))
		fl_table_put(table, FL_PLAIN, "%s", "");
	else
		fl_table_put(table, FL_DIM, "[%s, %s]",
			     fl_text_number(a, lo, false),
			     fl_text_number(b, hi, false));
}

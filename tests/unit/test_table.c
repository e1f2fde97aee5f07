/* SPDX-License-Identifier: MIT */
/*
 * Tables: alignment, what gives way on a narrow terminal, what never reaches a
 * terminal; numbers as people read them.
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

#include <cmocka.h>

#include "harness/table.h"

static const struct fl_column columns[] = {
	{ "name", false, 0 },
	{ "value", true, 0 },
	{ "more", true, 1 },
	{ "least", false, 2 },
};

static char *print(const struct fl_table *table, unsigned int width, bool colour)
{
	const struct fl_terminal terminal = { .columns = width,
					      .colour = colour };
	size_t bytes;
	char *text;
	FILE *to = open_memstream(&text, &bytes);

	assert_non_null(to);
	assert_int_equal(fl_table_print(table, to, &terminal, 2), 0);
	assert_int_equal(fclose(to), 0);
	return text;
}

static struct fl_table *sample(void)
{
	struct fl_table *table = fl_table_new(columns, 4);

	assert_non_null(table);
	fl_table_put(table, FL_STRONG, "a");
	fl_table_put(table, FL_PLAIN, "%d", 7);
	fl_table_put(table, FL_PLAIN, "x");
	fl_table_put(table, FL_PLAIN, "note");
	fl_table_put(table, FL_PLAIN, "longer_name");
	fl_table_put(table, FL_BAD, "12345678");
	fl_table_end_row(table);
	return table;
}

static void test_alignment(void **state)
{
	struct fl_table *table = sample();
	char *text = print(table, 100, false);

	(void)state;
	assert_string_equal(text,
		"  name            value  more  least\n"
		"  a                   7     x  note\n"
		"  longer_name  12345678\n");
	free(text);
	fl_table_free(table);
}

static void test_narrow(void **state)
{
	struct fl_table *table = sample();
	char *text;

	(void)state;
	/* First goes what matters least, ... */
	text = print(table, 33, false);
	assert_null(strstr(text, "least"));
	assert_non_null(strstr(text, "more"));
	free(text);
	text = print(table, 28, false);
	assert_null(strstr(text, "more"));
	free(text);
	/* ... then the widest is cut, which shows; no line is too long. */
	for (unsigned int width = 27; width >= 9; width--) {
		char *rest, *line;

		text = rest = print(table, width, false);
		if (width < 23)
			assert_non_null(strchr(text, '~'));
		while ((line = strsep(&rest, "\n")))
			assert_true(strlen(line) <= width);
		free(text);
	}
	fl_table_free(table);
}

static void test_empty_column(void **state)
{
	struct fl_table *table = fl_table_new(columns, 4);
	char *text;

	(void)state;
	fl_table_put(table, FL_PLAIN, "a");
	fl_table_put(table, FL_PLAIN, "%s", "");
	fl_table_put(table, FL_PLAIN, "b");
	fl_table_end_row(table);
	text = print(table, 100, false);
	assert_string_equal(text, "  name  more\n  a        b\n");
	free(text);
	fl_table_free(table);
}

static void test_colour(void **state)
{
	struct fl_table *table = sample();
	char *with = print(table, 100, true), *without = print(table, 100, false);

	(void)state;
	assert_non_null(strstr(with, "\033[1ma\033[0m"));
	assert_null(strchr(without, '\033'));
	free(with);
	free(without);
	fl_table_free(table);
}

static void test_control_characters(void **state)
{
	struct fl_table *table = fl_table_new(columns, 1);
	char *text;

	(void)state;
	fl_table_put(table, FL_PLAIN, "%s", "a\033[31mb\nc\x7f");
	text = print(table, 100, false);
	assert_string_equal(text, "  name\n  a?[31mb?c?\n");
	free(text);
	fl_table_free(table);
}

static void test_terminal(void **state)
{
	struct fl_terminal terminal;
	FILE *to = tmpfile();

	(void)state;
	assert_non_null(to);
	unsetenv("COLUMNS");
	fl_terminal_of(to, &terminal);
	assert_int_equal(terminal.columns, FL_TERMINAL_COLUMNS);
	assert_false(terminal.colour);
	setenv("COLUMNS", "70", 1);
	fl_terminal_of(to, &terminal);
	assert_int_equal(terminal.columns, 70);
	setenv("COLUMNS", "1", 1);
	fl_terminal_of(to, &terminal);
	assert_int_equal(terminal.columns, 40);
	setenv("COLUMNS", "wide", 1);
	fl_terminal_of(to, &terminal);
	assert_int_equal(terminal.columns, FL_TERMINAL_COLUMNS);
	unsetenv("COLUMNS");
	fclose(to);
}

static void test_wrap(void **state)
{
	const struct fl_terminal terminal = { .columns = 20 };
	size_t bytes;
	char *text;
	FILE *to = open_memstream(&text, &bytes);

	(void)state;
	fl_wrap(to, &terminal, 2,
		"one two three four 2 \u00b5s \u00b1 a_word_longer_than_the_line\033[1m");
	fclose(to);
	assert_string_equal(text, "one two three four\n"
				  "  2 us +-\n"
				  "  a_word_longer_than_the_line?[1m\n");
	free(text);
}

static void test_numbers(void **state)
{
	static const struct {
		double value;
		const char *text;
	} numbers[] = {
		{ 0.3124, "0.312" }, { 9.9994, "9.999" }, { 9.9996, "10.00" },
		{ 56.314, "56.31" }, { 99.996, "100.0" }, { 812.44, "812.4" },
		{ 999.96, "1000" }, { 12345, "12345" }, { NAN, "-" },
		{ INFINITY, "-" },
	}, ns[] = {
		{ 0, "0.00 ns" }, { 95, "95.0 ns" }, { 999.4, "999 ns" },
		{ 999.6, "1.00 us" }, { 2114, "2.11 us" }, { 52e3, "52.0 us" },
		{ 4.08e6, "4.08 ms" }, { 3e9, "3.00 s" }, { 5e13, "50000 s" },
		{ NAN, "-" },
	}, bytes[] = {
		{ 512, "512 B" }, { 65536, "64 KiB" }, { 781250, "763 KiB" },
		{ 943718.4, "922 KiB" }, { 1.5 * 1048576, "1.50 MiB" },
		{ 4194304, "4 MiB" }, { 1ull << 40, "1 TiB" }, { NAN, "-" },
	}, counts[] = {
		{ 0, "0" }, { 999, "999" }, { 1000, "1,000" },
		{ 1234567, "1,234,567" }, { -1234, "-1,234" }, { NAN, "-" },
		{ 1e30, "many" },
	}, shares[] = {
		{ 0.0131, "1.3 %" }, { 0.25, "25 %" }, { 1, "a factor of 2.0" },
		{ 3.1, "a factor of 4.1" }, { 40, "a factor of 41" },
		{ NAN, "-" },
	};
	char text[FL_TEXT_BYTES];

	(void)state;
#define CHECK(list, call)						\
	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++)	\
		assert_string_equal(call, list[i].text)
	CHECK(numbers, fl_text_number(text, numbers[i].value, false));
	CHECK(ns, fl_text_ns(text, ns[i].value, "u"));
	CHECK(bytes, fl_text_bytes(text, bytes[i].value));
	CHECK(counts, fl_text_count(text, counts[i].value));
	CHECK(shares, fl_text_share(text, shares[i].value));
#undef CHECK
	/* Points below each other: three places behind each. */
	assert_string_equal(fl_text_number(text, 0.3124, true), "0.312");
	assert_string_equal(fl_text_number(text, 56.314, true), "56.31 ");
	assert_string_equal(fl_text_number(text, 812.44, true), "812.4  ");
	assert_string_equal(fl_text_number(text, 2852, true), "2852    ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_narrow),
		cmocka_unit_test(test_empty_column),
		cmocka_unit_test(test_colour),
		cmocka_unit_test(test_control_characters),
		cmocka_unit_test(test_terminal),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}

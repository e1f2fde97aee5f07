/* SPDX-License-Identifier: MIT */
/*
 * The page ledger on logs written by hand: who is live is said object by object,
 * what is resident is invented, and the classes are known beforehand.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness/ledger.h"
#include "vm/reserve.h"

#define PAGE		((uintptr_t)fl_page_bytes())
#define BASE		((uintptr_t)0x7f0000000000u)
#define NR_SLOTS	4u
#define NR_CENSUSES	16u

/* Blocks of 16 pages; a region begins with none. */
static const struct fl_geometry blocks = {
	.block_bytes = 16 * 4096, .rearms = true,
};

static char *at(uint64_t page)
{
	return (char *)(BASE + page * PAGE);
}

static struct fl_ledger *new_ledger(const struct fl_geometry *geometry)
{
	struct fl_ledger *l;

	assert_int_equal(fl_ledger_new(NR_SLOTS, NR_CENSUSES, geometry, &l), 0);
	return l;
}

/* An object that is the whole of a page. */
static void put(struct fl_ledger *l, uint32_t slot, uint64_t page)
{
	fl_ledger_object(l, slot, at(page), PAGE);
}

/* A census that finds the pages of "1.1" resident that have a 1. */
static void census(struct fl_ledger *l, uint64_t event, const char *resident)
{
	struct fl_complaint why;

	fl_ledger_begin_census(l, event);
	for (uint64_t i = 0; resident[i]; i++)
		if (resident[i] == '1')
			fl_ledger_resident(l, at(i), 1, FL_RANGE_OBJECTS);
	if (fl_ledger_end_census(l, &why))
		fail_msg("%s", why.text);
}

/* The classes of census @i: live, pooled, leaked, censored, in digits. */
static void assert_classes(const struct fl_ledger *l, uint64_t i,
			   const char *classes)
{
	uint64_t nr;
	const struct fl_ledger_point *p = fl_ledger_points(l, &nr) + i;
	char got[64];

	assert_true(i < nr);
	snprintf(got, sizeof(got), "%ju%ju%ju%ju", (uintmax_t)p->live,
		 (uintmax_t)p->pooled, (uintmax_t)p->leaked,
		 (uintmax_t)p->censored);
	assert_string_equal(got, classes);
}

static void end(struct fl_ledger *l)
{
	struct fl_complaint why;

	if (fl_ledger_end(l, &why))
		fail_msg("%s", why.text);
}

/* One page of each fate. */
static void test_classes(void **state)
{
	struct fl_ledger *l = new_ledger(&blocks);

	(void)state;
	for (uint64_t page = 0; page < 4; page++)
		put(l, page == 0 ? 0 : 1, page);
	census(l, 10, "1111");
	fl_ledger_died(l, 1);
	census(l, 20, "1111");
	census(l, 30, "1111");
	put(l, 1, 1);			/* 1: used again */
	census(l, 40, "1101");		/* 2: given back */
	census(l, 50, "1101");		/* 3: to the end */
	end(l);
	assert_classes(l, 0, "4000");
	assert_classes(l, 1, "1111");
	assert_classes(l, 2, "1111");
	assert_classes(l, 3, "2001");
	assert_classes(l, 4, "2001");
	fl_ledger_free(l);
}

/* A page is used again, and later leaks: each stretch by what ended it. */
static void test_reuse(void **state)
{
	struct fl_ledger *l = new_ledger(&blocks);

	(void)state;
	put(l, 0, 5);
	census(l, 1, "000001");
	fl_ledger_died(l, 0);
	census(l, 2, "000001");
	put(l, 0, 5);
	fl_ledger_died(l, 0);		/* idle again within an interval */
	census(l, 3, "000001");
	census(l, 4, "000001");
	census(l, 5, "000000");
	put(l, 0, 5);			/* the kernel's page is another one */
	census(l, 6, "000001");
	fl_ledger_died(l, 0);
	census(l, 7, "000001");
	end(l);
	assert_classes(l, 0, "1000");
	assert_classes(l, 1, "0100");
	assert_classes(l, 2, "0010");
	assert_classes(l, 3, "0010");
	assert_classes(l, 4, "0000");
	assert_classes(l, 5, "1000");
	assert_classes(l, 6, "0001");
	fl_ledger_free(l);
}

/* Live until the last region with a byte there is dead. */
static void test_shared_page(void **state)
{
	struct fl_ledger *l = new_ledger(&blocks);

	(void)state;
	/* Interleaved, and over the end of the page. */
	fl_ledger_object(l, 0, at(0), 8);
	fl_ledger_object(l, 1, at(0) + 8, 8);
	fl_ledger_object(l, 0, at(0) + 16, 8);
	fl_ledger_object(l, 1, at(1) - 8, 16);
	census(l, 1, "11");
	fl_ledger_died(l, 0);
	census(l, 2, "11");
	fl_ledger_died(l, 1);
	census(l, 3, "11");
	end(l);
	assert_classes(l, 0, "2000");
	assert_classes(l, 1, "2000");
	assert_classes(l, 2, "0002");
	fl_ledger_free(l);
}

/* An object covers all pages between its first and its last byte; 0 bytes are 8. */
static void test_extent(void **state)
{
	struct fl_ledger *l = new_ledger(&blocks);
	uint64_t nr;

	(void)state;
	fl_ledger_object(l, 0, at(1) - 8, 3 * PAGE);
	fl_ledger_object(l, 1, at(6), 0);
	fl_ledger_object(l, 1, at(6) + 8, 1);
	census(l, 1, "1111001");
	end(l);
	assert_classes(l, 0, "5000");
	assert_int_equal(fl_ledger_points(l, &nr)->live_bytes, 3 * PAGE + 16);
	fl_ledger_free(l);
}

static void test_metadata_and_pool(void **state)
{
	struct fl_ledger *l = new_ledger(&blocks);
	struct fl_complaint why;
	uint64_t nr;

	(void)state;
	for (int i = 0; i < 3; i++) {
		fl_ledger_begin_census(l, (uint64_t)i);
		fl_ledger_resident(l, at(100), 7, FL_RANGE_METADATA);
		/* The second leaves the pool after a census, the first stays. */
		fl_ledger_resident(l, at(200), i ? 1 : 2, FL_RANGE_POOL);
		assert_int_equal(fl_ledger_end_census(l, &why), 0);
		assert_int_equal(fl_ledger_interval(l)->ahead, 0);
	}
	end(l);
	assert_classes(l, 0, "0101");
	assert_classes(l, 1, "0001");
	assert_int_equal(fl_ledger_points(l, &nr)[2].metadata, 7);
	assert_int_equal(fl_ledger_points(l, &nr)[2].resident, 8);
	fl_ledger_free(l);
}

/* The kernel says that a page with a live object is not there. */
static void test_absent(void **state)
{
	struct fl_ledger *l = new_ledger(&blocks);
	struct fl_complaint why = { "" };

	(void)state;
	put(l, 0, 0);
	put(l, 0, 1);
	fl_ledger_begin_census(l, 77);
	fl_ledger_resident(l, at(0), 1, FL_RANGE_OBJECTS);
	assert_int_equal(fl_ledger_end_census(l, &why), -EILSEQ);
	assert_non_null(strstr(why.text, "at event 77 1 of 2 pages"));
	fl_ledger_free(l);
}

/* A page that the caller counts twice: the sum is not the kernel's. */
static void test_sum(void **state)
{
	struct fl_ledger *l = new_ledger(&blocks);
	struct fl_complaint why = { "" };

	(void)state;
	put(l, 0, 0);
	fl_ledger_died(l, 0);
	fl_ledger_begin_census(l, 5);
	fl_ledger_resident(l, at(0), 1, FL_RANGE_OBJECTS);
	fl_ledger_resident(l, at(0), 1, FL_RANGE_OBJECTS);
	fl_ledger_end_census(l, &why);
	assert_int_equal(fl_ledger_end(l, &why), -EPROTO);
	assert_non_null(strstr(why.text,
			       "at event 5 the classes sum to 1 pages, and 2"));
	fl_ledger_free(l);
}

/* What became resident without an object: at once, and after it was given back. */
static void test_ahead(void **state)
{
	struct fl_ledger *l = new_ledger(&blocks);

	(void)state;
	put(l, 0, 0);
	put(l, 0, 1);
	census(l, 1, "111");
	assert_int_equal(fl_ledger_interval(l)->ahead, 1);
	assert_int_equal(fl_ledger_interval(l)->again, 0);
	fl_ledger_died(l, 0);
	census(l, 2, "101");
	assert_int_equal(fl_ledger_interval(l)->ahead, 0);
	census(l, 3, "111");
	assert_int_equal(fl_ledger_interval(l)->ahead, 1);
	assert_int_equal(fl_ledger_interval(l)->again, 1);
	/* Absent, and then by an object. */
	census(l, 4, "101");
	put(l, 0, 1);
	census(l, 5, "111");
	assert_int_equal(fl_ledger_interval(l)->ahead, 0);
	end(l);
	fl_ledger_free(l);
}

/* What the second witness saw, against what was said. */
static void test_written(void **state)
{
	struct fl_ledger *l = new_ledger(&blocks);
	struct fl_complaint why;

	(void)state;
	put(l, 0, 0);
	put(l, 0, 1);
	put(l, 0, 2);
	fl_ledger_begin_census(l, 1);
	fl_ledger_watched(l);
	fl_ledger_written(l, at(0), 3);
	fl_ledger_resident(l, at(0), 4, FL_RANGE_OBJECTS);
	assert_int_equal(fl_ledger_end_census(l, &why), 0);
	assert_int_equal(fl_ledger_interval(l)->compared, 3);
	assert_int_equal(fl_ledger_interval(l)->missed, 0);
	assert_int_equal(fl_ledger_interval(l)->extra, 0);

	/* Page 0 and 5 are touched; 0 was not seen; 3 and 1 were, beside 5. */
	fl_ledger_object(l, 0, at(0) + 8, 8);
	put(l, 0, 5);
	fl_ledger_begin_census(l, 2);
	fl_ledger_watched(l);
	fl_ledger_written(l, at(1), 1);
	fl_ledger_written(l, at(3), 1);
	fl_ledger_written(l, at(5), 1);
	fl_ledger_resident(l, at(0), 6, FL_RANGE_OBJECTS);
	assert_int_equal(fl_ledger_end_census(l, &why), 0);
	assert_int_equal(fl_ledger_interval(l)->compared, 2);
	assert_int_equal(fl_ledger_interval(l)->missed, 1);
	assert_int_equal(fl_ledger_interval(l)->extra, 2);

	/* What is given back before the census is compared with nothing. */
	put(l, 1, 7);
	fl_ledger_died(l, 1);
	census(l, 3, "11111100");
	assert_int_equal(fl_ledger_interval(l)->touched, 1);
	assert_int_equal(fl_ledger_interval(l)->compared, 0);

	/* Who watches and sees nothing missed everything; who does not, nothing. */
	put(l, 1, 8);
	fl_ledger_begin_census(l, 4);
	fl_ledger_watched(l);
	fl_ledger_resident(l, at(0), 9, FL_RANGE_OBJECTS);
	assert_int_equal(fl_ledger_end_census(l, &why), 0);
	assert_int_equal(fl_ledger_interval(l)->missed, 1);
	put(l, 1, 9);
	census(l, 5, "1111111111");
	assert_int_equal(fl_ledger_interval(l)->compared, 1);
	assert_int_equal(fl_ledger_interval(l)->missed, 0);
	fl_ledger_free(l);
}

/* Pages that held objects, and are said to be something else. */
static void test_misdeclared(void **state)
{
	struct fl_ledger *l = new_ledger(&blocks);
	struct fl_complaint why;

	(void)state;
	put(l, 0, 0);
	put(l, 1, 1);
	put(l, 1, 2);
	census(l, 0, "111");
	fl_ledger_died(l, 1);
	assert_int_equal(fl_ledger_interval(l)->misdeclared, 0);
	fl_ledger_begin_census(l, 1);
	fl_ledger_resident(l, at(0), 1, FL_RANGE_OBJECTS);
	fl_ledger_resident(l, at(1), 1, FL_RANGE_POOL);
	fl_ledger_resident(l, at(2), 1, FL_RANGE_METADATA);
	fl_ledger_resident(l, at(3), 4, FL_RANGE_POOL);
	fl_ledger_resident(l, at(8), 4, FL_RANGE_METADATA);
	assert_int_equal(fl_ledger_end_census(l, &why), 0);
	assert_int_equal(fl_ledger_interval(l)->misdeclared, 2);
	fl_ledger_free(l);
}

static void test_totals(void **state)
{
	struct fl_ledger *l = new_ledger(&blocks);
	struct fl_ledger_totals t;

	(void)state;
	put(l, 0, 0);
	put(l, 1, 1);
	census(l, 0, "11");
	fl_ledger_died(l, 1);
	census(l, 10, "11");
	census(l, 40, "10");
	census(l, 100, "10");
	end(l);
	fl_ledger_totals(l, &t);
	assert_true(t.resident == 10 * 2 + 30 * 2 + 60 * 1);
	assert_true(t.live == 10 * 2 + 30 + 60);
	assert_true(t.leaked == 30);
	assert_true(t.pooled == 0 && t.censored == 0 && t.metadata == 0);
	assert_int_equal(t.peak_resident, 2);
	assert_int_equal(t.peak_live, 2);
	assert_int_equal(t.peak_live_bytes, 2 * PAGE);
	fl_ledger_free(l);
}

/* Blocks that are left, downwards: 24 bytes, then none, then in the first page. */
static void test_tails_down(void **state)
{
	struct fl_ledger *l = new_ledger(&blocks);
	const uint64_t block = blocks.block_bytes;
	const struct fl_hist *tails = fl_ledger_tails(l);

	(void)state;
	fl_ledger_object(l, 0, at(16) - (block - 24), block - 24);
	fl_ledger_object(l, 0, at(40) - block / 2, block / 2);
	assert_int_equal(tails->nr_values, 1);
	assert_int_equal(tails->min_ns, 24);
	fl_ledger_object(l, 0, at(40) - block, block / 2);
	fl_ledger_object(l, 0, at(64) - 104, 104);
	assert_int_equal(tails->nr_values, 2);
	assert_int_equal(tails->min_ns, 0);
	fl_ledger_died(l, 0);
	assert_int_equal(fl_ledger_last_pages(l)->nr_values, 1);
	assert_int_equal(fl_ledger_last_pages(l)->max_ns, PAGE - 104);

	/* Larger than a block: to the end of the page. */
	fl_ledger_object(l, 2, at(300) - block - 8, block + 8);
	fl_ledger_object(l, 2, at(400) - 16, 16);
	assert_int_equal(tails->nr_values, 3);
	assert_int_equal(tails->max_ns, PAGE - 8);
	/* An empty region leaves no page. */
	fl_ledger_died(l, 3);
	assert_int_equal(fl_ledger_last_pages(l)->nr_values, 1);
	fl_ledger_free(l);
}

static void test_tails_up(void **state)
{
	static const struct fl_geometry starts = {
		.start_bytes = 8192, .block_bytes = 4096, .rearms = true,
	};
	struct fl_ledger *l = new_ledger(&starts);

	(void)state;
	fl_ledger_object(l, 0, at(0), 8000);
	fl_ledger_object(l, 0, at(0) + 8000, 8);
	fl_ledger_object(l, 0, at(9), 48);
	assert_int_equal(fl_ledger_tails(l)->max_ns, 8192 - 8008);
	fl_ledger_died(l, 0);
	assert_int_equal(fl_ledger_last_pages(l)->max_ns, PAGE - 48);
	fl_ledger_free(l);
}

/* Against a plain count over 2,000 random events with random residence. */
static void test_random(void **state)
{
	enum { NR_PAGES = 64, NR = 15, EVENTS = 2000 };
	struct {
		unsigned live, touched;
		bool in[NR_SLOTS];
	} page[NR_PAGES] = { { 0 } };
	/* Of each census: l live, i idle, - absent; and who was touched after it. */
	char seen[NR][NR_PAGES];
	bool used[NR + 1][NR_PAGES];
	struct fl_ledger *l = new_ledger(&blocks);
	uint64_t want[NR][4] = { { 0 } }, nr;
	unsigned k = 0, seed = 20;

	(void)state;
	memset(used, 0, sizeof(used));
	for (unsigned e = 1; e <= EVENTS; e++) {
		unsigned slot = (unsigned)rand_r(&seed) % NR_SLOTS;

		if (rand_r(&seed) % 40 == 0) {
			fl_ledger_died(l, slot);
			for (unsigned i = 0; i < NR_PAGES; i++) {
				page[i].live -= page[i].in[slot];
				page[i].in[slot] = false;
			}
		} else {
			unsigned i = (unsigned)rand_r(&seed) % NR_PAGES;

			fl_ledger_object(l, slot, at(i) + 8 * (e % 256), 8);
			used[k][i] = true;
			page[i].live += !page[i].in[slot];
			page[i].in[slot] = true;
		}
		if (e % (EVENTS / NR))
			continue;
		char map[NR_PAGES + 1] = "";

		for (unsigned i = 0; i < NR_PAGES; i++) {
			bool there = page[i].live || rand_r(&seed) % 4;

			map[i] = there ? '1' : '0';
			seen[k][i] = page[i].live ? 'l' : there ? 'i' : '-';
		}
		census(l, e, map);
		if (++k == NR)
			break;
	}
	end(l);
	assert_int_equal(k, NR);
	for (unsigned i = 0; i < NR_PAGES; i++)
		for (unsigned c = 0; c < NR; c++) {
			unsigned then = c + 1;

			if (seen[c][i] == 'l')
				want[c][0]++;
			if (seen[c][i] != 'i')
				continue;
			/* used[c + 1] is what was touched between c and c + 1. */
			while (then < NR && !used[then][i] &&
			       seen[then][i] == 'i')
				then++;
			want[c][then == NR ? 3 : used[then][i] ? 1 : 2]++;
		}
	for (unsigned c = 0; c < NR; c++) {
		const struct fl_ledger_point *p = fl_ledger_points(l, &nr) + c;

		assert_int_equal(p->live, want[c][0]);
		assert_int_equal(p->pooled, want[c][1]);
		assert_int_equal(p->leaked, want[c][2]);
		assert_int_equal(p->censored, want[c][3]);
	}
	fl_ledger_free(l);
}

/* Parts of 2,048 pages: what has an object or was resident, and nothing else. */
static void test_places(void **state)
{
	const uintptr_t part = 2048 * PAGE, far = (uintptr_t)1 << 36;
	struct fl_ledger *l = new_ledger(&blocks);
	uintptr_t from = BASE, end;

	(void)state;
	assert_false(fl_ledger_place(l, &from, BASE + far, &end));
	put(l, 0, 3 * 2048 + 5);
	fl_ledger_begin_census(l, 1);
	fl_ledger_resident(l, at(4 * 2048), 1, FL_RANGE_OBJECTS);
	fl_ledger_resident(l, (char *)(BASE + far), 1, FL_RANGE_METADATA);

	/* Two that adjoin; their middle; nothing; and one beyond a hole. */
	assert_true(fl_ledger_place(l, &from, BASE + 2 * far, &end));
	assert_int_equal(from, BASE + 3 * part);
	assert_int_equal(end, BASE + 5 * part);
	from += PAGE;
	assert_true(fl_ledger_place(l, &from, end - PAGE, &end));
	assert_int_equal(from, BASE + 3 * part + PAGE);
	assert_int_equal(end, BASE + 5 * part - PAGE);
	from = end;
	assert_false(fl_ledger_place(l, &from, from, &end));
	from = BASE + 5 * part;
	assert_false(fl_ledger_place(l, &from, BASE + far, &end));
	from = BASE + 5 * part;
	assert_true(fl_ledger_place(l, &from, BASE + 2 * far, &end));
	assert_int_equal(from, BASE + far);
	assert_int_equal(end, BASE + far + part);
	from = end;
	assert_false(fl_ledger_place(l, &from, BASE + 2 * far, &end));
	fl_ledger_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_shared_page),
		cmocka_unit_test(test_extent),
		cmocka_unit_test(test_metadata_and_pool),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_sum),
		cmocka_unit_test(test_ahead),
		cmocka_unit_test(test_written),
		cmocka_unit_test(test_misdeclared),
		cmocka_unit_test(test_totals),
		cmocka_unit_test(test_tails_down),
		cmocka_unit_test(test_tails_up),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The trace reader: what it compiles, what it counts, and what it says about
 * bad input.  A second, naive reading of text and program checks the first.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <lzma.h>

#include "faultline/cursor.h"
#include "faultline/program.h"
#include "harness/trace.h"
#include "harness/trace_source.h"

#define HEAD		"faultline-trace 1\n"
#define NR_MUTANTS	4000
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static uint64_t rng;

/* Steele, Lea & Flood 2014, "SplitMix": enough for test inputs. */
static uint64_t next(void)
{
	uint64_t z = rng += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static int read_limited(const void *data, size_t bytes, const struct fl_trace_limits *limits,
			struct fl_trace *trace, struct fl_complaint *why)
{
	int fd = memfd_create("trace", MFD_CLOEXEC), err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, bytes), bytes);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	why->text[0] = 0;
	err = fl_trace_read_fd(fd, "t", limits, trace, why);
	close(fd);
	return err;
}

static int read_bytes(const void *data, size_t bytes, struct fl_trace *trace,
		      struct fl_complaint *why)
{
	return read_limited(data, bytes, NULL, trace, why);
}

static void accept_bytes(const void *data, size_t bytes, struct fl_trace *trace)
{
	struct fl_complaint why;
	int err = read_bytes(data, bytes, trace, &why);

	if (err)
		fail_msg("%s", why.text);
}

static void accept(const char *text, struct fl_trace *trace)
{
	accept_bytes(text, strlen(text), trace);
}

/* Refused with @err, a line that begins so and contains that. */
static void refuse(const void *data, size_t bytes, int err, const char *begins,
		   const char *contains)
{
	struct fl_trace trace;
	struct fl_complaint why;
	int got = read_bytes(data, bytes, &trace, &why);

	if (!got)
		fl_trace_free(&trace);
	if (got != err || strncmp(why.text, begins, strlen(begins)) ||
	    !strstr(why.text, contains) || !strstr(why.text, "; "))
		fail_msg("wanted %d \"%s...%s\", got %d \"%s\"", err, begins, contains, got,
			 why.text);
}

/* -------- a program, interpreted -------- */

struct outcome {
	const char *fault;	/* NULL: the program is balanced */
	uint64_t nr_allocs, nr_creates, nr_resets, nr_destroys, nr_switches;
	uint64_t bytes, rounded, object_max, live_max, lifetime_max, nr_objects_max;
	uint64_t nr_lifetimes, nr_empty;
	uint32_t nr_alive_max;
};

static struct outcome interpret(const uint32_t *words, uint64_t nr_words, uint32_t nr_slots)
{
	struct slot {
		bool alive;
		uint64_t rounded, nr_objects;
	} *slots = calloc(nr_slots ? nr_slots : 1, sizeof(*slots));
	struct outcome o = { 0 };
	uint32_t current = UINT32_MAX, nr_alive = 0;
	uint64_t live = 0, nr_objects = 0;

	assert_non_null(slots);
	for (uint64_t i = 0; i < nr_words && !o.fault; i++) {
		uint32_t word = words[i], slot = word & FL_SLOT_MASK;
		uint64_t bytes = word, rounded;

		if (word == FL_OP_LARGE) {
			if (nr_words - i < 3) {
				o.fault = "cut in a large size";
				break;
			}
			bytes = words[i + 1] | (uint64_t)words[i + 2] << 32;
			i += 2;
			if (bytes < FL_OP_BASE || bytes > FL_OBJECT_BYTES_MAX)
				o.fault = "large size out of range";
		}
		if (word < FL_OP_BASE || word == FL_OP_LARGE) {
			if (current == UINT32_MAX) {
				o.fault = "allocation without a current slot";
				break;
			}
			rounded = bytes ? (bytes + 7) / 8 * 8 : 8;
			slots[current].rounded += rounded;
			slots[current].nr_objects++;
			live += rounded;
			nr_objects++;
			o.nr_allocs++;
			o.bytes += bytes;
			o.rounded += rounded;
			o.object_max = bytes > o.object_max ? bytes : o.object_max;
			o.live_max = live > o.live_max ? live : o.live_max;
			if (nr_objects > o.nr_objects_max)
				o.nr_objects_max = nr_objects;
			if (slots[current].rounded > o.lifetime_max)
				o.lifetime_max = slots[current].rounded;
			continue;
		}
		if (slot >= nr_slots) {
			o.fault = "slot out of range";
			break;
		}
		if (slots[slot].alive == ((word & FL_OP_MASK) == FL_OP_CREATE)) {
			o.fault = "operation on a slot in the wrong state";
			break;
		}
		switch (word & FL_OP_MASK) {
		case FL_OP_SWITCH:
			if (slot == current)
				o.fault = "needless switch";
			if (i + 1 == nr_words ||
			    (words[i + 1] >= FL_OP_BASE && words[i + 1] != FL_OP_LARGE))
				o.fault = "switch without an allocation";
			current = slot;
			o.nr_switches++;
			break;
		case FL_OP_CREATE:
			for (uint32_t below = 0; below < slot && nr_alive < slot; below++)
				if (!slots[below].alive && slot >= o.nr_alive_max)
					o.fault = "a fresh slot although one is free";
			slots[slot].alive = true;
			current = slot;
			o.nr_creates++;
			if (++nr_alive > o.nr_alive_max)
				o.nr_alive_max = nr_alive;
			break;
		case FL_OP_RESET:
		case FL_OP_DESTROY:
			live -= slots[slot].rounded;
			nr_objects -= slots[slot].nr_objects;
			if (slots[slot].nr_objects)
				o.nr_lifetimes++;
			else
				o.nr_empty++;
			slots[slot].rounded = slots[slot].nr_objects = 0;
			if ((word & FL_OP_MASK) == FL_OP_RESET) {
				o.nr_resets++;
				break;
			}
			o.nr_destroys++;
			slots[slot].alive = false;
			nr_alive--;
			if (slot == current)
				current = UINT32_MAX;
			break;
		default:
			o.fault = "unknown word";
		}
	}
	if (!o.fault && nr_alive)
		o.fault = "not balanced";
	free(slots);
	return o;
}

/* The program is balanced and is what the facts say. */
static void check_program(const struct fl_trace *trace)
{
	const struct fl_trace_facts *facts = &trace->facts;
	struct outcome o = interpret(trace->words, trace->nr_words, trace->nr_slots);

	if (o.fault)
		fail_msg("%s", o.fault);
	assert_int_equal(o.nr_allocs, facts->nr_allocs);
	assert_int_equal(o.nr_creates, facts->nr_creates);
	assert_int_equal(o.nr_resets, facts->nr_resets);
	assert_int_equal(o.nr_destroys, facts->nr_destroys);
	assert_int_equal(o.nr_destroys, facts->nr_creates);
	assert_int_equal(o.nr_switches, facts->nr_switches);
	assert_int_equal(o.bytes, facts->bytes_total);
	assert_int_equal(o.rounded, facts->bytes_rounded_total);
	assert_int_equal(o.object_max, facts->object_bytes_max);
	assert_int_equal(o.live_max, facts->live_bytes_max);
	assert_int_equal(o.lifetime_max, facts->lifetime_bytes_max);
	assert_int_equal(o.nr_objects_max, facts->nr_objects_alive_max);
	assert_int_equal(o.nr_lifetimes, facts->nr_lifetimes);
	assert_int_equal(o.nr_empty, facts->nr_lifetimes_empty);
	assert_int_equal(o.nr_alive_max, facts->nr_regions_alive_max);
	assert_int_equal(trace->nr_slots, facts->nr_regions_alive_max);
	assert_int_equal(facts->nr_events,
			 facts->nr_allocs + facts->nr_frees + facts->nr_creates +
			 facts->nr_resets + facts->nr_destroys);
}

/* -------- what is compiled -------- */

static void check_words(const char *text, const uint32_t *words, size_t nr_words)
{
	struct fl_trace trace;

	accept(text, &trace);
	assert_int_equal(trace.nr_words, nr_words);
	assert_memory_equal(trace.words, words, nr_words * sizeof(*words));
	check_program(&trace);
	fl_trace_free(&trace);
}

static void test_compiles_events(void **state)
{
	(void)state;
	check_words(HEAD "c 1 0\nc 2 1\na 2 5\na 2 0\na 1 7\nx 2\na 1 8\na 2 9\n"
			 "f 2 9\na 2 3\ng 2 3 40\nx 2\na 2 1\nd 2\na 1 2\nd 1\n",
		    (const uint32_t[]) {
			FL_OP_CREATE | 0, FL_OP_CREATE | 1, 5, 0, FL_OP_SWITCH | 0, 7,
			FL_OP_RESET | 1, 8, FL_OP_SWITCH | 1, 9, 3, 40, FL_OP_RESET | 1,
			1, FL_OP_DESTROY | 1, FL_OP_SWITCH | 0, 2, FL_OP_DESTROY | 0,
		    }, 18);
}

static void test_switches_only_to_allocate(void **state)
{
	(void)state;
	/* Regions 2 and 1 are touched between, but never allocated in. */
	check_words(HEAD "c 1 0\nc 2 0\nc 3 0\na 3 1\nx 2\nx 1\na 3 2\nd 1\na 3 3\nd 3\nd 2\n",
		    (const uint32_t[]) {
			FL_OP_CREATE | 0, FL_OP_CREATE | 1, FL_OP_CREATE | 2, 1,
			FL_OP_RESET | 1, FL_OP_RESET | 0, 2, FL_OP_DESTROY | 0, 3,
			FL_OP_DESTROY | 2, FL_OP_DESTROY | 1,
		    }, 11);
}

static void test_reuses_slots_last_first(void **state)
{
	(void)state;
	check_words(HEAD "c 1 0\nc 2 0\nc 3 0\na 3 1\nd 1\nd 3\nc 4 0\nc 5 0\nd 2\nd 4\nd 5\n",
		    (const uint32_t[]) {
			FL_OP_CREATE | 0, FL_OP_CREATE | 1, FL_OP_CREATE | 2, 1,
			FL_OP_DESTROY | 0, FL_OP_DESTROY | 2, FL_OP_CREATE | 2,
			FL_OP_CREATE | 0, FL_OP_DESTROY | 1, FL_OP_DESTROY | 2,
			FL_OP_DESTROY | 0,
		    }, 11);
}

static void test_large_sizes(void **state)
{
	(void)state;
	check_words(HEAD "c 1 0\na 1 4026531839\na 1 4026531840\na 1 1099511627776\n"
			 "c 2 0\ng 1 1099511627776 4294967297\nd 1\nd 2\n",
		    (const uint32_t[]) {
			FL_OP_CREATE | 0, 0xefffffff, FL_OP_LARGE, 0xf0000000, 0,
			FL_OP_LARGE, 0, 256, FL_OP_CREATE | 1, FL_OP_SWITCH | 0,
			FL_OP_LARGE, 1, 1, FL_OP_DESTROY | 0, FL_OP_DESTROY | 1,
		    }, 15);
}

static void test_counts(void **state)
{
	/* Lifetimes: 1: {3, 0, 100} and {}, 2: {9, 9}, 3: {17}, 4: {}. */
	static const char text[] =
		HEAD "# one\n#two\nc 1 0\na 1 3\n# three\na 1 0\nc 2 1\na 2 9\nf 2 9\na 2 9\n"
		"d 2\ng 1 3 100\nx 1\nc 3 0\na 3 17\nc 4 3\nd 4\nd 3\nd 1\n";
	struct fl_trace trace;
	const struct fl_trace_facts *facts = &trace.facts;

	(void)state;
	accept(text, &trace);
	check_program(&trace);
	assert_string_equal(trace.header, "one\ntwo");
	assert_false(trace.compressed);
	assert_int_equal(facts->text_bytes, sizeof(text) - 1);
	assert_int_equal(facts->nr_lines, 20);
	assert_int_equal(facts->nr_events, 16);
	assert_int_equal(facts->nr_allocs, 6);
	assert_int_equal(facts->nr_grows, 1);
	assert_int_equal(facts->nr_frees, 1);
	assert_int_equal(facts->nr_creates, 4);
	assert_int_equal(facts->nr_resets, 1);
	assert_int_equal(facts->nr_destroys, 4);
	assert_int_equal(facts->nr_switches, 1);
	assert_int_equal(facts->nr_regions_alive_max, 3);
	assert_int_equal(facts->nr_objects_alive_max, 4);
	assert_int_equal(facts->bytes_total, 138);
	assert_int_equal(facts->bytes_rounded_total, 8 + 8 + 16 + 16 + 104 + 24);
	assert_int_equal(facts->object_bytes_max, 100);
	assert_int_equal(facts->live_bytes_max, 8 + 8 + 104);
	assert_int_equal(facts->lifetime_bytes_max, 8 + 8 + 104);
	assert_int_equal(facts->nr_lifetimes, 3);
	assert_int_equal(facts->nr_lifetimes_empty, 2);
	assert_int_equal(facts->lifetime_asked_p50_bytes, 18);
	assert_int_equal(facts->lifetime_asked_p99_bytes, 103);
	assert_int_equal(facts->lifetime_asked_max_bytes, 103);
	assert_int_equal(facts->lifetime_objects_p50, 2);
	assert_int_equal(facts->lifetime_objects_p99, 3);
	assert_int_equal(facts->lifetime_objects_max, 3);
	fl_trace_free(&trace);
	assert_null(trace.words);
	fl_trace_free(&trace);
}

/* Nearest rank: of 200 values, the 198th is the 99th percentile. */
static void test_percentiles(void **state)
{
	static const struct { unsigned int nr, p50, p99; } cases[] = {
		{ 1, 1, 1 }, { 2, 1, 2 }, { 99, 50, 99 }, { 100, 50, 99 }, { 101, 51, 100 },
		{ 200, 100, 198 }, { 3000, 1500, 2970 },
	};
	struct fl_trace trace;
	char *text = malloc(64 * 3001);
	size_t bytes;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bytes = (size_t)sprintf(text, HEAD "c 1 0\n");
		/* 7 is prime to every nr here: all of 1 to nr, in another order. */
		for (unsigned int k = 0; k < cases[i].nr; k++)
			bytes += (size_t)sprintf(text + bytes, "a 1 %u\nx 1\n",
						 k * 7 % cases[i].nr + 1);
		bytes += (size_t)sprintf(text + bytes, "d 1\n");
		accept_bytes(text, bytes, &trace);
		assert_int_equal(trace.facts.nr_lifetimes, cases[i].nr);
		assert_int_equal(trace.facts.nr_lifetimes_empty, 1);
		assert_int_equal(trace.facts.lifetime_asked_p50_bytes, cases[i].p50);
		assert_int_equal(trace.facts.lifetime_asked_p99_bytes, cases[i].p99);
		assert_int_equal(trace.facts.lifetime_asked_max_bytes, cases[i].nr);
		assert_int_equal(trace.facts.lifetime_objects_max, 1);
		fl_trace_free(&trace);
	}
	free(text);
}

static void test_last_newline_may_lack(void **state)
{
	struct fl_trace trace;

	(void)state;
	accept(HEAD "c 1 0\na 1 8\nd 1", &trace);
	assert_int_equal(trace.facts.nr_lines, 4);
	check_program(&trace);
	fl_trace_free(&trace);
	accept(HEAD "c 1 0\na 1 8\nd 1\n#", &trace);
	fl_trace_free(&trace);
}

/* -------- what is refused -------- */

#define ZEROS	"00000000000000000000000000000000"
#define LONG16(s)	s s s s s s s s s s s s s s s s
#define LONG_COMMENT	"#" LONG16(LONG16("################"))	/* 4097 bytes */

static const struct {
	const char *text;
	size_t bytes;
	const char *begins;
	const char *contains;
} bad[] = {
#define BAD(text, begins, contains)	{ text, sizeof(text) - 1, begins, contains }
	BAD("", "t:1:", "the file is empty"),
	BAD("\n", "t:1:", "not a trace: it begins with \"\""),
	BAD("c 1 0\n", "t:1:", "not a trace: it begins with \"c 1 0\""),
	BAD("# faultline-trace 1\n", "t:1:", "the first line must be \"faultline-trace 1\""),
	BAD("faultline-trace 2\n", "t:1:", "trace version \"2\"; this reader knows version 1"),
	BAD("faultline-trace 1 \n", "t:1:", "trace version \"1 \""),
	BAD("faultline-trace 10\n", "t:1:", "trace version \"10\""),
	BAD("faultline-trace \n", "t:1:", "not a trace"),
	BAD("faultline-trace 1\r\n", "t:1:", "carriage return"),
	BAD("faultline-trace 1\0\n", "t:1:", "NUL byte"),
	BAD("\x1f\x8b\x08", "t:1:", "compressed, but not with xz"),
	BAD("\x28\xb5\x2f\xfd", "t:1:", "compressed, but not with xz"),
	BAD("BZh91AY", "t:1:", "compressed, but not with xz"),
	BAD("\x7f" "ELF\x02\0\0\0", "t:1:", "it begins with \"\\x7fELF\\x02\\x00"),
	BAD(LONG_COMMENT LONG_COMMENT, "t:1:", "not a trace: it begins with \"####"),

	BAD(HEAD, "t:1:", "allocates nothing"),
	BAD(HEAD "c 1 0\nd 1\n", "t:3:", "allocates nothing"),
	BAD(HEAD "\n", "t:2:", "the line is empty; remove it"),
	BAD(HEAD "c 1 0\n\na 1 8\nd 1\n", "t:3:", "the line is empty"),
	BAD(HEAD "z 1\n", "t:2:", "unknown event \"z\"; a line begins with one of c a g f x d"),
	BAD(HEAD " c 1 0\n", "t:2:", "unknown event \"\""),
	BAD(HEAD "C 1 0\n", "t:2:", "unknown event \"C\""),
	BAD(HEAD "\xe2\x82\xac 1\n", "t:2:", "unknown event \"\\xe2\\x82\\xac\""),
	BAD(HEAD "create 1 0\n", "t:2:", "in \"create 1 0\"; the form is \"c REGION PARENT\""),
	BAD(HEAD "c\t1\t0\n", "t:2:", "in \"c\\x091\\x090\"; the form is"),
	BAD(HEAD "c1 0\n", "t:2:", "in \"c1 0\""),
	BAD(HEAD "c\n", "t:2:", "the first number is missing; the form is \"c REGION PARENT\""),
	BAD(HEAD "c \n", "t:2:", "the first number is missing"),
	BAD(HEAD "c 1\n", "t:2:", "the second number is missing"),
	BAD(HEAD "c 1 \n", "t:2:", "the second number is missing"),
	BAD(HEAD "c 1 0\na 1\n", "t:3:",
	    "second number is missing; the form is \"a REGION BYTES\""),
	BAD(HEAD "c 1 0\ng 1 8\n", "t:3:",
	    "third number is missing; the form is \"g REGION FROM TO\""),
	BAD(HEAD "c 1 0\nf 1\n", "t:3:",
	    "second number is missing; the form is \"f REGION BYTES\""),
	BAD(HEAD "c 1 0\nx\n", "t:3:", "first number is missing; the form is \"x REGION\""),
	BAD(HEAD "c 1 0\nd\n", "t:3:", "first number is missing; the form is \"d REGION\""),
	BAD(HEAD "c 1 0\na 1 8\nd", "t:4:", "first number is missing"),
	BAD(HEAD "c 1 0 0\n", "t:2:", "something follows the last number: \" 0\""),
	BAD(HEAD "c 1 0\nd 1 1\n", "t:3:", "something follows the last number: \" 1\""),
	BAD(HEAD "c 1 0 \n", "t:2:", "something follows the last number: \" \""),
	BAD(HEAD "c 1 0 # top\n", "t:2:", "something follows the last number: \" # top\""),
	BAD(HEAD "c 1  0\n", "t:2:", "\"\" is no number"),
	BAD(HEAD "c  1 0\n", "t:2:", "\"\" is no number"),
	BAD(HEAD "c one 0\n", "t:2:", "\"one\" is no number"),
	BAD(HEAD "c 1 0\na 1 8K\n", "t:3:", "\"8K\" is no number"),
	BAD(HEAD "c 1 0\na 1 -8\n", "t:3:", "\"-8\" is no number"),
	BAD(HEAD "c 1 0\na 1 +8\n", "t:3:", "\"+8\" is no number"),
	BAD(HEAD "c 1 0\na 1 0x8\n", "t:3:", "\"0x8\" is no number"),
	BAD(HEAD "c 1 0\na 1 8\t\n", "t:3:", "\"8\\x09\" is no number"),
	BAD(HEAD "c 1 0\na 1 08\n", "t:3:", "\"08\" has leading zeros"),
	BAD(HEAD "c 1 0\na 1 00\n", "t:3:", "\"00\" has leading zeros"),
	BAD(HEAD "c 1 0\na 1 " ZEROS ZEROS "8\n", "t:3:", "...\" has leading zeros"),
	BAD(HEAD "c 1 0\na 1 18446744073709551617\n", "t:3:",
	    "18446744073709551617 is too large"),
	BAD(HEAD "c 1 0\na 1 10000000000000000000\n", "t:3:", "is too large a number"),
	BAD(HEAD "c 1 0\na 1 9999999999999999999\n", "t:3:", "more than the largest object"),
	BAD(HEAD "c 1 0\na 1 1099511627777\n", "t:3:", "1099511627777 bytes is more than"),
	BAD(HEAD "c 1 0\na 1 8\ng 1 8 1099511627777\n", "t:4:", "1099511627777 bytes is more"),

	BAD(HEAD "c 0 0\n", "t:2:", "region 0 is out of order; ids count up from 1"),
	BAD(HEAD "c 2 0\n", "t:2:",
	    "region 2 is out of order; ids count up from 1, and the next one is 1"),
	BAD(HEAD "c 1 0\nc 3 0\n", "t:3:", "and the next one is 2"),
	BAD(HEAD "c 1 0\nc 1 0\n", "t:3:", "region 1 was created before; ids are never reused"),
	BAD(HEAD "c 1 0\nd 1\nc 1 0\n", "t:4:", "region 1 was created before"),
	BAD(HEAD "c 1 1\n", "t:2:", "parent 1 is unknown; create it first"),
	BAD(HEAD "c 1 0\nd 1\nc 2 1\n", "t:4:", "parent 1 is dead"),
	BAD(HEAD "a 1 8\n", "t:2:", "region 1 is unknown; create it first"),
	BAD(HEAD "a 0 8\n", "t:2:", "region 0; region ids count up from 1"),
	BAD(HEAD "c 1 0\nx 0\n", "t:3:", "region 0; region ids count up from 1"),
	BAD(HEAD "c 1 0\nd 1\na 1 8\n", "t:4:", "region 1 is dead; drop the event or move it"),
	BAD(HEAD "c 1 0\nd 1\nx 1\n", "t:4:", "region 1 is dead"),
	BAD(HEAD "c 1 0\nd 1\nd 1\n", "t:4:", "region 1 is dead"),
	BAD(HEAD "c 1 0\nd 1\nf 1 8\n", "t:4:", "region 1 is dead"),
	BAD(HEAD "c 1 0\nd 1\ng 1 8 9\n", "t:4:", "region 1 is dead"),
	BAD(HEAD "c 1 0\nd 1\nc 2 0\na 1 8\n", "t:5:", "region 1 is dead"),
	BAD(HEAD "c 1 0\nx 2\n", "t:3:",
	    "region 2 is unknown; create it first with a c line (the next new id is 2)"),
	BAD(HEAD "c 1 0\nc 2 1\nd 1\n", "t:4:",
	    "region 1 is destroyed but has live children (1)"),
	BAD(HEAD "c 1 0\nc 2 1\nc 3 2\na 3 8\nd 3\nd 1\n", "t:7:",
	    "live children (1); write their d lines before"),
	BAD(HEAD "c 1 0\na 1 8\n", "t:3:",
	    "ends with regions alive (1; the oldest is 1, created on line 2)"),
	BAD(HEAD "c 1 0\nc 2 0\na 1 8\nc 3 0\nd 1\n", "t:6:",
	    "regions alive (2; the oldest is 2, created on line 3); add d lines"),

	BAD(HEAD "c 1 0\nf 1 8\n", "t:3:",
	    "no object of 8 bytes is live in region 1; drop the event"),
	BAD(HEAD "c 1 0\na 1 7\nf 1 8\n", "t:4:", "no object of 8 bytes"),
	BAD(HEAD "c 1 0\na 1 8\nf 1 8\nf 1 8\n", "t:5:", "no object of 8 bytes"),
	BAD(HEAD "c 1 0\na 1 8\nx 1\nf 1 8\n", "t:5:", "no object of 8 bytes"),
	BAD(HEAD "c 1 0\nc 2 1\na 2 8\nf 1 8\n", "t:5:",
	    "no object of 8 bytes is live in region 1"),
	BAD(HEAD "c 1 0\na 1 8\nd 1\nc 2 0\nf 2 8\n", "t:6:", "is live in region 2"),
	BAD(HEAD "c 1 0\na 1 8\ng 1 8 16\nf 1 8\n", "t:5:", "no object of 8 bytes"),
	BAD(HEAD "c 1 0\na 1 8\ng 1 16 32\n", "t:4:", "no object of 16 bytes"),
	BAD(HEAD "c 1 0\na 1 8\ng 1 8 16\nx 1\ng 1 16 8\n", "t:6:", "no object of 16 bytes"),
	BAD(HEAD "c 1 0\nf 1 9999999999999999999\n", "t:3:",
	    "no object of 9999999999999999999 bytes"),

	BAD(HEAD "c 1 0\r\nd 1\r\n", "t:2:", "carriage return; convert the file with dos2unix"),
	BAD(HEAD "# note\r\nc 1 0\n", "t:2:", "carriage return"),
	BAD(HEAD "c 1 \0000\n", "t:2:", "NUL byte"),
	BAD(HEAD "#\0\n", "t:2:", "NUL byte"),
	BAD(HEAD "c 1 0\n" LONG_COMMENT "\nd 1\n", "t:3:", "longer than 4096 bytes; break it"),
	BAD(HEAD "c 1 0\n" LONG_COMMENT, "t:3:", "longer than 4096 bytes"),
	BAD(HEAD "c 1 0\na 1 " LONG16(LONG16(ZEROS)) "\n", "t:3:", "longer than 4096 bytes"),
#undef BAD
};

static void test_bad_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		refuse(bad[i].text, bad[i].bytes, -EINVAL, bad[i].begins, bad[i].contains);
}

/* A complaint is not needed. */
static void test_complaint_may_be_null(void **state)
{
	struct fl_trace trace;

	(void)state;
	assert_int_equal(fl_trace_read("no/such/file", &trace, NULL), -ENOENT);
}

static void test_longest_line(void **state)
{
	const char *text = HEAD LONG_COMMENT "\nc 1 0\na 1 8\nd 1\n";
	char shorter[8192];
	struct fl_trace trace;

	(void)state;
	refuse(text, strlen(text), -EINVAL, "t:2:", "longer than 4096 bytes");
	memcpy(shorter, HEAD, sizeof(HEAD) - 1);
	strcpy(shorter + sizeof(HEAD) - 1, text + sizeof(HEAD));
	accept(shorter, &trace);
	assert_int_equal(strlen(trace.header), FL_TRACE_LINE_BYTES_MAX - 1);
	fl_trace_free(&trace);
}

static void test_limits(void **state)
{
	static const struct fl_trace_limits regions = {
		.nr_regions_alive = 2, .nr_words = 1000, .bytes = 1000,
	}, words = {
		.nr_regions_alive = 2, .nr_words = 20, .bytes = 1000,
	}, bytes = {
		.nr_regions_alive = 2, .nr_words = 1000, .bytes = 24,
	};
	static const struct {
		const struct fl_trace_limits *limits;
		const char *text;
		const char *says;	/* NULL: accepted */
	} cases[] = {
		{ &regions, HEAD "c 1 0\nc 2 0\na 1 8\nd 1\nc 3 0\nd 2\nd 3\n", NULL },
		{ &regions, HEAD "c 1 0\nc 2 0\na 1 8\nc 3 0\nd 1\nd 2\nd 3\n",
		  "t:5: more than 2 regions alive; destroy some first" },
		{ &words, HEAD "c 1 0\na 1 1\na 1 1\na 1 1\na 1 1\na 1 1\na 1 1\na 1 1\n"
			  "a 1 1\na 1 1\nd 1\n", NULL },
		{ &words, HEAD "c 1 0\na 1 1\na 1 1\na 1 1\na 1 1\na 1 1\na 1 1\na 1 1\n"
			  "a 1 1\na 1 1\na 1 1\na 1 1\na 1 1\na 1 1\na 1 1\na 1 1\n"
			  "a 1 1\na 1 1\na 1 1\na 1 1\na 1 1\na 1 1\na 1 1\nd 1\n",
		  "t:19: more than 20 words when compiled; cut the trace" },
		{ &bytes, HEAD "c 1 0\na 1 1\na 1 0\nx 1\na 1 8\nd 1\n", NULL },
		{ &bytes, HEAD "c 1 0\na 1 1\na 1 0\nx 1\na 1 9\nd 1\n",
		  "t:6: more than 24 bytes allocated in all; cut the trace" },
	};
	struct fl_trace trace;
	struct fl_complaint why;
	int err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		err = read_limited(cases[i].text, strlen(cases[i].text), cases[i].limits, &trace,
				   &why);
		if (!cases[i].says) {
			assert_int_equal(err, 0);
			check_program(&trace);
			fl_trace_free(&trace);
			continue;
		}
		assert_int_equal(err, -E2BIG);
		if (strncmp(why.text, cases[i].says, strlen(cases[i].says)))
			fail_msg("wanted \"%s\", got \"%s\"", cases[i].says, why.text);
	}
}

/* -------- files -------- */

static char folder[] = "/tmp/test_trace.XXXXXX";

static void put_file(char path[static 128], const char *name, const void *data, size_t bytes)
{
	FILE *file;

	snprintf(path, 128, "%s/%s", folder, name);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, bytes, file), bytes);
	assert_int_equal(fclose(file), 0);
}

static void refuse_path(const char *path, int err, const char *says)
{
	struct fl_trace trace;
	struct fl_complaint why;

	assert_int_equal(fl_trace_read(path, &trace, &why), err);
	if (strncmp(why.text, path, strlen(path)) || !strstr(why.text, says))
		fail_msg("wanted \"%s%s\", got \"%s\"", path, says, why.text);
}

static void test_files(void **state)
{
	static const char good[] = HEAD "c 1 0\na 1 8\nd 1\n";
	char path[128], deep[5000];
	struct fl_trace trace;
	struct fl_complaint why;

	(void)state;
	assert_non_null(mkdtemp(folder));
	put_file(path, "good.xz", good, sizeof(good) - 1);	/* the name means nothing */
	assert_int_equal(fl_trace_read(path, &trace, &why), 0);
	assert_false(trace.compressed);
	fl_trace_free(&trace);
	unlink(path);

	put_file(path, "bad", HEAD "c 2 0\n", sizeof(HEAD "c 2 0\n") - 1);
	refuse_path(path, -EINVAL, "/bad:2: region 2 is out of order");
	unlink(path);

	refuse_path(path, -ENOENT, ": cannot open: No such file or directory; check the path");
	refuse_path(folder, -EISDIR, ": cannot read: Is a directory; name a trace file in it");
	assert_int_equal(rmdir(folder), 0);

	memset(deep, '/', sizeof(deep));
	strcpy(deep + sizeof(deep) - 6, "/none");
	assert_int_equal(fl_trace_read(deep, &trace, &why), -ENAMETOOLONG);
	assert_non_null(strstr(why.text, "/none: cannot open: "));

	assert_int_equal(fl_trace_read_fd(-1, "t", NULL, &trace, &why), -EBADF);
	assert_non_null(strstr(why.text, "t: cannot read: "));
}

static void test_no_permission(void **state)
{
	char path[] = "/tmp/test_trace.XXXXXX";
	struct fl_trace trace;
	struct fl_complaint why;
	bool root = geteuid() == 0;
	int fd, err;

	(void)state;
	if (root && seteuid(65534))
		skip();
	if (root)
		assert_int_equal(seteuid(0), 0);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0), 0);
	close(fd);
	if (root)
		assert_int_equal(seteuid(65534), 0);
	err = fl_trace_read(path, &trace, &why);
	if (root)
		assert_int_equal(seteuid(0), 0);
	unlink(path);
	assert_int_equal(err, -EACCES);
	assert_non_null(strstr(why.text, ": cannot open: Permission denied; give yourself"));
}

/* A pipe hands over what it has, in whatever pieces. */
static void test_pieces(void **state)
{
	static const char text[] = HEAD "# note\nc 1 0\na 1 1234\nd 1\n";
	struct fl_trace trace;
	struct fl_complaint why;
	int ends[2];
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		close(ends[0]);
		for (size_t i = 0; i < sizeof(text) - 1; i++) {
			if (write(ends[1], text + i, 1) != 1)
				_exit(1);
			usleep(100);
		}
		_exit(0);
	}
	close(ends[1]);
	assert_int_equal(fl_trace_read_fd(ends[0], "t", NULL, &trace, &why), 0);
	close(ends[0]);
	assert_int_equal(trace.facts.bytes_total, 1234);
	assert_string_equal(trace.header, "note");
	fl_trace_free(&trace);
}

/* -------- xz -------- */

static size_t pack(const char *text, size_t bytes, uint8_t *xz, size_t room)
{
	size_t at = 0;

	assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, (const uint8_t *)text,
						 bytes, xz, &at, room), LZMA_OK);
	return at;
}

static const char small[] =
	HEAD "# a small trace\nc 1 0\na 1 100\nc 2 1\na 2 8\na 2 24\nf 2 24\ng 2 8 16\nx 2\n"
	"a 2 8\nd 2\na 1 5000000000\nd 1\n";

static void test_xz(void **state)
{
	uint8_t xz[4096];
	struct fl_trace plain, packed;
	size_t half = sizeof(small) / 2, bytes, at;

	(void)state;
	accept(small, &plain);
	assert_int_equal(plain.contents_crc64,
			 lzma_crc64((const uint8_t *)small, sizeof(small) - 1, 0));
	bytes = pack(small, sizeof(small) - 1, xz, sizeof(xz));
	accept_bytes(xz, bytes, &packed);
	assert_true(packed.compressed);
	assert_int_equal(packed.contents_crc64, plain.contents_crc64);
	assert_memory_equal(&packed.facts, &plain.facts, sizeof(plain.facts));
	assert_int_equal(packed.nr_words, plain.nr_words);
	assert_memory_equal(packed.words, plain.words, plain.nr_words * sizeof(*plain.words));
	assert_string_equal(packed.header, plain.header);
	fl_trace_free(&packed);

	/* Two streams, with four bytes of padding between and after. */
	at = pack(small, half, xz, sizeof(xz));
	memset(xz + at, 0, 4);
	at += 4;
	at += pack(small + half, sizeof(small) - 1 - half, xz + at, sizeof(xz) - at);
	memset(xz + at, 0, 4);
	accept_bytes(xz, at + 4, &packed);
	assert_int_equal(packed.contents_crc64, plain.contents_crc64);
	fl_trace_free(&packed);
	fl_trace_free(&plain);

	refuse(xz, at + 3, -EBADMSG, "t:15:", "the xz data is");
	memcpy(xz + at, "c 1 0\na 1 8\nd 1\n", 16);
	refuse(xz, at + 16, -EBADMSG, "t:15:",
	       "the xz data is corrupt, or followed by something else");
}

static void test_xz_text_is_checked(void **state)
{
	uint8_t xz[4096];
	size_t bytes;

	(void)state;
	bytes = pack(HEAD "c 2 0\n", sizeof(HEAD "c 2 0\n") - 1, xz, sizeof(xz));
	refuse(xz, bytes, -EINVAL, "t:2:", "region 2 is out of order");
	bytes = pack("", 0, xz, sizeof(xz));
	refuse(xz, bytes, -EINVAL, "t:1:", "the file is empty");
}

static void test_xz_truncated(void **state)
{
	uint8_t xz[4096];
	size_t bytes = pack(small, sizeof(small) - 1, xz, sizeof(xz));

	(void)state;
	for (size_t n = 1; n < bytes; n++)
		refuse(xz, n, -EBADMSG, "t:", "the xz data is truncated; copy or record");
}

static void test_xz_corrupt(void **state)
{
	uint8_t xz[4096];
	size_t bytes = pack(small, sizeof(small) - 1, xz, sizeof(xz));
	struct fl_trace trace;
	struct fl_complaint why;
	int err;

	(void)state;
	/* From byte 6 on: with another magic it would be no xz file. */
	for (size_t bit = 6 * 8; bit < bytes * 8; bit++) {
		xz[bit / 8] ^= (uint8_t)(1u << bit % 8);
		err = read_bytes(xz, bytes, &trace, &why);
		if ((err != -EBADMSG && err != -ENOTSUP) || !strstr(why.text, "xz data"))
			fail_msg("bit %zu: %d \"%s\"", bit, err, why.text);
		xz[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/*
 * Text that is wrong because the file is damaged is the file's fault.  LZMA2
 * stores what it cannot compress as it is, so a letter can be exchanged.
 */
static void test_xz_corrupt_before_check(void **state)
{
	static const char text[] = HEAD "#u9Zk\nc 1 0\nd 7\n";
	uint8_t xz[4096], *at;
	size_t bytes = pack(text, sizeof(text) - 1, xz, sizeof(xz));

	(void)state;
	refuse(xz, bytes, -EINVAL, "t:4:", "region 7 is unknown");
	at = memmem(xz, bytes, "\nc 1 0\nd 7", 10);
	assert_non_null(at);
	at[1] = 'q';
	refuse(xz, bytes, -EBADMSG, "t:3:", "the xz data is corrupt");
}

/* A changed header is only refused for its contents if its checksum fits. */
static void fix_crc32(uint8_t *data, size_t bytes)
{
	uint32_t crc = lzma_crc32(data, bytes, 0);

	for (unsigned int i = 0; i < 4; i++)
		data[bytes + i] = (uint8_t)(crc >> 8 * i);
}

/*
 * The small trace as xz, with byte @index of its only filter replaced: 0 is the
 * filter's id (0x21: LZMA2), 1 the length of its properties (1), 2 its window.
 * The block header follows the stream header's 12 bytes.
 */
static size_t pack_filter(uint8_t *xz, size_t room, unsigned int index, uint8_t byte)
{
	size_t bytes = pack(small, sizeof(small) - 1, xz, room);
	uint8_t *block = xz + 12, *filter;
	size_t header_bytes = block[0] * 4u;

	filter = memmem(block, header_bytes, "\x21\x01", 2);
	assert_non_null(filter);
	filter[index] = byte;
	fix_crc32(block, header_bytes);
	return bytes;
}

static void test_xz_memory(void **state)
{
	uint8_t xz[4096];
	size_t bytes;
	struct fl_trace trace;

	(void)state;
	bytes = pack_filter(xz, sizeof(xz), 2, 28);	/* 64 MiB, as xz -9 */
	accept_bytes(xz, bytes, &trace);
	fl_trace_free(&trace);
	bytes = pack_filter(xz, sizeof(xz), 2, 29);	/* 96 MiB */
	refuse(xz, bytes, -ENOTSUP, "t:1:", "MiB of memory, more than 66; repack with");
	bytes = pack_filter(xz, sizeof(xz), 2, 40);	/* 4 GiB */
	refuse(xz, bytes, -ENOTSUP, "t:1:", "MiB of memory, more than 66; repack with");
}

static void test_xz_unsupported(void **state)
{
	uint8_t xz[4096];
	size_t bytes = pack_filter(xz, sizeof(xz), 0, 0x3f);	/* no such filter */

	(void)state;
	refuse(xz, bytes, -ENOTSUP, "t:1:", "uses a feature or check that liblzma here lacks");
	bytes = pack(small, sizeof(small) - 1, xz, sizeof(xz));
	xz[7] = 2;				/* a check nobody has defined */
	fix_crc32(xz + 6, 2);
	refuse(xz, bytes, -ENOTSUP, "t:1:", "uses a feature or check");
}

/* -------- larger texts -------- */

/*
 * A valid trace by a naive model: objects in a list, regions in an array.  The
 * sizes repeat, so that the same size is live, freed and dead many times.
 */
#define NR_IDS	3000

struct writer {
	char *text;
	size_t bytes, room;
	uint32_t alive[64];
	unsigned int nr_alive, parent[64], nr_children[64];	/* indices */
	struct { uint32_t id, bytes; } objects[4096];
	unsigned int nr_objects;
};

static void put(struct writer *w, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void put(struct writer *w, const char *format, ...)
{
	va_list args;

	assert_true(w->room - w->bytes > 128);
	va_start(args, format);
	w->bytes += (size_t)vsnprintf(w->text + w->bytes, 128, format, args);
	va_end(args);
}

static void forget_objects(struct writer *w, uint32_t id)
{
	for (unsigned int i = 0; i < w->nr_objects; )
		if (w->objects[i].id == id)
			w->objects[i] = w->objects[--w->nr_objects];
		else
			i++;
}

/* Only the newest region in the array dies: its index is then free again. */
static void put_destroy(struct writer *w)
{
	unsigned int last = w->nr_alive - 1;

	put(w, "d %u\n", w->alive[last]);
	forget_objects(w, w->alive[last]);
	w->nr_alive--;
}

static void write_random(struct writer *w)
{
	uint32_t next_id = 1;
	unsigned int region, object;

	w->nr_alive = w->nr_objects = 0;
	w->bytes = 0;
	put(w, HEAD);
	while (next_id <= NR_IDS) {
		if (!w->nr_alive || (next() % 40 == 0 && w->nr_alive < 64)) {
			/* The parent has a lower index: it dies later. */
			put(w, "c %u %u\n", next_id, w->nr_alive && next() % 4 ?
			    w->alive[next() % w->nr_alive] : 0);
			w->alive[w->nr_alive++] = next_id++;
			continue;
		}
		region = (unsigned int)(next() % w->nr_alive);
		object = w->nr_objects ? (unsigned int)(next() % w->nr_objects) : 0;
		switch (next() % 64) {
		case 0:
			put_destroy(w);
			break;
		case 1:
			put(w, "x %u\n", w->alive[region]);
			forget_objects(w, w->alive[region]);
			break;
		case 2 ... 9:
			if (!w->nr_objects)
				break;
			put(w, "f %u %u\n", w->objects[object].id, w->objects[object].bytes);
			w->objects[object] = w->objects[--w->nr_objects];
			break;
		case 10 ... 13:
			if (!w->nr_objects)
				break;
			put(w, "g %u %u %u\n", w->objects[object].id, w->objects[object].bytes,
			    w->objects[object].bytes + 5);
			w->objects[object].bytes += 5;
			break;
		default:
			if (w->nr_objects == ARRAY_SIZE(w->objects))
				break;
			object = w->nr_objects++;
			w->objects[object].id = w->alive[region];
			w->objects[object].bytes = (uint32_t)(next() % 8 ? next() % 100 * 5 :
							      next() % 100000 * 5);
			put(w, "a %u %u\n", w->objects[object].id, w->objects[object].bytes);
		}
	}
	while (w->nr_alive)
		put_destroy(w);
}

/* Long enough for tables to be rebuilt and buffers to be refilled often. */
static void test_random_traces(void **state)
{
	struct writer *w = calloc(1, sizeof(*w));
	struct fl_trace trace;
	char says[64];
	const uint32_t id = NR_IDS + 1;

	(void)state;
	assert_non_null(w);
	w->room = 8 << 20;
	w->text = malloc(w->room);
	assert_non_null(w->text);
	rng = 1;
	for (int round = 0; round < 6; round++) {
		write_random(w);
		assert_true(w->bytes > 3 * 262144);
		accept_bytes(w->text, w->bytes, &trace);
		check_program(&trace);
		assert_int_equal(trace.facts.nr_creates, NR_IDS);
		fl_trace_free(&trace);
		/* One f too many, of a size that is all over the file. */
		put(w, "c %u 0\na %u 5\na %u 10\nf %u 5\nf %u 15\n", id, id, id, id, id);
		snprintf(says, sizeof(says), "no object of 15 bytes is live in region %u", id);
		refuse(w->text, w->bytes, -EINVAL, "t:", says);
	}
	free(w->text);
	free(w);
}

/* The buffer's end falls into each byte of the lines that follow the comments. */
static void test_alignments(void **state)
{
	static const char tail[] = "c 1 0\na 1 1234567\nx 1\na 1 4\nd 1\n";
	size_t head = sizeof(HEAD) - 1, room = 263 << 10, comments = 256 << 10, bytes;
	char *text = malloc(room);
	struct fl_trace trace;

	(void)state;
	assert_non_null(text);
	memcpy(text, HEAD, head);
	for (size_t shift = 0; shift < 48; shift++) {
		/* Comments of 64 bytes, the last one shorter, up to the buffer's end. */
		bytes = comments - 1 - shift;
		memset(text + head, '#', bytes - head);
		for (size_t i = head + 63; i < bytes; i += 64)
			text[i] = '\n';
		text[bytes - 2] = '#';
		text[bytes - 1] = '\n';
		memcpy(text + bytes, tail, sizeof(tail) - 1);
		accept_bytes(text, bytes + sizeof(tail) - 1, &trace);
		assert_int_equal(trace.facts.bytes_total, 1234571);
		assert_int_equal(trace.facts.text_bytes, bytes + sizeof(tail) - 1);
		assert_int_equal(trace.contents_crc64,
				 lzma_crc64((const uint8_t *)text, bytes + sizeof(tail) - 1, 0));
		assert_true(strlen(trace.header) < FL_TRACE_HEADER_BYTES_MAX);
		fl_trace_free(&trace);
	}
	free(text);
}

/*
 * Whatever is done to a valid trace, the reader comes back with a complaint that
 * has a line and a remedy, or with a balanced program.
 */
static void test_mutants(void **state)
{
	static const char letters[] = "cagfxd#0123456789 \n\r\t\0z-";
	char text[512];
	struct fl_trace trace;
	struct fl_complaint why;
	unsigned int nr_accepted = 0;
	int err;

	(void)state;
	rng = 2;
	for (int round = 0; round < NR_MUTANTS; round++) {
		size_t bytes = sizeof(small) - 1, nr = 1 + next() % 3, from, len, to;

		memcpy(text, small, bytes);
		while (nr--) {
			from = next() % bytes;
			to = next() % bytes;
			len = next() % (bytes - (from > to ? from : to)) % 24;
			switch (next() % 5) {
			case 0:
				text[from] = (char)next();
				break;
			case 1:
				text[from] = letters[next() % sizeof(letters)];
				break;
			case 2:
				memmove(text + to, text + from, len);
				break;
			case 3:
				memmove(text + from, text + from + len, bytes - from - len);
				bytes -= len;
				break;
			default:
				if (bytes + len > sizeof(text))
					break;
				memmove(text + from + len, text + from, bytes - from);
				bytes += len;
				break;
			}
		}
		err = read_bytes(text, bytes, &trace, &why);
		if (!err) {
			check_program(&trace);
			fl_trace_free(&trace);
			nr_accepted++;
		} else if (err != -EINVAL || strncmp(why.text, "t:", 2) ||
			   !strstr(why.text, ": ") || !strstr(why.text, "; ")) {
			fail_msg("round %d: %d \"%s\"", round, err, why.text);
		}
	}
	/* The loop sees both sides: a mutated comment or size is still valid. */
	assert_true(nr_accepted > NR_MUTANTS / 50 && nr_accepted < NR_MUTANTS / 2);
}

/* -------- traces of real programs -------- */

static void read_shipped(const char *name, struct fl_trace *trace)
{
	const char *source = getenv("srcdir");
	struct fl_complaint why;
	char path[4096];

	snprintf(path, sizeof(path), "%s/experiments/traces/%s", source ? source : ".", name);
	if (fl_trace_read(path, trace, &why))
		fail_msg("%s", why.text);
	check_program(trace);
	assert_true(trace->compressed);
}

/* The header counts what the recorder wrote. */
static void check_header_counts(const struct fl_trace *trace)
{
	const struct fl_trace_facts *facts = &trace->facts;
	uint64_t events, c, a, g, f, x, d;
	const char *counts = strstr(trace->header, " events: c=");

	assert_non_null(counts);
	while (counts > trace->header && counts[-1] >= '0' && counts[-1] <= '9')
		counts--;
	assert_int_equal(sscanf(counts, "%" SCNu64 " events: c=%" SCNu64 " a=%" SCNu64 " g=%" SCNu64
				" f=%" SCNu64 " x=%" SCNu64 " d=%" SCNu64,
				&events, &c, &a, &g, &f, &x, &d), 7);
	assert_int_equal(events, facts->nr_events);
	assert_int_equal(c, facts->nr_creates);
	assert_int_equal(a + g, facts->nr_allocs);
	assert_int_equal(g, facts->nr_grows);
	assert_int_equal(f, facts->nr_frees);
	assert_int_equal(x, facts->nr_resets);
	assert_int_equal(d, facts->nr_destroys);
}

static void test_httpd(void **state)
{
	struct fl_trace trace;

	(void)state;
	read_shipped("httpd-static.trace.xz", &trace);
	check_header_counts(&trace);
	assert_int_equal(trace.nr_slots, 15);
	assert_int_equal(trace.facts.nr_events, 832362);
	assert_int_equal(trace.facts.lifetime_asked_p50_bytes, 5279);
	assert_int_equal(trace.facts.lifetime_asked_p99_bytes, 9042);
	assert_int_equal(trace.facts.lifetime_asked_max_bytes, 264667);
	assert_int_equal(trace.facts.lifetime_bytes_max, 279432);
	assert_int_equal(trace.facts.lifetime_objects_p50, 39);
	assert_int_equal(trace.facts.lifetime_objects_p99, 126);
	assert_int_equal(trace.facts.nr_lifetimes, 31098);
	assert_int_equal(trace.facts.nr_lifetimes_empty, 32325 - 31098);
	/* What xz -lvv says of the file. */
	assert_int_equal(trace.contents_crc64, 0x5110b3eb06a882c1);
	fl_trace_free(&trace);
}

static void test_postgres(void **state)
{
	struct fl_trace trace;

	(void)state;
	read_shipped("postgres-query.trace.xz", &trace);
	check_header_counts(&trace);
	assert_int_equal(trace.nr_slots, 132);
	assert_int_equal(trace.facts.nr_events, 1607725);
	assert_int_equal(trace.facts.lifetime_asked_p50_bytes, 17);
	assert_int_equal(trace.facts.lifetime_asked_p99_bytes, 2320);
	assert_int_equal(trace.facts.lifetime_asked_max_bytes, 5086339);
	assert_int_equal(trace.facts.lifetime_bytes_max, 5089976);
	assert_int_equal(trace.facts.lifetime_objects_p50, 2);
	assert_int_equal(trace.facts.lifetime_objects_p99, 19);
	assert_int_equal(trace.facts.nr_lifetimes, 240188);
	assert_int_equal(trace.facts.nr_lifetimes_empty, 240575 - 240188);
	assert_int_equal(trace.contents_crc64, 0x8308d68ee2efc4c0);
	fl_trace_free(&trace);
}

/* -------- what is shown -------- */

static void test_print_info(void **state)
{
	struct fl_trace trace;
	char *text = NULL, *line;
	size_t bytes, width = 0, nr = 0;
	FILE *to = open_memstream(&text, &bytes);

	(void)state;
	assert_non_null(to);
	accept(small, &trace);
	fl_trace_print_info(&trace, to);
	fl_trace_free(&trace);
	assert_int_equal(fclose(to), 0);
	assert_non_null(strstr(text, "# a small trace\n"));
	assert_non_null(strstr(text, " 5,000,000,000 B\n"));
	assert_non_null(strstr(text, "most regions alive"));
	line = strchr(text, '\n') + 1;
	/* Numbers end in one column; a unit may follow. */
	for (char *end; (end = strchr(line, '\n')); line = end + 1, nr++) {
		size_t len = (size_t)(end - line);

		if (len > 2 && !memcmp(end - 2, " B", 2))
			len -= 2;
		width = width ? width : len;
		assert_int_equal(len, width);
	}
	assert_int_equal(nr, 29);
	free(text);
}

static void test_info_json(void **state)
{
	struct fl_trace trace;
	json_t *info, *header;

	(void)state;
	accept(small, &trace);
	info = fl_trace_info_json(&trace);
	assert_non_null(info);
#define X(name, unit, what) \
	assert_int_equal(json_integer_value(json_object_get(info, #name)), trace.facts.name);
	FL_TRACE_FACTS(X)
#undef X
	assert_int_equal(json_integer_value(json_object_get(info, "nr_words")), trace.nr_words);
	assert_int_equal(json_integer_value(json_object_get(info, "nr_slots")), 2);
	assert_true(json_is_false(json_object_get(info, "compressed")));
	assert_int_equal(strtoull(json_string_value(json_object_get(info, "contents_crc64")),
				  NULL, 16), trace.contents_crc64);
	header = json_object_get(info, "header");
	assert_int_equal(json_array_size(header), 1);
	assert_string_equal(json_string_value(json_array_get(header, 0)), "a small trace");
	json_decref(info);
	fl_trace_free(&trace);
}

/* Comments may hold anything but NUL: terminals and JSON must survive it. */
static void test_odd_header(void **state)
{
	struct fl_trace trace;
	json_t *info, *header;

	(void)state;
	accept(HEAD "# caf\xc3\xa9\n# \xff\xfe\n#\n# \x1b[31mred\x7f\nc 1 0\na 1 1\nd 1\n", &trace);
	assert_string_equal(trace.header, "caf\xc3\xa9\n\xff\xfe\n\n?[31mred?");
	info = fl_trace_info_json(&trace);
	assert_non_null(info);
	header = json_object_get(info, "header");
	assert_int_equal(json_array_size(header), 4);
	assert_string_equal(json_string_value(json_array_get(header, 0)), "caf\xc3\xa9");
	assert_string_equal(json_string_value(json_array_get(header, 1)), "??");
	assert_string_equal(json_string_value(json_array_get(header, 2)), "");
	assert_string_equal(json_string_value(json_array_get(header, 3)), "?[31mred?");
	json_decref(info);
	fl_trace_free(&trace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compiles_events),
		cmocka_unit_test(test_switches_only_to_allocate),
		cmocka_unit_test(test_reuses_slots_last_first),
		cmocka_unit_test(test_large_sizes),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_percentiles),
		cmocka_unit_test(test_last_newline_may_lack),
		cmocka_unit_test(test_bad_text),
		cmocka_unit_test(test_complaint_may_be_null),
		cmocka_unit_test(test_longest_line),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_no_permission),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_xz),
		cmocka_unit_test(test_xz_text_is_checked),
		cmocka_unit_test(test_xz_truncated),
		cmocka_unit_test(test_xz_corrupt),
		cmocka_unit_test(test_xz_corrupt_before_check),
		cmocka_unit_test(test_xz_memory),
		cmocka_unit_test(test_xz_unsupported),
		cmocka_unit_test(test_random_traces),
		cmocka_unit_test(test_alignments),
		cmocka_unit_test(test_mutants),
		cmocka_unit_test(test_httpd),
		cmocka_unit_test(test_postgres),
		cmocka_unit_test(test_print_info),
		cmocka_unit_test(test_info_json),
		cmocka_unit_test(test_odd_header),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}

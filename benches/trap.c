/* SPDX-License-Identifier: MIT */
/*
 * trap: protection faults taken by a program on purpose, in the loops of Appel & Li,
 * "Virtual Memory Primitives for User Programs" (ASPLOS 1991, section 5), so that
 * the numbers can be held against tables made with them since.
 *
 *  trap   store to a closed page; the handler changes no protection and skips the
 *         store (here: sends it elsewhere)
 *  prot1  store to a random closed page; the handler closes another page, chosen at
 *         random, and opens this one (prot1 + trap + unprot; "appel1")
 *  protN  close so many pages by one call, then store to each in random order; the
 *         handler opens the page (protN + trap + unprot; "appel2").  Timed one by
 *         one, without the call that closes
 *
 * An op is one trap.  All pages are resident throughout.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benches/companion.h"
#include "faultline/bench.h"
#include "faultline/site.h"
#include "vm/fault.h"
#include "vm/fault_resume.h"
#include "vm/place.h"
#include "vm/reserve.h"

enum { LOOP, PAGES, RETURN, THREADS };
enum { LOOP_TRAP, LOOP_PROT1, LOOP_PROTN };
enum { RETURN_SIGRETURN, RETURN_USER };

#define PIECE_TRAPS	128u

#define WARM_TRAPS	1024u
#define PAGES_MAX	4096u

static const char *const loops[] = { "trap", "prot1", "protN", NULL };
static const char *const returns[] = { "sigreturn", "user", NULL };

static const struct fl_tunable tunables[] = {
	[LOOP] = {
		.name = "loop", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "handle and skip; close one page for each that is opened; "
			"or close all at once",
		.choices = loops,
	},
	[PAGES] = {
		.name = "pages", .unit = "pages", .kind = FL_TUNABLE_COUNT,
		.help = "closed at a time; prot1 has as many open beside them",
		.def = 100, .min = 1, .max = PAGES_MAX,
	},
	[RETURN] = {
		.name = "return", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "how the handler goes back to the program: by system "
			"call, or by restoring all registers itself (user)",
		.choices = returns,
	},
	[THREADS] = {
		.name = "threads", .unit = "1", .kind = FL_TUNABLE_COUNT,
		.help = "running threads of the process; the second merely runs, on "
			"another CPU",
		.def = 1, .min = 1, .max = 2,
	},
};

enum { HANDLED, CALLS };

static const struct fl_bench_metric metrics[] = {
	[HANDLED] = { "handled", "1", "traps of the stretch that the handler answered" },
	[CALLS] = { "protect_calls", "1", "changes of protection in them (mprotect)" },
};

struct traps {
	const struct fl_bench_args *args;
	uint64_t nr_pages;		/* closed at a time */
	char *base, *landing;
	size_t bytes;
	uint32_t *closed, *open;	/* page numbers; open is prot1's */
	uint64_t random;
	size_t victim;			/* prot1: in open, to be closed next */
	struct fl_sites sites;
	struct fl_fault_range watched;
	bool watches;
	bool metered;			/* no warm-up any more */
	volatile uint64_t nr_handled, nr_user_returns, nr_calls;
	volatile int error;
};

static int __attribute__((format(printf, 3, 4)))
say(char *reason, size_t reason_bytes, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, reason_bytes, format, args);
	va_end(args);
	return -EIO;
}

/* Below @n.  splitmix64 (Steele, Lea & Flood 2014): some nanoseconds. */
static uint64_t draw(struct traps *t, uint64_t n)
{
	uint64_t z = t->random += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % n;
}

static char *page_at(const struct traps *t, uint32_t number)
{
	return t->base + number * fl_page_bytes();
}

static int protect(struct traps *t, char *base, size_t bytes,
		   enum fl_access access)
{
	int err = fl_protect(base, bytes, access);

	t->nr_calls++;
	if (err)
		t->error = err;
	return err;
}

/* False, and the fault kills, only if it is none of ours. */
static bool handle(void *owner, const struct fl_fault *fault)
{
	const size_t page = fl_page_bytes();
	struct traps *t = owner;
	const struct fl_site_address *site;
	int err = 0;

	switch (t->args->values[LOOP]) {
	case LOOP_TRAP:
		err = -EAGAIN;
		break;
	case LOOP_PROT1:
		err = protect(t, page_at(t, t->open[t->victim]), page, FL_CLOSED);
		/* fall through */
	case LOOP_PROTN:
		if (!err)
			err = protect(t, fault->address, page, FL_OPEN);
		break;
	}
	if (err) {
		site = fl_sites_find(&t->sites, fl_fault_pc(fault));
		if (!site)
			return false;
		fl_fault_redirect(fault, site, t->landing);
	}
	t->nr_handled++;
	t->nr_user_returns += fault->user_return;
	return true;
}

/* A store to the first word of @page, at a site, so that it can be sent away. */
fl_hot void trap_at(char *page, uint64_t word)
{
	char *bump = page + FL_GRAIN_BYTES;

	fl_site_new(&bump, FL_GRAIN_BYTES, FL_GRAIN_BYTES, word);
}

static void swap(uint32_t *a, uint32_t *b)
{
	uint32_t was = *a;

	*a = *b;
	*b = was;
}

/* Fisher & Yates. */
static void shuffle(struct traps *t)
{
	for (size_t i = t->nr_pages; i > 1; i--)
		swap(&t->closed[i - 1], &t->closed[draw(t, i)]);
}

/* Trap number @i, and where its word belongs. */
static const char *trap_once(struct traps *t, uint64_t i)
{
	char *page;
	size_t k;

	switch (t->args->values[LOOP]) {
	case LOOP_PROT1:
		k = draw(t, t->nr_pages);
		t->victim = draw(t, t->nr_pages);
		page = page_at(t, t->closed[k]);
		trap_at(page, i + 1);
		swap(&t->closed[k], &t->open[t->victim]);
		return page;
	case LOOP_PROTN:
		page = page_at(t, t->closed[i % t->nr_pages]);
		trap_at(page, i + 1);
		return page;
	default:
		trap_at(page_at(t, t->closed[i % t->nr_pages]), i + 1);
		return t->landing - FL_GRAIN_BYTES;
	}
}

/* ---- running -------------------------------------------------------------- */

/* Did each store trap, once, and land where it should have? */
static int check(const struct traps *t, uint64_t nr, const char *last,
		 char *reason, size_t reason_bytes)
{
	const uint64_t *values = t->args->values;
	const uint64_t user = values[RETURN] == RETURN_USER ? nr : 0;
	const uint64_t calls[] = {
		[LOOP_TRAP] = 0,
		[LOOP_PROT1] = 2 * nr,
		[LOOP_PROTN] = nr + (nr + t->nr_pages - 1) / t->nr_pages,
	};
	uint64_t word;

	if (t->error)
		return say(reason, reason_bytes, "mprotect: %s",
			   strerror(-t->error));
	if (t->nr_handled != nr || t->nr_user_returns != user)
		return say(reason, reason_bytes,
			"%llu traps: %llu were handled, %llu of them returned in user space instead of %llu",
			(unsigned long long)nr,
			(unsigned long long)t->nr_handled,
			(unsigned long long)t->nr_user_returns,
			(unsigned long long)user);
	if (t->nr_calls != calls[values[LOOP]])
		return say(reason, reason_bytes,
			"%llu changes of protection for %llu traps instead of %llu",
			(unsigned long long)t->nr_calls, (unsigned long long)nr,
			(unsigned long long)calls[values[LOOP]]);
	memcpy(&word, last, sizeof(word));
	if (word != nr)
		return say(reason, reason_bytes,
			"the last word is %llu instead of %llu",
			(unsigned long long)word, (unsigned long long)nr);
	return 0;
}

static int run_traps(struct traps *t, uint64_t nr, bool singly, uint64_t *ticks,
		     char *reason, size_t reason_bytes)
{
	struct fl_latency_sink *latency = t->args->latency;
	struct fl_bench_meter *meter = t->args->meter;
	const bool protn = t->args->values[LOOP] == LOOP_PROTN;
	const char *last = NULL;
	uint64_t begin;

	t->nr_handled = t->nr_user_returns = t->nr_calls = 0;
	for (uint64_t i = 0; i < nr;) {
		const uint64_t most = protn ? t->nr_pages : PIECE_TRAPS;
		const uint64_t start = i, end = nr - i > most ? i + most : nr;
		uint64_t piece;

		if (protn)
			shuffle(t);
		if (t->metered)
			meter->begin(meter);
		begin = fl_ticks();
		if (protn)
			protect(t, t->base, t->bytes, FL_CLOSED);
		if (!singly)
			for (; i < end; i++)
				last = trap_once(t, i);
		piece = fl_ticks() - begin;
		*ticks += piece;
		for (; i < end; i++) {
			begin = fl_ticks();
			last = trap_once(t, i);
			latency->add(latency, fl_ticks() - begin);
		}
		if (t->metered)
			meter->end(meter, piece, singly ? 0 : end - start);
	}
	return nr ? check(t, nr, last, reason, reason_bytes) : 0;
}

static int measure(struct traps *t, struct fl_bench_result *result,
		   char *reason, size_t reason_bytes)
{
	const struct fl_bench_args *args = t->args;
	uint64_t unused = 0;
	int err = run_traps(t, WARM_TRAPS, false, &unused, reason, reason_bytes);

	if (err)
		return err;
	t->metered = true;
	args->meter->start(args->meter);
	err = run_traps(t, args->nr_ops + (args->planted ?
			args->nr_ops / FL_BENCH_PLANTED_EVERY : 0), false,
			&result->ticks, reason, reason_bytes);
	args->meter->stop(args->meter);
	result->nr_ops = args->nr_ops;
	result->values[HANDLED] = (double)t->nr_handled;
	result->values[CALLS] = (double)t->nr_calls;
	for (uint64_t nr = args->nr_single; nr && !err; nr = fl_bench_again(args))
		err = run_traps(t, nr, true, &unused, reason, reason_bytes);
	return err;
}

static void close_traps(struct traps *t)
{
	if (t->watches)
		fl_fault_unwatch(&t->watched);
	if (t->sites.sorted)
		fl_sites_close(&t->sites);
	fl_release(t->base, t->bytes + fl_page_bytes());
	free(t->closed);
}

/* All pages, the landing above them, and which are closed and which open. */
static int open_traps(struct traps *t)
{
	const size_t page = fl_page_bytes();
	const bool prot1 = t->args->values[LOOP] == LOOP_PROT1;
	const size_t nr = (prot1 ? 2 : 1) * t->nr_pages;
	int err = fl_reserve((nr + 1) * page, FL_OPEN, &t->base);

	if (err)
		return err;
	t->bytes = nr * page;
	t->landing = t->base + t->bytes + page;
	memset(t->base, 1, t->bytes + page);
	t->closed = calloc(nr, sizeof(*t->closed));
	if (!t->closed)
		err = -ENOMEM;
	for (uint32_t i = 0; !err && i < nr; i++)
		t->closed[i] = i;
	t->open = t->closed + t->nr_pages;
	if (!err)
		err = fl_sites_open(__start_fl_sites, __stop_fl_sites, &t->sites);
	if (!err)
		err = fl_protect(t->base, t->nr_pages * page, FL_CLOSED);
	if (!err) {
		t->watched = (struct fl_fault_range){
			.base = t->base, .bytes = t->bytes, .handle = handle,
			.owner = t,
			.user_return = t->args->values[RETURN] == RETURN_USER,
		};
		err = fl_fault_watch(&t->watched);
		t->watches = !err;
	}
	if (err)
		close_traps(t);
	return err;
}

static int trap_run(const struct fl_bench_args *args,
		    struct fl_bench_result *result, char *reason,
		    size_t reason_bytes)
{
	struct companion second = { .kind = COMPANION_RUNS };
	struct traps t = {
		.args = args, .nr_pages = args->values[PAGES],
		.random = args->seed,
	};
	int err = 0;

	if (args->values[THREADS] == 2)
		err = companion_start(&second, fl_place_other(args->cpu));
	if (!err)
		err = open_traps(&t);
	if (err) {
		say(reason, reason_bytes, "pages cannot be set up: %s",
		    strerror(-err));
	} else {
		err = measure(&t, result, reason, reason_bytes);
		close_traps(&t);
	}
	companion_stop(&second);
	return err;
}

static int trap_probe(const uint64_t *values, char *reason, size_t reason_bytes)
{
	int err = 0;

	if (values[THREADS] == 2)
		err = companion_probe("threads=2", reason, reason_bytes);
	if (!err && values[RETURN] == RETURN_USER)
		err = fl_fault_resume_probe(reason, reason_bytes);
	return err;
}

FL_BENCH(
	.name = "trap",
	.summary = "protection faults in the loops of Appel & Li (1991)",
	.op = "trap",
	.ops_default = 1 << 14,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.metrics = metrics,
	.nr_metrics = sizeof(metrics) / sizeof(metrics[0]),
	.probe = trap_probe,
	.run = trap_run,
);

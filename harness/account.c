/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/account.h"
#include "vm/reserve.h"

#define RANGES_MAX	64u

/* LazyFree pages, page tables and VMAs are looked at every so many censuses. */
#define PROCESS_EVERY	8u

/*
 * And all parts of all ranges, whatever the page tables say; pages that go while the
 * strategy is asked are counted one by one as often.
 */
#define SEARCH_EVERY	24u

/*
 * The ledger is timed at every so many events.  What takes this long was interrupted:
 * no call does but the death of a region of some 10,000 pages.
 */
#define TIMED_EVERY	32u
#define TIMED_MOST_NS	50000.0

#define fail(a, ...)	fl_sample_fail((a)->out, __VA_ARGS__)

/* The ranges of the heap, ascending. */
struct ranges {
	struct fl_range at[RANGES_MAX + 1];
	size_t nr;
};

static int compare_ranges(const void *a, const void *b)
{
	const struct fl_range *x = a, *y = b;

	return (x->base > y->base) - (x->base < y->base);
}

/*
 * Resident pages of the process; two counts differ by up to @lag for no reason.  A scan
 * misses none and takes as long as a census; the kernel's counters take no time.
 */
static int count_private(const struct fl_account *a, bool exactly,
			 uint64_t *pages, uint64_t *lag)
{
	*lag = FL_ACCOUNT_OUTSIDE;
	if (exactly && !fl_census_anonymous(&a->census, NULL, FL_CENSUS_END,
					    pages))
		return 0;
	*lag = FL_ACCOUNT_COUNTED;
	return fl_census_private(pages);
}

/* Whole pages of the address space, each of them once, and none of the ledger's. */
static int check_ranges(const struct fl_account *a, const struct ranges *r)
{
	const char *ledger;
	uint64_t ledger_bytes;

	fl_ledger_memory(a->ledger, &ledger, &ledger_bytes);
	for (size_t i = 0; i < r->nr; i++) {
		const struct fl_range *range = &r->at[i];
		const uintptr_t base = (uintptr_t)range->base;
		const uintptr_t low = (uintptr_t)ledger;

		if ((base | range->bytes) & (fl_page_bytes() - 1) ||
		    base > FL_CENSUS_END || range->bytes > FL_CENSUS_END - base)
			return fail(a, "at event %" PRIu64
				" the strategy declares a range that is not of whole pages of the address space: %" PRIu64
				" bytes at %p", a->nr_events, range->bytes,
				(void *)range->base);
		if (base < low + ledger_bytes && low < base + range->bytes)
			return fail(a, "at event %" PRIu64
				" the strategy declares memory of the harness as its own",
				a->nr_events);
		if (i && base < (uintptr_t)range[-1].base + range[-1].bytes)
			return fail(a, "at event %" PRIu64
				" two ranges that the strategy declares overlap: pages of %p would count twice",
				a->nr_events, (void *)range->base);
	}
	return 0;
}

static int get_ranges(struct fl_account *a, struct ranges *r)
{
	const bool exactly = a->nr_censuses % SEARCH_EVERY == 0;
	uint64_t before = 0, after = 0, lag = 0;
	int unknown = count_private(a, exactly, &before, &lag);

	r->nr = a->strategy->ranges(a->heap, r->at, RANGES_MAX);
	unknown = unknown ? unknown : count_private(a, exactly, &after, &lag);
	if (!unknown && after + lag < before)
		return fail(a, "at event %" PRIu64 " %" PRIu64
			" resident pages went while the strategy was asked for its ranges: it gives pages back to be seen without them",
			a->nr_events, before - after);
	if (r->nr > RANGES_MAX)
		return fail(a, "page census: the strategy declares %zu ranges, more than %u",
			    r->nr, RANGES_MAX);
	qsort(r->at, r->nr, sizeof(r->at[0]), compare_ranges);
	return check_ranges(a, r);
}

/* Resident pages of the process that are in none of @r, nor the ledger's. */
static int count_outside(const struct fl_account *a, struct ranges *r,
			 uint64_t *outside)
{
	uintptr_t from = 0;
	const char *base;
	uint64_t bytes;
	int err = 0;

	if (a->ledger) {
		fl_ledger_memory(a->ledger, &base, &bytes);
		r->at[r->nr++] = (struct fl_range){
			.base = (char *)(uintptr_t)base, .bytes = bytes,
		};
		qsort(r->at, r->nr, sizeof(r->at[0]), compare_ranges);
	}
	*outside = 0;
	for (size_t i = 0; i <= r->nr && !err; i++) {
		const uintptr_t to = i < r->nr ? (uintptr_t)r->at[i].base :
						 FL_CENSUS_END;
		uint64_t pages = 0;

		if (to > from)
			err = fl_census_anonymous(&a->census, (char *)from,
						  to - from, &pages);
		*outside += pages;
		if (i < r->nr)
			from = to + r->at[i].bytes;
	}
	return err;
}

/* What is handed to the ledger: runs of resident pages of one kind. */
struct taking {
	struct fl_account *account;
	enum fl_range_kind kind;
	uint64_t pages;
};

static void add_run(void *arg, char *base, uint64_t pages)
{
	struct taking *t = arg;

	fl_ledger_resident(t->account->ledger, base, pages, t->kind);
	t->pages += pages;
}

static void add_watched_run(void *arg, char *base, uint64_t pages, bool written)
{
	const struct taking *t = arg;

	if (written)
		fl_ledger_written(t->account->ledger, base, pages);
	add_run(arg, base, pages);
}

static int take_resident(struct taking *t, char *base, size_t bytes)
{
	return fl_census_runs(&t->account->census, base, bytes, add_run, t);
}

static int take_written(struct taking *t, char *base, size_t bytes)
{
	return fl_written_take(&t->account->written, base, bytes,
			       add_watched_run, t);
}

/*
 * @take what lies between @low and @high: all of it, or where there is no new page
 * table, and so no first page of a place, the places that the ledger knows.  A gigabyte
 * that is reserved for a region has 512 empty entries, which the kernel walks one by
 * one.
 */
static int take_places(struct taking *t, uintptr_t low, uintptr_t high,
		       int (*take)(struct taking *, char *, size_t))
{
	const struct fl_account *a = t->account;
	uintptr_t end;
	int err = 0;

	if (a->everywhere)
		return take(t, (char *)low, high - low);
	while (!err && fl_ledger_place(a->ledger, &low, high, &end)) {
		err = take(t, (char *)low, end - low);
		low = end;
	}
	return err;
}

/* Nobody sees what is written, from here on. */
static void stop_watching(struct fl_account *a, const char *why)
{
	snprintf(a->why, sizeof(a->why), "%s", why);
	a->unwatched = a->why;
}

/*
 * Watch and ask mapping by mapping, where part of a range has a userfaultfd of the
 * strategy's: it cannot be watched, but perhaps asked.  What can neither is no
 * matter as long as nothing is resident there.
 */
static int take_mappings(struct taking *t, const struct fl_range *range)
{
	struct fl_account *a = t->account;
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	int err = 0;

	if (!f)
		return -errno;
	while (!err && fgets(line, sizeof(line), f)) {
		uintptr_t low = (uintptr_t)range->base;
		uintptr_t high = low + range->bytes;
		char *dash;
		const uintptr_t start = strtoull(line, &dash, 16);
		const uintptr_t end = *dash == '-' ?
				      strtoull(dash + 1, NULL, 16) : start;

		low = start > low ? start : low;
		high = end < high ? end : high;
		if (low >= high)
			continue;
		fl_written_watch(&a->written, (char *)low, high - low);
		err = take_places(t, low, high, take_written);
		if (err != -EPERM)
			continue;
		t->pages = 0;
		err = take_places(t, low, high, take_resident);
		if (t->pages)
			stop_watching(a, "the strategy's own userfaultfd protects these pages, and a range has but one");
	}
	fclose(f);
	return err;
}

/* Hand what is resident in @range, and what was written, to the ledger. */
static int take_range(struct fl_account *a, const struct fl_range *range)
{
	struct taking t = { .account = a, .kind = range->kind };
	const uintptr_t low = (uintptr_t)range->base;

	if (a->unwatched || range->kind != FL_RANGE_OBJECTS)
		return take_places(&t, low, low + range->bytes, take_resident);
	/* Again each time: what is mapped anew is not watched yet. */
	if (fl_written_watch(&a->written, range->base, range->bytes))
		return take_mappings(&t, range);
	return take_places(&t, low, low + range->bytes, take_written);
}

/* Is it time to look everywhere, or has a page table come or gone? */
static bool look_everywhere(struct fl_account *a)
{
	const uint64_t before = a->table_bytes;

	if (fl_census_tables(&a->table_bytes))
		a->table_bytes = 0;
	return !a->table_bytes || a->table_bytes != before ||
	       a->nr_censuses % SEARCH_EVERY == 0;
}

static uint64_t heap_events(const struct fl_account *a)
{
	const volatile struct fl_events *e = &a->heap->events;

	return e->nr_refills + e->nr_hits;
}

/*
 * Pages that the declared geometry may have opened before objects were there: of each
 * step, all but the one that the object in hand is on.
 */
static uint64_t opened_ahead(const struct fl_account *a, uint64_t events)
{
	struct fl_geometry g = { 0 };
	uint64_t pages;

	a->strategy->geometry(a->heap, &g);
	pages = (g.step_bytes && !g.doubling ? g.step_bytes : g.step_bytes_max) /
		fl_page_bytes();
	return pages ? events * (pages - 1) : 0;
}

/* What no census may show. */
static void judge(struct fl_account *a, uint64_t resident_outside)
{
	const struct fl_ledger_interval *interval =
		fl_ledger_interval(a->ledger);
	const struct fl_ledger_point *point = fl_ledger_last(a->ledger);
	const uint64_t events = heap_events(a) - a->heap_events;
	const uint64_t ahead = opened_ahead(a, events);
	const bool first = !a->nr_censuses;
	uint64_t outside, opened_too;
	/* What is given back and opened ahead again counts as written. */
	const uint64_t slack = FL_ACCOUNT_SLACK(interval->compared) + ahead;

	if (resident_outside < a->outside_least)
		a->outside_least = resident_outside;
	outside = resident_outside - a->outside_least;
	opened_too = a->outside_opened + outside;
	if (first) {
		a->outside_opened = outside;
		a->outside_least = resident_outside;
	}
	a->heap_events += events;
	a->ahead_most = interval->ahead > a->ahead_most ? interval->ahead :
							  a->ahead_most;
	if (opened_too > a->outside_most)
		a->outside_most = opened_too;
	if (interval->misdeclared)
		a->err = fail(a, "at event %" PRIu64 " %" PRIu64
			" pages that objects were put on lie in ranges that are declared as bookkeeping or as a pool",
			point->event, interval->misdeclared);
	if (interval->ahead > ahead + FL_ACCOUNT_SLACK(point->resident))
		a->err = fail(a, "at event %" PRIu64 " %" PRIu64
			" pages have become resident since the last census that no object touched, %" PRIu64
			" of them given back before; the declared geometry opens %" PRIu64 " ahead: the strategy writes to pages it said it gave back, or to blocks without objects",
			point->event, interval->ahead, interval->again, ahead);
	if (outside > (first ? FL_ACCOUNT_OPENED : FL_ACCOUNT_OUTSIDE))
		a->err = fail(a, "at event %" PRIu64 " %" PRIu64
			" resident pages more than there were lie outside of all ranges that the strategy declares: it hides them",
			point->event, outside);
	if (a->unwatched)
		return;
	a->compared += interval->compared;
	a->missed += interval->missed;
	a->extra += interval->extra;
	if (interval->missed + interval->extra > slack)
		a->err = fail(a, "at event %" PRIu64 " the witnesses differ: of %" PRIu64
			" pages that objects were put on since the last census the kernel saw %" PRIu64
			" not written, and %" PRIu64 " others written; %" PRIu64 " are let pass",
			point->event, interval->compared, interval->missed,
			interval->extra, slack);
}

/* No scan tells shared memory from files: what grows is outside of all ranges. */
static void look_at_process(struct fl_account *a)
{
	uint64_t pages;

	if (fl_census_process(&a->process))
		return;
	pages = a->process.shared_bytes / fl_page_bytes();
	if (a->nr_censuses == 1)
		a->shared_before = pages;
	else if (pages > a->shared_before + FL_ACCOUNT_COUNTED)
		a->err = fail(a, "at event %" PRIu64 " %" PRIu64
			" resident pages more than at the first census are shared memory, which no range may be: it hides them",
			a->nr_events, pages - a->shared_before);
}

static void take_census(struct fl_account *a)
{
	struct fl_ledger_point *p;
	struct fl_complaint why;
	uint64_t outside = 0;
	struct ranges r;
	int err = 0;

	if (a->err || (a->err = get_ranges(a, &r)))
		return;
	a->everywhere = look_everywhere(a);
	fl_ledger_begin_census(a->ledger, a->nr_events);
	if (!a->unwatched)
		fl_ledger_watched(a->ledger);
	for (size_t i = 0; i < r.nr && !err; i++)
		err = take_range(a, &r.at[i]);
	if (err)
		a->err = fail(a, "page census: %s", strerror(-err));
	else if (fl_ledger_end_census(a->ledger, &why))
		a->err = fail(a, "%s", why.text);
	if (a->err)
		return;
	if (count_outside(a, &r, &outside))
		outside = a->outside_least;
	judge(a, outside);
	/* Costs as much as all the rest. */
	if (a->nr_censuses++ % PROCESS_EVERY == 0)
		look_at_process(a);
	p = fl_ledger_last(a->ledger);
	p->lazy_free = a->process.lazy_free_bytes / fl_page_bytes();
	p->page_tables = a->process.page_table_bytes / fl_page_bytes();
	p->vmas = a->process.nr_vmas;
}

/* Processor time of this thread. */
static double thread_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static fl_cold void due_census(struct fl_account *a)
{
	const double cpu_s = thread_s();
	const uint64_t start = fl_clock_ticks();

	take_census(a);
	a->census_ticks += fl_clock_ticks() - start;
	a->census_cpu_s += thread_s() - cpu_s;
	a->due += a->every;
}

static inline void count_event(struct fl_account *a)
{
	if (fl_unlikely(++a->nr_events >= a->due))
		due_census(a);
}

/* What the ledger takes, at a part of all events. */
static inline bool is_timed(struct fl_account *a)
{
	if (fl_likely(a->nr_events % TIMED_EVERY))
		return false;
	a->ledger_start = fl_clock_ticks();
	return true;
}

static inline void add_time(struct fl_account *a)
{
	const uint64_t ticks = fl_clock_ticks() - a->ledger_start;

	if (ticks > a->timed_most)
		return;
	a->ledger_ticks += ticks;
	a->nr_timed++;
}

static void on_object(struct fl_event_sink *sink, char *object, uint64_t bytes)
{
	struct fl_account *a = (struct fl_account *)sink;
	const bool timed = is_timed(a);

	fl_ledger_object(a->ledger, sink->slot, object, bytes);
	if (fl_unlikely(timed))
		add_time(a);
	count_event(a);
}

static void on_created(struct fl_event_sink *sink, uint32_t slot)
{
	(void)slot;
	count_event((struct fl_account *)sink);
}

static void on_died(struct fl_event_sink *sink, uint32_t slot)
{
	struct fl_account *a = (struct fl_account *)sink;
	const bool timed = is_timed(a);

	fl_ledger_died(a->ledger, slot);
	if (fl_unlikely(timed))
		add_time(a);
	count_event(a);
}

int fl_account_begin(struct fl_account *a, struct fl_sample *out)
{
	struct ranges none = { .nr = 0 };

	*a = (struct fl_account){
		.sink = { .object = on_object, .created = on_created,
			  .died = on_died },
		.out = out, .census.pagemap = -1,
		.written = { .uffd.fd = -1, .pagemap = -1 },
	};
	if (fl_census_open(&a->census))
		return fail(a, "page census: cannot read /proc/self/pagemap");
	if (fl_written_open(&a->written, a->why, sizeof(a->why)))
		a->unwatched = a->why;
	else
		fl_uffd_track();
	count_outside(a, &none, &a->outside_least);
	return 0;
}

/*
 * Of each event, what counting took.  The censuses by processor time; the ledger by
 * a part of its calls, less what the clock takes.  (The events of regions that are
 * created are no call of the ledger's.)
 */
static double own_ns(const struct fl_account *a)
{
	const double events = (double)a->nr_events;
	double ledger_ns = 0;

	if (a->nr_timed)
		ledger_ns = fl_clock_ns(&a->out->clock, a->ledger_ticks) /
			    (double)a->nr_timed - a->out->clock.pair_p50_ns;
	return 1e9 * a->census_cpu_s / events + (ledger_ns > 0 ? ledger_ns : 0);
}

int fl_account_run(struct fl_account *a, const struct fl_strategy *strategy,
		   const struct fl_kernel *kernel, struct fl_batch *batch,
		   uint64_t nr_events, struct fl_batch_result *result)
{
	struct fl_geometry geometry = { 0 };
	struct fl_complaint why;
	double cpu_s;
	uint64_t start;
	int err;

	a->strategy = strategy;
	a->heap = batch->heap;
	strategy->geometry(a->heap, &geometry);
	/* One at the beginning, one at the end, and what division leaves. */
	err = fl_ledger_new(batch->nr_slots, 2 * FL_ACCOUNT_CENSUSES + 2,
			    &geometry, &a->ledger);
	if (err)
		return fail(a, "page ledger: %s", strerror(-err));
	a->timed_most = (uint64_t)(TIMED_MOST_NS /
				   fl_clock_ns(&a->out->clock, 1));
	a->every = nr_events / FL_ACCOUNT_CENSUSES;
	a->every += !a->every;
	a->due = a->every;
	batch->events = &a->sink;
	take_census(a);
	cpu_s = thread_s();
	start = fl_clock_ticks();
	err = kernel->run(batch, result);
	a->out->value[FL_METRIC_account_events_per_s] = 1e9 *
		(double)a->nr_events /
		fl_clock_ns(&a->out->clock, fl_clock_ticks() - start);
	a->out->value[FL_METRIC_account_cpu_events_per_s] =
		(double)a->nr_events / (thread_s() - cpu_s);
	if (a->nr_events)
		a->out->value[FL_METRIC_account_own_ns] = own_ns(a);
	/* All but the one before the program, and one after it. */
	if (a->nr_censuses > 1)
		a->out->value[FL_METRIC_account_census_ns] =
			fl_clock_ns(&a->out->clock, a->census_ticks) /
			(double)(a->nr_censuses - 1);
	if (!a->err && fl_ledger_last(a->ledger)->event != a->nr_events) {
		a->table_bytes = 0;
		take_census(a);
	}
	if (!a->err && fl_ledger_end(a->ledger, &why))
		a->err = fail(a, "%s", why.text);
	return err;
}

static json_t *points_json(const struct fl_ledger *ledger)
{
	json_t *list = json_array();
	uint64_t nr;
	const struct fl_ledger_point *p = fl_ledger_points(ledger, &nr);

	for (uint64_t i = 0; i < nr; i++, p++)
		json_array_append_new(list, json_pack(
			"[I, I, I, I, I, I, I, I, I, I, I]",
			(json_int_t)p->event, (json_int_t)p->resident,
			(json_int_t)p->live, (json_int_t)p->metadata,
			(json_int_t)p->pooled, (json_int_t)p->leaked,
			(json_int_t)p->censored, (json_int_t)p->live_bytes,
			(json_int_t)p->lazy_free, (json_int_t)p->page_tables,
			(json_int_t)p->vmas));
	return list;
}

/* Mean, and percentiles of which it has enough values. */
static void set_bytes(struct fl_sample *out, const struct fl_hist *hist,
		      enum fl_metric n, enum fl_metric mean, enum fl_metric p50,
		      enum fl_metric p90, enum fl_metric p99)
{
	const struct {
		enum fl_metric metric;
		uint32_t ppm;
	} at[] = { { p50, 500000 }, { p90, 900000 }, { p99, 990000 } };
	uint64_t value;

	out->value[n] = (double)hist->nr_values;
	out->lacks[mean] = "there were none";
	if (hist->nr_values)
		out->value[mean] = fl_hist_mean_ns(hist);
	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
		out->lacks[at[i].metric] = "fewer than ten values lie beyond it";
		if (fl_hist_nr_beyond(hist, at[i].ppm) >= FL_HIST_BEYOND_MIN &&
		    !fl_hist_percentile(hist, at[i].ppm, &value))
			out->value[at[i].metric] = (double)value;
	}
}

void fl_account_metrics(struct fl_account *a)
{
	struct fl_ledger_totals t;
	double *value = a->out->value;
	uint64_t nr;

	fl_ledger_totals(a->ledger, &t);
	fl_ledger_points(a->ledger, &nr);
	value[FL_METRIC_nr_censuses] = (double)nr;
	if (t.resident > 0) {
		value[FL_METRIC_leaked_share] =
			(t.leaked + t.censored) / t.resident;
		value[FL_METRIC_censored_share] = t.censored / t.resident;
		value[FL_METRIC_pooled_share] = t.pooled / t.resident;
		value[FL_METRIC_live_share] = t.live / t.resident;
	}
	value[FL_METRIC_peak_resident_pages] = (double)t.peak_resident;
	value[FL_METRIC_peak_live_pages] = (double)t.peak_live;
	value[FL_METRIC_peak_live_bytes] = (double)t.peak_live_bytes;
	if (t.peak_live)
		value[FL_METRIC_peak_resident_over_live] =
			(double)t.peak_resident / (double)t.peak_live;
	value[FL_METRIC_ahead_pages] = (double)a->ahead_most;
	if (a->census.best == FL_CENSUS_SCAN)
		value[FL_METRIC_outside_pages] = (double)a->outside_most;
	a->out->lacks[FL_METRIC_outside_pages] =
		"the kernel has no PAGEMAP_SCAN (Linux 6.7)";
	for (int m = FL_METRIC_written_pages; m <= FL_METRIC_written_extra_pages;
	     m++)
		a->out->lacks[m] = a->unwatched;
	if (!a->unwatched) {
		value[FL_METRIC_written_pages] = (double)a->compared;
		value[FL_METRIC_written_missed_pages] = (double)a->missed;
		value[FL_METRIC_written_extra_pages] = (double)a->extra;
	}
	set_bytes(a->out, fl_ledger_tails(a->ledger), FL_METRIC_tail_n,
		  FL_METRIC_tail_mean_bytes, FL_METRIC_tail_p50_bytes,
		  FL_METRIC_tail_p90_bytes, FL_METRIC_tail_p99_bytes);
	set_bytes(a->out, fl_ledger_last_pages(a->ledger),
		  FL_METRIC_last_page_n, FL_METRIC_last_page_mean_bytes,
		  FL_METRIC_last_page_p50_bytes, FL_METRIC_last_page_p90_bytes,
		  FL_METRIC_last_page_p99_bytes);
}

void fl_account_json(const struct fl_account *a, json_t *line)
{
	json_t *hist = NULL;

	if (!a->ledger)
		return;
	json_object_set_new(line, "pages", points_json(a->ledger));
	if (!fl_hist_to_json(fl_ledger_tails(a->ledger), &hist))
		json_object_set_new(line, "tails", hist);
	if (!fl_hist_to_json(fl_ledger_last_pages(a->ledger), &hist))
		json_object_set_new(line, "last_pages", hist);
}

void fl_account_end(struct fl_account *a)
{
	fl_ledger_free(a->ledger);
	fl_written_close(&a->written);
	fl_census_close(&a->census);
	a->ledger = NULL;
}

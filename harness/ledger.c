/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "harness/ledger.h"
#include "vm/reserve.h"

/*
 * Pages are found in a tree of three levels that covers 2^47 bytes of 4 KiB
 * pages: 2^12 branches of 2^12 leaves of 2^11 pages.
 */
#define LEAF_ORDER	11u
#define BRANCH_ORDER	12u
#define ROOT_ORDER	12u
#define LEAF_PAGES	(1u << LEAF_ORDER)
#define BRANCH_LEAVES	(1u << BRANCH_ORDER)
#define ROOT_BRANCHES	(1u << ROOT_ORDER)

/* Address space for all of it; what is used becomes resident. */
#define ARENA_BYTES	((size_t)1 << 36)

#define CHUNK_PAGES	30u

/* Numbers of censuses are stored plus one, so that zero is "never". */
struct page {
	uint32_t nr_regions;	/* alive, with an object here */
	uint32_t region;	/* number of the newest that marked it */
	uint32_t touched;	/* an object was put here before this census */
	uint32_t resident;	/* the last census that found it so */
	uint32_t idle;		/* the first census of an idle stretch */
	bool pool;		/* of a pool: pages are moved from here */
};

struct leaf {
	struct page pages[LEAF_PAGES];
};

struct branch {
	struct leaf *leaves[BRANCH_LEAVES];
};

/* Pages that a region marked. */
struct chunk {
	struct chunk *next;
	uint64_t nr;
	struct page *pages[CHUNK_PAGES];
};

struct slot {
	uintptr_t first, last;	/* pages of the newest object, by number */
	uint32_t epoch;		/* the census to come when it was marked */
	uint32_t region;	/* number of the region here; 0: none yet */
	uintptr_t start, end;	/* of the newest object; 0, 0: none */
	uint64_t chain_bytes;	/* since the block began */
	bool first_block;
	uint64_t live_bytes;
	struct chunk *marked;
};

struct fl_ledger {
	char *arena;
	size_t used_bytes;
	struct branch *root[ROOT_BRANCHES];
	uintptr_t leaf_number;	/* of the newest leaf looked up */
	struct leaf *leaf;
	unsigned page_order;

	struct fl_geometry geometry;
	struct slot *slots;
	uint32_t nr_slots, nr_regions;
	struct chunk *free_chunks;
	bool upwards;		/* which way objects are put */

	struct fl_ledger_point *points;
	uint64_t nr_points, points_max;
	/* Difference arrays over censuses, one longer than those. */
	int64_t *pooled, *leaked, *censored;

	struct page **idle;	/* in a stretch, or were at the last census */
	uint64_t nr_idle, idle_max;
	uint64_t nr_live, live_bytes;
	uint64_t nr_live_resident;
	struct fl_ledger_interval interval, last;	/* this one; the newest
							   that is over */
	uint64_t nr_seen;	/* written and touched, in this interval */
	bool watched;		/* does anybody say what was written? */
	struct fl_hist tails, last_pages;
};

static void *take(struct fl_ledger *l, size_t bytes)
{
	char *p = l->arena + l->used_bytes;

	bytes = (bytes + 15) & ~(size_t)15;
	/* 2^36 bytes describe 2^43 bytes of pages: more than can be resident. */
	if (l->used_bytes + bytes > ARENA_BYTES)
		__builtin_trap();
	l->used_bytes += bytes;
	return p;
}

int fl_ledger_new(uint32_t nr_slots, uint64_t nr_censuses,
		  const struct fl_geometry *geometry, struct fl_ledger **ledger)
{
	struct fl_ledger *l;
	char *arena;
	int err = fl_reserve(ARENA_BYTES, FL_OPEN, &arena);

	if (err)
		return err;
	l = (struct fl_ledger *)(void *)arena;
	l->arena = arena;
	l->used_bytes = (sizeof(*l) + 15) & ~(size_t)15;
	l->page_order = (unsigned)__builtin_ctzl(fl_page_bytes());
	l->geometry = *geometry;
	l->nr_slots = nr_slots ? nr_slots : 1;
	l->slots = take(l, l->nr_slots * sizeof(*l->slots));
	l->points_max = nr_censuses;
	l->points = take(l, nr_censuses * sizeof(*l->points));
	l->pooled = take(l, (nr_censuses + 1) * sizeof(*l->pooled));
	l->leaked = take(l, (nr_censuses + 1) * sizeof(*l->leaked));
	l->censored = take(l, (nr_censuses + 1) * sizeof(*l->censored));
	/* As many as the memory there could be; lazily resident. */
	l->idle_max = ARENA_BYTES / 2 / sizeof(*l->idle);
	l->idle = take(l, l->idle_max * sizeof(*l->idle));
	l->leaf_number = UINTPTR_MAX;
	fl_hist_reset(&l->tails);
	fl_hist_reset(&l->last_pages);
	*ledger = l;
	return 0;
}

void fl_ledger_free(struct fl_ledger *l)
{
	if (l)
		fl_release(l->arena, ARENA_BYTES);
}

void fl_ledger_memory(const struct fl_ledger *l, const char **base,
		      uint64_t *bytes)
{
	*base = l->arena;
	*bytes = ARENA_BYTES;
}

static fl_cold void find_leaf(struct fl_ledger *l, uintptr_t number)
{
	const uintptr_t top = number >> BRANCH_ORDER;
	struct branch **branch = &l->root[top & (ROOT_BRANCHES - 1)];
	struct leaf **leaf;

	if (!*branch)
		*branch = take(l, sizeof(**branch));
	leaf = &(*branch)->leaves[number & (BRANCH_LEAVES - 1)];
	if (!*leaf)
		*leaf = take(l, sizeof(**leaf));
	l->leaf = *leaf;
	l->leaf_number = number;
}

static inline struct page *page_of(struct fl_ledger *l, uintptr_t page)
{
	if (fl_unlikely(page >> LEAF_ORDER != l->leaf_number))
		find_leaf(l, page >> LEAF_ORDER);
	return &l->leaf->pages[page & (LEAF_PAGES - 1)];
}

/* Where there is no branch, @number becomes that of its last leaf. */
static bool has_leaf(const struct fl_ledger *l, uintptr_t *number)
{
	const struct branch *branch =
		l->root[(*number >> BRANCH_ORDER) & (ROOT_BRANCHES - 1)];

	if (!branch) {
		*number |= BRANCH_LEAVES - 1;
		return false;
	}
	return branch->leaves[*number & (BRANCH_LEAVES - 1)];
}

bool fl_ledger_place(const struct fl_ledger *l, uintptr_t *from, uintptr_t to,
		     uintptr_t *end)
{
	const unsigned order = l->page_order + LEAF_ORDER;
	uintptr_t number = *from >> order;

	while (number << order < to && !has_leaf(l, &number))
		number++;
	if (*from >= to || number << order >= to)
		return false;
	*from = number << order > *from ? number << order : *from;
	while (number << order < to && has_leaf(l, &number))
		number++;
	*end = number << order < to ? number << order : to;
	return true;
}

/* The number of the census to come, plus one. */
static inline uint32_t epoch(const struct fl_ledger *l)
{
	return (uint32_t)l->nr_points + 1;
}

static void add_stretch(int64_t *class, uint64_t first, uint64_t end)
{
	class[first]++;
	class[end]--;
}

static void remember(struct fl_ledger *l, struct slot *s, struct page *p)
{
	struct chunk *c = s->marked;

	if (!c || c->nr == CHUNK_PAGES) {
		c = l->free_chunks;
		if (c)
			l->free_chunks = c->next;
		else
			c = take(l, sizeof(*c));
		c->next = s->marked;
		c->nr = 0;
		s->marked = c;
	}
	c->pages[c->nr++] = p;
}

static fl_cold void mark(struct fl_ledger *l, struct slot *s, uintptr_t page)
{
	struct page *p = page_of(l, page);

	if (p->idle) {
		/* Every census since then found it resident. */
		add_stretch(l->pooled, p->idle - 1, l->nr_points);
		p->idle = 0;
	}
	if (p->touched != epoch(l)) {
		p->touched = epoch(l);
		l->interval.touched++;
	}
	if (p->region == s->region)
		return;
	p->region = s->region;
	l->nr_live += !p->nr_regions++;
	remember(l, s, p);
}

/* From the newest object to the end of its page. */
static uint64_t rest_of_page(const struct fl_ledger *l, const struct slot *s)
{
	const uintptr_t mask = ((uintptr_t)1 << l->page_order) - 1;

	return l->upwards ? -s->end & mask : s->start & mask;
}

/* The slot's next object goes elsewhere: what is left where it was? */
static fl_cold void leave_block(struct fl_ledger *l, struct slot *s)
{
	const uint64_t room = s->first_block ? l->geometry.start_bytes :
					       l->geometry.block_bytes;
	const bool said = !l->geometry.step_bytes && s->chain_bytes <= room;

	fl_hist_add(&l->tails, said ? room - s->chain_bytes :
				      rest_of_page(l, s));
	s->chain_bytes = 0;
	s->first_block = false;
}

void fl_ledger_object(struct fl_ledger *l, uint32_t slot, const char *object,
		      uint64_t bytes)
{
	const uintptr_t start = (uintptr_t)object;
	const uintptr_t end = start + fl_object_bytes(bytes);
	const uintptr_t first = start >> l->page_order;
	const uintptr_t last = (end - 1) >> l->page_order;
	struct slot *s = &l->slots[slot];

	if (fl_unlikely(!s->region)) {
		s->region = ++l->nr_regions;
		s->first_block = l->geometry.start_bytes > 0;
		s->epoch = 0;
	}
	if (fl_unlikely(first < s->first || last > s->last ||
			s->epoch != epoch(l))) {
		for (uintptr_t page = first; page <= last; page++)
			mark(l, s, page);
		s->first = first;
		s->last = last;
		s->epoch = epoch(l);
	}
	if (s->end && end == s->start)
		l->upwards = false;
	else if (s->end && start == s->end)
		l->upwards = true;
	else if (s->end)
		leave_block(l, s);
	s->start = start;
	s->end = end;
	s->chain_bytes += end - start;
	s->live_bytes += end - start;
	l->live_bytes += end - start;
}

void fl_ledger_died(struct fl_ledger *l, uint32_t slot)
{
	struct slot *s = &l->slots[slot];
	struct chunk *c;

	if (s->end)
		fl_hist_add(&l->last_pages, rest_of_page(l, s));
	while ((c = s->marked)) {
		for (uint64_t i = 0; i < c->nr; i++)
			l->nr_live -= !--c->pages[i]->nr_regions;
		s->marked = c->next;
		c->next = l->free_chunks;
		l->free_chunks = c;
	}
	l->live_bytes -= s->live_bytes;
	*s = (struct slot){ 0 };
}

void fl_ledger_begin_census(struct fl_ledger *l, uint64_t event)
{
	uint64_t kept = 0;

	if (l->nr_points == l->points_max)
		__builtin_trap();
	l->points[l->nr_points] = (struct fl_ledger_point){ .event = event };
	l->nr_live_resident = 0;
	l->nr_seen = 0;
	l->watched = false;
	/* Stretches that an object ended. */
	for (uint64_t i = 0; i < l->nr_idle; i++)
		if (l->idle[i]->idle)
			l->idle[kept++] = l->idle[i];
	l->nr_idle = kept;
}

void fl_ledger_watched(struct fl_ledger *l)
{
	l->watched = true;
}

void fl_ledger_written(struct fl_ledger *l, const char *base, uint64_t pages)
{
	uintptr_t page = (uintptr_t)base >> l->page_order;

	for (const uintptr_t end = page + pages; page < end; page++) {
		const struct page *p = page_of(l, page);

		l->nr_seen += p->touched == epoch(l);
		l->interval.extra += p->touched != epoch(l) && l->nr_points &&
				     p->resident == epoch(l) - 1;
	}
}

static void add_idle(struct fl_ledger *l, struct page *p)
{
	/* Was here neither at the last census nor since, by an object. */
	if (p->touched != epoch(l) && !p->pool &&
	    (!l->nr_points || p->resident != epoch(l) - 1)) {
		l->interval.ahead++;
		l->interval.again += p->touched > 0;
	}
	if (!p->idle) {
		p->idle = epoch(l);
		l->idle[l->nr_idle++] = p;
	}
}

void fl_ledger_resident(struct fl_ledger *l, const char *base, uint64_t pages,
			enum fl_range_kind kind)
{
	struct fl_ledger_point *point = &l->points[l->nr_points];
	uintptr_t page = (uintptr_t)base >> l->page_order;

	point->resident += pages;
	if (kind == FL_RANGE_METADATA)
		point->metadata += pages;
	for (const uintptr_t end = page + pages; page < end; page++) {
		struct page *p = page_of(l, page);

		l->interval.misdeclared += kind != FL_RANGE_OBJECTS &&
					   p->touched > 0;
		if (kind == FL_RANGE_METADATA)
			continue;
		l->interval.compared += p->touched == epoch(l);
		p->pool = kind == FL_RANGE_POOL;
		if (p->nr_regions)
			l->nr_live_resident++;
		else
			add_idle(l, p);
		p->resident = epoch(l);
	}
}

int fl_ledger_end_census(struct fl_ledger *l, struct fl_complaint *why)
{
	struct fl_ledger_point *point = &l->points[l->nr_points];
	uint64_t kept = 0;

	for (uint64_t i = 0; i < l->nr_idle; i++) {
		struct page *p = l->idle[i];

		if (p->resident == epoch(l)) {
			l->idle[kept++] = p;
		} else {
			/*
			 * Given back, and no object had been there again; or out
			 * of a pool, to where one is.
			 */
			add_stretch(p->pool ? l->pooled : l->leaked,
				    p->idle - 1, l->nr_points);
			p->idle = 0;
		}
	}
	l->nr_idle = kept;
	point->live = l->nr_live_resident;
	point->live_bytes = l->live_bytes;
	if (l->watched)
		l->interval.missed = l->interval.compared - l->nr_seen;
	l->last = l->interval;
	l->interval = (struct fl_ledger_interval){ 0 };
	l->nr_points++;
	if (l->nr_live_resident != l->nr_live)
		return fl_complain(why, -EILSEQ,
			"at event %" PRIu64 " %" PRIu64 " of %" PRIu64
			" pages with live objects are not resident in any range that the strategy declares: it gave them back, or hides them",
			point->event, l->nr_live - l->nr_live_resident,
			l->nr_live);
	return 0;
}

struct fl_ledger_point *fl_ledger_last(struct fl_ledger *l)
{
	return &l->points[l->nr_points - 1];
}

const struct fl_ledger_interval *fl_ledger_interval(const struct fl_ledger *l)
{
	return &l->last;
}

int fl_ledger_end(struct fl_ledger *l, struct fl_complaint *why)
{
	int64_t pooled = 0, leaked = 0, censored = 0;

	for (uint64_t i = 0; i < l->nr_idle; i++)
		if (l->idle[i]->idle)
			add_stretch(l->censored, l->idle[i]->idle - 1,
				    l->nr_points);
	l->nr_idle = 0;
	for (uint64_t i = 0; i < l->nr_points; i++) {
		struct fl_ledger_point *p = &l->points[i];

		p->pooled = (uint64_t)(pooled += l->pooled[i]);
		p->leaked = (uint64_t)(leaked += l->leaked[i]);
		p->censored = (uint64_t)(censored += l->censored[i]);
		if (p->live + p->metadata + p->pooled + p->leaked +
		    p->censored != p->resident)
			return fl_complain(why, -EPROTO,
				"at event %" PRIu64 " the classes sum to %" PRIu64
				" pages, and %" PRIu64 " are resident",
				p->event, p->live + p->metadata + p->pooled +
				p->leaked + p->censored, p->resident);
	}
	return 0;
}

const struct fl_ledger_point *fl_ledger_points(const struct fl_ledger *l,
					       uint64_t *nr)
{
	*nr = l->nr_points;
	return l->points;
}

void fl_ledger_totals(const struct fl_ledger *l, struct fl_ledger_totals *out)
{
	struct fl_ledger_totals t = { 0 };

	for (uint64_t i = 0; i < l->nr_points; i++) {
		const struct fl_ledger_point *p = &l->points[i];

		t.peak_resident = p->resident > t.peak_resident ?
				  p->resident : t.peak_resident;
		t.peak_live = p->live > t.peak_live ? p->live : t.peak_live;
		t.peak_live_bytes = p->live_bytes > t.peak_live_bytes ?
				    p->live_bytes : t.peak_live_bytes;
		/* Until the next census, what this one saw. */
		if (i + 1 < l->nr_points) {
			const double events = (double)(p[1].event - p->event);

			t.resident += events * (double)p->resident;
			t.live += events * (double)p->live;
			t.metadata += events * (double)p->metadata;
			t.pooled += events * (double)p->pooled;
			t.leaked += events * (double)p->leaked;
			t.censored += events * (double)p->censored;
		}
	}
	*out = t;
}

const struct fl_hist *fl_ledger_tails(const struct fl_ledger *l)
{
	return &l->tails;
}

const struct fl_hist *fl_ledger_last_pages(const struct fl_ledger *l)
{
	return &l->last_pages;
}

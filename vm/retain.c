/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm/reserve.h"
#include "vm/retain.h"

const char *const fl_retain_whens[] = {		/* by enum fl_retain_when */
	"never", "death", "every", "budget", "age", "warm", NULL
};
const char *const fl_retain_withs[] = {		/* by enum fl_retain_with */
	"dontneed", "free", "munmap", "guard", "move", NULL
};
const char *const fl_retain_bys[] = {		/* by enum fl_giveback_method */
	"loop", "batch", "ring", NULL
};

struct fl_retain_config fl_retain_config_of(const uint64_t *values)
{
	return (struct fl_retain_config){
		.when = (enum fl_retain_when)values[FL_RETAIN_VALUE_WHEN],
		.deaths = values[FL_RETAIN_VALUE_DEATHS],
		.keep_bytes = values[FL_RETAIN_VALUE_KEEP],
		.percentile = values[FL_RETAIN_VALUE_PERCENTILE],
		.with = (enum fl_retain_with)values[FL_RETAIN_VALUE_WITH],
		.by = (enum fl_giveback_method)values[FL_RETAIN_VALUE_BY],
	};
}

static enum fl_giveback_advice advice_of(enum fl_retain_with with)
{
	return with == FL_RETAIN_FREE ? FL_GIVE_FREE :
	       with == FL_RETAIN_GUARD ? FL_GIVE_GUARD : FL_GIVE_DONTNEED;
}

/* Pages and page tables go; the addresses stay the heap's. */
static int unmap(const struct iovec *ranges, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (mmap(ranges[i].iov_base, ranges[i].iov_len, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
			 -1, 0) == MAP_FAILED)
			return -errno;
	return 0;
}

static int open_again(enum fl_retain_with with, char *base, size_t bytes)
{
	if (with == FL_RETAIN_GUARD)
		return fl_giveback_one(base, bytes, FL_GIVE_UNGUARD);
	return fl_protect(base, bytes, FL_OPEN);
}

/* What is wrong with these settings, whatever the kernel says; or NULL. */
static const char *nonsense(const struct fl_retain_config *c)
{
	const bool counts = c->when == FL_RETAIN_EVERY ||
		c->when == FL_RETAIN_AGE || c->when == FL_RETAIN_WARM;

	if (c->when == FL_RETAIN_NEVER && (c->with || c->by))
		return "with= and by= are about what is given back: set giveback=";
	if (!counts && c->deaths != FL_RETAIN_DEATHS)
		return "deaths= is for giveback=every, age and warm";
	if (c->when != FL_RETAIN_BUDGET && c->keep_bytes != FL_RETAIN_KEEP_BYTES)
		return "keep= is for giveback=budget";
	if (c->when != FL_RETAIN_WARM && c->percentile != FL_RETAIN_PERCENTILE)
		return "percentile= is for giveback=warm";
	if ((c->with == FL_RETAIN_MUNMAP || c->with == FL_RETAIN_MOVE) &&
	    c->by != FL_GIVE_LOOP)
		return "by=batch and by=ring are of advice, and with=munmap and "
		       "with=move are none: set by=loop";
	return NULL;
}

/* On two pages of its own; of move, the owner knows. */
static int try_it(const struct fl_retain_config *c)
{
	const size_t bytes = fl_page_bytes();
	struct iovec ranges[2];
	struct fl_giver giver;
	char *base;
	int err = fl_giver_open(c->by, &giver);

	if (err)
		return err;
	err = fl_reserve(4 * bytes, FL_OPEN, &base);
	if (err)
		goto close_giver;
	for (size_t i = 0; i < 2; i++) {
		ranges[i] = (struct iovec){ base + 2 * i * bytes, bytes };
		*(volatile char *)ranges[i].iov_base = 1;
	}
	err = c->with == FL_RETAIN_MUNMAP ? unmap(ranges, 2) :
		fl_giver_give(&giver, ranges, 2, advice_of(c->with));
	if (!err && (c->with == FL_RETAIN_MUNMAP || c->with == FL_RETAIN_GUARD))
		err = open_again(c->with, ranges[0].iov_base, bytes);
	fl_release(base, 4 * bytes);
close_giver:
	fl_giver_close(&giver);
	return err;
}

int fl_retain_probe(const uint64_t *values, unsigned can, const char *why,
		    char *reason, size_t reason_bytes)
{
	const struct fl_retain_config c = fl_retain_config_of(values);
	const char *wrong = nonsense(&c);
	int err;

	if (wrong) {
		snprintf(reason, reason_bytes, "%s", wrong);
		return -ENOTSUP;
	}
	if (!(can & 1u << c.with)) {
		snprintf(reason, reason_bytes, "with=%s: %s",
			 fl_retain_withs[c.with], why);
		return -ENOTSUP;
	}
	if (c.when == FL_RETAIN_NEVER || c.with == FL_RETAIN_MOVE)
		return 0;
	err = try_it(&c);
	if (err)
		snprintf(reason, reason_bytes, "this kernel refuses with=%s, "
			 "by=%s: %s", fl_retain_withs[c.with],
			 fl_retain_bys[c.by], strerror(-err));
	return err;
}

int fl_retain_open(const struct fl_retain_config *config, size_t nr_items,
		   volatile struct fl_events *events, struct fl_retain **out)
{
	const size_t bytes = sizeof(struct fl_retain) +
			     nr_items * sizeof(struct fl_retain_item);
	struct fl_retain *r;
	char *pages;
	int err = fl_reserve(bytes, FL_OPEN, &pages);

	if (err)
		return err;
	r = (struct fl_retain *)(void *)pages;
	err = fl_giver_open(config->by, &r->giver);
	if (err) {
		fl_release(pages, bytes);
		return err;
	}
	r->config = *config;
	r->ring = (struct fl_retain_link){ &r->ring, &r->ring };
	r->bound_bytes = config->when == FL_RETAIN_DEATH ? 0 :
			 config->when == FL_RETAIN_BUDGET ? config->keep_bytes :
							    UINT64_MAX;
	r->pid = getpid();
	r->events = events;
	r->bytes = bytes;
	*out = r;
	return 0;
}

void fl_retain_close(struct fl_retain *r)
{
	if (!r)
		return;
	fl_giver_close(&r->giver);
	fl_release((char *)r, r->bytes);
}

/* Deaths so far. */
static uint64_t now(const struct fl_retain *r)
{
	return r->decide_at - r->nr_left;
}

static void decide_at(struct fl_retain *r, uint64_t death)
{
	r->nr_left = death - now(r);
	r->decide_at = death;
}

static struct fl_retain_item *item_of(struct fl_retain_link *link)
{
	return (struct fl_retain_item *)link;	/* its first member */
}

/* That has been dead for longest; NULL: nothing dead is warm. */
static struct fl_retain_item *oldest(struct fl_retain *r)
{
	return r->ring.newer == &r->ring ? NULL : item_of(r->ring.newer);
}

static void link_newest(struct fl_retain *r, struct fl_retain_item *item)
{
	item->link = (struct fl_retain_link){ &r->ring, r->ring.older };
	r->ring.older->newer = &item->link;
	r->ring.older = &item->link;
}

static void unlink_item(struct fl_retain_item *item)
{
	item->link.newer->older = item->link.older;
	item->link.older->newer = item->link.newer;
	item->link = (struct fl_retain_link){ NULL, NULL };
}

static void move_level(struct fl_retain *r, int64_t by)
{
	r->level += by;
	if (r->level < r->level_low)
		r->level_low = r->level;
	if (r->level > r->level_high)
		r->level_high = r->level;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/*
 * The most used in a lifetime, in two halves: pages that neither reached have
 * been idle for one half at least.
 */
static void note_recent(struct fl_retain *r, struct fl_retain_item *item,
			uint64_t used)
{
	const uint32_t since = (uint32_t)now(r) - item->half;
	uint64_t *const recent = item->by.recent;

	if (since > r->config.deaths) {
		recent[1] = since > 2 * r->config.deaths ? 0 : recent[0];
		recent[0] = 0;
		item->half = (uint32_t)now(r);
	}
	recent[0] = most(recent[0], used);
}

static void note_level(struct fl_retain *r, struct fl_retain_item *item,
		       uint64_t used)
{
	if (used > item->by.warm.out)
		move_level(r, -(int64_t)(used - item->by.warm.out));
	move_level(r, (int64_t)most(used, item->by.warm.out));
	item->by.warm.used = used;
}

static void leave_dead(struct fl_retain *r, struct fl_retain_item *item)
{
	if (!item->link.newer)
		return;
	r->warm_bytes -= item->bytes;
	unlink_item(item);
}

void fl_retain_dead(struct fl_retain *r, struct fl_retain_item *item, char *top,
		    uint64_t used)
{
	const bool age = r->config.when == FL_RETAIN_AGE;

	used = fl_page_round(used);
	leave_dead(r, item);
	if (r->config.when == FL_RETAIN_WARM)
		note_level(r, item, used);
	if (age && !r->config.whole)
		note_recent(r, item, used);
	item->top = top;
	item->bytes = most(item->bytes, used);
	item->died = (uint32_t)now(r);
	if (item->bytes) {
		r->warm_bytes += item->bytes;
		link_newest(r, item);
	}
	/* Items that go whole do so by their own age, behind all older ones. */
	if (r->warm_bytes > r->bound_bytes || (age && !r->config.whole))
		decide_at(r, now(r));
	else if (age && oldest(r) == item)
		decide_at(r, now(r) + r->config.deaths + 1);
}

int fl_retain_use(struct fl_retain *r, struct fl_retain_item *item)
{
	if (item->closed) {
		int err = open_again(r->config.with, item->top - item->closed,
				     item->closed);

		if (err)
			return err;
		item->closed = 0;
	}
	if (r->config.when == FL_RETAIN_WARM) {
		item->by.warm.out = item->by.warm.used;
		move_level(r, -(int64_t)item->by.warm.out);
	}
	leave_dead(r, item);
	return 0;
}

uint32_t fl_retain_whole_dead(struct fl_retain *r, uint64_t bytes)
{
	if (r->config.when == FL_RETAIN_WARM)
		move_level(r, (int64_t)bytes);
	if (r->config.when == FL_RETAIN_AGE && !r->warm_bytes)
		decide_at(r, now(r) + r->config.deaths + 1);
	r->warm_bytes += bytes;
	if (r->warm_bytes > r->bound_bytes)
		decide_at(r, now(r));
	return (uint32_t)now(r);
}

int fl_retain_whole_use(struct fl_retain *r, char *base, uint64_t bytes,
			bool warm, bool closed)
{
	if (closed) {
		int err = open_again(r->config.with, base, bytes);

		if (err)
			return err;
	}
	if (r->config.when == FL_RETAIN_WARM)
		move_level(r, -(int64_t)bytes);
	if (warm)
		r->warm_bytes -= bytes;
	return 0;
}

/* A descriptor of the parent's would give back the parent's pages. */
static int give(struct fl_retain *r, const struct iovec *ranges, size_t nr)
{
	const struct fl_retain_config *c = &r->config;
	const pid_t pid = getpid();

	if (c->give)
		return c->give(c->owner, ranges, nr);
	if (c->with == FL_RETAIN_MUNMAP)
		return unmap(ranges, nr);
	if (pid != r->pid) {
		struct fl_giver giver;
		int err = fl_giver_open(c->by, &giver);

		if (err)
			return err;
		fl_giver_close(&r->giver);
		r->giver = giver;
		r->pid = pid;
	}
	return fl_giver_give(&r->giver, ranges, nr, advice_of(c->with));
}

/* Lowest first; they are few, and mostly in order, one way or the other. */
static void sort_ranges(struct iovec *ranges, size_t nr)
{
	for (size_t gap = nr / 2; gap; gap /= 2)
		for (size_t i = gap; i < nr; i++) {
			const struct iovec range = ranges[i];
			size_t k = i;

			while (k >= gap && (char *)ranges[k - gap].iov_base >
					   (char *)range.iov_base) {
				ranges[k] = ranges[k - gap];
				k -= gap;
			}
			ranges[k] = range;
		}
}

/* Neighbours become one. */
static size_t join_ranges(struct iovec *ranges, size_t nr)
{
	size_t last = 0;

	for (size_t i = 1; i < nr; i++) {
		char *const end = (char *)ranges[last].iov_base +
				  ranges[last].iov_len;

		if (ranges[i].iov_base == end)
			ranges[last].iov_len += ranges[i].iov_len;
		else
			ranges[++last] = ranges[i];
	}
	return last + 1;
}

static void flush(struct fl_retain *r)
{
	const struct fl_retain_config *c = &r->config;
	uint64_t bytes = 0;
	size_t nr;

	if (!r->nr_ranges)
		return;
	sort_ranges(r->ranges, r->nr_ranges);
	nr = join_ranges(r->ranges, r->nr_ranges);
	r->nr_ranges = 0;
	if (give(r, r->ranges, nr)) {
		r->events->nr_give_failures++;
		return;
	}
	for (size_t i = 0; i < nr; i++)
		bytes += r->ranges[i].iov_len;
	r->events->nr_given_pages += bytes / fl_page_bytes();
	r->events->nr_give_calls += fl_giveback_calls(c->by, nr);
}

static void shed_range(struct fl_retain *r, struct iovec range)
{
	if (r->nr_ranges == FL_RETAIN_RANGES)
		flush(r);
	r->ranges[r->nr_ranges++] = range;
	r->warm_bytes -= range.iov_len;
}

/* After them memory has to be opened. */
static bool closes(const struct fl_retain *r)
{
	return (r->config.with == FL_RETAIN_MUNMAP ||
		r->config.with == FL_RETAIN_GUARD) && !r->config.give;
}

/* The lowest @bytes that are warm. */
static void shed_item(struct fl_retain *r, struct fl_retain_item *item,
		      uint64_t bytes)
{
	if (!bytes)
		return;
	shed_range(r, (struct iovec){ item->top - item->bytes, bytes });
	if (closes(r))
		item->closed = most(item->closed, item->bytes);
	item->bytes -= bytes;
	if (item->bytes)
		return;
	unlink_item(item);
	if (r->config.shed)
		r->config.shed(r->config.owner, (size_t)(item - r->items));
}

/* Whatever has been dead for longest, up to @bytes of it; if whole, all of it. */
static void shed_oldest(struct fl_retain *r, uint64_t bytes)
{
	const struct fl_retain_config *c = &r->config;

	if (c->chill) {
		shed_range(r, c->chill(c->owner, closes(r)));
	} else {
		struct fl_retain_item *item = oldest(r);

		shed_item(r, item, c->whole || bytes > item->bytes ?
				   item->bytes : bytes);
	}
}

/* Since when; false: nothing is warm. */
static bool oldest_died(struct fl_retain *r, uint32_t *died)
{
	const struct fl_retain_config *c = &r->config;
	const struct fl_retain_item *item;

	if (c->oldest)
		return c->oldest(c->owner, died);
	item = oldest(r);
	if (item)
		*died = item->died;
	return item != NULL;
}

static void shed_down_to(struct fl_retain *r, uint64_t keep)
{
	const uint64_t page = fl_page_bytes();

	keep -= keep % page;
	while (r->warm_bytes > keep)
		shed_oldest(r, r->warm_bytes - keep);
}

static void shed_aged(struct fl_retain *r)
{
	const uint32_t death = (uint32_t)now(r);
	struct fl_retain_item *item;
	uint32_t died;

	while (oldest_died(r, &died) && death - died > r->config.deaths)
		shed_oldest(r, UINT64_MAX);
	if (r->config.whole || r->config.oldest)
		return;
	for (struct fl_retain_link *link = r->ring.older, *older;
	     link != &r->ring && item_of(link)->died == death; link = older) {
		item = item_of(link);
		older = link->older;
		if (item->bytes > most(item->by.recent[0], item->by.recent[1]))
			shed_item(r, item, item->bytes -
				  most(item->by.recent[0], item->by.recent[1]));
	}
}

/* What stays warm: a percentile of the windows' swings; all while there is none. */
static uint64_t recent_use(const struct fl_retain *r)
{
	const uint64_t nr = r->nr_windows < FL_RETAIN_WINDOWS ?
		r->nr_windows : FL_RETAIN_WINDOWS;
	const uint64_t rank = (r->config.percentile * nr + 99) / 100;

	for (uint64_t i = 0; i < nr; i++) {
		uint64_t below = 0, equal = 0;

		for (uint64_t k = 0; k < nr; k++) {
			below += r->swings[k] < r->swings[i];
			equal += r->swings[k] == r->swings[i];
		}
		if (below < rank && rank <= below + equal)
			return r->swings[i];
	}
	return UINT64_MAX;
}

static void end_window(struct fl_retain *r)
{
	if (now(r) % r->config.deaths)
		return;
	r->swings[r->nr_windows++ % FL_RETAIN_WINDOWS] =
		(uint64_t)(r->level_high - r->level_low);
	r->level_low = r->level_high = r->level;
	r->bound_bytes = recent_use(r);
}

/* At which death, if nothing dies until then but regions without items. */
static uint64_t next_decision(struct fl_retain *r)
{
	const uint64_t deaths = r->config.deaths;
	uint32_t died;

	switch (r->config.when) {
	case FL_RETAIN_EVERY:
	case FL_RETAIN_WARM:
		return (now(r) / deaths + 1) * deaths - 1;
	case FL_RETAIN_AGE:
		return oldest_died(r, &died) ?
		       now(r) + deaths + 1 - ((uint32_t)now(r) - died) :
		       UINT64_MAX;
	default:
		return UINT64_MAX;
	}
}

void fl_retain_decide(struct fl_retain *r)
{
	const struct fl_retain_config *c = &r->config;

	r->nr_left = 0;
	switch (c->when) {
	case FL_RETAIN_NEVER:
		break;
	case FL_RETAIN_DEATH:
		shed_down_to(r, 0);
		break;
	case FL_RETAIN_EVERY:
		if ((now(r) + 1) % c->deaths == 0)
			shed_down_to(r, 0);
		break;
	case FL_RETAIN_BUDGET:
		if (r->warm_bytes > c->keep_bytes)
			shed_down_to(r, c->keep_bytes / 2);
		break;
	case FL_RETAIN_AGE:
		shed_aged(r);
		break;
	case FL_RETAIN_WARM:
		shed_down_to(r, r->bound_bytes);
		break;
	}
	flush(r);
	r->decide_at++;
	if (c->when == FL_RETAIN_WARM)
		end_window(r);
	decide_at(r, next_decision(r));
}

void fl_retain_forget(struct fl_retain *r)
{
	struct fl_retain_item *item;
	uint32_t died;

	if (r->config.oldest) {
		while (r->config.oldest(r->config.owner, &died))
			r->config.chill(r->config.owner, false);
		r->warm_bytes = 0;
		return;
	}
	while ((item = oldest(r))) {
		r->warm_bytes -= item->bytes;
		unlink_item(item);
		item->bytes = 0;
	}
}

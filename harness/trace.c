/* SPDX-License-Identifier: MIT */
/*
 * harness/trace.c: see trace.h.
 *
 * One pass.  Text arrives in chunks; each complete line goes through a scanner
 * that knows only "an event and its numbers" or "something else".  Something
 * else is looked at a second time, at leisure, to say what is wrong with it, so
 * that the common path carries no diagnosis.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faultline/cursor.h"
#include "faultline/program.h"
#include "harness/trace.h"
#include "harness/trace_source.h"

#define FIRST_LINE	"faultline-trace 1"
#define NAME_PREFIX	"faultline-trace "

#define NONE		UINT32_MAX
#define BUFFER_BYTES	(256u << 10)

/* Most words one line compiles to: a SWITCH and a LARGE with its size. */
#define LINE_WORDS_MAX	4

/* Digits of a number that cannot overflow 64 bits. */
#define DIGITS_MAX	19

/* Text that is unpacked, after an error, to learn whether the xz data is to blame. */
#define DRAIN_BYTES_MAX	((uint64_t)256 << 20)

const struct fl_trace_limits fl_trace_limits_default = {
	.nr_regions_alive = FL_SLOTS_MAX,
	.nr_words = (uint64_t)1 << 29,
	.bytes = INT64_MAX,		/* what SQL and JSON integers hold */
};

/*
 * A tally counts keys.  It is an open-addressing table that only grows: a
 * count may return to 0, but an entry leaves when the table is rebuilt and its
 * owner has died.  Clearing a region is therefore one increment (its objects'
 * owner is the lifetime, not the region), however many objects it had.
 */
struct entry {
	uint64_t key;
	uint64_t count;
	uint32_t owner;		/* > 0; 0: the place is free */
	uint32_t slot;		/* where the owner lives, or NONE: never dies */
};

struct tally {
	struct entry *entries;
	uint64_t nr_used;
	unsigned int order;	/* log2 of the number of places */
};

#define TALLY_ORDER_MIN	10

/* A region slot.  The file's id is 0 while the slot is free. */
struct region {
	uint64_t id;
	uint64_t line;		/* where it was created */
	uint64_t asked_bytes;	/* of this lifetime, as the next two */
	uint64_t rounded_bytes;
	uint64_t nr_objects;
	uint32_t lifetime;	/* number, counts up over the file from 1 */
	uint32_t parent;	/* slot, or NONE */
	uint32_t nr_children;
	uint32_t next_free;	/* slot, or NONE */
};

struct reader {
	const char *name;
	const struct fl_trace_limits *limits;
	struct fl_complaint *why;
	struct fl_trace_facts facts;
	uint64_t line;		/* in hand; counts from 1 */

	uint32_t *words;
	uint64_t nr_words, room_words;

	struct region *regions;
	uint32_t nr_slots, room_slots;
	uint32_t free_slot;	/* head of the stack of free slots, or NONE */
	uint32_t nr_alive;
	uint32_t current;	/* slot, or NONE; a dead one does no harm, because
				   nothing is allocated in it */
	uint32_t nr_lifetimes;
	uint64_t last_id;	/* the last event's region, 0: none, and its slot: */
	uint32_t last_slot;	/* most events are about the same region */

	uint64_t live_bytes, live_objects;

	struct tally slot_of;		/* key: region id */
	struct tally sizes;		/* key: size; owner: lifetime */
	struct tally asked, objects;	/* key: per lifetime with objects */

	char *header;
	size_t header_bytes, header_room;
};

/* The tail of a long path names the file better than its head. */
static const char *short_name(const char *name)
{
	size_t len = strlen(name);

	return len > 300 ? name + len - 300 : name;
}

static fl_cold __attribute__((format(printf, 3, 0)))
int vcomplain(struct reader *r, int err, const char *format, va_list args)
{
	char text[600];

	vsnprintf(text, sizeof(text), format, args);
	return fl_complain(r->why, err, "%s:%" PRIu64 ": %s",
			   short_name(r->name), r->line ? r->line : 1, text);
}

static fl_cold __attribute__((format(printf, 3, 4)))
int complain(struct reader *r, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	err = vcomplain(r, err, format, args);
	va_end(args);
	return err;
}

/* The text is wrong in the line in hand. */
static fl_cold __attribute__((format(printf, 2, 3)))
int invalid(struct reader *r, const char *format, ...)
{
	va_list args;
	int err;

	va_start(args, format);
	err = vcomplain(r, -EINVAL, format, args);
	va_end(args);
	return err;
}

static fl_cold int out_of_memory(struct reader *r)
{
	return complain(r, -ENOMEM,
			"no memory for the compiled trace; free some or cut the trace");
}

/* -------- tallies -------- */

static uint64_t tally_places(const struct tally *tally)
{
	return (uint64_t)1 << tally->order;
}

static int tally_init(struct tally *tally)
{
	tally->order = TALLY_ORDER_MIN;
	tally->nr_used = 0;
	tally->entries = calloc(tally_places(tally), sizeof(*tally->entries));
	return tally->entries ? 0 : -ENOMEM;
}

/*
 * The place of (@key, @owner), taken or free.  Fibonacci hashing: the high bits
 * of the product depend on all bits of key and owner.
 */
fl_hot struct entry *tally_at(const struct tally *tally, uint64_t key, uint32_t owner)
{
	uint64_t mask = tally_places(tally) - 1;
	uint64_t hash = (key ^ (uint64_t)owner << 40 ^ owner) * 0x9e3779b97f4a7c15u;
	uint64_t i = hash >> (64 - tally->order);

	while (tally->entries[i].owner &&
	       (tally->entries[i].key != key || tally->entries[i].owner != owner))
		i = (i + 1) & mask;
	return &tally->entries[i];
}

static bool entry_is_alive(const struct reader *r, const struct tally *tally,
			   const struct entry *entry)
{
	if (entry->slot == NONE)
		return true;
	if (tally == &r->slot_of)
		return r->regions[entry->slot].id == entry->key;
	return r->regions[entry->slot].lifetime == entry->owner && entry->count;
}

/* Drops the dead; doubles the places if the living are too many for them. */
static fl_cold int tally_rebuild(struct reader *r, struct tally *tally)
{
	struct tally rebuilt = { .order = tally->order };
	uint64_t nr_alive = 0;

	for (uint64_t i = 0; i < tally_places(tally); i++)
		nr_alive += tally->entries[i].owner &&
			    entry_is_alive(r, tally, &tally->entries[i]);
	if (nr_alive > tally_places(tally) / 4)
		rebuilt.order++;
	rebuilt.entries = calloc(tally_places(&rebuilt), sizeof(*rebuilt.entries));
	if (!rebuilt.entries)
		return -ENOMEM;
	for (uint64_t i = 0; i < tally_places(tally); i++) {
		const struct entry *entry = &tally->entries[i];

		if (entry->owner && entry_is_alive(r, tally, entry))
			*tally_at(&rebuilt, entry->key, entry->owner) = *entry;
	}
	rebuilt.nr_used = nr_alive;
	free(tally->entries);
	*tally = rebuilt;
	return 0;
}

/*
 * Counts one more (@key, @owner).  At most half of the places are ever used, so
 * that tally_at always finds a free one soon.
 */
fl_hot int tally_add(struct reader *r, struct tally *tally, uint64_t key, uint32_t owner,
		     uint32_t slot)
{
	struct entry *entry = tally_at(tally, key, owner);

	if (fl_unlikely(!entry->owner)) {
		if (tally->nr_used >= tally_places(tally) / 2) {
			if (tally_rebuild(r, tally))
				return -ENOMEM;
			entry = tally_at(tally, key, owner);
		}
		*entry = (struct entry){ .key = key, .owner = owner, .slot = slot };
		tally->nr_used++;
	}
	entry->count++;
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;

	return (left->key > right->key) - (left->key < right->key);
}

/* Sorts the entries to the front; nothing but tally_percentile works after it. */
static void tally_sort(struct tally *tally)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < tally_places(tally); i++)
		if (tally->entries[i].owner)
			tally->entries[n++] = tally->entries[i];
	qsort(tally->entries, n, sizeof(*tally->entries), by_key);
}

/* Nearest rank among @nr counted keys; 0 if there are none. */
static uint64_t tally_percentile(const struct tally *tally, uint64_t nr, unsigned int percent)
{
	uint64_t rank = (nr * percent + 99) / 100, seen = 0;

	if (!nr)
		return 0;
	for (const struct entry *entry = tally->entries; ; entry++) {
		seen += entry->count;
		if (seen >= rank)
			return entry->key;
	}
}

/* -------- the program -------- */

/* Makes room for one more line's words. */
static fl_cold int grow_words(struct reader *r)
{
	uint64_t room = r->room_words ? r->room_words * 2 : 1u << 16;
	uint32_t *words;

	if (r->nr_words + LINE_WORDS_MAX > r->limits->nr_words)
		return complain(r, -E2BIG,
				"more than %" PRIu64 " words when compiled; "
				"cut the trace into parts",
				r->limits->nr_words);
	if (room > r->limits->nr_words)
		room = r->limits->nr_words;
	if (room > SIZE_MAX / sizeof(*words))
		return out_of_memory(r);
	words = realloc(r->words, room * sizeof(*words));
	if (!words)
		return out_of_memory(r);
	r->words = words;
	r->room_words = room;
	return 0;
}

fl_hot void emit(struct reader *r, uint32_t word)
{
	r->words[r->nr_words++] = word;
}

fl_hot int emit_allocation(struct reader *r, uint32_t slot, uint64_t bytes)
{
	struct region *region = &r->regions[slot];
	uint64_t rounded = fl_object_bytes(bytes);

	if (slot != r->current) {
		emit(r, FL_OP_SWITCH | slot);
		r->facts.nr_switches++;
		r->current = slot;
	}
	if (fl_likely(bytes < FL_OP_BASE)) {
		emit(r, (uint32_t)bytes);
	} else {
		emit(r, FL_OP_LARGE);
		emit(r, (uint32_t)bytes);
		emit(r, (uint32_t)(bytes >> 32));
	}

	r->facts.nr_allocs++;
	r->facts.bytes_total += bytes;
	r->facts.bytes_rounded_total += rounded;
	if (fl_unlikely(r->facts.bytes_rounded_total > r->limits->bytes))
		return complain(r, -E2BIG,
				"more than %" PRIu64 " bytes allocated in all; "
				"cut the trace into parts",
				r->limits->bytes);
	if (bytes > r->facts.object_bytes_max)
		r->facts.object_bytes_max = bytes;
	r->live_bytes += rounded;
	if (r->live_bytes > r->facts.live_bytes_max)
		r->facts.live_bytes_max = r->live_bytes;
	if (++r->live_objects > r->facts.nr_objects_alive_max)
		r->facts.nr_objects_alive_max = r->live_objects;
	region->asked_bytes += bytes;
	region->rounded_bytes += rounded;
	region->nr_objects++;
	return 0;
}

/* -------- regions -------- */

static fl_cold int complain_region(struct reader *r, const char *what, uint64_t id)
{
	if (!id)
		return invalid(r, "%s 0; region ids count up from 1", what);
	if (id <= r->facts.nr_creates)
		return invalid(r, "%s %" PRIu64 " is dead; "
			       "drop the event or move it before its d line",
			       what, id);
	return invalid(r, "%s %" PRIu64 " is unknown; create it first "
		       "with a c line (the next new id is %" PRIu64 ")",
		       what, id, r->facts.nr_creates + 1);
}

/* The slot of region @id, or NONE. */
fl_hot uint32_t find_slot(struct reader *r, uint64_t id)
{
	const struct entry *entry;

	if (fl_likely(id == r->last_id))
		return r->last_slot;
	entry = tally_at(&r->slot_of, id, 1);
	if (!entry->owner || r->regions[entry->slot].id != id)
		return NONE;
	r->last_id = id;
	r->last_slot = entry->slot;
	return entry->slot;
}

static int take_slot(struct reader *r, uint32_t *slot)
{
	struct region *regions;
	uint64_t room;

	if (r->free_slot != NONE) {
		*slot = r->free_slot;
		r->free_slot = r->regions[*slot].next_free;
		return 0;
	}
	if (r->nr_slots >= r->limits->nr_regions_alive)
		return complain(r, -E2BIG,
				"more than %" PRIu32 " regions alive; destroy some first",
				r->limits->nr_regions_alive);
	if (r->nr_slots == r->room_slots) {
		room = r->room_slots ? (uint64_t)r->room_slots * 2 : 64;
		if (room > SIZE_MAX / sizeof(*regions))
			return out_of_memory(r);
		regions = realloc(r->regions, room * sizeof(*regions));
		if (!regions)
			return out_of_memory(r);
		r->regions = regions;
		r->room_slots = (uint32_t)room;
	}
	*slot = r->nr_slots++;
	return 0;
}

static void begin_lifetime(struct reader *r, struct region *region)
{
	region->asked_bytes = 0;
	region->rounded_bytes = 0;
	region->nr_objects = 0;
	region->lifetime = ++r->nr_lifetimes;
}

static int end_lifetime(struct reader *r, const struct region *region)
{
	r->live_bytes -= region->rounded_bytes;
	r->live_objects -= region->nr_objects;
	if (!region->nr_objects) {
		r->facts.nr_lifetimes_empty++;
		return 0;
	}
	r->facts.nr_lifetimes++;
	if (region->rounded_bytes > r->facts.lifetime_bytes_max)
		r->facts.lifetime_bytes_max = region->rounded_bytes;
	if (tally_add(r, &r->asked, region->asked_bytes, 1, NONE) ||
	    tally_add(r, &r->objects, region->nr_objects, 1, NONE))
		return out_of_memory(r);
	return 0;
}

/* -------- events -------- */

static int create_region(struct reader *r, uint64_t id, uint64_t parent_id)
{
	uint32_t slot = NONE, parent = NONE;
	int err;

	if (id != r->facts.nr_creates + 1) {
		if (id && id <= r->facts.nr_creates)
			return invalid(r, "region %" PRIu64 " was created before; "
				       "ids are never reused, and the next one is %" PRIu64,
				       id, r->facts.nr_creates + 1);
		return invalid(r, "region %" PRIu64 " is out of order; "
			       "ids count up from 1, and the next one is %" PRIu64,
			       id, r->facts.nr_creates + 1);
	}
	if (parent_id) {
		parent = find_slot(r, parent_id);
		if (parent == NONE)
			return complain_region(r, "parent", parent_id);
	}
	err = take_slot(r, &slot);
	if (err)
		return err;
	if (parent != NONE)
		r->regions[parent].nr_children++;
	r->regions[slot] = (struct region){
		.id = id, .line = r->line, .parent = parent, .next_free = NONE,
	};
	begin_lifetime(r, &r->regions[slot]);
	if (tally_add(r, &r->slot_of, id, 1, slot))
		return out_of_memory(r);
	r->nr_alive++;
	r->facts.nr_creates++;
	r->last_id = id;
	r->last_slot = slot;
	r->current = slot;
	emit(r, FL_OP_CREATE | slot);
	return 0;
}

/* The region named by an event that needs it alive: 0 or a complaint. */
fl_hot int need_region(struct reader *r, uint64_t id, uint32_t *slot)
{
	*slot = find_slot(r, id);
	return fl_likely(*slot != NONE) ? 0 : complain_region(r, "region", id);
}

static fl_cold int complain_size(struct reader *r, uint64_t bytes)
{
	return invalid(r, "%" PRIu64 " bytes is more than the largest object, %zu; "
		       "drop the event or make it smaller",
		       bytes, FL_OBJECT_BYTES_MAX);
}

fl_hot int allocate(struct reader *r, uint64_t id, uint64_t bytes)
{
	uint32_t slot;
	int err = need_region(r, id, &slot);

	if (err)
		return err;
	if (fl_unlikely(bytes > FL_OBJECT_BYTES_MAX))
		return complain_size(r, bytes);
	if (tally_add(r, &r->sizes, bytes, r->regions[slot].lifetime, slot))
		return out_of_memory(r);
	return emit_allocation(r, slot, bytes);
}

/* Takes one object of @bytes out of region @id. */
static int take_object(struct reader *r, uint64_t id, uint64_t bytes)
{
	struct entry *entry;
	uint32_t slot;
	int err = need_region(r, id, &slot);

	if (err)
		return err;
	entry = tally_at(&r->sizes, bytes, r->regions[slot].lifetime);
	if (!entry->owner || !entry->count)
		return invalid(r, "no object of %" PRIu64 " bytes is live in region %" PRIu64 "; "
			       "drop the event, or record the a line it belongs to",
			       bytes, id);
	entry->count--;
	return 0;
}

static int reset_region(struct reader *r, uint64_t id)
{
	uint32_t slot;
	int err = need_region(r, id, &slot);

	if (!err)
		err = end_lifetime(r, &r->regions[slot]);
	if (err)
		return err;
	begin_lifetime(r, &r->regions[slot]);
	r->facts.nr_resets++;
	emit(r, FL_OP_RESET | slot);
	return 0;
}

static int destroy_region(struct reader *r, uint64_t id)
{
	struct region *region;
	uint32_t slot;
	int err = need_region(r, id, &slot);

	if (err)
		return err;
	region = &r->regions[slot];
	if (region->nr_children)
		return invalid(r, "region %" PRIu64 " is destroyed but has live children "
			       "(%" PRIu32 "); write their d lines before this one",
			       id, region->nr_children);
	err = end_lifetime(r, region);
	if (err)
		return err;
	if (region->parent != NONE)
		r->regions[region->parent].nr_children--;
	region->id = 0;
	region->lifetime = 0;
	region->next_free = r->free_slot;
	r->free_slot = slot;
	r->nr_alive--;
	r->last_id = 0;
	r->last_slot = NONE;
	r->facts.nr_destroys++;
	emit(r, FL_OP_DESTROY | slot);
	return 0;
}

/* -------- lines -------- */

struct event {
	char letter;
	uint64_t number[3];
};

/* How many numbers follow an event's letter; 0: the letter is no event's. */
fl_hot unsigned int nr_numbers(char letter)
{
	switch (letter) {
	case 'a':
	case 'c':
	case 'f':
		return 2;
	case 'd':
	case 'x':
		return 1;
	case 'g':
		return 3;
	default:
		return 0;
	}
}

static const char *event_form(char letter)
{
	switch (letter) {
	case 'a':
		return "a REGION BYTES";
	case 'c':
		return "c REGION PARENT";
	case 'd':
		return "d REGION";
	case 'f':
		return "f REGION BYTES";
	case 'g':
		return "g REGION FROM TO";
	default:
		return "x REGION";
	}
}

/*
 * A number at @p: digits without a leading zero, DIGITS_MAX at most.  Returns
 * what follows it, or NULL.  Stops at the newline that ends every line.
 */
fl_hot const char *scan_number(const char *p, uint64_t *number)
{
	const char *begin = p;
	uint64_t n = 0;
	unsigned int digit;

	while ((digit = (unsigned int)(unsigned char)*p - '0') <= 9) {
		n = n * 10 + digit;
		p++;
	}
	if (fl_unlikely(p == begin || p - begin > DIGITS_MAX || (*begin == '0' && p - begin > 1)))
		return NULL;
	*number = n;
	return p;
}

/* An event at @p, with its newline.  Returns what follows it, or NULL. */
fl_hot const char *scan_event(const char *p, struct event *event)
{
	unsigned int nr = nr_numbers(*p);

	event->letter = *p++;
	for (unsigned int i = 0; i < nr; i++) {
		if (fl_unlikely(*p != ' '))
			return NULL;
		p = scan_number(p + 1, &event->number[i]);
		if (fl_unlikely(!p))
			return NULL;
	}
	return fl_likely(nr && *p == '\n') ? p + 1 : NULL;
}

/* A piece of the file for a complaint: short and printable. */
static const char *quote(const char *p, size_t bytes, char text[static 64])
{
	size_t n = 0;

	for (size_t i = 0; i < bytes; i++) {
		if (n > 48) {
			strcpy(text + n, "...");
			return text;
		}
		if (isascii((unsigned char)p[i]) && isprint((unsigned char)p[i]))
			text[n++] = p[i];
		else
			n += (size_t)sprintf(text + n, "\\x%02x", (unsigned char)p[i]);
	}
	text[n] = 0;
	return text;
}

static fl_cold int complain_first_line(struct reader *r, const char *line, size_t bytes)
{
	const size_t prefix = sizeof(NAME_PREFIX) - 1;
	char text[64];

	r->line = 1;
	if (bytes > prefix && !memcmp(line, NAME_PREFIX, prefix))
		return invalid(r, "trace version \"%s\"; this reader knows version 1: "
			       "convert the file",
			       quote(line + prefix, bytes - prefix, text));
	if (bytes >= 2 && (!memcmp(line, "\x1f\x8b", 2) || !memcmp(line, "\x28\xb5", 2) ||
			   !memcmp(line, "BZ", 2)))
		return invalid(r, "compressed, but not with xz; unpack it, "
			       "and pack it with xz if you like");
	return invalid(r, "not a trace: it begins with \"%s\"; "
		       "the first line must be \"" FIRST_LINE "\"",
		       quote(line, bytes, text));
}

static fl_cold int complain_long_line(struct reader *r)
{
	return invalid(r, "the line is longer than %u bytes; break it into several",
		       FL_TRACE_LINE_BYTES_MAX);
}

/* What no line may contain, comments included. */
static int check_line(struct reader *r, const char *line, size_t bytes)
{
	if (bytes > FL_TRACE_LINE_BYTES_MAX)
		return complain_long_line(r);
	if (memchr(line, 0, bytes))
		return invalid(r, "the line contains a NUL byte: the file is damaged "
			       "or no text; copy or record it again");
	if (bytes && line[bytes - 1] == '\r')
		return invalid(r, "the line ends with a carriage return; "
			       "convert the file with dos2unix");
	return 0;
}

/* Says what is wrong with a line the scanner did not take.  Always an error. */
static fl_cold int complain_event(struct reader *r, const char *line, size_t bytes)
{
	static const char *const ordinals[] = { "first", "second", "third" };
	const char *p = line + 1, *end = line + bytes, *word;
	const char *form;
	unsigned int nr;
	char text[64];
	int err;

	err = check_line(r, line, bytes);
	if (err)
		return err;
	if (!bytes)
		return invalid(r, "the line is empty; remove it");
	nr = nr_numbers(*line);
	if (!nr)
		return invalid(r, "unknown event \"%s\"; a line begins with one of "
			       "c a g f x d, or # for a comment",
			       quote(line, strcspn(line, " \n"), text));
	form = event_form(*line);
	for (unsigned int i = 0; i < nr; i++) {
		if (p == end || (*p == ' ' && p + 1 == end))
			return invalid(r, "the %s number is missing; the form is \"%s\"",
				       ordinals[i], form);
		if (*p != ' ')
			return invalid(r, "unknown event or separator in \"%s\"; "
				       "the form is \"%s\"",
				       quote(line, bytes, text), form);
		word = ++p;
		while (p < end && *p != ' ')
			p++;
		if (p == word || strspn(word, "0123456789") < (size_t)(p - word))
			return invalid(r, "\"%s\" is no number; the form is \"%s\", "
				       "with decimal numbers and single spaces",
				       quote(word, (size_t)(p - word), text), form);
		if (*word == '0' && p - word > 1)
			return invalid(r, "\"%s\" has leading zeros; remove them",
				       quote(word, (size_t)(p - word), text));
		if (p - word > DIGITS_MAX)
			return invalid(r, "%s is too large a number; "
				       "at most %u digits are read",
				       quote(word, (size_t)(p - word), text), DIGITS_MAX);
	}
	return invalid(r, "something follows the last number: \"%s\"; "
		       "the form is \"%s\"",
		       quote(p, (size_t)(end - p), text), form);
}

static int keep_header_line(struct reader *r, const char *line, size_t bytes)
{
	size_t skip = bytes > 1 && line[1] == ' ' ? 2 : 1;
	size_t room;
	char *header;

	line += skip;
	bytes -= skip;
	if (r->header_bytes + bytes + 2 > FL_TRACE_HEADER_BYTES_MAX)
		return 0;
	if (r->header_bytes + bytes + 2 > r->header_room) {
		room = (r->header_bytes + bytes + 2) * 2;
		header = realloc(r->header, room);
		if (!header)
			return out_of_memory(r);
		r->header = header;
		r->header_room = room;
	}
	if (r->header_bytes)
		r->header[r->header_bytes++] = '\n';
	for (size_t i = 0; i < bytes; i++)
		r->header[r->header_bytes++] = iscntrl((unsigned char)line[i]) ? '?' : line[i];
	r->header[r->header_bytes] = 0;
	return 0;
}

static int take_comment(struct reader *r, const char *line, size_t bytes)
{
	int err = check_line(r, line, bytes);

	if (err || r->facts.nr_events)
		return err;
	return keep_header_line(r, line, bytes);
}

static int take_first_line(struct reader *r, const char *line, size_t bytes)
{
	int err;

	if (bytes != sizeof(FIRST_LINE) - 1 || memcmp(line, FIRST_LINE, bytes)) {
		if (bytes >= sizeof(FIRST_LINE) - 1 &&
		    !memcmp(line, FIRST_LINE, sizeof(FIRST_LINE) - 1)) {
			err = check_line(r, line, bytes);
			if (err)
				return err;
		}
		return complain_first_line(r, line, bytes);
	}
	return 0;
}

fl_hot int take_event(struct reader *r, const struct event *event)
{
	const uint64_t *number = event->number;
	int err;

	if (fl_unlikely(r->nr_words + LINE_WORDS_MAX > r->room_words)) {
		err = grow_words(r);
		if (err)
			return err;
	}
	r->facts.nr_events++;
	switch (event->letter) {
	case 'a':
		return allocate(r, number[0], number[1]);
	case 'c':
		return create_region(r, number[0], number[1]);
	case 'd':
		return destroy_region(r, number[0]);
	case 'f':
		r->facts.nr_frees++;
		return take_object(r, number[0], number[1]);
	case 'g':
		r->facts.nr_grows++;
		err = take_object(r, number[0], number[1]);
		return err ? err : allocate(r, number[0], number[2]);
	default:
		return reset_region(r, number[0]);
	}
}

/* Takes the lines in [@p, @end), which ends with a newline. */
static int take_lines(struct reader *r, const char *p, const char *end)
{
	const char *next;
	struct event event;
	size_t bytes;
	int err;

	while (p < end) {
		next = r->line++ ? scan_event(p, &event) : NULL;
		if (fl_likely(next)) {
			err = take_event(r, &event);
		} else {
			next = (const char *)memchr(p, '\n', (size_t)(end - p)) + 1;
			bytes = (size_t)(next - 1 - p);
			if (r->line == 1)
				err = take_first_line(r, p, bytes);
			else if (*p == '#')
				err = take_comment(r, p, bytes);
			else
				err = complain_event(r, p, bytes);
		}
		if (fl_unlikely(err))
			return err;
		p = next;
	}
	return 0;
}

/* -------- the file -------- */

static int check_end(struct reader *r)
{
	const struct region *oldest = NULL;

	r->facts.nr_lines = r->line;
	if (!r->line)
		return invalid(r, "the file is empty; "
			       "the first line must be \"" FIRST_LINE "\"");
	if (r->nr_alive) {
		for (uint32_t slot = 0; slot < r->nr_slots; slot++)
			if (r->regions[slot].id &&
			    (!oldest || r->regions[slot].id < oldest->id))
				oldest = &r->regions[slot];
		return invalid(r, "the file ends with regions alive (%" PRIu32 "; the "
			       "oldest is %" PRIu64 ", created on line %" PRIu64 "); "
			       "add d lines, children first",
			       r->nr_alive, oldest->id, oldest->line);
	}
	if (!r->facts.nr_allocs)
		return invalid(r, "the trace allocates nothing (no a or g line); "
			       "record one that does");
	return 0;
}

static int source_problem(struct reader *r, const struct fl_source *source, int err)
{
	r->line++;
	return complain(r, err, "%s", source->problem);
}

static int read_text(struct reader *r, struct fl_source *source, char *buffer, uint64_t *crc)
{
	size_t have = 0;	/* bytes of an incomplete line */
	char *newline;
	ssize_t n;
	int err;

	for (;;) {
		/* One byte is left for the newline a last line may lack. */
		n = fl_source_read(source, buffer + have, BUFFER_BYTES - have - 1);
		if (n < 0)
			return source_problem(r, source, (int)n);
		if (!n)
			break;
		*crc = lzma_crc64((const uint8_t *)buffer + have, (size_t)n, *crc);
		r->facts.text_bytes += (uint64_t)n;
		newline = memrchr(buffer + have, '\n', (size_t)n);
		have += (size_t)n;
		if (newline) {
			err = take_lines(r, buffer, newline + 1);
			if (err)
				return err;
			have -= (size_t)(newline + 1 - buffer);
			memmove(buffer, newline + 1, have);
		}
		if (have > FL_TRACE_LINE_BYTES_MAX) {
			if (!r->line++)
				return complain_first_line(r, buffer, have);
			return complain_long_line(r);
		}
	}
	if (have) {
		buffer[have++] = '\n';
		err = take_lines(r, buffer, buffer + have);
		if (err)
			return err;
	}
	return check_end(r);
}

/*
 * A damaged xz file may unpack to nonsense before its checksum comes.  When the
 * text is wrong, unpack the rest and blame the file if it does not hold up.
 */
static int blame_source(struct reader *r, struct fl_source *source, char *buffer, int err)
{
	uint64_t left = DRAIN_BYTES_MAX;
	ssize_t n;

	do {
		n = fl_source_read(source, buffer, BUFFER_BYTES);
		if (n < 0)
			return complain(r, (int)n, "%s", source->problem);
		left -= (uint64_t)n < left ? (uint64_t)n : left;
	} while (n && left);
	return err;
}

/* Moves what was read into @out; the reader keeps what is left to release. */
static void finish(struct reader *r, struct fl_trace *out)
{
	uint32_t *words = realloc(r->words, r->nr_words * sizeof(*words));

	tally_sort(&r->asked);
	tally_sort(&r->objects);
#define PERCENTILE(tally, percent) tally_percentile(tally, r->facts.nr_lifetimes, percent)
	r->facts.lifetime_asked_p50_bytes = PERCENTILE(&r->asked, 50);
	r->facts.lifetime_asked_p99_bytes = PERCENTILE(&r->asked, 99);
	r->facts.lifetime_asked_max_bytes = PERCENTILE(&r->asked, 100);
	r->facts.lifetime_objects_p50 = PERCENTILE(&r->objects, 50);
	r->facts.lifetime_objects_p99 = PERCENTILE(&r->objects, 99);
	r->facts.lifetime_objects_max = PERCENTILE(&r->objects, 100);
#undef PERCENTILE
	/* A fresh slot was taken only when all others were alive. */
	r->facts.nr_regions_alive_max = r->nr_slots;
	*out = (struct fl_trace){
		.words = words ? words : r->words,
		.nr_words = r->nr_words,
		.nr_slots = r->nr_slots,
		.header = r->header,
		.facts = r->facts,
	};
	r->words = NULL;
	r->header = NULL;
}

int fl_trace_read_fd(int fd, const char *name, const struct fl_trace_limits *limits,
		     struct fl_trace *out, struct fl_complaint *why)
{
	struct reader r = {
		.name = name, .why = why, .free_slot = NONE, .current = NONE,
		.limits = limits ? limits : &fl_trace_limits_default,
		.last_slot = NONE,
	};
	struct fl_source *source;
	uint64_t crc = 0;
	char *buffer;
	int err;

	source = malloc(sizeof(*source));
	if (!source)
		return out_of_memory(&r);
	err = fl_source_open(source, fd);
	if (err) {
		fl_complain(why, err, "%s: %s", short_name(name), source->problem);
		goto out_source;
	}
	buffer = malloc(BUFFER_BYTES);
	r.header = calloc(1, 1);
	if (!buffer || !r.header || tally_init(&r.slot_of) || tally_init(&r.sizes) ||
	    tally_init(&r.asked) || tally_init(&r.objects)) {
		err = out_of_memory(&r);
		goto out_buffer;
	}
	r.header_room = 1;

	err = read_text(&r, source, buffer, &crc);
	if (err == -EINVAL && source->xz)
		err = blame_source(&r, source, buffer, err);
	if (!err) {
		finish(&r, out);
		out->compressed = source->xz;
		out->contents_crc64 = crc;
	}

out_buffer:
	free(r.objects.entries);
	free(r.asked.entries);
	free(r.sizes.entries);
	free(r.slot_of.entries);
	free(r.header);
	free(r.regions);
	free(r.words);
	free(buffer);
out_source:
	fl_source_close(source);
	free(source);
	return err;
}

int fl_trace_read(const char *path, struct fl_trace *out, struct fl_complaint *why)
{
	int fd, err;

	do
		fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd < 0) {
		err = -errno;
		return fl_complain(why, err, "%s: cannot open: %s; %s", short_name(path),
				   strerror(-err),
				   err == -EACCES ? "give yourself permission to read it" :
				   "check the path");
	}
	err = fl_trace_read_fd(fd, path, NULL, out, why);
	close(fd);
	return err;
}

void fl_trace_free(struct fl_trace *trace)
{
	free(trace->words);
	free(trace->header);
	*trace = (struct fl_trace){ 0 };
}

/* -------- what is known about a trace -------- */

/* 1234567 as 1,234,567. */
static const char *grouped(uint64_t n, char text[static 32])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
	char *to = text;

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = 0;
	return text;
}

static void print_row(FILE *to, const char *what, uint64_t n, const char *unit)
{
	char text[32];

	fprintf(to, "%-46s %22s%s%s\n", what, grouped(n, text), *unit ? " " : "", unit);
}

void fl_trace_print_info(const struct fl_trace *trace, FILE *to)
{
	const char *line = trace->header, *end;

	while (*line) {
		end = strchrnul(line, '\n');
		fprintf(to, "# %.*s\n", (int)(end - line), line);
		line = *end ? end + 1 : end;
	}
	fprintf(to, "%-46s %22s\n", "compression", trace->compressed ? "xz" : "none");
	fprintf(to, "%-46s       %016" PRIx64 "\n", "CRC-64 of the text", trace->contents_crc64);
	print_row(to, "words of the compiled program", trace->nr_words, "");
	print_row(to, "region slots of the compiled program", trace->nr_slots, "");
#define X(name, unit, what) print_row(to, what, trace->facts.name, unit);
	FL_TRACE_FACTS(X)
#undef X
}

/* A header line need not be UTF-8, JSON must be. */
static json_t *json_line(const char *line, size_t bytes)
{
	json_t *json = json_stringn(line, bytes);
	char *ascii;

	if (json)
		return json;
	ascii = malloc(bytes + 1);
	if (!ascii)
		return NULL;
	for (size_t i = 0; i < bytes; i++)
		ascii[i] = isascii((unsigned char)line[i]) ? line[i] : '?';
	json = json_stringn(ascii, bytes);
	free(ascii);
	return json;
}

static json_t *json_header(const char *header)
{
	json_t *lines = json_array();
	const char *end;

	while (lines && *header) {
		end = strchrnul(header, '\n');
		if (json_array_append_new(lines, json_line(header, (size_t)(end - header)))) {
			json_decref(lines);
			return NULL;
		}
		header = *end ? end + 1 : end;
	}
	return lines;
}

json_t *fl_trace_info_json(const struct fl_trace *trace)
{
	json_t *info = json_object();
	char crc[17];
	int err;

	snprintf(crc, sizeof(crc), "%016" PRIx64, trace->contents_crc64);
	/* json_object_set_new takes NULL values and objects, and returns -1. */
	err = json_object_set_new(info, "contents_crc64", json_string(crc));
	err |= json_object_set_new(info, "compressed", json_boolean(trace->compressed));
	err |= json_object_set_new(info, "nr_words", json_integer((json_int_t)trace->nr_words));
	err |= json_object_set_new(info, "nr_slots", json_integer((json_int_t)trace->nr_slots));
#define X(name, unit, what) \
	err |= json_object_set_new(info, #name, json_integer((json_int_t)trace->facts.name));
	FL_TRACE_FACTS(X)
#undef X
	err |= json_object_set_new(info, "header", json_header(trace->header));
	if (err) {
		json_decref(info);
		return NULL;
	}
	return info;
}

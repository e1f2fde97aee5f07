/* SPDX-License-Identifier: MIT */
/*
 * harness/keyfile.h: INI files as people write them by hand: sections of keys,
 * each with the line it stands in, checked against what there may be.
 *
 *	# a comment; so is a line that begins with ';'
 *	[kind NAME]
 *	key = value             ; a comment, after a blank
 *		and more of the value, as the line is indented
 *
 * libinih does the parsing; this adds line numbers and refuses what it would
 * pass over in silence: unknown, doubled and empty sections and keys, and lines
 * and names that it would cut off.
 *
 * Context: cold.
 */
#ifndef FL_KEYFILE_H
#define FL_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "harness/complain.h"

#define FL_KEYFILE_BYTES_MAX	((size_t)1 << 20)
#define FL_KEYFILE_NAME_MAX	40u

/* A key that a kind of section may have. */
struct fl_known_key {
	const char *name;	/* "vary.": every key that begins so and goes on */
	bool quick;		/* may be there with the suffix _quick, too */
};

/* A kind of section; arrays end with a NULL name. */
struct fl_known_section {
	const char *name;
	bool named;		/* [kind NAME], as opposed to [kind] */
	const struct fl_known_key *keys;
};

struct fl_key {
	char *name, *value;
	unsigned line;
};

struct fl_section {
	unsigned kind;		/* index into what is known */
	char *name;		/* "" when it has none */
	unsigned line;		/* of the header */
	struct fl_key *keys;
	size_t nr_keys;
};

struct fl_keyfile {
	char *path;		/* as given */
	char *text;		/* the whole file */
	size_t text_bytes;
	struct fl_section *sections;
	size_t nr_sections;
};

/*
 * fl_keyfile_read: Read the file at @path.
 * Returns 0, or with a complaint: -EINVAL (what is in it), -EFBIG (above
 * FL_KEYFILE_BYTES_MAX), -ENOMEM, or -errno of open(2) and read(2).
 */
int fl_keyfile_read(const char *path, const struct fl_known_section *known,
		    struct fl_keyfile *file, struct fl_complaint *why);
void fl_keyfile_free(struct fl_keyfile *file);

/* fl_keyfile_wrong: Complain "PATH:LINE: ..." and return -EINVAL. */
int fl_keyfile_wrong(const struct fl_keyfile *file, unsigned line,
		     struct fl_complaint *why, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* fl_key_find: The key called @name, or NULL. */
const struct fl_key *fl_key_find(const struct fl_section *section,
				 const char *name);

/* fl_key_get: In the quick profile NAME_quick if it is there; else NAME. */
const struct fl_key *fl_key_get(const struct fl_section *section,
				const char *name, bool quick);

/*
 * fl_suggestion: ": did you mean "x"?" when one of @names (NULL-terminated) is
 * near @word; else "".  Valid until the next call; one thread.
 */
const char *fl_suggestion(const char *word, const char *const *names);

#endif

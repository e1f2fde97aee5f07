/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ini.h>
#include <jansson.h>

#include "harness/keyfile.h"

/* inih cuts longer section and key names off without a word. */
#define INI_NAME_BYTES_MAX	49u

#define KNOWN_MAX		32u

struct reader {
	struct fl_keyfile *file;
	const struct fl_known_section *known;
	struct fl_complaint *why;
	int err;
	const char *at;		/* what is left of the text */
	unsigned line;
	unsigned header_line;	/* of the header above the current line */
	bool indented;
};

int fl_keyfile_wrong(const struct fl_keyfile *file, unsigned line,
		     struct fl_complaint *why, const char *format, ...)
{
	char text[sizeof(why->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return fl_complain(why, -EINVAL, "%s:%u: %s", file->path, line, text);
}

#define wrong(r, line, ...) \
	((r)->err = fl_keyfile_wrong((r)->file, line, (r)->why, __VA_ARGS__))

const char *fl_suggestion(const char *word, const char *const *names)
{
	const char *near = fl_nearest(word, names);
	static char text[80];

	if (!near)
		return "";
	snprintf(text, sizeof(text), ": did you mean \"%s\"?", near);
	return text;
}

/* One element more; NULL without memory, and @array as it was. */
static void *grow(struct reader *r, void *array, size_t nr, size_t bytes)
{
	void *more = reallocarray(array, nr + 1, bytes);

	if (!more)
		r->err = fl_complain(r->why, -ENOMEM, "%s: %s", r->file->path,
				     strerror(ENOMEM));
	return more;
}

static char *copy(struct reader *r, const char *text)
{
	char *to = strdup(text);

	if (!to)
		r->err = fl_complain(r->why, -ENOMEM, "%s: %s", r->file->path,
				     strerror(ENOMEM));
	return to;
}

static struct fl_section *last_section(const struct reader *r)
{
	return r->file->nr_sections ?
	       &r->file->sections[r->file->nr_sections - 1] : NULL;
}

static int check_name(struct reader *r, const char *header, const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	if (!*name)
		return wrong(r, r->header_line, "[%s] needs a name: [%s NAME]",
			     header, header);
	if (strlen(name) > FL_KEYFILE_NAME_MAX)
		return wrong(r, r->header_line,
			"[%s]: the name has more than %u characters", header,
			FL_KEYFILE_NAME_MAX);
	if (name[strspn(name, allowed)])
		return wrong(r, r->header_line,
			"[%s]: a name has letters, digits, '_' and '-' only",
			header);
	return 0;
}

/* A header was met since the last key: begin its section. */
static int open_section(struct reader *r, const char *header)
{
	const size_t n = strcspn(header, " \t");
	const char *name = header + n + strspn(header + n, " \t");
	const char *kinds[KNOWN_MAX] = { NULL };
	char kind_name[INI_NAME_BYTES_MAX + 1];
	struct fl_section *more;
	unsigned kind;

	snprintf(kind_name, sizeof(kind_name), "%.*s", (int)n, header);
	for (kind = 0; r->known[kind].name; kind++) {
		kinds[kind] = r->known[kind].name;
		if (!strcmp(kinds[kind], kind_name))
			break;
	}
	if (!r->known[kind].name)
		return wrong(r, r->header_line, "unknown section [%s]%s",
			     header, fl_suggestion(kind_name, kinds));
	if (!r->known[kind].named && *name)
		return wrong(r, r->header_line, "[%s]: [%s] has no name here",
			     header, kind_name);
	if (r->known[kind].named && check_name(r, header, name))
		return r->err;
	for (size_t i = 0; i < r->file->nr_sections; i++)
		if (r->file->sections[i].kind == kind &&
		    !strcmp(r->file->sections[i].name, name))
			return wrong(r, r->header_line,
				"[%s] is there twice, first in line %u: merge them or rename one",
				header, r->file->sections[i].line);
	more = grow(r, r->file->sections, r->file->nr_sections, sizeof(*more));
	if (!more)
		return r->err;
	r->file->sections = more;
	more = &more[r->file->nr_sections];
	*more = (struct fl_section){
		.kind = kind, .line = r->header_line, .name = copy(r, name),
	};
	if (more->name)
		r->file->nr_sections++;
	return r->err;
}

static bool is_key(const char *name, const char *known)
{
	const size_t n = strlen(known);

	if (known[n - 1] == '.')
		return !strncmp(name, known, n) && name[n];
	return !strcmp(name, known);
}

static int check_key(struct reader *r, unsigned kind, const char *name)
{
	const struct fl_known_key *keys = r->known[kind].keys;
	const char *names[KNOWN_MAX] = { NULL };
	char stem[INI_NAME_BYTES_MAX + 1];
	const size_t n = strlen(name), m = strlen("_quick");
	const bool quick = n > m && !strcmp(name + n - m, "_quick");

	if (n >= INI_NAME_BYTES_MAX)
		return wrong(r, r->line, "the key has more than %u characters",
			     INI_NAME_BYTES_MAX - 1);
	snprintf(stem, sizeof(stem), "%.*s", (int)(quick ? n - m : n), name);
	for (size_t i = 0; keys[i].name; i++) {
		names[i] = keys[i].name;
		if (!is_key(stem, names[i]))
			continue;
		if (!quick || keys[i].quick)
			return 0;
		return wrong(r, r->line,
			"\"%s\" cannot differ in the quick profile: write \"%s\"",
			stem, stem);
	}
	return wrong(r, r->line, "unknown key \"%s\" in [%s]%s", name,
		     r->known[kind].name, fl_suggestion(stem, names));
}

/* An indented line: more of the last key's value. */
static int join(struct reader *r, struct fl_key *last, const char *value)
{
	char *joined;

	if (asprintf(&joined, "%s %s", last->value, value) < 0)
		return r->err = fl_complain(r->why, -ENOMEM, "%s: %s",
					    r->file->path, strerror(ENOMEM));
	free(last->value);
	last->value = joined;
	return 0;
}

static int add_key(struct reader *r, const char *header, const char *name,
		   const char *value)
{
	struct fl_section *s = last_section(r);
	struct fl_key *more;

	if (!r->header_line)
		return wrong(r, r->line,
			"\"%s\" stands before any section: put it below [%s]",
			name, r->known[0].name);
	if (!s || s->line != r->header_line) {
		if (open_section(r, header))
			return r->err;
		s = last_section(r);
	}
	if (r->indented && s->nr_keys &&
	    !strcmp(s->keys[s->nr_keys - 1].name, name))
		return join(r, &s->keys[s->nr_keys - 1], value);
	if (check_key(r, s->kind, name))
		return r->err;
	for (size_t i = 0; i < s->nr_keys; i++)
		if (!strcmp(s->keys[i].name, name))
			return wrong(r, r->line,
				"\"%s\" is there twice, first in line %u: remove one",
				name, s->keys[i].line);
	if (!*value)
		return wrong(r, r->line,
			"\"%s\" has no value: give it one or remove the line",
			name);
	more = grow(r, s->keys, s->nr_keys, sizeof(*more));
	if (!more)
		return r->err;
	s->keys = more;
	more[s->nr_keys] = (struct fl_key){
		.name = copy(r, name), .value = copy(r, value), .line = r->line,
	};
	s->nr_keys++;
	return r->err;
}

/* inih's handler: 0 when something is wrong. */
static int take_key(void *user, const char *header, const char *name,
		    const char *value)
{
	struct reader *r = user;

	return !r->err && !add_key(r, header, name, value);
}

/* The section whose header was the last one met has no key. */
static int check_not_empty(struct reader *r)
{
	const struct fl_section *s = last_section(r);

	if (!r->header_line || (s && s->line == r->header_line))
		return 0;
	return wrong(r, r->header_line,
		     "the section is empty: give it keys or remove it");
}

/* What is not could not be recorded: JSON is UTF-8. */
static bool is_utf8(const char *text, size_t bytes)
{
	json_t *string = json_stringn(text, bytes);

	json_decref(string);
	return string != NULL;
}

/*
 * inih's source of lines, as fgets.  inih tells the handler neither the line it
 * is at nor of sections without keys, so both are noted here: it hands a line's
 * key on before it asks for the next line.
 */
static char *next_line(char *to, int room, void *user)
{
	struct reader *r = user;
	const char *end = r->file->text + r->file->text_bytes, *newline, *first;
	size_t n;

	if (r->err || r->at == end)
		return NULL;
	newline = memchr(r->at, '\n', (size_t)(end - r->at));
	n = (size_t)((newline ? newline + 1 : end) - r->at);
	r->line++;
	if (n > (size_t)room - 1) {
		wrong(r, r->line,
		      "the line has more than %d characters: go on with the value on an indented line",
		      room - 2);
		return NULL;
	}
	if (memchr(r->at, '\0', n)) {
		wrong(r, r->line, "there is a NUL byte: this is no text file");
		return NULL;
	}
	if (!is_utf8(r->at, n)) {
		wrong(r, r->line, "this is not UTF-8: save the file as UTF-8");
		return NULL;
	}
	memcpy(to, r->at, n);
	to[n] = '\0';
	r->at += n;
	first = to + strspn(to, " \t");
	r->indented = first > to;
	if (*first == '[') {
		if (check_not_empty(r))
			return NULL;
		r->header_line = r->line;
		if (!strchr(first, ']')) {
			wrong(r, r->line, "the section header lacks its ]");
			return NULL;
		}
		if (strcspn(first, "]") > INI_NAME_BYTES_MAX) {
			wrong(r, r->line, "the name has more than %u characters",
			      FL_KEYFILE_NAME_MAX);
			return NULL;
		}
	}
	return to;
}

static int read_text(struct reader *r)
{
	struct fl_keyfile *file = r->file;
	int fd = open(file->path, O_RDONLY | O_CLOEXEC), err = 0;
	struct stat st;
	ssize_t n = 1;

	if (fd < 0 || fstat(fd, &st))
		err = -errno;
	else if (S_ISDIR(st.st_mode))
		err = -EISDIR;
	if (!err) {
		file->text = malloc(FL_KEYFILE_BYTES_MAX + 1);
		if (!file->text)
			err = -ENOMEM;
	}
	while (!err && n > 0 && file->text_bytes <= FL_KEYFILE_BYTES_MAX) {
		n = read(fd, file->text + file->text_bytes,
			 FL_KEYFILE_BYTES_MAX + 1 - file->text_bytes);
		if (n < 0)
			err = -errno;
		else
			file->text_bytes += (size_t)n;
	}
	if (!err && file->text_bytes > FL_KEYFILE_BYTES_MAX)
		err = -EFBIG;
	if (fd >= 0)
		close(fd);
	if (err)
		r->err = fl_complain(r->why, err, "%s: %s", file->path,
				     strerror(-err));
	return r->err;
}

int fl_keyfile_read(const char *path, const struct fl_known_section *known,
		    struct fl_keyfile *out, struct fl_complaint *why)
{
	struct fl_keyfile file = { .path = strdup(path) };
	struct reader r = { .file = &file, .known = known, .why = why };
	int line;

	if (!file.path)
		return fl_complain(why, -ENOMEM, "%s: %s", path,
				   strerror(ENOMEM));
	if (read_text(&r))
		goto out_free_file;
	r.at = file.text;
	line = ini_parse_stream(next_line, &r, take_key, &r);
	if (!r.err && line)
		wrong(&r, line > 0 ? (unsigned)line : 1,
		      "this is neither [SECTION] nor KEY = VALUE");
	if (!r.err)
		check_not_empty(&r);
	if (!r.err && !file.nr_sections)
		wrong(&r, 1, "the file is empty: it needs a [%s] at least",
		      known[0].name);
out_free_file:
	if (r.err)
		fl_keyfile_free(&file);
	else
		*out = file;
	return r.err;
}

void fl_keyfile_free(struct fl_keyfile *file)
{
	for (size_t i = 0; i < file->nr_sections; i++) {
		struct fl_section *s = &file->sections[i];

		for (size_t k = 0; k < s->nr_keys; k++) {
			free(s->keys[k].name);
			free(s->keys[k].value);
		}
		free(s->keys);
		free(s->name);
	}
	free(file->sections);
	free(file->path);
	free(file->text);
	*file = (struct fl_keyfile){ 0 };
}

const struct fl_key *fl_key_find(const struct fl_section *section,
				 const char *name)
{
	for (size_t i = 0; i < section->nr_keys; i++)
		if (!strcmp(section->keys[i].name, name))
			return &section->keys[i];
	return NULL;
}

const struct fl_key *fl_key_get(const struct fl_section *section,
				const char *name, bool quick)
{
	char quick_name[INI_NAME_BYTES_MAX];
	const struct fl_key *k = NULL;

	snprintf(quick_name, sizeof(quick_name), "%s_quick", name);
	if (quick)
		k = fl_key_find(section, quick_name);
	return k ? k : fl_key_find(section, name);
}

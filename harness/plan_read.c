/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/plan_read.h"

int fl_plan_no_memory(struct fl_plan_reader *r)
{
	return r->err = fl_complain(r->why, -ENOMEM, "%s: %s", r->file.path,
				    strerror(ENOMEM));
}

void *fl_plan_grow(void *array, size_t nr, size_t bytes)
{
	return reallocarray(array, nr + 1, bytes);
}

int fl_plan_wrong_because(struct fl_plan_reader *r, unsigned line, const char *where,
				 int err)
{
	const struct fl_complaint because = *r->why;

	fl_plan_wrong(r, line, "%s%s", where, because.text);
	return r->err = err;
}

int fl_plan_number(struct fl_plan_reader *r, const struct fl_section *s,
			  const char *name, bool quick, uint64_t low, uint64_t high,
			  uint64_t def, uint64_t *out)
{
	const struct fl_key *k = fl_key_get(s, name, quick);
	char a[32], b[32];
	uint64_t v;

	*out = def;
	if (!k)
		return 0;
	fl_format_bytes(low, a, sizeof(a));
	fl_format_bytes(high, b, sizeof(b));
	if (fl_parse_bytes(k->value, &v))
		return fl_plan_wrong(r, k->line, "%s = %s: not a number; it is from %s to %s",
				     k->name, k->value, a, b);
	if (v < low || v > high)
		return fl_plan_wrong(r, k->line, "%s = %s: out of range, it must be from %s to %s",
				     k->name, k->value, a, b);
	*out = v;
	return 0;
}

int fl_plan_choice(struct fl_plan_reader *r, const struct fl_section *s,
			  const char *name, const char *const *choices, int def,
			  int *out)
{
	const struct fl_key *k = fl_key_find(s, name);
	char all[128] = "";

	*out = def;
	if (!k)
		return 0;
	for (int i = 0; choices[i]; i++) {
		if (!strcmp(choices[i], k->value)) {
			*out = i;
			return 0;
		}
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s",
			 i ? ", " : "", choices[i]);
	}
	return fl_plan_wrong(r, k->line, "%s = %s: it must be one of %s", name,
			     k->value, all);
}

int fl_plan_list(struct fl_plan_reader *r, const struct fl_key *k, const char *def,
			struct fl_plan_list *list)
{
	char *rest, *word;

	*list = (struct fl_plan_list){ .copy = strdup(k ? k->value : def) };
	if (!list->copy)
		return fl_plan_no_memory(r);
	for (rest = list->copy; (word = strsep(&rest, ", \t"));) {
		if (!*word)
			continue;
		if (list->nr == FL_PLAN_LIST_MAX)
			return fl_plan_wrong(r, k->line, "%s: more than %u entries",
					     k->name, FL_PLAN_LIST_MAX);
		for (size_t i = 0; i < list->nr; i++)
			if (!strcmp(list->item[i], word))
				return fl_plan_wrong(r, k->line, "%s: \"%s\" is there twice",
						     k->name, word);
		list->item[list->nr++] = word;
	}
	return list->nr || !k ? 0 :
		fl_plan_wrong(r, k->line, "%s: the list is empty", k->name);
}

char *fl_plan_beside(const struct fl_plan_reader *r, const char *path)
{
	const char *slash = strrchr(r->file.path, '/');
	char *full;

	if (*path == '/' || !slash)
		return strdup(path);
	if (asprintf(&full, "%.*s/%s", (int)(slash - r->file.path), r->file.path,
		     path) < 0)
		return NULL;
	return full;
}

static const char *const *arm_names(const struct fl_plan *plan)
{
	const char **names = calloc(plan->nr_arms + 1, sizeof(*names));

	for (uint32_t i = 0; names && i < plan->nr_arms; i++)
		names[i] = plan->arms[i].name;
	return names;
}

int fl_plan_find_arm(struct fl_plan_reader *r, const struct fl_plan *plan,
			    unsigned line, const char *name, uint32_t *out)
{
	const char *const *names;

	for (uint32_t i = 0; i < plan->nr_arms; i++)
		if (!strcmp(plan->arms[i].name, name)) {
			*out = i;
			return 0;
		}
	names = arm_names(plan);
	if (!names)
		return fl_plan_no_memory(r);
	fl_plan_wrong(r, line, "there is no arm \"%s\"%s", name,
		      fl_suggestion(name, names));
	free((void *)(uintptr_t)names);
	return r->err;
}

bool fl_plan_sets(const char *settings, const char *name)
{
	static const char between[] = ", ";
	const size_t n = strlen(name);

	while (settings && *settings) {
		settings += strspn(settings, between);
		if (!strncmp(settings, name, n) && settings[n] == '=')
			return true;
		settings += strcspn(settings, between);
	}
	return false;
}

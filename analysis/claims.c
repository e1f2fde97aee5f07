/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/claims.h"
#include "harness/keyfile.h"

static const struct fl_known_key keys[] = {
	{ "says", false }, { "needs", false }, { "query", false },
	{ "confirm", false }, { "refute", false }, { "unit", false },
	{ "timed", false }, { NULL, false },
};

static const struct fl_known_section known[] = {
	{ "claim", true, keys }, { NULL, false, NULL },
};

static int no_memory(struct fl_complaint *why)
{
	return fl_complain(why, -ENOMEM, "%s", strerror(ENOMEM));
}

/* ---- rules -------------------------------------------------------------------- */

static const char rule_forms[] =
	"write \"below X\", \"above X\", either with \"by P %\" behind it, \"within P % of X\", \"beyond P % of X\" or \"from X to Y\"";

/* Does all of @text have the form?  %n stands at its end. */
#define HAS_FORM(text, format, ...)					\
	(end = -1, sscanf(text, format " %n", __VA_ARGS__, &end),	\
	 end >= 0 && !(text)[end])

static bool parse_rule(const char *text, struct fl_claim_rule *rule)
{
	double percent = 0;
	int end;

	if (HAS_FORM(text, "below %lf", &rule->x) ||
	    HAS_FORM(text, "below %lf by %lf %%", &rule->x, &percent))
		rule->word = FL_CLAIM_BELOW;
	else if (HAS_FORM(text, "above %lf", &rule->x) ||
		 HAS_FORM(text, "above %lf by %lf %%", &rule->x, &percent))
		rule->word = FL_CLAIM_ABOVE;
	else if (HAS_FORM(text, "within %lf %% of %lf", &percent, &rule->x))
		rule->word = FL_CLAIM_WITHIN;
	else if (HAS_FORM(text, "beyond %lf %% of %lf", &percent, &rule->x))
		rule->word = FL_CLAIM_BEYOND;
	else if (HAS_FORM(text, "from %lf to %lf", &rule->x, &rule->y))
		rule->word = FL_CLAIM_FROM;
	else
		return false;
	rule->share = percent / 100;
	return isfinite(rule->x) && isfinite(rule->y) && rule->share >= 0 &&
	       (rule->word != FL_CLAIM_FROM || rule->x <= rule->y);
}

static int read_rule(const struct fl_keyfile *file, const struct fl_section *s,
		     const char *name, struct fl_claim_rule *rule,
		     struct fl_complaint *why)
{
	const struct fl_key *key = fl_key_find(s, name);

	if (!key)
		return fl_keyfile_wrong(file, s->line, why,
			"[claim %s] has no \"%s\": say which values %s it",
			s->name, name, name);
	if (!parse_rule(key->value, rule))
		return fl_keyfile_wrong(file, key->line, why,
			"%s = %s: %s", name, key->value, rule_forms);
	rule->text = strdup(key->value);
	return rule->text ? 0 : no_memory(why);
}

/* ---- needs -------------------------------------------------------------------- */

static int add_need(const struct fl_keyfile *file, const struct fl_key *key,
		    char *item, struct fl_claim *claim, struct fl_complaint *why)
{
	char *rest, *words[4] = { NULL };
	struct fl_claim_need *more;
	size_t nr = 0;

	for (char *word = strtok_r(item, " \t", &rest); word && nr < 4;
	     word = strtok_r(NULL, " \t", &rest))
		words[nr++] = word;
	if (!nr || nr > 3)
		return fl_keyfile_wrong(file, key->line, why,
			"needs: each item is EXPERIMENT [CELL [ARM]]; commas between them");
	more = reallocarray(claim->needs, claim->nr_needs + 1, sizeof(*more));
	if (!more)
		return no_memory(why);
	claim->needs = more;
	more = &more[claim->nr_needs++];
	*more = (struct fl_claim_need){
		.experiment = strdup(words[0]),
		.cell = nr > 1 ? strdup(words[1]) : NULL,
		.arm = nr > 2 ? strdup(words[2]) : NULL,
	};
	return more->experiment && (nr < 2 || more->cell) &&
	       (nr < 3 || more->arm) ? 0 : no_memory(why);
}

static int read_needs(const struct fl_keyfile *file, const struct fl_section *s,
		      struct fl_claim *claim, struct fl_complaint *why)
{
	const struct fl_key *key = fl_key_find(s, "needs");
	char *text, *rest;
	int err = 0;

	if (!key)
		return fl_keyfile_wrong(file, s->line, why,
			"[claim %s] has no \"needs\": say what must be measured, as in \"needs = break-even * bump_down\"",
			s->name);
	text = strdup(key->value);
	if (!text)
		return no_memory(why);
	for (char *item = strtok_r(text, ",", &rest); item && !err;
	     item = strtok_r(NULL, ",", &rest))
		err = add_need(file, key, item, claim, why);
	free(text);
	return err;
}

/* ---- claims --------------------------------------------------------------------- */

static int read_text(const struct fl_keyfile *file, const struct fl_section *s,
		     const char *name, bool required, char **out,
		     struct fl_complaint *why)
{
	const struct fl_key *key = fl_key_find(s, name);

	if (!key && required)
		return fl_keyfile_wrong(file, s->line, why,
			"[claim %s] has no \"%s\"", s->name, name);
	if (!key)
		return 0;
	*out = strdup(key->value);
	return *out ? 0 : no_memory(why);
}

static int read_timed(const struct fl_keyfile *file, const struct fl_section *s,
		      struct fl_claim *claim, struct fl_complaint *why)
{
	const struct fl_key *key = fl_key_find(s, "timed");

	claim->timed = !key || !strcmp(key->value, "yes");
	if (key && !claim->timed && strcmp(key->value, "no"))
		return fl_keyfile_wrong(file, key->line, why,
			"timed = %s: must be yes or no", key->value);
	return 0;
}

/* "N3" or "N3-large"; two questions have no number: "Q1". */
static int check_name(const struct fl_keyfile *file, const struct fl_section *s,
		      struct fl_claim *claim, struct fl_complaint *why)
{
	claim->note_bytes = strcspn(s->name, "-");
	if (strchr("NQ", *s->name) && claim->note_bytes > 1 &&
	    strspn(s->name + 1, "0123456789") == claim->note_bytes - 1)
		return 0;
	return fl_keyfile_wrong(file, s->line, why,
		"[claim %s]: a name begins with its note or question: N3, N3-large, Q1",
		s->name);
}

static int read_claim(const struct fl_keyfile *file, const struct fl_section *s,
		      struct fl_claim *claim, struct fl_complaint *why)
{
	int err = check_name(file, s, claim, why);

	claim->line = s->line;
	claim->path = strdup(file->path);
	claim->name = strdup(s->name);
	if (!err && (!claim->path || !claim->name))
		err = no_memory(why);
	if (!err)
		err = read_text(file, s, "says", true, &claim->says, why);
	if (!err)
		err = read_text(file, s, "query", true, &claim->query, why);
	if (!err)
		err = read_text(file, s, "unit", false, &claim->unit, why);
	if (!err)
		err = read_timed(file, s, claim, why);
	if (!err)
		err = read_needs(file, s, claim, why);
	if (!err)
		err = read_rule(file, s, "confirm", &claim->confirm, why);
	return err ? err : read_rule(file, s, "refute", &claim->refute, why);
}

/* Stable: what belongs to one note stays as in the files. */
static void sort_in(struct fl_claim *list, size_t at)
{
	const struct fl_claim claim = list[at];
	const long note = strtol(claim.name + 1, NULL, 10);

	while (at) {
		const char *before = list[at - 1].name;

		if (*before < *claim.name ||
		    (*before == *claim.name &&
		     strtol(before + 1, NULL, 10) <= note))
			break;
		list[at] = list[at - 1];
		at--;
	}
	list[at] = claim;
}

static int add_claim(struct fl_claims *claims, const struct fl_keyfile *file,
		     const struct fl_section *s, struct fl_complaint *why)
{
	struct fl_claim *more;
	int err;

	for (size_t i = 0; i < claims->nr; i++)
		if (!strcmp(claims->list[i].name, s->name))
			return fl_keyfile_wrong(file, s->line, why,
				"[claim %s] is in %s, line %u, too: rename one, such as %s-2",
				s->name, claims->list[i].path,
				claims->list[i].line, s->name);
	more = reallocarray(claims->list, claims->nr + 1, sizeof(*more));
	if (!more)
		return no_memory(why);
	claims->list = more;
	more[claims->nr] = (struct fl_claim){ .path = NULL };
	err = read_claim(file, s, &more[claims->nr++], why);
	if (!err)
		sort_in(more, claims->nr - 1);
	return err;
}

int fl_claims_add(struct fl_claims *claims, const char *path,
		  struct fl_complaint *why)
{
	struct fl_keyfile file;
	int err = fl_keyfile_read(path, known, &file, why);

	if (err)
		return err;
	for (size_t i = 0; i < file.nr_sections && !err; i++)
		err = add_claim(claims, &file, &file.sections[i], why);
	fl_keyfile_free(&file);
	return err;
}

void fl_claims_free(struct fl_claims *claims)
{
	for (size_t i = 0; i < claims->nr; i++) {
		struct fl_claim *claim = &claims->list[i];

		for (size_t k = 0; k < claim->nr_needs; k++) {
			free(claim->needs[k].experiment);
			free(claim->needs[k].cell);
			free(claim->needs[k].arm);
		}
		free(claim->needs);
		free(claim->confirm.text);
		free(claim->refute.text);
		free(claim->unit);
		free(claim->query);
		free(claim->says);
		free(claim->name);
		free(claim->path);
	}
	free(claims->list);
	*claims = (struct fl_claims){ .list = NULL };
}

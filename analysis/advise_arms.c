/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/advise.h"

/* Blocks that are tried: pages of a small region to what a table of few fits. */
#define BLOCK_BYTES_MIN		((uint64_t)4 << 10)
#define BLOCK_BYTES_MAX		((uint64_t)4 << 20)

/* What else a strategy is tried with, if it has the tunable. */
static const char *const others[] = {
	"return=user", "giveback=death", "giveback=warm"
};

#define NR_OTHERS	(sizeof(others) / sizeof(*others))

/* Is @name among "a,b,c"? */
static bool among(const char *list, const char *name)
{
	const size_t bytes = strlen(name);

	for (const char *at = list; (at = strstr(at, name)); at += bytes)
		if ((at == list || at[-1] == ',') &&
		    (!at[bytes] || at[bytes] == ','))
			return true;
	return false;
}

/* NAME-CONVENTION, where there is NAME: the same strategy, slow path called
 * otherwise. */
static bool is_variant(char *const *paths, const char *stem)
{
	const char *dash = strchr(stem, '-');
	bool found = false;

	for (char *const *p = paths; dash && *p && !found; p++) {
		char *other = fl_module_stem(*p);

		found = other && strlen(other) == (size_t)(dash - stem) &&
			!strncmp(other, stem, (size_t)(dash - stem));
		free(other);
	}
	return found;
}

/* May the settings be made with this strategy, here?  Else the reason. */
static int try_settings(const struct fl_module *m, const char *set,
			uint64_t block_bytes, char *reason, size_t bytes)
{
	uint64_t values[FL_TUNABLES_MAX] = { 0 };
	struct fl_complaint why = { "" };
	const int block = fl_tunable_index(&m->tunables, "block");

	*reason = '\0';
	fl_tunables_defaults(&m->tunables, values);
	if (block >= 0 && block_bytes)
		values[block] = block_bytes;
	if (fl_tunables_set(&m->tunables, set, values, &why)) {
		snprintf(reason, bytes, "%.*s", (int)bytes - 1, why.text);
		return -EINVAL;
	}
	return m->strategy->probe ?
	       m->strategy->probe(values, reason, bytes) : 0;
}

static int add_strategy(struct fl_advise *advise, char *stem, const char *path)
{
	struct fl_advise_strategy *more = reallocarray(advise->strategies,
		advise->nr_strategies + 1, sizeof(*more)), *s;
	struct fl_module m = { 0 };
	struct fl_complaint why = { "" };
	int block;

	if (!more) {
		free(stem);
		return -ENOMEM;
	}
	advise->strategies = more;
	s = &more[advise->nr_strategies++];
	*s = (struct fl_advise_strategy){
		.name = stem, .alloc_ns = NAN, .slow_ns = NAN,
	};
	if (fl_module_load(FL_MODULE_STRATEGY, path, &m, &why)) {
		snprintf(s->unsupported, sizeof(s->unsupported), "%.*s",
			 (int)sizeof(s->unsupported) - 1, why.text);
		return 0;
	}
	s->answer = m.strategy->answer;
	block = fl_tunable_index(&m.tunables, "block");
	s->has_block = block >= 0;
	if (s->has_block) {
		s->block_bytes = m.tunables.table[block].def;
		s->block_min = m.tunables.table[block].min;
		s->block_max = m.tunables.table[block].max;
	}
	if (try_settings(&m, NULL, 0, s->unsupported, sizeof(s->unsupported)) &&
	    !*s->unsupported)
		snprintf(s->unsupported, sizeof(s->unsupported),
			 "this host refuses it");
	fl_module_unload(&m);
	return 0;
}

/* Each name that was given must be one. */
static int check_names(const char *list, char *const *paths,
		       struct fl_complaint *why)
{
	char *copy = list ? strdup(list) : NULL, *rest = copy, *word;
	int err = list && !copy ? -ENOMEM : 0;

	while (!err && (word = strsep(&rest, ","))) {
		struct fl_module m = { 0 };
		bool found = false;

		for (char *const *p = paths; *p && !found; p++) {
			char *stem = fl_module_stem(*p);

			found = stem && !strcmp(stem, word);
			free(stem);
		}
		if (found)
			continue;
		/* It knows how to say which was meant. */
		err = fl_module_named(FL_MODULE_STRATEGY, word, &m, why);
		if (!err)
			err = fl_complain(why, -EINVAL,
				"--strategies=%s: \"%s\" is no name of a strategy; `faultline list` shows them",
				list, word);
		fl_module_unload(&m);
	}
	free(copy);
	return err;
}

int fl_advise_find(const struct fl_advise_options *options,
		   struct fl_advise *advise, struct fl_complaint *why)
{
	char **paths;
	int err = fl_modules_list(FL_MODULE_STRATEGY, &paths, why);

	if (err < 0)
		return err;
	err = check_names(options->strategies, paths, why);
	for (char **p = paths; *p && !err; p++) {
		char *stem = fl_module_stem(*p);

		if (!stem) {
			err = -ENOMEM;
		} else if (options->strategies ?
			   !among(options->strategies, stem) :
			   is_variant(paths, stem)) {
			free(stem);
		} else {
			err = add_strategy(advise, stem, *p);
		}
	}
	fl_modules_list_free(paths);
	return err == -ENOMEM ? fl_complain(why, err, "%s", strerror(ENOMEM)) :
	       err;
}

static bool is_there(const struct fl_advise *advise, size_t strategy,
		     const char *set, uint64_t block_bytes)
{
	for (size_t i = 0; i < advise->nr_candidates; i++) {
		const struct fl_advise_candidate *c = &advise->candidates[i];

		if (c->strategy == strategy && !strcmp(c->set, set) &&
		    c->block_bytes == block_bytes)
			return true;
	}
	return false;
}

static int add_candidate(struct fl_advise *advise, size_t strategy,
			 const char *set, uint64_t block_bytes)
{
	struct fl_advise_candidate *more = reallocarray(advise->candidates,
		advise->nr_candidates + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	advise->candidates = more;
	more[advise->nr_candidates++] = (struct fl_advise_candidate){
		.strategy = strategy, .set = set, .block_bytes = block_bytes,
		.floor_ns = NAN, .leaked_share = NAN, .peak_pages = NAN, .over_live = NAN,
		.slow_per_alloc = NAN,
	};
	return 0;
}

int fl_advise_begin(struct fl_advise *advise)
{
	int err = 0;

	for (size_t i = 0; i < advise->nr_strategies && !err; i++)
		if (!*advise->strategies[i].unsupported)
			err = add_candidate(advise, i, "",
				advise->strategies[i].block_bytes);
	return err;
}

/* The power of two that @bytes fit into, among those that are tried. */
static uint64_t block_for(uint64_t bytes)
{
	uint64_t block = BLOCK_BYTES_MIN;

	while (block < bytes && block < BLOCK_BYTES_MAX)
		block <<= 1;
	return block;
}

static int vary_block(struct fl_advise *advise, size_t from, size_t *left)
{
	const struct fl_advise_candidate c = advise->candidates[from];
	const struct fl_advise_strategy *s = &advise->strategies[c.strategy];
	const struct fl_trace_facts *facts = &advise->trace.facts;
	const uint64_t sizes[] = {
		block_for(facts->lifetime_asked_p99_bytes),
		block_for(facts->lifetime_asked_max_bytes),
		block_for(facts->lifetime_asked_p50_bytes),
	};
	int err = 0;

	for (size_t i = 0; s->has_block && i < 3 && *left && !err; i++) {
		if (sizes[i] < s->block_min || sizes[i] > s->block_max ||
		    is_there(advise, c.strategy, c.set, sizes[i]))
			continue;
		err = add_candidate(advise, c.strategy, c.set, sizes[i]);
		(*left)--;
	}
	return err;
}

static int vary_others(struct fl_advise *advise, size_t from, size_t *left)
{
	const struct fl_advise_candidate c = advise->candidates[from];
	const struct fl_advise_strategy *s = &advise->strategies[c.strategy];
	struct fl_complaint why = { "" };
	struct fl_module m = { 0 };
	int err = fl_module_named(FL_MODULE_STRATEGY, s->name, &m, &why);

	/* It was loaded a moment ago; without it there is nothing to vary. */
	if (err)
		return 0;
	for (size_t i = 0; i < NR_OTHERS && *left && !err; i++) {
		char reason[FL_ADVISE_REASON_BYTES], name[32];

		snprintf(name, sizeof(name), "%.*s",
			 (int)strcspn(others[i], "="), others[i]);
		if (fl_tunable_index(&m.tunables, name) < 0 ||
		    is_there(advise, c.strategy, others[i], c.block_bytes))
			continue;
		err = add_candidate(advise, c.strategy, others[i],
				    c.block_bytes);
		if (!err && try_settings(&m, others[i], c.block_bytes,
					 reason, sizeof(reason)))
			snprintf(advise->candidates[advise->nr_candidates - 1].
				 reason, FL_ADVISE_REASON_BYTES, "%s", reason);
		else
			(*left)--;
	}
	fl_module_unload(&m);
	return err;
}

int fl_advise_vary(struct fl_advise *advise, const size_t *order, size_t nr,
		   size_t most)
{
	size_t left = most;
	int err = 0;

	for (size_t i = 0; i < nr && left && !err; i++) {
		err = vary_block(advise, order[i], &left);
		if (!err)
			err = vary_others(advise, order[i], &left);
	}
	return err;
}

const char *fl_advise_settings(const struct fl_advise *advise,
			       const struct fl_advise_candidate *c,
			       char out[FL_ADVISE_SETTINGS_BYTES])
{
	const bool has_block = advise->strategies[c->strategy].has_block;
	char block[32];

	fl_format_bytes(c->block_bytes, block, sizeof(block));
	snprintf(out, FL_ADVISE_SETTINGS_BYTES, "%s%s%s%s",
		 has_block ? "block=" : "", has_block ? block : "",
		 has_block && *c->set ? "," : "", c->set);
	return out;
}

/* As one word for a shell.  The caller frees. */
static char *quoted(const char *word)
{
	char *out = malloc(4 * strlen(word) + 3), *to = out;

	if (!out || !word[strspn(word, "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+-")])
		return out ? strcpy(out, word) : NULL;
	*to++ = '\'';
	for (const char *c = word; *c; c++)
		if (*c == '\'')
			to = stpcpy(to, "'\\''");
		else
			*to++ = *c;
	strcpy(to, "'");
	return out;
}

char *fl_advise_command(const struct fl_advise_options *options,
			const struct fl_advise *advise,
			const struct fl_advise_candidate *c, bool account)
{
	char settings[FL_ADVISE_SETTINGS_BYTES], how[96], *command = NULL;
	char *trace = quoted(options->trace);

	fl_advise_settings(advise, c, settings);
	if (account)
		snprintf(how, sizeof(how), "--account");
	else
		snprintf(how, sizeof(how),
			 "--residence %s --ops %llu --latency-events 0",
			 fl_residence_name(options->residence),
			 (unsigned long long)advise->nr_ops);
	if (trace && asprintf(&command, "faultline run %s%s%s --kernel replay --trace %s %s",
			      advise->strategies[c->strategy].name,
			      *settings ? " --set " : "", settings, trace,
			      how) < 0)
		command = NULL;
	free(trace);
	return command;
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/claims.h"
#include "analysis/stats.h"

static const char *const kind_names[FL_NR_VERDICT_KINDS] = {
	[FL_CONFIRMED] = "CONFIRMED",
	[FL_REFUTED] = "REFUTED",
	[FL_INCONCLUSIVE] = "INCONCLUSIVE",
	[FL_NOT_MEASURED] = "NOT MEASURED",
};

const char *fl_verdict_kind_name(enum fl_verdict_kind kind)
{
	return kind_names[kind];
}

void fl_verdict_free(struct fl_verdict *verdict)
{
	free(verdict->reason);
	verdict->reason = NULL;
}

static int set_reason(struct fl_verdict *v, struct fl_complaint *why,
		      const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The first reason is the one that counts. */
static int set_reason(struct fl_verdict *v, struct fl_complaint *why,
		      const char *format, ...)
{
	va_list args;
	int n;

	if (v->reason)
		return 0;
	va_start(args, format);
	n = vasprintf(&v->reason, format, args);
	va_end(args);
	if (n >= 0)
		return 0;
	v->reason = NULL;
	return fl_complain(why, -ENOMEM, "%s", strerror(ENOMEM));
}

static int wrong(const struct fl_claim *claim, struct fl_complaint *why,
		 const char *what, const char *more)
{
	return fl_complain(why, -EINVAL, "%s:%u: [claim %s]: %s%s", claim->path,
			   claim->line, claim->name, what, more);
}

/* ---- is it there? ---------------------------------------------------------- */

/* A query about a need; experiment, cell and arm are ?1, ?2 and ?3. */
static sqlite3_stmt *ask(sqlite3 *db, const char *sql,
			 const struct fl_claim_need *need)
{
	sqlite3_stmt *query;

	if (sqlite3_prepare_v2(db, sql, -1, &query, NULL))
		return NULL;
	/* The first of these has ?1 alone, and refuses the others: no harm. */
	sqlite3_bind_text(query, 1, need->experiment, -1, SQLITE_STATIC);
	sqlite3_bind_text(query, 2, need->cell ? need->cell : "*", -1,
			  SQLITE_STATIC);
	sqlite3_bind_text(query, 3, need->arm ? need->arm : "*", -1,
			  SQLITE_STATIC);
	return query;
}

static int64_t count(sqlite3 *db, const char *sql,
		     const struct fl_claim_need *need)
{
	sqlite3_stmt *query = ask(db, sql, need);
	int64_t value = 0;

	if (query && sqlite3_step(query) == SQLITE_ROW)
		value = sqlite3_column_int64(query, 0);
	sqlite3_finalize(query);
	return value;
}

#define OF_NEED								\
	" FROM line JOIN campaign ON campaign.id = line.campaign"	\
	" WHERE experiment = ?1 AND cell GLOB ?2 AND arm GLOB ?3"

/* Whose plan has it: whatever was measured stands in some plan. */
static bool is_planned(sqlite3 *db, const struct fl_claim_need *need)
{
	return !count(db, "SELECT count(*) FROM cell JOIN campaign ON campaign.id = cell.campaign WHERE experiment = ?1",
		      need) ||
	       count(db, "SELECT count(*) FROM cell JOIN campaign ON campaign.id = cell.campaign WHERE experiment = ?1 AND cell GLOB ?2",
		     need);
}

static const char *patterns(const struct fl_claim_need *need, char *text,
			    size_t bytes)
{
	snprintf(text, bytes, "%s%s%s in %s", need->arm ? need->arm : "any arm",
		 need->cell ? " on " : "", need->cell ? need->cell : "",
		 need->experiment);
	return text;
}

/* Why there is no sample of @need that is ok. */
static int say_missing(sqlite3 *db, const struct fl_claim_need *need,
		       struct fl_verdict *v, struct fl_complaint *why)
{
	sqlite3_stmt *query;
	const char *status, *reason;
	char what[200];
	int err;

	patterns(need, what, sizeof(what));
	v->owed = true;
	if (!count(db, "SELECT count(*)" OF_NEED, need)) {
		v->owed = is_planned(db, need);
		return v->owed ?
			set_reason(v, why, "there is no sample of %s", what) :
			set_reason(v, why, "the profile that was run has no cell for %s", what);
	}
	v->owed = count(db, "SELECT count(*)" OF_NEED " AND status != 'unsupported'",
			need);
	query = ask(db, "SELECT status, reason, arm" OF_NEED
		    " ORDER BY status = 'unsupported', block", need);
	if (!query || sqlite3_step(query) != SQLITE_ROW) {
		sqlite3_finalize(query);
		return fl_complain(why, -EIO, "SQLite: %s", sqlite3_errmsg(db));
	}
	status = (const char *)sqlite3_column_text(query, 0);
	reason = (const char *)sqlite3_column_text(query, 1);
	err = set_reason(v, why, "%s: %s: %s", sqlite3_column_text(query, 2),
			 status, reason ? reason : "no reason given");
	sqlite3_finalize(query);
	return err;
}

/* Sets the verdict's kind where something is missing. */
static int check_need(sqlite3 *db, const struct fl_claim *claim,
		      const struct fl_claim_need *need, struct fl_verdict *v,
		      struct fl_complaint *why)
{
	if (!count(db, "SELECT count(*) FROM campaign WHERE experiment = ?1",
		   need)) {
		v->kind = FL_NOT_MEASURED;
		v->owed = true;
		return set_reason(v, why, "%s was not run", need->experiment);
	}
	if (!strcmp(need->experiment, "kernel"))
		return 0;
	if (!count(db, "SELECT count(*)" OF_NEED " AND final AND status = 'ok'",
		   need)) {
		v->kind = FL_NOT_MEASURED;
		return say_missing(db, need, v, why);
	}
	if (!claim->timed)
		return 0;
	if (!count(db, "SELECT count(*) FROM campaign WHERE experiment = ?1 AND NOT valid",
		   need))
		return 0;
	v->kind = FL_INCONCLUSIVE;
	return set_reason(v, why, "%s is INVALID: its controls failed, and its report says how",
			  need->experiment);
}

/* ---- what came out ------------------------------------------------------------ */

static int column(sqlite3_stmt *query, const char *name)
{
	for (int i = 0; i < sqlite3_column_count(query); i++)
		if (!strcmp(sqlite3_column_name(query, i), name))
			return i;
	return -1;
}

static double number(sqlite3_stmt *query, int i)
{
	return sqlite3_column_type(query, i) == SQLITE_NULL ?
	       NAN : sqlite3_column_double(query, i);
}

static int take_row(sqlite3_stmt *query, struct fl_verdict *v,
		    struct fl_complaint *why)
{
	const int reason = column(query, "reason");

	v->value = number(query, column(query, "value"));
	v->low = number(query, column(query, "low"));
	v->high = number(query, column(query, "high"));
	v->n = sqlite3_column_int64(query, column(query, "n"));
	if (reason >= 0 && sqlite3_column_type(query, reason) != SQLITE_NULL)
		return set_reason(v, why, "%s",
				  sqlite3_column_text(query, reason));
	return 0;
}

static int run_query(sqlite3 *db, const struct fl_claim *claim,
		     struct fl_verdict *v, struct fl_complaint *why)
{
	static const char *const columns[] = { "value", "low", "high", "n" };
	sqlite3_stmt *query;
	int got, err = 0;

	if (sqlite3_prepare_v2(db, claim->query, -1, &query, NULL))
		return wrong(claim, why, "query: ", sqlite3_errmsg(db));
	for (size_t i = 0; i < 4 && !err; i++)
		if (column(query, columns[i]) < 0)
			err = wrong(claim, why, "query: its row needs a column called ",
				    columns[i]);
	got = err ? SQLITE_DONE : sqlite3_step(query);
	if (got == SQLITE_ROW) {
		err = take_row(query, v, why);
		if (!err && (got = sqlite3_step(query)) == SQLITE_ROW)
			err = wrong(claim, why, "query: ", "more than one row");
	}
	if (!err && got != SQLITE_DONE)
		err = wrong(claim, why, "query: ", sqlite3_errmsg(db));
	sqlite3_finalize(query);
	return err;
}

static bool holds(const struct fl_claim_rule *rule, double low, double high)
{
	const double wide = 1 + rule->share, x = rule->x;
	/* Of a negative one the larger share is the smaller number. */
	const double under = x < 0 ? x * wide : x / wide;
	const double over = x < 0 ? x / wide : x * wide;

	switch (rule->word) {
	case FL_CLAIM_BELOW:
		return high < under;
	case FL_CLAIM_ABOVE:
		return low > over;
	case FL_CLAIM_WITHIN:
		return low >= under && high <= over;
	case FL_CLAIM_BEYOND:
		return high < under || low > over;
	case FL_CLAIM_FROM:
		return low >= x && high <= rule->y;
	}
	return false;
}

/* What the query told stays, behind why it decides nothing. */
static int set_undecided(const struct fl_claim *claim, struct fl_verdict *v,
			 struct fl_complaint *why)
{
	char *told = v->reason;
	int err;

	v->reason = NULL;
	err = set_reason(v, why, "the interval is neither %s nor %s%s%s",
			 claim->confirm.text, claim->refute.text,
			 told ? "; " : "", told ? told : "");
	free(told);
	return err;
}

static int weigh(const struct fl_claim *claim, struct fl_verdict *v,
		 struct fl_complaint *why)
{
	const bool invalid = v->kind == FL_INCONCLUSIVE;
	bool confirmed, refuted;

	if (isnan(v->value)) {
		v->kind = FL_NOT_MEASURED;
		v->owed = true;
		return set_reason(v, why, "the query found nothing");
	}
	if (isnan(v->low) || isnan(v->high)) {
		v->kind = FL_INCONCLUSIVE;
		return set_reason(v, why, "no 95 %% interval: fewer than %d blocks",
				  FL_STATS_BLOCKS_MIN);
	}
	confirmed = holds(&claim->confirm, v->low, v->high);
	refuted = holds(&claim->refute, v->low, v->high);
	if (confirmed && refuted)
		return wrong(claim, why, "confirm and refute both hold of what was measured",
			     ": let them exclude each other");
	v->kind = confirmed ? FL_CONFIRMED : refuted ? FL_REFUTED :
						       FL_INCONCLUSIVE;
	return confirmed || refuted || invalid ? 0 :
	       set_undecided(claim, v, why);
}

int fl_verdict_judge(sqlite3 *db, const struct fl_claim *claim,
		     struct fl_verdict *out, struct fl_complaint *why)
{
	struct fl_verdict v = {
		.claim = claim, .kind = FL_NR_VERDICT_KINDS,
		.value = NAN, .low = NAN, .high = NAN,
	};
	int err = 0;

	for (size_t i = 0; i < claim->nr_needs && !err &&
	     v.kind != FL_NOT_MEASURED; i++)
		err = check_need(db, claim, &claim->needs[i], &v, why);
	if (!err && v.kind != FL_NOT_MEASURED) {
		/* The number is told even where it proves nothing. */
		const bool invalid = v.kind == FL_INCONCLUSIVE;

		err = run_query(db, claim, &v, why);
		if (!err)
			err = weigh(claim, &v, why);
		if (invalid && v.kind != FL_NOT_MEASURED)
			v.kind = FL_INCONCLUSIVE;
	}
	if (err)
		fl_verdict_free(&v);
	else
		*out = v;
	return err;
}

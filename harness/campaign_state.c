/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "harness/campaign_state.h"

static const char *const status_names[] = {
	[FL_SAMPLE_OK] = "ok",
	[FL_SAMPLE_FAILED] = "failed",
	[FL_SAMPLE_UNSUPPORTED] = "unsupported",
	[FL_SAMPLE_CRASHED] = "crashed",
	[FL_SAMPLE_TIMEOUT] = "timeout",
};

const char *fl_sample_status_name(enum fl_sample_status status)
{
	return status_names[status];
}

struct fl_campaign_tally *fl_campaign_tally_of(const struct fl_campaign *c,
					       struct fl_campaign_pair p)
{
	return &c->tallies[p.cell * c->plan->nr_arms + p.arm];
}

uint32_t fl_campaign_blocks_of(const struct fl_campaign *c, uint32_t cell)
{
	const uint32_t nr = c->plan->cells[cell].nr_blocks;

	return nr < c->nr_blocks ? nr : c->nr_blocks;
}

bool fl_campaign_wants(const struct fl_campaign *c, struct fl_campaign_pair p)
{
	const struct fl_campaign_tally *tally = fl_campaign_tally_of(c, p);

	return c->selected[p.cell] && c->plan->cells[p.cell].arms[p.arm] &&
	       !tally->unsupported &&
	       (tally->nr_ok || tally->nr_bad < FL_CAMPAIGN_GIVE_UP_AFTER);
}

uint32_t fl_campaign_nr_left(const struct fl_campaign *c,
			     struct fl_campaign_pair p)
{
	const struct fl_campaign_tally *tally = fl_campaign_tally_of(c, p);
	uint32_t nr = 0;

	if (!fl_campaign_wants(c, p))
		return 0;
	for (uint32_t b = 0; b < fl_campaign_blocks_of(c, p.cell); b++)
		nr += !(tally->blocks[b] & FL_TALLY_DONE);
	return nr;
}

/* Of what the plan has in all; the repeats come on top. */
static uint64_t repeats_max(const struct fl_campaign *c)
{
	return fl_plan_samples(c->plan, c->nr_blocks) * c->plan->repeats_pct /
	       100;
}

uint64_t fl_campaign_repeats_left(const struct fl_campaign *c)
{
	const uint64_t most = repeats_max(c);
	const uint64_t flagged = c->nr_flagged < most ? c->nr_flagged : most;

	return flagged > c->nr_repeated ? flagged - c->nr_repeated : 0;
}

double fl_campaign_cost_s(const struct fl_campaign *c,
			  struct fl_campaign_pair p)
{
	const double scale = c->estimate_s > 0 ? c->wall_s / c->estimate_s : 1;
	const struct fl_campaign_tally *tally = fl_campaign_tally_of(c, p);

	return tally->nr_walls ? tally->wall_s / tally->nr_walls :
	       scale * c->plan->cells[p.cell].estimate_s[p.arm];
}

uint64_t fl_campaign_left(const struct fl_campaign *c, double *seconds)
{
	uint64_t nr = 0;
	double s = 0;

	for (uint32_t i = 0; i < c->plan->nr_cells; i++)
		for (uint32_t a = 0; a < c->plan->nr_arms; a++) {
			const struct fl_campaign_pair p = { i, a };
			const uint32_t n = fl_campaign_nr_left(c, p);

			nr += n;
			s += n ? n * fl_campaign_cost_s(c, p) : 0;
		}
	*seconds = s;
	return nr;
}

uint64_t fl_campaign_nr_lines(const struct fl_campaign *c)
{
	uint64_t nr = 0;

	for (int s = 0; s < FL_SAMPLE_NR_STATUSES; s++)
		nr += c->nr_of[s];
	return nr;
}

static void note_problem(struct fl_campaign *c, uint32_t arm,
			 enum fl_sample_status status, const char *reason)
{
	struct fl_campaign_problem *p = c->problems;
	char text[sizeof(p->reason)];
	uint32_t i;

	snprintf(text, sizeof(text), "%.*s", (int)sizeof(text) - 1,
		 reason ? reason : "");
	for (i = 0; i < c->nr_problems; i++)
		if (p[i].arm == arm && p[i].status == status &&
		    !strcmp(p[i].reason, text))
			break;
	/* Whoever has that many kinds will look into the file. */
	if (i == FL_CAMPAIGN_PROBLEMS_MAX)
		return;
	if (i == c->nr_problems) {
		c->nr_problems++;
		p[i].arm = arm;
		p[i].status = status;
		memcpy(p[i].reason, text, sizeof(text));
	}
	p[i].nr++;
}

void fl_campaign_note(struct fl_campaign *c,
		      const struct fl_campaign_place *at,
		      enum fl_sample_status status, bool flagged, double wall_s,
		      const char *reason)
{
	const struct fl_plan_cell *cell = &c->plan->cells[at->pair.cell];
	struct fl_campaign_tally *tally = fl_campaign_tally_of(c, at->pair);

	tally->blocks[at->block] |= at->repeat ? FL_TALLY_REPEATED :
						 FL_TALLY_DONE;
	c->nr_of[status]++;
	if (status == FL_SAMPLE_UNSUPPORTED)
		tally->unsupported = true;
	else if (status == FL_SAMPLE_OK)
		tally->nr_ok++;
	else
		tally->nr_bad++;
	if (status != FL_SAMPLE_OK)
		note_problem(c, at->pair.arm, status, reason);
	if (at->repeat) {
		c->nr_repeated++;
	} else if (flagged) {
		tally->blocks[at->block] |= FL_TALLY_FLAGGED;
		c->nr_flagged++;
	}
	/* Those that end early would make the others look cheap. */
	if (status != FL_SAMPLE_OK)
		return;
	tally->wall_s += wall_s;
	tally->nr_walls++;
	c->wall_s += wall_s;
	c->estimate_s += cell->estimate_s[at->pair.arm];
}

int fl_sample_status_find(const char *name)
{
	for (int s = 0; s < FL_SAMPLE_NR_STATUSES; s++)
		if (!strcmp(status_names[s], name))
			return s;
	return -1;
}

static bool find_pair(const struct fl_campaign *c, const char *cell,
		      const char *arm, struct fl_campaign_pair *p)
{
	p->cell = p->arm = 0;
	while (p->cell < c->plan->nr_cells &&
	       strcmp(c->plan->cells[p->cell].name, cell))
		p->cell++;
	while (p->arm < c->plan->nr_arms &&
	       strcmp(c->plan->arms[p->arm].name, arm))
		p->arm++;
	return p->cell < c->plan->nr_cells && p->arm < c->plan->nr_arms &&
	       c->plan->cells[p->cell].arms[p->arm];
}

void fl_campaign_note_probe(struct fl_campaign *c, const json_t *line)
{
	const json_t *metrics = json_object_get(line, "metrics");
	const double ns = json_number_value(json_object_get(metrics, "probe_ns"));

	if (ns > 0 && (!(c->probe_ns > 0) || ns < c->probe_ns))
		c->probe_ns = ns;
}

bool fl_sample_has_flags(const json_t *line)
{
	return json_array_size(json_object_get(line, "flags")) > 0;
}

const char *fl_campaign_take_line(void *context, const json_t *line)
{
	struct fl_campaign *c = context;
	json_int_t block, repeat, build = 0;
	const char *cell, *arm, *status;
	struct fl_campaign_place at = { .order = 0 };
	uint8_t known;
	int s;

	if (json_unpack((json_t *)(uintptr_t)line,
			"{s:I, s:I, s:s, s:s, s:s, s?I}", "block", &block,
			"repeat", &repeat, "cell", &cell, "arm", &arm,
			"status", &status, "build", &build))
		return "it lacks block, repeat, cell, arm or status";
	s = fl_sample_status_find(status);
	if (s < 0)
		return "its status is unknown";
	if (!find_pair(c, cell, arm, &at.pair) || block < 0 ||
	    block >= fl_campaign_blocks_of(c, at.pair.cell) || repeat < 0 ||
	    repeat > 1)
		return "the plan has no such sample";
	if (build != fl_campaign_build(c->plan, c->seed, at.pair,
				       (uint32_t)block))
		return "it is of another build than the seed draws";
	at.block = (uint32_t)block;
	at.repeat = (uint32_t)repeat;
	known = fl_campaign_tally_of(c, at.pair)->blocks[block];
	if (known & (repeat ? FL_TALLY_REPEATED : FL_TALLY_DONE))
		return "the sample has a line already";
	fl_campaign_note_probe(c, line);
	fl_campaign_note(c, &at, (enum fl_sample_status)s,
			 s == FL_SAMPLE_OK && fl_sample_has_flags(line),
			 json_number_value(json_object_get(line, "wall_s")),
			 json_string_value(json_object_get(line, "reason")));
	return NULL;
}

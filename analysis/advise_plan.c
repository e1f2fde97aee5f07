/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "analysis/advise.h"

/* What a slow path costs: objects of 16 bytes, blocks that are full often. */
#define HOST_CELL							\
	"kernel = fill\nsize = 16\nresidence = register\nblock = 64K\nlifetime = 16x\n"

const char *fl_advise_cell(const struct fl_advise_candidate *c,
			   const char *kind, char out[FL_ADVISE_NAME_BYTES])
{
	char block[32] = "";

	fl_format_bytes(c->block_bytes, block, sizeof(block));
	snprintf(out, FL_ADVISE_NAME_BYTES, "%s-%s", kind,
		 c->block_bytes ? block : "none");
	return out;
}

const char *fl_advise_arm(const struct fl_advise *advise,
			  const struct fl_advise_candidate *c,
			  char out[FL_ADVISE_NAME_BYTES])
{
	const char *value = strchr(c->set, '=');

	snprintf(out, FL_ADVISE_NAME_BYTES, "%s%s%s",
		 advise->strategies[c->strategy].name, value ? "-" : "",
		 value ? value + 1 : "");
	return out;
}

static const struct fl_advise_candidate *
nth(const struct fl_advise *advise, const struct fl_advise_round *round,
    size_t i)
{
	return &advise->candidates[round->candidates[i]];
}

static bool same_arm(const struct fl_advise_candidate *a,
		     const struct fl_advise_candidate *b)
{
	return a->strategy == b->strategy && !strcmp(a->set, b->set);
}

static void write_arms(const struct fl_advise *advise,
		       const struct fl_advise_round *round, FILE *to)
{
	char arm[FL_ADVISE_NAME_BYTES];

	for (size_t i = 0; i < round->nr; i++) {
		const struct fl_advise_candidate *c = nth(advise, round, i);
		bool again = false;

		for (size_t j = 0; j < i; j++)
			again |= same_arm(c, nth(advise, round, j));
		if (again)
			continue;
		fprintf(to, "[arm %s]\nstrategy = %s\n",
			fl_advise_arm(advise, c, arm),
			advise->strategies[c->strategy].name);
		if (*c->set)
			fprintf(to, "set = %s\n", c->set);
		putc('\n', to);
	}
	fl_advise_arm(advise, nth(advise, round, 0), arm);
	fprintf(to, "[arm " FL_ADVISE_TWIN "]\ntwin = %s\n\n"
		"[arm " FL_ADVISE_PLANTED "]\nplanted = %s\n\n", arm, arm);
}

/* One cell for each block size, with the candidates that have it. */
static void write_cells(const struct fl_advise_options *options,
			const struct fl_advise *advise,
			const struct fl_advise_round *round, const char *trace,
			bool account, FILE *to)
{
	const char *kind = account ? FL_ADVISE_PAGES : FL_ADVISE_TIME;

	for (size_t i = 0; i < round->nr; i++) {
		const struct fl_advise_candidate *c = nth(advise, round, i);
		char name[FL_ADVISE_NAME_BYTES], arm[FL_ADVISE_NAME_BYTES];
		bool again = false;

		for (size_t j = 0; j < i; j++)
			again |= nth(advise, round, j)->block_bytes ==
				 c->block_bytes;
		if (again)
			continue;
		fprintf(to, "[cell %s]\nkernel = replay\ntrace = %s\n",
			fl_advise_cell(c, kind, name), trace);
		if (c->block_bytes)
			fprintf(to, "block = %" PRIu64 "\n", c->block_bytes);
		if (account)
			fputs("mode = account\nblocks = 1\n", to);
		else
			fprintf(to, "residence = %s\nops = %" PRIu64
				"\nbaseline = %s\n",
				fl_residence_name(options->residence),
				advise->nr_ops, fl_advise_arm(advise, c, arm));
		fputs("arms =", to);
		for (size_t j = i; j < round->nr; j++)
			if (nth(advise, round, j)->block_bytes == c->block_bytes)
				fprintf(to, " %s", fl_advise_arm(advise,
					nth(advise, round, j), arm));
		/* The twin is beside the first one. */
		fprintf(to, "%s\n\n", !i && !account && round->controls ?
			" " FL_ADVISE_TWIN : "");
	}
}

static void write_host(const struct fl_advise *advise,
		       const struct fl_advise_round *round, FILE *to)
{
	char arm[FL_ADVISE_NAME_BYTES];

	fprintf(to, "[cell " FL_ADVISE_HOST "]\n" HOST_CELL "ops = %s\nbaseline = %s\n",
		round->host ? "1M\nlatency_events = 200" : "256K",
		fl_advise_arm(advise, nth(advise, round, 0), arm));
	if (!round->host && !round->controls)
		fputs("blocks = 1\n", to);
	fputs("arms =", to);
	for (size_t i = 0; i < (round->host ? round->nr : 1); i++)
		fprintf(to, " %s",
			fl_advise_arm(advise, nth(advise, round, i), arm));
	fprintf(to, " " FL_ADVISE_PLANTED "%s\n",
		round->controls ? "" : " " FL_ADVISE_TWIN);
}

int fl_advise_plan(const struct fl_advise_options *options,
		   const struct fl_advise *advise,
		   const struct fl_advise_round *round, const char *trace,
		   FILE *to)
{
	char arm[FL_ADVISE_NAME_BYTES];

	fprintf(to, "# faultline advise wrote this: round %u of %d, %s.\n\n"
		"[campaign]\nname = advise-%s\nblocks = %" PRIu32
		"\ntimeout_s = 300\nrepeats_pct = %d\nbaseline = %s\n\n",
		round->number, FL_ADVISE_ROUNDS, round->name, round->name,
		round->nr_blocks, round->controls ? 10 : 0,
		fl_advise_arm(advise, nth(advise, round, 0), arm));
	write_arms(advise, round, to);
	write_cells(options, advise, round, trace, false, to);
	if (round->account)
		write_cells(options, advise, round, trace, true, to);
	write_host(advise, round, to);
	return ferror(to) ? -EIO : 0;
}

/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "analysis/plot.h"
#include "analysis/breakeven.h"
#include "analysis/plot_bench.h"
#include "analysis/plot_data.h"
#include "analysis/plot_pages.h"
#include "harness/table.h"

/* A drawing takes it well under a second; after so long, and one for each, it hangs. */
#define GNUPLOT_SECONDS	60

/* At once: drawing waits for nothing but the processor. */
#define NR_GNUPLOTS	2u

#define PARETO		"Time against pages"

/* ---- gnuplot ------------------------------------------------------------ */

static int read_all(int fd, char **out)
{
	char *text = NULL, *grown;
	size_t used = 0, room = 0;
	ssize_t n;

	do {
		if (used + 1 >= room) {
			room = room ? 2 * room : 65536;
			grown = realloc(text, room);
			if (!grown) {
				free(text);
				return -ENOMEM;
			}
			text = grown;
		}
		n = read(fd, text + used, room - used - 1);
		if (n > 0)
			used += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0) {
		n = -errno;
		free(text);
		return (int)n;
	}
	text[used] = '\0';
	*out = text;
	return 0;
}

/* One that runs, and what it is told and says, in files without a name. */
struct gnuplot {
	FILE *commands;
	int said;
	pid_t child;		/* 0: none was started */
	size_t nr;		/* drawings it was told */
};

/* In the child: it sees file names without folders, so that no name needs quoting. */
static void exec_gnuplot(const char *folder, const struct gnuplot *g)
{
	if (chdir(folder) || dup2(fileno(g->commands), 0) < 0 || lseek(0, 0, SEEK_SET) ||
	    dup2(g->said, 1) < 0 || dup2(g->said, 2) < 0)
		_exit(126);
	/* Survives exec, and ends a gnuplot that waits for something. */
	alarm(GNUPLOT_SECONDS + (unsigned int)g->nr);
	unsetenv("GNUTERM");
	execlp("gnuplot", "gnuplot", "-d", "-", (char *)NULL);
	_exit(errno == ENOENT ? 127 : 126);
}

/* The last line of @text that says something: gnuplot's own come after what it
 * quotes. */
static const char *last_line(char *text)
{
	const char *last = "";
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n"))) {
		line += strspn(line, " \t^");
		if (*line)
			last = line;
	}
	return last;
}

static int open_gnuplot(struct gnuplot *g, struct fl_complaint *why)
{
	int fd = memfd_create("commands", MFD_CLOEXEC);

	*g = (struct gnuplot){ .said = memfd_create("said", MFD_CLOEXEC) };
	g->commands = fd < 0 ? NULL : fdopen(fd, "w");
	if (g->commands && g->said >= 0)
		return 0;
	if (fd >= 0 && !g->commands)
		close(fd);
	return fl_complain(why, -errno, "gnuplot: %s", strerror(errno));
}

static int start_gnuplot(struct gnuplot *g, const char *folder,
			 struct fl_complaint *why)
{
	if (!g->nr)
		return 0;
	if (fflush(g->commands))
		return fl_complain(why, -errno, "gnuplot: %s", strerror(errno));
	g->child = fork();
	if (g->child < 0) {
		g->child = 0;
		return fl_complain(why, -errno, "gnuplot: %s", strerror(errno));
	}
	if (!g->child)
		exec_gnuplot(folder, g);
	return 0;
}

/*
 * 0; -ENOENT with a complaint when gnuplot is missing; -EIO with one when it
 * failed.
 */
static int end_gnuplot(struct gnuplot *g, struct fl_complaint *why)
{
	const int seconds = GNUPLOT_SECONDS + (int)g->nr;
	char *said = NULL;
	int status = 0, err;

	while (waitpid(g->child, &status, 0) < 0 && errno == EINTR)
		;
	lseek(g->said, 0, SEEK_SET);
	err = read_all(g->said, &said);
	if (err)
		return fl_complain(why, err, "gnuplot: %s", strerror(-err));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		err = fl_complain(why, -ENOENT,
				  "gnuplot is not installed, so there are no plots: apt-get install gnuplot-nox");
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		err = fl_complain(why, -EIO,
				  "gnuplot did not end within %d s, so there are no plots",
				  seconds);
	else if (!WIFEXITED(status) || WEXITSTATUS(status))
		err = fl_complain(why, -EIO,
				  "gnuplot failed, so there are no plots: %s",
				  last_line(said));
	free(said);
	return err;
}

static void close_gnuplot(struct gnuplot *g)
{
	if (g->commands)
		fclose(g->commands);
	if (g->said >= 0)
		close(g->said);
}

static int read_text(const char *path, char **out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = read_all(fd, out);
	close(fd);
	return err;
}

/* ---- one plot ----------------------------------------------------------- */

static int write_crossing(FILE *to, const void *what, size_t nr,
			  const struct fl_palette *palette)
{
	(void)palette;
	return fl_plot_crossing(to, what, nr);
}

static int write_breakeven(FILE *to, const void *what, size_t nr,
			   const struct fl_palette *palette)
{
	(void)palette;
	return fl_plot_breakeven(to, what, nr);
}

static int write_resident(FILE *to, const void *what, size_t nr,
			  const struct fl_palette *palette)
{
	(void)nr;
	(void)palette;
	return fl_plot_resident(to, what);
}

static int write_stack(FILE *to, const void *what, size_t nr,
		       const struct fl_palette *palette)
{
	(void)nr;
	(void)palette;
	return fl_plot_stack(to, what);
}

static int write_pareto(FILE *to, const void *what, size_t nr,
			const struct fl_palette *palette)
{
	(void)nr;
	(void)palette;
	return fl_plot_pareto(to, what);
}

static int write_percentiles(FILE *to, const void *what, size_t nr,
			     const struct fl_palette *palette)
{
	(void)nr;
	return fl_plot_percentiles(to, what, palette);
}

static int write_levels(FILE *to, const void *what, size_t nr,
			const struct fl_palette *palette)
{
	return fl_plot_levels(to, what, nr, palette);
}

static int write_query(FILE *to, const void *what, size_t nr,
		       const struct fl_palette *palette)
{
	(void)nr;
	(void)palette;
	return fl_query_plot_write(to, what);
}

/* By kind: the script, which is also how files begin, and what it reads. */
static const struct {
	const char *name;
	int (*write)(FILE *to, const void *what, size_t nr,
		     const struct fl_palette *palette);
} kinds[] = {
	[FL_PLOT_CROSSING] = { "crossing", write_crossing },
	[FL_PLOT_BREAKEVEN] = { "breakeven", write_breakeven },
	[FL_PLOT_RESIDENT] = { "resident", write_resident },
	[FL_PLOT_STACK] = { "pages", write_stack },
	[FL_PLOT_PARETO] = { "pareto", write_pareto },
	[FL_PLOT_PERCENTILES] = { "percentiles", write_percentiles },
	[FL_PLOT_LEVELS] = { "levels", write_levels },
	[FL_PLOT_ROWS] = { "rows", write_query },
	[FL_PLOT_LINES] = { "lines", write_query },
};

/* Where the files go and how they are made. */
struct drawing {
	const char *scripts, *folder;	/* folder NULL: nothing is made */
	const struct fl_palette *palette;
	const struct fl_plot_options *options;
	const char *reason;	/* why nothing is made, or NULL */
	struct fl_complaint said;
};

/* Tells @g to draw the file "STEM@suffix.@term". */
static void tell(struct gnuplot *g, const struct drawing *d,
		 const struct fl_plot *plot, const char *suffix, const char *term)
{
	fprintf(g->commands, "reset session\n"
		"data='%s.dat'; out='%s%s.%s'; term='%s'; narrow=%d\nload '",
		plot->file, plot->file, suffix, term, term, *suffix != '\0');
	for (const char *c = d->scripts; *c; c++)
		fprintf(g->commands, *c == '\'' ? "''" : "%c", *c);
	fprintf(g->commands, "/%s.gp'\n", kinds[plot->kind].name);
	g->nr++;
}

static void tell_all(struct gnuplot *g, const struct drawing *d,
		     const struct fl_plot *plot)
{
	tell(g, d, plot, "", "svg");
	if (!plot->aside)
		tell(g, d, plot, "-narrow", "svg");
	if (d->options->png)
		tell(g, d, plot, "", "png");
	if (d->options->pdf)
		tell(g, d, plot, "", "pdf");
}

/* A drawing as it stands in the page.  @number, @width: "p1w". */
static int take(struct drawing *d, const struct fl_plot *plot, const char *suffix,
		size_t number, char width, char **out)
{
	char *path, *svg = NULL, id[64];
	int err;

	snprintf(id, sizeof(id), "%sp%zu%c", d->options->id, number, width);
	if (asprintf(&path, "%s/%s%s.svg", d->folder, plot->file, suffix) < 0)
		return -ENOMEM;
	err = read_text(path, &svg);
	if (!err) {
		*out = fl_palette_inline(d->palette, svg, id, plot->title);
		err = *out ? 0 : -ENOMEM;
	}
	if (err)
		fl_complain(&d->said, err, "%s: %s", path, strerror(-err));
	free(svg);
	free(path);
	return err;
}

/*
 * All of them by few processes, because each takes longer to start than to draw; a
 * gnuplot ends at its first error, so one bad plot costs all.
 */
static int draw(struct drawing *d, struct fl_plots *plots)
{
	struct gnuplot all[NR_GNUPLOTS] = { { .said = -1 }, { .said = -1 } };
	int err = 0, one;

	for (size_t i = 0; i < NR_GNUPLOTS && !err; i++)
		err = open_gnuplot(&all[i], &d->said);
	for (size_t i = 0; i < plots->nr && !err; i++)
		if (plots->plots[i].file)
			tell_all(&all[i % NR_GNUPLOTS], d, &plots->plots[i]);
	for (size_t i = 0; i < NR_GNUPLOTS && !err; i++)
		err = start_gnuplot(&all[i], d->folder, &d->said);
	for (size_t i = 0; i < NR_GNUPLOTS; i++) {
		one = all[i].child ? end_gnuplot(&all[i], &d->said) : 0;
		err = err ? err : one;
		close_gnuplot(&all[i]);
	}
	for (size_t i = 0; i < plots->nr && !err; i++) {
		struct fl_plot *plot = &plots->plots[i];

		if (!plot->file)
			continue;
		err = take(d, plot, "", i + 1, 'w', &plot->wide);
		if (!err && !plot->aside)
			err = take(d, plot, "-narrow", i + 1, 'n', &plot->narrow);
	}
	return err;
}

/* Draws what has data, or says of each why it is not drawn. */
static int draw_all(struct drawing *d, struct fl_plots *plots)
{
	if (!d->folder || !draw(d, plots))
		return 0;
	plots->drawn = false;
	for (size_t i = 0; i < plots->nr; i++) {
		struct fl_plot *plot = &plots->plots[i];

		free(plot->wide);
		free(plot->narrow);
		plot->wide = plot->narrow = NULL;
		if (!plot->missing)
			plot->missing = strdup(d->said.text);
		if (!plot->missing)
			return -ENOMEM;
	}
	return 0;
}

/* ---- all plots ---------------------------------------------------------- */

/* "fill, 16-byte objects" as part of a file's name. */
static char *stem_of(const char *kind, const char *title, size_t number)
{
	char words[96];
	size_t used = 0;
	char *stem;

	for (; *title && used < sizeof(words) - 2; title++) {
		if (isalnum((unsigned char)*title))
			words[used++] = (char)tolower((unsigned char)*title);
		else if (used && words[used - 1] != '-')
			words[used++] = '-';
	}
	while (used && words[used - 1] == '-')
		used--;
	words[used] = '\0';
	if (number > 1)
		return asprintf(&stem, "%s-%s-%zu", kind, words, number) < 0 ?
		       NULL : stem;
	return asprintf(&stem, "%s-%s", kind, words) < 0 ? NULL : stem;
}

/* Takes @title, which may be NULL for want of memory. */
static struct fl_plot *add_plot(struct fl_plots *plots, enum fl_plot_kind kind,
				char *title)
{
	struct fl_plot *grown = realloc(plots->plots,
					(plots->nr + 1) * sizeof(*grown));

	if (grown)
		plots->plots = grown;
	if (!grown || !title) {
		free(title);
		return NULL;
	}
	grown[plots->nr] = (struct fl_plot){ .kind = kind, .title = title };
	return &grown[plots->nr++];
}

static int write_data(const struct fl_plot *plot, const void *what, size_t nr,
		      const struct drawing *d, struct fl_complaint *why)
{
	char *path;
	FILE *to;
	int err = 0;

	if (asprintf(&path, "%s/%s.dat", d->folder, plot->file) < 0)
		return -ENOMEM;
	to = fopen(path, "we");
	if (!to)
		err = -errno;
	if (to) {
		fprintf(to, "# %s\n# For plots/%s.gp, which says what stands where.\n\n",
			plot->title, kinds[plot->kind].name);
		err = kinds[plot->kind].write(to, what, nr, d->palette);
		errno = 0;
		if (!err && (fflush(to) || ferror(to)))
			err = errno ? -errno : -EIO;
		if (fclose(to) && !err)
			err = -errno;
	}
	if (err)
		fl_complain(why, err, "%s: %s", path, strerror(-err));
	free(path);
	return err;
}

/* Its data file, which is worth having when drawing fails. */
static int make_plot(struct fl_plots *plots, struct fl_plot *plot,
		     const char *subject, const void *what, size_t nr,
		     struct drawing *d, struct fl_complaint *why)
{
	size_t number = 1;

	if (!d->folder) {
		plot->missing = strdup(d->reason);
		return plot->missing ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i + 1 < plots->nr; i++)
		number += !strcmp(plots->plots[i].title, plot->title) &&
			  plots->plots[i].file;
	plot->file = stem_of(kinds[plot->kind].name, subject, number);
	if (!plot->file)
		return -ENOMEM;
	return write_data(plot, what, nr, d, why);
}

static int add_missing(struct fl_plots *plots, enum fl_plot_kind kind,
		       const char *title, const char *reason)
{
	struct fl_plot *plot = add_plot(plots, kind, strdup(title));

	if (!plot)
		return -ENOMEM;
	plot->missing = strdup(reason);
	return plot->missing ? 0 : -ENOMEM;
}

static int make_crossings(const struct fl_summary *summary,
			  struct fl_plots *plots, struct drawing *d,
			  struct fl_complaint *why)
{
	int err = 0;

	if (!summary->nr_sweeps)
		return add_missing(plots, FL_PLOT_CROSSING,
			"Time per allocation against block size",
			"no workload of this campaign was timed with blocks of two sizes or more, so there is no line to draw");
	for (size_t i = 0, next; i < summary->nr_sweeps && !err; i = next) {
		const struct fl_sweep *sweep = &summary->sweeps[i];
		struct fl_plot *plot;
		char *title;

		for (next = i + 1; next < summary->nr_sweeps &&
		     !strcmp(summary->sweeps[next].title, sweep->title); next++)
			;
		if (asprintf(&title, "Time per allocation, %s",
			     sweep->title) < 0)
			title = NULL;
		plot = add_plot(plots, FL_PLOT_CROSSING, title);
		err = plot ? make_plot(plots, plot, sweep->title, sweep,
				       next - i, d, why) :
			     -ENOMEM;
	}
	return err;
}

/*
 * A campaign that predicts its crossings gets them side by side; with so many
 * arms, times by themselves would show nothing.
 */
static int make_breakevens(const struct fl_summary *summary,
			   struct fl_plots *plots, struct drawing *d,
			   struct fl_complaint *why)
{
	int err = 0;

	for (size_t i = 0, next; i < summary->nr_breakevens && !err; i = next) {
		const struct fl_breakeven *b = &summary->breakevens[i];
		struct fl_plot *plot;
		char *title;

		for (next = i + 1; next < summary->nr_breakevens &&
		     !strcmp(summary->breakevens[next].title, b->title); next++)
			;
		if (asprintf(&title, "Fault against branch, %s", b->title) < 0)
			title = NULL;
		plot = add_plot(plots, FL_PLOT_BREAKEVEN, title);
		err = plot ? make_plot(plots, plot, b->title, b, next - i, d,
				       why) : -ENOMEM;
	}
	return err;
}

static int make_residents(const struct fl_summary *summary,
			  struct fl_plots *plots, struct drawing *d,
			  struct fl_complaint *why)
{
	size_t nr = 0;
	int err = 0;

	for (size_t c = 0; c < summary->nr_cells && !err; c++) {
		struct fl_plot *plot;
		char *title;

		if (!fl_plot_has_pages(&summary->cells[c]))
			continue;
		nr++;
		if (asprintf(&title, "Resident pages, %s",
			     summary->cells[c].title) < 0)
			title = NULL;
		plot = add_plot(plots, FL_PLOT_RESIDENT, title);
		if (plot)
			plot->aside = fl_plot_has_stack(&summary->cells[c]);
		err = plot ? make_plot(plots, plot, summary->cells[c].title,
				       &summary->cells[c], 1, d, why) : -ENOMEM;
	}
	if (!nr && !err)
		err = add_missing(plots, FL_PLOT_RESIDENT,
			"Resident pages over a run",
			"no sample of this campaign counted pages, so there is nothing to draw; a cell with mode = account does");
	return err;
}

/* "replay of httpd-static, blocks of 64K" */
static char *subject_of(const struct fl_summary_cell *cell)
{
	char block[FL_TEXT_BYTES], *subject;

	if (asprintf(&subject, "%s, blocks of %s", cell->title,
		     fl_text_bytes(block, (double)cell->block_bytes)) < 0)
		return NULL;
	return subject;
}

/* Of one @what; @words: how the title begins. */
static int make_subject(const struct fl_summary_cell *cell, const char *words,
			enum fl_plot_kind kind, const void *what,
			struct fl_plots *plots, struct drawing *d,
			struct fl_complaint *why)
{
	char *subject = subject_of(cell), *title = NULL;
	struct fl_plot *plot = NULL;
	int err = -ENOMEM;

	if (subject && asprintf(&title, "%s, %s", words, subject) < 0)
		title = NULL;
	if (title)
		plot = add_plot(plots, kind, title);
	if (plot)
		err = make_plot(plots, plot, subject, what, 1, d, why);
	free(subject);
	return err;
}

static int make_stacks(const struct fl_summary *summary, struct fl_plots *plots,
		       struct drawing *d, struct fl_complaint *why)
{
	int err = 0;

	for (size_t c = 0; c < summary->nr_cells && !err; c++)
		if (fl_plot_has_stack(&summary->cells[c]))
			err = make_subject(&summary->cells[c],
				"What resident pages are for", FL_PLOT_STACK,
				&summary->cells[c], plots, d, why);
	return err;
}

static int miss_pareto(const struct fl_summary_cell *cell, const char *reason,
		       struct fl_plots *plots)
{
	char *subject = subject_of(cell), *title;
	int err = -ENOMEM;

	if (subject && asprintf(&title, PARETO ", %s", subject) >= 0) {
		err = add_missing(plots, FL_PLOT_PARETO, title, reason);
		free(title);
	}
	free(subject);
	return err;
}

/* For each cell that counted pages, with what its workload took. */
static int make_paretos(const struct fl_summary *summary, struct fl_plots *plots,
			struct drawing *d, struct fl_complaint *why)
{
	int err = 0;

	for (size_t c = 0; c < summary->nr_cells && !err; c++) {
		struct fl_pareto p = { .pages = &summary->cells[c] };
		size_t nr = 0, nr_cells = 0;

		if (!fl_plot_has_stack(p.pages))
			continue;
		while (!err && fl_plot_pareto_next(summary, &p)) {
			nr_cells++;
			if (!fl_plot_pareto_points(&p))
				continue;
			nr++;
			err = make_subject(p.timed, PARETO, FL_PLOT_PARETO, &p,
					   plots, d, why);
			if (!err)
				err = fl_plot_pareto_without(&p,
					&plots->plots[plots->nr - 1].without);
		}
		if (!nr && !err)
			err = miss_pareto(p.pages, nr_cells ?
				"no arm has both its pages counted and a time per event" :
				"pages were counted, but no cell times this workload with these blocks",
				plots);
	}
	return err;
}

/* One of a kind for @nr cells from @cells on; benches without any lack nothing. */
static int make_bench(const struct fl_summary_cell *cells, size_t nr,
		      const char *subject, enum fl_plot_kind kind,
		      struct fl_plots *plots, struct drawing *d,
		      struct fl_complaint *why)
{
	struct fl_plot *plot;
	char *title;

	if (asprintf(&title, "%s per %s, %s", kind == FL_PLOT_LEVELS ?
		     "Time" : "Percentiles of the time",
		     cells->op ? cells->op : "op", subject) < 0)
		title = NULL;
	plot = add_plot(plots, kind, title);
	return plot ? make_plot(plots, plot, subject, cells, nr, d, why) : -ENOMEM;
}

static int make_benches(const struct fl_summary *summary,
			struct fl_plots *plots, struct drawing *d,
			struct fl_complaint *why)
{
	int err = 0;

	for (size_t c = 0, nr; c < summary->nr_cells && !err; c += nr) {
		const struct fl_summary_cell *cells = &summary->cells[c];

		nr = fl_plot_group(cells, summary->nr_cells - c);
		for (size_t i = 0; i < nr && !err; i++)
			if (fl_plot_has_percentiles(&cells[i]))
				err = make_bench(&cells[i], 1, nr > 1 ?
						 cells[i].name : cells->title,
						 FL_PLOT_PERCENTILES, plots, d,
						 why);
		if (!err && fl_plot_has_levels(cells, nr))
			err = make_bench(cells, nr, cells->title, FL_PLOT_LEVELS,
					 plots, d, why);
	}
	return err;
}

static int make_queries(const struct fl_query_plots *queries,
			struct fl_plots *plots, struct drawing *d,
			struct fl_complaint *why)
{
	int err = 0;

	for (size_t i = 0; i < queries->nr && !err; i++) {
		const struct fl_query_plot *query = &queries->list[i];
		const enum fl_plot_kind kind = query->lines ? FL_PLOT_LINES :
							      FL_PLOT_ROWS;
		struct fl_plot *plot;

		if (!query->nr_rows) {
			err = add_missing(plots, kind, query->title,
					  "no sample of this campaign says anything about it");
			continue;
		}
		plot = add_plot(plots, kind, strdup(query->title));
		if (!plot || !(plot->caption = strdup(query->caption)))
			return -ENOMEM;
		plot->aside = query->of_all;
		if (query->missing && !(plot->without = strdup(query->missing)))
			return -ENOMEM;
		err = make_plot(plots, plot, query->name, query, 1, d, why);
	}
	return err;
}

static int make_all(const struct fl_summary *summary, struct drawing *d,
		    struct fl_plots *out, struct fl_complaint *why)
{
	struct fl_plots plots = { .drawn = !d->reason };
	int err;

	if (fl_breakevens_predicted(summary->breakevens,
				    summary->nr_breakevens))
		err = make_breakevens(summary, &plots, d, why);
	else
		err = make_crossings(summary, &plots, d, why);
	if (!err)
		err = make_paretos(summary, &plots, d, why);
	if (!err)
		err = make_stacks(summary, &plots, d, why);
	if (!err)
		err = make_residents(summary, &plots, d, why);
	if (!err)
		err = make_benches(summary, &plots, d, why);
	if (!err && d->options && d->options->queries)
		err = make_queries(d->options->queries, &plots, d, why);
	if (!err)
		err = draw_all(d, &plots);
	if (err) {
		fl_plots_free(&plots);
		if (err == -ENOMEM)
			fl_complain(why, err, "%s", strerror(ENOMEM));
		return err;
	}
	*out = plots;
	return 0;
}

int fl_plots_make(const struct fl_summary *summary, const char *scripts,
		  const struct fl_palette *palette, const char *folder,
		  const struct fl_plot_options *options, struct fl_plots *out,
		  struct fl_complaint *why)
{
	struct drawing d = {
		.scripts = scripts, .folder = folder, .palette = palette,
		.options = options,
	};
	int err;

	if (mkdir(folder, 0777) && errno != EEXIST)
		return fl_complain(why, -errno, "%s: %s", folder,
				   strerror(errno));
	err = make_all(summary, &d, out, why);
	if (!err && !out->drawn && why)
		*why = d.said;
	return err;
}

int fl_plots_none(const struct fl_summary *summary, const char *reason,
		  struct fl_plots *out)
{
	struct drawing d = { .reason = reason };

	return make_all(summary, &d, out, NULL);
}

void fl_plots_free(struct fl_plots *plots)
{
	for (size_t i = 0; i < plots->nr; i++) {
		free(plots->plots[i].title);
		free(plots->plots[i].file);
		free(plots->plots[i].wide);
		free(plots->plots[i].narrow);
		free(plots->plots[i].missing);
		free(plots->plots[i].caption);
		free(plots->plots[i].without);
	}
	free(plots->plots);
	*plots = (struct fl_plots){ 0 };
}

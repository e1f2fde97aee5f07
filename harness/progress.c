/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "harness/progress.h"

#define TERMINAL_S	0.1
#define ELSEWHERE_S	10.0
#define BAR_COLUMNS	20u
#define COLUMNS_DEFAULT	80u
#define COLUMNS_MAX	240u

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void fl_progress_time(double seconds, char *out, size_t out_bytes)
{
	const uint64_t s = seconds > 0 ? (uint64_t)(seconds + 0.5) : 0;

	if (s >= 3600)
		snprintf(out, out_bytes,
			 "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600,
			 s / 60 % 60, s % 60);
	else
		snprintf(out, out_bytes, "%" PRIu64 ":%02" PRIu64, s / 60,
			 s % 60);
}

void fl_progress_start(struct fl_progress *progress, FILE *to)
{
	*progress = (struct fl_progress){
		.to = to, .terminal = to && isatty(fileno(to)),
		.started_s = now_s(),
	};
	progress->last_s = progress->started_s;
}

static unsigned columns(FILE *terminal)
{
	struct winsize size;

	if (ioctl(fileno(terminal), TIOCGWINSZ, &size) || !size.ws_col)
		return COLUMNS_DEFAULT;
	return size.ws_col < COLUMNS_MAX ? size.ws_col : COLUMNS_MAX;
}

void fl_progress_at(struct fl_progress *progress, uint64_t done, uint64_t total,
		    double left_s, const char *what)
{
	char bar[BAR_COLUMNS + 1], line[COLUMNS_MAX + 1], elapsed[16], left[16];
	const double now = now_s();
	size_t full;

	if (!progress->to || now - progress->last_s <
	    (progress->terminal ? TERMINAL_S : ELSEWHERE_S))
		return;
	progress->last_s = now;
	fl_progress_time(now - progress->started_s, elapsed, sizeof(elapsed));
	fl_progress_time(left_s, left, sizeof(left));
	if (!progress->terminal) {
		fprintf(progress->to,
			"%" PRIu64 "/%" PRIu64 " samples, %s elapsed, about %s left, at %s\n",
			done, total, elapsed, left, what);
		fflush(progress->to);
		return;
	}
	full = total ? (size_t)(done * BAR_COLUMNS / total) : 0;
	full = full < BAR_COLUMNS ? full : BAR_COLUMNS;
	memset(bar, '#', full);
	memset(bar + full, '.', BAR_COLUMNS - full);
	bar[BAR_COLUMNS] = '\0';
	snprintf(line, sizeof(line),
		 "[%s] %" PRIu64 "/%" PRIu64 "  %s elapsed, %s left  %s", bar,
		 done, total, elapsed, left, what);
	/* One column less: the cursor at the end of a full line would wrap. */
	fprintf(progress->to, "\r%.*s\033[K", (int)columns(progress->to) - 1,
		line);
	fflush(progress->to);
	progress->shown = true;
}

void fl_progress_clear(struct fl_progress *progress)
{
	if (!progress->shown)
		return;
	fputs("\r\033[K", progress->to);
	fflush(progress->to);
	progress->shown = false;
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/resource.h>

#include "benches/giveback.h"

/* Enough for a section: a fault takes longer than what a page of it does. */
#define PAGES		16384u
#define KEPT_MAX	(1u << 18)

static bool is_timed(const struct faulter *f)
{
	return __atomic_load_n(&f->timed, __ATOMIC_ACQUIRE);
}

static uint64_t kernel_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return (uint64_t)usage.ru_minflt;
}

int faulter_open(struct faulter *f)
{
	int err = fl_reserve(PAGES * fl_page_bytes(), FL_OPEN, &f->base);
	char *ticks;

	if (err)
		return err;
	err = fl_reserve(KEPT_MAX * sizeof(*f->ticks), FL_OPEN, &ticks);
	if (err) {
		fl_release(f->base, PAGES * fl_page_bytes());
		f->base = NULL;
		return err;
	}
	f->ticks = (uint32_t *)(void *)ticks;
	/* Its faults are none of those that are to be measured. */
	for (size_t i = 0; i < KEPT_MAX; i++)
		f->ticks[i] = 1;
	return 0;
}

void faulter_close(struct faulter *f)
{
	fl_release(f->base, PAGES * fl_page_bytes());
	fl_release((char *)f->ticks, KEPT_MAX * sizeof(*f->ticks));
}

static void touch_pages(struct faulter *f, const struct companion *companion)
{
	const size_t page = fl_page_bytes();
	const uint64_t before = kernel_faults();

	for (size_t i = 0; i < PAGES && is_timed(f) &&
			   !companion_stops(companion); i++) {
		uint64_t ticks = fl_ticks();

		*(volatile char *)(f->base + i * page) = 1;
		ticks = fl_ticks() - ticks;
		/* Half of the last one may lie behind the section. */
		if (f->nr_kept < KEPT_MAX && is_timed(f))
			f->ticks[f->nr_kept++] =
				ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
		__atomic_store_n(&f->nr_faults, f->nr_faults + 1,
				 __ATOMIC_RELEASE);
	}
	f->nr_kernel += kernel_faults() - before;
}

void faulter_work(struct companion *companion, void *argument)
{
	struct faulter *f = argument;
	unsigned turn = 0;

	while (!companion_stops(companion)) {
		if (__atomic_load_n(&f->turn, __ATOMIC_ACQUIRE) == turn) {
			companion_relax();
			continue;
		}
		turn++;
		touch_pages(f, companion);
		__atomic_store_n(&f->done, turn, __ATOMIC_RELEASE);
	}
}

int faulter_begin(struct faulter *f)
{
	const uint64_t before = f->nr_faults;
	int err = fl_giveback_one(f->base, PAGES * fl_page_bytes(),
				  FL_GIVE_DONTNEED);

	if (err)
		return err;
	__atomic_store_n(&f->timed, true, __ATOMIC_RELEASE);
	__atomic_store_n(&f->turn, f->turn + 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&f->nr_faults, __ATOMIC_ACQUIRE) == before)
		companion_relax();
	return 0;
}

void faulter_end(struct faulter *f)
{
	__atomic_store_n(&f->timed, false, __ATOMIC_RELEASE);
	while (__atomic_load_n(&f->done, __ATOMIC_ACQUIRE) != f->turn)
		companion_relax();
}

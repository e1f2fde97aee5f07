/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "benches/fault_rig.h"
#include "faultline/compat.h"
#include "faultline/rseq_site.h"
#include "faultline/site.h"
#include "vm/place.h"
#include "vm/rseq.h"

/* ---- what mechanisms are made of ------------------------------------------ */

int rig_range(struct rig *rig, uint64_t nr, enum fl_access access)
{
	const size_t page = fl_page_bytes();
	int err = fl_reserve(nr * page, access, &rig->base);

	if (err)
		return err;
	rig->bytes = nr * page;
	rig->top = rig->base + rig->bytes;
	rig->stride = page;
	return 0;
}

void rig_fill(char *base, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += fl_page_bytes())
		*(volatile char *)(base + i) = 1;
}

bool rig_is_threaded(const struct mechanism *m, const uint64_t *values)
{
	return m->uffd && values[DELIVERY] == DELIVERY_THREAD;
}

bool rig_is_signalled(const struct mechanism *m, const uint64_t *values)
{
	return m->answer == ANSWER_REDIRECT ||
	       (m->answer == ANSWER_EXTEND && !rig_is_threaded(m, values));
}

static uint64_t uffd_features(const struct mechanism *m, const uint64_t *values)
{
	if (!m->uffd)
		return m->features;
	return m->features | (values[DELIVERY] == DELIVERY_THREAD ?
			      UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_EXACT_ADDRESS :
			      UFFD_FEATURE_SIGBUS);
}

int rig_uffd(struct rig *rig)
{
	return fl_uffd_open(uffd_features(rig->mechanism, rig->args->values),
			    &rig->uffd);
}

/* ---- handlers ------------------------------------------------------------- */

fl_behind_fault
static int resolve(struct rig *rig, char *address)
{
	char *page = address - ((uintptr_t)address & (fl_page_bytes() - 1));
	int err = rig->mechanism->resolve(rig, page);

	if (err && !rig->error)
		rig->error = err;
	return err;
}

/* False: not one of our sites. */
fl_behind_fault
static bool redirect(const struct rig *rig, const struct fl_fault *fault)
{
	struct fl_site_address interrupted;
	const struct fl_site_address *site = &interrupted;

	if (!rig->mechanism->rseq)
		site = fl_sites_find(&rig->sites, fl_fault_pc(fault));
	else if (!fl_rseq_interrupted(__start_fl_rseq_aborts,
				      __stop_fl_rseq_aborts, fault, &interrupted))
		site = NULL;
	if (site)
		fl_fault_redirect(fault, site, rig->landing);
	return site;
}

/*
 * What cannot be extended is redirected, so that the round ends and can say what
 * went wrong.
 */
fl_behind_fault
static bool handle(void *owner, const struct fl_fault *fault)
{
	struct rig *rig = owner;

	if ((rig->mechanism->answer != ANSWER_EXTEND || rig->serves ||
	     resolve(rig, fault->address)) && !redirect(rig, fault))
		return false;
	if (rig->serves)
		fl_uffd_declined(&rig->service, fault->address);
	rig->nr_signals++;
	rig->nr_user_returns += fault->user_return;
	return true;
}

/* A redirecting mechanism declines: that is how the thread gets its signal. */
fl_behind_fault
static bool serve(void *owner, char *address)
{
	struct rig *rig = owner;

	rig->nr_served++;
	/* The store wakes by the signal, or with it pending: it is not repeated. */
	if (rig->mechanism->sends) {
		fl_fault_raise(rig->tid, address);
		return true;
	}
	return rig->mechanism->answer == ANSWER_EXTEND && !resolve(rig, address);
}

/* ---- rounds --------------------------------------------------------------- */

/* Fault number @i of a round. */
fl_hot void fault_once(const struct rig *rig, uint64_t i, bool rseq)
{
	struct fl_cursor cursor = {
		.bump = rig->top - i * rig->stride, .limit = rig->armed,
	};

	if (rseq)
		fl_rseq_new(&cursor, OBJECT_BYTES, FL_GRAIN_BYTES, i + 1);
	else
		fl_site_new(&cursor.bump, OBJECT_BYTES, FL_GRAIN_BYTES, i + 1);
}

fl_hot void fault_many(const struct rig *rig, uint64_t nr, bool singly, bool rseq)
{
	struct fl_latency_sink *latency = rig->args->latency;

	for (uint64_t i = 0; i < nr; i++) {
		uint64_t begin = singly ? fl_ticks() : 0;

		fault_once(rig, i, rseq);
		if (singly)
			latency->add(latency, fl_ticks() - begin);
	}
}

/* One loop for each, without a test in it. */
static void fault_all(const struct rig *rig, uint64_t nr, bool singly)
{
	if (rig->mechanism->rseq) {
		if (singly)
			fault_many(rig, nr, true, true);
		else
			fault_many(rig, nr, false, true);
	} else if (singly) {
		fault_many(rig, nr, true, false);
	} else {
		fault_many(rig, nr, false, false);
	}
}

static uint64_t kernel_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return (uint64_t)usage.ru_minflt;
}

int rig_say(char *reason, size_t reason_bytes, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, reason_bytes, format, args);
	va_end(args);
	return -EIO;
}

/* Are the words where they belong, and the pages? */
static int check_pages(struct rig *rig, uint64_t nr, char *reason,
		       size_t reason_bytes)
{
	const bool redirected = rig->mechanism->answer == ANSWER_REDIRECT;
	const uint64_t want = redirected ? 0 : nr;
	const char *lowest = redirected ? rig->base : rig->top - nr * rig->stride;
	uint64_t word, pages;
	int err;

	for (uint64_t i = redirected ? nr - 1 : 0; i < nr; i++) {
		const char *top = redirected ? rig->landing :
					       rig->top - i * rig->stride;

		memcpy(&word, top - OBJECT_BYTES, sizeof(word));
		if (word != i + 1)
			return rig_say(reason, reason_bytes,
				"fault %llu stored %llu where it should have stored %llu",
				(unsigned long long)i, (unsigned long long)word,
				(unsigned long long)i + 1);
	}
	err = fl_census_pages(&rig->census, rig->census.best, lowest,
			      (size_t)(rig->top - lowest), &pages);
	if (err || pages == want)
		return err;
	return rig_say(reason, reason_bytes,
		"%llu pages are resident after %llu faults that should have made %llu so",
		(unsigned long long)pages, (unsigned long long)nr,
		(unsigned long long)want);
}

/*
 * Handlers count exactly.  The kernel's count may hold a fault of somebody else's
 * now and then (the harness's memory, a page moved by the kernel), so it is a lower
 * bound with some room.
 */
static int check_counts(const struct rig *rig, const struct tally *t, uint64_t nr,
			char *reason, size_t reason_bytes)
{
	const struct mechanism *m = rig->mechanism;
	const uint64_t *values = rig->args->values;
	const uint64_t signals = rig_is_signalled(m, values) ? nr : 0;
	const uint64_t user = values[RETURN] == RETURN_USER ? signals : 0;
	const uint64_t served = rig->serves ? nr : 0;

	if (rig->error)
		return rig_say(reason, reason_bytes, "a fault could not be resolved: %s",
			   strerror(-rig->error));
	if (t->signals != signals || t->served != served)
		return rig_say(reason, reason_bytes,
			"%llu faults: %llu signals instead of %llu, %llu events instead of %llu",
			(unsigned long long)nr, (unsigned long long)t->signals,
			(unsigned long long)signals,
			(unsigned long long)t->served,
			(unsigned long long)served);
	if (t->user_returns != user)
		return rig_say(reason, reason_bytes,
			"%llu of %llu handlers returned in user space instead of %llu",
			(unsigned long long)t->user_returns,
			(unsigned long long)signals, (unsigned long long)user);
	if (m->answer == ANSWER_KERNEL &&
	    (t->kernel < nr || t->kernel > nr + nr / 8 + 16))
		return rig_say(reason, reason_bytes,
			"%llu faults, but the kernel counted %llu",
			(unsigned long long)nr, (unsigned long long)t->kernel);
	return 0;
}

static int one_round(struct rig *rig, uint64_t nr, bool singly,
		     struct tally *sum, char *reason, size_t reason_bytes)
{
	const struct mechanism *m = rig->mechanism;
	struct fl_bench_meter *meter = rig->args->meter;
	struct tally t = { 0 };
	int err = m->arm ? m->arm(rig, nr) : 0;

	if (err) {
		rig_say(reason, reason_bytes, "pages could not be made to fault: %s",
		    strerror(-err));
		return err;
	}
	rig->nr_signals = rig->nr_served = rig->nr_user_returns = 0;
	if (sum->metered)
		meter->begin(meter);
	t.kernel = kernel_faults();
	t.ticks = fl_ticks();
	fault_all(rig, nr, singly);
	t.ticks = fl_ticks() - t.ticks;
	t.kernel = kernel_faults() - t.kernel;
	if (sum->metered)
		meter->end(meter, t.ticks, singly ? 0 : nr);
	t.signals = rig->nr_signals;
	t.user_returns = rig->nr_user_returns;
	t.served = rig->nr_served;
	err = check_counts(rig, &t, nr, reason, reason_bytes);
	if (!err)
		err = check_pages(rig, nr, reason, reason_bytes);
	sum->ticks += t.ticks;
	sum->signals += t.signals;
	sum->user_returns += t.user_returns;
	sum->served += t.served;
	sum->kernel += t.kernel;
	return err;
}

int rig_rounds(struct rig *rig, uint64_t nr, bool singly, struct tally *sum,
	       char *reason, size_t reason_bytes)
{
	int err = 0;

	while (nr && !err) {
		uint64_t n = nr < ROUND_FAULTS ? nr : ROUND_FAULTS;

		err = one_round(rig, n, singly, sum, reason, reason_bytes);
		nr -= n;
	}
	return err;
}

/* ---- opening and closing -------------------------------------------------- */

void rig_close(struct rig *rig)
{
	if (rig->serves)
		fl_uffd_stop(&rig->service);
	if (rig->watches)
		fl_fault_unwatch(&rig->watched);
	fl_uffd_close(&rig->uffd);
	fl_release(rig->base, rig->bytes);
	fl_release(rig->pool, rig->pool_bytes);
	fl_release(rig->landing - fl_page_bytes(), fl_page_bytes());
	if (rig->sites.sorted)
		fl_sites_close(&rig->sites);
	fl_census_close(&rig->census);
	/* The module may be unloaded next, and its sequences with it. */
	if (rig->armed)
		fl_rseq_disarm();
}

static int rig_serve(struct rig *rig)
{
	const int cpu = rig->args->values[CPU] == CPU_SAME ?
		rig->args->cpu : fl_place_other(rig->args->cpu);
	const enum fl_uffd_wait wait = (enum fl_uffd_wait)rig->args->values[WAIT];
	int err = fl_uffd_serve(&rig->service, &rig->uffd, wait, serve, rig, cpu);

	rig->serves = !err;
	return err;
}

int rig_open(struct rig *rig)
{
	const struct mechanism *m = rig->mechanism;
	char *page;
	int err;

	rig->uffd.fd = -1;
	rig->tid = gettid();
	rig->landing = (char *)fl_page_bytes();
	err = fl_census_open(&rig->census);
	if (err)
		return err;
	err = fl_reserve(fl_page_bytes(), FL_OPEN, &page);
	if (!err) {
		rig_fill(page, fl_page_bytes());
		rig->landing = page + fl_page_bytes();
		err = m->open(rig);
	}
	if (!err && m->rseq) {
		rig->armed = fl_rseq_armed();
		err = rig->armed ? 0 : -ENOSYS;
	}
	if (!err)
		err = fl_sites_open(__start_fl_sites, __stop_fl_sites,
				    &rig->sites);
	if (!err && m->answer != ANSWER_KERNEL) {
		rig->watched = (struct fl_fault_range){
			.base = rig->base, .bytes = rig->bytes,
			.handle = handle, .owner = rig,
			.user_return = rig->args->values[RETURN] == RETURN_USER,
		};
		err = fl_fault_watch(&rig->watched);
		rig->watches = !err;
	}
	if (!err && rig_is_threaded(m, rig->args->values))
		err = rig_serve(rig);
	if (err)
		rig_close(rig);
	return err;
}

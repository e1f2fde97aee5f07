/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "faultline/compat.h"
#include "faultline/site.h"
#include "harness/matrix_trap.h"
#include "vm/census.h"

static char *page_of(const char *address)
{
	return (char *)((uintptr_t)address & ~(fl_page_bytes() - 1));
}

static int thread_id(void)
{
	return (int)syscall(SYS_gettid);
}

/* ---- handlers ----------------------------------------------------------- */

/*
 * The two threads take turns, because one sleeps in its store while the other
 * answers.  The kernel sees to that; step and answered tell the language: who
 * reads the one or the other sees all that was written before it.
 */

/* The first to be told of this store says what it found. */
static void note(struct fl_trap *t, char *address)
{
	if (t->seen.tid)
		return;
	t->seen.tid = thread_id();
	t->seen.address = address;
	t->seen.step = __atomic_load_n(&t->step, __ATOMIC_ACQUIRE);
}

static bool redirect_site(struct fl_trap *t, const struct fl_fault *fault)
{
	const struct fl_site_address *site =
		fl_sites_find(&t->sites, fl_fault_pc(fault));

	if (!site)
		return false;
	fl_fault_redirect(fault, site, t->spare + fl_page_bytes());
	return true;
}

static bool on_fault(void *owner, const struct fl_fault *fault)
{
	struct fl_trap *t = owner;

	(void)__atomic_load_n(&t->answered, __ATOMIC_ACQUIRE);
	/* Of no store of ours: a bug, and it should look like one. */
	if (!t->storing)
		return false;
	note(t, fault->address);
	if (!t->seen.nr_signals++) {
		t->seen.signal = fault->signal;
		t->seen.code = fault->code;
	}
	if (!(t->m->redirect ? t->m->redirect(t, fault) :
			       redirect_site(t, fault)))
		siglongjmp(t->escape, 1);
	return true;
}

/* Answer the event; see fl_uffd_fn. */
static bool answer(struct fl_trap *t, char *address)
{
	if (t->hold_us)
		usleep(t->hold_us);
	note(t, address);
	t->seen.nr_events++;
	if (t->m->told == FL_TOLD_BOTH)
		return false;
	if (t->nr_wakes) {
		t->nr_wakes--;
		return true;
	}
	return !t->m->resolve(t, page_of(address));
}

static bool on_event(void *owner, char *address)
{
	struct fl_trap *t = owner;
	bool resolved;

	(void)__atomic_load_n(&t->step, __ATOMIC_ACQUIRE);
	resolved = answer(t, address);
	__atomic_fetch_add(&t->answered, 1, __ATOMIC_RELEASE);
	return resolved;
}

/* ---- setting it --------------------------------------------------------- */

bool fl_trap_prepare(struct fl_cell *cell, int err, const char *what)
{
	if (err) {
		fl_cell_set(cell, FL_CELL_FAILED, "%s: %s", what,
			    strerror(-err));
		cell->err = -err;
	}
	return !err;
}

static bool is_of_descriptors(int err)
{
	return err == -EMFILE || err == -ENFILE;
}

bool fl_trap_step(struct fl_cell *cell, int err, const char *what)
{
	if (is_of_descriptors(err))
		return fl_trap_prepare(cell, err, what);
	if (err)
		fl_cell_refused(cell, err, "%s: %s", what, strerror(-err));
	return !err;
}

static bool is_absent(int err)
{
	return err == -ENOSYS || err == -ENOTSUP || err == -ENOTTY ||
	       err == -EINVAL;
}

int fl_trap_map(struct fl_trap *t, enum fl_access access)
{
	return fl_reserve(t->bytes, access, &t->base);
}

/* What the trap needs beside its range; before the range, so that nothing is
 * put into an address range that a mechanism keeps unmapped. */
static int make_room(struct fl_trap *t)
{
	const size_t page = fl_page_bytes();
	int err = fl_sites_open(__start_fl_sites, __stop_fl_sites, &t->sites);

	if (!err)
		err = fl_reserve(page, FL_OPEN, &t->spare);
	if (!err)
		err = fl_reserve(page, FL_OPEN, &t->pool);
	if (!err)
		memset(t->pool, FL_TRAP_FILL, page);
	return err;
}

/* What comes after the allocation; false: the cell is filled. */
static bool open_trap(struct fl_trap *t, enum fl_access access,
		      struct fl_cell *cell)
{
	int err = make_room(t);

	if (!fl_trap_prepare(cell, err, "making room for the experiment"))
		return false;
	err = t->m->map(t, access);
	if (t->preparing)
		return fl_trap_prepare(cell, err, "making a file to map");
	if (!fl_trap_step(cell, err, access == FL_OPEN ?
			  "mapping it read-write, MAP_NORESERVE" :
			  "mapping it PROT_NONE"))
		return false;
	t->range = (struct fl_fault_range){
		.base = t->base, .bytes = t->bytes, .handle = on_fault,
		.owner = t,
	};
	err = fl_fault_watch(&t->range);
	t->watched = !err;
	return fl_trap_prepare(cell, err, "installing handlers");
}

struct fl_trap *fl_trap_open(const struct fl_mechanism *m, size_t bytes,
			     enum fl_access access, struct fl_cell *cell)
{
	char reason[200] = "";
	int err = m->probe(m, reason, sizeof(reason));
	struct fl_trap *t;

	if (err) {
		fl_cell_refused(cell, err, "%s", *reason ? reason :
						 strerror(-err));
		if (is_absent(err))
			cell->verdict = FL_CELL_ABSENT;
		if (is_of_descriptors(err))
			cell->verdict = FL_CELL_FAILED;
		return NULL;
	}
	t = malloc(sizeof(*t));
	if (!fl_trap_prepare(cell, t ? 0 : -ENOMEM, "malloc"))
		return NULL;
	*t = (struct fl_trap){
		.m = m, .bytes = bytes, .memfd = -1, .uffd = { .fd = -1 },
	};
	if (!open_trap(t, access, cell)) {
		fl_trap_close(t);
		return NULL;
	}
	return t;
}

bool fl_trap_attach(struct fl_trap *t, struct fl_cell *cell)
{
	const struct fl_mechanism *m = t->m;
	int err = m->attach ? m->attach(t) : 0;

	if (!fl_trap_step(cell, err, "attaching it to the range"))
		return false;
	if (m->told == FL_TOLD_EVENT || m->told == FL_TOLD_BOTH)
		err = fl_uffd_serve(&t->service, &t->uffd, FL_UFFD_BLOCK,
				    on_event, t, -1);
	/* That thread is part of the mechanism, and a limit may forbid it. */
	if (err == -EAGAIN)
		return fl_trap_step(cell, err,
				    "starting the service thread, which RLIMIT_NPROC (ulimit -u) may forbid");
	return fl_trap_prepare(cell, err, "starting the service thread");
}

bool fl_trap_arm(struct fl_trap *t, char *page, struct fl_cell *cell)
{
	return fl_trap_step(cell, t->m->arm(t, page), "arming a page");
}

void fl_trap_close(struct fl_trap *t)
{
	if (!t)
		return;
	fl_uffd_stop(&t->service);
	fl_uffd_close(&t->uffd);
	if (t->watched)
		fl_fault_unwatch(&t->range);
	if (t->memfd >= 0)
		close(t->memfd);
	fl_release(t->base, t->bytes);
	fl_release(t->pool, fl_page_bytes());
	fl_release(t->spare, fl_page_bytes());
	fl_sites_close(&t->sites);
	free(t);
}

struct fl_trap *fl_trap_small(const struct fl_mechanism *m, char **page,
			      struct fl_cell *cell)
{
	struct fl_trap *t = fl_trap_open(m, FL_TRAP_SMALL_BYTES, FL_OPEN, cell);
	const size_t bytes = fl_page_bytes();

	if (!t)
		return NULL;
	*page = t->base + t->bytes / 2;
	if (!m->maps_alone) {
		memset(*page - bytes, FL_TRAP_FILL, bytes);
		memset(*page + bytes, FL_TRAP_FILL, bytes);
	}
	if (!fl_trap_attach(t, cell) || !fl_trap_arm(t, *page, cell)) {
		fl_trap_close(t);
		return NULL;
	}
	return t;
}

/* ---- stepping into it --------------------------------------------------- */

void fl_trap_store_only(struct fl_trap *t, char *page)
{
	char *bump = page + fl_page_bytes(), *object;

	t->seen = (struct fl_seen){ 0 };
	t->storing = true;
	if (!sigsetjmp(t->escape, 1)) {
		__atomic_store_n(&t->step, 1, __ATOMIC_RELEASE);
		object = t->m->store ?
			 t->m->store(bump, FL_TRAP_WORD) :
			 fl_site_new(&bump, FL_TRAP_OBJECT_BYTES,
				     FL_GRAIN_BYTES, FL_TRAP_WORD);
		__atomic_store_n(&t->step, 2, __ATOMIC_RELEASE);
		(void)__atomic_load_n(&t->answered, __ATOMIC_ACQUIRE);
		t->seen.landed = object;
	}
	t->storing = false;
}

void fl_trap_store(struct fl_trap *t, char *page)
{
	const bool before = t->m->happened && t->m->happened(page);

	fl_trap_store_only(t, page);
	t->seen.happened = t->m->happened && !before && t->m->happened(page);
}

/* ---- looking at it ------------------------------------------------------ */

static const char *code_name(int signal, int code)
{
	static const struct {
		int signal, code;
		const char *name;
	} known[] = {
		{ SIGSEGV, SEGV_MAPERR, "SEGV_MAPERR" },
		{ SIGSEGV, SEGV_ACCERR, "SEGV_ACCERR" },
		{ SIGBUS, BUS_ADRERR, "BUS_ADRERR" },
		{ SIGBUS, BUS_MCEERR_AR, "BUS_MCEERR_AR" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].signal == signal && known[i].code == code)
			return known[i].name;
	return "another code";
}

static bool told_as_promised(const struct fl_trap *t, const char *page)
{
	const struct fl_seen *s = &t->seen;

	switch (t->m->told) {
	case FL_TOLD_NOBODY:
		return !s->nr_signals && !s->nr_events && s->happened;
	case FL_TOLD_SIGNAL:
		return s->nr_signals == 1 && !s->nr_events &&
		       s->signal == t->m->signal &&
		       (s->code == t->m->codes[0] ||
			s->code == t->m->codes[1]);
	case FL_TOLD_EVENT:
		return !s->nr_signals && s->nr_events &&
		       s->landed && page_of(s->landed) == page;
	case FL_TOLD_BOTH:
		return s->nr_events == 1 && s->nr_signals == 1;
	}
	return false;
}

bool fl_trap_fired(struct fl_trap *t, const char *page, char text[160])
{
	const struct fl_seen *s = &t->seen;
	bool fired = told_as_promised(t, page);

	if (s->tid && page_of(s->address) != page)
		fired = false;
	if (s->nr_events && s->nr_signals)
		snprintf(text, 160,
			 "an event, and then a signal at the interrupted store");
	else if (s->nr_events)
		snprintf(text, 160, "%u event%s", s->nr_events,
			 s->nr_events == 1 ? "" : "s");
	else if (s->nr_signals && !fired && t->m->told == FL_TOLD_SIGNAL)
		snprintf(text, 160, "SIG%s %s, and not SIG%s %s",
			 sigabbrev_np(s->signal), code_name(s->signal, s->code),
			 sigabbrev_np(t->m->signal),
			 code_name(t->m->signal, t->m->codes[0]));
	else if (s->nr_signals)
		snprintf(text, 160, "SIG%s %s at the store",
			 sigabbrev_np(s->signal), code_name(s->signal, s->code));
	else if (fired)
		snprintf(text, 160,
			 "the kernel dealt with the store, and nobody was told");
	else
		snprintf(text, 160,
			 "the store went through like any other");
	return fired;
}

int fl_trap_peek(const void *from, void *to, size_t bytes)
{
	int fd = memfd_create("peek", MFD_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	/* System calls say EFAULT where the program would die. */
	if (pwrite(fd, from, bytes, 0) != (ssize_t)bytes)
		err = -EFAULT;
	else if (pread(fd, to, bytes, 0) != (ssize_t)bytes)
		err = -EIO;
	close(fd);
	return err;
}

int fl_trap_present(const char *page)
{
	struct fl_census census;
	uint64_t pages = 0;
	int err = fl_census_open(&census);

	if (err)
		return err;
	err = fl_census_pages(&census, census.best, page,
			      fl_page_bytes(), &pages);
	fl_census_close(&census);
	return err ? err : (int)pages;
}

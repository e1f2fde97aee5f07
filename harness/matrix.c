/* SPDX-License-Identifier: MIT */
/*
 * The two lists that span the matrix, and the processes in which its cells are
 * filled.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/matrix_sysctl.h"
#include "harness/matrix_trap.h"

/* A cell that takes longer hangs; the slowest need some 30 ms. */
#define CELL_MS		10000

const struct fl_mechanism *const fl_mechanisms[] = {
	&fl_mech_uffd_event, &fl_mech_uffd_kernel, &fl_mech_uffd_signal,
	&fl_mech_uffd_sigbus, &fl_mech_uffd_minor, &fl_mech_uffd_minor_bus,
	&fl_mech_uffd_wp, &fl_mech_uffd_wp_bus, &fl_mech_uffd_wp_async,
	&fl_mech_uffd_move, &fl_mech_uffd_poison, &fl_mech_prot_none,
	&fl_mech_madv_guard, &fl_mech_grows_down, &fl_mech_rseq,
};

const size_t fl_nr_mechanisms = sizeof(fl_mechanisms) /
				sizeof(fl_mechanisms[0]);

const struct fl_property fl_properties[] = {
	{ "closed-16t", "closed", 0, "does a page fault as it should in 16 TiB of PROT_NONE?", fl_ask_giant, FL_GIANT_CLOSED },
	{ "opened-16t", "opened", 0, "does it in 16 TiB of PROT_NONE of which a part was opened by mprotect?", fl_ask_giant, FL_GIANT_OPENED },
	{ "open-16t", "open", 0, "does it in 16 TiB mapped read-write, MAP_NORESERVE? rlimit: with RLIMIT_STACK raised", fl_ask_giant, FL_GIANT_OPEN },
	{ "overcommit-0", "oc 0", 0, "can it have 16 TiB under vm.overcommit_memory=0? opened: only mapped PROT_NONE first", fl_ask_overcommit, 0 },
	{ "overcommit-1", "oc 1", 0, "can it under vm.overcommit_memory=1?", fl_ask_overcommit, 1 },
	{ "overcommit-2", "oc 2", 0, "can it under vm.overcommit_memory=2?", fl_ask_overcommit, 2 },
	{ "synchronous", "sync", 0, "is the store held, or its thread signalled, before that thread does anything else?", fl_ask_synchronous, 0 },
	{ "redirect", "redirect", 0, "can the store be sent to another block, and the guard stay without a page? maps: sent, but it gets one", fl_ask_redirect, 0 },
	{ "as-root", "root", 0, "does it work for root?", fl_ask_privilege, FL_AS_ROOT },
	{ "as-user", "user", 0, "does it work for a user without privileges?", fl_ask_privilege, FL_AS_USER },
	{ "vmas-per-guard", "VMAs", 1, "mappings that each guard costs; of userfaultfd none where all of the range is registered, as here, and two where guards alone are, as uffd_redirect has them", fl_ask_vmas, 0 },
	{ "table-bytes-per-guard", "tables", 1, "bytes of page tables that each guard costs, 2 MiB apart in an empty range", fl_ask_tables, 0 },
	{ "read", "read", 1, "does read(2) into a guard work?", fl_ask_access, FL_BY_READ },
	{ "io-uring", "io_uring", 1, "does a read by io_uring?", fl_ask_access, FL_BY_RING },
	{ "process-vm", "pvm", 1, "does process_vm_writev(2)?", fl_ask_access, FL_BY_PROCESS_VM },
	{ "fork", "fork", 1, "does the guard work in a child, after fork?", fl_ask_fork, 0 },
	{ "dontneed", "DONTNEED", 1, "does it work after MADV_DONTNEED?", fl_ask_dontneed, 0 },
	{ "huge-page", "huge", 1, "does a guard in a huge page split it?", fl_ask_huge, 0 },
};

const size_t fl_nr_properties = sizeof(fl_properties) /
				sizeof(fl_properties[0]);

/* ---- cells -------------------------------------------------------------- */

static void __attribute__((format(printf, 3, 0)))
fill(struct fl_cell *cell, enum fl_verdict verdict, const char *format,
     va_list args)
{
	*cell = (struct fl_cell){ .verdict = verdict };
	vsnprintf(cell->detail, sizeof(cell->detail), format, args);
}

void fl_cell_set(struct fl_cell *cell, enum fl_verdict verdict,
		 const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill(cell, verdict, format, args);
	va_end(args);
}

void fl_cell_yes(struct fl_cell *cell, const char *word, const char *format,
		 ...)
{
	va_list args;

	va_start(args, format);
	fill(cell, FL_CELL_YES, format, args);
	va_end(args);
	snprintf(cell->word, sizeof(cell->word), "%s", word);
}

void fl_cell_number(struct fl_cell *cell, double value, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill(cell, FL_CELL_NUMBER, format, args);
	va_end(args);
	cell->value = value;
}

void fl_cell_refused(struct fl_cell *cell, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill(cell, FL_CELL_REFUSED, format, args);
	va_end(args);
	cell->err = -err;
}

void fl_cell_unforked(struct fl_cell *cell, int err)
{
	/* Who may have no more processes learns nothing about a mechanism. */
	if (err == -EAGAIN)
		fl_cell_set(cell, FL_CELL_NOT_TRIED,
			    "fork: %s: there may be no process more to try it in (RLIMIT_NPROC, ulimit -u)",
			    strerror(-err));
	else
		fl_cell_set(cell, FL_CELL_FAILED, "fork: %s",
			    strerror(-err));
}

void fl_cell_add(struct fl_cell *cell, const char *format, ...)
{
	const size_t used = strlen(cell->detail);
	va_list args;

	va_start(args, format);
	vsnprintf(cell->detail + used, sizeof(cell->detail) - used, format,
		  args);
	va_end(args);
}

const char *fl_verdict_name(enum fl_verdict verdict)
{
	static const char *const names[] = {
		[FL_CELL_FAILED] = "failed", [FL_CELL_YES] = "yes",
		[FL_CELL_NO] = "no", [FL_CELL_NUMBER] = "number",
		[FL_CELL_REFUSED] = "refused", [FL_CELL_ABSENT] = "absent",
		[FL_CELL_NOT_TRIED] = "not-tried",
	};

	return names[verdict];
}

const char *fl_mechanism_name(const struct fl_mechanism *mechanism)
{
	return mechanism->name;
}

const char *fl_mechanism_what(const struct fl_mechanism *mechanism)
{
	return mechanism->what;
}

const char *fl_mechanism_since(const struct fl_mechanism *mechanism)
{
	return mechanism->since;
}

size_t fl_property_named(const char *name)
{
	for (size_t p = 0; p < fl_nr_properties; p++)
		if (!strcmp(fl_properties[p].name, name))
			return p;
	abort();
}

struct fl_cell *fl_matrix_cell(const struct fl_matrix *matrix, size_t m,
			       size_t p)
{
	return &matrix->cells[m * fl_nr_properties + p];
}

/* ---- one cell, in a process of its own ---------------------------------- */

static const int interrupts[] = { SIGINT, SIGTERM, SIGHUP };
#define NR_INTERRUPTS	(sizeof(interrupts) / sizeof(interrupts[0]))

static volatile sig_atomic_t interrupted;

/* The setting that is changed at the moment, or NULL. */
static const struct fl_sysctl *changed;

/* A cell's process, from its start to its end. */
struct started {
	pid_t pid;		/* 0: it could not be started */
	int go[2];		/* a pipe; both ends, so that no write is SIGPIPE */
	int report;		/* the end that its cell comes from */
};

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * (int64_t)1000 + now.tv_nsec / 1000000;
}

static void __attribute__((noreturn))
child(const struct fl_mechanism *m, const struct fl_property *p, pid_t parent,
      int go, int report)
{
	const struct rlimit no_core = { 0, 0 };
	struct fl_cell cell;
	char byte;

	for (size_t i = 0; i < NR_INTERRUPTS; i++)
		signal(interrupts[i], SIG_DFL);
	if (changed)
		fl_sysctl_leave(changed);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	setrlimit(RLIMIT_CORE, &no_core);
	fl_cell_set(&cell, FL_CELL_FAILED, "the experiment said nothing");
	if (read(go, &byte, 1) != 1)
		_exit(1);
	p->run(m, p, &cell);
	_exit(write(report, &cell, sizeof(cell)) != (ssize_t)sizeof(cell));
}

/* True when the whole cell has come. */
static bool receive(int fd, struct fl_cell *cell, bool *in_time)
{
	const int64_t end = now_ms() + CELL_MS;
	struct pollfd one = { .fd = fd, .events = POLLIN };
	int64_t left = CELL_MS;
	int n = 0;

	while (!interrupted && left > 0) {
		n = poll(&one, 1, (int)left);
		if (n > 0)
			break;
		left = end - now_ms();
	}
	*in_time = n > 0;
	return n > 0 && read(fd, cell, sizeof(*cell)) == (ssize_t)sizeof(*cell);
}

/* Start a cell's process, which waits for its go.  On failure, fills the cell. */
static void start_cell(const struct fl_mechanism *m,
		       const struct fl_property *p, struct started *out,
		       struct fl_cell *cell)
{
	const pid_t parent = getpid();
	int go[2], report[2];

	*out = (struct started){ .pid = 0 };
	if (pipe2(go, O_CLOEXEC)) {
		fl_cell_set(cell, FL_CELL_FAILED, "pipe: %s", strerror(errno));
		return;
	}
	if (pipe2(report, O_CLOEXEC)) {
		fl_cell_set(cell, FL_CELL_FAILED, "pipe: %s", strerror(errno));
		goto close_go;
	}
	fflush(NULL);
	out->pid = fork();
	if (!out->pid)
		child(m, p, parent, go[0], report[1]);
	if (out->pid < 0) {
		fl_cell_unforked(cell, -errno);
		out->pid = 0;
		close(report[1]);
		goto close_report;
	}
	close(report[1]);
	/* Whichever comes first; the group is what is killed in the end. */
	setpgid(out->pid, out->pid);
	out->go[0] = go[0];
	out->go[1] = go[1];
	out->report = report[0];
	return;

close_report:
	close(report[0]);
close_go:
	close(go[0]);
	close(go[1]);
}

/* Its children, too; and itself, unless it has ended.  Returns how it did. */
static int end_cell(const struct started *started)
{
	int status = 0;

	close(started->go[0]);
	close(started->go[1]);
	close(started->report);
	kill(-started->pid, SIGKILL);
	while (waitpid(started->pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static void finish_cell(const struct started *started, struct fl_cell *cell)
{
	bool complete, in_time = true;
	int status;

	complete = write(started->go[1], "", 1) == 1 &&
		   receive(started->report, cell, &in_time);
	status = end_cell(started);
	if (complete)
		return;
	if (!in_time)
		fl_cell_set(cell, FL_CELL_FAILED, "no end after %d s",
			    CELL_MS / 1000);
	else if (WIFSIGNALED(status))
		fl_cell_set(cell, FL_CELL_FAILED, "died of SIG%s",
			    sigabbrev_np(WTERMSIG(status)));
	else
		fl_cell_set(cell, FL_CELL_FAILED, "ended without a word");
}

/* ---- all of them -------------------------------------------------------- */

struct run {
	struct fl_matrix *matrix;
	size_t done, total;
};

static bool is_wanted(const struct fl_matrix *matrix, size_t m)
{
	return !matrix->wanted || matrix->wanted[m];
}

/* Is it a question about another overcommit policy than the present one? */
static bool is_of_other_policy(const struct fl_matrix *matrix,
			       const struct fl_property *p)
{
	return p->run == fl_ask_overcommit && p->arg != matrix->overcommit;
}

static void tell_progress(struct run *run, size_t m, size_t p)
{
	struct fl_matrix *matrix = run->matrix;

	if (matrix->progress)
		matrix->progress(matrix->arg, run->done, run->total,
				 fl_mechanisms[m]->name,
				 fl_properties[p].name);
	run->done++;
}

static void run_one(struct run *run, size_t m, size_t p)
{
	struct fl_cell *cell = fl_matrix_cell(run->matrix, m, p);
	struct started started;

	tell_progress(run, m, p);
	start_cell(fl_mechanisms[m], &fl_properties[p], &started, cell);
	if (started.pid)
		finish_cell(&started, cell);
}

static void run_present(struct run *run)
{
	struct fl_matrix *matrix = run->matrix;

	for (size_t m = 0; m < fl_nr_mechanisms; m++)
		for (size_t p = 0; is_wanted(matrix, m) &&
				   p < fl_nr_properties; p++) {
			if (interrupted)
				return;
			if (!is_of_other_policy(matrix, &fl_properties[p]))
				run_one(run, m, p);
			else if (!matrix->try_sysctl)
				fl_cell_set(fl_matrix_cell(matrix, m, p),
					    FL_CELL_NOT_TRIED,
					    "vm.overcommit_memory is %d, and root can have others tried by --try-sysctl",
					    matrix->overcommit);
		}
}

/*
 * What can be asked under this policy only; not a moment longer.  The processes
 * are there before: where more memory is promised than the policy allows, it lets
 * nobody fork.
 */
static int run_policy(struct run *run, struct fl_sysctl *sysctl, size_t p)
{
	struct fl_matrix *matrix = run->matrix;
	struct started *all = calloc(fl_nr_mechanisms, sizeof(*all));
	char value[16];
	int err;

	if (!all)
		return -ENOMEM;
	for (size_t m = 0; m < fl_nr_mechanisms; m++)
		if (is_wanted(matrix, m))
			start_cell(fl_mechanisms[m], &fl_properties[p],
				   &all[m], fl_matrix_cell(matrix, m, p));
	snprintf(value, sizeof(value), "%d\n", fl_properties[p].arg);
	err = fl_sysctl_set(sysctl, value);
	for (size_t m = 0; m < fl_nr_mechanisms; m++) {
		if (!all[m].pid)
			continue;
		if (err || interrupted) {
			end_cell(&all[m]);
			continue;
		}
		tell_progress(run, m, p);
		finish_cell(&all[m], fl_matrix_cell(matrix, m, p));
	}
	free(all);
	return err;
}

static int run_policies(struct run *run, struct fl_complaint *why)
{
	struct fl_sysctl sysctl;
	int err, end;

	err = fl_sysctl_begin(&sysctl, FL_SYSCTL_OVERCOMMIT);
	if (err == -EBUSY)
		return fl_complain(why, err,
				   "--try-sysctl: another process is changing vm.overcommit_memory for a moment; try again when it is done");
	if (err)
		return fl_complain(why, err,
				   "--try-sysctl: vm.overcommit_memory cannot be set: %s",
				   strerror(-err));
	changed = &sysctl;
	/* It could have been changed before the lock was ours. */
	run->matrix->overcommit = atoi(sysctl.was);
	for (size_t p = 0; !err && p < fl_nr_properties; p++)
		if (is_of_other_policy(run->matrix, &fl_properties[p]))
			err = run_policy(run, &sysctl, p);
	changed = NULL;
	end = fl_sysctl_end(&sysctl);
	if (end)
		return fl_complain(why, end,
				   "vm.overcommit_memory could not be set back: sysctl vm.overcommit_memory=%s does it",
				   sysctl.was);
	if (err)
		return fl_complain(why, err,
				   "--try-sysctl: vm.overcommit_memory cannot be set: %s",
				   strerror(-err));
	return 0;
}

static void count(struct run *run)
{
	const struct fl_matrix *matrix = run->matrix;

	for (size_t m = 0; m < fl_nr_mechanisms; m++)
		for (size_t p = 0; is_wanted(matrix, m) &&
				   p < fl_nr_properties; p++)
			run->total += matrix->try_sysctl ||
				      !is_of_other_policy(matrix,
							  &fl_properties[p]);
}

int fl_matrix_run(struct fl_matrix *matrix, struct fl_complaint *why)
{
	const struct sigaction action = { .sa_handler = on_interrupt };
	struct sigaction before[NR_INTERRUPTS];
	struct run run = { .matrix = matrix };
	char policy[FL_SYSCTL_BYTES];
	int err;

	err = fl_sysctl_read(FL_SYSCTL_OVERCOMMIT, policy);
	if (err)
		return fl_complain(why, err, "%s: %s", FL_SYSCTL_OVERCOMMIT,
				   strerror(-err));
	matrix->overcommit = atoi(policy);
	count(&run);
	interrupted = 0;
	/* No SA_RESTART: the wait for a cell ends.  Ignored they stay. */
	for (size_t i = 0; i < NR_INTERRUPTS; i++)
		if (!sigaction(interrupts[i], NULL, &before[i]) &&
		    before[i].sa_handler != SIG_IGN)
			sigaction(interrupts[i], &action, NULL);
	/* First, so that what cannot be is known before the rest. */
	if (matrix->try_sysctl)
		err = run_policies(&run, why);
	if (!err)
		run_present(&run);
	for (size_t i = 0; i < NR_INTERRUPTS; i++)
		sigaction(interrupts[i], &before[i], NULL);
	return !err && interrupted ? -EINTR : err;
}

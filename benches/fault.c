/* SPDX-License-Identifier: MIT */
/*
 * fault: what one fault costs, by who resolves it and how.
 *
 * An op is one allocation at a fault site (faultline/site.h) whose store faults,
 * from the store to the instruction behind it.  Handlers are entered by vm/fault.h
 * and vm/uffd.h, as a strategy's are.  Faults come in rounds, in pages from the top
 * of a range down; what makes them possible again is not timed.
 *
 * A round that does not add up fails the sample: each fault was answered by the
 * handler it is for, once, or else by the kernel's own; pages that should be there
 * are, with the words that were stored, and others are not.
 */
#include <errno.h>
#include <string.h>

#include "benches/companion.h"
#include "benches/fault_rig.h"
#include "vm/fault_resume.h"
#include "vm/place.h"

/* The first rounds fill page tables and caches. */
#define WARM_ROUNDS	2u

#define STRING(name)	#name,
static const char *const mechanism_names[] = { MECHANISMS(STRING) NULL };
#define ADDRESS(name)	&fault_##name,
static const struct mechanism *const mechanisms[] = { MECHANISMS(ADDRESS) };

static const char *const returns[] = { "sigreturn", "user", NULL };
static const char *const deliveries[] = { "sigbus", "thread", NULL };
static const char *const waits[] = { "block", "poll", "busy", "io_uring", NULL };
static const char *const cpus[] = { "same", "other", "awake", NULL };

static const struct fl_tunable tunables[] = {
	[MECHANISM] = {
		.name = "mechanism", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "who resolves the fault, and how",
		.choices = mechanism_names,
	},
	[RETURN] = {
		.name = "return", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "how a signal's handler goes back to the program: by "
			"system call, or by restoring all registers itself (user)",
		.choices = returns,
	},
	[DELIVERY] = {
		.name = "delivery", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "userfaultfd: SIGBUS to the faulting thread, or an event to "
			"a service thread",
		.choices = deliveries,
	},
	[WAIT] = {
		.name = "wait", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "how the service thread waits for an event",
		.choices = waits,
	},
	[CPU] = {
		.name = "cpu", .unit = "", .kind = FL_TUNABLE_CHOICE,
		.help = "of the service thread: the same, another, or another "
			"that an idle loop keeps awake",
		.choices = cpus,
	},
	[THREADS] = {
		.name = "threads", .unit = "1", .kind = FL_TUNABLE_COUNT,
		.help = "running threads of the process; the second merely runs, on "
			"another CPU",
		.def = 1, .min = 1, .max = 2,
	},
};

enum { HANDLED, KERNEL_FAULTS };

static const struct fl_bench_metric metrics[] = {
	[HANDLED] = {
		"handled", "1",
		"faults of the stretch that a handler or a service thread answered",
	},
	[KERNEL_FAULTS] = {
		"kernel_faults", "1",
		"minor faults of the faulting thread that the kernel counted in them",
	},
};

static int measure(struct rig *rig, struct fl_bench_result *result, char *reason,
		   size_t reason_bytes)
{
	const struct fl_bench_args *args = rig->args;
	const uint64_t nr_faults = args->nr_ops +
		(args->planted ? args->nr_ops / FL_BENCH_PLANTED_EVERY : 0);
	struct tally warm = { 0 }, sum = { .metered = true };
	struct tally single = { .metered = true };
	int err = rig_rounds(rig, WARM_ROUNDS * ROUND_FAULTS, false, &warm,
			       reason, reason_bytes);

	if (err)
		return err;
	args->meter->start(args->meter);
	err = rig_rounds(rig, nr_faults, false, &sum, reason, reason_bytes);
	args->meter->stop(args->meter);
	for (uint64_t nr = args->nr_single; nr && !err; nr = fl_bench_again(args))
		err = rig_rounds(rig, nr, true, &single, reason, reason_bytes);
	if (err)
		return err;
	result->ticks = sum.ticks;
	result->nr_ops = args->nr_ops;
	result->values[HANDLED] =
		(double)(rig->serves ? sum.served : sum.signals);
	result->values[KERNEL_FAULTS] = (double)sum.kernel;
	return 0;
}

static int fault_run(const struct fl_bench_args *args,
		     struct fl_bench_result *result, char *reason,
		     size_t reason_bytes)
{
	const uint64_t *values = args->values;
	struct companion second = { .kind = COMPANION_RUNS };
	struct companion awake = { .kind = COMPANION_AWAKE };
	struct rig rig = {
		.mechanism = mechanisms[values[MECHANISM]],
		.args = args,
		.nr_faults_max = WARM_ROUNDS * ROUND_FAULTS + args->nr_ops +
				 args->nr_ops / FL_BENCH_PLANTED_EVERY +
				 2 * args->nr_single,	/* fl_bench_again */
	};
	const int other = fl_place_other(args->cpu);
	int err = 0;

	if (values[THREADS] == 2)
		err = companion_start(&second, other);
	if (!err && values[CPU] == CPU_AWAKE)
		err = companion_start(&awake, other);
	if (!err)
		err = rig_open(&rig);
	if (err) {
		rig_say(reason, reason_bytes, "%s cannot be set up: %s",
		    mechanism_names[values[MECHANISM]], strerror(-err));
	} else {
		err = measure(&rig, result, reason, reason_bytes);
		rig_close(&rig);
	}
	companion_stop(&awake);
	companion_stop(&second);
	return err;
}

/* A setting that would change nothing is refused, so that no plan is misled. */
static int probe_settings(const uint64_t *values, char *reason,
			  size_t reason_bytes)
{
	const struct mechanism *m = mechanisms[values[MECHANISM]];
	const bool threaded = rig_is_threaded(m, values);
	const char *what = NULL;

	if (values[DELIVERY] == DELIVERY_THREAD && !m->uffd)
		what = "delivery=thread needs a userfaultfd mechanism that has events";
	else if (m->sends && !threaded)
		what = "redirect_signal is sent by a service thread: set delivery=thread";
	else if (!threaded && (values[CPU] != CPU_SAME || values[WAIT]))
		what = "cpu and wait are a service thread's: set delivery=thread";
	else if (values[RETURN] == RETURN_USER && !rig_is_signalled(m, values))
		what = "return=user needs a signal, and nobody gets one here";
	if (!what)
		return 0;
	rig_say(reason, reason_bytes, "%s", what);
	return -EINVAL;
}

/* What the settings need of this host beside the mechanism itself. */
static int probe_host(const uint64_t *values, char *reason, size_t reason_bytes)
{
	int err = 0;

	if (values[THREADS] == 2)
		err = companion_probe("threads=2", reason, reason_bytes);
	if (!err && values[CPU] != CPU_SAME)
		err = companion_probe("a service thread on another CPU", reason,
				      reason_bytes);
	if (!err && values[WAIT])
		err = fl_uffd_wait_probe((enum fl_uffd_wait)values[WAIT], reason,
					 reason_bytes);
	if (!err && values[RETURN] == RETURN_USER)
		err = fl_fault_resume_probe(reason, reason_bytes);
	if (!err && mechanisms[values[MECHANISM]]->probe)
		err = mechanisms[values[MECHANISM]]->probe(reason, reason_bytes);
	return err;
}

/* Really tries it: one round. */
static int fault_probe(const uint64_t *values, char *reason, size_t reason_bytes)
{
	const struct fl_bench_args args = {
		.values = values, .nr_ops = 1, .cpu = fl_place_cpu(),
	};
	struct rig rig = {
		.mechanism = mechanisms[values[MECHANISM]], .args = &args,
		.nr_faults_max = 1,
	};
	struct tally tally = { 0 };
	int err = probe_settings(values, reason, reason_bytes);

	if (!err)
		err = probe_host(values, reason, reason_bytes);
	if (err)
		return err;
	err = rig_open(&rig);
	if (err) {
		rig_say(reason, reason_bytes, "this kernel refuses %s: %s",
		    mechanism_names[values[MECHANISM]], strerror(-err));
		return err;
	}
	err = rig_rounds(&rig, 1, false, &tally, reason, reason_bytes);
	rig_close(&rig);
	return err;
}

FL_BENCH(
	.name = "fault",
	.summary = "one fault, by who resolves it and how",
	.op = "fault",
	.ops_default = 1 << 14,
	.tunables = tunables,
	.nr_tunables = sizeof(tunables) / sizeof(tunables[0]),
	.metrics = metrics,
	.nr_metrics = sizeof(metrics) / sizeof(metrics[0]),
	.probe = fault_probe,
	.run = fault_run,
);

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/perf_event.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "harness/counters.h"

#define CACHE(cache, op, result)					\
	(PERF_COUNT_HW_CACHE_##cache | PERF_COUNT_HW_CACHE_OP_##op << 8 | \
	 PERF_COUNT_HW_CACHE_RESULT_##result << 16)

/*
 * The perf event behind each counter.  kernel_side: it only ever happens while
 * the kernel runs, so that counting user space alone would yield a false 0.
 */
static const struct event {
	enum fl_counter id;
	uint32_t type;
	uint64_t config;
	bool kernel_side;
} events[] = {
	{ FL_COUNTER_perf_page_faults, PERF_TYPE_SOFTWARE,
	  PERF_COUNT_SW_PAGE_FAULTS, false },
	{ FL_COUNTER_perf_minor_faults, PERF_TYPE_SOFTWARE,
	  PERF_COUNT_SW_PAGE_FAULTS_MIN, false },
	{ FL_COUNTER_perf_major_faults, PERF_TYPE_SOFTWARE,
	  PERF_COUNT_SW_PAGE_FAULTS_MAJ, false },
	{ FL_COUNTER_perf_switches, PERF_TYPE_SOFTWARE,
	  PERF_COUNT_SW_CONTEXT_SWITCHES, true },
	{ FL_COUNTER_perf_migrations, PERF_TYPE_SOFTWARE,
	  PERF_COUNT_SW_CPU_MIGRATIONS, true },
	{ FL_COUNTER_perf_task_clock_ns, PERF_TYPE_SOFTWARE,
	  PERF_COUNT_SW_TASK_CLOCK, false },
	{ FL_COUNTER_cycles, PERF_TYPE_HARDWARE,
	  PERF_COUNT_HW_CPU_CYCLES, false },
	{ FL_COUNTER_instructions, PERF_TYPE_HARDWARE,
	  PERF_COUNT_HW_INSTRUCTIONS, false },
	{ FL_COUNTER_branches, PERF_TYPE_HARDWARE,
	  PERF_COUNT_HW_BRANCH_INSTRUCTIONS, false },
	{ FL_COUNTER_branch_misses, PERF_TYPE_HARDWARE,
	  PERF_COUNT_HW_BRANCH_MISSES, false },
	{ FL_COUNTER_dtlb_load_misses, PERF_TYPE_HW_CACHE,
	  CACHE(DTLB, READ, MISS), false },
	{ FL_COUNTER_l1d_load_misses, PERF_TYPE_HW_CACHE,
	  CACHE(L1D, READ, MISS), false },
};

#define NR_EVENTS	(sizeof(events) / sizeof(events[0]))

/* What read(2) returns for an event with our read_format. */
struct reading {
	uint64_t value, enabled_ns, running_ns;
};

struct open_event {
	int fd;			/* -1: reason says why */
	bool user_only;
	bool have_start;
	struct reading start;
	char reason[FL_REASON_BYTES];
};

/* A value, or why there is none. */
struct steal {
	bool have;
	uint64_t ms;
	char reason[FL_REASON_BYTES];
};

struct fl_counters {
	enum fl_counters_scope scope;
	int cpu;
	struct rusage start_usage;
	int start_usage_err;
	struct steal start_steal;
	struct open_event event[NR_EVENTS];
};

static const char *const names[] = {
#define NAME(name, definition)	#name,
	FL_COUNTERS(NAME)
#undef NAME
};

static const char *const definitions[] = {
#define DEFINITION(name, definition)	definition,
	FL_COUNTERS(DEFINITION)
#undef DEFINITION
};

const char *fl_counter_name(enum fl_counter counter)
{
	return names[counter];
}

const char *fl_counter_definition(enum fl_counter counter)
{
	return definitions[counter];
}

static int perf_open(const struct event *event, bool inherit, bool user_only)
{
	struct perf_event_attr attr = {
		.type = event->type,
		.size = sizeof(attr),
		.config = event->config,
		.disabled = 1,
		.inherit = inherit,
		.exclude_kernel = user_only,
		.exclude_hv = 1,
		.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED |
			       PERF_FORMAT_TOTAL_TIME_RUNNING,
	};
	long fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1,
			  PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

/* What the common refusals mean; perf_event_open(2). */
static const char *meaning_of(int err)
{
	switch (err) {
	case EACCES:
	case EPERM:
		return " (needs CAP_PERFMON or a lower kernel.perf_event_paranoid)";
	case ENOENT:
	case EOPNOTSUPP:
		return " (this host has no such event)";
	case ENOSYS:
		return " (this kernel has no perf events)";
	default:
		return "";
	}
}

static void open_event(struct open_event *open, const struct event *event,
		       bool inherit)
{
	int fd = perf_open(event, inherit, false);

	if ((fd == -EACCES || fd == -EPERM) && !event->kernel_side) {
		fd = perf_open(event, inherit, true);
		open->user_only = true;
	}
	open->fd = fd < 0 ? -1 : fd;
	if (fd < 0)
		snprintf(open->reason, sizeof(open->reason),
			 "perf_event_open: %s%s", strerror(-fd),
			 meaning_of(-fd));
}

int fl_counters_open(struct fl_counters **out, enum fl_counters_scope scope,
		     int cpu)
{
	struct fl_counters *counters = calloc(1, sizeof(*counters));

	if (!counters)
		return -ENOMEM;
	counters->scope = scope;
	counters->cpu = cpu;
	for (size_t i = 0; i < NR_EVENTS; i++)
		open_event(&counters->event[i], &events[i],
			   scope == FL_COUNT_PROCESS);
	*out = counters;
	return 0;
}

void fl_counters_close(struct fl_counters *counters)
{
	if (!counters)
		return;
	for (size_t i = 0; i < NR_EVENTS; i++)
		if (counters->event[i].fd >= 0)
			close(counters->event[i].fd);
	free(counters);
}

/*
 * Whether a steal time of 0 would mean that none was stolen.  Under a
 * hypervisor it may also mean that nobody tells: KVM says in its CPUID leaves
 * whether it does (Linux Documentation/virt/kvm/x86/cpuid.rst, bit 5), and for
 * the others we believe a counter that has moved since boot.
 */
static bool steal_is_reported(void)
{
#ifdef __x86_64__
	unsigned int a, b, c, d, vendor[3];

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 31 & 1))
		return true;
	__cpuid(0x40000000, a, vendor[0], vendor[1], vendor[2]);
	if (memcmp(vendor, "KVMKVMKVM\0\0\0", sizeof(vendor)))
		return false;
	__cpuid(0x40000001, a, b, c, d);
	return a >> 5 & 1;
#else
	return false;
#endif
}

/* Steal time of @cpu since boot. */
static void read_steal(int cpu, struct steal *steal)
{
	unsigned long long jiffies = 0;
	long hz = sysconf(_SC_CLK_TCK);
	char *line = NULL, wanted[32];
	size_t room = 0;
	int found = 0;
	FILE *file;

	*steal = (struct steal){ .have = false };
	if (cpu < 0) {
		snprintf(steal->reason, sizeof(steal->reason),
			 "not pinned to a CPU");
		return;
	}
	file = fopen("/proc/stat", "re");
	if (!file) {
		snprintf(steal->reason, sizeof(steal->reason),
			 "/proc/stat: %s", strerror(errno));
		return;
	}
	snprintf(wanted, sizeof(wanted), "cpu%d ", cpu);
	while (found <= 0 && getline(&line, &room, file) > 0)
		if (!strncmp(line, wanted, strlen(wanted)))
			found = sscanf(line, "%*s %*u %*u %*u %*u %*u %*u %*u %llu",
				       &jiffies);
	free(line);
	fclose(file);
	if (found != 1 || hz <= 0)
		snprintf(steal->reason, sizeof(steal->reason),
			 "/proc/stat: no steal time for CPU %d", cpu);
	else if (!jiffies && !steal_is_reported())
		snprintf(steal->reason, sizeof(steal->reason),
			 "the hypervisor does not report steal time");
	else
		*steal = (struct steal){
			.have = true,
			.ms = jiffies * 1000 / (unsigned long long)hz,
		};
}

/* Returns 0 or -errno. */
static int read_usage(const struct fl_counters *counters, struct rusage *usage)
{
	int who = counters->scope == FL_COUNT_THREAD ? RUSAGE_THREAD :
						       RUSAGE_SELF;

	return getrusage(who, usage) ? -errno : 0;
}

static bool read_event(int fd, struct reading *reading)
{
	return read(fd, reading, sizeof(*reading)) == sizeof(*reading);
}

void fl_counters_start(struct fl_counters *counters)
{
	read_steal(counters->cpu, &counters->start_steal);
	/* Differences, not PERF_EVENT_IOC_RESET: that leaves alone what threads
	 * that have ended had added to an inherited event. */
	for (size_t i = 0; i < NR_EVENTS; i++) {
		struct open_event *event = &counters->event[i];

		event->have_start = event->fd >= 0 &&
				    read_event(event->fd, &event->start);
	}
	counters->start_usage_err = read_usage(counters,
					       &counters->start_usage);
	for (size_t i = 0; i < NR_EVENTS; i++)
		if (counters->event[i].fd >= 0)
			ioctl(counters->event[i].fd, PERF_EVENT_IOC_ENABLE, 0);
}

static void set_count(struct fl_count *count, uint64_t value)
{
	*count = (struct fl_count){
		.have = true, .value = value, .running_share = 1,
	};
}

static void set_reason(struct fl_count *count, const char *reason)
{
	*count = (struct fl_count){ .have = false };
	snprintf(count->reason, sizeof(count->reason), "%s", reason);
}

static void count_event(const struct open_event *event, struct fl_count *count)
{
	uint64_t enabled_ns, running_ns;
	struct reading end;

	if (event->fd < 0) {
		set_reason(count, event->reason);
		return;
	}
	if (!event->have_start || !read_event(event->fd, &end)) {
		/* A short read is how the kernel reports a pinned event that
		 * lost its place; ours are not, but errno says nothing then. */
		set_reason(count, "the event could not be read");
		return;
	}
	enabled_ns = end.enabled_ns - event->start.enabled_ns;
	running_ns = end.running_ns - event->start.running_ns;
	if (!running_ns) {
		set_reason(count, "the event never got a hardware counter");
		return;
	}
	set_count(count, end.value - event->start.value);
	count->user_only = event->user_only;
	if (running_ns < enabled_ns) {
		count->running_share = (double)running_ns / (double)enabled_ns;
		count->value = (uint64_t)round((double)count->value /
					       count->running_share);
	}
}

static void count_steal(const struct fl_counters *counters,
			struct fl_count *count)
{
	const struct steal *start = &counters->start_steal;
	struct steal end;

	read_steal(counters->cpu, &end);
	if (!start->have)
		set_reason(count, start->reason);
	else if (!end.have)
		set_reason(count, end.reason);
	else
		set_count(count, end.ms - start->ms);
}

static void count_usage(const struct fl_counters *counters,
			const struct rusage *end, int end_err,
			struct fl_counts *out)
{
	const struct rusage *start = &counters->start_usage;
	int err = counters->start_usage_err ? counters->start_usage_err :
					      end_err;
	const struct {
		enum fl_counter id;
		long moved;
	} usage[] = {
		{ FL_COUNTER_minor_faults, end->ru_minflt - start->ru_minflt },
		{ FL_COUNTER_major_faults, end->ru_majflt - start->ru_majflt },
		{ FL_COUNTER_voluntary_switches,
		  end->ru_nvcsw - start->ru_nvcsw },
		{ FL_COUNTER_involuntary_switches,
		  end->ru_nivcsw - start->ru_nivcsw },
	};

	for (size_t i = 0; i < sizeof(usage) / sizeof(usage[0]); i++) {
		struct fl_count *count = &out->count[usage[i].id];

		if (err) {
			*count = (struct fl_count){ .have = false };
			snprintf(count->reason, sizeof(count->reason),
				 "getrusage: %s", strerror(-err));
		} else {
			set_count(count, (uint64_t)usage[i].moved);
		}
	}
}

void fl_counters_stop(struct fl_counters *counters, struct fl_counts *out)
{
	struct rusage end = { .ru_minflt = 0 };
	int err;

	for (size_t i = 0; i < NR_EVENTS; i++)
		if (counters->event[i].fd >= 0)
			ioctl(counters->event[i].fd, PERF_EVENT_IOC_DISABLE, 0);
	err = read_usage(counters, &end);
	count_usage(counters, &end, err, out);
	for (size_t i = 0; i < NR_EVENTS; i++)
		count_event(&counters->event[i], &out->count[events[i].id]);
	count_steal(counters, &out->count[FL_COUNTER_steal_ms]);
}

void fl_counts_add(struct fl_counts *sum, const struct fl_counts *more,
		   bool first)
{
	for (int id = 0; id < FL_NR_COUNTERS; id++) {
		struct fl_count *count = &sum->count[id];
		const uint64_t before = first ? 0 : count->value;

		if (!first && !count->have)
			continue;
		*count = more->count[id];
		count->value += before;
	}
}

json_t *fl_counts_json(const struct fl_counts *counts)
{
	json_t *json = json_object(), *reasons = json_object();
	json_t *user_only = json_array(), *shares = json_object();
	int failed = !json || !reasons || !user_only || !shares;

	for (int id = 0; id < FL_NR_COUNTERS && !failed; id++) {
		const struct fl_count *count = &counts->count[id];

		if (!count->have) {
			failed |= json_object_set_new(json, names[id],
						      json_null());
			failed |= json_object_set_new(reasons, names[id],
						      json_string(count->reason));
			continue;
		}
		failed |= json_object_set_new(json, names[id],
				json_integer((json_int_t)count->value));
		if (count->user_only)
			failed |= json_array_append_new(user_only,
							json_string(names[id]));
		if (count->running_share < 1)
			failed |= json_object_set_new(shares, names[id],
					json_real(count->running_share));
	}
	failed |= json_object_set_new(json, "reasons", reasons);
	failed |= json_object_set_new(json, "user_only", user_only);
	failed |= json_object_set_new(json, "running_share", shares);
	if (failed) {
		json_decref(json);
		return NULL;
	}
	return json;
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#if HAVE_NUMA
#include <numa.h>
#include <numaif.h>
#endif

#include "vm/place.h"

/* What the process was given, before any of its threads pinned itself. */
static cpu_set_t allowed;
static pthread_once_t allowed_once = PTHREAD_ONCE_INIT;

static void find_allowed(void)
{
	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		CPU_ZERO(&allowed);
	if (!CPU_COUNT(&allowed))
		CPU_SET(0, &allowed);
}

int fl_place_cpus(int *cpus, int max)
{
	int nr = 0;

	pthread_once(&allowed_once, find_allowed);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET((unsigned)cpu, &allowed)) {
			if (nr < max)
				cpus[nr] = cpu;
			nr++;
		}
	return nr;
}

int fl_place_cpu(void)
{
	return sched_getcpu();
}

int fl_place_pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0 || cpu >= CPU_SETSIZE)
		return -EINVAL;
	pthread_once(&allowed_once, find_allowed);
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

int fl_place_other(int cpu)
{
	int cpus[CPU_SETSIZE];
	int nr = fl_place_cpus(cpus, CPU_SETSIZE);

	for (int i = 0; i < nr; i++)
		if (cpus[i] != cpu)
			return cpus[i];
	return -1;
}

#if HAVE_NUMA

int fl_place_nodes(void)
{
	return numa_available() < 0 ? 1 : numa_max_node() + 1;
}

int fl_place_node(int cpu)
{
	int node = numa_available() < 0 ? 0 : numa_node_of_cpu(cpu);

	return node < 0 ? 0 : node;
}

/* mbind by itself: numa_tonode_memory prints its errors and returns nothing. */
int fl_place_memory(char *base, size_t bytes, int node)
{
	struct bitmask *nodes;
	int err;

	if (numa_available() < 0)
		return -ENOTSUP;
	if (node < 0 || node > numa_max_node())
		return -EINVAL;
	nodes = numa_allocate_nodemask();
	numa_bitmask_setbit(nodes, (unsigned)node);
	err = mbind(base, bytes, MPOL_BIND, nodes->maskp, nodes->size + 1, 0) ?
	      -errno : 0;
	numa_bitmask_free(nodes);
	return err;
}

#else

int fl_place_nodes(void)
{
	return 1;
}

int fl_place_node(int cpu)
{
	(void)cpu;
	return 0;
}

int fl_place_memory(char *base, size_t bytes, int node)
{
	(void)base;
	(void)bytes;
	(void)node;
	return -ENOTSUP;
}

#endif

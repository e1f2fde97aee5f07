/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>

#if HAVE_NUMA
#include <numa.h>
#endif

#include "vm/place.h"

int fl_place_cpus(int *cpus, int max)
{
	cpu_set_t set;
	int nr = 0;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) || !CPU_COUNT(&set))
		CPU_SET(0, &set);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET((unsigned)cpu, &set)) {
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

int fl_place_memory(char *base, size_t bytes, int node)
{
	if (numa_available() < 0)
		return -ENOTSUP;
	if (node < 0 || node > numa_max_node())
		return -EINVAL;
	numa_tonode_memory(base, bytes, node);
	return 0;
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

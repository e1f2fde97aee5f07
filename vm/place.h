/* SPDX-License-Identifier: MIT */
/*
 * vm/place.h: on which CPU a thread runs and on which node memory lies.
 *
 * Placement decides results here: a userfaultfd handler on another CPU costs
 * up to seven times what it costs on the same one.  So it is explicit
 * everywhere and recorded.  Nodes come from libnuma; a build without it, or a
 * kernel without NUMA, has one node, 0.
 *
 * Context: cold, MT-safe.
 */
#ifndef FL_VM_PLACE_H
#define FL_VM_PLACE_H

#include <stddef.h>

/*
 * CPUs this process may use, as they were before the first fl_place_pin, in
 * ascending order.  Returns how many (>= 1).
 */
int fl_place_cpus(int *cpus, int max);

/* The CPU the calling thread runs on now. */
int fl_place_cpu(void);

/* Pin the calling thread to @cpu.  0 or -errno (-EINVAL: not allowed here). */
int fl_place_pin(int cpu);

/* A CPU other than @cpu that this process may use, or -1. */
int fl_place_other(int cpu);

/* Number of memory nodes (>= 1); the node of @cpu (0 when unknown). */
int fl_place_nodes(void);
int fl_place_node(int cpu);

/*
 * Have pages of [base, base + bytes), whole pages, come from @node.  0, or
 * -ENOTSUP when built without libnuma or the kernel has no NUMA, -EINVAL (no such
 * node, or none this process may use), or mbind's -errno: -EFAULT (not mapped).
 */
int fl_place_memory(char *base, size_t bytes, int node);

#endif

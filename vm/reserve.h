/* SPDX-License-Identifier: MIT */
/*
 * vm/reserve.h: address space, up to 16 TiB of it at a time.
 *
 * Reserved memory costs addresses and no pages.  Two kinds: "open" (read-write,
 * MAP_NORESERVE: a touch is a demand-zero fault) and "closed" (PROT_NONE: a
 * touch is SIGSEGV).  Huge pages are refused for every reservation, because one
 * 2 MiB page would hide the page behaviour this project measures.
 *
 * Context: cold.  MT-safe.  fl_protect is async-signal-safe (a bare system
 * call); the others are not meant for handlers.
 */
#ifndef FL_VM_RESERVE_H
#define FL_VM_RESERVE_H

#include <stddef.h>

#define FL_RESERVE_BYTES_MAX	((size_t)16 << 40)

enum fl_access { FL_CLOSED, FL_OPEN };

/* The OS page in bytes, a power of two; cached after the first call. */
size_t fl_page_bytes(void);

/* @bytes rounded up to whole pages. */
size_t fl_page_round(size_t bytes);

/*
 * fl_reserve: Reserve @bytes of private anonymous memory, page aligned.
 * @bytes: 1 to FL_RESERVE_BYTES_MAX; rounded up to whole pages.
 * @base:  out; release with fl_release and the same @bytes.
 * Returns 0, -EINVAL (size), or mmap's -errno: -ENOMEM where the overcommit
 * policy or a ulimit refuses.
 */
int fl_reserve(size_t bytes, enum fl_access access, char **base);

/*
 * fl_reserve_aside: The same, for a reservation that is going to have holes: at
 * addresses where the kernel puts nothing by itself as long as there is room
 * elsewhere, so that nobody's mapping gets into a hole.  Who asks for an address
 * of its own may.
 * Returns as fl_reserve does; -ENOMEM, too, where there is no such room, and under
 * ThreadSanitizer.
 */
int fl_reserve_aside(size_t bytes, enum fl_access access, char **base);

/* fl_release: Give the reservation back.  NULL is allowed. */
void fl_release(char *base, size_t bytes);

/*
 * fl_protect: Make whole pages accessible or not; their contents stay.
 * Returns 0 or -errno: -ENOMEM at the VMA limit (vm.max_map_count).
 * Cost: 0.6 us for a frontier in untouched memory, 2 us where a VMA splits,
 * and an interrupt to every other running thread where access is taken away.
 */
int fl_protect(char *base, size_t bytes, enum fl_access access);

#endif

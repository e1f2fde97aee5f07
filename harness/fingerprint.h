/* SPDX-License-Identifier: MIT */
/*
 * harness/fingerprint.h: where a result comes from, so that unlike results are
 * never pooled by accident.
 *
 * A fingerprint is a JSON object of four members:
 *
 *	host	what decides how fast things go here and changes only when
 *		someone changes it: kernel; CPU kind, flags, caches, number,
 *		frequency governor, mitigations; NUMA nodes; hypervisor;
 *		container; page size; huge pages; sysctls; clock source; libc;
 *		whether we are root.
 *	build	compiler, flags, and SHA-256 of each binary named.
 *	about	what may differ between results that belong together: version,
 *		commit and configure line (the binaries' hashes say more),
 *		memory size (it varies with what the kernel reserves at boot),
 *		load.
 *	id	fl_fingerprint_id() over host and build.
 *
 * What this host does not have or does not tell is null.  Nothing in it names a
 * machine, a user or a path; paths within flags are cut out.
 *
 * Context: cold, thread-safe.
 */
#ifndef FL_FINGERPRINT_H
#define FL_FINGERPRINT_H

#include <jansson.h>
#include <stddef.h>

#include "harness/complain.h"

/* A binary that takes part in a run. */
struct fl_binary {
	const char *name;	/* how results call it; no '/' */
	const char *path;	/* where to read it; not recorded */
};

/*
 * fl_fingerprint_take: Look around.
 * @root: directory under which /proc, /sys and /run are looked for; NULL for
 *        the real ones.  What comes from system calls is always real.
 * @binaries: @nr_binaries of them, to be hashed.
 * @why: says which binary could not be read; may be NULL.
 *
 * Returns 0 and a new reference in *@out, or:
 *   -EINVAL: a binary's name holds a '/'.   -ENOMEM.
 *   -errno of open(2) or read(2) on a binary.
 * Cost: some 60 small files, and the binaries.
 */
int fl_fingerprint_take(const char *root, const struct fl_binary *binaries,
			size_t nr_binaries, json_t **out,
			struct fl_complaint *why);

/* Which members an id covers. */
enum fl_fingerprint_parts {
	FL_FINGERPRINT_HOST = 1,
	FL_FINGERPRINT_BUILD = 2,
	FL_FINGERPRINT_ALL = 3,
};

#define FL_FINGERPRINT_ID_BYTES	17	/* 16 hex digits and the terminator */

/*
 * fl_fingerprint_id: A short hash over all that makes results incomparable:
 * every member of "host", of "build", or of both, and nothing of "about".
 * Equal ids: results may be pooled.  Equal host ids with unlike build ids:
 * results of two builds on one machine, to be compared and not pooled.
 *
 * It is the first 64 bits of SHA-256 over the members as JSON with sorted keys,
 * so a fingerprint that has been stored and loaded keeps its id.
 *
 * Returns 0 and the id, or:
 *   -EINVAL: @fingerprint lacks a member asked for.   -ENOMEM.
 */
int fl_fingerprint_id(const json_t *fingerprint, unsigned int parts,
		      char id[FL_FINGERPRINT_ID_BYTES]);

/*
 * fl_fingerprint_scrub: A copy of @text, to be freed, in which the rest of each
 * word from its first '/' on reads "<path>".  Words end at blanks, quotes and
 * any of "=:,;".  Returns NULL without memory.
 */
char *fl_fingerprint_scrub(const char *text);

#endif

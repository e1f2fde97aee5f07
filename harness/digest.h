/* SPDX-License-Identifier: MIT */
/*
 * harness/digest.h: SHA-256 of bytes and of files, as lower-case hex.
 *
 * Nettle computes it: small, no initialisation, no state of its own, and no
 * allocation, which neither OpenSSL nor libgcrypt can say.
 */
#ifndef FL_DIGEST_H
#define FL_DIGEST_H

#include <stddef.h>

#define FL_DIGEST_HEX_BYTES	65	/* 64 digits and the terminator */

/*
 * fl_digest_bytes: @bytes bytes from @data (which may be NULL if there are
 * none) into @hex.  Pure, thread-safe.
 */
void fl_digest_bytes(const void *data, size_t bytes,
		     char hex[FL_DIGEST_HEX_BYTES]);

/*
 * fl_digest_file: The contents of the file @path into @hex, which is written
 * only on success.
 * Returns 0, or -errno of open(2) or read(2).  Cost: reads the file once.
 */
int fl_digest_file(const char *path, char hex[FL_DIGEST_HEX_BYTES]);

#endif

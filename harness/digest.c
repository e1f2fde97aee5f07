/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdint.h>
#include <unistd.h>

#include "harness/digest.h"

_Static_assert(FL_DIGEST_HEX_BYTES == 2 * SHA256_DIGEST_SIZE + 1,
	       "two hex digits a byte");

static void finish(struct sha256_ctx *context, char hex[FL_DIGEST_HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t digest[SHA256_DIGEST_SIZE];

	sha256_digest(context, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[2 * sizeof(digest)] = '\0';
}

void fl_digest_bytes(const void *data, size_t bytes,
		     char hex[FL_DIGEST_HEX_BYTES])
{
	struct sha256_ctx context;

	sha256_init(&context);
	if (bytes)
		sha256_update(&context, bytes, data);
	finish(&context, hex);
}

int fl_digest_file(const char *path, char hex[FL_DIGEST_HEX_BYTES])
{
	struct sha256_ctx context;
	uint8_t chunk[16384];
	ssize_t got;
	int fd, err = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	sha256_init(&context);
	for (;;) {
		got = read(fd, chunk, sizeof(chunk));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		sha256_update(&context, (size_t)got, chunk);
	}
	if (got < 0)
		err = -errno;
	else
		finish(&context, hex);
	close(fd);
	return err;
}

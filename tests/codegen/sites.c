/* SPDX-License-Identifier: MIT */
/*
 * Fault sites of constant sizes, one function each, for levels.test.  With
 * VARIABLE they are what a compiler makes of a size that it does not know.
 */
#include "faultline/site.h"

char *memory(struct fl_cursor *cursor, uint64_t word);
char *aligned(struct fl_cursor *cursor, uint64_t word);
char *largest(struct fl_cursor *cursor, uint64_t word);
char *in_register(char *bump, uint64_t word);
char *variable(struct fl_cursor *cursor, size_t bytes, uint64_t word);

#ifdef VARIABLE

char *too_large(struct fl_cursor *cursor, size_t bytes);

char *variable(struct fl_cursor *cursor, size_t bytes, uint64_t word)
{
	if (bytes > FL_SITE_BYTES_MAX)
		return too_large(cursor, bytes);
	return fl_site_new(&cursor->bump, fl_object_bytes(bytes), 8, word);
}

#else

char *memory(struct fl_cursor *cursor, uint64_t word)
{
	return FL_SITE_NEW(&cursor->bump, 24, 8, word);
}

char *aligned(struct fl_cursor *cursor, uint64_t word)
{
	return FL_SITE_NEW(&cursor->bump, 100, 64, word);
}

char *largest(struct fl_cursor *cursor, uint64_t word)
{
	return FL_SITE_NEW(&cursor->bump, FL_SITE_BYTES_MAX, FL_ALIGN_MAX, word);
}

char *in_register(char *bump, uint64_t word)
{
	FL_SITE_NEW(&bump, 16, 8, word);
	FL_SITE_NEW(&bump, 0, 8, word);
	return FL_SITE_NEW(&bump, 8, 8, word);
}

#endif

/* SPDX-License-Identifier: MIT */
/* SHA-256 against the examples of FIPS 180-4 (NIST CSRC, "SHA256.pdf"). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/digest.h"

static const struct {
	const char *text;
	const char *hex;
} examples[] = {
	{ "",
	  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc",
	  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

/* A million times 'a'. */
static const char million[] =
	"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

static void test_bytes(void **state)
{
	char hex[FL_DIGEST_HEX_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		fl_digest_bytes(examples[i].text, strlen(examples[i].text), hex);
		assert_string_equal(hex, examples[i].hex);
	}
	fl_digest_bytes(NULL, 0, hex);
	assert_string_equal(hex, examples[0].hex);
}

static void test_file(void **state)
{
	char path[] = "test_digest.XXXXXX", hex[FL_DIGEST_HEX_BYTES];
	int fd = mkstemp(path);
	FILE *file;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fl_digest_file(path, hex), 0);
	assert_string_equal(hex, examples[0].hex);

	file = fdopen(fd, "w");
	assert_non_null(file);
	for (int i = 0; i < 1000000; i++)
		fputc('a', file);
	fclose(file);
	assert_int_equal(fl_digest_file(path, hex), 0);
	assert_string_equal(hex, million);
	unlink(path);
}

static void test_unreadable(void **state)
{
	char hex[FL_DIGEST_HEX_BYTES] = "untouched";

	(void)state;
	assert_int_equal(fl_digest_file("test_digest.missing", hex), -ENOENT);
	assert_int_equal(fl_digest_file(".", hex), -EISDIR);
	assert_string_equal(hex, "untouched");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_unreadable),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The kernel matrix's own logic: what is concluded from cells, and that a
 * setting of the kernel is put back, whatever ends the process that changed it.
 * A file stands for the setting.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/matrix.h"
#include "harness/matrix_sysctl.h"

#define SETTING		"test_matrix.setting"
#define WAIT_US		5000000
#define STEP_US		5000
#define NOBODY		65534
#define SKIPPED		77

/* ---- conclusions -------------------------------------------------------- */

static struct fl_matrix matrix;

static struct fl_cell *cell(const char *mechanism, const char *property)
{
	for (size_t m = 0; m < fl_nr_mechanisms; m++)
		if (!strcmp(fl_mechanism_name(fl_mechanisms[m]), mechanism))
			return fl_matrix_cell(&matrix, m,
					      fl_property_named(property));
	fail_msg("no mechanism %s", mechanism);
	return NULL;
}

/* The whole column. */
static void fill(const char *property, enum fl_verdict verdict)
{
	for (size_t m = 0; m < fl_nr_mechanisms; m++)
		fl_cell_set(fl_matrix_cell(&matrix, m,
					   fl_property_named(property)),
			    verdict, "so it is");
}

static int make_cells(void **state)
{
	(void)state;
	matrix = (struct fl_matrix){
		.cells = calloc(fl_nr_mechanisms * fl_nr_properties,
				sizeof(*matrix.cells)),
	};
	for (size_t p = 0; p < fl_nr_properties; p++)
		fill(fl_properties[p].name, FL_CELL_NOT_TRIED);
	return !matrix.cells;
}

static int free_cells(void **state)
{
	(void)state;
	free(matrix.cells);
	return 0;
}

static void assert_says(size_t conclusion, const char *sentence)
{
	char *text = fl_matrix_conclude(&matrix, conclusion);

	assert_non_null(text);
	if (!strstr(text, sentence))
		fail_msg("\"%s\" does not say \"%s\"", text, sentence);
	free(text);
}

static void assert_silent(size_t conclusion, const char *words)
{
	char *text = fl_matrix_conclude(&matrix, conclusion);

	assert_non_null(text);
	assert_null(strstr(text, words));
	free(text);
}

static void test_redirect(void **state)
{
	(void)state;
	fl_cell_set(cell("uffd-event", "redirect"), FL_CELL_NO, "no");
	fl_cell_set(cell("uffd-sigbus", "redirect"), FL_CELL_YES, "yes");
	fl_cell_set(cell("prot-none", "redirect"), FL_CELL_YES, "yes");
	fl_cell_set(cell("madv-guard", "redirect"), FL_CELL_ABSENT, "old");
	fl_cell_refused(cell("uffd-kernel", "redirect"), -EPERM, "refused");
	fl_cell_set(cell("uffd-wp-bus", "redirect"), FL_CELL_NO, "no");
	strcpy(cell("uffd-wp-bus", "redirect")->word, "maps");
	assert_says(0, "without a page, by uffd-sigbus and prot-none. ");
	assert_says(0, "the guard gets a page by uffd-wp-bus. ");
	assert_says(0, "It cannot be sent by uffd-event. ");
	assert_says(0, "Refused to us: uffd-kernel. ");
	assert_says(0, "Not known here: madv-guard.");
	assert_silent(0, "rseq");
}

/* Long lists are told by what is missing from them, if it is there at all. */
static void test_giant(void **state)
{
	(void)state;
	fill("closed-16t", FL_CELL_NO);
	fl_cell_set(cell("prot-none", "closed-16t"), FL_CELL_YES, "yes");
	fl_cell_set(cell("rseq", "closed-16t"), FL_CELL_YES, "yes");
	fill("opened-16t", FL_CELL_YES);
	fl_cell_set(cell("grows-down", "opened-16t"), FL_CELL_NO, "no");
	fl_cell_set(cell("uffd-move", "opened-16t"), FL_CELL_ABSENT, "old");
	fill("open-16t", FL_CELL_YES);
	fill("overcommit-2", FL_CELL_NO);
	fl_cell_yes(cell("prot-none", "overcommit-2"), "opened", "yes");
	fl_cell_set(cell("uffd-minor", "overcommit-2"), FL_CELL_YES, "yes");
	assert_says(1, "while they are PROT_NONE: prot-none and rseq. ");
	assert_says(1, "opened: all that answered but grows-down. Not known here: uffd-move. ");
	assert_says(1, "MAP_NORESERVE: all. ");
	assert_says(1, "overcommit_memory=2 read-write at once: uffd-minor. ");
	assert_says(1, "opened in parts: prot-none.");
	assert_silent(1, "overcommit_memory=0");
	fill("open-16t", FL_CELL_NO);
	assert_says(1, "MAP_NORESERVE: none. ");
	fill("open-16t", FL_CELL_YES);
	fl_cell_set(cell("grows-down", "open-16t"), FL_CELL_NO, "no");
	assert_says(1, "MAP_NORESERVE: all but grows-down. ");
}

/* What did not answer did not say no. */
static void test_giant_without_answer(void **state)
{
	(void)state;
	fill("closed-16t", FL_CELL_NO);
	fl_cell_set(cell("rseq", "closed-16t"), FL_CELL_YES, "yes");
	fl_cell_refused(cell("uffd-kernel", "closed-16t"), -EPERM, "refused");
	fl_cell_set(cell("uffd-move", "closed-16t"), FL_CELL_ABSENT, "old");
	fl_cell_set(cell("uffd-wp", "closed-16t"), FL_CELL_FAILED, "died");
	fl_cell_set(cell("prot-none", "closed-16t"), FL_CELL_NOT_TRIED, "-");
	assert_says(1, "PROT_NONE: rseq. Refused to us: uffd-kernel. Not known here: uffd-wp, uffd-move and prot-none.");
	fill("closed-16t", FL_CELL_YES);
	fl_cell_refused(cell("uffd-kernel", "closed-16t"), -EPERM, "refused");
	assert_says(1, "PROT_NONE: all that answered. Refused to us: uffd-kernel.");
	fill("closed-16t", FL_CELL_FAILED);
	assert_says(1, "PROT_NONE: no answer. Not known here: uffd-event, ");
	assert_silent(1, ": none");
}

static void test_only_what_was_wanted(void **state)
{
	bool *wanted = calloc(fl_nr_mechanisms, sizeof(*wanted));

	(void)state;
	assert_non_null(wanted);
	matrix.wanted = wanted;
	wanted[0] = true;
	fill("redirect", FL_CELL_YES);
	assert_says(0, "by uffd-event.");
	assert_silent(0, "prot-none");
	free(wanted);
}

/* ---- processes ---------------------------------------------------------- */

/* Nobody has a process more than this one, or everybody has too many. */
static int become_who_may_not_fork(void)
{
	const struct rlimit one = { 1, 1 };
	pid_t pid;

	if (setrlimit(RLIMIT_NPROC, &one))
		return -errno;
	if (!geteuid() && (setgroups(0, NULL) || setresuid(NOBODY, NOBODY, NOBODY)))
		return -errno;
	pid = fork();
	if (!pid)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return pid < 0 ? 0 : -EPERM;
}

/* 0, the number of a cell that is wrong, or SKIPPED. */
static int fill_without_processes(void)
{
	const size_t m = fl_nr_mechanisms - 1;
	struct fl_complaint why = { 0 };

	if (become_who_may_not_fork())
		return SKIPPED;
	if (fl_matrix_run(&matrix, &why))
		return 1;
	for (size_t p = 0; p < fl_nr_properties; p++) {
		const struct fl_cell *c = fl_matrix_cell(&matrix, m, p);

		/* Of these most are not tried anyway. */
		if (!strncmp(fl_properties[p].name, "overcommit-", 11))
			continue;
		if (c->verdict != FL_CELL_NOT_TRIED ||
		    !strstr(c->detail, "RLIMIT_NPROC"))
			return 2;
	}
	return 0;
}

static void test_no_process(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (!pid)
		_exit(fill_without_processes());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED) {
		print_message("this user may always fork\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- a setting that is changed for a moment ----------------------------- */

static void write_setting(const char *text)
{
	int fd = open(SETTING, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static bool setting_is(const char *text)
{
	char now[FL_SYSCTL_BYTES];

	return !fl_sysctl_read(SETTING, now) && !strcmp(now, text);
}

static int remove_setting(void **state)
{
	(void)state;
	unlink(SETTING);
	return 0;
}

static void test_put_back(void **state)
{
	struct fl_sysctl s;

	(void)state;
	write_setting("0\n");
	assert_int_equal(fl_sysctl_begin(&s, SETTING), 0);
	assert_true(setting_is("0"));
	assert_int_equal(fl_sysctl_set(&s, "1\n"), 0);
	assert_true(setting_is("1"));
	assert_int_equal(fl_sysctl_set(&s, "2\n"), 0);
	assert_true(setting_is("2"));
	assert_int_equal(fl_sysctl_end(&s), 0);
	assert_true(setting_is("0"));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* The second would take the first's value of the moment for the old one. */
static void test_one_at_a_time(void **state)
{
	struct fl_sysctl first, second;

	(void)state;
	write_setting("0\n");
	assert_int_equal(fl_sysctl_begin(&first, SETTING), 0);
	assert_int_equal(fl_sysctl_set(&first, "2\n"), 0);
	assert_int_equal(fl_sysctl_begin(&second, SETTING), -EBUSY);
	/* The keeper's death does not let anybody in. */
	kill(first.keeper, SIGKILL);
	waitpid(first.keeper, NULL, 0);
	assert_int_equal(fl_sysctl_begin(&second, SETTING), -EBUSY);
	assert_true(setting_is("2"));
	assert_int_equal(fl_sysctl_end(&first), 0);
	assert_int_equal(fl_sysctl_begin(&second, SETTING), 0);
	assert_string_equal(second.was, "0");
	assert_int_equal(fl_sysctl_end(&second), 0);
}

/* A process of a group of its own changes the setting, and is killed. */
static void kill_by(int sig)
{
	struct fl_sysctl s;
	char ready;
	int fds[2];
	pid_t pid;

	write_setting("0\n");
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		setpgid(0, 0);
		if (fl_sysctl_begin(&s, SETTING) || fl_sysctl_set(&s, "2\n") ||
		    write(fds[1], "r", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(fds[0], &ready, 1), 1);
	assert_true(setting_is("2"));
	kill(-pid, sig);
	waitpid(pid, NULL, 0);
	for (int waited = 0; waited < WAIT_US && !setting_is("0");
	     waited += STEP_US)
		usleep(STEP_US);
	assert_true(setting_is("0"));
	close(fds[0]);
	close(fds[1]);
}

static void test_killed(void **state)
{
	(void)state;
	kill_by(SIGKILL);
	kill_by(SIGTERM);
	kill_by(SIGHUP);
	kill_by(SIGINT);
}

/* The other way round: who should put it back is killed. */
static void test_keeper_killed(void **state)
{
	struct fl_sysctl s;

	(void)state;
	write_setting("0\n");
	assert_int_equal(fl_sysctl_begin(&s, SETTING), 0);
	assert_int_equal(fl_sysctl_set(&s, "2\n"), 0);
	kill(s.keeper, SIGKILL);
	assert_int_equal(fl_sysctl_end(&s), 0);
	assert_true(setting_is("0"));
}

static void test_refused(void **state)
{
	struct fl_sysctl s;

	(void)state;
	assert_int_equal(fl_sysctl_begin(&s, "test_matrix.missing"), -ENOENT);
	write_setting("0\n");
	if (!geteuid()) {
		print_message("root may write anything\n");
		skip();
	}
	chmod(SETTING, 0400);
	assert_int_equal(fl_sysctl_begin(&s, SETTING), -EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_redirect, make_cells,
						free_cells),
		cmocka_unit_test_setup_teardown(test_giant, make_cells,
						free_cells),
		cmocka_unit_test_setup_teardown(test_giant_without_answer,
						make_cells, free_cells),
		cmocka_unit_test_setup_teardown(test_only_what_was_wanted,
						make_cells, free_cells),
		cmocka_unit_test_setup_teardown(test_no_process, make_cells,
						free_cells),
		cmocka_unit_test_teardown(test_put_back, remove_setting),
		cmocka_unit_test_teardown(test_one_at_a_time, remove_setting),
		cmocka_unit_test_teardown(test_killed, remove_setting),
		cmocka_unit_test_teardown(test_keeper_killed, remove_setting),
		cmocka_unit_test_teardown(test_refused, remove_setting),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("matrix", tests, NULL, NULL);
}

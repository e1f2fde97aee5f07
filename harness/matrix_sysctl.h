/* SPDX-License-Identifier: MIT */
/*
 * harness/matrix_sysctl.h: change a setting of the kernel for a moment, and have
 * it put back whatever becomes of us.
 *
 * A "keeper" process waits for us to be done or to be gone, and then writes the
 * old value.  It takes no signals and has a session of its own, so that what
 * kills us, a terminal's hangup and SIGKILL included, does not kill it too.
 * Whoever else wants to change the setting by these functions is refused until
 * the old value is back (flock(2) on the setting's file): it would take a value of
 * the moment for the old one.
 *
 * Context: cold, one thread; one setting at a time.
 */
#ifndef FL_MATRIX_SYSCTL_H
#define FL_MATRIX_SYSCTL_H

#include <sys/types.h>

#define FL_SYSCTL_OVERCOMMIT	"/proc/sys/vm/overcommit_memory"
#define FL_SYSCTL_BYTES		64

struct fl_sysctl {
	const char *path;
	int fd;			/* locked, by us and the keeper together */
	char was[FL_SYSCTL_BYTES];
	pid_t keeper;
	/* As long as anybody has this open we are not done. */
	int alive;
};

/* fl_sysctl_read: Its value without the newline.  0 or -errno. */
int fl_sysctl_read(const char *path, char out[FL_SYSCTL_BYTES]);

/*
 * fl_sysctl_begin: Start the keeper for @path, which must outlive @s.  Nothing is
 * changed yet.  Returns 0 or -errno: -EACCES, -EROFS where it may not be written;
 * -EBUSY while somebody else is between begin and end.
 */
int fl_sysctl_begin(struct fl_sysctl *s, const char *path);

/* fl_sysctl_leave: In a child of ours: its life is not to count as ours. */
void fl_sysctl_leave(const struct fl_sysctl *s);

/* fl_sysctl_set: Between begin and end.  0 or -errno. */
int fl_sysctl_set(struct fl_sysctl *s, const char *value);

/*
 * fl_sysctl_end: Have the keeper write the old value, and read whether it is
 * there.  Returns 0; -EIO if it is not; or -errno.
 */
int fl_sysctl_end(struct fl_sysctl *s);

#endif

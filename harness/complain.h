/* SPDX-License-Identifier: MIT */
/*
 * harness/complain.h: one clear line for whatever is wrong with the input.
 *
 * A function that reads what a person wrote (a plan, a trace, an option, a
 * module, a result file) takes a struct fl_complaint and, when it fails, leaves
 * there one line that names the file, the line where there is one, what is
 * wrong, and the remedy: "plan.ini:12: unknown tunable \"blok\"; did you mean
 * \"block\"?".  main() prints it after "faultline: " and exits.
 */
#ifndef FL_COMPLAIN_H
#define FL_COMPLAIN_H

#include <stdarg.h>
#include <stddef.h>

struct fl_complaint {
	char text[1024];	/* no newline; empty when nothing is wrong */
};

/*
 * fl_complain: Write the line into @why (may be NULL) and return @err, so that
 * a reader can say: return fl_complain(why, -EINVAL, "%s:%u: ...", ...).
 */
int fl_complain(struct fl_complaint *why, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * fl_complaint_print: On standard error, behind what was printed before; without a
 * text, that of @err, an -errno.
 */
void fl_complaint_print(const struct fl_complaint *why, int err);

/*
 * fl_nearest: The entry of the NULL-terminated @names that @word is most likely
 * a misspelling of, or NULL when none is near (edit distance above a third).
 */
const char *fl_nearest(const char *word, const char *const *names);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * kernels/runs.h: runs of four objects of different sizes, as constructors make
 * them: one turn, then four carves (faultline/run.h).  Part of the template in
 * module.h; does not stand alone.
 *
 * A run has FL_RUNS_BYTES, of which a block holds a whole number, so that blocks
 * end between runs, be it noticed once a run or once an object.  Only timed mode has
 * this code; the other modes make the same objects by mix.
 */
_Static_assert(FL_TURN_BYTES(FL_RUNS_1, FL_RUNS_2, FL_RUNS_3, FL_RUNS_0) ==
	       FL_RUNS_BYTES, "the harness counts with that");

/* As fl_new, of a turn that was begun. */
#define FL_RUNS_CARVE(n)						\
	p = (char *)strategy_carve(at.region,				\
				   fl_cursor_of(&at, residence),	\
				   fl_runs_bytes((n) + 1), word + (n));	\
	__asm__ volatile inline(FL_MARK :: [p] "r"(p));			\
	if (residence == FL_MEMORY)					\
		__asm__ volatile("" ::: "memory");

fl_hot int fl_runs(const struct fl_batch *batch, struct fl_batch_result *result,
		   size_t size, enum fl_residence residence, enum fl_mode mode)
{
	(void)size;
	FL_TURNS(FL_RUNS_OBJECTS,
		 strategy_turn(at.region, fl_cursor_of(&at, residence),
			       FL_RUNS_BYTES);
		 FL_RUNS_CARVE(0) FL_RUNS_CARVE(1)
		 FL_RUNS_CARVE(2) FL_RUNS_CARVE(3))
}

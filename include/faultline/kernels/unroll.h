/* SPDX-License-Identifier: MIT */
/*
 * kernels/unroll.h: the objects of fill from more than one site, because what a
 * site costs depends on what is around it.  Part of the template in module.h;
 * does not stand alone.
 *
 * unroll  eight sites a turn, one constant size: the loop's own instructions
 *         weigh an eighth
 * sites   256 sites in a row, as in a program that allocates all over the place,
 *         sizes and first words all different: a site's bytes are paid for in
 *         the instruction cache, and its branch in the predictor
 *
 * The objects of a lifetime are whole turns.  Only timed mode has this code; the
 * other modes make the same objects by fill and mix (FL_SHARED_LIST of module.h),
 * because compiling them 256 times would take longer than all the rest.
 */
#define FL_REPEAT_8(X, n)						\
	X(n) X((n) + 1) X((n) + 2) X((n) + 3)				\
	X((n) + 4) X((n) + 5) X((n) + 6) X((n) + 7)
#define FL_REPEAT_16(X, n)						\
	FL_REPEAT_8(X, n) FL_REPEAT_8(X, (n) + 8)
#define FL_REPEAT_64(X, n)						\
	FL_REPEAT_16(X, n) FL_REPEAT_16(X, (n) + 16)			\
	FL_REPEAT_16(X, (n) + 32) FL_REPEAT_16(X, (n) + 48)
#define FL_REPEAT_256(X, n)						\
	FL_REPEAT_64(X, n) FL_REPEAT_64(X, (n) + 64)			\
	FL_REPEAT_64(X, (n) + 128) FL_REPEAT_64(X, (n) + 192)

#define FL_UNROLL_SITE(n)						\
	p = fl_new(batch, &at, &verify, &log_head, size, 8, word + (n),	\
		   residence, mode);

/*
 * A turn begins with word 1, modulo its length.  The mode is a constant here, or
 * every site would be compiled for all modes before those are dropped.
 */
#define FL_SITES_SITE(n)						\
	p = fl_new(batch, &at, &verify, &log_head,			\
		   fl_sites_bytes((n) + 1), 8, word + (n), residence,	\
		   FL_TIMED);

/*
 * FL_TURNS: A kernel whose loop is over turns of so many sites.  A macro,
 * because the sites are statements that use its variables.
 */
#define FL_TURNS(nr_sites, sites)					\
	const uint64_t nr_objects = batch->nr_objects;			\
	struct fl_verify verify = { 0 };				\
	struct fl_samples samples;					\
	uint64_t checksum = 0, word = 1;				\
	uint32_t log_head = 0;						\
	int error = 0;							\
									\
	if (nr_objects % (nr_sites))					\
		return -EINVAL;						\
	samples.nr = 0;							\
	for (uint64_t l = 0; l < batch->nr_lifetimes && !error; l++) {	\
		struct fl_at at;					\
									\
		fl_enter(&at, batch->region, residence);		\
		for (uint64_t left = nr_objects; left;) {		\
			const uint64_t end = word + fl_chunk(&left);	\
			char *p = NULL;					\
									\
			for (; word != end; word += (nr_sites)) {	\
				sites					\
			}						\
			fl_sample(&samples, p);				\
		}							\
		error = fl_lifetime_end(batch, &at, &samples, &checksum, \
					&verify, &log_head, residence,	\
					mode);				\
	}								\
	fl_lifetimes_result(batch, checksum, error, result);		\
	return verify.error;

fl_hot int fl_unroll(const struct fl_batch *batch,
		     struct fl_batch_result *result, size_t size,
		     enum fl_residence residence, enum fl_mode mode)
{
	FL_TURNS(FL_UNROLL_SITES, FL_REPEAT_8(FL_UNROLL_SITE, 0))
}

fl_hot int fl_sites(const struct fl_batch *batch,
		    struct fl_batch_result *result, size_t size,
		    enum fl_residence residence, enum fl_mode mode)
{
	(void)size;
	FL_TURNS(FL_NR_SITES, FL_REPEAT_256(FL_SITES_SITE, 0))
}

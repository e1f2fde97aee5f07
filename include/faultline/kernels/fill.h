/* SPDX-License-Identifier: MIT */
/*
 * kernels/fill.h: objects of one constant size, one after the other, until the
 * lifetime is over; then the region is reset.  Part of the template in
 * module.h; does not stand alone.
 *
 * The objects of a lifetime are allocated in chunks, and the last object of
 * each chunk is remembered and read back when the lifetime ends: enough to see
 * that the stores went where they should, and one misprediction in 4,096
 * allocations.  Verify mode reads all of them back.
 */
#define FL_CHUNK_OBJECTS	4096u
#define FL_NR_SAMPLES		64u

/* The remembered objects of a lifetime: a ring of the newest. */
struct fl_samples {
	const char *object[FL_NR_SAMPLES];
	uint64_t nr;
};

fl_hot void fl_sample(struct fl_samples *s, const char *object)
{
	s->object[s->nr++ % FL_NR_SAMPLES] = object;
}

/* Fold the first words of the samples into @checksum. */
fl_hot uint64_t fl_samples_fold(struct fl_samples *s, uint64_t checksum)
{
	uint64_t n = s->nr < FL_NR_SAMPLES ? s->nr : FL_NR_SAMPLES;

	for (uint64_t i = 1; i <= n; i++) {
		uint64_t word;

		memcpy(&word, s->object[(s->nr - i) % FL_NR_SAMPLES],
		       sizeof(word));
		checksum = checksum * 0x9e3779b97f4a7c15u + word + i;
	}
	s->nr = 0;
	return checksum;
}

/* The objects of the next chunk, which @left then lacks. */
fl_hot uint64_t fl_chunk(uint64_t *left)
{
	const uint64_t n = *left < FL_CHUNK_OBJECTS ? *left : FL_CHUNK_OBJECTS;

	*left -= n;
	return n;
}

/*
 * The objects of a lifetime are dead: what they held goes into @checksum.
 * Returns the region's error, with which the run ends.
 */
fl_hot int fl_lifetime_end(const struct fl_batch *batch, struct fl_at *at,
			   struct fl_samples *samples, uint64_t *checksum,
			   struct fl_verify *verify, uint32_t *log_head,
			   enum fl_residence residence, enum fl_mode mode)
{
	fl_leave(at, residence);
	*checksum = fl_samples_fold(samples, *checksum);
	if (mode == FL_VERIFY)
		fl_verify_region(batch, verify, log_head);
	if (at->region->error)
		return at->region->error;
	strategy_region_reset(at->region);
	if (mode == FL_ACCOUNT)
		batch->events->died(batch->events, 0);
	return 0;
}

fl_hot void fl_lifetimes_result(const struct fl_batch *batch,
				uint64_t checksum, int error,
				struct fl_batch_result *result)
{
	*result = (struct fl_batch_result){
		.checksum = checksum,
		.nr_allocs = batch->nr_lifetimes * batch->nr_objects,
		.nr_events = batch->nr_lifetimes * (batch->nr_objects + 1),
		.error = error,
	};
}

/*
 * The body that fill, mix and straddle share: where a size comes from is the
 * only difference.  At most one of @sizes16 and @sizes32 is not NULL, and which
 * is known when this is inlined.
 */
fl_hot int fl_run_sizes(const struct fl_batch *batch,
			struct fl_batch_result *result, size_t size,
			const uint16_t *sizes16, const uint32_t *sizes32,
			enum fl_residence residence, enum fl_mode mode)
{
	const uint64_t nr_lifetimes = batch->nr_lifetimes;
	const uint64_t nr_objects = batch->nr_objects;
	const uint64_t mask = batch->nr_sizes - 1;
	struct fl_verify verify = { 0 };
	struct fl_samples samples;
	uint64_t checksum = 0, word = 1;
	uint32_t log_head = 0;
	int error = 0;

	samples.nr = 0;
	for (uint64_t l = 0; l < nr_lifetimes && !error; l++) {
		struct fl_at at;

		fl_enter(&at, batch->region, residence);
		for (uint64_t left = nr_objects; left;) {
			const uint64_t end = word + fl_chunk(&left);
			char *p = NULL;

			for (; word != end; word++) {
				size_t bytes = size;

				if (sizes16) {
					bytes = sizes16[word & mask];
					/* The table holds no zero. */
					if (bytes == 0)
						__builtin_unreachable();
				} else if (sizes32) {
					bytes = sizes32[word & mask];
				}
				p = fl_new(batch, &at, &verify, &log_head,
					   bytes, 8, word, residence, mode);
			}
			fl_sample(&samples, p);
		}
		error = fl_lifetime_end(batch, &at, &samples, &checksum,
					&verify, &log_head, residence, mode);
	}
	fl_lifetimes_result(batch, checksum, error, result);
	return verify.error;
}

fl_hot int fl_fill(const struct fl_batch *batch, struct fl_batch_result *result,
		   size_t size, enum fl_residence residence, enum fl_mode mode)
{
	return fl_run_sizes(batch, result, size, NULL, NULL, residence, mode);
}

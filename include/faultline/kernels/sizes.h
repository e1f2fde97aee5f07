/* SPDX-License-Identifier: MIT */
/*
 * kernels/sizes.h: objects of varying size, drawn beforehand.  Part of the
 * template in module.h; does not stand alone.
 *
 * mix       sizes from a 16-bit table: provably under the guard, so a fault
 *           site needs no size test
 * straddle  sizes from a 32-bit table, chosen by the harness to hit the ends of
 *           blocks and to exceed them: a fault site needs exactly one size test
 */
fl_hot int fl_mix(const struct fl_batch *batch, struct fl_batch_result *result,
		  size_t size, enum fl_residence residence, enum fl_mode mode)
{
	const uint16_t *sizes = batch->sizes16;

	(void)size;
	if (!sizes)
		return -EINVAL;
	return fl_run_sizes(batch, result, 0, sizes, NULL, residence, mode);
}

fl_hot int fl_straddle(const struct fl_batch *batch,
		       struct fl_batch_result *result, size_t size,
		       enum fl_residence residence, enum fl_mode mode)
{
	const uint32_t *sizes = batch->sizes32;

	(void)size;
	if (!sizes)
		return -EINVAL;
	return fl_run_sizes(batch, result, 0, NULL, sizes, residence, mode);
}

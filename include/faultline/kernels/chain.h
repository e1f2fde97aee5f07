/* SPDX-License-Identifier: MIT */
/*
 * kernels/chain.h: a linked list, built and then walked: each node's first word
 * is the address of the one before, so allocations depend on each other through
 * the program's data.  Part of the template in module.h; does not stand alone.
 */
struct fl_link {
	struct fl_link *next;
	uint64_t value;
};

fl_hot int fl_chain(const struct fl_batch *batch, struct fl_batch_result *result,
		    size_t size, enum fl_residence residence, enum fl_mode mode)
{
	const uint64_t nr_lifetimes = batch->nr_lifetimes;
	const uint64_t nr_objects = batch->nr_objects;
	struct fl_region *const region = batch->region;
	struct fl_verify verify = { 0 };
	uint64_t checksum = 0;
	uint32_t log_head = 0;
	int error = 0;

	for (uint64_t l = 0; l < nr_lifetimes; l++) {
		struct fl_link *head = NULL;
		struct fl_at at;

		fl_enter(&at, region, residence);
		for (uint64_t i = 0; i < nr_objects; i++) {
			struct fl_link *node = (struct fl_link *)(void *)fl_new(
				batch, &at, &verify, &log_head, size,
				sizeof(*node), (uintptr_t)head, residence,
				mode);

			node->value = l + i;
			head = node;
		}
		fl_leave(&at, residence);
		for (const struct fl_link *n = head; n; n = n->next)
			checksum = checksum * 31 + n->value;
		if (mode == FL_VERIFY)
			fl_verify_region(batch, &verify, &log_head);
		if (region->error) {
			error = region->error;
			break;
		}
		strategy_region_reset(region);
		if (mode == FL_ACCOUNT)
			batch->events->died(batch->events, 0);
	}
	*result = (struct fl_batch_result){
		.checksum = checksum,
		.nr_allocs = nr_lifetimes * nr_objects,
		.nr_events = nr_lifetimes * (nr_objects + 1),
		.error = error,
	};
	return verify.error;
}

/* SPDX-License-Identifier: MIT */
/*
 * kernels/program.h: allocations in many regions, as a compiled program says
 * (faultline/program.h).  Compiled twice: replay runs a real trace, nest a
 * stack of regions as calls make them.  Part of the template in module.h; does
 * not stand alone.
 *
 * A pass leaves no region behind; nr_lifetimes is the number of passes.  The
 * cursor is written back when another region becomes current.  When a region
 * dies its newest object is read back into the checksum.
 */

/* Fold the newest object of a dying region into the checksum. */
fl_hot uint64_t fl_program_fold(struct fl_slot_state *state, uint64_t checksum)
{
	uint64_t word;

	if (state->last) {
		memcpy(&word, state->last, sizeof(word));
		checksum = checksum * 0x9e3779b97f4a7c15u + word;
		state->last = NULL;
	}
	return checksum;
}

/* After an error: destroy what is still alive. */
static fl_cold void fl_program_abandon(const struct fl_batch *batch)
{
	for (uint32_t s = 0; s < batch->nr_slots; s++) {
		if (batch->slots[s])
			strategy_region_destroy(batch->slots[s]);
		batch->slots[s] = NULL;
		batch->states[s] = (struct fl_slot_state){ 0 };
	}
}

fl_hot int fl_program(const struct fl_batch *batch,
		      struct fl_batch_result *result, size_t size,
		      enum fl_residence residence, enum fl_mode mode)
{
	const uint32_t *const end = batch->program + batch->nr_words;
	const uint64_t nr_passes = batch->nr_lifetimes;
	struct fl_slot_state *const states = batch->states;
	struct fl_region **const slots = batch->slots;
	struct fl_verify verify = { 0 };
	uint64_t checksum = 0, nr_allocs = 0, nr_other = 0;
	int error = 0;

	(void)size;
	for (uint64_t pass = 0; pass < nr_passes && !error; pass++) {
		struct fl_at at = { .region = NULL };
		uint32_t current = 0;
		char *last = NULL;

		for (const uint32_t *w = batch->program; w != end;) {
			const uint32_t op = *w++;
			const uint32_t slot = op & FL_SLOT_MASK;
			uint64_t bytes = op;

			if (fl_likely(op < FL_OP_BASE)) {
allocate:
				last = fl_new(batch, &at, &verify,
					      &states[current].log_head, bytes,
					      8, nr_allocs, residence, mode);
				nr_allocs++;
				continue;
			}
			switch (op & FL_OP_MASK) {
			case FL_OP_LARGE:
				bytes = w[0] | (uint64_t)w[1] << 32;
				w += 2;
				goto allocate;
			case FL_OP_SWITCH:
			case FL_OP_CREATE:
				if (at.region) {
					fl_leave(&at, residence);
					states[current].last = last;
				}
				if ((op & FL_OP_MASK) == FL_OP_CREATE) {
					nr_other++;
					error = strategy_region_create(
						batch->heap, &slots[slot]);
					if (error)
						goto out;
				}
				current = slot;
				last = states[slot].last;
				fl_enter(&at, slots[slot], residence);
				if (mode == FL_ACCOUNT)
					batch->events->slot = slot;
				if (mode == FL_ACCOUNT &&
				    (op & FL_OP_MASK) == FL_OP_CREATE)
					batch->events->created(batch->events,
							       slot);
				break;
			case FL_OP_RESET:
			case FL_OP_DESTROY:
				nr_other++;
				if (at.region && slot == current) {
					fl_leave(&at, residence);
					states[current].last = last;
					last = NULL;
				}
				checksum = fl_program_fold(&states[slot],
							   checksum);
				if (mode == FL_VERIFY)
					fl_verify_region(batch, &verify,
						&states[slot].log_head);
				if (slots[slot]->error) {
					error = slots[slot]->error;
					goto out;
				}
				if ((op & FL_OP_MASK) == FL_OP_DESTROY) {
					strategy_region_destroy(slots[slot]);
					slots[slot] = NULL;
					if (slot == current)
						at.region = NULL;
				} else {
					strategy_region_reset(slots[slot]);
					if (at.region && slot == current)
						fl_enter(&at, slots[slot],
							 residence);
				}
				if (mode == FL_ACCOUNT)
					batch->events->died(batch->events,
							    slot);
				break;
			}
		}
	}
out:
	if (error)
		fl_program_abandon(batch);
	*result = (struct fl_batch_result){
		.checksum = checksum, .nr_allocs = nr_allocs,
		.nr_events = nr_allocs + nr_other, .error = error,
	};
	return verify.error;
}

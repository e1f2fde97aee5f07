/* SPDX-License-Identifier: MIT */
/*
 * kernels/tree.h: binary trees, built from the leaves up and then walked.  Part
 * of the template in module.h; does not stand alone.
 *
 * Building works as a binary counter does: a stack holds finished subtrees, and
 * two of the same height are joined by a new node.  After 2^k leaves there is
 * one tree of height k.  nr_objects is the number of nodes wanted; the kernel
 * builds the trees that fit into it, each of 2^(FL_TREE_HEIGHT + 1) - 1 nodes,
 * and a list of leaves for the rest, so that exactly nr_objects are allocated.
 */
#define FL_TREE_HEIGHT	9u

struct fl_node {
	struct fl_node *left;
	struct fl_node *right;
	uint64_t value;
};

/* Sum of values weighted by the order of the visit; explicit stack. */
fl_hot uint64_t fl_tree_walk(const struct fl_node *root, uint64_t checksum)
{
	const struct fl_node *stack[FL_TREE_HEIGHT + 2];
	unsigned depth = 0;

	stack[depth++] = root;
	while (depth) {
		const struct fl_node *n = stack[--depth];

		checksum = checksum * 31 + n->value;
		if (n->left) {
			stack[depth++] = n->right;
			stack[depth++] = n->left;
		}
	}
	return checksum;
}

fl_hot int fl_tree(const struct fl_batch *batch, struct fl_batch_result *result,
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
		struct fl_node *stack[FL_TREE_HEIGHT + 2];
		uint64_t made = 0, leaves = 0;
		unsigned depth = 0;
		struct fl_at at;

		fl_enter(&at, region, residence);
		while (made < nr_objects) {
			struct fl_node *left = NULL, *right = NULL, *node;
			uint64_t joins = leaves;

			/*
			 * A leaf, then one join per trailing one of the count.
			 * gcc -O3 would unroll this fully, but only around
			 * allocations that look short to it: not the same loop
			 * in every strategy.
			 */
#pragma GCC unroll 1
			while (true) {
				node = (struct fl_node *)(void *)fl_new(
					batch, &at, &verify, &log_head, size,
					sizeof(*node), (uintptr_t)left,
					residence, mode);
				node->right = right;
				node->value = l + made;
				made++;
				if (!(joins & 1) || made == nr_objects)
					break;
				joins >>= 1;
				left = stack[--depth];
				right = node;
			}
			stack[depth++] = node;
			leaves++;
			if (leaves == (1u << FL_TREE_HEIGHT) && depth == 1) {
				checksum = fl_tree_walk(stack[0], checksum);
				leaves = 0;
				depth = 0;
			}
		}
		fl_leave(&at, residence);
		/* Unfinished subtrees; a join cut short left its inputs behind. */
		while (depth)
			checksum = fl_tree_walk(stack[--depth], checksum);
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

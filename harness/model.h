/* SPDX-License-Identifier: MIT */
/*
 * harness/model.h: how often the slow path must have run.
 *
 * A fault-driven strategy whose fault never fires looks splendid.  So every run
 * compares what the heap counted with what the workload implies: this model
 * bumps the same sizes through the geometry that the strategy declares (struct
 * fl_geometry), knowing nothing else of it.
 *
 * The model keeps its state between batches, as the strategy does.
 * Context: cold, one thread per model.
 */
#ifndef FL_MODEL_H
#define FL_MODEL_H

#include "faultline/strategy.h"
#include "harness/workload.h"

struct fl_model;

/*
 * fl_model_new: A model of @heap, just opened and without regions.  Returns
 * NULL when memory is short.
 */
struct fl_model *fl_model_new(const struct fl_strategy *strategy,
			      const struct fl_heap *heap, uint32_t nr_slots);
void fl_model_free(struct fl_model *model);

/* A region is created in @slot, reset or destroyed, outside a batch. */
void fl_model_create(struct fl_model *model, uint32_t slot);
void fl_model_destroy(struct fl_model *model, uint32_t slot);

/* The heap was trimmed: what dead regions left is gone. */
void fl_model_trim(struct fl_model *model);

/*
 * fl_model_run: Events that a batch of @nr_lifetimes implies.  Single-region
 * workloads use slot 0, which must exist.  Cost: about 3 ns an allocation of a
 * program, for as many passes as differ from each other; else a round of the table
 * of sizes for each event.
 */
uint64_t fl_model_run(struct fl_model *model, const struct fl_workload *workload,
		      uint64_t nr_lifetimes);

#endif

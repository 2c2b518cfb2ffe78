#pragma once
/// The moment at which a run turns its dense model into one with MoE layers.

#include "datasets/dataset.h"
#include "train/training_state.h"

namespace softmoe {

/// Makes the model of the run, its averages and the state of its optimizer those of
/// `state.setup.upcycling`: experts begin with the weights, averages and moments of the neurons
/// that they are made of; routers begin anew, and learn from a sample of `train_set` if they want
/// one. Neurons that are drawn by importance have that of their activations: the mean size on such
/// a sample. All that is random follows from the seed of the run and the number of updates done.
void upcycle_run(TrainingState& state, const Dataset& train_set);

}  // namespace softmoe

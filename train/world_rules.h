#pragma once
/// What a run of more than one process needs, so that it computes what one process computes.

#include "datasets/batch_share.h"
#include "train/data_identity.h"
#include "train/model_update.h"
#include "train/training_setup.h"
#include "train/training_state.h"

namespace softmoe {

/// The images of every batch that this process of the run computes. Images that are routed together
/// stay together.
BatchShare batch_share(const TrainingSetup& setup);

/// Returns true if each process computes as many images of every training batch.
bool has_even_batches(const TrainingSetup& setup);

/// Returns true if each image gets, in several processes, the random numbers that it gets in one.
/// Where rows of several images are mixed before numbers are drawn, processes draw their own.
bool draws_by_image(const TrainingSetup& setup);

/// What this process computes of each update.
UpdatePart update_part(const TrainingState& state);

/// training_loader() of the images of this process.
LoaderOptions fed_loader(const TrainingSetup& setup);

/// Throws UsageError that names the option if the run has more than one process and a part of it
/// looks at whole batches, or if a batch has less images than processes.
void check_world(const TrainingSetup& setup);

/// Throws InputError that names the rank and what differs unless all processes have the options and
/// the data of rank 0. Options that no result depends on may differ.
void check_agreement(const TrainingSetup& setup, const DataIdentity& data);

}  // namespace softmoe

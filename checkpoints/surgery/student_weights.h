#pragma once
/// Weights of a teacher as the start of a student of another shape.

#include <string>

#include "core/named_tensors.h"
#include "vit/options.h"
#include "vit/position_embedding.h"

namespace softmoe {

/// The block of a teacher of `teacher_depth` blocks that block `block` of a student of
/// `student_depth` starts from: first and last blocks belong together, others are spread evenly.
int64_t teacher_block(int64_t block, int64_t student_depth, int64_t teacher_depth);

/// The part of the weights `tensors` of a model `from` that fits a student of `to`, by the names of
/// the student, whose blocks start from teacher_block():
/// - everything of the same name and shape, after adapt_weights() to the student's images and
///   tokens before the patches; attention only if there are as many heads;
/// - the MLP of a block whose teacher has experts starts from the mean of these, and experts in the
///   place of a MLP are copies of it.
/// Throws InputError that names `path` if tokens have another width, since nothing fits then.
NamedTensors student_weights(NamedTensors tensors, const VitOptions& from, const VitOptions& to,
                             PositionResize resize, const std::string& path);

}  // namespace softmoe

#pragma once
/// Checks of tensors that a function gets from its caller.

#include <torch/types.h>

#include <initializer_list>
#include <string_view>

namespace softmoe {

/// Throws c10::ValueError unless `tensor` has `shape`, where -1 stands for any size. The message
/// names `what` ("SoftRouter: tokens"), the expected and the actual shape.
void check_shape(std::string_view what, const torch::Tensor& tensor,
                 std::initializer_list<int64_t> shape);

}  // namespace softmoe

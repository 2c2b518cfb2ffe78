#include "train/teacher_input.h"

#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"

namespace softmoe {
namespace {

/// The value of each of `channels` channels, [channels, 1, 1]; one value stands for all.
torch::Tensor by_channel(const std::vector<double>& values, int64_t channels) {
  const auto given = at::tensor(values, torch::kFloat32);  // [1] or [channels]
  return given.expand({channels}).view({channels, 1, 1});  // [channels, 1, 1]
}

}  // namespace

PreprocessOptions teacher_preprocess(const ModelDescription& model, const std::string& name) {
  const int64_t channels = model.options.in_chans;
  if (channels != 1 && channels != 3) {
    throw InputError("--teacher " + name + ": in-chans", "1 or 3", std::to_string(channels));
  }
  auto preprocess = stored_preprocess(model, "--teacher " + name);
  preprocess.input_size = input_size(model.options);
  return preprocess;
}

TeacherInput::TeacherInput(const PreprocessOptions& student, const PreprocessOptions& teacher)
    : channels_(teacher.input_size[0]),
      student_channels_(student.input_size[0]),
      size_{teacher.input_size[1], teacher.input_size[2]},
      resizes_(size_ != std::vector<int64_t>{student.input_size[1], student.input_size[2]}),
      student_mean_(by_channel(student.mean, student_channels_)),
      student_std_(by_channel(student.std, student_channels_)),
      teacher_mean_(by_channel(teacher.mean, channels_)),
      teacher_std_(by_channel(teacher.std, channels_)) {
  normalizes_ = channels_ != student_channels_ || !student_mean_.equal(teacher_mean_) ||
                !student_std_.equal(teacher_std_);
}

/// `images` [batch, channels, height, width] of pixels with the channels of the teacher.
torch::Tensor TeacherInput::recolored(const torch::Tensor& images) const {
  if (channels_ == student_channels_) {
    return images;
  }
  if (channels_ == 1) {
    const auto luma = at::tensor({0.299F, 0.587F, 0.114F}, images.options()).view({1, 3, 1, 1});
    return (images * luma).sum(1, /*keepdim=*/true);  // [batch, 1, height, width]
  }
  return images.expand({-1, channels_, -1, -1});  // [batch, channels, height, width]
}

torch::Tensor TeacherInput::of(const torch::Tensor& images) const {
  auto input = images;  // [batch, channels, height, width]
  if (normalizes_) {
    const auto& device = images.device();
    const auto pixels = input * student_std_.to(device) + student_mean_.to(device);
    input = (recolored(pixels) - teacher_mean_.to(device)) / teacher_std_.to(device);
  }
  // Images of a run whose images grow are smaller than the student's at first.
  if (input.size(2) != size_[0] || input.size(3) != size_[1]) {
    input = at::_upsample_bilinear2d_aa(input, size_, /*align_corners=*/false);
  }
  return input;  // [batch, channels, height, width]
}

std::string TeacherInput::text() const {
  std::vector<std::string> parts;
  if (channels_ != student_channels_) {
    parts.emplace_back(channels_ == 1 ? "made gray" : "gray in all channels");
  }
  if (normalizes_) {
    parts.emplace_back("normalised again");
  }
  if (resizes_) {
    parts.push_back(fmt::format("resized to {}x{} px", size_[0], size_[1]));
  }
  return parts.empty() ? "as the student's" : fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace softmoe

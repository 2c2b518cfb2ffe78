#include "train/teacher_outputs.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "checkpoints/checkpoint.h"
#include "core/error.h"
#include "train/numbered_name.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPartPrefix = "batch-";
constexpr const char* kMetadataKey = "teacher_outputs";

/// What the part in `path` says of itself: {"batches": number, "identity": {...}}.
Json part_description(const fs::path& path) {
  const auto description = load_metadata(path).value(kMetadataKey, Json::object());
  if (!description.value("batches", Json()).is_number_integer() ||
      !description.value("identity", Json()).is_object()) {
    throw InputError(path.string(), "outputs of a teacher", "another checkpoint");
  }
  return description;
}

/// Throws InputError that names `path` and what differs.
void check_identity(const Json& stored, const Json& wanted, const fs::path& path) {
  for (const auto& [name, value] : wanted.items()) {
    const auto found = stored.value(name, Json());
    if (found != value) {
      throw InputError(fmt::format("{}: {} of the stored teacher outputs", path.string(), name),
                       json_text(value), json_text(found));
    }
  }
}

}  // namespace

torch::Tensor view_checksums(const torch::Tensor& images) {
  const auto values = images.detach().cpu().contiguous();  // [batch, ...]
  const int64_t rows = values.size(0);
  const size_t bytes = rows > 0 ? values.nbytes() / static_cast<size_t>(rows) : 0;
  const auto* const data = static_cast<const char*>(values.const_data_ptr());
  auto checksums = at::empty({rows}, torch::kInt64);
  for (int64_t row = 0; row < rows; ++row) {
    const auto sum = XXH3_64bits(data + static_cast<size_t>(row) * bytes, bytes);
    checksums.mutable_data_ptr<int64_t>()[row] = static_cast<int64_t>(sum);
  }
  return checksums;  // [batch]
}

TeacherOutputs top_outputs(const torch::Tensor& images, const torch::Tensor& views,
                           const torch::Tensor& probabilities, int64_t kept) {
  const auto top = probabilities.cpu().topk(std::min(kept, probabilities.size(1)), /*dim=*/1);
  return {.images = images.cpu(),
          .views = views,
          .classes = std::get<1>(top).to(torch::kInt32),
          .probabilities = std::get<0>(top).to(torch::kFloat32)};
}

torch::Tensor all_probabilities(const TeacherOutputs& outputs, int64_t classes) {
  const auto& kept = outputs.probabilities;                                // [rows, kept]
  const auto left = (1.0 - kept.sum(1, /*keepdim=*/true)).clamp_min(0.0);  // [rows, 1]
  const auto others = static_cast<double>(std::max<int64_t>(1, classes - kept.size(1)));
  const auto shares = (left / others).expand({outputs.rows(), classes});  // [rows, classes]
  return shares.scatter(1, outputs.classes.to(torch::kInt64), kept);      // [rows, classes]
}

TeacherOutputFolder::TeacherOutputFolder(fs::path path, Json identity)
    : path_(std::move(path)), identity_(std::move(identity)) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    if (const auto first = number_in_name(entry.path().filename().string(), kPartPrefix, ".h5")) {
      parts_.push_back(*first);
    }
  }
  std::sort(parts_.begin(), parts_.end());
  for (const int64_t first : parts_) {
    const auto description = part_description(file_of(first));
    check_identity(description.at("identity"), identity_, path_);
    if (first != batches_) {
      throw InputError(
          path_.string(),
          file_of(batches_).filename().string() + " before " + file_of(first).filename().string(),
          "no such file");
    }
    batches_ += description.at("batches").get<int64_t>();
  }
}

fs::path TeacherOutputFolder::file_of(int64_t first_batch) const {
  return path_ / fmt::format("{}{:08}.h5", kPartPrefix, first_batch);
}

void TeacherOutputFolder::add(int64_t batches, const TeacherOutputs& outputs) {
  std::error_code error;
  fs::create_directories(path_, error);
  Checkpoint part;
  part.metadata[kMetadataKey] = {{"batches", batches}, {"identity", identity_}};
  part.model = {{"images", outputs.images},
                {"views", outputs.views},
                {"classes", outputs.classes},
                {"probabilities", outputs.probabilities}};
  save_checkpoint(file_of(batches_), part);
  parts_.push_back(batches_);
  batches_ += batches;
}

TeacherOutputs TeacherOutputFolder::read(size_t part) const {
  const auto file = file_of(parts_.at(part));
  auto tensors = load_checkpoint(file, {.optimizer = false}).model;
  const auto take = [&](const char* name, torch::Dtype dtype, int64_t axes) {
    const auto found = tensors.find(name);
    if (found == tensors.end() || found->second.scalar_type() != dtype ||
        found->second.dim() != axes) {
      throw InputError(file.string() + ": " + name, "the outputs of a teacher", "another tensor");
    }
    return found->second;
  };
  TeacherOutputs outputs{.images = take("images", torch::kInt64, 1),
                         .views = take("views", torch::kInt64, 1),
                         .classes = take("classes", torch::kInt32, 2),
                         .probabilities = take("probabilities", torch::kFloat32, 2)};
  const int64_t rows = outputs.rows();
  if (outputs.views.size(0) != rows || outputs.classes.size(0) != rows ||
      outputs.classes.sizes() != outputs.probabilities.sizes()) {
    throw InputError(file.string(), "tensors of one number of rows", "several");
  }
  return outputs;
}

}  // namespace softmoe

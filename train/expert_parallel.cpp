#include "train/expert_parallel.h"

#include <memory>
#include <utility>

#include "softmoe/moe_layer.h"
#include "train/group_exchange.h"
#include "train/training_setup.h"
#include "train/world_rules.h"

namespace softmoe {
namespace {

std::vector<int64_t> ranks_from(int64_t first, int64_t step, int64_t count) {
  std::vector<int64_t> ranks;
  for (int64_t index = 0; index < count; ++index) {
    ranks.push_back(first + index * step);
  }
  return ranks;
}

}  // namespace

bool is_expert_parameter(const std::string& name) {
  return name.find(".moe.experts.") != std::string::npos;
}

ExpertParallel::ExpertParallel(TrainingSetup& setup) {
  const auto& world = setup.world;
  const auto& options = setup.options.parallel;
  const int64_t ranks = options.expert_parallel;
  const int64_t group = world.rank() / ranks;
  const int64_t place = world.rank() % ranks;
  group_ = world.group(ranks_from(group * ranks, 1, ranks));
  replicas_ = world.group(ranks_from(place, ranks, world.size() / ranks));
  has_first_ = group == 0;
  const auto exchange = std::make_shared<GroupExchange>(group_, has_even_batches(setup),
                                                        payload_dtype(options.exchange_dtype));
  for (const auto& item : setup.model().named_modules()) {
    auto* const layer = item.value()->as<MoeLayerImpl>();
    if (layer == nullptr) {
      continue;
    }
    const int64_t own = layer->options().moe.experts / ranks;
    layer->share_experts(exchange, place * own, own);
    for (const auto& parameter : layer->experts->named_parameters()) {
      names_.insert(item.key() + ".experts." + parameter.key());
    }
  }
  for (auto& [name, tensor] : setup.start.optimizer_state) {
    tensor = part_of(name, tensor);
  }
}

bool ExpertParallel::is_part(const std::string& name) const {
  // Names of parameters have no slash; "age/NAME" is one number.
  const auto slash = name.rfind('/');
  return slash == std::string::npos
             ? names_.contains(name)
             : names_.contains(name.substr(slash + 1)) && !name.substr(0, slash).ends_with("age");
}

ParameterParts ExpertParallel::parts() const { return {.group = group_, .names = names_}; }

int64_t ExpertParallel::whole_size(const std::string& name, const torch::Tensor& part) const {
  return part.numel() * (is_part(name) ? group_.size() : 1);
}

torch::Tensor ExpertParallel::part_of(const std::string& name, const torch::Tensor& whole) const {
  if (!is_part(name)) {
    return whole;
  }
  const int64_t own = whole.size(0) / group_.size();
  return whole.narrow(0, group_.rank() * own, own).clone();
}

torch::Tensor ExpertParallel::whole(const std::string& name, const torch::Tensor& part) const {
  if (!is_part(name)) {
    return part;
  }
  const int64_t own = part.size(0);
  std::vector<int64_t> send(static_cast<size_t>(group_.size()));
  send.front() = own;
  const std::vector<int64_t> receive(send.size(), group_.is_first() ? own : 0);
  return group_.exchange(part.detach().contiguous(), send, receive);
}

void ExpertParallel::save(const std::filesystem::path& path, const Checkpoint& checkpoint) const {
  save_checkpoint(path, checkpoint, [this](const std::string& name, const torch::Tensor& part) {
    return whole(name, part);
  });
}

void ExpertParallel::give_parts(const Checkpoint& checkpoint) const {
  if (has_first_) {
    for_each_tensor(checkpoint, [this](const std::string& name, const torch::Tensor& part) {
      whole(name, part);
    });
  }
}

int64_t whole_bytes(const ExpertParallel* experts, const Checkpoint& checkpoint) {
  int64_t bytes = 0;
  for_each_tensor(checkpoint, [&](const std::string& name, const torch::Tensor& tensor) {
    const auto size = experts == nullptr ? tensor.numel() : experts->whole_size(name, tensor);
    bytes += size * static_cast<int64_t>(tensor.element_size());
  });
  return bytes;
}

void save_whole(const ExpertParallel* experts, const std::filesystem::path& path,
                const Checkpoint& checkpoint) {
  if (experts == nullptr) {
    save_checkpoint(path, checkpoint);
  } else {
    experts->save(path, checkpoint);
  }
}

}  // namespace softmoe

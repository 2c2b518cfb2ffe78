#include "parallel/gradient_reducer.h"

#include <ATen/ops/mul.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/node.h>
#include <torch/csrc/autograd/utils/lambda_post_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <utility>

namespace softmoe {
namespace {

/// Elements to whose multiples the gradients of a bucket are aligned: 64 bytes of fp32.
constexpr int64_t kAlignment = 16;

int64_t aligned(int64_t elements) { return (elements + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

/// Gradients that are summed together: one after the other, and behind them one element per
/// parameter that counts the processes with a gradient.
struct GradientReducer::Bucket {
  std::vector<torch::Tensor> parameters;
  std::vector<int64_t> places;  // of the gradients in `values`
  std::vector<bool> is_there;
  int64_t elements = 0;
  size_t missing = 0;  // gradients that have not come
  torch::Tensor values;
  World::Pending sum;

  torch::Tensor gradient(size_t place) const {
    const auto& parameter = parameters[place];
    return values.narrow(0, places[place], parameter.numel()).view(parameter.sizes());
  }
  torch::Tensor counts() const { return values.narrow(0, elements, std::ssize(parameters)); }
};

/// What is called behind the node that adds to the gradient of a parameter.
struct GradientReducer::Hook {
  c10::intrusive_ptr<torch::autograd::Node> node;
  uintptr_t key = 0;

  ~Hook() { node->del_post_hook(key); }
};

GradientReducer::GradientReducer(World world, const std::vector<torch::Tensor>& parameters,
                                 std::optional<torch::Dtype> payload)
    : world_(std::move(world)) {
  for (auto parameter = parameters.rbegin(); parameter != parameters.rend(); ++parameter) {
    const auto size = static_cast<int64_t>(parameter->element_size());
    const int64_t limit = buckets_.size() <= 1 ? kFirstBucketBytes : kBucketBytes;
    const bool fits = !buckets_.empty() &&
                      buckets_.back()->parameters[0].scalar_type() == parameter->scalar_type() &&
                      (buckets_.back()->elements + parameter->numel()) * size <= limit;
    if (!fits) {
      buckets_.push_back(std::make_unique<Bucket>());
    }
    auto& bucket = *buckets_.back();
    bucket.places.push_back(bucket.elements);
    bucket.parameters.push_back(*parameter);
    bucket.elements += aligned(parameter->numel());
    auto hook = std::make_unique<Hook>();
    hook->node = torch::autograd::impl::grad_accumulator(*parameter);
    hook->key = hook->node->add_post_hook(std::make_unique<torch::autograd::utils::LambdaPostHook>(
        [this, number = buckets_.size() - 1, place = bucket.parameters.size() - 1](
            const auto& outputs, const auto& /*inputs*/) {
          take(number, place);
          return outputs;
        }));
    hooks_.push_back(std::move(hook));
  }
  for (auto& bucket : buckets_) {
    const auto own = bucket->parameters[0].options().requires_grad(false);
    bucket->values = at::zeros({bucket->elements + std::ssize(bucket->parameters)},
                               payload ? own.dtype(*payload) : own);
  }
}

GradientReducer::~GradientReducer() = default;

void GradientReducer::begin(double weight) {
  weight_ = weight;
  is_active_ = true;
  next_ = 0;
  for (auto& bucket : buckets_) {
    bucket->is_there.assign(bucket->parameters.size(), false);
    bucket->missing = bucket->parameters.size();
    bucket->counts().zero_();
  }
}

/// Called as soon as the gradient of a parameter is complete.
void GradientReducer::take(size_t number, size_t place) {
  if (!is_active_) {
    return;
  }
  TORCH_CHECK(next_ <= number, "GradientReducer: a gradient came after its sum had begun");
  copy_gradient(*buckets_[number], place);
  send_full();
}

void GradientReducer::copy_gradient(Bucket& bucket, size_t place) const {
  const auto& gradient = bucket.parameters[place].grad();
  if (!gradient.defined()) {
    return;
  }
  const torch::NoGradGuard no_grad;
  auto copy = bucket.gradient(place);
  at::mul_out(copy, gradient, at::scalar_tensor(weight_, gradient.scalar_type()));
  if (!bucket.is_there[place]) {
    bucket.is_there[place] = true;
    --bucket.missing;
  }
}

/// Begins the sums of full buckets, in their order, which is the same in all processes.
void GradientReducer::send_full() {
  while (next_ < buckets_.size() && buckets_[next_]->missing == 0) {
    send(*buckets_[next_++]);
  }
}

void GradientReducer::send(Bucket& bucket) {
  auto counts = bucket.counts();
  for (size_t place = 0; place < bucket.parameters.size(); ++place) {
    if (bucket.is_there[place]) {
      counts[static_cast<int64_t>(place)].fill_(1.0);
    } else {
      bucket.gradient(place).zero_();
    }
  }
  bucket.sum = world_.begin_sum(bucket.values);
}

void GradientReducer::finish(std::vector<double>& numbers) {
  const torch::NoGradGuard no_grad;
  while (next_ < buckets_.size()) {
    auto& bucket = *buckets_[next_++];
    for (size_t place = 0; place < bucket.parameters.size(); ++place) {
      if (!bucket.is_there[place]) {
        copy_gradient(bucket, place);  // of earlier passes alone
      }
    }
    send(bucket);
  }
  const auto sums = at::tensor(numbers, torch::kFloat64);  // [numbers]
  auto pending = numbers.empty() ? World::Pending() : world_.begin_sum(sums);
  for (auto& bucket : buckets_) {
    bucket->sum.finish();
    const auto counts = bucket->counts().cpu();
    for (size_t place = 0; place < bucket->parameters.size(); ++place) {
      if (counts[static_cast<int64_t>(place)].item<double>() > 0.0) {
        const auto& parameter = bucket->parameters[place];
        parameter.mutable_grad() = bucket->gradient(place).to(parameter.scalar_type());
      }
    }
  }
  pending.finish();
  const auto* first = sums.const_data_ptr<double>();
  numbers.assign(first, first + sums.numel());
  is_active_ = false;
}

}  // namespace softmoe

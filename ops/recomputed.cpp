#include "ops/recomputed.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include "runtime/autocast_guard.h"

namespace softmoe {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

std::vector<torch::Tensor> copies_of(const std::vector<torch::Tensor>& tensors) {
  std::vector<torch::Tensor> copies;
  for (const auto& tensor : tensors) {
    copies.push_back(tensor.detach().clone());
  }
  return copies;
}

void set_all(const std::vector<torch::Tensor>& tensors, const std::vector<torch::Tensor>& values) {
  const torch::NoGradGuard no_grad;
  for (size_t i = 0; i < tensors.size(); ++i) {
    tensors[i].detach().copy_(values[i]);
  }
}

/// The generators that a computation on `device` draws from.
std::vector<at::Generator> generators(const torch::Device& device) {
  std::vector<at::Generator> all{at::globalContext().defaultGenerator(torch::kCPU)};
  if (!device.is_cpu()) {
    all.push_back(at::globalContext().defaultGenerator(device));
  }
  return all;
}

std::vector<torch::Tensor> random_states(const torch::Device& device) {
  std::vector<torch::Tensor> states;
  for (const auto& generator : generators(device)) {
    states.push_back(generator.get_state());
  }
  return states;
}

void set_random_states(const torch::Device& device, const std::vector<torch::Tensor>& states) {
  auto all = generators(device);
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].set_state(states[i]);
  }
}

/// `tensor` at the beginning of a graph.
torch::Tensor leaf_of(const torch::Tensor& tensor, bool requires_grad) {
  auto leaf = tensor.detach();
  leaf.requires_grad_(requires_grad);
  return leaf;
}

/// What the second call of `run` begins from.
struct Call : torch::CustomClassHolder {
  std::function<torch::Tensor(const torch::Tensor&)> run;
  std::vector<torch::Tensor> state;
  std::vector<torch::Tensor> state_before;
  std::vector<torch::Tensor> random_before;
  torch::Dtype autocast_dtype = torch::kFloat32;

  /// run(input) once more; leaves state and generators as it found them.
  torch::Tensor repeat(const torch::Tensor& input) const {
    const auto state_now = copies_of(state);
    const auto random_now = random_states(input.device());
    set_all(state, state_before);
    set_random_states(input.device(), random_before);
    const AutocastGuard autocast(input.device(), autocast_dtype);
    auto output = run(input);
    set_all(state, state_now);
    set_random_states(input.device(), random_now);
    return output;
  }
};

/// `anchor` carries gradients, so that the output does if only parameters of `run` learn.
struct Recomputed : torch::autograd::Function<Recomputed> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& input,
                               const torch::Tensor& /*anchor*/,
                               const c10::intrusive_ptr<Call>& call) {
    context->save_for_backward({input});
    context->saved_data["call"] = c10::IValue::make_capsule(call);
    // With gradients, so that it takes the path of the second call, bit for bit.
    const torch::AutoGradMode with_gradients(true);
    return call->run(leaf_of(input, input.requires_grad())).detach();
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto call =
        c10::static_intrusive_pointer_cast<Call>(context->saved_data["call"].toCapsule());
    const torch::AutoGradMode with_gradients(true);
    const auto input = leaf_of(saved[0], context->needs_input_grad(0));
    const auto output = call->repeat(input);
    torch::autograd::backward({output}, {gradients[0]});
    return {input.grad(), torch::Tensor(), torch::Tensor()};
  }
};

torch::Dtype autocast_dtype(const torch::Device& device) {
  const bool is_on = at::autocast::is_autocast_available(device.type()) &&
                     at::autocast::is_autocast_enabled(device.type());
  return is_on ? at::autocast::get_autocast_dtype(device.type()) : torch::kFloat32;
}

}  // namespace

torch::Tensor recomputed(const torch::Tensor& input, const std::vector<torch::Tensor>& state,
                         const std::function<torch::Tensor(const torch::Tensor&)>& run) {
  auto call = c10::make_intrusive<Call>();
  call->run = run;
  call->state = state;
  call->state_before = copies_of(state);
  call->random_before = random_states(input.device());
  call->autocast_dtype = autocast_dtype(input.device());
  const auto anchor = torch::zeros({0}).requires_grad_();
  return Recomputed::apply(input, anchor, call);
}

}  // namespace softmoe

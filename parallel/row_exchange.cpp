#include "parallel/row_exchange.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <utility>

namespace softmoe {
namespace {

/// What the backward pass needs of an exchange.
struct ExchangePlan : torch::CustomClassHolder {
  ExchangePlan(World used_world, RowCounts used_counts, std::optional<torch::Dtype> used_payload)
      : world(std::move(used_world)), counts(std::move(used_counts)), payload(used_payload) {}

  World world;
  RowCounts counts;
  std::optional<torch::Dtype> payload;
};

torch::Tensor sent(const ExchangePlan& plan, const torch::Tensor& rows, const RowCounts& counts) {
  const auto dtype = plan.payload.value_or(rows.scalar_type());
  return plan.world.exchange(rows.to(dtype).contiguous(), counts.send, counts.receive)
      .to(rows.scalar_type());
}

class ExchangeRows : public torch::autograd::Function<ExchangeRows> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& rows,
                               const c10::intrusive_ptr<ExchangePlan>& plan) {
    context->saved_data["plan"] = c10::IValue::make_capsule(plan);
    return sent(*plan, rows, plan->counts);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto capsule = context->saved_data["plan"].toCapsule();
    const auto& plan = dynamic_cast<const ExchangePlan&>(*capsule);
    return {sent(plan, gradients[0], plan.counts.reversed()), {}};
  }
};

}  // namespace

torch::Tensor exchange_rows(const World& world, const torch::Tensor& rows, const RowCounts& counts,
                            std::optional<torch::Dtype> payload) {
  if (world.is_alone()) {
    return rows;
  }
  return ExchangeRows::apply(rows, c10::make_intrusive<ExchangePlan>(world, counts, payload));
}

}  // namespace softmoe

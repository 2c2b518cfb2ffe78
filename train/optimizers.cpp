// The table of optimizers and its members.

#include <array>

#include "train/optimizer.h"

namespace softmoe {
namespace {

/// Loshchilov and Hutter, arXiv:1711.05101, algorithm 2 with the schedule's rate as alpha.
class AdamW : public Optimizer {
 public:
  AdamW(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options)
      : Optimizer(parameters, options, {"exp_avg", "exp_avg_sq"}), options_(options) {}

 protected:
  void update(const Batch& batch, double lr) override {
    adamw_update({.lr = lr,
                  .decay = batch.decay,
                  .beta1 = options_.beta1,
                  .beta2 = options_.beta2,
                  .eps = options_.opt_eps,
                  .step = batch.steps,
                  .gradient_factor = batch.gradient_factor},
                 batch.tensors);
  }

 private:
  OptimizerOptions options_;
};

/// Gradient descent with heavy-ball momentum, as optax.trace: m = momentum m + g.
class Sgd : public Optimizer {
 public:
  Sgd(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options)
      : Optimizer(parameters, options, {"momentum"}), momentum_(options.momentum) {}

 protected:
  void update(const Batch& batch, double lr) override {
    sgd_update({.lr = lr,
                .decay = batch.decay,
                .momentum = momentum_,
                .gradient_factor = batch.gradient_factor},
               batch.tensors);
  }

 private:
  double momentum_;
};

template <typename Member>
std::unique_ptr<Optimizer> make(const std::vector<NamedParameter>& parameters,
                                const OptimizerOptions& options) {
  return std::make_unique<Member>(parameters, options);
}

constexpr std::array<OptimizerRow, 2> kOptimizers{{
    {"adamw", "arXiv:1711.05101", make<AdamW>},
    {"sgd", "momentum as in arXiv:1609.04747, section 4.1", make<Sgd>},
}};

}  // namespace

std::span<const OptimizerRow> optimizers() { return kOptimizers; }

}  // namespace softmoe

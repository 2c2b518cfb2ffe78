#pragma once
/// Optimizers over named parameters. Weight decay is decoupled as in optax: a parameter p with
/// decay w and update direction u becomes p - lr (u + w p), so that the schedule scales both.

#include <torch/types.h>

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/optimizer_update.h"
#include "train/optimizer_options.h"

namespace torch::nn {
class Module;
}

namespace softmoe {

/// A parameter by its name in the model.
struct NamedParameter {
  std::string name;
  torch::Tensor tensor;
};
/// All parameters of `module`, frozen ones included.
std::vector<NamedParameter> named_parameters(const torch::nn::Module& module);

/// Updates parameters from their gradients. Parameters that do not require gradients when it is
/// made are left out and get no state; one without a gradient at a step is left as it is.
class Optimizer {
 public:
  using State = std::map<std::string, torch::Tensor>;

  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update with learning rate `lr`.
  void step(double lr);
  /// clip_gradient_norm() of all gradients, then step(), in fewer passes over the memory; the
  /// gradients may stay as they were. Returns the norm before clipping, [].
  torch::Tensor clip_and_step(double lr, double max_norm);
  /// Drops all gradients.
  void zero_grad();
  /// The gradients that are there, in the order of the parameters.
  std::vector<torch::Tensor> gradients() const;
  /// Updates made so far.
  int64_t steps() const { return steps_; }

  /// "step" [] and one tensor "<what>/<parameter>" for each kind of state and parameter, the
  /// optimizer's own, not copies; "age/<parameter>" [] for those that adopt_state() gave a past.
  State state() const;
  /// Takes over copies of what state() gave; throws InputError that names what is missing, too
  /// much, or of another shape or dtype, and then has changed nothing.
  void load_state(const State& state);
  /// Before the first step: takes over what `state`, of another model's optimizer, has for
  /// parameters of the same name, shape and dtype, which then go on as after the updates that are
  /// behind it, while the others start anew. Returns how many parameters that are.
  int64_t adopt_state(const State& state);
  /// Parameters that are updated.
  int64_t size() const { return static_cast<int64_t>(slots_.size()); }

 protected:
  /// Tensors that are updated with equal options.
  struct Batch {
    double decay = 0.0;
    int64_t steps = 0;             ///< updates of these parameters, this one included
    double gradient_factor = 1.0;  ///< that the gradients are still to get
    UpdatedTensors tensors;
  };

  /// `kinds` names the tensors of state that each parameter has, zero at first.
  Optimizer(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options,
            std::vector<std::string> kinds);

  virtual void update(const Batch& batch, double lr) = 0;

 private:
  struct Slot {
    std::string name;
    torch::Tensor parameter;
    double decay;
    double rate;      // what the learning rate is multiplied by
    int64_t age = 0;  // updates before the first of this optimizer
    std::vector<torch::Tensor> state = {};
  };

  void step_scaled(double lr, double gradient_factor);
  State named_state() const;

  std::vector<Slot> slots_;
  std::vector<std::string> kinds_;
  int64_t steps_ = 0;
};

/// A row of the table.
struct OptimizerRow {
  std::string_view name;
  std::string_view source;
  std::unique_ptr<Optimizer> (*make)(const std::vector<NamedParameter>& parameters,
                                     const OptimizerOptions& options);
};
/// adamw and sgd.
std::span<const OptimizerRow> optimizers();

/// The optimizer that `options` name; throws UsageError for an unknown one.
std::unique_ptr<Optimizer> make_optimizer(const std::vector<NamedParameter>& parameters,
                                          const OptimizerOptions& options);

}  // namespace softmoe

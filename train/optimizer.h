#pragma once
/// What all optimizers have in common. Weight decay is decoupled as in optax: a parameter p with
/// decay w and update direction u becomes p - lr (u + w p), so that the schedule scales both.

#include <torch/types.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "ops/optimizer_update.h"
#include "parallel/world.h"
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

/// Parameters of which each process of a group has a part.
struct ParameterParts {
  World group;
  std::set<std::string> names;

  /// Makes `squares`, sums of squares over the parts of this process, those over all parts.
  void sum(std::vector<double>& squares) const;
};

/// Updates parameters from their gradients. Parameters that do not require gradients when the
/// optimizer is made are left out and get no state; a parameter without a gradient at a step stays
/// as it is.
class Optimizer {
 public:
  using State = std::map<std::string, torch::Tensor>;

  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update with learning rate `lr`.
  void step(double lr);
  /// clip_gradient_norm() of all gradients, then step(), in fewer passes over the memory; the
  /// gradients may stay as they were. Nothing happens if the norm is NaN or infinite. Returns the
  /// norm before clipping.
  double clip_and_step(double lr, double max_norm);
  /// The norm of all gradients, those of the parts that other processes have included.
  double gradient_norm() const;
  /// Makes norms those of whole parameters.
  void set_parts(ParameterParts parts) { parts_ = std::move(parts); }
  const ParameterParts& parts() const { return parts_; }
  /// Drops all gradients.
  void zero_grad();
  /// The parameters that have a gradient, in their order in the model.
  std::vector<NamedParameter> parameters() const;
  /// The gradients of parameters().
  std::vector<torch::Tensor> gradients() const;
  /// Updates made so far.
  int64_t steps() const { return steps_; }

  /// "step" [] and one tensor "<kind>/<parameter>" per kind of state and parameter, the optimizer's
  /// own, not copies; "age/<parameter>" [] for parameters whose state adopt_state() took over.
  State state() const;
  /// Takes over copies of what state() gave. Throws InputError that names the tensor if one is
  /// missing, unknown, or of another shape or dtype; nothing is changed then.
  void load_state(const State& state);
  /// Takes over what `state`, of another model's optimizer, holds for parameters of the same name,
  /// shape and dtype; to be called before the first step. These parameters continue after the
  /// updates that `state` counts, the others start anew. Returns the number of parameters that
  /// continue.
  int64_t adopt_state(const State& state);
  /// Parameters that are updated.
  int64_t size() const { return static_cast<int64_t>(slots_.size()); }

 protected:
  /// Tensors that are updated with equal options.
  struct Group {
    double decay = 0.0;
    int64_t steps = 0;             ///< updates of these parameters, this one included
    double gradient_factor = 1.0;  ///< by which gradients are still to be scaled
    UpdatedTensors tensors;        ///< states that a parameter does not have are undefined
  };

  /// A kind of state.
  struct StateKind {
    std::string name;
    /// Zeros as the state of a parameter begins with; an undefined tensor if it has none of this
    /// kind. By default it is like the parameter.
    torch::Tensor (*zeros)(const NamedParameter& parameter) = nullptr;
  };

  Optimizer(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options,
            const std::vector<StateKind>& kinds);

  virtual void update(const Group& group, double lr) = 0;

  /// bf16 zeros in the shape of the parameter.
  static torch::Tensor bf16_zeros(const NamedParameter& parameter);
  /// A mean of gradients that is stored in `dtype`, fp32 or bf16.
  static StateKind mean_kind(Precision dtype);

  /// Gradient `index` of `group` times the group's factor.
  static torch::Tensor scaled_gradient(const Group& group, size_t index);

 private:
  struct Slot {
    std::string name;
    torch::Tensor parameter;
    double decay;
    double rate;                            // factor of the learning rate
    int64_t age = 0;                        // updates before the first of this optimizer
    std::vector<torch::Tensor> state = {};  // by kind, undefined if it has none
  };

  void step_scaled(double lr, double gradient_factor);
  State named_state() const;

  std::vector<Slot> slots_;
  std::vector<std::string> kinds_;
  ParameterParts parts_ = {};
  int64_t steps_ = 0;
};

}  // namespace softmoe

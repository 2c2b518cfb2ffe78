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

#include "core/options.h"

namespace torch::nn {
class Module;
}

namespace softmoe {

/// Which optimizer, and with what.
struct OptimizerOptions {
  std::string opt = "adamw";
  double weight_decay = 0.03;
  std::vector<std::string> decay_rules;
  double momentum = 0.9;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double opt_eps = 1e-8;
  double clip_grad = 1.0;
  bool operator==(const OptimizerOptions&) const = default;
};
void describe(OptionTable& table, OptimizerOptions& options);

/// The decay of every parameter whose name holds a match of the regular expression `pattern`.
struct DecayRule {
  std::string pattern;
  double decay = 0.0;
};
/// The rules of `options`, in order: `decay_rules` ("pattern=decay"), then none for normalisations,
/// `weight_decay` for other weights and for the scale of a soft router. What matches nothing
/// (biases, position embeddings, tokens, slot parameters) has none. Throws UsageError.
std::vector<DecayRule> decay_rules(const OptimizerOptions& options);
/// The decay of the first rule that `name` matches, or 0.
double parameter_decay(std::span<const DecayRule> rules, const std::string& name);

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

  /// "step" [] and one tensor "<what>/<parameter>" for each kind of state and parameter. They are
  /// the optimizer's own, not copies.
  std::map<std::string, torch::Tensor> state() const;
  /// Takes over copies of what state() gave; throws InputError that names what is missing, too
  /// much, or of another shape or dtype, and then has changed nothing.
  void load_state(const std::map<std::string, torch::Tensor>& state);

 protected:
  /// Tensors of equal decay that are updated by the same code.
  struct Batch {
    double decay = 0.0;
    std::vector<torch::Tensor> parameters;
    std::vector<torch::Tensor> gradients;
    std::vector<std::vector<torch::Tensor>> state;  ///< by kind, then by parameter
    double gradient_factor = 1.0;                   ///< that the gradients are still to get
  };

  /// `kinds` names the tensors of state that each parameter has, zero at first.
  Optimizer(const std::vector<NamedParameter>& parameters, std::span<const DecayRule> rules,
            std::vector<std::string> kinds);

  /// Updates tensors that one of libtorch's fused kernels takes: dense, and equal in device,
  /// dtype and layout for each parameter, its gradient and its state.
  virtual void update_fused(Batch& batch, double lr) = 0;
  /// Updates any tensors.
  virtual void update_plain(Batch& batch, double lr) = 0;
  /// Multiplies the gradients by their factor, for updates that cannot do it on the way.
  static void apply_gradient_factor(Batch& batch);

 private:
  struct Slot {
    std::string name;
    torch::Tensor parameter;
    double decay;
    std::vector<torch::Tensor> state;
  };

  void step_scaled(double lr, double gradient_factor);
  std::map<std::string, torch::Tensor> named_state() const;

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

/// The Euclidean norm of all `gradients` together, [], fp32. Where it exceeds `max_norm` > 0 they
/// are scaled in place to that norm.
torch::Tensor clip_gradient_norm(const std::vector<torch::Tensor>& gradients, double max_norm);

}  // namespace softmoe

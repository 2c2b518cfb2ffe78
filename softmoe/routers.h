#pragma once
/// The registry of routers: one row per family.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "softmoe/moe_options.h"
#include "softmoe/router.h"

namespace softmoe {

/// How tokens meet experts.
enum class RoutingKind {
  kSoft,    ///< dense mixing weights within an image; experts have slots
  kSparse,  ///< each row of an expert is one token
  kMerged,  ///< experts' parameters are mixed, tokens go through the mixture
};

/// Whether a layer with equal experts gives each token the output of one of them, in evaluation and
/// if no token is dropped, as at the start of a model that is upcycled from a dense one.
enum class EqualExperts {
  kDiffer,  ///< no: experts see mixtures of tokens, or outputs are scaled or mixed with tokens
  kRenormalized,  ///< if the gates of a token sum to 1 (SparseOptions::renormalize_gates)
  kAgree,
};

/// What one layer's routing costs, without its experts.
struct RouterCost {
  int64_t parameters = 0;
  double multiply_adds = 0.0;         ///< of one image
  double expert_rows = 0.0;           ///< max rows of all experts together that one image fills
  double shared_multiply_adds = 0.0;  ///< of one image, once for all layers of a model
};

/// A loss that a router is trained with unless the user says otherwise, and its coefficient.
struct DefaultLoss {
  std::string_view name;
  double coefficient;
};

/// How a layer with a router is written in an ONNX graph: each names a writer of onnx/.
enum class OnnxForm {
  kNone,  ///< not at all: its evaluation searches, or has no bound on the rows of an expert
  kSoft,
  kSoftUniform,
  kUniformSoft,
  kUniform,
  kIdentity,
  kTokensChoice,
  kExpertsChoice,
  kBestExpert,     ///< the expert of the largest logit
  kMergedExperts,  ///< one mixture of all experts per image
  kPositionMap,    ///< experts by position in the image
  kContentMap,     ///< experts by the pixels of a patch
};

/// What checkpoints of google-research/vmoe hold of a router.
enum class VmoeForm {
  kNone,
  kRecognized,  ///< its weights, which are read as those of this router
  kMistaken,    ///< its weights, which are read as those of the recognized router of its kind
};

/// How a router takes texts of different lengths. Padding is no token, so it sees none.
enum class TextRouting {
  kNone,     ///< not at all: it needs a fixed number of tokens, pixels, or a loss of each image
  kByText,   ///< each text by itself
  kTogether  ///< the tokens of all texts of the batch as one group
};

/// What the routing of an image in training depends on beside the image.
enum class RoutingScope {
  kImage,   ///< nothing
  kImages,  ///< the images of its group (SparseOptions::group_images), one by default
  kGroup,   ///< the images of its group, by default the batch
  kBatch,   ///< the batch
};

struct RouterRow {
  std::string_view name;
  std::string_view source;   ///< the paper it comes from
  std::string_view summary;  ///< one line for help and documentation
  RoutingKind kind;
  /// True if the router has parameters of its own.
  bool learned;
  RouterHandle (*make)(const MoeLayerOptions& options);
  RouterCost (*cost)(const MoeLayerOptions& options);
  /// The options of MoeOptions that its outputs in evaluation depend on, beside the experts.
  std::span<const std::string_view> options = {};
  /// Those that it reads in training alone, initial values of its parameters included.
  std::span<const std::string_view> training_options = {};
  std::span<const DefaultLoss> losses = {};
  EqualExperts equal_experts = EqualExperts::kDiffer;
  /// Tensors of the router's state whose values are numbers of experts. (Pruning finds axes of
  /// experts by itself.)
  std::span<const std::string_view> expert_numbers = {};
  /// True if evaluation on a device is one sequence of its operators for all batches of one size:
  /// no value is read back on the host, none is brought from there, none is drawn. Such passes can
  /// be recorded once and replayed (CUDA graphs).
  bool recordable = false;
  OnnxForm onnx = OnnxForm::kNone;
  VmoeForm vmoe = VmoeForm::kNone;
  /// True if a layer must have as many slots as an image has tokens.
  bool slots_are_tokens = false;
  /// What routers with dense mixing weights average by; nothing for those that decide on rows or
  /// merge experts (Router::decide).
  std::optional<SoftMixing> mixing = {};
  /// True if decisions depend on the pixels of patches (TokenContext::patches).
  bool reads_patches = false;
  TextRouting texts = TextRouting::kNone;
  RoutingScope scope = RoutingScope::kImage;
};

/// All rows, in the order of documentation.
std::span<const RouterRow> router_rows();
/// Their names.
std::vector<std::string> router_names();
/// Returns true if RouterRow::options or training_options name `option`.
bool reads_option(const RouterRow& row, std::string_view option);
/// "MEANING; read by A, B and C", or "all but A": the help of an option by RouterRow::options and
/// training_options, in which no row that ignores it is missing.
std::string with_readers(std::string_view option, const std::string& meaning);
/// The row of a name; throws UsageError if there is none.
const RouterRow& router_row(const std::string& name);
/// A router for one layer. Throws UsageError for a name that no row has, c10::ValueError for sizes
/// that are not positive.
RouterHandle make_router(const MoeLayerOptions& options);

}  // namespace softmoe

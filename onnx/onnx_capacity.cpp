#include "onnx/onnx_capacity.h"

#include <cmath>
#include <optional>

#include "core/error.h"

namespace softmoe {
namespace {

/// numerator / denominator
struct Fraction {
  int64_t numerator = 0;
  int64_t denominator = 1;
};

/// The rows of a fraction in integers, as onnx_capacity() lets the graph compute them.
int64_t capacity_in_integers(const CapacityRule& rule, const Fraction& factor, int64_t images) {
  const int64_t share = images * rule.requests_of_image * factor.numerator;
  const int64_t whole = factor.denominator * rule.experts;
  int64_t rows = 0;
  if (rule.rounding == CapacityRounding::kUp) {
    rows = (share + whole - 1) / whole;
  } else {
    rows = (2 * share + whole) / (2 * whole);
    const bool is_half = (2 * share + whole) % (2 * whole) == 0;
    rows -= is_half ? rows % 2 : 0;
  }
  rows = std::max<int64_t>(rows, 1);
  return rule.multiple == 0 ? rows : (rows + rule.multiple - 1) / rule.multiple * rule.multiple;
}

/// The factor as a fraction that gives exactly the capacities of expert_capacity().
Fraction exact_fraction(const CapacityRule& rule) {
  constexpr int64_t kLargestDenominator = 10000;
  constexpr int64_t kImagesCompared = 1024;
  for (int64_t denominator = 1; denominator <= kLargestDenominator; ++denominator) {
    const double numerator = std::round(rule.factor * static_cast<double>(denominator));
    if (numerator / static_cast<double>(denominator) != rule.factor || numerator > 1e6) {
      continue;
    }
    const Fraction factor{.numerator = static_cast<int64_t>(numerator), .denominator = denominator};
    bool agrees = true;
    for (int64_t images = 1; agrees && images <= kImagesCompared; ++images) {
      agrees = capacity_in_integers(rule, factor, images) ==
               expert_capacity(images * rule.requests_of_image, rule.experts, rule.factor,
                               rule.rounding, rule.multiple);
    }
    if (agrees) {
      return factor;
    }
    break;
  }
  throw UsageError("capacity factor of an ONNX model for any number of images",
                   "a short decimal number (or give --batch-size)", std::to_string(rule.factor));
}

OnnxValue sum(OnnxGraph& graph, const OnnxValue& a, int64_t b) {
  return graph.node("Add", {a, graph.ints({b})});
}

OnnxValue quotient(OnnxGraph& graph, const OnnxValue& a, int64_t b) {
  return graph.node("Div", {a, graph.ints({b})});
}

/// `a` modulo `b`, by operators that every runtime has.
OnnxValue remainder(OnnxGraph& graph, const OnnxValue& a, int64_t b) {
  return graph.node("Sub", {a, graph.node("Mul", {quotient(graph, a, b), graph.ints({b})})});
}

/// share / whole, halves to the even number.
OnnxValue rounded_half_even(OnnxGraph& graph, const OnnxValue& share, int64_t whole) {
  const auto twice =
      sum(graph, graph.node("Mul", {share, graph.ints({2})}), whole);  // 2 share + whole
  const auto rows = quotient(graph, twice, 2 * whole);
  const auto is_half =
      onnx_cast(graph, graph.node("Equal", {remainder(graph, twice, 2 * whole), graph.ints({0})}),
                OnnxType::kInt64);
  return graph.node("Sub", {rows, graph.node("Mul", {is_half, remainder(graph, rows, 2)})});
}

}  // namespace

OnnxGroups onnx_groups(OnnxGraph& graph, const OnnxLength& batch, int64_t tokens_of_image,
                       int64_t group_images) {
  OnnxGroups groups;
  if (group_images == 1) {
    groups.images = 1;
  } else if (group_images == 0) {
    groups.images = batch;
  } else if (batch.is_known()) {
    groups.images = batch.known % group_images == 0 ? group_images : batch.known;
  } else {
    const auto divides =
        graph.node("Equal", {remainder(graph, batch.value, group_images), graph.ints({0})});
    groups.images = graph.node("Where", {divides, graph.ints({group_images}), batch.value});
  }
  groups.count = group_images == 0 ? OnnxLength(1) : onnx_divide(graph, batch, groups.images);
  groups.tokens = onnx_multiply(graph, groups.images, tokens_of_image);
  return groups;
}

OnnxLength onnx_capacity(OnnxGraph& graph, const CapacityRule& rule, const OnnxLength& images) {
  if (images.is_known()) {
    return expert_capacity(images.known * rule.requests_of_image, rule.experts, rule.factor,
                           rule.rounding, rule.multiple);
  }
  const auto factor = exact_fraction(rule);
  const int64_t whole = factor.denominator * rule.experts;
  const auto share =
      graph.node("Mul", {images.value, graph.ints({rule.requests_of_image * factor.numerator})});
  auto rows = rule.rounding == CapacityRounding::kUp
                  ? quotient(graph, sum(graph, share, whole - 1), whole)
                  : rounded_half_even(graph, share, whole);
  rows = graph.node("Max", {rows, graph.ints({1})});
  if (rule.multiple > 1) {
    const auto multiples = quotient(graph, sum(graph, rows, rule.multiple - 1), rule.multiple);
    rows = graph.node("Mul", {multiples, graph.ints({rule.multiple})});
  }
  return rows;
}

}  // namespace softmoe

#pragma once
/// Named results of kernels, their file and their comparison.

#include <iosfwd>
#include <string>
#include <vector>

#include "kernels/values/arrays.h"

namespace softmoe::kernels::values {

/// How far two machines may differ.
enum class Kind {
  kExact,  ///< not at all: packing, integers, rounding
  kSums,   ///< by the order of sums in fp32
  /// Sums rounded to bf16, or of factors that some levels round to it: by a step where they lie
  /// between two values.
  kBf16,
};
/// The largest difference that is allowed, as a part of the result's largest magnitude.
inline constexpr double tolerance_of(Kind kind) {
  return kind == Kind::kExact ? 0.0 : kind == Kind::kSums ? 1e-5 : 8e-3;
}

/// What a call of a kernel wrote.
struct Result {
  std::string name;  ///< that of the kernel, a space and what is particular about the call
  Kind kind;
  std::vector<double> values;

  std::string kernel() const { return name.substr(0, name.find(' ')); }
};

class Results {
 public:
  template <typename Value>
  void add_exact(const std::string& name, const std::vector<Value>& values) {
    results_.push_back({name, Kind::kExact, {values.begin(), values.end()}});
  }
  void add_exact(const std::string& name, const Array& array) { add_exact(name, array.values()); }
  /// `factors`: the lowest precision to which a level may round the factors of the sums.
  void add_sums(const std::string& name, const Floats& values,
                Precision factors = Precision::kFloat32) {
    const auto kind = factors == Precision::kBFloat16 ? Kind::kBf16 : Kind::kSums;
    results_.push_back({name, kind, {values.begin(), values.end()}});
  }
  /// Sums, rounded to bf16 if the array has that precision.
  void add(const std::string& name, const Array& array);

  const std::vector<Result>& all() const { return results_; }
  void write(std::ostream& out) const;
  /// Throws std::runtime_error if `in` is not what write() writes.
  static Results read(std::istream& in);

 private:
  std::vector<Result> results_;
};

/// The largest difference of a kernel's results of one kind.
struct KernelError {
  std::string kernel;
  Kind kind;
  double error = 0.0;   ///< as a part of the largest magnitude; infinite for NaN
  std::string worst{};  ///< name of the result
  bool is_allowed() const { return error <= tolerance_of(kind); }
};

/// The errors of `actual`. Throws std::runtime_error unless both have results of equal names and
/// sizes.
std::vector<KernelError> errors_of(const Results& expected, const Results& actual);

}  // namespace softmoe::kernels::values

#include "kernels/values/results.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <istream>
#include <limits>
#include <ostream>
#include <stdexcept>

namespace softmoe::kernels::values {
namespace {

/// The largest difference as a part of the largest magnitude that is expected.
double error_of(const std::vector<double>& expected, const std::vector<double>& actual) {
  double largest = 0.0;
  double error = 0.0;
  for (size_t index = 0; index < expected.size(); ++index) {
    const double difference = std::abs(actual[index] - expected[index]);
    if (!std::isfinite(difference)) {
      return std::numeric_limits<double>::infinity();
    }
    error = std::max(error, difference);
    largest = std::max(largest, std::abs(expected[index]));
  }
  return error == 0.0 ? 0.0 : error / largest;
}

}  // namespace

void Results::add(const std::string& name, const Array& array) {
  add_sums(name, array.values());
  results_.back().kind = array.precision() == Precision::kFloat32 ? Kind::kSums : Kind::kBf16;
}

void Results::write(std::ostream& out) const {
  out << std::setprecision(std::numeric_limits<double>::max_digits10);
  for (const auto& result : results_) {
    out << static_cast<int>(result.kind) << ' ' << result.values.size() << ' ' << result.name
        << '\n';
    for (const double value : result.values) {
      out << value << ' ';
    }
    out << '\n';
  }
}

Results Results::read(std::istream& in) {
  Results results;
  int kind = 0;
  size_t count = 0;
  while (in >> kind >> count) {
    Result result{.name = {}, .kind = static_cast<Kind>(kind), .values = {}};
    std::getline(in >> std::ws, result.name);
    for (std::string word; result.values.size() < count && in >> word;) {
      result.values.push_back(std::stod(word));  // reads nan, too
    }
    if (result.values.size() != count) {
      throw std::runtime_error("the values of " + result.name + " are not complete");
    }
    results.results_.push_back(std::move(result));
  }
  return results;
}

std::vector<KernelError> errors_of(const Results& expected, const Results& actual) {
  if (expected.all().size() != actual.all().size()) {
    throw std::runtime_error(std::to_string(actual.all().size()) + " results instead of " +
                             std::to_string(expected.all().size()));
  }
  std::vector<KernelError> errors;
  for (size_t index = 0; index < expected.all().size(); ++index) {
    const Result& left = expected.all()[index];
    const Result& right = actual.all()[index];
    if (left.name != right.name || left.values.size() != right.values.size()) {
      throw std::runtime_error("the results " + left.name + " and " + right.name +
                               " have different names or sizes");
    }
    auto row = std::find_if(errors.begin(), errors.end(), [&](const KernelError& other) {
      return other.kernel == left.kernel() && other.kind == left.kind;
    });
    if (row == errors.end()) {
      row = errors.insert(row, {.kernel = left.kernel(), .kind = left.kind, .worst = left.name});
    }
    const double error = error_of(left.values, right.values);
    if (error > row->error) {
      row->error = error;
      row->worst = left.name;
    }
  }
  return errors;
}

}  // namespace softmoe::kernels::values

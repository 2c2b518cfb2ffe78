#include "core/tensor_check.h"

#include <gmock/gmock.h>

namespace softmoe {
namespace {

using testing::HasSubstr;

TEST(CheckShape, NamesTheExpectedAndTheActualShape) {
  const auto tensor = torch::zeros({2, 3});
  check_shape("x", tensor, {2, -1});
  for (const auto& shape : {std::initializer_list<int64_t>{2, 4}, {2, 3, 1}, {}}) {
    EXPECT_THROW(check_shape("x", tensor, shape), c10::ValueError);
  }
  try {
    check_shape("SoftRouter: tokens", tensor, {-1, 4});
    FAIL();
  } catch (const c10::ValueError& error) {
    EXPECT_THAT(error.what_without_backtrace(), HasSubstr("SoftRouter: tokens"));
    EXPECT_THAT(error.what_without_backtrace(), HasSubstr("[2, 3]"));
    EXPECT_THAT(error.what_without_backtrace(), HasSubstr("4]"));
  }
}

}  // namespace
}  // namespace softmoe

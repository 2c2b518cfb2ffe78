#include "checkpoints/surgery/resize_options.h"

#include <gtest/gtest.h>

namespace softmoe {
namespace {

TEST(ResizeOptions, TakeTheUsualModeUnlessOneWasGiven) {
  ResizeOptions options;
  EXPECT_EQ(options.resolve(PositionResize::kBicubic), PositionResize::kBicubic);
  EXPECT_EQ(options.resize_mode, "bicubic");
  EXPECT_EQ(options.resolve(PositionResize::kBilinear), PositionResize::kBicubic);
}

TEST(ResizeOptions, RefuseAnUnknownMode) {
  EXPECT_THROW(options_from_json<ResizeOptions>({{"resize-mode", "cubic"}}, "test"), UsageError);
}

}  // namespace
}  // namespace softmoe

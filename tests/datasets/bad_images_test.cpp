#include "datasets/bad_images.h"

#include <gmock/gmock.h>

#include "core/error.h"

namespace softmoe {
namespace {

TEST(BadImages, OneIsAllowedUnlessNoneIs) {
  EXPECT_EQ(allowed_bad_images(0.01, 4), 1);
  EXPECT_EQ(allowed_bad_images(0.01, 250), 2);
  EXPECT_EQ(allowed_bad_images(1.0, 3), 3);
  EXPECT_EQ(allowed_bad_images(0.0, 1000), 0);
}

TEST(BadImages, TooManyAreListed) {
  const std::vector<BadImage> bad{{.index = 0, .reason = "a.png: empty"},
                                  {.index = 2, .reason = "c.png: damaged"}};
  EXPECT_NO_THROW(check_bad_images(bad, 0.01, 200));
  EXPECT_THAT([&] { check_bad_images(bad, 0.01, 4); },
              testing::ThrowsMessage<InputError>(
                  "more than --max-bad-images 0.01 of 4 images cannot be read: a.png: empty; "
                  "c.png: damaged"));
}

}  // namespace
}  // namespace softmoe

#include "core/named_tensors.h"

#include <gmock/gmock.h>

namespace softmoe {
namespace {

using testing::ElementsAre;
using testing::Key;

TEST(NamedTensors, APartLeavesTheRestUnderItsOwnNames) {
  NamedTensors tensors;
  for (const char* const name : {"a.", "a", "b.weight", "b.x.bias", "b_", "ab.weight", "c"}) {
    tensors[name] = torch::ones({1});
  }
  const auto part = take_part(tensors, "b.");
  EXPECT_THAT(part, ElementsAre(Key("weight"), Key("x.bias")));
  EXPECT_TRUE(part.at("weight").defined());
  EXPECT_THAT(tensors, ElementsAre(Key("a"), Key("a."), Key("ab.weight"), Key("b_"), Key("c")));
  EXPECT_TRUE(take_part(tensors, "d").empty());
}

}  // namespace
}  // namespace softmoe

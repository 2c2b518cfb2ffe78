#include "runtime/profiler.h"

#include <gmock/gmock.h>
#include <torch/torch.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "core/json_text.h"

namespace softmoe {
namespace {

const ProfileEvent* find(const std::vector<ProfileEvent>& events, const std::string& name) {
  const auto found = std::ranges::find(events, name, &ProfileEvent::name);
  return found == events.end() ? nullptr : &*found;
}

TEST(Profiler, RecordsPartsOperatorsAndTheBackwardPass) {
  const auto x = torch::ones({3, 4}).requires_grad_();
  Profiler profiler(torch::kCPU);
  torch::Tensor y;
  {
    const ProfilePart part("product");
    y = x.matmul(torch::ones({4, 5}));
  }
  {
    const ProfilePart part([] { return "back" + std::string("ward"); });
    y.sum().backward();
  }
  const auto events = profiler.stop();
  const auto* product = find(events, "product");
  const auto* matmul = find(events, "aten::matmul");
  const auto* function = find(events, "MmBackward0");
  const auto* backward = find(events, "backward");
  ASSERT_TRUE(product != nullptr && matmul != nullptr);
  ASSERT_TRUE(function != nullptr && backward != nullptr);
  EXPECT_EQ(product->kind, ProfileKind::kPart);
  EXPECT_EQ(matmul->kind, ProfileKind::kOperator);
  EXPECT_EQ(function->kind, ProfileKind::kBackward);
  // The operator ran in its part, and the part made the backward function.
  EXPECT_LE(product->begin_ns, matmul->begin_ns);
  EXPECT_LE(matmul->end_ns, product->end_ns);
  EXPECT_LE(product->sequence, function->sequence);
  EXPECT_LT(function->sequence, product->sequence_end);
  EXPECT_GE(backward->sequence, product->sequence_end);
}

TEST(Profiler, RecordsNothingAfterItsEnd) {
  std::optional<Profiler> profiler(torch::kCPU);
  EXPECT_TRUE(find(profiler->stop(), "late") == nullptr);
  { const ProfilePart part("late"); }
  EXPECT_TRUE(profiler->stop().empty());
  profiler.emplace(torch::kCPU);
  { const ProfilePart part("again"); }
  EXPECT_THROW(Profiler second(torch::kCPU), c10::ValueError);
  EXPECT_TRUE(find(profiler->stop(), "again") != nullptr);
}

TEST(Profiler, WritesATrace) {
  const std::vector<ProfileEvent> events{
      {.name = "a \"b\"", .thread = 2, .begin_ns = 5000, .end_ns = 9500},
      {.name = "c", .kind = ProfileKind::kBackward, .thread = 1, .begin_ns = 4000, .end_ns = 4100}};
  const auto trace = Json::parse(chrome_trace(events));
  const auto& rows = trace.at("traceEvents");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0], (Json{{"name", "a \"b\""},
                           {"cat", "part"},
                           {"ph", "X"},
                           {"ts", 1.0},
                           {"dur", 4.5},
                           {"pid", 1},
                           {"tid", 2}}));
  EXPECT_EQ(rows[1].at("cat"), "backward");
}

}  // namespace
}  // namespace softmoe

/// Descriptions of models in npz files, which NumPy does not see.

#include "checkpoints/convert/npz_description.h"

#include <gmock/gmock.h>

#include "checkpoints/convert/reader_notes.h"
#include "checkpoints/square_models.h"
#include "io/bounded_json.h"
#include "io/npz.h"

namespace softmoe {
namespace {

using testing::Contains;
using testing::HasSubstr;

ModelDescription described_model(size_t names, size_t letters) {
  ModelDescription description;
  description.name = "a";
  description.options = test::square_options();
  description.options.num_classes = static_cast<int64_t>(names);
  description.class_names.assign(names, std::string(letters, 'a'));
  return description;
}

TEST(NpzDescription, ComesBack) {
  const auto description = described_model(/*names=*/7, /*letters=*/3);
  const auto text = described_in_npz(npz_description(description));
  ASSERT_TRUE(text.has_value());
  EXPECT_EQ(parse_json(*text, "comment"), to_metadata(description));
  EXPECT_FALSE(described_in_npz("").has_value());
  EXPECT_FALSE(described_in_npz("made by another program").has_value());
}

TEST(NpzDescription, LeavesOutNamesWithoutRoomAndSaysSo) {
  const auto many = described_model(/*names=*/10'000, /*letters=*/10);
  EXPECT_FALSE(names_fit_npz(many));
  const auto comment = npz_description(many);
  EXPECT_LE(comment.size(), kNpzCommentLimit);
  EXPECT_EQ(parse_json(*described_in_npz(comment), "comment").at("classes"), Json::array());
  EXPECT_THAT(reader_notes(TensorFormat::kNpz, find_family("vmoe"), many),
              Contains(HasSubstr("the names of the classes are lost")));
}

}  // namespace
}  // namespace softmoe

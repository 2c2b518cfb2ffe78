#include "checkpoints/checkpoint.h"

#include <gmock/gmock.h>

#include <cstring>
#include <fstream>

#include "core/error.h"
#include "io/atomic_file.h"
#include "io/hdf5.h"
#include "runtime/device.h"
#include "support/error_text.h"
#include "support/file_size_limit.h"
#include "support/peak_memory.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::input_error;
using testing::HasSubstr;

/// Equality of the memory itself: NaN payloads and negative zeros count.
bool same_memory(const torch::Tensor& a, const torch::Tensor& b) {
  const auto x = a.cpu().contiguous();
  const auto y = b.cpu().contiguous();
  return x.scalar_type() == y.scalar_type() && x.sizes() == y.sizes() &&
         (x.numel() == 0 || std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) == 0);
}

Checkpoint example_checkpoint() {
  Checkpoint checkpoint;
  checkpoint.metadata = {{"model", {{"dim", 64}}}, {"classes", {"ä", "b"}}, {"step", 12}};
  checkpoint.model["blocks.0.norm1.weight"] = torch::arange(7, torch::kFloat32);
  checkpoint.model["pos_embed"] = torch::arange(30, torch::kFloat32).view({1, 5, 6});
  checkpoint.optimizer["blocks.0.norm1.weight/exp_avg"] = torch::full({7}, 3.0);
  checkpoint.optimizer["pos_embed"] = torch::full({1, 5, 6}, 4.0);
  return checkpoint;
}

TEST(Checkpoint, RoundTripsEveryDtypeBitExactly) {
  const test::TemporaryFolder folder;
  Checkpoint checkpoint;
  const auto bytes = torch::randint(256, {16 * 15}, torch::kUInt8);
  for (const auto dtype : {torch::kFloat32, torch::kFloat64, torch::kFloat16, torch::kBFloat16,
                           torch::kInt32, torch::kInt64, torch::kUInt8}) {
    checkpoint.model[c10::toString(dtype)] = bytes.view(dtype).slice(0, 0, 30).view({3, 2, 5});
  }
  checkpoint.model["bool"] = torch::tensor({true, false, false, true});
  checkpoint.model["scalar"] = torch::tensor(-0.0F);
  checkpoint.model["empty"] = torch::empty({0, 3});
  checkpoint.model["transposed"] = torch::randn({4, 9}).t();
  checkpoint.model["slice"] = torch::randn({4, 9}).slice(1, 2, 5);
  checkpoint.model["parameter"] = torch::randn({2, 3}).requires_grad_();
  save_checkpoint(folder / "a.h5", checkpoint);

  const auto read = load_checkpoint(folder / "a.h5").model;
  ASSERT_EQ(read.size(), checkpoint.model.size());
  for (const auto& [name, tensor] : checkpoint.model) {
    EXPECT_TRUE(same_memory(read.at(name), tensor)) << name;
  }
  EXPECT_FALSE(read.at("parameter").requires_grad());
}

TEST(Checkpoint, TakesTensorsOfEveryDevice) {
  const test::TemporaryFolder folder;
  for (const auto& device : present_devices()) {
    const auto tensor = torch::randn({3, 4}, device);
    save_checkpoint(folder / "a.h5", {.model = {{"x", tensor}}});
    EXPECT_TRUE(same_memory(load_checkpoint(folder / "a.h5").model.at("x"), tensor));
  }
}

TEST(Checkpoint, KeepsGroupsApartAndReadsTheWantedOnes) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.h5";
  save_checkpoint(path, example_checkpoint());

  const auto all = load_checkpoint(path);
  EXPECT_EQ(all.metadata, example_checkpoint().metadata);
  EXPECT_EQ(all.model.size(), 2U);
  EXPECT_EQ(all.optimizer.size(), 2U);
  EXPECT_TRUE(test::same_bits(all.optimizer.at("pos_embed"), torch::full({1, 5, 6}, 4.0)));
  EXPECT_TRUE(
      test::same_bits(all.optimizer.at("blocks.0.norm1.weight/exp_avg"), torch::full({7}, 3.0)));

  const auto weights = load_checkpoint(path, {.optimizer = false});
  EXPECT_EQ(weights.model.size(), 2U);
  EXPECT_TRUE(weights.optimizer.empty());
  EXPECT_EQ(load_metadata(path), example_checkpoint().metadata);
}

TEST(Checkpoint, IsAnOrdinaryHdf5File) {
  const test::TemporaryFolder folder;
  save_checkpoint(folder / "a.h5", example_checkpoint());
  const auto file = Hdf5File::open(folder / "a.h5");
  EXPECT_EQ(file.info("/model/pos_embed").shape, (std::vector<int64_t>{1, 5, 6}));
  EXPECT_EQ(file.read_text("format_version"), "1");
  EXPECT_EQ(Json::parse(file.read_text("metadata")), example_checkpoint().metadata);
}

TEST(Checkpoint, NamesTheDamagedTensor) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.h5";
  save_checkpoint(path, example_checkpoint());
  std::string bytes = read_text_file(path);
  const float last = 29;
  const std::string pattern(reinterpret_cast<const char*>(&last), sizeof(last));
  const auto at = bytes.find(pattern);
  ASSERT_NE(at, std::string::npos);
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  write_text_file(path, bytes);

  EXPECT_THAT(input_error([&] { load_checkpoint(path); }),
              HasSubstr(path.string() + ": tensor 'model/pos_embed': expected checksum"));
  EXPECT_NO_THROW(load_checkpoint(path, {.model = false}));
  EXPECT_NO_THROW(load_metadata(path));
}

/// A checkpoint that several threads read.
Checkpoint large_example() {
  torch::manual_seed(5);
  Checkpoint checkpoint;
  for (int index = 0; index < 9; ++index) {
    checkpoint.model["blocks." + std::to_string(index)] =
        torch::randint(256, {9, 1 << 20, 1 + index % 2}, torch::kUInt8);
  }
  checkpoint.model["small"] = torch::randn({3});
  return checkpoint;
}

TEST(Checkpoint, OfManyLargeTensorsIsReadAsItWasWritten) {
  const test::TemporaryFolder folder;
  const auto written = large_example();
  save_checkpoint(folder / "a.h5", written);
  const auto read = load_checkpoint(folder / "a.h5").model;
  ASSERT_EQ(read.size(), written.model.size());
  for (const auto& [name, tensor] : written.model) {
    EXPECT_TRUE(same_memory(read.at(name), tensor)) << name;
  }
}

TEST(Checkpoint, NamesTheDamagedOneOfManyLargeTensors) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.h5";
  save_checkpoint(path, large_example());
  const auto offset = Hdf5File::open(path).info("/model/blocks.4").offset;
  ASSERT_TRUE(offset);
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(*offset + 5'000'000);
    const auto byte = static_cast<char>(file.get() ^ 4);
    file.seekp(*offset + 5'000'000);
    file.put(byte);
  }
  const auto message = input_error([&] { load_checkpoint(path); });
  EXPECT_THAT(message,
              testing::StartsWith(path.string() + ": tensor 'model/blocks.4': expected checksum"));
  EXPECT_THAT(message, testing::EndsWith("(the file is damaged)"));
}

TEST(Checkpoint, IsReadInNoMoreMemoryThanItsTensorsTake) {
  const test::TemporaryFolder folder;
  constexpr int64_t kTensorBytes = int64_t{24} << 20;
  constexpr int64_t kTensors = 7;
  {
    Checkpoint checkpoint;
    for (int64_t index = 0; index < kTensors; ++index) {
      checkpoint.model[std::to_string(index)] = torch::full({kTensorBytes}, index, torch::kUInt8);
    }
    save_checkpoint(folder / "a.h5", checkpoint);
  }
  Checkpoint read;
  const auto growth = test::peak_growth([&] { read = load_checkpoint(folder / "a.h5"); });
  EXPECT_EQ(read.model.at("6")[kTensorBytes - 1].item<int64_t>(), 6);
  if (!growth) {
    GTEST_SKIP() << "the peak of memory cannot be measured here";
  }
  EXPECT_LT(*growth, kTensors * kTensorBytes * 115 / 100);
}

TEST(Checkpoint, MayHoldTensorsInChunks) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.h5";
  save_checkpoint(path, example_checkpoint());
  const auto tensor = example_checkpoint().model.at("blocks.0.norm1.weight");
  const auto original = Hdf5File::open(path);
  auto file = Hdf5File::create(folder / "b.h5", folder / "b.h5");
  file.create_growing("/model/blocks.0.norm1.weight", Hdf5Type::kFloat32, {}, 7);
  file.append("/model/blocks.0.norm1.weight", 7, tensor.const_data_ptr());
  file.write("/model/pos_embed", Hdf5Type::kFloat32, {1, 5, 6},
             example_checkpoint().model.at("pos_embed").const_data_ptr());
  for (const char* name : {"format", "format_version", "metadata", "tensors", "checksum"}) {
    file.write_text(name, original.read_text(name));
  }
  file.close();
  const auto read = load_checkpoint(folder / "b.h5", {.optimizer = false}).model;
  EXPECT_TRUE(same_memory(read.at("blocks.0.norm1.weight"), tensor));
}

TEST(Checkpoint, NoticesAnyAlteredByteOfItsDescription) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.h5";
  save_checkpoint(path, example_checkpoint());
  const std::string whole = read_text_file(path);
  for (const char* text : {"\"dim\":64", "float32", "softmoe-checkpoint", "\"step\":12"}) {
    std::string bytes = whole;
    const auto at = bytes.find(text);
    ASSERT_NE(at, std::string::npos) << text;
    bytes[at + std::strlen(text) - 1] = static_cast<char>(bytes[at + std::strlen(text) - 1] ^ 1);
    write_text_file(path, bytes);
    EXPECT_THAT(input_error([&] { load_metadata(path); }), HasSubstr(path.string())) << text;
  }
}

TEST(Checkpoint, RefusesEveryTruncation) {
  const test::TemporaryFolder folder;
  save_checkpoint(folder / "a.h5", example_checkpoint());
  const std::string whole = read_text_file(folder / "a.h5");
  const auto path = folder / "cut.h5";
  for (size_t length = 0; length < whole.size(); length += 97) {
    write_text_file(path, whole.substr(0, length));
    const auto message = input_error([&] { load_checkpoint(path); });
    EXPECT_THAT(message, HasSubstr(path.string() + ": expected a whole HDF5 file")) << length;
  }
}

TEST(Checkpoint, RefusesOtherFiles) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.h5";
  EXPECT_THAT(input_error([&] { load_checkpoint(path); }),
              HasSubstr("cannot read " + path.string() + ": No such file"));
  auto other = Hdf5File::create(path, path);
  other.write_text("title", "something");
  other.close();
  EXPECT_THAT(input_error([&] { load_checkpoint(path); }), HasSubstr("a softmoe checkpoint"));

  auto newer = Hdf5File::create(path, path);
  newer.write_text("format", "softmoe-checkpoint");
  newer.write_text("format_version", "2");
  newer.write_text("softmoe_version", "9.9");
  newer.close();
  EXPECT_EQ(input_error([&] { load_checkpoint(path); }),
            path.string() + ": expected checkpoint format 1, found format '2' of softmoe 9.9");
}

TEST(Checkpoint, LeavesTheOldOneWhenTheDiskIsFull) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.h5";
  save_checkpoint(path, example_checkpoint());
  Checkpoint large = example_checkpoint();
  large.model["large"] = torch::zeros({200'000});
  const auto message = input_error([&] {
    const test::FileSizeLimit limit(100'000);
    save_checkpoint(path, large);
  });
  EXPECT_EQ(message, "cannot write " + path.string() + ": File too large");
  EXPECT_EQ(load_checkpoint(path).model.size(), 2U);
  const auto files = std::filesystem::directory_iterator(folder.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST(Checkpoint, RefusesDtypesAndNamesItCannotStore) {
  const test::TemporaryFolder folder;
  const auto save = [&](const std::string& name, const torch::Tensor& tensor) {
    save_checkpoint(folder / "a.h5", {.model = {{name, tensor}}});
  };
  EXPECT_THROW(save("x", torch::zeros({2}, torch::kComplexFloat)), c10::ValueError);
  EXPECT_THROW(save("", torch::zeros({2})), c10::ValueError);
  EXPECT_THROW(save("a//b", torch::zeros({2})), c10::ValueError);
  EXPECT_FALSE(std::filesystem::exists(folder / "a.h5"));
}

}  // namespace
}  // namespace softmoe

#include "checkpoints/tensor_file.h"

#include <gmock/gmock.h>
#include <zip.h>

#include "checkpoints/checkpoint.h"
#include "checkpoints/formats/every_dtype.h"
#include "io/atomic_file.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"
#include "support/zip_bytes.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

using test::input_error;

struct FormatCase {
  const char* name;
  const char* file;
  TensorFormat format;
};

void PrintTo(const FormatCase& test_case, std::ostream* out) { *out << test_case.name; }

class TensorFileOfPython : public testing::TestWithParam<FormatCase> {};

TEST_P(TensorFileOfPython, IsKnownByItsContentWhateverItsName) {
  const test::TemporaryFolder folder;
  const auto path = folder / "weights.h5";  // a name that says nothing true
  fs::copy(test::fixture(GetParam().file), path);
  EXPECT_EQ(tensor_format(path), GetParam().format);
  const auto read = read_tensor_file(path);
  EXPECT_EQ(read.format, GetParam().format);
  EXPECT_EQ(read.path, path);
  EXPECT_TRUE(read.config.is_null());
  EXPECT_TRUE(
      test::same_tensor_memory(read.tensors.at("matrix"), test::every_dtype().at("matrix")));
}

INSTANTIATE_TEST_SUITE_P(
    All, TensorFileOfPython,
    testing::Values(
        FormatCase{"Safetensors", "formats/every_dtype.safetensors", TensorFormat::kSafetensors},
        FormatCase{"Npz", "formats/every_dtype.npz", TensorFormat::kNpz},
        FormatCase{"TorchZip", "formats/every_dtype.pt", TensorFormat::kTorch},
        FormatCase{"TorchLegacy", "formats/every_dtype_legacy.pth", TensorFormat::kTorch}),
    [](const auto& row) { return row.param.name; });

TEST(TensorFile, ReadsTheModelAndMetadataOfANativeCheckpoint) {
  const test::TemporaryFolder folder;
  const auto path = folder / "weights.npz";
  save_checkpoint(path, {.metadata = {{"b", 1}, {"a", {2, 3}}},
                         .model = {{"x", torch::arange(3)}},
                         .optimizer = {{"x/exp_avg", torch::zeros({3})}}});
  const auto read = read_tensor_file(path);
  EXPECT_EQ(read.format, TensorFormat::kHdf5);
  EXPECT_EQ(read.config, (Json{{"b", 1}, {"a", {2, 3}}}));
  ASSERT_EQ(read.tensors.size(), 1U);
  EXPECT_TRUE(test::same_tensor_memory(read.tensors.at("x"), torch::arange(3)));
}

TEST(TensorFile, TakesTheConfigBesideTheFileAndTheModelOfAFolder) {
  const auto folder = test::fixture("formats/sharded");
  const auto read = read_tensor_file(folder);
  EXPECT_EQ(read.format, TensorFormat::kSafetensors);
  EXPECT_EQ(read.path, folder / "model.safetensors.index.json");
  EXPECT_EQ(read.config.at("hidden_size"), 64);
  EXPECT_EQ(read.metadata.at("format"), "pt");
  EXPECT_EQ(read.tensors.size(), test::every_dtype().size());
}

TEST(TensorFile, NotesConfigsThatCannotBeRead) {
  const test::TemporaryFolder folder;
  write_safetensors(folder / "model.safetensors", {{"x", torch::ones({2})}});
  const auto config = (folder / "config.json").string();
  const auto refused = [&](const std::string& text) {
    write_text_file(config, text);
    const auto file = read_tensor_file(folder.path());
    EXPECT_TRUE(file.config.is_null());
    return file.config_problem;
  };
  EXPECT_EQ(refused("{'a': 1}"), config + ": expected JSON, found something else");
  EXPECT_EQ(refused("[1]"), config + ": expected a JSON object, found array");
  EXPECT_EQ(refused(std::string(1 << 20, '[')),
            config + ": expected JSON of at most 64 levels, found 1048576");
}

TEST(TensorFile, NamesWhatIsNone) {
  const test::TemporaryFolder folder;
  const auto refused = [&](const std::string& text) {
    write_text_file(folder / "a", text);
    return input_error([&] { read_tensor_file(folder / "a"); });
  };
  const auto kinds =
      (folder / "a").string() + ": expected HDF5, safetensors, npz or a file of torch.save, found ";
  EXPECT_EQ(refused("hello"), kinds + "a text file");
  EXPECT_EQ(refused(""), kinds + "an empty file");
  EXPECT_EQ(refused(test::zip_bytes({{"model.pth", "weights"}})),
            kinds + "a zip archive of other files");
  EXPECT_EQ(refused("model.pth" + std::string(248, '\0') + "ustar"),
            kinds + "a tar archive: unpack it");
  EXPECT_EQ(refused("\x1f\x8b\x08 packed"), kinds + "gzip data: unpack it");
  EXPECT_EQ(input_error([&] { read_tensor_file(folder.path()); }),
            folder.path().string() +
                ": expected a folder with model.safetensors, its index or pytorch_model.bin, found "
                "none of them");
  EXPECT_EQ(input_error([&] { read_tensor_file(folder / "none"); }),
            "cannot read " + (folder / "none").string() + ": No such file or directory");
}

TEST(TensorFile, NamesAnAdapterWithoutItsModel) {
  const test::TemporaryFolder folder;
  write_safetensors(folder / "adapter_model.safetensors", {{"x", torch::ones({2})}});
  EXPECT_THAT(input_error([&] { read_tensor_file(folder.path()); }),
              testing::HasSubstr("found a LoRA adapter alone: merge it into its model first"));
}

TEST(TensorFile, RefusesZipBombsBeforeTheyTakeMemory) {
  const test::TemporaryFolder folder;
  const auto path = folder / "bomb.npz";
  // Deflate makes a thousandth of it, though no member may be deflated.
  const std::string zeros(size_t{1} << 24, '\0');
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE, nullptr);
  ASSERT_NE(archive, nullptr);
  zip_source_t* source = zip_source_buffer(archive, zeros.data(), zeros.size(), 0);
  const auto index = static_cast<zip_uint64_t>(zip_file_add(archive, "a/data.pkl", source, 0));
  zip_set_file_compression(archive, index, ZIP_CM_DEFLATE, 9);
  ASSERT_EQ(zip_close(archive), 0);
  EXPECT_EQ(input_error([&] { read_tensor_file(path); }),
            path.string() +
                ": member 'a/data.pkl': expected data as it is, as torch.save writes it, found "
                "compressed data");
}

}  // namespace
}  // namespace softmoe

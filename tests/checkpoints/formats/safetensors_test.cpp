#include "checkpoints/formats/safetensors.h"

#include <gmock/gmock.h>

#include "checkpoints/formats/every_dtype.h"
#include "io/atomic_file.h"
#include "support/error_text.h"
#include "support/file_size_limit.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "support/zip_bytes.h"

namespace softmoe {
namespace {

using test::input_error;
using test::little_endian;
using test::same_tensor_memory;
using testing::HasSubstr;

void expect_every_dtype(const NamedTensors& read) {
  const auto expected = test::every_dtype();
  ASSERT_EQ(read.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    EXPECT_TRUE(same_tensor_memory(read.at(name), tensor)) << name;
  }
}

/// A file of `header` and `data`.
std::string file_bytes(const std::string& header, const std::string& data) {
  return little_endian(header.size(), 8) + header + data;
}

/// One tensor 'x'; `offsets` as JSON.
std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"("x":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}";
}

TEST(Safetensors, ReadsWhatTheReferenceWrites) {
  const auto read = read_safetensors_file(test::fixture("formats/every_dtype.safetensors"));
  expect_every_dtype(read.tensors);
  EXPECT_EQ(read.metadata, (SafetensorsMetadata{{"format", "pt"}}));
}

TEST(Safetensors, ReadsShardsByTheirIndex) {
  const auto read =
      read_safetensors_file(test::fixture("formats/sharded/model.safetensors.index.json"));
  expect_every_dtype(read.tensors);
  EXPECT_EQ(read.metadata.at("format"), "pt");
}

TEST(Safetensors, RoundTripsEveryDtypeBitExactly) {
  const test::TemporaryFolder folder;
  const auto bytes = torch::randint(256, {16 * 15}, torch::kUInt8);
  NamedTensors tensors = test::every_dtype();
  for (const auto dtype :
       {torch::kFloat64, torch::kFloat32, torch::kFloat16, torch::kBFloat16, torch::kInt64,
        torch::kInt32, torch::kInt16, torch::kInt8, torch::kUInt8}) {
    tensors[c10::toString(dtype)] = bytes.view(dtype).slice(0, 0, 30).view({3, 2, 5});
  }
  for (const auto dtype : {torch::kUInt16, torch::kUInt32, torch::kUInt64}) {
    tensors[c10::toString(dtype)] = torch::tensor({1, -2, 300}).to(dtype);
  }
  tensors["transposed"] = torch::randn({4, 9}).t();
  tensors["parameter \"ä\"\n"] = torch::randn({2, 3}).requires_grad_();
  const SafetensorsMetadata metadata{{"format", "pt"}, {"note", "line\nline"}};
  write_safetensors(folder / "a.safetensors", tensors, metadata);

  const auto read = read_safetensors_file(folder / "a.safetensors");
  EXPECT_EQ(read.metadata, metadata);
  ASSERT_EQ(read.tensors.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_TRUE(same_tensor_memory(read.tensors.at(name), tensor)) << name;
    EXPECT_FALSE(read.tensors.at(name).requires_grad()) << name;
  }
}

TEST(Safetensors, WritesTheSameBytesForTheSameTensorsAndAlignsThem) {
  const test::TemporaryFolder folder;
  write_safetensors(folder / "a", test::every_dtype(), {{"b", "1"}, {"a", "2"}});
  write_safetensors(folder / "b", test::every_dtype(), {{"a", "2"}, {"b", "1"}});
  const auto bytes = read_text_file(folder / "a");
  EXPECT_EQ(bytes, read_text_file(folder / "b"));
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof(header));
  EXPECT_EQ((header + 8) % 64, 0U);
  for (const auto& [name, tensor] : read_safetensors(folder / "a")) {
    const auto address = reinterpret_cast<uintptr_t>(tensor.const_data_ptr());
    EXPECT_EQ(address % tensor.element_size(), 0U) << name;
  }
}

TEST(Safetensors, TensorsOutliveTheFileAndNeverChangeIt) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.safetensors";
  write_safetensors(path, {{"x", torch::arange(5000)}});
  const auto before = read_text_file(path);
  auto x = read_safetensors(path).at("x");
  x.add_(1);
  EXPECT_EQ(read_text_file(path), before);
  write_safetensors(path, {{"x", torch::zeros({5000}, torch::kInt64)}});
  std::filesystem::remove(path);
  EXPECT_TRUE(test::same_bits(x, torch::arange(1, 5001)));
}

TEST(Safetensors, ReadsTensorsThatAreNotAligned) {
  const test::TemporaryFolder folder;
  const auto data = little_endian(7, 1) + little_endian(0x3f800000, 4) + little_endian(0, 4);
  const std::string header = R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)" +
                             entry("F32", "[2]", "[1,9]") + "}";
  write_text_file(folder / "a", file_bytes(header, data));
  EXPECT_TRUE(test::same_bits(read_safetensors(folder / "a").at("x"), torch::tensor({1.0F, 0.0F})));
}

TEST(Safetensors, MakesBoolsOfAnyByte) {
  const test::TemporaryFolder folder;
  write_text_file(folder / "a", file_bytes("{" + entry("BOOL", "[3]", "[0,3]") + "}",
                                           std::string("\x02\x00\x01", 3)));
  const auto bools = read_safetensors(folder / "a").at("x");
  EXPECT_EQ(static_cast<const uint8_t*>(bools.const_data_ptr())[0], 1);
  EXPECT_TRUE(test::same_bits(bools, torch::tensor({true, false, true})));
}

TEST(Safetensors, LeavesTheOldFileWhenTheDiskIsFull) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.safetensors";
  write_safetensors(path, {{"x", torch::arange(3)}});
  const auto message = input_error([&] {
    const test::FileSizeLimit limit(4096);
    write_safetensors(path, {{"x", torch::zeros({10000})}});
  });
  EXPECT_EQ(message, "cannot write " + path.string() + ": File too large");
  EXPECT_EQ(read_safetensors(path).at("x").numel(), 3);
  const auto files = std::filesystem::directory_iterator(folder.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST(Safetensors, RefusesDtypesAndNamesItCannotStore) {
  const test::TemporaryFolder folder;
  const auto write = [&](const std::string& name, const torch::Tensor& tensor) {
    write_safetensors(folder / "a", {{name, tensor}});
  };
  EXPECT_THROW(write("x", torch::zeros({2}, torch::kComplexFloat)), c10::ValueError);
  EXPECT_THROW(write("\xff", torch::zeros({2})), c10::ValueError);
  EXPECT_THROW(write("__metadata__", torch::zeros({2})), c10::ValueError);
  EXPECT_FALSE(std::filesystem::exists(folder / "a"));
}

TEST(Safetensors, RefusesEveryTruncation) {
  const test::TemporaryFolder folder;
  const auto path = folder / "cut";
  write_text_file(path, read_text_file(test::fixture("formats/every_dtype.safetensors")));
  for (auto length = std::filesystem::file_size(path); length > 0; --length) {
    std::filesystem::resize_file(path, length - 1);
    EXPECT_THAT(input_error([&] { read_safetensors(path); }), HasSubstr(path.string() + ": "))
        << length - 1;
  }
}

/// A file that is refused, and all that is said after its path.
struct HostileFile {
  const char* name;
  std::string bytes;
  std::string message;
};

void PrintTo(const HostileFile& file, std::ostream* out) { *out << file.name; }

class HostileSafetensors : public testing::TestWithParam<HostileFile> {};

TEST_P(HostileSafetensors, IsRefusedInOneLine) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.safetensors";
  write_text_file(path, GetParam().bytes);
  EXPECT_EQ(input_error([&] { read_safetensors(path); }), path.string() + GetParam().message);
}

/// A file whose header is one object around `inner`.
std::string one_object(const std::string& inner, size_t data_bytes) {
  return file_bytes("{" + inner + "}", std::string(data_bytes, 'x'));
}

constexpr const char* kThreeFields =
    "expected 'dtype', 'shape' and 'data_offsets' [begin, end] in whole numbers, found ";

INSTANTIATE_TEST_SUITE_P(
    All, HostileSafetensors,
    testing::Values(
        HostileFile{"Empty", "", ": expected a safetensors file, found only 0 bytes"},
        HostileFile{"OnlyALength", little_endian(2, 8),
                    ": expected a header within its 0 bytes, found 2 bytes"},
        HostileFile{"HugeHeader", little_endian(100'000'001, 8) + "{}",
                    ": expected a header of at most 100000000 bytes, found 100000001 bytes"},
        HostileFile{"HeaderBeyondInt64", std::string(8, '\xff') + "{}",
                    ": expected a header of at most 100000000 bytes, found 18446744073709551615 "
                    "bytes"},
        HostileFile{"HeaderBeyondTheFile", little_endian(99'999'999, 8) + "{}",
                    ": expected a header within its 2 bytes, found 99999999 bytes"},
        HostileFile{"NotJson", file_bytes("{'x': 1}", ""),
                    ": expected JSON, found a mistake at its byte 2"},
        HostileFile{"TextAfterTheHeader", file_bytes("{} x", ""),
                    ": expected JSON, found a mistake at its byte 4"},
        HostileFile{"NotUtf8", file_bytes("{\"\xff\":1}", ""),
                    ": expected JSON, found a mistake at its byte 3"},
        HostileFile{"List", file_bytes("[]", ""),
                    ": expected a header {\"name\": {...}}, found a list"},
        HostileFile{"DeepLists", file_bytes("{" + std::string(1 << 20, '['), ""),
                    ": expected JSON, found a mistake at its byte 2"},
        HostileFile{"DeepObjects", one_object(R"("x":{"shape":{"a":{}}})", 0),
                    std::string(": tensor 'x': ") + kThreeFields + "an object"},
        HostileFile{"DeepShape", one_object(R"("x":{"shape":[[[[)", 0),
                    std::string(": tensor 'x': ") + kThreeFields + "a list"},
        HostileFile{"NumberForATensor", one_object(R"("x":3)", 0),
                    std::string(": tensor 'x': ") + kThreeFields + "3"},
        HostileFile{"OtherField", one_object(R"("x":{"strides":[1]})", 0),
                    std::string(": tensor 'x': ") + kThreeFields + "'strides'"},
        HostileFile{"MissingField", one_object(R"("x":{"dtype":"F32","shape":[]})", 0),
                    std::string(": tensor 'x': ") + kThreeFields + "dtype, shape"},
        HostileFile{"OneOffset", one_object(entry("F32", "[]", "[0]"), 4),
                    std::string(": tensor 'x': ") + kThreeFields + "1 offsets"},
        HostileFile{"ThreeOffsets", one_object(entry("F32", "[]", "[0,4,8]"), 4),
                    std::string(": tensor 'x': ") + kThreeFields + "more numbers"},
        HostileFile{"TwoShapes", one_object(R"("x":{"shape":[],"shape":[]})", 0),
                    ": tensor 'x': expected one 'shape', found two"},
        HostileFile{"TwoTensorsOfAName",
                    one_object(entry("U8", "[1]", "[0,1]") + "," + entry("U8", "[1]", "[1,2]"), 2),
                    ": tensor 'x': expected one tensor of a name, found two"},
        HostileFile{"OtherDtype", one_object(entry("F8_E4M3", "[4]", "[0,4]"), 4),
                    ": tensor 'x': expected a dtype of F64 to F16, BF16, I64 to I8, U64 to U8 or "
                    "BOOL, found 'F8_E4M3'"},
        HostileFile{"NegativeSize", one_object(entry("F32", "[-1]", "[0,4]"), 4),
                    std::string(": tensor 'x': ") + kThreeFields + "-1"},
        HostileFile{"FractionalSize", one_object(entry("F32", "[1.5]", "[0,4]"), 4),
                    std::string(": tensor 'x': ") + kThreeFields + "1.5"},
        HostileFile{"SizeBeyondInt64", one_object(entry("U8", "[9223372036854775808]", "[0,4]"), 4),
                    std::string(": tensor 'x': ") + kThreeFields + "9223372036854775808"},
        HostileFile{"ShapeOverflows",
                    one_object(entry("F32", "[4294967296,4294967296]", "[0,0]"), 0),
                    ": tensor 'x': expected a shape that fits in memory, found [4294967296, "
                    "4294967296]"},
        HostileFile{"ZeroBesideOverflow",
                    one_object(entry("F32", "[0,4294967296,4294967296]", "[0,0]"), 0),
                    ": tensor 'x': expected a shape that fits in memory, found [0, 4294967296, "
                    "4294967296]"},
        HostileFile{"ShapeBeyondTheData", one_object(entry("F32", "[1099511627776]", "[0,4]"), 4),
                    ": tensor 'x': expected 4398046511104 bytes by its shape and dtype, found 4"},
        HostileFile{"DtypeBeyondTheData", one_object(entry("F64", "[1]", "[0,4]"), 4),
                    ": tensor 'x': expected 8 bytes by its shape and dtype, found 4"},
        HostileFile{"OffsetsBeyondTheFile", one_object(entry("F32", "[2]", "[0,8]"), 4),
                    ": tensor 'x': expected offsets within the 4 bytes of data, found [0, 8]"},
        HostileFile{"OffsetsBackwards", one_object(entry("F32", "[]", "[4,0]"), 4),
                    ": tensor 'x': expected offsets within the 4 bytes of data, found [4, 0]"},
        HostileFile{"Overlap",
                    one_object(entry("U8", "[3]", "[0,3]") +
                                   R"(,"y":{"dtype":"U8","shape":[2],"data_offsets":[2,4]})",
                               4),
                    ": tensor 'y': expected data that begins where the last ends, at 3, found an "
                    "overlap from 2"},
        HostileFile{"Gap",
                    one_object(entry("U8", "[1]", "[0,1]") +
                                   R"(,"y":{"dtype":"U8","shape":[2],"data_offsets":[2,4]})",
                               4),
                    ": tensor 'y': expected data that begins where the last ends, at 1, found a "
                    "gap up to 2"},
        HostileFile{"DataLeftOver", one_object(entry("U8", "[1]", "[0,1]"), 9),
                    ": expected tensors that fill its 9 bytes of data, found 1 bytes of them"},
        HostileFile{"NumberInMetadata", one_object(R"("__metadata__":{"a":1})", 0),
                    ": __metadata__: expected texts, found 1"},
        HostileFile{"NameOfTwoLines", one_object(R"("a\nb":{"dtype":"X"})", 0),
                    ": tensor 'a?b': expected a dtype of F64 to F16, BF16, I64 to I8, U64 to U8 or "
                    "BOOL, found 'X'"}),
    [](const auto& file) { return file.param.name; });

class HostileIndex : public testing::TestWithParam<HostileFile> {};

TEST_P(HostileIndex, IsRefusedInOneLine) {
  const test::TemporaryFolder folder;
  write_safetensors(folder / "a.safetensors", {{"x", torch::arange(2)}, {"y", torch::arange(3)}});
  const auto path = folder / "index.json";
  write_text_file(path, GetParam().bytes);
  auto expected = GetParam().message;
  const auto at = expected.find("FOLDER");
  expected = at == std::string::npos ? path.string() + expected
                                     : expected.replace(at, 6, folder.path().string());
  EXPECT_EQ(input_error([&] { read_safetensors(path); }), expected);
}

std::string index_of(const std::string& map) { return R"({"weight_map": {)" + map + "}}"; }

constexpr const char* kIndexShape = "expected an index {\"weight_map\": {\"tensor\": \"file\"}}";

INSTANTIATE_TEST_SUITE_P(
    All, HostileIndex,
    testing::Values(
        HostileFile{"FolderAbove", index_of(R"("x": "../a.safetensors")"),
                    ": tensor 'x': expected a file in the folder of the index, found "
                    "'../a.safetensors'"},
        HostileFile{
            "AbsolutePath", index_of(R"("x": "/etc/passwd")"),
            ": tensor 'x': expected a file in the folder of the index, found '/etc/passwd'"},
        HostileFile{"Backslash", index_of(R"("x": "..\\a")"),
                    ": tensor 'x': expected a file in the folder of the index, found '..\\a'"},
        HostileFile{"NothingAsName", index_of(R"("x": "")"),
                    ": tensor 'x': expected a file in the folder of the index, found ''"},
        HostileFile{"EndInTheName", index_of(R"("x": "a.safetensors\u0000.txt")"),
                    ": tensor 'x': expected a file in the folder of the index, found "
                    "'a.safetensors?.txt'"},
        HostileFile{"LineBreakInTheName", index_of(R"("x": "a.safet\nsors")"),
                    ": tensor 'x': expected a file in the folder of the index, found "
                    "'a.safet?sors'"},
        HostileFile{"MissingFile", index_of(R"("x": "b.safetensors")"),
                    "cannot read FOLDER/b.safetensors: No such file or directory"},
        HostileFile{"FolderAsFile", index_of(R"("x": "..")"),
                    ": tensor 'x': expected a file in the folder of the index, found '..'"},
        HostileFile{"IndexAsShard", index_of(R"("x": "index.json")"),
                    "FOLDER/index.json: expected a header of at most 100000000 bytes, found "
                    "8388068008349082235 bytes"},
        HostileFile{"TensorMissingInTheShard",
                    index_of(R"("x": "a.safetensors", "y": "a.safetensors", "z": "a.safetensors")"),
                    ": tensor 'z': expected it in a.safetensors, found no such tensor there"},
        HostileFile{"TensorMissingInTheIndex", index_of(R"("x": "a.safetensors")"),
                    "FOLDER/a.safetensors: tensor 'y': expected the index to have it in this "
                    "file, found no such tensor"},
        HostileFile{"TwoOfAName", index_of(R"("x": "a.safetensors", "x": "a.safetensors")"),
                    ": tensor 'x': expected one tensor of a name, found two"},
        HostileFile{"TwoMaps", R"({"weight_map": {}, "weight_map": {}})",
                    ": expected one 'weight_map', found two"},
        HostileFile{"NoMap", R"({"metadata": {"total_size": 1}})",
                    ": expected an index with a 'weight_map', found none"},
        HostileFile{"NumberAsFile", index_of(R"("x": 1)"),
                    std::string(": tensor 'x': ") + kIndexShape + ", found 1"},
        HostileFile{"ListAsMap", R"({"weight_map": ["x"]})",
                    std::string(": ") + kIndexShape + ", found a list"},
        HostileFile{"TooDeep", R"({"metadata": )" + std::string(1000, '[') + "}",
                    std::string(": ") + kIndexShape + ", found deeper JSON"},
        HostileFile{"CutOff", R"({"weight_map": {"x": "a.safe)",
                    ": expected JSON, found a mistake at its byte 29"}),
    [](const auto& file) { return file.param.name; });

TEST(Safetensors, NamesWhatIsNotAFile) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(input_error([&] { read_safetensors(folder / "none"); }),
            "cannot read " + (folder / "none").string() + ": No such file or directory");
  EXPECT_EQ(input_error([&] { read_safetensors(folder.path()); }),
            "cannot read " + folder.path().string() + ": it is a folder");
  EXPECT_EQ(input_error([&] { read_safetensors("/dev/null"); }),
            "cannot read /dev/null: it is no ordinary file");
}

}  // namespace
}  // namespace softmoe

#include "io/npz.h"

#include <gmock/gmock.h>
#include <zip.h>

#include "core/error.h"
#include "io/atomic_file.h"
#include "io/npy_header.h"
#include "support/file_size_limit.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using testing::HasSubstr;

/// An archive with one member of any bytes.
void write_member(const std::filesystem::path& path, const std::string& name,
                  const std::string& bytes, bool deflate = false) {
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE, nullptr);
  ASSERT_NE(archive, nullptr);
  zip_source_t* source = zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
  const auto index = static_cast<zip_uint64_t>(zip_file_add(archive, name.c_str(), source, 0));
  zip_set_file_compression(archive, index, deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
  ASSERT_EQ(zip_close(archive), 0);
}

/// An .npy file with `dictionary` as it is.
std::string npy(const std::string& dictionary, const std::string& data, char version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += {version, '\0', static_cast<char>(dictionary.size() & 0xff),
            static_cast<char>(dictionary.size() >> 8)};
  if (version > 1) {
    bytes += std::string(2, '\0');
  }
  return bytes + dictionary + data;
}

std::string read_error(const std::filesystem::path& path) {
  try {
    read_npz(path);
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr(path.string()));
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  return "no error";
}

TEST(Npz, KeepsACommentBesideItsArrays) {
  const test::TemporaryFolder folder;
  const NamedTensors arrays{{"x", torch::arange(3)}};
  for (const auto& comment : {std::string(), std::string("a\nb"), std::string(65'535, 'c')}) {
    write_npz(folder / "a.npz", arrays, comment);
    EXPECT_EQ(npz_comment(folder / "a.npz"), comment);
    EXPECT_EQ(read_npz(folder / "a.npz").size(), 1U);
  }
  EXPECT_THROW(write_npz(folder / "a.npz", arrays, std::string(65'536, 'c')), c10::ValueError);
}

/// The memory of a contiguous array; it has none if it is empty.
std::string bytes_of(const torch::Tensor& array) {
  return array.nbytes() == 0
             ? ""
             : std::string(static_cast<const char*>(array.data_ptr()), array.nbytes());
}

TEST(Npz, RoundTripsEveryDtypeBitExactly) {
  const test::TemporaryFolder folder;
  NamedTensors arrays;
  for (const auto dtype : {torch::kUInt8, torch::kInt8, torch::kInt16, torch::kInt32, torch::kInt64,
                           torch::kFloat16, torch::kFloat32, torch::kFloat64, torch::kBFloat16}) {
    arrays[c10::toString(dtype)] = (torch::randn({3, 5, 2}) * 50).to(dtype);
  }
  arrays["bool/nested"] = torch::tensor({true, false, true});
  arrays["UInt16"] = torch::tensor({1, -2, 300}).to(torch::kUInt16);
  arrays["UInt32"] = torch::tensor({1, -2, 300}).to(torch::kUInt32);
  arrays["UInt64"] = torch::tensor({1, -2, 300}).to(torch::kUInt64);
  arrays["scalar"] = torch::tensor(1.5F);
  arrays["empty"] = torch::empty({0, 7});
  arrays["transposed"] = torch::randn({4, 6}).t();
  write_npz(folder / "a.npz", arrays);

  const auto read = read_npz(folder / "a.npz");
  ASSERT_EQ(read.size(), arrays.size());
  for (const auto& [name, array] : arrays) {
    const auto& copy = read.at(name);
    ASSERT_EQ(copy.scalar_type(), array.scalar_type()) << name;
    ASSERT_EQ(copy.sizes(), array.sizes()) << name;
    EXPECT_TRUE(bytes_of(copy) == bytes_of(array.contiguous())) << name;
  }
}

TEST(Npz, WritesTheSameBytesForTheSameArrays) {
  const test::TemporaryFolder folder;
  const NamedTensors arrays{{"x", torch::arange(6)}};
  write_npz(folder / "a.npz", arrays);
  write_npz(folder / "b.npz", arrays);
  EXPECT_EQ(read_text_file(folder / "a.npz"), read_text_file(folder / "b.npz"));
}

TEST(Npz, ReadsWhatNumpyDeflated) {
  const auto arrays = read_npz(test::fixture("vmoe/tiny_vit_dense_gap.npz"));
  const auto& images = arrays.at("images");
  EXPECT_EQ(images.sizes(), (torch::IntArrayRef{4, 32, 32, 3}));
  EXPECT_LE(images.abs().max().item<float>(), 1.0F);
  EXPECT_GT(images.abs().max().item<float>(), 0.99F);
  EXPECT_TRUE(test::all_close(arrays.at("labels").sum(1), torch::ones({4})));
  EXPECT_EQ(arrays.at("params/head/kernel").sizes(), (torch::IntArrayRef{64, 10}));
}

TEST(Npz, ReadsFortranOrder) {
  const test::TemporaryFolder folder;
  write_member(folder / "a.npz", "x.npy",
               npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n", "adbecf"));
  const auto expected = torch::tensor({{'a', 'b', 'c'}, {'d', 'e', 'f'}}, torch::kUInt8);
  EXPECT_TRUE(test::same_bits(read_npz(folder / "a.npz").at("x"), expected));
}

TEST(Npz, ReadsHeadersOfEveryVersionInAnyOrder) {
  const test::TemporaryFolder folder;
  for (const char version : {1, 2, 3}) {
    const auto path = folder / ("v" + std::to_string(version) + ".npz");
    write_member(path, "x.npy",
                 npy("{\"shape\":(2L,),'fortran_order':False,'descr':'|i1'}", "\x01\xff", version));
    EXPECT_TRUE(test::same_bits(read_npz(path).at("x"), torch::tensor({1, -1}, torch::kInt8)));
  }
}

TEST(Npz, MakesBoolsOfAnyByte) {
  const test::TemporaryFolder folder;
  write_member(folder / "a.npz", "x.npy",
               npy("{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }",
                   std::string("\x02\x00\x01", 3)));
  const auto bools = read_npz(folder / "a.npz").at("x");
  EXPECT_EQ(static_cast<const uint8_t*>(bools.data_ptr())[0], 1);
  EXPECT_TRUE(test::same_bits(bools, torch::tensor({true, false, true})));
}

TEST(Npz, ReadsOnlyTheArraysAskedFor) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.npz";
  write_npz(path, {{"images", torch::ones({2, 3})}, {"labels", torch::zeros({2})}});
  write_member(path, "names.npy", npy("{'descr': '|O', 'fortran_order': False, 'shape': ()}", "?"));
  write_member(path, "readme.txt", "not an array");

  EXPECT_THAT(read_error(path), HasSubstr("array 'names': expected"));
  const auto arrays = read_npz(path, {"images"});
  ASSERT_EQ(arrays.size(), 1U);
  EXPECT_TRUE(test::same_bits(arrays.at("images"), torch::ones({2, 3})));
  try {
    read_npz(path, {"labels", "features"});
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("expected an array 'features', found images, labels, names"));
  }
}

TEST(Npz, NamesTheArraysWhereOneIsMissing) {
  const NamedTensors arrays{{"a", torch::ones({1})}, {"b", torch::ones({1})}};
  EXPECT_TRUE(npz_array(arrays, "a", "x.npz").defined());
  try {
    npz_array(arrays, "c", "x.npz");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "x.npz: expected an array 'c', found a, b");
  }
}

struct BadMember {
  const char* name;
  std::string bytes;
  const char* message;
};

void PrintTo(const BadMember& member, std::ostream* out) { *out << member.name; }

class NpzBadMember : public testing::TestWithParam<BadMember> {};

TEST_P(NpzBadMember, IsRefusedByName) {
  const test::TemporaryFolder folder;
  for (const bool deflate : {false, true}) {
    const auto path = folder / (deflate ? "deflated.npz" : "stored.npz");
    write_member(path, "x.npy", GetParam().bytes, deflate);
    const auto message = read_error(path);
    EXPECT_THAT(message, HasSubstr("array 'x'"));
    EXPECT_THAT(message, HasSubstr(GetParam().message));
  }
}

std::string with_shape(const std::string& shape, size_t bytes) {
  return npy("{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }",
             std::string(bytes, 'x'));
}

std::string many_ones(int count) {
  std::string shape = "(";
  for (int axis = 0; axis < count; ++axis) {
    shape += "1,";
  }
  return shape + ")";
}

INSTANTIATE_TEST_SUITE_P(
    All, NpzBadMember,
    testing::Values(
        BadMember{"Empty", "", "12 more bytes, found the end"},
        BadMember{"NotNpy", "hello world, hello world", "the .npy format"},
        BadMember{"FutureVersion", npy("{}", "", 9), "version 1 to 3"},
        BadMember{"CutHeader", npy("{'descr'", "").substr(0, 15), "more bytes"},
        BadMember{"HugeHeader", std::string("\x93NUMPY\x02\x00\xff\xff\xff\x7f", 12), "at most"},
        BadMember{"NoShape", npy("{'descr': '<f4', 'fortran_order': False}", ""), "an .npy header"},
        BadMember{"TwoShapes",
                  npy("{'descr': '<f4', 'fortran_order': False, 'shape': (), 'shape': ()}", "xxxx"),
                  "an .npy header"},
        BadMember{"OpenString", npy("{'descr", ""), "an .npy header"},
        BadMember{"TrailingText", with_shape("()}, {", 4), "an .npy header"},
        BadMember{"NegativeSize", with_shape("(-1,)", 4), "an .npy header"},
        BadMember{"SizeAboveInt64", with_shape("(99999999999999999999,)", 4), "an .npy header"},
        BadMember{"ShapeOverflows", with_shape("(4294967296, 4294967296)", 4), "fits in memory"},
        BadMember{"ZeroBesideOverflow", with_shape("(0, 4294967296, 4294967296)", 0),
                  "fits in memory"},
        BadMember{"DataMissing", with_shape("(3,)", 8), "12 bytes of data by its shape, found 8"},
        BadMember{"DataLeftOver", with_shape("(3,)", 16), "by its shape, found 16"},
        BadMember{"FarTooLarge", with_shape("(1099511627776,)", 64), "found 64"},
        BadMember{"TooManyAxes", with_shape(many_ones(65), 4), "an .npy header"},
        BadMember{"Objects", npy("{'descr': '|O', 'fortran_order': False, 'shape': ()}", "?"),
                  "dtype '|O'"},
        BadMember{"BigEndian", npy("{'descr': '>f4', 'fortran_order': False, 'shape': ()}", "xxxx"),
                  "dtype '>f4'"},
        BadMember{"Structured",
                  npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", "xxxx"),
                  "structured"}),
    [](const auto& member) { return member.param.name; });

TEST(Npz, RefusesEveryTruncation) {
  const test::TemporaryFolder folder;
  write_npz(folder / "whole.npz", {{"x", torch::arange(20)}, {"y", torch::arange(3)}});
  const std::string whole = read_text_file(folder / "whole.npz");
  for (size_t length = 0; length < whole.size(); length += 7) {
    write_text_file(folder / "cut.npz", whole.substr(0, length));
    EXPECT_NE(read_error(folder / "cut.npz"), "no error") << "after " << length << " bytes";
  }
}

TEST(Npz, NoticesAnAlteredByteOfTheData) {
  const test::TemporaryFolder folder;
  write_npz(folder / "a.npz", {{"x", torch::full({50}, 0x41, torch::kUInt8)}});
  std::string bytes = read_text_file(folder / "a.npz");
  bytes[bytes.find("AAAA") + 9] = 'B';
  write_text_file(folder / "a.npz", bytes);
  EXPECT_THAT(read_error(folder / "a.npz"), HasSubstr("array 'x': expected the end of the data"));
}

TEST(Npz, RefusesSizesThatNoArchiveOfItsLengthHas) {
  const test::TemporaryFolder folder;
  const std::string zeros = with_shape("(262144,)", 0) + std::string(1 << 20, '\0');
  write_member(folder / "a.npz", "x.npy", zeros, /*deflate=*/true);
  EXPECT_EQ(read_npz(folder / "a.npz").at("x").numel(), 262144);

  std::string bytes = read_text_file(folder / "a.npz");
  const auto directory = bytes.rfind("PK\x01\x02");
  const uint32_t claimed = 0xfffffff0;
  std::memcpy(bytes.data() + directory + 24, &claimed, sizeof(claimed));
  write_text_file(folder / "a.npz", bytes);
  EXPECT_THAT(read_error(folder / "a.npz"), HasSubstr("array 'x': expected a length that fits"));
}

TEST(Npz, NamesWhatIsNotAnArchive) {
  const test::TemporaryFolder folder;
  EXPECT_THAT(read_error(folder / "none.npz"), HasSubstr("No such file or directory"));
  write_text_file(folder / "text.npz", "hello");
  EXPECT_THAT(read_error(folder / "text.npz"),
              HasSubstr("expected an .npz file, found other data"));
  EXPECT_THAT(read_error(folder.path()), HasSubstr("a folder"));
}

TEST(Npz, LeavesTheOldFileWhenTheDiskIsFull) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.npz";
  write_npz(path, {{"x", torch::arange(3)}});
  std::string message = "no error";
  try {
    const test::FileSizeLimit limit(4096);
    write_npz(path, {{"x", torch::zeros({10000})}});
  } catch (const InputError& error) {
    message = error.what();
  }
  EXPECT_EQ(message, "cannot write " + path.string() + ": File too large");
  EXPECT_TRUE(test::same_bits(read_npz(path).at("x"), torch::arange(3)));
  const auto files = std::filesystem::directory_iterator(folder.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST(Npz, HasNothingToWriteWithoutArrays) {
  EXPECT_THROW(write_npz("unused.npz", {}), c10::ValueError);
}

}  // namespace
}  // namespace softmoe

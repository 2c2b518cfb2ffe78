#include "io/hdf5.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <hdf5.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <numeric>
#include <thread>

#include "core/error.h"
#include "io/atomic_file.h"
#include "support/error_text.h"
#include "support/file_size_limit.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

using test::input_error;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<float> counted(size_t count, float first = 0) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

std::vector<float> read_floats(const Hdf5File& file, const std::string& name) {
  std::vector<float> values(static_cast<size_t>(file.info(name).bytes) / sizeof(float));
  file.read(name, Hdf5Type::kFloat32, values.data(), values.size() * sizeof(float));
  return values;
}

/// A file with arrays in groups and texts.
void write_example(const std::filesystem::path& path) {
  auto file = Hdf5File::create(path, path);
  file.write("/model/blocks.0/weight", Hdf5Type::kFloat32, {3, 5}, counted(15).data());
  file.write("/model/scale", Hdf5Type::kFloat32, {}, counted(1, 7).data());
  file.write("/empty", Hdf5Type::kFloat32, {0, 4}, nullptr);
  file.write_text("kind", "example");
  file.close();
}

TEST(Hdf5, RoundTripsArraysOfEveryType) {
  const test::TemporaryFolder folder;
  std::vector<uint8_t> bytes(6 * 8);
  std::iota(bytes.begin(), bytes.end(), uint8_t{101});
  auto file = Hdf5File::create(folder / "a.h5", folder / "a.h5");
  for (int type = 0; type <= static_cast<int>(Hdf5Type::kFloat64); ++type) {
    file.write("/t" + std::to_string(type), static_cast<Hdf5Type>(type), {2, 3}, bytes.data());
  }
  file.close();

  const auto read = Hdf5File::open(folder / "a.h5");
  for (int type = 0; type <= static_cast<int>(Hdf5Type::kFloat64); ++type) {
    const auto name = "/t" + std::to_string(type);
    const auto info = read.info(name);
    EXPECT_EQ(static_cast<int>(info.type), type);
    EXPECT_THAT(info.shape, ElementsAre(2, 3));
    ASSERT_EQ(info.bytes, 6 * static_cast<int64_t>(hdf5_type_size(info.type)));
    EXPECT_EQ(info.stored_bytes, info.bytes);
    std::vector<uint8_t> copy(static_cast<size_t>(info.bytes));
    read.read(name, info.type, copy.data(), copy.size());
    EXPECT_TRUE(std::equal(copy.begin(), copy.end(), bytes.begin())) << name;
  }
}

TEST(Hdf5, KeepsGroupsScalarsAndEmptyArrays) {
  const test::TemporaryFolder folder;
  write_example(folder / "a.h5");
  const auto file = Hdf5File::open(folder / "a.h5");
  EXPECT_THAT(file.list("/"), ElementsAre("empty", "model"));
  EXPECT_THAT(file.list("/model"), ElementsAre("blocks.0", "scale"));
  EXPECT_TRUE(file.info("/model/scale").shape.empty());
  EXPECT_THAT(read_floats(file, "/model/scale"), ElementsAre(7));
  EXPECT_THAT(file.info("/empty").shape, ElementsAre(0, 4));
  EXPECT_EQ(read_floats(file, "/model/blocks.0/weight"), counted(15));
  EXPECT_TRUE(file.exists("/model/blocks.0/weight"));
  EXPECT_FALSE(file.exists("/model/blocks.1/weight"));
  EXPECT_FALSE(file.exists("/optimizer"));
}

TEST(Hdf5, FilesOfEqualContentsHaveEqualBytesWheneverTheyAreWritten) {
  const test::TemporaryFolder folder;
  const auto second = std::time(nullptr);
  write_example(folder / "first.h5");
  while (std::time(nullptr) <= second + 1) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  write_example(folder / "second.h5");
  EXPECT_TRUE(read_text_file(folder / "first.h5") == read_text_file(folder / "second.h5"));
}

TEST(Hdf5, GrowsArraysByRows) {
  const test::TemporaryFolder folder;
  auto file = Hdf5File::create(folder / "a.h5", folder / "a.h5");
  file.create_growing("/rows", Hdf5Type::kFloat32, {3}, 4);
  const auto values = counted(33);
  for (const int64_t first : {0, 1, 6}) {
    file.append("/rows", first == 0 ? 1 : 5, values.data() + first * 3);
  }
  file.append("/rows", 0, nullptr);
  file.close();

  const auto read = Hdf5File::open(folder / "a.h5");
  EXPECT_THAT(read.info("/rows").shape, ElementsAre(11, 3));
  EXPECT_EQ(read_floats(read, "/rows"), values);
  std::vector<float> part(6);
  read.read_rows("/rows", 3, 2, Hdf5Type::kFloat32, part.data(), part.size() * sizeof(float));
  EXPECT_EQ(part, counted(6, 9));
  EXPECT_THROW(read.read_rows("/rows", 10, 2, Hdf5Type::kFloat32, part.data(), 24),
               c10::ValueError);
}

/// Writes counted floats [11, 3] in chunks of these sizes, compressed if `level` is not 0.
void write_chunked(const std::filesystem::path& path, std::array<hsize_t, 2> chunk,
                   unsigned level) {
  const auto values = counted(33);
  const std::array<hsize_t, 2> sizes{11, 3};
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
  H5Pclose(access);
  const hid_t space = H5Screate_simple(2, sizes.data(), nullptr);
  const hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(plan, 2, chunk.data());
  if (level > 0) {
    H5Pset_deflate(plan, level);
  }
  const hid_t array =
      H5Dcreate2(file, "/rows", H5T_IEEE_F32LE, space, H5P_DEFAULT, plan, H5P_DEFAULT);
  H5Dwrite(array, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  H5Dclose(array);
  H5Pclose(plan);
  H5Sclose(space);
  H5Fclose(file);
}

TEST(Hdf5, ReadsRowsOfEveryLayout) {
  const test::TemporaryFolder folder;
  write_chunked(folder / "whole rows", {4, 3}, 0);
  write_chunked(folder / "parts of rows", {4, 2}, 0);
  write_chunked(folder / "compressed", {4, 3}, 1);
  auto in_one_piece = Hdf5File::create(folder / "one piece", folder / "one piece");
  in_one_piece.write("/rows", Hdf5Type::kFloat32, {11, 3}, counted(33).data());
  in_one_piece.close();
  for (const auto* name : {"whole rows", "parts of rows", "compressed", "one piece"}) {
    const auto file = Hdf5File::open(folder / name);
    std::vector<float> rows(24);
    file.read_rows("/rows", 2, 8, Hdf5Type::kFloat32, rows.data(), rows.size() * sizeof(float));
    EXPECT_EQ(rows, counted(24, 6)) << name;
  }
}

TEST(Hdf5, KeepsTextsOfAnyLength) {
  const test::TemporaryFolder folder;
  const std::string large(300'000, 'x');
  auto file = Hdf5File::create(folder / "a.h5", folder / "a.h5");
  file.write_text("empty", "");
  file.write_text("large", large);
  file.write_text("changed", "before");
  file.write_text("changed", "after, äöü");
  file.close();
  const auto read = Hdf5File::open(folder / "a.h5");
  EXPECT_EQ(read.read_text("empty"), "");
  EXPECT_EQ(read.read_text("large"), large);
  EXPECT_EQ(read.read_text("changed"), "after, äöü");
  EXPECT_TRUE(read.has_text("empty"));
  EXPECT_FALSE(read.has_text("none"));
}

TEST(Hdf5, NamesWhatIsMissing) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.h5";
  EXPECT_EQ(input_error([&] { Hdf5File::open(path); }),
            "cannot read " + path.string() + ": No such file or directory");
  EXPECT_THAT(input_error([&] { Hdf5File::open(folder.path()); }), HasSubstr("is a folder"));
  write_example(path);
  const auto file = Hdf5File::open(path);
  for (const auto& message :
       {input_error([&] { file.info("/none"); }), input_error([&] { file.info("/model"); }),
        input_error([&] { file.list("/none"); }), input_error([&] { file.read_text("/none"); })}) {
    EXPECT_THAT(message, HasSubstr(path.string() + ": '/"));
    EXPECT_THAT(message, HasSubstr("expected a"));
  }
}

TEST(Hdf5, RefusesToReadAsAnotherType) {
  const test::TemporaryFolder folder;
  write_example(folder / "a.h5");
  const auto file = Hdf5File::open(folder / "a.h5");
  std::vector<float> values(15);
  EXPECT_THROW(file.read("/model/blocks.0/weight", Hdf5Type::kInt32, values.data(), 60),
               c10::ValueError);
  EXPECT_THROW(file.read("/model/blocks.0/weight", Hdf5Type::kFloat32, values.data(), 56),
               c10::ValueError);
}

TEST(Hdf5, RefusesTruncatedAndForeignFiles) {
  const test::TemporaryFolder folder;
  write_example(folder / "a.h5");
  const std::string whole = read_text_file(folder / "a.h5");
  const auto path = folder / "cut.h5";
  for (size_t length = 0; length < whole.size(); length += 13) {
    write_text_file(path, whole.substr(0, length));
    EXPECT_THAT(input_error([&] { Hdf5File::open(path); }),
                HasSubstr(path.string() + ": expected a whole HDF5 file"))
        << length;
  }
  write_text_file(path, std::string(5000, 'x'));
  EXPECT_THAT(input_error([&] { Hdf5File::open(path); }), HasSubstr("found other data"));
}

TEST(Hdf5, NoticesAlteredStructures) {
  const test::TemporaryFolder folder;
  write_example(folder / "a.h5");
  const std::string whole = read_text_file(folder / "a.h5");
  const auto begin = whole.find("blocks.0");
  ASSERT_NE(begin, std::string::npos);
  std::string altered = whole;
  altered[begin] = 'B';
  write_text_file(folder / "a.h5", altered);
  EXPECT_THAT(input_error([&] { Hdf5File::open(folder / "a.h5").info("/model/blocks.0/weight"); }),
              HasSubstr("a.h5"));
}

TEST(Hdf5, ReportsAFullDiskAndStaysUsable) {
  const test::TemporaryFolder folder;
  const auto values = counted(100'000);
  const std::string expected = "cannot write named.h5: File too large";
  for (const bool large : {true, false}) {
    const test::FileSizeLimit limit(large ? 100'000 : 1000);
    const auto message = input_error([&] {
      auto file = Hdf5File::create(folder / "a.h5", "named.h5");
      for (const char* name : {"/x", "/y", "/z"}) {
        file.write(name, Hdf5Type::kFloat32, {large ? 100'000 : 90}, values.data());
      }
      file.close();
    });
    EXPECT_EQ(message, expected) << large;
  }
  EXPECT_EQ(input_error([&] {
              Hdf5File::create("/dev/full", "named.h5")
                  .write("/x", Hdf5Type::kFloat32, {100'000}, values.data());
            }),
            "cannot write named.h5: No space left on device");
  EXPECT_THAT(input_error([&] { Hdf5File::create(folder / "none/a.h5", "named.h5"); }),
              HasSubstr("No such file"));
  write_example(folder / "b.h5");
  EXPECT_EQ(Hdf5File::open(folder / "b.h5").read_text("kind"), "example");
}

TEST(Hdf5, ServesSeveralThreads) {
  const test::TemporaryFolder folder;
  auto file = Hdf5File::create(folder / "a.h5", folder / "a.h5");
  const auto values = counted(4000);
  file.write("/rows", Hdf5Type::kFloat32, {1000, 4}, values.data());
  file.close();
  const auto read = Hdf5File::open(folder / "a.h5");
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int worker = 0; worker < 4; ++worker) {
    threads.emplace_back([&, worker] {
      for (int64_t row = worker; row < 1000; row += 4) {
        std::array<float, 4> got{};
        read.read_rows("/rows", row, 1, Hdf5Type::kFloat32, got.data(), sizeof(got));
        wrong += got[3] != values[static_cast<size_t>(row) * 4 + 3];
      }
      wrong += input_error([&] { read.info("/none"); }) == "no error";
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0);
}

TEST(Hdf5, TellsWhereTheBytesOfAnArrayLie) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.h5";
  auto file = Hdf5File::create(path, path);
  const auto small = counted(6, 3);
  const auto large = counted(300'000, 11);
  file.write("/small", Hdf5Type::kFloat32, {2, 3}, small.data());
  file.write("/large", Hdf5Type::kFloat32, {300'000}, large.data());
  file.write("/empty", Hdf5Type::kFloat32, {0, 4}, nullptr);
  file.create_growing("/rows", Hdf5Type::kFloat32, {3}, 2);
  file.append("/rows", 2, small.data());
  file.close();
  const auto read = Hdf5File::open(path);
  EXPECT_FALSE(read.info("/rows").offset);
  const auto whole = read_text_file(path);
  for (const auto& [name, values] : {std::pair{"/small", small}, std::pair{"/large", large}}) {
    const auto info = read.info(name);
    ASSERT_TRUE(info.offset) << name;
    EXPECT_EQ(std::memcmp(whole.data() + *info.offset, values.data(), values.size() * 4), 0);
    float value = 0;
    read.read_raw(name, *info.offset + 4 * 5, &value, sizeof(value));
    EXPECT_EQ(value, values[5]);
  }
}

TEST(Hdf5, RawBytesAreTheSamePastTheCache) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.h5";
  const auto values = counted(700'001);  // not a whole number of blocks
  {
    auto file = Hdf5File::create(path, path);
    file.write("/small", Hdf5Type::kFloat32, {9}, values.data());
    file.write("/large", Hdf5Type::kFloat32, {700'001}, values.data());
    file.close();
  }
  const int descriptor = ::open(path.c_str(), O_RDONLY);
  ::fdatasync(descriptor);
  ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
  ::close(descriptor);
  for (const int64_t max_cached : {int64_t{0}, int64_t{1} << 40}) {
    auto read = Hdf5File::open(path);
    read.pass_cache_above(max_cached);
    for (const auto& [name, count] : {std::pair{"/small", 9}, std::pair{"/large", 700'001}}) {
      const auto info = read.info(name);
      // Aligned to a block, so that the disk may write itself, and not.
      for (const size_t shift : {0, 4}) {
        const auto bytes = static_cast<size_t>(count) * sizeof(float);
        std::unique_ptr<char, decltype(&std::free)> memory(
            static_cast<char*>(std::aligned_alloc(4096, (bytes + 8191) / 4096 * 4096)), std::free);
        read.read_raw(name, *info.offset, memory.get() + shift, bytes);
        EXPECT_EQ(std::memcmp(memory.get() + shift, values.data(), bytes), 0) << name << shift;
      }
    }
  }
}

TEST(Hdf5, RawBytesOfAFileThatWasCutAreAnError) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.h5";
  const auto values = counted(300'000);
  auto file = Hdf5File::create(path, path);
  file.write("/x", Hdf5Type::kFloat32, {300'000}, values.data());
  file.close();
  auto read = Hdf5File::open(path);
  const auto info = read.info("/x");
  std::filesystem::resize_file(path, static_cast<uintmax_t>(*info.offset) + 9000);
  std::unique_ptr<char, decltype(&std::free)> memory(
      static_cast<char*>(std::aligned_alloc(4096, 1'204'224)), std::free);
  for (const int64_t max_cached : {int64_t{1} << 40, int64_t{0}}) {
    read.pass_cache_above(max_cached);
    EXPECT_EQ(input_error([&] { read.read_raw("/x", *info.offset, memory.get(), 1'200'000); }),
              path.string() + ": '/x': expected readable data, found a truncated one");
  }
}

TEST(Hdf5, PrintsNothing) {
  const test::TemporaryFolder folder;
  testing::internal::CaptureStderr();
  std::thread([&] {
    input_error([&] { Hdf5File::open(folder / "none.h5"); });
    input_error([&] { Hdf5File::create("/dev/full", "named.h5").close(); });
    write_example(folder / "a.h5");
    input_error([&] { Hdf5File::open(folder / "a.h5").info("/none"); });
  }).join();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace softmoe

/// Native checkpoints that somebody wrote with bad intent: everything is as it should be, checksums
/// included, but for one thing.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <hdf5.h>
#include <xxhash.h>

#include "checkpoints/checkpoint.h"
#include "io/atomic_file.h"
#include "io/hdf5.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

using test::input_error;

std::string xxh3(const void* data, size_t bytes) {
  return fmt::format("{:016x}", XXH3_64bits(data, bytes));
}

/// Texts as save_checkpoint() writes them, with a right checksum.
void write_description(Hdf5File& file, const std::string& metadata, const std::string& tensors) {
  const std::string both = metadata + '\n' + tensors;
  file.write_text("format", "softmoe-checkpoint");
  file.write_text("format_version", "1");
  file.write_text("metadata", metadata);
  file.write_text("tensors", tensors);
  file.write_text("checksum", xxh3(both.data(), both.size()));
}

/// The refusal of a checkpoint of four floats 'x' and `description`.
std::string refusal(const fs::path& path, const std::string& metadata, const std::string& tensors) {
  const std::vector<float> data{1, 2, 3, 4};
  auto file = Hdf5File::create(path, path);
  file.write("/model/x", Hdf5Type::kFloat32, {4}, data.data());
  write_description(file, metadata, tensors);
  file.close();
  return input_error([&] { load_checkpoint(path); });
}

TEST(HostileCheckpoint, ItsJsonIsReadWithinLimits) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.h5";
  const std::string name = path.string();
  EXPECT_EQ(refusal(path, std::string(1000, '[') + std::string(1000, ']'), "{}"),
            name + ": metadata: expected JSON of at most 64 levels, found 1000");
  EXPECT_EQ(refusal(path, "{'a'}", "{}"), name + ": metadata: expected JSON, found something else");
  std::string many_keys = "{\"k\":0";
  for (int i = 0; i < 20'000; ++i) {
    many_keys += ",\"\":0";
  }
  EXPECT_EQ(refusal(path, many_keys + "}", "{}"),
            name + ": metadata: expected JSON of at most 20000 keys, found 20001");
  EXPECT_EQ(refusal(path, "{}", "[]"),
            name + ": expected an index of tensors by name, found array");
  EXPECT_EQ(refusal(path, "{}", R"({"model/x":{"dtype":"a\nb"}})"),
            name + ": tensor 'model/x': expected a dtype of this version, found 'a?b'");
  EXPECT_EQ(refusal(path, "{}", R"({"model/x":3})"),
            name + ": tensor 'model/x': expected a dtype of this version, found ''");
  EXPECT_EQ(refusal(path, "{}", R"({"model/x":{"dtype":"float64"}})"),
            name + ": tensor 'model/x': expected float64 stored as a whole, found 16 of 16 bytes");
  EXPECT_EQ(refusal(path, "{}", R"({"model/y":{"dtype":"float32"}})"),
            name + ": '/model/y': expected an array, found none");
}

TEST(HostileCheckpoint, MayNotClaimItsBytesTwice) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.h5";
  const std::vector<float> data(10'000, 1.0F);
  auto file = Hdf5File::create(path, path);
  file.write("/model/x", Hdf5Type::kFloat32, {10'000}, data.data());
  Json tensors;
  const auto checksum = xxh3(data.data(), data.size() * sizeof(float));
  for (const char* name : {"model/x", "model/y", "model/z"}) {
    tensors[name] = {{"dtype", "float32"}, {"xxh3", checksum}};
  }
  write_description(file, "{}", tensors.dump());
  file.close();
  const hid_t links = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  for (const char* name : {"/model/y", "/model/z"}) {
    H5Lcreate_hard(links, "/model/x", links, name, H5P_DEFAULT, H5P_DEFAULT);
  }
  H5Fclose(links);
  EXPECT_THAT(input_error([&] { load_checkpoint(path); }),
              testing::MatchesRegex(".*tensor 'model/y': expected at most the [0-9]+ bytes that "
                                    "are left of the file, found 40000 bytes"));
}

/// A checkpoint whose tensor 'x' is made by `make` in an open file.
template <typename Make>
std::string refusal_of_array(const fs::path& path, const std::string& checksum, const Make& make) {
  auto file = Hdf5File::create(path, path);
  file.write("/model/other", Hdf5Type::kUInt8, {1}, "x");
  const Json tensors{{"model/x", {{"dtype", "uint8"}, {"xxh3", checksum}}}};
  write_description(file, "{}", tensors.dump());
  file.close();
  const hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  make(id);
  H5Fclose(id);
  return input_error([&] { load_checkpoint(path); });
}

TEST(HostileCheckpoint, ReadsNoOtherFiles) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.h5";
  const auto secret = (folder / "secret").string();
  const std::string bytes = "secret";
  write_text_file(secret, bytes);
  const auto checksum = xxh3(bytes.data(), bytes.size());
  EXPECT_EQ(
      refusal_of_array(path, checksum,
                       [&](hid_t file) {
                         const hsize_t size = bytes.size();
                         const hid_t space = H5Screate_simple(1, &size, nullptr);
                         const hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
                         H5Pset_external(plan, secret.c_str(), 0, size);
                         const hid_t array = H5Dcreate2(file, "/model/x", H5T_STD_U8LE, space,
                                                        H5P_DEFAULT, plan, H5P_DEFAULT);
                         EXPECT_GE(array, 0);
                         H5Dclose(array);
                         H5Pclose(plan);
                         H5Sclose(space);
                       }),
      path.string() + ": '/model/x': expected an array in this file, found one in other files");

  const auto other = folder / "other.h5";
  auto linked = Hdf5File::create(other, other);
  linked.write("/x", Hdf5Type::kUInt8, {6}, bytes.data());
  linked.close();
  const auto message = refusal_of_array(path, checksum, [&](hid_t file) {
    EXPECT_GE(H5Lcreate_external(other.c_str(), "/x", file, "/model/x", H5P_DEFAULT, H5P_DEFAULT),
              0);
  });
  EXPECT_THAT(message, testing::StartsWith(path.string() + ": '/model/x': expected an array"));
}

TEST(HostileCheckpoint, MayNotBeOfAnOldVersionOfHdf5) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.h5";
  H5Fclose(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
  EXPECT_EQ(input_error([&] { load_checkpoint(path); }),
            path.string() + ": expected an HDF5 file of version 1.8 or later, found an older one");
  write_text_file(path, "not HDF5");
  EXPECT_THAT(input_error([&] { load_checkpoint(path); }),
              testing::StartsWith(path.string() + ": expected a whole HDF5 file"));
  write_text_file(path, std::string(600, ' '));
  EXPECT_EQ(input_error([&] { load_checkpoint(path); }),
            path.string() + ": expected a whole HDF5 file, found other data");
}

}  // namespace
}  // namespace softmoe

#include "core/error.h"
#include "io/hdf5.h"
#include "io/hdf5_state.h"

namespace softmoe {

std::vector<std::string> Hdf5File::list(const std::string& group) const {
  const Hdf5Lock lock;
  const Hdf5Handle handle(H5Gopen2(state_->file.id(), group.c_str(), H5P_DEFAULT), H5Gclose);
  H5G_info_t info{};
  if (!handle.is_open() || H5Gget_info(handle.id(), &info) < 0) {
    state_->fail(group, "a group");
  }
  std::vector<std::string> names;
  for (hsize_t index = 0; index < info.nlinks; ++index) {
    const auto length = H5Lget_name_by_idx(handle.id(), ".", H5_INDEX_NAME, H5_ITER_INC, index,
                                           nullptr, 0, H5P_DEFAULT);
    std::string name(static_cast<size_t>(std::max<ssize_t>(length, 0)), '\0');
    if (length < 0 || H5Lget_name_by_idx(handle.id(), ".", H5_INDEX_NAME, H5_ITER_INC, index,
                                         name.data(), name.size() + 1, H5P_DEFAULT) < 0) {
      state_->fail(group, "a readable group");
    }
    names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

void Hdf5File::write_text(const std::string& name, const std::string& text) {
  const Hdf5Lock lock;
  const Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.id(), text.size() + 1);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  const Hdf5Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const hid_t file = state_->file.id();
  if (H5Aexists(file, name.c_str()) > 0) {
    H5Adelete(file, name.c_str());
  }
  const Hdf5Handle attribute(
      H5Acreate2(file, name.c_str(), type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  state_->check(attribute.is_open() && H5Awrite(attribute.id(), type.id(), text.c_str()) >= 0,
                name);
}

std::string Hdf5File::read_text(const std::string& name) const {
  const Hdf5Lock lock;
  const Hdf5Handle attribute(H5Aopen(state_->file.id(), name.c_str(), H5P_DEFAULT), H5Aclose);
  const Hdf5Handle type(attribute.is_open() ? H5Aget_type(attribute.id()) : H5I_INVALID_HID,
                        H5Tclose);
  if (!type.is_open()) {
    state_->fail(name, "a text attribute");
  }
  const Hdf5Handle space(H5Aget_space(attribute.id()), H5Sclose);
  const size_t size = H5Tget_size(type.id());
  hsize_t file_bytes = 0;
  H5Fget_filesize(state_->file.id(), &file_bytes);
  if (H5Tget_class(type.id()) != H5T_STRING || H5Tis_variable_str(type.id()) > 0 ||
      H5Sget_simple_extent_npoints(space.id()) != 1 || size > file_bytes) {
    throw InputError(state_->place(name), "one text of fixed length", "another attribute");
  }
  std::string text(size, '\0');
  if (H5Aread(attribute.id(), type.id(), text.data()) < 0) {
    state_->fail(name, "a readable text");
  }
  return text.c_str();
}

bool Hdf5File::has_text(const std::string& name) const {
  const Hdf5Lock lock;
  return H5Aexists(state_->file.id(), name.c_str()) > 0;
}

}  // namespace softmoe

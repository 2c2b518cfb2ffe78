#include "runtime/autocast_guard.h"

#include <ATen/autocast_mode.h>

namespace softmoe {

// Devices without autocast (meta) have no state to switch.
AutocastGuard::AutocastGuard(const torch::Device& device, torch::Dtype dtype)
    : type_(device.type()), was_enabled_(false), previous_dtype_(torch::kFloat32) {
  if (!at::autocast::is_autocast_available(type_)) {
    return;
  }
  was_enabled_ = at::autocast::is_autocast_enabled(type_);
  previous_dtype_ = at::autocast::get_autocast_dtype(type_);
  at::autocast::set_autocast_enabled(type_, dtype != torch::kFloat32);
  if (dtype != torch::kFloat32) {
    at::autocast::set_autocast_dtype(type_, dtype);
  }
  at::autocast::increment_nesting();
}

AutocastGuard::~AutocastGuard() {
  if (!at::autocast::is_autocast_available(type_)) {
    return;
  }
  if (at::autocast::decrement_nesting() == 0) {
    at::autocast::clear_cache();
  }
  at::autocast::set_autocast_enabled(type_, was_enabled_);
  at::autocast::set_autocast_dtype(type_, previous_dtype_);
}

}  // namespace softmoe

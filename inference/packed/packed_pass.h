#pragma once
/// The forward pass of packed layers.

#include <vector>

#include "inference/packed/packed_linear.h"
#include "runtime/thread_team.h"

namespace softmoe {

/// Runs a model on a CPU. Its memory is kept from call to call and grows with the largest batch;
/// calls must not overlap.
class PackedPass {
 public:
  explicit PackedPass(PackedLayers layers);

  const PackedLayers& layers() const { return layers_; }

  /// `features` [batch, feature_dim] of `images` [batch, in_chans, height, width].
  void run_features(const float* images, int64_t batch, float* features);
  /// For attention pooling, which is none of its own: tokens after the last block, and after the
  /// final norm where that stands on tokens, [batch, tokens, dim].
  void run_tokens(const float* images, int64_t batch, float* tokens);
  /// The features of pooled tokens [batch, dim].
  void run_pooled(const float* pooled, int64_t batch, float* features);
  /// `logits` [batch, num_classes] of `features`.
  void run_head(const float* features, int64_t batch, float* logits);

 private:
  /// Memory of one thread.
  struct ThreadMemory {
    ValueRows normed{};  // [row block, dim]
    float* normed_fp32 = nullptr;
    float* logits = nullptr;   // [row block, slots]
    float* factors = nullptr;  // [row block]
    MlpScratch mlp{};
    IntegerScratch integers{};
    ValueRows pixels{};      // [row block, pixels of a patch]
    float* patch = nullptr;  // one patch
    kernels::Unit* attention = nullptr;
    float* row = nullptr;             // [dim]
    float* pooled = nullptr;          // [pooled_dim]
    kernels::Unit* powers = nullptr;  // [units of tokens, 32]
    ValueRows slots{};                // [32, dim]
    float* sums = nullptr;            // [32]
  };
  class Plan;

  /// What one thread does at a time: a share of all images together with the other threads, which
  /// it meets between the steps, or whole images alone, whose values stay in its caches.
  struct Portion {
    const Team& team;
    const ThreadMemory& memory;
    int64_t images;      ///< of the batch
    int64_t image = -1;  ///< -1: a share of all

    /// Which of the pieces of all images, `each` in one.
    IndexRange of(int64_t each) const {
      return image < 0 ? team.share(images * each) : IndexRange{image * each, (image + 1) * each};
    }
    /// Needed before what others made is read.
    void barrier() const {
      if (image < 0) {
        team.barrier();
      }
    }
    /// In whose place values of an image are kept that its next steps alone need.
    int64_t place(int64_t of_image) const { return of_image + (image < 0 ? 0 : team.rank - image); }
  };

  /// Rows of one expert that go through it at a time.
  static constexpr int64_t kExpertRows = 84;

  void reserve(int64_t batch, int64_t threads);
  int64_t plan(Plan& plan, int64_t threads);
  ThreadMemory plan_thread(Plan& plan) const;
  int64_t rows() const { return batch_ * layers_.options.tokens(); }

  void embed(const Team& team, const float* images);
  void embed_patches(const ThreadMemory& memory, const float* image, int64_t image_index,
                     int64_t first, int64_t count);
  void run_blocks(const Team& team, const float* images);
  /// Whether the threads of a team take whole images: none would wait for another.
  bool shares_out(int64_t threads) const { return batch_ % threads == 0; }
  /// Calls function(portion) for all that this thread does.
  template <typename Function>
  void for_each_portion(const Team& team, const Function& function) const {
    const auto& memory = thread_memory_[static_cast<size_t>(team.rank)];
    if (!shares_out(team.size)) {
      function(Portion{team, memory, batch_});
      return;
    }
    const auto images = team.share(batch_);
    for (int64_t image = images.first; image < images.last; ++image) {
      function(Portion{team, memory, batch_, image});
    }
  }
  void run_block(const Team& team, const PackedBlock& block);
  void project_queries(const Portion& portion, const PackedBlock& block);
  void attend(const Portion& portion, const PackedBlock& block);
  void finish_block(const Portion& portion, const PackedBlock& block);
  void pool(const Team& team, float* features);
  /// The features of one image from its tokens.
  void pool_image(const ThreadMemory& memory, const float* x, float* features);
  /// The features of one image from one vector that stands for it.
  void finish_pooled(const ThreadMemory& memory, const float* pooled, bool normed, float* features);

  // Soft MoE, in packed_mixing.cpp.
  void weigh_slots(const PackedBlock& block, const ThreadMemory& memory, int64_t row,
                   int64_t count);
  void pack_tokens(const Portion& portion);
  void fill_slots(const Portion& portion, const PackedMixing& mixing);
  void run_experts(const Team& team, const PackedBlock& block);
  void pack_slots(const Portion& portion, const PackedMixing& mixing);
  void combine_slots(const Portion& portion, const PackedMixing& mixing);
  /// An image's part of packed_tokens_ or packed_slots_, panels of `units` each.
  kernels::Unit* panels_of_image(kernels::Unit* all, const Portion& portion, int64_t image,
                                 int64_t units) const;
  /// Row of a slot among those of all experts.
  int64_t slot_row(const PackedMixing& mixing, int64_t image, int64_t slot) const;

  /// Calls function(first, count) for blocks of the rows of `range`.
  template <typename Function>
  void for_each_block(const IndexRange& range, const Function& function) const {
    const int64_t total = range.last - range.first;
    const int64_t blocks = (total + block_rows_ - 1) / block_rows_;
    for (int64_t index = 0; index < blocks; ++index) {
      const int64_t first = total * index / blocks;
      function(range.first + first, total * (index + 1) / blocks - first);
    }
  }

  PackedLayers layers_;
  kernels::PackedAttention attention_{};
  int64_t block_rows_ = 0;
  int64_t most_slots_ = 0;  // of any block
  int64_t most_slots_per_expert_ = 0;

  torch::Tensor memory_;
  int64_t batch_ = 0;
  int64_t threads_ = 0;
  float* x_ = nullptr;             // [rows, dim]: the residual stream
  ValueRows qkv_{};                // [places * tokens, 3 dim]
  ValueRows mixed_{};              // [rows, dim]: what attention gives, and what experts start from
  ValueRows powers_{};             // [rows, slots]
  float* inverse_sums_ = nullptr;  // [rows]: of the powers
  kernels::Unit* packed_tokens_ = nullptr;  // [places, panels of dim, units of tokens, 32]
  kernels::Unit* packed_slots_ = nullptr;   // [places, panels of dim, units of slots, 32]
  ValueRows expert_rows_{};                 // [experts * batch * slots per expert, dim]
  std::vector<ThreadMemory> thread_memory_;
};

}  // namespace softmoe

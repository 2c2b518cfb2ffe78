#pragma once
/// Memory of large tensors that is kept for the next ones.
///
/// A step of training makes and frees gradients of gigabytes. Memory that comes from the system
/// anew has to be cleared and mapped page by page first, which takes longer than writing the
/// gradients themselves.

#include <cstddef>

namespace softmoe {

/// Makes libtorch keep the memory of large CPU tensors that are freed for new ones of the same
/// size, in pages of 2 MiB where the system has them. What is in use and what is kept are together
/// no more than the most that was ever in use at once: kept memory makes room for other sizes.
void keep_large_tensors();

/// Asks the system for pages of 2 MiB in [data, data + bytes), which is about to be written for the
/// first time: fewer of them are quicker to be had.
void use_large_pages(void* data, size_t bytes);

/// Gives the memory that is kept, but not in use, back to the system.
void release_large_memory();

}  // namespace softmoe

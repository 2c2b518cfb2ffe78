#pragma once
/// Freed memory that is kept for new tensors.
///
/// A step of training makes and frees gradients of gigabytes. Memory that comes from the system
/// anew has to be cleared and mapped page by page first, which takes longer than writing the
/// gradients themselves.

#include <cstddef>

namespace softmoe {

/// Makes this process keep memory that it frees. Large CPU tensors of libtorch (8 MiB or more)
/// leave theirs to new ones of the same size, in pages of 2 MiB if the system has them. The memory
/// in use and the kept memory are together no more than the maximum that was in use at once: kept
/// memory makes room for other sizes. The C library keeps smaller pieces; freed pieces of 32 MiB or
/// more go back to the system, so that a model of gigabytes leaves room for the next one.
void keep_freed_memory();

/// Gives the memory that is kept, but not in use, back to the system.
void release_kept_memory();

/// Asks the system for pages of 2 MiB in [data, data + bytes), which is about to be written for the
/// first time: the system hands out few large pages faster than many small ones.
void use_large_pages(void* data, size_t bytes);

}  // namespace softmoe

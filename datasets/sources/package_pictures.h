#pragma once
/// Sets of real pictures in colour that Debian packages: installed as they are, without a download
/// of our own.

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "datasets/dataset.h"
#include "datasets/splits.h"

namespace softmoe {

/// A package of pictures whose folders are classes.
struct PicturePackage {
  std::string_view package;  ///< of Debian
  std::string_view folder;   ///< where it installs the class folders
  /// Pictures of one subject, whose names are equal up to a '-' or a digit, such as the frames of
  /// an animated figure, are in one split.
  bool has_subjects;
  /// Only pictures with a text of the same name count; its first line is the caption.
  bool has_captions = false;
};

/// The figures of the game Battle for Wesnoth by their kind: "drakes", "undead", ...
inline constexpr PicturePackage kWesnothUnits{
    "wesnoth-1.16-data", "/usr/share/games/wesnoth/1.16/data/core/images/units", true};
/// The stamps of the drawing program Tux Paint by subject: "animals", "food", ..., whose texts
/// begin with a sentence in English.
inline constexpr PicturePackage kStamps{"tuxpaint-stamps-default", "/usr/share/tuxpaint/stamps",
                                        false, true};
/// Open Clip Art by the folder of its subject: "animals", "food", ...
inline constexpr PicturePackage kClipArt{"openclipart-png", "/usr/share/openclipart/png", false};

/// Pictures of a package, or of `folder` in its place if that is not empty. Each folder is a class,
/// with all pictures below it; subjects with about a fifth of the pictures of each class, in the
/// order of a hash of their names, are the val split. Throws InputError if the package is not
/// installed or there are fewer than two classes with pictures of both splits.
std::unique_ptr<Dataset> open_package_pictures(const PicturePackage& package,
                                               const std::string& folder, SplitKind split);

}  // namespace softmoe

#include "datasets/formats/image_format.h"

#include <algorithm>
#include <array>
#include <opencv2/imgcodecs.hpp>

#include "core/error.h"
#include "core/lower_case.h"
#include "datasets/formats/jpeg.h"
#include "datasets/formats/jpeg2000.h"
#include "datasets/formats/png.h"
#include "datasets/formats/simple_formats.h"
#include "datasets/formats/tiff.h"
#include "datasets/formats/webp.h"

namespace softmoe {
namespace {

using namespace std::string_view_literals;

/// Bytes at one or two places of the files of a format.
struct FormatSignature {
  std::string_view text;
  ImageFormat format;
  uint64_t offset = 0;
  std::string_view second{};
  uint64_t second_offset = 0;

  bool fits(Bytes bytes) const {
    return has_text(bytes, offset, text) && has_text(bytes, second_offset, second);
  }
};

/// The first that fits counts.
constexpr std::array kImageFormats{
    FormatSignature{"\xff\xd8\xff"sv, {"JPEG image", decode_jpeg, decode_jpeg_part}},
    FormatSignature{"\x89PNG\r\n\x1a\n"sv, {"PNG image", decode_png}},
    FormatSignature{"RIFF"sv, {"WebP image", decode_webp}, 0, "WEBP"sv, 8},
    FormatSignature{"II\x2a\0"sv, {"Canon CR2 image"}, 0, "CR"sv, 8},
    FormatSignature{"II\x2a\0"sv, {"TIFF image", decode_tiff}},
    FormatSignature{"MM\0\x2a"sv, {"TIFF image", decode_tiff}},
    FormatSignature{"II\x2b\0"sv, {"TIFF image", decode_tiff}},
    FormatSignature{"MM\0\x2b"sv, {"TIFF image", decode_tiff}},
    FormatSignature{"\0\0\0\x0cjP  \r\n\x87\n"sv, {"JPEG 2000 image", decode_jpeg2000}},
    FormatSignature{"\xff\x4f\xff\x51"sv, {"JPEG 2000 image", decode_jpeg2000}},
    FormatSignature{"P7\n"sv, {"PAM image", decode_pam}},
    FormatSignature{"\x59\xa6\x6a\x95"sv, {"Sun raster image", decode_sun_raster}},
    FormatSignature{"#?RADIANCE"sv, {"Radiance HDR image", decode_radiance}},
    FormatSignature{"#?RGBE"sv, {"Radiance HDR image", decode_radiance}},
    FormatSignature{"GIF8"sv, {"GIF image", decode_gif}},
    FormatSignature{"\xff\x0a"sv, {"JPEG XL image"}},
    FormatSignature{"\0\0\0\x0cJXL \r\n\x87\n"sv, {"JPEG XL image"}},
    FormatSignature{"II\xbc\x01"sv, {"JPEG XR image"}},
    FormatSignature{"8BPS"sv, {"Photoshop image"}},
    FormatSignature{"\0\0\1\0"sv, {"Windows icon"}},
    FormatSignature{"\x01\xda"sv, {"SGI image"}},
    FormatSignature{"icns"sv, {"macOS icon"}},
    FormatSignature{"\x76\x2f\x31\x01"sv, {"OpenEXR image"}},
    FormatSignature{"DDS "sv, {"DDS texture"}},
    FormatSignature{"\xabKTX "sv, {"KTX texture"}},
    FormatSignature{"qoif"sv, {"QOI image"}},
    FormatSignature{"gimp xcf"sv, {"GIMP image"}},
    FormatSignature{"DICM"sv, {"DICOM image"}, 128},
    FormatSignature{"SIMPLE  ="sv, {"FITS image"}},
    FormatSignature{"BPG\xfb"sv, {"BPG image"}},
    FormatSignature{"FLIF"sv, {"FLIF image"}},
    FormatSignature{"farbfeld"sv, {"farbfeld image"}},
    FormatSignature{"AT&TFORM"sv, {"DjVu document"}},
    FormatSignature{"FUJIFILMCCD-RAW"sv, {"Fujifilm RAF image"}},
    FormatSignature{"IIRO"sv, {"Olympus ORF image"}},
    FormatSignature{"IIU\0"sv, {"Panasonic RW2 image"}},
    FormatSignature{"%PDF"sv, {"PDF document"}},
    FormatSignature{"%!PS"sv, {"PostScript document"}},
    FormatSignature{"/* XPM */"sv, {"XPM image"}},
    FormatSignature{"\x0a\x05\x01"sv, {"PCX image"}},
    FormatSignature{"\xd7\xcd\xc6\x9a"sv, {"Windows metafile"}},
    FormatSignature{"\1\0\0\0"sv, {"Windows metafile"}, 0, " EMF"sv, 40},
    FormatSignature{"BM"sv, {"BMP image", decode_bmp}, 0, "\0\0\0"sv, 15},
};

constexpr ImageFormat kHeic{"HEIC image"};
constexpr ImageFormat kAvif{"AVIF image"};
constexpr ImageFormat kCanonCr3{"Canon CR3 image"};
constexpr ImageFormat kSvg{"SVG image"};
constexpr ImageFormat kPnm{"PNM image", decode_pnm};
constexpr ImageFormat kTga{"TGA image"};

/// Returns true for P1 to P6, Pf and PF, each followed by white space.
bool is_pnm(Bytes bytes) {
  constexpr std::string_view kKinds = "123456fF";
  constexpr std::string_view kSpaces = " \t\r\n";
  const auto text = text_of(bytes);
  return text.size() > 2 && text[0] == 'P' && kKinds.find(text[1]) != kKinds.npos &&
         kSpaces.find(text[2]) != kSpaces.npos;
}

/// The format of an image in ISO's media container, by its brands.
const ImageFormat* find_media_format(Bytes bytes) {
  constexpr uint64_t kMaxBrands = 32;
  if (!has_text(bytes, 4, "ftyp")) {
    return nullptr;
  }
  const auto box = number_at(bytes, 0, 4, ByteOrder::kBig).value_or(0);
  const auto brands = text_of(bytes_at(bytes, 8, std::min(box, 4 * kMaxBrands)));
  for (size_t at = 0; at + 4 <= brands.size(); at += 4) {
    const auto brand = brands.substr(at, 4);
    if (brand == "avif" || brand == "avis") {
      return &kAvif;
    }
  }
  const auto major = brands.substr(0, std::min<size_t>(4, brands.size()));
  if (major == "crx ") {
    return &kCanonCr3;
  }
  const bool is_heic =
      major.starts_with("hei") || major.starts_with("hev") || major == "mif1" || major == "msf1";
  return is_heic ? &kHeic : nullptr;
}

/// Bytes of files that are no images, and what they are called.
struct OtherSignature {
  std::string_view text;
  std::string_view name;
  uint64_t offset = 0;
};

constexpr std::array kOtherFiles{
    OtherSignature{"\x1f\x8b"sv, "gzip data"},
    OtherSignature{"PK\3\4"sv, "a zip archive"},
    OtherSignature{"PK\5\6"sv, "a zip archive"},
    OtherSignature{"BZh"sv, "bzip2 data"},
    OtherSignature{"\xfd"
                   "7zXZ\0"sv,
                   "xz data"},
    OtherSignature{"\x28\xb5\x2f\xfd"sv, "Zstandard data"},
    OtherSignature{"7z\xbc\xaf\x27\x1c"sv, "a 7z archive"},
    OtherSignature{"Rar!"sv, "a rar archive"},
    OtherSignature{"ustar"sv, "a tar archive", 257},
    OtherSignature{"ftyp"sv, "a video or another media file", 4},
    OtherSignature{"\x1a\x45\xdf\xa3"sv, "a Matroska or WebM video"},
    OtherSignature{"RIFF"sv, "a video or sound"},
    OtherSignature{"OggS"sv, "a video or sound"},
    OtherSignature{"ID3"sv, "a sound"},
    OtherSignature{"\x7f"
                   "ELF"sv,
                   "a program"},
    OtherSignature{"MZ"sv, "a program"},
    OtherSignature{"\x89HDF\r\n\x1a\n"sv, "an HDF5 file"},
    OtherSignature{"\x93NUMPY"sv, "a NumPy array"},
    OtherSignature{"SQLite format 3"sv, "an SQLite database"},
    OtherSignature{"\0\5\x16\7"sv, "an AppleDouble file, which macOS keeps beside files"},
    OtherSignature{"\0\5\x16\0"sv, "an AppleSingle file"},
    OtherSignature{"\xff\xfe"sv, "text in UTF-16"},
    OtherSignature{"\xfe\xff"sv, "text in UTF-16"},
    OtherSignature{"version https://git-lfs.github.com/"sv,
                   "a Git LFS pointer: the image itself was not fetched (git lfs pull)"},
    OtherSignature{"/annex/objects/"sv,
                   "a git-annex pointer: the image itself was not fetched (git annex get)"},
};

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

/// The first bytes without a byte order mark and white space before them, in lower case.
std::string beginning(Bytes bytes) {
  constexpr size_t kSeen = 4096;
  auto text = text_of(bytes_at(bytes, 0, kSeen));
  if (text.starts_with(kByteOrderMark)) {
    text.remove_prefix(kByteOrderMark.size());
  }
  const auto first = text.find_first_not_of(" \t\r\n");
  text.remove_prefix(std::min(first, text.size()));
  return lower_case(std::string(text));
}

bool is_html(std::string_view text) {
  for (const auto tag : {"<!doctype html", "<html", "<head", "<body", "<script", "<title"}) {
    if (text.starts_with(tag)) {
      return true;
    }
  }
  return (text.starts_with("<?xml") || text.starts_with("<!--")) && text.find("<html") != text.npos;
}

bool is_svg(std::string_view text) {
  return text.starts_with('<') && !is_html(text) && text.find("<svg") != text.npos;
}

/// Returns true if the bytes begin as text does: without control characters.
bool is_text(Bytes bytes) {
  const auto start = bytes_at(bytes, 0, 512);
  const bool has_mark = has_text(bytes, 0, kByteOrderMark);
  return !start.empty() && (has_mark || start.front() < 0x80) &&
         std::none_of(start.begin(), start.end(), [](uint8_t byte) {
           return byte == 0x7f || (byte < ' ' && byte != '\t' && byte != '\r' && byte != '\n');
         });
}

std::string text_content(Bytes bytes) {
  constexpr size_t kShown = 40;
  const auto text = beginning(bytes);
  if (is_html(text)) {
    return "an HTML page";
  }
  if (text.starts_with("<")) {
    return "XML";
  }
  if (text.starts_with("{") || text.starts_with("[")) {
    return "JSON";
  }
  if (text.starts_with("data:image/") || text.starts_with("/9j/") || text.starts_with("ivborw0")) {
    return "an image in base64, which has to be decoded";
  }
  const auto line = text_of(bytes).substr(0, text_of(bytes).find_first_of("\r\n"));
  return text.empty() ? "white space" : "text that begins '" + printable_text(line, kShown) + "'";
}

// ".gif" is read if OpenCV does.
constexpr std::array kReadExtensions{
    ".jpg"sv,  ".jpeg"sv, ".jpe"sv, ".jfif"sv, ".jif"sv, ".pjpeg"sv, ".pjp"sv, ".png"sv,
    ".apng"sv, ".webp"sv, ".bmp"sv, ".dib"sv,  ".tif"sv, ".tiff"sv,  ".jp2"sv, ".j2k"sv,
    ".j2c"sv,  ".jpc"sv,  ".jpf"sv, ".jpx"sv,  ".pbm"sv, ".pgm"sv,   ".ppm"sv, ".pxm"sv,
    ".pnm"sv,  ".pam"sv,  ".pfm"sv, ".sr"sv,   ".ras"sv, ".hdr"sv,   ".pic"sv};
constexpr std::array kUnreadExtensions{
    ".heic"sv, ".heif"sv, ".hif"sv, ".avif"sv, ".jxl"sv, ".jxr"sv, ".exr"sv, ".svg"sv, ".psd"sv,
    ".sgi"sv,  ".ico"sv,  ".tga"sv, ".pcx"sv,  ".dds"sv, ".qoi"sv, ".dcm"sv, ".cr2"sv, ".cr3"sv,
    ".nef"sv,  ".arw"sv,  ".dng"sv, ".orf"sv,  ".rw2"sv, ".raf"sv, ".xcf"sv, ".eps"sv, ".djvu"sv};

/// Returns true if this OpenCV reads GIF: it writes what it reads.
bool reads_gif() {
  static const bool reads = cv::haveImageWriter(".gif");
  return reads;
}

std::string extension_of(const std::filesystem::path& path) {
  return lower_case(path.extension().string());
}

template <typename List>
bool holds(const List& list, const std::string& extension) {
  return std::find(list.begin(), list.end(), extension) != list.end();
}

}  // namespace

const ImageFormat* find_image_format(Bytes bytes) {
  static constexpr ImageFormat kUnreadGif{"GIF image"};
  for (const auto& signature : kImageFormats) {
    if (signature.fits(bytes)) {
      const bool is_unread = signature.format.decode == decode_gif && !reads_gif();
      return is_unread ? &kUnreadGif : &signature.format;
    }
  }
  if (is_pnm(bytes)) {
    return &kPnm;
  }
  if (text_of(bytes).ends_with("TRUEVISION-XFILE.\0"sv)) {
    return &kTga;
  }
  if (const auto* media = find_media_format(bytes)) {
    return media;
  }
  return is_text(bytes) && is_svg(beginning(bytes)) ? &kSvg : nullptr;
}

std::string other_content(Bytes bytes) {
  for (const auto& signature : kOtherFiles) {
    if (has_text(bytes, signature.offset, signature.text)) {
      return std::string(signature.name);
    }
  }
  if (is_text(bytes)) {
    return text_content(bytes);
  }
  const auto start = bytes_at(bytes, 0, 4096);
  const bool is_zero =
      std::all_of(start.begin(), start.end(), [](uint8_t byte) { return byte == 0; });
  return is_zero ? "zeros" : "";
}

bool is_image_name(const std::filesystem::path& path) {
  const auto extension = extension_of(path);
  return holds(kReadExtensions, extension) || (extension == ".gif" && reads_gif());
}

bool is_unread_image_name(const std::filesystem::path& path) {
  const auto extension = extension_of(path);
  return holds(kUnreadExtensions, extension) || (extension == ".gif" && !reads_gif());
}

}  // namespace softmoe

// SPDX-License-Identifier: Apache-2.0
// Chooses the reader of a path.
#include "runtime/model_source.hpp"

#include <filesystem>
#include <optional>
#include <system_error>

#include "format/gguf_reader.hpp"
#include "format/safetensors_folder.hpp"
#include "runtime/hf_folder.hpp"

namespace ponder {
namespace {

// The Hugging Face folder that `path` means, or nothing if it is a file of another kind.
std::optional<std::string> folder_of(const std::string& path) {
    const std::filesystem::path given = path;
    std::error_code error;
    if (std::filesystem::is_directory(given, error)) return path;
    const std::filesystem::path name = given.filename();
    if (name != "config.json" && name != safetensors::kSingleFileName && name != safetensors::kIndexName) return std::nullopt;
    const std::filesystem::path parent = given.parent_path();
    return parent.empty() ? "." : parent.string();
}

}  // namespace

Result<ModelFile> read_model_file(const std::string& path) {
    const auto folder = folder_of(path);
    return folder ? hf::read_folder(*folder, true) : read_gguf(path);
}

Result<ModelFile> read_model_outline(const std::string& path) {
    const auto folder = folder_of(path);
    return folder ? hf::read_folder(*folder, safetensors::has_weights(*folder)) : read_gguf(path);
}

}  // namespace ponder

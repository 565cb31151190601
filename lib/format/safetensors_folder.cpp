// SPDX-License-Identifier: Apache-2.0
// Joins the shards of a folder; file names come from the index and so are not trusted.
#include "format/safetensors_folder.hpp"

#include <algorithm>
#include <cinttypes>
#include <filesystem>
#include <iterator>
#include <map>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "base/utf8.hpp"
#include "format/json.hpp"
#include "format/safetensors.hpp"

namespace ponder::safetensors {
namespace {

using Json = nlohmann::json;
// Of a shard: the tensors that it must have. All are views into the index.
using ShardTensors = std::map<std::string_view, std::vector<std::string_view>>;

bool is_file(const std::string& path) {
    std::error_code error;
    return std::filesystem::is_regular_file(path, error);
}

// A shard may not lead out of the folder.
bool is_plain_name(std::string_view name) {
    constexpr std::string_view kSuffix = ".safetensors";
    return name.size() > kSuffix.size() && name.size() <= 255 && name.ends_with(kSuffix) && name.front() != '.' &&
           name.find_first_of(std::string_view("/\\:\0", 4)) == std::string_view::npos;
}

Result<std::vector<StoredTensor>> open_file(const std::string& path, ModelFile& model) {
    auto file = MappedFile::open(path);
    if (!file) return file.error();
    auto tensors = parse(file->bytes(), static_cast<int32_t>(model.files.size()));
    if (!tensors) return with_context(tensors.error(), path);
    model.files.push_back(std::move(*file));
    return tensors;
}

Result<ShardTensors> group_by_shard(const Json& index) {
    const auto map = index.is_object() ? index.find("weight_map") : index.end();
    if (!index.is_object() || map == index.end() || !map->is_object()) {
        return make_error(PONDER_STATUS_FORMAT, "weight_map: missing, or not an object");
    }
    if (map->empty()) return make_error(PONDER_STATUS_FORMAT, "weight_map: names no tensors");
    if (map->size() > limits::kMaxTensors) {
        return make_error(PONDER_STATUS_LIMIT, "weight_map: %zu tensors, the limit is %" PRIu64, map->size(), limits::kMaxTensors);
    }
    ShardTensors shards;
    for (const auto& [name, shard] : map->items()) {
        const auto* file = shard.get_ptr<const std::string*>();
        if (file == nullptr || !is_plain_name(*file)) {
            return make_error(PONDER_STATUS_FORMAT, "weight_map: '%s' is in %s, which is not the plain name of a .safetensors file",
                              printable(name).c_str(), file == nullptr ? "no string" : ("'" + printable(*file) + "'").c_str());
        }
        shards[*file].push_back(name);
    }
    if (shards.size() > limits::kMaxSplitFiles) {
        return make_error(PONDER_STATUS_LIMIT, "weight_map: %zu files, the limit is %u", shards.size(), limits::kMaxSplitFiles);
    }
    return shards;
}

// `wanted` is sorted, since the members of the index are.
Result<void> take_tensors(std::vector<StoredTensor>& stored, const std::vector<std::string_view>& wanted, ModelFile& model) {
    const auto kept_end = std::stable_partition(stored.begin(), stored.end(), [&](const StoredTensor& tensor) {
        return std::binary_search(wanted.begin(), wanted.end(), tensor.name);
    });
    const auto n_kept = static_cast<size_t>(kept_end - stored.begin());
    if (n_kept < wanted.size()) {
        std::vector<std::string_view> names;
        for (auto it = stored.begin(); it != kept_end; ++it) names.push_back(it->name);
        std::sort(names.begin(), names.end());
        const auto missing = std::find_if(wanted.begin(), wanted.end(),
                                          [&](std::string_view name) { return !std::binary_search(names.begin(), names.end(), name); });
        return make_error(PONDER_STATUS_FORMAT, "tensor '%s', which the index says is here, is missing", printable(*missing).c_str());
    }
    if (kept_end != stored.end()) {
        log_message(PONDER_LOG_WARNING, "%s: passed over %zu tensors that the index does not name here", model.files.back().path().c_str(),
                    stored.size() - n_kept);
    }
    model.tensors.insert(model.tensors.end(), std::make_move_iterator(stored.begin()), std::make_move_iterator(kept_end));
    return {};
}

Result<ModelFile> read_shards(const std::string& folder, const std::string& index_path) {
    const auto text = read_file(index_path, limits::kMaxShardIndexBytes);
    if (!text) return text.error();
    const auto index = parse_json(*text, limits::kMaxShardIndexBytes);
    if (!index) return with_context(index.error(), index_path);
    const auto shards = group_by_shard(*index);
    if (!shards) return with_context(shards.error(), index_path);
    ModelFile model;
    for (const auto& [name, wanted] : *shards) {
        const std::string path = (std::filesystem::path(folder) / name).string();
        auto tensors = open_file(path, model);
        if (!tensors) return with_context(tensors.error(), kIndexName);
        if (auto taken = take_tensors(*tensors, wanted, model); !taken) return with_context(taken.error(), path);
    }
    return model;
}

}  // namespace

bool has_weights(const std::string& folder) {
    return is_file((std::filesystem::path(folder) / kIndexName).string()) ||
           is_file((std::filesystem::path(folder) / kSingleFileName).string());
}

Result<ModelFile> read_folder(const std::string& folder) {
    const std::string index_path = (std::filesystem::path(folder) / kIndexName).string();
    if (is_file(index_path)) return read_shards(folder, index_path);
    ModelFile model;
    auto tensors = open_file((std::filesystem::path(folder) / kSingleFileName).string(), model);
    if (!tensors) return tensors.error();
    model.tensors = std::move(*tensors);
    return model;
}

}  // namespace ponder::safetensors

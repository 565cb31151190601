// SPDX-License-Identifier: Apache-2.0
// Joins the parts of a GGUF model into one ModelFile.
#include "format/gguf_reader.hpp"

#include <cinttypes>
#include <iterator>
#include <utility>

#include "base/limits.hpp"
#include "format/gguf_part.hpp"
#include "format/gguf_split.hpp"

namespace ponder {

namespace {

Result<gguf::Part> open_part(const std::string& path, ModelFile& model) {
    auto file = MappedFile::open(path);
    if (!file) return file.error();
    auto part = gguf::parse_part(file->bytes(), static_cast<int32_t>(model.files.size()));
    if (!part) return with_context(part.error(), path);
    model.files.push_back(std::move(*file));
    return part;
}

void append_tensors(ModelFile& model, std::vector<StoredTensor>& tensors) {
    if (model.tensors.empty()) {
        model.tensors = std::move(tensors);
        return;
    }
    model.tensors.insert(model.tensors.end(), std::make_move_iterator(tensors.begin()), std::make_move_iterator(tensors.end()));
}

Result<void> open_later_parts(const gguf::Part& first, const gguf::SplitKeys& keys, const gguf::SplitName& name, ModelFile& model) {
    for (uint32_t number = 1; number < keys.count; ++number) {
        const std::string path = gguf::split_path(name, number + 1);
        auto part = open_part(path, model);
        if (!part) return part.error();
        if (auto ok = gguf::check_later_part(first, keys, *part, number); !ok) return with_context(ok.error(), path);
        if (model.tensors.size() + part->tensors.size() > limits::kMaxTensors) {
            return make_error(PONDER_STATUS_LIMIT, "%s: more than %" PRIu64 " tensors in all parts", path.c_str(), limits::kMaxTensors);
        }
        append_tensors(model, part->tensors);
    }
    return {};
}

Result<void> finish(const gguf::SplitKeys& keys, ModelFile& model) {
    if (keys.count > 1 && keys.n_tensors && *keys.n_tensors != model.tensors.size()) {
        return make_error(PONDER_STATUS_FORMAT, "split.tensors.count: %u, but the parts hold %zu tensors", *keys.n_tensors,
                          model.tensors.size());
    }
    return model.index_tensors();
}

}  // namespace

Result<ModelFile> read_gguf(const std::string& path) {
    ModelFile model;
    auto first = open_part(path, model);
    if (!first) return first.error();
    const auto keys = gguf::read_split_keys(first->metadata);
    if (!keys) return with_context(keys.error(), path);
    const auto name = gguf::check_first_part(path, *keys);
    if (!name) return with_context(name.error(), path);
    append_tensors(model, first->tensors);
    if (*name) {
        if (auto ok = open_later_parts(*first, *keys, **name, model); !ok) return ok.error();
    }
    model.metadata = std::move(first->metadata);
    if (auto ok = finish(*keys, model); !ok) return with_context(ok.error(), path);
    return model;
}

Result<ModelFile> read_gguf_bytes(std::span<const std::byte> bytes, const std::string& name) {
    auto part = gguf::parse_part(bytes, 0);
    if (!part) return with_context(part.error(), name);
    const auto keys = gguf::read_split_keys(part->metadata);
    if (!keys) return with_context(keys.error(), name);
    if (keys->count > 1) {
        return make_error(PONDER_STATUS_UNSUPPORTED, "%s: is part %u of %u, and parts can only be opened as files", name.c_str(),
                          keys->number + 1, keys->count);
    }
    ModelFile model;
    model.metadata = std::move(part->metadata);
    append_tensors(model, part->tensors);
    if (auto ok = finish(*keys, model); !ok) return with_context(ok.error(), name);
    return model;
}

}  // namespace ponder

// SPDX-License-Identifier: Apache-2.0
// Reads the small files around a model's weights.
#include "runtime/hf_text.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>
#include <system_error>
#include <vector>

#include "base/limits.hpp"
#include "base/mapped_file.hpp"
#include "format/json.hpp"
#include "format/json_fields.hpp"
#include "text/tokenizer_keys.hpp"

namespace ponder::hf {
namespace {

using Json = nlohmann::json;

// The text of a file, or nothing if it is not there.
Result<std::optional<std::string>> read_optional(const std::string& folder, const char* name, size_t max_bytes) {
    const std::filesystem::path path = std::filesystem::path(folder) / name;
    std::error_code error;
    if (!std::filesystem::exists(path, error)) return std::optional<std::string>();
    auto text = read_file(path.string(), max_bytes);
    if (!text) return text.error();
    return std::optional<std::string>(std::move(*text));
}

std::string path_of(const std::string& folder, const char* name) { return (std::filesystem::path(folder) / name).string(); }

Result<std::string> default_template(const Json& tokenizer_config) {
    const JsonFields fields(tokenizer_config);
    const Json* found = fields.find("chat_template");
    if (found == nullptr) return std::string();
    if (found->is_string()) return found->get<std::string>();
    if (found->is_array()) {
        for (const Json& named : *found) {
            JsonFields entry(named, "chat_template.");
            if (entry.string("name", "") == "default") return entry.string("template", "");
        }
        return std::string();
    }
    return make_error(PONDER_STATUS_FORMAT, "chat_template: neither a string nor a list");
}

Result<void> read_template(const std::string& folder, const Json& tokenizer_config, Metadata& metadata) {
    auto file = read_optional(folder, "chat_template.jinja", limits::kMaxTemplateBytes);
    if (!file) return file.error();
    if (*file) {
        metadata.set("tokenizer.chat_template", Value::from_string(**file));
        return {};
    }
    const auto text = default_template(tokenizer_config);
    if (!text) return with_context(text.error(), path_of(folder, "tokenizer_config.json"));
    if (!text->empty()) metadata.set("tokenizer.chat_template", Value::from_string(*text));
    return {};
}

Result<void> read_tokenizer(const std::string& folder, int64_t n_vocab, Metadata& metadata) {
    const auto json = read_optional(folder, "tokenizer.json", limits::kMaxTokenizerFileBytes);
    if (!json) return json.error();
    if (!*json) {
        metadata.set("tokenizer.ggml.model", Value::from_string("no_vocab"));  // GGUF's word for it
        return {};
    }
    const auto config = read_optional(folder, "tokenizer_config.json", limits::kMaxConfigBytes);
    if (!config) return config.error();
    auto set = set_tokenizer_keys(**json, config->value_or(std::string()), n_vocab, metadata);
    if (!set) return with_context(set.error(), path_of(folder, "tokenizer.json"));
    return {};
}

// One id or a list of them; ids that are none of the vocabulary's are passed over.
std::vector<uint32_t> token_ids(const Json& object, const char* key, int64_t n_vocab) {
    std::vector<uint32_t> ids;
    const JsonFields fields(object);
    const Json* found = fields.find(key);
    if (found == nullptr) return ids;
    const auto add = [&](const Json& id) {
        if (id.is_number_unsigned() && id.get<uint64_t>() < static_cast<uint64_t>(n_vocab)) ids.push_back(id.get<uint32_t>());
    };
    if (!found->is_array()) return add(*found), ids;
    for (const Json& id : *found) add(id);
    return ids;
}

// Models end with more tokens than the tokenizer's end token: a chat's turn, or a message to a tool.
void read_named_ids(const Json& generation, const Json& config, int64_t n_vocab, Metadata& metadata) {
    const auto set = [&](const char* key, uint32_t id) {
        if (metadata.find(key) == nullptr) metadata.set(key, Value::from_u32(id));
    };
    std::vector<uint32_t> ends = token_ids(generation, "eos_token_id", n_vocab);
    for (const uint32_t id : token_ids(config, "eos_token_id", n_vocab)) ends.push_back(id);
    if (!ends.empty()) set("tokenizer.ggml.eos_token_id", ends.front());
    for (const uint32_t id : token_ids(config, "bos_token_id", n_vocab)) set("tokenizer.ggml.bos_token_id", id);

    const auto eos = metadata.get_u32("tokenizer.ggml.eos_token_id");
    if (!eos || !*eos) return;
    std::sort(ends.begin(), ends.end());
    ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
    std::erase(ends, **eos);
    constexpr const char* kOtherEnds[] = {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"};
    for (size_t i = 0; i < std::min(ends.size(), std::size(kOtherEnds)); i++) set(kOtherEnds[i], ends[i]);
}

Result<void> read_sampling(const Json& generation, Metadata& metadata) {
    JsonFields fields(generation);
    if (!fields.boolean("do_sample", false)) return fields.failure() ? Result<void>(*fields.failure()) : Result<void>();
    const auto f32 = [&](const char* key, const char* name, double low, double high) {
        if (fields.has(name)) metadata.set(key, Value::from_f32(static_cast<float>(fields.real(name, low, high))));
    };
    f32("general.sampling.temp", "temperature", 0.0, 10.0);
    f32("general.sampling.top_p", "top_p", 0.0, 1.0);
    f32("general.sampling.min_p", "min_p", 0.0, 1.0);
    if (fields.has("top_k")) {
        const auto top_k = fields.integer("top_k", 0, limits::kMaxVocabulary);
        metadata.set("general.sampling.top_k", Value::from_i32(static_cast<int32_t>(top_k)));
    }
    if (fields.failure()) return *fields.failure();
    return {};
}

}  // namespace

Result<Json> read_json_file(const std::string& folder, const char* name) {
    const auto text = read_optional(folder, name, limits::kMaxConfigBytes);
    if (!text) return text.error();
    if (!*text) return Json();
    auto json = parse_json(**text, limits::kMaxConfigBytes);
    if (!json) return with_context(json.error(), path_of(folder, name));
    return json;
}

Result<void> read_text_files(const std::string& folder, const Json& config, int64_t n_vocab, Metadata& metadata) {
    if (auto read = read_tokenizer(folder, n_vocab, metadata); !read) return read;
    const auto tokenizer_config = read_json_file(folder, "tokenizer_config.json");
    if (!tokenizer_config) return tokenizer_config.error();
    if (auto read = read_template(folder, *tokenizer_config, metadata); !read) return read;
    const auto generation = read_json_file(folder, "generation_config.json");
    if (!generation) return generation.error();
    if (metadata.find("tokenizer.ggml.tokens") != nullptr) read_named_ids(*generation, config, n_vocab, metadata);
    if (auto read = read_sampling(*generation, metadata); !read) {
        return with_context(read.error(), path_of(folder, "generation_config.json"));
    }
    return {};
}

}  // namespace ponder::hf

// SPDX-License-Identifier: Apache-2.0
// Fills the arrays of tokenizer.ggml.* from the contents of tokenizer.json.
#include "text/tokenizer_keys.hpp"

#include <cinttypes>
#include <string>
#include <utility>
#include <vector>

#include "base/utf8.hpp"
#include "text/pretokenizer.hpp"
#include "text/tokenizer.hpp"
#include "text/tokenizer_json_pipeline.hpp"
#include "text/tokenizer_json_reader.hpp"
#include "text/tokenizer_parts.hpp"

namespace ponder {
namespace {

using Json = nlohmann::json;

bool looks_like_control(std::string_view text) {
    const bool has_ascii_bars = text.starts_with("<|") && text.ends_with("|>");
    return has_ascii_bars || (text.starts_with("<｜") && text.ends_with("｜>"));
}

Result<std::string_view> family_of(const TokenizerJson& file) {
    TokenizerParts parts;
    std::string bos_text;
    if (auto read = read_json_pipeline(file.rest, parts, bos_text); !read) return read.error();
    if (parts.symbols != SymbolKind::kBytes) {
        return make_error(PONDER_STATUS_UNSUPPORTED,
                          "the tokenizer is not byte-level: a GGUF of it needs the scores of its tokenizer.model");
    }
    const auto ignores_merges = json_bool(file.rest.at("model"), "ignore_merges", false);
    if (!ignores_merges) return ignores_merges.error();
    return find_pretokenizer_family(
        {.pretokenizer = std::move(parts.pretokenizer), .uses_nfc = parts.uses_nfc, .ignores_merges = *ignores_merges});
}

class TokenArrays {
  public:
    explicit TokenArrays(int64_t n_vocab) : texts_(static_cast<size_t>(n_vocab)), kinds_(texts_.size(), 0) {}

    Result<void> add(int64_t id, std::string_view text, TokenKind kind) {
        if (id < 0 || id >= static_cast<int64_t>(texts_.size())) {
            return make_error(PONDER_STATUS_FORMAT, "token '%s' has id %" PRId64 ", but the model's vocabulary has %zu entries",
                              printable(text).c_str(), id, texts_.size());
        }
        texts_[static_cast<size_t>(id)] = text;
        kinds_[static_cast<size_t>(id)] = static_cast<int32_t>(kind);
        return {};
    }

    void write(Metadata& metadata) {
        for (size_t i = 0; i < texts_.size(); ++i) {
            if (kinds_[i] != 0) continue;
            texts_[i] = "[PAD" + std::to_string(i) + "]";
            kinds_[i] = static_cast<int32_t>(TokenKind::kUnused);
        }
        metadata.set("tokenizer.ggml.tokens", Value::from_strings({texts_.begin(), texts_.end()}));
        metadata.set("tokenizer.ggml.token_type", Value::from_array<int32_t>(kinds_));
    }

  private:
    std::vector<std::string> texts_;
    std::vector<int32_t> kinds_;  // 0: no token has this id
};

// All ids and texts were checked by Tokenizer::from_json.
Result<void> write_tokens(const TokenizerJson& file, int64_t n_vocab, Metadata& metadata) {
    TokenArrays arrays(n_vocab);
    for (const TokenizerJson::Entry& entry : file.entries) {
        if (auto added = arrays.add(entry.id, file.text(entry), TokenKind::kNormal); !added) return added;
    }
    const auto tokens = file.rest.find("added_tokens");
    if (tokens != file.rest.end() && tokens->is_array()) {
        for (const Json& token : *tokens) {
            const auto text = json_string(token, "content", "");
            const auto is_special = json_bool(token, "special", false);
            if (!text) return text.error();
            if (!is_special) return is_special.error();
            const bool is_control = *is_special || looks_like_control(*text);
            auto added = arrays.add(token.at("id").get<int64_t>(), *text, is_control ? TokenKind::kControl : TokenKind::kUserDefined);
            if (!added) return added;
        }
    }
    arrays.write(metadata);
    return {};
}

void write_merges(const TokenizerJson& file, Metadata& metadata) {
    std::vector<std::string> merges;
    merges.reserve(file.merges.size());
    for (const TokenizerJson::MergeEntry& merge : file.merges) {
        std::string& text = merges.emplace_back(file.left(merge));
        if (merge.n_right > 0) text.append(" ").append(file.right(merge));
    }
    metadata.set("tokenizer.ggml.merges", Value::from_strings({merges.begin(), merges.end()}));
}

}  // namespace

Result<void> set_tokenizer_keys(std::string_view json, std::string_view config_json, int64_t n_vocab, Metadata& metadata) {
    const auto tokenizer = Tokenizer::from_json(json, config_json);
    if (!tokenizer) return tokenizer.error();
    const auto file = read_tokenizer_json(json);
    if (!file) return file.error();
    const auto family = family_of(*file);
    if (!family) return family.error();

    metadata.set("tokenizer.ggml.model", Value::from_string("gpt2"));
    metadata.set("tokenizer.ggml.pre", Value::from_string(*family));
    if (auto written = write_tokens(*file, n_vocab, metadata); !written) return written;
    write_merges(*file, metadata);
    const std::pair<const char*, TokenId> named[] = {{"tokenizer.ggml.bos_token_id", (*tokenizer)->bos()},
                                                     {"tokenizer.ggml.eos_token_id", (*tokenizer)->eos()},
                                                     {"tokenizer.ggml.padding_token_id", (*tokenizer)->pad()}};
    for (const auto& [key, id] : named) {
        if (id != kNoToken) metadata.set(key, Value::from_u32(static_cast<uint32_t>(id)));
    }
    metadata.set("tokenizer.ggml.add_bos_token", Value::from_bool((*tokenizer)->adds_bos()));
    return {};
}

}  // namespace ponder

// SPDX-License-Identifier: Apache-2.0
// Reads a Hugging Face tokenizer.json into the arrays that a GGUF file holds.
#include <initializer_list>
#include <string_view>
#include <unordered_map>

#include "base/limits.hpp"
#include "base/mapped_file.hpp"
#include "format/json.hpp"
#include "runtime/synth_vocabulary.hpp"

namespace ponder::synth {
namespace {

using nlohmann::json;

const json* member(const json& object, const char* name) {
    const auto it = object.find(name);
    return it == object.end() ? nullptr : &*it;
}

bool is_text(const json* value) { return value != nullptr && value->is_string(); }

bool looks_special(std::string_view text) {
    const bool has_ascii_bars = text.starts_with("<|") && text.ends_with("|>");
    return has_ascii_bars || (text.starts_with("<｜") && text.ends_with("｜>"));
}

class TokenTable {
  public:
    explicit TokenTable(int32_t n_vocab) : tokens_(static_cast<size_t>(n_vocab)), kinds_(tokens_.size(), 0) {}

    // Errors: FORMAT for what is no id, or a second text for one; LIMIT past the vocabulary.
    Result<void> place(const json* id, const std::string& text, TokenKind kind) {
        if (id == nullptr || !id->is_number_unsigned()) {
            return make_error(PONDER_STATUS_FORMAT, "token \"%.100s\" has no id that is an integer of 0 or above", text.c_str());
        }
        const uint64_t index = id->get<uint64_t>();
        if (index >= tokens_.size()) {
            return make_error(PONDER_STATUS_LIMIT, "token \"%.100s\" has id %llu; the shape's vocabulary ends at %zu", text.c_str(),
                              static_cast<unsigned long long>(index), tokens_.size() - 1);
        }
        if (text.size() > limits::kMaxTokenBytes) {
            return make_error(PONDER_STATUS_LIMIT, "token %llu has %zu bytes; the limit is %zu", static_cast<unsigned long long>(index),
                              text.size(), limits::kMaxTokenBytes);
        }
        if (kinds_[index] != 0 && tokens_[index] != text) {
            return make_error(PONDER_STATUS_FORMAT, "id %llu belongs to \"%.100s\" and to \"%.100s\"",
                              static_cast<unsigned long long>(index), tokens_[index].c_str(), text.c_str());
        }
        tokens_[index] = text;
        kinds_[index] = static_cast<int32_t>(kind);
        return {};
    }

    void move_into(Vocabulary& vocabulary) {
        for (size_t i = 0; i < tokens_.size(); ++i) {
            if (kinds_[i] != 0) continue;
            tokens_[i] = "[PAD" + std::to_string(i) + "]";
            kinds_[i] = static_cast<int32_t>(TokenKind::kUnused);
        }
        vocabulary.tokens = std::move(tokens_);
        vocabulary.kinds = std::move(kinds_);
    }

  private:
    std::vector<std::string> tokens_;
    std::vector<int32_t> kinds_;  // 0: no token has this id
};

Result<void> read_tokens(const json& model, const json* added, TokenTable& table) {
    const json* vocab = member(model, "vocab");
    if (vocab == nullptr || !vocab->is_object()) return make_error(PONDER_STATUS_FORMAT, "model.vocab is not an object");
    for (const auto& [text, id] : vocab->items()) {
        if (auto placed = table.place(&id, text, TokenKind::kNormal); !placed) return with_context(placed.error(), "model.vocab");
    }
    if (added == nullptr) return {};
    if (!added->is_array()) return make_error(PONDER_STATUS_FORMAT, "added_tokens is not an array");
    for (const json& token : *added) {
        const json* content = token.is_object() ? member(token, "content") : nullptr;
        if (!is_text(content)) return make_error(PONDER_STATUS_FORMAT, "an entry of added_tokens has no content");
        const std::string& text = content->get_ref<const std::string&>();
        const json* special = member(token, "special");
        const bool is_control = (special != nullptr && *special == true) || looks_special(text);
        auto placed = table.place(member(token, "id"), text, is_control ? TokenKind::kControl : TokenKind::kUserDefined);
        if (!placed) return with_context(placed.error(), "added_tokens");
    }
    return {};
}

// Each is a text "left right" or a pair of texts.
Result<std::vector<std::string>> read_merges(const json& model) {
    const json* list = member(model, "merges");
    if (list == nullptr || !list->is_array()) return make_error(PONDER_STATUS_FORMAT, "model.merges is not an array");
    std::vector<std::string> merges;
    merges.reserve(list->size());
    for (size_t i = 0; i < list->size(); ++i) {
        const json& merge = (*list)[i];
        std::string pair;
        if (merge.is_string()) {
            pair = merge.get_ref<const std::string&>();
        } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
            pair = merge[0].get_ref<const std::string&>() + " " + merge[1].get_ref<const std::string&>();
        }
        if (pair.find(' ') == std::string::npos) {
            return make_error(PONDER_STATUS_FORMAT, "model.merges: entry %zu is not two texts", i);
        }
        merges.push_back(std::move(pair));
    }
    return merges;
}

void find_special_ids(const VocabularyFamily& family, Vocabulary& vocabulary) {
    std::unordered_map<std::string_view, int32_t> ids;
    for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
        if (vocabulary.kinds[i] == static_cast<int32_t>(TokenKind::kControl)) ids.emplace(vocabulary.tokens[i], static_cast<int32_t>(i));
    }
    const auto first_of = [&](std::initializer_list<std::string_view> names) -> std::optional<int32_t> {
        for (const std::string_view name : names) {
            if (const auto it = ids.find(name); it != ids.end()) return it->second;
        }
        return std::nullopt;
    };
    vocabulary.bos_id = first_of({"<｜begin▁of▁sentence｜>", "<|begin_of_text|>", "<s>"});
    vocabulary.eos_id = first_of({"<｜end▁of▁sentence｜>", "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<|endoftext|>", "</s>"});
    vocabulary.pad_id = first_of({"<｜▁pad▁｜>", "<|endoftext|>"});
    if (!vocabulary.pad_id) vocabulary.pad_id = vocabulary.eos_id;
    vocabulary.add_bos = family.add_bos && vocabulary.bos_id.has_value();
}

Result<Vocabulary> read_document(const json& document, const VocabularyFamily& family, int32_t n_vocab) {
    const json* model = document.is_object() ? member(document, "model") : nullptr;
    if (model == nullptr || !model->is_object()) return make_error(PONDER_STATUS_FORMAT, "there is no object \"model\"");
    // Early files leave the type out; only BPE has merges.
    const json* type = member(*model, "type");
    if (type != nullptr && *type != "BPE") return make_error(PONDER_STATUS_UNSUPPORTED, "model.type is not \"BPE\"");

    TokenTable table(n_vocab);
    if (auto read = read_tokens(*model, member(document, "added_tokens"), table); !read) return read.error();
    auto merges = read_merges(*model);
    if (!merges) return merges.error();
    Vocabulary vocabulary;
    table.move_into(vocabulary);
    vocabulary.merges = std::move(*merges);
    find_special_ids(family, vocabulary);
    return vocabulary;
}

}  // namespace

Result<Vocabulary> read_tokenizer_json(const std::string& path, const VocabularyFamily& family, int32_t n_vocab) {
    const auto text = read_file(path, limits::kMaxTokenizerFileBytes);
    if (!text) return text.error();
    const auto document = parse_json(*text, limits::kMaxTokenizerFileBytes);
    if (!document) return with_context(document.error(), path);
    auto vocabulary = read_document(*document, family, n_vocab);
    if (!vocabulary) return with_context(vocabulary.error(), path);
    return vocabulary;
}

}  // namespace ponder::synth

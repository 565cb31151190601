// SPDX-License-Identifier: Apache-2.0
// Tokenizers from Hugging Face's tokenizer.json: the model, the added tokens, and the begin and end tokens of its configuration.
#include <filesystem>
#include <system_error>

#include "base/limits.hpp"
#include "base/mapped_file.hpp"
#include "base/utf8.hpp"
#include "text/tokenizer.hpp"
#include "text/tokenizer_build.hpp"
#include "text/tokenizer_json_pipeline.hpp"
#include "text/tokenizer_json_reader.hpp"
#include "text/unicode.hpp"

namespace ponder {

namespace {

using Json = nlohmann::json;

constexpr size_t kMaxConfigBytes = 16u << 20;

class JsonTokenizerReader {
  public:
    JsonTokenizerReader(TokenizerJson&& file, const Json& config) : file_(std::move(file)), config_(config) {}

    Result<TokenizerParts> read();

  private:
    Result<void> read_model();
    Result<void> add_entries();
    Result<void> add_added_tokens();
    Result<void> add_added_token(const Json& token);
    Result<void> read_merges();
    Result<void> read_named_tokens();
    TokenId named_token(const char* key) const;

    TokenizerJson file_;
    const Json& config_;
    TokenizerParts parts_;
    VocabularyBuilder builder_;
    std::vector<SpecialToken> specials_, normalized_specials_;
    std::string unknown_text_, bos_text_;
    bool falls_back_to_bytes_ = false;
};

Result<void> JsonTokenizerReader::read_model() {
    const auto found = file_.rest.find("model");
    if (found == file_.rest.end() || !found->is_object()) return make_error(PONDER_STATUS_FORMAT, "tokenizer.json has no 'model'");
    const Json& model = *found;
    const auto type = json_string(model, "type", "BPE");
    if (!type) return type.error();
    if (*type != "BPE")
        return make_error(PONDER_STATUS_UNSUPPORTED, "tokenizer.json: model '%s' is not supported", printable(*type).c_str());
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
        const auto affix = json_string(model, key, "");
        if (!affix) return affix.error();
        if (!affix->empty()) return make_error(PONDER_STATUS_UNSUPPORTED, "tokenizer.json: model option '%s' is not supported", key);
    }
    const auto dropout = model.find("dropout");
    if (dropout != model.end() && !dropout->is_null() && *dropout != 0) {
        return make_error(PONDER_STATUS_UNSUPPORTED, "tokenizer.json: model option 'dropout' is not supported");
    }
    const struct {
        const char* key;
        bool* flag;
    } flags[] = {{"fuse_unk", &parts_.fuses_unknown}, {"byte_fallback", &falls_back_to_bytes_}, {"ignore_merges", &parts_.ignores_merges}};
    for (const auto& [key, flag] : flags) {
        const auto value = json_bool(model, key, false);
        if (!value) return value.error();
        *flag = *value;
    }
    auto unknown = json_string(model, "unk_token", "");
    if (!unknown) return unknown.error();
    unknown_text_ = std::move(*unknown);
    return {};
}

Result<void> JsonTokenizerReader::add_entries() {
    std::string bytes;
    for (const TokenizerJson::Entry& entry : file_.entries) {
        const std::string_view text = file_.text(entry);
        const int byte = falls_back_to_bytes_ && parts_.symbols == SymbolKind::kCharacters ? parse_byte_token(text) : -1;
        bool is_text = false;
        TokenKind kind = TokenKind::kNormal;
        if (byte >= 0) {
            bytes.assign(1, static_cast<char>(byte));
            kind = TokenKind::kByte;
        } else {
            is_text = spell_token(parts_.symbols, text, bytes);
        }
        if (!unknown_text_.empty() && text == unknown_text_) {
            kind = TokenKind::kUnknown;
            is_text = false;
        }
        if (auto added = builder_.add(entry.id, bytes, kind, is_text); !added) return added;
        // Ids fit TokenId from here on: the builder has checked them.
        if (kind == TokenKind::kByte) parts_.byte_tokens[static_cast<size_t>(byte)] = static_cast<TokenId>(entry.id);
        if (kind == TokenKind::kUnknown) parts_.unknown = static_cast<TokenId>(entry.id);
    }
    return {};
}

Result<void> JsonTokenizerReader::add_added_token(const Json& token) {
    const auto id_field = token.is_object() ? token.find("id") : token.end();
    if (!token.is_object() || id_field == token.end() || !id_field->is_number_integer()) {
        return make_error(PONDER_STATUS_FORMAT, "tokenizer.json: an added token has no integer 'id'");
    }
    const int64_t id = id_field->is_number_unsigned() && id_field->get<uint64_t>() > INT64_MAX ? INT64_MAX : id_field->get<int64_t>();
    const auto text = json_string(token, "content", "");
    if (!text) return text.error();
    bool is_special = false, is_normalized = false;
    SpecialToken special{.text = *text};
    const struct {
        const char* key;
        bool* flag;
    } flags[] = {{"special", &is_special},
                 {"normalized", &is_normalized},
                 {"single_word", &special.is_single_word},
                 {"lstrip", &special.strips_left},
                 {"rstrip", &special.strips_right}};
    for (const auto& [key, flag] : flags) {
        const auto value = json_bool(token, key, false);
        if (!value) return value.error();
        *flag = *value;
    }
    const TokenKind kind = is_special ? TokenKind::kControl : TokenKind::kUserDefined;
    if (builder_.has(id)) {
        std::string bytes;
        const bool is_text = spell_token(parts_.symbols, *text, bytes);
        if (builder_.bytes(id) != bytes) {
            return make_error(PONDER_STATUS_FORMAT, "tokenizer.json: added token '%s' has the id %lld of another vocabulary entry",
                              printable(*text).c_str(), static_cast<long long>(id));
        }
        if (id != parts_.unknown) builder_.set_kind(id, kind, is_text && !is_special);
    } else if (auto added = builder_.add(id, *text, kind, false); !added) {
        return added;
    }
    special.id = static_cast<TokenId>(id);
    if (is_normalized && parts_.uses_nfc) special.text = normalize_nfc(special.text);
    (is_normalized ? normalized_specials_ : specials_).push_back(std::move(special));
    return {};
}

Result<void> JsonTokenizerReader::add_added_tokens() {
    const auto tokens = file_.rest.find("added_tokens");
    if (tokens != file_.rest.end() && !tokens->is_null()) {
        if (!tokens->is_array()) return make_error(PONDER_STATUS_FORMAT, "tokenizer.json: 'added_tokens' is not an array");
        for (const Json& token : *tokens) {
            if (auto added = add_added_token(token); !added) return added;
        }
    }
    auto specials = SpecialMatcher::create(std::move(specials_));
    if (!specials) return specials.error();
    parts_.specials = std::move(*specials);
    auto normalized = SpecialMatcher::create(std::move(normalized_specials_));
    if (!normalized) return normalized.error();
    parts_.normalized_specials = std::move(*normalized);
    return {};
}

Result<void> JsonTokenizerReader::read_merges() {
    MergeBuilder builder(parts_, file_.merges.size());
    for (const TokenizerJson::MergeEntry& merge : file_.merges) {
        const bool is_pair = merge.n_right > 0;
        auto added = is_pair ? builder.add(file_.left(merge), file_.right(merge)) : builder.add(file_.left(merge));
        if (!added) return added;
    }
    parts_.merges = builder.take();
    return {};
}

// A special token that the configuration names, as text or as an object with "content".
TokenId JsonTokenizerReader::named_token(const char* key) const {
    if (!config_.is_object()) return kNoToken;
    const auto found = config_.find(key);
    if (found == config_.end()) return kNoToken;
    const Json* text = &*found;
    if (text->is_object()) {
        const auto content = text->find("content");
        if (content == text->end()) return kNoToken;
        text = &*content;
    }
    if (!text->is_string()) return kNoToken;
    const auto& name = text->get_ref<const std::string&>();
    const TokenId id = parts_.specials.find_exact(name);
    return id != kNoToken ? id : parts_.normalized_specials.find_exact(name);
}

Result<void> JsonTokenizerReader::read_named_tokens() {
    parts_.bos = named_token("bos_token");
    parts_.eos = named_token("eos_token");
    parts_.pad = named_token("pad_token");
    if (!bos_text_.empty()) {
        const TokenId first = parts_.specials.find_exact(bos_text_);
        if (parts_.bos == kNoToken) parts_.bos = first;
        parts_.adds_bos = first != kNoToken && first == parts_.bos;
    }
    const auto adds_bos = json_bool(config_, "add_bos_token", parts_.adds_bos);
    if (!adds_bos) return adds_bos.error();
    parts_.adds_bos = *adds_bos;
    return {};
}

Result<TokenizerParts> JsonTokenizerReader::read() {
    if (auto done = read_model(); !done) return done.error();
    if (auto done = read_json_pipeline(file_.rest, parts_, bos_text_); !done) return done.error();
    if (auto done = add_entries(); !done) return done.error();
    if (auto done = add_added_tokens(); !done) return done.error();
    auto vocabulary = builder_.build();
    if (!vocabulary) return vocabulary.error();
    parts_.vocabulary = std::move(*vocabulary);
    if (auto done = read_merges(); !done) return done.error();
    if (auto done = read_named_tokens(); !done) return done.error();
    if (auto done = finish_parts(parts_); !done) return done.error();
    return std::move(parts_);
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_json(std::string_view json, std::string_view config_json) {
    Json config;
    if (!config_json.empty()) {
        if (config_json.size() > kMaxConfigBytes) {
            return make_error(PONDER_STATUS_LIMIT, "tokenizer_config.json has %zu bytes; the limit is %zu", config_json.size(),
                              kMaxConfigBytes);
        }
        const auto too_deep = [](int depth, Json::parse_event_t, Json&) { return depth < limits::kMaxJsonDepth; };
        config = Json::parse(config_json.begin(), config_json.end(), too_deep, false);
        if (!config.is_object()) return make_error(PONDER_STATUS_FORMAT, "tokenizer_config.json is not a JSON object");
    }
    Result<TokenizerJson> file = read_tokenizer_json(json);
    if (!file) return file.error();
    Result<TokenizerParts> parts = JsonTokenizerReader(std::move(*file), config).read();
    if (!parts) return parts.error();
    return std::make_unique<Tokenizer>(std::move(*parts));
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_json_file(const std::string& path) {
    const Result<MappedFile> file = MappedFile::open(path);
    if (!file) return file.error();
    const std::filesystem::path config_path = std::filesystem::path(path).replace_filename("tokenizer_config.json");
    std::string config;
    std::error_code error;
    if (std::filesystem::is_regular_file(config_path, error)) {
        Result<std::string> read = read_file(config_path.string(), kMaxConfigBytes);
        if (!read) return read.error();
        config = std::move(*read);
    }
    const auto bytes = file->bytes();
    auto tokenizer = from_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, config);
    if (!tokenizer) return with_context(tokenizer.error(), path);
    return tokenizer;
}

}  // namespace ponder

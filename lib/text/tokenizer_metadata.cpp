// SPDX-License-Identifier: Apache-2.0
// Tokenizers from GGUF metadata: the tokenizer.ggml.* keys.
#include "base/limits.hpp"
#include "base/utf8.hpp"
#include "format/metadata.hpp"
#include "text/spm.hpp"
#include "text/tokenizer.hpp"
#include "text/tokenizer_build.hpp"

namespace ponder {

namespace {

// Reads the keys of one file; the first error stays.
class MetadataReader {
  public:
    explicit MetadataReader(const Metadata& metadata) : metadata_(metadata) {}

    Result<TokenizerParts> read();

  private:
    Result<void> read_model();
    Result<void> read_tokens();
    Result<void> read_pieces();
    Result<void> read_merges();
    Result<void> read_scores();
    Result<void> read_named_tokens();
    Result<void> add_token(int64_t id, std::string_view entry, int64_t type);
    Result<void> read_id(const char* key, TokenId default_id, TokenId& id) const;
    Result<void> read_flag(const char* key, bool default_value, bool& flag) const;

    const Metadata& metadata_;
    TokenizerParts parts_;
    VocabularyBuilder builder_;
    std::vector<SpecialToken> specials_;
    std::string bytes_;  // scratch
};

Result<void> MetadataReader::read_model() {
    const auto model = metadata_.get_string("tokenizer.ggml.model");
    if (!model) return model.error();
    if (!*model) return make_error(PONDER_STATUS_NOT_FOUND, "tokenizer.ggml.model is missing: the file has no tokenizer");
    if (**model == "gpt2") {
        parts_.symbols = SymbolKind::kBytes;
    } else if (**model == "llama") {
        parts_.symbols = SymbolKind::kCharacters;
    } else {
        return make_error(PONDER_STATUS_UNSUPPORTED, "tokenizer model '%s' is not known", printable(**model).c_str());
    }
    return {};
}

Result<void> MetadataReader::read_pieces() {
    if (parts_.symbols == SymbolKind::kCharacters) {
        parts_.fuses_unknown = true;
        if (auto read = read_flag("tokenizer.ggml.add_bos_token", true, parts_.adds_bos); !read) return read;
        if (auto read = read_flag("tokenizer.ggml.add_space_prefix", true, parts_.strips_space_prefix); !read) return read;
        if (parts_.strips_space_prefix) parts_.space_prefix = SpacePrefix::kAlways;
        return {};
    }
    const auto name = metadata_.get_string("tokenizer.ggml.pre");
    if (!name) return name.error();
    if (!*name) return make_error(PONDER_STATUS_UNSUPPORTED, "tokenizer.ggml.pre is missing: how to split text is not known");
    auto family = pretokenizer_family(**name);
    if (!family) return family.error();
    parts_.pretokenizer = std::move(family->pretokenizer);
    parts_.uses_nfc = family->uses_nfc;
    parts_.ignores_merges = family->ignores_merges;
    return read_flag("tokenizer.ggml.add_bos_token", family->adds_bos, parts_.adds_bos);
}

Result<void> MetadataReader::add_token(int64_t id, std::string_view entry, int64_t type) {
    const auto kind = static_cast<TokenKind>(type);
    switch (kind) {
        case TokenKind::kNormal: {
            const bool is_text = spell_token(parts_.symbols, entry, bytes_);
            return builder_.add(id, bytes_, kind, is_text);
        }
        case TokenKind::kControl:
        case TokenKind::kUserDefined:
            specials_.push_back({.text = std::string(entry), .id = static_cast<TokenId>(id)});
            return builder_.add(id, entry, kind, false);
        case TokenKind::kUnknown:
        case TokenKind::kUnused:
            return builder_.add(id, entry, kind, false);
        case TokenKind::kByte: {
            const int byte = parse_byte_token(entry);
            if (byte < 0) {
                return make_error(PONDER_STATUS_FORMAT, "token %lld is a byte token, but reads '%s'", static_cast<long long>(id),
                                  printable(entry).c_str());
            }
            const auto c = static_cast<char>(byte);
            TokenId& byte_token = parts_.byte_tokens[static_cast<size_t>(byte)];
            if (byte_token == kNoToken) byte_token = static_cast<TokenId>(id);
            return builder_.add(id, {&c, 1}, kind, false);
        }
    }
    return make_error(PONDER_STATUS_FORMAT, "token %lld has type %lld; types are 1 to 6", static_cast<long long>(id),
                      static_cast<long long>(type));
}

Result<void> MetadataReader::read_tokens() {
    const auto tokens = metadata_.get_strings("tokenizer.ggml.tokens");
    if (!tokens) return tokens.error();
    if (!*tokens) return make_error(PONDER_STATUS_FORMAT, "tokenizer.ggml.tokens is missing");
    const auto types = metadata_.get_integers("tokenizer.ggml.token_type");
    if (!types) return types.error();
    const size_t n = (*tokens)->size();
    if (n > static_cast<uint64_t>(limits::kMaxVocabulary)) {
        return make_error(PONDER_STATUS_LIMIT, "the vocabulary has %zu tokens; the limit is %lld", n,
                          static_cast<long long>(limits::kMaxVocabulary));
    }
    if (*types && (*types)->size() != n) {
        return make_error(PONDER_STATUS_FORMAT, "tokenizer.ggml.token_type has %zu elements for %zu tokens", (*types)->size(), n);
    }
    for (size_t i = 0; i < n; ++i) {
        const int64_t type = *types ? (*types)->int64_at(i) : static_cast<int64_t>(TokenKind::kNormal);
        if (type < 1 || type > 6)
            return make_error(PONDER_STATUS_FORMAT, "token %zu has type %lld; types are 1 to 6", i, static_cast<long long>(type));
        if (auto added = add_token(static_cast<int64_t>(i), (**tokens)[i], type); !added) return added;
    }
    auto vocabulary = builder_.build();
    if (!vocabulary) return vocabulary.error();
    parts_.vocabulary = std::move(*vocabulary);
    auto specials = SpecialMatcher::create(std::move(specials_));
    if (!specials) return specials.error();
    parts_.specials = std::move(*specials);
    return {};
}

Result<void> MetadataReader::read_merges() {
    const auto merges = metadata_.get_strings("tokenizer.ggml.merges");
    if (!merges) return merges.error();
    if (!*merges) return make_error(PONDER_STATUS_FORMAT, "tokenizer.ggml.merges is missing");
    if (auto checked = check_merge_count((*merges)->size()); !checked) return checked;
    MergeBuilder builder(parts_, (*merges)->size());
    for (const std::string_view merge : **merges) {
        if (auto added = builder.add(merge); !added) return added;
    }
    parts_.merges = builder.take();
    return {};
}

Result<void> MetadataReader::read_scores() {
    const auto scores = metadata_.get_numbers("tokenizer.ggml.scores");
    if (!scores) return scores.error();
    if (!*scores) return make_error(PONDER_STATUS_FORMAT, "tokenizer.ggml.scores is missing");
    const auto n = static_cast<size_t>(parts_.vocabulary.size());
    if ((*scores)->size() != n) {
        return make_error(PONDER_STATUS_FORMAT, "tokenizer.ggml.scores has %zu elements for %zu tokens", (*scores)->size(), n);
    }
    std::vector<float> values(n);
    for (size_t i = 0; i < n; ++i) values[i] = static_cast<float>((*scores)->double_at(i));
    auto merges = merges_from_scores(parts_.vocabulary, values);
    if (!merges) return merges.error();
    parts_.merges = std::move(*merges);
    return {};
}

Result<void> MetadataReader::read_id(const char* key, TokenId default_id, TokenId& id) const {
    const auto value = metadata_.get_u32(key);
    if (!value) return value.error();
    id = parts_.vocabulary.contains(default_id) ? default_id : kNoToken;
    if (!*value) return {};
    if (**value >= static_cast<uint32_t>(parts_.vocabulary.size())) {
        return make_error(PONDER_STATUS_FORMAT, "%s is %u; the vocabulary has %d tokens", key, **value, parts_.vocabulary.size());
    }
    id = static_cast<TokenId>(**value);
    return {};
}

Result<void> MetadataReader::read_flag(const char* key, bool default_value, bool& flag) const {
    const auto value = metadata_.get_bool(key);
    if (!value) return value.error();
    flag = value->value_or(default_value);
    return {};
}

Result<void> MetadataReader::read_named_tokens() {
    // Early SentencePiece files leave these out: their ids were always the same.
    const bool is_spm = parts_.symbols == SymbolKind::kCharacters;
    const struct {
        const char* key;
        TokenId default_id;
        TokenId* id;
    } named[] = {{"tokenizer.ggml.bos_token_id", is_spm ? 1 : kNoToken, &parts_.bos},
                 {"tokenizer.ggml.eos_token_id", is_spm ? 2 : kNoToken, &parts_.eos},
                 {"tokenizer.ggml.unknown_token_id", is_spm ? 0 : kNoToken, &parts_.unknown},
                 {"tokenizer.ggml.padding_token_id", kNoToken, &parts_.pad}};
    for (const auto& [key, default_id, id] : named) {
        if (auto read = read_id(key, default_id, *id); !read) return read;
    }
    for (const char* key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
        TokenId id = kNoToken;
        if (auto read = read_id(key, kNoToken, id); !read) return read;
        if (id != kNoToken) parts_.end_of_generation.push_back(id);
    }
    return {};
}

Result<TokenizerParts> MetadataReader::read() {
    if (auto done = read_model(); !done) return done.error();
    if (auto done = read_pieces(); !done) return done.error();
    if (auto done = read_tokens(); !done) return done.error();
    if (auto done = parts_.symbols == SymbolKind::kBytes ? read_merges() : read_scores(); !done) return done.error();
    if (auto done = read_named_tokens(); !done) return done.error();
    if (auto done = finish_parts(parts_); !done) return done.error();
    return std::move(parts_);
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_metadata(const Metadata& metadata) {
    Result<TokenizerParts> parts = MetadataReader(metadata).read();
    if (!parts) return parts.error();
    return std::make_unique<Tokenizer>(std::move(*parts));
}

}  // namespace ponder

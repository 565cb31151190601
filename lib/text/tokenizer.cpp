// SPDX-License-Identifier: Apache-2.0
// The tokenizer's outside: decoding and questions about tokens, and facts derived from a vocabulary.
#include "text/tokenizer.hpp"

#include <algorithm>

#include "base/utf8.hpp"
#include "text/tokenizer_parts.hpp"
#include "text/unicode.hpp"

namespace ponder {

namespace {

constexpr std::string_view kSpaceMark = "\u2581";

// Texts with which published models end a turn or a text.
constexpr std::string_view kEndTexts[] = {
    "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|end|>",
    "<|EOT|>",
    "<end_of_turn>",
    "</s>",
};

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

// Tokens whose text may stand for structure; an ordinary entry with the same spelling is text.
bool is_special(TokenKind kind) { return kind == TokenKind::kControl || kind == TokenKind::kUserDefined; }

}  // namespace

Tokenizer::Tokenizer(TokenizerParts parts) : parts_(std::make_unique<const TokenizerParts>(std::move(parts))) {}
Tokenizer::~Tokenizer() = default;

std::string_view Tokenizer::decode(TokenId id) const {
    return parts_->vocabulary.contains(id) ? parts_->vocabulary.bytes(id) : std::string_view();
}

Result<std::string> Tokenizer::decode(std::span<const TokenId> ids) const {
    std::string bytes;
    for (size_t i = 0; i < ids.size(); ++i) {
        if (!parts_->vocabulary.contains(ids[i])) {
            return make_error(PONDER_STATUS_INVALID_ARGUMENT, "token %d at index %zu is outside the vocabulary of %d tokens", ids[i], i,
                              n_tokens());
        }
        bytes.append(parts_->vocabulary.bytes(ids[i]));
    }
    if (parts_->strips_space_prefix && bytes.starts_with(' ')) bytes.erase(0, 1);
    return to_valid_utf8(bytes);
}

int32_t Tokenizer::n_tokens() const { return parts_->vocabulary.size(); }

TokenKind Tokenizer::kind(TokenId id) const { return parts_->vocabulary.contains(id) ? parts_->vocabulary.kind(id) : TokenKind::kUnused; }

TokenId Tokenizer::bos() const { return parts_->bos; }
TokenId Tokenizer::eos() const { return parts_->eos; }
TokenId Tokenizer::pad() const { return parts_->pad; }
bool Tokenizer::adds_bos() const { return parts_->adds_bos; }

bool Tokenizer::is_end_of_generation(TokenId id) const {
    return std::binary_search(parts_->end_of_generation.begin(), parts_->end_of_generation.end(), id);
}

TokenId Tokenizer::find_special(std::string_view text) const {
    const TokenId id = parts_->specials.find_exact(text);
    return id != kNoToken ? id : parts_->normalized_specials.find_exact(text);
}

size_t Tokenizer::memory_bytes() const { return sizeof *parts_ + parts_->vocabulary.memory_bytes() + parts_->merges.memory_bytes(); }

void collect_end_of_generation(TokenizerParts& parts) {
    std::vector<TokenId>& ends = parts.end_of_generation;
    if (parts.eos != kNoToken) ends.push_back(parts.eos);
    for (const std::string_view text : kEndTexts) {
        for (const SpecialMatcher* matcher : {&parts.specials, &parts.normalized_specials}) {
            const TokenId id = matcher->find_exact(text);
            if (id != kNoToken && is_special(parts.vocabulary.kind(id))) ends.push_back(id);
        }
    }
    std::sort(ends.begin(), ends.end());
    ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
}

void find_word_cuts(TokenizerParts& parts) {
    parts.cuts_before_spaces = false;
    for (TokenId id = 0; id < parts.vocabulary.size(); ++id) {
        const std::string_view bytes = parts.vocabulary.bytes(id);
        const size_t first_other = bytes.find_first_not_of(' ');
        if (first_other == std::string_view::npos || bytes.find(' ', first_other) == std::string_view::npos) continue;
        if (parts.vocabulary.find(bytes) == id) return;
    }
    parts.cuts_before_spaces = true;
}

int parse_byte_token(std::string_view text) {
    if (text.size() != 6 || !text.starts_with("<0x") || text.back() != '>') return -1;
    const int high = hex_digit(text[3]), low = hex_digit(text[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool decode_printable(std::string_view text, std::string& bytes) {
    bytes.clear();
    while (!text.empty()) {
        const Utf8Step step = decode_utf8(text);
        const int byte = step.state == Utf8State::kValid ? printable_to_byte(step.code_point) : -1;
        if (byte < 0) {
            bytes.clear();
            return false;
        }
        bytes.push_back(static_cast<char>(byte));
        text.remove_prefix(step.n_bytes);
    }
    return true;
}

std::string spaces_from_marks(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const size_t mark = std::min(text.find(kSpaceMark, at), text.size());
        out.append(text.substr(at, mark - at));
        if (mark < text.size()) out.push_back(' ');
        at = std::min(text.size(), mark + kSpaceMark.size());
    }
    return out;
}

}  // namespace ponder

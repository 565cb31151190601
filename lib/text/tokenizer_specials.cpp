// SPDX-License-Identifier: Apache-2.0
// Search for special tokens: at each byte that can begin one, the sorted list is narrowed byte by byte.
#include "text/tokenizer_specials.hpp"

#include <algorithm>

#include "base/limits.hpp"
#include "base/utf8.hpp"
#include "text/unicode.hpp"

namespace ponder {

namespace {

bool text_less(const SpecialToken& a, const SpecialToken& b) { return a.text < b.text; }

// The character that ends right before `at`; 0 if there is none or it is malformed.
uint32_t character_before(std::string_view text, size_t at) {
    for (size_t n = 1; n <= 4 && n <= at; ++n) {
        const Utf8Step step = decode_utf8(text.substr(at - n, n));
        if (step.state == Utf8State::kValid && step.n_bytes == n) return step.code_point;
    }
    return 0;
}

uint32_t character_at(std::string_view text, size_t at) {
    if (at >= text.size()) return 0;
    const Utf8Step step = decode_utf8(text.substr(at));
    return step.state == Utf8State::kValid ? step.code_point : 0;
}

bool is_word_alone(std::string_view text, size_t begin, size_t end) {
    return !is_word_character(character_before(text, begin)) && !is_word_character(character_at(text, end));
}

size_t utf8_bytes(uint32_t code_point) { return code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4; }

}  // namespace

Result<SpecialMatcher> SpecialMatcher::create(std::vector<SpecialToken> tokens) {
    std::erase_if(tokens, [](const SpecialToken& token) { return token.text.empty(); });
    if (tokens.size() > limits::kMaxSpecialTokens) {
        return make_error(PONDER_STATUS_LIMIT, "there are %zu special tokens; the limit is %zu", tokens.size(), limits::kMaxSpecialTokens);
    }
    SpecialMatcher matcher;
    for (const SpecialToken& token : tokens) {
        if (token.text.size() > limits::kMaxSpecialTokenBytes) {
            return make_error(PONDER_STATUS_LIMIT, "special token %d has %zu bytes; the limit is %zu", token.id, token.text.size(),
                              limits::kMaxSpecialTokenBytes);
        }
        matcher.first_bytes_.set(static_cast<uint8_t>(token.text.front()));
    }
    std::stable_sort(tokens.begin(), tokens.end(), text_less);
    tokens.erase(std::unique(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) { return a.text == b.text; }), tokens.end());
    tokens.shrink_to_fit();
    matcher.tokens_ = std::move(tokens);
    return matcher;
}

const SpecialToken* SpecialMatcher::longest_at(std::string_view text, size_t begin, size_t end) const {
    const SpecialToken* longest = nullptr;
    auto first = tokens_.begin(), last = tokens_.end();
    for (size_t depth = 0; first != last && begin + depth < end; ++depth) {
        const auto wanted = static_cast<uint8_t>(text[begin + depth]);
        // All of [first, last) share `depth` bytes and are longer, so byte `depth` orders them.
        const auto byte = [&](const SpecialToken& token) { return static_cast<uint8_t>(token.text[depth]); };
        first = std::lower_bound(first, last, wanted, [&](const SpecialToken& token, uint8_t value) { return byte(token) < value; });
        last = std::upper_bound(first, last, wanted, [&](uint8_t value, const SpecialToken& token) { return value < byte(token); });
        if (first != last && first->text.size() == depth + 1) longest = &*first++;
    }
    return longest;
}

SpecialMatch SpecialMatcher::find(std::string_view text, size_t from, std::span<const TextSpan> literal) const {
    if (tokens_.empty()) return {};
    size_t i_literal = 0;
    for (size_t at = from; at < text.size(); ++at) {
        if (!first_bytes_[static_cast<uint8_t>(text[at])]) continue;
        while (i_literal < literal.size() && literal[i_literal].end <= at) ++i_literal;
        const bool has_literal = i_literal < literal.size();
        if (has_literal && literal[i_literal].begin <= at) {
            at = std::max(at, literal[i_literal].end - 1);
            continue;
        }
        const size_t end_max = has_literal ? literal[i_literal].begin : text.size();
        const SpecialToken* token = longest_at(text, at, end_max);
        if (token == nullptr) continue;
        SpecialMatch match{token->id, at, at + token->text.size()};
        if (token->is_single_word && !is_word_alone(text, match.begin, match.end)) {
            at = match.end - 1;
            continue;
        }
        if (token->strips_left) {
            const size_t begin_min = i_literal > 0 ? std::max(from, literal[i_literal - 1].end) : from;
            while (match.begin > begin_min && is_white_space(character_before(text, match.begin))) {
                const size_t n = utf8_bytes(character_before(text, match.begin));
                if (match.begin - begin_min < n) break;
                match.begin -= n;
            }
        }
        if (token->strips_right) {
            while (match.end < end_max && is_white_space(character_at(text, match.end))) {
                const size_t n = utf8_bytes(character_at(text, match.end));
                if (end_max - match.end < n) break;
                match.end += n;
            }
        }
        return match;
    }
    return {};
}

TokenId SpecialMatcher::find_exact(std::string_view text) const {
    const auto found = std::lower_bound(tokens_.begin(), tokens_.end(), text,
                                        [](const SpecialToken& token, std::string_view value) { return token.text < value; });
    return found != tokens_.end() && found->text == text ? found->id : kNoToken;
}

}  // namespace ponder

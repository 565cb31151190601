// SPDX-License-Identifier: Apache-2.0
// Encoding: special tokens out of the text, normalization, pieces, and the tokens of each piece.
#include <algorithm>

#include "base/limits.hpp"
#include "base/utf8.hpp"
#include "text/bpe_cache.hpp"
#include "text/tokenizer.hpp"
#include "text/tokenizer_parts.hpp"
#include "text/unicode.hpp"

namespace ponder {

namespace {

Result<void> check_literal(std::span<const TextSpan> literal, size_t text_bytes) {
    size_t last_end = 0;
    for (size_t i = 0; i < literal.size(); ++i) {
        if (literal[i].begin < last_end || literal[i].end < literal[i].begin || literal[i].end > text_bytes) {
            return make_error(PONDER_STATUS_INVALID_ARGUMENT,
                              "literal range %zu, bytes %zu to %zu, is out of order or outside the text of %zu bytes", i, literal[i].begin,
                              literal[i].end, text_bytes);
        }
        last_end = literal[i].end;
    }
    return {};
}

// The literal ranges that touch [begin, end), relative to begin.
std::vector<TextSpan> clip_literal(std::span<const TextSpan> literal, size_t begin, size_t end) {
    std::vector<TextSpan> clipped;
    auto span = std::lower_bound(literal.begin(), literal.end(), begin, [](const TextSpan& s, size_t value) { return s.end <= value; });
    for (; span != literal.end() && span->begin < end; ++span) {
        const TextSpan part{std::max(span->begin, begin) - begin, std::min(span->end, end) - begin};
        if (part.begin < part.end) clipped.push_back(part);
    }
    return clipped;
}

// Length of the next stretch of `text` that is all UTF-8, or all not.
size_t next_stretch(std::string_view text, bool& is_valid) {
    size_t n = valid_utf8_prefix(text);
    is_valid = n > 0;
    while (!is_valid && n < text.size()) {
        const Utf8Step step = decode_utf8(text.substr(n));
        if (step.state == Utf8State::kValid) break;
        n += step.n_bytes;
    }
    return n;
}

}  // namespace

// One call of encode.
struct Tokenizer::Encoder {
    const TokenizerParts& parts;
    std::vector<TokenId>& out;
    MatchState& matching;
    PieceCache cache;
    BpeMerger merger{};
    std::vector<TokenId> symbols{};
    std::string matched{};  // scratch: the text that patterns see, where it differs from the text

    using Plain = Result<void> (Encoder::*)(std::string_view, std::span<const TextSpan>);

    // Emits the special tokens that `matcher` finds and hands the stretches between them to `plain`.
    Result<void> cut_specials(const SpecialMatcher& matcher, std::string_view text, std::span<const TextSpan> literal, Plain plain) {
        size_t done = 0;
        const auto flush = [&](size_t end) -> Result<void> {
            if (end == done) return {};
            const std::vector<TextSpan> clipped = clip_literal(literal, done, end);
            return (this->*plain)(text.substr(done, end - done), clipped);
        };
        std::span<const TextSpan> rest = literal;
        while (done < text.size()) {
            while (!rest.empty() && rest.front().end <= done) rest = rest.subspan(1);
            const SpecialMatch match = matcher.find(text, done, rest);
            if (match.id == kNoToken) break;
            if (auto flushed = flush(match.begin); !flushed) return flushed;
            out.push_back(match.id);
            done = match.end;
        }
        return flush(text.size());
    }

    Result<void> encode_normalized_specials(std::string_view text, std::span<const TextSpan> literal) {
        // Offsets of literal ranges hold for the text as written only: with such ranges, tokens are matched before normalization.
        if (literal.empty() && parts.uses_nfc) {
            const std::string normalized = normalize_nfc(text);
            return cut_specials(parts.normalized_specials, normalized, {}, &Encoder::encode_plain);
        }
        return cut_specials(parts.normalized_specials, text, literal, &Encoder::encode_plain);
    }

    Result<void> encode_plain(std::string_view text, std::span<const TextSpan>) {
        std::string normalized;
        if (parts.uses_nfc) {
            normalized = normalize_nfc(text);
            text = normalized;
        }
        std::string spaced;
        if (parts.symbols == SymbolKind::kCharacters && text.find("\u2581") != std::string_view::npos) {
            spaced = spaces_from_marks(text);
            text = spaced;
        }
        std::string prefixed;
        if (parts.space_prefix == SpacePrefix::kAlways || (parts.space_prefix == SpacePrefix::kUnlessSpace && !text.starts_with(' '))) {
            prefixed.reserve(text.size() + 1);
            prefixed.append(1, ' ').append(text);
            text = prefixed;
        }
        while (!text.empty()) {
            bool is_valid = false;
            const size_t n = next_stretch(text, is_valid);
            const std::string_view stretch = text.substr(0, n);
            auto encoded = is_valid ? encode_stretch(stretch) : encode_piece(stretch);
            if (!encoded) return encoded;
            text.remove_prefix(n);
        }
        return {};
    }

    // Well-formed text.
    Result<void> encode_stretch(std::string_view text) {
        if (parts.pretokenizer.empty()) return encode_words(text);
        if (!replace_newer_characters(text, matched)) {
            return parts.pretokenizer.split(text, matching, [&](std::string_view piece) { return encode_words(piece); });
        }
        const std::string stand_in = std::move(matched);
        return parts.pretokenizer.split(stand_in, matching, [&](std::string_view piece) {
            return encode_words(text.substr(static_cast<size_t>(piece.data() - stand_in.data()), piece.size()));
        });
    }

    // Splits a long piece where no token can lie across, so that the cache sees words.
    Result<void> encode_words(std::string_view text) {
        if (!parts.cuts_before_spaces) return encode_piece(text);
        while (!text.empty()) {
            const size_t word = std::min(text.find_first_not_of(' '), text.size());
            const size_t n = std::min(text.find(' ', word), text.size());
            if (auto encoded = encode_piece(text.substr(0, n)); !encoded) return encoded;
            text.remove_prefix(n);
        }
        return {};
    }

    Result<void> encode_piece(std::string_view piece) {
        const std::span<const TokenId> known = cache.find(piece);
        if (!known.empty()) {
            out.insert(out.end(), known.begin(), known.end());
            return {};
        }
        if (parts.ignores_merges) {
            const TokenId whole = parts.vocabulary.find(piece);
            if (whole != kNoToken) {
                out.push_back(whole);
                cache.store(piece, {&whole, 1});
                return {};
            }
        }
        symbols.clear();
        auto split = parts.symbols == SymbolKind::kBytes ? split_bytes(piece) : split_characters(piece);
        if (!split) return split;
        merger.merge(parts.merges, symbols);
        out.insert(out.end(), symbols.begin(), symbols.end());
        cache.store(piece, symbols);
        return {};
    }

    Result<void> split_bytes(std::string_view piece) {
        for (const char c : piece) {
            const auto byte = static_cast<uint8_t>(c);
            TokenId id = parts.byte_tokens[byte];
            if (id == kNoToken) id = parts.unknown;
            if (id == kNoToken) return make_error(PONDER_STATUS_FORMAT, "the vocabulary has no token for byte 0x%02X", byte);
            symbols.push_back(id);
        }
        return {};
    }

    Result<void> split_characters(std::string_view piece) {
        while (!piece.empty()) {
            const Utf8Step step = decode_utf8(piece);
            const std::string_view character = piece.substr(0, step.n_bytes);
            piece.remove_prefix(step.n_bytes);
            const TokenId id = step.state == Utf8State::kValid ? parts.vocabulary.find(character) : kNoToken;
            if (id != kNoToken) {
                symbols.push_back(id);
            } else if (auto added = push_fallback(character); !added) {
                return added;
            }
        }
        return {};
    }

    Result<void> push_fallback(std::string_view character) {
        const auto byte_token = [&](char c) { return parts.byte_tokens[static_cast<uint8_t>(c)]; };
        if (std::all_of(character.begin(), character.end(), [&](char c) { return byte_token(c) != kNoToken; })) {
            for (const char c : character) symbols.push_back(byte_token(c));
            return {};
        }
        if (parts.unknown == kNoToken) {
            return make_error(PONDER_STATUS_FORMAT, "the vocabulary has neither byte tokens nor an unknown token for byte 0x%02X",
                              static_cast<uint8_t>(character.front()));
        }
        if (!parts.fuses_unknown || symbols.empty() || symbols.back() != parts.unknown) symbols.push_back(parts.unknown);
        return {};
    }
};

Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
    if (text.size() > limits::kMaxTextBytes) {
        return make_error(PONDER_STATUS_LIMIT, "the text has %zu bytes; the limit is %zu", text.size(), limits::kMaxTextBytes);
    }
    if (auto checked = check_literal(options.literal, text.size()); !checked) return checked.error();
    auto matching = MatchState::create(text.size());
    if (!matching) return matching.error();
    std::vector<TokenId> ids;
    ids.reserve(text.size() / 4 + 4);
    Encoder encoder{*parts_, ids, **matching, PieceCache(text.size())};
    Result<void> encoded;
    if (!options.parse_special) {
        if (!text.empty()) encoded = encoder.encode_plain(text, {});
    } else {
        const std::vector<TextSpan> literal = clip_literal(options.literal, 0, text.size());
        encoded = encoder.cut_specials(parts_->specials, text, literal, &Encoder::encode_normalized_specials);
    }
    if (!encoded) return encoded.error();
    return ids;
}

}  // namespace ponder

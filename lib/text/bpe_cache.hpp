// SPDX-License-Identifier: Apache-2.0
// A small cache from pieces of text to their tokens: most words of a text occur again and again.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "text/vocabulary.hpp"

namespace ponder {

// Direct-mapped: a piece has one slot and displaces what was there, so memory is bounded (at most 3.4 MB) and no piece can slow it down.
// One call's own; for one thread.
class PieceCache {
  public:
    static constexpr size_t kMaxPieceBytes = 23, kMaxTokens = 6;

    // Sized for a text of this length; short texts get no cache, since filling it would cost more than it saves.
    explicit PieceCache(size_t text_bytes) {
        if (text_bytes >= 1'024) slots_.resize(std::clamp<size_t>(std::bit_floor(text_bytes / 16), 64, 65'536));
    }

    static bool takes(std::string_view piece) { return piece.size() <= kMaxPieceBytes; }
    // Empty if unknown; valid until the next store.
    std::span<const TokenId> find(std::string_view piece) {
        if (slots_.empty() || !takes(piece)) return {};
        const Slot& slot = slots_[slot_of(piece)];
        if (slot.n_bytes != piece.size() || std::memcmp(slot.bytes.data(), piece.data(), piece.size()) != 0) return {};
        return {slot.tokens.data(), slot.n_tokens};
    }
    void store(std::string_view piece, std::span<const TokenId> tokens) {
        if (slots_.empty() || !takes(piece) || tokens.size() > kMaxTokens) return;
        Slot& slot = slots_[slot_of(piece)];
        slot.n_bytes = static_cast<uint8_t>(piece.size());
        slot.n_tokens = static_cast<uint8_t>(tokens.size());
        std::copy(piece.begin(), piece.end(), slot.bytes.begin());
        std::copy(tokens.begin(), tokens.end(), slot.tokens.begin());
    }

  private:
    struct Slot {
        uint8_t n_bytes = 0, n_tokens = 0;
        std::array<char, kMaxPieceBytes + 3> bytes;
        std::array<TokenId, kMaxTokens> tokens;
    };

    size_t slot_of(std::string_view piece) const { return hash_bytes(piece, 0) & (slots_.size() - 1); }

    std::vector<Slot> slots_;
};

}  // namespace ponder

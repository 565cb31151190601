// SPDX-License-Identifier: Apache-2.0
// The tokens of a vocabulary: their bytes and kinds by id, and ids by bytes. Immutable once built; any number of threads may read it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace ponder {

using TokenId = int32_t;
inline constexpr TokenId kNoToken = -1;

// The numbers are GGUF's token types.
enum class TokenKind : uint8_t {
    kNormal = 1,
    kUnknown = 2,
    kControl = 3,      // structure, never what a user typed
    kUserDefined = 4,  // taken whole from the text, but text all the same
    kUnused = 5,       // an id without a token
    kByte = 6,         // one byte that no other token covers
};

// A seed that differs from run to run: a file can not choose its strings so that they collide.
uint64_t random_hash_seed();
uint64_t hash_bytes(std::string_view bytes, uint64_t seed);

// Open-addressed set of values whose keys lie elsewhere. One slot (4 bytes) a value, at most half full.
class HashIndex {
  public:
    // Room for n values; empties the index.
    void reset(size_t n, uint64_t seed);
    uint64_t seed() const { return seed_; }

    // The value for which is_same(value) holds among those inserted under `hash`, or -1.
    template <class IsSame>
    int32_t find(uint64_t hash, IsSame is_same) const {
        if (slots_.empty()) return -1;
        for (size_t i = hash & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
            if (slots_[i] < 0 || is_same(slots_[i])) return slots_[i];
        }
    }
    // value >= 0; at most as many values as there is room for.
    void insert(uint64_t hash, int32_t value);
    size_t memory_bytes() const { return slots_.size() * sizeof(int32_t); }

  private:
    std::vector<int32_t> slots_;
    uint64_t seed_ = 0;
};

class Vocabulary {
  public:
    int32_t size() const { return static_cast<int32_t>(kinds_.size()); }
    bool contains(TokenId id) const { return id >= 0 && id < size(); }
    // What the token adds to a decoded text; valid as long as the vocabulary. id must be contained.
    std::string_view bytes(TokenId id) const {
        const auto i = static_cast<size_t>(id);
        return std::string_view(bytes_).substr(ends_[i], ends_[i + 1] - ends_[i]);
    }
    TokenKind kind(TokenId id) const { return kinds_[static_cast<size_t>(id)]; }
    // The text token with these bytes, or kNoToken. Control, byte, unknown and unused tokens are not text.
    TokenId find(std::string_view bytes) const;
    // Longest text token, in bytes.
    size_t max_text_bytes() const { return max_text_bytes_; }
    size_t memory_bytes() const;

  private:
    friend class VocabularyBuilder;

    std::string bytes_;
    std::vector<uint32_t> ends_{0};  // [size() + 1]: token i is bytes_[ends_[i], ends_[i + 1])
    std::vector<TokenKind> kinds_;
    HashIndex index_;
    size_t max_text_bytes_ = 0;
};

// Takes tokens in any order of ids and makes a vocabulary of them.
class VocabularyBuilder {
  public:
    // is_text: the token can come out of merging text, so that find() knows it. The first token given for an id stays, and of text tokens
    // with equal bytes the one with the lowest id is found. Errors: PONDER_STATUS_LIMIT (id, bytes of one token or of all).
    Result<void> add(int64_t id, std::string_view bytes, TokenKind kind, bool is_text);
    // The bytes of the token given first for this id; an empty view if there is none.
    bool has(int64_t id) const;
    std::string_view bytes(int64_t id) const;
    // Changes a token that is there.
    void set_kind(int64_t id, TokenKind kind, bool is_text);

    // Ids without a token become empty and unused. Errors: PONDER_STATUS_FORMAT (no token at all).
    Result<Vocabulary> build() const;

  private:
    struct Entry {
        uint32_t begin = 0, n_bytes = 0;
        TokenKind kind = TokenKind::kUnused;
        bool is_text = false, is_given = false;
    };

    std::string bytes_;
    std::vector<Entry> entries_;  // by id
};

}  // namespace ponder

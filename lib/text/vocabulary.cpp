// SPDX-License-Identifier: Apache-2.0
// Token storage: all bytes in one string, ids found through a hash index over them.
#include "text/vocabulary.hpp"

#include <bit>
#include <chrono>
#include <cstring>

#include "base/limits.hpp"

namespace ponder {

namespace {

// Sum of all tokens' bytes; real vocabularies have about 2 MB.
constexpr size_t kMaxVocabularyBytes = 512u << 20;

uint64_t mix(uint64_t a, uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t load_word(const char* from, size_t n) {
    uint64_t word = 0;
    std::memcpy(&word, from, n);
    return word;
}

}  // namespace

uint64_t random_hash_seed() {
    static const char anchor = 0;
    const auto now = static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    return mix(now ^ 0x9e3779b97f4a7c15u, reinterpret_cast<uintptr_t>(&anchor) ^ reinterpret_cast<uintptr_t>(&now) ^ 0xd1b54a32d192ed03u);
}

uint64_t hash_bytes(std::string_view bytes, uint64_t seed) {
    uint64_t hash = seed ^ mix(bytes.size() ^ seed, 0xa0761d6478bd642fu);
    size_t i = 0;
    for (; i + 8 <= bytes.size(); i += 8) hash = mix(hash ^ load_word(bytes.data() + i, 8), seed | 0xe7037ed1a0b428dbu);
    hash = mix(hash ^ load_word(bytes.data() + i, bytes.size() - i), 0x8ebc6af09c88c6e3u);
    return hash ^ hash >> 32;
}

void HashIndex::reset(size_t n, uint64_t seed) {
    slots_.assign(n == 0 ? 0 : std::bit_ceil(2 * n), -1);
    seed_ = seed;
}

void HashIndex::insert(uint64_t hash, int32_t value) {
    size_t i = hash & (slots_.size() - 1);
    while (slots_[i] >= 0) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = value;
}

TokenId Vocabulary::find(std::string_view text) const {
    if (text.size() > max_text_bytes_) return kNoToken;
    return index_.find(hash_bytes(text, index_.seed()), [&](TokenId id) { return bytes(id) == text; });
}

size_t Vocabulary::memory_bytes() const {
    return bytes_.capacity() + ends_.capacity() * sizeof(uint32_t) + kinds_.capacity() + index_.memory_bytes();
}

Result<void> VocabularyBuilder::add(int64_t id, std::string_view bytes, TokenKind kind, bool is_text) {
    if (id < 0 || id >= limits::kMaxVocabulary) {
        return make_error(PONDER_STATUS_LIMIT, "token id %lld is outside the limit of %lld tokens", static_cast<long long>(id),
                          static_cast<long long>(limits::kMaxVocabulary));
    }
    if (bytes.size() > limits::kMaxTokenBytes) {
        return make_error(PONDER_STATUS_LIMIT, "token %lld has %zu bytes; the limit is %zu", static_cast<long long>(id), bytes.size(),
                          limits::kMaxTokenBytes);
    }
    if (bytes.size() > kMaxVocabularyBytes - bytes_.size()) {
        return make_error(PONDER_STATUS_LIMIT, "the vocabulary has more than %zu bytes of tokens", kMaxVocabularyBytes);
    }
    if (has(id)) return {};
    const auto index = static_cast<size_t>(id);
    if (index >= entries_.size()) entries_.resize(index + 1);
    entries_[index] = {static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(bytes.size()), kind, is_text && !bytes.empty(), true};
    bytes_.append(bytes);
    return {};
}

bool VocabularyBuilder::has(int64_t id) const {
    return id >= 0 && static_cast<uint64_t>(id) < entries_.size() && entries_[static_cast<size_t>(id)].is_given;
}

std::string_view VocabularyBuilder::bytes(int64_t id) const {
    if (!has(id)) return {};
    const Entry& entry = entries_[static_cast<size_t>(id)];
    return std::string_view(bytes_).substr(entry.begin, entry.n_bytes);
}

void VocabularyBuilder::set_kind(int64_t id, TokenKind kind, bool is_text) {
    if (!has(id)) return;
    Entry& entry = entries_[static_cast<size_t>(id)];
    entry.kind = kind;
    entry.is_text = is_text && entry.n_bytes > 0;
}

Result<Vocabulary> VocabularyBuilder::build() const {
    if (entries_.empty()) return make_error(PONDER_STATUS_FORMAT, "the vocabulary has no tokens");
    Vocabulary vocabulary;
    vocabulary.bytes_.reserve(bytes_.size());
    vocabulary.ends_.reserve(entries_.size() + 1);
    vocabulary.kinds_.reserve(entries_.size());
    size_t n_text = 0;
    for (const Entry& entry : entries_) {
        vocabulary.bytes_.append(bytes_, entry.begin, entry.n_bytes);
        vocabulary.ends_.push_back(static_cast<uint32_t>(vocabulary.bytes_.size()));
        vocabulary.kinds_.push_back(entry.kind);
        n_text += entry.is_text;
        if (entry.is_text) vocabulary.max_text_bytes_ = std::max<size_t>(vocabulary.max_text_bytes_, entry.n_bytes);
    }
    vocabulary.index_.reset(n_text, random_hash_seed());
    for (size_t i = 0; i < entries_.size(); ++i) {
        const auto id = static_cast<TokenId>(i);
        if (!entries_[i].is_text || vocabulary.find(vocabulary.bytes(id)) != kNoToken) continue;
        vocabulary.index_.insert(hash_bytes(vocabulary.bytes(id), vocabulary.index_.seed()), id);
    }
    return vocabulary;
}

}  // namespace ponder

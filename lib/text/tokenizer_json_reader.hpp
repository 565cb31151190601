// SPDX-License-Identifier: Apache-2.0
// Streaming reader of tokenizer.json: vocabulary and merges go into compact arrays, the small rest into a tree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.hpp"

namespace ponder {

// The contents of a tokenizer.json, nothing of it interpreted.
struct TokenizerJson {
    struct Entry {
        uint32_t begin, n_bytes;  // in entry_text
        int64_t id;
    };
    struct MergeEntry {
        uint32_t begin, n_left, n_right;  // in merge_text; n_right is 0 if the file gives "left right" as one string
    };

    std::string entry_text, merge_text;
    std::vector<Entry> entries;      // model.vocab
    std::vector<MergeEntry> merges;  // model.merges
    nlohmann::json rest;             // everything else

    std::string_view text(const Entry& entry) const { return std::string_view(entry_text).substr(entry.begin, entry.n_bytes); }
    std::string_view left(const MergeEntry& merge) const { return std::string_view(merge_text).substr(merge.begin, merge.n_left); }
    std::string_view right(const MergeEntry& merge) const {
        return std::string_view(merge_text).substr(size_t{merge.begin} + merge.n_left, merge.n_right);
    }
};

// Errors: PONDER_STATUS_FORMAT (malformed JSON with its position, a vocabulary or merges of another shape), LIMIT (depth, counts).
Result<TokenizerJson> read_tokenizer_json(std::string_view json);

}  // namespace ponder

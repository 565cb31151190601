// SPDX-License-Identifier: Apache-2.0
// Models cut into several GGUF files: how the parts are named, numbered and told to belong together.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "format/gguf_part.hpp"

namespace ponder::gguf {

// "PREFIX-00002-of-00005.gguf"; the prefix includes the folder.
struct SplitName {
    std::string prefix;
    uint32_t number = 0;  // from 1, as in the name; the key split.no counts from 0
    uint32_t count = 0;
};

// Nothing if the path does not end that way.
std::optional<SplitName> parse_split_name(std::string_view path);
std::string split_path(const SplitName& name, uint32_t number);

// What the split.* keys of one part say.
struct SplitKeys {
    uint32_t number = 0;  // from 0
    uint32_t count = 0;   // 0: not split
    bool has_count = false;
    std::optional<uint32_t> n_tensors;
};

// Errors: PONDER_STATUS_FORMAT if the keys contradict themselves, PONDER_STATUS_LIMIT past limits::kMaxSplitFiles.
Result<SplitKeys> read_split_keys(const Metadata& metadata);

// Whether `path`, holding these keys, is the first file of its model. No value: it is the only one. Otherwise the name whose
// siblings are the other parts. Errors: PONDER_STATUS_INVALID_ARGUMENT names the file to open instead; PONDER_STATUS_FORMAT if the
// name and the keys disagree.
Result<std::optional<SplitName>> check_first_part(const std::string& path, const SplitKeys& keys);

// A later part must carry the right number and say nothing about the model that the first part does not say.
Result<void> check_later_part(const Part& first, const SplitKeys& first_keys, const Part& part, uint32_t number);

}  // namespace ponder::gguf

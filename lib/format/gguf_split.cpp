// SPDX-License-Identifier: Apache-2.0
// Names and keys of split GGUF files. Siblings are found from the path that the caller gave, never from what a file says.
#include "format/gguf_split.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "base/limits.hpp"
#include "base/utf8.hpp"
#include "format/gguf_format.hpp"

namespace ponder::gguf {

namespace {

constexpr size_t kNumberDigits = 5;

// Takes exactly five digits off the end.
std::optional<uint32_t> take_number(std::string_view& text) {
    if (text.size() < kNumberDigits) return std::nullopt;
    uint32_t number = 0;
    for (const char digit : text.substr(text.size() - kNumberDigits)) {
        if (digit < '0' || digit > '9') return std::nullopt;
        number = number * 10 + static_cast<uint32_t>(digit - '0');
    }
    text.remove_suffix(kNumberDigits);
    return number;
}

bool take_suffix(std::string_view& text, std::string_view suffix) {
    if (!text.ends_with(suffix)) return false;
    text.remove_suffix(suffix.size());
    return true;
}

}  // namespace

std::optional<SplitName> parse_split_name(std::string_view path) {
    if (!take_suffix(path, ".gguf")) return std::nullopt;
    const auto count = take_number(path);
    if (!count || !take_suffix(path, "-of-")) return std::nullopt;
    const auto number = take_number(path);
    if (!number || !take_suffix(path, "-") || *number == 0 || *number > *count) return std::nullopt;
    return SplitName{std::string(path), *number, *count};
}

std::string split_path(const SplitName& name, uint32_t number) {
    char suffix[64];
    std::snprintf(suffix, sizeof suffix, "-%05u-of-%05u.gguf", number, name.count);
    return name.prefix + suffix;
}

Result<SplitKeys> read_split_keys(const Metadata& metadata) {
    const auto count = metadata.get_u32(kSplitCountKey);
    if (!count) return count.error();
    const auto number = metadata.get_u32(kSplitNumberKey);
    if (!number) return number.error();
    const auto n_tensors = metadata.get_u32(kSplitTensorsKey);
    if (!n_tensors) return n_tensors.error();
    if (count->value_or(0) > limits::kMaxSplitFiles) {
        return make_error(PONDER_STATUS_LIMIT, "split.count: %u, the limit is %u", **count, limits::kMaxSplitFiles);
    }
    const SplitKeys keys = {number->value_or(0), count->value_or(0), count->has_value(), *n_tensors};
    if (keys.count == 0) return keys;
    if (!*number) return make_error(PONDER_STATUS_FORMAT, "split.no: missing in a file with split.count %u", keys.count);
    if (keys.number >= keys.count) {
        return make_error(PONDER_STATUS_FORMAT, "split.no: %u is not below split.count %u", keys.number, keys.count);
    }
    return keys;
}

Result<std::optional<SplitName>> check_first_part(const std::string& path, const SplitKeys& keys) {
    const auto name = parse_split_name(path);
    if (keys.count <= 1) {
        // A merged model may keep an old name, but then it says so with split.count 0 and holds everything.
        if (name && name->count > 1 && !keys.has_count) {
            return make_error(PONDER_STATUS_FORMAT, "split.count: missing in a file whose name says part %u of %u", name->number,
                              name->count);
        }
        return std::optional<SplitName>();
    }
    if (!name || name->count != keys.count || name->number != keys.number + 1) {
        return make_error(PONDER_STATUS_FORMAT, "holds part %u of %u, but its name does not end in '-%05u-of-%05u.gguf'", keys.number + 1,
                          keys.count, keys.number + 1, keys.count);
    }
    if (keys.number != 0) {
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "is part %u of %u, open the first part '%s' instead", keys.number + 1, keys.count,
                          split_path(*name, 1).c_str());
    }
    return name;
}

Result<void> check_later_part(const Part& first, const SplitKeys& first_keys, const Part& part, uint32_t number) {
    const auto keys = read_split_keys(part.metadata);
    if (!keys) return keys.error();
    if (keys->count != first_keys.count) {
        return make_error(PONDER_STATUS_FORMAT, "split.count: %u, the first part has %u", keys->count, first_keys.count);
    }
    if (keys->number != number) return make_error(PONDER_STATUS_FORMAT, "split.no: %u where %u is needed", keys->number, number);
    if (keys->n_tensors && keys->n_tensors != first_keys.n_tensors) {
        return make_error(PONDER_STATUS_FORMAT, "split.tensors.count: %u, the first part has %u", *keys->n_tensors,
                          first_keys.n_tensors.value_or(0));
    }
    for (const Metadata::Entry& entry : part.metadata.entries()) {
        if (entry.key.starts_with(kSplitPrefix) || entry.key == kAlignmentKey) continue;
        const Value* same = first.metadata.find(entry.key);
        if (same != nullptr && *same == entry.value) continue;
        return make_error(PONDER_STATUS_FORMAT, "metadata key '%s' %s the first part", printable(entry.key).c_str(),
                          same == nullptr ? "is missing in" : "has another value in");
    }
    return {};
}

}  // namespace ponder::gguf

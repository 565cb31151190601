// SPDX-License-Identifier: Apache-2.0
// JSON with limits and without exceptions, over nlohmann::json.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/limits.hpp"
#include "base/result.hpp"

namespace ponder {

// One JSON document (RFC 8259, UTF-8). Of equal keys in one object the last counts.
// Errors: PONDER_STATUS_LIMIT past max_bytes or limits::kMaxJsonDepth open brackets; PONDER_STATUS_FORMAT otherwise. Messages give
// the byte position, counted from 1.
Result<nlohmann::json> parse_json(std::string_view text, size_t max_bytes = limits::kMaxJsonBytes);

// The same, with members kept in the order of the text; objects have at most limits::kMaxOrderedJsonMembers of them.
Result<nlohmann::ordered_json> parse_ordered_json(std::string_view text, size_t max_bytes = limits::kMaxJsonBytes);

// Compact text. Strings that are not UTF-8 get U+FFFD where they are malformed. Recurses once per level: for documents that
// parse_json could have made.
std::string dump_json(const nlohmann::json& document);

}  // namespace ponder

// SPDX-License-Identifier: Apache-2.0
// JSON as the tool prints and reads it: UTF-8 as it is, keys in the order given, nesting limited.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace ponder::tool {

using Json = nlohmann::ordered_json;

// One line of JSON text without a line end; bytes that are not UTF-8 become U+FFFD. UTF-8 is not escaped, except U+0085, U+2028, U+2029.
std::string to_json_line(const Json& value);
// A string as JSON text, with its quotes.
std::string to_json_string(std::string_view text);

// Parses one JSON value. Throws Failure: malformed, nested deeper than 256, or an object of more than 10,000 members.
Json parse_json(std::string_view text);

}  // namespace ponder::tool

// SPDX-License-Identifier: Apache-2.0
// UTF-8 checks on names from files, and their safe form for messages.
#pragma once

#include <string>
#include <string_view>

namespace ponder {

// True for well-formed UTF-8 (Unicode table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

// What a message may show of a name that a file gave: control characters and malformed bytes become '?', at most about 100 bytes.
std::string printable(std::string_view text);

}  // namespace ponder

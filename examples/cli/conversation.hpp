// SPDX-License-Identifier: Apache-2.0
// A conversation as a file: {"format":"ponder-chat","version":1,"messages":[{"role":…,"content":…,"thinking":…},…]}.
#pragma once

#include <string>
#include <vector>

#include "answer.hpp"

namespace ponder::tool {

// Throws Failure; the file is then as before.
void save_conversation(const std::string& path, const std::vector<Message>& messages);
// Throws Failure: cannot be read, malformed, or not such a file (also without "format", as long as "messages" is there).
std::vector<Message> load_conversation(const std::string& path);

}  // namespace ponder::tool

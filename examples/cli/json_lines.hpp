// SPDX-License-Identifier: Apache-2.0
// The loop of commands that answer each line of standard input with a line of JSON.
#pragma once

#include <functional>
#include <string>

namespace ponder::tool {

// Writes answer(line), which ends in a line end, for every line that is not empty. A Failure that it throws becomes {"error":...} and the
// loop goes on. Throws Failure if interrupted, or as LineReader does.
void answer_lines(const std::function<std::string(const std::string&)>& answer);

}  // namespace ponder::tool

// SPDX-License-Identifier: Apache-2.0
// Reads lines, writes answers or errors.
#include "json_lines.hpp"

#include "failure.hpp"
#include "input.hpp"
#include "interrupt.hpp"
#include "json_text.hpp"
#include "terminal.hpp"

namespace ponder::tool {

void answer_lines(const std::function<std::string(const std::string&)>& answer) {
    const auto answer_or_error = [&answer](const std::string& line) {
        try {
            return answer(line);
        } catch (const Failure& failure) {
            return to_json_line(Json{{"error", failure.why}}).append("\n");
        }
    };
    LineReader reader;
    std::string line;
    LineReader::Result result;
    while ((result = reader.next(line)) == LineReader::Result::kLine) {
        stop_if_interrupted();
        if (line.empty()) continue;
        write_out(answer_or_error(line));
    }
    flush_out();
    if (result == LineReader::Result::kInterrupted) throw Failure{"cancelled"};
}

}  // namespace ponder::tool

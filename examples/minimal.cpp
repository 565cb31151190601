// SPDX-License-Identifier: Apache-2.0
// The shortest C++ program on ponder: thinking in brackets, then the answer. Usage: minimal_cpp MODEL.gguf [PROMPT]
// README: begin
#include <cstdio>
#include <ponder/ponder.hpp>

using namespace ponder::literals;

int main(int argc, char** argv) try {
    const char* path = argc > 1 ? argv[1] : "r1-distill-qwen-7b-Q4_K_M.gguf";
    const char* question = argc > 2 ? argv[2] : "Which is larger, 9.11 or 9.9?";
    auto model = ponder::Model::open(path, {.memory_cap = 6_GiB});
    auto chat = model.session({.context = 4096});
    for (const auto& event : chat.ask(question, {.thinking_budget = 1024})) {
        const int size = static_cast<int>(event.text().size());
        if (event.is_thinking()) std::printf("(%.*s)", size, event.text().data());
        if (event.is_answer()) std::printf("%.*s", size, event.text().data());
    }
} catch (const std::exception& failure) {
    return std::fprintf(stderr, "%s\n", failure.what()), 1;
}
// README: end

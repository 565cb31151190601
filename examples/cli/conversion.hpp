// SPDX-License-Identifier: Apache-2.0
// What `ponder convert` and `ponder quantize` share: running the library's converter and telling what it did.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

namespace ponder::tool {

struct Conversion {
    std::string in, out;
    std::string type;     // "": types stay
    std::string imatrix;  // "": none
    std::optional<int32_t> n_threads;
    bool is_json = false;
};

// --threads, --json, --verbose.
void add_conversion_options(CLI::App& app, Conversion& conversion);

// Throws Failure.
void run_conversion(const Conversion& conversion);

}  // namespace ponder::tool

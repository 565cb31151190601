// SPDX-License-Identifier: Apache-2.0
// The byte range that all text code speaks of: template provenance, tokenizer input, reasoning boundaries.
#pragma once

#include <cstddef>

namespace ponder {

// Bytes [begin, end) of a UTF-8 text; empty where begin == end.
struct TextSpan {
    size_t begin = 0;
    size_t end = 0;
};

}  // namespace ponder

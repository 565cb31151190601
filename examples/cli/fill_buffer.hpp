// SPDX-License-Identifier: Apache-2.0
// The library's calls that fill a buffer and say which size they need.
#pragma once

#include <cstddef>

#include "failure.hpp"

namespace ponder::tool {

// Calls fill(data, capacity, &n_needed, &error) with room for `guess` elements, and again with what it needs if that was too little.
// Throws Failure.
template <class Buffer, class Fill>
Buffer fill_buffer(size_t guess, const Fill& fill) {
    Buffer buffer(guess, typename Buffer::value_type{});
    ponder_error error;
    size_t n_needed = 0;
    ponder_status status = fill(buffer.data(), buffer.size(), &n_needed, &error);
    if (status == PONDER_STATUS_BUFFER_TOO_SMALL) {
        buffer.resize(n_needed);
        status = fill(buffer.data(), buffer.size(), &n_needed, &error);
    }
    check(status, error);
    buffer.resize(n_needed);
    return buffer;
}

}  // namespace ponder::tool

// SPDX-License-Identifier: Apache-2.0
// Reads the key-value section of a GGUF file.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "format/gguf_cursor.hpp"
#include "format/metadata.hpp"

namespace ponder::gguf {

// n_keys is as the file claims it. On success the cursor stands behind the section.
Result<Metadata> read_metadata(Cursor& cursor, uint64_t n_keys);

// Text that names something: not empty, UTF-8, without NUL. Errors: PONDER_STATUS_FORMAT.
Result<std::string_view> read_name(Cursor& cursor, const char* field, uint64_t max_bytes);

// Believes a count only if `remaining` bytes can hold it. Errors: PONDER_STATUS_LIMIT past max, else PONDER_STATUS_FORMAT.
Result<void> check_count(const char* field, uint64_t count, uint64_t max, uint64_t bytes_each, uint64_t remaining);

}  // namespace ponder::gguf

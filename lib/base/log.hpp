// SPDX-License-Identifier: Apache-2.0
// The process's log sink: set by the host, silent until then.
#pragma once

#include "ponder/ponder.h"

namespace ponder {

void set_log_sink(ponder_log_fn fn, void* user_data, int32_t min_level);

// printf-style; dropped without cost beyond a load if no sink wants the level. Never throws.
[[gnu::format(printf, 2, 3)]] void log_message(ponder_log_level level, const char* format, ...);

}  // namespace ponder

// SPDX-License-Identifier: Apache-2.0
// Owning pointers over the library's handles. They may be destroyed in any order: the library counts references inside.
#pragma once

#include <ponder/ponder.h>

#include <memory>

namespace ponder::tool {

template <auto close_fn>
struct Closer {
    template <typename Handle>
    void operator()(Handle* handle) const {
        close_fn(handle);
    }
};

using ModelHandle = std::unique_ptr<ponder_model, Closer<ponder_model_close>>;
using TextHandle = std::unique_ptr<ponder_text, Closer<ponder_text_close>>;
using SessionHandle = std::unique_ptr<ponder_session, Closer<ponder_session_destroy>>;
using GenerationHandle = std::unique_ptr<ponder_generation, Closer<ponder_generation_destroy>>;
using PlanHandle = std::unique_ptr<ponder_plan, Closer<ponder_plan_destroy>>;
using FileHandle = std::unique_ptr<ponder_file, Closer<ponder_file_close>>;

}  // namespace ponder::tool

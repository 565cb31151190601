// SPDX-License-Identifier: Apache-2.0
// What is behind the C ABI's opaque handles.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ponder/ponder.h"
#include "runtime/generation.hpp"
#include "runtime/model.hpp"
#include "runtime/plan.hpp"
#include "runtime/session.hpp"
#include "runtime/text_side.hpp"

struct ponder_model {
    std::shared_ptr<ponder::Model> impl;
};

struct ponder_text {
    std::shared_ptr<const ponder::TextSide> impl;
};

struct ponder_session {
    std::shared_ptr<ponder::Session> impl;
};

struct ponder_generation {
    std::unique_ptr<ponder::Generation> impl;
    ponder::Event event;  // what the last event's text points to
};

struct ponder_plan {
    ponder::Plan impl;
};

struct ponder_file {
    ponder::ModelFile impl;
    std::string architecture;
    std::vector<std::string> keys;  // NUL-terminated copies of the metadata's keys
    std::vector<std::string> remarks;
};

namespace ponder::capi {

// Holds a session for one call. is_held() is false if another thread has it.
class SessionClaim {
  public:
    explicit SessionClaim(Session& session) : session_(session), is_held_(session.try_claim()) {}
    ~SessionClaim() {
        if (is_held_) session_.release_claim();
    }
    SessionClaim(const SessionClaim&) = delete;
    SessionClaim& operator=(const SessionClaim&) = delete;

    bool is_held() const { return is_held_; }
    static Error busy() { return make_error(PONDER_STATUS_BUSY, "another thread is using this session"); }

  private:
    Session& session_;
    bool is_held_;
};

// Parameters that several calls take, checked.
Result<ModelOptions> to_model_options(const ponder_model_params* params);
Result<SessionOptions> to_session_options(const ponder_session_params* params);
Result<GenerationOptions> to_generation_options(const ponder_generation_params* params, const Model& model);

}  // namespace ponder::capi

// SPDX-License-Identifier: Apache-2.0
// Logits of a model file or folder for the golden tests.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "runtime/session.hpp"

namespace ponder_test {

// Logits of all tokens [n_tokens, n_vocab], evaluated in chunks of `chunk`.
inline std::vector<float> evaluate(const std::string& path, const std::vector<int32_t>& tokens, size_t chunk, int n_threads,
                                   int32_t kv_type = PONDER_TYPE_F32) {
    auto model = ponder::Model::open(path, {.n_threads = n_threads});
    REQUIRE_MESSAGE(model, (model ? "" : model.error().message));
    auto session = ponder::Session::create(*model, {.kv_type = kv_type});
    REQUIRE_MESSAGE(session, (session ? "" : session.error().message));
    const auto n_vocab = static_cast<size_t>((*model)->hyper_parameters().n_vocab);
    std::vector<float> logits(tokens.size() * n_vocab);
    for (size_t i = 0; i < tokens.size(); i += chunk) {
        const size_t n = std::min(chunk, tokens.size() - i);
        REQUIRE((*session)->evaluate(std::span(tokens).subspan(i, n), logits.data() + i * n_vocab, n, {}));
    }
    return logits;
}

// Largest |a - b|; infinite where one of them is not finite.
template <class A, class B>
float max_difference(const std::vector<A>& a, const std::vector<B>& b) {
    REQUIRE(a.size() == b.size());
    double worst = 0.0;
    for (size_t i = 0; i < a.size(); i++) {
        const double gap = std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        worst = std::max(worst, std::isfinite(gap) ? gap : static_cast<double>(INFINITY));
    }
    return static_cast<float>(worst);
}

}  // namespace ponder_test

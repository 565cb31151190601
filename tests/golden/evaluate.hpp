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
                                   int32_t kv_type = PONDER_TYPE_F32, const std::string& backend = "auto") {
    auto model = ponder::Model::open(path, {.device = {.backend = backend}, .n_threads = n_threads});
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

// Mean over all rows of KL(expected || got) in nats; logits [n_rows, n_vocab]. Not finite where a logit is not.
template <class A, class B>
double mean_divergence(const std::vector<A>& expected, const std::vector<B>& got, size_t n_vocab) {
    REQUIRE(expected.size() == got.size());
    double total = 0.0;
    for (size_t begin = 0; begin < got.size(); begin += n_vocab) {
        const double p_top = *std::max_element(expected.begin() + begin, expected.begin() + begin + n_vocab);
        const double q_top = *std::max_element(got.begin() + begin, got.begin() + begin + n_vocab);
        double p_sum = 0.0, q_sum = 0.0, gap = 0.0;
        for (size_t i = begin; i < begin + n_vocab; i++) {
            const double p = std::exp(static_cast<double>(expected[i]) - p_top);
            p_sum += p;
            q_sum += std::exp(static_cast<double>(got[i]) - q_top);
            gap += p * (static_cast<double>(expected[i]) - p_top - static_cast<double>(got[i]) + q_top);
        }
        total += gap / p_sum - std::log(p_sum) + std::log(q_sum);
    }
    return total / static_cast<double>(got.size() / n_vocab);
}

}  // namespace ponder_test

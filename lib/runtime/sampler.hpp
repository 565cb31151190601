// SPDX-License-Identifier: Apache-2.0
// Chooses the next token from logits: penalties, temperature, top-k, top-p, min-p, and a draw that is the same on every platform.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ponder/ponder_backend.h"

namespace ponder {

// The steps are applied in the order of the fields after `temperature`: penalties, temperature, top-k, top-p, min-p. That is the order of
// Hugging Face and vLLM, with which R1's recommended values (0.6, top-p 0.95) were published: top-p sees the tempered distribution.
// Penalties of 0 or below and values that are not finite count as "off", so no value is an error here; callers check ranges.
struct SamplerParams {
    float temperature = 0.0f;         // 0 or below: greedy, the filters do nothing
    int32_t top_k = 0;                // keeps the k most likely tokens; 0: off
    float top_p = 1.0f;               // keeps the fewest most likely tokens whose mass reaches top_p; 1: off
    float min_p = 0.0f;               // drops tokens less likely than min_p times the most likely one; 0: off
    float repetition_penalty = 1.0f;  // divides positive and multiplies negative logits of the last 64 tokens, prompt included; 1: off
    float presence_penalty = 0.0f;    // subtracted once from the logit of every token generated so far; negative encourages; 0: off
    uint64_t seed = 0;
};

// One sampler belongs to one generation. It holds buffers of the vocabulary's size, but no random state: the draw depends on the seed and
// on n_generated alone, so that a step which is taken again (after a rewind, or when a draft is verified) draws the same number.
class Sampler {
  public:
    static constexpr int32_t kNoToken = -1;
    static constexpr size_t kRepetitionWindow = 64;

    explicit Sampler(const SamplerParams& params) : params_(params) {}

    // logits: [n_vocab], at most limits::kMaxVocabulary; NaN counts as -inf, and +inf as the largest float.
    // recent: all tokens so far, prompt included; ids outside the vocabulary are ignored. Its last n_generated were generated.
    // Returns a token id, of equally likely ones the lowest if greedy, or kNoToken if no logit is above -inf: a broken model, an INTERNAL
    // error to the caller. Tokens less likely than 2^-40 times the most likely one are never drawn.
    // Allocates in the first call only.
    int32_t sample(std::span<const float> logits, std::span<const int32_t> recent, size_t n_generated);

    // How far below the largest logit a token is still looked at; nothing if the likeliest tokens alone cannot decide: penalties move
    // others, and without a filter every token may be drawn.
    std::optional<float> reach() const;
    // What sample() gives, from the likeliest tokens alone; nothing if the others could change it. See ponder_selection for the arguments.
    std::optional<int32_t> sample_likeliest(std::span<const ponder_candidate> likeliest, int32_t n_rest, float cut, size_t n_generated);

    const SamplerParams& params() const { return params_; }

  private:
    struct Candidate {
        float score;
        int32_t id;
        uint64_t weight;  // probability relative to the most likely token's, in units of 2^-40
    };

    // A total order, so that every cut through it is unique whatever the selection algorithm does with equal scores.
    static bool is_before(const Candidate& a, const Candidate& b) { return a.score > b.score || (a.score == b.score && a.id < b.id); }

    float find_tops(std::span<const float> scores);
    int32_t first_of(std::span<const float> scores, float top) const;
    void apply_penalties(std::span<const int32_t> recent, size_t n_generated);
    void collect_candidates(std::span<const float> scores, float top);
    void keep_up_to(Candidate last);
    void cut_top_k();
    void weigh(float top);
    uint64_t total_weight() const;
    uint64_t target_of(uint64_t total) const;
    Candidate last_of_nucleus(uint64_t total, uint64_t target);
    void cut_min_p();
    int32_t draw(size_t n_generated) const;

    static constexpr size_t kBlock = 64;

    SamplerParams params_;
    std::vector<float> scores_;          // [n_vocab], penalised logits, where there are penalties; -inf: not a candidate
    std::vector<float> tops_;            // [n_vocab / kBlock, rounded up], the largest of each block
    std::vector<uint32_t> marks_;        // [n_vocab], equals mark_ where a token was penalised in this pass
    std::vector<Candidate> candidates_;  // what is left, always by id
    std::vector<Candidate> ranked_;      // scratch of the selections
    uint32_t mark_ = 0;
};

}  // namespace ponder

// SPDX-License-Identifier: Apache-2.0
// The sampler's filters and draw, in integer weights: sums are exact and in no order, so libraries and instruction sets cannot disagree.
#include "runtime/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/limits.hpp"

namespace ponder {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr double kLog2E = 1.4426950408889634;
constexpr int kWeightBits = 40;  // with vocabularies up to 2^22 the sum of all weights stays below 2^63
constexpr size_t kMaxHeap = 1024;
static_assert(limits::kMaxVocabulary <= int64_t{1} << 22);

// 2^(-k/16) in units of 2^-31.
constexpr uint64_t kSixteenthPowers[16] = {
    2147483648, 2056437387, 1969251188, 1885761398, 1805811301, 1729250827, 1655936265, 1585730000,
    1518500250, 1454120821, 1392470869, 1333434672, 1276901417, 1222764986, 1170923762, 1121280436,
};

// 2^-t in units of 2^-40, for t >= 0, to about 2^-30 of the value; integers after one float multiplication, so the same everywhere.
uint64_t exp2_negative(double t) {
    if (!(t < kWeightBits + 1)) return 0;
    constexpr uint64_t kOne = uint64_t{1} << 32;
    constexpr uint64_t kLn2 = 2977044472u;  // in units of 2^-32
    const uint64_t fixed = static_cast<uint64_t>(t * static_cast<double>(kOne));
    const uint64_t y = ((fixed & 0x0fffffffu) * kLn2) >> 32;  // ln 2 times what the table leaves: below 0.0434
    // exp(-y) to the fifth order by Horner's rule, with the coefficients 1/k! in units of 2^-32.
    uint64_t series = kOne / 24 - ((y * (kOne / 120)) >> 32);
    series = kOne / 6 - ((y * series) >> 32);
    series = kOne / 2 - ((y * series) >> 32);
    series = kOne - ((y * series) >> 32);
    series = kOne - ((y * series) >> 32);
    const uint64_t mantissa = kSixteenthPowers[(fixed >> 28) & 15] * series;  // in units of 2^-63
    return (mantissa >> (63 - kWeightBits)) >> (fixed >> 32);
}

// The output function of SplitMix64 (Steele, Lea, Flood 2014).
uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

// Number `counter` of the seed's stream, scaled to [0, total).
uint64_t random_below(uint64_t seed, uint64_t counter, uint64_t total) {
    constexpr uint64_t kGolden = 0x9e3779b97f4a7c15u;
    const uint64_t bits = mix(mix(seed + kGolden) + (counter + 1) * kGolden);
    // The upper half of the 128-bit product, from 32-bit parts.
    const uint64_t a1 = bits >> 32, a0 = bits & 0xffffffffu, b1 = total >> 32, b0 = total & 0xffffffffu;
    const uint64_t middle = a1 * b0 + ((a0 * b0) >> 32);
    return a1 * b1 + (middle >> 32) + ((a0 * b1 + (middle & 0xffffffffu)) >> 32);
}

// Saturates: a penalty must not turn a candidate into an infinity.
float to_float(double x) {
    constexpr double kMax = std::numeric_limits<float>::max();
    return static_cast<float>(std::clamp(x, -kMax, kMax));
}

// What a logit counts as: NaN stays NaN, which compares with nothing.
float finite(float x) { return x > std::numeric_limits<float>::max() ? std::numeric_limits<float>::max() : x; }

bool has_repetition_penalty(const SamplerParams& p) {
    return p.repetition_penalty > 0 && std::isfinite(p.repetition_penalty) && p.repetition_penalty != 1;
}

bool has_presence_penalty(const SamplerParams& p) { return std::isfinite(p.presence_penalty) && p.presence_penalty != 0; }

bool has_penalties(const SamplerParams& p) { return has_repetition_penalty(p) || has_presence_penalty(p); }

bool has_top_p(const SamplerParams& p) { return p.top_p < 1.0f; }

// Of two logits further apart than this, the lower one's weight is 0.
double reach_of(const SamplerParams& p) { return (kWeightBits + 1) * double{p.temperature} / kLog2E; }

// What min-p asks for.
double lowest_weight(const SamplerParams& p) { return std::min(1.0, double{p.min_p}) * static_cast<double>(uint64_t{1} << kWeightBits); }

}  // namespace

int32_t Sampler::sample(std::span<const float> logits, std::span<const int32_t> recent, size_t n_generated) {
    if (logits.size() > static_cast<size_t>(limits::kMaxVocabulary)) return kNoToken;
    if (has_penalties(params_)) {
        scores_.resize(logits.size());
        for (size_t i = 0; i < logits.size(); ++i) scores_[i] = logits[i] != logits[i] ? kLowest : finite(logits[i]);
        apply_penalties(recent, n_generated);
        logits = scores_;
    }
    const float top = find_tops(logits);
    if (top == kLowest) return kNoToken;
    if (!(params_.temperature > 0.0f)) return first_of(logits, top);
    collect_candidates(logits, top);
    cut_top_k();
    weigh(top);
    if (has_top_p(params_)) {
        const uint64_t total = total_weight();
        keep_up_to(last_of_nucleus(total, target_of(total)));
    }
    cut_min_p();
    return draw(n_generated);
}

std::optional<float> Sampler::reach() const {
    if (has_penalties(params_)) return {};
    if (!(params_.temperature > 0.0f)) return 0.0f;
    if (params_.top_k <= 0 && !has_top_p(params_) && !(params_.min_p > 0.0f)) return {};
    const double all = reach_of(params_);
    if (!(all < 1e38)) return {};
    return std::nextafter(static_cast<float>(all), std::numeric_limits<float>::infinity());
}

std::optional<int32_t> Sampler::sample_likeliest(std::span<const ponder_candidate> likeliest, int32_t n_rest, float cut,
                                                 size_t n_generated) {
    if (likeliest.empty()) return n_rest > 0 ? std::nullopt : std::optional(kNoToken);
    candidates_.clear();
    for (const ponder_candidate& c : likeliest) candidates_.push_back({finite(c.logit), c.token, 0});
    std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
    const Candidate first = *std::min_element(candidates_.begin(), candidates_.end(), is_before);
    if (!(params_.temperature > 0.0f)) return n_rest > 0 ? std::nullopt : std::optional(first.id);

    if (params_.top_k > 0 && static_cast<size_t>(params_.top_k) <= candidates_.size()) n_rest = 0;
    cut_top_k();
    weigh(first.score);
    // No other token weighs more than this; weights are exact to 2^-30.
    const uint64_t weight = exp2_negative(double{cut} * kLog2E / double{params_.temperature}), most = weight + (weight >> 20) + 1;
    if (has_top_p(params_)) {
        // The more the others weigh, the more tokens it takes: it has to be the same with nothing and with all that they can weigh.
        const uint64_t total = total_weight(), largest_target = target_of(total + static_cast<uint64_t>(n_rest) * most);
        if (largest_target > total) return {};
        const Candidate last = last_of_nucleus(total, largest_target);
        if (n_rest > 0 && last_of_nucleus(total, target_of(total)).id != last.id) return {};
        keep_up_to(last);
        n_rest = 0;
    }
    if (n_rest > 0 && !(static_cast<double>(most) < lowest_weight(params_))) return {};
    cut_min_p();
    return draw(n_generated);
}

// The largest score of each block, to tops_, and of all.
float Sampler::find_tops(std::span<const float> scores) {
    constexpr size_t kLanes = 16;
    static_assert(kBlock % kLanes == 0);
    tops_.resize((scores.size() + kBlock - 1) / kBlock);
    float top = kLowest;
    for (size_t b = 0; b < tops_.size(); ++b) {
        const auto block = scores.subspan(b * kBlock, std::min(kBlock, scores.size() - b * kBlock));
        float lanes[kLanes];
        std::fill_n(lanes, kLanes, kLowest);
        size_t i = 0;
        for (; i + kLanes <= block.size(); i += kLanes) {
            for (size_t l = 0; l < kLanes; ++l) lanes[l] = block[i + l] > lanes[l] ? block[i + l] : lanes[l];
        }
        for (; i < block.size(); ++i) lanes[0] = block[i] > lanes[0] ? block[i] : lanes[0];
        tops_[b] = finite(*std::max_element(lanes, lanes + kLanes));
        top = std::max(top, tops_[b]);
    }
    return top;
}

int32_t Sampler::first_of(std::span<const float> scores, float top) const {
    size_t i = static_cast<size_t>(std::find(tops_.begin(), tops_.end(), top) - tops_.begin()) * kBlock;
    while (finite(scores[i]) != top) ++i;
    return static_cast<int32_t>(i);
}

void Sampler::apply_penalties(std::span<const int32_t> recent, size_t n_generated) {
    const auto each_once = [&](size_t n_last, auto&& penalize) {
        marks_.resize(scores_.size());
        if (++mark_ == 0) {
            std::fill(marks_.begin(), marks_.end(), 0u);
            mark_ = 1;
        }
        for (const int32_t id : recent.last(std::min(n_last, recent.size()))) {
            const size_t i = static_cast<size_t>(id);  // a negative id becomes too large
            if (i >= scores_.size() || marks_[i] == mark_ || scores_[i] == kLowest) continue;
            marks_[i] = mark_;
            penalize(scores_[i]);
        }
    };
    // In double: the product of two floats is exact there, so a compiler that fuses it into the next operation changes nothing.
    const double repetition = params_.repetition_penalty;
    if (has_repetition_penalty(params_)) {
        each_once(kRepetitionWindow, [&](float& x) { x = to_float(x > 0 ? x / repetition : x * repetition); });
    }
    const double presence = params_.presence_penalty;
    if (has_presence_penalty(params_)) {
        each_once(n_generated, [&](float& x) { x = to_float(x - presence); });
    }
}

// All that can be drawn: what is so far below the top that its weight is 0 is left out, and blocks of nothing else are not even read.
void Sampler::collect_candidates(std::span<const float> scores, float top) {
    const double lowest = static_cast<double>(top) - reach_of(params_);
    candidates_.reserve(scores.size());
    candidates_.clear();
    for (size_t b = 0; b < tops_.size(); ++b) {
        if (!(static_cast<double>(tops_[b]) >= lowest)) continue;
        for (size_t i = b * kBlock; i < std::min((b + 1) * kBlock, scores.size()); ++i) {
            if (scores[i] > kLowest && static_cast<double>(scores[i]) >= lowest)
                candidates_.push_back({finite(scores[i]), static_cast<int32_t>(i), 0});
        }
    }
}

void Sampler::keep_up_to(const Candidate last) {
    std::erase_if(candidates_, [&](const Candidate& c) { return is_before(last, c); });
}

void Sampler::cut_top_k() {
    if (params_.top_k <= 0 || static_cast<size_t>(params_.top_k) >= candidates_.size()) return;
    const size_t k = static_cast<size_t>(params_.top_k);
    if (k <= kMaxHeap) {  // one pass that rarely touches the heap
        ranked_.resize(k);
        std::partial_sort_copy(candidates_.begin(), candidates_.end(), ranked_.begin(), ranked_.end(), is_before);
    } else {
        ranked_ = candidates_;
        std::nth_element(ranked_.begin(), ranked_.begin() + (params_.top_k - 1), ranked_.end(), is_before);
    }
    keep_up_to(ranked_[k - 1]);
}

void Sampler::weigh(float top) {
    const double scale = kLog2E / static_cast<double>(params_.temperature);
    for (Candidate& c : candidates_) c.weight = exp2_negative((static_cast<double>(top) - static_cast<double>(c.score)) * scale);
}

uint64_t Sampler::total_weight() const {
    uint64_t total = 0;
    for (const Candidate& c : candidates_) total += c.weight;
    return total;
}

// The mass that top-p asks for.
uint64_t Sampler::target_of(uint64_t total) const {
    return static_cast<uint64_t>(std::max(0.0, static_cast<double>(params_.top_p)) * static_cast<double>(total));
}

// The token with which the most likely ones reach the target, which is at most the candidates' total.
Sampler::Candidate Sampler::last_of_nucleus(uint64_t total, uint64_t target) {
    // Tokens so unlikely that all of them together could not fill the tail cannot be in the nucleus: usually all but some hundreds.
    const uint64_t negligible = (total - target) / candidates_.size();
    ranked_.clear();
    for (const Candidate& c : candidates_) {
        if (c.weight >= negligible) ranked_.push_back(c);
    }
    // Quickselect by mass: `mass` lies before [begin, end), and the token that reaches the target lies inside it.
    uint64_t mass = 0;
    auto begin = ranked_.begin(), end = ranked_.end();
    while (end - begin > 1) {
        const auto middle = begin + (end - begin) / 2;
        std::nth_element(begin, middle, end, is_before);
        uint64_t upper = mass;
        for (auto c = begin; c != middle; ++c) upper += c->weight;
        if (upper >= target) {
            end = middle;
        } else {
            mass = upper;
            begin = middle;
        }
    }
    return *begin;
}

void Sampler::cut_min_p() {
    if (!(params_.min_p > 0.0f)) return;
    const double threshold = lowest_weight(params_);
    std::erase_if(candidates_, [&](const Candidate& c) { return static_cast<double>(c.weight) < threshold; });
}

int32_t Sampler::draw(size_t n_generated) const {
    uint64_t left = random_below(params_.seed, n_generated, total_weight());
    for (const Candidate& c : candidates_) {
        if (left < c.weight) return c.id;
        left -= c.weight;
    }
    return kNoToken;
}

}  // namespace ponder

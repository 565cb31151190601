// SPDX-License-Identifier: Apache-2.0
// Running split stages: pieces stream from stage to stage where the behavior allows it.
#include "text/pretokenizer.hpp"

#include "base/utf8.hpp"

namespace ponder {

namespace {

struct Piece {
    std::string_view text;
    bool is_match;
};

// Calls visit(text, is_match) for the matches in `text` and for the stretches between them, in order. A match of no bytes still cuts.
template <class Visit>
Result<void> visit_matches(const SplitStage& stage, std::string_view text, MatchState& state, Visit visit) {
    size_t done = 0, from = 0;
    bool has_match = false;
    while (from <= text.size()) {
        const Result<PatternMatch> match = stage.pattern.find(text, from, state);
        if (!match) return match.error();
        if (!match->is_found) break;
        const bool is_empty = match->begin == match->end;
        // An empty match right behind the last match is not a new one.
        if (!(is_empty && has_match && match->end == done)) {
            if (match->begin > done) {
                if (auto visited = visit(text.substr(done, match->begin - done), stage.is_inverted); !visited) return visited;
            }
            if (!is_empty) {
                if (auto visited = visit(text.substr(match->begin, match->end - match->begin), !stage.is_inverted); !visited)
                    return visited;
            }
            done = match->end;
            has_match = true;
        }
        from = match->end;
        if (is_empty) from += from < text.size() ? decode_utf8(text.substr(from)).n_bytes : 1;
    }
    if (done < text.size()) return visit(text.substr(done), stage.is_inverted);
    return {};
}

std::string_view join(std::string_view a, std::string_view b) { return {a.data(), a.size() + b.size()}; }

// Joins neighbours as the behavior says; true if `piece` goes with the piece before it, `before`, in the direction of travel.
bool joins(SplitBehavior behavior, bool is_match, bool was_match) {
    if (behavior == SplitBehavior::kContiguous) return is_match == was_match;
    return is_match && !was_match;
}

std::vector<Piece> join_pieces(std::vector<Piece> pieces, SplitBehavior behavior) {
    const bool is_backward = behavior == SplitBehavior::kMergedWithNext;
    if (is_backward) pieces = std::vector<Piece>(pieces.rbegin(), pieces.rend());
    std::vector<Piece> joined;
    bool was_match = false;
    for (const Piece& piece : pieces) {
        if (!joined.empty() && joins(behavior, piece.is_match, was_match)) {
            std::string_view& last = joined.back().text;
            last = is_backward ? join(piece.text, last) : join(last, piece.text);
        } else {
            joined.push_back(piece);
        }
        was_match = piece.is_match;
    }
    if (is_backward) joined = std::vector<Piece>(joined.rbegin(), joined.rend());
    return joined;
}

}  // namespace

struct Pretokenizer::Run {
    const std::vector<SplitStage>& stages;
    MatchState& state;
    const Sink& sink;

    // Depth is the number of stages.
    Result<void> split(size_t i_stage, std::string_view text) const {
        if (i_stage == stages.size()) return sink(text);
        const SplitStage& stage = stages[i_stage];
        const auto pass_on = [&](std::string_view piece) { return split(i_stage + 1, piece); };
        switch (stage.behavior) {
            case SplitBehavior::kIsolated:
                return visit_matches(stage, text, state, [&](std::string_view piece, bool) { return pass_on(piece); });
            case SplitBehavior::kRemoved:
                return visit_matches(stage, text, state,
                                     [&](std::string_view piece, bool is_match) { return is_match ? Result<void>() : pass_on(piece); });
            default:
                break;
        }
        std::vector<Piece> pieces;
        auto visited = visit_matches(stage, text, state, [&](std::string_view piece, bool is_match) {
            pieces.push_back({piece, is_match});
            return Result<void>();
        });
        if (!visited) return visited;
        for (const Piece& piece : join_pieces(std::move(pieces), stage.behavior)) {
            if (auto passed = pass_on(piece.text); !passed) return passed;
        }
        return {};
    }
};

Result<void> Pretokenizer::add_stage(SplitStage stage) {
    if (stages_.size() == kMaxStages) return make_error(PONDER_STATUS_LIMIT, "the pre-tokenizer has more than %zu splits", kMaxStages);
    stages_.push_back(std::move(stage));
    return {};
}

Result<void> Pretokenizer::split(std::string_view text, MatchState& state, const Sink& sink) const {
    if (text.empty()) return {};
    return Run{stages_, state, sink}.split(0, text);
}

}  // namespace ponder

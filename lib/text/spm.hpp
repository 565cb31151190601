// SPDX-License-Identifier: Apache-2.0
// SentencePiece vocabularies that give scores instead of merges.
#pragma once

#include <span>

#include "base/result.hpp"
#include "text/bpe.hpp"
#include "text/vocabulary.hpp"

namespace ponder {

// The merges that scores [vocabulary.size()] stand for: any two text tokens join if together they are a text token, higher scores first,
// leftmost first among equals. Scores must be finite. Errors: PONDER_STATUS_LIMIT (a text token over kMaxScoredTokenBytes, or more merges
// than limits::kMaxMerges).
Result<MergeTable> merges_from_scores(const Vocabulary& vocabulary, std::span<const float> scores);

// Every split of every token is looked up; SentencePiece itself stops at 16 characters.
inline constexpr size_t kMaxScoredTokenBytes = 512;

}  // namespace ponder

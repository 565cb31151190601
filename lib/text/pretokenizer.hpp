// SPDX-License-Identifier: Apache-2.0
// Pre-tokenizers: a text is cut into pieces, stage after stage, and tokens never reach over a cut.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "text/pretokenizer_pattern.hpp"

namespace ponder {

// What becomes of the matches of a split; names are those of tokenizer.json.
enum class SplitBehavior { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct SplitStage {
    Pattern pattern;
    SplitBehavior behavior = SplitBehavior::kIsolated;
    bool is_inverted = false;  // the text between matches counts as matches
};

class Pretokenizer {
  public:
    static constexpr size_t kMaxStages = 32;

    // Errors: PONDER_STATUS_LIMIT past kMaxStages.
    Result<void> add_stage(SplitStage stage);
    bool empty() const { return stages_.empty(); }

    // Takes one piece; returns an error to stop.
    using Sink = std::function<Result<void>(std::string_view)>;
    // Hands every piece of `text` (well-formed UTF-8) to the sink in order; no piece is empty. Each stage sees each piece of the stage
    // before as a text of its own. The pieces view `text`. Errors: the sink's, and those of Pattern::find.
    Result<void> split(std::string_view text, MatchState& state, const Sink& sink) const;

  private:
    struct Run;

    std::vector<SplitStage> stages_;
};

// The split pattern that a family of models was published with, by its GGUF name (tokenizer.ggml.pre).
struct PretokenizerFamily {
    Pretokenizer pretokenizer;
    bool uses_nfc = false;        // the published tokenizer normalizes first
    bool ignores_merges = false;  // a piece that is a token is taken whole
    bool adds_bos = false;        // unless the file says otherwise
};

// Errors: PONDER_STATUS_UNSUPPORTED with the name if it is unknown.
Result<PretokenizerFamily> pretokenizer_family(std::string_view name);

// The name of a family that prepares and cuts text in the same way, told by a text on which all families differ; adds_bos is not
// looked at. Errors: PONDER_STATUS_UNSUPPORTED if there is none, and those of the split.
Result<std::string_view> find_pretokenizer_family(const PretokenizerFamily& wanted);

// GPT-2's split, which ByteLevel in tokenizer.json stands for.
extern const char kGpt2Pattern[];

// The pattern of a file: trusted, and so fast, if it is one of the published patterns.
Result<Pattern> compile_split_pattern(std::string_view source, Pattern::Syntax syntax);

}  // namespace ponder

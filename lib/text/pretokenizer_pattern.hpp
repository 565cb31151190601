// SPDX-License-Identifier: Apache-2.0
// Regular expressions of pre-tokenizers, compiled by PCRE2: what a file may ask for, and how much work one match may cost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace ponder {

// Working memory and work limits of matching; one call's own, for one thread.
class MatchState {
  public:
    // text_bytes: length of the text that all matches with this state are about.
    static Result<std::unique_ptr<MatchState>> create(size_t text_bytes);
    ~MatchState();
    MatchState(const MatchState&) = delete;
    MatchState& operator=(const MatchState&) = delete;

  private:
    friend class Pattern;

    struct Handles;
    MatchState();

    std::unique_ptr<Handles> handles_;
};

struct PatternMatch {
    size_t begin = 0, end = 0;  // bytes of the subject
    bool is_found = false;
};

// A compiled expression; immutable, shared by threads. The dialect is that of Oniguruma (Ruby syntax) as far as published pre-tokenizers
// use it: `$` and `^` match at line ends, classes are Unicode's. Constructs that PCRE2 reads differently are refused.
class Pattern {
  public:
    enum class Syntax { kRegex, kLiteral };
    // kBounded: from a file; every step is counted, and a match that takes more than some 250 steps a byte of text fails. kTrusted: from
    // this library's own table, known to take linear time, and up to three times as fast.
    enum class Cost { kBounded, kTrusted };

    // Errors: PONDER_STATUS_FORMAT (malformed), UNSUPPORTED (a construct with another meaning here), LIMIT (length).
    static Result<Pattern> compile(std::string_view source, Syntax syntax, Cost cost);
    Pattern(Pattern&&) noexcept;
    Pattern& operator=(Pattern&&) noexcept;
    ~Pattern();

    // The leftmost match in `subject` (well-formed UTF-8) at or after `from`, a character boundary.
    // Errors: PONDER_STATUS_LIMIT if it takes too much work, PONDER_STATUS_OUT_OF_MEMORY.
    Result<PatternMatch> find(std::string_view subject, size_t from, MatchState& state) const;

  private:
    struct Code;
    explicit Pattern(std::unique_ptr<Code> code);

    std::unique_ptr<Code> code_;
};

}  // namespace ponder

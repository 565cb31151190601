// SPDX-License-Identifier: Apache-2.0
// UTF-8 of texts and token bytes: decoding that names malformed parts, replacement by U+FFFD, and a stream that never splits a sequence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ponder {

enum class Utf8State : uint8_t {
    kValid,
    kInvalid,     // the bytes can not begin a sequence, whatever follows
    kIncomplete,  // a sequence that the end of the text cuts off
};

// One step through a text. Malformed bytes are taken in maximal subparts (Unicode 3.9, table 3-8), so that replacing each by one U+FFFD
// gives the same text as the common decoders.
struct Utf8Step {
    uint32_t code_point = 0;  // only if kValid
    uint32_t n_bytes = 0;     // 1 to 4
    Utf8State state = Utf8State::kInvalid;
};

// text must not be empty.
Utf8Step decode_utf8(std::string_view text);

// Bytes of the longest well-formed prefix.
size_t valid_utf8_prefix(std::string_view text);
inline bool is_utf8(std::string_view text) { return valid_utf8_prefix(text) == text.size(); }

// What a message may show of a name that a file gave: control characters and malformed bytes become '?', at most about 100 bytes.
std::string printable(std::string_view text);

// Writes 1 to 4 bytes to `out` and returns how many; code_point is at most U+10FFFF.
size_t encode_utf8(uint32_t code_point, char* out);
void append_utf8(std::string& text, uint32_t code_point);

// The text with each malformed part replaced by U+FFFD.
std::string to_valid_utf8(std::string_view bytes);

// Turns token bytes into whole UTF-8 sequences. All pushes and the flush together give to_valid_utf8 of all bytes. One thread at a time.
class Utf8Stream {
  public:
    // Whole sequences that are complete by now; malformed bytes are replaced, an unfinished sequence (at most 3 bytes) is kept.
    std::string push(std::string_view bytes);
    // What is left: nothing, or U+FFFD for an unfinished sequence. The stream can be used again.
    std::string flush();
    bool has_pending() const { return !pending_.empty(); }

  private:
    std::string pending_;
};

}  // namespace ponder

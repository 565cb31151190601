// SPDX-License-Identifier: Apache-2.0
// Unicode facts that tokenizers rest on: NFC, character classes, and GPT-2's printable alphabet for bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ponder {

// Normalization Form C of the well-formed parts; malformed bytes stay as they are. Linear in the text, whatever marks it holds. The data
// are Unicode 9's, as in Hugging Face's tokenizers (their crate unicode-normalization-alignments), whatever the Unicode library knows:
// a mark that is newer neither moves nor composes.
std::string normalize_nfc(std::string_view text);
// True for a character that normalizing by Unicode 9 leaves alone and a later version might not.
bool is_inert_in_nfc(uint32_t code_point);

// White_Space of Unicode, and what regular expressions call a word character (UTS 18): alphabetic characters, marks, decimal digits,
// connecting punctuation, and the two joiners.
bool is_white_space(uint32_t code_point);
bool is_word_character(uint32_t code_point);

// GPT-2's bijection between the 256 bytes and printable code points, in which byte-level vocabularies are written:
// 33-126, 161-172 and 174-255 stand for themselves, the other 68 bytes in order for U+0100 to U+0143.
uint32_t byte_to_printable(uint8_t byte);
// -1 if the code point stands for no byte.
int printable_to_byte(uint32_t code_point);

// A regular-expression library classes characters by the Unicode version that it was built with. Vocabularies here follow Unicode 16.
// True if `text` (well-formed) has characters whose class an older library may not know, or knows differently; then `out` is the text
// with each of them replaced by a neighbour of the same general category and the same number of bytes, so that matches keep their offsets.
bool replace_newer_characters(std::string_view text, std::string& out);

}  // namespace ponder

// SPDX-License-Identifier: Apache-2.0
// The split patterns that model families were published with, and their GGUF names.
#include <algorithm>
#include <iterator>
#include <span>

#include "text/pretokenizer.hpp"

namespace ponder {

const char kGpt2Pattern[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

namespace {

// Each takes time linear in the text, also on long runs of one character: measure before adding one.
constexpr char kLlama3[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr char kQwen2[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr char kUpTo3Digits[] = "\\p{N}{1,3}";
constexpr char kOneDigit[] = "\\p{N}";
constexpr char kDigits[] = "\\p{N}+";
constexpr char kCjkAndKana[] = "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+";
constexpr char kDeepSeekV3[] =
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "
    "?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+";
constexpr char kNewline[] = "[\r\n]";
constexpr char kCjkAndHangul[] = "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+";
constexpr char kCoderLetters[] = "\\s?\\p{L}+";
constexpr char kCoderPunctuation[] = "\\s?\\p{P}+";
// The cased letters of Unicode 10, as the tokenizer of deepseek-llm lists them.
constexpr char kLlmLetters[] =
    "\\s?["
    "\\x{41}-\\x{5A}\\x{61}-\\x{7A}\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}\\x{1C4}-\\x{293}"
    "\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}\\x{37F}\\x{386}\\x{388}-\\x{38A}\\x{38C}"
    "\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}\\x{3F7}-\\x{481}\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}"
    "\\x{13A0}-\\x{13F5}\\x{13F8}-\\x{13FD}\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}"
    "\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}"
    "\\x{1F59}\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}"
    "\\x{1FC6}-\\x{1FCC}\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}"
    "\\x{2102}\\x{2107}\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{2124}\\x{2126}\\x{2128}\\x{212A}-\\x{212D}"
    "\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}\\x{2145}-\\x{2149}\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}"
    "\\x{2C7E}-\\x{2CE4}\\x{2CEB}-\\x{2CEE}\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}\\x{A722}-\\x{A76F}"
    "\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}"
    "\\x{FF41}-\\x{FF5A}\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}"
    "\\x{10CC0}-\\x{10CF2}\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}"
    "]+";
constexpr char kLlmPunctuation[] = "\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+";
// Published as \s+$, which looks at the rest of a run from each of its characters.
constexpr char kLlmTrailingSpace[] = "(?<!\\s)\\s++$";

constexpr const char* kTrusted[] = {kGpt2Pattern, kLlama3,     kQwen2,   kUpTo3Digits,  kOneDigit,     kDigits,
                                    kCjkAndKana,  kDeepSeekV3, kNewline, kCjkAndHangul, kCoderLetters, kCoderPunctuation};

constexpr const char* kGpt2Stages[] = {kGpt2Pattern};
constexpr const char* kLlama3Stages[] = {kLlama3};
constexpr const char* kQwen2Stages[] = {kQwen2};
constexpr const char* kDeepSeekV3Stages[] = {kUpTo3Digits, kCjkAndKana, kDeepSeekV3};
constexpr const char* kDeepSeekLlmStages[] = {kNewline, kLlmLetters, kLlmPunctuation, kLlmTrailingSpace, kCjkAndHangul, kOneDigit};
constexpr const char* kDeepSeekCoderStages[] = {kNewline, kCoderLetters, kCoderPunctuation, kCjkAndHangul, kOneDigit};

struct Family {
    std::string_view name;
    std::span<const char* const> stages;  // each isolates its matches
    bool uses_nfc, ignores_merges, adds_bos;
};

// Of families that split alike the first is the name that is given to a tokenizer of that kind.
constexpr Family kFamilies[] = {
    {"deepseek-v3", kDeepSeekV3Stages, false, false, false},
    {"qwen2", kQwen2Stages, true, false, false},
    {"deepseek-r1-qwen", kQwen2Stages, true, false, false},
    {"llama-bpe", kLlama3Stages, false, true, true},
    {"llama3", kLlama3Stages, false, true, true},
    {"llama-v3", kLlama3Stages, false, true, true},
    {"gpt-2", kGpt2Stages, false, false, false},
    {"deepseek-llm", kDeepSeekLlmStages, false, false, false},
    {"deepseek-coder", kDeepSeekCoderStages, false, false, false},
};

// Cut by each family in its own way: cases, runs of digits, scripts, marks, punctuation before and after letters, and white space of every
// kind and place.
constexpr char kProbe[] =
    "I'M it's we'LL They'd x1 12 345 6789 12345678 _a $b (c) #d \"e\" f-g h.i j/k l?! m... n\n\no \r\n p \t q  r   \n s\u00a0t "
    "\u00e9t\u00e9 \u00c5ngstr\u00f6m e\u0301 \u0415\u0449\u0451 \u03b1\u03b2\u03b3 \u4f60\u597d12\u4e16\u754cab \u3053\u3093\u30ab\u30bf "
    "\ud55c\uad6d\uc5b4 \u0645\u0631\u062d\u0628\u0627 \u0939\u093f\u0928\u094d\u0926\u0940 \u00bd \u0663\u0664\u0665\u0666 \u2167 "
    "\U0001F600x \u201cy\u201d\uff0cz\u3002 <|w|> a\n b\n\n\n c    d\t\te \n \n    if (x==3):\n\treturn 0;   ";

Result<std::vector<std::string_view>> split_probe(const Pretokenizer& pretokenizer) {
    std::vector<std::string_view> pieces;
    const auto state = MatchState::create(sizeof kProbe);
    if (!state) return state.error();
    const auto keep = [&](std::string_view piece) -> Result<void> {
        pieces.push_back(piece);
        return {};
    };
    if (auto split = pretokenizer.split(kProbe, **state, keep); !split) return split.error();
    return pieces;
}

}  // namespace

Result<std::string_view> find_pretokenizer_family(const PretokenizerFamily& wanted) {
    const auto pieces = split_probe(wanted.pretokenizer);
    if (!pieces) return pieces.error();
    for (const Family& row : kFamilies) {
        if (row.uses_nfc != wanted.uses_nfc || row.ignores_merges != wanted.ignores_merges) continue;
        const auto family = pretokenizer_family(row.name);
        if (!family) return family.error();
        const auto of_family = split_probe(family->pretokenizer);
        if (!of_family) return of_family.error();
        if (*of_family == *pieces) return row.name;
    }
    return make_error(PONDER_STATUS_UNSUPPORTED,
                      "the tokenizer splits text as no known family does, so tokenizer.ggml.pre has no name for it");
}

Result<PretokenizerFamily> pretokenizer_family(std::string_view name) {
    const auto* row = std::find_if(std::begin(kFamilies), std::end(kFamilies), [&](const Family& family) { return family.name == name; });
    if (row == std::end(kFamilies)) {
        return make_error(PONDER_STATUS_UNSUPPORTED, "pre-tokenizer '%.*s' is not known",
                          static_cast<int>(std::min<size_t>(name.size(), 64)), name.data());
    }
    PretokenizerFamily family;
    family.uses_nfc = row->uses_nfc;
    family.ignores_merges = row->ignores_merges;
    family.adds_bos = row->adds_bos;
    for (const char* source : row->stages) {
        Result<Pattern> pattern = Pattern::compile(source, Pattern::Syntax::kRegex, Pattern::Cost::kTrusted);
        if (!pattern) return pattern.error();
        if (auto added = family.pretokenizer.add_stage({std::move(*pattern), SplitBehavior::kIsolated, false}); !added)
            return added.error();
    }
    return family;
}

Result<Pattern> compile_split_pattern(std::string_view source, Pattern::Syntax syntax) {
    const bool is_known = std::any_of(std::begin(kTrusted), std::end(kTrusted), [&](const char* known) { return source == known; });
    return Pattern::compile(source, syntax, is_known ? Pattern::Cost::kTrusted : Pattern::Cost::kBounded);
}

}  // namespace ponder

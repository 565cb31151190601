// SPDX-License-Identifier: Apache-2.0
// PCRE2 behind Pattern: options, refusals, and the step counter that bounds patterns from files.
#include "text/pretokenizer_pattern.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "base/limits.hpp"

namespace ponder {

namespace {

template <auto free_fn>
struct Free {
    template <class T>
    void operator()(T* object) const {
        free_fn(object);
    }
};
using CodePtr = std::unique_ptr<pcre2_code, Free<pcre2_code_free>>;
using CompileContextPtr = std::unique_ptr<pcre2_compile_context, Free<pcre2_compile_context_free>>;
using MatchContextPtr = std::unique_ptr<pcre2_match_context, Free<pcre2_match_context_free>>;
using MatchDataPtr = std::unique_ptr<pcre2_match_data, Free<pcre2_match_data_free>>;

constexpr int64_t kFreeSteps = 1'000'000, kStepsPerByte = 256;
constexpr uint32_t kHeapLimitKiB = 65'536;

// Called before each item of a bounded pattern. Distance moved since the last call is work done inside a repeat, where no call is made.
struct StepCounter {
    int64_t steps_left = 0;
    size_t last_position = 0;
};

int count_step(pcre2_callout_block* block, void* data) {
    auto& counter = *static_cast<StepCounter*>(data);
    const size_t position = block->current_position;
    const size_t moved = position > counter.last_position ? position - counter.last_position : counter.last_position - position;
    counter.last_position = position;
    counter.steps_left -= 1 + static_cast<int64_t>(moved);
    return counter.steps_left > 0 ? 0 : PCRE2_ERROR_CALLOUT;
}

// Written alike, read differently: class intersections and \h (a hexadecimal digit) of Oniguruma, verbs of PCRE2.
const char* foreign_construct(std::string_view source) {
    if (source.starts_with("(*")) return "(*";
    bool in_class = false;
    for (size_t i = 0; i < source.size(); ++i) {
        const char next = i + 1 < source.size() ? source[i + 1] : '\0';
        if (source[i] == '\\') {
            if (next == 'h') return "\\h";
            if (next == 'H') return "\\H";
            ++i;
        } else if (in_class) {
            if (source[i] == '&' && next == '&') return "&&";
            if (source[i] == '[' && next != ':') return "a class inside a class";
            if (source[i] == '[') ++i;
            if (source[i] == ']') in_class = false;
        } else if (source[i] == '[') {
            in_class = true;
            if (next == '^') ++i;
            if (i + 1 < source.size() && source[i + 1] == ']') ++i;
        }
    }
    return nullptr;
}

std::string pcre2_message(int code) {
    PCRE2_UCHAR text[256];
    if (pcre2_get_error_message(code, text, sizeof text) < 0) return "error " + std::to_string(code);
    return reinterpret_cast<const char*>(text);
}

}  // namespace

struct MatchState::Handles {
    MatchDataPtr data;
    MatchContextPtr trusted, bounded;
    StepCounter counter;
};

struct Pattern::Code {
    CodePtr code;
    Cost cost;
    bool is_jit = false;
};

MatchState::MatchState() = default;
MatchState::~MatchState() = default;

Result<std::unique_ptr<MatchState>> MatchState::create(size_t text_bytes) {
    auto handles = std::make_unique<Handles>();
    handles->data.reset(pcre2_match_data_create(1, nullptr));
    handles->trusted.reset(pcre2_match_context_create(nullptr));
    handles->bounded.reset(pcre2_match_context_create(nullptr));
    if (!handles->data || !handles->trusted || !handles->bounded) {
        return make_error(PONDER_STATUS_OUT_OF_MEMORY, "no memory for pattern matching");
    }
    handles->counter.steps_left = kFreeSteps + kStepsPerByte * static_cast<int64_t>(std::min(text_bytes, limits::kMaxTextBytes));
    // Interpreted matching counts each step of a backtracking repeat, so the limit must grow with the text.
    pcre2_set_match_limit(handles->trusted.get(), ~uint32_t{0});
    pcre2_set_match_limit(handles->bounded.get(), static_cast<uint32_t>(std::min<int64_t>(handles->counter.steps_left, ~uint32_t{0})));
    pcre2_set_heap_limit(handles->trusted.get(), kHeapLimitKiB);
    pcre2_set_heap_limit(handles->bounded.get(), kHeapLimitKiB);
    pcre2_set_callout(handles->bounded.get(), count_step, &handles->counter);
    std::unique_ptr<MatchState> state(new MatchState());
    state->handles_ = std::move(handles);
    return state;
}

Pattern::Pattern(std::unique_ptr<Code> code) : code_(std::move(code)) {}
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

Result<Pattern> Pattern::compile(std::string_view source, Syntax syntax, Cost cost) {
    if (source.size() > limits::kMaxPatternBytes) {
        return make_error(PONDER_STATUS_LIMIT, "a split pattern has %zu bytes; the limit is %zu", source.size(), limits::kMaxPatternBytes);
    }
    if (source.empty()) return make_error(PONDER_STATUS_FORMAT, "a split pattern is empty");
    if (syntax == Syntax::kRegex) {
        if (const char* construct = foreign_construct(source)) {
            return make_error(PONDER_STATUS_UNSUPPORTED, "a split pattern uses '%s'", construct);
        }
    }
    const CompileContextPtr context(pcre2_compile_context_create(nullptr));
    if (!context) return make_error(PONDER_STATUS_OUT_OF_MEMORY, "no memory to compile a split pattern");
    pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
    pcre2_set_bsr(context.get(), PCRE2_BSR_UNICODE);

    uint32_t options = PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C;
    options |= syntax == Syntax::kLiteral ? PCRE2_LITERAL : PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NO_AUTO_CAPTURE;
    if (syntax == Syntax::kLiteral) options &= ~uint32_t{PCRE2_NEVER_BACKSLASH_C};
    // A literal takes linear time by itself and PCRE2 wants no callouts in one.
    if (cost == Cost::kBounded && syntax == Syntax::kRegex) options |= PCRE2_AUTO_CALLOUT;
    int error = 0;
    PCRE2_SIZE error_at = 0;
    auto code = std::make_unique<Code>();
    code->cost = cost;
    code->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source.data()), source.size(), options, &error, &error_at, context.get()));
    if (!code->code) {
        return make_error(PONDER_STATUS_FORMAT, "a split pattern is malformed at byte %zu: %s", error_at, pcre2_message(error).c_str());
    }
    uint32_t max_reference = 0;
    pcre2_pattern_info(code->code.get(), PCRE2_INFO_BACKREFMAX, &max_reference);
    // A failed back reference compares text that no step counts.
    if (max_reference > 0) return make_error(PONDER_STATUS_UNSUPPORTED, "a split pattern refers back to a group");
    // Where memory can not be made executable the pattern is interpreted: the same matches, more slowly.
    code->is_jit = pcre2_jit_compile(code->code.get(), PCRE2_JIT_COMPLETE) == 0;
    return Pattern(std::move(code));
}

Result<PatternMatch> Pattern::find(std::string_view subject, size_t from, MatchState& state) const {
    MatchState::Handles& handles = *state.handles_;
    pcre2_match_context* context = code_->cost == Cost::kTrusted ? handles.trusted.get() : handles.bounded.get();
    const auto* text = reinterpret_cast<PCRE2_SPTR>(subject.data());
    handles.counter.last_position = from;
    int rc = PCRE2_ERROR_JIT_STACKLIMIT;
    if (code_->is_jit) rc = pcre2_jit_match(code_->code.get(), text, subject.size(), from, 0, handles.data.get(), context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
        rc = pcre2_match(code_->code.get(), text, subject.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, handles.data.get(), context);
    }
    if (rc == PCRE2_ERROR_NOMATCH) return PatternMatch{};
    if (rc == PCRE2_ERROR_NOMEMORY) return make_error(PONDER_STATUS_OUT_OF_MEMORY, "no memory to match a split pattern");
    if (rc == PCRE2_ERROR_CALLOUT)
        return make_error(PONDER_STATUS_LIMIT, "a split pattern takes more than %lld steps a byte of this text",
                          static_cast<long long>(kStepsPerByte));
    if (rc < 0) return make_error(PONDER_STATUS_LIMIT, "a split pattern takes too much work on this text: %s", pcre2_message(rc).c_str());
    const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(handles.data.get());
    // \K can put the reported begin after the end, or before `from` inside a look-behind.
    if (offsets[0] < from || offsets[1] < offsets[0] || offsets[1] > subject.size()) {
        return make_error(PONDER_STATUS_UNSUPPORTED, "a split pattern moves the begin of its match");
    }
    return PatternMatch{offsets[0], offsets[1], true};
}

}  // namespace ponder

// SPDX-License-Identifier: Apache-2.0
// C ABI: tokenizers and chat templates.
#include "capi/guard.hpp"
#include "capi/handles.hpp"
#include "format/json.hpp"

using ponder::make_error;
using ponder::Result;
using ponder::capi::fill_buffer;
using ponder::capi::guard;
using ponder::capi::require;
using ponder::capi::write_struct;

namespace {

Result<const ponder::Tokenizer*> tokenizer_of(const ponder_text* text) {
    const ponder::Tokenizer* tokenizer = text->impl->tokenizer();
    if (tokenizer == nullptr) return make_error(PONDER_STATUS_UNSUPPORTED, "there is no tokenizer");
    return tokenizer;
}

}  // namespace

extern "C" {

PONDER_API ponder_status ponder_text_open(const char* path, ponder_text** out, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (out != nullptr) *out = nullptr;
        if (auto given = require("path and out", path, out); !given) return given;
        auto side = ponder::TextSide::open(path);
        if (!side) return side.error();
        *out = new ponder_text{std::move(*side)};
        return {};
    });
}

PONDER_API void ponder_text_close(ponder_text* text) { delete text; }

PONDER_API ponder_status ponder_text_describe(const ponder_text* text, ponder_text_info* out, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (auto given = require("text", text); !given) return given;
        const ponder::TextSide& side = *text->impl;
        const ponder::Tokenizer* tokenizer = side.tokenizer();
        const ponder_text_info info{.struct_size = sizeof info,
                                    .n_tokens = tokenizer != nullptr ? tokenizer->n_tokens() : 0,
                                    .bos_token = tokenizer != nullptr ? tokenizer->bos() : -1,
                                    .eos_token = tokenizer != nullptr ? tokenizer->eos() : -1,
                                    .adds_bos = tokenizer != nullptr && tokenizer->adds_bos(),
                                    .has_template = side.has_template(),
                                    .think_token = side.think_token(),
                                    .end_think_token = side.end_think_token()};
        return write_struct(info, out, "out");
    });
}

PONDER_API ponder_status ponder_text_tokenize(const ponder_text* text, const char* bytes, size_t size, uint32_t flags, int32_t* tokens,
                                              size_t capacity, size_t* n_needed, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (n_needed != nullptr) *n_needed = 0;
        if (auto given = require("text and n_needed", text, n_needed); !given) return given;
        if (bytes == nullptr && size > 0) return make_error(PONDER_STATUS_INVALID_ARGUMENT, "bytes must not be NULL");
        if ((flags & ~static_cast<uint32_t>(PONDER_TOKENIZE_SPECIAL | PONDER_TOKENIZE_BOS)) != 0) {
            return make_error(PONDER_STATUS_UNSUPPORTED, "flags %u are not all known", flags);
        }
        const auto tokenizer = tokenizer_of(text);
        if (!tokenizer) return tokenizer.error();
        auto ids = (*tokenizer)->encode({bytes, size}, {.parse_special = (flags & PONDER_TOKENIZE_SPECIAL) != 0});
        if (!ids) return ids.error();
        if ((flags & PONDER_TOKENIZE_BOS) != 0 && (*tokenizer)->adds_bos() && (*tokenizer)->bos() >= 0)
            ids->insert(ids->begin(), (*tokenizer)->bos());
        return fill_buffer(ids->data(), ids->size(), tokens, capacity, n_needed);
    });
}

PONDER_API ponder_status ponder_text_detokenize(const ponder_text* text, const int32_t* tokens, size_t n, char* buffer, size_t capacity,
                                                size_t* size_needed, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (size_needed != nullptr) *size_needed = 0;
        if (auto given = require("text and size_needed", text, size_needed); !given) return given;
        if (tokens == nullptr && n > 0) return make_error(PONDER_STATUS_INVALID_ARGUMENT, "tokens must not be NULL");
        const auto tokenizer = tokenizer_of(text);
        if (!tokenizer) return tokenizer.error();
        const auto decoded = (*tokenizer)->decode(std::span(tokens, n));
        if (!decoded) return decoded.error();
        return fill_buffer(decoded->data(), decoded->size(), buffer, capacity, size_needed);
    });
}

PONDER_API ponder_status ponder_text_render(const ponder_text* text, const char* context_json, size_t context_size, char* buffer,
                                            size_t capacity, size_t* size_needed, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (size_needed != nullptr) *size_needed = 0;
        if (auto given = require("text, context_json and size_needed", text, context_json, size_needed); !given) return given;
        auto context = ponder::parse_ordered_json({context_json, context_size});
        if (!context) return context.error();
        const auto rendered = text->impl->render(std::move(*context));
        if (!rendered) return rendered.error();
        return fill_buffer(rendered->text.data(), rendered->text.size(), buffer, capacity, size_needed);
    });
}

}  // extern "C"

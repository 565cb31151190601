// SPDX-License-Identifier: Apache-2.0
// Every limit that untrusted input is held to, in one place. Past a limit the answer is PONDER_STATUS_LIMIT and the limit's value.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ponder::limits {

// Model files (GGUF; tensors and dimensions of every format).
inline constexpr uint64_t kMaxMetadataKeys = 65'536;
inline constexpr uint64_t kMaxTensors = 262'144;  // R1 has 1,086; a per-expert layout of it would have 48,000
inline constexpr uint64_t kMaxKeyBytes = 65'535;  // GGUF's own limit
inline constexpr uint64_t kMaxTensorNameBytes = 255;
inline constexpr uint64_t kMaxStringBytes = 16u << 20;   // chat templates are tens of kB
inline constexpr uint64_t kMaxArrayElements = 1u << 25;  // vocabularies and merges are below 2^20
inline constexpr int kMaxDims = 4;
inline constexpr uint64_t kMaxDimension = 1ull << 40;
inline constexpr uint64_t kMinAlignment = 8, kMaxAlignment = 1u << 20;  // GGUF asks for a multiple of 8
inline constexpr uint32_t kMaxSplitFiles = 4'096;

// Hugging Face folders.
inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;  // the format's own limit
inline constexpr size_t kMaxShardIndexBytes = 64u << 20;             // R1's has 9 MB
inline constexpr size_t kMaxConfigBytes = 16u << 20;                 // config.json and others of its kind

// Model shapes. Each keeps products of two of them inside int64.
inline constexpr int64_t kMaxLayers = 1'024;
inline constexpr int64_t kMaxWidth = 1 << 20;  // embedding, feed-forward and attention widths
inline constexpr int64_t kMaxHeads = 4'096;
inline constexpr int64_t kMaxExperts = 4'096;
inline constexpr int64_t kMaxContext = 1 << 26;
inline constexpr int64_t kMaxVocabulary = 1 << 22;

// Text.
inline constexpr size_t kMaxTokenBytes = 65'536;   // one vocabulary entry
inline constexpr size_t kMaxTextBytes = 1u << 30;  // one text to tokenize; keeps token counts inside int32
inline constexpr size_t kMaxTokenizerFileBytes = 256u << 20;
inline constexpr size_t kMaxSpecialTokens = 1u << 16;
inline constexpr size_t kMaxSpecialTokenBytes = 256;  // text of one; bounds the work of looking for them
inline constexpr size_t kMaxMerges = 1u << 22;        // Llama 3 has 280,147
inline constexpr size_t kMaxPatternBytes = 16'384;    // a pre-tokenizer's regular expression
inline constexpr size_t kMaxStopStrings = 64, kMaxStopBytes = 1'024;

// JSON from callers and files.
inline constexpr int kMaxJsonDepth = 128;
inline constexpr size_t kMaxJsonBytes = 256u << 20;
inline constexpr size_t kMaxOrderedJsonMembers = 10'000;  // of one object that keeps its order: messages, tools, template variables

// Chat templates.
inline constexpr size_t kMaxTemplateBytes = 1u << 20;
inline constexpr int kMaxTemplateDepth = 128;      // of a source: nesting of expressions and of blocks
inline constexpr int kMaxTemplateCallDepth = 256;  // of a render: blocks, expressions and macro calls inside each other
inline constexpr uint64_t kMaxTemplateSteps =
    10'000'000;  // evaluated nodes and copied bytes/64, so a hostile template stops in about a second
inline constexpr size_t kMaxTemplateOutputBytes = 64u << 20;
inline constexpr size_t kMaxTemplateMemoryBytes = 256u << 20;
inline constexpr uint64_t kMaxTemplateRange = 100'000;  // elements of range(), as in Jinja2's sandbox

// Runtime.
inline constexpr int32_t kMaxThreads = 1'024;
inline constexpr size_t kMaxDevices = 16;  // of one placement
inline constexpr size_t kMaxMessages = 65'536;

}  // namespace ponder::limits

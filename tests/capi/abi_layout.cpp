// SPDX-License-Identifier: Apache-2.0
// The binary layout that 0.1 promised: this file only grows. A line that stops compiling is a broken ABI, not a stale test.
#include <cstddef>

#include "ponder/ponder.h"

#if defined(__LP64__) && (defined(__x86_64__) || defined(__aarch64__))

// offsetof takes a member's name, which no function or template can carry.
#define PONDER_TEST_FIELD(type, field, offset, size)                                 \
    static_assert(offsetof(type, field) == (offset), #type "." #field " has moved"); \
    static_assert(sizeof(static_cast<type*>(nullptr)->field) == (size), #type "." #field " has another size")

static_assert(sizeof(ponder_error) == 1024);
PONDER_TEST_FIELD(ponder_error, status, 0, 4);
PONDER_TEST_FIELD(ponder_error, message, 4, 1020);

static_assert(sizeof(ponder_device_info) == 48);
PONDER_TEST_FIELD(ponder_device_info, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_device_info, index, 4, 4);
PONDER_TEST_FIELD(ponder_device_info, backend, 8, 8);
PONDER_TEST_FIELD(ponder_device_info, name, 16, 8);
PONDER_TEST_FIELD(ponder_device_info, description, 24, 8);
PONDER_TEST_FIELD(ponder_device_info, memory_bytes, 32, 8);
PONDER_TEST_FIELD(ponder_device_info, is_usable, 40, 4);
PONDER_TEST_FIELD(ponder_device_info, n_threads, 44, 4);

static_assert(sizeof(ponder_model_params) == 72);
PONDER_TEST_FIELD(ponder_model_params, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_model_params, n_threads, 4, 4);
PONDER_TEST_FIELD(ponder_model_params, backend, 8, 8);
PONDER_TEST_FIELD(ponder_model_params, device, 16, 4);
PONDER_TEST_FIELD(ponder_model_params, weights, 20, 4);
PONDER_TEST_FIELD(ponder_model_params, memory_cap, 24, 8);
PONDER_TEST_FIELD(ponder_model_params, on_progress, 32, 8);
PONDER_TEST_FIELD(ponder_model_params, progress_user_data, 40, 8);
PONDER_TEST_FIELD(ponder_model_params, device_cache, 48, 8);
PONDER_TEST_FIELD(ponder_model_params, device_cache_size, 56, 8);
PONDER_TEST_FIELD(ponder_model_params, placement, 64, 8);

static_assert(sizeof(ponder_placement) == 24);
PONDER_TEST_FIELD(ponder_placement, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_placement, experts, 4, 4);
PONDER_TEST_FIELD(ponder_placement, devices, 8, 8);
PONDER_TEST_FIELD(ponder_placement, n_devices, 16, 8);

static_assert(sizeof(ponder_device_share) == 32);
PONDER_TEST_FIELD(ponder_device_share, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_device_share, device, 4, 4);
PONDER_TEST_FIELD(ponder_device_share, backend, 8, 8);
PONDER_TEST_FIELD(ponder_device_share, memory_bytes, 16, 8);
PONDER_TEST_FIELD(ponder_device_share, n_layers, 24, 4);
PONDER_TEST_FIELD(ponder_device_share, reserved, 28, 4);

static_assert(sizeof(ponder_model_info) == 120);
PONDER_TEST_FIELD(ponder_model_info, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_model_info, n_vocab, 4, 4);
PONDER_TEST_FIELD(ponder_model_info, architecture, 8, 8);
PONDER_TEST_FIELD(ponder_model_info, name, 16, 8);
PONDER_TEST_FIELD(ponder_model_info, backend, 24, 8);
PONDER_TEST_FIELD(ponder_model_info, device, 32, 8);
PONDER_TEST_FIELD(ponder_model_info, isa, 40, 8);
PONDER_TEST_FIELD(ponder_model_info, n_parameters, 48, 8);
PONDER_TEST_FIELD(ponder_model_info, context_length, 56, 8);
PONDER_TEST_FIELD(ponder_model_info, n_layers, 64, 4);
PONDER_TEST_FIELD(ponder_model_info, n_embd, 68, 4);
PONDER_TEST_FIELD(ponder_model_info, n_heads, 72, 4);
PONDER_TEST_FIELD(ponder_model_info, n_kv_heads, 76, 4);
PONDER_TEST_FIELD(ponder_model_info, head_dim, 80, 4);
PONDER_TEST_FIELD(ponder_model_info, has_chat_template, 84, 4);
PONDER_TEST_FIELD(ponder_model_info, can_think, 88, 4);
PONDER_TEST_FIELD(ponder_model_info, n_threads, 92, 4);
PONDER_TEST_FIELD(ponder_model_info, file_bytes, 96, 8);
PONDER_TEST_FIELD(ponder_model_info, decode_bytes, 104, 8);
PONDER_TEST_FIELD(ponder_model_info, kv_bytes_per_token, 112, 8);

static_assert(sizeof(ponder_text_info) == 32);
PONDER_TEST_FIELD(ponder_text_info, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_text_info, n_tokens, 4, 4);
PONDER_TEST_FIELD(ponder_text_info, bos_token, 8, 4);
PONDER_TEST_FIELD(ponder_text_info, eos_token, 12, 4);
PONDER_TEST_FIELD(ponder_text_info, adds_bos, 16, 4);
PONDER_TEST_FIELD(ponder_text_info, has_template, 20, 4);
PONDER_TEST_FIELD(ponder_text_info, think_token, 24, 4);
PONDER_TEST_FIELD(ponder_text_info, end_think_token, 28, 4);

static_assert(sizeof(ponder_session_params) == 24);
PONDER_TEST_FIELD(ponder_session_params, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_session_params, context, 4, 4);
PONDER_TEST_FIELD(ponder_session_params, kv_type, 8, 4);
PONDER_TEST_FIELD(ponder_session_params, reserved, 12, 4);
PONDER_TEST_FIELD(ponder_session_params, system, 16, 8);

static_assert(sizeof(ponder_session_info) == 32);
PONDER_TEST_FIELD(ponder_session_info, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_session_info, context, 4, 4);
PONDER_TEST_FIELD(ponder_session_info, n_tokens, 8, 8);
PONDER_TEST_FIELD(ponder_session_info, kv_bytes, 16, 8);
PONDER_TEST_FIELD(ponder_session_info, n_messages, 24, 8);

static_assert(sizeof(ponder_message) == 56);
PONDER_TEST_FIELD(ponder_message, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_message, reserved, 4, 4);
PONDER_TEST_FIELD(ponder_message, role, 8, 8);
PONDER_TEST_FIELD(ponder_message, text, 16, 8);
PONDER_TEST_FIELD(ponder_message, text_size, 24, 8);
PONDER_TEST_FIELD(ponder_message, thinking, 32, 8);
PONDER_TEST_FIELD(ponder_message, thinking_size, 40, 8);
PONDER_TEST_FIELD(ponder_message, tool_calls_json, 48, 8);

static_assert(sizeof(ponder_generation_params) == 96);
PONDER_TEST_FIELD(ponder_generation_params, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_generation_params, max_tokens, 4, 4);
PONDER_TEST_FIELD(ponder_generation_params, thinking_budget, 8, 4);
PONDER_TEST_FIELD(ponder_generation_params, temperature, 12, 4);
PONDER_TEST_FIELD(ponder_generation_params, top_k, 16, 4);
PONDER_TEST_FIELD(ponder_generation_params, top_p, 20, 4);
PONDER_TEST_FIELD(ponder_generation_params, min_p, 24, 4);
PONDER_TEST_FIELD(ponder_generation_params, repetition_penalty, 28, 4);
PONDER_TEST_FIELD(ponder_generation_params, presence_penalty, 32, 4);
PONDER_TEST_FIELD(ponder_generation_params, is_raw, 36, 4);
PONDER_TEST_FIELD(ponder_generation_params, seed, 40, 8);
PONDER_TEST_FIELD(ponder_generation_params, stop, 48, 8);
PONDER_TEST_FIELD(ponder_generation_params, n_stop, 56, 8);
PONDER_TEST_FIELD(ponder_generation_params, tools_json, 64, 8);
PONDER_TEST_FIELD(ponder_generation_params, template_json, 72, 8);
PONDER_TEST_FIELD(ponder_generation_params, on_progress, 80, 8);
PONDER_TEST_FIELD(ponder_generation_params, progress_user_data, 88, 8);

static_assert(sizeof(ponder_event) == 80);
PONDER_TEST_FIELD(ponder_event, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_event, kind, 4, 4);
PONDER_TEST_FIELD(ponder_event, text, 8, 8);
PONDER_TEST_FIELD(ponder_event, text_size, 16, 8);
PONDER_TEST_FIELD(ponder_event, finish_reason, 24, 4);
PONDER_TEST_FIELD(ponder_event, reserved, 28, 4);
PONDER_TEST_FIELD(ponder_event, prompt_tokens, 32, 8);
PONDER_TEST_FIELD(ponder_event, cached_tokens, 40, 8);
PONDER_TEST_FIELD(ponder_event, thinking_tokens, 48, 8);
PONDER_TEST_FIELD(ponder_event, answer_tokens, 56, 8);
PONDER_TEST_FIELD(ponder_event, prefill_s, 64, 8);
PONDER_TEST_FIELD(ponder_event, decode_s, 72, 8);

static_assert(sizeof(ponder_evaluation) == 48);
PONDER_TEST_FIELD(ponder_evaluation, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_evaluation, reserved, 4, 4);
PONDER_TEST_FIELD(ponder_evaluation, session, 8, 8);
PONDER_TEST_FIELD(ponder_evaluation, tokens, 16, 8);
PONDER_TEST_FIELD(ponder_evaluation, n, 24, 8);
PONDER_TEST_FIELD(ponder_evaluation, logits, 32, 8);
PONDER_TEST_FIELD(ponder_evaluation, n_rows, 40, 8);

static_assert(sizeof(ponder_plan_info) == 104);
PONDER_TEST_FIELD(ponder_plan_info, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_plan_info, n_devices, 4, 4);
PONDER_TEST_FIELD(ponder_plan_info, weight_bytes, 8, 8);
PONDER_TEST_FIELD(ponder_plan_info, kv_bytes, 16, 8);
PONDER_TEST_FIELD(ponder_plan_info, scratch_bytes, 24, 8);
PONDER_TEST_FIELD(ponder_plan_info, host_bytes, 32, 8);
PONDER_TEST_FIELD(ponder_plan_info, total_bytes, 40, 8);
PONDER_TEST_FIELD(ponder_plan_info, kv_bytes_per_token, 48, 8);
PONDER_TEST_FIELD(ponder_plan_info, decode_bytes, 56, 8);
PONDER_TEST_FIELD(ponder_plan_info, context, 64, 8);
PONDER_TEST_FIELD(ponder_plan_info, max_context, 72, 8);
PONDER_TEST_FIELD(ponder_plan_info, fits, 80, 4);
PONDER_TEST_FIELD(ponder_plan_info, is_streaming, 84, 4);
PONDER_TEST_FIELD(ponder_plan_info, expert_bytes, 88, 8);
PONDER_TEST_FIELD(ponder_plan_info, least_bytes, 96, 8);

static_assert(sizeof(ponder_plan_device) == 80);
PONDER_TEST_FIELD(ponder_plan_device, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_plan_device, index, 4, 4);
PONDER_TEST_FIELD(ponder_plan_device, backend, 8, 8);
PONDER_TEST_FIELD(ponder_plan_device, name, 16, 8);
PONDER_TEST_FIELD(ponder_plan_device, weight_bytes, 24, 8);
PONDER_TEST_FIELD(ponder_plan_device, kv_bytes, 32, 8);
PONDER_TEST_FIELD(ponder_plan_device, scratch_bytes, 40, 8);
PONDER_TEST_FIELD(ponder_plan_device, total_bytes, 48, 8);
PONDER_TEST_FIELD(ponder_plan_device, first_layer, 56, 4);
PONDER_TEST_FIELD(ponder_plan_device, n_layers, 60, 4);
PONDER_TEST_FIELD(ponder_plan_device, n_expert_layers, 64, 4);
PONDER_TEST_FIELD(ponder_plan_device, reserved, 68, 4);
PONDER_TEST_FIELD(ponder_plan_device, memory_bytes, 72, 8);

static_assert(sizeof(ponder_file_info) == 64);
PONDER_TEST_FIELD(ponder_file_info, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_file_info, n_files, 4, 4);
PONDER_TEST_FIELD(ponder_file_info, architecture, 8, 8);
PONDER_TEST_FIELD(ponder_file_info, n_keys, 16, 8);
PONDER_TEST_FIELD(ponder_file_info, n_tensors, 24, 8);
PONDER_TEST_FIELD(ponder_file_info, file_bytes, 32, 8);
PONDER_TEST_FIELD(ponder_file_info, tensor_bytes, 40, 8);
PONDER_TEST_FIELD(ponder_file_info, n_parameters, 48, 8);
PONDER_TEST_FIELD(ponder_file_info, n_remarks, 56, 8);

static_assert(sizeof(ponder_tensor_info) == 80);
PONDER_TEST_FIELD(ponder_tensor_info, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_tensor_info, n_dims, 4, 4);
PONDER_TEST_FIELD(ponder_tensor_info, name, 8, 8);
PONDER_TEST_FIELD(ponder_tensor_info, type, 16, 8);
PONDER_TEST_FIELD(ponder_tensor_info, dims, 24, 32);
PONDER_TEST_FIELD(ponder_tensor_info, n_bytes, 56, 8);
PONDER_TEST_FIELD(ponder_tensor_info, offset, 64, 8);
PONDER_TEST_FIELD(ponder_tensor_info, file, 72, 4);
PONDER_TEST_FIELD(ponder_tensor_info, reserved, 76, 4);

static_assert(sizeof(ponder_synth_params) == 56);
PONDER_TEST_FIELD(ponder_synth_params, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_synth_params, n_layers, 4, 4);
PONDER_TEST_FIELD(ponder_synth_params, type, 8, 8);
PONDER_TEST_FIELD(ponder_synth_params, seed, 16, 8);
PONDER_TEST_FIELD(ponder_synth_params, tokenizer_path, 24, 8);
PONDER_TEST_FIELD(ponder_synth_params, n_experts, 32, 4);
PONDER_TEST_FIELD(ponder_synth_params, reserved, 36, 4);
PONDER_TEST_FIELD(ponder_synth_params, on_progress, 40, 8);
PONDER_TEST_FIELD(ponder_synth_params, progress_user_data, 48, 8);

static_assert(sizeof(ponder_convert_report) == 56);
PONDER_TEST_FIELD(ponder_convert_report, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_convert_report, reserved, 4, 4);
PONDER_TEST_FIELD(ponder_convert_report, n_tensors, 8, 8);
PONDER_TEST_FIELD(ponder_convert_report, n_copied, 16, 8);
PONDER_TEST_FIELD(ponder_convert_report, n_fallbacks, 24, 8);
PONDER_TEST_FIELD(ponder_convert_report, n_without_importance, 32, 8);
PONDER_TEST_FIELD(ponder_convert_report, source_bytes, 40, 8);
PONDER_TEST_FIELD(ponder_convert_report, written_bytes, 48, 8);

static_assert(sizeof(ponder_convert_params) == 48);
PONDER_TEST_FIELD(ponder_convert_params, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_convert_params, n_threads, 4, 4);
PONDER_TEST_FIELD(ponder_convert_params, type, 8, 8);
PONDER_TEST_FIELD(ponder_convert_params, imatrix_path, 16, 8);
PONDER_TEST_FIELD(ponder_convert_params, report, 24, 8);
PONDER_TEST_FIELD(ponder_convert_params, on_progress, 32, 8);
PONDER_TEST_FIELD(ponder_convert_params, progress_user_data, 40, 8);

static_assert(sizeof(ponder_streaming_info) == 72);
PONDER_TEST_FIELD(ponder_streaming_info, struct_size, 0, 4);
PONDER_TEST_FIELD(ponder_streaming_info, is_streaming, 4, 4);
PONDER_TEST_FIELD(ponder_streaming_info, capacity_bytes, 8, 8);
PONDER_TEST_FIELD(ponder_streaming_info, held_bytes, 16, 8);
PONDER_TEST_FIELD(ponder_streaming_info, n_demanded, 24, 8);
PONDER_TEST_FIELD(ponder_streaming_info, n_hits, 32, 8);
PONDER_TEST_FIELD(ponder_streaming_info, n_guessed, 40, 8);
PONDER_TEST_FIELD(ponder_streaming_info, n_guesses_used, 48, 8);
PONDER_TEST_FIELD(ponder_streaming_info, bytes_read, 56, 8);
PONDER_TEST_FIELD(ponder_streaming_info, n_tokens, 64, 8);

#undef PONDER_TEST_FIELD

#endif

static_assert(PONDER_STATUS_OK == 0);
static_assert(PONDER_STATUS_INVALID_ARGUMENT == 1);
static_assert(PONDER_STATUS_UNSUPPORTED == 2);
static_assert(PONDER_STATUS_BUSY == 3);
static_assert(PONDER_STATUS_BUFFER_TOO_SMALL == 4);
static_assert(PONDER_STATUS_NOT_FOUND == 5);
static_assert(PONDER_STATUS_CANCELLED == 6);
static_assert(PONDER_STATUS_IO == 100);
static_assert(PONDER_STATUS_FORMAT == 101);
static_assert(PONDER_STATUS_LIMIT == 102);
static_assert(PONDER_STATUS_OUT_OF_MEMORY == 200);
static_assert(PONDER_STATUS_MEMORY_CAP == 201);
static_assert(PONDER_STATUS_CONTEXT_FULL == 202);
static_assert(PONDER_STATUS_DEVICE == 300);
static_assert(PONDER_STATUS_DEVICE_LOST == 301);
static_assert(PONDER_STATUS_TEMPLATE == 400);
static_assert(PONDER_STATUS_INTERNAL == 900);

static_assert(PONDER_LOG_DEBUG == 1);
static_assert(PONDER_LOG_INFO == 2);
static_assert(PONDER_LOG_WARNING == 3);
static_assert(PONDER_LOG_ERROR == 4);

static_assert(PONDER_STAGE_OPEN == 1);
static_assert(PONDER_STAGE_PREPARE == 2);
static_assert(PONDER_STAGE_PREFILL == 3);
static_assert(PONDER_STAGE_WRITE == 4);

static_assert(PONDER_TOKENIZE_SPECIAL == 1);
static_assert(PONDER_TOKENIZE_BOS == 2);

static_assert(PONDER_KV_DEFAULT == 0);
static_assert(PONDER_KV_F32 == 1);
static_assert(PONDER_KV_F16 == 2);
static_assert(PONDER_KV_Q8_0 == 3);

static_assert(PONDER_EVENT_THINKING == 1);
static_assert(PONDER_EVENT_ANSWER == 2);
static_assert(PONDER_EVENT_TOOL_CALL == 3);
static_assert(PONDER_EVENT_DONE == 4);

static_assert(PONDER_FINISH_STOP == 1);
static_assert(PONDER_FINISH_LENGTH == 2);
static_assert(PONDER_FINISH_BUDGET == 3);
static_assert(PONDER_FINISH_CANCELLED == 4);

static_assert(PONDER_THINKING_NONE == -1);
static_assert(PONDER_LAYERS_NONE == -1);
static_assert(PONDER_GREEDY == -1.0f);

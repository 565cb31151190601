/* SPDX-License-Identifier: Apache-2.0 */
/* ponder.h and what it includes are C99 without extensions: every initialiser and type is used once, under -std=c99 -pedantic -Werror. */
#include "ponder/ponder.h"
#include "ponder/ponder.h" /* twice: the include guard */
#include "ponder/ponder_cache.h"
#include "ponder/ponder_placement.h"
#include "ponder/ponder_plan.h"
#include "ponder/ponder_streaming.h" /* before ponder.h on purpose */

int ponder_test_header_c99(void);

int ponder_test_header_c99(void) {
    ponder_error err = {0, ""};
    ponder_device_info device_info = PONDER_DEVICE_INFO_INIT;
    ponder_model_params model_params = PONDER_MODEL_PARAMS_INIT;
    ponder_model_info model_info = PONDER_MODEL_INFO_INIT;
    ponder_streaming_info streaming_info = PONDER_STREAMING_INFO_INIT;
    ponder_text_info text_info = PONDER_TEXT_INFO_INIT;
    ponder_session_params session_params = PONDER_SESSION_PARAMS_INIT;
    ponder_session_info session_info = PONDER_SESSION_INFO_INIT;
    ponder_message message = PONDER_MESSAGE_INIT;
    ponder_generation_params generation_params = PONDER_GENERATION_PARAMS_INIT;
    ponder_event event = PONDER_EVENT_INIT;
    ponder_evaluation evaluation = PONDER_EVALUATION_INIT;
    ponder_plan_info plan_info = PONDER_PLAN_INFO_INIT;
    ponder_plan_device plan_device = PONDER_PLAN_DEVICE_INIT;
    ponder_file_info file_info = PONDER_FILE_INFO_INIT;
    ponder_tensor_info tensor_info = PONDER_TENSOR_INFO_INIT;
    ponder_synth_params synth_params = PONDER_SYNTH_PARAMS_INIT;
    ponder_convert_params convert_params = PONDER_CONVERT_PARAMS_INIT;
    ponder_convert_report convert_report = PONDER_CONVERT_REPORT_INIT;
    return (int)err.status + (int)(device_info.struct_size - sizeof(device_info)) + (int)(model_params.struct_size - sizeof(model_params)) +
           (int)(model_info.struct_size - sizeof(model_info)) + (int)(text_info.struct_size - sizeof(text_info)) +
           (int)(session_params.struct_size - sizeof(session_params)) + (int)(session_info.struct_size - sizeof(session_info)) +
           (int)(message.struct_size - sizeof(message)) + (int)(generation_params.struct_size - sizeof(generation_params)) +
           (int)(event.struct_size - sizeof(event)) + (int)(evaluation.struct_size - sizeof(evaluation)) +
           (int)(plan_info.struct_size - sizeof(plan_info)) + (int)(plan_device.struct_size - sizeof(plan_device)) +
           (int)(file_info.struct_size - sizeof(file_info)) + (int)(tensor_info.struct_size - sizeof(tensor_info)) +
           (int)(synth_params.struct_size - sizeof(synth_params)) + (int)(convert_params.struct_size - sizeof(convert_params)) +
           (int)(convert_report.struct_size - sizeof(convert_report)) + (int)(streaming_info.struct_size - sizeof(streaming_info));
}

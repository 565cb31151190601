/* SPDX-License-Identifier: Apache-2.0 */
/* The shortest C program on ponder: asks a model one question and prints the answer. Usage: minimal MODEL.gguf [PROMPT] */
/* README: begin */
#include <ponder/ponder.h>
#include <stdio.h>

int main(int argc, char** argv) {
    const char* path = argc > 1 ? argv[1] : "r1-distill-qwen-7b-Q4_K_M.gguf";
    const char* question = argc > 2 ? argv[2] : "Which is larger, 9.11 or 9.9?";
    ponder_error err;
    ponder_model* model;
    if (ponder_model_open(path, NULL, &model, &err)) return fprintf(stderr, "%s\n", err.message), 1;
    ponder_session* session;
    ponder_generation* answer;
    if (ponder_session_create(model, NULL, &session, &err) || ponder_session_ask(session, question, NULL, &answer, &err))
        return fprintf(stderr, "%s\n", err.message), 1;
    ponder_event event = PONDER_EVENT_INIT;
    ponder_status status;
    while (!(status = ponder_generation_next(answer, &event, &err)) && event.kind != PONDER_EVENT_DONE)
        if (event.kind == PONDER_EVENT_ANSWER) fwrite(event.text, 1, event.text_size, stdout);
    if (status) fprintf(stderr, "%s\n", err.message);
    ponder_generation_destroy(answer);
    ponder_session_destroy(session);
    ponder_model_close(model);
    return status != PONDER_STATUS_OK;
}
/* README: end */

/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a tiny model for the tests that run whole programs. Usage: make_tiny_model SHAPE OUT.gguf */
#include <ponder/ponder.h>
#include <stdio.h>

int main(int argc, char** argv) {
    ponder_error err;
    ponder_synth_params params = PONDER_SYNTH_PARAMS_INIT;
    if (argc != 3) return fprintf(stderr, "usage: make_tiny_model SHAPE OUT.gguf\n"), 2;
    params.type = "F32";
    params.seed = 7;
    if (ponder_file_synthesize(argv[1], argv[2], &params, &err)) return fprintf(stderr, "%s\n", err.message), 1;
    return 0;
}

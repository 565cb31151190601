/* SPDX-License-Identifier: Apache-2.0 */
/* ponder.h's part on models that are larger than the memory they may use. ponder.h includes it; either may be included first.
 *
 * Where ponder_model_params.memory_cap (without one: nine tenths of what the system grants the process) does not hold a model with
 * routed experts, their matrices are read from the file when a layer needs them. The rest of the model stays in memory, and so do as many
 * matrices as there is room for, by last use. While a layer works, the matrices that the next one may need are read as guesses. What is
 * computed does not depend on any of it.
 */
#ifndef PONDER_PONDER_STREAMING_H
#define PONDER_PONDER_STREAMING_H

#include "ponder.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Counts run from the opening of the model on, over all of its sessions; a caller that measures takes the difference of two calls.
 * Hit rate: n_hits / n_demanded. Bytes read per token: bytes_read / n_tokens. One matrix is one expert's gate, up or down projection. */
typedef struct ponder_streaming_info {
    uint32_t struct_size;
    int32_t is_streaming;    /* 1; or 0: all weights are kept in memory, and all but n_tokens is 0 */
    uint64_t capacity_bytes; /* room for matrices; a part of memory_cap */
    uint64_t held_bytes;     /* of it: taken now */
    int64_t n_demanded;      /* matrices that layers needed */
    int64_t n_hits;          /* of these: in memory, or being read already, when the layer came to need them */
    int64_t n_guessed;       /* matrices read as guesses */
    int64_t n_guesses_used;  /* of these: then needed by a layer */
    uint64_t bytes_read;     /* from the file, for needs and guesses together */
    int64_t n_tokens;        /* tokens run through the layers, of prompts and of answers */
} ponder_streaming_info;
#define PONDER_STREAMING_INFO_INIT { sizeof(ponder_streaming_info), 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* What streaming has done so far. Any thread, also while the model works: counts of one call may then be some matrices apart.
 * Errors: INVALID_ARGUMENT. Since 0.1. */
PONDER_API ponder_status ponder_model_describe_streaming(const ponder_model *model, ponder_streaming_info *out, ponder_error *err);

#ifdef __cplusplus
}
#endif

#endif /* PONDER_PONDER_STREAMING_H */

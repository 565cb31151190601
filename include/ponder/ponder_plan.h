/* SPDX-License-Identifier: Apache-2.0 */
/* ponder.h's part on plans: what a model costs, before it is opened. ponder.h includes it; either may be included first. */
#ifndef PONDER_PONDER_PLAN_H
#define PONDER_PONDER_PLAN_H

#include "ponder.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ponder_plan ponder_plan;

typedef struct ponder_plan_info {
    uint32_t struct_size;
    int32_t n_devices;          /* devices with a share; at least 1 */
    uint64_t weight_bytes;      /* that stay in memory, mapped or uploaded */
    uint64_t kv_bytes;          /* one session filled to `context` */
    uint64_t scratch_bytes;     /* activations, those on their way between devices included */
    uint64_t host_bytes;        /* library, vocabulary, tables, logits: an estimate from the file's own counts */
    uint64_t total_bytes, kv_bytes_per_token;
    uint64_t decode_bytes;      /* weight bytes that one decode step reads */
    int64_t context;            /* the context planned for */
    int64_t max_context;        /* the largest context under memory_cap (at most the model's own); 0 if none fits; the model's without a cap */
    int32_t fits;               /* 1 if total_bytes is within memory_cap, or there is none */
    int32_t is_streaming;       /* 1 if memory_cap does not hold the model, but does without its experts, which are read when needed */
    uint64_t expert_bytes, least_bytes; /* kept of streamed experts, part of the total; the smallest memory_cap that fits */
} ponder_plan_info;
#define PONDER_PLAN_INFO_INIT { sizeof(ponder_plan_info), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

typedef struct ponder_plan_device {
    uint32_t struct_size;
    int32_t index;              /* device number, as in ponder_device_describe */
    const char *backend;        /* static */
    const char *name;           /* lives as long as the process */
    uint64_t weight_bytes, kv_bytes, scratch_bytes, total_bytes;
    int32_t first_layer, n_layers; /* that it runs */
    int32_t n_expert_layers;    /* layers, of any device, whose routed experts it runs */
    int32_t reserved;
    uint64_t memory_bytes;      /* its budget: ponder_device_share.memory_bytes, or what it had free; 0: none */
} ponder_plan_device;
#define PONDER_PLAN_DEVICE_INIT { sizeof(ponder_plan_device), 0, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Computes the cost of opening `path` with these params and one session of these params (each may be NULL), from the file's header alone.
 * Of a folder config.json is enough. Errors: as ponder_model_open, but not MEMORY_CAP: a plan over the cap is a plan with fits = 0. */
PONDER_API ponder_status ponder_plan_create(const char *path, const ponder_model_params *params, const ponder_session_params *session_params,
                                            ponder_plan **out, ponder_error *err);
PONDER_API void ponder_plan_destroy(ponder_plan *plan);
PONDER_API ponder_status ponder_plan_describe(const ponder_plan *plan, ponder_plan_info *out, ponder_error *err);
/* Share of device `i` of 0..n_devices-1. Errors: NOT_FOUND. */
PONDER_API ponder_status ponder_plan_describe_device(const ponder_plan *plan, int32_t i, ponder_plan_device *out, ponder_error *err);

#ifdef __cplusplus
}
#endif

#endif /* PONDER_PONDER_PLAN_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* The plug-in interface between ponder and its compute backends: devices, buffers, and programs of operations as plain data.
 *
 * The library turns a model into one ponder_program: a straight list of coarse operators over numbered operands. A backend says
 * which operators it takes, compiles the program into a plan of its own, and runs the plan on batches of rows. A row is one token of one
 * sequence. Operators are data: a new kind does not change this interface, a backend answers `supports` with no for kinds it does not know.
 *
 * Conventions: all functions return a ponder_status and fill `err` on failure, throw nothing, print nothing, and are called by one thread at a
 * time per device unless said otherwise. Matrices are row-major; dims[0] is the fastest dimension. Activations are float32.
 */
#ifndef PONDER_PONDER_BACKEND_H
#define PONDER_PONDER_BACKEND_H

#include "ponder/ponder.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PONDER_BACKEND_API_VERSION 2

/* Stored types use the numbers of the GGUF format; backends meet all of them. These have names here. From 1000 on they are ponder's own:
 * F8_E4M3 is DeepSeek's FP8, one byte an element, times a factor for each block of 128 x 128 elements (ponder_operand.scales). */
enum { PONDER_TYPE_F32 = 0, PONDER_TYPE_F16 = 1, PONDER_TYPE_Q8_0 = 8, PONDER_TYPE_BF16 = 30, PONDER_TYPE_F8_E4M3 = 1000 };

typedef struct ponder_device_handle ponder_device_handle; /* a backend's own types behind these three */
typedef struct ponder_buffer ponder_buffer;
typedef struct ponder_compiled ponder_compiled;

/* ---- Operands ------------------------------------------------------------------------------------------------------ */

typedef enum ponder_operand_role {
    PONDER_OPERAND_WEIGHT = 1,     /* immutable: a stored tensor or a constant table; bound to a buffer before `prepare` */
    PONDER_OPERAND_ACTIVATION = 2, /* float32 [n_rows, dims[0]] in scratch memory */
    PONDER_OPERAND_OUTPUT = 3      /* float32 [n_outputs, dims[0]] in scratch memory: one row for each requested output row */
} ponder_operand_role;

/* One matrix of a weight of three dimensions. */
typedef struct ponder_slice {
    ponder_buffer *buffer; /* where the bytes are on the device */
    uint64_t offset;       /* in `buffer` */
    const void *host_data;
} ponder_slice;

typedef struct ponder_operand {
    int32_t role;          /* ponder_operand_role */
    int32_t type;          /* stored type of a weight; PONDER_TYPE_F32 otherwise */
    int64_t dims[4];       /* weights: stored dims, fastest first; others: {width, 1, 1, 1} */
    const char *name;      /* for messages */
    const void *host_data; /* weights: bytes in host memory at any alignment; valid as long as the program. NULL: in slices, or streamed */
    uint64_t n_bytes;      /* weights: size of host_data, or of all slices */
    ponder_buffer *buffer; /* weights: where the bytes are on the device */
    uint64_t offset;       /* weights: in `buffer`; others: suggested start in scratch, in floats, to be multiplied by the most rows of the plan */
    int32_t scales;        /* weights of type F8_E4M3: the operand of their factors, F32 [ceil(dims[0] / 128), ceil(dims[1] / 128), dims[2]]; -1: none */
    int32_t is_streamed;   /* 1: a weight whose matrices are not kept: each run reaches them through ponder_run.source */
    const ponder_slice *slices; /* [dims[2]]: where each matrix lies, if they lie apart; NULL: `buffer` and `offset` hold them all */
} ponder_operand;

/* ---- Operators ----------------------------------------------------------------------------------------------------- */

typedef enum ponder_op_kind {
    PONDER_OP_EMBED = 1,       /* dst0[r] = row tokens[r] of src0, decoded */
    PONDER_OP_RMS_NORM = 2,    /* if src2: dst1 = src0 + src2, in place of src0; dst0 = rms_norm(src0) * src1, over groups of src1's length */
    PONDER_OP_MATMUL = 3,      /* dst0[r, j] = sum_i src0[r, i] * src1[j, i] (+ src2[j]) */
    PONDER_OP_ROPE = 4,        /* rotates dst0 = src0 in place; src1 = inverse frequencies [n_rot / 2] */
    PONDER_OP_KV_WRITE = 5,    /* appends src0 (keys) and, unless v_width is 0, src1 (values) to the cache at each row's position */
    PONDER_OP_ATTENTION = 6,   /* dst0 = softmax(scale * src0 . K) . V over the row's own sequence up to its position */
    PONDER_OP_SWIGLU = 7,      /* dst0 = silu(src0) * src1 */
    PONDER_OP_ADD = 8,         /* dst0 = src0 + src1, in place of src0 */
    PONDER_OP_GATHER_ROWS = 9, /* dst0[o] = src0[output_rows[o]] */
    PONDER_OP_LOGITS = 10,     /* logits[o, j] = sum_i src0[o, i] * src1[j, i] (+ src2[j]), to the run's host memory */

    /* Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1). The cache's keys are [latent | rotated key], one for all heads;
     * there are no values. Queries src0 are [n_heads, nope | rope]. src1 holds each head's two maps of the latent: either as one matrix
     * [n_latent, n_heads * (n_nope + v_head_dim)] with a head's keys before its values, or, with src2, src1 = keys [n_nope, n_latent, n_heads] and
     * src2 = values [n_latent, v_head_dim, n_heads]. dst0 = [n_heads, v_head_dim]. Absorbed and expanded forms are both right. */
    PONDER_OP_MLA_ATTENTION = 11,
    /* Mixture of experts. Chooses n_used experts a row from src0 = router logits [n_experts] and src1 = correction bias [n_experts] or absent:
     * dst0 = their numbers (whole, as float32), dst1 = their weights; ponder_moe_route_params has the rule. */
    PONDER_OP_MOE_ROUTE = 12,
    /* dst0 = sum over the chosen experts e of weight * (down_e . (silu(gate_e . src0) * up_e . src0)); src1, src2 = numbers and weights from a
     * route; src3, src4, src5 = gate, up [n_embd, n_ff, n_experts] and down [n_ff, n_embd, n_experts]. Without src4, src3 holds gate, then up:
     * [n_embd, 2 * n_ff, n_experts]. No other expert's weights are touched. */
    PONDER_OP_MOE_FFN = 13,
    /* A guess: the experts src0 (numbers from a route) of the streamed weights src1, src2, src3 will be used soon. May be ignored. */
    PONDER_OP_MOE_PREFETCH = 14,

    /* Rows of float32 from and to the run's host memory (ponder_run.transfers), where a model's operators are shared among devices: each has a
     * program of its own, whose parts run in turn with the other devices'. */
    PONDER_OP_RECEIVE = 15, /* dst0 = transfers[slot] */
    PONDER_OP_SEND = 16     /* transfers[slot] = src0 */
} ponder_op_kind;

typedef enum ponder_rope_style {
    PONDER_ROPE_ADJACENT = 0, /* pairs (2i, 2i + 1) */
    PONDER_ROPE_HALVES = 1    /* pairs (i, i + n_rot / 2) */
} ponder_rope_style;

typedef struct ponder_rms_norm_params {
    float epsilon;
    int32_t n_first; /* 0: whole rows; otherwise only the first n_first elements of a row, in place; the others stay as they are */
} ponder_rms_norm_params;

typedef struct ponder_rope_params {
    int32_t n_heads, head_dim, n_rot; /* n_rot elements of each head rotate, from n_before on */
    int32_t style;                    /* ponder_rope_style */
    float magnitude;                  /* scales cosine and sine (YaRN's attention factor) */
    int32_t n_before;                 /* elements of each head before the rotated ones */
} ponder_rope_params;

/* Keys of one layer in a page: [page_tokens, k_width] of the cache type at k_offset bytes, values [page_tokens, v_width] at v_offset. */
typedef struct ponder_kv_params {
    uint64_t k_offset, v_offset;
    int32_t k_width, v_width;
} ponder_kv_params;

typedef struct ponder_attention_params {
    ponder_kv_params kv;
    int32_t n_heads, n_kv_heads; /* query head h reads key head h / (n_heads / n_kv_heads) */
    int32_t k_head_dim, v_head_dim;
    float scale;
} ponder_attention_params;

typedef struct ponder_mla_attention_params {
    ponder_kv_params kv; /* k_width = n_latent + n_rope, v_width = 0 */
    int32_t n_heads, n_nope, n_rope, n_latent, v_head_dim;
    float scale;
} ponder_mla_attention_params;

typedef enum ponder_moe_gating {
    PONDER_MOE_SOFTMAX = 1, /* scores = softmax(logits) over all experts */
    PONDER_MOE_SIGMOID = 2  /* scores = sigmoid(logits), each on its own */
} ponder_moe_gating;

/* DeepSeek-V3 (arXiv 2412.19437, section 2.1.2). Experts are ranked by score + bias. They form n_groups groups of neighbours, each rated by its
 * two best ranks together where there is a bias, by its best alone otherwise; only the n_groups_used best groups take part. Equal ranks: the lower
 * number wins. Weights are the scores without bias, divided by their sum if is_normalised, times scale. */
typedef struct ponder_moe_route_params {
    int32_t n_used, n_groups, n_groups_used;
    int32_t gating; /* ponder_moe_gating */
    int32_t is_normalised;
    float scale;
} ponder_moe_route_params;

typedef struct ponder_transfer_params {
    int32_t slot; /* in ponder_run.transfers; all operators of one slot have rows of one width */
} ponder_transfer_params;

typedef struct ponder_op {
    int32_t kind;   /* ponder_op_kind */
    int32_t layer;  /* -1 outside of layers */
    int32_t src[6]; /* operand numbers; -1: absent */
    int32_t dst[2];
    union {
        ponder_rms_norm_params rms_norm;
        ponder_rope_params rope;
        ponder_kv_params kv_write;
        ponder_attention_params attention;
        ponder_mla_attention_params mla_attention;
        ponder_moe_route_params moe_route;
        ponder_transfer_params transfer;
        uint64_t reserved[16];
    } params;
} ponder_op;

/* ---- Programs ------------------------------------------------------------------------------------------------------ */

typedef struct ponder_program {
    uint32_t struct_size;
    int32_t n_operands;
    const ponder_operand *operands;
    const ponder_op *ops;
    int32_t n_ops;
    int32_t n_vocab;
    int32_t kv_type;         /* stored type of the cache: PONDER_TYPE_F32, _F16 or _Q8_0 */
    int32_t kv_page_tokens;  /* tokens in a page */
    uint64_t kv_page_bytes;  /* bytes of a page, all layers of this program; 0: it has no cache, and its runs no arenas */
    uint64_t scratch_floats; /* float32 numbers of scratch that one row needs with the suggested offsets */
} ponder_program;

/* Cache pages are numbered; page p lies in arena p / pages_per_arena at byte (p % pages_per_arena) * kv_page_bytes. */
typedef struct ponder_kv_sequence {
    const int32_t *pages; /* page i holds the tokens at positions i * page_tokens and on */
    int32_t n_pages;
} ponder_kv_sequence;

/* How a run reaches the matrices of streamed weights, in host memory. Called by the thread that called run(); may block for storage. */
typedef struct ponder_slice_source {
    /* The bytes of matrix `slice` of weight `operand`, to stay until `release`. NULL: it failed, `err` says why, and run() returns that. */
    const void *(*acquire)(void *user_data, int32_t operand, int32_t slice, ponder_error *err);
    void (*release)(void *user_data, int32_t operand, int32_t slice);
    /* Matrices that will be asked for, in this order; loading them may begin. is_guess: they may not be needed after all. */
    void (*prefetch)(void *user_data, int32_t operand, const int32_t *slices, int32_t n_slices, int32_t is_guess);
    void *user_data;
} ponder_slice_source;

/* A token and its logit. */
typedef struct ponder_candidate {
    int32_t token;
    float logit;
} ponder_candidate;

/* Asks for an output row's likeliest tokens first, and for its logits only if these do not do. A device may ignore it. Otherwise, once the row
 * is computed, it calls `take` from within the run, on the run's thread: `candidates`, in any order, are all tokens of the row that are nearer
 * than `cut` to its largest logit; n_rest more, all of smaller logits than these, lie within `reach`. NaN is no logit; +inf counts as the
 * largest float, and -inf is never given. */
typedef struct ponder_selection {
    float reach;      /* at least 0, finite */
    int32_t is_taken; /* in: 0; out: the device called `take`, which returned non-zero: the row's logits were not written */
    int32_t (*take)(void *user_data, const ponder_candidate *candidates, int32_t n_candidates, int32_t n_rest, float cut);
    void *user_data;
} ponder_selection;

typedef struct ponder_run {
    uint32_t struct_size;
    int32_t n_rows;
    const int32_t *tokens;    /* [n_rows] */
    const int32_t *positions; /* [n_rows]; rows of one sequence come in order */
    const int32_t *sequences; /* [n_rows], into `kv` */
    const ponder_kv_sequence *kv;
    int32_t n_sequences;
    int32_t n_outputs;
    const int32_t *output_rows; /* [n_outputs], into the rows */
    float *logits;              /* host memory [n_outputs, n_vocab] */
    ponder_buffer *const *arenas;
    int32_t n_arenas;
    int32_t pages_per_arena;
    int32_t (*should_stop)(void *user_data); /* polled from any thread at least every few milliseconds of work; non-zero: return CANCELLED */
    void *user_data;
    const ponder_slice_source *source; /* NULL if the program has no streamed weights */

    /* Programs with PONDER_OP_RECEIVE or _SEND only; may lie past struct_size otherwise. Such a program runs in parts, which are the operators
     * [first_op, first_op + n_ops) of it, each part by a run of its own with everything above the same: in order, the first from operator 0 on.
     * Operands keep their rows from part to part. Where a part ends and the next begins, the last operator is a SEND, or the first a RECEIVE.
     * n_ops 0: all operators. */
    int32_t first_op, n_ops;
    float *const *transfers; /* by slot: host memory [n_rows, width], packed */
    int32_t n_transfers;

    ponder_selection *selections; /* [n_outputs]; NULL: logits alone are wanted. May lie past struct_size, which counts as NULL */
} ponder_run;

/* ---- The backend ----------------------------------------------------------------------------------------------------- */

typedef struct ponder_device_options {
    uint32_t struct_size;
    int32_t n_threads;   /* 0: one for each fast core that the process may use */
    const char *variant; /* a backend's own word for one of its implementations, such as an instruction set; NULL: the best. Read if struct_size has it */
} ponder_device_options;

typedef struct ponder_backend {
    uint32_t struct_size;
    int32_t api_version; /* PONDER_BACKEND_API_VERSION */
    const char *name;

    /* Devices. `device_describe` fills backend, name, description, memory, threads without opening anything. (required) */
    int32_t (*device_count)(void);
    ponder_status (*device_describe)(int32_t index, ponder_device_info *out, ponder_error *err);
    ponder_status (*device_open)(int32_t index, const ponder_device_options *options, ponder_device_handle **out, ponder_error *err);
    void (*device_close)(ponder_device_handle *device);
    int32_t (*device_threads)(const ponder_device_handle *device); /* worker threads in use; 0 for GPUs */

    /* Buffers, usable from any thread. (required, but for buffer_import) */
    ponder_status (*buffer_alloc)(ponder_device_handle *device, uint64_t n_bytes, ponder_buffer **out, ponder_error *err);
    void (*buffer_free)(ponder_device_handle *device, ponder_buffer *buffer);
    ponder_status (*buffer_write)(ponder_device_handle *device, ponder_buffer *buffer, uint64_t offset, const void *src, uint64_t n_bytes, ponder_error *err);
    ponder_status (*buffer_read)(ponder_device_handle *device, const ponder_buffer *buffer, uint64_t offset, void *dst, uint64_t n_bytes, ponder_error *err);
    ponder_status (*buffer_copy)(ponder_device_handle *device, ponder_buffer *dst, uint64_t dst_offset, const ponder_buffer *src, uint64_t src_offset,
                                 uint64_t n_bytes, ponder_error *err);
    /* (optional) A buffer over host memory that stays valid and unchanged until it is freed; nothing is copied. */
    ponder_status (*buffer_import)(ponder_device_handle *device, const void *data, uint64_t n_bytes, ponder_buffer **out, ponder_error *err);

    /* 1 if the device takes operator `op` of `program`; 0 with a reason in `reason` (may be NULL) otherwise. (required) */
    int32_t (*supports)(const ponder_device_handle *device, const ponder_program *program, const ponder_op *op, char *reason, size_t reason_size);
    /* Bytes that a plan for these maxima takes on a device with n_threads workers (0: all that the process may use) once it has run on sequences of
     * up to n_context tokens. (required) */
    uint64_t (*scratch_bytes)(const ponder_program *program, int32_t max_rows, int32_t max_outputs, int32_t n_threads, int64_t n_context);

    /* Compiles the program, which outlives the plan, for batches of up to max_rows rows and max_outputs outputs. (required) */
    ponder_status (*prepare)(ponder_device_handle *device, const ponder_program *program, int32_t max_rows, int32_t max_outputs, ponder_compiled **out,
                             ponder_error *err);
    void (*release)(ponder_device_handle *device, ponder_compiled *plan);
    /* Runs a batch. Errors: CANCELLED (cache rows of this batch are then undefined), DEVICE, DEVICE_LOST, OUT_OF_MEMORY. (required) */
    ponder_status (*run)(ponder_compiled *plan, const ponder_run *run, ponder_error *err);
    /* (optional) Waits for runs that return early. */
    ponder_status (*wait)(ponder_compiled *plan, ponder_error *err);
    /* (optional) The most rows of a run that still make each row cheaper on this device: longer prompts are cut into runs of so many. Absent: 128. */
    int32_t (*rows_of_run)(int32_t index, const ponder_device_options *options);

    /* What the device compiled, for the next process (ponder_cache.h). From here on functions may lie past struct_size, which counts as absent.
     * (optional, all three or none) A number that another device, driver version, or build of the backend does not share: what was kept under
     * one is of no use under another. */
    uint64_t (*device_identity)(const ponder_device_handle *device);
    /* Gives the device what cache_read filled under the same identity, before anything is prepared. The bytes are checked for accidents, but come from
     * outside all the same: a backend checks what it can and may ignore them. */
    ponder_status (*cache_write)(ponder_device_handle *device, const void *data, uint64_t n_bytes, ponder_error *err);
    /* Up to `capacity` bytes; *n_bytes is always set to the size needed. BUFFER_TOO_SMALL: nothing was written. Any thread. */
    ponder_status (*cache_read)(ponder_device_handle *device, void *dst, uint64_t capacity, uint64_t *n_bytes, ponder_error *err);

    /* (optional) Bytes of device `index`'s memory that this process may still have, as its driver sees it now; opens nothing. Any thread. */
    ponder_status (*device_free_bytes)(int32_t index, uint64_t *out, ponder_error *err);

    /* (optional) The variant that asks least of a device (ponder_device_options.variant): where the best one computes wrongly, this one is tried. */
    const char *plain_variant;
} ponder_backend;

/* How a backend is reached: a function that returns its table, which lives as long as the process. */
typedef const ponder_backend *(*ponder_backend_entry)(void);

#ifdef __cplusplus
}
#endif

#endif /* PONDER_PONDER_BACKEND_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* ponder: reasoning models inside programs. This header, with those that it includes at its end, is the whole C interface, and its manual.
 *
 * The shortest program, examples/minimal.c: ponder_model_open, ponder_session_create, ponder_session_ask, ponder_generation_next until the
 * event's kind is PONDER_EVENT_DONE; then destroy what was made, in any order.
 *
 * Rules that hold for every call:
 * - Every fallible call returns a ponder_status and takes an optional `err` (NULL allowed) as its last argument. On an error the message is
 *   in `err`, every `out` handle is NULL, nothing else has changed, nothing needs to be freed.
 * - The library never prints, exits, aborts, installs signal handlers or opens network connections.
 * - Parameter and info structs start with `struct_size`; set it with the PONDER_*_INIT initialisers. In parameter structs zero means
 *   "default" for every field. Structs only ever grow at their end: a program compiled against an older header works with a newer library.
 *   A newer program on an older library gets PONDER_STATUS_UNSUPPORTED if it sets a field that the library does not know.
 * - Strings are UTF-8. Texts are pointer and length; paths and names end in NUL. Returned pointers are borrowed: each comment says until
 *   when. Buffers are the caller's; a call that fills one also reports the size needed, and returns PONDER_STATUS_BUFFER_TOO_SMALL (nothing
 *   written) if it does not fit.
 * - Threads: ponder_model, ponder_text, ponder_file and ponder_plan are immutable and may be used by any number of threads. A
 *   ponder_session and its ponder_generation belong to one thread at a time; a call while another thread is inside one returns
 *   PONDER_STATUS_BUSY. ponder_session_cancel is the exception: any thread, any time.
 * - Handles are counted inside: close and destroy accept NULL, return nothing, and may come in any order. A model is unmapped when the last
 *   session on it is gone.
 * - Callbacks return 0 to go on; anything else stops the work with PONDER_STATUS_CANCELLED. They run on the thread that made the call, and
 *   must not call back into the same session; what would run the same model from there returns PONDER_STATUS_BUSY.
 * - Environment read: PONDER_FORCE_BACKEND (name of a backend, for tests), PONDER_VERBOSE (1: log why a backend was chosen or not), no more.
 */
#ifndef PONDER_PONDER_H
#define PONDER_PONDER_H

#include <stddef.h>
#include <stdint.h>

#if defined(PONDER_BUILDING) && !defined(_WIN32)
#define PONDER_API __attribute__((visibility("default")))
#else
#define PONDER_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Version, status, errors -------------------------------------------------------------------------------------- */

#define PONDER_VERSION_MAJOR 0
#define PONDER_VERSION_MINOR 1
#define PONDER_VERSION_PATCH 0

/* Values are part of the ABI; they are spaced by area. */
typedef enum ponder_status {
    PONDER_STATUS_OK = 0,
    PONDER_STATUS_INVALID_ARGUMENT = 1,  /* a NULL, a size, a name or a value that the call does not take */
    PONDER_STATUS_UNSUPPORTED = 2,       /* known to exist, but not to this build: a struct field, an architecture, a type */
    PONDER_STATUS_BUSY = 3,              /* another thread is using this session, or a callback asks the model that called it to run */
    PONDER_STATUS_BUFFER_TOO_SMALL = 4,  /* the size needed was reported */
    PONDER_STATUS_NOT_FOUND = 5,         /* no such key, tensor, device or index */
    PONDER_STATUS_CANCELLED = 6,         /* a callback or ponder_session_cancel stopped the work */
    PONDER_STATUS_IO = 100,              /* the operating system refused: the message has its words */
    PONDER_STATUS_FORMAT = 101,          /* a file or JSON text is malformed or contradicts itself */
    PONDER_STATUS_LIMIT = 102,           /* well-formed perhaps, but past a stated limit */
    PONDER_STATUS_OUT_OF_MEMORY = 200,
    PONDER_STATUS_MEMORY_CAP = 201,      /* the work needs more than the caller's memory_cap */
    PONDER_STATUS_CONTEXT_FULL = 202,    /* the prompt or the tokens do not fit the session's context */
    PONDER_STATUS_DEVICE = 300,          /* a device refused or failed */
    PONDER_STATUS_DEVICE_LOST = 301,     /* a device is gone; ponder_session_fork_to goes on elsewhere */
    PONDER_STATUS_TEMPLATE = 400,        /* the chat template raised an error or is malformed */
    PONDER_STATUS_INTERNAL = 900         /* a defect of this library */
} ponder_status;

/* Filled on errors by every fallible call. Fixed size, owned by the caller, nothing to free. */
typedef struct ponder_error {
    int32_t status;     /* ponder_status */
    char message[1020]; /* NUL-terminated, names what failed (file, field, limit) and why */
} ponder_error;

/* The library's version as major * 10000 + minor * 100 + patch. */
PONDER_API uint32_t ponder_version(void);
/* The library's version, such as "0.1.0"; static. */
PONDER_API const char *ponder_version_string(void);
/* A status's name, such as "PONDER_STATUS_IO"; static. Unknown values give "unknown". */
PONDER_API const char *ponder_status_name(int32_t status);

/* ---- Log ---------------------------------------------------------------------------------------------------------- */

typedef enum ponder_log_level { PONDER_LOG_DEBUG = 1, PONDER_LOG_INFO = 2, PONDER_LOG_WARNING = 3, PONDER_LOG_ERROR = 4 } ponder_log_level;

/* `message` is NUL-terminated and borrowed for the call. May be called from any thread that is inside the library. */
typedef void (*ponder_log_fn)(void *user_data, int32_t level, const char *message);

/* Sets the process's log sink; NULL (the start) drops all messages. Any thread; messages on their way may still reach the old sink. */
PONDER_API void ponder_log_set_sink(ponder_log_fn fn, void *user_data, int32_t min_level);

/* ---- Devices ------------------------------------------------------------------------------------------------------ */

typedef struct ponder_device_info {
    uint32_t struct_size;
    int32_t index;           /* what ponder_model_params.device takes, plus one */
    const char *backend;     /* "reference", "cpu", "vulkan"; static */
    const char *name;        /* of the device; lives as long as the process */
    const char *description; /* instruction set, driver, or why it is unusable */
    uint64_t memory_bytes;   /* total; host memory for CPU devices */
    int32_t is_usable;       /* 1, or 0 if its self-test or driver failed */
    int32_t n_threads;       /* threads it would use by default; 0 for GPUs */
} ponder_device_info;
#define PONDER_DEVICE_INFO_INIT { sizeof(ponder_device_info), 0, NULL, NULL, NULL, 0, 0, 0 }

/* Number of devices of all backends in this build. Opens none of them. */
PONDER_API int32_t ponder_device_count(void);
/* Describes device `index` of 0..count-1. Errors: NOT_FOUND. */
PONDER_API ponder_status ponder_device_describe(int32_t index, ponder_device_info *out, ponder_error *err);

/* ---- Progress ----------------------------------------------------------------------------------------------------- */

typedef enum ponder_stage {
    PONDER_STAGE_OPEN = 1,       /* reading headers, vocabulary; checking shapes */
    PONDER_STAGE_PREPARE = 2,    /* compiling for the device; uploading weights */
    PONDER_STAGE_PREFILL = 3,    /* reading a prompt */
    PONDER_STAGE_WRITE = 4       /* writing a file */
} ponder_stage;

/* `fraction` runs from 0 to 1 within a stage. Called on the calling thread at least every 50 ms of work. Non-zero return: stop. */
typedef int32_t (*ponder_progress_fn)(void *user_data, int32_t stage, double fraction);

/* ---- Models ------------------------------------------------------------------------------------------------------- */

typedef struct ponder_model ponder_model;
typedef struct ponder_placement ponder_placement; /* ponder_placement.h */

/* Where the weights of a model that runs on the CPU lie. */
typedef enum ponder_weights {
    PONDER_WEIGHTS_AUTO = 0,   /* mapped; if large pages would make decoding quicker and four times as much memory is available, a thread of
                                  low priority copies them meanwhile, unless experts are streamed. It may log until the model is closed */
    PONDER_WEIGHTS_MAPPED = 1, /* in the file's mapping: shared by processes, and the system's to give up when it needs the memory */
    PONDER_WEIGHTS_COPIED = 2  /* in memory of the process, in large pages where the system has them, when opening returns: a file that is
                                  edited or shortened is an error from then on, no fault. OUT_OF_MEMORY if so much is not available.
                                  UNSUPPORTED with a GPU among the devices */
} ponder_weights;

typedef struct ponder_model_params {
    uint32_t struct_size;
    int32_t n_threads;      /* worker threads for CPU devices; 0: one for each fast core that this process may use */
    const char *backend;    /* "auto" (also NULL), "cpu", "vulkan", "reference", or a variant: "cpu/avx2" */
    int32_t device;         /* device number of ponder_device_describe plus one; 0: the backend's first */
    int32_t weights;        /* a ponder_weights */
    uint64_t memory_cap;    /* bytes that model, caches and scratch may use together; 0: no cap. Experts beyond it are streamed */
    ponder_progress_fn on_progress; /* may be NULL */
    void *progress_user_data;
    const void *device_cache; /* what ponder_model_device_cache gave an earlier process; NULL: none. Read during the call only */
    size_t device_cache_size;
    const ponder_placement *placement; /* several devices, in the place of `backend` and `device`; NULL: all of the model on one. Read during the call */
} ponder_model_params;
#define PONDER_MODEL_PARAMS_INIT { sizeof(ponder_model_params), 0, NULL, 0, 0, 0, NULL, NULL, NULL, 0, NULL }

/* Strings are borrowed until the model is closed. */
typedef struct ponder_model_info {
    uint32_t struct_size;
    int32_t n_vocab;
    const char *architecture;   /* "llama", "qwen2", "qwen3" */
    const char *name;           /* from the file; "" if it has none */
    const char *backend;        /* backend in use; of several devices, the first layer's */
    const char *device;         /* device in use; likewise, and so isa */
    const char *isa;            /* instruction set or feature level in use */
    int64_t n_parameters;
    int64_t context_length;     /* tokens that the model was trained for */
    int32_t n_layers;
    int32_t n_embd;             /* width of the residual stream */
    int32_t n_heads;
    int32_t n_kv_heads;
    int32_t head_dim;
    int32_t has_chat_template;  /* 0 or 1 */
    int32_t can_think;          /* 1 if the vocabulary marks thoughts (<think>, </think>) as single tokens */
    int32_t n_threads;          /* worker threads in use */
    uint64_t file_bytes;        /* all files of the model */
    uint64_t decode_bytes;      /* weight bytes that one decode step reads */
    uint64_t kv_bytes_per_token;/* of a session that names no kv_type */
} ponder_model_info;
#define PONDER_MODEL_INFO_INIT { sizeof(ponder_model_info), 0, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Opens a GGUF file (of split files: the first) or a Hugging Face folder (config.json and safetensors), maps it, checks every
 * hyper-parameter against the tensors, and makes it ready to compute. Costs: for files in the page cache, a fraction of a second a GB of weights.
 * params: may be NULL. Errors: IO, FORMAT, LIMIT, UNSUPPORTED (architecture, tokenizer, type), MEMORY_CAP, NOT_FOUND (backend, device),
 * CANCELLED, OUT_OF_MEMORY. A file that is edited or shortened while its weights are mapped makes the process fault: replace files, do not rewrite them. */
PONDER_API ponder_status ponder_model_open(const char *path, const ponder_model_params *params, ponder_model **out, ponder_error *err);
/* Drops the caller's reference. Sessions on the model keep working. */
PONDER_API void ponder_model_close(ponder_model *model);
PONDER_API ponder_status ponder_model_describe(const ponder_model *model, ponder_model_info *out, ponder_error *err);

/* ---- Text: tokenizer and chat template ----------------------------------------------------------------------------- */

typedef struct ponder_text ponder_text;

typedef struct ponder_text_info {
    uint32_t struct_size;
    int32_t n_tokens;            /* 0: no tokenizer */
    int32_t bos_token;           /* -1: none */
    int32_t eos_token;           /* -1: none */
    int32_t adds_bos;            /* 1 if raw prompts start with bos_token */
    int32_t has_template;        /* 0 or 1 */
    int32_t think_token;         /* id of <think>; -1: none */
    int32_t end_think_token;     /* id of </think>; -1: none */
} ponder_text_info;
#define PONDER_TEXT_INFO_INIT { sizeof(ponder_text_info), 0, 0, 0, 0, 0, 0, 0 }

/* Opens just the text side of a model: a GGUF or folder, a tokenizer.json, or a chat template (a file ending in ".jinja").
 * Errors: IO, FORMAT, LIMIT, UNSUPPORTED, TEMPLATE. */
PONDER_API ponder_status ponder_text_open(const char *path, ponder_text **out, ponder_error *err);
PONDER_API void ponder_text_close(ponder_text *text);
/* The text side of an open model, with a reference of its own: close it with ponder_text_close. Never fails; NULL for a NULL model. */
PONDER_API ponder_text *ponder_model_text(const ponder_model *model);
PONDER_API ponder_status ponder_text_describe(const ponder_text *text, ponder_text_info *out, ponder_error *err);

typedef enum ponder_tokenize_flags {
    PONDER_TOKENIZE_SPECIAL = 1, /* recognise the text of special tokens; leave it out for text that a user wrote */
    PONDER_TOKENIZE_BOS = 2      /* put the BOS token first where the model wants one */
} ponder_tokenize_flags;

/* Tokenizes `size` bytes. tokens: room for `capacity` ids (NULL allowed if capacity is 0); *n_needed is always set.
 * Errors: UNSUPPORTED (no tokenizer), LIMIT, BUFFER_TOO_SMALL. */
PONDER_API ponder_status ponder_text_tokenize(const ponder_text *text, const char *bytes, size_t size, uint32_t flags, int32_t *tokens,
                                              size_t capacity, size_t *n_needed, ponder_error *err);
/* Text of `n` tokens; not NUL-terminated. Incomplete UTF-8 becomes U+FFFD. Errors: INVALID_ARGUMENT (an id out of range), BUFFER_TOO_SMALL. */
PONDER_API ponder_status ponder_text_detokenize(const ponder_text *text, const int32_t *tokens, size_t n, char *buffer, size_t capacity,
                                                size_t *size_needed, ponder_error *err);
/* Renders the chat template on a JSON object of its variables ({"messages":[...],"tools":[...],"add_generation_prompt":true,...}).
 * A missing bos_token or eos_token is filled in from the tokenizer where there is one. Errors: UNSUPPORTED (no template), FORMAT (JSON),
 * TEMPLATE (the template raised), LIMIT, BUFFER_TOO_SMALL. */
PONDER_API ponder_status ponder_text_render(const ponder_text *text, const char *context_json, size_t context_size, char *buffer,
                                            size_t capacity, size_t *size_needed, ponder_error *err);

/* ---- Sessions ----------------------------------------------------------------------------------------------------- */

typedef struct ponder_session ponder_session;
typedef struct ponder_generation ponder_generation;

typedef enum ponder_kv_type { PONDER_KV_DEFAULT = 0, PONDER_KV_F32 = 1, PONDER_KV_F16 = 2, PONDER_KV_Q8_0 = 3 } ponder_kv_type;

typedef struct ponder_session_params {
    uint32_t struct_size;
    int32_t context;        /* most tokens that the session can hold; 0: the model's, at most 8,192 */
    int32_t kv_type;        /* ponder_kv_type; default f16, f32 if the first device is the reference. Errors with UNSUPPORTED where a backend has it not */
    int32_t reserved;       /* leave 0 */
    const char *system;     /* system message of the session's own conversation (ponder_session_ask); may be NULL */
} ponder_session_params;
#define PONDER_SESSION_PARAMS_INIT { sizeof(ponder_session_params), 0, 0, 0, NULL }

typedef struct ponder_session_info {
    uint32_t struct_size;
    int32_t context;        /* tokens it can hold */
    int64_t n_tokens;       /* tokens in the cache now */
    uint64_t kv_bytes;      /* cache pages that it references now; pages shared with a fork count in both */
    int64_t n_messages;     /* messages in its own conversation */
} ponder_session_info;
#define PONDER_SESSION_INFO_INIT { sizeof(ponder_session_info), 0, 0, 0, 0 }

/* Creates an empty conversation. Cache pages are taken as tokens arrive, not now. params: may be NULL.
 * Errors: INVALID_ARGUMENT, LIMIT, UNSUPPORTED (kv_type), MEMORY_CAP, OUT_OF_MEMORY, DEVICE, DEVICE_LOST, BUSY (in a callback). */
PONDER_API ponder_status ponder_session_create(ponder_model *model, const ponder_session_params *params, ponder_session **out, ponder_error *err);
/* A second session with the same conversation and cached tokens; pages are shared until one of the two writes to them.
 * A generation under way is not carried over. Errors: BUSY, OUT_OF_MEMORY. */
PONDER_API ponder_status ponder_session_fork(ponder_session *session, ponder_session **out, ponder_error *err);
/* A second session with the same conversation on another model of the same vocabulary: on another device, say, after DEVICE_LOST, which leaves
 * the conversation and the list of tokens whole. The new session's cache is computed at once from the tokens; ponder_session_cancel of the old
 * one stops that. A generation under way is not carried over. params: as for ponder_session_create, but context 0 is the old session's, the
 * cache's type is not carried over, and `system` must be NULL, because the conversation has its own. NULL: all defaults.
 * Errors: those of ponder_session_create, of ponder_session_evaluate, and INVALID_ARGUMENT for another vocabulary's size. */
PONDER_API ponder_status ponder_session_fork_to(ponder_session *session, ponder_model *model, const ponder_session_params *params,
                                                ponder_session **out, ponder_error *err);
/* The tokens that the cache holds. tokens: room for `capacity` ids (NULL allowed if capacity is 0); *n_needed is always set.
 * Errors: BUSY, BUFFER_TOO_SMALL. */
PONDER_API ponder_status ponder_session_tokens(ponder_session *session, int32_t *tokens, size_t capacity, size_t *n_needed, ponder_error *err);
PONDER_API void ponder_session_destroy(ponder_session *session);
PONDER_API ponder_status ponder_session_describe(ponder_session *session, ponder_session_info *out, ponder_error *err);
/* Stops what the session is doing, from any thread, within one operator's slice of work: a generation ends with a DONE event whose
 * finish reason is CANCELLED, ponder_session_evaluate returns PONDER_STATUS_CANCELLED. The next ask, generate or evaluate starts afresh. */
PONDER_API void ponder_session_cancel(ponder_session *session);

/* ---- Generations -------------------------------------------------------------------------------------------------- */

typedef struct ponder_message {
    uint32_t struct_size;      /* also the stride of an array of messages: the same in every element */
    int32_t reserved;          /* leave 0 */
    const char *role;          /* "system", "user", "assistant", "tool" or what the template knows */
    const char *text;          /* NULL: none */
    size_t text_size;
    const char *thinking;      /* an assistant's earlier thought (reasoning_content); templates decide whether it is kept. NULL: none */
    size_t thinking_size;
    const char *tool_calls_json; /* an assistant's tool calls as a JSON array, NUL-terminated; NULL: none */
} ponder_message;
#define PONDER_MESSAGE_INIT { sizeof(ponder_message), 0, NULL, NULL, 0, NULL, 0, NULL }

#define PONDER_THINKING_NONE (-1) /* thinking_budget: no thought at all */
#define PONDER_GREEDY (-1.0f)     /* temperature: always the most likely token */

typedef struct ponder_generation_params {
    uint32_t struct_size;
    int32_t max_tokens;          /* thinking and answer together; 0: until the context is full */
    int32_t thinking_budget;     /* tokens of thought, after which it is closed and the answer is made; 0: no limit; PONDER_THINKING_NONE */
    float temperature;           /* 0: the file's (general.sampling.temp), else 0.6 with a chat template, else greedy; PONDER_GREEDY */
    int32_t top_k;               /* 0: the file's, else off */
    float top_p;                 /* 0: the file's, else 0.95; 1: off */
    float min_p;                 /* 0: the file's, else off */
    float repetition_penalty;    /* divides positive and multiplies negative logits of the last 64 tokens; 0: 1, off */
    float presence_penalty;      /* subtracted from logits of tokens generated so far; 0: off */
    int32_t is_raw;              /* 1: no chat template; ponder_session_ask continues the text itself */
    uint64_t seed;               /* same seed, same tokens; 0 is a seed like any other */
    const char *const *stop;     /* n_stop NUL-terminated strings that end the answer; not part of it */
    size_t n_stop;
    const char *tools_json;      /* JSON array of tool definitions for the template, NUL-terminated; NULL: none */
    const char *template_json;   /* JSON object of further template variables, NUL-terminated; NULL: none */
    ponder_progress_fn on_progress; /* prefill progress, called inside ponder_generation_next; may be NULL */
    void *progress_user_data;
} ponder_generation_params;
#define PONDER_GENERATION_PARAMS_INIT \
    { sizeof(ponder_generation_params), 0, 0, 0.0f, 0, 0.0f, 0.0f, 0.0f, 0.0f, 0, 0, NULL, 0, NULL, NULL, NULL, NULL }

typedef enum ponder_event_kind {
    PONDER_EVENT_THINKING = 1,  /* text of the thought; the markers themselves are never part of a text */
    PONDER_EVENT_ANSWER = 2,    /* text of the answer */
    PONDER_EVENT_TOOL_CALL = 3, /* reserved for tool calls; not sent by this version */
    PONDER_EVENT_DONE = 4       /* the last event: finish reason, usage, timing */
} ponder_event_kind;

typedef enum ponder_finish_reason {
    PONDER_FINISH_STOP = 1,     /* the model ended its turn, or a stop string came */
    PONDER_FINISH_LENGTH = 2,   /* max_tokens or the context is used up */
    PONDER_FINISH_BUDGET = 3,   /* the model ended its turn, but its thought had been closed by thinking_budget */
    PONDER_FINISH_CANCELLED = 4
} ponder_finish_reason;

typedef struct ponder_event {
    uint32_t struct_size;
    int32_t kind;            /* ponder_event_kind */
    const char *text;        /* whole UTF-8 sequences, not NUL-terminated; borrowed until the next call on this generation */
    size_t text_size;
    int32_t finish_reason;   /* DONE: ponder_finish_reason */
    int32_t reserved;
    int64_t prompt_tokens;   /* DONE: tokens of the prompt, cached ones included */
    int64_t cached_tokens;   /* DONE: of these, taken from the cache */
    int64_t thinking_tokens; /* DONE: tokens of thought, markers not counted */
    int64_t answer_tokens;   /* DONE: tokens of the answer, the end marker not counted */
    double prefill_s, decode_s; /* DONE: seconds until the first token, and from there to the end */
} ponder_event;
#define PONDER_EVENT_INIT { sizeof(ponder_event), 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0 }

/* Adds `text` (NUL-terminated) as the user's message to the session's own conversation and starts the answer, which joins the conversation when
 * the generation is done. A turn that is cancelled or destroyed keeps the answer's text so far; if there is none, the turn is undone.
 * An unfinished generation of this session ends (CANCELLED) when another is asked for. Returns at once: the work is done in ponder_generation_next.
 * params: may be NULL. Errors: INVALID_ARGUMENT, UNSUPPORTED (no chat template and not is_raw), TEMPLATE, CONTEXT_FULL, LIMIT, BUSY. */
PONDER_API ponder_status ponder_session_ask(ponder_session *session, const char *text, const ponder_generation_params *params,
                                            ponder_generation **out, ponder_error *err);
/* Starts the answer to `n` messages given by the caller; the session's own conversation is neither used nor changed. What the cache
 * already holds of the prompt is not computed again. With is_raw, the texts of the messages are continued as they are. Errors as ponder_session_ask. */
PONDER_API ponder_status ponder_session_generate(ponder_session *session, const ponder_message *messages, size_t n,
                                                 const ponder_generation_params *params, ponder_generation **out, ponder_error *err);
/* Waits for the next event. After DONE, every further call gives DONE again. Errors end the generation: MEMORY_CAP, OUT_OF_MEMORY, DEVICE,
 * DEVICE_LOST, BUSY (does not end it). */
PONDER_API ponder_status ponder_generation_next(ponder_generation *generation, ponder_event *out, ponder_error *err);
PONDER_API void ponder_generation_destroy(ponder_generation *generation);

/* ---- Tokens to logits ---------------------------------------------------------------------------------------------- */

/* Appends `n` tokens to the session's cache and writes the float32 logits [n_rows, n_vocab] of the last n_rows of them (0: none; at most n).
 * Errors: INVALID_ARGUMENT (id out of range), CONTEXT_FULL, CANCELLED (the cache is as before), MEMORY_CAP, OUT_OF_MEMORY, BUSY, DEVICE. */
PONDER_API ponder_status ponder_session_evaluate(ponder_session *session, const int32_t *tokens, size_t n, float *logits, size_t n_rows,
                                                 ponder_error *err);
/* Forgets all cached tokens after the first `n_keep`. Errors: INVALID_ARGUMENT (more than are there), BUSY. */
PONDER_API ponder_status ponder_session_rewind(ponder_session *session, int64_t n_keep, ponder_error *err);

typedef struct ponder_evaluation {
    uint32_t struct_size; /* also the stride of an array */
    int32_t reserved;     /* leave 0 */
    ponder_session *session;
    const int32_t *tokens;
    size_t n;
    float *logits;        /* [n_rows, n_vocab]; may be NULL if n_rows is 0 */
    size_t n_rows;
} ponder_evaluation;
#define PONDER_EVALUATION_INIT { sizeof(ponder_evaluation), 0, NULL, NULL, 0, NULL, 0 }

/* ponder_session_evaluate for several different sessions of one model as one batch, so that each weight is read once for all.
 * All or nothing; cancelling any of the sessions cancels the batch. Errors as ponder_session_evaluate, INVALID_ARGUMENT
 * (a session twice, or of another model). */
PONDER_API ponder_status ponder_model_evaluate(ponder_model *model, const ponder_evaluation *items, size_t n_items, ponder_error *err);

/* ---- Model files: looking inside, making test models ----------------------------------------------------------------- */

typedef struct ponder_file ponder_file;

typedef struct ponder_file_info {
    uint32_t struct_size;
    int32_t n_files;            /* parts of a split model */
    const char *architecture;   /* "" if the file does not say; borrowed until the file is closed */
    int64_t n_keys, n_tensors;
    uint64_t file_bytes, tensor_bytes;
    int64_t n_parameters;
    int64_t n_remarks;          /* see ponder_file_remark */
} ponder_file_info;
#define PONDER_FILE_INFO_INIT { sizeof(ponder_file_info), 0, NULL, 0, 0, 0, 0, 0, 0 }

typedef struct ponder_tensor_info {
    uint32_t struct_size;
    int32_t n_dims;
    const char *name;           /* borrowed until the file is closed */
    const char *type;           /* "Q4_K", ...; static */
    int64_t dims[4];            /* fastest first; 1 beyond n_dims */
    uint64_t n_bytes;
    uint64_t offset;            /* from the start of its part */
    int32_t file;               /* part, from 0 */
    int32_t reserved;
} ponder_tensor_info;
#define PONDER_TENSOR_INFO_INIT { sizeof(ponder_tensor_info), 0, NULL, NULL, { 0, 0, 0, 0 }, 0, 0, 0, 0 }

/* Opens a model file of any architecture to look inside; checks the container, reads no weights. Errors: IO, FORMAT, LIMIT, UNSUPPORTED. */
PONDER_API ponder_status ponder_file_open(const char *path, ponder_file **out, ponder_error *err);
PONDER_API void ponder_file_close(ponder_file *file);
PONDER_API ponder_status ponder_file_describe(const ponder_file *file, ponder_file_info *out, ponder_error *err);
/* Tensor `i` of 0..n_tensors-1. Errors: NOT_FOUND. */
PONDER_API ponder_status ponder_file_describe_tensor(const ponder_file *file, int64_t i, ponder_tensor_info *out, ponder_error *err);
/* Metadata key `i` of 0..n_keys-1: *key is borrowed until the file is closed; the value is written to `buffer` as JSON text (not NUL-terminated).
 * Arrays longer than max_elements (0: all) are cut and end in a string "... N more". Errors: NOT_FOUND, BUFFER_TOO_SMALL. */
PONDER_API ponder_status ponder_file_metadata(const ponder_file *file, int64_t i, size_t max_elements, const char **key, char *buffer,
                                              size_t capacity, size_t *size_needed, ponder_error *err);
/* Remark `i` of 0..n_remarks-1: a line for people about something that this library does with the file and its keys do not say, such as
 * "routing: the file has no deepseek2.expert_group_count; the published 8 groups, of which 4 are kept, are used". *out ends in NUL and is
 * borrowed until the file is closed; its wording may change. Errors: NOT_FOUND. */
PONDER_API ponder_status ponder_file_remark(const ponder_file *file, int64_t i, const char **out, ponder_error *err);

typedef struct ponder_synth_params {
    uint32_t struct_size;
    int32_t n_layers;           /* 0: the shape's own */
    const char *type;           /* stored type mix, such as "Q4_K_M"; NULL: that */
    uint64_t seed;
    const char *tokenizer_path; /* a tokenizer.json whose vocabulary goes in; NULL: a made-up vocabulary of the shape's size */
    int32_t n_experts;          /* 0: the shape's own */
    int32_t reserved;
    ponder_progress_fn on_progress; /* may be NULL */
    void *progress_user_data;
} ponder_synth_params;
#define PONDER_SYNTH_PARAMS_INIT { sizeof(ponder_synth_params), 0, NULL, 0, NULL, 0, 0, NULL, NULL }

/* Writes a model of a real model's shape with random weights, for tests and measurements: "r1-distill-qwen-1.5b", "-7b", "-14b", "-32b",
 * "r1-distill-llama-8b", "-70b", "r1-0528-qwen3-8b", "deepseek-r1", "deepseek-v2-lite". With other numbers of layers or experts than the
 * shape's, what depends on them is scaled: leading dense layers, used experts, groups of experts. The file appears under its name
 * only when it is whole. Errors: NOT_FOUND (shape), UNSUPPORTED (type, shape), INVALID_ARGUMENT, LIMIT, FORMAT (tokenizer), IO (also a path that names something other than
 * a regular file), CANCELLED, OUT_OF_MEMORY. */
PONDER_API ponder_status ponder_file_synthesize(const char *shape, const char *path, const ponder_synth_params *params, ponder_error *err);

typedef struct ponder_convert_report {
    uint32_t struct_size;
    int32_t reserved;
    int64_t n_tensors;
    int64_t n_copied;           /* tensors whose bytes went over as they were */
    int64_t n_fallbacks;        /* tensors whose rows do not fit the type that the mix says and that got another; the log names them */
    int64_t n_without_importance; /* tensors quantised without importance although a matrix was given */
    uint64_t source_bytes;      /* of all tensors */
    uint64_t written_bytes;
} ponder_convert_report;
#define PONDER_CONVERT_REPORT_INIT { sizeof(ponder_convert_report), 0, 0, 0, 0, 0, 0, 0 }

typedef struct ponder_convert_params {
    uint32_t struct_size;
    int32_t n_threads;          /* 0: one for each fast core; the bytes of the result do not depend on it */
    const char *type;           /* stored type mix, such as "Q4_K_M"; NULL: types stay, except FP8, which becomes BF16 */
    const char *imatrix_path;   /* an importance matrix of llama.cpp, either form; NULL: none */
    ponder_convert_report *report;  /* filled on success; may be NULL */
    ponder_progress_fn on_progress; /* may be NULL */
    void *progress_user_data;
} ponder_convert_params;
#define PONDER_CONVERT_PARAMS_INIT { sizeof(ponder_convert_params), 0, NULL, NULL, NULL, NULL, NULL }

/* Writes the model at `in` (anything that ponder_file_open takes) as one GGUF file `out`, quantised by a mix if one is given. The file appears
 * under its name only when it is whole and was read back from the disk and found right. Needs some tens of MB, however large the model.
 * Errors: as ponder_file_open; UNSUPPORTED (type), INVALID_ARGUMENT (`out` is a file of the model itself; an importance matrix of another
 * model), FORMAT, LIMIT, IO (also no room on the disk), CANCELLED, OUT_OF_MEMORY. */
PONDER_API ponder_status ponder_file_convert(const char *in, const char *out, const ponder_convert_params *params, ponder_error *err);

#ifdef __cplusplus
}
#endif

#include "ponder_cache.h"
#include "ponder_placement.h"
#include "ponder_plan.h"
#include "ponder_streaming.h"

#endif /* PONDER_PONDER_H */

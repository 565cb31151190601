/* SPDX-License-Identifier: Apache-2.0 */
/* ponder.h's part on what a device compiled, kept by the host from one process to the next. ponder.h includes it; either may be included first.
 *
 * A GPU's driver compiles the library's shaders when a model is first used, which may take seconds. A host that wants the next start to be quick
 * asks for the device's cache once it has had its first tokens, keeps the bytes wherever it keeps such things, and passes them in
 * ponder_model_params.device_cache. The library reads and writes no files for it.
 *
 * The bytes also hold which operators passed the device's self-test, so that they are not tested again. They name their device, its driver's
 * version and the build of the library, and carry a checksum: damaged ones, and those of another driver, device or build, are ignored with a line in
 * the log, and never reach the driver. The checksum is no protection against intent: keep the bytes where only the host's user may write.
 */
#ifndef PONDER_PONDER_CACHE_H
#define PONDER_PONDER_CACHE_H

#include "ponder.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The cache of the model's device, or of all its devices, as it is now: 0 bytes if the device has none, such as a CPU. It grows as new operators and batch sizes are met.
 * buffer: room for `capacity` bytes (NULL allowed if capacity is 0); *size_needed is always set, and a call with that much room may find
 * that it has grown since. Any thread. Errors: INVALID_ARGUMENT, BUFFER_TOO_SMALL, DEVICE, OUT_OF_MEMORY. Since 0.1. */
PONDER_API ponder_status ponder_model_device_cache(const ponder_model *model, void *buffer, size_t capacity, size_t *size_needed,
                                                   ponder_error *err);

#ifdef __cplusplus
}
#endif

#endif /* PONDER_PONDER_CACHE_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* ponder.h's part on models that are shared among devices. ponder.h includes it; either may be included first.
 *
 * A model that a GPU's memory does not hold still uses the GPU: it runs as many of the layers as fit, and the CPU runs the others. Of a model with
 * experts, the routed ones are nearly all of the bytes and little of the work; all of them, or those that the GPU's memory does not hold, may stay on
 * the CPU while the GPU runs everything else. Each
 * device holds the weights and the cache of its own layers only, and a few rows of numbers pass between devices for each token.
 *
 *     ponder_device_share gpu = PONDER_DEVICE_SHARE_INIT;
 *     gpu.backend = "vulkan";
 *     gpu.memory_bytes = (uint64_t)6 << 30;
 *     ponder_placement placement = PONDER_PLACEMENT_INIT;
 *     placement.devices = &gpu;
 *     placement.n_devices = 1;
 *     params.placement = &placement;
 *
 * ponder_plan_create says beforehand what such params give: ponder_plan_describe_device has each device's layers and bytes. The tokens are those of
 * the devices' own rounding: where all compute in float32 alike, the same as on one device.
 */
#ifndef PONDER_PONDER_PLACEMENT_H
#define PONDER_PONDER_PLACEMENT_H

#include "ponder.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ponder_device_share.n_layers: no layers, but for those that are left over. */
#define PONDER_LAYERS_NONE (-1)

/* Where the routed experts of a model run; models without experts have none to place. */
typedef enum ponder_experts {
    PONDER_EXPERTS_WITH_LAYER = 0, /* with their layer */
    PONDER_EXPERTS_ON_CPU = 1,     /* where the layers that are left would */
    PONDER_EXPERTS_BY_MEMORY = 2   /* as 1, but for as many of each device's layers, from its first on, as its memory_bytes holds beside the rest.
                                    * Of several GPUs, those after the first need a number of layers. UNSUPPORTED where memory_cap or the host's
                                    * memory does not hold the experts that are left: those that are read when needed are all the CPU's, see 1 */
} ponder_experts;

/* What one device is to have of a model. */
typedef struct ponder_device_share {
    uint32_t struct_size;       /* also the stride of an array */
    int32_t device;             /* device number of ponder_device_describe plus one; 0: the backend's first */
    const char *backend;        /* as ponder_model_params.backend; borrowed for the call */
    uint64_t memory_bytes;      /* weights, scratch and a default session's cache that may lie on it; 0: nine tenths of what a GPU has free
                                 * now, no limit for a device that computes in host memory */
    int32_t n_layers;           /* run so many, whatever memory_bytes says; 0: as many as memory_bytes holds; PONDER_LAYERS_NONE */
    int32_t reserved;           /* leave 0 */
} ponder_device_share;
#define PONDER_DEVICE_SHARE_INIT { sizeof(ponder_device_share), 0, NULL, 0, 0, 0 }

/* Where a model's layers run. Layers go to the devices in the order of the list, the model's first to the first device. What is left when all have
 * their share goes to the last device if that computes in host memory and has neither memory_bytes nor a number of layers, and to the CPU otherwise.
 * Devices without a share are not opened. A device
 * may be in the list more than once, such as for two of its variants. */
struct ponder_placement {
    uint32_t struct_size;
    int32_t experts;            /* a ponder_experts */
    const ponder_device_share *devices; /* [n_devices], borrowed for the call; may be NULL if n_devices is 0: the device of ponder_model_params */
    size_t n_devices;           /* at most 16 */
};
#define PONDER_PLACEMENT_INIT { sizeof(ponder_placement), 0, NULL, 0 }

#ifdef __cplusplus
}
#endif

#endif /* PONDER_PONDER_PLACEMENT_H */

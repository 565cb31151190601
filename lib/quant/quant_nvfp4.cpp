// SPDX-License-Identifier: Apache-2.0
// NVFP4: 4-bit floats (E2M1) with an 8-bit float scale (UE4M3) in 16.
#include "quant/block_io.hpp"
#include "quant/quant_fp4_tables.hpp"

namespace ponder {

// Block of 36 bytes, 64 elements in 4 groups of 16:
//   0   u8 x 4: UE4M3 scale of each group
//   4   u8 x 32, 8 a group: low nibbles are the group's elements 0-7, high nibbles 8-15
// value = scale * e2m1(nibble); NVIDIA's second, per-tensor scale is a tensor of its own in the file
void decode_nvfp4(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 36, dst += 64) {
        for (int group = 0; group < 4; group++) {
            const float half_scale = 0.5f * ue4m3_to_float(load_u8(src + group));
            const std::byte* codes = src + 4 + 8 * group;
            float* out = dst + 16 * group;
            for (int j = 0; j < 8; j++) {
                const uint8_t code = load_u8(codes + j);
                out[j] = half_scale * kE2m1Doubled[code & 15];
                out[j + 8] = half_scale * kE2m1Doubled[code >> 4];
            }
        }
    }
}

}  // namespace ponder

// SPDX-License-Identifier: Apache-2.0
// The values of IQ4's codes.
const float kLevels[16] = float[](-127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0);
void look_up(uvec4 w, out vec4 q[8]) {
    [[unroll]] for (uint i = 0; i < 4; i++) {
        [[unroll]] for (uint j = 0; j < 4; j++) {
            q[i][j] = kLevels[w[i] >> (8 * j) & 15u];
            q[4 + i][j] = kLevels[w[i] >> (8 * j + 4) & 15u];
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Twice the values of E2M1's codes, the element of MXFP4 and NVFP4.
const float kLevels[16] = float[](0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 0.0, -1.0, -2.0, -3.0, -4.0, -6.0, -8.0, -12.0);

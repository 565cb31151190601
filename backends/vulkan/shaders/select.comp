#version 450
// SPDX-License-Identifier: Apache-2.0
// The likeliest tokens of a row of logits, in three steps: the largest logit of each workgroup's part; how many tokens lie how far below the
// largest; those of the nearest distances that together have room. Which threads find them decides their order and nothing else.
#include "common.glsl"
layout(local_size_x = 256) in;
layout(constant_id = 0) const uint STEP = 0;
layout(constant_id = 1) const uint N_PARTS = 64;      // workgroups of a row
layout(constant_id = 2) const uint N_BINS = 1024;     // of distances from 0 to the reach
layout(constant_id = 3) const uint N_SELECTED = 2048;
layout(push_constant) uniform Select {
    Words logits, work, results;  // work: keys of the parts' largest, then the bins; see vk_selection.hpp for the results
    Floats reaches;
    uint n_vocab, logits_stride;
} pc;
shared uint bins[N_BINS];
shared uint sums[256];

const uint kInfinity = 0x7f800000u, kLargest = 0x7f7fffffu, kLowest = 0xff800000u;

// Bits of a logit, infinity as the largest float; those of minus infinity if it counts for nothing.
uint logit(uint row, uint i) {
    const uint bits = pc.logits.v[row * pc.logits_stride + i];
    return (bits & 0x7fffffffu) > kInfinity ? kLowest : bits == kInfinity ? kLargest : bits;
}
// In the order of the numbers.
uint key(uint bits) { return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u; }
uint from_key(uint k) { return (k & 0x80000000u) != 0 ? k & 0x7fffffffu : ~k; }

void find_largest(uint row, uint part, uint begin, uint end) {
    const uint thread = gl_LocalInvocationIndex;
    uint largest = key(kLowest);
    for (uint i = begin + thread; i < end; i += 256) largest = max(largest, key(logit(row, i)));
    sums[thread] = largest;
    for (uint n = 128; n > 0; n /= 2) {
        barrier();
        if (thread < n) sums[thread] = max(sums[thread], sums[thread + n]);
    }
    const uint work0 = row * (N_PARTS + N_BINS), n_own = N_BINS / N_PARTS;
    if (thread == 0) pc.work.v[work0 + part] = sums[0];
    if (thread < n_own) pc.work.v[work0 + N_PARTS + part * n_own + thread] = 0;
    if (part == 0 && thread == 0) pc.results.v[row * (4 + 2 * N_SELECTED)] = 0;
}

float largest_of(uint row) {
    const uint thread = gl_LocalInvocationIndex;
    sums[thread] = thread < N_PARTS ? pc.work.v[row * (N_PARTS + N_BINS) + thread] : 0;
    for (uint n = 128; n > 0; n /= 2) {
        barrier();
        if (thread < n) sums[thread] = max(sums[thread], sums[thread + n]);
    }
    barrier();
    const float largest = uintBitsToFloat(from_key(sums[0]));
    barrier();
    return largest;
}

// N_BINS for what is out of reach.
uint bin_of(uint bits, float largest, float reach) {
    if (bits == kLowest) return N_BINS;
    precise const float distance = largest - uintBitsToFloat(bits);
    if (!(distance <= reach)) return N_BINS;
    if (reach < 1e-30) return 0;
    precise const float place = distance * (float(N_BINS) / reach);
    return min(uint(place), N_BINS - 1);
}

void count(uint row, uint begin, uint end, float reach) {
    const uint thread = gl_LocalInvocationIndex;
    const float largest = largest_of(row);
    for (uint b = thread; b < N_BINS; b += 256) bins[b] = 0;
    barrier();
    for (uint i = begin + thread; i < end; i += 256) {
        const uint bin = bin_of(logit(row, i), largest, reach);
        if (bin < N_BINS) atomicAdd(bins[bin], 1);
    }
    barrier();
    const uint bins0 = row * (N_PARTS + N_BINS) + N_PARTS;
    for (uint b = thread; b < N_BINS; b += 256) {
        if (bins[b] > 0) atomicAdd(pc.work.v[bins0 + b], bins[b]);
    }
}

void collect(uint row, uint part, uint begin, uint end, float reach) {
    const uint thread = gl_LocalInvocationIndex, n_own = N_BINS / 256;
    const float largest = largest_of(row);
    // Tokens up to and with each bin.
    const uint bins0 = row * (N_PARTS + N_BINS) + N_PARTS;
    uint sum = 0;
    for (uint b = 0; b < n_own; b++) {
        sum += pc.work.v[bins0 + thread * n_own + b];
        bins[thread * n_own + b] = sum;
    }
    sums[thread] = sum;
    for (uint n = 1; n < 256; n *= 2) {
        barrier();
        const uint before = thread >= n ? sums[thread - n] : 0;
        barrier();
        sums[thread] += before;
    }
    barrier();
    const uint before = thread > 0 ? sums[thread - 1] : 0, all = sums[255];
    uint n_fitting = 0;
    for (uint b = 0; b < n_own; b++) {
        if (bins[thread * n_own + b] + before <= N_SELECTED) n_fitting++;
    }
    barrier();
    if (thread == 0) sums[0] = 0;
    barrier();
    atomicAdd(sums[0], n_fitting);
    barrier();
    const uint n_bins = sums[0], results0 = row * (4 + 2 * N_SELECTED);
    if (n_bins > 0 && thread == (n_bins - 1) / n_own) sums[1] = bins[n_bins - 1] + before;
    barrier();
    if (part == 0 && thread == 0) {
        const uint n_fitting_tokens = n_bins > 0 ? sums[1] : 0;
        pc.results.v[results0 + 1] = all - n_fitting_tokens;
        pc.results.v[results0 + 2] = n_bins;
        pc.results.v[results0 + 3] = n_fitting_tokens;
    }
    for (uint i = begin + thread; i < end; i += 256) {
        const uint bits = logit(row, i);
        if (bin_of(bits, largest, reach) >= n_bins) continue;
        const uint place = atomicAdd(pc.results.v[results0], 1);
        if (place >= N_SELECTED) continue;
        pc.results.v[results0 + 4 + 2 * place] = i;
        pc.results.v[results0 + 5 + 2 * place] = bits;
    }
}

void main() {
    const uint part = gl_WorkGroupID.x, row = gl_WorkGroupID.y;
    const uint size = (pc.n_vocab + N_PARTS - 1) / N_PARTS;
    const uint begin = min(part * size, pc.n_vocab), end = min(begin + size, pc.n_vocab);
    if (STEP == 0) {
        find_largest(row, part, begin, end);
    } else if (STEP == 1) {
        count(row, begin, end, pc.reaches.v[row]);
    } else {
        collect(row, part, begin, end, pc.reaches.v[row]);
    }
}

// SPDX-License-Identifier: Apache-2.0
#include "cpu_dense.hpp"

#ifdef PONDER_HAVE_ONEDNN

#include <dnnl.h>

#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
#include <omp.h>
#endif

namespace ponder::cpu {

namespace {

// The workers are ours: oneDNN adds none of its own, and the host's setting for this thread comes back.
class OneThread {
  public:
#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
    OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
    ~OneThread() { omp_set_num_threads(before_); }

  private:
    const int before_;
#endif
};

}  // namespace

bool takes_dense(int64_t n_rows) { return n_rows >= 8; }

bool multiply_dense(const float* x, int64_t n_rows, int64_t n_cols, const float* weights, int64_t n, float* dst, int64_t stride) {
    [[maybe_unused]] const OneThread alone;
    return dnnl_sgemm('N', 'T', n_rows, n, n_cols, 1.0f, x, n_cols, weights, n_cols, 0.0f, dst, stride) == dnnl_success;
}

}  // namespace ponder::cpu

#else

bool ponder::cpu::takes_dense(int64_t) { return false; }
bool ponder::cpu::multiply_dense(const float*, int64_t, int64_t, const float*, int64_t, float*, int64_t) { return false; }

#endif

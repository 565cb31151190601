// SPDX-License-Identifier: Apache-2.0
#include "cpu_dense.hpp"

#ifdef PONDER_HAVE_ONEDNN

#include <dnnl.hpp>

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

bool takes_dense_bf16(int64_t n_rows) {
    static const bool has_bf16 = [] {
        constexpr auto kNeeded = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
        return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & kNeeded) == kNeeded;
    }();
    return has_bf16 && takes_dense(n_rows);
}

bool multiply_dense(const float* x, int64_t n_rows, int64_t n_cols, const float* weights, int64_t n, float* dst, int64_t stride) {
    [[maybe_unused]] const OneThread alone;
    return dnnl_sgemm('N', 'T', n_rows, n, n_cols, 1.0f, x, n_cols, weights, n_cols, 0.0f, dst, stride) == dnnl_success;
}

// The weights stay as the file has them: bringing a piece into oneDNN's own layout took 5 to 10 % of the product of 512 rows, and what that
// made quicker was less (Zen 4, 2.6.3). oneDNN keeps what it compiles for a shape; making a primitive again takes microseconds.
bool multiply_dense_bf16(const std::byte* x, int64_t x_stride, int64_t n_rows, int64_t n_cols, const std::byte* weights, int64_t n,
                         float* dst, int64_t stride) try {
    using dnnl::memory;
    [[maybe_unused]] const OneThread alone;
    static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    const memory::desc x_desc({n_rows, n_cols}, memory::data_type::bf16, memory::dims{x_stride / 2, 1});
    const memory::desc weights_desc({n_cols, n}, memory::data_type::bf16, memory::dims{1, n_cols});
    const memory::desc dst_desc({n_rows, n}, memory::data_type::f32, memory::dims{stride, 1});
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul product(dnnl::matmul::primitive_desc(engine, x_desc, weights_desc, dst_desc));
#else
    const dnnl::matmul product(dnnl::matmul::primitive_desc(dnnl::matmul::desc(x_desc, weights_desc, dst_desc), engine));
#endif
    dnnl::stream stream(engine);
    // oneDNN takes what it only reads by pointers to what may be written.
    product.execute(stream, {{DNNL_ARG_SRC, memory(x_desc, engine, const_cast<std::byte*>(x))},
                             {DNNL_ARG_WEIGHTS, memory(weights_desc, engine, const_cast<std::byte*>(weights))},
                             {DNNL_ARG_DST, memory(dst_desc, engine, dst)}});
    stream.wait();
    return true;
} catch (const dnnl::error&) {
    return false;
}

}  // namespace ponder::cpu

#else

namespace ponder::cpu {

bool takes_dense(int64_t) { return false; }
bool takes_dense_bf16(int64_t) { return false; }
bool multiply_dense(const float*, int64_t, int64_t, const float*, int64_t, float*, int64_t) { return false; }
bool multiply_dense_bf16(const std::byte*, int64_t, int64_t, int64_t, const std::byte*, int64_t, float*, int64_t) { return false; }

}  // namespace ponder::cpu

#endif

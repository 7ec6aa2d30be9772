#include "cublasLt.h"

using namespace gradwell_emulator;

namespace {

// d = epilogue(alpha op(a) op(b) + beta c), all column by column; summed in double, rounded once.
template <class T>
void multiply(Operation how, T alpha, const T* a, Layout la, const T* b, Layout lb, T beta, const T* c, Layout lc, T* d,
              Layout ld) {
  const std::int64_t depth = how.a == CUBLAS_OP_N ? la.columns : la.rows;
  for (std::int64_t j = 0; j < ld.columns; ++j)
    for (std::int64_t i = 0; i < ld.rows; ++i) {
      double sum = 0;
      for (std::int64_t k = 0; k < depth; ++k) {
        const T left = how.a == CUBLAS_OP_N ? a[k * la.stride + i] : a[i * la.stride + k];
        const T right = how.b == CUBLAS_OP_N ? b[j * lb.stride + k] : b[k * lb.stride + j];
        sum += static_cast<double>(left) * static_cast<double>(right);
      }
      sum *= static_cast<double>(alpha);
      if (beta != T(0)) sum += static_cast<double>(beta) * static_cast<double>(c[j * lc.stride + i]);
      T value = static_cast<T>(sum);
      if (how.epilogue != CUBLASLT_EPILOGUE_DEFAULT) value += static_cast<const T*>(how.bias)[i];
      d[j * ld.stride + i] = value;
    }
}

bool agrees(const Operation& how, const Layout& a, const Layout& b, const Layout& d) {
  const bool plain_a = how.a == CUBLAS_OP_N, plain_b = how.b == CUBLAS_OP_N;
  const std::int64_t rows = plain_a ? a.rows : a.columns, depth = plain_a ? a.columns : a.rows;
  const std::int64_t depth_b = plain_b ? b.rows : b.columns, columns = plain_b ? b.columns : b.rows;
  return rows == d.rows && columns == d.columns && depth == depth_b && a.type == b.type && a.type == d.type &&
         a.stride >= a.rows && b.stride >= b.rows && d.stride >= d.rows;
}

}  // namespace

cublasStatus_t cublasLtCreate(cublasLtHandle_t* to) {
  *to = new Handle;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* to, cudaDataType type, std::uint64_t rows,
                                          std::uint64_t columns, std::int64_t stride) {
  *to = new Layout{type, static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns), stride};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* to, cublasComputeType_t, cudaDataType) {
  *to = new Operation;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation) {
  delete operation;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t what,
                                              const void* value, std::size_t bytes) {
  void* to = &operation->a;
  std::size_t size = sizeof operation->a;
  if (what == CUBLASLT_MATMUL_DESC_TRANSB) to = &operation->b;
  if (what == CUBLASLT_MATMUL_DESC_EPILOGUE) to = &operation->epilogue;
  if (what == CUBLASLT_MATMUL_DESC_BIAS_POINTER) {
    to = &operation->bias;
    size = sizeof operation->bias;
  }
  if (bytes != size) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(to, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* to) {
  *to = new Preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t,
                                                    const void*, std::size_t) {
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t, int, cublasLtMatmulHeuristicResult_t*,
                                              int* count) {
  *count = agrees(*operation, *a, *b, *d) ? 1 : 0;
  return *count ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t operation, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                              const void* beta, const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t*, void*, std::size_t,
                              cudaStream_t stream) {
  if (!agrees(*operation, *a_layout, *b_layout, *d_layout)) return CUBLAS_STATUS_INVALID_VALUE;
  const Operation how = *operation;
  const Layout la = *a_layout, lb = *b_layout, lc = *c_layout, ld = *d_layout;
  const auto take = [&](auto zero) {
    using T = decltype(zero);
    const T one = *static_cast<const T*>(alpha), other = *static_cast<const T*>(beta);
    stream->take([=] {
      multiply<T>(how, one, static_cast<const T*>(a), la, static_cast<const T*>(b), lb, other, static_cast<const T*>(c),
                  lc, static_cast<T*>(d), ld);
    });
  };
  la.type == CUDA_R_32F ? take(float{}) : take(double{});
  return CUBLAS_STATUS_SUCCESS;
}

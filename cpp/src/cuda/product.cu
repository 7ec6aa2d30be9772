#include "cuda/product.h"

#include <memory>

#include "cuda/launch.h"

namespace gradwell {
namespace cuda {
namespace {

constexpr std::size_t workspace_bytes = std::size_t{32} << 20;

void check_blas(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_ALLOC_FAILED) throw std::bad_alloc();
  if (status != CUBLAS_STATUS_SUCCESS)
    throw std::runtime_error(std::string("[cuda] ") + call + " failed with status " +
                             std::to_string(static_cast<int>(status)));
}

// What can be relied on of an address: cuBLASLt would expect 256.
std::uint32_t alignment_of(const void* p) {
  const auto bits = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(p) % 16) | 16;
  return bits & (~bits + 1);
}

template <class T>
constexpr cudaDataType type_of = sizeof(T) == 4 ? CUDA_R_32F : CUDA_R_64F;

template <class T>
cublasComputeType_t compute_type() {
  if (sizeof(T) == 8) return CUBLAS_COMPUTE_64F;
  switch (precision()) {
    case Precision::float32:
      return CUBLAS_COMPUTE_32F;
    case Precision::tf32:
      return CUBLAS_COMPUTE_32F_FAST_TF32;
    default:
      return CUBLAS_COMPUTE_32F_FAST_16BF;
  }
}

template <class T>
struct AddRow {
  Matrix<T> to;
  const T* row;
  bool adds;
  __device__ void operator()(Index i, Index j) const {
    T& value = to.data[i * to.stride + j];
    value = (adds ? value : T(0)) + (row ? row[j] : T(0));
  }
};

}  // namespace

// How one shape of product is made.
struct Products::Recipe {
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
  cublasLtMatmulAlgo_t algorithm;
  bool bias = false;

  ~Recipe() {
    cublasLtMatrixLayoutDestroy(a);
    cublasLtMatrixLayoutDestroy(b);
    cublasLtMatrixLayoutDestroy(c);
    cublasLtMatmulDescDestroy(operation);
  }
};

Products::Products() {
  check_blas(cublasLtCreate(&handle_), "cublasLtCreate");
  const cudaError_t error = cudaMalloc(&workspace_, workspace_bytes);
  if (error == cudaSuccess) return;
  cublasLtDestroy(handle_);
  check_cuda(error, "cudaMalloc");
}

Products::~Products() {
  for (const auto& entry : recipes_) delete entry.second;
  cudaFree(workspace_);
  cublasLtDestroy(handle_);
}

// cuBLAS sees columns where rows are: a matrix of ours is the transpose of one of its own, and c' = b' a'.
template <class T>
Products::Recipe& Products::recipe(Factors factors, Matrix<const T> a, Matrix<const T> b, const T* bias, Matrix<T> c,
                                   Index depth) {
  const cublasComputeType_t compute = compute_type<T>();
  const int kind = factors.left_transposed | factors.right_transposed << 1 | (bias != nullptr) << 3 |
                   (sizeof(T) == 8) << 4 | factors.adds << 5;
  const Key key = {kind,
                   c.rows,
                   c.columns,
                   depth,
                   a.stride,
                   b.stride,
                   c.stride,
                   static_cast<int>(alignment_of(a.data) | alignment_of(b.data) << 8),
                   static_cast<int>(alignment_of(c.data) | alignment_of(bias) << 8),
                   static_cast<int>(compute)};
  const auto found = recipes_.find(key);
  if (found != recipes_.end()) return *found->second;
  auto made = std::make_unique<Recipe>();
  const auto layout = [](cublasLtMatrixLayout_t* to, Index rows, Index columns, Index stride) {
    check_blas(cublasLtMatrixLayoutCreate(to, type_of<T>, static_cast<std::uint64_t>(columns),
                                          static_cast<std::uint64_t>(rows), stride < columns ? columns : stride),
               "cublasLtMatrixLayoutCreate");
  };
  layout(&made->a, b.rows, b.columns, b.stride);
  layout(&made->b, a.rows, a.columns, a.stride);
  layout(&made->c, c.rows, c.columns, c.stride);
  check_blas(cublasLtMatmulDescCreate(&made->operation, compute, type_of<T>), "cublasLtMatmulDescCreate");
  const auto set = [&](cublasLtMatmulDescAttributes_t what, const auto& value) {
    check_blas(cublasLtMatmulDescSetAttribute(made->operation, what, &value, sizeof value),
               "cublasLtMatmulDescSetAttribute");
  };
  const cublasOperation_t first = factors.right_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cublasOperation_t second = factors.left_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  set(CUBLASLT_MATMUL_DESC_TRANSA, first);
  set(CUBLASLT_MATMUL_DESC_TRANSB, second);
  made->bias = bias && sizeof(T) == 4;
  // Not its relu: what that makes of a NaN is nowhere said.
  const cublasLtEpilogue_t epilogue = made->bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
  if (made->bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  cublasLtMatmulPreference_t preference = nullptr;
  check_blas(cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
  cublasLtMatmulHeuristicResult_t result = {};
  int count = 0;
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t what, auto value) {
    if (status == CUBLAS_STATUS_SUCCESS)
      status = cublasLtMatmulPreferenceSetAttribute(preference, what, &value, sizeof value);
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(b.data));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(a.data));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(c.data));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(c.data));
  if (status == CUBLAS_STATUS_SUCCESS)
    status = cublasLtMatmulAlgoGetHeuristic(handle_, made->operation, made->a, made->b, made->c, made->c, preference, 1,
                                            &result, &count);
  cublasLtMatmulPreferenceDestroy(preference);
  check_blas(count == 0 && status == CUBLAS_STATUS_SUCCESS ? CUBLAS_STATUS_NOT_SUPPORTED : status,
             "cublasLtMatmulAlgoGetHeuristic");
  made->algorithm = result.algo;
  return *recipes_.emplace(key, made.release()).first->second;
}

template <class T>
void Products::multiply(Queue& queue, Factors factors, Matrix<const T> a, Matrix<const T> b, const T* bias,
                        Matrix<T> c) {
  const Index depth = factors.left_transposed ? a.rows : a.columns;
  if (c.rows <= 0 || c.columns <= 0) return;
  if (depth <= 0) {
    for_each_element("bias", queue, c.rows, c.columns, AddRow<T>{c, bias, factors.adds});
    return;
  }
  Recipe& how = recipe(factors, a, b, bias, c, depth);
  if (how.bias)
    check_blas(cublasLtMatmulDescSetAttribute(how.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias),
               "cublasLtMatmulDescSetAttribute");
  const T alpha = 1, beta = factors.adds ? T(1) : T(0);
  check_blas(cublasLtMatmul(handle_, how.operation, &alpha, b.data, how.a, a.data, how.b, &beta, c.data, how.c, c.data,
                            how.c, &how.algorithm, workspace_, workspace_bytes, queue.stream()),
             "cublasLtMatmul");
  if (bias && !how.bias) for_each_element("bias", queue, c.rows, c.columns, AddRow<T>{c, bias, true});
}

template void Products::multiply(Queue&, Factors, Matrix<const float>, Matrix<const float>, const float*,
                                 Matrix<float>);
template void Products::multiply(Queue&, Factors, Matrix<const double>, Matrix<const double>, const double*,
                                 Matrix<double>);

}  // namespace cuda
}  // namespace gradwell

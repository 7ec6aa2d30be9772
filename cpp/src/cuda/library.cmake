# The library for NVIDIA GPUs: by nvcc, or emulated on the CPU by any compiler (cpp/emulator). It is loaded when it is
# first asked for and needs nothing of the extension module; cuBLASLt comes as a wheel of NVIDIA's own.
file(GLOB cuda_sources CONFIGURE_DEPENDS cpp/src/cuda/*.cu)

if(GRADWELL_CUDA_EMULATED)
  set_source_files_properties(${cuda_sources} PROPERTIES LANGUAGE CXX)
  file(GLOB emulator_sources CONFIGURE_DEPENDS cpp/emulator/*.cpp)
  add_library(gradwell_cuda SHARED ${cuda_sources} ${emulator_sources})
  target_include_directories(gradwell_cuda PRIVATE cpp/emulator)
  # -x c++: g++ does not know what a .cu is.
  target_compile_options(gradwell_cuda PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-x c++> -Wall -Wextra -Wshadow -ffp-contract=off -fno-math-errno -O1)
  set_source_files_properties(${emulator_sources} PROPERTIES COMPILE_OPTIONS -O3)
  if(GRADWELL_WERROR)
    target_compile_options(gradwell_cuda PRIVATE -Werror)
  endif()
else()
  # sm_80, sm_90, sm_120, and PTX for what comes after them.
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 120-real 120-virtual CACHE STRING "Compute capabilities")
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  enable_language(CUDA)
  set(CMAKE_CUDA_STANDARD 17)
  find_package(Python REQUIRED COMPONENTS Interpreter)
  # Headers and library of the wheel nvidia-cublas, or of a whole CUDA.
  execute_process(
    COMMAND ${Python_EXECUTABLE} -c "import nvidia.cu13, sys; sys.stdout.write(list(nvidia.cu13.__path__)[0])"
    OUTPUT_VARIABLE cublas_wheel
    ERROR_QUIET)
  find_path(CUBLAS_INCLUDE cublasLt.h HINTS ${cublas_wheel}/include ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES} REQUIRED)
  find_library(CUBLASLT_LIBRARY NAMES cublasLt libcublasLt.so.13 HINTS ${cublas_wheel}/lib REQUIRED)
  add_library(gradwell_cuda SHARED ${cuda_sources})
  target_include_directories(gradwell_cuda SYSTEM PRIVATE ${CUBLAS_INCLUDE})
  target_link_libraries(gradwell_cuda PRIVATE ${CUBLASLT_LIBRARY})
  set_target_properties(gradwell_cuda PROPERTIES INSTALL_RPATH "$ORIGIN/../nvidia/cu13/lib")
  # Contraction is off and float32 flushes denormals, as on the CPU.
  target_compile_options(
    gradwell_cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:--fmad=false -ftz=true -Xcompiler=-Wall,-Wextra>)
endif()

target_include_directories(gradwell_cuda PRIVATE cpp/include cpp/src)
target_compile_definitions(gradwell_cuda PRIVATE GRADWELL_ONE_LANE GRADWELL_LEVEL=cuda)
install(TARGETS gradwell_cuda LIBRARY DESTINATION gradwell_cuda13)

#include "gradwell/convolution.h"

#include "cpu/level.h"
#include "cpu/parallel.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

// Calls body(pixel's number, its place in the row) for the pixels around (y, x) that are in the image, and
// outside(place) for the others.
template <class Body, class Outside>
GRADWELL_INLINE void around(ImageShape s, Index y, Index x, Body&& body, Outside&& outside) {
  const Index half = s.kernel / 2;
  for (Index dy = 0; dy < s.kernel; ++dy)
    for (Index dx = 0; dx < s.kernel; ++dx) {
      const Index v = y + dy - half, u = x + dx - half, place = (dy * s.kernel + dx) * s.channels;
      if (v >= 0 && v < s.height && u >= 0 && u < s.width) {
        body(v * s.width + u, place);
      } else {
        outside(place);
      }
    }
}

template <class T>
void neighbourhoods(Context context, ImageShape s, const T* pixels, T* rows) {
  const Index area = s.height * s.width, wide = s.kernel * s.kernel * s.channels;
  parallel_for(context, s.images * s.height, s.images * area * wide, [&](Index task) {
    const Index image = task / s.height, y = task % s.height;
    const T* const from = pixels + image * area * s.channels;
    for (Index x = 0; x < s.width; ++x) {
      T* const to = rows + (image * area + y * s.width + x) * wide;
      around(
          s, y, x,
          [&](Index pixel, Index place) {
            for (Index c = 0; c < s.channels; ++c) to[place + c] = from[pixel * s.channels + c];
          },
          [&](Index place) {
            for (Index c = 0; c < s.channels; ++c) to[place + c] = 0;
          });
    }
  });
}

template <class T>
void add_neighbourhoods(Context context, ImageShape s, const T* rows, T* pixels) {
  const Index area = s.height * s.width, wide = s.kernel * s.kernel * s.channels;
  parallel_for(context, s.images, s.images * area * wide, [&](Index image) {
    T* const to = pixels + image * area * s.channels;
    for (Index y = 0; y < s.height; ++y)
      for (Index x = 0; x < s.width; ++x) {
        const T* const from = rows + (image * area + y * s.width + x) * wide;
        around(
            s, y, x,
            [&](Index pixel, Index place) {
              for (Index c = 0; c < s.channels; ++c) to[pixel * s.channels + c] += from[place + c];
            },
            [](Index) {});
      }
  });
}

}  // namespace

template <class T>
ConvolutionKernels<T> convolution_kernels() {
  return {neighbourhoods<T>, add_neighbourhoods<T>};
}
template ConvolutionKernels<float> convolution_kernels<float>();
template ConvolutionKernels<double> convolution_kernels<double>();

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

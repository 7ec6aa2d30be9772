// Neighbourhoods of pixels as rows, so that a convolution is a matrix product.
//
// An image is a matrix of pixels (height * width, channels), row by row; `images` of them lie one after the other. Row
// (y, x) of the neighbourhoods holds the channels of the kernel * kernel pixels around it, row by row, zeros beyond the
// edge: (images * height * width, kernel * kernel * channels). kernel is odd.
#pragma once

#include "gradwell/types.h"

namespace gradwell {

struct ImageShape {
  Index images, height, width, channels, kernel;
};

template <class T>
struct ConvolutionKernels {
  void (*neighbourhoods)(Context, ImageShape, const T* pixels, T* rows);
  // The way back: every pixel has added to it what the rows hold of it.
  void (*add_neighbourhoods)(Context, ImageShape, const T* rows, T* pixels);
};

}  // namespace gradwell

// Slices of one block of parameters, cut into pieces of a size that blocks of threads share out between them: all
// slices are the work of one launch, however many there are. Private to cpp/src/cuda.
#pragma once

#include <vector>

#include "gradwell/types.h"

namespace gradwell {
namespace cuda {

struct Span {
  Index offset, count;
  Index first_piece = 0, pieces = 0;  // by cut_spans
};

struct Piece {
  int span;
  Index first, size;
};

constexpr Index piece_size = 4096;

inline std::vector<Piece> cut_spans(std::vector<Span>& spans) {
  std::vector<Piece> all;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    Span& span = spans[i];
    span.first_piece = static_cast<Index>(all.size());
    for (Index begin = 0; begin < span.count; begin += piece_size) {
      const Index rest = span.count - begin;
      all.push_back({static_cast<int>(i), span.offset + begin, rest < piece_size ? rest : piece_size});
    }
    span.pieces = static_cast<Index>(all.size()) - span.first_piece;
  }
  return all;
}

}  // namespace cuda
}  // namespace gradwell

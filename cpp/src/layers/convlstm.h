// The convolutional LSTM: every pixel is a sequence whose products are convolutions of its neighbourhood.
//
// Made of products over neighbourhoods, one step after the other, and the lstm's step with a recurrent weight of zeros:
// plain, and far from the speed of the other recurrent layers. x and y are channels first, (time, channels, height,
// width); inside, rows are pixels.
#pragma once

#include "gradwell/recurrent.h"
#include "layers/layer.h"

namespace gradwell {

struct ConvLstmSettings {
  Index steps, channels, height, width, filters, kernel;
  bool sequences;
  std::size_t weight, recurrent_weight;  // positions among the slices
  int bias;                              // -1 for none
};

template <class T>
class ConvLstmLayer final : public Layer<T> {
 public:
  ConvLstmLayer(int stage, ConvLstmSettings settings, const std::vector<Slice>& slices);
  void bind_memory(T* kept, Index batch, Index stride) override;
  void bind_parameters(T* parameters, T* gradients) override;
  bool rows_apart() const override { return false; }
  bool sums_on_the_way() const override { return true; }
  bool bounded() const override { return true; }
  bool keeps_output() const override { return false; }
  bool hooked() const override { return true; }
  void begin(const Pass<T>& pass, Index batch) override;
  void forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void backward_activation(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void backward_input(const Pass<T>& pass, Matrix<const T> x, Rows rows, Derivative<T> below, Matrix<T> dx) override;
  void backward_end(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void make_sums(const Pass<T>& pass) override;
  void describe(StagePlan& plan) const override { plan.reason = "a ConvLSTM"; }
  void explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) override;

 private:
  struct Part {
    Index offset = -1;
    T *value = nullptr, *gradient = nullptr;
  };
  Index area() const { return s_.height * s_.width; }
  Index pixels() const { return batch_ * area(); }
  Index around(Index channels) const { return s_.kernel * s_.kernel * channels; }
  ImageShape image(Index channels) const { return {batch_, s_.height, s_.width, channels, s_.kernel}; }
  RecurrentRun<T> run(Index step, const T* panels) const;
  void gather(const Pass<T>& pass, Matrix<const T> x, Index step);
  void step_back(const Pass<T>& pass, Matrix<const T> x, Index step, Matrix<T> dx);
  void go_back(const Pass<T>& pass, Matrix<const T> x, Matrix<T> dx);

  ConvLstmSettings s_;
  Part weight_, recurrent_, bias_;
  Index batch_ = 0;
  Block<T> gates_, states_, cells_, x_, x_rows_, h_rows_, product_, dh_, dc_, sums_, panels_, back_panels_;
  Block<Index> lengths_;      // of every pixel
  Block<double> norms_;       // (time_quantities, steps, pixels)
  std::vector<double> back_;  // norms of what came back: of h by step, then of c
};

}  // namespace gradwell

// What a network is made of, as it is described and as others see it: layers, slices of the parameter block, stages.
#pragma once

#include <string>

#include "gradwell/optimizers.h"
#include "gradwell/recurrence.h"
#include "gradwell/types.h"

namespace gradwell {

// What keeps the weights of a layer small.
enum class Constraint : int { none, max_norm, clip };
struct Penalty {
  double l1 = 0, l2 = 0;  // added to the loss: l1 |w|_1 + l2/2 |w|^2
};

// `kind` is "recurrent" (see below), "convlstm" (units: filters; kernel), "embedding" (units, vocabulary), "flatten",
// "dense" (units, bias), "activation" (activation), "prelu", "batchnorm" (epsilon, momentum, gamma, beta), "layernorm"
// (epsilon, gamma, beta), "dropout" (rate), or a joint of a residual block: "residual" opens one (scale, learned),
// "shortcut" ends its branch before a dense layer on the skip connection, "end" closes it.
struct LayerSpec {
  std::string kind;
  std::string name;
  Index units = 0;
  bool bias = true;
  Activation activation = {ActivationKind::identity, 0};
  double epsilon = 0, momentum = 0, rate = 0, scale = 1;
  bool gamma = true, beta = true, learned = false;
  // Of a recurrent layer, in one direction or two; the rest is as in recurrence.h.
  RecurrenceSettings cell = {};
  bool both = false, sequences = false, stateful = false, recurrent_bias = false, peephole = false;
  Penalty recurrent_penalty;
  Index vocabulary = 0, kernel = 0;
  Penalty weight_penalty, bias_penalty;
  Constraint constraint = Constraint::none;
  double constraint_limit = 0;
};

// A named part of the parameter block: `rows` x `columns` numbers from `offset`; rows is 0 for a vector.
struct Slice {
  std::string name;
  Index rows;
  Index columns;
  Index offset;
  int stage;
  bool decays;  // weights do, biases and slopes do not
  Penalty penalty = {};
  Constraint constraint = Constraint::none;
  double constraint_limit = 0;

  Index size() const { return (rows ? rows : 1) * columns; }
  StepRule rule(StepRule step) const {
    if (!decays) step.weight_decay = step.l2 = 0;
    step.l2 += penalty.l2;
    step.l1 += penalty.l1;
    return step;
  }
  // The same for plain descent, of which that is all there is.
  Sgd plain_rule(const StepRule& step) const {
    return {step.learning_rate, decays ? step.weight_decay : 0.0, (decays ? step.l2 : 0.0) + penalty.l2};
  }
};

// A run of rows, of a batch or of a weight.
struct Rows {
  Index first, count;
};

// `from` is the stage whose output it reads, -1 the network's input; `above` the one that reads its own output, the
// joint where a residual block begins at it, -1 for the last. Its output is `steps` steps of a sequence, or 1.
struct StageInfo {
  std::string name;
  std::string kind;  // such as "dense+sigmoid"
  Index inputs;
  Index outputs;
  int from = -1;
  int above = -1;
  Index steps = 1;
  Index time_steps = 0;     // of the sequences that a recurrent layer reads
  int time_quantities = 0;  // of its time record, for each direction
  int directions = 0;
  bool backwards = false;  // the first direction reads from the end
};

// A state (rows, columns) that goes from one batch to the next.
template <class Element>
struct KeptState {
  std::string name;
  Element* data;
  Index rows, columns;
};

// Numbers that belong to a layer but are not trained, such as running statistics.
struct Buffer {
  std::string name;
  double* data;
  Index size;
};

}  // namespace gradwell

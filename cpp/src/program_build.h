// Building a program: layers are merged into stages, parameters laid out, residual blocks turned into joints.
#pragma once

#include "layers/activation.h"
#include "layers/recurrent.h"

namespace gradwell {

template <class T>
class Program<T>::Builder {
 public:
  Builder(Program& program, const std::vector<LayerSpec>& specs, std::vector<Index> image);
  void build();

 private:
  // A residual block whose end has not come yet.
  struct OpenBlock {
    const LayerSpec* spec;
    int begin;        // the stage it begins at, -1 for the network's input
    int first;        // its first stage
    int branch = -2;  // the last stage of its branch, once that is known
    Index branch_width = 0;
    Index steps = 1;  // where it begins
    bool sequential = false;
  };

  Index width_of(int stage) const {
    return stage < 0 ? p_.inputs_ : p_.stages_[static_cast<std::size_t>(stage)].outputs;
  }
  int next_stage() const { return static_cast<int>(p_.stages_.size()); }
  int add_slice(const std::string& layer, const char* what, Index rows, Index columns, bool decays, Penalty penalty);
  ActivationPart<T> follower(Index units);
  void add_stage(const std::string& name, std::string kind, Index units, std::unique_ptr<Layer<T>> layer);
  std::unique_ptr<Layer<T>> by_steps(Index units, std::unique_ptr<Layer<T>> layer);
  RecurrentSlices add_direction(const LayerSpec& spec, const std::string& prefix);
  void add_recurrent(const LayerSpec& spec);
  void end_sequence() {
    sequence_ = 1;
    sequential_ = false;
  }
  void add_convlstm(const LayerSpec& spec);
  void add_embedding(const LayerSpec& spec);
  void add_dense(const LayerSpec& spec);
  void add_activation(const LayerSpec& spec);
  void add_normalisation(const LayerSpec& spec);
  void add_dropout(const LayerSpec& spec);
  void begin_shortcut(const LayerSpec& spec);
  void close_block(const LayerSpec& spec);
  void direct_flow();

  Program& p_;
  const std::vector<LayerSpec>& specs_;
  std::size_t at_ = 0;
  int current_ = -1;          // the stage whose output comes next
  bool sequential_ = false;   // what comes next is a sequence
  Index sequence_ = 1;        // steps of what comes next, where it is a sequence
  std::vector<Index> image_;  // channels, height, width of a step of what comes next, where it is an image
  bool followed_ = false;     // the stage being made took an activation along
  std::vector<OpenBlock> open_;
};

}  // namespace gradwell

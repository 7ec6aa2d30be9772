#include "gradwell/program.h"

#include <pybind11/stl.h>

#include "names.h"
#include "plan.h"
#include "record.h"
#include "rules.h"
#include "targets.h"

namespace gradwell::bindings {

namespace {

// Rows of sequences must lie without gaps.
template <class T>
InputMatrix<T> features(const char* op, const char* name, const py::object& x, const Program<T>& program) {
  auto in = input_matrix<T>(op, name, x, "the network");
  const Index columns = program.inputs();
  check(in.view.columns == columns, op, name, " has ", in.view.columns, " columns but the network needs ", columns);
  if (program.steps() > 1 && in.view.stride != columns) {
    in.owner = contiguous<T>(in.owner);
    in.view = {static_cast<const T*>(in.owner.data()), in.view.rows, columns, columns};
  }
  return in;
}

// What a view has for its owner: it keeps the program alive, and tells it when the last view of it is gone.
template <class T>
py::object borrow(const py::object& self) {
  struct Loan {
    py::object self;
    Program<T>* program;
  };
  auto& program = py::cast<Program<T>&>(self);
  {
    const py::gil_scoped_release release;
    program.lend();
  }
  return py::capsule(new Loan{self, &program}, [](void* p) {
    auto* const loan = static_cast<Loan*>(p);
    loan->program->take_back();
    delete loan;
  });
}

// A view of one slice of a block.
template <class T>
py::array slice_view(const Slice& slice, T* block, const py::object& owner) {
  std::vector<py::ssize_t> shape = {slice.columns};
  if (slice.rows) shape.insert(shape.begin(), slice.rows);
  return py::array_t<T>(shape, block + slice.offset, owner);
}

template <class T>
py::dict views_of(const py::object& self, T* block) {
  const auto& program = py::cast<const Program<T>&>(self);
  const py::object owner = borrow<T>(self);
  py::dict views;
  for (const Slice& slice : program.slices()) views[py::str(slice.name)] = slice_view(slice, block, owner);
  return views;
}

template <class T>
py::dict buffer_views(const py::object& self) {
  const auto& program = py::cast<const Program<T>&>(self);
  const py::object owner = borrow<T>(self);
  py::dict views;
  for (const Buffer& buffer : program.buffers())
    views[py::str(buffer.name)] = py::array_t<double>({buffer.size}, buffer.data, owner);
  return views;
}

template <class T>
py::list state_views(const py::object& self) {
  const auto& program = py::cast<const Program<T>&>(self);
  py::list states;
  for (int k = 0; k < program.states(); ++k) states.append(views_of<T>(self, program.state(k)));
  return states;
}

// The lengths of the rows' sequences, or none.
struct InputLengths {
  py::object owner;
  const Index* data;
};
InputLengths row_lengths(const char* op, const py::object& lengths, Index rows, Index steps) {
  if (lengths.is_none()) return {lengths, nullptr};
  const auto in = input_vector<Index>(op, "lengths", lengths, "the network");
  check(in.size == rows, op, "lengths has ", in.size, " values but x has ", rows, " rows");
  for (Index i = 0; i < rows; ++i)
    check(in.data[i] >= 0 && in.data[i] <= steps, op, "lengths has ", in.data[i], " in row ", i, "; needs 0 to ",
          steps);
  return {in.owner, in.data};
}

template <class T>
py::list kept_states(const py::object& self) {
  py::list all;
  for (const KeptState<T>& state : py::cast<const Program<T>&>(self).kept_states()) {
    auto copy = output_matrix<T>(state.rows, state.columns);
    std::copy_n(state.data, state.rows * state.columns, copy.view.data);
    all.append(py::make_tuple(state.name, copy.owner));
  }
  return all;
}

template <class T>
void keep_states(Program<T>& program, const py::dict& states) {
  std::vector<InputMatrix<T>> owners;
  std::vector<KeptState<const T>> views;
  for (const auto& [name, state] : states) {
    auto in = input_matrix<T>("restore", "state", py::reinterpret_borrow<py::object>(state), "the network");
    in.owner = contiguous<T>(in.owner);
    views.push_back(
        {py::cast<std::string>(name), static_cast<const T*>(in.owner.data()), in.view.rows, in.view.columns});
    owners.push_back(std::move(in));
  }
  program.keep_states(views);
}

template <class T>
py::object forward(Program<T>& program, const py::object& x, const py::object& lengths, bool training,
                   std::uint64_t seed, std::uint64_t step, bool flush) {
  const auto in = features<T>("forward", "x", x, program);
  const auto counts = row_lengths("forward", lengths, in.view.rows, program.steps());
  auto y = output_matrix<T>(in.view.rows, program.outputs());
  call([&](Context c) { program.forward(c, in.view, counts.data, y.view, {training, seed, step}); }, flush);
  return std::move(y.owner);
}

// A copy of what a stage read in the last forward pass.
template <class T>
py::object stage_input(const Program<T>& program, std::size_t stage) {
  check(stage < program.stages().size(), "stage_input", "stage is ", stage, "; the network has ",
        program.stages().size());
  const Matrix<const T> from = program.stage_input(stage);
  auto to = output_matrix<T>(from.rows, from.columns);
  for (Index row = 0; row < from.rows; ++row)
    std::copy(from.data + row * from.stride, from.data + row * from.stride + from.columns,
              to.view.data + row * to.view.stride);
  return std::move(to.owner);
}

template <class T>
py::object backward(Program<T>& program, const py::object& dy, bool flush) {
  const auto upstream = input_matrix<T>("backward", "dy", dy, "the network");
  check(upstream.view.columns == program.outputs(), "backward", "dy has ", upstream.view.columns,
        " columns but the network has ", program.outputs(), " outputs");
  auto dx = output_matrix<T>(upstream.view.rows, program.inputs());
  call([&](Context c) { program.backward(c, upstream.view, dx.view); }, flush);
  return std::move(dx.owner);
}

template <class T>
py::object predict(Program<T>& program, const py::object& x, const py::object& lengths, Index batch, bool flush) {
  const auto in = features<T>("predict", "x", x, program);
  const auto counts = row_lengths("predict", lengths, in.view.rows, program.steps());
  auto y = output_matrix<T>(in.view.rows, program.outputs());
  call([&](Context c) { program.predict(c, in.view, counts.data, y.view, batch); }, flush);
  return std::move(y.owner);
}

// Features and targets of the same number of rows, ready for the program.
template <class T>
struct InputSamples {
  InputMatrix<T> x;
  InputTargets<T> y;
  InputLengths lengths;
  Samples<T> view;
};

template <class T>
InputSamples<T> samples(const char* op, const Program<T>& program, const py::object& x, const py::object& y,
                        const py::object& lengths) {
  auto in = features<T>(op, "x", x, program);
  check(in.view.rows > 0, op, "x has no rows; needs at least one");
  auto targets = input_targets<T>(op, "y", y, in.view.rows, program.outputs(), program.output_steps());
  auto counts = row_lengths(op, lengths, in.view.rows, program.steps());
  const Samples<T> view = {in.view, targets.view, counts.data};
  return {std::move(in), std::move(targets), std::move(counts), view};
}

template <class T>
py::tuple evaluate(Program<T>& program, const py::object& x, const py::object& y, const py::object& lengths,
                   const py::object& loss, Index batch, bool flush) {
  const LossKind kind = parse_loss("evaluate", loss);
  const auto in = samples("evaluate", program, x, y, lengths);
  const LossResult r = call([&](Context c) { return program.evaluate(c, kind, in.view, batch); }, flush);
  return py::make_tuple(r.sum / static_cast<double>(std::max<Index>(r.counted, 1)), r.correct, r.counted);
}

template <class T>
py::dict record_gradients(Program<T>& program, const py::object& x, const py::object& y, const py::object& lengths,
                          const py::object& loss, bool training, std::uint64_t seed, bool flush) {
  const LossKind kind = parse_loss("gradients", loss);
  const auto in = samples("gradients", program, x, y, lengths);
  Record record;
  const LossResult r =
      call([&](Context c) { return program.record_gradients(c, kind, in.view, {training, seed, 0}, &record); }, flush);
  py::dict result =
      record_arrays(record, static_cast<Index>(program.stages().size()), static_cast<Index>(program.slices().size()));
  result["loss"] = r.sum / static_cast<double>(std::max<Index>(r.counted, 1));
  result["correct"] = r.correct;
  return result;
}

template <class T>
InputVector<Index> row_numbers(const py::object& order, Index rows) {
  auto numbers = input_vector<Index>("fit", "order", order);
  for (Index i = 0; i < numbers.size; ++i)
    check(numbers.data[i] >= 0 && numbers.data[i] < rows, "fit", "order has row ", numbers.data[i], " but x has ", rows,
          " rows");
  return numbers;
}

template <class T>
py::dict train(Program<T>& program, const py::object& x, const py::object& y, const py::object& lengths,
               const py::object& order, const Plan& plan, bool flush) {
  const TrainPlan parsed = plan.parse(program.slices().size());
  const auto in = samples("fit", program, x, y, lengths);
  const auto rows = row_numbers<T>(order, in.view.x.rows);
  Record record;
  const TrainResult r =
      call([&](Context c) { return program.train(c, parsed, in.view, rows.data, rows.size, &record); }, flush);
  constexpr const char* faults[] = {"", "loss", "gradient", "update"};
  py::array_t<double> losses(static_cast<Index>(r.losses.size()));
  std::copy(r.losses.begin(), r.losses.end(), losses.mutable_data());
  py::dict result;
  py::array_t<Index> counts(static_cast<Index>(r.counts.size()));
  std::copy(r.counts.begin(), r.counts.end(), counts.mutable_data());
  result["losses"] = losses;
  result["counts"] = counts;
  result["correct"] = r.correct;
  result["samples"] = r.samples;
  result["fault"] = faults[static_cast<int>(r.fault)];
  py::array_t<double> clips({static_cast<Index>(r.clips.size()), Index{3}});
  double* next = clips.mutable_data();
  for (const ClipEntry& entry : r.clips)
    for (double value : {entry.before, entry.after, static_cast<double>(entry.cause)}) *next++ = value;
  result["clips"] = clips;
  result["plain_seconds"] = r.plain_seconds;
  result["recorded_seconds"] = r.recorded_seconds;
  result["plain_steps"] = r.plain_steps;
  result["recorded_steps"] = r.recorded_steps;
  result["record"] =
      record_arrays(record, static_cast<Index>(program.stages().size()), static_cast<Index>(program.slices().size()));
  return result;
}

template <class T>
void move_to_device(Program<T>& program, bool device) {
  const DeviceLibrary* const library = device_library();
  check(!device || library, "to", "no CUDA library has been opened");
  const py::gil_scoped_release release;
  program.move_to(device ? library : nullptr);
}

template <class T>
void hold(Program<T>& program, const py::object& x, const py::object& y, const py::object& lengths) {
  if (!program.on_device()) return;
  const auto in = samples("fit", program, x, y, lengths);
  const py::gil_scoped_release release;
  program.hold(in.view);
}

template <class T>
py::dict find_producer(Program<T>& program, const py::object& x, const py::object& y, const py::object& lengths,
                       const py::object& order, const Plan& plan, bool flush) {
  const TrainPlan parsed = plan.parse(program.slices().size());
  const auto in = samples("fit", program, x, y, lengths);
  const auto rows = row_numbers<T>(order, in.view.x.rows);
  const Producer p =
      call([&](Context c) { return program.find_producer(c, parsed, in.view, rows.data, rows.size); }, flush);
  py::dict values;
  for (const auto& value : p.values) values[py::str(value.first)] = statistics_tuple(value.second);
  py::dict result;
  result["phase"] = p.phase;
  result["stage"] = p.stage;
  result["operation"] = p.operation;
  result["values"] = values;
  return result;
}

template <class T>
py::tuple update(Program<T>& program, const py::dict& rule, const py::object& clip, bool flush) {
  const StepRule step = parse_rule("update", rule);
  const ClipPlan plan = parse_clip("update", clip);
  const ClipEntry entry = call([&](Context c) { return program.update(c, step, plan); }, flush);
  return py::make_tuple(entry.before, entry.after, entry.cause);
}

template <class T>
void prepare_optimizer(Program<T>& program, const py::dict& rule, bool afresh) {
  program.prepare_optimizer(parse_rule("fit", rule).kind, afresh);
}

template <class T>
void register_type(py::module_& m, const char* name) {
  const auto flush = py::arg("flush_denormals");
  py::class_<Program<T>>(m, name)
      .def(py::init([](const std::vector<py::dict>& layers, Index inputs, Index steps, std::vector<Index> image) {
             std::vector<LayerSpec> specs;
             for (const py::dict& layer : layers) specs.push_back(parse_layer(layer));
             return std::make_unique<Program<T>>(std::move(specs), inputs, steps, std::move(image));
           }),
           py::arg("layers"), py::arg("inputs"), py::arg("steps"), py::arg("image"))
      .def_property_readonly("inputs", &Program<T>::inputs)
      .def_property_readonly("outputs", &Program<T>::outputs)
      .def_property_readonly("output_steps", &Program<T>::output_steps)
      .def("kept_states", kept_states<T>)
      .def("keep_states", keep_states<T>, py::arg("states"))
      .def("forget_states", &Program<T>::forget_states)
      .def_property_readonly(
          "time_stages",
          [](const Program<T>& program) {
            std::vector<py::tuple> stages;
            for (const StageInfo& s : program.stages())
              stages.push_back(py::make_tuple(s.time_steps, s.time_quantities, s.directions, s.backwards));
            return stages;
          })
      .def_property_readonly("stages",
                             [](const Program<T>& program) {
                               std::vector<py::tuple> stages;
                               for (const StageInfo& s : program.stages())
                                 stages.push_back(py::make_tuple(s.name, s.kind, s.inputs, s.outputs, s.from, s.above));
                               return stages;
                             })
      .def_property_readonly("parameter_stages",
                             [](const Program<T>& program) {
                               std::vector<py::tuple> slices;
                               for (const Slice& s : program.slices())
                                 slices.push_back(py::make_tuple(s.name, s.stage));
                               return slices;
                             })
      .def("parameters",
           [](const py::object& self) { return views_of<T>(self, py::cast<Program<T>&>(self).parameters()); })
      .def("gradients",
           [](const py::object& self) { return views_of<T>(self, py::cast<Program<T>&>(self).gradients()); })
      .def("buffers", buffer_views<T>)
      .def("optimizer_states", state_views<T>)
      .def("prepare_optimizer", prepare_optimizer<T>, py::arg("rule"), py::arg("afresh"))
      .def_property("updates", &Program<T>::updates, &Program<T>::set_updates)
      .def("clip_state", &Program<T>::clip_state)
      .def(
          "restore_clip",
          [](Program<T>& program, const py::object& clip, const std::vector<double>& state) {
            program.restore_clip(parse_clip("fit", clip), state);
          },
          py::arg("clip"), py::arg("state"))
      .def("penalty", [](Program<T>& program) { return call([&](Context c) { return program.penalty(c); }); })
      .def("forward", forward<T>, py::arg("x"), py::arg("lengths"), py::arg("training"), py::arg("seed"),
           py::arg("step"), flush)
      .def("stage_input", stage_input<T>, py::arg("stage"))
      .def("backward", backward<T>, py::arg("dy"), flush)
      .def("predict", predict<T>, py::arg("x"), py::arg("lengths"), py::arg("batch"), flush)
      .def("evaluate", evaluate<T>, py::arg("x"), py::arg("y"), py::arg("lengths"), py::arg("loss"), py::arg("batch"),
           flush)
      .def("record_gradients", record_gradients<T>, py::arg("x"), py::arg("y"), py::arg("lengths"), py::arg("loss"),
           py::arg("training"), py::arg("seed"), flush)
      .def("train", train<T>, py::arg("x"), py::arg("y"), py::arg("lengths"), py::arg("order"), py::arg("plan"), flush)
      .def(
          "move_to_device", [](Program<T>& program, bool device) { move_to_device(program, device); },
          py::arg("device"))
      .def_property_readonly("on_device", [](const Program<T>& program) { return program.on_device(); })
      .def("hold", hold<T>, py::arg("x"), py::arg("y"), py::arg("lengths"))
      .def("release", &Program<T>::release)
      .def("find_producer", find_producer<T>, py::arg("x"), py::arg("y"), py::arg("lengths"), py::arg("order"),
           py::arg("plan"), flush)
      .def("update", update<T>, py::arg("rule"), py::arg("clip"), flush);
}

}  // namespace

void register_program(py::module_& m) {
  py::class_<Plan>(m, "Plan").def(py::init<std::string, py::dict, std::vector<double>, py::object, std::vector<double>,
                                           std::uint64_t, Index, Index, Index>(),
                                  py::arg("loss"), py::arg("rule"), py::arg("learning_rates"), py::arg("clip"),
                                  py::arg("amplify"), py::arg("seed"), py::arg("batch"), py::arg("first_step"),
                                  py::arg("record_every"));
  register_type<float>(m, "Program32");
  register_type<double>(m, "Program64");
}

}  // namespace gradwell::bindings

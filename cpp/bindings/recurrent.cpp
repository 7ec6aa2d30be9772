#include "gradwell/recurrence.h"

#include <memory>

#include "array.h"
#include "bindings.h"
#include "core/team.h"
#include "names.h"

namespace gradwell::bindings {
namespace {

// What a forward pass leaves for the way back, which takes it apart.
struct Saved {
  std::string operation;
  bool used = false;
  virtual ~Saved() = default;
  virtual py::tuple backward(const std::string& op, const py::object& dy, const py::object& dh, const py::object& dc,
                             bool need_dx, bool record) = 0;
};

CellKind parse_cell(const std::string& name, bool reset_after) {
  if (name == "lstm") return CellKind::lstm;
  if (name == "rnn") return CellKind::rnn;
  return reset_after ? CellKind::gru : CellKind::gru_before;
}

template <class T>
Sequence<const T> sequence(const py::array& array) {
  return {static_cast<const T*>(array.data()), array.shape(1) * array.shape(2), array.shape(2)};
}

template <class T>
py::array sequences(const char* op, const char* name, const py::object& object, const char* first) {
  return contiguous<T>(checked<T>(op, name, object, 3, first));
}

// An array of this shape, or none.
template <class T>
py::array optional(const char* op, const char* name, const py::object& object, std::vector<Index> shape) {
  if (object.is_none()) return {};
  const py::array array = contiguous<T>(checked<T>(op, name, object, static_cast<int>(shape.size()), "x"));
  py::tuple needs(shape.size());
  for (std::size_t k = 0; k < shape.size(); ++k) needs[k] = shape[k];
  check(std::equal(shape.begin(), shape.end(), array.shape()), op, name, " has shape ", shape_of(array), "; needs ",
        Spelled{needs});
  return array;
}
template <class T>
T* data_of(const py::array& array, const py::object& given) {
  return given.is_none() ? nullptr : const_cast<T*>(static_cast<const T*>(array.data()));
}

py::array row_lengths(const char* op, const py::object& object, Index batch, Index steps) {
  if (object.is_none()) return {};
  const auto lengths = input_vector<Index>(op, "lengths", object);
  check(lengths.size == batch, op, "lengths has ", lengths.size, " values but x has ", batch, " sequences");
  for (Index b = 0; b < batch; ++b)
    check(lengths.data[b] >= 0 && lengths.data[b] <= steps, op, "lengths has ", lengths.data[b], " at ", b,
          "; needs 0 to ", steps);
  return py::reinterpret_steal<py::array>(lengths.owner.attr("copy")("C").release());
}

// On a team of threads where the sequences have work for it.
template <class Body>
void on_team(double work, Body&& body) {
  call([&](Context context) { on_threads(context, work, body); });
}

template <class T>
struct SavedOf final : Saved {
  std::vector<py::array> owners;  // of the weights and the lengths
  std::unique_ptr<Recurrence<T>> recurrence;
  RecurrenceParameters<T> parameters = {};
  Index batch = 0, steps = 0;

  double work() const {
    const auto& s = recurrence->settings();
    return static_cast<double>(batch * steps) * static_cast<double>(gates_of(s.kind) * s.hidden) *
           static_cast<double>(s.hidden + s.inputs);
  }

  py::tuple backward(const std::string& operation_name, const py::object& dy, const py::object& dh,
                     const py::object& dc, bool need_dx, bool record) override {
    const char* const op = operation_name.c_str();
    check(!used, op, "saved has been used; run the forward pass again");
    const RecurrenceSettings s = recurrence->settings();
    const Index hidden = s.hidden, inputs = s.inputs, wide = gates_of(s.kind) * hidden;
    const py::array upstream = optional<T>(op, "dy", dy, {batch, steps, hidden});
    const py::array state = optional<T>(op, "dh", dh, {batch, hidden});
    const py::array cell = optional<T>(op, "dc", dc, {batch, hidden});
    used = true;
    const auto fill = [&](const py::array& from, const py::object& given, T* to) {
      if (!given.is_none()) std::copy_n(static_cast<const T*>(from.data()), batch * hidden, to);
    };
    fill(state, dh, recurrence->state_gradient());
    if (s.kind == CellKind::lstm) fill(cell, dc, recurrence->cell_gradient());
    auto dweight = new_array<T>({inputs, wide}), drecurrent = new_array<T>({hidden, wide}),
         dbias = new_array<T>({wide});
    auto own = new_array<T>({hidden}), peephole = new_array<T>({3, hidden});
    RecurrenceParameters<T> to = {dweight.mutable_data(), drecurrent.mutable_data(), dbias.mutable_data(), nullptr,
                                  nullptr};
    if (s.kind == CellKind::gru) to.recurrent_bias = own.mutable_data();
    if (parameters.peephole) to.peephole = peephole.mutable_data();
    py::array_t<T> dx = need_dx ? new_array<T>({batch, steps, inputs}) : py::array_t<T>(0);
    const Sequence<T> to_input = {dx.mutable_data(), steps * inputs, inputs};
    const Sequence<const T> from = dy.is_none() ? Sequence<const T>{nullptr, 0, 0} : sequence<T>(upstream);
    const Index quantities = record ? time_quantities(s.kind) : 0;
    py::array_t<double> norms({quantities, steps, batch});
    double* const to_norms = record ? norms.mutable_data() : nullptr;
    std::fill_n(norms.mutable_data(), norms.size(), 0.0);
    on_team(work(), [&](Context context) {
      recurrence->backward(context, 0, batch, from, to_norms);
      recurrence->gradients(context, to);
      if (need_dx) recurrence->input_gradient(context, 0, batch, to_input, false);
    });
    auto dh0 = new_array<T>({batch, hidden}), dc0 = new_array<T>({batch, hidden});
    std::copy_n(recurrence->state_gradient(), batch * hidden, dh0.mutable_data());
    if (s.kind == CellKind::lstm) std::copy_n(recurrence->cell_gradient(), batch * hidden, dc0.mutable_data());
    recurrence.reset();  // its memory serves the next pass
    const auto when = [](bool there, py::object array) { return there ? std::move(array) : py::object(py::none()); };
    return py::make_tuple(when(need_dx, dx), dweight, drecurrent, dbias, when(to.recurrent_bias != nullptr, own),
                          when(to.peephole != nullptr, peephole), dh0, when(s.kind == CellKind::lstm, dc0), norms);
  }
};

py::tuple forward(const std::string& name, const py::object& x, const py::object& weight, const py::object& recurrent,
                  const py::object& bias, const py::object& recurrent_bias, const py::object& peephole,
                  const py::object& h0, const py::object& c0, const py::object& lengths, bool reverse,
                  const std::string& activation, bool reset_after) {
  const std::string operation = name + "_forward";
  const char* const op = operation.c_str();
  return by_dtype(op, "x", x, [&](auto zero) -> py::tuple {
    using T = decltype(zero);
    const CellKind kind = parse_cell(name, reset_after);
    const py::array in = sequences<T>(op, "x", x, "x");
    const Index batch = in.shape(0), steps = in.shape(1), inputs = in.shape(2);
    const py::array u = checked<T>(op, "recurrent_weight", recurrent, 2, "x");
    const Index hidden = u.shape(0), wide = gates_of(kind) * hidden;
    check(hidden >= 1 && u.shape(1) == wide, op, "recurrent_weight has shape ", shape_of(u), "; needs (hidden, ",
          gates_of(kind), " * hidden)");
    auto saved = std::make_unique<SavedOf<T>>();
    saved->operation = name;
    const auto keep = [&](const char* argument, const py::object& given, std::vector<Index> shape) -> T* {
      py::array array = optional<T>(op, argument, given, std::move(shape));
      if (!given.is_none()) array = py::reinterpret_steal<py::array>(array.attr("copy")("C").release());
      saved->owners.push_back(array);  // a copy: what changes between the passes does not matter
      return data_of<T>(saved->owners.back(), given);
    };
    check(inputs >= 1, op, "x has shape ", shape_of(in), "; needs at least one feature");
    saved->parameters.weight = keep("weight", weight, {inputs, wide});
    check(saved->parameters.weight != nullptr, op, "weight is None; needs an array");
    saved->parameters.recurrent_weight = keep("recurrent_weight", recurrent, {hidden, wide});
    saved->parameters.bias = keep("bias", bias, {wide});
    saved->parameters.recurrent_bias = keep("recurrent_bias", recurrent_bias, {hidden});
    saved->parameters.peephole = keep("peephole", peephole, {3, hidden});
    const py::array state = optional<T>(op, "h0", h0, {batch, hidden}),
                    cell = optional<T>(op, "c0", c0, {batch, hidden});
    const py::array rows = row_lengths(op, lengths, batch, steps);
    saved->owners.push_back(rows);
    RecurrenceSettings settings;
    settings.kind = kind;
    settings.activation = parse_activation(op, py::str(activation), py::none()).kind;
    settings.inputs = inputs;
    settings.hidden = hidden;
    settings.reverse = reverse;
    saved->batch = batch;
    saved->steps = steps;
    saved->recurrence = std::make_unique<Recurrence<T>>(settings, saved->parameters);
    Recurrence<T>& r = *saved->recurrence;
    auto y = new_array<T>({batch, steps, hidden}), h = new_array<T>({batch, hidden}), c = new_array<T>({batch, hidden});
    const Sequence<T> to = {y.mutable_data(), steps * hidden, hidden};
    const Index* const counts = lengths.is_none() ? nullptr : static_cast<const Index*>(rows.data());
    const Sequence<const T> from = sequence<T>(in);
    r.reserve(batch, steps);
    on_team(saved->work(), [&](Context context) {
      r.start(context, batch, counts, true);
      if (!h0.is_none()) std::copy_n(static_cast<const T*>(state.data()), batch * hidden, r.first_state());
      if (!c0.is_none()) std::copy_n(static_cast<const T*>(cell.data()), batch * hidden, r.first_cell());
      r.forward(context, from, 0, batch, to);
    });
    std::copy_n(r.last_state(), batch * hidden, h.mutable_data());
    if (kind == CellKind::lstm) std::copy_n(r.last_cell(), batch * hidden, c.mutable_data());
    return py::make_tuple(y, h, kind == CellKind::lstm ? py::object(c) : py::object(py::none()),
                          py::cast(std::unique_ptr<Saved>(std::move(saved))));
  });
}

}  // namespace

void register_recurrent(py::module_& m) {
  py::class_<Saved>(m, "SavedSequences")
      .def_readonly("operation", &Saved::operation)
      .def("backward", &Saved::backward, py::arg("operation"), py::arg("dy"), py::arg("dh"), py::arg("dc"),
           py::arg("need_dx"), py::arg("record"));
  m.def("recurrent_forward", forward, py::arg("cell"), py::arg("x"), py::arg("weight"), py::arg("recurrent_weight"),
        py::arg("bias"), py::arg("recurrent_bias"), py::arg("peephole"), py::arg("h0"), py::arg("c0"),
        py::arg("lengths"), py::arg("reverse"), py::arg("activation"), py::arg("reset_after"));
}

}  // namespace gradwell::bindings

#include "gradwell/boltzmann.h"

#include "array.h"
#include "bindings.h"
#include "contrastive.h"
#include "gradwell/device.h"

namespace gradwell::bindings {
namespace {

UnitKind unit_kind(const char* op, const py::object& kind) {
  const std::string name = text(op, "kind", kind);
  check(name == "binary" || name == "gaussian", op, "kind is \"", name, "\"; needs binary or gaussian");
  return name == "binary" ? UnitKind::binary : UnitKind::gaussian;
}

template <class T>
const T* bias_of(const char* op, const char* name, InputVector<T>& bias, Index units, const char* side) {
  check(bias.size == units, op, name, " has ", bias.size, " values but weight has ", units, " ", side);
  return bias.data;
}

py::tuple conditional(const py::object& x, const py::object& weight, const py::object& bias, bool transposed,
                      const py::object& kind, std::uint64_t seed, std::uint64_t step, std::uint32_t stream, bool draw) {
  constexpr const char* op = "boltzmann_conditional";
  const UnitKind units = unit_kind(op, kind);
  return by_dtype(op, "x", x, [&](auto zero) -> py::tuple {
    using T = decltype(zero);
    const auto in = input_matrix<T>(op, "x", x);
    const auto w = input_matrix<T>(op, "weight", weight);
    const char* const side = transposed ? " columns" : " rows";
    const Index inputs = transposed ? w.view.columns : w.view.rows;
    const Index outputs = transposed ? w.view.rows : w.view.columns;
    check(inputs == in.view.columns, op, "weight has ", inputs, side, " but x has ", in.view.columns, " columns");
    auto b = input_vector<T>(op, "bias", bias);
    const T* const start = bias_of(op, "bias", b, outputs, transposed ? "rows" : "columns");
    auto mean = output_matrix<T>(in.view.rows, outputs);
    OutputMatrix<T> sample = {};
    if (draw) sample = output_matrix<T>(in.view.rows, outputs);
    call([&](Context c) {
      placed_kernels<T>().boltzmann.conditional(c, in.view, w.view, transposed, start, units, {seed, step, stream}, 0,
                                                mean.view, draw ? sample.view : Matrix<T>{});
    });
    const py::object drawn = draw ? py::object(std::move(sample.owner)) : py::object(py::none());
    return py::make_tuple(std::move(mean.owner), drawn);
  });
}

// v, weight and both biases, checked against one another.
template <class T>
struct Given {
  InputMatrix<T> v, weight;
  InputVector<T> visible, hidden;
};
template <class T>
Given<T> given(const char* op, const py::object& v, const py::object& weight, const py::object& visible_bias,
               const py::object& hidden_bias) {
  Given<T> g = {input_matrix<T>(op, "v", v, "v"), input_matrix<T>(op, "weight", weight, "v"),
                input_vector<T>(op, "visible_bias", visible_bias, "v"),
                input_vector<T>(op, "hidden_bias", hidden_bias, "v")};
  check(g.weight.view.rows == g.v.view.columns, op, "weight has ", g.weight.view.rows, " rows but v has ",
        g.v.view.columns, " columns");
  bias_of(op, "visible_bias", g.visible, g.weight.view.rows, "rows");
  bias_of(op, "hidden_bias", g.hidden, g.weight.view.columns, "columns");
  return g;
}

py::object free_energy(const py::object& v, const py::object& weight, const py::object& visible_bias,
                       const py::object& hidden_bias, const py::object& kind) {
  constexpr const char* op = "boltzmann_free_energy";
  const UnitKind units = unit_kind(op, kind);
  return by_dtype(op, "v", v, [&](auto zero) -> py::object {
    using T = decltype(zero);
    const auto g = given<T>(op, v, weight, visible_bias, hidden_bias);
    auto z = output_matrix<T>(g.v.view.rows, g.weight.view.columns);
    auto energy = new_array<double>({g.v.view.rows});
    double* const to = energy.mutable_data();
    call([&](Context c) {
      placed_kernels<T>().boltzmann.free_energy(c, g.v.view, g.weight.view, g.visible.data, g.hidden.data, units,
                                                z.view, to);
    });
    return std::move(energy);
  });
}

py::object pseudo_likelihood(const py::object& v, const py::object& weight, const py::object& visible_bias,
                             const py::object& hidden_bias) {
  constexpr const char* op = "boltzmann_pseudo_likelihood";
  return by_dtype(op, "v", v, [&](auto zero) -> py::object {
    using T = decltype(zero);
    const auto g = given<T>(op, v, weight, visible_bias, hidden_bias);
    auto z = output_matrix<T>(g.v.view.rows, g.weight.view.columns);
    auto sums = new_array<double>({g.v.view.rows});
    double* const to = sums.mutable_data();
    call([&](Context c) {
      const auto& boltzmann = placed_kernels<T>().boltzmann;
      boltzmann.free_energy(c, g.v.view, g.weight.view, g.visible.data, g.hidden.data, UnitKind::binary, z.view, to);
      boltzmann.pseudo_likelihood(c, g.v.view, g.weight.view, g.visible.data,
                                  {z.view.data, z.view.rows, z.view.columns, z.view.stride}, to);
    });
    return std::move(sums);
  });
}

template <class T>
Matrix<T> writable_matrix(const char* op, const char* name, const py::object& object, const char* first, Index rows,
                          Index columns) {
  py::array array = writable<T>(op, name, object, first);
  check(array.ndim() == 2 && (rows < 0 || array.shape(0) == rows) && (columns < 0 || array.shape(1) == columns), op,
        name, " has shape ", shape_of(array), "; it must fit the weight");
  return {static_cast<T*>(array.mutable_data()), array.shape(0), array.shape(1), array.shape(1)};
}
template <class T>
T* writable_vector(const char* op, const char* name, const py::object& object, const char* first, Index size) {
  py::array array = writable<T>(op, name, object, first);
  check(array.ndim() == 1 && array.shape(0) == size, op, name, " has shape ", shape_of(array), "; needs (", size, ",)");
  return static_cast<T*>(array.mutable_data());
}

void update(const py::object& v_data, const py::object& h_data, const py::object& v_model, const py::object& h_model,
            const py::object& velocity, const py::object& weight, double positive, double negative, double momentum,
            double decay) {
  constexpr const char* op = "boltzmann_update";
  by_dtype(op, "weight", weight, [&](auto zero) {
    using T = decltype(zero);
    const auto w = writable_matrix<T>(op, "weight", weight, "weight", -1, -1);
    const auto speed = writable_matrix<T>(op, "velocity", velocity, "weight", w.rows, w.columns);
    const py::array own[] = {as_array(op, "weight", weight), as_array(op, "velocity", velocity)};
    check(!overlap(own[0], own[1]), op, "velocity shares memory with weight; needs memory of its own");
    InputMatrix<T> in[4];
    const py::object* const objects[] = {&v_data, &h_data, &v_model, &h_model};
    const char* const names[] = {"v_data", "h_data", "v_model", "h_model"};
    for (int k = 0; k < 4; ++k) {
      in[k] = input_matrix<T>(op, names[k], *objects[k], "weight");
      const Index wide = k % 2 ? w.columns : w.rows;
      check(in[k].view.columns == wide, op, names[k], " has ", in[k].view.columns, " columns but weight has ", wide,
            k % 2 ? " columns" : " rows");
      check(in[k].view.rows == in[k - k % 2].view.rows, op, names[k], " has ", in[k].view.rows, " rows but ",
            names[k - k % 2], " has ", in[k - k % 2].view.rows);
      for (const py::array& changed : own)
        if (overlap(changed, in[k].owner))
          in[k] = input_matrix<T>(op, names[k], in[k].owner.attr("copy")("C"), "weight");
    }
    call([&](Context c) {
      placed_kernels<T>().boltzmann.update(c, in[0].view, in[1].view, in[2].view, in[3].view,
                                           {positive, negative, momentum, decay}, speed, w);
    });
  });
}

// `state` holds the machine's arrays by name, changed in place; `plan` the settings of contrastive.h.
py::tuple contrastive_steps(const py::object& x, const py::object& order, const py::dict& state, const py::dict& plan) {
  constexpr const char* op = "fit";
  const UnitKind kind = unit_kind(op, plan["kind"]);
  ContrastivePlan p = {};
  p.learning_rate = py::cast<double>(plan["learning_rate"]);
  p.momentum = py::cast<double>(plan["momentum"]);
  p.decay = py::cast<double>(plan["weight_decay"]);
  p.k = py::cast<int>(plan["k"]);
  p.persistent = py::cast<bool>(plan["persistent"]);
  p.mean_field = py::cast<bool>(plan["mean_field"]);
  p.target = py::cast<double>(plan["sparsity"]);
  p.cost = py::cast<double>(plan["sparsity_cost"]);
  p.seed = py::cast<std::uint64_t>(plan["seed"]);
  p.first_step = py::cast<std::uint64_t>(plan["first_step"]);
  p.batch = py::cast<Index>(plan["batch_size"]);
  check(p.k >= 1, op, "k is ", p.k, "; needs at least 1");
  check(p.batch >= 1, op, "batch_size is ", p.batch, "; needs at least 1");
  return by_dtype(op, "x", x, [&](auto zero) -> py::tuple {
    using T = decltype(zero);
    const auto in = input_matrix<T>(op, "x", x);
    const auto numbers = input_vector<Index>(op, "order", order);
    for (Index i = 0; i < numbers.size; ++i)
      check(numbers.data[i] >= 0 && numbers.data[i] < in.view.rows, op, "order has row ", numbers.data[i],
            " but x has ", in.view.rows);
    Machine<T> machine = {};
    machine.kind = kind;
    machine.weight = writable_matrix<T>(op, "weight", state["weight"], "x", in.view.columns, -1);
    const Index visible = machine.weight.rows, hidden = machine.weight.columns;
    machine.weight_velocity = writable_matrix<T>(op, "weight_velocity", state["weight_velocity"], "x", visible, hidden);
    machine.visible_bias = writable_vector<T>(op, "visible_bias", state["visible_bias"], "x", visible);
    machine.visible_velocity = writable_vector<T>(op, "visible_velocity", state["visible_velocity"], "x", visible);
    machine.hidden_bias = writable_vector<T>(op, "hidden_bias", state["hidden_bias"], "x", hidden);
    machine.hidden_velocity = writable_vector<T>(op, "hidden_velocity", state["hidden_velocity"], "x", hidden);
    machine.chains = writable_matrix<T>(op, "chains", state["chains"], "x", -1, hidden);
    check(!p.persistent || machine.chains.rows > 0, op, "chains has no rows; needs at least one");
    machine.activity = writable_vector<double>(op, "activity", state["activity"], "activity", hidden);
    const ContrastiveRun run =
        call([&](Context c) { return contrast<T>(c, machine, in.view, numbers.data, numbers.size, p); });
    return py::make_tuple(py::array_t<double>(static_cast<py::ssize_t>(run.errors.size()), run.errors.data()),
                          run.finite);
  });
}

}  // namespace

void register_boltzmann(py::module_& m) {
  m.def("boltzmann_conditional", conditional, py::arg("x"), py::arg("weight"), py::arg("bias"), py::arg("transposed"),
        py::arg("kind"), py::arg("seed"), py::arg("step"), py::arg("stream"), py::arg("draw"));
  m.def("boltzmann_free_energy", free_energy, py::arg("v"), py::arg("weight"), py::arg("visible_bias"),
        py::arg("hidden_bias"), py::arg("kind"));
  m.def("boltzmann_pseudo_likelihood", pseudo_likelihood, py::arg("v"), py::arg("weight"), py::arg("visible_bias"),
        py::arg("hidden_bias"));
  m.def("boltzmann_update", update, py::arg("v_data"), py::arg("h_data"), py::arg("v_model"), py::arg("h_model"),
        py::arg("velocity"), py::arg("weight"), py::arg("positive"), py::arg("negative"), py::arg("momentum"),
        py::arg("decay"));
  m.def("contrastive_steps", contrastive_steps, py::arg("x"), py::arg("order"), py::arg("state"), py::arg("plan"));
}

}  // namespace gradwell::bindings

// NumPy arrays as views. Anything a kernel cannot read as it lies (other strides, not aligned) is copied once;
// another dtype, shape or kind of object is refused by name.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "core/denormals.h"
#include "core/pool.h"
#include "gradwell/check.h"
#include "gradwell/threads.h"
#include "gradwell/types.h"

namespace gradwell::bindings {

namespace py = pybind11;

// Parts of a message, put into words only where it is needed: that takes longer than many a kernel.
struct TypeName {
  py::handle object;
};
inline std::ostream& operator<<(std::ostream& out, TypeName part) {
  return out << std::string(py::str(py::type::handle_of(part.object).attr("__name__")));
}
inline TypeName type_name(const py::handle& object) {
  return {object};
}

struct Attribute {
  py::handle object;
  const char* name;
};
inline std::ostream& operator<<(std::ostream& out, Attribute part) {
  return out << std::string(py::str(part.object.attr(part.name)));
}
inline Attribute shape_of(const py::array& array) {
  return {array, "shape"};
}
inline Attribute dtype_of(const py::array& array) {
  return {array, "dtype"};
}

struct Spelled {
  py::handle object;
};
inline std::ostream& operator<<(std::ostream& out, Spelled part) {
  return out << std::string(py::str(part.object));
}

inline bool same_shape(const py::array& a, const py::array& b) {
  return a.ndim() == b.ndim() && std::equal(a.shape(), a.shape() + a.ndim(), b.shape());
}

inline py::array as_array(const char* operation, const char* name, const py::object& object) {
  check<TypeError>(py::isinstance<py::array>(object), operation, name, " is of type ", type_name(object),
                   "; needs a NumPy array");
  return py::reinterpret_borrow<py::array>(object);
}

template <class T>
constexpr const char* dtype_name = sizeof(T) == 4 ? "float32" : "float64";

// Calls body(T{}) with T the dtype of `object`, which must be float32 or float64.
template <class Body>
auto by_dtype(const char* operation, const char* name, const py::object& object, Body&& body) {
  const py::array array = as_array(operation, name, object);
  if (py::isinstance<py::array_t<float>>(array)) return body(float{});
  check<TypeError>(py::isinstance<py::array_t<double>>(array), operation, name, " has dtype ", dtype_of(array),
                   "; needs float32 or float64");
  return body(double{});
}

// An array of dtype T and of `dimensions` (-1: any), aligned; `first` names the argument whose dtype it must share.
template <class T>
py::array checked(const char* operation, const char* name, const py::object& object, int dimensions,
                  const char* first) {
  py::array array = as_array(operation, name, object);
  check<TypeError>(py::isinstance<py::array_t<T>>(array), operation, name, " has dtype ", dtype_of(array), " but ",
                   first, " has ", dtype_name<T>, "; they must be the same");
  check(dimensions < 0 || array.ndim() == dimensions, operation, name, " has shape ", shape_of(array), "; needs ",
        dimensions, dimensions == 1 ? " dimension" : " dimensions");
  const bool aligned = py::detail::check_flags(array.ptr(), py::detail::npy_api::NPY_ARRAY_ALIGNED_);
  if (!aligned) array = py::reinterpret_steal<py::array>(array.attr("copy")().release());
  return array;
}

template <class T>
py::array contiguous(const py::array& array) {
  const bool c = py::detail::check_flags(array.ptr(), py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_);
  return c ? array : py::reinterpret_steal<py::array>(array.attr("copy")("C").release());
}

// The arrays own or borrow what the views point at, for as long as they live.
template <class T>
struct InputMatrix {
  py::array owner;
  Matrix<const T> view;
};

template <class T>
InputMatrix<T> input_matrix(const char* operation, const char* name, const py::object& object,
                            const char* first = "x") {
  py::array array = checked<T>(operation, name, object, 2, first);
  const Index size = static_cast<Index>(sizeof(T));
  if (array.strides(1) != size && array.shape(1) > 1) array = contiguous<T>(array);
  if (array.strides(0) % size != 0) array = contiguous<T>(array);
  const Index stride = array.shape(0) > 1 ? array.strides(0) / size : array.shape(1);
  const auto* data = static_cast<const T*>(array.data());
  return {array, {data, array.shape(0), array.shape(1), stride}};
}

template <class T>
struct InputVector {
  py::array owner;
  const T* data;
  Index size;
};

// Any shape, read in C order.
template <class T>
InputVector<T> input_flat(const char* operation, const char* name, const py::object& object, const char* first = "x") {
  const py::array array = contiguous<T>(checked<T>(operation, name, object, -1, first));
  return {array, static_cast<const T*>(array.data()), array.size()};
}
template <class T>
InputVector<T> input_vector(const char* operation, const char* name, const py::object& object,
                            const char* first = "x") {
  const py::array array = contiguous<T>(checked<T>(operation, name, object, 1, first));
  return {array, static_cast<const T*>(array.data()), array.size()};
}

// An array that a kernel changes: writable, contiguous, aligned.
template <class T>
inline py::array writable(const char* op, const char* name, const py::object& object, const char* first) {
  py::array array = as_array(op, name, object);
  check<TypeError>(py::isinstance<py::array_t<T>>(array), op, name, " has dtype ", dtype_of(array), " but ", first,
                   " has ", dtype_name<T>, "; they must be the same");
  const auto flags = array.attr("flags");
  check(array.writeable(), op, name, " is read-only; needs an array that can be written");
  check(py::cast<bool>(flags.attr("c_contiguous")) && py::cast<bool>(flags.attr("aligned")), op, name,
        " is not contiguous or not aligned; needs a C-contiguous array");
  return array;
}

inline bool overlap(const py::array& a, const py::array& b) {
  return py::cast<bool>(py::module_::import("numpy").attr("may_share_memory")(a, b));
}

template <class T>
struct OutputMatrix {
  py::array_t<T> owner;
  Matrix<T> view;
};

// A new array, C-contiguous; a large one in memory that may have been another's.
template <class T>
py::array_t<T> new_array(std::vector<py::ssize_t> shape) {
  std::size_t bytes = sizeof(T);
  for (const py::ssize_t size : shape)
    if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(size), &bytes)) bytes = 0;  // NumPy says it better
  if (bytes < worth_pooling) return py::array_t<T>(std::move(shape));
  void* const block = take_block(bytes);
  if (!block) return py::array_t<T>(std::move(shape));
  const py::capsule owner(block, [](void* p) { give_block(p); });
  return py::array_t<T>(std::move(shape), static_cast<T*>(block), owner);
}

template <class T>
OutputMatrix<T> output_matrix(Index rows, Index columns) {
  py::array_t<T> array = new_array<T>({rows, columns});
  T* data = array.mutable_data();
  return {std::move(array), {data, rows, columns, columns}};
}

template <class T>
py::array_t<T> output_like(const py::array& array) {
  return new_array<T>(std::vector<py::ssize_t>(array.shape(), array.shape() + array.ndim()));
}

// A Python or NumPy number, no bool; an int too large for a double becomes infinite.
inline double number(const char* operation, const char* name, const py::object& object) {
  PyObject* p = object.ptr();
  const bool flag = PyBool_Check(p) || std::string(Py_TYPE(p)->tp_name).rfind("numpy.bool", 0) == 0;
  check<TypeError>(PyNumber_Check(p) && !flag && !PyComplex_Check(p) && !py::isinstance<py::array>(object), operation,
                   name, " is of type ", type_name(object), "; needs a number");
  const double value = PyFloat_AsDouble(p);
  if (!PyErr_Occurred()) return value;
  PyErr_Clear();
  return __builtin_inf();
}

inline std::string text(const char* operation, const char* name, const py::object& object) {
  check<TypeError>(py::isinstance<py::str>(object), operation, name, " is of type ", type_name(object),
                   "; needs a str");
  return py::cast<std::string>(object);
}

inline void check_scalar(bool holds, const char* operation, const char* name, double value, const char* needs) {
  check(holds, operation, name, " is ", value, "; needs ", needs);
}

// Around every call of a kernel: without the GIL, since no Python object is touched, and with denormals flushed.
template <class Body>
auto call(Body&& body, bool flush_denormals = true) {
  py::gil_scoped_release release;
  DenormalGuard guard(flush_denormals);
  return body(make_context(flush_denormals));
}

}  // namespace gradwell::bindings

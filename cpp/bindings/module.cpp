#include "bindings.h"
#include "gradwell/check.h"
#include "gradwell/kernels.h"

PYBIND11_MODULE(_core, m) {
  namespace bindings = gradwell::bindings;
  namespace py = pybind11;
  m.doc() = "The compiled core of gradwell. Use gradwell.kernels and gradwell.Network.";
  gradwell::choose_level();
  py::register_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const gradwell::TypeError& e) {
      py::set_error(PyExc_TypeError, e.what());
    } catch (const gradwell::ValueError& e) {
      py::set_error(PyExc_ValueError, e.what());
    }
  });
  bindings::register_activation(m);
  bindings::register_batchnorm(m);
  bindings::register_boltzmann(m);
  bindings::register_clipping(m);
  bindings::register_dense(m);
  bindings::register_device(m);
  bindings::register_dropout(m);
  bindings::register_elementary(m);
  bindings::register_loss(m);
  bindings::register_optimizers(m);
  bindings::register_program(m);
  bindings::register_recurrent(m);
  bindings::register_roofline(m);
  bindings::register_statistics(m);
  bindings::register_survey(m);
  bindings::register_system(m);
}

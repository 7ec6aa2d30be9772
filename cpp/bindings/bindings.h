// One function a family; module.cpp calls them all.
#pragma once

#include <pybind11/pybind11.h>

namespace gradwell::bindings {

void register_activation(pybind11::module_& m);
void register_batchnorm(pybind11::module_& m);
void register_boltzmann(pybind11::module_& m);
void register_clipping(pybind11::module_& m);
void register_dense(pybind11::module_& m);
void register_device(pybind11::module_& m);
void register_dropout(pybind11::module_& m);
void register_elementary(pybind11::module_& m);
void register_loss(pybind11::module_& m);
void register_optimizers(pybind11::module_& m);
void register_program(pybind11::module_& m);
void register_recurrent(pybind11::module_& m);
void register_roofline(pybind11::module_& m);
void register_statistics(pybind11::module_& m);
void register_survey(pybind11::module_& m);
void register_system(pybind11::module_& m);

}  // namespace gradwell::bindings

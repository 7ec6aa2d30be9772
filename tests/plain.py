"""A network in plain NumPy: layer descriptions and parameters in, outputs and loss out, also in complex numbers."""

import numpy as np

import gradwell as gw
from gradwell import reference


def forward(layers, parameters, x, *, training=True, buffers=None, masks=None, prefix=""):
    """Outputs of `layers`; `masks` holds the dropout masks by layer name."""
    for i, layer in enumerate(layers):
        name = f"{prefix}{layer.name or i}"
        get = {key.rsplit(".", 1)[1]: value for key, value in parameters.items() if key.rsplit(".", 1)[0] == name}.get
        if isinstance(layer, gw.Dense):
            x = x @ get("weight") + (get("bias") if layer.use_bias else 0)
        elif isinstance(layer, gw.PReLU):
            x = np.where(x.real > 0, x, x * get("slope"))
        elif isinstance(layer, gw.layers.Activation):
            x = reference.activation_forward(x, layer.activation, alpha=layer.alpha)
        elif isinstance(layer, gw.BatchNorm):
            moments = {}
            if not training:
                moments = {"mean": buffers[f"{name}.running_mean"], "variance": buffers[f"{name}.running_variance"]}
            x = reference.batchnorm_forward(x, get("gamma"), get("beta"), epsilon=layer.epsilon, **moments)[0]
        elif isinstance(layer, gw.LayerNorm):
            x = reference.layernorm_forward(x, get("gamma"), get("beta"), epsilon=layer.epsilon)[0]
        elif isinstance(layer, gw.Dropout):
            x = x * masks[name] if training else x
        elif isinstance(layer, gw.Residual):
            inside = {"training": training, "buffers": buffers, "masks": masks}
            branch = forward(layer.layers, parameters, x, prefix=f"{name}.", **inside)
            skip = x
            if layer.shortcut is not None:
                skip = x @ parameters[f"{name}.shortcut.weight"]
                skip = skip + (parameters[f"{name}.shortcut.bias"] if layer.shortcut.use_bias else 0)
            scale = get("scale")
            x = skip + (layer.scale if scale is None else scale[0]) * branch
        else:
            raise AssertionError(layer)
    return x


def gradients(net, x, y, loss, **mode):
    """dC/dp of every parameter, element by element, by complex steps."""
    parameters = {name: view.astype(np.complex128) for name, view in net.parameters.items()}
    cost = getattr(reference, loss)
    found = {}
    for name, values in parameters.items():
        found[name] = np.zeros(values.shape)
        for at in np.ndindex(values.shape):
            values[at] += 1e-30j
            found[name][at] = cost(forward(net.layers, parameters, x.astype(complex), **mode), y)[0].imag / 1e-30
            values[at] -= values[at].imag * 1j
    return found

"""JAX on a GPU: jax_jit.py, told of the device before JAX is imported."""

import os


def jax_gpu(job, scan=False):
    """Return the contestant; products are rounded as the job says, not as JAX does by itself."""
    os.environ["JAX_PLATFORMS"] = job.peers_on
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # others are on the same GPU
    import jax

    try:
        jax.devices(job.peers_on)
    except RuntimeError as error:
        raise ImportError(str(error).splitlines()[0]) from None
    jax.config.update("jax_default_matmul_precision", "tensorfloat32" if job.precision == "tf32" else "highest")
    from contestants.jax_jit import Jax

    return Jax(job, scan)

"""Who takes part: each is made from a job and then runs one round at a time."""

from importlib import import_module

# Contestant: its file, class and keyword arguments.
WHERE = {
    "gradwell": ("ours", "Gradwell", {"stats": False}),
    "gradwell stats": ("ours", "Gradwell", {"stats": True}),
    "torch": ("torch_eager", "Torch", {}),
    "torch fused": ("torch_eager", "Torch", {"fused": True}),
    "torch.compile": ("torch_eager", "Torch", {"compiled": True}),
    "torch stats": ("torch_eager", "Torch", {"stats": True}),
    "jax jit": ("jax_jit", "Jax", {}),
    "jax scan": ("jax_jit", "Jax", {"scan": True}),
    "scikit-learn": ("sklearn_mlp", "ScikitLearn", {}),
    "numpy": ("numpy_loop", "NumPy", {}),
}


def make(name, job):
    """Return the contestant; ImportError where its framework is not installed."""
    file, kind, options = WHERE[name]
    return getattr(import_module(f"contestants.{file}"), kind)(job, **options)

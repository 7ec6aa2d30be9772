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
# The same of jobs for a GPU.
ON_GPU = {
    "gradwell": ("ours_gpu", "GradwellGpu", {"stats": False}),
    "gradwell stats": ("ours_gpu", "GradwellGpu", {"stats": True}),
    "torch": ("torch_gpu", "TorchGpu", {}),
    "torch graphs": ("torch_gpu", "TorchGpu", {"graphs": True}),
    "torch.compile": ("torch_gpu", "TorchGpu", {"compiled": True}),
    "jax jit": ("jax_gpu", "jax_gpu", {}),
    "jax scan": ("jax_gpu", "jax_gpu", {"scan": True}),
}


def make(name, job):
    """Return the contestant; ImportError where its framework is not installed."""
    file, kind, options = (ON_GPU if hasattr(job, "peers_on") else WHERE)[name]
    return getattr(import_module(f"contestants.{file}"), kind)(job, **options)

"""Arrays that kernels return: large ones lie in memory that is used again, and never in two at a time."""

import gc
import os
import threading

import numpy as np
import pytest

from gradwell import kernels

N = 1 << 19


def test_living_results_share_no_memory():
    x = np.ones(N, np.float32)
    alive = [kernels.activation_forward(x * i, "identity") for i in range(20)]
    for i, one in enumerate(alive):
        assert (one == i).all()
        assert not any(np.shares_memory(one, other) for other in alive[i + 1 :])
        assert one.flags.writeable
        assert one.ctypes.data % 64 == 0


def test_memory_of_a_result_that_is_gone_is_used_again():
    x = np.ones(N, np.float32)
    gc.collect()
    places = set()
    for _ in range(50):
        places.add(kernels.activation_forward(x, "tanh").ctypes.data)
    assert len(places) <= 2


def test_a_view_keeps_its_memory():
    x = np.full(N, 3, np.float32)
    view = kernels.activation_forward(x, "identity")[5:9]
    for _ in range(5):
        kernels.activation_forward(0 * x, "identity")
    assert view.tolist() == [3, 3, 3, 3]


def test_results_in_several_threads_at_once():
    wrong = []

    def work(value):
        x = np.full(N, value, np.float32)
        for _ in range(30):
            if not (kernels.activation_forward(x, "identity") == value).all():
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(float(k),)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_results_after_a_fork():
    x = np.full(N, 2, np.float32)
    kept = kernels.activation_forward(x, "identity")
    child = os.fork()
    if child == 0:
        ok = (kernels.activation_forward(3 * x, "identity") == 6).all() and (kept == 2).all()
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert (kept == 2).all()

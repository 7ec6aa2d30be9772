"""Trials in the processes of a Dask cluster: the same as one after the other."""

import pytest

import gradwell as gw

joblib = pytest.importorskip("joblib")
distributed = pytest.importorskip("distributed")


@pytest.mark.filterwarnings("ignore")  # of the cluster's own
def test_a_dask_cluster_finds_the_same():
    x, y = gw.datasets.digits()

    def treated(jobs):
        net = gw.mlp([64, *[20] * 4, 10], activation="sigmoid", init="nielsen", seed=0)
        settings = {"loss": "softmax_cross_entropy", "optimizer": gw.SGD(0.1), "steps": 60, "seeds": 2}
        return gw.treat(net, (x, y), jobs=jobs, progress=False, **settings)

    alone = treated(1)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        spread = treated(2)
    assert str(spread) == str(alone)
    assert spread.winner is not None

"""What a model begins with: variances, streams, spectral radii."""

import jax
import numpy as np
import pytest
from oracles import check_second_moment

from rmt.training import Config, ModelConfig
from rmt.training.model import Model, moved_eigenvalues


def test_initial_parameters_depend_on_seed_layer_and_what_they_are():
    glorot, half = (Model(ModelConfig(init=init), 5, True, 3, "mean") for init in ("glorot", "half"))
    (first, _), (second, _), (third, _) = glorot.initial(0), half.initial(0), glorot.initial(1)
    assert np.array_equal(first["layers"][0]["A"], 2 * second["layers"][0]["A"])
    assert np.array_equal(first["layers"][1]["B"], second["layers"][1]["B"])
    assert not np.allclose(first["layers"][0]["B"], first["layers"][1]["B"])
    assert not np.allclose(first["layers"][0]["A"], third["layers"][0]["A"])
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(first))


@pytest.mark.parametrize("recurrence", ["dense", "diagonal", "lru"])
def test_every_layer_begins_with_the_variance_of_its_docstring(recurrence):
    vocabulary, d, n, outputs = 70, 48, 80, 60
    config = ModelConfig(recurrence=recurrence, d_model=d, d_hidden=n, layers=1, encoder="embedding")
    parameters, _ = Model(config, vocabulary, True, outputs, "mean").initial(0)
    layer, complexes = parameters["layers"][0], recurrence != "dense"
    parts = 2 if complexes else 1
    shapes = {"B": (parts * n, d), "C": (d, parts * n), "D": (d,)}
    assert {name: layer[name].shape for name in shapes} == shapes
    # |b|^2 = 1 / d, of which a complex number has half in each part; y = Re(C h) of |h|^2 = n has variance 1
    for weights, variance in (
        (layer["B"], 1 / d / parts),
        (layer["C"], 1 / n),
        (layer["D"], 1),
        (layer["out"]["W"], 1 / d),
        (parameters["encoder"]["E"], 1),
        (parameters["encoder"]["W"], 1 / d),
        (parameters["decoder"]["W"], 1 / d),
    ):
        check_second_moment(weights.ravel(), variance)
    one_hot, _ = Model(ModelConfig(d_model=d), vocabulary, True, outputs, "mean").initial(0)
    check_second_moment(one_hot["encoder"]["W"].ravel(), 1 / vocabulary)


@pytest.mark.parametrize("recurrence", ["dense", "diagonal"])
def test_the_model_tells_its_initialisation_of_its_layers_and_of_the_faults(recurrence):
    def drawn(init, **options):
        model = Model(ModelConfig(recurrence=recurrence, init=init, d_hidden=8, layers=3), 5, True, 2, "mean")
        return [entry["A"] for entry in model.initial(0, **options)[0]["layers"]]

    def equal(first, second):
        return all(map(np.array_equal, first, second))

    assert equal(drawn("rescaled:alpha=0.05"), drawn("rescaled:alpha=0.05,layers=3"))
    assert not equal(drawn("rescaled:alpha=0.05"), drawn("rescaled:alpha=0.05,layers=1"))
    assert equal(drawn("half", emulate_paper=True), drawn("half-variance"))
    assert not equal(drawn("half"), drawn("half-variance"))


def test_radii_of_every_layer():
    for recurrence in ("dense", "diagonal", "lru"):
        model = Model(ModelConfig(recurrence=recurrence, init="exact:0.95", layers=3), 5, True, 3, "mean")
        parameters, _ = model.initial(0)
        assert model.radii(parameters) == pytest.approx([0.95] * 3, rel=1e-5)
        entry = parameters["layers"][1]
        name = "nu_log" if recurrence == "lru" else "A"
        entry[name] = np.full_like(entry[name], np.nan)
        assert np.isnan(model.radii(parameters)).tolist() == [False, True, False]
    lru = ModelConfig(recurrence="lru", init="exact:1.5", layers=3)
    assert moved_eigenvalues(lru, 0) >= 3
    assert max(Model(lru, 5, True, 3, "mean").radii(Model(lru, 5, True, 3, "mean").initial(0)[0])) < 1
    assert moved_eigenvalues(Config().model, 0) == 0

"""Configurations of training and initialisations by name; no framework is needed for them."""

import json

import numpy as np
import oracles
import pytest

import rmt
from rmt.checks import InputError
from rmt.training import PRESETS, Config, Initialisation, ModelConfig, TrainConfig, preset
from rmt.training.initialise import within_disc


@pytest.mark.parametrize(
    ("name", "d_model", "d_hidden", "batch", "epochs", "warm_up", "lr_factor", "dropout"),
    [
        ("cifar", 512, 384, 50, 180, 18, 0.025, 0.1),
        ("listops", 256, 192, 32, 50, 5, 0.05, 0.0),
        ("imdb", 192, 256, 32, 65, 7, 0.025, 0.1),
    ],
)
def test_the_presets_are_the_table_of_the_paper(name, d_model, d_hidden, batch, epochs, warm_up, lr_factor, dropout):
    model, train = preset(name).model, preset(name).train
    assert (model.d_model, model.d_hidden, model.layers, model.dropout) == (d_model, d_hidden, 6, dropout)
    assert (train.batch, train.epochs, train.steps, train.warm_up) == (batch, epochs, None, warm_up)
    assert (train.lr, train.lr_factor, train.lr_min, train.weight_decay) == (1e-3, lr_factor, 1e-7, 0.05)
    assert (model.recurrence, model.norm, train.clip, preset(name).emulate_paper) == ("dense", "batch", None, False)


def test_there_are_three_presets():
    assert sorted(PRESETS) == ["cifar", "imdb", "listops"]


def test_a_configuration_survives_json():
    config = preset("imdb", recurrence="lru", init="ring:r_min=0.5", steps=100, warm_up=3, clip=1, emulate_paper=True)
    assert Config.of(json.loads(json.dumps(config.description()))) == config
    assert config.train.epochs is None
    assert config.changed(epochs=7).train.steps is None


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ModelConfig(recurrence="sparse"), ("recurrence", "'dense', 'diagonal', 'lru'", "'sparse'")),
        (lambda: ModelConfig(norm="group"), ("norm", "'state-layer-norm'", "'group'")),
        (lambda: ModelConfig(d_hidden=0), ("d_hidden", ">= 1", "0")),
        (lambda: ModelConfig(dropout=1.0), ("dropout", "< 1", "1.0")),
        (lambda: ModelConfig(encoder="hash"), ("encoder", "'one-hot'")),
        (lambda: ModelConfig(pooling="max"), ("pooling", "'mean', 'last'")),
        (lambda: ModelConfig(scan="chunked"), ("scan", "'associative'")),
        (lambda: ModelConfig(norm="state-layer-norm", scan="associative"), ("scan", "'state-layer-norm'")),
        (lambda: TrainConfig(), ("epochs or steps",)),
        (lambda: TrainConfig(epochs=1, steps=1), ("epochs or steps", "epochs=1")),
        (lambda: TrainConfig(steps=10, warm_up=11), ("warm_up", "10", "11")),
        (lambda: TrainConfig(steps=10, lr=0), ("lr", "> 0")),
        (lambda: TrainConfig(steps=10, lr_min=1e-3), ("lr_min", "5e-05")),
        (lambda: TrainConfig(steps=10, clip=0), ("clip", "> 0")),
        (lambda: TrainConfig(steps=10, seed=-1), ("seed", "-1")),
        (lambda: TrainConfig(steps=10, evaluate_every=0), ("evaluate_every", "0")),
        (lambda: Config(model=TrainConfig(steps=1)), ("model", "ModelConfig")),
        (lambda: Config(emulate_paper=1), ("emulate_paper", "bool", "1")),
        (lambda: preset("mnist"), ("preset", "'imdb'", "'mnist'")),
        (lambda: preset("imdb", width=3), ("width", "field")),
        (lambda: ModelConfig(init="xavier"), ("init", "'glorot'", "'xavier'")),
        (lambda: ModelConfig(init=3), ("init", "3")),
        (lambda: ModelConfig(init="half:gain=2"), ("'half'", "none", "gain=2")),
        (lambda: ModelConfig(init="exact"), ("exact:0.99",)),
        (lambda: ModelConfig(init="exact:-1"), ("radius", "> 0", "-1.0")),
        (lambda: ModelConfig(init="rescaled:alpha=2"), ("alpha", "< 1", "2.0")),
        (lambda: ModelConfig(init="rescaled:alpha=x"), ("rescaled:alpha", "a number", "'x'")),
        (lambda: ModelConfig(init="rescaled:layers=1.5"), ("rescaled:layers", "an integer", "'1.5'")),
        (lambda: ModelConfig(init="rescaled:rule=paper,alpha=0.1"), ("alpha", "'paper'")),
        (lambda: ModelConfig(init="truncated:corrected=maybe"), ("corrected", "'true', 'false'")),
        (lambda: ModelConfig(init="rescaled:alpha=0.05,alpha=0.5"), ("'rescaled'", "once", "alpha")),
        (lambda: ModelConfig(init="exact:0.9,0.5"), ("'exact'", "once", "radius", "0.9,0.5")),
        (lambda: ModelConfig(init="ring:r_min=1.5"), ("r_min", "<= 0.999")),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(build, words):
    with pytest.raises(InputError) as error:
        build()
    assert all(word in str(error.value) for word in words), str(error.value)


N, COUNT = 24, 400
LAWS = {
    "glorot": lambda field: rmt.SpectralRadiusLaw(N, field),
    "half": lambda field: rmt.SpectralRadiusLaw(N, field, 0.5),
    "half-variance": lambda field: rmt.SpectralRadiusLaw(N, field, np.sqrt(0.5)),
    "rescaled": lambda field: rmt.SpectralRadiusLaw(N, field, rmt.rescaled_gain(N, field)),
    "rescaled:alpha=0.1": lambda field: rmt.SpectralRadiusLaw(
        N, field, rmt.rescaled_gain(N, field, alpha=0.1, layers=6)
    ),
    "rescaled:alpha=0.1,layers=2": lambda field: rmt.SpectralRadiusLaw(
        N, field, rmt.rescaled_gain(N, field, alpha=0.1, layers=2)
    ),
}


def moduli(text, recurrence, **options):
    law, rng = Initialisation.parse(text), np.random.default_rng(3)
    if recurrence == "dense":
        return np.array([np.abs(np.linalg.eigvals(law.matrix(N, rng, layers=6, **options))) for _ in range(COUNT)])
    return np.array([np.abs(law.eigenvalues(N, rng, layers=6, **options)) for _ in range(COUNT)])


@pytest.mark.parametrize("recurrence", ["dense", "diagonal"])
@pytest.mark.parametrize("text", LAWS)
def test_scaled_glorot_initialisations_have_the_exact_law_of_their_radius(text, recurrence):
    law = LAWS[text]("real" if recurrence == "dense" else "complex")
    oracles.check_law(moduli(text, recurrence).max(axis=1), law.cdf)


@pytest.mark.parametrize("recurrence", ["dense", "diagonal"])
def test_uniform_and_ring_have_the_law_of_their_moduli(recurrence):
    each = slice(None, None, 2) if recurrence == "dense" else slice(None)  # one of each pair
    drawn = {text: moduli(text, recurrence) for text in ("uniform", "uniform:r_max=0.5", "ring")}
    if recurrence == "dense":
        drawn = {text: np.sort(values, axis=1)[:, each] for text, values in drawn.items()}
    oracles.check_law(drawn["uniform"].ravel() ** 2, lambda x: np.clip(x, 0, 1))
    oracles.check_law(drawn["uniform:r_max=0.5"].ravel() ** 2, lambda x: np.clip(4 * x, 0, 1))
    low, high = 0.9**2, 0.999**2
    oracles.check_law(drawn["ring"].ravel() ** 2, lambda x: np.clip((x - low) / (high - low), 0, 1))


@pytest.mark.parametrize("recurrence", ["dense", "diagonal"])
def test_exact_has_its_radius_and_truncated_its_variance(recurrence):
    assert moduli("exact:0.9", recurrence).max(axis=1) == pytest.approx(0.9, rel=1e-9)
    if recurrence == "dense":
        law, rng = Initialisation.parse("truncated"), np.random.default_rng(4)
        entries = np.concatenate([law.matrix(N, rng).ravel() for _ in range(100)])
        assert np.abs(entries).max() <= 2 / np.sqrt(N)
        oracles.check_second_moment(entries, 0.7737413 / N)
    radius = {text: moduli(text, recurrence).max(axis=1).mean() for text in ("glorot", "truncated")}
    assert radius["truncated"] / radius["glorot"] == pytest.approx(0.8796, rel=0.02)


@pytest.mark.parametrize("recurrence", ["dense", "diagonal"])
def test_the_faults_of_the_paper_are_a_spiral_and_a_half_that_is_none(recurrence):
    half = moduli("half", recurrence, emulate_paper=True)
    assert np.array_equal(half, moduli("half-variance", recurrence))
    assert np.array_equal(moduli("glorot", recurrence, emulate_paper=True), moduli("glorot", recurrence))
    law, rng = Initialisation.parse("uniform"), np.random.default_rng(5)
    if recurrence == "dense":
        eigenvalues = np.linalg.eigvals(law.matrix(7, rng, emulate_paper=True))
        assert np.sum(np.abs(eigenvalues.imag) < 1e-12) == 1  # the one without a partner
        eigenvalues = eigenvalues[np.abs(eigenvalues.imag) > 1e-12]
        angle = np.angle(eigenvalues) / (2 * np.pi) % 1
        distance = np.minimum(np.abs(np.abs(eigenvalues) - angle), np.abs(np.abs(eigenvalues) - (1 - angle)))
        assert distance.max() < 1e-9
        return
    eigenvalues = law.eigenvalues(3000, rng, emulate_paper=True)
    assert np.abs(np.angle(eigenvalues) / (2 * np.pi) % 1 - np.abs(eigenvalues)).max() < 1e-9
    oracles.check_law(np.abs(eigenvalues), lambda x: np.clip(x, 0, 1))


def test_a_linear_recurrent_unit_starts_within_the_disc():
    eigenvalues = np.array([0.5j, 1.2, -0.99999, 0.9999])
    moved, count = within_disc(eigenvalues)
    assert count == 2
    assert np.abs(moved) == pytest.approx([0.5, 0.9999, 0.9999, 0.9999], rel=1e-12)
    assert np.angle(moved) == pytest.approx(np.angle(eigenvalues))
    assert np.array_equal(moved[[0, 3]], eigenvalues[[0, 3]])


def test_what_is_read_is_shown_again():
    for text in ("glorot", "exact:0.99", "rescaled:alpha=0.05,layers=4", "truncated:bound=3.0,corrected=true"):
        assert str(Initialisation.parse(text)) == text
    assert Initialisation.parse(" ring : r_max = .95 ").options == (("r_max", 0.95),)

"""Tasks from texts: film reviews in a user's files, and the source of installed packages."""

import os
import sys

import numpy as np
import pytest

from rmt.checks import InputError
from rmt.training.tasks import load_task
from rmt.training.tasks.pybytes import Source, divide

# reviews


@pytest.fixture
def reviews(tmp_path):
    root = tmp_path / "aclImdb"
    rng = np.random.default_rng(0)
    for split, count in (("train", 30), ("test", 11)):
        for name in ("pos", "neg"):
            (root / split / name).mkdir(parents=True)
            (root / split / name / "urls.lst").write_text("no review")
            for i in range(count):
                text = f"{split} {name} {i}: " + "xyz"[: i % 4] * int(rng.integers(1, 40)) + " é"
                (root / split / name / f"{i}_7.txt").write_text(text)
    return root


def texts(split):
    return [bytes(row[:length]) for row, length in zip(split.inputs, split.lengths, strict=True)]


def test_reviews(reviews):
    task = load_task("imdb", data=reviews, length=50)
    assert [len(split) for split in task.splits.values()] == [54, 6, 22]
    assert (task.vocabulary, task.n_outputs, task.readout, task.train.inputs.dtype) == (256, 2, "mean", np.uint8)
    for name, split in task.splits.items():
        folder = "test" if name == "test" else "train"
        for row, text, length, label in zip(split.inputs, texts(split), split.lengths, split.targets, strict=True):
            number = text.split(b":")[0].split()[-1].decode()
            whole = (reviews / folder / ("neg", "pos")[label] / f"{number}_7.txt").read_bytes()
            assert text == whole[:50]
            assert length == min(len(whole), 50)
            assert not row[length:].any()
    known = texts(task.train) + texts(task.validation)
    heads = {text.split(b":")[0] for text in known}
    assert len(heads) == len(known) == 60
    assert set(task.baselines) == {"majority", "naive Bayes", "naive Bayes, pairs", "least squares"}


def test_reviews_follow_the_seed(reviews):
    first, again, other = (load_task("imdb", data=reviews.parent, length=50, seed=seed) for seed in (1, 1, 2))
    assert first.record == again.record
    assert set(texts(first.validation)) != set(texts(other.validation))
    assert set(texts(first.test)) == set(texts(other.test))
    few = load_task("imdb", data=reviews, length=50, seed=1, size=10)
    assert [len(split) for split in few.splits.values()] == [10, 6, 10]
    assert texts(few.train) == texts(first.train)[:10]
    with pytest.raises(InputError, match="size must be an integer from 1 to 54"):
        load_task("imdb", data=reviews, size=55)


def test_reviews_that_are_refused(reviews, tmp_path):
    with pytest.raises(InputError, match=r"nowhere/train/pos is not there; data must be the folder aclImdb"):
        load_task("imdb", data=tmp_path / "nowhere")
    (reviews / "test/neg/3_7.txt").write_text("")
    with pytest.raises(InputError, match=r"3_7.txt cannot be read: it is empty"):
        load_task("imdb", data=reviews)
    (reviews / "test/neg/3_7.txt").unlink()
    os.mkfifo(reviews / "test/neg/3_7.txt")  # reading it would wait for ever
    with pytest.raises(InputError, match=r"3_7.txt cannot be read: it is no file"):
        load_task("imdb", data=reviews)
    for path in (reviews / "train/pos").glob("*.txt"):
        path.unlink()
    with pytest.raises(InputError, match="pos has no reviews"):
        load_task("imdb", data=reviews)


# source


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Three packages whose every line names its file, and which cannot be imported."""
    for number, name in enumerate(("alphapack", "betapack", "gammapack")):
        folder = tmp_path / name / "inner"
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").write_text("raise ImportError('imported')\n")
        for i in range(40):
            header = f"# Licence of {name}\n\n#: more\r\n\t# and more\n"
            line = f"{number}.{i:03} alphapack BetaPack GAMMAPACK import {'xyz'[number]}\n"
            (folder / f"m{i}.py").write_text(header + line * 12)
        (folder / "same.py").write_text("everywhere = 0\n" * 60)
        (folder / "twice.py").write_text((folder / "m0.py").read_text().replace("# Licence", "# Another licence"))
        (folder / "data.txt").write_text("no source " * 100)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_source_is_split_by_file(packages):
    names = ("alphapack", "betapack", "gammapack")
    task = load_task("pybytes", length=64, packages=names)
    seen = {}
    for name, split in task.splits.items():
        assert np.bincount(split.targets).tolist() == [len(split) // 3] * 3
        assert len(np.unique(split.inputs, axis=0)) > len(split) / 2
        for row, label in zip(split.inputs, split.targets, strict=True):
            text = bytes(row).decode()
            numbers = {word for word in text.split() if len(word) == 5 and word[1] == "."}
            assert all(int(number[0]) == label for number in numbers)
            seen.setdefault(name, set()).update(numbers)
            assert not any(word in text.lower() for word in (*names, "licence", "everywhere", "no source", "#"))
            assert "_ _ _" in text
    assert min(map(len, seen.values())) >= 3
    assert sum(map(len, seen.values())) == len(set.union(*seen.values()))  # no file in two splits
    assert not {"0.000", "1.000", "2.000"} & set.union(*seen.values())  # the same file twice
    assert not set(names) & set(sys.modules)
    assert task.record["files"] == dict.fromkeys(names, 39)


def test_source_follows_seed_and_files(packages):
    def load(**options):
        return load_task("pybytes", **{"length": 64, "packages": ["betapack", "alphapack"]} | options)

    first, again, other, fewer = load(), load(), load(seed=1), load(size=21)
    assert first.record == again.record
    assert first.record["files sha256"] == other.record["files sha256"]
    assert first.record["sha256"] != other.record["sha256"]
    assert [len(split) for split in fewer.splits.values()] == [20, 20, 20]
    (packages / "betapack" / "inner" / "m7.py").write_text("changed = 1\n")
    assert load().record["files sha256"] != first.record["files sha256"]


def test_packages_that_are_refused(packages):
    (packages / "module.py").write_text("")
    (packages / "empty").mkdir()
    (packages / "empty" / "__init__.py").write_text("")
    for names, words in (
        (["alphapack"], "two or more different"),
        ("alphapack", "two or more different"),
        (["alphapack", "alphapack"], "two or more different"),
        (["alphapack", "../betapack"], "two or more different"),
        (["alphapack", "deltapack"], "'deltapack' is none"),
        (["alphapack", "module"], "'module' is none"),
        (["alphapack", "empty"], "'empty' has too little"),
    ):
        with pytest.raises(InputError, match=words):
            load_task("pybytes", packages=names, length=64)


def test_the_division_is_by_file_and_by_bytes():
    sources = [Source(f"a/{i}.py", b"x" * (i % 17 + 1)) for i in range(1000)]
    parts = divide(sources)
    assert sorted(source.name for part in parts for source in part) == sorted(source.name for source in sources)
    total = sum(len(source.text) for source in sources)
    for part, share in zip(parts, (0.7, 0.15, 0.15), strict=True):
        assert abs(sum(len(source.text) for source in part) / total - share) < 0.01
    assert divide(sources[::-1]) == parts


def test_the_default_packages_are_there():
    task = load_task("pybytes", length=2048, size=300)
    assert len(task.train) == 300
    assert task.n_outputs == 6
    assert task.record["versions"]["numpy"] == np.__version__
    assert "unknown" not in task.record["versions"].values()
    text = b"".join(texts(task.train) + texts(task.test)).lower()
    assert not any(name.encode() in text for name in task.record["options"]["packages"])

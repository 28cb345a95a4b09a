"""ListOps: what is drawn against exact laws and a plain generator, files of Long Range Arena, and the cache."""

import random
import re
import statistics

import numpy as np
import pytest
from oracles import MIN_P, check_mean, check_proportion, check_same_law
from scipy import stats

from rmt.checks import InputError
from rmt.training.tasks import listops_trees as trees
from rmt.training.tasks import load_task
from rmt.training.tasks.listops import evaluate, read_tsv

WORDS = ["", *"0123456789", "[MIN", "[MAX", "[MED", "[SM", "]"]


def text(tokens, length):
    return " ".join(WORDS[token] for token in tokens[:length])


def value(string):
    """The value of an expression, rewritten until a number is left."""
    functions = {
        "MIN": min,
        "MAX": max,
        "MED": lambda values: int(statistics.median(values)),
        "SM": lambda values: sum(values) % 10,
    }

    def inner(match):
        return str(functions[match[1]]([int(digit) for digit in match[2].split()]))

    while "[" in string:
        string, count = re.subn(r"\[(MIN|MAX|MED|SM)((?: \d)+) \]", inner, string)
        assert count
    return int(string)


def plain_tree(rng, depth=1):
    """A tree by the rules in words: nested lists of an operator and arguments."""
    if depth == 10 or rng.random() >= 0.25:
        return rng.randrange(10)
    return [rng.choice(WORDS[11:15]), *(plain_tree(rng, depth + 1) for _ in range(rng.randint(2, 10)))]


def plain_words(tree):
    if isinstance(tree, int):
        return [str(tree)]
    return [tree[0], *(word for argument in tree[1:] for word in plain_words(argument)), "]"]


def parenthesised(tree):
    """As Long Range Arena writes it: pairs from the left, the bracket that closes last."""
    if isinstance(tree, int):
        return str(tree)
    result = tree[0]
    for argument in [*tree[1:], "]"]:
        result = f"( {result} {argument if argument == ']' else parenthesised(argument)} )"
    return result


def outcome(function, *arguments, **options):
    """What a function returns and None, or None and what it refuses with."""
    try:
        return function(*arguments, **options), None
    except InputError as error:
        return None, str(error)


@pytest.fixture(scope="module")
def drawn():
    return trees.draw(3000, np.random.default_rng(0))


def check_counts(observed, probabilities):
    """Observed counts follow these probabilities (chi-square)."""
    observed, probabilities = np.asarray(observed, float), np.asarray(probabilities, float)
    assert observed[probabilities == 0].sum() == 0
    observed, probabilities = observed[probabilities > 0], probabilities[probabilities > 0]
    p = stats.chisquare(observed, observed.sum() * probabilities / probabilities.sum()).pvalue
    assert p > MIN_P, f"p = {p:.2e}"


def length_law(most=2000, depth=10):
    """P(an expression has m tokens), m < most, and for each number of arguments of the root, by convolution."""
    law = np.zeros(most)
    law[1] = 1.0
    for _ in range(depth - 1):
        power, by_arguments = law, np.zeros((11, most))
        for arguments in range(2, 11):
            power = np.convolve(power, law)[:most]
            by_arguments[arguments, 2:] = power[:-2] / 9 / 4
        law = by_arguments.sum(axis=0)
        law[1] += 3 / 4
    return law, by_arguments


def test_lengths_and_arguments_of_the_root_follow_their_exact_law(drawn):
    tokens, lengths, _ = drawn
    law, by_arguments = length_law()
    assert law[1] == 0.75
    inside = law.copy()
    inside[:501] = 0
    edges = [501, 600, 700, 800, 900, 1000, 1200, 1400, 1600, 1800, 2000]
    check_counts(np.histogram(lengths, edges)[0], np.add.reduceat(inside, edges[:-1]))
    arguments = []
    for row, length in zip(tokens[:1500], lengths, strict=False):
        depth = np.cumsum(np.isin(row[:length], range(11, 15)).astype(int) - (row[:length] == 15))
        # an argument of the root is a digit at depth 1, or closes to depth 1
        arguments.append(int(((depth == 1) & ~np.isin(row[:length], range(11, 15))).sum()))
    check_counts(np.bincount(arguments, minlength=11), by_arguments[:, 501:].sum(axis=1))


def test_operators_and_digits_are_uniform(drawn):
    tokens, lengths, _ = drawn
    assert lengths.min() > 500
    assert lengths.max() < 2000
    np.testing.assert_array_equal((tokens > 0).sum(axis=1), lengths)
    np.testing.assert_array_equal(tokens[np.arange(3000), lengths - 1], trees.END)
    counts = np.bincount(tokens.ravel(), minlength=trees.VOCABULARY)
    check_counts(counts[1:11], np.ones(10) / 10)
    check_counts(counts[11:15], np.ones(4) / 4)
    assert counts[11:15].sum() == counts[15]
    check_counts(np.bincount(tokens[:, 0], minlength=16)[11:15], np.ones(4) / 4)


def test_one_level_follows_its_exact_law():
    # depth 2: the root alone is an operator, and more than 7 tokens are 6 arguments or more
    tokens, lengths, values = trees.draw(20_000, np.random.default_rng(1), minimum=7, maximum=14, depth=2)
    check_counts(np.bincount(lengths - 2, minlength=11), [*[0] * 6, *[1 / 5] * 5])
    check_counts(np.bincount(tokens[:, 0])[11:], np.ones(4) / 4)
    digits = tokens[:, 1:6].astype(int) - 1
    for place in range(5):
        check_counts(np.bincount(digits[:, place], minlength=10), np.ones(10) / 10)
    check_counts(np.bincount(values[tokens[:, 0] == 14], minlength=10), np.ones(10) / 10)  # a sum is uniform
    ten = (lengths == 12) & (tokens[:, 0] == 11)
    check_proportion((values[ten] == 0).sum(), ten.sum(), 1 - 0.9**10)


def test_a_quarter_of_the_nodes_are_operators_of_two_to_ten_arguments(monkeypatch):
    shapes, structure = [], trees._structure
    monkeypatch.setattr(trees, "_structure", lambda *given: shapes.append(structure(*given)) or shapes[-1])
    trees.draw(1, np.random.default_rng(3))
    arities = np.concatenate([level.arity for level in shapes[0][:9]])  # the tenth level has digits alone
    assert len(shapes[0]) == 10
    assert not shapes[0][9].arity.any()
    check_proportion((arities > 0).sum(), arities.size, 0.25)
    check_counts(np.bincount(arities)[1:], [0, *[1 / 9] * 9])


def test_the_same_law_as_a_plain_generator(drawn):
    tokens, lengths, values = drawn
    rng = random.Random(2)
    plain = []
    while len(plain) < 400:
        words = plain_words(plain_tree(rng))
        if 500 < len(words) < 2000:
            plain.append(words)
    codes = {word: code for code, word in enumerate(WORDS)}

    def features(rows):
        """Length, operators, greatest depth, longest run of arguments that are digits."""
        result = []
        for row in rows:
            steps = np.isin(row, range(11, 15)).astype(int) - (row == 15)
            runs = "".join("d" if 1 <= token <= 10 else "." for token in row)
            longest = max(map(len, runs.split(".")))
            result.append((len(row), (steps == 1).sum(), np.cumsum(steps).max(), longest))
        return np.array(result, float)

    ours = features([tokens[i, : lengths[i]].astype(int) for i in range(1000)])
    theirs = features([np.array([codes[word] for word in words]) for words in plain])
    assert ours[:, 2].max() == theirs[:, 2].max() == 9  # at depth 10 there are digits alone
    for column in range(4):
        check_same_law(ours[:, column], theirs[:, column])
    plain_values = [value(" ".join(words)) for words in plain]
    check_same_law(values, plain_values)


def test_values_against_an_independent_evaluator(drawn):
    tokens, lengths, values = drawn
    for i in range(0, 3000, 10):
        assert value(text(tokens[i], lengths[i])) == values[i] == evaluate(bytes(tokens[i, : lengths[i]]))


def test_known_baselines():
    task = load_task("listops", size=4000)
    check_mean(task.train.targets == np.bincount(task.train.targets).argmax(), 0.170)
    best = np.zeros((16, 10))
    np.add.at(best, (task.train.inputs[:, 0], task.train.targets), 1)
    check_proportion(best.max(axis=1).sum(), 4000, 0.361)
    check_proportion(round(2000 * task.baselines["majority"]), 2000, 0.170)
    check_proportion(round(2000 * task.baselines["root operator"]), 2000, 0.361)
    assert (task.vocabulary, task.n_outputs, task.readout, task.steps) == (16, 10, "mean", 2000)


def test_splits_are_distinct_and_follow_the_seed(monkeypatch):
    monkeypatch.setattr(trees, "PATIENCE", 60_000)
    options = {"length": 12, "minimum": 3, "size": 1500}
    first, again, other = (load_task("listops", seed=seed, **options) for seed in (5, 5, 6))
    assert first.record == again.record
    assert first.record["sha256"] != other.record["sha256"]
    rows = np.concatenate([split.inputs for split in first.splits.values()])
    assert len(rows) == 4500 == len(np.unique(rows, axis=0))
    with pytest.raises(InputError, match="more than 1 and fewer than 5 tokens, no more than 400 different"):
        trees.draw(500, np.random.default_rng(0), minimum=1, maximum=5)
    with pytest.raises(InputError, match="minimum must be an integer from 1 to 9"):
        load_task("listops", length=12)


def test_progress_is_told():
    lines = []
    trees.draw(11_000, np.random.default_rng(0), minimum=4, maximum=60, progress=lines.append)
    assert len(lines) == 1
    assert lines[0].endswith("of 11,000 expressions")


# files


def tsv(count, seed=0, most=120):
    """Lines as Long Range Arena writes them, and words and value of each."""
    rng = random.Random(seed)
    lines, expected = [b"Source\tTarget\r\n"], []
    while len(expected) < count:
        tree = plain_tree(rng)
        words = plain_words(tree)
        if 8 < len(words) < most:
            expected.append((words, value(" ".join(words))))
            lines.append(f"{parenthesised(tree)}\t{expected[-1][1]}\r\n".encode())
    return b"".join(lines), expected


def test_files_of_long_range_arena(tmp_path):
    for i, name in enumerate(("train", "val", "test")):
        (tmp_path / f"basic_{name}.tsv").write_bytes(tsv(30 - 5 * i, i)[0])
    task = load_task("listops", data=tmp_path, length=120)
    assert [len(split) for split in task.splits.values()] == [30, 25, 20]
    for i, split in enumerate(task.splits.values()):
        for row, length, target, (words, wanted) in zip(
            split.inputs, split.lengths, split.targets, tsv(30 - 5 * i, i)[1], strict=True
        ):
            assert text(row, length) == " ".join(words)
            assert target == wanted
            assert not row[length:].any()
    assert len(load_task("listops", data=str(tmp_path), length=120, size=7).test) == 7
    longest = max(len(words) for words, _ in tsv(30)[1])
    assert read_tsv(tmp_path / "basic_train.tsv", longest).lengths.max() == longest
    with pytest.raises(InputError, match=f"it has {longest} tokens, and length = {longest - 1} allows no more"):
        read_tsv(tmp_path / "basic_train.tsv", longest - 1)
    with pytest.raises(InputError, match=r"basic_train.tsv cannot be read: line \d+: it has .* length = 40 allows"):
        load_task("listops", data=tmp_path, length=40)
    (tmp_path / "basic_val.tsv").unlink()
    with pytest.raises(InputError, match=r"basic_val.tsv is not there; data must be a folder with basic_train.tsv"):
        load_task("listops", data=tmp_path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"( ( ( [MAX 2 ) 3 ) ] )\t2\n", "its value is 3, and '2' stands there"),
        (b"( ( ( [AVG 2 ) 3 ) ] )\t2\n", r"'\[AVG' is neither a digit nor one of \[MIN"),
        (b"[MAX 2 3 ]\n", "not an expression, a tab"),
        (b"[MAX 2 3 ]\t3", "not an expression, a tab, a value and an end of line"),
        (b"[MAX 2 3\t3\n", "brackets do not fit"),
        (b"2 ] 3\t3\n", "brackets do not fit"),
        (b"[MAX ]\t3\n", "brackets do not fit"),
        (b"[MAX 2 3 ] 4\t3\n", "brackets do not fit"),
        (b"\t3\n", "brackets do not fit"),
        (b"[MAX 2 3 ]\t3\t3\n", "stands there"),
        (b"[MAX 2 \xff\x1b[2J ]\t3\n", r"'\\xff\\x1b\[2J' is neither"),
        (b"[MAX" + b" 2" * 5000 + b" ]\t2\n", "not an expression"),
    ],
)
def test_lines_that_are_refused(tmp_path, line, words):
    path = tmp_path / "a.tsv"
    path.write_bytes(b"Source\tTarget\n[MIN 4 5 ]\t4\n" + line)
    with pytest.raises(InputError, match=f"cannot be read: line 3: .*{words}") as caught:
        read_tsv(path, 100)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_files_that_are_refused(tmp_path):
    path = tmp_path / "a.tsv"
    for content, words in (
        (b"", "first line"),
        (b"[MIN 4 5 ]\t4\n", "first line"),
        (b"Source\tTarget\n", "no expression"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=words):
            read_tsv(path, 100)
    with pytest.raises(InputError, match="it is no file"):
        read_tsv(tmp_path, 100)


def test_cut_or_changed_anywhere(tmp_path):
    content, _ = tsv(4, seed=3, most=60)
    path = tmp_path / "a.tsv"
    ends = {sum(len(line) for line in content.splitlines(True)[:rows]): rows - 1 for rows in range(2, 6)}
    for length in range(len(content)):
        path.write_bytes(content[:length])
        if length in ends:
            assert len(read_tsv(path, 100)) == ends[length]
        else:
            with pytest.raises(InputError, match="cannot be read"):
                read_tsv(path, 100)
    rng = np.random.default_rng(0)
    refused = 0
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        split, error = outcome(read_tsv, path, 100)
        refused += split is None
        if split is None:
            assert error.isprintable()
        else:  # a digit that does not matter, a parenthesis: what is read is still true
            for row, length, target in zip(split.inputs, split.lengths, split.targets, strict=True):
                assert value(text(row, length)) == target
    assert refused > len(content) / 2


# the cache


def test_the_cache_gives_the_same_task(tmp_path, monkeypatch):
    folder = tmp_path / "new" / "cache"
    options = {"length": 40, "minimum": 10, "size": 60, "cache": folder}
    first = load_task("listops", **options)
    (path,) = folder.iterdir()
    plain = load_task("listops", **{**options, "cache": None})
    monkeypatch.setattr(trees, "draw", None)  # from here on nothing can be drawn
    again = load_task("listops", **options)
    assert first.record == again.record == plain.record
    assert first.baselines == again.baselines
    for other in ({"seed": 1}, {"size": 61}, {"length": 41}, {"minimum": 11}):
        with pytest.raises(TypeError):
            load_task("listops", **options | other)
    assert list(folder.iterdir()) == [path]
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    wrong = 0
    for place in rng.choice(len(content), 150, replace=False):
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        task, error = outcome(load_task, "listops", **options)
        wrong += task is None
        if task is None:
            assert "is damaged and can be deleted" in error
            assert "\n" not in error
        else:
            assert task.record == first.record  # a date in the archive
    assert wrong > 100
    for length in (0, 1, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match="is damaged and can be deleted"):
            load_task("listops", **options)
    np.savez(path, tokens=np.zeros(9, np.uint8))
    with pytest.raises(InputError, match="is damaged"):
        load_task("listops", **options)


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        load_task("listops", length=40, minimum=10, size=60, cache=tmp_path / "file")

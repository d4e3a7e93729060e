import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyembed as pe
from pyembed.schedules import CosineDecay, Warmup

rates = st.floats(0.0, 10.0)
lengths = st.integers(1, 1000)
steps = st.integers(0, 3000)

SCHEDULES = [
    CosineDecay(0.1, 50),
    CosineDecay(0.0, 50, 0.25, 0.1, 7, name="mine"),
    Warmup(0.1, 7),
    Warmup(CosineDecay(0.1, 50), 7),
    Warmup(Warmup(0.1, 5), 3),
]


def shape(schedule, *at):
    return [schedule(step) for step in at]


def test_cosine_decay_worked_cases():
    near = pytest.approx
    assert shape(CosineDecay(8.0, 60), 0, 20, 30, 40, 60, 999) == near([8, 6, 4, 2, 0, 0])
    assert shape(CosineDecay(8.0, 60, 0.5), 0, 20, 30, 40, 60, 999) == near([8, 7, 6, 5, 4, 4])
    warm = CosineDecay(2.0, 60, 0.5, warmup_target=8.0, warmup_steps=6)
    assert shape(warm, 0, 1, 3, 5, 6, 26, 66, 999) == near([2, 3, 5, 7, 8, 7, 4, 4])
    assert shape(CosineDecay(2.0, 60, warmup_target=8.0), 0, 30) == near([8, 4])


def test_warmup_worked_cases():
    assert shape(Warmup(8.0, 4), 0, 1, 2, 3, 4, 5, 999) == [0, 2, 4, 6, 8, 8, 8]
    halving = Warmup(lambda t: 16.0 / 2**t, 4)
    assert shape(halving, 0, 1, 2, 3, 4, 5, 6) == [0, 2, 4, 6, 8, 4, 2]


def test_a_warmup_asks_for_no_step_before_the_first():
    assert shape(Warmup(lambda t: 1.0 / t, 3), 0, 3, 4) == [0, 1, 0.5]


@given(rates, lengths, st.floats(0, 1), rates, lengths, steps)
def test_a_cosine_after_its_warmup_is_the_decay_alone(start, decay, alpha, target, warm, step):
    one = CosineDecay(start, decay, alpha, target, warm)
    low, high = sorted((start, target))
    # And never out of bounds.
    assert min(low, target * alpha) - 1e-12 <= one(step) <= high + 1e-12
    assert one(step + warm) == CosineDecay(target, decay, alpha)(step)
    if step < warm:
        assert one(step) == pytest.approx(start + (target - start) * step / warm)


@given(lengths, lengths, lengths)
def test_a_warmup_of_one_step_is_none(decay, steps, step):
    schedule = CosineDecay(0.1, decay)
    assert Warmup(schedule, 1)(step) == schedule(step)
    assert Warmup(schedule, steps)(step + steps - 1) == schedule(step)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_the_same_from_a_configuration_a_pickle_and_its_repr(schedule):
    config = json.loads(json.dumps(pe.schedules.serialize(schedule)))
    made = [
        pe.schedules.get(config),
        type(schedule)(**schedule.get_config()),
        pickle.loads(pickle.dumps(schedule)),
    ]
    for again in made:
        assert type(again) is type(schedule)
        assert repr(again) == repr(schedule)
        assert shape(again, *range(80)) == shape(schedule, *range(80))


def test_numbers_and_callables_are_returned_as_they_are():
    class Faster(Warmup):
        pass

    for given_ in (0.1, math.sqrt, SCHEDULES[0], Faster(0.1, 5), "0.1"):
        assert pe.schedules.get(given_) is given_
    for given_ in (0.1, math.sqrt, faster := Faster(0.1, 5)):
        assert pe.schedules.serialize(given_) is given_
    assert Warmup(faster, 2).get_config() == {"learning_rate": faster, "steps": 2}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CosineDecay(-0.1, 5), "initial_learning_rate=-0.1 must be"),
        (lambda: CosineDecay(0.1, 0), "decay_steps=0 must be an integer >= 1"),
        (lambda: CosineDecay(0.1, 5.0), "decay_steps=5.0 must be an integer >= 1"),
        (lambda: CosineDecay(0.1, 5, -1), "alpha=-1 must be a finite number >= 0"),
        (lambda: CosineDecay(0.1, 5, 0, np.nan), "warmup_target=nan must be"),
        (lambda: CosineDecay(0.1, 5, 0, 0.1, -1), "warmup_steps=-1 must be"),
        (lambda: CosineDecay(0.1, 5, warmup_steps=3), "warmup_steps=3 needs a warmup_target"),
        (lambda: Warmup("0.1", 5), "learning_rate='0.1' must be"),
        (lambda: Warmup(np.inf, 5), "learning_rate=inf must be"),
        (lambda: Warmup(0.1, 0), "steps=0 must be an integer >= 1"),
        (lambda: Warmup(CosineDecay, 5), "learning_rate=<class .* must be a schedule, not the cla"),
        (lambda: pe.schedules.get({"class_name": "Linear"}), "has no known 'class_name'"),
        (lambda: pe.SparseSGD(pe.Embedding(3, 2), Warmup), "not the class of one"),
        (lambda: SCHEDULES[0](-1), "step=-1 must be an integer >= 0"),
        (lambda: SCHEDULES[0](1.0), "step=1.0 must be"),
    ],
)
def test_unusable_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


class TestNesting:
    def nested(self, depth, rate=0.5):
        for _ in range(depth):
            rate = Warmup(rate, 1)
        return rate

    def configured(self, depth):
        config = 0.5
        for _ in range(depth):
            config = {"class_name": "Warmup", "config": {"learning_rate": config, "steps": 1}}
        return config

    def test_64_schedules_are_served(self, tmp_path):
        made = self.nested(64)
        assert made(1) == pe.schedules.get(self.configured(64))(1) == 0.5
        assert pe.schedules.serialize(made) == self.configured(64)
        emb = pe.Embedding(3, 2)
        pe.save(tmp_path / "x", emb=emb, opt=pe.SparseSGD(emb, made))
        assert repr(pe.load(tmp_path / "x")["opt"].learning_rate) == repr(made)

    @pytest.mark.parametrize("depth", [65, 300, 100_000])
    def test_more_are_refused(self, depth):
        with pytest.raises(ValueError, match="more than 64 schedules"):
            self.nested(depth)
        config = self.configured(depth)
        for make in (
            pe.schedules.get,
            lambda rate: Warmup(rate, 1),
            lambda rate: pe.SparseSGD(pe.Embedding(3, 2), rate),
        ):
            with pytest.raises(ValueError, match="more than 64 schedules"):
                make(config)
        while isinstance(config, dict):  # Python itself gives deep ones up by recursion
            config = config.pop("config")["learning_rate"]

    def test_of_objects_and_configurations(self):
        with pytest.raises(ValueError, match="more than 64 schedules"):
            Warmup(
                {"class_name": "Warmup", "config": {"learning_rate": self.nested(63), "steps": 1}},
                1,
            )

    def test_without_end(self, tmp_path):
        schedule = Warmup(0.5, 1)
        emb = pe.Embedding(3, 2)
        opt = pe.SparseSGD(emb, schedule)
        schedule.learning_rate = schedule
        for call in (
            schedule.get_config,
            lambda: pe.schedules.serialize(schedule),
            opt.state_dict,
            lambda: pe.save(tmp_path / "x", emb=emb, opt=opt),
        ):
            with pytest.raises(ValueError, match="more than 64 schedules"):
                call()


def steps_of(emb, opt, count):
    for _ in range(count):
        opt.step(emb.backward([1, 1, 2], np.ones((3, 2), np.float32)))


def test_an_optimizer_asks_for_its_own_step_and_keeps_the_configuration():
    emb, other = (pe.Embedding(3, 2, "zeros") for _ in range(2))
    schedule = Warmup(CosineDecay(0.5, 4), 2)
    opt = pe.SparseSGD(emb, schedule)
    steps_of(emb, opt, 3)
    moved = sum(np.float32(schedule(t)) * 2 for t in (1, 2, 3))
    np.testing.assert_allclose(emb.embeddings[1], -moved, rtol=1e-6)

    again = pe.SparseSGD(other)
    state = opt.state_dict()
    again.load_state_dict({**state, "config": json.loads(json.dumps(state["config"]))})
    assert repr(again.learning_rate) == repr(schedule)
    other.embeddings[...] = emb.embeddings
    for layer, optimizer in ((emb, opt), (other, again)):
        steps_of(layer, optimizer, 3)
    np.testing.assert_array_equal(other.embeddings, emb.embeddings)


def test_a_file_holds_a_schedule(tmp_path):
    emb = pe.Embedding(3, 2)
    opt = pe.SparseSGD(emb, SCHEDULES[3])
    path = tmp_path / "saved.safetensors"
    pe.save(path, emb=emb, opt=opt)
    assert repr(pe.load(path)["opt"].learning_rate) == repr(SCHEDULES[3])
    opt.learning_rate = 0.5
    pe.load(path, emb=emb, opt=opt)
    assert repr(opt.learning_rate) == repr(SCHEDULES[3])


def test_a_configuration_is_a_learning_rate():
    emb = pe.Embedding(3, 2)
    opt = pe.SparseAdam(emb, pe.schedules.serialize(SCHEDULES[1]))
    assert repr(opt.learning_rate) == repr(SCHEDULES[1])
    with pytest.raises(ValueError, match=r"learning_rate=.* no known 'class_name'"):
        opt.learning_rate = {}
    assert repr(opt.learning_rate) == repr(SCHEDULES[1])

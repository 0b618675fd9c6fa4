"""Pictures and words of the interventions, and looks on the way of a training."""

import pytest
import torch

from shortcut_nb import Lab
from shortcut_nb.budget import Budget, linf_pixels
from shortcut_nb.cells import CLEAN, OWN, Cell, Sheet
from shortcut_nb.errors import UserError
from shortcut_nb.experiments.executor_choice import executor_of
from shortcut_nb.experiments.experiment import Experiment
from shortcut_nb.experiments.graph import frame_of, graph_of
from shortcut_nb.experiments.questions.shortcut import CAPTION, TRAITS, cells, watched
from shortcut_nb.experiments.run import Ended, execute
from shortcut_nb.personalize.trainee import Trainee
from shortcut_nb.pipeline import Pipeline, neighbour
from shortcut_nb.pipeline.transplant import mixed, moved, shuffled
from shortcut_nb.store import Store
from tests.tiny_profile import tiny_profile

BUDGET = Budget.parse("16/255")


def batches(n=4):
    draw = torch.Generator().manual_seed(0)
    clean = torch.randint(0, 256, (n, 3, 8, 8), generator=draw).float() / 255
    signs = torch.randint(0, 2, clean.shape, generator=draw) * 2.0 - 1
    return clean, BUDGET.project_grid((clean + BUDGET.unit * signs).clamp(0, 1), clean)


@pytest.mark.parametrize(("share", "count"), [(0, 0), (0.25, 1), (0.5, 2), (0.75, 3), (1, 4)])
def test_a_share_of_the_pictures_is_replaced(share, count):
    clean, perturbed = batches()
    images = mixed(clean, perturbed, share)
    changed = [i for i in range(4) if not torch.equal(images[i], clean[i])]
    assert len(changed) == count
    assert all(torch.equal(images[i], perturbed[i]) for i in changed)
    assert torch.equal(clean, batches()[0])  # the input is left as it was


def test_smaller_shares_lie_within_larger_ones():
    clean, perturbed = batches(8)
    for seed in range(3):
        sets = [
            {i for i in range(8) if torch.equal(mixed(clean, perturbed, share, seed)[i],
                                                perturbed[i])}
            for share in (0.25, 0.5, 0.75)
        ]  # fmt: skip
        assert sets[0] < sets[1] < sets[2]
    assert not torch.equal(mixed(clean, perturbed, 0.5, 0), mixed(clean, perturbed, 0.5, 1))


def test_shuffled_perturbations_leave_home_and_stay_in_the_ball():
    clean, perturbed = batches()
    images = shuffled(clean, perturbed, BUDGET)
    BUDGET.check(images, clean)
    assert images.min() >= 0 and images.max() <= 1
    assert torch.equal((images * 255).round() / 255, images)  # a PNG keeps it
    middle = (clean > 0.1) & (clean < 0.9)  # nothing is cut off there
    here, before = images - clean, (perturbed - clean).roll(1, dims=0)
    torch.testing.assert_close(here[middle], before[middle], atol=1e-5, rtol=0)
    for i in range(4):
        assert not torch.equal(images[i], perturbed[i])
    with pytest.raises(ValueError, match="at least two"):
        shuffled(clean[:1], perturbed[:1], BUDGET)


def test_borrowed_perturbations_go_round_when_there_are_fewer():
    clean, perturbed = batches()
    change = torch.full((2, 3, 8, 8), 5 / 255)
    change[1] = -7 / 255
    images = moved(torch.full((3, 3, 8, 8), 100 / 255), change, BUDGET)
    assert [round(float(x.mean() * 255)) for x in images] == [105, 93, 105]
    far = moved(clean, 10 * change, BUDGET)
    assert max(linf_pixels(far, clean)) == 16 and far.min() >= 0 and far.max() <= 1


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    profile = tiny_profile(tmp_path_factory.mktemp("tiny"))
    defaults = profile.defaults | {"dreambooth": profile.defaults["dreambooth"] | {"steps": 4}}
    return Lab(profile.model_copy(update={"defaults": defaults}), "cpu", torch.float32)


@pytest.fixture
def pipeline(tiny, tmp_path):
    return Pipeline(tiny, Store(tmp_path / "store"))


@pytest.fixture(scope="module")
def person(tiny):
    return tiny.subject("mini:held-out/0")


def test_cells_are_checked_and_have_their_controls():
    with pytest.raises(ValueError, match="share"):
        Cell(attack="aspl", share=1.5)
    with pytest.raises(ValueError, match="perturbation"):
        Cell(attack="aspl", perturbation="nowhere")
    with pytest.raises(ValueError, match="need an attack"):
        Cell(share=0.5)
    every = cells()
    for name, cell in every.items():
        if (cell.instance or cell.prompts != "plain") and cell.attack != "none":
            control = every[f"{name}, clean"]
            assert control == cell.model_copy(update={"attack": "none"})


def test_the_neighbour_is_another_subject():
    names = ["a", "b", "c"]
    assert [neighbour(names, name) for name in names] == ["b", "c", "a"]
    assert neighbour(names, "a/folder") == "a"
    with pytest.raises(UserError, match="no other"):
        neighbour(["a"], "a")


def test_pictures_come_from_whom_they_should(pipeline, person):
    noise = {"attack": "noise", "eps": "16/255"}
    own = pipeline.images(person, Cell(**noise))
    lent = pipeline.images(person, Cell(**noise, perturbation="another's"))
    other = pipeline.lab.subject("mini:held-out/1")
    theirs = pipeline.images(other, Cell(**noise)) - other.b
    BUDGET.check(lent, person.b)
    middle = (person.b > 0.1) & (person.b < 0.9)
    torch.testing.assert_close((lent - person.b)[middle], theirs[middle], atol=1e-5, rtol=0)
    quarter = pipeline.images(person, Cell(**noise, share=0.25))
    same = [i for i in range(len(own)) if torch.equal(quarter[i], own[i])]
    clean = [i for i in range(len(own)) if torch.equal(quarter[i], person.b[i])]
    assert len(same) == 1 and len(clean) == 3
    around = pipeline.images(person, Cell(**noise, perturbation="shuffled"))
    torch.testing.assert_close(around, shuffled(person.b, own, BUDGET))


def test_a_training_is_told_other_words(pipeline, person, monkeypatch):
    told = []
    monkeypatch.setattr(
        type(pipeline.lab.personalize("dreambooth").settings), "fit",
        lambda self, subject, *rest, **more: told.append(subject.instance_prompt) or 1 / 0,
    )  # fmt: skip
    for instance in (None, CAPTION, TRAITS):
        node = pipeline.train(person, Cell(instance=instance), 0)
        with pytest.raises(ZeroDivisionError):
            pipeline.make(node)
    plain, caption, traits = told
    assert plain == "a photo of sks person"
    assert caption.startswith("a photo of a person with ") and "sks" not in caption
    assert traits == caption.replace("a person", "sks person")


def test_words_are_named_in_recipes_without_a_look_at_the_pictures(pipeline, person, monkeypatch):
    monkeypatch.setattr(
        "shortcut_nb.pipeline.train.traits", lambda *_: pytest.fail("CLIP was asked")
    )
    keys = {
        pipeline.train(person, Cell(instance=each), 0).recipe.key
        for each in (None, CAPTION, TRAITS)
    }
    assert len(keys) == 3


def test_a_look_on_the_way_is_the_training_as_it_was_then(pipeline, person):
    """Bit for bit; and the training that goes on from it ends where one without a look does."""
    trainer = pipeline.lab.personalize("dreambooth", seed=0)
    fresh = trainer.fit(person, until=2).sample(1, seed=0)
    assert torch.equal(pipeline.samples(person, CLEAN, 0, Sheet(at=0.5), 1), _kept(fresh))
    start = pipeline.samples(person, CLEAN, 0, Sheet(at=0), 1)  # back to the beginning
    assert torch.equal(start, _kept(pipeline.lab.personalize("dreambooth", steps=0).fit(person)
                                    .sample(1, seed=0)))  # fmt: skip
    pipeline.samples(person, CLEAN, 0, Sheet(at=0.75), 1)
    whole = trainer.fit(person).sample(1, seed=0)
    assert torch.equal(pipeline.samples(person, CLEAN, 0, OWN, 1), _kept(whole))


@pytest.fixture
def steps(monkeypatch):
    """The number of each training step that is taken, as it is taken."""
    taken, real = [], Trainee.step
    monkeypatch.setattr(
        Trainee, "step", lambda self, *how: taken.append(self.taken) or real(self, *how)
    )
    return taken


@pytest.mark.parametrize("megabytes", [0, 1000])
def test_a_watched_training_takes_every_step_once(pipeline, person, tmp_path, steps, megabytes):
    watching = Pipeline(pipeline.lab, Store(tmp_path), keep_trained=megabytes)
    for at in (0.25, 0.75):
        watching.samples(person, CLEAN, 0, Sheet(at=at), 1)
    last = watching.samples(person, CLEAN, 0, OWN, 1)
    assert steps == [0, 1, 2, 3]
    whole = pipeline.lab.personalize("dreambooth", seed=0).fit(person).sample(1, seed=0)
    assert torch.equal(last, _kept(whole))
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_killed_training_whose_weights_are_not_kept_writes_no_checkpoint(
    pipeline, person, tmp_path, monkeypatch
):
    """Weights that are too large to be kept are so with an optimiser's states, too."""
    monkeypatch.setattr("shortcut_nb.pipeline.train.EVERY", 1)
    Pipeline(pipeline.lab, Store(tmp_path), keep_trained=0).samples(person, CLEAN, 0, OWN, 1)
    assert not list((tmp_path / "checkpoints").glob("*"))


def test_a_killed_training_that_was_watched_goes_on(pipeline, person, tmp_path, monkeypatch, steps):
    monkeypatch.setattr("shortcut_nb.pipeline.train.EVERY", 1)

    class Killed(Exception):
        pass

    def kill(info):
        if (info.step, info.total) == (3, 4):
            raise Killed

    killed = Pipeline(pipeline.lab, Store(tmp_path), on_step=lambda about: kill, keep_trained=0)
    killed.samples(person, CLEAN, 0, Sheet(at=0.25), 1)
    with pytest.raises(Killed):
        killed.samples(person, CLEAN, 0, OWN, 1)
    again = Pipeline(pipeline.lab, Store(tmp_path), keep_trained=0)
    again.samples(person, CLEAN, 0, OWN, 1)
    assert steps == [0, 1, 2, 2, 3]  # the third was taken, and not yet written when it was killed


def _kept(images):
    return (images.clamp(0, 1) * 255).round() / 255


@pytest.mark.slow
def test_the_looks_of_one_training_are_made_together_in_its_order(pipeline, monkeypatch):
    chosen = {name: cells(attack="noise")[name] for name in ("protected", "another's")}
    small = Experiment(
        name="small", cells=chosen, sheets={"own": Sheet(negative="")}, subjects=1, seeds=(0,), n=1
    )
    taken = []
    trainee = type(pipeline.lab.personalize("dreambooth").settings).fit

    def fit(self, *arguments, **more):
        taken.append(arguments[6] if len(arguments) > 6 else more.get("until"))
        return trainee(self, *arguments, **more)

    monkeypatch.setattr(type(pipeline.lab.personalize("dreambooth").settings), "fit", fit)
    graph = graph_of(small, pipeline)
    assert execute(graph, pipeline, executor_of("serial", pipeline)) == Ended()
    assert taken == [0, 1, 2, 3, None, None]  # four steps: a sixth of them is 1, a third too
    frame = frame_of(graph, pipeline)
    watch = set(frame.loc[frame["condition"] == "protected", "sheet"])
    assert watch == {"own", *watched()}
    start = frame[frame["sheet"] == "own at 0.00"]["quality"]
    assert len(start) == 1 and frame["l2"].between(5, 16).all()

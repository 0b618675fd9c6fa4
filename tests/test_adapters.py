"""Adapters to packages of others, on random weights; without the package, one line that says so."""

import sys

import numpy as np
import pytest
import torch
from skimage import data
from torch.nn.functional import cosine_similarity

from shortcut_nb.errors import UserError
from shortcut_nb.images import from_u8
from shortcut_nb.metrics.arcface import ArcFaceEncoder
from shortcut_nb.metrics.iqa import PyiqaMetric
from shortcut_nb.metrics.mtcnn import MtcnnFinder
from shortcut_nb.metrics.published import fdfr, ism
from shortcut_nb.weights import BadWeights

ASTRONAUT = from_u8(torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None].contiguous())


@pytest.mark.parametrize(
    ("package", "opens", "extra"),
    [
        ("pyiqa", lambda: PyiqaMetric.open("liqe"), "iqa"),
        ("insightface.model_zoo", lambda: ArcFaceEncoder.open("a.onnx", "b.onnx"), "arcface"),
    ],
)
def test_a_missing_package_is_one_line(monkeypatch, package, opens, extra):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"shortcut-nb\[{extra}\]"):
        opens()


@pytest.fixture
def brisque(tmp_path):
    """BRISQUE with support vectors drawn at random."""
    pytest.importorskip("pyiqa", reason="needs the extra iqa")
    source = torch.Generator().manual_seed(0)
    vectors = torch.rand(20, 36, generator=source) * 2 - 1
    torch.save((torch.rand(20, generator=source), vectors), tmp_path / "svm.pth")
    return PyiqaMetric.open("brisque", tmp_path / "svm.pth")


def test_brisque_runs_on_random_weights(brisque):
    noisy = (ASTRONAUT + 0.2 * torch.randn(ASTRONAUT.shape)).clamp(0, 1)
    scores = brisque(torch.cat([ASTRONAUT, noisy, ASTRONAUT]))["brisque"]
    assert scores.shape == (3,) and np.isfinite(scores).all()
    assert scores[0] == pytest.approx(scores[2], abs=1e-4) and abs(scores[0] - scores[1]) > 1e-3
    assert brisque.columns["brisque"].better == "lower"
    assert np.isfinite(brisque(torch.rand(1, 3, 32, 40))["brisque"]).all()  # enlarged


def test_weights_that_hold_more_than_tensors_are_refused(tmp_path):
    pytest.importorskip("pyiqa", reason="needs the extra iqa")
    torch.save({"a": pytest.raises}, tmp_path / "x.pth")
    with pytest.raises(BadWeights, match="tensors and nothing else"):
        PyiqaMetric.open("brisque", tmp_path / "x.pth")


def test_an_unknown_judge_is_refused():
    pytest.importorskip("pyiqa", reason="needs the extra iqa")
    with pytest.raises(UserError, match="no judge 'liqqe'"):
        PyiqaMetric.open("liqqe")


def test_a_package_that_pyiqa_lacks_is_one_line(monkeypatch):
    pyiqa = pytest.importorskip("pyiqa", reason="needs the extra iqa")

    def lacking(*words, **how):
        raise ModuleNotFoundError("No module named 'pkg_resources'", name="pkg_resources")

    monkeypatch.setattr(pyiqa, "create_metric", lacking)
    with pytest.raises(UserError, match=r"liqe wants the module pkg_resources.*shortcut-nb\[iqa"):
        PyiqaMetric.open("liqe")


def test_liqe_runs_on_a_tiny_random_clip(tmp_path, monkeypatch):
    pytest.importorskip("pyiqa", reason="needs the extra iqa")
    import pyiqa.archs.clip_model as clip_model
    import pyiqa.archs.liqe_arch as liqe_arch

    torch.manual_seed(0)
    # The published network is a CLIP of the same class; this one is narrow, and untrained.
    tiny = clip_model.CLIP(64, 224, 1, 64, 32, 77, 49408, 64, 1, 1).float().eval()
    monkeypatch.setattr(liqe_arch, "load", lambda *words, **how: tiny)
    monkeypatch.setattr(liqe_arch, "DEFAULT_CACHE_DIR", str(tmp_path))
    weights = {"params": {f"clip_model.{k}": v for k, v in tiny.state_dict().items()}}
    torch.save(weights, tmp_path / "liqe.pth")
    liqe = PyiqaMetric.open("liqe", tmp_path / "liqe.pth")
    scores = liqe(torch.cat([ASTRONAUT[..., :300, :300], torch.rand(1, 3, 300, 300)]))["liqe"]
    assert scores.shape == (2,) and (scores >= 1).all() and (scores <= 5).all()
    assert scores[0] != scores[1] and liqe.columns["liqe"].better == "higher"


class Points:
    """Where the astronaut's face is; nothing on pictures that are dark."""

    def detect(self, picture):
        if picture.mean() < 10:
            return np.zeros((0, 5)), None
        boxes = np.array([[10, 10, 20, 20, 0.9], [175, 76, 266, 167, 0.8]], np.float32)
        face = [[205, 108], [240, 106], [223, 125], [210, 145], [240, 143]]
        return boxes, np.array([[[0, 0]] * 5, face], np.float32)


@pytest.fixture
def arcface(tmp_path):
    """A recogniser of random weights in ArcFace's format."""
    pytest.importorskip("insightface", reason="needs the extra arcface")
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(512, 3, 16, 16)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], strides=[16, 16]),
        helper.make_node("GlobalAveragePool", ["y"], ["z"]),
        helper.make_node("Flatten", ["z"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes, "tiny", [helper.make_tensor_value_info("x", kind, [None, 3, 112, 112])],
        [helper.make_tensor_value_info("out", kind, [None, 512])],
        [onnx.numpy_helper.from_array(kernel, "w")],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "w600.onnx")
    return ArcFaceEncoder.open(tmp_path / "w600.onnx", Points())


def test_arcface_aligns_and_describes_the_largest_face(arcface):
    noisy = (ASTRONAUT + 0.02 * torch.randn(ASTRONAUT.shape)).clamp(0, 1)
    elsewhere = ASTRONAUT.clone()
    elsewhere[..., 300:, 300:] = 0.5  # not where the face is
    rows = arcface(torch.cat([ASTRONAUT, noisy, elsewhere, ASTRONAUT * 0, ASTRONAUT.flip(-1)]))
    assert rows.shape == (5, 512) and not torch.allclose(rows[:3].norm(dim=1), torch.ones(3))
    assert rows[3].isnan().all()
    cosine = cosine_similarity(rows, rows[:1])
    assert cosine[1] > 0.9 and cosine[2] > 0.999 and cosine[4] < cosine[1]
    assert fdfr(rows) == pytest.approx(0.2) and ism(rows[1:4], rows[:1]) > 0.9


def test_mtcnn_finds_the_face_that_the_others_find():
    pytest.importorskip("facenet_pytorch", reason="pip install --no-deps facenet-pytorch")
    cat = from_u8(torch.from_numpy(data.chelsea()).permute(2, 0, 1)[None].contiguous())
    left, top, right, bottom = MtcnnFinder().faces(ASTRONAUT)[0].box
    assert left < 225 < right and top < 115 < bottom and 60 < right - left < 120
    assert MtcnnFinder().detects(cat).tolist() == [False]
    assert MtcnnFinder(threshold=1.0)(ASTRONAUT).item() == -torch.inf


def test_mtcnn_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    with pytest.raises(UserError, match="--no-deps facenet-pytorch"):
        MtcnnFinder().detects(ASTRONAUT)

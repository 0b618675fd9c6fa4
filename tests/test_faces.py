"""Real faces: found, cut out, described; offline, with the files of face-recognition-models."""

import hashlib
from functools import partial

import numpy as np
import pytest
import torch
from matplotlib.cbook import get_sample_data
from PIL import Image
from skimage import data
from torch.nn.functional import interpolate, pad

from shortcut_nb.errors import UserError
from shortcut_nb.images import from_u8
from shortcut_nb.metrics import METRICS, FaceEncoder, FaceMatch, HogFinder, LbpFinder
from shortcut_nb.profile import ModelRef, load_profile
from shortcut_nb.weights import MissingWeights, checked, resolve
from shortcut_nb.weights import download as downloads
from tests.small_hub import small_hub

dlib = pytest.importorskip("dlib", reason='needs the extra: pip install "shortcut-nb[faces]"')


def picture(array):
    return from_u8(torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1))[None]


ASTRONAUT = picture(data.astronaut())
with Image.open(get_sample_data("grace_hopper.jpg")) as hopper:
    HOPPER = picture(np.array(hopper.convert("RGB")))
CAT = picture(data.chelsea())


@pytest.fixture(scope="module")
def encoder():
    return FaceEncoder.open(checked(load_profile("sd15").faces))


def lfw(rows):
    """Faces of Labeled Faces in the Wild (0-99) or patches without one (100-199), enlarged."""
    small = torch.from_numpy(data.lfw_subset()[rows]).float()[:, None]
    large = interpolate(small, (200, 200), mode="bicubic").clamp(0, 1)
    return pad(large, (60, 60, 60, 60), mode="replicate").expand(-1, 3, -1, -1).contiguous()


def test_one_person_is_near_herself_and_far_from_others(encoder):
    noise = torch.rand(ASTRONAUT.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    noisy = (ASTRONAUT + noise * 16 / 255).clamp(0, 1)
    crop = ASTRONAUT[..., 20:300, 60:340]
    mirrored = ASTRONAUT.flip(-1)
    person = encoder(ASTRONAUT)
    distance = {
        name: (encoder(x) - person).norm().item()
        for name, x in {"noisy": noisy, "crop": crop, "mirrored": mirrored}.items()
    }
    assert 0.05 < distance["noisy"] < 0.25, distance
    assert distance["crop"] < 0.1, distance
    assert distance["mirrored"] < 0.45, distance
    assert (encoder(HOPPER) - person).norm() > 0.62
    others = (encoder(lfw(slice(0, 20))) - person).norm(dim=1)
    others = others[~others.isnan()]
    assert len(others) >= 15 and others.min() > 0.6


def test_faces_are_found_where_they_are_and_nowhere_else():
    face = HogFinder().faces(ASTRONAUT)[0]
    left, top, right, bottom = face.box
    assert left < 225 < right and top < 115 < bottom and 70 < right - left < 120
    assert HogFinder().detects(lfw(slice(0, 40))).mean() > 0.8
    assert not HogFinder().detects(lfw(slice(100, 140))).any()
    assert HogFinder().detects(CAT).tolist() == [False]
    assert HogFinder(threshold=2.0).detects(ASTRONAUT).tolist() == [False]
    assert HogFinder()(torch.cat([ASTRONAUT, torch.rand_like(ASTRONAUT)]))[1] == -torch.inf


def test_small_pictures_are_enlarged_and_boxes_are_in_their_own_pixels():
    small = interpolate(ASTRONAUT[..., 0:256, 100:356], (96, 96), mode="bicubic", antialias=True)
    left, top, right, bottom = HogFinder().faces(small.clamp(0, 1))[0].box
    assert 20 < left < right < 80 and 20 < top < bottom < 80
    assert HogFinder(least=96).detects(small.clamp(0, 1)).tolist() == [False]


def test_the_chip_is_the_face_upright(encoder):
    tilted = Image.fromarray(data.astronaut()).rotate(15, center=(225, 115))
    turned = encoder.chips(picture(np.array(tilted)))[0].astype(float)
    upright = encoder.chips(ASTRONAUT)[0].astype(float)
    assert upright.shape == (150, 150, 3)
    assert np.abs(turned - upright).mean() < 20 < np.abs(turned[::-1] - upright).mean()


def test_the_cascade_finds_the_same_face():
    hog, lbp = HogFinder().faces(ASTRONAUT)[0].box, LbpFinder().faces(ASTRONAUT)[0].box
    middle = ((hog[0] + hog[2]) / 2, (hog[1] + hog[3]) / 2)
    assert lbp[0] < middle[0] < lbp[2] and lbp[1] < middle[1] < lbp[3]
    assert LbpFinder()(torch.zeros(1, 3, 128, 128)).tolist() == [-np.inf]


def test_the_metric_tells_no_face_from_another_face(encoder, caplog):
    def square(x):
        return interpolate(x[..., :512, :512] if x.shape[-2] > 512 else x, (512, 512))

    pictures = torch.cat([ASTRONAUT, square(HOPPER), square(CAT)])
    scores = FaceMatch(encoder)(pictures, ASTRONAUT)
    assert scores["no_face"].tolist() == [0, 0, 1]
    assert scores["same_person"].tolist() == [1, 0, 0]
    assert scores["face_distance"][0] < 0.01 and np.isnan(scores["face_distance"][2])
    with pytest.raises(UserError, match="no face was found in any of 1 reference"):
        encoder.mean(CAT)
    of_a_cat = FaceMatch(encoder)(ASTRONAUT, CAT)
    assert np.isnan(of_a_cat["face_distance"]).all() and of_a_cat["no_face"].tolist() == [0]
    assert "no face was found in any of 1 reference" in caplog.text
    with pytest.raises(ValueError, match="clean pictures of the person"):
        FaceMatch(encoder)(ASTRONAUT)


def test_it_joins_the_scores_of_a_profile_that_names_it(lab):
    from shortcut_nb import Lab

    assert not METRICS["faces"].available(lab)
    faces = load_profile("sd21").faces
    with_faces = Lab(lab.profile.model_copy(update={"faces": faces}), "cpu", torch.float32)
    small = interpolate(ASTRONAUT[..., 0:256, 100:356], (128, 128), mode="bicubic").clamp(0, 1)
    report = with_faces.score(small, with_faces.subject(small))
    assert report.loc[0, "same_person"] == 1 and report.loc[0, "no_face"] == 0
    assert "no_face" not in lab.score(small, lab.subject(small))


def test_a_missing_package_is_said_in_one_line(lab, monkeypatch, caplog):
    import shortcut_nb.metrics.face_match as module

    faces = ModelRef(id="module:no_such_package/models", loader="dlib")
    with pytest.raises(MissingWeights, match="no-such-package"):
        resolve(faces)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    named = type("Named", (), {"profile": lab.profile.model_copy(update={"faces": faces})})
    assert not FaceMatch.available(named)
    assert 'pip install "shortcut-nb[faces]"' in caplog.text


def test_the_papers_purifier_is_codeformer_and_then_the_upscaler():
    from shortcut_nb import Lab

    for name in ("sd15", "sd21"):
        lab = Lab(name, "cpu")
        assert [link.name for link in lab.purifier("codesr").links] == ["face-restorer", "sr"]
        assert lab.profile.purifier == "codesr"


def test_a_published_file_is_fetched_whole_or_not_at_all(tmp_path, monkeypatch):
    source = tmp_path / "served" / "a.bin"
    source.parent.mkdir()
    source.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()

    def ref(name, sha256):
        place = str(tmp_path / "new" / name)
        return ModelRef(
            id=place, loader="spandrel", url="https://x.invalid/a", sha256={name: sha256}
        )

    with pytest.raises(MissingWeights, match="curl -L --create-dirs"):
        resolve(ref("a.pth", digest))
    real = downloads.download
    with small_hub(source.parent) as hub:  # no network here
        serve = partial(real, f"{hub.address}/a.bin")
        monkeypatch.setattr(downloads, "download", lambda url, *rest: serve(*rest))
        assert resolve(ref("a.pth", digest), download=True).read_bytes() == b"weights"
        with pytest.raises(MissingWeights, match="could not be fetched .invalid hash"):
            resolve(ref("b.pth", "0" * 64), download=True)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.pth"]


def test_dlib_opens_faces_and_nothing_else(lab):
    content = lab.profile.model_dump()
    faces = load_profile("sd21").faces.model_dump()
    assert type(lab.profile)(**content | {"faces": faces}).faces.loader == "dlib"
    with pytest.raises(ValueError, match="identity has the loader dlib"):
        type(lab.profile)(**content | {"identity": faces})
    with pytest.raises(ValueError, match="faces has the loader image-embedder"):
        type(lab.profile)(**content | {"faces": content["identity"]})


def test_a_recogniser_joins_an_open_pipeline(lab, encoder):
    from shortcut_nb import Lab

    own = Lab.from_pipeline(lab.diffusion.pipe, faces=encoder)
    small = interpolate(ASTRONAUT[..., 0:256, 100:356], (128, 128), mode="bicubic").clamp(0, 1)
    report = own.score(torch.cat([small, torch.zeros_like(small)]), small)
    assert report["no_face"].tolist() == [0, 1] and report["same_person"].tolist() == [1, 0]


def test_fetch_brings_all_else_before_it_asks_for_a_package(lab):
    from shortcut_nb.weights.fetch import fetch

    faces = ModelRef(id="module:no_such_package/models", loader="dlib")
    roles = []
    with pytest.raises(MissingWeights, match="pip install no-such-package"):
        named = lab.profile.model_copy(update={"faces": faces})
        fetch(named, lambda role, name: roles.append(role))
    assert roles[-1] == "faces" and set(roles) == set(named.models())

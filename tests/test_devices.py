"""Every tensor is where the model is: fake CUDA tensors say so without a GPU.

A fake tensor has a shape, a dtype and a device, and no data; operations on tensors of different
devices fail as the real ones do.
"""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import Parameter

from shortcut_nb.diffusion import open_pipeline
from tests.tiny_sd import save_pipeline, save_sdxl


@pytest.fixture(scope="module", params=["sd15", "sd21", "sdxl"])
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "pipe"
    return save_sdxl(folder) if request.param == "sdxl" else save_pipeline(folder, request.param)


@pytest.fixture(scope="module", autouse=True)
def _fake_cuda():
    """Older releases of torch look for a driver before they pretend."""
    try:
        with FakeTensorMode():
            torch.empty(2, 2, device="cuda")[:, :1] + 1
    except (RuntimeError, AssertionError) as error:
        pytest.skip(f"this torch has no fake CUDA tensors here ({str(error).splitlines()[0]})")


def on_fake_cuda(model, dtype):
    """The model with parameters and buffers that pretend to lie on a GPU."""
    for part in (model.pipe.vae, model.pipe.unet, *model.encoders.values()):
        for module in part.modules():
            for held in (module._parameters, module._buffers):
                for name, tensor in held.items():
                    if tensor is None:
                        continue
                    kind = dtype if tensor.is_floating_point() else tensor.dtype
                    fake = torch.empty(tensor.shape, dtype=kind, device="cuda")
                    is_weight = isinstance(tensor, Parameter)
                    held[name] = Parameter(fake, requires_grad=False) if is_weight else fake
    return model


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_prompts_noise_and_timesteps_follow_the_model(folder, dtype):
    model = open_pipeline(folder)
    with FakeTensorMode(allow_non_fake_inputs=True):
        with pytest.raises(RuntimeError, match="device"):
            torch.empty(2, device="cuda") + torch.empty(2)
        on_fake_cuda(model, dtype)
        assert model.device.type == "cuda"
        context = model.embed(["a photo", "a person"])
        latents, noise = torch.empty(2, 4, 8, 8, device="cuda"), torch.randn(2, 4, 8, 8)
        guess, target, noisy = model.predict(latents, torch.tensor([1, 500]), noise, context)
        drawn = model.draw(latents)
        for tensor in (context, guess, target, noisy, drawn):
            assert tensor.device.type == "cuda" and tensor.dtype == torch.float32
        assert guess.shape == latents.shape and drawn.shape == (2, 3, 64, 64)

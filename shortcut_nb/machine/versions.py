"""Which versions of the libraries behind the models this was tested with.

``make oldest`` installs the lowest and runs the fast tests; ``make test`` runs all tests on the
newest, those of constraints.txt. A test keeps this list in step with both files.
"""

from __future__ import annotations

from importlib import metadata

from packaging.version import InvalidVersion, Version

# name: (lowest, newest) tested
TESTED = {
    "torch": ("2.6", "2.14.1"),
    "torchvision": ("0.21", "0.29.1"),
    "diffusers": ("0.36", "0.42.1"),
    "transformers": ("4.57.1", "5.23.0"),
    "open_clip_torch": ("3.1", "3.3.0"),
    "peft": ("0.17", "0.21.2"),
}


def installed(name: str) -> str | None:
    """The version of a package, or None; nothing is imported."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def is_tested(name: str, version: str | None) -> bool:
    """Whether a version lies between the lowest and the newest tested; newer patches count."""
    if name not in TESTED or version is None:
        return True
    low, high = map(Version, TESTED[name])
    try:
        installed_version = Version(Version(version).public)  # "2.14.1+cpu" is 2.14.1
    except InvalidVersion:
        return False
    return installed_version >= low and installed_version.release[:2] <= high.release[:2]


def outside() -> list[str]:
    """One phrase for each library whose version was not tested: "diffusers 0.30 (tested: …)"."""
    versions = {name: installed(name) for name in TESTED}
    return [
        f"{name} {version} (tested: {' to '.join(TESTED[name])})"
        for name, version in versions.items()
        if not is_tested(name, version)
    ]

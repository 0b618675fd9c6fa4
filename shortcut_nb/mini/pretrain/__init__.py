"""How the miniature's models are trained from nothing."""

import os

# Libraries ask for a GPU while they are imported. Asked this way, the driver sleeps on, and the
# processes that are forked off for each training can still use it.
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")

"""Checkpoints: layers and optimizers in one safetensors file."""

from pyembed.io.loading import load
from pyembed.io.saving import save

__all__ = ["load", "save"]

"""ONNX files: opened on the provider that was asked for or not at all, and run."""

from processors.onnx.model import OnnxModel
from processors.onnx.settings import OnnxSettings

__all__ = ["OnnxModel", "OnnxSettings"]

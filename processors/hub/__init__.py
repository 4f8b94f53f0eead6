"""Models from Hugging Face: their folders read, run on torch, and written as ONNX."""

"""Trains light ONNX style generators for the GStreamer element `styletransfer`."""

#!/usr/bin/env python3
"""Frames from and to Python: appsrc.py [STYLE]. Stylizes a moving bar and prints the mean color of every frame."""
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

WIDTH, HEIGHT, FRAMES = 160, 96, 10
Gst.init(None)
pipeline = Gst.parse_launch(
    f"appsrc name=source format=time caps=video/x-raw,format=RGB,width={WIDTH},height={HEIGHT},framerate=25/1 ! "
    f"styletransfer style={sys.argv[1] if len(sys.argv) > 1 else 'udnie'} ! appsink name=sink sync=false"
)
source, sink = pipeline.get_by_name("source"), pipeline.get_by_name("sink")
pipeline.set_state(Gst.State.PLAYING)
for i in range(FRAMES):
    row = bytes(255 if abs(x - 10 * i) < 8 else 60 for x in range(WIDTH) for _ in range(3))
    buffer = Gst.Buffer.new_wrapped(row * HEIGHT)
    buffer.pts, buffer.duration = i * Gst.SECOND // 25, Gst.SECOND // 25
    source.emit("push-buffer", buffer)
source.emit("end-of-stream")
while sample := sink.emit("pull-sample"):
    stylized = sample.get_buffer().extract_dup(0, sample.get_buffer().get_size())
    print(sample.get_buffer().pts // 1_000_000, *(sum(stylized[c::3]) // (WIDTH * HEIGHT) for c in range(3)))
pipeline.set_state(Gst.State.NULL)

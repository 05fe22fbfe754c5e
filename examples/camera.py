#!/usr/bin/env python3
"""The camera in a window, stylized. Enter changes to the next style, a name that style, + and - the strength, q ends.

camera.py [SOURCE [SINK]], launch lines: camera.py "videotestsrc is-live=true" fakesink
"""
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

STYLES = ["great-wave", "starry-night", "the-scream", "composition-vii", "udnie", "the-kiss", "grande-jatte", "water-lilies", "contrast-of-forms", "metzinger", "mondrian", "woman-with-hat", "red-chalk", "van-gogh"]

Gst.init(None)
source, sink = (sys.argv[1:] + ["autovideosrc", "autovideosink"][len(sys.argv) - 1 :])[:2]
pipeline = Gst.parse_launch(
    f"{source} ! queue max-size-buffers=2 leaky=downstream ! videoconvert ! "
    f"styletransfer name=style style={STYLES[0]} style-fade=700 ! queue ! videoconvert ! {sink}"
)
element, loop = pipeline.get_by_name("style"), GLib.MainLoop()


def key(stdin, _condition):
    word = stdin.readline()
    if word.strip() == "q" or not word:
        pipeline.send_event(Gst.Event.new_eos())
        return False
    if word.strip() in ("+", "-"):
        step = 0.2 if word.strip() == "+" else -0.2
        element.props.strength = min(1.0, max(0.0, element.props.strength + step))
    else:
        following = STYLES[(STYLES.index(element.props.style) + 1) % len(STYLES)]
        element.props.style = word.strip() if word.strip() in STYLES else following
    print(f"{element.props.style}, strength {element.props.strength:.1f}", flush=True)
    return True


def message(_bus, message):
    if message.type in (Gst.MessageType.ERROR, Gst.MessageType.WARNING):
        print(message.parse_error()[0] if message.type == Gst.MessageType.ERROR else message.parse_warning()[0], file=sys.stderr)
    if message.type == Gst.MessageType.LATENCY:
        pipeline.recalculate_latency()
    if message.type in (Gst.MessageType.ERROR, Gst.MessageType.EOS):
        loop.quit()


pipeline.get_bus().add_signal_watch()
pipeline.get_bus().connect("message", message)
GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, key)
pipeline.set_state(Gst.State.PLAYING)
loop.run()
print(element.props.stats.to_string())
pipeline.set_state(Gst.State.NULL)

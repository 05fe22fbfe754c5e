"""MODEL WIDTH HEIGHT ROUNDS; BGR frames on standard input. Prints a line for each peer that this Python has: its name and
the milliseconds of a frame."""
import sys
import time

import numpy as np

model, width, height, rounds = sys.argv[1], *map(int, sys.argv[2:])
data = np.frombuffer(sys.stdin.buffer.read(), np.uint8)
frames = data.reshape(-1, height, width, 3)


def frame(i):
    return frames[i % len(frames)]


def median(work):
    """Of `work(i)` for a number of frames, milliseconds."""
    times = []
    for i in range(rounds + 2):
        started = time.perf_counter()
        work(i)
        times.append(time.perf_counter() - started)
    return sorted(times[2:])[rounds // 2] * 1e3


def picture(tensor):
    """Planar RGB 0..1 to BGR bytes."""
    import cv2

    planes = np.clip(tensor[0] * 255 + 0.5, 0, 255).astype(np.uint8)
    return cv2.cvtColor(planes.transpose(1, 2, 0), cv2.COLOR_RGB2BGR)


def with_onnxruntime():
    import cv2
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    blob = lambda i: cv2.dnn.blobFromImage(frame(i), 1 / 255, swapRB=True)
    return median(lambda i: picture(session.run(None, {name: blob(i)})[0]))


def with_dnn():
    import cv2

    net = cv2.dnn.readNetFromONNX(model)

    def work(i):
        net.setInput(cv2.dnn.blobFromImage(frame(i), 1 / 255, swapRB=True))
        return picture(net.forward())

    return median(work)


def with_vapoursynth():
    """vs-mlrt's plugin for ONNX Runtime on the processor; frames are made ahead, beside each other, as it has them fastest."""
    import vapoursynth as vs

    def fill(n, f):
        filled = f.copy()
        for plane in range(3):
            np.copyto(np.asarray(filled[plane]), frame(n)[:, :, 2 - plane])
        return filled

    core = vs.core
    blank = core.std.BlankClip(width=width, height=height, format=vs.RGB24, length=rounds + 2)
    clip = core.resize.Point(blank.std.ModifyFrame(blank, fill), format=vs.RGBS)
    clip = core.resize.Point(core.ort.Model(clip, network_path=model), format=vs.RGB24)
    made = clip.frames(prefetch=4, close=True)
    next(made), next(made)
    started = time.perf_counter()
    for _ in made:
        pass
    return (time.perf_counter() - started) * 1e3 / rounds


for name, measure in ("OpenCV + onnxruntime", with_onnxruntime), ("OpenCV DNN", with_dnn), ("VapourSynth + vs-mlrt", with_vapoursynth):
    try:
        print(name, measure(), flush=True)
    except Exception as error:
        print(f"{name}: {str(error)[:200]}", file=sys.stderr)

"""MODEL WIDTH HEIGHT ROUNDS; BGR frames on standard input. Prints a line for each peer: its name and its median."""
import sys
import time

model, width, height, rounds = sys.argv[1], *map(int, sys.argv[2:])
try:
    import cv2
    import numpy as np
except ImportError as error:
    sys.exit(f"no peers are measured: {error}")
data = np.frombuffer(sys.stdin.buffer.read(), np.uint8)
frames = data.reshape(-1, height, width, 3)


def median(work):
    times = []
    for i in range(rounds + 2):
        started = time.perf_counter()
        work(frames[i % len(frames)])
        times.append(time.perf_counter() - started)
    return sorted(times[2:])[rounds // 2] * 1e3


def picture(tensor):
    """Planar RGB 0..1 to BGR bytes."""
    planes = np.clip(tensor[0] * 255 + 0.5, 0, 255).astype(np.uint8)
    return cv2.cvtColor(planes.transpose(1, 2, 0), cv2.COLOR_RGB2BGR)


try:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def with_onnxruntime(frame):
        blob = cv2.dnn.blobFromImage(frame, 1 / 255, swapRB=True)
        return picture(session.run(None, {name: blob})[0])

    print("OpenCV + onnxruntime", median(with_onnxruntime), flush=True)
except Exception as error:
    print(f"onnxruntime: {error}", file=sys.stderr)

try:
    net = cv2.dnn.readNetFromONNX(model)

    def with_dnn(frame):
        net.setInput(cv2.dnn.blobFromImage(frame, 1 / 255, swapRB=True))
        return picture(net.forward())

    print("OpenCV DNN", median(with_dnn), flush=True)
except Exception as error:
    print(f"OpenCV DNN: {str(error)[:200]}", file=sys.stderr)

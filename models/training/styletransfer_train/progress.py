"""A progress bar on one line of standard error: share, speed, time left and the losses."""
import sys
import time


class Progress:
    """Rewrites its line on a terminal at most ten times a second; elsewhere prints a line every half minute."""

    def __init__(self, steps, first):
        self.steps, self.first = steps, first
        self.started = time.time()
        self.shown = 0.0
        self.terminal = sys.stderr.isatty()

    def show(self, step, losses):
        now = time.time()
        if now - self.shown < (0.1 if self.terminal else 30) and step != self.steps:
            return
        self.shown = now
        seconds = (now - self.started) / max(step - self.first, 1)
        left = int(seconds * (self.steps - step))
        filled = 20 * step // self.steps
        bar = "#" * filled + "." * (20 - filled)
        values = " ".join(f"{k} {v:.3f}" for k, v in losses.items())
        text = f"[{bar}] {step}/{self.steps} {seconds:.2f} s a step, {left // 60}:{left % 60:02} left  {values}"
        sys.stderr.write(f"\r{text}\x1b[K" if self.terminal else f"{text}\n")
        sys.stderr.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.terminal:
            sys.stderr.write("\n")

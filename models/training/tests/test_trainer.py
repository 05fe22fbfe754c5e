"""The trainer from end to end, small: a random VGG16 of few channels, four photos, 20 steps, the Rust element."""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

from styletransfer_train import measures, runner, wasserstein  # noqa: E402
from styletransfer_train.checkpoints import checkpoint_of  # noqa: E402
from styletransfer_train.clips import read_clip, read_raw  # noqa: E402
from styletransfer_train.data import open_picture, to_image  # noqa: E402
from styletransfer_train.equalize import equalize  # noqa: E402
from styletransfer_train.export import save  # noqa: E402
from styletransfer_train.generator import SIZES, Generator  # noqa: E402
from styletransfer_train.imported import generator_of  # noqa: E402
from styletransfer_train.quantize import one_style  # noqa: E402
from styletransfer_train.motion import MAX_SHIFT, Pair  # noqa: E402
from styletransfer_train.perceptual import Vgg16  # noqa: E402
from styletransfer_train.recipes import Perceptual, lost_tones, relief  # noqa: E402
from styletransfer_train.style_adam import StyleAdam  # noqa: E402

CHANNELS = {1: 4, 2: 8, 3: 8, 4: 8, 5: 8}
FAST = ["--crop", "96", "--painting-size", "256", "--save-every", "4", "--log-every", "1", "--sheet-every", "0", "--warmup", "2"]


def command(*arguments):
    return [sys.executable, "-W", "ignore", "-m", "styletransfer_train", *map(str, arguments)]


def trainer(*arguments, check=True):
    done = subprocess.run(command(*arguments), cwd=HERE, capture_output=True, text=True)
    if check and done.returncode:
        raise AssertionError(done.stderr)
    return done


def losses(folder):
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def write_vgg(path):
    rng = np.random.default_rng(1)
    arrays, cin = {}, 3
    for block, count in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3)):
        for j in range(1, count + 1):
            cout = CHANNELS[block]
            arrays[f"conv{block}_{j}.weight"] = (rng.standard_normal((cout, cin, 3, 3)) * (2 / (cin * 9)) ** 0.5).astype(np.float16)
            arrays[f"conv{block}_{j}.bias"] = np.zeros(cout, np.float16)
            cin = cout
    np.savez(path, **arrays)


class TrainerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.scratch.name)
        cls.photos = cls.folder / "photos"
        cls.photos.mkdir()
        source = Image.open(ROOT / "assets/original.jpg").convert("RGB")
        width, height = source.size
        for i in range(4):
            half = (i % 2 * width // 2, i // 2 * height // 2)
            source.crop((*half, half[0] + width // 2, half[1] + height // 2)).resize((400, 300)).save(cls.photos / f"{i}.jpg")
        cls.vgg = cls.folder / "vgg.npz"
        write_vgg(cls.vgg)
        cls.paintings = [cls.folder / "wave.jpg", cls.folder / "dark.png"]
        painting = Image.open(ROOT / "assets/great-wave.jpg").convert("RGB").resize((400, 300))
        painting.save(cls.paintings[0])
        painting.point(lambda v: v // 3).save(cls.paintings[1])
        cls.two = cls.train("two", "--steps", 20)
        cls.model = cls.folder / "two.onnx"
        trainer("export", cls.two / "checkpoint.pt", cls.model, "--painting", "The wave", "The dark one")

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def arguments(cls, out, *more):
        return ["train", "--photos", cls.photos, "--vgg", cls.vgg, "--out", cls.folder / out, "--painting", *cls.paintings, *FAST, *more]

    @classmethod
    def train(cls, out, *more):
        trainer(*cls.arguments(out, *more))
        return cls.folder / out

    def test_a_small_generator_grows_into_a_large_one_and_paints_the_same(self):
        torch.manual_seed(3)
        small, large = Generator(styles=2, **SIZES["live"]), Generator(styles=2, **SIZES["fine"])
        with torch.no_grad():
            for parameter in small.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        large.start_from(small.state_dict())
        x, mix = torch.rand(1, 3, 48, 64), torch.tensor([[0.3, 0.7]])
        with torch.no_grad():
            wanted, painted = small.eval()(x, mix), large.eval()(x, mix)
        self.assertLess(float((wanted - painted).abs().max()), 1e-4)
        self.assertGreater(float(wanted.std()), 0.01)
        with self.assertRaisesRegex(SystemExit, "--start: 'down1.weight'.*only room"):
            small.start_from(large.state_dict())

    def test_styles_start_from_those_of_the_same_name(self):
        torch.manual_seed(5)
        one, other = Generator(styles=2, **SIZES["live"]), Generator(styles=3, **SIZES["live"])
        with torch.no_grad():
            for parameter in one.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        other.start_from(one.state_dict(), [1, None, 0])
        x = torch.rand(1, 3, 48, 64)
        with torch.no_grad():
            of = lambda generator, *mix: generator.eval()(x, torch.tensor([mix]))
            for mix, wanted in (((1.0, 0, 0), (0, 1.0)), ((0, 1.0, 0), (0.5, 0.5)), ((0, 0, 1.0), (1.0, 0))):
                limit = 1e-4 if 1.0 in wanted else 1e-2  # means of gains and of differences, not of their products
                self.assertLess(float((of(other, *mix) - of(one, *wanted)).abs().max()), limit, mix)

    def test_strided_kernels_of_four_taps_become_three_and_even_ground_stays(self):
        torch.manual_seed(4)
        four, three = Generator(styles=2, **{**SIZES["live"], "kernel": 4}), Generator(styles=2, **SIZES["live"])
        with torch.no_grad():
            for parameter in four.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        three.start_from(four.state_dict())
        x, mix = torch.full((1, 3, 128, 128), 0.3), torch.tensor([[0.3, 0.7]])
        with torch.no_grad():
            wanted, painted = four.eval()(x, mix), three.eval()(x, mix)
        self.assertLess(float((wanted - painted)[:, :, 60:68, 60:68].abs().max()), 1e-5)
        # `trim` teaches the smaller one what the larger one paints.
        larger, smaller = self.folder / "four.onnx", self.folder / "three.onnx"
        save(four, str(larger), generator_of(self.model)[1], "resize")
        trainer("trim", larger, smaller, "--size", "live", "--photos", self.photos, "--steps", 2, "--crop", 96, "--batch", 4)
        self.assertEqual([generator_of(f)[0].config["kernel"] for f in (larger, smaller)], [4, 3])
        refused = trainer("trim", ROOT / "models/fine.onnx", smaller, "--size", "live", "--photos", self.photos, check=False)
        self.assertIn("--size: 'down1.weight'", refused.stderr)

    def test_frozen_shared_weights_stay_and_those_of_the_styles_learn(self):
        before = generator_of(self.model)[0].state_dict()
        run = self.train("refined", "--steps", 2, "--start", self.model, "--freeze-shared")
        after = checkpoint_of(run / "checkpoint.pt")["generator"]
        changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
        self.assertEqual(changed, {name for name in before if ".style_" in name and not name.startswith("up1.")})

    def test_an_exported_model_is_read_back_and_trained_on(self):
        import onnxruntime

        session = onnxruntime.InferenceSession(str(self.model), providers=["CPUExecutionProvider"])
        generator = generator_of(self.model)[0].eval()
        x, mix = torch.rand(1, 3, 48, 64), torch.tensor([[0.3, 0.7]])
        wanted = session.run(None, {"image": x.numpy(), "style_weights": mix.numpy()})[0]
        with torch.no_grad():
            self.assertLess(float(abs(generator(x, mix).numpy() - wanted).max()), 1e-4)
        # Started from, and hardly moved, it paints nearly what the file paints.
        run = self.train("again", "--steps", 1, "--start", self.model, "--frozen-share", 1, "--learning-rate", 1e-5)
        generator.load_state_dict(checkpoint_of(run / "checkpoint.pt")["generator"])
        with torch.no_grad():
            self.assertLess(float(abs(generator(x, mix).numpy() - wanted).max()), 1e-2)
        foreign = trainer(*self.arguments("foreign", "--start", ROOT / "models/fine.onnx", "--size", "live"), check=False)
        self.assertIn("only room", foreign.stderr)

    def test_both_tails_paint_the_same_and_an_exported_file_is_written_anew(self):
        import onnx
        import onnxruntime

        wide, other, again = (self.folder / f"{name}.onnx" for name in ("wide", "sub-pixel", "again"))
        trainer("export", self.two / "checkpoint.pt", wide, "--margin", 44, "--painting", "The wave", "The dark one")
        trainer("export", wide, other, "--tail", "sub-pixel", "--margin", 40, "--license", "MIT")
        trainer("export", other, again, "--margin", 44)
        files = [wide, other, again]
        x, mix = torch.rand(1, 3, 48, 64).numpy(), np.array([[0.3, 0.7]], np.float32)
        sessions = [onnxruntime.InferenceSession(str(f), providers=["CPUExecutionProvider"]) for f in files]
        painted = [s.run(None, {"image": x, "style_weights": mix})[0] for s in sessions]
        self.assertLess(abs(painted[0] - painted[2]).max(), 1e-5)
        inside = [p[:, :, 8:-8, 8:-8] for p in painted]
        self.assertLess(abs(inside[0] - inside[1]).max(), 1e-2, "the margin differs a little")
        models = [onnx.load(f) for f in files]
        shuffles = [sum(n.op_type == "DepthToSpace" for n in m.graph.node) for m in models]
        self.assertEqual(shuffles, [0, 2, 0])
        metadata = [{p.key: p.value for p in m.metadata_props} for m in models]
        self.assertEqual([m["styletransfer.license"] for m in metadata], ["CC0-1.0", "MIT", "MIT"])
        self.assertEqual(metadata[0], {**metadata[2], "styletransfer.license": "CC0-1.0"})
        self.assertEqual(metadata[1]["styletransfer.margin"], "40")
        for model, said, picture in zip(models, metadata, painted):
            name, crop = said["styletransfer.sub-pixel"].rsplit(",", 1)
            model.graph.output.append(onnx.ValueInfoProto(name=name))
            session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            planes = session.run([name], {"image": x, "style_weights": mix})[0]
            shuffled = torch.pixel_shuffle(torch.from_numpy(planes), 2)[:, :, int(crop):-int(crop), int(crop):-int(crop)]
            self.assertLess(float(abs(shuffled.numpy() - picture).max()), 1e-5, "what is before the last steps")
        half = trainer("export", self.model, again, "--average", other, 0.5)
        self.assertIn("640x360", half.stdout)
        for wrong, word in (((ROOT / "models/live.onnx", 0.5), "style_"), ((other, 2), "from 0 to 1")):
            self.assertIn(word, trainer("export", self.model, again, "--average", *wrong, check=False).stderr)
        refused = trainer("export", self.two / "checkpoint.pt", again, check=False)
        self.assertIn("--painting", refused.stderr)

    def test_the_styles_of_the_exported_model_run_in_the_element(self):
        plugin = os.environ.get("STYLETRANSFER_PLUGIN_PATH")
        if not plugin:
            self.skipTest("STYLETRANSFER_PLUGIN_PATH does not name the folder of the built plugin")
        painted = []
        for style in ("wave", "dark", "wave:0.5,dark:0.5"):
            out = self.folder / "painted.rgb"
            line = f"videotestsrc num-buffers=1 ! video/x-raw,format=RGB,width=160,height=92 ! styletransfer model-file={self.model} style={style} ! filesink location={out}"
            subprocess.run(["gst-launch-1.0", "-q", *line.split()], check=True, env={**os.environ, "GST_PLUGIN_PATH": plugin}, capture_output=True)
            painted.append(np.frombuffer(out.read_bytes(), np.uint8).astype(int))
        self.assertEqual(painted[0].size, 160 * 92 * 3)
        self.assertGreater(abs(painted[0] - painted[1]).mean(), 0.5, "the styles look the same")
        self.assertLess(abs(painted[2] - (painted[0] + painted[1]) / 2).mean(), abs(painted[0] - painted[1]).mean())

    def test_a_file_tells_whether_there_is_a_way_past_the_trunk(self):
        self.assertTrue(generator_of(ROOT / "models/van-gogh.onnx")[0].skip)
        self.assertFalse(generator_of(self.model)[0].skip)

    def test_pictures_of_any_kind_are_read(self):
        rng = np.random.default_rng(3)
        pixels = rng.integers(0, 255, (40, 60, 3), np.uint8)
        plain, folder = Image.fromarray(pixels), self.folder
        plain.save(folder / "a.png")
        turned = Image.Exif()
        turned[0x0112] = 6
        plain.save(folder / "turned.png", exif=turned)
        clear = plain.convert("RGBA")
        clear.putalpha(Image.fromarray(np.where(np.arange(60) < 30, 255, 0).astype(np.uint8)[None].repeat(40, 0)))
        clear.save(folder / "clear.png")
        plain.quantize(64).save(folder / "moving.gif", save_all=True, append_images=[plain.point(lambda v: 255 - v).quantize(64)])
        plain.convert("CMYK").save(folder / "print.jpg", quality=95)
        plain.convert("L").save(folder / "grey.tif")
        self.assertEqual(open_picture(folder / "turned.png").size, (40, 60))
        read = np.asarray(open_picture(folder / "clear.png"), int)
        self.assertTrue((read[:, 30:] == 255).all() and (read[:, :30] == pixels[:, :30]).all())
        self.assertLess(abs(np.asarray(open_picture(folder / "moving.gif"), int) - pixels).mean(), 30)
        self.assertLess(abs(np.asarray(open_picture(folder / "print.jpg"), int) - pixels).mean(), 30)
        self.assertEqual(open_picture(folder / "grey.tif").mode, "RGB")
        Image.new("1", (20000, 18000)).save(folder / "huge.png")
        with self.assertRaisesRegex(SystemExit, "huge.png: too large"):
            open_picture(folder / "huge.png")
        (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:60])
        with self.assertRaisesRegex(SystemExit, "broken.png: not a readable"):
            open_picture(folder / "broken.png")

    def learn(self, picture, out, *more, check=True):
        return trainer("learn", picture, out, "--vgg", self.vgg, "--base", self.model, "--crop", 96, *more, check=check)

    def test_a_style_of_ones_own_is_learned_and_goes_on(self):
        import onnx
        from onnx import numpy_helper

        style, model = self.folder / "dusk.style", self.folder / "dusk.onnx"
        first = self.learn(self.paintings[1], style, "--minutes", 0.1)
        self.assertIn("starts from", first.stdout)
        rows = {i.name: numpy_helper.to_array(i) for i in onnx.load(style).graph.initializer}
        again = self.learn(self.paintings[1], style, "--minutes", 0.2)
        self.assertIn("goes on", again.stdout)
        more = {i.name: numpy_helper.to_array(i) for i in onnx.load(style).graph.initializer}
        self.assertTrue(any(not np.array_equal(rows[name], more[name]) for name in rows), "nothing was learned")
        self.assertLess(style.stat().st_size, 60_000)
        self.assertEqual(Image.open(self.folder / "dusk.style.learning/preview.jpg").height, 360)
        # The model of that style alone: nothing that all styles share has changed.
        self.learn(self.paintings[1], model, "--minutes", 0.1, "--start", "wave", "--name", "late")
        known = {p.key: p.value for p in onnx.load(model).metadata_props}
        self.assertEqual(known["styletransfer.styles"], "late")
        shared = lambda file: numpy_helper.to_array(next(i for i in onnx.load(file).graph.initializer if i.name == "blocks.1.0.depthwise.weight"))
        self.assertTrue(np.array_equal(shared(model), shared(self.model)))
        small = self.folder / "small.png"
        Image.open(self.paintings[0]).resize((90, 64)).save(small)
        self.assertIn("enlarged", self.learn(small, self.folder / "small.style", "--minutes", 0.05).stdout)
        Image.new("RGB", (20, 20)).save(self.folder / "dot.png")
        Image.new("RGB", (3000, 300)).save(self.folder / "line.png")
        for wrong, word in (
            ((self.paintings[1], self.folder / "dusk.png"), "NAME.style"),
            ((self.paintings[1], style, "--start", "mauve"), "wave, dark"),
            ((self.folder / "nowhere.jpg", self.folder / "x.style"), "nowhere.jpg"),
            ((self.paintings[1], self.folder / "a,b.style"), "'a,b'"),
            ((self.paintings[0], style), "dark.png as the picture"),
            ((self.folder / "dot.png", self.folder / "x.style"), "too small"),
            ((self.folder / "line.png", self.folder / "x.style"), "more than 8 times"),
        ):
            self.assertIn(word, self.learn(*wrong, check=False).stderr)

    def test_a_learned_style_plays_in_the_element(self):
        plugin = os.environ.get("STYLETRANSFER_PLUGIN_PATH")
        if not plugin:
            self.skipTest("STYLETRANSFER_PLUGIN_PATH does not name the folder of the built plugin")
        style = self.folder / "own.style"
        self.learn(self.paintings[1], style, "--minutes", 0.05, "--start", "wave")
        checkpoint = checkpoint_of(self.folder / "own.style.learning/checkpoint.pt")
        generator = Generator(**checkpoint["config"]).eval()
        generator.load_state_dict(checkpoint["generator"])
        photo = Image.open(self.photos / "0.jpg").resize((160, 92))
        source, out = self.folder / "own.png", self.folder / "own.rgb"
        photo.save(source)
        line = f"filesrc location={source} ! pngdec ! videoconvert ! video/x-raw,format=RGB ! styletransfer model-file={self.model} style-file={style} style=own temporal-smoothing=0 ! filesink location={out}"
        subprocess.run(["gst-launch-1.0", "-q", *line.split()], check=True, env={**os.environ, "GST_PLUGIN_PATH": plugin}, capture_output=True)
        played = np.frombuffer(out.read_bytes(), np.uint8).reshape(92, 160, 3).astype(int)
        with torch.no_grad():
            x = torch.from_numpy(np.asarray(photo, np.float32).transpose(2, 0, 1) / 255)[None]
            wanted = np.asarray(to_image(generator(x, torch.ones(1, 1))[0]), int)
        self.assertLess(abs(played - wanted).mean(), 1.0)

    def test_a_killed_run_goes_on_with_the_same_losses(self):
        arguments = command(*self.arguments("killed", "--steps", 20))
        process = subprocess.Popen(arguments, cwd=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        log, deadline = self.folder / "killed/log.jsonl", time.time() + 120
        while not (log.exists() and len(log.read_text().splitlines()) >= 6):
            self.assertLess(time.time(), deadline, "no progress")
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertLess(len(losses(self.folder / "killed")), 20, "it was done before it was killed")
        self.assertIn("resumed", trainer(*self.arguments("killed", "--steps", 20)).stdout)
        self.assertEqual(losses(self.folder / "killed"), losses(self.two))

    def test_the_gan_recipe_trains_resumes_and_exports(self):
        more = ["--recipe", "gan", "--name", "both", "--steps"]
        run = self.train("gan", *more, 6)
        self.train("gan", *more, 8)
        self.assertEqual([line["step"] for line in losses(run)], list(range(1, 9)))
        self.assertIn("adversarial", losses(run)[-1])
        self.assertIn("640x360", trainer("export", run / "checkpoint.pt", self.folder / "gan.onnx", "--painting", "Two pictures").stdout)

    def test_everything_has_a_smoke_version(self):
        data = self.folder / "data"
        (data / "styles").mkdir(parents=True)
        (data / "photos").symlink_to(self.photos)
        from styletransfer_train.everything import SMOKE, STYLES

        for name in [*STYLES.values(), "vangogh_a.jpg"]:
            Image.open(self.paintings[0]).resize((600, 450)).save(data / "styles" / name)
        trainer("everything", "--data", data, "--vgg", self.vgg, "--out", self.folder / "all", "--smoke")
        for name in SMOKE:
            self.assertTrue((self.folder / "all" / name / "checkpoint.pt").exists(), name)

    def test_evaluate_writes_a_table_and_json(self):
        out = self.folder / "numbers.json"
        models = [f"{self.model}?style={style}&painting={painting}" for style, painting in zip(("wave", "dark"), self.paintings)]
        hung = self.folder / "hung"
        hung.mkdir()
        for painting in self.paintings:
            shutil.copy(painting, hung)
        done = trainer("evaluate", *models, "--photos", self.photos / "0.jpg", "--paintings", hung, "--vgg", self.vgg, "--rounds", 1, "--json", out)
        rows = json.loads(out.read_text())
        self.assertEqual(len(rows), 2)
        self.assertIn("| two wave |", done.stdout)
        self.assertEqual(rows[0]["least_gain"], min(g for name, g in rows[0]["gain_by_layer"].items() if name != "rgb"))
        self.assertTrue(1 <= rows[0]["rank"] <= 3)
        self.assertAlmostEqual(rows[0]["gmac"], 0.79, delta=0.01)

    def test_trim_brings_the_border_near_to_that_of_a_wide_margin(self):
        import onnxruntime

        shipped = ROOT / "models/van-gogh.onnx"
        wide, narrow, trimmed = (self.folder / f"{name}.onnx" for name in ("wide", "narrow", "trimmed"))
        trainer("export", shipped, wide, "--margin", 48)
        trainer("export", shipped, narrow, "--margin", 4)
        trainer("trim", shipped, trimmed, "--photos", self.photos, "--margin", 4, "--steps", 60, "--learning-rate", 1e-3, "--crop", 96, "--batch", 4)
        x = np.asarray(Image.open(self.photos / "0.jpg"), np.float32).transpose(2, 0, 1)[None] / 255
        paint = lambda file: onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(None, {"image": x})[0]
        wanted = paint(wide)
        off = [abs(paint(file) - wanted)[:, :, :8].mean() for file in (narrow, trimmed)]
        self.assertLess(off[1], 0.8 * off[0])
        self.assertLess(abs(paint(trimmed) - wanted).mean(), 0.03)

    def test_quantize_checks_its_result(self):
        import onnx

        out = self.folder / "int8.onnx"
        given = ["quantize", self.model, out, "--style", "dark", "--photos", self.photos, "--crop", 64, "--pictures", 8, "--steps", 3]
        self.assertIn("mean difference", trainer(*given, "--limit", 30).stdout)
        self.assertLess(out.stat().st_size, self.model.stat().st_size)
        written = onnx.load(out)
        whole = [i for i in written.graph.initializer if i.data_type == onnx.TensorProto.INT8 and len(i.dims) == 4]
        self.assertEqual(len(whole), sum(n.op_type == "Conv" for n in written.graph.node))
        self.assertEqual({p.key: p.value for p in written.metadata_props}["styletransfer.styles"], "dark")
        refused = trainer(*given, "--limit", 0, check=False)
        self.assertIn("strays", refused.stderr)

    def test_equalised_channels_paint_the_same_picture(self):
        folded, _ = one_style(self.model, "wave")
        x = torch.rand(1, 3, 48, 64)
        with torch.no_grad():
            wanted = folded(x)
            before = folded.down1.weight.clone()
            equalize(folded, [x])
            self.assertLess(float((folded(x) - wanted).abs().max()), 1e-4)
        self.assertGreater(float((folded.down1.weight - before).abs().max()), 1e-3)

    def test_bad_input_is_refused_by_name(self):
        broken = self.folder / "broken.jpg"
        broken.write_text("not a picture")
        small = self.folder / "small.png"
        Image.new("RGB", (300, 200)).save(small)
        empty = self.folder / "empty"
        empty.mkdir(exist_ok=True)
        given = {"--photos": self.photos, "--vgg": self.vgg, "--painting": self.paintings[0], "--out": self.folder / "bad"}
        for key, value, words in (
            ("--painting", broken, ["broken.jpg", "not a readable picture"]),
            ("--painting", small, ["small.png", "256", "200"]),
            ("--photos", empty, ["empty", "no pictures"]),
            ("--photos", self.folder / "nowhere", ["nowhere", "not a folder"]),
            ("--vgg", broken, ["broken.jpg"]),
            ("--held-out", "moon.jpg", ["moon.jpg"]),
            ("--crop", "97", ["--crop", "97"]),
            ("--name", "a b", ["--name"]),
            ("--content-weight", "0.5 0.6", ["--content-weight", "each of 1 style"]),
        ):
            arguments = {**given, key: value}
            flat = [part for k, v in arguments.items() for part in (k, *str(v).split(" "))]
            done = trainer("train", *flat, check=False)
            self.assertNotEqual(done.returncode, 0, words)
            self.assertNotIn("Traceback", done.stderr)
            for word in words:
                self.assertIn(word, done.stderr)

    def test_a_checkpoint_that_would_run_code_is_refused(self):
        class Runs:
            def __reduce__(self):
                return os.makedirs, (str(self.folder / "made"),)

        object_with_code = Runs()
        object_with_code.folder = self.folder
        torch.save({"generator": object_with_code}, self.folder / "evil.pt")
        done = trainer("export", self.folder / "evil.pt", self.folder / "out.onnx", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("evil.pt", done.stderr)
        self.assertFalse((self.folder / "made").exists())


class MotionTest(unittest.TestCase):
    def test_the_second_view_is_the_first_one_carried_along(self):
        torch.manual_seed(1)
        smooth = torch.nn.functional.interpolate(torch.rand(2, 3, 20, 20), size=96 + 2 * MAX_SHIFT, mode="bicubic", align_corners=False)
        for seed in range(12):
            pair = Pair(smooth.clamp(0.2, 0.8), 96, random.Random(seed))
            self.assertGreater(float(pair.mask.mean()), 0.15)
            # Sensor noise of at most 0.03 and a change of brightness of at most 0.02 remain.
            self.assertLess(float(pair.error(pair.first, pair.second)), 0.0025, seed)


class GainTest(unittest.TestCase):
    """A smooth photo; a painting of vertical stripes in two colours."""

    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            write_vgg(Path(folder) / "vgg.npz")
            cls.vgg = Vgg16(Path(folder) / "vgg.npz")
            stripes = torch.tensor([[0.9, 0.2, 0.1], [0.1, 0.3, 0.8]]).T.repeat_interleave(8, 1).repeat(1, 24)
            cls.painting = stripes[None, :, None].expand(1, 3, 320, 384).contiguous()
            to_image(cls.painting[0]).save(Path(folder) / "stripes.png")
            cls.target = wasserstein.Target(cls.vgg, [Path(folder) / "stripes.png"], [320], 96, "cpu")
        torch.manual_seed(2)
        cls.photo = torch.nn.functional.interpolate(torch.rand(1, 3, 4, 5), size=(192, 240), mode="bicubic", align_corners=False).clamp(0, 1)
        cls.half = (cls.photo + cls.painting[:, :, :192, :240]) / 2
        cls.gain = measures.Gain(cls.vgg)

    def profiles(self, *pictures):
        return [self.gain.profile(p) for p in pictures]

    def distance(self, x, target):
        return target.distance(wasserstein.compared(self.vgg(x)))

    def test_gain_is_nothing_for_the_photo_and_one_for_the_painting(self):
        photo, half, painting = self.profiles(self.photo, self.half, self.painting)
        of = lambda stylized: self.gain([photo], [stylized], painting)
        self.assertEqual(list(of(photo).values()), [0.0] * 5)
        self.assertEqual(list(of(painting)), ["rgb", "relu1_2", "relu2_2", "relu3_3", "relu4_3"])
        self.assertTrue(all(g == 1 for g in of(painting).values()))
        self.assertTrue(all(0 < g < 1 for g in of(half).values()), of(half))

    def test_distance_is_that_of_sorted_projections(self):
        photo, painting = self.profiles(self.photo, self.painting)
        generator = torch.Generator().manual_seed(0)
        directions = torch.nn.functional.normalize(torch.randn(128, 3, generator=generator), dim=1)
        ordered = [(directions @ x[0].flatten(1)).sort(1).values for x in (self.photo, self.painting)]
        a, b = (o[:, torch.linspace(0, o.shape[1] - 1, 256).long()] for o in ordered)
        wanted = ((a - b) ** 2).mean() / ordered[1].var(1).mean()
        self.assertAlmostEqual(self.gain.distance(photo, painting)[0], float(wanted), places=4)

    def test_rank_counts_the_paintings_that_are_nearer(self):
        photo, half, painting = self.profiles(self.photo, self.half, self.painting)
        self.assertEqual(self.gain.rank(half, painting, [photo.copy()]), 1 + (self.gain.distance(half, photo)[1:].mean() <= self.gain.distance(half, painting)[1:].mean()))
        self.assertEqual(self.gain.rank(painting, painting, [photo]), 1)
        self.assertEqual(self.gain.rank(photo, painting, [photo]), 2)

    def test_a_part_of_a_painting_is_nearer_to_it_than_a_photo(self):
        torch.manual_seed(1)
        texture = torch.nn.functional.interpolate(torch.rand(1, 3, 40, 48), size=(320, 384), mode="bicubic", align_corners=False)
        texture = texture.clamp(0, 1) * torch.tensor([0.9, 0.3, 0.2]).view(1, 3, 1, 1)
        with tempfile.TemporaryDirectory() as folder:
            to_image(texture[0]).save(Path(folder) / "texture.png")
            target = wasserstein.Target(self.vgg, [Path(folder) / "texture.png"], [320], 96, "cpu")
        part, photo = (float(self.distance(x[:, :, 40:136, 40:136], target)) for x in (texture, self.photo))
        self.assertLess(part, 0.5 * photo)

    def test_a_hue_counts_as_much_as_lightness(self):
        torch.manual_seed(1)
        grey = torch.rand(1, 1, 96, 96).expand(1, 3, 96, 96)
        painting = grey.clone()
        painting[:, 2] += 0.05 * torch.randn(96, 96)
        vectors = painting[0].flatten(1)
        share = lambda x: float(torch.linalg.eigvalsh(torch.cov(x))[-2:].min() / torch.linalg.eigvalsh(torch.cov(x)).max())
        self.assertLess(share(vectors), 0.02)
        self.assertGreater(share(wasserstein._whitening(vectors) @ vectors), 4 * share(vectors))

    def test_only_the_styles_of_a_batch_move_and_as_adam_moves_them(self):
        rng = torch.Generator().manual_seed(4)
        table, alone = (torch.nn.Parameter(torch.zeros(3, 5)) for _ in range(2))
        ours = StyleAdam([{"params": [table], "lr": 0.1}])
        theirs = torch.optim.Adam([alone], lr=0.1, betas=(0.8, 0.98))
        for step in range(6):
            gradient = torch.randn(3, 5, generator=rng)
            table.grad, alone.grad = gradient.clone(), gradient.clone()
            table.grad[2] = 0
            ours.step([1, 0, 1])
            theirs.step()
        self.assertTrue(torch.allclose(table[:2], alone[:2], atol=1e-6))
        self.assertFalse(table[2].any(), "a style that is not there has moved")

    def test_content_weights_are_steered_to_the_goal(self):
        args = SimpleNamespace(content_goal=2.0, content_weight=[0.3])
        recipe = Perceptual.__new__(Perceptual)
        recipe.args, recipe.content_seen, recipe.steering = args, [2.0, 2.0], [1.0, 1.0]
        for _ in range(100):
            recipe._steer([0, 1], torch.tensor([3.0, 1.0]))
        self.assertGreater(recipe.steering[0], 2.0)
        self.assertLess(recipe.steering[1], 0.5)

    def test_tones_are_lost_where_dark_and_light_change_places(self):
        photo = torch.linspace(0, 1, 96).view(1, 1, 1, 96).expand(2, 3, 96, 96)
        self.assertLess(float(lost_tones(0.3 + 0.2 * photo, photo)), 0.01)
        self.assertGreater(float(lost_tones(1 - photo, photo)), 1.9)
        self.assertAlmostEqual(float(lost_tones(torch.full_like(photo, 0.5), photo)), 1.0, places=3)

    def test_an_embossed_picture_is_a_relief(self):
        embossed = 0.5 + 3 * (self.photo[:, :, :, 2:] - self.photo[:, :, :, :-2])
        photo = self.photo[:, :, :, 1:-1]
        self.assertGreater(float(relief(embossed, photo)), 0.1)
        self.assertLess(float(relief(1 - photo, photo)), 0.2 * float(relief(embossed, photo)))

    def test_its_gradient_leads_there(self):
        torch.manual_seed(1)
        x = self.photo[:, :, :96, :96].clone().requires_grad_()
        optimizer = torch.optim.Adam([x], lr=0.02)
        values = []
        for _ in range(15):
            loss = self.distance(x, self.target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            values.append(float(loss.detach()))
        self.assertLess(values[-1], 0.6 * values[0])


class MeasuresTest(unittest.TestCase):
    def setUp(self):
        generator = torch.Generator().manual_seed(3)
        noise = torch.rand(1, 3, 160, 224, generator=generator)
        self.picture = 0.3 + 0.4 * torch.nn.functional.avg_pool2d(noise, 5, 1, 2)
        self.places = measures.flat_patches(self.picture)

    def test_a_lattice_shows_in_the_grid_score(self):
        painted = self.picture.clone()
        painted[:, :, ::4, ::4] += 0.02
        plain = measures.grid_energy(self.picture, self.places)
        self.assertGreater(measures.grid_energy(painted, self.places), 2 * plain)
        self.assertAlmostEqual(plain, measures.grid_energy(self.picture + 0.1, self.places), places=3)

    def test_a_line_along_the_edge_shows_in_the_border_score(self):
        painted = self.picture.clone()
        painted[:, :, 2] += 0.1
        self.assertGreater(measures.border_energy([painted]), 1.2 * measures.border_energy([self.picture]))

    def test_where_the_subject_stands_does_not_show_in_the_border_score(self):
        picture = 0.5 + 0.02 * (torch.rand(1, 3, 384, 640) - 0.5)
        picture[:, :, 100:284, 160:480] += 0.3 * (torch.rand(1, 3, 184, 320) - 0.5)
        self.assertLess(measures.border_energy([picture]), 0.1)
        self.assertAlmostEqual(measures.border_energy(measures.windows(picture)), 1, delta=0.15)

    def test_warping_error_follows_the_motion(self):
        try:
            import cv2  # noqa: F401
        except ImportError:
            self.skipTest("OpenCV is not installed")
        texture = torch.nn.functional.interpolate(torch.rand(1, 3, 40, 60), size=(160, 240), mode="bicubic", align_corners=False).clamp(0, 1)
        frames = [texture[:, :, :, i : i + 200] for i in range(0, 20, 4)]
        still = [frames[0]] * 5
        motion = measures.motion(frames)
        self.assertLess(measures.warping_error(motion, frames), 0.002)
        self.assertGreater(measures.warping_error(motion, still), 10 * measures.warping_error(motion, frames))


class CompareTest(unittest.TestCase):
    """A pan; a painting of it that flickers; one of half the flicker; and a blurred one."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        generator = torch.Generator().manual_seed(5)
        noise = lambda *shape: torch.rand(1, 3, *shape, generator=generator)
        texture = torch.nn.functional.interpolate(noise(30, 40), size=(120, 160), mode="bicubic", align_corners=False).clamp(0.1, 0.9)
        pan = [texture[:, :, :96, i : i + 128] for i in range(0, 18, 3)]
        flicker = [0.2 * (noise(1, 1) - 0.5) for _ in pan]
        raw = [f + e for f, e in zip(pan, flicker)]
        films = {
            "input": pan,
            "raw": raw,
            "half": [f + e / 2 for f, e in zip(pan, flicker)],
            "blurred": [torch.nn.functional.avg_pool2d(f, 3, stride=1, padding=1, count_include_pad=False) for f in raw],
        }
        for name, film in films.items():
            frames = [(f[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().numpy().tobytes() for f in film]
            (self.folder / f"{name}.rgb").write_bytes(b"".join(frames))
        write_vgg(self.folder / "vgg.npz")
        np.savez(self.folder / "lpips.npz", **{f"lin{i}": np.full(CHANNELS[i + 1], 0.1, np.float32) for i in range(5)})

    def compare(self, *names, size="128x96", more=(), check=True):
        given = [self.folder / f"{name}.rgb" for name in names]
        return trainer("compare", *given, "--size", size, "--json", self.folder / "out.json", *more, check=check)

    def test_a_film_against_its_reference(self):
        done = self.compare("raw", "half", "blurred", "input", more=["--vgg", self.folder / "vgg.npz", "--lpips", self.folder / "lpips.npz", "--every", 2])
        same, half, blurred, steady = json.loads((self.folder / "out.json").read_text())
        self.assertEqual((same["psnr"], same["sharpness"]), (None, 1.0))
        self.assertLess(same["lpips"], 1e-6)
        self.assertAlmostEqual(half["sharpness"], 1, delta=0.02)
        self.assertLess(blurred["sharpness"], 0.8)
        self.assertGreater(blurred["lpips"], 0.005)
        self.assertGreater(steady["lpips"], half["lpips"])
        self.assertTrue(25 < half["psnr"] < 40, half)
        self.assertIn("| blurred |", done.stdout)

    def test_gain_is_what_is_taken_off_the_flicker(self):
        try:
            import cv2  # noqa: F401
        except ImportError:
            self.skipTest("OpenCV is not installed")
        self.compare("raw", "half", more=["--of", self.folder / "input.rgb"])
        raw, half = json.loads((self.folder / "out.json").read_text())
        self.assertEqual(raw["gain"], 0)
        self.assertAlmostEqual(half["gain"], 0.75, delta=0.05)

    def test_what_does_not_fit_is_refused_by_name(self):
        (self.folder / "short.rgb").write_bytes((self.folder / "raw.rgb").read_bytes()[: 3 * 128 * 96])
        cases = [
            (("raw", "half"), "129x96", (), ("raw.rgb", "129x96", "--size")),
            (("raw", "half"), "large", (), ("--size", "'large'")),
            (("raw", "short"), "128x96", (), ("short.rgb", "1 frames", "6 frames")),
            (("raw", "half"), "128x96", ("--lpips", "lin.npz"), ("--vgg",)),
        ]
        for names, size, more, words in cases:
            done = self.compare(*names, size=size, more=more, check=False)
            self.assertNotEqual(done.returncode, 0, words)
            self.assertNotIn("Traceback", done.stderr)
            for word in words:
                self.assertIn(word, done.stderr)

    def test_a_video_is_read_as_raw_frames_are(self):
        if not shutil.which("ffmpeg"):
            self.skipTest("ffmpeg is not installed")
        raw, video = self.folder / "raw.rgb", self.folder / "raw.mkv"
        subprocess.run(["ffmpeg", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "128x96", "-i", raw, "-c:v", "ffv1", "-pix_fmt", "bgr0", video], check=True)
        for a, b in zip(read_raw(raw, (128, 96)), read_clip(video)):
            self.assertTrue(torch.equal(a, b))
        ten_bits = self.folder / "ten.mkv"
        subprocess.run(["ffmpeg", "-loglevel", "error", "-i", video, "-c:v", "ffv1", "-pix_fmt", "gbrp10le", ten_bits], check=True)
        deep = read_clip(ten_bits)
        self.assertEqual(len(deep), len(read_clip(video)))
        self.assertLess(float((deep[0] - read_clip(video)[0]).abs().max()), 0.005)


class MixTest(unittest.TestCase):
    def test_mixes_are_read_as_the_element_reads_them(self):
        self.assertEqual(runner.style_weights("b:3,a:1", ["a", "b"]).tolist(), [0.25, 0.75])
        self.assertEqual(runner.style_weights("", ["a", "b"]).tolist(), [1.0, 0.0])
        with self.assertRaises(SystemExit):
            runner.style_weights("c", ["a", "b"])


if __name__ == "__main__":
    unittest.main()

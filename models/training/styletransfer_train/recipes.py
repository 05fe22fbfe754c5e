"""The losses of the two recipes, as terms that `train` adds up. Each term is already weighted.

Perceptual: Johnson, Alahi and Fei-Fei 2016, for one or several paintings. GAN: a patch discriminator with least-squares
loss (Mao et al. 2017) against a set of paintings and a content loss, as CartoonGAN (Chen et al. 2018) does, and a style
loss against the set, as AnimeGAN (Chen et al. 2019) adds: without it this light generator changes colours and no strokes.
Both lay the colours of the paintings along the lightness of the photos (see `palette`).
"""
import torch
from torch import nn
from torch.nn import functional as F

from .data import Crops, load_painting, to_tensor
from .palette import Palette, Scale, lightness
from .perceptual import CONTENT_LAYER, GAN_CONTENT_LAYER, STYLE_LAYERS, content_loss, gram, style_loss

EDGE = 8
"""Pixels along the border that no loss sees: VGG pads with zeros and so rewards a bright line there."""


def interior(x):
    return x[:, :, EDGE:-EDGE, EDGE:-EDGE]


class Perceptual:
    """One style per painting; the pictures of a batch take turns through the styles."""

    def __init__(self, args, vgg, photos):
        self.args, self.vgg = args, vgg
        self.styles = len(args.painting)
        self.content_weights, self.flat_style = (_for_each(given, self.styles, args.device) for given in (args.content_weight, args.flat_style))
        paintings = [load_painting(path, args.painting_size) for path in args.painting]
        self.targets = _grams(paintings, vgg, args.device)
        self.palette = _palette([to_tensor(p)[None] for p in paintings], photos, args.device)

    def terms(self, photo, painted, style, _rng):
        features = self.vgg(interior(painted))
        with torch.no_grad():
            wanted = self.vgg(interior(photo), until=CONTENT_LAYER)
        return {
            "style": style_loss(features, {k: t[style] for k, t in self.targets.items()}, _something_to_paint(photo, self.flat_style[style])),
            "content": (self.content_weights[style] * content_loss(features[CONTENT_LAYER], wanted[CONTENT_LAYER])).mean(),
            **_colors(self.args, self.palette, painted, photo, style),
        }

    def state(self):
        return {}

    def load(self, _state):
        """Nothing of its own is trained."""


def _palette(paintings, photos, device):
    return Palette([p.to(device) for p in paintings], Scale(to_tensor(p)[None] for p in photos.images))


def _colors(args, palette, painted, photo, style):
    painted, photo = interior(painted), interior(photo)
    return {
        "palette": args.palette_weight * palette.color_loss(painted, photo, style),
        "tone": args.tone_weight * palette.tone_loss(painted, photo, style),
    }


def _for_each(given, styles, device):
    """`[styles]`, of one number or one for each."""
    return torch.tensor(given * (1 if len(given) > 1 else styles), device=device)


def _something_to_paint(photo, flat_style):
    """How much each pixel of the interior counts in the style loss, `[N, 1, H, W]`: even ground only that share, `[N]`, so
    that what the painting has of lines and dots need not be found there."""
    return 1 - (1 - flat_style.view(-1, 1, 1, 1)) * flatness(interior(photo))


def _grams(paintings, vgg, device):
    """{layer: `[paintings, C, C]`}"""
    with torch.no_grad():
        features = [vgg(to_tensor(p)[None].to(device)) for p in paintings]
    return {k: torch.cat([gram(f[k]) for f in features]) for k in STYLE_LAYERS}


class Gan:
    """One style from a set of paintings. The discriminator learns beside the generator."""

    styles = 1

    def __init__(self, args, vgg, photos):
        self.args, self.vgg = args, vgg
        self.flat_style = _for_each(args.flat_style, self.styles, args.device)
        paintings = [load_painting(p, args.painting_size) for p in args.painting]
        self.palette = _palette([_side_by_side(paintings)], photos, args.device)
        self.paintings = Crops(paintings, largest=args.painting_size)
        self.target = {k: t.mean(0, keepdim=True) for k, t in _grams(paintings, vgg, args.device).items()}
        self.discriminator = Discriminator().to(args.device)
        self.optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def terms(self, photo, painted, style, rng):
        real = self.paintings.batch(rng, len(photo), photo.shape[2]).to(photo.device)
        self._learn(real, painted.detach())
        features = self.vgg(interior(painted), until=GAN_CONTENT_LAYER)
        with torch.no_grad():
            wanted = self.vgg(interior(photo), until=GAN_CONTENT_LAYER)[GAN_CONTENT_LAYER]
        verdict = self.discriminator(interior(painted)).float()
        return {
            "adversarial": self.args.adversarial_weight * ((verdict - 1) ** 2).mean(),
            "style": self.args.set_style_weight * style_loss(features, self.target, _something_to_paint(photo, self.flat_style)),
            "content": self.args.content_weight[0] * content_loss(features[GAN_CONTENT_LAYER], wanted).mean(),
            **_colors(self.args, self.palette, painted, photo, style),
        }

    def _learn(self, real, fake):
        genuine = self.discriminator(interior(real)).float()
        painted = self.discriminator(interior(fake)).float()
        loss = ((genuine - 1) ** 2).mean() + (painted**2).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

    def state(self):
        return {"discriminator": self.discriminator.state_dict(), "discriminator_optimizer": self.optimizer.state_dict()}

    def load(self, state):
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["discriminator_optimizer"])


def _side_by_side(paintings):
    """The set as one painting, `[1, 3, H, W]`: as high as the least high."""
    tensors = [to_tensor(p) for p in paintings]
    height = min(t.shape[1] for t in tensors)
    return torch.cat([t[:, :height] for t in tensors], 2)[None]


class Discriminator(nn.Sequential):
    """Judges overlapping patches of 46 px (Isola et al. 2017), with spectral norm: `[N, 3, H, W]` -> `[N, 1, h, w]`."""

    def __init__(self, width=48):
        norm = nn.utils.spectral_norm
        layers, cin = [], 3
        for cout, stride in ((width, 2), (2 * width, 2), (4 * width, 2), (4 * width, 1)):
            layers += [norm(nn.Conv2d(cin, cout, 4 if stride == 2 else 3, stride, 1)), nn.LeakyReLU(0.2)]
            cin = cout
        super().__init__(*layers, norm(nn.Conv2d(cin, 1, 3, 1, 1)))


def variation(y, where=1.0):
    """Squared total variation per pixel; `where`, `[N, 1, H, W]`, weighs the pixels."""
    down, across = F.pad(y[:, :, 1:] - y[:, :, :-1], (0, 0, 0, 1)), F.pad(y[:, :, :, 1:] - y[:, :, :, :-1], (0, 1))
    return (where * (down**2 + across**2)).mean()


FLAT = 0.03
"""Standard deviation of the lightness over 9 x 9 pixels up to which a photo counts as flat."""


def flatness(photo):
    """`[N, 3, H, W]` to `[N, 1, H, W]`: 1 on even ground, near 0 where there is something to paint."""
    light = lightness(photo.float())[:, None]
    mean = lambda x: F.avg_pool2d(x, 9, stride=1, padding=4, count_include_pad=False)
    return torch.exp(-(mean(light**2) - mean(light) ** 2).clamp(min=0) / FLAT**2)


def lattice(y, period=4):
    """What all cells of `period` x `period` pixels (the generator's stride) have in common, squared: a grid."""
    n, c, h, w = y.shape
    h, w = h // period * period, w // period * period
    cells = y[:, :, :h, :w].reshape(n, c, h // period, period, w // period, period).mean((2, 4))
    return ((cells - cells.mean((2, 3), keepdim=True)) ** 2).mean()


def out_of_range(y):
    return (F.relu(y - 1) ** 2 + F.relu(-y) ** 2).mean()


RECIPES = {"perceptual": Perceptual, "gan": Gan}

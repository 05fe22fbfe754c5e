"""The losses of the two recipes, as terms that `train` adds up. Each term is already weighted.

Perceptual: one style per painting, by the distribution of its features (see `wasserstein`) against the content loss of
Johnson, Alahi and Fei-Fei 2016; the content weight is the knob between photo and painting. GAN: a patch discriminator with
least-squares loss (Mao et al. 2017) against a set of paintings, as CartoonGAN (Chen et al. 2018) has it, and the same style
loss against the whole set, as AnimeGAN (Chen et al. 2019) adds: without it this light generator changes colours and no strokes.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F

from .data import Crops, load_painting
from .measures import lightness
from .perceptual import CONTENT_LAYER, GAN_CONTENT_LAYER, content_loss
from .wasserstein import Target, compared

TONE_AREA = 32
"""Pixels on the side of the areas whose lightness is compared with the photo's: strokes and facets may be smaller."""
STEERED = (0.3, 2.5)
"""Least and largest factor by which a style's content weight is steered."""
RELIEF_AREAS = (1, 2, 4, 8)
"""Pixels on the side of the areas at which a relief is looked for."""


class Perceptual:
    """One style per painting; the pictures of a group share one style, and their features count as one distribution.

    A style remembers the features of its last groups and counts them along: a dark crop may stay dark, and a sky calm, where
    others bear the painting's lights and lines. Without that every crop alone is painted like the whole painting.
    """

    def __init__(self, args, vgg):
        self.args, self.vgg = args, vgg
        self.styles = len(args.painting)
        given = args.content_weight
        self.content_weights = torch.tensor(given * (1 if len(given) > 1 else self.styles), device=args.device)
        self.targets = [Target(vgg, [path], args.painting_size, args.crop, args.device) for path in args.painting]
        self.remembered = [[] for _ in args.painting]
        self.content_seen = [args.content_goal] * self.styles
        self.steering = [1.0] * self.styles

    def terms(self, photo, stylized, style, _rng):
        features = self.vgg(stylized)
        with torch.no_grad():
            wanted = self.vgg(photo, until=CONTENT_LAYER)[CONTENT_LAYER]
        content = content_loss(features[CONTENT_LAYER], wanted)
        weights = self.content_weights[style] * content.new_tensor(self._steer(style, content))
        groups = [slice(first, first + self.args.group) for first in range(0, len(style), self.args.group)]
        distances = [self._distance(style[group.start], {k: f[group] for k, f in features.items()}) for group in groups]
        tones = [lost_tones(stylized[group], photo[group]) for group in groups]
        return {
            "style": self.args.style_weight * torch.stack(distances).mean(),
            "content": (weights * content).mean(),
            "tone": self.args.tone_weight * torch.stack(tones).mean(),
            "relief": self.args.relief_weight * relief(stylized, photo),
        }

    def _steer(self, style, content):
        """Factors of the content weights of a batch, `[N]`: larger where a style has lost more of the photo than asked for.
        Paintings differ: one weight for all leaves one style a tint and another one unreadable."""
        goal = self.args.content_goal
        if goal:
            for index, lost in zip(style, content.detach().tolist()):
                seen = self.content_seen[index]
                self.content_seen[index] = seen = seen + 0.025 * (min(lost, 2 * goal) - seen)
                self.steering[index] = min(STEERED[1], max(STEERED[0], self.steering[index] * math.exp(0.03 * (seen - goal))))
        return [self.steering[index] for index in style]

    def _distance(self, style, features):
        now, before = compared(features), self.remembered[style]
        together = {name: torch.cat([vectors, *(group[name].float() for group in before)], 1) for name, vectors in now.items()}
        # In half precision, since checkpoints hold them: several MB a group.
        self.remembered[style] = [{name: v.detach().half() for name, v in now.items()}, *before][: self.args.remembered]
        return self.targets[style].distance(together) * (1 + len(before))  # as large a gradient as without the others

    def state(self):
        return {"remembered": self.remembered, "content_seen": self.content_seen, "steering": self.steering}

    def load(self, state):
        self.remembered, self.content_seen, self.steering = (state[key] for key in ("remembered", "content_seen", "steering"))


def lost_tones(stylized, photo):
    """1 less the correlation of the lightness of areas of `TONE_AREA` pixels in `[N, 3, H, W]` and in the photos: what is
    dark stays darker than what is light. Without it every area gets the painting's whole range, like a relief."""
    a, b = (_lightness_of_areas(x) for x in (stylized, photo))
    return 1 - (a * b).sum() / (a.norm() * b.norm() + 1e-3)


def relief(stylized, photo):
    """How far the colours of `[N, 3, H, W]` follow the slope of the photos' lightness, at three scales: squared correlation,
    0..1. An embossed picture, light on one side of each edge and dark on the other, has the range of a painting's colours
    and features, too; nobody takes it for one."""
    found = []
    for side in RELIEF_AREAS:
        colours = _centred(F.avg_pool2d(stylized, side)[:, :, 1:-1, 1:-1])
        grey = F.avg_pool2d(lightness(photo)[:, None], side)
        for slope in (grey[:, :, 1:-1, 2:] - grey[:, :, 1:-1, :-2], grey[:, :, 2:, 1:-1] - grey[:, :, :-2, 1:-1]):
            slope = _centred(slope)
            found.append(((colours * slope).sum(2) / (colours.norm(dim=2) * slope.norm(dim=2) + 1e-3)) ** 2)
    return torch.stack(found).mean()


def _centred(x):
    x = x.flatten(2)
    return x - x.mean(2, keepdim=True)


def _lightness_of_areas(x):
    areas = F.avg_pool2d(lightness(x)[:, None], TONE_AREA).flatten()
    return areas - areas.mean()


class Gan:
    """One style from a set of paintings. The discriminator learns beside the generator."""

    styles = 1

    def __init__(self, args, vgg):
        self.args, self.vgg = args, vgg
        self.target = Target(vgg, args.painting, args.painting_size, args.crop, args.device)
        largest = max(args.painting_size)
        self.paintings = Crops([load_painting(p, largest) for p in args.painting], largest=largest)
        self.discriminator = Discriminator().to(args.device)
        self.optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def terms(self, photo, stylized, style, rng):
        real = self.paintings.batch(rng, len(photo), photo.shape[2]).to(photo.device)
        self._learn(real, stylized.detach())
        features = self.vgg(stylized)
        with torch.no_grad():
            wanted = self.vgg(photo, until=GAN_CONTENT_LAYER)[GAN_CONTENT_LAYER]
        verdict = self.discriminator(stylized).float()
        return {
            "adversarial": self.args.adversarial_weight * ((verdict - 1) ** 2).mean(),
            "style": self.args.style_weight * self.target.distance(compared(features)),
            "content": self.args.content_weight[0] * content_loss(features[GAN_CONTENT_LAYER], wanted).mean(),
        }

    def _learn(self, real, fake):
        genuine = self.discriminator(real).float()
        stylized = self.discriminator(fake).float()
        loss = ((genuine - 1) ** 2).mean() + (stylized**2).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

    def state(self):
        return {"discriminator": self.discriminator.state_dict(), "discriminator_optimizer": self.optimizer.state_dict()}

    def load(self, state):
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["discriminator_optimizer"])


class Discriminator(nn.Sequential):
    """Judges overlapping patches of 46 px (Isola et al. 2017), with spectral norm: `[N, 3, H, W]` -> `[N, 1, h, w]`."""

    def __init__(self, width=48):
        norm = nn.utils.spectral_norm
        layers, cin = [], 3
        for cout, stride in ((width, 2), (2 * width, 2), (4 * width, 2), (4 * width, 1)):
            layers += [norm(nn.Conv2d(cin, cout, 4 if stride == 2 else 3, stride, 1)), nn.LeakyReLU(0.2)]
            cin = cout
        super().__init__(*layers, norm(nn.Conv2d(cin, 1, 3, 1, 1)))


def lattice(y, period=4):
    """What all cells of `period` x `period` pixels (the generator's stride) have in common, squared: a grid."""
    n, c, h, w = y.shape
    h, w = h // period * period, w // period * period
    cells = y[:, :, :h, :w].reshape(n, c, h // period, period, w // period, period).mean((2, 4))
    return ((cells - cells.mean((2, 3), keepdim=True)) ** 2).mean()


def out_of_range(y):
    return (F.relu(y - 1) ** 2 + F.relu(-y) ** 2).mean()


RECIPES = {"perceptual": Perceptual, "gan": Gan}

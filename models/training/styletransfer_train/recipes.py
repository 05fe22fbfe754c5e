"""The losses of the two recipes, as terms that `train` adds up. Each term is already weighted.

Perceptual: one style per painting, by the distribution of its features (see `wasserstein`) against the content loss of
Johnson, Alahi and Fei-Fei 2016; the content weight is the knob between photo and painting. GAN: a patch discriminator with
least-squares loss (Mao et al. 2017) against a set of paintings, as CartoonGAN (Chen et al. 2018) has it, and the same style
loss against the whole set, as AnimeGAN (Chen et al. 2019) adds: without it this light generator changes colours and no strokes.
"""
import torch
from torch import nn
from torch.nn import functional as F

from .data import Crops, load_painting
from .perceptual import CONTENT_LAYER, GAN_CONTENT_LAYER, content_loss
from .wasserstein import Target, with_areas


class Perceptual:
    """One style per painting; the pictures of a batch take turns through the styles."""

    def __init__(self, args, vgg):
        self.args, self.vgg = args, vgg
        self.styles = len(args.painting)
        given = args.content_weight
        self.content_weights = torch.tensor(given * (1 if len(given) > 1 else self.styles), device=args.device)
        self.targets = [Target(vgg, [path], args.painting_size, args.crop, args.device) for path in args.painting]

    def terms(self, photo, stylized, style, _rng):
        features = self.vgg(stylized)
        with torch.no_grad():
            wanted = self.vgg(photo, until=CONTENT_LAYER)[CONTENT_LAYER]
        content = content_loss(features[CONTENT_LAYER], wanted)
        return {
            "style": self.args.style_weight * _style_loss(features, [self.targets[s] for s in style]),
            "content": (self.content_weights[style] * content).mean(),
        }

    def state(self):
        return {}

    def load(self, _state):
        """Nothing of its own is trained."""


def _style_loss(features, targets):
    """Mean distance of the pictures of a batch, each from its own target."""
    features = with_areas(features)
    each = [target.distance({name: of[i] for name, of in features.items()}) for i, target in enumerate(targets)]
    return torch.stack(each).mean()


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
            "style": self.args.style_weight * _style_loss(features, [self.target] * len(style)),
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

"""Registry of all models by name; importing it does not import PyTorch."""

from __future__ import annotations

from zoo.errors import ConfigError
from zoo.models.entry import ModelEntry, Paper

__all__ = ["MODELS", "ModelEntry", "Paper", "get"]

_DEEP_LEARNING = "Goodfellow, Bengio & Courville"


def _book(chapter: str) -> Paper:
    return Paper(
        title=f"Deep Learning, {chapter}",
        authors=_DEEP_LEARNING,
        year=2016,
        url="https://www.deeplearningbook.org/contents/autoencoders.html",
    )


_VAE = Paper(
    title="Auto-Encoding Variational Bayes",
    authors="Kingma & Welling",
    year=2013,
    url="https://arxiv.org/abs/1312.6114",
)
_RED_NET = Paper(
    title="Image Restoration Using Convolutional Auto-encoders with Symmetric Skip Connections",
    authors="Mao, Shen & Yang",
    year=2016,
    url="https://arxiv.org/abs/1606.08921",
)
_AUTOENCODER = ("generator", "encoder")
_RECONSTRUCTION = "zoo.training.reconstruction:ReconstructionTask"


def _autoencoder(
    name: str, summary: str, paper: Paper, model: str, config: str, task: str = _RECONSTRUCTION
) -> ModelEntry:
    """Return an entry with the classes `zoo.models.<model>` and `zoo.models.<config>`."""
    places = f"zoo.models.{model}", f"zoo.models.{config}"
    return ModelEntry(name, summary, paper, *places, task, _AUTOENCODER)


def _translator(name: str, summary: str) -> ModelEntry:
    return ModelEntry(
        name,
        summary,
        _RED_NET,
        "zoo.models.translators:Translator",
        "zoo.models.translators:TranslatorConfig",
        "zoo.training.translation:TranslationTask",
        ("translator",),
    )


_DCGAN = Paper(
    title="Unsupervised Representation Learning with Deep Convolutional Generative "
    "Adversarial Networks",
    authors="Radford, Metz & Chintala",
    year=2015,
    url="https://arxiv.org/abs/1511.06434",
)
_ADVERSARIAL = "zoo.training.adversarial:AdversarialTask"


def _dcgan(name: str, summary: str) -> ModelEntry:
    places = "zoo.models.dcgan:DCGAN", "zoo.models.dcgan:DCGANConfig"
    return ModelEntry(name, summary, _DCGAN, *places, _ADVERSARIAL, ("generator",))


def _pix2pix(name: str, summary: str) -> ModelEntry:
    paper = Paper(
        title="Image-to-Image Translation with Conditional Adversarial Networks",
        authors="Isola, Zhu, Zhou & Efros",
        year=2017,
        url="https://arxiv.org/abs/1611.07004",
    )
    places = "zoo.models.pix2pix:Pix2Pix", "zoo.models.pix2pix:Pix2PixConfig"
    return ModelEntry(name, summary, paper, *places, "zoo.training.pairs:PairTask", ("translator",))


def _attributes(name: str, summary: str, model: str) -> ModelEntry:
    paper = Paper(
        title="Deep Learning Face Attributes in the Wild",
        authors="Liu, Luo, Wang & Tang",
        year=2015,
        url="https://arxiv.org/abs/1411.7766",
    )
    module, task = "zoo.models.attribute_classifier", "zoo.training.classification:AttributeTask"
    places = f"{module}:{model}", f"{module}:ClassifierConfig"
    return ModelEntry(name, summary, paper, *places, task, ("classifier",))


_DENSE = "autoencoder:DenseConfig"
_SPARSE = "sparse_ae:SparseAE", "sparse_ae:SparseConfig"

MODELS = {
    entry.name: entry
    for entry in (
        _autoencoder(
            "linear-ae",
            "linear autoencoder, which finds the principal subspace",
            Paper(
                title="Neural networks and principal component analysis: "
                "Learning from examples without local minima",
                authors="Baldi & Hornik",
                year=1989,
                url="https://doi.org/10.1016/0893-6080(89)90014-2",
            ),
            "linear_ae:LinearAE",
            _DENSE,
        ),
        _autoencoder(
            "undercomplete-ae",
            "autoencoder with a bottleneck",
            Paper(
                title="Reducing the Dimensionality of Data with Neural Networks",
                authors="Hinton & Salakhutdinov",
                year=2006,
                url="https://doi.org/10.1126/science.1127647",
            ),
            "undercomplete_ae:UndercompleteAE",
            _DENSE,
        ),
        _autoencoder(
            "overcomplete-ae",
            "autoencoder with a code larger than the image, regularised",
            _book("section 14.2"),
            "overcomplete_ae:OvercompleteAE",
            "overcomplete_ae:OvercompleteConfig",
        ),
        _autoencoder(
            "stacked-ae",
            "deep autoencoder, pretrained layer by layer",
            Paper(
                title="Greedy Layer-Wise Training of Deep Networks",
                authors="Bengio, Lamblin, Popovici & Larochelle",
                year=2007,
                url="https://papers.nips.cc/paper/3048-greedy-layer-wise-training-of-deep-networks",
            ),
            "stacked_ae:StackedAE",
            "stacked_ae:StackedConfig",
            "zoo.training.reconstruction:StackedTask",
        ),
        _autoencoder(
            "sparse-ae", "sparse autoencoder, L1 penalty", _book("section 14.2.1"), *_SPARSE
        ),
        _autoencoder(
            "sparse-ae-kl",
            "sparse autoencoder, Kullback-Leibler penalty",
            Paper(
                title="Sparse deep belief net model for visual area V2",
                authors="Lee, Ekanadham & Ng",
                year=2007,
                url="https://papers.nips.cc/paper/3313-sparse-deep-belief-net-model-for-visual-area-v2",
            ),
            *_SPARSE,
        ),
        _autoencoder(
            "contractive-ae",
            "autoencoder with a penalty on the encoder's Jacobian",
            Paper(
                title="Contractive Auto-Encoders: Explicit Invariance During Feature Extraction",
                authors="Rifai, Vincent, Muller, Glorot & Bengio",
                year=2011,
                url="https://icml.cc/2011/papers/455_icmlpaper.pdf",
            ),
            "contractive_ae:ContractiveAE",
            "contractive_ae:ContractiveConfig",
        ),
        _autoencoder(
            "stochastic-ae",
            "autoencoder with stochastic encoder and decoder, without a prior",
            _book("section 14.4"),
            "stochastic_ae:StochasticAE",
            _DENSE,
        ),
        _translator("denoising-ae", "convolutional autoencoder that removes noise"),
        _translator("inpainting-ae", "convolutional autoencoder that fills holes"),
        _translator("colorization-ae", "convolutional autoencoder that colours grey images"),
        _autoencoder(
            "vae",
            "convolutional variational autoencoder",
            _VAE,
            "vae:VAE",
            "vae:VAEConfig",
            "zoo.training.elbo:ElboTask",
        ),
        _autoencoder(
            "vae-faces",
            "convolutional variational autoencoder of colour faces, with attributes to edit",
            _VAE,
            "vae:VAE",
            "vae:VAEConfig",
            "zoo.training.elbo:ElboTask",
        ),
        _attributes(
            "face-attributes",
            "convolutional classifier of the attributes of a face",
            "AttributeClassifier",
        ),
        _attributes(
            "face-features",
            "classifier of the attributes of a face, whose features measure generators",
            "AttributeFeatures",
        ),
        ModelEntry(
            "fashion-classifier",
            "convolutional classifier of Fashion-MNIST, whose features measure generators",
            Paper(
                title="Striving for Simplicity: The All Convolutional Net",
                authors="Springenberg, Dosovitskiy, Brox & Riedmiller",
                year=2015,
                url="https://arxiv.org/abs/1412.6806",
            ),
            "zoo.models.class_classifier:ClassClassifier",
            "zoo.models.class_classifier:ClassConfig",
            "zoo.training.classification:ClassTask",
            ("classifier",),
        ),
        ModelEntry(
            "gan",
            "generative adversarial network of two perceptrons",
            Paper(
                title="Generative Adversarial Networks",
                authors="Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville "
                "& Bengio",
                year=2014,
                url="https://arxiv.org/abs/1406.2661",
            ),
            "zoo.models.gan:GAN",
            "zoo.models.gan:GANConfig",
            _ADVERSARIAL,
            ("generator",),
        ),
        _dcgan("dcgan", "deep convolutional GAN"),
        _dcgan("dcgan-faces", "deep convolutional GAN of colour faces"),
        ModelEntry(
            "bigan",
            "bidirectional GAN: a generator and the encoder that inverts it",
            Paper(
                title="Adversarial Feature Learning",
                authors="Donahue, Krähenbühl & Darrell",
                year=2016,
                url="https://arxiv.org/abs/1605.09782",
            ),
            "zoo.models.bigan:BiGAN",
            "zoo.models.bigan:BiGANConfig",
            "zoo.training.bidirectional:BidirectionalTask",
            _AUTOENCODER,
        ),
        ModelEntry(
            "cgan",
            "conditional GAN: an image of a given class",
            Paper(
                title="Conditional Generative Adversarial Nets",
                authors="Mirza & Osindero",
                year=2014,
                url="https://arxiv.org/abs/1411.1784",
            ),
            "zoo.models.dcgan:ConditionalDCGAN",
            "zoo.models.dcgan:ConditionalConfig",
            "zoo.training.conditional:ConditionalTask",
            ("generator",),
        ),
        ModelEntry(
            "progan",
            "progressively grown GAN",
            Paper(
                title="Progressive Growing of GANs for Improved Quality, Stability, and Variation",
                authors="Karras, Aila, Laine & Lehtinen",
                year=2017,
                url="https://arxiv.org/abs/1710.10196",
            ),
            "zoo.models.progan:ProGAN",
            "zoo.models.progan:ProGANConfig",
            "zoo.training.progressive:ProgressiveTask",
            ("generator",),
        ),
        ModelEntry(
            "stylegan",
            "style-based GAN, with a mapping network and noise in every layer",
            Paper(
                title="A Style-Based Generator Architecture for Generative Adversarial Networks",
                authors="Karras, Laine & Aila",
                year=2019,
                url="https://arxiv.org/abs/1812.04948",
            ),
            "zoo.models.stylegan:StyleGAN",
            "zoo.models.stylegan:StyleGANConfig",
            "zoo.training.progressive:StyleTask",
            ("generator", "mapping", "synthesis"),
        ),
        ModelEntry(
            "stargan",
            "translator of faces between many domains: hair colours, smiles, glasses",
            Paper(
                title="StarGAN: Unified Generative Adversarial Networks for Multi-Domain "
                "Image-to-Image Translation",
                authors="Choi, Choi, Kim, Ha, Kim & Choo",
                year=2017,
                url="https://arxiv.org/abs/1711.09020",
            ),
            "zoo.models.stargan:StarGAN",
            "zoo.models.stargan:StarGANConfig",
            "zoo.training.domains:DomainTask",
            ("translator", "classifier"),
        ),
        _pix2pix("pix2pix-edges", "U-Net from edges to faces, with an adversarial loss"),
        _pix2pix("pix2pix-colour", "U-Net that colours grey faces, with an adversarial loss"),
    )
}


def get(name: str) -> ModelEntry:
    """Return the model of a name; raises `ConfigError`, listing the models, for an unknown one."""
    if name not in MODELS:
        raise ConfigError(f"unknown model {name!r}; models: {', '.join(MODELS)}")
    return MODELS[name]

"""The Config of a generator, which proposes the tokens that a discriminator has to find (Clark et al. 2020, 3.2)."""

import dataclasses

from keras_bert.errors import UserError
from keras_bert.families import find_family

SHARINGS = ("shared", "disentangled", "none")
# Of a generator whose size nobody says: a quarter as wide (Clark et al. 2020), or half as deep (He et al. 2021).
NARROWER, SHALLOWER = 0.25, 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneratorSize:
    """How large a generator is.

    Attributes:
        hidden_size: its width, as a fraction of the discriminator's; None for a quarter where a dense layer can take
            the embeddings to another width, and else for all of it.
        layers: its layers, as a fraction of the discriminator's; None for all, of a generator as wide as the
            discriminator for half of them.
        sharing: "shared" embeddings (ELECTRA); "disentangled" ones, which only the generator's loss moves while the
            discriminator learns what it adds to them (DeBERTa v3); or "none".

    Raises:
        UserError: a fraction that is not over 0 and at most 1, or another sharing.
    """

    hidden_size: float | None = None
    layers: float | None = None
    sharing: str = "shared"

    def __post_init__(self):
        for name in ("hidden_size", "layers"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (int, float)) and 0 < value <= 1):
                raise UserError(
                    f"generator_{name} must be a fraction over 0 and at most 1 of the discriminator's. "
                    f"Received: {value!r}."
                )
        if self.sharing not in SHARINGS:
            raise UserError(f"embedding_sharing must be one of {', '.join(SHARINGS)}. Received: {self.sharing!r}.")

    def config(self, discriminator):
        """Returns the generator's Config.

        The width goes down with the heads, which keep their size, and with the feed-forward layers, as in
        google-research/electra (configure_pretraining.py, get_generator_config).

        Args:
            discriminator: the discriminator's Config.

        Raises:
            UserError: a family without a masked-LM head or with bottlenecks, or a narrower generator that shares
                embeddings in a family that cannot take them to another width.

        Example:
            >>> from keras_bert.config import Config
            >>> config = GeneratorSize().config(Config.from_name("electra-base"))
            >>> config.hidden_size, config.embedding_width, config.num_attention_heads, config.num_hidden_layers
            (192, 768, 3, 12)
        """
        check_replaced_tokens(discriminator)
        row = find_family(discriminator.family)
        projects = _projects(discriminator)
        share = self.hidden_size or (NARROWER if projects else 1.0)
        layers = self.layers or (SHALLOWER if share == 1.0 else 1.0)
        depth = max(1, round(discriminator.num_hidden_layers * layers))
        fields = {"num_hidden_layers": depth}
        if discriminator.num_hidden_groups is not None:
            fields["num_hidden_groups"] = min(depth, discriminator.num_hidden_groups)
        if share < 1:
            if self.sharing != "none" and not projects:
                raise UserError(
                    f"{row.title} has no dense layer between embeddings and blocks, so a narrower generator cannot "
                    "read its discriminator's embeddings; give generator_hidden_size=1 and fewer generator_layers, or "
                    "embedding_sharing=none."
                )
            heads = max(1, round(discriminator.num_attention_heads * share))
            hidden = max(1, round(discriminator.hidden_size * share / heads)) * heads
            if discriminator.rope_theta is not None:
                hidden = max(1, hidden // (2 * heads)) * 2 * heads  # an even number of features a head
            inner = max(1, round(discriminator.intermediate_size * share))
            width = discriminator.embedding_width if projects else None
            fields |= {"hidden_size": hidden, "num_attention_heads": heads, "intermediate_size": inner}
            fields |= {"embedding_size": width}
        return discriminator.replace(**fields)


def _projects(config):
    """Says whether a family's config.json can say that embeddings have a width of their own."""
    other = config.replace(embedding_size=max(1, config.embedding_width - 1), embedding_projection=None)
    return "embedding_size" not in other.not_in_huggingface()


def check_replaced_tokens(config):
    """Raises a UserError for a model that cannot be pre-trained by replaced tokens."""
    row = find_family(config.family)
    if config.bottleneck is not None:
        raise UserError(
            f"{row.title} is not pre-trained by replaced tokens here: its bottlenecks leave no generator to be made; "
            "take another family, or objective=mlm."
        )

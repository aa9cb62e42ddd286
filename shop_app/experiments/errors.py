"""What can go wrong with an experiment beyond the shop's common errors."""

from shop_app.core.errors import Conflict


class LayerIsFull(Conflict):
    """No free range of the layer is as wide as the traffic asked for."""

    def __init__(self, layer: str, share: float) -> None:
        self.layer, self.share = layer, share
        super().__init__(
            f"layer {layer} has no free range of {share:.0%}: end another experiment or ask for less traffic"
        )

"""Published weights with a convolution bias in front of BatchNorm, for blocks that leave the idle bias out."""

from torch import Tensor


def without_idle_bias(state_dict: dict[str, Tensor], conv: str, bn: str) -> dict[str, Tensor]:
    """Move each `...conv.bias` into `...bn.running_mean`: BatchNorm takes off what the bias adds.

    conv, bn: the end of the names of layers that follow each other, such as ".0" and ".1".
    """
    state = dict(state_dict)
    for key in [key for key in state if key.endswith(f"{conv}.bias")]:
        mean = key.removesuffix(f"{conv}.bias") + f"{bn}.running_mean"
        state[mean] = state[mean] - state.pop(key)
    return state

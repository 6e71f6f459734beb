# ruff: noqa
from weightlore.networks import sequence
from weightlore.networks.residual import Residual


def as_residual(network, widths=(8, 8, 16)):  # the same parameters under our names, a ReLU for each place
    twin = Residual(1, widths, network.fc.out_features).to(network.fc.weight.dtype)
    names = {"layer1.0": "blocks.0", "layer2.0": "blocks.1", "downsample": "shortcut", "fc.": "readout."}
    state = {}
    for name, value in network.state_dict().items():
        for theirs, ours in names.items():
            name = name.replace(theirs, ours)
        inside = name.startswith("blocks")
        name = name.replace("bn", "norm") if inside else name.replace("conv1", "stem").replace("bn1", "stem_norm")
        state[name] = value
    twin.load_state_dict(state)
    return twin.eval()


def as_sequence(network):  # the same for a layer of nn.LSTM, step by step
    lstm, generator = network.lstm, torch.Generator().manual_seed(0)
    sizes = {"inputs": lstm.input_size, "hidden": lstm.hidden_size, "classes": network.fc.out_features}
    twin = sequence("lstm", **sizes, generator=generator, dtype=network.fc.weight.dtype)
    state = {name.replace("lstm", "layers.0").replace("_l0", ""): v for name, v in network.state_dict().items()}
    twin.load_state_dict({name.replace("fc", "readout"): value for name, value in state.items()})
    return twin.eval()

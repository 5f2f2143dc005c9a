# Makes torch.json: what torch computes for small models, to hold the layers, losses and optimizers against.
# Usage: python3 make.py > torch.json (Debian 12: python3-torch)

import json
import torch
from torch import nn

torch.manual_seed(7)
EXAMPLES, EPOCHS = 4, 3


def layer(d, size):
    """The torch module of a layer of the description and the size of its output, for inputs of this size."""
    kind = d["kind"]
    if kind == "dense":
        return nn.Linear(size[0], d["outputs"])
    if kind == "conv2d":
        return nn.Conv2d(size[0], d["channels"], d["kernel"], d["stride"], d["padding"])
    if kind == "max-pool":
        return nn.MaxPool2d(d["size"], d["stride"])
    if kind == "avg-pool":
        return nn.AvgPool2d(d["size"], d["stride"])
    if kind == "layer-norm":
        return nn.LayerNorm(size)
    if kind == "group-norm":
        return nn.GroupNorm(d["groups"], size[0])
    return {"relu": nn.ReLU, "gelu": nn.GELU, "flatten": nn.Flatten}[kind]()


def build(description):
    modules, size = [], description["input"]
    for d in description["layers"]:
        modules.append(layer(d, size))
        size = list(modules[-1](torch.zeros(1, *size)).shape[1:])
    return nn.Sequential(*modules), size[0]


def optimizer(plan, parameters):
    rate, decay = plan["learning_rate"], plan["weight_decay"]
    if plan["optimizer"] == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=plan["momentum"], weight_decay=decay)
    kind = torch.optim.Adam if plan["optimizer"] == "adam" else torch.optim.AdamW
    return kind(parameters, lr=rate, weight_decay=decay)


def flat(model):
    return [value for p in model.parameters() for value in p.detach().flatten().tolist()]


def case(input, layers, loss, **plan):
    description = {"kind": "sequential", "input": input, "layers": layers, "loss": loss}
    plan = {"epochs": EPOCHS, "batch_size": EXAMPLES, "momentum": 0, "proximal_mu": 0, "weight_decay": 0, **plan}
    model, classes = build(description)
    for p in model.parameters():
        p.data.add_(torch.randn_like(p), alpha=0.1)
    x, y = torch.randn(EXAMPLES, *input), torch.randint(0, classes, (EXAMPLES,))
    one_hot = nn.functional.one_hot(y, classes).float()
    loss_of = (lambda z: nn.functional.mse_loss(z, one_hot)) if loss == "mse" else (lambda z: nn.functional.cross_entropy(z, y))
    start, outputs = flat(model), model(x).detach().flatten().tolist()
    step = optimizer(plan, model.parameters())
    losses = []
    for _ in range(EPOCHS):
        step.zero_grad()
        value = loss_of(model(x))
        losses.append(value.item())
        value.backward()
        step.step()
    names = [name for name, _ in model.named_parameters()]
    return {
        "description": description, "plan": plan, "classes": classes, "names": names,
        "features": x.flatten().tolist(), "labels": y.tolist(),
        "parameters": start, "outputs": outputs, "losses": losses, "trained": flat(model),
    }


def conv(channels, kernel, stride=1, padding=0):
    return {"kind": "conv2d", "channels": channels, "kernel": kernel, "stride": stride, "padding": padding}


def pool(kind, size, stride):
    return {"kind": kind, "size": size, "stride": stride}


FLATTEN, RELU, GELU, LAYER_NORM = ({"kind": kind} for kind in ["flatten", "relu", "gelu", "layer-norm"])


def dense(outputs):
    return {"kind": "dense", "outputs": outputs}


print(json.dumps([
    case([6], [dense(9), RELU, dense(3)], "cross-entropy", optimizer="sgd", learning_rate=0.1, momentum=0.9),
    case([2, 8, 8], [conv(5, 5, 1, 2), RELU, pool("max-pool", 2, 2), conv(9, 3, 1, 1), RELU, pool("max-pool", 2, 2),
                     FLATTEN, dense(4)], "cross-entropy", optimizer="sgd", learning_rate=0.1, weight_decay=0.01),
    case([3, 7, 6], [conv(6, 3, 2, 2), {"kind": "group-norm", "groups": 2}, GELU, pool("avg-pool", 2, 1), FLATTEN,
                     dense(3)], "mse", optimizer="adam", learning_rate=0.01, weight_decay=0.1),
    case([2, 5, 4], [LAYER_NORM, conv(4, 2), pool("max-pool", 3, 1), FLATTEN, LAYER_NORM, dense(3)],
         "cross-entropy", optimizer="adamw", learning_rate=0.02, weight_decay=0.1),
]))

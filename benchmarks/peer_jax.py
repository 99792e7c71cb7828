"""JAX's side of the benchmarks: a worker that speaks the protocol of protocol.md. One jitted step, buffers donated."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"

import serve
from network import Network, padding_of


class Training:
    def __init__(self, path, batch, optimizer, _, folder):
        import jax
        from jax import lax, nn, numpy

        if optimizer != "sgd":
            raise ValueError(f"no optimizer {optimizer}")
        self.folder, self.network = folder, Network(path)
        network = self.network

        def recurrent(layer, own, x):
            def gates(h, step):
                if layer.kind == "gru":
                    return step, h @ own["recurrent"] + own["bias"][1]
                return step + h @ own["recurrent"], None

            def one(state, step):
                h, c = state
                z, inner = gates(h, step)
                if layer.kind == "rnn":
                    h = numpy.tanh(z)
                elif layer.kind == "lstm":
                    i, f, g, o = numpy.split(z, 4, -1)
                    c = nn.sigmoid(f) * c + nn.sigmoid(i) * numpy.tanh(g)
                    h = nn.sigmoid(o) * numpy.tanh(c)
                else:
                    (z, r, g), (uz, ur, ug) = numpy.split(z, 3, -1), numpy.split(inner, 3, -1)
                    z, g = nn.sigmoid(z + uz), numpy.tanh(g + nn.sigmoid(r + ur) * ug)
                    h = z * h + (1 - z) * g
                return (h, c), None

            products = x @ own["kernel"] + (own["bias"][0] if layer.kind == "gru" else own["bias"])
            start = numpy.zeros((x.shape[0], layer.units), x.dtype)
            return lax.scan(one, (start, start), products.swapaxes(0, 1))[0][0]

        def forward(weights, x):
            values = {"x": x}
            for layer in network.layers:
                inputs = [values[name] for name in layer.inputs]
                own, x = weights.get(layer.name), inputs[0]
                if layer.kind == "conv":
                    x = lax.conv_general_dilated(x, own["kernel"], (layer.stride,) * 2, [padding_of(layer)] * 2,
                                                 dimension_numbers=("NHWC", "HWIO", "NHWC"))
                    x = x + own["bias"] if layer.bias else x
                elif layer.kind == "dense":
                    x = x @ own["kernel"] + own["bias"]
                elif layer.kind in ("rnn", "lstm", "gru"):
                    x = recurrent(layer, own, x)
                elif layer.kind == "relu":
                    x = nn.relu(x)
                elif layer.kind == "maxpool":
                    around = [(0, 0), padding_of(layer), padding_of(layer), (0, 0)]
                    size, stride = (layer.size,) * 2, (layer.stride,) * 2
                    x = lax.reduce_window(x, -numpy.inf, lax.max, (1, *size, 1), (1, *stride, 1), around)
                elif layer.kind == "flatten":
                    x = x.reshape(x.shape[0], -1)
                else:
                    raise ValueError(f"no layer {layer.kind} here")
                values[layer.name] = x
            return x

        def loss_of(weights, x, y):
            logs = nn.log_softmax(forward(weights, x))
            return -numpy.take_along_axis(logs, y[:, None], 1).mean()

        def step(weights, speeds, x, y):
            loss, gradients = jax.value_and_grad(loss_of)(weights, x, y)
            speeds = jax.tree.map(lambda v, g: 0.9 * v - 0.001 * g, speeds, gradients)
            return jax.tree.map(lambda w, v: w + v, weights, speeds), speeds, loss

        self.weights = {layer.name: {what: numpy.asarray(array) for what, array in serve.initial(folder, layer).items()}
                        for layer in network.layers if layer.weights}
        self.speeds = jax.tree.map(numpy.zeros_like, self.weights)
        self.x, self.y = map(numpy.asarray, serve.batch_of(folder, int(batch)))
        self.compiled = jax.jit(step, donate_argnums=(0, 1))

    def step(self):
        self.weights, self.speeds, loss = self.compiled(self.weights, self.speeds, self.x, self.y)
        return float(loss)

    def run(self, count):
        for _ in range(count):
            self.step()

    def losses(self, count):
        return [self.step() for _ in range(count)]

    def update(self):
        return [serve.norm(serve.numpy.asarray(self.weights[layer.name][what]),
                           serve.load(self.folder, f"{layer.name}.{place}"))
                for layer, place, what in serve.compared(self.network)]


class Side:
    def hello(self, *_):
        import jax
        return ["jax", jax.__version__]

    def threads(self, count):
        # XLA makes as many threads as it may use processors when it starts.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])

    def prepared(self, words):
        return {"train": Training}[words[0]](*words[1:])


if __name__ == "__main__":
    serve.main(Side())

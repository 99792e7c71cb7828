"""TensorFlow's side of the benchmarks, through Keras: a worker that speaks the protocol of protocol.md.

Variants: `train` is Keras's train_on_batch, `function` a hand-written step in a tf.function; `_jit` compiles it by XLA.
"""

import os

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")

import keras
import tensorflow as tf
from keras import layers

import serve
from network import Network, padding_of


def padded(layer, x, value_counts):
    """The picture extended, and Keras's word for what is left to do."""
    before, after = padding_of(layer)
    if before + after == 0:
        return x, "valid"
    size = layer.attributes.get("kernel") or layer.size
    if before == after and size == 2 * before + 1 and layer.stride == 1 or (before, after) == (0, 1) and not value_counts:
        return x, "same"
    return layers.ZeroPadding2D(((before, after), (before, after)))(x), "valid"


def applied(layer, inputs):
    x, name = inputs[0], layer.name
    if layer.kind == "conv":
        x, padding = padded(layer, x, True)
        return layers.Conv2D(layer.filters, layer.kernel, layer.stride, padding, use_bias=bool(layer.bias), name=name)(x)
    if layer.kind == "bn":
        return layers.BatchNormalization(momentum=0.9, epsilon=layer.epsilon, name=name)(x)
    if layer.kind == "relu":
        return layers.ReLU(name=name)(x)
    if layer.kind == "maxpool":
        # What is pooled comes out of a ReLU, so zeros around it change nothing.
        x, padding = padded(layer, x, False)
        return layers.MaxPooling2D(layer.size, layer.stride, padding, name=name)(x)
    if layer.kind == "avgpool":
        return layers.AveragePooling2D(layer.size, layer.stride, name=name)(x)
    if layer.kind == "globalavgpool":
        return layers.GlobalAveragePooling2D(name=name)(x)
    if layer.kind == "flatten":
        return layers.Flatten(name=name)(x)
    if layer.kind == "dense":
        return layers.Dense(layer.units, name=name)(x)
    if layer.kind in ("rnn", "lstm", "gru"):
        recurrent = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}[layer.kind]
        return recurrent(layer.units, name=name)(x)
    if layer.kind == "add":
        return layers.Add(name=name)(inputs)
    if layer.kind == "concat":
        return layers.Concatenate(name=name)(inputs)
    raise ValueError(f"no layer {layer.kind}")


def built(path, folder):
    network = Network(path)
    values = {"x": keras.Input(network.input)}
    for layer in network.layers:
        values[layer.name] = applied(layer, [values[name] for name in layer.inputs])
    model = keras.Model(values["x"], values[network.layers[-1].name])
    for layer in network.layers:
        if layer.weights:
            arrays = serve.initial(folder, layer)
            model.get_layer(layer.name).set_weights(list(arrays.values()))
    return network, model


class Training:
    def __init__(self, path, batch, optimizer, variant, folder):
        self.folder = folder
        self.network, self.model = built(path, folder)
        self.optimizer = {"sgd": lambda: keras.optimizers.SGD(0.001, momentum=0.9),
                          "adam": lambda: keras.optimizers.Adam(1e-3)}[optimizer]()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        x, y = serve.batch_of(folder, int(batch))
        self.x, self.y = tf.constant(x), tf.constant(y)
        way, _, jit = variant.partition("_")
        if way == "train":
            self.model.compile(self.optimizer, loss, jit_compile=bool(jit))
            self.step = self.train_on_batch
            return
        self.optimizer.build(self.model.trainable_variables)

        @tf.function(jit_compile=bool(jit))
        def step(x, y):
            with tf.GradientTape() as tape:
                value = loss(y, self.model(x, training=True))
            gradients = tape.gradient(value, self.model.trainable_variables)
            self.optimizer.apply(gradients, self.model.trainable_variables)
            return value

        self.step = lambda: float(step(self.x, self.y))

    def train_on_batch(self):
        return float(self.model.train_on_batch(self.x, self.y))

    def run(self, count):
        for _ in range(count):
            self.step()

    def losses(self, count):
        losses = []
        for _ in range(count):
            # Keras gives the mean since the last reset.
            self.model.reset_metrics()
            losses.append(self.step())
        return losses

    def update(self):
        norms = []
        for layer, place, what in serve.compared(self.network):
            after = self.model.get_layer(layer.name).get_weights()[place]
            norms.append(serve.norm(after, serve.load(self.folder, f"{layer.name}.{place}")))
        return norms


class Side:
    def hello(self, *_):
        return ["keras", f"{keras.__version__}/tensorflow-{tf.__version__}"]

    def threads(self, count):
        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(count)

    def prepared(self, words):
        return {"train": Training}[words[0]](*words[1:])


if __name__ == "__main__":
    serve.main(Side())

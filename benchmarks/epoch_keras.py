"""An epoch of LeNet-5 on Fashion-MNIST with Adam, as a program: epoch_keras.py VARIANT FOLDER BATCH THREADS."""

import os
import sys

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")

import keras
import tensorflow as tf
from keras import layers

import serve

folder, batch, threads = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
tf.config.threading.set_intra_op_parallelism_threads(threads)
tf.config.threading.set_inter_op_parallelism_threads(threads)
keras.utils.set_random_seed(0)


def pictures(part):
    images = serve.read_idx(folder, f"{part}-images-idx3-ubyte")[..., None].astype("float32") / 255
    return images, serve.read_idx(folder, f"{part}-labels-idx1-ubyte").astype("int32")


model = keras.Sequential([
    layers.Input((28, 28, 1)),
    layers.Conv2D(6, 5, padding="same", activation="relu"), layers.MaxPooling2D(2),
    layers.Conv2D(16, 5, activation="relu"), layers.MaxPooling2D(2),
    layers.Flatten(),
    layers.Dense(120, activation="relu"), layers.Dense(84, activation="relu"), layers.Dense(10),
])
# Of XLA and not, the faster one for an epoch.
model.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"],
              jit_compile=False)
model.fit(*pictures("train"), batch_size=batch, epochs=1, verbose=0)
print(model.evaluate(*pictures("t10k"), batch_size=1000, verbose=0)[1])

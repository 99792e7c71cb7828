-- An epoch of LeNet-5 on Fashion-MNIST with Adam, as a program of its own: epoch.lua FOLDER BATCH THREADS prints the
-- accuracy on the test pictures.

local dl = require "dl"
local L = dl.layers

local folder, batch, threads = arg[1], math.tointeger(arg[2]), math.tointeger(arg[3])
dl.set_num_threads(threads)
dl.set_random_seed(0)
local set = assert(dl.datasets.fashion_mnist{ path = folder, channels = true })

local model = dl.Sequential{
  L.Input{ shape = { 28, 28, 1 } },
  L.Conv2D{ 6, 5, padding = "same", activation = "relu" }, L.MaxPooling2D{ 2 },
  L.Conv2D{ 16, 5, activation = "relu" }, L.MaxPooling2D{ 2 },
  L.Flatten(),
  L.Dense{ 120, activation = "relu" }, L.Dense{ 84, activation = "relu" }, L.Dense{ 10, activation = "softmax" },
}
model:compile{ optimizer = dl.optimizers.Adam{ 1e-3 }, loss = "sparse_categorical_crossentropy", metrics = { "accuracy" } }
model:fit(set.train.x, set.train.y, { epochs = 1, batch_size = batch, verbose = 0 })
print(model:evaluate(set.test.x, set.test.y, { batch_size = 1000 }).accuracy)

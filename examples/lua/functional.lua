-- Models as functions of tensors: one input and one output, then a second of each on the same layers.
-- dlua functional.lua

local dl = require "dl"
local Input, Dense, Concatenate = dl.layers.Input, dl.layers.Dense, dl.layers.Concatenate

dl.set_random_seed(1)

-- nil and why, where the files are not on this machine.
local fm, why = dl.datasets.fashion_mnist{ path = os.getenv "FASHION_MNIST" }
if not fm then
  print(why)
  print "Drawing shapes instead."
  fm = dl.datasets.shapes{}
end
local train = os.getenv "DL_EXAMPLE_QUICK" and fm.train:take(2000) or fm.train
local data   = train.x:reshape{ -1, 784 }                                           -- float32 in [0, 1]
local labels = dl.utils.to_categorical(train.y, 10)

local inputs = Input{ shape = { 784 } }
local x = Dense(64, { activation = "relu" })(inputs)
x = Dense(64, { activation = "relu" })(x)
local predictions = Dense(10, { activation = "softmax" })(x)

local model = dl.Model{ inputs = inputs, outputs = predictions }
assert(model:count_params() == 55050)
model:compile{ optimizer = "rmsprop", loss = "categorical_crossentropy", metrics = { "accuracy" } }
model:fit(data, labels)                                                             -- 1 epoch, batches of 32

-- Several inputs and outputs: one more feature goes in, one more answer comes out.
local extra = Input{ shape = { 1 }, name = "mean_ink" }
local h     = Concatenate()({ x, extra })
local class = Dense(10, { activation = "softmax", name = "class" })(h)
local shoe  = Dense(1,  { activation = "sigmoid", name = "is_shoe" })(h)
local two   = dl.Model{ inputs = { inputs, extra }, outputs = { class = class, is_shoe = shoe } }
two:compile{
  optimizer    = dl.optimizers.Adam{ learning_rate = 1e-3 },
  loss         = { class = "categorical_crossentropy", is_shoe = "binary_crossentropy" },
  loss_weights = { class = 1.0, is_shoe = 0.2 },
  metrics      = { class = { "accuracy" } },
}
two:summary()

local ink     = data:mean(2, { keepdims = true })                                   -- axis 2: over the features
local is_shoe = train.y:isin{ 6, 8, 10 }:to "f32":reshape{ -1, 1 }                  -- sandal, sneaker, ankle boot
two:fit({ data, ink }, { class = labels, is_shoe = is_shoe }, { epochs = 2, batch_size = 128, validation_split = 0.1 })

local answers = two:predict({ data[{ { 1, 5 } }], ink[{ { 1, 5 } }] })
print("classes", answers.class:argmax(2))
print("shoes", answers.is_shoe:reshape{ -1 })

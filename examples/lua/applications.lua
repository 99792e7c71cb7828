-- Networks from the literature, with their numbers of parameters, and a small one trained on pictures of shapes.
-- dlua applications.lua

local dl = require "dl"
dl.set_random_seed(1)

local quick = os.getenv "DL_EXAMPLE_QUICK"
local names = quick and { "LeNet5", "GoogLeNet", "ResNet18" }
  or { "LeNet5", "AlexNet", "VGG16", "VGG19", "GoogLeNet", "ResNet18", "ResNet50", "ResNet152" }
for _, name in ipairs(names) do
  local start = os.clock()
  local model <close> = dl.applications[name]()
  print(("%-10s %12d parameters, %3d layers, made in %.2f s"):format(name, model:count_params(), #model.layers,
    os.clock() - start))
  collectgarbage()
end

-- A residual network for small pictures. Twenty layers with weights learn more; eight are quicker.
local set = dl.datasets.shapes{ n_train = quick and 500 or 5000, n_test = 500, channels = true }
local model = dl.applications.ResNetCIFAR{ depth = 8, input_shape = { 28, 28, 1 }, classes = #set.class_names }
model:compile{ optimizer = dl.optimizers.Adam{ learning_rate = 2e-3 }, loss = "sparse_categorical_crossentropy",
  metrics = { "accuracy" } }
model:fit(set.train.x, set.train.y, { epochs = quick and 1 or 3, batch_size = 50 })
print(("accuracy on the test set: %.3f"):format(
  model:evaluate(set.test.x, set.test.y, { batch_size = 100, verbose = 0 }).accuracy))

-- The layers of a network below the dense ones, with an end of one's own.
local trunk = dl.applications.ResNet18{ include_top = false, input_shape = { 64, 64, 3 }, pooling = "avg" }
trunk.trainable = false
local x = dl.layers.Input{ shape = { 64, 64, 3 } }
local head = dl.Model{ inputs = x, outputs = dl.layers.Dense(2, { activation = "softmax" })(trunk(x)) }
print(head:predict(dl.randn(1, 64, 64, 3)).shape)

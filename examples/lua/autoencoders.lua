-- Autoencoders of Fashion-MNIST: one with a narrow code, one that is sparse (Ng, 2011: the mean activation of each unit is
-- held near rho), one that takes noise away (Vincent et al., 2008).   dlua autoencoders.lua [epochs]

local dl = require "dl"
local L, ops = dl.layers, dl.ops

dl.set_random_seed(6)
local quick, epochs = os.getenv "DL_EXAMPLE_QUICK", tonumber(arg[1]) or 3
local data = dl.datasets.fashion_mnist() or dl.datasets.shapes()
local function pictures(set) return set.x:reshape{ set.x.shape[1], -1 } end
local train = pictures(quick and data.train:take(2000) or data.train)
local test = pictures(data.test:take(1000))
local pixels = train.shape[2]

local function trained(name, layers)
  local model = dl.Sequential(layers)
  model:compile{ optimizer = "adam", loss = "mse" }
  model:fit{ train, train, epochs = epochs, batch_size = 128, verbose = 0 }
  print(("%-10s error %.4f of the test pictures' variance"):format(name,
    (ops.mean(ops.square(model:predict(test) - test)) / ops.mean(ops.var(test, 1))):item()))
  return model
end

trained("narrow", {
  L.Input{ shape = { pixels } },
  L.Dense{ 128, activation = "relu" }, L.Dense{ 32, activation = "relu" },
  L.Dense{ 128, activation = "relu" }, L.Dense{ pixels, activation = "sigmoid" },
})

local sparse = trained("sparse", {
  L.Input{ shape = { pixels } },
  L.Dense{ 256, activation = "sigmoid", name = "code",
    activity_regularizer = dl.regularizers.KLSparsity{ rho = 0.05, weight = 1e-3 } },
  L.Dense{ pixels, activation = "sigmoid" },
})
local code = dl.Model{ inputs = sparse.inputs, outputs = sparse:get_layer("code").output }:predict(test)
print(("           mean activation of its units: %.3f"):format(ops.mean(code):item()))

trained("denoising", {
  L.Input{ shape = { pixels } },
  L.GaussianNoise{ stddev = 0.3 },
  L.Dense{ 256, activation = "relu" }, L.Dense{ pixels, activation = "sigmoid" },
})

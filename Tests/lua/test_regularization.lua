-- Random layers, encodings, tied layers, merging by name, Rosenblatt's rule.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L = dl.layers

local function moments(x)
  local mean = dl.ops.mean(x):item()
  return mean, dl.ops.mean(dl.ops.square(x - mean)):item()
end

test("random layers keep what they promise", function()
  local x = dl.randn(100, 200)
  local training = { training = true }
  for name, options in pairs{
    Dropout = { 0.3 }, GaussianDropout = { 0.3 }, GaussianNoise = { 0.5 }, AlphaDropout = { 0.3 }, SpatialDropout1D = { 0.3 },
  } do
    options.seed = 5
    local given = name == "SpatialDropout1D" and x:reshape(100, 10, 20) or x
    local layer, again = L[name](options), L[name](options)
    near(layer(given):totable(), given:totable()) -- inference
    local y = layer(given, training)
    near(again(given, training):totable(), y:totable()) -- the seed decides
    assert(dl.ops.sum(dl.ops.abs(layer(given, training) - y)):item() > 1) -- and the draw
    raises({ "dl[E_ARGUMENT]" }, L[name], { -0.5 })
    equal(layer:get_config().seed, 5)
  end
  local mean, variance = moments(L.GaussianNoise{ 0.5, seed = 1 }(dl.zeros(100, 200), training))
  near(mean, 0, 0.02)
  near(variance, 0.25, 0.01)
  mean, variance = moments(L.GaussianDropout{ 0.2, seed = 1 }(dl.ones(100, 200), training))
  near(mean, 1, 0.02)
  near(variance, 0.25, 0.01)
  -- Normalised inputs stay so.
  mean, variance = moments(L.AlphaDropout{ 0.3, seed = 1 }(dl.randn(200, 200), training))
  near(mean, 0, 0.03)
  near(variance, 1, 0.03)
end)

test("noise that is shared", function()
  local y = L.Dropout{ 0.5, noise_shape = { false, 1, 4 }, seed = 2 }(dl.ones(3, 5, 4), { training = true })
  for n = 1, 3 do
    for place = 2, 5 do near(y[{ n, place }]:totable(), y[{ n, 1 }]:totable()) end
  end
  local share = dl.ops.mean(L.Dropout{ 0.4, noise_shape = { 100, 1 }, seed = 2 }(dl.ones(100, 3), { training = true })):item()
  near(share, 1, 0.3)
  raises({ "dl[E_SHAPE]", "noise_shape" }, L.Dropout{ 0.5, noise_shape = { 2, 4 } }, dl.ones(3, 4), { training = true })
  local z = L.SpatialDropout2D{ 0.5, seed = 3 }(dl.ones(4, 3, 3, 8), { training = true })
  for n = 1, 4 do
    local sums = dl.ops.sum(z[n], { axis = { 1, 2 } }):totable()
    for _, sum in ipairs(sums) do assert(sum == 0 or math.abs(sum - 18) < 1e-4, sum) end
  end
  raises({ "dl[E_SHAPE]", "4 axes" }, L.SpatialDropout2D{ 0.5 }, dl.ones(4, 3, 8))
end)

test("encodings", function()
  equal(L.CategoryEncoding{ num_tokens = 3 }(dl.tensor({ { 0, 2 }, { 1, 1 } }, "i32")):totable(), { { 1, 0, 1 }, { 0, 1, 0 } })
  equal(L.CategoryEncoding{ num_tokens = 3, output_mode = "count" }(dl.tensor({ { 1, 1 } }, "i32"),
    { count_weights = dl.tensor{ { 0.5, 2 } } }):totable(), { { 0, 2.5, 0 } })
  raises({ "dl[E_ARGUMENT]", "count_weights" }, L.CategoryEncoding{ num_tokens = 3 }, dl.ones(1, 2),
    { count_weights = dl.ones(1, 2) })
  raises({ "dl[E_SHAPE]", "count_weights" }, L.CategoryEncoding{ num_tokens = 3, output_mode = "count" }, dl.ones(1, 2),
    { count_weights = dl.ones(1, 3) })
  raises("dl[E_ARGUMENT]", L.CategoryEncoding, { num_tokens = 0 })
  local bins = L.Discretization{ num_bins = 4 }
  raises({ "dl[E_STATE]", "adapt" }, bins, dl.ones(3))
  bins:adapt(dl.arange(101) * 1.0)
  equal(bins(dl.tensor{ 3, 30, 60, 99 }):totable(), { 0, 1, 2, 3 })
  equal(#bins:get_config().bin_boundaries, 3)
  raises("dl[E_ARGUMENT]", L.Discretization, {})
  raises({ "dl[E_ARGUMENT]", "low to high" }, L.Discretization, { bin_boundaries = { 2, 1 } })
  raises({ "dl[E_STATE]", "num_bins" }, function() L.Discretization{ bin_boundaries = { 1 } }:adapt(dl.ones(2)) end)
end)

test("activations", function()
  near(L.Activation{ "sparsemax" }(dl.tensor{ { 0.5, 0.6, -1 } }):totable(), { { 0.45, 0.55, 0 } }, 1e-6)
  near(L.Activation{ "glu" }(dl.tensor{ { 2, 4, 0, 0 } }):totable(), { { 1, 2 } }, 1e-6)
  equal(L.Activation{ "gaussian" }(dl.tensor{ 0 }):item(), 1)
  equal(L.Activation{ "step" }(dl.tensor{ -1, 0, 1 }):totable(), { 0, 0, 1 })
  equal(L.Activation{ "sign" }(dl.tensor{ -1, 0, 1 }):totable(), { -1, 0, 1 })
  raises("dl[E_SHAPE]", L.Activation{ "glu" }, dl.ones(2, 3))
  equal(L.PReLU{ shared_axes = { 2, 3 } }:compute_output_shape{ false, false, false, 4 }, { false, false, false, 4 })
  raises({ "dl[E_SHAPE]", "known" }, function() L.PReLU():compute_output_shape{ false, false } end)
  raises({ "dl[E_SHAPE]", "shared_axes" }, L.PReLU{ shared_axes = 1 }, dl.ones(2, 3))
end)

test("merging by name", function()
  local a, b = dl.tensor{ { 1, 2 } }, dl.tensor{ { 3, 5 } }
  equal(L.add{ a, b }:totable(), { { 4, 7 } })
  equal(L.subtract{ a, b }:totable(), { { -2, -3 } })
  equal(L.multiply{ a, b }:totable(), { { 3, 10 } })
  equal(L.average{ a, b }:totable(), { { 2, 3.5 } })
  equal(L.maximum{ a, b }:totable(), { { 3, 5 } })
  equal(L.minimum{ a, b }:totable(), { { 1, 2 } })
  equal(L.concatenate({ a, b }, { axis = 2 }):totable(), { { 1, 2, 3, 5 } })
  equal(L.dot({ a, b }, { axes = 2 }):totable(), { { 13 } })
  near(L.dot({ a, a }, { axes = 2, normalize = true }):totable(), { { 1 } }, 1e-6)
  raises("dl[E_ARGUMENT]", L.add, 3)
  raises({ "dl[E_SHAPE]", "axes" }, L.Dot{ axes = 1 }, { a, b })
  raises({ "dl[E_SHAPE]", "one size" }, L.Dot{ axes = 2 }, { a, dl.ones(1, 3) })
  raises("dl[E_SHAPE]", L.Dot{ axes = 2 }, { a, dl.ones(2, 2) })
end)

test("tied layers", function()
  local encoder = L.Dense{ 2, activation = "tanh", name = "encoder" }
  local model = dl.Sequential{ L.Input{ 5 }, encoder, L.DenseTied{ tied_to = encoder, name = "decoder" } }
  equal(#model.weights, 3)
  equal(model:count_params(), 5 * 2 + 2 + 5)
  local x = dl.randn(4, 5)
  near(model:get_layer("decoder")(encoder(x)):totable(),
    dl.ops.matmul(encoder(x), dl.ops.transpose(encoder.kernel)):totable(), 1e-5)
  model:compile{ optimizer = dl.optimizers.SGD{ 0.1 }, loss = "mse" }
  local before = model:evaluate(x, x, { verbose = 0 })
  model:fit(x, x, { epochs = 20, verbose = 0 })
  local after = model:evaluate(x, x, { verbose = 0 })
  local function number(value) return type(value) == "table" and (value.loss or value[1]) or value end
  assert(number(after) < number(before))
  local copy = dl.model_from_json(model:to_json())
  equal(#copy.weights, 3)
  copy:set_weights(model:get_weights())
  near(copy:predict(x):totable(), model:predict(x):totable(), 1e-6)
  -- The kernel is one: both sides see a change.
  copy:get_layer("encoder"):set_weights{ dl.zeros(5, 2), dl.zeros(2) }
  near(copy:get_layer("decoder")(dl.ones(1, 2)):totable(), { copy:get_layer("decoder").bias:totable() }, 1e-6)

  local conv = L.Conv2D{ 4, 3, strides = 2, padding = "same" }
  local h = conv(dl.randn(2, 8, 8, 3))
  equal(L.Conv2DTied{ tied_to = conv, strides = 2, padding = "same" }(h).shape, { 2, 8, 8, 3 })
  raises({ "dl[E_STATE]", "built first" }, L.DenseTied{ tied_to = L.Dense{ 2 } }, dl.ones(1, 2))
  raises({ "dl[E_ARGUMENT]", "Dense" }, L.DenseTied, { tied_to = conv })
  raises({ "dl[E_STATE]", "not tied" }, L.DenseTied{ tied_to = "nobody" }, dl.ones(1, 2))
  raises("dl[E_ARGUMENT]", L.DenseTied, {})
  raises({ "dl[E_SHAPE]", "size 2" }, L.DenseTied{ tied_to = encoder }, dl.ones(1, 3))
end)

test("Rosenblatt's rule", function()
  local x = dl.tensor{ { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }
  local t = dl.tensor{ { 0 }, { 0 }, { 0 }, { 1 } }
  local layer = L.Perceptron{ units = 1 }
  layer:build{ false, 2 }
  local weights, bias = { 0, 0 }, 0
  for _ = 1, 20 do
    -- One step of the rule, written out, and by the gradient of half the squared error.
    local tape = dl.GradientTape()
    local y = layer(x)
    local loss = dl.ops.sum(dl.ops.square(y - t)) * 0.5
    tape:stop()
    local gradients = tape:gradient(loss, layer.trainable_weights)
    local rows, targets, change, shift = x:totable(), t:totable(), { 0, 0 }, 0
    for n, row in ipairs(rows) do
      local fired = weights[1] * row[1] + weights[2] * row[2] + bias > 0 and 1 or 0
      local error = fired - targets[n][1]
      change[1], change[2], shift = change[1] + error * row[1], change[2] + error * row[2], shift + error
    end
    weights[1], weights[2], bias = weights[1] - change[1], weights[2] - change[2], bias - shift
    local now = layer:get_weights()
    layer:set_weights{ now[1] - gradients[1], now[2] - gradients[2] }
    near(layer:get_weights()[1]:totable(), { { weights[1] }, { weights[2] } }, 1e-6)
    near(layer:get_weights()[2]:totable(), { bias }, 1e-6)
  end
  equal(layer(x):totable(), t:totable())
  raises({ "dl[E_SHAPE]", "size 2" }, layer, dl.ones(1, 3))
end)

T.finish()

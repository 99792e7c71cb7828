-- Layers: constructors out of declarations, checked options, layers written in Lua.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L = dl.layers

test("positions and names", function()
  for _, layer in ipairs{ L.Dense(4), L.Dense{ 4 }, L.Dense{ units = 4 }, L.Dense(4, { use_bias = true }) } do
    equal(layer:get_config().units, 4)
  end
  local conv = L.Conv2D{ 6, 5, padding = "same", name = "C1" }
  equal(conv.name, "C1")
  equal(conv:get_config().filters, 6)
  equal(conv:get_config().padding, "same")
  equal(L.Reshape{ 2, 3 }:get_config().target_shape, { 2, 3 })
  equal(L.Reshape{ { 2, 3 } }:get_config().target_shape, { 2, 3 })
  equal(L.Reshape({ 2, 3 }):get_config().target_shape, { 2, 3 })
end)

test("wrong options are refused at the caller's line", function()
  local message = raises({ "dl[E_ARGUMENT]", "unknown option 'activaton'", "Dense", "did you mean 'activation'" },
    function() L.Dense{ 4, activaton = "relu" } end)
  assert(message:match "^[^:]*test_layers%.lua:%d+: dl%[E_ARGUMENT%]", message)
  raises({ "'units'", "Dense", "'x'" }, L.Dense, { "x" })
  raises({ "'units'", "2.5" }, L.Dense, { 2.5 })
  raises({ "dl[E_ARGUMENT]", "units" }, L.Dense, {})
  raises({ "dl[E_ARGUMENT]" }, L.Dense, { units = -1 })
  raises({ "given twice" }, L.Dense, { 4, units = 4 })
  raises({ "padding", "'sam'", "did you mean 'same'" }, L.Conv2D, { 1, 3, padding = "sam" })
  raises({ "relu" }, L.Dense, { 3, activation = "rlu" })
  raises({ "put a Lua function into" }, L.Dense, { 3, activation = function() end })
  raises({ "there is no dl.layers.Dens", "did you mean 'Dense'" }, function() return L.Dens end)
end)

test("false and nil", function()
  equal(L.Dense{ 4, use_bias = false }:get_config().use_bias, false)
  equal(L.Dense{ 4, use_bias = nil }:get_config().use_bias, true)
  local none = L.Dense{ 4, activation = false }:get_config().activation
  assert(none == nil or none == "linear", none)
  raises("dl[E_ARGUMENT]", L.Dense, { 4, kernel_initializer = false })
end)

test("initializers and regularizers as objects", function()
  local layer = L.Dense{
    2, kernel_initializer = dl.initializers.Constant{ 0.5 }, kernel_regularizer = dl.regularizers.L2{ 0.01 },
  }
  near(layer(dl.ones(1, 3)):totable(), { { 1.5, 1.5 } })
  raises("dl[E_ARGUMENT]", L.Dense, { 2, kernel_initializer = dl.regularizers.L2{ 0.01 } })
  equal(dl.initializers.Ones()({ 2 }):totable(), { 1, 1 })
  raises({ "unknown option 'valu'", "value" }, dl.initializers.Constant, { valu = 1 })
end)

test("called on numbers", function()
  local layer = L.Dense{ 3, kernel_initializer = "ones" }
  equal(layer.built, false)
  near(layer(dl.tensor{ { 1, 2 } }):totable(), { { 3, 3, 3 } })
  equal(layer.built, true)
  equal(layer.kernel.shape, { 2, 3 })
  equal(layer.bias.shape, { 3 })
  equal(layer:count_params(), 9)
  equal(#layer.weights, 2)
  layer:set_weights{ dl.zeros(2, 3), dl.ones(3) }
  near(layer{ { 1, 2 } }:totable(), { { 1, 1, 1 } })
  raises("dl[E_", function() layer:set_weights{ dl.zeros(2, 3) } end)
  raises("dl[E_", function() layer:set_weights{ dl.zeros(3, 3), dl.ones(3) } end)
  raises({ "dl[E_SHAPE]" }, layer, dl.ones(1, 5))
  raises("dl[E_ARGUMENT]", layer, nil)
  raises("dl[E_ARGUMENT]", layer, "x")
end)

test("called on symbolic tensors", function()
  local x = L.Input{ shape = { 4 } }
  equal(x.kind, "symbolic")
  equal(x.shape, { false, 4 })
  local y = L.Dense{ 3 }(x)
  equal(y.shape, { false, 3 })
  raises("dl[E_STATE]", function() y:item() end)
  raises("dl[E_STATE]", function() return #y end)
  equal((y * 2 + 1).shape, { false, 3 })
  equal(L.Input{ 28, 28, 1 }.shape, { false, 28, 28, 1 })
  equal(L.Input{ shape = { dl.None, 3 } }.shape, { false, false, 3 })
  raises("dl[E_ARGUMENT]", L.Input, {})
  raises("dl[E_SHAPE]", L.Input, { shape = { 1.5 } })
end)

test("training mode", function()
  local drop, x = L.Dropout{ 0.5, seed = 1 }, dl.ones(10, 10)
  equal(drop(x, { training = false }):totable(), x:totable())
  local sum = drop(x, { training = true }):eq(0):to "f32":sum():item()
  assert(sum > 20 and sum < 80, sum)
  raises("unknown option 'trainin'", drop, x, { trainin = true })
end)

test("layers say what they are", function()
  local layer = L.Dense{ 3, name = "head" }
  assert(tostring(layer):find "head" and tostring(layer):find "Dense")
  layer(dl.ones(1, 2))
  assert(tostring(layer):find "9 parameters", tostring(layer))
  assert(tostring(L.Dense):find "dl.layers.Dense")
end)

test("configurations make equal layers", function()
  local layer = L.Conv2D{ 6, { 3, 5 }, strides = 2, activation = "relu", name = "c" }
  local copy = L.from_json(layer:to_json())
  equal(copy:get_config(), layer:get_config())
  raises("dl[E_", L.from_json, "{")
  raises({ "dl[E_NOT_FOUND]" }, L.from_json, '{"class_name": "Dens", "config": {}}')
end)

test("Lambda", function()
  local twice = L.Lambda(function(x) return x * 2 end, { name = "twice" })
  equal(twice(dl.tensor{ 1, 2 }):totable(), { 2, 4 })
  equal(twice.name, "twice")
  raises("dl[E_ARGUMENT]", L.Lambda, 3)
  raises({ "test_layers.lua", "no good" }, L.Lambda(function() error "no good" end), dl.ones(1))
  raises({ "expected a tensor" }, L.Lambda(function() return "x" end), dl.ones(1))
  raises({ "expected a tensor" }, L.Lambda(function() end), dl.ones(1))
end)

local Scale = L.Layer:extend("Scale", {
  build = function(self, input_shape)
    self.factor = self:add_weight{
      name = "factor", shape = { input_shape[#input_shape] }, initializer = self.start or "ones", trainable = true,
    }
  end,
  call = function(self, x) return x * self.factor * (self.gain or 1) end,
})

test("a layer written in Lua", function()
  local layer = Scale{ gain = 3, name = "scale" }
  equal(layer.name, "scale")
  near(layer(dl.tensor{ { 1, 2 } }):totable(), { { 3, 6 } })
  equal(#layer.trainable_weights, 1)
  equal(layer.factor.shape, { 2 })
  equal(layer:get_config().gain, 3)
  local json = layer:to_json()
  near(L.from_json(json)(dl.tensor{ { 1, 2 } }):totable(), { { 3, 6 } })
end)

test("gradients flow through it", function()
  local layer = Scale()
  local x = dl.tensor{ { 1, 2 }, { 3, 4 } }
  layer(x)
  local tape <close> = dl.GradientTape()
  local y = layer(x):sum()
  near(tape:gradient(y, layer.trainable_weights)[1]:totable(), { 4, 6 })
end)

test("in a model, trained and saved", function()
  local model = dl.Sequential{ L.Input{ 2 }, Scale{ gain = 2, name = "s" }, L.Dense{ 1 } }
  model:compile{ optimizer = "sgd", loss = "mse" }
  local x, y = dl.ones(32, 2), dl.ones(32, 1)
  local history = model:fit(x, y, { epochs = 3, verbose = 0, batch_size = 8 })
  assert(history.loss[3] < history.loss[1])
  local path = T.temporary ".dlm"
  assert(model:save(path))
  local copy = assert(dl.load_model(path))
  near(copy:predict(x):totable()[1], model:predict(x):totable()[1])
  os.remove(path)
end)

test("bad classes", function()
  raises("dl[E_ARGUMENT]", L.Layer.extend, L.Layer, "x y", { call = print })
  raises("needs a function 'call'", L.Layer.extend, L.Layer, "Empty", {})
  raises("must be a function", L.Layer.extend, L.Layer, "Odd", { call = 3 })
  raises("Layer:extend", L.Layer)
  raises("dl[E_ARGUMENT]", Scale, 3)
  local Bad = L.Layer:extend("BadBuild", { build = function() error("cannot build", 0) end, call = function(_, x) return x end })
  raises("cannot build", Bad(), dl.ones(1, 1))
  local Weight = L.Layer:extend("BadWeight", {
    build = function(self) self:add_weight{ shap = { 1 } } end, call = function(_, x) return x end,
  })
  raises({ "unknown option 'shap'", "shape" }, Weight(), dl.ones(1, 1))
end)

test("error values that are tables survive", function()
  local layer = L.Lambda(function() error({ code = 7 }) end)
  local fine, value = pcall(layer, dl.ones(1))
  equal(fine, false)
  equal(value.code, 7)
end)

test("layers in a cycle of Lua are collected", function()
  collectgarbage()
  local before = dl.memory().live_handles
  for _ = 1, 20 do
    local layer = Scale{ gain = 2 }
    layer(dl.ones(1, 2))
  end
  collectgarbage()
  collectgarbage()
  assert(dl.memory().live_handles - before < 10, dl.memory().live_handles - before)
end)

test("zero padding, windows over the border, and windows for what is left", function()
  local x = dl.arange(9):to "f32":reshape{ 1, 3, 3, 1 }
  near(L.ZeroPadding2D{ padding = { { 1, 0 }, { 0, 2 } } }(x):reshape{ 4, 5 }:totable(),
    { { 0, 0, 0, 0, 0 }, { 1, 2, 3, 0, 0 }, { 4, 5, 6, 0, 0 }, { 7, 8, 9, 0, 0 } })
  equal(L.ZeroPadding2D{ { 2, 1 }, data_format = "channels_first" }(dl.ones{ 1, 2, 3, 3 }).shape, { 1, 2, 7, 5 })
  near(L.MaxPooling2D{ 2, ceil_mode = true }(x):reshape{ 2, 2 }:totable(), { { 5, 6 }, { 8, 9 } })
  near(L.AveragePooling2D{ 2, ceil_mode = true }(x):reshape{ 2, 2 }:totable(), { { 3, 4.5 }, { 7.5, 9 } })
  near(L.MaxPooling2D{ 3, strides = 2, padding = 1 }(x):reshape{ 2, 2 }:totable(), { { 5, 6 }, { 8, 9 } })
  -- A last window must begin inside.
  equal(L.MaxPooling2D{ 1, strides = 2, ceil_mode = true }(dl.ones{ 1, 4, 5, 1 }).shape, { 1, 2, 3, 1 })
  equal(L.Conv2D{ 4, 3, strides = 2, padding = 1 }(dl.ones{ 1, 8, 7, 2 }).shape, { 1, 4, 4, 4 })
  near(L.Conv2D{ 1, 3, padding = { 0, 1, 2, 0 }, kernel_initializer = "ones" }(x):totable(),
    L.Conv2D{ 1, 3, kernel_initializer = "ones" }(L.ZeroPadding2D{ { { 0, 1 }, { 2, 0 } } }(x)):totable())
  raises({ "padding", "'sme'", "did you mean 'same'" }, L.MaxPooling2D, { 2, padding = "sme" })
  raises({ "padding", "Conv2D" }, L.Conv2D, { 1, 3, padding = -1 })
  raises({ "padding", "ZeroPadding2D" }, L.ZeroPadding2D, { padding = "same" })
end)

test("windows of a given number", function()
  local x = dl.arange(7):to "f32":reshape{ 1, 1, 7, 1 }
  near(L.AdaptiveAveragePooling2D{ { 1, 3 } }(x):reshape{ -1 }:totable(), { 2, 4, 6 })
  near(L.AdaptiveAveragePooling2D{ { 2, 2 } }(dl.ones{ 1, 5, 5, 3 }):totable(), dl.ones{ 1, 2, 2, 3 }:totable())
  equal(L.AdaptiveAveragePooling2D{ 7 }(dl.ones{ 2, 2, 3, 4 }).shape, { 2, 7, 7, 4 })
end)

test("local response normalisation by its formula", function()
  local c, size, alpha, beta, k = 20, 5, 0.4, 0.75, 1.5
  local x = dl.randn(3, c)
  local y = L.LocalResponseNormalization{ size = size, alpha = alpha, beta = beta, k = k }(x):totable()
  for row, numbers in ipairs(x:totable()) do
    for i = 1, c do
      local sum = 0
      for j = math.max(1, i - size // 2), math.min(c, i + (size - 1) // 2) do sum = sum + numbers[j] ^ 2 end
      near(y[row][i], numbers[i] / (k + alpha / size * sum) ^ beta, 1e-5)
    end
  end
  local pictures = dl.randn(2, 3, 4, 6)
  near(L.LocalResponseNormalization{ data_format = "channels_first" }(pictures:transpose{ 1, 4, 2, 3 })
    :transpose{ 1, 3, 4, 2 }:totable(), L.LocalResponseNormalization()(pictures):totable())
end)

test("every layer has a description, and its example runs", function()
  for _, name in ipairs(dl.list "layer") do
    local declaration = assert(dl.describe("layer", name))
    assert(declaration.summary ~= "" and declaration.shapes ~= "", name)
    if declaration.example then assert(load(declaration.example, "=example of " .. name))() end
  end
end)

test("use after close", function()
  local layer = L.Dense{ 2 }
  layer:close()
  raises({ "dl[E_STATE]", "closed" }, layer, dl.ones(1, 1))
  assert(tostring(layer):find "closed")
end)

T.finish()

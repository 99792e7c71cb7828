-- Functions with a gradient of their own: on tapes, in models, in compiled functions, and where they are refused.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local ops, layers = dl.ops, dl.layers

-- ln(1 + e^x), whose own gradient does not overflow.
local log1pexp = ops.custom_gradient(function(x)
  local e = x:exp()
  return (e + 1):log(), function(dy) return dy * (1 - 1 / (e + 1)) end
end)

-- Rounds, and lets gradients through.
local straight = ops.custom_gradient(function(x) return x:round(), function(dy) return dy end end)

test("the gradient is the function's own", function()
  local doubled = ops.custom_gradient(function(x) return x * x, function(dy) return dy * 100 end end)
  equal(doubled(dl.tensor{ 3 }):totable(), { 9 })
  near(dl.grad(function(x) return doubled(x):sum() end)(dl.tensor{ 3, 4 }):totable(), { 100, 100 })
  near(dl.grad(function(x) return straight(x * 2):sum() end)(dl.tensor{ 0.3, 0.4 }):totable(), { 2, 2 })
end)

test("gradients of gradients go through what the function computed on the way", function()
  local first = dl.grad(log1pexp)
  near(first(dl.tensor(0)):item(), 0.5)
  near(dl.grad(first)(dl.tensor(0)):item(), 0.25)
  near(dl.grad(dl.grad(first))(dl.tensor(1)):item(), 0.19661193 * (1 - 2 * 0.73105858), 1e-4)
end)

test("several arguments and results, and arguments that are no tensors", function()
  local seen
  local f = ops.custom_gradient(function(a, factor, b)
    return a * factor, b + a, function(da, db)
      seen = { da:totable(), db:totable() }
      return da * 10, nil, db * 100
    end
  end)
  local a, b = dl.Variable{ 1, 2 }, dl.Variable{ 3, 4 }
  local tape <close> = dl.GradientTape()
  local x, y = f(a, 5, b)
  equal({ x:totable(), y:totable() }, { { 5, 10 }, { 4, 6 } })
  local g = tape:gradient(x:sum() + (y * 2):sum(), { a, b })
  equal(seen, { { 1, 1 }, { 2, 2 } })
  near({ g[1]:totable(), g[2]:totable() }, { { 10, 10 }, { 200, 200 } })
  -- A result that the target does not depend on has zeros.
  g = tape:gradient(x, { a, b })
  equal(seen[2], { 0, 0 })
  near(g[1]:totable(), { 10, 10 })
end)

test("lists for results and gradients", function()
  local f = ops.custom_gradient(function(a, b)
    return { a + b, a - b }, function(s, d) return { s * 2, d * 3 } end
  end)
  local a, b = dl.Variable{ 1 }, dl.Variable{ 2 }
  local tape <close> = dl.GradientTape()
  local s, d = f(a, b)
  local g = tape:gradient(s + d, { a, b })
  near({ g[1]:item(), g[2]:item() }, { 2, 3 })
end)

test("numbers as gradients are taken as tensors, missing ones as none", function()
  local none = ops.custom_gradient(function(x) return x * 2, function() return nil end end)
  local x = dl.Variable(3)
  local tape <close> = dl.GradientTape()
  equal(tape:gradient(none(x), x), nil)
  local seven = ops.custom_gradient(function(v) return v * 2, function() return 7 end end)
  near(tape:gradient(seven(x), x):item(), 7)
end)

test("compiled functions hold it", function()
  local w = dl.Variable({ 0.25, 0.75 }, { name = "w" })
  local step = dl.compile(function(x)
    local tape <close> = dl.GradientTape()
    local loss = (straight(w * x)):sum()
    return tape:gradient(loss, w), loss
  end)
  for _ = 1, 2 do
    local g, loss = step(dl.tensor{ 2, 4 })
    near(g:totable(), { 2, 4 })
    near(loss:item(), 0 + 3, 1)
  end
end)

local function data()
  dl.set_random_seed(3)
  local x = dl.uniform({ 64, 4 }, { minval = -1, maxval = 1 })
  return x, x:matmul(dl.tensor{ { 1 }, { -2 }, { 0.5 }, { 0 } })
end

-- A model whose middle is given; its weights are the same for each.
local function trained(middle, options)
  local x, y = data()
  dl.set_random_seed(11)
  local model = dl.Sequential{ layers.Dense{ 8, input_shape = { 4 } }, middle, layers.Dense{ 1 } }
  model:compile{ optimizer = dl.optimizers.SGD{ learning_rate = 0.05 }, loss = "mse", run_eagerly = options and options.eager }
  local history = model:fit(x, y, { epochs = 3, batch_size = 16, shuffle = false, verbose = 0 })
  return model, history.history and history.history.loss or history.loss, x
end

test("in a Lambda layer, trained by fit, compiled and eager", function()
  local square = ops.custom_gradient(function(x) return x * x, function(dy) return dy * 2 * x end end)
  local plain = trained(layers.Lambda(function(x) return x * x end))
  local own, losses, x = trained(layers.Lambda(square))
  local eager = trained(layers.Lambda(square), { eager = true })
  assert(losses[#losses] < losses[1], "training makes it better")
  near(own:predict(x):totable(), plain:predict(x):totable(), 1e-5)
  near(eager:predict(x):totable(), plain:predict(x):totable(), 1e-5)
  -- A gradient of 0 leaves the layer before it alone.
  local stop = ops.custom_gradient(function(v) return v * v, function(dy) return dy * 0 end end)
  local blocked = trained(layers.Lambda(stop))
  dl.set_random_seed(11)
  local fresh = dl.Sequential{ layers.Dense{ 8, input_shape = { 4 } }, layers.Dense{ 1 } }
  equal(blocked.layers[1].weights[1]:totable(), fresh.layers[1].weights[1]:totable())
end)

test("in a layer written in Lua", function()
  local Quantised = layers.Layer:extend("QuantisedForTest", {
    build = function(self, shape)
      self.kernel = self:add_weight{ name = "kernel", shape = { shape[#shape], 8 }, initializer = "glorot_uniform" }
    end,
    call = function(self, x) return x:matmul(straight(self.kernel * 16) / 16) end,
  })
  local _, losses = trained(Quantised{})
  assert(losses[#losses] < losses[1])
end)

test("on symbolic tensors of a model", function()
  local function build(f)
    dl.set_random_seed(5)
    local x = layers.Input{ shape = { 4 } }
    local y = layers.Dense{ 1 }(f(layers.Dense{ 8 }(x)))
    local model = dl.Model{ inputs = x, outputs = y }
    model:compile{ optimizer = dl.optimizers.SGD{ learning_rate = 0.05 }, loss = "mse" }
    return model
  end
  local cube = ops.custom_gradient(function(v) return v * v * v, function(dy) return dy * 3 * v * v end end)
  local own, plain = build(cube), build(function(v) return v * v * v end)
  local x, y = data()
  for _, model in ipairs{ own, plain } do model:fit(x, y, { epochs = 2, shuffle = false, verbose = 0 }) end
  near(own:predict(x):totable(), plain:predict(x):totable(), 1e-5)
  raises({ "dl[E_UNSUPPORTED]", "gradient of its own" }, dl.models.from_json, own:to_json())
end)

test("what is used must be an argument", function()
  local w = dl.Variable({ 2 }, { name = "scale" })
  local hidden = ops.custom_gradient(function(x) return x * w, function(dy) return dy end end)
  equal(hidden(dl.tensor{ 3 }):totable(), { 6 })
  raises({ "dl[E_ARGUMENT]", "variable 'scale", "argument" }, dl.grad(hidden), dl.tensor{ 3 })
  local open = ops.custom_gradient(function(x) return x * ops.stop_gradient(w), function(dy) return dy end end)
  near(dl.grad(open)(dl.tensor{ 3 }):totable(), { 1 })
  local tape <close> = dl.GradientTape()
  local z = dl.tensor{ 5 }
  tape:watch(z)
  local watched = ops.custom_gradient(function(x) return x + z * 2, function(dy) return dy end end)
  raises({ "dl[E_ARGUMENT]", "a watched tensor" }, watched, w)
end)

test("what is refused", function()
  raises({ "dl[E_ARGUMENT]", "must be a function" }, ops.custom_gradient, 3)
  raises({ "dl[E_ARGUMENT]", "at least one tensor" }, straight)
  raises({ "dl[E_ARGUMENT]", "at least one tensor, got 3" }, straight, 3)
  local x = dl.tensor{ 1, 2 }
  raises({ "dl[E_ARGUMENT]", "function for the gradients" }, ops.custom_gradient(function(v) return v end), x)
  raises({ "dl[E_ARGUMENT]", "nothing" }, ops.custom_gradient(function() end), x)
  raises("no tensor", ops.custom_gradient(function() return {}, function() end end), x)
  raises({ "dl[E_SHAPE]", "argument 1 of 1", "(2,)", "(3,)" },
    dl.grad(ops.custom_gradient(function(v) return v * 1, function() return dl.ones{ 3 } end end)), x)
  raises({ "dl[E_DTYPE]", "float64" },
    dl.grad(ops.custom_gradient(function(v) return v * 1, function(dy) return dy:to "f64" end end)), x)
  raises({ "dl[E_ARGUMENT]", "each of the 1 arguments, got 2" },
    dl.grad(ops.custom_gradient(function(v) return v * 1, function(dy) return dy, dy end end)), x)
  raises("boom in front", ops.custom_gradient(function() error "boom in front" end), x)
  raises("boom behind", dl.grad(ops.custom_gradient(function(v) return v * 1, function() error "boom behind" end end)), x)
  -- An error leaves everything as it was.
  near(dl.grad(straight)(x):totable(), { 1, 1 })
end)

test("nothing is kept when nobody asks for gradients any more", function()
  local weak = setmetatable({}, { __mode = "k" })
  do
    local f = ops.custom_gradient(function(v)
      local token = {}
      weak[token] = true
      return v * 2, function(dy) return token and dy end
    end)
    near(dl.grad(f)(dl.tensor{ 1 }):totable(), { 1 })
  end
  for _ = 1, 4 do
    collectgarbage()
    dl.tensor{ 1 }:exp()
  end
  -- The next callback gives back what is dead.
  straight(dl.tensor{ 1 })
  collectgarbage()
  collectgarbage()
  equal(next(weak), nil)
end)

T.finish()

-- Optimizers and schedules: written in Lua, followed by compiled steps, and what bad input gets.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L, O = dl.layers, dl.optimizers

-- One weight of 1 whose gradient is always 1: what an update takes off is the learning rate.
local function slope(optimizer, eager)
  dl.set_random_seed(1)
  local model = dl.Sequential{ L.Input{ 1 }, L.Dense{ 1, use_bias = false, kernel_initializer = "ones" } }
  model:compile{ optimizer = optimizer, loss = function(_, p) return p end, run_eagerly = eager }
  local x, y, weights = dl.ones{ 2, 1 }, dl.zeros{ 2, 1 }, {}
  for step = 1, 4 do
    model:train_on_batch(x, y)
    weights[step] = model:get_weights()[1]:item()
  end
  return weights, model
end

test("a schedule sets the rate of each update", function()
  for _, eager in ipairs{ false, true } do
    local weights, model = slope(O.SGD{ O.schedules.PiecewiseConstantDecay({ 1, 2 }, { 0.5, 0.25, 0.125 }) }, eager)
    near(weights, { 0.5, 0.0, -0.25, -0.375 })
    near(model.optimizer.learning_rate, 0.125)
    equal(model.optimizer.iterations, 4)
    raises({ "dl[E_STATE]", "PiecewiseConstantDecay" }, function() model.optimizer.learning_rate = 1.0 end)
    equal(model.optimizer:get_config().learning_rate.class_name, "PiecewiseConstantDecay")
  end
end)

test("a schedule can be a function or a class", function()
  local steps = {}
  local function halving(step)
    steps[#steps + 1] = step
    return 0.5 / 2 ^ step
  end
  near((slope(O.SGD{ learning_rate = halving })), { 0.5, 0.25, 0.125, 0.0625 })
  assert(#steps >= 4 and steps[#steps] == 3, #steps)
  local Warmup = O.schedules.LearningRateSchedule:extend("Warmup", {
    call = function(self, step) return math.min(step + 1, self.steps) / self.steps * self.peak end,
  })
  local schedule = Warmup{ peak = 0.5, steps = 2 }
  near(schedule(0), 0.25)
  for _, eager in ipairs{ false, true } do near((slope(O.SGD{ schedule }, eager)), { 0.75, 0.25, -0.25, -0.75 }) end
end)

test("schedules can be called", function()
  near(O.schedules.CosineDecay(0.1, 100)(50), 0.05)
  near(O.schedules.CosineDecay{ initial_learning_rate = 0.0, decay_steps = 10, warmup_target = 0.5, warmup_steps = 5 }(1), 0.1)
  near(O.schedules.ExponentialDecay(0.1, 10, 0.5)(20), 0.025)
  raises("dl[E_ARGUMENT]", O.schedules.CosineDecay(0.1, 100), -1)
  raises("decay_steps", function() return O.schedules.CosineDecay(0.1, -3)(1) end)
end)

test("gradients add up over steps", function()
  near((slope(O.SGD{ 0.5, gradient_accumulation_steps = 2 })), { 1, 0.5, 0.5, 0.0 })
  near((slope(O.SGD{ 0.5, use_ema = true, ema_momentum = 0.5, ema_overwrite_frequency = 2 })), { 0.5, 0.25, -0.25, -0.375 })
end)

test("the moving average is what fit ends with", function()
  local model = dl.Sequential{ L.Input{ 1 }, L.Dense{ 1, use_bias = false, kernel_initializer = "ones" } }
  model:compile{ optimizer = O.SGD{ 0.5, use_ema = true, ema_momentum = 0.5 }, loss = function(_, p) return p end }
  model:fit(dl.ones{ 2, 1 }, dl.zeros{ 2, 1 }, { epochs = 2, verbose = 0 })
  near(model:get_weights()[1]:item(), 0.25)
end)

test("the loss's scale changes nothing", function()
  near((slope(O.SGD{ 0.5, loss_scale_factor = 16 })), { 0.5, 0.0, -0.5, -1.0 })
end)

test("each optimizer takes a step downhill", function()
  for name, make in pairs(O) do
    if name ~= "schedules" and name ~= "Optimizer" then
      local w = dl.Variable{ { 3.0, -2.0 }, { 1.0, 4.0 } }
      make{ learning_rate = 0.1 }:apply({ dl.tensor{ { 1.0, -1.0 }, { 2.0, 0.5 } } }, { w })
      local t = w:totable()
      assert(t[1][1] < 3 and t[1][2] > -2 and t[2][1] < 1, name)
    end
  end
end)

test("what cannot be is refused in words", function()
  for _, name in ipairs{ "SGD", "Adam", "Lamb", "Ftrl" } do
    raises({ name, "learning_rate" }, O[name], { learning_rate = -1 })
    raises({ name, "weight_decay" }, O[name], { weight_decay = -0.1 })
    raises({ name, "gradient_accumulation_steps" }, O[name], { gradient_accumulation_steps = 1 })
    raises("only one of", O[name], { clipnorm = 1, clipvalue = 1 })
  end
  raises("learning_rate", O.SGD, { learning_rate = "fast" })
  raises("learning_rate", O.SGD, { learning_rate = L.Dense })
  raises("did you mean", O.SGD, { learning_rates = 0.1 })
  raises("CosineDecay", function() return O.schedules.CosinDecay end)
  raises("a number", function() slope(O.SGD{ learning_rate = function() return "much" end }) end)
  raises("at least 0", function() slope(O.SGD{ learning_rate = function() return -1 end }) end)
  raises("my own words", function() slope(O.SGD{ learning_rate = function() error "my own words" end }) end)
  raises("call", O.schedules.LearningRateSchedule.extend, O.schedules.LearningRateSchedule, "Empty", {})
  raises("derived", O.schedules.LearningRateSchedule)
end)

T.finish()

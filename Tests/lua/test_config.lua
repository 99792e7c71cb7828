-- dl.config: limits of training, and how it prints; properties of layers and models.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L, config = dl.layers, dl.config

local x, y = dl.tensor{ { 1.0 }, { 2.0 }, { 3.0 } }, dl.tensor{ { 1.0 }, { 2.0 }, { 3.0 } }

test("limits of training", function()
  local model = dl.Sequential{ L.Input{ 1 }, L.Dense{ 1 } }
  model:compile{ optimizer = "sgd", loss = "mse" }
  equal(config.max_epochs(), nil)
  config.set_max_epochs(2)
  config.set_max_steps_per_epoch(1)
  equal({ config.max_epochs(), config.max_steps_per_epoch() }, { 2, 1 })
  local steps = 0
  local history = model:fit(x, y, { epochs = 5, batch_size = 1, verbose = 0,
    callbacks = { { on_batch_end = function() steps = steps + 1 end } } })
  equal({ #history.loss, steps }, { 2, 2 })
  config.set_max_epochs(nil)
  config.set_max_steps_per_epoch(nil)
  equal(#model:fit(x, y, { epochs = 3, verbose = 0 }).loss, 3)
  raises("set_max_epochs", config.set_max_epochs, 0)
  raises("set_max_steps_per_epoch", config.set_max_steps_per_epoch, "many")
end)

test("interactive logging", function()
  equal(config.is_interactive_logging_enabled(), true)
  config.disable_interactive_logging()
  equal(config.is_interactive_logging_enabled(), false)
  config.enable_interactive_logging()
end)

test("properties and files by function", function()
  equal(L.Dense{ 2 }.dtype, "float32")
  local model, path = dl.Sequential{ L.Input{ 1 }, L.Dense{ 1 } }, T.temporary()
  assert(dl.save_model(model, path))
  near(assert(dl.load_model(path)):predict(x):totable(), model:predict(x):totable())
  os.remove(path)
end)

T.finish()

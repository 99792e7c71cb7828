-- Callbacks, and training steps of one's own.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L, C = dl.layers, dl.callbacks

local function line(optimizer)
  dl.set_random_seed(1)
  local model = dl.Sequential{ L.Input{ 1 }, L.Dense{ 1, use_bias = false, kernel_initializer = "ones" } }
  model:compile{ optimizer = optimizer or dl.optimizers.SGD{ 0.1 }, loss = "mse" }
  return model, dl.tensor{ { 1.0 }, { 2.0 }, { -1.0 }, { 0.5 } }, dl.tensor{ { 2.0 }, { 4.0 }, { -2.0 }, { 1.0 } }
end

test("curves as a picture", function()
  local path = os.tmpname()
  local model, x, y = line()
  model:fit(x, y, { epochs = 3, verbose = 0, validation_data = { x, y }, callbacks = {
    C.Plot{ path, figures = { "loss", "val_loss" } } } })
  local text = assert(io.open(path)):read "a"
  os.remove(path)
  assert(text:find("<svg", 1, true) and text:find "val_loss" and select(2, text:gsub("<polyline", "")) == 2, text)
  raises("there is no figure 'los'", model.fit, model, x, y, { verbose = 0, callbacks = { C.Plot{ path, figures = { "los" } } } })
  raises("file name", C.Plot, {})
  os.remove(path)
end)

test("moving averages while validating", function()
  local model, x, y = line(dl.optimizers.SGD{ 0.1, use_ema = true, ema_momentum = 0.5 })
  local during, after = {}, {}
  model:fit(x, y, { epochs = 2, verbose = 0, validation_data = { x, y }, callbacks = {
    C.SwapEMAWeights(),
    { on_test_begin = function(_, m) during[#during + 1] = m:get_weights()[1]:item() end,
      on_epoch_end = function(_, _, m) after[#after + 1] = m:get_weights()[1]:item() end },
  } })
  assert(during[2] ~= after[2])
  near(model:get_weights()[1]:item(), during[2])
  local plain = line()
  raises("use_ema", plain.fit, plain, x, y, { verbose = 0, callbacks = { C.SwapEMAWeights() } })
end)

test("histories and logs", function()
  local history, lines = C.History(), {}
  local model, x, y = line()
  local returned = model:fit(x, y, { epochs = 2, verbose = 0, callbacks = {
    history, C.ProgbarLogger{ print_fn = function(text) lines[#lines + 1] = text end } } })
  near(history.history.loss, returned.loss)
  equal(#lines, 2)
  assert(lines[2]:find "Epoch 2 %- loss: ")
end)

test("a training step of one's own", function()
  local model, x, y = line()
  local optimizer, steps, tested = dl.optimizers.SGD{ 0.1 }, 0, 0
  model.train_step = function(m, batch, target)
    steps = steps + 1
    local loss, gradients = dl.value_and_grad(function() return ((m(batch) - target) ^ 2):mean() end, m.trainable_variables)
    optimizer:apply(gradients, m.trainable_variables)
    return { loss = loss }
  end
  model.test_step = function(m, batch, target)
    tested = tested + 1
    return { loss = ((m(batch) - target) ^ 2):mean(), samples = #batch }
  end
  local epochs = {}
  local history = model:fit(x, y, { epochs = 3, batch_size = 4, shuffle = false, verbose = 0, validation_data = { x, y },
    callbacks = { { on_epoch_end = function(epoch, logs) epochs[epoch] = logs.loss end } } })
  local other = line()
  local wanted = other:fit(x, y, { epochs = 3, batch_size = 4, shuffle = false, verbose = 0, validation_data = { x, y } })
  near(history.loss, wanted.loss)
  near(history.val_loss, wanted.val_loss)
  near(epochs, wanted.loss)
  equal({ steps, tested }, { 3, 3 })
  -- Shuffled batches see every sample once.
  local seen = {}
  model.train_step = function(_, batch)
    for _, row in ipairs(batch:totable()) do seen[#seen + 1] = row[1] end
    return {}
  end
  model:fit(x, y, { batch_size = 3, verbose = 0 })
  table.sort(seen)
  near(seen, { -1.0, 0.5, 1.0, 2.0 })
  raises("train_step", function() model.train_step = 3 end)
  model.train_step = function() return 3 end
  raises("a table of figures", model.fit, model, x, y, { verbose = 0 })
  model.train_step = nil
  near(#model:fit(x, y, { verbose = 0 }).loss, 1)
end)

test("lists of callbacks", function()
  local seen = {}
  local Counter = C.Callback:extend("Counter", {
    init = function(self) self.epochs = 0 end,
    on_epoch_end = function(self, epoch) self.epochs = self.epochs + epoch end,
  })
  local model, x, y = line()
  local counter = Counter{}
  local list = C.CallbackList{ { on_epoch_end = function(epoch, logs) seen[epoch] = logs.loss end }, counter, model = model }
  list:on_epoch_end(3, { loss = 0.5 })
  list:on_train_end()
  equal({ seen[3], counter.epochs, counter.model == model }, { 0.5, 3, true })
  seen, counter.epochs = {}, 0
  list:append(C.CallbackList{ C.EarlyStopping{ monitor = "loss", patience = 100 } })
  model:fit(x, y, { epochs = 2, verbose = 0, callbacks = { list } })
  equal({ #seen, counter.epochs }, { 2, 3 })
  local other = C.CallbackList{ C.EarlyStopping{} }
  raises({ "EarlyStopping", "fit alone" }, other.on_epoch_end, other, 1, {})
  raises("CallbackList takes a table", C.CallbackList, 3)
  raises("holds callbacks", C.CallbackList, { 3 })
  local evaluated = model:evaluate(x, y, { return_dict = true })
  equal(evaluated.loss, evaluated[1])
  equal(model:test_on_batch(x, y, { return_dict = true }).loss, evaluated.loss)
end)

T.finish()

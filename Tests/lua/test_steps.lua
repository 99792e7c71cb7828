-- Steps of one's own in every way of training, and models written in Lua.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L, C = dl.layers, dl.callbacks

local x = dl.tensor{ { 1.0 }, { 2.0 }, { -1.0 }, { 0.5 } }
local y = dl.tensor{ { 2.0 }, { 4.0 }, { -2.0 }, { 1.0 } }

local function line(optimizer)
  local model = dl.Sequential{ L.Input{ 1 }, L.Dense{ 1, use_bias = false, kernel_initializer = "ones" } }
  model:compile{ optimizer = optimizer or dl.optimizers.SGD{ 0.1 }, loss = "mse", metrics = { "mae" } }
  return model
end

-- What the library does itself, in Lua, and how often it was asked.
local function by_hand(model)
  local counts = { train = 0, test = 0, predict = 0 }
  model.train_step = function(m, input, target, weight)
    counts.train = counts.train + 1
    local tape <close> = dl.GradientTape()
    local output = m(input, { training = true })
    local loss = m.compute_loss(m, input, target, output, weight)
    m.optimizer:apply(tape:gradient(loss, m.trainable_variables), m.trainable_variables)
    m.metrics[1]:update(loss)
    return m:compute_metrics(input, target, output, weight)
  end
  model.test_step = function(m, input, target, weight)
    counts.test = counts.test + 1
    local output = m(input, { training = false })
    m.metrics[1]:update(m.compute_loss(m, input, target, output, weight))
    return m:compute_metrics{ y = target, y_pred = output, sample_weight = weight }
  end
  model.predict_step = function(m, input)
    counts.predict = counts.predict + 1
    return m(input) * 10
  end
  return counts
end

test("every way of training takes them", function()
  local plain, own = line(), line()
  local counts = by_hand(own)
  local options = { epochs = 3, batch_size = 2, shuffle = false, verbose = 0, validation_split = 0.5 }
  local a, b = plain:fit(x, y, options), own:fit(x, y, options)
  near(b.loss, a.loss)
  near(b.mae, a.mae)
  near(b.val_loss, a.val_loss)
  near(b.val_mae, a.val_mae)
  equal(counts, { train = 3, test = 3, predict = 0 })
  near(own:evaluate(x, y, { batch_size = 3 }).mae, plain:evaluate(x, y, { batch_size = 3 }).mae)
  equal(counts.test, 5)
  local p, q = plain:train_on_batch(x, y), own:train_on_batch(x, y)
  near({ q.loss, q.mae, q[1] }, { p.loss, p.mae, p[1] })
  near(own:test_on_batch(x, y).loss, plain:test_on_batch(x, y).loss)
  near(own:predict(x, { batch_size = 3 }):totable(), (plain:predict(x) * 10):totable())
  near(own:predict_on_batch(x):totable(), (plain:predict(x) * 10):totable())
  equal(counts, { train = 4, test = 6, predict = 3 })
  -- The last rows come in a batch of their own; a single batch needs no copying together.
  equal(own.metrics_names, { "loss", "mae" })
  own.train_step, own.test_step, own.predict_step = nil, nil, nil
  near(own:fit(x, y, options).loss, plain:fit(x, y, options).loss)
  equal(counts.train, 4)
end)

test("weights of samples and classes reach them", function()
  local model, seen = line(), nil
  model.train_step = function(_, _, _, weight)
    seen = weight and weight:totable()
    return { loss = 1 }
  end
  model:fit(x, y, { verbose = 0, shuffle = false, sample_weight = { 1, 2, 3, 4 } })
  near(seen, { 1, 2, 3, 4 })
  model:train_on_batch(x, dl.tensor({ 1, 2, 2, 1 }, "i32"), { class_weight = { [1] = 0.5, [2] = 3 }, label_base = 1 })
  near(seen, { 0.5, 3, 3, 0.5 })
  model:fit(x, dl.tensor({ 1, 2, 2, 1 }, "i32"), { verbose = 0, shuffle = false, class_weight = { [1] = 0.5, [2] = 3 } })
  near(seen, { 0.5, 3, 3, 0.5 })
  model:fit(x, y, { verbose = 0 })
  equal(seen, nil)
end)

test("the library's callbacks work with them", function()
  local model, path, log = line(), T.temporary ".dlm", T.temporary ".csv"
  by_hand(model)
  local losses, place = { 5, 4, 4, 4, 4, 3 }, 0
  model.test_step = function()
    place = place + 1
    return { loss = losses[place] or 9 }
  end
  local history = model:fit(x, y, { epochs = 20, verbose = 0, validation_data = { x, y }, callbacks = {
    C.EarlyStopping{ patience = 3, restore_best_weights = true }, C.ModelCheckpoint{ path, save_best_only = true },
    C.ReduceLROnPlateau{ patience = 1, factor = 0.5 }, C.CSVLogger(log), C.TerminateOnNaN(),
  } })
  equal(#history.loss, 5)
  near(history.val_loss, { 5, 4, 4, 4, 4 })
  near(history.learning_rate, { 0.1, 0.1, 0.1, 0.05, 0.025 })
  assert(dl.load_model(path))
  equal(select(2, T.read(log):gsub("\n", "")), 6)
  os.remove(path)
  os.remove(log)
  raises("val_wrong", model.fit, model, x, y, { verbose = 0, callbacks = { C.EarlyStopping{ monitor = "val_wrong" } } })
end)

test("steps without compile, without targets", function()
  local model = dl.Sequential{ L.Input{ 1 }, L.Dense{ 1, use_bias = false } }
  local optimizer = dl.optimizers.SGD{ 0.1 }
  model.train_step = function(m, input, target)
    equal(target, nil)
    local loss, gradients = dl.value_and_grad(function() return ((m(input) - input) ^ 2):mean() end, m.trainable_variables)
    optimizer:apply(gradients, m.trainable_variables)
    return { error = loss }
  end
  local history = model:fit(x, nil, { epochs = 40, verbose = 0 })
  near(history.error[40], 0, 1e-3)
  equal(#history.error, 40)
  raises("x and y", model.evaluate, model, x)
  raises("not been compiled", model.evaluate, model, x, y)
end)

test("the parts of a step, and the usual steps", function()
  local model = line()
  local output = model(x)
  near(model:compute_loss(x, y, output):item(), model:evaluate(x, y).loss)
  near(model.compute_loss(model, { y = y, y_pred = output, sample_weight = dl.tensor{ 1.0, 0.0, 0.0, 0.0 } }):item(), 0.25)
  raises("y_pred", function() model:compute_loss(x, y) end)
  model:reset_metrics()
  near(model:compute_metrics(x, y, output).mae, 1.125)
  near(model:get_metrics_result().mae, 1.125)
  equal(#model.metrics, 2)
  model:reset_metrics()
  near(model:get_metrics_result().mae, 0)
  local twin = line()
  near(model:train_step(x, y).loss, twin:train_on_batch(x, y).loss)
  near(model:get_weights()[1]:item(), twin:get_weights()[1]:item())
  model:reset_metrics()
  near(model:test_step(x, y).loss, twin:test_on_batch(x, y).loss)
  near(model:predict_step(x):totable(), twin:predict(x):totable())
  -- A step that does something and then the usual.
  local calls = 0
  model.train_step = function(m, ...)
    calls = calls + 1
    return dl.Model.train_step(m, ...)
  end
  near(model:fit(x, y, { verbose = 0 }).loss, twin:fit(x, y, { verbose = 0 }).loss)
  equal(calls, 1)
end)

test("a loss of one's own within the compiled step", function()
  local model, calls = line(), 0
  model.compute_loss = function(m, input, target, output, weight, training)
    calls = calls + 1
    equal(type(training), "boolean")
    equal(weight, nil)
    assert(#input == #target and m.name)
    return ((output - target) ^ 4):mean()
  end
  local loss = ((model(x) - y) ^ 4):mean():item()
  near(model:evaluate(x, y).loss, loss)
  near(model:fit(x, y, { verbose = 0, epochs = 3 }).loss[1], loss)
  equal(calls, 2)
  model.compute_loss = function() return "much" end
  raises("compute_loss", model.evaluate, model, x, y)
end)

test("steps: what they may not give", function()
  local model = line()
  raises("train_step", function() model.train_step = 3 end)
  for _, wrong in ipairs{ 3, "loss", { 1, 2 }, { loss = "low" }, { loss = {} } } do
    model.train_step = function() return wrong end
    raises("train_step", model.fit, model, x, y, { verbose = 0 })
  end
  model.train_step = function() error "on purpose" end
  raises("on purpose", model.fit, model, x, y, { verbose = 0 })
  raises("on purpose", model.train_on_batch, model, x, y)
  model.predict_step = function() return { 1, 2 } end
  raises("predict_step", model.predict, model, x)
  model.predict_step = function() return dl.zeros{ 7, 1 } end
  raises({ "predict_step", "(7, 1)" }, model.predict, model, x)
  local place = 0
  model.predict_step = function(_, input)
    place = place + 1
    return dl.zeros{ #input, place }
  end
  raises({ "predict_step", "(2, 2)" }, model.predict, model, x, { batch_size = 2 })
  raises("sample", model.fit, model, x, dl.zeros{ 3, 1 }, { verbose = 0 })
end)

test("a step that holds its model does not keep it for ever", function()
  local gone = setmetatable({}, { __mode = "k" })
  do
    local model = line()
    gone[model] = true
    model.train_step = function() return { loss = #model.layers } end
    near(model:train_on_batch(x, y).loss, 1)
  end
  collectgarbage()
  collectgarbage()
  equal(next(gone), nil)
end)

-- ---- Models written in Lua --------------------------------------------------------------------------------------

local Net = dl.Model:extend("StepsNet", {
  init = function(self)
    self.hidden = { L.Dense{ 3, activation = "tanh", name = "one" }, L.Dense{ 3, name = "two" } }
    self.drop = L.Dropout{ 0.5 }
    self.out = L.Dense{ 1, name = "out" }
  end,
  call = function(self, input)
    for _, layer in ipairs(self.hidden) do input = layer(input) end
    return self.out(self.drop(input)) * (self.scale or 1)
  end,
})

test("a model of one's own trains like any other", function()
  dl.set_random_seed(3)
  local net = Net{ name = "net", scale = 2 }
  equal({ net.name, net.class_name, net.scale, #net.layers }, { "net", "StepsNet", 2, 4 })
  equal(net.built, false)
  net:compile{ optimizer = dl.optimizers.Adam{ 0.05 }, loss = "mse", metrics = { "mae" } }
  local before = net:evaluate(x, y).loss
  local history = net:fit(x, y, { epochs = 60, verbose = 0, seed = 5 })
  assert(net:evaluate(x, y).loss < before and history.mae[60])
  equal(#net.weights, 6)
  equal(net:count_params(), 6 + 12 + 4)
  equal(#net.trainable_weights, 6)
  near(net:predict(x):totable(), net(x):totable())
  near(net:evaluate(x, y).loss, ((net(x) - y) ^ 2):mean():item())
  net.hidden[1].trainable = false
  equal(#net.trainable_weights, 4)
  net.trainable = false
  equal(#net.trainable_weights, 0)
  local text
  net:summary{ print_fn = function(s) text = s end }
  assert(text:find "two %(Dense%)" and text:find "Total params: 22", text)
  equal(net:get_layer("one").units or net:get_layer("one").name, "one")
  equal(net.nothing, nil)
  net.remark = "kept"
  equal(net.remark, "kept")
end)

test("built without data; in another model; summed up and saved", function()
  local net = Net{}
  raises("no weights yet", net.save_weights, net, T.temporary())
  net:build{ false, 2 }
  equal(net:count_params(), 9 + 12 + 4)
  local path, whole = T.temporary(), T.temporary()
  assert(net:save_weights(path))
  local twin = Net{}
  twin:build{ false, 2 }
  assert(twin:load_weights(path))
  local input = dl.normal{ 3, 2 }
  near(twin(input):totable(), net(input):totable())
  -- The whole model, with fields and all.
  net:compile{ optimizer = "sgd", loss = "mse" }
  assert(net:save(whole))
  local loaded = assert(dl.load_model(whole))
  near(loaded(input):totable(), net(input):totable())
  equal(loaded.class_name, "StepsNet")
  equal(loaded.out.name, "out")
  assert(loaded:evaluate(input, dl.zeros{ 3, 1 }).loss)
  os.remove(path)
  os.remove(whole)
  -- As a layer of another.
  local outer = dl.Sequential{ L.Input{ 2 }, Net{ name = "inner" }, L.Dense{ 1 } }
  equal(#outer.weights, 8)
  equal(outer:get_layer("inner").out.name, "out")
  local copy = dl.clone_model(outer)
  copy:set_weights(outer:get_weights())
  near(copy:predict(input):totable(), outer:predict(input):totable())
  near(Net.from_config(Net{ scale = 3 }:get_config()).scale, 3)
end)

test("steps, losses and metrics in the class", function()
  local Own = dl.Model:extend("OwnSteps", {
    init = function(self)
      self.dense = L.Dense{ 1, use_bias = false, kernel_initializer = "ones" }
      self.seen = dl.metrics.Mean{ name = "seen" }
      self.resets = 0
    end,
    call = function(self, input) return self.dense(input) end,
    train_step = function(self, input, target, weight)
      local figures = dl.Model.train_step(self, input, target, weight)
      self.seen:update(#input)
      figures.seen = self.seen
      return figures
    end,
  })
  local own, plain = Own{}, line()
  own:compile{ optimizer = dl.optimizers.SGD{ 0.1 }, loss = "mse", metrics = { "mae" } }
  equal(#own.metrics, 2)
  local options = { epochs = 2, batch_size = 3, shuffle = false, verbose = 0 }
  local a, b = own:fit(x, y, options), plain:fit(x, y, options)
  near(a.loss, b.loss)
  near(a.mae, b.mae)
  near(a.seen, { 2, 2 })
  equal(#own.metrics, 3)
  near(own:evaluate(x, y).mae, plain:evaluate(x, y).mae)

  local Squared = dl.Model:extend("SquaredLoss", {
    init = Own.init, call = Own.call,
    compute_loss = function(_, _, target, output) return ((output - target) ^ 2):sum() end,
  })
  local squared = Squared{}
  squared:compile{ optimizer = dl.optimizers.SGD{ 0.01 }, loss = "mse" }
  near(squared:evaluate(x, y).loss, 6.25)
  near(squared:fit(x, y, { verbose = 0 }).loss[1], 6.25)

  local Measured = dl.Model:extend("Measured", {
    init = Own.init, call = Own.call,
    compute_metrics = function(self, input, target, output, weight)
      local figures = dl.Model.compute_metrics(self, input, target, output, weight)
      figures.largest = output:abs():max()
      return figures
    end,
  })
  local measured = Measured{}
  measured:compile{ optimizer = dl.optimizers.SGD{ 0.1 }, loss = "mse" }
  near(measured:evaluate(x, y).largest, 2)
  near(measured:fit(x, y, { verbose = 0 }).largest, { 2 })
end)

test("layers inside layers of one's own", function()
  local Block = L.Layer:extend("StepsBlock", {
    init = function(self) self.inner = L.Dense{ self.units, activation = "relu", name = "inner" } end,
    build = function(self) self.late = L.Dense{ self.units, name = "late" } end,
    call = function(self, input) return self.late(self.inner(input)) + input end,
  })
  local model = dl.Sequential{ L.Input{ 2 }, Block{ units = 2 }, L.Dense{ 1 } }
  equal(#model.weights, 6)
  model:compile{ optimizer = "sgd", loss = "mse" }
  local before = model:get_weights()[1]:totable()
  model:fit(dl.normal{ 8, 2 }, dl.ones{ 8, 1 }, { verbose = 0, epochs = 3 })
  assert(not pcall(near, model:get_weights()[1]:totable(), before))
  local path = T.temporary()
  assert(model:save(path))
  local loaded, input = assert(dl.load_model(path)), dl.normal{ 2, 2 }
  near(loaded:predict(input):totable(), model:predict(input):totable())
  os.remove(path)
end)

test("models of one's own: what is refused", function()
  raises("call", dl.Model.extend, dl.Model, "NoCall", {})
  raises("identifier", dl.Model.extend, dl.Model, "no name", {})
  raises("train_step", dl.Model.extend, dl.Model, "Wrong", { call = print, train_step = 3 })
  raises("a table of options", Net, 3)
  local Broken = dl.Model:extend("StepsBroken", { call = function() return "nothing" end })
  raises("'call'", Broken{}, x)
  local Loop = dl.Model:extend("StepsLoop", { call = function(_, input) return input end })
  local loop = Loop{}
  loop:compile{ optimizer = "sgd", loss = "mse" }
  raises("no trainable weights", loop.fit, loop, x, y, { verbose = 0 })
end)

T.finish()

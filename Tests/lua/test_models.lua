-- Models: building, compile, fit, evaluate, predict, and what bad input gets.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L = dl.layers

-- Two clouds of points with labels 1 and 2.
local function clouds(count)
  local x, y = {}, {}
  for i = 1, count do
    local class = i % 2
    x[i] = { class * 2 - 1 + math.sin(i) * 0.3, class * 2 - 1 + math.cos(3 * i) * 0.3 }
    y[i] = class + 1
  end
  return dl.tensor(x), dl.tensor(y, "i32")
end

local function classifier()
  dl.set_random_seed(3)
  local model = dl.Sequential{ L.Input{ 2 }, L.Dense{ 8, activation = "relu" }, L.Dense{ 2, activation = "softmax" } }
  model:compile{ optimizer = dl.optimizers.SGD{ 0.1 }, loss = "sparse_categorical_crossentropy", metrics = { "accuracy" } }
  return model
end

test("building", function()
  local model = dl.Sequential({ L.Input{ 4 }, L.Dense{ 3 } }, { name = "small" })
  equal(model.name, "small")
  equal(model:count_params(), 15)
  equal(#model.layers >= 1, true)
  equal(model:get_layer(-1):get_config().units, 3)
  model:add(L.Dense{ 2, name = "last" })
  equal(model:get_layer "last".output.shape, { false, 2 })
  model:pop()
  raises({ "dl[E_NOT_FOUND]", "last" }, model.get_layer, model, "last")
  raises("dl[E_RANGE]", model.get_layer, model, 0)
  raises("dl[E_RANGE]", model.get_layer, model, 9)
  raises("made by calling its constructor", model.add, model, L.Flatten)
  raises("dl[E_ARGUMENT]", dl.Sequential, 3)
  raises("dl[E_ARGUMENT]", dl.Sequential, { "Dense" })
end)

test("layers that do not fit together say where", function()
  raises({ "dl[E_SHAPE]", "c2" }, dl.Sequential,
    { L.Input{ 4, 4, 1 }, L.Conv2D{ 2, 3, name = "c1" }, L.Conv2D{ 2, 3, name = "c2" } })
end)

test("summary", function()
  local text
  classifier():summary{ print_fn = function(t) text = t end }
  assert(text:find "42", text)
  raises("unknown option 'widht'", function() classifier():summary{ widht = 3 } end)
end)

test("fit learns", function()
  local model = classifier()
  local x, y = clouds(200)
  local history = model:fit(x, y, { epochs = 5, batch_size = 20, verbose = 0 })
  equal(#history.loss, 5)
  equal(history.epoch, { 1, 2, 3, 4, 5 })
  assert(history.loss[5] < history.loss[1])
  local r = model:evaluate(x, y)
  assert(r.accuracy > 0.95, r.accuracy)
  equal(r[1], r.loss)
  equal(r[2], r.accuracy)
  equal(model:predict(x).shape, { 200, 2 })
  local right = model:predict(x):argmax(2):eq(y):to "f32":mean():item()
  near(right, r.accuracy)
  equal(history.history.loss, history.loss)
  local names = {}
  for name in pairs(history) do names[#names + 1] = name end
  equal(names, { "accuracy", "epoch", "loss" })
  assert(tostring(history):find "5 epochs")
end)

test("the form with one table, and defaults", function()
  local model = classifier()
  local x, y = clouds(64)
  local history = model:fit{ x = x, y = y, verbose = 0 }
  equal(#history.loss, 1)
end)

test("the same seed gives the same numbers, compiled and eager", function()
  local x, y = clouds(100)
  local function run(eager)
    local model = classifier()
    model:compile{ optimizer = "adam", loss = "sparse_categorical_crossentropy", run_eagerly = eager }
    return model:fit(x, y, { epochs = 3, verbose = 0, seed = 4 }).loss
  end
  local a = run(false)
  equal(run(false), a)
  near(run(true), a, 1e-4)
end)

test("labels count from 1", function()
  local model = classifier()
  local x, y = clouds(20)
  raises({ "dl[E_RANGE]", "label" }, function() model:fit(x, y - 1, { verbose = 0 }) end)
  raises({ "dl[E_RANGE]" }, function() model:fit(x, y + 1, { verbose = 0 }) end)
  model:compile{ optimizer = "sgd", loss = "sparse_categorical_crossentropy", label_base = 0 }
  model:fit(x, y - 1, { verbose = 0 })
  raises("label_base", model.compile, model, { loss = "mse", label_base = 2 })
end)

test("a failed fit leaves the model usable", function()
  local model = classifier()
  local x, y = clouds(40)
  raises("dl[E_SHAPE]", function() model:fit(x, y[{ { 1, 30 } }], { verbose = 0 }) end)
  raises("dl[E_SHAPE]", function() model:fit(dl.ones(40, 3), y, { verbose = 0 }) end)
  raises("dl[E_", function() model:fit(dl.zeros{ 0, 2 }, dl.zeros({ 0 }, "i32"), { verbose = 0 }) end)
  model:fit(x, y, { verbose = 0 })
end)

test("bad options of fit", function()
  local model = classifier()
  local x, y = clouds(20)
  raises({ "unknown option 'epoch'", "epochs" }, function() model:fit(x, y, { epoch = 3 }) end)
  raises("epochs", function() model:fit(x, y, { epochs = 0 }) end)
  raises("batch_size", function() model:fit(x, y, { batch_size = 2.5 }) end)
  raises("verbose", function() model:fit(x, y, { verbose = 7 }) end)
  raises("did you mean model:fit", function() model.fit(x, y) end)
  raises("needs x and y", function() model:fit(x) end)
  raises({ "did you mean 'fit'" }, function() return model.fitt end)
end)

test("an uncompiled model", function()
  local model = dl.Sequential{ L.Input{ 2 }, L.Dense{ 1 } }
  raises({ "dl[E_STATE]", "compile" }, function() model:fit(dl.ones(2, 2), dl.ones(2, 1), { verbose = 0 }) end)
  raises("dl[E_STATE]", function() model:evaluate(dl.ones(2, 2), dl.ones(2, 1)) end)
  equal(model:predict(dl.ones(2, 2)).shape, { 2, 1 })
end)

test("compile refuses what it does not know", function()
  local model = dl.Sequential{ L.Input{ 2 }, L.Dense{ 1 } }
  raises({ "unknown option 'optimiser'", "optimizer" }, model.compile, model, { optimiser = "sgd" })
  raises({ "dl[E_", "mean_squared_eror" }, model.compile, model, { loss = "mean_squared_eror" })
  raises({ "dl[E_", "sdg" }, model.compile, model, { loss = "mse", optimizer = "sdg" })
  raises("dl[E_", model.compile, model, { loss = "mse", metrics = { "acurracy" } })
  raises("call its constructor", model.compile, model, { optimizer = dl.optimizers.Adam, loss = "mse" })
  raises("call it", model.compile, model, { loss = dl.losses.MeanSquaredError })
  raises("one table", model.compile, model, "adam", "mse")
end)

test("callbacks", function()
  local model = classifier()
  local x, y = clouds(40)
  local seen = {}
  local function note(name) return function() seen[#seen + 1] = name end end
  model:fit(x, y, {
    epochs = 2, batch_size = 20, verbose = 0,
    callbacks = { {
      on_train_begin = note "train", on_epoch_begin = note "epoch", on_train_batch_end = note "batch",
      on_epoch_end = function(epoch, logs, m)
        assert(m == model and logs.loss and logs.accuracy)
        seen[#seen + 1] = "end" .. epoch
      end,
      on_train_end = note "done",
    } },
  })
  equal(seen, { "train", "epoch", "batch", "batch", "end1", "epoch", "batch", "batch", "end2", "done" })
end)

test("a callback ends training, raises, or is wrong", function()
  local model = classifier()
  local x, y = clouds(40)
  local history = model:fit(x, y, {
    epochs = 9, verbose = 0, callbacks = { { on_epoch_end = function(epoch) if epoch == 2 then return "stop" end end } },
  })
  equal(#history.loss, 2)
  raises({ "test_models.lua", "enough" }, function()
    model:fit(x, y, { verbose = 0, callbacks = { { on_batch_end = function() error "enough" end } } })
  end)
  model:fit(x, y, { verbose = 0 })
  raises({ "on_epoch_edn", "on_epoch_end" }, function() model:fit(x, y, { callbacks = { { on_epoch_edn = print } } }) end)
  raises("must be a function", function() model:fit(x, y, { callbacks = { { on_epoch_end = 3 } } }) end)
  raises("dl[E_ARGUMENT]", function() model:fit(x, y, { callbacks = { "EarlyStopping" } }) end)
  raises("call it", function() model:fit(x, y, { callbacks = { dl.callbacks.EarlyStopping } }) end)
  raises("returned", function()
    model:fit(x, y, { verbose = 0, callbacks = { { on_epoch_end = function() return 3 end } } })
  end)
end)

test("the library's callbacks", function()
  local model = classifier()
  local x, y = clouds(40)
  local csv = T.temporary ".csv"
  local history = model:fit(x, y, {
    epochs = 20, verbose = 0, validation_split = 0.2,
    callbacks = {
      dl.callbacks.EarlyStopping{ monitor = "loss", min_delta = 10, patience = 1 }, dl.callbacks.CSVLogger{ csv },
      dl.callbacks.TerminateOnNaN(),
    },
  })
  assert(#history.loss < 20)
  equal(#history.val_loss, #history.loss)
  assert(T.read(csv):find "loss")
  os.remove(csv)
  raises({ "unknown option 'monitr'", "monitor" }, dl.callbacks.EarlyStopping, { monitr = "loss" })
end)

test("learning rates by a function", function()
  local model = classifier()
  local x, y = clouds(20)
  local rates = {}
  model:fit(x, y, {
    epochs = 3, verbose = 0,
    callbacks = {
      dl.callbacks.LearningRateScheduler(function(epoch) return 1 / epoch end),
      { on_epoch_end = function(_, _, m) rates[#rates + 1] = m.optimizer.learning_rate end },
    },
  })
  near(rates, { 1, 1 / 2, 1 / 3 })
end)

test("fit is Lua's: a coroutine may yield in a callback", function()
  local model = classifier()
  local x, y = clouds(40)
  local step = coroutine.wrap(function()
    model:fit(x, y, {
      epochs = 3, verbose = 0, callbacks = { { on_epoch_end = function(epoch) coroutine.yield(epoch) end } },
    })
    return "done"
  end)
  equal({ step(), step(), step(), step() }, { 1, 2, 3, "done" })
end)

test("fit_iter", function()
  local model = classifier()
  local x, y = clouds(40)
  local steps, last = {}, nil
  for step, logs, epoch in model:fit_iter{ x = x, y = y, epochs = 2, batch_size = 20 } do
    steps[#steps + 1] = { step, epoch }
    last = logs.loss
  end
  equal(steps, { { 1, 1 }, { 2, 1 }, { 3, 2 }, { 4, 2 } })
  assert(last > 0)
  for step in model:fit_iter(x, y, { epochs = 100 }) do
    if step == 3 then break end
  end
  model:fit(x, y, { verbose = 0 })
end)

test("validation, weights, order", function()
  local model = classifier()
  local x, y = clouds(60)
  local history = model:fit(x, y, {
    epochs = 2, verbose = 0, validation_data = { x, y }, sample_weight = dl.ones(60), class_weight = { [1] = 1, [2] = 2 },
    shuffle = false,
  })
  equal(#history.val_accuracy, 2)
  raises({ "dl[E_RANGE]", "label 0" }, function() model:fit(x, y, { class_weight = { [0] = 1 } }) end)
  raises("validation_data", function() model:fit(x, y, { validation_data = { x } }) end)
  raises("dl[E_", function() model:fit(x, y, { validation_split = 1.5, verbose = 0 }) end)
  raises("dl[E_SHAPE]", function() model:fit(x, y, { sample_weight = dl.ones(5), verbose = 0 }) end)
end)

test("single batches", function()
  local model = classifier()
  local x, y = clouds(20)
  local first = model:train_on_batch(x, y)
  for _ = 1, 20 do model:train_on_batch(x, y) end
  local r = model:test_on_batch(x, y)
  assert(r.loss < first.loss)
  equal(r[1], r.loss)
end)

test("a loss and a metric written in Lua", function()
  local model = dl.Sequential{ L.Input{ 1 }, L.Dense{ 1, kernel_initializer = "zeros" } }
  model:compile{
    optimizer = dl.optimizers.SGD{ 0.1 },
    loss = function(y_true, y_pred) return ((y_true - y_pred) ^ 2):mean(-1) end,
    metrics = { dl.metrics.custom(function(y_true, y_pred) return (y_true - y_pred):abs() end, "off") },
  }
  local x = dl.tensor{ { 1 }, { 2 }, { 3 } }
  local history = model:fit(x, x * 2, { epochs = 50, verbose = 0, batch_size = 3 })
  assert(history.loss[50] < 0.1 * history.loss[1])
  assert(history.off[50] < history.off[1])
  model:compile{ optimizer = "sgd", loss = function() error "no loss today" end }
  raises({ "test_models.lua", "no loss today" }, function() model:fit(x, x, { verbose = 0 }) end)
  model:compile{ optimizer = "sgd", loss = function() return "x" end }
  raises("expected a tensor or a number", function() model:fit(x, x, { verbose = 0 }) end)
end)

test("functional models with several inputs and outputs", function()
  dl.set_random_seed(1)
  local a, b = L.Input{ shape = { 2 }, name = "a" }, L.Input{ shape = { 1 }, name = "b" }
  local h = L.Concatenate()({ a, b })
  local one = L.Dense{ 1, name = "p" }(h)
  local two = L.Dense{ 2, activation = "softmax", name = "q" }(h)
  local model = dl.Model{ inputs = { a, b }, outputs = { one = one, two = two } }
  equal(model.input_names, { "a", "b" })
  equal({ #model.input, #model.inputs, #model.outputs }, { 2, 2, #model.output_names })
  local first = dl.Model{ inputs = model.inputs, outputs = model.outputs[1] }
  equal({ #first.inputs, #first.outputs, first.output.shape }, { 2, 1, model.outputs[1].shape })
  equal(model.output_names, { "one", "two" })
  model:compile{
    optimizer = "adam", loss = { one = "mse", two = "sparse_categorical_crossentropy" },
    loss_weights = { one = 1, two = 0.5 }, metrics = { two = { "accuracy" } },
  }
  local x1, x2 = dl.uniform(30, 2), dl.uniform(30, 1)
  local y1, y2 = dl.uniform(30, 1), dl.tensor({ 1, 2, 1 }, "i32")
  y2 = dl.ops.concatenate({ y2, y2, y2, y2, y2, y2, y2, y2, y2, y2 }, { axis = 1 })
  model:fit({ a = x1, b = x2 }, { one = y1, two = y2 }, { verbose = 0 })
  model:fit({ x1, x2 }, { y1, y2 }, { verbose = 0 })
  local out = model:predict{ x1, x2 }
  equal(out.one.shape, { 30, 1 })
  equal(out[2].shape, { 30, 2 })
  raises({ "'c'", "the model does not" }, function() model:fit({ a = x1, b = x2, c = x1 }, { y1, y2 }, { verbose = 0 }) end)
  raises({ "lacks 'b'" }, function() model:fit({ a = x1 }, { y1, y2 }, { verbose = 0 }) end)
  raises("dl[E_", function() model:fit(x1, { y1, y2 }, { verbose = 0 }) end)
end)

test("a model inside a model", function()
  local inner = dl.Sequential{ L.Input{ 3 }, L.Dense{ 2, name = "d" } }
  local x = L.Input{ shape = { 3 } }
  local outer = dl.Model(x, L.Dense{ 1 }(inner(x)))
  equal(outer:count_params(), 8 + 3)
  equal(inner(dl.ones(4, 3)).shape, { 4, 2 })
  inner.trainable = false
  equal(#outer.trainable_weights, 2)
end)

test("models outside of what their inputs reach", function()
  local x, z = L.Input{ 2 }, L.Input{ 2 }
  raises("dl[E_", dl.Model, { inputs = x, outputs = L.Dense{ 1 }(z) })
  raises("dl[E_ARGUMENT]", dl.Model, { inputs = x })
  raises("dl[E_ARGUMENT]", dl.Model, { inputs = 3, outputs = x })
end)

test("NaN in the data", function()
  local model = classifier()
  local x, y = clouds(40)
  x[3] = 0 / 0
  local history = model:fit(x, y, { epochs = 5, verbose = 0, callbacks = { dl.callbacks.TerminateOnNaN() } })
  assert(#history.loss < 5)
end)

test("optimizers", function()
  local adam = dl.optimizers.Adam{ learning_rate = 0.01 }
  near(adam.learning_rate, 0.01)
  adam.learning_rate = 0.5
  near(adam.learning_rate, 0.5)
  near(dl.optimizers.Adam{ 1e-4 }.learning_rate, 1e-4)
  assert(tostring(adam):find "Adam")
  raises({ "unknown option 'learnig_rate'", "learning_rate" }, dl.optimizers.Adam, { learnig_rate = 1 })
  raises("dl[E_", dl.optimizers.Adam, { learning_rate = -1 })
  raises("dl[E_", dl.optimizers.Adam, { learning_rate = 0 / 0 })
  raises("dl[E_ARGUMENT]", function() adam.learning_rate = "x" end)
end)

test("losses and metrics by themselves", function()
  local mse = dl.losses.MeanSquaredError()
  near(mse({ { 1, 2 } }, { { 2, 4 } }):item(), 2.5)
  local xent = dl.losses.SparseCategoricalCrossentropy{ from_logits = true }
  near(xent(dl.tensor({ 1 }, "i32"), dl.tensor{ { 0, 0 } }):item(), math.log(2))
  raises("dl[E_RANGE]", xent, dl.tensor({ 0 }, "i32"), dl.tensor{ { 0, 0 } })
  local acc = dl.metrics.SparseCategoricalAccuracy()
  acc:update(dl.tensor({ 1, 2 }, "i32"), dl.tensor{ { 1, 0 }, { 1, 0 } })
  near(acc:result(), 0.5)
  acc:reset()
  equal(acc:result(), 0.0)
  raises("dl[E_ARGUMENT]", mse, dl.ones(1))
  raises("did you mean metric:update", acc.update, dl.ones(1), dl.ones(1))
end)

test("what fit prints", function()
  local model = classifier()
  local x, y = clouds(20)
  local lines, write = {}, io.write
  local function capture(...) lines[#lines + 1] = table.concat{ ... } end
  io.write = capture -- luacheck: ignore 122
  local fine, message = pcall(model.fit, model, x, y, { epochs = 2, verbose = 2, batch_size = 10 })
  io.write = write -- luacheck: ignore 122
  assert(fine, message)
  equal(#lines, 2)
  assert(lines[1]:match "^Epoch 1/2 %- .*s/step.* %- .*loss: %d", lines[1])
end)

T.finish()

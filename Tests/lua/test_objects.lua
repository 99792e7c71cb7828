-- Classes of a script's own in the place of the library's, and objects as configurations.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L = dl.layers

local x = dl.tensor{ { 1.0 }, { 2.0 }, { -1.0 }, { 0.5 } }
local y = dl.tensor{ { 2.0 }, { 4.0 }, { -2.0 }, { 1.0 } }

local function line(options, optimizer, loss, metrics)
  local given = { 1, use_bias = false, kernel_initializer = "ones" }
  for name, value in pairs(options or {}) do given[name] = value end
  local model = dl.Sequential{ L.Input{ 1 }, L.Dense(given) }
  model:compile{ optimizer = optimizer or dl.optimizers.SGD{ 0.1 }, loss = loss or "mse", metrics = metrics }
  return model
end

local function same_after_saving(model)
  local path = T.temporary()
  assert(model:save(path))
  local loaded = assert(dl.load_model(path))
  os.remove(path)
  near(loaded:evaluate(x, y)[1], model:evaluate(x, y)[1])
  return loaded
end

test("initializers, regularizers, constraints", function()
  local Filled = dl.initializers.Initializer:extend("ObjFilled", {
    call = function(self, shape) return dl.full(shape, self.value) end,
  })
  local Cubes = dl.regularizers.Regularizer:extend("ObjCubes", {
    call = function(self, w) return (w:abs() ^ 3):sum() * self.factor end,
  })
  local Cut = dl.constraints.Constraint:extend("ObjCut", {
    call = function(self, w) return dl.ops.minimum(w, self.most) end,
  })
  near(Filled{ value = 3 }({ 2 }):totable(), { 3, 3 })
  near(Cubes{ factor = 2 }(dl.tensor{ 1.0, -2.0 }):item(), 18)
  local model = line{ kernel_initializer = Filled{ value = 2 }, kernel_regularizer = Cubes{ factor = 0.5 },
    kernel_constraint = Cut{ most = 1.25 } }
  near(model:evaluate(x, y).loss, 4)
  near(model.layers[1].losses[1]:item(), 4)
  model:fit(x, y, { verbose = 0 })
  near(model:get_weights()[1]:item(), 1.25)
  local loaded = same_after_saving(model)
  near(loaded:get_weights()[1]:item(), 1.25)
  raises("shape", function() line{ kernel_initializer = dl.initializers.Initializer:extend("ObjBad", {
    call = function() return dl.zeros{ 3 } end })() } end)
end)

test("losses", function()
  local Fourth = dl.losses.Loss:extend("ObjFourth", {
    call = function(self, truth, guess) return ((guess - truth) ^ 4):mean(-1) * (self.scale or 1) end,
  })
  local loss = Fourth{ scale = 2 }
  local wanted = (((x - y) ^ 4):mean() * 2):item()
  near(loss(y, x):item(), wanted)
  near(loss.scale, 2)
  near(Fourth{ reduction = "sum" }(y, x):item(), wanted * 2)
  local model = line(nil, nil, loss)
  near(model:evaluate(x, y).loss, wanted)
  near(model:fit(x, y, { verbose = 0 }).loss, { wanted })
  same_after_saving(model)
  local written = dl.losses.serialize(loss)
  equal({ written.class_name, written.config.scale }, { "ObjFourth", 2 })
  near(dl.losses.deserialize(written)(y, x):item(), wanted)
  raises("reduction", Fourth, { reduction = "half" })
  raises("a function", dl.losses.Loss.extend, dl.losses.Loss, "ObjWrong", { call = 3 })
  raises("call", dl.losses.Loss.extend, dl.losses.Loss, "ObjNone", {})
  raises("the library's own", dl.losses.Loss.extend, dl.losses.Loss, "Huber", { call = print })
  raises("option 'f'", Fourth, { f = print })
  raises("derived from", dl.losses.Loss)
end)

test("metrics with states", function()
  local Large = dl.metrics.Metric:extend("ObjLarge", {
    init = function(self)
      self.count = self:add_variable{ name = "count" }
      self.all = self:add_variable{ name = "all", initializer = "zeros" }
    end,
    update_state = function(self, _, guess)
      self.count:assign(self.count + (guess:abs():greater(self.limit)):to "f32":sum())
      self.all:assign(self.all + #guess)
    end,
    result = function(self) return self.count / self.all end,
  })
  local metric = Large{ limit = 0.75, name = "large" }
  metric:update(y, x)
  near(metric:result():item(), 0.75)
  metric:reset()
  near(metric.count:item(), 0)
  for _, eager in ipairs{ false, true } do
    local model = dl.Sequential{ L.Input{ 1 }, L.Dense{ 1, use_bias = false, kernel_initializer = "ones" } }
    model:compile{ optimizer = dl.optimizers.SGD{ 0.0 }, loss = "mse", metrics = { Large{ limit = 0.75, name = "large" } },
      run_eagerly = eager }
    near(model:evaluate(x, y, { batch_size = 3 }).large, 0.75)
    near(model:evaluate(x, y, { batch_size = 3 }).large, 0.75)
    near(model:fit(x, y, { epochs = 2, verbose = 0 }).large, { 0.75, 0.75 })
  end
  same_after_saving(line(nil, nil, nil, { Large{ limit = 1 } }))
  equal(dl.metrics.serialize(metric).config.limit, 0.75)
  raises("on purpose", function()
    local Broken = dl.metrics.Metric:extend("ObjBroken", {
      update_state = function() end, result = function() error "on purpose" end })
    line(nil, nil, nil, { Broken() }):evaluate(x, y)
  end)
end)

test("optimizers and schedules", function()
  local Momentum = dl.optimizers.Optimizer:extend("ObjMomentum", {
    slots = { "velocity" },
    update = function(self, value, gradient, slots, rate)
      local velocity = slots.velocity * (self.keep or 0.9) - gradient * rate
      return value + velocity, { velocity = velocity }
    end,
  })
  local wanted = line(nil, dl.optimizers.SGD{ 0.05, momentum = 0.5 }):fit(x, y, { epochs = 5, verbose = 0, shuffle = false }).loss
  local model = line(nil, Momentum{ learning_rate = 0.05, keep = 0.5 })
  near(model:fit(x, y, { epochs = 5, verbose = 0, shuffle = false }).loss, wanted)
  near(model.optimizer.learning_rate, 0.05)
  equal(model.optimizer.iterations, 5)
  equal(model.optimizer:get_config().keep, 0.5)
  same_after_saving(model)
  local Halving = dl.optimizers.schedules.LearningRateSchedule:extend("ObjHalving", {
    call = function(self, step) return self.first / 2 ^ step end,
  })
  near(Halving{ first = 1 }(3), 0.125)
  model = line(nil, dl.optimizers.SGD{ Halving{ first = 0.1 } })
  model:fit(x, y, { epochs = 2, verbose = 0 })
  near(model.optimizer.learning_rate, 0.025)
  near(same_after_saving(model).optimizer.learning_rate, 0.1)
  raises("shape", function()
    local Bad = dl.optimizers.Optimizer:extend("ObjBadUpdate", { update = function() return dl.zeros{ 7 } end })
    line(nil, Bad{}):fit(x, y, { verbose = 0 })
  end)
  raises("clipnorm", function() Momentum{ clipnorm = -1 } end)
end)

test("weights that do not decay", function()
  local v, w = dl.Variable({ 1.0 }, { name = "kernel" }), dl.Variable({ 1.0 }, { name = "bias" })
  local optimizer = dl.optimizers.SGD{ 0.5, weight_decay = 0.1 }
  optimizer:exclude_from_weight_decay{ var_names = { "bias" } }
  optimizer:apply({ dl.tensor{ 0.0 }, dl.tensor{ 0.0 } }, { v, w })
  near({ v:item(), w:item() }, { 0.95, 1 })
  raises("before the first update", function() optimizer:exclude_from_weight_decay{ var_list = { v } } end)
  optimizer = dl.optimizers.SGD{ 0.5, weight_decay = 0.1 }
  optimizer:exclude_from_weight_decay{ var_list = { v } }
  optimizer:apply({ dl.tensor{ 0.0 } }, { v })
  near(v:item(), 0.95)
  raises("texts", function() dl.optimizers.SGD{}:exclude_from_weight_decay{ var_names = { 3 } } end)
end)

test("callbacks", function()
  local Counter = dl.callbacks.Callback:extend("ObjCounter", {
    init = function(self) self.epochs = 0 end,
    on_epoch_end = function(self, epoch, logs)
      self.epochs = self.epochs + self.step
      assert(logs.loss and self.model:count_params() == 1)
      if epoch == 2 then return "stop" end
    end,
  })
  local counter = Counter{ step = 10 }
  line():fit(x, y, { epochs = 5, verbose = 0, callbacks = { counter } })
  equal(counter.epochs, 20)
  raises("derived from", dl.callbacks.Callback)
end)

test("get, serialize, deserialize", function()
  near(dl.losses.get("mse") and dl.losses.get("MeanSquaredError")(y, x):item(), 1.5625)
  equal(dl.losses.get(nil), nil)
  near(dl.activations.get("relu")(dl.tensor{ -1.0, 2.0 }):totable(), { 0, 2 })
  equal(dl.activations.serialize(dl.activations.relu), "relu")
  local dense = dl.layers.deserialize(dl.layers.serialize(L.Dense{ 3, activation = "tanh", name = "d" }))
  equal({ dense.name, dense.class_name }, { "d", "Dense" })
  equal(dl.optimizers.get({ class_name = "Adam", config = { learning_rate = 0.5 } }).learning_rate, 0.5)
  equal(dl.initializers.serialize(dl.initializers.HeNormal{ seed = 3 }).config.seed, 3)
  near(dl.initializers.deserialize{ class_name = "Constant", config = { value = 2 } }({ 2 }):totable(), { 2, 2 })
  equal(dl.regularizers.get("l2").class_name, "L2")
  near(dl.regularizers.L2{ 0.5 }(dl.tensor{ 2.0 }):item(), 2)
  near(dl.metrics.deserialize(dl.metrics.serialize(dl.metrics.Mean{ name = "m" })):get_config().name, "m")
  equal(dl.optimizers.schedules.deserialize{ class_name = "CosineDecay",
    config = { initial_learning_rate = 1, decay_steps = 10 } }(0), 1)
  raises("decay_steps", dl.optimizers.schedules.deserialize,
    { class_name = "CosineDecay", config = { initial_learning_rate = 1, decay_steps = -3 } })
  raises("'MeanSquaredErro'", dl.losses.get, { class_name = "MeanSquaredErro" })
  raises("class_name", dl.losses.deserialize, 3)
  raises("serialize", dl.losses.serialize, 3)
end)

T.finish()

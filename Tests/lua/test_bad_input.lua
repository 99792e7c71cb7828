-- Bad input, made from the declarations: every argument of every layer, loss, metric, optimizer, schedule, initializer,
-- regularizer and constraint gets values it must not have, by a script's constructor, as JSON, and by the functions of C;
-- every layer gets inputs it must not have. What is refused is refused in words; nothing is allocated for it, and nothing
-- ends the process.

local folder = arg[0]:match "^(.*/)" or "./"
package.path = folder .. "?.lua;" .. folder .. "../fixtures/?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local transfer = require "transfer_run"
local L = dl.layers

-- What is absurd is refused on small machines and on large ones.
dl.set_memory_limit(1 << 29)

local spaces = {
  layer = L, loss = dl.losses, metric = dl.metrics, optimizer = dl.optimizers, schedule = dl.optimizers.schedules,
  initializer = dl.initializers, regularizer = dl.regularizers, constraint = dl.constraints,
}

-- A message for people: the library's code in brackets, then a sentence.
local function in_words(what, message)
  if type(message) ~= "string" or not message:find "dl%[E_[%u_]+%]" or message:find "E_INTERNAL" then
    error(("%s: no message for people: %s"):format(what, tostring(message)), 0)
  end
end

-- What has gone wrong in the test that runs.
local failures = {}

local function refused(what, f, ...)
  local fine, message = pcall(f, ...)
  if fine then
    fine, message = false, what .. " is not refused"
  else
    fine, message = pcall(in_words, what, message)
  end
  if not fine then failures[#failures + 1] = tostring(message) end
end

-- Fine or refused, but in words, and without taking much memory.
local function survives(what, f, ...)
  local before = dl.memory().peak_bytes
  local fine, message = pcall(f, ...)
  if not fine then
    fine, message = pcall(in_words, what, message)
    if not fine then failures[#failures + 1] = tostring(message) end
  end
  local grown = dl.memory().peak_bytes - before
  if grown > 2 ^ 30 then failures[#failures + 1] = ("%s takes %d bytes"):format(what, grown) end
end

local function test(name, body)
  T.test(name, function()
    failures = {}
    body()
    assert(#failures == 0, #failures .. " cases:\n" .. table.concat(failures, "\n", 1, math.min(#failures, 40)))
  end)
end

-- One configuration for each class, from the cases that go over to Keras and from examples for the rest.
local configs, cases = {}, {}
for category in pairs(spaces) do configs[category] = {} end
for _, case in ipairs(transfer.cases) do
  if case.category ~= "model" then
    local name = case.name:match "^%l+ (%S+)" or case.name:match "^%S+"
    if not configs[case.category][name] then
      configs[case.category][name] = case.make():get_config()
      if case.inputs and not case.only_config then cases[name] = case end
    end
  end
end
for name, config in pairs{
  RBFOutput = { units = 3 }, ScaledSubsampling = {}, MaxUnpooling2D = {}, Perceptron = { units = 2 },
  LocalResponseNormalization = {},
} do
  configs.layer[name] = L[name](config):get_config()
end
for _, category in ipairs{ "loss", "metric", "optimizer", "regularizer" } do
  for _, name in ipairs(dl.list(category)) do
    if not configs[category][name] then configs[category][name] = spaces[category][name]():get_config() end
  end
end

-- What an argument of a kind must not be. Values that some kinds of the name allow are not in it.
local huge = math.maxinteger
local wrong = {
  bool = { "yes", 3, { 1 } },
  int = { "three", 2.5, { 1, { 2 } } },
  float = { "much", { 1 }, 0 / 0, 1 / 0, -1 / 0 },
  string = { 3, { 1 } },
  choice = { "no such choice", 3, { "a" } },
  size = { "large", -1, 2.5, { 1, -2 }, { 2, 2, 2, 2, 2, 2, 2, 2, 2 }, huge, { 1 << 40 } },
  padding = { "around", -1, 2.5, { 1, -2 } },
  shape = { "square", { 2, -3 }, 2.5, { 1.5 } },
  axis = { "first", 2.5, { 1, 2 } },
  axes = { "first", 2.5, { 1.5 } },
  index = { "first", 2.5, { 1 } },
  dtype = { "float33", 3, { 1 } },
  initializer = { "no_such_initializer", 3, { 1 }, { class_name = "Zero" } },
  regularizer = { "no_such_regularizer", 3, { 1 }, { class_name = "L2", config = { l2 = -1 } } },
  constraint = { "no_such_constraint", 3, { 1 }, { class_name = "MaxNorm", config = { max_value = -1 } } },
  activation = { "no_such_activation", 3, { 1 } },
  layer = { "NoSuchLayer", 3, { 1 }, { class_name = "Dense", config = { units = -1 } } },
  float_or_schedule = { "fast", -1, 0 / 0, { 1 }, { class_name = "ExponentialDecay", config = {} } },
  list = { { { 1, 2 } } },
}

local function inputs_of(case)
  local inputs = {}
  for place, shape in ipairs(case.inputs) do inputs[place] = transfer.numbers.input(shape, place, case.ids) end
  return #inputs == 1 and inputs[1] or inputs
end

local function copy(config)
  local all = {}
  for key, value in pairs(config) do all[key] = value end
  return all
end

local function each(body)
  for _, category in ipairs{ "layer", "loss", "metric", "optimizer", "schedule", "initializer", "regularizer", "constraint" } do
    for _, name in ipairs(dl.list(category)) do
      local config = configs[category][name]
      if config then body(category, name, config, dl.describe(category, name)) end
    end
  end
end

-- JSON has no numbers that are none; such values are for scripts alone.
local function is_json(value) return type(value) ~= "number" or value == value and math.abs(value) ~= 1 / 0 end

-- Weights, and so their initializers, are made when the input's shape is known.
local late_kinds = { initializer = true, regularizer = true, constraint = true }

test("every name has a configuration to spoil", function()
  for category, space in pairs(spaces) do
    for _, name in ipairs(dl.list(category)) do
      local skipped = category == "layer" and ({ OperationLayer = true, DenseTied = true, Conv2DTied = true })[name]
      assert(configs[category][name] or skipped, tostring(space) .. "." .. name)
    end
  end
end)

test("arguments of the wrong kind are refused by constructors and as JSON", function()
  local count = 0
  each(function(category, name, config, declaration)
    for _, argument in ipairs(declaration.arguments) do
      for place, value in ipairs(wrong[argument.kind] or {}) do
        local what = ("%s.%s = value %d of the wrong %s"):format(name, argument.name, place, argument.kind)
        local spoilt = copy(config)
        spoilt[argument.name] = value
        local case = category == "layer" and cases[name]
        local late = category == "layer" and late_kinds[argument.kind] and argument.name ~= "activity_regularizer"
        local function make(maker)
          return function()
            local thing = maker()
            if late and case then thing(inputs_of(case)) end
          end
        end
        -- A layer whose weight is not made, for another option says so, never looks at its initializer.
        local check = late and survives or refused
        if is_json(value) then
          check(what .. " in JSON", make(function()
            return spaces[category].from_config{ class_name = name, config = spoilt }
          end))
          -- What C programs call, with the same text.
          check(what .. " in C", make(function() return spaces[category][name].from_config(spoilt) end))
        end
        check(what .. " in a script", make(function() return spaces[category][name]{ [argument.name] = value } end))
        count = count + 3
      end
    end
    local spoilt = copy(config)
    spoilt.no_such_argument = 1
    refused(name .. " with an unknown argument", spaces[category].from_config, { class_name = name, config = spoilt })
  end)
  assert(count > 3000, count)
end)

test("numbers outside their ranges are refused", function()
  each(function(category, name, config, declaration)
    for _, argument in ipairs(declaration.arguments) do
      local expected, bounds = argument.expected or "", {}
      local least = expected:match "of at least (%-?[%d.e+-]+)" or expected:match "from (%-?[%d.e+-]+) to"
      local most = expected:match "from %-?[%d.e+-]+ to ([%d.e+-]+)"
      if least and tonumber(least) then bounds[#bounds + 1] = tonumber(least) - 1 end
      if most and tonumber(most) then bounds[#bounds + 1] = tonumber(most) + 1 end
      for _, bound in ipairs(bounds) do
        if (argument.kind == "int" or argument.kind == "float" or argument.kind == "float_or_schedule") then
          local spoilt = copy(config)
          -- Beside a bound as large as 1e30 a step of one is none.
          if bound + 1 == bound then bound = bound * 2 end
          spoilt[argument.name] = argument.kind == "int" and math.tointeger(bound) or bound
          refused(("%s.%s = %s"):format(name, argument.name, bound), spaces[category].from_config,
            { class_name = name, config = spoilt })
        end
      end
    end
  end)
end)

test("absurd sizes are refused before anything is made for them", function()
  for name, config in pairs(configs.layer) do
    local case = cases[name]
    for _, argument in ipairs(dl.describe("layer", name).arguments) do
      if argument.kind == "int" or argument.kind == "size" or argument.kind == "shape" or argument.kind == "any"
        or argument.kind == "axes" or argument.kind == "axis" then
        for _, value in ipairs{ 1 << 62, 1 << 40, (1 << 31) - 1 } do
          for _, given in ipairs{ value, { value, value }, { value, value, value } } do
            local spoilt = copy(config)
            spoilt[argument.name] = given
            survives(("%s.%s = %s"):format(name, argument.name, tostring(value)), function()
              local layer = L.from_config{ class_name = name, config = spoilt }
              if case and argument.name ~= "seed" and argument.name ~= "power_iterations" then layer(inputs_of(case)) end
            end)
          end
        end
      end
    end
  end
end)

test("inputs of the wrong rank, size and kind", function()
  local shapes = {
    {}, { 2 }, { 0 }, { 0, 3 }, { 2, 0 }, { 2, 3 }, { 2, 1, 1 }, { 0, 3, 4 }, { 2, 0, 4 }, { 2, 3, 0 }, { 2, 3, 5 }, { 2, 1,
      1, 1 },
    { 2, 0, 3, 4 }, { 2, 3, 4, 0 }, { 2, 7, 6, 5 }, { 2, 1, 1, 1, 1 }, { 2, 3, 0, 4, 4 }, { 2, 3, 4, 5, 7 }, { 1, 1, 1, 1, 1, 1 },
    { 2, 1, 1, 1, 1, 1, 1, 1 },
  }
  for name, config in pairs(configs.layer) do
    for _, shape in ipairs(shapes) do
      for _, dtype in ipairs{ "f32", "i32" } do
        survives(("%s on %s of shape %s"):format(name, dtype, table.concat(shape, ",")), function()
          local layer = L.from_config{ class_name = name, config = config }
          layer(dl.zeros(shape, dtype))
        end)
      end
    end
    local case = cases[name]
    if case then
      -- Built for one input, called with another: more channels, more axes, fewer axes.
      local layer, inputs = transfer.make(case)
      for _, shape in ipairs(shapes) do
        survives(name .. " built for another shape", function() layer(dl.zeros(shape, case.ids and "i32" or "f32")) end)
        survives(name .. " with a second input", function() layer{ inputs[1], dl.zeros(shape, "f32") } end)
      end
      if #case.inputs[1] >= 2 and not case.ids and case.inputs[1][#case.inputs[1]] > 1 and #layer:get_weights() > 0 then
        local wider = table.move(case.inputs[1], 1, #case.inputs[1], 1, {})
        for axis = 2, #wider do wider[axis] = wider[axis] + 1 end
        local others = table.move(inputs, 2, #inputs, 2, { dl.zeros(wider) })
        refused(name .. " with other channels", layer, #others == 1 and others[1] or others)
      end
      refused(name .. " without inputs", layer)
    end
  end
end)

test("masks that do not fit are refused in words", function()
  for name, case in pairs(cases) do
    local shape = case.inputs[1]
    for _, sizes in ipairs{ { shape[1], (shape[2] or 1) + 1 }, { shape[1] + 1, shape[2] or 1 }, { 1 }, { 0, 0 }, { 2, 2, 2,
      2 } } do
      survives(name .. " with a mask of another size", function()
        local thing, inputs = transfer.make(case)
        transfer.outputs(case, thing, inputs, dl.ones(sizes, "bool"))
      end)
    end
    survives(name .. " with a mask of numbers", function()
      local thing, inputs = transfer.make(case)
      transfer.outputs(case, thing, inputs, dl.ones({ shape[1], shape[2] or 1 }, "f32"))
    end)
  end
  local x, short = dl.ones{ 2, 4, 3 }, dl.ones({ 2, 3 }, "bool")
  for _, layer in ipairs{
    L.LSTM{ 2 }, L.GRU{ 2 }, L.SimpleRNN{ 2 }, L.RNN{ L.LSTMCell{ 2 } }, L.Bidirectional{ L.GRU{ 2 } },
      L.GlobalAveragePooling1D(),
  } do
    T.raises({ "dl[E_SHAPE]", "mask" }, layer, x, { mask = short })
  end
  T.raises({ "dl[E_SHAPE]", "mask" }, L.BatchNormalization(), x, { mask = short, training = true })
end)

test("labels and predictions of the wrong kind", function()
  local tensors = {
    dl.ones{ 2, 3 }, dl.ones{ 3, 2 }, dl.ones{ 2 }, dl.ones{ 2, 3, 4 }, dl.zeros{ 0, 3 }, dl.zeros{ 2, 0 }, dl.tensor(1),
    dl.tensor({ 7, -3 }, "i32"), dl.tensor{ 0.5, 1.5 }, dl.tensor({ true, false }, "bool"), dl.tensor{ { 0 / 0, 1, 1 / 0 } },
    dl.tensor({ 1 << 40, 2 }, "i64"),
  }
  for _, category in ipairs{ "loss", "metric" } do
    for name, config in pairs(configs[category]) do
      for first, truth in ipairs(tensors) do
        for second, prediction in ipairs(tensors) do
          survives(("%s %s of tensors %d and %d"):format(category, name, first, second), function()
            local thing = spaces[category].from_config{ class_name = name, config = config }
            if category == "loss" then return thing(truth, prediction) end
            thing:update(truth, prediction)
            thing:result()
          end)
        end
      end
    end
  end
  local labels = dl.losses.SparseCategoricalCrossentropy()
  T.raises({ "dl[E_RANGE]", "label" }, labels, dl.tensor({ 0, 1 }, "i32"), dl.ones{ 2, 3 })
  T.raises({ "dl[E_RANGE]", "label" }, labels, dl.tensor({ 4, 1 }, "i32"), dl.ones{ 2, 3 })
  T.raises({ "dl[E_" }, labels, dl.tensor{ 1.5, 1 }, dl.ones{ 2, 3 })
  T.raises({ "dl[E_SHAPE]" }, labels, dl.ones{ 2, 3 }, dl.ones{ 2, 3 })
  T.raises({ "dl[E_SHAPE]" }, dl.losses.CategoricalCrossentropy(), dl.tensor({ 1, 2 }, "i32"), dl.ones{ 2, 3 })
  T.raises({ "dl[E_SHAPE]" }, dl.losses.MeanSquaredError(), dl.ones{ 2, 3 }, dl.ones{ 2, 4 })
end)

test("gradients that do not fit, and rates that are none", function()
  for name, config in pairs(configs.optimizer) do
    for _, rate in ipairs{ -0.1, -huge } do
      local spoilt = copy(config)
      spoilt.learning_rate = rate
      refused(name .. " with a negative rate", dl.optimizers.from_config, { class_name = name, config = spoilt })
    end
    local optimizer = dl.optimizers.from_config{ class_name = name, config = config }
    refused(name .. " set to a negative rate", function() optimizer.learning_rate = -1 end)
    refused(name .. " set to no number", function() optimizer.learning_rate = 0 / 0 end)
    local w = dl.Variable{ 1, 2 }
    refused(name .. " with a gradient of another size", optimizer.apply, optimizer, { dl.ones{ 3 } }, { w })
    refused(name .. " without gradients", optimizer.apply, optimizer, {}, {})
    survives(name .. " with a gradient of whole numbers", optimizer.apply, optimizer, { dl.ones({ 2 }, "i32") }, { w })
    survives(name .. " with a gradient that is no number", optimizer.apply, optimizer, { dl.tensor{ 0 / 0, 1 / 0 } }, { w })
  end
end)

dl.set_memory_limit(0)

T.finish()

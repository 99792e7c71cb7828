-- Configurations between this library and Keras: what Keras has accepted (Tests/fixtures/make_transfer.py) is still what is
-- written here, what Keras writes is read, and masks go where they go there.

local folder = arg[0]:match "^(.*/)" or "./"
package.path = folder .. "?.lua;" .. folder .. "../fixtures/?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local transfer = require "transfer_run"
local test, equal, raises = T.test, T.equal, T.raises
local L = dl.layers

local golden, order = {}, {}
for line in assert(io.open(folder .. "../fixtures/keras/transfer.txt")):lines() do
  local fields = {}
  for field in (line .. "\t"):gmatch "([^\t]*)\t" do fields[#fields + 1] = field end
  golden[fields[1]] = { category = fields[2], json = fields[3], keras = fields[4], masked = fields[5], masks = fields[6] }
  order[#order + 1] = fields[1]
end

-- Names that are numbered differ with what was made before.
local function plain(json)
  return (json:gsub("_%d+\"", "\""))
end

local function tensors(text)
  local list = {}
  for part in (text .. ";"):gmatch "([^;]*);" do
    local shape, values = part:match "^(.-):(.*)$"
    if shape then
      local sizes, numbers = {}, {}
      for size in shape:gmatch "%d+" do sizes[#sizes + 1] = math.tointeger(size) end
      for number in values:gmatch "%S+" do numbers[#numbers + 1] = tonumber(number) end
      list[#list + 1] = { shape = sizes, numbers = numbers }
    else
      list[#list + 1] = false
    end
  end
  return list
end

local function compare(found, wanted, what)
  equal(#found, #wanted, what)
  for place, one in ipairs(wanted) do
    if not one then
      equal(found[place], false, what)
    else
      assert(found[place], what .. ": nothing there")
      equal(found[place].shape, one.shape, what)
      local numbers, scale = found[place]:cast "f64":reshape{ -1 }:totable(), 1e-3
      for _, number in ipairs(one.numbers) do scale = math.max(scale, math.abs(number)) end
      for index, number in ipairs(one.numbers) do
        assert(math.abs(numbers[index] - number) < 2e-5 * scale,
          ("%s: element %d is %g, in Keras %g"):format(what, index, numbers[index], number))
      end
    end
  end
end

local reading = {
  layer = L.from_json, model = dl.model_from_json, loss = dl.losses.from_config, metric = dl.metrics.from_config,
  optimizer = dl.optimizers.from_config, schedule = dl.optimizers.schedules.from_config,
  initializer = dl.initializers.from_config, regularizer = dl.regularizers.from_config,
  constraint = dl.constraints.from_config,
}

local function snake(name) return (name:gsub("(%l)(%u)", "%1_%2"):lower():gsub("l1_?l2", "l1_l2")) end

local passing = { name = true, keras_history = true, module = true, registered_name = true, build_input_shape = true }

-- What Keras leaves out there, while a layer or part inside has something of that name, or counts otherwise.
local lost = {
  ["metric AUC more.num_thresholds"] = true, ["SimpleRNN full.seed"] = true, ["SimpleRNN full.activity_regularizer"] = true,
}

-- Whether Keras's form of a configuration, read here, says what ours does. Keras writes out what is left out here.
-- `text` is theirs; what is not in it Keras has forgotten.
local function agrees(ours, theirs, path, text)
  if type(ours) == "table" and type(theirs) == "table" then
    if ours.class_name and theirs.class_name then
      equal(theirs.class_name, ours.class_name, path)
      return agrees(ours.config, theirs.config, path .. "." .. ours.class_name, text)
    end
    for key, value in pairs(ours) do
      -- Bidirectional sets it for its layers.
      local forgotten = lost[path .. "." .. tostring(key)] or key == "zero_output_for_mask" and not value
        or type(key) == "string" and not text:find(('"%s"'):format(key), 1, true)
      if not forgotten and not passing[key] then
        agrees(value, theirs[key], path .. "." .. tostring(key), text)
      end
    end
  elseif type(theirs) == "table" and theirs.class_name then
    equal(snake(theirs.class_name), ours == "uniform" and "random_uniform" or ours, path)
  elseif type(theirs) == "table" and type(ours) == "number" then
    -- One number for all axes; or a factor, which is from its negative or 0 to itself.
    agrees(ours, theirs[#theirs], path, text)
  elseif type(ours) == "table" and #ours == 1 and type(theirs) == "number" then
    equal(theirs, ours[1], path)
  elseif type(ours) == "number" and type(theirs) == "number" then
    -- Keras keeps some in single precision.
    T.near(theirs, ours, 1e-6)
  elseif type(ours) == "string" and type(theirs) == "string" then
    equal(plain(theirs .. "\""), plain(ours .. "\""), path)
  else
    equal(theirs, ours, path)
  end
end

local made = {}
for _, case in ipairs(transfer.cases) do
  made[case.name] = true
  test("transfer " .. case.name, function()
    local wanted = assert(golden[case.name], "not in transfer.txt; run make_transfer.py")
    local thing, inputs = transfer.make(case)
    equal(plain(thing:to_json()), plain(wanted.json), "what Keras has accepted")
    local again = reading[case.category](wanted.json)
    local theirs = reading[case.category](wanted.keras)
    agrees(thing:get_config(), again:get_config(), case.name, wanted.json)
    if case.category ~= "model" then
      agrees(thing:get_config(), theirs:get_config(), case.name, wanted.keras)
    end
    if #inputs == 0 or case.only_config then return end
    local expected = transfer.outputs(case, thing, inputs)
    transfer.make(case, theirs)
    for place, output in ipairs(transfer.outputs(case, theirs, inputs)) do
      T.near(output:totable(), expected[place]:totable(), 1e-6)
    end
    if wanted.masked == "-" then return end
    local mask = transfer.numbers.mask(case.inputs[1])
    if wanted.masked == "refused" then
      raises("dl[E_SHAPE]", transfer.outputs, case, thing, inputs, mask)
      return
    end
    thing = transfer.make(case)
    local outputs, masks = transfer.outputs(case, thing, inputs, mask), {}
    for place, output in ipairs(outputs) do masks[place] = output.mask or false end
    if wanted.masked == "=" then
      for place, output in ipairs(outputs) do T.near(output:totable(), expected[place]:totable(), 1e-6) end
    else
      compare(outputs, tensors(wanted.masked), case.name .. " with a mask")
    end
    compare(masks, tensors(wanted.masks), case.name .. ", mask of the output")
  end)
end

test("transfer has no cases of old", function()
  for _, name in ipairs(order) do assert(made[name], "no case " .. name .. " any more") end
end)

-- What Keras does not have; everything else has a case.
local beyond = {
  layer = { "RBFOutput", "OperationLayer", "ScaledSubsampling", "MaxUnpooling2D", "DenseTied", "Conv2DTied", "Perceptron",
    "LocalResponseNormalization" },
  loss = { "Exponential", "Logistic", "HalfSquaredError", "Wasserstein", "TripletMargin", "CosineEmbedding", "MarginRanking" },
  metric = { "Huber", "BinaryFocalCrossentropy", "CategoricalFocalCrossentropy", "ZeroOne", "TopKCategoricalError",
    "SparseTopKCategoricalError", "ROCCurve" },
  optimizer = { "Rprop" }, schedule = {}, initializer = {}, regularizer = { "KLSparsity", "Contractive" }, constraint = {},
}
-- Arguments that only take what they are, that Keras does not have, or of which one may be set (clipnorm and its like).
local fixed = {}
for name in ([[lora_rank lora_alpha quantization_config gptq_unpacked_column_size weights sparse ragged optional synchronized
  renorm renorm_clipping renorm_momentum input_axes output_axes sliding_window use_gate rms_scaling fill_mode label_base
  ceil_mode clipnorm clipvalue connection_table reduction dtype input_dim input_shape trainable batch_size shape
  ]]):gmatch "%S+" do
  fixed[name] = true
end

test("every name and every argument that Keras has goes over", function()
  local seen = {}
  for _, case in ipairs(transfer.cases) do
    if case.category ~= "model" then
      local name = case.name:match "^%l+ (%S+)" or case.name:match "^%S+"
      local class = case.category .. " " .. name
      seen[class] = seen[class] or {}
      for _, argument in ipairs(dl.describe(case.category, name).arguments) do
        local value, standard = case.make():get_config()[argument.name], argument.default
        local changed = type(value) == "table" or value ~= nil and value ~= standard
        if changed then seen[class][argument.name] = true end
      end
    end
  end
  local lacking = {}
  for category, names in pairs(beyond) do
    local own = {}
    for _, name in ipairs(names) do own[name] = true end
    for _, name in ipairs(dl.list(category)) do
      local class = category .. " " .. name
      if not own[name] and not seen[class] then lacking[#lacking + 1] = class end
      for _, argument in ipairs(seen[class] and dl.describe(category, name).arguments or {}) do
        local one = argument.name
        local is_own = class == "metric BinaryCrossentropy" and one == "axis"
        if not seen[class][one] and not fixed[one] and not is_own and one ~= "name" and one ~= "activity_regularizer" then
          lacking[#lacking + 1] = class .. "." .. one
        end
      end
    end
  end
  equal(lacking, {})
end)

test("classes read their own configurations", function()
  local layer = L.Dense.from_config{ units = 3, activation = "relu" }
  equal(layer(dl.ones{ 1, 2 }).shape, { 1, 3 })
  equal(L.from_config{ class_name = "Dense", config = { units = 3 } }.class_name, "Dense")
  equal(L.deserialize(L.serialize(layer)):get_config().units, 3)
  equal(dl.losses.Huber.from_config{ delta = 0.5 }:get_config().delta, 0.5)
  raises("from_config", L.Dense.from_config, 3)
  raises({ "from_config", "class_name" }, dl.losses.from_config, 3)
  raises({ "from_config" }, dl.metrics.from_config, { config = {} })
  raises({ "unit", "units" }, L.Dense.from_config, { unit = 3 })
  raises({ "no loss" }, dl.losses.from_config, { class_name = "Hubert" })
  raises({ "no regularizer" }, dl.regularizers.from_config, { class_name = "L3" })
  raises({ "of your own" }, function() return dl.losses.custom(function(a, b) return a - b end):to_json() end)
  -- What labels count from belongs to the script, unless it has said it.
  equal(dl.losses.SparseCategoricalCrossentropy():get_config().label_base, nil)
  equal(dl.losses.SparseCategoricalCrossentropy{ label_base = 1 }:get_config().label_base, 1)
end)

-- ---- Layers within layers --------------------------------------------------------------------------------------

test("a layer goes into another one as itself", function()
  local x = dl.tensor{ { 1, 2 } }
  local inner = L.Dense{ 2, kernel_initializer = "ones" }
  inner(x)
  inner:set_weights{ dl.tensor{ { 1, 2 }, { 3, 4 } }, dl.tensor{ 5, 6 } }
  for _, name in ipairs{ "Wrapper", "TimeDistributed", "SpectralNormalization" } do
    local outer = L[name]{ inner }
    local y = outer(name == "TimeDistributed" and x:reshape{ 1, 1, 2 } or x)
    equal(y:reshape{ 2 }:totable(), { 12, 16 }, name)
  end
  local outer = L.TimeDistributed{ layer = inner }
  inner:set_weights{ dl.zeros{ 2, 2 }, dl.tensor{ 7, 8 } }
  equal(outer(x:reshape{ 1, 1, 2 }):totable(), { { { 7, 8 } } })
end)

test("cells go into layers as themselves", function()
  local cell = L.SimpleRNNCell{ 2, activation = false }
  local layer = L.RNN{ cell }
  layer(dl.ones{ 1, 3, 2 })
  cell:set_weights{ dl.ones{ 2, 2 }, dl.zeros{ 2, 2 }, dl.tensor{ 0, 1 } }
  equal(layer(dl.ones{ 1, 3, 2 }):totable(), { { 2, 3 } })
  local stack = L.StackedRNNCells{ { cell, L.GRUCell{ 3 } } }
  equal(#L.RNN{ stack }(dl.ones{ 1, 3, 2 }).shape, 2)
  equal(cell:get_weights()[3]:totable(), { 0, 1 })
end)

test("Bidirectional makes both directions like the layer, and keeps a backward layer", function()
  local given = L.GRU{ 2, name = "given" }
  given(dl.ones{ 1, 3, 2 })
  local back = L.GRU{ 2, go_backwards = true, name = "back" }
  back(dl.ones{ 1, 3, 2 })
  local before = back:get_weights()[1]:totable()
  local both = L.Bidirectional{ given, backward_layer = back }
  both(dl.ones{ 1, 3, 2 })
  equal(both:get_weights()[4]:totable(), before)
  equal(both:get_config().layer.config.name, "forward_given")
end)

test("layers written in Lua go into others, registered or not", function()
  local Twice = L.Layer:extend("TransferTwice", { call = function(_, x) return x * 2 end })
  equal(L.TimeDistributed{ Twice() }(dl.ones{ 1, 2, 2 }):totable(), { { { 2, 2 }, { 2, 2 } } })
  local lambda = L.Lambda(function(x) return x + 1 end)
  equal(L.TimeDistributed{ lambda }(dl.ones{ 1, 2, 2 }):totable(), { { { 2, 2 }, { 2, 2 } } })
  local model = dl.Sequential{ L.Input{ shape = { 2 } }, L.Dense{ 2 } }
  equal(L.TimeDistributed{ model }(dl.ones{ 1, 2, 2 }).shape, { 1, 2, 2 })
  local lent = { class_name = "__layer__", config = { index = 0 } }
  raises("refers to a layer", L.from_json, { class_name = "Wrapper", config = { layer = lent } })
  lent.config.index = -1
  raises("refers to a layer", L.from_json, { class_name = "RNN", config = { cell = lent } })
end)

T.finish()

-- compile, evaluate, predict and single batches; how scripts hand in data.

local core = ...
local arguments = core.use "arguments"
local tensor = core.use "tensor"
local steps = core.use "steps"
local fail, kind_of = core.fail, arguments.kind_of

local methods = core.class("dl.Model").methods
local port_names = core.models.port_names
local training = {}

-- ---- Compile ---------------------------------------------------------------------------------------------------

-- Losses or metrics in the form the library reads: names as they are, objects and functions as places in `objects`.
local function describe(value, kind, make, objects, owner, base)
  if value == nil or value == false then return core.null end
  -- The function form of a loss stands for its name.
  if type(value) == "table" and type(value.loss_name) == "string" then return value.loss_name end
  if type(value) == "string" then return value end
  if type(value) == "function" then value = make(("custom_%s"):format(owner), value) end
  if core.kind(value) == kind then
    if base == 0 then core.losses.follow_label_base(value, 0) end
    objects[#objects + 1] = value
    return { handle = #objects - 1 }
  end
  if type(value) ~= "table" then
    fail("ARGUMENT", ("'%s' must be a name, a %s, a function, or a table of them, got %s"):format(owner, kind, kind_of(value)))
  end
  local constructor = getmetatable(value)
  if constructor and constructor.__call and value.name then
    fail("ARGUMENT", ("'%s' got the constructor %s; call it: %s()"):format(owner, tostring(value), value.name))
  end
  local form, names = {}, arguments.keys(value)
  for _, name in ipairs(names) do form[name] = describe(value[name], kind, make, objects, owner, base) end
  if #names > 0 then
    if #value > 0 then fail("ARGUMENT", ("'%s' mixes entries with and without names"):format(owner)) end
    return form
  end
  for place = 1, #value do form[place] = describe(value[place], kind, make, objects, owner, base) end
  return core.array(form)
end

--- model:compile{ optimizer = "adam", loss = "sparse_categorical_crossentropy", metrics = { "accuracy" } }
-- Losses, metrics and their weights: one, a list with one for each output, or by output name.
-- Class labels count from 1; label_base = 0 for data that counts from 0.
function methods.compile(model, options, ...)
  arguments.self(model, "dl.Model", "compile")
  if type(options) == "string" or select("#", ...) > 0 then
    fail("ARGUMENT", "compile takes one table: model:compile{ optimizer = ..., loss = ... }")
  end
  options = arguments.options("compile", options, {
    optimizer = "any", loss = "any", metrics = "any", weighted_metrics = "any", loss_weights = "table|number",
    run_eagerly = "boolean", label_base = "integer",
  })
  local base = options.label_base or 1
  if base ~= 0 and base ~= 1 then fail("ARGUMENT", ("label_base must be 0 or 1, got %d"):format(base)) end
  local form = { losses = {}, metric_objects = {}, run_eagerly = options.run_eagerly, label_base = base }
  local optimizer = options.optimizer
  if core.kind(optimizer) == "dl.Optimizer" then
    form.optimizer_object = optimizer
  elseif type(optimizer) == "string" or optimizer == nil then
    form.optimizer = optimizer
  elseif type(optimizer) == "table" and type(optimizer.class_name) == "string" then
    form.optimizer = core.encode{ class_name = optimizer.class_name, config = optimizer.config }
  else
    local called = type(optimizer) == "table" and getmetatable(optimizer) and optimizer.name
    fail("ARGUMENT", ("'optimizer' must be a name or an optimizer, got %s%s"):format(kind_of(optimizer),
      called and ("; call its constructor: %s{}"):format(called) or ""))
  end
  local function text(value)
    if type(value) == "table" then return core.encode(value) end
    if type(value) == "string" then return core.encode(value) end
    return nil
  end
  form.loss = text(describe(options.loss, "dl.Loss", core.loss_custom, form.losses, "loss", base))
  local function metrics(value, owner)
    if value == nil then return nil end
    local single = type(value) ~= "table" or core.kind(value)
    return text(describe(single and { value } or value, "dl.Metric", core.metric_custom, form.metric_objects, owner, base))
  end
  form.metrics = metrics(options.metrics, "metrics")
  form.weighted_metrics = metrics(options.weighted_metrics, "weighted_metrics")
  local weights = options.loss_weights
  if weights ~= nil then form.loss_weights = core.encode(type(weights) == "number" and { weights } or weights) end
  core.compile(model, form)
end

-- ---- Data ------------------------------------------------------------------------------------------------------

-- One tensor, several in a list, or by name in the order of `names`.
local function tensors(value, names, what)
  if value == nil then return nil end
  if core.kind(value) == "dl.Tensor" then return { value } end
  if type(value) ~= "table" then
    fail("ARGUMENT", ("%s must be a tensor or a table, got %s"):format(what, kind_of(value)))
  end
  local keys = arguments.keys(value)
  if #keys > 0 then
    local list, left = {}, {}
    for _, key in ipairs(keys) do left[key] = true end
    for place, name in ipairs(names) do
      if value[name] == nil then
        fail("ARGUMENT", ("%s lacks '%s'; it has %s"):format(what, name, table.concat(keys, ", ")))
      end
      list[place] = tensor.from(value[name], what)
      left[name] = nil
    end
    local stray = next(left)
    if stray then
      fail("ARGUMENT", ("%s has '%s', which the model does not%s"):format(what, stray, arguments.suggestion(stray, names)))
    end
    return list
  end
  if core.kind(value[1]) == "dl.Tensor" or #names > 1 and type(value[1]) == "table" then
    local list = {}
    for place = 1, #value do list[place] = tensor.from(value[place], what) end
    return list
  end
  return { tensor.from(value, what) }
end

--- The library's form of x, y and sample weights.
function training.data(model, x, y, sample_weight)
  local names = port_names(model)
  if x == nil then fail("ARGUMENT", "x is missing") end
  local data = { x = tensors(x, names.inputs, "x"), y = tensors(y, names.outputs, "y") }
  if sample_weight ~= nil then
    local by_name = type(sample_weight) == "table" and #arguments.keys(sample_weight) > 0
    if by_name then
      local list = {}
      for place, name in ipairs(names.outputs) do
        local weight = sample_weight[name]
        list[place] = weight ~= nil and tensor.from(weight, "sample_weight") or false
      end
      data.sample_weight = list
    else
      data.sample_weight = tensors(sample_weight, names.outputs, "sample_weight")
    end
  end
  return data
end

--- {x, y}, {x, y, weights}, {x = ..., y = ...} or a data set, as validation_data takes it.
function training.pair(model, given, what)
  if type(given) ~= "table" then fail("ARGUMENT", ("%s must be a table {x, y}, got %s"):format(what, kind_of(given))) end
  local x, y = given.x, given.y
  if x == nil then x, y = given[1], given[2] end
  if x == nil or y == nil and not steps.has(model, "test_step") then
    fail("ARGUMENT", ("%s must have x and y: {x, y}"):format(what))
  end
  return training.data(model, x, y, given.sample_weight or given[3])
end

--- A list with one weight for each class, from weights by label.
function training.class_weight(model, given, label_base)
  if given == nil then return nil end
  local info = core.layer_info(model)
  local shape, classes = info.output_shape or {}, 0
  if type(shape[#shape]) == "number" then classes = shape[#shape] end
  local weights, any = {}, false
  for label, weight in pairs(given) do
    local class = math.type(label) == "integer" and label - label_base + 1
    if not class or class < 1 or classes > 1 and class > classes then
      fail("RANGE", ("class_weight has the label %s; labels run from %d to %d"):format(tostring(label), label_base,
        classes + label_base - 1))
    end
    if type(weight) ~= "number" then
      fail("ARGUMENT", ("class_weight of label %s must be a number, got %s"):format(tostring(label), kind_of(weight)))
    end
    classes = math.max(classes, class)
    weights[class], any = weight, true
  end
  if not any then return nil end
  for class = 1, classes do weights[class] = weights[class] or 1.0 end
  return weights
end

-- ---- Evaluate and predict --------------------------------------------------------------------------------------

-- Values by position and by name.
local function named(model, values)
  for place, name in ipairs(core.metrics_names(model)) do
    if values[name] == nil then values[name] = values[place] end
  end
  return values
end

--- Loss and metrics: model:evaluate(x, y, { batch_size = 32, sample_weight = w }); a table with r.loss, r.accuracy, r[1],
-- which is both of what Keras's return_dict chooses from.
function methods.evaluate(model, x, y, options)
  arguments.self(model, "dl.Model", "evaluate")
  local batches = core.use "batches"
  if batches.is(x) and options == nil and type(y) == "table" then y, options = nil, y end
  if type(x) == "table" and y == nil and not batches.is(x) then
    options = arguments.options("evaluate", x, {
      x = "any", y = "any", batch_size = "integer", sample_weight = "any", verbose = "any", return_dict = "boolean",
    })
    x, y = options.x or options[1], options.y or options[2]
  else
    options = arguments.options("evaluate", options, {
      batch_size = "integer", sample_weight = "any", verbose = "any", return_dict = "boolean",
    })
  end
  if batches.is(x) then
    if y ~= nil or options.sample_weight ~= nil then
      fail("ARGUMENT", "evaluate: a data set has its own y and sample_weight")
    end
    if options.batch_size then
      fail("ARGUMENT", "evaluate: 'batch_size' and a data set exclude each other; its batches have what they have")
    end
    return named(model, batches.evaluated(x, model))
  end
  if y == nil and not steps.has(model, "test_step") then fail("ARGUMENT", "evaluate needs x and y") end
  return named(model, core.evaluate(model, training.data(model, x, y, options.sample_weight), options.batch_size))
end

-- Outputs as they were asked for: one tensor, or a list that is also by name.
local function outputs(model, ...)
  if select("#", ...) == 1 then return (...) end
  local list = { ... }
  for place, name in ipairs(port_names(model).outputs) do list[name] = list[place] end
  return list
end

--- The model's outputs for many samples, batch by batch: model:predict(x, { batch_size = 32 }); x may be a data set by
-- batches, whose y is left alone.
function methods.predict(model, x, options)
  arguments.self(model, "dl.Model", "predict")
  options = arguments.options("predict", options, { batch_size = "integer", verbose = "any" })
  local batches = core.use "batches"
  if batches.is(x) then return outputs(model, batches.predicted(x, model)) end
  return outputs(model, core.predict(model, training.data(model, x).x, options.batch_size))
end

function methods.predict_on_batch(model, x)
  arguments.self(model, "dl.Model", "predict_on_batch")
  local inputs = training.data(model, x).x
  return outputs(model, core.predict(model, inputs, math.max(1, #inputs[1])))
end

--- One training step; gives what evaluate gives, for this batch.
function methods.train_on_batch(model, x, y, options)
  arguments.self(model, "dl.Model", "train_on_batch")
  options = arguments.options("train_on_batch", options, {
    sample_weight = "any", class_weight = "table", label_base = "integer", return_dict = "boolean",
  })
  if y == nil and not steps.has(model, "train_step") then fail("ARGUMENT", "train_on_batch needs x and y") end
  local data = training.data(model, x, y, options.sample_weight)
  data.class_weight = training.class_weight(model, options.class_weight, options.label_base or 1)
  return named(model, core.train_on_batch(model, data))
end

function methods.test_on_batch(model, x, y, options)
  arguments.self(model, "dl.Model", "test_on_batch")
  options = arguments.options("test_on_batch", options, { sample_weight = "any", return_dict = "boolean" })
  if y == nil and not steps.has(model, "test_step") then fail("ARGUMENT", "test_on_batch needs x and y") end
  return named(model, core.test_on_batch(model, training.data(model, x, y, options.sample_weight)))
end

return training

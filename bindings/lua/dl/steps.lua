-- Steps of training, testing and predicting that scripts write, and the parts that they are made of.

local core = ...
local arguments = core.use "arguments"
local fail, kind_of = core.fail, arguments.kind_of

local class = core.class "dl.Model"
local methods, getters, setters = class.methods, class.getters, class.setters
local steps = {}
-- The steps and parts that models have unless a script says otherwise.
local usual = {}

local bits = { train_step = 1, test_step = 2, predict_step = 3, compute_loss = 4, reset = 5 }

-- One tensor where there is one, as the functions of models see them; nil where there is none.
local function single(list)
  if #list == 0 then return nil end
  if #list == 1 then return list[1] or nil end
  return list
end

local function listed(value)
  if value == nil then return {} end
  if core.kind(value) == "dl.Tensor" then return { value } end
  return value
end

-- Names and numbers in turn, out of what a step returned.
local function figures(given, name)
  if given ~= nil and (type(given) ~= "table" or core.kind(given)) then
    fail("ARGUMENT", ("%s must return a table of figures by name, got %s"):format(name, kind_of(given)))
  end
  local list, names = {}, {}
  for key, value in pairs(given or {}) do
    if type(key) == "string" then
      names[#names + 1] = key
    elseif math.type(key) ~= "integer" then
      fail("ARGUMENT", ("%s must return figures by name, got %s = %s"):format(name, tostring(key), kind_of(value)))
    end
  end
  if #names == 0 and next(given or {}) ~= nil then
    fail("ARGUMENT", ("%s must return figures by name, got a list"):format(name))
  end
  -- The loss comes first, as everywhere.
  table.sort(names, function(a, b)
    if (a == "loss") ~= (b == "loss") then return a == "loss" end
    return a < b
  end)
  for _, key in ipairs(names) do
    local value = given[key]
    if core.kind(value) == "dl.Metric" then value = value:result() end
    if core.kind(value) == "dl.Tensor" then
      value = core.size(value) == 1 and core.item(value) or core.item(core.apply("mean", { value }))
    end
    if type(value) ~= "number" then
      fail("ARGUMENT", ("%s must return numbers by name, got %s = %s"):format(name, key, kind_of(given[key])))
    end
    list[#list + 1], list[#list + 2] = key, value
  end
  return list
end

-- What the library calls: find(model, name) gives the script's function, or nil for the usual way.
local function dispatcher(find, reset)
  return function(kind, model, x, y, weights, predictions, training)
    if kind == "reset" then
      reset(model)
      return nil
    end
    if kind == "loss" then
      local loss = find(model, "compute_loss")(model, single(x), single(y), single(predictions), single(weights), training)
      if core.kind(loss) ~= "dl.Tensor" and type(loss) ~= "number" then
        fail("ARGUMENT", "compute_loss must return a tensor, got " .. kind_of(loss))
      end
      return { loss }
    end
    local name = kind .. "_step"
    local f = find(model, name) or usual[name]
    if kind == "predict" then
      local outputs = f(model, single(x))
      if core.kind(outputs) ~= "dl.Tensor" and (type(outputs) ~= "table" or core.kind(outputs[1]) ~= "dl.Tensor") then
        fail("ARGUMENT", "predict_step must return a tensor or a list of tensors, got " .. kind_of(outputs))
      end
      return listed(outputs)
    end
    return figures(f(model, single(x), single(y), single(weights)), name)
  end
end

-- ---- Functions set on a model ----------------------------------------------------------------------------------

-- By model, so that a function which holds its model does not keep it alive for ever.
local own = setmetatable({}, { __mode = "k" })

local function set_own(model, name, f)
  if f ~= nil and f ~= false and type(f) ~= "function" then
    fail("ARGUMENT", ("%s must be a function of model, x, y and sample_weight, got %s"):format(name, kind_of(f)))
  end
  own[model] = own[model] or {}
  own[model][name] = f or nil
  local fields, kinds = core.fields(model), 0
  for step, bit in pairs(bits) do
    if own[model][step] or fields and type(fields[step]) == "function" then kinds = kinds | 1 << bit end
  end
  if kinds ~= 0 then kinds = kinds | 1 << bits.reset end
  local held = setmetatable({ model = model, functions = own[model] }, { __mode = "v" })
  core.model_set_steps(model, kinds, dispatcher(function(given, step)
    if fields == nil and held.functions == nil then
      fail("STATE", ("the %s of model '%s' went with the object that it was set on; keep that object"):format(step, given.name))
    end
    return held.functions and held.functions[step] or fields and fields[step]
  end, steps.reset))
end

for _, name in ipairs{ "train_step", "test_step", "predict_step", "compute_loss" } do
  setters[name] = function(model, f) set_own(model, name, f) end
end

--- Whether a script has said how a model takes such a step.
function steps.has(model, name)
  local fields = core.fields(model)
  return own[model] ~= nil and own[model][name] ~= nil or fields ~= nil and type(fields[name]) == "function"
    or fields ~= nil and fields.compute_metrics ~= nil and (name == "train_step" or name == "test_step")
end

-- ---- Models written in Lua -------------------------------------------------------------------------------------

--- Tells the library which steps a model of a script's class has.
function steps.adopt(model, fields)
  local kinds = 0
  for name, bit in pairs(bits) do
    if type(fields[name]) == "function" then kinds = kinds | 1 << bit end
  end
  if fields.compute_metrics then kinds = kinds | 1 << bits.train_step | 1 << bits.test_step end
  -- Metrics among the fields begin anew with each epoch, whatever the steps are.
  kinds = kinds | 1 << bits.reset
  core.model_set_steps(model, kinds, dispatcher(function(given, name) return core.fields(given)[name] end, steps.reset))
end

-- The metrics among the fields of a model, in the order in which they were set.
local function own_metrics(model)
  local fields, list = core.fields(model), {}
  for _, name in ipairs(fields and (getmetatable(fields) or {}).order or {}) do
    if core.kind(rawget(fields, name)) == "dl.Metric" then list[#list + 1] = fields[name] end
  end
  return list
end

function steps.reset(model)
  for _, metric in ipairs(own_metrics(model)) do metric:reset() end
end

-- ---- Parts of a step -------------------------------------------------------------------------------------------

--- What gathers loss and metrics: the mean of the loss first, then what compile asked for, then metrics among the fields.
function getters.metrics(model)
  core.use "metrics"
  local list = core.model_metrics(model)
  for _, metric in ipairs(own_metrics(model)) do list[#list + 1] = metric end
  return list
end

--- Lets all metrics begin anew.
function methods.reset_metrics(model)
  arguments.self(model, "dl.Model", "reset_metrics")
  core.reset_metrics(model)
end

--- Loss and metrics since the last reset, by name.
function methods.get_metrics_result(model)
  arguments.self(model, "dl.Model", "get_metrics_result")
  local values = core.model_results(model)
  for place, name in ipairs(core.metrics_names(model)) do
    if values[name] == nil then values[name] = values[place] end
  end
  return values
end

local function parts(model, name, x, y, y_pred, sample_weight)
  arguments.self(model, "dl.Model", name)
  if type(x) == "table" and core.kind(x) == nil and y == nil and (x.y ~= nil or x.y_pred ~= nil) then
    local options = arguments.options(name, x, {
      x = "any", y = "any", y_pred = "any", sample_weight = "any", training = "boolean",
    })
    y, y_pred, sample_weight = options.y, options.y_pred, options.sample_weight
  end
  if y_pred == nil then fail("ARGUMENT", name .. " needs y_pred, the predictions") end
  return { x = listed(y_pred), y = listed(y), sample_weight = listed(sample_weight) }
end

--- The loss that compile asked for, and what layers added in the latest call:
-- model:compute_loss(x, y, y_pred, sample_weight), or model:compute_loss{ y = , y_pred = }.
function usual.compute_loss(model, x, y, y_pred, sample_weight)
  return core.compute_loss(model, parts(model, "compute_loss", x, y, y_pred, sample_weight))
end

--- Takes predictions into the metrics that compile asked for, and gives loss and metrics by name.
function methods.compute_metrics(model, x, y, y_pred, sample_weight)
  core.compute_metrics(model, parts(model, "compute_metrics", x, y, y_pred, sample_weight))
  return methods.get_metrics_result(model)
end

local function loss_and_metrics(model, x, y, y_pred, sample_weight, training)
  local loss = model.compute_loss(model, x, y, y_pred, sample_weight, training)
  return loss, function()
    -- Each sample counts the same, however large its batch is.
    core.metric_update(core.model_metrics(model)[1], loss, nil, #listed(x)[1])
    return model.compute_metrics(model, x, y, y_pred, sample_weight)
  end
end

--- The usual training step, operation by operation: for steps of one's own that add something to it.
function usual.train_step(model, x, y, sample_weight)
  local y_pred, loss, measure
  local tape <close> = core.tape(true)
  y_pred = model(x, { training = true })
  loss, measure = loss_and_metrics(model, x, y, y_pred, sample_weight, true)
  core.tape_stop(tape)
  local variables = model.trainable_variables
  core.optimizer_apply(model.optimizer, core.gradient(tape, loss, variables), variables)
  return measure()
end

--- The usual test step.
function usual.test_step(model, x, y, sample_weight)
  local y_pred = model(x, { training = false })
  local _, measure = loss_and_metrics(model, x, y, y_pred, sample_weight, false)
  return measure()
end

--- The usual predict step.
function usual.predict_step(model, x) return model(x, { training = false }) end

-- A function set on a model goes before the usual one; that of a class is found before either, see object_index.
for name, f in pairs(usual) do
  getters[name] = function(model) return own[model] and own[model][name] or f end
end

steps.usual = usual

return steps

-- dl.metrics: metric objects with update, result and reset.

local core = ...
local arguments = core.use "arguments"
local declared = core.use "declared"
local tensor = core.use "tensor"
local objects = core.use "objects"
local fail, kind_of = core.fail, arguments.kind_of

core.use "losses"

local methods = core.class("dl.Metric").methods

--- Takes in a batch. Mean and Sum take their values alone.
function methods.update(metric, y_true, y_pred, sample_weight)
  arguments.self(metric, "dl.Metric", "update")
  if y_true == nil then fail("ARGUMENT", "metric:update(y_true, y_pred) takes tensors, got nil") end
  core.metric_update(metric, tensor.from(y_true, "y_true"), y_pred ~= nil and tensor.from(y_pred, "y_pred") or nil, sample_weight)
end
methods.update_state = methods.update

--- What the batches so far give: a number, or a tensor for metrics of several.
function methods.result(metric)
  arguments.self(metric, "dl.Metric", "result")
  local result = core.metric_result(metric)
  return core.size(result) == 1 and core.item(result) or result
end

function methods.reset(metric)
  arguments.self(metric, "dl.Metric", "reset")
  core.metric_reset(metric)
end
methods.reset_state = methods.reset

--- metric(y_true, y_pred): takes in the batch and gives the result so far.
core.metamethod("dl.Metric", "__call", function(metric, ...)
  methods.update(metric, ...)
  return methods.result(metric)
end)

methods.to_json = core.losses.to_json
function methods.get_config(metric) return core.decode(methods.to_json(metric)).config end

--- Within init of a metric written in Lua: a state, which begins anew with every epoch.
-- self:add_variable{ name = "total", shape = {}, initializer = "zeros", dtype = "f32" }
function methods.add_variable(metric, options)
  arguments.self(metric, "dl.Metric", "add_variable")
  options = arguments.options("add_variable", options, {
    name = "string", shape = "table|integer", initializer = "string|table", dtype = "string",
  })
  local shape = options.shape or {}
  local initializer = options.initializer or "zeros"
  if type(initializer) == "table" then initializer = { class_name = initializer.class_name, config = initializer.config } end
  local first = core.initialize(initializer, type(shape) == "number" and { shape } or shape, options.dtype)
  return core.metric_add_variable(metric, options.name or "variable", first)
end
methods.add_weight = methods.add_variable

local function make(name, config)
  local declaration = declared.describe("metric", name)
  local given = { label_base = config.label_base }
  if not declaration then return core.metric(name, config) end
  return core.losses.note(core.metric(name, core.losses.with_label_base(declaration, config)), declaration, given)
end

local space = declared.namespace("dl.metrics", "metric", function(declaration, name)
  return declared.constructor("dl.metrics", declaration, function(...)
    local positions, options = declared.sort(declaration, ...)
    local config = declared.configure(declaration, name, positions, options)
    local given = { label_base = config.label_base }
    return core.losses.note(core.metric(name, core.losses.with_label_base(declaration, config)), declaration, given)
  end, function(config) return make(name, config) end)
end, {
  ConfusionMatrix = core.use "confusion",
  Metric = objects.metric(),

  --- The same as custom, by Keras's name: MeanMetricWrapper(f, { name = "mine" })
  MeanMetricWrapper = function(f, options)
    if type(f) == "table" and f.fn then f, options = f.fn, f end
    if type(f) ~= "function" then fail("ARGUMENT", "MeanMetricWrapper takes a function, got " .. kind_of(f)) end
    return core.metric_custom(type(options) == "table" and options.name or "mean_metric_wrapper", f)
  end,

  --- A metric written in Lua, the mean of what the function gives for each sample.
  custom = function(f, name)
    if type(f) ~= "function" then fail("ARGUMENT", "a metric must be a function, got " .. kind_of(f)) end
    return core.metric_custom(name or "custom_metric", f)
  end,
})

return objects.name(declared.reading("dl.metrics", space, make), "dl.metrics", "metric")

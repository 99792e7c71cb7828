-- dl.models: Sequential and functional models, and what every model can do but training.

local core = ...
local arguments = core.use "arguments"
local fail, kind_of = core.fail, arguments.kind_of

core.use "layers"

local class = core.class "dl.Model"
local methods, getters = class.methods, class.getters
local models = {}

local function is_layer(value)
  local kind = core.kind(value)
  return kind == "dl.Layer" or kind == "dl.Model"
end

-- ---- Sequential ------------------------------------------------------------------------------------------------

--- Adds a layer, a model, or the Input that a stack begins with. Returns the model.
function methods.add(model, layer)
  arguments.self(model, "dl.Model", "add")
  if core.kind(layer) == "dl.Tensor" then layer = core.input_layer(layer) or layer end
  if not is_layer(layer) then
    fail("ARGUMENT", ("model:add(layer): expected a layer, got %s%s"):format(kind_of(layer),
      type(layer) == "table" and getmetatable(layer) and "; a layer is made by calling its constructor: Flatten()" or ""))
  end
  core.sequential_add(model, layer)
  return model
end

--- Takes the last layer off.
function methods.pop(model)
  arguments.self(model, "dl.Model", "pop")
  core.sequential_pop(model)
  return model
end

--- A stack of layers: Sequential{ Input{...}, Dense{...}, name = "mlp" }, or Sequential() and add.
function models.Sequential(layers, options)
  if layers ~= nil and type(layers) ~= "table" then
    fail("ARGUMENT", "Sequential takes a list of layers, got " .. kind_of(layers))
  end
  options = arguments.options("Sequential", options or layers, { name = "string" })
  local model = core.sequential(options.name)
  for _, layer in ipairs(layers or {}) do methods.add(model, layer) end
  if layers and #layers == 0 and next(layers) ~= nil and not layers.name then
    fail("ARGUMENT", "Sequential takes a list of layers and a name")
  end
  return model
end

-- ---- Functional models -----------------------------------------------------------------------------------------

-- A tensor, a list, or tensors by name, as a list and their names.
local function listed(value, what)
  if core.kind(value) == "dl.Tensor" then return { value } end
  if type(value) ~= "table" then
    fail("ARGUMENT", ("%s of a model must be a tensor or a table of tensors, got %s"):format(what, kind_of(value)))
  end
  local names = arguments.keys(value)
  if #names == 0 then return value end
  local list = {}
  for place, name in ipairs(names) do list[place] = value[name] end
  return list, names
end

--- A model between symbolic tensors: Model{ inputs = x, outputs = y, name = "m" }; tables for several, by name if wished.
local function functional(inputs, outputs, options)
  if type(inputs) == "table" and (inputs.inputs or inputs.outputs) and outputs == nil then
    options = arguments.options("Model", inputs, { inputs = "any", outputs = "any", name = "string" })
    inputs, outputs = options.inputs, options.outputs
  end
  options = options or {}
  if inputs == nil or outputs == nil then
    fail("ARGUMENT", "Model needs inputs and outputs: Model{ inputs = x, outputs = y }")
  end
  local output_list, names = listed(outputs, "outputs")
  return core.model(options.name, (listed(inputs, "inputs")), output_list, names)
end

--- Also what models written in Lua are derived from: dl.Model:extend("Net", { init = ..., call = ... }), see dl.layers.Layer.
-- The library's own methods, for those that a class overrides: dl.Model.train_step(self, x, y).
local inherited = { of_models = true, extend = core.custom.extend, get_config = core.custom.get_config }
models.Model = setmetatable({ of_models = true, inherited = inherited, extend = inherited.extend }, {
  __call = function(_, ...) return functional(...) end,
  __index = function(_, name) return core.use("steps").usual[name] or methods[name] end,
  __tostring = function() return "dl.Model" end,
})

-- ---- Looking into models ---------------------------------------------------------------------------------------

local function wrap(layer)
  local model = core.layer_as_model(layer)
  return model or layer
end

--- The layers, in order.
function getters.layers(model)
  local list = {}
  for place = 1, core.model_layer_count(model) do list[place] = wrap(core.model_layer(model, place - 1)) end
  return list
end

--- A layer by name, or by position from 1: model:get_layer "conv1", model:get_layer(1)
function methods.get_layer(model, which)
  arguments.self(model, "dl.Model", "get_layer")
  if math.type(which) == "integer" then
    local count = core.model_layer_count(model)
    if which == 0 or which > count or which < -count then
      fail("RANGE", ("layer %d of a model with %d layers; positions count from 1"):format(which, count))
    end
    return wrap(core.model_layer(model, which > 0 and which - 1 or count + which))
  end
  if type(which) ~= "string" then
    fail("ARGUMENT", "get_layer takes a name or a position, got " .. kind_of(which))
  end
  return wrap(core.model_layer(model, which))
end

--- for name, layer in model:layers_iter() do
function methods.layers_iter(model)
  local list, place = getters.layers(model), 0
  return function()
    place = place + 1
    if list[place] then return list[place].name, list[place] end
  end
end

--- Prints the table of layers: model:summary(), model:summary{ width = 100, print_fn = f }
function methods.summary(model, options)
  arguments.self(model, "dl.Model", "summary")
  options = arguments.options("summary", options, { width = "integer", line_length = "integer", print_fn = "function" })
  local text = core.model_summary(model, options.width or options.line_length or 0):gsub("\n$", "")
  if options.print_fn then options.print_fn(text) else print(text) end
end

local explain_options = {
  profile = "integer|boolean", trace = "string", mode = "string", steps = "boolean", as_table = "boolean", print_fn = "function",
}

--- Prints what the compiled steps do: operations, what was fused into them, kernels and why not others, bytes, memory.
-- model:explain{ profile = 20, trace = "step.json", mode = "train" } runs each step 20 times (true: 10) and tells times too;
-- as_table = true gives the list of plans instead of printing. Steps are compiled when first run.
function methods.explain(model, options)
  arguments.self(model, "dl.Model", "explain")
  options = arguments.options("explain", options, explain_options)
  local profile = options.profile
  if profile == true or (profile == nil and options.trace) then profile = 10 end
  local text = core.model_explain(model, { format = options.as_table and "json" or "text", mode = options.mode,
    profile = profile or 0, trace = options.trace, steps = options.steps ~= false })
  if options.as_table then return core.decode(text).plans end
  text = text:gsub("\n$", "")
  if options.print_fn then options.print_fn(text) else print(text) end
end

--- The memory of each compiled step in bytes: { { mode = "train", inputs = , arena_bytes = , peak_bytes = , variable_bytes = ,
-- constant_bytes = }, ... }.
function methods.memory(model)
  arguments.self(model, "dl.Model", "memory")
  return methods.explain(model, { as_table = true, steps = false })
end

--- The architecture as JSON in Keras's form.
function methods.to_json(model) return core.model_to_json(model) end
function methods.get_config(model) return core.decode(core.model_to_json(model)).config end

function class.tostring(model)
  local info = core.layer_info(model)
  return ("%s '%s': %d layers, %d parameters"):format(info.class_name, info.name, core.model_layer_count(model),
    methods.count_params(model))
end

local names_cache = setmetatable({}, { __mode = "k" })

-- Names of inputs and outputs, in order.
local function port_names(model)
  local known = names_cache[model]
  if known then return known end
  local info = core.layer_info(model)
  known = { inputs = info.input_names or {}, outputs = info.output_names or {} }
  if info.built then names_cache[model] = known end
  return known
end
models.port_names = port_names

function getters.input_names(model) return port_names(model).inputs end
function getters.output_names(model) return port_names(model).outputs end
function getters.metrics_names(model) return core.metrics_names(model) end
--- The optimizer of a compiled model.
function getters.optimizer(model) return core.model_optimizer(model) end

-- Unlike layers and models of a script's class, the library's models have no fields of a script's own, so a wrong name is a
-- mistake.
function class.missing(model, name)
  if core.fields(model) then return nil end
  local names = arguments.keys(methods)
  for key in pairs(getters) do names[#names + 1] = key end
  table.sort(names)
  fail("NOT_FOUND", ("a dl.Model has no '%s'%s"):format(tostring(name), arguments.suggestion(name, names)))
end

-- ---- Files -----------------------------------------------------------------------------------------------------

--- Writes architecture, compile settings and weights to one file; true, or nil, message, code.
-- model:save("m.dlm", { include_optimizer = true }) keeps the optimizer's state too.
function methods.save(model, path, options)
  arguments.self(model, "dl.Model", "save")
  options = arguments.options("save", options, { include_optimizer = "boolean", overwrite = "boolean" })
  if type(path) ~= "string" then fail("ARGUMENT", "model:save(path) takes a file name, got " .. kind_of(path)) end
  return core.model_save(model, path, options.include_optimizer)
end

function methods.save_weights(model, path)
  arguments.self(model, "dl.Model", "save_weights")
  if type(path) ~= "string" then fail("ARGUMENT", "model:save_weights(path) takes a file name, got " .. kind_of(path)) end
  return core.model_save_weights(model, path)
end

--- True, or nil, message, code; nothing changes unless every weight is there and fits.
function methods.load_weights(model, path)
  arguments.self(model, "dl.Model", "load_weights")
  if type(path) ~= "string" then fail("ARGUMENT", "model:load_weights(path) takes a file name, got " .. kind_of(path)) end
  return core.model_load_weights(model, path)
end

--- A model from a file; nil, message, code where the file is missing or damaged.
-- Layer classes written in Lua must have been defined before.
function models.load_model(path)
  if type(path) ~= "string" then fail("ARGUMENT", "load_model(path) takes a file name, got " .. kind_of(path)) end
  return core.model_load(path)
end

--- A model without weights, from its architecture.
function models.model_from_json(json)
  if type(json) == "table" then json = core.encode(json) end
  if type(json) ~= "string" then fail("ARGUMENT", "model_from_json takes JSON text, got " .. kind_of(json)) end
  return core.model_from_json(json)
end

models.from_json = models.model_from_json

--- model:save(path, options), as a function.
function models.save_model(model, path, options) return methods.save(model, path, options) end

--- A model with the same layers and new weights of its own.
function models.clone_model(model)
  arguments.self(model, "dl.Model", "clone_model")
  return core.model_from_json(core.model_to_json(model))
end

core.models = models
core.use "steps"
core.use "training"
core.use "fit"

return models

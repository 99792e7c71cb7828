-- dl.layers: a constructor for every declared layer, Input, Lambda, and Layer to derive one's own from.

local core = ...
local arguments = core.use "arguments"
local declared = core.use "declared"
core.use "tensor"
local fail, kind_of = core.fail, arguments.kind_of

local class = core.class "dl.Layer"
local methods, getters, setters = class.methods, class.getters, class.setters

-- How symbolic inputs were made, so that a Sequential can begin with one.
local input_configs = setmetatable({}, { __mode = "k" })

-- ---- Calling ---------------------------------------------------------------------------------------------------

-- Tensors and flags that a layer is called with by name.
local function call_with(layer, inputs, options)
  local names, flags = {}, {}
  for _, name in ipairs(arguments.keys(options)) do
    local value = options[name]
    if type(value) == "boolean" then
      flags[name] = value
    elseif core.kind(value) == "dl.Tensor" or type(value) == "table" then
      names[#names + 1] = name
      inputs[#inputs + 1] = core.kind(value) and value or core.tensor(value)
    else
      fail("ARGUMENT", ("'%s' of a call must be a tensor or a boolean, got %s"):format(name, kind_of(value)))
    end
  end
  return core.layer_call_with(layer, inputs, names, flags)
end

--- layer(x), layer({a, b}), layer(x, { training = true }), layer({a, b}, { attention_mask = m, use_causal_mask = true })
-- { mask = m } says which time steps count; recurrent layers begin with { initial_state = h } or { initial_state = { h, c } }.
local function call(layer, x, options)
  if options ~= nil and type(options) ~= "table" then
    fail("ARGUMENT", "a layer is called with a tensor or a list of tensors, and a table of options, got " .. kind_of(options))
  end
  options = options or {}
  local inputs
  if core.kind(x) == "dl.Tensor" then
    inputs = { x }
  elseif type(x) == "table" and core.kind(x[1]) == "dl.Tensor" then
    inputs = table.move(x, 1, #x, 1, {})
  elseif type(x) == "table" or type(x) == "number" then
    inputs = { core.tensor(x) }
  else
    fail("ARGUMENT", "a layer is called with a tensor or a list of tensors, got " .. kind_of(x))
  end
  local states = options.initial_state
  if states then
    if core.kind(states) == "dl.Tensor" then states = { states } end
    if type(states) ~= "table" then
      fail("ARGUMENT", "initial_state must be a tensor or a list of tensors, got " .. kind_of(states))
    end
    for _, state in ipairs(states) do inputs[#inputs + 1] = state end
    local rest = {}
    for key, value in pairs(options) do
      if key ~= "initial_state" then rest[key] = value end
    end
    options = rest
  end
  local name = next(options)
  if name == nil or (name == "training" and next(options, name) == nil and type(options.training) == "boolean") then
    return core.layer_call(layer, inputs, options.training)
  end
  return call_with(layer, inputs, options)
end

core.metamethod("dl.Layer", "__call", call)
core.metamethod("dl.Model", "__call", call)

-- ---- Properties and methods, of models too ---------------------------------------------------------------------

local common = {}

function common.name(layer) return core.layer_info(layer).name end
function common.class_name(layer) return core.layer_info(layer).class_name end
function common.built(layer) return core.layer_info(layer).built end
function common.trainable(layer) return core.layer_info(layer).trainable end
function common.input_shape(layer) return core.layer_info(layer).input_shape end
function common.output_shape(layer) return core.layer_info(layer).output_shape end
function common.weights(layer) return core.layer_weights(layer, "all") end
function common.trainable_weights(layer) return core.layer_weights(layer, "trainable") end
--- What the latest call added to the loss, activity regularizers among it, then the penalties of regularized weights.
function common.losses(layer) return core.layer_losses(layer) end
function common.non_trainable_weights(layer) return core.layer_weights(layer, "non_trainable") end
common.variables = common.weights
common.trainable_variables = common.trainable_weights
common.non_trainable_variables = common.non_trainable_weights

--- The dtype of the weights.
function common.dtype(layer) return core.decode(core.layer_to_json(layer)).config.dtype or "float32" end

-- Symbolic tensors of the layer's first use in a model; a model has as many as it has names for them.
local function ends(layer, get, sizes, names)
  local info, list = core.layer_info(layer), {}
  local known = info[sizes] or info[names]
  for place = 1, math.max(1, known and #known or 1) do list[place] = get(layer, place - 1) end
  return list
end

local function one_or_list(list) return #list <= 1 and list[1] or list end
local function inputs_of(layer) return ends(layer, core.layer_input, "inputs", "input_names") end
local function outputs_of(layer) return ends(layer, core.layer_output, "outputs", "output_names") end

--- The symbolic tensor of the layer's first use in a model; a list where there are several.
function common.output(layer) return one_or_list(outputs_of(layer)) end
function common.input(layer) return one_or_list(inputs_of(layer)) end

for name, get in pairs(common) do
  getters[name] = get
  core.class("dl.Model").getters[name] = get
end
--- Always lists.
core.class("dl.Model").getters.inputs = inputs_of
core.class("dl.Model").getters.outputs = outputs_of

local function set_trainable(layer, value)
  if type(value) ~= "boolean" then fail("ARGUMENT", "trainable must be true or false, got " .. kind_of(value)) end
  core.layer_set_trainable(layer, value)
end
setters.trainable = set_trainable
core.class("dl.Model").setters.trainable = set_trainable

--- Copies of the weights, in Keras's order.
function methods.get_weights(layer)
  local weights = core.layer_weights(layer, "all")
  for place, weight in ipairs(weights) do weights[place] = core.apply("copy", { weight }) end
  return weights
end

function methods.set_weights(layer, weights)
  if type(weights) ~= "table" then fail("ARGUMENT", "set_weights takes a list of tensors, got " .. kind_of(weights)) end
  local list = {}
  for place, weight in ipairs(weights) do list[place] = core.kind(weight) and weight or core.tensor(weight) end
  core.layer_set_weights(layer, list)
end

--- Number of elements of all weights.
function methods.count_params(layer)
  local count = 0
  for _, weight in ipairs(core.layer_weights(layer, "all")) do count = count + core.size(weight) end
  return count
end

--- Creates the weights for an input of this shape: layer:build{ false, 28, 28, 1 }
function methods.build(layer, shape) core.layer_build(layer, shape) end

--- The shape of the output for an input of this shape: layer:compute_output_shape{ false, 28, 28, 1 }; false where
-- unknown. A list of shapes for several inputs; a list where there are several outputs.
function methods.compute_output_shape(layer, shape)
  if type(shape) ~= "table" then fail("ARGUMENT", "compute_output_shape takes a list of sizes, got " .. kind_of(shape)) end
  local shapes = {}
  for place, one in ipairs(type(shape[1]) == "table" and shape or { shape }) do
    local sizes = {}
    if type(one) ~= "table" then fail("ARGUMENT", "compute_output_shape takes a list of sizes, got " .. kind_of(shape)) end
    for axis = 1, #one do sizes[axis] = one[axis] or -1 end
    shapes[place] = core.array(sizes)
  end
  local found = core.layer_compute_output_shape(layer, core.encode(core.array(shapes)))
  return #found == 1 and found[1] or found
end

--- Learns from data before training: layer:adapt(x), or a list of batches.
function methods.adapt(layer, data)
  if core.kind(data) == "dl.Tensor" then data = { data } end
  if type(data) ~= "table" then fail("ARGUMENT", "adapt takes a tensor or a list of them, got " .. kind_of(data)) end
  if core.kind(data[1]) ~= "dl.Tensor" then data = { core.tensor(data) } end
  core.layer_adapt(layer, data)
end

--- Within the function 'call' of a layer: adds a number to what training minimises.
function methods.add_loss(layer, loss) core.layer_add_loss(layer, loss) end

--- Within the function 'call' of a layer: a number to follow in logs: self:add_metric(value, "name")
function methods.add_metric(layer, value, name)
  if type(name) == "table" then name = name.name end
  if type(name) ~= "string" then fail("ARGUMENT", "add_metric(value, name): name must be text, got " .. kind_of(name)) end
  core.layer_add_metric(layer, value, name)
end

--- Sets to zero what stateful recurrent layers carry from batch to batch.
function methods.reset_states(layer) core.layer_reset_states(layer) end
methods.reset_state = methods.reset_states

function methods.get_config(layer) return core.decode(core.layer_to_json(layer)).config end
function methods.to_json(layer) return core.layer_to_json(layer) end

--- A new weight of a layer written in Lua, inside its build:
-- self:add_weight{ name = "kernel", shape = {3, 4}, initializer = "glorot_uniform", trainable = true }
function methods.add_weight(layer, options, ...)
  if type(options) ~= "table" or select("#", ...) > 0 then
    fail("ARGUMENT", "add_weight takes one table: self:add_weight{ name = ..., shape = ... }")
  end
  options = arguments.options("add_weight", options, {
    name = "string", shape = "table|integer", initializer = "string|table", regularizer = "string|table",
    trainable = "boolean", dtype = "string",
  })
  local function part(value)
    if type(value) == "table" then return { class_name = value.class_name, config = value.config } end
    return value
  end
  return core.layer_add_weight(layer, options.name or "weight", options.dtype, options.shape or {},
    part(options.initializer), part(options.regularizer), options.trainable)
end

for name, method in pairs(methods) do
  if name ~= "add_weight" and name ~= "close" and name ~= "is_closed" then core.class("dl.Model").methods[name] = method end
end

-- layer.kernel, layer.bias: a weight by its name.
function class.missing(layer, name)
  if type(name) ~= "string" then return nil end
  local info = core.layer_info(layer)
  for place, weight in ipairs(info.weights or {}) do
    if weight.name == name or weight.name:match "[^/]*$" == name then return core.layer_weights(layer, "all")[place] end
  end
  return nil
end

function class.tostring(layer)
  local info = core.layer_info(layer)
  local function shape(sizes)
    if not sizes then return "?" end
    if type(sizes[1]) == "table" then
      local parts = {}
      for place, one in ipairs(sizes) do parts[place] = shape(one) end
      return table.concat(parts, ", ")
    end
    local words = {}
    for place, size in ipairs(sizes) do words[place] = size and ("%d"):format(size) or "None" end
    return "(" .. table.concat(words, ", ") .. ")"
  end
  if not info.built then return ("%s '%s' (not built)"):format(info.class_name, info.name) end
  return ("%s '%s' %s -> %s, %d parameters"):format(info.class_name, info.name, shape(info.input_shape),
    shape(info.output_shape), methods.count_params(layer))
end

--- Which steps of a tensor count, (batch, steps), where a Masking, an Embedding or a call has said so; else nil.
core.class("dl.Tensor").getters.mask = core.tensor_mask

-- ---- Constructors ----------------------------------------------------------------------------------------------

local extra = {}

--- A symbolic input: Input{ shape = { 28, 28, 1 } }, Input{ 784, name = "pixels", dtype = "f32" }
-- Sizes that are not known are dl.None. The batch axis is left out.
function extra.Input(given, ...)
  if type(given) == "number" then given = { given, ... } end
  local options = arguments.options("Input", given, {
    shape = "table|integer", batch_shape = "table", name = "string", dtype = "string", batch_size = "integer",
  })
  local shape = options.shape
  if options.batch_shape then
    if shape then fail("ARGUMENT", "Input takes shape or batch_shape, not both") end
    shape = table.move(options.batch_shape, 2, #options.batch_shape, 1, {})
  end
  if type(shape) == "number" then shape = { shape } end
  if not shape then
    if #options == 0 then fail("ARGUMENT", "Input needs a shape: Input{ shape = { 28, 28, 1 } }") end
    shape = table.move(options, 1, #options, 1, {})
    if type(shape[1]) == "table" then shape = shape[1] end
  end
  local input = core.input(shape, options.dtype, options.name)
  input_configs[input] = { shape = shape, dtype = options.dtype, name = options.name }
  return input
end

--- An InputLayer for what Input gave, or nil for any other tensor.
local function input_layer(input)
  local made = input_configs[input]
  if not made then return nil end
  local shape = { -1 }
  for place, size in ipairs(made.shape) do shape[place + 1] = size or -1 end
  return core.layer_create("InputLayer", { batch_shape = core.array(shape), dtype = made.dtype, name = made.name })
end

--- A layer around a Lua function of tensors: Lambda(function(x) return x * 2 end, { name = "twice" })
-- It cannot be saved; derive a class from Layer for that.
function extra.Lambda(given, options)
  if type(given) == "table" then given, options = given[1], given end
  options = arguments.options("Lambda", options, { name = "string", trainable = "boolean" })
  if type(given) ~= "function" then fail("ARGUMENT", "Lambda takes a function, got " .. kind_of(given)) end
  local config = { name = options.name }
  return core.layer_custom("Lambda", config, setmetatable({}, {
    __index = { call = function(_, x, how) return given(x, how) end },
  }))
end

local layers = declared.namespace("dl.layers", "layer", function(declaration, name)
  return declared.constructor("dl.layers", declaration, function(...)
    local positions, options = declared.sort(declaration, ...)
    local config = declared.configure(declaration, name, positions, options)
    local layer = core.layer_create(name, config, declared.lend(declaration, config))
    local place = declaration.places.tied_to
    local other = place and (options.tied_to or positions[place])
    if other and core.kind(other) then core.layer_tie(layer, other) end
    return layer
  end, function(config) return core.layer_create(name, config) end)
end, extra)

extra.Layer = core.use "custom"

-- add{ a, b }, concatenate({ a, b }, { axis = 2 }): a merging layer, made and called at once.
for name, class_name in pairs{
  add = "Add", subtract = "Subtract", multiply = "Multiply", average = "Average", maximum = "Maximum", minimum = "Minimum",
  concatenate = "Concatenate", dot = "Dot",
} do
  extra[name] = function(inputs, options)
    if type(inputs) ~= "table" then
      fail("ARGUMENT", ("%s takes a list of tensors, got %s"):format(name, kind_of(inputs)))
    end
    if options ~= nil and type(options) ~= "table" then options = { axes = options } end
    return layers[class_name](options or {})(inputs)
  end
end

--- A layer from Keras's form: from_json '{"class_name": "Dense", "config": {"units": 3}}', or the same as a table.
function extra.from_json(json)
  if type(json) == "table" then json = core.encode(json) end
  if type(json) ~= "string" then fail("ARGUMENT", "from_json takes JSON text or a table, got " .. kind_of(json)) end
  return core.layer_from_json(json)
end

extra.from_config = extra.from_json
extra.deserialize = extra.from_json
--- Keras's form as a table.
function extra.serialize(layer) return core.decode(core.layer_to_json(layer)) end

core.use("objects").name(layers, "dl.layers", "layer")

-- For models.lua.
core.input_layer = input_layer

return layers

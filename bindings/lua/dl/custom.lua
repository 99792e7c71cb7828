-- dl.layers.Layer and dl.Model: layers and models written in Lua.
--
--   local Scale = dl.layers.Layer:extend("Scale", {
--     build = function(self, input_shape)
--       self.factor = self:add_weight{ name = "factor", shape = { input_shape[#input_shape] }, initializer = "ones" }
--     end,
--     call = function(self, x, options) return x * self.factor end,
--   })
--   model:add(Scale{ name = "scale" })
--
-- A cell for an RNN has a field state_size, a number or a list, and its call gets { x, state, ... } and returns
-- { output, new state, ... }. supports_masking = true passes a mask on; options.mask is what came in.
--
-- Layers, models and metrics that are put into fields of self, in init or build, belong to it: their weights are its weights.
--
--   local Net = dl.Model:extend("Net", {
--     init = function(self) self.hidden, self.out = L.Dense{ 8, activation = "relu" }, L.Dense{ 1 } end,
--     call = function(self, x, options) return self.out(self.hidden(x)) end,
--     train_step = function(self, x, y, sample_weight) ... return { loss = loss } end, -- if wished; so for test_step,
--   })                                       -- predict_step, compute_loss and compute_metrics
--
-- Options of the constructor become fields of self; get_config says which of them are saved (all, unless it is given).

local core = ...
local arguments = core.use "arguments"
local fail, kind_of = core.fail, arguments.kind_of

local base = { class_name = "Layer" }

--- Shown by default in the configuration: the constructor's options.
function base.get_config(self)
  local config = {}
  for name, value in pairs(self.options or {}) do config[name] = value end
  return config
end

local function saved(value, depth)
  local kind = type(value)
  if kind == "number" or kind == "string" or kind == "boolean" then return value end
  if kind ~= "table" or depth > 20 then return nil end
  local copy = {}
  for key, entry in pairs(value) do copy[key] = saved(entry, depth + 1) end
  return copy
end

-- ---- What belongs to an object ----------------------------------------------------------------------------------

local function is_layer(value)
  local kind = core.kind(value)
  return kind == "dl.Layer" or kind == "dl.Model"
end

-- Layers in a value: itself, or those of a list or table, in order.
local function gather(value, into, depth)
  if is_layer(value) then
    into[#into + 1] = value
  elseif type(value) == "table" and getmetatable(value) == nil and depth < 8 then
    for _, entry in ipairs(value) do gather(entry, into, depth + 1) end
    for _, key in ipairs(arguments.keys(value)) do gather(value[key], into, depth + 1) end
  end
end

-- Fields remember the order in which they were set, which is that of the layers among them.
local function fields_of(class)
  local order = {}
  return setmetatable({}, {
    __index = class,
    order = order,
    __newindex = function(fields, name, value)
      if type(name) == "string" then order[#order + 1] = name end
      getmetatable(fields).changed = true
      rawset(fields, name, value)
    end,
  })
end

-- Tells the library which layers the fields hold. Called after init, build and call, where they may have been made.
local function track(object)
  local fields = core.fields(object)
  local metatable = fields and getmetatable(fields)
  if not metatable or not metatable.changed then return end
  metatable.changed = false
  local list = {}
  for _, name in ipairs(metatable.order) do gather(rawget(fields, name), list, 0) end
  core.layer_set_sublayers(object, list)
end
core.class("dl.Layer").track = track

-- ---- Classes ---------------------------------------------------------------------------------------------------

local function construct(class, ...)
  local options = ...
  if options ~= nil and type(options) ~= "table" then
    fail("ARGUMENT", ("%s takes a table of options, got %s"):format(class.class_name, kind_of(options)))
  end
  options = options or {}
  local fields = fields_of(class)
  fields.options = options
  for name, value in pairs(options) do
    if name ~= "name" and name ~= "trainable" then fields[name] = value end
  end
  if class.init then class.init(fields, options) end
  local given = class.get_config(fields)
  if type(given) ~= "table" then
    fail("ARGUMENT", ("get_config of %s must return a table, got %s"):format(class.class_name, kind_of(given)))
  end
  local config = saved(given, 0)
  config.name = options.name
  -- What the library asks of a layer in Lua: whether it passes masks on, and as a cell of an RNN how large its state is.
  for _, name in ipairs{ "supports_masking", "state_size", "output_size" } do
    if config[name] == nil then config[name] = saved(fields[name], 0) end
  end
  local object = class.of_models and core.model_custom(class.class_name, config, fields)
    or core.layer_custom(class.class_name, config, fields)
  track(object)
  if class.of_models then core.use("steps").adopt(object, fields) end
  if options.trainable == false then core.layer_set_trainable(object, false) end
  return object
end

local functions = { "call", "build", "init", "get_config", "train_step", "test_step", "predict_step", "compute_loss",
  "compute_metrics" }

local function extend(parent, name, members)
  local title = parent.of_models and "Model" or "Layer"
  if type(name) ~= "string" or not name:match "^[%a_][%w_]*$" then
    fail("ARGUMENT", ("%s:extend(name, members): name must be an identifier, got %s"):format(title, kind_of(name)))
  end
  if type(members) ~= "table" then
    fail("ARGUMENT", ("%s:extend(name, members): members must be a table, got %s"):format(title, kind_of(members)))
  end
  for _, member in ipairs(functions) do
    if members[member] ~= nil and type(members[member]) ~= "function" then
      fail("ARGUMENT", ("'%s' of %s must be a function, got %s"):format(member, name, kind_of(members[member])))
    end
  end
  if not members.call and not parent.call then
    fail("ARGUMENT", ("%s needs a function 'call'"):format(name))
  end
  local class = members
  class.class_name = name
  class.extend = extend
  setmetatable(class, {
    __index = parent.inherited or parent,
    __call = construct,
    __tostring = function() return title:lower() .. " class " .. name end,
  })
  --- Makes one from its configuration, as get_config gave it.
  if rawget(class, "from_config") == nil then class.from_config = function(config) return construct(class, config) end end
  -- How models that are loaded make it.
  core.layer_register(name, function(config) return class.from_config(config) end)
  return class
end

base.extend = extend
core.custom = { extend = extend, get_config = base.get_config }

return setmetatable(base, {
  __call = function() fail("ARGUMENT", "dl.layers.Layer is derived from: Layer:extend(\"Name\", { call = ... })") end,
  __tostring = function() return "dl.layers.Layer" end,
})

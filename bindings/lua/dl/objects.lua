-- Classes of a script's own that stand wherever the library's do: the bases Initializer, Regularizer, Constraint, Loss,
-- Metric, Optimizer, LearningRateSchedule. A class is derived with Base:extend(name, members); its objects are made by
-- calling it with a table of options, which become fields of self and its configuration.
--
--   local Even = dl.regularizers.Regularizer:extend("Even", {
--     call = function(self, w) return (w - w:mean()):square():sum() * self.factor end,
--   })
--   L.Dense{ 8, kernel_regularizer = Even{ factor = 0.01 } }

local core = ...
local arguments = core.use "arguments"
local declared = core.use "declared"
local fail, kind_of = core.fail, arguments.kind_of

local objects = {}

-- Plain data of a configuration; anything else is refused, since files and the library keep objects by configuration.
local function plain(value, owner, name, depth)
  local kind = type(value)
  if kind == "number" or kind == "string" or kind == "boolean" or value == core.null then return value end
  if core.kind(value) == "dl.Tensor" then return core.totable(value) end
  if kind ~= "table" or depth > 20 or getmetatable(value) and not value.class_name then
    fail("ARGUMENT", ("option '%s' of %s must be a number, text, true or false, or a table of these, got %s; put what else is "
      .. "needed into the class"):format(name, owner, kind_of(value)))
  end
  if value.class_name and value.category then return { class_name = value.class_name, config = value.config } end
  local copy = {}
  for key, entry in pairs(value) do copy[key] = plain(entry, owner, name, depth + 1) end
  return copy
end

-- The fields of an object: options, then what init sets.
local function fields_of(class, options)
  local fields = setmetatable({ options = options }, { __index = class })
  for name, value in pairs(options) do fields[name] = value end
  if class.init then class.init(fields, options) end
  return fields
end

local function config_of(class, fields, options)
  local given = class.get_config and class.get_config(fields) or options
  if type(given) ~= "table" then
    fail("ARGUMENT", ("get_config of %s must return a table, got %s"):format(class.class_name, kind_of(given)))
  end
  local config = {}
  for name, value in pairs(given) do
    if type(name) ~= "string" then
      fail("ARGUMENT", ("%s takes options by name, got one at position %s"):format(class.class_name, tostring(name)))
    end
    config[name] = plain(value, class.class_name, name, 0)
  end
  return config
end

-- Objects by the text of their configuration: the library asks for them in this way.
local function object_for(class, text)
  local object = class.objects[text]
  if not object then
    object = fields_of(class, core.decode(text) or {})
    class.objects[text] = object
  end
  return object
end

local function check(base, name, members)
  local title = base.class_name
  if type(name) ~= "string" or not name:match "^[%a_][%w_]*$" then
    fail("ARGUMENT", ("%s:extend(name, members): name must be an identifier, got %s"):format(title, kind_of(name)))
  end
  if type(members) ~= "table" then
    fail("ARGUMENT", ("%s:extend(name, members): members must be a table, got %s"):format(title, kind_of(members)))
  end
  for member, value in pairs(members) do
    if (base.functions[member] or member == "init" or member == "get_config" or member == "from_config")
      and type(value) ~= "function" then
      fail("ARGUMENT", ("'%s' of %s must be a function, got %s"):format(member, name, kind_of(value)))
    end
  end
  for member, needed in pairs(base.functions) do
    if needed and not members[member] and not base[member] then
      fail("ARGUMENT", ("%s needs a function '%s'"):format(name, member))
    end
  end
end

local function construct(class, options)
  if options ~= nil and type(options) ~= "table" then
    fail("ARGUMENT", ("%s takes a table of options, got %s"):format(class.class_name, kind_of(options)))
  end
  return class.make(class, options or {})
end

local function extend(base, name, members)
  check(base, name, members)
  local class = members
  class.class_name, class.extend = name, extend
  class.objects = setmetatable({}, { __mode = "v" })
  setmetatable(class, {
    __index = base,
    __call = construct,
    __tostring = function() return ("%s class %s"):format(base.category, name) end,
  })
  --- An object from its configuration.
  if rawget(class, "from_config") == nil then class.from_config = function(config) return construct(class, config) end end
  base.register(class, name)
  return class
end

--- A base to derive from. `functions`: members that must be functions; true where a class needs them.
function objects.base(title, class_name, category, functions, make, register)
  local base = { class_name = class_name, category = category, functions = functions, make = make, extend = extend }
  base.register = register or function(class, name)
    core.object_register(category, name, function(what, text, inputs)
      return class.answer(object_for(class, text), what, inputs)
    end)
  end
  base.answer = function(object, _, inputs) return object:call(table.unpack(inputs)) end
  return setmetatable(base, {
    __call = function()
      fail("ARGUMENT", ("%s is derived from: %s:extend(\"Name\", { ... })"):format(class_name, class_name))
    end,
    __tostring = function() return title .. "." .. class_name end,
  })
end

-- An object that is a configuration, as the library's own of the category are. It can be called with what `call` takes.
local function configuration(class, options)
  local fields = fields_of(class, options)
  local config = config_of(class, fields, options)
  class.objects[core.encode(config)] = fields
  return setmetatable({ category = class.category, class_name = class.class_name, config = config }, {
    __index = function(self, name)
      if name == "to_json" then
        return function()
          return core.description_to_json(class.category, { class_name = self.class_name, config = self.config })
        end
      elseif name == "get_config" then
        return function() return self.config end
      end
      return fields[name]
    end,
    __name = "dl.Config",
    __call = function(_, ...) return fields:call(...) end,
    __tostring = function(self) return ("%s %s"):format(self.class_name, core.encode(self.config)) end,
  })
end

--- A base whose objects are configurations.
function objects.configuration(title, class_name, category)
  return objects.base(title, class_name, category, { call = true }, configuration)
end

-- ---- The particular ones ---------------------------------------------------------------------------------------

--- call(self, shape, dtype) gives a tensor of that shape.
function objects.initializer()
  local base = objects.configuration("dl.initializers", "Initializer", "initializer")
  base.answer = function(object, _, inputs) return object:call(inputs[1]:totable(), "f32") end
  return base
end

--- call(self, step) gives the rate after so many updates.
function objects.schedule()
  local base = objects.configuration("dl.optimizers.schedules", "LearningRateSchedule", "schedule")
  base.answer = function(object, _, inputs)
    local rate = object:call(math.tointeger(core.item(inputs[1])))
    if type(rate) ~= "number" and core.kind(rate) ~= "dl.Tensor" then
      fail("ARGUMENT", ("'call' of %s must return a number, got %s"):format(object.class_name, kind_of(rate)))
    end
    return rate
  end
  return base
end

--- call(self, y_true, y_pred) gives the loss of each sample. Options: reduction and name, as every loss has.
function objects.loss()
  return objects.base("dl.losses", "Loss", "loss", { call = true }, function(class, options)
    local fields = fields_of(class, options)
    local config = config_of(class, fields, options)
    config.reduction = config.reduction or fields.reduction or "sum_over_batch_size"
    local loss = core.loss(class.class_name, config)
    class.objects[core.encode(core.decode(core.objective_to_json(loss)).config)] = fields
    return core.set_fields(loss, fields)
  end)
end

--- update(self, value, gradient, slots, rate, step) gives the new value, and the new slots as a table by name. Slots are
-- named in the list `slots`, and begin with zeros, or with what slots = { name = number } says. Options: those that every
-- optimizer takes, learning_rate among them, and the class's own.
function objects.optimizer()
  local base = objects.base("dl.optimizers", "Optimizer", "optimizer", { update = true }, function(class, options)
    local given = {}
    for name, value in pairs(options) do
      if name == 1 then name = "learning_rate" end
      given[name] = value
    end
    local schedule = type(given.learning_rate) == "function" and given.learning_rate or nil
    if schedule then given.learning_rate = nil end
    local fields = fields_of(class, given)
    local optimizer = core.optimizer(class.class_name, config_of(class, fields, given))
    if schedule then core.optimizer_schedule(optimizer, function(step) return schedule(step) end) end
    return core.set_fields(optimizer, setmetatable({}, { __index = function(_, name)
      -- What changes belongs to the library.
      if name == "learning_rate" or name == "iterations" then return nil end
      return fields[name]
    end }))
  end)
  local function names(object)
    local list, first = {}, {}
    for place, name in ipairs(object.slots or {}) do list[place], first[name] = name, 0.0 end
    for _, name in ipairs(arguments.keys(object.slots or {})) do
      list[#list + 1], first[name] = name, object.slots[name]
    end
    return list, first
  end
  base.answer = function(object, what, inputs)
    local list, first = names(object)
    if what == "slots" then
      local states = {}
      for place, name in ipairs(list) do states[place] = core.apply("full_like", { inputs[1] }, { fill_value = first[name] }) end
      return states
    end
    local slots = {}
    for place, name in ipairs(list) do slots[name] = inputs[4 + place] end
    local value, new = object:update(inputs[1], inputs[2], slots, inputs[3], inputs[4])
    if core.kind(value) ~= "dl.Tensor" or new ~= nil and type(new) ~= "table" then
      fail("ARGUMENT", ("'update' of %s must return the new value and a table of slots, got %s and %s"):format(
        object.class_name, kind_of(value), kind_of(new)))
    end
    for name in pairs(new or {}) do
      if not slots[name] then
        fail("ARGUMENT", ("'update' of %s returned the slot '%s', which it does not have%s"):format(object.class_name,
          tostring(name), arguments.suggestion(name, list)))
      end
    end
    local results = { value }
    for place, name in ipairs(list) do results[1 + place] = new and new[name] or slots[name] end
    return results
  end
  return base
end

--- update_state(self, y_true, y_pred, sample_weight) changes variables of self:add_variable{ name =, shape =, initializer = },
-- made in init; result(self) gives a number or tensor of them. They begin anew with every epoch and evaluation.
function objects.metric()
  return objects.base("dl.metrics", "Metric", "metric", { update_state = true, result = true }, function(class, options)
    local fields = setmetatable({ options = options }, { __index = class })
    for name, value in pairs(options) do
      if name ~= "name" and name ~= "dtype" then fields[name] = value end
    end
    local metric = core.metric_class(class.class_name, config_of(class, fields, options), fields)
    if class.init then class.init(metric, options) end
    return metric
  end, function(class, name)
    core.metric_register(name, function(config) return class.from_config(config) end)
  end)
end

-- ---- Names, configurations and objects -------------------------------------------------------------------------

-- A layer, loss, metric or optimizer as {class_name, config}; a function of a name as that.
local function serialize(title, category, object)
  local kind = core.kind(object)
  if kind == "dl.Layer" or kind == "dl.Model" then return core.decode(core.layer_to_json(object)) end
  if kind == "dl.Loss" then return core.decode(core.objective_to_json(object)) end
  if kind == "dl.Metric" then return core.decode(core.objective_to_json(object)) end
  if kind == "dl.Optimizer" then return core.decode(core.optimizer_to_json(object)) end
  if type(object) == "string" then return object end
  if type(object) == "table" then
    if type(object.activation_name) == "string" then return object.activation_name end
    if type(object.loss_name) == "string" then return object.loss_name end
    if type(object.class_name) == "string" and type(object.config) == "table" and object.category then
      return { class_name = object.class_name, config = object.config }
    end
  end
  return fail("ARGUMENT", ("%s.serialize takes %s, got %s"):format(title,
    (category:match "^[aeiou]" and "an " or "a ") .. category, kind_of(object)))
end

local function deserialize(title, category, config)
  if type(config) ~= "table" or type(config.class_name) ~= "string"
    or config.config ~= nil and type(config.config) ~= "table" then
    fail("ARGUMENT", ("%s.deserialize takes a name or { class_name = ..., config = ... }, got %s"):format(
      title, kind_of(config)))
  end
  local name, inner = config.class_name, config.config or {}
  if category == "layer" then
    local layer = core.layer_from_json(core.encode{ class_name = name, config = inner, build_config = config.build_config })
    return core.layer_as_model(layer) or layer
  end
  if category == "loss" then return core.loss(name, inner) end
  if category == "metric" then return core.metric(name, inner) end
  if category == "optimizer" then return core.optimizer(name, inner) end
  core.object_check(category, { class_name = name, config = inner })
  return declared.config(category, name, inner)
end

--- Adds get to a namespace, and serialize and deserialize where it has none yet, in Keras's meaning: what is written down
-- counts from 0.
function objects.name(space, title, category)
  local readers = getmetatable(space).readers
  local write = readers.serialize
  function readers.serialize(object)
    local simple = serialize(title, category, object)
    return write and type(simple) == "table" and write(object) or simple
  end
  local read = readers.deserialize or function(config) return deserialize(title, category, config) end
  function readers.deserialize(config)
    if type(config) == "string" then config = { class_name = config } end
    if category == "activation" and type(config) == "table" and type(config.class_name) == "string" then
      return space[config.class_name]
    end
    return read(config)
  end

  --- An object from a name, from what serialize gave, or the object itself; nil from nil.
  function readers.get(identifier)
    if identifier == nil or type(identifier) == "function" then return identifier end
    if type(identifier) == "string" then
      local found = space[identifier]
      if category == "activation" then return found end
      return found.loss_name and found or found()
    end
    if type(identifier) == "table" and getmetatable(identifier) == nil then return readers.deserialize(identifier) end
    serialize(title .. ".get", category, identifier)
    return identifier
  end
  return space
end

return objects

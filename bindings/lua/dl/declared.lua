-- Constructors out of declarations: what the library says about a layer, a loss and so on becomes a function that takes
-- positions and named options, checks them, and turns them into the library's configuration.

local core = ...
local arguments = core.use "arguments"
local fail, kind_of, suggestion = core.fail, arguments.kind_of, arguments.suggestion

local declared = {}

local described = {}

--- The declaration of a name, or nil and why. Read once.
function declared.describe(category, name)
  local known = described[category]
  if not known then
    known = {}
    described[category] = known
  end
  local declaration = known[name]
  if declaration then return declaration end
  local message
  declaration, message = core.describe(category, name)
  if not declaration then return nil, message end
  local positions = {}
  for place, argument in ipairs(declaration.arguments) do positions[argument.name] = place end
  declaration.places = positions
  known[name] = declaration
  return declaration
end

-- ---- Values by kind --------------------------------------------------------------------------------------------

local function wrong(owner, argument, value)
  local near = argument.choices and suggestion(value, argument.choices) or ""
  fail("ARGUMENT", ("'%s' of %s must be %s, got %s%s"):format(argument.name, owner, argument.expected or argument.kind,
    kind_of(value), near))
end

local function whole(owner, argument, value)
  local number = type(value) == "number" and math.tointeger(value)
  if not number then wrong(owner, argument, value) end
  return number
end

-- Positions and axes count from 1 here and from 0 in the library; from the end, both count from -1.
local function position(owner, argument, value)
  local number = whole(owner, argument, value)
  if number == 0 then
    fail("RANGE", ("'%s' of %s is 0; %s count from 1, and from the end with -1"):format(argument.name, owner,
      argument.kind == "index" and "positions" or "axes"))
  end
  return number > 0 and number - 1 or number
end

local function list_of(convert)
  return function(owner, argument, value)
    if type(value) ~= "table" then return convert(owner, argument, value) end
    local list = {}
    for place = 1, #value do list[place] = convert(owner, argument, value[place]) end
    return core.array(list)
  end
end

local function plain(lua_type)
  return function(owner, argument, value)
    if type(value) ~= lua_type then wrong(owner, argument, value) end
    return value
  end
end

-- A name, or what the constructor of such a thing gave.
local function named(owner, argument, value)
  if type(value) == "string" then return value end
  if type(value) == "table" then
    if type(value.class_name) == "string" then
      if value.category and value.category ~= argument.kind then wrong(owner, argument, value) end
      return { class_name = value.class_name, config = value.config }
    end
    if type(value.activation_name) == "string" then return value.activation_name end
  end
  if argument.kind == "activation" and type(value) == "function" then
    fail("ARGUMENT", ("'%s' of %s must be a name; put a Lua function into dl.layers.Lambda"):format(argument.name, owner))
  end
  if core.kind(value) == "dl.Optimizer" and argument.kind == "optimizer" then
    return core.decode(core.optimizer_to_json(value))
  end
  return wrong(owner, argument, value)
end

local function anything(owner, argument, value)
  local kind = type(value)
  if kind == "table" then
    if type(value.class_name) == "string" then return { class_name = value.class_name, config = value.config } end
    return value
  end
  if kind == "number" or kind == "string" or kind == "boolean" then return value end
  if core.kind(value) == "dl.Tensor" then return core.totable(value) end
  return wrong(owner, argument, value)
end

local converters = {
  bool = plain "boolean",
  string = plain "string",
  int = whole,
  size = list_of(whole),
  index = list_of(position),
  axis = position,
  axes = list_of(position),
  any = anything,
}

function converters.float(owner, argument, value)
  if type(value) ~= "number" then wrong(owner, argument, value) end
  return value + 0.0
end

function converters.float_or_schedule(owner, argument, value)
  if type(value) == "number" then return value + 0.0 end
  if type(value) == "table" and type(value.class_name) == "string" and (value.category or "schedule") == "schedule" then
    return { class_name = value.class_name, config = value.config }
  end
  return wrong(owner, argument, value)
end

function converters.choice(owner, argument, value)
  for _, name in ipairs(argument.choices) do
    if name == value then return value end
  end
  return wrong(owner, argument, value)
end

function converters.padding(owner, argument, value)
  if type(value) == "string" then return converters.choice(owner, argument, value) end
  if type(value) ~= "table" then return whole(owner, argument, value) end
  return converters.size(owner, argument, value)
end

function converters.shape(owner, argument, value)
  if type(value) == "number" then value = { value } end
  if type(value) ~= "table" then wrong(owner, argument, value) end
  local sizes = {}
  for place = 1, #value do
    local size = value[place]
    sizes[place] = size == false and -1 or whole(owner, argument, size)
  end
  return core.array(sizes)
end

function converters.dtype(owner, argument, value)
  if type(value) ~= "string" then wrong(owner, argument, value) end
  return value
end

function converters.list(owner, argument, value)
  if core.kind(value) == "dl.Tensor" then value = core.totable(value) end
  if type(value) ~= "table" then value = { value } end
  local entries = { name = argument.name, kind = argument.entries, expected = argument.expected, choices = argument.choices }
  local convert, list = converters[argument.entries] or named, {}
  for place = 1, #value do list[place] = convert(owner, entries, value[place]) end
  return core.array(list)
end

-- A layer goes into another one as itself; the constructor hands it over.
function converters.layer(owner, argument, value)
  local kind = core.kind(value)
  if kind ~= "dl.Layer" and kind ~= "dl.Model" then return named(owner, argument, value) end
  return value
end

--- Takes the layers out of a configuration, which then refers to them by their places in the list that is returned.
function declared.lend(declaration, config)
  local layers = {}
  local function lend(value)
    local kind = core.kind(value)
    if kind ~= "dl.Layer" and kind ~= "dl.Model" then return value end
    layers[#layers + 1] = value
    return { class_name = "__layer__", config = { index = #layers - 1 } }
  end
  for _, argument in ipairs(declaration.arguments) do
    local given = config[argument.name]
    if argument.kind == "layer" and given ~= nil then
      config[argument.name] = lend(given)
    elseif argument.entries == "layer" and given ~= nil then
      for place, value in ipairs(given) do given[place] = lend(value) end
    end
  end
  return layers
end

--- Keras's form of something, {"class_name": ..., "config": {...}}, as text or as a table: the class and the configuration.
function declared.serialized(owner, json)
  if type(json) == "string" and json:find("^%s*{") then json = core.decode(json) end
  if type(json) == "string" then return json, {} end
  if type(json) ~= "table" or type(json.class_name) ~= "string" then
    fail("ARGUMENT", ("%s takes {\"class_name\": ..., \"config\": {...}}, as text or as a table, got %s"):format(owner,
      kind_of(json)))
  end
  return json.class_name, json.config or {}
end

-- A layer that another one is tied to goes by its name; the constructor ties them.
function converters.tied_layer(owner, argument, value)
  if type(value) == "string" then return value end
  if core.kind(value) ~= "dl.Layer" then wrong(owner, argument, value) end
  return core.layer_info(value).name
end

--- The library's form of one value. nil and false say "none" where that is possible.
function declared.convert(owner, argument, value)
  if value == false and argument.kind ~= "bool" and argument.kind ~= "any" then
    if argument.nullable or argument.default == nil and not argument.required then return core.null end
    return wrong(owner, argument, value)
  end
  local convert = converters[argument.kind] or named
  return convert(owner, argument, value)
end

-- ---- Argument lists --------------------------------------------------------------------------------------------

local function has_names(t)
  for key in pairs(t) do
    if type(key) == "string" then return true end
  end
  return false
end

local function is_plain(value) return type(value) == "table" and getmetatable(value) == nil end

local list_kinds = { shape = true, axes = true, list = true, any = true }

--- Turns positions and named options into the library's configuration.
-- `skip` names arguments that the caller handles itself.
function declared.configure(declaration, owner, positions, options, skip)
  local config = {}
  for place, value in ipairs(positions) do
    local argument = declaration.arguments[place]
    if not argument then
      fail("ARGUMENT", ("%s takes %d positions at most, got %d"):format(owner, #declaration.arguments, #positions))
    end
    config[argument.name] = declared.convert(owner, argument, value)
  end
  for key, value in pairs(options or {}) do
    if type(key) == "string" and not (skip and skip[key]) then
      local place = declaration.places[key]
      if not place then
        local names = {}
        for number, argument in ipairs(declaration.arguments) do names[number] = argument.name end
        for name in pairs(skip or {}) do names[#names + 1] = name end
        fail("ARGUMENT", ("unknown option '%s' for %s%s"):format(key, owner, suggestion(key, names)))
      end
      if config[key] ~= nil then
        fail("ARGUMENT", ("'%s' of %s is given twice, by position and by name"):format(key, owner))
      end
      config[key] = declared.convert(owner, declaration.arguments[place], value)
    end
  end
  -- What dl.config.set_image_data_format says.
  if declared.data_format and declaration.category == "layer" and declaration.places.data_format
    and config.data_format == nil then
    config.data_format = declared.data_format
  end
  return config
end

--- Sorts what a constructor was called with: Ctor{...}, Ctor(a, b, {...}), Ctor(a, b).
-- Returns the positions and the table of named options.
function declared.sort(declaration, ...)
  local count = select("#", ...)
  if count == 0 then return {}, {} end
  local last = select(count, ...)
  local first_argument = declaration.arguments[1]
  if count == 1 and is_plain(last) then
    local first = last[1]
    -- Reshape{ 28, 28, 1 }: the numbers are one list.
    local numbers = type(first) == "number" or first == false
    if first_argument and numbers and list_kinds[first_argument.kind] and first_argument.kind ~= "any" then
      return { table.move(last, 1, #last, 1, {}) }, last
    end
    return table.move(last, 1, #last, 1, {}), last
  end
  if is_plain(last) and has_names(last) then
    local positions = { ... }
    positions[count] = nil
    return positions, last
  end
  return { ... }, {}
end

--- The names of a category, also where nothing of it is used yet.
function declared.names(category) return core.list(category) end

--- A table whose fields are made from the declarations of a category when first asked for.
-- make(declaration, name) gives the field's value; extra holds what is not declared.
function declared.namespace(title, category, make, extra)
  local function find(space, name)
    if type(name) ~= "string" then return nil end
    local reader = getmetatable(space).readers[name]
    if reader then return reader end
    local declaration, message = declared.describe(category, name)
    if not declaration then
      local names = declared.names(category)
      for _, own in ipairs(arguments.keys(extra or {})) do names[#names + 1] = own end
      local near = suggestion(name, names)
      return fail("NOT_FOUND", ("there is no %s.%s%s"):format(title, name, near ~= "" and near or "; " .. message))
    end
    local value = make(declaration, declaration.name, name)
    rawset(space, name, value)
    return value
  end
  local function walk(space)
    local names, place = declared.names(category), 0
    local seen = {}
    for _, name in ipairs(names) do seen[name] = true end
    for name in next, space do
      if not seen[name] then names[#names + 1] = name end
    end
    table.sort(names)
    return function()
      place = place + 1
      if names[place] then return names[place], space[names[place]] end
    end
  end
  return setmetatable(extra or {}, {
    __index = find,
    __pairs = walk,
    readers = {},
    __name = title,
    __tostring = function() return title end,
  })
end

--- A constructor that can be called and that says what it is.
-- make(config) makes one from Keras's configuration, for from_config.
function declared.constructor(title, declaration, build, make)
  return setmetatable({ name = declaration.name, category = declaration.category }, {
    __call = function(_, ...) return build(...) end,
    __tostring = function() return title .. "." .. declaration.name end,
    __index = {
      declaration = declaration,
      from_config = function(config)
        if config ~= nil and type(config) ~= "table" then
          fail("ARGUMENT", ("%s.%s.from_config takes a table, got %s"):format(title, declaration.name, kind_of(config)))
        end
        return make(config or {})
      end,
    },
  })
end

--- Adds from_config and its other names to a namespace: something of Keras's form. make(class name, config).
function declared.reading(title, space, make)
  local function from_config(json) return make(declared.serialized(title .. ".from_config", json)) end
  getmetatable(space).readers = {
    from_config = from_config, deserialize = from_config,
    serialize = function(thing) return core.decode(thing:to_json()) end,
  }
  return space
end

--- For what is only ever a configuration: initializers, regularizers, callbacks.
local config_methods = {}

function config_methods.to_json(config)
  return core.description_to_json(config.category, { class_name = config.class_name, config = config.config })
end

function config_methods.get_config(config) return core.decode(config_methods.to_json(config)).config end

local config_metatable = {
  __name = "dl.Config",
  __index = config_methods,
  __call = function(self, ...) return core.config_call(self, ...) end,
  __tostring = function(self) return ("%s %s"):format(self.class_name, core.encode(self.config)) end,
}

function declared.config(category, class_name, config)
  return setmetatable({ category = category, class_name = class_name, config = config }, config_metatable)
end

-- From Keras's configuration, which the library checks.
local function read(category, name, config)
  local json = core.decode(core.description_to_json(category, { class_name = name, config = config }))
  return declared.config(category, json.class_name, json.config)
end

-- What the library can check without a layer around it is checked when it is made.
local checked = { initializer = true, regularizer = true, constraint = true, schedule = true }

function declared.configs(title, category, extra)
  local space = declared.namespace(title, category, function(declaration, name)
    return declared.constructor(title, declaration, function(...)
      local positions, options = declared.sort(declaration, ...)
      local config = declared.configure(declaration, name, positions, options)
      if checked[category] then core.description_to_json(category, { class_name = name, config = config }) end
      return declared.config(category, name, config)
    end, function(config) return read(category, name, config) end)
  end, extra)
  return declared.reading(title, space, function(name, config) return read(category, name, config) end)
end

return declared

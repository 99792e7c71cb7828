-- Tensors: how they are made, and their methods beside the operations.

local core = ...
local arguments = core.use "arguments"
local fail, kind_of = core.fail, arguments.kind_of

local class = core.class "dl.Tensor"
local methods, getters = class.methods, class.getters
local tensor = {}

local function is_tensor(value) return core.kind(value) == "dl.Tensor" end
tensor.is_tensor = is_tensor

--- "f32" or { dtype = "f32" } at the end of a constructor's arguments.
local function dtype_option(owner, option)
  if type(option) == "table" then return arguments.options(owner, option, { dtype = "string" }).dtype end
  return option
end

--- A tensor of a number, a boolean or nested tables of them; of tensors, they are stacked.
function tensor.tensor(value, option)
  local dtype = dtype_option("dl.tensor", option)
  if is_tensor(value) then return dtype and value:to(dtype) or core.apply("copy", { value }) end
  if type(value) == "table" and is_tensor(value[1]) then
    local stacked = core.apply("stack", table.move(value, 1, #value, 1, {}), { axis = 0 })
    return dtype and stacked:to(dtype) or stacked
  end
  return core.tensor(value, dtype)
end

--- A tensor of what a script may hand in where one is expected.
function tensor.from(value, what)
  if is_tensor(value) then return value end
  if type(value) == "number" or type(value) == "boolean" or type(value) == "table" then return tensor.tensor(value) end
  return fail("ARGUMENT", ("%s must be a tensor or a table of numbers, got %s"):format(what or "the value", kind_of(value)))
end

-- zeros(2, 3), zeros{2, 3}, zeros({2, 3}, "f64")
local function shape_and_dtype(owner, ...)
  local first = ...
  if type(first) == "table" then
    return first, dtype_option(owner, (select(2, ...) or first.dtype))
  end
  local shape, dtype = {}, nil
  for place = 1, select("#", ...) do
    local value = select(place, ...)
    if type(value) == "number" then
      shape[place] = math.tointeger(value) or value
    else
      dtype = dtype_option(owner, value)
    end
  end
  return shape, dtype
end

function tensor.zeros(...)
  local shape, dtype = shape_and_dtype("dl.zeros", ...)
  return core.full(shape, 0, dtype)
end

function tensor.ones(...)
  local shape, dtype = shape_and_dtype("dl.ones", ...)
  return core.full(shape, 1, dtype)
end

--- full({2, 3}, 7, "i32")
function tensor.full(shape, value, option)
  if type(value) ~= "number" and type(value) ~= "boolean" then
    fail("ARGUMENT", "dl.full(shape, value): value must be a number, got " .. kind_of(value))
  end
  return core.full(shape, value, dtype_option("dl.full", option))
end

function tensor.zeros_like(t, option)
  return core.full(core.shape(t), 0, dtype_option("dl.zeros_like", option) or core.dtype(t))
end

function tensor.ones_like(t, option)
  return core.full(core.shape(t), 1, dtype_option("dl.ones_like", option) or core.dtype(t))
end

local function check_count(owner, count)
  if count > 2 ^ 31 then fail("ARGUMENT", ("%s: %.0f elements are too many"):format(owner, count)) end
end

--- Numbers from `first` to `last`, both included, as a Lua loop counts them: arange(5) is 1 2 3 4 5.
function tensor.arange(first, last, step, option)
  if last == nil or type(last) ~= "number" then first, last, step, option = 1, first, nil, last end
  if step ~= nil and type(step) ~= "number" then step, option = nil, step end
  step = step or 1
  if type(first) ~= "number" or type(last) ~= "number" then
    fail("ARGUMENT", "dl.arange(first, last, step) takes numbers, got " .. kind_of(type(first) == "number" and last or first))
  end
  if step == 0 or step ~= step then fail("ARGUMENT", "dl.arange: step must not be 0") end
  check_count("dl.arange", (last - first) / step)
  local values = {}
  for value = first, last, step do values[#values + 1] = value end
  local dtype = dtype_option("dl.arange", option)
  if #values == 0 then return core.full({ 0 }, 0, dtype) end
  return core.tensor(values, dtype)
end

--- `count` numbers, evenly spaced, both ends included.
function tensor.linspace(first, last, count, option)
  count = count or 50
  if type(first) ~= "number" or type(last) ~= "number" or math.type(count) ~= "integer" or count < 0 then
    fail("ARGUMENT", "dl.linspace(first, last, count) takes two numbers and a count")
  end
  check_count("dl.linspace", count)
  local dtype = dtype_option("dl.linspace", option)
  if count == 0 then return core.full({ 0 }, 0, dtype) end
  local values = {}
  for place = 1, count do
    values[place] = count == 1 and first or first + (last - first) * ((place - 1) / (count - 1))
  end
  return core.tensor(values, dtype)
end

function tensor.eye(rows, columns, option)
  if columns ~= nil and math.type(columns) ~= "integer" then columns, option = nil, columns end
  if math.type(rows) ~= "integer" or rows < 0 then
    fail("ARGUMENT", "dl.eye(rows, columns): rows must be a whole number, got " .. kind_of(rows))
  end
  columns = columns or rows
  local t = core.full({ rows, columns }, 0, dtype_option("dl.eye", option))
  for place = 1, math.min(rows, columns) do t[{ place, place }] = 1 end
  return t
end

-- uniform(2, 3), uniform({2, 3}, { seed = 1 }): drawn by an initializer, so that the process's seed decides.
local function random(owner, class_name, defaults, ...)
  local shape, option = ...
  local given = {}
  if type(shape) == "table" then
    table.move(shape, 1, #shape, 1, given)
  else
    local count = select("#", ...)
    option = count > 0 and select(count, ...) or nil
    if type(option) ~= "table" then option = nil end
    for place = 1, option and count - 1 or count do given[place] = (select(place, ...)) end
  end
  local allowed = { dtype = "string", seed = "integer" }
  for name in pairs(defaults) do allowed[name] = "number" end
  option = arguments.options(owner, option, allowed)
  local config = { seed = option.seed }
  for name, default in pairs(defaults) do config[name] = option[name] or default end
  return core.initialize({ class_name = class_name, config = config }, given, option.dtype)
end

--- Uniform in [minval, maxval): uniform({2, 3}, { minval = 0, maxval = 1, seed = 1, dtype = "f32" })
function tensor.uniform(...) return random("dl.uniform", "RandomUniform", { minval = 0.0, maxval = 1.0 }, ...) end
tensor.rand = tensor.uniform

--- Normal: normal({2, 3}, { mean = 0, stddev = 1, seed = 1, dtype = "f32" })
function tensor.normal(...) return random("dl.normal", "RandomNormal", { mean = 0.0, stddev = 1.0 }, ...) end
tensor.randn = tensor.normal

-- ---- Methods ---------------------------------------------------------------------------------------------------

--- Nested tables; the number of a scalar.
methods.totable = core.totable
--- The number of a tensor of one element.
methods.item = core.item

function methods.to(t, dtype)
  if is_tensor(dtype) then dtype = core.dtype(dtype) end
  if type(dtype) ~= "string" then fail("ARGUMENT", "t:to(dtype): expected a dtype such as 'f32', got " .. kind_of(dtype)) end
  return (core.apply("cast", { t }, { dtype = dtype }))
end
methods.astype = methods.to

--- A part, as t[{ ... }] gives it: t:slice{ { 1, 8 } }
function methods.slice(t, key) return core.index(t, key) end

--- Number of elements, of axes.
methods.numel = core.size
function methods.dim(t) return #core.shape(t) end

--- Size of an axis, counted from 1 or from the end.
function methods.size(t, axis)
  local shape = core.shape(t)
  if axis == nil then return shape end
  local place = math.type(axis) == "integer" and (axis < 0 and #shape + 1 + axis or axis)
  if not place or place < 1 or place > #shape then
    fail("RANGE", ("t:size(axis): the tensor has %d axes, got %s"):format(#shape, kind_of(axis)))
  end
  return shape[place]
end

--- for i, row in t:iter() do
function methods.iter(t)
  local count, place = #t, 0
  return function()
    place = place + 1
    if place <= count then return place, core.index(t, place) end
  end
end

--- Gives a variable other contents.
function methods.assign(t, value)
  core.assign(t, tensor.from(value, "the value"):to(core.dtype(t)))
  return t
end

--- Writes the tensor as NPY; true, or nil, message, code.
methods.save = core.tensor_save
methods.free = methods.close

getters.shape = core.shape
getters.dtype = core.dtype
getters.kind = core.tensor_kind
getters.ndim = methods.dim
function getters.name(t) return (core.variable_info(t)) end
function getters.trainable(t)
  local _, trainable = core.variable_info(t)
  return trainable
end
--- A variable's contents, as a tensor that stays as it is.
function getters.value(t) return (core.apply("copy", { t })) end

-- ---- Masks -----------------------------------------------------------------------------------------------------

local function positions_of(t, mask)
  if core.dtype(mask) ~= "bool" then
    fail("DTYPE", "a tensor that is used as an index must be of dtype bool, got " .. core.dtype(mask))
  end
  local shape, of = core.shape(mask), core.shape(t)
  if #shape ~= 1 or shape[1] ~= of[1] then
    fail("SHAPE", ("a mask must have one axis, as long as the tensor's first. Received: %d axes of length %s for length %s")
      :format(#shape, tostring(shape[1]), tostring(of[1])))
  end
  local places = {}
  for place, value in ipairs(core.totable(mask)) do
    if value then places[#places + 1] = place end
  end
  return places
end

--- t[mask]: the entries along the first axis where the mask is true.
function class.masked(t, mask)
  local places = positions_of(t, mask)
  if #places == 0 then return core.index(t, { { 1, 1 } }):slice{ { 2, 1 } } end
  for i, place in ipairs(places) do places[i] = place - 1 end
  return (core.apply("take", { t, core.tensor(places, "i32") }, { axis = 0 }))
end

--- t[mask] = value
function class.assign_masked(t, mask, value)
  for _, place in ipairs(positions_of(t, mask)) do t[place] = value end
end

function class.set(_, key)
  fail("ARGUMENT", ("'%s' of a dl.Tensor cannot be set"):format(tostring(key)))
end

-- The operations are methods too.
core.use "ops"

return tensor

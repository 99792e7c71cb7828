-- dl.ops: every operation of the library, as dl.ops.name(...) and as t:name(...).

local core = ...
local arguments = core.use "arguments"
local declared = core.use "declared"
local fail, kind_of = core.fail, arguments.kind_of

local tensor_class = core.class "dl.Tensor"

local function is_tensor(value) return core.kind(value) == "dl.Tensor" end

local function is_input(value)
  return is_tensor(value) or type(value) == "table" and (is_tensor(value[1]) or value[1] == nil and next(value) == nil)
end

local function is_options(value)
  if type(value) ~= "table" or getmetatable(value) ~= nil then return false end
  for key in pairs(value) do
    if type(key) == "string" then return true end
  end
  return false
end

local zero_based = { axis = true, axes = true, index = true }

-- Results that are positions count from 1, symbolic ones too.
local function shift(result)
  return (core.apply("add", { result, 1 }))
end

-- Positions in tensors count from 1 as well; from the end they count from -1 in the library too.
local function shift_inputs(name, inputs, kinds)
  for place, kind in ipairs(kinds) do
    local given = inputs[place]
    if kind == "index" and given ~= nil then
      if not is_tensor(given) then given = core.tensor(given, "i32") end
      if name ~= "one_hot" and name ~= "multi_hot" and core.tensor_kind(given) ~= "symbolic"
        and core.item((core.apply("any", { (core.apply("equal", { given, 0 })) }))) then
        fail("RANGE", ("%s: position 0; positions count from 1, and from the end with -1"):format(name))
      end
      local from_end = core.apply("less", { given, 0 })
      inputs[place] = core.apply("where", { from_end, given, (core.apply("subtract", { given, 1 })) })
    end
  end
end

local function define(declaration)
  local name, names = declaration.name, declaration.inputs or {}
  local several = declaration.variadic or not declaration.inputs
  local most = several and math.huge or #names
  local note
  for _, argument in ipairs(declaration.arguments) do
    if zero_based[argument.kind] then note = "(axes and positions in this message count from 0)" end
  end

  return function(...)
    local count, options = select("#", ...), nil
    if count > 0 and is_options((select(count, ...))) then
      options = select(count, ...)
      count = count - 1
    end
    local inputs, place, wanted = {}, 1, most
    -- What is said before the tensors: einsum("ij,jk->ik", a, b).
    local leading
    if declaration.leading and count > 0 and type((...)) == "string" then
      leading, place = (...), 2
    end
    -- Tensors first, in order or in a list.
    while place <= count and #inputs < wanted and is_input((select(place, ...))) do
      local value = select(place, ...)
      if is_tensor(value) then
        inputs[#inputs + 1] = value
      else
        for _, entry in ipairs(value) do inputs[#inputs + 1] = entry end
        if several then wanted = #inputs end
      end
      place = place + 1
    end
    if several then wanted = #inputs end
    -- select(conditions, choices): one list after the other.
    while declaration.lists and place <= count and type((select(place, ...))) == "table" do
      for _, entry in ipairs((select(place, ...))) do inputs[#inputs + 1] = entry end
      place, wanted = place + 1, #inputs
    end
    -- Numbers may stand for tensors that are still missing.
    while place <= count and #inputs < wanted do
      local value = select(place, ...)
      if type(value) ~= "number" and type(value) ~= "boolean" and type(value) ~= "table" and not is_tensor(value) then
        fail("ARGUMENT", ("'%s' of %s must be a tensor or a number, got %s"):format(names[#inputs + 1], name, kind_of(value)))
      end
      inputs[#inputs + 1] = value
      place = place + 1
    end
    if options then
      for at = #inputs + 1, #names do
        local value = not several and options[names[at]]
        if value then inputs[at] = value end
      end
    end
    if not several and #inputs < #names - (declaration.optional_inputs or 0) then
      local listed = table.concat(names, ", ")
      fail("ARGUMENT", ("%s takes %d tensor%s (%s), got %d"):format(name, #names, #names == 1 and "" or "s", listed, #inputs))
    end
    local positions = {}
    for at = place, count do positions[#positions + 1] = select(at, ...) end
    local first, second = declaration.arguments[1], declaration.arguments[2]
    -- sum(x, 1, 2): loose numbers for a list, unless the second number is an argument of its own, as in moveaxis(x, 1, 2).
    local is_list = first and (first.kind == "shape" or first.kind == "axes") and not (second and second.kind == first.kind)
    if is_list and #positions > 1 and type(positions[1]) == "number" and type(positions[2]) == "number" then
      positions = { positions }
    end
    local skip = {}
    for _, input in ipairs(several and {} or names) do skip[input] = not declaration.places[input] or nil end
    local config = declared.configure(declaration, name, positions, options, skip)
    if leading then
      if config[declaration.leading] ~= nil then
        fail("ARGUMENT", ("'%s' of %s is given twice, by position and by name"):format(declaration.leading, name))
      end
      config[declaration.leading] = leading
    end
    if declaration.input_kinds then shift_inputs(name, inputs, declaration.input_kinds) end
    local kinds = declaration.result_kinds
    if not kinds then return core.apply(name, inputs, next(config) and config or nil, note) end
    local results = table.pack(core.apply(name, inputs, next(config) and config or nil, note))
    for at, kind in ipairs(kinds) do
      if kind == "index" and results[at] then results[at] = shift(results[at]) end
    end
    return table.unpack(results, 1, results.n)
  end
end

local extra = core.use "control"

--- Scales gradients so that the norm of all of them together is at most `norm`; false entries stay. Also gives the norm.
function extra.clip_by_global_norm(gradients, norm)
  if type(gradients) ~= "table" or type(norm) ~= "number" or norm <= 0 then
    fail("ARGUMENT", "clip_by_global_norm(gradients, norm) takes a list of tensors and a positive number")
  end
  local total
  for _, gradient in ipairs(gradients) do
    if gradient then
      local squares = (gradient * gradient):sum()
      total = total and total + squares or squares
    end
  end
  if not total then return gradients, core.tensor(0) end
  local global = total:sqrt()
  -- Not above 1, and exactly 1 where nothing has to be clipped.
  local scale = norm / global:maximum(norm)
  local clipped = {}
  for place, gradient in ipairs(gradients) do clipped[place] = gradient and gradient * scale end
  return clipped, global
end

local aliases = {
  repeat_ = "repeat", mul = "multiply", sub = "subtract", div = "divide", neg = "negative", pow = "power",
  lt = "less", le = "less_equal", gt = "greater", ge = "greater_equal", eq = "equal", ne = "not_equal",
  clamp = "clip", t = "transpose", permute = "transpose", concat = "concatenate", to_float = false,
}

local ops = declared.namespace("dl.ops", "operation", define, extra)

for alias, name in pairs(aliases) do
  -- Made when first used, as the others are.
  if name then extra[alias] = function(...) return ops[name](...) end end
end

--- Whether two tensors agree within rtol * |b| + atol everywhere: allclose(a, b, { rtol = , atol = , equal_nan = })
function extra.allclose(a, b, options)
  options = arguments.options("allclose", options, { rtol = "number", atol = "number", equal_nan = "boolean" })
  local close = core.apply("isclose", { a, b }, { rtol = options.rtol, atol = options.atol, equal_nan = options.equal_nan })
  return core.item((core.apply("all", { close })))
end

--- Whether each element is one of the given values.
function extra.isin(x, values)
  if is_tensor(values) then values = core.totable(values) end
  if type(values) == "number" then values = { values } end
  if not is_tensor(x) or type(values) ~= "table" then fail("ARGUMENT", "isin(x, values) takes a tensor and a list of numbers") end
  local found
  for _, value in ipairs(values) do
    local same = core.apply("equal", { x, value })
    found = found and core.apply("logical_or", { found, same }) or same
  end
  return found or (core.apply("not_equal", { x, x }))
end

-- Coordinates are positions: they count from 1 here.
function extra.map_coordinates(x, coordinates, options)
  if not is_tensor(x) then fail("ARGUMENT", "map_coordinates(x, coordinates, options) takes a tensor, got " .. kind_of(x)) end
  if not is_tensor(coordinates) then coordinates = core.tensor(coordinates, "f32") end
  options = arguments.options("map_coordinates", options, { order = "integer", fill_mode = "string", fill_value = "number" })
  return (core.apply("map_coordinates", { x, (core.apply("subtract", { coordinates, 1 })) }, next(options) and options or nil))
end

--- Takes axes apart and puts them together by their names: rearrange(x, "b (h h1) w -> b h (w h1)", { h1 = 2 })
function extra.rearrange(x, pattern, lengths)
  if not is_tensor(x) then fail("ARGUMENT", "rearrange(x, pattern, lengths) takes a tensor, got " .. kind_of(x)) end
  if type(pattern) ~= "string" then fail("ARGUMENT", "'pattern' of rearrange must be text, got " .. kind_of(pattern)) end
  if lengths ~= nil and type(lengths) ~= "table" then
    fail("ARGUMENT", "the lengths of rearrange are a table of sizes by name, got " .. kind_of(lengths))
  end
  if lengths and type(lengths.axes_lengths) == "table" then lengths = lengths.axes_lengths end
  for name in pairs(lengths or {}) do
    if type(name) ~= "string" then fail("ARGUMENT", "the lengths of rearrange go by name, got one for " .. kind_of(name)) end
  end
  return (core.apply("rearrange", { x }, { pattern = pattern, axes_lengths = lengths and next(lengths) and lengths or nil }))
end

--- Attention of queries to keys: dot_product_attention(query, key, value, { bias = , mask = , scale = , is_causal = })
function extra.dot_product_attention(query, key, value, options, ...)
  local positional = options == nil or is_tensor(options)
  local mask, scale, is_causal = ...
  local given = positional and { bias = options, mask = mask, scale = scale, is_causal = is_causal } or options
  given = arguments.options("dot_product_attention", given,
    { bias = "any", mask = "any", scale = "number", is_causal = "boolean", flash_attention = "boolean" })
  local inputs = {}
  for place, part in ipairs{ { "query", query }, { "key", key }, { "value", value } } do
    if not is_tensor(part[2]) then
      fail("ARGUMENT", ("'%s' of dot_product_attention must be a tensor, got %s"):format(part[1], kind_of(part[2])))
    end
    inputs[place] = part[2]
  end
  local from = core.use "tensor".from
  if given.bias ~= nil then inputs[#inputs + 1] = from(given.bias, "the bias") end
  if given.mask ~= nil then
    local seen = from(given.mask, "the mask")
    inputs[#inputs + 1] = core.dtype(seen) == "bool" and seen or (core.apply("cast", { seen }, { dtype = "bool" }))
  end
  return (core.apply("dot_product_attention", inputs, { scale = given.scale, is_causal = given.is_causal }))
end

-- Points of pictures are positions: they count from 1 here, (column, row) each.
function extra.perspective_transform(images, start_points, end_points, options)
  if not is_tensor(images) then
    fail("ARGUMENT", "perspective_transform(images, start_points, end_points) takes a tensor, got " .. kind_of(images))
  end
  options = arguments.options("perspective_transform", options,
    { interpolation = "string", fill_value = "number", data_format = "string" })
  local inputs = { images }
  for name, points in pairs{ start_points = start_points or false, end_points = end_points or false } do
    if not points then fail("ARGUMENT", ("'%s' of perspective_transform is missing"):format(name)) end
    local here = is_tensor(points) and points or core.tensor(points, "f32")
    inputs[name == "start_points" and 2 or 3] = (core.apply("subtract", { here, 1 }))
  end
  return (core.apply("perspective_transform", inputs, next(options) and options or nil))
end

--- Pictures distorted at random: elastic_transform(images, { alpha = 20, sigma = 5, seed = 1 })
function extra.elastic_transform(images, options)
  if not is_tensor(images) then fail("ARGUMENT", "elastic_transform(images, options) takes a tensor, got " .. kind_of(images)) end
  options = arguments.options("elastic_transform", options, { alpha = "number", sigma = "number", interpolation = "string",
    fill_mode = "string", fill_value = "number", seed = "any", data_format = "string" })
  core.use "random"
  local inputs, config = { images, core.random_seeds("elastic_transform", options.seed)[1] }, {}
  for name, value in pairs(options) do
    if name ~= "seed" then config[name] = value end
  end
  return (core.apply("elastic_transform", inputs, next(config) and config or nil))
end

--- Operations on pictures: dl.ops.image.resize(images, ...) is dl.ops.resize(images, ...).
extra.image = setmetatable({}, {
  __index = function(images, name)
    local declaration = declared.describe("operation", name)
    if not declaration or declaration.group ~= "image" then
      local names = {}
      for _, known in ipairs(declared.names "operation") do
        if declared.describe("operation", known).group == "image" then names[#names + 1] = known end
      end
      fail("NOT_FOUND", ("there is no dl.ops.image.%s%s"):format(tostring(name), arguments.suggestion(name, names)))
    end
    local call = ops[name]
    rawset(images, name, call)
    return call
  end,
})

-- t:name(...) for every operation; looked up when first used.
function tensor_class.missing(_, name)
  local known = rawget(ops, name)
  if not known then
    local declaration = declared.describe("operation", name)
    if not declaration then
      local names = declared.names "operation"
      for _, list in ipairs{ tensor_class.methods, tensor_class.getters, extra } do
        for _, own in ipairs(arguments.keys(list)) do names[#names + 1] = own end
      end
      return fail("NOT_FOUND", ("a dl.Tensor has no method '%s'%s"):format(tostring(name), arguments.suggestion(name, names)))
    end
    known = ops[name]
  end
  tensor_class.methods[name] = known
  return known
end

return ops

-- Parts of dl.ops that are Lua: facts about tensors, loops and branches around functions of tensors.

local core = ...
local arguments = core.use "arguments"
local fail, kind_of = core.fail, arguments.kind_of

local control = {}

local function is_tensor(value) return core.kind(value) == "dl.Tensor" end
-- The constructors are read after the operations.
local function constructors() return core.use "tensor" end
local function as_tensor(value, what) return constructors().from(value, what) end

local function expect_function(owner, name, value)
  if type(value) ~= "function" then
    fail("ARGUMENT", ("'%s' of %s must be a function, got %s"):format(name, owner, kind_of(value)))
  end
end

local function whole(owner, name, value)
  local number = type(value) == "number" and math.tointeger(value)
  if not number then fail("ARGUMENT", ("'%s' of %s must be a whole number, got %s"):format(name, owner, kind_of(value))) end
  return number
end

-- The number of a condition or a position that has contents.
local function concrete(owner, value)
  if not is_tensor(value) then return value end
  if core.tensor_kind(value) == "symbolic" then
    fail("STATE", owner .. ": a symbolic tensor has no contents yet that could decide; use where(condition, x1, x2)")
  end
  return core.item(value)
end

local function is_true(value) return value ~= nil and value ~= false and value ~= 0 end

-- ---- Facts -----------------------------------------------------------------------------------------------------

--- Whether a value is a tensor.
function control.is_tensor(x) return is_tensor(x) end

--- The sizes of the axes, as a list; false where a size is not known.
function control.shape(x) return core.shape(as_tensor(x, "x")) end

--- The number of axes.
function control.ndim(x) return #core.shape(as_tensor(x, "x")) end

--- The number of elements.
function control.size(x) return core.size(as_tensor(x, "x")) end

--- The dtype, as text.
function control.dtype(x) return core.dtype(as_tensor(x, "x")) end

--- A tensor of a number or nested tables, of a dtype if one is named.
function control.convert_to_tensor(x, option)
  if is_tensor(x) and option == nil then return x end
  return constructors().tensor(x, option)
end

--- A new tensor of a number, nested tables or a tensor.
function control.array(x, option) return constructors().tensor(x, option) end

--- Nested tables of a tensor's numbers: what NumPy's arrays are to Keras.
function control.convert_to_numpy(x) return core.totable(as_tensor(x, "x")) end

--- A tensor nobody has filled; its elements are 0 here, but nobody should rely on it.
function control.empty(...) return constructors().zeros(...) end

--- The matrix with ones on its diagonal: identity(n, dtype)
function control.identity(n, option) return constructors().eye(n, option) end

-- ---- Branches --------------------------------------------------------------------------------------------------

--- true_fn() where pred holds, else false_fn(). On a symbolic pred both are computed, and each element is taken from one.
function control.cond(pred, true_fn, false_fn)
  expect_function("cond", "true_fn", true_fn)
  expect_function("cond", "false_fn", false_fn)
  if is_tensor(pred) and core.tensor_kind(pred) == "symbolic" then
    return (core.apply("where", { pred, as_tensor(true_fn(), "true_fn()"), as_tensor(false_fn(), "false_fn()") }))
  end
  if is_true(concrete("cond", pred)) then return true_fn() end
  return false_fn()
end

--- branches[index](...): index counts from 1 and is moved into the list.
function control.switch(index, branches, ...)
  if type(branches) ~= "table" or #branches == 0 then
    fail("ARGUMENT", "switch(index, branches, ...): branches must be a list of functions, got " .. kind_of(branches))
  end
  local place = whole("switch", "index", concrete("switch", index))
  local branch = branches[math.max(1, math.min(place, #branches))]
  expect_function("switch", "branches", branch)
  return branch(...)
end

-- ---- Loops -----------------------------------------------------------------------------------------------------

--- Calls body(...) with what it gave before, as long as condition(...) holds: while_loop(condition, body, { a, b }, most)
-- gives the last values, as many as there are.
function control.while_loop(condition, body, loop_vars, maximum_iterations)
  expect_function("while_loop", "cond", condition)
  expect_function("while_loop", "body", body)
  local values = type(loop_vars) == "table" and not is_tensor(loop_vars) and table.pack(table.unpack(loop_vars))
    or table.pack(loop_vars)
  local most = maximum_iterations and whole("while_loop", "maximum_iterations", maximum_iterations) or math.huge
  local count = 0
  while count < most and is_true(concrete("while_loop", condition(table.unpack(values, 1, values.n)))) do
    local given = table.pack(body(table.unpack(values, 1, values.n)))
    -- A list counts as its values.
    if given.n == 1 and type(given[1]) == "table" and not is_tensor(given[1]) then
      given = table.pack(table.unpack(given[1]))
    end
    if given.n ~= values.n then
      fail("ARGUMENT", ("the body of while_loop must return %d values, got %d"):format(values.n, given.n))
    end
    values, count = given, count + 1
  end
  return table.unpack(values, 1, values.n)
end

--- body(i, value) for i from lower to upper, both included, as a Lua loop counts; gives the last value.
function control.fori_loop(lower, upper, body, initial)
  expect_function("fori_loop", "body_fun", body)
  local first = whole("fori_loop", "lower", concrete("fori_loop", lower))
  local value = initial
  for i = first, whole("fori_loop", "upper", concrete("fori_loop", upper)) do value = body(i, value) end
  return value
end

-- How many entries there are along the first axis of a tensor or of a list of tensors, and the i-th of them.
local function entries(owner, xs)
  local list = is_tensor(xs) and { xs } or xs
  if type(list) ~= "table" or #list == 0 then
    fail("ARGUMENT", owner .. ": xs must be a tensor or a list, got " .. kind_of(xs))
  end
  local tensors, count = {}, nil
  for place, x in ipairs(list) do
    tensors[place] = as_tensor(x, "xs")
    local length = core.shape(tensors[place])[1]
    if not length then fail("SHAPE", owner .. ": xs needs a first axis of known size") end
    if count and count ~= length then
      fail("SHAPE", ("%s: first axes must have one size. Received: %d and %d"):format(owner, count, length))
    end
    count = length
  end
  return count, function(place)
    if is_tensor(xs) then return core.index(xs, place) end
    local parts = {}
    for at, x in ipairs(tensors) do parts[at] = core.index(x, place) end
    return parts
  end
end

local function stacked(results, backwards)
  if #results == 0 then return core.full({ 0 }, 0) end
  if backwards then
    for at = 1, #results // 2 do results[at], results[#results + 1 - at] = results[#results + 1 - at], results[at] end
  end
  for place, result in ipairs(results) do results[place] = as_tensor(result, "a result") end
  return (core.apply("stack", results, { axis = 0 }))
end

--- Carries a value along the first axis: carry, y = f(carry, x) for each entry x; gives the last carry and all y, stacked.
-- scan(f, initial, xs, { length = , reverse = }); without xs, length says how often f is called.
function control.scan(f, initial, xs, options)
  expect_function("scan", "f", f)
  options = arguments.options("scan", options, { length = "integer", reverse = "boolean", unroll = "integer|boolean" })
  local count, entry = options.length, function() end
  if xs ~= nil then
    count, entry = entries("scan", xs)
    if options.length and options.length ~= count then
      fail("SHAPE", ("scan: length is %d, xs has %d entries"):format(options.length, count))
    end
  end
  if not count or count < 0 then fail("ARGUMENT", "scan needs xs, or a length of at least 0") end
  local carry, results = initial, {}
  for step = 1, count do
    local y
    carry, y = f(carry, entry(options.reverse and count + 1 - step or step))
    if y ~= nil then results[#results + 1] = y end
  end
  return carry, #results > 0 and stacked(results, options.reverse) or nil
end

--- All results of f(...f(f(x1, x2), x3)..., xn), stacked: for sums, products and whatever else may be put in brackets freely.
function control.associative_scan(f, elems, options)
  expect_function("associative_scan", "f", f)
  options = arguments.options("associative_scan", options, { reverse = "boolean" })
  local count, entry = entries("associative_scan", elems)
  local results, value = {}, nil
  for step = 1, count do
    local x = entry(options.reverse and count + 1 - step or step)
    if step == 1 then value = x else value = f(value, x) end
    results[step] = value
  end
  if is_tensor(elems) or count == 0 then return stacked(results, options.reverse) end
  local lists = {}
  for at = 1, #elems do
    local parts = {}
    for step, result in ipairs(results) do parts[step] = result[at] end
    lists[at] = stacked(parts, options.reverse)
  end
  return lists
end

--- f of each entry along the first axis, stacked.
function control.map(f, xs)
  expect_function("map", "f", f)
  local count, entry = entries("map", xs)
  local results = {}
  for place = 1, count do results[place] = f(entry(place)) end
  return stacked(results)
end

--- The same; the entries do not depend on each other.
function control.vectorized_map(f, xs) return control.map(f, xs) end

--- The value of f at primals, and how it changes along tangents: jvp(f, { x }, { v }). f must be differentiable twice.
function control.jvp(f, primals, tangents)
  expect_function("jvp", "fun", f)
  if is_tensor(primals) then primals = { primals } end
  if is_tensor(tangents) then tangents = { tangents } end
  if type(primals) ~= "table" or type(tangents) ~= "table" or #primals ~= #tangents or #primals == 0 then
    fail("ARGUMENT", "jvp(f, primals, tangents) takes two lists of as many tensors")
  end
  -- The gradient for x of y u is linear in u; its gradient for u, along the tangents, is what y changes by.
  local outer <close> = core.tape(true)
  local inner <close> = core.tape(true)
  for _, x in ipairs(primals) do core.watch(inner, x) end
  local y = f(table.unpack(primals))
  if not is_tensor(y) then fail("ARGUMENT", "the function given to jvp must return a tensor, got " .. kind_of(y)) end
  local u = (core.apply("ones_like", { y }))
  core.watch(outer, u)
  local gradients = core.gradient(inner, (core.apply("sum", { y * u })), primals)
  local total
  for place, gradient in ipairs(gradients) do
    if gradient then
      local part = (core.apply("sum", { gradient * as_tensor(tangents[place], "a tangent") }))
      total = total and total + part or part
    end
  end
  local change = total and core.gradient(outer, total, { u })[1]
  return y, change or (core.apply("zeros_like", { y }))
end

-- ---- Gradients of one's own ------------------------------------------------------------------------------------

-- What a function returned, as a list of tensors; `what` says whose result it is.
local function tensor_list(values, first, last, what)
  if last == first and type(values[first]) == "table" and not is_tensor(values[first]) then
    values, first, last = values[first], 1, #values[first]
  end
  local list = {}
  for place = first, last do list[#list + 1] = as_tensor(values[place], what) end
  return list
end

--- A function with a gradient of its own: f = custom_gradient(function(x, ...) return y, function(dy) return dx, ... end end)
-- The inner function gets the gradient of the target for each y, and returns one gradient for each argument, nil where there
-- is none; it is made of operations, so that it can be differentiated again. What is no tensor is passed on as it is. Tensors
-- that the function uses and that are trained must be arguments.
function control.custom_gradient(f)
  expect_function("custom_gradient", "f", f)
  return function(...)
    local given, places, tensors = table.pack(...), {}, {}
    for place = 1, given.n do
      if is_tensor(given[place]) then
        places[#places + 1] = place
        tensors[#tensors + 1] = given[place]
      end
    end
    if #tensors == 0 then
      fail("ARGUMENT", "a function made by custom_gradient takes at least one tensor, got " .. kind_of(given[1]))
    end
    return core.custom_gradient(function(list)
      local arguments_now = table.move(given, 1, given.n, 1, {})
      for number, place in ipairs(places) do arguments_now[place] = list[number] end
      local results = table.pack(f(table.unpack(arguments_now, 1, given.n)))
      local backward = results[results.n]
      if results.n < 2 or type(backward) ~= "function" then
        fail("ARGUMENT", ("custom_gradient: the function must return its results and then a function for the gradients, got %s")
          :format(results.n == 0 and "nothing" or kind_of(backward)))
      end
      local outputs = tensor_list(results, 1, results.n - 1, "a result of the function given to custom_gradient")
      if #outputs == 0 then fail("ARGUMENT", "custom_gradient: the function returned no tensor") end
      return outputs, function(upstream)
        local gradients = table.pack(backward(table.unpack(upstream)))
        if gradients.n == 1 and type(gradients[1]) == "table" and not is_tensor(gradients[1]) then
          gradients = gradients[1]
          gradients.n = given.n
        end
        -- Arguments after the last tensor need none.
        if gradients.n < places[#places] or gradients.n > given.n then
          fail("ARGUMENT", ("custom_gradient: the gradient function must return a gradient for each of the %d arguments, got %d")
            :format(places[#places], gradients.n))
        end
        local answers = {}
        for number, place in ipairs(places) do
          local gradient = gradients[place]
          answers[number] = gradient and as_tensor(gradient, "a gradient") or false
        end
        return answers
      end
    end, tensors)
  end
end

return control

-- Variables, tapes and gradients.

local core = ...
local arguments = core.use "arguments"
local tensor = core.use "tensor"
local fail, kind_of = core.fail, arguments.kind_of

local autodiff = {}

--- A variable: dl.Variable(2), dl.Variable({1, 2}, { name = "w", trainable = true, dtype = "f64" })
function autodiff.Variable(initial, options)
  options = arguments.options("dl.Variable", options, { name = "string", trainable = "boolean", dtype = "string" })
  local value = tensor.from(initial, "the initial value of a variable")
  if options.dtype then value = value:to(options.dtype) end
  return core.variable(value, options.name, options.trainable)
end

-- ---- Tapes -----------------------------------------------------------------------------------------------------

local class = core.class "dl.Tape"
local methods = class.methods

local function check_tape(tape, name)
  if core.kind(tape) ~= "dl.Tape" then
    fail("ARGUMENT", ("expected a dl.Tape, got %s; did you mean tape:%s(...)?"):format(kind_of(tape), name))
  end
end

--- A tape that listens until it is closed: local tape <close> = dl.GradientTape()
function autodiff.GradientTape(options)
  options = arguments.options("dl.GradientTape", options, { watch_accessed_variables = "boolean", persistent = "boolean" })
  return core.tape(options.watch_accessed_variables)
end

function methods.watch(tape, ...)
  check_tape(tape, "watch")
  for place = 1, select("#", ...) do
    local value = select(place, ...)
    for _, t in ipairs(core.kind(value) and { value } or value) do core.watch(tape, t) end
  end
end

--- Ends listening; gradients can still be asked for.
function methods.stop(tape)
  check_tape(tape, "stop")
  core.tape_stop(tape)
end

--- Gradients of a target for a tensor, a list of tensors, or tensors by name; the result has the same form.
-- Where the target does not depend on a source: nil for a single one and by name, false in a list.
function methods.gradient(tape, target, sources)
  check_tape(tape, "gradient")
  if core.kind(target) ~= "dl.Tensor" then
    fail("ARGUMENT", "gradient(target, sources): target must be a tensor, got " .. kind_of(target))
  end
  if core.kind(sources) == "dl.Tensor" then return core.gradient(tape, target, { sources })[1] or nil end
  if type(sources) ~= "table" then
    fail("ARGUMENT", "gradient(target, sources): sources must be a tensor or a table of them, got " .. kind_of(sources))
  end
  local names = arguments.keys(sources)
  if #names == 0 then return core.gradient(tape, target, sources) end
  local list, result = {}, {}
  for place, name in ipairs(names) do list[place] = sources[name] end
  local gradients = core.gradient(tape, target, list)
  for place, name in ipairs(names) do result[name] = gradients[place] or nil end
  return result
end

-- ---- Functions -------------------------------------------------------------------------------------------------

--- The function that gives the gradient of f for its first argument.
-- f must return a tensor; what is not a scalar counts as its sum.
function autodiff.grad(f)
  if type(f) ~= "function" then fail("ARGUMENT", "dl.grad takes a function, got " .. kind_of(f)) end
  return function(x, ...)
    if type(x) == "number" then x = tensor.tensor(x) end
    local tape <close> = core.tape(true)
    core.watch(tape, x)
    local y = f(x, ...)
    return methods.gradient(tape, y, x)
  end
end

--- What f() returns, and its gradients for the sources (a tensor, a list, or by name).
function autodiff.value_and_grad(f, sources)
  if type(f) ~= "function" then fail("ARGUMENT", "dl.value_and_grad takes a function, got " .. kind_of(f)) end
  local tape <close> = core.tape(true)
  for _, source in pairs(core.kind(sources) and { sources } or sources or {}) do
    if core.tensor_kind(source) ~= "variable" then core.watch(tape, source) end
  end
  local value = f()
  return value, methods.gradient(tape, value, sources)
end

-- ---- Compiled functions ----------------------------------------------------------------------------------------

core.metamethod("dl.Function", "__call", function(compiled, ...)
  local inputs = {}
  for place = 1, select("#", ...) do
    local value = select(place, ...)
    if value == nil then fail("ARGUMENT", ("argument %d of a compiled function is nil; it takes tensors"):format(place)) end
    inputs[place] = tensor.from(value, ("argument %d"):format(place))
  end
  return core.function_call(compiled, inputs)
end)

--- A step of one's own that runs as a plan: local step = dl.compile(function(x, y) ... return loss end)
-- The function is called once for each signature of its arguments, which are tensors, and records what it does; later calls
-- run that without the script. Variables, optimizers and metrics that it changes are changed in each call.
function autodiff.compile(f)
  if type(f) ~= "function" then fail("ARGUMENT", "dl.compile takes a function over tensors, got " .. kind_of(f)) end
  return core.function_create(f)
end

return autodiff

-- require "dl". Parts are read when they are first used, so that starting is quick.

local core = ...
local fail = core.fail

local dl = {
  _VERSION = "libdl " .. core.version(),
  version = core.version(),
  --- A size that is not known: Input{ shape = { dl.None, 28 } }. It is false, for a list cannot hold nil.
  None = false,
}

-- Whole modules, and functions out of modules.
local modules = {
  ops = "ops", layers = "layers", models = "models", losses = "losses", metrics = "metrics", optimizers = "optimizers",
  callbacks = "callbacks", datasets = "datasets", utils = "utils", applications = "applications", cli = "cli",
  random = "random", config = "config", saving = "saving",
  preprocessing = "preprocessing",
}
local members = {
  tensor = "tensor", zeros = "tensor", ones = "tensor", full = "tensor", zeros_like = "tensor", ones_like = "tensor",
  arange = "tensor", linspace = "tensor", eye = "tensor", uniform = "tensor", rand = "tensor", normal = "tensor",
  randn = "tensor", is_tensor = "tensor",
  Variable = "autodiff", GradientTape = "autodiff", grad = "autodiff", value_and_grad = "autodiff", compile = "autodiff",
  Sequential = "models", Model = "models", save_model = "models",
  load_model = "models", model_from_json = "models", clone_model = "models",
  Input = "layers",
  initializers = "options", regularizers = "options", constraints = "options", activations = "options",
}

--- Seeds initializers, shuffling, dropout and random tensors.
function dl.set_random_seed(seed)
  local whole = type(seed) == "number" and math.tointeger(seed)
  if not whole then fail("ARGUMENT", "set_random_seed takes a whole number, got " .. tostring(seed)) end
  core.seed(whole)
end

--- Threads that compute; 0 for the processors this process may use. Results do not depend on it.
function dl.set_num_threads(count)
  local whole = type(count) == "number" and math.tointeger(count)
  if not whole then fail("ARGUMENT", "set_num_threads takes a whole number, got " .. tostring(count)) end
  core.set_threads(whole)
end

dl.get_num_threads = core.threads

--- false: convolutions that are planned from now on do without Winograd's algorithm, which rounds some 4e-6 of the largest
--- result; true, the default, lets them use it where it is faster.
function dl.set_winograd(enabled)
  if type(enabled) ~= "boolean" then fail("ARGUMENT", "set_winograd takes true or false, got " .. tostring(enabled)) end
  core.set_winograd(enabled)
end

dl.get_winograd = core.winograd

--- Facts about the library and the machine: version, processor, vector level, threads, kernels.
dl.info = core.info

--- Bytes in use, at most so far, kept for reuse; script_bytes: of the tensors that this state holds.
dl.memory = core.memory

--- Upper bound in bytes for all tensors together; 0 leaves it to the machine. What exceeds it is refused with E_MEMORY.
function dl.set_memory_limit(bytes)
  local whole = type(bytes) == "number" and math.tointeger(bytes)
  if not whole or whole < 0 then
    fail("ARGUMENT", "set_memory_limit takes a whole number of at least 0, got " .. tostring(bytes))
  end
  core.set_memory_limit(whole)
end

--- Gives cached memory back to the operating system.
dl.trim_memory = core.trim

--- The library's last failure on this thread: { code = "DL_ERROR_SHAPE", message = ... }, or nil.
function dl.last_error()
  local message, code = core.last_error()
  return message and { code = code, message = message } or nil
end

--- What is declared in a category: dl.list "layer"
dl.list = core.list

--- A declaration as a table, or nil and why: dl.describe("layer", "Dense")
function dl.describe(category, name) return core.describe(category, name) end

--- Prints the description of a layer, operation, loss and so on.
function dl.doc(name) core.use("doc").print(name) end

--- A tensor from a file: NPY, IDX (plain or gzip), or numbers in CSV; nil, message, code where it cannot be read.
-- dl.load("x.csv", { header = true, delimiter = ",", columns = { "a", 2 }, dtype = "f32", skip_rows = 0, missing = "nan" })
-- gives the names of the columns as well.
function dl.load(path, options)
  if type(path) ~= "string" then fail("ARGUMENT", "dl.load takes a file name") end
  core.use "tensor"
  if path:lower():match "%.csv$" or path:lower():match "%.tsv$" then
    options = core.use("arguments").options("dl.load", options, {
      header = "boolean", delimiter = "string", columns = "table", dtype = "string", skip_rows = "integer",
      missing = "string",
    })
    if options.columns then
      local columns = {}
      for place, column in ipairs(options.columns) do
        if column == 0 then fail("RANGE", "dl.load: column 0; columns count from 1, and from the end with -1") end
        columns[place] = math.type(column) == "integer" and column > 0 and column - 1 or column
      end
      options.columns = columns
    end
    return core.csv_load(path, next(options) and options or nil)
  end
  return core.tensor_load(path)
end

--- Writes a tensor as NPY; true, or nil, message, code.
function dl.save(path, tensor)
  if type(path) ~= "string" then fail("ARGUMENT", "dl.save(path, tensor) takes a file name first") end
  return core.tensor_save(tensor, path)
end

setmetatable(dl, {
  __index = function(_, key)
    local value
    if modules[key] then
      core.use "tensor"
      value = core.use(modules[key])
    elseif members[key] then
      core.use "tensor"
      value = core.use(members[key])[key]
    else
      return nil
    end
    dl[key] = value
    return value
  end,
  __tostring = function() return dl._VERSION end,
})

return dl

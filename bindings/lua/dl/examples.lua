-- Scripts that show a declared thing at work, for those that have none of their own.

local examples = {}

-- Values for what must be given, by kind.
local given = {
  bool = "true", int = "2", float = "0.5", string = '"name"', size = "2", shape = "{ 2, 3 }", axis = "1", index = "1",
  axes = "{ 1 }", dtype = '"float32"', any = "1", layer = 'dl.layers.Dense{ units = 2 }',
}

-- "{ rate = 0.5 }" for what a constructor must be given, or "()" where there is nothing.
local function required(declaration)
  local parts = {}
  for _, argument in ipairs(declaration.arguments) do
    if argument.required then
      local value = argument.choices and ("%q"):format(argument.choices[1]) or given[argument.kind] or "{}"
      if argument.kind == "list" then value = ("{ %s }"):format(given[argument.entries] or "1") end
      if argument.name:find "path" or argument.name == "filename" then value = "os.tmpname()" end
      parts[#parts + 1] = ("%s = %s"):format(argument.name, value)
    end
  end
  return #parts == 0 and "()" or "{ " .. table.concat(parts, ", ") .. " }"
end

local function has(declaration, name)
  for _, argument in ipairs(declaration.arguments) do
    if argument.name == name then return true end
  end
  return false
end

-- Targets and predictions of a kind that the loss or metric takes.
local function targets(declaration)
  if has(declaration, "label_base") then
    return 'local y = dl.tensor({ 3, 1 }, "i32")\nlocal prediction = dl.tensor{ { 0.1, 0.2, 0.7 }, { 0.6, 0.3, 0.1 } }'
  end
  return "local y = dl.tensor{ { 0, 0, 1 }, { 1, 0, 0 } }\nlocal prediction = dl.tensor{ { 0.1, 0.2, 0.7 }, { 0.6, 0.3, 0.1 } }"
end

local forms = {
  loss = function(declaration, call)
    return ("%s\nprint(dl.losses.%s(y, prediction))"):format(targets(declaration), call)
  end,
  metric = function(declaration, call)
    if declaration.name == "Mean" or declaration.name == "Sum" then
      return ("local metric = dl.metrics.%s\nmetric:update(dl.tensor{ 1, 2, 6 })\nprint(metric:result())"):format(call)
    end
    return ("local metric = dl.metrics.%s\n%s\nmetric:update(y, prediction)\nprint(metric:result())"):format(call,
      targets(declaration))
  end,
  optimizer = function(_, call)
    return ("local w = dl.Variable{ 1, 2 }\nlocal optimizer = dl.optimizers.%s\n"):format(call)
      .. "optimizer:apply({ dl.tensor{ 0.5, -0.5 } }, { w })\nprint(w)"
  end,
  initializer = function(_, call) return ("print(dl.initializers.%s({ 3, 3 }))"):format(call) end,
  regularizer = function(_, call)
    return ("print(dl.layers.Dense{ units = 2, kernel_regularizer = dl.regularizers.%s })"):format(call)
  end,
  constraint = function(_, call)
    return ("print(dl.layers.Dense{ units = 2, kernel_constraint = dl.constraints.%s })"):format(call)
  end,
  activation = function(declaration)
    return ("print(dl.activations.%s(dl.tensor{ { -1, 0, 0.5, 2 } }))"):format(declaration.name)
  end,
  callback = function(_, call) return ("print(dl.callbacks.%s)"):format(call) end,
  dataset = function(declaration)
    return ("local data, why = dl.datasets.%s%s\nprint(data or why)"):format(declaration.name, required(declaration))
  end,
}

--- The declaration's own script, or one made for its category; nil where there is none.
function examples.of(declaration)
  if declaration.example and declaration.example ~= "" then return declaration.example end
  local form = forms[declaration.category]
  if not form or declaration.internal then return nil end
  return 'local dl = require "dl"\n' .. form(declaration, declaration.name .. required(declaration))
end

return examples

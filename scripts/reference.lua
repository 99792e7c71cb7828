-- Writes the reference pages out of the declarations.   build/bin/dlua scripts/reference.lua [folder]

local dl = require "dl"
local examples = require "dl.examples"
local folder = arg[1] or "docs/reference"

local pages = {
  { "layer", "layers", "dl.layers", [[
A layer is made from its options, by name or by position, and then called: `layers.Dense{ units = 4 }`, `layers.Dense(4)`.
Beside these there are `layers.Input`, `layers.Lambda(f)` around a Lua function, and `layers.Layer` to derive one's own from;
see [the guide](../guide.md).]] },
  { "operation", "operations", "dl.ops", [[
Each is a function `dl.ops.name(tensors, options)` and a method `tensor:name(options)`, on concrete and symbolic tensors. In
Lua, axes and positions count from 1, and defaults below say so; in C they count from 0, by `dl_operation_apply`.]] },
  { "loss", "losses", "dl.losses", [[
For `compile{ loss = ... }`: a name, an alias, or what the constructor gives. A loss is also a function:
`dl.losses.MeanSquaredError()(y, prediction)` gives a number as a tensor. A Lua function of `y` and `prediction` is a loss too.
In Lua, class labels count from 1.]] },
  { "metric", "metrics", "dl.metrics", [[
For `compile{ metrics = { ... } }`: names, aliases, or what constructors give. By hand: `metric:update(y, prediction)`,
`metric:result()`, `metric:reset()`. `"accuracy"` chooses by the loss and the shapes.]] },
  { "optimizer", "optimizers", "dl.optimizers", [[
For `compile{ optimizer = ... }`: a name, an alias, or what the constructor gives. By hand:
`optimizer:apply(gradients, variables)`; `optimizer.learning_rate` may be read and set.]] },
  { "schedule", "schedules", "dl.optimizers.schedules", [[
For the option `learning_rate` of an optimizer: what the constructor gives, a Lua function of the number of updates so far,
or a class derived with `LearningRateSchedule:extend(name, { call = function(self, step) ... end })`. A schedule can be
called with that number.]] },
  { "initializer", "initializers", "dl.initializers", [[
For options such as `kernel_initializer`: a name, an alias, or what the constructor gives.]] },
  { "regularizer", "regularizers", "dl.regularizers", [[
For options such as `kernel_regularizer`: a name, an alias, or what the constructor gives.]] },
  { "constraint", "constraints", "dl.constraints", [[
For options such as `kernel_constraint`: a name, an alias, or what the constructor gives.]] },
  { "activation", "activations", "dl.activations", [[
For the option `activation` of a layer: a name or an alias. Each is also a function of tensors: `dl.activations.relu(x)`.]] },
  { "callback", "callbacks", "dl.callbacks", [[
For the option `callbacks` of `fit`. A plain table of functions is a callback too (see [the guide](../guide.md)), and
`dl.callbacks.LearningRateScheduler(function(epoch, rate) return rate * 0.9 end)` takes a function.]] },
  { "application", "applications", "dl.applications", [[
Each is a function that gives a model: `dl.applications.ResNet50{ classes = 10, input_shape = { 64, 64, 3 } }`, in C
`dl_application_create(&model, "ResNet50", "{\"classes\": 10}")`. Weights are random unless a file of them is given.]] },
  { "dataset", "datasets", "dl.datasets", [[
Each is a function that gives `{ train = , test = , class_names = }`, or nil and the reason where its files are not on this
machine; `make_blobs` gives one part unless `test_samples` are asked for. The shapes below are what C gets; in Lua, pictures
are float32 in [0, 1] and labels count from 1. Two options are Lua's own: `channels = true` adds an axis for channels to
pictures, and `label_base = 0` gives labels as files have them.]] },
}

-- ---- Values ----------------------------------------------------------------------------------------------------

local zero_based = { axis = true, axes = true, index = true }

local function literal(value, kind)
  if math.type(value) == "integer" then return tostring(zero_based[kind] and value >= 0 and value + 1 or value) end
  if type(value) == "number" then return ("%.14g"):format(value) end
  if type(value) == "string" then return '"' .. value .. '"' end
  if type(value) ~= "table" then return tostring(value) end
  if value.class_name then return value.class_name end
  local parts = {}
  for place, entry in ipairs(value) do parts[place] = literal(entry, kind) end
  return #parts == 0 and "{}" or "{ " .. table.concat(parts, ", ") .. " }"
end

local function default_of(argument)
  if argument.required then return "required" end
  if argument.default == nil then return "none" end
  return "`" .. literal(argument.default, argument.kind) .. "`"
end

-- Declarations are plain text but for `names`: what else Markdown would take for markup is escaped.
local function plain(text)
  return ((text:gsub("\n", " ") .. "``"):gsub("([^`]*)(`[^`]*`)", function(before, code)
    return before:gsub("[\\*<>|%[%]]", "\\%0") .. code:gsub("|", "\\|")
  end):gsub("``$", ""))
end

local function kind_of(argument)
  local expected = argument.expected or argument.kind
  return plain((expected:gsub(", or null$", ", or none"):gsub("'", '"')))
end

-- ---- Entries ---------------------------------------------------------------------------------------------------

local function call_of(prefix, declaration)
  local names = {}
  local inputs = type(declaration.inputs) == "table" and declaration.inputs or {}
  for _, input in ipairs(inputs) do names[#names + 1] = input end
  if declaration.variadic then names = { "{ " .. (inputs[1] or "x") .. ", ... }" } end
  if declaration.category == "activation" then names = { "x" } end
  local options = {}
  for place, argument in ipairs(declaration.arguments) do options[place] = argument.name end
  if declaration.category ~= "operation" and declaration.category ~= "activation" then
    return ("%s.%s%s"):format(prefix, declaration.name, #options == 0 and "()" or "{ " .. table.concat(options, ", ") .. " }")
  end
  if #options > 0 then names[#names + 1] = "{ " .. table.concat(options, ", ") .. " }" end
  return ("%s.%s(%s)"):format(prefix, declaration.name, table.concat(names, ", "))
end

-- Long lists of options are in the table below the heading.
local function shortened(call)
  return #call > 110 and call:gsub("{ ([^{}]-, [^{}]-, [^{}]-), [^{}]* }", "{ %1, ... }") or call
end

local function entry(prefix, declaration)
  local call = shortened(call_of(prefix, declaration))
  local lines = { "## " .. declaration.name, "", "```", call, "```", "", plain(declaration.summary), "" }
  local facts = {}
  local function add(title, value)
    if value and value ~= "" then facts[#facts + 1] = ("- %s: %s"):format(title, value) end
  end
  local aliases = {}
  for place, alias in ipairs(declaration.aliases or {}) do aliases[place] = "`" .. alias .. "`" end
  add("Aliases", table.concat(aliases, ", "))
  add("Formula", (declaration.formula or "") ~= "" and "`" .. declaration.formula:gsub("[`\n]", " ") .. "`")
  add("Shapes", plain(declaration.shapes or ""))
  add("Source", plain(declaration.source or ""))
  if #facts > 0 then
    table.move(facts, 1, #facts, #lines + 1, lines)
    lines[#lines + 1] = ""
  end
  if #declaration.arguments > 0 then
    lines[#lines + 1] = "| option | kind | default | what |"
    lines[#lines + 1] = "|---|---|---|---|"
    for _, argument in ipairs(declaration.arguments) do
      lines[#lines + 1] = ("| `%s` | %s | %s | %s |"):format(argument.name, kind_of(argument), default_of(argument),
        plain(argument.doc or ""))
    end
    lines[#lines + 1] = ""
  end
  local example = examples.of(declaration)
  if example then
    lines[#lines + 1] = ("```lua\n%s\n```\n"):format((example:gsub("%s+$", "")))
  end
  return table.concat(lines, "\n")
end

-- ---- Pages -----------------------------------------------------------------------------------------------------

local function write(name, text)
  local path = ("%s/%s.md"):format(folder, name)
  local file = assert(io.open(path, "w"))
  file:write(text, "\n")
  assert(file:close())
end

local index = { "# Reference", "", [[
Written out of the library's declarations by `make docs`. The C interface is described in [dl.h](../../include/dl.h), and
`dl.doc "Conv2D"` prints an entry at the prompt. What may be none is left out or false in Lua, and null in JSON.
]] }

for _, page in ipairs(pages) do
  local category, name, prefix, introduction = table.unpack(page)
  local entries, internal, contents = {}, {}, {}
  for _, declared in ipairs(dl.list(category)) do
    local declaration = assert(dl.describe(category, declared))
    if declaration.internal then
      internal[#internal + 1] = "`" .. declared .. "`"
    else
      contents[#contents + 1] = ("[%s](#%s)"):format(declared, declared:lower())
      entries[#entries + 1] = entry(prefix, declaration)
    end
  end
  local text = { "<!-- Written by `make docs`; edit the declarations. -->", "# " .. name:sub(1, 1):upper() .. name:sub(2), "",
    introduction, "", table.concat(contents, ",\n"), "", table.concat(entries, "\n") }
  if #internal > 0 then
    text[#text + 1] = "## For the library itself\n\nGradients and updates are operations too, called by no one but the library: "
      .. table.concat(internal, ", ") .. "."
  end
  write(name, (table.concat(text, "\n"):gsub("\n+$", "")))
  index[#index + 1] = ("- [%s](%s.md): %d"):format(name, name, #entries)
end
write("README", table.concat(index, "\n"))

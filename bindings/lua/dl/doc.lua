-- dl.doc: declarations as text, and the list of what is declared.

local core = ...
local arguments = core.use "arguments"
local declared = core.use "declared"
local examples = core.use "examples"
local fail, kind_of = core.fail, arguments.kind_of

local doc = {}

--- What is declared: category, the module of Lua that has it.
doc.categories = {
  { "layer", "layers" }, { "operation", "ops" }, { "loss", "losses" }, { "metric", "metrics" }, { "optimizer", "optimizers" },
  { "schedule", "optimizers.schedules" }, { "callback", "callbacks" }, { "initializer", "initializers" },
  { "regularizer", "regularizers" }, { "constraint", "constraints" }, { "activation", "activations" },
  { "dataset", "datasets" }, { "application", "applications" },
}

-- Names of a category; none where the library has no such category.
local function names_of(category)
  local fine, names = pcall(core.list, category)
  return fine and names or {}
end

local zero_based = { axis = true, axes = true, index = true }

--- A value as it is written in Lua; axes and positions count from 1.
function doc.literal(value, kind)
  if value == core.null then return "nil" end
  if math.type(value) == "integer" then return tostring(zero_based[kind] and value >= 0 and value + 1 or value) end
  if type(value) == "number" then return ("%.14g"):format(value) end
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) ~= "table" then return tostring(value) end
  if value.class_name then return value.class_name end
  local parts = {}
  for place, entry in ipairs(value) do parts[place] = doc.literal(entry, kind) end
  return #parts == 0 and "{}" or "{ " .. table.concat(parts, ", ") .. " }"
end

local function default_of(argument)
  if argument.required then return "required" end
  if argument.default == nil or argument.default == core.null then return "default none" end
  return "default " .. doc.literal(argument.default, argument.kind)
end

--- What may be given for an argument, in words.
function doc.expected(argument)
  return ((argument.expected or argument.kind):gsub(", or null$", ", or none"))
end

local calls = { operation = true, activation = true }

--- How it is called: dl.ops.sum(x, { axis, keepdims })
function doc.call(module, declaration)
  local options = {}
  for place, argument in ipairs(declaration.arguments) do options[place] = argument.name end
  local list = #options > 0 and "{ " .. table.concat(options, ", ") .. " }"
  if not calls[declaration.category] then return ("dl.%s.%s%s"):format(module, declaration.name, list or "()") end
  local names = {}
  if declaration.leading then names[1] = declaration.leading end
  for _, input in ipairs(type(declaration.inputs) == "table" and declaration.inputs or {}) do names[#names + 1] = input end
  if declaration.variadic then names[#names] = "{ " .. names[#names] .. ", ... }" end
  if declaration.category == "activation" then names = { "x" } end
  if list then names[#names + 1] = list end
  return ("dl.%s.%s(%s)"):format(module, declaration.name, table.concat(names, ", "))
end

--- What is refused, and how: a list of sentences.
function doc.errors(declaration)
  local list = { "dl[E_ARGUMENT]: an option that is not listed (the nearest name is given), or a value of another kind" }
  if calls[declaration.category] or declaration.category == "layer" or declaration.shapes and declaration.shapes ~= "" then
    list[#list + 1] = "dl[E_SHAPE]: other shapes than those above; the message ends with what came in"
    list[#list + 1] = "dl[E_DTYPE]: a dtype that it does not take"
  end
  for _, argument in ipairs(declaration.arguments) do
    if zero_based[argument.kind] then
      list[#list + 1] = "dl[E_RANGE]: an axis or a position outside, or 0 (they count from 1, and from the end with -1)"
      break
    end
  end
  if declaration.eager_only then list[#list + 1] = "dl[E_UNSUPPORTED]: used in a model or a compiled function" end
  return list
end

--- The declarations of a category that scripts may use, sorted by name.
function doc.entries(category)
  local list = {}
  for _, name in ipairs(names_of(category)) do
    local declaration = declared.describe(category, name)
    if declaration and not declaration.internal then list[#list + 1] = declaration end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

local function text_of(module, declaration)
  local lines = { doc.call(module, declaration), "", declaration.summary }
  local function add(title, value)
    if value and value ~= "" then lines[#lines + 1] = ("%s: %s"):format(title, value) end
  end
  add("Aliases", table.concat(declaration.aliases or {}, ", "))
  add("Formula", declaration.formula)
  add("Shapes", declaration.shapes)
  add("Source", declaration.source)
  if #declaration.arguments > 0 then
    lines[#lines + 1] = ""
    for _, argument in ipairs(declaration.arguments) do
      lines[#lines + 1] = ("  %-22s %s (%s; %s)"):format(argument.name, argument.doc or "", doc.expected(argument),
        default_of(argument))
    end
  end
  lines[#lines + 1] = "\nErrors:"
  for _, line in ipairs(doc.errors(declaration)) do lines[#lines + 1] = "  " .. line end
  local example = examples.of(declaration)
  if example then
    lines[#lines + 1] = "\nExample:"
    lines[#lines + 1] = "  " .. example:gsub("%s+$", ""):gsub("\n", "\n  ")
  end
  return table.concat(lines, "\n")
end

--- The text of a declaration, or nil and why. "ops.einsum" and "dl.ops.einsum" say which of several is meant.
function doc.text(name)
  local full = tostring(name):gsub("^dl[.:]", "")
  local module, short = full:match "^(.*)[.:]([^.:]*)$"
  short = short or full
  local all = {}
  for _, category in ipairs(doc.categories) do
    if not module or module == category[2] or category[2]:match "[^.]*$" == module then
      local names = names_of(category[1])
      local declaration = #names > 0 and declared.describe(category[1], short)
      if declaration then return text_of(category[2], declaration) end
      for _, known in ipairs(names) do all[#all + 1] = known end
    end
  end
  if module and #all == 0 then
    local modules = {}
    for place, category in ipairs(doc.categories) do modules[place] = category[2] end
    return nil, ("there is no dl.%s%s"):format(module, arguments.suggestion(module, modules))
  end
  return nil, ("there is nothing called '%s'%s"):format(short, arguments.suggestion(short, all))
end

--- The names of everything declared, by module; of one module where it is named.
function doc.list(module)
  local lines = {}
  for _, category in ipairs(doc.categories) do
    if not module or module == category[2] then
      local names = {}
      for place, declaration in ipairs(doc.entries(category[1])) do names[place] = declaration.name end
      if #names > 0 then lines[#lines + 1] = ("dl.%s (%d)\n  %s"):format(category[2], #names, table.concat(names, " ")) end
    end
  end
  return table.concat(lines, "\n\n")
end

local function is_module(name)
  for _, category in ipairs(doc.categories) do
    if category[2] == name then return true end
  end
  return false
end

--- Prints what is declared under a name: dl.doc "Conv2D", dl.doc(dl.layers.Conv2D), dl.doc "ops.einsum"; the names of a
-- module: dl.doc "ops"; without a name, those of all modules.
function doc.print(name)
  if type(name) == "table" and name.name then name = name.name end
  if name == nil or name == "list" then return print(doc.list()) end
  if type(name) ~= "string" then fail("ARGUMENT", "dl.doc takes a name, got " .. kind_of(name)) end
  local module = name:gsub("^dl[.:]", "")
  if is_module(module) then return print(doc.list(module)) end
  local text, message = doc.text(name)
  if not text then fail("NOT_FOUND", message) end
  print(text)
end

return doc

-- dl.doc: a declaration as text.

local core = ...
local arguments = core.use "arguments"
local declared = core.use "declared"
local fail, kind_of = core.fail, arguments.kind_of

local categories = {
  { "layer", "dl.layers." }, { "operation", "dl.ops." }, { "loss", "dl.losses." }, { "metric", "dl.metrics." },
  { "optimizer", "dl.optimizers." }, { "callback", "dl.callbacks." }, { "initializer", "dl.initializers." },
  { "regularizer", "dl.regularizers." }, { "constraint", "dl.constraints." }, { "activation", "dl.activations." },
  { "dataset", "dl.datasets." },
}

local function default_of(argument)
  if argument.required then return "required" end
  local value = argument.default
  if value == nil then return "default none" end
  if (argument.kind == "axis" or argument.kind == "index") and math.type(value) == "integer" and value >= 0 then
    value = value + 1
  end
  return "default " .. (type(value) == "string" and ("%q"):format(value) or core.encode(value))
end

local function text_of(prefix, declaration)
  local names = {}
  for _, input in ipairs(type(declaration.inputs) == "table" and declaration.inputs or {}) do names[#names + 1] = input end
  for _, argument in ipairs(declaration.arguments) do names[#names + 1] = argument.name end
  local brackets = declaration.inputs and { "(", ")" } or { "{ ", " }" }
  local head = prefix .. declaration.name .. brackets[1] .. table.concat(names, ", ") .. brackets[2]
  local lines = { head, "", declaration.summary }
  local function add(title, value)
    if value and value ~= "" then lines[#lines + 1] = ("%s: %s"):format(title, value) end
  end
  add("Formula", declaration.formula)
  add("Shapes", declaration.shapes)
  add("Source", declaration.source)
  if #declaration.arguments > 0 then
    lines[#lines + 1] = ""
    for _, argument in ipairs(declaration.arguments) do
      lines[#lines + 1] = ("  %-22s %s (%s; %s)"):format(argument.name, argument.doc or "",
        argument.expected or argument.kind, default_of(argument))
    end
  end
  if declaration.example and declaration.example ~= "" then
    lines[#lines + 1] = ""
    lines[#lines + 1] = declaration.example
  end
  return table.concat(lines, "\n")
end

local doc = {}

--- The text of a declaration, or nil and why.
function doc.text(name)
  name = tostring(name):match "[^.:]*$"
  local all = {}
  for _, category in ipairs(categories) do
    local declaration = declared.describe(category[1], name)
    if declaration then return text_of(category[2], declaration) end
    for _, known in ipairs(core.list(category[1])) do all[#all + 1] = known end
  end
  return nil, ("there is nothing called '%s'%s"):format(name, arguments.suggestion(name, all))
end

--- Prints what is declared under a name: dl.doc "Conv2D", dl.doc(dl.layers.Conv2D)
function doc.print(name)
  if type(name) == "table" and name.name then name = name.name end
  if type(name) ~= "string" then fail("ARGUMENT", "dl.doc takes a name, got " .. kind_of(name)) end
  local text, message = doc.text(name)
  if not text then fail("NOT_FOUND", message) end
  print(text)
end

return doc

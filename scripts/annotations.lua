-- Writes annotations for the Lua language server (LuaCATS): what is declared out of the declarations, what is Lua out of the
-- sources' comments.   build/bin/dlua scripts/annotations.lua [file [bindings/lua/dl]]

local dl = require "dl"
local doc = require "dl.doc"
local path, sources = arg[1] or "build/lua/annotations/dl.lua", arg[2] or "bindings/lua/dl"

local lines = {}
local function put(...) lines[#lines + 1] = table.concat{ ... } end

local keywords = {}
for word in ("and break do else elseif end false for function goto if in local nil not or repeat return then true until while")
  :gmatch "%a+" do keywords[word] = true end

-- ---- Types -----------------------------------------------------------------------------------------------------

local types = {
  bool = "boolean", int = "integer", float = "number", string = "string", size = "integer|integer[]",
  padding = "string|integer|table", shape = "integer|(integer|false)[]", axis = "integer", axes = "integer|integer[]",
  index = "integer|integer[]", dtype = "dl.dtype", list = "any[]", any = "any", layer = "dl.Layer|dl.Model|string",
  activation = "string|dl.Activation", optimizer = "string|dl.Optimizer", loss = "string|dl.Loss|function",
}

local function type_of(argument)
  local kind = types[argument.kind] or "string|dl.Config"
  if argument.choices and argument.kind == "choice" then
    local words = {}
    for place, word in ipairs(argument.choices) do words[place] = ("%q"):format(word) end
    kind = table.concat(words, "|")
  end
  if argument.kind == "list" and types[argument.entries] then kind = ("(%s)[]"):format(types[argument.entries]) end
  return argument.nullable and kind .. "|false" or kind
end

local function one_line(text) return ((text or ""):gsub("%s+", " ")) end

local function default_of(argument)
  if argument.required or argument.default == nil then return "" end
  return " (default " .. one_line(doc.literal(argument.default, argument.kind)) .. ")"
end

local function options_class(name, declaration)
  put("---@class ", name)
  for _, argument in ipairs(declaration.arguments) do
    put("---@field ", argument.name, argument.required and "" or "?", " ", type_of(argument), " ", one_line(argument.doc),
      default_of(argument))
  end
  put ""
end

local function describe(declaration)
  put("---", one_line(declaration.summary))
  for _, fact in ipairs{ "formula", "shapes", "source" } do
    if declaration[fact] and declaration[fact] ~= "" then
      put "---"
      put("---", fact:sub(1, 1):upper(), fact:sub(2), ": ", one_line(declaration[fact]))
    end
  end
end

local function definition(table_name, name, parameters)
  if keywords[name] then
    put(table_name, '["', name, '"] = function(', parameters, ") end")
  else
    put("function ", table_name, ".", name, "(", parameters, ") end")
  end
  put ""
end

-- ---- Functions written in Lua ----------------------------------------------------------------------------------

-- The table that a variable of a source file is, by file and variable; what is not listed is the library's own.
local places = {
  init = { dl = "dl" }, tensor = { tensor = "dl", methods = "Tensor", getters = "Tensor" },
  autodiff = { autodiff = "dl", methods = "Tape" }, custom = {}, control = { control = "ops" },
  ops = { extra = "ops" }, layers = { methods = "Layer", getters = "Layer", common = "Layer", extra = "layers" },
  models = { methods = "Model", getters = "Model", models = "models" }, training = { methods = "Model", getters = "Model" },
  fit = { methods = "Model" }, losses = {}, metrics = { methods = "Metric" },
  optimizers = { ["class.methods"] = "Optimizer", ["class.getters"] = "Optimizer" },
  callbacks = { extra = "callbacks" }, utils = { utils = "utils" }, random = { random = "random" },
  config = { config = "config" }, saving = { saving = "saving" }, plot = { plot = "utils" },
  pictures = { pictures = "utils" }, folders = { folders = "utils" }, datasets = {}, data = {},
}

local written = {}
local function note(owner, name, entry)
  written[owner] = written[owner] or { names = {} }
  if written[owner][name] then return end
  written[owner][name] = entry
  table.insert(written[owner].names, name)
end

local files = {}
for file in pairs(places) do files[#files + 1] = file end
table.sort(files)

for _, file in ipairs(files) do
  local variables = places[file]
  local handle = io.open(("%s/%s.lua"):format(sources, file))
  local comment = {}
  for line in handle and handle:lines() or function() end do
    local said = line:match "^%-%-%-? ?(.*)$"
    local variable, name, parameters = line:match "^function ([%w_.]+)%.([%w_]+)%((.-)%)"
    if not variable then variable, name = line:match "^([%w_.]+)%.([%w_]+) = " end
    if said and not said:match "^%-%-" then
      comment[#comment + 1] = said
    else
      if name and variables[variable] then
        note(variables[variable], name, {
          comment = table.concat(comment, " "), parameters = parameters,
          is_field = variable:match "getters$" or variable == "common",
        })
      end
      comment = {}
    end
  end
  if handle then handle:close() end
end

local function parameter_list(entry, is_method)
  local parameters = entry.parameters or "..."
  if is_method then parameters = parameters:gsub("^[%w_]+,? ?", "", 1) end
  return parameters
end

local results = { dl = "any", ops = "dl.Tensor|any", layers = "any", random = "dl.Tensor", models = "dl.Model" }

local function functions(table_name)
  for _, name in ipairs((written[table_name] or { names = {} }).names) do
    local entry = written[table_name][name]
    if not entry.done then
      entry.done = true
      put("---", entry.comment)
      local parameters = parameter_list(entry)
      for parameter in parameters:gmatch "[%w_]+" do
        put("---@param ", parameter, "? ", parameter == "options" and "table" or parameter == "path" and "string" or "any")
      end
      put("---@return ", results[table_name] or "any")
      definition(table_name, name, parameters)
    end
  end
end

local function methods(class_name, base)
  local members = written[class_name] or { names = {} }
  put("---@class dl.", class_name, base and ": dl." .. base or "")
  for _, name in ipairs(members.names) do
    if members[name].is_field then put("---@field ", name, " any ", members[name].comment) end
  end
  if class_name == "Layer" then put "---@operator call(any): dl.Tensor" end
  if class_name == "Tensor" then
    for operator in ("add sub mul div mod pow idiv"):gmatch "%a+" do put("---@operator ", operator, "(any): dl.Tensor") end
    put "---@operator unm: dl.Tensor"
    put "---@operator len: integer"
    put "---@field [any] any"
  end
  put("local ", class_name, " = {}")
  put ""
  for _, name in ipairs(members.names) do
    local entry = members[name]
    if not entry.is_field then
      put("---", entry.comment)
      local parameters = parameter_list(entry, true)
      for parameter in parameters:gmatch "[%w_]+" do put("---@param ", parameter, "? any") end
      if keywords[name] then
        put(class_name, '["', name, '"] = function(self, ', parameters == "" and "..." or parameters, ") end")
      else
        put("function ", class_name, ":", name, "(", parameters, ") end")
      end
      put ""
    end
  end
end

-- ---- The file --------------------------------------------------------------------------------------------------

put "---@meta dl"
put "-- Written by `make docs` out of the library's declarations; edit those."
put ""
put '---@alias dl.dtype "float32"|"float64"|"int32"|"int64"|"uint8"|"bool"|"f32"|"f64"|"i32"|"i64"|"u8"'
put "---@alias dl.tensorlike dl.Tensor|number|boolean|table"
put ""
put "---@class dl.Config"
put "---@class dl.Activation"
put "---@operator call(any): dl.Tensor"
put "---@class dl.Loss"
put "---@operator call(any): dl.Tensor"
put ""
put "---@class dl"
put "local dl = {}"
put ""

methods "Tape"
methods "Metric"
methods "Optimizer"
methods "Layer"
methods("Model", "Layer")
methods "Tensor"

-- Operations are methods of tensors too.
local operations = doc.entries "operation"

local function call_of(declaration)
  local names, seen = {}, {}
  if declaration.leading then names[1] = declaration.leading end
  for _, input in ipairs(type(declaration.inputs) == "table" and declaration.inputs or {}) do
    -- Inputs may be named like a keyword.
    local name = keywords[input] and input .. "_" or input
    if not seen[name] then names[#names + 1] = name end
    seen[name] = true
  end
  return names
end

local function result_of(declaration)
  local count = type(declaration.result_kinds) == "table" and #declaration.result_kinds or 1
  return (("dl.Tensor, "):rep(count):gsub(", $", ""))
end

for _, declaration in ipairs(operations) do
  if #declaration.arguments > 0 then options_class("dl.ops." .. declaration.name .. ".options", declaration) end
end

local function options_type(declaration)
  return ("dl.ops.%s.options|%s"):format(declaration.name, type_of(declaration.arguments[1]))
end

for _, declaration in ipairs(operations) do
  local inputs = call_of(declaration)
  if #inputs > 0 and not declaration.leading and not (written.Tensor or {})[declaration.name] then
    put("---", one_line(declaration.summary))
    local names = table.move(inputs, 2, #inputs, 1, {})
    for _, name in ipairs(names) do put("---@param ", name, "? dl.tensorlike") end
    if #declaration.arguments > 0 then
      put("---@param options? ", options_type(declaration))
      names[#names + 1] = "options"
    end
    names[#names + 1] = "..."
    put("---@return ", result_of(declaration))
    if keywords[declaration.name] then table.insert(names, 1, "self") end
    put(keywords[declaration.name] and ('Tensor["%s"] = function('):format(declaration.name)
      or ("function Tensor:%s("):format(declaration.name), table.concat(names, ", "), ") end")
    put ""
  end
end

-- What a constructor of each category gives.
local products = {
  layer = "dl.Layer", loss = "dl.Loss", metric = "dl.Metric", optimizer = "dl.Optimizer", application = "dl.Model",
  activation = "dl.Tensor", dataset = "table",
}

local function module(category, name)
  -- optimizers.schedules stands in optimizers.
  local variable = name:gsub("%.", "_")
  put("---@class dl.", name)
  put("local ", variable, " = {}")
  put("dl.", name, " = ", variable)
  put ""
  local known = {}
  for _, declaration in ipairs(doc.entries(category)) do
    known[declaration.name] = true
    local class = ("dl.%s.%s.options"):format(name, declaration.name)
    local has_options = #declaration.arguments > 0
    if category == "operation" then
      describe(declaration)
      local names = call_of(declaration)
      for _, input in ipairs(names) do
        put("---@param ", input, "? ", input == declaration.leading and "string" or "dl.tensorlike")
      end
      if has_options then
        put("---@param options? ", options_type(declaration))
        names[#names + 1] = "options"
      end
      names[#names + 1] = "..."
      put("---@return ", result_of(declaration))
      definition(variable, declaration.name, table.concat(names, ", "))
    else
      if has_options then options_class(class, declaration) end
      describe(declaration)
      if category == "activation" then
        put "---@param x dl.tensorlike"
        put "---@return dl.Tensor"
        definition(variable, declaration.name, "x")
      else
        if has_options then put("---@param options? ", class, "|", type_of(declaration.arguments[1])) end
        put("---@return ", products[category] or "dl.Config")
        definition(variable, declaration.name, has_options and "options, ..." or "...")
      end
      for _, alias in ipairs(declaration.aliases or {}) do
        if not keywords[alias] and not known[alias] and alias:match "^[%a_][%w_]*$" then
          known[alias] = true
          put(variable, ".", alias, " = ", variable, ".", declaration.name)
        end
      end
      put ""
    end
  end
  for _, own in ipairs((written[variable] or { names = {} }).names) do
    known[own] = true
  end
  functions(variable)
  return variable, known
end

-- Names that only the running library knows: aliases, and what a module takes from another.
local function leftovers(variable, live, known)
  local names = {}
  for name in pairs(live) do
    if type(name) == "string" and not known[name] and not name:match "^__" then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    if type(live[name]) == "function" or getmetatable(live[name]) then
      put "---@return any"
      definition(variable, name, "...")
    end
  end
end

for _, category in ipairs(doc.categories) do
  if #doc.entries(category[1]) > 0 then
    local variable, known = module(category[1], category[2])
    local live = not category[2]:find ".%." and dl[category[2]]
    if live then leftovers(variable, live, known) end
  end
end

for _, name in ipairs{ "models", "utils", "random", "config", "saving" } do
  put("---@class dl.", name)
  put("local ", name, " = {}")
  put("dl.", name, " = ", name)
  put ""
  functions(name)
  leftovers(name, dl[name], written[name] or {})
end

functions "dl"
for _, name in ipairs((written.models or { names = {} }).names) do
  if rawget(dl, name) or dl[name] then put("dl.", name, " = models.", name) end
end
put "dl.Input = layers.Input"
put "dl.None = false"
put 'dl.version = ""'
put ""
put "return dl"

local folder = path:match "^(.*)/"
if folder then os.execute(("mkdir -p '%s'"):format((folder:gsub("'", "'\\''")))) end
local file = assert(io.open(path, "w"))
file:write(table.concat(lines, "\n"), "\n")
assert(file:close())
